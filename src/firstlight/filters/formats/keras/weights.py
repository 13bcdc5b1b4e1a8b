"""Where the weights of each layer are in a Keras file, in either of its two layouts.

The older ("legacy") one has a group a layer, with the attributes `layer_names` and `weight_names`; the newer one has
groups named by class and number, `layers/conv2d_1/vars/0`.
"""

import re
from typing import Any

from firstlight.errors import SourceError
from firstlight.filters.formats.keras.hdf5 import child_of, names_of, text_of
from firstlight.filters.formats.keras.layers import KerasLayer
from firstlight.utils.text import printable

_MOST_GROUPS, _DEEPEST = 1 << 16, 20


def weights_of(file: Any) -> "Weights":
    """The weights of an open HDF5 file, in the layout that it has.

    Raises
    ------
    SourceError
        It is of neither layout, or was written on Theano.
    """
    group = child_of(file, "model_weights")
    for legacy in (group, file):
        if legacy is not None and ("layer_names" in legacy.attrs or "layer_names0" in legacy.attrs):
            return LegacyWeights(legacy)
    modern = ModernWeights(file)
    if any(name in file for name in ("layers", "_layer_checkpoint_dependencies")) or modern.kernels():
        return modern
    raise SourceError(
        f"is HDF5, but holds {printable(', '.join(file), 100) or 'nothing'}; expected it as Keras writes it"
    )


class LegacyWeights:
    """Weights in groups a layer, named by attributes: Keras 2, and whole models of Keras 3 in HDF5."""

    def __init__(self, group: Any) -> None:
        self.group = group
        self.layers = names_of(group, "layer_names") or []
        if text_of(group, "backend") == "theano":
            raise SourceError("was written by Keras on Theano, whose kernels are flipped; expected another backend")

    def named(self, layer: str) -> dict[str, str]:
        """Full name of each weight of a top-level layer -> its path."""
        group = child_of(self.group, layer)
        names = names_of(group, "weight_names") if group is not None else None
        return {name: f"{layer}/{name}" for name in names or []}

    def of(self, layer: KerasLayer, leaves: tuple[str, ...]) -> Any:
        """The dataset of a layer that has one of these names, or None."""
        found = {}
        for name, path in self.named(layer.top).items():
            parent, _, leaf = name.rpartition("/")
            if (leaf := leaf.split(":")[0]) in leaves:
                mine = parent == layer.name or parent.endswith(f"/{layer.name}")
                if mine or layer.path == layer.top:
                    found.setdefault((not mine, leaves.index(leaf)), path)
        return child_of(self.group, found[min(found)]) if found else None

    def kernels(self) -> list[tuple[str, Any]]:
        """Layers with a kernel, and its dataset, in the order of the network."""
        found = []
        for layer in self.layers:
            names = self.named(layer)
            leaves = [name.rpartition("/")[2].split(":")[0] for name in names]
            for (name, path), leaf in zip(names.items(), leaves, strict=True):
                if leaf == "kernel":
                    parent = name.rpartition("/")[0]
                    own = parent == layer or parent.endswith(f"/{layer}") or leaves.count("kernel") == 1
                    found.append((layer if own else f"{layer}/{parent}", child_of(self.group, path)))
        return found

    def norm_behind(self, name: str) -> str:
        """The batch normalisation that is the next top-level layer, or nothing."""
        if name not in self.layers[:-1]:
            return ""
        following = self.layers[self.layers.index(name) + 1]
        return following if any("moving_variance" in weight for weight in self.named(following)) else ""


class ModernWeights:
    """Weights in groups by class and number: Keras 3, and .keras files of TensorFlow 2.12 to 2.15."""

    def __init__(self, file: Any) -> None:
        self.file = file

    def of(self, layer: KerasLayer, leaves: tuple[str, ...]) -> Any:
        """The dataset of a layer that has one of these names, or None: variables are numbered by how they were made."""
        order = ["kernel"]
        if layer.kind == "BatchNormalization":
            order = [part for part, on in (("gamma", "scale"), ("beta", "center")) if layer.settings.get(on, True)]
            order += ["moving_mean", "moving_variance"]
        elif layer.kind == "Normalization":
            order = ["mean", "variance"]
        number = next((order.index(leaf) for leaf in leaves if leaf in order), None)
        for place in (layer.place, layer.place.replace("layers", "_layer_checkpoint_dependencies")):
            variables = child_of(self.file, f"{place}/vars")
            if variables is not None and number is not None:
                if (name := self.name(variables)) not in ("", layer.name):
                    raise SourceError(f"holds the weights of {name!r:.99}; expected those of {layer.path}")
                return child_of(variables, str(number))
        return None

    def name(self, variables: Any) -> str:
        """The name of the layer that variables belong to, or nothing: early Keras 3 did not write it."""
        return text_of(variables, "name") or ""

    def kernels(self) -> list[tuple[str, Any]]:
        """Layers with a kernel, and its dataset, in the natural order of their groups' names."""
        import h5py
        from h5py.h5o import get_info

        found, seen, waiting = [], set(), [(self.file, "", "")]
        while waiting:
            group, place, shown = waiting.pop()
            info = get_info(group.id)
            if (info.fileno, info.addr) in seen:  # hard links can make a circle
                continue
            seen.add((info.fileno, info.addr))
            if len(seen) > _MOST_GROUPS or place.count("/") > _DEEPEST:
                raise SourceError(f"has more than {_MOST_GROUPS:,} groups, or too deep; expected a network")
            variables = child_of(group, "vars")
            if isinstance(variables, h5py.Group) and place and (name := self.name(variables)):
                shown = f"{shown.rpartition('/')[0]}/{name[:200]}".lstrip("/")
            if isinstance(variables, h5py.Group) and not re.search(r"(separable|depthwise|transpose)\w*$", place):
                found.append((shown, child_of(variables, "0")))
            if len(group) > _MOST_GROUPS:
                raise SourceError(f"{group.name} has {len(group):,} members; expected fewer")
            # The last is taken first.
            for key in sorted(group, key=_natural, reverse=True):
                if key != "vars" and not (key == "optimizer" and not place):
                    child = child_of(group, key)
                    if isinstance(child, h5py.Group):
                        transparent = key in ("layers", "_layer_checkpoint_dependencies")
                        waiting.append(
                            (child, f"{place}/{key}", shown if transparent else f"{shown}/{key}".lstrip("/"))
                        )
        return [(name, dataset) for name, dataset in found if dataset is not None]


Weights = LegacyWeights | ModernWeights


def _natural(name: str) -> list[Any]:
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in re.split(r"(\d+)", name)]
