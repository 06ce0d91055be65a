"""The training loop."""

import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from landscape.data.datasets import DataSet, subset
from landscape.data.examples import Examples, shapes
from landscape.engine.plane_point import recalibrate
from landscape.errors import InputError
from landscape.networks.copying import duplicate
from landscape.networks.import_function import function_named
from landscape.objective.objective import CLASSIFICATION, Objective
from landscape.progress import progress
from landscape.store import checkpoint
from landscape.store.weights import Weights
from landscape.training import own_training
from landscape.training.history import Evaluate, History, dataset, measure
from landscape.training.own_training import OwnEpochs
from landscape.training.recipe import Recipe
from landscape.training.resuming import kept, resume, snapshot, write_state
from landscape.training.run_section import Run

_log = logging.getLogger(__name__)

AT_START = 1024
"""Training examples, a stratified subset, from which the batch norms of epoch 0 take their statistics."""


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
    own: Callable[..., Any] | None = None,
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

    Before training batch norm has no statistics, and a deep network with the placeholders 0 and 1 has a loss of thousands. So
    epoch 0 is measured and kept with those of `AT_START` training examples; the training itself is not altered. The
    history's attribute `statistics_at_start` is their number.

    Args:
        work: folder for the state and the kept epochs, for one process at a time.
        identity: hash of everything that the result depends on; a state of another identity moves to
            `work/set-aside-N`, of which the latest stays.
        until: the last epoch of this call, by default the run's; another process may go on from there.
        own: the function of the user's own that trains, if it is not to be imported by the name `run.train`.
    """
    if data.image_shape is None and run.augment and "augment" in run.model_fields_set:
        raise InputError(
            f"augment is {', '.join(run.augment)}, and the inputs are no images: {shapes(data.train.inputs)}"
        )
    last = run.last_epoch if until is None else until
    what = f"training {name}".strip()
    history: History = {}
    state = resume(run, network, work, identity)
    with contextlib.ExitStack() as stack:
        if run.train is not None and own is None:
            own = stack.enter_context(function_named(run.train.name))
        if state is not None and own is not None and state["epoch"] < last and not own_training.can_go_on(own):
            _log.warning("%s: begins anew, since its function has no parameter `start`", what)
            state = None
        if state is not None:
            network.load_state_dict(state["network"])
            history = state["history"]
            _log.info("%s: goes on after epoch %d of %d", what, state["epoch"], run.last_epoch)
        steps: Recipe | OwnEpochs
        if own is None:
            steps = Recipe(run, network, data, objective, state)
        else:
            steps = stack.enter_context(own_training.begun(run, own, network, data, state))
        start = time.monotonic() - (history["seconds"][-1] if state else 0.0)
        at_start = state.get("statistics_at_start", 0) if state else _lacks_statistics(network) * len(_first(data))

        def record(epoch: int, **of_the_epoch: float) -> None:
            """Measure and write; the state comes last, so that every kept epoch it counts on exists."""
            measured = network if epoch or not at_start else _with_statistics(network, data)
            row = measure(measured, data, evaluate) | of_the_epoch | {"seconds": time.monotonic() - start}
            for column, value in row.items():
                history.setdefault(column, []).append(value)
            if run.keeps(epoch):
                checkpoint.write(kept(work, epoch), snapshot(measured), {"identity": identity, "epoch": epoch})
            beside = steps.state() | {"statistics_at_start": at_start}
            write_state(work, identity, epoch, network, beside, history)
            shown = {
                column: value for column, value in row.items() if column.startswith(("train_", "test_"))
            } | of_the_epoch
            line = ", ".join(f"{column} {value:.4g}" for column, value in shown.items())
            _log.info("%s: epoch %d of %d: %s", what, epoch, run.last_epoch, line)

        if state is None:
            record(0)
        done = state["epoch"] if state else 0
        for epoch in progress(range(done + 1, last + 1), last, what, done):
            record(epoch, **steps.epoch(epoch))
    epochs = {epoch: checkpoint.read(kept(work, epoch))[0] for epoch in run.kept if epoch <= max(done, last)}
    found = dataset(history, objective)
    return Trained(snapshot(network), found.assign_attrs(statistics_at_start=at_start) if at_start else found, epochs)


def _lacks_statistics(network: nn.Module) -> bool:
    """Say if a batch norm still has its placeholders, 0 and 1."""
    norms = [each for each in network.modules() if isinstance(each, _BatchNorm) and each.running_mean is not None]
    return any(each.num_batches_tracked is not None and int(each.num_batches_tracked) == 0 for each in norms)


def _first(data: DataSet) -> Examples:
    return subset(data.train, AT_START)


def _with_statistics(network: nn.Module, data: DataSet) -> nn.Module:
    """Copy a network, and give the copy's batch norms statistics."""
    made = duplicate(network).eval()
    recalibrate(made, _first(data).inputs)
    return made.train(network.training)
