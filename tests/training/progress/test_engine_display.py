"""What is seen of trainings on an engine: the line of a terminal, and the time that is left."""

import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from firstlight.engines import engine_of
from firstlight.training import Run, RunSpec
from firstlight.training.progress.engine_display import EngineDisplay
from firstlight.training.run import COLUMNS

SPEC = RunSpec("vgg11", "cifar10", "ab", "cd", 10, 3, (0.5,) * 3, (0.2,) * 3, steps=100, seed=0)
SPECS = [replace(SPEC, seed=seed, steps=100 * (1 + seed)) for seed in range(3)]


def run_of(spec: RunSpec, seconds: float) -> Run:
    metrics = pd.DataFrame([[spec.steps, 1.0, 1.25, 0.5, 1.0, 0.5]], columns=list(COLUMNS))
    environment = {"seconds": seconds, "images_per_second": 310.4}
    return Run(Path(), spec, np.zeros(1), np.zeros((1, 1, 3, 3, 3)), metrics, environment)


class Workers:
    def submit(self, fn, /, *args):
        raise AssertionError


@pytest.fixture
def engine():
    return engine_of(Workers(), width=2)


def test_a_log_has_a_line_for_each_with_the_time_that_is_left(engine):
    out = io.StringIO()
    with EngineDisplay(Console(file=out, width=40), 4, SPECS, engine) as display:
        display.ended(SPECS[1], run_of(SPECS[1], 7500.0), "node1 [GPU]")  # 37.5 s a step: 400 steps are left for two
        display.ended(SPECS[0], None, "node2")
        display.ended(SPECS[2], run_of(SPECS[2], 3.0), "node1 [GPU]")
    assert out.getvalue().splitlines() == [
        "training 3 networks on Workers",
        "[5/7] VGG11, seed 1: loss 1.250  accuracy 50.0%  310 images/s on node1 [GPU]; Workers, 2.1 h left",
        "[6/7] VGG11, seed 0: failed on node2; Workers, 94 min left",
        "[7/7] VGG11, seed 2: loss 1.250  accuracy 50.0%  310 images/s on node1 [GPU]; Workers, 0 s left",
    ]


def test_a_terminal_has_a_line_that_goes_away(engine):
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, color_system=None, width=120)
    with EngineDisplay(console, 0, SPECS, engine) as display:
        display.ended(SPECS[1], run_of(SPECS[1], 7500.0), "node1")
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue())
    assert re.search(r"training  ━+─+  33%  1/3  Workers  2\.1 h left", text)
    assert text.count("[1/3] VGG11, seed 1: loss") == 1


def test_a_quiet_console_says_nothing(engine):
    out = io.StringIO()
    with EngineDisplay(Console(file=out, quiet=True), 0, SPECS, engine) as display:
        display.ended(SPECS[0], run_of(SPECS[0], 1.0), "node1")
    assert out.getvalue() == ""
