"""What an experiment holds by name: runs, states of runs, planes, figures, and which state can be seen on which plane.

Every function raises InputError, with the allowed names or the reason, where it has no answer.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from landscape.config import code
from landscape.config.known import FETCHED
from landscape.config.schema import Experiment, Figure, Plane, Run
from landscape.errors import InputError, one_of

_STATE = re.compile(r"(?P<run>[^@]+)(@(?P<epoch>\d{3}))?")


@dataclass(frozen=True)
class State:
    """A run at the end of its training, or at a kept epoch: `RUN` or `RUN@EPOCH`."""

    run: str
    epoch: int | None = None

    def __str__(self) -> str:
        return self.run if self.epoch is None else f"{self.run}@{self.epoch:03d}"


def run(experiment: Experiment, name: str) -> Run:
    if name not in experiment.runs:
        raise InputError(f"there is no run {name!r}; the runs are {one_of(experiment.runs)}")
    return experiment.runs[name]


def plane(experiment: Experiment, name: str) -> Plane:
    if name not in experiment.planes:
        raise InputError(f"there is no plane {name!r}; the planes are {one_of(experiment.planes)}")
    return experiment.planes[name]


def figure(experiment: Experiment, name: str) -> Figure:
    if name not in experiment.figures:
        raise InputError(f"there is no figure {name!r}; the figures are {one_of(experiment.figures)}")
    return experiment.figures[name]


def state(experiment: Experiment, text: str) -> State:
    """The state named `RUN` or `RUN@EPOCH`.

    Raises:
        InputError: if there is no such run, or it does not keep that epoch.
    """
    match = _STATE.fullmatch(text)
    found = run(experiment, match["run"] if match else text)
    if not match or match["epoch"] is None:
        return State(text)
    epoch = int(match["epoch"])
    if found.adopted:
        raise InputError(f"{text} cannot be had: the run {match['run']} is adopted, so it has no epochs")
    if not found.keeps(epoch):
        kept = [f"{e:03d}" for e in range(found.epochs + 1) if found.keeps(e)]
        raise InputError(
            f"{text} cannot be had: the run {match['run']} has keep: {found.keep} of {found.epochs} epochs, so its kept epochs are "
            + one_of(kept)
        )
    return State(match["run"], epoch)


def impossible(experiment: Experiment, at: str, plane_name: str) -> str | None:
    """Why the state `at` cannot be seen on a plane, or None if it can, as far as the configuration tells.

    Raises:
        InputError: if there is no such state or plane.
    """
    centre = state(experiment, at)
    seen = plane(experiment, plane_name)
    if seen.run is None:
        return None
    other = state(experiment, seen.run)
    if seen.directions == "to" and _normal(experiment, other) == _normal(experiment, centre):
        return f"plane {plane_name} leads to {seen.run}, and a line from {centre} to itself has no direction"
    if seen.directions == "of" and (reason := impossible(experiment, str(other), str(seen.plane))):
        return f"plane {plane_name} uses the directions of {seen.plane} around {seen.run}: {reason}"
    here, there = experiment.runs[centre.run], experiment.runs[other.run]
    ours, theirs = _args(experiment, here, there), _args(experiment, there, here)
    if code.split(here.network) != code.split(there.network) or ours != theirs:
        return (
            f"plane {plane_name} needs two states of one architecture, and {centre} is {_architecture(here, ours, theirs)} "
            f"while {other} is {_architecture(there, theirs, ours)}"
        )
    return None


def _normal(experiment: Experiment, at: State) -> State:
    """The state, the kept last epoch as what it is: the end of the training."""
    return State(at.run) if at.epoch == experiment.runs[at.run].epochs else at


def _args(experiment: Experiment, run: Run, beside: Run) -> dict[str, Any]:
    """The arguments that tell the architecture of a run, with what its data set supplies if that is known of both."""
    args = code.telling(run.network, run.args)
    known, other = (
        FETCHED.get(experiment.data[r.data].source) if r.data in experiment.data else None for r in (run, beside)
    )
    if known is None or other is None:
        return args
    channels, height, _ = known.shape
    facts = {"in_channels": channels, "image_size": height, "num_classes": known.classes}
    return args | {key: facts[key] for key in sorted(code.supplied(run.network, run.args))}


def _architecture(run: Run, args: Mapping[str, Any], beside: Mapping[str, Any]) -> str:
    """`resnet(depth=8)`: the arguments that are stated or differ."""
    shown = [f"{key}={value}" for key, value in args.items() if key in run.args or beside.get(key) != value]
    return f"{run.network}({', '.join(shown)})"
