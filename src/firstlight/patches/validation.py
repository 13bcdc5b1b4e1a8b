"""Images as the patch statistics need them, or a clear error."""

from typing import Any

import numpy as np

from firstlight.errors import InputError

# Floating-point images are checked in pieces of about so many numbers.
_PIECE = 1 << 24


def validate_images(images: Any, channels: int, kernel_size: int, dilation: int = 1) -> np.ndarray:
    """The images as an array of a type that the lag kernel reads.

    Parameters
    ----------
    images : array_like or Tensor, shape (N, C, H, W), uint8 or floating
    channels, kernel_size, dilation : int
        What C must be; H and W must hold the kernel's taps, `dilation` apart.

    Returns
    -------
    ndarray, shape (N, C, H, W)
        uint8, float32 or float64; a view where possible.

    Raises
    ------
    InputError
        Wrong rank, type or number of channels, no images, too small ones, NaN or infinity.
    """
    if hasattr(images, "detach"):  # a torch tensor, which may want gradients or lie on a GPU
        images = images.detach().cpu()
    try:
        images = np.asarray(images)
    except (ValueError, TypeError) as error:
        raise InputError(
            f"images cannot be read as one array ({error}); expected (N, C, H, W), all of one size"
        ) from None
    if images.ndim != 4:
        raise InputError(
            f"images have {images.ndim} dimensions, shape {images.shape}; expected 4, (N, C, H, W): "
            "add the missing axis, e.g. images[:, None] for gray images"
        )
    if images.dtype != np.uint8 and not np.issubdtype(images.dtype, np.floating):
        raise InputError(f"images are of type {images.dtype}; expected uint8 in 0..255 or floats: convert with .astype")
    if images.size == 0:
        raise InputError(f"images are empty, shape {images.shape}; expected at least one image")
    if images.shape[1] != channels:
        hint = "; this looks like (N, H, W, C): transpose(0, 3, 1, 2)" if images.shape[3] == channels else ""
        raise InputError(
            f"images have {images.shape[1]} channels, shape {images.shape}; expected {channels}, in (N, C, H, W){hint}"
        )
    extent = (kernel_size - 1) * dilation + 1
    if min(images.shape[2:]) < extent:
        reason = "the kernel size" if dilation == 1 else f"kernel size {kernel_size} with dilation {dilation}"
        raise InputError(
            f"images are {images.shape[2]} x {images.shape[3]} pixels; expected at least {reason}, {extent} x {extent}"
        )
    if images.dtype == np.uint8:
        return images
    piece = max(1, _PIECE // images[0].size)
    for start in range(0, len(images), piece):
        finite = np.isfinite(images[start : start + piece]).all(axis=(1, 2, 3))
        if not finite.all():
            raise InputError(
                f"image {start + int(np.argmin(finite))} holds NaN or infinity; expected finite pixels: "
                "leave it out or repair it"
            )
    # numba knows neither half precision nor the machine's long double.
    return images if images.dtype in (np.float32, np.float64) else images.astype(np.float64)
