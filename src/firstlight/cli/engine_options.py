"""Options of the commands whose tasks may run elsewhere: on a Dask cluster."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from firstlight.cli.whole import WholeIfGiven
from firstlight.errors import InputError

if TYPE_CHECKING:
    from firstlight.engines import Engine

Words = Annotated[list[str] | None, Parameter(consume_multiple=True, negative=())]


@Parameter(name="*")
@dataclass(frozen=True)
class EngineOptions:
    """Where tasks run.

    Parameters
    ----------
    engine
        local: the cores of this machine. dask: a Dask cluster, whose workers see the same files.
    scheduler
        Address of a running Dask cluster, such as tls://host:8786. Default: one within this process, of threads.
    workers
        How many work at once. Default: one a core.
    resources
        What a task takes of a Dask worker's resources, such as GPU=1.
    """

    engine: Literal["local", "dask"] = "local"
    scheduler: str | None = None
    workers: WholeIfGiven = None
    resources: Words = None

    def check(self) -> None:
        """Refuse options that do not go together, before anything else is done."""
        if self.engine == "dask":
            self._resources()
            return
        for name, value in (("scheduler", self.scheduler), ("resources", " ".join(self.resources or ()))):
            if value:
                raise InputError(f"--{name} is {value!r}; expected --engine dask with it")

    def open(self) -> "AbstractContextManager[Engine]":
        """The engine, for the length of a ``with`` block; see `open_engine`."""
        from firstlight.engines import open_engine

        self.check()
        return open_engine(
            self.engine, scheduler=self.scheduler, workers=self.workers, resources=self._resources() or None
        )

    def open_cluster(self) -> "AbstractContextManager[Engine | None]":
        """As `open`, for commands that have a way of their own to work on this machine, and jobs for workers."""
        from contextlib import nullcontext

        if self.engine == "dask":
            return self.open()
        self.check()
        if self.workers is not None:
            raise InputError(
                f"--workers is {self.workers}; expected --engine dask with it: on this machine give --jobs"
            )
        return nullcontext()

    def _resources(self) -> dict[str, float]:
        found: dict[str, float] = {}
        for word in self.resources or ():
            name, _, amount = word.partition("=")
            try:
                found[name] = float(amount)
            except ValueError:
                found[name] = 0.0
            if not name or not 0 < found[name] < float("inf"):
                raise InputError(f"--resources is {word!r}; expected names and numbers above 0, such as GPU=1")
        return found


LOCAL = EngineOptions()
