"""Trainings by the user's own function."""

import contextlib
import inspect
import io
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from landscape.data.datasets import DataSet
from landscape.data.examples import leaves
from landscape.errors import InputError
from landscape.networks.copying import load
from landscape.store import checkpoint
from landscape.training.batches import seed
from landscape.training.run_section import OwnTraining, Run

_ENDED = object()


class OwnEpochs:
    """The epochs of a generator of the user's: it yields after each one."""

    def __init__(self, own: OwnTraining, network: nn.Module, data: DataSet, yielded: Generator[Any], epochs: int):
        self.own, self.network, self.data, self.yielded, self.epochs = own, network, data, yielded, epochs
        self.memory: Any = None
        self.random = _random(data)
        self._tried = False

    def state(self) -> dict[str, Any]:
        """Return all that the next epoch depends on beside the network, as far as the function tells."""
        return {"memory": self.memory, "random": self.random}

    def epoch(self, epoch: int) -> dict[str, float]:
        """Let the function go on to its next `yield`, and return the columns of the history.

        Raises:
            InputError: if it fails, ends, or yields something that is not allowed.
        """
        self.network.train()
        _set_random(self.data, self.random)
        start = time.monotonic()
        found = _called(self.own, lambda: next(self.yielded, _ENDED))
        if found is _ENDED:
            raise InputError(f"{self.own.name} ended after {epoch - 1} epochs, and epochs is {self.epochs}")
        seconds, self.random = time.monotonic() - start, _random(self.data)
        state, self.memory = found if isinstance(found, tuple) and len(found) == 2 else (found, None)
        self._load(state, epoch)
        if self.memory is not None and not self._tried:
            _try_to_keep(self.own, self.memory)
            self._tried = True
        return {"examples_per_second": len(self.data.train) / seconds}

    def _load(self, state: Any, epoch: int) -> None:
        if state is None:
            return
        if not isinstance(state, Mapping):
            raise InputError(
                f"{self.own.name} yielded {type(state).__name__} after epoch {epoch}; allowed are a state dict and None, "
                "alone or in a pair with a memory"
            )
        tensors = {name: value for name, value in state.items() if isinstance(value, Tensor)}
        if misfits := checkpoint.misfits(tensors, self.network):
            raise InputError(f"{self.own.name} yielded a state dict that does not fit the network: {misfits[0]}")
        load(self.network, dict(state))


def can_go_on(function: Callable[..., Any]) -> bool:
    """Say if the function takes `start`, from which an interrupted training goes on."""
    return "start" in inspect.signature(function).parameters


@contextlib.contextmanager
def begun(
    run: Run, function: Callable[..., Any], network: nn.Module, data: DataSet, state: dict[str, Any] | None
) -> Iterator[OwnEpochs]:
    """Train `network` in place by a generator function of (network, data, seed, **args) that yields after each epoch.

    It yields a state dict, which becomes the network's, or None for the network as it is; or a pair of this and its memory,
    such as the state of its optimiser. A function with the parameter `start` is called with (0, None), and to go on after
    an epoch with its number and memory, with the network as it was. torch's own random numbers are seeded from the run's
    seed, and go on as they were. The network is in training mode whenever the function goes on.

    Raises:
        InputError: if the function fails or is no generator.
    """
    own = run.train
    assert own is not None
    after = (0, None) if state is None else (state["epoch"], state["memory"])
    with torch.random.fork_rng(_devices(data)):
        torch.manual_seed(seed(run, 0, "own training"))
        if state is not None:
            _set_random(data, state["random"])
        start = {"start": after} if can_go_on(function) else {}
        yielded = _called(own, lambda: function(network, data, run.seed, **start, **own.args))
        if not isinstance(yielded, Generator):
            raise InputError(f"{own.name} returned {type(yielded).__name__}; it must yield after each epoch")
        with contextlib.closing(yielded):
            yield OwnEpochs(own, network, data, yielded, run.last_epoch)


def _called(own: OwnTraining, work: Callable[[], Any]) -> Any:
    try:
        return work()
    except (InputError, MemoryError, OSError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        first = (str(error).strip() or "no message").splitlines()[0]
        raise InputError(f"{own.name} failed: {type(error).__name__}: {first}") from error


def _try_to_keep(own: OwnTraining, memory: Any) -> None:
    """Write the memory and read it again, as an interrupted training would."""
    file = io.BytesIO()
    try:
        torch.save(memory, file)
        file.seek(0)
        torch.load(file, weights_only=True)
    except Exception as error:
        first = (str(error).strip() or "no message").splitlines()[0]
        raise InputError(
            f"{own.name} yielded a memory that cannot be kept: {first}; allowed are tensors, numbers and texts in "
            "dictionaries, lists and tuples"
        ) from None


def _devices(data: DataSet) -> list[torch.device]:
    """The GPU whose random numbers count, if any."""
    device = leaves(data.train.inputs)[0].device
    return [device] if device.type == "cuda" else []


def _random(data: DataSet) -> list[torch.Tensor]:
    """The state of torch's own random numbers on the CPU, and on the data's GPU."""
    return [torch.random.get_rng_state(), *(torch.cuda.get_rng_state(device) for device in _devices(data))]


def _set_random(data: DataSet, states: list[torch.Tensor]) -> None:
    torch.random.set_rng_state(states[0])
    for device, state in zip(_devices(data), states[1:], strict=False):  # it may go on on another device
        torch.cuda.set_rng_state(state, device)
