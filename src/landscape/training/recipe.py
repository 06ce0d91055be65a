"""An epoch by the paper's recipe (Li et al. 2018, section 4): steps of an optimiser over batches in random order."""

import time
from typing import Any

import torch
from torch import Tensor, nn

from landscape.data.datasets import DataSet, augment
from landscape.data.examples import Examples, laid_out, leaves, memory_format
from landscape.engine.device import tensor_floats
from landscape.objective.objective import Objective
from landscape.store.weights import Weights
from landscape.training import averaging
from landscape.training.batches import batches, generator, seed
from landscape.training.optimisers import optimizer_of, uphill
from landscape.training.run_section import Run
from landscape.training.schedules import learning_rate


class Recipe:
    """The optimiser and the sums of the weights that are averaged: what an epoch depends on beside the network."""

    def __init__(self, run: Run, network: nn.Module, data: DataSet, objective: Objective, state: dict[str, Any] | None):
        """Begin, or go on from the `state` of an earlier process; the network has its weights already."""
        self.run, self.network, self.data, self.objective = run, network, data, objective
        self.layout, self.device = memory_format(data.train.inputs), leaves(data.train.inputs)[0].device
        for parameter in network.parameters():
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=self.layout)
        self.optimizer = optimizer_of(run, network)
        self.steps = len(batches(torch.arange(len(data.train)), run.batch_size))
        self.sums: Weights = {}
        if state is not None:
            self.optimizer.load_state_dict(state["optimizer"])
            self.sums = {name: tensor.to(self.device) for name, tensor in state["sums"].items()}

    def state(self) -> dict[str, Any]:
        """Return all that the next epoch depends on beside the network."""
        return {"optimizer": self.optimizer.state_dict(), "sums": self.sums}

    def epoch(self, epoch: int) -> dict[str, float]:
        """Train for one epoch, and return its columns of the history."""
        run = self.run
        columns = self._trained(epoch)
        if run.swa is not None and epoch > run.swa:
            averaging.add(self.sums, self.network)
            if epoch == run.last_epoch:
                averaging.settle(run, self.network, self.sums, run.last_epoch - run.swa, self.data)
        return columns

    def _trained(self, epoch: int) -> dict[str, float]:
        start = time.monotonic()
        run, network, optimizer, data, steps = self.run, self.network, self.optimizer, self.data, self.steps
        train, device = data.train, self.device
        random = generator(run, epoch, "images")
        order = torch.randperm(len(train), generator=random).to(device)
        total, norms = torch.zeros(2, dtype=torch.float64, device=device)
        network.train()
        with (
            torch.random.fork_rng([device] if device.type == "cuda" else []),
            tensor_floats(run.precision == "tf32"),
        ):
            torch.manual_seed(seed(run, epoch, "network"))  # dropout takes no generator
            for step, index in enumerate(batches(order, run.batch_size), (epoch - 1) * steps):
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate(run, step, steps)
                batch = _augmented(run, train[index], data.black, random)
                batch = Examples(laid_out(batch.inputs, self.layout), batch.targets)
                loss, gradient = _step(run, network, optimizer, self.objective, batch)
                total += loss.double() * len(index)
                norms += gradient
        return {
            "running_loss": float(total) / len(train),
            "learning_rate": learning_rate(run, epoch * steps - 1, steps),
            "gradient_norm": float(norms) / steps,
            "examples_per_second": len(train) / (time.monotonic() - start),
        }


def _augmented(run: Run, batch: Examples, black: Tensor | None, random: torch.Generator) -> Examples:
    """Augment images as the run says; what is no image is left alone."""
    if batch.image_shape is None or black is None:
        return batch
    assert isinstance(batch.inputs, Tensor)
    return Examples(
        augment(batch.inputs, black, random, crop="crop" in run.augment, flip="flip" in run.augment), batch.targets
    )


def _step(
    run: Run, network: nn.Module, optimizer: torch.optim.Optimizer, objective: Objective, batch: Examples
) -> tuple[Tensor, Tensor]:
    """Take one step of the optimiser; return the batch's loss before it, and the norm of the loss's gradient.

    With `run.sam`, the step follows (and clips) the gradient at the end of a step up of this length, with new draws of
    dropout.
    """
    again = batch  # a network may write into its inputs
    if run.sam is not None:
        again = batch.fresh()
    loss, norm = _gradient(run, network, objective, batch)
    stepped = norm
    if run.sam is not None:
        with uphill(network, run.sam, norm):
            _, stepped = _gradient(run, network, objective, again)
    if run.clip is not None:
        nn.utils.clip_grads_with_norm_(network.parameters(), run.clip, stepped)
    optimizer.step()
    return loss, norm


def _gradient(run: Run, network: nn.Module, objective: Objective, batch: Examples) -> tuple[Tensor, Tensor]:
    """Compute the gradient of the batch's loss in the parameters; return the loss and the gradient's norm."""
    network.zero_grad()
    cast = torch.autocast(leaves(batch.inputs)[0].device.type, torch.bfloat16, enabled=run.precision == "bf16")
    loss = objective.training(network, batch, cast)
    loss.backward()
    norm = nn.utils.get_total_norm([p.grad for p in network.parameters() if p.grad is not None])
    return loss.detach(), norm
