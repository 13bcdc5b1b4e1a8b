"""`label-correlation`: are the labels uncorrelated with the images' energy in every patch component?

Theorem 4.2 derives eq. 3 under the assumption that labels are uncorrelated with the patches' coefficients. The paper
checks it in Figure 5 with the patch energy of every image, sum_j (P_j(x) . u_i)^2, against each one-vs-all label: about
0 for all. What enters the theorem is the sum of the coefficients themselves, sum_j P_j(x) . u_i, so that is measured
too. Nothing is trained.
"""

import numpy as np
import pandas as pd

from firstlight.experiments.context import Context
from firstlight.experiments.experiment import Experiment
from firstlight.experiments.label_correlation import figures
from firstlight.experiments.label_correlation.claims import judge
from firstlight.experiments.results import FigureEntry, Result
from firstlight.images import ImageSet
from firstlight.patches import PatchBasis

QUICK_IMAGES = 10_000
PERMUTATIONS = 20  # of the labels: what chance makes of as many images
_BLOCK = 100  # images at a time, whose patches fit into the processor's cache


def run(context: Context) -> Result:
    """Correlate energies and coefficients with the labels, and with permuted labels; judge the claims."""
    basis = context.basis()
    train, _ = context.facts()
    count = min(QUICK_IMAGES, train.count) if context.preset == "quick" else train.count
    measured = context.measured(
        "label-correlation",
        lambda train_set, test_set: measure(train_set.subset(count), basis),
        images=count,
        permutations=PERMUTATIONS,
    )
    energy = correlation_table(measured["energy"], train.classes)
    coefficients = correlation_table(measured["coefficients"], train.classes)
    permuted = permutation_table(measured["permuted"])
    return Result(
        experiment="label-correlation",
        claims=tuple(judge(energy, coefficients, permuted, count)),
        tables={"energy": energy, "coefficients": coefficients, "permuted_labels": permuted},
        figures=draw(basis, energy, coefficients, measured["permuted"]),
    )


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
        Pearson correlations, float64: "energy" and "coefficients", shape (D, classes), and "permuted", shape
        (PERMUTATIONS, D, classes), of the energy with permuted labels. NaN where a component has no variance or a class
        no image, or every one.
    """
    assert images.labels is not None  # only labelled data can be trained on
    energy, coefficients = (_standardized(values) for values in patch_sums(images, basis))
    without = basis.variance == 0  # all that is left there is rounding
    energy[:, without] = coefficients[:, without] = np.nan
    member = _standardized(images.labels[:, None] == np.arange(len(images.classes)))
    rng = np.random.default_rng(0)
    permuted = [energy.T @ rng.permutation(member) for _ in range(PERMUTATIONS)]
    return {"energy": energy.T @ member, "coefficients": coefficients.T @ member, "permuted": np.array(permuted)}


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


def correlation_table(correlations: np.ndarray, classes: tuple[str, ...]) -> pd.DataFrame:
    """A row a component and class: their correlation, where it is defined."""
    components = np.repeat(np.arange(1, len(correlations) + 1), len(classes))
    table = pd.DataFrame(
        {"component": components, "class": list(classes) * len(correlations), "correlation": correlations.ravel()}
    )
    return table.dropna(ignore_index=True)


def permutation_table(permuted: np.ndarray) -> pd.DataFrame:
    """A row a permutation of the labels: mean and largest |r| over components and classes."""
    sizes = [np.abs(correlations[~np.isnan(correlations)]) for correlations in permuted]
    rows = [(number, size.mean(), size.max()) for number, size in enumerate(sizes, start=1) if len(size)]
    return pd.DataFrame(rows, columns=["permutation", "mean", "largest"])


def draw(
    basis: PatchBasis, energy: pd.DataFrame, coefficients: pd.DataFrame, permuted: np.ndarray
) -> dict[str, FigureEntry]:
    """Every correlation, and how large they are for each component; nothing where none is defined."""
    if energy.empty:
        return {}
    tables = {"patch energy": energy, "sum of coefficients": coefficients}
    return {
        "correlations": FigureEntry(
            figures.heat_maps(tables, basis),
            "Correlation of each patch component with each label (Figure 5 of the paper)",
            "Over the training images, between the one-vs-all label and the energy of an image's patches in a "
            "component (above), or the sum of their coefficients (below). The largest and the smallest are printed.",
        ),
        "sizes": FigureEntry(
            figures.sizes(tables, basis, permuted),
            "How large the correlations are, by component",
            "|r|, mean and largest over the classes. Gray: the 95th percentile of the same for permuted labels, over "
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
    costs={
        "quick": "trains nothing: the first 10,000 training images, some 3 seconds on 2 CPU cores",
        "standard": "trains nothing: all training images, some 15 seconds on 2 CPU cores",
        "full": "trains nothing: all training images, some 15 seconds on 2 CPU cores",
    },
    run=run,
)
