"""The experiment `initialisation`, on runs that were made so that the answer is known."""

import numpy as np
import pytest
from tests.experiments.made import finish, made_run, small_context

from firstlight.experiments import EXPERIMENTS, Context, initialisation
from firstlight.experiments.accuracy import Accuracy
from firstlight.experiments.initialisation.claims import COMPARED
from firstlight.experiments.initialisation.rates import best, few_steps
from firstlight.experiments.networks import NETWORKS, START_RATES, STARTS, started
from firstlight.training import RunSpec

ON = initialisation.EXPERIMENT.networks


@pytest.fixture
def empty(tmp_path) -> Context:
    return small_context(tmp_path, names=("cifar10",))


def filters(spec: RunSpec, step: int) -> np.ndarray:
    return np.ones((2, 3, 3, 3))


def trained(context: Context, gain: float = 0.0, reached: float = 0.9, names=ON) -> Context:
    """These networks finished; every start but the default one gains so much, and 0.01 more by every seed."""
    done = finish(context, [], filters)
    for spec in context.specs(*names):
        best_rate = START_RATES[spec.model][1]
        own = 0.1 * spec.seed - 0.2 * (spec.lr != best_rate)
        if spec.first_layer != "default":
            own += gain + 0.01 * (spec.seed - 1)
        done.finished[spec.hash] = made_run(spec, filters, train_accuracy=reached, test_accuracy=0.4 + own)
    return done


def claims(context: Context) -> dict:
    return {claim.id: claim for claim in initialisation.run(context).claims}


def curves(*by_rate: list[list[float]]) -> dict[float, Accuracy]:
    """Accuracy by rate 0, 1, ...: rows of seeds, columns of steps 10 and 100."""
    spec = RunSpec("vgg11", "x", "ab", "cd", 10, 1, (0.5,), (0.2,), steps=100, seed=0)
    steps = np.array([10, 100])
    return {
        float(rate): Accuracy([spec] * len(rows), steps, np.array(rows), np.array(rows))
        for rate, rows in enumerate(by_rate)
    }


def test_every_start_differs_from_the_default_in_nothing_but_its_first_layer(empty):
    for model, rates in START_RATES.items():
        for start, (_, changes) in STARTS.items():
            for rate in rates:
                ours, theirs = (empty.specs(started(model, one, rate)) for one in (start, "default"))
                for one, other in zip(ours, theirs, strict=True):
                    different = {k for k, v in one.to_dict().items() if other.to_dict().get(k) != v}
                    assert different == set(changes)
                    assert one.model == model


def test_a_seed_counts_at_the_rate_at_which_the_other_seeds_did_best(monkeypatch):
    monkeypatch.setitem(NETWORKS, started("vgg11", "pca", 0.0), NETWORKS["vgg11"])
    monkeypatch.setitem(NETWORKS, started("vgg11", "pca", 1.0), NETWORKS["vgg11"])
    # At step 100 seed 0 would choose rate 1 for itself; the others say rate 0, and so on.
    found = best("vgg11", "pca", curves([[0.1, 0.2], [0.1, 0.5], [0.1, 0.5]], [[0.3, 0.9], [0.3, 0.4], [0.3, 0.4]]))
    assert found.rates[100].tolist() == [0.0, 1.0, 1.0]
    assert found.values[100].tolist() == [0.2, 0.4, 0.4]
    assert found.values[10].tolist() == [0.3, 0.3, 0.3]
    # Of equal rates the lower one, though their sums round otherwise.
    assert best("vgg11", "pca", curves([[0.1, 0.1]] * 3, [[0.1, 0.1]] * 3)).rates[100].tolist() == [0.0] * 3


def test_few_steps_are_within_the_first_third():
    assert few_steps(np.array([10, 32, 100])) == 32
    assert few_steps(np.array([10, 32, 100, 200])) == 32
    assert few_steps(np.array([10, 32, 100, 316, 975])) == 316
    assert few_steps(np.array([2])) == 2


# The interval reaches 0.0248 to either side of the mean of three seeds.
@pytest.mark.parametrize(
    ("gain", "verdict"),
    [(0.035, "holds"), (0.034, "inconclusive"), (-0.0147, "inconclusive"), (-0.015, "violated"), (-0.3, "violated")],
)
def test_the_criterion_is_where_it_was_fixed(empty, gain, verdict):
    found = claims(trained(empty, gain))
    for row, (_, other, _) in COMPARED.items():
        for model in START_RATES:
            expected = verdict if other == "default" else "violated"  # the controls gain as much as the whitening
            assert found[f"{row}.{model}"].verdict == expected
    assert found["O8.vgg11"].values == pytest.approx((gain - 0.01, gain, gain + 0.01))
    assert "After 100 steps: PCA whitening" in found["O8.vgg11"].note
    assert "at lr 0.1; default" in found["O8.vgg11"].note


def test_a_default_that_has_learnt_nothing_leaves_only_few_steps_to_be_judged(empty):
    found = claims(trained(empty, reached=0.59))  # of 5 classes 60% are needed
    assert {claim.verdict for claim in found.values() if claim.row != "O7"} == {"not tested"}
    assert {claim.verdict for claim in found.values() if claim.row == "O7"} == {"inconclusive"}


def test_a_training_that_diverged_counts_as_chance(empty):
    done = trained(empty, 0.1)
    lost = done.specs(started("vgg11", "pca", START_RATES["vgg11"][0]))[0]
    done.failures[lost.hash] = "it diverged"
    del done.finished[lost.hash]
    table = initialisation.run(done).tables["learning"]
    rows = table[(table.model == "vgg11") & (table.start == "PCA whitening") & (table.lr == lost.lr)]
    by_seed = rows.groupby("seed").test_accuracy
    assert by_seed.max()[lost.seed] == by_seed.min()[lost.seed] == 0.2
    assert (by_seed.min().drop(lost.seed) > 0.2).all()


def test_what_is_not_trained_is_not_tested_and_is_not_remembered(empty):
    done = trained(empty, names=[name for name in ON if name.startswith("fastnet")])
    found = claims(done)
    assert found["O8.fastnet"].verdict != "not tested"
    assert found["O8.resnet20"].reason == (
        "no run: ResNet20 with PCA whitening is not trained at every learning rate yet"
    )
    assert claims(trained(empty))["O8.resnet20"].verdict != "not tested"


def test_the_accuracy_alone_is_kept_and_nothing_is_trained_for_it_again(empty):
    first = initialisation.run(trained(empty, 0.05))
    experiment = EXPERIMENTS["initialisation"]
    assert experiment.plan(empty) == []
    again = initialisation.run(empty)
    assert [claim.to_dict() for claim in again.claims] == [claim.to_dict() for claim in first.claims]
    assert first.figures["accuracy"].svg == again.figures["accuracy"].svg
    assert len(first.tables["accuracy"]) == 3 * 6 * 2
    assert len(first.tables["learning"]) == 3 * 6 * 3 * 3 * 3
    gains = first.tables["accuracy"].query("start == 'PCA whitening'").gain
    assert gains.tolist() == pytest.approx([0.05] * 6)
