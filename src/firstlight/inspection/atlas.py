"""The atlas: energy profiles of known networks, where a first layer stands among them, and whether that says anything.

The one of the package holds profiles and measures only, no weights: of the recorded trainings, and of published
networks; each entry says where it comes from. `python -m tools.atlas` writes it.
"""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from firstlight.errors import InputError, SourceError
from firstlight.inspection.known import Known, Standing
from firstlight.profile import correlation_or_nan
from firstlight.theory.null import gaussian_profiles, percentile
from firstlight.utils.checks import whole_number
from firstlight.utils.given import json_file, json_of
from firstlight.utils.text import counted, printable, size_text
from firstlight.utils.whole_files import write_text

if TYPE_CHECKING:
    from firstlight.inspection.inspection import Inspection

FORMAT = 1
FEWEST = 5  # networks of a kernel size, below which nothing is said of where a layer stands
_LARGEST = 64_000_000  # bytes of a file that is read
_DIGITS = 6
_DRAWS = 1000
_ITSELF = 1 - 1e-8  # correlation of a profile with itself, as it is rounded
_MOST = 1e6  # beyond which a number is none of these measures


def entry_of(found: "Inspection", name: str, family: str, source: str) -> Known:
    """The entry of an inspected first layer."""
    rows, columns = found.bank.weight.shape[2:]
    return Known(
        name=name,
        family=family,
        source=source,
        change=found.profile.change,
        kernel=(int(rows), int(columns)),
        filters=len(found.bank),
        energy=tuple(float(f"{value:.{_DIGITS}g}") for value in found.profile.normalized),
        fit=None if found.fit is None else _short(found.fit.correlation),
        rank=_short(relative_rank(found)),
        whitening=_short(found.whitening) if math.isfinite(found.whitening) else None,
    )


def standing(found: "Inspection", known: Sequence[Known]) -> Standing | None:
    """Where an inspected first layer stands, itself left out; None where too few of its kernel size are known.

    Parameters
    ----------
    found : Inspection
        Looked at with CIFAR-10's patches, as the known networks are.
    known : sequence of Known
    """
    kernel = tuple(found.bank.weight.shape[2:])
    size = found.basis.size
    alike = [
        one
        for one in known
        if (one.kernel, one.change) == (kernel, found.profile.change)
        and len(one.energy) == size
        and not correlation_or_nan(found.profile.energy, np.array(one.energy)) >= _ITSELF
    ]
    networks: dict[str, list[Known]] = {}
    for one in alike:
        networks.setdefault(one.name, []).append(one)
    nearest = _nearest(found.profile.energy, alike)
    if len(networks) < FEWEST or nearest is None:
        return None
    own = {
        "fit": None if found.fit is None else found.fit.correlation,
        "rank": relative_rank(found),
        "whitening": found.whitening if math.isfinite(found.whitening) else None,
    }
    shares = {}
    for measure, value in own.items():
        others = [_mean(getattr(one, measure) for one in runs) for runs in networks.values()]
        others = [other for other in others if other is not None]
        if value is not None and others:
            shares[measure] = sum(other < value for other in others) / len(others)
    one, r = nearest
    return Standing(one, r, _chance(len(found.bank), alike), len(networks), shares)


def relative_rank(found: "Inspection") -> float:
    """Effective rank over the largest that so many filters can have."""
    return found.rank / min(len(found.bank), found.basis.size)


@dataclass(frozen=True)
class LeftOut:
    """How often the nearest known network is of the same family, each network left out in turn with all its runs.

    Attributes
    ----------
    entries : int
        Entries with another network of their kernel size to be compared with.
    same : int
        Of these, how many have a nearest one of the same family.
    chance : float
        The share that a network drawn at random would give.
    """

    entries: int
    same: int
    chance: float


def leave_one_out(known: Sequence[Known]) -> LeftOut:
    """Whether being near says anything: of profiles of whole weights, and of the change, each among its like."""
    same, shares = 0, []
    for one in known:
        others = [
            other
            for other in known
            if other.name != one.name and (other.kernel, other.change) == (one.kernel, one.change)
        ]
        nearest = _nearest(np.array(one.energy), others)
        if nearest is None:
            continue
        same += nearest[0].family == one.family
        shares.append(sum(other.family == one.family for other in others) / len(others))
    return LeftOut(len(shares), same, math.fsum(shares) / len(shares) if shares else math.nan)


def _chance(filters: int, known: Sequence[Known]) -> float:
    random = gaussian_profiles(filters, (_DRAWS, len(known[0].energy)), np.random.default_rng(0))
    profiles = [_unit(np.array([one.energy for one in known])), _unit(random)]
    return percentile((profiles[1] @ profiles[0].T).max(axis=1))


def _unit(profiles: np.ndarray) -> np.ndarray:
    """Profiles (N, D) less their means, of length 1; what is constant stays 0."""
    centred = profiles - profiles.mean(axis=1, keepdims=True)
    return centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), np.finfo(float).tiny)


def most_alike(energy: np.ndarray, kernel: tuple[int, ...], change: bool) -> tuple[Known, float] | None:
    """The known network of the package whose profile is most alike, and its correlation; None without any."""
    alike = [one for one in shipped_atlas() if (one.kernel, one.change) == (kernel, change)]
    return _nearest(energy, [one for one in alike if len(one.energy) == len(energy)])


def _nearest(energy: np.ndarray, known: Iterable[Known]) -> tuple[Known, float] | None:
    found = [(one, correlation_or_nan(energy, np.array(one.energy))) for one in known]
    found = [(one, r) for one, r in found if math.isfinite(r)]
    return max(found, key=lambda pair: pair[1], default=None)


def _mean(values: Iterator[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None


def _short(number: float) -> float:
    return float(f"{number:.{_DIGITS}g}")


@lru_cache(maxsize=1)
def shipped_atlas() -> tuple[Known, ...]:
    """The atlas that comes with the package."""
    text = (files("firstlight.inspection") / "known_networks.json").read_text(encoding="utf-8")
    return tuple(_entries(json_of(text)))


def read_atlas(path: Path) -> list[Known]:
    """A collection of one's own.

    Raises
    ------
    SourceError
        It is no atlas, or damaged.
    """
    try:
        if not path.is_file():
            raise SourceError(f"{path} is no file; expected an atlas: firstlight atlas build SOURCE... --out {path}")
        if path.stat().st_size > _LARGEST:
            raise SourceError(
                f"{path} has more than {_LARGEST:,} bytes; expected an atlas, which firstlight atlas wrote"
            )
        return list(_entries(json_file(path)))
    except (OSError, InputError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise SourceError(
            f"{path} is damaged, or no atlas ({printable(str(error), 80)}); expected one that firstlight atlas wrote"
        ) from None


def write_atlas(path: Path, known: Iterable[Known]) -> None:
    """Write a collection, an entry a line, whole or not at all."""
    entries = sorted(map(asdict, known), key=lambda one: (one["kernel"], one["family"], one["name"], one["change"]))
    lines = ",\n".join(json.dumps(entry, ensure_ascii=False, allow_nan=False) for entry in entries)
    write_text(path, f'{{"format": {FORMAT}, "networks": [\n{lines}\n]}}\n')


def _entries(data: Any) -> Iterator[Known]:
    if data["format"] != FORMAT:
        raise ValueError(f"it is of format {data['format']}, and {FORMAT} is known")
    for entry in data["networks"]:
        rows, columns = (whole_number("kernel", side, 1) for side in entry["kernel"])
        one = Known(**{**entry, "kernel": (rows, columns), "energy": tuple(entry["energy"])})
        texts = (one.name, one.family, one.source)
        numbers = [*one.energy, one.rank, *(value for value in (one.fit, one.whitening) if value is not None)]
        if (
            not all(isinstance(text, str) for text in texts)
            or not isinstance(one.change, bool)
            or not all(type(value) in (int, float) and abs(value) < _MOST for value in numbers)
        ):
            raise ValueError(f"an entry holds what an atlas does not: {one.name}")
        whole_number("filters", one.filters, 1)
        yield one


def described(known: Iterable[Known]) -> list[str]:
    """Known networks in words, a line a network whatever the number of its runs."""
    runs: dict[tuple[str, int, tuple[int, int]], list[Known]] = {}
    for one in known:
        runs.setdefault((one.name, one.filters, one.kernel), []).append(one)
    return [
        f"{name}: {counted(filters, 'filter')} of {size_text(kernel)}, {ones[0].family}, "
        f"{counted(len(ones), 'profile')}; {ones[0].source}"
        for (name, filters, kernel), ones in runs.items()
    ]
