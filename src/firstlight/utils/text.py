"""Text for messages: what others chose to say, lists, counts and times, fit to be shown on a line."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from firstlight.utils.visible import visible

T = TypeVar("T")

_LONGEST = 200  # characters of what somebody else's code said


def printable(text: str, most: int | None = None) -> str:
    """Text as one line, as `visible` gives it, and no longer than `most` or so.

    Examples
    --------
    >>> printable("tab\\there"), printable("a long name", most=6)
    ('tab\\\\there', 'a long...')
    """
    cut = most is not None and len(text) > most
    text = visible(text[:most]).replace("\n", "\\n").replace("\t", "\\t")
    return f"{text}..." if cut else text


def one_line(error: BaseException) -> str:
    """All that an error says, on one line."""
    return printable(" ".join(str(error).split()))


def first_line(error: BaseException, *, kind: bool = False) -> str:
    """The first line of what an error of somebody else's code says, or else its name; with `kind`, after its name.

    Examples
    --------
    >>> first_line(ValueError("no\\nmore")), first_line(ValueError("no"), kind=True), first_line(KeyError())
    ('no', 'ValueError: no', 'KeyError')
    """
    name = type(error).__name__
    said = "".join(str(error).strip().splitlines()[:1])
    return printable(f"{name}: {said}" if kind and said else said or name, _LONGEST)


def listed(items: Sequence[T], most: int = 8, separator: str = "; ", show: Callable[[T], str] = str) -> str:
    """The first few of a list, and how many more there are; only what is shown is looked at.

    Examples
    --------
    >>> listed("ABCDE", most=2), listed("AB", separator=", ")
    ('A; B; and 3 more', 'A, B')
    """
    shown = separator.join(map(show, items[:most]))
    return f"{shown}{separator.rstrip()} and {len(items) - most} more" if len(items) > most else shown


def plural(count: float, noun: str, more: str = "") -> str:
    """A noun as it is said of so many; `more` is its plural where that is not the noun with an s.

    Examples
    --------
    >>> plural(1, "image"), plural(0, "image"), plural(2, "is", "are")
    ('image', 'images', 'are')
    """
    return noun if count == 1 else more or f"{noun}s"


def counted(count: int, noun: str, more: str = "") -> str:
    """So many of something.

    Examples
    --------
    >>> counted(1, "image"), counted(1200, "image"), counted(2, "class", "classes")
    ('1 image', '1,200 images', '2 classes')
    """
    return f"{count:,} {plural(count, noun, more)}"


def named(*parts: str) -> str:
    """What something is called, of the parts of its name that are known, on one line."""
    return printable(" ".join(part for part in parts if part))


def size_text(sizes: Iterable[int]) -> str:
    """Sizes along several axes.

    Examples
    --------
    >>> size_text((3, 5, 5))
    '3 x 5 x 5'
    """
    return " x ".join(map(str, sizes))


def spaced(numbers: Iterable[float]) -> str:
    """Numbers beside each other, to four digits.

    Examples
    --------
    >>> spaced((0.47889, 123456))
    '0.4789 1.235e+05'
    """
    return " ".join(f"{number:.4g}" for number in numbers)


def bytes_text(count: int) -> str:
    """So many bytes; `rich` is imported only where one is told.

    Examples
    --------
    >>> bytes_text(66_400)
    '66.4 kB'
    """
    from rich.filesize import decimal

    return decimal(count)


def duration(seconds: float) -> str:
    """Seconds, minutes, hours or days, to a tenth below ten.

    Examples
    --------
    >>> duration(5), duration(130), duration(15_000), duration(200_000)
    ('5 s', '2.2 min', '4.2 h', '2.3 days')
    """
    for limit, size, unit in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{round(seconds / size, 1 if seconds < 10 * size else None):g} {unit}"
    return f"{seconds / 86_400:,.1f} days"
