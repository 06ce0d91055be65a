"""Notes on a configuration: what is allowed and may surprise. Never imports torch."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from landscape.artefacts import path
from landscape.config.fields import references, select
from landscape.config.section import Section
from landscape.errors import InputError, one_of
from landscape.experiment import document
from landscape.experiment.reading import resolve
from landscape.experiment.schema import SECTIONS, Experiment

_TORCHVISION = {*(f"resnet{depth}" for depth in (18, 34, 50, 101, 152)), "densenet121"}
"""Names of networks here that torchvision gives to others."""
_AS_FAR_AS_SHOWN = ("curvature", "gradients")
"""Keys of `claims` that use what figures make, and make nothing themselves."""


def notes(experiment: Experiment) -> list[str]:
    """Say what nothing uses, what another configuration wrote, and which names mean another network elsewhere."""
    return [*_unused(experiment), *_of_another(experiment), *_ambiguous(experiment)]


def _unused(experiment: Experiment) -> Iterator[str]:
    used = _used(experiment)
    unused = {
        section: [name for name in getattr(experiment, section) if (section, name) not in used]
        for section in ("planes", "probes", "runs", "data")
    }
    for section, kind in (("planes", "surface"), ("probes", "probe")):
        if names := unused[section]:
            target = path(experiment.results, kind, state="RUN", **{section.removesuffix("s"): names[0]})
            yield (
                f"{_entries(section, names)} used by no figure, claim or summary, and left out; to measure a run there: "
                f"landscape run CONFIG {target}"
            )
    if names := unused["runs"]:
        yield f"{_entries('runs', names)} in no figure, table or claim; only the summary shows the training"
    if names := unused["data"]:
        yield f"{_entries('data', names)} used by no run"


def _used(experiment: Experiment) -> set[tuple[str, str]]:
    """Entries, as (section, name), that figures, tables, summary and claims lead to. Data sets are used by every run."""
    ends: list[Section] = [*experiment.figures.values(), *experiment.tables.values(), experiment.summary]
    everywhere = experiment.summary.plane is not None and experiment.summary.runs is None
    if experiment.claims is not None:
        ends.append(experiment.claims.model_copy(update=dict.fromkeys(_AS_FAR_AS_SHOWN)))
        everywhere = everywhere or experiment.claims.runs is None
    used = {("data", run.data) for run in experiment.runs.values()}
    used |= {("runs", name) for name in experiment.runs if everywhere}
    waiting = [*ends, *(experiment.runs[name] for section, name in used if section == "runs")]
    while waiting:
        for found in references(waiting.pop()):
            section = found.to.section
            names = select([found.name], getattr(experiment, section))[0]
            for name in (name.partition("@")[0] for name in names):
                if (section, name) not in used:
                    used.add((section, name))
                    waiting.append(getattr(experiment, section)[name])
    return used


def _of_another(experiment: Experiment) -> Iterator[str]:
    """Compare with the configuration that the results folder holds."""
    stored = Path(path(experiment.results, "yaml"))
    try:
        before = resolve(document.read(stored))
    except InputError:  # there is none yet, or it names what is gone
        return
    lacking = [
        f"{section}.{name}"
        for section in SECTIONS
        for name in getattr(before, section)
        if name not in getattr(experiment, section)
    ]
    differing = [f"runs.{name}" for name, run in experiment.runs.items() if before.runs.get(name, run) != run]
    told = [f"it has {one_of(lacking)}, which this one lacks"] if lacking else []
    told += [f"there {one_of(differing)} differ" + "s" * (len(differing) == 1)] if differing else []
    if told:
        yield (
            f"{stored} is of another configuration, or of an earlier state of this one: {'; '.join(told)}. "
            "Two configurations in one folder remake each other's results: give each its own `results:`"
        )


def _ambiguous(experiment: Experiment) -> Iterator[str]:
    by_name: dict[str, list[str]] = {}
    for name, run in experiment.runs.items():
        if run.network in _TORCHVISION:
            by_name.setdefault(run.network, []).append(name)
    for network, names in by_name.items():
        yield (
            f"network: {network} of {_entries('runs', names, verb='')} is this package's network for small images, not "
            f"torchvision's, which is torchvision.models:{network}"
        )


def _entries(section: str, names: Iterable[str], verb: str = " is") -> str:
    """`planes.line is`, `planes line, path are`."""
    names = list(names)
    if len(names) == 1:
        return f"{section}.{names[0]}{verb}"
    return f"{section} {one_of(names)}{verb and ' are'}"
