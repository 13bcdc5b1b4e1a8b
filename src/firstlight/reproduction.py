"""`reproduce`: run experiments on real data, judge their claims, and write the folder that shows them."""

import datetime
import difflib
import json
import shlex
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
from rich.console import Console

from firstlight.errors import InputError, RunError, SourceError
from firstlight.experiments import EXPERIMENTS, Claim, Context, Preset, Result, claims_markdown
from firstlight.files import write_text
from firstlight.images import ImageSet, load_images
from firstlight.report import write_figures, write_page, write_tables
from firstlight.training import Progress, Run, RunSpec, TrainingProgress, train

PRESETS: tuple[Preset, ...] = get_args(Preset)
OFFLINE_DATA = "photos"
BATCH_SIZE, SMALLEST_SIDE = 256, 32  # of the paper's protocol and its networks


@dataclass(frozen=True)
class Reproduction:
    """What a reproduction found, and where it was written.

    Attributes
    ----------
    out : Path
        The folder with `claims.json`, `claims.md`, `tables/`, `figures/`, `report.html`, `reproduction.json` and
        `runs/`.
    results : tuple of Result
        One an experiment.
    about : dict
        Preset, data, device, seeds, versions, date: how to repeat it.
    """

    out: Path
    results: tuple[Result, ...]
    about: dict

    def __repr__(self) -> str:
        return f"Reproduction({self.summary}, {self.out})"

    @property
    def claims(self) -> tuple[Claim, ...]:
        """All claims, in the order of the experiments."""
        return tuple(claim for result in self.results for claim in result.claims)

    @property
    def summary(self) -> str:
        """How many claims were reproduced, and on what data."""
        reproduced = sum(claim.verdict == "reproduced" for claim in self.claims)
        return f"{reproduced} of {len(self.claims)} claims reproduced on {self.about['data']}"

    @property
    def report(self) -> Path:
        """The page that shows everything."""
        return self.out / "report.html"

    @property
    def all_reproduced(self) -> bool:
        """Whether every claim that was tested was reproduced."""
        return all(claim.verdict != "not reproduced" for claim in self.claims)


def reproduce(
    experiments: Sequence[str] | str = (),
    *,
    preset: str = "quick",
    data: str | Path | None = None,
    data_dir: str | Path | None = None,
    device: str = "auto",
    out: str | Path = "firstlight-out",
    console: Console | None = None,
) -> Reproduction:
    """Run experiments and write what they found.

    Parameters
    ----------
    experiments : sequence of str
        Their names; empty for all.
    preset : {"quick", "standard", "full"}
        How much is trained; `firstlight reproduce --help` says how long it takes.
    data : str or Path, optional
        "cifar10", "cifar100", "photos", or a file of labelled images. None: CIFAR-10, and where that cannot be had,
        the photographs that come with scikit-image.
    data_dir : str or Path, optional
        Where data sets are cached, or a folder that already holds the original CIFAR files.
    device : str
        "auto", "cpu", "cuda" or "cuda:N".
    out : str or Path
        Folder for the results. Its `runs/` holds the trained networks: what is there is not trained again, and
        a training that was interrupted goes on.
    console : rich.console.Console, optional
        For progress; standard error by default.

    Returns
    -------
    Reproduction

    Raises
    ------
    InputError
        An unknown experiment, preset or device, or data without labels.
    SourceError
        The data cannot be had.
    RunError
        A training diverged.
    """
    console = console or Console(stderr=True)
    chosen = [EXPERIMENTS[name] for name in _checked(experiments)]
    if preset not in PRESETS:
        raise InputError(f"preset is {preset!r}; expected one of {', '.join(PRESETS)}")
    out = Path(out).expanduser()
    _make_folders(out)
    train_set, test_set = _images(data, data_dir, console)
    _check_trainable(train_set, test_set)

    def obtain(spec: RunSpec, score: Callable[[np.ndarray, np.ndarray], float]) -> Run:
        with TrainingProgress(f"{spec.model}, seed {spec.seed}", spec.steps, console) as display:

            def show(progress: Progress) -> None:
                if progress.filters is not None and progress.step > 0:
                    display.correlation = score(progress.filters, progress.initial)
                display.update(progress)

            return train(spec, train_set, test_set, out / "runs", device=device, on_progress=show)

    context = Context(preset, train_set, test_set, obtain)
    results = tuple(experiment.run(context) for experiment in chosen)
    names = [experiment.name for experiment in chosen]
    options = {"data": data or train_set.name, "data-dir": data_dir, "device": device, "out": out}
    about = _about(results, preset, train_set, names, options)
    reproduction = Reproduction(out, results, about)
    _write(reproduction)
    return reproduction


def _checked(names: Sequence[str] | str) -> list[str]:
    names = [names] if isinstance(names, str) else names
    for name in names:
        if name not in EXPERIMENTS:
            close = difflib.get_close_matches(name, EXPERIMENTS, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise InputError(f"experiment is {name!r}; expected one of {', '.join(EXPERIMENTS)}{hint}")
    return list(dict.fromkeys(names)) or list(EXPERIMENTS)


def _make_folders(out: Path) -> None:
    """Before hours of training, not after them."""
    for folder in (out, out / "tables", out / "figures", out / "runs"):
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


def _images(data: str | Path | None, data_dir: str | Path | None, console: Console) -> tuple[ImageSet, ImageSet]:
    if data is not None:
        return load_images(data, "train", data_dir=data_dir), load_images(data, "test", data_dir=data_dir)
    try:
        return load_images("cifar10", "train", data_dir=data_dir), load_images("cifar10", "test", data_dir=data_dir)
    except SourceError as error:
        console.print(str(error), style="yellow", markup=False, highlight=False)
        console.print(f"Going on with {OFFLINE_DATA!r}, which needs no network.", style="yellow")
        return load_images(OFFLINE_DATA, "train"), load_images(OFFLINE_DATA, "test")


def _about(
    results: Sequence[Result], preset: str, train_set: ImageSet, names: list[str], options: dict[str, object]
) -> dict:
    """How to repeat it: this call, and the machine and versions of its runs, which may be older."""
    runs = {run.path.name: run for result in results for run in result.runs}.values()
    given = [f"--{name}={value}" for name, value in options.items() if value is not None]
    environments = [run.environment for run in runs]

    def every(key: str) -> list:
        return sorted({environment[key] for environment in environments})

    return {
        "command": shlex.join(["firstlight", "reproduce", *names, f"--preset={preset}", *given]),
        "preset": preset,
        "data": train_set.name,
        "data_fingerprint": train_set.fingerprint,
        "mean": list(train_set.mean),
        "std": list(train_set.std),
        "seeds": sorted({run.spec.seed for run in runs}),
        "device": every("device"),
        "threads": every("threads"),
        "versions": {name: ", ".join(every(name)) for name in ("firstlight", "torch", "numpy", "python")},
        "training_seconds": round(sum(environment["seconds"] for environment in environments), 1),
        "date": datetime.date.today().isoformat(),
        "runs": [
            {
                "hash": run.spec.hash,
                "model": run.spec.model,
                "seed": run.spec.seed,
                "steps": run.spec.steps,
                "batch_size": run.spec.batch_size,
                "lr": run.spec.lr,
                "seconds": run.environment["seconds"],
                "images_per_second": run.environment["images_per_second"],
            }
            for run in runs
        ],
    }


def _write(reproduction: Reproduction) -> None:
    out = reproduction.out
    claims = {
        "format": 1,
        "preset": reproduction.about["preset"],
        "data": reproduction.about["data"],
        "claims": [claim.to_dict() for claim in reproduction.claims],
    }
    try:
        write_text(out / "claims.json", json.dumps(claims, indent=2, ensure_ascii=False) + "\n")
        write_text(out / "claims.md", claims_markdown(reproduction.claims))
        write_text(out / "reproduction.json", json.dumps(reproduction.about, indent=2, ensure_ascii=False) + "\n")
        for result in reproduction.results:
            write_tables(result, out / "tables")
            write_figures(result, out / "figures")
        write_page(reproduction.claims, reproduction.results, reproduction.about, reproduction.report)
    except OSError as error:
        raise RunError(
            f"the results cannot be written ({error}); the trained runs in {out / 'runs'} are safe: mend that and run "
            "the same command again"
        ) from None
