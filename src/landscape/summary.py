"""The table over all runs: as CSV, as Markdown, and as a page for the report."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from landscape import geometry, pages


def table(histories: Sequence[xr.Dataset], surfaces: Sequence[xr.Dataset]) -> pd.DataFrame:
    """One row per run, in the order of `histories`.

    Losses are mean cross-entropies in eval mode (natural logarithm), errors and accuracies in percent. The columns
    behind `plane` are of the surface in `surfaces` whose run it is; a run without one has them empty.
    """
    by_run = {surface.attrs["run"]: surface for surface in surfaces}
    return pd.DataFrame([_row(history, by_run.get(history.attrs["name"])) for history in histories])


def write(rows: pd.DataFrame, paths: Sequence[Path]) -> None:
    """Write the table to a CSV, a Markdown, a LaTeX and an HTML file."""
    pages.write(rows, _condensed(rows).map(_shown), "Summary", _NOTE, paths)


def _row(history: xr.Dataset, surface: xr.Dataset | None) -> dict[str, object]:
    last = history.isel(epoch=-1)
    spec = json.loads(history.attrs["spec"])
    row: dict[str, object] = {
        "run": history.attrs["name"],
        "network": spec["network"],
        "parameters": history.attrs["parameters"],
        "epochs": spec.get("epochs", "adopted"),
        "train loss": float(last.train_loss),
        "train accuracy (%)": 100 * float(last.train_accuracy),
    }
    if "test_loss" in last:
        images = int(history.attrs["test_images"])
        wrong = round((1 - float(last.test_accuracy)) * images)
        low, high = geometry.wilson(wrong, images)
        row |= {
            "test loss": float(last.test_loss),
            "test error (%)": 100 * wrong / images,
            "95 % interval": f"{100 * low:.1f} to {100 * high:.1f}",
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
            "findings": "; ".join(finding.label for finding in geometry.findings(surface, last)),
        }
    return row


def _condensed(rows: pd.DataFrame) -> pd.DataFrame:
    """What fits on a page: the errors with their intervals, and of the surface its ends and findings."""
    kept = (
        "run",
        "parameters",
        "epochs",
        "train loss",
        "test error (%)",
        "loss at the centre",
        "highest loss",
        "findings",
    )
    shown = rows.copy()
    if "test error (%)" in shown:
        errors = zip(shown["test error (%)"], shown["95 % interval"], strict=True)
        shown["test error (%)"] = ["" if pd.isna(e) else f"{e:.1f} ({interval})" for e, interval in errors]
    return shown[[column for column in kept if column in shown]]


def _shown(value: object) -> str:
    if isinstance(value, float):
        return "" if np.isnan(value) else f"{value:,.1f}" if 10 <= abs(value) < 1e5 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


_NOTE = (
    "Train loss: mean cross-entropy (natural logarithm) over the training split, un-augmented, in eval mode, of the weights "
    "after the last epoch. In brackets behind a test error its 95 % Wilson interval. Loss at the centre, highest loss and "
    "findings are of the surface on the plane that the configuration names under `summary`, over the images the plane "
    "declares. More columns are in summary.csv."
)
