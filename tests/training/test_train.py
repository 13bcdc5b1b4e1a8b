"""The training: repeatable to the bit, through kills, damage and other processes."""

import json
import logging
import os
import random
import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock
from tests.training.sets import CLASSES, TEST, TRAIN, make_set, make_spec

from firstlight.errors import InputError, RunError
from firstlight.training import Progress, Run, RunSpec, loop, record_steps, train
from firstlight.training.checkpoint import CHECKPOINT, Checkpoint
from firstlight.training.run_files import read_tensors, write_tensors
from firstlight.training.steps import is_test_step

RESULTS = ("filters.safetensors", "metrics.csv")


def results(run: Run) -> list[bytes]:
    return [(run.path / name).read_bytes() for name in RESULTS]


def train_here(spec: RunSpec, store: Path, **options) -> Run:
    return train(spec, TRAIN, TEST, store, device="cpu", **options)


class Interruption(Exception):
    pass


def interrupt(spec: RunSpec, store: Path, step: int, monkeypatch: pytest.MonkeyPatch, **sets) -> Path:
    """Train with a checkpoint after every step, and stop right after `step` updates; returns the run's folder."""

    def report(progress: Progress) -> None:
        if progress.step == step:
            raise Interruption

    with monkeypatch.context() as patch:
        patch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
        with pytest.raises(Interruption):
            train_here(spec, store, on_progress=report)
    return store / spec.hash


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory) -> Run:
    return train_here(make_spec(), tmp_path_factory.mktemp("unbroken"))


def test_a_run_records_the_first_layer_and_the_metrics(unbroken):
    assert unbroken.steps.tolist() == record_steps(12)
    assert unbroken.filters.shape == (len(unbroken.steps), 16, 3, 3, 3)
    assert unbroken.filters.dtype == np.float64
    assert not np.array_equal(unbroken.initial, unbroken.final)
    metrics = unbroken.metrics
    assert metrics["epoch"].tolist() == (unbroken.steps / 6).tolist()  # 100 images: six whole batches of 16
    assert metrics.loc[0, ["train_loss", "train_accuracy", "test_loss"]].isna().all()
    assert metrics.loc[1:, ["train_loss", "train_accuracy"]].notna().all(axis=None)
    assert metrics["step"][metrics["test_accuracy"].notna()].tolist() == [10, 12]
    environment = unbroken.environment
    assert environment["resumed"] == 0
    assert environment["threads"] == torch.get_num_threads()
    assert environment["device"].startswith("cpu")
    assert environment["images_per_second"] > 0
    assert sorted(path.name for path in unbroken.path.iterdir() if path.name != ".lock") == [
        "filters.safetensors",
        "metrics.csv",
        "run.json",
        "spec.json",
    ]


def test_training_is_what_a_plain_loop_does(tmp_path):
    """Two steps of one batch, written down again without the package's machinery."""
    spec = make_spec(steps=2, batch_size=100)
    run = train_here(spec, tmp_path)
    from firstlight.models import build_model
    from firstlight.training.random_numbers import INITIALISATION, default_generators, seed_generators

    with torch.random.fork_rng([]):
        seed_generators(spec, INITIALISATION, 0, default_generators(torch.device("cpu")))
        model = build_model("resnet20", classes=4, channels=3)
    images = (torch.from_numpy(np.array(TRAIN.images)) / 255 - 0.5) / 0.25
    labels = torch.from_numpy(np.array(TRAIN.labels))
    np.testing.assert_array_equal(run.initial, model.conv1.weight.detach().numpy())  # type: ignore[union-attr]
    losses = []
    for _ in range(2):
        model.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        losses.append(loss.item())
        with torch.no_grad():
            for parameter in model.parameters():
                assert parameter.grad is not None
                parameter -= 0.01 * parameter.grad
    np.testing.assert_allclose(run.metrics["train_loss"][1:], losses, rtol=1e-5)
    # Another layout rounds otherwise, and a rectifier makes a jump of some of that.
    difference = run.final - model.conv1.weight.detach().numpy()  # type: ignore[union-attr]
    assert np.linalg.norm(difference) < 0.02 * np.linalg.norm(run.final - run.initial)


def test_training_learns(tmp_path):
    run = train_here(make_spec(steps=60, lr=0.1), tmp_path)
    assert run.metrics["test_accuracy"].iloc[-1] > 0.6  # 0.25 is chance


def test_every_image_is_seen_once_an_epoch_in_a_new_order():
    from firstlight.training.random_numbers import epoch_order

    first, second = (epoch_order(make_spec(), epoch, 100) for epoch in (0, 1))
    assert sorted(first) == sorted(second) == list(range(100))
    assert first.tolist() != second.tolist()


@pytest.mark.parametrize("model", ["resnet20", "vgg5"])
def test_the_same_spec_gives_the_same_bytes_and_another_seed_does_not(model, tmp_path):
    spec = make_spec(model=model, steps=3)
    runs = [train_here(spec, tmp_path / name) for name in ("a", "b")]
    assert results(runs[0]) == results(runs[1])
    other = train_here(replace(spec, seed=4), tmp_path)
    assert not np.array_equal(other.initial, runs[0].initial)
    assert results(other)[1] != results(runs[0])[1]


def test_a_finished_run_is_returned_without_training(unbroken):
    def report(progress: Progress) -> None:
        raise AssertionError("trained again")

    again = train_here(unbroken.spec, unbroken.path.parent, on_progress=report)
    assert np.array_equal(again.filters, unbroken.filters)


def test_training_on_after_sigkill_gives_the_same_bytes(tmp_path):
    steps = 40
    child = Path(__file__).with_name("child.py")
    command = [sys.executable, str(child), str(tmp_path / "killed"), str(steps)]
    spec = make_spec(steps=steps)
    folder = tmp_path / "killed" / spec.hash
    for kill_at in (9, 23):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if int(line) >= kill_at:
                    process.kill()
                    break
        assert process.returncode == -9
        assert not (folder / "run.json").exists()
        checkpoint = Checkpoint.load(folder, spec)
        assert checkpoint is not None
        assert kill_at - 1 <= checkpoint.step < steps
    resumed = train_here(spec, tmp_path / "killed")
    assert resumed.environment["resumed"] == 2
    assert results(resumed) == results(train_here(spec, tmp_path / "whole"))
    assert not (folder / CHECKPOINT).exists()


@pytest.mark.parametrize("step", [1, 5, 6, 11])
def test_a_training_goes_on_from_any_step_to_the_same_bytes(step, unbroken, tmp_path, monkeypatch):
    interrupt(unbroken.spec, tmp_path, step, monkeypatch)
    reports: list[Progress] = []
    run = train_here(unbroken.spec, tmp_path, on_progress=reports.append)
    # The checkpoint follows the report, so the step that was interrupted is done again.
    assert reports[0].step == step - 1
    assert run.environment["resumed"] == (1 if step > 1 else 0)
    assert results(run) == results(unbroken)


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "vgg5"},  # with dropout
        {"frozen": True},
        {"precision": "bfloat16"},
        {"labels": "random"},
        {"momentum": 0.9},
        {"optimizer": "adam", "weight_decay": 0.05, "frozen": True},
        {"schedule": "cosine"},
        {"augmentation": "flip+crop"},
        {"momentum": 0.9, "weight_decay": 5e-4, "schedule": "cosine", "augmentation": "crop", "precision": "bfloat16"},
        {"labels": "energy:4", "only": ("c", "a"), "stride": 3, "scaled_component": 2, "scale": 3.0, "frozen": True},
    ],
    ids=lambda changes: "-".join(changes),
)
def test_every_kind_of_training_goes_on_to_the_same_bytes(changes, tmp_path, monkeypatch):
    spec = make_spec(**changes)
    interrupt(spec, tmp_path / "broken", 6, monkeypatch)
    resumed = train_here(spec, tmp_path / "broken")
    assert resumed.environment["resumed"] == 1
    assert results(resumed) == results(train_here(spec, tmp_path / "whole"))


def test_a_training_goes_on_with_the_threads_it_began_with(tmp_path, monkeypatch):
    spec = make_spec()
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        whole = train_here(spec, tmp_path / "whole")
        interrupt(spec, tmp_path / "broken", 6, monkeypatch)
        torch.set_num_threads(2)
        resumed = train_here(spec, tmp_path / "broken")
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert resumed.environment["threads"] == 1
    assert results(resumed) == results(whole)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-5000] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [truncate, empty, flip])
def test_a_damaged_checkpoint_starts_over_to_the_same_bytes(damage, unbroken, tmp_path, monkeypatch, caplog):
    folder = interrupt(unbroken.spec, tmp_path, 6, monkeypatch)
    damage(folder / CHECKPOINT)
    run = train_here(unbroken.spec, tmp_path)
    assert "the training starts over" in caplog.text
    assert str(folder / CHECKPOINT) in caplog.text
    assert run.environment["resumed"] == 0
    assert results(run) == results(unbroken)


def test_a_checkpoint_of_another_run_or_machine_is_not_used(unbroken, tmp_path, monkeypatch, caplog):
    spec = unbroken.spec
    folder = interrupt(spec, tmp_path, 6, monkeypatch)
    checkpoint = Checkpoint.load(folder, spec)
    assert checkpoint is not None
    replace(checkpoint, machine="cuda Elsewhere").save(folder, spec)
    assert train_here(spec, tmp_path).environment["resumed"] == 0
    assert "was written on cuda Elsewhere" in caplog.text
    caplog.clear()
    other = replace(spec, seed=5)
    (tmp_path / other.hash).mkdir()
    checkpoint.save(tmp_path / other.hash, spec)
    assert train_here(other, tmp_path).environment["resumed"] == 0
    assert f"belongs to the run {spec.hash}; expected {other.hash}" in caplog.text


def test_a_checkpoint_of_another_version_starts_over_to_the_same_bytes(unbroken, tmp_path, monkeypatch, caplog):
    spec = unbroken.spec
    folder = interrupt(spec, tmp_path, 6, monkeypatch)
    tensors, values = read_tensors(folder / CHECKPOINT)
    write_tensors(folder / CHECKPOINT, tensors, {name: values[name] for name in values if name != "tally"} | {"new": 1})
    run = train_here(spec, tmp_path)
    assert "holds other values ('tally')" in caplog.text
    assert results(run) == results(unbroken)


def test_a_checkpoint_without_the_momentum_starts_over_to_the_same_bytes(tmp_path, monkeypatch, caplog):
    spec = make_spec(momentum=0.9)
    folder = interrupt(spec, tmp_path / "broken", 6, monkeypatch)
    checkpoint = Checkpoint.load(folder, spec)
    assert checkpoint is not None
    replace(checkpoint, optimizer={}).save(folder, spec)
    run = train_here(spec, tmp_path / "broken")
    assert "has no state of the optimiser" in caplog.text
    assert run.environment["resumed"] == 0
    assert results(run) == results(train_here(spec, tmp_path / "whole"))


@pytest.mark.parametrize("name", ["spec.json", "filters.safetensors", "metrics.csv", "run.json"])
def test_a_damaged_finished_run_is_named_and_trained_again(name, unbroken, tmp_path, caplog):
    folder = tmp_path / unbroken.spec.hash
    shutil.copytree(unbroken.path, folder)
    (folder / name).write_bytes((folder / name).read_bytes()[:-7])
    run = train_here(unbroken.spec, tmp_path)
    assert caplog.text.count("is not used and trained again") == 1
    assert str(folder / name) in caplog.text
    assert results(run) == results(unbroken)


def test_a_diverging_run_fails_once_and_for_all(tmp_path):
    spec = make_spec(lr=1e25)
    reports: list[Progress] = []
    with pytest.raises(RunError, match=r"no longer finite after step \d+ of 12 .*lower lr=1e\+25, or delete") as first:
        train_here(spec, tmp_path, on_progress=reports.append)
    folder = tmp_path / spec.hash
    failed = json.loads((folder / "failed.json").read_text())
    assert failed["step"] == reports[-1].step
    assert failed["last_finite_loss"] == reports[-1].loss
    assert sorted(path.name for path in folder.iterdir() if path.name != ".lock") == ["failed.json", "spec.json"]
    reports.clear()
    with pytest.raises(RunError) as second:
        train_here(spec, tmp_path, on_progress=reports.append)
    assert str(second.value) == str(first.value)
    assert reports == []


def test_weights_that_diverge_in_the_last_step_are_a_failure(tmp_path, monkeypatch):
    def overflow(optimizer: torch.optim.SGD) -> None:
        optimizer.param_groups[0]["params"][0].data.fill_(torch.inf)  # the first layer; no loss will tell

    monkeypatch.setattr(torch.optim.SGD, "step", overflow)
    with pytest.raises(RunError, match="no longer finite after step 1 of 1"):
        train_here(make_spec(steps=1), tmp_path)


def test_an_unreadable_failure_is_tried_again(unbroken, tmp_path, caplog):
    folder = tmp_path / unbroken.spec.hash
    folder.mkdir()
    (folder / "failed.json").write_text("{")
    assert results(train_here(unbroken.spec, tmp_path)) == results(unbroken)
    assert "the training is tried again" in caplog.text
    assert not (folder / "failed.json").exists()


def state_of_torch() -> dict[str, object]:
    backends = torch.backends
    return {
        "generator": torch.get_rng_state().numpy().tobytes(),
        "numpy": repr(np.random.get_state()),  # noqa: NPY002 - the global generator is what is asked about
        "random": random.getstate(),
        "threads": torch.get_num_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "warn": torch.is_deterministic_algorithms_warn_only_enabled(),
        "fill": torch.utils.deterministic.fill_uninitialized_memory,  # type: ignore[attr-defined]
        "precision": torch.get_float32_matmul_precision(),
        "cudnn": (backends.cudnn.benchmark, backends.cudnn.deterministic, backends.cudnn.allow_tf32),
        "environment": dict(os.environ),
        "gradients": torch.is_grad_enabled(),
    }


@pytest.mark.parametrize("lr", [0.01, 1e25])
def test_global_state_is_left_as_it_was(lr, tmp_path, unbroken):
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.set_float32_matmul_precision("medium")
        torch.backends.cudnn.benchmark = True
        before = state_of_torch()
        try:
            train_here(make_spec(lr=lr), tmp_path)
        except RunError:
            assert lr > 1
        assert state_of_torch() == before
    finally:
        torch.backends.cudnn.benchmark = False
        torch.set_float32_matmul_precision("highest")
        torch.use_deterministic_algorithms(False)
        torch.set_num_threads(threads)


def test_the_callers_random_numbers_and_precision_decide_nothing(unbroken, tmp_path):
    try:
        torch.manual_seed(99)
        torch.set_float32_matmul_precision("medium")  # allows bfloat16 in products
        assert results(train_here(unbroken.spec, tmp_path)) == results(unbroken)
    finally:
        torch.set_float32_matmul_precision("highest")


def test_gray_images(tmp_path):
    train_set, test_set = make_set("train", 40, channels=1), make_set("test", 40, channels=1)
    run = train(make_spec(train_set, test_set, steps=2), train_set, test_set, tmp_path, device="cpu")
    assert run.final.shape == (16, 1, 3, 3)


def test_float_images_are_normalised_on_their_own_scale(tmp_path, unbroken):
    floats, test_floats = (replace(images, images=images.images / np.float32(255)) for images in (TRAIN, TEST))
    run = train(make_spec(floats, test_floats), floats, test_floats, tmp_path, device="cpu")
    np.testing.assert_allclose(run.metrics["train_loss"][1:3], unbroken.metrics["train_loss"][1:3], rtol=1e-4)


def test_only_the_first_images_are_used_where_the_spec_says_so(tmp_path):
    spec = make_spec(train_images=40, test_images=10)
    labels = TRAIN.labels
    assert labels is not None
    beyond = replace(TRAIN, labels=np.concatenate([labels[:40], np.roll(labels[40:], 1)]))
    changed = replace(spec, data_fingerprint=beyond.fingerprint)
    run = train_here(spec, tmp_path)
    same = train(changed, beyond, TEST, tmp_path, device="cpu")
    assert run.spec.hash != same.spec.hash
    assert np.array_equal(run.filters, same.filters)
    assert run.metrics["epoch"].iloc[-1] == 6  # 12 steps, two batches of 16 in 40 images


def test_progress_says_what_the_metrics_say(tmp_path):
    reports: list[Progress] = []
    run = train_here(make_spec(), tmp_path, on_progress=reports.append)
    assert [report.step for report in reports] == list(range(13))
    recorded = [report for report in reports if report.filters is not None]
    assert [report.step for report in recorded] == run.steps.tolist()
    for report, filters in zip(recorded, run.filters, strict=True):
        np.testing.assert_array_equal(report.filters, filters)
        np.testing.assert_array_equal(report.initial, run.initial)
    assert [report.accuracy for report in recorded[1:]] == run.metrics["train_accuracy"][1:].tolist()
    assert np.isnan([reports[0].loss, reports[0].accuracy, reports[0].images_per_second]).all()
    assert np.isfinite([(report.loss, report.images_per_second) for report in reports[1:]]).all()


def test_a_second_process_waits_and_takes_the_finished_run(unbroken, tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="firstlight")
    folder = tmp_path / unbroken.spec.hash
    folder.mkdir()
    reports: list[Progress] = []
    taken: list[Run] = []
    with FileLock(folder / ".lock"):
        waiting = threading.Thread(
            target=lambda: taken.append(train_here(unbroken.spec, tmp_path, on_progress=reports.append))
        )
        waiting.start()
        waiting.join(timeout=0.5)
        assert waiting.is_alive()
        shutil.copytree(unbroken.path, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".lock"))
    waiting.join(timeout=10)
    assert taken
    assert np.array_equal(taken[0].filters, unbroken.filters)
    assert reports == []
    assert "another process" in caplog.text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data_fingerprint": "ab"}, "train set 'noise' has the fingerprint .*; expected ab"),
        ({"test_fingerprint": "cd"}, "test set 'noise' has the fingerprint .*; expected cd"),
        ({"train_images": 101}, "train set 'noise' has 100 images; expected at least 101"),
        ({"batch_size": 101}, "train set 'noise' has 100 images; expected at least 101"),
        ({"test_images": 41}, "test set 'noise' has 40 images; expected at least 41"),
        ({"channels": 1, "mean": (0.5,), "std": (0.5,)}, "has 3 channels; expected 1"),
        ({"classes": 3}, "has labels 0 to 3; expected 0 to 2"),
        ({"only": ("a", "x")}, "only is 'x'; expected classes of 'noise': a, b, c, d"),
        ({"only": ("a", "b"), "batch_size": 80}, "training images are left of 'noise'; expected at least one batch"),
    ],
)
def test_images_that_are_not_the_specs_are_refused(changes, message, tmp_path):
    with pytest.raises(InputError, match=message):
        train_here(make_spec(**changes), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("labels", ["true", "random", "energy:1"])
def test_labels_beyond_the_classes_are_refused_where_they_choose_the_images(labels, tmp_path):
    nameless = replace(TRAIN, classes=CLASSES[:3])
    with pytest.raises(InputError, match="train set 'noise' has labels 0 to 3; expected 0 to 2"):
        train(make_spec(only=("a", "b"), labels=labels), nameless, TEST, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_labels_that_are_replaced_need_not_fit_the_classes(tmp_path):
    spec = make_spec(classes=2, labels="random", steps=1)
    assert np.isfinite(train_here(spec, tmp_path).metrics["train_loss"].iloc[-1])


def test_images_without_labels_are_refused(tmp_path):
    unlabelled = replace(TEST, labels=None)
    with pytest.raises(InputError, match="test set 'noise' has no labels"):
        train(make_spec(TRAIN, unlabelled), TRAIN, unlabelled, tmp_path)


@pytest.mark.parametrize("device", ["tpu", "cuda:99", "meta"])
def test_devices_that_are_not_there_are_refused(device, tmp_path):
    with pytest.raises(InputError, match=f"device is '{device}'; "):
        train(make_spec(), TRAIN, TEST, tmp_path, device=device)


def test_the_test_images_are_looked_at_twice_a_decade_and_at_the_end():
    assert [step for step in range(2001) if is_test_step(step, 2000)] == [10, 32, 100, 316, 1000, 2000]


def test_importing_and_loading_do_not_import_torch(unbroken):
    code = (
        "import sys; from firstlight.training import Run, RunSpec, train; "
        f"Run.load({str(unbroken.path)!r}); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.gpu
@pytest.mark.parametrize(
    "changes",
    [
        {"precision": "float32"},
        {"precision": "bfloat16"},
        {"momentum": 0.9, "weight_decay": 5e-4, "schedule": "cosine", "augmentation": "flip+crop"},
        {"optimizer": "adam", "lr": 0.001},
    ],
    ids=lambda changes: "-".join(changes),
)
@pytest.mark.parametrize("model", ["resnet20", "vgg11"])
def test_cuda_training_is_repeatable_and_goes_on_after_an_interruption(model, changes, gpu, tmp_path, monkeypatch):
    train_set, test_set = make_set("train", 100, size=32), make_set("test", 40, size=32)
    spec = make_spec(train_set, test_set, model=model, steps=60, **changes)
    runs = [train(spec, train_set, test_set, tmp_path / name, device=str(gpu)) for name in ("a", "b")]
    assert results(runs[0]) == results(runs[1])
    assert runs[0].environment["device"].startswith(gpu.type)

    def report(progress: Progress) -> None:
        if progress.step >= 40:
            raise Interruption

    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    with pytest.raises(Interruption):
        train(spec, train_set, test_set, tmp_path / "c", device=str(gpu), on_progress=report)
    resumed = train(spec, train_set, test_set, tmp_path / "c", device=str(gpu))
    assert resumed.environment["resumed"] == 1
    assert results(resumed) == results(runs[0])
    # The same initial weights as on a CPU.
    on_cpu = train(replace(spec, steps=1), train_set, test_set, tmp_path, device="cpu")
    assert np.array_equal(on_cpu.initial, runs[0].initial)
