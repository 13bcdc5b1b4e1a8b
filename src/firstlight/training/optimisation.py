"""The optimiser of a training, and what it keeps between steps."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from firstlight.training.spec import RunSpec


def build_optimizer(spec: RunSpec, model: nn.Module, *, on_device: bool = False) -> Optimizer:
    """The optimiser of a spec for a network's parameters.

    `on_device` is for steps that a GPU repeats by itself: the learning rate and all that changes from step to step then
    lie on the parameters' device, and one kernel updates them all.
    """
    parameters = list(model.parameters())
    lr = torch.tensor(spec.lr, device=parameters[0].device) if on_device else spec.lr
    if spec.optimizer == "adam":
        # Without weight decay it is Adam.
        return AdamW(parameters, lr=lr, weight_decay=spec.weight_decay, fused=on_device or None, capturable=on_device)
    return SGD(parameters, lr=lr, momentum=spec.momentum, weight_decay=spec.weight_decay, fused=on_device or None)


def set_learning_rate(optimizer: Optimizer, value: float) -> None:
    """Let the next step take a learning rate."""
    group = optimizer.param_groups[0]
    if isinstance(group["lr"], Tensor):
        group["lr"].fill_(value)
    else:
        group["lr"] = value


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
            # On the parameter's device and in its layout, where torch made it.
            tensor = torch.empty_like(parameter, requires_grad=False).copy_(tensor)
        elif isinstance(optimizer.param_groups[0]["lr"], Tensor):
            tensor = tensor.to(parameter.device)  # a count of steps, which is on the CPU otherwise
        optimizer.state[parameter][kind] = tensor
