"""Inspected and compared first layers as views: what an interactive page shows of them."""

from dataclasses import replace
from typing import TYPE_CHECKING

from firstlight.inspection.doubt import Doubt
from firstlight.inspection.measures import filter_faults
from firstlight.inspection.network_view import NetworkView, Snapshot
from firstlight.theory.null import RandomBanks, percentile
from firstlight.utils.text import spaced

if TYPE_CHECKING:
    from firstlight.inspection.comparison import Comparison
    from firstlight.inspection.inspection import Inspection
    from firstlight.patches.basis import PatchBasis


def inspection_view(found: "Inspection") -> NetworkView:
    """An inspected first layer."""
    snapshot = Snapshot(
        found.profile, found.fit, found.unfitted, composition=found.theories.composition if found.theories else None
    )
    return NetworkView(
        name=found.source,
        basis=found.basis,
        snapshots=[snapshot],
        trained=found.bank.weight,
        initial=None if found.initial is None else found.initial.weight,
        units=_units(found.basis),
        learnt=_learnt(snapshot, found.null, found.doubt),
        faults=found.faults,
    )


def comparison_views(found: "Comparison") -> list[NetworkView]:
    """The compared first layers, all in the same components."""
    views = []
    parts = zip(found.labels, found.profiles, found.banks, found.nulls, found.doubts, found.theories, strict=True)
    for label, profile, bank, null, doubt, theories in parts:
        snapshot = replace(Snapshot.of(profile, found.basis), composition=theories and theories.composition)
        view = NetworkView(
            name=label,
            basis=found.basis,
            snapshots=[snapshot],
            trained=bank.weight,
            units=_units(found.basis),
            learnt=_learnt(snapshot, null, doubt),
            faults=filter_faults(bank.weight, found.basis if bank.weight.shape[1:] == found.basis.shape else None),
        )
        views.append(view)
    return views


def _learnt(snapshot: Snapshot, null: RandomBanks | None, doubt: Doubt | None) -> bool | None:
    """Whether a layer has learnt; unknown where it sees grey, and where eq. 3 fits it no better than random ones."""
    if doubt and doubt != "grey-input":
        return False
    fit = snapshot.fit
    return True if not doubt and fit and null and fit.correlation > percentile(null.correlations) else None


def _units(basis: "PatchBasis") -> str:
    return (
        "τ = lr × steps of a linear CNN, on pixels normalised as the patches were: "
        f"mean {spaced(basis.mean)}, std {spaced(basis.std)}"
    )
