"""The table of lines between runs: barriers and widths."""

import json
from collections.abc import Sequence

import pandas as pd
import xarray as xr

from landscape import geometry
from landscape.analysis import table_writers
from landscape.analysis.summary.run_table import shown_number
from landscape.objective import meanings

_FIRST = ("from", "to", "plane", "batch norm")
_BARRIERS = ("barrier (train loss)", "barrier (test loss)")
_LAST = ("w at 0", "w at 1", "undefined")
_KNOWN = {"accuracy": "error, %", "r2": "R2", "perplexity": "perplexity"}
"""Scores whose better end is known: what the barrier is of."""


def is_between(surface: xr.Dataset) -> bool:
    """Say if a surface is a line from one run to another."""
    return surface.sizes["beta"] == 1 and json.loads(surface.attrs["spec"])["directions"] in ("to", "through")


def between(lines: Sequence[xr.Dataset]) -> pd.DataFrame:
    """Tabulate lines: a row with the barriers of loss and score and the widths of the wells at both ends.

    Losses and scores are those of the runs, accuracies as errors in percent; `loss` names a loss other than the
    cross-entropy. `undefined` says why a number is missing.
    """
    found = [_row(line) for line in lines]
    stated = dict.fromkeys(name for row in found for name in row)
    loss = [name for name in stated if name == "loss"]
    scores = [name for name in stated if name not in (*_FIRST, "loss", *_BARRIERS, *_LAST)]
    return pd.DataFrame(found, columns=[*_FIRST, *loss, *_BARRIERS, *scores, *_LAST])


def page(rows: pd.DataFrame) -> table_writers.TablePage:
    """Choose the columns that fit on a page, without those that nothing was measured for."""
    reasons = " ".join(map(str, rows["undefined"]))
    unmeasured = [name for name in rows if rows[name].isna().all() and str(name) not in reasons]
    kept = [name for name in rows if name not in ("plane", "undefined", *unmeasured)]
    note = _NOTE + (_OTHER_LOSSES if "loss" in rows else "")
    note += _OWN_SCORES if any(str(name).startswith("deviation") for name in rows) else ""
    return table_writers.TablePage("Between runs", rows, rows[kept].map(shown_number), note)


def _row(line: xr.Dataset) -> dict[str, object]:
    row: dict[str, object] = {
        "from": line.attrs["state"],
        "to": geometry.other_end(line),
        "plane": line.attrs["plane"],
        "batch norm": json.loads(line.attrs["spec"]).get("batchnorm", "interpolated"),
    }
    if not meanings.is_cross_entropy(line.attrs):
        row["loss"] = meanings.mean_loss(line.attrs)
    found = {}
    score = meanings.score_in(line.attrs)
    for quantity in ("loss", *([score] if score else [])):
        for split in ("train", "test"):
            if f"{split}_{quantity}" in line:
                word = _KNOWN.get(quantity, quantity)
                name = f"{'barrier' if quantity in ('loss', *_KNOWN) else 'deviation'} ({split} {word})"
                barrier = geometry.barrier(line, f"{split}_{quantity}")
                found[name] = (100 if quantity == "accuracy" else 1) * barrier.value, barrier.reason
    wells = {x: geometry.well(line, x).width for x in (0, 1)}
    found |= {f"w at {x}": (width.value, width.reason) for x, width in wells.items()}
    row |= {name: value for name, (value, _) in found.items()}
    row["undefined"] = "; ".join(f"{name}: {reason}" for name, (_, reason) in found.items() if reason)
    return row


_NOTE = (
    "Each line leads from one run, at 0, to another, at 1. Barrier: the largest height over the straight line between the "
    "values at the ends; of R2 the largest depth below it. Batch norm: running statistics are interpolated, stored, or recalibrated "
    "(computed again) at every point. w: length of the interval around an end on which the train loss is less than 0.5 above the "
    "loss at that end. An empty cell is undefined; lines.csv says why."
)
_OTHER_LOSSES = " Of a loss that is not in natural logarithms, w is where it is below 1.5 times that at the end."
_OWN_SCORES = " Deviation: of a score that is the user's own, the value farthest from the straight line, above it or below it (negative)."
