"""Figures, tables, and what is said of a configuration."""

import argparse
import html
import json
import math
import sys
from pathlib import Path

from landscape.errors import InputError


def figure(options: argparse.Namespace) -> None:
    from landscape import figures, files
    from landscape.config import specs

    spec, _ = specs.load(options.spec, "figure")
    surfaces, histories, trajectories, marks, probes = (
        [files.read_dataset(path) for path in paths or []]
        for paths in (options.surface, options.history, options.trajectory, options.mark, options.probe)
    )
    weights = [files.read_arrays(path) for path in options.weights or []]
    members = figures.members(spec, surfaces, histories, trajectories, marks, weights, probes)
    figures.save(figures.draw(spec, members), Path(options.output))


def table(options: argparse.Namespace) -> None:
    from landscape import files, tables
    from landscape.config import specs

    spec, published = specs.load_published(options.spec, "table")
    histories = [files.read_dataset(path) for path in options.history]
    tables.write(spec, tables.table(spec, published, histories), [Path(path) for path in options.output])


def summary(options: argparse.Namespace) -> None:
    from landscape import files, summary

    histories, surfaces, trajectories = (
        [files.read_dataset(path) for path in paths or []]
        for paths in (options.history, options.surface, options.trajectory)
    )
    summary.write(histories, surfaces, trajectories, [Path(path) for path in options.output])


def claims(options: argparse.Namespace) -> None:
    from landscape import claims, files
    from landscape.config import specs

    spec, published = specs.load_published(options.spec, "claims")
    histories, surfaces, trajectories = (
        [files.read_dataset(path) for path in paths or []]
        for paths in (options.history, options.surface, options.trajectory)
    )
    judged = claims.judge(spec, published, histories, surfaces, trajectories)
    claims.write(judged, histories, [Path(path) for path in options.output])


def configuration(options: argparse.Namespace) -> None:
    from landscape import files

    text = Path(options.config).read_text()
    yaml, page = options.output
    files.write_text(yaml, text)
    files.write_text(
        page, f'<!DOCTYPE html><meta charset="utf-8"><title>Configuration</title><pre>{html.escape(text)}</pre>\n'
    )


def check(options: argparse.Namespace) -> None:
    from landscape import check, config

    problems = check.problems(config.read(options.config))
    if problems:
        raise InputError(problems)


def schema(options: argparse.Namespace) -> None:
    from landscape.config.schema import json_schema

    sys.stdout.write(json.dumps(json_schema(), indent=1) + "\n")


def plan(options: argparse.Namespace) -> None:
    from landscape import config, plan

    tflops, budget = options.tflops, options.gpu_hours
    if tflops is not None and not 0 < tflops < math.inf:
        raise InputError(f"--tflops is {tflops:g}; it must be a positive number")
    if budget is not None and not 0 <= budget < math.inf:
        raise InputError(f"--gpu-hours is {budget:g}; it must be a number of at least 0")
    found = plan.values(config.read(options.config), options.config, tflops=tflops, budget=budget)
    sys.stdout.write(json.dumps(found, indent=1) + "\n" if options.json else plan.text(found))
