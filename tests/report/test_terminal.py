"""Bars and tables for the terminal."""

import numpy as np
import pytest
from rich.console import Console

from firstlight.experiments import Claim
from firstlight.report.terminal import bars, claims_table


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0, 1], "▁█"), ([0.0, 0.0], "▁▁"), ([1, 2, 4, 8], "▂▃▅█"), ([5], "█")],
)
def test_bars(values, expected):
    assert bars(np.array(values)) == expected


def test_long_profiles_are_averaged_down():
    assert bars(np.repeat([0.0, 1.0], 300), width=2) == "▁█"
    assert len(bars(np.arange(363.0))) == 60


def test_a_verdict_is_a_word_and_not_only_a_colour():
    claims = [
        Claim("a/b/c", "it [does]", "seed", "1.0", "r", "r > 0", (1.0,), verdict)
        for verdict in ("reproduced", "not reproduced", "not tested")
    ]
    console = Console(width=120, no_color=True)
    with console.capture() as capture:
        console.print(claims_table(claims))
    text = capture.get()
    assert all(word in text for word in ("reproduced", "not reproduced", "not tested"))
    assert text.count("it [does]") == 3
