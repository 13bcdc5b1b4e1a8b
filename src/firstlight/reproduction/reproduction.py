"""`reproduce`: run experiments on real data, judge their claims, and write the folder that shows them."""

import contextlib
import dataclasses
import datetime
import difflib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import get_args

import numpy as np
from rich.console import Console

from firstlight.engines import Engine
from firstlight.errors import InputError
from firstlight.experiments import EXPERIMENTS, Context, Experiment, Preset
from firstlight.experiments.criteria import CRITERIA
from firstlight.experiments.measurements import Measurements
from firstlight.experiments.results import Reproduction
from firstlight.images import SetFacts
from firstlight.profile import energy_profile
from firstlight.reproduction.about import about_runs, command
from firstlight.reproduction.data import check_trainable, other_data, sets_of, too_few
from firstlight.reproduction.folder import DRAWING_SECONDS, FORMAT, MEASUREMENTS, RUNS, make_folders, write_reproduction
from firstlight.reproduction.shipped_record import take_recorded, take_recorded_accuracy
from firstlight.theory import fit_formula
from firstlight.training import Run, RunSpec, check_at_once, describe, train_all
from firstlight.utils.console import progress_console
from firstlight.utils.given import user_path
from firstlight.utils.progress_line import Line, in_turn
from firstlight.utils.text import counted, plural

PRESETS: tuple[Preset, ...] = get_args(Preset)
_MEASURING = {"formula": 4.0, "linear": 3.5, "whitening": 1.0}  # seconds


def reproduce(
    experiments: Sequence[str] | str = (),
    *,
    preset: str = "quick",
    data: str | Path | None = None,
    data_dir: str | Path | None = None,
    device: str = "auto",
    out: str | Path = "firstlight-out",
    jobs: int = 1,
    replicas: int | None = None,
    engine: Engine | None = None,
    fresh: bool = False,
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
        "cifar10", "cifar100", "photos", or labelled images as `load_images` takes them at a path. None: CIFAR-10, and
        where that cannot be had, the photographs that come with scikit-image.
    data_dir : str or Path, optional
        Where data sets are cached, or what already holds the original CIFAR files: a folder or an archive.
    device : str
        "auto", "cpu", "cuda" or "cuda:N".
    out : str or Path
        Folder for the results. Its `runs/` holds the trained networks and `measurements/` what was measured on the
        images: what is there is not made again, and a training that was interrupted goes on.
    jobs : int
        How many processes train networks at once, each on its share of the CPU's cores.
    replicas : int, optional
        How many networks this process trains at once, in turns; as in `train_all`. None: as many as a GPU gains by, and
        one on a CPU.
    engine : Engine, optional
        Where networks are trained instead of here, from `open_engine`; its workers find `out` and the data
        under the same paths.
    fresh : bool
        Whether to train also what the recorded results hold already; else such a run is taken from there.
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
    check_at_once(jobs, replicas, engine)
    if engine is None:
        from firstlight.training.machine import choose_device

        choose_device(device)  # before anything is loaded or written
    out = user_path(out)
    new = make_folders(out)
    with Line(console) as line:
        line.later = None  # what is to be trained is not known yet
        try:
            main, *others = sets_of(data, data_dir, other_data(chosen, preset), console)
            check_trainable(*main)
        except BaseException:  # nothing has begun: it leaves no empty folders
            with contextlib.suppress(OSError):
                for folder in new:
                    folder.rmdir()
            raise
        name = main[0].name
        sets = {name: main} | {train.name: (train, test) for train, test in others if train.name != name}
        facts = {key: (SetFacts.of(train), SetFacts.of(test)) for key, (train, test) in sets.items()}
        measurements = Measurements(out / MEASUREMENTS)
        runs: dict[str, Run] = {}
        failures: dict[str, str] = {}
        context = Context(preset, name, facts, sets.__getitem__, measurements, runs, failures)
        if not fresh:
            networks = [name for experiment in chosen if experiment.accuracy_alone for name in experiment.networks]
            files = [context.accuracy_file(name).name for name in networks]
            if taken := take_recorded_accuracy(files, out / MEASUREMENTS):
                of = counted(len(networks), "network")
                line.say(f"The accuracy of {taken} of {of} is taken from the recorded results; --fresh trains again.")
        specs = {spec.hash: spec for experiment in chosen for spec in experiment.plan(context)}
        if not fresh and (taken := take_recorded(specs, out / RUNS)):
            taken_of = f"{taken} of {counted(len(specs), 'run')} {plural(taken, 'is', 'are')} taken"
            line.say(f"{taken_of} from the recorded results; --fresh trains again.")
        line.later = measuring_seconds(chosen) + DRAWING_SECONDS * len(chosen)
        failures |= too_few(specs.values(), sets)
        for outcome in train_all(
            [spec for spec in specs.values() if spec.hash not in failures],
            sets.__getitem__,
            out / RUNS,
            device=device,
            jobs=jobs,
            replicas=replicas,
            engine=engine,
            sources={key: data if data and key == name else key for key in sets},
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
        line.later = DRAWING_SECONDS * len(chosen)
        results = tuple(experiment.run(context) for experiment in measured_in_turn(chosen, line))
        options = {
            "data": data or name,
            "data-dir": data_dir,
            "device": device,
            "jobs": jobs if jobs > 1 else None,
            "replicas": replicas,
            "out": out,
        }
        about = {
            "format": FORMAT,
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
        line.later = 0.0
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
    if not isinstance(names, Iterable):
        raise InputError(f"experiments are {names!r}; expected their names, such as ['formula']")
    for name in names:
        if name not in EXPERIMENTS:
            row = CRITERIA.get(name.partition(".")[0]) if isinstance(name, str) else None
            close = [row.experiment] if row else difflib.get_close_matches(name, EXPERIMENTS, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise InputError(f"experiment is {name!r}; expected one of {', '.join(EXPERIMENTS)}{hint}")
    return [EXPERIMENTS[name] for name in dict.fromkeys(names)] or list(EXPERIMENTS.values())


def measured_in_turn(chosen: Sequence[Experiment], line: Line) -> Iterator[Experiment]:
    """The experiments, while the line tells of each."""
    return in_turn(chosen, line, "measuring", lambda one: one.name, lambda one: measuring_seconds([one]))


def measuring_seconds(chosen: Iterable[Experiment]) -> float:
    """What analysing takes, on two cores, of runs that are there."""
    return sum(_MEASURING.get(one.name, 0.5) for one in chosen)


def _score(context: Context) -> Callable[[RunSpec], Callable[[np.ndarray, np.ndarray], float] | None]:
    """What the live progress shows: how well eq. 3 fits the change so far."""
    basis_of = cache(context.basis)

    def score_of(spec: RunSpec) -> Callable[[np.ndarray, np.ndarray], float] | None:
        if spec.frozen:
            return None
        basis = basis_of(spec)
        return lambda filters, initial: fit_formula(energy_profile(filters, basis, initial), basis).correlation

    return score_of
