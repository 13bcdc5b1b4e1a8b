"""The experiment `patch-statistics`, on runs that were made so that the answer is known."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from tests.experiments.made import finish, learner, small_context, small_sets

from firstlight.experiments import Context, Result, patch_statistics
from firstlight.experiments.patch_statistics.claims import eigenvalue_claim, judge
from firstlight.patches import PatchBasis
from firstlight.theory import AUTHORS_TAU, linear_cnn_profile
from firstlight.training import RunSpec
from firstlight.training.prepare import prepare

ON = patch_statistics.EXPERIMENT.networks
CLAIMS = ("P1", "P1.component15", "P1.resnet20-component5", "P1.resnet20-component15")
CHECKS = ("N3", "N3.component15")
TAU = 0.1  # a step


@pytest.fixture(scope="module")
def empty(tmp_path_factory) -> Context:
    return small_context(tmp_path_factory.mktemp("patch-statistics"), names=("cifar10",))


@pytest.fixture(scope="module")
def bases(empty) -> dict[int, PatchBasis]:
    return patch_statistics.all_bases(empty)


def trained(context: Context, bases: dict[int, PatchBasis], unchanged: bool = False, accuracy: float = 0.9) -> Context:
    """Networks whose change follows eq. 3 with the eigenvalues of their own patches, or with the unchanged ones."""

    def profile(spec: RunSpec, step: int) -> np.ndarray:
        scaled = 0 if unchanged else spec.scaled_component or 0
        variance = patch_statistics.variance_along(bases[0], bases[scaled])
        return linear_cnn_profile(variance, TAU * step)

    return finish(context, ON, learner(bases[0], profile), train_loss=2.25, train_accuracy=accuracy)


def claims(context: Context) -> dict:
    return {claim.id: claim for claim in patch_statistics.run(context).claims}


@pytest.fixture(scope="module")
def follows(empty, bases) -> Result:
    return patch_statistics.run(trained(empty, bases))


def patches(images, spec: RunSpec) -> np.ndarray:
    """Every patch that the first layer reads, (N, 27) float64, cut out one by one."""
    pixels = images.images / 255.0 if images.images.dtype == np.uint8 else images.images.astype(np.float64)
    shape = (1, 3, 1, 1)
    pixels = (pixels - np.reshape(spec.mean, shape)) / np.reshape(spec.std, shape)
    places = range(0, pixels.shape[2] - 2, 3)
    return np.concatenate([pixels[:, :, y : y + 3, x : x + 3].reshape(len(pixels), 27) for y in places for x in places])


@pytest.mark.parametrize("component", [5, 15])
def test_the_eigenvalue_is_that_of_the_patches_themselves(empty, bases, component):
    spec = empty.specs(f"resnet20-scaled{component}")[0]
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


def test_networks_that_follow_the_changed_eigenvalue_reproduce_the_claims(follows, bases):
    found = {claim.id: claim for claim in follows.claims}
    assert tuple(found) == CLAIMS + CHECKS
    assert [found[name].verdict for name in CLAIMS] == ["reproduced", "reproduced", "holds", "holds"]
    for name, component in zip(CLAIMS, (5, 15, 5, 15), strict=True):
        claim = found[name]
        assert claim.values == pytest.approx([1] * 3, abs=1e-3)
        variance = patch_statistics.variance_along(bases[0], bases[component])
        early, first, share = (
            patch_statistics.share(linear_cnn_profile(variance, tau), component - 1)
            for tau in (TAU, AUTHORS_TAU[0], TAU * 100)
        )
        assert claim.after_one_step == pytest.approx([early / first] * 3)  # the time of one step is before their range
        assert f"The component has {share:.1%} of the energy; eq. 3 predicts {share:.1%} with the changed" in claim.note
        assert ", 1.000 times what eq. 3 predicts for them" in claim.note
        assert claim.null["mean"] == pytest.approx(1 / 27 / share, rel=0.1)
        alone = variance[component - 1] / variance.sum()
        assert claim.lambda_alone == pytest.approx([share / alone] * 3, rel=1e-4)
    assert {found[name].verdict for name in CHECKS} == {"holds"}
    assert len(follows.runs) == len(follows.networks) == 18
    assert follows.figures["profiles"].svg.startswith("<?xml")
    assert follows.tables["shares"].query("step == 100").tau.to_numpy() == pytest.approx(TAU * 100, rel=1e-3)


def test_networks_that_ignore_the_change_do_not(empty, bases):
    found = claims(trained(empty, bases, unchanged=True))
    for name, verdict in zip(CLAIMS, ["not reproduced"] * 2 + ["violated"] * 2, strict=True):
        assert found[name].verdict == verdict
        assert max(found[name].conditions[1].values) < 0


@pytest.mark.parametrize(
    ("ratio", "changed", "unchanged", "expected"),
    [
        (9.008, 1.49, 1.51, ("reproduced", "holds")),
        (9.010, 1.49, 1.48, ("not reproduced", "violated")),
        (8.990, 1.51, 1.60, ("not reproduced", "violated")),
        (9.008, 0.67, 0.66, ("reproduced", "holds")),
        (9.008, 0.66, 0.65, ("not reproduced", "holds")),
    ],
)
def test_the_criteria_are_where_they_were_fixed(empty, bases, follows, ratio, changed, unchanged, expected):
    eigenvalues = follows.tables["eigenvalues"].copy()
    eigenvalues.loc[eigenvalues.component == eigenvalues.scaled_component, "ratio"] = ratio
    shares = follows.tables["shares"].assign(over_changed=changed, over_unchanged=unchanged)
    context = trained(empty, bases)
    found = judge({name: context.trained(name) for name in ON}, eigenvalues, shares)
    assert (found[0].verdict, found[4].verdict) == expected


def test_the_figure_shows_profiles_and_formula_in_the_order_before(empty, bases):
    context = trained(empty, bases)
    variances = {scaled: patch_statistics.variance_along(bases[0], basis) for scaled, basis in bases.items()}
    found = patch_statistics.final_profiles(context.trained("resnet20-scaled5"), bases[0], variances)
    changed = linear_cnn_profile(variances[5], TAU * 100)
    assert found["measured"] == pytest.approx(np.tile(changed / changed.max(), (3, 1)), abs=1e-5)
    assert found["changed"] == pytest.approx(found["measured"], abs=1e-3)
    assert np.abs(found["unchanged"] - found["measured"]).max() > 0.05


def test_claims_that_lack_a_run_are_not_tested_and_the_others_are(empty, bases):
    context = trained(empty, bases)
    for name in ("vgg11-scaled5", "resnet20-stride3"):
        spec = empty.specs(name)[0]
        del context.finished[spec.hash]
        context.failures[spec.hash] = "the training diverged after step 3"
    found = claims(context)
    assert [found[name].verdict for name in CLAIMS] == ["not tested", "reproduced", "holds", "holds"]
    assert "seed 0: the training diverged after step 3" in found["P1"].reason
    assert found["N3"].verdict == "holds"
    assert "unscaled patches have" not in found["P1.resnet20-component5"].note  # is only told in the note


def test_networks_that_have_not_learnt_are_not_judged(empty, bases):
    found = claims(trained(empty, bases, accuracy=0.59))
    assert {found[name].verdict for name in CLAIMS} == {"not tested"}
    assert found["P1"].reason.startswith("untrained: VGG11, component 5 x 3 is at 59.0%")


def test_without_any_run_only_the_eigenvalues_are_tested(empty, tmp_path):
    result = patch_statistics.run(empty)
    assert [claim.verdict for claim in result.claims] == ["not tested"] * 4 + ["holds"] * 2
    assert result.figures == {}
    assert result.tables["shares"].empty
    # A preset that trains none of them measures nothing.
    found = claims(small_context(tmp_path, "quick", names=("cifar10",)))
    assert {claim.verdict for claim in found.values()} == {"not tested"}
    assert found["N3"].reason == found["P1"].reason


def test_a_component_without_variance_has_no_eigenvalue_to_change(follows):
    eigenvalues = follows.tables["eigenvalues"].query("scaled_component == 15").copy()
    eigenvalues.loc[eigenvalues.component == 15, "ratio"] = np.nan
    claim = eigenvalue_claim(15, eigenvalues, "")
    assert (claim.verdict, claim.reason) == ("not tested", "not defined: relative error of α²λ²")
    flat = np.r_[4.0, 2.0, 1.0, 0.0]
    assert np.isnan(patch_statistics.shares(np.array([1.0, 2.0, 3.0, 0.5]), 3, flat, flat)[1:4]).all()
