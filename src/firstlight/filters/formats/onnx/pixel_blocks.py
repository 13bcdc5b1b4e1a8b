"""Which pixel of a block each channel is, where an ONNX graph cuts the image into blocks before its first layer."""

import numpy as np

from firstlight.errors import SourceError
from firstlight.filters.formats.onnx.constants import Constants
from firstlight.filters.formats.onnx.graph import Graph, Input, Node, way_to

# Operators that put pixels elsewhere, and those that leave each where it is.
_MOVES = {"Slice", "Concat", "SpaceToDepth", "Reshape", "Transpose", "Split", "Gather"}
_STAYS = {"Identity", "Cast"}
_MOST_NODES, _MOST_NUMBERS = 64, 1 << 24
_END = 1 << 62  # beyond it a float that was the largest whole number is none
_SIDE = 64  # of the image, where the graph leaves it open


def places_of_channels(
    graph: Graph, constants: Constants, image: tuple[Input, ...], node: Node, channels: int
) -> np.ndarray | None:
    """The place in the image of each channel that a layer sees, found by sending numbered pixels there.

    Parameters
    ----------
    graph : Graph
    constants : Constants
    image : tuple of Input
    node : Node
        As of `preparation`.
    channels : int
        Of the layer.

    Returns
    -------
    ndarray of int, shape (channels, 3), or None
        Colour, row and column in a block. None where the channels are no pixels of blocks of three colours.
    """
    side = int(np.sqrt(channels / 3))
    way = way_to(graph, node, {put.name for put in image})
    put = next((put for put in image if not way or put.name in way[0].takes), None)
    if put is None or side < 2 or channels != 3 * side**2 or len(way) > _MOST_NODES:
        return None
    try:
        numbered = _numbered(put, side)
        seen = _sent(constants, {put.name: numbered}, way)[node.input(0)]
        return _places(seen, numbered.shape, put.axes.index("C") == 3, side)
    except Exception:  # by the operators of onnx, on whatever a graph holds: then the order is not known
        return None


def _numbered(put: Input, side: int) -> np.ndarray:
    """An image of the shape that the graph takes, each pixel of which is its own number."""
    if not put.axes or put.shape is None or len(put.shape) != 4:
        raise SourceError("no image")
    colours = put.axes.index("C")
    shape = [3 if axis == colours else _SIDE * side if axis else 1 for axis in range(4)]
    shape = [known or own for known, own in zip((1, *put.shape[1:]), shape, strict=True)]
    if np.prod(shape, dtype=float) > _MOST_NUMBERS:
        raise SourceError("a large image")
    return np.arange(int(np.prod(shape)), dtype=np.float64).reshape(shape)


def _sent(constants: Constants, known: dict[str, np.ndarray], way: list[Node]) -> dict[str, np.ndarray]:
    from onnx.reference import ReferenceEvaluator

    for step in way:
        if step.op in _STAYS:
            known[step.outputs[0]] = next(known[name] for name in step.inputs if name in known)
            continue
        if step.op not in _MOVES or step.domain:
            raise SourceError(f"{step} is not followed")
        given = {name: known[name] if name in known else constants.read(name).values for name in step.takes}
        if sum(given[name].size for name in step.inputs if name) > _MOST_NUMBERS:
            raise SourceError("numbers without end")
        given = {
            name: value if name in known else np.clip(value, -_END, _END).astype(np.int64)
            for name, value in given.items()
        }
        for name, result in zip(step.outputs, ReferenceEvaluator(step.proto).run(None, given), strict=True):
            known[name] = np.asarray(result)
    return known


def _places(seen: np.ndarray, shape: tuple[int, ...], last: bool, side: int) -> np.ndarray | None:
    """Of the pixels (1, channels, H, W) that arrive, those of two blocks tell, if both tell the same."""
    found = []
    for at in (0, 1):
        place = np.array(np.unravel_index(seen[0, :, at, at].astype(int), shape))
        colour, row, column = place[[3, 1, 2] if last else [1, 2, 3]]
        found.append(np.stack([colour, row - side * at, column - side * at], axis=1))
    places, other = found
    whole = len({tuple(place) for place in places.tolist()}) == len(places)
    inside = places.min() >= 0 and places[:, 0].max() < 3 and places[:, 1:].max() < side
    return places if whole and inside and (places == other).all() else None
