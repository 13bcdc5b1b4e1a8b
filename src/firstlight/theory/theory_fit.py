"""fit_theory: eq. 3 and composition, each at the time that fits a profile best, beside what chance gives each."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from firstlight.errors import InputError
from firstlight.filters import FilterBank, load_filters
from firstlight.patches.bank_statistics import PatchStatistics, channels_of, zeros
from firstlight.patches.basis import PatchBasis
from firstlight.patches.statistics import patch_statistics
from firstlight.profile import EnergyProfile, energy_profile
from firstlight.theory.arguments import as_numbers, is_numbers, kernel_size_of
from firstlight.theory.explanation import Explanation, explain_by_composition, explain_by_eq3
from firstlight.theory.kept_trajectories import trajectory_of
from firstlight.theory.null import RandomBanks, random_banks
from firstlight.theory.resampling import interval
from firstlight.theory.trajectory import Trajectory
from firstlight.utils.checks import whole_number

Theory = Literal["eq3", "composition", "both"]
Better = Literal["eq3", "composition", "both", "neither", ""]


@dataclass(frozen=True, eq=False)
class TheoryFit:
    """What the two theories make of one profile.

    Attributes
    ----------
    eq3, composition : Explanation or None
        None where it was not asked for, or, of composition, is not defined.
    refusal : str
        Why there is no composition, where it was asked for; else empty.
    difference : float
        The correlation of composition less that of eq. 3; NaN without both.
    interval : tuple of two float
        Where 95 % of the differences lie when the components are drawn anew, with replacement, and both times fitted
        again. NaN without both.

    Examples
    --------
    >>> import firstlight as fl
    >>> fit = fl.fit_theory(fl.linear_cnn_profile("cifar10", tau=1.0), "cifar10")
    >>> fit.better, round(fit.eq3.correlation, 3)
    ('eq3', 1.0)
    """

    eq3: Explanation | None
    composition: Explanation | None
    refusal: str = ""
    difference: float = math.nan
    interval: tuple[float, float] = field(default=(math.nan, math.nan))

    @property
    def better(self) -> Better:
        """Which theory describes the profile better; empty without both.

        "both" where the interval does not tell, "neither" where no correlation is beyond chance.
        """
        if self.eq3 is None or self.composition is None:
            return ""
        if not (self.eq3.beyond_chance or self.composition.beyond_chance):
            return "neither"
        low, high = self.interval
        return "composition" if low > 0 else "eq3" if high < 0 else "both"

    def to_dict(self) -> dict[str, Any]:
        """All in JSON's types, which know no NaN: it is None."""
        low, high = self.interval
        known = not math.isnan(self.difference)
        return {
            "eq3": self.eq3 and self.eq3.to_dict(),
            "composition": self.composition and self.composition.to_dict(),
            "refusal": self.refusal,
            "difference": self.difference if known else None,
            "interval": [low, high] if known else None,
            "better": self.better,
        }


def fit_theory(
    profile: Any,
    statistics: Any = None,
    *,
    theory: Theory = "both",
    stride: int | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    data_dir: str | Path | None = None,
    **options: Any,
) -> TheoryFit:
    """Fit eq. 3 and composition to a profile: of each the time with the highest correlation, and what chance reaches.

    Parameters
    ----------
    profile : EnergyProfile, array_like of shape (D,), or whatever else `load_filters` takes
        Measured energies e, not all equal; or the network whose first layer has them.
    statistics : optional
        The data in whose patches they were measured, as `patch_statistics` takes them: by default CIFAR-10. For
        composition they need patches as wide as its windows, see `composition_profile`.
    theory : {"both", "eq3", "composition"}
        What to fit.
    stride : int, optional
        Of the first layer; by default that of the filters where they tell it, else 1.
    mean, std : float or sequence of float, optional
        The normalisation that the network was trained with; by default that of the data.
    data_dir : str or Path, optional
        Folder of the cache.
    **options
        As for `patch_statistics`.

    Returns
    -------
    TheoryFit

    Raises
    ------
    InputError
        As `fit_formula`; and for ``theory="composition"`` where that is not defined.

    Examples
    --------
    >>> import firstlight as fl
    >>> random = np.random.default_rng(1).standard_normal((64, 3, 3, 3))
    >>> fl.fit_theory(random).better
    'neither'
    """
    if theory not in ("both", "eq3", "composition"):
        raise InputError(f'theory is {theory!r}; expected "eq3", "composition" or "both"')
    if stride is not None:
        whole_number("stride", stride, 1)
    bank, energy, basis, source = _measured(profile, statistics, mean, std, data_dir, options)
    norms = np.linalg.norm(bank.weight.reshape(len(bank), -1) / (np.abs(bank.weight).max() or 1.0), axis=1)

    def trajectory() -> Trajectory:
        return trajectory_of(bank, source, stride_of(bank, stride), mean, std, data_dir)

    return explained(energy, basis.variance, trajectory, norms if norms.any() else None, theory)


def explained(
    energy: np.ndarray,
    variance: np.ndarray,
    trajectory: Callable[[], Trajectory],
    norms: np.ndarray | None = None,
    theory: Theory = "both",
    banks: RandomBanks | None = None,
) -> TheoryFit:
    """Fit the theories to energies, as `fit_theory`.

    Parameters
    ----------
    energy, variance : ndarray, shape (D,)
    trajectory : callable
        Gives that of composition; its InputError says why there is none.
    norms : ndarray, shape (K,), optional
        Of the filters, for random banks.
    theory : {"both", "eq3", "composition"}
    banks : RandomBanks, optional
        Of these norms, with eq. 3, where they are known already.

    Returns
    -------
    TheoryFit
    """
    fits: dict[str, Explanation] = {}
    refusal = ""
    if theory != "composition":
        if banks is None and norms is not None:
            banks = random_banks(variance, len(norms), norms=norms)
        fits["eq3"] = explain_by_eq3(energy, variance, banks)
    if theory != "eq3":
        try:
            fits["composition"] = explain_by_composition(energy, variance, trajectory(), norms)
        except InputError as error:
            if theory == "composition":
                raise
            refusal = str(error)
    if len(fits) < 2:
        return TheoryFit(fits.get("eq3"), fits.get("composition"), refusal)
    one, other = fits["eq3"], fits["composition"]
    differences = interval(other.resampled - one.resampled)
    return TheoryFit(one, other, "", other.correlation - one.correlation, differences)


def _measured(
    profile: Any, data: Any, mean: Any, std: Any, data_dir: Any, options: dict[str, Any]
) -> tuple[FilterBank, np.ndarray, PatchBasis, PatchStatistics]:
    """Filters of the shape, energies, the basis that they are measured in, and the statistics it comes from."""
    if not (isinstance(profile, EnergyProfile) or is_numbers(profile)):
        bank = load_filters(profile)
        source = patch_statistics(data, data_dir, **{"channels": channels_of([bank]), **options})
        basis = source.basis(bank, mean, std)
        return bank, energy_profile(bank, basis).energy, basis, source
    given = profile.energy if isinstance(profile, EnergyProfile) else profile
    energy = as_numbers("the profile", given, "a vector of energies")
    source = patch_statistics(data, data_dir, **options)
    bank = source.example()
    if bank.weight.size != energy.size:
        channels = bank.weight.shape[1]
        size = kernel_size_of(energy.size, (channels, 1) if channels == 3 else (channels,))
        bank = zeros(energy.size // size**2, size)
    return bank, energy, source.basis(bank, mean, std), source


def stride_of(bank: FilterBank, given: int | None = None) -> int:
    """The stride that is given, else that of the filters, else 1."""
    if given is not None:
        return whole_number("stride", given, 1)
    down, across = bank.stride or (1, 1)
    if down != across:
        raise InputError(f"the layer has stride {bank.stride}; expected the same in both directions: give stride=")
    return down
