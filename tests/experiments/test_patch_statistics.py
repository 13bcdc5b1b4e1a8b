"""The experiment `patch-statistics`, on runs that were made so that the answer is known."""

from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from tests.experiments.made import finish, small_context, small_sets
from tests.experiments.test_labels import learner, recorded_context, recorded_specs

from firstlight.experiments import Context, Result, patch_statistics
from firstlight.experiments.patch_statistics.claims import judge
from firstlight.patches import PatchBasis
from firstlight.theory import fit_formula, linear_cnn_profile
from firstlight.training import RunSpec
from firstlight.training.prepare import prepare

NAMES = [
    f"patch-statistics/{model}/component-{component}/{claim}"
    for model in ("vgg11", "resnet20")
    for component in (5, 15)
    for claim in ("eigenvalue", "formula-follows", "better-than-unchanged")
]
TAU = 0.1  # a step


@pytest.fixture(scope="module")
def empty(tmp_path_factory) -> Context:
    return small_context(tmp_path_factory.mktemp("patch-statistics"), names=("cifar10",))


@pytest.fixture(scope="module")
def bases(empty) -> dict[int, PatchBasis]:
    specs = patch_statistics.all_specs(empty)
    return {component: empty.basis(specs["vgg11", component][0]) for component in (0, 5, 15)}


@pytest.fixture(autouse=True)
def few_random_banks(monkeypatch):
    monkeypatch.setattr(patch_statistics, "RANDOM_BANKS", 3)


def trained(context: Context, bases: dict[int, PatchBasis], follows: str = "own") -> Context:
    """Networks whose change follows eq. 3 with the eigenvalues of their own patches, or with the unchanged ones."""
    learners = {
        component: learner(basis, lambda spec, step, basis=basis: linear_cnn_profile(basis.variance, TAU * step))
        for component, basis in bases.items()
    }

    def filters(spec: RunSpec, step: int) -> np.ndarray:
        return learners[spec.scaled_component or 0 if follows == "own" else 0](spec, step)

    specs = patch_statistics.plan(context)
    return finish(context, specs, filters, train_loss=2.25, train_accuracy=0.25)


def claims(context: Context) -> dict:
    with patch.object(patch_statistics, "draw", return_value={}):
        return {claim.name: claim for claim in patch_statistics.run(context).claims}


@pytest.fixture(scope="module")
def follows(empty, bases) -> Result:
    with patch.object(patch_statistics, "RANDOM_BANKS", 3):
        return patch_statistics.run(trained(empty, bases))


def test_the_specs_are_those_of_the_recorded_runs(tmp_path):
    recorded = recorded_specs(lambda spec: spec.stride == 3)
    if not recorded:
        pytest.skip("no recorded run of this experiment")
    planned = {spec.hash for spec in patch_statistics.plan(recorded_context(tmp_path, next(iter(recorded.values()))))}
    assert set(recorded) <= planned


@pytest.mark.parametrize(
    ("preset", "steps"),
    [
        ("quick", {"vgg11": 20, "resnet20": 64}),
        ("standard", {"vgg11": 133, "resnet20": 422}),
        ("full", {"vgg11": 5850, "resnet20": 5850}),
    ],
)
def test_the_scaled_component_is_all_that_differs(tmp_path, preset, steps):
    context = small_context(tmp_path, preset, names=("cifar10",))
    specs = patch_statistics.all_specs(context)
    assert {model: specs[model, 0][0].steps for model in steps} == steps
    assert {spec.stride for group in specs.values() for spec in group} == {3}
    for (model, component), group in specs.items():
        changes = {"scaled_component": component, "scale": 3.0} if component else {}
        assert group == [replace(spec, **changes) for spec in specs[model, 0]]
    assert len({spec.hash for spec in patch_statistics.plan(context)}) == 6 * len(context.schedule.seeds)


def patches(images, spec: RunSpec) -> np.ndarray:
    """Every patch that the first layer reads, (N, 27) float64, cut out one by one."""
    pixels = images.images / 255.0 if images.images.dtype == np.uint8 else images.images.astype(np.float64)
    shape = (1, 3, 1, 1)
    pixels = (pixels - np.reshape(spec.mean, shape)) / np.reshape(spec.std, shape)
    places = range(0, pixels.shape[2] - 2, 3)
    return np.concatenate([pixels[:, :, y : y + 3, x : x + 3].reshape(len(pixels), 27) for y in places for x in places])


@pytest.mark.parametrize("component", [5, 15])
def test_the_eigenvalue_is_that_of_the_patches_themselves(empty, bases, component):
    spec = patch_statistics.all_specs(empty)["resnet20", component][0]
    train, test = small_sets()
    before, after = patches(train, spec), patches(prepare(spec, train, test)[0], spec)
    direction = bases[0].components[component - 1]
    assert np.mean((before @ direction) ** 2) == pytest.approx(bases[0].variance[component - 1])

    table = patch_statistics.eigenvalue_table(bases[0], bases[component], component)
    row = table.iloc[component - 1]
    assert row.changed_variance == pytest.approx(np.mean((after @ direction) ** 2))
    assert row.ratio == pytest.approx(9, rel=1e-5)
    assert table.ratio.drop(component - 1).to_numpy() == pytest.approx(1, rel=1e-5)
    assert sorted(table.changed_component) == list(range(1, 28))
    assert row.changed_component < component  # a larger variance comes earlier
    assert table.cosine.to_numpy() == pytest.approx(1, abs=1e-6)


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_variance_along_another_basis_is_the_quadratic_form(seed):
    rng = np.random.default_rng(seed)
    matrices = [(root @ root.T) / 27 for root in rng.standard_normal((2, 27, 27))]
    facts = {"count": 1, "kernel_size": 3, "channels": 3, "stride": 3, "mean": (0,) * 3, "std": (1,) * 3}
    basis, changed = (PatchBasis.from_matrix(matrix, center=False, **facts) for matrix in matrices)
    expected = [u @ matrices[1] @ u for u in basis.components]
    assert patch_statistics.variance_along(basis, changed) == pytest.approx(expected)


def test_networks_that_follow_the_changed_eigenvalue_reproduce_the_claims(follows):
    assert [claim.name for claim in follows.claims] == NAMES
    assert {claim.verdict for claim in follows.claims} == {"reproduced"}
    for claim in follows.claims:
        if claim.name.endswith("formula-follows"):
            assert claim.values == pytest.approx([1.0, 1.0])
        assert "nan" not in claim.note
    assert len(follows.runs) == 12
    assert set(follows.figures) == {"eigenvalues", "profiles", "fit_over_steps"}


def test_every_step_is_fitted_with_both_sets_of_eigenvalues(follows, bases):
    fits = follows.tables["fits"]
    own = fits[fits.eigenvalues == "own"]
    assert own.tau.to_numpy() == pytest.approx(TAU * own.step.to_numpy(dtype=float), rel=1e-3)
    unchanged = fits[fits.eigenvalues == "unchanged"]
    assert len(unchanged) == len(own[own.scaled_component > 0])
    row = unchanged[(unchanged.scaled_component == 15) & (unchanged.step == 64)].iloc[0]
    changed = linear_cnn_profile(patch_statistics.variance_along(bases[0], bases[15]), TAU * 64)
    fit = fit_formula(changed, bases[0])
    assert row.correlation == pytest.approx(fit.correlation)
    # The energy in the scaled component is what the changed eigenvalue predicts, and not what the unchanged one does.
    assert own[own.scaled_component > 0].relative_energy.to_numpy() == pytest.approx(1, abs=1e-3)
    assert row.relative_energy == pytest.approx(changed[14] / fit.prediction[14], rel=1e-3)
    assert row.relative_energy > 1.5
    assert own[own.scaled_component == 0].relative_energy.isna().all()


def test_the_difference_is_between_the_two_fits(follows):
    last = follows.tables["fits"].query("model == 'resnet20' and scaled_component == 5 and step == 64")
    own, unchanged = (last[last.eigenvalues == name].correlation.to_numpy() for name in ("own", "unchanged"))
    claim = follows.claims[NAMES.index("patch-statistics/resnet20/component-5/better-than-unchanged")]
    assert claim.values == pytest.approx(own - unchanged)
    assert f"{own.mean():.3f} with the changed and {unchanged.mean():.3f} with the unchanged" in claim.note
    assert (
        "The energy in component 5 itself is 1.00 times what eq. 3 predicts with the changed eigenvalue" in claim.note
    )


def test_a_fit_comes_with_all_that_it_must_be_read_against(follows):
    last = follows.tables["fits"].query("model == 'vgg11' and step == 20 and eigenvalues == 'own'")
    scaled, plain = (last[last.scaled_component == component].correlation_lambda.mean() for component in (5, 0))
    note = follows.claims[NAMES.index("patch-statistics/vgg11/component-5/formula-follows")].note
    assert note.startswith(
        "After step 20, the last: training loss 2.250 and accuracy 25.0% (guessing: 1.609 and 20.0%)."
    )
    assert f"The changed λ alone, the limit of small t, correlates {scaled:.3f}; random banks of this shape" in note
    assert f"On unscaled patches eq. 3 fits to 1.000 and λ alone to {plain:.3f}" in note


def test_networks_that_ignore_the_change_refute_that_it_matters(empty, bases):
    found = claims(trained(empty, bases, follows="unchanged"))
    for name, claim in found.items():
        if name.endswith("better-than-unchanged"):
            assert claim.verdict == "not reproduced"
            assert claim.mean < 0


def test_the_criteria_are_where_they_were_fixed(follows):
    networks, random_banks = follows.tables["networks"], follows.tables["random_banks"]

    def verdicts(ratio: float, own: float, unchanged: float) -> list[str]:
        eigenvalues, fits = follows.tables["eigenvalues"].copy(), follows.tables["fits"].copy()
        eigenvalues.loc[eigenvalues.component == eigenvalues.scaled_component, "ratio"] = ratio
        fits["correlation"] = np.where(fits.eigenvalues == "own", own, unchanged)
        return [claim.verdict for claim in judge(3.0, eigenvalues, fits, networks, random_banks, {})]

    assert verdicts(9.008, 0.81, 0.80) == ["reproduced"] * 12
    assert verdicts(9.010, 0.79, 0.80) == ["not reproduced"] * 12
    assert verdicts(8.990, 0.81, 0.82) == ["not reproduced", "reproduced", "not reproduced"] * 4


def test_the_figure_shows_profiles_and_formula_in_the_order_before(empty, bases):
    context = trained(empty, bases)
    runs = context.complete(patch_statistics.all_specs(context)["resnet20", 5])
    found = patch_statistics.profiles_and_fits(runs, bases[0], bases[5])
    changed = linear_cnn_profile(patch_statistics.variance_along(bases[0], bases[5]), TAU * 64)
    assert found["measured"] == pytest.approx(np.tile(changed / changed.max(), (2, 1)), abs=1e-5)
    assert found["changed"] == pytest.approx(found["measured"], abs=1e-3)
    assert np.abs(found["unchanged"] - found["measured"]).max() > 0.05


def without(context: Context, model: str, component: int) -> Context:
    """The context after the training of one of the seeds failed."""
    spec = patch_statistics.all_specs(context)[model, component][0]
    del context.finished[spec.hash]
    context.failures[spec.hash] = "the training diverged after step 3"
    return context


def test_claims_that_lack_a_run_are_not_tested_and_the_others_are(empty, bases):
    result = patch_statistics.run(without(trained(empty, bases), "vgg11", 5))
    found = {claim.name: claim for claim in result.claims}
    lost = {f"patch-statistics/vgg11/component-5/{name}" for name in ("formula-follows", "better-than-unchanged")}
    assert {name for name, claim in found.items() if claim.verdict == "not tested"} == lost
    assert all("vgg11, seed 0: the training diverged after step 3" in found[name].note for name in lost)
    assert set(result.figures) == {"eigenvalues", "profiles", "fit_over_steps"}  # of the three others

    found = claims(without(trained(empty, bases), "vgg11", 0))  # is only told in the note
    assert {claim.verdict for claim in found.values()} == {"reproduced"}
    assert "unscaled patches" not in found["patch-statistics/vgg11/component-5/formula-follows"].note


def test_without_any_run_only_the_eigenvalues_are_tested(empty):
    result = patch_statistics.run(empty)
    assert [claim.verdict for claim in result.claims] == ["reproduced", "not tested", "not tested"] * 4
    assert set(result.figures) == {"eigenvalues"}
    assert len(result.tables["fits"]) == len(result.tables["networks"]) == 0


def test_a_component_without_variance_has_no_eigenvalue_to_change(follows):
    eigenvalues = follows.tables["eigenvalues"].copy()
    eigenvalues.loc[eigenvalues.component == 15, "ratio"] = np.nan
    fits, networks, random_banks = (follows.tables[name] for name in ("fits", "networks", "random_banks"))
    claim = judge(3.0, eigenvalues, fits, networks, random_banks, {})[3]
    assert (claim.name, claim.verdict) == (NAMES[3], "not tested")
    assert claim.note == "The images have no variance in component 15."


def test_random_banks_are_fitted_with_the_same_freedom(bases, monkeypatch):
    monkeypatch.setattr(patch_statistics, "RANDOM_BANKS", 20)
    row = patch_statistics.random_row("resnet20", 15, bases)
    assert 0 < row["mean"] < row["percentile_95"] < 0.8
    assert row["banks"] == 20
