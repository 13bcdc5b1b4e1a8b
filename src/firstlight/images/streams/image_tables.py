"""Tables with a column of encoded images: Parquet, Arrow, and what Hugging Face's `datasets` saves to disk."""

import contextlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstlight.errors import InputError, SourceError
from firstlight.images.streams.encoded import Encoded
from firstlight.images.streams.table_rows import rows_at_once
from firstlight.utils.given import json_file, json_of
from firstlight.utils.regular_file import check_file
from firstlight.utils.remote_paths import RemotePath
from firstlight.utils.text import first_line, printable
from firstlight.utils.trouble import refuse_trouble

if TYPE_CHECKING:
    import pyarrow as pa

TABLE_SUFFIXES = frozenset({".parquet", ".arrow"})
_DICT, _STATE = "dataset_dict.json", "state.json"
_PREFERRED = ("image", "img", "pixel_values")


class ImageTable:
    """The images in a column of one or several files of the same table.

    Parameters
    ----------
    name : str
        What messages call it.
    files : list of Path
        Parquet or Arrow files, in order.
    root : Path
        The folder that images kept by path must lie in.

    Raises
    ------
    InputError
        No column holds images.
    SourceError
        A file is damaged.
    """

    noun = "image"

    def __init__(self, name: str, files: list[Path], root: Path) -> None:
        self.files, self.root = files, root
        with _table(files[0]) as (schema, _, _):
            self.column = _image_column(name, schema)
            self._columns = [field.name for field in schema if _holds_bytes(field.type)]
        self._several = len(_image_columns(schema)) > 1
        self._called = self.name = name
        self.only = ()

    def total(self) -> int:
        """Number of rows."""
        rows = 0
        for file in self.files:
            with _table(file) as (_, count, _):
                rows += count
        return rows

    def items(self) -> Iterator[Encoded]:
        """The images, named by row from 0; a few rows, or a mapped batch, are held at a time."""
        row, left = 0, Counter()
        for file in self.files:
            with _table(file) as (schema, _, batches):
                if self.column not in schema.names or not _holds_bytes(schema.field(self.column).type):
                    raise SourceError(f"{file.name}: no column {self.column!r} of images, which the first file has")
                first = row
                for cells in batches(self.column):
                    cells.validate(full=True)  # offsets in a damaged file may point anywhere
                    for cell in cells:
                        yield Encoded(f"row {row}", self._content(cell))
                        row += 1
                others = (column for column in _image_columns(schema) if column != self.column)
                left += Counter({f"images of the column {column}": row - first for column in others})
        if left:
            yield Encoded("", left)

    @property
    def only(self) -> tuple[str, ...]:
        """The column, where it was chosen by its name."""
        return self._only

    @only.setter
    def only(self, columns: tuple[str, ...]) -> None:
        if columns and columns not in [(column,) for column in self._columns]:
            raise InputError(
                f"only is {', '.join(columns)}; expected one column of images of {self._called}: "
                f"{', '.join(self._columns)}"
            )
        self._only = columns
        if columns:
            self.column = columns[0]
        self.name = f"{self._called} ({self.column})" if self._several or columns else self._called

    def _content(self, cell: "pa.Scalar[Any]") -> Any:
        """Bytes, a path, or the reason why there is neither."""
        import pyarrow as pa

        path = None
        if isinstance(cell, pa.StructScalar):
            names = {field.name for field in cell.type}
            path = cell["path"].as_py() if cell.is_valid and "path" in names else None
            cell = cell["bytes"] if cell.is_valid else cell
        if cell.is_valid:
            return cell.as_buffer()  # pyright: ignore[reportAttributeAccessIssue]
        if not path:
            return "no image in this row"
        try:
            target = (self.root / path).resolve()
            inside = target.is_relative_to(self.root.resolve())
        except (OSError, ValueError, RuntimeError) as error:  # a null byte; a link that leads to itself
            refuse_trouble(error, printable(path, 100))
            return f"its path is none: {printable(path, 100)}"
        if not inside:
            return f"its path leads out of the data set: {printable(path, 100)}"
        return target if target.exists() else "No such file or directory"


def one_table(path: Path) -> ImageTable:
    """Open a Parquet or Arrow file."""
    return ImageTable(printable(path.name), [path], path.parent)


def is_saved_dataset(folder: Path) -> bool:
    """Whether `datasets` has saved a data set, or a dictionary of them, to this folder."""
    return (folder / _DICT).is_file() or (folder / _STATE).is_file()


def saved_dataset(folder: Path, split: str | None) -> ImageTable:
    """Open what `Dataset.save_to_disk` or `DatasetDict.save_to_disk` has written.

    Parameters
    ----------
    folder : Path
    split : str or None
        One of the splits of a dictionary; None takes "train" if it is there, else the first.

    Raises
    ------
    InputError
        There is no such split, or no column of images.
    SourceError
        Files are missing or damaged.
    """
    name = printable(folder.resolve().name)
    if (folder / _DICT).is_file():
        splits = _json(folder / _DICT).get("splits")
        if not isinstance(splits, list) or not splits or not all(map(_plain_name, splits)):
            raise SourceError(f"{folder / _DICT} names no splits; expected what DatasetDict.save_to_disk writes")
        split = split or ("train" if "train" in splits else splits[0])
        if split not in splits:
            raise InputError(f"split is {split!r}; expected one of those in {folder}: {', '.join(splits)}")
        folder, name = folder / split, f"{name}/{split}"
    elif split is not None:
        raise InputError(f"split is {split!r}, but {folder} is a data set without splits: leave it out")
    state = _json(folder / _STATE)
    if any(state.get(key) for key in ("_indices_files", "_indices_data_files")):
        raise SourceError(f"{folder} keeps a selection of rows apart: save it again after flatten_indices()")
    files = state.get("_data_files")
    names = [entry.get("filename") for entry in files if isinstance(entry, dict)] if isinstance(files, list) else []
    if not names or not all(map(_plain_name, names)):
        raise SourceError(f"{folder / _STATE} names no data files; expected what Dataset.save_to_disk writes")
    return ImageTable(name, [folder / str(file) for file in names], folder)


def parquet_folder(folder: Path, files: Sequence[str], split: str | None) -> ImageTable:
    """Open the Parquet files below a folder, which are named relative to it, as one table.

    A file belongs to a split if its name begins with it ("train-00000-of-00002.parquet", "test.parquet") or the
    folder that it lies in has that name.

    Raises
    ------
    InputError
        There is no such split, or no column of images.
    """
    chosen = [file for file in files if _belongs(file, split or "train")]
    if split is not None and not chosen:
        raise InputError(f"split is {split!r}, but no Parquet file in {folder} is called so, like {files[0]}")
    name = printable(folder.resolve().name)
    return ImageTable(
        f"{name}/{split or 'train'}" if chosen else name, [folder / file for file in chosen or files], folder
    )


def _belongs(file: str, split: str) -> bool:
    *folders, stem = file.removesuffix(".parquet").split("/")
    return split in folders[-1:] or re.match(re.escape(split) + r"($|[-_.])", stem) is not None


def _plain_name(name: Any) -> bool:
    return isinstance(name, str) and name not in ("", ".", "..") and re.search(r"[/\\\0]", name) is None


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json_file(path)
    except (OSError, ValueError) as error:
        refuse_trouble(error, str(path))
        raise SourceError(f"{path} cannot be read: {first_line(error)}") from None
    if not isinstance(found, dict):
        raise SourceError(f"{path} is damaged; expected a small JSON object")
    return found


@contextlib.contextmanager
def _table(path: Path) -> Iterator[tuple["pa.Schema", int, Any]]:
    """Open a file: its schema, its number of rows, and a function from a column to its pieces."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    remote = isinstance(path, RemotePath)
    try:
        check_file(path)
        if path.suffix.lower() == ".parquet":
            source = path.open("rb") if remote else path
            with pq.ParquetFile(source, pre_buffer=False, buffer_size=1 << 20) as file:

                def pieces(column: str) -> Iterator["pa.Array[Any]"]:
                    rows = rows_at_once(file.metadata, column, path)
                    for batch in file.iter_batches(rows, columns=[column], use_threads=False):
                        yield batch.column(column)

                yield file.schema_arrow, file.metadata.num_rows, pieces
        else:
            with pa.PythonFile(path.open("rb"), "r") if remote else pa.memory_map(str(path)) as source:
                schema, batches = _record_batches(source)
                rows = sum(batch.num_rows for batch in batches)
                yield schema, rows, lambda column: (batch.column(column) for batch in _record_batches(source)[1])
    # UnicodeDecodeError (a ValueError): a name; the rest is what pyarrow documents.
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, MemoryError, OverflowError) as error:
        if isinstance(error, InputError):
            raise
        refuse_trouble(error, str(path))
        raise SourceError(f"{path} cannot be read as a table: {first_line(error)}") from None


def _record_batches(source: Any) -> tuple["pa.Schema", Iterator["pa.RecordBatch"]]:
    """What an Arrow file holds, in the stream form that `datasets` writes or in the form with a footer."""
    import pyarrow as pa

    source.seek(0)
    footed = source.read(6) == b"ARROW1"
    source.seek(0)
    if footed:
        reader = pa.ipc.open_file(source)
        return reader.schema, (reader.get_batch(index) for index in range(reader.num_record_batches))
    reader = pa.ipc.open_stream(source)
    return reader.schema, iter(reader)


def _image_column(name: str, schema: "pa.Schema") -> str:
    columns = _image_columns(schema)
    if not columns:
        found = ", ".join(f"{field.name}: {field.type}" for field in schema)[:200] or "none"
        raise InputError(
            f"{name} has no column of encoded images among its columns ({found}); "
            "expected bytes, or a struct of bytes and path as `datasets` keeps them"
        )
    return next((name for name in _PREFERRED if name in columns), columns[0])


def _image_columns(schema: "pa.Schema") -> list[str]:
    """Columns that the features call images; without any such, columns of the type that images have; else bytes."""
    from pyarrow import types

    readable = [field for field in schema if _holds_bytes(field.type)]
    declared = _declared_images(schema.metadata)
    structs = [field.name for field in readable if types.is_struct(field.type)]
    return [field.name for field in readable if field.name in declared] or structs or [f.name for f in readable]


def _holds_bytes(kind: Any) -> bool:
    from pyarrow import types

    if types.is_struct(kind):
        index = kind.get_field_index("bytes")
        return index >= 0 and _holds_bytes(kind.field(index).type) and not types.is_struct(kind.field(index).type)
    return types.is_binary(kind) or types.is_large_binary(kind)


def _declared_images(metadata: dict[bytes, bytes] | None) -> set[str]:
    try:
        features = json_of((metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
        return {name for name, feature in features.items() if feature.get("_type") == "Image"}
    except (ValueError, KeyError, TypeError, AttributeError):
        return set()  # the types of the columns tell as well
