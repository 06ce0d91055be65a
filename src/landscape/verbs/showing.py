"""Figures, tables, and what is said of a configuration."""

import argparse
import html
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from landscape.errors import InputError, one_of

if TYPE_CHECKING:
    import xarray as xr


def figure(options: argparse.Namespace) -> None:
    from landscape import figures
    from landscape.experiment import specs
    from landscape.store import files

    spec, _ = specs.load(options.spec, "figure")
    weights = {files.state_in(path): files.read_arrays(path) for path in options.weights or []}
    members = figures.members(spec, _results(options.input), weights)
    figures.save(figures.draw(spec, members), Path(options.output))


_HELD = {
    "surface": ("alpha", "beta", "status"),
    "history": ("epoch", "train_loss", "train_accuracy"),
    "trajectory": ("epoch", "alpha", "beta"),
    "mark": ("alpha", "beta"),
    "probe": (),
}
"""Variables that every file of a kind has."""


def _results(paths: Sequence[str] | None) -> "dict[str, list[xr.Dataset]]":
    """Results by kind, each kind in the order in which its files are given.

    Raises:
        InputError: if one is of another kind than is drawn or counted, or lacks what its kind has.
    """
    from landscape import artefacts
    from landscape.store import files

    found: dict[str, list[xr.Dataset]] = {kind: [] for kind in _HELD}
    for path in dict.fromkeys(paths or []):
        dataset = files.read_dataset(path)
        kind = artefacts.kind_of(path, dataset.attrs)
        if kind not in found:
            raise InputError(f"{path} is a {kind}; allowed are {one_of(found)}")
        if missing := [name for name in _HELD[kind] if name not in dataset.variables]:
            raise InputError(f"{path} is damaged: it is a {kind} without {', '.join(missing)}")
        if "spec" not in dataset.attrs:
            raise InputError(f"{path} is damaged: it has no attribute spec")
        found[kind].append(dataset)
    return found


def table(options: argparse.Namespace) -> None:
    from landscape.analysis import tables
    from landscape.experiment import specs

    spec, published = specs.load_published(options.spec, "table")
    histories = _results(options.input)["history"]
    tables.write(spec, tables.table(spec, published, histories), [Path(path) for path in options.output])


def summary(options: argparse.Namespace) -> None:
    from landscape.analysis import summary

    found = _results(options.input)
    places = [Path(path) for path in options.output]
    summary.write(found["history"], found["surface"], found["trajectory"], places)


def claims(options: argparse.Namespace) -> None:
    from landscape.analysis import claims
    from landscape.experiment import specs

    spec, published = specs.load_published(options.spec, "claims")
    found = _results(options.input)
    judged = claims.judge(spec, published, found["history"], found["surface"], found["trajectory"])
    claims.write(judged, found["history"], [Path(path) for path in options.output])


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
