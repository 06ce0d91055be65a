"""The checks before any job: the configuration itself at once, networks and files in a process that may import torch."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

import landscape
from landscape.config import jobs
from landscape.config.read import resolve
from landscape.config.schema import SECTIONS, Experiment
from landscape.errors import InputError

_CHECKED = Path(".snakemake/landscape")


def preflight(content: Mapping[str, Any], *, thorough: bool) -> tuple[Experiment, str]:
    """The experiment, and the file with its resolved configuration that exists once everything is checked.

    Args:
        thorough: whether to build the networks and look into the files too. It takes seconds, in a process of its
            own, and is not repeated while the configuration and the files it names stay as they are.

    Raises:
        InputError: with every mistake found.
    """
    experiment = resolve(content)
    resolved = yaml.safe_dump(_in_full(experiment), sort_keys=False, allow_unicode=True)
    checked = _CHECKED / f"{_digest(resolved, experiment)}.yaml"
    if thorough and not checked.is_file():
        checked.parent.mkdir(parents=True, exist_ok=True)
        candidate = checked.with_name(f"{checked.name}.{os.getpid()}")
        candidate.write_text(resolved)
        try:
            _check(candidate)
            candidate.replace(checked)
        finally:
            candidate.unlink(missing_ok=True)
    return experiment, str(checked)


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
        raise InputError(f"the check of the configuration failed:\n{done.stderr.strip()}")


def _digest(resolved: str, experiment: Experiment) -> str:
    """Of the configuration, this version, and the size and time of every file it names."""
    named = [path for name in experiment.data for path in jobs.source_files(experiment, name)]
    for name, run in experiment.runs.items():
        named += jobs.code_files(experiment, name)
        named += [run.weights] if run.weights else []
    stamps = [(path, (stat := os.stat(path)).st_size, stat.st_mtime_ns) for path in sorted(set(named))]
    return hashlib.sha256(json.dumps([resolved, landscape.__version__, stamps]).encode()).hexdigest()[:16]
