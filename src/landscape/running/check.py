"""Checks of a configuration that need torch: networks can be built, and weights and planes fit them."""

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from landscape.data import datasets
from landscape.data.arrays import Source
from landscape.data.examples import Examples, mapped, shapes
from landscape.directions import restricted, with_filters
from landscape.errors import InputError
from landscape.experiment.lookup import impossible, state
from landscape.experiment.needs import differentiated
from landscape.experiment.schema import Experiment
from landscape.hessian.verification import try_derivatives
from landscape.measures.draw_directions import no_filters
from landscape.networks import building
from landscape.objective.examination import tried
from landscape.objective.objective import Objective, objective_of
from landscape.objective.objective_section import ObjectiveKeys
from landscape.store import fitting
from landscape.training.run_section import Run

_log = logging.getLogger(__name__)

Told = Callable[[str], None]

_MANY, _TIMES = 100, 10
"""A network with more logits than this number, and this many times the classes, is told of."""


def problems(experiment: Experiment, told: Told = _log.info) -> list[str]:
    """List every mistake in the files and networks of an experiment, each with its path in the configuration.

    Each distinct network is built once on the meta device, which takes no memory, and called once with two examples, in
    evaluation and, for a run that is trained, in training. Only the headers of data sets are read; a data set that a
    function returns is made.

    Args:
        told: takes what is allowed and may surprise.
    """
    found: list[str] = []
    described: dict[str, Source] = {}
    for name, spec in experiment.data.items():
        try:
            described[name] = datasets.describe(spec, Path(experiment.results) / "data" / datasets.DOWNLOADS)
        except InputError as error:
            found += [f"data.{name}.source {problem}" for problem in error.problems]
    built: dict[str, Any] = {}
    of_run: dict[str, Any] = {}
    for name, run in experiment.runs.items():
        if run.data not in described:
            continue  # its data set is reported above
        key = _likeness(run)
        if key not in built:
            built[key] = _built(run, described[run.data], name, told)
        if isinstance(built[key], InputError):
            found += [f"runs.{name}{problem}" for problem in built[key].problems]
            continue
        of_run[name] = built[key]
        if run.adopted:
            found += [f"runs.{name}.{problem}" for problem in _misfits(run, built[key])]
    for path, at, plane in _seen(experiment):
        found += [f"{path} {problem}" for problem in _mismatches(experiment, of_run, at, plane)]
        found += [f"{path} has {at} on plane {plane}: {problem}" for problem in _still(experiment, of_run, at, plane)]
    return found + list(_without_derivatives(experiment, of_run, described))


def _likeness(run: Run) -> str:
    """What makes the networks of two runs alike in all that is checked."""
    keys = {name: getattr(run, name) for name in ObjectiveKeys.model_fields}
    return repr((run.network, run.args, run.data, keys, run.made))


def _seen(experiment: Experiment) -> Iterator[tuple[str, str, str]]:
    """Yield every state that is seen on a plane, as (entry that asks for it, state, plane)."""
    for name, figure in experiment.figures.items():
        yield from ((f"figures.{name}", at, plane) for at, plane in dict.fromkeys([*figure.seen, *figure.paths]))
    if (plane := experiment.summary.plane) is not None:
        yield from (("summary.plane", at, plane) for at in experiment.runs if not impossible(experiment, at, plane))


def _mismatches(experiment: Experiment, of_run: Mapping[str, Any], at: str, plane: str) -> Iterator[str]:
    """Say why a state cannot be seen on a plane: its tensors differ in shape from those of a state the plane leads to.

    The configuration alone does not show this if two data sets differ in size.
    """
    seen = experiment.planes[plane]
    if seen.run is not None and seen.plane is not None:
        yield from _mismatches(experiment, of_run, seen.run, seen.plane)
    for other in seen.others:
        here, there = (of_run.get(state(experiment, text).run) for text in (at, other))
        if here is None or there is None:
            continue  # its network is reported above
        ours, theirs = _shapes(here), _shapes(there)
        if differing := [name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)]:
            name = differing[0]
            yield (
                f"has {at} on plane {plane}, which needs {at} and {other} to be of one architecture, and {len(differing)} "
                f"tensors differ: {name} has the shape {ours.get(name)} in {at} and {theirs.get(name)} in {other}"
            )


def _without_derivatives(
    experiment: Experiment, of_run: Mapping[str, Any], described: Mapping[str, Source]
) -> Iterator[str]:
    """Say which figures show derivatives of a network that torch does not have, or has wrong; each network once."""
    tried: set[tuple[str, str, int]] = set()
    for figure, at, entry in differentiated(experiment):
        name, parameters = state(experiment, at).run, getattr(entry, "parameters", "all")
        run = experiment.runs[name]
        key = (_likeness(run), parameters, entry.differentiates)
        if name not in of_run or key in tried:
            continue
        tried.add(key)
        try:
            network, objective, sample = _ready(run, described[run.data])
            try_derivatives(network, objective, sample, parameters=parameters, products=entry.differentiates == 2)
        except InputError as error:
            yield from (
                f"figures.{figure} has {at} with measure: {entry.measure}; {problem}" for problem in error.problems
            )


def _ready(run: Run, known: Source) -> tuple[nn.Module, Objective, Examples]:
    """Build a run's network, its objective, and examples like its data's."""
    made = building.build(run.network, run.args, seed=run.seed, images=known.image_shape, classes=known.classes)
    return building.plain(made), objective_of(run), _filled(known.sample)


def _still(experiment: Experiment, of_run: Mapping[str, Any], at: str, plane: str) -> Iterator[str]:
    """Say why a direction of a plane has length zero: no parameter has filters, or the other end has the centre's file."""
    seen = experiment.planes[plane]
    if seen.run is not None and seen.plane is not None:
        yield from _still(experiment, of_run, seen.run, seen.plane)
    network = of_run.get(state(experiment, at).run)
    if network is not None and seen.has_random_axis:
        try:
            axes = building.filter_axes(network)
            if not with_filters(axes if seen.pattern is None else restricted(axes, seen.pattern)):
                yield f"a random direction has length zero: {no_filters(seen.pattern)}"
        except InputError as error:
            yield from error.problems
    centre = _file(experiment, at)
    for other in seen.others if seen.directions in ("to", "through") else ():
        if centre is not None and centre == _file(experiment, other):
            yield f"a direction has length zero: {other} has the weights of {at}, the file {centre}"


def _file(experiment: Experiment, at: str) -> str | None:
    """The file of an adopted state."""
    found = state(experiment, at)
    run = experiment.runs[found.run]
    if not run.adopted:
        return None
    return str(run.end if found.epoch is None else run.checkpoints[found.epoch])


def _shapes(network: Any) -> dict[str, tuple[int, ...]]:
    return {name: tuple(parameter.shape) for name, parameter in network.named_parameters()}


def _built(run: Run, known: Source, name: str, told: Told) -> Any:
    """Build a run's network on the meta device, and try another on two examples; the mistakes that follow its name."""
    given: Any = {"seed": run.seed, "images": known.image_shape, "classes": known.classes}
    try:
        network = building.plain(building.build(run.network, run.args, **given, device="meta"))
        made = building.plain(building.build(run.network, run.args, **given))
    except InputError as error:
        return InputError(f".network: {problem}" for problem in error.problems)
    sample = _filled(known.sample)
    try:
        objective = objective_of(run)
        if objective.loss and known.labels:
            objective.loss.check_labels(known.labels)
        objective = tried(objective, made, sample, _classes(run, known))
        if run.made == "trained" and run.train is None:
            _try_to_train(made, objective, sample)
    except InputError as error:
        return InputError(f": {problem}" for problem in error.problems)
    outputs, needed = objective.outputs or 0, objective.classes or 0
    if outputs > max(_MANY, _TIMES * needed):
        told(
            f"runs.{name}: the network returned {outputs:,} logits for each example, and the data has {needed} classes; is it "
            "another data set's head?"
        )
    return network


def _classes(run: Run, known: Source) -> int | None:
    """Number of classes without a label that the loss is told to leave out; None if that is not known."""
    if (ignored := run.loss.args.get("ignore_index")) is None:
        return known.classes
    return max((1 + label for of in (known.labels or {}).values() for label in of if label != ignored), default=None)


def _filled(sample: Examples) -> Examples:
    """Fill the inputs of a sample with random numbers in [0, 1), the same at every call; whole numbers stay."""
    random = torch.Generator().manual_seed(0)

    def fill(tensor: Tensor) -> Tensor:
        return torch.rand(tensor.shape, generator=random).to(tensor) if tensor.is_floating_point() else tensor

    return Examples(mapped(sample.inputs, fill), sample.targets)


def _try_to_train(network: nn.Module, objective: Objective, sample: Examples) -> None:
    """Try a forward and a backward pass in training mode.

    Raises:
        InputError: if there is none.
    """
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise InputError("the network has no parameters to train; an adopted run, which has weights, is not trained")
    batch = sample.fresh()
    try:
        network.train()
        objective.training(network, batch, contextlib.nullcontext()).backward()
    except Exception as error:  # from the network's own code
        first = (str(error).strip() or "no message").splitlines()[0]
        raise InputError(f"it cannot be trained on {shapes(sample.inputs)}: {type(error).__name__}: {first}") from error


def _misfits(run: Run, network: Any) -> Iterator[str]:
    """Say why the files that a run adopts are not of its network; of its checkpoints only about the first that is not."""
    for key, sources in (("weights", [run.weights] if run.weights else []), ("epochs", run.checkpoints.values())):
        for source in sources:
            if source.here is None:
                continue  # it is looked at when it is fetched
            try:
                file = source.located() if source.path is not None else source.here
                fitting.read(file, network, called=run.network, mapped=True, quiet=True)
            except InputError as error:
                yield from (f"{key}: {problem}" for problem in error.problems)
                break
