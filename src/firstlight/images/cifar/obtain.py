"""CIFAR from the cache, from a folder of the user's, or fetched: whichever is there first, always checked."""

import json
import logging
import os
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from firstlight.errors import SourceError
from firstlight.images.cache import UnwritableCache, cache_dir, scratch_folder, sole_writer, temporary_cache
from firstlight.images.cifar import CifarDefinition, Digest, Pixels
from firstlight.images.cifar.mirrors import sources
from firstlight.images.cifar.original import read_folder
from firstlight.images.cifar.tarballs import archive_names, read_archive
from firstlight.utils.console import note, note_once
from firstlight.utils.given import json_file
from firstlight.utils.regular_file import open_file
from firstlight.utils.whole_files import atomic_write, write_text

logger = logging.getLogger(__name__)

_SPLITS = ("train", "test")
_PROVENANCE = "provenance.json"


def load_cifar(definition: CifarDefinition, split: str, data_dir: str | Path | None = None) -> Pixels:
    """Return one split, fetched if it is not on disk yet.

    Parameters
    ----------
    definition : CifarDefinition
        Which data set.
    split : {"train", "test"}
        ``"train"`` or ``"test"``.
    data_dir : str or Path, optional
        The cache folder, or a folder in which the original batches or archives already lie, or such an archive.

    Returns
    -------
    Pixels
        Images (N, 32, 32, 3) uint8, memory-mapped where they come from the cache, and labels (N,) uint8.

    Raises
    ------
    SourceError
        When neither the disk nor any source has a genuine copy; it gives the reason of each.
    """
    found, failures = _find(definition, split, cache_dir(data_dir))
    if found is not None:
        return found[1]
    try:
        folder = _fetch(definition, cache_dir(data_dir), failures)
    except UnwritableCache as error:
        folder = _fetch(definition, temporary_cache(), failures)
        note_once(f"{definition.title} is not kept: {error}")
    pixels = read_store(definition, folder, split)
    if pixels is None:
        raise SourceError(f"{definition.title} vanished from {folder} after it was fetched: try again")
    return pixels


def fetch_cifar(definition: CifarDefinition, data_dir: str | Path | None = None) -> Path:
    """Make sure that both splits are on disk and genuine; return the folder that holds them."""
    root = cache_dir(data_dir)
    failures: list[str] = []
    folders = []
    for split in _SPLITS:
        found, more = _find(definition, split, root)
        failures += more
        if found is not None:
            folders.append(found[0])
    return folders[0] if len(folders) == len(_SPLITS) else _fetch(definition, root, failures)


def is_stored(definition: CifarDefinition, data_dir: str | Path | None = None) -> bool:
    """Tell whether the cache has all files; what they hold is checked only when they are read."""
    folder = cache_dir(data_dir) / definition.name
    return all(os.path.isfile(path) for split in _SPLITS for path in _paths(folder, split))


def read_store(definition: CifarDefinition, folder: Path, split: str) -> Pixels | None:
    """Read a split from our own files in `folder`; None when they are not there.

    Raises
    ------
    SourceError
        When they are damaged or not genuine.
    """
    images_path, labels_path = _paths(folder, split)
    if not (os.path.isfile(images_path) and os.path.isfile(labels_path)):  # which cannot be read, either
        return None
    try:
        images = np.lib.format.open_memmap(images_path, mode="r")
        with open_file(labels_path) as file:
            labels = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise SourceError(f"{split} files cannot be read ({error})") from None
    digest = definition.check(split, Pixels(images, labels))
    recorded = _recorded_digest(folder, split)
    if recorded is not None and digest != recorded:
        raise SourceError(f"{split} files do not have the SHA-256 that {_PROVENANCE} records")
    return Pixels(images, labels)


def _find(definition: CifarDefinition, split: str, root: Path) -> tuple[tuple[Path, Pixels] | None, list[str]]:
    """Look on disk; also return why anything that looked like the data set was passed over."""
    failures = []
    own, python, binary = (
        root / definition.name,
        root / definition.python_folder,
        root / definition.binary_folder,
    )
    for folder, read in [
        (own, read_store),
        (root, read_store),
        (root, read_folder),
        (python, read_folder),
        (binary, read_folder),
        *((root / name, read_archive) for name in archive_names(definition)),
        (root, read_archive),
    ]:
        try:
            pixels = read(definition, folder, split)
        except SourceError as error:
            failures.append(f"{folder}: {error}")
            note(f"{definition.title} in {folder} is not used: {error}")
            continue
        if pixels is not None:
            logger.debug("%s, %s: read from %s", definition.title, split, folder)
            return (folder, pixels), failures
    return None, failures


def _fetch(definition: CifarDefinition, root: Path, failures: list[str]) -> Path:
    if os.path.isfile(root):
        reasons = "; ".join(failures)
        raise SourceError(
            f"{reasons}; expected one of the original archives, {' or '.join(archive_names(definition))}, or a folder"
        )
    folder = root / definition.name
    with sole_writer(folder):
        if _is_whole(definition, folder):  # another process fetched it while this one waited
            return folder
        for source in sources(definition):
            try:
                with scratch_folder(folder) as scratch:
                    splits = source.fetch(definition, scratch)
                digests = {split: definition.check(split, splits[split]) for split in _SPLITS}
            except SourceError as error:
                failures.append(f"{source.title}: {error}")
                note(f"{definition.title} cannot be had from the {source.title}: {error}")
                continue
            except OSError as error:
                raise UnwritableCache(folder, error) from None
            _store(folder, source.title, splits, digests)
            return folder
    reasons = "; ".join(failures)
    raise SourceError(
        f"{definition.title} cannot be had ({reasons}): name a folder that holds it with data_dir=, "
        f"or use the offline photographs (--data photos)"
    )


def _is_whole(definition: CifarDefinition, folder: Path) -> bool:
    try:
        return all(read_store(definition, folder, split) is not None for split in _SPLITS)
    except SourceError:
        return False


def _store(folder: Path, source: str, splits: dict[str, Pixels], digests: dict[str, Digest]) -> None:
    provenance = {
        "source": source,
        "fetched": datetime.now(UTC).isoformat(timespec="seconds"),
        "sha256": {split: digest._asdict() for split, digest in digests.items()},
    }
    try:
        # A record of older files would condemn the new ones, if this process were killed between the two.
        (folder / _PROVENANCE).unlink(missing_ok=True)
        for split, pixels in splits.items():
            for path, array in zip(_paths(folder, split), pixels, strict=True):
                with atomic_write(path) as file:
                    np.save(file, array)
        write_text(folder / _PROVENANCE, json.dumps(provenance, indent=2) + "\n")
    except OSError as error:
        raise UnwritableCache(folder, error) from None


def _recorded_digest(folder: Path, split: str) -> Digest | None:
    try:
        return Digest(**json_file(folder / _PROVENANCE)["sha256"][split])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SourceError(f"{_PROVENANCE} cannot be read ({error})") from None


def _paths(folder: Path, split: str) -> tuple[Path, Path]:
    return folder / f"{split}-images.npy", folder / f"{split}-labels.npy"
