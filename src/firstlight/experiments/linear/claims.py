"""The claims of the experiment `linear`. Their criteria were fixed before the first run and are not to be tuned.

Verdicts are on random labels of 10 classes, as many as the paper's data have. Their |b_i| scatter about lambda_i,
which eq. 3 assumes away; the notes say what is left with 100 classes, which scatter less.
"""

import numpy as np
import pandas as pd

from firstlight.experiments.claims import Claim
from firstlight.profile import correlation
from firstlight.theory.null import agreement, gaussians

FEW = ", 10 classes"  # ends the kind of labels whose classes were merged to as many
DERIVATION = "note sec. 2.3; paper sec. 4, Theorem 4.2"
NULL_DRAWS = 2000


def judge(
    descent: pd.DataFrame,
    regimes: pd.DataFrame,
    agreement: pd.DataFrame,
    components: pd.DataFrame,
    classes: pd.DataFrame,
    largest_correlation: float,
) -> list[Claim]:
    """Judge every claim.

    Parameters
    ----------
    descent, regimes : DataFrame
        As `linear.descent.descent_table` and `linear.descent.regime_table` make them.
    agreement, components, classes : DataFrame
        As `linear.agreement_table`, `linear.component_table` and `linear.class_table` make them.
    largest_correlation : float
        Between two components of mean patches, of all pairs.
    """
    trained = descent.dropna(subset="difference")
    return [
        Claim.judged(
            [trained.difference.max()],
            lambda largest: largest < 1e-9,
            name="linear/exact/matches-gradient-descent",
            figure="profiles",
            statement="the closed form with measured A and b is what gradient descent does to a linear CNN",
            source="paper sec. 4, the derivation of Theorem 4.2",
            published="exact",
            quantity="largest |dW| relative to the largest |W|, trained by autograd against closed form, of all steps",
            criterion="it is below 1e-9",
            note=(
                f"It is {trained.difference.max():.1e}, over {trained.step.max()} steps at lr K max(a) = "
                f"{', '.join(f'{size:g}' for size in trained.step_size.unique())}, in float64."
            ),
            replicates="network",
        ),
        _agreement(
            agreement,
            "true labels",
            [agreement.query("kind == 'true labels'").same_eta.mean()],
            name="linear/eq3/true-labels",
            figure="agreement",
            statement="eq. 3 describes a linear CNN on real images",
            source="note sec. 2.3; paper Theorem 4.2, Fig. 4",
            replicates="data set",
            more=(
                f" Class by class, the mean over classes and t is {classes.same_eta.mean():.3f}."
                f"{_readout_trained(agreement)}"
            ),
        ),
        _agreement(
            agreement,
            f"random labels{FEW}",
            agreement[agreement.kind == f"random labels{FEW}"].groupby("seed").same_eta.mean().tolist(),
            name="linear/eq3/random-labels",
            figure="agreement",
            statement="eq. 3 describes a linear CNN on real images with random labels",
            source="note sec. 2.3; paper Theorem 4.2",
            replicates="seed",
            more=_many_classes(agreement, "random labels"),
        ),
        Claim.judged(
            [largest_correlation],
            lambda largest: largest < 0.1,
            name="linear/assumption/uncorrelated-patches",
            figure="assumptions",
            statement="patches within an image are uncorrelated",
            source=f"{DERIVATION}, assumption",
            published="assumed",
            quantity="largest |correlation| of two different patch components of mean patches (entries of A)",
            criterion="it is below 0.1",
            note=(
                f"And A_ii J / λ_i², assumed to be 1, runs from {components.ratio.min():.2g} (component "
                f"{components.component[components.ratio.idxmin()]}) to {components.ratio.max():.3g} (component "
                f"{components.component[components.ratio.idxmax()]})."
            ),
            replicates="data set",
        ),
        Claim.judged(
            classes.correlation.tolist(),
            lambda mean: mean >= 0.9,
            name="linear/assumption/uncorrelated-labels",
            figure="assumptions",
            statement="labels are uncorrelated with every PCA coefficient, so that |b_i| is proportional to λ_i",
            source=f"{DERIVATION}, assumption; paper Fig. 5",
            published="assumed",
            quantity="correlation of |b_i| with λ_i, one class against the rest",
            criterion="the mean over classes is at least 0.9",
            note=_labels_note(components, classes),
            replicates="label",
        ),
        _ideal(agreement),
        Claim.judged(
            [float((regimes.trained == regimes.mean_patches).sum())],
            lambda right: right == len(regimes),
            name="linear/regimes/step-size",
            figure="regimes",
            statement="training converges steadily below lr·λ_max² = 1, oscillating below 2, and diverges above",
            source=DERIVATION,
            published="3 regimes",
            quantity=f"step sizes of {len(regimes)} at which the network does what theory says, λ² being its own, "
            "K times the eigenvalues of A",
            criterion=f"all {len(regimes)}",
            note=_regimes_note(regimes),
            replicates="network",
        ),
    ]


def _agreement(
    agreement: pd.DataFrame, kind: str, values: list[float], *, replicates: str, more: str = "", **texts: str
) -> Claim:
    rows = agreement.query("kind == @kind")
    by_time = rows.groupby("t").same_eta.mean()
    return Claim.judged(
        values,
        lambda mean: mean >= 0.8,
        published="describes it",
        quantity="correlation of exact profile and eq. 3 at the same η and t, mean over t",
        criterion="the mean is at least 0.8",
        note=(
            f"It is {by_time.iloc[0]:.2f} at t = 1, {by_time.min():.2f} at its lowest, at t = {by_time.idxmin()}, and "
            f"{by_time.iloc[-1]:.2f} at t = {by_time.index[-1]}. With eq. 3's fastest component as fast as the "
            f"network's the mean is {rows.same_speed.mean():.2f}; with the best t for each profile, an upper bound, "
            f"{rows.best_t.mean():.2f}. All classes' filters together.{more}"
        ),
        replicates=replicates,
        **texts,
    )


def _readout_trained(agreement: pd.DataFrame) -> str:
    rows = agreement.query("kind == 'true labels, readout trained'")
    return (
        f" Where the readout is trained too, it is {rows.best_t.mean():.2f} at the best t "
        f"(lowest {rows.groupby('t').best_t.mean().min():.2f})."
    )


def _many_classes(agreement: pd.DataFrame, kind: str) -> str:
    """What is left where |b_i| hardly scatters about λ_i: averaged over many classes."""
    rows = agreement[agreement.kind == kind]
    return (
        f" Random labels of 100 classes, whose |b_i| scatter by 7% instead of a quarter, give a mean of "
        f"{rows.same_eta.mean():.3f} and a lowest of {rows.groupby('seed').same_eta.min().mean():.3f}."
    )


def _ideal(agreement: pd.DataFrame) -> Claim:
    rows = agreement[agreement.kind == f"ideal data{FEW}"]
    return Claim.judged(
        rows.groupby("seed").same_eta.min().tolist(),
        lambda mean: mean >= 0.95,
        name="linear/eq3/ideal-data",
        figure="agreement",
        statement="on data that satisfy the assumptions eq. 3 holds",
        source=DERIVATION,
        published="holds",
        quantity="smallest correlation of exact profile and eq. 3 at the same η and t, of all t",
        criterion="the mean over seeds is at least 0.95",
        note=(
            f"Mean over t and seeds {rows.same_eta.mean():.3f}. Patches independent and Gaussian with the real "
            "variances, as many images as the real set, random labels of 10 classes."
            f"{_many_classes(agreement, 'ideal data')}"
        ),
    )


def _labels_note(components: pd.DataFrame, classes: pd.DataFrame) -> str:
    deviation, labels = np.sqrt(components.variance.to_numpy()), components.labels.to_numpy()
    ideal = np.abs(gaussians(NULL_DRAWS, len(deviation))) * deviation
    null = np.mean(agreement(ideal, np.broadcast_to(deviation, ideal.shape)))
    logs = correlation(np.log(labels), np.log(deviation))
    return (
        f"On log axes the mean is {classes.log_correlation.mean():.2f}. Of the root mean square of b_i over classes it "
        f"is {correlation(labels, deviation):.3f}, on log axes {logs:.2f}. A label that satisfies the assumption, "
        f"b_i normal with deviation λ_i, would have {null:.2f} on average."
    )


def _regimes_note(regimes: pd.DataFrame) -> str:
    trained = "; ".join(f"{size:g}: {found}" for size, found in zip(regimes.step_size, regimes.trained, strict=True))
    return (
        f"lr K max(a) and what the network does: {trained}. The variance λ² of the patches in its place would say "
        f"{', '.join(regimes.same_eta)} with eq. 3's η, lr K / J, and {', '.join(regimes.patch_variance)} with lr K."
    )
