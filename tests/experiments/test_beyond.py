"""The experiment `beyond`, on runs that were made so that the answer is known."""

import random
from typing import Literal

import numpy as np
import pytest
from tests.experiments.made import finish, initial_filters, learner, small_context

from firstlight.experiments import Context, beyond
from firstlight.experiments.beyond import claims as judged
from firstlight.experiments.beyond.described import Counts, Described, of_others, others
from firstlight.experiments.networks import NETWORKS, SMALL
from firstlight.inspection.atlas import shipped_atlas
from firstlight.theory import TheoryFit, linear_cnn_profile
from firstlight.theory.explanation import Explanation
from firstlight.theory.trajectory import composition_profile
from firstlight.training import RunSpec

ON = beyond.EXPERIMENT.networks
LEARNT = {"train_accuracy": 0.9, "test_accuracy": 0.9}


@pytest.fixture(scope="module")
def empty(tmp_path_factory) -> Context:
    return small_context(tmp_path_factory.mktemp("beyond"), names=("cifar10",))


@pytest.fixture(scope="module")
def profiles(empty) -> dict[str, np.ndarray]:
    """What each theory says of the small images."""
    spec = empty.specs("vgg11")[0]
    windows = empty.moments(spec, 5)
    eq3 = linear_cnn_profile(empty.basis(spec).variance, 3.0)
    return {"eq3": eq3, "composition": composition_profile(windows, 18.0, mean=spec.mean, std=spec.std)}


def following(empty: Context, profiles: dict[str, np.ndarray], theory) -> Context:
    """All networks trained, the change of each as the theory `theory(spec)` says."""
    basis = empty.basis(empty.specs("vgg11")[0])
    return finish(empty, ON, learner(basis, lambda spec, step: profiles[theory(spec)]), **LEARNT)


def windowed(empty: Context, ratio, **metrics: float) -> Context:
    """All networks trained; every filter has the square root of `ratio(spec, step)` at its centre, 1 elsewhere."""

    def filters(spec: RunSpec, step: int) -> np.ndarray:
        weight = np.sign(initial_filters(spec))
        weight[:, :, 1, 1] *= np.sqrt(ratio(spec, step) * (1 + 0.01 * spec.seed))
        return weight

    return finish(empty, ON, filters, **(metrics or LEARNT))


def claims(context: Context) -> dict:
    return {claim.id: claim for claim in beyond.run(context).claims}


def made(name: str, eq3: float, composition: float, counts: Counts = "held out") -> Described:
    """A network of somebody else that correlates so much with each theory."""
    difference = composition - eq3
    fit = TheoryFit(
        explained("eq3", eq3),
        explained("composition", composition),
        "",
        difference,
        (difference - 0.1, difference + 0.1),
    )
    return Described(name, counts, False, None, fit)


def explained(theory: Literal["eq3", "composition"], r: float) -> Explanation:
    """A theory with this correlation."""
    empty = np.zeros(0)
    return Explanation(theory, 1.0, r, 0.0, (r, r), 0.4, 0.4, 0.001, "", empty, empty, empty)


def test_the_coin_is_tossed_again_and_falls_as_it_is_written():
    rest = sorted(name for name, about in others().items() if about["counts"] != "development")
    defined = [one.network for one in of_others() if one.fit and one.fit.composition]
    pool = [name for name in rest if name in defined]
    held = random.Random(20261128).sample(pool, 5)
    assert sorted(held) == [name for name in pool if others()[name]["counts"] == "held out"]
    assert len(pool) == 9


def test_every_network_of_others_is_listed_and_none_of_ours():
    theirs = {one.name for one in shipped_atlas() if "recorded by firstlight" not in one.source}
    assert theirs == set(others())
    refused = [one for one in of_others() if one.fit and one.fit.composition is None]
    assert [one.network for one in refused] == ["ddddocr text detection"]
    assert refused[0].fit
    assert "6" in refused[0].fit.refusal
    assert not np.isnan(refused[0].r("eq3"))
    assert np.isnan(refused[0].difference)


@pytest.mark.parametrize(("theory", "verdict"), [("eq3", "holds"), ("composition", "violated")])
def test_the_paper_s_protocol_is_judged_by_which_theory_the_change_follows(empty, profiles, theory, verdict):
    found = claims(following(empty, profiles, lambda spec: theory))
    assert found["O13.vgg11"].verdict == found["O13.resnet20"].verdict == verdict


@pytest.mark.parametrize(("first", "already"), [("eq3", True), ("composition", False)])
def test_what_is_so_after_one_step_already_is_said(empty, profiles, first, already):
    basis = empty.basis(empty.specs("vgg11")[0])
    follow = learner(basis, lambda spec, step: profiles[first if step == 1 else "eq3"])
    found = claims(finish(empty, ON, follow, **LEARNT))["O13.vgg11"]
    assert found.verdict == "holds"
    assert found.holds_after_one_step == already


@pytest.mark.parametrize(("modern", "verdict"), [("composition", "holds"), ("eq3", "violated")])
def test_the_recipe_is_judged_by_what_it_changes(empty, profiles, modern, verdict):
    other = {"composition": "eq3", "eq3": "composition"}[modern]
    found = claims(following(empty, profiles, lambda spec: modern if spec.momentum else other))
    assert found["O15"].verdict == verdict
    assert found["O15"].subject == "SmallNet"


@pytest.mark.parametrize(
    ("rs", "verdict"),
    [
        ([(0.5, 0.8), (0.5, 0.9), (0.6, 0.8), (0.4, 0.7), (0.5, 0.8)], "holds"),
        ([(0.8, 0.5), (0.9, 0.5), (0.8, 0.6), (0.7, 0.4), (0.8, 0.5)], "violated"),
        ([(0.8, 0.5), (0.5, 0.9), (0.8, 0.6), (0.4, 0.7), (0.6, 0.61)], "inconclusive"),
    ],
)
def test_networks_of_others_are_judged_by_the_median_over_those_held_out(rs, verdict):
    held = [made(str(number), *pair) for number, pair in enumerate(rs)]
    claim = judged.others_claim([*held, made("not held out", 0.0, 1.0, "shown"), made("d", 1.0, 0.0, "development")])
    assert claim.verdict == verdict
    ours, theirs = np.median([pair[::-1] for pair in rs], axis=0)
    assert claim.values == pytest.approx((ours - theirs,))
    assert claim.measured.endswith("(1 median over 5 networks)")


@pytest.mark.parametrize(("ratio", "verdicts"), [(2.0, ("holds", "violated")), (0.5, ("violated", "holds"))])
def test_windows_are_judged_against_one(empty, ratio, verdicts):
    found = claims(windowed(empty, lambda spec, step: ratio))
    assert (found["O16"].verdict, found["O17"].verdict) == verdicts
    assert found["O16"].values == pytest.approx((ratio, 1.01 * ratio, 1.02 * ratio))
    assert found["O18"].values == pytest.approx((0, 0, 0)) == found["O19"].values


@pytest.mark.parametrize(("factor", "verdict"), [(2.0, "holds"), (0.5, "violated")])
def test_predictions_are_judged_by_what_is_changed(empty, factor, verdict):
    def decay(spec: RunSpec, step: int) -> float:
        return factor if spec.weight_decay else 1.0

    def width(spec: RunSpec, step: int) -> float:
        return factor if spec.width == 8 else 1.0

    def late(spec: RunSpec, step: int) -> float:
        return factor if step > 10 else 1.0

    # Equal differences of all seeds: the interval has no width.
    for row, ratio in (("O18", decay), ("O19", width), ("O20", late)):
        found = claims(windowed(empty, ratio))
        assert found[row].verdict == verdict
        assert found[row].mean == pytest.approx(np.log(factor))


def test_networks_that_have_learnt_nothing_are_not_judged(empty):
    found = claims(windowed(empty, lambda spec, step: 2.0, train_accuracy=0.2, test_accuracy=0.2))
    assert {claim.verdict for claim in found.values() if claim.row != "O14"} == {"not tested"}


def test_what_is_not_trained_is_not_tested_and_others_are_judged(empty):
    found = beyond.run(empty)
    assert {claim.verdict for claim in found.claims if claim.row != "O14"} == {"not tested"}
    others_claim = next(claim for claim in found.claims if claim.row == "O14")
    assert others_claim.verdict != "not tested"
    assert "Not defined for ddddocr text detection: the kernels are of sides 6" in others_claim.note
    assert set(found.tables["networks"].network) == set(others())


def test_a_first_layer_that_has_not_moved_has_no_theory(empty):
    still = finish(empty, ON, lambda spec, step: initial_filters(spec), **LEARNT)
    found = claims(still)
    assert found["O13.vgg11"].verdict == "not tested"
    assert "not defined" in found["O13.vgg11"].reason


def test_tables_have_a_row_a_network_and_theory(empty, profiles):
    found = beyond.run(following(empty, profiles, lambda spec: "eq3"))
    table = found.tables[found.shown]
    assert len(table) == 2 * (len(others()) + len(ON))
    ours = table[(table.counts == "ours") & (table.theory == "eq. 3")]
    assert ours.r.to_numpy() == pytest.approx(1.0, abs=0.02)
    assert len(found.tables["predictions"]) == 3 * len(ON)
    assert "held out" in found.figures["theories"].svg


def test_small_networks_differ_in_what_is_tested_alone(empty):
    def different(one: str, other: str) -> set[str]:
        pair = [empty.specs(name)[0].to_dict() for name in (one, other)]
        return {key for key in {*pair[0], *pair[1]} if pair[0].get(key) != pair[1].get(key)} - {"lr"}

    modern = "smallnet-modern"
    assert different(modern, "smallnet-paper") == {"momentum", "weight_decay", "schedule", "augmentation"}
    assert different(modern, "smallnet1x1-modern") == {"model"}
    assert different(modern, "smallnet-nodecay") == {"weight_decay"}
    assert different(modern, "smallnet-width8") == {"width"} == different(modern, "smallnet-width64")
    assert all(NETWORKS[name].changes["precision"] == "float32" for name, *_ in SMALL)
