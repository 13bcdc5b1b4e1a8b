"""The one line that a reader ends in when a file is not what it should be."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from firstlight.errors import FirstlightError, SourceError
from firstlight.utils.damage import DAMAGE
from firstlight.utils.regular_file import NotAFile
from firstlight.utils.text import first_line
from firstlight.utils.trouble import refuse_trouble


@contextmanager
def named(source: str) -> Iterator[None]:
    """Say of what an error is that passes: put the name before its message, unless that begins with it.

    An InputError, on what was asked for, may have it anywhere: "layer is 'x', which a.pth does not have". Of a
    SourceError the kind is not kept: a file missing among several is not the one that was asked for.
    """
    try:
        yield
    except NotAFile as error:
        raise SourceError(f"{source}: {error.strerror}") from None
    except FirstlightError as error:
        of_file = isinstance(error, SourceError)
        look = re.match if of_file else re.search
        if look(rf"(?<!\S){re.escape(source)}(?=[\s:;,]|$)", str(error)):
            raise
        kind = SourceError if of_file else type(error)
        raise kind(f"{source}: {error}") from None


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
        refuse_trouble(error, "what it holds")
        cause = first_line(error, kind=True)
        raise SourceError(f"cannot be read as {expected} ({cause}): it is damaged or cut off") from None
