"""What users and other people's files give: paths, and JSON."""

import json
import os
from pathlib import Path
from typing import Any

from firstlight.errors import InputError
from firstlight.utils.budget import check_item
from firstlight.utils.regular_file import open_file

LARGEST_JSON = 1 << 24  # bytes; 16 MiB of hostile JSON unfold to some 600 MiB, and no real file comes near
_UNFOLDED = 40  # times its bytes that JSON may take in memory


def user_path(path: str | Path) -> Path:
    """A path as a user gives it, with their home folder for `~`; a file that is really called so comes first.

    Raises
    ------
    InputError
        It is empty, or of a home folder that is not known.
    """
    if not str(path):
        raise InputError("a path is empty; expected the name of a file or folder: give one")
    given, path = str(path), Path(path)
    if not given.startswith("~"):  # ./~ is a name
        return path
    if path.parts[:1] == ("~",) or not _is_there(path):
        try:
            return path.expanduser()
        except (RuntimeError, ValueError):  # nobody is called so, HOME is not set, or the name has a null byte
            if path.parts[0] == "~":
                raise InputError(
                    f"{path} is given, but HOME is not set; expected a home folder: name the path"
                ) from None
    return path


def json_of(text: str | bytes, **hooks: Any) -> Any:
    """What a file's JSON holds; whatever is wrong with it is a ValueError."""
    try:
        return json.loads(text, **hooks)
    except RecursionError:  # a few thousand brackets are enough
        raise ValueError("nested too deeply") from None


def json_file(path: str | Path) -> Any:
    """What a file of JSON holds; whatever is wrong with it is a ValueError or an OSError."""
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > LARGEST_JSON:
            check_item(str(path), size * _UNFOLDED)
        return json_of(file.read(size))


def _is_there(path: Path) -> bool:
    try:
        return path.exists() or path.is_symlink()
    except (OSError, ValueError):  # too long, or with a null byte: told where it is opened
        return False
