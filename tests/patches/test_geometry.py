"""The geometry of patches, against windows that NumPy cuts out."""

import dataclasses

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from firstlight.errors import InputError
from firstlight.patches import PatchGeometry

CASES = [PatchGeometry(*case) for case in [(1, 3), (3, 1), (2, 2, 3), (4, 1, 5, 2), (3, 2, 2, 4)]]


@pytest.mark.parametrize("geometry", CASES, ids=str)
@pytest.mark.parametrize("shape", [(9, 9), (12, 21)])
def test_windows_are_those_that_fit(geometry: PatchGeometry, shape: tuple[int, int]):
    windows = sliding_window_view(np.empty(shape), (geometry.extent,) * 2)[:: geometry.stride, :: geometry.stride]
    taps = windows[..., :: geometry.dilation, :: geometry.dilation]
    assert geometry.windows(*shape) == taps.shape[:2]
    assert taps.shape[2:] == (geometry.kernel_size,) * 2
    assert geometry.size == geometry.channels * taps[0, 0].size
    for side, fitting in zip(shape, geometry.windows(*shape), strict=True):
        assert geometry.span(fitting) <= side < geometry.span(fitting + 1)


def test_taps_inside_a_window():
    geometry = PatchGeometry(3, 2)
    np.testing.assert_array_equal(geometry.taps_inside((1, 2)), [0, 1, 9, 10])
    np.testing.assert_array_equal(geometry.taps_inside((3, 3)), np.arange(18))
    with pytest.raises(InputError, match="window is 1 x 4; expected at least 1 x 1 and at most 3 x 3"):
        geometry.taps_inside((1, 4))


def test_it_is_a_value_of_python_integers():
    geometry = PatchGeometry(np.int64(3), np.uint8(1))  # pyright: ignore[reportArgumentType]
    assert geometry == PatchGeometry(3, 1)
    assert hash(geometry) == hash(PatchGeometry(3, 1))
    assert {type(value) for value in dataclasses.astuple(geometry)} == {int}
    with pytest.raises(dataclasses.FrozenInstanceError):
        geometry.stride = 2  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("name", ["kernel_size", "channels", "stride", "dilation"])
def test_what_is_no_geometry_is_refused(name: str):
    with pytest.raises(InputError, match=f"{name} is 0; expected a whole number of at least 1"):
        dataclasses.replace(CASES[0], **{name: 0})
