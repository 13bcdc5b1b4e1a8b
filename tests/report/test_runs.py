"""The runs of a store, as a table and one in full."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console, RenderableType

from firstlight.report.runs_tables import run_details, runs_table
from firstlight.training import Run, RunSpec, StoredRun, record_steps, stored_runs
from firstlight.training.run import COLUMNS, write_run

SPEC = RunSpec("vgg11", "[data]", "ab12", "cd34", 2, 3, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2), steps=20, seed=0)
PAIR = replace(SPEC, only=("automobile", "truck"))


def printed(what: RenderableType) -> str:
    console = Console(width=140, no_color=True)
    with console.capture() as capture:
        console.print(what)
    return capture.get()


def finished(store: Path) -> StoredRun:
    folder = store / PAIR.hash
    folder.mkdir()
    steps = record_steps(PAIR.steps)
    rows = [{**dict.fromkeys(COLUMNS), "step": step, "epoch": step / 7, "test_accuracy": 0.625} for step in steps]
    environment = {"hash": PAIR.hash, "device": "cpu [AVX2]", "images_per_second": 310.5}
    write_run(folder, PAIR, np.ones((len(steps), 4, 3, 3, 3), np.float32), rows, environment)
    (run,) = stored_runs(store)
    return run


def test_the_table_says_state_steps_and_what_is_wrong():
    runs = [
        StoredRun("a" * 16, Path("a"), "finished", SPEC, 20, 106_000, ""),
        StoredRun("b" * 16, Path("b"), "unfinished", SPEC, 7, 39_100_000, "goes on at step 7"),
        StoredRun("c" * 16, Path("c"), "damaged", None, None, 12, "metrics.csv [is] damaged"),
    ]
    head, _, *rows = printed(runs_table(runs)).strip().splitlines()
    assert [re.split(r" {2,}", row.strip()) for row in rows] == [
        ["a" * 16, "finished", "VGG11, seed 0, [data]", "20"],
        ["b" * 16, "unfinished", "VGG11, seed 0, [data]", "7/20", "goes on at step 7"],
        ["c" * 16, "damaged", "-", "-", "metrics.csv [is] damaged"],
    ]
    assert head.split()[-1] == "note"
    assert "note" not in printed(runs_table(runs[:1]))


def test_every_state_has_a_row():
    from firstlight.training.store import STATES

    text = printed(runs_table([StoredRun("a" * 16, Path("a"), state, SPEC, 1, 1, "") for state in STATES]))
    assert all(f" {state} " in text for state in STATES)


def test_a_finished_run_in_full(tmp_path):
    run = finished(tmp_path)
    text = printed(run_details(run, Run.load(run.path)))
    words = {line.split("│")[1].strip(): line.split("│")[2].strip() for line in text.splitlines() if "│" in line}
    assert words["run"] == PAIR.hash
    assert words["what"] == "VGG11, seed 0, [data], automobile/truck"
    assert words["state"] == "finished"
    assert words["steps"] == "20"
    assert words["only"] == "automobile, truck"
    assert words["mean"] == "0.5, 0.5, 0.5"
    assert words["train_images"] == "-"
    assert words["records"] == f"{len(record_steps(20))} of 4 x 3 x 3 x 3 filters"
    assert words["test accuracy"] == "0.625"
    assert "train loss" not in words  # was not measured
    assert words["device"] == "cpu [AVX2]"
    assert words["images per second"] == "310.5"


def test_a_run_of_which_little_is_known_in_full():
    run = StoredRun("c" * 16, Path("c"), "damaged", None, None, 12, "spec.json is damaged")
    text = printed(run_details(run))
    assert "damaged  spec.json is damaged" in text
    assert "VGG" not in text
