"""The workflow's rules: what their jobs read, depend on, and need of memory.

The Snakefile asks the same questions literally; a test holds it against this table. What the rules make is in `artefacts`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from landscape.artefacts import Artefact, Job, matching
from landscape.errors import InputError
from landscape.experiment import jobs, memory, needs, specs, training_chain
from landscape.experiment.schema import Experiment
from landscape.training.run_section import RULES as RULE_OF_RUN


@dataclass(frozen=True)
class Question:
    """A function of the experiment and some of a rule's wildcards."""

    ask: Callable[..., Any]
    wildcards: tuple[str, ...] = ()

    def __call__(self, experiment: Experiment, given: Mapping[str, str]) -> Any:
        return self.ask(experiment, *(given[name] for name in self.wildcards))


def _of(ask: Callable[..., Any], *wildcards: str) -> Question:
    return Question(ask, wildcards)


@dataclass(frozen=True)
class Rule:
    """Attributes:
    inputs: the files its jobs read, by the name of the input.
    spec: what its results depend on.
    memory: in MiB, of the first attempt.
    """

    inputs: Mapping[str, Question] = field(default_factory=dict)
    spec: Question | None = None
    memory: Question | None = None


_ON_PLANE = ("state", "plane")
_RUN, _SURFACE = _of(specs.of_run, "run"), _of(specs.of_surface, *_ON_PLANE)
_OF_RUN = {"code": _of(jobs.code_files, "run"), "data": _of(jobs.data_file, "run")}
_OF_STATE = {"code": _of(jobs.code_files, "state"), "data": _of(jobs.data_file, "state")}
_WEIGHTS = {"weights": _of(jobs.weights_file, "state")}
_ALONG = {"directions": _of(jobs.directions_file, *_ON_PLANE)}
_TRAINING, _JOB = _of(memory.of_training, "run"), _of(memory.of_job, "run")
_DIRECTIONS = Rule(
    {**_WEIGHTS, "other": _of(jobs.other_files, *_ON_PLANE)},
    _of(specs.of_directions, *_ON_PLANE),
    _of(memory.of_directions, *_ON_PLANE),
)

RULES: Mapping[str, Rule] = {
    "dataset": Rule({"": _of(jobs.source_files, "data")}, _of(specs.of_data, "data")),
    "train": Rule({**_OF_RUN, "before": _of(training_chain.before, "run")}, _RUN, _TRAINING),
    "part": Rule({**_OF_RUN, "before": _of(training_chain.before, "run", "left")}, _RUN, _TRAINING),
    "adopt": Rule({**_OF_RUN, "weights": _of(jobs.adopted_files, "run")}, _RUN, _TRAINING),
    "rescale": Rule({**_OF_RUN, "weights": _of(jobs.origin_file, "run")}, _RUN, _JOB),
    "directions": _DIRECTIONS,
    "aimed": _DIRECTIONS,
    "tile": Rule({**_OF_STATE, **_WEIGHTS, **_ALONG}, _SURFACE, _of(memory.of_tile, *_ON_PLANE)),
    "merge": Rule({"": _of(jobs.tile_files, *_ON_PLANE)}, _SURFACE, _of(memory.of_merge, *_ON_PLANE)),
    "trajectory": Rule(
        {
            **_OF_RUN,
            "weights": _of(jobs.weights_file, "run"),
            "epochs": _of(jobs.epochs_file, "run"),
            "directions": _of(jobs.directions_file, "run", "plane"),
        },
        _of(specs.of_trajectory, "run", "plane"),
        _TRAINING,
    ),
    "mark": Rule(
        {**_WEIGHTS, "marked": _of(jobs.weights_file, "marked"), **_ALONG},
        _of(specs.of_mark, *_ON_PLANE, "marked"),
        _of(memory.of_job, "state"),
    ),
    "probe": Rule(
        {**_OF_STATE, **_WEIGHTS, "directions": _of(jobs.directions_of_probe, "state", "probe")},
        _of(specs.of_probe, "state", "probe"),
        _of(memory.of_probe, "state", "probe"),
    ),
    "figure": Rule(
        {"results": _of(needs.results_of_figure, "figure"), "weights": _of(needs.weights_of_figure, "figure")},
        _of(specs.of_figure, "figure"),
        _of(memory.of_figure, "figure"),
    ),
    "table": Rule({"results": _of(needs.histories_of_table, "table")}, _of(specs.of_table, "table")),
    "summary": Rule({"results": _of(needs.results_of_summary)}, _of(specs.of_summary)),
    "claims": Rule({"results": _of(needs.results_of_claims)}, _of(specs.of_claims)),
    "configuration": Rule(),
}


def reads(experiment: Experiment, job: Job) -> list[str]:
    """The files that a job reads, each once."""
    found: dict[str, None] = {}
    for question in RULES[job.rule].inputs.values():
        answer = question(experiment, job.wildcards)
        found.update(dict.fromkeys([answer] if isinstance(answer, str) else answer))
    return list(found)


def maker(experiment: Experiment, path: str) -> Job | None:
    """The job that makes a file; None for a file that the workflow does not make."""
    for artefact, _, wildcards in matching(path.removeprefix(f"{experiment.results}/")):
        if _is_made_by(experiment, artefact, wildcards):
            return Job(artefact.rule, tuple(wildcards[name] for name in artefact.wildcards))
    return None


def is_wanted(experiment: Experiment, artefact: Artefact, wildcards: Mapping[str, str]) -> bool:
    """Says whether the configuration makes a rule's results for these wildcards."""
    try:
        if not _is_made_by(experiment, artefact, wildcards):
            return False
        spec = RULES[artefact.rule].spec
        if spec is not None:
            spec(experiment, wildcards)
        if artefact.rule == "part":
            training_chain.end(experiment, wildcards["run"], wildcards["left"])
        if artefact.rule == "tile":
            n = jobs.tiles(experiment, wildcards["state"], wildcards["plane"])
            return int(wildcards["i"]) <= n == int(wildcards["n"])
    except InputError:
        return False
    return True


def _is_made_by(experiment: Experiment, artefact: Artefact, wildcards: Mapping[str, str]) -> bool:
    """Tells apart the rules that write to the same paths, those of runs and of directions."""
    if artefact.rule in RULE_OF_RUN.values():
        run = experiment.runs.get(wildcards["run"])
        return run is not None and RULE_OF_RUN[run.made] == artefact.rule
    if artefact.rule in ("directions", "aimed"):
        return (wildcards["plane"] in jobs.aimed(experiment)) == (artefact.rule == "aimed")
    return True
