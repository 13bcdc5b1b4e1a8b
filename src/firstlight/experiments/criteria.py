"""Every statement that is judged, from `criteria.toml`, and what the first version of the criteria said of it."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from firstlight.experiments.verdicts import KINDS, Kind


@dataclass(frozen=True)
class Criterion:
    """A row of the criteria; the experiment that it names measures its values.

    Attributes
    ----------
    id : str
        "F1"; the ids of its parts begin with it and a dot.
    kind : {"published claim", "assumption", "numerical check", "own finding"}
        Only published claims are counted as reproduced or not.
    experiment : str
    statement, source, published, quantity, criterion : str
        What is said, where, with which value; what we measure, and when that counts.
    protocol : str
        How long its networks are trained in the paper's protocol; empty where none is in it.
    headline : bool
        Whether it stands in tables that have no room for every row.
    """

    id: str
    kind: Kind
    experiment: str
    statement: str
    source: str
    published: str
    quantity: str
    criterion: str
    protocol: str = ""
    headline: bool = False


@dataclass(frozen=True)
class FirstVersion:
    """What the first version of the criteria, on networks that had hardly learnt, said of the same statement.

    Attributes
    ----------
    name : str
        "experiment/subject/quantity".
    quantity, criterion : str
    measured : str
        For people.
    mean : float or None
    verdict : {"reproduced", "not reproduced", "not tested"}
    """

    name: str
    quantity: str
    criterion: str
    measured: str
    mean: float | None
    verdict: str


def _criteria(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Criterion]:
    found = {name: Criterion(id=name, **texts) for name, texts in rows.items()}
    assert all(criterion.kind in KINDS for criterion in found.values())
    return found


def _read(name: str) -> bytes:
    return resources.files(__package__ or "").joinpath(name).read_bytes()


CRITERIA: Mapping[str, Criterion] = _criteria(tomllib.loads(_read("criteria.toml").decode()))


@cache
def first_version() -> dict[str, FirstVersion]:
    """By id of a claim; those that the first version did not judge are not there.

    The values are of its own recorded runs (2026-11-22, preset `standard`), which are recorded no more.
    """
    return {name: FirstVersion(**found) for name, found in json.loads(_read("first_version.json")).items()}
