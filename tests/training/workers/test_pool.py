"""Many runs: trained here or by workers, through failures, kills and interrupts, to the same bits."""

import errno
import io
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from tests.training.pool_child import WORKER, make_specs, write_data
from tests.training.sets import TEST, TRAIN

from firstlight.errors import InputError, RunError
from firstlight.images import ImageSet, load_images
from firstlight.training import Outcome, Run, RunSpec, train, train_all
from firstlight.training.checkpoint import CHECKPOINT, Checkpoint
from firstlight.training.workers import processes

QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"), TRAIN, TEST)


@pytest.fixture(scope="module")
def load(data):
    sets = load_images(data), load_images(data, "test")

    def load(name: str) -> tuple[ImageSet, ImageSet]:
        assert name == "noise.npz"
        return sets

    return load


@pytest.fixture(scope="module")
def unbroken(data, load, tmp_path_factory) -> dict[str, Run]:
    """Two runs, each trained alone."""
    store, (train_set, test_set) = tmp_path_factory.mktemp("unbroken"), load("noise.npz")
    return {spec.hash: train(spec, train_set, test_set, store, device="cpu") for spec in make_specs(data, 2)}


def results(run: Run) -> list[bytes]:
    return [(run.path / name).read_bytes() for name in ("filters.safetensors", "metrics.csv")]


def pids(store: Path, spec_hash: str = "") -> list[int]:
    """Of the workers that trained a run, or any."""
    return [int(path.name.partition("-")[2]) for path in store.glob(f"pids/{spec_hash}*-*")]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)  # no signal: only asks
    except ProcessLookupError:
        return False
    return True


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120.0
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def short(specs: list[RunSpec]) -> list[RunSpec]:
    return [replace(spec, steps=2) for spec in specs]


def test_one_job_trains_here_and_a_run_that_diverges_does_not_keep_the_others(data, load, tmp_path):
    first, second = short(make_specs(data, 2))
    specs = [first, replace(first, lr=1e25), first, second]
    out = io.StringIO()
    shown = []

    def score(spec: RunSpec):
        shown.append(spec.seed)
        return lambda filters, initial: float(np.corrcoef(filters.ravel(), initial.ravel())[0, 1])

    console = Console(file=out, width=200)
    outcomes = list(train_all(specs, load, tmp_path, device="cpu", score=score, console=console))
    assert [outcome.spec for outcome in outcomes] == [first, specs[1], second]
    assert [outcome.run is None for outcome in outcomes] == [False, True, False]
    assert [bool(outcome.failure) for outcome in outcomes] == [False, True, False]
    assert "the training diverged" in outcomes[1].failure
    assert shown == [0, 0, 1]
    lines = out.getvalue().splitlines()
    assert lines[0] == "[1/3] ResNet20, seed 0, noise.npz, batches of 16: step 0/2"
    assert lines[1].startswith("[1/3] ResNet20, seed 0, noise.npz, batches of 16: step 2/2  accuracy ")
    assert "  r=1.00  " in lines[1]
    assert any(line.startswith("[2/3] ResNet20, seed 0, noise.npz, lr 1e+25, batches of 16") for line in lines)

    out.truncate(0)
    again = list(train_all(specs, pytest.fail, tmp_path, jobs=3, device="no device is needed", console=console))
    assert [outcome.failure for outcome in again] == [outcome.failure for outcome in outcomes]
    assert [outcome.run.spec for outcome in again if outcome.run] == [first, second]
    assert out.getvalue().strip("\0\n") == "3 of 3 runs are there already"


def test_a_killed_worker_goes_on_in_another_to_the_same_bits_beside_one_that_diverges(
    data, load, unbroken, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(processes, "WORKER", WORKER)
    first, second = make_specs(data, 2)
    diverging = replace(second, lr=1e25)
    (tmp_path / "hold").touch()
    caplog.set_level(logging.DEBUG, logger="firstlight")
    killed: list[int] = []
    records = 0

    def score(spec: RunSpec):
        def count(filters: np.ndarray, initial: np.ndarray) -> float:
            nonlocal records
            records += 1
            if records == 6:
                killed.extend(pids(tmp_path, first.hash))
                os.kill(killed[0], signal.SIGKILL)
                (tmp_path / "hold").unlink()
            assert filters.shape == initial.shape == (16, 3, 3, 3)
            assert (filters.dtype, np.array_equal(filters, initial)) == (np.float32, False)
            return 0.5

        return count if spec == first else None

    specs = [first, diverging, second]
    out = io.StringIO()
    options = {"sources": {"noise.npz": data}, "device": "cpu", "score": score, "console": Console(file=out, width=200)}
    outcomes = {found.spec.hash: found for found in train_all(specs, pytest.fail, tmp_path, jobs=2, **options)}
    assert len(killed) == 1
    assert f"run {first.hash} was killed by SIGKILL, as the system does when memory runs out: it goes on" in caplog.text
    assert (
        f"{tmp_path / first.hash}: trains resnet20 on noise.npz" in caplog.text
    )  # what the first worker told the logger
    assert f"{tmp_path / first.hash} goes on at step" in caplog.text  # what the second worker told the logger
    assert outcomes[diverging.hash].run is None
    assert "the training diverged" in outcomes[diverging.hash].failure
    for spec, resumed in ((first, 1), (second, 0)):
        run = outcomes[spec.hash].run
        assert run is not None
        assert (run.environment["resumed"], run.environment["threads"]) == (resumed, 1)
        assert results(run) == results(unbroken[spec.hash])
    assert len(pids(tmp_path)) == 4  # three specs, one of them twice
    assert not any(map(is_alive, pids(tmp_path)))
    assert "[1/3] ResNet20, seed 0, noise.npz, batches of 16: step 20/20" in out.getvalue()
    assert " r=0.50" in out.getvalue()


@pytest.mark.skipif(sys.platform == "win32", reason="process groups")
def test_ctrl_c_leaves_no_process_and_the_run_goes_on_to_the_same_bits(data, load, unbroken, tmp_path):
    (spec,) = make_specs(data, 1)
    (tmp_path / "hold").touch()
    command = [
        sys.executable,
        str(Path(__file__).parents[1] / "pool_child.py"),
        "parent",
        str(tmp_path),
        str(data),
        "1",
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as parent:
        wait_for((tmp_path / spec.hash / CHECKPOINT).exists)
        os.killpg(parent.pid, signal.SIGINT)  # as a terminal does: to the parent and its workers
        out, errors = parent.communicate(timeout=60)
    assert (parent.returncode, out) == (130, "")
    assert "Traceback" not in errors
    assert len(pids(tmp_path)) == 1
    assert not any(map(is_alive, pids(tmp_path)))
    checkpoint = Checkpoint.load(tmp_path / spec.hash, spec)
    assert checkpoint is not None
    assert 0 < checkpoint.step < spec.steps
    (outcome,) = train_all([spec], load, tmp_path, device="cpu", console=QUIET)
    assert outcome.run is not None
    assert outcome.run.environment["resumed"] == 1
    assert results(outcome.run) == results(unbroken[spec.hash])


def stub(body: str, monkeypatch: pytest.MonkeyPatch, start: str = "") -> None:
    """Let workers be a few lines that do no work: they start in no time."""
    code = f"""
import json, os, pathlib, signal, sys, time
def say(event, **values): print(json.dumps({{"event": event, **values}}), flush=True)
store = pathlib.Path(sys.argv[1])
(store / "pids").mkdir(exist_ok=True)
(store / "pids" / f"-{{os.getpid()}}").touch()
{start}
for number, line in enumerate(sys.stdin):
    task = json.loads(line)
    {body}
"""
    monkeypatch.setattr(processes, "WORKER", (sys.executable, "-I", "-c", code))


def outcomes_of_stubs(data: Path, store: Path, jobs: int = 2) -> Generator[Outcome, None, None]:
    return train_all(make_specs(data, 4), pytest.fail, store, jobs=jobs, device="cpu", console=QUIET)


@pytest.mark.parametrize(
    ("body", "how"),
    [
        (
            "os.kill(os.getpid(), signal.SIGKILL)",
            "was killed by SIGKILL, as the system does when memory runs out, twice",
        ),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "was killed by SIGSEGV, twice"),
        ("sys.exit('\\nno such library\\n')", r"ended with exit code 1 \(no such library\), twice"),
    ],
)
def test_a_run_that_kills_its_worker_twice_ends_all_with_advice(body, how, data, tmp_path, monkeypatch, caplog):
    stub(body, monkeypatch)
    message = rf"trained run [0-9a-f]{{16}} \(ResNet20, seed \d, .*\) {how}.* fewer jobs than 2"
    with pytest.raises(RunError, match=message):
        list(outcomes_of_stubs(data, tmp_path))
    assert caplog.text.count("it goes on in another") in (1, 2)
    assert not any(map(is_alive, pids(tmp_path)))


def test_ctrl_c_that_comes_to_a_worker_first_is_an_interrupt_too(data, tmp_path, monkeypatch):
    stub("signal.signal(signal.SIGINT, signal.SIG_DFL); os.kill(os.getpid(), signal.SIGINT)", monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        list(outcomes_of_stubs(data, tmp_path))
    assert not any(map(is_alive, pids(tmp_path)))


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        ("say('refused', kind='InputError', text='no such data')", InputError, "^no such data$"),
        (
            "say('broken', args=[28, 'No space left on device', None])",
            OSError,
            r"\[Errno 28\] No space .*/[0-9a-f]{16}'$",
        ),
        ("say('broken', args=[28, 'No space left on device', '/x'])", OSError, r"No space left on device: '/x'$"),
        ("say('broken', args=[None, 'no network', None])", OSError, r"/[0-9a-f]{16}: no network$"),
    ],
)
def test_bad_input_and_a_failing_system_end_all(body, kind, message, data, tmp_path, monkeypatch):
    stub(body, monkeypatch, start="print('welcome'); print(1)")
    with pytest.raises(kind, match=message):
        list(outcomes_of_stubs(data, tmp_path))
    assert not any(map(is_alive, pids(tmp_path)))


def test_workers_are_kept_and_end_with_the_iterator(data, tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "SECONDS_TO_END", 60.0)  # until they would be killed
    stub("say('failed', text=str(task['spec']['seed'])) if number < 1 else time.sleep(60)", monkeypatch)
    outcomes = outcomes_of_stubs(data, tmp_path)
    assert {next(outcomes).failure, next(outcomes).failure} == {"0", "1"}
    assert len(pids(tmp_path)) == 2
    assert all(map(is_alive, pids(tmp_path)))
    began = time.monotonic()
    outcomes.close()
    assert time.monotonic() - began < 30
    assert not any(map(is_alive, pids(tmp_path)))


def test_no_more_workers_are_started_than_there_are_runs(data, tmp_path, monkeypatch):
    stub("say('failed', text='so')", monkeypatch)
    assert len(list(outcomes_of_stubs(data, tmp_path, jobs=9))) == 4
    assert 1 <= len(pids(tmp_path)) <= 4
    assert not any(map(is_alive, pids(tmp_path)))


def test_a_worker_that_does_not_end_is_killed(data, tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "SECONDS_TO_END", 0.2)
    stub("say('failed', text='') if number < 1 else time.sleep(60)", monkeypatch, "signal.signal(15, signal.SIG_IGN)")
    outcomes = outcomes_of_stubs(data, tmp_path)
    next(outcomes)
    outcomes.close()
    assert not any(map(is_alive, pids(tmp_path)))


def test_a_full_disk_ends_all_and_says_where(data, load, tmp_path, monkeypatch):
    def full(*arguments) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")  # without a name, as it comes of a write

    specs = short(make_specs(data, 2))
    with monkeypatch.context() as patch:
        patch.setattr("firstlight.training.run.write_tensors", full)
        with pytest.raises(OSError, match=rf"\[Errno 28\] No space left on device: '{tmp_path / specs[0].hash}'"):
            list(train_all(specs, load, tmp_path, device="cpu", console=QUIET))
    assert not (tmp_path / specs[1].hash).exists()
    assert all(outcome.run for outcome in train_all(specs, load, tmp_path, device="cpu", console=QUIET))


@pytest.mark.parametrize("jobs", [0, -1, 1.5, "2", True])
def test_the_number_of_jobs_is_checked_at_once(jobs, tmp_path):
    with pytest.raises(InputError, match=r"jobs is .*; expected a whole number of at least 1"):
        train_all([], pytest.fail, tmp_path, jobs=jobs)


def test_a_device_that_is_not_there_ends_all(data, load, tmp_path):
    with pytest.raises(InputError, match="device is 'tpu'"):
        list(train_all(make_specs(data, 2), load, tmp_path, device="tpu", console=QUIET))


def test_nothing_to_train_is_nothing(tmp_path):
    assert list(train_all([], pytest.fail, tmp_path, jobs=2)) == []
