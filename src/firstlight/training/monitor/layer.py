"""The first layer of a network that is being trained: found once, then read where it lies."""

import sys
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from firstlight.errors import SourceError
from firstlight.filters import FilterBank, load_filters

if TYPE_CHECKING:
    import torch
    from torch import nn


class Watched(Protocol):
    """A layer that can be looked at again and again."""

    bank: FilterBank

    def read(self) -> FilterBank:
        """The layer as it is now."""
        ...

    @property
    def is_frozen(self) -> bool:
        """Whether its weight is left out of the training."""
        ...


def watched_layer(model: Any, layer: str | None = None, example: "torch.Tensor | None" = None) -> Watched:
    """The first layer of a network of PyTorch or Keras, or that of a name."""
    keras = sys.modules.get("keras")  # a model of it can only be here if it was imported
    if isinstance(model, getattr(keras, "Model", ())):  # which is a torch.nn.Module, too, on that backend
        from firstlight.training.monitor.keras_layer import KerasLayer

        return KerasLayer(model, layer)
    return WatchedLayer(model, layer, example)


class WatchedLayer:
    """Reads the filters that a network convolves with now, and never changes it.

    Parameters
    ----------
    model : torch.nn.Module
        Compiled, or wrapped for training on several devices, as it may be.
    layer : str, optional
        Name of the convolution to take instead of the first.
    example : Tensor, optional
        What the network takes.

    Attributes
    ----------
    bank : FilterBank
        The layer as it was when it was found.
    """

    def __init__(self, model: "nn.Module", layer: str | None = None, example: "torch.Tensor | None" = None) -> None:
        from firstlight.filters.networks.in_memory import as_array
        from firstlight.filters.networks.module import filters_from_module

        self.model = _unwrapped(model)
        # A network whose weights are spread over devices (FSDP2) is not run: that would leave them gathered.
        spread = any(hasattr(module, "reshard") for module in self.model.modules())
        found = load_filters(self.model.state_dict(), layer) if spread else None
        self.bank = (found or filters_from_module(self.model, layer, example)).ungrouped()
        weight = self._stored()
        # Where the layer convolves with what it stores, that is read; else the layer has to be run.
        self._plain = weight is not None and np.array_equal(as_array(weight, self.bank.layer), self.bank.weight)

    def read(self) -> FilterBank:
        """The layer as it is now.

        Raises
        ------
        SourceError, InputError
            It is gone, or has weights that are not finite.
        """
        from firstlight.filters.networks.in_memory import as_array
        from firstlight.filters.networks.module import filters_from_module

        weight = self._stored()
        if weight is None:
            raise SourceError(f"the layer {self.bank.layer} is gone; expected it where it was at the start")
        if not self._plain:
            return filters_from_module(self.model, self.bank.layer).ungrouped()
        return FilterBank(as_array(weight, self.bank.layer), layer=self.bank.layer, source=self.bank.source)

    @property
    def is_frozen(self) -> bool:
        """Whether its weight is left out of the training."""
        weight = self._stored()
        return weight is not None and not weight.requires_grad

    def _stored(self) -> Any:
        from firstlight.filters.networks.module import plain_name

        modules = {plain_name(name): module for name, module in self.model.named_modules()}
        return getattr(modules.get(self.bank.layer), "weight", None)


def _unwrapped(model: "nn.Module") -> "nn.Module":
    """The network inside of `DistributedDataParallel` or `DataParallel`."""
    from torch import nn

    while isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
        model = model.module
    return model


def is_main_process() -> bool:
    """Whether this process is the one that tells: the only one, or that of rank 0."""
    return _processes()[0] == 0


def has_others() -> bool:
    """Whether other processes train the same network."""
    return _processes()[1] > 1


def _processes() -> tuple[int, int]:
    """The rank of this process, and how many there are."""
    import torch.distributed as distributed

    if not (distributed.is_available() and distributed.is_initialized()):
        return 0, 1
    return distributed.get_rank(), distributed.get_world_size()
