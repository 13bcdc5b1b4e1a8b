"""Measures of banks with known answers: rank, dead, equal and noisy filters."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from firstlight.inspection.measures import (
    effective_rank,
    filter_faults,
    participation,
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
    assert filter_faults(weight, BASIS).dead == (2, 5, 7)


def test_a_bank_of_zeros_is_dead_altogether():
    faults = filter_faults(np.zeros((4, 3, 3, 3)), BASIS)
    assert faults.dead == (0, 1, 2, 3)
    assert faults.duplicates == faults.noise == ()


def test_duplicates_are_grouped_whatever_their_scale_but_not_their_negatives():
    rng = np.random.default_rng(1)
    weight = rng.normal(size=(8, 3, 3, 3))
    weight[4], weight[6], weight[7] = 3 * weight[1], weight[1] + 1e-3 * weight[0], -weight[2]
    assert filter_faults(weight, BASIS).duplicates == ((1, 4, 6),)


def test_duplicates_are_found_across_blocks():
    rng = np.random.default_rng(2)
    weight = rng.normal(size=(2500, 3, 3, 3))
    weight[2300] = weight[10]
    weight[2400] = weight[1500]
    assert filter_faults(weight, BASIS).duplicates == ((10, 2300), (1500, 2400))


def test_random_filters_are_noise_and_components_are_not():
    rng = np.random.default_rng(3)
    random = filter_faults(rng.normal(size=(1000, 3, 3, 3)), BASIS)
    assert 920 <= len(random.noise) <= 980  # the threshold is the 5th percentile of random directions
    assert filter_faults(BASIS.images, BASIS).noise == ()
    mixed = bank(BASIS.components[0] + BASIS.components[3], rng.normal(size=27), BASIS.components[20])
    assert set(filter_faults(mixed, BASIS).noise) <= {1}


def test_a_kernel_of_few_components_has_no_noise():
    basis = shipped_moments(1).basis()
    assert filter_faults(np.random.default_rng(0).normal(size=(64, 3, 1, 1)), basis).noise == ()


@settings(max_examples=50)
@given(seeds, st.sampled_from([1e-200, 1e-30, 1e30, 1e200]))
def test_measures_do_not_depend_on_the_scale(seed: int, scale: float):
    weight = np.random.default_rng(seed).normal(size=(12, 3, 3, 3))
    weight[3] = 0
    assert filter_faults(weight, BASIS) == filter_faults(scale * weight, BASIS)
    assert effective_rank(scale * weight) == pytest.approx(effective_rank(weight), rel=1e-12)


@settings(max_examples=50)
@given(st.integers(1, 27))
def test_effective_rank_of_orthonormal_filters_is_their_number(count: int):
    assert effective_rank(BASIS.images[:count]) == pytest.approx(count)


def test_effective_rank_at_its_ends():
    assert effective_rank(np.zeros((3, 1, 2, 2))) == 0
    assert effective_rank(np.ones((5, 3, 3, 3))) == pytest.approx(1)


def test_participation():
    np.testing.assert_allclose(participation(np.array([[1.0, 0, 0], [2, 2, 2], [0, 0, 0]])), [1, 3, 0])
