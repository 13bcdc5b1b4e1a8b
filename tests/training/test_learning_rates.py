"""Learning rates of a spec, and the time of gradient flow that they add up to."""

import itertools
import math

import pytest
import torch
from tests.training.sets import make_spec
from torch import nn

from firstlight.training import flow_time
from firstlight.training.learning_rates import learning_rate
from firstlight.training.optimisation import build_optimizer


def test_the_learning_rate_is_constant_or_falls_as_half_a_cosine():
    constant, cosine = make_spec(steps=100, lr=0.3), make_spec(steps=100, lr=0.3, schedule="cosine")
    assert {learning_rate(constant, step) for step in range(100)} == {0.3}
    rates = [learning_rate(cosine, step) for step in range(101)]
    assert rates[0] == 0.3
    assert rates[25] == pytest.approx(0.3 * (1 + math.sqrt(0.5)) / 2)
    assert rates[50] == pytest.approx(0.15)
    assert rates[100] == 0
    assert all(before > after for before, after in itertools.pairwise(rates))


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_the_time_is_the_sum_of_the_rates_by_what_momentum_makes_of_a_gradient(schedule, momentum):
    spec = make_spec(steps=2000, lr=0.3, schedule=schedule, momentum=momentum)
    kept = sum(momentum**updates for updates in range(1000))
    for steps in (0, 1, 7, 2000):
        brute = sum(learning_rate(spec, step) * kept for step in range(steps))
        assert flow_time(spec, steps) == pytest.approx(brute)


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_training_of_small_steps_is_where_gradient_flow_is_at_that_time(schedule, momentum):
    spec = make_spec(steps=1000, lr=1e-3 * (1 - momentum), schedule=schedule, momentum=momentum)
    layer, curvature = nn.Linear(3, 1, bias=False), torch.tensor([0.1, 1.0, 2.0])
    nn.init.ones_(layer.weight)
    optimizer = build_optimizer(spec, layer)
    for step in range(spec.steps):
        optimizer.param_groups[0]["lr"] = learning_rate(spec, step)
        layer.weight.grad = curvature * layer.weight.detach()
        optimizer.step()
    time = flow_time(spec, spec.steps)
    assert time is not None
    torch.testing.assert_close(layer.weight.detach()[0], torch.exp(-curvature * time), rtol=0.03, atol=0)


def test_of_plain_descent_it_is_lr_times_steps_to_the_bit():
    spec = make_spec(steps=20_000, lr=0.01)
    assert all(flow_time(spec, steps) == steps * 0.01 for steps in (1, 3, 10, 5850, 19_500))


def test_adam_has_none():
    assert flow_time(make_spec(optimizer="adam"), 10) is None
