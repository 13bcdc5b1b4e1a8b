"""The networks that are compared, and their runs measured in the patches of the data that they were trained on."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from firstlight.experiments.shared.fits import change_profiles
from firstlight.patches import PatchBasis
from firstlight.profile import energy_profile
from firstlight.training import Run, RunSpec


@dataclass(frozen=True)
class Network:
    """What is trained with every seed: its name in tables, its title for people, and a spec a seed."""

    name: str
    title: str
    specs: list[RunSpec]


@dataclass(frozen=True, eq=False)
class Trained:
    """A finished run, measured in the patches of the data set that it was trained on.

    Attributes
    ----------
    network : Network
    run : Run
    basis : PatchBasis
    energies : mapping of int to ndarray of shape (D,)
        Energy of w(t) - w(0), by recorded step, step 0 left out.
    """

    network: Network
    run: Run
    basis: PatchBasis
    energies: Mapping[int, np.ndarray]

    @classmethod
    def of(cls, network: Network, run: Run, basis: PatchBasis) -> "Trained":
        """Measure a run."""
        return cls(network, run, basis, {step: profile.energy for step, profile in change_profiles(run, basis)})

    @property
    def deviation(self) -> np.ndarray:
        """λ of the patches, shape (D,)."""
        return np.sqrt(self.basis.variance)

    @property
    def initial(self) -> np.ndarray:
        """Energy of w(0), shape (D,)."""
        return energy_profile(self.run.initial, self.basis).energy

    @property
    def last(self) -> int:
        """The last step."""
        return max(self.energies)

    def accuracy(self, step: int) -> float:
        """Training accuracy over the batches up to a recorded step since the one before."""
        return float(self.run.metrics.train_accuracy.iloc[self.run.steps.tolist().index(step)])
