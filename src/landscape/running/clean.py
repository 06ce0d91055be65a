"""Find and remove results that no entry of the configuration makes any more. Never imports torch.

Every run on every plane is a target of the workflow, even if no figure shows it, and so is every possible probe,
trajectory and mark: all of these stay. A file that the workflow may not have made stays too, whatever its name.
"""

import contextlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from landscape import artefacts
from landscape.artefacts import NAME, Artefact
from landscape.errors import InputError
from landscape.experiment import rules
from landscape.experiment.schema import Experiment
from landscape.running import show
from landscape.running.amounts import scaled
from landscape.store import files, hardlinks

_FINISHED = r"(weights\.safetensors|history\.nc|epochs\.safetensors)"
_UNFINISHED = rf"(state\.pt|\d{{3}}\.safetensors|\..+\.tmp|finished-[0-9a-f]{{16}}(\.unfinished)?/{_FINISHED})"
_WORK = re.compile(rf"runs/(?P<run>{NAME})/(\.lock|\.work/(set-aside-\d+/)?{_UNFINISHED})")
"""Working files of a training, no results."""


@dataclass(frozen=True)
class Leftovers:
    """Files that no entry makes, and files of unknown origin.

    Attributes:
        goes: bytes by file to remove; `size` is their sum on disk.
        unknown: by place that stays, the reason, the number of files and their bytes.
    """

    root: Path
    goes: dict[Path, int]
    size: int
    unknown: dict[Path, tuple[str, int, int]]


def found(experiment: Experiment) -> Leftovers:
    """Search the results folder, without following links. A file with two hard links counts once."""
    root = Path(experiment.results)
    goes: dict[Path, int] = {}
    sizes: dict[tuple[int, int], int] = {}
    unknown: dict[Path, tuple[str, int]] = {}
    known = {root, *root.parents}
    for path, status in _walk(root):
        relative = path.relative_to(root).as_posix()
        regular = stat.S_ISREG(status.st_mode)
        wanted = _wanted(experiment, relative)
        if not regular or wanted is None:
            unknown[path] = ("" if regular else "a link, or no file", status.st_size)
            continue
        if not wanted and (doubt := _doubt(path, relative)):
            unknown[path] = (doubt, status.st_size)
            continue
        known.update(path.parents)
        if not wanted:
            goes[path] = status.st_size
            sizes[status.st_dev, status.st_ino] = status.st_size
    return Leftovers(root, goes, sum(sizes.values()), _gathered(unknown, known))


def remove(what: Leftovers) -> None:
    """Remove the files in `goes`, and the folders that this leaves empty.

    Raises:
        TransientError: before it removes anything, if one of the runs is being trained.
    """
    with contextlib.ExitStack() as stack:
        for path in what.goes:
            if path.name == ".lock":
                stack.enter_context(hardlinks.alone(path, f"{path.parent.name} is being trained"))
        for path in what.goes:
            path.unlink(missing_ok=True)
    for folder in sorted({parent for path in what.goes for parent in path.parents}, key=lambda p: -len(p.parts)):
        if what.root in folder.parents:
            with contextlib.suppress(OSError):  # not empty
                folder.rmdir()


def text(what: Leftovers, *, removed: bool) -> str:
    """Describe the leftovers: a line for each file that goes, and for each place of unknown origin."""
    done = "removed, because no entry makes it" if removed else "no entry makes"
    lines = [f"{done}: {path} ({scaled(size, 'B')})" for path, size in sorted(what.goes.items())]
    for path, (why, count, size) in sorted(what.unknown.items()):
        of = f"{why}; " if why else ""
        lines.append(f"kept, because it is not known: {path} ({of}{count} files, {scaled(size, 'B')})")
    end = f"{len(what.goes)} files, {scaled(what.size, 'B')}" + (" removed" if removed else "")
    advice = "" if removed or not what.goes else "; to remove them, add --remove"
    return "".join(f"{show.printable(line)}\n" for line in [*lines, end + advice])


def _walk(root: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield everything under a folder except folders, links included."""
    for folder, folders, names in os.walk(root):
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        for name in sorted([*names, *links]):
            with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
                yield Path(folder) / name, os.lstat(Path(folder) / name)


def _wanted(experiment: Experiment, relative: str) -> bool | None:
    """Say if the configuration makes this file; None if no rule would write there."""
    if relative == "README.md":
        return True
    if match := _WORK.fullmatch(relative):
        return match["run"] in experiment.runs
    found = [rules.is_wanted(experiment, artefact, wildcards) for artefact, wildcards in _makers(relative)]
    return any(found) if found else None


def _makers(relative: str) -> Iterator[tuple[Artefact, dict[str, str]]]:
    """Yield the rules that would write this result, log or benchmark, with their wildcards."""
    yield from ((artefact, wildcards) for artefact, _, wildcards in artefacts.matching(relative))
    for artefact in artefacts.TABLE:
        for template in (artefact.log, artefact.benchmark):
            if template and (match := artefacts.pattern(template).fullmatch(relative)):
                yield artefact, match.groupdict()


def _doubt(path: Path, relative: str) -> str | None:
    """Say why a file may not be the workflow's, although it has the name of a result."""
    makers = list(artefacts.matching(relative))
    if not makers:
        return None  # a log, or a working file of a training
    artefact, kind, _ = makers[0]
    if path.suffix in (".nc", ".safetensors"):
        try:
            header = files.read_dataset(path).attrs if path.suffix == ".nc" else files.read_header(path)
            own = artefacts.kind_of(path, header)
        except InputError:
            return "its header does not say that landscape made it"
        return None if own == kind else f"it is no {kind}"
    beside = dict.fromkeys(PurePosixPath(file).suffix for file in artefact.files.values())
    stem = path.name[: -len(path.suffix)]
    missing = [suffix for suffix in beside if not path.with_name(stem + suffix).is_file()]
    return f"a {artefact.rule} of landscape has {', '.join(missing)} beside it" if missing else None


def _gathered(unknown: Mapping[Path, tuple[str, int]], known: set[Path]) -> dict[Path, tuple[str, int, int]]:
    """Gather files by the largest folder that holds nothing known."""
    gathered: dict[Path, tuple[str, int, int]] = {}
    for path, (why, size) in unknown.items():
        place = next((parent for parent in reversed(path.parents) if parent not in known), path)
        before = gathered.get(place, ("", 0, 0))
        gathered[place] = (why if place == path else "", before[1] + 1, before[2] + size)
    return gathered
