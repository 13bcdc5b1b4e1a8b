"""Find the first layer of a network: the first convolution that a forward pass executes, not the first registered."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.utils._python_dispatch import TorchDispatchMode

from firstlight.errors import InputError, SourceError
from firstlight.filters.bank import FilterBank
from firstlight.filters.networks.in_memory import as_array
from firstlight.utils.text import first_line, listed

logger = logging.getLogger(__name__)

_CANDIDATES = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
# What a convolution is called below autograd, and in inference mode, where it arrives undivided.
_OPERATIONS = {"convolution", "_convolution", "convolution_overrideable"}
_OPERATIONS |= {f"conv{transposed}{d}d" for transposed in ("", "_transpose") for d in (1, 2, 3)}
# Sizes to try when the caller gives no example: many networks accept any, some only the one they were made for.
_SIZES = (32, 224, 64, 256, 28, 128, 299, 384)


class _Found(BaseException):
    """Ends the forward pass at its first convolution, past any `except Exception` of the network's own."""

    def __init__(self, layer: str, weight: torch.Tensor, settings: dict[str, Any]) -> None:
        self.layer, self.weight, self.settings = layer, weight, settings


class _FirstConvolution(TorchDispatchMode):
    """Sees every tensor operation, so that functional and parametrised convolutions count too."""

    def __init__(self, stack: list[str]) -> None:
        super().__init__()
        self.stack = stack

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.name().removeprefix("aten::").split(".")[0]
        if name not in _OPERATIONS:
            return func(*args, **(kwargs or {}))
        parameters = func._schema.arguments
        settings = {parameter.name: parameter.default_value for parameter in parameters}
        settings |= dict(zip((parameter.name for parameter in parameters), args, strict=False)) | (kwargs or {})
        settings.setdefault("transposed", "transpose" in name)
        raise _Found(self.stack[-1] if self.stack else "", settings["weight"], settings)


def filters_from_module(module: nn.Module, layer: str | None = None, example: torch.Tensor | None = None) -> FilterBank:
    """The filter bank of a network's first layer.

    Parameters
    ----------
    module : torch.nn.Module
        The network. It is run once, in evaluation mode and without gradients, up to its first convolution; its
        parameters, buffers, hooks and training mode, and torch's random state, are left as they were.
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
        No two-dimensional convolution is executed, the network fails before it, or it has no weights yet; lists
        the candidates.
    InputError
        `layer` names no convolution of this network, or its weights are complex, NaN or infinite.
    """
    modules = {plain_name(name): child for name, child in module.named_modules()}
    if layer is not None and not isinstance(modules.get(layer), nn.Conv2d):
        raise InputError(
            f"layer is {layer!r}; expected the name of a two-dimensional convolution; {_candidates(modules)}"
        )
    if lazy := [name for name, child in modules.items() if _lacks_weights(child)]:
        raise SourceError(
            f"{type(module).__name__}: {lazy[0] or 'it'} is a lazy layer without weights; expected a network that has "
            "them: run it once on an input first"
        )
    if layer is not None:
        conv = modules[layer]
        assert isinstance(conv, nn.Conv2d)
        with _undisturbed(module):
            return _bank(module, layer, _used_weight(conv), _settings(conv))
    failure = ""
    for tensor in [example] if example is not None else _examples(module):
        try:
            with _undisturbed(module), _names(modules) as stack, _FirstConvolution(stack):
                module(tensor)
        except _Found as found:
            logger.debug("with an input of shape %s, %s is executed first", tuple(tensor.shape), found.layer)
            return _of_found(module, modules, found)
        except (Exception, SystemExit) as error:  # whatever somebody's forward() raises on input that it does not like
            # The first input has the network's own channels: what it says about that one helps most.
            failure = (
                failure or f"forward fails on an input of shape {tuple(tensor.shape)}: {first_line(error, kind=True)}"
            )
        else:
            failure = f"a forward pass on an input of shape {tuple(tensor.shape)} executes no convolution"
            break
    raise SourceError(
        f"{type(module).__name__}: no first convolution found ({failure}); {_candidates(modules)}: "
        "pass layer=NAME, or example=TENSOR with an input that the network takes"
    )


def _of_found(module: nn.Module, modules: dict[str, nn.Module], found: _Found) -> FilterBank:
    problem = ""
    if found.weight.ndim != 4:
        problem = f"is {found.weight.ndim - 2}-dimensional; expected a two-dimensional one"
    elif found.settings["transposed"]:
        problem = "is a transposed one, which has no input patches; expected an ordinary convolution"
    if problem:
        raise SourceError(
            f"{type(module).__name__}: the first convolution executed, {found.layer or 'outside any submodule'}, "
            f"{problem}; {_candidates(modules)}: pass layer=NAME"
        )
    conv = modules.get(found.layer)
    # A layer may pad its input before it convolves: its own settings say more than those of the operation.
    return _bank(module, found.layer, found.weight, _settings(conv) if isinstance(conv, nn.Conv2d) else found.settings)


def _used_weight(conv: nn.Conv2d) -> torch.Tensor:
    """The weight that a layer convolves with, which it may compute when it runs; the stored one if that fails."""
    stored, padding = conv.weight, _settings(conv)["padding"]
    sizes = [d * (k - 1) + 1 + p for d, k, p in zip(conv.dilation, conv.kernel_size, padding, strict=True)]
    try:
        with _FirstConvolution([]):
            conv(stored.new_zeros((1, conv.in_channels, *sizes)))
    except _Found as found:
        same = found.weight.shape == stored.shape and found.weight.dtype == stored.dtype
        return found.weight if same else stored  # it may convolve with something else first, or with real parts
    except Exception as error:
        logger.debug("the layer does not run alone: %s", first_line(error, kind=True))
    return stored


def _settings(conv: nn.Conv2d) -> dict[str, Any]:
    padding = conv.padding
    if isinstance(padding, str):
        same = [d * (k - 1) // 2 for d, k in zip(conv.dilation, conv.kernel_size, strict=True)]
        padding = same if padding == "same" else (0, 0)
    return {"stride": conv.stride, "padding": padding, "dilation": conv.dilation, "groups": conv.groups}


def _bank(module: nn.Module, layer: str, weight: torch.Tensor, settings: dict[str, Any]) -> FilterBank:
    def pair(value: Any) -> tuple[int, int]:
        value = [value] if isinstance(value, int) else [0] if isinstance(value, str) else list(value)
        return int(value[0]), int(value[-1])

    return FilterBank(
        as_array(weight, f"{layer}: the weight"),
        layer=layer,
        source=type(module).__name__,
        stride=pair(settings["stride"]),
        padding=pair(settings["padding"]),
        dilation=pair(settings["dilation"]),
        groups=int(settings["groups"]),
    )


def _examples(module: nn.Module) -> Iterator[torch.Tensor]:
    """Zeros to try: first with the channels that a registered convolution wants, on the network's device."""
    parameter = next(iter(module.parameters()), torch.zeros(()))
    dtype = parameter.dtype if parameter.is_floating_point() else torch.get_default_dtype()
    wanted = [m.in_channels for m in module.modules() if isinstance(m, nn.Conv2d)]
    usual = [channels for channels in (3, 1) if channels in wanted]
    for channels in dict.fromkeys([*usual, *wanted[:1], 3, 1]):
        for size in _SIZES:
            yield torch.zeros((1, channels, size, size), dtype=dtype, device=parameter.device)


@contextmanager
def _undisturbed(module: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; each submodule's own mode and the random state are restored afterwards."""
    modes = [(child, child.training) for child in module.modules()]
    devices = {tensor.device for tensor in module.parameters() if tensor.device.type == "cuda"}
    with torch.random.fork_rng(devices), torch.no_grad():
        try:
            for child, _ in modes:
                child.training = False  # not eval(), which an exported program refuses
            yield
        finally:
            for child, training in modes:
                child.training = training


@contextmanager
def _names(modules: dict[str, nn.Module]) -> Iterator[list[str]]:
    """Keep the name of the submodule being executed on a stack."""
    stack: list[str] = []
    handles = []

    def leave(*_: object) -> None:
        stack.pop()

    try:
        for name, child in modules.items():
            enter = child.register_forward_pre_hook(lambda *_, name=name: stack.append(name))
            handles += [enter, child.register_forward_hook(leave, always_call=True)]
        yield stack
    finally:
        for handle in handles:
            handle.remove()


def plain_name(name: str) -> str:
    """The name of a layer in the network as it was before `torch.compile` wrapped it."""
    return name.replace("_orig_mod.", "").removesuffix("_orig_mod").rstrip(".")


def _lacks_weights(module: nn.Module) -> bool:
    return any(is_lazy(parameter) for parameter in module.parameters(recurse=False))


def _candidates(modules: dict[str, nn.Module]) -> str:
    with _undisturbed(modules[""]):  # a parametrised weight is computed when it is looked at
        found = [
            f"{name or '(itself)'} {type(child).__name__} "
            + ("without weights" if _lacks_weights(child) else "x".join(map(str, child.weight.shape)))
            for name, child in modules.items()
            if isinstance(child, _CANDIDATES) and isinstance(child.weight, torch.Tensor)
        ]
    if not found:
        return "it has no convolutions or linear layers"
    return f"its candidates are {listed(found)}"
