"""FirstLayerMonitor: what it tells, to whom, and that no trouble of its own stops a training."""

import json
import warnings
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from tests.training.monitor.networks import BASIS, network, put, train
from torch import nn

import firstlight as fl
from firstlight.errors import InputError
from firstlight.reproduction.shipped_record import recorded_results
from firstlight.training import MonitorWarning


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda model: put(model, np.full((8, 3, 3, 3), np.nan)), "NaN"),
        (lambda model: model.__setitem__(0, nn.Conv2d(3, 5, 3)), "is now 5 x 3 x 3 x 3; expected 8 x 3 x 3 x 3"),
        (lambda model: model.__delitem__(0), "is gone"),
    ],
)
def test_what_goes_wrong_is_warned_of_once_and_the_training_goes_on(spoil: Any, told: str):
    model = cast(nn.Sequential, network())
    monitor = fl.FirstLayerMonitor(model, BASIS)
    spoil(model)
    with pytest.warns(MonitorWarning, match=told) as said:
        monitor.step()
    assert len(said) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(50):
            monitor.step()
    assert len(monitor.history) == 1


def test_a_logger_that_fails_stops_no_training():
    def full(values: Any, step: int) -> None:
        raise OSError(28, "No space left on device")

    with pytest.warns(MonitorWarning, match="No space left"):
        monitor = fl.FirstLayerMonitor(network(), BASIS, loggers=[full])
    monitor.step()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"model": nn.Linear(3, 4)}, "no first convolution|does not see images|convolution"),
        ({"model": nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.LazyLinear(2))}, "lazy"),
        ({"model": nn.Sequential(nn.Conv2d(5, 4, 3))}, "5"),
        ({"steps": "linear"}, "steps is 'linear'"),
        ({"steps": 0}, "steps is 0"),
        ({"alarms": ["fire"]}, "alarms has 'fire'; expected some of non-finite"),
        ({"loggers": [3]}, "a logger is 3"),
        ({"loggers": ["x.txt"]}, r"a logger is the file x\.txt"),
        ({"layer": "fc"}, "layer is 'fc'"),
    ],
)
def test_what_cannot_be_watched_is_refused_at_the_start(options: dict[str, Any], told: str):
    given: dict[str, Any] = {"model": nn.Sequential(nn.Conv2d(3, 4, 3)), "data": BASIS} | options
    with pytest.raises(fl.FirstlightError, match=told):
        fl.FirstLayerMonitor(**given)


class Tracker:
    """As Weights & Biases, trackio and others have it."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, dict[str, float]]] = []

    def log(self, values: dict[str, float], step: int) -> None:
        self.seen.append((step, values))


def test_measurements_go_to_trackers_functions_and_files(tmp_path: Path):
    tracker, seen = Tracker(), []
    model = network()
    files = [tmp_path / "m.jsonl", str(tmp_path / "m.csv")]
    monitor = fl.FirstLayerMonitor(
        model, BASIS, loggers=[tracker, lambda values, step: seen.append(step), *files], steps=2
    )
    train(model, monitor, 4)
    assert [step for step, _ in tracker.seen] == seen == [0, 2, 4]
    assert set(tracker.seen[0][1]) < set(tracker.seen[1][1])  # eq. 3 is fitted to what has moved
    assert all(name.startswith("firstlight/") for name in tracker.seen[1][1])
    lines = [json.loads(line) for line in files[0].read_text().splitlines()] if isinstance(files[0], Path) else []
    assert [line["step"] for line in lines] == [0, 2, 4]
    assert lines[0]["r"] is None
    table = pd.read_csv(files[1])
    np.testing.assert_allclose(table["change"], monitor.history["change"])


def test_a_saved_history_is_read_back_and_played(tmp_path: Path):
    model = network()
    monitor = fl.FirstLayerMonitor(model, BASIS)
    train(model, monitor, 9)
    monitor.save(tmp_path / "h.npz")
    history = fl.load_history(tmp_path / "h.npz")
    assert history.to_frame().equals(monitor.history)
    view = history.view()
    assert [shot.step for shot in view.snapshots] == monitor.history["step"].tolist()
    page = fl.Report(history).html
    assert page == fl.Report(fl.load_history(tmp_path / "h.npz")).html
    assert '"steps"' in page or "snapshots" in page
    assert repr(fl.Report(monitor)) == "Report(training of Sequential)"
    whole = (tmp_path / "h.npz").read_bytes()
    for cut in (0, 10, len(whole) // 2):
        (tmp_path / "h.npz").write_bytes(whole[:cut])
        with pytest.raises(InputError, match="no whole history"):
            fl.load_history(tmp_path / "h.npz")
    with pytest.raises(InputError, match=r"ends in \.npz"):
        monitor.save(tmp_path / "h.csv")


def watched(weights: Any, steps: Any, frozen: bool = False) -> list[str]:
    """The alarms of a training whose first layer is known at some steps."""
    model = nn.Sequential(nn.Conv2d(3, len(weights[0]), weights[0].shape[-1], bias=False))
    put(model, weights[0])
    cast(nn.Conv2d, model[0]).weight.requires_grad_(not frozen)
    monitor = fl.FirstLayerMonitor(model, "cifar10", steps=[int(step) for step in steps], alarms="all")
    at = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MonitorWarning)
        for step, weight in zip(steps[1:], weights[1:], strict=True):
            put(model, weight)
            monitor.step(int(step) - at)
            at = int(step)
    return [alarm.code for alarm in monitor.alarms]


@pytest.mark.recorded
def test_no_recorded_training_raises_an_alarm():
    alarms = {}
    for path in sorted((recorded_results() / "runs").iterdir()):
        run = fl.Run.load(path)
        alarms[path.name] = watched(run.filters, run.steps, frozen=bool(run.spec.frozen))
    assert len(alarms) > 40
    assert {name: codes for name, codes in alarms.items() if codes} == {}


def test_every_alarm_is_raised_where_it_should():
    rng = np.random.default_rng(0)
    start = rng.normal(size=(8, 3, 3, 3))
    dying = start.copy()
    dying[3] = 0.0
    flat = start + 50 * rng.choice([-1, 1], size=(8, 1, 1, 1))
    assert watched([start, start], [0, 200]) == ["not-moving"]
    assert watched([start, start], [0, 200], frozen=True) == []
    assert watched([start, dying], [0, 5]) == ["dying-filters"]
    assert watched([start, flat], [0, 2000]) == ["mean-component"]
    assert watched([start, flat], [0, 20]) == []
    assert watched([start, start * np.nan], [0, 5]) == ["non-finite"]
    assert watched([start, dying, dying], [0, 5, 6]) == ["dying-filters"]  # once
