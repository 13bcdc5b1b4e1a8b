"""A data set and a schedule so small that the whole main job takes seconds."""

from pathlib import Path

import numpy as np

from firstlight.experiments.schedule import Schedule, Training
from firstlight.images import load_images

# Batches of 32, since none of what is tested here depends on their size and a step takes an eighth of the time.
TINY = Schedule(
    seeds=(0, 1),
    trainings={"vgg11": Training(2, batch_size=32), "resnet20": Training(5, batch_size=32)},
    test_images=50,
)


def write_data(folder: Path) -> Path:
    """Every 31st photograph crop, as a user's own .npz file: 646 train and 130 test images of 5 classes."""
    parts = {}
    for split in ("train", "test"):
        images = load_images("photos", split)
        assert images.labels is not None
        parts[f"{split}_images"] = np.ascontiguousarray(images.images[::31])
        parts[f"{split}_labels"] = images.labels[::31]
    path = folder / "crops.npz"
    np.savez(path, **parts)
    return path
