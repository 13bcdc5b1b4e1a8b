"""The batch normalisation behind the first layer of a network in memory."""

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from firstlight.filters.bank import FilterBank
from firstlight.filters.choice.choose import with_batch_norm
from firstlight.filters.choice.tensors import TensorEntry, TensorFile


def batch_norm_behind(module: nn.Module, bank: FilterBank) -> FilterBank:
    """The bank with the batch normalisation that the names of the network's modules put behind it, if one does."""
    entries = [
        TensorEntry(
            _clean(name),
            tuple(tensor.shape),
            str(tensor.dtype).removeprefix("torch."),
            lambda tensor=tensor: tensor.detach().cpu().double().numpy(),
        )
        for name, tensor in module.state_dict().items()
        if not tensor.is_meta
    ]
    epsilons = {_clean(name): child.eps for name, child in module.named_modules() if isinstance(child, _BatchNorm)}
    return with_batch_norm(bank, TensorFile(bank.source, tuple(entries), ordered=True), epsilons)


def _clean(name: str) -> str:
    """The name in the network as it was before `torch.compile` wrapped it."""
    return name.replace("_orig_mod.", "")
