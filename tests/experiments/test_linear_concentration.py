"""How |u_i . b| scatters about lambda_i, by outputs and images: against moments and laws that are known."""

import numpy as np
import pandas as pd
import pytest

from firstlight.experiments.linear import concentration, dynamics
from firstlight.patches import PatchBasis
from firstlight.profile import correlation
from firstlight.theory import MeanPatchMoments, linear_cnn_profile

VARIANCE = np.geomspace(20, 0.003, 27)
PATCHES = 900


@pytest.fixture(scope="module")
def basis() -> PatchBasis:
    """Components that are no axes, so that a forgotten change of basis shows."""
    components = np.linalg.qr(np.random.default_rng(5).standard_normal((27, 27)))[0]
    return PatchBasis.from_matrix(
        components.T * VARIANCE @ components,
        count=1, kernel_size=3, channels=3, stride=1, mean=(0, 0, 0), std=(1, 1, 1), center=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def measured(basis) -> tuple[pd.DataFrame, pd.DataFrame]:
    sets = list(concentration.ideal_sets(basis, PATCHES))
    tables = concentration.output_table, concentration.spread_table
    outputs, spreads = (pd.concat([table("ideal", *drawn, basis) for drawn in sets]) for table in tables)
    return outputs, spreads


def test_profiles_of_so_many_outputs():
    coefficients = np.array([[3.0, -1.0], [4.0, 1.0], [0.0, 2.0], [0.0, 2.0]])
    np.testing.assert_array_equal(concentration.profiles_of(coefficients, 1), np.abs(coefficients))
    np.testing.assert_allclose(concentration.profiles_of(coefficients, 2), [[np.sqrt(12.5), 1], [0, 2]])
    np.testing.assert_allclose(concentration.profiles_of(coefficients[None], 4), [[[2.5, np.sqrt(2.5)]]])


def test_labels_are_halves_that_have_nothing_to_do_with_each_other():
    drawn = concentration.halves(2000, 0)
    assert drawn.shape == (2000, 100)
    np.testing.assert_allclose(drawn.mean(axis=0), 0.5, atol=0.05)
    assert np.abs(np.corrcoef(drawn.T) - np.eye(100)).max() < 0.12
    assert (drawn != concentration.halves(2000, 1)).any()


def test_correlations_are_those_of_each_network(basis):
    moments = dynamics.ideal_moments(basis, 500, PATCHES, 0, concentration.halves)
    table = concentration.output_table("ideal", 0, moments, basis).set_index(["outputs", "t"]).same_eta
    time = dynamics.TIMES[3]
    changes = dynamics.exact_changes(moments, basis)[3]
    formula = linear_cnn_profile(basis.variance, lr=dynamics.eta_of(moments), steps=time)
    alone = [correlation(change, formula) for change in changes]
    assert table[1, time] == pytest.approx(np.mean(alone), rel=1e-12)
    tens = [correlation(dynamics.root_mean_square(some[None])[0], formula) for some in np.split(changes, 10)]
    assert table[10, time] == pytest.approx(np.mean(tens), rel=1e-12)
    together = dynamics.root_mean_square(changes[None])[0]
    assert table[100, time] == pytest.approx(correlation(together, formula), rel=1e-12)


def test_the_spread_is_that_of_half_normal_numbers_for_any_number_of_images(measured):
    _, spreads = measured
    ratio = spreads.groupby(["outputs", "images"]).spread_over_mean.mean().unstack("images")
    np.testing.assert_allclose(ratio.loc[1], np.sqrt(np.pi / 2 - 1), rtol=0.05)
    np.testing.assert_allclose(ratio.loc[10], 1 / np.sqrt(20), rtol=0.1)
    np.testing.assert_allclose(ratio.loc[100], 1 / np.sqrt(200), rtol=0.2)
    # Mean and spread themselves shrink with the root of the number of images.
    of_one = spreads[spreads.outputs == 1].groupby("images")[["mean", "spread"]].mean()
    np.testing.assert_allclose(of_one.loc[500] / of_one.loc[50_000], 10, rtol=0.1)


def test_more_outputs_follow_eq_3_and_more_images_do_not(measured):
    lowest = measured[0].groupby(["outputs", "images", "t"]).same_eta.mean().groupby(["outputs", "images"]).min()
    by_outputs = lowest.unstack("images")
    assert (by_outputs.loc[1] < 0.7).all()
    assert (by_outputs.loc[10] > by_outputs.loc[1] + 0.15).all()
    assert (by_outputs.loc[100] > 0.97).all()
    assert np.ptp(by_outputs.loc[1]) < 0.05


def test_labels_that_concentrate_by_decree_have_no_spread(basis):
    signs = np.random.default_rng(0).choice([-1, 1], (100, basis.size))
    second = basis.components.T * (basis.variance / PATCHES) @ basis.components
    cross = signs * np.sqrt(basis.variance) @ basis.components
    moments = MeanPatchMoments((second + second.T) / 2, cross, 1000, PATCHES)
    assert concentration.spread_table("made", 0, moments, basis).spread_over_mean.max() < 1e-6
    assert concentration.output_table("made", 0, moments, basis).same_eta.min() > 1 - 1e-9
