"""The training loop."""

import logging
import time
from dataclasses import dataclass
from pathlib import Path

import torch
import xarray as xr
from torch import Tensor, nn

from landscape.data.datasets import DataSet, augment
from landscape.data.examples import Examples, laid_out, leaves, memory_format, shapes
from landscape.engine.device import tensor_floats
from landscape.errors import InputError
from landscape.objective.objective import CLASSIFICATION, Objective
from landscape.progress import progress
from landscape.store import checkpoint
from landscape.store.weights import Weights
from landscape.training import averaging, own_training
from landscape.training.batches import batches, generator, seed
from landscape.training.history import Evaluate, History, dataset, measure
from landscape.training.optimisers import optimizer_of, uphill
from landscape.training.resuming import kept, resume, snapshot, write_state
from landscape.training.run_section import OwnTraining, Run
from landscape.training.schedules import learning_rate

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trained:
    """Result of a training run, or of a part of one.

    Attributes:
        weights: parameters and buffers after the last epoch, on the CPU.
        history: columns as in `history_of`, one row per epoch; row 0 is before training.
        epochs: parameters and buffers of the kept epochs so far.
    """

    weights: Weights
    history: xr.Dataset
    epochs: dict[int, Weights]


def train(
    run: Run,
    network: nn.Module,
    data: DataSet,
    work: Path,
    identity: str,
    evaluate: Evaluate,
    name: str = "",
    until: int | None = None,
    objective: Objective = CLASSIFICATION,
) -> Trained:
    """Train `network` in place (Li et al. 2018, section 4), or go on where a process was interrupted.

    All random numbers of an epoch (order of examples, augmentation, dropout) come from (run.seed, epoch), and every epoch
    writes its complete state to disk. So an interrupted run ends with the bits of an uninterrupted one on the same device,
    versions and number of threads (on CUDA only if the network's kernels are deterministic).

    A last batch of a single example joins the batch before it, since batch norm needs a variance; a longer one stays short.
    A run that diverges goes on to its end: NaN in the history is a result.

    With `run.swa`, the last epoch ends with the mean of the weights after all epochs later than `run.swa`. The last row of
    the history and the last kept epoch are those of the mean, except for columns about steps; earlier rows are those of the
    trained weights.

    Args:
        work: folder for the state and the kept epochs, for one process at a time.
        identity: hash of everything that the result depends on; a state of another identity moves to
            `work/set-aside-N`, of which the latest stays.
        until: the last epoch of this call, by default the run's; another process may go on from there.
    """
    if data.image_shape is None and run.augment and "augment" in run.model_fields_set:
        raise InputError(
            f"augment is {', '.join(run.augment)}, and the inputs are no images: {shapes(data.train.inputs)}"
        )
    if run.train is not None:
        return _by_own(run, run.train, network, data, work, identity, evaluate, name, objective)
    last = run.last_epoch if until is None else until
    what = f"training {name}".strip()
    layout = memory_format(data.train.inputs)
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=layout)
    optimizer = optimizer_of(run, network)
    steps = len(batches(torch.arange(len(data.train)), run.batch_size))
    device = leaves(data.train.inputs)[0].device
    history: History = {}
    sums: Weights = {}
    state = resume(run, network, work, identity)
    if state is not None:
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        sums = {name: tensor.to(device) for name, tensor in state["sums"].items()}
        history = state["history"]
        _log.info("%s: goes on after epoch %d of %d", what, state["epoch"], run.last_epoch)
    start = time.monotonic() - (history["seconds"][-1] if state else 0.0)

    def record(epoch: int, **of_the_epoch: float) -> None:
        """Measure and write; the state comes last, so that every kept epoch it counts on exists."""
        row = measure(network, data, evaluate) | of_the_epoch | {"seconds": time.monotonic() - start}
        for column, value in row.items():
            history.setdefault(column, []).append(value)
        if run.keeps(epoch):
            checkpoint.write(kept(work, epoch), snapshot(network), {"identity": identity, "epoch": epoch})
        write_state(work, identity, epoch, network, optimizer, sums, history)
        shown = {
            column: value for column, value in row.items() if column.startswith(("train_", "test_"))
        } | of_the_epoch
        line = ", ".join(f"{column} {value:.4g}" for column, value in shown.items())
        _log.info("%s: epoch %d of %d: %s", what, epoch, run.last_epoch, line)

    if state is None:
        record(0)
    done = state["epoch"] if state else 0
    for epoch in progress(range(done + 1, last + 1), last, what, done):
        of_the_epoch = _epoch(run, network, optimizer, data, objective, epoch, steps)
        if run.swa is not None and epoch > run.swa:
            averaging.add(sums, network)
            if epoch == run.last_epoch:
                averaging.settle(run, network, sums, run.last_epoch - run.swa, data)
        record(epoch, **of_the_epoch)
    epochs = {epoch: checkpoint.read(kept(work, epoch))[0] for epoch in run.kept if epoch <= max(done, last)}
    return Trained(snapshot(network), dataset(history, objective), epochs)


def _by_own(
    run: Run,
    own: OwnTraining,
    network: nn.Module,
    data: DataSet,
    work: Path,
    identity: str,
    evaluate: Evaluate,
    name: str,
    objective: Objective,
) -> Trained:
    """Train by the user's own function, from the start; columns about steps are NaN."""
    work.mkdir(parents=True, exist_ok=True)
    history: History = {}
    what, start = f"training {name}".strip(), time.monotonic()

    def record(epoch: int, seconds: float) -> None:
        row = measure(network, data, evaluate) | {"seconds": time.monotonic() - start}
        if seconds:
            row["examples_per_second"] = len(data.train) / seconds
        for column, value in row.items():
            history.setdefault(column, []).append(value)
        if run.keeps(epoch):
            checkpoint.write(kept(work, epoch), snapshot(network), {"identity": identity, "epoch": epoch})
        _log.info("%s: epoch %d of %d: train loss %.4g", what, epoch, run.last_epoch, row["train_loss"])

    record(0, 0.0)
    own_training.train(run, own, network, data, record, what)
    epochs = {epoch: checkpoint.read(kept(work, epoch))[0] for epoch in run.kept}
    return Trained(snapshot(network), dataset(history, objective), epochs)


def _epoch(
    run: Run,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    data: DataSet,
    objective: Objective,
    epoch: int,
    steps: int,
) -> dict[str, float]:
    """Train for one epoch, and return its columns of the history."""
    start = time.monotonic()
    train, layout = data.train, memory_format(data.train.inputs)
    device = leaves(train.inputs)[0].device
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
            batch = Examples(laid_out(batch.inputs, layout), batch.targets)
            loss, gradient = _step(run, network, optimizer, objective, batch)
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
