"""Alarms: what of a first layer in training is worth being told of at once."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from firstlight.errors import InputError
from firstlight.patches.basis import PatchBasis
from firstlight.training.monitor.measurement import Measures
from firstlight.utils.text import plural

_STILL = 100  # updates after which a layer that learns has moved
_SETTLED = 1000  # updates after which the first component no longer leads where inputs are normalised
_MEAN_SHARE = 0.95  # of the energy squared


@dataclass(frozen=True)
class Alarm:
    """Something that was noticed, once.

    Attributes
    ----------
    code : str
        "not-moving", "non-finite", "dying-filters" or "mean-component".
    step : int
    text : str
    """

    code: str
    step: int
    text: str


def _not_moving(rows: Sequence[Measures], energy: np.ndarray, basis: PatchBasis) -> str:
    row = rows[-1]
    if row.step < _STILL or row.change > 0:
        return ""
    return f"the first layer has not moved in {row.step:,} updates: see whether the optimiser was given it"


def _dying(rows: Sequence[Measures], energy: np.ndarray, basis: PatchBasis) -> str:
    first, row = rows[0], rows[-1]
    if row.dead <= first.dead:
        return ""
    return (
        f"{row.dead} {plural(row.dead, 'filter has', 'filters have')} died by update {row.step:,} "
        f"({first.dead} at the start): a smaller learning rate may keep them"
    )


def _mean(rows: Sequence[Measures], energy: np.ndarray, basis: PatchBasis) -> str:
    row = rows[-1]
    total = float(np.sum(energy**2))
    flat = abs(basis.images[0].mean(axis=(1, 2))).sum() * np.sqrt(basis.size / basis.channels) / np.sqrt(basis.channels)
    if row.step < _SETTLED or row.peak != 1 or energy[0] ** 2 < _MEAN_SHARE * total or flat < 0.9:
        return ""
    return (
        f"{energy[0] ** 2 / total:.0%} of the energy is in the mean component after {row.step:,} updates: see whether "
        "the inputs are normalised"
    )


_TESTS: dict[str, Callable[[Sequence[Measures], np.ndarray, PatchBasis], str]] = {
    "not-moving": _not_moving,
    "dying-filters": _dying,
    "mean-component": _mean,
}
NON_FINITE = "non-finite"
CODES = (NON_FINITE, *_TESTS)


def checked_alarms(alarms: str | Iterable[str]) -> frozenset[str]:
    """The codes that were asked for; "all" is all of them.

    Raises
    ------
    InputError
        One of them is none.
    """
    asked = set(CODES if alarms == "all" else [alarms] if isinstance(alarms, str) else alarms)
    if unknown := sorted(asked - set(CODES)):
        raise InputError(f"alarms has {unknown[0]!r}; expected some of {', '.join(CODES)}, or 'all'")
    return frozenset(asked)


def raised(
    asked: Iterable[str], before: Iterable[Alarm], rows: Sequence[Measures], energy: np.ndarray, basis: PatchBasis
) -> list[Alarm]:
    """The alarms that the last measurement gives rise to, but those that were raised before."""
    told = {alarm.code for alarm in before}
    found = ((code, _TESTS[code](rows, energy, basis)) for code in _TESTS if code in asked and code not in told)
    return [Alarm(code, rows[-1].step, text) for code, text in found if text]
