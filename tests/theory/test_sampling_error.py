"""Standard errors against those that are known: Gaussian patches, images drawn again, halves of CIFAR-10."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from firstlight.errors import InputError
from firstlight.images import data_sets, load_images
from firstlight.patches import PatchMoments
from firstlight.theory import linear_cnn_profile
from firstlight.theory.sampling_error import SamplingErrors, sampling_errors

LAMBDA = np.array([8.0, 4.0, 2.0, 1.0])  # far enough apart that ranks are not confused
ROTATION = np.linalg.qr(np.random.default_rng(5).normal(size=(4, 4)))[0]


def gaussian(count: int, seed: int) -> np.ndarray:
    """Images of one patch, 2 x 2, whose second moments have the eigenvalues LAMBDA."""
    patches = np.random.default_rng(seed).normal(size=(count, 4)) * np.sqrt(LAMBDA) @ ROTATION
    return patches.reshape(count, 1, 2, 2)


def split(images: np.ndarray, blocks: int, kernel_size: int = 2) -> list[PatchMoments]:
    return [PatchMoments(kernel_size, images.shape[1]).update(images[i::blocks]) for i in range(blocks)]


def errors_of(count: int, seed: int, blocks: int = 32, **options) -> SamplingErrors:
    return sampling_errors(split(gaussian(count, seed), blocks), 0, 1, **options)


def test_gaussian_patches_have_the_errors_that_theory_gives():
    found = [errors_of(3200, seed, draws=100) for seed in range(60)]
    theory = np.sqrt(2 / 3200) * LAMBDA
    np.testing.assert_allclose(np.mean([one.variance_error for one in found], axis=0), theory, rtol=0.08)
    trace = np.mean([one.trace_error for one in found])
    assert trace == pytest.approx(np.sqrt(2 / 3200 * np.sum(LAMBDA**2)), rel=0.08)
    # The errors' own spread is what the docstring says.
    spread = np.std([one.trace_error for one in found]) / trace
    assert spread == pytest.approx(np.sqrt(1 / 64 + 1 / 200), rel=0.35)


def test_intervals_cover_the_truth_as_often_as_they_should():
    found = [errors_of(3200, 1000 + seed, draws=60) for seed in range(100)]
    inside = np.mean([np.abs(one.variance - LAMBDA) < 1.96 * one.variance_error for one in found])
    assert 0.91 < inside < 0.97  # 0.94: Student's t with 31 degrees of freedom, 400 intervals


def test_patches_of_one_image_do_not_count_as_independent():
    random = np.random.default_rng(0)
    # Every picture has its own brightness: 36 patches of it say hardly more than one does.
    images = np.broadcast_to(random.normal(size=(1600, 1, 1, 1)), (1600, 1, 7, 7)) + 0.01 * random.normal(
        size=(1600, 1, 7, 7)
    )
    found = sampling_errors(split(images, 32), 0, 1, draws=400)
    assert found.trace_error == pytest.approx(4 * np.sqrt(2 / 1600), rel=0.25)


def test_the_error_of_tau_is_the_spread_of_tau_over_samples():
    bank = np.random.default_rng(1).normal(size=(4, 4))
    bank = (np.linalg.qr(bank)[0] * 2 * linear_cnn_profile(LAMBDA, 0.3)) @ ROTATION
    bank = bank.reshape(4, 1, 2, 2)
    found = [errors_of(3200, seed, bank=bank, draws=50) for seed in range(30)]
    taus, errors, correlations, theirs = np.array(
        [(one.tau, one.tau_error, one.correlation, one.correlation_error) for one in found], dtype=float
    ).T
    assert taus.mean() == pytest.approx(0.3, rel=0.05)
    assert errors.mean() == pytest.approx(taus.std(ddof=1), rel=0.3)
    assert np.mean(np.abs(taus - 0.3) < 1.96 * errors) > 0.85
    assert correlations.min() > 0.99
    assert 0 < theirs.mean() < 0.01


@pytest.mark.skipif(not data_sets()[0].present, reason="needs CIFAR-10 on disk")
def test_halves_of_cifar10_differ_by_their_errors():
    images = load_images("cifar10")
    some = images.images[np.random.default_rng(0).permutation(len(images.images))[:8000]]
    halves = [some[:4000], some[4000:]]
    found = [sampling_errors(split(half, 32, 3), images.mean, images.std, draws=100) for half in halves]
    z = (found[0].variance - found[1].variance) / np.hypot(found[0].variance_error, found[1].variance_error)
    assert 0.2 < np.sqrt(np.mean(z**2)) < 2  # 27 ranks, which rise and fall together
    for half, one in zip(halves, found, strict=True):
        mean, std = (np.array(values)[:, None, None] for values in (images.mean, images.std))
        energy = ((half / 255 - mean) / std) ** 2
        windows = np.minimum(3, np.minimum(np.arange(32), np.arange(32)[::-1]) + 1)  # that hold a row, or a column
        traces = np.einsum("nchw,h,w->n", energy, windows, windows) / 30**2
        assert one.trace == pytest.approx(traces.mean(), rel=1e-9)
        assert one.trace_error == pytest.approx(traces.std(ddof=1) / np.sqrt(4000), rel=0.4)


def test_bytes_and_floats_agree():
    pixels = np.random.default_rng(0).integers(0, 256, (160, 3, 6, 6), dtype=np.uint8)
    options = {"mean": (0.4, 0.5, 0.6), "std": (0.2, 0.25, 0.3), "draws": 20}
    bytes_ = sampling_errors(split(pixels, 10, 3), **options)
    floats = sampling_errors(split(pixels / 255, 10, 3), **options)
    np.testing.assert_allclose(bytes_.variance_error, floats.variance_error, rtol=1e-9)
    np.testing.assert_allclose(bytes_.variance, floats.variance, rtol=1e-9)


@given(st.permutations(range(8)), st.integers(0, 3))
def test_empty_blocks_and_seeds(order: list[int], empty: int):
    blocks = split(gaussian(64, 0), 8)
    expected = sampling_errors(blocks, 0, 1, draws=5, seed=3)
    again = sampling_errors([*blocks, *(PatchMoments(2, 1) for _ in range(empty))], 0, 1, draws=5, seed=3)
    np.testing.assert_array_equal(again.variance_error, expected.variance_error)
    assert again.blocks == 8
    shuffled = sampling_errors([blocks[i] for i in order], 0, 1, draws=5, seed=3)
    np.testing.assert_allclose(shuffled.variance, expected.variance)
    assert (shuffled.variance_error > 0).all()


def test_what_cannot_be_is_refused():
    blocks = split(gaussian(64, 0), 8)
    with pytest.raises(InputError, match="7 blocks hold patches; expected at least 8"):
        sampling_errors([*blocks[:7], PatchMoments(2, 1)], 0, 1)
    with pytest.raises(InputError, match="draws is 1"):
        sampling_errors(blocks, 0, 1, draws=1)
    with pytest.raises(InputError, match="cannot merge"):
        sampling_errors([*blocks, PatchMoments(1, 1).update(gaussian(1, 0))], 0, 1)
    with pytest.raises(InputError, match="filters are 1 x 3 x 3"):
        sampling_errors(blocks, 0, 1, bank=np.ones((1, 1, 3, 3)))


def test_json_has_no_infinity():
    bank = (np.eye(4) / np.sqrt(LAMBDA)[:, None] @ ROTATION).reshape(4, 1, 2, 2)  # whitening: tau is infinite
    found = errors_of(320, 0, bank=bank, draws=5)
    written = found.to_dict()
    assert found.tau_error is not None
    assert all(value is None or np.isfinite(value).all() for value in written.values())
    assert len(written["variance"]) == len(written["variance_error"]) == 4
