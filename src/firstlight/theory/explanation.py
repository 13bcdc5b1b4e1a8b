"""Explanation: one theory at the time that fits a profile best, and what chance gives that theory."""

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from firstlight.profile import correlation, standardized
from firstlight.theory.fit import fit_formula, log_r2
from firstlight.theory.null import RandomBanks, percentile, random_banks
from firstlight.theory.resampling import bootstrap, interval, shuffled_correlations
from firstlight.theory.scan import ALL_TAU, scan, shape_scores
from firstlight.theory.trajectory import Trajectory

# Of a trajectory's steps in log time: correlations between its times are those of profiles in between.
_BETWEEN = 8


@dataclass(frozen=True, eq=False)
class Explanation:
    """One theory at the time that fits a profile best.

    Attributes
    ----------
    theory : {"eq3", "composition"}
    t : float
        Of eq. 3 tau, which is lr * steps; of composition its time, in units in which lambda_1^2 is 25.8.
    correlation : float
        Of the profile and the prediction: what is maximised over t.
    log_r2 : float
        R^2 of log energy over the components with variance, the offset being free.
    interval : tuple of two float
        Where 95 % of the correlations lie when the components are drawn anew, with replacement, and t fitted again.
    null : float
        The 95th percentile of the correlation over profiles with the same energies in random orders, t fitted to each.
    random : float
        The same over random banks of as many filters of the same norms; NaN where no filters were given.
    p_value : float
        Share of these that correlate as well, at least 1 / 1001.
    bound : {"", "early", "late"}
        Whether t lies at an end of the times that were tried, so that it is not told but bounded.
    prediction : ndarray, shape (D,)
        Nearest to the profile in least squares.
    shapes : ndarray, shape (T, D)
        The theory's profiles at all times that were tried.
    resampled : ndarray, shape (N,)
        The correlations that `interval` is of. For two theories the same components are drawn.
    """

    theory: Literal["eq3", "composition"]
    t: float
    correlation: float
    log_r2: float
    interval: tuple[float, float]
    null: float
    random: float
    p_value: float
    bound: Literal["", "early", "late"]
    prediction: np.ndarray = field(repr=False)
    shapes: np.ndarray = field(repr=False)
    resampled: np.ndarray = field(repr=False)

    @property
    def chance(self) -> float:
        """What 95 % of shuffled profiles, and where there are filters of random banks, stay below."""
        return float(np.fmax(self.null, self.random))

    @property
    def beyond_chance(self) -> bool:
        """Whether it correlates better than that."""
        return self.correlation > self.chance

    def to_dict(self) -> dict[str, Any]:
        """All but the shapes in JSON's types, which know no infinity and no NaN: those are None."""
        return {
            "t": self.t if np.isfinite(self.t) else None,
            "correlation": self.correlation,
            "log_r2": self.log_r2 if np.isfinite(self.log_r2) else None,
            "interval": list(self.interval),
            "null": self.null,
            "random": self.random if np.isfinite(self.random) else None,
            "p_value": self.p_value,
            "bound": self.bound,
            "prediction": self.prediction.tolist(),
        }


def explain_by_eq3(energy: np.ndarray, variance: np.ndarray, banks: RandomBanks | None = None) -> Explanation:
    """Eq. 3 at its best time, as `fit_formula` finds it, beside random banks."""
    fit = fit_formula(energy, variance)
    _, shapes = scan(variance, ALL_TAU)
    chance = _chance(energy, shapes, fit.correlation, banks)
    return Explanation(
        "eq3", fit.tau, fit.correlation, fit.log_r2, bound=fit.bound, prediction=fit.prediction, **chance
    )


def interpolated(found: Trajectory) -> tuple[np.ndarray, np.ndarray]:
    """Times of a trajectory and between them, (T,), and its profiles there, (T, D)."""
    steps = np.arange(_BETWEEN * (len(found.t) - 1) + 1) / _BETWEEN
    places = np.arange(len(found.t))
    times = np.exp(np.interp(steps, places, np.log(found.t)))
    return times, np.array([np.interp(steps, places, one) for one in found.energy.T.astype(np.float64)]).T


def explain_by_composition(
    energy: np.ndarray, variance: np.ndarray, found: Trajectory, norms: np.ndarray | None = None
) -> Explanation:
    """The time of a trajectory, or between two of its times, at which it correlates best; `norms` for random banks."""
    times, shapes = interpolated(found)
    best = int(np.argmax(shape_scores(standardized(energy), shapes)))
    shape, positive = shapes[best], variance > 0
    r = correlation(energy, shape)
    banks = None if norms is None else random_banks(variance, len(norms), norms=norms, shapes=shapes)
    return Explanation(
        "composition",
        float(times[best]),
        r,
        log_r2(energy[positive], shape[positive]),
        bound="early" if best == 0 else "late" if best == len(times) - 1 else "",
        prediction=shape * (energy @ shape / (shape @ shape)),
        **_chance(energy, shapes, r, banks),
    )


def _chance(energy: np.ndarray, shapes: np.ndarray, r: float, banks: RandomBanks | None) -> dict[str, Any]:
    """What shuffled profiles, random banks, and components drawn anew, give a theory of these shapes."""
    shuffled, resampled = shuffled_correlations(energy, shapes), bootstrap(energy, shapes)
    return {
        "shapes": shapes,
        "resampled": resampled,
        "interval": interval(resampled),
        "null": percentile(shuffled),
        "random": np.nan if banks is None else percentile(banks.correlations),
        "p_value": float((1 + np.sum(shuffled >= r)) / (1 + len(shuffled))),
    }
