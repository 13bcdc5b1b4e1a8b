"""A reproduction of all experiments made by hand, with every verdict and kind in it."""

from pathlib import Path
from typing import Any

from firstlight.experiments import EXPERIMENTS, Claim, Result
from firstlight.experiments.criteria import CRITERIA
from firstlight.experiments.learning import Reached
from firstlight.experiments.results import Reproduction
from firstlight.experiments.verdicts import Condition

NO_RUN = "no run: VGG13 is not trained yet"
LEARNT, UNTRAINED = (0.9, 0.91, 0.92), (0.11, 0.2, 0.1)
NULL = {"of": "200 random banks", "mean": 0.2, "percentile_95": 0.5}


def about(**changes: Any) -> dict[str, Any]:
    """How a reproduction is repeated, as `reproduce` tells it."""
    return {
        "command": "firstlight reproduce",
        "preset": "full",
        "data": "cifar10",
        "data_fingerprint": "0" * 64,
        "mean": [0.5],
        "std": [0.2],
        "seeds": [0, 1, 2],
        "device": ["cuda NVIDIA H200, torch 2.11.0+cu130"],
        "threads": [1],
        "versions": {"firstlight": "0", "numpy": "0", "torch": "0", "python": "0"},
        "training_seconds": 60.0,
        "date": "2026-11-27",
        "runs": [],
        **changes,
    }


def claim(
    name: str,
    values: tuple[float, ...] = (0.9, 0.95, 0.93),
    after: tuple[float, ...] = (0.5, 0.6, 0.7),
    subject: str = "VGG11",
    accuracy: tuple[float, ...] = LEARNT,
    **more: Any,
) -> Claim:
    """A claim that asks for at least 0.8, on three seeds."""
    return Claim.judged(
        name,
        Condition.over_seeds("r", values, least=0.8, after_one_step=after),
        subject=subject,
        reached=[Reached(subject or "VGG11", 5850, accuracy, (0.7, 0.7, 0.7), 0.1, 0.3)],
        **{"lambda_alone": (0.7, 0.71, 0.72), "null": NULL, "note": f"A [note] | on {name}.", **more},
    )


def special() -> dict[str, list[Claim]]:
    """By row of the criteria what is not simply reproduced."""
    return {
        "C1": [
            claim("C1", after=(0.97, 0.97, 0.96)),
            claim("C1.resnet20", (0.7, 0.85, 0.9), subject="ResNet20"),
            Claim.judged("C1.vgg13", subject="VGG13", kind="own finding", reason=NO_RUN),
        ],
        "P1": [claim("P1", (0.2, 0.1, 0.15), subject="component 5"), claim("P1.component15", subject="component 15")],
        "Z1": [Claim.judged("Z1", reason=NO_RUN)],
        "L3": [claim("L3", accuracy=UNTRAINED)],
        "W4": [Claim.judged("W4", Condition.of_data("d", 3e-12, most=1e-3))],
        "A1": [Claim.judged("A1", Condition.of_data("d", 0.9, most=0.1))],
        "T1": [],
    }


def made(names: tuple[str, ...] = tuple(EXPERIMENTS), **changes: Any) -> Reproduction:
    """A claim or two for every row of the criteria that these experiments measure."""
    own = special()
    claims = {row: own.get(row, [claim(row, subject="")]) for row in CRITERIA}
    results = tuple(
        Result(name, tuple(one for row in claims if CRITERIA[row].experiment == name for one in claims[row]), {}, {})
        for name in names
    )
    return Reproduction(Path("out"), results, about(**changes))
