"""Report an estimate, as values for machines and as text for people."""

import math
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from tabulate import tabulate

from landscape.artefacts import outputs
from landscape.experiment.schema import Experiment
from landscape.running.amounts import number, scaled
from landscape.running.plan.budget import choose
from landscape.running.plan.estimate import Estimate, Need
from landscape.running.plan.submissions import submissions

TILE_MINUTES = (5, 20)
"""Least and most minutes of a good tile: starting a job costs seconds, and a tile that fails is lost."""

ASSUMED = 20.0
"""Assumed speed of a data centre's GPU in fp32, in 1e12 operations a second. Not measured."""


def values(
    experiment: Experiment,
    config: str,
    *,
    tflops: float | None = None,
    budget: float | None = None,
    profile: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return what `landscape plan --json` prints: operations, GPU hours, bytes, minutes.

    Args:
        config: the path of the experiment's configuration.
        tflops: sustained speed in 1e12 operations a second; default `ASSUMED`.
        budget: GPU hours for which to choose figures.
        profile: a profile of Snakemake; its groups decide how many jobs a cluster is given.

    Raises:
        InputError: if a data set is wrong, a network cannot be built, or there is no solver for a budget.
    """
    estimate = Estimate(experiment)
    speed = (tflops or ASSUMED) * 1e12

    def of(need: Need) -> dict[str, Any]:
        return {
            "jobs": need.jobs.total(),
            "jobs_by_rule": dict(sorted(need.jobs.items())),
            "flops": need.cost.flops,
            "gpu_hours": need.cost.flops / speed / 3600,
            "disk_bytes": need.cost.disk,
            "complete": need.cost.known,
        }

    found: dict[str, Any] = {
        "tflops": speed / 1e12,
        "tflops_stated": tflops is not None,
        "figures": {
            name: {**of(figure.whole), "alone": of(figure.alone), "shares_with": figure.shares_with}
            for name, figure in estimate.figures.items()
        },
        "figures_together": of(estimate.together),
        "in_all": {**of(estimate.whole), "cluster_jobs": submissions(estimate.costs, profile or {})},
        "planes": _planes(experiment, estimate, speed * 60),
        "unknown": estimate.unknown,
    }
    if budget is not None:
        hours = {figures: flops / speed / 3600 for figures, flops in estimate.shared.items()}
        known = [name for name, figure in estimate.figures.items() if figure.whole.cost.known]
        chosen = choose(hours, known, budget)
        targets = [outputs(experiment.results, "figure", figure=name)["pdf"] for name in chosen]
        found["budget"] = {
            "gpu_hours": budget,
            "figures": chosen,
            "needs": of(estimate.of(chosen)),
            "command": shlex.join(["landscape", "run", config, "--cores", "all", *targets]) if chosen else None,
        }
    return found


def text(found: Mapping[str, Any]) -> str:
    """Write the values as a table and sentences."""
    head = ("", "jobs", "operations", "GPU hours", "disk", "jobs", "GPU hours", "disk", "shared with")
    rows: list[Sequence[str]] = [head]
    for name, figure in found["figures"].items():
        jobs, _, hours, disk = _cells(figure["alone"])
        rows.append((name, *_cells(figure), jobs, hours, disk, _some(figure["shares_with"])))
    rows.append(("all figures", *_cells(found["figures_together"]), "", "", "", ""))
    rows.append(("everything", *_cells(found["in_all"]), "", "", "", ""))
    lines = tabulate(
        rows, tablefmt="plain", colalign=("left", *["right"] * 7, "left"), disable_numparse=True
    ).splitlines()
    by_rule = found["in_all"]["jobs_by_rule"]
    lines.insert(0, " " * lines[0].rfind("jobs") + "of it alone")
    lines += ["", "Jobs: " + ", ".join(f"{jobs} {rule}" for rule, jobs in by_rule.items()) + "."]
    lines += [
        f"A cluster is given {found['in_all']['cluster_jobs']}: the profile slurm joins several into one, and Snakemake "
        "does jobs of seconds itself."
    ]
    lines += [f"GPU hours: at {found['tflops']:g} TFLOP/s kept up, {_SAID[found['tflops_stated']]}.", *_NOTES]
    lines += _on_tiles(found["planes"], by_rule.get("tile", 0))
    if found["unknown"]:
        lines += ["Not known, so numbers marked >= are too low:", *(f"  {reason}" for reason in found["unknown"])]
    if "budget" in found:
        lines += ["", *_on_budget(found["budget"], found["figures"])]
    return "\n".join(line.rstrip() for line in lines) + "\n"


_SAID = {False: "an assumption, not a measurement; --tflops states another", True: "as stated by --tflops"}
_NOTES = (
    "Operations: floating-point, 2 for a multiply-add, of convolutions, matrix products and attention.",
    "Everything: figures, tables, the summary and the claims. Results that already exist are counted too.",
)


def _planes(experiment: Experiment, estimate: Estimate, minute: float) -> dict[str, dict[str, Any]]:
    """Describe the tiles of every plane; `minute` is the number of operations in one."""
    surfaces: dict[str, dict[str, list[int]]] = {}
    for job in sorted(estimate.costs):
        if job.rule == "tile" and estimate.costs[job].known:
            at, plane, _, _ = job.names
            surfaces.setdefault(plane, {}).setdefault(at, []).append(estimate.costs[job].flops)
    return {
        plane: _tiles(math.prod(experiment.planes[plane].shape), surfaces[plane], minute) for plane in sorted(surfaces)
    }


def _tiles(points: int, surfaces: Mapping[str, Sequence[int]], minute: float) -> dict[str, Any]:
    """Describe a plane's tiles and how many there should be, if the longest is too long or needlessly short.

    Args:
        surfaces: the operations of every tile, by the state that is seen on the plane.
    """

    def passes(tiles: int) -> int:
        """Count the evaluations of the longest of so many tiles: at its points, and at the centre."""
        return math.ceil(points / tiles) + 1

    at_a_point = {at: max(tiles) / passes(len(tiles)) for at, tiles in surfaces.items()}
    state = max(at_a_point, key=lambda at: at_a_point[at])
    least, most = min(at_a_point.values()), at_a_point[state]
    tiles = fitting = len(surfaces[state])
    minutes = passes(tiles) * most / minute
    if not TILE_MINUTES[0] <= minutes <= TILE_MINUTES[1]:
        fits = (n for n in range(1, points) if passes(n) * most <= TILE_MINUTES[1] * minute)
        fitting = next(fits, points)
    return {
        "tiles": tiles,
        "longest_tile_minutes": minutes,
        "longest_tile_state": state,
        "tiles_that_fit": fitting,
        "minutes_then": [passes(fitting) * operations / minute for operations in (least, most)],
    }


def _on_tiles(planes: Mapping[str, Mapping[str, Any]], tiles: int) -> list[str]:
    """Name the longest tile, and the planes that need more or fewer tiles; equal ones, as in a sweep, share a line."""
    if not planes:
        return []
    longest = max(planes, key=lambda plane: planes[plane]["longest_tile_minutes"])
    least, most = TILE_MINUTES
    minutes = number(planes[longest]["longest_tile_minutes"])
    lines = [f"Tiles: {tiles}; the longest takes {minutes} minutes, on plane {longest}. {least} to {most} are good."]
    alike: dict[str, list[str]] = {}
    for name, plane in planes.items():
        if plane["tiles_that_fit"] != plane["tiles"]:
            tiles, minutes = plane["tiles"], number(plane["longest_tile_minutes"])
            first, last = map(number, plane["minutes_then"])
            said = (
                f"{'the one tile' if tiles == 1 else f'the longest of {tiles} tiles'} of {plane['longest_tile_state']} takes "
                f"{minutes} minutes; with tiles: {plane['tiles_that_fit']} it takes {last}"
            )
            said += f", that of the lightest network {first}" if first != last else ""
            alike.setdefault(said, []).append(name)
    return lines + [f"  {_some(names)}: {said}" for said, names in alike.items()]


def _on_budget(budget: Mapping[str, Any], figures: Mapping[str, Any]) -> list[str]:
    chosen = budget["figures"]
    jobs, _, hours, disk = _cells(budget["needs"])
    lines = [f"{budget['gpu_hours']:g} GPU hours suffice for {len(chosen)} of {len(figures)} figures."]
    if left := [name for name in figures if name not in chosen]:
        lines.append(f"Left out: {', '.join(left)}")
    if chosen:
        lines += [
            f"Chosen: {', '.join(chosen)}",
            f"They take {hours} GPU hours, {jobs} jobs and {disk}. To make them (on a cluster --profile slurm instead of "
            "--cores all):",
            f"  {budget['command']}",
        ]
    return lines


def _cells(need: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """Format jobs, operations, GPU hours and disk."""
    least = "" if need["complete"] else ">="
    hours = least + number(need["gpu_hours"])
    return str(need["jobs"]), least + scaled(need["flops"], "FLOP"), hours, least + scaled(need["disk_bytes"], "B")


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
