"""The experiment `linear`: on a few real images, and on moments whose profiles are known."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.experiments.made import small_context, small_sets

from firstlight.experiments import Context, linear
from firstlight.experiments.linear import descent as linear_descent, dynamics as linear_dynamics
from firstlight.experiments.linear.claims import judge
from firstlight.experiments.measurements import Measurements
from firstlight.experiments.results import Result
from firstlight.patches import PatchBasis
from firstlight.theory import MeanPatchMoments, fit_formula, linear_cnn_profile, mean_patch_moments

PATCHES = 9
VARIANCE = np.geomspace(20, 0.003, 27)


@pytest.fixture(scope="module", autouse=True)
def _small() -> Iterator[None]:
    """Few images and steps, in blocks that do not divide them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(linear_dynamics, "TIMES", (1, 10, 1000))
        patch.setattr(linear_dynamics, "SEEDS", (0, 1))
        patch.setattr(linear_descent, "IMAGES", 8)
        patch.setattr(linear_descent, "_BLOCK", 3)
        patch.setattr(linear_descent, "STEPS", 30)
        patch.setattr(linear_descent, "LONG", 100)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("linear")


@pytest.fixture(scope="module")
def context(folder) -> Context:
    return small_context(folder)


@pytest.fixture(scope="module")
def result(context) -> Result:
    return linear.run(context)


@pytest.fixture(scope="module")
def basis() -> PatchBasis:
    """Components that are no axes, so that a forgotten change of basis shows."""
    components = np.linalg.qr(np.random.default_rng(5).standard_normal((27, 27)))[0]
    return PatchBasis.from_matrix(
        components.T * VARIANCE @ components,
        count=1, kernel_size=3, channels=3, stride=1, mean=(0, 0, 0), std=(1, 1, 1), center=False,
    )  # fmt: skip


def assumed_moments(basis: PatchBasis, outputs: int = 10) -> MeanPatchMoments:
    """A and b exactly as eq. 3 assumes them."""
    signs = np.random.default_rng(0).choice([-1, 1], (outputs, basis.size))
    second = basis.components.T * (basis.variance / PATCHES) @ basis.components
    cross = signs * np.sqrt(basis.variance) @ basis.components
    return MeanPatchMoments((second + second.T) / 2, cross, 1000, PATCHES)


# On real images


def test_every_claim_is_judged_with_finite_words(result):
    assert [claim.id for claim in result.claims] == ["N1", "O1", "O1.random", "A1", "N4", "N2"]
    for claim in result.claims:
        assert claim.experiment == "linear"
        assert claim.verdict != "not tested"
        assert "nan" not in claim.note + claim.measured


def test_trained_networks_follow_the_closed_form_and_its_regimes(result):
    claims = {claim.id: claim for claim in result.claims}
    exact = claims["N1"]
    assert exact.verdict == "holds"
    assert 0 < exact.mean < 1e-11
    assert claims["N2"].values == (0.0,)
    assert result.tables["regimes"].trained.tolist() == ["converging", "oscillating", "diverging"]
    descent = result.tables["descent"]
    trained = descent.dropna(subset="difference")
    assert trained.groupby("step_size").step.max().tolist() == [30] * 3
    # What converges is followed further by the closed form.
    assert descent.groupby("step_size").step.max().tolist() == [100, 100, 30]


def test_real_images_break_the_assumptions(result):
    claims = {claim.id: claim for claim in result.claims}
    assert claims["A1"].verdict == "violated"
    assert result.tables["components"].ratio.max() > 10


def test_tables_and_figures(result):
    assert set(result.tables) == {
        "agreement", "components", "classes", "descent", "regimes", "outputs", "spreads",
    }  # fmt: skip
    agreement = result.tables["agreement"]
    assert agreement.kind.unique().tolist() == [
        "true labels", "random labels", "ideal data", "random labels, 10 classes", "ideal data, 10 classes",
        "true labels, readout trained",
    ]  # fmt: skip
    assert len(agreement) == 3 * (1 + 5 * 2)
    assert (agreement.same_eta.dropna() <= agreement.best_t[agreement.same_eta.notna()] + 1e-6).all()
    assert len(result.tables["classes"]) == 5
    for entry in result.figures.values():
        assert entry.svg.startswith("<?xml")
        assert entry.caption


def test_it_is_made_again_from_what_was_measured(context, result, folder):
    def no_images(name: str):
        raise AssertionError(f"{name} was loaded")

    record = Measurements(folder / "measurements", recorded=True)
    again = linear.run(Context(context.preset, context.data, context._facts, no_images, record, {}, {}))
    assert [claim.values for claim in again.claims] == [claim.values for claim in result.claims]
    for name, table in result.tables.items():
        pd.testing.assert_frame_equal(again.tables[name], table)


def test_moments_are_those_of_the_labels_that_they_are_named_for(context):
    train, _ = small_sets()
    true, random = linear_dynamics.real_moments(context)
    expected = mean_patch_moments(train, 3, np.eye(5)[train.labels])
    np.testing.assert_allclose(true.second, expected.second, rtol=1e-12)
    np.testing.assert_allclose(true.cross, expected.cross, atol=1e-14)
    assert (true.images, true.patches) == (646, 900)
    assert list(random) == [0, 1]
    for seed, moments in random.items():
        drawn = linear_dynamics.random_targets(646, seed)
        assert (drawn.sum(axis=1) == 1).all()
        np.testing.assert_allclose(moments.cross, mean_patch_moments(train, 3, drawn).cross, atol=1e-14)
        # Merging classes is drawing fewer.
        few = drawn.reshape(646, 10, 10).any(axis=1)
        np.testing.assert_allclose(
            linear_dynamics.merged_classes(moments).cross, mean_patch_moments(train, 3, few).cross, atol=1e-14
        )
    assert not np.allclose(random[0].cross, random[1].cross)


def test_it_is_trained_on_images_from_all_of_the_set(context, result):
    train, _ = small_sets()
    assert train.labels is not None
    chosen = np.linspace(0, 645, 8).astype(int)
    images = replace(train, images=train.images[chosen], labels=train.labels[chosen])
    targets = train.labels[chosen] == np.bincount(train.labels[chosen]).argmax()
    moments = linear_descent.measured_descent(context).moments
    np.testing.assert_array_equal(moments.cross, mean_patch_moments(images, 3, targets).cross)


def test_random_numbers_of_others_are_left_alone(folder):
    import torch

    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    linear_descent.measured_descent(small_context(folder / "other"))
    assert torch.rand(1) == expected


# Where the assumptions hold


def test_same_eta_is_the_one_with_which_eq_3_is_exact(basis):
    moments = assumed_moments(basis)
    energy = linear_dynamics.root_mean_square(linear_dynamics.exact_changes(moments, basis))
    formula = linear_cnn_profile(basis.variance, lr=linear_dynamics.eta_of(moments), steps=linear_dynamics.TIMES)
    np.testing.assert_allclose(energy, PATCHES * formula, rtol=1e-8)
    for row in linear.agreement_rows(energy, basis, {"same_eta": linear_dynamics.eta_of(moments)}):
        assert row["same_eta"] > 1 - 1e-12
    # At a small step the best tau is eta t.
    assert fit_formula(energy[1], basis).correlation > 0.999


def test_assumptions_that_hold_are_measured_to_hold(basis):
    moments = assumed_moments(basis)
    table = linear.component_table(moments, basis)
    np.testing.assert_allclose(table.ratio, 1, rtol=1e-9)
    np.testing.assert_allclose(table.labels_ratio, 1, rtol=1e-9)
    assert linear.largest_correlation(moments, basis) < 1e-9


def test_ideal_data_satisfy_the_assumptions_but_for_sampling(basis):
    moments = linear_dynamics.ideal_moments(basis, images=50_000, patches=PATCHES, seed=0)
    np.testing.assert_allclose(linear.component_table(moments, basis).ratio, 1, atol=0.05)
    assert 0.03 < linear.component_table(moments, basis).labels_ratio.std() < 0.12  # 7% is left by 100 classes
    assert linear.largest_correlation(moments, basis) < 0.03
    other = linear_dynamics.ideal_moments(basis, images=50_000, patches=PATCHES, seed=1)
    assert not np.allclose(other.cross, moments.cross)


def test_a_correlation_of_patches_is_found(basis):
    moments = assumed_moments(basis)
    coefficients = np.diag(basis.variance / PATCHES)
    coefficients[4, 7] = coefficients[7, 4] = -0.6 * np.sqrt(coefficients[4, 4] * coefficients[7, 7])
    second = basis.components.T @ coefficients @ basis.components
    correlated = MeanPatchMoments((second + second.T) / 2, moments.cross, 1000, PATCHES)
    assert linear.largest_correlation(correlated, basis) == pytest.approx(0.6)


def test_components_without_variance_are_left_out():
    variance = np.array([4.0, 2.0, 1.0, 0.5, 0.0])
    flat = PatchBasis.from_matrix(
        np.diag(variance), count=1, kernel_size=1, channels=5, stride=1, mean=(0,) * 5, std=(1,) * 5, center=False
    )
    moments = MeanPatchMoments(np.diag(variance), np.sqrt(variance)[None], 10, 1)
    table = linear.component_table(moments, flat)
    assert table.component.tolist() == [1, 2, 3, 4]
    assert np.isfinite(table.to_numpy()).all()
    assert linear.largest_correlation(moments, flat) == 0


# What a network does


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ([0, 0.5, 0.75, 0.875], "converging"),
        ([0, 1, 1, 1.0], "mixed"),  # it stops
        ([0, 1.5, 0.75, 1.125], "oscillating"),
        ([0, 2.5, -1.25, 4.375], "diverging"),
        ([0, 1, 2, 3.0], "diverging"),
        ([0, 1, 1.5, 1.25, 1.375], "mixed"),
    ],
)
def test_behaviour(path, expected):
    assert linear_descent.behaviour(np.array(path)) == expected


def test_first_steps_are_recorded_one_by_one():
    steps = linear_descent.recorded_steps(500)
    assert steps[:9].tolist() == list(range(9))
    assert steps[-1] == 500
    assert (np.diff(steps) > 0).all()
    assert len(steps) < 40


# Verdicts


@pytest.fixture
def ideal(basis) -> dict:
    """The tables of a world in which all assumptions hold."""
    moments = assumed_moments(basis)
    energy = linear_dynamics.root_mean_square(linear_dynamics.exact_changes(moments, basis))
    kinds = ("true labels", "random labels", "ideal data", "random labels, 10 classes", "ideal data, 10 classes")
    sets: dict[str, dict[int, MeanPatchMoments]] = {kind: {0: moments, 1: moments} for kind in kinds}
    energies: linear.Energies = {kind: {0: energy, 1: energy} for kind in kinds}
    energies["true labels, readout trained"] = {0: energy}
    rows = {"step_size": [0.5, 1.5, 2.5], "step": 30, "difference": 1e-13, "same_eta": 1.0, "same_speed": 1.0}
    names = ["converging", "oscillating", "diverging"]
    return {
        "agreement": linear.agreement_table(sets, energies, basis),
        "components": linear.component_table(moments, basis),
        "descent": pd.DataFrame(rows),
        "regimes": pd.DataFrame(
            {
                "step_size": rows["step_size"],
                **dict.fromkeys(("trained", "mean_patches", "same_eta", "patch_variance"), names),
            }
        ),
        "largest_correlation": 0.0,
    }


def violated(tables: dict) -> list[str]:
    return [claim.id for claim in judge(**tables) if claim.verdict == "violated"]


def test_verdicts_where_all_assumptions_hold(ideal):
    assert {claim.verdict for claim in judge(**ideal)} == {"holds"}


@pytest.mark.parametrize(
    ("table", "change", "failing"),
    [
        ("descent", {"difference": [1e-13, 1e-13, 2e-9]}, "N1"),
        ("regimes", {"trained": ["converging", "oscillating", "mixed"]}, "N2"),
    ],
)
def test_each_table_decides_its_claim(ideal, table, change, failing):
    assert violated({**ideal, table: ideal[table].assign(**change)}) == [failing]


@pytest.mark.parametrize(
    ("kind", "low", "failing"),
    [("true labels", 0.79, "O1"), ("random labels, 10 classes", 0.79, "O1.random"), ("ideal data", 0.94, "N4")],
)
def test_agreement_decides_the_claims_of_eq_3(ideal, kind, low, failing):
    agreement = ideal["agreement"].copy()
    agreement.loc[agreement.kind == kind, "same_eta"] = low
    assert violated({**ideal, "agreement": agreement}) == [failing]


def test_ideal_data_are_judged_at_their_worst_time(ideal):
    agreement = ideal["agreement"].copy()
    agreement.loc[(agreement.kind == "ideal data") & (agreement.t == 1000), "same_eta"] = 0.9
    assert violated({**ideal, "agreement": agreement}) == ["N4"]


def test_correlated_patches_violate_the_assumption(ideal):
    assert violated({**ideal, "largest_correlation": 0.11}) == ["A1"]


def test_nothing_is_trained_for_it(context):
    assert linear.EXPERIMENT.plan(context) == []
    assert linear.EXPERIMENT.cost("full") == "trains nothing"
