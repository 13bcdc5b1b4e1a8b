"""Commands killed at any moment, over and over: the last run has the bits of an undisturbed one, nothing is left."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

COMMANDS = {
    "moments": "moments images.npy --kernel-size 11 --max-distance 12 --images-per-shard 100 --out x.npz",
    "reproduce": "reproduce label-correlation --data labelled.npz --out x",
    "figures": "figures results label-correlation --format svg --format png --out x",
    "inspect": "inspect w.npy --data images.npy --html x.html --json x.json --csv x.csv",
}
KILLS, IN_A_ROW = 50, 5  # of each command; and how many before one may end


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_killed_at_random_the_bits_are_the_same_and_nothing_is_left(name: str, tmp_path: Path):
    rng = np.random.default_rng(list(COMMANDS).index(name))
    images = rng.integers(0, 256, (1500, 3, 32, 32), dtype=np.uint8)
    labels = np.arange(300) % 2
    quiet, killed = tmp_path / "quiet", tmp_path / "killed"
    for folder in (quiet, killed):
        folder.mkdir()
        np.save(folder / "images.npy", images)
        np.save(folder / "w.npy", np.random.default_rng(1).normal(size=(8, 3, 3, 3)))
        parts = {"train_images": images[:300], "train_labels": labels}
        np.savez(folder / "labelled.npz", **parts, test_images=images[300:600], test_labels=labels)
        if name == "figures":
            assert started(COMMANDS["reproduce"].replace("--out x", "--out results"), folder).wait() == 0
    begun = time.monotonic()
    assert started(COMMANDS[name], quiet).wait() == 0
    seconds = time.monotonic() - begun
    right = contents(quiet)
    ended = 0
    for _ in range(KILLS // IN_A_ROW):
        for _ in range(IN_A_ROW):
            process = started(COMMANDS[name], killed)
            try:
                process.wait(rng.uniform(0, seconds))
                ended += 1
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        assert started(COMMANDS[name], killed).wait() == 0
        found = contents(killed)
        assert found.keys() == right.keys()
        assert [path for path in right if found[path] != right[path]] == []
    assert ended < KILLS / 2  # most were killed


def started(command: str, folder: Path) -> subprocess.Popen[bytes]:
    program = "import sys; from firstlight.cli import main; sys.exit(main())"
    words = [sys.executable, "-c", program, *command.split(), "--quiet"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        words, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )


def contents(folder: Path) -> dict[str, bytes]:
    """Every file, without the days that a reproduction tells; `results` of `figures` is read only."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}
