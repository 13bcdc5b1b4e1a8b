"""The experiment `consistency`, on runs that were made so that the answer is known."""

from collections.abc import Callable
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
from tests.experiments.made import alike_by, directions, finish, initial_filters, learner, small_context

from firstlight.experiments import Claim, Context, Result, consistency
from firstlight.experiments.consistency.figures import matrix
from firstlight.experiments.shared.agreement import first_and_last
from firstlight.patches import PatchBasis
from firstlight.profile import correlation, energy_profile
from firstlight.training import RunSpec

METRICS = {"train_loss": 1.0, "train_accuracy": 0.7, "test_loss": 1.1, "test_accuracy": 0.6}
BUMP = np.exp(-(((np.arange(27) - 6) / 3) ** 2)) + 0.1  # peaks at component 7
AGREEMENTS = ("C1", "C1.resnet20", "C1.resnet20b", "C2", "C3", "C3.resnet20", "C3.resnet20b", "C3.vgg13", "C3.vgg16")
AGREEMENTS += ("C3.resnet32", "O5")
Profile = Callable[[RunSpec, int], np.ndarray]


@pytest.fixture(scope="module")
def empty(tmp_path_factory) -> Context:
    return small_context(tmp_path_factory.mktemp("consistency"))


@pytest.fixture(scope="module")
def basis(empty) -> PatchBasis:
    return empty.basis()


def alike(spec: RunSpec, step: int) -> np.ndarray:
    """One profile for all, but for a little of each seed's own."""
    return BUMP + 0.01 * np.random.default_rng(100 + spec.seed).random(27)


def unlike(spec: RunSpec, step: int) -> np.ndarray:
    """A profile of its own for every run."""
    return 0.1 + np.random.default_rng(int(spec.hash, 16)).random(27)


def trained(context: Context, profile: Profile, **metrics: float) -> Context:
    filters = learner(context.basis(), profile)
    return finish(context, consistency.EXPERIMENT.networks, filters, **METRICS | metrics)


@pytest.fixture(scope="module")
def same(empty) -> Result:
    """All networks learn one profile."""
    return consistency.run(trained(empty, alike))


def by_id(result: Result) -> dict[str, Claim]:
    found = {claim.id: claim for claim in result.claims}
    assert set(found) == {*AGREEMENTS, "C4", "C4.resnet20", "O4"}
    assert len(found) == len(result.claims)
    assert not any("nan" in claim.note for claim in result.claims)
    return found


def claims(context: Context) -> dict[str, Claim]:
    with patch.object(consistency, "draw", return_value={}):  # half the time, and tested elsewhere
        return by_id(consistency.run(context))


def test_networks_that_learn_one_profile_agree_in_every_claim(same):
    found = by_id(same)
    assert {found[name].verdict for name in AGREEMENTS} == {"reproduced", "holds"}
    assert found["C1"].mean == pytest.approx(1, abs=1e-3)
    assert {name: len(found[name].values) for name in ("C1", "C2", "C3", "O5")} == {"C1": 3, "C2": 27, "C3": 9, "O5": 9}
    assert {name for name, claim in found.items() if claim.kind == "published claim"} == {
        *("C1", "C1.resnet20", "C2", "C3", "C3.resnet20", "C4")
    }
    claim = found["C3"]
    assert claim.title == "every architecture learns the same profile: VGG11 and ResNet18"
    assert [(one.network, one.step) for one in claim.reached] == [("VGG11", 100), ("ResNet18", 100)]
    assert claim.holds_after_one_step  # these do not change after it
    assert claim.null
    assert claim.null["of"] == "1000 pairs of random banks of 64 and 64 filters"
    assert "Pairs of one seed correlate 1.000" in claim.note
    pooled = found["C2"].null
    assert pooled
    assert pooled["of"] == "3000 pairs of random banks of 64 and 16 or 64 and 128 or 16 and 128 filters"
    assert "of one seed" not in found["C1"].note
    assert len(same.runs) == 11 * 3


def test_networks_that_learn_profiles_of_their_own_do_not(empty):
    found = claims(trained(empty, unlike))
    assert {found[name].verdict for name in AGREEMENTS} == {"not reproduced", "violated"}


def test_networks_that_only_follow_lambda_do_not_agree(empty, basis):
    """However alike: the little that is not λ is each one's own."""
    found = claims(trained(empty, lambda spec, step: np.sqrt(basis.variance) + 0.01 * unlike(spec, step)))
    assert {found[name].verdict for name in AGREEMENTS} <= {"not reproduced", "violated", "inconclusive"}
    assert found["C2"].mean > 0.99
    assert np.mean(found["C2"].lambda_alone) > 0.99
    exactly = claims(trained(empty, lambda spec, step: np.sqrt(basis.variance)))["C1"]
    assert (exactly.verdict, exactly.mean) == ("not tested", pytest.approx(1))
    assert exactly.reason.startswith("not defined: correlation of what λ leaves unexplained")


def test_the_ends_are_judged_and_shown_beside_the_first_step(empty):
    found = claims(trained(empty, lambda spec, step: (alike if step == 1 else unlike)(spec, step)))
    for name in AGREEMENTS:
        assert found[name].verdict in ("not reproduced", "violated")
        assert found[name].after_one_step == pytest.approx([1] * len(found[name].values), abs=1e-3)
        assert found[name].holds_after_one_step


@pytest.mark.parametrize(
    ("limit", "names"),
    [(0.89, ["C1"]), (0.8, ["C1.resnet20", "C1.resnet20b"]), (0.88, ["C2"]), (0.77, [*AGREEMENTS[4:]])],
)
@pytest.mark.parametrize("side", [0.005, -0.005])
def test_the_criteria_are_where_they_were_fixed(empty, basis, limit, names, side):
    common, *own = directions(basis, 24)

    def profile(spec: RunSpec, step: int) -> np.ndarray:
        # For C1 every seed, for the others every network has its own.
        network = ("vgg11", "vgg13", "vgg16", "resnet18", "resnet20", "resnet20b", "resnet32").index(spec.model)
        which = spec.seed if names[0].startswith("C1") else network + (spec.width or 0) + 9 * (spec.data == "photos")
        return alike_by(limit + side, common, own[which % 23])

    found = claims(trained(empty, profile))
    for name in names:
        assert found[name].values == pytest.approx([limit + side] * len(found[name].values))
        assert (found[name].verdict in ("reproduced", "holds")) == (side > 0)
        assert found[name].verdict != "inconclusive"


@pytest.mark.parametrize(("accuracy", "tested"), [(0.61, True), (0.59, False), (np.nan, False)])
def test_networks_that_have_not_learnt_are_not_judged(empty, accuracy, tested):
    found = claims(trained(empty, alike, train_accuracy=accuracy))  # of 5 classes 60% are needed
    assert {claim.verdict != "not tested" for claim in found.values()} == {tested}
    assert found["C1"].mean == pytest.approx(1, abs=1e-3)  # shown all the same
    assert all(claim.reason.startswith("untrained: ") for claim in found.values() if not tested)


def test_a_first_layer_that_grows_as_it_was_is_like_its_initialisation(empty, basis):
    def grown(spec: RunSpec, step: int) -> np.ndarray:
        return 0.5 * energy_profile(initial_filters(spec), basis).energy

    claim = claims(trained(empty, grown))["C4"]
    assert claim.verdict == "not reproduced"
    assert claim.values == pytest.approx([1.0] * 3)
    assert claim.note == "The change w(t) - w(0) has 0.50 times the norm of w(0)."


@pytest.mark.parametrize(("level", "verdict"), [(0.49, "reproduced"), (0.51, "not reproduced")])
def test_the_criterion_on_the_initialisation(empty, basis, level, verdict):
    def profile(spec: RunSpec, step: int) -> np.ndarray:
        start = energy_profile(initial_filters(spec), basis).energy
        start = (start - start.mean()) / np.linalg.norm(start - start.mean())
        other = directions(basis, 1)[0]
        other = other - start * (start @ other)
        return 5 + level * start + np.sqrt(1 - level**2) * other / np.linalg.norm(other)

    found = claims(trained(empty, profile))
    for name in ("C4", "C4.resnet20"):
        assert found[name].values == pytest.approx([level] * 3)
    assert found["C4"].verdict == verdict
    assert len(found["C4"].conditions) == 1


def test_the_precision_is_judged_against_the_spread_between_seeds(empty):
    def profile(spec: RunSpec, step: int) -> np.ndarray:
        return BUMP + 0.2 * np.random.default_rng([spec.seed, turned * (spec.precision == "bfloat16")]).random(27)

    turned = 0
    found = claims(trained(empty, profile))
    assert found["O4"].verdict == "holds"
    assert found["O4"].values == pytest.approx([1 - found["C1"].mean] * 3)
    turned = 1
    assert abs(claims(trained(empty, profile))["O4"].mean) < 0.1  # as far apart as seeds, up to chance


def test_data_that_cannot_be_had_is_not_tested_and_all_else_is(tmp_path):
    found = claims(trained(small_context(tmp_path, names=("cifar10",)), alike))
    assert (found["O5"].verdict, found["O5"].reason) == ("not tested", "no data: photos cannot be had here")
    assert {claim.id for claim in found.values() if claim.verdict == "not tested"} == {"O5"}


def test_every_profile_is_in_the_components_of_its_own_data(empty):
    changed = empty.facts("photos")
    facts = {"cifar10": empty.facts(), "photos": tuple(replace(one, std=(0.1, 0.2, 0.3)) for one in changed)}
    context = Context(empty.preset, "cifar10", facts, empty._load, empty.measurements, {}, {})
    own = {name: context.basis(data=name) for name in facts}
    filters = {name: learner(basis, alike) for name, basis in own.items()}
    done = finish(
        context, consistency.EXPERIMENT.networks, lambda spec, step: filters[spec.data](spec, step), **METRICS
    )
    claim = claims(done)["O5"]
    assert claim.mean == pytest.approx(1, abs=1e-3)
    between = correlation(*(np.sqrt(basis.variance) for basis in own.values()))
    assert between < 0.9999
    assert claim.note.endswith(f" λ of both correlates {between:.3f}.")


def test_a_failed_training_takes_down_only_the_claims_that_need_it(empty):
    context = trained(empty, alike)
    failed = context.specs("vgg11-width16")[1]
    del context.finished[failed.hash]
    context.failures[failed.hash] = "the training diverged"
    found = claims(context)
    assert "VGG11, 16 filters" in found["C2"].reason
    assert "seed 1: the training diverged" in found["C2"].reason
    assert {name for name, claim in found.items() if claim.verdict == "not tested"} == {"C2"}


def test_without_any_run_nothing_is_tested_and_nothing_fails(empty):
    result = consistency.run(empty)
    assert {claim.verdict for claim in by_id(result).values()} == {"not tested"}
    assert result.figures == {}


def test_the_matrix_holds_every_pair_once_and_is_symmetric(empty, same):
    pairs = same.tables["pairs"]
    assert len(pairs) == 2 * 33 * 32 / 2
    _, ends = first_and_last(pairs)
    names = ["resnet32", "vgg11"]
    table = matrix(ends.query("network in @names and other_network in @names"), names)
    rows = ends.query("network == 'vgg11' and other_network == 'resnet32'")
    seeds = ends.query("network == 'vgg11' and other_network == 'vgg11'")
    assert table[1] == pytest.approx([np.mean(rows.correlation), np.mean(seeds.correlation)])
    assert table[0, 1] == table[1, 0]


def test_the_figures_show_every_network(same):
    assert set(same.figures) == {"profiles", "correlations"}
    legend = same.figures["profiles"].figure.axes[0].get_legend()
    assert legend is not None
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels[:4] == ["random initialisation", "λ", "VGG11", "VGG13"]
    assert len(labels) == 2 + 7
    cells = same.figures["correlations"].figure.axes[0].texts
    assert len(cells) == 11 * 11
    assert {text.get_text() for text in cells} == {"1.00"}
