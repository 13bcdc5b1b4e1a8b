"""What an interpreted pickle consists of besides plain values: records that do nothing."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


class Malformed(Exception):
    """What follows "it has": something that no writer of such files puts there."""


@dataclass(frozen=True, slots=True, eq=False)
class Global:
    """The name of a class or function. It stays a name."""

    module: str
    name: str
    path: str = field(init=False)  # as in source code

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", f"{self.module}.{self.name}")


@dataclass(slots=True, eq=False, repr=False)
class Call:
    """A call or construction that the pickle asks for, not made, and what the result was to be given.

    That is a state, the keys and values in turn of a class that is a dict, and the items of one that is a list.
    """

    function: Global
    args: tuple
    state: Any = None
    flat: list = field(default_factory=list)
    items: list = field(default_factory=list)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Mapping:
    """A dict, OrderedDict or Counter as keys and values in turn: no key of the file's choice is ever hashed."""

    flat: list = field(default_factory=list)

    def items(self) -> Iterator[tuple[Any, Any]]:
        """Keys with their values, in the order of the file."""
        return zip(self.flat[::2], self.flat[1::2], strict=True)
