"""The first layer that a spec starts with, where it is not the network's own."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from firstlight.images import ImageSet
from firstlight.patches import PatchBasis, PatchMoments
from firstlight.theory.null import orthonormal_bases
from firstlight.training.random_numbers import FIRST_LAYER, seed_sequence
from firstlight.training.spec import RunSpec
from firstlight.training.spec_values import start_tau
from firstlight.whitening.initial_filters import whitening_filters
from firstlight.whitening.initialise import response


@torch.no_grad()
def start_first_layer(weight: Tensor, spec: RunSpec, train_set: ImageSet) -> None:
    """Start a first layer of weights (K, C, k, k) as a spec says, in place, on the images that it trains on.

    The mean square of its responses to their patches stays what the network's own initialisation gave.
    """
    moments = PatchMoments(weight.shape[-1], spec.channels, spec.stride).update(train_set.images)
    basis = moments.basis(spec.mean, spec.std)
    seed = int(seed_sequence(spec, FIRST_LAYER, 0).generate_state(1, np.uint64)[0])
    filters = first_filters(spec.first_layer, len(weight), basis, seed)
    own = response(weight.double().numpy(), basis)
    weight.copy_(torch.from_numpy(filters * np.sqrt(own / response(filters, basis))))


def first_filters(kind: str, count: int, basis: PatchBasis, seed: int) -> np.ndarray:
    """Filters (K, C, k, k) of one of the kinds of `RunSpec.first_layer`, of any size; in pairs where there is room."""
    if kind in ("orthogonal", "spectrum"):
        # Directions that know nothing of the patches; without the spectrum, nothing is left of these at all.
        (directions,) = orthonormal_bases(1, basis.size, seed)
        variance = basis.variance if kind == "spectrum" else np.ones(basis.size)
        return whitening_filters(replace(basis, components=directions, variance=variance), count, seed=seed + 1)
    if tau := start_tau(kind):
        return whitening_filters(basis, count, kind="eq3", tau=tau, seed=seed)
    return whitening_filters(basis, count, seed=seed)
