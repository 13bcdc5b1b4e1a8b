"""`reproduce`: run experiments on real data, judge their claims, and write the folder that shows them."""

import dataclasses
import datetime
import difflib
import json
import shlex
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, get_args

import numpy as np
from rich.console import Console

from firstlight.engines import Engine
from firstlight.errors import InputError, RunError, SourceError
from firstlight.experiments import EXPERIMENTS, Context, Experiment, Preset, Result, claims_markdown
from firstlight.experiments.context import Sets
from firstlight.experiments.measurements import Measurements
from firstlight.experiments.results import Reproduction
from firstlight.images import ImageSet, SetFacts, load_images
from firstlight.profile import energy_profile
from firstlight.report.outputs import write_figures, write_tables
from firstlight.report.reproduction_page import write_page
from firstlight.theory import fit_formula
from firstlight.training import Run, RunSpec, describe, train_all
from firstlight.utils.console import progress_console
from firstlight.utils.whole_files import write_text

PRESETS: tuple[Preset, ...] = get_args(Preset)
OFFLINE_DATA = "photos"
BATCH_SIZE, SMALLEST_SIDE = 256, 32  # of the paper's protocol and its networks
CLAIMS, ABOUT = "claims.json", "reproduction.json"
RUNS, MEASUREMENTS = "runs", "measurements"


def reproduce(
    experiments: Sequence[str] | str = (),
    *,
    preset: str = "quick",
    data: str | Path | None = None,
    data_dir: str | Path | None = None,
    device: str = "auto",
    out: str | Path = "firstlight-out",
    jobs: int = 1,
    engine: Engine | None = None,
    console: Console | None = None,
) -> Reproduction:
    """Run experiments and write what they found.

    Parameters
    ----------
    experiments : sequence of str
        Their names; empty for all.
    preset : {"quick", "standard", "full"}
        How much is trained; `firstlight reproduce --list` says how long it takes.
    data : str or Path, optional
        "cifar10", "cifar100", "photos", or a file of labelled images. None: CIFAR-10, and where that cannot be had,
        the photographs that come with scikit-image.
    data_dir : str or Path, optional
        Where data sets are cached, or a folder that already holds the original CIFAR files.
    device : str
        "auto", "cpu", "cuda" or "cuda:N".
    out : str or Path
        Folder for the results. Its `runs/` holds the trained networks and `measurements/` what was measured on the
        images: what is there is not made again, and a training that was interrupted goes on.
    jobs : int
        How many networks are trained at once, each on its share of the CPU's cores.
    engine : Engine, optional
        Where networks are trained instead of here, from `open_engine`; its workers find `out` and the data
        under the same paths.
    console : rich.console.Console, optional
        For progress; standard error by default.

    Returns
    -------
    Reproduction
        A network whose training diverged is left out: the claims that need it are "not tested".

    Raises
    ------
    InputError
        An unknown experiment, preset or device, or data without labels.
    SourceError
        The data cannot be had.
    RunError
        The results cannot be written, or a process that trains keeps dying.
    EngineError
        The engine's workers are lost, are of another version, or do not see `out`.

    Examples
    --------
    >>> import firstlight as fl
    >>> found = fl.reproduce(["formula"], preset="quick", data="photos")  # doctest: +SKIP
    >>> print(found.summary, found.report)  # doctest: +SKIP
    """
    console = console or progress_console()
    chosen = chosen_experiments(experiments)
    if preset not in PRESETS:
        raise InputError(f"preset is {preset!r}; expected one of {', '.join(PRESETS)}")
    if jobs < 1:
        raise InputError(f"jobs is {jobs}; expected at least 1 training at a time")
    if engine is None:
        from firstlight.training.machine import choose_device

        choose_device(device)  # before anything is loaded or written
    out = Path(out).expanduser()
    _make_folders(out)
    main, *others = _images(data, data_dir, _wanted_data(chosen, preset), console)
    _check_trainable(*main)
    name = main[0].name
    sets = {name: main} | {train.name: (train, test) for train, test in others if train.name != name}
    facts = {key: (SetFacts.of(train), SetFacts.of(test)) for key, (train, test) in sets.items()}
    measurements = Measurements(out / MEASUREMENTS)
    runs: dict[str, Run] = {}
    failures: dict[str, str] = {}
    context = Context(preset, name, facts, sets.__getitem__, measurements, runs, failures)
    specs = {spec.hash: spec for experiment in chosen for spec in experiment.plan(context)}
    for outcome in train_all(
        specs.values(),
        sets.__getitem__,
        out / RUNS,
        device=device,
        jobs=jobs,
        engine=engine,
        sources={key: str(data) if data and key == name else key for key in sets},
        data_dir=data_dir,
        score=_score(context),
        console=console,
    ):
        if outcome.run is not None:
            runs[outcome.spec.hash] = outcome.run
        else:
            failures[outcome.spec.hash] = outcome.failure
            said = f"{describe(outcome.spec)}: {outcome.failure}"
            console.print(said, style="yellow", markup=False, highlight=False)
    results = run_experiments(chosen, context, console)
    options = {
        "data": data or name,
        "data-dir": data_dir,
        "device": device,
        "jobs": jobs if jobs > 1 else None,
        "out": out,
    }
    about = {
        "command": command([experiment.name for experiment in chosen], preset, options),
        "preset": preset,
        "data": name,
        "date": datetime.date.today().isoformat(),
        **about_runs(results, facts[name][0]),
        "experiments": [experiment.name for experiment in chosen],
        "sets": {key: [dataclasses.asdict(part) for part in pair] for key, pair in facts.items()},
        "measurements": sorted(measurements.used),
        "failures": failures,
    }
    reproduction = Reproduction(out, results, about)
    write_reproduction(reproduction)
    return reproduction


def chosen_experiments(names: Sequence[str] | str) -> list[Experiment]:
    """The experiments of these names, each once; all of them where no name is given.

    Raises
    ------
    InputError
        A name is unknown.
    """
    names = [names] if isinstance(names, str) else names
    for name in names:
        if name not in EXPERIMENTS:
            close = difflib.get_close_matches(name, EXPERIMENTS, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise InputError(f"experiment is {name!r}; expected one of {', '.join(EXPERIMENTS)}{hint}")
    return [EXPERIMENTS[name] for name in dict.fromkeys(names)] or list(EXPERIMENTS.values())


def run_experiments(chosen: Iterable[Experiment], context: Context, console: Console) -> tuple[Result, ...]:
    """Analyse what was trained, experiment by experiment."""
    results = []
    for experiment in chosen:
        with console.status(f"{experiment.name}: {experiment.question}"):
            results.append(experiment.run(context))
    return tuple(results)


def _wanted_data(chosen: Iterable[Experiment], preset: str) -> list[str]:
    """The data sets beside the main one that these experiments would use."""
    return list(dict.fromkeys(name for experiment in chosen for name in experiment.other_data.get(preset, ())))


def _score(context: Context) -> Callable[[RunSpec], Callable[[np.ndarray, np.ndarray], float] | None]:
    """What the live progress shows: how well eq. 3 fits the change so far."""
    basis_of = cache(context.basis)

    def score_of(spec: RunSpec) -> Callable[[np.ndarray, np.ndarray], float] | None:
        if spec.frozen:
            return None
        basis = basis_of(spec)
        return lambda filters, initial: fit_formula(energy_profile(filters, basis, initial), basis).correlation

    return score_of


def _make_folders(out: Path) -> None:
    """Before hours of training, not after them."""
    for folder in (out, out / "tables", out / "figures", out / RUNS, out / MEASUREMENTS):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise InputError(
                f"out needs {str(folder)!r}; expected a folder that can be written ({error.strerror})"
            ) from None


def _check_trainable(train_set: ImageSet, test_set: ImageSet) -> None:
    """Refuse before anything is trained what these networks cannot be trained on."""
    name, (height, width) = train_set.name, train_set.size
    for image_set in (train_set, test_set):
        if image_set.labels is None:
            raise InputError(f"data {name!r} has no labels; expected a class for each image, to train on")
    if len(train_set) < BATCH_SIZE or len(train_set.classes) < 2:
        raise InputError(
            f"data {name!r} has {len(train_set)} training images of {len(train_set.classes)} classes; expected at "
            f"least {BATCH_SIZE}, one batch, of 2 classes: give more images"
        )
    if min(height, width) < SMALLEST_SIDE:
        raise InputError(
            f"data {name!r} has images of {height} x {width} pixels; expected at least {SMALLEST_SIDE} x "
            f"{SMALLEST_SIDE}, which VGG11 halves five times: pad or enlarge them"
        )


def _images(
    data: str | Path | None, data_dir: str | Path | None, others: Sequence[str], console: Console
) -> list[Sets]:
    """The main data set, and the others as far as they can be had."""

    def load(name: str | Path) -> Sets:
        return load_images(name, "train", data_dir=data_dir), load_images(name, "test", data_dir=data_dir)

    def warn(text: str) -> None:
        console.print(text, style="yellow", markup=False, highlight=False)

    try:
        sets = [load(data if data is not None else "cifar10")]
    except SourceError as error:
        if data is not None:
            raise
        warn(str(error))
        warn(f"Going on with {OFFLINE_DATA!r}, which needs no network.")
        sets = [load(OFFLINE_DATA)]
    for name in others:
        try:
            sets.append(load(name))
        except SourceError as error:
            warn(f"Going on without {name!r}: {error}")
    return sets


def command(names: Sequence[str], preset: str, options: Mapping[str, object]) -> str:
    """The command that repeats a reproduction; all experiments need no name."""
    given = [f"--{name}={value}" for name, value in options.items() if value is not None]
    listed = [] if list(names) == list(EXPERIMENTS) else names
    return shlex.join(["firstlight", "reproduce", *listed, f"--preset={preset}", *given])


def about_runs(results: Sequence[Result], train: SetFacts) -> dict[str, Any]:
    """The data, and the machine and versions of the runs, which may be older than the analysis."""
    runs = list({run.spec.hash: run for result in results for run in result.runs}.values())

    def every(key: str) -> list:
        return sorted({run.environment[key] for run in runs})

    return {
        "data_fingerprint": train.fingerprint,
        "mean": list(train.mean),
        "std": list(train.std),
        "seeds": sorted({run.spec.seed for run in runs}),
        "device": every("device"),
        "threads": every("threads"),
        "versions": {name: ", ".join(every(name)) for name in ("firstlight", "torch", "numpy", "python")},
        "training_seconds": round(sum(run.environment["seconds"] for run in runs), 1),
        "runs": [
            {
                "hash": run.spec.hash,
                "what": describe(run.spec),
                "steps": run.spec.steps,
                "batch_size": run.spec.batch_size,
                "lr": run.spec.lr,
                "seconds": run.environment["seconds"],
                "images_per_second": run.environment["images_per_second"],
            }
            for run in runs
        ],
    }


def write_reproduction(reproduction: Reproduction, png: bool = True) -> None:
    """Write claims, tables, figures and the page into `reproduction.out`.

    Parameters
    ----------
    reproduction : Reproduction
    png : bool
        Whether figures are also written as PNG, a third of the time that all of this takes.

    Raises
    ------
    RunError
        The disk is full or the folder cannot be written.
    """
    out = reproduction.out
    claims = {
        "format": 1,
        "preset": reproduction.about["preset"],
        "data": reproduction.about["data"],
        "claims": [claim.to_dict() for claim in reproduction.claims],
    }
    try:
        write_text(out / CLAIMS, json.dumps(claims, indent=2, ensure_ascii=False) + "\n")
        write_text(out / "claims.md", claims_markdown(reproduction.claims))
        write_text(out / ABOUT, json.dumps(reproduction.about, indent=2, ensure_ascii=False) + "\n")
        for result in reproduction.results:
            write_tables(result, out / "tables")
            write_figures(result, out / "figures", png)
        write_page(reproduction.claims, reproduction.results, reproduction.about, reproduction.report)
    except OSError as error:
        raise RunError(
            f"the results cannot be written ({error}); the trained runs in {out / RUNS} are safe: mend that and run "
            "the same command again"
        ) from None
