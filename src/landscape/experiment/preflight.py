"""The checks before any job: the configuration itself at once, networks and files in a process that may import torch."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import landscape
from landscape.errors import InputError, TransientError
from landscape.experiment import document, jobs
from landscape.experiment.lookup import figure, impossible, state
from landscape.experiment.needs import differentiated
from landscape.experiment.schema import SECTIONS, Experiment
from landscape.store import weight_files
from landscape.store.contents import Contents
from landscape.training.run_section import Run

_CHECKED = Path(".snakemake/landscape")


def contents() -> Contents:
    """The checksums of the user's files, as far as they were taken in this folder before."""
    return Contents(_CHECKED / "contents.json")


def preflight(experiment: Experiment, known: Contents, *, thorough: bool) -> str:
    """Return the file with the resolved configuration, which exists once everything is checked.

    Args:
        thorough: whether to build the networks and look into the files too. It takes seconds, in a process of its
            own, and is not repeated while what it looks at stays as it is.

    Raises:
        InputError: with every mistake found.
    """
    full = _in_full(experiment)
    resolved = document.text(full)
    kept = _CHECKED / f"{_digest(resolved)}.yaml"
    if thorough:
        kept.parent.mkdir(parents=True, exist_ok=True)
        passed = _CHECKED / f"{_digest(_looked_into(full, experiment, known))}.passed"
        known.remember()
        candidate = kept.with_name(f"{kept.name}.{os.getpid()}")
        candidate.write_text(resolved)
        try:
            if not passed.is_file():
                _check(candidate)
            passed.touch()
            if not kept.is_file():
                candidate.replace(kept)
        finally:
            candidate.unlink(missing_ok=True)
    return str(kept)


def _in_full(experiment: Experiment) -> dict[str, Any]:
    """The configuration with sweeps expanded and defaults stated: a configuration again."""
    content = experiment.model_dump(
        mode="json", exclude_none=True, include={"results", "container", "summary", "claims"}
    )
    for section in SECTIONS:
        content[section] = {
            name: {key: value for key, value in entry.in_full().items() if value is not None}
            for name, entry in getattr(experiment, section).items()
        }
    return content


def _check(config: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "landscape", "check", str(config)], capture_output=True, text=True)
    if done.returncode == 2:
        marker = "error: "
        raise InputError(line.removeprefix(marker) for line in done.stderr.splitlines() if line.startswith(marker))
    if done.returncode != 0:
        raise TransientError(f"the check of the configuration failed: {done.stderr.strip().removeprefix('error: ')}")


def _looked_into(full: Mapping[str, Any], experiment: Experiment, known: Contents) -> Any:
    """Everything that the check depends on: data sets, networks, states that must have one architecture, files."""
    named = [path for name in experiment.data for path in jobs.source_files(experiment, name)]
    for name, run in experiment.runs.items():
        named += jobs.code_files(experiment, name)
        if run.adopted:
            named += [*jobs.adopted_files(experiment, name), *_fetched_before(run)]
    derived = {
        (at, getattr(entry, "parameters", "all"), entry.differentiates) for _, at, entry in differentiated(experiment)
    }
    return [full["data"], full["runs"], _compared(experiment), sorted(derived), known.of(sorted(set(named)))]


def _fetched_before(run: Run) -> list[str]:
    """The run's weights from elsewhere, if the cache has them."""
    place = run.end.here if run.end.url is not None else None
    return [] if place is None else [weight_files.split(place)[0]]


def _compared(experiment: Experiment) -> list[Any]:
    """The planes that lead to other states, with what is seen on them; and the runs with random directions, with what moves."""
    planes = {name: plane.drawn().in_full() for name, plane in experiment.planes.items() if plane.others}
    drawn = [figure(experiment, name) for name in experiment.figures]
    seen = {pair for spec in drawn for pair in (*spec.seen, *spec.paths)}
    if (on := experiment.summary.plane) is not None:
        seen |= {(at, on) for at in experiment.runs if not impossible(experiment, at, on)}
    random = [(at, experiment.planes[on]) for at, on in seen if experiment.planes[on].has_random_axis]
    moved = {(state(experiment, at).run, plane.pattern or "") for at, plane in random}
    return [planes, sorted(pair for pair in seen if pair[1] in planes), sorted(moved)]


def _digest(content: Any) -> str:
    text = json.dumps([content, landscape.__version__], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
