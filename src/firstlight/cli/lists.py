"""Options with several values end where these end, so that a file may stand behind them: --mean 0.5 0.5 0.5 net.pth."""

from collections.abc import Callable, Sequence

from firstlight.cli.missing import without_value


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _is_amount(word: str) -> bool:
    return "=" in word


def _is_word(word: str) -> bool:
    return not word.startswith("-")


VALUES: dict[str, Callable[[str], bool]] = {
    **dict.fromkeys(("--mean", "--std", "--resize", "--crop", "--steps"), _is_number),
    "--resources": _is_amount,
    "--state": _is_word,
}


def lists_last(arguments: Sequence[str]) -> list[str]:
    """The arguments with such options behind the others: the parser takes all that follows for their values.

    Examples
    --------
    >>> lists_last(["inspect", "--mean", "0.5", "0.5", "0.5", "net.pth", "--strict"])
    ['inspect', 'net.pth', '--strict', '--mean', '0.5', '0.5', '0.5']
    """
    end = arguments.index("--") if "--" in arguments else len(arguments)
    others: list[str] = []
    lists: list[str] = []
    position = 0
    while position < end:
        name, _, first = arguments[position].partition("=")
        belongs = VALUES.get(name)
        stop = position + 1
        if belongs is not None:
            while stop < end and belongs(arguments[stop]):
                stop += 1
            if stop == position + 1 and not first and (stop == end or arguments[stop].startswith("-")):
                raise without_value(name)
        # Without a value of its kind it stays where it is, for the parser to refuse.
        (lists if stop > position + 1 or (belongs and first) else others).extend(arguments[position:stop])
        position = stop
    return [*others, *lists, *arguments[end:]]
