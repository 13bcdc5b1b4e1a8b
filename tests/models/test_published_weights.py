"""ResNet20 with weights that its reference implementation trained: same names, same function."""

from pathlib import Path

import numpy as np
import pytest
import torch

from firstlight.errors import SourceError
from firstlight.images import load_images
from firstlight.models import ResNet20

CHECKPOINT = Path(__file__).parents[3] / "shared" / "data" / "checkpoints" / "resnet20-12fca82f.th"
IMAGES = 1000


@pytest.mark.skipif(not CHECKPOINT.exists(), reason="the published checkpoint is not beside the repository")
def test_published_resnet20_reaches_its_accuracy():
    # 91.73% on all 10,000 test images, by the README of akamaster/pytorch_resnet_cifar10.
    try:
        test_set = load_images("cifar10", "test")
    except SourceError as error:
        pytest.skip(f"CIFAR-10 cannot be had: {error}")
    saved = torch.load(CHECKPOINT, map_location="cpu", weights_only=True)["state_dict"]
    model = ResNet20().eval()
    model.load_state_dict({name.removeprefix("module."): tensor for name, tensor in saved.items()}, strict=True)
    mean = torch.tensor((0.485, 0.456, 0.406)).view(3, 1, 1)
    std = torch.tensor((0.229, 0.224, 0.225)).view(3, 1, 1)
    assert test_set.labels is not None
    images = (torch.from_numpy(np.array(test_set.images[:IMAGES])) / 255 - mean) / std
    with torch.no_grad():
        predicted = model(images).argmax(dim=1).numpy()
    accuracy = (predicted == test_set.labels[:IMAGES]).mean()
    assert accuracy >= 0.90
