"""The table of training paths: the share of each path that two directions hold."""

import json
from collections.abc import Sequence

import pandas as pd
import xarray as xr

from landscape.analysis import table_writers
from landscape.analysis.summary.run_table import shown_number

_COLUMNS = (
    "run",
    "plane",
    "directions",
    "kept epochs",
    "share of alpha (%)",
    "share of beta (%)",
    "random walk, alpha (%)",
    "random walk, beta (%)",
    "expected of a random direction (%)",
    "length",
    "farthest from the plane",
    "loss at the start, on the plane",
    "loss at the start, as saved",
)


def trajectories(paths: Sequence[xr.Dataset]) -> pd.DataFrame:
    """Tabulate paths: a row per path and plane. Shares are in percent, lengths are L2 norms over the weights."""
    return pd.DataFrame([_row(path) for path in paths], columns=_COLUMNS)


def page(rows: pd.DataFrame) -> table_writers.TablePage:
    """Choose the columns that fit on a page."""
    shown = rows[["run", "plane", "kept epochs"]].map(shown_number)
    for axis in ("alpha", "beta"):
        shares = zip(rows[f"share of {axis} (%)"], rows[f"random walk, {axis} (%)"], strict=True)
        shown[f"share of {axis} (%)"] = [
            shown_number(share) + ("" if pd.isna(walk) else f" (random walk {shown_number(walk)})")
            for share, walk in shares
        ]
    lengths = ["length", "farthest from the plane", "loss at the start, on the plane", "loss at the start, as saved"]
    shown[lengths] = rows[lengths].map(shown_number)
    return table_writers.TablePage("Paths", rows, shown, _NOTE)


def _row(path: xr.Dataset) -> dict[str, object]:
    shares = {
        f"{word} {axis} (%)": 100 * float(path[name].sel(axis=axis))
        for word, name in (("share of", "share"), ("random walk,", "random_walk_share"))
        for axis in ("alpha", "beta")
    }
    return {
        "run": path.attrs["run"],
        "plane": path.attrs["plane"],
        "directions": json.loads(path.attrs["spec"])["directions"],
        "kept epochs": path.sizes["epoch"],
        **shares,
        "expected of a random direction (%)": 100 * float(path.expected_share[-1]),
        "length": float(path.step_norm.sum()),
        "farthest from the plane": float(path.distance.max()),
        "loss at the start, on the plane": float(path.projected_loss[0]),
        "loss at the start, as saved": float(path.saved_loss[0]),
    }


_NOTE = (
    "Share: the part of the path's variation about its mean (about its end, if the plane is not centred) along each "
    "direction; in brackets the same for the principal components of a random walk with the same step lengths. Length: the "
    "sum of the steps between kept epochs, as an L2 norm over the weights. The loss on the plane is measured at the projected "
    "point, not at the network that was there. paths.csv has more columns."
)
