"""Bars and tables for the terminal."""

import numpy as np
import pytest
from rich.console import Console
from rich.text import Text

from firstlight.experiments import EXPERIMENTS
from firstlight.experiments.verdicts import VERDICTS
from firstlight.report.terminal import bars, coloured, experiments_table
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
