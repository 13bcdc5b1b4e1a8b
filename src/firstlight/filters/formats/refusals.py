"""The one line that a reader ends in when a file is not what it should be."""

from collections.abc import Iterator
from contextlib import contextmanager

from firstlight.errors import FirstlightError, SourceError
from firstlight.utils.damage import DAMAGE
from firstlight.utils.text import first_line


@contextmanager
def named(source: str) -> Iterator[None]:
    """Put a name before the message of any SourceError that passes and does not begin with it."""
    try:
        yield
    except SourceError as error:
        if str(error).startswith((f"{source}:", f"{source} ")):
            raise
        raise SourceError(f"{source}: {error}") from None


@contextmanager
def readable() -> Iterator[None]:
    """Turn what the system says of a file into a SourceError."""
    try:
        yield
    except OSError as error:
        raise SourceError(f"cannot be read ({error.strerror or first_line(error)})") from None


@contextmanager
def refusing(expected: str) -> Iterator[None]:
    """Turn what parsers raise on a damaged file into one line, a SourceError that says what was expected of it."""
    try:
        yield
    except FirstlightError:
        raise
    except DAMAGE as error:
        if isinstance(error, OSError) and error.strerror:  # the system's, not a parser's
            raise SourceError(f"cannot be read ({error.strerror})") from None
        cause = first_line(error, kind=True)
        raise SourceError(f"cannot be read as {expected} ({cause}): it is damaged or cut off") from None
