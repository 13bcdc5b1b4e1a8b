"""`make lint` sees a public docstring that lacks something, and only those."""

from dataclasses import dataclass

from tools.docstrings import complaints, public_objects

import firstlight


def double(value: int) -> int:
    """Double a number.

    Parameters
    ----------
    value : int

    Returns
    -------
    int
    """
    return 2 * value


def untyped(value: int) -> int:
    """Double a number.

    Parameters
    ----------
    value
        Which.
    """
    return 2 * value


def undescribed(value: int) -> int:
    """double a number"""
    return 2 * value


def disordered() -> None:
    """Do nothing.

    Raises
    ------
    ValueError

    Returns
    -------
    None
    """


def silent() -> None:
    pass


@dataclass
class Pair:
    """Two numbers.

    Attributes
    ----------
    first : int
    third
        One too many.
    """

    first: int
    second: int

    def to_dict(self) -> dict[str, int]:
        """The pair in JSON's types."""
        return vars(self)


def codes(value: object) -> list[str]:
    return sorted(line.split()[0] for line in complaints(value))


def test_what_is_whole_passes():
    assert complaints(double) == []
    assert complaints(Pair.to_dict) == []
    assert complaints(firstlight.EnergyProfile) == []


def test_what_lacks_is_named():
    assert codes(untyped) == ["PR04", "RT01"]
    assert codes(undescribed) == ["PR01", "RT01", "SS02", "SS03"]
    assert codes(disordered) == ["GL07"]
    assert codes(silent) == ["GL08"]
    assert complaints(Pair) == ["field 'second' is not among the Attributes", "attribute 'third' has no type"]


def test_every_public_name_and_method_is_looked_at():
    names = [name for name, _ in public_objects()]
    assert {name for name in names if "." not in name} == {name for name in firstlight.__all__ if name[0] != "_"}
    assert {"PatchMoments.update", "PatchMoments.load", "EnergyProfile.peak", "Reproduction.claims"} < set(names)
    assert not any("._" in name for name in names)
