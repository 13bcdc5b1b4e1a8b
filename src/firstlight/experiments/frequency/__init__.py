"""`frequency`: are the patch components localised in frequency, and where does the first layer's sensitivity peak?

The note describes filters by their energy in the patch components because those are "highly localized in frequency",
and reports that the sensitivity of first layers peaks at intermediate spatial frequencies. Both are measured here in
cycles/pixel: on the components against random orthonormal bases, and on the first layers of VGG11 and ResNet20.

A filter of 3 taps can tell 3 frequency bands apart on an axis: its mean, its gradient, its curvature. So the frequency
plane is cut into 3 x 3 cells, three equal bands of |fx| by three of |fy|, and a filter is localised in so far as its
power lies in one of them. Spectra that differ only in the sign of fx or fy fall into the same cell: a saddle, a sum
over both diagonals, counts as one frequency.
"""

import numpy as np
import pandas as pd

from firstlight.experiments.context import Context
from firstlight.experiments.experiment import Experiment
from firstlight.experiments.frequency import figures
from firstlight.experiments.frequency.claims import BANDS, DRAWS, judge
from firstlight.experiments.results import FigureEntry, Result
from firstlight.experiments.shared.plans import MODELS, NO_COSTS, missing_networks, network_specs
from firstlight.experiments.shared.tables import stacked
from firstlight.patches import PatchBasis
from firstlight.patches.spectra import RADIUS, mean_frequency, spectra
from firstlight.profile import energy_profile
from firstlight.theory.null import orthonormal_bases
from firstlight.training import Run

# Rings over which spectra are averaged, and their middles, in cycles/pixel: up to the diagonal Nyquist frequency.
RING = 0.025
RINGS = (np.arange(int(RADIUS.max() / RING) + 1) + 0.5) * RING
BANKS = {"change": "w(t) - w(0)", "trained": "trained", "initial": "initial"}


def run(context: Context) -> Result:
    """Measure the spectra of the components, of random bases and of both networks' filters; judge the claims."""
    basis = context.basis()
    runs = context.runs(network_specs(context))
    components = component_table(basis)
    random_bases = random_table(basis)
    networks = network_table(runs, basis, components)
    responses = response_table(runs)
    return Result(
        experiment="frequency",
        claims=tuple(judge(components, random_bases, networks, missing_networks(context))),
        tables={
            "components": components,
            "random_bases": random_bases,
            "networks": networks,
            "responses": responses,
        },
        figures=draw(basis, runs, components, random_bases, responses),
        runs=tuple(runs),
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


def response(filters: np.ndarray) -> np.ndarray:
    """Root-mean-square response of a bank (K, C, k, k) to gratings, by `RINGS` of |f|, in units of the weights."""
    power = spectra(filters).mean(axis=0)
    ring = (RADIUS / RING).astype(int)
    return np.sqrt(np.bincount(ring.ravel(), power.ravel()) / np.bincount(ring.ravel()))


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


def network_table(runs: list[Run], basis: PatchBasis, components: pd.DataFrame) -> pd.DataFrame:
    """A row a run and bank: where its response and its energy profile peak, in cycles/pixel.

    `rank` is the peak component's place among all components by mean frequency, from 0, the lowest, to 1.
    """
    frequency = components.frequency.to_numpy()
    rows = []
    for run in runs:
        for bank, filters in banks(run).items():
            peak = energy_profile(filters, basis).peak
            rows.append(
                {
                    "model": run.spec.model,
                    "seed": run.spec.seed,
                    "step": run.steps[-1],
                    "bank": bank,
                    "response_peak": RINGS[response(filters).argmax()],
                    "peak_component": peak + 1,
                    "peak_frequency": frequency[peak],
                    "rank": (frequency < frequency[peak]).sum() / (basis.size - 1),
                }
            )
    columns = ["model", "seed", "step", "bank", "response_peak", "peak_component", "peak_frequency", "rank"]
    return pd.DataFrame(rows, columns=columns)


def response_table(runs: list[Run]) -> pd.DataFrame:
    """A row a run, bank and ring of frequencies: the root-mean-square response."""
    tables = [
        pd.DataFrame(
            {
                "model": run.spec.model,
                "seed": run.spec.seed,
                "bank": bank,
                "frequency": RINGS,
                "response": response(filters),
            }
        )
        for run in runs
        for bank, filters in banks(run).items()
    ]
    return stacked(tables, ["model", "seed", "bank", "frequency", "response"])


def banks(run: Run) -> dict[str, np.ndarray]:
    """The filters whose frequencies are measured: the change since initialisation, and what it is the change of."""
    return {"change": run.final - run.initial, "trained": run.final, "initial": run.initial}


def draw(
    basis: PatchBasis,
    runs: list[Run],
    components: pd.DataFrame,
    random_bases: pd.DataFrame,
    responses: pd.DataFrame,
) -> dict[str, FigureEntry]:
    """The components in frequency, and if any network was trained its sensitivity."""
    entries = {
        "components": FigureEntry(
            figures.components(basis, components, random_bases),
            "The patch components in frequency",
            "Left: mean frequency, weighted with power, and one standard deviation to either side. Right: share of the "
            f"power in the best of {BANDS} x {BANDS} cells of the frequency plane; gray, the middle 95% of "
            f"{len(random_bases)} random orthonormal bases, mean over components.",
        ),
        "spectra": FigureEntry(
            figures.spectra(spectra(basis.images)),
            "The power spectra of the patch components",
            "Frequency zero is in the middle, the Nyquist frequency at the edges; each spectrum is scaled by its own "
            "maximum, dark is none. White lines are the edges of the cells: those at the same |fx| and |fy| are one.",
        ),
    }
    if runs:
        names = {model: MODELS[model] for model in dict.fromkeys(run.spec.model for run in runs)}
        entries["responses"] = FigureEntry(
            figures.responses(responses, names, BANKS),
            "Sensitivity against spatial frequency",
            "Root-mean-square response of the bank to gratings, over all orientations and relative to its maximum: "
            "mean and range over seeds. Where the change is small, the trained filters are as the initial ones.",
        )
        entries["profiles"] = FigureEntry(
            figures.profiles(runs, basis, components, names),
            "The energy profile against the components' frequency",
            "Energy of w(t) - w(0) at the last step, relative to its peak, mean over seeds: a mark a component at its "
            "mean frequency, with its number.",
        )
    return entries


EXPERIMENT = Experiment(
    name="frequency",
    question="Are the patch components localised in frequency, and where does the first layer's sensitivity peak?",
    answers="note sec. 2.1",
    costs=NO_COSTS,
    plan=network_specs,
    run=run,
)
