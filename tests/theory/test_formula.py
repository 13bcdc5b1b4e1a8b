import math
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import assume, example, given, settings, strategies as st

from firstlight.errors import InputError
from firstlight.theory import PEAK, linear_cnn_profile, regime

INF = float("inf")
VARIANCE = np.array([4.0, 1.0, 0.25, 0.01])


# Hand-computed


def test_discrete_time_by_hand():
    # x = lr * variance = 0.4 and 0.1; 1 - 0.6**2 = 0.64 over 2, 1 - 0.9**2 = 0.19 over 1.
    np.testing.assert_allclose(linear_cnn_profile([4, 1], lr=0.1, steps=2), [0.32, 0.19], rtol=1e-15)
    # One step: lr * lambda.
    np.testing.assert_allclose(linear_cnn_profile([9, 4], lr=0.01, steps=1), [0.03, 0.02], rtol=1e-15)
    # Oscillating, x = 1.5: 1 + 0.5**3, 1 - 0.5**2.
    np.testing.assert_allclose(linear_cnn_profile([1.0], lr=1.5, steps=[3, 2]), [[1.125], [0.75]], rtol=1e-15)


def test_continuous_time_by_hand():
    # tau * variance = ln 2 and ln 4: 1/2 over 1, 3/4 over sqrt 2.
    profile = linear_cnn_profile([1, 2], tau=math.log(2))
    np.testing.assert_allclose(profile, [0.5, 0.75 / math.sqrt(2)], rtol=1e-15)


def test_lr_times_variance_of_one_learns_all_in_one_step():
    np.testing.assert_array_equal(linear_cnn_profile([4.0], lr=0.25, steps=[0, 1, 2, 9, INF]), [[0], *[[0.5]] * 4])


def test_lr_times_variance_of_two_jumps_there_and_back_for_ever():
    np.testing.assert_array_equal(linear_cnn_profile([4.0], lr=0.5, steps=[0, 1, 2, 3, 4]), [[0], [1], [0], [1], [0]])


def test_lr_times_variance_above_two_diverges_but_is_finite_for_a_while():
    # x = 3: 1 - (-2)**t.
    got = linear_cnn_profile([1.0], lr=3, steps=[0, 1, 2, 3, 10])
    np.testing.assert_allclose(got.ravel(), [0, 3, 3, 9, 1023], rtol=1e-14)
    assert np.isfinite(linear_cnn_profile([1.0], lr=3, steps=1023)).all()


# Against 50 digits


def exact(variance: float, lr: float, steps: int) -> tuple[Any, float]:
    """Eq. 3 of the floats given, to 50 digits, and its condition number with respect to lr * variance."""
    with mpmath.workdps(60):
        x = mpmath.mpf(lr) * mpmath.mpf(variance)
        learned = abs(1 - (1 - x) ** steps)
        condition = abs(x * steps * (1 - x) ** (steps - 1)) / learned if learned else mpmath.mpf(0)
        return learned / mpmath.sqrt(mpmath.mpf(variance)), float(condition)


log_variances = st.floats(-12, 3)
step_numbers = st.one_of(st.integers(0, 20), st.integers(0, 10**9), st.floats(0, 9).map(lambda e: int(10**e)))


@settings(max_examples=400, deadline=None)
@given(log_variance=log_variances, steps=step_numbers, log_lr=st.floats(-12, 12))
@example(log_variance=0.0, steps=10**9, log_lr=-12.0)
@example(log_variance=-12.0, steps=10**9, log_lr=-12.0)  # tau * variance = 1e-15: all would cancel
def test_steps_of_converging_descent_agree_with_50_digits(log_variance: float, steps: int, log_lr: float):
    """For x = lr * variance <= 1 the condition number is at most 1: rounding x costs one rounding of the result."""
    variance, lr = 10**log_variance, 10**log_lr
    if Fraction(lr) * Fraction(variance) > 1:
        lr = 10.0 ** (-abs(log_lr)) / variance / 2
    expected, condition = exact(variance, lr, steps)
    assert condition <= 1 + 1e-12
    (got,) = linear_cnn_profile([variance], lr=lr, steps=steps)
    assert abs(got - expected) <= 4e-15 * expected


@settings(max_examples=400, deadline=None)
@given(
    log_variance=log_variances,
    steps=step_numbers,
    x=st.one_of(
        st.floats(1, 2),
        st.floats(-16, 0).map(lambda e: 1 + 10**e),
        st.floats(-16, 0).map(lambda e: 1 - 10**e / 2),
        st.floats(-16, 0).map(lambda e: 2 - 10**e),
    ),
)
def test_steps_of_oscillating_descent_agree_with_50_digits_as_far_as_a_float_can(
    log_variance: float, steps: int, x: float
):
    """Above x = 1 the product lr * variance, rounded to a float, decides what can be attained.

    Near x = 2 the factor (1 - x)^steps neither dies out nor is exactly known: a relative error of u = 2^-53 in x
    becomes u * condition, which reaches steps * u where steps * (2 - x) is about 1. That is what the inputs
    are worth: lr and variance are themselves rounded.
    """
    variance = 10**log_variance
    lr = x / variance
    if Fraction(lr) * Fraction(variance) >= 2:
        lr = math.nextafter(lr, 0) * (1 - 1e-15)
    expected, condition = exact(variance, lr, steps)
    (got,) = linear_cnn_profile([variance], lr=lr, steps=steps)
    assert abs(got - expected) <= 2.0**-53 * (8 + 4 * condition) * expected
    if condition < 1000:
        assert abs(got - expected) <= 1e-12 * expected


@settings(max_examples=200, deadline=None)
@given(log_variance=log_variances, steps=st.integers(1, 2000), log_excess=st.floats(-10, 3))
def test_steps_of_diverging_descent_agree_with_50_digits_or_are_refused(
    log_variance: float, steps: int, log_excess: float
):
    variance = 10**log_variance
    lr = (2 + 10**log_excess) / variance
    expected, condition = exact(variance, lr, steps)
    largest = expected * max(mpmath.sqrt(variance), 1)
    assume(not 1e307 < largest < 2e308)  # on the edge, rounding decides
    if largest > 1e308:
        with pytest.raises(InputError, match="too large for a float"):
            linear_cnn_profile([variance], lr=lr, steps=steps)
    else:
        (got,) = linear_cnn_profile([variance], lr=lr, steps=steps)
        # The exponent, up to 709, is rounded too.
        assert abs(got - expected) <= 2.0**-53 * (2000 + 4 * condition) * expected


@settings(max_examples=300, deadline=None)
@given(log_variance=log_variances, log_tau=st.floats(-15, 15))
def test_continuous_time_agrees_with_50_digits(log_variance: float, log_tau: float):
    variance, tau = 10**log_variance, 10**log_tau
    with mpmath.workdps(60):
        expected = -mpmath.expm1(-mpmath.mpf(tau) * mpmath.mpf(variance)) / mpmath.sqrt(mpmath.mpf(variance))
    (got,) = linear_cnn_profile([variance], tau=tau)
    assert abs(got - expected) <= 4e-15 * expected


# Limits and shape


@pytest.mark.parametrize(
    "arguments", [{"tau": INF}, {"tau": 1e15}, {"lr": 0.2, "steps": INF}, {"lr": 0.2, "steps": 10**9}]
)
def test_after_infinite_time_the_profile_is_that_of_whitening(arguments: dict):
    np.testing.assert_allclose(linear_cnn_profile(VARIANCE, **arguments), 1 / np.sqrt(VARIANCE), rtol=1e-12)


def test_oscillating_descent_reaches_whitening_too():
    got = linear_cnn_profile(VARIANCE, lr=1.9 / 4, steps=[INF, 10**6])
    np.testing.assert_allclose(got, np.tile(1 / np.sqrt(VARIANCE), (2, 1)), rtol=1e-12)


def test_whitening_spans_from_tiny_to_huge_variances():
    variance = np.logspace(-300, 300, 601)
    np.testing.assert_allclose(linear_cnn_profile(variance, tau=INF) * np.sqrt(variance), 1, rtol=1e-14)


def test_early_profiles_are_proportional_to_lambda():
    np.testing.assert_allclose(linear_cnn_profile(VARIANCE, tau=1e-9), 1e-9 * np.sqrt(VARIANCE), rtol=1e-8)
    np.testing.assert_allclose(linear_cnn_profile(VARIANCE, lr=1e-12, steps=10), 1e-11 * np.sqrt(VARIANCE), rtol=1e-9)


@pytest.mark.parametrize(
    "arguments", [{"tau": 0}, {"lr": 0.1, "steps": 0}, {"lr": 100, "steps": 0}, {"lr": 0.25, "steps": 0}]
)
def test_at_time_zero_nothing_is_learned(arguments: dict):
    assert linear_cnn_profile(VARIANCE, **arguments).tolist() == [0, 0, 0, 0]


def test_the_peak_is_where_tau_times_variance_is_1_2564():
    assert math.exp(PEAK) == pytest.approx(1 + 2 * PEAK, rel=1e-15)
    assert pytest.approx(1.2564, abs=1e-4) == PEAK
    variance = np.logspace(-2, 3, 500_001)
    for tau in (0.05, 0.3, 1.0, 7.0):
        profile = linear_cnn_profile(variance, tau)
        assert tau * variance[np.argmax(profile)] == pytest.approx(PEAK, rel=2e-5)
        peak = np.argmax(profile)
        assert (np.diff(profile[: peak + 1]) > 0).all()  # one hump
        assert (np.diff(profile[peak:]) < 0).all()


def test_the_peak_moves_to_smaller_variance_as_time_goes_on():
    variance = np.logspace(2, -4, 200)
    peaks = np.argmax(linear_cnn_profile(variance, np.logspace(-2, 4, 20)), axis=1)
    assert (np.diff(peaks) > 0).all()


@pytest.mark.parametrize("tau", [0.01, 0.3, 2.0, 50.0])
def test_discrete_time_tends_to_continuous_time_as_the_learning_rate_goes_to_zero(tau: float):
    limit = linear_cnn_profile(VARIANCE, tau)
    errors = []
    for steps in (10**3, 10**4, 10**5, 10**6):
        discrete = linear_cnn_profile(VARIANCE, lr=tau / steps, steps=steps)
        errors.append(np.abs(discrete / limit - 1).max())
    assert errors[0] <= 4 * tau / 10**3 * 2
    if errors[1] > 1e-10:  # first order: a tenth of the step, a tenth of the error
        assert errors[1] / errors[0] == pytest.approx(0.1, rel=0.15)
    np.testing.assert_allclose(linear_cnn_profile(VARIANCE, lr=tau / 1e12, steps=1e12), limit, rtol=1e-10)


@settings(max_examples=50, deadline=None)
@given(
    variance=st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=30),
    tau=st.floats(1e-6, 1e6),
    factor=st.floats(1e-3, 1e3),
)
def test_only_tau_times_variance_matters_but_for_the_scale(variance: list, tau: float, factor: float):
    plain = linear_cnn_profile(variance, tau)
    scaled = linear_cnn_profile(np.array(variance) * factor, tau / factor)
    np.testing.assert_allclose(scaled * np.sqrt(factor), plain, rtol=1e-12)


# Shapes and zeros


@pytest.mark.parametrize("shape", [(), (1,), (5,), (2, 3), (0,)])
def test_times_of_any_shape_come_first_and_components_last(shape: tuple):
    tau = np.random.default_rng(0).random(shape)
    steps = np.random.default_rng(0).integers(0, 100, shape)
    continuous = linear_cnn_profile(VARIANCE, tau)
    discrete = linear_cnn_profile(VARIANCE, lr=0.1, steps=steps)
    assert continuous.shape == discrete.shape == (*shape, 4)
    assert continuous.dtype == discrete.dtype == np.float64
    for index in np.ndindex(shape):
        np.testing.assert_array_equal(continuous[index], linear_cnn_profile(VARIANCE, float(tau[index])))
        np.testing.assert_array_equal(discrete[index], linear_cnn_profile(VARIANCE, lr=0.1, steps=int(steps[index])))


def test_components_without_variance_learn_nothing_in_finite_time():
    for got in (
        linear_cnn_profile([2.0, 0.0], tau=3),
        linear_cnn_profile([2.0, 0.0], lr=0.1, steps=30),
        linear_cnn_profile([2.0, 0.0], lr=1.5, steps=31),
    ):
        assert got[0] > 0
        assert got[1] == 0
        assert not np.signbit(got[1])


def test_the_input_is_left_alone():
    variance = VARIANCE.copy()
    variance.setflags(write=False)
    linear_cnn_profile(variance, tau=1)
    linear_cnn_profile(variance, lr=0.1, steps=[1, 2])


@pytest.mark.parametrize("lr", [1, 0.5, np.float32(0.5), np.int64(1)])
def test_learning_rates_of_every_number_type(lr: Any):
    np.testing.assert_array_equal(
        linear_cnn_profile(VARIANCE / 4, lr=lr, steps=3), linear_cnn_profile(VARIANCE / 4, lr=float(lr), steps=3)
    )


# Refusals


@pytest.mark.parametrize(
    ("variance", "message"),
    [
        ([1, -1e-9], r"variance of component 2 is -1e-09; expected a finite number, 0 or more"),
        ([np.nan, 1], "variance of component 1 is nan"),
        ([1, 1, INF], "variance of component 3 is inf"),
        ([], r"variance has shape \(0,\); expected a vector"),
        (3.0, r"variance has shape \(\)"),
        (np.eye(2), r"variance has shape \(2, 2\)"),
        (["a"], r"variance is \['a'\]; expected a vector of numbers"),
        ([1, [2]], "variance is"),
    ],
)
def test_variances_that_cannot_be_are_refused(variance: Any, message: str):
    with pytest.raises(InputError, match=message):
        linear_cnn_profile(variance, tau=1)
    with pytest.raises(InputError, match=message):
        linear_cnn_profile(variance, lr=0.1, steps=1)
    with pytest.raises(InputError, match=message):
        regime(variance, 0.1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "expected either tau, or lr and steps together"),
        ({"tau": 1, "lr": 0.1}, "either tau"),
        ({"tau": 1, "steps": 3}, "either tau"),
        ({"tau": 1, "lr": 0.1, "steps": 3}, "either tau"),
        ({"lr": 0.1}, "either tau"),
        ({"steps": 10}, "either tau"),
        ({"tau": -1e-300}, "tau is -1e-300; expected 0 or more"),
        ({"tau": [1, np.nan]}, "tau is .*nan.*; expected 0 or more"),
        ({"tau": "soon"}, "tau is 'soon'; expected numbers"),
        ({"tau": [[1], [2, 3]]}, "tau is"),
        ({"lr": 0.1, "steps": -1}, "steps is -1; expected 0 or more"),
        ({"lr": 0.1, "steps": 2.5}, "steps is 2.5; expected whole numbers"),
        ({"lr": 0.1, "steps": [1, np.nan]}, "steps is"),
        ({"lr": 0, "steps": 1}, "lr is 0; expected a positive number"),
        ({"lr": -0.1, "steps": 1}, "lr is -0.1; expected a positive number"),
        ({"lr": np.nan, "steps": 1}, "lr is nan"),
        ({"lr": INF, "steps": 1}, "lr is inf"),
        ({"lr": "0.1", "steps": 1}, "lr is '0.1'"),
        ({"lr": [0.1, 0.2], "steps": 1}, "lr is"),
        ({"lr": 0.5, "steps": INF}, r"lr \* variance reaches 2; expected less than 2"),
        ({"lr": 1, "steps": [1, INF]}, r"lr \* variance reaches 4; expected less than 2"),
        ({"lr": 1, "steps": 10**6}, "reaches 4, above 2, and after 1e\\+06 steps the energy is too large for a float"),
    ],
)
def test_times_and_rates_that_cannot_be_are_refused(arguments: dict, message: str):
    with pytest.raises(InputError, match=message):
        linear_cnn_profile(VARIANCE, **arguments)


@pytest.mark.parametrize("arguments", [{"tau": INF}, {"tau": [1, INF]}, {"lr": 0.1, "steps": INF}])
def test_whitening_a_component_without_variance_is_refused(arguments: dict):
    with pytest.raises(InputError, match="component 2 has no variance"):
        linear_cnn_profile([1.0, 0.0, 0.5], **arguments)


@pytest.mark.parametrize(("variance", "steps"), [([1e-3, 1e-4], 323), ([1e-12], 322)])
def test_an_energy_that_overflows_in_the_last_division_is_refused(variance: list, steps: int):
    with pytest.raises(InputError, match="too large for a float"):
        linear_cnn_profile(variance, lr=10 / variance[0], steps=steps)


@pytest.mark.parametrize(
    ("lr", "expected"),
    [
        (0.1, "converging"),
        (0.25, "converging"),
        (0.2500001, "oscillating"),
        (0.4999999, "oscillating"),
        (0.5, "diverging"),
        (7, "diverging"),
    ],
)
def test_regimes(lr: float, expected: str):
    assert regime(VARIANCE, lr) == expected
    assert regime(VARIANCE[::-1], lr) == expected


def test_a_regime_needs_a_positive_rate():
    with pytest.raises(InputError, match="lr is 0; expected a positive number"):
        regime(VARIANCE, 0)
