"""Markdown from texts."""

from collections.abc import Iterable, Sequence


def paragraphs(*parts: Sequence[str]) -> str:
    """Lines, with an empty one between the parts that have some."""
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table.

    Examples
    --------
    >>> table(("a", "b"), [("|r|", "1")])
    ['| a | b |', '|---|---|', '| \\\\|r\\\\| | 1 |']
    """
    cells = (" | ".join(text.replace("|", "\\|").replace("\n", " ") for text in row) for row in rows)
    return [f"| {' | '.join(headers)} |", "|" + "---|" * len(headers), *(f"| {row} |" for row in cells)]
