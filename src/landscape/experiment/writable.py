"""Find out before any job whether everything can be written: the results, their folders, and Snakemake's own folder."""

import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from landscape.artefacts import TABLE, pattern
from landscape.errors import InputError
from landscape.experiment.schema import Experiment

_SNAKEMAKE = (".snakemake", ".snakemake/landscape", ".snakemake/log")


def check(experiment: Experiment) -> None:
    """Check that the results and Snakemake's own files can be written. Nothing stays behind.

    Raises:
        InputError: with every obstacle, one a line.
    """
    problems = list(_obstacle("results", experiment.results)) or list(_within(experiment))
    problems += next(filter(None, (list(_obstacle("Snakemake's folder", folder)) for folder in _SNAKEMAKE)), [])
    if problems:
        raise InputError(dict.fromkeys(problems))


def _obstacle(what: str, folder: str) -> Iterator[str]:
    """Say why a folder cannot be made, or nothing be written in it."""
    place = next(path for path in (Path(folder), *Path(folder).parents) if os.path.lexists(path))
    subject = f"{what} is {folder!r}, "
    if not place.is_dir():
        kind = "a link to nothing" if place.is_symlink() and not place.exists() else "no folder"
        which = "which" if place == Path(folder) else f"and {place}"
        yield f"{subject}{which} is {kind}; remove it, or move it away"
        return
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        yield f"{subject}and nothing can be written in {place}: {error.strerror}"


def _within(experiment: Experiment) -> Iterator[str]:
    """Find files where a result needs a folder, folders where it needs a file, and folders that cannot be written."""
    folders, files = _templates()
    for parent, inner, names in os.walk(experiment.results):
        above = [] if parent == experiment.results else os.path.relpath(parent, experiment.results).split(os.sep)
        for name in list(inner):
            parts = [*above, name]
            if _is_one_of(files, parts, experiment):
                yield f"{parent}/{name} is a folder, and a result has to lie there; remove it"
            elif not _is_one_of(folders, parts, experiment):
                inner.remove(name)  # no results are made in it
            elif not os.access(f"{parent}/{name}", os.W_OK | os.X_OK):
                yield f"nothing can be written in {parent}/{name}: its permissions forbid it"
        for name in names:
            if _is_one_of(folders, [*above, name], experiment):
                yield f"{parent}/{name} is no folder, and results have to lie there; remove it"


_Templates = Mapping[tuple[int, str], list[re.Pattern[str]]]
"""Patterns of paths, by the number of their parts and the first one, so that few have to be tried."""


def _templates() -> tuple[_Templates, _Templates]:
    """Patterns of the folders that hold results and logs, and of the files."""
    paths = [path for made in TABLE for path in (*made.files.values(), made.log, made.benchmark) if path]
    above = [path.rsplit("/", count)[0] for path in paths for count in range(1, path.count("/") + 1)]
    return _by_length(above), _by_length(paths)


def _by_length(templates: list[str]) -> _Templates:
    found: dict[tuple[int, str], list[re.Pattern[str]]] = {}
    for template in dict.fromkeys(templates):
        found.setdefault((template.count("/") + 1, template.partition("/")[0]), []).append(pattern(template))
    return found


def _is_one_of(templates: _Templates, parts: list[str], experiment: Experiment) -> bool:
    """Say whether a path is one that this experiment makes."""
    matches = [each.fullmatch("/".join(parts)) for each in templates.get((len(parts), parts[0]), ())]
    return any(_is_meant(match.groupdict(), experiment) for match in matches if match)


def _is_meant(wildcards: Mapping[str, str], experiment: Experiment) -> bool:
    entries: dict[str, Mapping[str, object]] = {
        **{"data": experiment.data, "figure": experiment.figures, "table": experiment.tables},
        **{"plane": experiment.planes, "probe": experiment.probes},
        **dict.fromkeys(("run", "state", "marked"), experiment.runs),
    }
    return all(value.partition("@")[0] in entries[name] for name, value in wildcards.items() if name in entries)
