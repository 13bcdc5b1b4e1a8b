"""`whitening`: do first layers decorrelate images, as the theory says that they come to do?

The auto-correlation of the first layer's output against distance, C(d) = E[y(i) . y(i + d)], of the pixels, of random
filters, of trained ones, of the ideal whitening filters, and of the bank that eq. 3 predicts at several t. Every curve
follows from the second moments of pairs of patches, which are measured once on the training images.

Expected, by the paper's Fig. 6: pixels above 0.5 even at 10 pixels; random filters the same, hardly any spread over
100 seeds; trained filters about 0.2 at 10 pixels; ideal whitening filters 0.
"""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pandas as pd

from firstlight.experiments.context import Context
from firstlight.experiments.experiment import Experiment
from firstlight.experiments.networks import Trained
from firstlight.experiments.results import FigureEntry, Result
from firstlight.experiments.run_views import decorrelation_curves, run_view
from firstlight.experiments.shared.notes import tau_units
from firstlight.experiments.whitening import figures
from firstlight.experiments.whitening.claims import MAX_DISTANCE, NETWORKS, RANDOM_BANKS, judge
from firstlight.experiments.whitening.theorem import distance_table, limit_table, response_table
from firstlight.filters import FilterBank
from firstlight.images import ImageSet
from firstlight.patches import PatchBasis
from firstlight.theory.null import gaussians
from firstlight.whitening import LagMoments, pixel_bank, whitening_bank

FILTERS = 64  # of the random banks, as VGG11's first layer
MODELS = tuple(network for network, _ in NETWORKS.values())


def run(context: Context) -> Result:
    """Measure the curves of all banks and judge the claims."""
    basis = context.basis()
    lags = lag_moments(context, basis.kernel_size)
    groups = {name: context.trained(name) for name in MODELS}
    pixels = lag_moments(context, 1), lag_moments(context, 1, normalised=False)
    tables = [*reference_curves(lags, *pixels, basis), *network_curves(groups.values(), lags)]
    curves = pd.concat(tables, ignore_index=True)
    limit = limit_table(lags, basis)
    components = component_table(lags, basis)
    networks = network_table(groups.values(), lags)
    responses, distances = response_table(lags, basis), distance_table(basis)
    runs = [(group, run) for group in groups.values() for run in group.runs]
    return Result(
        experiment="whitening",
        claims=tuple(judge(groups, curves, networks, responses, distances)),
        tables={
            "curves": curves,
            "eq3_over_time": limit,
            "eq3_limit": distances,
            "components": components,
            "ideal_responses": responses,
            "networks": networks,
        },
        figures=draw(curves, limit, components, networks, basis),
        runs=tuple(run for _, run in runs),
        units=f"{tau_units(context)}; distances in pixels",
        networks=tuple(
            run_view(run, basis, decorrelation_curves(curves, group.network.name, run.spec.seed)) for group, run in runs
        ),
    )


def lag_moments(context: Context, kernel_size: int, normalised: bool = True) -> LagMoments:
    """Moments of pairs of patches of all training images of the main data set, normalised or as they are."""

    def measure(train: ImageSet, test: ImageSet) -> dict[str, np.ndarray]:
        if not normalised:
            train = replace(train, mean=(0.0,) * train.channels, std=(1.0,) * train.channels)
        return {"matrices": LagMoments.of(train, kernel_size, MAX_DISTANCE).matrices}

    arrays = context.measured(
        "lag-moments", measure, kernel_size=kernel_size, max_distance=MAX_DISTANCE, normalised=normalised
    )
    return LagMoments(arrays["matrices"], kernel_size, context.facts()[0].channels)


def reference_curves(
    lags: LagMoments, pixels: LagMoments, raw_pixels: LagMoments, basis: PatchBasis
) -> list[pd.DataFrame]:
    """A table a bank that nothing trained: pixels, random filters, ideal whitening filters."""
    banks = gaussians(RANDOM_BANKS, FILTERS, lags.channels, lags.kernel_size, lags.kernel_size)
    tables = [
        curve_rows(pixels, pixel_bank(pixels.channels), "pixels"),
        curve_rows(raw_pixels, pixel_bank(raw_pixels.channels), "raw pixels"),
    ]
    tables += [curve_rows(lags, bank, "random", seed=seed) for seed, bank in enumerate(banks)]
    return [*tables, curve_rows(lags, whitening_bank(basis), "ideal whitening")]


def network_curves(groups: Iterable[Trained], lags: LagMoments) -> list[pd.DataFrame]:
    """A table a run and state of its first layer: the initial filters, the trained ones, and the change."""
    return [
        curve_rows(lags, filters, bank, group.network.name, run.spec.seed)
        for group in groups
        for run in group.runs
        for bank, filters in (("initial", run.initial), ("trained", run.final), ("change", run.final - run.initial))
        if filters.any()  # a layer that has not moved has no change
    ]


def curve_rows(
    lags: LagMoments, filters: FilterBank | np.ndarray, bank: str, network: str = "", seed: int | None = None
) -> pd.DataFrame:
    """The curve of one bank, labelled, a row a distance."""
    curve = lags.curve(filters).to_frame()
    # Int64 and not float, so that a seed is written as one.
    labelled = curve.assign(bank=bank, network=network, seed=pd.array([seed] * len(curve), dtype="Int64"))
    return labelled.reindex(columns=["bank", "network", "seed", "distance", "value", "raw"])


def component_table(lags: LagMoments, basis: PatchBasis) -> pd.DataFrame:
    """A row a component with variance and distance: the curve of that component alone as a filter.

    The curve of the ideal whitening bank is their mean.
    """
    tables = [
        lags.curve(picture[None]).to_frame().assign(component=number, variance=variance)
        for number, (picture, variance) in enumerate(zip(basis.images, basis.variance, strict=True), start=1)
        if variance > 0
    ]
    return pd.concat(tables, ignore_index=True).reindex(columns=["component", "variance", "distance", "value"])


def network_table(groups: Iterable[Trained], lags: LagMoments) -> pd.DataFrame:
    """A row a run and recorded step: C / C(0) at the largest distance, and how far the weights have moved."""
    rows = []
    for group in groups:
        for run in group.runs:
            for step, filters in zip(run.steps, run.filters, strict=True):
                change = filters - run.initial
                alone = lags.curve(change).value[-1] if change.any() else np.nan
                moved = np.linalg.norm(change) / np.linalg.norm(run.initial)
                values = lags.curve(filters).value[-1], alone, moved
                rows.append((group.network.name, run.spec.seed, int(step), *values))
    return pd.DataFrame(rows, columns=["network", "seed", "step", "weights", "change", "relative_change"])


def draw(
    curves: pd.DataFrame, limit: pd.DataFrame, components: pd.DataFrame, networks: pd.DataFrame, basis: PatchBasis
) -> dict[str, FigureEntry]:
    """Figure 6 of the paper, and what explains it."""
    entries = {
        "autocorrelation": FigureEntry(
            figures.autocorrelation(curves),
            "Auto-correlation of the first layer's output (Figure 6 of the paper)",
            "C(d) / C(0) on all training images; trained filters at the last step, mean and range over seeds; mean and "
            f"range of {RANDOM_BANKS} random banks. Patches less than {basis.kernel_size} pixels apart overlap.",
        ),
        "eq3_over_time": FigureEntry(
            figures.limit(limit, curves),
            "Auto-correlation of the filters of eq. 3 at several t",
            "Filters u_i e_i(t), from e ∝ λ (early) to e ∝ 1/λ, which is the ideal whitening bank.",
        ),
        "components": FigureEntry(
            figures.components(components, basis),
            "Auto-correlation of each component",
            "Of each principal component as the only filter. The curve of the ideal whitening bank is the mean over "
            "components.",
        ),
    }
    if len(networks):
        entries["networks"] = FigureEntry(
            figures.networks(curves),
            "Initial filters, trained filters, and the change alone",
            "C(d) / C(0) before training, at the last step, and of w(t) - w(0): mean and range over seeds.",
        )
        entries["over_steps"] = FigureEntry(
            figures.over_steps(networks),
            f"Auto-correlation at {MAX_DISTANCE} pixels over the steps",
            "Of the whole weights and of w(t) - w(0): mean and range over seeds. Dotted: the published value.",
        )
    return entries


EXPERIMENT = Experiment(
    name="whitening",
    question="Do first layers decorrelate images, and does eq. 3 end in whitening?",
    answers="paper Theorem 4.3 and Fig. 6; note sec. 2.3 and 4",
    networks=MODELS,
    run=run,
)
