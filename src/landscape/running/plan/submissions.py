"""How many jobs a cluster is given: some of the workflow's share one, and some stay where Snakemake is."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from landscape.artefacts import ARTEFACTS, Job


def submissions(jobs: Iterable[Job], profile: Mapping[str, Any]) -> int:
    """The jobs that are left when `groups` of the profile are put together, `group-components` of each at a time.

    A group's name has wildcards, `tile=tiles-{state}`, and is another group for each of their values. None of the workflow's
    jobs of a group needs another of it, so that each is one of Snakemake's components.
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
