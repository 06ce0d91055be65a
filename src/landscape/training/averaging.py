"""Stochastic weight averaging (Izmailov et al. 2018): the mean of the weights after several epochs."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from landscape.data.datasets import DataSet
from landscape.data.examples import call, laid_out, leaves, memory_format, rows_in
from landscape.store.weights import Weights
from landscape.training.batches import batches, generator, seed
from landscape.training.run_section import Run


def add(sums: Weights, network: nn.Module) -> None:
    """Add the parameters to `sums`, in float64, so that the mean is rounded once."""
    for name, parameter in network.named_parameters():
        weights = parameter.detach().to(torch.float64, copy=True)
        sums[name] = sums[name] + weights if name in sums else weights


def settle(run: Run, network: nn.Module, sums: Weights, count: int, data: DataSet) -> None:
    """Give the network the mean weights of `count` epochs, and batch norm its statistics at the mean.

    The statistics are means over the batches of one fp32 pass in train mode over all training examples, without
    augmentation. The seed sets the order of examples, since a data set may be sorted by class. Other buffers keep their last values.
    """
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.copy_(sums[name] / count)
    inputs = data.train.inputs
    device = leaves(inputs)[0].device
    order = torch.randperm(len(data.train), generator=generator(run, run.last_epoch, "statistics")).to(device)
    layout = memory_format(inputs)

    def called(index: Tensor) -> None:
        call(network, laid_out(rows_in(inputs, index), layout))

    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed(run, run.last_epoch, "network at the mean"))
        update_bn(batches(order, run.batch_size), _Called(network, called))


class _Called(nn.Module):
    """A network that torch's `update_bn` calls with the numbers of examples."""

    def __init__(self, network: nn.Module, called: Callable[[Tensor], None]):
        super().__init__()
        self.network, self._called = network, called

    def forward(self, index: Tensor) -> None:
        self._called(index)
