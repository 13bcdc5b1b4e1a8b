"""Finding the filters of a first layer: in whatever a user may name or hold."""

import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstlight.errors import InputError, SourceError
from firstlight.filters.bank import FilterBank
from firstlight.filters.networks.in_memory import as_array, is_array, read_state_dict

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

_WEB = ("hf:", "https://", "http://")


def load_filters(source: Any, layer: str | None = None, *, example: "torch.Tensor | None" = None) -> FilterBank:
    """The first layer's filters of a network.

    Of a file, only what is needed is read, and nothing in it is run: see the note on each kind.

    Parameters
    ----------
    source : str, Path, torch.nn.Module, mapping, Tensor, array of shape (K, C, kh, kw), or FilterBank
        - A file: PyTorch (``.pt .pth .th .bin .ckpt``, TorchScript, ``torch.export``), ``.safetensors`` or its
          ``.index.json``, ``.onnx``, Keras (``.keras .h5``), ``.npy``, ``.npz``; or a folder with one of them.
        - ``hf:OWNER/NAME[@REVISION][/FILE]`` or ``https://...``: safetensors, of which only the header and the one
          tensor are fetched.
        - A file of a remote store, ``s3://BUCKET/FILE``, ``gs://``, ``az://``, ``hf://``, ``ssh://`` and what else
          fsspec knows; parts of it are fetched.
        - ``timm:NAME``, ``torchvision:NAME``, ``module:PACKAGE.MODULE:FACTORY``: a network that is made, which runs
          the code of that library or module.
        - A network in memory: it is run once on `example`, up to the first convolution that is executed.
        - A state dict in memory, or a checkpoint that has one: names with tensors or arrays, however nested. The layer
          is chosen as in the file with it.
        - The weight itself: a tensor or Parameter of any device, or an array.
    layer : str, optional
        Name of the layer to take. By default the first one: exact where there is a graph or a network; in a bare
        state dict by evidence, with what else would have fitted in the bank's `alternatives`.
    example : Tensor, shape (N, C, H, W), optional
        What a network takes as input; without it, zeros of a few usual sizes are tried.

    Returns
    -------
    FilterBank

    Raises
    ------
    InputError
        The source is of another kind, `layer` names no convolution, or the weights are NaN, infinite or complex.
    SourceError
        The source cannot be had or read, needs code to be run, or has no first layer over images; the error lists
        the candidates.

    Examples
    --------
    >>> import firstlight as fl
    >>> fl.load_filters(fl.build_model("resnet18"))
    FilterBank(ResNet18 conv1: 64 filters of 3 x 3 x 3)
    """
    if isinstance(source, str) and not source:
        raise InputError("source is an empty name; expected the path of a file of weights, or hf:OWNER/NAME")
    if isinstance(source, FilterBank | list | tuple) or is_array(source):
        if layer is not None:
            raise InputError(f"layer is {layer!r}, but the source is already a filter bank; expected layer=None")
        if isinstance(source, FilterBank):
            return source
        weight: Any = as_array(source, "the tensor") if is_array(source) else source
        return FilterBank(weight)
    if isinstance(source, str | Path):
        return _logged(_load_named(source, layer, example))
    torch = sys.modules.get("torch")  # a network can only be here if torch was imported
    if torch is not None and isinstance(source, torch.nn.Module):
        from firstlight.filters.networks.module import filters_from_module
        from firstlight.filters.networks.module_norm import batch_norm_behind

        return _logged(batch_norm_behind(source, filters_from_module(source, layer, example)))
    if isinstance(source, Mapping):
        from firstlight.filters.choice.first_layer import bank_of

        return _logged(bank_of(read_state_dict(source), layer))
    raise InputError(
        f"source is of type {type(source).__name__}; expected a path, a torch.nn.Module, a state dict, a tensor or "
        "array of shape (K, C, kh, kw), or a FilterBank"
    )


def _logged(bank: FilterBank) -> FilterBank:
    others = "; ".join(bank.alternatives) or "nothing else"
    logger.debug("took %r, stored as %s; would fit, too: %s", bank, bank.dtype or "is not known", others)
    return bank


def _load_named(source: str | Path, layer: str | None, example: Any) -> FilterBank:
    """Filters of what is given as text: a name with a prefix, or the path of a file."""
    from firstlight.filters.networks.named import PREFIXES, filters_from_name

    text = str(source)
    if isinstance(source, str) and text.startswith(PREFIXES):
        return filters_from_name(text, layer, example)
    if isinstance(source, str) and text.startswith(_WEB) and not text.startswith("hf://"):
        from firstlight.filters.choice.first_layer import bank_of
        from firstlight.filters.remote.hub import read_remote

        return bank_of(read_remote(text), layer)
    from firstlight.filters.formats.detect import filters_from_file
    from firstlight.utils.named_path import path_of
    from firstlight.utils.nearest import nearest_path

    path = path_of(source)
    try:
        missing = not (path.exists() or path.is_symlink())
    except (OSError, ValueError) as error:  # a name too long, or with a null byte
        raise SourceError(f"{text!r} cannot be a file ({error}); expected the path of one") from None
    if missing:
        raise SourceError(
            f"{text} does not exist{nearest_path(path)}; expected a file of weights, or hf:OWNER/NAME, https://..., "
            "timm:NAME, torchvision:NAME, module:PACKAGE.MODULE:FACTORY"
        )
    return filters_from_file(path, text, layer)
