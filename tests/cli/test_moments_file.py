"""What a run of `moments` leaves behind never blocks, and never replaces, what is asked for next."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from firstlight import cli
from firstlight.patches import ImageLags, PatchMoments

RNG = np.random.default_rng(0)


def write_image(path: Path, side: int = 24) -> None:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(RNG.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for i in range(5):
        write_image(tmp_path / "p" / f"{i}.png")
    return tmp_path / "p"


@pytest.fixture
def moments(folder: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Runs the command with m.npz for its output; exit code and errors."""

    def run(*options: str | int, data: Path = folder) -> tuple[int, str]:
        size = () if "--kernel-size" in options else ("--kernel-size", 3)
        out = folder.parent / "m.npz"
        code = cli.main(list(map(str, ("moments", data, *size, *options, "--out", out))))
        return code, capsys.readouterr().err

    return run


def test_a_broken_image_that_is_removed_blocks_nothing(moments, folder: Path):
    (folder / "z.png").write_bytes(b"x")
    strict = ("--strict", "--images-per-shard", 1, "--workers", 1)
    assert moments(*strict)[0] == 2
    assert (folder.parent / "m.npz.part").exists()  # of use to the same command without --strict
    (folder / "z.png").unlink()
    assert moments(*strict)[0] == 0
    assert not (folder.parent / "m.npz.part").exists()


def test_the_same_command_goes_on_after_an_error(moments, folder: Path):
    (folder / "z.png").write_bytes(b"x")
    options = ("--images-per-shard", 1, "--workers", 1)
    assert moments("--strict", *options)[0] == 2
    code, told = moments(*options)
    assert code == 0
    assert "5 of 6 shards are done, going on" in told


def test_a_state_without_an_image_is_none(moments, folder: Path):
    assert moments("--kernel-size", 30)[0] == 2
    assert not (folder.parent / "m.npz.part").exists()
    assert moments()[0] == 0


def test_an_interrupted_state_of_other_settings_is_refused_until_restart(moments, folder: Path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("firstlight.patches.out_of_core.accumulate.STATE_SECONDS", 0)
    monkeypatch.setattr("firstlight.patches.out_of_core.accumulate.ImageProgress.update", interrupt)
    assert moments("--images-per-shard", 1)[0] == 130
    monkeypatch.undo()
    code, told = moments("--stride", 2)
    assert code == 2
    assert "this state is of stride 1; expected 2: begin anew with --restart" in told
    assert moments("--stride", 2, "--restart")[0] == 0
    assert PatchMoments.load(folder.parent / "m.npz").stride == 2


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        (("--kernel-size", 5), "kernel_size 3; expected 5"),
        (("--max-distance", 2), "max_distance None; expected 2"),
        (("--crop", 8), "crop None; expected 8"),
        (("--channels", 1), "channels 3; expected 1"),
    ],
)
def test_a_result_of_other_settings_is_not_replaced(changed, names: str, moments, folder: Path):
    assert moments()[0] == 0
    before = (folder.parent / "m.npz").read_bytes()
    code, told = moments(*changed)
    assert code == 2
    assert names in told
    assert "--force" in told
    assert (folder.parent / "m.npz").read_bytes() == before
    assert moments("--images-per-shard", 2)[0] == 0  # the same, cut in another way
    assert moments(*changed, "--restart")[0] == 2  # which is of what was begun, not of what is finished
    assert moments(*changed, "--force")[0] == 0
    assert moments(*changed)[0] == 0


def test_a_result_of_other_data_is_not_replaced(moments, folder: Path):
    assert moments()[0] == 0
    write_image(folder.parent / "q" / "a.png")
    assert "data p; expected q" in moments(data=folder.parent / "q")[1]
    os.utime(folder / "0.png")  # later than the moments
    assert "other files of p" in moments()[1]
    assert moments("--force")[0] == 0
    assert moments()[0] == 0


def test_sums_of_files_that_look_the_same_are_not_replaced_either(moments, folder: Path):
    data = folder.parent / "data.npy"
    np.save(data, np.zeros((5, 3, 8, 8), np.uint8))
    assert moments(data=data)[0] == 0
    before = (folder.parent / "m.npz").read_bytes()
    np.save(data, np.ones((5, 3, 8, 8), np.uint8))
    os.utime(data, (0.0, 0.0))  # as of a file that was moved here
    code, told = moments(data=data)
    assert code == 2
    assert "holds other sums of files of these names" in told
    assert (folder.parent / "m.npz").read_bytes() == before
    code, told = moments("--force", data=data)
    assert code == 0
    assert "done, going on" in told  # nothing is read again
    assert PatchMoments.load(folder.parent / "m.npz").first.tolist() == [5 * 36] * 27


def test_a_file_of_something_else_is_never_replaced(moments, folder: Path):
    np.savez(folder.parent / "m.npz", images=np.zeros((5, 3, 8, 8), np.uint8))
    before = (folder.parent / "m.npz").read_bytes()
    for given in ((), ("--restart",), ("--force",)):
        code, told = moments(*given, data=folder.parent / "m.npz")
        assert code == 2
        assert "m.npz, which this command reads; expected another file" in told
    for given in ((), ("--restart",)):
        code, told = moments(*given)
        assert code == 2
        assert "m.npz, a file that is no earlier output of this command; expected a new one" in told
        assert "--force" in told
    assert (folder.parent / "m.npz").read_bytes() == before
    assert moments("--force")[0] == 0


def test_lags_are_not_replaced_by_moments(moments, folder: Path):
    assert moments("--max-distance", 2)[0] == 0
    assert "max_distance 2; expected None" in moments()[1]
    assert ImageLags.load(folder.parent / "m.npz").max_distance == 2


def test_very_large_images_are_read_as_the_message_advises(moments, folder: Path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 30 * 30)
    write_image(folder / "large.png", 100)
    assert moments()[0] == 0
    assert PatchMoments.load(folder.parent / "m.npz").provenance["broken"] == "1"
    assert "max_pixels None; expected 10000" in moments("--max-pixels", 100 * 100)[1]
    assert moments("--max-pixels", 100 * 100, "--force")[0] == 0
    assert PatchMoments.load(folder.parent / "m.npz").provenance["images"] == "6"
    np.save(folder.parent / "net.npy", RNG.normal(size=(4, 3, 3, 3)))
    given = ["inspect", str(folder.parent / "net.npy"), "--data", str(folder), "--strict"]
    assert cli.main(given) == 2
    assert cli.main([*given, "--max-pixels", "10000"]) == 0
