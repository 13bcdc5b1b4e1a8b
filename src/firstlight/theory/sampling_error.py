"""Sampling errors: how far the spectrum of the patches, and what is fitted to it, would move with other images."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from firstlight.errors import InputError
from firstlight.filters.bank import FilterBank
from firstlight.patches.basis import PatchBasis
from firstlight.patches.moments import PatchMoments
from firstlight.utils.text import counted, plural

LEAST_BLOCKS = 8


@dataclass(frozen=True, eq=False)
class SamplingErrors:
    """Standard errors, one standard deviation each, of what is measured on a sample of images.

    Attributes
    ----------
    variance, variance_error : ndarray, shape (D,)
        lambda_i^2 of all blocks together, and its standard error; matched by rank.
    trace, trace_error : float
        Their sum, and its standard error.
    blocks, draws : int
        How many blocks hold patches, and how often they were drawn.
    tau, tau_error, correlation, correlation_error : float or None
        The fit of eq. 3 to the profile of the filters; None without filters. `tau_error` is infinite where some draw is
        whitened, so that its tau is.
    """

    variance: np.ndarray = field(repr=False)
    variance_error: np.ndarray = field(repr=False)
    trace: float
    trace_error: float
    blocks: int
    draws: int
    tau: float | None = None
    tau_error: float | None = None
    correlation: float | None = None
    correlation_error: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """All in JSON's types, which know no infinity: that is None."""
        found: dict[str, Any] = {}
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, np.ndarray):
                value = value.tolist()
            elif isinstance(value, float) and not np.isfinite(value):
                value = None
            found[one.name] = value
        return found


def sampling_errors(
    blocks: Sequence[PatchMoments],
    mean: float | Sequence[float] | None,
    std: float | Sequence[float] | None,
    bank: FilterBank | np.ndarray | None = None,
    draws: int = 200,
    seed: int = 0,
) -> SamplingErrors:
    """Standard errors of the patches' variances, and of the formula's fit, by a block bootstrap.

    The patches of one image are alike, so images are what is sampled, not patches. Blocks, each a random part of the
    images, are drawn with replacement, as many as there are; everything is computed again from the sum of those drawn;
    the standard deviation over the draws, times sqrt(B / (B - 1)) for B blocks, is the standard error.

    Parameters
    ----------
    blocks : sequence of PatchMoments
        At least 8 that hold patches, of the same kind.
    mean, std : float or sequence of C floats, or None
        The normalisation, as for `PatchMoments.basis`; taken as known, the same in every draw.
    bank : FilterBank or ndarray of shape (K, C, k, k), optional
        Filters, for the errors of tau and of the correlation of `fit_formula`.
    draws : int
        How often blocks are drawn, at least 2.
    seed : int
        Of the draws.

    Raises
    ------
    InputError
        Fewer than 8 blocks with patches, blocks of different kinds, or filters that do not fit the patches.

    Notes
    -----
    The standard error is itself uncertain, by about sqrt(1 / (2 B) + 1 / (2 draws)) of its value: 13% with 32 blocks
    and 200 draws. It holds for images drawn at random and blocks that are alike. Neighbouring images are often related,
    as in folders sorted by class: of parts in a row the blocks would differ more than samples do, and the errors would
    come out too large. Deal many small parts to the blocks in turn, part i to block ``i % B``. Variances are matched by
    rank: where two are nearer to each other than their errors, those tell how the ranks move, not the components; and
    the smallest and largest are biased besides, as those of every finite sample are. Takes one eigenproblem a draw:
    some milliseconds for D = 147, minutes in all for D = 768.

    References
    ----------
    Efron and Tibshirani, An Introduction to the Bootstrap, 1993, sections 6.2 and 8.6; Künsch, Annals of Statistics 17,
    1989, for blocks. For independent Gaussian patches Anderson, Annals of Mathematical Statistics 34, 1963, gives the
    variance of an eigenvalue as 2 lambda^4 / n.
    """
    filled = [block for block in blocks if block.count]
    if len(filled) < LEAST_BLOCKS:
        raise InputError(
            f"{counted(len(filled), 'block')} {plural(len(filled), 'holds', 'hold')} patches; expected at least "
            f"{LEAST_BLOCKS} for standard errors: split the images into more parts"
        )
    if draws < 2:
        raise InputError(f"draws is {draws}; expected at least 2")
    basis = sum(filled[1:], filled[0]).basis(mean, std)
    sums, counts = _normalised_sums(filled, basis), np.array([block.count for block in filled], dtype=np.float64)
    random = np.random.default_rng(seed)
    times = random.multinomial(len(filled), np.full(len(filled), 1 / len(filled)), size=draws)
    attributes = {one.name: getattr(basis, one.name) for one in fields(basis)}
    attributes = {name: value for name, value in attributes.items() if name not in ("components", "variance")}
    rows, fits = [], []
    for drawn in times:
        matrix = np.tensordot(drawn, sums, axes=1) / (drawn @ counts)
        if bank is None:
            rows.append(np.linalg.eigvalsh(matrix)[::-1])
        else:
            again = PatchBasis.from_matrix(matrix, **attributes)
            rows.append(again.variance)
            fits.append(_fit(bank, again))
    found = np.array(rows)
    wide = np.sqrt(len(filled) / (len(filled) - 1))  # blocks are drawn about their own mean, not the population's
    errors: dict[str, Any] = {}
    if bank is not None:
        tau, correlation = _fit(bank, basis)
        taus, correlations = np.array(fits).T
        errors = {
            "tau": tau,
            "tau_error": float(wide * taus.std(ddof=1)) if np.isfinite(taus).all() else float("inf"),
            "correlation": correlation,
            "correlation_error": float(wide * correlations.std(ddof=1)),
        }
    return SamplingErrors(
        variance=basis.variance,
        variance_error=wide * found.std(axis=0, ddof=1),
        trace=float(basis.variance.sum()),
        trace_error=float(wide * found.sum(axis=1).std(ddof=1)),
        blocks=len(filled),
        draws=draws,
        **errors,
    )


def _normalised_sums(blocks: Sequence[PatchMoments], basis: PatchBasis) -> np.ndarray:
    """Sums of q q^T over the normalised patches q of every block, shape (B, D, D)."""
    unit = blocks[0].unit
    taps = basis.kernel_size**2
    offset = np.repeat(np.array(basis.mean) * unit, taps)
    scale = np.repeat(np.array(basis.std) * unit, taps)
    sums = np.empty((len(blocks), basis.size, basis.size))
    for one, block in zip(sums, blocks, strict=True):
        cross = np.outer(offset, block.first)
        one[:] = (block.second - cross - cross.T + block.count * np.outer(offset, offset)) / np.outer(scale, scale)
    return sums


def _fit(bank: FilterBank | np.ndarray, basis: PatchBasis) -> tuple[float, float]:
    """tau and correlation of eq. 3."""
    from firstlight.profile import energy_profile
    from firstlight.theory import fit_formula

    fit = fit_formula(energy_profile(bank, basis), basis)
    return fit.tau, fit.correlation
