"""Looks up entries of an experiment by name, and says which state can be seen on which plane.

Every function raises InputError, with the allowed names or the reason, where it has no answer.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from landscape.config.fields import INCIDENTAL, INERT, with_trait
from landscape.config.values import PATH_EPOCHS
from landscape.data.builtin_datasets import FETCHED
from landscape.errors import InputError, one_of
from landscape.experiment.schema import Experiment
from landscape.figures.kinds import Figure
from landscape.measures.plane import Plane
from landscape.networks import code
from landscape.probes.probe import Probe
from landscape.training.run_section import Run

_Entry = TypeVar("_Entry")
_STATE = re.compile(r"(?P<run>[^@]+)(@(?P<epoch>\d{3}))?")


@dataclass(frozen=True)
class State:
    """A run at the end of its training, or at a kept epoch: `RUN` or `RUN@EPOCH`."""

    run: str
    epoch: int | None = None

    def __str__(self) -> str:
        return self.run if self.epoch is None else f"{self.run}@{self.epoch:03d}"


def entry(noun: str, entries: Mapping[str, _Entry], name: str) -> _Entry:
    """The entry of that name among those of a section, whose word in errors is `noun`."""
    if name not in entries:
        raise InputError(f"there is no {noun} {name!r}; the {noun}s are {one_of(entries, name)}")
    return entries[name]


def run(experiment: Experiment, name: str) -> Run:
    return entry("run", experiment.runs, name)


def plane(experiment: Experiment, name: str) -> Plane:
    return entry("plane", experiment.planes, name)


def probe(experiment: Experiment, name: str) -> Probe:
    return entry("probe", experiment.probes, name)


def figure(experiment: Experiment, name: str) -> Figure:
    return entry("figure", experiment.figures, name)


def state(experiment: Experiment, text: str) -> State:
    """The state named `RUN` or `RUN@EPOCH`.

    Raises:
        InputError: if there is no such run, or it does not keep that epoch.
    """
    match = _STATE.fullmatch(text)
    name, _, epoch_text = text.partition("@")
    if not match and name in experiment.runs:
        near = f"; did you mean {name}@{int(epoch_text):03d}?" if re.fullmatch(r"\d{1,9}", epoch_text) else ""
        raise InputError(f"a state is written RUN@EPOCH with three digits{near}")
    found = run(experiment, match["run"] if match else text)
    if not match or match["epoch"] is None:
        return State(text)
    epoch = int(match["epoch"])
    if found.made != "trained" and not found.kept:
        raise InputError(f"{text} cannot be had: the run {match['run']}{_no_epochs(found)}")
    if not found.keeps(epoch):
        kept = one_of(f"{e:03d}" for e in found.kept)
        if found.made == "trained":
            has = f"keep: {found.keep} of {found.last_epoch} epochs, so its kept epochs are {kept}"
        else:
            has = f"the checkpoints {kept}"
        raise InputError(f"{text} cannot be had: the run {match['run']} has {has}")
    return State(match["run"], epoch)


def run_of(experiment: Experiment, at: str) -> Run:
    """The run of a state."""
    return experiment.runs[state(experiment, at).run]


def impossible(experiment: Experiment, at: str, plane_name: str) -> str | None:
    """Why the state `at` cannot be seen on a plane, or None if it can, as far as the configuration tells.

    Raises:
        InputError: if there is no such state or plane.
    """
    centre = state(experiment, at)
    seen = plane(experiment, plane_name)
    own = experiment.runs[centre.run]
    match seen.directions:
        case "start" if own.first is not None and _normal(experiment, centre) == _normal(
            experiment, State(centre.run, own.first)
        ):
            return f"plane {plane_name} leads to the start of the training, and {centre} is the start itself"
        case "start" if own.first is None:
            return (
                f"plane {plane_name} leads to the start of the training, which {centre.run} does not keep{_keep(own)}"
            )
        case "pca" if len(own.kept) < PATH_EPOCHS:
            return f"plane {plane_name} needs the path of the training{_keep(own, centre.run)}"
    others = [state(experiment, other) for other in seen.others]
    if seen.directions in ("to", "through"):
        ends = [_normal(experiment, found) for found in (centre, *others)]
        if len(set(ends)) < len(ends):
            leads = f"plane {plane_name} leads to {' and '.join(seen.others)}"
            if seen.directions == "to" or seen.is_line:
                return f"{leads}, and a line from {centre} to itself has no direction"
            return f"{leads} from {centre}, and two of these are one"
    if seen.directions == "of" and (reason := impossible(experiment, str(others[0]), str(seen.plane))):
        return f"plane {plane_name} uses the directions of {seen.plane} around {seen.run}: {reason}"
    for other in others:
        if reason := unlike(experiment, str(centre), str(other)):
            return f"plane {plane_name} needs {reason}"
    return None


def unlike(experiment: Experiment, one: str, another: str) -> str | None:
    """Why two states cannot be compared weight by weight, or None if they can: `two states of one ..., and ...`."""
    first, second = state(experiment, one), state(experiment, another)
    here, there = experiment.runs[first.run], experiment.runs[second.run]
    ours, theirs = _args(experiment, here, there), _args(experiment, there, here)
    if code.split(here.network) != code.split(there.network) or ours != theirs:
        return (
            f"two states of one architecture, and {first} is {_architecture(here, ours, theirs)} "
            f"while {second} is {_architecture(there, theirs, ours)}"
        )
    return None


def differing(one: Run, another: Run) -> set[str]:
    """The keys in which two runs differ as networks, arguments of their networks as `args.NAME`."""
    ours, theirs = ({**run.in_full(), **_told(run)} for run in (one, another))
    keys = {key for key in {**ours, **theirs} if ours.get(key) != theirs.get(key)}
    return keys - {"args"} - with_trait(Run, INERT, INCIDENTAL)


def no_path(experiment: Experiment, at: str) -> str | None:
    """Why there is no trajectory of what is named, or None if there is one."""
    found = state(experiment, at)
    if found.epoch is not None:
        return f"a trajectory is of a whole training: write {found.run} instead of {found}"
    own = experiment.runs[found.run]
    return f"there is no path to show{_keep(own, found.run)}" if len(own.kept) < PATH_EPOCHS else None


def _keep(own: Run, name: str = "") -> str:
    """Says which epochs a run keeps and how to keep more; to follow a statement."""
    if own.made != "trained":
        if not own.kept:
            return f": {name or 'it'}{_no_epochs(own)}"
        return f": {name or 'it'} has {len(own.kept)} checkpoints of the {PATH_EPOCHS} needed"
    kept = f", of which {name} keeps {len(own.kept)} of the {PATH_EPOCHS} epochs needed" if name else ""
    return f"{kept} (keep: {own.keep} of {own.last_epoch} epochs); set keep: all, or a number"


def _no_epochs(own: Run) -> str:
    """To follow the name of a run that is not trained."""
    advice = "; state its checkpoints as epochs" if own.made == "adopted" else ""
    return f" is {own.made}, so it has no epochs{advice}"


def _told(run: Run) -> dict[str, Any]:
    network, _ = code.expanded(run.network)
    return {"network": network, **{f"args.{k}": v for k, v in code.telling(run.network, run.args).items()}}


def _normal(experiment: Experiment, at: State) -> State:
    """The state, the kept last epoch as what it is: the end of the training."""
    return State(at.run) if at.epoch == experiment.runs[at.run].last_epoch else at


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
    return f"{code.expanded(run.network)[0]}({', '.join(shown)})"
