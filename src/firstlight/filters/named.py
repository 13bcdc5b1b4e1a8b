"""Networks that are made by name: of timm, of torchvision, or by a function of the user's own."""

import importlib
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from firstlight.errors import FirstlightError, InputError, SourceError
from firstlight.filters.bank import FilterBank

if TYPE_CHECKING:
    from torch import nn

PREFIXES = ("timm:", "torchvision:", "module:")


def filters_from_name(source: str, layer: str | None = None, example: Any = None) -> FilterBank:
    """The first layer's filters of ``timm:NAME``, ``torchvision:NAME`` or ``module:PACKAGE.MODULE:FACTORY``.

    The libraries' networks are made with their pretrained weights, which they download or have in their own caches.
    FACTORY is called without arguments and returns a torch.nn.Module; it, and what it imports, runs as code, found in
    the current folder or among the installed packages.

    Raises
    ------
    InputError
        There is no such network, module or factory, or it does not return a network.
    SourceError
        The library is not there or cannot provide the weights, the factory fails, or the network has no first layer.
    """
    kind, _, name = source.partition(":")
    if not name:
        raise InputError(
            f"{source!r} names no network; expected {kind}:NAME" + (":FACTORY" if kind == "module" else "")
        )
    make = {"timm": _timm, "torchvision": _torchvision, "module": _factory}[kind]
    network = make(source, name)
    from firstlight.filters.module import filters_from_module
    from firstlight.filters.module_norm import batch_norm_behind

    bank = batch_norm_behind(network, filters_from_module(network, layer, example))
    return replace(bank, source=source)


def _timm(source: str, name: str) -> "nn.Module":
    timm = _library(source, "timm")
    if not timm.is_model(name.partition(".")[0]):
        close = timm.list_models(f"*{name}*")[:5]
        raise InputError(
            f"{source!r}: timm has no such network; "
            + (f"close are {', '.join(close)}" if close else "see timm.list_models()")
        )
    return _made(source, lambda: timm.create_model(name, pretrained=True))


def _torchvision(source: str, name: str) -> "nn.Module":
    models = _library(source, "torchvision.models")
    if name not in models.list_models():
        close = [one for one in models.list_models() if name in one][:5]
        raise InputError(
            f"{source!r}: torchvision has no such network; "
            + (f"close are {', '.join(close)}" if close else "see torchvision.models.list_models()")
        )
    return _made(source, lambda: models.get_model(name, weights="DEFAULT"))


def _factory(source: str, name: str) -> "nn.Module":
    module_name, _, factory_name = name.partition(":")
    if not factory_name:
        raise InputError(f"{source!r} names no factory; expected module:PACKAGE.MODULE:FACTORY")
    if os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.insert(0, os.getcwd())  # as `python -m` does: the user's own files are found
    found: Any = _library(source, module_name)
    for part in factory_name.split("."):
        if not hasattr(found, part):
            raise InputError(
                f"{source!r}: {module_name} has no {factory_name}; expected a function that returns a network"
            )
        found = getattr(found, part)
    import torch

    network = found if isinstance(found, torch.nn.Module) else _made(source, found)
    if not isinstance(network, torch.nn.Module):
        raise InputError(f"{source!r} returned a {type(network).__name__}; expected a torch.nn.Module")
    return network


def _library(source: str, name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise SourceError(
            f"{source!r} needs the module {error.name}, which is not installed; install it, or go to its folder"
        ) from None
    except Exception as error:  # somebody's module may raise anything while it is imported
        raise SourceError(f"{source!r}: importing {name} fails ({_one_line(error)}); mend it first") from None


def _made(source: str, make: Callable[[], Any]) -> Any:
    try:
        return make()
    except FirstlightError:
        raise
    except Exception as error:  # a download, or somebody's factory, may fail in any way
        raise SourceError(
            f"{source!r}: the network cannot be made ({_one_line(error)}); expected one that is made without arguments"
        ) from None


def _one_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
