import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from tests.images.streams.files import noise, png
from tests.images.streams.tables import IMAGE, image_table, save_dictionary, save_parquet, save_to_disk

from firstlight.errors import FirstlightError, InputError, SourceError
from firstlight.images import image_stream
from firstlight.images.streams.encoded import Encoded
from firstlight.images.streams.image_tables import ImageTable

PIXELS = [noise(6 + index % 2, 5, 3) + np.uint8(index) for index in range(10)]
CELLS = [png(pixels, 2) for pixels in PIXELS]


def means(source: Any, **options: Any) -> list[float]:
    """The mean of every image, of the low ones and then of the high ones, each in the order of the data set."""
    stream = image_stream(source, progress=False, **options)
    stacks = sorted(stream, key=lambda stack: stack.shape[2])
    return [float(image.mean()) for stack in stacks for image in stack]


def expected(pixels: list[np.ndarray]) -> list[float]:
    return [float(image.mean()) for size in (6, 7) for image in pixels if len(image) == size]


def test_saved_dataset(tmp_path: Path) -> None:
    folder = save_to_disk(image_table(CELLS), tmp_path / "birds")
    assert means(folder) == expected(PIXELS)
    stream = image_stream(str(folder), progress=False)
    assert (stream.name, sum(map(len, stream)), stream.count) == ("birds", 10, 10)
    with pytest.raises(InputError, match=r"split is 'test', but .*birds is a data set without splits"):
        image_stream(folder, split="test")


def test_dictionary_takes_train_or_the_first_or_the_split_asked_for(tmp_path: Path) -> None:
    tables = {"validation": image_table(CELLS[:3]), "train": image_table(CELLS[3:])}
    folder = save_dictionary(tables, tmp_path / "birds")
    assert means(folder) == expected(PIXELS[3:])
    assert image_stream(folder).name == "birds/train"
    assert means(folder, split="validation") == expected(PIXELS[:3])
    assert means(save_dictionary({"b": tables["train"], "a": tables["validation"]}, tmp_path / "x")) == expected(
        PIXELS[3:]
    )
    with pytest.raises(InputError, match=r"split is 'test'; expected one of those in .*: validation, train"):
        image_stream(folder, split="test")


@pytest.mark.parametrize(
    "kind",
    [IMAGE, pa.binary(), pa.large_binary(), pa.struct([("path", pa.large_string()), ("bytes", pa.large_binary())])],
)
def test_types_of_columns(tmp_path: Path, kind: Any) -> None:
    cells = [{"bytes": cell, "path": "x"} if pa.types.is_struct(kind) else cell for cell in CELLS]
    for features in (None, {}):
        table = image_table(cells, "picture", kind, features)
        assert means(save_parquet(table, tmp_path / "x.parquet")) == expected(PIXELS)


def test_parquet_and_arrow_files_hold_the_same(tmp_path: Path) -> None:
    table = image_table(CELLS)
    streamed = save_to_disk(table, tmp_path / "saved", shards=1) / "data-00000-of-00001.arrow"
    with pa.OSFile(str(tmp_path / "footed.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=4)
    save_parquet(table, tmp_path / "x.PARQUET").rename(tmp_path / "x.Parquet")
    sources = [tmp_path / "saved", streamed, tmp_path / "footed.arrow", tmp_path / "x.Parquet"]
    assert [means(source) for source in sources] == [expected(PIXELS)] * 4
    assert len({image_stream(source, progress=False).fingerprint for source in sources}) == 1


def test_folder_of_parquet(tmp_path: Path) -> None:
    data = tmp_path / "birds" / "data"
    save_parquet(image_table(CELLS[:4]), data / "train-00000-of-00002.parquet")
    save_parquet(image_table(CELLS[4:7]), data / "train-00001-of-00002.parquet")
    save_parquet(image_table(CELLS[7:]), data / "test-00000-of-00001.parquet")
    assert means(tmp_path / "birds") == expected(PIXELS[:7])
    assert image_stream(tmp_path / "birds").name == "birds/train"
    assert means(tmp_path / "birds", split="test") == expected(PIXELS[7:])
    with pytest.raises(InputError, match=r"split is 'dev', but no Parquet file in .* is called so"):
        image_stream(tmp_path / "birds", split="dev")
    (data / "thumbnail.png").write_bytes(CELLS[0])
    with pytest.raises(InputError, match=r"holds Parquet files like data/test.* as well as data/thumbnail\.png"):
        image_stream(tmp_path / "birds")


def test_parquet_without_splits_is_read_whole_and_folders_name_splits(tmp_path: Path) -> None:
    for index in range(2):
        save_parquet(image_table(CELLS[5 * index : 5 * index + 5]), tmp_path / "plain" / f"trains{index}.parquet")
        save_parquet(
            image_table(CELLS[5 * index : 5 * index + 5]), tmp_path / "split" / ("test", "train")[index] / "0.parquet"
        )
    assert means(tmp_path / "plain") == expected(PIXELS)
    assert image_stream(tmp_path / "plain").name == "plain"
    assert means(tmp_path / "split") == expected(PIXELS[5:])


def test_images_kept_by_path_stay_within_the_data_set(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(CELLS[3])
    folder = tmp_path / "set"
    paths = [
        "images/1.png",
        str(folder / "images" / "2.png"),
        "../secret.png",
        str(tmp_path / "secret.png"),
        "link.png",
        "nul\0l.png",
        "none.png",
        "",
    ]
    save_to_disk(image_table([{"bytes": None, "path": path} for path in paths] + [None, CELLS[2]]), folder)
    (folder / "images").mkdir()
    for index in (1, 2):
        (folder / "images" / f"{index}.png").write_bytes(CELLS[index - 1])
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    stream = image_stream(folder, progress=False)
    assert sorted(float(image.mean()) for stack in stream for image in stack) == sorted(expected(PIXELS[:3]))
    assert stream.broken == [
        ("row 2", "its path leads out of the data set: ../secret.png"),
        ("row 3", f"its path leads out of the data set: {tmp_path / 'secret.png'}"[:139]),
        ("row 4", "its path leads out of the data set: link.png"),
        ("row 5", "its path is none: nul\\u0000l.png"),
        ("row 6", "No such file or directory"),
        ("row 7", "no image in this row"),
        ("row 8", "no image in this row"),
    ]
    before = stream.fingerprint
    (folder / "images" / "1.png").write_bytes(CELLS[5])
    assert image_stream(folder, progress=False).fingerprint != before


def test_which_column(tmp_path: Path) -> None:
    def column(features: dict[str, str], **types: Any) -> str:
        metadata = {"info": {"features": {name: {"_type": kind} for name, kind in features.items()}}}
        schema = pa.schema(list(types.items()), {"huggingface": json.dumps(metadata)})
        with pa.OSFile(str(tmp_path / "x.arrow"), "wb") as sink:
            pa.ipc.new_stream(sink, schema).close()
        return ImageTable("x", [tmp_path / "x.arrow"], tmp_path).column

    assert column({"b": "Image"}, a=IMAGE, b=IMAGE) == "b"
    assert column({"a": "Image", "img": "Image"}, a=IMAGE, img=IMAGE) == "img"
    assert column({}, a=pa.binary(), b=IMAGE, c=IMAGE) == "b"
    assert column({"a": "Audio"}, a=pa.binary(), n=pa.int64()) == "a"
    with pytest.raises(InputError, match=r"x has no column of encoded images among its columns \(n: int64\)"):
        column({"n": "Image"}, n=pa.int64())


def test_of_several_image_columns_the_name_tells_which(tmp_path: Path) -> None:
    table = image_table(CELLS, features={}).append_column("mask", pa.array([{"bytes": b"", "path": ""}] * 10, IMAGE))
    stream = image_stream(save_parquet(table, tmp_path / "x.parquet"), progress=False)
    assert (stream.name, sum(map(len, stream))) == ("x.parquet (image)", 10)


@pytest.mark.parametrize("kind", [pa.list_(IMAGE), pa.list_(pa.uint8()), pa.string()])
def test_other_columns_are_refused(tmp_path: Path, kind: Any) -> None:
    table = image_table([None], kind=kind)
    with pytest.raises(InputError, match="has no column of encoded images among its columns"):
        image_stream(save_parquet(table, tmp_path / "x.parquet"))


def test_no_rows(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no rows; expected at least one image"):
        image_stream(save_to_disk(image_table([]), tmp_path / "x"))


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("state.json", "{", "cannot be read"),
        ("state.json", "[]", "is damaged"),
        ("state.json", "[" * 100_000, "cannot be read"),
        ("state.json", "{}", "names no data files"),
        ("state.json", '{"_data_files": [{"filename": "../x.arrow"}]}', "names no data files"),
        ("state.json", '{"_data_files": [{"filename": "/etc/passwd"}]}', "names no data files"),
        ("state.json", '{"_data_files": [7]}', "names no data files"),
        ("state.json", '{"_data_files": [{"filename": "gone.arrow"}]}', "cannot be read as a table"),
        ("state.json", '{"_data_files": [{"filename": "state.json"}]}', "cannot be read as a table"),
        ("state.json", '{"_indices_data_files": [{"filename": "i.arrow"}]}', "keeps a selection of rows apart"),
        ("dataset_dict.json", '{"splits": []}', "names no splits"),
        ("dataset_dict.json", '{"splits": ["../x"]}', "names no splits"),
        ("dataset_dict.json", '{"splits": ["train"]}', "cannot be read"),
    ],
)
def test_hostile_descriptions(tmp_path: Path, file: str, text: str, message: str) -> None:
    folder = save_to_disk(image_table(CELLS), tmp_path / "x")
    (folder / file).write_text(text)
    with pytest.raises(SourceError, match=message) as caught:
        image_stream(folder)
    assert "\n" not in str(caught.value)


def test_files_of_different_tables(tmp_path: Path) -> None:
    save_parquet(image_table(CELLS), tmp_path / "x" / "0.parquet")
    save_parquet(image_table(CELLS, "other"), tmp_path / "x" / "1.parquet")
    with pytest.raises(SourceError, match=r"1\.parquet: no column 'image' of images"):
        list(image_stream(tmp_path / "x", progress=False))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["stream", "parquet"]), st.data())
def test_damaged_tables_are_read_or_refused(tmp_path: Path, form: str, data: st.DataObject) -> None:
    seed = tmp_path / f"seed.{form}"
    if not seed.exists():
        table = image_table(CELLS)
        if form == "parquet":
            save_parquet(table, seed)
        else:
            (save_to_disk(table, tmp_path / "seed", shards=1) / "data-00000-of-00001.arrow").rename(seed)
    content = bytearray(seed.read_bytes())
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content))) :]
    for _ in range(data.draw(st.integers(1, 6)) if content else 0):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    damaged = tmp_path / ("x.parquet" if form == "parquet" else "x.arrow")
    damaged.write_bytes(content)
    try:
        list(image_stream(damaged, progress=False))
    except FirstlightError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either outcome is fine


def test_rows_are_handed_out_without_copying(tmp_path: Path) -> None:
    folder = save_to_disk(image_table(CELLS), tmp_path / "x", shards=1)
    table = ImageTable("x", [folder / "data-00000-of-00001.arrow"], folder)
    before = pa.total_allocated_bytes()
    items: list[Encoded] = list(table.items())
    assert [bytes(item.content) for item in items] == CELLS
    assert pa.total_allocated_bytes() - before < 1000  # they lie in the mapped file
