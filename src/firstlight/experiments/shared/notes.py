"""Numbers as the notes of claims give them."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from firstlight.experiments.context import Context


def number(values: pd.Series, show: Callable[[float], str] = "{:.3f}".format, undefined: str = "undefined") -> str:
    """The mean of some numbers."""
    mean = values.mean(skipna=False)
    return show(mean) if np.isfinite(mean) else undefined


def percent(values: pd.Series) -> str:
    """The mean of some shares."""
    return number(values, "{:.1%}".format, "not recorded")


def listed(values: pd.Series, form: str = ".3f") -> str:
    """Some numbers, one after the other."""
    return ", ".join(format(value, form) for value in values)


def tau_units(context: Context) -> str:
    """What tau is measured in."""
    train, _ = context.facts()
    return (
        f"τ = lr × steps of the linear CNN, on patches normalised per channel with mean {list(train.mean)} and std "
        f"{list(train.std)}"
    )
