"""The images that are measured: CIFAR-10, and crops of photographs."""

import numpy as np


def cifar(count: int) -> np.ndarray:
    """Images as most decoders leave them, channels last in memory."""
    from firstlight.images import load_images

    return np.array(load_images("cifar10").images[:count].transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


def photographs(count: int, rows: int = 224, columns: int = 224) -> np.ndarray:
    """Crops at random places of the photographs in scikit-image, as large as they are or larger."""
    from PIL import Image

    from firstlight.images.photos import PHOTOGRAPHS, require_photos

    folder, rng, crops = require_photos(), np.random.default_rng(0), []
    scenes = [np.asarray(Image.open(folder / name).convert("RGB")) for name in PHOTOGRAPHS.values()]
    scenes = [scene for scene in scenes if scene.shape[0] >= rows and scene.shape[1] >= columns]
    for i in range(count):
        scene = scenes[i % len(scenes)]
        y, x = rng.integers(scene.shape[0] - rows + 1), rng.integers(scene.shape[1] - columns + 1)
        crops.append(scene[y : y + rows, x : x + columns])
    return np.stack(crops).transpose(0, 3, 1, 2)
