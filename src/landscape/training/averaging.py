"""Stochastic weight averaging (Izmailov et al. 2018): the mean of the weights after several epochs."""

import torch
from torch import nn
from torch.optim.swa_utils import update_bn

from landscape.data.datasets import DataSet, memory_format
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

    The statistics are means over the batches of one fp32 pass in train mode over all training images, without augmentation.
    The seed sets the order of images, since a data set may be sorted by class. Other buffers keep their last values.
    """
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.copy_(sums[name] / count)
    images = data.train.images
    order = torch.randperm(len(images), generator=generator(run, run.last_epoch, "statistics")).to(images.device)
    layout = memory_format(data.shape)
    with torch.random.fork_rng([images.device] if images.device.type == "cuda" else []):
        torch.manual_seed(seed(run, run.last_epoch, "network at the mean"))
        update_bn((images[batch].contiguous(memory_format=layout) for batch in batches(order, run.batch_size)), network)
