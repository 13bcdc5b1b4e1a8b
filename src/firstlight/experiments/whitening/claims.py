"""The claims of the experiment `whitening`. Their criteria were fixed before the first run and are not to be tuned."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from firstlight.experiments.claims import Claim
from firstlight.experiments.shared.plans import MODELS

MAX_DISTANCE = 10  # pixels
RANDOM_BANKS = 100


def judge(
    curves: pd.DataFrame, limit: pd.DataFrame, networks: pd.DataFrame, failures: Mapping[str, str]
) -> list[Claim]:
    """Judge every claim.

    Parameters
    ----------
    curves : DataFrame
        A row a bank and distance, as `whitening.reference_curves` and `whitening.network_curves` make it.
    limit : DataFrame
        A row a time and distance, as `whitening.limit_table` makes it.
    networks : DataFrame
        A row a run and recorded step, as `whitening.network_table` makes it.
    failures : mapping of str to str
        Why a network's claim cannot be tested, by network.
    """
    pixels, raw_pixels = (curves_of(curves, bank)[0] for bank in ("pixels", "raw pixels"))
    claims = reference_claims(pixels, raw_pixels, curves_of(curves, "random"))
    for model, title in MODELS.items():
        rows = networks.query("model == @model")
        ends = rows.groupby("seed").tail(1)
        claims.append(
            Claim.judged(
                ends.weights.tolist(),
                lambda mean: mean <= 0.3,
                name=f"whitening/{model}/decorrelates",
                figure="autocorrelation",
                statement=f"{title}'s trained filters decorrelate the image",
                source="paper Fig. 6; note sec. 4",
                published=f"about 0.2 at {MAX_DISTANCE} pixels",
                quantity=f"C({MAX_DISTANCE}) / C(0) of the weights at the last step",
                criterion="the mean over seeds is at most 0.3",
                note=(
                    network_note(rows, ends, pixels)
                    if len(ends)
                    else failures.get(model) or f"A training of {title} is missing."
                ),
            )
        )
    return claims + whitening_claims(curves_of(curves, "ideal whitening")[0], limit)


def curves_of(curves: pd.DataFrame, bank: str, model: str = "") -> np.ndarray:
    """C(d) / C(0) of all curves of one kind, and of one network where it is a network's, (curves, distances)."""
    return curves.query("bank == @bank and model == @model").value.to_numpy().reshape(-1, MAX_DISTANCE + 1)


def reference_claims(pixels: np.ndarray, raw_pixels: np.ndarray, random: np.ndarray) -> list[Claim]:
    """The claims on pixels, normalised and raw, shape (distances,), and random filters, shape (banks, distances)."""
    return [
        Claim.judged(
            [pixels[-1]],
            lambda value: value > 0.5,
            name="whitening/rgb/long-range",
            figure="autocorrelation",
            statement=f"the auto-correlation of RGB images is above 0.5 even at {MAX_DISTANCE} pixels",
            source="paper Fig. 6",
            published="above 0.5",
            quantity=f"C({MAX_DISTANCE}) / C(0) of the pixels",
            criterion="it is above 0.5",
            note=(
                f"Of pixels normalised by the mean and std of the data set, as a network sees them; at 1 pixel it is "
                f"{pixels[1]:.3f}. With the mean left in, on pixels from 0 to 1, it would be {raw_pixels[-1]:.3f} at "
                f"{MAX_DISTANCE} pixels: the statement depends on the normalisation."
            ),
            replicates="data set",
        ),
        Claim.judged(
            np.abs(random - pixels)[:, 1:].max(axis=1).tolist(),
            lambda mean: mean < 0.1,
            name="whitening/random/like-rgb",
            figure="autocorrelation",
            statement="random filters leave the auto-correlation as it is",
            source="paper Fig. 6",
            published="same as RGB, 100 seeds",
            quantity=f"largest |C(d) - C_RGB(d)| / C(0) over d = 1 to {MAX_DISTANCE}",
            criterion="the mean over banks is below 0.1",
            note=(
                f"On average random filters have {random[:, 1].mean():.3f} at 1 pixel and {random[:, -1].mean():.3f} "
                f"at {MAX_DISTANCE}, the pixels {pixels[1]:.3f} and {pixels[-1]:.3f}."
            ),
            replicates="bank",
        ),
        Claim.judged(
            [random[:, -1].std(ddof=1)],
            lambda value: value < 0.05,
            name="whitening/random/no-spread",
            figure="autocorrelation",
            statement="the auto-correlation of random filters hardly differs from draw to draw",
            source="paper Fig. 6",
            published="hardly any spread",
            quantity=f"standard deviation of C({MAX_DISTANCE}) / C(0) over {len(random)} random banks",
            criterion="it is below 0.05",
            note=f"They range from {random[:, -1].min():.3f} to {random[:, -1].max():.3f}.",
            replicates=f"set of {len(random)} banks",
        ),
    ]


def network_note(rows: pd.DataFrame, ends: pd.DataFrame, pixels: np.ndarray) -> str:
    """What a reader must know: where the curve started, how far the weights moved, how far the training got."""
    starts = rows.groupby("seed").head(1)
    change = ends.change.mean(skipna=False)
    alone = f", and the change w(t) - w(0) by itself {change:.3f}" if np.isfinite(change) else ""
    accuracy = ends.test_accuracy.mean(skipna=False)
    reached = f"the test accuracy is {accuracy:.1%}" if np.isfinite(accuracy) else "the accuracy was not measured"
    return (
        f"The initial filters have {starts.weights.mean():.3f}, the pixels {pixels[-1]:.3f}{alone}. After step "
        f"{ends.step.iloc[0]}, the last, the change has {ends.relative_change.mean():.2g} times the norm of the "
        f"initial weights, and {reached}."
    )


def whitening_claims(ideal: np.ndarray, limit: pd.DataFrame) -> list[Claim]:
    """The claims on the ideal whitening bank, shape (distances,), and on eq. 3's way to it."""
    last = limit[limit.tau == limit.tau.max()].value.to_numpy()
    return [
        Claim.judged(
            [np.abs(ideal[3:]).max()],
            lambda value: value < 0.05,
            name="whitening/ideal/zero",
            figure="components",
            statement="ideal whitening filters decorrelate completely",
            source="paper Theorem 4.3, Fig. 6; note sec. 2.3",
            published="0",
            quantity=f"largest |C(d) / C(0)| over d = 3 to {MAX_DISTANCE}, where patches share no pixel",
            criterion="it is below 0.05",
            note=(
                f"It is {ideal[1]:.3f} and {ideal[2]:.3f} at 1 and 2 pixels, where patches overlap, {ideal[3]:.3f} at "
                f"3 and {ideal[-1]:.3f} at {MAX_DISTANCE}. Whitening makes the responses to one patch uncorrelated; "
                "that those to different patches are so too, the theorem takes from the patches, which it assumes to "
                "be uncorrelated. The table and figure `components` show which are not."
            ),
            replicates="data set",
        ),
        Claim.judged(
            [np.abs(last - ideal).max()],
            lambda value: value < 1e-3,
            name="whitening/limit/approaches",
            figure="eq3_over_time",
            statement="as t goes to infinity the bank that eq. 3 predicts becomes the ideal whitening bank",
            source="paper Theorem 4.3; note sec. 2.3",
            published="whitening",
            quantity=f"largest |C_t(d) - C_ideal(d)| / C(0) over d up to {MAX_DISTANCE}, at τ = 10⁶ / smallest λ²",
            criterion="it is below 0.001",
            note=f"It is {np.abs(last - ideal).max():.1g}. A check of the theory's numerics; no network is in it.",
            replicates="data set",
        ),
    ]
