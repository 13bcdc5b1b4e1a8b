"""`firstlight inspect` and `firstlight compare` as a user runs them, on real files."""

import json
import os
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import jsonschema
import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file

from firstlight import cli
from firstlight.patches.shipped import shipped_moments, shipped_normalisation
from firstlight.theory import linear_cnn_profile

SCHEMA = json.loads((files("firstlight.inspection") / "schema.json").read_text())
HEAVY = ("torch", "pandas", "numba", "pyarrow", "scipy", "matplotlib", "jinja2")


def run(*arguments: str, **options) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("firstlight")), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)


def weights(seed: int = 0, tau: float = 2.0, shape: tuple[int, ...] = (16, 3, 3, 3)) -> np.ndarray:
    """Filters with the profile of eq. 3 at tau."""
    basis = shipped_moments(shape[2]).basis(*shipped_normalisation())
    random = np.random.default_rng(seed).normal(size=(shape[0], basis.size))
    energy = linear_cnn_profile(basis.variance, tau) / np.sqrt(np.mean(random**2, axis=0))
    return ((random * energy) @ basis.components).reshape(shape).astype(np.float32)


@pytest.fixture
def nets(tmp_path: Path) -> Path:
    for number in range(2):
        tensors = {
            "conv1.weight": weights(number),
            "bn1.running_var": np.ones(16, np.float32),
            "bn1.weight": np.full(16, 2, np.float32),
            "fc.weight": np.ones((10, 16), np.float32),
        }
        save_file(tensors, tmp_path / f"net{number}.safetensors")
    np.save(tmp_path / "large.npy", weights(2, shape=(8, 3, 7, 7)))
    return tmp_path


def test_inspect_prints_a_table_a_model(nets: Path):
    done = run(
        "inspect", str(nets / "net0.safetensors"), str(nets / "net1.safetensors"), env={**os.environ, "COLUMNS": "160"}
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    for text in (
        "net0.safetensors",
        "net1.safetensors",
        "conv1: 16 filters of 3 x 3 x 3",
        "partial whitening up to",
    ):
        assert text in done.stdout
    assert len(re.findall(r"^r +1\.000 ", done.stdout, re.MULTILINE)) == 2
    assert len(re.findall(r"^t +2 ", done.stdout, re.MULTILINE)) == 2


def test_inspect_writes_json_csv_and_a_page(nets: Path, here):
    out = nets / "new" / "folder"
    files_ = [str(out / name) for name in ("a.json", "a.csv", "a.html")]
    done = here("inspect", str(nets / "net0.safetensors"), "--json", files_[0], "--csv", files_[1], "--html", files_[2])
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(Path(files_[0]).read_text())
    jsonschema.validate([found], SCHEMA)
    assert found["fit"]["tau"] == pytest.approx(2, rel=1e-3)
    table = pd.read_csv(files_[1])
    np.testing.assert_array_equal(table["energy"], found["energy"])
    page = Path(files_[2]).read_text()
    assert "<svg" in page
    assert "net0.safetensors" in page
    assert not re.findall(r"(?:src|href)=\"(?!#|data:)", page)  # nothing is loaded from elsewhere


def test_json_on_standard_output_is_json_alone(nets: Path):
    done = run("inspect", str(nets / "net0.safetensors"), str(nets / "large.npy"), "--json", "-")
    found = json.loads(done.stdout)
    jsonschema.validate(found, SCHEMA)
    assert [one["kernel_size"] for one in found] == [[3, 3], [7, 7]]


def test_the_normalisation_and_batch_norm_can_be_given(nets: Path, here):
    path = str(nets / "net0.safetensors")
    plain = json.loads(here("inspect", path, "--json", "-").stdout)[0]
    other = json.loads(here("inspect", path, "--json", "-", "--mean", "0.5", "0.4", "0.3", "--std", "0.2").stdout)[0]
    folded = json.loads(here("inspect", path, "--json", "-", "--fold-batch-norm").stdout)[0]
    assert other["mean"] == [0.5, 0.4, 0.3]
    assert other["std"] == [0.2] * 3
    assert other["variance"] != plain["variance"]
    np.testing.assert_allclose(folded["energy"], np.array(plain["energy"]) * 2 / np.sqrt(1 + 1e-5), rtol=1e-12)


def test_inspect_with_the_initial_filters_and_another_layer(nets: Path, here):
    path = nets / "two.safetensors"
    save_file({"conv1.weight": weights(0), "other.weight": weights(1)}, path)
    start = nets / "start.safetensors"
    save_file({"conv1.weight": weights(0) - weights(3), "other.weight": weights(1)}, start)
    change = json.loads(here("inspect", str(path), "--initial", str(start), "--json", "-").stdout)[0]
    assert change["change"]
    assert change["fit"]["tau"] == pytest.approx(2, rel=1e-2)
    other = json.loads(here("inspect", str(path), "--layer", "other", "--json", "-").stdout)[0]
    assert other["layer"] == "other"
    still = here("inspect", str(path), "--layer", "other", "--initial", str(start))
    assert "has not moved since its initialisation" in " ".join(still.stdout.split())


def test_images_of_the_users_own(nets: Path, here):
    from PIL import Image

    rng = np.random.default_rng(0)
    folder = nets / "images"
    folder.mkdir()
    for number in range(12):
        Image.fromarray(rng.integers(0, 256, (20 + number, 24, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    arguments = ["inspect", str(nets / "net0.safetensors"), "--data", str(folder), "--data-dir", str(nets / "cache")]
    done = here(*arguments, "--json", str(nets / "a.json"))
    assert done.returncode == 0, done.stderr
    assert "broken.png" in done.stderr
    found = json.loads((nets / "a.json").read_text())[0]
    assert found["data"] == "images"
    assert max(found["variance"]) < 1.2  # white noise, normalised
    strict = here(*arguments, "--strict")
    assert strict.returncode == 2
    assert "broken.png" in strict.stderr


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["inspect"], ["no source"]),
        (["inspect", "/no/such/file.pt"], ["/no/such/file.pt", "does not exist"]),
        (["inspect", "/dev/null"], ["/dev/null", "is a device", "expected a file"]),
        (["inspect", "/"], ["is a folder without"]),
        (["inspect", "NET", "--layer", "nothing"], ["'nothing'", "conv1"]),
        (["inspect", "NET", "--data", "no-such-set"], ["no-such-set"]),
        (["inspect", "NET", "--mean", "1", "2"], ["mean has 2 numbers", "3"]),
        (["inspect", "NET", "--std", "0"], ["std", "positive"]),
        (["inspect", "NET", "--initial", "/no/such"], ["/no/such"]),
        (["inspect", "NET", "--json", "/proc/x/y.json"], ["/proc/x"]),
        (["inspect", "NET", "--crop", "1", "2", "3"], ["--crop has 3"]),
        (["inspect", "hf:nonsense"], ["hf:nonsense", "OWNER/NAME"]),
        (["inspect", "module:nothing"], ["module:PACKAGE.MODULE:FACTORY"]),
        (["compare", "NET"], ["1 source", "at least 2"]),
        (["compare", "NET", "/no/such"], ["/no/such"]),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments: list[str], names: list[str], nets: Path, here):
    done = here(*[str(nets / "net0.safetensors") if word == "NET" else word for word in arguments])
    assert done.returncode == 2
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("firstlight: error: ")
    assert all(name in lines[0] for name in names), lines[0]


def test_what_can_be_read_is_shown_beside_what_cannot(nets: Path, here):
    (nets / "empty.pt").write_bytes(b"")
    np.save(nets / "nan.npy", np.full((4, 3, 3, 3), np.nan))
    names = ["net0.safetensors", "empty.pt", "nan.npy"]
    done = here("inspect", *(str(nets / name) for name in names), "--json", str(nets / "a.json"))
    assert done.returncode == 2
    assert "trained" in done.stdout
    errors = done.stderr.strip().splitlines()
    assert len(errors) == 2
    assert "empty.pt is empty" in errors[0]
    assert "weights hold NaN" in errors[1]
    found = json.loads((nets / "a.json").read_text())
    jsonschema.validate(found, SCHEMA)
    assert [one["error"] is None for one in found] == [True, False, False]
    assert "weights hold NaN" in found[2]["findings"][0]["text"]


def test_compare_prints_the_matrix_and_writes_files(nets: Path, here):
    sources = [str(nets / name) for name in ("net0.safetensors", "net1.safetensors", "large.npy")]
    outputs = ["--json", str(nets / "c.json"), "--csv", str(nets / "c.csv"), "--html", str(nets / "c.html")]
    done = here("compare", *sources, *outputs)
    assert done.returncode == 0, done.stderr
    assert "1.000" in done.stdout
    assert "matching spatial frequency" in " ".join(done.stdout.split())
    found = json.loads((nets / "c.json").read_text())
    assert found["correlations"][0][1] == pytest.approx(1)
    assert found["labels"] == sources
    assert found["compared_in"] == [3, 3, 3]
    table = pd.read_csv(nets / "c.csv", index_col="source")
    np.testing.assert_allclose(table.to_numpy(), found["correlations"])
    page = (nets / "c.html").read_text()
    assert page.count("<svg") >= 2


def test_names_with_markup_in_them_are_shown_as_they_are(nets: Path, here):
    odd = nets / "[red]x[bold] $1 <img src=x onerror=alert(1)>.npy"
    np.save(odd, weights())
    done = run("inspect", str(odd), "--html", str(nets / "a.html"), env={**os.environ, "COLUMNS": "300"})
    assert done.returncode == 0, done.stderr
    assert "[red]x[bold] $1 <img" in done.stdout
    assert "<img" not in (nets / "a.html").read_text()
    done = here("compare", str(odd), str(nets / "net0.safetensors"), "--html", str(nets / "b.html"))
    assert done.returncode == 0, done.stderr
    assert "<img" not in (nets / "b.html").read_text()


def test_a_safetensors_file_is_inspected_without_heavy_imports(nets: Path):
    code = (
        "import sys; from firstlight.cli import main; "
        f"assert main(['inspect', {str(nets / 'net0.safetensors')!r}]) == 0; "
        f"loaded = [name for name in {HEAVY!r} if name in sys.modules]; assert not loaded, loaded"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_help_shows_both_commands(capsys: pytest.CaptureFixture[str]):
    for command in ("inspect", "compare"):
        assert cli.main([command, "--help"]) == 0
        out = " ".join(capsys.readouterr().out.split())
        assert all(option in out for option in ("--data", "--layer", "--mean", "--std", "--json", "--html", "--csv"))


def test_what_fail_on_names_ends_with_exit_code_1(tmp_path: Path, capsys):
    dead = weights()
    dead[3] = 0
    np.save(tmp_path / "dead.npy", dead)
    np.save(tmp_path / "alive.npy", weights())
    for given, code in (("dead-filters", 1), ("bgr,warning", 1), ("bgr", 0), ("error", 0)):
        assert cli.main(["inspect", str(tmp_path / "dead.npy"), "--fail-on", given]) == code, given
        assert ("--fail-on: found dead-filters" in capsys.readouterr().err) == bool(code)
    assert cli.main(["inspect", str(tmp_path / "alive.npy"), "--fail-on", "warning"]) == 0
    assert cli.main(["inspect", str(tmp_path / "lacks.npy"), str(tmp_path / "dead.npy"), "--fail-on", "warning"]) == 2
    assert cli.main(["inspect", str(tmp_path / "dead.npy"), "--fail-on", "ded"]) == 2
    assert "the code 'ded' is no finding's; expected some of error, warning, info, all-zero" in capsys.readouterr().err


def test_a_name_that_is_no_utf_8_and_an_error_alone_are_json(tmp_path: Path, capsys):
    name = os.fsdecode(bytes(tmp_path) + b"/\xff.npy")
    np.save(name, weights())
    assert (
        cli.main(["inspect", name, "--json", str(tmp_path / "found.json"), "--csv", str(tmp_path / "found.csv")]) == 0
    )
    jsonschema.validate(json.loads((tmp_path / "found.json").read_text()), SCHEMA)
    capsys.readouterr()
    assert cli.main(["inspect", str(tmp_path / "lacks.npy"), "--json", "-"]) == 2
    (found,) = json.loads(capsys.readouterr().out)
    assert found["findings"][0]["code"] == "unreadable"
