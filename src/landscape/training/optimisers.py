"""Optimisers by name, and the step up of sharpness-aware minimisation."""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from landscape.training.run_section import Run


def optimizer_of(run: Run, network: nn.Module) -> torch.optim.Optimizer:
    """The rate is set before every step.

    Weight decay is on all parameters, as in the paper, and L2 style: decay times weight is added to the gradient. With
    adamw it is decoupled: rate times decay times weight is taken off the weight (Loshchilov and Hutter 2019).
    """
    parameters, rate, decay = network.parameters(), run.initial_rate, run.weight_decay
    match run.optimizer:
        case "adam":
            return torch.optim.Adam(parameters, lr=rate, weight_decay=decay)
        case "adamw":
            return torch.optim.AdamW(parameters, lr=rate, weight_decay=decay)
        case "adagrad":
            return torch.optim.Adagrad(parameters, lr=rate, weight_decay=decay)
        case "sgd":
            nesterov = run.momentum > 0
            return torch.optim.SGD(parameters, lr=rate, momentum=run.momentum, nesterov=nesterov, weight_decay=decay)


@contextlib.contextmanager
def uphill(network: nn.Module, rho: float, gradient_norm: Tensor) -> Iterator[None]:
    """The parameters theta are theta + rho g / ||g|| meanwhile, with g their gradient (Foret et al. 2021, equation 2).

    A pass in train mode there leaves running statistics alone. At the end the parameters have their old bits.
    """
    stepped = [(p, p.grad, p.detach().clone()) for p in network.parameters() if p.grad is not None]
    norms = [layer for layer in network.modules() if isinstance(layer, _NormBase) and layer.track_running_stats]
    with torch.no_grad():
        for parameter, gradient, _ in stepped:
            parameter.add_(gradient * (rho / (gradient_norm + 1e-12)))
    for layer in norms:
        layer.track_running_stats = False  # so a layer in train mode neither reads nor writes them
    try:
        yield
    finally:
        for layer in norms:
            layer.track_running_stats = True
        with torch.no_grad():
            for parameter, _, before in stepped:
                parameter.copy_(before)
