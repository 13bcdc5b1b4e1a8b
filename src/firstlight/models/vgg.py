"""VGG with batch normalisation for small images, from 5 to 16 layers deep.

Architecture, initialisation and the names in the state dict are those of `vgg11_bn` and its kin in
chenyaofo/pytorch-cifar-models, which the paper's authors trained: torchvision's VGG with a small classifier. Their
checkpoints load unchanged. The two shallow ones, 5 and 8 layers, are cut from the same cloth.
"""

import torch
from torch import Tensor, nn

from firstlight.errors import InputError

# Configurations A, B and D of Simonyan and Zisserman, and two that are shallower: the width of a convolution, or "M"
# for a maximum pooling. Three linear layers follow.
LAYERS: dict[int, tuple[int | str, ...]] = {
    5: (64, "M", 128, "M"),
    8: (64, "M", 128, "M", 256, "M", 512, "M", 512, "M"),
    11: (64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"),
    13: (64, 64, "M", 128, 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"),
    16: (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M"),
}
HIDDEN = 512  # units in each of the classifier's two hidden layers


class VGG(nn.Module):
    """VGG with batch normalisation; 9,756,426 parameters at depth 11, for 10 classes and RGB images.

    Parameters
    ----------
    depth : int
        A key of `LAYERS`.
    classes : int, optional
        Number of classes.
    channels : int, optional
        Channels of the images; 3 for RGB, 1 for grey.
    width : int, optional
        Number of first-layer filters.
    stride : int, optional
        Of the first layer. Above 1 its patches lie side by side, without padding, and a pooling keeps the half pixel at
        the border, so that the smaller maps survive five of them.
    """

    def __init__(self, depth: int, classes: int = 10, channels: int = 3, width: int = 64, stride: int = 1) -> None:
        super().__init__()
        layers = (width, *LAYERS[depth][1:])
        self.features = nn.Sequential(*_features(layers, channels, stride))
        self.classifier = nn.Sequential(
            nn.Linear([layer for layer in layers if isinstance(layer, int)][-1], HIDDEN),
            nn.ReLU(inplace=True),
            nn.Dropout(),
            nn.Linear(HIDDEN, HIDDEN),
            nn.ReLU(inplace=True),
            nn.Dropout(),
            nn.Linear(HIDDEN, classes),
        )
        self.depth = depth
        self.smallest_image = 2 ** layers.count("M") if stride == 1 else 3
        self.apply(_initialise)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, classes) of normalised images (N, C, H, W), at least 32 x 32 pixels from depth 8 on."""
        height, width = images.shape[-2:]
        least = self.smallest_image
        if min(height, width) < least:
            raise InputError(
                f"vgg{self.depth} was given images of {height} x {width} pixels; expected at least {least} x {least}, "
                "of which its layers leave one position: enlarge or pad the images, or train resnet20"
            )
        # One position is left of a 32 x 32 image, and its mean is itself; larger images are averaged.
        return self.classifier(self.features(images).mean(dim=(-2, -1)))


def _features(layers: tuple[int | str, ...], channels: int, stride: int) -> list[nn.Module]:
    modules: list[nn.Module] = []
    for index, layer in enumerate(layers):
        if isinstance(layer, str):
            modules.append(nn.MaxPool2d(kernel_size=2, stride=2, ceil_mode=stride > 1))
            continue
        strided = index == 0 and stride > 1
        modules.append(
            nn.Conv2d(channels, layer, kernel_size=3, stride=stride if strided else 1, padding=0 if strided else 1)
        )
        modules.append(nn.BatchNorm2d(layer))
        modules.append(nn.ReLU(inplace=True))
        channels = layer
    return modules


@torch.no_grad()
def _initialise(module: nn.Module) -> None:
    # Batch normalisation starts at weight 1 and bias 0 by itself.
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.01)
    if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
