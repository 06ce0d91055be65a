"""The graph of the workflow's jobs. Its edges come from `experiment.rules`, as Snakemake's do."""

from collections.abc import Iterable

from landscape.artefacts import Job
from landscape.experiment import rules
from landscape.experiment.schema import Experiment


class Graph:
    """The jobs of an experiment, each once.

    Attributes:
        figures: by name, every job that a figure needs, with its own.
        all: every job of `rule all`, without `all` itself.
    """

    def __init__(self, experiment: Experiment):
        self._experiment = experiment
        self._inputs: dict[Job, list[Job]] = {}
        self.figures = {name: self.needed([Job("figure", (name,))]) for name in experiment.figures}
        ends = [Job("table", (name,)) for name in experiment.tables]
        ends += [Job("summary"), Job("configuration"), *([Job("claims")] if experiment.claims else [])]
        self.all = set().union(self.needed(ends), *self.figures.values())

    def needed(self, jobs: Iterable[Job]) -> set[Job]:
        """Return these jobs and all that they need."""
        found: set[Job] = set()
        waiting = list(jobs)
        while waiting:
            job = waiting.pop()
            if job not in found:
                found.add(job)
                waiting += self._needs(job)
        return found

    def _needs(self, job: Job) -> list[Job]:
        if job not in self._inputs:
            made = (rules.maker(self._experiment, path) for path in rules.reads(self._experiment, job))
            self._inputs[job] = list(dict.fromkeys(other for other in made if other is not None))
        return self._inputs[job]
