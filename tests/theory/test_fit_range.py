"""The fit in a range of times: by brute force, beside the free fit, and what its ends say."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings, strategies as st

from firstlight.errors import InputError
from firstlight.patches.shipped import shipped_moments
from firstlight.profile import correlation, energy_profile
from firstlight.theory import AUTHORS_TAU, fit_formula, linear_cnn_profile
from firstlight.theory.null import fit_correlations, gaussians, random_banks

INF = float("inf")
BASIS = shipped_moments(3).basis((0.4914, 0.4822, 0.4465), (0.2471, 0.2435, 0.2616))
VARIANCE = BASIS.variance
seeds = st.integers(0, 2**32 - 1)
# log10 of an end: from one limit of eq. 3 on these patches to the other and beyond.
ends = st.tuples(st.floats(-8, 6), st.floats(-8, 6)).map(sorted).filter(lambda pair: pair[1] - pair[0] > 1e-6)


def noisy_profile(seed: int, noise: float = 0.5) -> np.ndarray:
    """Of eq. 3 at a time anywhere between its limits, disturbed."""
    rng = np.random.default_rng(seed)
    tau = 10 ** rng.uniform(-2, 4)
    return linear_cnn_profile(VARIANCE, tau) * np.exp(noise * rng.normal(size=len(VARIANCE)))


def correlations(profile: np.ndarray, taus: np.ndarray) -> np.ndarray:
    """Pearson correlation of a profile with eq. 3 at each time, written down once more."""
    shapes = linear_cnn_profile(VARIANCE, taus)
    y = shapes / shapes.max(axis=1, keepdims=True)
    y = y - y.mean(axis=1, keepdims=True)
    x = profile / profile.max() - (profile / profile.max()).mean()
    return (y @ x) / np.linalg.norm(x) / np.linalg.norm(y, axis=1)


@settings(max_examples=150, deadline=None)
@given(seed=seeds, exponents=ends, noise=st.sampled_from([0.0, 0.1, 0.5, 1.5]))
def test_a_dense_grid_of_the_range_finds_the_same_correlation(seed: int, exponents: list[float], noise: float):
    low, high = 10 ** exponents[0], 10 ** exponents[1]
    energy = noisy_profile(seed, noise)
    fit = fit_formula(energy, VARIANCE, tau_range=(low, high))
    assert low <= fit.tau <= high
    assert fit.correlation == pytest.approx(correlations(energy, np.geomspace(low, high, 20_000)).max(), abs=1e-6)
    assert fit.correlation == pytest.approx(correlation(energy, linear_cnn_profile(VARIANCE, fit.tau)), abs=1e-12)
    assert low <= fit.tau_range[0] <= fit.tau <= fit.tau_range[1] <= high


@settings(max_examples=150, deadline=None)
@given(seed=seeds, exponents=ends)
def test_a_range_never_fits_better_than_all_times(seed: int, exponents: list[float]):
    energy = noisy_profile(seed)
    free = fit_formula(energy, VARIANCE)
    fit = fit_formula(energy, VARIANCE, tau_range=(10 ** exponents[0], 10 ** exponents[1]))
    assert fit.correlation <= free.correlation + 1e-12
    assert fit.least_residual >= free.least_residual - 1e-3  # found at the times of the scans only


@settings(max_examples=150, deadline=None)
@given(seed=seeds, below=st.floats(1e-3, 8), above=st.floats(1e-3, 8))
# Ends next to the best: it lies between an end and the first time of the scan behind it.
@example(seed=0, below=1e-3, above=8)
@example(seed=0, below=8, above=1e-3)
@example(seed=0, below=1e-3, above=1e-3)
def test_a_range_around_the_best_of_all_times_finds_it(seed: int, below: float, above: float):
    energy = noisy_profile(seed)
    free = fit_formula(energy, VARIANCE)
    low = 0.0 if free.bound == "early" else free.tau * 10**-below
    high = INF if free.bound == "late" else free.tau * 10**above
    fit = fit_formula(energy, VARIANCE, tau_range=(min(low, 1e9), high))
    # Where the curve is flat, or an end is next to the best, another time is as good, but for what counts as a tie.
    assert fit.correlation == pytest.approx(free.correlation, abs=1.1e-10)
    assert min(low, 1e9) <= fit.tau <= high


@pytest.mark.parametrize("energy", [noisy_profile(0), 3 / np.sqrt(VARIANCE), 3 * np.sqrt(VARIANCE)])
def test_all_times_are_the_fit_without_a_range(energy: np.ndarray):
    free = fit_formula(energy, VARIANCE)
    ranges: list[Any] = [None, (0, INF), [0.0, INF], np.array([0, INF])]
    for tau_range in ranges:
        fit = fit_formula(energy, VARIANCE, tau_range=tau_range)
        assert fit.to_dict() == free.to_dict()
        assert (fit.tau, fit.tau_range) == (free.tau, free.tau_range)


def test_the_ends_are_included_and_say_so():
    energy = linear_cnn_profile(VARIANCE, 3.0)
    early = fit_formula(energy, VARIANCE, tau_range=(7.3, 225.0))
    assert (early.tau, early.bound, early.tau_range[0]) == (7.3, "early", 7.3)
    late = fit_formula(energy, VARIANCE, tau_range=(0.1, 1.1))
    assert (late.tau, late.bound, late.tau_range[1]) == (1.1, "late", 1.1)
    assert fit_formula(energy, VARIANCE, tau_range=AUTHORS_TAU).bound == ""
    np.testing.assert_allclose(late.prediction, late.scale * linear_cnn_profile(VARIANCE, 1.1), rtol=1e-12)


def test_only_a_range_without_end_ends_in_whitening():
    energy = 7 / np.sqrt(VARIANCE)
    assert fit_formula(energy, VARIANCE, tau_range=(1, INF)).tau == INF
    assert fit_formula(energy, VARIANCE, tau_range=(1e12, INF)).tau == INF  # every time of it is whitening
    fit = fit_formula(energy, VARIANCE, tau_range=AUTHORS_TAU)
    assert (fit.tau, fit.bound, fit.tau_range[1]) == (225, "late", 225)
    assert fit.correlation < 0.9
    without = fit_formula(np.append(energy, 0), np.append(VARIANCE, 0), tau_range=(1e12, INF))
    assert (without.tau, without.bound) == (1e12, "late")


@pytest.mark.parametrize("tau_range", [(1e-12, 1e-10), (1e8, 1e10)])
def test_a_range_beyond_the_limits_of_eq_3_has_their_correlation(tau_range: tuple[float, float]):
    energy = noisy_profile(4)
    limit = np.sqrt(VARIANCE) if tau_range[1] < 1 else 1 / np.sqrt(VARIANCE)
    fit = fit_formula(energy, VARIANCE, tau_range=tau_range)
    assert fit.correlation == pytest.approx(correlation(energy, limit), abs=1e-6)
    assert fit.tau_range == tau_range
    assert math.isfinite(fit.scale)


@pytest.mark.parametrize("tau_range", [AUTHORS_TAU, (3.0, 3.1)])
def test_random_banks_are_fitted_in_the_range(tau_range: tuple[float, float]):
    banks = gaussians(40, 16, *BASIS.shape)
    found = fit_correlations(banks, BASIS, tau_range)
    profiles = [energy_profile(bank, BASIS) for bank in banks]
    assert found.tolist() == [fit_formula(each, BASIS, tau_range=tau_range).correlation for each in profiles]
    assert (found <= fit_correlations(banks, BASIS) + 1e-12).all()
    # Drawn without filters, at the times of the scan, they are alike: within four standard errors.
    drawn = random_banks(VARIANCE, 16, 2000, tau_range=tau_range).correlations
    assert drawn.mean() == pytest.approx(found.mean(), abs=4 * found.std() / np.sqrt(40))
    assert drawn.mean() < random_banks(VARIANCE, 16, 2000).correlations.mean() - 0.05


@pytest.mark.parametrize(
    ("tau_range", "message"),
    [
        (5, r"tau_range is 5; expected two numbers, its ends$"),
        ((1, 2, 3), r"tau_range is \(1, 2, 3\); expected two numbers"),
        (("1", "2"), "expected two numbers"),
        ("12", "expected two numbers"),
        (([1, 2], [3, 4]), "expected two numbers"),
        ((0.45, None), "expected two numbers"),
        ((225, 0.45), r"tau_range is \(225, 0.45\); expected its smaller end first, and that 0 or more$"),
        ((1, 1), "expected its smaller end first"),
        ((-1, 1), "and that 0 or more"),
        ((math.nan, 1), "expected its smaller end first"),
        ((1, math.nan), "expected its smaller end first"),
        ((INF, INF), "expected its smaller end first"),
    ],
)
def test_what_is_no_range_is_refused(tau_range: Any, message: str):
    with pytest.raises(InputError, match=message):
        fit_formula(noisy_profile(0), VARIANCE, tau_range=tau_range)
    with pytest.raises(InputError, match=message):
        random_banks(VARIANCE, 4, tau_range=tau_range)
