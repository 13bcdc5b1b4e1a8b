"""What this machine could not read is in no sum and in no state, whichever engine ran into it."""

import errno
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from firstlight.engines import Engine, engine_of, open_engine
from firstlight.errors import InputError, MachineError
from firstlight.images import shards_of
from firstlight.images.streams import encoded
from firstlight.patches.moments import PatchMoments
from firstlight.patches.out_of_core import total
from firstlight.patches.out_of_core.accumulate import accumulate


def trouble_below(folder: Path) -> None:
    """Let images of a folder fail as on a share that is away, as long as a file says so."""
    real = encoded.open_file

    def failing(path):
        if (folder / "away").exists() and path.stem > "3":
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        return real(path)

    encoded.open_file = failing


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    pixels = np.random.default_rng(3).integers(0, 256, (8, 9, 11, 3), dtype=np.uint8)
    for index, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / f"{index}.png")
    (tmp_path / "5.png").write_bytes(b"no image")
    (tmp_path / "away").touch()
    real = encoded.open_file
    trouble_below(tmp_path)
    yield tmp_path
    encoded.open_file = real


@pytest.fixture(params=["one thread", "threads", "processes", "dask"])
def engine(request: pytest.FixtureRequest, folder: Path) -> Iterator[Engine]:
    with ExitStack() as stack:
        if request.param == "processes":
            pool = ProcessPoolExecutor(2, get_context("forkserver"), trouble_below, (folder,))
            yield engine_of(stack.enter_context(pool), width=2)
        elif request.param == "dask":
            pytest.importorskip("distributed")
            yield stack.enter_context(open_engine("dask", workers=1))
        else:
            yield stack.enter_context(open_engine("local", workers=1 if request.param == "one thread" else 2))


def test_trouble_ends_the_work_and_is_not_kept(engine: Engine, folder: Path, request: pytest.FixtureRequest) -> None:
    state = folder / "state.npz"
    shards = shards_of(folder, images_per_shard=2)
    if "dask" in request.node.name:
        list(engine.run(trouble_below, [folder]))  # on its one worker
    with pytest.raises(MachineError) as caught:
        accumulate(shards, 3, engine=engine, state=state, progress=False)
    said = str(caught.value)
    assert "cannot be read on this machine (Stale file handle): see to the disk or share that it lies on" in said
    assert said[:5] in ("4.png", "6.png")
    if "one thread" in request.node.name:
        assert said.endswith(f"; {state} keeps the 2 shards that are done")
    (folder / "away").unlink()
    found = accumulate(shards, 3, engine=engine, state=state, progress=False)
    assert (found.images, [name for name, _ in found.broken]) == (7, ["5.png"])
    pixels = [np.asarray(Image.open(folder / f"{i}.png")).transpose(2, 0, 1)[None] for i in range(8) if i != 5]
    assert found.moments == PatchMoments(3).update(np.concatenate(pixels))


def test_no_memory_for_the_sums_names_the_shard(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "away").unlink()

    def full(self, images):
        raise MemoryError

    monkeypatch.setattr(PatchMoments, "update", full)
    with pytest.raises(MachineError, match=r"^shard .*\[0:8\] cannot be read on this machine \(out of memory\)"):
        accumulate(shards_of(folder), 3, progress=False)


@pytest.mark.parametrize("error", [MemoryError(), PermissionError(errno.EACCES, os.strerror(errno.EACCES))], ids=str)
def test_a_state_that_cannot_be_read_here_is_not_called_damaged(
    folder: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    (folder / "away").unlink()
    state, shards = folder / "state.npz", shards_of(folder)
    accumulate(shards, 3, state=state, progress=False)

    def failing(path):
        raise error

    monkeypatch.setattr(total, "open_npz", failing)
    with pytest.raises(MachineError, match=r"state\.npz cannot be read on this machine \("):
        accumulate(shards, 3, state=state, progress=False)
    monkeypatch.undo()
    state.write_bytes(b"none")
    with pytest.raises(InputError, match="no whole state of an accumulation"):
        accumulate(shards, 3, state=state, progress=False)
