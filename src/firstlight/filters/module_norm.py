"""The batch normalisation behind the first layer of a network in memory."""

from torch import nn

from firstlight.filters.bank import FilterBank
from firstlight.filters.choose import with_batch_norm
from firstlight.filters.tensors import TensorEntry, TensorFile


def batch_norm_behind(module: nn.Module, bank: FilterBank) -> FilterBank:
    """The bank with the batch normalisation that the names and the order of the network's modules put behind it."""
    entries = [
        TensorEntry(
            name.replace("_orig_mod.", ""),
            tuple(tensor.shape),
            str(tensor.dtype).removeprefix("torch."),
            lambda tensor=tensor: tensor.detach().cpu().double().numpy(),
        )
        for name, tensor in module.state_dict().items()
        if not tensor.is_meta
    ]
    return with_batch_norm(bank, TensorFile(bank.source, tuple(entries), ordered=True))
