"""The command `reproduce`: the published claims, tested on networks that are trained here or on recorded results."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from firstlight.cli.engine_options import LOCAL, EngineOptions
from firstlight.cli.folders import DEFAULT_OUT, DataDir
from firstlight.cli.output import Flag, Json, Place, give_json, print_line, result_console
from firstlight.cli.safe_outputs import Force, Target, check_folder, check_outputs, html_target, json_target
from firstlight.cli.verbosity import USUAL, Verbosity
from firstlight.cli.whole import Whole, WholeIfGiven
from firstlight.errors import FirstlightError, InputError

if TYPE_CHECKING:
    from rich.console import Console

    from firstlight.experiments.results import Reproduction

_NARROWEST = 72  # columns of the table; a narrower terminal breaks its lines


def reproduce(
    *experiments: str,
    preset: Literal["quick", "standard", "full"] = "quick",
    data: str | None = None,
    data_dir: DataDir = None,
    device: str = "auto",
    jobs: Whole = 1,
    replicas: WholeIfGiven = None,
    engine_options: EngineOptions = LOCAL,
    out: Place | None = None,
    recorded: Flag = False,
    fresh: Flag = False,
    check: Flag = False,
    list_: Annotated[bool, Parameter(name="--list", negative=())] = False,
    json: Json = None,
    force: Force = False,
    verbosity: Verbosity = USUAL,
) -> int:
    """Test the published claims on trained networks.

    Networks are trained, or taken from the record; tables, figures and a report are written. `--list` shows the
    experiments and what each preset trains. An interrupted command goes on where it was when it is given again.
    `--verbose` also tells all that is known of every claim. The exit code is 0 when the claims were judged, whatever
    the verdicts, and 2 for bad input.

    Parameters
    ----------
    experiments
        Names of experiments; none for all.
    preset
        How much to train: quick in minutes and standard in an hour or two on 2 CPU cores, full on a GPU.
    data
        cifar10, cifar100 or photos; the original files of CIFAR, a folder or archive; or labelled images of your own,
        at least 256 of one size, at least 32 x 32 pixels: a folder with train/CLASS and test/CLASS, or an .npz file.
        Default: cifar10, or photos where that cannot be had.
    device
        auto, cpu, cuda or cuda:N.
    jobs
        How many processes train networks at once, each on its share of the CPU's cores.
    replicas
        How many networks one process trains at once, each on a stream of the GPU. Default: on a GPU as many as it gains
        by, which is measured meanwhile.
    out
        Folder for results and trained runs. Default: firstlight-out, or firstlight-out/recorded with --recorded.
    recorded
        Train nothing: rebuild every table, figure and verdict from the recorded results, in seconds.
    fresh
        Train again what the recorded results hold; else such a network is taken from there.
    check
        End with exit code 1 where a published claim is not reproduced or inconclusive. One that is not tested counts
        as neither.
    list_
        Show the experiments with their cost, and do nothing.
    """
    verbosity.apply()
    console = result_console(json)
    if list_:
        check_outputs([json_target(json, "name")], (), force)
        _list(experiments, console, json)
        return 0
    out = out or (DEFAULT_OUT / "recorded" if recorded else DEFAULT_OUT)
    _check_outputs(out, json, data, force)
    beside = None
    if recorded:
        given = {
            "preset": preset != "quick",
            "data": data,
            "device": device != "auto",
            "jobs": jobs != 1,
            "replicas": replicas is not None,
            "engine": engine_options != LOCAL,
            "fresh": fresh,
        }
        found = _rebuilt(experiments, given, out)
    else:
        from firstlight.reproduction.reproduction import reproduce as run

        with engine_options.open_cluster() as engine:
            found = run(
                experiments,
                preset=preset,
                data=data,
                data_dir=data_dir,
                device=device,
                jobs=jobs,
                replicas=replicas,
                engine=engine,
                fresh=fresh,
                out=out,
            )
        beside = _recorded_beside(found)
    _print_claims(found, beside, console, verbosity.verbose)
    if json is not None:
        from firstlight.report.claims_data import claims_data

        give_json(json, claims_data(found))
    if check and not found.all_reproduced:
        print_line(console, "--check: not every published claim that was tested is reproduced: exit code 1.")
        return 1
    return 0


def _check_outputs(out: Path, json: Path | None, data: str | None, force: bool) -> None:
    """Refuse, before hours of training, what cannot be written, and a folder where other things bear these names."""
    from firstlight.experiments.results import PAGE
    from firstlight.reproduction.folder import ABOUT, CLAIMS

    check_folder("--out", out, [data])
    written = [json_target(out / name, "format", "command", option="--out", indent=2) for name in (CLAIMS, ABOUT)]
    written.append(Target("--out", out / "claims.md", lambda _: (out / CLAIMS).exists()))
    check_outputs([json_target(json, "format"), html_target(out / PAGE, "--out"), *written], [data], force)


def _list(experiments: Sequence[str], console: "Console", json: Path | None) -> None:
    """The experiments, and what each preset trains for them."""
    from firstlight.report.terminal import experiments_table
    from firstlight.reproduction.reproduction import PRESETS, chosen_experiments

    chosen = chosen_experiments(experiments)
    console.print(experiments_table(chosen, PRESETS))
    told = [
        {
            **{key: getattr(one, key) for key in ("name", "question", "answers")},
            "costs": {preset: one.cost(preset) for preset in PRESETS},
        }
        for one in chosen
    ]
    give_json(json, told)


def _rebuilt(experiments: Sequence[str], given: Mapping[str, object], out: Path) -> "Reproduction":
    """The recorded reproduction, written like one that was just made."""
    from dataclasses import replace

    from firstlight.experiments import EXPERIMENTS
    from firstlight.reproduction.folder import DRAWING_SECONDS, write_reproduction
    from firstlight.reproduction.record import recorded
    from firstlight.utils.progress_line import Line

    if ignored := [name for name, value in given.items() if value]:
        raise InputError(f"--recorded was given with --{ignored[0]}; expected it alone, a record has its own: drop one")
    with Line() as line:
        line.later = DRAWING_SECONDS * (len(experiments) or len(EXPERIMENTS))
        found = replace(recorded(experiments), out=out)
        line.later = 0.0
        write_reproduction(found, png=False)
    return found


def _recorded_beside(found: "Reproduction") -> "Reproduction | None":
    """What is recorded of the same experiments, to be seen beside what was trained here."""
    from firstlight.reproduction.rebuild import read_record
    from firstlight.reproduction.record import recorded
    from firstlight.reproduction.shipped_record import recorded_results
    from firstlight.utils.console import note

    try:
        known = read_record(recorded_results())["experiments"]
        names = [result.experiment for result in found.results if result.experiment in known]
        return recorded(names) if names else None
    except FirstlightError as error:
        note(f"the recorded results are not shown: {error}")
        return None


def _print_claims(found: "Reproduction", beside: "Reproduction | None", console: "Console", verbose: bool) -> None:
    """The short table and the summary; all rows, and all claims in full, where asked for."""
    from firstlight.report.claim_lines import below_table, published_rows
    from firstlight.report.claims_in_full import claims_in_full
    from firstlight.report.headline_table import headline_table
    from firstlight.report.terminal import frame_table

    console.width = max(console.width, _NARROWEST)
    console.print(headline_table(found, console.width, beside, published_rows(found) if verbose else None))
    for line in below_table(found, verbose):
        console.print(line, markup=False, highlight=False)
    if verbose:
        for paragraph in claims_in_full(found):
            console.print(paragraph, highlight=False)
    if len(found.results) == 1 and (shown := found.results[0].shown):
        console.print(frame_table(found.results[0].tables[shown]))
    print_line(console, f"{found.summary}, preset {found.about['preset']}.")
    print_line(console, f"Report: {found.report}")
