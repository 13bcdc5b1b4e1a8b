"""Programs that `torch.export.save` wrote (.pt2): the first convolution by the graph, its weight by its raw bytes.

The archive is a zip: the graph as JSON (models/NAME.json), the raw numbers of each weight (data/weights/weight_N), and
where which weight lies (data/weights/NAME_weights_config.json). Neither torch nor any code of the file is run.
"""

import json
import math
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np

from firstlight.errors import FirstlightError, InputError, SourceError
from firstlight.filters.bank import FilterBank
from firstlight.filters.dtypes import item_size, to_float64
from firstlight.filters.tensors import LARGEST

LARGEST_JSON = 1 << 24  # bytes; 16 MiB of hostile JSON unfold to some 600 MiB, and no real graph comes near
_FARTHEST = 1 << 30  # bytes into a shared storage that may have to be read over before the weight begins
_DEEPEST = 16  # nested subgraphs
_SHOWN = 8

# Whatever the zip and JSON parsers, and looking into JSON of another shape, raise on damaged files.
PARSE_ERRORS = (zipfile.BadZipFile, zlib.error, struct.error, OSError, EOFError, ValueError, LookupError, TypeError)
PARSE_ERRORS += (AttributeError, RuntimeError, ArithmeticError, MemoryError)  # RuntimeError: also RecursionError

# torch's serialised number formats (its ScalarType).
_DTYPES = dict(enumerate(("uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"), 1))
_DTYPES |= {9: "complex32", 10: "complex64", 11: "complex128", 12: "bool", 13: "bfloat16", 28: "uint16", 34: "uint32"}
_DTYPES |= {29: "float8_e4m3fn", 30: "float8_e5m2", 31: "float8_e4m3fnuz", 32: "float8_e5m2fnuz", 33: "float8_e8m0fnu"}
_STRIDED = 7  # of torch's memory layouts the only one that is not sparse

_CONVOLUTIONS = {f"conv{transposed}{d}d" for transposed in ("", "_transpose") for d in (1, 2, 3)}
_CONVOLUTIONS |= {"convolution", "_convolution", "convolution_overrideable", "cudnn_convolution", "mkldnn_convolution"}
_LINEAR = {"linear", "addmm", "mm", "bmm", "matmul", "baddbmm", "einsum", "embedding", "lstm", "gru", "rnn_tanh"}
_DEQUANTIZE = {"dequantize_per_tensor", "dequantize_per_channel"}
_SAME_VALUES = {"to", "_to_copy", "alias", "detach", "detach_", "clone", "contiguous", "lift_fresh_copy"}
_BATCH_NORMS = {"batch_norm", "native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training"}
_BATCH_NORMS |= {"_native_batch_norm_legit_functional", "cudnn_batch_norm", "_batch_norm_with_update"}

# What a value comes from: the input, a convolution, a matrix product.
_INPUT, _CONVOLVED, _MULTIPLIED = 1, 2, 4


def is_exported(names: list[str]) -> bool:
    """Whether a zip with members of these names is a program of `torch.export.save`, or was compiled from one."""
    return any(name.rpartition("/")[2] in ("archive_format", "serialized_exported_program.json") for name in names)


def read_exported(path: Path, source: str, layer: str | None = None) -> FilterBank:
    """The filters of the first convolution that an exported program applies to its input.

    Parameters
    ----------
    path : Path
        A .pt2 archive.
    source : str
        What messages and the result call it.
    layer : str, optional
        Name of a convolution's weight to take instead, with or without ".weight".

    Returns
    -------
    FilterBank
        Further convolutions on the same input are listed in `alternatives`.

    Raises
    ------
    SourceError
        The file is damaged, too old, or holds pickled or compiled code only; or the first layer is no
        two-dimensional convolution.
    InputError
        `layer` names no convolution.
    """
    with refusing(source, "a program as torch.export.save writes it"), open_archive(path, source) as archive:
        program = _Program(archive, source)
        chosen, others = program.first() if layer is None else (program.named(layer), [])
        bank = program.bank(chosen)
        return replace(bank, alternatives=tuple(program.label(node) for node in others))


@contextmanager
def refusing(source: str, expected: str) -> Iterator[None]:
    """Turn what parsers raise on a damaged file into one line."""
    try:
        yield
    except FirstlightError:
        raise
    except PARSE_ERRORS as error:
        if isinstance(error, OSError) and error.strerror:  # the system's, not a parser's
            raise SourceError(f"{source}: cannot be read: {error.strerror}") from None
        cause = " ".join(str(error).split())[:200]
        raise SourceError(
            f"{source}: cannot be read as {expected} ({type(error).__name__}: {cause}): it is damaged or cut off"
        ) from None


class _Guarded(FileIO):
    """A file that refuses to read much at once, until it is told to."""

    most: int | None = LARGEST_JSON

    def read(self, size: int | None = -1, /) -> bytes:
        if self.most is not None and size is not None and size > self.most:
            raise SourceError(
                f"{self.name}: its directory of members is of {size:,} bytes; expected at most {self.most:,}"
            )
        return super().read(size)


@contextmanager
def open_archive(path: Path, source: str) -> Iterator[zipfile.ZipFile]:
    """Open a zip, but not one with a million members, whose directory alone would fill the memory."""
    with ExitStack() as stack:
        with refusing(source, "a zip archive"):
            file = stack.enter_context(_Guarded(path))
            archive = stack.enter_context(zipfile.ZipFile(file))
        file.most = None
        yield archive


def read_member(archive: zipfile.ZipFile, name: str, source: str, span: tuple[int, int] | None = None) -> bytes:
    """A member of at most LARGEST_JSON bytes, or its bytes from `span[0]` to `span[1]`; it never unfolds to more.

    Raises
    ------
    SourceError
        It is missing, too large, compressed in an unusual way, or shorter than declared.
    """
    if name not in archive.NameToInfo:
        raise SourceError(f"{source}: has no member {name!r}; expected one: the file is incomplete")
    info = archive.getinfo(name)
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise SourceError(
            f"{source}: {name} is compressed by method {info.compress_type}; expected it stored or deflated"
        )
    start, stop = span or (0, info.file_size)
    if span is None and stop > LARGEST_JSON:
        raise SourceError(f"{source}: {name} declares {stop:,} bytes; expected at most {LARGEST_JSON:,}")
    if stop > info.file_size:
        raise SourceError(f"{source}: {name} holds {info.file_size:,} bytes; expected at least {stop:,}: it is cut off")
    with archive.open(info) as file:
        file.seek(start)
        data = file.read(stop - start)
    if len(data) != stop - start:
        raise SourceError(f"{source}: {name} ends after {start + len(data):,} bytes; expected {stop:,}: it is cut off")
    return data


@dataclass(frozen=True)
class _Node:
    """One operation of the flattened graph; the values it takes and makes are named by unique strings."""

    operation: str  # "conv2d" of "torch.ops.aten.conv2d.default"
    settings: dict[str, Any]
    tensors: dict[str, str]  # the operands that are passed by name
    operands: list[str]
    results: list[str] = field(default_factory=list)


class _Program:
    """The graph of an exported program, subgraphs inlined, and its weights."""

    def __init__(self, archive: zipfile.ZipFile, source: str) -> None:
        self.archive, self.source = archive, source
        self.root, model = self._model()
        graph_module = self._json(f"models/{model}.json")["graph_module"]
        self.payloads: dict[str, tuple[str, dict[str, Any]]] = {}
        for folder, config in (("data/constants", "constants"), ("data/weights", "weights")):
            if f"{self.root}{folder}/{model}_{config}_config.json" in archive.NameToInfo:
                for name, payload in self._json(f"{folder}/{model}_{config}_config.json")["config"].items():
                    self.payloads[name] = (folder, payload)
        self.weights: dict[str, str] = {}  # value -> full name of the parameter, buffer or constant
        inputs: list[str] = []
        for spec in graph_module["signature"]["input_specs"]:
            ((kind, content),) = spec.items()
            if kind in ("parameter", "buffer", "tensor_constant"):
                self.weights[content["arg"]["name"]] = content[f"{kind}_name"]
            elif kind == "user_input":
                inputs += _values(content["arg"])
        self.nodes: list[_Node] = []
        self._flatten(graph_module["graph"], {}, "", 0)
        self.makers = {result: node for node in self.nodes for result in node.results}
        self.origins = dict.fromkeys(inputs, _INPUT)
        for node in self.nodes:
            origin = 0
            for operand in node.operands:
                origin |= self.origins.get(operand, 0)
            if origin:
                origin = _CONVOLVED if _convolves(node) else _MULTIPLIED if node.operation in _LINEAR else origin
                self.origins |= dict.fromkeys(node.results, origin)

    def _model(self) -> tuple[str, str]:
        """The folder that holds all (a new archive has one) and the program's name."""
        names = self.archive.namelist()
        if "serialized_exported_program.json" in names:
            raise SourceError(
                f"{self.source}: was exported by torch 2.7 or older, which pickled the weights; expected a newer "
                "archive: load it with that torch and export it again with a newer torch"
            )
        root = next((name[: -len("archive_format")] for name in names if name.endswith("archive_format")), "")
        models = [
            name[len(root) + 7 : -5] for name in names if name.startswith(f"{root}models/") and name.endswith(".json")
        ]
        if not models:
            raise SourceError(f"{self.source}: holds no exported graph, only compiled code; expected models/model.json")
        if "model" not in models and len(models) > 1:
            raise SourceError(
                f"{self.source}: holds the programs {', '.join(models[:_SHOWN])}; expected one program a file"
            )
        model = "model" if "model" in models else models[0]
        if f"{root}data/weights/{model}.pt" in names:
            raise SourceError(
                f"{self.source}: {root}data/weights/{model}.pt holds the weights pickled, as torch 2.8 wrote them; "
                "expected raw weights: load it with that torch and export it again with a newer torch"
            )
        if f"{root}byteorder" in names and read_member(self.archive, f"{root}byteorder", self.source) != b"little":
            raise SourceError(f"{self.source}: was written on a big-endian machine; expected little-endian weights")
        return root, model

    def _json(self, name: str) -> Any:
        return json.loads(read_member(self.archive, self.root + name, self.source))

    def _flatten(self, graph: dict[str, Any], known: dict[str, str], prefix: str, depth: int) -> None:
        """Append the operations of a graph; `known` renames its values, `prefix` makes its own ones unique."""
        if depth > _DEEPEST:
            raise SourceError(f"{self.source}: its graphs are nested more than {_DEEPEST} deep; expected a few")
        for number, node in enumerate(graph["nodes"]):
            tensors, operands, settings, subgraphs, first = {}, [], {}, [], 0
            for argument in node["inputs"]:
                ((kind, value),) = argument["arg"].items()
                values = [known.get(name, prefix + name) for name in _values(argument["arg"])]
                if kind == "as_graph":
                    subgraphs.append(value["graph"])
                    first = len(operands)  # what comes behind the graphs is what they are given
                if kind in ("as_tensor", "as_optional_tensor") and values:
                    tensors[argument["name"]] = values[0]
                operands += values
                settings[argument["name"]] = value
            results = [name for output in node["outputs"] for name in _values(output)]
            for index, subgraph in enumerate(subgraphs):
                taken = [name for one in subgraph["inputs"] for name in _values(one)]
                inner, inner_prefix = dict(zip(taken, operands[first:], strict=False)), f"{prefix}{number}.{index}/"
                self._flatten(subgraph, inner, inner_prefix, depth + 1)
                made = [inner.get(name, inner_prefix + name) for one in subgraph["outputs"] for name in _values(one)]
                known.update(zip(results, made, strict=False))
            if not subgraphs:
                operation = [*node["target"].removeprefix("torch.ops.").split("."), ""][1]
                self.nodes.append(_Node(operation, settings, tensors, operands, [prefix + name for name in results]))

    def first(self) -> tuple[_Node, list[_Node]]:
        """The first two-dimensional convolution on the input, and the others on it."""
        on_input = []
        for node in self.nodes:
            if _convolves(node):
                origin = self.origins.get(_data(node), 0)
                if origin & _INPUT and not origin & _CONVOLVED:
                    on_input.append(node)
        if on_input:
            if problem := self._unusable(on_input[0]):
                raise SourceError(f"{self.source}: {problem}; {self._candidates()}")
            return on_input[0], [node for node in on_input[1:] if not self._unusable(node)]
        for node in self.nodes:
            if node.operation in _LINEAR and any(self.origins.get(one, 0) & _INPUT for one in node.operands):
                name = next((self._weight(one) for one in node.operands if self._weight(one)), "")
                raise SourceError(
                    f"{self.source}: its first layer, {name or 'without a name'}, is a linear one ({node.operation}), "
                    "as of pixels or flattened patches, whose order of pixels is not known; expected a two-dimensional "
                    f"convolution; {self._candidates()}"
                )
        raise SourceError(f"{self.source}: applies no convolution to its input; {self._candidates()}")

    def named(self, layer: str) -> _Node:
        """The convolution whose weight has this name, with or without ".weight"."""
        wanted = {layer, f"{layer}.weight" if layer else "weight"}
        for node in self.nodes:
            if _convolves(node) and self._weight(node.tensors.get("weight", "")) in wanted:
                if problem := self._unusable(node):
                    raise InputError(f"{self.source}: layer is {layer!r}: {problem}; {self._candidates()}")
                return node
        raise InputError(f"{self.source}: layer is {layer!r}, which is no convolution of it; {self._candidates()}")

    def _unusable(self, node: _Node) -> str:
        """Why a convolution cannot be taken, or nothing."""
        name = self._weight(node.tensors.get("weight", ""))
        if not name:
            maker = self.makers.get(self._same(node.tensors.get("weight", "")))
            how = f" by {maker.operation}" if maker else ""
            return (
                f"the weight of its convolution {''.join(node.results)} is computed in the graph{how}; expected a "
                "stored one: bake it in (as with torch.nn.utils.parametrize.remove_parametrizations) and export again"
            )
        dimensions = len(self._shape(name)) - 2
        if dimensions != 2:
            return f"the convolution {layer_of(name)} is {dimensions}-dimensional; expected a two-dimensional one"
        if "transpose" in node.operation or node.settings.get("transposed") is True:
            return f"the convolution {layer_of(name)} is a transposed one; expected one that has input patches"
        return ""

    def bank(self, node: _Node) -> FilterBank:
        """The filters of a convolution and the batch normalisation behind it."""
        name = self._weight(node.tensors["weight"])
        kernel = self._shape(name)[2:]
        stride, dilation = _pair(node.settings.get("stride"), 1), _pair(node.settings.get("dilation"), 1)
        padding = node.settings.get("padding")
        if padding == "same":
            padding = [d * (k - 1) // 2 for d, k in zip(dilation, kernel, strict=True)]
        weight, dtype = self._dequantized(self._same(node.tensors["weight"]))
        bank = FilterBank(
            weight,
            layer=layer_of(name),
            source=self.source,
            stride=stride,
            padding=_pair(None if padding == "valid" else padding, 0),
            dilation=dilation,
            groups=_whole(node.settings.get("groups", 1)),
            dtype=dtype,
        )
        for norm in self.nodes:
            if norm.operation in _BATCH_NORMS and self._same(norm.tensors.get("input", "")) in node.results:
                try:
                    return self._normalised(bank, norm)
                except FirstlightError as error:
                    return replace(bank, notes=(*bank.notes, f"the batch normalisation cannot be used: {error}"))
        return bank

    def _normalised(self, bank: FilterBank, norm: _Node) -> FilterBank:
        variance = self._weight(norm.tensors.get("running_var", ""))
        if not variance:
            return replace(bank, notes=(*bank.notes, "the batch normalisation that follows keeps no running variance"))
        gamma = self._weight(norm.tensors.get("weight", ""))
        with np.errstate(all="ignore"):  # a damaged variance is told by the bank
            deviation = np.sqrt(
                self._read(variance) + float(norm.settings.get("eps", norm.settings.get("epsilon", 1e-5)))
            )
            scale = (self._read(gamma) if gamma else np.ones(deviation.shape)) / deviation
        return replace(bank, batch_norm=variance.rpartition(".")[0], scale=scale)

    def label(self, node: _Node) -> str:
        """NAME K x C x kh x kw."""
        name = self._weight(node.tensors.get("weight", ""))
        return f"{layer_of(name)} {' x '.join(map(str, self._shape(name)))}"

    def _candidates(self) -> str:
        labels = [self.label(node) for node in self.nodes if _convolves(node) and not self._unusable(node)]
        labels = list(dict.fromkeys(labels))
        if not labels:
            return "it has no two-dimensional convolutions with stored weights"
        more = f"; and {len(labels) - _SHOWN} more" if len(labels) > _SHOWN else ""
        return f"its convolutions are {'; '.join(labels[:_SHOWN])}{more}: pass layer=NAME"

    def _same(self, value: str) -> str:
        """Back through casts and copies to where a value was made."""
        # The maker of a value comes before its user, but a hostile graph may say otherwise: so not for ever.
        for _ in range(_DEEPEST):
            maker = self.makers.get(value)
            if maker is None or maker.operation not in _SAME_VALUES or not maker.operands:
                break
            value = maker.operands[0]
        return value

    def _weight(self, value: str) -> str:
        """Full name of the stored tensor that a value is, rescaled or not, or nothing where it is computed."""
        value = self._same(value)
        if value in self.makers and self.makers[value].operation in _DEQUANTIZE:
            value = self._same(self.makers[value].tensors.get("input", ""))
        return self.weights.get(value, "")

    def _dequantized(self, value: str) -> tuple[np.ndarray, str]:
        """The weight that a value is, float64, rescaled where it is quantised, and how it is stored."""
        name, maker = self._weight(value), self.makers.get(value)
        weight, dtype = self._read(name), self._dtype(name)
        if maker is None:
            return weight, dtype
        if maker.operation == "dequantize_per_tensor" and not maker.tensors.keys() & {"scale", "zero_point"}:
            scale, zero = np.asarray(maker.settings["scale"], float), np.asarray(maker.settings["zero_point"], float)
        else:
            tensors = [maker.tensors.get(f"{part}s") or maker.tensors[part] for part in ("scale", "zero_point")]
            scale, zero = (self._read(self._weight(one)) for one in tensors)
            axes = [1] * weight.ndim
            axes[_whole(maker.settings.get("axis", 0))] = -1
            if scale.size not in (1, weight.shape[axes.index(-1)]) or zero.size != scale.size:
                raise SourceError(f"{self.source}: {name} has {scale.size} scales for the shape {weight.shape}")
            scale, zero = scale.reshape(axes), zero.reshape(axes)
        return (weight - zero) * scale, f"quantized {dtype}"

    def _meta(self, name: str) -> tuple[str, dict[str, Any]]:
        if name not in self.payloads:
            raise SourceError(f"{self.source}: its graph uses {name}, which it does not hold; expected the weight")
        folder, payload = self.payloads[name]
        if payload["use_pickle"] or payload["tensor_meta"] is None:
            raise SourceError(
                f"{self.source}: {name} is of a tensor class of its own and stored as a pickle, which can run code "
                "when read; expected a plain tensor: save the network's state as safetensors instead"
            )
        return f"{self.root}{folder}/{payload['path_name']}", payload["tensor_meta"]

    def _shape(self, name: str) -> tuple[int, ...]:
        return tuple(_whole(size["as_int"]) for size in self._meta(name)[1]["sizes"])

    def _dtype(self, name: str) -> str:
        code = self._meta(name)[1]["dtype"]
        return _DTYPES.get(code, f"number {code} of torch's list")

    def _read(self, name: str) -> np.ndarray:
        """The values of a stored tensor, float64: a strided view of a storage that several tensors may share."""
        member, meta = self._meta(name)
        shape, dtype = self._shape(name), self._dtype(name)
        strides = [_whole(stride["as_int"]) for stride in meta["strides"]]
        offset = _whole(meta["storage_offset"]["as_int"])
        if meta["layout"] != _STRIDED:
            raise SourceError(f"{self.source}: {name} is sparse; expected a dense tensor")
        if math.prod(shape) > LARGEST or len(shape) != len(strides):
            raise SourceError(
                f"{self.source}: {name} declares the shape {shape[:_SHOWN]}; expected at most {LARGEST:,} numbers: no "
                "first layer is so large"
            )
        length = sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True)) + 1 if all(shape) else 0
        try:
            size = item_size(dtype)
        except SourceError as error:
            raise SourceError(f"{self.source}: {name}: {error}") from None
        if length > LARGEST or (offset + length) * size > _FARTHEST:
            raise SourceError(
                f"{self.source}: {name} lies spread over {length:,} numbers behind {offset:,}; expected it in one piece"
            )
        raw = read_member(self.archive, member, self.source, (offset * size, (offset + length) * size))
        flat = to_float64(raw, dtype, (length,))
        return np.lib.stride_tricks.as_strided(flat, shape, [stride * flat.itemsize for stride in strides]).copy()


def layer_of(weight: str) -> str:
    """The layer that a weight of this full name belongs to."""
    return "" if weight == "weight" else weight.removesuffix(".weight")


def _convolves(node: _Node) -> bool:
    return node.operation in _CONVOLUTIONS


def _data(node: _Node) -> str:
    return node.tensors.get("input") or node.tensors.get("self") or ""


def _values(argument: Any) -> list[str]:
    """Names of the tensors in one serialised argument."""
    ((kind, value),) = argument.items()
    if kind == "as_tensor":
        return [value["name"]]
    if kind == "as_optional_tensor":
        return _values(value) if "as_tensor" in value else []
    if kind == "as_tensors":
        return [one["name"] for one in value]
    if kind == "as_optional_tensors":
        return [one["as_tensor"]["name"] for one in value if "as_tensor" in one]
    return []


def _pair(value: Any, usual: int) -> tuple[int, int]:
    values = [usual] if value is None or value == [] else value if isinstance(value, list) else [value]
    return _whole(values[0]), _whole(values[-1])


def _whole(value: Any) -> int:
    """A count as JSON holds it; sizes that depend on the input, or nonsense, are a ValueError."""
    if type(value) is not int or not 0 <= value < 1 << 48:
        raise ValueError(f"{str(value)[:40]!r} where a size was expected")
    return value
