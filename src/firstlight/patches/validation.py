"""Images as the patch statistics need them, or a clear error."""

from typing import Any

import numpy as np

from firstlight.errors import InputError
from firstlight.patches.geometry import PatchGeometry
from firstlight.utils.text import counted

# Floating-point images are checked in pieces of about so many numbers.
_PIECE = 1 << 24


def validate_images(images: Any, geometry: PatchGeometry) -> np.ndarray:
    """The images as an array of a type that the lag kernel reads.

    Parameters
    ----------
    images : array_like or Tensor, shape (N, C, H, W), uint8 or floating
    geometry : PatchGeometry
        Of the patches that the images must have.

    Returns
    -------
    ndarray, shape (N, C, H, W)
        uint8, float32 or float64; a view where possible.

    Raises
    ------
    InputError
        Wrong rank, type or number of channels, no images, too small ones, NaN or infinity.
    """
    try:
        if hasattr(images, "detach"):  # a torch tensor, which may want gradients or lie on a GPU
            images = images.detach().cpu()
            # NumPy has no bfloat16, nor floats of 8 bits.
            images = images.float() if images.is_floating_point() and images.itemsize < 4 else images
        images = np.asarray(images)
    except (ValueError, TypeError, RuntimeError) as error:
        raise InputError(
            f"images cannot be read as one array ({error}); expected (N, C, H, W), all of one size"
        ) from None
    _validate_shape(images, geometry)
    if images.dtype == np.uint8:
        return images
    step = _step(images)
    for start in range(0, len(images), step):
        _require_finite(np.isfinite(images[start : start + step]).all(axis=(1, 2, 3)), start)
    # numba knows neither half precision nor the machine's long double.
    return images if images.dtype in (np.float32, np.float64) else images.astype(np.float64)


def lies_on_cuda(images: Any) -> bool:
    """Whether the images are a torch tensor on a CUDA device; found out without importing torch."""
    return hasattr(images, "detach") and images.device.type == "cuda"


def validate_tensor(images: Any, geometry: PatchGeometry) -> Any:
    """As `validate_images`, of a torch tensor, which stays on its device."""
    if str(images.layout) != "torch.strided":
        raise InputError(f"images are a tensor of layout {images.layout}; expected a dense one: use .to_dense()")
    images = images.detach()
    _validate_shape(images, geometry)
    if images.is_floating_point():
        step = _step(images)
        for start in range(0, len(images), step):
            finite = images[start : start + step].double().isfinite().flatten(1).all(dim=1)
            _require_finite(finite.cpu().numpy(), start)
    return images


def type_name(images: Any) -> str:
    """The type of an array's or a tensor's numbers, such as "uint8"."""
    return getattr(images.dtype, "name", None) or str(images.dtype).removeprefix("torch.")


def _validate_shape(images: Any, geometry: PatchGeometry) -> None:
    shape, kind = tuple(images.shape), type_name(images)
    if len(shape) != 4:
        raise InputError(
            f"images have {counted(len(shape), 'dimension')}, shape {shape}; expected 4, (N, C, H, W): "
            "add the missing axis, e.g. images[:, None] for grey images"
        )
    if kind != "uint8" and "float" not in kind:
        raise InputError(f"images are of type {kind}; expected uint8 in 0..255 or floats: convert with .astype or .to")
    if 0 in shape:
        raise InputError(f"images are empty, shape {shape}; expected at least one image")
    if shape[1] != geometry.channels:
        hint = "; this looks like (N, H, W, C): transpose(0, 3, 1, 2)" if shape[3] == geometry.channels else ""
        raise InputError(
            f"images have {counted(shape[1], 'channel')}, shape {shape}; expected {geometry.channels}, in (N, "
            f"C, H, W){hint}"
        )
    if min(shape[2:]) < geometry.extent:
        dilated = f"kernel size {geometry.kernel_size} with dilation {geometry.dilation}"
        reason = "the kernel size" if geometry.dilation == 1 else dilated
        raise InputError(
            f"images are {shape[2]} x {shape[3]} pixels; expected at least {reason}, {geometry.extent} x "
            f"{geometry.extent}"
        )


def _step(images: Any) -> int:
    return max(1, _PIECE // (images.shape[1] * images.shape[2] * images.shape[3]))


def _require_finite(finite: np.ndarray, start: int) -> None:
    if not finite.all():
        raise InputError(
            f"image {start + int(np.argmin(finite))} holds NaN or infinity; expected finite pixels: "
            "leave it out or repair it"
        )
