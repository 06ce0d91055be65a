"""The built-in networks, and a second implementation of each."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from landscape.networks import building
from landscape.store.weights import Weights

CIFAR = (3, 32, 32)
DIGITS = (1, 8, 8)


def build(
    network: str, images: tuple[int, int, int] = CIFAR, device: str = "cpu", seed: int = 0, **args: Any
) -> nn.Module:
    return building.build(network, args, seed=seed, images=images, classes=10, device=device)


CHANNELS_A_GROUP = {4: 2, 5: 5, 6: 2, 8: 2, 10: 2, 16: 2, 20: 2, 32: 2, 64: 2, 128: 4, 256: 8}
"""Channels per group of a group norm, by the number of channels."""


class Plain:
    """The networks a second time, as sequences of operations on the tensors of a state dict."""

    def __init__(self, theta: Weights):
        self.theta = theta

    def norm(self, x: Tensor, name: str) -> Tensor:
        """Batch norm, group norm or none, as the tensors tell."""
        if f"{name}.running_mean" in self.theta:
            return self.batch_norm(x, name)
        return self.group_norm(x, name) if f"{name}.weight" in self.theta else x

    def batch_norm(self, x: Tensor, name: str) -> Tensor:
        w = {key: self.theta[f"{name}.{key}"] for key in ("running_mean", "running_var", "weight", "bias")}
        shape = (1, -1) + (1,) * (x.ndim - 2)
        scale = w["weight"] / (w["running_var"] + 1e-5).sqrt()
        return (x - w["running_mean"].view(shape)) * scale.view(shape) + w["bias"].view(shape)

    def group_norm(self, x: Tensor, name: str) -> Tensor:
        weight, bias = self.theta[f"{name}.weight"], self.theta[f"{name}.bias"]
        shape = (1, -1) + (1,) * (x.ndim - 2)
        shares = []
        for group in x.split(CHANNELS_A_GROUP[len(weight)] if x.ndim == 4 else len(weight), dim=1):
            flat = group.flatten(1)
            variance, mean = torch.var_mean(flat, dim=1, correction=0, keepdim=True)
            shares.append(((flat - mean) / (variance + 1e-5).sqrt()).view(group.shape))
        return torch.cat(shares, 1) * weight.view(shape) + bias.view(shape)

    def conv(self, x: Tensor, name: str, stride: int = 1) -> Tensor:
        weight = self.theta[f"{name}.weight"]
        return functional.conv2d(x, weight, self.theta.get(f"{name}.bias"), stride, padding=weight.shape[-1] // 2)

    def linear(self, x: Tensor, name: str) -> Tensor:
        return x @ self.theta[f"{name}.weight"].T + self.theta[f"{name}.bias"]

    def resnet(self, x: Tensor, blocks: int, shortcut: bool) -> Tensor:
        x = self.norm(self.conv(x, "conv1"), "bn1").relu()
        for stage in (1, 2, 3):
            for k in range(blocks):
                name = f"layer{stage}.{k}"
                stride = 2 if k == 0 and stage > 1 else 1
                y = self.norm(self.conv(x, f"{name}.conv1", stride), f"{name}.bn1").relu()
                y = self.norm(self.conv(y, f"{name}.conv2"), f"{name}.bn2")
                if shortcut and f"{name}.shortcut.0.weight" in self.theta:
                    x = self.norm(self.conv(x, f"{name}.shortcut.0", stride), f"{name}.shortcut.1")
                x = (x + y if shortcut else y).relu()
        return self.linear(x.sum((2, 3)) / (x.shape[2] * x.shape[3]), "linear")

    def vgg(self, x: Tensor, features: list[Any]) -> Tensor:
        i = 0
        for feature in features:
            if feature == "M":
                x = functional.max_pool2d(x, 2)
                i += 1
            else:
                x = self.norm(self.conv(x, f"features.{i}"), f"features.{i + 1}").relu()
                assert x.shape[1] == feature
                i += 3
        x = self.norm(self.linear(x.reshape(len(x), -1), "fc.0"), "fc.1").relu()
        return self.linear(x, "classifier")

    def densenet(self, x: Tensor) -> Tensor:
        x = self.conv(x, "conv1")
        for stage, layers in enumerate((6, 12, 24, 16), 1):
            for k in range(layers):
                y = self.conv(self.norm(x, f"dense{stage}.{k}.bn1").relu(), f"dense{stage}.{k}.conv1")
                y = self.conv(self.norm(y, f"dense{stage}.{k}.bn2").relu(), f"dense{stage}.{k}.conv2")
                x = torch.cat([y, x], 1)
            if stage < 4:
                x = self.conv(self.norm(x, f"trans{stage}.bn").relu(), f"trans{stage}.conv")
                x = (x[:, :, ::2, ::2] + x[:, :, 1::2, ::2] + x[:, :, ::2, 1::2] + x[:, :, 1::2, 1::2]) / 4
        x = self.norm(x, "bn").relu()
        return self.linear(x.sum((2, 3)) / (x.shape[2] * x.shape[3]), "linear")


def with_random_tensors(network: nn.Module) -> nn.Module:
    """The network in float64 and eval mode, norms far from the identity, logits and zeros far from zero."""
    generator = torch.Generator().manual_seed(1)
    network = network.double().eval()
    for name, tensor in network.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 2, generator=generator)
        elif tensor.ndim == 1:
            tensor.copy_(torch.randn(tensor.shape, generator=generator, dtype=torch.float64) * 0.1 + 0.5)
        elif tensor.ndim == 2:
            tensor.normal_(generator=generator)
        elif tensor.ndim == 4 and not tensor.any():
            tensor.normal_(std=tensor[0].numel() ** -0.5, generator=generator)
    return network
