"""The pages of `inspect` and `compare`: what first layers have learnt, to be explored."""

import hashlib
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from firstlight.experiments.network_view import NetworkView, Snapshot
from firstlight.patches.basis import PatchBasis
from firstlight.utils.version import __version__
from firstlight.utils.whole_files import write_text

if TYPE_CHECKING:
    from firstlight.inspection import Comparison, Inspection
    from firstlight.inspection.inspection import Failure

_UNITS = "τ = lr × steps of a linear CNN, on pixels normalised as the patches were: {}"


def inspections_page(found: "Sequence[Inspection]", failures: "Sequence[Failure]" = (), about: str = "") -> str:
    """The page of inspections, as HTML: every first layer with its numbers, findings, profile and filters.

    Parameters
    ----------
    found : sequence of Inspection
    failures : sequence of Failure, optional
        What could not be inspected, and why.
    about : str, optional
        How it was made.
    """
    from firstlight.figures.axes import new_figure
    from firstlight.figures.inline_svg import Figures
    from firstlight.figures.pictures import show_tiles
    from firstlight.figures.svg import svg
    from firstlight.report.filter_tables import inspection_rows
    from firstlight.report.interactive import markup, render

    figures, sections = Figures(), []
    for number, one in enumerate(found):
        figure, (left, right) = new_figure(columns=2, width=5.0)
        one.plot(left)
        show_tiles(right, one.bank.weight)
        right.set_title("filters, each by its own scale; gray is zero", fontsize=9)
        sections.append(
            {
                "source": one.source,
                "rows": inspection_rows(one),
                "findings": one.findings,
                "svg": markup(figures, svg(figure), f"s{number}", f"Profile and filters of {one.source}"),
            }
        )
    views = [inspection_view(one) for one in found]
    repeat = {"about": about, "versions": versions(), "digests": digests(views)}
    return render("inspection.html", views, figures, sections=sections, failures=failures, **repeat)


def comparison_page(found: "Comparison", about: str = "") -> str:
    """The page of a comparison, as HTML: the correlations as heat map and table, all profiles, and each network.

    Parameters
    ----------
    found : Comparison
    about : str, optional
        How it was made.
    """
    from firstlight.figures.axes import new_figure
    from firstlight.figures.inline_svg import Figures
    from firstlight.figures.svg import svg
    from firstlight.report.interactive import markup, render
    from firstlight.report.payload import numbers

    figures, views = Figures(), comparison_views(found)
    # So high that its legend, a line a network, has room beside it.
    overlay, (ax,) = new_figure(width=7.5, height=max(3.6, 0.6 + 0.19 * len(found.labels)))
    found.plot_profiles(ax)
    comparison = {
        "labels": list(found.labels),
        "correlations": [numbers(row, 6) for row in found.correlations],
        "profiles": [numbers(profile.energy, 6) for profile in found.profiles],
        "basis": 0,
    }
    return render(
        "comparison.html",
        views,
        figures,
        more={"comparison": comparison},
        found=found,
        heat_map=markup(figures, svg(found.plot()[0]), "heat-map", "Correlations, as in the table below"),
        overlay=markup(figures, svg(overlay), "overlay", "Energy profiles of all networks"),
        about=about,
        versions=versions(),
        digests=digests(views),
    )


def write_inspection_page(path: Path, found: "Sequence[Inspection]", failures: "Sequence[Failure]", about: str) -> None:
    """Write one self-contained page: every first layer with its numbers, findings, profile and filters."""
    write_text(path, inspections_page(found, failures, about))


def write_comparison_page(path: Path, found: "Comparison", about: str) -> None:
    """Write one self-contained page: the correlations as heat map and table, and all profiles on one axis."""
    write_text(path, comparison_page(found, about))


def versions() -> str:
    """What made a page."""
    return f"firstlight {__version__}, NumPy {np.__version__}, Python {platform.python_version()}"


def digests(views: Sequence[NetworkView]) -> list[tuple[str, str]]:
    """Name of each network, and what tells whether somebody else's filters are the same: SHA-256 of the weights."""
    return [
        (view.name, hashlib.sha256(np.ascontiguousarray(view.trained, "<f8").tobytes()).hexdigest()) for view in views
    ]


def inspection_view(one: "Inspection") -> NetworkView:
    """An inspected first layer, to be explored."""
    return NetworkView(
        name=one.source,
        basis=one.basis,
        snapshots=[Snapshot(one.profile, one.fit, one.unfitted)],
        trained=one.bank.weight,
        initial=None if one.initial is None else one.initial.weight,
        units=_units(one.basis),
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
        )
        for label, profile, bank in zip(found.labels, found.profiles, found.banks, strict=True)
    ]


def _units(basis: PatchBasis) -> str:
    mean, std = (" ".join(f"{value:.4g}" for value in values) for values in (basis.mean, basis.std))
    return _UNITS.format(f"mean {mean}, std {std}")
