"""One of two processes that train a network together, which is watched: the number of this one, and where they meet."""

import json
import sys
import warnings
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as distributed
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

import firstlight as fl

PROCESSES, BATCH, UPDATES = 2, 16, 12


def network() -> nn.Sequential:
    """Two convolutions and a classifier, of images of 8 x 8."""
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 9, 3), nn.ReLU(), nn.Conv2d(9, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 4 * 4, 2)
    return nn.Sequential(*layers)


def train(model: nn.Module, monitor: fl.FirstLayerMonitor, rank: int = 0, processes: int = 1) -> None:
    """Train on this process's part of every batch."""
    optimiser = torch.optim.SGD(model.parameters(), lr=0.05)
    generator = torch.Generator().manual_seed(1)
    for _ in range(UPDATES):
        images = torch.randn(BATCH, 3, 8, 8, generator=generator)[rank::processes]
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(images), (images.mean((1, 2, 3)) > 0).long()).backward()
        optimiser.step()
        monitor.step()
    monitor.measure()


def sharded(model: nn.Sequential) -> nn.Module:
    """The convolution by itself, then the rest: as networks are for FSDP2."""
    mesh = init_device_mesh("cpu", (PROCESSES,))
    fully_shard(model[0], mesh=mesh)
    fully_shard(model, mesh=mesh)
    return model


def failing(values: Any, step: int) -> None:
    """A logger that works three times."""
    if step >= 3:
        raise OSError("the disk is full")


def main(rank: int, meeting: str) -> dict[str, Any]:
    """What each wrapping shows, and what is said where the process that tells goes quiet."""
    distributed.init_process_group(
        "gloo", init_method=f"file://{meeting}", rank=rank, world_size=PROCESSES, timeout=timedelta(seconds=20)
    )
    found: dict[str, Any] = {}
    for name, wrap, loggers in (
        ("DDP", DistributedDataParallel, ()),
        ("FSDP2", sharded, ()),
        ("quiet", sharded, (failing,)),
    ):
        model = wrap(network())
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            monitor = fl.FirstLayerMonitor(model, "cifar10", loggers=loggers)
            train(model, monitor, rank, PROCESSES)
        found[name] = {
            "steps": monitor.history["step"].tolist(),
            "energies": monitor.snapshot().energies.tolist(),
            "count": monitor.state_dict()["count"],
            "told": [str(one.message) for one in told if one.category is fl.training.MonitorWarning],
        }
    distributed.destroy_process_group()
    return found


if __name__ == "__main__":
    json.dump(main(int(sys.argv[1]), sys.argv[2]), sys.stdout)
