"""Jobs and costs of an experiment, and of each of its figures."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from landscape.artefacts import Job
from landscape.experiment.schema import Experiment
from landscape.running.plan.cost import Cost, Costs, total
from landscape.running.plan.graph import Graph


@dataclass(frozen=True)
class Need:
    """Jobs, counted by rule, and their total cost."""

    jobs: Counter[str]
    cost: Cost


@dataclass(frozen=True)
class OfFigure:
    """Needs of one figure.

    Attributes:
        whole: all jobs of the figure.
        alone: the jobs that no other figure needs.
        shares_with: figures with which it shares operations, the largest share first.
    """

    whole: Need
    alone: Need
    shares_with: list[str]


class Estimate:
    """Jobs and costs of an experiment, as if no result existed yet.

    Attributes:
        figures: needs by figure.
        together: needs of all figures, each job once.
        whole: needs of `rule all`: figures, tables, summary, claims.
        costs: by job of `rule all`.
        shared: by set of figures, operations of the jobs that exactly these figures need.
        unknown: a line for each unknown cost, with the reason; the numbers leave it out.

    Raises:
        InputError: if a data set is wrong or a network cannot be built.
    """

    def __init__(self, experiment: Experiment):
        graph, costs = Graph(experiment), Costs(experiment)
        self._needed = graph.figures
        self.costs = {job: costs.of(job) for job in graph.all}
        self.unknown = costs.unknown
        users = {job: frozenset(f for f, needed in graph.figures.items() if job in needed) for job in graph.all}
        self.shared: Counter[frozenset[str]] = Counter()
        for job, figures in users.items():
            self.shared[figures] += self.costs[job].flops
        self.figures = {
            name: OfFigure(
                self._need(needed), self._need([job for job in needed if users[job] == {name}]), self._sharing(name)
            )
            for name, needed in graph.figures.items()
        }
        self.together = self.of(graph.figures)
        self.whole = self._need(graph.all)

    def of(self, figures: Collection[str]) -> Need:
        """Return the needs of some figures, each job once."""
        return self._need(set().union(*(self._needed[name] for name in figures)))

    def _sharing(self, name: str) -> list[str]:
        common: Counter[str] = Counter()
        for figures, flops in self.shared.items():
            if name in figures:
                common.update(dict.fromkeys(figures - {name}, flops))
        return [other for other, flops in sorted(common.items(), key=lambda item: (-item[1], item[0])) if flops]

    def _need(self, jobs: Collection[Job]) -> Need:
        return Need(Counter(job.rule for job in jobs), total(self.costs[job] for job in jobs))
