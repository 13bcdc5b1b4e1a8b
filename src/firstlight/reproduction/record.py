"""Recorded results: the small files of real reproductions, from which every table, figure and verdict is rebuilt.

A record is a folder with `record.json` (what was run: preset, data, command, date, by experiment), `runs/HASH/` (spec,
first-layer weights over the steps, metrics, environment) and `measurements/` (small arrays measured on the images).
"""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from firstlight.experiments.results import Reproduction
from firstlight.reproduction.rebuild import rebuild
from firstlight.reproduction.shipped_record import recorded_results
from firstlight.utils.given import user_path


def recorded(
    experiments: Sequence[str] | str = (), *, results: str | Path | None = None, console: Console | None = None
) -> Reproduction:
    """Rebuild tables, figures and verdicts from recorded results, without training anything and without images.

    Parameters
    ----------
    experiments : sequence of str
        Their names; empty for all that are recorded.
    results : str or Path, optional
        The record, or a folder that `reproduce` wrote; the record that comes with firstlight by default.
    console : rich.console.Console, optional
        For progress; standard error by default.

    Returns
    -------
    Reproduction
        Not written anywhere yet: `firstlight.reproduction.folder.write_reproduction` does that.

    Raises
    ------
    InputError
        There is no such record, or it lacks an experiment that was asked for.
    RunError
        A file of the record is missing or damaged.

    Examples
    --------
    >>> import firstlight as fl
    >>> for claim in fl.recorded("label-correlation").claims:
    ...     print(claim.id, claim.verdict, claim.measured)
    T1 reproduced 0.070 (1 data set)
    T1.patch reproduced 0.022 (1 data set)
    A2 violated 0.057 (1 data set)
    """
    folder = user_path(results) if results is not None else recorded_results()
    return rebuild(folder, experiments, command="firstlight reproduce --recorded", console=console)
