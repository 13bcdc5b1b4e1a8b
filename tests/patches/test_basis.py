import io
import json

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from firstlight.patches import PatchBasis, PatchMoments
from firstlight.utils.console import note_once

ATTRIBUTES = {
    "count": 10,
    "channels": 1,
    "stride": 1,
    "mean": (0.0,),
    "std": (1.0,),
    "center": False,
}


def from_matrix(matrix: np.ndarray, kernel_size: int = 2) -> PatchBasis:
    return PatchBasis.from_matrix(matrix, kernel_size=kernel_size, **ATTRIBUTES)


@settings(deadline=None, max_examples=80)
@given(seed=st.integers(0, 2**32 - 1), side=st.integers(1, 7), log_spread=st.floats(0, 12))
def test_components_diagonalise_the_matrix_with_the_variances_in_order(seed: int, side: int, log_spread: float):
    rng = np.random.default_rng(seed)
    size = side**2
    vectors = np.linalg.qr(rng.normal(size=(size, size)))[0]
    matrix = (vectors * 10 ** rng.uniform(-log_spread, 0, size)) @ vectors.T
    matrix = (matrix + matrix.T) / 2
    basis = from_matrix(matrix, side)
    assert basis.size == size
    np.testing.assert_allclose(basis.components @ basis.components.T, np.eye(size), atol=1e-13)
    assert (np.diff(basis.variance) <= 0).all()
    assert (basis.variance >= 0).all()
    rebuilt = (basis.components.T * basis.variance) @ basis.components
    np.testing.assert_allclose(rebuilt, matrix, rtol=0, atol=1e-14 * size)
    largest = np.abs(basis.components).max(axis=1, keepdims=True)
    first = np.argmax(np.abs(basis.components) > largest * (1 - 1e-6), axis=1)
    assert (basis.components[np.arange(size), first] > 0).all()


def test_a_hand_computed_basis():
    # Variances 3, 2, 1, 0.5 of (1, 1)/sqrt2 and (1, -1)/sqrt2 in the first two pixels, and of the other two.
    matrix = np.array([[2.0, 1, 0, 0], [1, 2, 0, 0], [0, 0, 2, 0], [0, 0, 0, 0.5]])
    basis = from_matrix(matrix)
    root = np.sqrt(0.5)
    np.testing.assert_allclose(basis.variance, [3, 2, 1, 0.5], rtol=1e-15)
    expected = [[root, root, 0, 0], [0, 0, 1, 0], [root, -root, 0, 0], [0, 0, 0, 1]]
    np.testing.assert_allclose(basis.components, expected, atol=1e-15)


@settings(max_examples=50)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_sign_does_not_depend_on_rounding_where_entries_tie(seed: int):
    """(1, 0, -1)/sqrt2 has two largest entries that differ only by rounding: the first of them is positive."""
    rng = np.random.default_rng(seed)
    matrix = np.diag([1.0, 5, 1, 9]) + np.array([[0, 0, -0.5, 0], [0] * 4, [-0.5, 0, 0, 0], [0] * 4])
    noise = rng.normal(size=(4, 4)) * 1e-13
    basis = from_matrix(matrix + noise + noise.T)
    np.testing.assert_allclose(basis.components[2], [np.sqrt(0.5), 0, -np.sqrt(0.5), 0], atol=1e-11)


def test_rounding_below_zero_is_zero():
    basis = from_matrix(np.diag([1.0, 0.5, 0.0, -1e-17]))
    assert basis.variance.tolist() == [1.0, 0.5, 0.0, 0.0]


def test_the_first_component_of_smooth_gray_images_is_flat_and_pictures_have_the_patch_shape():
    rng = np.random.default_rng(1)
    smooth = np.repeat(np.repeat(rng.integers(0, 256, (30, 1, 3, 3)), 6, axis=2), 6, axis=3).astype(np.uint8)
    basis = PatchMoments(3, 1).update(smooth).basis()
    assert basis.images.shape == (9, 1, 3, 3)
    assert (basis.components[0] > 0.3).all()
    np.testing.assert_array_equal(basis.images.reshape(9, 9), basis.components)


def test_pictures_are_in_the_order_of_a_convolutions_weight():
    """Only the green pixel at row 0, column 1 varies: the first component is that pixel."""
    images = np.zeros((2, 3, 2, 3), np.uint8)
    images[:, 1, 0, 1] = [10, 200]
    basis = PatchMoments((2), 3, stride=9).update(images).basis()
    expected = np.zeros((3, 2, 2))
    expected[1, 0, 1] = 1
    np.testing.assert_allclose(basis.images[0], expected, atol=1e-15)


def test_arrays_are_read_only():
    basis = from_matrix(np.diag([4.0, 3, 2, 1]))
    for array in (basis.components, basis.variance, basis.images):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_the_matrix_is_left_as_it_was():
    matrix = np.diag([4.0, 3, 2, 1])
    from_matrix(matrix)
    np.testing.assert_array_equal(matrix, np.diag([4.0, 3, 2, 1]))


def test_to_dict_is_json_and_to_frame_has_shares_that_sum_to_one():
    basis = from_matrix(np.diag([4.0, 3, 2, 1]))
    data = json.loads(json.dumps(basis.to_dict(), allow_nan=False))
    assert data["variance"] == [4.0, 3.0, 2.0, 1.0]
    assert data["kernel_size"] == 2
    assert data["count"] == 10
    assert data["center"] is False
    frame = basis.to_frame()
    assert frame.columns.tolist() == ["component", "variance", "share"]
    assert frame["component"].tolist() == [1, 2, 3, 4]
    assert frame["share"].tolist() == [0.4, 0.3, 0.2, 0.1]


def test_a_basis_of_images_makes_json_too():
    images = np.zeros((2, 3, 4, 4), np.uint8)
    moments = PatchMoments(np.int64(2), 3).update(images)  # pyright: ignore[reportArgumentType]
    json.dumps(moments.basis(mean=np.float64(0.5), std=(1, 2, 3), center=True).to_dict(), allow_nan=False)


def test_null_directions_of_gray_pictures_in_rgb_have_exactly_no_variance():
    gray = np.random.default_rng(0).integers(0, 256, (40, 1, 12, 12), dtype=np.uint8)
    moments = PatchMoments(kernel_size=3, channels=3).update(np.repeat(gray, 3, axis=1))
    variance = moments.basis((0.4914, 0.4822, 0.4465), (0.2471, 0.2435, 0.2616)).variance
    one = PatchMoments(kernel_size=3, channels=1).update(gray).basis()
    assert (variance[10:] == 0).all()
    assert (one.variance > 0).all()
    assert np.count_nonzero(variance) == 10  # nine directions, and the mean, which differs between channels


def test_a_basis_without_any_variance_makes_a_frame_without_warnings():
    frame = from_matrix(np.zeros((4, 4))).to_frame()
    assert frame["variance"].tolist() == [0, 0, 0, 0]


def test_plot_draws_on_given_axes_and_on_new_ones():
    basis = from_matrix(np.diag([4.0, 3, 2, 1]))
    fig, ax = basis.plot()
    assert ax.get_figure() is fig
    assert ax.get_yscale() == "log"
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), [4, 3, 2, 1])
    assert basis.plot(ax) == (fig, ax)
    assert len(ax.lines) == 2
    fig.savefig(io.BytesIO(), format="svg")


def test_plot_without_any_variance_does_not_warn():
    fig, _ = from_matrix(np.zeros((4, 4))).plot()
    fig.savefig(io.BytesIO(), format="svg")


@pytest.mark.parametrize(("side", "patches"), [(4, 4), (3, 1), (7, 25), (8, 36)])
def test_fewer_patches_than_components_are_told(side: int, patches: int, capsys: pytest.CaptureFixture[str]):
    note_once.cache_clear()
    images = np.random.default_rng(0).integers(0, 256, (1, 3, side, side), dtype=np.uint8)
    basis = PatchMoments(3, 3).update(images).basis()
    assert basis.count == patches
    few = f" too few for 27 components: {27 - patches} of them have no variance, and directions that nothing determines"
    assert basis.shortage.partition(" are" if patches > 1 else " is")[2] == (few if patches < 27 else "")
    told = f"firstlight: {basis.shortage}: give more images, or larger ones\n"
    assert capsys.readouterr().err == (told if patches < 27 else "")
