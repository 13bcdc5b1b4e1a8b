"""ResNets for small images: ResNet20 and 32 for CIFAR, ResNet20-B, and ResNet18 with a first layer of 3 x 3.

ResNet20 and 32 are as He et al. define them (arXiv 1512.03385, section 4.2), with parameter-free shortcuts; names in
the state dict and the initialisation are those of akamaster/pytorch_resnet_cifar10, whose published checkpoints load
unchanged once the `module.` prefix of DataParallel is gone. ResNet20-B has the shortcuts and the initialisation of the
`resnet20` in chenyaofo/pytorch-cifar-models, which the paper's authors trained. ResNet18 is that of
kuangliu/pytorch-cifar: He et al.'s for ImageNet with a first layer of 3 x 3 and stride 1, no pooling after it, and
PyTorch's own initialisation.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class CifarResNet(nn.Module):
    """ResNet20 (3 blocks a stage) or ResNet32 (5), 16 to 64 wide; 269,722 and 464,154 parameters for 10 classes.

    Projected, ResNet20 is ResNet20-B, of 272,474 parameters, and starts otherwise: its convolutions are Kaiming's of
    the fan out, not the fan in, and its linear layer is torch's own.

    Parameters
    ----------
    blocks : int
        Blocks in each of the three stages.
    classes : int, optional
        Number of classes.
    channels : int, optional
        Channels of the images; 3 for RGB, 1 for grey.
    stride : int, optional
        Of the first layer; above 1 its patches lie side by side, without padding.
    projected : bool, optional
        Whether a shortcut is a 1 x 1 convolution where sizes change.
    """

    def __init__(
        self, blocks: int, classes: int = 10, channels: int = 3, stride: int = 1, projected: bool = False
    ) -> None:
        super().__init__()
        # A seed's filters follow from all that is built: each layer draws its own initialisation in this order, and
        # only then does `apply` draw the first layer's, before any other.
        self.conv1 = _first_layer(channels, 16, stride)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = _stage(blocks, 16, 16, stride=1, projected=projected)
        self.layer2 = _stage(blocks, 16, 32, stride=2, projected=projected)
        self.layer3 = _stage(blocks, 32, 64, stride=2, projected=projected)
        self.linear = nn.Linear(64, classes)
        self.apply(_initialise_fan_out if projected else _initialise)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, classes) of normalised images (N, C, H, W); any size, averaged at the end."""
        x = F.relu(self.bn1(self.conv1(images)), inplace=True)
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(x.mean(dim=(-2, -1)))


class ResNet18(nn.Module):
    """ResNet18 for small images, 64 to 512 wide; 11,173,962 parameters for 10 classes and RGB images.

    Parameters
    ----------
    classes, channels, stride : int, optional
        As in `CifarResNet`.
    """

    def __init__(self, classes: int = 10, channels: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = _first_layer(channels, 64, stride)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = _stage(2, 64, 64, stride=1, projected=True)
        self.layer2 = _stage(2, 64, 128, stride=2, projected=True)
        self.layer3 = _stage(2, 128, 256, stride=2, projected=True)
        self.layer4 = _stage(2, 256, 512, stride=2, projected=True)
        self.linear = nn.Linear(512, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, classes) of normalised images (N, C, H, W); any size, averaged at the end."""
        x = F.relu(self.bn1(self.conv1(images)), inplace=True)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.linear(x.mean(dim=(-2, -1)))


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut.

    Parameters
    ----------
    channels, width : int
        Channels before and after.
    stride : int
        Of the first convolution and of the shortcut.
    projected : bool, optional
        Whether the shortcut is a 1 x 1 convolution where sizes change (option B); else it has no parameters: every
        second pixel, and zeros on both sides of the channels (option A).
    """

    def __init__(self, channels: int, width: int, stride: int, projected: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, kernel_size=3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, kernel_size=3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1:
            self.shortcut = _projection(channels, width, stride) if projected else _Padding(width - channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)
        out = self.bn2(self.conv2(out))
        out += self.shortcut(x)
        return F.relu(out, inplace=True)


class _Padding(nn.Module):
    def __init__(self, added: int, stride: int) -> None:
        super().__init__()
        self.padding = (0, 0, 0, 0, added // 2, added - added // 2)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x[:, :, :: self.stride, :: self.stride], self.padding)


def _projection(channels: int, width: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, width, kernel_size=1, stride=stride, bias=False), nn.BatchNorm2d(width))


def _first_layer(channels: int, width: int, stride: int) -> nn.Conv2d:
    padding = 1 if stride == 1 else 0
    return nn.Conv2d(channels, width, kernel_size=3, stride=stride, padding=padding, bias=False)


def _stage(blocks: int, channels: int, width: int, stride: int, projected: bool) -> nn.Sequential:
    first = BasicBlock(channels, width, stride, projected)
    return nn.Sequential(first, *(BasicBlock(width, width, 1, projected) for _ in range(blocks - 1)))


@torch.no_grad()
def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(module.weight)


@torch.no_grad()
def _initialise_fan_out(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
