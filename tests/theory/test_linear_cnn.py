"""The exact linear CNN against autograd, against its own recursion, and against 50-digit arithmetic."""

from collections.abc import Iterator
from dataclasses import replace

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import nn

from firstlight.errors import InputError
from firstlight.images import ImageSet
from firstlight.models import LinearCNN
from firstlight.theory import (
    MeanPatchMoments,
    frozen_readout_filters,
    linear_cnn_profile,
    mean_patch_moments,
    two_layer_descent,
)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """The networks are tiny: more threads would only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def image_set(count: int, channels: int = 3, side: int = 8, dtype: str = "uint8", seed: int = 0) -> ImageSet:
    """Images whose pixels depend on their neighbours, as no assumption of eq. 3 allows, with 3 classes."""
    rng = np.random.default_rng(seed)
    pixels = rng.uniform(0, 255, (count, channels, side, side)).cumsum(axis=2).cumsum(axis=3)
    pixels = (255 * pixels / pixels.max()).astype(dtype)
    if dtype == "uint8":
        mean, std = (0.4, 0.5, 0.45)[:channels], (0.25, 0.2, 0.3)[:channels]
    else:
        mean, std = (100.0, 127.0, 115.0)[:channels], (64.0, 50.0, 77.0)[:channels]
    return ImageSet("made", "train", pixels, rng.integers(0, 3, count), ("a", "b", "c"), mean, std)


def one_hot(images: ImageSet) -> np.ndarray:
    assert images.labels is not None
    return np.eye(len(images.classes))[images.labels]


def as_seen(images: ImageSet) -> np.ndarray:
    unit = 255 if images.images.dtype == np.uint8 else 1
    mean, std = (np.array(values)[:, None, None] for values in (images.mean, images.std))
    return (images.images / unit - mean) / std


# Moments


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize(("channels", "kernel_size", "block_images"), [(3, 3, 7), (1, 5, 1), (2, 1, 100), (2, 8, 11)])
def test_moments_are_those_of_the_mean_of_all_patches(monkeypatch, dtype, channels, kernel_size, block_images):
    images = image_set(20, channels, dtype=dtype)
    monkeypatch.setattr("firstlight.theory.linear_cnn._BLOCK_BYTES", block_images * images.images[0].nbytes)
    targets = one_hot(images)
    moments = mean_patch_moments(images, kernel_size, targets)
    unfolded = torch.nn.functional.unfold(torch.from_numpy(as_seen(images)), kernel_size)
    means = unfolded.mean(dim=2).numpy()
    np.testing.assert_allclose(moments.second, means.T @ means / 20, rtol=1e-12)
    expected = (targets - targets.mean(axis=0)).T @ means / 20
    np.testing.assert_allclose(moments.cross, expected, rtol=1e-11, atol=1e-13)
    assert (moments.images, moments.patches, moments.size) == (20, unfolded.shape[2], unfolded.shape[1])


def test_targets_may_be_one_number_an_image():
    images = image_set(12)
    targets = one_hot(images)
    moments = mean_patch_moments(images, 3, targets[:, 1])
    np.testing.assert_allclose(moments.cross, mean_patch_moments(images, 3, targets).cross[1:2], rtol=1e-12)
    boolean = mean_patch_moments(images, 3, targets[:, 1] > 0)
    np.testing.assert_array_equal(boolean.cross, moments.cross)
    shifted = mean_patch_moments(images, 3, targets[:, 1] + 1000)  # the mean is not learned
    np.testing.assert_allclose(shifted.cross, moments.cross, atol=1e-12)


def test_rates_are_the_eigenvalues_of_a_in_order():
    moments = mean_patch_moments(image_set(40), 2, np.arange(40.0))
    assert (np.diff(moments.rates) <= 0).all()
    assert moments.rates.sum() == pytest.approx(np.trace(moments.second))
    # Fewer images than numbers in a patch: rounding must not make a rate negative.
    assert mean_patch_moments(image_set(4), 3, np.arange(4.0)).rates.min() >= 0


# Against autograd, on the real network


def test_real_gradient_descent_of_the_papers_network():
    images = image_set(200)
    targets = one_hot(images)[:, 0]
    moments = mean_patch_moments(images, 3, targets)
    torch.manual_seed(0)
    net = LinearCNN(filters=4, sigma=0.1).double()
    initial = weights(net.conv)
    lr = 0.9 / (4 * moments.rates[0])
    pixels, centred = torch.from_numpy(as_seen(images)), torch.from_numpy(targets - targets.mean())
    times = [0, 1, 2, 10, 100, 300]
    trained = {}
    for step in range(max(times) + 1):
        if step in times:
            trained[step] = weights(net.conv)
        net.zero_grad()
        (0.5 * (net(pixels) - centred).square().mean()).backward()
        descend(net, lr)
    exact = frozen_readout_filters(moments, initial, np.ones((1, 4)), lr, times)
    assert np.abs(exact[-1] - initial).max() > 0.01
    np.testing.assert_allclose(exact, [trained[step] for step in times], rtol=0, atol=1e-11)


def test_real_gradient_descent_of_both_layers():
    images = image_set(200, seed=1)
    targets = one_hot(images)
    moments = mean_patch_moments(images, 3, targets)
    torch.manual_seed(1)
    conv, head = nn.Conv2d(3, 5, 3, bias=False).double(), nn.Linear(5, 3, bias=False).double()
    net = nn.Sequential(conv, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)
    filters, readout = weights(conv), weights(head)
    lr = 0.1 / moments.rates[0]
    pixels, centred = torch.from_numpy(as_seen(images)), torch.from_numpy(targets - targets.mean(axis=0))
    times = [300, 1, 40]
    trained = {}
    for step in range(max(times) + 1):
        if step in times:
            trained[step] = weights(conv), weights(head)
        net.zero_grad()
        (0.5 * (net(pixels) - centred).square().sum(dim=1).mean()).backward()
        descend(net, lr)
    exact_filters, exact_readouts = two_layer_descent(moments, filters, readout, lr, times)
    assert np.abs(exact_filters[0] - filters).max() > 0.01
    assert np.abs(exact_readouts[0] - readout).max() > 0.01
    np.testing.assert_allclose(exact_filters, [trained[step][0] for step in times], rtol=0, atol=1e-11)
    np.testing.assert_allclose(exact_readouts, [trained[step][1] for step in times], rtol=0, atol=1e-11)


def weights(layer: nn.Conv2d | nn.Linear) -> np.ndarray:
    return layer.weight.detach().flatten(1).numpy().copy()


def descend(net: nn.Module, lr: float) -> None:
    with torch.no_grad():
        for parameter in net.parameters():
            assert parameter.grad is not None
            parameter -= lr * parameter.grad


# Against the recursion, on random problems


def recursion(moments: MeanPatchMoments, filters: np.ndarray, readout: np.ndarray, lr: float, steps: int) -> np.ndarray:
    for _ in range(steps):
        filters = filters - lr * readout.T @ (readout @ filters @ moments.second - moments.cross)
    return filters


@st.composite
def problems(draw) -> tuple[MeanPatchMoments, np.ndarray, np.ndarray]:
    """Moments, filters and readout of any small shape and rank."""
    size, filters, outputs, rank = (draw(st.integers(1, 5)) for _ in range(4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    factor = rng.standard_normal((size, rank)) * np.geomspace(1, 10 ** draw(st.floats(-4, 0)), rank)
    second = factor @ factor.T
    moments = MeanPatchMoments(second, rng.standard_normal((outputs, size)), 10, 9)
    return moments, rng.standard_normal((filters, size)), rng.standard_normal((outputs, filters))


@settings(deadline=None)
@given(problems(), st.floats(0.01, 1.99), st.lists(st.integers(0, 200), min_size=1, max_size=3))
def test_closed_form_is_the_recursion(problem, fastest, steps):
    moments, initial, readout = problem
    lr = fastest / (np.linalg.norm(readout, 2) ** 2 * moments.rates[0])
    exact = frozen_readout_filters(moments, initial, readout, lr, steps)
    expected = np.array([recursion(moments, initial, readout, lr, count) for count in steps])
    np.testing.assert_allclose(exact, expected, rtol=0, atol=1e-9 * np.abs(expected).max())


@settings(deadline=None)
@given(problems(), st.floats(2.0, 4.0), st.integers(0, 40))
def test_closed_form_is_the_recursion_where_it_diverges(problem, fastest, steps):
    moments, initial, readout = problem
    lr = fastest / (np.linalg.norm(readout, 2) ** 2 * moments.rates[0])
    exact = frozen_readout_filters(moments, initial, readout, lr, steps)
    expected = recursion(moments, initial, readout, lr, steps)
    np.testing.assert_allclose(exact, expected, rtol=0, atol=1e-9 * np.abs(expected).max())


@settings(deadline=None)
@given(problems(), st.integers(1, 50))
def test_a_readout_that_hardly_moves_is_as_good_as_frozen(problem, steps):
    moments, initial, readout = problem
    tiny, huge = 1e-7, 1e7  # the filters' gradient is V^T R, the readout's R W^T: the larger V, the less it moves
    lr = 0.5 / (np.linalg.norm(readout, 2) ** 2 * moments.rates[0])
    filters, _ = two_layer_descent(moments, tiny * initial, huge * readout, tiny**2 * lr, steps)
    frozen = frozen_readout_filters(moments, tiny * initial, huge * readout, tiny**2 * lr, steps)
    np.testing.assert_allclose(filters, frozen, rtol=0, atol=1e-6 * np.abs(frozen).max())


# By hand


def test_every_regime_by_hand():
    # lr h = 0.5, 1, 1.5, 2.5 and 0; W_t = (1 - (1 - lr h)^t) / h * b from W_0 = 0.
    rates = np.array([1.0, 2.0, 3.0, 5.0, 0.0])
    moments = MeanPatchMoments(np.diag(rates), np.ones((1, 5)), 1, 1)
    exact = frozen_readout_filters(moments, np.zeros((1, 5)), [[1.0]], 0.5, [0, 1, 2, 3])[:, 0]
    np.testing.assert_array_equal(exact[0], 0)
    np.testing.assert_allclose(exact[1], [0.5] * 5, rtol=1e-15)
    np.testing.assert_allclose(exact[2], [0.75, 0.5, 0.75 / 3, -1.25 / 5, 1.0], rtol=1e-15)
    np.testing.assert_allclose(exact[3], [0.875, 0.5, 1.125 / 3, 4.375 / 5, 1.5], rtol=1e-15)


def test_small_and_long_as_50_digits_have_it():
    rates = np.array([1.0, 1e-3, 1e-9, 1e-15, 1e-300])
    times = [1, 1000, 10**9, 10**15]
    moments = MeanPatchMoments(np.diag(rates), np.ones((1, 5)), 1, 1)
    exact = frozen_readout_filters(moments, np.zeros((1, 5)), [[1.0]], 0.9, times)[:, 0]
    with mpmath.workdps(400):  # 1 - 1e-300 needs them
        lr = mpmath.mpf(0.9)
        expected = [[float((1 - (1 - lr * mpmath.mpf(h)) ** t) / mpmath.mpf(h)) for h in rates.tolist()] for t in times]
    np.testing.assert_allclose(exact, expected, rtol=1e-14)


def test_on_a_diagonal_a_with_ideal_labels_it_is_eq_3():
    variance = np.geomspace(4, 0.01, 6)
    moments = MeanPatchMoments(np.diag(variance) / 9, np.sqrt(variance)[None], 1, 9)
    times = [1, 10, 1000]
    exact = frozen_readout_filters(moments, np.zeros((1, 6)), [[1.0]], 3.5, times)[:, 0]  # lr lambda^2 / J = 1.56
    np.testing.assert_allclose(exact, 9 * linear_cnn_profile(variance, lr=3.5 / 9, steps=times), rtol=1e-12)


def test_shape_follows_the_steps():
    moments = mean_patch_moments(image_set(30), 2, np.arange(30.0))
    initial, readout = np.zeros((2, 12)), np.ones((1, 2))
    assert frozen_readout_filters(moments, initial, readout, 0.01, 3).shape == (2, 12)
    assert frozen_readout_filters(moments, initial, readout, 0.01, [[1, 2, 3], [4, 5, 6]]).shape == (2, 3, 2, 12)
    filters, readouts = two_layer_descent(moments, initial, readout, 0.01, [[1, 0]])
    assert (filters.shape, readouts.shape) == ((1, 2, 2, 12), (1, 2, 1, 2))
    np.testing.assert_array_equal(filters[0, 1], initial)


def test_a_diverging_mode_that_nothing_pulls_on_does_no_harm():
    moments = MeanPatchMoments(np.diag([10.0, 1.0]), np.array([[0.0, 1.0]]), 1, 1)
    exact = frozen_readout_filters(moments, [[0.0, 0.0]], [[1.0]], 0.5, 10_000)
    np.testing.assert_allclose(exact, [[0.0, 1.0]])


# Refusals


def test_divergence_beyond_floats_is_refused_without_a_warning():
    moments = MeanPatchMoments(np.diag([5.0, 1.0]), np.ones((1, 2)), 1, 1)
    for train in (frozen_readout_filters, two_layer_descent):
        with pytest.raises(InputError, match=r"within 10000 steps are too large for a float: lower lr"):
            train(moments, [[0.1, 0.1]], [[1.0]], 1.0, 10_000)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"initial": np.zeros((2, 4))}, r"initial has shape \(2, 4\); expected a matrix of shape \(any, 3\)"),
        ({"initial": [[1.0, np.nan, 0.0]] * 2}, r"initial holds NaN"),
        ({"initial": "filters"}, r"initial is 'filters'; expected a matrix"),
        ({"readout": np.ones((2, 2))}, r"readout has shape \(2, 2\); expected a matrix of shape \(1, 2\)"),
        ({"lr": 0.0}, r"lr is 0.0; expected a positive number"),
        ({"lr": float("nan")}, r"lr is nan; expected a positive number"),
        ({"steps": [1, -1]}, r"steps is \[1, -1\]; expected whole numbers, 0 or more"),
        ({"steps": 1.5}, r"steps is 1.5; expected whole numbers"),
        ({"steps": float("inf")}, r"steps is inf; expected whole numbers"),
        ({"steps": "many"}, r"steps is 'many'; expected whole numbers"),
    ],
)
@pytest.mark.parametrize("train", [frozen_readout_filters, two_layer_descent])
def test_arguments_that_do_not_fit(train, change, message):
    moments = MeanPatchMoments(np.eye(3), np.ones((1, 3)), 1, 1)
    arguments = {"initial": np.zeros((2, 3)), "readout": np.ones((1, 2)), "lr": 0.1, "steps": 1, **change}
    with pytest.raises(InputError, match=message):
        train(moments, **arguments)


@pytest.mark.parametrize(
    ("second", "cross", "message"),
    [
        (np.eye(3)[:2], np.ones((1, 2)), r"second has shape \(2, 3\)"),
        (np.float64(3), np.ones((1, 2)), r"second has shape \(\)"),
        (np.eye(3), np.ones((1, 2)), r"cross has shape \(1, 2\); expected a matrix of shape \(any, 3\)"),
        (np.triu(np.ones((2, 2))), np.ones((1, 2)), r"second is not symmetric"),
        (np.full((2, 2), np.inf), np.ones((1, 2)), r"second holds NaN or infinity"),
    ],
)
def test_moments_that_do_not_fit(second, cross, message):
    with pytest.raises(InputError, match=message):
        MeanPatchMoments(second, cross, 1, 1)


def test_images_and_targets_that_do_not_fit():
    images = image_set(10)
    with pytest.raises(InputError, match=r"targets have shape \(9, 1\); expected \(10, m\): one row an image"):
        mean_patch_moments(images, 3, np.zeros(9))
    with pytest.raises(InputError, match="targets of type float64 hold what is not a finite number"):
        mean_patch_moments(images, 3, np.full(10, np.nan))
    with pytest.raises(InputError, match="targets of type <U1 hold what is not a finite number"):
        mean_patch_moments(images, 3, ["a"] * 10)
    with pytest.raises(InputError, match="at least the kernel size, 9 x 9"):
        mean_patch_moments(images, 9, np.zeros(10))
    spoiled = images.images.astype(np.float32)
    spoiled[7, 0, 0, 0] = np.nan
    with pytest.raises(InputError, match="NaN or infinity"):
        mean_patch_moments(replace(images, images=spoiled), 3, np.zeros(10))


def test_moments_cannot_be_changed():
    moments = MeanPatchMoments(np.eye(3), np.ones((1, 3)), 1, 1)
    with pytest.raises(ValueError, match="read-only"):
        moments.second[0, 0] = 2
