"""Whole numbers of the command line: a fraction is refused, which cyclopts would round."""

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, cast

from cyclopts import CoercionError, Parameter, convert

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyclopts import Token


def _number(token: "Token") -> int:
    with suppress(ValueError):
        if not float(token.value).is_integer():
            raise CoercionError(f'"{token.value}" is no whole number', token=token)
    return cast("int", convert(int, [token]))


def _one(_: object, tokens: "Sequence[Token]") -> int:
    return _number(tokens[0])


def _several(_: object, tokens: "Sequence[Token]") -> list[int]:
    return [_number(token) for token in tokens]


Whole = Annotated[int, Parameter(converter=_one)]
WholeIfGiven = Annotated[int | None, Parameter(converter=_one)]
Wholes = Annotated[list[int] | None, Parameter(converter=_several, consume_multiple=True, negative=())]
