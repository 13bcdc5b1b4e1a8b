"""Theorem 4.3: eq. 3 ends in e_i in proportion to 1 / lambda_i, and such filters decorrelate the image.

Exactly it says: if patches of an image are uncorrelated, the response of any ideal whitening filter at one place is
uncorrelated with that of any filter at any other place. Patches less than a kernel's side apart share pixels, and
cannot be uncorrelated; what is left of the others in real images is measured here.
"""

import numpy as np
import pandas as pd

from firstlight.patches import PatchBasis
from firstlight.theory import PEAK, linear_cnn_profile
from firstlight.whitening import LagMoments
from firstlight.whitening.distance import whitening_distance

# tau * smallest variance at which eq. 3 is compared with its limit.
LATE = 1e6


def times(variance: np.ndarray) -> list[float]:
    """From early, where eq. 3 is in proportion to lambda, to whitened."""
    return [*np.geomspace(0.1 * PEAK / variance.max(), PEAK / variance.min(), 6), LATE / variance.min()]


def limit_table(lags: LagMoments, basis: PatchBasis) -> pd.DataFrame:
    """A row a time and distance: the bank u_i e_i(tau) that eq. 3 predicts, from early to whitened."""
    tables = []
    for tau in times(basis.variance[basis.variance > 0]):
        bank = basis.images * linear_cnn_profile(basis.variance, tau)[:, None, None, None]
        tables.append(lags.curve(bank).to_frame().assign(tau=tau).reindex(columns=["tau", "distance", "value"]))
    return pd.concat(tables, ignore_index=True)


def distance_table(basis: PatchBasis) -> pd.DataFrame:
    """A row a time, to infinity: how far the profile of eq. 3 is from 1 / lambda.

    `largest_difference` is that of e_i lambda_i from its maximum, relative to it: 0 for a whitening profile.
    `whitening_distance` is 0 for a whitening profile and 1 for equal energies.
    """
    variance = basis.variance[basis.variance > 0]
    rows = []
    for tau in (*times(variance), np.inf):
        profile = linear_cnn_profile(variance, tau)
        whitened = profile * np.sqrt(variance)
        rows.append((tau, 1 - whitened.min() / whitened.max(), whitening_distance(profile, variance)))
    return pd.DataFrame(rows, columns=["tau", "largest_difference", "whitening_distance"])


def response_table(lags: LagMoments, basis: PatchBasis) -> pd.DataFrame:
    """A row a distance from 1: correlations of the responses of ideal whitening filters so far apart, in real images.

    `same_filter` is their mean over filters, which is C(d) / C(0) of the bank; `root_mean_square` and `largest` are
    over all pairs of filters. Each is the mean over horizontal and vertical pairs of places and both orders, so that
    what has opposite signs there cancels.
    """
    kept = basis.components[basis.variance > 0] / np.sqrt(basis.variance[basis.variance > 0])[:, None]
    covariance = kept @ lags.matrices @ kept.T
    deviation = np.sqrt(np.diag(covariance[0]))
    rows = []
    for distance, correlations in enumerate(covariance[1:] / np.outer(deviation, deviation), start=1):
        size = np.abs(correlations)
        means = np.diag(correlations).mean(), np.sqrt(np.square(size).mean())
        rows.append((distance, distance < lags.kernel_size, *means, size.max()))
    return pd.DataFrame(rows, columns=["distance", "share_pixels", "same_filter", "root_mean_square", "largest"])
