"""The file that `moments` writes: by what name, what it tells of the data, and that it replaces no other result."""

import hashlib
import json
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstlight.errors import InputError
from firstlight.utils.given import json_of
from firstlight.utils.targets import is_stream
from firstlight.utils.whole_files import PRINTED

if TYPE_CHECKING:
    from firstlight.images import Data, Shard
    from firstlight.patches.sums import PatchSums

_ADVICE = "name another file, or give --force to replace it"


def checked_target(out: Path | None) -> tuple[Path, Path | None]:
    """The file to write, and the one for the state, which a pipe or a device has none of."""
    if out is None:
        raise InputError("moments was given no --out; expected the file to write, such as --out moments.npz")
    if str(out) == "-":
        if sys.stdout.isatty():
            raise InputError("--out is -, and standard output is a terminal; expected a pipe, or the name of a file")
        return PRINTED, None
    if is_stream(out):
        return out, None
    if out.suffix.lower() != ".npz":
        raise InputError(f"--out is {out}; expected a name that ends in .npz, by which inspect knows it")
    return out, out.with_name(f"{out.name}.part")


def known_by(data: "Data", shards: "Iterable[Shard]") -> tuple[str, int]:
    """SHA-256 over the names and sizes of the data's files, however they are cut; and when the last was changed, in ns.

    The time is not in it: copies of the same files on two machines are the same data.
    """
    from firstlight.images.shards.shard import FileStamp

    stamps = {stamp for shard in shards for stamp in shard.files}
    if data.where is None:
        return "", 0
    root = data.where.absolute()
    stamps = stamps or ({FileStamp.of(root)} if root.is_file() else set())
    files = sorted((os.path.relpath(path, root), size) for path, size, _ in stamps)
    return hashlib.sha256(json.dumps(files).encode()).hexdigest(), max((stamp.mtime_ns for stamp in stamps), default=0)


def refuse_to_replace(
    target: Path, patches: Mapping[str, Any], recorded: Mapping[str, str], changed: int, force: bool
) -> None:
    """Refuse to write over results of other settings or data, unless that is asked for.

    Raises
    ------
    InputError
        It names the first thing that differs.
    """
    from firstlight.patches.storage import MOMENTS, read_sums

    if force or is_stream(target) or not target.is_file():
        return
    try:
        header, _ = read_sums(target, MOMENTS)
        told = dict(header["provenance"])
        then, now = (json_of(options) for options in (told.get("options", "{}"), recorded["options"]))
    except (InputError, KeyError, TypeError, ValueError):
        raise InputError(f"--out is {target}, a file that holds no moments; expected a new one: {_ADVICE}") from None
    pairs = {name: (header.get(name), value) for name, value in {"max_distance": None, **patches}.items()}
    names = ("layout", "split", "resize", "crop", "max_pixels", "only", "pages")
    pairs |= {name: (then.get(name), now.get(name)) for name in names}
    pairs["data"] = (told.get("data", "unknown"), recorded["data"])
    for name, (old, new) in pairs.items():
        if old != new:
            raise InputError(f"--out is {target}, which holds moments of {name} {old}; expected {new}: {_ADVICE}")
    # Which version 0.1.0 did not keep.
    if told.get("files", recorded["files"]) != recorded["files"] or changed > target.stat().st_mtime_ns:
        raise InputError(
            f"--out is {target}, which holds moments of other files of {recorded['data']}, or of what they were; "
            f"expected those of now: {_ADVICE}"
        )


def refuse_other_sums(target: Path, sums: "PatchSums", state: Path | None) -> None:
    """Refuse to replace other sums of files of the same names, sizes and settings, which only now show.

    Raises
    ------
    InputError
        They differ, and the state keeps what was done.
    """
    if state is not None and target.is_file() and sums.dtype == "uint8" and type(sums).load(target) != sums:
        raise InputError(
            f"--out is {target}, which holds other sums of files of these names; expected the same: {_ADVICE}; "
            f"{state} keeps what is done"
        )
