"""What the formula and its fit are given: energies and variances as numbers, or networks and data that have them."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from firstlight.errors import InputError
from firstlight.patches.basis import PatchBasis
from firstlight.profile import EnergyProfile, energy_profile


def is_numbers(value: Any) -> bool:
    """Whether these are meant as energies or variances, and not images, filters or the name of some."""
    axes = getattr(value, "ndim", None)  # of arrays, tensors and columns of tables
    if axes is None:
        return isinstance(value, Sequence | float | int) and not isinstance(value, str)
    return axes <= 2


def variance_of(basis: Any, kernel_size: int | None = None) -> Any:
    """Numbers as they are; of a basis, or of the data whose patches are meant, the variance of each component."""
    if isinstance(basis, PatchBasis):
        return basis.variance
    if is_numbers(basis):
        return basis
    from firstlight.patches.statistics import basis_of_size

    return basis_of_size(basis, kernel_size).variance


def energies_and_variance(profile: Any, basis: Any) -> tuple[Any, Any]:
    """Energies and variances of the same components: as given, or of a network and of data."""
    if not (isinstance(profile, EnergyProfile) or is_numbers(profile)):
        if is_numbers(basis):
            raise InputError("the variances of a basis do not tell its components; expected a basis, or the data")
        from firstlight.filters import load_filters
        from firstlight.patches.statistics import basis_for

        bank = load_filters(profile)
        basis = basis_for(bank, basis)
        profile = energy_profile(bank, basis)
    energy = profile.energy if isinstance(profile, EnergyProfile) else profile
    if isinstance(basis, PatchBasis) or is_numbers(basis):
        return energy, variance_of(basis)
    return energy, variance_of(basis, kernel_size_of(np.size(energy)))


def as_numbers(name: str, value: Any, expected: str) -> np.ndarray:
    """Real numbers as float64, whatever their shape, but not none of them."""
    try:
        found = np.asarray(value)
        if found.size and not np.iscomplexobj(found):
            return found.astype(np.float64)
    except (ValueError, TypeError):
        pass
    raise InputError(f"{name} is {value!r}; expected {expected}")


def kernel_size_of(components: int, channels: Sequence[int] = (3, 1)) -> int:
    """Of the patches that have so many components, in colour if that can be."""
    for count in channels:
        size = math.isqrt(components // count)
        if count * size**2 == components:
            return size
    raise InputError(
        f"the profile has {components} components, which square patches of 3 channels or 1 do not have; expected the "
        "basis that it was measured in"
    )
