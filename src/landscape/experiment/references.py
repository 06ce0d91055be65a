"""Finds mistakes between entries of a configuration that are right by themselves."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from landscape.config.fields import Reference, expanded, references, select
from landscape.config.section import Section
from landscape.data.data_section import Data
from landscape.errors import InputError, one_of
from landscape.experiment import user_files
from landscape.experiment.lookup import impossible, no_path, state, unlike
from landscape.experiment.schema import SECTIONS, Experiment
from landscape.experiment.sweeps import INHERITED
from landscape.figures.kind import FigureKind
from landscape.measures.plane import Plane
from landscape.probes.eigenpairs import EigenpairsProbe
from landscape.probes.probe import Probe
from landscape.training.run_section import Run

Broken = Mapping[str, set[str]]
"""Per section the names of entries that are wrong by themselves: what refers to them is not wrong for that."""

_PLURAL = {"data": "data sets"}


def problems(whole: Experiment, broken: Broken) -> Iterator[str]:
    """Every reference to what is not there, every circle, every impossible pair; each with its path and what is allowed."""
    circular = any(_cycle(name, whole.planes) for name in whole.planes)
    for path, entry in _entries(whole):
        needs = f"draw: {entry.draw} needs" if isinstance(entry, FigureKind) else f"the {path} need"
        for found in references(entry):
            expands = found.is_pattern and not isinstance(entry, Plane)
            yield from _reference(path, found._replace(is_pattern=expands), needs, whole, broken)
        match entry:
            case Data():
                yield from user_files.of_data(path, entry)
            case Run():
                yield from _run(path, entry, whole)
            case Plane():
                yield from _plane(path, entry, whole)
            case Probe():
                yield from _probe(path, entry, whole)
            case FigureKind():
                yield from (path + problem for problem in entry.problems(whole))
                yield from _impossible(path, entry, whole, broken) if not circular else ()
    for name in whole.published:
        if name not in whole.runs and name not in broken["runs"]:
            yield f"published is {name!r}; the runs are {one_of(whole.runs, name)}"


def _entries(whole: Experiment) -> Iterator[tuple[str, Section]]:
    for section in SECTIONS:
        yield from ((f"{section}.{name}", entry) for name, entry in getattr(whole, section).items())
    yield "summary", whole.summary
    if whole.claims is not None:
        yield "claims", whole.claims


def _reference(path: str, found: Reference, needs: str, whole: Experiment, broken: Broken) -> Iterator[str]:
    """Finds names that nothing bears, and names of entries that do not fit where they stand."""
    section, entries = found.to.section, getattr(whole, found.to.section)
    path, known = f"{path}.{found.path}", [*entries, *broken[section]]
    names, unmatched = select([found.name], known) if found.is_pattern else ([found.name], [])
    if unmatched or (section != "runs" and not set(names) & set(known)):
        there = one_of(entries, found.name.partition("@")[0])
        yield f"{path} is {found.name!r}; the {_PLURAL.get(section, section)} are {there}"
    for name in names:
        if section == "runs":
            yield from _no_state(path, name, whole, broken)
        elif name in entries and (problem := _unfit(entries[name], found, needs)):
            yield f"{path} is {found.name!r}{problem}"


def _unfit(entry: Section, found: Reference, needs: str) -> str:
    """Why an entry cannot stand where it is named, to follow its name; empty if it can."""
    if isinstance(entry, Plane) and found.to.axes is not None:
        alphas, betas = entry.shape
        fits = alphas >= 2 and betas == 1 if found.to.axes == 1 else min(alphas, betas) >= 2
        if not fits:
            needed = "a line of 2 points or more" if found.to.axes == 1 else "at least 2 x 2"
            return f", a grid of {alphas} x {betas}; {needs} {needed}"
    if isinstance(entry, Plane | Probe) and found.to.measures and entry.measure not in found.to.measures:
        return f", with measure: {entry.measure}; {needs} {one_of(found.to.measures)}"
    return ""


def _run(path: str, run: Run, whole: Experiment) -> Iterator[str]:
    yield from user_files.of_run(path, run)
    origin = None if run.rescaled is None else whole.runs.get(run.rescaled.run.partition("@")[0])
    for key in INHERITED if origin is not None else ():
        if (own := getattr(run, key)) != (theirs := getattr(origin, key)):
            of = run.rescaled.run if run.rescaled else ""
            yield f"{path}.{key} is {own!r}, and {of}, which it rescales, has {theirs!r}; leave it out"


def _plane(path: str, plane: Plane, whole: Experiment) -> Iterator[str]:
    if plane.probe in whole.probes:
        yield from _eigenvectors(path, plane, whole.probes[str(plane.probe)])
    if plane.plane is None:
        return
    if cycle := _cycle(path.partition(".")[2], whole.planes):
        yield f"{path}.plane is {plane.plane!r}, so the plane refers to itself: {' -> '.join(cycle)}"
    if plane.plane in whole.planes:
        yield from _borrowed(path, plane, whole.planes[plane.plane])


def _eigenvectors(path: str, plane: Plane, probe: Probe) -> Iterator[str]:
    if not isinstance(probe, EigenpairsProbe) or probe.plane is not None:
        yield f"{path}.probe is {plane.probe!r}; it must be a probe with measure: eigenpairs of the state itself"
        return
    for vector in plane.vectors:
        if int(vector.partition("-")[2]) > probe.pairs:
            yield f"{path}.vectors has {vector!r}, and {plane.probe} finds {probe.pairs} pairs at each end; raise its pairs"


def _probe(path: str, probe: Probe, whole: Experiment) -> Iterator[str]:
    plane = whole.planes.get(probe.plane or "")
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


def _impossible(path: str, figure: FigureKind, whole: Experiment, broken: Broken) -> Iterator[str]:
    """States of a figure that are not kept, or cannot be seen where it shows them."""
    asked: dict[str, str] = {}  # which words of the configuration ask for a state
    named = set()
    for found in references(figure, "runs"):
        for text in select([found.name], whole.runs)[0]:
            named.add(text)
            if not any(_no_state("", text, whole, broken)):
                asked.setdefault(text, f"{path}.{found.path} is {found.name!r}")
    full = expanded(figure, {"runs": whole.runs, "planes": whole.planes})
    probes = ((at, whole.probes[probe].plane) for at, probe in full.probed if probe in whole.probes)
    shown = [(*pair, False) for pair in full.seen] + [(*pair, True) for pair in full.paths]
    told = set()
    for at, plane, walked in (*shown, *((*pair, False) for pair in probes)):
        known = at in asked and plane in whole.planes and (at, plane) not in told
        if known and (reason := (walked and no_path(whole, at)) or _answer(impossible, whole, at, plane)):
            told.add((at, plane))
            yield f"{asked[at]}: {reason}"
    for at in full.states:
        if at not in named and at.partition("@")[0] in asked:
            yield from _no_state(f"{path}.epochs", at, whole, broken)
    for at, _, mark in full.marked:
        if at in asked and mark in asked and (reason := _answer(unlike, whole, at, mark)):
            yield f"{asked[mark]}: marking a state needs {reason}"


def _no_state(path: str, text: str, whole: Experiment, broken: Broken) -> Iterator[str]:
    if text.partition("@")[0] not in broken["runs"]:
        try:
            state(whole, text)
        except InputError as error:
            yield f"{path} is {text!r}: {error}"


def _answer(question: Callable[[Experiment, str, str], str | None], *asked: Any) -> str | None:
    try:
        return question(*asked)
    except InputError:
        return None  # a reference is wrong, which is reported where it stands


def _cycle(name: str, planes: Mapping[str, Plane]) -> list[str]:
    """The chain of planes that leads from `name` back to it; empty if none does."""
    chain = [name]
    while (following := planes[chain[-1]].plane) is not None and following in planes and len(chain) <= len(planes):
        chain.append(following)
        if following == name:
            return chain
    return []
