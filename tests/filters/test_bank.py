import io
import json
from typing import Any

import numpy as np
import pytest

from firstlight.errors import InputError
from firstlight.filters import FilterBank, load_filters

WEIGHT = np.random.default_rng(0).normal(size=(5, 3, 2, 4))


def test_the_weight_is_a_read_only_float64_copy():
    weight = WEIGHT.astype(np.float32)
    bank = FilterBank(weight)
    assert bank.weight.dtype == np.float64
    np.testing.assert_array_equal(bank.weight, weight)
    weight[:] = 0
    assert (bank.weight != 0).all()
    with pytest.raises(ValueError, match="read-only"):
        bank.weight[0] = 0
    with pytest.raises(AttributeError):
        bank.weight = WEIGHT  # type: ignore[misc]


def test_load_filters_takes_arrays_and_banks():
    bank = load_filters(WEIGHT)
    assert len(bank) == 5
    np.testing.assert_array_equal(bank.weight, WEIGHT)
    assert load_filters(bank) is bank
    for source in (bank, WEIGHT):
        with pytest.raises(InputError, match="layer is 'conv1', but the source is already a filter bank"):
            load_filters(source, layer="conv1")


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (WEIGHT[0], r"shape \(3, 2, 4\); expected \(K, C, kh, kw\)"),
        (WEIGHT[None], r"shape \(1, 5, 3, 2, 4\)"),
        (WEIGHT[:0], r"shape \(0, 3, 2, 4\); expected \(K, C, kh, kw\), not empty"),
        (WEIGHT[:, :0], "not empty"),
        (3.0, r"shape \(\)"),
        ("weights", "not an array of numbers"),
        ([[1, 2], [3]], "not an array of numbers"),
        (None, r"shape \(\)"),
    ],
)
def test_weights_of_another_shape_are_refused(weight: Any, message: str):
    with pytest.raises(InputError, match=message):
        FilterBank(weight)


def test_complex_weights_are_refused_rather_than_halved():
    with pytest.raises(InputError, match="complex"):
        FilterBank(WEIGHT * 1j)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_refused_by_name(value: float):
    weight = WEIGHT.copy()
    weight[[2, 4], 0, 1, 1] = value
    message = "ResNet conv1: the weights hold NaN or infinity in 2 of 5 filters, first in filter 2"
    with pytest.raises(InputError, match=message):
        FilterBank(weight, layer="conv1", source="ResNet")


def test_the_repr_mentions_what_is_unusual_only():
    assert repr(FilterBank(WEIGHT)) == "FilterBank(5 filters of 3 x 2 x 4)"
    bank = FilterBank(WEIGHT, layer="conv1", source="Net", stride=(2, 2), padding=(3, 3), groups=2)
    assert repr(bank) == "FilterBank(Net conv1: 5 filters of 3 x 2 x 4, stride (2, 2), groups 2)"


def test_to_dict_is_strict_json_and_holds_the_exact_weights():
    bank = FilterBank(WEIGHT, layer="conv1", source="Net", stride=(2, 1), padding=(3, 0), dilation=(1, 2), groups=1)
    data = json.loads(json.dumps(bank.to_dict(), allow_nan=False))
    np.testing.assert_array_equal(np.array(data.pop("weight")), WEIGHT)
    assert data == {
        "source": "Net",
        "layer": "conv1",
        "shape": [5, 3, 2, 4],
        "stride": [2, 1],
        "padding": [3, 0],
        "dilation": [1, 2],
        "groups": 1,
    }


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_plot_shows_one_picture_on_given_or_new_axes(channels: int):
    bank = FilterBank(np.random.default_rng(1).normal(size=(7, channels, 5, 5)))
    fig, ax = bank.plot()
    assert ax.get_figure() is fig
    assert len(ax.images) == 1
    assert bank.plot(ax) == (fig, ax)
    fig.savefig(io.BytesIO(), format="png")


def test_a_picture_of_filters_has_zero_in_gray_and_each_filter_at_its_own_scale():
    weight = np.zeros((3, 3, 2, 2))
    weight[0, :, 0, 0] = [1e-3, 0, -1e-3]
    weight[1, :, 1, 1] = [50, 0, 0]
    _, ax = FilterBank(weight).plot()
    picture = np.asarray(ax.images[0].get_array())[..., :3]  # and how opaque it is
    assert picture.min() >= 0
    assert picture.max() <= 1
    np.testing.assert_allclose(picture[0, 0], [1, 0.5, 0])
    np.testing.assert_allclose(picture[1, 4], [1, 0.5, 0.5])
    np.testing.assert_allclose(picture[0, 1], 0.5)
