"""The claims of the experiment `whitening`: W1 to W4 of the criteria."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from firstlight.experiments.claims import Claim
from firstlight.experiments.learning import Reached
from firstlight.experiments.networks import Trained
from firstlight.experiments.shared.notes import number
from firstlight.experiments.shared.tables import at_ends, rows_where
from firstlight.experiments.verdicts import Condition, Kind

MAX_DISTANCE = 10  # pixels
RANDOM_BANKS = 100
RATIO = f"C({MAX_DISTANCE}) / C(0) over that of RGB, normalised pixels"
# The networks of W1 by the claims' ids.
NETWORKS: dict[str, tuple[str, Kind]] = {
    "W1": ("vgg11", "published claim"),
    "W1.resnet20": ("resnet20", "own finding"),
    "W1.resnet20b": ("resnet20b", "own finding"),
}


def judge(
    groups: Mapping[str, Trained],
    curves: pd.DataFrame,
    networks: pd.DataFrame,
    responses: pd.DataFrame,
    distances: pd.DataFrame,
) -> list[Claim]:
    """Judge every claim.

    Parameters
    ----------
    groups : mapping of str to Trained
        The networks of W1 by name.
    curves : DataFrame
        A row a bank and distance, as `whitening.reference_curves` makes it.
    networks : DataFrame
        A row a run and recorded step, as `whitening.network_table` makes it.
    responses, distances : DataFrame
        As `whitening.theorem.response_table` and `distance_table` make them.
    """
    pixels, ideal = (curves_of(curves, bank)[0] for bank in ("pixels", "ideal whitening"))
    random = curves_of(curves, "random")
    return [
        *(
            trained_claim(name, groups[model], networks, pixels, random, kind)
            for name, (model, kind) in NETWORKS.items()
        ),
        random_claim(random, pixels),
        ideal_claim(ideal, responses),
        Claim.judged(
            "W4",
            Condition.of_data(
                "largest relative distance of eq. 3 at t → ∞ from 1 / λ",
                distances.largest_difference.iloc[-1],
                most=1e-3,
            ),
            note="A check of the theory's numerics; no network is in it.",
            replicates="data set",
            figure="eq3_over_time",
        ),
    ]


def curves_of(curves: pd.DataFrame, bank: str, network: str = "") -> np.ndarray:
    """C(d) / C(0) of all curves of one kind, and of one network where it is a network's, (curves, distances)."""
    return rows_where(curves, bank=bank, network=network).value.to_numpy().reshape(-1, MAX_DISTANCE + 1)


def trained_claim(
    name: str, group: Trained, networks: pd.DataFrame, pixels: np.ndarray, random: np.ndarray, kind: Kind
) -> Claim:
    """Whether the trained filters decorrelate: the whole weights, as the network uses them."""
    texts: dict[str, Any] = {"subject": group.network.title, "kind": kind, "figure": "autocorrelation"}
    if not group:
        return Claim.judged(name, reason=group.reason, **texts)
    own = rows_where(networks, network=group.network.name)
    firsts, ends = at_ends(own.loc[own.step > 0])
    starts = own[own.step == 0]
    return Claim.judged(
        name,
        Condition.over_seeds(RATIO, ends.weights / pixels[-1], most=0.6, after_one_step=firsts.weights / pixels[-1]),
        reached=[Reached.of(group.network.title, group.runs)],
        null={
            "of": f"{RANDOM_BANKS} random banks",
            "mean": float(random[:, -1].mean() / pixels[-1]),
            "percentile_5": float(np.percentile(random[:, -1], 5) / pixels[-1]),
        },
        note=f"C({MAX_DISTANCE}) / C(0) is {number(ends.weights)}, of the initial filters {number(starts.weights)}, of "
        f"the pixels {pixels[-1]:.3f}, and of the change w(t) - w(0) alone {number(ends.change)}; the change has "
        f"{number(ends.relative_change, '{:.2f}'.format)} times the norm of the initial weights.",
        **texts,
    )


def random_claim(random: np.ndarray, pixels: np.ndarray) -> Claim:
    """Whether random filters, (banks, distances), leave the auto-correlation as it is."""
    ratios = random[:, -1] / pixels[-1]
    return Claim.judged(
        "W2",
        Condition.over_seeds(RATIO, ratios, least=0.9, most=1.1),
        note=f"Single banks run from {ratios.min():.3f} to {ratios.max():.3f}.",
        replicates="bank",
        figure="autocorrelation",
    )


def ideal_claim(ideal: np.ndarray, responses: pd.DataFrame) -> Claim:
    """Whether the ideal whitening bank decorrelates, and what the theorem says exactly."""
    apart = responses[~responses.share_pixels]
    worst = apart.loc[apart.largest.idxmax()]
    return Claim.judged(
        "W3",
        Condition.of_data(f"C({MAX_DISTANCE}) / C(0) of the ideal bank", ideal[-1], most=0.1),
        note="At d = 3 to 10 it is "
        f"{', '.join(f'{value:.3f}' for value in ideal[3:])}. Theorem 4.3 says that responses at one place are "
        "uncorrelated with those at any other where patches are uncorrelated. Here single pairs of filters correlate "
        f"up to {worst.largest:.2f}, at {worst.distance:.0f} pixels, and up to "
        f"{apart.largest.iloc[-1]:.2f} at {MAX_DISTANCE}.",
        replicates="data set",
        figure="components",
    )
