"""What a user names: a path of this machine, or the address of something in a remote store."""

import os
from pathlib import Path
from urllib.parse import urlsplit

from firstlight.errors import InputError
from firstlight.utils.given import user_path
from firstlight.utils.remote_paths import RemotePath, is_remote

_LOCAL = ("file://", "local://")


def path_of(name: str | os.PathLike[str]) -> Path:
    """What a user named, as a path: of this machine, or of a remote store.

    Raises
    ------
    InputError
        It is an address of a kind that is not known, whose package is missing, or with what may be a credential in it.
    """
    if isinstance(name, RemotePath):
        return name
    text = os.fspath(name)
    if not isinstance(name, str) or not is_remote(text):
        return user_path(text)
    if text.startswith(_LOCAL):
        return user_path(text.split("://", 1)[1])
    parts = urlsplit(text.rsplit("::", 1)[-1])
    account = parts.scheme in ("abfs", "abfss") and ":" not in parts.netloc  # container@account
    if "?" in text or ("@" in parts.netloc and not account):
        raise InputError(
            f"{parts.scheme}://... has a user, a password or a query in it, which may be a credential; expected an "
            "address without: give these by the store's environment variables or configuration files"
        )
    if text.count("://") > 1:
        raise InputError(f"{text} is an address in another one; expected one, of a file or a folder")
    path = RemotePath(text)
    path.store()  # whether it can be had is told at once
    return path
