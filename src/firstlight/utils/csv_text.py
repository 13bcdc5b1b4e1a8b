"""Tables as CSV that a spreadsheet shows as they are: no text in a cell is run as a formula."""

import re
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

from firstlight.utils.text import printable

if TYPE_CHECKING:
    import pandas as pd

_FORMULA = re.compile(r"[=@]|[+-](?![\d.]+(e[+-]?\d+)?$)")


def csv_text(table: "pd.DataFrame", **options: Any) -> str:
    """A table as CSV, with line feeds; numbers keep all their digits.

    A text that begins as a formula does gets an apostrophe before it, and each stays on one line.
    """
    import pandas as pd

    shown = table.rename(index=_cell, columns=_cell)
    for place, kind in enumerate(table.dtypes):
        if not pd.api.types.is_numeric_dtype(kind):
            cells = [_cell(value) for value in table.iloc[:, place]]
            shown.isetitem(place, pd.Series(cells, index=shown.index, dtype=object))
    return shown.to_csv(lineterminator="\n", **options)


def _cell(value: Hashable) -> Any:
    if not isinstance(value, str):
        return value
    shown = printable(value)
    return f"'{shown}" if _FORMULA.match(shown) else shown
