"""The closed form: the energy profile that gradient descent gives the first layer of a linear CNN (eq. 3)."""

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from firstlight.errors import InputError
from firstlight.theory.arguments import variance_of
from firstlight.utils.checks import positive_number

# The profile peaks at the component with tau * lambda^2 = PEAK, the positive root of exp(x) = 1 + 2 x.
PEAK = 1.2564312086261697


def linear_cnn_profile(
    variance: Any = None,
    tau: ArrayLike | None = None,
    *,
    lr: float | None = None,
    steps: ArrayLike | None = None,
    kernel_size: int | None = None,
) -> np.ndarray:
    """Energy profile of the first layer of a depth-2 linear CNN after training from small weights (eq. 3).

    Either in continuous time, ``e_i = (1 - exp(-tau lambda_i^2)) / lambda_i``, or for a learning rate and a number of
    steps exactly, ``e_i = |1 - (1 - lr lambda_i^2)^steps| / lambda_i``. The first is the limit of the second as lr
    goes to 0 with tau = lr * steps. Eq. 3 has a further constant factor, c / lr^2, which no correlation sees.

    Parameters
    ----------
    variance : array_like of shape (D,), PatchBasis, or whatever else `patch_statistics` takes; optional
        lambda_i^2, the variance of the patches in each component: finite, not negative. Or the basis that has it, or
        the data whose patches are meant: by default CIFAR-10.
    tau : float or array_like of shape T, optional
        Training time lr * steps, on inputs normalised as the variance is; 0 to infinity.
    lr : float, optional
        Learning rate; give it with `steps` and without `tau`.
    steps : int or array_like of shape T, optional
        Number of gradient steps, whole; ``float("inf")`` is allowed.
    kernel_size : int, optional
        Of the patches of data, by default 3.

    Returns
    -------
    ndarray, shape T + (D,), float64
        The profile for each time. As time goes to infinity it tends to 1 / lambda_i: whitening.

    Raises
    ------
    InputError
        Negative or NaN input; whitening (infinite time) with a component of no variance, whose energy would be
        infinite; no limit because lr * lambda^2 >= 2; or a diverging profile too large for a float.

    References
    ----------
    Eq. 3 and its limit: Chowers and Weiss, ICML 2023, Theorems 4.2 and 4.3.

    Examples
    --------
    >>> linear_cnn_profile([4.0, 1.0, 0.25], tau=1.0).round(4)  # peaks where tau * variance is near 1.26
    array([0.4908, 0.6321, 0.4424])
    >>> linear_cnn_profile([4.0, 1.0, 0.25], tau=float("inf"))
    array([0.5, 1. , 2. ])
    """
    variance = checked_variance(variance_of(variance, kernel_size))
    if tau is not None and lr is None and steps is None:
        time = _checked_time("tau", tau)
        _refuse_infinite_energy(variance, time)
        with np.errstate(over="ignore", invalid="ignore"):
            learned = -np.expm1(-time[..., None] * variance)  # 0 variance at infinite time was refused
    elif tau is None and lr is not None and steps is not None:
        time = _checked_time("steps", steps)
        if not (np.isinf(time) | (time == np.floor(time))).all():
            raise InputError(f"steps is {steps!r}; expected whole numbers")
        learned = _learned_in_steps(variance, lr, time)
    else:
        raise InputError(f"tau is {tau!r}, lr {lr!r}, steps {steps!r}; expected either tau, or lr and steps together")
    deviation = np.sqrt(variance)
    with np.errstate(over="ignore"):
        profile = np.divide(learned, deviation, out=np.zeros(learned.shape), where=deviation > 0)
    if not np.isfinite(profile).all():
        raise InputError(
            f"lr * variance reaches {lr * variance.max() if lr else 0:.4g} and the energy is too large for a float: "
            "lower lr or steps"
        )
    return profile


def regime(variance: ArrayLike, lr: float) -> Literal["converging", "oscillating", "diverging"]:
    """What gradient descent with this learning rate does in the component of largest variance.

    "converging" steadily while lr * lambda^2 <= 1, "oscillating" about the limit, but converging, below 2,
    "diverging" from 2 on.
    """
    fastest = positive_number("lr", lr) * checked_variance(variance).max()
    return "converging" if fastest <= 1 else "oscillating" if fastest < 2 else "diverging"


def _learned_in_steps(variance: np.ndarray, lr: float, steps: np.ndarray) -> np.ndarray:
    """|1 - (1 - x)^steps| with x = lr * variance, shape steps.shape + variance.shape, without cancellation."""
    x = np.broadcast_to(positive_number("lr", lr) * variance, (*steps.shape, len(variance)))
    t = np.broadcast_to(steps[..., None], x.shape)
    forever = np.isinf(t)
    if (forever & (x >= 2)).any():
        raise InputError(
            f"lr * variance reaches {x.max():.4g}; expected less than 2, where gradient descent has a limit: lower lr"
        )
    _refuse_infinite_energy(variance, steps)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        # log|1 - x| as log1p of an exact difference, on either side of 1.
        rate = np.where(x < 1, np.log1p(-np.minimum(x, 1)), np.log1p(np.maximum(x, 1) - 2))
        exponent = np.where(t == 0, 0.0, t * rate)
        alternates = (x > 1) & (t % 2 == 1)  # (1 - x)^t is negative
        learned = np.where(alternates, 1 + np.exp(exponent), np.abs(np.expm1(exponent)))
    learned = np.where(forever, 1.0, learned)
    if not np.isfinite(learned).all():
        raise InputError(
            f"lr * variance reaches {x.max():.4g}, above 2, and after {steps.max():.4g} steps the energy "
            "is too large for a float: lower lr or steps"
        )
    return learned


def _refuse_infinite_energy(variance: np.ndarray, time: np.ndarray) -> None:
    if np.isinf(time).any() and (variance == 0).any():
        raise InputError(
            f"component {int(np.argmin(variance)) + 1} has no variance, so whitening it needs infinite energy; "
            "expected a finite time, or positive variance: leave the component out"
        )


def checked_variance(variance: ArrayLike) -> np.ndarray:
    """The variance as a float64 vector, or an InputError that says what is wrong with it."""
    try:
        array = np.asarray(variance, dtype=np.float64)
    except (ValueError, TypeError):
        raise InputError(f"variance is {variance!r}; expected a vector of numbers") from None
    if array.ndim != 1 or array.size == 0:
        raise InputError(f"variance has shape {array.shape}; expected a vector, one number a component")
    if not (np.isfinite(array) & (array >= 0)).all():
        bad = int(np.argmin(np.isfinite(array) & (array >= 0)))
        raise InputError(f"variance of component {bad + 1} is {array[bad]}; expected a finite number, 0 or more")
    return array


def _checked_time(name: str, value: ArrayLike) -> np.ndarray:
    try:
        time = np.asarray(value, dtype=np.float64)
    except (ValueError, TypeError):
        raise InputError(f"{name} is {value!r}; expected numbers") from None
    if not (time >= 0).all():  # false for NaN too
        raise InputError(f"{name} is {value!r}; expected 0 or more, or infinity")
    return time
