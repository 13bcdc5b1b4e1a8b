"""Data sets as Hugging Face's `datasets` 5.2.0 lays them out on disk, written with pyarrow."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def image_table(cells: list[Any], column: str = "image", kind: Any = IMAGE, features: Any = None) -> pa.Table:
    """A table of images and labels; a cell is bytes, or {"bytes": ..., "path": ...}, or None."""
    if kind == IMAGE:
        cells = [{"bytes": cell, "path": None} if isinstance(cell, bytes) else cell for cell in cells]
    table = pa.table({"label": pa.array(range(len(cells)), pa.int64()), column: pa.array(cells, kind)})
    if features is None:
        features = {"label": {"dtype": "int64", "_type": "Value"}, column: {"_type": "Image"}}
    return table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def save_to_disk(table: pa.Table, folder: Path, shards: int = 2, rows: int = 3) -> Path:
    """What `Dataset.save_to_disk` writes: shards in Arrow's stream form, and two JSON files."""
    folder.mkdir(parents=True)
    files = [f"data-{index:05}-of-{shards:05}.arrow" for index in range(shards)]
    step = -(-table.num_rows // shards)
    for index, file in enumerate(files):
        with pa.OSFile(str(folder / file), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table.slice(index * step, step), max_chunksize=rows)
    state = {
        "_data_files": [{"filename": file} for file in files],
        "_fingerprint": "be559d45bab442b0",
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": None,
    }
    (folder / "state.json").write_text(json.dumps(state, indent=2, sort_keys=True))
    features = json.loads((table.schema.metadata or {}).get(b"huggingface", b"{}"))
    info = {"citation": "", "description": "", "features": features, "homepage": "", "license": ""}
    (folder / "dataset_info.json").write_text(json.dumps(info, indent=2))
    return folder


def save_dictionary(tables: dict[str, pa.Table], folder: Path) -> Path:
    """What `DatasetDict.save_to_disk` writes."""
    for split, table in tables.items():
        save_to_disk(table, folder / split)
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": list(tables)}))
    return folder


def save_parquet(table: pa.Table, path: Path) -> Path:
    """What `Dataset.to_parquet` writes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=4)
    return path
