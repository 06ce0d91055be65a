"""The experiment, and functions with which rules look up their inputs and parameters in it."""

import gc
import inspect
import json
import os
import shlex
import sys

from snakemake.exceptions import WorkflowError
from snakemake.settings.types import DeploymentMethod

from landscape import artefacts
from landscape.experiment import jobs, memory, needs, preflight, reading
from landscape.experiment import specs, training_chain, writable
from landscape.errors import InputError

# For many jobs, Snakemake makes many objects and hardly a reference cycle. Python's default search for cycles takes a
# tenth of its time (20,000 jobs).
gc.set_threshold(50_000, 20, 100)

try:
    EXPERIMENT = reading.merged(
        config, workflow.configfiles if workflow.is_main_process else ()
    )
    if workflow.is_main_process:
        writable.check(EXPERIMENT)
    CONTENTS = preflight.contents()
    CHECKED = preflight.preflight(
        EXPERIMENT, CONTENTS, thorough=workflow.is_main_process
    )
except InputError as error:
    raise WorkflowError("the configuration cannot be used:", *error.problems)

# Rules call the verbs of this installation, even if its environment is not activated, or those of the image.
# LANDSCAPE_NETWORKS lists the user's own networks and losses: a verb runs no code just because a file names it.
# LANDSCAPE_EXPECTED holds what is expected of adopted runs: as a parameter, a change of it would redo all that follows.
IN_IMAGE = DeploymentMethod.APPTAINER in workflow.deployment_settings.deployment_method
BIN = (
    "" if IN_IMAGE else f'PATH={shlex.quote(os.path.dirname(sys.executable))}:"$PATH" '
)
OWN = "\n".join(
    dict.fromkeys(name for run in EXPERIMENT.runs.values() for name in run.code_names)
)
EXPECTED = json.dumps(
    {name: run.expected for name, run in EXPERIMENT.runs.items() if run.expected}
)
EXPORTS = f"export {BIN}LANDSCAPE_NETWORKS={shlex.quote(OWN)} LANDSCAPE_EXPECTED={shlex.quote(EXPECTED)}; "
shell.prefix(EXPORTS.replace("{", "{{").replace("}", "}}"))

RESULTS = EXPERIMENT.results
IMAGE = EXPERIMENT.container or "docker://ghcr.io/landscape-project/landscape:0.1.0"


wildcard_constraints:
    data=artefacts.NAME,
    run=artefacts.NAME,
    state=artefacts.STATE,
    plane=artefacts.NAME,
    probe=artefacts.NAME,
    figure=artefacts.NAME,
    table=artefacts.NAME,
    marked=artefacts.STATE,


def ask(question, *wildcards):
    """Make an input function that calls `question(EXPERIMENT, *wildcards)`.

    An InputError becomes the error that Snakemake prints without a traceback.
    """

    def answer(given):
        try:
            return question(EXPERIMENT, *(given[name] for name in wildcards))
        except InputError as error:
            raise WorkflowError(*error.problems)

    return _signed(answer)


def content(question, *wildcards):
    """Like `ask`, for the paths of the user's own files: each with its checksum.

    Such files are `ancient` inputs: a changed checksum among the parameters, not a later time, redoes a job.
    """
    asked = ask(question, *wildcards)

    def answer(given):
        return CONTENTS.of(asked(given))

    return _signed(answer)


def grown(question, *wildcards):
    """Like `ask`, for memory in MB: each further attempt gets half of the first amount more."""
    asked = ask(question, *wildcards)

    def answer(given, attempt):
        return int(asked(given) * (1 + attempt) / 2)

    return _signed(answer)


def _signed(function):
    """Store the signature of `function`. Snakemake looks it up for every job, an eighth of its time otherwise."""
    function.__signature__ = inspect.signature(function)
    return function


def runs_that_are(*made):
    """Return a pattern of the runs that are trained, adopted or rescaled; without any, one that matches nothing."""
    names = [name for name, run in EXPERIMENT.runs.items() if run.made in made]
    return "|".join(map(re.escape, names)) or "(?!)"
