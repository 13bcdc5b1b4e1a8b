"""`label-correlation`: are the labels uncorrelated with the images' energy in every patch component?

Theorem 4.2 derives eq. 3 under the assumption that labels are uncorrelated with the patches' coefficients. The paper
checks it in Figure 5 with the patch energy of every image against each one-vs-all label: about 0 for all. Definition
A.4 has the energy of one random patch of the image, (p . u_i)^2. That is measured, and so is the energy of all patches,
sum_j (P_j(x) . u_i)^2, of which one patch is a noisy sample. What enters the theorem is the sum of the coefficients
themselves, sum_j P_j(x) . u_i: the third quantity. Nothing is trained.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from firstlight.experiments.context import Context
from firstlight.experiments.experiment import Experiment
from firstlight.experiments.label_correlation import figures
from firstlight.experiments.label_correlation.claims import judge
from firstlight.experiments.measurements import NotRecordedError
from firstlight.experiments.results import FigureEntry, Result
from firstlight.experiments.shared.tables import stacked
from firstlight.images import ImageSet
from firstlight.patches import PatchBasis

QUICK_IMAGES = 10_000
PERMUTATIONS = 20  # of the labels: what chance makes of as many images
PATCH_SEED = 0  # of the one patch of every image
# What is correlated with the labels, as titles name it, and what the same with permuted labels is stored as.
QUANTITIES = {"energy": "patch energy", "coefficients": "sum of coefficients", "patch": "energy of one random patch"}
PERMUTED = {"energy": "permuted", "coefficients": "coefficients_permuted", "patch": "patch_permuted"}
PERMUTATION_COLUMNS = ["quantity", "permutation", "mean", "largest"]
_BLOCK = 100  # images at a time, whose patches fit into the processor's cache


def run(context: Context) -> Result:
    """Correlate energies and coefficients with the labels, and with permuted labels; judge the claims."""
    basis = context.basis()
    train, _ = context.facts()
    count = min(QUICK_IMAGES, train.count) if context.quick else train.count
    measured = correlations(context, basis, count)
    tables = {name: correlation_table(measured[name], train.classes) for name in QUANTITIES if name in measured}
    null = {name: measured[PERMUTED[name]] for name in tables if PERMUTED[name] in measured}
    permuted = stacked([permutation_table(*drawn) for drawn in null.items()], PERMUTATION_COLUMNS)
    return Result(
        experiment="label-correlation",
        claims=tuple(judge(tables, permuted, count)),
        tables={**tables, "permuted_labels": permuted},
        figures=draw(basis, tables, null),
    )


def correlations(context: Context, basis: PatchBasis, count: int) -> dict[str, np.ndarray]:
    """What `measure` finds of the first images; of a record of version 0.1.0, as much as that one measured."""

    def of_first(train: ImageSet, test: ImageSet) -> dict[str, np.ndarray]:
        return measure(train.subset(count), basis)

    parameters: dict[str, Any] = {"images": count, "permutations": PERMUTATIONS}
    try:
        return context.measured("label-correlation", of_first, **parameters, patch_seed=PATCH_SEED)
    except NotRecordedError:
        return context.measured("label-correlation", of_first, **parameters)


def measure(images: ImageSet, basis: PatchBasis) -> dict[str, np.ndarray]:
    """Correlate every component with every one-vs-all label, over the images.

    Parameters
    ----------
    images : ImageSet
        Labelled images.
    basis : PatchBasis

    Returns
    -------
    dict of str to ndarray
        Pearson correlations: those of QUANTITIES, shape (D, classes), float64; and with permuted labels those that
        PERMUTED names, shape (PERMUTATIONS, D, classes), float32. NaN where a component has no variance or a class no
        image, or every one.
    """
    assert images.labels is not None  # only labelled data can be trained on
    values = (*patch_sums(images, basis), random_patch_energy(images, basis))
    quantities = {name: _standardized(columns) for name, columns in zip(QUANTITIES, values, strict=True)}
    for columns in quantities.values():
        columns[:, basis.variance == 0] = np.nan  # all that is left there is rounding
    member = _standardized(images.labels[:, None] == np.arange(len(images.classes)))
    rng = np.random.default_rng(0)
    permuted = [rng.permutation(member) for _ in range(PERMUTATIONS)]
    found = {name: columns.T @ member for name, columns in quantities.items()}
    for name, columns in quantities.items():
        found[PERMUTED[name]] = np.array([columns.T @ drawn for drawn in permuted], dtype=np.float32)
    return found


def patch_sums(images: ImageSet, basis: PatchBasis) -> tuple[np.ndarray, np.ndarray]:
    """Sums over every image's patches of (p . u_i)^2 and of p . u_i, each of shape (N, D), float64.

    In units of (squared) normalised pixels; patches are read with stride 1, without padding. The squares come from
    the second moments of an image's patches, which cost a third of the responses to all components.
    """
    import torch

    size = basis.size
    directions = torch.from_numpy(basis.components.copy())
    products = torch.einsum("di,dj->ijd", directions, directions).reshape(size**2, size)
    energy, total = np.empty((len(images), size)), np.empty((len(images), size))
    for start in range(0, len(images), _BLOCK):
        block = np.ascontiguousarray(images.normalised(slice(start, start + _BLOCK)))
        patches = torch.nn.functional.unfold(torch.from_numpy(block), basis.kernel_size)
        second = (patches @ patches.mT).reshape(-1, size**2)
        energy[start : start + _BLOCK] = (second @ products).numpy()
        total[start : start + _BLOCK] = (patches.sum(dim=2) @ directions.T).numpy()
    return energy, total


def random_patch_energy(images: ImageSet, basis: PatchBasis) -> np.ndarray:
    """(p . u_i)^2 of one patch p of every image, drawn uniformly from its places, shape (N, D) (Definition A.4)."""
    size, step = basis.kernel_size, 10 * _BLOCK
    height, width = (side - size + 1 for side in images.size)
    rng = np.random.default_rng(PATCH_SEED)
    rows, columns = rng.integers(0, height, len(images)), rng.integers(0, width, len(images))
    energy = np.empty((len(images), basis.size))
    for start in range(0, len(images), step):
        block = images.normalised(slice(start, start + step))
        windows = np.lib.stride_tricks.sliding_window_view(block, (size, size), axis=(2, 3))
        places = rows[start : start + step], columns[start : start + step]
        patches = windows[np.arange(len(block)), :, *places].reshape(len(block), -1)
        energy[start : start + step] = np.square(patches @ basis.components.T)
    return energy


def correlation_table(correlations: np.ndarray, classes: tuple[str, ...]) -> pd.DataFrame:
    """A row a component and class: their correlation, where it is defined."""
    components = np.repeat(np.arange(1, len(correlations) + 1), len(classes))
    table = pd.DataFrame(
        {"component": components, "class": list(classes) * len(correlations), "correlation": correlations.ravel()}
    )
    return table.dropna(ignore_index=True)


def permutation_table(quantity: str, permuted: np.ndarray) -> pd.DataFrame:
    """A row a permutation of the labels: mean and largest |r| over components and classes."""
    sizes = [np.abs(correlations[~np.isnan(correlations)], dtype=np.float64) for correlations in permuted]
    rows = [(quantity, number, size.mean(), size.max()) for number, size in enumerate(sizes, start=1) if len(size)]
    return pd.DataFrame(rows, columns=PERMUTATION_COLUMNS)


def draw(
    basis: PatchBasis, tables: Mapping[str, pd.DataFrame], permuted: Mapping[str, np.ndarray]
) -> dict[str, FigureEntry]:
    """Every correlation, and how large they are for each component; nothing where none is defined."""
    if tables["energy"].empty:
        return {}
    titled = {QUANTITIES[name]: table for name, table in tables.items()}
    null = {QUANTITIES[name]: permuted.get(name, permuted["energy"]) for name in tables}
    return {
        "correlations": FigureEntry(
            figures.heat_maps(titled, basis),
            "Correlation of each patch component with each label (Figure 5 of the paper)",
            "Over the training images, between the one-vs-all label and the energy of an image's patches in a "
            "component, the sum of their coefficients, or the energy of one patch of the image, drawn at random "
            "(Definition A.4). The largest and the smallest are framed.",
        ),
        "sizes": FigureEntry(
            figures.sizes(titled, basis, null),
            "How large the correlations are, by component",
            "|r|, mean and largest over the classes. Grey: the 95th percentile of the same for permuted labels, over "
            "permutations and components.",
        ),
    }


def _standardized(columns: np.ndarray) -> np.ndarray:
    """Columns of mean 0 and length 1, whose products are correlations; NaN where a column is constant."""
    centred = columns - columns.mean(axis=0)
    length = np.linalg.norm(centred, axis=0)
    return np.divide(centred, length, out=np.full(centred.shape, np.nan), where=length > 0)


EXPERIMENT = Experiment(
    name="label-correlation",
    question="Are labels uncorrelated with the patch energy in every component, as Theorem 4.2 assumes?",
    answers="paper Fig. 5 and the assumption of Theorem 4.2",
    run=run,
)
