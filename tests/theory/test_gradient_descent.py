"""Real gradient descent against the closed form.

A depth-2 linear CNN, yhat = sum over K filters of the global average of their responses, is trained by autograd on
images that satisfy the assumptions of eq. 3 to rounding. With pbar an image's mean patch, S = sum_k w_k,
A = E[pbar pbar^T] and b = E[pbar y], the loss 1/2 E (yhat - y)^2 has yhat = pbar . S, and so the same gradient
A S - b for every filter: S' = S - lr K (A S - b). Hence, for filters that sum to zero at the start,

    u_i . (w_k(t) - w_k(0)) = s_i c lambda_i (1 - (1 - lr a_i)^t) / a_i,   a_i = K lambda_i^2 / J

if A is lambda_i^2 / J in the basis of the patches (J uncorrelated patches an image) and b = sum_i s_i c lambda_i u_i
with any signs s_i. In firstlight's words: linear_cnn_profile(lambda^2, lr=lr K / J, steps=t).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from firstlight import PatchBasis, PatchMoments, energy_profile, fit_formula, linear_cnn_profile, load_filters
from firstlight.profile import correlation

KERNEL, CHANNELS, SIZE = 2, 2, 8
# Variances from 1 down to 0.01: distinct, so that the components are unique.
VARIANCE = np.geomspace(1.0, 0.01, SIZE)
SCALE = 0.7  # c


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """The network is tiny: more threads would only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@dataclass
class Data:
    images: np.ndarray
    labels: np.ndarray
    components: np.ndarray
    per_image: int


def ideal_data(grid: int, seed: int) -> Data:
    """Images of grid x grid patches, uncorrelated within an image, and labels uncorrelated with their energy."""
    rng = np.random.default_rng(seed)
    per_image = grid**2
    count = 2 * per_image * SIZE  # more images than numbers in one
    components = np.linalg.qr(rng.normal(size=(SIZE, SIZE)))[0]
    # Columns of equal length, orthogonal to one another: every coefficient of every patch of an image is
    # uncorrelated with every other, in this very sample.
    white = np.linalg.qr(rng.normal(size=(count, per_image * SIZE)))[0] * np.sqrt(count)
    coefficients = white.reshape(count, per_image, SIZE) * np.sqrt(VARIANCE)
    patches = coefficients @ components
    squares = patches.reshape(count, grid, grid, CHANNELS, KERNEL, KERNEL)
    images = squares.transpose(0, 3, 1, 4, 2, 5).reshape(count, CHANNELS, grid * KERNEL, grid * KERNEL)
    # Labels with E[pbar y] = sum_i s_i c lambda_i u_i exactly, and noise that no mean patch explains.
    means = patches.mean(axis=1)
    target = (rng.choice([-1, 1], SIZE) * SCALE * np.sqrt(VARIANCE)) @ components
    labels = means @ np.linalg.solve(means.T @ means / count, target)
    noise = rng.normal(size=count)
    labels += noise - means @ np.linalg.lstsq(means, noise, rcond=None)[0]
    return Data(images, labels, components, per_image)


class LinearCNN(nn.Module):
    def __init__(self, filters: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(CHANNELS, filters, KERNEL, stride=KERNEL, bias=False, dtype=torch.float64)
        with torch.no_grad():  # so that yhat is 0 at the start
            self.conv.weight -= self.conv.weight.mean(dim=0)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.conv(images).mean(dim=(2, 3)).sum(dim=1)


def descend(net: LinearCNN, data: Data, lr: float, times: list[int]) -> dict[int, np.ndarray]:
    """Train by full-batch gradient descent; the filters at each of the times."""
    images, labels = torch.from_numpy(data.images), torch.from_numpy(data.labels)
    optimizer = torch.optim.SGD(net.parameters(), lr=lr)
    filters = {}
    for step in range(max(times) + 1):
        if step in times:
            filters[step] = load_filters(net).weight
        optimizer.zero_grad()
        loss = 0.5 * torch.mean((net(images) - labels) ** 2)
        loss.backward()
        optimizer.step()
    return filters


def test_the_data_satisfy_the_assumptions():
    data = ideal_data(grid=3, seed=0)
    patches = data.images.reshape(-1, CHANNELS, 3, KERNEL, 3, KERNEL).transpose(0, 2, 4, 1, 3, 5).reshape(-1, 9, SIZE)
    coefficients = patches @ data.components.T
    for i in range(9):
        for j in range(9):
            product = coefficients[:, i].T @ coefficients[:, j] / len(patches)
            np.testing.assert_allclose(product, np.diag(VARIANCE) if i == j else 0, atol=1e-14)
    with_labels = np.mean(coefficients.mean(axis=1) * data.labels[:, None], axis=0)
    np.testing.assert_allclose(np.abs(with_labels), SCALE * np.sqrt(VARIANCE), rtol=1e-12)


def basis_of(data: Data) -> PatchBasis:
    basis = PatchMoments(KERNEL, CHANNELS, stride=KERNEL).update(data.images).basis()
    np.testing.assert_allclose(basis.variance, VARIANCE, rtol=1e-11)
    np.testing.assert_allclose(np.abs(np.sum(basis.components * data.components, axis=1)), 1, atol=1e-11)
    return basis


@pytest.mark.parametrize(
    ("grid", "filters", "fastest"),
    [
        pytest.param(1, 1, 0.9, id="one patch, one filter"),
        pytest.param(1, 5, 0.5, id="one patch, five filters"),
        pytest.param(2, 3, 0.5, id="four patches, three filters"),
        pytest.param(3, 4, 1.7, id="nine patches, oscillating"),
    ],
)
def test_gradient_descent_follows_the_closed_form(grid: int, filters: int, fastest: float):
    """`fastest` is lr times the largest eigenvalue of the whole network, K / J lambda_1^2."""
    data = ideal_data(grid, seed=grid + 10 * filters)
    basis = basis_of(data)
    torch.manual_seed(filters)
    net = LinearCNN(filters)
    lr = fastest * data.per_image / filters / VARIANCE[0]
    times = [1, 2, 7, 40, 150, 600]
    trained = descend(net, data, lr, [0, *times])

    rates = filters / data.per_image * VARIANCE  # a_i
    for t in times:
        change = trained[t] - trained[0]
        np.testing.assert_allclose(change, np.broadcast_to(change[:1], change.shape), rtol=0, atol=1e-12)
        measured = np.abs(change.mean(axis=0).reshape(-1) @ data.components.T)
        expected = SCALE * np.abs(1 - (1 - lr * rates) ** t) / rates * np.sqrt(VARIANCE)
        np.testing.assert_allclose(measured, expected, rtol=1e-9)

        profile = energy_profile(trained[t], basis, initial=trained[0])
        np.testing.assert_allclose(profile.energy, expected, rtol=1e-9)
        prediction = linear_cnn_profile(basis.variance, lr=lr * filters / data.per_image, steps=t)
        np.testing.assert_allclose(profile.energy, SCALE * data.per_image / filters * prediction, rtol=1e-9)
        assert correlation(profile.energy, prediction) > 1 - 1e-12


def test_the_fit_finds_the_training_time_of_small_steps():
    data = ideal_data(grid=2, seed=7)
    basis = basis_of(data)
    torch.manual_seed(0)
    lr, steps = 0.005, 500
    trained = descend(LinearCNN(3), data, lr, [0, steps])
    fit = fit_formula(energy_profile(trained[steps], basis, initial=trained[0]), basis)
    assert fit.correlation > 1 - 1e-6
    assert fit.tau == pytest.approx(lr * steps * 3 / data.per_image, rel=5e-3)  # first order in lr


def test_trained_to_the_end_the_filters_whiten():
    data = ideal_data(grid=2, seed=8)
    basis = basis_of(data)
    torch.manual_seed(0)
    lr = 1.0 * data.per_image / 3 / VARIANCE[0]
    trained = descend(LinearCNN(3), data, lr, [0, 1000])
    profile = energy_profile(trained[1000], basis, initial=trained[0])
    whitening = linear_cnn_profile(basis.variance, tau=float("inf"))
    assert profile.correlation(whitening) > 0.999
