"""What is said where a command lacks a value: which, and one that works."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from cyclopts import MissingArgumentError

from firstlight.errors import InputError

# Of options that have no choices and no default; whole numbers are 3, others 0.01.
_VALUES = {
    "--atlas": "atlas.json",
    "--broken": "broken.txt",
    "--crop": "32",
    "--csv": "table.csv",
    "--data": "photos",
    "--data-dir": "cache",
    "--fail-on": "error",
    "--family": "resnet",
    "--filters": "network.pth",
    "--for": "1h",
    "--html": "page.html",
    "--initial": "start.pth",
    "--json": "results.json",
    "--layer": "conv1",
    "--max-memory": "2GB",
    "--mean": "0.5",
    "--model": "network.pth",
    "--name": "cifar10",
    "--only": "'*.png'",
    "--out": "results",
    "--resize": "32",
    "--resources": "gpu=1",
    "--scheduler": "tcp://127.0.0.1:8786",
    "--split": "train",
    "--state": "failed",
    "--std": "0.25",
    "--steps": "100",
}


def missing(error: MissingArgumentError, given: Sequence[str]) -> InputError:
    """The error of an option without a value, or of what a command needs and was not given."""
    argument, command = error.argument, " ".join(error.command_chain or ())
    assert argument is not None
    name = argument.name
    value = example(name, argument.hint, argument.field_info.default)
    if name in given:
        return without_value(name, value)
    if command == "runs show":
        return InputError("runs show was given no run; expected the start of a name: give one of firstlight runs list")
    if argument.field_info.is_positional:
        return InputError(f"{command} was given no {name[2:]}; expected one: give {command} {value}")
    return InputError(f"{command} was given no {name}; expected it: give {name} {value}")


def without_value(name: str, value: str = "") -> InputError:
    """The error of an option that stands there without a value."""
    return InputError(f"{name} has no value; expected one: give {name} {value or _VALUES[name]}")


def example(name: str, hint: Any, default: Any = None) -> str:
    """A value that an option takes: its first choice, its default, or one of its kind."""
    while get_args(hint) and get_origin(hint) is not Literal:
        hint = get_args(hint)[0]
    if choices := get_args(hint):
        return str(choices[0])
    if default and isinstance(default, str | int | float | Path):
        return str(default)
    return _VALUES.get(name) or {int: "3", float: "0.01"}[hint]
