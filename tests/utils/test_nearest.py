"""A mistyped path is told, with what was probably meant."""

from pathlib import Path

import numpy as np
import pytest

import firstlight as fl
from firstlight import cli
from firstlight.utils.nearest import nearest_path


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "train" / "cats").mkdir(parents=True)
    np.save(tmp_path / "net.npy", np.ones((4, 3, 3, 3)))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("trian", "train"),
        ("./trian", "train"),
        ("TRAIN/dogs/0.png", "train"),
        ("train/cat", "train/cats"),
        ("net.pny", "net.npy"),
        ("net.npy/x", "net.npy"),
        ("nothing-like-it", ""),
        ("gone/" * 3, ""),
        ("a" * 300, ""),
    ],
)
def test_the_nearest_name_is_told(given: str, meant: str, here: Path):
    assert nearest_path(Path(given)) == (f" (did you mean {meant}?)" if meant else "")
    assert nearest_path(here / given) == (f" (did you mean {here / meant}?)" if meant else "")


@pytest.mark.parametrize(
    ("command", "meant"),
    [
        ("inspect nte.npy", "net.npy"),
        ("inspect net.npy --initial nte.npy", "net.npy"),
        ("inspect net.npy --data trian", "train"),
        ("inspect net.npy --data trian/cats", "train"),
        ("compare net.npy net.npy --data ./trian", "train"),
        ("moments trian --kernel-size 3 --out m.npz", "train"),
        ("theory --data nte.npy", "net.npy"),
        ("reproduce --data ./trian", "train"),
    ],
)
def test_wherever_files_are_named(command: str, meant: str, capsys: pytest.CaptureFixture[str]):
    assert cli.main(command.split()) == 2
    told = capsys.readouterr().err
    assert f"did you mean {meant}?" in told or f"did you mean '{meant}'?" in told


def test_moments_of_a_mistyped_file():
    with pytest.raises(fl.InputError, match=r"did you mean .*net.npy\?"):
        fl.PatchMoments.load("net.npz")
