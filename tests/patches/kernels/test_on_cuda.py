"""The sums on CUDA. FIRSTLIGHT_GPU=cpu sums tensors on the CPU in the same way."""

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from tests.patches.kernels.stacks import IMAGES, RNG, WORST, assert_same, cases, patch_sums, tensor_sums
from tests.peak_memory import peak_memory

from firstlight.errors import InputError
from firstlight.patches import PatchMoments
from firstlight.patches.kernels import on_device as device

pytestmark = pytest.mark.gpu


@pytest.fixture(autouse=True, scope="module")
def tensors_are_summed_as_on_cuda(gpu: torch.device) -> Iterator[None]:
    """Also on the CPU: arrays alone are what the kernels of the CPU sum here."""
    with pytest.MonkeyPatch.context() as patch:
        if gpu.type == "cpu":
            patch.setattr("firstlight.patches.moments.lies_on_cuda", lambda images: hasattr(images, "detach"))
        yield


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=cases())
def test_cuda_moments_are_those_of_the_cpu(gpu: torch.device, case: tuple[torch.Tensor, int, int, int]):
    images, kernel_size, stride, dilation = case
    there = PatchMoments(kernel_size, images.shape[1], stride, dilation).update(images.to(gpu))
    assert there == PatchMoments(kernel_size, images.shape[1], stride, dilation).update(images.numpy())


@pytest.mark.usefixtures("precision")
@pytest.mark.parametrize("kernel_size", [1, 3, 7, 16])
def test_cuda_sums_do_not_depend_on_the_precision_of_matrix_products(gpu: torch.device, kernel_size: int):
    images = RNG.integers(0, 256, (3000, 3, 32, 32), dtype=np.uint8)
    expected = patch_sums(images, kernel_size, 1)
    assert_same(tensor_sums(torch.from_numpy(images).to(gpu), kernel_size, 1), expected)
    with torch.autocast(gpu.type, dtype=torch.float16):
        assert_same(tensor_sums(torch.from_numpy(images).to(gpu), kernel_size, 1), expected)


@pytest.mark.usefixtures("precision")
@pytest.mark.parametrize("name", WORST)
def test_cuda_sums_of_the_largest_products_are_exact(gpu: torch.device, name: str, monkeypatch: pytest.MonkeyPatch):
    images = np.repeat(WORST[name], 9, axis=0)
    assert_same(tensor_sums(torch.from_numpy(images).to(gpu), 3, 1), patch_sums(images, 3, 1))
    monkeypatch.setattr(device, "_tile_side", lambda *shape: 1)
    assert_same(tensor_sums(torch.from_numpy(images).to(gpu), 1, 1), patch_sums(images, 1, 1))


def test_cuda_and_cpu_moments_merge(gpu: torch.device):
    images = torch.from_numpy(IMAGES).to(gpu)
    parts = PatchMoments().update(images[:5]), PatchMoments().update(IMAGES[5:])
    assert parts[0] + parts[1] == PatchMoments().update(IMAGES)
    assert PatchMoments().update(IMAGES[:5]).update(images[5:]) == PatchMoments().update(IMAGES)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_cuda_sums_of_floats_are_those_of_the_cpu(gpu: torch.device, dtype: torch.dtype):
    images = torch.randn(200, 3, 32, 32, generator=torch.Generator().manual_seed(0)).to(dtype)
    there, here = PatchMoments(5).update(images.to(gpu)), PatchMoments(5).update(images.double().numpy())
    assert (there.dtype, there.count) == ("float64", here.count)
    assert np.abs(there.second - here.second).max() <= 1e-12 * here.second.max()
    np.testing.assert_array_equal(there.second, there.second.T)


@pytest.mark.parametrize("kernel_size", [1, 3, 7, 16])
def test_cuda_sums_of_a_large_stack_take_bounded_memory(gpu: torch.device, kernel_size: int):
    count = 100_000 if gpu.type == "cuda" else 10_000  # sooner done
    images = torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8, device=gpu)
    got = []
    assert peak_memory(gpu, lambda: got.append(tensor_sums(images, kernel_size, 1))) < 1 << 30
    assert_same(got[0], patch_sums(images.cpu().numpy(), kernel_size, 1))


def test_cuda_images_are_refused_as_others_are(gpu: torch.device):
    moments = PatchMoments().update(torch.from_numpy(IMAGES).to(gpu))
    for images, message in (
        (torch.full((2, 3, 8, 8), math.nan, device=gpu), "image 0 holds NaN"),
        (torch.zeros(2, 3, 8, 8, device=gpu), "images are float32, but these moments hold uint8"),
        (torch.zeros(2, 3, 8, 8, dtype=torch.int32, device=gpu), "type int32"),
    ):
        with pytest.raises(InputError, match=message):
            moments.update(images)
    with pytest.raises(InputError, match="pixels reach 1e\\+200 and their squares overflow"):
        PatchMoments().update(torch.full((2, 3, 8, 8), 1e200, dtype=torch.float64, device=gpu))
    assert moments == PatchMoments().update(IMAGES)
