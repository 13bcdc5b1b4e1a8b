"""Composition on two networks that others trained: what it gave where it was found, and what gradient flow gives."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import firstlight as fl
from firstlight.profile import correlation
from firstlight.theory.fit import log_r2
from firstlight.theory.trajectory import composition_of

CHECKPOINTS = Path(__file__).parents[3] / "shared" / "data" / "checkpoints"
# That the networks were trained with.
USED: Any = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
CIFAR = fl.patch_statistics("cifar10")

pytestmark = pytest.mark.skipif(not CHECKPOINTS.is_dir(), reason="the checkpoints are not there")


def bank(name: str) -> fl.FilterBank:
    return fl.load_filters(next(CHECKPOINTS.glob(f"{name}-*.th")))


def initial(shapes: list[tuple[int, ...]]) -> np.ndarray:
    """Weights (filters, below, taps) as PyTorch draws them, seeds 0 to 2, laid out as the stack has them."""
    stacks = []
    for seed in range(3):
        torch.manual_seed(seed)
        drawn = [0.3 / np.sqrt(np.prod(shape[1:])) * torch.randn(shape).numpy() for shape in shapes]
        stacks.append(np.concatenate([one.transpose(1, 2, 0).ravel() for one in drawn]))
    return np.array(stacks, dtype=np.float64)


def test_steps_of_gradient_descent_give_the_figures_that_it_was_found_with():
    """Steps of 0.015 are above 2 over the curvature from about t = 5 on: gradient descent at the edge of stability."""
    stack = composition_of(CIFAR, 3, (3, 3, 1, 1), **USED)
    weights, step = initial([(32, 27, 1), (32, 32, 9), (32, 32, 1), (27, 32, 1)]), 0.015
    times, firsts = np.geomspace(0.3, 40, 30), []
    for number in range(round(40 / step) + 1):
        while len(firsts) < len(times) and number * step >= times[len(firsts)] - 1e-9:
            firsts.append(stack.layers(weights)[0].copy())
        weights = weights + step * stack.flow(weights)
    for name, r, r2 in (("resnet20", 0.899, 0.69), ("resnet32", 0.875, 0.77)):
        basis = CIFAR.basis(bank(name), **USED)
        energy = fl.energy_profile(bank(name), basis).energy
        shapes = [np.sqrt(np.mean(np.sum((basis.components @ first) ** 2, axis=2), axis=0)) for first in firsts]
        best = max(shapes, key=lambda shape: correlation(energy, shape))
        assert correlation(energy, best) == pytest.approx(r, abs=0.01)
        assert log_r2(energy, best) == pytest.approx(r2, abs=0.01)


@pytest.mark.parametrize(
    ("name", "eq3", "composition"),
    [("resnet20", (0.672, 0.35), (0.901, 0.72)), ("resnet32", (0.761, 0.58), (0.831, 0.71))],
)
def test_gradient_flow_is_near_them(name: str, eq3: tuple[float, float], composition: tuple[float, float]):
    fit = fl.fit_theory(bank(name), CIFAR, **USED)
    for one, expected in ((fit.eq3, eq3), (fit.composition, composition)):
        assert one is not None
        assert (one.correlation, one.log_r2) == pytest.approx(expected, abs=0.01)
        assert one.correlation > one.null
