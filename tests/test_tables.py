"""Tables of test errors, the published ones beside."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from landscape import geometry
from landscape.analysis import tables
from landscape.experiment.analysis_sections import Published, Table


def history(name: str, wrong: int | None = 600, **spec: Any) -> xr.Dataset:
    recipe = {"epochs": 300, "optimizer": "sgd", "batch_size": 128, "weight_decay": 0.0005, "schedule": "step", **spec}
    columns = {"train_loss": [2.3, 0.002]}
    if wrong is not None:
        columns["test_accuracy"] = [0.1, 1 - wrong / 10_000]
    attrs = {"name": name, "spec": json.dumps(recipe), "train_examples": 50_000, "test_examples": 10_000}
    return xr.Dataset({k: ("epoch", v) for k, v in columns.items()}, {"epoch": [0, 300]}, attrs)


def test_measured_beside_published() -> None:
    published = {"a": Published(test_error=6.0), "b": Published(test_error=7.8, verified=False)}
    rows = tables.table(published, [history("a"), history("b", 700, optimizer="adam"), history("c", None)])
    assert list(rows["run"]) == ["a", "b", "c"]
    np.testing.assert_allclose(rows["test error (%)"], [6, 7, np.nan])
    low, high = geometry.wilson(600, 10_000)
    assert (rows["low (%)"][0], rows["high (%)"][0]) == (100 * low, 100 * high)
    np.testing.assert_allclose(rows["published error (%)"], [6, 7.8, np.nan])
    assert list(rows["published in"]) == ["Li et al. 2018", "Li et al. 2018 (unverified)", ""]
    assert rows["schedule"][1] == "adam, batch 128, decay 0.0005, step"


def test_an_adopted_run_has_no_schedule() -> None:
    adopted = history("a")
    adopted.attrs["spec"] = json.dumps({"weights": "w.pt"})
    row = tables.table({}, [adopted]).iloc[0]
    assert (row["epochs"], row["schedule"]) == ("adopted", "adopted")


def test_it_is_written_four_ways(tmp_path: Path) -> None:
    spec = Table(runs=("a", "b"), title="Errors & others")
    paths = [tmp_path / f"t.{kind}" for kind in ("csv", "md", "tex", "html")]
    rows = tables.table({"a": Published(test_error=6.5, verified=False)}, [history("a"), history("b_1", None)])
    tables.write(spec, rows, paths)
    csv, markdown, tex, html = (path.read_text() for path in paths)
    assert pd.read_csv(paths[0])["test error (%)"][0] == pytest.approx(6) and csv.count("\n") == 3
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in markdown.splitlines() if line.startswith("|")]
    assert cells[0][:3] == ["run", "published (%)", "measured (%)"]
    assert cells[2][:3] == ["a", "6.50 (unverified)", "6.00 (5.55 to 6.48)"] and cells[3][:3] == ["b_1", "", ""]
    assert r"\toprule" in tex and r"b\_1 &" in tex and r"published (\%)" in tex and "&amp; others" in html
