"""Verdicts: what a 95% interval over seeds says of a criterion, and how several conditions make one verdict."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

Verdict = Literal["reproduced", "not reproduced", "inconclusive", "not tested", "holds", "violated"]
Kind = Literal["published claim", "assumption", "numerical check", "own finding"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
KINDS: tuple[Kind, ...] = get_args(Kind)
Interval = tuple[float, float]

CORRELATION: Interval = (-1.0, 1.0)  # what a correlation can be
SHARE: Interval = (0.0, 1.0)

# Quantiles of Student's t at 97.5%, for 1 to 10 degrees of freedom.
_T = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281)
_Z = 1.959964
_ROUNDING = 1e-12  # by which equal values can miss themselves


def t_quantile(freedom: int) -> float:
    """The 97.5% quantile of Student's t, to four digits."""
    if freedom <= len(_T):
        return _T[freedom - 1]
    # Cornish and Fisher's expansion about the normal quantile.
    first = (_Z**3 + _Z) / 4
    second = (5 * _Z**5 + 16 * _Z**3 + 3 * _Z) / 96
    third = (3 * _Z**7 + 19 * _Z**5 + 17 * _Z**3 - 15 * _Z) / 384
    return _Z + first / freedom + second / freedom**2 + third / freedom**3


def t_interval(values: Sequence[float]) -> Interval | None:
    """The 95% t-interval of the mean of independent values; None for fewer than two, which have no spread."""
    count = len(values)
    if count < 2:
        return None
    mean = math.fsum(values) / count
    spread = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1))
    half = t_quantile(count - 1) * spread / math.sqrt(count)
    return mean - half, mean + half


def pairs_interval(pairs: Mapping[tuple[int, int], Sequence[float]]) -> Interval | None:
    """The 95% interval of the mean over pairs of runs, which are not independent where they share a run.

    Parameters
    ----------
    pairs : mapping of (seed, other seed) to sequence of float
        The values of all pairs of runs of these two seeds.

    Returns
    -------
    tuple of float, or None
        The mean and half the t-interval of the jackknife's pseudo-values to either side; these leave out one seed at a
        time, and with it all pairs that have it. None where fewer than two seeds are there, or one without the others
        leaves nothing.
    """

    def mean(without: int | None) -> float:
        kept = [value for seeds, values in pairs.items() if without not in seeds for value in values]
        return math.fsum(kept) / len(kept) if kept else math.nan

    seeds = sorted({seed for both in pairs for seed in both})
    whole = mean(None)
    pseudo = [len(seeds) * whole - (len(seeds) - 1) * mean(seed) for seed in seeds]
    interval = t_interval(pseudo) if all(map(math.isfinite, pseudo)) else None
    # About the mean that is shown: where pairs of one seed count, that of the pseudo-values is another.
    return interval and (whole - (interval[1] - interval[0]) / 2, whole + (interval[1] - interval[0]) / 2)


@dataclass(frozen=True)
class Condition:
    """One thing that a criterion asks for.

    Attributes
    ----------
    quantity : str
        What the values are.
    values : tuple of float
        One a seed, a pair of runs, or a data set.
    least, most : float
        Both ends of what is asked for; infinite where there is none.
    interval : tuple of float, or None
        The 95% interval of the mean over seeds; None where there are too few.
    exact : bool
        Whether the value is a property of the data or of theory, which no seed changes: then it is judged as it is.
    every : bool
        Whether every single value must lie there, and not their mean.
    wrong_above : bool
        Whether to be above `most` speaks against the claim; else only to be below `least` does.
    after_one_step : tuple of float
        The same quantity on the same runs after their first update; empty where there is none.
    possible : tuple of float
        Least and largest value that the quantity can have. An interval of few values near one of them, which is
        symmetric, ends beyond it: it is shown up to there. What counts is the interval as it is.
    """

    quantity: str
    values: tuple[float, ...]
    least: float = -math.inf
    most: float = math.inf
    interval: Interval | None = None
    exact: bool = False
    every: bool = False
    wrong_above: bool = True
    after_one_step: tuple[float, ...] = ()
    possible: Interval = (-math.inf, math.inf)

    @classmethod
    def over_seeds(
        cls, quantity: str, values: Sequence[float], *, after_one_step: Sequence[float] = (), **bounds: Any
    ) -> "Condition":
        """A condition on the mean over independent runs, one value a seed."""
        numbers = _floats(values)
        finite = all(map(math.isfinite, numbers))
        return cls(
            quantity,
            numbers,
            interval=t_interval(numbers) if finite else None,
            after_one_step=_floats(after_one_step),
            **bounds,
        )

    @classmethod
    def over_pairs(
        cls,
        quantity: str,
        pairs: Mapping[tuple[int, int], Sequence[float]],
        *,
        after_one_step: Sequence[float] = (),
        **bounds: Any,
    ) -> "Condition":
        """A condition on the mean over pairs of runs, by their seeds."""
        numbers = _floats([value for values in pairs.values() for value in values])
        return cls(
            quantity,
            numbers,
            interval=pairs_interval(pairs),
            after_one_step=_floats(after_one_step),
            **bounds,
        )

    @classmethod
    def of_data(cls, quantity: str, value: float, **bounds: Any) -> "Condition":
        """A condition on one number that no seed changes."""
        return cls(quantity, (float(value),), exact=True, **bounds)

    @property
    def mean(self) -> float:
        """Mean of the values; NaN where there is none."""
        return math.fsum(self.values) / len(self.values) if self.values else math.nan

    def interval_text(self, show: Callable[[float], str]) -> str:
        """The interval for people, within what is possible; empty where there is none."""
        least, most = self.possible
        return (self.interval and f"[{', '.join(show(min(max(end, least), most)) for end in self.interval)}]") or ""

    @property
    def holds(self) -> bool | None:
        """Whether it holds; None where the values cannot say."""
        if not self.values or not all(map(math.isfinite, self.values)):
            return None
        if self.exact:
            return self.within(self.values[0])
        if self.every:
            return None if len(self.values) < 2 else all(map(self.within, self.values))
        if self.interval is None:
            return None
        low, high = self.interval
        if self.least <= low + _ROUNDING and high - _ROUNDING <= self.most:
            return True
        wrong = high < self.least or (self.wrong_above and low > self.most)
        return False if wrong else None

    @property
    def holds_after_one_step(self) -> bool:
        """Whether it is already so after one update of the weights, by the mean over the same runs."""
        values = self.after_one_step
        if not values or not all(map(math.isfinite, values)):
            return False
        return all(map(self.within, values)) if self.every else self.within(math.fsum(values) / len(values))

    def within(self, value: float) -> bool:
        """Whether a value lies between both ends."""
        return bool(self.least <= value <= self.most)  # and no NumPy boolean, which JSON does not know

    def to_dict(self) -> dict[str, Any]:
        """The condition in JSON's types: no infinity, no NaN."""
        return {
            "quantity": self.quantity,
            "values": [_finite(value) for value in self.values],
            "interval": None if self.interval is None else [_finite(end) for end in self.interval],
            "least": _finite(self.least),
            "most": _finite(self.most),
            "every": self.every,
            "exact": self.exact,
            "holds": self.holds,
            "after_one_step": [_finite(value) for value in self.after_one_step],
        }


def verdict_of(conditions: Sequence[Condition], kind: Kind) -> Verdict:
    """One verdict of all conditions: one that fails is enough against, one that is open enough for "inconclusive"."""
    found = [condition.holds for condition in conditions]
    positive, negative = ("reproduced", "not reproduced") if kind == "published claim" else ("holds", "violated")
    if False in found:
        return negative
    return "inconclusive" if None in found else positive


def _floats(values: Sequence[float]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None
