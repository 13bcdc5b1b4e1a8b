"""Number formats of stored weights, and how they become float64."""

import numpy as np

from firstlight.errors import SourceError

# Canonical name -> NumPy's own code. What NumPy lacks comes from ml_dtypes.
_NUMPY = ("float64", "float32", "float16", "bool", *(f"{u}int{bits}" for u in ("", "u") for bits in (8, 16, 32, 64)))
_ML_DTYPES = ("bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu")


def numpy_dtype(name: str) -> np.dtype:
    """The little-endian NumPy type of a canonical name, such as "float32", "bfloat16" or "float8_e4m3fn".

    Raises
    ------
    SourceError
        The name is none of those that weights are stored in.
    """
    if name in _NUMPY:
        return np.dtype(name).newbyteorder("<")
    if name in _ML_DTYPES:
        import ml_dtypes

        return np.dtype(getattr(ml_dtypes, name))
    raise SourceError(f"numbers of type {name} are not supported; expected one of {', '.join(_NUMPY + _ML_DTYPES)}")


def item_size(name: str) -> int:
    """Bytes of one number."""
    return numpy_dtype(name).itemsize


def to_float64(raw: bytes | bytearray | memoryview, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Upcast raw little-endian numbers in C-order; every format but 64-bit integers beyond 2^53 converts exactly.

    Raises
    ------
    SourceError
        The bytes are not as many as the shape needs.
    """
    dtype = numpy_dtype(name)
    needed = dtype.itemsize * int(np.prod(shape, dtype=object))
    if len(raw) != needed:
        raise SourceError(f"holds {len(raw):,} bytes where {name} of shape {shape} needs {needed:,}: it is cut off")
    with np.errstate(invalid="ignore"):  # signalling NaNs: they are found when the filters are used
        return np.frombuffer(raw, dtype=dtype).astype(np.float64).reshape(shape)
