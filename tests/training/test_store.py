"""A folder of runs: each in its state, whatever else lies there, and removed only where it is a run."""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from hypothesis import given, settings, strategies as st
from tests.training.sets import TEST, TRAIN, make_spec

from firstlight.errors import InputError, MachineError
from firstlight.training import RunSpec, StoredRun, find_run, record_steps, remove_runs, stored_runs, train
from firstlight.training.checkpoint import CHECKPOINT, Checkpoint, Tally
from firstlight.training.failure import FAILED
from firstlight.training.run import COLUMNS, write_run, write_spec
from firstlight.utils.locks import LOCK
from firstlight.utils.partials import PARTIAL

SPEC = RunSpec("vgg11", "cifar10", "ab12", "cd34", 10, 3, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2), steps=20, seed=0)
RESULTS = ("spec.json", "filters.safetensors", "metrics.csv", "run.json")


def finished(store: Path, spec: RunSpec = SPEC) -> Path:
    folder = store / spec.hash
    folder.mkdir(parents=True)
    steps = record_steps(spec.steps)
    weight = np.random.default_rng(0).normal(size=(len(steps), 4, 3, 3, 3)).astype(np.float32)
    rows = [{**dict.fromkeys(COLUMNS), "step": step, "epoch": step / 7} for step in steps]
    write_run(folder, spec, weight, rows, {"threads": 2})
    return folder


def unfinished(store: Path, spec: RunSpec = SPEC, step: int = 7) -> Path:
    folder = store / spec.hash
    folder.mkdir(parents=True)
    write_spec(folder, spec)
    done = [recorded for recorded in record_steps(spec.steps) if recorded <= step]
    filters = np.zeros((len(done), 4, 3, 3, 3), np.float32)
    rows: list[dict[str, float | None]] = [{"step": recorded} for recorded in done]
    model = {"weight": np.arange(50, dtype=np.float32)}
    Checkpoint(step, "cpu", 1, model, filters, rows, Tally(), "now", 1.0, 0).save(folder, spec)
    return folder


def failed(store: Path, spec: RunSpec = SPEC) -> Path:
    folder = store / spec.hash
    folder.mkdir(parents=True)
    write_spec(folder, spec)
    (folder / FAILED).write_text(json.dumps({"hash": spec.hash, "step": 3, "last_finite_loss": 2.25}))
    return folder


def only(store: Path) -> StoredRun:
    (run,) = stored_runs(store)
    return run


def test_a_finished_run(tmp_path):
    folder = finished(tmp_path)
    run = only(tmp_path)
    size = sum((folder / name).stat().st_size for name in RESULTS)
    assert run == StoredRun(SPEC.hash, folder, "finished", SPEC, 20, size, "")


def test_a_finished_run_stays_one_beside_what_a_kill_left(tmp_path):
    folder = finished(tmp_path)
    (folder / CHECKPOINT).write_bytes(b"half")
    (folder / f"{PARTIAL}run.json-1").write_bytes(b"half")
    with FileLock(folder / LOCK):
        assert only(tmp_path).state == "finished"


def test_an_unfinished_run_says_where_it_goes_on(tmp_path):
    unfinished(tmp_path)
    run = only(tmp_path)
    assert (run.state, run.spec, run.step, run.detail) == ("unfinished", SPEC, 7, "goes on at step 7")


def test_a_run_that_was_hardly_begun(tmp_path):
    (tmp_path / SPEC.hash).mkdir()
    run = only(tmp_path)
    assert (run.state, run.spec, run.step, run.size) == ("unfinished", None, 0, 0)
    write_spec(tmp_path / SPEC.hash, SPEC)
    run = only(tmp_path)
    assert (run.state, run.spec, run.step) == ("unfinished", SPEC, 0)
    assert "no checkpoint yet" in run.detail


def test_a_checkpoint_alone_is_an_unfinished_run_of_something(tmp_path):
    (unfinished(tmp_path) / "spec.json").unlink()
    run = only(tmp_path)
    assert (run.state, run.spec, run.step) == ("unfinished", None, 7)


@pytest.mark.parametrize(("loss", "words"), [(2.25, "last finite loss 2.25"), (None, "no loss was finite")])
def test_a_failed_run_says_when_and_how(loss, words, tmp_path):
    folder = failed(tmp_path)
    (folder / FAILED).write_text(json.dumps({"hash": SPEC.hash, "step": 3, "last_finite_loss": loss}))
    run = only(tmp_path)
    assert (run.state, run.spec, run.step, run.detail) == ("failed", SPEC, 3, f"diverged after step 3, {words}")


def test_the_states_of_a_real_training(tmp_path):
    spec = make_spec(steps=3)
    seen: list[StoredRun] = []
    run = train(spec, TRAIN, TEST, tmp_path, device="cpu", on_progress=lambda progress: seen.append(only(tmp_path)))
    assert {(stored.state, stored.spec, stored.detail) for stored in seen} == {("training", spec, "")}
    with pytest.raises(InputError, match=f"{run.path} is trained by a process now"), FileLock(run.path / LOCK):
        remove_runs(seen[:1])
    stored = only(tmp_path)
    assert (stored.state, stored.spec, stored.step, stored.path) == ("finished", spec, 3, run.path)


@pytest.mark.parametrize("content", [b"{", b'{"spec": {"mean": 5}}', None])
def test_a_training_notes_its_spec_in_the_place_of_a_wrong_one(content, tmp_path, caplog):
    spec = make_spec(steps=1)
    folder = tmp_path / spec.hash
    folder.mkdir()
    if content is None:
        write_spec(folder, replace(spec, seed=7))
    else:
        (folder / "spec.json").write_bytes(content)
    states: list[StoredRun] = []
    train(spec, TRAIN, TEST, tmp_path, device="cpu", on_progress=lambda progress: states.append(only(tmp_path)))
    assert (states[0].state, states[0].spec) == ("training", spec)
    assert only(tmp_path).state == "finished"
    assert f"spec.json is written again: {folder / 'spec.json'}" in caplog.text
    assert caplog.text.count("\n") == 1


def test_a_training_leaves_its_own_spec_alone(tmp_path, caplog):
    spec = make_spec(steps=1)
    (tmp_path / spec.hash).mkdir()
    write_spec(tmp_path / spec.hash, spec)
    train(spec, TRAIN, TEST, tmp_path, device="cpu")
    assert caplog.text == ""


def test_a_training_in_a_folder_of_damaged_results_is_a_training(tmp_path):
    folder = finished(tmp_path)
    (folder / "metrics.csv").unlink()
    assert only(tmp_path).state == "damaged"
    with FileLock(folder / LOCK):
        assert only(tmp_path).state == "training"


MAKERS: list[tuple[Callable[[Path], Path], str]] = [
    *((finished, name) for name in RESULTS),
    *((unfinished, name) for name in ("spec.json", CHECKPOINT)),
    *((failed, name) for name in ("spec.json", FAILED)),
]


@pytest.fixture(scope="module")
def stores(tmp_path_factory) -> dict[Callable[[Path], Path], Path]:
    """A store with one run of each kind."""
    stores = {make: tmp_path_factory.mktemp("store") for make, _ in MAKERS}
    for make, store in stores.items():
        make(store)
    return stores


@pytest.mark.parametrize(("make", "name"), MAKERS)
@settings(max_examples=50, deadline=None)
@given(position=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_no_flipped_bit_is_taken_for_what_was_written(stores, make, name, position, bit):
    path = stores[make] / SPEC.hash / name
    before, content = only(stores[make]), path.read_bytes()
    changed = bytearray(content)
    changed[int(position * len(content))] ^= 1 << bit
    try:
        path.write_bytes(changed)
        after = only(stores[make])
    finally:
        path.write_bytes(content)
    # No digest covers these two files: their own numbers and words, such as the time that a training took.
    uncovered = name in ("run.json", FAILED) and (after.state, after.spec) == (before.state, before.spec)
    assert after == before or uncovered or after.state == "damaged"
    if after.state == "damaged":
        assert name in after.detail
        assert str(stores[make]) not in after.detail
        assert after.spec in (SPEC, None)


@pytest.mark.parametrize(("make", "name"), MAKERS)
@pytest.mark.parametrize(
    "content", [None, b"", b"{", b"[]", b"{}", b"null", b"\xff\xfe", b"[" * 100_000, b'{"spec": {"mean": 5}}']
)
def test_a_file_that_is_something_else_is_named(make, name, content, tmp_path):
    path = make(tmp_path) / name
    if content is None:
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes(content)
    run = only(tmp_path)
    assert run.state == "damaged"
    assert name in run.detail or "Error" in run.detail


@pytest.mark.parametrize("make", [finished, unfinished, failed])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"test_fingerprint": None}, "spec lacks test_fingerprint; expected every field of RunSpec (older versions"),
        ({"format": 9}, "spec format 9 is not known; expected 1: update firstlight"),
        ({"nesterov": True}, "spec has unknown nesterov"),
    ],
)
def test_a_spec_of_another_version_is_refused_and_says_what_changed(make, change, message, tmp_path, monkeypatch):
    values = {**SPEC.to_dict(), **change}
    values = {name: value for name, value in values.items() if name not in change or value is not None}
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    other = hashlib.sha256(text.encode()).hexdigest()[:16]
    with monkeypatch.context() as patch:  # as that version wrote it
        patch.setattr(RunSpec, "hash", other)
        patch.setattr(RunSpec, "to_dict", lambda spec: values)
        folder = make(tmp_path)
    run = only(tmp_path)
    assert (run.hash, run.path, run.state, run.spec) == (other, folder, "refused", None)
    assert message in run.detail


def test_a_run_under_the_name_of_another_is_damaged(tmp_path):
    for make in (finished, unfinished, failed):
        folder = make(tmp_path)
        other = folder.rename(tmp_path / ("0" * 16))
        run = only(tmp_path)
        assert (run.hash, run.state, run.spec) == ("0" * 16, "damaged", None)
        shutil.rmtree(other)


def test_what_is_no_run_is_left_out(tmp_path):
    finished(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / ("a" * 16)).write_text("a file")
    (tmp_path / ("B" * 16)).mkdir()
    (tmp_path / ("c" * 17)).mkdir()
    (tmp_path / f"{PARTIAL}{'d' * 16}-1").mkdir()
    (tmp_path / ("e" * 16)).symlink_to(tmp_path / SPEC.hash)
    (tmp_path / ("f" * 16)).symlink_to(tmp_path / "nowhere")
    (tmp_path / ("9" * 16)).mkdir()
    (tmp_path / ("9" * 16) / "thesis.tex").write_text("somebody's")
    assert [run.hash for run in stored_runs(tmp_path)] == [SPEC.hash]


def test_odd_things_in_the_folder_of_a_run_are_no_trouble(tmp_path):
    folder = finished(tmp_path)
    (folder / LOCK).mkdir()
    (folder / "notes").mkdir()
    (folder / "notes" / "a").write_text("12345")
    (folder / "loop").symlink_to(folder)
    (folder / "broken").symlink_to(folder / "nowhere")
    run = only(tmp_path)
    assert run.state == "finished"
    shutil.rmtree(folder / LOCK)
    (folder / "run.json").unlink()
    (folder / LOCK).symlink_to(folder / "spec.json")
    assert only(tmp_path).state == "unfinished"


def test_runs_are_in_the_order_of_what_they_are(tmp_path):
    specs = [replace(SPEC, seed=seed, model=model) for seed in (0, 1) for model in ("vgg11", "resnet20")]
    for spec in specs:
        finished(tmp_path, spec)
    (tmp_path / ("0" * 16)).mkdir()
    runs = stored_runs(str(tmp_path))
    assert [run.spec for run in runs] == [specs[1], specs[3], specs[0], specs[2], None]


@pytest.mark.parametrize("what", ["nothing", "a file"])
def test_a_store_that_is_not_there_is_refused(what, tmp_path):
    if what == "a file":
        (tmp_path / "store").write_text("")
    with pytest.raises(InputError, match=r"store cannot be listed .*; expected a folder of runs"):
        stored_runs(tmp_path / "store")


def test_a_run_is_found_by_the_beginning_of_its_hash(tmp_path):
    for name in ("12" + "0" * 14, "13" + "0" * 14, "ab" + "0" * 14):
        (tmp_path / name).mkdir()
    assert find_run(tmp_path, "A").hash == "ab" + "0" * 14
    assert find_run(tmp_path, "12" + "0" * 14).hash == "12" + "0" * 14
    with pytest.raises(InputError, match=r"run '1' is the beginning of 2 hashes .* of 120{14}, 130{14}$"):
        find_run(tmp_path, "1")
    for prefix in ("", "2", "12" + "0" * 15, "../12"):
        with pytest.raises(InputError, match=r"is the beginning of no hashes .* of 120{14}, 130{14}, ab0{14}$"):
            find_run(tmp_path, prefix)
    for number in range(20):
        (tmp_path / f"{number:016x}").mkdir()
    with pytest.raises(InputError, match=r"and 15 more$"):
        find_run(tmp_path, "7")


def test_nothing_is_found_in_an_empty_store(tmp_path):
    with pytest.raises(InputError, match="expected a folder that holds runs"):
        find_run(tmp_path, "ab")


@pytest.mark.parametrize("make", [finished, unfinished, failed])
def test_runs_are_removed_and_others_stay(make, tmp_path):
    kept = finished(tmp_path, replace(SPEC, seed=1))
    run = only(make(tmp_path / "x").parent)
    (run.path / f"{PARTIAL}metrics.csv-1").write_text("half")
    remove_runs([run])
    remove_runs([run])  # gone already
    assert stored_runs(tmp_path / "x") == []
    assert list((tmp_path / "x").iterdir()) == []
    assert [stored.path for stored in stored_runs(tmp_path)] == [kept]


def removable(path: Path) -> StoredRun:
    return StoredRun(path.name, path, "unfinished", None, 0, 0, "")


def test_only_folders_of_runs_are_removed_and_all_or_none(tmp_path):
    run = finished(tmp_path / "store")
    mine = tmp_path / "store" / "mine"
    mine.mkdir()
    link = tmp_path / "store" / ("e" * 16)
    link.symlink_to(run)
    foreign = tmp_path / "store" / ("9" * 16)
    foreign.mkdir()
    (foreign / "thesis.tex").write_text("somebody's")
    for path in (mine, link, foreign, tmp_path / "store", tmp_path / "store" / ".."):
        with pytest.raises(InputError, match="is no folder of a run; expected one named by 16 hex digits"):
            remove_runs([removable(run), removable(path)])
    (run / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"holds 'notes\.txt'; expected a run's files alone"):
        remove_runs([removable(run)])
    assert (run / "run.json").exists()
    assert (foreign / "thesis.tex").exists()


def test_a_run_that_is_trained_now_is_not_removed(tmp_path):
    other = finished(tmp_path, replace(SPEC, seed=1))
    folder = unfinished(tmp_path)
    with FileLock(folder / LOCK), pytest.raises(InputError, match=f"{folder} is trained by a process now"):
        remove_runs(stored_runs(tmp_path)[::-1])  # the other one first
    assert other.exists()
    assert (folder / CHECKPOINT).exists()


def test_a_removal_that_is_killed_leaves_no_half_of_a_run(tmp_path, monkeypatch):
    folder = finished(tmp_path)
    run = only(tmp_path)

    def killed(path: Path) -> None:
        os.unlink(path / "metrics.csv")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            remove_runs([run])
    assert stored_runs(tmp_path) == []
    assert not folder.exists()
    (tmp_path / f"{PARTIAL}report.html-1").mkdir()  # of somebody else
    remove_runs([removable(unfinished(tmp_path))])
    assert [path.name for path in tmp_path.iterdir()] == [f"{PARTIAL}report.html-1"]


@pytest.mark.parametrize("error", [PermissionError(errno.EACCES, os.strerror(errno.EACCES)), MemoryError()], ids=str)
@pytest.mark.parametrize("make", [finished, unfinished])
def test_a_run_that_this_machine_cannot_read_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], Path], error: Exception
) -> None:
    make(tmp_path)

    def failing(path: Path) -> None:
        raise error

    monkeypatch.setattr("firstlight.training.run_files.open_file", failing)
    with pytest.raises(MachineError, match=r" cannot be read on this machine \("):
        stored_runs(tmp_path)
