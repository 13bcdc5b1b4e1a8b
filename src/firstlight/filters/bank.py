"""FilterBank: the weight of a first layer, and where it came from."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from firstlight.errors import InputError

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
    stride, padding, dilation : tuple of two int
        Of the layer, (vertical, horizontal).
    groups : int
        Groups of the convolution; 1 when every filter sees all channels.

    Raises
    ------
    InputError
        The weight is not four-dimensional, empty, or holds NaN or infinity.
    """

    weight: np.ndarray = field(repr=False)
    layer: str = ""
    source: str = ""
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    def __post_init__(self) -> None:
        name = " ".join(part for part in (self.source, self.layer) if part) or "the filters"
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
            raise InputError(
                f"{name}: the weights hold NaN or infinity in {len(bad)} of {len(weight)} filters, first in filter "
                f"{bad[0]}; expected finite numbers: the training has diverged, or the file is damaged"
            )
        weight.setflags(write=False)
        object.__setattr__(self, "weight", weight)

    @classmethod
    def of(cls, source: "FilterBank | np.ndarray") -> "FilterBank":
        """The bank itself, or one made of an array of shape (K, C, kh, kw)."""
        return source if isinstance(source, FilterBank) else cls(source)

    def __len__(self) -> int:
        return len(self.weight)

    def __repr__(self) -> str:
        count, channels, height, width = self.weight.shape
        name = " ".join(part for part in (self.source, self.layer) if part)
        extra = "".join(
            f", {what} {value}"
            for what, value, usual in (
                ("stride", self.stride, (1, 1)),
                ("dilation", self.dilation, (1, 1)),
                ("groups", self.groups, 1),
            )
            if value != usual
        )
        return f"FilterBank({name + ': ' if name else ''}{count} filters of {channels} x {height} x {width}{extra})"

    def to_dict(self) -> dict[str, Any]:
        """All in JSON's types, the weight as nested lists."""
        return {
            "source": self.source,
            "layer": self.layer,
            "shape": list(self.weight.shape),
            "stride": list(self.stride),
            "padding": list(self.padding),
            "dilation": list(self.dilation),
            "groups": self.groups,
            "weight": self.weight.tolist(),
        }

    def plot(self, ax: Any = None) -> "tuple[Figure, Any]":
        """Show the filters as small pictures on one pair of axes; gray is zero."""
        from firstlight.style import axes_or_new, show_tiles

        fig, ax = axes_or_new(ax)
        show_tiles(ax, self.weight)
        return fig, ax
