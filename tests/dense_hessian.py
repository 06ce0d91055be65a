"""Small networks whose Hessian is computed whole, in float64, from the loss written down a second time."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, hessian
from torch.nn import functional

from landscape.data.datasets import DataSet
from landscape.data.examples import Examples
from landscape.directions import Axes
from landscape.networks import building
from landscape.store.weights import Weights

CLASSES = 3


def convolutional(activation: nn.Module) -> nn.Module:
    """One convolution with batch norm and a linear layer, of images (1, 4, 4): 42 weights in filters, 50 in all."""
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, bias=False),
        nn.BatchNorm2d(3),
        activation,
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(3, CLASSES),
    )


def connected(activation: nn.Module) -> nn.Module:
    """Two linear layers: 57 weights in filters, 63 in all."""
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 3), activation, nn.Linear(3, CLASSES))


class Example:
    """A network in eval mode with drawn weights and data: `theta`, `axes`, `dataset`."""

    def __init__(self, network: nn.Module, images: int = 40, seed: int = 0):
        generator = torch.Generator().manual_seed(seed)
        self.network = network.eval()
        self.theta: Weights = {
            name: self._drawn(name, tensor, generator) for name, tensor in network.state_dict().items()
        }
        self.axes: Axes = building.filter_axes(network)
        pixels = torch.randn(images, 1, 4, 4, generator=generator)
        labels = torch.randint(0, CLASSES, (images,), generator=generator)
        self.dataset = DataSet(Examples(pixels, labels), None, CLASSES, torch.zeros(1), {})

    @staticmethod
    def _drawn(name: str, tensor: Tensor, generator: torch.Generator) -> Tensor:
        if not tensor.is_floating_point():
            return tensor
        drawn = torch.randn(tensor.shape, generator=generator)
        if tensor.ndim > 1:  # filters of different lengths
            return drawn * (0.2 + torch.rand(len(drawn), *[1] * (tensor.ndim - 1), generator=generator))
        return drawn.abs() + 0.5 if name.endswith("running_var") else drawn

    def names(self, parameters: str = "filters") -> list[str]:
        return [name for name, axis in self.axes.items() if axis is not None or parameters == "all"]

    def dense(self, parameters: str = "filters", theta: Weights | None = None) -> np.ndarray:
        """The Hessian of the mean cross-entropy over the chosen parameters, (size, size)."""
        weights = {name: t.double() if t.is_floating_point() else t for name, t in (theta or self.theta).items()}
        chosen = {name: weights[name] for name in self.names(parameters)}
        flat = torch.cat([tensor.reshape(-1) for tensor in chosen.values()])
        sizes = [tensor.numel() for tensor in chosen.values()]
        images, labels = self.dataset.train.inputs.double(), self.dataset.train.targets

        def loss(vector: Tensor) -> Tensor:
            parts = vector.split(sizes)
            moved = {name: part.view(chosen[name].shape) for name, part in zip(chosen, parts, strict=True)}
            return functional.cross_entropy(functional_call(self.network, weights | moved, images), labels)

        found: np.ndarray = hessian(loss)(flat).numpy()
        return found

    def lengths(self, parameters: str = "filters", theta: Weights | None = None) -> np.ndarray:
        """D: ||theta_ij|| / sqrt(n_ij) for each chosen weight, (size,), filters being rows; 0 without filters."""
        parts: list[np.ndarray] = []
        for name in self.names(parameters):
            tensor = (theta or self.theta)[name].double().numpy()
            for row in tensor if tensor.ndim > 1 else [tensor]:
                length = np.linalg.norm(row) / row.size**0.5 if tensor.ndim > 1 else 0.0
                parts.append(np.full(row.size, length))
        return np.concatenate(parts)

    def dense_scaled(self, parameters: str = "filters", theta: Weights | None = None) -> np.ndarray:
        """D H D."""
        lengths = self.lengths(parameters, theta)
        found: np.ndarray = lengths[:, None] * self.dense(parameters, theta) * lengths
        return found


def flat(weights: Weights, names: Sequence[str]) -> np.ndarray:
    return np.concatenate([weights[name].double().numpy().ravel() for name in names])
