"""Count the jobs that a cluster is given: groups of the workflow's jobs are one, and local jobs are none."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from landscape.artefacts import ARTEFACTS, Job


def submissions(jobs: Iterable[Job], profile: Mapping[str, Any]) -> int:
    """Count the jobs after joining the `groups` of a profile, `group-components` of each at a time.

    A group's name has wildcards, as in `tile=tiles-{state}`; each of their values is a group of its own. No job needs
    another job of its group, so each is one component to Snakemake.
    """
    groups = dict(entry.split("=", 1) for entry in profile.get("groups", ()))
    together = dict(entry.split("=", 1) for entry in profile.get("group-components", ()))
    members: Counter[tuple[str, str]] = Counter()
    alone = 0
    for job in jobs:
        if job.rule in groups:
            name = groups[job.rule]
            members[name, name.format(**job.wildcards)] += 1
        elif not ARTEFACTS[job.rule].local:
            alone += 1
    return alone + sum(math.ceil(number / int(together.get(name, 1))) for (name, _), number in members.items())
