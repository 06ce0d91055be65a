"""The workflow's jobs as a graph: which needs which.

Edges are the answers of `config.jobs`, which Snakemake's rules ask too, so the graph is Snakemake's own.
"""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

from landscape.experiment import jobs, training_chain, twins
from landscape.experiment.schema import Experiment
from landscape.training.run_section import RULES


@dataclass(frozen=True, order=True)
class Task:
    """A job: its rule, and the wildcards of its output in their order; of a tile the last one is `IofN`."""

    rule: str
    names: tuple[str, ...] = ()


class Graph:
    """The jobs that make an experiment, each once.

    Attributes:
        figures: by name, every job that a figure needs, itself among them.
        all: every job of `rule all`, which is not among them, since it does nothing.
    """

    def __init__(self, experiment: Experiment):
        self._experiment = experiment
        self._inputs: dict[Task, list[Task]] = {}
        self.figures = {name: self.needed([Task("figure", (name,))]) for name in experiment.figures}
        ends = [Task("table", (name,)) for name in experiment.tables]
        ends += [Task("summary"), Task("configuration"), *([Task("claims")] if experiment.claims else [])]
        self.all = set().union(self.needed(ends), *self.figures.values())

    def needed(self, tasks: Iterable[Task]) -> set[Task]:
        """These tasks and all that they need."""
        found: set[Task] = set()
        waiting = list(tasks)
        while waiting:
            task = waiting.pop()
            if task not in found:
                found.add(task)
                waiting += self._needs(task)
        return found

    def _needs(self, task: Task) -> list[Task]:
        if task not in self._inputs:
            paths = _inputs(self._experiment, task)
            self._inputs[task] = [_maker(self._experiment, path) for path in dict.fromkeys(paths)]
        return self._inputs[task]


def target(experiment: Experiment, figure: str) -> str:
    """What to ask Snakemake for to have a figure made."""
    return f"{experiment.results}/figures/{figure}.pdf"


def _inputs(experiment: Experiment, task: Task) -> list[str]:
    """The files a task reads that other tasks make, as its rule has them."""
    match task:
        case Task("train" | "adopt", (run,)):
            return [jobs.data_file(experiment, run), *training_chain.before(experiment, run)]
        case Task("rescale", (run,)):
            return [jobs.data_file(experiment, run), twins.origin_file(experiment, run)]
        case Task("part", (run, left)):
            return [jobs.data_file(experiment, run), *training_chain.before(experiment, run, left)]
        case Task("directions" | "aimed", (at, plane)):
            return [jobs.weights_file(experiment, at), *jobs.other_files(experiment, at, plane)]
        case Task("tile", (at, plane, _)):
            own = [question(experiment, at) for question in (jobs.weights_file, jobs.data_file)]
            return [*own, jobs.directions_file(experiment, at, plane)]
        case Task("merge", (at, plane)):
            return jobs.tile_files(experiment, at, plane)
        case Task("trajectory", (run, plane)):
            own = [question(experiment, run) for question in (jobs.weights_file, jobs.epochs_file, jobs.data_file)]
            return [*own, jobs.directions_file(experiment, run, plane)]
        case Task("mark", (at, plane, marked)):
            both = [jobs.weights_file(experiment, state) for state in (at, marked)]
            return [*both, jobs.directions_file(experiment, at, plane)]
        case Task("probe", (at, name)):
            own = [question(experiment, at) for question in (jobs.weights_file, jobs.data_file)]
            return [*own, *jobs.directions_of_probe(experiment, at, name)]
        case Task("figure", (name,)):
            return list(itertools.chain.from_iterable(question(experiment, name) for question in _OF_FIGURES))
        case Task("table", (name,)):
            return jobs.histories_of_table(experiment, name)
        case Task("summary"):
            return [*jobs.surfaces_of_summary(experiment), *jobs.histories(experiment)]
        case Task("claims"):
            seen = [*jobs.surfaces_of_claims(experiment), *jobs.trajectories_of_claims(experiment)]
            return [*seen, *jobs.histories(experiment)]
    return []


_OF_FIGURES = (
    jobs.surfaces_of_figure,
    jobs.histories_of_figure,
    jobs.trajectories_of_figure,
    jobs.marks_of_figure,
    jobs.weights_of_figure,
    jobs.probes_of_figure,
)


def _maker(experiment: Experiment, path: str) -> Task:
    """The task that makes a file."""
    match path.removeprefix(f"{experiment.results}/").rpartition(".")[0].split("/"):
        case ["data", name]:
            return Task("dataset", (name,))
        case ["runs", run, part] if part.endswith("left"):
            return Task("part", (run, part.removesuffix("left")))
        case ["runs", run, _]:
            return Task(RULES[experiment.runs[run].made], (run,))
        case ["directions", at, plane]:
            return Task("aimed" if plane in jobs.aimed(experiment) else "directions", (at, plane))
        case ["surfaces", at, plane]:
            return Task("merge", (at, plane))
        case ["surfaces", at, plane, part]:
            return Task("tile", (at, plane, part))
        case ["probes", at, name]:
            return Task("probe", (at, name))
        case ["trajectories", run, plane]:
            return Task("trajectory", (run, plane))
        case ["marks", at, plane, marked]:
            return Task("mark", (at, plane, marked))
    raise AssertionError(f"no rule makes {path}")
