"""A claim: what it must be read against stands with it, and no network is judged that has not learnt."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from tests.experiments.made import made_run

from firstlight.experiments import EXPERIMENTS, Claim
from firstlight.experiments.criteria import CRITERIA, first_version
from firstlight.experiments.headline import counts, rows, summary
from firstlight.experiments.learning import Reached, needed_accuracy
from firstlight.experiments.verdicts import Condition
from firstlight.training import RunSpec

FIT = Condition.over_seeds("correlation", [0.93, 0.95, 0.94], least=0.8, after_one_step=[0.6, 0.7, 0.81])


def spec(**changes) -> RunSpec:
    described = {"data": "photos", "data_fingerprint": "ab", "test_fingerprint": "cd", "channels": 1}
    return RunSpec("vgg11", **described, mean=(0.5,), std=(0.2,), steps=9, seed=0, **{"classes": 10, **changes})


def reached(*accuracies: float, **changes) -> Reached:
    runs = [made_run(spec(**changes), lambda *_: np.zeros((4, 1, 3, 3)), train_accuracy=one) for one in accuracies]
    return Reached.of("VGG11", runs)


@pytest.mark.parametrize(
    ("changes", "needed"),
    [
        ({}, 0.3),
        ({"classes": 100}, 0.03),
        ({"labels": "random"}, 0.15),
        ({"labels": "energy:5"}, 0.15),
        ({"classes": 2}, 0.75),
        ({"classes": 2, "labels": "random"}, 0.75),
        ({"classes": 5}, 0.6),
        ({"classes": 4}, 0.625),  # three times chance would be 75%
    ],
)
def test_how_much_a_network_must_have_learnt(changes, needed):
    assert needed_accuracy(spec(**changes)) == pytest.approx(needed)


def test_one_run_that_has_not_learnt_leaves_the_claim_untested():
    claim = Claim.judged("F1", FIT, reached=[reached(0.94, 0.94), reached(0.31, 0.29)])
    assert claim.verdict == "not tested"
    assert claim.reason == "untrained: VGG11 is at 29.0% training accuracy at step 9, and 30% are needed"
    assert claim.values == (0.93, 0.95, 0.94)  # measured all the same, and shown
    assert claim.accuracy == pytest.approx(0.3)
    assert "no training accuracy" in Claim.judged("F1", FIT, reached=[reached(math.nan)]).reason
    assert Claim.judged("F1", FIT, reached=[reached(0.3, 0.9)]).verdict == "reproduced"


def test_a_claim_that_cannot_be_judged_says_why():
    assert Claim.judged("F1", reason="no run: x").reason == "no run: x"
    assert Claim.judged("F1").verdict == "not tested"
    undefined = Condition.over_seeds("correlation", [0.9, math.nan], least=0.8)
    claim = Claim.judged("F1", FIT, undefined)
    assert (claim.verdict, claim.reason) == ("not tested", "not defined: correlation")


def test_what_is_shown():
    claim = Claim.judged("F1", FIT, subject="VGG11", lambda_alone=[0.2, 0.3, 0.2])
    assert (claim.title, claim.measured) == ("eq. 3 fits VGG11", "0.940 [0.915, 0.965] (3 seeds)")
    assert (claim.measured_after_one_step, claim.holds_after_one_step) == ("0.703", False)
    early = replace(FIT, after_one_step=(0.9, 0.9, 0.9))
    assert Claim.judged("F1", early).measured_after_one_step == "0.900 (holds already)"
    assert Claim.judged("F2.resnet20b", FIT, subject="ResNet20-B").title == "eq. 3 fits ResNet20: ResNet20-B"
    assert claim.before == first_version()["F1"]
    assert Claim.judged("W4", Condition.of_data("x", 3e-13, most=1e-3), replicates="profile").measured == (
        "below 1e-9 (1 profile)"
    )


def test_what_can_be_had_for_nothing_is_said():
    early = replace(FIT, after_one_step=(0.9, 0.9, 0.9))
    null = {"of": "random banks", "mean": 0.85, "percentile_95": 0.9}
    learnt = [reached(0.9)]
    claim = Claim.judged("F1", early, reached=learnt, lambda_alone=[0.81, 0.82], null=null)
    assert claim.for_nothing == ["after one step", "λ alone", "random banks"]
    assert Claim.judged("F1", FIT, reached=learnt, lambda_alone=[0.2], null={**null, "mean": 0.2}).for_nothing == []


def test_a_claim_is_json():
    claim = Claim.judged("F1", FIT, Condition.over_seeds("y", [1, 2, 3]), reached=[reached(0.9, math.nan)])
    found = json.loads(json.dumps(claim.to_dict(), allow_nan=False))
    assert found["values"] == [0.93, 0.95, 0.94]
    assert found["interval"] == pytest.approx(FIT.interval)
    assert found["accuracy"][0]["train"] == [0.9, None]
    assert found["conditions"][1]["least"] is None
    assert found["first_version"]["verdict"] == "reproduced"
    # Rounding error differs from machine to machine, and is stored as 0.
    tiny = Claim.judged("N1", Condition.of_data("x", 3e-13, most=1e-9))
    assert (tiny.verdict, tiny.to_dict()["values"]) == ("holds", [0.0])


def test_a_row_has_the_worst_verdict_of_its_parts_and_equal_statements_count_once():
    low = replace(FIT, values=(0.4,) * 3, interval=(0.3, 0.5))
    claims = [
        Claim.judged("C1", FIT, subject="VGG11"),
        Claim.judged("C1.resnet20", low, subject="ResNet20"),
        Claim.judged("C3", FIT, subject="VGG11, ResNet18"),
        Claim.judged("C3.vgg13", low, subject="VGG11, VGG13", kind="own finding"),
        Claim.judged("C4", reason="no run"),
    ]
    found = {row.criterion.id: row for row in rows(claims)}
    assert [found[name].verdict for name in ("C1", "C2", "C3", "C4")] == [
        *("not reproduced", "not tested", "reproduced", "not tested")
    ]
    assert len(found["C3"].claims) == 1  # what nobody published is no part of the row
    assert counts(found.values()) == {"reproduced": 1, "not reproduced": 1, "inconclusive": 0, "not tested": 2}
    assert summary(found.values()) == "1 of 4 published claims reproduced; 1 not reproduced, 2 not tested"


def test_every_row_has_an_experiment_and_what_the_first_version_said_is_of_a_known_row():
    assert {criterion.experiment for criterion in CRITERIA.values()} == set(EXPERIMENTS)
    assert {name.partition(".")[0] for name in first_version()} <= set(CRITERIA)
    published = [one.id for one in CRITERIA.values() if one.kind == "published claim"]
    assert len(published) == 22
    assert CRITERIA["W4"].kind == "numerical check"
