"""A small fast network whose first layer is the 2 x 2 one that fast recipes for CIFAR-10 whiten.

After K. Jordan's airbench94 and D. Page's ResNet9 before it, narrower: a first convolution of 2 x 2 without padding,
with a bias and without batch normalisation, then three stages of two convolutions. Its linear layer is scaled as there.
"""

from torch import Tensor, nn

WIDTHS = (32, 64, 64)
SCALE = 1 / 9


class FastNet(nn.Module):
    """Three stages after a first layer of 24 filters of 2 x 2; 146,936 parameters for 10 classes and RGB images.

    Parameters
    ----------
    classes, channels, stride : int, optional
        As in `CifarResNet`.
    """

    def __init__(self, classes: int = 10, channels: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, 24, kernel_size=2, stride=stride)
        before = (24, *WIDTHS)
        self.stages = nn.Sequential(*(_stage(*widths) for widths in zip(before[:-1], WIDTHS, strict=True)))
        self.linear = nn.Linear(WIDTHS[-1], classes, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, classes) of normalised images (N, C, H, W), at least 2 x 2 pixels; the largest at the end."""
        x = self.stages(nn.functional.gelu(self.first(images)))
        return self.linear(x.amax(dim=(-2, -1))) * SCALE


def _stage(channels: int, width: int) -> nn.Sequential:
    # Pooled maps keep the pixels at the border, so that small images survive three stages.
    return nn.Sequential(
        nn.Conv2d(channels, width, kernel_size=3, padding=1, bias=False),
        nn.MaxPool2d(2, ceil_mode=True),
        nn.BatchNorm2d(width),
        nn.GELU(),
        nn.Conv2d(width, width, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.GELU(),
    )
