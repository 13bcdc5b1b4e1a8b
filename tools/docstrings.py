"""Check the docstrings of the public names: `python -m tools.docstrings`, which is a part of `make lint`.

One style for all, numpydoc with types: every parameter of every public function and method with its type, every field
of every public value, sections in numpydoc's order, and a summary that is a sentence.
"""

import dataclasses
import inspect
from collections.abc import Iterator
from typing import Any

from numpydoc.docscrape import get_doc_object
from numpydoc.validate import validate

import firstlight

# numpydoc's codes. Left out is what would only add lines, such as "See Also" for every name, and what the type or the
# summary says already, such as a description that begins with "uint8" instead of a capital letter.
LAYOUT = {"GL01", "GL03", "GL05", "GL06", "GL07", "GL08", "GL10"}
SUMMARY = {"SS01", "SS02", "SS03", "SS04", "SS06"}
PARAMETERS = {"PR01", "PR02", "PR03", "PR04", "PR05", "PR06", "PR10"}
RETURNS = {"RT01", "RT02", "YD01"}
# Methods that take and return the same in every class, as the reference says once: `plot(ax=None)`.
ALIKE = {"plot"}


def main() -> int:
    """Print every complaint; returns 1 where there are some."""
    found = [f"firstlight.{name}: {text}" for name, value in public_objects() for text in complaints(value)]
    for line in found:
        print(line)
    return 1 if found else 0


def public_objects(package: Any = firstlight) -> Iterator[tuple[str, Any]]:
    """The names in ``__all__``, and the public methods and properties of the classes among them."""
    for name in package.__all__:
        value = getattr(package, name)
        if name.startswith("_"):
            continue
        yield name, value
        if inspect.isclass(value):
            yield from ((f"{name}.{member}", getattr(value, member)) for member in _members(value))


def complaints(value: Any) -> list[str]:
    """What is wrong with an object's docstring."""
    wanted = LAYOUT | SUMMARY | PARAMETERS | RETURNS
    missing = []
    if inspect.isclass(value):
        wanted -= RETURNS
        if not _sections(value)["Parameters"]:  # made by a function that says of what; here is what it holds
            wanted -= PARAMETERS
            missing = _undescribed(value)
    elif not _takes_something(value):
        wanted -= RETURNS  # like a property, it says in its summary what it is
    found = validate(get_doc_object(value))["errors"]
    return [f"{code} {text}" for code, text in found if code in wanted] + missing


def _members(kind: type) -> list[str]:
    """Public methods and properties that the class and its bases in this package define."""
    return sorted(
        name
        for base in kind.__mro__
        if base.__module__.startswith("firstlight.")
        for name, value in vars(base).items()
        if not (name.startswith("_") or name in ALIKE)
        and hasattr(value, "__get__")
        and not inspect.ismemberdescriptor(value)
    )


def _undescribed(kind: type) -> list[str]:
    """Fields of a value that are not among its documented attributes, and attributes without a type."""
    documented = _sections(kind)["Attributes"]
    names = {name.strip() for one in documented for name in one.name.split(",")}
    fields = [field.name for field in dataclasses.fields(kind)] if dataclasses.is_dataclass(kind) else []
    return [
        *(f"field {name!r} is not among the Attributes" for name in fields if name not in names | {""}),
        *(f"attribute {one.name!r} has no type" for one in documented if not one.type),
    ]


def _sections(kind: type) -> Any:
    """The docstring's own sections, without the members that numpydoc would list beside them."""
    return get_doc_object(kind, config={"show_class_members": False})


def _takes_something(value: Any) -> bool:
    return callable(value) and bool(set(inspect.signature(value).parameters) - {"self"})


if __name__ == "__main__":
    raise SystemExit(main())
