import io
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings, strategies as st

from firstlight.errors import InputError
from firstlight.patches import PatchBasis, PatchMoments
from firstlight.profile import EnergyProfile, correlation, energy_profile
from firstlight.theory import fit_formula, linear_cnn_profile

INF = float("inf")
# Like the patches of CIFAR-10: four decades, one large component.
# fmt: off
VARIANCE = np.array([
    22.6, 1.9, 1.6, 0.86, 0.42, 0.35, 0.29, 0.17, 0.13, 0.12, 0.062, 0.059, 0.051, 0.035, 0.028, 0.022,
    0.019, 0.014, 0.012, 0.0098, 0.0081, 0.0066, 0.0052, 0.0041, 0.0034, 0.0027, 0.002,
])
# fmt: on
FLAT = 0.01  # what the documentation of tau_range says
seeds = st.integers(0, 2**32 - 1)


def correlations(profile: np.ndarray, shapes: np.ndarray) -> np.ndarray:
    """Pearson correlation of one profile with many, written down once more."""
    x = profile / np.abs(profile).max()
    x = x - x.mean()
    y = shapes / shapes.max(axis=1, keepdims=True)
    y = y - y.mean(axis=1, keepdims=True)
    return (y @ x) / np.linalg.norm(x) / np.linalg.norm(y, axis=1)


@st.composite
def variances(draw: st.DrawFn, least: float = -3, most: float = 2) -> np.ndarray:
    exponents = draw(st.lists(st.floats(least, most), min_size=4, max_size=40))
    assume(len(np.unique(np.round(exponents, 1))) >= 4)
    assume(max(exponents) - min(exponents) > 1)
    return np.sort(10 ** np.array(exponents))[::-1]


# What it must find


@settings(max_examples=100, deadline=None)
@given(variance=variances(), place=st.floats(0, 1), log_scale=st.floats(-100, 100))
def test_its_own_prediction_gives_back_tau_and_scale(variance: np.ndarray, place: float, log_scale: float):
    # Between the limits: some component peaks or has peaked, some has not.
    tau = math.exp(math.log(0.3 / variance[0]) * (1 - place) + math.log(5 / variance[-1]) * place)
    scale = 10**log_scale
    fit = fit_formula(scale * linear_cnn_profile(variance, tau), variance)
    # A correlation is known to 1e-16 and flat at its best: to the root of that, in units of how fast it drops.
    off = linear_cnn_profile(variance, tau * np.array([0.99, 1.01]))
    drop = 1 - correlations(linear_cnn_profile(variance, tau), off).max()
    assume(drop > 1e-13)
    rel = 1e-6 + 0.01 * math.sqrt(2e-15 / drop)
    assert fit.tau == pytest.approx(tau, rel=rel)
    assert fit.scale == pytest.approx(scale, rel=rel, abs=0)
    assert fit.correlation == pytest.approx(1, abs=1e-12)
    assert fit.residual < rel
    assert fit.log_r2 == pytest.approx(1, abs=1e-6)
    assert fit.bound == ""
    assert fit.tau_range[0] <= fit.tau <= fit.tau_range[1]
    np.testing.assert_allclose(fit.prediction, scale * linear_cnn_profile(variance, tau), rtol=rel)


def brute_force(energy: np.ndarray, variance: np.ndarray, points: int = 20_000) -> float:
    tau = np.geomspace(1e-6 / variance.max(), 50 / variance.min(), points)
    return correlations(energy, linear_cnn_profile(variance, tau)).max()


@settings(max_examples=60, deadline=None)
@given(variance=variances(least=-5), seed=seeds, power=st.sampled_from([0.1, 1, 8]))
def test_no_scan_finds_a_higher_correlation(variance: np.ndarray, seed: int, power: float):
    energy = np.random.default_rng(seed).random(len(variance)) ** power
    fit = fit_formula(energy, variance)
    assert fit.correlation >= brute_force(energy, variance) - 1e-9
    # And the correlation is that of the prediction it hands out.
    assert fit.correlation == pytest.approx(correlation(energy, fit.prediction), abs=1e-12)
    np.testing.assert_allclose(fit.prediction, fit.scale * linear_cnn_profile(variance, fit.tau), rtol=1e-12)


@settings(max_examples=60, deadline=None)
@given(seed=seeds, weights=st.tuples(*[st.floats(0.01, 1)] * 3))
def test_the_highest_of_several_humps_is_found(seed: int, weights: tuple):
    """Components in three clusters, decades apart, each as if trained for its own time."""
    rng = np.random.default_rng(seed)
    variance = np.concatenate([10.0**centre * np.exp(rng.uniform(-1, 1, 5)) for centre in (2, -1, -4)])
    times = 10.0 ** np.array([-2, 1, 4]) * np.exp(rng.uniform(-1, 1, 3))
    shapes = linear_cnn_profile(variance, times)
    energy = np.concatenate(
        [w * shape[5 * i : 5 * i + 5] / shape.max() for i, (w, shape) in enumerate(zip(weights, shapes, strict=True))]
    )
    fit = fit_formula(energy, variance)
    assert fit.correlation >= brute_force(energy, variance) - 1e-9


def test_a_hump_just_above_a_flat_end_is_found():
    """The flat end of the scan holds many points that are as high as their neighbours, but only one hump matters."""
    energy = [0.21664932, 0.5216222, 0.24063246, 0.26332308, 0.48603927, 0.11333702, 0.24091533]
    variance = [
        2.06592077e-02,
        1.40448342e00,
        2.65530079e-02,
        6.23443550e-05,
        1.71690799e-05,
        2.73761164e-03,
        7.18477553,
    ]
    fit = fit_formula(energy, variance)
    assert fit.correlation >= brute_force(np.array(energy), np.array(variance)) - 1e-9


def noisy_profile(seed: int, tau: float = 3.0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=len(VARIANCE))
    return linear_cnn_profile(VARIANCE, tau) * np.exp(0.3 * noise)


@pytest.mark.parametrize("seed", range(4))
def test_the_scan_of_the_paper_never_beats_it(seed: int):
    """t from 10,000 to 5,000,000 in steps of 250, at eta = 1e-7 / (2 * 10,000 images), on 9 million patches.

    Its steps are discrete, lr * variance up to 1e-3, so that its shapes differ from those in continuous time by about
    that much, and its best correlation by less.
    """
    energy = noisy_profile(seed)
    steps = np.arange(10_000, 5_000_001, 250)
    lr = 1e-7 / (2 * 10_000) * 9e6  # their eigenvalues are sums over the patches
    scan = correlations(energy, linear_cnn_profile(VARIANCE, lr=lr, steps=steps))
    continuous = correlations(energy, linear_cnn_profile(VARIANCE, lr * steps))
    fit = fit_formula(energy, VARIANCE)
    assert scan.max() > 0.6
    assert fit.correlation >= continuous.max() - 1e-12
    assert fit.correlation == pytest.approx(scan.max(), abs=2e-6)
    assert lr * steps[np.argmax(scan)] == pytest.approx(fit.tau, rel=0.01)


def test_whitening_is_infinitely_late():
    fit = fit_formula(7 / np.sqrt(VARIANCE), VARIANCE)
    assert (fit.tau, fit.bound) == (INF, "late")
    assert fit.correlation == pytest.approx(1, abs=1e-14)
    assert fit.scale == pytest.approx(7, rel=1e-13)
    assert fit.tau_range[1] == INF
    assert 0 < fit.tau_range[0] < INF


def test_whitening_but_for_a_component_without_variance_is_late_at_a_finite_time():
    variance = np.append(VARIANCE, 0.0)
    energy = np.append(7 / np.sqrt(VARIANCE), 0.0)
    fit = fit_formula(energy, variance)
    assert fit.bound == "late"
    assert math.isfinite(fit.tau)
    assert fit.tau_range[0] <= fit.tau <= fit.tau_range[1]
    assert fit.correlation == pytest.approx(1, abs=1e-12)
    assert fit.prediction[-1] == 0


def test_the_data_s_own_profile_is_early():
    fit = fit_formula(7 * np.sqrt(VARIANCE), VARIANCE)
    assert fit.bound == "early"
    assert fit.correlation == pytest.approx(1, abs=1e-10)
    assert fit.tau_range[0] == 0
    assert fit.tau_range[0] <= fit.tau <= fit.tau_range[1]
    assert fit.tau * VARIANCE[0] < 1e-3
    np.testing.assert_allclose(fit.prediction, 7 * np.sqrt(VARIANCE), rtol=1e-4)


@settings(max_examples=60, deadline=None)
@given(variance=variances(), seed=seeds, spread=st.sampled_from([0.0, 0.1, 1.0]), place=st.floats(0, 1))
def test_the_range_of_tau_holds_the_best_and_ends_where_the_correlation_has_dropped(
    variance: np.ndarray, seed: int, spread: float, place: float
):
    tau = math.exp(math.log(0.3 / variance[0]) * (1 - place) + math.log(5 / variance[-1]) * place)
    noise = np.random.default_rng(seed).normal(size=len(variance))
    energy = linear_cnn_profile(variance, tau) * np.exp(spread * noise)
    fit = fit_formula(energy, variance)
    start, stop = fit.tau_range
    assert start <= fit.tau <= stop
    step = 10 ** (1 / 40)  # the scan's
    scan = np.geomspace(max(start, 1e-6 / variance[0]), min(stop, 50 / variance[-1]), 50)
    within = correlations(energy, linear_cnn_profile(variance, scan))
    assert (within >= fit.correlation - FLAT - 1e-3).all()
    for end, beyond in ((start, start / step), (stop, stop * step)):
        if 0 < end < INF:
            assert correlation(energy, linear_cnn_profile(variance, end)) >= fit.correlation - FLAT - 1e-6
            assert correlation(energy, linear_cnn_profile(variance, beyond)) <= fit.correlation - FLAT + 1e-6


# What it must not depend on


@settings(max_examples=40, deadline=None)
@given(seed=seeds, log_scale=st.floats(-100, 100), factor=st.floats(1e-6, 1e6))
def test_the_profiles_scale_and_the_variances_unit_do_not_matter(seed: int, log_scale: float, factor: float):
    energy = noisy_profile(seed)
    plain = fit_formula(energy, VARIANCE)
    scaled = fit_formula(energy * 10**log_scale, VARIANCE)
    assert scaled.tau == pytest.approx(plain.tau, rel=1e-5)
    assert scaled.correlation == pytest.approx(plain.correlation, abs=1e-12)
    assert scaled.scale == pytest.approx(plain.scale * 10**log_scale, rel=1e-5, abs=0)
    assert scaled.residual == pytest.approx(plain.residual, rel=1e-5)
    assert scaled.log_r2 == pytest.approx(plain.log_r2, rel=1e-5)
    other = fit_formula(energy, VARIANCE * factor)
    assert other.tau * factor == pytest.approx(plain.tau, rel=1e-5)
    assert other.correlation == pytest.approx(plain.correlation, abs=1e-12)
    assert other.bound == plain.bound


@settings(max_examples=20, deadline=None)
@given(seed=seeds, order=st.permutations(range(len(VARIANCE))))
def test_the_order_of_components_does_not_matter(seed: int, order: list[int]):
    energy = noisy_profile(seed)
    plain, shuffled = fit_formula(energy, VARIANCE), fit_formula(energy[order], VARIANCE[order])
    assert shuffled.tau == pytest.approx(plain.tau, rel=1e-5)
    assert shuffled.correlation == pytest.approx(plain.correlation, abs=1e-12)


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_energies_whose_squares_under_or_overflow_are_fitted_too(scale: float):
    plain, fit = fit_formula(noisy_profile(0), VARIANCE), fit_formula(noisy_profile(0) * scale, VARIANCE)
    assert fit.tau == pytest.approx(plain.tau, rel=1e-5)
    assert fit.scale == pytest.approx(plain.scale * scale, rel=1e-5, abs=0)
    assert fit.residual == pytest.approx(plain.residual, rel=1e-5)


def test_a_profile_and_its_basis_are_taken_as_they_are():
    images = np.random.default_rng(0).integers(0, 256, (20, 1, 9, 9), dtype=np.uint8)
    basis = PatchMoments(3, 1).update(images).basis()
    profile = energy_profile(np.random.default_rng(1).normal(size=(4, 1, 3, 3)), basis)
    assert isinstance(profile, EnergyProfile)
    assert isinstance(basis, PatchBasis)
    assert fit_formula(profile, basis).to_dict() == fit_formula(profile.energy, basis.variance).to_dict()
    assert fit_formula(profile.energy.tolist(), basis.variance.tolist()).tau == fit_formula(profile, basis).tau


def test_the_caller_s_arrays_are_left_alone_and_not_shared():
    energy, variance = noisy_profile(0), VARIANCE.copy()
    fit = fit_formula(energy, variance)
    np.testing.assert_array_equal(energy, noisy_profile(0))
    np.testing.assert_array_equal(variance, VARIANCE)
    energy[:] = 0
    np.testing.assert_array_equal(fit.energy, noisy_profile(0))


# Scale, residual, R^2


def test_scale_residual_and_log_r2_by_hand():
    energy = noisy_profile(5)
    fit = fit_formula(energy, VARIANCE)
    shape = linear_cnn_profile(VARIANCE, fit.tau)
    scale = sum(energy * shape) / sum(shape * shape)
    assert fit.scale == pytest.approx(scale, rel=1e-12)
    assert fit.residual == pytest.approx(math.sqrt(sum((energy - scale * shape) ** 2) / sum(energy**2)), rel=1e-12)
    # R^2 of log energy regressed on log shape with slope 1 and free offset.
    log_e, log_s = np.log(energy), np.log(shape)
    offset = np.mean(log_e - log_s)
    unexplained = sum((log_e - log_s - offset) ** 2)
    assert fit.log_r2 == pytest.approx(1 - unexplained / sum((log_e - log_e.mean()) ** 2), rel=1e-9)


def test_log_r2_of_three_components_by_hand():
    """Whitening but for a factor 1/e in one component: log residuals (1, -2, 1)/3, about their mean."""
    variance = np.array([1.0, 0.01, 1e-6])
    energy = np.array([1.0, 10 / math.e, 1000.0])
    fit = fit_formula(energy, variance)
    assert fit.bound == "late"
    log_e = np.array([0, math.log(10) - 1, math.log(1000)])
    expected = 1 - (6 / 9) / np.sum((log_e - log_e.mean()) ** 2)
    assert fit.log_r2 == pytest.approx(expected, rel=1e-12)


def test_an_energy_of_zero_has_no_logarithm():
    energy = noisy_profile(0)
    energy[3] = 0
    fit = fit_formula(energy, VARIANCE)
    assert math.isnan(fit.log_r2)
    assert fit.correlation > 0.5
    without = np.append(VARIANCE, 0.0)  # where nothing is predicted, nothing is compared
    assert math.isfinite(fit_formula(np.append(noisy_profile(0), 0.1), without).log_r2)


def test_unrelated_profiles_get_a_poor_correlation_and_no_error():
    for seed in range(20):
        energy = np.random.default_rng(seed).random(len(VARIANCE))
        fit = fit_formula(energy, VARIANCE)
        assert -1 <= fit.correlation < 0.8
        assert fit.log_r2 < 1
        assert 0 < fit.residual < 1


# Refusals


@pytest.mark.parametrize(
    ("energy", "variance", "message"),
    [
        ([1, 2, 3], [1, 2, 3, 4], r"profile has shape \(3,\); expected \(4,\)"),
        (np.ones((2, 3)), [1, 2, 3], r"profile has shape \(2, 3\); expected \(3,\)"),
        (1.0, [1, 2, 3], r"profile has shape \(\)"),
        ([1, 2], [1, 2], "2 different positive variances; expected at least 3"),
        ([1, 2, 3], [1, 2, 2], "2 different positive variances"),
        ([1, 2, 3], [1, 2, 0], "2 different positive variances"),
        ([1, 2, 3], [0, 0, 0], "0 different positive variances"),
        ([1, 2, -1e-9], [1, 2, 3], "negative or NaN"),
        ([1, 2, np.nan], [1, 2, 3], "negative or NaN"),
        ([1, 2, INF], [1, 2, 3], "NaN or infinity"),
        ([2, 2, 2], [1, 2, 3], "constant"),
        ([0, 0, 0], [1, 2, 3], "constant"),
        ([1, 2, 3], [1, 2, -3], "variance of component 3 is -3"),
        ([1, 2, 3], [1, np.nan, 3], "variance of component 2 is nan"),
    ],
)
def test_profiles_and_variances_that_cannot_be_fitted_are_refused(energy: Any, variance: Any, message: str):
    with pytest.raises(InputError, match=message):
        fit_formula(energy, variance)


def test_the_least_residual_is_the_smallest_over_all_times():
    variance = np.geomspace(20, 0.003, 27)
    energy = linear_cnn_profile(variance, 0.5) + 0.2
    fit = fit_formula(energy, variance)
    residuals = []
    for tau in np.geomspace(1e-4, 1e4, 4001):
        shape = linear_cnn_profile(variance, tau)
        residuals.append(np.linalg.norm(energy - shape * (energy @ shape) / (shape @ shape)) / np.linalg.norm(energy))
    assert fit.least_residual == pytest.approx(min(residuals), rel=1e-3)
    assert fit.least_residual < fit.residual  # the correlation allows an offset that the residual does not


def test_null_directions_do_not_make_log_r2_undefined():
    variance = np.array([9.0, 3.0, 1.0, 0.3, 0.0, 0.0])
    fit = fit_formula(linear_cnn_profile(variance, 0.7), variance)
    assert fit.log_r2 == pytest.approx(1)


def test_an_energy_that_is_no_number_is_refused():
    with pytest.raises(InputError, match="energies"):
        fit_formula(["a", "b", "c"], [1, 2, 3])


def test_variances_that_differ_by_rounding_only_are_refused_for_what_they_are():
    with pytest.raises(InputError, match="variance"):
        fit_formula([1, 2, 3, 4], 1 + np.arange(4) * 1e-15)


# What it shows of itself


PLAIN = ("tau", "correlation", "scale", "residual", "least_residual", "log_r2")


def test_to_dict_is_json():
    fit = fit_formula(noisy_profile(0), VARIANCE)
    data = json.loads(json.dumps(fit.to_dict(), allow_nan=False))
    assert set(data) == {*PLAIN, "tau_range", "bound", "prediction"}
    assert data["tau"] == fit.tau
    assert data["prediction"] == fit.prediction.tolist()
    assert data["tau_range"] == list(fit.tau_range)


def test_to_dict_of_a_limit_is_strict_json_too():
    energy = 1 / np.sqrt(VARIANCE)
    energy[-1] = 0
    for profile in (1 / np.sqrt(VARIANCE), energy):  # tau infinite; log_r2 not a number
        json.dumps(fit_formula(profile, VARIANCE).to_dict(), allow_nan=False)


def test_to_frame_has_a_row_a_component():
    fit = fit_formula(noisy_profile(0), VARIANCE)
    frame = fit.to_frame()
    assert frame.columns.tolist() == ["component", "energy", "prediction"]
    assert frame["component"].tolist() == list(range(1, 28))
    np.testing.assert_array_equal(frame["energy"], noisy_profile(0))


@pytest.mark.parametrize("profile", [noisy_profile(0), 1 / np.sqrt(VARIANCE)])
def test_plot_draws_both_profiles_on_new_or_given_axes(profile: np.ndarray):
    fit = fit_formula(profile, VARIANCE)
    fig, ax = fit.plot()
    measured, predicted = (np.asarray(line.get_ydata()) for line in ax.lines)
    assert measured.max() == 1
    np.testing.assert_allclose(predicted * profile.max(), fit.prediction)
    assert fit.plot(ax) == (fig, ax)
    fig.savefig(io.BytesIO(), format="svg")


def test_the_repr_is_short_and_says_the_result():
    text = repr(fit_formula(noisy_profile(0), VARIANCE))
    assert "tau=" in text
    assert "correlation=" in text
    assert "array" not in text
