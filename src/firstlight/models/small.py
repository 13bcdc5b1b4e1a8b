"""A small network, trained in a minute on a CPU, whose kernels after the first layer are 3 x 3 or 1 x 1.

Nothing lies between the first convolution and the second but normalisation and ReLU, so that what the second one adds
to the window of the first is its kernels' doing.
"""

from torch import Tensor, nn

WIDTHS = (16, 32)


class SmallNet(nn.Module):
    """Three convolutions and a linear layer; 7,802 parameters for 10 classes and RGB images, 1,658 with kernels 1 x 1.

    Parameters
    ----------
    later : int
        Side of the kernels after the first layer, odd.
    classes, channels, width, stride : int, optional
        As in `VGG`.
    """

    def __init__(self, later: int, classes: int = 10, channels: int = 3, width: int = 16, stride: int = 1) -> None:
        super().__init__()
        first, second = WIDTHS
        self.first = nn.Conv2d(channels, width, 3, stride=stride, padding=1 if stride == 1 else 0, bias=False)
        self.rest = nn.Sequential(
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            *_convolution(width, first, later),
            nn.MaxPool2d(2, ceil_mode=True),
            *_convolution(first, second, later),
        )
        self.linear = nn.Linear(second, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, classes) of normalised images (N, C, H, W); any size, averaged at the end."""
        return self.linear(self.rest(self.first(images)).mean(dim=(-2, -1)))


def _convolution(channels: int, width: int, size: int) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(channels, width, size, padding=size // 2, bias=False)
    return convolution, nn.BatchNorm2d(width), nn.ReLU(inplace=True)
