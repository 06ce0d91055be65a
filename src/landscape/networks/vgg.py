"""VGG networks for small images, with batch norm (Li et al. 2018), group norm, or none."""

from collections.abc import Sequence

from torch import Tensor, nn

from landscape.errors import InputError
from landscape.networks import norms
from landscape.networks.building import initialize
from landscape.networks.norms import Norm, norm_1d, norm_2d

VGG9 = (64, 64, "M", 128, 128, "M", 256, 256, 256, "M")


def vgg9(norm: Norm = "batch", in_channels: int = 3, image_size: int = 32, num_classes: int = 10) -> nn.Module:
    """Build seven convolutions and two linear layers, with 256 hidden units."""
    return vgg(VGG9, 256, norm, in_channels, image_size, num_classes)


def vgg(
    features: Sequence[int | str],
    hidden: int,
    norm: Norm = "batch",
    in_channels: int = 3,
    image_size: int = 32,
    num_classes: int = 10,
) -> nn.Module:
    """Build 3x3 convolutions and a hidden linear layer, each with bias, batch norm and ReLU, and a last linear layer.

    `norm="group"` puts group norm in the place of batch norm (`landscape.networks.norms`). `norm="none"` has no norm; then
    the hidden layer starts Kaiming normal, since no norm rescales the output of the paper's N(0, 1e-3).

    Args:
        features: channels of each convolution, in order, and "M" for a 2x2 max pooling.
        hidden: units of the hidden linear layer.
        image_size: height and width of the images.

    Raises:
        InputError: if `features` has other values or too many poolings for the images, or an argument is wrong.
    """
    convolutions = [feature for feature in features if feature != "M"]
    if not convolutions or not all(map(_counts, convolutions)):
        raise InputError(f"vgg's features are {features!r}; they must be a list of channel numbers and M")
    if not _counts(hidden):
        raise InputError(f"vgg's hidden is {hidden!r}; it must be a whole number of at least 1")
    poolings = list(features).count("M")
    if image_size >> poolings < 1:
        raise InputError(f"vgg's features halve images of size {image_size} {poolings} times, to nothing; use fewer M")
    norms.check(norm, "vgg")
    network = VGG(features, hidden, norm, in_channels, image_size >> poolings, num_classes)
    initialize(network)
    if norm == "none":
        nn.init.kaiming_normal_(network.get_parameter("fc.0.weight"))
    return network


class VGG(nn.Module):
    """Parameters have the names of the authors' code, so that their weights fit."""

    def __init__(
        self,
        features: Sequence[int | str],
        hidden: int,
        norm: Norm,
        in_channels: int,
        final_size: int,
        num_classes: int,
    ):
        super().__init__()
        layers: list[nn.Module] = []
        channels = in_channels
        for feature in features:
            if isinstance(feature, str):
                layers.append(nn.MaxPool2d(2))
            else:
                layers += [nn.Conv2d(channels, feature, 3, padding=1), norm_2d(norm, feature), nn.ReLU()]
                channels = feature
        self.features = nn.Sequential(*layers)
        self.fc = nn.Sequential(nn.Linear(channels * final_size**2, hidden), norm_1d(norm, hidden), nn.ReLU())
        self.classifier = nn.Linear(hidden, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.fc(self.features(x).flatten(1)))
        return logits


def _counts(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
