"""The classes, functions and number formats that a PyTorch pickle may name, and those that only an attack does."""

import builtins

from firstlight.filters.formats.torch.pickle_values import Global

_KINDS = {
    "Double": "float64",
    "Float": "float32",
    "Half": "float16",
    "BFloat16": "bfloat16",
    "Long": "int64",
    "Int": "int32",
    "Short": "int16",
    "Char": "int8",
    "Byte": "uint8",
    "Bool": "bool",
}
_COMPLEX = {"ComplexDouble": "complex128", "ComplexFloat": "complex64"}
_QUANTIZED = {"QInt8": "qint8", "QUInt8": "quint8", "QInt32": "qint32", "QUInt4x2": "quint4x2", "QUInt2x4": "quint2x4"}
# The storage class that a persistent id names -> the type of its elements.
STORAGES = {f"torch.{kind}Storage": name for kind, name in (_KINDS | _COMPLEX | _QUANTIZED).items()}
STORAGES |= {f"torch.cuda.{kind}Storage": name for kind, name in (_KINDS | _COMPLEX).items()}
STORAGES |= {f"torch.storage.{kind}Storage": "uint8" for kind in ("Untyped", "Typed")}

_BYTES = {
    16: "complex128",
    8: "float64 int64 uint64 complex64",
    4: "float32 int32 uint32 qint32 complex32",
    2: "float16 bfloat16 int16 uint16 bits16",
    1: "int8 uint8 bool qint8 quint8 quint4x2 quint2x4 float8_e4m3fn float8_e4m3fnuz float8_e5m2 float8_e5m2fnuz "
    "float8_e8m0fnu float4_e2m1fn_x2 bits8 bits1x8 bits2x4 bits4x2 int1 int2 int3 int4 int5 int6 int7 "
    "uint1 uint2 uint3 uint4 uint5 uint6 uint7",
}
# Bytes of one element, or of the byte that several elements share.
ELEMENT_SIZES = {name: size for size, names in _BYTES.items() for name in names.split()}

# Classes that are themselves tensors: their values are in the state that is given to them.
TENSOR_CLASSES = frozenset(
    {f"torch.{device}{kind}Tensor" for kind in _KINDS for device in ("", "cuda.")}
    | {"torch.Tensor", "torch.nn.parameter.Parameter"}
)
_SPARSE = {f"torch.{device}sparse.{kind}Tensor" for kind in _KINDS if kind != "Bool" for device in ("", "cuda.")}
_SCHEMES = "per_tensor_affine per_tensor_symmetric per_channel_affine per_channel_symmetric "
_SCHEMES += "per_channel_affine_float_qparams"
_REBUILDS = "parameter parameter_with_state qtensor tensor tensor_v2 tensor_v3 sparse_tensor nested_tensor "
_REBUILDS += "meta_tensor_no_storage wrapper_subclass device_tensor_from_numpy device_tensor_from_cpu_tensor"
_ALLOWED = frozenset(
    {"torch.serialization._get_layout", "torch.Size", "torch.device", "torch._tensor._rebuild_from_type_v2"}
    | {f"torch.{name}" for name in (*ELEMENT_SIZES, *_SCHEMES.split())}
    | {f"torch._utils._rebuild_{name}" for name in _REBUILDS.split()}
    | STORAGES.keys()
    | TENSOR_CLASSES
    | _SPARSE
)

# Modules that reach out of the process, and names of what runs whatever it is given, wherever it lies.
_REACHING = "os posix nt sys subprocess _posixsubprocess pty shutil socket _socket runpy importlib importlib.util imp "
_REACHING += "pkgutil ctypes _ctypes webbrowser code codeop pdb bdb profile cProfile timeit doctest commands popen2 "
_REACHING += "pip pip._internal urllib.request requests requests.api http.client ftplib smtplib telnetlib"
_RUNNING = "eval exec execfile apply reload compile open system popen Popen spawn load loads import_module __import__ "
_RUNNING += "run_module run_path runstring attrgetter methodcaller FunctionType CodeType LambdaType MethodType"
_HOSTILE_MODULES, _HOSTILE_NAMES = frozenset(_REACHING.split()), frozenset(_RUNNING.split())


def allowed(found: Global) -> bool:
    """Whether torch.load(weights_only=True) accepts this name in a checkpoint."""
    return found.path in _ALLOWED


def is_hostile(found: Global) -> bool:
    """Whether only an attack has it in a file of weights. Nothing is run either way: a file that attacks is refused."""
    *owner, last = found.name.split(".")
    if found.module == "builtins":
        return last in _HOSTILE_NAMES or (last != "getattr" and not isinstance(getattr(builtins, last, object), type))
    method = bool(owner) and "a" <= last[:1] <= "z"
    return method or last in _HOSTILE_NAMES or found.module in _HOSTILE_MODULES


def is_script(found: Global) -> bool:
    """Whether it is a class that a TorchScript archive brings along."""
    return found.module == "__torch__" or found.module.startswith("__torch__.")
