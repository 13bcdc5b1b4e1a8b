"""Runs as views: profiles of the change at every recorded step, and each network once on a page."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from tests.experiments.made import finish, small_context

import firstlight as fl
from firstlight.experiments import formula, whitening
from firstlight.experiments.run_views import decorrelation_curves, merged_views, run_view
from firstlight.experiments.shared.fits import change_profiles
from firstlight.training import describe


def trained(spec, step):
    """Filters that move away from their initialisation."""
    rng = np.random.default_rng(spec.seed)
    return rng.normal(size=(8, 3, 3, 3)) + 0.1 * step * np.random.default_rng(99).normal(size=(8, 3, 3, 3))


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    empty = small_context(tmp_path_factory.mktemp("views"))
    return finish(empty, formula.EXPERIMENT.networks, trained, train_loss=2.3, train_accuracy=0.9)


def test_a_view_has_the_profile_and_fit_of_every_recorded_step(context):
    run, basis = context.trained("vgg11").runs[0], context.basis()
    view = run_view(run, basis)
    assert view.name == describe(run.spec)
    assert view.key == run.spec.hash
    for snapshot, (step, profile) in zip(view.snapshots, change_profiles(run, basis), strict=True):
        assert snapshot.step == step
        assert snapshot.fit is not None
        np.testing.assert_array_equal(snapshot.profile.energy, profile.energy)
        assert snapshot.fit.correlation == fl.fit_formula(profile, basis).correlation
    np.testing.assert_array_equal(view.learning["step"], run.steps)
    assert (view.learning["train_loss"] == 2.3).all()
    assert np.isnan(view.learning["test_loss"]).all()


def test_a_view_says_the_time_of_its_training_where_it_has_one(context):
    run, basis = context.trained("vgg11").runs[0], context.basis()
    assert f"CNN (here {run.spec.lr * run.spec.steps:.3g}), on patches" in run_view(run, basis).units
    adam = replace(run, spec=replace(run.spec, optimizer="adam"))
    assert "CNN, on patches" in run_view(adam, basis).units


def test_a_network_of_two_experiments_is_there_once_with_all_that_is_known_of_it(context):
    run, basis = context.trained("vgg11").runs[0], context.basis()
    first, second = run_view(run, basis), run_view(run, basis, {"trained": np.array([1.0, 0.5])})
    other = replace(first, key="")
    found = merged_views([first, second, other, other])
    assert [view.key for view in found] == [first.key, "", ""]  # without a key, each is a network of its own
    assert found[0].decorrelation is second.decorrelation
    assert found[0].learning is first.learning


def test_names_tell_details_only_where_networks_differ_by_them(context):
    run, basis = context.trained("vgg11").runs[0], context.basis()
    view = run_view(run, basis)
    fast = replace(run, spec=replace(run.spec, precision="bfloat16"))
    assert run_view(fast, basis).name == view.name
    assert [one.name for one in merged_views([run_view(fast, basis)])] == [view.name]
    assert [one.name for one in merged_views([view, run_view(fast, basis), replace(view, name="other", key="")])] == [
        f"{view.name}, float32",
        f"{view.name}, bfloat16",
        "other",
    ]


@pytest.mark.parametrize(("accuracy", "learnt"), [(0.9, True), (0.1, False)])
def test_a_view_knows_whether_the_network_had_learnt(context, accuracy, learnt):
    run = context.trained("vgg11").runs[0]
    known = replace(run, metrics=run.metrics.assign(train_accuracy=accuracy))
    assert run_view(known, context.basis()).learnt is learnt


def test_curves_are_those_of_the_run_and_its_references():
    rows = [("trained", "vgg11", 0), ("trained", "vgg11", 1), ("initial", "vgg11", 0), ("pixels", "", None)]
    curves = pd.DataFrame(
        [
            {"bank": bank, "network": network, "seed": seed, "distance": d, "value": 10 * number + d}
            for number, (bank, network, seed) in enumerate(rows)
            for d in range(3)
        ]
    ).astype({"seed": "Int64"})

    found = decorrelation_curves(curves, "vgg11", 0)
    assert {name: values.tolist() for name, values in found.items()} == {
        "trained": [0, 1, 2],
        "initial": [20, 21, 22],
        "pixels": [30, 31, 32],
    }


def test_experiments_hand_their_networks_to_the_page(context):
    found = formula.run(context)
    assert len(found.networks) == len(found.runs)
    curves = whitening.run(context)
    assert {view.key for view in curves.networks} <= {view.key for view in found.networks}
    assert all(
        set(view.decorrelation) == {"trained", "initial", "change", "pixels", "ideal whitening"}
        for view in curves.networks
    )


def test_every_judged_claim_names_a_figure_of_its_experiment(context):
    for result in (formula.run(context), whitening.run(context)):
        judged = {claim.figure for claim in result.claims if claim.verdict != "not tested"}
        assert judged
        assert judged <= set(result.figures)
