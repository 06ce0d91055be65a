"""What can only be checked with torch: whether each network can be built and each adopted file fits it."""

from collections.abc import Iterator
from typing import Any

from landscape import checkpoint, data, networks
from landscape.config import Data, Experiment, Run
from landscape.errors import InputError


def problems(experiment: Experiment) -> list[str]:
    """Every mistake in the files and networks an experiment names, each with its path in the configuration.

    Networks are built on the meta device, so that this costs no memory, each distinct one once. Of a data set only the
    headers are read.
    """
    found = [f"data.{name}.source {problem}" for name, spec in experiment.data.items() for problem in data.check(spec)]
    built: dict[str, Any] = {}
    for name, run in experiment.runs.items():
        known = _described(experiment.data[run.data])
        if known is None:
            continue  # its data set is wrong, which is reported above
        key = repr((run.network, run.args, known))
        if key not in built:
            built[key] = _build(run, *known)
        if isinstance(built[key], InputError):
            found += [f"runs.{name}.network: {problem}" for problem in built[key].problems]
        elif run.adopted:
            found += [f"runs.{name}.weights {problem}" for problem in _misfits(run, built[key])]
    return found


def _described(spec: Data) -> tuple[tuple[int, int, int], int] | None:
    try:
        return data.describe(spec)
    except InputError:
        return None


def _build(run: Run, shape: tuple[int, int, int], classes: int) -> Any:
    try:
        return networks.build(run.network, run.args, seed=run.seed, images=shape, classes=classes, device="meta")
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
