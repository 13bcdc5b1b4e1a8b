"""The depth-2 linear CNN against its definition on patches."""

import pytest
import torch
import torch.nn.functional as F

from firstlight.models import LinearCNN


@pytest.mark.parametrize(("channels", "kernel_size", "size"), [(3, 3, (9, 7)), (1, 5, (8, 8)), (2, 1, (4, 4))])
def test_prediction_is_the_mean_patch_times_the_filters(channels, kernel_size, size):
    torch.manual_seed(0)
    model = LinearCNN(filters=5, kernel_size=kernel_size, channels=channels, sigma=1.0).double()
    images = torch.randn(4, channels, *size, dtype=torch.float64)
    mean_patch = F.unfold(images, kernel_size).mean(dim=2)
    expected = (mean_patch @ model.conv.weight.flatten(1).T).sum(dim=1)
    torch.testing.assert_close(model(images), expected, rtol=0, atol=1e-12)


def test_every_filter_gets_the_same_gradient():
    torch.manual_seed(0)
    model = LinearCNN(filters=6, sigma=0.5).double()
    images, targets = torch.randn(8, 3, 10, 10, dtype=torch.float64), torch.randn(8, dtype=torch.float64)
    F.mse_loss(model(images), targets).backward()
    gradient = model.conv.weight.grad
    assert gradient is not None
    assert gradient.abs().max() > 1e-3
    torch.testing.assert_close(gradient, gradient[:1].expand_as(gradient), rtol=0, atol=1e-14)


def test_sigma_is_the_spread_of_the_initial_weights():
    torch.manual_seed(0)
    weight = LinearCNN(filters=4096, sigma=0.02).conv.weight
    assert weight.std().item() == pytest.approx(0.02, rel=0.01)
