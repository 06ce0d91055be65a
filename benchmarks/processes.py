"""Measure the time and memory of a command."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

_WATCH = """
import json, resource, subprocess, sys, time
begun = time.perf_counter()
done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
taken = time.perf_counter() - begun
if done.returncode:
    sys.exit(done.stdout)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([taken, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024 / 1e9]))
"""


class Cost(NamedTuple):
    """Seconds on the clock, CPU seconds, and the peak memory in GB of the largest process."""

    seconds: float
    processor: float
    memory: float


def watched(command: Sequence[str | Path], place: Path) -> Cost:
    """Run a command in a folder and measure it.

    A small process starts it, since the peak memory of a child begins with that of its parent.

    Raises:
        subprocess.CalledProcessError: if the command fails, with its output in `stderr`.
    """
    words = [sys.executable, "-c", _WATCH, *map(str, command)]
    return Cost(*json.loads(subprocess.run(words, cwd=place, check=True, capture_output=True, text=True).stdout))
