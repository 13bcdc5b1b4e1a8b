"""Inspected and compared first layers as views: what an interactive page shows of them."""

from typing import TYPE_CHECKING

from firstlight.inspection.findings import looks_untrained
from firstlight.inspection.measures import filter_faults
from firstlight.inspection.network_view import NetworkView, Snapshot
from firstlight.theory.null import percentile
from firstlight.utils.text import spaced

if TYPE_CHECKING:
    from firstlight.inspection.comparison import Comparison
    from firstlight.inspection.inspection import Inspection
    from firstlight.patches.basis import PatchBasis


def inspection_view(found: "Inspection") -> NetworkView:
    """An inspected first layer."""
    return NetworkView(
        name=found.source,
        basis=found.basis,
        snapshots=[Snapshot(found.profile, found.fit, found.unfitted)],
        trained=found.bank.weight,
        initial=None if found.initial is None else found.initial.weight,
        units=_units(found.basis),
        learnt=_learnt(found),
        faults=found.faults,
    )


def comparison_views(found: "Comparison") -> list[NetworkView]:
    """The compared first layers, all in the same components."""
    return [
        NetworkView(
            name=label,
            basis=found.basis,
            snapshots=[Snapshot.of(profile, found.basis)],
            trained=bank.weight,
            units=_units(found.basis),
            faults=filter_faults(bank.weight, None),
        )
        for label, profile, bank in zip(found.labels, found.profiles, found.banks, strict=True)
    ]


def _learnt(found: "Inspection") -> bool | None:
    """Whether a layer is uneven as random ones are not; unknown where eq. 3 fits it no better than them."""
    if not found.profile.energy.any() or looks_untrained(found):
        return False
    described = found.fit and found.null and found.fit.correlation > percentile(found.null.correlations)
    return True if described else None


def _units(basis: "PatchBasis") -> str:
    return (
        "τ = lr × steps of a linear CNN, on pixels normalised as the patches were: "
        f"mean {spaced(basis.mean)}, std {spaced(basis.std)}"
    )
