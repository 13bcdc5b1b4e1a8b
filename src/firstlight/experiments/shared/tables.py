"""Small things that are done to tables of runs."""

from collections.abc import Sequence

import pandas as pd


def rows_where(table: pd.DataFrame, **values: object) -> pd.DataFrame:
    """The rows of a table that have these values."""
    for column, value in values.items():
        table = table.loc[table[column] == value]
    return table


def at_ends(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of the first and of the last recorded step of every network, in the order of the table."""
    steps = table.groupby("network").step
    first, last = steps.transform("min"), steps.transform("max")
    return table.loc[table.step == first], table.loc[table.step == last]


def stacked(tables: Sequence[pd.DataFrame], columns: Sequence[str]) -> pd.DataFrame:
    """Tables one under the other, with these columns; of tables, there may be none, and some may be empty."""
    filled = [table for table in tables if len(table)]
    if not filled:
        return pd.DataFrame(columns=list(columns))
    return pd.concat(filled, ignore_index=True).reindex(columns=list(columns))


def spearman(x: pd.Series, y: pd.Series) -> float:
    """Rank correlation of two columns; NaN for fewer than three rows."""
    return float(x.rank().corr(y.rank())) if len(x) >= 3 else float("nan")
