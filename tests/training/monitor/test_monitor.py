"""FirstLayerMonitor: what it sees of trainings of every kind, and that it never stops or changes one."""

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
import torch.distributed as distributed
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

import firstlight as fl
from firstlight.errors import InputError
from firstlight.reproduction.shipped_record import recorded_results
from firstlight.training import MonitorWarning

IMAGES = fl.load_images("photos")
BASIS = fl.PatchMoments(3, 3).update(IMAGES.images).basis(IMAGES.mean, IMAGES.std)


def network(seed: int = 0, **conv: Any) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 8, 3, **conv), nn.ReLU(), nn.Flatten(), nn.LazyLinear(2))


def ready(model: nn.Module) -> nn.Module:
    model(torch.zeros(1, 3, 8, 8))
    return model


def train(model: nn.Module, monitor: fl.FirstLayerMonitor | None, updates: int, lr: float = 0.05) -> None:
    optimiser = torch.optim.SGD(model.parameters(), lr=lr)
    generator = torch.Generator().manual_seed(1)
    for _ in range(updates):
        images = torch.randn(16, 3, 8, 8, generator=generator)
        loss = nn.functional.cross_entropy(model(images), (images.mean((1, 2, 3)) > 0).long())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if monitor:
            monitor.step()


def test_a_plain_loop_is_seen_at_steps_ever_further_apart_and_is_not_changed():
    model, alone = ready(network()), ready(network())
    start = fl.load_filters(model)
    monitor = fl.FirstLayerMonitor(model, BASIS, compare_to=start)
    train(model, monitor, 60)
    train(alone, None, 60)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), alone.parameters(), strict=True))
    table = monitor.history
    assert table["step"].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 19, 22, 26, 31, 37, 44, 52]
    monitor.measure()
    monitor.measure()
    table = monitor.history
    assert table["step"].tolist()[-2:] == [52, 60]
    last = table.iloc[-1]
    profile = fl.energy_profile(model, BASIS, start)
    np.testing.assert_allclose(table.filter(regex=r"^e\d+$").iloc[-1], profile.energy)
    fit = fl.fit_formula(profile, BASIS)
    assert (last["r"], last["tau"], last["log_r2"]) == pytest.approx(
        (fit.correlation, fit.tau, fit.log_r2), nan_ok=True
    )
    assert last["peak"] == profile.peak + 1
    assert last["frequency"] == BASIS.frequency[profile.peak]
    assert last["r_lambda"] == pytest.approx(profile.correlation(np.sqrt(BASIS.variance)))
    assert last["r_compared"] == pytest.approx(profile.correlation(fl.energy_profile(start, BASIS)))
    moved = np.linalg.norm(fl.load_filters(model).weight - start.weight) / np.linalg.norm(start.weight)
    assert last["change"] == pytest.approx(moved)
    assert table["change"].iloc[0] == table["peak"].iloc[0] == 0
    assert np.isnan(table["r"].iloc[0])


def test_participation_counts_the_components_that_respond():
    model = nn.Sequential(nn.Conv2d(3, 27, 3, bias=False))
    monitor = fl.FirstLayerMonitor(model, BASIS, change=False)
    fl.initialise_first_layer(model, BASIS, eps=0)
    monitor.step()
    assert monitor.history["participation"].iloc[-1] == pytest.approx(27, abs=1e-3)


@pytest.mark.parametrize(
    ("steps", "seen"), [(20, [0, 20, 40]), ([3, 50], [0, 3, 50]), ("log", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10])]
)
def test_when_it_looks_can_be_chosen(steps: Any, seen: list[int]):
    monitor = fl.FirstLayerMonitor(ready(network()), BASIS, steps=steps)
    for _ in range(max(seen)):
        monitor.step()
    assert monitor.history["step"].tolist() == seen


def test_known_networks_are_compared_with_where_the_patches_are_theirs():
    run = fl.Run.load(min((recorded_results() / "runs").iterdir()))
    model = nn.Sequential(nn.Conv2d(3, len(run.filters[0]), 3))
    put(model, run.filters[0])
    monitor = fl.FirstLayerMonitor(model, "cifar10")
    put(model, run.filters[-1])
    monitor.step()
    last = monitor.history.iloc[-1]
    assert last["nearest"]
    assert last["r_nearest"] > 0.99  # this network is among them


def put(model: nn.Sequential, weight: np.ndarray) -> None:
    with torch.no_grad():
        cast(nn.Conv2d, model[0]).weight.copy_(torch.from_numpy(weight))


@pytest.fixture
def one_process(tmp_path: Path) -> Iterator[None]:
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'meet'}", rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


def test_networks_wrapped_for_several_devices_and_compiled_ones(one_process: None):
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard
    from torch.nn.parallel import DistributedDataParallel

    plain = ready(network())
    monitor = fl.FirstLayerMonitor(plain, BASIS)
    train(plain, monitor, 5)
    for wrap in (
        DistributedDataParallel,
        lambda model: fully_shard(model, mesh=init_device_mesh("cpu", (1,))),
        lambda model: torch.compile(model, backend="eager"),
    ):
        wrapped = cast(nn.Module, wrap(ready(network())))
        other = fl.FirstLayerMonitor(wrapped, BASIS)
        train(wrapped, other, 5)
        np.testing.assert_allclose(other.snapshot().energies, monitor.snapshot().energies, rtol=1e-4, atol=1e-8)


def test_weights_that_are_computed_are_seen_as_they_are_used():
    model = ready(nn.Sequential(weight_norm(nn.Conv2d(3, 8, 3)), nn.ReLU(), nn.Flatten(), nn.LazyLinear(2)))
    start = fl.load_filters(model).weight
    monitor = fl.FirstLayerMonitor(model, BASIS)
    train(model, monitor, 5)
    expected = fl.energy_profile(fl.load_filters(model).weight, BASIS, start).energy
    np.testing.assert_allclose(monitor.snapshot().energies[-1], expected)


@pytest.mark.parametrize("order", [1, -1])
def test_the_state_in_a_checkpoint_is_not_taken_for_the_network(order: int, tmp_path: Path):
    model = ready(network())
    monitor = fl.FirstLayerMonitor(model, BASIS)
    train(model, monitor, 3)
    parts = [("state_dict", model.state_dict()), ("callbacks", {"FirstLayerCallback": monitor.state_dict()})]
    torch.save(dict(parts[::order]), tmp_path / "a.ckpt")
    found = fl.load_filters(tmp_path / "a.ckpt")
    assert found.alternatives == ()
    np.testing.assert_array_equal(found.weight, fl.load_filters(model).weight)


def test_it_goes_on_from_a_checkpoint(tmp_path: Path):
    model = ready(network())
    monitor = fl.FirstLayerMonitor(model, BASIS)
    train(model, monitor, 12)
    torch.save({"model": model.state_dict(), "monitor": monitor.state_dict()}, tmp_path / "c.pt")
    stored = torch.load(tmp_path / "c.pt", weights_only=True)
    again = ready(network(seed=5))
    again.load_state_dict(stored["model"])
    resumed = fl.FirstLayerMonitor(again, BASIS)
    resumed.load_state_dict(stored["monitor"])
    train(model, monitor, 20)
    train(again, resumed, 20)
    assert resumed.history.equals(monitor.history)
    np.testing.assert_array_equal(resumed.initial.weight, monitor.initial.weight)


@pytest.mark.parametrize(
    ("state", "told"),
    [
        (
            lambda: fl.FirstLayerMonitor(nn.Sequential(nn.Conv2d(3, 9, 3)), BASIS).state_dict(),
            "expected 0, 8 x 3 x 3 x 3",
        ),
        (lambda: {"rows": 3}, "is not one of a monitor"),
        (lambda: [], "is not one of a monitor"),
    ],
)
def test_the_state_of_another_network_is_refused(state: Any, told: str):
    monitor = fl.FirstLayerMonitor(ready(network()), BASIS)
    before = monitor.history
    with pytest.raises(InputError, match=told):
        monitor.load_state_dict(state())
    assert monitor.history.equals(before)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda model: put(model, np.full((8, 3, 3, 3), np.nan)), "NaN"),
        (lambda model: model.__setitem__(0, nn.Conv2d(3, 5, 3)), "is now 5 x 3 x 3 x 3; expected 8 x 3 x 3 x 3"),
        (lambda model: model.__delitem__(0), "is gone"),
    ],
)
def test_what_goes_wrong_is_warned_of_once_and_the_training_goes_on(spoil: Any, told: str):
    model = cast(nn.Sequential, ready(network()))
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
        monitor = fl.FirstLayerMonitor(ready(network()), BASIS, loggers=[full])
    monitor.step()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"model": nn.Linear(3, 4)}, "no first convolution|does not see images|convolution"),
        ({"model": network()}, "lazy"),
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
    model = ready(network())
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
    table = __import__("pandas").read_csv(files[1])
    np.testing.assert_allclose(table["change"], monitor.history["change"])


def test_a_saved_history_is_read_back_and_played(tmp_path: Path):
    model = ready(network())
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
