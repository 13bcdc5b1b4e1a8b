"""EnergyProfile: how strongly a filter bank responds to each principal component of the patches."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from firstlight.errors import InputError
from firstlight.filters import load_filters
from firstlight.patches.basis import PatchBasis
from firstlight.utils.text import counted, named, size_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson correlation of two profiles, each of shape (D,).

    Raises
    ------
    InputError
        Different lengths, fewer than two components, NaN or infinity, or a constant profile, for which it is
        undefined.
    """
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape or len(a) < 2:
        raise InputError(
            f"profiles have shapes {a.shape} and {b.shape}; expected two of the same length, at least 2 components"
        )
    x, y = standardized(a), standardized(b)
    return float(np.clip(x @ y, -1.0, 1.0))


def correlation_or_nan(a: np.ndarray, b: np.ndarray) -> float:
    """As `correlation`; NaN where it is undefined, as for the constant profile of a dead layer."""
    try:
        return correlation(a, b)
    except InputError:
        return float("nan")


def standardized(profile: np.ndarray) -> np.ndarray:
    """Subtract the mean and scale to unit length; the product of two such profiles is their correlation."""
    peak = np.abs(profile).max()
    if not np.isfinite(peak):
        raise InputError("the profile holds NaN or infinity; expected finite energies")
    centred = profile / peak if peak > 0 else profile  # so that no square over- or underflows
    centred = centred - centred.mean()
    length = np.linalg.norm(centred)
    if length <= 1e-14 * np.sqrt(len(profile)):
        raise InputError(
            f"the profile is constant (every energy is {profile[0]:.6g}); expected some that differ: its correlation "
            "is undefined, as for a first layer that has not moved since its initialisation"
        )
    return centred / length


@dataclass(frozen=True, eq=False)
class EnergyProfile:
    """Energy of a filter bank in each principal component (eq. 1): e, not e^2.

    Attributes
    ----------
    energy : ndarray, shape (D,), float64
        ``e_i = sqrt(1/K sum_k (w_k . u_i)^2)``, in units of the weights.
    filters : int
        Number K of filters.
    source, layer : str
        Where the filters came from.
    change : bool
        Whether the initial filters were subtracted: the profile of w(t) - w(0).

    Examples
    --------
    >>> import numpy as np
    >>> profile = EnergyProfile(np.array([1.0, 4.0, 2.0]), filters=8)
    >>> profile
    EnergyProfile(filters: 8 filters, 3 components, peak at component 2, total energy 4.583)
    >>> profile.normalized
    array([0.25, 1.  , 0.5 ])
    """

    energy: np.ndarray = field(repr=False)
    filters: int
    source: str = ""
    layer: str = ""
    change: bool = False

    def __repr__(self) -> str:
        what = "change of " if self.change else ""
        name = named(self.source, self.layer) or "filters"
        return (
            f"EnergyProfile({what}{name}: {counted(self.filters, 'filter')}, {counted(len(self.energy), 'component')}, "
            f"peak at component {self.peak + 1}, total energy {self.total:.4g})"
        )

    def _repr_html_(self) -> str:
        from firstlight.figures.notebook import card

        rows = [
            ("filters", f"{self.filters}, their change since the initialisation" if self.change else str(self.filters)),
            ("components", str(len(self.energy))),
            ("peak", f"component {self.peak + 1}"),
            ("total energy", f"{self.total:.4g}"),
        ]
        title = f"Energy profile of {named(self.source, self.layer) or 'filters'}"
        return card(title, rows, self.plot, "Energy by component, relative to the peak")

    @property
    def normalized(self) -> np.ndarray:
        """The profile divided by its maximum, shape (D,); all zero where there is no energy."""
        largest = self.energy.max()
        return self.energy / largest if largest > 0 else self.energy.copy()

    @property
    def peak(self) -> int:
        """Index, from 0, of the component with the most energy."""
        return int(np.argmax(self.energy))

    @property
    def total(self) -> float:
        """Root of the summed e^2: the root-mean-square norm of a filter."""
        largest = self.energy.max()  # whose square may overflow, or vanish
        return float(largest * np.linalg.norm(self.energy / largest)) if 0 < largest < np.inf else float(largest)

    def correlation(self, other: "EnergyProfile | np.ndarray") -> float:
        """Pearson correlation with another profile: the paper's measure of how alike two first layers are.

        Parameters
        ----------
        other : EnergyProfile or ndarray, shape (D,)
            In the same components.

        Returns
        -------
        float

        Raises
        ------
        InputError
            As `correlation`: one of the two is constant, or they differ in length.
        """
        return correlation(self.energy, other.energy if isinstance(other, EnergyProfile) else other)

    def to_dict(self) -> dict[str, Any]:
        """The profile in JSON's types."""
        return {
            "source": self.source,
            "layer": self.layer,
            "filters": self.filters,
            "change": self.change,
            "energy": self.energy.tolist(),
            "peak": self.peak,
        }

    def to_frame(self) -> "pd.DataFrame":
        """A row a component: its number from 1, energy, and energy relative to the peak."""
        import pandas as pd

        numbers = range(1, len(self.energy) + 1)
        return pd.DataFrame({"component": numbers, "energy": self.energy, "normalized": self.normalized})

    def plot(self, ax: "Axes | None" = None) -> "tuple[Figure, Axes]":
        """Plot the profile relative to its peak; returns the figure and its axes."""
        from firstlight.figures.axes import axes_or_new, literal
        from firstlight.figures.colours import MEASURED
        from firstlight.figures.profiles import component_axis

        fig, ax = axes_or_new(ax)
        numbers = np.arange(1, len(self.energy) + 1)
        ax.plot(numbers, self.normalized, marker="o", color=MEASURED, label=literal(self.source) or "measured")
        component_axis(ax, len(self.energy))
        ax.set_ylim(bottom=0)
        ax.set_ylabel("energy / peak energy")
        return fig, ax


def filter_responses(weight: np.ndarray, basis: PatchBasis) -> np.ndarray:
    """Root mean square of what each filter (K, C, kh, kw) responds to the patches of a basis, shape (K,)."""
    coefficients = weight.reshape(len(weight), -1) @ basis.components.T
    return np.sqrt(coefficients**2 @ basis.variance)


def windows(weight: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Every window of that size inside filters (K, C, kh, kw), as filters (K * windows, C, rows, columns)."""
    inside = np.lib.stride_tricks.sliding_window_view(weight, (rows, columns), axis=(2, 3))
    return inside.transpose(0, 2, 3, 1, 4, 5).reshape(-1, weight.shape[1], rows, columns)


def energy_profile(bank: Any, basis: Any = None, initial: Any = None) -> EnergyProfile:
    """Energy profile of a filter bank in the basis of the patches (eq. 1).

    Parameters
    ----------
    bank : FilterBank, ndarray of shape (K, C, k, k), or whatever else `load_filters` takes
        The filters.
    basis : PatchBasis, or whatever else `patch_statistics` takes; optional
        Principal components of patches of the same shape, C x k x k, or the data whose they are: by default CIFAR-10.
    initial : as `bank`, optional
        The same layer at initialisation. When given, the profile is that of w(t) - w(0), as in the authors'
        published analysis.

    Returns
    -------
    EnergyProfile

    Raises
    ------
    InputError
        Filters and components, or filters and initial filters, differ in shape.

    References
    ----------
    Eq. 1: ``e_i^2 = 1/K sum_k (w_k . u_i)^2``.

    Examples
    --------
    >>> import firstlight as fl, numpy as np
    >>> images = np.random.default_rng(0).integers(0, 256, (8, 3, 16, 16), dtype=np.uint8)
    >>> basis = fl.PatchMoments(kernel_size=3, channels=3).update(images).basis()
    >>> fl.energy_profile(basis.images, basis).energy.round(4)[:3]  # each component once: flat, 1/sqrt(27)
    array([0.1925, 0.1925, 0.1925])
    """
    bank = load_filters(bank)
    if not isinstance(basis, PatchBasis):
        from firstlight.patches.statistics import basis_for

        basis = basis_for(bank, basis)
    weight = bank.ungrouped().weight
    expected = basis.shape
    if weight.shape[1:] != expected:
        raise InputError(
            f"filters are {size_text(weight.shape[1:])}; expected {size_text(expected)}, the shape of the patches: "
            f"compute PatchMoments with channels={weight.shape[1]} and the layer's kernel size"
        )
    # Of a single row or column of taps, the dilation across it says nothing.
    if any(d != basis.dilation for d, side in zip(bank.dilation, weight.shape[2:], strict=True) if side > 1):
        raise InputError(
            f"the layer {bank.layer} has dilation {bank.dilation}; expected ({basis.dilation}, {basis.dilation}), as "
            f"the patches of the basis were read: compute PatchMoments with the layer's dilation, the same in both "
            "directions"
        )
    if initial is not None:
        start = load_filters(initial).ungrouped().weight
        if start.shape != weight.shape:
            raise InputError(
                f"initial filters are {size_text(start.shape)}; expected {size_text(weight.shape)}, as the filters"
            )
        weight = weight - start
    coefficients = weight.reshape(len(weight), -1) @ basis.components.T
    # Scaled by the largest: the squares of tiny or huge weights must not under- or overflow.
    largest = np.abs(coefficients).max()
    scale = largest if largest > 0 else 1.0
    energy = scale * np.sqrt(np.mean((coefficients / scale) ** 2, axis=0))
    energy.setflags(write=False)
    return EnergyProfile(energy, len(weight), bank.source, bank.layer, change=initial is not None)
