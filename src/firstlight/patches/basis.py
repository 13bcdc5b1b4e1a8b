"""PatchBasis: the principal components of a data set's patches, and their variance."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from firstlight.patches.spectra import frequencies
from firstlight.utils.text import counted, plural, size_text, spaced

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class PatchBasis:
    """Principal components u_i of the patches and their variance lambda_i^2 (eq. 2), largest first.

    Attributes
    ----------
    components : ndarray, shape (D, D), float64
        Row i is u_i, of unit length, in the order (channel, row, column); the first of its largest entries is positive.
    variance : ndarray, shape (D,), float64
        lambda_i^2, per patch, in units of the squared normalised pixel; descending. What is no more than the rounding
        error of the largest counts as 0.
    count : int
        Number of patches.
    kernel_size, channels, stride : int
        How the patches were read.
    window : tuple of two int, or None
        Rows and columns of the components, where they span only the first of those of a patch; None: all.
    mean, std : tuple of float
        The normalisation ``(x - mean) / std`` per channel, on pixels in 0..1 for uint8 images.
    center : bool
        Whether the mean patch was subtracted.
    dilation : int
        Pixels between the neighbouring pixels of a patch; 1: they are neighbours in the image.

    Examples
    --------
    >>> import firstlight as fl
    >>> basis = fl.patch_statistics("cifar10").basis(fl.load_filters(fl.build_model("vgg5")))
    >>> basis.shape, basis.size, basis.variance[:2].round(2)
    ((3, 3, 3), 27, array([20.75,  1.79]))
    """

    components: np.ndarray = field(repr=False)
    variance: np.ndarray = field(repr=False)
    count: int
    kernel_size: int
    channels: int
    stride: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    center: bool
    window: tuple[int, int] | None = None
    dilation: int = 1

    @classmethod
    def from_matrix(cls, matrix: np.ndarray, **attributes: Any) -> "PatchBasis":
        """Diagonalise a second-moment (or covariance) matrix.

        Parameters
        ----------
        matrix : ndarray, shape (D, D)
            Symmetric.
        **attributes
            All other attributes: `count`, `kernel_size`, `channels`, `stride`, `mean`, `std`, `center`, ...

        Returns
        -------
        PatchBasis
        """
        variance, vectors = np.linalg.eigh(matrix)
        components = vectors.T[::-1]
        magnitude = np.abs(components)
        # Symmetric components have several largest entries, equal but for rounding: take the first of them.
        largest = np.argmax(magnitude > (1 - 1e-6) * magnitude.max(axis=1, keepdims=True), axis=1)
        signs = np.sign(np.take_along_axis(components, largest[:, None], axis=1))
        components = np.ascontiguousarray(components * signs)
        variance = variance[::-1]
        # Rounding leaves null directions, as of grey pictures in RGB, this far from the zero that they are.
        floor = len(variance) * np.finfo(np.float64).eps * max(variance[0], 0.0)
        variance = np.where(variance > floor, variance, 0.0)
        for array in (components, variance):
            array.setflags(write=False)
        return cls(components=components, variance=variance, **attributes)

    @property
    def size(self) -> int:
        """Number D of components."""
        return len(self.variance)

    @property
    def shortage(self) -> str:
        """What is wrong where there are fewer patches than components; nothing otherwise."""
        if self.count >= self.size:
            return ""
        flat = int((self.variance == 0).sum())
        return (
            f"{counted(self.count, 'patch', 'patches')} {plural(self.count, 'is', 'are')} too few for "
            f"{counted(self.size, 'component')}: "
            f"{flat} of them have no variance, and directions that nothing determines"
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, rows and columns of a component: those of the filters that it can describe."""
        return (self.channels, *(self.window or (self.kernel_size, self.kernel_size)))

    @property
    def images(self) -> np.ndarray:
        """The components as pictures, shape (D, C, k, k)."""
        return self.components.reshape(self.size, *self.shape)

    @cached_property
    def frequency(self) -> np.ndarray:
        """Mean spatial frequency of each component, shape (D,), in cycles/pixel."""
        return frequencies(self.images)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the components, in JSON's types."""
        return {
            "kernel_size": self.kernel_size,
            **({"window": list(self.window)} if self.window else {}),
            "channels": self.channels,
            "stride": self.stride,
            **({"dilation": self.dilation} if self.dilation > 1 else {}),
            "count": self.count,
            "mean": list(self.mean),
            "std": list(self.std),
            "center": self.center,
            "variance": self.variance.tolist(),
        }

    def to_frame(self) -> "pd.DataFrame":
        """A row a component: its number from 1, variance, and share of the total variance."""
        import pandas as pd

        total = self.variance.sum()
        share = self.variance / total if total > 0 else np.full(self.size, np.nan)
        return pd.DataFrame({"component": range(1, self.size + 1), "variance": self.variance, "share": share})

    def holding(self, share: float = 0.99) -> int:
        """How many of the first components hold this share of the variance; 0 where there is none.

        Parameters
        ----------
        share : float
            In 0..1.

        Returns
        -------
        int
        """
        total = self.variance.sum()
        return int((self.variance.cumsum() < share * total).sum()) + 1 if total > 0 else 0

    def __repr__(self) -> str:
        return (
            f"PatchBasis({counted(self.size, 'component')} of {size_text(self.shape)} patches; "
            f"{counted(self.count, 'patch', 'patches')}; "
            f"99% of the variance in {self.holding()})"
        )

    def _repr_html_(self) -> str:
        from firstlight.figures.notebook import card

        strides = ", ".join(f"{name} {value}" for name, value in (("stride", self.stride), ("dilation", self.dilation)))
        rows = [
            ("patches", f"{self.count:,} of {size_text(self.shape)}, {strides}"),
            ("normalised", f"mean {spaced(self.mean)}, std {spaced(self.std)}{', centred' if self.center else ''}"),
            ("components", str(self.size)),
            ("variance λ²", f"{self.variance[0]:.4g} to {self.variance[-1]:.4g}"),
            ("99% of the variance", f"in {self.holding()}"),
        ]
        return card(
            "Principal components of patches", rows, self._plot_all, "Variance by component, and the components"
        )

    def _plot_all(self) -> "tuple[Figure, list[Axes]]":
        """Spectrum and components side by side; of many components the first ones."""
        from firstlight.figures.axes import new_figure
        from firstlight.figures.notebook import few
        from firstlight.figures.pictures import show_tiles

        fig, axes = new_figure(columns=2, width=3.4, height=2.6)
        self.plot(axes[0])
        show_tiles(axes[1], few(self.images))
        return fig, axes

    def plot(self, ax: "Axes | None" = None) -> "tuple[Figure, Axes]":
        """Plot the variance of every component on a log axis; returns the figure and its axes."""
        import matplotlib

        from firstlight.figures.axes import axes_or_new
        from firstlight.figures.profiles import component_axis

        fig, ax = axes_or_new(ax)
        ax.plot(np.arange(1, self.size + 1), self.variance, marker="o", color=matplotlib.rcParams["text.color"])
        component_axis(ax, self.size)
        ax.set(yscale="log" if self.variance.max() > 0 else "linear", ylabel="variance of the patches, λ²")
        return fig, ax
