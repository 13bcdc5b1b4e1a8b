"""What a spec trains on, against patches that are cut out one by one."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings, strategies as st
from scipy.stats import chi2, chi2_contingency
from tests.training.sets import CLASSES, TEST, TRAIN, make_spec

from firstlight.errors import InputError
from firstlight.images import ImageSet
from firstlight.patches import patch_basis
from firstlight.training import RunSpec, prepare
from firstlight.training.batches import DeviceImages, channels_first
from firstlight.training.prepare import chosen_images, patch_energy, prepare as prepared


def images(
    split: str = "train",
    count: int = 40,
    *,
    channels: int = 3,
    size: tuple[int, int] = (8, 8),
    dtype: Any = np.uint8,
) -> ImageSet:
    """Smooth noise, so that no two components of its patches have the same variance; labels take turns."""
    random = np.random.default_rng([channels, *size, count, split == "train"])
    noise = random.normal(size=(count, channels, *size))
    pixels = noise + 1.5 * noise.mean(axis=1, keepdims=True)
    pixels += np.roll(noise, 1, axis=2) + 0.5 * np.roll(noise, 1, axis=3)
    pixels = np.clip(128 + 30 * pixels, 0, 255)
    pixels = pixels.astype(np.uint8) if dtype == np.uint8 else (pixels / 100).astype(dtype)
    pixels.setflags(write=False)
    mean, std = (0.3, 0.5, 0.6)[:channels], (0.2, 0.3, 0.25)[:channels]
    return ImageSet("smooth", split, pixels, np.arange(count) % len(CLASSES), CLASSES, mean, std)


def spec_of(train: ImageSet, test: ImageSet, **changes: Any) -> RunSpec:
    return make_spec(train, test, **{"batch_size": 2, "test_images": len(test), **changes})


def labels_of(image_set: ImageSet) -> np.ndarray:
    assert image_set.labels is not None
    return image_set.labels


def seen(image_set: ImageSet, spec: RunSpec) -> np.ndarray:
    """All the images as the network sees them."""
    batch, _ = DeviceImages(image_set, torch.device("cpu")).batch(torch.arange(len(image_set)))
    assert (image_set.mean, image_set.std) == (spec.mean, spec.std)
    return channels_first(batch).double().numpy()


def normalised(image_set: ImageSet) -> np.ndarray:
    unit = 255 if image_set.images.dtype == np.uint8 else 1
    mean, std = np.array(image_set.mean), np.array(image_set.std)
    return (image_set.images.astype(np.float64) / unit - mean[:, None, None]) / std[:, None, None]


def patches(pixels: np.ndarray, stride: int = 1, kernel_size: int = 3) -> np.ndarray:
    """Every patch of every image, (N, patches, D), cut out one by one."""
    height, width = pixels.shape[2:]
    return np.array(
        [
            [
                image[:, y : y + kernel_size, x : x + kernel_size].ravel()
                for y in range(0, height - kernel_size + 1, stride)
                for x in range(0, width - kernel_size + 1, stride)
            ]
            for image in pixels
        ]
    )


def second_moment(found: np.ndarray) -> np.ndarray:
    flat = found.reshape(-1, found.shape[-1])
    return flat.T @ flat / len(flat)


def directions(found: np.ndarray) -> np.ndarray:
    """Principal components of patches, largest first, in rows."""
    return np.linalg.eigh(second_moment(found))[1].T[::-1]


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize(("channels", "size", "kernel_size"), [(3, (8, 8), 3), (1, (7, 12), 3), (3, (9, 6), 5)])
def test_patch_energy_is_a_sum_over_patches(dtype, channels, size, kernel_size, monkeypatch):
    monkeypatch.setattr(prepare, "_BLOCK", 7)  # the last block is smaller
    image_set = images(channels=channels, size=size, dtype=dtype)
    direction = np.random.default_rng(0).normal(size=channels * kernel_size**2)
    direction /= np.linalg.norm(direction)
    expected = np.square(patches(normalised(image_set), kernel_size=kernel_size) @ direction).sum(axis=1)
    energy = patch_energy(image_set, direction)
    assert energy.dtype == np.float64
    np.testing.assert_allclose(energy, expected, rtol=1e-9)


def test_patch_energies_add_up_to_the_variance_of_the_components():
    basis = patch_basis(TRAIN, 3)
    energy = [patch_energy(TRAIN, component).sum() for component in basis.components]
    np.testing.assert_allclose(np.array(energy) / basis.count, basis.variance, rtol=1e-9)


@settings(max_examples=15, deadline=None)
@given(st.integers(20, 110), st.integers(2, 20), st.integers(1, 27))
@example(78, 11, 1)  # where interpolated quantiles would make classes of 6 and of 8 images
def test_energy_labels_are_quantiles_of_the_training_images(count, classes, component):
    train, test = images("train", count), images("test", 30)
    sets = prepared(spec_of(train, test, classes=classes, labels=f"energy:{component}"), train, test)
    train_labels, test_labels = map(labels_of, sets)
    direction = directions(patches(normalised(train)))[component - 1]
    train_energy, test_energy = (np.square(patches(normalised(part)) @ direction).sum(axis=1) for part in (train, test))
    sizes = np.bincount(train_labels)
    assert len(sizes) == classes
    assert sizes.max() - sizes.min() <= 1
    assert (np.diff(train_labels[np.argsort(train_energy)]) >= 0).all()
    # A test image belongs to the highest class whose least training image it reaches.
    least = np.array([train_energy[train_labels == label].min() for label in range(1, classes)])
    assert test_labels.tolist() == [int((least <= energy).sum()) for energy in test_energy]


def test_energy_labels_depend_on_the_component_alone():
    train, test = images(), images("test")
    spec = spec_of(train, test, labels="energy:2")
    labels = labels_of(prepared(spec, train, test)[0])
    others = [replace(spec, seed=9), replace(spec, model="vgg5"), replace(spec, steps=3)]
    assert all(np.array_equal(labels_of(prepared(other, train, test)[0]), labels) for other in others)
    assert not np.array_equal(labels_of(prepared(replace(spec, labels="energy:3"), train, test)[0]), labels)


def random_labels(**changes: Any) -> tuple[np.ndarray, np.ndarray]:
    """Random labels of 5,000 train and test images of one pixel, which is enough for them."""
    pixels, truth = np.zeros((5000, 1, 1, 1), np.uint8), np.arange(5000) % 10
    dots = ImageSet("dots", "train", pixels, truth, tuple("0123456789"), (0.5,), (1.0,))
    train, test = prepared(spec_of(dots, dots, labels="random", **changes), dots, dots)
    return labels_of(train), labels_of(test)


def test_random_labels_are_of_the_seed_alone():
    labels = random_labels()
    others: list[dict[str, Any]] = [{"model": "vgg11"}, {"lr": 0.5}, {"steps": 99}, {"frozen": True}]
    for changes in others:
        for one, other in zip(labels, random_labels(**changes), strict=True):
            np.testing.assert_array_equal(one, other)
    # Neither pixels nor true labels matter.
    train, test = images(), images("test")
    spec = spec_of(train, test, labels="random")
    changed = [replace(part, images=part.images[::-1], labels=labels_of(part)[::-1]) for part in (train, test)]
    for one, other in zip(prepared(spec, train, test), prepared(spec, *changed), strict=True):
        np.testing.assert_array_equal(labels_of(one), labels_of(other))


def test_random_labels_are_uniform():
    for labels in random_labels(seed=0):
        counts = np.bincount(labels, minlength=10)
        assert len(counts) == 10
        assert np.square(counts - 500).sum() / 500 < chi2(9).ppf(0.999)


def test_random_labels_of_seeds_and_splits_are_independent_of_each_other_and_of_the_truth():
    (train, test), (other, _) = random_labels(seed=0), random_labels(seed=1)
    truth = np.arange(5000) % 10
    for one, two in ((train, test), (train, other), (train, truth), (test, truth)):
        table = np.zeros((10, 10))
        np.add.at(table, (one, two), 1)
        assert chi2_contingency(table).pvalue > 0.001  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("only", [("b", "d"), ("d", "b"), ("c", "a", "b")])
def test_only_keeps_the_images_of_some_classes_in_the_order_of_their_names(only):
    spec = make_spec(only=only, test_images=5)
    assert spec.classes == len(only)
    for part, whole, count in zip(prepared(spec, TRAIN, TEST), (TRAIN, TEST), (None, 5), strict=True):
        names = [CLASSES[label] for label in labels_of(whole)]
        index = [place for place, name in enumerate(names) if name in only][:count]
        assert part.classes == only
        assert [only[label] for label in labels_of(part)] == [names[place] for place in index]
        np.testing.assert_array_equal(part.images, whole.images[index])


def test_the_first_images_are_counted_among_those_that_are_kept():
    spec = make_spec(only=("b", "d"), train_images=20)
    train, test = prepared(spec, TRAIN, TEST)
    assert len(train) == 20
    everything = prepared(replace(spec, train_images=None), TRAIN, TEST)[0]
    np.testing.assert_array_equal(train.images, everything.images[:20])
    # The spec's 40 test images are more than there are of two classes.
    assert len(test) == np.isin(labels_of(TEST), [1, 3]).sum() < 40


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"only": ("a", "x", "y")}, "only is 'x'; expected classes of 'noise': a, b, c, d"),
        ({"only": ("a", "B")}, "only is 'B'; expected classes of 'noise'"),
        ({"only": ("a", "b"), "batch_size": 60}, r"\d+ training images are left of 'noise'; .* batch of 60: lower"),
    ],
)
def test_classes_that_cannot_be_kept_are_refused_in_one_line(changes, message):
    with pytest.raises(InputError, match=message) as caught:
        prepared(make_spec(**changes), TRAIN, TEST)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_class_without_images_is_refused(split):
    sets = {"train": TRAIN, "test": TEST}
    sets[split] = replace(sets[split], labels=labels_of(sets[split]) % 2)
    with pytest.raises(InputError, match=f"'noise' has no {split} images of c, d; expected at least one: keep other"):
        prepared(make_spec(only=("c", "d")), sets["train"], sets["test"])


def test_nothing_is_changed_where_the_spec_changes_nothing():
    spec = make_spec(train_images=30, test_images=7)
    for part, whole, count in zip(prepared(spec, TRAIN, TEST), (TRAIN, TEST), (30, 7), strict=True):
        np.testing.assert_array_equal(part.images, whole.images[:count])
        np.testing.assert_array_equal(labels_of(part), labels_of(whole)[:count])
        assert np.shares_memory(part.images, whole.images)
        assert (part.classes, part.mean, part.std) == (whole.classes, whole.mean, whole.std)


def check_scaled(spec: RunSpec, originals: tuple[ImageSet, ImageSet], changed: tuple[ImageSet, ImageSet]) -> None:
    """In every patch side by side the coefficient on one component is multiplied, and nothing else is changed."""
    assert spec.scaled_component is not None
    before = [normalised(part) for part in originals]
    after = [seen(part, spec) for part in changed]
    basis = directions(patches(before[0], stride=3))
    factors = np.ones(len(basis))
    factors[spec.scaled_component - 1] = spec.scale
    for original, part, one, other in zip(originals, changed, before, after, strict=True):
        coefficients = patches(one, stride=3) @ basis.T
        tolerance = 1e-5 * np.abs(coefficients).max()
        np.testing.assert_allclose(patches(other, stride=3) @ basis.T, coefficients * factors, rtol=0, atol=tolerance)
        # Rows and columns beyond the last whole patch are the same pixels, rounded to float32.
        height, width = (side // 3 * 3 for side in original.size)
        outside = np.ones(original.size, dtype=bool)
        outside[:height, :width] = False
        pixels = original.images / (255 if original.images.dtype == np.uint8 else 1.0)
        eps = float(np.finfo(np.float32).eps)
        np.testing.assert_allclose(part.images[:, :, outside], pixels[:, :, outside], rtol=eps, atol=1e-12)
    moments = [basis @ second_moment(patches(pixels[0], stride=3)) @ basis.T for pixels in (before, after)]
    variance = np.diag(moments[0]) * factors**2
    np.testing.assert_allclose(np.diag(moments[1]), variance, rtol=1e-4)
    np.testing.assert_allclose(moments[1], np.diag(variance), rtol=1e-4, atol=1e-5 * variance.max())


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize(
    ("channels", "size", "component", "scale"),
    [(3, (9, 9), 5, 3.0), (3, (11, 16), 27, 0.25), (1, (8, 7), 1, 2.0), (3, (3, 32), 12, 10.0)],
)
def test_one_component_is_scaled_in_every_patch(dtype, channels, size, component, scale, monkeypatch):
    monkeypatch.setattr(prepare, "_BLOCK", 7)
    train, test = (images(split, 60, channels=channels, size=size, dtype=dtype) for split in ("train", "test"))
    spec = spec_of(train, test, stride=3, scaled_component=component, scale=scale)
    changed = prepared(spec, train, test)
    assert all(part.images.dtype == np.float32 for part in changed)
    check_scaled(spec, (train, test), changed)


def test_scaling_keeps_the_labels_and_the_originals():
    spec = make_spec(stride=3, scaled_component=2, scale=2.0)
    before = TRAIN.images.copy()
    train, _ = prepared(spec, TRAIN, TEST)
    np.testing.assert_array_equal(labels_of(train), labels_of(TRAIN))
    np.testing.assert_array_equal(TRAIN.images, before)


def test_the_first_layer_sees_the_scaled_component():
    """The whole way to a strided first layer: a filter along the component answers `scale` times as strongly."""
    from firstlight.models import build_model
    from firstlight.training.trainer import first_layer

    train, test = images(size=(11, 10)), images("test", size=(11, 10))
    spec = spec_of(train, test, model="resnet20", stride=3, scaled_component=4, scale=5.0)
    layer = first_layer(build_model(spec.model, stride=spec.stride))
    component = directions(patches(normalised(train), stride=3))[3]
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(component.reshape(3, 3, 3)))
        answers = [
            layer(torch.tensor(seen(part, spec), dtype=torch.float32)).numpy()
            for part in (train, prepared(spec, train, test)[0])
        ]
    np.testing.assert_allclose(answers[1], 5 * answers[0], rtol=0, atol=1e-5 * np.abs(answers[1]).max())


def test_the_specs_normalisation_decides_whatever_the_sets_say():
    train, test = images(), images("test")
    spec = spec_of(train, test, stride=3, scaled_component=3, scale=4.0, labels="energy:2")
    expected = prepared(spec, train, test)
    other = [replace(part, mean=(0.0, 0.1, 0.9), std=(1.0, 0.5, 0.1)) for part in (train, test)]
    for one, two in zip(expected, prepared(spec, *other), strict=True):
        np.testing.assert_array_equal(one.images, two.images)
        np.testing.assert_array_equal(labels_of(one), labels_of(two))


@pytest.mark.parametrize("labels", ["random", "energy:3"])
def test_classes_labels_and_scaling_go_together(labels):
    train, test = images(count=120, size=(10, 9)), images("test", 50, size=(10, 9))
    changes = {"only": ("d", "a"), "train_images": 45, "labels": labels}
    spec = spec_of(train, test, stride=3, scaled_component=6, scale=3.0, **changes)
    kept = chosen_images(spec, train, test)
    assert [len(part) for part in kept] == [45, 25]
    changed = prepared(spec, train, test)
    # Principal components of the images that are kept, in every respect.
    check_scaled(spec, (kept[0], kept[1]), changed)
    plain = prepared(replace(spec, scaled_component=None, scale=1.0), train, test)
    for part, unscaled, chosen in zip(changed, plain, kept, strict=True):
        np.testing.assert_array_equal(labels_of(part), labels_of(unscaled))
        assert set(labels_of(part).tolist()) == {0, 1}
        assert not np.array_equal(labels_of(part), labels_of(chosen))
