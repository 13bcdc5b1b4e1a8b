"""The claims of `label-correlation`. Their criteria were fixed before the first run and are not to be tuned."""

import pandas as pd

from firstlight.experiments.claims import Claim


def judge(energy: pd.DataFrame, coefficients: pd.DataFrame, permuted: pd.DataFrame, images: int) -> list[Claim]:
    """Judge every claim.

    Parameters
    ----------
    energy, coefficients : DataFrame
        A row a component and class, as `label_correlation.correlation_table` makes it.
    permuted : DataFrame
        A row a permutation of the labels, as `label_correlation.permutation_table` makes it.
    images : int
        Number of images that were correlated.
    """
    size = energy.correlation.abs()
    note = notes(energy, coefficients, permuted) if len(energy) else "No component and class has a defined correlation."
    texts = {
        "source": "paper Fig. 5; assumption of Theorem 4.2",
        "published": "about 0 for all",
        "note": f"Over {images:,} training images. {note}",
        "replicates": "data set",
    }
    return [
        Claim.judged(
            [size.mean()],
            lambda mean: mean < 0.1,
            name="label-correlation/energy/about-zero",
            figure="sizes",
            statement="a component's patch energy is uncorrelated with each label",
            quantity="mean |r| over components and one-vs-all labels",
            criterion="it is below 0.1",
            **texts,
        ),
        Claim.judged(
            [size.max()],
            lambda largest: largest < 0.2,
            name="label-correlation/energy/all-small",
            figure="correlations",
            statement="no component's patch energy is correlated with any label",
            quantity="largest |r| over components and one-vs-all labels",
            criterion="it is below 0.2",
            **texts,
        ),
    ]


def notes(energy: pd.DataFrame, coefficients: pd.DataFrame, permuted: pd.DataFrame) -> str:
    """Where the largest correlation is, what chance gives, and how it is for the coefficients of the theorem."""
    above = (energy.correlation.abs() > permuted.largest.max()).mean()
    return (
        f"The largest |r| is that of {largest(energy)}. With permuted labels the mean |r| is "
        f"{permuted['mean'].mean():.4f} and the largest {permuted.largest.mean():.3f} (means of {len(permuted)} "
        f"permutations); {above:.0%} of the measured |r| are above all of those. For the sum of an image's "
        "coefficients, which is what the theorem assumes to be uncorrelated, the mean |r| is "
        f"{coefficients.correlation.abs().mean():.3f} and the largest that of {largest(coefficients)}."
    )


def largest(table: pd.DataFrame) -> str:
    """The correlation of largest magnitude, and of what with what."""
    row = table.loc[table.correlation.abs().idxmax()]
    return f"component {row['component']} with {row['class']!r}, r = {row['correlation']:.3f}"
