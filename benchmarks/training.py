"""Training throughput, against the straightforward loop and against the rate of matrix products here.

On a GPU our products are bfloat16 and the straightforward loop's float32, and the rate is that of bfloat16; on a CPU
all are float32, and trainings one after another with all cores are put beside two at once with half of them each.
"""

import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.measure import table
from firstlight.images import ImageSet, load_images
from firstlight.models import build_model
from firstlight.training import RunSpec, train, train_all

STEPS = {"cpu": {"vgg11": 8, "resnet20": 20}, "cuda": {"vgg11": 400, "resnet20": 400}}
BATCH = 256
PRECISION = {"cpu": "float32", "cuda": "bfloat16"}


def matrix_rate(device: str) -> float:
    """Floating-point operations a second of matrix products in the precision that ours has there, the best of ten."""
    size = 2048 if device == "cpu" else 8192
    dtype = getattr(torch, PRECISION[device])
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    best = float("inf")
    for _ in range(10):
        start = time.perf_counter()
        torch.mm(a, b)
        wait(device)
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best


def wait(device: str) -> None:
    """Until what a GPU was given is done."""
    if device == "cuda":
        torch.cuda.synchronize()


def straightforward(model: str, train_set: ImageSet, steps: int, device: str) -> float:
    """Images a second of the loop that everybody writes: float32 tensors, a shuffling DataLoader, default layout."""
    network = build_model(model).to(device)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    loss_of = torch.nn.CrossEntropyLoss()
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


def spec_of(model: str, train_set: ImageSet, test_set: ImageSet, steps: int, device: str, seed: int = 0) -> RunSpec:
    """A short training as the presets for this device have it."""
    changes = {"test_images": 256, "precision": PRECISION[device]}
    return RunSpec.for_data(model, train_set, test_set, steps=steps, seed=seed, **changes)


def ours(model: str, train_set: ImageSet, test_set: ImageSet, steps: int, device: str) -> float:
    """Images a second of `train`, recording and testing included."""
    spec = spec_of(model, train_set, test_set, steps, device)
    with tempfile.TemporaryDirectory() as folder:
        return float(train(spec, train_set, test_set, Path(folder), device=device).environment["images_per_second"])


def two_at_once(model: str, train_set: ImageSet, test_set: ImageSet, steps: int) -> tuple[float, float]:
    """Images a second of two trainings on the CPU: one after another, and both at once, starting up included."""
    specs = [spec_of(model, train_set, test_set, steps, "cpu", seed) for seed in range(2)]
    rates = []
    for jobs in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            outcomes = list(
                train_all(
                    specs,
                    lambda name: (train_set, test_set),
                    folder,
                    device="cpu",
                    jobs=jobs,
                    console=Console(quiet=True),
                )
            )
            assert all(outcome.run for outcome in outcomes)
            rates.append(len(specs) * steps * BATCH / (time.perf_counter() - start))
    return rates[0], rates[1]


def operations(model: str) -> float:
    """Floating-point operations an image of one training step: forward and backward."""
    network = build_model(model)
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(2, 3, 32, 32)).sum().backward()
    return counter.get_total_flops() / 2


def run() -> str:
    """Measure both networks both ways, in turn and twice, and return the report."""
    train_set, test_set = load_images("cifar10"), load_images("cifar10", "test")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    rows = []
    for model, steps in STEPS[device].items():
        rate = matrix_rate(device)
        plain = fast = 0.0
        for _ in range(2):
            plain = max(plain, straightforward(model, train_set, min(steps, 190), device))
            fast = max(fast, ours(model, train_set, test_set, steps, device))
        flops = operations(model)
        rows.append(
            [
                model,
                f"{fast:.0f}",
                f"{len(train_set) / fast:.2f}",
                f"{plain:.0f}",
                f"{fast / plain:.2f}",
                f"{flops / 1e9:.2f}",
                f"{fast * flops / 1e9:.0f}",
                f"{rate / 1e9:.0f}",
                f"{fast * flops / rate:.2f}",
            ]
        )
    header = [
        "network",
        "images/s",
        "seconds an epoch",
        "straightforward loop, images/s",
        "ratio",
        "GFLOP an image",
        "GFLOP/s",
        "matrix products, GFLOP/s",
        "fraction",
    ]
    name = torch.cuda.get_device_name() if device == "cuda" else "CPU"
    report = f"{PRECISION[device]}, batch {BATCH}, {name}, torch {torch.__version__}.\n\n" + table(header, rows)
    if device == "cuda":
        return report
    rows = []
    for model, steps in STEPS[device].items():
        one, two = two_at_once(model, train_set, test_set, 3 * steps)
        rows.append([model, f"{one:.0f}", f"{two:.0f}", f"{two / one:.2f}"])
    header = ["network", "one at a time, images/s", "two at once, images/s", "ratio"]
    return f"{report}\n\nTwo trainings, one after the other or both at once (`--jobs 2`):\n\n" + table(header, rows)
