"""What one item of other people's files may take in memory, told before it is taken.

An item is an array, a cell of a table, a member of an archive, a document of JSON. A small file can declare, or unfold
to, more than any machine has. So an item may take what is usual, or some times what its file has on disk; a bomb is a
thousand times its file. Readers whose items are known to be small, such as those of weights, have lower bounds.
"""

import os
import re

from firstlight.errors import InputError, MachineError

MEMORY_VARIABLE = "FIRSTLIGHT_MAX_MEMORY"
_USUAL = 2 << 30
# Times its bytes on disk that an item may take beyond that: images and numbers that are worth keeping compress less.
_EXPANSION = 10
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


class OverBudget(MachineError):
    """An item would take more memory than it may."""

    stays = True  # however often it is tried


def most_bytes() -> int:
    """What an item may take.

    Raises
    ------
    InputError
        The environment says otherwise, and not how much.
    """
    said = os.environ.get(MEMORY_VARIABLE, "")
    return bytes_of(said, MEMORY_VARIABLE) if said else _USUAL


def bytes_of(text: str, name: str) -> int:
    """An amount of memory as a user gives it.

    Examples
    --------
    >>> bytes_of("8GB", "--max-memory"), bytes_of("500 mb", "--max-memory")
    (8000000000, 500000000)
    """
    found = re.fullmatch(r"\s*(\d{1,15}(?:\.\d{1,6})?)\s*([KMGT]?)i?B?\s*", text, re.IGNORECASE)
    if not found or not (amount := int(float(found[1]) * _UNITS[found[2].upper()])):
        raise InputError(f"{name} is {text!r}; expected an amount of memory: give one such as 8GB")
    return amount


def check_item(what: str, needed: int, held: int = 0) -> None:
    """Refuse an item that would take too many bytes of memory.

    Parameters
    ----------
    what : str
        What messages call it.
    needed, held : int
        Bytes that it takes in memory, and on disk.

    Raises
    ------
    OverBudget
    """
    most = most_bytes()
    if needed > max(most, _EXPANSION * held):
        disk = f", and {held:,} on disk" if held else ""
        raise OverBudget(
            f"{what} takes {needed:,} bytes of memory{disk}; expected at most {most:,} of one item: if it is meant to "
            f"be so large, give --max-memory {-(-needed // 10**9)}GB or set {MEMORY_VARIABLE}"
        )
