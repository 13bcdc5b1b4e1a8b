"""Optimisers and learning rates of a spec, against the updates written down by hand."""

from typing import Any

import numpy as np
import pytest
import torch
from tests.training.sets import make_spec
from torch import nn

from firstlight.training.optimisation import build_optimizer, restore_state, state_of

LR, DECAY = 0.1, 0.3
GRADIENTS = np.array([[1.0, -2.0, 0.5], [0.3, 0.1, -1.0], [-0.7, 2.0, 0.2]], dtype=np.float32)


class Weights(nn.Module):
    """Three numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0, 2.0, -3.0]))


def stepped(model: Weights, optimizer: torch.optim.Optimizer, gradients: np.ndarray) -> np.ndarray:
    for gradient in gradients:
        model.weight.grad = torch.tensor(gradient)
        optimizer.step()
    return model.weight.detach().numpy().copy()


def by_hand(momentum: float = 0.0, decay: float = 0.0, adam: bool = False) -> np.ndarray:
    weight = np.array([1.0, 2.0, -3.0])
    first, second = np.zeros(3), np.zeros(3)
    for step, gradient in enumerate(GRADIENTS.astype(np.float64), 1):
        if adam:
            weight = weight * (1 - LR * decay)
            first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
            mean, square = first / (1 - 0.9**step), second / (1 - 0.999**step)
            weight = weight - LR * mean / (np.sqrt(square) + 1e-8)
        else:
            first = momentum * first + gradient + decay * weight
            weight = weight - LR * first
    return weight


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, by_hand()),
        ({"momentum": 0.9}, by_hand(momentum=0.9)),
        ({"weight_decay": DECAY}, by_hand(decay=DECAY)),
        ({"momentum": 0.9, "weight_decay": DECAY}, by_hand(momentum=0.9, decay=DECAY)),
        ({"optimizer": "adam"}, by_hand(adam=True)),
        ({"optimizer": "adam", "weight_decay": DECAY}, by_hand(decay=DECAY, adam=True)),
    ],
)
def test_updates_are_those_of_the_textbook(changes: dict[str, Any], expected):
    model = Weights()
    found = stepped(model, build_optimizer(make_spec(lr=LR, **changes), model), GRADIENTS)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        ({}, set()),
        ({"momentum": 0.9}, {"momentum_buffer"}),
        ({"optimizer": "adam"}, {"exp_avg", "exp_avg_sq", "step"}),
    ],
)
def test_an_optimiser_goes_on_from_its_state(changes: dict[str, Any], kinds):
    spec = make_spec(lr=LR, **changes)
    whole, broken, resumed = Weights(), Weights(), Weights()
    expected = stepped(whole, build_optimizer(spec, whole), GRADIENTS)
    optimizer = build_optimizer(spec, broken)
    stepped(broken, optimizer, GRADIENTS[:2])
    state = state_of(optimizer, broken)
    assert set(state) == {f"weight:{kind}" for kind in kinds}
    before = {key: array.copy() for key, array in state.items()}
    resumed.load_state_dict(broken.state_dict())
    other = build_optimizer(spec, resumed)
    restore_state(other, resumed, state)
    assert np.array_equal(stepped(resumed, other, GRADIENTS[2:]), expected)
    assert all(np.array_equal(state[key], array) for key, array in before.items())


def test_a_state_comes_back_in_the_layout_that_torch_gave_it():
    spec, model = make_spec(momentum=0.9), nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    optimizer, other = (build_optimizer(spec, model) for _ in range(2))
    model(torch.ones(1, 3, 5, 5)).sum().backward()
    optimizer.step()
    restore_state(other, model, {key: np.ascontiguousarray(array) for key, array in state_of(optimizer, model).items()})
    for parameter in model.parameters():
        before, after = (one.state[parameter]["momentum_buffer"] for one in (optimizer, other))
        assert torch.equal(before, after)
        assert before.stride() == after.stride() == parameter.stride()
