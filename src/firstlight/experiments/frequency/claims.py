"""The claims of the experiment `frequency`: S1 and O6 of the criteria."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from firstlight.experiments.claims import Claim
from firstlight.experiments.learning import Reached
from firstlight.experiments.networks import Trained
from firstlight.experiments.shared.fits import RANDOM_BANKS, null_of
from firstlight.experiments.shared.notes import listed
from firstlight.experiments.shared.tables import at_ends, rows_where
from firstlight.experiments.verdicts import SHARE, Condition, Kind
from firstlight.theory.null import gaussian_profiles

BANDS = 3  # an axis of the frequency plane, as many as a filter has taps
DRAWS = 100  # of random orthonormal bases
SENSITIVITY: dict[str, tuple[str, Kind]] = {
    "S1": ("vgg11", "published claim"),
    "S1.resnet20": ("resnet20", "published claim"),
    "S1.resnet20b": ("resnet20b", "own finding"),
}


def judge(
    components: pd.DataFrame, random_bases: pd.DataFrame, groups: Mapping[str, Trained], sensitivity: pd.DataFrame
) -> list[Claim]:
    """Judge every claim.

    Parameters
    ----------
    components, random_bases, sensitivity : DataFrame
        As `frequency.component_table`, `random_table` and `sensitivity_table` make them.
    groups : mapping of str to Trained
        The networks by name.
    """
    claims = [
        sensitivity_claim(name, kind, groups[network], sensitivity, components)
        for name, (network, kind) in SENSITIVITY.items()
    ]
    return [*claims, localised_claim(components, random_bases)]


def sensitivity_claim(
    name: str, kind: Kind, group: Trained, sensitivity: pd.DataFrame, components: pd.DataFrame
) -> Claim:
    """Whether both ends of one network's profile have less energy than what is between."""
    if not group:
        return Claim.judged(name, reason=group.reason, subject=group.network.title, kind=kind, figure="profiles")
    firsts, ends = at_ends(rows_where(sensitivity, network=group.network.name))
    filters = len(group.runs[0].initial)
    # Not the claim's `null`, which is of its first condition alone: random banks may satisfy that, but not both.
    banks = gaussian_profiles(filters, (RANDOM_BANKS, len(components)), np.random.default_rng(0))
    flat = (banks / banks.max(axis=1, keepdims=True)).mean(axis=0)
    return Claim.judged(
        name,
        Condition.over_seeds("e_1 / max e", ends.low, most=0.8, every=True, after_one_step=firsts.low, possible=SHARE),
        Condition.over_seeds(
            "mean of the last third of the e_i / max e",
            ends.high,
            most=0.5,
            every=True,
            after_one_step=firsts.high,
            possible=SHARE,
        ),
        subject=group.network.title,
        kind=kind,
        reached=[Reached.of(group.network.title, group.runs)],
        lambda_alone=[1.0],
        note=f"By seed the last third has {listed(ends.high, '.2f')} of the peak, which is at component "
        f"{listed(ends.peak_component, '.0f')}, of mean frequency {listed(ends.peak_frequency)} cycles/pixel; those of "
        f"all components run from {components.frequency.min():.3f} to {components.frequency.max():.3f}. Of "
        f"{RANDOM_BANKS} random banks of {filters} filters e_1 is {flat[0]:.2f} of the peak and the last third "
        f"{flat[-(len(flat) // 3) :].mean():.2f}.",
        figure="profiles",
    )


def localised_claim(components: pd.DataFrame, random_bases: pd.DataFrame) -> Claim:
    """Whether the components lie in few cells of the frequency plane, beside random bases."""
    chance = float(np.percentile(random_bases.share, 95))
    least = components.loc[components.share.idxmin()]
    return Claim.judged(
        "O6",
        Condition.of_data(
            "share of power in the best cell, mean over components", components.share.mean(), least=chance
        ),
        null=null_of(random_bases.share.to_numpy(), f"{DRAWS} random orthonormal bases"),
        note=f"From {least.share:.3f} (component {least.component:.0f}) to {components.share.max():.3f}. The "
        f"{BANDS} x {BANDS} cells of (|fx|, |fy|) are equally large: a flat spectrum has {1 / BANDS**2:.3f} in each.",
        replicates="data set",
        figure="spectra",
    )
