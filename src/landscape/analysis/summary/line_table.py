"""The table of the lines between runs: what lies between two minimisers."""

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
    """Whether a surface is a line from a run to another one."""
    return surface.sizes["beta"] == 1 and json.loads(surface.attrs["spec"])["directions"] in ("to", "through")


def between(lines: Sequence[xr.Dataset]) -> pd.DataFrame:
    """One row per line: barriers of loss and error, and the widths of the wells at both ends (`geometry.lines`).

    Losses are mean cross-entropies (natural logarithm), errors in percent; `undefined` says why a barrier is missing.
    """
    return pd.DataFrame([_row(line) for line in lines], columns=_COLUMNS)


def page(rows: pd.DataFrame) -> table_writers.TablePage:
    """The table as it is written."""
    kept = [name for name in _COLUMNS if name not in ("plane", "undefined")]
    return table_writers.TablePage("Between runs", rows, rows[kept].map(shown_number), _NOTE)


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
    row["w at 0"], row["w at 1"] = geometry.end_widths(line)
    row["undefined"] = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
    return row


_NOTE = (
    "Along the line from one run, at 0, to another, at 1. Barrier: the largest height over the straight line between the "
    "values at the ends. Batch norm: whether its running statistics are interpolated too, stay as stored, or are taken anew "
    "at every point. w: length of the interval around an end on which the train loss is less than 0.5 above that end's. Empty "
    "is what is undefined, for a reason that lines.csv states."
)
