"""The archive of an exported program: the graph as JSON, and the tensors, each a view of some member's raw numbers.

The graph is in models/NAME.json, the numbers in data/weights/weight_N and data/constants/tensor_N, and where which
tensor lies in data/weights/NAME_weights_config.json and its like.
"""

import math
import zipfile
from typing import Any

import numpy as np

from firstlight.errors import SourceError
from firstlight.filters.choice.tensors import LARGEST
from firstlight.filters.formats.archives import read_member
from firstlight.filters.formats.dtypes import item_size, to_float64
from firstlight.utils.given import json_of
from firstlight.utils.text import listed

_FARTHEST = 1 << 30  # bytes into a shared storage that may have to be read over before the weight begins
_SHOWN = 8

# torch's serialised number formats (its ScalarType).
_DTYPES = dict(enumerate(("uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"), 1))
_DTYPES |= {9: "complex32", 10: "complex64", 11: "complex128", 12: "bool", 13: "bfloat16", 28: "uint16", 34: "uint32"}
_DTYPES |= {29: "float8_e4m3fn", 30: "float8_e5m2", 31: "float8_e4m3fnuz", 32: "float8_e5m2fnuz", 33: "float8_e8m0fnu"}
_STRIDED = 7  # of torch's memory layouts the only one that is not sparse


class ExportedArchive:
    """The members of an exported program's archive.

    Parameters
    ----------
    archive : ZipFile

    Attributes
    ----------
    graph_module : dict
        The program's graph and its signature, as JSON has them.

    Raises
    ------
    SourceError
        It is of torch 2.8 or older, which pickled the weights, holds compiled code only, or a member is missing.
    """

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.archive = archive
        self.root, model = self._model()
        self.graph_module: dict[str, Any] = self._json(f"models/{model}.json")["graph_module"]
        self.payloads: dict[str, tuple[str, dict[str, Any]]] = {}
        for folder, config in (("data/constants", "constants"), ("data/weights", "weights")):
            if f"{self.root}{folder}/{model}_{config}_config.json" in archive.NameToInfo:
                for name, payload in self._json(f"{folder}/{model}_{config}_config.json")["config"].items():
                    self.payloads[name] = (folder, payload)

    def shape(self, name: str) -> tuple[int, ...]:
        """What a tensor of this full name declares."""
        return tuple(whole(size["as_int"]) for size in self._meta(name)[1]["sizes"])

    def dtype(self, name: str) -> str:
        """How a tensor is stored: "float32", "bfloat16" and so on."""
        code = self._meta(name)[1]["dtype"]
        return _DTYPES.get(code, f"number {code} of torch's list")

    def read(self, name: str) -> np.ndarray:
        """The values of a tensor, float64: a strided view of a storage that several tensors may share.

        Raises
        ------
        SourceError
            It is pickled, sparse, not of numbers, larger than any first layer, or not whole.
        """
        member, meta = self._meta(name)
        shape, dtype = self.shape(name), self.dtype(name)
        strides = [whole(stride["as_int"]) for stride in meta["strides"]]
        offset = whole(meta["storage_offset"]["as_int"])
        if meta["layout"] != _STRIDED:
            raise SourceError(f"{name} is sparse; expected a dense tensor")
        if math.prod(shape) > LARGEST or len(shape) != len(strides):
            raise SourceError(
                f"{name} declares the shape {shape[:_SHOWN]}; expected at most {LARGEST:,} numbers: no "
                "first layer is so large"
            )
        length = sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True)) + 1 if all(shape) else 0
        try:
            size = item_size(dtype)
        except SourceError as error:
            raise SourceError(f"{name}: {error}") from None
        if length > LARGEST or (offset + length) * size > _FARTHEST:
            raise SourceError(f"{name} lies spread over {length:,} numbers behind {offset:,}; expected it in one piece")
        raw = read_member(self.archive, member, (offset * size, (offset + length) * size))
        flat = to_float64(raw, dtype, (length,))
        return np.lib.stride_tricks.as_strided(flat, shape, [stride * flat.itemsize for stride in strides]).copy()

    def _model(self) -> tuple[str, str]:
        """The folder that holds all (a new archive has one) and the program's name."""
        names = self.archive.namelist()
        if "serialized_exported_program.json" in names:
            raise SourceError(
                "was exported by torch 2.7 or older, which pickled the weights; expected a newer "
                "archive: load it with that torch and export it again with a newer torch"
            )
        root = next((name[: -len("archive_format")] for name in names if name.endswith("archive_format")), "")
        models = [
            name[len(root) + 7 : -5] for name in names if name.startswith(f"{root}models/") and name.endswith(".json")
        ]
        if not models:
            raise SourceError("holds no exported graph, only compiled code; expected models/model.json")
        if "model" not in models and len(models) > 1:
            raise SourceError(f"holds the programs {listed(models, separator=', ')}; expected one program a file")
        model = "model" if "model" in models else models[0]
        if f"{root}data/weights/{model}.pt" in names:
            raise SourceError(
                f"{root}data/weights/{model}.pt holds the weights pickled, as torch 2.8 wrote them; "
                "expected raw weights: load it with that torch and export it again with a newer torch"
            )
        if f"{root}byteorder" in names and read_member(self.archive, f"{root}byteorder") != b"little":
            raise SourceError("was written on a big-endian machine; expected little-endian weights")
        return root, model

    def _json(self, name: str) -> Any:
        return json_of(read_member(self.archive, self.root + name))

    def _meta(self, name: str) -> tuple[str, dict[str, Any]]:
        if name not in self.payloads:
            raise SourceError(f"its graph uses {name}, which it does not hold; expected the weight")
        folder, payload = self.payloads[name]
        if payload["use_pickle"] or payload["tensor_meta"] is None:
            raise SourceError(
                f"{name} is of a tensor class of its own and stored as a pickle, which can run code "
                "when read; expected a plain tensor: save the network's state as safetensors instead"
            )
        return f"{self.root}{folder}/{payload['path_name']}", payload["tensor_meta"]


def whole(value: Any) -> int:
    """A count as JSON holds it; sizes that depend on the input, or nonsense, are a ValueError."""
    if type(value) is not int or not 0 <= value < 1 << 48:
        raise ValueError(f"{str(value)[:40]!r}; expected a size")
    return value
