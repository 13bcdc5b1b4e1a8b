"""A network's first layer started with whitening filters, in place."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from firstlight.errors import InputError
from firstlight.filters import FilterBank, load_filters
from firstlight.patches.basis import PatchBasis
from firstlight.patches.statistics import basis_for
from firstlight.profile import filter_responses
from firstlight.utils.text import size_text
from firstlight.whitening.initial_filters import EPS, Kind, whitening_filters

if TYPE_CHECKING:
    from torch import nn


def initialise_first_layer(
    model: "nn.Module",
    data: Any = None,
    *,
    kind: Kind = "pca",
    tau: float = float("inf"),
    eps: float = EPS,
    pairs: bool = True,
    seed: int = 0,
    freeze: bool = False,
    layer: str | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
) -> FilterBank:
    """Give the first convolution of a network the filters of `whitening_filters`, in place.

    They are scaled by one factor so that the mean square of the layer's responses to patches is what its own weights
    gave. A bias stays as it is.

    Parameters
    ----------
    model : torch.nn.Module
        Its first convolution is found as by `load_filters`: 3 x 3, 7 x 7 with stride 2, a patch embedding of 16 x 16...
    data : PatchBasis, or whatever else `patch_statistics` takes; optional
        Whose patches are to be whitened: by default CIFAR-10's.
    kind : {"pca", "zca", "eq3"}
    tau, eps : float
    pairs : bool
    seed : int
        As of `whitening_filters`.
    freeze : bool
        Whether the layer's weight is left out of the training (``requires_grad`` is False).
    layer : str, optional
        Name of the convolution to take instead of the first.
    mean, std : float or sequence of C floats, optional
        How the network's inputs are normalised, in 0..1 for uint8 images; by default that of the data.

    Returns
    -------
    FilterBank
        The layer as it is now, in the layer's own precision.

    Raises
    ------
    InputError, SourceError
        The network has no such layer, it is grouped or its weight computed from others, its weights are all zero, or
        the data do not fit or have too few patches. The network is then as it was.

    Examples
    --------
    >>> import firstlight as fl
    >>> model = fl.build_model("resnet20")
    >>> fl.initialise_first_layer(model, "cifar10", freeze=True)
    FilterBank(CifarResNet conv1: 16 filters of 3 x 3 x 3)
    """
    import torch
    from torch import nn

    from firstlight.filters.networks.in_memory import as_array
    from firstlight.filters.networks.module import plain_name

    bank = load_filters(model, layer)
    conv = {plain_name(name): module for name, module in model.named_modules()}.get(bank.layer)
    stored = conv._parameters.get("weight") if isinstance(conv, nn.Conv2d) else None
    if stored is None or not np.array_equal(as_array(stored, bank.layer), bank.weight):
        raise InputError(
            f"what {bank.layer or 'the first layer'} convolves with is computed from what it stores; expected a "
            "convolution with a weight of its own: take the parametrisation away first, or set the weight yourself"
        )
    weight = started(bank, data, kind=kind, tau=tau, eps=eps, pairs=pairs, seed=seed, mean=mean, std=std)
    with torch.no_grad():
        stored.copy_(torch.from_numpy(weight))
    stored.requires_grad_(stored.requires_grad and not freeze)
    return load_filters(model, bank.layer)


def started(
    bank: FilterBank,
    data: Any = None,
    *,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    **options: Any,
) -> np.ndarray:
    """Whitening filters in place of a bank's, of its shape and of its mean square response; float64."""
    if bank.groups != 1:
        raise InputError(
            f"the layer {bank.layer} has {bank.groups} groups, so that each filter sees a part of the channels alone; "
            "expected an ordinary convolution"
        )
    basis = basis_for(bank, data, mean, std)
    if basis.shape != bank.weight.shape[1:]:
        raise InputError(
            f"the layer {bank.layer} has filters of {size_text(bank.weight.shape[1:])}; expected "
            f"{size_text(basis.shape)}, the shape of the patches: give data with as many channels"
        )
    weight = whitening_filters(basis, len(bank), **options)
    own = response(bank.weight, basis)
    if own == 0:
        raise InputError(f"the layer {bank.layer} responds to no patch; expected weights that are not all zero")
    return weight * np.sqrt(own / response(weight, basis))


def response(weight: np.ndarray, basis: PatchBasis) -> float:
    """Mean square of what filters (K, C, k, k) respond to the patches of a basis."""
    return float(np.mean(filter_responses(weight, basis) ** 2))
