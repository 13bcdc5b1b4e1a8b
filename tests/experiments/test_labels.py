"""The experiment `labels`, on runs that were made so that the answer is known."""

import json
from dataclasses import replace
from itertools import product
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, strategies as st
from tests.experiments.made import Filters, finish, small_context

from firstlight.experiments import Context, Result, labels
from firstlight.experiments.shared.label_pairs import common_steps, partial_correlation, random_agreement
from firstlight.experiments.shared.plans import RANDOM_STEPS, label_specs
from firstlight.models import MODELS as NETWORKS
from firstlight.patches import PatchBasis
from firstlight.profile import correlation, energy_profile
from firstlight.theory import linear_cnn_profile
from firstlight.training import RunSpec


@pytest.fixture(scope="module")
def empty(tmp_path_factory) -> Context:
    return small_context(tmp_path_factory.mktemp("labels"), "standard", names=("cifar10",))


@pytest.fixture(scope="module")
def basis(empty) -> PatchBasis:
    return empty.basis()


def initial(spec: RunSpec) -> np.ndarray:
    shape = (NETWORKS[spec.model].filters, 3, 3, 3)
    return np.random.default_rng([spec.seed, 1]).standard_normal(shape)


def learner(basis: PatchBasis, profile) -> Filters:
    """Filters whose change has exactly the profile `profile(spec, step)`, shape (D,)."""

    def filters(spec: RunSpec, step: int) -> np.ndarray:
        start = initial(spec)
        if step == 0:
            return start
        # Coefficients of one magnitude a component and any signs.
        signs = np.random.default_rng([spec.seed, 2]).choice([-1, 1], (len(start), basis.size))
        return start + (signs * profile(spec, step) @ basis.components).reshape(start.shape)

    return filters


def formula_profile(basis: PatchBasis):
    return lambda spec, step: linear_cnn_profile(basis.variance, 0.01 * step)


def trained(context: Context, basis: PatchBasis, profile, **metrics: float) -> Context:
    metrics = {"train_loss": 2.25, "train_accuracy": 0.125, **metrics}
    return finish(context, labels.plan(context), learner(basis, profile), **metrics)


def claims(context: Context) -> dict:
    with patch.object(labels, "draw", return_value={}):  # half the time, and tested elsewhere
        return {claim.name: claim for claim in labels.run(context).claims}


@pytest.fixture(scope="module")
def same(empty, basis) -> Result:
    """Of networks that learn the same from true and from random labels."""
    return labels.run(trained(empty, basis, formula_profile(basis)))


@pytest.mark.parametrize("preset", ["quick", "standard", "full"])
def test_random_labels_are_all_that_differs_but_for_the_steps(tmp_path, preset):
    context = small_context(tmp_path, preset, names=("cifar10",))
    for model in ("vgg11", "resnet20"):
        groups = label_specs(context, model)
        assert groups["true"] == [context.spec(model, seed=seed) for seed in context.schedule.seeds]
        steps = RANDOM_STEPS[preset][model]
        assert [replace(spec, labels="random", steps=steps) for spec in groups["true"]] == groups["random"]
    assert len({spec.hash for spec in labels.plan(context)}) == 4 * len(context.schedule.seeds)


@pytest.mark.parametrize("preset", ["quick", "standard", "full"])
def test_the_last_common_step_is_late_in_every_preset(tmp_path, preset):
    context = small_context(tmp_path, preset, names=("cifar10",))
    done = finish(context, labels.plan(context), lambda spec, step: np.ones((2, 3, 3, 3)))
    for model in ("vgg11", "resnet20"):
        groups = label_specs(context, model).values()
        step = common_steps([run for group in groups for run in done.complete(group)])[-1]
        assert step >= 0.7 * min(group[0].steps for group in groups)


def test_the_specs_are_those_of_the_recorded_runs(tmp_path):
    recorded = recorded_specs(lambda spec: spec.labels == "random")
    if not recorded:
        pytest.skip("no recorded run of this experiment")
    planned = {spec.hash for spec in labels.plan(recorded_context(tmp_path, next(iter(recorded.values()))))}
    assert set(recorded) <= planned


def recorded_specs(wanted) -> dict[str, RunSpec]:
    """Specs of the standard preset's recorded runs on CIFAR-10, by the name of the run."""
    found = {}
    for path in Path(__file__).parents[2].glob("results/runs/*/spec.json"):
        content = json.loads(path.read_text())
        spec = RunSpec.from_dict(content["spec"])
        if spec.data == "cifar10" and wanted(spec):
            found[content["hash"]] = spec
    return found


def recorded_context(folder: Path, spec: RunSpec) -> Context:
    """A context of the standard preset whose data are those that a spec names."""
    context = small_context(folder, "standard", names=("cifar10",))
    train, test = context.facts()
    described = {"mean": spec.mean, "std": spec.std, "classes": tuple("0123456789")}
    facts = (
        replace(train, fingerprint=spec.data_fingerprint, **described),
        replace(test, fingerprint=spec.test_fingerprint, count=10_000, **described),
    )
    return Context("standard", "cifar10", {"cifar10": facts}, context._load, context.measurements, {}, {})


def test_networks_that_learn_the_same_from_both_reproduce_the_claims(same):
    found = {claim.name: claim for claim in same.claims}
    assert len(found) == len(same.claims) == 4
    for model in ("vgg11", "resnet20"):
        claim = found[f"labels/{model}/true-against-random"]
        assert claim.verdict == "reproduced"
        assert claim.values == pytest.approx([1.0] * 6)  # three seeds, each with the two others
        assert claim.replicates == "pair"
    assert len(same.runs) == 12
    assert set(same.figures) == {"profiles", "correlation_over_steps", "loss"}
    assert all("nan" not in claim.note for claim in same.claims)


def test_a_correlation_comes_with_all_that_it_must_be_read_against(same, basis):
    note = next(claim.note for claim in same.claims if claim.name == "labels/vgg11/true-against-random")
    alone = correlation(linear_cnn_profile(basis.variance, 0.01 * 100), np.sqrt(basis.variance))
    assert "At step 100: training loss 2.250 and accuracy 12.5% (guessing: 1.609 and 20.0%) with true labels" in note
    assert f"λ alone correlates {alone:.3f} with that of true labels and {alone:.3f} with that of random labels" in note
    assert "Two random banks of this shape correlate" in note


@pytest.mark.parametrize(("level", "verdict"), [(0.81, "reproduced"), (0.79, "not reproduced")])
def test_the_criterion_is_where_it_was_fixed(empty, basis, level, verdict):
    """Profiles that correlate by exactly so much."""
    a, b = np.random.default_rng(0).standard_normal((2, 27))
    a = (a - a.mean()) / np.linalg.norm(a - a.mean())
    b = b - b.mean() - a * (a @ b)
    mixed = level * a + np.sqrt(1 - level**2) * b / np.linalg.norm(b)
    profiles = {"true": 5 + a, "random": 5 + mixed}
    found = claims(trained(empty, basis, lambda spec, step: profiles[spec.labels]))
    claim = found["labels/resnet20/true-against-random"]
    assert claim.values == pytest.approx([level] * 6)
    assert claim.verdict == verdict


def test_networks_are_compared_at_the_last_step_that_both_recorded(empty, basis):
    """After it the profile of those that train on is turned round."""
    shared = {"vgg11": 100, "resnet20": 316}

    def profile(spec: RunSpec, step: int) -> np.ndarray:
        early = linear_cnn_profile(basis.variance, 0.01 * step)
        return early if step <= shared[spec.model] else early.max() + early.min() - early

    found = claims(trained(empty, basis, profile))
    for model, step in shared.items():
        claim = found[f"labels/{model}/true-against-random"]
        assert claim.values == pytest.approx([1.0] * 6)
        last = empty.schedule.steps[model]
        end = correlation(*(profile(empty.spec(model, seed=0), at) for at in (last, step)))
        assert f"At the last step of each, {last} and {step}, the correlation is {end:.3f}." in claim.note


def test_only_networks_of_different_seeds_are_paired(empty, basis):
    """Each seed has a profile of its own: networks of one seed would correlate perfectly."""
    own = np.random.default_rng(1).random((3, 27))
    claim = claims(trained(empty, basis, lambda spec, step: own[spec.seed]))["labels/vgg11/true-against-random"]
    expected = [correlation(own[a], own[b]) for a, b in product(range(3), repeat=2) if a != b]
    assert claim.values == pytest.approx(expected)
    assert claim.verdict == "not reproduced"


def test_a_network_that_only_amplifies_its_initialisation_is_told(empty, basis):
    def grown(spec: RunSpec, step: int) -> np.ndarray:
        return energy_profile(initial(spec), basis).energy

    found = claims(trained(empty, basis, grown))
    for model in ("vgg11", "resnet20"):
        claim = found[f"labels/{model}/random-against-init"]
        assert claim.values == pytest.approx([1.0] * 3)
        assert claim.verdict == "not reproduced"


def test_the_change_is_compared_with_the_initialisation_of_its_own_seed(same, empty, basis):
    claim = next(claim for claim in same.claims if claim.name == "labels/resnet20/random-against-init")
    change = linear_cnn_profile(basis.variance, 0.01 * 316)
    starts = [energy_profile(initial(empty.spec("resnet20", seed=seed)), basis) for seed in (0, 1, 2)]
    assert claim.values == pytest.approx([start.correlation(change) for start in starts])
    assert claim.note.startswith("After step 316, the last: training loss 2.250 and accuracy 12.5% (guessing: ")


def without(context: Context, model: str, kind: str) -> Context:
    """The context after the training of one of the seeds failed."""
    spec = label_specs(context, model)[kind][1]
    del context.finished[spec.hash]
    context.failures[spec.hash] = "the training diverged after step 3"
    return context


def test_a_claim_that_lacks_a_run_is_not_tested_and_the_others_are(empty, basis):
    found = claims(without(trained(empty, basis, formula_profile(basis)), "vgg11", "true"))
    claim = found["labels/vgg11/true-against-random"]
    assert claim.verdict == "not tested"
    assert "vgg11, seed 1: the training diverged after step 3" in claim.note
    assert all(other.verdict != "not tested" for name, other in found.items() if name != claim.name)

    result = labels.run(without(trained(empty, basis, formula_profile(basis)), "vgg11", "random"))
    found = {claim.name: claim.verdict for claim in result.claims}
    assert found["labels/vgg11/true-against-random"] == found["labels/vgg11/random-against-init"] == "not tested"
    assert found["labels/resnet20/true-against-random"] == "reproduced"
    assert len(result.runs) == 11
    assert "profiles" in result.figures


def test_without_any_run_nothing_is_tested(empty):
    result = labels.run(empty)
    assert {claim.verdict for claim in result.claims} == {"not tested"}
    assert result.figures == {}
    assert len(result.tables["pairs"]) == len(result.tables["networks"]) == len(result.tables["profiles"]) == 0


def test_what_was_not_recorded_is_said_and_not_printed_as_nan(empty, basis):
    found = claims(trained(empty, basis, lambda spec, step: np.sqrt(basis.variance), train_accuracy=np.nan))
    note = found["labels/vgg11/true-against-random"].note
    assert "accuracy not recorded" in note
    assert "of what λ leaves unexplained the correlation is undefined" in note
    assert not any("nan" in claim.note for claim in found.values())


@given(st.integers(0, 2**32 - 1), st.integers(4, 60))
def test_the_partial_correlation_is_that_of_what_regressions_leave(seed, size):
    a, b, c = np.random.default_rng(seed).standard_normal((3, size))
    design = np.stack([np.ones(size), c], axis=1)
    rest = [x - design @ np.linalg.lstsq(design, x, rcond=None)[0] for x in (a, b)]
    found = partial_correlation(correlation(a, b), correlation(a, c), correlation(b, c))
    assert found == pytest.approx(correlation(*rest), abs=1e-6)


def test_random_banks_agree_by_chance_only():
    for model in ("vgg11", "resnet20"):
        null = random_agreement(model, 27)
        assert null["mean"] == pytest.approx(0, abs=0.03)
        assert null["percentile_95"] == pytest.approx(0.32, abs=0.04)  # of 27 independent pairs of numbers
