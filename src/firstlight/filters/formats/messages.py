"""The one line that a reader ends in when a file is not what it should be: its parts, shared by the readers."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from firstlight.errors import FirstlightError, SourceError
from firstlight.utils.damage import DAMAGE

_LONGEST = 200  # characters of what somebody else's code said


@contextmanager
def named(source: str) -> Iterator[None]:
    """Put a name before the message of any SourceError that passes."""
    try:
        yield
    except SourceError as error:
        raise SourceError(f"{source}: {error}") from None


@contextmanager
def refusing(source: str, expected: str) -> Iterator[None]:
    """Turn what parsers raise on a damaged file into one line, a SourceError that says what was expected of it."""
    try:
        yield
    except FirstlightError:
        raise
    except DAMAGE as error:
        if isinstance(error, OSError) and error.strerror:  # the system's, not a parser's
            raise SourceError(f"{source}: cannot be read: {error.strerror}") from None
        cause = f"{type(error).__name__}: {joined(error)}"
        raise SourceError(f"{source}: cannot be read as {expected} ({cause}): it is damaged or cut off") from None


def joined(error: Exception) -> str:
    """All that an error says, as one line of bounded length."""
    return " ".join(str(error).split())[:_LONGEST]


def first_line(error: BaseException) -> str:
    """The kind of an error that somebody else's code raised, and the first line of what it says."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:_LONGEST]}" if lines else type(error).__name__


def listed(items: Sequence[object], most: int = 8, separator: str = "; ") -> str:
    """The first few of a list, and how many more there are: "A; B; and 3 more"."""
    shown = separator.join(map(str, items[:most]))
    return f"{shown}{separator.rstrip()} and {len(items) - most} more" if len(items) > most else shown
