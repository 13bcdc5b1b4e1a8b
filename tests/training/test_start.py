"""First layers that start otherwise than the network has them."""

import numpy as np
import pytest
import torch

from firstlight.errors import InputError
from firstlight.images import load_images
from firstlight.models import build_model
from firstlight.patches import patch_basis
from firstlight.profile import energy_profile
from firstlight.training import RunSpec
from firstlight.training.start import first_filters, start_first_layer
from firstlight.training.trainer import first_layer
from firstlight.whitening.initialise import initialise_first_layer, response


@pytest.fixture(scope="module")
def photos():
    return load_images("photos").subset(200)


@pytest.fixture(scope="module")
def basis(photos):
    return patch_basis(photos, 3)


def layer(photos, kind: str, model: str = "vgg5", seed: int = 0) -> torch.nn.Conv2d:
    spec = RunSpec.for_data(model, photos, photos, steps=1, seed=seed, batch_size=32, first_layer=kind)
    torch.manual_seed(0)
    conv = first_layer(build_model(model))
    start_first_layer(conv.weight, spec, photos)
    return conv


def test_pca_is_what_initialise_first_layer_does(photos):
    torch.manual_seed(0)
    model = build_model("fastnet")
    initialise_first_layer(model, photos, mean=photos.mean, std=photos.std)
    ours = layer(photos, "pca", "fastnet")
    torch.testing.assert_close(ours.weight, first_layer(model).weight, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("kind", ["pca", "eq3:4", "orthogonal", "spectrum"])
@pytest.mark.parametrize("model", ["fastnet", "vgg5", "resnet20"])
def test_the_responses_are_as_large_as_by_default_and_seeds_differ(photos, kind, model):
    started = layer(photos, kind, model).weight.detach().double().numpy()
    torch.manual_seed(0)
    own = first_layer(build_model(model)).weight.detach().double().numpy()
    basis = patch_basis(photos, started.shape[-1])
    assert response(started, basis) == pytest.approx(response(own, basis), rel=1e-5)
    assert np.array_equal(started, layer(photos, kind, model).weight.detach().numpy())
    other = layer(photos, kind, model, seed=1).weight.detach().numpy()
    # Without rotations there is nothing to draw.
    drawn = kind in ("orthogonal", "spectrum") or len(started) > 2 * basis.size
    assert np.allclose(started, other) != drawn


def test_orthogonal_filters_are_orthonormal_and_of_the_spectrum_have_its_norms_along_other_directions(basis):
    orthogonal = first_filters("orthogonal", 27, basis, 0).reshape(27, 27)
    gram = orthogonal @ orthogonal.T
    np.testing.assert_allclose(gram, gram[0, 0] * np.eye(27), atol=1e-12)
    pca, spectrum = (first_filters(kind, 27, basis, 0).reshape(27, 27) for kind in ("pca", "spectrum"))
    np.testing.assert_allclose(np.linalg.norm(pca, axis=1), np.linalg.norm(spectrum, axis=1), rtol=1e-12)
    white, control = (energy_profile(bank.reshape(27, 3, 3, 3), basis).energy for bank in (pca, spectrum))
    whole = white * np.sqrt(basis.variance)
    assert whole.max() / whole.min() < 1.5  # of whitening filters every component has its share, but for eps
    shares = control * np.sqrt(basis.variance)
    assert shares.max() / shares.min() > 5


@pytest.mark.parametrize("kind", ["whitening", "eq3", "eq3:0", "eq3:4.0", "eq3:04", "eq3:-1", "eq3:inf", 3, None])
def test_a_start_has_one_spelling(photos, kind):
    with pytest.raises(InputError, match=r"first_layer is .*; expected one of default, pca, eq3:TAU, .*TAU above 0"):
        RunSpec.for_data("vgg5", photos, photos, steps=1, seed=0, first_layer=kind)
