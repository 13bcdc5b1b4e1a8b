"""How far a profile is from that of a whitening bank, for which e_i is proportional to 1 / lambda_i."""

import numpy as np


def whitening_spread(energy: np.ndarray, variance: np.ndarray) -> float:
    """How unevenly a bank leaves the components of what it sees.

    Parameters
    ----------
    energy, variance : ndarray, shape (D,)
        The profile e_i and the variances lambda_i^2.

    Returns
    -------
    float
        The standard deviation of log(e_i lambda_i) over the components with variance, which alone can be whitened: 0
        for a whitening bank. NaN where one of them has no energy.
    """
    whitened = (energy * np.sqrt(variance))[variance > 0]
    return float(np.std(np.log(whitened))) if (whitened > 0).all() else float("nan")


def whitening_distance(energy: np.ndarray, variance: np.ndarray) -> float:
    """How far a profile is from a whitening one, relative to a flat one.

    Parameters
    ----------
    energy, variance : ndarray, shape (D,)
        The profile e_i and the variances lambda_i^2.

    Returns
    -------
    float
        The `whitening_spread` over that of equal energies, the standard deviation of log(lambda_i): 0 for a whitening
        bank, 1 for one with equal energy in all components, as at random. Components without energy or variance do
        not count; NaN where fewer than two have both.
    """
    used = (energy > 0) & (variance > 0)
    if used.sum() < 2 or np.ptp(np.log(np.sqrt(variance[used]))) == 0:
        return float("nan")
    relative = energy[used] / energy.max()  # products of tiny energies would vanish
    return whitening_spread(relative, variance[used]) / whitening_spread(np.ones(len(relative)), variance[used])
