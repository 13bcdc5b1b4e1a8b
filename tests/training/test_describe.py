"""Titles of trainings."""

from dataclasses import replace
from typing import Any

import pytest

from firstlight.training import RunSpec, describe

SPEC = RunSpec("vgg11", "cifar10", "ab", "cd", 10, 3, (0.5,) * 3, (0.2,) * 3, steps=100, seed=0)


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ({}, "VGG11, seed 0"),
        ({"model": "resnet20", "seed": 12}, "ResNet20, seed 12"),
        ({"labels": "random"}, "VGG11, seed 0, random labels"),
        ({"labels": "energy:4"}, "VGG11, seed 0, labels by component 4"),
        ({"frozen": True, "lr": 0.3}, "VGG11, seed 0, frozen, lr 0.3"),
        ({"width": 16}, "VGG11, seed 0, width 16"),
        ({"data": "photos"}, "VGG11, seed 0, photos"),
        ({"stride": 3}, "VGG11, seed 0, stride 3"),
        ({"stride": 3, "scaled_component": 5, "scale": 3.0}, "VGG11, seed 0, component 5 x 3"),
        ({"only": ("automobile", "truck"), "classes": 2}, "VGG11, seed 0, automobile/truck"),
        ({"batch_size": 64, "train_images": 500}, "VGG11, seed 0, batches of 64, 500 images"),
        ({"precision": "bfloat16"}, "VGG11, seed 0, bfloat16"),
        (
            {"lr": 0.1, "momentum": 0.9, "weight_decay": 5e-4, "schedule": "cosine", "augmentation": "flip+crop"},
            "VGG11, seed 0, lr 0.1, momentum 0.9, weight decay 0.0005, cosine, flip+crop",
        ),
        ({"optimizer": "adam", "augmentation": "flip"}, "VGG11, seed 0, Adam, flip"),
    ],
)
def test_a_title_says_what_is_special(changes: dict[str, Any], title):
    assert describe(replace(SPEC, **changes)) == title
