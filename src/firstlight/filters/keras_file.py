"""Keras files (.keras, .h5, .weights.h5): the first convolution by the configuration, without Keras.

Keras stores weights as HDF5 in one of two layouts. The older ("legacy") one has a group a layer, with the attributes
`layer_names` and `weight_names`; the newer one has groups named by class and number, `layers/conv2d_1/vars/0`. Whole
models come with their configuration, a graph of layers; files of weights alone do not, and the order must do.
HDF5 is a large format, and its library in C answers damaged files at times with endless loops, gigabytes or a crash. So
it works in a process of its own with limits on time and memory. Links that leave the file, virtual and external data
are refused. Code in a file (a Lambda layer's) is never decoded.
"""

import json
import math
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, fields, replace
from importlib.util import find_spec
from io import SEEK_CUR, SEEK_END
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import numpy as np

from firstlight import errors
from firstlight.errors import FirstlightError, InputError, SourceError
from firstlight.filters.bank import FilterBank
from firstlight.filters.choose import bank_of
from firstlight.filters.exported import LARGEST_JSON, open_archive, read_member, refusing
from firstlight.filters.tensors import LARGEST, TensorEntry, TensorFile

_EPSILON = 1e-3  # of Keras's batch normalisation, where the file does not say
_SECONDS, _MEMORY = 8, 768 << 20  # for the process that reads, bytes beyond what its imports take
_MOST_NAMES, _MOST_GROUPS, _MOST_EDGES, _DEEPEST, _SHOWN = 1 << 16, 1 << 16, 1_000_000, 20, 8
_UNPACKED = 1 << 29  # bytes to which the compressed weights of a .keras file may unfold
# HDF5 filters whose expansion is known: deflate, shuffle, checksum, lzf. All others are plug-ins, code from elsewhere.
_FILTERS = {1, 2, 3, 32000}

_TAKEN = {"Conv2D", "DepthwiseConv2D"}
_REFUSED = {
    "SeparableConv2D": "splits its kernel into a depthwise and a pointwise one, neither of which is the filters",
    "Conv2DTranspose": "is a transposed one, which has no input patches",
    "Conv1D": "is one-dimensional",
    "SeparableConv1D": "is one-dimensional",
    "DepthwiseConv1D": "is one-dimensional",
    "Conv1DTranspose": "is one-dimensional",
    "Conv3D": "is three-dimensional",
    "Conv3DTranspose": "is three-dimensional",
}
# Layers between input and first convolution that leave pixels what they are, more or less.
_PASSED = re.compile(
    r"InputLayer|Rescaling|Normalization|BatchNormalization|LayerNormalization|GroupNormalization|UnitNormalization|"
    r"ZeroPadding2D|Cropping2D|Resizing|CenterCrop|Random\w+|AutoContrast|Equalization|Solarization|Posterization|"
    r"Pipeline|MixUp|CutMix|AugMix|RandAugment|Grayscale|Gaussian\w+|\w*Dropout\w*|Alpha\w+|Activation|ReLU|LeakyReLU|"
    r"PReLU|ELU|Softmax|ActivityRegularization|Identity|Masking|Permute|Reshape|Flatten|UpSampling2D|\w+Pooling2D|Concatenate|"
    r"Add|Subtract|Multiply|Average|Maximum|Minimum|Lambda|TFOpLambda|TensorFlowOpLayer|SlicingOpLambda|Cast|"
    r"True[Dd]ivide|Divide|Negative|GetItem|Transpose|Flip|ExpandDims|Squeeze|Stack|Clip|Abs|Power|Sqrt|Square"
)
_KERNELS = {"Conv2D": ("kernel",), "DepthwiseConv2D": ("depthwise_kernel", "kernel")}  # Keras 3 renamed the second
# What a layer's input comes from: the network's input, a convolution, another layer with weights.
_INPUT, _CONVOLVED, _OTHER = 1, 2, 4


def read_keras(path: Path, source: str, layer: str | None = None) -> FilterBank:
    """The filters of a Keras model's first two-dimensional convolution.

    Parameters
    ----------
    path : Path
        A .keras archive, or an HDF5 file of a whole model or of weights alone, of Keras 2 or 3.
    source : str
        What messages and the result call it.
    layer : str, optional
        Name of the layer to take instead; one of a nested model is called "model/layer", or "layer" where that is
        unique.

    Returns
    -------
    FilterBank
        Of weight (K, C / groups, kh, kw). Without a configuration, stride and padding are None and `alternatives`
        lists what else would have fitted.

    Raises
    ------
    SourceError
        h5py is missing; the file is damaged or refers to others; the first layer is no ordinary convolution.
    InputError
        `layer` is not there, or is no convolution.
    """
    if find_spec("h5py") is None:
        raise SourceError(f"{source}: a Keras file needs h5py: pip install 'firstlight[keras]'")
    job = json.dumps([str(path), source, layer, sys.path])
    command = [sys.executable, "-I", "-c", _START, job]
    try:
        # The process does no arithmetic to speak of, and a thread a core would only cost it time to start.
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, env=environment, check=False
        )
    except subprocess.TimeoutExpired:
        raise SourceError(f"{source}: reading it did not end within {_SECONDS} s: it is damaged") from None
    if done.returncode:
        raise SourceError(f"{source}: the HDF5 library crashed, or ran out of memory, on it: it is damaged")
    head, numbers = done.stdout.split(b"\n", 1)
    answer: dict[str, Any] = json.loads(head)
    if "error" in answer:
        raise getattr(errors, answer["error"])(answer["message"])
    values = np.frombuffer(numbers, dtype=np.float64)
    shape = answer.pop("shape")
    weight, scale = np.split(values, [math.prod(shape)])
    bank = FilterBank(weight.reshape(shape), scale=scale if len(scale) else None)
    return replace(bank, **{key: tuple(value) if isinstance(value, list) else value for key, value in answer.items()})


# What the reading process starts with: the module search path of this one, and nothing from its working directory.
_START = """import json, sys
*job, sys.path = json.loads(sys.argv[1])
from firstlight.filters.keras_file import _answer
_answer(*job)"""


def _answer(path: str, source: str, layer: str | None) -> None:
    """In a process of its own: read, and write the answer to standard output, JSON and then the numbers."""
    import h5py  # noqa: F401 - before memory is counted

    _limit_memory()
    try:
        bank = read_in_process(Path(path), source, layer)
    except FirstlightError as error:
        sys.stdout.write(json.dumps({"error": type(error).__name__, "message": str(error)}) + "\n")
        return
    names = [one.name for one in fields(bank) if one.name not in ("weight", "scale")]
    head = {name: getattr(bank, name) for name in names} | {"shape": bank.weight.shape}
    output = sys.stdout.buffer
    output.write(json.dumps(head).encode() + b"\n")
    output.write(np.ascontiguousarray(bank.weight).data)
    if bank.scale is not None:
        output.write(np.ascontiguousarray(bank.scale, dtype=np.float64).data)


def _limit_memory() -> None:
    """Let this process have so much more memory; only where the system says how much it has, which is on Linux."""
    with suppress(ImportError, OSError):
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + _MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def read_in_process(path: Path, source: str, layer: str | None = None) -> FilterBank:
    """As `read_keras`, without the limits on time and memory; only for files that are known."""
    import h5py

    with refusing(source, "a Keras file"), ExitStack() as stack:
        hdf5, config = _opened(path, source, stack)
        file = stack.enter_context(h5py.File(hdf5, "r"))
        config = _text(file, "model_config") if config is None else config
        model = None if config is None else json.loads(config)
        weights = _weights(file, source)
        if model is None:
            return _by_order(weights, source, layer, "the file holds no graph of layers: the first was judged")
        if not _is_model(model["config"]):
            kind = _name(model["class_name"])[:99]
            return _by_order(weights, source, layer, f"{kind} has no graph of layers in the file: the first was judged")
        graph = _Graph(model, source)
        chosen, others = graph.first() if layer is None else (graph.named(layer), [])
        return replace(_bank(graph, chosen, weights), alternatives=tuple(map(str, others)))


# Opening


class _Window:
    """A part of a file as a file of its own, for h5py."""

    def __init__(self, file: IO[bytes], start: int, size: int) -> None:
        self.file, self.start, self.size, self.position = file, start, size, 0

    def seek(self, offset: int, whence: int = 0) -> int:
        self.position = offset + {SEEK_CUR: self.position, SEEK_END: self.size}.get(whence, 0)
        return self.position

    def tell(self) -> int:
        return self.position

    def read(self, count: int) -> bytes:
        self.file.seek(self.start + self.position)
        data = self.file.read(max(0, min(count, self.size - self.position)))
        self.position += len(data)
        return data

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[:] = data + bytes(len(view) - len(data))  # zeros beyond the end, as HDF5 itself has it
        return len(data)


def _opened(path: Path, source: str, stack: ExitStack) -> tuple[Any, str | None]:
    """The HDF5 part of a file, and the configuration in JSON where that lies beside it."""
    file = stack.enter_context(path.open("rb"))
    if file.read(2) != b"PK":
        return path, None
    archive = stack.enter_context(open_archive(path, source))
    if "model.weights.h5" not in archive.NameToInfo:
        raise SourceError(
            f"{source}: its members are {', '.join(archive.namelist()[:_SHOWN])[:200]}; expected model.weights.h5, as "
            "in a .keras file that is not sharded"
        )
    config = read_member(archive, "config.json", source).decode()
    info = archive.getinfo("model.weights.h5")
    if info.compress_type == zipfile.ZIP_STORED:
        # Read in place: the local header repeats the name and has an extra field of its own length.
        file.seek(info.header_offset + 26)
        lengths = file.read(4)
        start = info.header_offset + 30 + int.from_bytes(lengths[:2], "little") + int.from_bytes(lengths[2:], "little")
        return _Window(file, start, info.file_size), config
    if info.file_size > _UNPACKED or info.compress_type != zipfile.ZIP_DEFLATED:
        raise SourceError(
            f"{source}: model.weights.h5 is compressed, of {info.file_size:,} bytes; expected it stored, as Keras "
            f"does it, or deflated and at most {_UNPACKED:,}"
        )
    unpacked = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack closes it
    with archive.open(info) as member:
        while block := member.read(1 << 20):
            unpacked.write(block)
    return unpacked, config


def _child(group: Any, path: str, source: str) -> Any:
    """What lies at a path, or None; refuses links, which may lead anywhere."""
    import h5py

    for part in path.split("/"):
        if not isinstance(group, h5py.Group) or not part or part in (".", ".."):
            return None
        link = group.get(part, getlink=True)
        if link is None:
            return None
        if not isinstance(link, h5py.HardLink):
            raise SourceError(
                f"{source}: {part} in {group.name} is a link ({type(link).__name__}), which is not followed; expected "
                "the weights themselves: save the model again"
            )
        group = group[part]
    return group


def _text(item: Any, name: str) -> str | None:
    """A string attribute, or None."""
    if name not in item.attrs:
        return None
    if math.prod(item.attrs.get_id(name).shape or ()) != 1:
        raise ValueError(f"the attribute {name} is no single string")
    value = item.attrs[name]
    value = value.item() if isinstance(value, np.ndarray | np.generic) else value
    value = value.decode() if isinstance(value, bytes) else value
    if not isinstance(value, str) or len(value) > LARGEST_JSON:
        raise ValueError(f"the attribute {name} is no string of at most {LARGEST_JSON:,} characters")
    return value


def _names(item: Any, name: str) -> list[str] | None:
    """A list of strings in an attribute; Keras cuts a long one into NAME0, NAME1 and so on."""
    parts = [name] if name in item.attrs else []
    while not (parts and parts[0] == name) and f"{name}{len(parts)}" in item.attrs:
        parts.append(f"{name}{len(parts)}")
    if not parts:
        return None
    found: list[str] = []
    for part in parts:
        if math.prod(item.attrs.get_id(part).shape or ()) > _MOST_NAMES:
            raise ValueError(f"the attribute {part} has more than {_MOST_NAMES:,} names")
        values = np.atleast_1d(item.attrs[part]).tolist()
        found += [value.decode() if isinstance(value, bytes) else str(value) for value in values]
        if sum(map(len, found)) > LARGEST_JSON:
            raise ValueError(f"the attribute {name} is of more than {LARGEST_JSON:,} characters")
    return found


def _values(dataset: Any, source: str) -> tuple[np.ndarray, str]:
    """The numbers of a dataset, float64, and how they are stored; checked against what the file holds first."""
    import h5py

    if not isinstance(dataset, h5py.Dataset):
        raise SourceError(f"{source}: holds something else where a weight was expected")
    name, dtype, shape = dataset.name, dataset.dtype, dataset.shape
    if dataset.is_virtual or dataset.external:
        raise SourceError(f"{source}: {name} lies in another file, which is not read; expected it in this one")
    # Keras stores bfloat16 as two opaque bytes.
    bfloat = dtype.kind == "V" and dtype.itemsize == 2 and dtype.names is None
    if not bfloat and (dtype.kind != "f" or dtype.itemsize > 8):
        raise SourceError(
            f"{source}: {name} holds numbers of type {dtype}; expected float16, bfloat16, float32 or float64: Keras "
            "stores no scale with a quantised convolution"
        )
    if shape is None or math.prod(shape) > LARGEST:
        raise SourceError(f"{source}: {name} declares the shape {shape}; expected at most {LARGEST:,} numbers")
    stored, needed = dataset.id.get_storage_size(), math.prod(shape) * dtype.itemsize
    layout = dataset.id.get_create_plist()
    filters = {layout.get_filter(number)[0] for number in range(layout.get_nfilters())}
    if not filters <= _FILTERS:
        raise SourceError(
            f"{source}: {name} is stored through the HDF5 filters {sorted(filters)}; expected it uncompressed, as "
            "Keras writes it"
        )
    if (stored < needed and not filters) or (needed and not stored):
        raise SourceError(
            f"{source}: {name} holds {stored:,} bytes where its shape {shape} needs {needed:,}: it is cut off"
        )
    values = np.asarray(dataset[()])
    if bfloat:
        import ml_dtypes

        return values.view(ml_dtypes.bfloat16).astype(np.float64), "bfloat16"
    with np.errstate(invalid="ignore"):  # signalling NaN: the bank tells of it
        return values.astype(np.float64), dtype.name


# Weights


class _Legacy:
    """Weights in groups a layer, named by attributes: Keras 2, and whole models of Keras 3 in HDF5."""

    def __init__(self, group: Any, source: str) -> None:
        self.group, self.source = group, source
        self.layers = _names(group, "layer_names") or []
        if _text(group, "backend") == "theano":
            raise SourceError(
                f"{source}: was written by Keras on Theano, whose kernels are flipped; expected another backend"
            )

    def named(self, layer: str) -> dict[str, str]:
        """Full name of each weight of a top-level layer -> its path."""
        group = _child(self.group, layer, self.source)
        names = _names(group, "weight_names") if group is not None else None
        return {name: f"{layer}/{name}" for name in names or []}

    def of(self, layer: "_Layer", leaves: tuple[str, ...]) -> Any:
        """The dataset of a layer that has one of these names, or None."""
        found = {}
        for name, path in self.named(layer.top).items():
            parent, _, leaf = name.rpartition("/")
            if (leaf := leaf.split(":")[0]) in leaves:
                mine = parent == layer.name or parent.endswith(f"/{layer.name}")
                if mine or layer.path == layer.top:
                    found.setdefault((not mine, leaves.index(leaf)), path)
        return _child(self.group, found[min(found)], self.source) if found else None

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
                    found.append((layer if own else f"{layer}/{parent}", _child(self.group, path, self.source)))
        return found

    def norm_behind(self, name: str) -> str:
        """The batch normalisation that is the next top-level layer, or nothing."""
        if name not in self.layers[:-1]:
            return ""
        following = self.layers[self.layers.index(name) + 1]
        return following if any("moving_variance" in weight for weight in self.named(following)) else ""


class _Modern:
    """Weights in groups by class and number: Keras 3, and .keras files of TensorFlow 2.12 to 2.15."""

    def __init__(self, file: Any, source: str) -> None:
        self.file, self.source = file, source

    def of(self, layer: "_Layer", leaves: tuple[str, ...]) -> Any:
        """The dataset of a layer that has one of these names, or None: variables are numbered by how they were made."""
        order = ["kernel"]
        if layer.kind == "BatchNormalization":
            order = [part for part, on in (("gamma", "scale"), ("beta", "center")) if layer.settings.get(on, True)]
            order += ["moving_mean", "moving_variance"]
        elif layer.kind == "Normalization":
            order = ["mean", "variance"]
        number = next((order.index(leaf) for leaf in leaves if leaf in order), None)
        for place in (layer.place, layer.place.replace("layers", "_layer_checkpoint_dependencies")):
            variables = _child(self.file, f"{place}/vars", self.source)
            if variables is not None and number is not None:
                if (name := self.name(variables)) not in ("", layer.name):
                    raise SourceError(
                        f"{self.source}: holds the weights of {name!r:.99} where {layer.path} was expected"
                    )
                return _child(variables, str(number), self.source)
        return None

    def name(self, variables: Any) -> str:
        """The name of the layer that variables belong to, or nothing: early Keras 3 did not write it."""
        return _text(variables, "name") or ""

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
                raise SourceError(
                    f"{self.source}: has more than {_MOST_GROUPS:,} groups, or too deep; expected a network"
                )
            variables = _child(group, "vars", self.source)
            if isinstance(variables, h5py.Group) and place and (name := self.name(variables)):
                shown = f"{shown.rpartition('/')[0]}/{name[:200]}".lstrip("/")
            if isinstance(variables, h5py.Group) and not re.search(r"(separable|depthwise|transpose)\w*$", place):
                found.append((shown, _child(variables, "0", self.source)))
            if len(group) > _MOST_GROUPS:
                raise SourceError(f"{self.source}: {group.name} has {len(group):,} members; expected fewer")
            # The last is taken first.
            for key in sorted(group, key=_natural, reverse=True):
                if key != "vars" and not (key == "optimizer" and not place):
                    child = _child(group, key, self.source)
                    if isinstance(child, h5py.Group):
                        transparent = key in ("layers", "_layer_checkpoint_dependencies")
                        waiting.append(
                            (child, f"{place}/{key}", shown if transparent else f"{shown}/{key}".lstrip("/"))
                        )
        return [(name, dataset) for name, dataset in found if dataset is not None]


def _weights(file: Any, source: str) -> _Legacy | _Modern:
    group = _child(file, "model_weights", source)
    for legacy in (group, file):
        if legacy is not None and ("layer_names" in legacy.attrs or "layer_names0" in legacy.attrs):
            return _Legacy(legacy, source)
    modern = _Modern(file, source)
    if any(name in file for name in ("layers", "_layer_checkpoint_dependencies")) or modern.kernels():
        return modern
    raise SourceError(
        f"{source}: is HDF5, but holds {', '.join(file)[:100] or 'nothing'}; expected it as Keras writes it"
    )


def _by_order(weights: _Legacy | _Modern, source: str, layer: str | None, note: str) -> FilterBank:
    """The first layer of weights without a graph, and in the legacy layout the batch normalisation next to it."""
    entries = tuple(
        TensorEntry(f"{name}/kernel", tuple(dataset.shape), dataset.dtype.name, lambda d=dataset: _values(d, source)[0])
        for name, dataset in weights.kernels()
        if getattr(dataset, "shape", None)
    )
    ordered = isinstance(weights, _Legacy)
    bank = bank_of(TensorFile(source, entries, ordered, (note,)), layer)
    dtypes = [_stored(dataset) for name, dataset in weights.kernels() if name == bank.layer]
    bank = replace(bank, dtype=dtypes[0] if dtypes else bank.dtype)
    if ordered and (name := weights.norm_behind(bank.layer)):
        norm = _Layer(name, name, "BatchNormalization", {}, "", name)
        note = f"the file does not hold the epsilon of {name}: Keras's default, {_EPSILON}, is used"
        return _normalised(replace(bank, notes=(*bank.notes, note)), norm, weights, source)
    return bank


# The graph


@dataclass
class _Layer:
    """One layer of the flattened graph."""

    path: str  # through nested models, "backbone/stem"
    name: str
    kind: str  # its class
    settings: dict[str, Any]
    place: str  # of its weights in the modern layout
    top: str  # the top-level layer that it is in, or itself
    behind: set[int] = field(default_factory=set)  # the layers that take its output
    origin: int = 0  # of what it takes

    def __str__(self) -> str:
        kernel = " x ".join(map(str, _pair(self.settings, "kernel_size", 0)))
        return f"{self.path} {self.kind} {self.settings.get('filters', '')} of {kernel}".replace("  ", " ")


class _Graph:
    """All layers of a model and of the models in it, and which feeds which."""

    def __init__(self, model: dict[str, Any], source: str) -> None:
        self.source = source
        self.layers: list[_Layer] = []
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
    def _made(layer: _Layer) -> int:
        if layer.kind in _TAKEN or layer.kind in _REFUSED:
            return _CONVOLVED
        return layer.origin if _PASSED.fullmatch(layer.kind) else _OTHER

    def _expand(self, model: Any, path: str, place: str, top: str, depth: int) -> tuple[set[int], set[int]]:
        """Append a model's layers; returns those that take its input, and those that make its output."""
        if depth > _DEEPEST:
            raise SourceError(f"{self.source}: its models are nested more than {_DEEPEST} deep; expected a few")
        settings = model["config"] if isinstance(model["config"], dict) else {"layers": model["config"]}
        items = settings["layers"]
        chain = "inbound_nodes" not in items[0]  # a Sequential model
        numbers: Counter[str] = Counter()
        members: dict[str, tuple[set[int], set[int]]] = {}
        for item in items:
            kind, inner = _name(item["class_name"]), item["config"]
            name = _name(item.get("name") or (inner.get("name") if isinstance(inner, dict) else "") or kind)
            group = _snake(kind)
            numbers[group] += 1
            group += f"_{numbers[group] - 1}" if numbers[group] > 1 else ""
            its = (f"{path}{name}", f"{place}layers/{group}", top or name)
            if _is_model(inner):
                members[name] = self._expand(item, f"{its[0]}/", f"{its[1]}/", its[2], depth + 1)
            else:
                self.layers.append(_Layer(its[0], name, kind, inner, its[1], its[2]))
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
            raise SourceError(f"{self.source}: its graph has more than {_MOST_EDGES:,} connections; expected fewer")
        for index in made:
            self.layers[index].behind |= taking

    def first(self) -> tuple[_Layer, list[_Layer]]:
        """The first convolution on the input, and the others on it."""
        reached = [layer for layer in self.layers if layer.origin & _INPUT and not layer.origin & _CONVOLVED]
        found = [layer for layer in reached if layer.kind in _TAKEN or layer.kind in _REFUSED]
        if found:
            self._check(found[0], SourceError)
            return found[0], [layer for layer in found[1:] if layer.kind in _TAKEN]
        for layer in reached:
            if layer.kind in ("Dense", "EinsumDense"):
                raise SourceError(
                    f"{self.source}: its first layer with weights, {layer.path}, is a {layer.kind} one on flattened "
                    f"pixels, which has no filters over patches; expected a Conv2D; {self._candidates()}"
                )
            if not _PASSED.fullmatch(layer.kind):
                raise SourceError(
                    f"{self.source}: {layer.path} of class {layer.kind} comes before any Conv2D, and what it computes "
                    f"is not known; expected a Conv2D; {self._candidates()}"
                )
        raise SourceError(f"{self.source}: no Conv2D is reached from its input; {self._candidates()}")

    def named(self, name: str) -> _Layer:
        """The convolution of this name."""
        found = [layer for layer in self.layers if layer.path == name]
        found = found or [layer for layer in self.layers if layer.name == name]
        if len(found) != 1:
            what = "has more than once" if found else "does not have"
            raise InputError(f"{self.source}: layer is {name!r}, which it {what}; {self._candidates()}")
        self._check(found[0], InputError)
        return found[0]

    def _check(self, layer: _Layer, error: type[FirstlightError]) -> None:
        if layer.kind not in _TAKEN:
            why = _REFUSED.get(layer.kind, "is no convolution")
            raise error(f"{self.source}: {layer.path}, a {layer.kind}, {why}; expected a Conv2D; {self._candidates()}")

    def _candidates(self) -> str:
        shown = [str(layer) for layer in self.layers if layer.kind in _TAKEN]
        if not shown:
            return "it has no Conv2D"
        more = f"; and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
        return f"its convolutions are {'; '.join(shown[:_SHOWN])}{more}: pass layer=NAME"

    def before(self, layer: _Layer) -> list[_Layer]:
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


# The bank


def _bank(graph: _Graph, layer: _Layer, weights: _Legacy | _Modern) -> FilterBank:
    source, settings = graph.source, layer.settings
    dataset = weights.of(layer, _KERNELS[layer.kind])
    if dataset is None or len(getattr(dataset, "shape", None) or ()) != 4:
        shape = getattr(dataset, "shape", None)
        raise SourceError(
            f"{source}: the kernel of {layer.path} has the shape {shape}; expected (rows, columns, channels, filters) "
            "in the file: the model was saved before it was built, or in a layout that is not known"
        )
    kernel, dtype = _values(dataset, source)
    rows, columns, channels, filters = kernel.shape
    groups = settings.get("groups") or 1
    if layer.kind == "DepthwiseConv2D":
        groups, weight = channels, kernel.transpose(2, 3, 0, 1).reshape(channels * filters, 1, rows, columns)
    else:
        weight = kernel.transpose(3, 2, 0, 1)
    if type(groups) is not int or groups < 1 or len(weight) % groups:
        raise SourceError(
            f"{source}: {layer.path} has {groups!r:.20} groups for {len(weight)} filters; expected a divisor"
        )
    stride, dilation = _pair(settings, "strides", 1), _pair(settings, "dilation_rate", 1)
    same = str(settings.get("padding", "valid")).lower() == "same"
    reach = [d * (k - 1) for d, k in zip(dilation, (rows, columns), strict=True)]
    notes = [_passed(one, weights, source) for one in graph.before(layer)]
    if same and (max(stride) > 1 or any(one % 2 for one in reach)):
        notes.append(
            'padding is "same": how much each side gets depends on the size of the input, more at bottom and right'
        )
    bank = FilterBank(
        weight,
        layer=layer.path,
        source=source,
        stride=stride,
        padding=(reach[0] // 2, reach[1] // 2) if same else (0, 0),
        dilation=dilation,
        groups=groups,
        dtype=dtype,
        notes=tuple(note for note in notes if note),
    )
    for norm in (graph.layers[index] for index in sorted(layer.behind)):
        if norm.kind == "BatchNormalization":
            activation = settings.get("activation") or "linear"
            if activation != "linear":
                note = f"the batch normalisation {norm.path} follows the layer's own activation and cannot be folded"
                return replace(bank, notes=(*bank.notes, note))
            return _normalised(bank, norm, weights, source)
    return bank


def _normalised(bank: FilterBank, norm: _Layer, weights: _Legacy | _Modern, source: str) -> FilterBank:
    """The bank with the scale of the batch normalisation that follows."""
    try:
        variance, gamma = weights.of(norm, ("moving_variance",)), weights.of(norm, ("gamma",))
        epsilon = float(norm.settings.get("epsilon", _EPSILON))
        with np.errstate(all="ignore"):  # a damaged variance is told by the bank
            deviation = np.sqrt(_values(variance, source)[0] + epsilon)
            scale = (1.0 if gamma is None else _values(gamma, source)[0]) / deviation
        return replace(bank, batch_norm=norm.path, scale=scale)
    except FirstlightError as error:
        return replace(bank, notes=(*bank.notes, f"the batch normalisation {norm.path} cannot be used: {error}"))


def _passed(layer: _Layer, weights: _Legacy | _Modern, source: str) -> str:
    """What a reader should know of a layer between the input and the first convolution, or nothing."""
    settings = layer.settings
    if layer.kind == "Rescaling":
        scale, offset = _numbers(settings.get("scale", 1)), _numbers(settings.get("offset", 0))
        return f"the network rescales its input first: x * {scale} + {offset}"
    if layer.kind == "Normalization":
        numbers = []
        for what in ("mean", "variance"):
            value = settings.get(what)
            dataset = weights.of(layer, (what,)) if value is None else None
            numbers.append(_numbers(_values(dataset, source)[0].tolist() if dataset is not None else value))
        how = "(x - mean) / sqrt(variance)"
        return f"the network normalises its input first: {how}, mean {numbers[0]}, variance {numbers[1]}"
    if layer.kind == "Lambda":
        return f"the input passes {layer.path} first, a Lambda layer, whose code is not read"
    return f"the input passes {layer.path} first, a {layer.kind}" if layer.kind == "BatchNormalization" else ""


def _numbers(value: Any) -> str:
    flat = np.ravel(np.asarray(value, dtype=np.float64))
    shown = " ".join(f"{number:.6g}" for number in flat[:_SHOWN])
    return shown + (" ..." if len(flat) > _SHOWN else "")


def _is_model(settings: Any) -> bool:
    """Whether a configuration is that of a Sequential (in old Keras a bare list) or Functional model."""
    return isinstance(settings, list) or (isinstance(settings.get("layers"), list) and len(settings["layers"]) > 0)


def _pair(settings: dict[str, Any], name: str, usual: int) -> tuple[int, int]:
    value = settings.get(name)
    values: list[Any] = value if isinstance(value, list) and value else [usual if value in (None, []) else value]
    if any(type(one) is not int or not 0 <= one < 1 << 31 for one in values):
        raise ValueError(f"{name} is {str(value)[:40]}")
    return values[0], values[-1]


def _name(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 1000:
        raise ValueError(f"{str(value)[:40]!r} where a name was expected")
    return value


def _snake(name: str) -> str:
    """What Keras calls the group of a class: Conv2D -> conv2d."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def _natural(name: str) -> list[Any]:
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in re.split(r"(\d+)", name)]


def _stored(dataset: Any) -> str:
    return "bfloat16" if dataset.dtype.kind == "V" else dataset.dtype.name
