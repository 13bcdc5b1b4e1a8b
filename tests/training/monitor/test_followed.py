"""Checkpoints that are followed: which are read and when, what their names tell, and what course a training took."""

import io
import os
import time
from pathlib import Path

import numpy as np
import pytest

from firstlight.training.monitor.checkpoint_files import CheckpointFiles
from firstlight.training.monitor.followed import FollowedTraining

WEIGHT = np.random.default_rng(0).normal(size=(8, 3, 3, 3))


def content(scale: float) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, WEIGHT * scale)
    return buffer.getvalue()


def put(path: Path, given: bytes, age: float = 5.0) -> None:
    """Write a file that was last changed so many seconds ago."""
    path.write_bytes(given)
    when = time.time() - age
    os.utime(path, (when, when))


def follow(folder: Path, every: float = 10.0) -> FollowedTraining:
    return FollowedTraining(CheckpointFiles(str(folder), every))


def seen(followed: FollowedTraining, last: bool = False) -> list[str]:
    return [row.name for row in followed.look(last)]


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("checkpoint-500/model.safetensors", 500),
        ("version_0/checkpoints/epoch=3-step=500.ckpt", 500),
        ("version_0/last.ckpt", None),
        ("epoch=03-val_loss=0.32.ckpt", 3),
        ("val_loss=0.32.ckpt", None),
        ("global_step120/weights.pt", 120),
        ("ckpt_000500.pt", 500),
        ("checkpoint_epoch_12.pth", 12),
        ("0500.npy", 500),
        ("vgg11-000500.pt", 500),
        ("resnet20.pt", None),
        ("2024-05-01.pt", None),
        ("timestep5.pt", None),
    ],
)
def test_steps_are_taken_out_of_names_where_they_tell(name: str, step: int | None, tmp_path: Path):
    path = tmp_path / "epoch=77" / name  # of which the folder that is watched tells nothing
    path.parent.mkdir(parents=True)
    put(path, b"")
    (found,) = CheckpointFiles(str(tmp_path / "epoch=77"), 10).look()
    assert found.step == step


def test_a_file_that_is_being_written_is_read_when_it_has_settled(tmp_path: Path):
    followed, path = follow(tmp_path), tmp_path / "a-1.npy"
    put(path, content(1), age=0)
    assert seen(followed) == []
    assert followed.is_unsettled
    put(path, content(1)[:-200], age=5)
    assert seen(followed) == []
    assert followed.is_unsettled
    assert followed.failures == []
    put(path, content(1), age=4)
    assert seen(followed) == ["a-1.npy"]
    assert not followed.is_unsettled
    path.rename(tmp_path / "a-2.npy")  # as it is known already
    assert seen(followed) == []


def test_a_file_that_stays_half_is_told_once_and_read_when_it_is_whole(tmp_path: Path, caplog):
    followed, path = follow(tmp_path), tmp_path / "a-1.npy"
    for age in (100, 90, 80):
        put(path, content(1)[:-200], age)
        assert seen(followed) == []
    assert len(caplog.messages) == len(followed.failures) == 1
    put(path, content(1))
    assert seen(followed) == ["a-1.npy"]
    assert followed.failures == []


def test_what_may_get_whole_is_not_waited_for_in_the_last_look(tmp_path: Path):
    followed = follow(tmp_path)
    put(tmp_path / "a-1.npy", content(1)[:-200])
    assert seen(followed) == []
    assert seen(followed, last=True) == []
    assert [failure.source for failure in followed.failures] == ["a-1.npy"]


def test_what_is_deleted_before_it_is_read_is_no_failure(tmp_path: Path, monkeypatch):
    followed, path = follow(tmp_path), tmp_path / "a-1.npy"
    put(path, content(1))
    look = CheckpointFiles.look
    monkeypatch.setattr(CheckpointFiles, "look", lambda self: (look(self), path.unlink())[0])
    assert seen(followed, last=True) == []
    assert followed.failures == []


def test_what_is_written_while_it_is_read_is_read_again(tmp_path: Path, monkeypatch):
    followed, path = follow(tmp_path), tmp_path / "a-1.npy"
    put(path, content(1))
    look = CheckpointFiles.look
    monkeypatch.setattr(CheckpointFiles, "look", lambda self: (look(self), put(path, content(2), age=4))[0])
    assert seen(followed) == []
    monkeypatch.undo()
    assert seen(followed) == ["a-1.npy"]
    np.testing.assert_array_equal(followed.last.weight, 2 * WEIGHT)


def test_one_file_that_is_written_again_and_again_counts_by_itself(tmp_path: Path):
    path = tmp_path / "model.npy"
    put(path, content(1))
    followed = follow(path)
    assert seen(followed) == ["model.npy"]
    put(path, content(1), age=3)  # the same numbers: the layer has not moved
    assert seen(followed) == ["model.npy"]
    assert [(row.measures.step, row.measures.change) for row in followed.rows] == [(0, 0), (1, 0)]


def test_a_copy_beside_what_it_is_a_copy_of_is_not_told_again(tmp_path: Path):
    followed = follow(tmp_path)
    put(tmp_path / "step=5.npy", content(1), age=6)
    put(tmp_path / "last.npy", content(1))
    assert seen(followed) == ["step=5.npy"]
    put(tmp_path / "best.npy", content(2), age=4)
    assert seen(followed) == ["best.npy"]
    assert [row.measures.step for row in followed.rows] == [5, 5]


def test_what_a_training_does_again_counts_instead_of_what_it_did(tmp_path: Path):
    followed = follow(tmp_path)
    for number, (step, scale) in enumerate([(1, 1), (2, 2), (3, 3), (2, 4)]):
        put(tmp_path / f"step{step}.npy", content(scale), age=9 - number)
        assert seen(followed)
    history = followed.history()
    assert [(row.step, row.change) for row in history.rows] == [(1, 0), (2, pytest.approx(3))]
    np.testing.assert_array_equal(history.last.weight, 4 * WEIGHT)
    assert len(followed.rows) == 4


def test_no_folder_is_gone_into_for_ever(tmp_path: Path):
    deep = tmp_path.joinpath(*"abcdefg")
    deep.mkdir(parents=True)
    (deep / "up").symlink_to(tmp_path, target_is_directory=True)
    put(deep.parents[2] / "a.npy", b"")
    put(deep / "b.npy", b"")
    assert [one.path.name for one in CheckpointFiles(str(tmp_path), 10).look()] == ["a.npy"]
