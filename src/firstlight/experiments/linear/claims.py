"""The claims of the experiment `linear`: assumption A1, checks N1, N2 and N4, and finding O1 of the criteria.

Verdicts on random labels are of 10 classes, as many as the paper's data have. Their |b_i| scatter about lambda_i, which
eq. 3 assumes away (`concentration`); of 100 classes they scatter less.
"""

import pandas as pd

from firstlight.experiments.claims import Claim
from firstlight.experiments.verdicts import CORRELATION, Condition

FEW = ", 10 classes"  # ends the kind of labels whose classes were merged to as many
TRUE, RANDOM, IDEAL = "true labels", f"random labels{FEW}", "ideal data"
SAME_ETA = "correlation of exact profile and eq. 3 at the same η and t, mean over t"


def judge(
    descent: pd.DataFrame,
    regimes: pd.DataFrame,
    agreement: pd.DataFrame,
    components: pd.DataFrame,
    largest_correlation: float,
) -> list[Claim]:
    """Judge every claim.

    Parameters
    ----------
    descent, regimes : DataFrame
        As `linear.descent.descent_table` and `linear.descent.regime_table` make them.
    agreement, components : DataFrame
        As `linear.agreement_table` and `linear.component_table` make them.
    largest_correlation : float
        Between two components of mean patches, of all pairs.
    """
    trained = descent.dropna(subset="difference")
    wrong = int((regimes.trained != regimes.mean_patches).sum())
    return [
        Claim.judged(
            "N1",
            Condition.of_data("largest |dW| / largest |W|", trained.difference.max(), most=1e-9),
            note=f"Over {trained.step.max()} steps at lr K max(a) = "
            f"{', '.join(f'{size:g}' for size in trained.step_size.unique())}, in float64.",
            replicates="network",
            figure="profiles",
        ),
        *(eq3_claim(*texts, agreement) for texts in (("O1", TRUE, ""), ("O1.random", RANDOM, "random labels"))),
        Claim.judged(
            "A1",
            Condition.of_data("largest |correlation| of two components of mean patches", largest_correlation, most=0.1),
            note=f"And A_ii J / λ_i², assumed to be 1, runs from {components.ratio.min():.2g} (component "
            f"{components.component[components.ratio.idxmin()]}) to {components.ratio.max():.3g} (component "
            f"{components.component[components.ratio.idxmax()]}).",
            replicates="data set",
            figure="assumptions",
        ),
        ideal_claim(agreement),
        Claim.judged(
            "N2",
            Condition.of_data(f"step sizes, of {len(regimes)}, at which the network does otherwise", wrong, most=0),
            note=regimes_note(regimes),
            replicates="network",
            figure="regimes",
        ),
    ]


def eq3_claim(name: str, kind: str, subject: str, agreement: pd.DataFrame) -> Claim:
    """How eq. 3 fares in the linear CNN on real images; nothing of it is random where the labels are the true ones."""
    rows = agreement[agreement.kind == kind]
    values = rows.groupby("seed").same_eta.mean().tolist()
    by_time = rows.groupby("t").same_eta.mean()
    real = len(values) == 1
    if real:
        condition = Condition.of_data(SAME_ETA, values[0], least=0.8)
    else:
        condition = Condition.over_seeds(SAME_ETA, values, least=0.8, possible=CORRELATION)
    return Claim.judged(
        name,
        condition,
        subject=subject,
        note=f"It is {by_time.iloc[0]:.2f} at t = 1, {by_time.min():.2f} at its lowest, at t = {by_time.idxmin()}, and "
        f"{by_time.iloc[-1]:.2f} at t = {by_time.index[-1]}. With eq. 3's fastest component as fast as the network's "
        f"the mean is {rows.same_speed.mean():.2f}; with the best t for each profile, an upper bound, "
        f"{rows.best_t.mean():.2f}. All classes' filters together.",
        replicates="data set" if real else "seed",
        figure="agreement",
    )


def ideal_claim(agreement: pd.DataFrame) -> Claim:
    """Whether eq. 3 holds where its assumptions do."""
    many, few = (agreement[agreement.kind == kind] for kind in (IDEAL, f"{IDEAL}{FEW}"))
    return Claim.judged(
        "N4",
        Condition.over_seeds(
            "smallest correlation of exact profile and eq. 3 at the same η and t, of all t",
            many.groupby("seed").same_eta.min(),
            least=0.95,
            possible=CORRELATION,
        ),
        note="Patches independent and Gaussian with the real variances, as many images as the real set, random labels "
        f"of 100 classes; of 10 classes the smallest is {few.groupby('seed').same_eta.min().mean():.3f}: more outputs "
        "bring |b| near λ, more images do not.",
        figure="agreement",
    )


def regimes_note(regimes: pd.DataFrame) -> str:
    """What the network does at each step size, and what the patches' variance in place of its own would say."""
    trained = "; ".join(f"{size:g}: {found}" for size, found in zip(regimes.step_size, regimes.trained, strict=True))
    return (
        f"lr K max(a) and what the network does: {trained}. The variance λ² of the patches in its place would say "
        f"{', '.join(regimes.same_eta)} with eq. 3's η, lr K / J, and {', '.join(regimes.patch_variance)} with lr K."
    )
