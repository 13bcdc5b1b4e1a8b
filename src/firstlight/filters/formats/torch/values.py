"""Tensors in an interpreted PyTorch pickle: which there are, and the numbers of one of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

from firstlight.filters.formats.torch.globals import ELEMENT_SIZES, STORAGES, TENSOR_CLASSES
from firstlight.filters.formats.torch.pickle_values import Call, Global, Malformed, Mapping
from firstlight.utils.text import printable

_MAX_DEPTH = 100
_MAX_TENSORS = 100_000
_MAX_DIMENSIONS = 64
_MAX_NAME = 500
# More arguments than any function that makes a tensor takes.
_MAX_ARGS = 10
# The attributes in which a torch.nn.Module keeps its state.
_REGISTERED = ("_parameters", "_buffers", "_modules")
_SUBCLASS = "torch._tensor._rebuild_from_type_v2"
# Calls that pass on what they are given: a tensor, or how to make one.
_PASSING = frozenset(
    {f"torch._utils._rebuild_{name}" for name in ("parameter", "parameter_with_state", "device_tensor_from_cpu_tensor")}
    | {f"torch.jit._pickle.{name}" for name in ("build_tensorlist", "restore_type_tag")}
    | TENSOR_CLASSES
    | {_SUBCLASS}
)


@dataclass(frozen=True, slots=True)
class Storage:
    """A run of numbers in a file: `size` bytes from byte `start` of the record `key`."""

    key: str
    dtype: str
    size: int
    start: int = 0


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor as the file describes it: `offset` and `strides` in elements.

    Without a storage it cannot be read, for the reason that `missing` gives. `quantizer` is (scale, zero point), as
    numbers, or with tensors and the axis along which they go.
    """

    shape: tuple[int, ...]
    dtype: str
    storage: Storage | None = None
    offset: int = 0
    strides: tuple[int, ...] = ()
    negative: bool = False
    quantizer: tuple[Any, ...] = ()
    missing: str = ""


def storage_of(identity: Any) -> Storage:
    """The storage that a persistent id stands for.

    Raises
    ------
    Malformed
        It is no storage's.
    """
    match identity:
        case ("storage", Global() as kind, str(key), _, int(count)) | (
            "storage",
            Global() as kind,
            str(key),
            _,
            int(count),
            None,
        ):
            start, length = 0, count
        case ("storage", Global() as kind, str(key), _, int(count), (_, int(start), int(length))):
            pass  # a view, as before PyTorch 0.4
        case _:
            raise Malformed("a persistent id of something else than a storage")
    if kind.path not in STORAGES or not 0 <= start <= start + length <= count:
        raise Malformed("a storage of unknown type or size")
    item = ELEMENT_SIZES[STORAGES[kind.path]]
    return Storage(key, STORAGES[kind.path], length * item, start * item)


def named_tensors(root: Any) -> Iterator[tuple[str, StoredTensor]]:
    """All tensors however nested, in the order of the file, under their keys joined by dots.

    A container that stands in several places counts where it stands first, so that sharing and cycles end.

    Raises
    ------
    Malformed
        A tensor's description makes no sense, or there are too many levels or tensors.
    """
    if (tensor := tensor_of(root)) is not None:
        yield "tensor", tensor
    count, seen, keys, levels = 0, {id(root)}, [], [_children(root)]
    while levels:
        child = next(levels[-1], None)
        if child is None:
            levels.pop()
            if keys:
                keys.pop()
            continue
        key, value = child
        if (tensor := tensor_of(value)) is not None:
            count += 1
            name = ".".join(_text(part) for part in (*keys, key))
            if count > _MAX_TENSORS or len(name) > _MAX_NAME:
                raise Malformed("too many tensors, or too long a name")
            yield name, tensor
        elif _is_nested(value) and id(value) not in seen:
            seen.add(id(value))
            if len(levels) > _MAX_DEPTH:
                raise Malformed(f"containers in containers, {_MAX_DEPTH} deep")
            keys.append(key)
            levels.append(_children(value))


def _children(value: Any) -> Iterator[tuple[Any, Any]]:
    value = _unwrapped(value)
    if isinstance(value, Call):
        if value.function.module == "torch._utils":  # parts of a tensor that has no values here
            return iter(())
        # The attributes of a module come in the order of their registration.
        value = (Mapping(value.flat) if value.flat else value.items) or value.state or value.args
    if isinstance(value, Mapping):
        return _registered(value)
    return iter(enumerate(value) if isinstance(value, list | tuple) else ())


def _registered(mapping: Mapping) -> Iterator[tuple[Any, Any]]:
    """A mapping's items; of a network's attributes those that its state dict has, under their names there."""
    items = list(mapping.items())
    groups = [value for key, value in items if isinstance(key, str) and key in _REGISTERED]
    if len(groups) < len(_REGISTERED) or not all(isinstance(group, Mapping) for group in groups):
        return iter(items)
    return chain.from_iterable(group.items() for group in groups)


def _text(key: Any) -> str:
    if isinstance(key, int | float | None) or (
        isinstance(key, tuple) and len(key) <= _MAX_DIMENSIONS and not any(map(_is_nested, key))
    ):
        key = str(key)
    elif not isinstance(key, str):
        key = type(key).__name__
    return key if len(key) <= _MAX_NAME and key.isprintable() else printable(key, 40)


def _is_nested(value: Any) -> bool:
    return not isinstance(value, str | int | float | None)


def _unwrapped(value: Any) -> Any:
    """What parameters, subclasses of tensors and tagged containers hold."""
    for _ in range(_MAX_ARGS):
        if not isinstance(value, Call) or value.function.path not in _PASSING:
            return value
        match value.args, value.state:
            case (Global() as function, Global(), tuple(args), _), _ if value.function.path == _SUBCLASS:
                value = Call(function, args)
            case (), (inner, _, _, _, _):  # a Parameter of before PyTorch 0.4
                value = inner
            case (inner, *_), _ if value.function.path not in TENSOR_CLASSES or isinstance(inner, Call):
                value = inner
            case _:
                return value
    raise Malformed("wrappers in wrappers")


def tensor_of(value: Any) -> StoredTensor | None:
    """The tensor that a call would make, or None where it makes something else.

    Raises
    ------
    Malformed
        It would fail.
    """
    if not isinstance(value, Call) or not isinstance(value := _unwrapped(value), Call):
        return None
    if len(value.args) > _MAX_ARGS:
        if value.function.module != "torch._utils":
            return None
        raise Malformed("a call with too many arguments")
    match value.function.path.removeprefix("torch._utils._rebuild_"), value.args:
        case "tensor" | "tensor_v2", (Storage() as storage, offset, size, strides, *rest):
            return _strided(storage, storage.dtype, offset, size, strides, rest[2:])
        case "tensor_v3", (Storage() as storage, offset, size, strides, _, _, dtype, *rest):
            return _strided(storage, _dtype(dtype), offset, size, strides, rest)
        case "qtensor", (Storage() as storage, offset, size, strides, tuple(quantizer), *_):
            return _strided(storage, storage.dtype, offset, size, strides, [], quantizer[1:])
        case "meta_tensor_no_storage", (dtype, size, *_):
            return StoredTensor(_sizes(size), _dtype(dtype), missing="is on the meta device and has no values")
        case "wrapper_subclass", (_, dtype, size, *_):
            return StoredTensor(_sizes(size), _dtype(dtype), missing="is of a subclass that keeps its values elsewhere")
        case "sparse_tensor", (_, tuple(parts)) if len(parts) <= _MAX_ARGS:
            # The size comes last, but for whether the indices of the coordinate format are sorted.
            size = next((part for part in reversed(parts) if not isinstance(part, bool | None)), None)
            return StoredTensor(_sizes(size), "sparse", missing="is a sparse tensor; expected a dense one")
        case path, _ if path in TENSOR_CLASSES and isinstance(value.state, tuple) and len(value.state) == 4:
            return tensor_of(Call(Global("torch._utils", "_rebuild_tensor"), value.state))  # PyTorch 0.1
        case "tensor" | "tensor_v2" | "tensor_v3" | "qtensor" | "meta_tensor_no_storage" | "sparse_tensor", _:
            raise Malformed("a tensor with the wrong arguments")
    return None


def _strided(
    storage: Storage, dtype: str, offset: Any, size: Any, strides: Any, metadata: list, quantizer: tuple = ()
) -> StoredTensor:
    shape, steps = _sizes(size), _sizes(strides)
    if len(shape) != len(steps) or type(offset) is not int or not 0 <= offset < 1 << 63:
        raise Malformed("a tensor whose size and strides do not agree")
    flat = metadata[0].flat if metadata and isinstance(metadata[0], Mapping) else []
    # What may be there: {"neg": True}, {"conj": True}, or both.
    negative = any(flat[i] == "neg" and flat[i + 1] is True for i in range(0, min(len(flat), 4), 2))
    return StoredTensor(shape, dtype, storage, offset, steps, negative, quantizer)


def _dtype(value: Any) -> str:
    if isinstance(value, Global) and value.module == "torch" and value.name in ELEMENT_SIZES:
        return value.name
    raise Malformed("a tensor of an unknown type")


def _sizes(value: Any) -> tuple[int, ...]:
    if isinstance(value, Call) and value.function.path == "torch.Size" and len(value.args) == 1:
        value = value.args[0]
    if not isinstance(value, tuple | list) or len(value) > _MAX_DIMENSIONS:
        raise Malformed("a tensor whose size is no tuple")
    if not all(type(n) is int and 0 <= n < 1 << 63 for n in value):
        raise Malformed("a tensor whose size makes no sense")
    return tuple(value)
