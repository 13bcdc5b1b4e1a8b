"""Networks that are made by name: of timm, of torchvision, or by a function of the user's own."""

import contextlib
import difflib
import importlib
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from firstlight.errors import FirstlightError, InputError, SourceError
from firstlight.filters.bank import FilterBank
from firstlight.utils.text import first_line

if TYPE_CHECKING:
    from torch import nn

PREFIXES = ("timm:", "torchvision:", "module:")


def filters_from_name(source: str, layer: str | None = None, example: Any = None) -> FilterBank:
    """The first layer's filters of ``timm:NAME``, ``torchvision:NAME`` or ``module:PACKAGE.MODULE:FACTORY``.

    The libraries' networks are made with their pretrained weights, which they download or have in their own caches.
    FACTORY is called without arguments and returns a torch.nn.Module, or is one; it, and what it imports, runs as
    code, found in the current folder or among the installed packages. What it prints goes to the standard error.

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
    with contextlib.redirect_stdout(sys.stderr):  # the standard output is for results
        network = make(source, name)
        from firstlight.filters.networks.module import filters_from_module
        from firstlight.filters.networks.module_norm import batch_norm_behind

        try:
            bank = batch_norm_behind(network, filters_from_module(network, layer, example))
        except FirstlightError as error:
            raise type(error)(f"{source!r}: {error}") from None
    return replace(bank, source=source)


def _timm(source: str, name: str) -> "nn.Module":
    timm = _library(source, "timm")
    if not timm.is_model(name.partition(".")[0]):
        raise _unknown(source, "timm.list_models()", timm.list_models())
    with _failing(source, "the network cannot be made"):
        return timm.create_model(name, pretrained=True)


def _torchvision(source: str, name: str) -> "nn.Module":
    models = _library(source, "torchvision.models")
    if name not in models.list_models():
        raise _unknown(source, "torchvision.models.list_models()", models.list_models())
    with _failing(source, "the network cannot be made"):
        return models.get_model(name, weights="DEFAULT")


def _factory(source: str, name: str) -> "nn.Module":
    module_name, _, factory_name = name.partition(":")
    if not module_name or not factory_name:
        raise InputError(f"{source!r} names no factory; expected module:PACKAGE.MODULE:FACTORY")
    if os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.insert(0, os.getcwd())  # as `python -m` does: the user's own files are found
    found: Any = _library(source, module_name)
    for part in factory_name.split("."):
        with _failing(source, f"looking up {factory_name} fails"):
            found = getattr(found, part, None)
        if found is None:
            raise InputError(
                f"{source!r}: {module_name} has no {factory_name}; expected a function that returns a network"
            )
    import torch

    if isinstance(found, torch.nn.Module):
        return found
    if not callable(found):
        raise InputError(f"{source!r} is a {type(found).__name__}; expected a function that returns a network")
    with _failing(source, f"{factory_name}() fails; expected a function that makes a network without arguments"):
        network = found()
    if not isinstance(network, torch.nn.Module):
        raise InputError(f"{source!r} returned a {type(network).__name__}; expected a torch.nn.Module")
    return network


def _unknown(source: str, listing: str, known: list[str]) -> InputError:
    close = difflib.get_close_matches(source.partition(":")[2], known, n=5)
    return InputError(
        f"{source!r}: there is no such network; expected one of {listing}"
        + (f", of which close are {', '.join(close)}" if close else "")
    )


def _library(source: str, name: str) -> Any:
    with _failing(source, f"importing {name} fails: mend it first"):
        return importlib.import_module(name)


@contextlib.contextmanager
def _failing(source: str, what: str) -> Iterator[None]:
    """Tell of any failure in one line: somebody else's code may raise anything, and may try to end the program."""
    try:
        yield
    except FirstlightError:
        raise
    except ModuleNotFoundError as error:
        raise SourceError(
            f"{source!r} needs the module {error.name}, which is not installed: install it, or go to its folder"
        ) from None
    except (Exception, SystemExit) as error:
        raise SourceError(f"{source!r}: {what} ({first_line(error, kind=True)})") from None
