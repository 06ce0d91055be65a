"""Say in one line what a run of the workflow made, and where it lies."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from landscape.artefacts import ARTEFACTS, outputs
from landscape.errors import InputError
from landscape.experiment.schema import Experiment

_TOLD: Mapping[str, tuple[str, str]] = {
    "train": ("weights", "network"),
    "merge": ("surface", "surface"),
    "trajectory": ("trajectory", "path"),
    "probe": ("probe", "probe"),
    "figure": ("pdf", "figure"),
    "table": ("md", "table"),
    "summary": ("html", "summary"),
    "claims": ("html", "claims"),
}
"""By rule, the kind of file that stands for one result, and its word. Runs that are adopted or rescaled lie where trained ones do."""
_ENDS = ("figure", "table", "summary", "claims")
"""The rules whose results one looks at first."""


def times(experiment: Experiment) -> dict[str, dict[str, int]]:
    """Return by rule the results that exist, each with the time it was made."""
    found: dict[str, dict[str, int]] = {}
    for rule, (kind, _) in _TOLD.items():
        pattern = re.sub(r"\{\w+\}", "*", ARTEFACTS[rule].files[kind])
        found[rule] = {str(path): path.stat().st_mtime_ns for path in sorted(Path(experiment.results).glob(pattern))}
    return found


def sentence(experiment: Experiment, before: Mapping[str, Mapping[str, int]]) -> str:
    """Say what was made since `before`, or what lies there if nothing was."""
    now = times(experiment)
    made = {rule: [path for path, time in now[rule].items() if before[rule].get(path) != time] for rule in now}
    if any(made.values()):
        return f"made {_listed(made)} in {experiment.results}/: {_places(made)}"
    there = {rule: [path for path in _wanted(experiment, rule) if path in now[rule]] for rule in _ENDS}
    if not any(there.values()):
        return f"nothing had to be made in {experiment.results}/"
    verb = "is" if sum(map(len, there.values())) == 1 else "are"
    return f"nothing had to be made: {_listed(there)} {verb} in {experiment.results}/: {_places(there)}"


def adopted(experiment: Experiment) -> tuple[list[str], list[str]]:
    """State loss and score on both splits of each adopted run, or why it was not adopted; and what is not as expected."""
    from landscape.store import files
    from landscape.training import expected

    said, problems = [], []
    for name, run in experiment.runs.items():
        made = Path(outputs(experiment.results, "adopt", run=name)["history"])
        if run.adopted and made.is_file():
            history = files.read_dataset(made)
            said.append(f"{name}, adopted: {expected.sentence(history)}")
            try:
                expected.compare(history, run.expected or {})
            except InputError as error:
                problems += [f"runs.{name}: {problem}" for problem in error.problems]
        elif run.adopted:
            log = Path(experiment.results, ARTEFACTS["adopt"].log.format(run=name))
            told = re.findall(r"^(?:.*\s)?error: (.*)$", log.read_text() if log.is_file() else "", flags=re.M)
            said += [f"{name} is not adopted: {problem}" for problem in told]
    return said, problems


def _wanted(experiment: Experiment, rule: str) -> list[str]:
    """Paths of the figures, tables, summary or claims that the configuration names."""
    names = {"figure": list(experiment.figures), "table": list(experiment.tables)}.get(rule)
    given: list[dict[str, str]] = [{}] if names is None else [{rule: name} for name in names]
    return [str(Path(outputs(experiment.results, rule, **one)[_TOLD[rule][0]])) for one in given]


def _listed(found: Mapping[str, Sequence[str]]) -> str:
    """`3 networks, 12 figures, the summary and the claims`."""
    words = []
    for rule, paths in found.items():
        word = _TOLD[rule][1]
        if paths:
            words.append(
                f"the {word}" if not ARTEFACTS[rule].wildcards else f"{len(paths):,} {word}{'s' * (len(paths) > 1)}"
            )
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]


def _places(found: Mapping[str, Sequence[str]]) -> str:
    """A file, or the folder of several; of what one looks at first, if any of it is there."""
    first = {rule: paths for rule, paths in found.items() if rule in _ENDS and paths}
    places = []
    for rule, paths in (first or found).items():
        if paths:
            folder = f"{Path(paths[0]).parents[ARTEFACTS[rule].files[_TOLD[rule][0]].count('/') - 1]}/"
            places.append(folder if len(paths) > 1 else paths[0])
    return ", ".join(places)
