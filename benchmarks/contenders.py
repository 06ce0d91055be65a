"""The contenders: functions that measure the loss of a network at a point of a plane, over all images of a split."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from landscape import directions
from landscape.data.examples import Examples
from landscape.directions import Directions
from landscape.engine import device as devices
from landscape.engine.engine import Engine
from landscape.networks import building
from landscape.networks.torchvision_shim import with_torchvision
from landscape.store.weights import Weights

Point = Callable[[], float]
"""Move to a point, measure the loss there over the split, and return it."""

AT = (0.1, -0.05)
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)

NETWORKS: dict[str, tuple[str, dict[str, Any], int]] = {
    "ResNet-20": ("resnet", {"depth": 20}, 1024),
    "ResNet-56": ("resnet", {"depth": 56}, 1024),
    "VGG-9": ("vgg9", {}, 512),
    "DenseNet-121": ("densenet121", {}, 128),
}
"""Built-in networks, their arguments, and the number of images in a round."""


class Case:
    """A network with directions and random images, the same for each contender."""

    def __init__(self, name: str, images: int | None = None, device: str = "cpu"):
        network, args, rounds = NETWORKS[name]
        self.count = images or rounds
        generator = torch.Generator().manual_seed(0)
        self.pixels = torch.randint(0, 256, (self.count, 32, 32, 3), dtype=torch.uint8, generator=generator).numpy()
        self.labels = torch.randint(0, 10, (self.count,), generator=generator)
        place = torch.device(device)
        self.network = building.build(network, args, seed=0, images=(3, 32, 32), classes=10, device=place).eval()
        for tensor in self.network.state_dict().values():  # unlike their initial values, as after training
            if tensor.is_floating_point() and tensor.ndim == 1:
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
        self.theta: Weights = {name: tensor.detach().clone() for name, tensor in self.network.state_dict().items()}
        cpu = {name: tensor.cpu() for name, tensor in self.theta.items()}
        axes = building.filter_axes(self.network)
        pair = directions.random_pair(cpu, axes, 1, "filter", line=False)
        self.pair: Directions = {axis: {k: t.to(place) for k, t in step.items()} for axis, step in pair.items()}
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
        images_ = torch.from_numpy(self.pixels).permute(0, 3, 1, 2).float().div(255).sub(mean).div(std)
        self.split = Examples(images_.contiguous().to(place), self.labels.to(place))


def authors(case: Case) -> Point:
    """Run the authors' loop (github.com/tomgoldstein/loss-landscape).

    It sets parameters one by one and converts PIL images to normalised tensors at each pass, in a DataLoader with batches
    of 128 and no worker processes (their faster setting here).
    """
    transforms = with_torchvision(_transforms)
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize(MEAN, STD)])
    loader = DataLoader(_Pictures(case.pixels, case.labels, transform), batch_size=128, shuffle=False, num_workers=0)
    network = copy.deepcopy(case.network)
    parameters = dict(network.named_parameters())
    criterion = nn.CrossEntropyLoss()

    def point() -> float:
        for name, parameter in parameters.items():
            step = AT[0] * case.pair["alpha"][name] + AT[1] * case.pair["beta"][name]
            parameter.data = case.theta[name] + step
        network.eval()
        total, correct, count = 0.0, 0, 0
        with torch.no_grad():
            for inputs, targets in loader:
                outputs = network(inputs)
                total += criterion(outputs, targets).item() * len(inputs)
                correct += outputs.data.max(1)[1].eq(targets).sum().item()
                count += len(inputs)
        return total / count

    return point


def loss_landscapes(case: Case) -> Point:
    """Run the inner loop of `random_plane` of loss-landscapes 3: an addition in place and the metric.

    All images are one batch, as in its examples. Directions are drawn before, and gradients are switched off, unlike in
    its examples.
    """
    import loss_landscapes.metrics as metrics
    from loss_landscapes.model_interface.model_parameters import rand_u_like
    from loss_landscapes.model_interface.model_wrapper import wrap_model

    wrapper = wrap_model(copy.deepcopy(case.network).requires_grad_(False).eval())
    metric = metrics.Loss(nn.CrossEntropyLoss(), case.split.inputs, case.split.targets)
    start = wrapper.get_module_parameters()
    step = rand_u_like(start)
    step.filter_normalize_(start)
    step.mul_(1e-3)

    def point() -> float:
        with torch.no_grad():
            start.add_(step)
            loss = float(metric(wrapper))
            start.sub_(step)
        return loss

    return point


def plain(case: Case) -> Point:
    """Run the plain network over a resident tensor in batches of 128: the authors' loop without its loader."""
    network = copy.deepcopy(case.network)
    network.load_state_dict(_moved(case))

    def point() -> float:
        total = 0.0
        with torch.inference_mode():
            for images, labels in zip(case.split.inputs.split(128), case.split.targets.split(128), strict=True):
                total += functional.cross_entropy(network(images).double(), labels, reduction="sum").item()
        return total / case.count

    return point


def compiled(case: Case) -> Point:
    """Run `torch.compile` of the folded network, weights as inputs, in channels_last and the engine's batch size."""
    from landscape.engine.folding import fold

    folded = fold(case.network, case.split.inputs[:4])
    if folded is None:
        raise ValueError("the network does not fold")
    network: nn.Module = folded.network
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    network.load_state_dict(folded.centre(_moved(case)))
    run = torch.compile(network)
    size = Engine(case.network, case.theta, {}, {"train": case.split}).batch
    pictures = case.split.inputs.contiguous(memory_format=torch.channels_last)

    def point() -> float:
        total = 0.0
        with torch.inference_mode():
            for images, labels in zip(pictures.split(size), case.split.targets.split(size), strict=True):
                total += functional.cross_entropy(run(images).double(), labels, reduction="sum").item()
        return total / case.count

    return point


def ours(case: Case, **options: Any) -> Point:
    """Run the engine as a tile does, with loss, accuracy and standard errors."""
    devices.settle(torch.get_num_threads())
    engine = Engine(case.network, case.theta, case.pair, {"train": case.split}, **options)
    points = engine.measure(iter(lambda: AT, None))
    next(points)
    return lambda: next(points)[0]["train"].loss


def _moved(case: Case) -> Weights:
    from landscape.store.weights import displace

    return displace(case.theta, case.pair["alpha"], AT[0], case.pair["beta"], AT[1])


def _transforms() -> Any:
    from torchvision import transforms

    return transforms


class _Pictures(Dataset[tuple[Tensor, int]]):
    """Like torchvision's CIFAR10: converts an array to a PIL image and then to a tensor, one image at a time."""

    def __init__(self, pixels: np.ndarray, labels: Tensor, transform: Any):
        self._pixels, self._labels, self._transform = pixels, labels.tolist(), transform

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        from PIL import Image

        return self._transform(Image.fromarray(self._pixels[index])), self._labels[index]
