"""What can only be checked with torch: whether networks can be built, and what should fit them and each other does."""

from collections.abc import Iterator, Mapping
from typing import Any

from landscape.data import datasets
from landscape.errors import InputError
from landscape.experiment.lookup import impossible, state
from landscape.experiment.schema import Experiment
from landscape.networks import building
from landscape.store import checkpoint
from landscape.training.run_section import Run


def problems(experiment: Experiment) -> list[str]:
    """Every mistake in the files and networks an experiment names, each with its path in the configuration.

    Networks are built on the meta device, so that this costs no memory, each distinct one once. Of a data set only the
    headers are read; one that a function returns is made.
    """
    found: list[str] = []
    described: dict[str, tuple[tuple[int, int, int], int]] = {}
    for name, spec in experiment.data.items():
        try:
            described[name] = datasets.describe(spec)
        except InputError as error:
            found += [f"data.{name}.source {problem}" for problem in error.problems]
    built: dict[str, Any] = {}
    of_run: dict[str, Any] = {}
    for name, run in experiment.runs.items():
        if run.data not in described:
            continue  # its data set is wrong, which is reported above
        known = described[run.data]
        key = repr((run.network, run.args, known))
        if key not in built:
            built[key] = _build(run, *known)
        if isinstance(built[key], InputError):
            found += [f"runs.{name}.network: {problem}" for problem in built[key].problems]
            continue
        of_run[name] = built[key]
        if run.adopted:
            found += [f"runs.{name}.weights {problem}" for problem in _misfits(run, built[key])]
    for path, at, plane in _seen(experiment):
        found += [f"{path} {problem}" for problem in _mismatches(experiment, of_run, at, plane)]
    return found


def _seen(experiment: Experiment) -> Iterator[tuple[str, str, str]]:
    """Every state that is seen on a plane: what asks for it, the state, the plane."""
    for name, figure in experiment.figures.items():
        yield from ((f"figures.{name}", at, plane) for at, plane in dict.fromkeys([*figure.seen, *figure.paths]))
    if (plane := experiment.summary.plane) is not None:
        yield from (("summary.plane", at, plane) for at in experiment.runs if not impossible(experiment, at, plane))


def _mismatches(experiment: Experiment, of_run: Mapping[str, Any], at: str, plane: str) -> Iterator[str]:
    """Why a state cannot be seen on a plane: it differs in the shape of a tensor from the state the plane leads to.

    The configuration alone does not tell this of two data sets of different size.
    """
    seen = experiment.planes[plane]
    if seen.run is not None and seen.plane is not None:
        yield from _mismatches(experiment, of_run, seen.run, seen.plane)
    for other in seen.others:
        here, there = (of_run.get(state(experiment, text).run) for text in (at, other))
        if here is None or there is None:
            continue  # the network cannot be built, which is reported above
        ours, theirs = _shapes(here), _shapes(there)
        if differing := [name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)]:
            name = differing[0]
            yield (
                f"has {at} on plane {plane}, which needs {at} and {other} to be of one architecture, and {len(differing)} "
                f"tensors differ: {name} has the shape {ours.get(name)} in {at} and {theirs.get(name)} in {other}"
            )


def _shapes(network: Any) -> dict[str, tuple[int, ...]]:
    return {name: tuple(parameter.shape) for name, parameter in network.named_parameters()}


def _build(run: Run, shape: tuple[int, int, int], classes: int) -> Any:
    try:
        return building.build(run.network, run.args, seed=run.seed, images=shape, classes=classes, device="meta")
    except InputError as error:
        return error


def _misfits(run: Run, network: Any) -> Iterator[str]:
    try:
        theta = checkpoint.adopt(str(run.weights))
    except InputError as error:
        yield from (f"is {run.weights!r}: {problem}" for problem in error.problems)
        return
    for misfit in checkpoint.misfits(theta, network):
        yield f"is {run.weights!r}, which does not fit {run.network}: {misfit}"
