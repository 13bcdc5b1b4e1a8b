"""First layers that start as whitening filters: against the definition of those who do it, and by what they respond."""

from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

import firstlight as fl
from firstlight.errors import InputError
from firstlight.whitening.initialise import response

RNG = np.random.default_rng(0)
IMAGES = fl.load_images("photos")
MOMENTS = fl.PatchMoments(2, 3).update(IMAGES.images)
BASIS = fl.PatchMoments(3, 3).update(IMAGES.images).basis(IMAGES.mean, IMAGES.std)


def basis_of(images: np.ndarray) -> fl.PatchBasis:
    return fl.PatchMoments(3, 3).update(images).basis()


def covariance(weight: np.ndarray, basis: fl.PatchBasis) -> np.ndarray:
    """Second moments of the responses of filters to patches."""
    coefficients = weight.reshape(len(weight), -1) @ basis.components.T
    return coefficients * basis.variance @ coefficients.T


def test_pairs_are_what_the_fast_networks_for_cifar_10_begin_with():
    """From the patches themselves, as K. Jordan's airbench does it."""
    images = torch.from_numpy(IMAGES.images[:200].copy()).double() / 255
    mean, std = (torch.tensor(part, dtype=torch.float64).view(1, 3, 1, 1) for part in (IMAGES.mean, IMAGES.std))
    patches = ((images - mean) / std).unfold(2, 2, 1).unfold(3, 2, 1).transpose(1, 3).reshape(-1, 3, 2, 2)
    flat = patches.view(len(patches), -1)
    values, vectors = torch.linalg.eigh(flat.T @ flat / len(flat), UPLO="U")
    scaled = vectors.T.reshape(-1, 3, 2, 2) / torch.sqrt(values.view(-1, 1, 1, 1) + 5e-4)
    expected = torch.cat([scaled.flip(0), -scaled.flip(0)]).numpy()
    found = fl.whitening_filters(fl.PatchMoments(2, 3).update(IMAGES.images[:200]), mean=IMAGES.mean, std=IMAGES.std)
    signs = np.sign(np.sum(found * expected, axis=(1, 2, 3), keepdims=True))
    np.testing.assert_allclose(found * signs, expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(found[12:], -found[:12])


@pytest.mark.parametrize("kind", ["pca", "zca", "eq3"])
def test_a_whole_set_whitens_and_so_do_its_rotations(kind: Any):
    weight = fl.whitening_filters(BASIS, 6 * 27, kind=kind, eps=0, seed=3)
    for place in range(0, len(weight), 27):
        np.testing.assert_allclose(covariance(weight[place : place + 27], BASIS), np.eye(27), atol=1e-9)
    np.testing.assert_allclose(weight[27:54], -weight[:27])
    assert abs(weight[54:81] - weight[:27]).max() > 0.1
    np.testing.assert_allclose(fl.energy_profile(weight, BASIS).energy, np.sqrt(1 / 27 / BASIS.variance), rtol=1e-9)
    np.testing.assert_array_equal(weight, fl.whitening_filters(BASIS, 6 * 27, kind=kind, eps=0, seed=3))


def test_zca_is_symmetric_and_its_first_filters_are_about_the_centre():
    weight = fl.whitening_filters(BASIS, 27, kind="zca", eps=0)
    matrix = (BASIS.components.T / np.sqrt(BASIS.variance)) @ BASIS.components
    expected = [matrix.reshape(27, 3, 3, 3)[np.ravel_multi_index((colour, 1, 1), (3, 3, 3))] for colour in range(3)]
    np.testing.assert_allclose(weight[:3], expected, atol=1e-9)


def test_fewer_are_the_leading_ones_and_eq_3_has_its_profile():
    np.testing.assert_array_equal(fl.whitening_filters(BASIS, 5), fl.whitening_filters(BASIS, 27)[:5])
    weight = fl.whitening_filters(BASIS, 27, kind="eq3", tau=3.0)
    expected = fl.linear_cnn_profile(BASIS.variance, 3.0) / np.sqrt(27)
    np.testing.assert_allclose(fl.energy_profile(weight, BASIS).energy, expected, rtol=1e-9)
    without = fl.whitening_filters(BASIS, 54, pairs=False)
    np.testing.assert_array_equal(without[:27], weight := fl.whitening_filters(BASIS, 27))
    assert abs(without[27:] + weight).max() > 0.1


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(3, 16, 3),
        nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False),
        nn.Conv2d(3, 40, 16, stride=16),
        nn.Conv2d(3, 8, (3, 5), padding_mode="reflect"),
        nn.Conv2d(3, 200, 3, dtype=torch.bfloat16),
    ],
    ids=str,
)
@pytest.mark.parametrize("freeze", [False, True])
def test_a_layer_is_started_in_place_at_its_own_scale(conv: nn.Conv2d, freeze: bool):
    model = nn.Sequential(conv, nn.ReLU())
    before = {name: value.clone() for name, value in model.state_dict().items()}
    basis = fl.patch_statistics("photos").basis(fl.load_filters(model))
    bank = fl.initialise_first_layer(model, "photos", freeze=freeze)
    assert conv.weight.requires_grad == (not freeze)
    assert bank.weight.shape == tuple(conv.weight.shape)
    own = before["0.weight"].double().numpy()
    digits = 1e-2 if conv.weight.dtype == torch.bfloat16 else 1e-5
    assert response(bank.weight, basis) == pytest.approx(response(own, basis), rel=digits)
    if conv.bias is not None:
        assert torch.equal(conv.bias, before["0.bias"])
    parts = fl.whitening_filters(basis, len(bank)).reshape(len(bank), -1)
    ratio = bank.weight.reshape(len(bank), -1) / parts
    assert np.median(abs(ratio / np.median(ratio) - 1)) < digits


def test_a_compiled_network_is_started_too():
    model = nn.Sequential(nn.Conv2d(3, 8, 3))
    fl.initialise_first_layer(cast(nn.Module, torch.compile(model, backend="eager")), BASIS)
    assert fl.load_filters(model).weight[0].ravel() @ BASIS.components[0] > 0.1


def test_components_that_no_image_has_are_left_out():
    grey = np.repeat(IMAGES.images[:50, :1], 3, axis=1)
    basis = fl.PatchMoments(3, 3).update(grey).basis()
    weight = fl.whitening_filters(basis, eps=0)
    assert len(weight) == 18
    assert abs(weight - weight.mean(axis=1, keepdims=True)).max() < 1e-6


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"kind": "lda"}, "kind is 'lda'; expected one of pca, zca, eq3"),
        ({"eps": -1.0}, "eps is -1.0; expected a number of at least 0"),
        ({"filters": 0}, "filters is 0; expected a whole number of at least 1"),
        ({"kind": "eq3", "tau": 0.0}, "tau is 0.0; expected a time above 0"),
        ({"kind": "eq3", "tau": float("nan")}, "tau"),
        ({"basis": fl.PatchMoments(3, 3).update(RNG.integers(0, 256, (1, 3, 5, 5), np.uint8)).basis()}, "too few for"),
        (
            {"basis": fl.PatchMoments(3, 3).update(np.zeros((9, 3, 9, 9), np.uint8)).basis()},
            "no component of the basis",
        ),
    ],
)
def test_what_gives_no_filters_is_refused(options: dict[str, Any], told: str):
    given: dict[str, Any] = {"basis": BASIS} | options
    with pytest.raises(InputError, match=told):
        fl.whitening_filters(**given)


def with_nan(conv: nn.Conv2d) -> nn.Module:
    nn.init.constant_(conv.weight, float("nan"))
    return nn.Sequential(conv)


class Standardised(nn.Conv2d):
    def forward(self, input: torch.Tensor) -> torch.Tensor:
        weight = self.weight - self.weight.mean(dim=(1, 2, 3), keepdim=True)
        return self._conv_forward(input, weight, self.bias)


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (nn.Linear(3, 4), "convolution"),
        (nn.Sequential(nn.LazyConv2d(4, 3)), "lazy layer without weights"),
        (nn.Sequential(nn.Conv2d(12, 4, 3)), "12"),
        (nn.Sequential(nn.Conv2d(3, 6, 3, groups=3)), "3 groups"),
        (nn.Sequential(weight_norm(nn.Conv2d(3, 4, 3))), "is computed from what it stores"),
        (nn.Sequential(Standardised(3, 4, 3)), "is computed from what it stores"),
        (with_nan(nn.Conv2d(3, 4, 3)), "NaN"),
    ],
    ids=["linear", "lazy", "channels", "groups", "weight norm", "standardised", "nan"],
)
def test_a_network_that_cannot_be_started_stays_as_it_is(model: nn.Module, told: str):
    lazy = any(isinstance(parameter, nn.UninitializedParameter) for parameter in model.parameters())
    before = {} if lazy else {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(fl.FirstlightError, match=told):
        fl.initialise_first_layer(model, "photos")
    for name, value in before.items():
        torch.testing.assert_close(model.state_dict()[name], value, rtol=0, atol=0, equal_nan=True)
