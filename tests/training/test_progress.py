"""The display: a line now and then in a pipe, a bar on a terminal."""

import io
import math

import numpy as np
from rich.console import Console

from firstlight.training import Progress, TrainingProgress, progress

FILTERS = np.zeros((1, 1, 3, 3), np.float32)


def at(step: int) -> Progress:
    loss = 2.345 if step else math.nan
    return Progress(step, 100, loss, 0.25, 310.4, FILTERS, None)


def test_a_pipe_gets_the_first_and_the_last_line_and_few_between(monkeypatch):
    out, now = io.StringIO(), [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with TrainingProgress("vgg11 [seed 0]", 100, Console(file=out, width=40)) as display:
        for step in range(101):
            now[0] = step / 4
            if step == 50:
                display.correlation = 0.934
            display.update(at(step))
    assert out.getvalue().splitlines() == [
        "vgg11 [seed 0]: step 0/100",
        "vgg11 [seed 0]: step 40/100  loss 2.345  accuracy 25.0%  310 images/s",
        "vgg11 [seed 0]: step 80/100  loss 2.345  accuracy 25.0%  310 images/s  r=0.93",
        "vgg11 [seed 0]: step 100/100  loss 2.345  accuracy 25.0%  310 images/s  r=0.93",
    ]


def test_a_terminal_gets_a_bar_without_colour_where_none_is_wanted(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    out = io.StringIO()
    with TrainingProgress("vgg11", 100, Console(file=out, force_terminal=True, width=120)) as display:
        display.correlation = -0.5
        display.update(at(100))
    assert "100/100" in out.getvalue()
    assert "loss 2.345  accuracy 25.0%  310 images/s  r=-0.50" in out.getvalue()
    assert "\x1b[3" not in out.getvalue()  # no foreground colour
