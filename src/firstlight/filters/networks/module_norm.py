"""The batch normalisation behind the first layer of a network in memory."""

from dataclasses import replace

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from firstlight.filters.bank import FilterBank
from firstlight.filters.choice.first_layer import with_batch_norm
from firstlight.filters.choice.space_to_depth import over_pixels
from firstlight.filters.choice.tensors import TensorFile
from firstlight.filters.networks.in_memory import tensors_of
from firstlight.filters.networks.module import plain_name


def batch_norm_behind(module: nn.Module, bank: FilterBank) -> FilterBank:
    """The bank with the batch normalisation that the names of the network's modules put behind it, if one does.

    Where they tell that its channels are pixels of blocks, it is folded to the kernel over the image.
    """
    entries = [replace(entry, name=plain_name(entry.name)) for entry in tensors_of(module.state_dict())]
    epsilons = {plain_name(name): child.eps for name, child in module.named_modules() if isinstance(child, _BatchNorm)}
    bank = with_batch_norm(bank, TensorFile(bank.source, tuple(entries), ordered=True), epsilons)
    return over_pixels(bank, {entry.name: entry.shape for entry in entries})
