"""What is wrong between entries of a configuration that are right by themselves."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from landscape.config import code
from landscape.config.expand import select
from landscape.config.known import FETCHED
from landscape.config.lookup import impossible, state
from landscape.config.schema import Contours, Experiment, Figure, Lines, Plane, Run, Surfaces
from landscape.errors import InputError, one_of

Broken = Mapping[str, set[str]]
"""Per section the names of entries that are wrong by themselves: what refers to them is not wrong for that."""

_PLURAL = {"data": "data sets"}


def problems(whole: Experiment, broken: Broken) -> Iterator[str]:
    """Every reference to what is not there, every circle, every impossible pair; each with its path and what is allowed."""
    for name, data in whole.data.items():
        yield from _source(f"data.{name}.source", data.source)
    for name, run in whole.runs.items():
        yield from _run(f"runs.{name}", run, whole, broken)
    for name, plane in whole.planes.items():
        yield from _plane(name, plane, whole, broken)
    circular = any(_cycle(name, whole.planes) for name in whole.planes)
    for name, figure in whole.figures.items():
        yield from _figure(f"figures.{name}", figure, whole, broken, circular)
    if whole.summary.plane is not None:
        yield from _unknown("summary.plane", whole.summary.plane, "planes", whole, broken)


def _source(path: str, source: str) -> Iterator[str]:
    if source.endswith(".npz"):
        if not Path(source).is_file():
            yield f"{path} is {source!r}, and there is no such file"
    elif source not in FETCHED:
        yield f"{path} is {source!r}; allowed are {one_of(FETCHED)}, path/to/file.npz"


def _run(path: str, run: Run, whole: Experiment, broken: Broken) -> Iterator[str]:
    yield from _unknown(f"{path}.data", run.data, "data", whole, broken)
    try:
        parameters = code.parameters(run.network)
    except InputError as error:
        yield f"{path}.network {error}"
    else:
        if parameters:
            yield from (f"{path}.args {problem}" for problem in parameters.problems(run.network, run.args))
    for key, files in (("weights", [run.weights] if run.weights else []), ("code", run.code)):
        yield from (
            f"{path}.{key} is {file!r}, and there is no such file" for file in files if not Path(file).is_file()
        )


def _plane(name: str, plane: Plane, whole: Experiment, broken: Broken) -> Iterator[str]:
    path = f"planes.{name}"
    if plane.run is not None:
        yield from _no_state(f"{path}.run", plane.run, whole, broken)
    if plane.plane is not None:
        if cycle := _cycle(name, whole.planes):
            yield f"{path}.plane is {plane.plane!r}, so the plane refers to itself: {' -> '.join(cycle)}"
        else:
            yield from _unknown(f"{path}.plane", plane.plane, "planes", whole, broken)
        if plane.plane in whole.planes:
            yield from _borrowed(path, plane, whole.planes[plane.plane])


def _borrowed(path: str, plane: Plane, other: Plane) -> Iterator[str]:
    if other.is_line and not plane.is_line:
        yield f"{path}.beta is {list(plane.beta or ())}, and the plane {plane.plane} is a line: it has no second direction"
    if plane.statistics == "interpolated" and other.statistics != "interpolated":
        yield f"{path}.batchnorm is 'interpolated', and the plane {plane.plane} has batchnorm: {other.statistics}"


def _figure(path: str, figure: Figure, whole: Experiment, broken: Broken, circular: bool) -> Iterator[str]:
    drawn_on = figure.plane if isinstance(figure, Contours | Surfaces | Lines) else None
    for i, pattern in enumerate(figure.runs):
        states, unmatched = select([pattern], [*whole.runs, *broken["runs"]])
        if unmatched:
            yield f"{path}.runs[{i}] is {pattern!r}; the runs are {one_of(whole.runs)}"
        for text in states:
            wrong = list(_no_state(f"{path}.runs[{i}]", text, whole, broken))
            yield from wrong
            seen = drawn_on in whole.planes and text.partition("@")[0] in whole.runs and not wrong and not circular
            if seen and (reason := _reason(whole, text, str(drawn_on))):
                yield f"{path}.runs[{i}] is {pattern!r}: {reason}"
    if drawn_on is None:
        return
    yield from _unknown(f"{path}.plane", drawn_on, "planes", whole, broken)
    if drawn_on in whole.planes:
        alphas, betas = whole.planes[drawn_on].shape
        if isinstance(figure, Lines) and (alphas < 2 or betas > 1):
            yield f"{path}.plane is {drawn_on!r}, a grid of {alphas} x {betas}; draw: lines needs a line of 2 points or more"
        if not isinstance(figure, Lines) and min(alphas, betas) < 2:
            yield f"{path}.plane is {drawn_on!r}, a grid of {alphas} x {betas}; draw: {figure.draw} needs at least 2 x 2"


def _unknown(path: str, name: str, section: str, whole: Experiment, broken: Broken) -> Iterator[str]:
    entries = getattr(whole, section)
    if name not in entries and name not in broken[section]:
        yield f"{path} is {name!r}; the {_PLURAL.get(section, section)} are {one_of(entries)}"


def _no_state(path: str, text: str, whole: Experiment, broken: Broken) -> Iterator[str]:
    if text.partition("@")[0] not in broken["runs"]:
        try:
            state(whole, text)
        except InputError as error:
            yield f"{path} is {text!r}: {error}"


def _reason(whole: Experiment, at: str, plane: str) -> str | None:
    try:
        return impossible(whole, at, plane)
    except InputError:
        return None  # the plane's own reference is wrong, which is reported there


def _cycle(name: str, planes: Mapping[str, Plane]) -> list[str]:
    """The chain of planes that leads from `name` back to it; empty if none does."""
    chain = [name]
    while (following := planes[chain[-1]].plane) is not None and following in planes and len(chain) <= len(planes):
        chain.append(following)
        if following == name:
            return chain
    return []
