"""The verbs that draw figures and write tables."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from landscape.cli.options import Name, Output, Paths, Results, Spec
from landscape.errors import InputError, one_of

if TYPE_CHECKING:
    import xarray as xr

_HELD = {
    "surface": ("alpha", "beta", "status"),
    "history": ("epoch", "train_loss"),
    "trajectory": ("epoch", "alpha", "beta"),
    "mark": ("alpha", "beta"),
    "probe": (),
}
"""Variables that every file of a kind has."""

Four = tuple[Path, Path, Path, Path]
Six = tuple[Path, Path, Path, Path, Path, Path]


def figure(
    *,
    spec: Spec,
    name: Name = "unnamed",
    results: Results,
    weights: Annotated[Paths, Parameter(help="weights files, or FILE@EPOCH of an epochs file")] = [],  # noqa: B006
    output: Output,
) -> None:
    """Draw a figure from results.

    Its preview, its numbers and its caption are written beside it.
    """
    from landscape import figures
    from landscape.experiment import specs
    from landscape.store import files

    kind, _ = specs.load(spec, "figure")
    arrays = {files.state_in(path): files.read_arrays(path) for path in weights}
    found = _results(results)
    found["history"] = [*found["history"], *_of_imported(found["surface"], found["history"])]
    members = figures.members(kind, found, arrays)
    figures.save(figures.render(kind, members), output)


def _of_imported(surfaces: list[xr.Dataset], histories: list[xr.Dataset]) -> list[xr.Dataset]:
    """Stand-ins for the histories of imported surfaces, which have none."""
    from landscape.figures import draw

    imported = [surface for surface in surfaces if str(surface.attrs["history"]).endswith(" import")]
    return draw.stand_ins({"surface": imported, "history": histories, "probe": [], "trajectory": []})


def table(
    *,
    spec: Spec,
    name: Name = "unnamed",
    results: Results,
    output: Annotated[Four, Parameter(help="CSV, Markdown, LaTeX and HTML")],
) -> None:
    """Write a table of measured and published test errors."""
    from landscape.analysis import tables
    from landscape.experiment import specs

    entry, published = specs.load_published(spec, "table")
    tables.write(entry, tables.table(published, _results(results)["history"]), list(output))


def summary(
    *,
    results: Results,
    output: Annotated[Six, Parameter(help="CSV, Markdown, LaTeX, HTML, the lines and the paths as CSV")],
) -> None:
    """Write the tables of all runs, lines and paths."""
    from landscape.analysis import summary

    found = _results(results)
    summary.write(found["history"], found["surface"], found["trajectory"], list(output))


def claims(
    *, spec: Spec, results: Results, output: Annotated[tuple[Path, Path], Parameter(help="Markdown and HTML")]
) -> None:
    """Say what the paper claims, and whether these runs show it."""
    from landscape.analysis import claims
    from landscape.experiment import specs

    entry, published = specs.load_published(spec, "claims")
    found = _results(results)
    judged = claims.judge(entry, published, found["history"], found["surface"], found["trajectory"])
    claims.write(judged, found["history"], list(output))


def configuration(config: Path, /, *, output: Annotated[tuple[Path, Path], Parameter(help="YAML and HTML")]) -> None:
    """Write the resolved configuration as a file and as a page."""
    from landscape.store import files

    text, (yaml, page) = config.read_text(), output
    files.write_text(yaml, text)
    title = '<!DOCTYPE html><meta charset="utf-8"><title>Configuration</title>'
    files.write_text(page, f"{title}<pre>{html.escape(text)}</pre>\n")


def _results(paths: Sequence[Path]) -> dict[str, list[xr.Dataset]]:
    """Results by kind, each kind in the order in which its files are given.

    Raises:
        InputError: if one is of another kind than is drawn or counted, or lacks what its kind has.
    """
    from landscape import artefacts
    from landscape.store import files

    found: dict[str, list[xr.Dataset]] = {kind: [] for kind in _HELD}
    for path in dict.fromkeys(paths):
        dataset = files.read_dataset(path)
        kind = artefacts.kind_of(path, dataset.attrs)
        if kind not in found:
            raise InputError(f"{path} is a {kind}; allowed are {one_of(found)}")
        if missing := [name for name in _HELD[kind] if name not in dataset.variables]:
            raise InputError(f"{path} is damaged: it is a {kind} without {', '.join(missing)}")
        if "spec" not in dataset.attrs:
            raise InputError(f"{path} is damaged: it has no attribute spec")
        found[kind].append(dataset)
    return found
