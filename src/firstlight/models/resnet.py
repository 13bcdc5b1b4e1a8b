"""ResNet20 for CIFAR, as He et al. define it (arXiv 1512.03385, section 4.2), with parameter-free shortcuts.

Names in the state dict and the initialisation are those of akamaster/pytorch_resnet_cifar10, whose published
checkpoints load unchanged once the `module.` prefix of DataParallel is gone.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTHS = (16, 32, 64)
BLOCKS_PER_STAGE = 3  # 3 stages of 3 blocks of 2 convolutions, the first convolution and the linear layer: 20


class ResNet20(nn.Module):
    """ResNet20 with option A shortcuts; 269,722 parameters for 10 classes and RGB images.

    Parameters
    ----------
    classes : number of classes.
    channels : channels of the images; 3 for RGB, 1 for gray.
    """

    def __init__(self, classes: int = 10, channels: int = 3) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, WIDTHS[0], kernel_size=3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTHS[0])
        self.layer1 = _stage(WIDTHS[0], WIDTHS[0], stride=1)
        self.layer2 = _stage(WIDTHS[0], WIDTHS[1], stride=2)
        self.layer3 = _stage(WIDTHS[1], WIDTHS[2], stride=2)
        self.linear = nn.Linear(WIDTHS[2], classes)
        self.apply(_initialise)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, classes) of normalised images (N, C, H, W); any size, averaged at the end."""
        x = F.relu(self.bn1(self.conv1(images)), inplace=True)
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(x.mean(dim=(-2, -1)))


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut that has no parameters."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, kernel_size=3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, kernel_size=3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)
        out = self.bn2(self.conv2(out))
        out += self._shortcut(x)
        return F.relu(out, inplace=True)

    def _shortcut(self, x: Tensor) -> Tensor:
        # Option A: every second pixel, and zeros on both sides of the channels.
        stride = self.conv1.stride[0]
        if stride == 1:
            return x
        added = self.conv1.out_channels - self.conv1.in_channels
        return F.pad(x[:, :, ::stride, ::stride], (0, 0, 0, 0, added // 2, added - added // 2))


def _stage(channels: int, width: int, stride: int) -> nn.Sequential:
    first = BasicBlock(channels, width, stride)
    return nn.Sequential(first, *(BasicBlock(width, width, 1) for _ in range(BLOCKS_PER_STAGE - 1)))


@torch.no_grad()
def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(module.weight)
