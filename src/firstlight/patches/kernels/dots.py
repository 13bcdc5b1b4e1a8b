"""The inner loop of the lag kernels: dot products of two stretches of pixels, exact for bytes."""

import numba
import numpy as np
from numba.extending import overload

# 65025 * 32768 < 2**31: so many products of two bytes can be summed in 32 bits.
_DOT_CHUNK = 32768


def dot(planes, a, b, size):
    """Sum of planes[a + i] * planes[b + i], i < size: exact int64 for bytes, float64 for floats."""
    raise AssertionError("replaced by the overload below when numba compiles a caller")


# Unsigned indices: numba then leaves out the test for negative ones, and the loops vectorise.
@overload(dot, jit_options={"fastmath": {"reassoc", "contract"}})
def _dot_overload(planes, a, b, size):
    if planes.dtype == numba.types.uint8:

        def of_bytes(planes, a, b, size):
            total = np.int64(0)
            for start in range(0, size, _DOT_CHUNK):
                a0, b0 = np.uintp(a + start), np.uintp(b + start)
                partial = np.int32(0)
                for i in range(np.uintp(min(_DOT_CHUNK, size - start))):
                    # The casts keep numba from widening to 64 bits, and LLVM then finds the multiply-add.
                    product = np.int32(np.int32(planes[a0 + i]) * np.int32(planes[b0 + i]))
                    partial = np.int32(partial + product)
                total += np.int64(partial)
            return total

        return of_bytes

    def of_floats(planes, a, b, size):
        a0, b0 = np.uintp(a), np.uintp(b)
        total = 0.0
        for i in range(np.uintp(size)):
            total += planes[a0 + i] * planes[b0 + i]
        return total

    return of_floats


def products(planes, a, b, size, out, start):
    """Put planes[a + i] * planes[b + i], i < size, into out[start + i]: int64 of bytes, float64 of floats."""
    raise AssertionError("replaced by the overload below when numba compiles a caller")


@overload(products)
def _products_overload(planes, a, b, size, out, start):
    if planes.dtype == numba.types.uint8:

        def of_bytes(planes, a, b, size, out, start):
            a0, b0, first = np.uintp(a), np.uintp(b), np.uintp(start)
            for i in range(np.uintp(size)):
                out[first + i] = np.int32(np.int32(planes[a0 + i]) * np.int32(planes[b0 + i]))

        return of_bytes

    def of_floats(planes, a, b, size, out, start):
        a0, b0, first = np.uintp(a), np.uintp(b), np.uintp(start)
        for i in range(np.uintp(size)):
            out[first + i] = planes[a0 + i] * planes[b0 + i]

    return of_floats
