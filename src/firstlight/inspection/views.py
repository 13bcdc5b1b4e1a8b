"""Inspected and compared first layers as views: what an interactive page shows of them."""

from typing import TYPE_CHECKING

from firstlight.inspection.findings import SIGNIFICANT, looks_untrained
from firstlight.inspection.measures import filter_faults, filter_norms
from firstlight.inspection.network_view import NetworkView, Snapshot
from firstlight.theory.null import RandomBanks, percentile, random_banks, spread
from firstlight.utils.text import spaced

if TYPE_CHECKING:
    from firstlight.inspection.comparison import Comparison
    from firstlight.inspection.inspection import Inspection
    from firstlight.patches.basis import PatchBasis


def inspection_view(found: "Inspection") -> NetworkView:
    """An inspected first layer."""
    snapshot = Snapshot(found.profile, found.fit, found.unfitted)
    return NetworkView(
        name=found.source,
        basis=found.basis,
        snapshots=[snapshot],
        trained=found.bank.weight,
        initial=None if found.initial is None else found.initial.weight,
        units=_units(found.basis),
        learnt=False if looks_untrained(found) else _learnt(snapshot, found.null),
        faults=found.faults,
    )


def comparison_views(found: "Comparison") -> list[NetworkView]:
    """The compared first layers, all in the same components."""
    views = []
    for label, profile, bank in zip(found.labels, found.profiles, found.banks, strict=True):
        snapshot, null = Snapshot.of(profile, found.basis), None
        if snapshot.fit:
            norms = None if profile.change else filter_norms(bank.weight)
            null = random_banks(found.basis.variance, len(bank), norms=norms)
        view = NetworkView(
            name=label,
            basis=found.basis,
            snapshots=[snapshot],
            trained=bank.weight,
            units=_units(found.basis),
            learnt=_learnt(snapshot, null),
            faults=filter_faults(bank.weight, found.basis if bank.weight.shape[1:] == found.basis.shape else None),
        )
        views.append(view)
    return views


def _learnt(snapshot: Snapshot, null: RandomBanks | None) -> bool | None:
    """Whether a profile is uneven as random ones are not; unknown where eq. 3 fits it no better than them."""
    energy, fit = snapshot.profile.energy, snapshot.fit
    if not energy.any() or (null and null.share_above(spread=spread(energy)) >= SIGNIFICANT):
        return False
    return True if fit and null and fit.correlation > percentile(null.correlations) else None


def _units(basis: "PatchBasis") -> str:
    return (
        "τ = lr × steps of a linear CNN, on pixels normalised as the patches were: "
        f"mean {spaced(basis.mean)}, std {spaced(basis.std)}"
    )
