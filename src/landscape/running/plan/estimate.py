"""Costs of an experiment, of each of its figures, and of its tiles."""

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from landscape.artefacts import Job
from landscape.experiment.schema import Experiment
from landscape.measures.plane import Plane
from landscape.running.plan.cost import Cost, Costs, total
from landscape.running.plan.graph import Graph

TILE_MINUTES = (5, 20)
"""Least and most minutes of a good tile: starting a job costs seconds, and a tile that fails is lost."""


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


@dataclass(frozen=True)
class OfPlane:
    """The tiles of a plane, over all states that are seen on it.

    Attributes:
        points: number of points of the plane.
        tiles: number of tiles of the most expensive surface.
        state: the state of that surface.
        most, least: operations at a point of the most and of the least expensive surface.
    """

    points: int
    tiles: int
    state: str
    most: float
    least: float

    def passes(self, tiles: int) -> int:
        """Count the evaluations of the longest of so many tiles: at its points, and at the centre."""
        return math.ceil(self.points / tiles) + 1

    def fitting(self, longest: float) -> int:
        """Return the least number of tiles of at most `longest` operations each, or else a tile for every point."""
        fits = (n for n in range(1, self.points) if self.passes(n) * self.most <= longest)
        return next(fits, self.points)


class Estimate:
    """Jobs and costs of an experiment, as if no result existed yet.

    Attributes:
        figures: needs by figure.
        together: needs of all figures, each job once.
        whole: needs of `rule all`: figures, tables, summary, claims.
        jobs: the jobs of `rule all`.
        shared: by set of figures, operations of the jobs that exactly these figures need.
        planes: tiles by plane.
        unknown: a line for each unknown cost, with the reason; the numbers leave it out.

    Raises:
        InputError: if a data set is wrong or a network cannot be built.
    """

    def __init__(self, experiment: Experiment):
        graph, costs = Graph(experiment), Costs(experiment)
        self._cost = {job: costs.of(job) for job in graph.all}
        self.unknown = costs.unknown
        users = {job: frozenset(f for f, needed in graph.figures.items() if job in needed) for job in graph.all}
        self.shared: Counter[frozenset[str]] = Counter()
        for job, figures in users.items():
            self.shared[figures] += self._cost[job].flops
        self.figures = {}
        for name, needed in graph.figures.items():
            alone = self._need([job for job in needed if users[job] == {name}])
            self.figures[name] = OfFigure(self._need(needed), alone, self._sharing(name))
        self._needed = graph.figures
        self.together = self.of(list(graph.figures))
        self.jobs = graph.all
        self.whole = self._need(self.jobs)
        self.planes = self._planes(experiment)

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
        return Need(Counter(job.rule for job in jobs), total(self._cost[job] for job in jobs))

    def _planes(self, experiment: Experiment) -> dict[str, OfPlane]:
        surfaces: dict[str, dict[str, list[int]]] = {}
        for job, cost in self._cost.items():
            if job.rule == "tile" and cost.known:
                at, plane, _, _ = job.names
                surfaces.setdefault(plane, {}).setdefault(at, []).append(cost.flops)
        return {plane: _of_plane(experiment.planes[plane], found) for plane, found in sorted(surfaces.items())}


def _of_plane(plane: Plane, surfaces: Mapping[str, Sequence[int]]) -> OfPlane:
    """Summarise the operations of the tiles of each state's surface."""
    points = math.prod(plane.shape)
    at_a_point = {at: max(tiles) / (math.ceil(points / len(tiles)) + 1) for at, tiles in surfaces.items()}
    state = max(at_a_point, key=lambda at: at_a_point[at])
    return OfPlane(points, len(surfaces[state]), state, at_a_point[state], min(at_a_point.values()))
