"""Images on the training's device."""

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from firstlight.images import ImageSet


class DeviceImages:
    """The images of a set, held on a device as they are and normalised batch by batch.

    uint8 pixels stay uint8, a quarter of their float32 size. They lie as (N, H, W, C), which `channels_first` turns
    into (N, C, H, W) in torch's channels-last layout without moving anything.
    """

    def __init__(self, image_set: "ImageSet", device: torch.device) -> None:
        self.device = device
        self.positions = math.prod(image_set.size)
        pixels = image_set.images.transpose(0, 2, 3, 1)
        dtype = np.uint8 if pixels.dtype == np.uint8 else np.float32
        # A copy: torch warns of read-only arrays, and a batch is gathered faster from memory than from a map.
        self._pixels = torch.from_numpy(np.array(pixels, dtype=dtype, order="C")).to(device)
        self._labels = torch.from_numpy(np.array(image_set.labels, dtype=np.int64)).to(device)
        std = np.array(image_set.std)
        self._scale = torch.tensor(1 / (image_set.unit * std), dtype=torch.float32, device=device)
        self._shift = torch.tensor(-np.array(image_set.mean) / std, dtype=torch.float32, device=device)

    def __len__(self) -> int:
        return len(self._labels)

    def batch(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised images (B, H, W, C) float32 and labels (B,) int64 of an index (B,) int64 on the device."""
        return self._pixels[index].to(torch.float32).mul_(self._scale).add_(self._shift), self._labels[index]


def channels_first(images: Tensor) -> Tensor:
    """A batch as a network takes it, (B, C, H, W)."""
    return images.permute(0, 3, 1, 2)
