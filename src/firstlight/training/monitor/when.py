"""At which updates a first layer is looked at."""

from collections.abc import Iterable
from typing import Literal

from firstlight.errors import InputError
from firstlight.utils.checks import whole_number

Steps = Literal["log"] | int | Iterable[int]
_GROWTH = 1.2  # twelve or thirteen a decade


class Schedule:
    """The update after which to look next.

    Parameters
    ----------
    steps : "log", int or iterable of int
        0, 1, 2, ... and then each a fifth later than the one before; every so many; or these.

    Raises
    ------
    InputError
        It is none of them.
    """

    def __init__(self, steps: Steps = "log") -> None:
        self._every = 0
        self._given: list[int] | None = None
        if isinstance(steps, str):
            if steps != "log":
                raise InputError(f"steps is {steps!r}; expected 'log', a number, or numbers of updates")
        elif isinstance(steps, Iterable):
            self._given = sorted({whole_number("steps", step, 0) for step in steps})
        else:
            self._every = whole_number("steps", steps, 1)

    def after(self, step: int) -> float:
        """The first update later than `step` at which to look; infinity where there is none."""
        if self._given is not None:
            return next((given for given in self._given if given > step), float("inf"))
        if self._every:
            return (step // self._every + 1) * self._every
        return max(step + 1, int(step * _GROWTH))
