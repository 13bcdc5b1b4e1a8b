"""Sums over shards: the same integers, however they are cut, in whatever order, however often they are interrupted."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image

from firstlight.engines import engine_of, open_engine
from firstlight.errors import EngineError, InputError, SourceError
from firstlight.images import shards_of
from firstlight.patches import ImageLags, PatchMoments
from firstlight.patches.out_of_core import accumulate as accumulate_module
from firstlight.patches.out_of_core.accumulate import accumulate
from firstlight.patches.out_of_core.shard_sums import sum_shard

CHILD = Path(__file__).parents[2] / "accumulate_child.py"


def noise(count: int = 23, side: int = 9, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (count, channels, side, side + 2), dtype=np.uint8)


@settings(deadline=None, max_examples=30)
@given(
    per_shard=st.integers(1, 30),
    kernel_size=st.integers(1, 4),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 2),
    channels=st.integers(1, 3),
    blocks=st.integers(0, 5),
    workers=st.integers(1, 3),
)
def test_sums_are_those_of_all_images_at_once(per_shard, kernel_size, stride, dilation, channels, blocks, workers):
    images = noise(channels=channels)
    shards = shards_of(images, images_per_shard=per_shard, channels=channels, layout="NCHW")
    with open_engine("local", workers=workers) as engine:
        found = accumulate(
            shards, kernel_size, channels, stride, dilation, engine=engine, blocks=blocks, progress=False
        )
    whole = PatchMoments(kernel_size, channels, stride, dilation).update(images)
    assert found.moments == whole
    assert found.pixels == PatchMoments(1, channels).update(images)
    assert (found.images, found.broken_count, found.broken, len(found.blocks)) == (23, 0, [], blocks)
    if blocks:
        assert sum(found.blocks, start=PatchMoments(kernel_size, channels, stride, dilation)) == whole
        first = np.concatenate([images[i : i + per_shard] for i in range(0, 23, per_shard * blocks)])
        assert found.blocks[0] == PatchMoments(kernel_size, channels, stride, dilation).update(first)


@settings(deadline=None, max_examples=10)
@given(
    per_shard=st.integers(1, 30),
    kernel_size=st.integers(1, 3),
    max_distance=st.integers(0, 6),
    channels=st.integers(1, 3),
    blocks=st.integers(0, 3),
)
def test_lags_are_those_of_all_images_at_once(per_shard, kernel_size, max_distance, channels, blocks):
    images = noise(channels=channels)
    shards = shards_of(images, images_per_shard=per_shard, channels=channels, layout="NCHW")
    found = accumulate(shards, kernel_size, channels, max_distance=max_distance, blocks=blocks, progress=False)
    assert found.lags == ImageLags(kernel_size, channels, max_distance).update(images)
    assert found.moments == PatchMoments(kernel_size, channels).update(images)
    assert found.pixels == PatchMoments(1, channels).update(images)
    assert not blocks or sum(found.blocks, start=PatchMoments(kernel_size, channels)) == found.moments


def test_an_interrupted_run_of_lags_goes_on_to_the_same_bits(monkeypatch, tmp_path):
    images, state = noise(), tmp_path / "state.npz"
    shards = shards_of(images, images_per_shard=2)
    run = Interrupting(monkeypatch)
    options = {"max_distance": 4, "state": state, "blocks": 2, "progress": False}
    with open_engine("local", workers=1) as engine:
        with pytest.raises(KeyboardInterrupt):
            accumulate(shards, 3, engine=engine, **options)
        run.allowed = True
        found = accumulate(shards, 3, engine=engine, **options)
    assert run.read == [shard.name for shard in shards]
    assert found.lags == ImageLags(3, 3, 4).update(images)
    assert accumulate(shards, 3, **options).lags == found.lags  # all was done
    for distance in (None, 5):
        with pytest.raises(InputError, match=f"this state is of max_distance 4; expected {distance}"):
            accumulate(shards, 3, **{**options, "max_distance": distance})


def test_images_that_hold_no_pair_are_left_out(tmp_path):
    for number, image in enumerate(noise(4).transpose(0, 2, 3, 1)):
        Image.fromarray(image[: 6 if number == 3 else 9]).save(tmp_path / f"{number}.png")
    found = accumulate(shards_of(tmp_path), 3, max_distance=4, progress=False)
    assert found.lags == ImageLags(3, 3, 4).update(noise(4)[:3])
    assert found.broken == [("3.png", "too small: 11 x 6 pixels, 7 x 7 needed")]


class Reversed:
    """An executor that works on what it has when it is full, the last task first, and delivers every result twice."""

    def __init__(self, width: int) -> None:
        self.width, self._tasks = width, []

    def submit(self, fn, /, *args):
        self._tasks.append(task := Task(fn, args))
        if len(self._tasks) == self.width:
            for late in reversed(self._tasks):
                late.work()
            self._tasks = []
        return task


class Task:
    """A future."""

    def __init__(self, fn, args) -> None:
        self._work, self._callbacks, self._result = (fn, args), [], None

    def work(self) -> None:
        fn, args = self._work
        self._result = fn(*args)
        for callback in self._callbacks:
            callback(self)

    def add_done_callback(self, callback) -> None:
        if self._result is not None:
            callback(self)
            callback(self)
        self._callbacks += [callback, callback]

    def result(self):
        return self._result

    def cancel(self) -> bool:
        return False


def test_results_out_of_order_and_twice_count_once():
    images = noise(24)
    shards = shards_of(images, images_per_shard=2)
    found = accumulate(shards, 3, engine=engine_of(Reversed(4), width=4), blocks=3, progress=False)
    assert found.moments == PatchMoments(3).update(images)
    assert found.images == 24


def test_floats_are_summed_too():
    images = noise().astype(np.float32) / 7
    found = accumulate(shards_of(images, images_per_shard=4), 3, progress=False)
    whole = PatchMoments(3).update(images)
    assert found.moments.dtype == "float64"
    np.testing.assert_allclose(found.moments.second, whole.second, rtol=1e-12)


class Interrupting:
    """Shards of which the third is interrupted with Ctrl-C until it is allowed."""

    def __init__(self, monkeypatch) -> None:
        self.allowed, self.read = False, []

        def interrupted(shard, **options):
            if shard.name.startswith("array[4:") and not self.allowed:
                raise KeyboardInterrupt
            self.read.append(shard.name)
            return sum_shard(shard, **options)

        monkeypatch.setattr(accumulate_module, "sum_shard", interrupted)


def test_an_interrupted_run_goes_on_to_the_same_bits(monkeypatch, tmp_path, capsys):
    images, state = noise(), tmp_path / "state.npz"
    shards = shards_of(images, images_per_shard=2)
    run = Interrupting(monkeypatch)
    with open_engine("local", workers=1) as engine:
        with pytest.raises(KeyboardInterrupt):
            accumulate(shards, 3, engine=engine, state=state, blocks=2, progress=False)
        run.allowed = True
        found = accumulate(shards, 3, engine=engine, state=state, blocks=2)
        assert run.read == [shard.name for shard in shards]  # each once
        again = accumulate(shards, 3, engine=engine, state=state, blocks=2, progress=False)
    assert len(run.read) == len(shards)  # all was done
    assert "state.npz: 2 of 12 shards are done, going on" in capsys.readouterr().err
    assert found.moments == again.moments == PatchMoments(3).update(images)
    assert found.pixels == again.pixels
    assert found.blocks == again.blocks
    assert found.images == again.images == 23


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_killed_process_goes_on_to_the_same_bits(tmp_path):
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    killed.mkdir()
    whole.mkdir()
    (killed / "hold").touch()
    command = [sys.executable, str(CHILD), str(killed), "local", "shards=12"]
    with subprocess.Popen([*command, "held=7"]) as process:
        deadline = time.monotonic() + 60
        while not (killed / "reads" / f"8-{process.pid}").exists():  # it is within two shards
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    before = {path.name.split("-")[0] for path in (killed / "reads").iterdir()}
    (killed / "hold").unlink()
    subprocess.run(command, check=True, timeout=60, capture_output=True)
    after = [path.name.split("-")[0] for path in (killed / "reads").iterdir()]
    assert before == set(map(str, range(9)))
    assert len(after) - len(before) < 12  # it went on: what was written was not read again
    subprocess.run([sys.executable, str(CHILD), str(whole), "local", "shards=12"], check=True, capture_output=True)
    assert PatchMoments.load(killed / "moments.npz") == PatchMoments.load(whole / "moments.npz")


@pytest.fixture
def state(tmp_path) -> Path:
    """Of a run that is done: kernel size 3, stride 1, images 0 to 23, two a shard."""
    accumulate(shards_of(noise(), images_per_shard=2), 3, state=tmp_path / "state.npz", progress=False)
    return tmp_path / "state.npz"


@pytest.mark.parametrize(
    ("per_shard", "changes", "message"),
    [
        (2, {"kernel_size": 5}, "this state is of kernel_size 3; expected 5"),
        (2, {"stride": 2}, "this state is of stride 1; expected 2"),
        (2, {"dilation": 2}, "this state is of dilation 1; expected 2"),
        (2, {"blocks": 4}, "this state is of blocks 0; expected 4"),
        (3, {}, "in this state shard 0 is array[0:2]; expected array[0:3]"),
    ],
)
def test_a_state_of_others_is_refused_by_name(state, per_shard, changes, message):
    with pytest.raises(InputError) as caught:
        accumulate(shards_of(noise(), images_per_shard=per_shard), **{"kernel_size": 3, **changes}, state=state)
    assert str(caught.value).startswith(f"{state}: {message}: begin anew with --restart")


def test_a_state_of_other_pixels_or_more_shards_is_refused_by_name(state):
    changed = noise()
    changed[5, 0, 0, 0] ^= 1
    with pytest.raises(InputError, match=r"shard array\[4:6\] is not what it was when this state was begun"):
        accumulate(shards_of(changed, images_per_shard=2), 3, state=state)
    with pytest.raises(InputError, match="this state is of 12 shards; expected 11"):
        accumulate(shards_of(noise(), images_per_shard=2)[:11], 3, state=state)


def test_a_damaged_state_is_refused_in_one_line(state):
    content, shards = state.read_bytes(), shards_of(noise(), images_per_shard=2)
    whole = PatchMoments(3).update(noise())
    rng = np.random.default_rng(3)
    refused = 0
    for trial in range(60):
        damaged = bytearray(content[: rng.integers(len(content))] if trial % 2 else content)
        if trial % 2 == 0:
            damaged[rng.integers(len(damaged))] ^= 1 << int(rng.integers(8))
        state.write_bytes(damaged)
        try:
            found = accumulate(shards, 3, state=state, progress=False)
        except InputError as error:
            refused += str(error).count("\n") == 0
        else:
            assert found.moments == whole  # a bit that says nothing, as of a date
        state.write_bytes(content)
    assert refused > 40


def test_broken_images_and_small_ones_are_counted_and_named(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for number, image in enumerate(noise(8).transpose(0, 2, 3, 1)):
        Image.fromarray(image[: 2 if number == 3 else 9]).save(folder / f"{number}.png")
    (folder / "5.png").write_bytes(b"no image")
    shards = shards_of(folder, images_per_shard=3)
    found = accumulate(shards, 3, state=tmp_path / "state.npz", progress=False)
    assert found.moments == PatchMoments(3).update(noise(8)[[0, 1, 2, 4, 6, 7]])
    assert (found.images, found.broken_count) == (6, 2)
    assert found.broken[0] == ("3.png", "too small: 11 x 2 pixels, 3 x 3 needed")
    assert found.broken[1][0] == "5.png"
    with pytest.raises(SourceError, match=r"^shard images\[3:6\]: 3.png cannot be read \(too small"):
        accumulate(shards, 3, strict=True, progress=False)
    with pytest.raises(SourceError, match=r"^3.png could not be read before \(too small"):
        accumulate(shards, 3, strict=True, state=tmp_path / "state.npz", progress=False)


def test_no_image_at_all(tmp_path):
    (tmp_path / "0.png").write_bytes(b"no image")
    with pytest.raises(SourceError, match=r"^no image could be read, 1 is broken: 0.png \("):
        accumulate(shards_of(tmp_path), 3, progress=False)
    with pytest.raises(InputError, match=r"^there are no shards"):
        accumulate([], 3)


def test_lost_workers_keep_the_state(tmp_path):
    class Lost:
        def submit(self, fn, /, *args):
            task = Task(fn, args)
            task.work()
            if args[0].name.startswith("array[4:"):
                task.result = self._gone
            return task

        def _gone(self):
            raise accumulate_module.EngineError("gone")

    state = tmp_path / "state.npz"
    shards = shards_of(noise(), images_per_shard=2)
    with pytest.raises(EngineError) as caught:
        accumulate(shards, 3, engine=engine_of(Lost(), width=1), state=state, progress=False)
    assert str(caught.value) == f"gone; {state} keeps the 2 shards that are done"
    assert accumulate(shards, 3, state=state, progress=False).moments == PatchMoments(3).update(noise())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel_size": 0}, "kernel_size is 0"),
        ({"kernel_size": 3, "blocks": -1}, "blocks is -1; expected a whole number of at least 0"),
        ({"kernel_size": 3, "blocks": True}, "blocks is True; expected"),
        ({"kernel_size": 3, "max_distance": -1}, "max_distance is -1; expected a whole number of at least 0"),
        ({"kernel_size": 3, "max_distance": 2, "stride": 2}, "stride is 2 with max_distance 2; expected stride 1"),
        ({"kernel_size": 3, "max_distance": 2, "dilation": 2}, "dilation is 2 with max_distance 2; expected"),
    ],
)
def test_options_that_are_none_are_refused(options, message):
    with pytest.raises(InputError) as caught:
        accumulate(shards_of(noise()), **options)
    assert str(caught.value).startswith(message)
