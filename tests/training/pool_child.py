"""Processes that a test interrupts or kills.

`pool_child.py worker STORE DEVICE THREADS` is a worker with a checkpoint after every step, which goes no further than
step 10 as long as there is a file STORE/hold; a file STORE/pids/HASH-PID says that it trains a run. `pool_child.py
parent STORE DATA SEEDS` trains networks with two such workers, and exits with 130 when it is interrupted.
"""

import os
import sys
import time
from pathlib import Path

import numpy as np

from firstlight.images import ImageSet, load_images
from firstlight.training import Progress, RunSpec, loop, train_all
from firstlight.training.workers import processes, worker

WORKER = (sys.executable, __file__, "worker")
STEPS = 20


def write_data(folder: Path, *sets: ImageSet) -> Path:
    """The file from which a worker loads the images of a train and a test set."""
    arrays = {}
    for images in sets:
        assert images.labels is not None
        arrays |= {f"{images.split}_images": images.images, f"{images.split}_labels": images.labels}
    np.savez(folder / "noise.npz", allow_pickle=False, **arrays)
    return folder / "noise.npz"


def make_specs(data: Path, seeds: int) -> list[RunSpec]:
    sets = load_images(data), load_images(data, "test")
    options = {"steps": STEPS, "batch_size": 16, "test_images": 40}
    return [RunSpec.for_data("resnet20", *sets, seed=seed, **options) for seed in range(seeds)]


def run_worker(store: str, device: str, threads: str) -> None:
    pids, hold = Path(store, "pids"), Path(store, "hold")
    pids.mkdir(parents=True, exist_ok=True)
    train = worker.train_prepared

    class HeldReports(worker._Reports):
        def __call__(self, progress: Progress) -> None:
            super().__call__(progress)
            while progress.step >= 10 and hold.exists():
                time.sleep(0.005)

    def noted(spec: RunSpec, *arguments, **options):
        (pids / f"{spec.hash}-{os.getpid()}").touch()
        return train(spec, *arguments, **options)

    worker.train_prepared = noted
    worker._Reports = HeldReports
    loop.CHECKPOINT_SECONDS = 0.0
    worker.main(store, device, threads)


def run_parent(store: str, data: str, seeds: str) -> None:
    processes.WORKER = WORKER
    specs = make_specs(Path(data), int(seeds))
    sources = {specs[0].data: data}
    try:
        for outcome in train_all(specs, lambda name: sys.exit(1), store, sources=sources, device="cpu", jobs=2):
            print(outcome.spec.hash, outcome.failure, flush=True)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    {"worker": run_worker, "parent": run_parent}[sys.argv[1]](*sys.argv[2:])
