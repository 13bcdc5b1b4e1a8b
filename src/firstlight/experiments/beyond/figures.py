"""The figure of the experiment `beyond`."""

from typing import TYPE_CHECKING

import pandas as pd

from firstlight.figures.axes import legend, new_figure, points, text
from firstlight.figures.colours import REFERENCE, SERIES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LABELS = {
    "held out": "of others, held out",
    "shown": "of others, not held out",
    "development": "of others, composition chosen on it",
    "ours": "trained here, change",
}


def theories(fits: pd.DataFrame) -> "Figure":
    """Each network where its correlation with eq. 3 and that with composition put it, and the line where both agree."""
    fig, (ax,) = new_figure(width=5.6, height=4.6)
    keys = ["network", "counts", "seed"]
    r = fits.pivot_table(index=keys, columns="theory", values="r", dropna=False, sort=False).dropna().reset_index()
    for (counts, label), (colour, marker, _) in zip(LABELS.items(), SERIES, strict=False):
        own = r[r.counts == counts]
        ax.plot(own["eq. 3"], own["composition"], marker, color=colour, ms=points(5), label=label)
    for name, own in r.groupby("network", sort=False):
        ax.annotate(
            str(name),
            (own["eq. 3"].mean(), own["composition"].mean()),
            xytext=(4, -3),
            textcoords="offset points",
            fontsize=text(6),
        )
    ax.axline((1, 1), slope=1, color=REFERENCE, lw=points(0.8), ls=":")
    ax.set(xlabel="r with eq. 3", ylabel="r with composition")
    legend(ax, loc="best")
    return fig
