"""Measures of banks with known answers: rank, dead, and equal filters."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from firstlight.inspection.measures import (
    effective_rank,
    filter_faults,
)
from firstlight.patches.shipped import shipped_moments

BASIS = shipped_moments(3).basis((0.4914, 0.4822, 0.4465), (0.2471, 0.2435, 0.2616))
seeds = st.integers(0, 2**32 - 1)


def bank(*rows: np.ndarray) -> np.ndarray:
    return np.stack(rows).reshape(len(rows), 3, 3, 3)


def test_dead_filters_are_named():
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(10, 3, 3, 3))
    weight[[2, 7]] *= 1e-3
    weight[5] = 0
    assert filter_faults(weight).dead == (2, 5, 7)


def test_a_bank_of_zeros_is_dead_altogether():
    faults = filter_faults(np.zeros((4, 3, 3, 3)))
    assert faults.dead == (0, 1, 2, 3)
    assert faults.duplicates == ()


def test_duplicates_are_grouped_whatever_their_scale_but_not_their_negatives():
    rng = np.random.default_rng(1)
    weight = rng.normal(size=(8, 3, 3, 3))
    weight[4], weight[6], weight[7] = 3 * weight[1], weight[1] + 1e-3 * weight[0], -weight[2]
    assert filter_faults(weight).duplicates == ((1, 4, 6),)


def test_duplicates_are_found_across_blocks():
    rng = np.random.default_rng(2)
    weight = rng.normal(size=(2500, 3, 3, 3))
    weight[2300] = weight[10]
    weight[2400] = weight[1500]
    assert filter_faults(weight).duplicates == ((10, 2300), (1500, 2400))


@pytest.mark.parametrize("dead", [1, 8, 11])
def test_dead_filters_are_found_however_many_they_are(dead: int):
    weight = np.random.default_rng(dead).normal(size=(16, 3, 3, 3))
    weight[:dead] *= 0.015
    assert filter_faults(weight).dead == tuple(range(dead))


def test_faint_filters_and_unequal_ones_are_not_dead():
    weight = np.random.default_rng(0).normal(size=(16, 3, 3, 3))
    weight[3] *= 0.07
    weight[5] *= 8
    assert filter_faults(weight).dead == ()


@settings(max_examples=50)
@given(seeds, st.sampled_from([1e-200, 1e-30, 1e30, 1e200]))
def test_measures_do_not_depend_on_the_scale(seed: int, scale: float):
    weight = np.random.default_rng(seed).normal(size=(12, 3, 3, 3))
    weight[3] = 0
    assert filter_faults(weight) == filter_faults(scale * weight)
    assert effective_rank(scale * weight) == pytest.approx(effective_rank(weight), rel=1e-12)


@settings(max_examples=50)
@given(st.integers(1, 27))
def test_effective_rank_of_orthonormal_filters_is_their_number(count: int):
    assert effective_rank(BASIS.images[:count]) == pytest.approx(count)


def test_effective_rank_at_its_ends():
    assert effective_rank(np.zeros((3, 1, 2, 2))) == 0
    assert effective_rank(np.ones((5, 3, 3, 3))) == pytest.approx(1)
