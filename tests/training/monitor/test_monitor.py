"""FirstLayerMonitor: what it sees of trainings of every kind, and that it goes on where these do."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
import torch.distributed as distributed
from tests.training.monitor.networks import BASIS, network, put, train
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

import firstlight as fl
from firstlight.errors import InputError
from firstlight.patches.bank_statistics import zeros
from firstlight.reproduction.shipped_record import recorded_results


def test_a_plain_loop_is_seen_at_steps_ever_further_apart_and_is_not_changed():
    model, alone = network(), network()
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
    monitor = fl.FirstLayerMonitor(network(), BASIS, steps=steps)
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


@pytest.fixture
def one_process(tmp_path: Path) -> Iterator[None]:
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'meet'}", rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


def test_networks_wrapped_for_several_devices_and_compiled_ones(one_process: None):
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard
    from torch.nn.parallel import DistributedDataParallel

    plain = network()
    monitor = fl.FirstLayerMonitor(plain, BASIS)
    train(plain, monitor, 5)
    for wrap in (
        DistributedDataParallel,
        lambda model: fully_shard(model, mesh=init_device_mesh("cpu", (1,))),
        lambda model: torch.compile(model, backend="eager"),
    ):
        wrapped = cast(nn.Module, wrap(network()))
        other = fl.FirstLayerMonitor(wrapped, BASIS)
        train(wrapped, other, 5)
        np.testing.assert_allclose(other.snapshot().energies, monitor.snapshot().energies, rtol=1e-4, atol=1e-8)


def test_weights_that_are_computed_are_seen_as_they_are_used():
    model = network()
    weight_norm(cast(nn.Conv2d, model[0]))
    start = fl.load_filters(model).weight
    monitor = fl.FirstLayerMonitor(model, BASIS)
    train(model, monitor, 5)
    expected = fl.energy_profile(fl.load_filters(model).weight, BASIS, start).energy
    np.testing.assert_allclose(monitor.snapshot().energies[-1], expected)


@pytest.mark.parametrize("order", [1, -1])
def test_the_state_in_a_checkpoint_is_not_taken_for_the_network(order: int, tmp_path: Path):
    model = network()
    monitor = fl.FirstLayerMonitor(model, BASIS)
    train(model, monitor, 3)
    parts = [("state_dict", model.state_dict()), ("callbacks", {"FirstLayerCallback": monitor.state_dict()})]
    torch.save(dict(parts[::order]), tmp_path / "a.ckpt")
    found = fl.load_filters(tmp_path / "a.ckpt")
    assert found.alternatives == ()
    np.testing.assert_array_equal(found.weight, fl.load_filters(model).weight)


def test_it_goes_on_from_a_checkpoint(tmp_path: Path):
    model = network()
    monitor = fl.FirstLayerMonitor(model, BASIS)
    train(model, monitor, 12)
    torch.save({"model": model.state_dict(), "monitor": monitor.state_dict()}, tmp_path / "c.pt")
    stored = torch.load(tmp_path / "c.pt", weights_only=True)
    again = network(seed=5)
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
    monitor = fl.FirstLayerMonitor(network(), BASIS)
    before = monitor.history
    with pytest.raises(InputError, match=told):
        monitor.load_state_dict(state())
    assert monitor.history.equals(before)


def test_composition_stands_beside_eq_3_and_histories_from_before_still_load(tmp_path):
    model = fl.build_model("resnet20")
    monitor = fl.FirstLayerMonitor(model, "cifar10")
    with torch.no_grad():
        next(model.parameters()).mul_(1.1)
    monitor.step()
    first, last = monitor.snapshot().rows
    assert np.isnan(first.composition_r)  # nothing has moved
    fit = fl.fit_theory(fl.energy_profile(model, monitor.basis, initial=monitor.initial)).composition
    assert fit is not None
    assert (last.composition_r, last.composition_t) == pytest.approx((fit.correlation, fit.t))
    state = monitor.state_dict()
    for row in state["rows"]:
        del row["composition_r"], row["composition_t"]
    old = fl.FirstLayerMonitor(model, "cifar10", state=state).snapshot()
    assert np.isnan(old.rows[-1].composition_r)
    old.save(tmp_path / "history.npz")
    assert len(fl.load_history(tmp_path / "history.npz").rows) == 2


def test_without_moments_of_windows_there_is_no_composition():
    monitor = fl.FirstLayerMonitor(fl.build_model("resnet20"), fl.patch_statistics("cifar10").basis(zeros(3, 3)))
    assert np.isnan(monitor.history["composition_r"]).all()
