"""The images that were left out: what they are called, of which kind the trouble is, and why."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pandas as pd

# So many images that were left out are named, some 30 MB of memory; all are counted.
MOST_NAMED = 100_000
UNREADABLE, TOO_SMALL, DAMAGED = "unreadable", "too small", "damaged file"


class Broken(NamedTuple):
    """An image that was left out; or a file of many, from where it is damaged on."""

    name: str
    reason: str
    kind: str = UNREADABLE


def pairs(broken: Iterable[Broken]) -> list[tuple[str, str]]:
    """Names and reasons."""
    return [(one.name, one.reason) for one in broken]


def broken_table(broken: Iterable[Broken]) -> "pd.DataFrame":
    """A row an image: name, kind and reason."""
    import pandas as pd

    columns = ["name", "kind", "reason"]
    return pd.DataFrame([[getattr(one, column) for column in columns] for one in broken], columns=pd.Index(columns))
