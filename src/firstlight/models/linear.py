"""The depth-2 linear CNN in which the paper proves what a first layer learns."""

from torch import Tensor, nn


class LinearCNN(nn.Module):
    """Filters, global average pooling, and the sum over filters: one number an image.

    With `pbar(x)` the mean patch of image `x`, `yhat(x) = sum_k pbar(x) . w_k`. Every filter therefore
    receives the same gradient, and the network differs from linear regression on mean patches in its
    initialisation alone. Source: Chowers and Weiss, ICML 2023 (arXiv 2206.02454), section 4.

    Parameters
    ----------
    filters : int, optional
        Number K of filters.
    kernel_size : int, optional
        Side k of a filter in pixels; stride 1, no padding, no bias.
    channels : int, optional
        Channels C of the images.
    sigma : float, optional
        Standard deviation of the initial weights, which are normal with mean 0.
    """

    def __init__(self, filters: int = 64, kernel_size: int = 3, channels: int = 3, sigma: float = 1e-3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, filters, kernel_size, bias=False)
        nn.init.normal_(self.conv.weight, 0.0, sigma)

    def forward(self, images: Tensor) -> Tensor:
        """Predictions (N,) for images (N, C, H, W)."""
        return self.conv(images).mean(dim=(-2, -1)).sum(dim=1)
