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


def training_note(rows: pd.DataFrame) -> str:
    """Mean loss and accuracy beside those of guessing."""
    classes = rows.classes.iloc[0]
    guessing = f"guessing: {np.log(classes):.3f} and {1 / classes:.1%}"
    return f"training loss {number(rows.train_loss)} and accuracy {percent(rows.train_accuracy)} ({guessing})"


def tau_units(context: Context) -> str:
    """What tau is measured in."""
    train, _ = context.facts()
    return (
        f"τ = lr × steps of the linear CNN, on patches normalised per channel with mean {list(train.mean)} and std "
        f"{list(train.std)}"
    )
