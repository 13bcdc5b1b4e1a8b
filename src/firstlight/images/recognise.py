"""What data is this? The one place that tells, from all that a user may name to a `Data`."""

import logging
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from firstlight.errors import InputError
from firstlight.images.cifar import CIFAR
from firstlight.images.cifar.original import is_original
from firstlight.images.cifar.tarballs import archive_names
from firstlight.images.imageset import ImageSet
from firstlight.images.kinds.files import EncodedFiles, ImageFolder, OtherFiles
from firstlight.images.kinds.kind import Data
from firstlight.images.kinds.objects import GivenShards, GivenStream, Objects
from firstlight.images.kinds.one_array import ArrayFile, GivenArray, GivenSet, NamedSet, OriginalFiles
from firstlight.images.named_sets import NAMES, unknown_name
from firstlight.images.shards.cut import Cut
from firstlight.images.shards.shard import Shard
from firstlight.images.streams.choice import ADVICE
from firstlight.images.streams.decode import SUFFIXES, is_image
from firstlight.images.streams.image_files import ImageFiles, files_below
from firstlight.images.streams.image_tables import (
    TABLE_SUFFIXES,
    is_saved_dataset,
    one_table,
    parquet_folder,
    saved_dataset,
)
from firstlight.images.streams.stream import ImageStream
from firstlight.images.streams.tars import TAR_ENDS, TarFiles, is_tar, tar_folder
from firstlight.utils.named_path import path_of
from firstlight.utils.nearest import nearest_path
from firstlight.utils.regular_file import check_file
from firstlight.utils.text import printable

logger = logging.getLogger(__name__)

_EXPECTED = (
    "a folder of images, the original files of CIFAR, an image file, a tar file of them, .npy or .npz, Parquet or "
    "Arrow, the folder of a saved Hugging Face data set, an array, or a torch Dataset or DataLoader"
)


def recognise(source: Any, data_dir: str | Path | None = None) -> Data:
    """Tell what data a user has named, by the names of files; of a file without a usual one by how it begins.

    Parameters
    ----------
    source : object
        Whatever `load_images`, `image_stream` or `shards_of` take, or the `Data` that this has become before.
    data_dir : str or Path, optional
        Where data sets that are known by name are kept.

    Raises
    ------
    InputError
        It is nothing that images are read from; or a name that is none, a path at which nothing lies, a folder
        without images.
    """
    if isinstance(source, Data):
        return source
    if isinstance(source, str) and source in NAMES:
        return NamedSet(source, f"the data set {source}", data_dir=data_dir)
    if isinstance(source, str) and not source:
        raise InputError(f"source is an empty name; expected {_EXPECTED}")
    if isinstance(source, str) and _is_word(source):
        raise unknown_name(source)
    if isinstance(source, str | os.PathLike):
        found = _at(path_of(source))
        logger.debug("%s is %s", found.where, found.kind)
        return found
    kind = f"a {type(source).__name__}"
    if isinstance(source, ImageSet):
        return GivenSet(source.name, kind, images=source)
    if isinstance(source, np.ndarray) or hasattr(source, "detach"):  # a torch tensor
        return GivenArray("array", kind, images=source)
    if isinstance(source, ImageStream):
        return GivenStream(source.name, kind, items=source)
    if isinstance(source, list | tuple) and source and all(isinstance(item, Shard) for item in source):
        return GivenShards(source[0].name, f"a {type(source).__name__} of shards", items=source)
    indexed = hasattr(source, "__getitem__") and hasattr(source, "__len__")
    if isinstance(source, Mapping | bytes) or not (hasattr(source, "__iter__") or indexed):
        raise InputError(f"source is {kind}; expected {_EXPECTED}")
    return Objects(type(source).__name__, kind, items=source)


def _is_word(source: str) -> bool:
    """Whether it can only be meant as the name of a data set."""
    path = Path(source)
    return path.name == source and not path.suffix and not path.exists() and not path.is_symlink()


def _at(path: Path) -> Data:
    """What lies at a path."""
    suffix, name = path.suffix.lower(), printable(path.resolve().name or str(path))
    if path.is_dir():
        return _in_folder(path, name)
    if not path.exists() and not path.is_symlink():
        raise InputError(f"{path} does not exist{nearest_path(path)}; expected {_EXPECTED}")
    if path.exists():
        check_file(path)
    if suffix in (".npy", ".npz"):
        return ArrayFile(path.name, f"a {suffix} file", path)
    for cifar in CIFAR.values():
        if path.name in archive_names(cifar):
            return OriginalFiles(cifar.name, f"an archive of {cifar.title}", path, definition=cifar)
    if suffix in TABLE_SUFFIXES:
        return EncodedFiles(name, f"a {suffix} file", path, source=partial(one_table, path), cut_by=Cut.table)
    if is_tar(path.name) and path.is_file():
        return EncodedFiles(name, "a tar file", path, source=partial(TarFiles, path, [path.name]), cut_by=Cut.tars)
    if suffix in SUFFIXES or (path.is_file() and is_image(path)):
        return EncodedFiles(name, "an image file", path, source=partial(ImageFiles, path), cut_by=Cut.files)
    raise InputError(f"{path} is not a file that images are read from; expected {_EXPECTED}")


def _may_hold_images(path: str) -> bool:
    return os.path.splitext(path)[1].lower() in SUFFIXES | TABLE_SUFFIXES | TAR_ENDS


def _in_folder(folder: Path, name: str) -> Data:
    """What the files below a folder are, by their names."""
    found = partial(EncodedFiles, name, where=folder)
    if is_saved_dataset(folder):
        return found("a saved data set", source=partial(saved_dataset, folder), cut_by=Cut.table, has_splits=True)
    for cifar in CIFAR.values():
        if is_original(cifar, folder):
            return OriginalFiles(cifar.name, f"the original batches of {cifar.title}", folder, definition=cifar)
    tars, tables, picture, arrow = [], [], "", ""
    for file in files_below(folder, _may_hold_images):
        suffix = os.path.splitext(file)[1].lower()
        if suffix in SUFFIXES:
            picture = picture or file
        elif suffix == ".parquet":
            tables.append(file)
        elif suffix in TABLE_SUFFIXES:
            arrow = arrow or file
        elif is_tar(file):
            tars.append(file)
    if tables and picture:
        raise InputError(
            f"{folder} holds Parquet files like {printable(tables[0])} as well as {printable(picture)}; expected one "
            "kind: name the folder below"
        )
    other = tars[0] if tars else ""
    if tables:
        source = partial(parquet_folder, folder, tables)
        return found("a folder of Parquet files", source=source, cut_by=Cut.table, has_splits=True, passed_over=other)
    if picture:
        source = partial(ImageFiles, folder)
        return ImageFolder(name, "a folder of image files", folder, source=source, cut_by=Cut.files, passed_over=other)
    if tars:
        source = partial(tar_folder, folder, tars)
        return found("a folder of tar files", source=source, cut_by=Cut.tars, has_splits=True, passed_over=arrow)
    refusal = (
        f"{folder} holds no images; expected files that end in {', '.join(sorted(SUFFIXES))}, or in .parquet or .tar"
    )
    if next(files_below(folder, lambda _: True), None) is None:
        raise InputError(refusal)
    source = partial(ImageFiles, folder)
    return OtherFiles(name, "a folder", folder, source=source, cut_by=Cut.files, refusal=f"{refusal}{ADVICE}")
