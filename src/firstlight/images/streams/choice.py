"""Which files of a data set are its images: chosen by their names, and what is left out counted by kind."""

import os
import re
from collections import Counter
from collections.abc import Mapping
from fnmatch import fnmatch
from typing import BinaryIO

from firstlight.images.streams.decode import SUFFIXES
from firstlight.utils.text import printable
from firstlight.utils.trouble import trouble_of

# What lies beside photographs and is none, by how it is named; never of a lossy format, which would spoil it.
_WORDS = (
    "mask|masks|seg|segm|segmentation|annotation|gt|groundtruth|ground_truth|trimap|matte|depth|disparity|labelids|"
    "labeltrainids|instanceids|panoptic"
)
_MASK = re.compile(rf".*?([._-](?:{_WORDS}))\.(?!jpe?g|jpe|jfif)\w+", re.IGNORECASE)
_MASK_FOLDERS = frozenset({"masks", "segmentationclass", "segmentationobject", "trimaps", "annotations", "groundtruth"})
ADVICE = ": --only (only=) takes others, such as --only '*.img'"
_PAGED = (b"II", b"MM", b"GIF8", b"RIFF")
_BLOCK = 4096  # by which an animated PNG says that it is one
_MOST_KINDS, _LONGEST = 30, 40


class Choice:
    """Takes images by their names.

    Parameters
    ----------
    only : tuple of str
        Patterns such as ``*.jpg``, of which a file's name or its whole path must match one, in either case. Without
        any: all images by their suffixes, but no masks beside them.

    Attributes
    ----------
    left : Counter
        How many were left out, by kind; hidden files are none of them.
    """

    def __init__(self, only: tuple[str, ...] = ()) -> None:
        self.only = only
        self.left: Counter[str] = Counter()

    def takes(self, path: str) -> bool:
        """Whether the file is an image of the data set; counted if it is not."""
        *folders, name = path.split("/")
        if any(part.startswith(".") and part not in (".", "..") for part in (*folders, name)):
            return False
        suffix = os.path.splitext(name)[1].lower()
        taken, kind = suffix in SUFFIXES, suffix
        if self.only:
            taken = any(fnmatch(part.lower(), one.lower()) for one in self.only for part in (name, path))
        elif taken and (tail := _mask_tail(folders, name, suffix)):
            taken, kind = False, f"masks ({tail})"
        if not taken:
            kind = kind if 1 < len(kind) <= _LONGEST else "of other names"
            self.left[kind if kind in self.left or len(self.left) < _MOST_KINDS else "of other names"] += 1
        return taken


def _mask_tail(folders: list[str], name: str, suffix: str) -> str:
    """By what a mask shows: the end of its name, or its folder."""
    if found := _MASK.fullmatch(name):
        return f"{found[1]}{suffix}".lower()
    folder = next((part for part in folders if part.lower() in _MASK_FOLDERS), "")
    return f"{folder}/*{suffix}" if folder and suffix not in (".jpg", ".jpeg") else ""


def further_pages(file: BinaryIO) -> int:
    """How many pages or frames follow the first, which alone is read; the file is at its start again afterwards."""
    from PIL import Image

    pages, start = 1, file.read(_BLOCK)
    file.seek(0)
    if start.startswith(_PAGED) or (start[1:4] == b"PNG" and b"acTL" in start):
        try:
            with Image.open(file, formats=("TIFF", "GIF", "WEBP", "PNG")) as image:
                pages = getattr(image, "n_frames", 1)
        except Exception as error:  # told when it is decoded
            if trouble_of(error):
                raise
    file.seek(0)
    return max(0, pages - 1)


def left_out_text(left: Mapping[str, int]) -> str:
    """How much was left out of which kind; empty if nothing was."""
    most_first = sorted(left.items(), key=lambda pair: (-pair[1], pair[0]))
    return ", ".join(f"{count:,} {printable(kind)}" for kind, count in most_first)
