"""Context: specs of its data, bases of what a spec trains on, and runs that are there or not."""

from dataclasses import replace

import numpy as np
import pytest
from tests.experiments.made import finish, small_context, small_sets

from firstlight.errors import SourceError
from firstlight.experiments import Context
from firstlight.patches import PatchMoments
from firstlight.training.prepare import prepare


def test_a_spec_is_of_the_preset_unless_told_otherwise(tmp_path):
    context = small_context(tmp_path)
    spec = context.spec("vgg11", seed=1)
    assert (spec.data, spec.steps, spec.seed, spec.classes, spec.test_images) == ("cifar10", 20, 1, 5, 130)
    assert (spec.precision, small_context(tmp_path, "full").spec("vgg11", seed=1).precision) == ("float32", "bfloat16")
    other = context.spec("vgg13", seed=0, steps=3, data="photos", width=16, only=("cat", "coffee"))
    assert (other.data, other.steps, other.width, other.classes) == ("photos", 3, 16, 2)
    with pytest.raises(SourceError, match="'cifar100' cannot be had here; expected one of cifar10, photos"):
        context.spec("vgg11", seed=0, data="cifar100")
    assert [context.has(name) for name in ("cifar10", "photos", "cifar100")] == [True, True, False]


def test_the_basis_is_of_the_patches_that_the_first_layer_sees(tmp_path):
    context = small_context(tmp_path)
    train, test = small_sets()

    def variance(images: np.ndarray, stride: int) -> np.ndarray:
        return PatchMoments(3, 3, stride).update(images).basis(train.mean, train.std).variance

    plain = context.spec("vgg11", seed=0)
    assert np.array_equal(context.basis().variance, variance(train.images, 1))
    assert np.array_equal(context.basis(plain).variance, context.basis().variance)
    strided = replace(plain, stride=3)
    assert np.array_equal(context.basis(strided).variance, variance(train.images, 3))
    for changed in (
        replace(strided, scaled_component=5, scale=3.0),
        replace(plain, only=("cat", "coffee"), classes=2),
        replace(plain, train_images=300),
    ):
        expected = variance(prepare(changed, train, test)[0].images, changed.stride)
        assert np.array_equal(context.basis(changed).variance, expected)
        assert not np.allclose(expected, context.basis(strided).variance)
    # Labels, seeds and steps do not change what is seen: nothing is measured twice.
    before = set(context.measurements.used)
    context.basis(replace(plain, labels="random", seed=4, steps=9, model="resnet20"))
    assert context.measurements.used == before


def test_a_missing_run_is_none_and_says_why(tmp_path):
    context = small_context(tmp_path)
    specs = [context.spec("resnet20", seed=seed, steps=2) for seed in (0, 1)]
    done = finish(context, specs, lambda spec, step: np.full((16, 3, 3, 3), step + 1.0))
    assert [run.spec.seed for run in done.complete(specs)] == [0, 1]
    assert done.failure(specs) == ""
    del done.finished[specs[1].hash]
    done.failures[specs[1].hash] = "the training diverged"
    assert done.run(specs[1]) is None
    assert (len(done.runs(specs)), done.complete(specs)) == (1, [])
    assert done.failure(specs) == "resnet20, seed 1: the training diverged"


def test_images_are_loaded_only_for_what_was_not_measured_yet(tmp_path):
    context = small_context(tmp_path)
    basis = context.basis()
    found = context.measured("size", lambda train, test: {"n": np.array([len(train), len(test)])}, part=1)
    assert found["n"].tolist() == [646, 130]

    def never(name: str):
        pytest.fail("loaded")

    again = Context("quick", "cifar10", context._facts, never, context.measurements, {}, {})
    assert np.array_equal(again.basis().components, basis.components)
    assert again.measured("size", lambda train, test: {}, part=1)["n"].tolist() == [646, 130]
