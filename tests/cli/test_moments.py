"""`firstlight moments` as a user runs it: real files, real processes, some of which are killed."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from firstlight import cli
from firstlight.cli.ending import INTERRUPTED
from firstlight.images import load_images
from firstlight.patches import ImageLags, PatchMoments
from firstlight.theory.sampling_error import sampling_errors
from firstlight.whitening import autocorrelation

COUNT = 400
CHILD = "import sys; from firstlight.cli import main; sys.exit(main())"
# Dies by a signal as soon as the first state is on disk, with most of the work before it.
DYING_CHILD = """
import importlib, os
from firstlight.patches.out_of_core.total import Total
importlib.import_module("firstlight.patches.out_of_core.accumulate").STATE_SECONDS = 0
save = Total.save
def save_and_die(self, path):
    Total.save = save
    save(self, path)
    os.kill(os.getpid(), {signal})
Total.save = save_and_die
"""


def run(*arguments: str | Path, code: str = CHILD) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, "moments", *map(str, arguments)]
    env = {**os.environ, "COLUMNS": "160"}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=env)


def header(path: Path) -> dict:
    with np.load(path) as arrays:
        return json.loads(str(arrays["header"]))


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """Photograph crops, (N, H, W, C)."""
    found = load_images("photos").images[:: 20030 // COUNT][:COUNT]
    return np.ascontiguousarray(found.transpose(0, 2, 3, 1))


@pytest.fixture(scope="module")
def folder(images: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("data") / "pngs"
    for i, image in enumerate(images):
        path = place / str(i % 4) / f"{i:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    return place


@pytest.fixture
def listing(tmp_path: Path) -> Iterator[None]:
    """Nothing is written, and what is there stays as it is."""
    (tmp_path / "there.npz").write_bytes(b"older work")
    before = sorted(tmp_path.rglob("*"))
    yield
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "there.npz").read_bytes() == b"older work"


def by_hand(images: np.ndarray, *settings: int) -> PatchMoments:
    return PatchMoments(*settings).update(images.transpose(0, 3, 1, 2))


def test_a_folder_gives_the_moments_of_its_images(folder: Path, images: np.ndarray, tmp_path: Path):
    out = tmp_path / "new" / "m.npz"
    done = run(folder, "--kernel-size", "5", "--stride", "2", "--dilation", "2", "--out", out)
    assert done.returncode == 0, done.stderr
    found = PatchMoments.load(out)
    assert found == by_hand(images, 5, 3, 2, 2)
    assert [path.name for path in out.parent.iterdir()] == ["m.npz"]
    about = header(out)["provenance"]
    assert about["data"] == "pngs"
    pixels = images.reshape(-1, 3) / 255
    np.testing.assert_allclose(json.loads(about["mean"]), pixels.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(json.loads(about["std"]), pixels.std(axis=0), rtol=1e-12)
    assert (about["images"], about["broken"]) == (str(COUNT), "0")
    assert json.loads(about["options"])["channels"] == 3
    for text in (f"{COUNT} of pngs", f"{found.count:,}", "mean of the pixels", f"inspect NETWORK --data {out}"):
        assert text in done.stdout
    assert f"\n\nfirstlight inspect NETWORK --data {out}\n" in done.stdout


def test_all_kinds_of_data_give_the_same_bits(folder: Path, images: np.ndarray, tmp_path: Path):
    np.save(tmp_path / "images.npy", images)
    with tarfile.open(tmp_path / "images.tar", "w") as archive:
        for i, image in enumerate(images):
            buffer = io.BytesIO()
            Image.fromarray(image).save(buffer, "PNG")
            member = tarfile.TarInfo(f"{i:03}.png")
            member.size = buffer.tell()
            buffer.seek(0)
            archive.addfile(member, buffer)
    expected = by_hand(images, 3)
    for number, source in enumerate((folder, tmp_path / "images.npy", tmp_path / "images.tar")):
        out = tmp_path / f"{number}.npz"
        more = [["--images-per-shard", "7"], ["--workers", "1"], []][number]
        assert cli.main(["moments", str(source), "--kernel-size", "3", "--out", str(out), *more]) == 0
        assert PatchMoments.load(out) == expected


def test_pairs_of_patches_give_the_curve_of_any_filters(folder: Path, images: np.ndarray, tmp_path: Path, capsys):
    out, report = tmp_path / "lags.npz", tmp_path / "lags.json"
    command = ["moments", str(folder), "--kernel-size", "3", "--max-distance", "9"]
    assert cli.main([*command, "--out", str(out), "--json", str(report)]) == 0
    pixels = images.transpose(0, 3, 1, 2)
    assert ImageLags.load(out) == ImageLags(3, 3, 9).update(pixels)
    assert PatchMoments.load(out) == by_hand(images, 3)
    curve = autocorrelation(None, out)
    np.testing.assert_allclose(curve.value, autocorrelation(None, pixels, 9).value, atol=0.01)  # but for the border
    written = json.loads(report.read_text())
    assert written["autocorrelation"] == {"distance": list(range(10)), "value": curve.value.tolist()}
    assert written["max_distance"] == 9
    text = " ".join(capsys.readouterr().out.split())
    shown = ", ".join(f"{curve.value[d]:.3f}" for d in (1, 2, 4, 8, 9))
    assert f"auto-correlation {shown} of the pixels at 1, 2, 4, 8, 9 pixels" in text
    bank = np.random.default_rng(0).standard_normal((4, 3, 3, 3))
    assert autocorrelation(bank, out).value[0] == 1
    assert cli.main([*command, "--plan", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["result_bytes"] == 8 * 19 * 27 * 28


def test_a_named_set_and_gray(tmp_path: Path):
    out = tmp_path / "m.npz"
    assert cli.main(["moments", "photos", "--split", "test", "--kernel-size", "2", "--out", str(out)]) == 0
    expected = PatchMoments(2, 3).update(load_images("photos", "test").images)
    assert PatchMoments.load(out) == expected
    assert header(out)["provenance"]["data"] == "photos"
    found = cli.main(["moments", "photos", "--kernel-size", "2", "--channels", "1", "--force", "--out", str(out)])
    assert found == 0
    assert PatchMoments.load(out).channels == 1


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_was_stopped_goes_on_to_the_same_bits(
    how: signal.Signals, folder: Path, images: np.ndarray, tmp_path: Path, capsys
):
    out = tmp_path / "m.npz"
    command = ["moments", str(folder), "--kernel-size", "3", "--images-per-shard", "20", "--out", str(out)]
    died = run(*command[1:], "--workers", "1", code=DYING_CHILD.format(signal=int(how)) + CHILD)
    assert died.returncode == (-how if how == signal.SIGKILL else INTERRUPTED), died.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["m.npz.part"]
    assert cli.main([*command, "--stride", "2"]) == 2  # another question
    assert "this state is of stride 1" in capsys.readouterr().err
    assert cli.main(command) == 0
    assert "1 of 20 shards is done, going on" in capsys.readouterr().err
    assert PatchMoments.load(out) == by_hand(images, 3)
    assert [path.name for path in tmp_path.iterdir()] == ["m.npz"]
    about = header(out)["provenance"]
    assert (about["images"], about["patches"]) == (str(COUNT), f"{COUNT * 30 * 30}")
    np.testing.assert_allclose(json.loads(about["mean"]), images.mean(axis=(0, 1, 2)) / 255, rtol=1e-12)


def test_a_dask_cluster_gives_the_same_bits(folder: Path, images: np.ndarray, tmp_path: Path):
    pytest.importorskip("distributed")
    done = run(folder, "--kernel-size", "3", "--engine", "dask", "--workers", "2", "--out", tmp_path / "m.npz")
    assert done.returncode == 0, done.stderr
    assert PatchMoments.load(tmp_path / "m.npz") == by_hand(images, 3)


def test_broken_images_are_told(folder: Path, images: np.ndarray, tmp_path: Path, capsys):
    shutil.copytree(folder, tmp_path / "pngs")
    (tmp_path / "pngs" / "0" / "000.png").write_bytes(b"no image")
    out = tmp_path / "m.npz"
    command = ["moments", str(tmp_path / "pngs"), "--out", str(out), "--kernel-size"]
    assert cli.main([*command, "3"]) == 0
    assert PatchMoments.load(out) == by_hand(images[1:], 3)
    assert "000.png" in capsys.readouterr().out
    about = header(out)["provenance"]
    assert about["broken"] == "1"
    assert "000.png" in about["broken_files"]
    before = out.read_bytes()
    assert cli.main([*command, "5", "--strict", "--force"]) == 2
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert told.startswith("firstlight: error: ")
    assert "000.png" in told
    assert out.read_bytes() == before


def test_standard_errors_are_those_of_the_blocks(images: np.ndarray, tmp_path: Path, capsys):
    np.save(tmp_path / "images.npy", images)
    np.save(tmp_path / "filters.npy", np.random.default_rng(0).normal(size=(8, 3, 3, 3)))
    arguments = ["moments", str(tmp_path / "images.npy"), "--kernel-size", "3", "--stderr", "--blocks", "8"]
    arguments += ["--images-per-shard", "10", "--filters", str(tmp_path / "filters.npy")]
    assert cli.main([*arguments, "--out", str(tmp_path / "m.npz"), "--json", str(tmp_path / "m.json")]) == 0
    written = json.loads((tmp_path / "m.json").read_text())
    blocks = [by_hand(images[np.arange(COUNT) // 10 % 8 == i], 3) for i in range(8)]
    bank = np.load(tmp_path / "filters.npy")
    expected = sampling_errors(blocks, written["mean"], written["std"], bank)
    assert written["errors"] == json.loads(json.dumps(expected.to_dict()))
    assert written["variance"] == expected.variance.tolist()
    out = capsys.readouterr().out
    assert "standard error" in out
    assert "tau" in out


def test_a_plan_writes_nothing(folder: Path, tmp_path: Path, listing, capsys):
    out = str(tmp_path / "there.npz")
    command = ["moments", str(folder), "--kernel-size", "7", "--out", out, "--plan", "--json", "-"]
    assert cli.main([*command, "--workers", "2"]) == 0
    one = json.loads(capsys.readouterr().out)
    assert (one["images"], one["counted"], one["sampled"]) == (COUNT, True, COUNT)
    assert one["read_bytes"] == sum(path.stat().st_size for path in folder.rglob("*.png"))
    assert one["workers"] == 2
    assert one["seconds"] == pytest.approx(COUNT * (one["reading_seconds"] + one["summing_seconds"]) / 2)
    assert cli.main([*command, "--engine", "dask", "--workers", "400"]) == 0  # none of which is started
    assert json.loads(capsys.readouterr().out)["workers"] == 400
    assert cli.main([*command[:4], "--plan"]) == 0
    text = capsys.readouterr().out
    assert all(word in text for word in ("images/s", "expected time", "memory", "reading and decoding"))


def test_a_plan_of_tar_files_estimates_their_images(tmp_path: Path, images: np.ndarray, capsys):
    for number in range(12):
        with tarfile.open(tmp_path / f"{number:02}.tar", "w") as archive:
            for i in range(10 * number, 10 * number + 10):
                buffer = io.BytesIO()
                Image.fromarray(images[i].repeat(4, axis=0).repeat(4, axis=1)).save(buffer, "BMP")
                member = tarfile.TarInfo(f"{i:03}.bmp")
                member.size = buffer.tell()
                buffer.seek(0)
                archive.addfile(member, buffer)
    assert cli.main(["moments", str(tmp_path), "--kernel-size", "3", "--plan", "--json", "-"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert (plan["images"], plan["counted"]) == (120, False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("{folder} --kernel-size 3", "no --out; expected the file to write"),
        ("{folder} --out {tmp}/m.npz", "kernel-size"),
        ("{folder} --kernel-size 0 --out {tmp}/m.npz", "kernel_size is 0; expected a whole number of at least 1"),
        ("{folder} --kernel-size 3 --stride 0 --out {tmp}/there.npz", "stride is 0"),
        ("{folder} --kernel-size 3 --stride 2 --max-distance 5 --out {tmp}/m.npz", "stride is 2 with max_distance 5"),
        ("{folder} --kernel-size 3 --max-distance -1 --out {tmp}/m.npz", "max_distance is -1"),
        ("{folder} --kernel-size 3 --out {tmp}/m.txt", "ends in .npz"),
        ("{folder} --kernel-size 3 --out {folder}/0.npz/../0", "ends in .npz"),
        ("{tmp}/missing --kernel-size 3 --out {tmp}/new/there.npz", "does not exist"),
        (
            "{folder} --kernel-size 3 --out {folder}/0/000.png/m.npz",
            "cannot be written (Not a directory); expected a folder",
        ),
        ("{folder} --kernel-size 3 --out {folder}/../pngs.npz/", "a folder; expected the name of a file"),
        ("cifar11 --kernel-size 3 --out {tmp}/m.npz", "did you mean 'cifar10'?"),
        ("{tmp} --kernel-size 3 --out {tmp}/m.npz", "holds no images"),
        ("{folder} --kernel-size 3 --crop 1 2 3 --out {tmp}/m.npz", "--crop has 3 numbers"),
        ("{folder} --kernel-size 3 --workers 0 --out {tmp}/m.npz", "workers is 0"),
        ("{folder} --kernel-size 3 --engine spark --out {tmp}/m.npz", "spark"),
        ("{folder} --kernel-size 3 --scheduler tcp://127.0.0.1:9 --out {tmp}/m.npz", "--engine dask with it"),
        ("{folder} --kernel-size 3 --images-per-shard 0 --out {tmp}/m.npz", "images_per_shard is 0"),
        ("{folder} --kernel-size 3 --stderr --blocks 7 --out {tmp}/m.npz", "--blocks is 7; expected at least 8"),
        ("{folder} --kernel-size 3 --stderr --images-per-shard 200 --out {tmp}/m.npz", "is read in 2 parts"),
        ("{folder} --kernel-size 3 --filters a.pth --out {tmp}/m.npz", "expected --stderr with it"),
        (
            "{folder} --kernel-size 3 --stderr --filters {tmp}/../five.npy --out {tmp}/m.npz",
            "expected filters of 3 x 3",
        ),
        ("{folder} --kernel-size 3 --channels 2 --out {tmp}/m.npz", "channels is 2"),
    ],
)
def test_bad_input_is_told_in_one_line(arguments: str, message: str, folder: Path, tmp_path: Path, listing, capsys):
    np.save(tmp_path.parent / "five.npy", np.ones((2, 3, 5, 5)))
    (folder.parent / "pngs.npz").mkdir(exist_ok=True)
    code = cli.main(["moments", *(part.format(folder=folder, tmp=tmp_path) for part in arguments.split())])
    told = capsys.readouterr()
    assert code == 2
    assert len(told.err.splitlines()) == 1
    assert told.err.startswith("firstlight: error: ")
    assert message in told.err
    assert told.out == ""


def test_images_smaller_than_the_kernel(folder: Path, tmp_path: Path, capsys):
    out = tmp_path / "m.npz"
    assert cli.main(["moments", str(folder), "--kernel-size", "33", "--out", str(out)]) == 2
    assert "too small" in capsys.readouterr().err
    assert not out.exists()
