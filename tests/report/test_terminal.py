"""Bars and tables for the terminal."""

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from rich.text import Text

from firstlight.experiments import EXPERIMENTS
from firstlight.experiments.verdicts import VERDICTS
from firstlight.report.terminal import bars, coloured, experiments_table, frame_table
from firstlight.reproduction.reproduction import PRESETS


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0, 1], "▁█"), ([0.0, 0.0], "▁▁"), ([1, 2, 4, 8], "▂▃▅█"), ([5], "█")],
)
def test_bars(values, expected):
    assert bars(np.array(values)) == expected


def test_long_profiles_are_averaged_down():
    assert bars(np.repeat([0.0, 1.0], 300), width=2) == "▁█"
    assert len(bars(np.arange(363.0))) == 60


def test_every_verdict_has_a_colour():
    for verdict in VERDICTS:
        assert Text.from_markup(coloured(verdict)).plain == verdict
        assert coloured(verdict) != verdict


def test_experiments_are_listed_with_what_each_preset_costs():
    console = Console(width=120, no_color=True)
    with console.capture() as capture:
        console.print(experiments_table([EXPERIMENTS["formula"]], PRESETS))
    text = capture.get()
    assert all(preset in text for preset in PRESETS)
    assert EXPERIMENTS["formula"].cost("full")[:20] in text


def test_a_table_of_an_experiment_has_two_decimals_and_names_once():
    frame = pd.DataFrame({"network": ["[a]", "[a]", "b"], "theory": ["x", "y", "x"], "log_r2": [0.123, np.nan, -1.5]})
    console = Console(width=60, no_color=True)
    with console.capture() as capture:
        console.print(frame_table(frame))
    lines = [line.split() for line in capture.get().splitlines() if line.strip()]
    assert lines[0] == ["network", "theory", "log", "r2"]
    assert lines[2:] == [["[a]", "x", "0.12"], ["y"], ["b", "x", "-1.50"]]
