"""Files that are small on disk and large in memory, and a child process that reads one within a limit of memory."""

import gzip
import io
import json
import os
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

LARGE = 400 << 20  # bytes that each would take
ZEROS = bytes(1 << 22)

# Prints what the command told, its exit code, and the bytes by which its peak of memory grew.
CHILD = """
import contextlib, io, json, resource, sys
from pathlib import Path
import numba, numpy, pandas, PIL.Image, pyarrow.parquet
from firstlight.cli import main
main(["inspect", "w.npy", "--data", "few.npy", "-q", "--json", "first.json"])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + (1500 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
with contextlib.redirect_stderr(io.StringIO()) as told:
    code = main(sys.argv[1:])
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print("\\n" + json.dumps([code, told.getvalue(), grown << 10]))
"""


def read(folder: Path, arguments: list[str], most: str) -> tuple[int, str, int]:
    """Exit code, standard error, and bytes of growth of a command in a folder."""
    environment = {**os.environ, "FIRSTLIGHT_MAX_MEMORY": most, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", CHILD, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=folder, env=environment)
    assert done.stdout, done.stderr
    code, told, grown = json.loads(done.stdout.strip().splitlines()[-1])
    return code, told, grown


def zipped(path: Path, start: dict[str, bytes], name: str) -> None:
    """A zip whose last member is what is given, and zeros."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for other, content in start.items():
            if other != name:
                archive.writestr(other, content)
        with archive.open(name, "w", force_zip64=True) as member:
            member.write(start.get(name, b""))
            for _ in range(LARGE // len(ZEROS)):
                member.write(ZEROS)


def npy_header(shape: tuple[int, ...], dtype: str = "|u1") -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
    return file.getvalue()


def one_image(path: Path) -> None:
    zipped(path, {"images.npy": npy_header((1, LARGE // 3, 1, 3))}, "images.npy")


def header_of_moments(path: Path) -> None:
    numbers = npy_header((1,)) + b"\0"
    header = npy_header((), f"<U{LARGE // 4}")
    zipped(path, {"second.npy": numbers, "first.npy": numbers, "header.npy": header}, "header.npy")


def pickle_of_torch(path: Path) -> None:
    zipped(path, {"a/byteorder": b"little"}, "a/data.pkl")


def weights(path: Path) -> None:
    zipped(path, {"conv.npy": npy_header((LARGE // 27, 3, 3, 3))}, "conv.npy")


def cell(path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"image": [bytes(LARGE)]}), path, compression="zstd")


def page_of_a_dictionary(path: Path) -> None:
    """Of one cell, to which 40 rows refer."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    column = pa.DictionaryArray.from_arrays(pa.array([0] * 40), pa.array([bytes(50 << 20)]))
    pq.write_table(
        pa.table({"image": column}), path, compression="zstd", dictionary_pagesize_limit=1 << 30, store_schema=False
    )


def member_of_tar(path: Path, name: str = "a.png") -> None:
    info = tarfile.TarInfo(name)
    info.size = LARGE
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(info.tobuf())
        for _ in range(LARGE // len(ZEROS)):
            file.write(ZEROS)
        file.write(bytes(1024))


def batch_of_cifar(path: Path) -> None:
    member_of_tar(path, "cifar-10-batches-bin/data_batch_1.bin")


def sparse_json(path: Path) -> None:
    path.write_text("{")
    os.truncate(path, LARGE)


def picture(path: Path) -> None:
    """A PNG of 60,000 x 60,000 pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(1 << 20))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b""))


def text_of_a_picture(path: Path) -> None:
    packed = zlib.compress(bytes(LARGE), 1)
    content = b"k\0\0" + packed
    chunk = struct.pack(">I", len(content)) + b"zTXt" + content + struct.pack(">I", zlib.crc32(b"zTXt" + content))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + bytes(13) + bytes(4) + chunk)


def chunk_of_hdf5(path: Path) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        file.create_dataset(
            "layers/conv2d/vars/0", shape=(LARGE // 108, 3, 3, 3), dtype="f4", compression="gzip", chunks=True
        )


INSPECT, DATA = ["inspect", "FILE"], ["inspect", "w.npy", "--data", "FILE"]
MOMENTS = ["moments", "FILE", "--kernel-size", "1", "--out", "o.npz"]
BOMBS: list[tuple[str, Callable[[Path], None], list[str]]] = [
    ("images.npz", one_image, MOMENTS),
    ("images.npz", one_image, DATA),
    ("moments.npz", header_of_moments, DATA),
    ("model.pt", pickle_of_torch, INSPECT),
    ("weights.npz", weights, INSPECT),
    ("model.weights.h5", chunk_of_hdf5, INSPECT),
    ("cell.parquet", cell, MOMENTS),
    ("dictionary.parquet", page_of_a_dictionary, MOMENTS),
    ("images.tar.gz", member_of_tar, MOMENTS),
    ("cifar-10-binary.tar.gz", batch_of_cifar, DATA),
    ("model.safetensors.index.json", sparse_json, INSPECT),
    ("atlas.json", sparse_json, ["inspect", "w.npy", "--atlas", "FILE"]),
    ("picture.png", picture, MOMENTS),
    ("text.png", text_of_a_picture, MOMENTS),
]
