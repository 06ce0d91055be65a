"""Judge each claim by these runs: a verdict with the numbers behind it.

Claims 1 to 6 are from Li et al. 2018; 7 to 14 follow from the paper or were later made about it. The configuration
states, before the runs, what it takes to call a claim reproduced.
"""

import html
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import xarray as xr

from landscape import geometry
from landscape.analysis import table_writers
from landscape.analysis.claims import dimensions, flips, negative_curvature, published, shapes, trainability
from landscape.analysis.claims.evidence import Evidence, Judgement
from landscape.experiment.analysis_sections import Claims, Published
from landscape.geometry import comparisons
from landscape.geometry.error_rates import SURE
from landscape.objective import meanings
from landscape.store import files
from landscape.training.seed_groups import JudgedRun

__all__ = ["Judgement", "judge", "write"]

_JUDGES: tuple[Callable[[Evidence], Iterator[Judgement]], ...] = (
    shapes.sharpness_and_error,
    flips.order_flips,
    shapes.depth,
    shapes.width,
    negative_curvature.convex_regions,
    dimensions.low_dimensional,
    shapes.normalisations,
    trainability.weight_norms,
    shapes.shortcuts_at_20,
    negative_curvature.chaotic_regions,
    trainability.starts_outside,
    negative_curvature.pointing_away,
    dimensions.random_directions,
    trainability.very_deep,
)


def judge(
    spec: Claims,
    known: Mapping[str, Published],
    histories: Sequence[xr.Dataset],
    surfaces: Sequence[xr.Dataset],
    trajectories: Sequence[xr.Dataset],
) -> list[Judgement]:
    """Judge every claim, in the order of its number, and then every published test error.

    The claims are about the cross-entropy of classes; runs with another loss are left out.
    """

    def by_plane(found: Sequence[xr.Dataset], run: str) -> dict[str, xr.Dataset]:
        return {each.attrs["plane"]: each for each in found if each.attrs["run"] == run}

    histories, _ = _split(histories)
    names = [history.attrs["name"] for history in histories]
    runs = [
        JudgedRun(history, by_plane(surfaces, name), by_plane(trajectories, name))
        for history, name in zip(histories, names, strict=True)
    ]
    evidence = Evidence(spec, known, tuple(runs))
    claims = [found for judged in _JUDGES for found in judged(evidence)]
    return [*sorted(claims, key=_number), *published.test_errors(evidence)]


def write(found: Sequence[Judgement], histories: Sequence[xr.Dataset], paths: Sequence[Path]) -> None:
    """Write the verdicts as Markdown and HTML: a table with a line for each, and the evidence in sections below it."""
    markdown, page = paths
    about = _about(histories)
    lines = ["# Claims", "", about, "", "| claim | verdict | it rests on |", "|:--|:--|:--|"]
    lines += [f"| {_link(one)} | {one.verdict} | {_cell(one.said)} |" for one in found]
    sections = [
        f"### {_title(one)}\n\n{one.claim}: **{one.verdict}**, {one.said}.\n\n"
        + "\n".join(f"- {line}" for line in one.evidence)
        for one in found
        if one.evidence
    ]
    lines += ["", "## Evidence", "", "\n\n".join(sections)] if sections else []
    files.write_text(markdown, "\n".join([*lines, ""]))
    cells = "".join(f"<tr>{''.join(map(_html_cell, _html_row(one)))}</tr>\n" for one in found)
    table = f"<table><tr><th>claim</th><th>verdict</th><th>it rests on</th></tr>\n{cells}</table>"
    table_writers.write_page(page, "Claims", f"<p>{html.escape(about)}</p>\n{table}")


def _title(one: Judgement) -> str:
    """Name a judgement in a heading, whose anchor GitHub derives from it: `Claim 11b`, or the published number."""
    number, dot, _ = one.claim.partition(". ")
    return f"Claim {number}" if dot and number[:1].isdigit() else one.claim.partition(":")[0]


def _link(one: Judgement) -> str:
    anchor = "".join(c for c in _title(one).lower().replace(" ", "-") if c.isalnum() or c in "-_")
    return f"[{_cell(one.claim)}](#{anchor})" if one.evidence else _cell(one.claim)


def _cell(text: str) -> str:
    """Escape what ends a cell of a Markdown table."""
    return text.replace("|", "\\|")


def _html_row(one: Judgement) -> tuple[str, str, str]:
    said = html.escape(one.said)
    if one.evidence:
        lines = "".join(f"<li>{html.escape(line)}</li>" for line in one.evidence)
        said = f"<details><summary>{said}</summary><ul>{lines}</ul></details>"
    return html.escape(one.claim), html.escape(one.verdict), said


def _html_cell(content: str) -> str:
    return f"<td>{content}</td>"


def _split(histories: Sequence[xr.Dataset]) -> tuple[list[xr.Dataset], list[xr.Dataset]]:
    """Split runs into those with the cross-entropy of classes, and those with another loss."""
    others = [history for history in histories if math.isnan(geometry.guessing(history))]
    return [history for history in histories if not any(history is other for other in others)], others


def _about(histories: Sequence[xr.Dataset]) -> str:
    """Describe the runs behind the verdicts: their data, their number, the length of their training."""
    histories, others = _split(histories)
    left_out = ", ".join(f"{other.attrs['name']} ({meanings.mean_loss(other.attrs)})" for other in others)
    said = f" Left out, since the claims are about the cross-entropy of classes: {left_out}." if others else ""
    if not histories:
        return f"No run can be judged.{said}"
    data = sorted({json.loads(history.attrs["spec"])["data"] for history in histories})
    epochs = sorted({history.sizes["epoch"] - 1 for history in histories if history.sizes["epoch"] > 1})
    images = sorted({int(history.attrs["train_examples"]) for history in histories})
    short = (
        f", a schedule of {' to '.join(map(str, dict.fromkeys((epochs[0], epochs[-1]))))} epochs where the paper has 300"
        if epochs and epochs[-1] < 300
        else ""
    )
    return (
        f"Judged on {len(histories)} runs on {', '.join(data)} with {', '.join(f'{n:,}' for n in images)} training "
        f"examples{short}. Reproduced: the claim held in every case, beyond its error and margin; of an order of all networks, "
        f"tau is at least {comparisons.STRONG:g} with p below {SURE:g}, of one sign in every family. Undecided: within the "
        "errors or margins. One sample: one direction or one seed, so no error is known. Confounded: the networks cannot be "
        f"compared, for the reason given. Not tested: these runs cannot tell. Unverified: a number not checked at its source.{said}"
    )


def _number(one: Judgement) -> tuple[int, str]:
    head = one.claim.partition(".")[0]
    digits = head.rstrip("abc")
    return int(digits), head
