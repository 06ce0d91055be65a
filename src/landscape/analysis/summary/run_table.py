"""The table of all runs."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from landscape import geometry
from landscape.analysis import table_writers
from landscape.objective import meanings
from landscape.training import expected, run_factors


def table(histories: Sequence[xr.Dataset], surfaces: Sequence[xr.Dataset]) -> pd.DataFrame:
    """Tabulate runs, in the order of `histories`.

    Losses are in eval mode, errors and accuracies in percent. `loss` names a loss other than the cross-entropy. The columns
    after `plane` describe the train loss on the run's surface, with all numbers of `geometry.NAMES`; `undefined` says why
    some are missing. They are empty for a run without a surface.
    """
    by_run = {surface.attrs["run"]: surface for surface in surfaces}
    return pd.DataFrame([_row(history, by_run.get(history.attrs["name"])) for history in histories])


def page(rows: pd.DataFrame) -> table_writers.TablePage:
    """Choose the columns that fit on a page."""
    loss = "mean cross-entropy (natural logarithm)" if "loss" not in rows else "mean of the loss named beside it"
    note = f"Train loss: {loss} {_NOTE}{_OTHER_LOSSES if 'loss' in rows else ''}"
    return table_writers.TablePage("Runs", rows, _condensed(rows).map(shown_number), note)


def _row(history: xr.Dataset, surface: xr.Dataset | None) -> dict[str, object]:
    last = history.isel(epoch=-1)
    spec = json.loads(history.attrs["spec"])
    row: dict[str, object] = {
        "run": history.attrs["name"],
        "network": _network(spec),
        "parameters": history.attrs["parameters"],
        "epochs": run_factors.epochs(spec),
        "train loss": float(last.train_loss),
    }
    if not meanings.is_cross_entropy(history.attrs):
        row["loss"] = meanings.mean_loss(history.attrs)
    row |= _scores(history, last)
    if known := expected.told(history.attrs):
        row["expected"] = ", ".join(f"{name} {value}" for name, value in known.items())
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


def _scores(history: xr.Dataset, last: xr.Dataset) -> dict[str, object]:
    """State the scores on both splits, an accuracy in percent and of test as an error with its interval; and the test loss."""
    score = meanings.score_in(history.attrs)
    row: dict[str, object] = {"test loss": float(last.test_loss)} if "test_loss" in last else {}
    if score == "accuracy":
        row = {"train accuracy (%)": 100 * float(last.train_accuracy)} | row
        if found := run_factors.errors(history):
            low, high = found.interval
            row |= {"test error (%)": found.percent, "95 % interval": f"{low:.1f} to {high:.1f}"}
        elif "test_accuracy" in last:
            row["test error (%)"] = 100 * (1 - float(last.test_accuracy))
    elif score is not None:
        scores = {f"{split} {meanings.score_word(score)}": f"{split}_{score}" for split in ("train", "test")}
        row |= {name: float(last[variable]) for name, variable in scores.items() if variable in last}
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
        intervals = shown.get("95 % interval", pd.Series(np.nan, shown.index))
        shown["test error (%)"] = [
            "" if pd.isna(e) else f"{e:.1f}" if pd.isna(interval) else f"{e:.1f} ({interval})"
            for e, interval in zip(shown["test error (%)"], intervals, strict=True)
        ]
    for name in HEADINGS.keys() & shown.keys():
        touches = shown.get(border_of(name), pd.Series(0.0, shown.index))
        shown[name] = [
            f"> {shown_number(value)}" if touch == 1 else value
            for value, touch in zip(shown[name], touches, strict=True)
        ]
    shown = shown.rename(columns=HEADINGS)
    known = ("test loss", "test error (%)")
    scores = [name for name in shown if str(name).startswith("test ") and name not in known]
    whole = "adopted" in set(shown.epochs)  # then both splits tell if the weights were taken as they were meant
    unscored = ["test loss"] * (whole or ("test error (%)" not in shown and not scores))
    of_train = [name for name in shown if str(name).startswith("train ") and name != "train loss"] * whole
    kept = (
        "run",
        "parameters",
        "epochs",
        "loss",
        "train loss",
        *of_train,
        *unscored,
        "test error (%)",
        *scores,
        "expected",
    )
    kept += (*HEADINGS.values(), "minima", "findings")
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
    "over the training split, un-augmented, in eval mode, after the last "
    "epoch. Test error: in brackets its 95 % Wilson interval. The columns to the right describe the train loss on the plane "
    "that the configuration names under `summary`, over the plane's examples. Width at rise 0.5: take the connected part around "
    "the centre that lies at most 0.5 above it; its width is the diameter of the circle of equal area, or the length on a "
    "line, in multiples of the directions. Convex share: share of the points around the centre below ln(classes) where the "
    "curvature is nowhere negative. Convex height: the highest loss up to which all level lines around the centre look "
    "convex (solidity of at least 0.97). Minima: minima inside the plane that stand out by at least 0.1 and three standard "
    "errors. >: the part reaches the border of the plane, so the number may be larger. An empty cell is undefined; "
    "summary.csv says why and has all other numbers."
)
_OTHER_LOSSES = (
    " Of a loss that is not in natural logarithms, the rises 0.5 and 0.1 are multiples of the loss at the centre: up to 1.5 "
    "times that loss, and minima that stand out by a tenth of it."
)
