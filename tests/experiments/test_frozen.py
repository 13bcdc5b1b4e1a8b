"""The experiment `frozen`, on runs that were made so that the answer is known."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from tests.experiments.made import finish, made_run, small_context

from firstlight.experiments import Context, frozen
from firstlight.experiments.frozen.claims import differences, judge
from firstlight.experiments.frozen.figures import final_accuracy
from firstlight.training import RunSpec


@pytest.fixture(scope="module")
def empty(tmp_path_factory) -> Context:
    return small_context(tmp_path_factory.mktemp("frozen"), names=("cifar10",))


def filters(spec: RunSpec, step: int) -> np.ndarray:
    return np.ones((2, 3, 3, 3))


def trained(context: Context, loss: float = 0.0, accuracy: float = 0.0, reached: float = 0.5) -> Context:
    """All runs finished; a frozen first layer changes training loss and test accuracy by so much, on average."""
    done = finish(context, [], filters)
    for spec in frozen.plan(context):
        own = 0.01 * spec.seed * (1 if spec.frozen else -1)  # seeds differ, and pairs of them too
        change = [loss, accuracy] if spec.frozen else [0.0, 0.0]
        done.finished[spec.hash] = made_run(
            spec,
            filters,
            train_loss=1.5 + change[0] + own,
            train_accuracy=reached,
            test_loss=1.6,
            test_accuracy=0.4 + change[1] + own,
        )
    return done


def verdicts(context: Context) -> dict[str, str]:
    return {claim.name: claim.verdict for claim in frozen.run(context).claims}


def test_every_depth_is_trained_with_and_without_and_nothing_else_differs(empty):
    specs = frozen.plan(empty)
    assert len({spec.hash for spec in specs}) == len(specs) == 2 * 2 * 2
    ordinary = [spec for spec in specs if not spec.frozen]
    assert {replace(spec, frozen=True).hash for spec in ordinary} == {spec.hash for spec in specs if spec.frozen}
    assert {(spec.model, spec.steps, spec.lr) for spec in specs} == {("vgg5", 60, 0.3), ("vgg8", 40, 0.3)}


@pytest.mark.parametrize(
    ("preset", "steps", "lr"),
    [
        ("standard", {"vgg5": 100, "vgg8": 100, "vgg11": 75}, 0.3),
        ("full", dict.fromkeys(("vgg5", "vgg8", "vgg11", "vgg13", "vgg16"), 5850), 0.01),
    ],
)
def test_the_other_presets(tmp_path, preset, steps, lr):
    specs = frozen.plan(small_context(tmp_path, preset, names=("cifar10",)))
    assert {spec.model: spec.steps for spec in specs} == steps
    assert {spec.lr for spec in specs} == {lr}
    assert len(specs) == 2 * 3 * len(steps)


def test_the_specs_are_those_of_the_recorded_runs(empty):
    described = {"classes": tuple("0123456789"), "mean": (0.4914, 0.4822, 0.4465), "std": (0.2471, 0.2435, 0.2616)}
    train, test = (replace(facts, **described) for facts in empty.facts())
    cifar10 = (
        replace(train, fingerprint="7bbede71881bb47fa2f4b950a2a78172666ee414c7eadffc3961039075a9d246"),
        replace(test, fingerprint="2db1065f02e674f594299f6d83adcc0aa04ffac6a627bdd4e817d6bc1f50da89", count=10_000),
    )
    context = Context("standard", "cifar10", {"cifar10": cifar10}, empty._load, empty.measurements, {}, {})
    hashes = {(spec.model, spec.seed, spec.frozen): spec.hash for spec in frozen.plan(context)}
    assert hashes["vgg5", 1, True] == "2d112882c36d491c"
    assert hashes["vgg8", 0, False] == "305bdbf62eeb857f"
    assert hashes["vgg8", 0, True] == "09eb67ecb408bb96"
    assert hashes["vgg11", 0, False] == "bf5850355db1eef7"


def test_a_first_layer_that_costs_nothing_when_frozen_reproduces_the_claims(empty):
    result = frozen.run(trained(empty))
    assert [claim.verdict for claim in result.claims] == ["reproduced"] * 4
    assert [claim.name for claim in result.claims] == [
        "frozen/vgg5/test-accuracy",
        "frozen/vgg5/train-loss",
        "frozen/vgg8/test-accuracy",
        "frozen/vgg8/train-loss",
    ]
    # Seed 1 gains 0.02 by the way it was made, seed 0 nothing: pairs are of one seed.
    assert result.claims[0].values == pytest.approx((0.0, 0.02))
    assert len(result.runs) == len(result.tables["outcomes"]) == 8


# The mean over seeds is 0.01 above what is put in.
@pytest.mark.parametrize(
    ("loss", "accuracy", "expected"),
    [
        (0.039, -0.029, ("reproduced", "reproduced")),
        (0.041, -0.029, ("reproduced", "not reproduced")),
        (0.039, -0.031, ("not reproduced", "reproduced")),
        (-1.0, 0.3, ("reproduced", "reproduced")),  # a gain is no loss
    ],
)
def test_the_criteria_are_where_they_were_fixed(empty, loss, accuracy, expected):
    found = verdicts(trained(empty, loss, accuracy))
    for model in ("vgg5", "vgg8"):
        assert (found[f"frozen/{model}/test-accuracy"], found[f"frozen/{model}/train-loss"]) == expected


def test_networks_that_have_learnt_nothing_are_not_judged(empty):
    # Five classes: chance is 20%, and 30% are asked for.
    assert set(verdicts(trained(empty, reached=0.301)).values()) == {"reproduced"}
    claims = frozen.run(trained(empty, reached=0.299)).claims
    assert {claim.verdict for claim in claims} == {"not tested"}
    assert all("29.9%" in claim.note and "30.0%, 1.5 times chance" in claim.note for claim in claims)


def test_a_depth_with_a_failed_training_is_not_tested_and_the_others_are(empty):
    context = trained(empty)
    failed = next(spec for spec in frozen.plan(empty) if spec.model == "vgg8" and spec.frozen and spec.seed == 1)
    del context.finished[failed.hash]
    context.failures[failed.hash] = "the training diverged after step 3"
    result = frozen.run(context)
    by_name = {claim.name: claim for claim in result.claims}
    assert by_name["frozen/vgg5/test-accuracy"].verdict == "reproduced"
    assert by_name["frozen/vgg8/test-accuracy"].verdict == "not tested"
    assert by_name["frozen/vgg8/train-loss"].note == "vgg8, seed 1: the training diverged after step 3"
    assert "learning" in result.figures


def test_without_any_run_nothing_is_tested_and_nothing_fails(empty):
    result = frozen.run(empty)
    assert {claim.verdict for claim in result.claims} == {"not tested"}
    assert all(claim.note for claim in result.claims)
    assert result.figures == {}
    assert result.tables["learning"].empty


def test_what_was_not_recorded_is_said_and_not_printed_as_nan(empty):
    claims = frozen.run(finish(empty, frozen.plan(empty), filters, train_accuracy=0.9)).claims
    assert {claim.verdict for claim in claims} == {"not tested"}
    assert all("not recorded" in claim.note and "nan" not in claim.note for claim in claims)


def test_differences_are_paired_by_seed_in_whatever_order_the_rows_come():
    rows = pd.DataFrame(
        [
            {"seed": 1, "frozen": True, "x": 5.0},
            {"seed": 0, "frozen": False, "x": 1.0},
            {"seed": 0, "frozen": True, "x": 2.0},
            {"seed": 1, "frozen": False, "x": 9.0},
        ]
    )
    assert differences(rows, "x") == [1.0, -4.0]


def test_the_published_words_are_on_deep_networks():
    claims = judge(
        ("vgg5", "vgg8", "vgg11"), frozen.outcome_table([]), dict.fromkeys(("vgg5", "vgg8", "vgg11"), "-"), 10
    )
    shallow = ["this one is shallow" in claim.published for claim in claims]
    assert shallow == [True] * 4 + [False] * 2


def test_the_figures_show_every_depth_with_and_without(empty):
    result = frozen.run(trained(empty, accuracy=-0.1))
    assert set(result.figures) == {"learning", "test_accuracy"}
    axes = result.figures["learning"].figure.axes
    assert [ax.get_title() for ax in axes[:2]] == ["VGG5", "VGG8"]
    legend = axes[0].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["trained first layer", "frozen first layer"]
    means = [
        float(container.lines[0].get_ydata()[0])  # type: ignore[union-attr]
        for container in final_accuracy(result.tables["outcomes"], 5).axes[0].containers
    ]
    assert means == pytest.approx([0.395, 0.395, 0.305, 0.305])
