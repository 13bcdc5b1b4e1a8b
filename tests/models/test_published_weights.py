"""ResNet20 and 32 with weights that their reference implementation trained: same names, same function."""

from pathlib import Path

import numpy as np
import pytest
import torch

from firstlight.errors import SourceError
from firstlight.images import load_images
from firstlight.models import build_model

CHECKPOINTS = Path(__file__).parents[3] / "shared" / "data" / "checkpoints"
IMAGES = 1000


# Accuracies on all 10,000 test images, by the README of akamaster/pytorch_resnet_cifar10.
@pytest.mark.parametrize(
    ("name", "file", "published"),
    [("resnet20", "resnet20-12fca82f.th", 0.9173), ("resnet32", "resnet32-d509ac18.th", 0.9263)],
)
def test_published_weights_reach_their_accuracy(name, file, published):
    if not (CHECKPOINTS / file).exists():
        pytest.skip(f"the published checkpoint {file} is not beside the repository")
    try:
        test_set = load_images("cifar10", "test")
    except SourceError as error:
        pytest.skip(f"CIFAR-10 cannot be had: {error}")
    saved = torch.load(CHECKPOINTS / file, map_location="cpu", weights_only=True)["state_dict"]
    model = build_model(name).eval()
    model.load_state_dict({key.removeprefix("module."): tensor for key, tensor in saved.items()}, strict=True)
    mean = torch.tensor((0.485, 0.456, 0.406)).view(3, 1, 1)
    std = torch.tensor((0.229, 0.224, 0.225)).view(3, 1, 1)
    assert test_set.labels is not None
    images = (torch.from_numpy(np.array(test_set.images[:IMAGES])) / 255 - mean) / std
    with torch.no_grad():
        predicted = model(images).argmax(dim=1).numpy()
    accuracy = (predicted == test_set.labels[:IMAGES]).mean()
    # Three standard deviations of an accuracy over so many images.
    assert accuracy == pytest.approx(published, abs=3 * (published * (1 - published) / IMAGES) ** 0.5)
