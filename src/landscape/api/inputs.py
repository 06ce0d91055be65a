"""Checks and reads the inputs of the public functions: networks, data, weights; and states the facts of every result."""

import contextlib
import glob
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from landscape.data.datasets import DataSet
from landscape.data.handed_over import data_set
from landscape.directions import Directions
from landscape.engine import device
from landscape.errors import InputError
from landscape.experiment.reading import OLD_NAMES, entry, renamed
from landscape.experiment.signatures import fields_of
from landscape.measures.plane import Plane
from landscape.networks.building import plain as plain
from landscape.objective import objective as objectives
from landscape.objective.examination import tried
from landscape.objective.objective import Objective
from landscape.objective.objective_section import ObjectiveKeys
from landscape.probes.probe import Probe
from landscape.store import checkpoint, files, fitting, user_checkpoint, weight_files
from landscape.store.weights import Weights, tensors_of
from landscape.training.weights_source import WeightsSource

AnyData = Any
"""A pair (inputs, targets), inputs alone, a torch `Dataset` or `DataLoader`, or a `DataSet`."""

AnyLoss = str | Mapping[str, Any] | Callable[..., Any] | Objective | None
"""A loss by name, with arguments as {"name": ..., "args": ...}, or a function of (output, target); None is cross-entropy."""

AnyWeights = nn.Module | Mapping[str, Any] | str | Path
"""A module, a state dict, a checkpoint that holds one, a file, `{"url": ..., "sha256": ...}` (docs/checkpoints.md);
`FILE@003` in a file of epochs."""

AnyEpochs = Sequence[AnyWeights] | Mapping[int, AnyWeights] | str | Path
"""Weights in the order of a training, the first before it; or by epoch number; or a file of epochs; or a pattern of files,
such as `checkpoints/epoch_*.pt`."""


@contextlib.contextmanager
def ready(network: nn.Module, data: AnyData, test: AnyData, threads: int = 1) -> Iterator[DataSet]:
    """Yield the data on the network's device, with every setting that alters bits fixed meanwhile."""
    where = next(network.parameters()).device
    current = torch.cuda.device(where) if where.type == "cuda" else contextlib.nullcontext()
    with device.settled(threads), current:
        yield data_set(data, where, test)


@dataclass(frozen=True)
class Minimised:
    """What the public functions are told of the loss: their arguments `loss`, `objective`, `output`, `score`."""

    loss: AnyLoss = None
    objective: str | Callable[..., Any] | None = None
    output: str | int | None = None
    score: str | Callable[..., Any] | None = None

    @classmethod
    def split(cls, keys: Mapping[str, Any]) -> tuple[Self, dict[str, Any]]:
        """Take these out of the keywords of a function; the rest are its own."""
        own = {key: keys[key] for key in ObjectiveKeys.model_fields if key in keys}
        return cls(**own), {key: value for key, value in keys.items() if key not in own}

    def tried(self, network: nn.Module, used: DataSet, theta: Weights | None = None) -> Objective:
        """Make the objective, tried on a few examples.

        Args:
            theta: the weights at which it is tried; by default the network's own, before a training.

        Raises:
            InputError: if an argument is none that is allowed, or the network does not fit data and loss.
        """
        made = self._made()
        if made.loss and (labels := used.header.get("labels")):
            made.loss.check_labels(labels)
        found = [made.loss.classes(split) for split in (used.train, used.test) if split and made.loss]
        return tried(made, network, used.train, max((of for of in found if of), default=None), theta)

    def _made(self) -> Objective:
        if isinstance(self.loss, Objective):
            return self.loss
        if self.objective is not None:
            if self.loss is not None or self.output is not None:
                raise InputError("objective is in the place of loss and output; leave these out")
            score = self.score if isinstance(self.score, str) or self.score is None else "a function"
            if callable(self.objective):
                return objectives.by_function(self.objective, score)
            return objectives.objective_of(_keys(objective=self.objective, score=score))
        if callable(self.loss):
            return objectives.of_loss(self.loss, self.output, self.score)
        given = {"loss": self.loss, "output": self.output}
        if callable(self.score):
            keys = _keys(**given)
            return objectives.of_loss(keys.loss, keys.output, self.score)
        return objectives.objective_of(_keys(**given, score=self.score))


def _keys(**given: Any) -> ObjectiveKeys:
    try:
        return ObjectiveKeys(**{key: value for key, value in given.items() if value is not None})
    except ValidationError as error:
        raise InputError(
            ": ".join([*(str(part) for part in one["loc"][:1]), one["msg"].removeprefix("Value error, ")])
            for one in error.errors()
        ) from None


def entry_of(section: str, keys: Mapping[str, Any], given: Mapping[str, Any] | None = None) -> Any:
    """Build the entry of a section from keywords; numbers and arrays of numpy or torch become Python's.

    Args:
        given: keys that the user does not state, such as names of other entries.

    Raises:
        InputError: with every mistake, one a line.
    """
    allowed = fields_of(section)
    if unknown := [key for key in keys if key not in allowed]:
        raise InputError(
            renamed(key, key)
            if OLD_NAMES.get(key) in allowed
            else f"{key} is no keyword here; allowed are {', '.join(allowed)}"
            for key in unknown
        )
    values = {key: value.tolist() if hasattr(value, "tolist") else value for key, value in keys.items()}
    return entry(section, {**(given or {}), **{k: str(v) if isinstance(v, Path) else v for k, v in values.items()}})


def weights_of(given: AnyWeights, network: nn.Module, name: str) -> Weights:
    """Return parameters and buffers by name, on the CPU, in the network's types.

    Args:
        name: name of the weights in errors.

    Raises:
        InputError: if there are none, or they do not fit the network, with a line for each cause.
    """
    return fitted_weights(given, network, name).weights


def fitted_weights(given: AnyWeights, network: nn.Module, name: str, quiet: bool = False) -> fitting.Fitted:
    """Return the same with how the weights were found, which the log tells unless `quiet`."""
    if isinstance(given, Mapping) and given and all(isinstance(value, str) for value in given.values()):
        given = _source(given, name).located()
    if isinstance(given, str | Path):
        name, entry = weight_files.split(given)
        return fitting.fitted(_read(name), network, name, entry, quiet=quiet)
    if isinstance(given, nn.Module):
        return fitting.fitted(plain(given).state_dict(), network, name)
    if isinstance(given, Mapping):
        return fitting.fitted(given, network, name, advice="hand over one of", quiet=quiet)
    raise InputError(
        f"{name} is of the type {type(given).__name__}; allowed are a module, a state dict, or a file with one"
    )


def epochs_of(given: AnyEpochs, network: nn.Module) -> dict[int, Weights]:
    """Return the weights of a training's epochs by epoch number, in order.

    Files are numbered by the numbers in their names where these rise, other weights by their places.
    """
    if isinstance(given, str | Path):
        is_pattern = glob.has_magic(str(given)) and not Path(given).exists()
        given = weight_files.matching(str(given)) if is_pattern else checkpoint.read_epochs(given)[0]
    if not isinstance(given, Mapping):
        given = list(given)
        are_files = bool(given) and all(isinstance(one, str | Path) for one in given)
        given = weight_files.numbered([str(one) for one in given]) if are_files else dict(enumerate(given))
    return {
        epoch: fitted_weights(given[epoch], network, f"checkpoints[{epoch}]", quiet=k > 0).weights
        for k, epoch in enumerate(sorted(given))
    }


def directions_of(along: Mapping[str, Mapping[str, Tensor]], network: nn.Module) -> Directions:
    """Read directions drawn before, on the CPU.

    Raises:
        InputError: if an axis is missing, lacks a parameter of the network, or holds one of another shape.
    """
    if not isinstance(along, Mapping) or "alpha" not in along or set(along) - {"alpha", "beta"}:
        found = ", ".join(map(str, along)) if isinstance(along, Mapping) else type(along).__name__
        raise InputError(f"along is {found}; it must hold directions under alpha and, of a plane, beta")
    own = tensors_of(network)
    problems = []
    for axis, direction in along.items():
        for name, parameter in network.named_parameters():
            if name not in direction:
                problems.append(
                    f"along.{axis} lacks {name}, of shape {tuple(parameter.shape)}; zeros let it stand still"
                )
        for name, step in direction.items():
            if name not in own:
                problems.append(f"along.{axis} has {name}, which is not in the network")
            elif step.shape != own[name].shape:
                shapes = f"{tuple(step.shape)}, and the network's has {tuple(own[name].shape)}"
                problems.append(f"along.{axis} has {name} of the shape {shapes}")
    if problems:
        raise InputError(problems)
    return {axis: {name: step.detach().cpu() for name, step in along[axis].items()} for axis in sorted(along)}


def facts_of(network: nn.Module, used: DataSet, spec: Plane | Probe, objective: Objective) -> dict[str, Any]:
    """State the facts about the network, the data, the loss and the specification that every result carries."""
    name, count = type(network).__name__, len(used.train)
    tested = used.test if spec.measures_test else None
    return {
        "title": f"{spec.measure} of {name}",
        "run": name,
        "state": name,
        "plane": "given" if isinstance(spec, Plane) else spec.plane,
        "spec": spec.in_full(),
        "data": used.header.get("name"),
        "classes": used.classes,
        "train_examples": min(spec.examples or count, count),
        "test_examples": min(spec.examples or len(tested), len(tested)) if tested else None,
        **objective.facts(),
        "device": device.name(next(network.parameters()).device),
        **files.provenance("probe" if isinstance(spec, Probe) else "tile"),
    }


def _source(given: Mapping[str, Any], name: str) -> WeightsSource:
    try:
        return WeightsSource.model_validate(dict(given))
    except ValidationError as error:
        raise InputError(f"{name} is {dict(given)!r}: {one['msg']}" for one in error.errors()) from None


def _read(path: str) -> Any:
    if files.epoch_of(path) is not None and not Path(path).exists():
        return checkpoint.read(path)[0]
    found = user_checkpoint.read(path)
    names = map(str, found) if isinstance(found, Mapping) else ()
    if epochs := sorted({name[:3] for name in names if name[:3].isdecimal() and name[3:4] == "/"}):
        raise InputError(f"{path} is a file of epochs, {epochs[0]} to {epochs[-1]}; name one: {path}@{epochs[-1]}")
    return found
