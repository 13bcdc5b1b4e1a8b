"""The networks that are compared, and what is claimed of how alike they are: fixed before any run, not to be tuned."""

from dataclasses import dataclass
from itertools import combinations

from firstlight.models import MODELS as NETWORKS

WIDTHS = (16, 128)  # of VGG11's first layer, beside its own 64
OTHER_DATA = {"photos": "The set of photographs", "cifar100": "CIFAR-100"}


@dataclass(frozen=True)
class Comparison:
    """A claim that profiles correlate at least so much, on average over all runs of these pairs of networks."""

    name: str
    statement: str
    source: str
    published: str
    least: float
    pairs: tuple[tuple[str, str], ...]

    @property
    def networks(self) -> list[str]:
        """All networks that it needs."""
        return list(dict.fromkeys(name for pair in self.pairs for name in pair))


SEEDS = (
    Comparison(
        "vgg11/across-seeds",
        "VGG11 learns the same profile from every seed",
        "note sec. 2.1 and 3; paper Table 1",
        "0.99 (Table 1, CIFAR-10)",
        0.9,
        (("vgg11", "vgg11"),),
    ),
    Comparison(
        "resnet20/across-seeds",
        "ResNet20 learns the same profile from every seed",
        "note sec. 2.1 and 3",
        "≥ 0.8 (note sec. 3)",
        0.8,
        (("resnet20", "resnet20"),),
    ),
)
ACROSS_WIDTHS = Comparison(
    "vgg11/across-widths",
    f"VGG11 learns the same profile with {WIDTHS[0]}, 64 and {WIDTHS[1]} first-layer filters",
    "note sec. 2.1; paper Table 1",
    "0.98 (Table 1, CIFAR-10)",
    0.9,
    tuple(combinations(("vgg11", *(f"vgg11-width{width}" for width in WIDTHS)), 2)),
)
ARCHITECTURES = tuple(
    Comparison(
        f"architectures/vgg11-{model}",
        f"VGG11 and {NETWORKS[model].title} learn the same profile",
        "note sec. 2.1; paper Table 1" if model == "resnet18" else "note sec. 2.1; paper Fig. 9-13",
        "0.87 (Table 1, CIFAR-10)" if model == "resnet18" else "-",
        0.8,
        (("vgg11", model),),
    )
    for model in ("resnet18", "vgg13", "vgg16", "resnet20", "resnet32")
)
DATA = tuple(
    Comparison(
        f"data/{data}",
        f"VGG11 learns the same profile from another data set, {data}",
        "note sec. 2.1; paper Fig. 1",
        "-",
        0.8,
        (("vgg11", f"vgg11-{data}"),),
    )
    for data in OTHER_DATA
)
