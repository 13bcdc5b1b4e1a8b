"""Filters out of a file on disk, whatever it is: told apart by its first bytes, not by what it is called."""

import logging
import shlex
import zipfile
from collections.abc import Callable
from pathlib import Path

from firstlight.errors import SourceError
from firstlight.filters.bank import FilterBank
from firstlight.filters.choice.first_layer import bank_of
from firstlight.filters.choice.tensors import TensorFile
from firstlight.filters.formats.archives import open_archive
from firstlight.filters.formats.refusals import named
from firstlight.filters.formats.safetensors.run_records import RECORDS, one_record
from firstlight.utils.regular_file import open_file
from firstlight.utils.text import listed
from firstlight.utils.trouble import refuse_trouble

logger = logging.getLogger(__name__)

_DISTRIBUTED = b"torch.distributed.checkpoint"  # in the first lines of what is called .metadata
_HDF5, _NPY, _ZIP = b"\x89HDF\r\n\x1a\n", b"\x93NUMPY", b"PK"
_FORMATS = (
    "PyTorch (.pt .pth .th .bin .ckpt, TorchScript, .pt2), .safetensors (or an .index.json), .onnx, Keras (.keras "
    ".h5), .npy and .npz"
)
# What a folder of weights may hold, in the order in which it is looked for.
_IN_FOLDERS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
_IN_FOLDERS += ("model.onnx", "model.keras")


def filters_from_file(path: Path, source: str, layer: str | None = None) -> FilterBank:
    """The first layer's filters of a network in a file.

    Parameters
    ----------
    path : Path
        A file, or a folder with one of the usual names in it.
    source : str
        What messages and the result call it.
    layer : str, optional
        The layer to take instead of the first.

    Raises
    ------
    InputError
        `layer` is not there, or the filters are not numbers.
    SourceError
        The file cannot be read, or holds no first layer.
    """
    try:
        with named(source):
            if path.is_dir():
                path = _in_folder(path, source)
            with open_file(path) as file:
                start = file.read(512)
            if path.suffix == ".distcp" or (start[:1] == b"\x80" and _DISTRIBUTED in start):
                raise _distributed(path.parent, source)
            logger.debug("reads %s, whose first bytes are %r", path, start[:8])
            return _reader(path, source, start)(layer)
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of symbolic links, before Python 3.13
        reason = getattr(error, "strerror", None) or error
        raise SourceError(f"{source} cannot be read ({reason}); expected {_FORMATS}") from None
    except MemoryError as error:
        refuse_trouble(error, source)
        raise SourceError(
            f"{source} asks for more memory than any machine has: it is damaged, or not weights"
        ) from None


def _reader(path: Path, source: str, start: bytes) -> Callable[[str | None], FilterBank]:
    """What reads a file that starts so: a function of the layer's name, or None for the first."""
    if start.startswith(_ZIP):
        return _zip_reader(path, source)
    if start.startswith(_HDF5):
        from firstlight.filters.formats.keras.reader import read_keras

        return lambda layer: read_keras(path, source, layer)
    if start.startswith(_NPY):
        from firstlight.filters.formats.numpy.reader import read_numpy

        return _choosing(read_numpy, path, source)
    if start[8:9] == b"{" and start[6:8] == b"\0\0":
        from firstlight.filters.formats.safetensors.reader import read_safetensors

        return lambda layer: bank_of(one_record(read_safetensors(path, source), layer), layer)
    if path.name.endswith(".index.json"):
        from firstlight.filters.formats.safetensors.reader import read_index

        return _choosing(read_index, path, source)
    if start[:1] == b"\x80" or start[257:262] == b"ustar" or _is_tar(start):
        from firstlight.filters.formats.torch.reader import read_torch

        return _choosing(read_torch, path, source)
    if path.suffix.lower() == ".onnx" or start[:1] == b"\x08":  # the field that comes first, ir_version
        from firstlight.filters.formats.onnx.reader import read_onnx

        return lambda layer: read_onnx(path, source, layer)
    raise SourceError(f"{source} {_what(start, path)}; expected {_FORMATS}")


def _zip_reader(path: Path, source: str) -> Callable[[str | None], FilterBank]:
    try:
        with open_archive(path) as archive:
            names = archive.namelist()
            before = min((member.header_offset for member in archive.infolist()), default=0)
    except zipfile.BadZipFile as error:
        raise SourceError(f"{source} is a damaged or incomplete archive ({error}): copy or download it again") from None
    if before:
        raise SourceError(
            f"{source} is several archives one after the other, of which any may have the first layer; expected one: "
            f"`tail -c +{before + 1}` of it is the last, `head -c {before}` what lies before that"
        )
    logger.debug("which is an archive of %s", listed(names, most=4, separator=", "))
    from firstlight.filters.formats.exported.reader import is_exported, read_exported

    if "config.json" in names or "model.weights.h5" in names:
        from firstlight.filters.formats.keras.reader import read_keras

        return lambda layer: read_keras(path, source, layer)
    if is_exported(names):
        return lambda layer: read_exported(path, source, layer)
    if names and all(name.endswith(".npy") for name in names):
        from firstlight.filters.formats.numpy.reader import read_numpy

        return _choosing(read_numpy, path, source)
    if any(name.endswith("data.pkl") for name in names):
        from firstlight.filters.formats.torch.reader import read_torch

        return _choosing(read_torch, path, source)
    shown = listed(names, most=4, separator=", ") or "nothing in it"
    raise SourceError(f"{source} is a .zip archive with {shown}; expected {_FORMATS}")


def _choosing(read: Callable[[Path, str], TensorFile], path: Path, source: str) -> Callable[[str | None], FilterBank]:
    return lambda layer: bank_of(read(path, source), layer)


def _in_folder(folder: Path, source: str) -> Path:
    for name in (*_IN_FOLDERS, RECORDS):
        if (folder / name).is_file():
            return folder / name
    if (folder / ".metadata").is_file() or any(folder.glob("*.distcp")):
        raise _distributed(folder, source)
    raise SourceError(f"{source} is a folder without {', '.join(_IN_FOLDERS)}: name the file in it")


def _distributed(folder: Path, source: str) -> SourceError:
    return SourceError(
        f"{source} is part of a checkpoint of torch.distributed.checkpoint; expected one file of weights: its "
        "dcp_to_torch_save makes one, "
        f"`python -m torch.distributed.checkpoint.format_utils dcp_to_torch {shlex.quote(str(folder))} model.pt`"
    )


def _is_tar(start: bytes) -> bool:
    """A tar archive of the time before "ustar" was written into it: a name, then its mode in octal digits."""
    mode = start[100:107].strip(b" \0")
    return len(start) == 512 and bool(mode) and mode.isdigit() and start[99:100] == b"\0"


def _what(start: bytes, path: Path) -> str:
    """What a file that nobody can read is, as far as its beginning tells."""
    text = start.lstrip().lower()
    if not start:
        return "is empty"
    if text.startswith(b"version https://git-lfs"):
        return "is a Git LFS pointer, not the weights: run `git lfs pull` to fetch them"
    if text.startswith((b"<!doctype html", b"<html", b"<?xml")):
        return "is a web page, not weights: a download that was redirected to a login or error page"
    if text.startswith(b"{") and path.suffix == ".json":
        return "is a .json file; of these only an index of .safetensors or .bin shards, *.index.json, is read"
    return "is in no format that is known"
