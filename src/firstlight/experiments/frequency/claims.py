"""The claims of the experiment `frequency`. Their criteria were fixed before the first run and are not to be tuned."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from firstlight.experiments.claims import Claim
from firstlight.experiments.shared.plans import MODELS

BANDS = 3  # an axis of the frequency plane, as many as a filter has taps
DRAWS = 100  # of random orthonormal bases
LOW, HIGH = 1 / 6, 5 / 6  # intermediate frequencies, as ranks among the components


def judge(
    components: pd.DataFrame, random_bases: pd.DataFrame, networks: pd.DataFrame, failures: Mapping[str, str]
) -> list[Claim]:
    """Judge every claim.

    Parameters
    ----------
    components : DataFrame
        A row a component, as `frequency.component_table` makes it.
    random_bases : DataFrame
        A row a random basis, as `frequency.random_table` makes it.
    networks : DataFrame
        A row a run and bank, as `frequency.network_table` makes it.
    failures : mapping of str to str
        Why the claims on a network cannot be tested, by network.
    """
    chance = float(np.percentile(random_bases.share, 95))
    least = components.loc[components.share.idxmin()]
    claims = [
        Claim.judged(
            [components.share.mean()],
            lambda mean: mean > chance,
            name="frequency/components/localised",
            figure="spectra",
            statement="the principal components of the patches are localised in frequency",
            source="note sec. 2.1",
            published="highly localized",
            quantity="mean over components of the share of power in the best cell of the frequency plane",
            criterion=f"it is above the 95th percentile of {DRAWS} random orthonormal bases",
            note=(
                f"Random bases reach {random_bases.share.mean():.3f} on average, 95th percentile {chance:.3f}. The "
                f"components reach {least.share:.3f} (component {least.component:.0f}) to "
                f"{components.share.max():.3f}. The {BANDS} x {BANDS} cells of (|fx|, |fy|) are equally large: a flat "
                f"spectrum has {1 / BANDS**2:.3f} in each."
            ),
            replicates="data set",
        )
    ]
    for model, title in MODELS.items():
        rows = networks.query("model == @model")
        change, initial = rows.query("bank == 'change'"), rows.query("bank == 'initial'")
        tested = model not in failures
        claims.append(
            Claim.judged(
                change["rank"].tolist() if tested else (),
                lambda mean: LOW <= mean <= HIGH,
                name=f"frequency/{model}/peak",
                figure="profiles",
                statement=f"the sensitivity of {title}'s first layer peaks at intermediate spatial frequencies",
                source="note sec. 2.1",
                published="intermediate",
                quantity=(
                    "rank by mean frequency, 0 the lowest to 1 the highest, of the component where the profile of "
                    "w(t) - w(0) peaks"
                ),
                criterion="the mean over seeds is between 1/6 and 5/6",
                note=peak_note(change, initial, components) if tested else failures[model],
            )
        )
    return claims


def peak_note(change: pd.DataFrame, initial: pd.DataFrame, components: pd.DataFrame) -> str:
    """What a reader must know beside the rank: the frequencies, and how likely chance meets the criterion."""
    ranks = np.arange(len(components)) / (len(components) - 1)
    within = int(((ranks >= LOW) & (ranks <= HIGH)).sum())
    return (
        f"After step {change.step.iloc[0]}, the last, the profile peaks at component "
        f"{listed(change.peak_component, '.0f')} (seed by seed), whose mean frequency is "
        f"{listed(change.peak_frequency)} cycles/pixel; those of all components run from "
        f"{components.frequency.min():.3f} to {components.frequency.max():.3f}. The mean response of the change to "
        f"gratings peaks at {listed(change.response_peak)} cycles/pixel, that of the initial filters at "
        f"{listed(initial.response_peak)}. {within} of the {len(components)} components meet the criterion, so that a "
        "peak at a random one would as often."
    )


def listed(values: pd.Series, form: str = ".3f") -> str:
    """Some numbers, for a note."""
    return ", ".join(format(value, form) for value in values)
