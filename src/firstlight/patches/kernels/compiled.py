"""Loops that numba compiles, and keeps on disk where it can: where it cannot, they are compiled again each time."""

from collections.abc import Callable
from typing import Any

import numba

from firstlight.utils.console import note_once

_NOT_KEPT = "compiled loops are not kept, so that each command takes seconds more: set NUMBA_CACHE_DIR to a folder"


def compiled(function: Callable[..., Any]) -> Any:
    """The function, compiled when it is first called."""
    loop: Any = numba.njit(nogil=True)(function)
    try:
        loop.enable_caching()
    except RuntimeError:  # neither the package's folder nor the user's can be written
        note_once(_NOT_KEPT)
        return loop
    kept = loop._cache
    kept.load_overload, kept.save_overload = _harmless(kept.load_overload), _harmless(kept.save_overload)
    return loop


def _harmless(act: Callable[..., Any]) -> Callable[..., Any]:
    """Reading or writing what is kept, which finds nothing where that fails: the disk is full, the file damaged."""

    def try_to(*given: Any) -> Any:
        try:
            return act(*given)
        except Exception:  # a damaged pickle raises whatever it likes
            note_once(_NOT_KEPT)
            return None

    return try_to
