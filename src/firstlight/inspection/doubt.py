"""What speaks against saying that a first layer has learnt: no energy, grey, or unevenness that chance gives, too."""

from typing import Literal

import numpy as np

from firstlight.filters.bank import FilterBank
from firstlight.inspection.measures import filter_norms
from firstlight.patches.basis import PatchBasis
from firstlight.profile import EnergyProfile
from firstlight.theory.null import RandomBanks, random_banks, shuffled_share, spread

# Codes of findings.
Doubt = Literal["all-zero", "not-moved", "grey-input", "untrained"]
# A p-value below which random filters are ruled out. Of several nulls each has to be: filters of any one of them are
# taken for trained no oftener than that, whatever the others say, so that the p-values need no correction.
SIGNIFICANT = 0.05
# Channels this alike are copies of each other.
_COPIES = 0.999


def random_likes(weight: np.ndarray, basis: PatchBasis) -> RandomBanks:
    """Random banks of as many filters, of the same norms; InputError where eq. 3 cannot be fitted to any bank."""
    return random_banks(basis.variance, len(weight), norms=filter_norms(weight))


def shuffled_likes(weight: np.ndarray, basis: PatchBasis, change: bool) -> float | None:
    """Share of random orders of each filter's own weights that make the profile as uneven; None without weights.

    The larger of two: of all its weights, and, since random filters may have channels of unlike size or mean, of those
    of each channel. A change has no such start, and may be of channels alone.
    """
    if not weight.any():
        return None
    shares = [shuffled_share(weight, basis)]
    if not change and weight.shape[1] > 1 and weight[0, 0].size > 1:
        shares.append(shuffled_share(weight, basis, by_channel=True))
    return max(shares)


def doubt(bank: FilterBank, profile: EnergyProfile, null: RandomBanks | None, shuffled: float | None) -> Doubt | None:
    """The code of the finding that keeps a bank from being said to have learnt; None where none does.

    Parameters
    ----------
    bank : FilterBank
    profile : EnergyProfile
        Of the filters or of their change.
    null, shuffled : RandomBanks and float, or None
        Of `random_likes` and `shuffled_likes`.

    Returns
    -------
    str or None
    """
    if profile.energy.max() == 0:
        return "not-moved" if profile.change else "all-zero"
    if _sees_grey(bank):  # in few of the components, as random filters that see grey are, too
        return "grey-input"
    if null is None or shuffled is None:
        return None
    return "untrained" if max(null.share_above(spread=spread(profile.energy)), shuffled) >= SIGNIFICANT else None


def by_channel(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The weights of each channel, (C, N), relative to the largest, and the sum of their squares."""
    flat = weight.transpose(1, 0, 2, 3).reshape(weight.shape[1], -1) / np.abs(weight).max()
    return flat, np.sum(flat**2, axis=1)


def _sees_grey(bank: FilterBank) -> bool:
    """Whether all three channels have the same weights."""
    if bank.weight.shape[1] != 3:
        return False
    flat, power = by_channel(bank.weight)
    unit = flat / np.sqrt(np.maximum(power, np.finfo(float).tiny))[:, None]
    return bool((unit @ unit.T).min() >= _COPIES)
