"""Titles, and the bars of several trainings on a terminal."""

import io
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from firstlight.training import Progress, RunSpec, describe
from firstlight.training.display import Display

SPEC = RunSpec("vgg11", "cifar10", "ab", "cd", 10, 3, (0.5,) * 3, (0.2,) * 3, steps=100, seed=0)
FILTERS = np.zeros((1, 1, 3, 3), np.float32)


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ({}, "VGG11, seed 0"),
        ({"model": "resnet20", "seed": 12}, "ResNet20, seed 12"),
        ({"labels": "random"}, "VGG11, seed 0, random labels"),
        ({"labels": "energy:4"}, "VGG11, seed 0, labels by component 4"),
        ({"frozen": True, "lr": 0.3}, "VGG11, seed 0, frozen, lr 0.3"),
        ({"width": 16}, "VGG11, seed 0, width 16"),
        ({"data": "photos"}, "VGG11, seed 0, photos"),
        ({"stride": 3}, "VGG11, seed 0, stride 3"),
        ({"stride": 3, "scaled_component": 5, "scale": 3.0}, "VGG11, seed 0, component 5 x 3"),
        ({"only": ("automobile", "truck"), "classes": 2}, "VGG11, seed 0, automobile/truck"),
        ({"batch_size": 64, "train_images": 500}, "VGG11, seed 0, batches of 64, 500 images"),
        ({"precision": "bfloat16"}, "VGG11, seed 0, bfloat16"),
    ],
)
def test_a_title_says_what_is_special(changes: dict[str, Any], title):
    assert describe(replace(SPEC, **changes)) == title


def at(step: int, recorded: bool = False) -> Progress:
    return Progress(step, 100, 1.5, 0.25, 310.0, FILTERS, FILTERS + step if recorded else None)


def test_several_bars_share_a_terminal_and_a_line_of_each_stays():
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, color_system=None, width=120)

    def score(spec: RunSpec):
        return lambda filters, initial: float((filters - initial).max() / 100)

    with Display(console, 2, 4, score, several=True) as display:
        first, second = display.line(SPEC), display.line(replace(SPEC, seed=1))
        first.show(at(40, recorded=True))
        second.show(at(7))
        assert display._bars is not None
        display._bars.refresh()
        first.end()
        with display.line(SPEC) as again:
            again.show(at(60))
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
    with Display(Console(file=out, force_terminal=True, width=120), 0, 1, None, several=True) as display:
        display.line(SPEC).end()
    assert "[1/1] VGG11, seed 0: not begun" in out.getvalue()
