"""What a user may have meant by the path of something that is not there."""

import difflib
import itertools
import os
from collections.abc import Iterable
from pathlib import Path

_MOST_ENTRIES = 5000  # of a folder, so that a message takes no time


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like this one, in whatever case, if one is.

    Examples
    --------
    >>> nearest("cifar11", ["cifar10", "photos"]), nearest("TRAIN", ["train"]), nearest("x", ["train"])
    ('cifar10', 'train', None)
    """
    by_lower = {one.lower(): one for one in known}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1)
    return by_lower[close[0]] if close else None


def nearest_path(path: Path) -> str:
    """A remark on a path where nothing lies: what has nearly its name, or nearly that of the folder that is missing."""
    parts = path.absolute().parts
    try:
        beyond = next(count for count in range(1, len(parts)) if Path(*parts[:-count]).is_dir())
        close = nearest(parts[-beyond], entries(Path(*parts[:-beyond])))
    except (OSError, ValueError, StopIteration):  # the name cannot be one
        return ""
    return f" (did you mean {Path(*path.parts[:-beyond], close)}?)" if close else ""


def entries(folder: Path) -> list[str]:
    """The names in a folder, the first few thousand; none where it cannot be listed."""
    try:
        with os.scandir(folder) as found:
            return [one.name for one in itertools.islice(found, _MOST_ENTRIES)]
    except OSError:
        return []
