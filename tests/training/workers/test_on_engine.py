"""Trainings on a real scheduler and real workers: whatever is killed, the runs have the bits of those made here."""

import contextlib
import io
import logging
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from tests.training.dask_cluster import SECONDS, Cluster, kill, wait_for
from tests.training.pool_child import make_specs, write_data
from tests.training.sets import TEST, TRAIN

from firstlight.engines import Engine, engine_of, open_engine
from firstlight.errors import EngineError, FirstlightError, InputError, RunError
from firstlight.images import load_images
from firstlight.training import Run, RunSpec, train, train_all
from firstlight.training.checkpoint import CHECKPOINT, Checkpoint
from firstlight.training.workers import on_engine, processes

pytest.importorskip("distributed")
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")

TESTS = Path(__file__).parents[1]
QUIET = Console(quiet=True)
HELD_STEP = 9  # of the checkpoint when `pool_child.py` waits, at the report of the step after it


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"), TRAIN, TEST)


@pytest.fixture(scope="module")
def unbroken(data, tmp_path_factory) -> dict[str, Run]:
    """Two runs, each trained here."""
    store, sets = tmp_path_factory.mktemp("unbroken"), (load_images(data), load_images(data, "test"))
    return {spec.hash: train(spec, *sets, store, device="cpu") for spec in make_specs(data, 2)}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[Cluster]:
    """Workers that tests tell apart by resources: two that hold, one as users have it, one out of date, one bare."""
    with contextlib.ExitStack() as stack:
        cluster = Cluster(tmp_path_factory.mktemp("cluster"), stack)
        cluster.start_workers(1, "--resources", "old=1", "--preload", str(TESTS / "preload_old.py"), wait=False)
        cluster.start_workers(1, "--resources", "bare=1", "--preload", str(TESTS / "preload_bare.py"), wait=False)
        cluster.start_workers(1, "--resources", "plain=1", wait=False)
        start_held(cluster, 2)
        yield cluster


def start_held(cluster: Cluster, count: int) -> None:
    cluster.start_workers(count, "--resources", "held=1", "--preload", str(TESTS / "preload_held.py"))


def on(cluster: Cluster, resource: str) -> contextlib.AbstractContextManager[Engine]:
    return open_engine("dask", scheduler=cluster.address, resources={resource: 1})


def trained(specs: list[RunSpec], data: Path, store: Path, engine: Engine, console: Console = QUIET) -> Iterator:
    return train_all(
        specs, pytest.fail, store, sources={"noise.npz": data}, device="cpu", engine=engine, console=console
    )


def results(run: Run) -> list[bytes]:
    return [(run.path / name).read_bytes() for name in ("filters.safetensors", "metrics.csv")]


def children(store: Path) -> dict[int, str]:
    """Living processes that trained, with the hash of the run."""
    found = {int(pid): spec for spec, pid in (path.name.split("-") for path in store.glob("pids/*"))}
    return {pid: spec for pid, spec in found.items() if Path(f"/proc/{pid}").exists()}


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def is_held(store: Path, *specs: RunSpec) -> bool:
    """Whether all these trainings have come as far as they may."""
    checkpoints = [Checkpoint.load(store / spec.hash, spec) for spec in specs]
    return all(checkpoint and checkpoint.step == HELD_STEP for checkpoint in checkpoints)


@contextlib.contextmanager
def held(store: Path) -> Iterator[Callable[[], None]]:
    """Trainings go no further than to step 10 before the function is called, or at the end."""
    hold = store / "hold"
    hold.touch()
    try:
        yield lambda: hold.unlink()
    finally:
        hold.unlink(missing_ok=True)


def test_a_killed_worker_is_replaced_and_the_runs_have_the_same_bits(cluster, data, unbroken, tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="firstlight")
    first, second = make_specs(data, 2)
    diverging = replace(second, lr=1e25)
    out = io.StringIO()
    with on(cluster, "held") as engine, ThreadPoolExecutor(1) as thread, held(tmp_path) as release:
        assert engine.workers == 2  # of the five
        console = Console(file=out, width=200)
        found = thread.submit(lambda: list(trained([first, diverging, second], data, tmp_path, engine, console)))
        wait_for(lambda: found.done() or is_held(tmp_path, first, second))
        training = children(tmp_path)
        victim = next(pid for pid, spec in training.items() if spec == first.hash)
        assert {parent(pid) for pid in training} == {worker.pid for worker in cluster.workers}
        kill(next(worker for worker in cluster.workers if worker.pid == parent(victim)))
        wait_for(lambda: victim not in children(tmp_path))  # none outlives its worker
        release()
        outcomes = {outcome.spec: outcome for outcome in found.result(60)}
    assert "the training diverged" in outcomes[diverging].failure
    for spec, resumed in ((first, 1), (second, 0)):
        run = outcomes[spec].run
        assert run is not None
        assert (run.environment["resumed"], run.environment["threads"]) == (resumed, 1)
        assert results(run) == results(unbroken[spec.hash])
        assert not (run.path / CHECKPOINT).exists()
    assert re.search(rf"worker tcp://\S+ \(\S+\): {tmp_path / first.hash} goes on at step 9 of 20", caplog.text)
    assert "does not hold" not in caplog.text
    lines = out.getvalue().splitlines()
    assert lines[0] == f"training 3 networks on Dask on {cluster.address}, workers with 5 threads"
    number = {line.partition("]")[0]: line for line in lines[1:]}
    assert set(number) == {"[1/3", "[2/3", "[3/3"}
    assert re.search(r": loss \d+\.\d+  accuracy \d.*% .* images/s on tcp://\S+ \(.*\); Dask on .*, 0 s left", lines[3])
    assert sum(": failed on tcp://" in line for line in lines) == 1
    assert not children(tmp_path)

    out.truncate(0)
    with on(cluster, "nothing of the kind") as engine:  # and asks for nothing, since all is there
        assert len(list(trained([first, second], data, tmp_path, engine, console))) == 2
    assert out.getvalue().strip("\0\n") == "2 of 2 runs are there already"
    start_held(cluster, 1)


def test_what_nobody_waits_for_is_given_up(cluster, tmp_path):
    def work(begun: Path | None) -> None:  # within a function, so that it is pickled whole
        import time

        from firstlight.engines.task import check_wanted

        if begun is None:
            return
        begun.touch()
        try:
            while True:
                check_wanted()
                time.sleep(0.02)
        finally:
            begun.unlink()

    with on(cluster, "plain") as engine:
        results = engine.run(work, [None, tmp_path / "begun", tmp_path / "never"])
        next(results)
        wait_for((tmp_path / "begun").exists)
        results.close()
        wait_for(lambda: not (tmp_path / "begun").exists())
        assert list(engine.run(abs, [-1])) == [(0, 1)]
    assert not (tmp_path / "never").exists()


def start(cluster: Cluster, store: Path, data: Path, seeds: int) -> "subprocess.Popen[str]":
    command = [sys.executable, str(TESTS / "engine_child.py"), cluster.address, str(store), str(data), str(seeds)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, start_new_session=True)


def test_ctrl_c_ends_what_is_trained_and_the_same_command_goes_on(cluster, data, unbroken, tmp_path):
    first, second = make_specs(data, 2)
    with held(tmp_path), start(cluster, tmp_path, data, 2) as process:
        wait_for(lambda: process.poll() is not None or is_held(tmp_path, first, second))
        os.killpg(process.pid, signal.SIGINT)
        out, errors = process.communicate(timeout=60)
        wait_for(lambda: not children(tmp_path))  # while they are held, so that none just finishes
    assert (process.returncode, out) == (130, ""), errors
    assert "Traceback" not in errors
    sets = load_images(data), load_images(data, "test")
    outcomes = list(train_all([first, second], lambda _: sets, tmp_path, device="cpu", console=QUIET))
    runs = [outcome.run for outcome in outcomes if outcome.run is not None]
    assert [run.environment["resumed"] for run in runs] == [1, 1]
    assert all(results(run) == results(unbroken[run.spec.hash]) for run in runs)


def refused(error: type[FirstlightError], specs: list[RunSpec], data: Path, store: Path, engine: Engine) -> str:
    with pytest.raises(error) as caught:
        list(trained(specs, data, store, engine))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_folder_that_is_not_shared_is_told_at_once(cluster, data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = Path("/proc/self/cwd/runs")  # another folder in every process, as of machines that share none
    with on(cluster, "plain") as engine:
        said = refused(EngineError, make_specs(data, 2), data, store, engine)
    assert re.match(rf"worker tcp://\S+ \(\S+\): does not see what is written here into {store}/[0-9a-f]{{16}}; ", said)
    assert "expected a folder for the results that all machines share, under the same path" in said
    assert not list(tmp_path.glob("runs/*/run.json"))


def test_bad_input_of_a_worker_names_it(cluster, data, tmp_path, monkeypatch):
    spec = make_specs(data, 1)[0]
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path / "mine")
    (tmp_path / "mine" / "noise.npz").write_bytes(data.read_bytes())
    with on(cluster, "plain") as engine:
        # Data that only this process has.
        said = refused(InputError, [spec], Path("/proc/self/cwd/noise.npz"), tmp_path / "out", engine)
        assert re.match(r"worker tcp://\S+ \(\S+\): .*/proc/self/cwd/noise.npz", said)


def test_another_version_is_refused(cluster, data, tmp_path):
    from firstlight import __version__

    with on(cluster, "old") as engine:
        said = refused(EngineError, make_specs(data, 1), data, tmp_path, engine)
        expected = rf"worker tcp://\S+ \(\S+\) has firstlight 0\.0\.9; expected {re.escape(__version__)} as here: "
        assert re.match(expected, said)
        assert said.endswith(f"{tmp_path} keeps what was trained")
        with pytest.raises(EngineError, match=expected):  # every task, whatever it does
            list(engine.run(abs, [-1]))


def test_a_worker_without_firstlight_is_told(cluster):
    expected = r"a worker says No module named 'firstlight': install firstlight \S+ where workers run$"
    with on(cluster, "bare") as engine, pytest.raises(EngineError, match=expected):
        list(engine.run(abs, [-1]))


def test_resources_that_no_worker_has_are_told_and_awaited(cluster, capsys):
    with on(cluster, "new") as engine, ThreadPoolExecutor(1) as thread:
        assert engine.workers == 0
        said = capsys.readouterr().err
        assert "5 workers, but none with new=1: tasks wait until some are started with `dask worker tcp://" in said
        assert '--resources "new=1"`' in said
        found = thread.submit(lambda: list(engine.run(abs, [-1, -2])))
        cluster.start_workers(1, "--resources", "new=1")
        assert sorted(found.result(60)) == [(0, 1), (1, 2)]
        assert engine.workers == 1
        assert capsys.readouterr().err == ""
    kill(cluster.workers[0])


class InThisThread:
    """An executor that does it at once, so that a test decides what a worker finds."""

    def __init__(self, before: Callable[[], object] = lambda: None) -> None:
        self.before = before

    def submit(self, fn: Callable[..., Any], /, *args: Any) -> "Future[Any]":
        self.before()
        future: Future[Any] = Future()
        future.set_result(fn(*args))
        return future


def stub(body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the process that trains be a few lines that do no work."""
    code = f"""
import json, os, pathlib, signal, sys
def say(event, **values): print(json.dumps({{"event": event, **values}}), flush=True)
sys.stdin.readline()
tries = pathlib.Path(sys.argv[1], "tries")
tries.write_text(tries.read_text() + "x" if tries.exists() else "x")
{body}
sys.stdin.readline()
"""
    monkeypatch.setattr(processes, "WORKER", (sys.executable, "-I", "-c", code))


def test_a_process_that_dies_is_started_once_more(data, tmp_path, monkeypatch, caplog):
    stub("os.kill(os.getpid(), signal.SIGKILL)", monkeypatch)
    said = refused(RunError, make_specs(data, 1), data, tmp_path, engine_of(InThisThread(), width=1))
    assert re.search(r"trained run [0-9a-f]{16} \(ResNet20, .*\) was killed by SIGKILL, .*, twice; expected it", said)
    assert (tmp_path / "tries").read_text() == "xx"
    stub("if tries.read_text() == 'xxx': sys.exit('so it is')\nsay('failed', text='at last')", monkeypatch)
    (outcome,) = trained(make_specs(data, 1), data, tmp_path, engine_of(InThisThread(), width=1))
    assert outcome.failure == "at last"
    assert "ended with exit code 1 (so it is)" in caplog.text


def test_an_interrupt_that_comes_to_the_process_first_is_one_here(data, tmp_path, monkeypatch):
    stub("signal.signal(signal.SIGINT, signal.SIG_DFL); os.kill(os.getpid(), signal.SIGINT)", monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        list(trained(make_specs(data, 1), data, tmp_path, engine_of(InThisThread(), width=1)))


def test_a_run_that_is_said_to_be_finished_and_is_not_there(data, tmp_path, monkeypatch):
    monkeypatch.setattr(on_engine, "SECONDS_TO_APPEAR", 0.3)
    stub("say('finished')", monkeypatch)
    said = refused(EngineError, make_specs(data, 1), data, tmp_path, engine_of(InThisThread(), width=1))
    assert "wrote what is not seen here into" in said


def test_a_full_disk_of_a_worker_is_told_with_its_name(data, tmp_path, monkeypatch):
    stub("say('broken', args=[28, 'No space left on device', None])", monkeypatch)
    with pytest.raises(OSError, match=rf"\[Errno 28\] worker .*: No space left on device: '{tmp_path}/[0-9a-f]{{16}}'"):
        list(trained(make_specs(data, 1), data, tmp_path, engine_of(InThisThread(), width=1)))


def test_locks_that_do_not_hold_are_told_once(data, tmp_path, monkeypatch, caplog):
    stub("say('failed', text='so')", monkeypatch)
    # As on a file system without locks: the lock of the sender is none for the worker.
    gone = InThisThread(lambda: (tmp_path / ".lock").unlink(missing_ok=True))
    assert len(list(trained(make_specs(data, 3), data, tmp_path, engine_of(gone, width=1)))) == 3
    assert caplog.text.count(f"a lock on {tmp_path} does not hold on worker") == 1
    caplog.clear()
    assert len(list(trained(make_specs(data, 3), data, tmp_path, engine_of(InThisThread(), width=1)))) == 3
    assert not caplog.text


def test_jobs_are_not_for_an_engine(data, tmp_path):
    with pytest.raises(InputError, match="jobs is 2; the engine's workers decide"):
        train_all(make_specs(data, 1), pytest.fail, tmp_path, jobs=2, engine=engine_of(InThisThread(), width=1))


@pytest.mark.slow
def test_a_scheduler_that_is_lost_ends_all_in_one_line_and_the_same_command_goes_on(data, unbroken, tmp_path):
    (tmp_path / "cluster").mkdir()
    store = tmp_path / "runs"
    store.mkdir()
    first, second = make_specs(data, 2)
    with contextlib.ExitStack() as stack:
        cluster = Cluster(tmp_path / "cluster", stack)
        start_held(cluster, 2)
        with held(store), start(cluster, store, data, 2) as process:
            wait_for(lambda: process.poll() is not None or is_held(store, first, second))
            kill(cluster.scheduler)
            out, errors = process.communicate(timeout=SECONDS)
            assert (process.returncode, out, errors.count("\n")) == (2, "", 2), errors  # the other is of the display
            assert f"Dask on {cluster.address}: the scheduler does not answer any more: start it" in errors
            assert errors.endswith(f"; {store} keeps what was trained\n")
            wait_for(lambda: not children(store))  # since their workers end without a scheduler
        assert is_held(store, first, second)
        cluster.start_scheduler()
        start_held(cluster, 2)
        with start(cluster, store, data, 2) as process:
            out, errors = process.communicate(timeout=SECONDS)
        assert process.returncode == 0, errors
    for spec in (first, second):
        run = Run.load(store / spec.hash)
        assert run.environment["resumed"] == 1
        assert results(run) == results(unbroken[spec.hash])
