"""Contexts on small real images, with runs that were made instead of trained, so that the answer is known."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from firstlight.experiments import Context
from firstlight.experiments.measurements import Measurements
from firstlight.experiments.networks import NETWORKS, START_RATES, STARTS, started
from firstlight.experiments.schedule import SCHEDULES, Schedule, Training
from firstlight.images import ImageSet, SetFacts, load_images
from firstlight.models import MODELS
from firstlight.patches import PatchBasis
from firstlight.training import Run, RunSpec, record_steps
from firstlight.training.run import COLUMNS

# The filters of a run at a step: (spec, step) -> (K, C, 3, 3).
Filters = Callable[[RunSpec, int], np.ndarray]


def small_sets(name: str = "cifar10") -> tuple[ImageSet, ImageSet]:
    """Every 31st photograph crop under any name: 646 train and 130 test images of 32 x 32 pixels, 5 classes."""
    parts = []
    for split in ("train", "test"):
        images = load_images("photos", split)
        assert images.labels is not None
        kept, labels = images.images[::31], images.labels[::31]
        parts.append(ImageSet(name, split, kept, labels, images.classes, images.mean, images.std))
    return parts[0], parts[1]


# Every network that there is, long enough to be recorded at 17 steps.
MADE = "made"
RATES = {
    started(model, start, rate): rate for model, rates in START_RATES.items() for start in STARTS for rate in rates
}
SCHEDULES[MADE] = Schedule(
    (0, 1, 2), {name: Training(100, lr=RATES.get(name, 0.01)) for name in NETWORKS}, test_images=50
)


def small_context(folder: Path, preset: str = MADE, names: Sequence[str] = ("cifar10", "photos")) -> Context:
    """A context whose data sets are all the small one; `context.runs` is empty until `finish` fills it."""
    sets = {name: small_sets(name) for name in names}
    facts = {name: (SetFacts.of(train), SetFacts.of(test)) for name, (train, test) in sets.items()}
    return Context(preset, names[0], facts, sets.__getitem__, Measurements(folder / "measurements"), {}, {})  # type: ignore[arg-type]


def made_run(spec: RunSpec, filters: Filters, **metrics: float) -> Run:
    """A finished run with these filters at its recorded steps, and the same metrics in every row."""
    steps = record_steps(spec.steps)
    rows = [{"step": step, "epoch": step / 2, **metrics} for step in steps]
    table = pd.DataFrame(rows).reindex(columns=list(COLUMNS)).astype({"step": np.int64})
    weights = np.array([filters(spec, step) for step in steps], dtype=np.float64)
    environment = {"device": "none", "threads": 1, "seconds": 1.0, "images_per_second": 1.0}
    return Run(Path("/none") / spec.hash, spec, np.array(steps), weights, table, environment)


def finish(context: Context, names: Sequence[str], filters: Filters, **metrics: float) -> Context:
    """The context after all runs of these networks were trained, to these filters."""
    runs = {spec.hash: made_run(spec, filters, **metrics) for spec in context.specs(*names)}
    return Context(context.preset, context.data, context._facts, context._load, context.measurements, runs, {})


def initial_filters(spec: RunSpec) -> np.ndarray:
    """Random filters of the network's shape."""
    shape = spec.width or MODELS[spec.model].filters, spec.channels, 3, 3
    return np.random.default_rng(spec.seed).standard_normal(shape)


def learner(basis: PatchBasis, profile: Callable[[RunSpec, int], np.ndarray]) -> Filters:
    """Filters whose change since the initialisation has exactly the profile `profile(spec, step)`, shape (D,)."""

    def filters(spec: RunSpec, step: int) -> np.ndarray:
        start = initial_filters(spec)
        if step == 0:
            return start
        # Coefficients of one magnitude a component and any signs.
        signs = np.random.default_rng([spec.seed, 2]).choice([-1, 1], (len(start), basis.size))
        return start + (signs * profile(spec, step) @ basis.components).reshape(start.shape)

    return filters


def directions(basis: PatchBasis, count: int) -> np.ndarray:
    """Orthonormal profiles without a mean and uncorrelated with λ, shape (count, D)."""
    given = [np.ones(basis.size), np.sqrt(basis.variance)]
    numbers = np.random.default_rng(0).standard_normal((count, basis.size))
    return np.linalg.qr(np.array([*given, *numbers]).T).Q.T[2:]


def alike_by(level: float, common: np.ndarray, own: np.ndarray) -> np.ndarray:
    """A profile that correlates so much with every other one of this kind, of the same `common` and another `own`."""
    return 5 + np.sqrt(level) * common + np.sqrt(1 - level) * own
