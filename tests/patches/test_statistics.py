"""Patch statistics: shipped, given, computed; their normalisation; the cache by content."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import firstlight as fl
from firstlight.errors import InputError, SourceError
from firstlight.filters import FilterBank
from firstlight.patches import PatchMoments
from firstlight.patches.pixel_statistics import pixel_statistics
from firstlight.patches.shipped import shipped_moments
from firstlight.patches.statistics import patch_statistics
from firstlight.utils.console import note_once

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (30, 3, 12, 10), dtype=np.uint8)


def bank(*shape: int, **attributes: object) -> FilterBank:
    return FilterBank(np.random.default_rng(1).normal(size=shape), **attributes)  # type: ignore[arg-type]


@pytest.mark.parametrize("kernel", [(3, 3), (5, 5), (7, 7), (16, 16), (2, 2), (1, 1)])
def test_shipped_ones_fit_common_kernels_and_download_nothing(kernel: tuple[int, int], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FIRSTLIGHT_CACHE", "/nonexistent/and/never/made")
    basis = patch_statistics().basis(bank(8, 3, *kernel))
    assert basis.shape == (3, *kernel)
    assert basis.mean == (0.4914, 0.4822, 0.4465)
    assert basis.count == 50_000 * (33 - kernel[0]) ** 2


def test_kernels_that_are_not_square_are_looked_at_inside_the_next_larger_patches():
    basis = patch_statistics("cifar10").basis(bank(8, 3, 3, 9))
    expected = shipped_moments(11).basis((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616), window=(3, 9))
    assert basis.shape == (3, 3, 9)
    np.testing.assert_allclose(basis.variance, expected.variance, rtol=2e-3)


def test_gray_filters_get_gray_patches():
    basis = patch_statistics().basis(bank(8, 1, 3, 3))
    assert basis.shape == (1, 3, 3)
    assert basis.std[0] == pytest.approx(0.239, abs=0.01)  # of CIFAR-10 in grey


def test_a_grouped_layer_gets_patches_of_all_its_channels():
    assert patch_statistics().basis(bank(6, 1, 3, 3, groups=3)).shape == (3, 3, 3)


@pytest.mark.parametrize(("shape", "message"), [((4, 3, 17, 17), "17 x 17"), ((4, 4, 3, 3), "see 4 channels")])
def test_what_the_shipped_ones_cannot_serve_is_named(shape: tuple[int, ...], message: str):
    with pytest.raises(InputError, match=f"{message}.*--data"):
        patch_statistics().basis(bank(*shape))


def test_the_normalisation_can_be_given_for_one_channel_or_all():
    statistics = patch_statistics()
    one, all_ = statistics.basis(bank(4, 3, 3, 3), 0.5, [0.2]), statistics.basis(bank(4, 3, 3, 3), [0.5] * 3, [0.2] * 3)
    np.testing.assert_array_equal(one.variance, all_.variance)
    with pytest.raises(InputError, match="mean has 2 numbers; expected 1 or 3"):
        statistics.basis(bank(4, 3, 3, 3), [0.5, 0.5])


def test_images_of_the_users_own_give_the_same_integers_as_their_array():
    statistics = patch_statistics(IMAGES)
    mean, std = statistics.normalisation(3)
    pixels = IMAGES.transpose(1, 0, 2, 3).reshape(3, -1) / 255
    np.testing.assert_allclose(mean, pixels.mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(std, pixels.std(axis=1), rtol=1e-12)
    basis = statistics.basis(bank(4, 3, 5, 5))
    expected = PatchMoments(5, 3).update(IMAGES).basis(mean, std)
    np.testing.assert_array_equal(basis.variance, expected.variance)
    assert patch_statistics(IMAGES).basis(bank(4, 1, 3, 3)).shape == (1, 3, 3)


def test_statistics_are_cached_by_the_content_of_the_images(tmp_path: Path):
    first = patch_statistics(IMAGES, tmp_path).basis(bank(4, 3, 3, 3))
    files = sorted((tmp_path / "moments").iterdir())
    assert len(files) == 2  # of the kernel, and of single pixels for the normalisation
    stamps = [file.stat().st_mtime_ns for file in files]
    again = patch_statistics(IMAGES.copy(), tmp_path).basis(bank(4, 3, 3, 3))
    np.testing.assert_array_equal(first.variance, again.variance)
    assert [file.stat().st_mtime_ns for file in files] == stamps
    changed = IMAGES.copy()
    changed[0, 0, 0, 0] ^= 1
    patch_statistics(changed, tmp_path).basis(bank(4, 3, 3, 3))
    assert len(list((tmp_path / "moments").iterdir())) == 4


def test_a_damaged_cache_is_computed_again(tmp_path: Path):
    first = patch_statistics(IMAGES, tmp_path).basis(bank(4, 3, 3, 3))
    for file in (tmp_path / "moments").iterdir():
        file.write_bytes(file.read_bytes()[:100])
    again = patch_statistics(IMAGES, tmp_path).basis(bank(4, 3, 3, 3))
    np.testing.assert_array_equal(first.variance, again.variance)
    assert all(PatchMoments.load(file).count for file in (tmp_path / "moments").iterdir())


def test_a_file_of_moments_serves_kernels_that_fit_into_its_patches(tmp_path: Path):
    moments = PatchMoments(5, 3).update(IMAGES)
    moments.save(tmp_path / "m.npz", data="my images")
    statistics = patch_statistics(tmp_path / "m.npz")
    assert statistics.data == "my images"
    basis = statistics.basis(bank(4, 3, 5, 5))
    np.testing.assert_array_equal(basis.variance, moments.basis(*pixel_statistics(moments)).variance)
    assert statistics.basis(bank(4, 3, 3, 2)).shape == (3, 3, 2)
    with pytest.raises(InputError, match=r"kernel is 7 x 7.*patches of 5 x 5"):
        statistics.basis(bank(4, 3, 7, 7))


@pytest.mark.parametrize("mean", ["[0.1, 0.2, 0.3]", "[0.1]", "nonsense", "3"])
def test_the_normalisation_that_a_file_of_moments_tells_is_taken_where_it_fits(mean: str, tmp_path: Path):
    moments = PatchMoments(3, 3).update(IMAGES)
    moments.save(tmp_path / "m.npz", mean=mean, std="[0.5, 0.5, 0.25]")
    found = patch_statistics(tmp_path / "m.npz").normalisation(3)
    told = ((0.1, 0.2, 0.3), (0.5, 0.5, 0.25))
    assert found == (told if mean == "[0.1, 0.2, 0.3]" else pixel_statistics(moments))


def test_a_file_of_images_is_not_taken_for_moments(tmp_path: Path):
    np.savez(tmp_path / "i.npz", images=IMAGES)
    basis = patch_statistics(tmp_path / "i.npz", tmp_path / "cache").basis(bank(4, 3, 3, 3))
    expected = PatchMoments(3, 3).update(IMAGES).basis(*patch_statistics(IMAGES, tmp_path / "cache").normalisation(3))
    np.testing.assert_array_equal(basis.variance, expected.variance)


def test_named_sets_are_loaded(tmp_path: Path):
    statistics = patch_statistics("photos", tmp_path)
    assert statistics.data == "photos"
    images = fl.load_images("photos")
    basis = statistics.basis(bank(4, 3, 3, 3))
    expected = PatchMoments(3, 3).update(images.images).basis(*statistics.normalisation(3))
    np.testing.assert_array_equal(basis.variance, expected.variance)


def test_images_smaller_than_the_kernel_are_named():
    with pytest.raises(InputError, match=r"smaller than the kernel, 11 x 11"):
        patch_statistics(IMAGES).basis(bank(4, 3, 11, 11))


def test_a_dilated_layer_gets_patches_of_its_dilation_from_images(tmp_path: Path):
    dilated = bank(4, 3, 3, 3, dilation=(2, 2))
    with pytest.raises(InputError, match=r"has dilation 2; the shipped statistics of cifar10.*give --data"):
        patch_statistics().basis(dilated)
    statistics = patch_statistics(IMAGES, tmp_path)
    statistics.prepare([dilated, bank(4, 3, 3, 3)])  # both in one pass, and apart from one another
    expected = PatchMoments(3, 3, dilation=2).update(IMAGES)
    assert statistics.moments(3, 3, 3, 2) == expected
    assert statistics.moments(3, 3, 3) == PatchMoments(3, 3).update(IMAGES)
    assert statistics.basis(dilated).dilation == 2
    assert len(list((tmp_path / "moments").iterdir())) == 3
    assert patch_statistics(IMAGES.copy(), tmp_path).moments(3, 3, 3, 2) == expected  # from the cache
    assert fl.energy_profile(dilated, statistics.basis(dilated)).energy.shape == (27,)


def test_dilations_that_patches_cannot_follow_are_named():
    with pytest.raises(InputError, match=r"dilation \(1, 2\); expected the same in both directions"):
        patch_statistics(IMAGES).basis(bank(4, 3, 3, 3, dilation=(1, 2)))
    with pytest.raises(InputError, match=r"smaller than the kernel, 13 x 13 \(with dilation 6\)"):
        patch_statistics(IMAGES).basis(bank(4, 3, 3, 3, dilation=(6, 6)))
    given = patch_statistics(PatchMoments(3).update(IMAGES))
    with pytest.raises(InputError, match="has dilation 2; the moments are of patches of dilation 1"):
        given.basis(bank(4, 3, 3, 3, dilation=(2, 2)))
    # A kernel of one tap, or one row of them, has no dilation across.
    assert given.basis(bank(4, 3, 1, 1, dilation=(5, 5))).size == 3
    assert patch_statistics(IMAGES).basis(bank(4, 3, 1, 3, dilation=(1, 2))).dilation == 2


def test_inspect_measures_a_dilated_layer_in_the_users_images():
    weight = np.random.default_rng(3).normal(size=(8, 3, 3, 3))
    found = fl.inspect(FilterBank(weight, layer="conv1", dilation=(2, 2)), data=IMAGES)
    assert found.profile.energy.shape == (27,)
    with pytest.raises(InputError, match=r"dilation 2.*give --data"):
        fl.inspect(FilterBank(weight, layer="conv1", dilation=(2, 2)))


def test_a_constant_channel_needs_a_given_deviation():
    flat = IMAGES.copy()
    flat[:, 1] = 7
    with pytest.raises(InputError, match="channel 1 has the same value"):
        patch_statistics(flat).basis(bank(4, 3, 3, 3))
    assert patch_statistics(flat).basis(bank(4, 3, 3, 3), 0.5, 0.2).size == 27


def test_other_channels_than_the_images_have_are_named():
    with pytest.raises(InputError, match=r"see 2 channels; the images of array have 3"):
        patch_statistics(IMAGES).basis(bank(4, 2, 3, 3))
    with pytest.raises(InputError, match=r"see 13 channels; the shipped statistics"):
        patch_statistics().basis(bank(4, 13, 3, 3))
    with pytest.raises(InputError, match=r"see 12 channels, which may be blocks of pixels \(space to depth\)"):
        patch_statistics().basis(bank(4, 12, 3, 3))


def test_unknown_data_are_refused():
    with pytest.raises((InputError, SourceError), match="no-such-thing"):
        patch_statistics("no-such-thing")


@pytest.mark.parametrize("place", ["file", "file/x"])
def test_a_cache_that_cannot_be_written_costs_a_warning_and_no_answer(tmp_path: Path, capsys, place: str):
    (tmp_path / "file").write_text("")
    np.save(tmp_path / "x.npy", np.random.default_rng(0).integers(0, 256, (9, 3, 8, 8), dtype=np.uint8))
    filters = np.random.default_rng(1).normal(size=(4, 3, 3, 3))
    note_once.cache_clear()
    found = [fl.inspect(filters, tmp_path / "x.npy", data_dir=tmp_path / folder) for folder in (place, place, "cache")]
    assert found[0].to_dict() == found[1].to_dict() == found[2].to_dict()
    told = capsys.readouterr().err
    assert told.count("the statistics of x.npy are not kept: the cache folder") == 1
    assert "name another with data_dir= or FIRSTLIGHT_CACHE" in told
    assert (tmp_path / "file").read_text() == ""


def test_without_a_home_no_folder_is_made_that_is_called_as_its_sign(tmp_path: Path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("firstlight.patches.computed_statistics.cache_dir", lambda _: Path("~/.cache/firstlight"))
    np.save("x.npy", np.zeros((9, 3, 8, 8), np.uint8) + np.arange(8, dtype=np.uint8))
    fl.patch_statistics("x.npy").moments(3, 3, 3)
    assert [path.name for path in tmp_path.iterdir()] == ["x.npy"]
    assert "there is no home folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options", [{"resize": 8}, {"crop": 4}, {"only": "*.jpg"}, {"pages": "all"}, {"layout": "NHWC"}, {"strict": True}]
)
@pytest.mark.parametrize("data", ["cifar10", None, PatchMoments(3, 3).update(np.zeros((2, 3, 8, 8), np.uint8))])
def test_how_images_are_read_is_refused_where_none_are(options: dict[str, Any], data: Any):
    (name,) = options
    with pytest.raises(InputError, match=rf"^{name} is .* of images; expected none"):
        patch_statistics(data, **options)


@pytest.mark.parametrize("data", ["cifar10", np.zeros((2, 3, 8, 8), dtype=np.uint8)], ids=["sums", "images"])
def test_an_option_that_there_is_not_is_refused_whatever_the_data(data):
    with pytest.raises(TypeError, match="unexpected keyword argument 'sdt'"):
        patch_statistics(data, sdt=0.25)
