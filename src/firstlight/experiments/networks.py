"""The networks that the experiments train, each once for all of them, by name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from firstlight.models import MODELS
from firstlight.training import Run

# The class pairs of the paper's Table 3.
PAIRS = {
    "automobile-truck": ("automobile", "truck"),
    "dog-frog": ("dog", "frog"),
    "dog-cat": ("dog", "cat"),
    "bird-airplane": ("bird", "airplane"),
    "ship-airplane": ("ship", "airplane"),
}
WIDTHS = (16, 128)  # of VGG11's first layer, beside its own 64
STRIDE = 3  # of 3 x 3 patches that share no pixel
SCALED = (5, 15)  # the components whose coefficient is multiplied
SCALE = 3.0  # α
# How the first layer of each network of `initialisation` starts, and the learning rates that every start is given.
STARTS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "default": ("default", {}),
    "pca": ("PCA whitening", {"first_layer": "pca"}),
    "pca-frozen": ("PCA whitening, frozen", {"first_layer": "pca", "frozen": True}),
    "eq3": ("eq. 3 at τ = 4", {"first_layer": "eq3:4"}),
    "orthogonal": ("random orthogonal", {"first_layer": "orthogonal"}),
    "spectrum": ("random directions of the whitened spectrum", {"first_layer": "spectrum"}),
}
START_RATES = {"fastnet": (0.1, 0.3, 1.0), "resnet20": (0.03, 0.1, 0.3), "vgg11": (0.03, 0.1, 0.3)}
# A recipe as networks have been trained with for years, beside the paper's; and what differs in the small networks of
# `beyond`, which are small enough for the products of a CPU.
MODERN: Mapping[str, Any] = {
    "momentum": 0.9,
    "weight_decay": 5e-4,
    "schedule": "cosine",
    "augmentation": "flip+crop",
}
SMALL = (
    ("smallnet-paper", "smallnet", ", paper's recipe", {}),
    ("smallnet-modern", "smallnet", ", modern recipe", MODERN),
    ("smallnet1x1-modern", "smallnet1x1", ", modern recipe", MODERN),
    ("smallnet-nodecay", "smallnet", ", without weight decay", {**MODERN, "weight_decay": 0.0}),
    ("smallnet-width8", "smallnet", ", 8 filters", {**MODERN, "width": 8}),
    ("smallnet-width64", "smallnet", ", 64 filters", {**MODERN, "width": 64}),
)
DECILES = 10  # labels made from the patch energy, whatever the data set's own classes are


@dataclass(frozen=True)
class Network:
    """A network as it is trained, with every seed.

    Attributes
    ----------
    name : str
        In tables and schedules.
    model : str
        A key of `firstlight.models.MODELS`.
    title : str
        For people.
    changes : mapping
        What of its spec differs from the protocol, but for steps and learning rate: those are the schedule's.
    """

    name: str
    model: str
    title: str
    changes: Mapping[str, Any] = field(default_factory=dict)


def _network(name: str, model: str, difference: str = "", **changes: Any) -> Network:
    return Network(name, model, MODELS[model].title + difference, changes)


def _scaled(model: str, component: int) -> Network:
    difference = f", component {component} x {SCALE:g}"
    changes = {"stride": STRIDE, "scaled_component": component, "scale": SCALE}
    return _network(f"{model}-scaled{component}", model, difference, **changes)


def started(model: str, start: str, rate: float) -> str:
    """The name of a network that starts in one of the ways of `STARTS`, at a learning rate."""
    return f"{model}-from-{start}-lr{rate:g}"


NETWORKS: Mapping[str, Network] = {
    network.name: network
    for network in (
        *(_network(model, model) for model in MODELS),
        *(_network(f"{model}-long", model, ", 100 epochs") for model in ("vgg11", "resnet20")),
        *(_network(f"{model}-random", model, " on random labels", labels="random") for model in ("vgg11", "resnet20")),
        _network("vgg11-energy15", "vgg11", " on labels of component 15", labels="energy:15", classes=DECILES),
        *(
            _network(f"{model}-frozen", model, ", frozen first layer", frozen=True)
            for model in ("vgg5", "vgg8", "vgg11")
        ),
        *(_network(f"vgg11-width{width}", "vgg11", f", {width} filters", width=width) for width in WIDTHS),
        *(_network(f"vgg11-{name}", "vgg11", f" on {' and '.join(pair)}", only=pair) for name, pair in PAIRS.items()),
        *(_network(f"{model}-stride3", model, f", stride {STRIDE}", stride=STRIDE) for model in ("vgg11", "resnet20")),
        *(_scaled(model, component) for model in ("vgg11", "resnet20") for component in SCALED),
        _network("vgg11-stride3-random", "vgg11", f", stride {STRIDE}, random labels", stride=STRIDE, labels="random"),
        *(_network(f"{model}-photos", model, " on photos", data="photos") for model in ("vgg11", "resnet20")),
        *(_network(f"{model}-bfloat16", model, ", bfloat16", precision="bfloat16") for model in ("vgg11", "resnet20")),
        *(_network(f"{model}-float32", model, ", float32", precision="float32") for model in ("vgg11", "resnet20")),
        *(
            _network(started(model, start, rate), model, f", {title}, lr {rate:g}", **changes)
            for model, rates in START_RATES.items()
            for start, (title, changes) in STARTS.items()
            for rate in rates
        ),
        *(
            _network(name, model, difference, precision="float32", **changes)
            for name, model, difference, changes in SMALL
        ),
    )
}


@dataclass(frozen=True)
class Trained:
    """The finished runs of a network, one a seed; none where one is missing, and why.

    Attributes
    ----------
    network : Network
    runs : tuple of Run
    reason : str
        Why there are none; empty where there are.
    """

    network: Network
    runs: tuple[Run, ...] = ()
    reason: str = ""

    @property
    def moved(self) -> bool:
        """Whether the first layer of every run is another at the end than at the beginning."""
        return all((run.final != run.initial).any() for run in self.runs)

    def __bool__(self) -> bool:
        return bool(self.runs)


def reasons(groups: Sequence[Trained]) -> str:
    """Why not all of these networks are there; empty where they are."""
    return "; ".join(dict.fromkeys(group.reason for group in groups if group.reason))
