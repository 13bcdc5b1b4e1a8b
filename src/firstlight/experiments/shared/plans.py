"""The runs that several experiments ask for, so that they are trained once, and which of them are missing."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

from firstlight.experiments.context import Context
from firstlight.experiments.schedule import EPOCH, Preset
from firstlight.models import MODELS as NETWORKS
from firstlight.training import Run, RunSpec

Key = TypeVar("Key", bound=Hashable)

# The two networks of most experiments, and their titles for people.
MODELS = {name: NETWORKS[name].title for name in ("vgg11", "resnet20")}
# Of the networks on random labels.
RANDOM_STEPS = {
    "quick": {"vgg11": 10, "resnet20": 32},
    "standard": {"vgg11": 100, "resnet20": 316},
    "full": {"vgg11": 100 * EPOCH, "resnet20": 100 * EPOCH},  # random labels are learnt late
}
# What an experiment on `network_specs` alone costs.
NO_COSTS: dict[Preset, str] = {
    "quick": "nothing of its own: the runs of VGG11 and ResNet20 that `formula` trains",
    "standard": "nothing of its own: the runs of VGG11 and ResNet20 that `formula` trains",
    "full": "nothing of its own: the runs of VGG11 and ResNet20 that `formula` trains, for one GPU",
}


def network_specs(context: Context) -> list[RunSpec]:
    """VGG11 and ResNet20 on all classes, every seed: the runs that most experiments share."""
    return [context.spec(model, seed=seed) for model in MODELS for seed in context.schedule.seeds]


def label_specs(context: Context, model: str) -> dict[str, list[RunSpec]]:
    """A network on "true" and on "random" labels, every seed; those on true labels are of `network_specs`."""
    steps = RANDOM_STEPS[context.preset][model]
    seeds = context.schedule.seeds
    return {
        "true": [context.spec(model, seed=seed) for seed in seeds],
        "random": [context.spec(model, seed=seed, steps=steps, labels="random") for seed in seeds],
    }


def missing_networks(context: Context) -> dict[str, str]:
    """Why the claims on a network of `network_specs` cannot be tested, by network; those that can are left out."""
    specs = network_specs(context)
    groups = {model: [spec for spec in specs if spec.model == model] for model in MODELS}
    return {model: context.failure(group) for model, group in groups.items() if not context.complete(group)}


def flat(specs: Mapping[Key, Iterable[RunSpec]]) -> list[RunSpec]:
    """The specs of all groups."""
    return [spec for group in specs.values() for spec in group]


def complete_groups(
    context: Context, specs: Mapping[Key, Sequence[RunSpec]]
) -> tuple[dict[Key, list[Run]], dict[Key, str]]:
    """The runs of every group, none where one is missing, and by group the reason why."""
    groups = {key: context.complete(group) for key, group in specs.items()}
    return groups, {key: missing_reason(context, group) for key, group in specs.items() if not groups[key]}


def missing_reason(context: Context, specs: Sequence[RunSpec], what: str = "networks were") -> str:
    """Why a group of networks is not complete, for a note."""
    return f"Not all {what} trained: {context.failure(specs) or 'a run is missing'}."
