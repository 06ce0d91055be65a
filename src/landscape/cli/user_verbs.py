"""The verbs for users: run the workflow, check and plan a configuration, look at results."""

from __future__ import annotations

import contextlib
import json
import math
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from landscape.cli.options import AsJson, Config, Output
from landscape.errors import InputError


def run(
    config: Config,
    /,
    *options: Annotated[str, Parameter(allow_leading_hyphen=True, help="targets and options of Snakemake")],
) -> int:
    """Run the workflow, or go on with it.

    A target is a file to make instead of everything, such as results/figures/NAME.pdf. Useful options: --dry-run, --cores N,
    --keep-going, --profile slurm. Every other option of Snakemake may stand there too.
    """
    from landscape.running import launch

    return launch.run(config, options)


def check(config: Config, /) -> None:
    """Check a configuration, its networks and its files.

    Notes say what is allowed and may surprise: planes, probes, runs and data that nothing uses, results of another
    configuration in the same folder, names that torchvision gives to other networks.
    """
    from landscape.experiment import reading, writable
    from landscape.running import check
    from landscape.running.notes import notes

    experiment = reading.read(config)
    writable.check(experiment)
    for note in notes(experiment):
        _note(note)
    if problems := check.problems(experiment, told=_note):
        raise InputError(problems)


def _note(note: str) -> None:
    sys.stdout.write(f"note: {note}\n")


def plan(
    config: Config,
    /,
    *,
    tflops: Annotated[
        float | None,
        Parameter(help="operations a second that a GPU keeps up, in units of 1e12; default 20, an assumption"),
    ] = None,
    gpu_hours: Annotated[
        float | None, Parameter(help="choose the figures that can be made in so many GPU hours")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Estimate jobs, operations, GPU hours and disk."""
    from landscape.experiment import document, reading
    from landscape.running import launch, plan

    if tflops is not None and not 0 < tflops < math.inf:
        raise InputError(f"--tflops is {tflops:g}; it must be a positive number")
    if gpu_hours is not None and not 0 <= gpu_hours < math.inf:
        raise InputError(f"--gpu-hours is {gpu_hours:g}; it must be a number of at least 0")
    experiment = reading.read(config)
    profile = document.read(str(launch.profile("slurm") / "config.yaml"))
    found = plan.values(experiment, config, tflops=tflops, budget=gpu_hours, profile=profile)
    sys.stdout.write(json.dumps(found, indent=1) + "\n" if as_json else plan.text(found))


def show(
    file: Annotated[str, Parameter(help="a file of ours, or FILE@EPOCH of an epochs file")],
    /,
    *,
    as_json: AsJson = False,
) -> None:
    """Say what a file is and where it comes from."""
    from landscape.running import show

    found = show.described(file)
    sys.stdout.write(json.dumps(found, indent=1) + "\n" if as_json else show.text(found))


def import_(
    file: Annotated[Path, Parameter(help="a surface in HDF5")],
    /,
    *,
    name: Annotated[str | None, Parameter(help="what the network is called; default the file's name")] = None,
    train_examples: Annotated[
        int, Parameter(help="examples of the training loss, which the file does not tell")
    ] = 50_000,
    test_examples: Annotated[int, Parameter(help="examples of the test loss")] = 10_000,
    classes: Annotated[int, Parameter(help="classes of the data")] = 10,
    output: Output,
) -> None:
    """Read a surface that the paper's own code made."""
    from landscape.api import imported
    from landscape.store import files

    counts = {"train_examples": train_examples, "test_examples": test_examples, "classes": classes}
    files.write_dataset(imported.import_surface(file, name=name, **counts), output)


def clean(
    config: Config,
    /,
    *,
    remove: Annotated[bool, Parameter(negative=(), help="remove what is listed without it")] = False,
) -> None:
    """List or remove results that no entry of a configuration makes."""
    from landscape.experiment import reading
    from landscape.running import clean, launch

    experiment = reading.read(config)
    with launch.alone() if remove else contextlib.nullcontext():
        found = clean.found(experiment)
        if remove:
            clean.remove(found)
    sys.stdout.write(clean.text(found, removed=remove))


def schema() -> None:
    """Print the JSON schema of configurations, for editors."""
    from landscape.experiment.schema import json_schema

    sys.stdout.write(json.dumps(json_schema(), indent=1) + "\n")
