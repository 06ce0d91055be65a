"""A training as a chain of jobs, each of which ends at an epoch: for trainings longer than a cluster lets a job be.

Links are counted by the jobs that are `left` after them, so that the last is the rule `train` itself whatever their number.
"""

import math

from landscape.artefacts import path
from landscape.errors import InputError
from landscape.experiment.lookup import run
from landscape.experiment.schema import Experiment


def before(experiment: Experiment, name: str, left: str | int = 0) -> list[str]:
    """The file that the part with `left` jobs after it goes on from; none for the first."""
    following = int(left) + 1
    is_first = following >= _parts(experiment, name, int(left))
    return [] if is_first else [path(experiment.results, "part", run=name, left=following)]


def end(experiment: Experiment, name: str, left: str | int) -> int:
    """The epoch that the part with `left` jobs after it ends with: of part k of N, k/N of all epochs, rounded up."""
    parts = _parts(experiment, name, int(left))
    return math.ceil((parts - int(left)) * experiment.runs[name].last_epoch / parts)


def _parts(experiment: Experiment, name: str, left: int) -> int:
    parts = run(experiment, name).parts
    if left >= parts:
        raise InputError(f"{name} has no part with {left} after it: its parts are {parts}")
    return parts
