"""Whole numbers of the command line: a fraction is refused, which cyclopts would round."""

from typing import TYPE_CHECKING, Annotated

from cyclopts import CoercionError, Parameter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyclopts import Token


def _number(token: "Token") -> int:
    try:
        return int(token.value)
    except ValueError:
        raise CoercionError(f'"{token.value}" is no whole number', token=token) from None


def _one(_: object, tokens: "Sequence[Token]") -> int:
    return _number(tokens[0])


def _several(_: object, tokens: "Sequence[Token]") -> list[int]:
    return [_number(token) for token in tokens]


Whole = Annotated[int, Parameter(converter=_one)]
WholeIfGiven = Annotated[int | None, Parameter(converter=_one)]
Wholes = Annotated[list[int] | None, Parameter(converter=_several, consume_multiple=True, negative=())]
