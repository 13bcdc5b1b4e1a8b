"""The claims of the experiment `frozen`. Their criteria were fixed before the first run and are not to be tuned."""

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from firstlight.experiments.claims import Claim
from firstlight.models import MODELS

# A depth is judged only where the networks that train all layers reach this many times chance in training.
LEARNT = 1.5
DEEP = 11  # layers, from which on the paper's figures show no difference


def judge(models: Sequence[str], outcomes: pd.DataFrame, reasons: Mapping[str, str], classes: int) -> list[Claim]:
    """Judge both claims on every depth.

    Parameters
    ----------
    models : sequence of str
        The networks, shallow to deep.
    outcomes : DataFrame
        A row a run, as `frozen.outcome_table` makes it.
    reasons : mapping of str to str
        Why a network's claims cannot be tested, by network.
    classes : int
        Number of classes: chance is one in so many.
    """
    claims = []
    for model in models:
        rows = outcomes.query("model == @model")
        reason = reasons.get(model) or untested_reason(rows, classes)
        accuracy, loss = ([] if reason else differences(rows, quantity) for quantity in ("test_accuracy", "train_loss"))
        texts = accuracy_text(model), loss_text(model)
        claims += [
            Claim.judged(accuracy, lambda mean: mean >= -0.02, **texts[0], note=reason or accuracy_note(rows)),
            Claim.judged(loss, lambda mean: mean <= 0.05, **texts[1], note=reason or loss_note(rows)),
        ]
    return claims


def differences(rows: pd.DataFrame, quantity: str) -> list[float]:
    """A quantity with a frozen first layer minus without, seed by seed."""
    frozen, trained = (rows.query("frozen == @kind").set_index("seed") for kind in (True, False))
    return (frozen[quantity] - trained[quantity]).sort_index().tolist()


def untested_reason(rows: pd.DataFrame, classes: int) -> str:
    """Why networks are not judged: nothing was measured, or they have learnt next to nothing; else empty."""
    if rows[["train_loss", "train_accuracy", "test_accuracy"]].isna().to_numpy().any():
        return "Not judged: loss or accuracy of the last step was not recorded."
    accuracy, least = rows[~rows.frozen].train_accuracy.mean(), LEARNT / classes
    if accuracy >= least:
        return ""
    return (
        f"Not judged: with all layers trained its training accuracy is {accuracy:.1%} at the last step, less than "
        f"{least:.1%}, {LEARNT} times chance. A network that has learnt nothing has nothing to lose."
    )


def accuracy_text(model: str) -> dict[str, str]:
    """The claim that a network with a frozen first layer is as good on new images."""
    return {
        **shared_text(model),
        "name": f"frozen/{model}/test-accuracy",
        "figure": "test_accuracy",
        "statement": f"freezing the first layer does not lower the accuracy of {MODELS[model].title}",
        "quantity": "test accuracy, frozen minus trained (0.01 is one percentage point)",
        "criterion": "the mean over seeds is at least -0.02",
    }


def loss_text(model: str) -> dict[str, str]:
    """The claim that a network with a frozen first layer learns as fast."""
    return {
        **shared_text(model),
        "name": f"frozen/{model}/train-loss",
        "figure": "learning",
        "statement": f"freezing the first layer does not raise the training loss of {MODELS[model].title}",
        "quantity": "training loss at the last step, frozen minus trained",
        "criterion": "the mean over seeds is at most 0.05",
    }


def shared_text(model: str) -> dict[str, str]:
    """Where the claims on a network come from."""
    depth = MODELS[model].depth
    shallow = depth is not None and depth < DEEP
    return {
        "source": "note sec. 2.2; paper Fig. 2, 20",
        "published": "no visible difference for deep networks" + (" (this one is shallow)" if shallow else ""),
    }


def accuracy_note(rows: pd.DataFrame) -> str:
    """Both accuracies, and how far a test set of this size can tell them apart."""
    frozen, trained = (rows.query("frozen == @kind").test_accuracy.mean() for kind in (True, False))
    images = int(rows.test_images.iloc[0])
    error = math.sqrt(trained * (1 - trained) / images)
    return (
        f"{frozen:.1%} with a frozen first layer and {trained:.1%} without, after step {rows.step.iloc[0]}; the "
        f"standard error of one such accuracy, on {images:,} test images, is {100 * error:.1f} percentage points. "
        "Weights and bias of the first convolution are frozen; the batch normalisation after it is trained."
    )


def loss_note(rows: pd.DataFrame) -> str:
    """Both losses and training accuracies."""
    frozen, trained = (rows.query("frozen == @kind").mean(numeric_only=True) for kind in (True, False))
    return (
        f"Loss {frozen.train_loss:.3f} (accuracy {frozen.train_accuracy:.1%}) with a frozen first layer and "
        f"{trained.train_loss:.3f} ({trained.train_accuracy:.1%}) without: means over the batches up to step "
        f"{rows.step.iloc[0]} since the row before."
    )
