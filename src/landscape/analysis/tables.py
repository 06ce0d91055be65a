"""Tables of measured and published test errors (Li et al. 2018, Tables 1 and 2)."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import xarray as xr

from landscape.analysis import table_writers
from landscape.experiment.analysis_sections import Published, Table
from landscape.objective import meanings
from landscape.training import run_factors


def table(published: Mapping[str, Published], histories: Sequence[xr.Dataset]) -> pd.DataFrame:
    """Tabulate the test errors of runs, in the order of `histories`, beside the published ones.

    Errors are in percent, with Wilson's 95 % interval; `train loss` is in eval mode; `loss` names a loss other than the
    cross-entropy.
    """
    return pd.DataFrame([_row(history, published.get(history.attrs["name"])) for history in histories])


def write(spec: Table, rows: pd.DataFrame, paths: Sequence[Path]) -> None:
    """Write the table as CSV, Markdown, LaTeX and HTML."""
    title = spec.title or "Test errors"
    table_writers.write(title, [table_writers.TablePage(title, rows, _shown(rows), _note(rows))], paths)


def _row(history: xr.Dataset, known: Published | None) -> dict[str, object]:
    last = history.isel(epoch=-1)
    spec = json.loads(history.attrs["spec"])
    row: dict[str, object] = {
        "run": history.attrs["name"],
        "published error (%)": float("nan") if known is None else known.test_error,
        "published in": "" if known is None else known.source + ("" if known.verified else " (unverified)"),
        "epochs": run_factors.epochs(spec),
        "schedule": _schedule(spec),
        "train loss": float(last.train_loss),
        "train examples": int(history.attrs["train_examples"]),
    }
    if not meanings.is_cross_entropy(history.attrs):
        row["loss"] = meanings.mean_loss(history.attrs)
    if found := run_factors.errors(history):
        low, high = found.interval
        row |= {"test error (%)": found.percent, "low (%)": low, "high (%)": high, "test examples": found.examples}
    return row


def _schedule(spec: Mapping[str, object]) -> str:
    """Describe a training in a few words: `sgd, batch 128, decay 0.0005, step`."""
    if "optimizer" not in spec:
        return str(run_factors.epochs(spec))
    return f"{spec['optimizer']}, batch {spec['batch_size']}, decay {spec['weight_decay']:g}, {spec['schedule']}"


def _shown(rows: pd.DataFrame) -> pd.DataFrame:
    """Choose the columns that fit on a page."""
    shown = rows[["run"]].copy()
    shown["published (%)"] = [
        ("" if pd.isna(error) else f"{error:.2f}") + (" (unverified)" if source.endswith("(unverified)") else "")
        for error, source in zip(rows["published error (%)"], rows["published in"], strict=True)
    ]
    if "test error (%)" in rows:
        measured = zip(rows["test error (%)"], rows["low (%)"], rows["high (%)"], strict=True)
        shown["measured (%)"] = [
            "" if pd.isna(e) else f"{e:.2f} ({low:.2f} to {high:.2f})" for e, low, high in measured
        ]
        shown["test examples"] = rows["test examples"].map(lambda n: "" if pd.isna(n) else f"{int(n):,}")
    if "loss" in rows:
        shown["loss"] = rows["loss"].fillna("")
    shown["train loss"] = rows["train loss"].map("{:.3g}".format)
    shown["epochs"] = rows["epochs"].astype(str)
    shown["schedule"] = rows["schedule"]
    return shown


def _note(rows: pd.DataFrame) -> str:
    loss = "mean cross-entropy (natural logarithm)" if "loss" not in rows else "mean of the loss named beside it"
    return f"{_NOTE} Train loss: {loss} in eval mode over the un-augmented training examples."


_NOTE = (
    "Measured: test error after the last epoch, in brackets its 95 % Wilson interval over the test examples. Published: in Li et "
    "al. 2018 unless the CSV says otherwise. Unverified: the number was not checked at its source."
)
