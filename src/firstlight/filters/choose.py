"""Which tensor of a bare state dict is the first layer: judged by channels, name, order and shape.

A state dict says neither what is executed first nor what the tensors are for. So the choice is made on evidence, it is
told, and what else would have fitted is listed. Where there is a graph or a module, nothing of this is needed.
"""

import re
from dataclasses import dataclass, replace

import numpy as np

from firstlight.errors import FirstlightError, InputError, SourceError
from firstlight.filters.bank import FilterBank
from firstlight.filters.batch_norm import find_batch_norm, scale_of
from firstlight.filters.tensors import TensorEntry, TensorFile

# Parts of names that tell what is not the network itself: state of an optimiser, a moving average, a helper network.
_OPTIMISER = {"optimizer", "optimizers", "optimizer_states", "optimizer_state_dict", "optim", "optimizer_state"}
_OPTIMISER |= {"exp_avg", "exp_avg_sq", "momentum_buffer", "max_exp_avg_sq", "grad", "gradients"}
_AVERAGE = re.compile(r"(^|_)(ema|swa|averaged?|shadow)(_|$)")
_HELPER = re.compile(
    r"(^|_)(teacher|loss|criterion|perceptual|lpips|discriminator|aux|momentum_encoder|encoder_k)(_|$)"
)
# What first layers are called, as the last parts of their names.
_STEM = re.compile(
    r"(^|\.)("
    r"_?conv_?stem|stem(\.\w+)*|conv_?(0|1|1_1|1a|2d_1a\w*|in|first|input|pre|0_0)|first_?conv|conv2d(_1)?|init_?conv\w*|"
    r"init_?block(\.\w+)*|(features|layers|model|net|network|backbone|encoder|blocks|main|trunk)\.0(\.0|\.conv\w*)?|"
    r"(conv|layer|block|downsample_layers|features)_?[01]?\.0(\.0)?|patch_?embed\w*(\.\w+)*|"
    r"embedd\w*(\.\w+)*|to_patch_embedding\.\d|from_?rgb(\.\w+)*|input_blocks\.0\.0|0|(conv|conv1)\.conv|convolution"
    r")$"
)
_KERNEL_LAST = {"kernel", "kernel:0", "w"}  # leaves of TensorFlow's and JAX's names, whose layout is (kh, kw, C, K)
_IMAGE_CHANNELS = {3: 0, 1: 1, 4: 1, 2: 1}  # how likely an input has so many: RGB first
_MOST_CHANNELS = 32  # of an unusual input, such as a multispectral one
_SHOWN = 8


@dataclass(frozen=True)
class _Candidate:
    entry: TensorEntry
    shape: tuple[int, int, int, int]  # K, C, kh, kw
    layout: str  # how the stored axes become those: "", "hwio" or "linear"
    position: int  # among the tensors with axes in space, in the file's order

    @property
    def layer(self) -> str:
        return layer_name(self.entry.name)

    def __str__(self) -> str:
        return f"{self.layer} {' x '.join(map(str, self.shape))}"


def bank_of(file: TensorFile, layer: str | None = None) -> FilterBank:
    """The first layer's filters out of named tensors.

    Parameters
    ----------
    file : TensorFile
    layer : str, optional
        Name of the layer, or of its weight, to take instead of judging.

    Returns
    -------
    FilterBank
        With what else would have fitted in `alternatives`.

    Raises
    ------
    InputError
        `layer` is not there.
    SourceError
        Nothing looks like the first layer of a network on images; the message lists what there is.
    """
    candidates = _candidates(file)
    chosen = _named(file, candidates, layer) if layer is not None else _judged(file, candidates)
    others: list[_Candidate] = []
    if layer is None:
        others = [one for one in candidates if one is not chosen and _fits(one, chosen)]
    weight = _arranged(chosen, chosen.entry.read())
    bank = FilterBank(
        weight,
        layer=chosen.layer,
        source=file.source,
        stride=chosen.shape[2:] if chosen.layout == "linear" else None,
        padding=(0, 0) if chosen.layout == "linear" else None,
        dtype=chosen.entry.dtype,
        alternatives=tuple(map(str, others)),
        notes=(*file.notes, *_notes(chosen)),
    )
    return with_batch_norm(bank, file)


def with_batch_norm(bank: FilterBank, file: TensorFile) -> FilterBank:
    """The bank, and the scale of the batch normalisation that the names, or the order, put behind its layer."""
    norm = find_batch_norm(file, bank.layer, len(bank))
    if norm is None:
        return bank
    try:
        return replace(bank, batch_norm=norm.layer, scale=scale_of(norm))
    except FirstlightError as error:
        return replace(bank, notes=(*bank.notes, f"the batch normalisation {norm.layer} cannot be read: {error}"))


def layer_name(tensor: str) -> str:
    """The layer that a tensor belongs to: its name without the last part, where that says "weight" or the like."""
    for leaf in ("weight", "kernel", "kernel:0", "w", "weight_v", "weight_orig"):
        for separator in "./":
            if tensor.endswith(separator + leaf):
                return tensor[: -len(leaf) - 1]
    return tensor


def _candidates(file: TensorFile) -> list[_Candidate]:
    """The tensors that may be filters over images, in the file's order."""
    found, position = [], 0
    for entry in file.entries:
        parts = set(re.split(r"[./]", entry.name.lower()))
        if parts & _OPTIMISER or 0 in entry.shape:
            continue
        if len(entry.shape) == 4:
            layout = "hwio" if _kernel_last(entry) else ""
            shape = tuple(entry.shape[axis] for axis in (3, 2, 0, 1)) if layout else entry.shape
            found.append(_Candidate(entry, shape, layout, position))  # type: ignore[arg-type]  # four, as asked
        elif len(entry.shape) == 2 and (side := _patch_side(entry)):
            found.append(_Candidate(entry, (entry.shape[0], 3, side, side), "linear", position))
        position += len(entry.shape) >= 3
    return found


def _kernel_last(entry: TensorEntry) -> bool:
    """Whether the axes are (kh, kw, C, K): by the name that TensorFlow and JAX give, else where nothing else fits."""
    if re.split(r"[./]", entry.name)[-1] in _KERNEL_LAST:
        return True
    rows, columns, channels, filters = entry.shape
    return rows == columns <= _MOST_CHANNELS and channels in (1, 3, 4) and filters >= 8 and columns not in (1, 3, 4)


def _patch_side(entry: TensorEntry) -> int:
    """Side of the patches that a linear embedding of RGB patches takes, or 0.

    Only of the naming whose flattening is known: ``to_patch_embedding``, with "(row column channel)".
    """
    side = round((entry.shape[1] / 3) ** 0.5)
    return side if "to_patch_embedding" in entry.name and 3 * side * side == entry.shape[1] else 0


def _named(file: TensorFile, candidates: list[_Candidate], layer: str) -> _Candidate:
    for same in (
        lambda one: layer in (one.entry.name, one.layer),
        lambda one: (
            one.layer.endswith((f".{layer}", f"/{layer}")) or one.entry.name.endswith((f".{layer}", f"/{layer}"))
        ),
    ):
        matches = [one for one in candidates if same(one)]
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise InputError(
                f"layer is {layer!r}, which {file.source} has more than once: {_list(matches)}; give it in full"
            )
    if other := [entry for entry in file.entries if layer in (entry.name, layer_name(entry.name))]:
        shape = " x ".join(map(str, other[0].shape))
        raise InputError(
            f"layer is {layer!r}, which has the shape {shape}; expected filters, K x C x kh x kw; {_list(candidates)}"
        )
    raise InputError(f"layer is {layer!r}, which {file.source} does not have; {_list(candidates)}")


def _judged(file: TensorFile, candidates: list[_Candidate]) -> _Candidate:
    likely = [one for one in candidates if _rank(one, file.ordered)[1] < 3]
    if likely:
        return min(likely, key=lambda one: _rank(one, file.ordered))
    what = _list(candidates)
    if not candidates:
        others = [entry for entry in file.entries if len(entry.shape) in (2, 3, 5)]
        stems = [entry for entry in others if _STEM.search(layer_name(entry.name).replace("/", "."))] or others
        shown = "; ".join(f"{entry.name} {' x '.join(map(str, entry.shape))}" for entry in stems[:_SHOWN])
        what = f"it has {len(file.entries)} tensors and none with four axes" + (f", such as {shown}" if shown else "")
        if any(len(entry.shape) == 2 and "patch" in entry.name.lower() for entry in stems):
            what += "; of a linear patch embedding it is not known in which order it flattens pixels"
    raise SourceError(
        f"{file.source}: no tensor looks like the first layer of a network on images, K x C x kh x kw with 1 to 4 "
        f"channels; {what}" + ("; name the layer with --layer (layer=)" if candidates else "")
    )


def _rank(candidate: _Candidate, ordered: bool) -> tuple[int, int, bool, bool, int, int, str]:
    """Lower is likelier: the network itself, image channels, more than one pixel, a stem's name, early in the file."""
    name = candidate.layer.replace("/", ".").lower()
    stem = _STEM.search(name) is not None
    channels = candidate.shape[1]
    rank = _IMAGE_CHANNELS.get(channels, 3)
    first = ordered and candidate.position == 0
    if channels == 1 and not (first or stem):
        rank = 3  # more often a depthwise convolution in the middle
    elif rank == 3 and channels <= _MOST_CHANNELS and (stem or first):
        rank = 2
    parts = name.split(".")
    role = 2 * any(_HELPER.search(part) for part in parts) + any(_AVERAGE.search(part) for part in parts)
    pointwise = candidate.shape[2:] == (1, 1)
    depth = 0 if ordered else len(parts)
    return role, rank, pointwise, not stem, depth, candidate.position if ordered else 0, name


def _fits(other: _Candidate, chosen: _Candidate) -> bool:
    """Whether a reader should know that this one could be meant as well."""
    return other.shape[1] == chosen.shape[1] and (other.shape[1] > 1 or _STEM.search(other.layer.lower()) is not None)


def _arranged(candidate: _Candidate, weight: np.ndarray) -> np.ndarray:
    if candidate.layout == "hwio":
        return weight.transpose(3, 2, 0, 1)
    if candidate.layout == "linear":
        filters, channels, rows, columns = candidate.shape
        return weight.reshape(filters, rows, columns, channels).transpose(0, 3, 1, 2)
    return weight


def _notes(chosen: _Candidate) -> list[str]:
    notes = []
    if chosen.layout == "hwio":
        notes.append("the weight was read as (rows, columns, channels, filters), by its name or shape")
    if chosen.layout == "linear":
        notes.append("a linear embedding of patches, flattened as (row, column, channel)")
    if _AVERAGE.search(chosen.entry.name.lower().replace(".", "_")):
        notes.append("these are averaged weights (EMA or SWA)")
    return notes


def _list(candidates: list[_Candidate]) -> str:
    if not candidates:
        return "it has no tensors with four axes"
    more = f"; and {len(candidates) - _SHOWN} more" if len(candidates) > _SHOWN else ""
    return f"its candidates are {'; '.join(map(str, candidates[:_SHOWN]))}{more}"
