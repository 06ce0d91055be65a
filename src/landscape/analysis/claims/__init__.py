"""Judge each claim by these runs: a verdict with the numbers behind it.

Claims 1 to 6 are from Li et al. 2018; 7 to 14 follow from the paper or were later made about it. The configuration
states, before the runs, what it takes to call a claim reproduced.
"""

import html
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import xarray as xr

from landscape.analysis import table_writers
from landscape.analysis.claims import dimensions, flips, negative_curvature, published, shapes, trainability
from landscape.analysis.claims.evidence import Evidence, JudgedRun, Judgement
from landscape.experiment.analysis_sections import Claims, Published
from landscape.store import files

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
    """Judge every claim, in the order of its number, and then every published test error."""

    def by_plane(found: Sequence[xr.Dataset], run: str) -> dict[str, xr.Dataset]:
        return {each.attrs["plane"]: each for each in found if each.attrs["run"] == run}

    names = [history.attrs["name"] for history in histories]
    runs = [
        JudgedRun(history, by_plane(surfaces, name), by_plane(trajectories, name))
        for history, name in zip(histories, names, strict=True)
    ]
    evidence = Evidence(spec, known, tuple(runs))
    claims = [found for judged in _JUDGES for found in judged(evidence)]
    return [*sorted(claims, key=_number), *published.test_errors(evidence)]


def write(found: Sequence[Judgement], histories: Sequence[xr.Dataset], paths: Sequence[Path]) -> None:
    """Write the verdicts as Markdown and HTML."""
    markdown, page = paths
    rows = [(one.claim, one.verdict, one.because) for one in found]
    about = _about(histories)
    lines = ["| claim | verdict | because |", "|:--|:--|:--|", *(f"| {' | '.join(row)} |" for row in rows)]
    files.write_text(markdown, "\n".join(["# Claims", "", about, "", *lines, ""]))
    cells = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>\n" for row in rows)
    table = f"<table><tr><th>claim</th><th>verdict</th><th>because</th></tr>\n{cells}</table>"
    table_writers.write_page(page, "Claims", f"<p>{html.escape(about)}</p>\n{table}")


def _about(histories: Sequence[xr.Dataset]) -> str:
    """Describe the runs behind the verdicts: their data, their number, the length of their training."""
    data = sorted({json.loads(history.attrs["spec"])["data"] for history in histories})
    epochs = [history.sizes["epoch"] - 1 for history in histories if history.sizes["epoch"] > 1]
    images = sorted({int(history.attrs["train_examples"]) for history in histories})
    short = (
        f", a schedule of {min(epochs)} to {max(epochs)} epochs where the paper has 300" if max(epochs) < 300 else ""
    )
    return (
        f"Judged on {len(histories)} runs on {', '.join(data)} with {', '.join(f'{n:,}' for n in images)} training "
        f"examples{short}. Reproduced: the claim held in every case. Confounded: the networks cannot be compared, for the "
        "reason given. Not tested: these runs cannot tell. Unverified: a number that was not checked at its source."
    )


def _number(one: Judgement) -> tuple[int, str]:
    head = one.claim.partition(".")[0]
    digits = head.rstrip("abc")
    return int(digits), head
