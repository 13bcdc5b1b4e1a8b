"""What the README shows is what was recorded, and its example runs."""

import json
import re
from pathlib import Path

import pytest

import firstlight as fl
from firstlight.report.record import BEGIN, END, record, recorded_claims, show_in_readme
from firstlight.training import Run

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
RECORDS = sorted((ROOT / "results").glob("*/reproduction.json"))


def test_the_example_runs(capsys):
    try:
        fl.load_images("cifar10")
    except fl.SourceError as error:
        pytest.skip(f"CIFAR-10 cannot be had: {error}")
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(code, {})
    assert re.fullmatch(r"peak at component \d+; eq. 3 at tau = \S+: r = \d\.\d\d\n", capsys.readouterr().out)


def test_the_claims_shown_are_those_recorded():
    shown = README.split(BEGIN + "\n")[1].split(END)[0]
    assert shown in [recorded_claims(path.parent) for path in RECORDS]


def test_pictures_and_links_exist():
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.parent.name)
def test_recorded_claims_follow_from_the_recorded_filters(path: Path):
    """The networks' correlations in claims.json, recomputed from the recorded first-layer weights, to 1e-9."""
    about = json.loads(path.read_text())
    try:
        images = fl.load_images(about["data"])
    except fl.SourceError as error:
        pytest.skip(f"{about['data']} cannot be had: {error}")
    basis = fl.PatchMoments(3, 3).update(images.images).basis(images.mean, images.std)
    runs = [Run.load(path.parent / "runs" / run["hash"]) for run in about["runs"]]
    claims = {claim["name"]: claim for claim in json.loads((path.parent / "claims.json").read_text())["claims"]}
    for model in ("vgg11", "resnet20"):
        values = [
            fl.fit_formula(fl.energy_profile(run.final, basis, run.initial), basis).correlation
            for run in runs
            if run.spec.model == model
        ]
        assert claims[f"formula/{model}/correlation"]["values"] == pytest.approx(values, abs=1e-9)


def test_a_record_keeps_the_small_files_and_goes_into_the_readme(tmp_path):
    source = RECORDS[0].parent
    out = tmp_path / "out"
    (out / "figures").mkdir(parents=True)
    (out / "figures" / "a.png").write_bytes(b"picture")
    for name in ("claims.json", "claims.md", "reproduction.json"):
        (out / name).write_bytes((source / name).read_bytes())
    (out / "runs").symlink_to(source / "runs")
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "mine").write_text("not a record")
    with pytest.raises(fl.InputError, match="is not a record"):
        record(out, tmp_path / "kept")
    assert (tmp_path / "kept" / "mine").read_text() == "not a record"
    (tmp_path / "kept" / "reproduction.json").write_text("{}")
    record(out, tmp_path / "kept")
    assert recorded_claims(tmp_path / "kept") == recorded_claims(source)
    names = {str(file.relative_to(tmp_path / "kept")) for file in (tmp_path / "kept").rglob("*") if file.is_file()}
    runs = {f"runs/{run['hash']}" for run in json.loads((out / "reproduction.json").read_text())["runs"]}
    parts = ("spec.json", "filters.safetensors", "metrics.csv", "run.json")
    assert names == {"claims.json", "claims.md", "reproduction.json", "figures/a.png"} | {
        f"{run}/{part}" for run in runs for part in parts
    }
    readme = tmp_path / "README.md"
    readme.write_text(f"above\n{BEGIN}\nold\n{END}\nbelow\n")
    show_in_readme(tmp_path / "kept", readme)
    assert readme.read_text() == f"above\n{BEGIN}\n{recorded_claims(source)}{END}\nbelow\n"
