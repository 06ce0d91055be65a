"""How many jobs a cluster is given: some of the workflow's share one, and some stay where Snakemake is."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from landscape.running.plan.graph import Task

LOCAL = ("dataset", "merge", "figure", "table", "summary", "claims", "configuration")
"""Rules that a cluster sees nothing of, unless the profile groups their jobs."""

_WILDCARDS = {
    "part": ("run", "left"),
    "directions": ("state", "plane"),
    "aimed": ("state", "plane"),
    "tile": ("state", "plane", "i", "n"),
    "trajectory": ("run", "plane"),
    "merge": ("state", "plane"),
    "mark": ("state", "plane", "marked"),
    "probe": ("state", "probe"),
    "figure": ("figure",),
}


def submissions(tasks: Iterable[Task], profile: Mapping[str, Any]) -> int:
    """The jobs that are left when `groups` of the profile are put together, `group-components` of each at a time.

    A group's name has wildcards, `tile=tiles-{state}`, and is another group for each of their values. None of the workflow's
    jobs of a group needs another of it, so that each is one of Snakemake's components.
    """
    groups = dict(entry.split("=", 1) for entry in profile.get("groups", ()))
    together = dict(entry.split("=", 1) for entry in profile.get("group-components", ()))
    members: Counter[tuple[str, str]] = Counter()
    alone = 0
    for task in tasks:
        if task.rule in groups:
            name = groups[task.rule]
            members[name, name.format(**_wildcards(task))] += 1
        elif task.rule not in LOCAL:
            alone += 1
    return alone + sum(math.ceil(number / int(together.get(name, 1))) for (name, _), number in members.items())


def _wildcards(task: Task) -> dict[str, str]:
    values = [*task.names[:2], *task.names[2].split("of")] if task.rule == "tile" else task.names
    return dict(zip(_WILDCARDS.get(task.rule, ("run",)), values, strict=True))
