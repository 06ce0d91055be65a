"""What is wrong between entries of a configuration that are right by themselves."""

from collections.abc import Iterator, Mapping
from typing import Any

from landscape.errors import InputError, one_of
from landscape.experiment import user_files
from landscape.experiment.analysis_sections import Claims
from landscape.experiment.expand import INHERITED, PLANES, PROBES, RUNS, expanded, patterns, select
from landscape.experiment.lookup import impossible, no_path, state, unlike
from landscape.experiment.schema import Experiment
from landscape.figures.kinds import Figure
from landscape.figures.kinds.bundles import Bundles
from landscape.figures.kinds.curvature import Curvature
from landscape.figures.kinds.gradients import Gradients
from landscape.figures.kinds.interpolation import Interpolation, InterpolationRow
from landscape.figures.kinds.layers import Layers
from landscape.figures.kinds.lines import Lines
from landscape.figures.kinds.overlay import Overlay
from landscape.figures.kinds.profiles import Profiles
from landscape.figures.kinds.saddle import Saddle
from landscape.figures.kinds.sharpening import Sharpening
from landscape.figures.kinds.spectra import Spectra
from landscape.measures.plane_section import Plane
from landscape.probes.probe_section import Probe
from landscape.training.run_section import Run

Broken = Mapping[str, set[str]]
"""Per section the names of entries that are wrong by themselves: what refers to them is not wrong for that."""

_PLURAL = {"data": "data sets"}
_ALONG_LINES = {(Lines, "plane"), (Overlay, "lines"), (Profiles, "line"), (Bundles, "rows")}
"""Where a figure names lines; everywhere else it names planes with two axes."""


def problems(whole: Experiment, broken: Broken) -> Iterator[str]:
    """Every reference to what is not there, every circle, every impossible pair; each with its path and what is allowed."""
    for name, data in whole.data.items():
        yield from user_files.of_data(f"data.{name}", data)
    for name, run in whole.runs.items():
        yield from _run(f"runs.{name}", run, whole, broken)
    for name, plane in whole.planes.items():
        yield from _plane(name, plane, whole, broken)
    for name, probe in whole.probes.items():
        yield from _probe(f"probes.{name}", probe, whole, broken)
    circular = any(_cycle(name, whole.planes) for name in whole.planes)
    for name, figure in whole.figures.items():
        yield from _figure(f"figures.{name}", figure, whole, broken, circular)
    for name, table in whole.tables.items():
        yield from _patterns(f"tables.{name}", table, whole, broken)
    for name in whole.published:
        yield from _unknown("published", name, "runs", whole, broken)
    yield from _patterns("summary", whole.summary, whole, broken)
    if whole.claims is not None:
        yield from _patterns("claims", whole.claims, whole, broken)
        yield from _claimed(whole.claims, whole)


def _run(path: str, run: Run, whole: Experiment, broken: Broken) -> Iterator[str]:
    yield from _unknown(f"{path}.data", run.data, "data", whole, broken)
    yield from user_files.of_run(path, run)
    if run.rescaled is not None:
        yield from _no_state(f"{path}.rescaled.run", run.rescaled.run, whole, broken)
        origin = whole.runs.get(run.rescaled.run.partition("@")[0])
        if origin is not None:
            yield from _rescaled(path, run, run.rescaled.run, origin)


def _rescaled(path: str, run: Run, of: str, origin: Run) -> Iterator[str]:
    for key in INHERITED:
        if (own := getattr(run, key)) != (theirs := getattr(origin, key)):
            yield f"{path}.{key} is {own!r}, and {of}, which it rescales, has {theirs!r}; leave it out"


def _plane(name: str, plane: Plane, whole: Experiment, broken: Broken) -> Iterator[str]:
    path = f"planes.{name}"
    if plane.run is not None:
        yield from _no_state(f"{path}.run", plane.run, whole, broken)
    for i, other in enumerate(plane.runs or ()):
        yield from _no_state(f"{path}.runs[{i}]", other, whole, broken)
    if plane.probe is not None:
        yield from _unknown(f"{path}.probe", plane.probe, "probes", whole, broken)
        if plane.probe in whole.probes:
            yield from _eigenvectors(path, plane, whole.probes[plane.probe])
    if plane.plane is not None:
        if cycle := _cycle(name, whole.planes):
            yield f"{path}.plane is {plane.plane!r}, so the plane refers to itself: {' -> '.join(cycle)}"
        else:
            yield from _unknown(f"{path}.plane", plane.plane, "planes", whole, broken)
        if plane.plane in whole.planes:
            yield from _borrowed(path, plane, whole.planes[plane.plane])


def _eigenvectors(path: str, plane: Plane, probe: Probe) -> Iterator[str]:
    if probe.measure != "eigenpairs" or probe.plane is not None:
        yield f"{path}.probe is {plane.probe!r}; it must be a probe with measure: eigenpairs of the state itself"
        return
    for vector in plane.vectors:
        if int(vector.partition("-")[2]) > probe.pairs:
            yield f"{path}.vectors has {vector!r}, and {plane.probe} finds {probe.pairs} pairs at each end; raise its pairs"


def _probe(path: str, probe: Probe, whole: Experiment, broken: Broken) -> Iterator[str]:
    if probe.plane is None:
        return
    yield from _unknown(f"{path}.plane", probe.plane, "planes", whole, broken)
    plane = whole.planes.get(probe.plane)
    if plane is None:
        return
    if plane.statistics != "stored":
        yield f"{path}.plane is {probe.plane!r}, which has batchnorm: {plane.statistics}; a probe needs one with stored"
    if plane.is_line and probe.beta:
        yield f"{path}.beta is {probe.beta:g}, and {probe.plane} is a line"
    if plane.probe is not None:
        yield f"{path}.plane is {probe.plane!r}, whose directions come from a probe"


def _borrowed(path: str, plane: Plane, other: Plane) -> Iterator[str]:
    if other.is_line and not plane.is_line:
        yield f"{path}.beta is {list(plane.beta or ())}, and the plane {plane.plane} is a line: it has no second direction"
    if plane.statistics == "interpolated" and other.statistics != "interpolated":
        yield f"{path}.batchnorm is 'interpolated', and the plane {plane.plane} has batchnorm: {other.statistics}"


def _figure(path: str, figure: Figure, whole: Experiment, broken: Broken, circular: bool) -> Iterator[str]:
    wrong = list(_patterns(path, figure, whole, broken))
    yield from wrong
    for key, pattern in patterns(figure, PLANES):
        for name in select([pattern], whole.planes)[0]:
            along_lines = isinstance(figure, Interpolation) or (type(figure), key.partition("[")[0]) in _ALONG_LINES
            if problem := _grid(whole.planes[name], name, line=along_lines):
                yield f"{path}.{key} is {pattern!r}{problem.format(draw=figure.draw)}"
    yield from _measured(path, figure, whole, broken)
    if isinstance(figure, Interpolation):
        for i, row in enumerate(figure.rows):
            yield from _interpolation(f"{path}.rows[{i}]", row, whole)
    if circular:
        return
    asked: dict[str, str] = {}  # which words of the configuration ask for a state
    for key, pattern in patterns(figure, RUNS):
        for text in select([pattern], whole.runs)[0]:
            if not any(_no_state("", text, whole, broken)):
                asked.setdefault(text, f"{path}.{key} is {pattern!r}")
    full = expanded(figure, whole.runs, whole.planes)
    told = set()
    for at, plane in full.seen:
        if at in asked and plane in whole.planes and (reason := _reason(whole, at, plane)):
            told.add((at, plane))
            yield f"{asked[at]}: {reason}"
    for at, plane in full.paths:
        known = at in asked and plane in whole.planes and (at, plane) not in told
        if known and (reason := no_path(whole, at) or _reason(whole, at, plane)):
            yield f"{asked[at]}: {reason}"
    for at, probe in full.probed:
        on = whole.probes[probe].plane if probe in whole.probes else None
        if at in asked and on in whole.planes and (at, on) not in told and (reason := _reason(whole, at, str(on))):
            yield f"{asked[at]}: {reason}"
    if isinstance(figure, Sharpening):
        yield from (p for at in full.states for p in _no_state(f"{path}.epochs", at, whole, broken))
    for at, _, mark in full.marked:
        if at in asked and mark in asked and (reason := _differs(whole, at, mark)):
            yield f"{asked[mark]}: marking a state needs {reason}"


_MEASURES: Mapping[type, tuple[str, ...]] = {
    Curvature: ("curvature",),
    Gradients: ("gradients", "curvature"),
    Spectra: ("spectrum",),
    Layers: ("activations",),
    Sharpening: ("eigenpairs", "spectrum"),
    Saddle: ("saddle",),
}
"""What the plane or the probe of a kind of figure must measure."""


def _measured(path: str, figure: Figure, whole: Experiment, broken: Broken) -> Iterator[str]:
    """Planes and probes of a figure that are not there, or measure something else than it shows."""
    allowed = _MEASURES.get(type(figure), ("loss", "gradients", "curvature"))
    for key, name in patterns(figure, PROBES):
        yield from _unknown(f"{path}.{key}", name, "probes", whole, broken)
        if name in whole.probes and (found := whole.probes[name].measure) not in allowed:
            yield f"{path}.{key} is {name!r}, with measure: {found}; draw: {figure.draw} needs {one_of(allowed)}"
    if not isinstance(figure, Curvature | Gradients):
        return
    plane = whole.planes.get(figure.plane)
    if plane is not None and plane.measure not in allowed:
        yield f"{path}.plane is {figure.plane!r}, with measure: {plane.measure}; draw: {figure.draw} needs {one_of(allowed)}"
    contours = whole.planes.get(figure.contours or "") if isinstance(figure, Curvature) else None
    if contours is not None and plane is not None and contours.drawn() != plane.drawn():
        yield f"{path}.contours is a plane with other directions than {figure.plane}"


def _claimed(claims: Claims, whole: Experiment) -> Iterator[str]:
    """Planes that measure something else than the claims they are for are about."""
    for key, allowed in (("curvature", _MEASURES[Curvature]), ("gradients", _MEASURES[Gradients])):
        for name in select(getattr(claims, key) or (), whole.planes)[0]:
            if (found := whole.planes[name].measure) not in allowed:
                yield f"claims.{key} is {name!r}, with measure: {found}; the claims need {one_of(allowed)}"


def _patterns(path: str, entry: Any, whole: Experiment, broken: Broken) -> Iterator[str]:
    """Names in an entry that stand for no run, no state, or no plane."""
    for key, pattern in patterns(entry, RUNS):
        states, unmatched = select([pattern], [*whole.runs, *broken["runs"]])
        if unmatched:
            yield f"{path}.{key} is {pattern!r}; the runs are {one_of(whole.runs)}"
        for text in states:
            yield from _no_state(f"{path}.{key}", text, whole, broken)
    for key, pattern in patterns(entry, PLANES):
        if select([pattern], [*whole.planes, *broken["planes"]])[1]:
            yield f"{path}.{key} is {pattern!r}; the planes are {one_of(whole.planes)}"


def _grid(plane: Plane, name: str, *, line: bool) -> str:
    """Why a figure cannot show this grid, to follow the name it stands under; empty if it can."""
    alphas, betas = plane.shape
    if (alphas >= 2 and betas == 1) if line else min(alphas, betas) >= 2:
        return ""
    needed = "a line of 2 points or more" if line else "at least 2 x 2"
    return f", a grid of {alphas} x {betas}; draw: {{draw}} needs {needed}"


def _interpolation(path: str, row: InterpolationRow, whole: Experiment) -> Iterator[str]:
    for key, name in (("plane", row.plane), ("recalibrated", row.recalibrated)):
        plane = whole.planes.get(name or "")
        if plane is None:
            continue
        if (plane.directions, plane.run) != ("to", row.to):
            yield f"{path}.{key} is {name!r}, which must be a plane with directions: to and run: {row.to}"
        elif key == "recalibrated" and plane.statistics != "recalibrated":
            yield f"{path}.{key} is {name!r}, which has batchnorm: {plane.statistics}"


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


def _differs(whole: Experiment, at: str, mark: str) -> str | None:
    try:
        return unlike(whole, at, mark)
    except InputError:
        return None  # there is no such network, which is reported at the run


def _cycle(name: str, planes: Mapping[str, Plane]) -> list[str]:
    """The chain of planes that leads from `name` back to it; empty if none does."""
    chain = [name]
    while (following := planes[chain[-1]].plane) is not None and following in planes and len(chain) <= len(planes):
        chain.append(following)
        if following == name:
            return chain
    return []
