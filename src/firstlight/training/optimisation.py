"""The optimiser of a training, and what it keeps between steps."""

import numpy as np
import torch
from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from firstlight.training.spec import RunSpec


def build_optimizer(spec: RunSpec, model: nn.Module) -> Optimizer:
    """The optimiser of a spec for a network's parameters."""
    if spec.optimizer == "adam":
        # Without weight decay it is Adam.
        return AdamW(model.parameters(), lr=spec.lr, weight_decay=spec.weight_decay)
    return SGD(model.parameters(), lr=spec.lr, momentum=spec.momentum, weight_decay=spec.weight_decay)


def state_of(optimizer: Optimizer, model: nn.Module) -> dict[str, np.ndarray]:
    """Copies of all that an optimiser keeps, such as momentum, by parameter and kind."""
    return {
        f"{name}:{kind}": tensor.cpu().numpy().copy()
        for name, parameter in model.named_parameters()
        for kind, tensor in optimizer.state.get(parameter, {}).items()
    }


def restore_state(optimizer: Optimizer, model: nn.Module, state: dict[str, np.ndarray]) -> None:
    """Give an optimiser what `state_of` returned."""
    parameters = dict(model.named_parameters())
    for key, array in state.items():
        name, _, kind = key.rpartition(":")
        tensor, parameter = torch.tensor(array.copy()), parameters[name]  # torch warns of what may not be written
        if array.ndim:
            # On the parameter's device and in its layout, where torch made it; counts of steps are on the CPU.
            tensor = torch.empty_like(parameter, requires_grad=False).copy_(tensor)
        optimizer.state[parameter][kind] = tensor
