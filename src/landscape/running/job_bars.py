"""Show the workflow's jobs on a terminal: a bar for each kind, and the last words of every job that fails."""

import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from landscape.artefacts import ARTEFACTS
from landscape.progress import duration
from landscape.running.show import printable

_WIDTH = 120
_LAST_LINES = 10
_SECONDS_BETWEEN_LOOKS = 2.0
_INTERRUPTED = "Terminating processes on user request"
_TELLING = ("Trying to restart job", _INTERRUPTED, "Will exit after finishing")
"""Beginnings of messages of Snakemake that are shown although they are no warnings."""
_REPEATED = ("CalledProcessError", "SpawnedJobError", "RuleException")
"""Exceptions that Snakemake reports beside the error of the job that raised them."""
_SAID_BY_BARS = ("At least one job did not complete successfully.", "Exiting because a job execution failed.")


@dataclass
class BegunJob:
    """A job that began: its rule, wildcards and log files, and how much of it is done, from 0 to 1."""

    kind: str
    wildcards: dict[str, Any]
    logs: list[str]
    begun: float
    part: float = 0.0


@dataclass
class Kind:
    """All jobs of one kind: how many there are, are done and failed, and which are running, by number."""

    total: int
    done: int = 0
    failed: set[int] = field(default_factory=set)
    running: dict[int, BegunJob] = field(default_factory=dict)
    _busy: float = 0.0
    _since: float = 0.0

    def begin(self, number: int, job: BegunJob) -> None:
        if not self.running:
            self._since = job.begun
        self.failed.discard(number)
        self.running[number] = job

    def end(self, number: int, now: float, how: Literal["well", "failed", "interrupted"]) -> None:
        if self.running.pop(number, None) is None:
            return
        if how == "well":
            self.done += 1
        elif how == "failed":
            self.failed.add(number)
        if not self.running:
            self._busy += now - self._since

    def seconds(self, now: float) -> float:
        """Seconds in which at least one of the jobs ran."""
        return self._busy + (now - self._since if self.running else 0.0)

    @property
    def made(self) -> float:
        """Number of jobs done, with what is done of the running ones."""
        return self.done + sum(job.part for job in list(self.running.values()))

    def words(self, now: float) -> str:
        """Say how fast it goes and how long it takes, as far as the jobs so far tell."""
        seconds = self.seconds(now)
        if self.done == self.total:
            return f"in {duration(seconds)}"
        if not self.running:
            return ""
        if not self.made:
            return f"running for {duration(seconds)}"
        left = f"{duration(seconds * (self.total - len(self.failed) - self.made) / self.made)} left"
        return f"{_rate(self.done / seconds)}, {left}" if self.done and seconds else left


class JobBars:
    """Takes the records of Snakemake's log and shows them; without a terminal, as a line for each finished job.

    The bars are drawn in a thread of their own, which copies what it loops over. A lock would invite a deadlock with rich's.
    """

    def __init__(self, console: Console | None = None, clock: Callable[[], float] = time.monotonic):
        self._console = console or Console(stderr=True, highlight=False)
        self._clock = clock
        self._kinds: dict[str, Kind] = {}
        self._jobs: dict[int, BegunJob] = {}
        self._looked = self._begun = clock()
        self._live: Live | None = None
        self._interrupted = False
        self._log = ""

    def take(self, record: logging.LogRecord, text: Callable[[logging.LogRecord], str]) -> None:
        """Show a record. `text` gives Snakemake's own text for it."""
        event = str(getattr(record, "event", None) or "")
        match event:
            case "workflow_started":
                self._start()
            case "run_info":
                self._plan(getattr(record, "stats", {}))
            case "job_info":
                self._begin(record)
            case "job_finished":
                self._finish(getattr(record, "job_id", -1))
            case "job_error":
                self._fail(record)
            case "group_error":
                logs = getattr(record, "aux_logs", [])
                self._say(_failure(f"the group {getattr(record, 'groupid', '')}", "", logs))
            case "error" if getattr(record, "exception", "") in _REPEATED:
                pass
            case "" | "error":
                self._repeat(record, text(record).strip())

    def close(self) -> None:
        """Draw the bars for the last time, and name the log."""
        live, self._live = self._live, None
        if live is not None:
            live.transient = not self._kinds  # there was nothing to do
            live.stop()
            if self._kinds:
                self._say_where()

    def _start(self) -> None:
        if self._console.is_terminal and self._live is None:
            self._live = Live(
                console=self._console, get_renderable=self._drawn, refresh_per_second=2, redirect_stdout=False
            )
            self._live.start()

    def _plan(self, stats: dict[str, int]) -> None:
        """Note how many jobs of each kind there are. `all` and the total are no kinds."""
        if self._kinds:
            return
        for rule, jobs in stats.items():
            if rule in ARTEFACTS:
                kind = self._kinds.setdefault(_kind(rule), Kind(0))
                kind.total += jobs
        self._begun = self._clock()
        self._log = max((str(path) for path in Path(".snakemake/log").glob("*.log")), default="")  # named by its time
        self._say_where()

    def _begin(self, record: logging.LogRecord) -> None:
        rule, number = str(getattr(record, "rule_name", "")), int(getattr(record, "jobid", -1))
        if rule in ARTEFACTS:
            wildcards, logs = dict(getattr(record, "wildcards", {})), list(getattr(record, "log", []))
            job = self._jobs[number] = BegunJob(_kind(rule), wildcards, logs, self._clock())
            self._kinds.setdefault(job.kind, Kind(1)).begin(number, job)

    def _finish(self, number: int) -> None:
        if job := self._jobs.get(number):
            kind = self._kinds[job.kind]
            kind.end(number, self._clock(), "well")
            if self._live is None:
                self._say(Text(f"{kind.done} of {kind.total}: {job.kind} {_words(job.wildcards)}".rstrip()))

    def _fail(self, record: logging.LogRecord) -> None:
        number, logs = int(getattr(record, "jobid", -1)), list(getattr(record, "log", []))
        job = self._jobs.get(number)
        if job is not None:
            if number in self._kinds[job.kind].failed:
                return  # Snakemake 9.10 says it twice
            self._kinds[job.kind].end(number, self._clock(), "interrupted" if self._interrupted else "failed")
        if self._interrupted or getattr(record, "indent", False) and not any(map(os.path.isfile, logs)):
            return  # the user ended it, or it is a job of a failed group that did not begin
        what = f"{getattr(record, 'rule_name', '')} {_words(job.wildcards if job else {})}".rstrip()
        self._say(_failure(what, str(getattr(record, "rule_msg", None) or ""), logs))

    def _repeat(self, record: logging.LogRecord, said: str) -> None:
        """Show what Snakemake says: warnings, errors, and a few notes. Its log has the rest."""
        if record.levelno >= logging.WARNING and not any(known in said for known in _SAID_BY_BARS):
            self._say(_escaped(said, "red" if record.levelno >= logging.ERROR else "yellow"))
        elif said.startswith(_TELLING):
            self._interrupted = self._interrupted or said.startswith(_INTERRUPTED)
            self._say(_escaped(said, "yellow"))

    def _say_where(self) -> None:
        if self._log:
            self._say(Text(f"Snakemake's log: {self._log}", style="dim"))

    def _say(self, what: RenderableType) -> None:
        self._console.print(what, soft_wrap=False)

    def _drawn(self) -> RenderableType:
        if not self._kinds:
            return Text("planning the jobs ...")
        self._look()
        now, kinds = self._clock(), self._kinds.copy()
        width = min(self._console.width, _WIDTH) - len("^C ")  # which a terminal shows, and would begin a line for
        table = Table.grid(padding=(0, 2), pad_edge=False, expand=True)
        table.width = width
        table.add_column(no_wrap=True)
        table.add_column(ratio=1, min_width=8)
        table.add_column(justify="right", no_wrap=True)
        table.add_column(no_wrap=True, min_width=26)
        for name, kind in kinds.items():
            table.add_row(*_row(name, kind.made, kind.done, kind.total, len(kind.failed), kind.words(now)))
        if len(kinds) > 1:
            made, done, total = (
                sum(getattr(kind, key) for kind in kinds.values()) for key in ("made", "done", "total")
            )
            failed = sum(len(kind.failed) for kind in kinds.values())
            seconds = duration(now - self._begun)
            words = f"{seconds} so far" if self._live else f"in {seconds}"
            table.add_row(*_row("all jobs", made, done, total, failed, words))
        return table

    def _look(self) -> None:
        """Read in the logs of running jobs how much of them is done, every two seconds."""
        now = self._clock()
        if now - self._looked >= _SECONDS_BETWEEN_LOOKS:
            self._looked = now
            for kind in list(self._kinds.values()):
                for job in list(kind.running.values()):
                    job.part = _part(job.logs, job.part)


def _row(name: str, made: float, done: int, total: int, failed: int, words: str) -> Iterator[RenderableType]:
    waits = not made and not failed and not words
    yield Text(name, style="dim" if waits else "")
    yield ProgressBar(total=total, completed=made, finished_style="green", complete_style="cyan")
    yield Text(f"{done:,}/{total:,}", style="dim" if waits else "")
    yield Text.assemble((f"{failed} failed  " if failed else "", "bold red"), (words, "green" if done == total else ""))


def _failure(what: str, message: str, logs: Sequence[str]) -> RenderableType:
    """Tell of a failed job: which, its last words, and where its log is."""
    lines: list[RenderableType] = [Text(printable(f"failed: {what}"), style="bold red")]
    if message:
        lines.append(_escaped(message, "red"))
    said = next((tail for log in logs if (tail := _tail(log))), [])
    lines.append(Padding(Text("\n".join(map(printable, said)) or "(it wrote nothing)"), (0, 0, 0, 4)))
    lines += [Text(printable(f"  log: {log}")) for log in logs]
    return Group(*lines)


def _escaped(text: str, style: str) -> Text:
    return Text("\n".join(map(printable, text.splitlines())), style=style)


def _tail(path: str) -> list[str]:
    """The last lines of a file, empty ones left out; none if it cannot be read."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.path.getsize(path) - 8192))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    return [line.rstrip() for line in text.splitlines() if line.strip()][-_LAST_LINES:]


def _part(logs: Sequence[str], before: float) -> float:
    """How much of a job is done, from the last line of its log if it is one of `landscape.progress`."""
    for log in logs[:1]:
        for line in reversed(_tail(log)):
            if match := re.search(r": (\d+) of ([1-9]\d*)(?:,| in )", line):
                return min(1.0, int(match[1]) / int(match[2]))
    return before


def _kind(rule: str) -> str:
    """The kind of jobs under which a rule is counted: `aimed` are directions too."""
    return ARTEFACTS[rule].logs or rule


def _words(wildcards: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in wildcards.items())


def _rate(per_second: float) -> str:
    unit, rate = next(
        (unit, per_second * seconds)
        for unit, seconds in (("s", 1), ("min", 60), ("h", 3600))
        if per_second * seconds >= 1 or unit == "h"
    )
    return f"{rate:,.0f}/{unit}" if rate >= 10 else f"{rate:.1f}/{unit}"
