"""What an experiment holds by name: runs, states of runs, planes, figures, and which state can be seen on which plane.

Every function raises InputError, with the allowed names or the reason, where it has no answer.
"""

import re
from dataclasses import dataclass

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
    if seen.directions == "to" and other == centre:
        return f"plane {plane_name} leads to {seen.run}, and a line from {centre} to itself has no direction"
    if seen.directions == "of" and (reason := impossible(experiment, str(other), str(seen.plane))):
        return f"plane {plane_name} uses the directions of {seen.plane} around {seen.run}: {reason}"
    here, there = experiment.runs[centre.run], experiment.runs[other.run]
    if (here.network, here.args) != (there.network, there.args):
        return (
            f"plane {plane_name} needs two states of one architecture, and {centre} is {_architecture(here)} "
            f"while {other} is {_architecture(there)}"
        )
    return None


def _architecture(run: Run) -> str:
    return f"{run.network}({', '.join(f'{key}={value}' for key, value in run.args.items())})"
