"""Write a first configuration for a network, for `landscape init` and `landscape see`."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from landscape.config.section import NAME
from landscape.data.builtin_datasets import FETCHED
from landscape.errors import InputError

DATA = (
    f"{', '.join(FETCHED)}, an .npz or .safetensors file, a folder with one folder of images per class, or "
    "path/file.py:function"
)
"""Data that may be named."""

_COLUMN = 30  # of comments


@dataclass(frozen=True)
class Subject:
    """What a first configuration is about; the names are keys of its sections, as in docs/keys.md.

    Attributes:
        network: as the key `network` of a run.
        data: as the key `source` of a data set.
        weights: as the key of a run; None for a run that is trained.
        initial: True if the weights are initial ones that were written for this configuration.
    """

    network: str
    data: str
    weights: str | None = None
    args: Mapping[str, Any] | None = None
    loss: str | Mapping[str, Any] | None = None
    objective: str | None = None
    output: str | int | None = None
    score: str | None = None
    results: str = "results"
    initial: bool = False

    @property
    def run(self) -> str:
        return _name(re.split(r"[:/]", self.network)[-1], "network")


@dataclass(frozen=True)
class Extent:
    """How far, how finely and on how much is measured.

    Attributes:
        reach: alpha and beta go from -reach to reach along random directions.
        sharp: the same along the sharpest direction.
        points: on each axis of the plane; a line has about twice as many.
        curvature: whether the Hessian is looked at.
    """

    points: int = 25
    reach: float = 1.0
    sharp: float = 1.0
    examples: int = 1000
    hessian_examples: int = 256
    curvature: bool = True
    epochs: int = 5


def text(subject: Subject, extent: Extent, command: str, path: str | Path) -> str:
    """Return the configuration, with comments.

    Args:
        command: what the user called, as `command_of` returns it.
        path: the file that it is written to.
    """
    import jinja2

    place = Path(__file__).with_name("starter.yaml.j2")
    environment = jinja2.Environment(
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["yaml"] = _yaml
    data_name = _name(Path(subject.data.rpartition(":")[2]).stem, "data")
    given = {**asdict(subject), **asdict(extent), "run": subject.run, "data_name": data_name}
    template = environment.from_string(place.read_text(encoding="utf-8"))
    made = template.render(given, command=command, path=shlex.quote(str(path)))
    lines = (line.rstrip().split("\t") for line in made.splitlines())  # a tab stands before a comment, and in no value
    return "".join("  ".join([line[0].ljust(_COLUMN), *line[1:]]).rstrip() + "\n" for line in lines)


def command_of(verb: str, given: Mapping[str, Any]) -> str:
    """Return the command that a configuration says it was made by; options without a value are left out."""
    words = [verb]
    for key, value in given.items():
        if value not in (None, ""):
            words += [str(value)] if key.isupper() else [f"--{key}", str(value)]
    return " ".join(["landscape", *map(shlex.quote, words)])


def free(path: Path, command: str, force: bool) -> bool:
    """Say if a configuration may be written; False if the same command wrote the one that is there.

    Raises:
        InputError: if there is another one, and no `force`.
    """
    if not path.exists() or force:
        return True
    if path.is_file() and command in path.read_text(encoding="utf-8", errors="replace").splitlines()[1:2]:
        return False
    raise InputError(
        f"{path} exists and is not overwritten; go on with it: landscape run {shlex.quote(str(path))}; or choose another "
        "name with --config, or add --force"
    )


def weights_and_data(first: str | None, second: str | None) -> tuple[str | None, str]:
    """Tell the weights and the data from the words after the network: a single word may be either.

    Raises:
        InputError: if no data are named.
    """
    if second is not None:
        return first, second
    if first is not None and _is_data(first):
        return None, first
    beside = "" if first is None else f", and {first} is taken for weights"
    raise InputError(f"DATA is missing{beside}; allowed are {DATA}")


def _is_data(word: str) -> bool:
    if word in FETCHED or word.endswith(".npz") or re.search(r":[A-Za-z_]\w*$", word):
        return True
    path = Path(word)
    if path.is_dir():
        return not any(path.glob("*.safetensors*")) and not any(path.glob("*.bin*"))
    if not word.endswith(".safetensors") or not path.is_file():
        return False
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "numpy") as file:
            return any(name.startswith("train_") for name in file.keys())  # noqa: SIM118
    except SafetensorError:
        return False


def _name(word: str, otherwise: str) -> str:
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", word).strip("-._")[:80]
    return name if NAME.fullmatch(name) and yaml.safe_load(name) == name else otherwise


def _yaml(value: Any) -> str:
    """Write a value in one line of YAML."""
    found = yaml.safe_dump(value, default_flow_style=True, width=float("inf"), sort_keys=False, allow_unicode=True)
    return found.removesuffix("\n").removesuffix("\n...")
