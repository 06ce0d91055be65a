"""VGG networks for small images (Li et al. 2018, section 3; Simonyan and Zisserman 2015)."""

from collections.abc import Sequence

from torch import nn

from landscape.errors import InputError
from landscape.networks.resnet import initialize

VGG9 = (64, 64, "M", 128, 128, "M", 256, 256, 256, "M")


def vgg(
    features: Sequence[int | str],
    hidden: int,
    in_channels: int = 3,
    image_size: int = 32,
    num_classes: int = 10,
) -> nn.Module:
    """3x3 convolutions with bias, batch norm and ReLU; one hidden layer with batch norm and ReLU; a linear layer.

    Args:
        features: channels of each convolution, `M` for a 2x2 max pooling.
        hidden: width of the hidden layer.

    Raises:
        InputError: if `features` holds something else, or more poolings than the image can bear.
    """
    layers: list[nn.Module] = []
    channels, size = in_channels, image_size
    for feature in features:
        if feature == "M":
            layers.append(nn.MaxPool2d(2))
            size //= 2
        elif isinstance(feature, int) and feature > 0:
            layers += [nn.Conv2d(channels, feature, 3, padding=1), nn.BatchNorm2d(feature), nn.ReLU()]
            channels = feature
        else:
            raise InputError(f"vgg's features have {feature!r}; allowed are numbers of channels and M")
    if size < 1:
        raise InputError(f"vgg's features halve an image of {image_size} x {image_size} to nothing; use fewer M")
    layers += [nn.Flatten(), nn.Linear(channels * size * size, hidden), nn.BatchNorm1d(hidden), nn.ReLU()]
    network = nn.Sequential(*layers, nn.Linear(hidden, num_classes))
    network.apply(initialize)
    return network


def vgg9(in_channels: int = 3, image_size: int = 32, num_classes: int = 10) -> nn.Module:
    """The paper's VGG-9: seven convolutions of 64 to 256 channels, a hidden layer of 256."""
    return vgg(VGG9, 256, in_channels, image_size, num_classes)
