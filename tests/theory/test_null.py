"""The null distribution: drawn energies against real random banks, and what a p-value may be."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from firstlight.errors import InputError
from firstlight.patches.shipped import shipped_moments
from firstlight.profile import energy_profile
from firstlight.theory import fit_formula
from firstlight.theory.null import (
    agreement,
    fit_correlations,
    gaussian_profiles,
    gaussians,
    orthonormal_bases,
    percentile,
    profiles_of_norms,
    random_banks,
    spread,
)

BASIS = shipped_moments(3).basis((0.4914, 0.4822, 0.4465), (0.2471, 0.2435, 0.2616))


def test_drawn_banks_are_distributed_as_real_random_filters_fitted_one_by_one():
    filters, draws = 16, 300
    rng = np.random.default_rng(5)
    fits, spreads = [], []
    for _ in range(draws):
        profile = energy_profile(rng.normal(size=(filters, 3, 3, 3)), BASIS)
        fits.append(fit_formula(profile, BASIS).correlation)
        spreads.append(spread(profile.energy))
    null = random_banks(BASIS.variance, filters)
    assert null.correlations.mean() == pytest.approx(np.mean(fits), abs=4 * np.std(fits) / np.sqrt(draws))
    assert null.spreads.mean() == pytest.approx(np.mean(spreads), abs=4 * np.std(spreads) / np.sqrt(draws))
    # Five hundredths of a thousand banks lie beyond the 95th percentile: of 300 others, 15 +- 4 do.
    assert 2 <= np.sum(np.array(fits) > percentile(null.correlations)) <= 30
    assert 2 <= np.sum(np.array(spreads) > percentile(null.spreads)) <= 30


def test_banks_are_the_same_drawn_at_once_or_one_by_one():
    rng = np.random.default_rng(3)
    one_by_one = [rng.standard_normal((4, 3, 3, 3)) for _ in range(5)]
    np.testing.assert_array_equal(gaussians(5, 4, 3, 3, 3, seed=3), one_by_one)


def test_profiles_drawn_without_filters_are_distributed_as_those_of_filters():
    drawn = gaussian_profiles(8, (4000,), np.random.default_rng(1))
    filtered = np.sqrt(np.mean(gaussians(4000, 8) ** 2, axis=1))
    quantiles = [0.1, 0.5, 0.9]
    np.testing.assert_allclose(np.quantile(drawn, quantiles), np.quantile(filtered, quantiles), atol=0.03)


@pytest.mark.parametrize("norms", [np.ones(40), np.r_[9.0, 3, np.full(60, 0.5)], np.geomspace(1, 1e-3, 30), [1.0, 0.0]])
def test_profiles_of_given_norms_are_distributed_as_those_of_such_filters(norms):
    """Some filters are drawn and others only as a sum: of both kinds against all filters, drawn one by one."""
    norms, size, draws = np.asarray(norms), 12, 3000
    filters = gaussians(draws, len(norms), size)
    filters *= norms[:, None] / np.linalg.norm(filters, axis=2, keepdims=True)
    filtered = np.sqrt(np.mean(filters**2, axis=1))
    drawn = profiles_of_norms(norms, size, draws, np.random.default_rng(1)).T
    spreads = [[spread(energy) for energy in profiles] for profiles in (filtered, drawn)]
    quantiles = [0.05, 0.5, 0.95]
    expected = np.quantile(spreads[0], quantiles)
    np.testing.assert_allclose(np.quantile(spreads[1], quantiles), expected, rtol=0.06)


def test_random_bases_are_orthonormal_and_differ():
    first, second = orthonormal_bases(2, 27)
    for basis in (first, second):
        np.testing.assert_allclose(basis @ basis.T, np.eye(27), atol=1e-12)
    assert np.abs(first - second).max() > 0.1


def test_each_bank_is_fitted_and_each_pair_correlated_for_itself():
    banks = gaussians(3, 8, *BASIS.shape)
    profiles = [energy_profile(bank, BASIS) for bank in banks]
    assert fit_correlations(banks, BASIS).tolist() == [fit_formula(each, BASIS).correlation for each in profiles]
    energies = np.array([each.energy for each in profiles])
    found = agreement(energies, energies[[0, 2, 1]])
    assert found == pytest.approx([1, profiles[1].correlation(profiles[2]), profiles[2].correlation(profiles[1])])


def test_the_null_is_that_of_the_theory_notes():
    # theory-notes.md: random banks of 16 and 64 filters 0.30 to 0.35 over several bases; a shuffled profile's 95th
    # percentile is about 0.5. On CIFAR-10's 3 x 3 patches the mean is somewhat lower.
    for filters in (16, 64):
        null = random_banks(BASIS.variance, filters)
        assert 0.25 < null.correlations.mean() < 0.35
        assert 0.44 < percentile(null.correlations) < 0.54


def test_the_same_seed_gives_the_same_banks():
    a, b = (random_banks(BASIS.variance, 8, draws=50, seed=3) for _ in range(2))
    np.testing.assert_array_equal(a.correlations, b.correlations)
    assert not np.array_equal(a.correlations, random_banks(BASIS.variance, 8, draws=50, seed=4).correlations)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 200), st.floats(-1, 1))
def test_a_share_is_a_p_value(filters: int, value: float):
    null = random_banks(BASIS.variance, filters, draws=40)
    share = null.share_above(correlation=value)
    assert 1 / 41 <= share <= 1
    assert share == (1 + np.sum(null.correlations >= value)) / 41
    assert null.share_above(correlation=-1) == 1
    assert null.share_above(spread=1e9) == 1 / 41


def test_more_filters_make_flatter_profiles():
    means = [random_banks(BASIS.variance, filters).spreads.mean() for filters in (4, 16, 64, 256)]
    assert means == sorted(means, reverse=True)
    # The standard deviation of chi / sqrt(K) is about 1 / sqrt(2 K).
    assert means[-1] == pytest.approx(1 / np.sqrt(2 * 256), rel=0.05)


def test_spread():
    assert spread(np.ones(5)) == 0
    assert spread(np.zeros(5)) == 0
    assert spread(np.array([0.0, 2.0])) == 1


@pytest.mark.parametrize(("filters", "draws"), [(0, 10), (-1, 10), (4, 0)])
def test_no_filters_or_draws_are_refused(filters: int, draws: int):
    with pytest.raises(InputError, match="at least 1"):
        random_banks(BASIS.variance, filters, draws)


def test_too_few_different_variances_are_refused():
    with pytest.raises(InputError, match="fewer than 3"):
        random_banks([1.0, 1.0, 0.0], 4)
