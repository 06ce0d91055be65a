"""The table of the paths of trainings: how much of them two directions hold."""

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
    """One row per path and plane (`landscape.trajectory`). Shares are in percent, lengths L2 norms over the weights."""
    return pd.DataFrame([_row(path) for path in paths], columns=_COLUMNS)


def page(rows: pd.DataFrame) -> table_writers.TablePage:
    """The table as it is written."""
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
    "Share: of the path's variation about its mean (of planes that are not centred: about its end) along each direction of "
    "the plane; beside it that of the principal components of a random walk with the same step lengths. Length: the sum of "
    "the steps between kept epochs, as an L2 norm over the weights. The loss on the plane is that of the projected point, not "
    "of the network that was there. More columns are in paths.csv."
)
