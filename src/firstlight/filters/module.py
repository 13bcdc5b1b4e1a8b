"""Find the first layer of a network: the first convolution that a forward pass executes, not the first registered."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from firstlight.errors import InputError, SourceError
from firstlight.filters.bank import FilterBank

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_MATRICES = (nn.Linear,)
# Sizes to try when the caller gives no example: many networks accept any, some only the one they were made for.
_SIZES = (32, 224, 64, 256, 28, 128, 299, 384)


class _Found(Exception):
    """Ends the forward pass as soon as the first convolution is reached."""

    def __init__(self, layer: str, arguments: tuple[Any, ...]) -> None:
        self.layer, self.arguments = layer, arguments


class _FirstConvolution(TorchDispatchMode):
    """Sees every tensor operation below autograd, so functional and parametrised convolutions count too."""

    def __init__(self, stack: list[str]) -> None:
        super().__init__()
        self.stack = stack

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.name().removeprefix("aten::").split(".")[0]
        if name in ("convolution", "_convolution", "convolution_overrideable"):
            raise _Found(self.stack[-1] if self.stack else "", args)
        return func(*args, **(kwargs or {}))


def filters_from_module(module: nn.Module, layer: str | None = None, example: torch.Tensor | None = None) -> FilterBank:
    """The filter bank of a network's first layer.

    Parameters
    ----------
    module : torch.nn.Module
        The network. It is run once, in evaluation mode and without gradients, up to its first convolution; its
        parameters, buffers and training mode are left as they were.
    layer : str, optional
        Take the convolution of this name instead.
    example : Tensor, shape (N, C, H, W), optional
        What the network takes. Without it, zeros of a few usual sizes are tried.

    Returns
    -------
    FilterBank
        The effective weight (after any parametrisation), in float64.

    Raises
    ------
    SourceError
        No two-dimensional convolution is executed, or the network fails before it; lists the candidates.
    InputError
        `layer` names no convolution of this network.
    """
    if layer is not None:
        return _named(module, layer)
    failure = "no forward pass was possible"
    for tensor in [example] if example is not None else _examples(module):
        try:
            with torch.no_grad(), _evaluating(module), _names(module) as stack, _FirstConvolution(stack):
                module(tensor)
        except _Found as found:
            return _bank(module, found)
        except Exception as error:  # whatever somebody's forward() raises on input that it does not like
            failure = f"forward fails on an input of shape {tuple(tensor.shape)}: {_one_line(error)}"
        else:
            failure = f"a forward pass on an input of shape {tuple(tensor.shape)} executes no convolution"
            break
    raise SourceError(
        f"{type(module).__name__}: no first convolution found ({failure}); {_candidates(module)}: "
        "pass layer=NAME, or example=TENSOR with an input that the network takes"
    )


def _named(module: nn.Module, layer: str) -> FilterBank:
    modules = dict(module.named_modules())
    if layer not in modules or not isinstance(modules[layer], nn.Conv2d):
        raise InputError(
            f"layer is {layer!r}; expected the name of a two-dimensional convolution; {_candidates(module)}"
        )
    conv = modules[layer]
    assert isinstance(conv, nn.Conv2d)
    padding = (0, 0) if isinstance(conv.padding, str) else conv.padding
    return _make(module, layer, conv.weight, conv.stride, padding, conv.dilation, conv.groups)


def _bank(module: nn.Module, found: _Found) -> FilterBank:
    _, weight, _, stride, padding, dilation, transposed, _, groups = found.arguments[:9]
    layer = found.layer.replace("_orig_mod.", "")
    name = layer or "a convolution outside any submodule"
    if weight.ndim != 4:
        raise SourceError(
            f"{type(module).__name__}: the first convolution executed, {name}, is {weight.ndim - 2}-dimensional; "
            f"expected a two-dimensional one; {_candidates(module)}: pass layer=NAME"
        )
    if transposed:
        raise SourceError(
            f"{type(module).__name__}: the first convolution executed, {name}, is a transposed one, which has no "
            f"input patches; expected an ordinary convolution; {_candidates(module)}: pass layer=NAME"
        )
    return _make(module, layer, weight, stride, padding, dilation, groups)


def _make(
    module: nn.Module, layer: str, weight: torch.Tensor, stride: Any, padding: Any, dilation: Any, groups: int
) -> FilterBank:
    if weight.is_meta:
        raise SourceError(
            f"{layer}: the weight is on the meta device and has no values; load the network's weights first"
        )

    def pair(value: Any) -> tuple[int, int]:
        value = list(value)
        return int(value[0]), int(value[-1])

    return FilterBank(
        weight.detach().to("cpu", torch.float64).numpy(),
        layer=layer,
        source=type(module).__name__,
        stride=pair(stride),
        padding=pair(padding),
        dilation=pair(dilation),
        groups=int(groups),
    )


def _examples(module: nn.Module) -> Iterator[torch.Tensor]:
    """Zeros to try: first with the channels that a registered convolution wants, on the network's device."""
    parameter = next(iter(module.parameters()), torch.zeros(()))
    dtype = parameter.dtype if parameter.is_floating_point() else torch.get_default_dtype()
    wanted = [m.in_channels for m in module.modules() if isinstance(m, nn.Conv2d)][:1]
    for channels in dict.fromkeys([*wanted, 3, 1]):
        for size in _SIZES:
            yield torch.zeros((1, channels, size, size), dtype=dtype, device=parameter.device)


class _evaluating:
    """Evaluation mode for the time of a block, each submodule's own mode restored afterwards."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module

    def __enter__(self) -> None:
        self.modes = [(m, m.training) for m in self.module.modules()]
        self.module.eval()

    def __exit__(self, *error: object) -> None:
        for module, training in self.modes:
            module.training = training


class _names:
    """Keep the name of the submodule being executed on a stack."""

    def __init__(self, module: nn.Module) -> None:
        self.module, self.stack = module, []

    def __enter__(self) -> list[str]:
        self.handles = []
        for name, child in self.module.named_modules():
            self.handles.append(child.register_forward_pre_hook(lambda m, args, name=name: self.stack.append(name)))
            self.handles.append(child.register_forward_hook(self._leave))
        return self.stack

    def _leave(self, *arguments: object) -> None:
        self.stack.pop()

    def __exit__(self, *error: object) -> None:
        for handle in self.handles:
            handle.remove()


def _candidates(module: nn.Module) -> str:
    found = [
        f"{name or '(itself)'} {type(child).__name__} {'x'.join(map(str, child.weight.shape))}"
        for name, child in module.named_modules()
        if isinstance(child, _CONVOLUTIONS + _MATRICES) and isinstance(child.weight, torch.Tensor)
    ]
    if not found:
        return "it has no convolutions or linear layers"
    shown = "; ".join(found[:8]) + (f"; and {len(found) - 8} more" if len(found) > 8 else "")
    return f"its candidates are {shown}"


def _one_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
