"""Fully connected networks on flattened images: small enough for a dense Hessian, and smooth with tanh or softplus."""

from collections.abc import Callable, Sequence
from typing import Literal, get_args

from torch import Tensor, nn

from landscape.errors import InputError, one_of

Activation = Literal["relu", "tanh", "softplus"]

_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh, "softplus": nn.Softplus}


def mlp(
    hidden: Sequence[int],
    activation: Activation = "relu",
    linear_std: float | None = None,
    in_channels: int = 3,
    image_size: int = 32,
    num_classes: int = 10,
) -> nn.Module:
    """Build linear layers with bias, and `activation` between them; `hidden: []` is multinomial logistic regression.

    Weights start Kaiming normal (fan in; gain 1 for tanh and in the last layer, ReLU's gain otherwise) or, with
    `linear_std`, normal with this deviation in every layer: small weights start near the saddle at the origin. Biases
    start at zero.

    Args:
        hidden: units of each hidden layer.
        linear_std: standard deviation of the initial weights.
        image_size: height and width of the images.

    Raises:
        InputError: if an argument has a wrong type or value.
    """
    if not isinstance(hidden, Sequence) or isinstance(hidden, str) or not all(map(_counts, hidden)):
        raise InputError(f"mlp's hidden is {hidden!r}; it must be a list of whole numbers of at least 1")
    if activation not in _ACTIVATIONS:
        raise InputError(f"mlp's activation is {activation!r}; it must be {one_of(get_args(Activation))}")
    if linear_std is not None and not _is_deviation(linear_std):
        raise InputError(f"mlp's linear_std is {linear_std!r}; it must be a number of at least 0 and below 100")
    network = MLP(hidden, activation, in_channels * image_size**2, num_classes)
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            gain = 1.0 if activation == "tanh" or layer is network.classifier else 2**0.5
            nn.init.normal_(layer.weight, std=gain / layer.in_features**0.5 if linear_std is None else linear_std)
            nn.init.zeros_(layer.bias)
    return network


class MLP(nn.Module):
    def __init__(self, hidden: Sequence[int], activation: Activation, inputs: int, num_classes: int):
        super().__init__()
        layers: list[nn.Module] = []
        for units in hidden:
            layers += [nn.Linear(inputs, units), _ACTIVATIONS[activation]()]
            inputs = units
        self.hidden = nn.Sequential(*layers)
        self.classifier = nn.Linear(inputs, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.hidden(x.flatten(1)))
        return logits


def _counts(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_deviation(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 100
