"""The auto-correlation of images wherever they are: a set, an array, a stream, summed before, in a file."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.whitening import direct
from tests.whitening.direct import made_images

from firstlight.errors import InputError
from firstlight.images import ImageSet, image_stream
from firstlight.patches import ImageLags, PatchMoments
from firstlight.whitening import LagMoments, autocorrelation

RNG = np.random.default_rng(0)
BANK = RNG.standard_normal((4, 3, 3, 3))


@pytest.fixture(scope="module")
def images() -> ImageSet:
    return made_images((30, 3, 16, 19), np.uint8)


@pytest.fixture(scope="module")
def lags(images: ImageSet) -> ImageLags:
    return ImageLags(3, 3, 12).update(images.images)


@pytest.mark.parametrize("bank", [None, BANK], ids=["pixels", "filters"])
def test_all_ways_to_the_same_images_give_the_same_curve(images, bank, tmp_path: Path):
    pixels = images.images
    expected = autocorrelation(bank, pixels)
    assert len(expected.value) == 11
    kernel_size = 1 if bank is None else 3
    lags = ImageLags(kernel_size, 3).update(pixels[:12]) + ImageLags(kernel_size, 3).update(pixels[12:])
    lags.save(tmp_path / "lags.npz")
    np.save(tmp_path / "pixels.npy", pixels)
    for source in (
        lags,
        tmp_path / "lags.npz",
        str(tmp_path / "lags.npz"),
        tmp_path / "pixels.npy",
        image_stream(pixels, progress=False),
    ):
        found = autocorrelation(bank, source)
        np.testing.assert_allclose(found.raw, expected.raw, rtol=1e-12, atol=1e-13)
        assert (found.filters, found.source) == (expected.filters, expected.source)


def test_a_given_normalisation_replaces_that_of_the_images(images, lags):
    expected = direct.curve(BANK, images, 10)
    sources = (images, lags, image_stream(images.images, progress=False))
    for source in sources:
        found = autocorrelation(BANK, source, 10, mean=images.mean, std=images.std)
        np.testing.assert_allclose(found.raw, expected, rtol=1e-12, atol=1e-12 * expected[0])
    mean, std = images.images.mean((0, 2, 3)) / 255, images.images.std((0, 2, 3)) / 255
    one, other = (autocorrelation(BANK, source, mean=0.3).raw for source in sources[1:])
    np.testing.assert_array_equal(one[:11], other)
    np.testing.assert_allclose(one, autocorrelation(BANK, lags, mean=0.3, std=std).raw, rtol=1e-12)
    np.testing.assert_allclose(
        autocorrelation(BANK, images, mean=mean.tolist(), std=0.2).raw,
        autocorrelation(BANK, lags, 10, mean=mean.tolist(), std=0.2).raw,
    )


def test_images_of_all_sizes_count_by_their_pairs(tmp_path: Path):
    stacks = [made_images((2, 3, *size), np.uint8, seed=sum(size)).images for size in ((14, 18), (20, 15), (16, 16))]
    for number, image in enumerate(np.moveaxis(stack, 1, -1)[i] for stack in stacks for i in range(2)):
        Image.fromarray(np.ascontiguousarray(image)).save(tmp_path / f"{number}.png")
    found = autocorrelation(BANK, image_stream(tmp_path, progress=False), mean=0.5, std=0.2)
    sums = np.zeros((2, 11, 2))
    for stack in stacks:
        y = direct.responses(BANK, (stack / 255 - 0.5) / 0.2)
        for d in range(11):
            for direction, (a, b) in enumerate(
                ((y[..., : y.shape[3] - d], y[..., d:]), (y[:, :, : y.shape[2] - d], y[:, :, d:]))
            ):
                sums[direction, d] += (a * b).sum(), a[:, 0].size
    expected = (sums[..., 0] / sums[..., 1]).mean(axis=0)
    np.testing.assert_allclose(found.raw, expected, rtol=1e-11, atol=1e-12 * expected[0])


def test_images_of_a_stream_that_are_too_small_are_left_out_and_told(images, capsys):
    small = [np.zeros((12, 30, 3), np.uint8), np.zeros((30, 12, 3), np.uint8)]
    mixed = [*small, *np.moveaxis(images.images, 1, -1)]
    found = autocorrelation(BANK, image_stream(mixed, progress=False))
    told = "of list are smaller than kernel size + max_distance, 13 x 13"
    assert capsys.readouterr().err == f"firstlight: 2 images {told}, and left out\n"
    np.testing.assert_array_equal(found.raw, autocorrelation(BANK, ImageLags(3, 3).update(images.images)).raw)
    with pytest.raises(
        InputError, match=f"^all 2 images {re.escape(told)}; expected larger ones, or give a smaller max_distance"
    ):
        autocorrelation(BANK, image_stream(small, progress=False))
    autocorrelation(None, image_stream([images.images[0].transpose(1, 2, 0)], progress=False))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
@pytest.mark.parametrize("shape", [(1, 4), (3, 2)])
def test_filters_that_are_not_square_see_where_a_square_one_fits(shape, dtype):
    images = made_images((5, 2, 15, 17), dtype)
    bank = RNG.standard_normal((3, 2, *shape))
    side = max(shape)
    square = np.zeros((3, 2, side, side))
    square[:, :, : shape[0], : shape[1]] = bank
    expected = direct.curve(square, images, 6)
    np.testing.assert_allclose(autocorrelation(bank, images, 6).raw, expected, rtol=1e-9, atol=1e-10 * expected[0])
    lags = ImageLags(side, 2, 6).update(images.images)
    found = autocorrelation(bank, lags, mean=images.mean, std=images.std)
    np.testing.assert_allclose(found.raw, expected, rtol=1e-9, atol=1e-10 * expected[0])


def test_lags_go_as_far_as_they_go(images, lags):
    assert len(autocorrelation(BANK, lags).value) == 13
    np.testing.assert_array_equal(autocorrelation(BANK, lags, 4).raw, autocorrelation(BANK, lags).raw[:5])
    np.testing.assert_array_equal(
        autocorrelation(BANK, lags, 4).raw, autocorrelation(BANK, ImageLags(3, 3, 4).update(images.images)).raw
    )


def test_lags_know_a_smaller_filter_where_their_patches_fit(images, lags):
    inside = ImageLags(1, 3, 12).update(images.images[:, :, :-2, :-2])
    settings = {"mean": images.mean, "std": images.std}
    np.testing.assert_allclose(
        autocorrelation(None, lags, **settings).raw, autocorrelation(None, inside, **settings).raw, rtol=1e-12
    )


def test_lag_moments_of_a_window_print_its_shape(lags):
    assert repr(LagMoments.of_lags(lags, window=(1, 2))) == "LagMoments(3 x 1 x 2 patches, up to 12 pixels apart)"
    assert repr(LagMoments.of_lags(lags, window=(3, 3))) == repr(LagMoments.of_lags(lags))
    with pytest.raises(InputError, match=r"filters are 3 x 3 x 3 .* expected 3 x 1 x 2, as the patches"):
        LagMoments.of_lags(lags, window=(1, 2)).curve(BANK)


def test_what_lags_do_not_hold_is_refused(lags, images, tmp_path: Path):
    PatchMoments(3, 3).update(images.images).save(tmp_path / "moments.npz")
    flat = ImageLags(1, 1, 2).update(np.full((1, 1, 5, 5), 7, np.uint8))
    for arguments, message in [
        ((np.ones((1, 3, 2, 5)), lags), "filters are 2 x 5 pixels; expected at most 3 x 3, the size of the patches"),
        ((np.ones((1, 1, 3, 3)), lags), "filters are 1 x 3 x 3 .* expected 3 x 3 x 3"),
        ((BANK, lags, 13), "max_distance is 13; expected at most 12, up to which these lags go"),
        ((BANK, ImageLags(3, 3, 2)), "hold no patches"),
        ((BANK, tmp_path / "moments.npz"), "holds patch moments alone, .* sum up the images again"),
        ((None, flat), "channel 0 has the same value in every pixel"),
    ]:
        with pytest.raises(InputError, match=message) as caught:
            autocorrelation(*arguments)
        assert "\n" not in str(caught.value)


def test_the_layout_is_told_where_the_shape_does_not_tell(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (4, 12, 9, 12), np.uint8)
    bank = np.random.default_rng(1).normal(size=(2, 12, 3, 3))
    np.save(tmp_path / "a.npy", images)
    for source in (images, tmp_path / "a.npy"):
        with pytest.raises(InputError, match="does not tell which of axes 1 and 3 is the channels"):
            autocorrelation(bank, source, 3)
        found = autocorrelation(bank, source, 3, layout="NHWC")
        expected = autocorrelation(bank, np.ascontiguousarray(images.transpose(0, 3, 1, 2)), 3, layout="NCHW")
        np.testing.assert_array_equal(found.value, expected.value)
