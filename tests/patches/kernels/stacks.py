"""Stacks of images for the sums on a device, and what is summed of them."""

import numpy as np
import torch
from hypothesis import strategies as st

from firstlight.patches import PatchGeometry
from firstlight.patches.kernels import lag_sums, on_device

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (12, 3, 11, 14), dtype=np.uint8)
# 4096 tiles, more than a chunk, of 1 x 1 pixels.
WORST = {
    "white": np.full((1, 1, 64, 64), 255, np.uint8),
    "black": np.zeros((1, 1, 64, 64), np.uint8),  # -128 with the top bit flipped: the largest products
    "alternating": np.tile(np.array([[0, 255], [255, 0]], np.uint8), (1, 1, 32, 32)),
    "nearly black": np.where(np.arange(4096) == 2000, 1, 0).astype(np.uint8).reshape(1, 1, 64, 64),
}


def patch_sums(images: np.ndarray, kernel_size: int, stride: int, dilation: int = 1) -> tuple:
    return lag_sums.patch_sums(images, PatchGeometry(kernel_size, images.shape[1], stride, dilation))


def tensor_sums(images: torch.Tensor, kernel_size: int, stride: int, dilation: int = 1) -> tuple:
    return on_device.tensor_sums(images, PatchGeometry(kernel_size, images.shape[1], stride, dilation))


def assert_same(got: tuple, expected: tuple) -> None:
    assert got[2] == expected[2]
    for ours, theirs in zip(got[:2], expected[:2], strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)


def laid_out(images: np.ndarray, layout: str) -> torch.Tensor:
    """The same images in another memory layout; torch has no negative strides."""
    tensor = torch.from_numpy(images.copy())
    if layout == "NHWC":
        tensor = tensor.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    elif layout == "sliced":
        big = torch.full([2 * side + 1 for side in images.shape], 99, dtype=tensor.dtype)
        big[1::2, 1::2, 1::2, 1::2] = tensor
        tensor = big[1::2, 1::2, 1::2, 1::2]
    elif layout == "expanded":  # zero strides: the first image, several times
        tensor = tensor[:1].expand(tensor.shape)
    return tensor


@st.composite
def cases(draw: st.DrawFn) -> tuple[torch.Tensor, int, int, int]:
    kernel_size, stride = draw(st.integers(1, 16)), draw(st.integers(1, 9))
    dilation = draw(st.integers(1, 6 if kernel_size < 6 else 2))
    count, channels = draw(st.integers(1, 5)), draw(st.sampled_from([1, 2, 3, 4]))
    extent = (kernel_size - 1) * dilation + 1
    height, width = (extent + draw(st.integers(0, 40)) for _ in range(2))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    images = rng.integers(0, 256, (count, channels, height, width), dtype=np.uint8)
    return (
        laid_out(images, draw(st.sampled_from(["NCHW", "NHWC", "sliced", "expanded"]))),
        kernel_size,
        stride,
        dilation,
    )
