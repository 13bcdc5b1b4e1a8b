"""VGG11 with batch normalisation for images of 32 x 32 pixels, as the paper's authors trained it.

The architecture, the initialisation and the names in the state dict are those of `vgg11_bn` in
chenyaofo/pytorch-cifar-models: torchvision's VGG with a small classifier. Its checkpoints load unchanged.
"""

import torch
from torch import Tensor, nn

from firstlight.errors import InputError

# Configuration A of Simonyan and Zisserman: the width of a convolution, or "M" for a maximum pooling.
LAYERS: tuple[int | str, ...] = (64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M")
SMALLEST_IMAGE = 2 ** LAYERS.count("M")


class VGG11(nn.Module):
    """VGG11 with batch normalisation; 9,756,426 parameters for 10 classes and RGB images.

    Parameters
    ----------
    classes : number of classes.
    channels : channels of the images; 3 for RGB, 1 for gray.
    """

    def __init__(self, classes: int = 10, channels: int = 3) -> None:
        super().__init__()
        self.features = nn.Sequential(*_features(channels))
        self.classifier = nn.Sequential(
            nn.Linear(512, 512),
            nn.ReLU(inplace=True),
            nn.Dropout(),
            nn.Linear(512, 512),
            nn.ReLU(inplace=True),
            nn.Dropout(),
            nn.Linear(512, classes),
        )
        self.apply(_initialise)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, classes) of normalised images (N, C, H, W) of at least 32 x 32 pixels."""
        height, width = images.shape[-2:]
        if min(height, width) < SMALLEST_IMAGE:
            raise InputError(
                f"vgg11 was given images of {height} x {width} pixels: expected at least {SMALLEST_IMAGE} x "
                f"{SMALLEST_IMAGE}, which it halves five times; enlarge or pad the images, or train resnet20"
            )
        # One position is left of a 32 x 32 image, and its mean is itself; larger images are averaged.
        return self.classifier(self.features(images).mean(dim=(-2, -1)))


def _features(channels: int) -> list[nn.Module]:
    modules: list[nn.Module] = []
    for layer in LAYERS:
        if isinstance(layer, str):
            modules.append(nn.MaxPool2d(kernel_size=2, stride=2))
        else:
            modules.append(nn.Conv2d(channels, layer, kernel_size=3, padding=1))
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
