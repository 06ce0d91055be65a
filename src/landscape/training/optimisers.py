"""Optimisers by name, and the step up of sharpness-aware minimisation."""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from landscape.training.run_section import Run


def optimizer_of(run: Run, network: nn.Module) -> torch.optim.Optimizer:
    """Make the run's optimiser; the training loop sets its learning rate before every step.

    Weight decay acts on all parameters, as in the paper, in L2 style: it adds decay times weight to the gradient. With
    adamw it is decoupled: it subtracts rate times decay times weight from the weight (Loshchilov and Hutter 2019).
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
    """Move the parameters to theta + rho g / ||g|| inside the block, g their gradient (Foret et al. 2021, equation 2).

    Passes in train mode do not change running statistics there. Afterwards the parameters have their old bits.
    """
    stepped = [(p, p.grad, p.detach().clone()) for p in network.parameters() if p.grad is not None]
    norms = [layer for layer in network.modules() if isinstance(layer, _NormBase) and layer.track_running_stats]
    with torch.no_grad():
        for parameter, gradient, _ in stepped:
            parameter.add_(gradient * (rho / (gradient_norm + 1e-12)))
    for layer in norms:
        layer.track_running_stats = False  # a layer in train mode then neither reads nor writes them
    try:
        yield
    finally:
        for layer in norms:
            layer.track_running_stats = True
        with torch.no_grad():
            for parameter, _, before in stepped:
                parameter.copy_(before)
