"""Filter banks, and finding them: in an array, in a network."""

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from firstlight.errors import InputError
from firstlight.filters.bank import FilterBank

if TYPE_CHECKING:
    import torch

__all__ = ["FilterBank", "load_filters"]


def load_filters(source: Any, layer: str | None = None, *, example: "torch.Tensor | None" = None) -> FilterBank:
    """The first layer's filters of a network.

    Parameters
    ----------
    source : torch.nn.Module, ndarray of shape (K, C, kh, kw), or FilterBank
        A network is run once on `example`, up to the first convolution that is executed.
    layer : str, optional
        Name of a convolution to take instead of the first one; only with a network.
    example : Tensor, shape (N, C, H, W), optional
        What the network takes as input; without it, zeros of a few usual sizes are tried.

    Returns
    -------
    FilterBank

    Raises
    ------
    InputError
        The source is of another kind, or `layer` names no convolution.
    SourceError
        The network executes no two-dimensional convolution; the error lists the candidates.

    Examples
    --------
    >>> import firstlight as fl
    >>> fl.load_filters(fl.build_model("resnet18"))
    FilterBank(ResNet18 conv1: 64 filters of 3 x 3 x 3)
    """
    if isinstance(source, FilterBank | np.ndarray):
        if layer is not None:
            raise InputError(f"layer is {layer!r}, but the source is already a filter bank; expected layer=None")
        return FilterBank.of(source)
    torch = sys.modules.get("torch")  # a network can only be here if torch was imported
    if torch is not None and isinstance(source, torch.nn.Module):
        from firstlight.filters.module import filters_from_module

        return filters_from_module(source, layer, example)
    raise InputError(
        f"source is of type {type(source).__name__}; expected a torch.nn.Module, an array of shape (K, C, kh, kw), "
        "or a FilterBank"
    )
