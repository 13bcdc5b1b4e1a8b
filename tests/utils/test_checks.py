import numpy as np
import pytest

from firstlight.errors import InputError
from firstlight.utils.checks import positive_number, whole_number


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3), np.array(3)])
def test_whole_numbers_become_ints(value: object):
    assert type(whole_number("n", value, 3)) is int
    assert whole_number("n", value) == 3


@pytest.mark.parametrize("value", [True, np.True_, 3.0, np.float64(3), "3", None, [3], np.array([3, 4])])
def test_what_is_no_whole_number(value: object):
    with pytest.raises(InputError, match=r"^n is .*; expected a whole number$"):
        whole_number("n", value)


def test_too_small():
    with pytest.raises(InputError, match=r"^stride is 0; expected a whole number of at least 1$"):
        whole_number("stride", 0, 1)


@pytest.mark.parametrize("value", [1, 0.5, np.float32(0.5), np.int8(1)])
def test_positive_numbers_become_floats(value: float):
    assert type(positive_number("lr", value)) is float


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), True, "1", None, 1j, [1.0]])
def test_what_is_no_positive_number(value: object):
    with pytest.raises(InputError, match=r"^lr is .*; expected a positive number$"):
        positive_number("lr", value)
