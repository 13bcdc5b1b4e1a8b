"""What the interactive page knows of its networks, as JSON: numbers from which it draws every picture and curve.

Profiles, variances and fitted times keep every digit, since the page computes correlations from them. Filters and
components are pictures first of all: 16 bits a weight, relative to the largest of each filter, in base64.
"""

import base64
import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from firstlight.inspection.network_view import NetworkView, Snapshot
from firstlight.patches.basis import PatchBasis
from firstlight.report.filter_marks import filter_marks, marks_legend

# Bytes of filters that a page may hold, as base64; where networks have more, each shows its first ones only.
FILTER_BYTES = 1_200_000
LEAST_FILTERS = 16
_STEPS = 32767


def page_data(views: Sequence[NetworkView], groups: Sequence[str] = (), **more: Any) -> dict[str, Any]:
    """Everything that the page's scripts need.

    Parameters
    ----------
    views : sequence of NetworkView
    groups : sequence of str, optional
        Under which heading each is listed; empty: under none.
    **more
        Whatever else a page has, in JSON's types.

    Returns
    -------
    dict
        `bases`, each once however many networks share it; `networks`, which name theirs by its index; and `more`.
    """
    bases: dict[str, PatchBasis] = {}
    indices = []
    for view in views:
        key = hashlib.sha256(view.basis.variance.tobytes() + view.basis.components.tobytes()).hexdigest()
        bases.setdefault(key, view.basis)
        indices.append(list(bases).index(key))
    shown = filters_shown([weight for view in views for weight in (view.initial, view.trained) if weight is not None])
    return {
        "bases": [_basis(basis) for basis in bases.values()],
        "networks": [
            {"basis": index, "group": groups[number] if groups else "", **_network(view, shown)}
            for number, (index, view) in enumerate(zip(indices, views, strict=True))
        ],
        **more,
    }


def script_text(data: Mapping[str, Any]) -> str:
    """Data as JSON that may stand inside a script element: nothing in it can end the element or start a comment."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def filters_shown(weights: Iterable[np.ndarray]) -> int:
    """How many filters of each bank fit into the page: all of them, or the first so many."""
    sizes = [(len(weight), weight[0].size) for weight in weights if len(weight)]
    limit = max((count for count, _ in sizes), default=0)
    while limit > LEAST_FILTERS and sum(min(count, limit) * size for count, size in sizes) * 8 / 3 > FILTER_BYTES:
        limit = max(LEAST_FILTERS, int(limit * 0.9))
    return limit


def numbers(values: np.ndarray | Sequence[float], digits: int | None = None) -> list[float | None]:
    """Numbers for JSON: NaN and infinity, which it does not know, are None; of the rest so many significant digits."""
    return [
        None if not math.isfinite(value) else float(f"{value:.{digits}g}") if digits else float(value)
        for value in np.asarray(values, dtype=np.float64).tolist()
    ]


def packed(pictures: np.ndarray) -> dict[str, Any]:
    """Pictures (N, ...) as whole numbers of 16 bits, little-endian in base64, and the largest magnitude of each."""
    flat = pictures.reshape(len(pictures), -1)
    peaks = np.abs(flat).max(axis=1, initial=0.0)
    scale = np.where((peaks > 0) & np.isfinite(peaks), peaks, 1.0)[:, None]
    whole = np.round(np.nan_to_num(flat / scale, posinf=1.0, neginf=-1.0) * _STEPS).astype("<i2")
    return {"peaks": numbers(peaks, 6), "weights": base64.b64encode(whole.tobytes()).decode()}


def _basis(basis: PatchBasis) -> dict[str, Any]:
    channels, rows, columns = basis.shape
    return {
        "channels": channels,
        "rows": rows,
        "columns": columns,
        "variance": numbers(basis.variance),
        "frequency": numbers(basis.frequency, 4),
        "components": packed(basis.components),
    }


def _network(view: NetworkView, shown: int) -> dict[str, Any]:
    banks = {"initial": view.initial, "trained": view.trained}
    _, _, rows, columns = view.trained.shape
    marks = filter_marks(view.faults)
    return {
        "name": view.name,
        "units": view.units,
        "change": view.final.profile.change,
        "range": [math.log10(tau) for tau in view.tau_range],  # both ends of the slider
        "snapshots": [_snapshot(one) for one in view.snapshots],
        "filters": {
            "count": len(view.trained),
            "rows": rows,
            "columns": columns,
            "marks": {str(number): [mark.kind, mark.text] for number, mark in marks.items()},
            "legend": marks_legend(marks),
            **{name: packed(weight[:shown]) for name, weight in banks.items() if weight is not None},
        },
        "learning": {name: numbers(values, 5) for name, values in view.learning.items()},
        "decorrelation": {name: numbers(values, 5) for name, values in view.decorrelation.items()},
    }


def _snapshot(one: Snapshot) -> dict[str, Any]:
    fit = one.fit and {
        "tau": one.fit.tau if math.isfinite(one.fit.tau) else None,  # None: infinity
        "correlation": one.fit.correlation,
        "range": numbers(np.array(one.fit.tau_range), 6),
        "bound": one.fit.bound,
    }
    return {"step": one.step, "energy": numbers(one.profile.energy), "fit": fit, "unfitted": one.unfitted}
