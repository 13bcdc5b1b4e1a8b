"""From 1 to 16 channels, in either layout, in Python and on the command line."""

from pathlib import Path

import numpy as np
import pytest

import firstlight as fl
from firstlight import cli
from firstlight.errors import InputError
from firstlight.patches import PatchMoments
from firstlight.patches.pixel_statistics import pixel_statistics

RNG = np.random.default_rng(0)


def images(channels: int, side: int = 20) -> np.ndarray:
    return RNG.integers(0, 256, (6, channels, side, side), dtype=np.uint8)


def last(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array.transpose(0, 2, 3, 1))


def bank(channels: int) -> np.ndarray:
    return RNG.normal(size=(8, channels, 3, 3))


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 12, 13, 16])
def test_inspect_in_python(channels: int):
    filters, pixels = bank(channels), images(channels)
    expected = PatchMoments(3, channels).update(pixels)
    for data in (pixels, last(pixels), list(pixels), list(last(pixels))):
        found = fl.inspect(filters, data, progress=False)
        mean, std = pixel_statistics(PatchMoments(1, channels).update(pixels))
        np.testing.assert_allclose(found.basis.variance, expected.basis(mean, std).variance, rtol=1e-9)
        assert fl.inspect(filters, data, channels=channels, progress=False).basis.count == found.basis.count
    half = fl.inspect(filters, pixels, mean=[0.5] * channels, std=[0.25] * channels, progress=False)
    np.testing.assert_allclose(half.basis.variance, expected.basis(0.5, 0.25).variance, rtol=1e-9)
    assert fl.compare([filters, -filters], pixels, progress=False).correlations[0, 1] == pytest.approx(1)


@pytest.mark.parametrize("channels", [1, 2, 5, 13, 16])
def test_on_the_command_line(channels: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    pixels = images(channels)
    np.save(tmp_path / "net.npy", bank(channels))
    np.save(tmp_path / "first.npy", pixels)
    np.savez(tmp_path / "last.npz", images=last(pixels))
    net, out = str(tmp_path / "net.npy"), tmp_path / "m.npz"
    for data in ("first.npy", "last.npz"):
        given = ["moments", str(tmp_path / data), "--kernel-size", "3", "--force", "--out", str(out)]
        for options in ([], ["--channels", str(channels)], ["--plan"]):
            assert cli.main([*given, *options]) == 0, capsys.readouterr().err
        assert PatchMoments.load(out) == PatchMoments(3, channels).update(pixels)
        assert cli.main(["inspect", net, "--data", str(tmp_path / data), "--html", str(tmp_path / "a.html")]) == 0
        assert cli.main(["compare", net, net, "--data", str(tmp_path / data)]) == 0
    mean = ["--mean", *["0.5"] * channels, "--std", *["0.25"] * channels]
    assert cli.main(["inspect", *mean, net, "--data", str(out)]) == 0


def test_an_ambiguous_shape_is_decided_by_the_filters_or_by_options(tmp_path: Path, capsys):
    pixels = images(13, 16)
    np.save(tmp_path / "x.npy", pixels)
    np.save(tmp_path / "net.npy", bank(13))
    assert fl.inspect(bank(13), last(pixels), progress=False).basis.count == 6 * 14 * 14
    assert cli.main(["inspect", str(tmp_path / "net.npy"), "--data", str(tmp_path / "x.npy")]) == 0
    command = ["moments", str(tmp_path / "x.npy"), "--kernel-size", "3", "--out", str(tmp_path / "m.npz")]
    assert cli.main(command) == 2
    assert "--layout NCHW" in capsys.readouterr().err
    for options in (["--channels", "13"], ["--layout", "NCHW"]):
        assert cli.main([*command, *options, "--force"]) == 0
        assert PatchMoments.load(tmp_path / "m.npz") == PatchMoments(3, 13).update(pixels)
    assert cli.main([*command, "--layout", "NHWC", "--force"]) == 0
    assert PatchMoments.load(tmp_path / "m.npz").channels == 16


def test_other_channels_than_the_filters_are_told():
    with pytest.raises(InputError, match="13 channels; expected 3"):
        fl.inspect(bank(3), images(13), progress=False)
    with pytest.raises(InputError, match="the filters see 3 channels; the images of array have 13"):
        fl.inspect(bank(3), images(13), channels=13, progress=False)


def test_theory_takes_the_layout(tmp_path: Path, capsys):
    np.save(tmp_path / "x.npy", images(3, 4))
    command = ["theory", "--data", str(tmp_path / "x.npy")]
    assert cli.main(command) == 2
    assert "--layout NCHW" in capsys.readouterr().err
    assert cli.main([*command, "--layout", "NCHW"]) == 0
