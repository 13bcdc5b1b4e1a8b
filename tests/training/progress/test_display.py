"""What is seen of trainings: a line now and then in a pipe, a bar of each on a terminal."""

import io
import math
import re
import time
from dataclasses import replace

import numpy as np
from rich.console import Console

from firstlight.training import Progress, RunSpec, TrainingProgress
from firstlight.training.progress.display import TrainingsDisplay

SPEC = RunSpec("vgg11", "cifar10", "ab", "cd", 10, 3, (0.5,) * 3, (0.2,) * 3, steps=100, seed=0)
FILTERS = np.zeros((1, 1, 3, 3), np.float32)


def at(step: int, recorded: bool = False, loss: float = 1.5) -> Progress:
    return Progress(step, 100, loss, 0.25, 310.4, FILTERS, FILTERS + step if recorded else None)


def test_a_pipe_gets_the_first_and_the_last_line_and_few_between(monkeypatch):
    out, now = io.StringIO(), [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with TrainingProgress("vgg11 [seed 0]", 100, Console(file=out, width=40)) as display:
        for step in range(101):
            now[0] = step / 4
            if step == 50:
                display.correlation = 0.934
            display.update(at(step, loss=2.345 if step else math.nan))
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
        display.update(at(100, loss=2.345))
    assert "100/100" in out.getvalue()
    assert "loss 2.345  accuracy 25.0%  310 images/s  r=-0.50" in out.getvalue()
    assert "\x1b[3" not in out.getvalue()  # no foreground colour


def test_several_bars_share_a_terminal_and_a_line_of_each_stays():
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, color_system=None, width=120)

    def score(spec: RunSpec):
        return lambda filters, initial: float((filters - initial).max() / 100)

    with TrainingsDisplay(console, 2, [SPEC, replace(SPEC, seed=1)], score, several=True) as display:
        first, second = display.add(SPEC), display.add(replace(SPEC, seed=1))
        first.update(at(40, recorded=True))
        second.update(at(7))
        assert display._bars is not None
        assert display._bars._live is not None
        display._bars._live.refresh()
        first.end()
        with display.add(SPEC) as again:
            again.update(at(60))
        second.end()
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue())
    assert re.search(r"\[3/4\] VGG11, seed 0 .* 40/100 loss 1.500 .* r=0.40.*\n.*\[4/4\] VGG11, seed 1 .* 7/100 ", text)
    stay = [line.rstrip() for line in text.replace("\r", "\n").splitlines() if ": step " in line]
    assert [line.partition("  ")[0] for line in stay] == [
        "[3/4] VGG11, seed 0: step 40/100",
        "[3/4] VGG11, seed 0: step 60/100",
        "[4/4] VGG11, seed 1: step 7/100",
    ]
    assert stay[0].endswith("loss 1.500  accuracy 25.0%  310 images/s  r=0.40")


def test_a_training_that_never_began_says_so():
    out = io.StringIO()
    with TrainingsDisplay(Console(file=out, force_terminal=True, width=120), 0, [SPEC], None, several=True) as display:
        display.add(SPEC).end()
    assert "[1/1] VGG11, seed 0: not begun" in out.getvalue()
