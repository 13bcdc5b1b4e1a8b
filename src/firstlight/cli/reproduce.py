"""The command `reproduce`: the published claims, tested on networks that are trained here or on recorded results."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from firstlight.cli.engine_options import LOCAL, EngineOptions
from firstlight.cli.folders import DEFAULT_OUT, DataDir
from firstlight.cli.output import PLAIN, Flag, Json, give_json, result_console
from firstlight.cli.verbosity import USUAL, Verbosity
from firstlight.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from firstlight.experiments.results import Reproduction


def reproduce(
    *experiments: str,
    preset: Literal["quick", "standard", "full"] = "quick",
    data: str | None = None,
    data_dir: DataDir = None,
    device: str = "auto",
    jobs: int = 1,
    engine_options: EngineOptions = LOCAL,
    out: Path | None = None,
    recorded: Flag = False,
    list_: Annotated[bool, Parameter(name="--list", negative=())] = False,
    json: Json = None,
    verbosity: Verbosity = USUAL,
) -> int:
    """Train networks, test the published claims on them, and write tables, figures and a report.

    `--list` shows the experiments and what each preset trains. An interrupted command goes on where it was when it is
    given again. The exit code is 0 when every claim that was tested was reproduced, 1 when some were not, 2 for bad
    input.

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
        How many networks to train at once, each on its share of the CPU's cores.
    out
        Folder for results and trained runs. Default: firstlight-out, or firstlight-out/recorded with --recorded.
    recorded
        Train nothing: rebuild every table, figure and verdict from the recorded results, in seconds.
    list_
        Show the experiments with their cost, and do nothing.
    """
    verbosity.apply()
    console = result_console(json)
    if list_:
        from firstlight.report.terminal import experiments_table
        from firstlight.reproduction.reproduction import chosen_experiments

        chosen = chosen_experiments(experiments)
        console.print(experiments_table(chosen))
        keys = ("name", "question", "answers", "costs")
        give_json(json, [{key: getattr(one, key) for key in keys} for one in chosen])
        return 0
    if recorded:
        found = _rebuilt(experiments, preset, data, device, jobs, engine_options, out)
    else:
        from firstlight.reproduction.reproduction import reproduce as run

        out = out or DEFAULT_OUT
        with engine_options.open_cluster() as engine:
            found = run(
                experiments,
                preset=preset,
                data=data,
                data_dir=data_dir,
                device=device,
                jobs=jobs,
                engine=engine,
                out=out,
            )
    _print_claims(found, console)
    claims = [claim.to_dict() for claim in found.claims]
    give_json(json, {"claims": claims, "about": found.about, "summary": found.summary, "report": str(found.report)})
    return 0 if found.all_reproduced else 1


def _rebuilt(
    experiments: Sequence[str],
    preset: str,
    data: str | None,
    device: str,
    jobs: int,
    engine_options: EngineOptions,
    out: Path | None,
) -> "Reproduction":
    """The recorded reproduction, written like one that was just made."""
    from dataclasses import replace

    from firstlight.reproduction.folder import write_reproduction
    from firstlight.reproduction.record import recorded

    given = {
        "preset": preset != "quick",
        "data": data,
        "device": device != "auto",
        "jobs": jobs != 1,
        "engine": engine_options != LOCAL,
    }
    if ignored := [name for name, value in given.items() if value]:
        raise InputError(f"--recorded was given with --{ignored[0]}; expected it alone, a record has its own: drop one")
    out = out or DEFAULT_OUT / "recorded"
    found = replace(recorded(experiments), out=out.expanduser())
    write_reproduction(found, png=False)
    return found


def _print_claims(found: "Reproduction", console: "Console") -> None:
    """Every experiment's claims, with the command that measures a recorded one again, and the summary."""
    from firstlight.report.claims_pages import repeat
    from firstlight.report.terminal import claims_table

    for result in found.results:
        title = result.experiment
        if entry := found.about.get("recorded", {}).get(result.experiment):
            title += f": recorded {entry['date']}; {repeat(result.experiment, entry)}"
        console.print(claims_table(result.claims, title))
    for claim in found.claims:
        if claim.name.startswith("formula/") and claim.name.endswith("/correlation"):
            console.print(f"{claim.name}: {claim.measured}", highlight=False)
    console.print(f"{found.summary}, preset {found.about['preset']}.", **PLAIN)
    console.print(f"Report: {found.report}", **PLAIN)
