"""The images and labels that a spec trains on: classes chosen, labels replaced, one patch component scaled."""

from dataclasses import replace

import numpy as np

from firstlight.errors import InputError
from firstlight.images import ImageSet
from firstlight.patches import PatchMoments, patch_basis
from firstlight.training.random_numbers import LABELS, seed_sequence
from firstlight.training.spec import RunSpec
from firstlight.training.spec_values import KERNEL_SIZE, label_component

_BLOCK = 1000  # images at a time, so that no float64 copy of a data set is held


def prepare(spec: RunSpec, train_set: ImageSet, test_set: ImageSet) -> tuple[ImageSet, ImageSet]:
    """Make what a spec trains on and is measured on from the sets that it names.

    Parameters
    ----------
    spec : RunSpec
        What is trained.
    train_set, test_set : ImageSet
        The labelled images whose fingerprints the spec holds.

    Returns
    -------
    tuple of two ImageSet
        Train and test images and labels, as many as the spec uses.

    Raises
    ------
    InputError
        A class that the spec keeps is not there, or too few images are left.
    """
    sets = chosen_images(spec, train_set, test_set)
    if spec.labels == "random":
        sets = [_randomly_labelled(spec, images, part) for part, images in enumerate(sets)]
    elif component := label_component(spec.labels):
        sets = _labelled_by_energy(spec, sets, component)
    if spec.scaled_component is not None:
        basis = PatchMoments(KERNEL_SIZE, spec.channels, spec.stride).update(sets[0].images).basis(spec.mean, spec.std)
        direction = basis.components[spec.scaled_component - 1]
        sets = [_scaled(images, direction, spec) for images in sets]
    return sets[0], sets[1]


def chosen_images(spec: RunSpec, train_set: ImageSet, test_set: ImageSet) -> list[ImageSet]:
    """The images of the classes that a spec keeps, as many as it uses, train and test, with its normalisation.

    Raises
    ------
    InputError
        As `prepare`.
    """
    sets = [_chosen(spec, train_set, spec.train_images), _chosen(spec, test_set, spec.test_images)]
    if len(sets[0]) < spec.batch_size:
        raise InputError(
            f"{len(sets[0])} training images are left of {train_set.name!r}; expected at least one batch of "
            f"{spec.batch_size}: lower batch_size or keep more classes"
        )
    # The network sees both sets through the spec's normalisation, whatever their own is.
    return [replace(images, mean=spec.mean, std=spec.std) for images in sets]


def patch_energy(images: ImageSet, direction: np.ndarray) -> np.ndarray:
    """Energy of every image's patches in one direction: the sum over its patches of (p . u)^2.

    Parameters
    ----------
    images : ImageSet
        Normalised by its own mean and std; its patches are read with stride 1, without padding.
    direction : ndarray, shape (D,)
        u, of unit length, in the order (channel, row, column).

    Returns
    -------
    ndarray, shape (N,), float64
        In units of squared normalised pixels.

    References
    ----------
    Chowers and Weiss, ICML 2023, section 5 and Figure 5.
    """
    import torch

    kernel_size = round((len(direction) / images.channels) ** 0.5)
    # A copy: torch warns of the read-only components of a basis.
    kernel = torch.from_numpy(direction.reshape(1, images.channels, kernel_size, kernel_size).copy())
    energy = np.empty(len(images))
    for start in range(0, len(images), _BLOCK):
        block = torch.from_numpy(np.ascontiguousarray(images.normalised(slice(start, start + _BLOCK))))
        energy[start : start + _BLOCK] = torch.nn.functional.conv2d(block, kernel).square().sum(dim=(1, 2, 3)).numpy()
    return energy


def _chosen(spec: RunSpec, images: ImageSet, count: int | None) -> ImageSet:
    """The first `count` images of the classes that the spec keeps, or all where there are fewer of those."""
    assert images.labels is not None  # checked by the caller
    if spec.only is None:
        return images if count is None else images.subset(count)
    unknown = [name for name in spec.only if name not in images.classes]
    if unknown:
        raise InputError(f"only is {unknown[0]!r}; expected classes of {images.name!r}: {', '.join(images.classes)}")
    numbers = np.full(len(images.classes), -1)
    numbers[[images.classes.index(name) for name in spec.only]] = np.arange(len(spec.only))
    labels = numbers[images.labels]
    index = np.flatnonzero(labels >= 0)[:count]
    if not index.size:
        raise InputError(
            f"{images.name!r} has no {images.split} images of {', '.join(spec.only)}; expected at least one: "
            "keep other classes"
        )
    return replace(images, images=images.images[index], labels=labels[index], classes=spec.only)


def _randomly_labelled(spec: RunSpec, images: ImageSet, part: int) -> ImageSet:
    generator = np.random.Generator(np.random.PCG64(seed_sequence(spec, LABELS, part)))
    return replace(images, labels=generator.integers(0, spec.classes, len(images)))


def _labelled_by_energy(spec: RunSpec, sets: list[ImageSet], component: int) -> list[ImageSet]:
    direction = patch_basis(sets[0], KERNEL_SIZE).components[component - 1]
    energies = [patch_energy(images, direction) for images in sets]
    # Quantiles of the training images by rank, without interpolation, so that its classes are equally large.
    limits = np.sort(energies[0])[np.arange(1, spec.classes) * len(energies[0]) // spec.classes]
    return [
        replace(images, labels=np.searchsorted(limits, energy, side="right"))
        for images, energy in zip(sets, energies, strict=True)
    ]


def _scaled(images: ImageSet, direction: np.ndarray, spec: RunSpec) -> ImageSet:
    """Multiply the coefficient on one direction in every patch that the strided first layer reads; as float32."""
    rows, columns = ((side - KERNEL_SIZE) // spec.stride + 1 for side in images.size)
    height, width = rows * KERNEL_SIZE, columns * KERNEL_SIZE
    changed = np.empty(images.images.shape, np.float32)
    mean, std = (np.array(values)[:, None, None] for values in (images.mean, images.std))
    for start in range(0, len(images), _BLOCK):
        block = images.normalised(slice(start, start + _BLOCK))
        shape = (len(block), images.channels, rows, KERNEL_SIZE, columns, KERNEL_SIZE)
        patches = block[:, :, :height, :width].reshape(shape).transpose(0, 2, 4, 1, 3, 5)
        flat = patches.reshape(-1, len(direction))
        flat = flat + (spec.scale - 1) * (flat @ direction)[:, None] * direction
        block[:, :, :height, :width] = (
            flat.reshape(patches.shape).transpose(0, 3, 1, 4, 2, 5).reshape(len(block), images.channels, height, width)
        )
        changed[start : start + _BLOCK] = block * std + mean
    return replace(images, images=changed)
