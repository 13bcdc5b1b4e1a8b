"""History: what a first layer did while it was trained, by measurement."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from firstlight.errors import InputError
from firstlight.filters import FilterBank
from firstlight.patches.basis import PatchBasis
from firstlight.profile import EnergyProfile
from firstlight.training.monitor.measurement import Measures
from firstlight.utils.damage import DAMAGE
from firstlight.utils.given import user_path
from firstlight.utils.npz import header_of, open_npz, write_npz
from firstlight.utils.text import counted, first_line, printable
from firstlight.utils.trouble import refuse_trouble

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from firstlight.inspection import Inspection
    from firstlight.inspection.network_view import NetworkView

FORMAT = 1
_BASIS = ("count", "kernel_size", "channels", "stride", "mean", "std", "center", "window", "dilation")


@dataclass(frozen=True, eq=False)
class History:
    """A first layer over its training.

    Attributes
    ----------
    rows : sequence of Measures
        One a measurement.
    energies : ndarray, shape (T, D), float64
        The profile at each.
    basis : PatchBasis
    initial, last : FilterBank
        The layer at step 0, and at the last measurement.
    data : str
        Whose patches it was looked at with.
    change : bool
        Whether the profiles are of the change since step 0.

    Examples
    --------
    >>> import firstlight as fl
    >>> monitor = fl.FirstLayerMonitor(fl.build_model("resnet20"), "cifar10")
    >>> monitor.snapshot()
    History(conv1 of CifarResNet: 1 measurement, step 0)
    """

    rows: Sequence[Measures] = field(repr=False)
    energies: np.ndarray = field(repr=False)
    basis: PatchBasis = field(repr=False)
    initial: FilterBank = field(repr=False)
    last: FilterBank = field(repr=False)
    data: str = ""
    change: bool = True

    def __repr__(self) -> str:
        steps = [row.step for row in self.rows]
        span = f"step {steps[0]}" if len(steps) == 1 else f"steps {steps[0]} to {steps[-1]}" if steps else "none yet"
        name = printable(f"{self.initial.layer} of {self.initial.source}")
        return f"History({name}: {counted(len(steps), 'measurement')}, {span})"

    def to_frame(self) -> "pd.DataFrame":
        """A row a measurement: the fields of `Measures`, and the energy of each component as e1, e2, ..."""
        import pandas as pd

        columns = [one.name for one in dataclasses.fields(Measures)]
        table = pd.DataFrame([dataclasses.astuple(row) for row in self.rows], columns=pd.Index(columns))
        names = [f"e{number}" for number in range(1, self.basis.size + 1)]
        energies = pd.DataFrame(self.energies.reshape(len(self.rows), self.basis.size), columns=pd.Index(names))
        return pd.concat([table, energies], axis=1)

    def plot(self, ax: "Axes | None" = None) -> "tuple[Figure, Axes]":
        """Plot the correlation with eq. 3 and with lambda alone over the steps; returns the figure and its axes."""
        from firstlight.figures.axes import axes_or_new
        from firstlight.figures.colours import MEASURED, PREDICTED

        fig, ax = axes_or_new(ax)
        steps = [row.step for row in self.rows]
        ax.plot(steps, [row.r for row in self.rows], marker="o", color=MEASURED, label="r with eq. 3")
        ax.plot(steps, [row.r_lambda for row in self.rows], ls="--", color=PREDICTED, label="r with λ alone")
        ax.set_xscale("symlog", linthresh=1)
        ax.set_xlabel("updates")
        ax.set_ylabel("correlation")
        ax.legend(frameon=False)
        return fig, ax

    def save(self, path: str | Path) -> None:
        """Write all of it into a file, whole or not at all.

        Parameters
        ----------
        path : str or Path
            A .npz file.

        Raises
        ------
        InputError
            The name does not end in .npz.
        OutputError
            It cannot be written.
        """
        target = user_path(path)
        if target.suffix.lower() != ".npz":
            raise InputError(f"path is {str(path)!r}; expected a name that ends in .npz")
        header = {
            "history": FORMAT,
            "rows": [dataclasses.asdict(row) for row in self.rows],
            "basis": {name: getattr(self.basis, name) for name in _BASIS},
            **{name: getattr(self.initial, name) for name in ("layer", "source")},
            "data": self.data,
            "change": self.change,
        }
        arrays = {
            "energies": self.energies,
            "components": self.basis.components,
            "variance": self.basis.variance,
            "initial": self.initial.weight,
            "last": self.last.weight,
        }
        write_npz(target, arrays, header)

    def view(self) -> "NetworkView":
        """What a page plays."""
        from firstlight.inspection.network_view import Snapshot
        from firstlight.inspection.views import inspection_view

        profiles = (
            EnergyProfile(energy, len(self.last), self.last.source, self.last.layer, self.change)
            for energy in self.energies
        )
        shots = [Snapshot.of(one, self.basis, row.step) for one, row in zip(profiles, self.rows, strict=True)]
        return dataclasses.replace(inspection_view(self.inspection()), snapshots=shots, initial=self.initial.weight)

    def inspection(self) -> "Inspection":
        """The layer at the last measurement, inspected."""
        from firstlight.inspection.inspect_banks import inspect_bank
        from firstlight.patches.given_statistics import BasisStatistics

        found = inspect_bank(self.last, BasisStatistics(self.basis), initial=self.initial if self.change else None)
        return dataclasses.replace(found, data=self.data)


def load_history(path: str | Path) -> History:
    """Read what `History.save` or `FirstLayerMonitor.save` wrote.

    Parameters
    ----------
    path : str or Path
        The .npz file.

    Returns
    -------
    History

    Raises
    ------
    InputError
        It is none, or is damaged.

    Examples
    --------
    >>> import firstlight as fl, os, tempfile
    >>> monitor = fl.FirstLayerMonitor(fl.build_model("resnet20"), "cifar10")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     monitor.save(os.path.join(folder, "history.npz"))
    ...     fl.load_history(os.path.join(folder, "history.npz"))
    History(conv1 of CifarResNet: 1 measurement, step 0)
    """
    source = user_path(path)
    try:
        with open_npz(source) as stored:
            header: dict[str, Any] = header_of(stored)
            arrays = {name: stored[name] for name in ("energies", "components", "variance", "initial", "last")}
        if header["history"] != FORMAT:
            raise InputError(f"{source}: a history of format {header['history']!r}; expected {FORMAT}")
        about = header["basis"]
        sizes = {name: tuple(about[name]) for name in ("mean", "std")}
        window = None if about["window"] is None else tuple(about["window"])
        basis = PatchBasis(arrays["components"], arrays["variance"], **{**about, **sizes, "window": window})
        layer, source_name = str(header["layer"]), str(header["source"])
        history = History(
            rows=[Measures(**row) for row in header["rows"]],
            energies=arrays["energies"],
            basis=basis,
            initial=FilterBank(arrays["initial"], layer=layer, source=source_name),
            last=FilterBank(arrays["last"], layer=layer, source=source_name),
            data=str(header["data"]),
            change=bool(header["change"]),
        )
        if history.energies.shape != (len(history.rows), basis.size) or basis.components.shape != (basis.size,) * 2:
            raise ValueError("sizes that do not fit each other")
    except DAMAGE as error:
        refuse_trouble(error, str(source))
        raise InputError(
            f"{source}: no whole history of a training ({first_line(error, kind=True)}); expected what "
            "FirstLayerMonitor.save wrote"
        ) from None
    return history
