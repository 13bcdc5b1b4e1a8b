"""Names and texts out of other people's files, on their way out: nothing unseen reaches a terminal or a file."""

import json
import unicodedata
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.cli.every_command import GIVEN, Planted, commands

import firstlight as fl
from firstlight.cli import main
from firstlight.inspection.atlas import FORMAT, shipped_atlas
from firstlight.reproduction.shipped_record import recorded_results
from firstlight.training.spec import hash_of

MARK = "planted-line"
EVIL = "x\x1b]0;T\x07\x1b[31m\x1b]8;;a\x1b\\\x85\x9b\x7f\u202eb\u2066\u200b\u2028\ufeff[red]k&<b>\r" + f"{MARK}\n{MARK}"
GOOD = "naïve 漢字 é 👩\u200d🔬"  # which stay


def unseen(text: str) -> set[str]:
    """By another list than the program's own."""
    joined = text.replace("👩\u200d🔬", "")
    return {one for one in joined if one not in "\n\t" and unicodedata.category(one) in ("Cc", "Cf", "Cs", "Zl", "Zp")}


@pytest.fixture
def planted(tmp_path: Path) -> Planted:
    h5py = pytest.importorskip("h5py")
    rng = np.random.default_rng(0)
    name = EVIL + GOOD
    (tmp_path / "out").mkdir()
    weights = tmp_path / f"w{name}.npy"
    np.save(weights, rng.normal(size=(8, 3, 3, 3)))
    images = tmp_path / f"i{name}.npy"
    np.save(images, rng.integers(0, 256, (9, 3, 9, 9), dtype=np.uint8))
    pictures = tmp_path / f"p{name}"
    pictures.mkdir()
    Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)).save(pictures / f"a{name}.png")
    (pictures / f"b{name}.png").write_bytes(b"broken")
    moments = tmp_path / f"m{name}.npz"
    fl.PatchMoments(3, 3).update(rng.integers(0, 256, (9, 3, 9, 9), dtype=np.uint8)).save(moments, data=name, x=name)
    keras = tmp_path / f"k{name}.h5"
    layers = [
        {"class_name": "InputLayer", "config": {"name": "in", "batch_input_shape": [None, 8, 8, 3]}},
        {"class_name": f"Custom{name}", "config": {"name": f"c{name}"}},
        {"class_name": "Conv2D", "config": {"name": f"d{name}", "kernel_size": [3, 3]}},
    ]
    model = {"class_name": "Sequential", "config": {"name": "m", "layers": layers}}
    with h5py.File(keras, "w") as file:
        file.attrs["model_config"] = json.dumps(model)
        file.create_group("model_weights").attrs["layer_names"] = [b"c"]
    recorded = min((recorded_results() / "runs").iterdir()) / "spec.json"
    spec = {**json.loads(recorded.read_text())["spec"], "data": name}
    results = tmp_path / f"r{name}"
    (results / "runs" / hash_of(spec)).mkdir(parents=True)
    (results / "runs" / hash_of(spec) / "spec.json").write_text(json.dumps({"hash": hash_of(spec), "spec": spec}))
    (results / "record.json").write_text(json.dumps({"format": name}))
    atlas = tmp_path / f"a{name}.json"
    known = [
        asdict(replace(one, name=name + str(place), family=name, source=name))
        for place, one in enumerate(shipped_atlas()[:3])
    ]
    atlas.write_text(json.dumps({"format": FORMAT, "networks": known}))
    return Planted(weights, keras, images, pictures, moments, results, hash_of(spec), atlas, tmp_path / "out")


def test_every_command_is_tried():
    assert set(GIVEN) == set(commands())


@pytest.mark.parametrize("command", GIVEN, ids=" ".join)
def test_nothing_unseen_leaves_the_program(command, planted: Planted, capsys, monkeypatch):
    monkeypatch.chdir(planted.out)
    monkeypatch.setenv("FIRSTLIGHT_CACHE", str(planted.out / "cache"))
    shown = ""
    for given in GIVEN[command](planted):
        before = {path: path.stat().st_mtime_ns for path in planted.out.rglob("*")}
        main([*command, *map(str, given)])
        printed = capsys.readouterr()
        written = [path for path in planted.out.rglob("*") if path.is_file() and path not in before]
        texts = [printed.out, printed.err]
        texts += [path.read_text() for path in written if path.suffix in (".html", ".csv", ".json", ".md", ".svg")]
        for text in texts:
            assert not unseen(text), (given, unseen(text))
            assert f"\n{MARK}" not in text or text.startswith("<!doctype"), (given, text)
            shown += text
        assert "unexpected" not in printed.err
    assert MARK in shown  # else nothing of it was looked at


def test_json_keeps_names_as_they_are(planted: Planted, capsys):
    assert main(["inspect", str(planted.weights), "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["source"] == str(planted.weights)
