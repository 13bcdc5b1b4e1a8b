"""Which tensors of a bare state dict may be a first layer over images, and how likely each is.

A worked example: six tensors of a checkpoint, in its order.

    model.blocks.weight     4 x 1 x 3 x 3   may be: the only one with a single channel might take grey images
    model.stem.weight       4 x 3 x 3 x 3   may be, and three channels are evidence enough
    model.head.weight       2 x 4 x 1 x 1   not possible: of one pixel, and not of three channels
    ema.stem.weight         4 x 3 x 3 x 3   may be, but "ema" is a moving average of weights
    teacher.conv1.weight    8 x 3 x 3 x 3   may be, but "teacher" is a network beside the one that matters
    optimizer.exp_avg       4 x 3 x 3 x 3   no candidate: an optimiser keeps it

What may be is ranked by role (0 for the network's own, 1 averaged, 2 a helper's), then by how unlike RGB its channels
are, and only then by name and place:

    model.stem      role 0, unlikeness 0   is chosen
    model.blocks    role 0, unlikeness 1
    ema.stem        role 1
    teacher.conv1   role 2
"""

import math
import re
from dataclasses import dataclass
from functools import cached_property

from firstlight.filters.choice.space_to_depth import is_cut
from firstlight.filters.choice.tensors import TensorEntry, TensorFile

# Leaves of TensorFlow's and JAX's names, whose layout is (rows, columns, channels, filters).
_KERNEL_LAST = {"kernel", "kernel:0", "w"}
_LEAVES = ("weight", *_KERNEL_LAST)
# What is never a network's own filters: what an optimiser keeps, low-rank updates, tensors of other kinds.
_FOREIGN = re.compile(
    r"(^|[._/])(optim\w*|lora|exp_avg|square_avg|momentum_buffer)([._/]|$)"
    r"|(bias|mask|depthwise_kernel|weight_g|original0)(:0)?$"
)
# What says that there is a network that matters more.
_HELPER = re.compile(
    r"(^|[._/])(teacher|target|discriminator|decoder|loss|criterion|perceptual|lpips|aux|audio|momentum_encoder"
    r"|encoder_k)([._/]|$)"
)
_AVERAGE = re.compile(r"(^|[._/])(ema|swa|averaged?|shadow)([._/]|$)")
# What first layers are called: a word somewhere in the name; or the end of it, such as conv1, conv1_1, 0 or 0.conv.
_STEM_WORD = re.compile(r"stem|first|init|patch|(?<!pos_)embed|from_?rgb")
_STEM_END = re.compile(r"conv(2d)?_?(1a\w*|in|pre|[01](_[01])?)(\.conv)?$|(^|\.)0(\.conv)?$")
_IMAGE_CHANNELS = (1, 2, 3, 4)
_MOST_CHANNELS = 32  # of an unusual input, such as a multispectral one
_LARGEST_KERNEL = 64


@dataclass(frozen=True)
class Candidate:
    """A tensor that could be the weight of a convolution, or of a linear embedding of patches.

    Attributes
    ----------
    entry : TensorEntry
    shape : tuple of int
        (K, C, kh, kw), or with one axis more for a three-dimensional convolution.
    layout : str
        How the stored axes become those: "", "hwio" or "linear".
    position : int
        Its place among all candidates of the file.
    transposed : bool
        Whether it is a transposed convolution, as far as its bias tells.
    """

    entry: TensorEntry
    shape: tuple[int, ...]
    layout: str = ""
    position: int = 0
    transposed: bool = False

    @cached_property
    def layer(self) -> str:
        return layer_name(self.entry.name)

    @cached_property
    def stem(self) -> int:
        """How much the name is that of a first layer: 0 most, 2 not at all."""
        return stem_level(self.layer)

    @cached_property
    def averaged(self) -> bool:
        """Whether its name tells of a moving average of weights."""
        return _AVERAGE.search(self.entry.name.lower()) is not None

    def __str__(self) -> str:
        return f"{self.layer} {' x '.join(map(str, self.shape))}"


def layer_name(tensor: str) -> str:
    """The layer that a tensor belongs to: its name without the last part, where that says "weight" or the like."""
    for leaf in _LEAVES:
        if tensor.endswith(("." + leaf, "/" + leaf)):
            return tensor[: -len(leaf) - 1]
    return tensor


def stem_level(layer: str) -> int:
    """How much a layer's name is that of a first layer: 0 by a word in it, 1 by its end, 2 not at all."""
    name = layer.lower().replace("/", ".")
    return 0 if _STEM_WORD.search(name) else 1 if _STEM_END.search(name) else 2


def find_candidates(file: TensorFile) -> list[Candidate]:
    """The tensors that may be filters, in the file's order, likely or not."""
    found: list[Candidate] = []
    biases = {entry.name: entry.shape for entry in file.entries if len(entry.shape) == 1}
    for entry in file.entries:
        side = _patch_side(entry)
        if (len(entry.shape) not in (4, 5) and not side) or 0 in entry.shape or _FOREIGN.search(entry.name.lower()):
            continue
        if side:
            found.append(Candidate(entry, (entry.shape[0], 3, side, side), "linear", len(found)))
        else:
            layout = "hwio" if _kernel_last(entry) else ""
            shape = (*entry.shape[:-3:-1], *entry.shape[:-2]) if layout else entry.shape
            bias = re.sub(r"(?<=[./])(weight|kernel)(?=(:0)?$)", "bias", entry.name)
            transposed = biases.get(bias) == (shape[1],) != (shape[0],)
            found.append(Candidate(entry, shape, layout, len(found), transposed))
    return found


def likely_first(candidates: list[Candidate], ordered: bool) -> list[Candidate]:
    """Those that fit the first layer of a network on images, likeliest first.

    Three channels are evidence enough. Other numbers are as usual in the middle of a network (depthwise and grouped
    convolutions), and need a stem's name, the first place in an ordered file, or to be the only layer; a single channel
    needs such a name or to be the only one. Numbered layers with an earlier one of other channels come later.
    """
    possible = [one for one in candidates if _is_possible(one)]
    one_gray = sum(one.shape[1] == 1 for one in possible) == 1
    produced = {one.shape[0] for one in candidates}
    earliest: dict[str, Candidate] = {}
    for one in sorted(candidates, key=lambda one: _natural(one.layer)):
        earliest.setdefault(_unnumbered(one.layer), one)

    def is_first(one: Candidate) -> bool:
        return (ordered and one.position == 0) or len(candidates) == 1

    def fits(one: Candidate) -> bool:
        channels = one.shape[1]
        if one.stem < 2 or (is_first(one) and channels > 1):
            return True
        return earliest[_unnumbered(one.layer)].shape[1] == channels and (channels == 3 or (channels == 1 and one_gray))

    def unlikeness(one: Candidate) -> int:
        """0 for RGB, 1 for other images or the first place, 2 for channels that no layer makes, 3 for the rest."""
        channels = one.shape[1]
        if channels == 3:
            return 0
        if is_first(one) or (channels in _IMAGE_CHANNELS and (channels > 1 or one_gray)):
            return 1
        return 3 if channels == 1 or channels in produced else 2

    def rank(one: Candidate) -> tuple:
        role = 2 * (_HELPER.search(one.layer.lower()) is not None) + one.averaged
        pointwise = max(one.shape[2:]) == 1
        place = (one.position,) if ordered else (one.shape[1], len(re.findall("[./]", one.layer)))
        return role, unlikeness(one), pointwise, one.stem, place, _natural(one.layer)

    return sorted(filter(fits, possible), key=rank)


def also_fit(chosen: Candidate, likely: list[Candidate]) -> list[Candidate]:
    """Of the likely ones, those that a reader of the result should know of.

    They have as many channels as the chosen one, or as many as images or latents have. With one channel, that is said
    of every depthwise convolution; so such a one must have the chosen shape, or be the only one.
    """
    gray = sum(one.shape[1] == 1 for one in likely) == 1

    def fits(one: Candidate) -> bool:
        channels = one.shape[1]
        if channels == 1:
            return one.shape == chosen.shape or gray
        return channels == chosen.shape[1] or (channels in _IMAGE_CHANNELS and max(one.shape[2:]) > 1)

    return [one for one in likely if one is not chosen and fits(one)]


def _is_possible(one: Candidate) -> bool:
    """Whether the shape is one that a first layer may have."""
    filters, channels, *kernel = one.shape
    pixels = is_cut(one.layer, channels)
    if one.transposed or filters == 1 or max(kernel) > _LARGEST_KERNEL or (channels > _MOST_CHANNELS and not pixels):
        return False
    return max(kernel) > 1 or channels == 3 or pixels


def _unnumbered(name: str) -> str:
    return re.sub(r"\d+", "0", name)


def _natural(name: str) -> list[tuple[int, str]]:
    """A key that sorts numbers in names by their value: conv2 before conv10."""
    parts = re.split(r"0*(\d+)", name)  # text and numbers in turn; numbers by length, as they may have many digits
    return [*((len(part) * (place % 2), part) for place, part in enumerate(parts)), (0, name)]


def _kernel_last(entry: TensorEntry) -> bool:
    """Whether the axes are (rows, columns, channels, filters): by the name, unless the shape says otherwise.

    The kernels of a first layer are nearly always square; so one pair of equal axes outweighs a name.
    """
    front, back = entry.shape[0] == entry.shape[1], entry.shape[-1] == entry.shape[-2]
    if re.split(r"[./]", entry.name)[-1] in _KERNEL_LAST:
        return front or not back
    channels, filters = entry.shape[-2:]
    return front and not back and entry.shape[0] <= _LARGEST_KERNEL and channels in (1, 3, 4) and filters >= 8


def _patch_side(entry: TensorEntry) -> int:
    """Side of the patches that a linear embedding of RGB patches takes, or 0.

    Only of the naming whose flattening is known: ``to_patch_embedding``, with "(row column channel)".
    """
    if len(entry.shape) != 2 or "to_patch_embedding" not in entry.name:
        return 0
    side = math.isqrt(entry.shape[1] // 3)
    return side if 3 * side * side == entry.shape[1] else 0
