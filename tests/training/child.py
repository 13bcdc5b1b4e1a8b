"""A training in a process of its own, which another process kills: `python child.py STORE STEPS`."""

import sys
import time

import torch
from sets import TEST, TRAIN, make_spec

from firstlight.training import Progress, loop, train


def report(progress: Progress) -> None:
    print(progress.step, flush=True)
    time.sleep(0.1)  # leaves the other process the time to kill this one in mid-training


torch.set_num_threads(1)
loop.CHECKPOINT_SECONDS = 0.0
train(make_spec(steps=int(sys.argv[2])), TRAIN, TEST, sys.argv[1], device="cpu", on_progress=report)
