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


def number_range(values: pd.Series, digits: str) -> str:
    """The smallest and the largest of some numbers."""
    low, high = f"{values.min():{digits}}", f"{values.max():{digits}}"
    return low if low == high else f"{low} to {high}"


def tau_units(context: Context) -> str:
    """What tau is measured in."""
    train, _ = context.facts()
    return (
        f"τ = lr × steps of the linear CNN, on patches normalised per channel with mean {list(train.mean)} and std "
        f"{list(train.std)}"
    )
