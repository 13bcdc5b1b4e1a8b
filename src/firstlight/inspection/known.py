"""What is kept of known networks, and where a first layer stands among them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Known:
    """A known network's first layer, seen with CIFAR-10's patches.

    Attributes
    ----------
    name : str
        Runs that differ in their seed alone have one name.
    family : str
        Its kind of architecture, such as "vgg".
    source : str
        Where it comes from.
    change : bool
        Whether the profile is that of the change since the initialisation.
    kernel : tuple of int
        Height and width of its filters.
    filters : int
    energy : tuple of float
        The profile, relative to its peak.
    fit, rank, whitening : float or None
        Correlation of the best fit of eq. 3; effective rank relative to the largest possible; distance from whitening.
    """

    name: str
    family: str
    source: str
    change: bool
    kernel: tuple[int, int]
    filters: int
    energy: tuple[float, ...]
    fit: float | None
    rank: float
    whitening: float | None


@dataclass(frozen=True)
class Standing:
    """Where a first layer stands among known networks.

    Attributes
    ----------
    nearest : Known
        The one whose profile is most alike.
    correlation : float
        With its profile.
    chance : float
        95% of random banks of as many filters stay below this with the one nearest to them.
    networks : int
        How many networks of that kernel size are known; runs of one network count once.
    shares : mapping of str to float
        Of them, the share with a lower "fit", "rank" and "whitening"; only what is known of it is in it.
    """

    nearest: Known
    correlation: float
    chance: float
    networks: int
    shares: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """In JSON's types; of the nearest its name, family and source."""
        nearest = {name: getattr(self.nearest, name) for name in ("name", "family", "source")}
        return {**asdict(self), "nearest": nearest}
