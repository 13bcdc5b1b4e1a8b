"""The experiment `formula`, on runs that were made to have a known answer."""

from dataclasses import replace

import numpy as np
import pytest
from tests.experiments.made import finish, small_context

from firstlight.experiments import Context, formula
from firstlight.experiments.networks import NETWORKS
from firstlight.experiments.shared.fits import fit_table, participation
from firstlight.models import MODELS
from firstlight.patches import PatchBasis
from firstlight.theory import AUTHORS_TAU, linear_cnn_profile
from firstlight.training import RunSpec
from firstlight.whitening import whitening_spread

LEARNT = {"train_loss": 1.0, "test_accuracy": 0.5, "train_accuracy": 0.9}


def following(basis: PatchBasis, tau: float):
    """Filters whose change follows eq. 3 at `tau` times the step, exactly: D one-component filters, mixed by signs."""

    def filters(spec: RunSpec, step: int) -> np.ndarray:
        rng = np.random.default_rng(spec.seed)
        width = spec.width or MODELS[spec.model].filters
        initial = rng.standard_normal((width, 3, 3, 3))
        time = tau * max(step, 1)
        amplitudes = time * linear_cnn_profile(basis.variance, time)
        change = amplitudes * rng.choice([-1, 1], (width, 27)) @ basis.components
        return initial + (step > 0) * change.reshape(initial.shape)

    return filters


@pytest.fixture(scope="module")
def context(tmp_path_factory) -> Context:
    return small_context(tmp_path_factory.mktemp("formula"))


@pytest.fixture(scope="module")
def done(context) -> Context:
    return finish(context, formula.EXPERIMENT.networks, following(context.basis(), 0.05), **LEARNT)


@pytest.fixture(scope="module")
def found(done) -> dict:
    result = formula.run(done)
    claims = {claim.id: claim for claim in result.claims}
    assert len(claims) == len(result.claims)
    assert len(result.runs) == 15
    return claims


def test_the_fit_at_every_step_finds_the_time_that_was_put_in(done):
    basis = done.basis()
    fits = fit_table([(done.trained("vgg11"), basis)])
    assert fits.free_tau.to_numpy() == pytest.approx(0.05 * fits.step.to_numpy(), rel=1e-4)
    assert (fits.free_correlation > 1 - 1e-9).all()
    assert (fits.least_residual < 1e-4).all()
    assert fits.tau.between(*AUTHORS_TAU).all()
    early = fits.step < 9  # its time is before the authors' range, where only the range's end is left
    assert (fits.tau[early] == AUTHORS_TAU[0]).all()
    assert (fits.correlation[early] < 1 - 1e-4).all()
    assert fits.lr_times_steps.to_numpy() == pytest.approx(0.01 * fits.step.to_numpy())
    assert fits.predicted_whitening_spread.to_numpy() == pytest.approx(fits.whitening_spread.to_numpy(), abs=1e-4)


def test_the_participation_ratio_counts_the_components_that_share_the_responses():
    variance = np.array([9.0, 3.0, 1.0, 0.3])
    assert participation(1 / np.sqrt(variance), variance) == pytest.approx(4)  # white
    assert participation(np.array([1.0, 0, 0, 0]), variance) == pytest.approx(1)
    shares = np.array([2.0, 1.0, 1.0, 0])
    assert participation(np.sqrt(shares / variance), variance) == pytest.approx(16 / 6)
    assert whitening_spread(1 / np.sqrt(variance), variance) == pytest.approx(0, abs=1e-12)


def test_verdicts_on_networks_that_follow_the_formula_exactly(found):
    for name in ("F1", "F2", "F2.resnet20b", "F3"):
        assert (found[name].verdict, found[name].kind) == ("reproduced", "published claim")
        assert found[name].values == pytest.approx([1, 1, 1], abs=1e-6)
        assert not found[name].holds_after_one_step  # λ alone is as good there
    assert found["F3.resnet20"].kind == "own finding"
    assert found["F3.resnet20"].verdict == "holds"
    for part, held, failed in (
        ("", "reproduced", "not reproduced"),
        (".resnet20", "reproduced", "not reproduced"),
        (".resnet20b", "holds", "violated"),
    ):
        assert found[f"F6{part}"].verdict == failed  # they do match
        assert found[f"E1{part}"].verdict == held
    assert "Not close to the published 0.94" in found["F1"].note
    assert found["F1"].lambda_alone == pytest.approx([found["F1"].lambda_alone[0]] * 3)
    # Random banks are the null of every fit, of the network's own number of filters.
    assert found["F5"].verdict == "reproduced"
    assert found["F1"].null["mean"] == pytest.approx(found["F5"].mean)
    assert found["F2"].null["mean"] != found["F1"].null["mean"]
    assert 0 < found["F1"].null["mean"] < found["F1"].null["percentile_95"] < 0.6


def test_a_profile_that_lambda_fits_as_well_is_no_evidence_for_eq_3(context):
    """At small t eq. 3 is λ: it fits, in the authors' range too, but tells nothing beyond λ."""
    near = finish(context, formula.EXPERIMENT.networks, following(context.basis(), 1e-6), **LEARNT)
    claims = {claim.id: claim for claim in formula.run(near).claims}
    assert claims["F1"].conditions[1].values == pytest.approx([claims["F1"].mean - 1] * 3, abs=1e-3)
    assert claims["F1"].verdict == "not reproduced"


def test_networks_that_have_not_learnt_are_not_judged(context):
    weak = {**LEARNT, "train_accuracy": 0.5}  # of 5 classes 60% are needed
    claims = {
        claim.id: claim
        for claim in formula.run(
            finish(context, formula.EXPERIMENT.networks, following(context.basis(), 0.05), **weak)
        ).claims
    }
    assert claims["F1"].verdict == claims["E1"].verdict == "not tested"
    assert claims["F1"].reason.startswith("untrained: VGG11 is at 50.0% training accuracy at step 100")
    assert claims["F3"].verdict == "reproduced"  # random labels: 30% are enough


def test_pairs_are_judged_in_the_patches_of_their_own_classes_and_all_of_them_or_none(context, monkeypatch):
    pairs = {"vgg11-dog-cat": ("cat", "coffee"), "vgg11-dog-frog": ("cat", "rocket")}
    for name, only in pairs.items():
        monkeypatch.setitem(NETWORKS, name, replace(NETWORKS[name], changes={"only": only}))
    monkeypatch.setattr("firstlight.experiments.formula.claims.PAIRS", ["dog-cat", "dog-frog"])
    bases = {spec.only: context.basis(spec) for spec in context.specs(*pairs)}

    def filters(spec: RunSpec, step: int) -> np.ndarray:
        return following(bases.get(spec.only, context.basis()), 0.05)(spec, step)

    done = finish(context, list(pairs), filters, **LEARNT)
    claim = next(claim for claim in formula.run(done).claims if claim.id == "F4")
    assert (claim.verdict, claim.values) == ("reproduced", pytest.approx([1, 1, 1], abs=1e-6))
    assert len(claim.reached) == 2
    spec = context.specs("vgg11-dog-cat")[1]
    done.finished[spec.hash].metrics["train_accuracy"] = 0.7
    claim = next(claim for claim in formula.run(done).claims if claim.id == "F4")
    assert claim.verdict == "not tested"
    assert "70.0% training accuracy at step 100, and 75% are needed" in claim.reason
    assert claim.note == "Over the 1 pairs that were learnt the mean is 1.000."


def test_a_training_that_failed_leaves_its_claims_untested_and_the_others_judged(context):
    done = finish(context, formula.EXPERIMENT.networks, following(context.basis(), 0.05), **LEARNT)
    spec = context.specs("vgg11")[1]
    del done.finished[spec.hash]
    done.failures[spec.hash] = "the training diverged at step 7"
    claims = {claim.id: claim for claim in formula.run(done).claims}
    assert {claims[name].verdict for name in ("F1", "E1", "E2", "F6")} == {"not tested"}
    assert claims["F1"].reason == "no run: VGG11 with seed 1: the training diverged at step 7"
    assert claims["F2"].verdict == "reproduced"
    assert claims["F4"].reason.startswith("no data: cifar10 has no class automobile, truck")
    done.finished.clear()
    assert {claim.verdict for claim in formula.run(done).claims if claim.id != "F5"} == {"not tested"}
