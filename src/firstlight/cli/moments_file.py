"""The file that `moments` writes: by what name, what it tells of the data, and that it replaces no other result."""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstlight.errors import InputError

if TYPE_CHECKING:
    from firstlight.images import Data, Shard

_ADVICE = "name another file, or give --restart to replace it"


def checked_target(out: Path | None) -> Path:
    """The file to write; refuses what would only be noticed after everything is read."""
    if out is None:
        raise InputError("moments was given no --out; expected the file to write, such as --out moments.npz")
    target = out.expanduser()
    if target.suffix.lower() != ".npz":
        raise InputError(f"--out is {out}; expected a name that ends in .npz, by which inspect knows it")
    if target.is_dir():
        raise InputError(f"--out is {out}, a folder; expected the name of a file")
    place = next(parent for parent in target.absolute().parents if parent.exists())
    if not place.is_dir() or not os.access(place, os.W_OK):
        raise InputError(f"--out is {out}, but {place} is no folder that can be written to: name another place")
    return target


def known_by(data: "Data", shards: "Iterable[Shard]") -> str:
    """SHA-256 over the names, sizes and time stamps of the data's files, however they are cut."""
    from firstlight.images.shards.shard import FileStamp

    stamps = {stamp for shard in shards for stamp in shard.files}
    if data.where is None:
        return ""
    root = data.where.absolute()
    stamps = stamps or {FileStamp.of(root)}
    files = sorted((os.path.relpath(path, root), size, changed) for path, size, changed in stamps)
    return hashlib.sha256(json.dumps(files).encode()).hexdigest()


def refuse_to_replace(target: Path, patches: Mapping[str, Any], recorded: Mapping[str, str], restart: bool) -> None:
    """Refuse to write over results of other settings or data, unless that is asked for; over other files at all.

    Raises
    ------
    InputError
        It names the first thing that differs.
    """
    from firstlight.patches.storage import MOMENTS, read_sums

    if not target.exists():
        return
    try:
        header, _ = read_sums(target, MOMENTS)
        told = dict(header["provenance"])
        then, now = (json.loads(options) for options in (told.get("options", "{}"), recorded["options"]))
    except (InputError, KeyError, TypeError, ValueError):
        raise InputError(f"--out is {target}, a file that holds no moments; expected a new one: name another") from None
    if restart:
        return
    pairs = {name: (header.get(name), value) for name, value in {"max_distance": None, **patches}.items()}
    names = ("layout", "split", "resize", "crop", "max_pixels", "only")
    pairs |= {name: (then.get(name), now.get(name)) for name in names}
    pairs["data"] = (told.get("data", "unknown"), recorded["data"])
    for name, (old, new) in pairs.items():
        if old != new:
            raise InputError(f"--out is {target}, which holds moments of {name} {old}; expected {new}: {_ADVICE}")
    if "files" in told and told["files"] != recorded["files"]:  # which version 0.1.0 did not keep
        raise InputError(
            f"--out is {target}, which holds moments of other files of {recorded['data']}, or of what they were; "
            f"expected those of now: {_ADVICE}"
        )
