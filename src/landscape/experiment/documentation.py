"""Documents that are made from the code, so that they cannot differ from it.

`make generated` writes them in a clone, and `tests/test_documentation.py` says when one is stale. Three of them are whole
files; in the others only marked lines are replaced.
"""

import itertools
import json
import re
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path

from landscape.artefacts import TABLE
from landscape.experiment import default_record, key_reference
from landscape.experiment.schema import KINDS_OF, json_schema
from landscape.measures.loss import LossPlane

ROOT = Path(__file__).parents[3]
"""The root of the clone."""


def documents() -> dict[str, str]:
    """Make the full text of every document, by its path under `ROOT`.

    Raises:
        ValueError: if a file has lost the marks of its generated lines, or a default changed (`default_record`).
    """
    return {
        "config/schema.json": json.dumps(json_schema(), indent=1) + "\n",
        "docs/keys.md": key_reference.reference(),
        "tests/defaults.json": default_record.written((ROOT / "tests/defaults.json").read_text()),
        "config/default.yaml": _with_lists((ROOT / "config/default.yaml").read_text()),
        "README.md": _with_results((ROOT / "README.md").read_text(), "results/"),
        "results/README.md": _with_results((ROOT / "results/README.md").read_text(), ""),
    }


_KINDS = {"measures of planes": "planes", "kinds of probes": "probes", "kinds of figures": "figures"}


def _with_lists(text: str) -> str:
    """`config/default.yaml` with the lists of what directions, measures, probes and figures there are."""
    directions = LossPlane.model_json_schema()["properties"]["directions"]
    lists = {"directions of planes": _list(key_reference.by_value(directions)[1], directions["default"])}
    for title, section in _KINDS.items():
        told, kinds = KINDS_OF[section]
        entries = {name: key_reference.about(kind) for name, kind in kinds.items()}
        lists[title] = _list(entries, key_reference.default_kind(told, kinds))
    for title, lines in lists.items():
        text = _replaced(rf"(# The {title} \(generated\):\n)(?:#   .*\n)*()", lines, text)
    return text


def _list(entries: Mapping[str, str], default: str) -> str:
    """Comments in YAML, one for each entry: its name, and its sentence without what every reader knows."""
    width = max(map(len, entries)) + 2
    lines = []
    for name, about in entries.items():
        words = about[0].lower() + about[1:].replace("Li et al. 2018, ", "").removesuffix(".")
        words += "; the default" if name == default else ""
        start, later = f"#   {name:{width}}", "#   " + " " * width
        lines += textwrap.wrap(words, 124, initial_indent=start, subsequent_indent=later)
    return "".join(f"{line}\n" for line in lines)


def _with_results(text: str, folder: str) -> str:
    """A README with the table of what appears where; first what people open, then what programs read."""
    described = [made for made in TABLE if made.about]
    described.sort(key=lambda made: any(file.endswith((".nc", ".safetensors")) for file in made.files.values()))
    lines = ["| what | where |", "|---|---|"]
    lines += [f"| {made.about} | {_where(folder, made.files.values())} |" for made in described]
    lines.append(f"| what each job said, and how long it took | `{folder}logs/`, `{folder}benchmarks/` |")
    return _replaced(r"(<!-- results: generated -->\n)(?:\|.*\n)*(<!-- end -->\n)", "\n".join(lines) + "\n", text)


def _where(folder: str, files: Iterable[str]) -> str:
    """Paths, each but the first without what it has in common with the one before."""
    paths = [folder + re.sub(r"\{(\w+)\}", lambda match: match[1].upper(), file) for file in files]
    shown = [paths[0]]
    for before, path in itertools.pairwise(paths):
        stem = path.rpartition(".")[0]
        same = before.rpartition(".")[0] == stem
        shown.append(path.removeprefix(stem if same else path.rpartition("/")[0] + "/"))
    return ", ".join(f"`{path}`" for path in shown)


def _replaced(marked: str, lines: str, text: str) -> str:
    """A text with new lines between the two groups of `marked`."""
    changed, times = re.subn(marked, lambda match: match[1] + lines + match[2], text)
    if times != 1:
        raise ValueError(f"the marks of generated lines, {marked}, stand {times} times; they must stand once")
    return changed


if __name__ == "__main__":
    for path, text in documents().items():
        (ROOT / path).write_text(text)
