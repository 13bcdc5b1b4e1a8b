"""Every function takes a network and data in whatever form a user has them, and says the same of all forms."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import firstlight as fl

FILTERS = np.random.default_rng(0).normal(size=(16, 3, 3, 3)).astype(np.float32)
IMAGES = np.random.default_rng(1).integers(0, 256, (40, 3, 16, 16), dtype=np.uint8)


def network() -> torch.nn.Module:
    made = torch.nn.Sequential(torch.nn.Conv2d(3, 16, 3, bias=False), torch.nn.ReLU(), torch.nn.Conv2d(16, 4, 3))
    with torch.no_grad():
        made[0].weight.copy_(torch.from_numpy(FILTERS))  # pyright: ignore[reportArgumentType, reportCallIssue]
    return made


SOURCES: dict[str, Callable[[Path], Any]] = {
    "array": lambda folder: FILTERS,
    "bank": lambda folder: fl.FilterBank(FILTERS),
    "tensor": lambda folder: torch.from_numpy(FILTERS),
    "parameter": lambda folder: torch.nn.Parameter(torch.from_numpy(FILTERS)),
    "module": lambda folder: network(),
    "state dict": lambda folder: network().state_dict(),
    "checkpoint": lambda folder: {"state_dict": network().state_dict(), "epoch": 3},
    "path": lambda folder: _saved(folder),
    "text": lambda folder: str(_saved(folder)),
}
DATA: dict[str, Callable[[Path], Any]] = {
    "array": lambda folder: IMAGES,
    "set": lambda folder: fl.load_images(IMAGES),
    "file": lambda folder: _images_file(folder),
    "moments": lambda folder: fl.PatchMoments(3, 3).update(IMAGES),
    "larger moments": lambda folder: fl.PatchMoments(5, 3).update(IMAGES),
    "moments file": lambda folder: _moments_file(folder),
    "statistics": lambda folder: fl.patch_statistics(IMAGES, folder / "cache", progress=False),
    "basis": lambda folder: _basis(),
}


def _saved(folder: Path) -> Path:
    path = folder / "network.pt"
    torch.save(network().state_dict(), path)
    return path


def _images_file(folder: Path) -> Path:
    np.save(folder / "images.npy", IMAGES)
    return folder / "images.npy"


def _moments_file(folder: Path) -> Path:
    fl.PatchMoments(3, 3).update(IMAGES).save(folder / "moments.npz")
    return folder / "moments.npz"


def _basis() -> fl.PatchBasis:
    return fl.patch_statistics(IMAGES, progress=False).basis(fl.FilterBank(FILTERS))


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRSTLIGHT_CACHE", str(tmp_path / "cache"))


@pytest.fixture(params=SOURCES)
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return SOURCES[request.param](tmp_path)


@pytest.fixture(params=DATA)
def data(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return DATA[request.param](tmp_path)


def test_every_function_takes_every_source(source: Any):
    basis = _basis()
    energy = fl.energy_profile(FILTERS, basis).energy
    fit = fl.fit_formula(fl.energy_profile(FILTERS, basis), basis)
    np.testing.assert_array_equal(fl.energy_profile(source, basis).energy, energy)
    np.testing.assert_array_equal(fl.energy_profile(2 * FILTERS, basis, initial=source).energy, energy)
    assert fl.fit_formula(source, basis).tau == fit.tau
    np.testing.assert_array_equal(fl.inspect(source, basis).profile.energy, energy)
    np.testing.assert_array_equal(fl.compare([source, FILTERS], basis).correlations.round(12), np.ones((2, 2)))
    curve = fl.autocorrelation(FILTERS, IMAGES, 3).value
    np.testing.assert_array_equal(fl.autocorrelation(source, IMAGES, 3).value, curve)


def test_every_function_takes_every_kind_of_data(data: Any):
    basis = fl.patch_statistics(data, progress=False).basis(fl.FilterBank(FILTERS))
    profile = fl.energy_profile(FILTERS, basis)
    np.testing.assert_array_equal(fl.energy_profile(FILTERS, data).energy, profile.energy)
    np.testing.assert_array_equal(
        fl.linear_cnn_profile(data, 2.0, kernel_size=3), fl.linear_cnn_profile(basis.variance, 2.0)
    )
    assert fl.fit_formula(profile, data).tau == fl.fit_formula(profile, basis).tau
    np.testing.assert_array_equal(fl.whitening_bank(data, 3).weight, fl.whitening_bank(basis).weight)
    np.testing.assert_array_equal(fl.inspect(FILTERS, data).profile.energy, profile.energy)
    np.testing.assert_array_equal(fl.compare([FILTERS, FILTERS[:8]], data=data).profiles[0].energy, profile.energy)


def test_the_default_is_that_of_inspect():
    found = fl.inspect(FILTERS)
    np.testing.assert_array_equal(fl.energy_profile(FILTERS).energy, found.profile.energy)
    assert found.fit is not None
    assert fl.fit_formula(FILTERS).tau == fl.fit_formula(found.profile).tau == found.fit.tau
    np.testing.assert_array_equal(fl.compare([FILTERS, FILTERS]).basis.components, found.basis.components)
    assert fl.linear_cnn_profile(tau=1.0).shape == (27,)
    assert fl.whitening_bank(kernel_size=2).weight.shape == (12, 3, 2, 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fl.compare("a.pth"), "expected a list of at least 2 networks"),
        (lambda: fl.fit_formula(FILTERS, [1.0, 2.0, 3.0]), "expected a basis, or the data"),
        (lambda: fl.fit_formula(np.arange(1.0, 8.0)), "7 components"),
        (lambda: fl.linear_cnn_profile("cifar11", 1.0), "no data set is called 'cifar11'"),
        (lambda: fl.whitening_bank(_basis(), 5), "the basis given for data"),
        (lambda: fl.energy_profile("nowhere.pth"), "nowhere.pth does not exist"),
        (lambda: fl.energy_profile(""), "source is an empty name"),
        (lambda: fl.energy_profile(FILTERS, ""), "source is an empty name"),
        (lambda: fl.fit_formula(3), "profile has shape"),
        (lambda: fl.compare(None), "compare was given a NoneType"),  # pyright: ignore[reportArgumentType]
        (lambda: fl.compare({"a": FILTERS}), "compare was given a dict"),  # pyright: ignore[reportArgumentType]
        (lambda: fl.compare([]), "compare was given 0 filter banks"),
        (lambda: fl.inspect(network().state_dict(), layer=3), "layer is 3; expected the name"),  # pyright: ignore[reportArgumentType]
        (lambda: fl.whitening_bank(IMAGES, 0), "kernel_size is 0; expected a whole number of at least 1"),
        (lambda: fl.accumulate(IMAGES, 3, engine="local"), "expected an Engine"),  # pyright: ignore[reportArgumentType]
        (lambda: fl.recorded(3), "experiments are 3"),  # pyright: ignore[reportArgumentType]
    ],
)
def test_what_cannot_be_meant_is_one_line(call: Callable[[], object], message: str):
    with pytest.raises(fl.FirstlightError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_gray_images_have_gray_patches():
    gray = IMAGES[:, :1]
    basis = fl.PatchMoments(3, 1).update(gray).basis(*_pixels(gray))
    np.testing.assert_allclose(fl.linear_cnn_profile(gray, 1.0), fl.linear_cnn_profile(basis.variance, 1.0), rtol=1e-9)
    assert fl.whitening_bank(fl.load_images(gray)).weight.shape == (9, 1, 3, 3)


def _pixels(images: np.ndarray) -> tuple[float, float]:
    return images.mean() / 255, images.std() / 255


def test_accumulate_cuts_what_it_is_given_into_shards():
    found = fl.accumulate(IMAGES, 3, progress=False)
    assert found.moments == fl.accumulate(fl.shards_of(IMAGES), 3, progress=False).moments
    assert found.moments == fl.PatchMoments(3, 3).update(IMAGES)
