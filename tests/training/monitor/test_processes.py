"""A training in two processes, watched in both, against the same in one."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.training.monitor.process_child import PROCESSES, UPDATES, network, train

import firstlight as fl


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each process saw."""
    meeting = tmp_path_factory.mktemp("meeting") / "place"
    child = [sys.executable, "-W", "ignore", str(Path(__file__).with_name("process_child.py"))]
    processes = [
        subprocess.Popen([*child, str(rank), str(meeting)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for rank in range(PROCESSES)
    ]
    try:
        ends = [process.communicate(timeout=300) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0] * PROCESSES, [stderr for _, stderr in ends]
    return [json.loads(stdout) for stdout, _ in ends]


@pytest.mark.parametrize("wrapping", ["DDP", "FSDP2"])
def test_rank_0_sees_what_one_process_would(ranks: list[dict[str, Any]], wrapping: str):
    model = network()
    alone = fl.FirstLayerMonitor(model, "cifar10")
    train(model, alone)
    first, other = (rank[wrapping] for rank in ranks)
    assert first["steps"] == alone.history["step"].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12]
    np.testing.assert_allclose(first["energies"], alone.snapshot().energies, rtol=1e-4, atol=1e-8)
    assert other["steps"] == []
    assert first["count"] == other["count"] == UPDATES
    assert first["told"] == other["told"] == []


def test_where_it_goes_quiet_in_one_process_the_others_do_not_wait_for_ever(ranks: list[dict[str, Any]]):
    first, other = (rank["quiet"] for rank in ranks)
    assert first["steps"] == [0, 1, 2, 3]
    assert len(first["told"]) == 1
    assert "stops to look after 3 updates: OSError: the disk is full" in first["told"][0]
    assert first["count"] == other["count"] == UPDATES
    assert other["told"] == []
