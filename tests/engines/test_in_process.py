"""The Dask engine without an address: nobody else can reach it, and nothing is said of ports."""

import os
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from firstlight.engines import open_engine
from firstlight.engines.task import in_process, worker_name

pytest.importorskip("distributed")

LISTENING = """
import os, subprocess, firstlight as fl
with fl.open_engine("dask", workers=2) as engine:
    assert dict(engine.run(abs, [-1, -2])) == {0: 1, 1: 2}
    table = subprocess.run(["ss", "-lntup"], capture_output=True, text=True, check=True).stdout
    assert not [line for line in table.splitlines() if f"pid={os.getpid()}," in line], table
"""


@pytest.mark.skipif(shutil.which("ss") is None, reason="lists who listens")
def test_nobody_listens_and_nothing_is_said_even_of_two_at_once():
    command = [sys.executable, "-W", "error", "-c", LISTENING]
    with ThreadPoolExecutor(2) as pool:
        for done in pool.map(lambda _: subprocess.run(command, capture_output=True, text=True, timeout=120), range(2)):
            assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


BOTH = threading.Barrier(2, timeout=60)


def meet(_: int) -> tuple[int, bool, str]:
    BOTH.wait()
    return os.getpid(), in_process(), worker_name()


def test_tasks_run_in_as_many_threads_of_this_process_as_asked_for():
    with open_engine("dask", workers=2, resources={"GPU": 1}) as engine:
        assert engine.workers == 2
        found = [result for _, result in engine.run(meet, range(4))]
    assert {(pid, inside) for pid, inside, _ in found} == {(os.getpid(), True)}
    assert all(name.startswith("inproc://") for _, _, name in found)
    assert not in_process()
