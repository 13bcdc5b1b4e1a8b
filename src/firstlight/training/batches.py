"""Images on the training's device."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from firstlight.training.augmentation import augmented
from firstlight.training.spec import RunSpec

if TYPE_CHECKING:
    from firstlight.images import ImageSet


class DeviceImages:
    """The images of a set, held on a device as they are and normalised batch by batch.

    uint8 pixels stay uint8, a quarter of their float32 size. They lie as (N, H, W, C), which a batch turns
    into (N, C, H, W) in torch's channels-last layout without moving anything.
    """

    def __init__(self, image_set: "ImageSet", spec: RunSpec, device: torch.device) -> None:
        self._spec = spec
        pixels = image_set.images.transpose(0, 2, 3, 1)
        dtype = np.uint8 if pixels.dtype == np.uint8 else np.float32
        # A copy: torch warns of read-only arrays, and a batch is gathered faster from memory than from a map.
        self._pixels = torch.from_numpy(np.array(pixels, dtype=dtype, order="C")).to(device)
        self._labels = torch.from_numpy(np.array(image_set.labels, dtype=np.int64)).to(device)
        std = np.array(spec.std)
        self._scale = torch.tensor(1 / (image_set.unit * std), dtype=torch.float32, device=device)
        self._shift = torch.tensor(-np.array(spec.mean) / std, dtype=torch.float32, device=device)

    def __len__(self) -> int:
        return len(self._labels)

    def batch(self, index: np.ndarray, step: int | None = None) -> tuple[Tensor, Tensor]:
        """Normalised images (B, C, H, W) float32 and labels (B,) int64 of an index (B,) int64.

        They are augmented, where the spec has it, for the update that follows `step` others; for None never.
        """
        chosen = torch.from_numpy(index).to(self._pixels.device)
        images = self._pixels[chosen].to(torch.float32).mul_(self._scale).add_(self._shift)
        if step is not None and self._spec.augmentation != "none":
            images = augmented(images, self._spec, step)
        return images.permute(0, 3, 1, 2), self._labels[chosen]
