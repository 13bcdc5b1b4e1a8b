"""Theorem 4.3 as the experiment `whitening` measures it: against responses themselves, and where patches are white."""

import numpy as np
import pytest
from tests.experiments.made import small_sets

from firstlight.experiments.whitening import theorem
from firstlight.patches import PatchBasis, patch_basis
from firstlight.whitening import LagMoments, autocorrelation, whitening_bank


@pytest.fixture(scope="module")
def basis() -> PatchBasis:
    return patch_basis(small_sets()[0], 3)


def test_the_profile_of_eq_3_ends_at_no_distance_from_whitening(basis):
    table = theorem.distance_table(basis)
    assert table.tau.iloc[-1] == np.inf
    assert (table.tau.diff().iloc[1:] > 0).all()
    for column in ("largest_difference", "whitening_distance"):
        assert (table[column].diff().iloc[1:-1] < 0).all()
        assert table[column].iloc[-1] < 1e-12
    assert table.whitening_distance.iloc[0] == pytest.approx(2, abs=0.1)  # e is in proportion to lambda
    at_the_last_peak = table.iloc[5]  # tau * smallest variance is 1.26
    assert at_the_last_peak.largest_difference == pytest.approx(np.exp(-1.2564312), rel=1e-6)


def test_responses_of_the_ideal_filters_are_correlated_as_they_are_measured_to_be(basis):
    images = small_sets()[0].subset(40)
    own = patch_basis(images, 3)
    table = theorem.response_table(LagMoments.of(images, 3, 4), own).set_index("distance")
    weight = whitening_bank(own).weight
    pixels = images.normalised()
    responses = np.array([
        [(pixels[:, :, y : y + 3, x : x + 3].reshape(40, -1) @ weight.reshape(27, -1).T) for x in range(30)]
        for y in range(30)
    ])  # fmt: skip
    for distance in (1, 4):
        pairs = [
            (responses[:, :-distance], responses[:, distance:]),
            (responses[:-distance], responses[distance:]),
        ]
        both = np.mean([a.reshape(-1, 27).T @ b.reshape(-1, 27) / (a.size / 27) for a, b in pairs], axis=0)
        both = (both + both.T) / 2
        row = table.loc[distance]
        assert row.largest == pytest.approx(np.abs(both).max(), rel=1e-6)
        assert row.root_mean_square == pytest.approx(np.sqrt(np.square(both).mean()), rel=1e-6)
        assert row.same_filter == pytest.approx(np.trace(both) / 27, rel=1e-6)
    np.testing.assert_allclose(table.same_filter, autocorrelation(weight, images).value[1:5], rtol=1e-6)
    assert table.share_pixels.tolist() == [True, True, False, False]


def test_where_patches_are_uncorrelated_nothing_is_left(basis):
    second = basis.components.T * basis.variance @ basis.components
    lags = LagMoments(np.array([second, np.zeros((27, 27))]), 3, 3)
    row = theorem.response_table(lags, basis).iloc[0]
    assert (row.same_filter, row.root_mean_square, row.largest) == (0, 0, 0)


def test_components_without_variance_are_left_out(basis):
    flat = PatchBasis.from_matrix(
        np.diag([4.0, 1.0, 0.0]),
        count=1, kernel_size=1, channels=3, stride=1, mean=(0,) * 3, std=(1,) * 3, center=False,
    )  # fmt: skip
    lags = LagMoments(np.array([np.diag([4.0, 1.0, 0.0]), np.diag([2.0, -0.5, 0.0])]), 1, 3)
    row = theorem.response_table(lags, flat).iloc[0]
    assert (row.same_filter, row.largest) == (pytest.approx(0), pytest.approx(0.5))
    assert np.isfinite(theorem.distance_table(flat).iloc[:, 1:].to_numpy()).all()
