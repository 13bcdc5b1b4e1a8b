"""The pages under test, made from real things: recorded networks, files on disk, and what hostile people name them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from safetensors.numpy import save_file

import firstlight as fl
from firstlight.experiments import Claim, Result
from firstlight.experiments.verdicts import Condition
from firstlight.inspection.inspect_banks import inspect_all, load_banks
from firstlight.inspection.inspection import Inspection
from firstlight.inspection.not_inspected import Failure
from firstlight.patches.shipped import shipped_moments, shipped_normalisation
from firstlight.report.report import Report
from firstlight.reproduction.shipped_record import recorded_results
from firstlight.training import Run

HOSTILE = (
    '<img src=x onerror="document.title=`run`">',
    "</script><script>document.title=`run`</script>",
    "'\"><svg onload=document.title=`run`>",
    "{{ 7 * 7 }}{% raw %}$\\frac{1}{2}$",
    "--><!--",
    "\u202eevil\u202c \u5c42 \U0001f980",
    "a" * 200,
)


@cache
def trained_runs() -> tuple[Run, ...]:
    """The recorded runs whose first layer was trained on CIFAR-10."""
    runs = (Run.load(folder) for folder in sorted((recorded_results() / "runs").iterdir()))
    return tuple(run for run in runs if not run.spec.frozen and run.spec.data == "cifar10")


def write_network(path: Path, weight: np.ndarray, layer: str = "conv1.weight") -> str:
    """A file of weights as a user has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({layer: np.ascontiguousarray(weight, dtype=np.float32)}, path)
    return str(path)


def random_filters(*shape: int) -> np.ndarray:
    """Filters as drawn, so that their profile has no shape."""
    return np.random.default_rng(0).normal(size=shape)


def trained(folder: Path) -> Inspection:
    """One trained network, with its initialisation."""
    run = next(run for run in trained_runs() if run.spec.model == "vgg11" and run.filters.shape[1] == 64)
    name = write_network(folder / "vgg11.safetensors", run.final)
    return fl.inspect(name, initial=write_network(folder / "vgg11-initial.safetensors", run.initial))


def faulty(folder: Path) -> Inspection:
    """A bank with dead and duplicate filters."""
    weight = random_filters(24, 3, 3, 3)
    weight[[3, 17]] *= 1e-4
    weight[9] = 2 * weight[5]
    return fl.inspect(write_network(folder / "faulty.safetensors", weight))


def several(folder: Path) -> list[Inspection | Failure]:
    """Networks of every kind of kernel, two that eq. 3 does not fit, and two files that cannot be read."""
    (folder / "truncated.safetensors").write_bytes(b"\x40\0\0\0\0\0\0\0{")
    resnet = next(run for run in trained_runs() if run.spec.model == "resnet20")
    names = [
        write_network(folder / "resnet20.safetensors", resnet.final),
        write_network(folder / "seven.safetensors", random_filters(64, 3, 7, 7)),
        write_network(folder / "gray.safetensors", random_filters(32, 1, 5, 5)),
        write_network(folder / "oblong.safetensors", random_filters(8, 3, 2, 5)),
        write_network(folder / "zero.safetensors", np.zeros((4, 3, 3, 3))),
        str(folder / "truncated.safetensors"),
        str(folder / "missing.pt"),
    ]
    # No first layer by their looks: somebody has to say that they are.
    odd = [
        write_network(folder / "one-filter.safetensors", random_filters(1, 3, 3, 3)),
        write_network(folder / "gray-pixel.safetensors", random_filters(16, 1, 1, 1)),
    ]
    return [*(fl.inspect(name, layer="conv1") for name in odd), *inspect_all(load_banks(names))]


def extremes() -> list[Inspection]:
    """Profiles at the limits of the fit: whitened, proportional to lambda, tiny, and one without some variance."""
    basis = shipped_moments(3).basis(*shipped_normalisation())
    variance = basis.variance
    profiles = {
        "whitened": 1 / np.sqrt(variance),
        "early": np.sqrt(variance),
        "tiny": 1e-30 * fl.linear_cnn_profile(variance, 2.0),
        "exact": fl.linear_cnn_profile(variance, 30.0),
    }
    found = [fl.inspect(replace(fl.load_filters(_with_profile(e, basis)), source=name)) for name, e in profiles.items()]
    gray = np.repeat(np.random.default_rng(0).integers(0, 256, (40, 1, 24, 24), dtype=np.uint8), 3, axis=1)
    flat = fl.inspect(replace(fl.load_filters(random_filters(16, 3, 3, 3)), source="gray images"), gray, progress=False)
    return [*found, flat]


def _with_profile(energy: np.ndarray, basis: fl.PatchBasis) -> np.ndarray:
    coefficients = random_filters(64, basis.size)
    coefficients *= energy / np.sqrt(np.mean(coefficients**2, axis=0))
    return (coefficients @ basis.components).reshape(64, *basis.shape)


def thirty(folder: Path) -> list[Inspection | Failure]:
    """Thirty trained networks."""
    runs = trained_runs()[:30]
    names = [write_network(folder / f"{run.spec.model}-{run.spec.hash}.safetensors", run.final) for run in runs]
    return inspect_all(load_banks(names))


def compared(runs: Sequence[Run]) -> fl.Comparison:
    """Trained networks, and a dead one, which correlates with nothing."""
    basis = shipped_moments(3).basis(*shipped_normalisation())
    labels = [f"{run.spec.model}, seed {run.spec.seed}, {run.spec.hash}" for run in runs]
    return fl.compare([*(run.final for run in runs), np.zeros((4, 3, 3, 3))], basis, labels=[*labels, "dead"])


def hostile_inspections(folder: Path) -> list[Inspection | Failure]:
    """Files and layers with hostile names, some of which cannot be read."""
    weight = trained_runs()[0].final
    names = [
        write_network(folder / f"{name}.safetensors", weight, f"{name if name.isprintable() else 'conv'}.weight")
        for name in HOSTILE
    ]
    return inspect_all(load_banks([*names, *(str(folder / f"{name}.pt") for name in HOSTILE)]))


def hostile_reproduction() -> fl.Reproduction:
    """A reproduction whose every text is hostile."""
    found = recorded("linear")
    name = HOSTILE[1] + HOSTILE[0]
    texts = dict.fromkeys(("statement", "source", "published", "quantity", "criterion"), name)
    first = Claim.judged("N1", Condition.of_data(name, 1.0), subject=name, note=name)
    hostile = replace(first, id=f"N1.{name}", criterion=replace(first.criterion, **texts))
    claims = (hostile, replace(hostile, id=f"{hostile.id}.2", verdict="not tested", reason=name))
    (result,) = found.results
    key, figure = next(iter(result.figures.items()))
    figures = {key: replace(figure, title=name, caption=name)}
    about = {**found.about, "data": name, "command": name, "device": [name], "preset": name}
    return replace(found, results=(replace(result, claims=claims, figures=figures, units=name),), about=about)


def nan_reproduction() -> fl.Reproduction:
    """Claims without a number: not finite, or not tested at all."""
    found = recorded("linear")
    (result,) = found.results
    values = {"nan": (float("nan"), 1.0), "infinite": (float("inf"),), "none": ()}
    claims = tuple(
        Claim.judged(f"O1.{name}", Condition.over_seeds("r", numbers, least=0.8, after_one_step=numbers), subject=name)
        for name, numbers in values.items()
    )
    return replace(found, results=(replace(result, claims=claims),))


def nan_profile() -> Inspection:
    """An inspection whose profile holds no numbers."""
    found = fl.inspect(random_filters(8, 3, 3, 3))
    profile = replace(found.profile, energy=np.full(27, np.nan))
    return replace(
        found, profile=profile, fit=None, unfitted="the profile holds NaN", rank=float("nan"), whitening=float("nan")
    )


def no_claims() -> fl.Reproduction:
    """An experiment that found nothing to judge and nothing to draw."""
    found = recorded("formula")
    return replace(found, results=(Result("formula", (), {}, {}, (), ""),))


@cache
def recorded(*names: str) -> fl.Reproduction:
    """What was recorded of these experiments; of all where none is named."""
    return fl.recorded(names, console=Console(quiet=True))


# What each page shows; the folder is where its files of weights are written.
SHOWN: dict[str, Callable[[Path], Any]] = {
    "inspection": trained,
    "faulty": faulty,
    "several": several,
    "extremes": lambda folder: extremes(),
    "thirty": thirty,
    "components-768": lambda folder: fl.inspect(random_filters(32, 3, 16, 16)),
    "comparison": lambda folder: compared(trained_runs()[:4]),
    "comparison-thirty": lambda folder: compared(trained_runs()[:30]),
    "reproduction": lambda folder: recorded("formula"),
    "recorded": lambda folder: recorded(),
    "hostile-inspections": hostile_inspections,
    "hostile-comparison": lambda folder: fl.compare(
        [run.final for run in trained_runs()[: len(HOSTILE)]],
        shipped_moments(3).basis(*shipped_normalisation()),
        labels=HOSTILE,
    ),
    "hostile-reproduction": lambda folder: hostile_reproduction(),
    "nan-reproduction": lambda folder: nan_reproduction(),
    "nan-profile": lambda folder: nan_profile(),
    "no-claims": lambda folder: no_claims(),
}
# One of each template, and what is hostile; the others are more of the same, and `-m slow` opens them.
QUICK = ("inspection", "comparison", "reproduction", "hostile-inspections", "hostile-reproduction", "nan-profile")


class Pages:
    """Pages by name, made when they are first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shown: dict[str, Any] = {}

    def path(self, name: str) -> Path:
        """The page's file; what it shows is in `shown`."""
        path = self.folder / name / "page.html"
        if name not in self.shown:
            path.parent.mkdir(exist_ok=True)
            shown = SHOWN[name](path.parent)
            Report(shown).save_as_html(path)
            self.shown[name] = shown
        return path
