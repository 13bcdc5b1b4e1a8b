"""Nothing is learnt in one step, so nothing published may be called reproduced of networks after it.

The recorded runs, cut off after their first update, go through every experiment: as they are, and as if they had
learnt, so that what the rules beside the gate are worth is seen, too.
"""

import json
from dataclasses import replace

import numpy as np
import pytest

from firstlight.experiments import EXPERIMENTS
from firstlight.experiments.headline import published, rows
from firstlight.reproduction.rebuild import context_of, load_runs, read_record
from firstlight.reproduction.shipped_record import recorded_results
from firstlight.training import Run

# They can hardly fail, or no network is in them.
ALLOWED = {"E1", "F5", "F6", "W2", "W3", "T1"}


def cut(run: Run, accuracy: float | None = None) -> Run:
    """A run as it was after one step."""
    metrics = run.metrics.iloc[:2].copy()
    if accuracy is not None:
        metrics["train_accuracy"] = accuracy
        metrics["test_accuracy"] = metrics.test_accuracy.fillna(accuracy)
    return replace(run, steps=run.steps[:2], filters=run.filters[:2], metrics=metrics)


@pytest.fixture(scope="module")
def recorded():
    folder = recorded_results()
    record = read_record(folder)
    entry = record["experiments"]["formula"]
    context = context_of(folder, record, entry["preset"], entry["data"])
    for experiment in EXPERIMENTS.values():
        load_runs(context, folder, experiment, record["runs"])
    assert len(context.finished) >= 54
    return context


def judged(context, accuracy: float | None = None) -> dict:
    whole = dict(context.finished)
    try:
        context.finished.update({name: cut(run, accuracy) for name, run in whole.items()})
        claims = [claim for experiment in EXPERIMENTS.values() for claim in experiment.run(context).claims]
    finally:
        context.finished.update(whole)
    return {row.criterion.id: row for row in published(rows(claims))}


def test_after_one_step_no_claim_about_a_network_is_judged(recorded):
    found = judged(recorded)
    assert {name for name, row in found.items() if row.verdict == "reproduced"} <= ALLOWED - {"E1", "F6"}
    assert {row.verdict for name, row in found.items() if name not in ("F5", "W2", "W3", "T1")} == {"not tested"}


def test_were_they_taken_for_trained_what_one_step_gives_would_be_marked(recorded):
    found = judged(recorded, accuracy=1.0)
    reproduced = {name for name, row in found.items() if row.verdict == "reproduced"}
    marked = {name for name, row in found.items() if row.holds_after_one_step}
    assert reproduced <= ALLOWED | marked | {"Z1"}
    assert marked >= {"C1", "F6", "L1"}
    assert {"F1", "F2", "F3", "F4", "E2", "S1", "L3", "W1"}.isdisjoint(reproduced | marked)


def test_a_first_layer_that_did_not_move_is_nothing_that_can_be_judged(recorded):
    """At the end or at some steps only: its profile is constant, and nothing correlates with it."""
    whole = dict(recorded.finished)
    try:
        for moved in (0, 1):
            for name, run in whole.items():
                filters = np.repeat(run.filters[:1], len(run.filters), axis=0)
                if moved:
                    filters[2:] = run.filters[2:]  # after one step it had not moved yet
                recorded.finished[name] = replace(run, filters=filters)
            results = [experiment.run(recorded) for experiment in EXPERIMENTS.values()]
            claims = {claim.id: claim for result in results for claim in result.claims}
            assert claims["F1"].verdict == ("reproduced" if moved else "not tested")
            assert moved or claims["C1"].verdict == "not tested"
            assert all(entry.svg for result in results for entry in result.figures.values())
            json.dumps([claim.to_dict() for claim in claims.values()], allow_nan=False)
    finally:
        recorded.finished.update(whole)
