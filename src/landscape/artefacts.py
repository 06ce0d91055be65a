"""The table of results: every kind of file that the workflow makes, where it lies, which rule makes it, and of what.

Paths, rules, wildcards and versions stand here and nowhere else in the package; the Snakefile's rules, which are literal so
that they can be read, are held against this table by a test. What a rule reads is in `experiment.jobs`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from landscape.errors import InputError

NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]*"
STATE = NAME + r"(?:@\d{3})?"
_COUNT = r"[1-9]\d*"
_PATTERNS = {"state": STATE, "marked": STATE, "left": _COUNT, "i": _COUNT, "n": _COUNT}
"""Patterns of wildcards; every other wildcard is a `NAME`."""


@dataclass(frozen=True)
class Stage:
    """A computation whose results depend on one entry of the configuration, as its specification says.

    Attributes:
        section: where the entry stands.
        version: raise it when the code or a default that the stage uses alters results.
    """

    section: str
    version: int


STAGES: Mapping[str, Stage] = {
    "dataset": Stage("data", 2),
    "train": Stage("runs", 5),
    "adopt": Stage("runs", 5),
    "rescale": Stage("runs", 2),
    "directions": Stage("planes", 3),
    "surface": Stage("planes", 5),
    "trajectory": Stage("planes", 4),
    "mark": Stage("planes", 2),
    "probe": Stage("probes", 4),
    "figure": Stage("figures", 5),
    "table": Stage("tables", 2),
    "summary": Stage("summary", 5),
    "claims": Stage("claims", 5),
}


@dataclass(frozen=True)
class Artefact:
    """The files that one rule makes.

    Attributes:
        files: path of each kind of file under the results folder, with the rule's wildcards in braces.
        about: a line for people, which the README shows; empty where a reader looks for none of the files, or where another
            rule makes the same ones.
        stage: a name of `STAGES`; None for what has no specification of its own.
        local: whether it takes seconds, so that a cluster sees nothing of it unless the profile groups its jobs.
        benchmarked: whether its time and memory are kept.
        logs: the name under which its logs lie, if not the rule's own.
    """

    rule: str
    files: Mapping[str, str]
    about: str = ""
    stage: str | None = None
    local: bool = False
    benchmarked: bool = False
    logs: str = ""

    @property
    def wildcards(self) -> tuple[str, ...]:
        """In the order of the path."""
        return tuple(dict.fromkeys(re.findall(r"\{(\w+)\}", next(iter(self.files.values())))))

    @property
    def log(self) -> str:
        """Path of the log of a job under the results folder."""
        return f"logs/{self._subject}.log"

    @property
    def benchmark(self) -> str | None:
        return f"benchmarks/{self._subject}.tsv" if self.benchmarked else None

    @property
    def _subject(self) -> str:
        """The rule and the wildcards as a path: `tile/{state}/{plane}/{i}of{n}`."""
        name = self.logs or self.rule
        if self.wildcards == ("run",):
            return f"{name}/{{run}}"
        _, folder, subject = next(iter(self.files.values())).rpartition(".")[0].partition("/")
        return name + folder + subject


_RUN = {
    "weights": "runs/{run}/weights.safetensors",
    "history": "runs/{run}/history.nc",
    "epochs": "runs/{run}/epochs.safetensors",
}


def _named(stem: str, *kinds: str) -> dict[str, str]:
    """Files that differ in their suffix alone, which is their kind."""
    return {kind: f"{stem}.{kind}" for kind in kinds}


_DIRECTIONS = {"directions": "directions/{state}/{plane}.safetensors"}

TABLE: tuple[Artefact, ...] = (
    Artefact(
        "dataset", {"data set": "data/{data}.safetensors"}, "data sets, as the networks see them", "dataset", local=True
    ),
    Artefact("train", _RUN, "networks: weights, history of the training, kept epochs", "train", benchmarked=True),
    Artefact("adopt", _RUN, stage="adopt"),
    Artefact("rescale", _RUN, stage="rescale"),
    Artefact("part", {"part": "runs/{run}/{left}left.json"}, stage="train", benchmarked=True),
    Artefact("directions", _DIRECTIONS, "directions of planes", "directions"),
    Artefact("aimed", _DIRECTIONS, stage="directions", logs="directions"),
    Artefact("tile", {"tile": "surfaces/{state}/{plane}/{i}of{n}.nc"}, stage="surface", benchmarked=True),
    Artefact(
        "merge",
        {"surface": "surfaces/{state}/{plane}.nc"},
        "surfaces, a file for each state (`RUN` or `RUN@EPOCH`) on a plane",
        "surface",
        local=True,
    ),
    Artefact(
        "trajectory",
        {"trajectory": "trajectories/{run}/{plane}.nc"},
        "paths of trainings on a plane, with the losses on the way",
        "trajectory",
    ),
    Artefact("mark", {"mark": "marks/{state}/{plane}/{marked}.nc"}, stage="mark"),
    Artefact(
        "probe",
        {"probe": "probes/{state}/{probe}.nc", "vectors": "probes/{state}/{probe}.safetensors"},
        "measurements at one point: eigenpairs, spectra, activations; vectors beside them",
        "probe",
        benchmarked=True,
    ),
    Artefact(
        "figure",
        _named("figures/{figure}", "pdf", "png", "csv", "rst"),
        "figures, the numbers drawn, the caption",
        "figure",
        local=True,
    ),
    Artefact(
        "table",
        _named("tables/{table}", "csv", "md", "tex", "html"),
        "tables of test errors, the published ones beside",
        "table",
        local=True,
    ),
    Artefact(
        "summary",
        _named("summary", "csv", "md", "tex", "html") | {"lines": "lines.csv", "paths": "paths.csv"},
        "tables of all runs, with the numbers of one plane; of lines between runs; of paths",
        "summary",
        local=True,
    ),
    Artefact(
        "claims",
        _named("claims", "md", "html"),
        "what the paper claims, and whether these runs show it",
        "claims",
        local=True,
    ),
    Artefact(
        "configuration",
        _named("config", "yaml", "html"),
        "the configuration as it was understood",
        local=True,
    ),
)

ARTEFACTS: Mapping[str, Artefact] = {artefact.rule: artefact for artefact in TABLE}
"""The table by rule."""


class Job(NamedTuple):
    """One job of the workflow: its rule, and the values of its wildcards in their order."""

    rule: str
    names: tuple[str, ...] = ()

    @property
    def wildcards(self) -> dict[str, str]:
        return dict(zip(ARTEFACTS[self.rule].wildcards, self.names, strict=True))


def path(results: str, kind: str, **wildcards: Any) -> str:
    """Path of a file of a kind, with the folder `results` in front."""
    template = next(artefact.files[kind] for artefact in TABLE if kind in artefact.files)
    return f"{results}/{template.format(**wildcards)}"


def outputs(results: str, rule: str, **wildcards: Any) -> dict[str, str]:
    """Paths of the files that a rule makes, by kind."""
    return {kind: f"{results}/{file.format(**wildcards)}" for kind, file in ARTEFACTS[rule].files.items()}


def matching(relative: str) -> Iterator[tuple[Artefact, str, dict[str, str]]]:
    """The rules that may make a file under the results folder, its kind, and the values of the wildcards."""
    for artefact in TABLE:
        for kind, template in artefact.files.items():
            if match := pattern(template).fullmatch(relative):
                yield artefact, kind, match.groupdict()


def section_of(kind: str) -> str:
    """The section of the configuration whose entry a kind of file is made from."""
    stage = next(artefact.stage for artefact in TABLE if kind in artefact.files)
    return STAGES[stage].section if stage else ""


def pattern(template: str) -> re.Pattern[str]:
    """Regular expression for the paths of a template, with a group for each wildcard."""
    parts = re.split(r"\{(\w+)\}", template)
    text = "".join(
        f"(?P<{part}>{_PATTERNS.get(part, NAME)})" if k % 2 else re.escape(part) for k, part in enumerate(parts)
    )
    return re.compile(text)


_AS = {"import": "merge"}
"""Verbs of no rule whose results are of the kind of a rule's."""


def kind_of(file: str | Path, header: Mapping[str, Any]) -> str:
    """Reads from its header what a file is: data set, weights, epochs, directions, history, tile, surface, ...

    Raises:
        InputError: if its header does not say that this program made it.
    """
    words = str(header.get("history", "")).split()
    rule = _AS.get(words[2], words[2]) if len(words) == 3 and words[1] == "landscape" else ""
    made = ARTEFACTS.get(rule)
    suffix = Path(re.sub(r"@\d{3}$", "", str(file))).suffix
    kinds = [kind for kind, template in made.files.items() if template.endswith(suffix)] if made else []
    if not kinds:
        raise InputError(f"{file} does not say that landscape made it: its history is {header.get('history')!r}")
    if "epochs" in kinds:
        return "epochs" if "epochs" in header else "weights"
    return "surface" if kinds == ["tile"] and "tile" not in header else kinds[0]
