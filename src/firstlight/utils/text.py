"""Names and reasons that others chose, fit to be shown on a line."""


def printable(text: str) -> str:
    """Text as one line without control characters, whatever bytes it is made of."""
    return text if text.isprintable() else ascii(text)[1:-1]


def first_line(error: BaseException) -> str:
    """What an error says, or else its name: at most 200 characters."""
    lines = str(error).splitlines()
    return printable(lines[0][:200] if lines and lines[0] else type(error).__name__)
