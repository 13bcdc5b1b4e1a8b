"""Training throughput: each way to train that there is, against the loop that everybody writes and what the device can.

On a GPU our products are bfloat16 and the straightforward loop's float32, and the rate of matrix products is that of
bfloat16; on a CPU all are float32. A step's bytes are those that its operations read and write, one after another.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from rich.console import Console
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.measure import table
from firstlight.images import ImageSet, load_images
from firstlight.models import build_model
from firstlight.training import RunSpec, train_all, trainer
from firstlight.training.update import repeat_eagerly

BATCH = 256
MODELS = ("vgg11", "resnet20")
STEPS = {"cpu": 12, "cuda": 1000}
PRECISION = {"cpu": "float32", "cuda": "bfloat16"}
TOGETHER = {"cpu": 2, "cuda": 4}
Sets = tuple[ImageSet, ImageSet]


class Traffic(TorchDispatchMode):
    """Adds up the bytes of the tensors that operations take and give."""

    total = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        results = function(*args, **(kwargs or {}))
        if not function.is_view:
            for value in tree_leaves((args, kwargs, results)):
                self.total += value.nbytes if isinstance(value, torch.Tensor) else 0
        return results


def wait(device: str) -> None:
    """Until what a GPU was given is done."""
    if device == "cuda":
        torch.cuda.synchronize()


def matrix_rate(device: str) -> float:
    """Floating-point operations a second of matrix products in the precision that ours has there, the best of ten."""
    size = 2048 if device == "cpu" else 8192
    dtype = getattr(torch, PRECISION[device])
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    return 2 * size**3 / _best(lambda: torch.mm(a, b), device)


def bandwidth(device: str) -> float:
    """Bytes a second that a copy of a large tensor reads and writes, the best of ten."""
    source = torch.ones(2**26 if device == "cpu" else 2**30, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * source.nbytes / _best(lambda: target.copy_(source), device)


def _best(call: Any, device: str) -> float:
    best = float("inf")
    for _ in range(10):
        start = time.perf_counter()
        call()
        wait(device)
        best = min(best, time.perf_counter() - start)
    return best


def cost(model: str, device: str) -> tuple[float, float]:
    """Floating-point operations of an image in one training step, and the bytes that its operations move."""
    network, count = build_model(model), 16
    images, labels = torch.zeros(count, 3, 32, 32), torch.zeros(count, dtype=torch.int64)
    autocast = torch.autocast("cpu", torch.bfloat16, enabled=PRECISION[device] == "bfloat16")
    with FlopCounterMode(display=False) as counter, Traffic() as traffic:
        with autocast:
            scores = network(images).float()
        torch.nn.functional.cross_entropy(scores, labels).backward()
    weights = sum(parameter.nbytes for parameter in network.parameters())
    # Whatever the batch, here divided among a usual one: forward reads them, backward reads them and writes as many
    # gradients, which is counted above, and descent reads both and writes them.
    moved = (traffic.total - 3 * weights) / count + 6 * weights / BATCH
    return counter.get_total_flops() / count, moved


def straightforward(model: str, train_set: ImageSet, steps: int, device: str) -> float:
    """Images a second of the loop that everybody writes: float32 tensors, a shuffling DataLoader, default layout."""
    network = build_model(model).to(device)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    loss_of = torch.nn.CrossEntropyLoss()
    steps = min(steps, len(train_set) // BATCH)
    images = torch.tensor(np.array(train_set.images[: steps * BATCH]), dtype=torch.float32) / 255
    assert train_set.labels is not None
    labels = torch.tensor(train_set.labels[: steps * BATCH])
    mean, std = torch.tensor(train_set.mean)[:, None, None], torch.tensor(train_set.std)[:, None, None]
    loader = DataLoader(TensorDataset((images - mean) / std, labels), batch_size=BATCH, shuffle=True)
    start = time.perf_counter()
    for batch in loader:
        x, y = (tensor.to(device) for tensor in batch)
        optimizer.zero_grad()
        loss = loss_of(network(x), y)
        loss.backward()
        optimizer.step()
        loss.item()
    return steps * BATCH / (time.perf_counter() - start)


def ours(model: str, sets: Sets, source: str, steps: int, device: str, count: int, **options: Any) -> float:
    """Images a second of trainings, recording and testing included, each by its own clock, added up."""
    specs = [
        RunSpec.for_data(model, *sets, steps=steps, seed=seed, test_images=256, precision=PRECISION[device])
        for seed in range(count)
    ]
    with tempfile.TemporaryDirectory() as folder:
        outcomes = list(
            train_all(
                specs,
                lambda name: sets,
                folder,
                sources={sets[0].name: source},
                device=device,
                console=Console(quiet=True),
                **options,
            )
        )
    runs = [outcome.run for outcome in outcomes if outcome.run]
    assert len(runs) == count
    return sum(run.environment["images_per_second"] for run in runs)


def ways(model: str, sets: Sets, source: str, steps: int, device: str) -> dict[str, float]:
    """Images a second of every way, by its name."""
    many = TOGETHER[device]
    found = {"straightforward loop": straightforward(model, sets[0], steps, device)}
    with patch.object(trainer, "repeat_as_graph", repeat_eagerly):
        found["one, launch by launch"] = ours(model, sets, source, steps, device, 1, replicas=1)
    if device == "cuda":
        found["one, as a CUDA graph"] = ours(model, sets, source, steps, device, 1, replicas=1)
    found[f"{many} replicas"] = ours(model, sets, source, steps, device, many, replicas=many)
    found[f"{many} jobs"] = ours(model, sets, source, steps, device, many, jobs=many)
    return found


def data(folder: str, random: bool) -> tuple[Sets, str]:
    """The images, and where a process finds them."""
    if not random:
        return (load_images("cifar10"), load_images("cifar10", "test")), "cifar10"
    generator = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for split, count in (("train", 50_000), ("test", 10_000)):
        arrays[f"{split}_images"] = generator.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
        arrays[f"{split}_labels"] = generator.integers(0, 10, count)
    path = Path(folder, "random.npz")
    np.savez(path, allow_pickle=False, **arrays)
    return (load_images(path), load_images(path, "test")), str(path)


def run(arguments: Sequence[str] = ()) -> str:
    """Measure every network every way, in turn and twice, and return the report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks training", description=__doc__)
    usual = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", choices=STEPS, default=usual, help="default: %(default)s, here")
    parser.add_argument("--random", action="store_true", help="random pixels and labels, of CIFAR-10's number and size")
    parser.add_argument("--models", nargs="+", default=MODELS, help="default: vgg11 resnet20")
    parser.add_argument("--steps", type=int, help="of each training; default: 1000 on a GPU, 12 on a CPU")
    options = parser.parse_args(arguments)
    device = options.device
    if device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("--device is cuda, and torch finds no CUDA device; expected cpu here")
    steps = options.steps or STEPS[device]
    rate, bytes_rate = matrix_rate(device), bandwidth(device)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        sets, source = data(folder, options.random)
        for model in options.models:
            flops, moved = cost(model, device)
            first, second = (ways(model, sets, source, steps, device) for _ in range(2))
            best = {way: max(first[way], second[way]) for way in first}
            plain = best["straightforward loop"]
            for way, speed in best.items():
                exact = device == "cpu" or speed != plain  # on a GPU the loop's products are of another precision
                rows.append(
                    [
                        model,
                        way,
                        f"{1e3 * BATCH / speed:.2f}",
                        f"{speed:.0f}",
                        f"{speed / plain:.2f}",
                        f"{speed * flops / rate:.2f}" if exact else "",
                        f"{speed * moved / bytes_rate:.2f}" if exact else "",
                    ]
                )
    header = [
        *("network", "way", "ms a step", "images/s", "times the loop"),
        *("fraction of matrix products", "fraction of bandwidth"),
    ]
    name = torch.cuda.get_device_name() if device == "cuda" else "CPU"
    pixels = "random pixels" if options.random else "CIFAR-10"
    return (
        f"{PRECISION[device]}, batch {BATCH}, {steps} steps, {pixels}, {name}, torch {torch.__version__}. Matrix "
        f"products: {rate / 1e12:.3g} TFLOP/s; bandwidth of a copy: {bytes_rate / 1e9:.3g} GB/s. Of several at once: "
        f"the steps of all.\n\n{table(header, rows)}"
    )
