"""What `landscape see` shows before the workflow, and tells after it."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from landscape.errors import InputError
from landscape.geometry.grid import specification

if TYPE_CHECKING:
    import xarray as xr

    from landscape.experiment.schema import Experiment
    from landscape.running.starter import Extent, Subject

_ROUGH = {"points": 9, "examples": 128}
_CHOICES = (1000, 500, 200, 100)
_SECONDS = 10.0  # that the rough picture may take
_PATIENCE = 120.0  # seconds that the plane may take if nobody said on how many examples
_JOBS = 20
"""Jobs of such a configuration, about."""


def rough(
    subject: Subject, points: int, examples: int | None, stem: Path, say: Callable[[str], None]
) -> tuple[Subject, Extent]:
    """Draw a rough picture, find the range, and estimate how long the fine ones take.

    Args:
        stem: what the names of files beside the configuration begin with.
        say: takes each line that is told meanwhile.

    Returns:
        The subject, with initial weights written to a file if it had none, and how far, finely and on how much to measure.

    Raises:
        InputError: if network, weights, data and loss do not fit each other.
    """
    import landscape as ls
    from landscape.api.inputs import weights_of
    from landscape.networks.copying import load
    from landscape.objective.objective_section import ObjectiveKeys
    from landscape.running.starter import Extent
    from landscape.store import checkpoint, files
    from landscape.store.weights import tensors_of

    dataset = ls.dataset(subject.data)
    network = _built(subject, dataset)
    started = time.time() - psutil.Process().create_time()  # every job needs as long to begin
    if subject.weights is None:
        place = stem.with_name(f"{stem.name}-initial.safetensors")
        checkpoint.write(place, tensors_of(network), {"name": subject.run, **files.provenance("see")})
        subject = replace(subject, weights=str(place), initial=True)
        say(f"no weights are given: the initial ones, drawn from seed 0, are seen, and kept in {place}")
    assert subject.weights is not None
    load(network, weights_of(subject.weights, network, "WEIGHTS"))
    loss: dict[str, Any] = {key: getattr(subject, key) for key in ObjectiveKeys.model_fields}
    few: dict[str, Any] = {"examples": min(_ROUGH["examples"], examples or _ROUGH["examples"]), "seed": 1}
    few["examples"], at_most = _affordable(network, dataset, loss, few["examples"])
    n = min(_ROUGH["points"], points)
    try:
        reach = _reach(ls.plane(network, dataset, alpha=("auto", 3), beta=("auto", 3), **few, **loss))
    except InputError as error:
        if "finds no range" not in str(error) and "tells a range" not in str(error):
            raise
        reach = 1.0
        say(f"{error.problems[0]}; from -1 to 1 is drawn")
    begun = time.monotonic()
    surface = ls.plane(network, dataset, alpha=(-reach, reach, n), beta=(-reach, reach, n), **few, **loss)
    each = (time.monotonic() - begun) / (n * n * _examples(surface))
    picture = _picture(surface, stem.with_name(f"{stem.name}-rough.png"), subject)
    say(f"a rough picture, {n} x {n} points on {surface.train_examples} examples: {picture}")
    splits = len(dataset.train), len(dataset.test) if dataset.test else 0
    passes, each = points * points + 3 * points, min(each, at_most)
    if examples is None:
        fits = [of for of in _CHOICES if passes * each * sum(min(of, split) for split in splits) <= _PATIENCE]
        examples = fits[0] if fits else _CHOICES[-1]
    examples = min(examples, max(splits))
    extent = Extent(points=points, reach=reach, examples=examples, hessian_examples=min(256, splits[0]))
    seconds = passes * each * sum(min(examples, split) for split in splits)
    extent, hessian = _sharpest(extent, network, dataset, loss, few["examples"], say)
    rest = (seconds + hessian) / min(os.cpu_count() or 1, 2) + _JOBS * started
    say(f"the rest takes about {_duration(rest)} on this machine")
    return subject, extent


def _built(subject: Subject, dataset: Any) -> Any:
    """Build the network with initial weights; what is wrong with it names it."""
    import landscape as ls

    try:
        return ls.network(subject.network, dataset, **(subject.args or {}))
    except InputError as error:
        named = (p if subject.network in p else f"{subject.network}: {p}" for p in error.problems)
        raise InputError(f"NETWORK: {problem}" for problem in named) from None


def _affordable(network: Any, dataset: Any, loss: dict[str, Any], examples: int) -> tuple[int, float]:
    """Choose on how many examples the rough picture is drawn in `_SECONDS`, at most `examples` and at least 16.

    Returns them, and the seconds that an example takes at most.
    """
    import landscape as ls

    for _ in range(2):  # the first time sets torch up
        begun = time.monotonic()
        seen = ls.line(network, dataset, alpha=(0, 0, 1), examples=examples, **loss)
        each = (time.monotonic() - begun) / (2 * _examples(seen))  # the centre is measured twice
    points = _ROUGH["points"] ** 2 + 60  # and those by which the range is found
    return max(min(16, examples), min(examples, int(examples * _SECONDS / (each * _examples(seen) * points)))), each


def _examples(surface: xr.Dataset) -> int:
    return int(surface.train_examples + surface.attrs.get("test_examples", 0))


def _sharpest(
    extent: Extent, network: Any, dataset: Any, loss: dict[str, Any], few: int, say: Callable[[str], None]
) -> tuple[Extent, float]:
    """Find the range along the sharpest direction, and how many seconds the eigenvalues take on all examples asked for."""
    import landscape as ls

    begun = time.monotonic()
    try:
        _, vectors = ls.probe(network, dataset, measure="eigenpairs", pairs=1, examples=few, **loss)
    except InputError as error:
        say(f"the Hessian is left out: {error.problems[0]}")
        return replace(extent, curvature=False), 0.0
    seconds = (time.monotonic() - begun) * extent.hessian_examples / few
    try:
        line = ls.line(network, dataset, eigenvectors=vectors, alpha=("auto", 3), examples=few, **loss)
    except InputError:
        return extent, seconds
    return replace(extent, sharp=_reach(line)), seconds


def _reach(surface: xr.Dataset) -> float:
    """The last alpha as it was found, which the coordinates are up to rounding."""
    return float(specification(surface)["alpha"][1])


def _picture(surface: xr.Dataset, place: Path, subject: Subject) -> Path:
    """Draw level lines of the training loss over its colours."""
    import numpy as np
    from matplotlib import colors
    from matplotlib.figure import Figure

    from landscape.figures.shared import style

    z = surface.train_loss.transpose("beta", "alpha")
    finite = z.values[np.isfinite(z.values)]
    positive = finite.size > 0 and finite.min() > 0
    with style.context():
        figure = Figure(figsize=(3.4, 3.0), layout="constrained")
        ax = figure.add_subplot()
        norm = colors.LogNorm(finite.min(), finite.max()) if positive and finite.max() > finite.min() else None
        colour = ax.pcolormesh(z.alpha, z.beta, z, norm=norm, shading="gouraud")
        levels = np.geomspace(finite.min(), finite.max(), 10)[1:-1] if norm else 8
        if finite.size and finite.max() > finite.min():
            ax.contour(z.alpha, z.beta, z, levels=levels, colors="black", linewidths=0.5)
        figure.colorbar(colour, label=f"training loss ({surface.loss})")
        ax.plot(0, 0, "+", color="black")
        ax.locator_params(nbins=5)
        ax.set(xlabel=r"$\alpha$", ylabel=r"$\beta$", aspect="equal", title=f"{subject.run}, rough")
        place.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(place, dpi=150)
    return place


def targets(config: str) -> list[str]:
    """Targets of the workflow: everything that the configuration names, its probes too."""
    from landscape.artefacts import path
    from landscape.experiment import reading

    experiment = reading.read(config)
    probes = [
        path(experiment.results, "probe", state=run, probe=probe)
        for run in experiment.runs
        for probe in experiment.probes
    ]
    return ["all", *probes]


def told(config: str) -> str:
    """Say what was found, as far as it was made: losses and scores, the basin, eigenvalues, findings, pictures."""
    from landscape.artefacts import path
    from landscape.experiment import reading
    from landscape.store import files

    experiment = reading.read(config)
    run = next(iter(experiment.runs))

    def result(kind: str, **names: str) -> xr.Dataset | None:
        place = Path(path(experiment.results, kind, **names))
        return files.read_dataset(place) if place.is_file() else None

    lines = [""]
    if (history := result("history", run=run)) is not None:
        lines += _losses(history.isel(epoch=-1))
    if "contour" in experiment.planes and (surface := result("surface", state=run, plane="contour")) is not None:
        lines += _basin(surface)
    for name, probe in experiment.probes.items():
        if probe.measure == "eigenpairs" and (pairs := result("probe", state=run, probe=name)) is not None:
            lines += _eigenvalues(pairs)
    return "\n".join([*lines, *_pictures(experiment), f"configuration  {config}"])


def _losses(row: xr.Dataset) -> list[str]:
    """Loss and score of both splits, on all examples."""
    own = sorted((str(name) for name in row if str(name).startswith("train_")), key=lambda name: name != "train_loss")
    found = []
    for name in (name.removeprefix("train_") for name in own):
        values = [
            f"{split} {row[f'{split}_{name}'].item():.4g}" for split in ("train", "test") if f"{split}_{name}" in row
        ]
        found.append(f"{name:<14} {', '.join(values)}")
    return found


def _basin(surface: xr.Dataset) -> list[str]:
    """Range and width on the plane, and warnings."""
    import landscape as ls
    from landscape import geometry
    from landscape.objective import meanings

    centre = geometry.centre(surface, "train_loss")
    number = f"width_rise_{0.5 if meanings.in_nats(surface.attrs) else 1:g}"
    width = geometry.numbers(surface)[number]
    there = f"{width:.3g}" if math.isfinite(width) else f"unknown ({geometry.reasons(surface)[number]})"
    lines = [
        f"plane          alpha and beta from {surface.alpha[0].item():g} to {surface.alpha[-1].item():g}, on "
        f"{surface.train_examples} training examples; loss at the centre {centre:.4g}",
        f"basin          {geometry.named(number, surface)}: {there} (1 is 100 % of each filter's norm)",
    ]
    if "train_accuracy" in surface and "classes" in surface.attrs:
        lines += [f"beware         {advice}" for advice in ls.numbers(surface).findings.splitlines()]
    return lines


def _eigenvalues(pairs: xr.Dataset) -> list[str]:
    """The extreme eigenvalues of the Hessian, each with the norm of its residual, within which an eigenvalue lies."""
    first = pairs.isel(pair=0)
    largest, smallest = (
        f"{end} {first[f'eigenvalue_{end}'].item():.4g} +- {first[f'residual_{end}'].item():.1g}"
        for end in ("largest", "smallest")
    )
    converged = "" if bool(pairs.converged) else "; not converged"
    return [f"eigenvalues    {largest}, {smallest}, on {pairs.train_examples} training examples{converged}"]


def _pictures(experiment: Experiment) -> list[str]:
    from landscape.artefacts import path

    places = [path(experiment.results, "png", figure=name) for name in experiment.figures]
    return [f"picture        {place}" for place in places if Path(place).is_file()]


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(10, 10 * round(seconds / 10))} seconds"
    return f"{round(seconds / 60)} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
