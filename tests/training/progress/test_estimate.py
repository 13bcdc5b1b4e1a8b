"""What is left of several trainings: by their pace, in proportion to what each kind of network costs."""

from dataclasses import replace

import pytest
from tests.training.progress.test_display import SPEC

from firstlight.models import MODELS
from firstlight.training.progress.estimate import STEP_SECONDS, Remaining, expected_seconds

LARGE = replace(SPEC, model="resnet18")
RATIO = STEP_SECONDS["resnet18"] / STEP_SECONDS["vgg11"]


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_every_network_has_a_time():
    assert set(STEP_SECONDS) == set(MODELS)
    assert expected_seconds(replace(SPEC, steps=7, batch_size=128)) == 3.5 * STEP_SECONDS["vgg11"]
    assert expected_seconds(replace(SPEC, stride=3)) < expected_seconds(SPEC) / 2


def test_what_is_left_follows_the_pace_and_the_kind_of_network():
    clock = Clock()
    left = Remaining([SPEC, LARGE], clock)
    assert left.seconds is None
    left.move(SPEC.hash, 0.0)
    clock.now += 1
    left.move(SPEC.hash, 0.1)
    assert left.seconds is None  # too soon to tell
    clock.now += 19
    left.move(SPEC.hash, 0.5)
    assert left.seconds == pytest.approx(20 + 40 * RATIO)
    clock.now += 20
    left.move(SPEC.hash, 1.0)
    assert left.seconds == pytest.approx(40 * RATIO)


def test_what_was_done_before_an_interruption_says_nothing_of_the_pace():
    clock = Clock()
    left = Remaining([SPEC, LARGE], clock)
    left.move(SPEC.hash, 0.8)  # resumed
    clock.now += 10
    left.move(SPEC.hash, 0.9)
    assert left.seconds == pytest.approx(10 + 100 * RATIO)
