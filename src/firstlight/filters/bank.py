"""FilterBank: the weight of a first layer, and where it came from."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from firstlight.errors import InputError, NonFiniteWeights
from firstlight.utils.text import counted, named, size_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class FilterBank:
    """Filters of a first layer.

    Attributes
    ----------
    weight : ndarray, shape (K, C, kh, kw), float64
        K filters over C input channels (C / groups for a grouped layer), in the layer's own units. Read-only.
    layer : str
        Name of the layer in its network, such as "features.0".
    source : str
        The network or file it came from.
    stride, padding : tuple of two int, or None
        Of the layer, (vertical, horizontal); None where the file does not say, as with a bare state dict.
    dilation : tuple of two int
        Likewise; 1 where nothing else is known.
    groups : int
        Groups of the convolution; 1 when every filter sees all channels.
    dtype : str
        How the file stores the weights, such as "float16"; empty where that is not known.
    batch_norm : str
        Name of the batch normalisation that follows the layer; empty where none is known to.
    scale : ndarray, shape (K,), or None
        What that batch normalisation multiplies every filter by: gamma / sqrt(running variance + eps).
    alternatives : tuple of str
        Other layers that could be the first, where that had to be judged: "NAME K x C x kh x kw".
    notes : tuple of str
        What else to know of where and how the filters were found.

    Raises
    ------
    InputError
        The weight is not four-dimensional, empty, or complex.
    NonFiniteWeights
        It holds NaN or infinity.

    Examples
    --------
    >>> import numpy as np
    >>> bank = FilterBank(np.zeros((64, 3, 7, 7), dtype=np.float16), source="net.pth", layer="conv1", stride=(2, 2))
    >>> bank
    FilterBank(net.pth conv1: 64 filters of 3 x 7 x 7, stride (2, 2))
    >>> bank.weight.dtype
    dtype('float64')
    """

    weight: np.ndarray = field(repr=False)
    layer: str = ""
    source: str = ""
    stride: tuple[int, int] | None = (1, 1)
    padding: tuple[int, int] | None = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    dtype: str = ""
    batch_norm: str = ""
    scale: np.ndarray | None = field(default=None, repr=False)
    alternatives: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        name = named(self.source, self.layer) or "the filters"
        try:
            weight = np.asarray(self.weight)
            if np.iscomplexobj(weight):
                raise InputError(f"{name}: the weights are complex; expected real filters")
            weight = np.array(weight, dtype=np.float64)
        except InputError:
            raise
        except (ValueError, TypeError, RuntimeError) as error:  # the last from torch
            raise InputError(f"{name}: not an array of numbers ({error}); expected (K, C, kh, kw)") from None
        if weight.ndim != 4 or weight.size == 0:
            raise InputError(f"{name}: the weight has shape {weight.shape}; expected (K, C, kh, kw), not empty")
        if not np.isfinite(weight).all():
            bad = np.flatnonzero(~np.isfinite(weight).all(axis=(1, 2, 3)))
            raise NonFiniteWeights(
                f"{name}: the weights hold NaN or infinity in {len(bad)} of {len(weight)} filters, first in filter "
                f"{bad[0]}; expected finite numbers: the training has diverged, or the file is damaged"
            )
        weight.setflags(write=False)
        object.__setattr__(self, "weight", weight)
        if self.scale is not None and (np.shape(self.scale) != (len(weight),) or not np.isfinite(self.scale).all()):
            raise InputError(
                f"{name}: the scale of the batch normalisation {self.batch_norm} has shape {np.shape(self.scale)} or "
                f"is not finite; expected {len(weight)} finite numbers, one a filter"
            )

    def folded(self) -> "FilterBank":
        """The bank times the scale of the batch normalisation that follows it.

        Raises
        ------
        InputError
            None is known to follow.
        """
        if self.scale is None:
            name = named(self.source, self.layer) or "the filters"
            raise InputError(f"{name}: no batch normalisation is known to follow; expected one to fold in")
        note = f"folded: every filter is multiplied by the scale of {self.batch_norm}"
        weight = self.weight * self.scale[:, None, None, None]
        return replace(self, weight=weight, batch_norm="", scale=None, notes=(*self.notes, note))

    def ungrouped(self) -> "FilterBank":
        """The bank with filters over all input channels: what a filter of a grouped layer does not see is zero."""
        if self.groups == 1:
            return self
        count, seen, rows, columns = self.weight.shape
        if count % self.groups:
            raise InputError(
                f"{self.layer or 'the layer'} has {counted(count, 'filter')} in {self.groups} groups; expected "
                "a multiple"
            )
        weight = np.zeros((count, self.groups, seen, rows, columns))
        group = np.arange(count) // (count // self.groups)
        weight[np.arange(count), group] = self.weight
        note = f"the layer has {self.groups} groups: channels that a filter does not see count as zero"
        weight = weight.reshape(count, self.groups * seen, rows, columns)
        return replace(self, weight=weight, groups=1, notes=(*self.notes, note))

    def __len__(self) -> int:
        return len(self.weight)

    def __repr__(self) -> str:
        count, channels, height, width = self.weight.shape
        name = named(self.source, self.layer)
        extra = "".join(
            f", {what} {value}"
            for what, value, usual in (
                ("stride", self.stride or (1, 1), (1, 1)),
                ("dilation", self.dilation, (1, 1)),
                ("groups", self.groups, 1),
            )
            if value != usual
        )
        filters = f"{counted(count, 'filter')} of {channels} x {height} x {width}"
        return f"FilterBank({name + ': ' if name else ''}{filters}{extra})"

    def _repr_html_(self) -> str:
        from firstlight.figures.notebook import card, few

        shown = replace(self, weight=few(self.weight), scale=None)
        geometry = {"stride": self.stride, "padding": self.padding, "dilation": self.dilation}
        said = {"stored as": self.dtype, "followed by": self.batch_norm}
        rows = [("filters", f"{len(self)} of {size_text(self.weight.shape[1:])}")]
        rows += [(name, size_text(value) if value else "unknown") for name, value in geometry.items()]
        rows += [(name, value) for name, value in said.items() if value]
        rows += [("note", note) for note in self.notes[:5]]
        return card(named(self.source, self.layer) or "Filters", rows, shown.plot, "The filters; grey is zero")

    def to_dict(self) -> dict[str, Any]:
        """All in JSON's types, the weight as nested lists."""
        return {
            "source": self.source,
            "layer": self.layer,
            "shape": list(self.weight.shape),
            "stride": self.stride and list(self.stride),
            "padding": self.padding and list(self.padding),
            "dilation": list(self.dilation),
            "groups": self.groups,
            "weight": self.weight.tolist(),
        }

    def plot(self, ax: Any = None) -> "tuple[Figure, Any]":
        """Show the filters as small pictures, grey being zero, on one pair of axes; returns the figure and its axes."""
        from firstlight.figures.axes import axes_or_new
        from firstlight.figures.pictures import show_tiles

        fig, ax = axes_or_new(ax)
        show_tiles(ax, self.weight)
        return fig, ax
