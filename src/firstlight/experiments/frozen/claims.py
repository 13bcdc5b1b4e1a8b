"""The claims of the experiment `frozen`: Z1 of the criteria."""

from collections.abc import Mapping

import pandas as pd

from firstlight.experiments.claims import Claim
from firstlight.experiments.learning import Reached
from firstlight.experiments.networks import Trained, reasons
from firstlight.experiments.shared.notes import number, percent
from firstlight.experiments.verdicts import Condition
from firstlight.training.run import COLUMNS

# The networks by the claims' ids, shallow to deep; what is published is on deep ones.
DEPTHS = {"Z1.vgg5": "vgg5", "Z1.vgg8": "vgg8", "Z1": "vgg11"}
MARGIN = 0.03


def judge(groups: Mapping[str, Trained]) -> list[Claim]:
    """Judge every depth, of the networks by name."""
    return [depth_claim(name, groups[depth], groups[f"{depth}-frozen"]) for name, depth in DEPTHS.items()]


def depth_claim(name: str, trained: Trained, frozen: Trained) -> Claim:
    """Whether a frozen first layer costs one network test accuracy."""
    kind = "published claim" if name == "Z1" else "own finding"
    subject = trained.network.title
    if missing := reasons([trained, frozen]):
        return Claim.judged(name, subject=subject, kind=kind, reason=missing, figure="learning")
    ordinary, fixed = ends = [Reached.of(group.network.title, group.runs) for group in (trained, frozen)]
    return Claim.judged(
        name,
        Condition.over_seeds(
            "test accuracy, frozen minus trained",
            [ours - theirs for ours, theirs in zip(fixed.test, ordinary.test, strict=True)],
            least=-MARGIN,
            most=MARGIN,
            wrong_above=False,
        ),
        subject=subject,
        kind=kind,
        reached=ends,
        note=note(trained, frozen),
        figure="learning",
    )


def note(trained: Trained, frozen: Trained) -> str:
    """What both reached, and how far a test set of this size can tell them apart."""
    fixed, ordinary = (
        pd.DataFrame([run.metrics.iloc[-1] for run in group.runs], columns=list(COLUMNS)) for group in (frozen, trained)
    )
    images, accuracy = trained.runs[0].spec.test_images, ordinary.test_accuracy
    return (
        f"Frozen against trained: test accuracy {percent(fixed.test_accuracy)} and {percent(accuracy)} (standard "
        f"deviation of one, on {images:,} images, {percent((accuracy * (1 - accuracy) / images) ** 0.5)}), training "
        f"loss {number(fixed.train_loss)} and {number(ordinary.train_loss)}, training accuracy "
        f"{percent(fixed.train_accuracy)} and {percent(ordinary.train_accuracy)}. After one step no test accuracy is "
        "recorded. The batch normalisation after the frozen convolution is trained."
    )
