"""Every error of firstlight speaks one grammar: `GIVEN; expected WHAT: DO THIS` (CONTRIBUTING, "Style")."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import firstlight
from firstlight import errors

SOURCE = Path(firstlight.__file__).parent
KINDS = {name for name, value in vars(errors).items() if isinstance(value, type)} | {"ValueError"}
PROPER_NAMES = {"Dask", "Dask's", "Parquet", "Python", "Report", "HF_ENDPOINT:"}

# What a message may tell its reader to do; it stands after a colon, not after a semicolon or a comma.
ADVICE = (
    "choose|clone|compute|convert|copy|delete|download|drop|enlarge|export|fetch|give|install|keep|leave|load|lower|make|"
    "mend|move|name|open|pass|pip|rescale|resize|restore|run|save|say|split|start|stop|train|try|update|use"
)
RULES = {
    "more than one line": r"\n",
    "a full stop or an exclamation mark at its end": r"[.!](?<!\.\.\.)$",
    "a blank or a mark at its end": r"[\s,;:]$",
    "what was expected stands elsewhere than behind a semicolon": r"(?<!; )\bexpected\b",
    "it tells twice what was expected": r"\bexpected\b.*\bexpected\b",
    "a fact behind what was expected, with a semicolon": r"; expected\b.*; (?!\{\})",
    "advice behind a semicolon": rf"; (?:{ADVICE})\b",
    "two blanks": r"  ",
    "a word that tells nothing": r"(?i)\b(?:please|sorry|oops|illegal|invalid|bad|wrong value)\b",
}


def faults(message: str) -> list[str]:
    """What is wrong with a message in which `{}` stands for values."""
    found = [rule for rule, pattern in RULES.items() if re.search(pattern, message)]
    first = message.split(maxsplit=1)[0] if message.strip() else ""
    if not first or (first[0].isupper() and first not in PROPER_NAMES):
        found.append("it begins with a capital letter, as a sentence does")
    return found


def literal(node: ast.expr) -> str | None:
    """The text of a message, with `{}` for what is put in; None where it is not written out in this place."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in parts)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return (literal(left) or "{}") + (literal(right) or "{}")
        case _:
            return None


def messages(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of every error that is made in a module: raised, or handed to who raises it."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Name(id=kind), args=[first, *_]) if kind in KINDS:
                if text := literal(first):
                    yield node.lineno, text


@pytest.mark.parametrize("room", sorted(path.name for path in SOURCE.iterdir() if path.name[0] not in "_."))
def test_the_errors_of_a_room_speak_one_grammar(room):
    paths = [SOURCE / room] if room.endswith((".py", ".typed")) else sorted((SOURCE / room).rglob("*.py"))
    wrong = [
        f"{path.relative_to(SOURCE)}:{line} {text!r}: {', '.join(found)}"
        for path in paths
        for line, text in messages(path.read_text())
        if (found := faults(text))
    ]
    assert not wrong, "\n".join(wrong)


def test_the_errors_are_found():
    texts = [text for path in SOURCE.rglob("*.py") for _, text in messages(path.read_text())]
    assert len(texts) > 400
    assert sum("; expected " in text for text in texts) > 250
    assert any("\n" not in text and text.startswith("{}") for text in texts)


@pytest.mark.parametrize(
    "message",
    [
        "lr is {}; expected a positive number",
        "lr is {}; expected a positive number: give another",
        "{} is cut off: download it again",
        "the layer has dilation {}; the moments {} are of patches of dilation {}: compute some",
        "{} has no convolution; expected a Conv2D; {}",
        "Dask on {} is gone: start it again",
    ],
)
def test_messages_in_the_grammar(message):
    assert faults(message) == []


@pytest.mark.parametrize(
    "message",
    [
        "",
        "lr is {}, expected a positive number",
        "lr={}: expected a positive number",
        "{} where a number was expected",
        "lr is {}; expected a number; give another",
        "lr is {}; expected a number; it is text",
        "lr is {}; give another",
        "lr is {}; expected a number.",
        "lr is {}; expected a number, expected at least 0",
        "lr is {}\nexpected a number",
        "Learning rate is {}",
        "lr is {} ",
        "lr is {}:",
        "invalid lr",
        "lr is {}: please give another",
    ],
)
def test_messages_not_in_the_grammar(message):
    assert faults(message)


def test_messages_are_read_from_the_source():
    source = """
def check(lr):
    if lr:
        raise InputError(f"lr is {lr}, "
                         "expected 0")
    return RunError("a" + str(lr) + "b"), print("no error"), InputError(lr)
"""
    assert list(messages(source)) == [(4, "lr is {}, expected 0"), (6, "a{}b")]
