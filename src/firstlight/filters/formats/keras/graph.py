"""The graph of a Keras model out of its configuration, and the first convolution on its input."""

import re
from collections import Counter
from itertools import pairwise
from typing import Any

from firstlight.errors import FirstlightError, InputError, SourceError
from firstlight.filters.formats.keras.layers import PASSED, REFUSED, TAKEN, KerasLayer, checked_name, is_model
from firstlight.utils.text import listed

_MOST_EDGES, _DEEPEST = 1_000_000, 20
# What a layer's input comes from: the network's input, a convolution, another layer with weights.
_INPUT, _CONVOLVED, _OTHER = 1, 2, 4


class KerasGraph:
    """All layers of a model and of the models in it, and which feeds which."""

    def __init__(self, model: dict[str, Any]) -> None:
        self.layers: list[KerasLayer] = []
        self.edges = 0
        entries, _ = self._expand(model, "", "", "", 0)
        waiting = [(index, _INPUT) for index in entries]
        while waiting:  # ends, also on circles: an origin only ever grows
            index, origin = waiting.pop()
            layer = self.layers[index]
            if origin | layer.origin == layer.origin:
                continue
            layer.origin |= origin
            waiting += [(consumer, self._made(layer)) for consumer in layer.behind]

    @staticmethod
    def _made(layer: KerasLayer) -> int:
        if layer.kind in TAKEN or layer.kind in REFUSED:
            return _CONVOLVED
        return layer.origin if PASSED.fullmatch(layer.kind) else _OTHER

    def _expand(self, model: Any, path: str, place: str, top: str, depth: int) -> tuple[set[int], set[int]]:
        """Append a model's layers; returns those that take its input, and those that make its output."""
        if depth > _DEEPEST:
            raise SourceError(f"its models are nested more than {_DEEPEST} deep; expected a few")
        settings = model["config"] if isinstance(model["config"], dict) else {"layers": model["config"]}
        items = settings["layers"]
        chain = "inbound_nodes" not in items[0]  # a Sequential model
        numbers: Counter[str] = Counter()
        members: dict[str, tuple[set[int], set[int]]] = {}
        for item in items:
            kind, inner = checked_name(item["class_name"]), item["config"]
            name = checked_name(item.get("name") or (inner.get("name") if isinstance(inner, dict) else "") or kind)
            group = _snake(kind)
            numbers[group] += 1
            group += f"_{numbers[group] - 1}" if numbers[group] > 1 else ""
            its = (f"{path}{name}", f"{place}layers/{group}", top or name)
            if is_model(inner):
                members[name] = self._expand(item, f"{its[0]}/", f"{its[1]}/", its[2], depth + 1)
            else:
                self.layers.append(KerasLayer(its[0], name, kind, inner, its[1], its[2]))
                members[name] = ({len(self.layers) - 1}, {len(self.layers) - 1})
        ends = list(members.values())
        if chain:
            for (_, made), (taking, _) in pairwise(ends):
                self._connect(made, taking)
            return ends[0][0], ends[-1][1]
        for item, (taking, _) in zip(items, ends, strict=True):
            for feeding in _references(item["inbound_nodes"], members):
                self._connect(members[feeding][1], taking)
        inputs = _references(settings.get("input_layers"), members) or {next(iter(members))}
        outputs = _references(settings.get("output_layers"), members) or {next(reversed(members))}
        return set().union(*(members[name][0] for name in inputs)), set().union(*(members[name][1] for name in outputs))

    def _connect(self, made: set[int], taking: set[int]) -> None:
        self.edges += len(made) * len(taking)
        if self.edges > _MOST_EDGES:
            raise SourceError(f"its graph has more than {_MOST_EDGES:,} connections; expected fewer")
        for index in made:
            self.layers[index].behind |= taking

    def first(self) -> tuple[KerasLayer, list[KerasLayer]]:
        """The first convolution on the input, and the others on it."""
        reached = [layer for layer in self.layers if layer.origin & _INPUT and not layer.origin & _CONVOLVED]
        found = [layer for layer in reached if layer.kind in TAKEN or layer.kind in REFUSED]
        if found:
            self._check(found[0], SourceError)
            return found[0], [layer for layer in found[1:] if layer.kind in TAKEN]
        for layer in reached:
            if layer.kind in ("Dense", "EinsumDense"):
                raise SourceError(
                    f"its first layer with weights, {layer.path}, is a {layer.kind} one on flattened "
                    f"pixels, which has no filters over patches; expected a Conv2D; {self._candidates()}"
                )
            if not PASSED.fullmatch(layer.kind):
                raise SourceError(
                    f"{layer.path} of class {layer.kind} comes before any Conv2D, and what it computes "
                    f"is not known; expected a Conv2D; {self._candidates()}"
                )
        raise SourceError(f"no Conv2D is reached from its input; {self._candidates()}")

    def named(self, name: str) -> KerasLayer:
        """The convolution of this name."""
        found = [layer for layer in self.layers if layer.path == name]
        found = found or [layer for layer in self.layers if layer.name == name]
        if len(found) != 1:
            what = "has more than once" if found else "does not have"
            raise InputError(f"layer is {name!r}, which it {what}; {self._candidates()}")
        self._check(found[0], InputError)
        return found[0]

    def _check(self, layer: KerasLayer, error: type[FirstlightError]) -> None:
        if layer.kind not in TAKEN:
            why = REFUSED.get(layer.kind, "is no convolution")
            raise error(f"{layer.path}, a {layer.kind}, {why}; expected a Conv2D; {self._candidates()}")

    def _candidates(self) -> str:
        found = [layer for layer in self.layers if layer.kind in TAKEN]
        return f"its convolutions are {listed(found)}: pass layer=NAME" if found else "it has no Conv2D"

    def before(self, layer: KerasLayer) -> list[KerasLayer]:
        """The layers through which the input comes to this one, in the order of the file."""
        feeding: dict[int, list[int]] = {}
        for index, one in enumerate(self.layers):
            for consumer in one.behind:
                feeding.setdefault(consumer, []).append(index)
        seen: set[int] = set()
        waiting = list(feeding.get(self.layers.index(layer), []))
        while waiting:
            index = waiting.pop()
            if index not in seen:
                seen.add(index)
                waiting += feeding.get(index, [])
        return [self.layers[index] for index in sorted(seen) if self.layers[index].origin & _INPUT]


def _references(tree: Any, members: dict[str, Any]) -> set[str]:
    """The layers that `inbound_nodes` or `input_layers` name, in the lists of Keras 2 or the dicts of Keras 3."""
    found, waiting = set(), [tree]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting += [one["keras_history"]] if "keras_history" in one else one.values()
        elif isinstance(one, list):
            # ["conv", 0, 0], and in Keras 2 also ["conv", 0, 0, {keyword arguments}]
            if len(one) > 2 and isinstance(one[0], str) and isinstance(one[1], int) and one[0] in members:
                found.add(one[0])
            waiting += [item for item in one if isinstance(item, list | dict)]
    return found


def _snake(name: str) -> str:
    """What Keras calls the group of a class: Conv2D -> conv2d."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
