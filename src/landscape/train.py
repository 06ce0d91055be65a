"""One training loop, its optimisers and schedules, and the history it leaves."""

import hashlib
import io
import logging
import math
import shutil
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from landscape import checkpoint, files
from landscape.config.schema import Run
from landscape.data import DataSet, augment, memory_format
from landscape.errors import InputError
from landscape.progress import progress
from landscape.weights import Weights, norm

_log = logging.getLogger(__name__)

Evaluate = Callable[[nn.Module, DataSet], dict[str, float]]
"""What a network's loss and accuracy (a fraction) are, in eval mode: `train_loss`, `train_accuracy`, and, with a
test split, `test_loss`, `test_accuracy`."""

History = dict[str, list[float]]
"""One list per column, one number per epoch."""

_COLUMNS = {
    "train_loss": ("mean cross-entropy (natural logarithm) over the training images, eval mode, not augmented", "1"),
    "train_accuracy": ("share of the training images classified correctly, eval mode, not augmented", "1"),
    "test_loss": ("mean cross-entropy (natural logarithm) over the test images, eval mode", "1"),
    "test_accuracy": ("share of the test images classified correctly, eval mode", "1"),
    "running_loss": (
        "mean cross-entropy (natural logarithm) while training, train mode, augmented as the run says",
        "1",
    ),
    "learning_rate": ("learning rate at the last step of the epoch", "1"),
    "weight_norm": ("L2 norm of all parameters", "1"),
    "gradient_norm": (
        "mean over steps of the L2 norm of the loss gradient, before clipping, without weight decay",
        "1",
    ),
    "seconds": ("time since the start of training, pauses between processes left out", "s"),
}
_LOGGED = ("train_loss", "test_loss", "train_accuracy", "test_accuracy")


@dataclass(frozen=True)
class Trained:
    """The end of a training run.

    Attributes:
        weights: parameters and buffers after the last epoch, on the CPU.
        history: the columns of `history_of`, one row per epoch; row 0 is before training.
        epochs: parameters and buffers of the epochs the run keeps.
    """

    weights: Weights
    history: xr.Dataset
    epochs: dict[int, Weights]


def train(
    run: Run, network: nn.Module, data: DataSet, work: Path, identity: str, evaluate: Evaluate, name: str = ""
) -> Trained:
    """Train `network` in place as `run` says (Li et al. 2018, section 4), or go on where a process was interrupted.

    Everything random in an epoch (order of images, augmentation, dropout) comes from (run.seed, epoch), and after every
    epoch all that the next one depends on is on disk, so an interrupted run ends with the bits of an uninterrupted one on
    the same device, versions and number of threads (on CUDA as far as the network's kernels are deterministic).

    A last short batch is kept; one of a single image joins the batch before it, since batch normalisation has no variance
    of a single value. A run that diverges goes on to its end: NaN in the history is a result.

    Args:
        work: folder for the state and the kept epochs, used by one process at a time.
        identity: whatever the result depends on, hashed; the state of another identity is set aside in
            `work/set-aside-N`, of which the latest is kept.
    """
    what = f"training {name}".strip()
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=memory_format(data.shape))
    optimizer = _optimizer(run, network)
    steps = len(_batches(torch.arange(len(data.train.labels)), run.batch_size))
    history: History = {}
    state = _resume(run, network, work, identity)
    if state is not None:
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        history = state["history"]
        _log.info("%s: goes on after epoch %d of %d", what, state["epoch"], run.epochs)
    start = time.monotonic() - (history["seconds"][-1] if state else 0.0)

    def record(epoch: int, **of_the_epoch: float) -> None:
        """Measure and write down; the state comes last, so it never speaks of a kept epoch that is not there."""
        row = _measure(network, data, evaluate) | of_the_epoch | {"seconds": time.monotonic() - start}
        for column, value in row.items():
            history.setdefault(column, []).append(value)
        if run.keeps(epoch):
            checkpoint.write(_kept(work, epoch), _snapshot(network), {"identity": identity, "epoch": epoch})
        _write_state(work, identity, epoch, network, optimizer, history)
        shown = {column: row[column] for column in _LOGGED if column in row} | of_the_epoch
        line = ", ".join(f"{column} {value:.4g}" for column, value in shown.items())
        _log.info("%s: epoch %d of %d: %s", what, epoch, run.epochs, line)

    if state is None:
        record(0)
    done = state["epoch"] if state else 0
    for epoch in progress(range(done + 1, run.epochs + 1), run.epochs, what, done):
        loss, gradient = _epoch(run, network, optimizer, data, epoch, steps)
        rate = learning_rate(run, epoch * steps - 1, steps)
        record(epoch, running_loss=loss, learning_rate=rate, gradient_norm=gradient)
    kept = {epoch: checkpoint.read(_kept(work, epoch))[0] for epoch in range(run.epochs + 1) if run.keeps(epoch)}
    return Trained(_snapshot(network), _dataset(history), kept)


def history_of(network: nn.Module, data: DataSet, evaluate: Evaluate) -> xr.Dataset:
    """The history of a network that is not trained here: the row of epoch 0.

    Dimension `epoch`; variables `train_loss`, `train_accuracy`, `test_loss`, `test_accuracy` (absent without a test
    split), `running_loss`, `learning_rate`, `gradient_norm` (these three NaN at epoch 0), `weight_norm`, `seconds`.
    """
    start = time.monotonic()
    row = _measure(network, data, evaluate)
    return _dataset({column: [value] for column, value in {**row, "seconds": time.monotonic() - start}.items()})


def learning_rate(run: Run, step: int, steps_per_epoch: int) -> float:
    """The learning rate of step `step`, counted from 0.

    step: the initial rate, divided by ten after each of the epochs `run.drops`.
    onecycle: half a cosine from rate / 25 up to the rate over the share `run.warmup` of all steps, and half a cosine
    from there down to rate / 250,000 (Smith and Topin 2017; as torch's OneCycleLR).
    constant: the initial rate.
    """
    rate = run.initial_rate
    if run.schedule == "step":
        return rate / 10.0 ** sum(step >= drop * steps_per_epoch for drop in run.drops)
    if run.schedule == "onecycle":
        last = run.epochs * steps_per_epoch - 1
        peak = max(run.rising * (last + 1) - 1, 0)
        if step < peak:
            return _cosine(rate / 25, rate, step / peak)
        return _cosine(rate, rate / 250_000, (step - peak) / ((last - peak) or 1))
    return rate


def _cosine(first: float, last: float, share: float) -> float:
    return last + (first - last) * (1 + math.cos(math.pi * share)) / 2


def _optimizer(run: Run, network: nn.Module) -> torch.optim.Optimizer:
    """The rate is set before every step. Weight decay is L2 style, on all parameters, as in the paper (not AdamW)."""
    if run.optimizer == "adam":
        return torch.optim.Adam(network.parameters(), lr=run.initial_rate, weight_decay=run.weight_decay)
    return torch.optim.SGD(
        network.parameters(),
        lr=run.initial_rate,
        momentum=run.momentum,
        nesterov=run.momentum > 0,
        weight_decay=run.weight_decay,
    )


def _epoch(
    run: Run, network: nn.Module, optimizer: torch.optim.Optimizer, data: DataSet, epoch: int, steps: int
) -> tuple[float, float]:
    """One pass over the training images. Returns the mean loss over images and the mean gradient norm over steps."""
    images, labels = data.train.images, data.train.labels
    generator = torch.Generator().manual_seed(_seed(run.seed, epoch, "images"))
    order = torch.randperm(len(labels), generator=generator).to(images.device)
    total, norms = torch.zeros(2, dtype=torch.float64, device=images.device)
    network.train()
    with torch.random.fork_rng([images.device] if images.device.type == "cuda" else []):
        torch.manual_seed(_seed(run.seed, epoch, "network"))  # dropout takes no generator
        for step, batch in enumerate(_batches(order, run.batch_size), (epoch - 1) * steps):
            x = augment(images[batch], data.black, generator, crop="crop" in run.augment, flip="flip" in run.augment)
            loss = nn.functional.cross_entropy(
                network(x.contiguous(memory_format=memory_format(data.shape))), labels[batch]
            )
            optimizer.zero_grad()
            loss.backward()
            gradient = nn.utils.get_total_norm([p.grad for p in network.parameters() if p.grad is not None])
            if run.clip is not None:
                nn.utils.clip_grads_with_norm_(network.parameters(), run.clip, gradient)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(run, step, steps)
            optimizer.step()
            total += loss.detach().double() * len(batch)
            norms += gradient
    return float(total) / len(labels), float(norms) / steps


def _batches(order: Tensor, size: int) -> list[Tensor]:
    """`order` in batches; a single image left over at the end belongs to the batch before it."""
    batches = list(order.split(size))
    if len(batches) > 1 and len(batches[-1]) == 1 < size:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches


def _seed(seed: int, epoch: int, what: str) -> int:
    return int.from_bytes(hashlib.sha256(f"train {seed} {epoch} {what}".encode()).digest()[:8])


def _measure(network: nn.Module, data: DataSet, evaluate: Evaluate) -> dict[str, float]:
    """A row of the history, with NaN for what only a trained epoch has."""
    measured = evaluate(network, data)
    row = {column: math.nan for column in _COLUMNS if column in measured or column not in _LOGGED} | measured
    row["weight_norm"] = norm({name: parameter.detach() for name, parameter in network.named_parameters()})
    return row


def _dataset(history: History) -> xr.Dataset:
    epochs = np.arange(len(history["seconds"]))
    return xr.Dataset(
        {
            column: (
                "epoch",
                np.array(values, np.float64),
                {"long_name": _COLUMNS[column][0], "units": _COLUMNS[column][1]},
            )
            for column, values in history.items()
        },
        {"epoch": ("epoch", epochs, {"long_name": "epochs trained (0: before training)", "units": "1"})},
    )


def _snapshot(network: nn.Module) -> Weights:
    """Copies on the CPU, in the plain layout."""
    state = network.state_dict()
    return {name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in state.items()}


def _kept(work: Path, epoch: int) -> Path:
    return work / f"{epoch:03d}.safetensors"


def _write_state(
    work: Path, identity: str, epoch: int, network: nn.Module, optimizer: torch.optim.Optimizer, history: History
) -> None:
    """Everything the next epoch depends on. After every epoch: 8 to 15 ms for a digits net, whose epoch takes 450."""
    state = io.BytesIO()  # written by Python, which says of a full disk what it is
    torch.save(
        {
            "identity": identity,
            "epoch": epoch,
            "network": network.state_dict(),
            "optimizer": optimizer.state_dict(),
            "history": history,
        },
        state,
    )
    files.write_bytes(work / "state.pt", state.getbuffer())


def _resume(run: Run, network: nn.Module, work: Path, identity: str) -> dict[str, Any] | None:
    """The state to go on from; None if there is none. What cannot be gone on from is set aside."""
    work.mkdir(parents=True, exist_ok=True)
    for unfinished in work.glob(".*.tmp"):  # of a process that was killed while writing
        unfinished.unlink()
    path = work / "state.pt"
    if not path.exists():
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            if damaged := archive.testzip():  # torch itself does not look at the checksums
                raise InputError(f"{path} is damaged in {damaged}")
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        if state["identity"] != identity:
            raise InputError(f"{path} is of another specification, data or code")
        if misfits := checkpoint.misfits(state["network"], network):
            raise InputError(f"{path} does not fit the network: {misfits[0]}")
        for epoch in filter(run.keeps, range(state["epoch"] + 1)):
            header = checkpoint.read_header(_kept(work, epoch))
            if (header.get("identity"), header.get("epoch")) != (identity, epoch):
                raise InputError(f"{_kept(work, epoch)} is not epoch {epoch} of this run")
    except OSError:
        raise  # the disk's trouble says nothing of the file
    except Exception as error:  # a damaged file makes torch raise almost anything
        _log.warning(
            "starting over: %s", error if isinstance(error, InputError) else f"{path} cannot be read ({error})"
        )
        _set_aside(work)
        return None
    return state


def _set_aside(work: Path) -> None:
    """Move everything in `work` to a new `set-aside-N` there, and delete the older ones."""
    earlier = {int(path.name.rpartition("-")[2]): path for path in work.glob("set-aside-*")}
    place = work / f"set-aside-{max(earlier, default=0) + 1}"
    found = [path for path in work.iterdir() if path not in earlier.values()]
    place.mkdir()
    for path in found:
        path.rename(place / path.name)
    for path in earlier.values():
        shutil.rmtree(path)
    _log.warning("what was there is now in %s", place)
