"""One update as a function of buffers: repeated from a record of what was done once, it gives the same bits."""

import logging
from collections.abc import Callable

import pytest
import torch
from tests.training.sets import TEST, TRAIN, make_spec
from tests.training.tape import Graph, Tape, stand_in

from firstlight.models import build_model
from firstlight.training import RunSpec
from firstlight.training.cuda_graph import repeat_as_graph
from firstlight.training.machine import Lane, reproducible
from firstlight.training.optimisation import build_optimizer, state_of
from firstlight.training.prepared import Prepared
from firstlight.training.random_numbers import INITIALISATION, default_generators, seed_generators
from firstlight.training.update import Repeat, Update, repeat_eagerly

CPU = torch.device("cpu")
STEPS = 15  # of 6 an epoch
CHANGES = [
    {"model": "resnet20"},
    {"model": "vgg5"},  # with dropout
    {"model": "vgg5", "frozen": True, "precision": "bfloat16"},
    {"momentum": 0.9, "weight_decay": 5e-4, "schedule": "cosine", "augmentation": "flip+crop"},
    {"optimizer": "adam", "weight_decay": 0.05, "lr": 0.001, "schedule": "cosine"},
]
EVERY_KIND = pytest.mark.parametrize("changes", CHANGES, ids=lambda changes: "-".join(changes))


def updated(
    spec: RunSpec, repeat: Repeat, *, device: torch.device = CPU, on_device: bool = True
) -> dict[str, torch.Tensor]:
    """All that some updates change, and their losses."""
    images = Prepared.of(spec, TRAIN, TEST, device)
    with reproducible(device), Lane(device).current():
        seed_generators(spec, INITIALISATION, 0, default_generators(CPU))
        model = build_model(spec.model, classes=spec.classes).to(device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        if spec.frozen:
            next(model.parameters()).requires_grad_(False)
        optimizer = build_optimizer(spec, model, on_device=on_device)
        update = Update(spec, model, optimizer, images.train, repeat)
        losses = torch.stack([update(step) for step in range(STEPS)])
        kept = {name: torch.from_numpy(array) for name, array in state_of(optimizer, model).items()}
    return {"losses": losses.cpu(), **{name: value.cpu() for name, value in model.state_dict().items()}, **kept}


def assert_same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    assert [name for name in found if not torch.equal(found[name], expected[name])] == []


@EVERY_KIND
def test_a_graph_gives_the_same_bits_as_launch_by_launch(changes, monkeypatch):
    spec = make_spec(steps=STEPS, **changes)
    expected = updated(spec, repeat_eagerly)
    default = stand_in(monkeypatch)
    assert_same(updated(spec, repeat_as_graph), expected)
    assert default.current is default.own


def test_a_graph_does_not_know_what_python_does_meanwhile(monkeypatch):
    """A learning rate that is a number of Python stays what it was: the comparison above can fail."""
    spec = make_spec(steps=STEPS, schedule="cosine")
    expected = updated(spec, repeat_eagerly, on_device=False)
    stand_in(monkeypatch)
    assert not torch.equal(updated(spec, repeat_as_graph, on_device=False)["losses"], expected["losses"])


def test_two_graphs_draw_their_random_numbers_apart(monkeypatch):
    stand_in(monkeypatch)
    graphs: list[Graph] = []
    monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: graphs.append(Graph()) or graphs[-1])
    for seed in range(2):
        updated(make_spec(model="vgg5", seed=seed), repeat_as_graph)
    assert graphs[0].generator is not graphs[1].generator


def test_where_nothing_can_be_captured_the_update_is_launched_as_before(monkeypatch, caplog):
    spec = make_spec(model="vgg5", steps=STEPS)
    expected = updated(spec, repeat_eagerly)
    default = stand_in(monkeypatch)

    def refuse(*arguments, **options) -> None:
        raise RuntimeError("CUDA error: operation not permitted when stream is capturing\nmore")

    monkeypatch.setattr(torch.cuda, "graph", refuse)
    assert_same(updated(spec, repeat_as_graph), expected)
    assert caplog.messages == [
        "the update cannot be captured as a CUDA graph, and is slower: "
        "CUDA error: operation not permitted when stream is capturing"
    ]
    assert default.current is default.own


def test_memory_that_ran_out_is_no_reason_to_go_on(monkeypatch):
    stand_in(monkeypatch)

    def refuse(*arguments, **options) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(torch.cuda, "graph", refuse)
    with pytest.raises(torch.OutOfMemoryError):
        updated(make_spec(), repeat_as_graph)


@pytest.mark.parametrize("ask", [torch.Tensor.item, torch.Tensor.nonzero], ids=lambda ask: ask.__name__)
def test_the_record_refuses_what_a_graph_cannot_hold(ask: Callable[[torch.Tensor], object]):
    with pytest.raises(AssertionError, match="a graph cannot hold"), Tape():
        ask(torch.ones(()))


def test_the_optimisers_for_a_device_do_what_the_others_do():
    spec = make_spec(steps=STEPS, momentum=0.9, schedule="cosine", weight_decay=5e-4)
    found, expected = (updated(spec, repeat_eagerly, on_device=on_device) for on_device in (True, False))
    torch.testing.assert_close(found["losses"], expected["losses"], rtol=1e-4, atol=1e-4)


@pytest.mark.gpu
@EVERY_KIND
def test_a_cuda_graph_gives_the_same_bits_as_launch_by_launch(changes, gpu, caplog, monkeypatch):
    spec = make_spec(steps=STEPS, **changes)
    expected = updated(spec, repeat_eagerly, device=gpu)
    if gpu.type == "cpu":
        stand_in(monkeypatch)
    with caplog.at_level(logging.WARNING, "firstlight"):
        found = updated(spec, repeat_as_graph, device=gpu)
    assert not caplog.records  # it was captured
    assert_same(found, expected)
