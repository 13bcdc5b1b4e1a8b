"""Which tensor of a bare state dict is the first layer: judged by channels, name, order and shape.

A state dict says neither what is executed first nor what the tensors are for. So the choice is made on evidence, it is
told, and what else would have fitted is listed. Where there is a graph or a module, nothing of this is needed.
"""

import logging
import re
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from firstlight.errors import FirstlightError, InputError, SourceError
from firstlight.filters.bank import FilterBank
from firstlight.filters.choice.batch_norm import EPSILON, find_batch_norm, scale_of
from firstlight.filters.choice.candidates import (
    Candidate,
    also_fit,
    find_candidates,
    layer_name,
    likely_first,
    stem_level,
)
from firstlight.filters.choice.reparametrised import effective_entries
from firstlight.filters.choice.scales import scaled_entries
from firstlight.filters.choice.space_to_depth import over_pixels
from firstlight.filters.choice.standardised import standardised
from firstlight.filters.choice.tensors import TensorEntry, TensorFile
from firstlight.utils.text import counted, listed

logger = logging.getLogger(__name__)

# What containers, and wrappers around a network, put in front of its own names.
_WRAPPING = re.compile(
    r"^((state_dict|model|module|net|network|params|_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.)+"
)
_SHOWN = 8
_MOST_ALTERNATIVES = 16


def bank_of(file: TensorFile, layer: str | None = None) -> FilterBank:
    """The first layer's filters out of named tensors.

    Parameters
    ----------
    file : TensorFile
        As a reader lists it; weights in parts and quantised ones are put together here, standardised ones
        standardised, and those over pixels that were cut into channels folded.
    layer : str, optional
        Name of the layer, or of its weight, to take instead of judging. The containers around the network, and any
        part of the name that is not needed to tell the layer from others, may be left out.

    Returns
    -------
    FilterBank
        With what else would have fitted in `alternatives`.

    Raises
    ------
    InputError
        `layer` is not there, or is no two-dimensional convolution.
    SourceError
        Nothing looks like the first layer of a network on images; the message lists what there is.
    """
    file = replace(file, entries=effective_entries(scaled_entries(file.entries)))
    candidates = find_candidates(file)
    if layer is not None:
        chosen, others = _named(file, candidates, layer), []
    else:
        likely = likely_first(candidates, file.ordered)
        logger.debug(
            "of %d tensors in %s order, %d may be filters; those of a first layer, likeliest first: %s",
            len(file.entries),
            "the network's" if file.ordered else "no",
            len(candidates),
            listed(likely) or "none",
        )
        if not likely or len(likely[0].shape) != 4 or (likely[0].shape[1] != 3 and _linear_embedding(file)):
            raise SourceError(_refusal(file, candidates, likely))
        chosen, others = likely[0], also_fit(likely[0], likely)
    weight, said = standardised(file, chosen.layer, _arranged(chosen, chosen.entry.read()))
    bank = FilterBank(
        weight,
        layer=chosen.layer,
        source=file.source,
        stride=(chosen.shape[2], chosen.shape[3]) if chosen.layout == "linear" else None,
        padding=(0, 0) if chosen.layout == "linear" else None,
        dtype=chosen.entry.dtype,
        alternatives=tuple(map(str, others[:_MOST_ALTERNATIVES])),
        notes=(*file.notes, *_notes(chosen), *said),
    )
    return over_pixels(with_batch_norm(bank, file), {entry.name: entry.shape for entry in file.entries})


def with_batch_norm(
    bank: FilterBank, file: TensorFile, epsilons: Mapping[str, float] = MappingProxyType({})
) -> FilterBank:
    """The bank, and the scale of the batch normalisation that the names put behind its layer.

    Parameters
    ----------
    bank : FilterBank
    file : TensorFile
        With the parameters and running statistics of the same network.
    epsilons : mapping of str to float, optional
        What each normalisation adds to the variance, by its name; PyTorch's default for all others.
    """
    norm = find_batch_norm(file, bank.layer, len(bank))
    if norm is None:
        return bank
    try:
        return replace(bank, batch_norm=norm.layer, scale=scale_of(norm, epsilons.get(norm.layer, EPSILON)))
    except FirstlightError as error:
        return replace(bank, notes=(*bank.notes, f"the batch normalisation {norm.layer} cannot be read: {error}"))


def _named(file: TensorFile, candidates: list[Candidate], layer: str) -> Candidate:
    if layer is not None and not isinstance(layer, str):
        raise InputError(f"layer is {layer!r}; expected the name of a layer, such as 'conv1'")

    def names(one: Candidate) -> tuple[str, str]:
        return one.entry.name, one.layer

    for same in (
        lambda one: layer in names(one),
        lambda one: layer in (_WRAPPING.sub("", name) for name in names(one)),
        lambda one: any(name.endswith(("." + layer, "/" + layer)) for name in names(one)),
    ):
        matches = [one for one in candidates if same(one)]
        if len(matches) > 1:
            raise InputError(
                f"layer is {layer!r}, which {file.source} has more than once: {listed(matches)}: give it in full"
            )
        if matches:
            return _usable(matches[0], layer)
    if other := [entry for entry in file.entries if layer in (entry.name, layer_name(entry.name))]:
        shape = " x ".join(map(str, other[0].shape)) or "of a single number"
        raise InputError(
            f"layer is {layer!r}, a tensor of shape {shape}; expected the weight of a convolution, K x C x kh x kw; "
            f"{_candidates(candidates)}"
        )
    raise InputError(f"layer is {layer!r}, which {file.source} does not have; {_candidates(candidates)}")


def _usable(one: Candidate, layer: str) -> Candidate:
    if len(one.shape) != 4:
        what = "a three-dimensional convolution"
    elif one.transposed:
        what = "by its bias a transposed convolution, which has no input patches"
    else:
        return one
    raise InputError(f"layer is {layer!r}, {one}, {what}; expected an ordinary two-dimensional one, K x C x kh x kw")


def _refusal(file: TensorFile, candidates: list[Candidate], likely: list[Candidate]) -> str:
    """Why no first layer was chosen, and what there is instead."""
    start = f"{file.source}: no tensor looks like the first layer of a network on images, K x C x kh x kw"
    if likely and len(likely[0].shape) == 5:
        what = f"{likely[0]} is a three-dimensional convolution, of videos or volumes"
        return f"{start}; {what}" + (": name another layer with --layer (layer=)" if len(candidates) > 1 else "")
    if linear := _linear_embedding(file):
        name, shape = linear.name, " x ".join(map(str, linear.shape))
        return f"{start}; of the linear patch embedding {name}, {shape}, it is not known in which order it takes pixels"
    if candidates:
        return f"{start} with 1 to 4 channels; {_candidates(candidates)}: name the layer with --layer (layer=)"
    others = [entry for entry in file.entries if len(entry.shape) in (2, 3)]
    stems = [entry for entry in others if stem_level(layer_name(entry.name)) < 2] or others
    shown = "; ".join(f"{entry.name} {' x '.join(map(str, entry.shape))}" for entry in stems[:_SHOWN])
    tensors = counted(len(file.entries), "tensor")
    return f"{start}; it has {tensors}, none with four axes" + (f", such as {shown}" if shown else "")


def _linear_embedding(file: TensorFile) -> TensorEntry | None:
    """A linear layer that is called as an embedding of patches."""
    named = (entry for entry in file.entries if re.search(r"patch.*(embed|proj)", entry.name.lower()))
    return next((entry for entry in named if len(entry.shape) == 2), None)


def _arranged(chosen: Candidate, weight: np.ndarray) -> np.ndarray:
    if chosen.layout == "hwio":
        return weight.transpose(3, 2, 0, 1)
    if chosen.layout == "linear":
        filters, channels, rows, columns = chosen.shape
        return weight.reshape(filters, rows, columns, channels).transpose(0, 3, 1, 2)
    return weight


def _notes(chosen: Candidate) -> list[str]:
    notes = []
    if chosen.layout == "hwio":
        notes.append("the weight was read as (rows, columns, channels, filters), by its name or shape")
    if chosen.layout == "linear":
        notes.append("a linear embedding of patches, flattened as (row, column, channel)")
    if re.search(r"parametrizations|weight_orig$", chosen.entry.name):
        notes.append("the layer computes its weight from these numbers in a way that the file does not tell")
    if chosen.averaged:
        notes.append("these are averaged weights (EMA or SWA)")
    return notes


def _candidates(candidates: list[Candidate]) -> str:
    return f"its candidates are {listed(candidates)}" if candidates else "it has no tensors with four axes"
