"""Rescaled runs: the run that each is the twin of."""

from landscape.errors import InputError
from landscape.experiment import jobs
from landscape.experiment.lookup import run
from landscape.experiment.schema import Experiment


def origin_file(experiment: Experiment, name: str) -> str:
    """The file with the weights that a rescaled run comes from."""
    return jobs.weights_file(experiment, _origin(experiment, name))


def origin(experiment: Experiment, name: str) -> str:
    """The same as the verb takes it: a kept epoch with `@EPOCH` behind."""
    return jobs.weights(experiment, _origin(experiment, name))


def _origin(experiment: Experiment, name: str) -> str:
    rescaled = run(experiment, name).rescaled
    if rescaled is None:
        raise InputError(f"{name} is not rescaled from another run")
    return rescaled.run
