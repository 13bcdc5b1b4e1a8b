"""A real scheduler, real workers: whatever is killed, the integers are those of one process."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.training.dask_cluster import SECONDS, TESTS, Cluster, kill, wait_for

from firstlight.images import shards_of
from firstlight.patches import PatchMoments
from firstlight.patches.out_of_core.accumulate import accumulate

pytest.importorskip("distributed")
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")

# What a worker may take, beside what it has after its first shard: two stacks of 32 MB, what the kernel packs of them,
# and what the allocator does not give back.
WORKER_BYTES = 200 << 20


def reads(folder: Path) -> list[tuple[int, int]]:
    """Index and process of every reading of a shard that was begun."""
    found = [path.name.split("-") for path in folder.glob("reads/*")]
    return [(int(index), int(pid)) for index, pid in found]


def done(folder: Path) -> int:
    """Shards that the state holds."""
    if not (folder / "state.npz").exists():
        return 0
    with np.load(folder / "state.npz", allow_pickle=False) as arrays:
        return int(arrays["done"].sum())


def command(folder: Path, engine: str, **options: object) -> list[str]:
    given = [f"{name}={value}" for name, value in options.items()]
    return [sys.executable, str(TESTS / "accumulate_child.py"), str(folder), engine, *given]


def start(folder: Path, engine: str, **options: object) -> "subprocess.Popen[str]":
    arguments, pipe = command(folder, engine, **options), subprocess.PIPE
    return subprocess.Popen(arguments, stdout=pipe, stderr=pipe, text=True, start_new_session=True)


def outcome(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    with process:
        out, errors = process.communicate(timeout=SECONDS)
    return process.returncode, out, errors


def same_as_in_one_process(folder: Path, tmp_path: Path, **options: object) -> None:
    alone = tmp_path / "alone"
    alone.mkdir()
    assert outcome(start(alone, "local", **options))[0] == 0
    assert PatchMoments.load(folder / "moments.npz") == PatchMoments.load(alone / "moments.npz")


@pytest.fixture
def cluster(tmp_path) -> Iterator[Cluster]:
    folder = tmp_path / "cluster"
    folder.mkdir()
    with contextlib.ExitStack() as stack:
        yield Cluster(folder, stack)


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


def test_two_workers_killed_in_mid_shard(cluster, folder, tmp_path):
    cluster.start_workers(3)
    (folder / "hold").touch()
    run = start(folder, cluster.address, shards=9, held=2)
    wait_for(lambda: len({pid for index, pid in reads(folder) if index >= 2}) == 3)  # each is within a shard
    for number, worker in enumerate(cluster.workers[:2]):
        kill(worker)
        wait_for(lambda number=number: cluster.log().count("Remove worker") == number + 1)
    (folder / "hold").unlink()
    code, out, errors = outcome(run)
    assert (code, errors) == (0, "")
    assert json.loads(out) == {"images": 72, "broken_count": 0, "broken": []}
    survivor = cluster.workers[2].pid
    assert sum(pid != survivor for index, pid in reads(folder) if index >= 2) == 2  # begun, and not ended
    assert {index for index, pid in reads(folder) if pid == survivor} >= set(range(2, 9))  # which did these anew
    same_as_in_one_process(folder, tmp_path, shards=9)


def test_a_scheduler_that_is_lost_ends_the_run_in_one_line_and_it_goes_on_when_given_again(cluster, folder, tmp_path):
    cluster.start_workers(2)
    (folder / "hold").touch()
    run = start(folder, cluster.address, shards=8, held=4)
    wait_for(lambda: len({pid for index, pid in reads(folder) if index >= 4}) == 2)  # each is within a shard
    begun = {index for index, _ in reads(folder)}
    finished = {index for index in begun if index < 4}  # Dask may begin a later one before one of these
    wait_for(lambda: done(folder) == len(finished))
    kill(cluster.scheduler)
    code, out, errors = outcome(run)
    assert (code, out) == (2, "")
    assert errors.count("\n") == 1
    assert f"Dask on {cluster.address}: the scheduler does not answer any more" in errors
    assert f"{folder / 'state.npz'} keeps the {len(finished)} shards that are done" in errors
    (folder / "hold").unlink()
    for path in (folder / "reads").iterdir():
        path.unlink()
    for worker in cluster.workers:
        kill(worker)
    cluster.start_scheduler()
    cluster.start_workers(2)
    code, _, errors = outcome(start(folder, cluster.address, shards=8))
    assert code == 0, errors
    assert sorted(index for index, _ in reads(folder)) == sorted({*range(8)} - finished)
    same_as_in_one_process(folder, tmp_path, shards=8)


def write_tars(folder: Path) -> Path:
    """Four tar files of five images; one is cut off within its third."""
    data = folder / "tars"
    data.mkdir()
    rng = np.random.default_rng(1)
    cut = 0
    for shard in range(4):
        with tarfile.open(data / f"train-{shard}.tar", "w") as archive:
            for number in range(5):
                path = folder / f"{shard}-{number}.png"
                Image.fromarray(rng.integers(0, 256, (9, 11, 3), dtype=np.uint8)).save(path)
                archive.add(path, path.name)
                if (shard, number) == (2, 2):
                    cut = archive.offset - 512  # of its last block
    os.truncate(data / "train-2.tar", cut)
    return data


def test_a_corrupt_shard_is_counted_and_one_that_changes_is_refused(cluster, folder):
    cluster.start_workers(1)
    data = write_tars(folder)
    code, out, errors = outcome(start(folder, cluster.address, data=data))
    assert (code, errors) == (0, "")
    found = json.loads(out)
    assert (found["images"], found["broken_count"]) == (17, 1)
    assert found["broken"][0][0] == "train-2.tar"
    alone = accumulate(shards_of(data), 3, progress=False)
    assert PatchMoments.load(folder / "moments.npz") == alone.moments
    (folder / "state.npz").unlink()

    code, out, errors = outcome(start(folder, cluster.address, data=data, strict=1))
    assert (code, out, errors.count("\n")) == (2, "", 1)
    assert errors.startswith("error: shard train-2.tar cannot be read (")

    (folder / "wait").touch()
    (folder / "listed").unlink()
    run = start(folder, cluster.address, data=data)
    wait_for((folder / "listed").exists)
    os.utime(data / "train-1.tar", ns=(1, 1))
    (folder / "state.npz").unlink()
    (folder / "wait").unlink()
    code, out, errors = outcome(run)
    assert (code, out, errors.count("\n")) == (2, "", 1)
    assert errors.startswith(f"error: shard train-1.tar: {data / 'train-1.tar'} has changed since")


def test_nobody_answers_at_the_address(folder):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        code, out, errors = outcome(start(folder, f"tcp://127.0.0.1:{taken.getsockname()[1]}", shards=1))
    assert (code, out, errors.count("\n")) == (2, "", 1)
    assert errors.startswith("error: no Dask scheduler answers at tcp://127.0.0.1:")


def test_ctrl_c_ends_a_cluster_of_its_own(folder, tmp_path):
    (folder / "hold").touch()
    run = start(folder, "dask", shards=6, held=2)
    wait_for(lambda: done(folder) == 2 and len([index for index, _ in reads(folder) if index >= 2]) == 2)
    os.killpg(run.pid, signal.SIGINT)  # as a terminal does: to all processes of the group
    code, out, errors = outcome(run)
    assert (code, out) == (130, "")
    assert "Traceback" not in errors
    wait_for(lambda: not group(run.pid))
    (folder / "hold").unlink()
    assert outcome(start(folder, "dask", shards=6, gpu=1))[0] == 0  # workers that have one
    same_as_in_one_process(folder, tmp_path, shards=6)


def group(leader: int) -> list[int]:
    """Processes of a group."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int((path / "stat").read_text().rsplit(")", 1)[1].split()[2]) == leader:
                found.append(int(path.name))
    return found


def peak(pid: int) -> int:
    """The most bytes that a process has held so far."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) << 10


@pytest.mark.parametrize("gigabytes", [1, pytest.param(10, marks=pytest.mark.slow)])
def test_the_memory_of_a_worker_does_not_grow_with_the_stream(cluster, tmp_path, gigabytes):
    cluster.start_workers(1)
    first, stream = tmp_path / "first", tmp_path / "stream"
    first.mkdir()
    stream.mkdir()
    assert outcome(start(first, cluster.address, shards=1, count=16, side=224))[0] == 0
    before = peak(cluster.workers[0].pid)
    count = 10**9 // (4 * 3 * 224**2)
    process = start(stream, cluster.address, shards=4 * gigabytes, count=count, side=224)
    with process:
        out, errors = process.communicate(timeout=SECONDS * gigabytes)
    assert process.returncode == 0, errors
    assert json.loads(out)["images"] == 4 * gigabytes * count
    grown = peak(cluster.workers[0].pid) - before
    assert grown < WORKER_BYTES, f"{grown:,} bytes more after {gigabytes} GB"
