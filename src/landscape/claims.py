"""What is claimed, and whether these runs show it: every verdict with the numbers it rests on."""

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import xarray as xr

from landscape import files, geometry, pages
from landscape.config.schema import Claims, Published

Verdict = Literal["reproduced", "not reproduced", "confounded", "not tested"]


@dataclass(frozen=True)
class Judgement:
    """A claim, the verdict, and what it rests on."""

    claim: str
    verdict: Verdict
    because: str


def judge(
    spec: Claims,
    published: Mapping[str, Published],
    histories: Sequence[xr.Dataset],
    surfaces: Sequence[xr.Dataset],
    trajectories: Sequence[xr.Dataset],
) -> list[Judgement]:
    """Every published number against the run of its name."""
    by_run = {history.attrs["name"]: history for history in histories}
    return [_published(name, known, by_run.get(name), spec.tolerance) for name, known in published.items()]


def write(found: Sequence[Judgement], paths: Sequence[Path]) -> None:
    """Write the verdicts as Markdown and as a page."""
    markdown, page = paths
    rows = [f"| {one.claim} | {one.verdict} | {one.because} |" for one in found]
    files.write_text(markdown, "\n".join(["# Claims", "", "| claim | verdict | because |", "|:--|:--|:--|", *rows, ""]))
    cells = "".join(
        f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in (one.claim, one.verdict, one.because))}</tr>"
        for one in found
    )
    pages.write_page(page, "Claims", f"<table><tr><th>claim</th><th>verdict</th><th>because</th></tr>{cells}</table>")


def _published(name: str, known: Published, history: xr.Dataset | None, tolerance: float) -> Judgement:
    word = "" if known.verified else ", unverified"
    claim = f"test error of {name}: {known.test_error:g} % ({known.source}{word})"
    if history is None or "test_accuracy" not in history:
        return Judgement(claim, "not tested", "no test error was measured")
    images = int(history.attrs["test_images"])
    wrong = round((1 - float(history.test_accuracy[-1])) * images)
    low, high = (100 * end for end in geometry.wilson(wrong, images))
    because = f"measured {100 * wrong / images:.2f} % ({low:.2f} to {high:.2f}), tolerance {tolerance:g} points"
    epochs = json.loads(history.attrs["spec"]).get("epochs")
    if epochs is not None and epochs < 300:
        return Judgement(claim, "confounded", f"{because}; a schedule of {epochs} epochs instead of 300")
    near = abs(100 * wrong / images - known.test_error) <= tolerance
    return Judgement(claim, "reproduced" if near else "not reproduced", because)
