"""Writes images in the formats that CIFAR is handed out in, so that tests can read them back."""

import io
import json
import pickle
import struct
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from firstlight.images.cifar import Pixels


def binary_batch(pixels: Pixels, label_bytes: int = 1) -> bytes:
    """Records of labels (the last is the class, any before it are 99) and channel planes."""
    table = np.full((len(pixels.labels), label_bytes + 3072), 99, dtype=np.uint8)
    table[:, label_bytes - 1] = pixels.labels
    table[:, label_bytes:] = _planes(pixels)
    return table.tobytes()


def python3_batch(pixels: Pixels, label_key: bytes = b"labels") -> bytes:
    """A batch as Python 3 writes it in protocol 2."""
    batch = {b"batch_label": b"batch", label_key: pixels.labels.tolist(), b"data": _planes(pixels)}
    return pickle.dumps(batch, protocol=2)


def python2_batch(pixels: Pixels, label_key: bytes = b"labels") -> bytes:
    """A batch as Python 2 and NumPy 1 wrote the originals, opcode by opcode."""

    def text(value: bytes) -> bytes:
        if len(value) < 256:
            return b"U" + bytes([len(value)]) + value
        return b"T" + struct.pack("<i", len(value)) + value

    def integer(value: int) -> bytes:
        return b"J" + struct.pack("<i", value)

    rows = len(pixels.labels)
    labels = b"](" + b"".join(integer(int(label)) for label in pixels.labels) + b"e"
    empty = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n" + integer(0) + b"\x85" + text(b"b") + b"\x87R"
    dtype = b"cnumpy\ndtype\n" + text(b"u1") + integer(0) + integer(1) + b"\x87R"
    dtype += b"(" + integer(3) + text(b"|") + b"NNN" + integer(-1) + integer(-1) + integer(0) + b"tb"
    shape = integer(rows) + integer(3072) + b"\x86"
    array = empty + b"(" + integer(1) + shape + dtype + b"\x89" + text(_planes(pixels).tobytes()) + b"tb"
    items = text(b"batch_label") + text(b"training batch 1 of 5") + text(label_key) + labels + text(b"data") + array
    return b"\x80\x02}(" + items + b"u."


def parquet(pixels: Pixels, label_column: str = "label") -> bytes:
    """A table as the Hugging Face hub keeps it."""
    cells = [{"bytes": png(image), "path": None} for image in pixels.images]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({"img": pa.array(cells, kind), label_column: pa.array(pixels.labels.tolist(), pa.int64())})
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def png(image: np.ndarray) -> bytes:
    """A PNG file of an (H, W, 3) image."""
    sink = io.BytesIO()
    Image.fromarray(image).save(sink, "PNG", compress_level=1)
    return sink.getvalue()


def tarball(members: dict[str, bytes]) -> bytes:
    """A compressed tar archive."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w:gz", compresslevel=1) as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return sink.getvalue()


def npm_members(splits: dict[str, Pixels]) -> dict[str, bytes]:
    """The files of the npm package, each image a row of 1024 pixels."""
    members = {}
    for index, part in enumerate(np.array_split(splits["train"].images, 5), start=1):
        members[f"package/data_batch_{index}.png"] = png(part.reshape(-1, 1024, 3))
    members["package/train_lables.json"] = json.dumps(splits["train"].labels.tolist()).encode()
    members["package/test_batch.png"] = png(splits["test"].images.reshape(-1, 1024, 3))
    members["package/test_lables.json"] = json.dumps(splits["test"].labels.tolist()).encode()
    return members


def original_archive(splits: dict[str, Pixels], folder: str) -> bytes:
    """The original binary archive of CIFAR-10."""
    members = {f"{folder}/test_batch.bin": binary_batch(splits["test"])}
    for index, (images, labels) in enumerate(
        zip(np.array_split(splits["train"].images, 5), np.array_split(splits["train"].labels, 5), strict=True),
        1,
    ):
        members[f"{folder}/data_batch_{index}.bin"] = binary_batch(Pixels(images, labels))
    return tarball(members)


def _planes(pixels: Pixels) -> np.ndarray:
    return np.ascontiguousarray(pixels.images.transpose(0, 3, 1, 2)).reshape(len(pixels.labels), 3072)
