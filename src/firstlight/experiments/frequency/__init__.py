"""`frequency`: are the patch components localised in frequency, and where does the first layer's sensitivity peak?

The note describes filters by their energy in the patch components because those are "highly localized in frequency",
and reports that the sensitivity of first layers peaks at intermediate spatial frequencies: that the first and the last
components have less energy than those between. The components are measured in cycles/pixel, against random orthonormal
bases; of the networks, the energy at both ends of the profile.

A filter of 3 taps can tell 3 frequency bands apart on an axis: its mean, its gradient, its curvature. So the frequency
plane is cut into 3 x 3 cells, three equal bands of |fx| by three of |fy|, and a filter is localised in so far as its
power lies in one of them. Spectra that differ only in the sign of fx or fy fall into the same cell: a saddle, a sum
over both diagonals, counts as one frequency.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from firstlight.experiments.context import Context
from firstlight.experiments.experiment import Experiment
from firstlight.experiments.frequency import figures
from firstlight.experiments.frequency.claims import BANDS, DRAWS, SENSITIVITY, judge
from firstlight.experiments.networks import Trained
from firstlight.experiments.results import FigureEntry, Result
from firstlight.experiments.shared.fits import RUN_COLUMNS, change_profiles
from firstlight.patches import PatchBasis
from firstlight.patches.spectra import mean_frequency, spectra
from firstlight.theory.null import orthonormal_bases

ON = tuple(network for network, _ in SENSITIVITY.values())


def run(context: Context) -> Result:
    """Measure the spectra of the components and of random bases, and both ends of the networks' profiles; judge."""
    basis = context.basis()
    groups = {name: context.trained(name) for name in ON}
    there = [group for group in groups.values() if group]
    components = component_table(basis)
    random_bases = random_table(basis)
    sensitivity = sensitivity_table(there, basis, components)
    return Result(
        experiment="frequency",
        claims=tuple(judge(components, random_bases, groups, sensitivity)),
        tables={"components": components, "random_bases": random_bases, "sensitivity": sensitivity},
        figures=draw(basis, there, components, random_bases),
        runs=tuple(run for group in there for run in group.runs),
    )


def cell_shares(filters: np.ndarray) -> np.ndarray:
    """Share of the power of filters in each cell of the frequency plane.

    Parameters
    ----------
    filters : ndarray, shape (N, C, k, k)

    Returns
    -------
    ndarray, shape (N, BANDS, BANDS), float64
        By band of |fy| and band of |fx|. Exact: the power in a cell is a quadratic form in the weights, to which two
        taps at a distance d contribute the integral of cos(2 pi f d) over the band.
    """
    taps = np.arange(filters.shape[-1])
    edges = np.arange(BANDS + 1)[:, None, None] / (2 * BANDS)
    below = 2 * edges * np.sinc(2 * edges * np.subtract.outer(taps, taps))  # the integral over |f| < edge
    bands = np.diff(below, axis=0)
    power = np.einsum("ncyx,ncvu,ayv,bxu->nab", filters, filters, bands, bands, optimize=True)
    return power / power.sum(axis=(1, 2), keepdims=True)


def component_table(basis: PatchBasis) -> pd.DataFrame:
    """A row a component: mean frequency and bandwidth in cycles/pixel, its best cell and the share there."""
    shares = cell_shares(basis.images)
    best = shares.reshape(basis.size, -1).argmax(axis=1)
    frequency, bandwidth = mean_frequency(spectra(basis.images))
    return pd.DataFrame(
        {
            "component": np.arange(1, basis.size + 1),
            "variance": basis.variance,
            "frequency": frequency,
            "bandwidth": bandwidth,
            "share": shares.max(axis=(1, 2)),
            "band_y": best // BANDS + 1,
            "band_x": best % BANDS + 1,
        }
    )


def random_table(basis: PatchBasis) -> pd.DataFrame:
    """A row a random orthonormal basis of the same patches: the mean over its vectors of the best cell's share."""
    rows = []
    for draw, vectors in enumerate(orthonormal_bases(DRAWS, basis.size), start=1):
        shares = cell_shares(vectors.reshape(basis.images.shape))
        rows.append({"draw": draw, "share": shares.max(axis=(1, 2)).mean()})
    return pd.DataFrame(rows)


def sensitivity_table(groups: Sequence[Trained], basis: PatchBasis, components: pd.DataFrame) -> pd.DataFrame:
    """A row a run after one step and at the end: where the profile of the change peaks, and both its ends.

    `low` is e_1 and `high` the mean of the last third of the e_i, each relative to the largest e_i.
    """
    rows = []
    for group in groups:
        for run in group.runs:
            profiles = change_profiles(run, basis)
            for step, profile in (profiles[0], profiles[-1]):
                energy = profile.normalized
                ends = energy[0], energy[-(basis.size // 3) :].mean()
                peak = profile.peak + 1, components.frequency[profile.peak]
                rows.append((group.network.name, run.spec.seed, step, *ends, *peak))
    return pd.DataFrame(rows, columns=[*RUN_COLUMNS, "low", "high", "peak_component", "peak_frequency"])


def draw(
    basis: PatchBasis, groups: Sequence[Trained], components: pd.DataFrame, random_bases: pd.DataFrame
) -> dict[str, FigureEntry]:
    """The components in frequency, and if any network was trained its profile over them."""
    entries = {
        "components": FigureEntry(
            figures.components(basis, components, random_bases),
            "The patch components in frequency",
            "Mean frequency, weighted with power, and one standard deviation to either side; share of the power in the "
            f"best of {BANDS} x {BANDS} cells of the frequency plane, and grey, the middle 95% of {len(random_bases)} "
            "random orthonormal bases, mean over components.",
        ),
        "spectra": FigureEntry(
            figures.spectra(spectra(basis.images)),
            "The power spectra of the patch components",
            "Frequency zero is in the middle, the Nyquist frequency at the edges; each spectrum is scaled by its own "
            "maximum, dark is none. White lines are the edges of the cells: those at the same |fx| and |fy| are one.",
        ),
    }
    if moved := [group for group in groups if group.moved]:
        entries["profiles"] = FigureEntry(
            figures.profiles(moved, basis, components),
            "The energy profile against the components' frequency",
            "Energy of w(t) - w(0) at the last step, relative to its peak, mean over seeds: a point a component, with "
            "its number, at its mean frequency.",
        )
    return entries


EXPERIMENT = Experiment(
    name="frequency",
    question="Are the patch components localised in frequency, and where does the first layer's sensitivity peak?",
    answers="note sec. 2.1",
    networks=ON,
    run=run,
)
