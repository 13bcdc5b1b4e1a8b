"""Context: specs of its data, bases of what a spec trains on, and runs that are there or not."""

from dataclasses import replace

import numpy as np
import pytest
from tests.experiments.made import finish, small_context, small_sets

from firstlight.errors import SourceError
from firstlight.experiments import Context
from firstlight.patches import PatchMoments
from firstlight.training.prepare import prepare


def never(name: str):
    pytest.fail(f"{name} was loaded")


def test_a_spec_is_of_the_preset_and_of_what_the_network_changes(tmp_path):
    context = small_context(tmp_path)
    first, *others = context.specs("vgg11")
    assert (first.model, first.data, first.steps, first.lr, first.classes) == ("vgg11", "cifar10", 100, 0.01, 5)
    assert (first.test_images, first.precision) == (50, "float32")
    assert [spec.seed for spec in (first, *others)] == [0, 1, 2]
    (full, *_) = small_context(tmp_path, "full").specs("vgg11-random")
    assert (full.labels, full.steps, full.test_images, full.precision) == ("random", 19500, 130, "bfloat16")
    assert context.specs("vgg11-long") == context.specs("vgg11")  # trained once
    assert {spec.data for spec in context.specs("vgg11-photos")} == {"photos"}


def test_a_network_that_cannot_be_trained_here_says_why(tmp_path):
    context = small_context(tmp_path)
    assert context.absence("vgg11") == ""
    assert context.absence("vgg11-dog-cat") == "no data: cifar10 has no class dog"
    quick = small_context(tmp_path, "quick")
    assert quick.absence("vgg16") == "no run: the preset quick does not train VGG16"
    assert quick.specs("vgg16", "vgg11-dog-cat") == []
    alone = small_context(tmp_path, names=("cifar10",))
    assert alone.absence("vgg11-photos") == "no data: photos cannot be had here"
    own = small_context(tmp_path, names=("photos",))
    assert own.absence("vgg11-photos") == "no data: photos is the main data set itself"
    train, test = context.facts()
    facts = {"cifar10": (replace(train, channels=1, mean=(0.5,), std=(0.2,)), replace(test, channels=1))}
    gray = Context(context.preset, "cifar10", facts, never, context.measurements, {}, {})
    assert "labels is 'energy:15'; expected component 1 to 9" in gray.absence("vgg11-energy15")
    assert gray.specs("vgg11-energy15", "vgg11") == gray.specs("vgg11")
    with pytest.raises(SourceError, match="'cifar100' cannot be had here; expected one of cifar10, photos"):
        context.facts("cifar100")


def test_the_basis_is_of_the_patches_that_the_first_layer_sees(tmp_path):
    context = small_context(tmp_path)
    train, test = small_sets()

    def variance(images: np.ndarray, stride: int) -> np.ndarray:
        return PatchMoments(3, 3, stride).update(images).basis(train.mean, train.std).variance

    plain = context.specs("vgg11")[0]
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


def test_a_network_is_there_with_all_its_seeds_or_not_at_all(tmp_path):
    context = small_context(tmp_path)
    specs = context.specs("resnet20")
    done = finish(context, ["resnet20"], lambda spec, step: np.full((16, 3, 3, 3), step + 1.0))
    assert [run.spec.seed for run in done.trained("resnet20").runs] == [0, 1, 2]
    assert done.trained("resnet20").reason == ""
    del done.finished[specs[1].hash]
    assert not done.trained("resnet20")
    assert done.trained("resnet20").reason == "no run: ResNet20 with seed 1 is not trained yet"
    done.failures[specs[1].hash] = "the training diverged"
    assert done.trained("resnet20").reason == "no run: ResNet20 with seed 1: the training diverged"
    assert done.trained("vgg11-dog-cat").reason.startswith("no data")


def test_images_are_loaded_only_for_what_was_not_measured_yet(tmp_path):
    context = small_context(tmp_path)
    basis = context.basis()
    found = context.measured("size", lambda train, test: {"n": np.array([len(train), len(test)])}, part=1)
    assert found["n"].tolist() == [646, 130]
    again = Context("quick", "cifar10", context._facts, never, context.measurements, {}, {})
    assert np.array_equal(again.basis().components, basis.components)
    assert again.measured("size", lambda train, test: {}, part=1)["n"].tolist() == [646, 130]
