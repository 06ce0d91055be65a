"""What lies in the results folder and is made by no entry of the configuration any more. Never imports torch.

Every run on every plane is a target of the workflow, whether or not a figure shows it, and so is every probe, trajectory
and mark that is possible: none of these goes. What is not known as the workflow's own stays too, whatever its name.
"""

import contextlib
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from landscape.errors import InputError
from landscape.experiment import jobs, specs, training_chain
from landscape.experiment.schema import Experiment
from landscape.running import show
from landscape.store import files, hardlinks

Groups = Mapping[str, str]

_RUN, _PLANE, _STATE = (
    rf"(?P<{key}>{of})" for key, of in (("run", jobs.NAME), ("plane", jobs.NAME), ("state", jobs.STATE))
)
_ENTRY = rf"(?P<name>{jobs.NAME})"
_PAIR = f"{_STATE.replace(r'(@', r'(?:@')}/{_PLANE}"
_FINISHED = r"(weights\.safetensors|history\.nc|epochs\.safetensors)"
_UNFINISHED = rf"(state\.pt|\d{{3}}\.safetensors|\..+\.tmp|finished-[0-9a-f]{{16}}(\.unfinished)?/{_FINISHED})"


@dataclass(frozen=True)
class _Rule:
    """What a rule makes, of which the workflow's paths name the subject (`pattern`), and whether it is still to be made."""

    pattern: str
    wanted: Callable[[Experiment, Groups], object]


def _tile(experiment: Experiment, of: Groups) -> bool:
    specs.of_surface(experiment, of["state"], of["plane"])
    n = jobs.tiles(experiment, of["state"], of["plane"])
    return 1 <= int(of["i"]) <= n == int(of["n"])


_RULES = {
    "dataset": _Rule(_ENTRY, lambda e, of: of["name"] in e.data),
    "run": _Rule(_RUN, lambda e, of: of["run"] in e.runs),
    "train": _Rule(_RUN, lambda e, of: of["run"] in e.runs and e.runs[of["run"]].made == "trained"),
    "adopt": _Rule(_RUN, lambda e, of: of["run"] in e.runs and e.runs[of["run"]].made == "adopted"),
    "rescale": _Rule(_RUN, lambda e, of: of["run"] in e.runs and e.runs[of["run"]].made == "rescaled"),
    "part": _Rule(rf"{_RUN}/(?P<left>[1-9]\d*)left", lambda e, of: training_chain.end(e, of["run"], of["left"])),
    "directions": _Rule(_PAIR, lambda e, of: specs.of_directions(e, of["state"], of["plane"])),
    "tile": _Rule(rf"{_PAIR}/(?P<i>[1-9]\d*)of(?P<n>[1-9]\d*)", _tile),
    "merge": _Rule(_PAIR, lambda e, of: specs.of_surface(e, of["state"], of["plane"])),
    "trajectory": _Rule(f"{_RUN}/{_PLANE}", lambda e, of: specs.of_trajectory(e, of["run"], of["plane"])),
    "mark": _Rule(
        rf"{_PAIR}/(?P<marked>{jobs.STATE})", lambda e, of: specs.of_mark(e, of["state"], of["plane"], of["marked"])
    ),
    "probe": _Rule(
        f"{_STATE}/{_ENTRY}".replace("(@", "(?:@"), lambda e, of: specs.of_probe(e, of["state"], of["name"])
    ),
    "figure": _Rule(_ENTRY, lambda e, of: of["name"] in e.figures),
    "table": _Rule(_ENTRY, lambda e, of: of["name"] in e.tables),
}

_PLACES = (
    ("dataset", r"data/{}\.safetensors", "data set"),
    ("run", r"runs/{}/weights\.safetensors", "weights"),
    ("run", r"runs/{}/epochs\.safetensors", "epochs"),
    ("run", r"runs/{}/history\.nc", "history"),
    ("run", rf"runs/{{}}/(\.lock|\.work/(set-aside-\d+/)?{_UNFINISHED})", None),
    ("part", r"runs/{}\.json", None),
    ("directions", r"directions/{}\.safetensors", "directions"),
    ("tile", r"surfaces/{}\.nc", "tile"),
    ("merge", r"surfaces/{}\.nc", "surface"),
    ("trajectory", r"trajectories/{}\.nc", "trajectory"),
    ("mark", r"marks/{}\.nc", "mark"),
    ("probe", r"probes/{}\.nc", "probe"),
    ("probe", r"probes/{}\.safetensors", "vectors"),
    ("figure", r"figures/{}\.(pdf|png|csv|rst)", None),
    ("table", r"tables/{}\.(csv|md|tex|html)", None),
    *((rule, rf"logs/{rule}/{{}}\.log", None) for rule in _RULES),
    *((rule, rf"benchmarks/{rule}/{{}}\.tsv", None) for rule in _RULES),
)
"""Each rule, where its files lie, and what kind of file `landscape show` finds there."""

_PATTERNS = [
    (_RULES[rule].wanted, re.compile(place.replace("{}", _RULES[rule].pattern)), kind) for rule, place, kind in _PLACES
]
_ALWAYS = re.compile(
    r"(summary|claims|config)\.(csv|md|tex|html|yaml)|(lines|paths)\.csv|logs/(summary|claims|configuration)\.log|README\.md"
)
_TOGETHER = {"figures": (".pdf", ".png", ".csv", ".rst"), "tables": (".csv", ".md", ".tex", ".html")}


@dataclass(frozen=True)
class Found:
    """What may go: bytes by path. And what stays because it is not known: for each place, why, files and bytes."""

    root: Path
    goes: dict[Path, int]
    size: int
    unknown: dict[Path, tuple[str, int, int]]


def found(experiment: Experiment) -> Found:
    """Look through the results folder. Links in it are not followed; files of two names count once."""
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
    return Found(root, goes, sum(sizes.values()), _gathered(unknown, known))


def remove(what: Found) -> None:
    """Remove what may go, and the folders that this leaves empty.

    Raises:
        TransientError: before anything is removed, if one of the runs that go is being trained.
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


def text(what: Found, *, removed: bool) -> str:
    """What was found, a line for each file that goes, and for each place that stays though nobody knows it."""
    done = "removed, because no entry makes it" if removed else "no entry makes"
    lines = [f"{done}: {path} ({_bytes(size)})" for path, size in sorted(what.goes.items())]
    for path, (why, count, size) in sorted(what.unknown.items()):
        of = f"{why}; " if why else ""
        lines.append(f"kept, because it is not known: {path} ({of}{count} files, {_bytes(size)})")
    end = f"{len(what.goes)} files, {_bytes(what.size)}" + (" removed" if removed else "")
    advice = "" if removed or not what.goes else "; to remove them, add --remove"
    return "".join(f"{show.printable(line)}\n" for line in [*lines, end + advice])


def _walk(root: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Everything under a folder that is no folder itself, links included."""
    for folder, folders, names in os.walk(root):
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        for name in sorted([*names, *links]):
            with contextlib.suppress(FileNotFoundError):  # somebody is at work
                yield Path(folder) / name, os.lstat(Path(folder) / name)


def _wanted(experiment: Experiment, relative: str) -> bool | None:
    """Whether the configuration makes what lies there; None if no rule would write there."""
    if _ALWAYS.fullmatch(relative):
        return True
    for wanted, pattern, _ in _PATTERNS:
        if match := pattern.fullmatch(relative):
            try:
                return bool(wanted(experiment, match.groupdict()))
            except InputError:
                return False
    return None


def _doubt(path: Path, relative: str) -> str | None:
    """Why a file may not be the workflow's though it lies where one would."""
    kind = next(kind for _, pattern, kind in _PATTERNS if pattern.fullmatch(relative))
    if kind is not None:
        try:
            header = files.read_dataset(path).attrs if path.suffix == ".nc" else files.read_header(path)
            own = show.kind(path, header)
        except InputError:
            return "its header does not say that landscape made it"
        return None if own == kind else f"it is no {kind}"
    together = _TOGETHER.get(PurePosixPath(relative).parts[0], ())
    stem = path.name[: -len(path.suffix)]
    if missing := [suffix for suffix in together if not path.with_name(stem + suffix).is_file()]:
        return f"a {path.parent.name[:-1]} of landscape has {', '.join(missing)} beside it"
    return None


def _gathered(unknown: Mapping[Path, tuple[str, int]], known: set[Path]) -> dict[Path, tuple[str, int, int]]:
    """Files by the largest folder of which nothing is known."""
    gathered: dict[Path, tuple[str, int, int]] = {}
    for path, (why, size) in unknown.items():
        place = next((parent for parent in reversed(path.parents) if parent not in known), path)
        before = gathered.get(place, ("", 0, 0))
        gathered[place] = (why if place == path else "", before[1] + 1, before[2] + size)
    return gathered


def _bytes(size: float) -> str:
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} GB"
