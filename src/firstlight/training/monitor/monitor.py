"""FirstLayerMonitor: a first layer, looked at while it learns."""

import contextlib
import dataclasses
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from firstlight.errors import FirstlightError, InputError, NonFiniteWeights
from firstlight.filters import FilterBank
from firstlight.patches.basis import PatchBasis
from firstlight.profile import EnergyProfile, energy_profile
from firstlight.training.monitor.alarms import NON_FINITE, Alarm, checked_alarms, raised
from firstlight.training.monitor.history import History
from firstlight.training.monitor.layer import has_others, is_main_process, watched_layer
from firstlight.training.monitor.loggers import log_of, picture_of
from firstlight.training.monitor.measurement import Measures, measured, patches_for
from firstlight.training.monitor.when import Schedule, Steps
from firstlight.utils.text import first_line, size_text

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from torch import nn


class MonitorWarning(UserWarning):
    """An alarm of a monitor, or that it has stopped to look; the training goes on."""


class FirstLayerMonitor:
    """Looks at a network's first layer while it is trained, and never changes it.

    Call `step` once an update, after the optimiser's. Between measurements that costs the comparison of two numbers; of
    the layer itself there are two copies, w(0) and the last.

    Parameters
    ----------
    model : torch.nn.Module or keras.Model
        Its first convolution is found as by `load_filters`; compiled, or wrapped for several devices (of which the
        process of rank 0 tells), as it may be. Of a Keras model, of any backend, the first `Conv2D` is taken.
    data : PatchBasis, or whatever else `patch_statistics` takes; optional
        The patches in whose components it is looked at: by default CIFAR-10's.
    steps : "log", int or iterable of int
        When: after 0, 1, 2, ... updates and then each a fifth later than before; every so many; or these.
    compare_to : EnergyProfile, or whatever `load_filters` takes; optional
        What profile to correlate with, too.
    change : bool
        Whether profiles are of the change since step 0, as in the paper, or of the filters as they are.
    layer : str, optional
        Name of the convolution to take instead of the first.
    example : Tensor, optional
        What the network takes.
    mean, std : float or sequence of C floats, optional
        How the network's inputs are normalised, in 0..1 for uint8 images; by default that of the data.
    loggers : sequence, optional
        Where measurements go: see `docs/monitor.md`.
    alarms : "all" or sequence of str, optional
        What to warn of, each once: "not-moving", "non-finite", "dying-filters", "mean-component". Default: nothing.
    state : mapping, optional
        What the `state_dict` of another monitor gave, to go on from there as with `load_state_dict`.

    Raises
    ------
    InputError, SourceError
        The network has no such layer, the data do not fit it, or an option is none. After that nothing is raised: what
        goes wrong is warned of once, and the monitor goes quiet.

    Examples
    --------
    >>> import firstlight as fl
    >>> model = fl.build_model("resnet20")
    >>> monitor = fl.FirstLayerMonitor(model, "cifar10")
    >>> for _ in range(3):
    ...     _ = model.conv1.weight.data.mul_(1.1)  # an update of your own
    ...     monitor.step()
    >>> monitor.history[["step", "change"]].round(2).to_string(index=False).splitlines()
    [' step  change', '    0    0.00', '    1    0.10', '    2    0.21', '    3    0.33']
    """

    def __init__(
        self,
        model: "nn.Module | Any",
        data: Any = None,
        *,
        steps: Steps = "log",
        compare_to: Any = None,
        change: bool = True,
        layer: str | None = None,
        example: "torch.Tensor | None" = None,
        mean: float | Sequence[float] | None = None,
        std: float | Sequence[float] | None = None,
        loggers: Iterable[Any] = (),
        alarms: str | Iterable[str] = (),
        state: Mapping[str, Any] | None = None,
    ) -> None:
        self._schedule = Schedule(steps)
        loggers = list(loggers)
        self._logs = [log_of(logger) for logger in loggers]
        self._pictures = [picture for logger in loggers if (picture := picture_of(logger))]
        self._asked = checked_alarms(alarms)
        self._layer = watched_layer(model, layer, example)
        self.initial = self._layer.bank
        self.change = change
        self._watched = patches_for(self.initial, data, mean, std)
        self.basis, self.data = self._watched.basis, self._watched.data
        self._compared = None if compare_to is None else _profile_of(compare_to, self.basis).energy
        self.alarms: list[Alarm] = []
        self._rows: list[Measures] = []
        self._energies: list[np.ndarray] = []
        self._last = self.initial
        self._count = 0
        self._quiet = False
        self._next: float = 0
        self._looked = -1
        if state is None:
            self._look()
        else:
            self.load_state_dict(state)

    def __repr__(self) -> str:
        return f"FirstLayerMonitor({self.snapshot()!r})"

    def step(self, updates: int = 1) -> None:
        """Count updates of the weights; the layer is looked at where that is due.

        Parameters
        ----------
        updates : int
            How many there were since the last call.
        """
        self._count += updates
        if self._count >= self._next:
            self._look()

    def measure(self) -> None:
        """Look at the layer now, whenever that is due."""
        if self._looked != self._count:  # not the rows, which only the process that tells has
            self._look()

    @property
    def history(self) -> "pd.DataFrame":
        """A row a measurement, as `History.to_frame`."""
        return self.snapshot().to_frame()

    def snapshot(self) -> History:
        """What was seen until now; `Report` plays it."""
        energies = np.array(self._energies).reshape(len(self._rows), self.basis.size)
        return History(tuple(self._rows), energies, self.basis, self.initial, self._last, self.data, self.change)

    def plot(self, ax: "Axes | None" = None) -> "tuple[Figure, Axes]":
        """Plot the correlation with eq. 3 over the updates; returns the figure and its axes."""
        return self.snapshot().plot(ax)

    def save(self, path: str | Path) -> None:
        """Write what was seen into a file, which `load_history` reads.

        Parameters
        ----------
        path : str or Path
            A .npz file.

        Raises
        ------
        InputError, OutputError
            As of `History.save`.
        """
        self.snapshot().save(path)

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs, for a checkpoint: numbers, text and arrays in PyTorch's types."""
        import torch

        return {
            "count": self._count,
            "looked": self._looked,
            "layer": self.initial.layer,
            # Flat: of the shape of filters it would be taken for the first layer of the checkpoint that it is put into.
            "initial": torch.from_numpy(self.initial.weight.flatten()),
            "shape": list(self.initial.weight.shape),
            "rows": [dataclasses.asdict(row) for row in self._rows],
            "energies": torch.from_numpy(self.snapshot().energies.copy()),
            "alarms": [dataclasses.asdict(alarm) for alarm in self.alarms],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from where another monitor of the same layer was.

        Parameters
        ----------
        state : mapping
            What its `state_dict` gave.

        Raises
        ------
        InputError
            It watched a layer of another name or shape, or saw other patches; this one is then as it was.
        """
        try:
            initial, energies = (state[name].double().numpy() for name in ("initial", "energies"))
            initial = initial.reshape(state["shape"])
            rows = [Measures(**row) for row in state["rows"]]
            alarms = [Alarm(**alarm) for alarm in state["alarms"]]
            count, looked, layer = int(state["count"]), int(state["looked"]), str(state["layer"])
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise InputError(
                f"the state is not one of a monitor ({first_line(error, kind=True)}); expected what its state_dict gave"
            ) from None
        there = f"{self.initial.layer}, {size_text(self.initial.weight.shape)}"
        if (layer, initial.shape) != (self.initial.layer, self.initial.weight.shape):
            raise InputError(f"the state is of {layer}, {size_text(initial.shape)}; expected {there}, as this network")
        if energies.shape != (len(rows), self.basis.size):
            raise InputError(f"the state has profiles of {energies.shape[-1]} components; expected {self.basis.size}")
        self.initial = FilterBank(initial, layer=layer, source=self.initial.source)
        self._rows, self._energies, self.alarms, self._count = rows, list(energies), alarms, count
        self._next, self._looked = self._schedule.after(count), looked

    def _look(self) -> None:
        self._next, self._looked = self._schedule.after(self._count), self._count
        if self._quiet:
            if has_others():  # which wait for this process's part of the layer
                with contextlib.suppress(Exception):
                    self._layer.read()
            return
        try:
            self._record()
        except NonFiniteWeights as error:
            if NON_FINITE in self._asked:
                self._raise_alarm(Alarm(NON_FINITE, self._count, f"{first_line(error)} after {self._count:,} updates"))
            self._fall_quiet(error)
        except Exception as error:  # a training is never stopped by what only looks at it
            self._fall_quiet(error)

    def _record(self) -> None:
        bank = self._layer.read()  # on every device: what is spread over them is gathered by all
        if not is_main_process():
            return
        if bank.weight.shape != self.initial.weight.shape:
            raise InputError(
                f"{self.initial.layer} is now {size_text(bank.weight.shape)}; expected "
                f"{size_text(self.initial.weight.shape)}, as at the start: make a new monitor"
            )
        row, profile = measured(
            bank,
            self.initial,
            self._watched,
            step=self._count,
            change=self.change,
            compared=self._compared,
        )
        self._last = bank
        self._rows.append(row)
        self._energies.append(profile.energy)
        asked = self._asked - {"not-moving"} if self._layer.is_frozen else self._asked
        for alarm in raised(asked, self.alarms, self._rows, profile.energy, self.basis):
            self._raise_alarm(alarm)
        for log in self._logs:
            log(dataclasses.asdict(row), self._count)
        if profile.energy.any():
            for show in self._pictures:
                show(profile.plot()[0], self._count)

    def _raise_alarm(self, alarm: Alarm) -> None:
        if alarm.code not in {one.code for one in self.alarms}:
            self.alarms.append(alarm)
            warnings.warn(f"firstlight: {alarm.code}: {alarm.text}", MonitorWarning, stacklevel=4)

    def _fall_quiet(self, error: Exception) -> None:
        self._quiet = True
        said = first_line(error, kind=not isinstance(error, FirstlightError))
        warnings.warn(
            f"firstlight: the monitor stops to look after {self._count:,} updates: {said}; the training goes on",
            MonitorWarning,
            stacklevel=4,
        )


def _profile_of(source: Any, basis: PatchBasis) -> EnergyProfile:
    if isinstance(source, EnergyProfile):
        if source.energy.shape != basis.variance.shape:
            raise InputError(
                f"compare_to has {len(source.energy)} components; expected {basis.size}, as the layer in these patches"
            )
        return source
    return energy_profile(source, basis)
