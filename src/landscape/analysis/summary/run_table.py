"""The table of all runs."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from landscape import geometry
from landscape.analysis import table_writers
from landscape.training import run_factors


def table(histories: Sequence[xr.Dataset], surfaces: Sequence[xr.Dataset]) -> pd.DataFrame:
    """Tabulate runs, in the order of `histories`.

    Losses are mean cross-entropies in eval mode (natural logarithm), errors and accuracies in percent. The columns
    after `plane` describe the train loss on the run's surface, with all numbers of `geometry.NAMES`; `undefined` says why
    some are missing. They are empty for a run without a surface.
    """
    by_run = {surface.attrs["run"]: surface for surface in surfaces}
    return pd.DataFrame([_row(history, by_run.get(history.attrs["name"])) for history in histories])


def page(rows: pd.DataFrame) -> table_writers.TablePage:
    """Choose the columns that fit on a page."""
    return table_writers.TablePage("Runs", rows, _condensed(rows).map(shown_number), _NOTE)


def _row(history: xr.Dataset, surface: xr.Dataset | None) -> dict[str, object]:
    last = history.isel(epoch=-1)
    spec = json.loads(history.attrs["spec"])
    row: dict[str, object] = {
        "run": history.attrs["name"],
        "network": _network(spec),
        "parameters": history.attrs["parameters"],
        "epochs": run_factors.epochs(spec),
        "train loss": float(last.train_loss),
        "train accuracy (%)": 100 * float(last.train_accuracy),
    }
    if found := run_factors.errors(history):
        low, high = found.interval
        row |= {
            "test loss": float(last.test_loss),
            "test error (%)": found.percent,
            "95 % interval": f"{low:.1f} to {high:.1f}",
        }
    if surface is not None:
        loss = surface.train_loss
        finite = loss.where(np.isfinite(loss))
        row |= {
            "plane": surface.attrs["plane"],
            "loss at the centre": geometry.centre(surface, "train_loss"),
            "lowest loss": float(finite.min()),
            "highest loss": float(finite.max()),
            "points not finite": geometry.non_finite(surface),
            **geometry.numbers(surface),
            "undefined": _undefined(geometry.reasons(surface)),
            "findings": "; ".join(finding.label for finding in geometry.findings(surface, last)),
        }
    return row


def _network(spec: Mapping[str, Any]) -> str:
    """Write a network with its stated arguments: `resnet(depth=20, width=8)`."""
    args = ", ".join(f"{key}={value}" for key, value in spec.get("args", {}).items())
    return f"{spec['network']}({args})" if args else str(spec["network"])


def _undefined(reasons: Mapping[str, str]) -> str:
    """Group names by reason: `not resolved: width_rise_0.1, area_rise_0.1; a line: ...`."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        by_reason.setdefault(reason, []).append(name)
    return "; ".join(f"{reason}: {', '.join(names)}" for reason, names in by_reason.items())


HEADINGS = {
    "width_rise_0.5": "width at rise 0.5",
    "convex_share": "convex share",
    "convex_height": "convex height",
}
"""Numbers of a surface on the page, with their headings; a flatter surface has larger ones."""


def _condensed(rows: pd.DataFrame) -> pd.DataFrame:
    """Keep what fits on a page: errors with their intervals, and the surface's main numbers and findings."""
    shown = rows.copy()
    if "test error (%)" in shown:
        errors = zip(shown["test error (%)"], shown["95 % interval"], strict=True)
        shown["test error (%)"] = ["" if pd.isna(e) else f"{e:.1f} ({interval})" for e, interval in errors]
    for name in HEADINGS.keys() & shown.keys():
        touches = shown.get(border_of(name), pd.Series(0.0, shown.index))
        shown[name] = [
            f"> {shown_number(value)}" if touch == 1 else value
            for value, touch in zip(shown[name], touches, strict=True)
        ]
    shown = shown.rename(columns=HEADINGS)
    kept = ("run", "parameters", "epochs", "train loss", "test error (%)", *HEADINGS.values(), "minima", "findings")
    return shown[[column for column in kept if column in shown]]


def border_of(number: str) -> str:
    """Return the name of the number that says if the part behind `number` touches the border of the plane."""
    return f"touches_border_{number.removeprefix('width_')}"


def shown_number(value: object) -> str:
    """Write a cell: numbers in three digits, empty if undefined."""
    if isinstance(value, float):
        return "" if np.isnan(value) else f"{value:,.1f}" if 10 <= abs(value) < 1e5 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


_NOTE = (
    "Train loss: mean cross-entropy (natural logarithm) over the training split, un-augmented, in eval mode, after the last "
    "epoch. Test error: in brackets its 95 % Wilson interval. The columns to the right describe the train loss on the plane "
    "that the configuration names under `summary`, over the plane's examples. Width at rise 0.5: take the connected part around "
    "the centre that lies at most 0.5 above it; its width is the diameter of the circle of equal area, or the length on a "
    "line, in multiples of the directions. Convex share: share of the points around the centre below ln(classes) where the "
    "curvature is nowhere negative. Convex height: the highest loss up to which all level lines around the centre look "
    "convex (solidity of at least 0.97). Minima: minima inside the plane that stand out by at least 0.1 and three standard "
    "errors. >: the part reaches the border of the plane, so the number may be larger. An empty cell is undefined; "
    "summary.csv says why and has all other numbers."
)
