"""The experiment `label-energy`, on runs that were made so that the answer is known."""

from unittest.mock import patch

import numpy as np
import pytest
from tests.experiments.made import finish, small_context
from tests.experiments.test_labels import learner, recorded_context, recorded_specs

from firstlight.experiments import Context, Result, label_energy, labels
from firstlight.patches import PatchBasis
from firstlight.profile import correlation
from firstlight.theory import linear_cnn_profile
from firstlight.training import RunSpec

STEP = label_energy.STEPS["standard"]["resnet20"]
NAMES = [
    f"label-energy/resnet20/component-{component}/{claim}"
    for component in (4, 20)
    for claim in ("breaks-agreement", "less-than-true")
]


@pytest.fixture(scope="module")
def empty(tmp_path_factory) -> Context:
    return small_context(tmp_path_factory.mktemp("label-energy"), "standard", names=("cifar10",))


@pytest.fixture(scope="module")
def basis(empty) -> PatchBasis:
    return empty.basis()


def trained(context: Context, basis: PatchBasis, profile, accuracy: float = 0.3) -> Context:
    specs = label_energy.plan(context)
    return finish(context, specs, learner(basis, profile), train_loss=2.0, train_accuracy=accuracy)


def claims(context: Context) -> dict:
    with patch.object(label_energy, "draw", return_value={}):
        return {claim.name: claim for claim in label_energy.run(context).claims}


def drawn_to_the_component(basis: PatchBasis):
    """Eq. 3, and with labels of a component a tenfold of all other energy in it."""

    def profile(spec: RunSpec, step: int) -> np.ndarray:
        energy = linear_cnn_profile(basis.variance, 0.1 * step)
        if spec.labels.startswith("energy:"):
            energy[int(spec.labels[7:]) - 1] = 10 * np.linalg.norm(energy)
        return energy

    return profile


@pytest.fixture(scope="module")
def broken(empty, basis) -> Result:
    return label_energy.run(trained(empty, basis, drawn_to_the_component(basis)))


def test_the_specs_are_those_of_the_recorded_runs(tmp_path):
    recorded = recorded_specs(lambda spec: spec.labels.startswith("energy:"))
    if not recorded:
        pytest.skip("no recorded run of this experiment")
    planned = {spec.hash for spec in label_energy.plan(recorded_context(tmp_path, next(iter(recorded.values()))))}
    assert set(recorded) <= planned


@pytest.mark.parametrize(
    ("preset", "steps"),
    [("quick", {"resnet20": 32}), ("standard", {"resnet20": 178}), ("full", {"vgg11": 5850, "resnet20": 5850})],
)
def test_what_is_trained_beside_the_runs_of_labels(tmp_path, preset, steps):
    context = small_context(tmp_path, preset, names=("cifar10",))
    shared = {spec.hash for spec in labels.plan(context)}
    own = [spec for spec in label_energy.plan(context) if spec.hash not in shared]
    assert {(spec.model, spec.steps) for spec in own} == set(steps.items())
    assert {spec.labels for spec in own} == {"energy:4", "energy:20"}
    assert {spec.classes for spec in own} == {10}  # of deciles; these images have 5 classes of their own
    assert len(own) == len({spec.hash for spec in own}) == 2 * len(steps) * len(context.schedule.seeds)


def test_energy_that_goes_to_the_component_breaks_the_agreement(broken, basis):
    assert [claim.name for claim in broken.claims] == NAMES
    assert {claim.verdict for claim in broken.claims} == {"reproduced"}
    usual = linear_cnn_profile(basis.variance, 0.1 * STEP)
    for claim, component in zip(broken.claims[::2], (4, 20), strict=True):
        changed = usual.copy()
        changed[component - 1] = 10 * np.linalg.norm(usual)
        assert claim.values == pytest.approx([correlation(changed, usual)] * 6)  # three seeds, each with two others
    for breaks, less in zip(broken.claims[::2], broken.claims[1::2], strict=True):
        assert less.values == pytest.approx([value - 1 for value in breaks.values])
    assert not any("nan" in claim.note for claim in broken.claims)
    assert len(broken.runs) == 12
    assert set(broken.figures) == {"profiles", "correlation_over_steps", "extra_energy"}


def test_where_the_energy_goes(broken, basis):
    energies = broken.tables["energies"]
    assert energies.groupby(["labels", "seed"]).share.sum().to_numpy() == pytest.approx(1.0)
    usual = linear_cnn_profile(basis.variance, 0.1 * STEP) ** 2
    for component in (4, 20):
        rows = energies[(energies.labels == f"energy:{component}") & (energies.component == component)]
        rest = usual.sum() - usual[component - 1]
        share = 100 * usual.sum() / (100 * usual.sum() + rest)
        assert rows.share.to_numpy() == pytest.approx(share)
        assert rows.relative.to_numpy() == pytest.approx(share / (usual[component - 1] / usual.sum()))
        times = share / (usual[component - 1] / usual.sum())
        beginning = f"Component {component} holds {share:.1%} of the energy e², {times:.2g} times its share with true"
        assert broken.claims[(4, 20).index(component) * 2].note.startswith(beginning)
    assert energies[energies.labels == "true"].relative.to_numpy() == pytest.approx(1.0)


def test_networks_that_do_not_care_about_the_labels_refute_the_claims(empty, basis):
    found = claims(trained(empty, basis, lambda spec, step: linear_cnn_profile(basis.variance, 0.1 * step)))
    assert {claim.verdict for name, claim in found.items() if name.endswith("breaks-agreement")} == {"not reproduced"}
    assert all(claim.values == pytest.approx([1.0] * 6) for name, claim in found.items() if "breaks" in name)


@pytest.mark.parametrize(
    ("level", "true_level", "expected"),
    [
        (0.29, 0.9, ["reproduced", "reproduced"]),
        (0.31, 0.9, ["not reproduced", "reproduced"]),
        (0.29, 0.2, ["reproduced", "not reproduced"]),  # less than true labels do, which is little
    ],
)
def test_the_criteria_are_where_they_were_fixed(empty, basis, level, true_level, expected):
    a, b = np.random.default_rng(0).standard_normal((2, 27))
    a = (a - a.mean()) / np.linalg.norm(a - a.mean())
    b = b - b.mean() - a * (a @ b)
    b /= np.linalg.norm(b)
    levels = {"random": 1.0, "true": true_level, "energy:4": level, "energy:20": level}

    def profile(spec: RunSpec, step: int) -> np.ndarray:
        share = levels[spec.labels]
        return 5 + share * a + np.sqrt(1 - share**2) * b

    found = claims(trained(empty, basis, profile))
    assert [found[name].verdict for name in NAMES[:2]] == expected
    assert found[NAMES[0]].values == pytest.approx([level] * 6)
    assert found[NAMES[1]].values == pytest.approx([level - true_level] * 6)


def test_true_labels_are_compared_at_the_step_of_the_others(empty, basis):
    """Networks on true labels train on, and turn round after the last step of the others."""

    def profile(spec: RunSpec, step: int) -> np.ndarray:
        energy = linear_cnn_profile(basis.variance, 0.1 * step)
        return energy if step <= STEP else energy.max() + energy.min() - energy

    found = claims(trained(empty, basis, profile))
    assert found[NAMES[1]].values == pytest.approx([0.0] * 6, abs=1e-12)
    assert f"At step {STEP} the correlation with random labels is 1.000; that of true with random labels is 1.000." in (
        found[NAMES[1]].note
    )


@pytest.mark.parametrize(
    ("accuracy", "verdict"),
    [
        (0.151, "reproduced"),
        (0.149, "not tested"),
        (np.nan, "not tested"),
    ],
)
def test_networks_that_have_not_learnt_their_labels_say_nothing(empty, basis, accuracy, verdict):
    found = claims(trained(empty, basis, drawn_to_the_component(basis), accuracy))
    assert [claim.verdict for claim in found.values()] == [verdict] * 4
    if verdict == "not tested":
        reached = "is not recorded" if np.isnan(accuracy) else "is 14.9%"
        text = f"training accuracy at step {STEP} {reached}; expected at least 15%, where guessing reaches 10%."
        assert all(text in claim.note for claim in found.values())
        assert "Their correlation would be" in found[NAMES[0]].note
        assert not any("nan" in claim.note for claim in found.values())


@pytest.mark.parametrize(
    ("kind", "tested"),
    [
        ("energy:4", NAMES[2:]),
        ("true", NAMES[::2]),
        ("random", []),
    ],
)
def test_claims_that_lack_a_run_are_not_tested_and_the_others_are(empty, basis, kind, tested):
    context = trained(empty, basis, drawn_to_the_component(basis))
    spec = label_energy.all_specs(context)["resnet20", kind][2]
    del context.finished[spec.hash]
    context.failures[spec.hash] = "the training diverged after step 3"
    result = label_energy.run(context)
    assert [claim.name for claim in result.claims if claim.verdict != "not tested"] == tested
    reasons = [claim.note for claim in result.claims if claim.verdict == "not tested"]
    assert all("resnet20, seed 2: the training diverged after step 3" in note for note in reasons)
    assert not any("nan" in claim.note for claim in result.claims)
    assert result.figures == {}


def test_without_any_run_nothing_is_tested(empty):
    result = label_energy.run(empty)
    assert {claim.verdict for claim in result.claims} == {"not tested"}
    assert result.figures == {}
    assert all(len(result.tables[name]) == 0 for name in ("networks", "pairs", "energies"))
