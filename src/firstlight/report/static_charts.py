"""What stands in place of the interactive charts where no script runs, and on paper: one network's figures as SVG."""

import numpy as np

from firstlight.figures.axes import new_figure
from firstlight.figures.colours import COMPOSITION, MEASURED, PREDICTED, SERIES
from firstlight.figures.profiles import component_axis
from firstlight.figures.svg import svg
from firstlight.inspection.network_view import NetworkView

_MOST_PICTURES = 75  # more components have no room for pictures under their axis
_FEWEST_PICTURES = 8  # the pictures of fewer would be higher than the chart


def profile_chart(view: NetworkView, width: float = 4.8, height: float = 3.4) -> str:
    """The profile, and eq. 3 and composition where they can be fitted, each by its own peak; its size in inches."""
    fig, (ax,) = new_figure(width=width, height=height)
    snapshot, size = view.final, view.basis.size
    energy = snapshot.profile.energy
    peak = np.nanmax(energy, initial=0.0) or 1.0
    places = np.arange(1, size + 1)
    mark = "o" if size <= _MOST_PICTURES else ""
    label = "measured change" if snapshot.profile.change else "measured"
    ax.plot(places, energy / peak, marker=mark, ms=5, color=MEASURED, label=label)
    if snapshot.fit is not None:
        label = f"eq. 3, τ = {snapshot.fit.tau:.3g}, r = {snapshot.fit.correlation:.3f}"
        style = {"marker": "s" if mark else "", "ms": 5, "ls": "--", "color": PREDICTED}
        prediction = snapshot.fit.prediction
        ax.plot(places, prediction / (prediction.max() or 1.0), label=label, **style)
    if (other := snapshot.composition) is not None:
        label = f"composition, t = {other.t:.3g}, r = {other.correlation:.3f}"
        style = {"marker": "^" if mark else "", "ms": 4, "ls": "-.", "color": COMPOSITION}
        ax.plot(places, other.prediction / other.prediction.max(), label=label, **style)
    component_axis(ax, size, view.basis.images if _FEWEST_PICTURES <= size <= _MOST_PICTURES else None)
    ax.set_ylim(0, 1.05 + 0.13 * len(ax.lines))  # with room for the legend above what is drawn
    ax.set_ylabel("energy / its peak")
    ax.legend(frameon=False, fontsize=8, loc="upper right")
    return svg(fig)


def learning_chart(view: NetworkView) -> str:
    """Loss and accuracy over the steps; empty where they were not recorded."""
    if "step" not in view.learning:
        return ""
    fig, axes = new_figure(columns=2, width=3.75, height=2.8)
    for ax, what in zip(axes, ("loss", "accuracy"), strict=True):
        for split, colour, line in (("train", MEASURED, "-"), ("test", PREDICTED, "--")):
            values = view.learning.get(f"{split}_{what}", np.array([]))
            known = np.isfinite(values)
            if known.any():
                ax.plot(
                    view.learning["step"][known], values[known], color=colour, ls=line, marker="o", ms=3, label=split
                )
        ax.set(xscale="symlog", xlabel="step", ylabel=what, ylim=(0, None))
        if ax.lines:
            ax.legend(frameon=False, fontsize=8)
    return svg(fig)


def decorrelation_chart(view: NetworkView) -> str:
    """C(d) / C(0) of the banks; empty where it was not measured."""
    if not view.decorrelation:
        return ""
    from firstlight.whitening.curve import distance_axis

    fig, (ax,) = new_figure(width=4.8, height=3.0)
    for (name, values), (colour, marker, line) in zip(view.decorrelation.items(), SERIES, strict=False):
        ax.plot(np.arange(len(values)), values, color=colour, marker=marker, ls=line, ms=4, label=name)
    distance_axis(ax)
    ax.legend(frameon=False, fontsize=8)
    return svg(fig)
