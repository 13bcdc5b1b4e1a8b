"""A worker: what it says of every end that a training can have, and that it ends when its parent does."""

import errno
import json
import logging
import queue
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.training.pool_child import WORKER, make_specs, write_data
from tests.training.sets import TEST, TRAIN

from firstlight.training import Run
from firstlight.training.workers import processes, worker
from firstlight.training.workers.processes import Events, WorkerProcess


class Recorded(worker._Messages):
    """Messages that go nowhere, but through JSON."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)
        self.sent: list[dict] = []

    def send(self, message: dict) -> None:
        self.sent.append(json.loads(json.dumps(message)))


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"), TRAIN, TEST)


def outcome(data: Path, store: Path, device: str = "cpu", **changes) -> tuple[dict, list[dict]]:
    spec = replace(make_specs(data, 1)[0], **changes)
    messages = Recorded()
    task = {"spec": spec.to_dict(), "source": str(data), "data_dir": None}
    return worker._outcome(task, str(store), device, messages), messages.sent


def test_it_reports_every_record_and_little_between(data, tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "SECONDS_BETWEEN_REPORTS", 1e9)
    ended, sent = outcome(data, tmp_path)
    assert ended == {"event": "finished"}
    run = Run.load(tmp_path / make_specs(data, 1)[0].hash)
    assert [message["step"] for message in sent] == run.steps.tolist()
    for message, filters in zip(sent, run.filters, strict=True):
        np.testing.assert_array_equal(message["filters"], filters)  # to the last bit
    np.testing.assert_array_equal(sent[0]["initial"], run.initial)
    assert all(message["initial"] is None for message in sent[1:])


def test_it_tells_of_a_training_that_diverges(data, tmp_path):
    ended, _ = outcome(data, tmp_path, lr=1e25)
    assert ended["event"] == "failed"
    assert "the training diverged" in ended["text"]


def test_it_tells_of_bad_input(data, tmp_path):
    ended, _ = outcome(data, tmp_path, device="tpu")
    assert (ended["event"], ended["kind"]) == ("refused", "InputError")
    assert "device is 'tpu'" in ended["text"]
    ended, _ = outcome(data, tmp_path, data_fingerprint="ab")
    assert "has the fingerprint" in ended["text"]


def test_it_tells_of_a_full_disk(data, tmp_path, monkeypatch):
    def full(*arguments) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("firstlight.training.run.write_tensors", full)
    ended, _ = outcome(data, tmp_path, steps=1)
    assert ended == {"event": "broken", "args": [errno.ENOSPC, "No space left on device", None]}


def test_it_refuses_a_bad_file_goes_on_and_ends_in_mid_training_when_its_parent_does(data, tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "WORKER", WORKER)
    (spec,) = make_specs(data, 1)
    (tmp_path / "hold").touch()
    bad = tmp_path / "bad.npz"
    bad.write_bytes(data.read_bytes()[:1000])
    events: Events = queue.SimpleQueue()
    process = WorkerProcess(str(tmp_path), "cpu", 1, events)
    for source in (bad, data):
        process.give({"spec": spec.to_dict(), "source": str(source), "data_dir": None})
    message: Any = {"event": "log"}
    while message is not None and message["event"] == "log":
        _, message = events.get(timeout=120)
    assert message is not None
    assert (message["event"], message["kind"]) == ("refused", "InputError")
    assert str(bad) in message["text"]
    assert "\n" not in message["text"]
    while message is not None and message.get("step", 0) < 5:
        _, message = events.get(timeout=120)
    process.close()  # which the system does when the parent is killed
    while message is not None:
        _, message = events.get(timeout=60)
    assert process.end()[0] == 0
    assert (tmp_path / spec.hash / "checkpoint.safetensors").exists()
    assert not (tmp_path / spec.hash / "run.json").exists()
