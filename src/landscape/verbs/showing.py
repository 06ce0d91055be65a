"""Figures, tables, and what is said of a configuration."""

import argparse
import html
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from landscape.errors import InputError

if TYPE_CHECKING:
    import xarray as xr


def figure(options: argparse.Namespace) -> None:
    from landscape import figures
    from landscape.experiment import specs
    from landscape.store import files

    spec, _ = specs.load(options.spec, "figure")
    surfaces, histories, trajectories, marks, probes = (
        _read(paths, kind)
        for paths, kind in (
            (options.surface, "surface"),
            (options.history, "history"),
            (options.trajectory, "trajectory"),
            (options.mark, "mark"),
            (options.probe, "probe"),
        )
    )
    weights = [files.read_arrays(path) for path in options.weights or []]
    members = figures.members(spec, surfaces, histories, trajectories, marks, weights, probes)
    figures.save(figures.draw(spec, members), Path(options.output))


_HELD = {
    "surface": ("alpha", "beta", "status"),
    "history": ("epoch", "train_loss", "train_accuracy"),
    "trajectory": ("epoch", "alpha", "beta"),
    "mark": ("alpha", "beta"),
}
"""Variables that every file of a kind has."""


def _read(paths: Sequence[str] | None, kind: str) -> "list[xr.Dataset]":
    """Files of one kind.

    Raises:
        InputError: if one is of another kind, or lacks what its kind has.
    """
    from landscape.running import show
    from landscape.store import files

    read = [files.read_dataset(path) for path in paths or []]
    for path, dataset in zip(paths or [], read, strict=True):
        if (found := show.kind(path, dataset.attrs)) != kind:
            raise InputError(f"{path} is a {found}, and a {kind} is needed")
        if missing := [name for name in _HELD.get(kind, ()) if name not in dataset.variables]:
            raise InputError(f"{path} is damaged: it is a {kind} without {', '.join(missing)}")
        if "spec" not in dataset.attrs:
            raise InputError(f"{path} is damaged: it has no attribute spec")
    return read


def table(options: argparse.Namespace) -> None:
    from landscape.analysis import tables
    from landscape.experiment import specs

    spec, published = specs.load_published(options.spec, "table")
    histories = _read(options.history, "history")
    tables.write(spec, tables.table(spec, published, histories), [Path(path) for path in options.output])


def summary(options: argparse.Namespace) -> None:
    from landscape.analysis import summary

    histories, surfaces, trajectories = (
        _read(paths, kind)
        for paths, kind in (
            (options.history, "history"),
            (options.surface, "surface"),
            (options.trajectory, "trajectory"),
        )
    )
    summary.write(histories, surfaces, trajectories, [Path(path) for path in options.output])


def claims(options: argparse.Namespace) -> None:
    from landscape.analysis import claims
    from landscape.experiment import specs

    spec, published = specs.load_published(options.spec, "claims")
    histories, surfaces, trajectories = (
        _read(paths, kind)
        for paths, kind in (
            (options.history, "history"),
            (options.surface, "surface"),
            (options.trajectory, "trajectory"),
        )
    )
    judged = claims.judge(spec, published, histories, surfaces, trajectories)
    claims.write(judged, histories, [Path(path) for path in options.output])


def configuration(options: argparse.Namespace) -> None:
    from landscape.store import files

    text = Path(options.config).read_text()
    yaml, page = options.output
    files.write_text(yaml, text)
    files.write_text(
        page, f'<!DOCTYPE html><meta charset="utf-8"><title>Configuration</title><pre>{html.escape(text)}</pre>\n'
    )


def check(options: argparse.Namespace) -> None:
    from landscape.experiment import reading
    from landscape.running import check

    problems = check.problems(reading.read(options.config))
    if problems:
        raise InputError(problems)


def schema(options: argparse.Namespace) -> None:
    from landscape.experiment.schema import json_schema

    sys.stdout.write(json.dumps(json_schema(), indent=1) + "\n")


def plan(options: argparse.Namespace) -> None:
    from landscape.experiment import document, reading
    from landscape.running import launch, plan

    tflops, budget = options.tflops, options.gpu_hours
    if tflops is not None and not 0 < tflops < math.inf:
        raise InputError(f"--tflops is {tflops:g}; it must be a positive number")
    if budget is not None and not 0 <= budget < math.inf:
        raise InputError(f"--gpu-hours is {budget:g}; it must be a number of at least 0")
    experiment, profile = reading.read(options.config), document.read(str(launch.profile("slurm") / "config.yaml"))
    found = plan.values(experiment, options.config, tflops=tflops, budget=budget, profile=profile)
    sys.stdout.write(json.dumps(found, indent=1) + "\n" if options.json else plan.text(found))
