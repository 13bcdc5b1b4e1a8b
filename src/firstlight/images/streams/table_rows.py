"""How many rows of a Parquet file are read at a time, so that memory stays bounded."""

from pathlib import Path
from typing import TYPE_CHECKING

from firstlight.utils.budget import check_item, most_bytes

if TYPE_CHECKING:
    import pyarrow.parquet as pq

_BATCH_ROWS = 32


def rows_at_once(metadata: "pq.FileMetaData", column: str, path: Path) -> int:
    """Rows of a column that are read at a time: each may be as large as the column is in its group of rows.

    Raises
    ------
    OverBudget
        What is compressed in one group takes too much memory, and so may a page or a cell of it.
    """
    largest = 0
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        for part in map(group.column, range(group.num_columns)):
            if part.path_in_schema.partition(".")[0] == column:
                check_item(f"{column} in {path}", part.total_uncompressed_size, part.total_compressed_size)
                largest = max(largest, part.total_uncompressed_size)
    return max(1, min(_BATCH_ROWS, most_bytes() // max(1, largest)))
