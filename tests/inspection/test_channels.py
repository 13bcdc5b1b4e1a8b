import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays

from firstlight.errors import InputError, NonFiniteWeights
from firstlight.filters import FilterBank
from firstlight.inspection.channels import channel_order
from firstlight.training.run import Run

RUNS = sorted(path.parent for path in (Path(__file__).parents[2] / "results" / "runs").glob("*/run.json"))

shapes = st.tuples(st.integers(1, 12), st.just(3), st.integers(1, 5), st.integers(1, 5))
banks = shapes.flatmap(lambda shape: arrays(np.float64, shape, elements=st.floats(-1e3, 1e3, width=32)))


def poor_in(channel: int, factor: float, seed: int = 0) -> np.ndarray:
    """Random filters that see less detail in one channel."""
    scale = np.ones((3, 1, 1))
    scale[channel] = factor
    return np.random.default_rng(seed).normal(size=(64, 3, 3, 3)) * scale


def test_the_channel_that_is_poor_in_detail_is_blue():
    assert channel_order(poor_in(2, 0.7)).verdict == "rgb"
    assert channel_order(poor_in(0, 0.7)).verdict == "bgr"
    assert channel_order(poor_in(1, 0.7)).verdict == "undecided"  # green tells nothing
    order = channel_order(FilterBank(poor_in(0, 0.7)))
    assert order.statistic == pytest.approx((0.7 - 1) / (0.7 + 1), abs=0.05)


def test_a_faint_difference_stays_undecided():
    order = channel_order(poor_in(2, 0.9))
    assert order.verdict == "undecided"
    assert 0 < order.statistic < order.threshold == 0.09


@settings(max_examples=200, deadline=None)
@given(banks)
def test_swapping_the_channels_flips_the_sign(weight: np.ndarray):
    order, swapped = channel_order(weight), channel_order(weight[:, ::-1])
    assert swapped.statistic == pytest.approx(-order.statistic, abs=1e-12)
    assert swapped.threshold == pytest.approx(order.threshold, rel=1e-12)
    assert -1 <= order.statistic <= 1
    assert order.threshold >= 0.09


@pytest.mark.parametrize("scale", [1e-200, 1e-30, -3.0, 1e150])
def test_neither_scale_nor_sign_nor_order_nor_flat_colour_matters(scale: float):
    weight = poor_in(0, 0.7)
    expected = channel_order(weight)
    flat = np.random.default_rng(1).normal(size=(64, 3, 1, 1))
    for same in (weight * scale, weight[::-1], weight[..., ::-1], weight.swapaxes(2, 3), weight + flat):
        order = channel_order(same)
        assert order.verdict == expected.verdict
        assert order.statistic == pytest.approx(expected.statistic, abs=1e-12)
        assert order.threshold == pytest.approx(expected.threshold, rel=1e-12)


@pytest.mark.parametrize(("filters", "size"), [(8, 3), (16, 3), (32, 3), (16, 5), (64, 7)])
@pytest.mark.parametrize("kind", ["normal", "uniform"])
def test_random_filters_get_a_verdict_in_one_of_a_hundred_at_most(filters: int, size: int, kind: str):
    random = np.random.default_rng([filters, size])
    draw = random.standard_normal if kind == "normal" else lambda shape: random.uniform(-1, 1, shape)
    verdicts = [channel_order(draw((filters, 3, size, size))).verdict for _ in range(1000)]
    given = 1000 - verdicts.count("undecided")
    assert given <= 20  # 10 expected at most, standard deviation 3.2


def test_dead_filters_do_not_count():
    weight = poor_in(0, 0.7)
    dead = np.concatenate([weight[:8], np.zeros((56, 3, 3, 3))])
    assert channel_order(dead).threshold == pytest.approx(channel_order(weight[:8]).threshold)
    assert channel_order(dead).threshold > channel_order(weight).threshold


@pytest.mark.parametrize(
    "weight",
    [
        np.zeros((4, 3, 3, 3)),
        np.ones((4, 3, 3, 3)),
        np.random.default_rng(0).normal(size=(32, 3, 1, 1)),  # one tap: no detail
        np.repeat(np.random.default_rng(0).normal(size=(32, 1, 3, 3)), 3, axis=1),  # as of grey pictures
        poor_in(2, 0.5)[:1],  # one filter only
    ],
)
def test_filters_that_tell_nothing_are_undecided(weight: np.ndarray):
    order = channel_order(weight)
    assert order.verdict == "undecided"
    json.dumps(order.to_dict(), allow_nan=False)


def test_the_recorded_networks_are_undecided_at_every_step():
    runs = [Run.load(path) for path in RUNS]
    banks = [filters for run in runs if run.spec.channels == 3 for filters in run.filters]
    assert len(RUNS) >= 54
    for filters in banks[::3]:  # every third moment of every run
        for weight in (filters, filters[:, ::-1]):
            assert channel_order(weight).verdict == "undecided"


def test_what_training_adds_to_the_recorded_networks_takes_more_detail_from_red():
    """The sign of the change of the filters, but where the labels are made from one component of the patches."""
    runs = [run for run in map(Run.load, RUNS) if not run.spec.labels.startswith("energy")]
    changes = [
        run.final - run.initial for run in runs if run.spec.data == "cifar10" and np.any(run.final != run.initial)
    ]
    orders = [channel_order(change) for change in changes]
    assert len(orders) >= 48
    assert np.mean([order.statistic > 0 for order in orders]) > 0.75
    assert "bgr" not in {order.verdict for order in orders}


@pytest.mark.parametrize("channels", [1, 2, 4, 12])
def test_other_than_three_channels_are_refused(channels: int):
    with pytest.raises(InputError, match=rf"see {channels} channels?; expected 3"):
        channel_order(np.ones((4, channels, 3, 3)))


def test_a_grouped_layer_and_bad_numbers_are_refused():
    with pytest.raises(InputError, match="3 channels in 2 groups; expected 3"):
        channel_order(FilterBank(np.ones((4, 3, 3, 3)), groups=2))
    with pytest.raises(NonFiniteWeights):
        channel_order(np.full((4, 3, 3, 3), np.nan))
    with pytest.raises(InputError):
        channel_order(np.ones((3, 3)))
