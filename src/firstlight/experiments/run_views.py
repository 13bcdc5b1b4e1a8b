"""Trained runs as views: what the interactive page shows of the networks of an experiment."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import compress

import numpy as np
import pandas as pd

from firstlight.experiments.learning import Reached
from firstlight.experiments.shared.fits import change_profiles, fitted
from firstlight.inspection.network_view import NetworkView, Snapshot
from firstlight.patches import PatchBasis
from firstlight.training import Run, describe, flow_time

LEARNING = ("step", "train_loss", "train_accuracy", "test_loss", "test_accuracy")


def run_view(run: Run, basis: PatchBasis, decorrelation: Mapping[str, np.ndarray] | None = None) -> NetworkView:
    """A run: the profile of w(t) - w(0) at every recorded step but the first, its filters and its learning curve."""
    snapshots = [Snapshot.of(profile, basis, step, fitted) for step, profile in change_profiles(run, basis)]
    name = describe(replace(run.spec, precision="float32"))
    time = flow_time(run.spec, run.spec.steps)
    return NetworkView(
        name=name,
        basis=basis,
        snapshots=snapshots,
        trained=run.final,
        initial=run.initial,
        learning={name: run.metrics[name].to_numpy(dtype=np.float64) for name in LEARNING},
        decorrelation=decorrelation or {},
        units=(
            f"τ = lr × steps of a linear CNN{'' if time is None else f' (here {time:.3g})'}, on patches normalised as "
            "the network's inputs are"
        ),
        key=run.spec.hash,
        details=(run.spec.precision, f"{run.spec.steps:,} steps"),
        learnt=Reached.of(name, [run]).learnt,
    )


def decorrelation_curves(curves: pd.DataFrame, network: str, seed: int) -> dict[str, np.ndarray]:
    """C(d) / C(0) of one run's filters, of the pixels and of ideal whitening filters, from the table of all curves."""
    own = (curves.network == network) & (curves.seed == seed)
    found = {bank: curves[own & (curves.bank == bank)] for bank in ("trained", "initial", "change")}
    found |= {bank: curves[curves.bank == bank] for bank in ("pixels", "ideal whitening")}
    return {bank: rows.value.to_numpy(dtype=np.float64) for bank, rows in found.items() if len(rows)}


def merged_views(views: Iterable[NetworkView]) -> list[NetworkView]:
    """Each network once, by a name of its own: what one view of it lacks is taken from the others."""
    found: dict[str, NetworkView] = {}
    for number, view in enumerate(views):
        key = view.key or f"#{number}"
        first = found.get(key)
        if first is None:
            found[key] = view
        else:
            found[key] = replace(
                first,
                learning=first.learning or view.learning,
                decorrelation=first.decorrelation or view.decorrelation,
            )
    return _told_apart(list(found.values()))


def _told_apart(views: list[NetworkView]) -> list[NetworkView]:
    """Networks of one name get those of their details in which they differ."""
    same = defaultdict(list)
    for view in views:
        same[view.name].append(view.details)
    differing = {name: [len({*values}) > 1 for values in zip(*details, strict=False)] for name, details in same.items()}
    return [replace(view, name=", ".join([view.name, *compress(view.details, differing[view.name])])) for view in views]
