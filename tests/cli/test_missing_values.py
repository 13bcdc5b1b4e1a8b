"""What lacks a value is named, with a value that works: for every option and argument of every command."""

import re
import shlex
from collections.abc import Iterator
from typing import get_args

import pytest
from cyclopts import App
from cyclopts.argument import Argument

from firstlight.cli import main
from firstlight.cli.command_line import app
from firstlight.errors import InputError


def commands(of: App = app, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], App]]:
    for name in of:
        if not name.startswith("-"):
            yield from commands(of[name], (*path, name))
    if path and of.default_command is not None:
        yield path, of


def takes_a_value(argument: Argument) -> bool:
    return argument.name.startswith("--") and argument.token_count()[0] > 0


COMMANDS = {" ".join(path): one for path, one in commands()}
OPTIONS = [
    (command, argument.name)
    for command, one in COMMANDS.items()
    for argument in one.assemble_argument_collection()
    if takes_a_value(argument)
]
WHOLE = [
    (command, argument.name)
    for command, one in COMMANDS.items()
    for argument in one.assemble_argument_collection()
    if int in (argument.hint, *get_args(argument.hint))
]


def required(command: str) -> list[tuple[str, str]]:
    """The options that a command needs, and values for them."""
    known = {"--data": "photos", "--name": "cifar10", "--kernel-size": "3", "--model": "x.pth", "--atlas": "x.json"}
    arguments = COMMANDS[command].assemble_argument_collection()
    return [(one.name, known.get(one.name, "x")) for one in arguments if one.required and one.name != "*"]


def test_there_are_many():
    assert len(OPTIONS) > 120
    assert len(WHOLE) > 15
    assert {"theory", "runs show", "atlas build"} < {command for command, _ in OPTIONS}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_value_that_is_shown_works(command: str, capsys: pytest.CaptureFixture[str]):
    for name in (option for one, option in OPTIONS if one == command):
        before = [word for pair in required(command) if name not in pair for word in pair]
        assert main([*command.split(), *before, name]) == 2
        out, said = capsys.readouterr()
        assert (out, said.count("\n")) == ("", 1)
        shown = re.search(rf"{name} has no value; expected one: give ({name} .+)$", said)
        assert shown is not None, said
        parsed = [*command.split(), *before, *shlex.split(shown[1])]
        app.parse_args(parsed, exit_on_error=False, print_error=False)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("moments", "moments was given no data; expected one: give moments photos"),
        ("moments photos", "moments was given no --kernel-size; expected it: give --kernel-size 3"),
        ("initialise", "initialise was given no model; expected one: give initialise network.pth"),
        ("theory --kernel-size --lr 3", "--kernel-size has no value; expected one: give --kernel-size 3"),
        ("theory --steps --lr 3", "--steps has no value; expected one: give --steps 100"),
        ("runs clean --state", "--state has no value; expected one: give --state failed"),
        ("runs show", "runs show was given no run; expected the start of a name: give one of firstlight runs list"),
        ("figures --format", "--format has no value; expected one: give --format pdf"),
    ],
)
def test_what_is_missing_is_named(arguments: str, said: str, capsys: pytest.CaptureFixture[str]):
    assert main(arguments.split()) == 2
    assert capsys.readouterr().err == f"firstlight: error: {said}\n"


@pytest.mark.parametrize(("command", "name"), WHOLE, ids=" ".join)
@pytest.mark.parametrize("value", ["2.5", "1e-3", "nan"])
def test_what_is_no_whole_number_is_not_made_one(
    command: str, name: str, value: str, capsys: pytest.CaptureFixture[str]
):
    given = [word for pair in required(command) if pair[0] != name for word in pair]
    assert main([*command.split(), *given, name, value]) == 2
    assert f'Invalid value for {name}: "{value}" is no whole number' in capsys.readouterr().err


@pytest.mark.parametrize(("command", "name"), WHOLE, ids=" ".join)
@pytest.mark.parametrize("value", ["1e3", "abc"])
def test_what_is_no_number_or_not_written_as_a_whole_one_is_refused(
    command: str, name: str, value: str, capsys: pytest.CaptureFixture[str]
):
    given = [word for pair in required(command) if pair[0] != name for word in pair]
    assert main([*command.split(), *given, name, value]) == 2
    assert f'Invalid value for {name}: unable to convert "{value}" into int' in capsys.readouterr().err


def test_a_whole_number_may_be_written_with_a_point():
    with pytest.raises(InputError, match="jobs is 0; expected a whole number of at least 1"):
        app(["reproduce", "--jobs", "0.0"], exit_on_error=False, print_error=False, result_action="return_value")
