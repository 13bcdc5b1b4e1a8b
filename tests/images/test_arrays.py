import numpy as np
import pytest
from hypothesis import assume, given, strategies as st

from firstlight.errors import InputError
from firstlight.images.arrays import Part, build_image_set, check_images, check_labels

sizes = st.integers(5, 9)


def image(*shape: int, dtype: str = "uint8") -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape).astype(dtype)


@given(st.integers(1, 3), st.integers(1, 4), sizes, sizes, st.sampled_from(["uint8", "f2", "f4", "f8"]))
def test_layout_is_recognised(count: int, channels: int, height: int, width: int, dtype: str) -> None:
    first = image(count, channels, height, width, dtype=dtype)
    last = np.ascontiguousarray(first.transpose(0, 2, 3, 1))
    for given_array in (first, last):
        found = check_images(given_array)
        assert np.shares_memory(found, given_array)
        assert found.dtype == first.dtype
        assert np.array_equal(found, first)


@given(st.lists(st.integers(1, 9), min_size=4, max_size=4))
def test_ambiguous_layout_asks_and_takes_the_answer(shape: list[int]) -> None:
    assume((shape[1] <= 4) == (shape[3] <= 4))
    array = image(*shape)
    with pytest.raises(InputError, match=r"does not tell .*: give --layout NCHW or --layout NHWC"):
        check_images(array)
    assert np.array_equal(check_images(array, "NCHW"), array)
    assert np.array_equal(check_images(array, "NHWC"), array.transpose(0, 3, 1, 2))


@given(st.integers(5, 16), st.integers(17, 40), st.integers(17, 40))
def test_layout_of_up_to_16_channels_is_recognised(channels: int, height: int, width: int) -> None:
    first = image(2, channels, height, width)
    assert np.array_equal(check_images(first), first)
    assert np.array_equal(check_images(np.ascontiguousarray(first.transpose(0, 2, 3, 1))), first)


@pytest.mark.parametrize(
    ("shape", "channels", "found"),
    [
        ((2, 13, 16, 16), 13, (2, 13, 16, 16)),
        ((2, 16, 16, 13), 13, (2, 13, 16, 16)),
        ((2, 20, 32, 32), 20, (2, 20, 32, 32)),
        ((2, 4, 9, 3), 3, (2, 3, 4, 9)),
        # Pictures have more than three rows: these are of three channels, not of sixteen.
        ((2, 3, 16, 16), 16, (2, 3, 16, 16)),
    ],
)
def test_the_expected_channels_decide_where_the_shape_does_not(
    shape: tuple[int, ...], channels: int, found: tuple[int, ...]
) -> None:
    assert check_images(image(*shape), channels=channels).shape == found


def test_expected_channels_that_both_axes_have_decide_nothing() -> None:
    with pytest.raises(InputError, match="give --layout"):
        check_images(image(2, 13, 16, 13), channels=13)


def test_unknown_layout() -> None:
    with pytest.raises(InputError, match="layout is 'CHWN'; expected 'NCHW', 'NHWC' or None"):
        check_images(image(2, 3, 8, 8), "CHWN")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (image(8, 8), r"shape \(8, 8\) has 2 axes"),
        (image(5, 8, 8), r"add the missing axis: images\[:, None\]"),
        (image(0, 3, 8, 8), r"shape \(0, 3, 8, 8\) is empty"),
        (image(2, 3, 0, 8), "is empty"),
        (image(2, 3, 8, 8, dtype="bool"), r"dtype bool is not accepted.*\* 255"),
        (image(2, 3, 8, 8, dtype="int64"), r"dtype int64 is not accepted.*astype\('uint8'\)"),
        (image(2, 3, 8, 8, dtype="uint16"), r"dtype uint16 is not accepted.*images\.max\(\)"),
        (image(2, 3, 8, 8, dtype="complex64"), "dtype complex64 is not accepted"),
        (image(2, 3, 8, 8, dtype="longdouble"), r"is not accepted.*float64"),
        (image(2, 3, 8, 8, dtype="object"), "dtype object is not accepted"),
        (np.ma.masked_array(image(2, 3, 8, 8)), "a MaskedArray; expected a plain numpy.ndarray"),
        ([[1, 2]], "a list; expected a plain numpy.ndarray"),
    ],
)
def test_refusals(array: object, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        check_images(array)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_first_image_that_is_not_finite_is_named(value: float) -> None:
    array = image(3000, 1, 5, 5, dtype="float32")
    array[2990, 0, 0, 0] = array[1500, 0, 4, 4] = value
    with pytest.raises(InputError, match="image 1500 has values that are NaN or infinite"):
        check_images(array)


def test_foreign_byte_order_becomes_native() -> None:
    array = image(2, 3, 8, 8, dtype=">f4")
    found = check_images(array)
    assert found.dtype == np.float32
    assert found.dtype.isnative
    assert np.array_equal(found, array)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64", "uint64"])
def test_labels_become_int64(dtype: str) -> None:
    found = check_labels(np.array([2, 0, 1], dtype=dtype), 3)
    assert found.dtype == np.int64
    assert found.tolist() == [2, 0, 1]


def test_labels_may_have_an_axis_of_one() -> None:
    assert check_labels(np.array([[2], [0], [1]], dtype=np.uint8), 3).tolist() == [2, 0, 1]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1], r"shape \(2,\); expected \(3,\)"),
        ([[0, 1], [1, 0], [1, 1]], r"shape \(3, 2\); expected \(3,\)"),
        ([[0], [1]], r"shape \(2, 1\); expected \(3,\)"),
        ([0, -1, -2], "label 1 is -1"),
        ([0, 1, 2**40], "label 2 is 1099511627776; expected a class number from 0 to 65535"),
        ([0.0, 1.0, 2.0], "labels are float64; expected integers"),
        (["a", "b", "c"], "labels are <U1; expected integers"),
        ([True, False, True], "labels are bool"),
    ],
)
def test_label_refusals(labels: list, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_labels(labels, 3)


def parts() -> dict[str, Part]:
    return {
        "train": Part(image(6, 3, 8, 8), np.array([0, 1, 2, 0, 1, 2])),
        "test": Part(image(2, 8, 8, 3), np.array([0, 4])),
    }


def test_test_split_has_the_normalisation_of_train_and_all_classes() -> None:
    train = build_image_set("x", parts(), "train", None)
    test = build_image_set("x", parts(), "test", None)
    assert (test.mean, test.std) == (train.mean, train.std)
    np.testing.assert_allclose(train.mean, (parts()["train"].images / 255).mean(axis=(0, 2, 3)))
    assert test.classes == train.classes == ("0", "1", "2", "3", "4")
    assert len(test) == 2


def test_missing_split_is_named() -> None:
    only_train = {"train": parts()["train"]}
    with pytest.raises(InputError, match=r"a\.npz holds no test images"):
        build_image_set("a.npz", only_train, "test", None)
    with pytest.raises(InputError, match="holds no train images"):
        build_image_set("a.npz", {"test": parts()["test"]}, "test", None)


def test_splits_of_different_form_are_refused() -> None:
    different = {**parts(), "test": Part(image(2, 1, 8, 8), None)}
    with pytest.raises(InputError, match="train images of 3x8x8 uint8 but test images of 1x8x8 uint8"):
        build_image_set("x", different, "test", None)


def test_given_labels_replace_those_of_the_split() -> None:
    found = build_image_set("x", parts(), "test", None, [1, 0])
    assert found.labels is not None
    assert found.labels.tolist() == [1, 0]
    with pytest.raises(InputError, match=r"x test: labels have shape \(3,\)"):
        build_image_set("x", parts(), "test", None, [1, 0, 1])


def test_no_labels_no_classes() -> None:
    found = build_image_set("x", {"train": Part(image(2, 3, 8, 8), None)}, "train", None)
    assert found.labels is None
    assert found.classes == ()
