"""Whether an argument is such a number as it should be; if not, one line: its name, its value, what was expected."""

import math
import numbers
import operator
from typing import Any

from firstlight.errors import InputError


def whole_number(name: str, value: Any, least: int | None = None) -> int:
    """The value as an int; NumPy's whole numbers are some too, True and 3.0 are none.

    Raises
    ------
    InputError
        It is none, or below `least`.

    Examples
    --------
    >>> whole_number("stride", 2, least=1)
    2
    """
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None or (least is not None and number < least):
        bound = "" if least is None else f" of at least {least}"
        raise InputError(f"{name} is {value!r}; expected a whole number{bound}")
    return number


def positive_number(name: str, value: Any) -> float:
    """The value as a float above 0 and below infinity.

    Raises
    ------
    InputError
        It is none.

    Examples
    --------
    >>> positive_number("lr", 0.1)
    0.1
    """
    if isinstance(value, numbers.Real) and not isinstance(value, bool) and 0 < float(value) < math.inf:
        return float(value)
    raise InputError(f"{name} is {value!r}; expected a positive number")
