"""What `FirstLayerMonitor` costs a training: the same loop with it and without it, the two taking turns."""

import statistics
import time

import numpy as np
import torch
from torch import nn

import firstlight as fl
from benchmarks.measure import table
from firstlight.training.monitor.when import Schedule

UPDATES = {"resnet20": 60, "vgg11": 20}  # in one turn
BATCH = 128
TURNS = 2
USUAL = 200 * 391  # updates of 200 epochs of CIFAR-10 at this batch
SHAPES = ((64, 3), (64, 7), (96, 11))


def training(name: str, watched: bool, updates: int) -> tuple[float, float, int]:
    """Seconds an update of a training, seconds in the monitor, and how often that looked; making it is not counted."""
    torch.manual_seed(0)
    model = fl.build_model(name)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    images, labels = torch.randn(BATCH, 3, 32, 32), torch.randint(10, (BATCH,))
    monitor = fl.FirstLayerMonitor(model, "cifar10") if watched else None
    inside = 0.0
    begin = time.perf_counter()
    for _ in range(updates):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
        if monitor:
            start = time.perf_counter()
            monitor.step()
            inside += time.perf_counter() - start
    seconds = (time.perf_counter() - begin) / updates
    return seconds, inside, len(monitor.history) - 1 if monitor else 0


def one_look(filters: int, size: int) -> tuple[float, float]:
    """Seconds of a measurement, and of a call of `step` between two."""
    conv = nn.Conv2d(3, filters, size)
    monitor = fl.FirstLayerMonitor(nn.Sequential(conv), "cifar10", steps=1)
    looks, idle = [], fl.FirstLayerMonitor(nn.Sequential(conv), "cifar10", steps=[0])
    for _ in range(30):
        with torch.no_grad():
            conv.weight.add_(0.01 * torch.randn_like(conv.weight))
        start = time.perf_counter()
        monitor.step()
        looks.append(time.perf_counter() - start)
    start = time.perf_counter()
    for _ in range(100_000):
        idle.step()
    return float(np.median(looks)), (time.perf_counter() - start) / 100_000


def looks_until(updates: int) -> int:
    """How often the default steps look in so many updates, after that at the start."""
    schedule, at, count = Schedule(), 0.0, 0
    while (at := schedule.after(int(at))) <= updates:
        count += 1
    return count


def run() -> str:
    """Train each network both ways, in turn, and say what a training of a usual length would spend in the monitor."""
    for watched in (False, True):
        training("resnet20", watched, 3)  # what is only done once in a process
    rows = []
    for name, updates in UPDATES.items():
        turns = [(training(name, False, updates)[0], *training(name, True, updates)) for _ in range(TURNS)]
        plain = statistics.median(turn[0] for turn in turns)
        ratios = [with_it / without for without, with_it, _, _ in turns]
        looks = turns[0][3]
        look = statistics.median(turn[2] for turn in turns) / looks
        inside = statistics.median(turn[2] / (turn[1] * updates) for turn in turns)
        rows.append(
            [
                name,
                f"{1e3 * plain:.0f}",
                f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})",
                f"{looks} in {updates} updates",
                f"{1e3 * look:.1f}",
                f"{inside:.2%}",
                f"{looks_until(USUAL) * look / (USUAL * plain):.4%}",
            ]
        )
    header = [
        "network",
        "ms an update without",
        f"with / without, {TURNS} turns: median (range)",
        "measurements",
        "ms each",
        "share of these updates",
        f"share of {USUAL:,} updates",
    ]
    costs = []
    for filters, size in SHAPES:
        look, idle = one_look(filters, size)
        costs.append([f"{filters} x 3 x {size} x {size}", f"{1e3 * look:.1f}", f"{1e9 * idle:.0f}"])
    return (
        f"Batch {BATCH} of random 32 x 32 images, float32, CPU, torch {torch.__version__}, default steps.\n\n"
        + table(header, rows)
        + "\nThe shares are the time in `step` by the time of the training, which is sharper than the ratio of two "
        + f"noisy times. That of {USUAL:,} updates (200 epochs of CIFAR-10) is extrapolated, not measured: the "
        + f"{looks_until(USUAL)} measurements of the default steps until there, each at the mean cost seen here, by "
        + "the time of so many updates without the monitor.\n\n"
        + table(["filters", "ms a measurement (median of 30)", "ns a call between two"], costs)
    )
