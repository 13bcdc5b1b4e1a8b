"""What is seen of trainings: a line now and then in a pipe, a bar of each on a terminal."""

import io
import math
import re
import time
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from firstlight.training import Progress, RunSpec, TrainingProgress
from firstlight.training.progress.display import TrainingsDisplay
from firstlight.training.progress.estimate import Remaining
from firstlight.utils.progress_line import Line

SPEC = RunSpec("vgg11", "cifar10", "ab", "cd", 10, 3, (0.5,) * 3, (0.2,) * 3, steps=100, seed=0)
FILTERS = np.zeros((1, 1, 3, 3), np.float32)


def plain(out: io.StringIO) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue())


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
        "vgg11 [seed 0]: step 40/100  accuracy 25.0%  loss 2.345  310 images/s  all: 15 s left",
        "vgg11 [seed 0]: step 80/100  accuracy 25.0%  r=0.93  loss 2.345  310 images/s  all: 5 s left",
        "vgg11 [seed 0]: step 100/100  accuracy 25.0%  r=0.93  loss 2.345  310 images/s",
    ]


def test_a_terminal_gets_a_line_without_colour_where_none_is_wanted(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    out = io.StringIO()
    with TrainingProgress("vgg11", 100, Console(file=out, force_terminal=True, width=120)) as display:
        display.correlation = -0.5
        display.update(at(40, loss=2.345))
    text = plain(out)
    assert re.search(r"vgg11  ━{8}─{12}  40%  step 40/100  accuracy 25.0%  r=-0.50  loss 2.345  310 images/s", text)
    assert text.count("vgg11: step 40/100  accuracy 25.0%  r=-0.50  loss 2.345  310 images/s\n") == 1  # which stays
    assert "\x1b[3" not in out.getvalue()  # no foreground colour


def test_an_interrupted_training_leaves_no_line():
    out = io.StringIO()
    display = TrainingProgress("x", 100, Console(file=out, force_terminal=True)).__enter__()
    display.update(at(40))
    display.__exit__(KeyboardInterrupt)
    assert "x: step 40/100" not in plain(out)


def test_several_trainings_share_a_line_and_one_of_each_stays():
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, color_system=None, width=120)

    def score(spec: RunSpec):
        return lambda filters, initial: float((filters - initial).max() / 100)

    with TrainingsDisplay(console, 2, [SPEC, replace(SPEC, seed=1)], score, several=True) as display:
        first, second = display.add(SPEC), display.add(replace(SPEC, seed=1))
        first.update(at(40, recorded=True))
        second.update(at(10))
        assert display.line._now.title == "training, 4 of 4 begun"
        assert display.line._now.share == pytest.approx(0.25)
        first.end()
        with display.add(SPEC) as again:
            again.update(at(60))
        second.end()
    stay = [line.strip() for line in plain(out).replace("\r", "\n").splitlines() if ": step " in line]
    assert [line.partition("  ")[0] for line in stay] == [
        "[3/4] VGG11, seed 0: step 40/100",
        "[3/4] VGG11, seed 0: step 60/100",
        "[4/4] VGG11, seed 1: step 10/100",
    ]
    assert stay[0].endswith("accuracy 25.0%  r=0.40  loss 1.500  310 images/s")


def test_the_time_that_is_left_is_that_of_all_trainings_and_of_what_comes_after(monkeypatch):
    out, now = io.StringIO(), [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    console = Console(file=out, width=120)
    specs = [SPEC, replace(SPEC, seed=1)]
    with Line(console) as whole:
        whole.later = 30.0
        display = TrainingsDisplay(console, 0, specs, None, several=False)
        display._remaining = Remaining(specs, lambda: now[0])
        with display, display.add(SPEC) as line:
            for step in (0, 50, 100):
                now[0] = step / 2
                line.update(at(step))
    assert out.getvalue().splitlines()[-2].endswith("all: 105 s left")  # 25 of this one, 50 of the next, and 30
    assert out.getvalue().splitlines()[-1].endswith("all: 80 s left")


def test_a_training_that_never_began_says_so():
    out = io.StringIO()
    with TrainingsDisplay(Console(file=out, force_terminal=True, width=120), 0, [SPEC], None, several=True) as display:
        display.add(SPEC).end()
    assert "[1/1] VGG11, seed 0: not begun" in out.getvalue()
