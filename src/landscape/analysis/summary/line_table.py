"""The table of lines between runs: barriers and widths."""

import json
from collections.abc import Sequence

import pandas as pd
import xarray as xr

from landscape import geometry
from landscape.analysis import table_writers
from landscape.analysis.summary.run_table import shown_number

_COLUMNS = (
    "from",
    "to",
    "plane",
    "batch norm",
    "barrier (train loss)",
    "barrier (test loss)",
    "barrier (train error, %)",
    "barrier (test error, %)",
    "w at 0",
    "w at 1",
    "undefined",
)


def is_between(surface: xr.Dataset) -> bool:
    """Say if a surface is a line from one run to another."""
    return surface.sizes["beta"] == 1 and json.loads(surface.attrs["spec"])["directions"] in ("to", "through")


def between(lines: Sequence[xr.Dataset]) -> pd.DataFrame:
    """Tabulate lines: a row with the barriers of loss and error and the widths of the wells at both ends.

    Losses are those of the runs, errors in percent; `undefined` says why a barrier is missing.
    """
    return pd.DataFrame([_row(line) for line in lines], columns=_COLUMNS)


def page(rows: pd.DataFrame) -> table_writers.TablePage:
    """Choose the columns that fit on a page."""
    errors = [name for name in _COLUMNS if "error" in name]
    aside = [
        "plane",
        "undefined",
        *(errors if rows[errors].isna().all(axis=None) and not _undefined(rows, errors) else []),
    ]
    kept = [name for name in _COLUMNS if name not in aside]
    return table_writers.TablePage("Between runs", rows, rows[kept].map(shown_number), _NOTE)


def _undefined(rows: pd.DataFrame, names: Sequence[str]) -> bool:
    """Say if some of the numbers were measured and are undefined."""
    return any(name in str(reasons) for reasons in rows["undefined"] for name in names)


def _row(line: xr.Dataset) -> dict[str, object]:
    row: dict[str, object] = {
        "from": line.attrs["state"],
        "to": geometry.other_end(line),
        "plane": line.attrs["plane"],
        "batch norm": json.loads(line.attrs["spec"]).get("batchnorm", "interpolated"),
    }
    reasons = {}
    for split in ("train", "test"):
        for quantity, factor, unit in (("loss", 1, ""), ("accuracy", 100, ", %")):
            if f"{split}_{quantity}" not in line:
                continue
            barrier = geometry.barrier(line, f"{split}_{quantity}")
            name = f"barrier ({split} {'error' if factor == 100 else quantity}{unit})"
            row[name] = factor * barrier.value
            if barrier.reason:
                reasons[name] = barrier.reason
    row |= {f"w at {x}": geometry.well(line, x).width.value for x in (0, 1)}
    row["undefined"] = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
    return row


_NOTE = (
    "Each line leads from one run, at 0, to another, at 1. Barrier: the largest height over the straight line between the "
    "values at the ends. Batch norm: running statistics are interpolated, stored, or recalibrated (computed again) at every "
    "point. w: length of the interval around an end on which the train loss is less than 0.5 above the loss at that end. "
    "An empty cell is undefined; lines.csv says why."
)
