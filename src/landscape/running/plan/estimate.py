"""What an experiment takes in all, each of its figures by itself, and its tiles."""

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from landscape.artefacts import Job
from landscape.experiment.schema import Experiment
from landscape.measures.plane_section import Plane
from landscape.running.plan.cost import Cost, Costs, total
from landscape.running.plan.graph import Graph

TILE_MINUTES = (5, 20)
"""How long a tile should last: starting a job of a cluster costs seconds, and what fails is lost up to its end."""


@dataclass(frozen=True)
class Need:
    """Jobs, by rule, and what they cost together."""

    jobs: Counter[str]
    cost: Cost

    @property
    def number(self) -> int:
        return self.jobs.total()


@dataclass(frozen=True)
class OfFigure:
    """Attributes:
    whole: all that it needs.
    alone: what no other figure needs.
    shares_with: the figures with which it shares operations, those with the most first.
    """

    whole: Need
    alone: Need
    shares_with: list[str]


@dataclass(frozen=True)
class OfPlane:
    """The tiles of a plane, over all states that are seen on it.

    Attributes:
        points: of the plane.
        tiles: of the surface that takes most.
        state: whose surface that is.
        most, least: operations at a point of that surface, and of the one that takes least.
    """

    points: int
    tiles: int
    state: str
    most: float
    least: float

    def passes(self, tiles: int) -> int:
        """How often the longest of so many tiles is evaluated: at its points, and at the centre."""
        return math.ceil(self.points / tiles) + 1

    def fitting(self, longest: float) -> int:
        """The fewest tiles none of which takes more than `longest` operations, or else a tile for every point."""
        fits = (n for n in range(1, self.points) if self.passes(n) * self.most <= longest)
        return next(fits, self.points)


class Estimate:
    """Jobs and costs of an experiment, nothing of which is taken as made.

    Attributes:
        figures: by name.
        together: all figures, each job once.
        whole: every job of `rule all`: figures, tables, summary, claims.
        jobs: these jobs.
        shared: operations of the jobs that all figures of a set need, and no other figure does.
        planes: by name.
        unknown: what is not known, and why, one line each; what hangs on it is not in the numbers.

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
        """What some figures need, each job once."""
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
    """From the operations of the tiles of each state's surface."""
    points = math.prod(plane.shape)
    at_a_point = {at: max(tiles) / (math.ceil(points / len(tiles)) + 1) for at, tiles in surfaces.items()}
    state = max(at_a_point, key=lambda at: at_a_point[at])
    return OfPlane(points, len(surfaces[state]), state, at_a_point[state], min(at_a_point.values()))
