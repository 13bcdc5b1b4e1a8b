"""What the tests of the monitor train."""

from typing import cast

import numpy as np
import torch
from torch import nn

import firstlight as fl

IMAGES = fl.load_images("photos")
BASIS = fl.PatchMoments(3, 3).update(IMAGES.images).basis(IMAGES.mean, IMAGES.std)


def network(seed: int = 0) -> nn.Sequential:
    """A convolution of 8 filters and a classifier, of images of 8 x 8."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 6 * 6, 2))


def images_and_labels(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Random images, and whether each is bright."""
    images = torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    return images, (images.mean((1, 2, 3)) > 0).long()


def train(model: nn.Module, monitor: fl.FirstLayerMonitor | None, updates: int, lr: float = 0.05) -> None:
    """Train on batches of random images, watched where a monitor is given."""
    optimiser = torch.optim.SGD(model.parameters(), lr=lr)
    generator = torch.Generator().manual_seed(1)
    for _ in range(updates):
        images = torch.randn(16, 3, 8, 8, generator=generator)
        loss = nn.functional.cross_entropy(model(images), (images.mean((1, 2, 3)) > 0).long())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if monitor:
            monitor.step()


def put(model: nn.Sequential, weight: np.ndarray) -> None:
    """Give the first layer these filters."""
    with torch.no_grad():
        cast(nn.Conv2d, model[0]).weight.copy_(torch.from_numpy(weight))
