"""Trainings by the user's own function."""

import contextlib
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any

import torch
from torch import nn

from landscape.data.datasets import DataSet
from landscape.data.examples import leaves
from landscape.errors import InputError
from landscape.networks.import_function import function_named
from landscape.progress import progress
from landscape.store import checkpoint
from landscape.training.batches import seed
from landscape.training.run_section import OwnTraining, Run

Record = Callable[[int, float], None]
"""Measures and writes the network after an epoch, which took a number of seconds."""


def train(run: Run, own: OwnTraining, network: nn.Module, data: DataSet, record: Record, what: str) -> None:
    """Train `network` in place by `own`, a generator function of (network, data, seed, **args) that yields after each epoch.

    It yields a state dict, which becomes the network's, or None for the network as it is. It is begun anew if it was
    interrupted. torch's own random numbers are seeded from the run's seed, and the network is in training mode whenever
    the function goes on.

    Raises:
        InputError: if the function fails, is no generator, or yields fewer times than the run has epochs, or something else.
    """
    device = leaves(data.train.inputs)[0].device
    with function_named(own.name) as function, torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed(run, 0, "own training"))
        yielded = _called(own, lambda: function(network, data, run.seed, **own.args))
        if not isinstance(yielded, Generator):
            raise InputError(f"{own.name} returned {type(yielded).__name__}; it must yield after each epoch")
        with contextlib.closing(yielded):
            for epoch in progress(range(1, run.last_epoch + 1), run.last_epoch, what, 0):
                network.train()
                start = time.monotonic()
                state = _called(own, lambda: next(yielded, _ENDED))
                if state is _ENDED:
                    raise InputError(f"{own.name} ended after {epoch - 1} epochs, and epochs is {run.last_epoch}")
                seconds = time.monotonic() - start
                _load(own, network, state, epoch)
                with _as_it_was(device):
                    record(epoch, seconds)


_ENDED = object()


def _called(own: OwnTraining, work: Callable[[], Any]) -> Any:
    try:
        return work()
    except (InputError, MemoryError, OSError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        first = (str(error).strip() or "no message").splitlines()[0]
        raise InputError(f"{own.name} failed: {type(error).__name__}: {first}") from error


def _load(own: OwnTraining, network: nn.Module, state: Any, epoch: int) -> None:
    if state is None:
        return
    if not isinstance(state, Mapping):
        raise InputError(
            f"{own.name} yielded {type(state).__name__} after epoch {epoch}; allowed are a state dict and None"
        )
    if misfits := checkpoint.misfits(dict(state), network):
        raise InputError(f"{own.name} yielded a state dict that does not fit the network: {misfits[0]}")
    network.load_state_dict(state)


@contextlib.contextmanager
def _as_it_was(device: torch.device) -> Iterator[None]:
    """Leave torch's random numbers as they are, so that measuring does not alter a training."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        yield
