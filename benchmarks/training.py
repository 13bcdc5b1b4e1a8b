"""Training throughput, against the straightforward loop and against the rate of matrix products here."""

import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.measure import table
from firstlight.images import ImageSet, load_images
from firstlight.models import build_model
from firstlight.training import RunSpec, train

STEPS = {"vgg11": 8, "resnet20": 20}
BATCH = 256


def matrix_rate(size: int = 2048) -> float:
    """Floating-point operations a second of float32 matrix products, the best of ten."""
    a, b = torch.randn(size, size), torch.randn(size, size)
    best = float("inf")
    for _ in range(10):
        start = time.perf_counter()
        torch.mm(a, b)
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best


def straightforward(model: str, train_set: ImageSet, steps: int) -> float:
    """Images a second of the loop that everybody writes: float32 tensors, a shuffling DataLoader, default layout."""
    network = build_model(model)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    loss_of = torch.nn.CrossEntropyLoss()
    images = torch.tensor(np.array(train_set.images[: steps * BATCH]), dtype=torch.float32) / 255
    assert train_set.labels is not None
    labels = torch.tensor(train_set.labels[: steps * BATCH])
    mean, std = torch.tensor(train_set.mean)[:, None, None], torch.tensor(train_set.std)[:, None, None]
    loader = DataLoader(TensorDataset((images - mean) / std, labels), batch_size=BATCH, shuffle=True)
    start = time.perf_counter()
    for x, y in loader:
        optimizer.zero_grad()
        loss = loss_of(network(x), y)
        loss.backward()
        optimizer.step()
        loss.item()
    return steps * BATCH / (time.perf_counter() - start)


def ours(model: str, train_set: ImageSet, test_set: ImageSet, steps: int) -> float:
    """Images a second of `train`, recording and testing included."""
    spec = RunSpec.for_data(model, train_set, test_set, steps=steps, seed=0, test_images=256)
    with tempfile.TemporaryDirectory() as folder:
        return float(train(spec, train_set, test_set, Path(folder), device="cpu").environment["images_per_second"])


def operations(model: str) -> float:
    """Floating-point operations an image of one training step: forward and backward."""
    network = build_model(model)
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(2, 3, 32, 32)).sum().backward()
    return counter.get_total_flops() / 2


def run() -> str:
    """Measure both networks both ways, in turn and twice, and return the report."""
    train_set, test_set = load_images("cifar10"), load_images("cifar10", "test")
    rows = []
    for model, steps in STEPS.items():
        rate = matrix_rate()
        plain = fast = 0.0
        for _ in range(2):
            plain = max(plain, straightforward(model, train_set, steps))
            fast = max(fast, ours(model, train_set, test_set, steps))
        flops = operations(model)
        rows.append(
            [
                model,
                f"{fast:.0f}",
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
        "straightforward loop, images/s",
        "ratio",
        "GFLOP an image",
        "GFLOP/s",
        "matrix products, GFLOP/s",
        "fraction",
    ]
    return f"float32, batch {BATCH}, CPU, torch {torch.__version__}.\n\n" + table(header, rows)
