"""The table over all runs."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from landscape import geometry, summary


def history(name: str, accuracy: float, **attrs: Any) -> xr.Dataset:
    spec = {"network": "resnet", "epochs": 2} if "spec" not in attrs else attrs.pop("spec")
    columns = {
        "train_loss": [2.3, 0.5, 0.01],
        "train_accuracy": [0.1, 0.8, 1.0],
        "test_loss": [2.3, 0.7, 0.2],
        "test_accuracy": [0.1, 0.7, accuracy],
    }
    facts = {"name": name, "spec": json.dumps(spec), "parameters": 1234, "classes": 10, "test_images": 200, **attrs}
    return xr.Dataset({k: ("epoch", np.array(v)) for k, v in columns.items()}, {"epoch": range(3)}, facts)


def surface(run: str, points: int = 5) -> xr.Dataset:
    x = np.linspace(-1, 1, points)
    loss = 0.01 + 5 * (x[:, None] ** 2 + x[None] ** 2)
    loss[0, 0] = np.inf
    coords = {"alpha": x, "beta": x}
    attrs = {"run": run, "state": run, "plane": "contour", "classes": 10, "spec": json.dumps({"directions": "random"})}
    return xr.Dataset({"train_loss": (("alpha", "beta"), loss)}, coords, attrs)


def test_one_row_per_run_with_its_last_epoch_and_its_surface() -> None:
    rows = summary.table([history("a", 0.9), history("b", 0.955)], [surface("b")])
    assert list(rows["run"]) == ["a", "b"]
    assert list(rows["train loss"]) == [0.01, 0.01]
    np.testing.assert_allclose(rows["test error (%)"], [10, 4.5])
    assert rows["95 % interval"][0] == "6.6 to 14.9"  # Wilson for 20 of 200
    assert np.isnan(rows["highest loss"][0]) and rows["highest loss"][1] == 10.01
    assert rows["points not finite"][1] == 1
    assert rows["loss at the centre"][1] == 0.01


def test_all_numbers_of_the_surface_and_why_some_are_missing() -> None:
    seen = surface("b", 31)
    rows = summary.table([history("a", 0.9), history("b", 0.955)], [seen])
    expected = geometry.numbers(seen)
    for name, value in expected.items():
        assert np.isnan(rows[name][0])
        np.testing.assert_equal(rows[name][1], value)
    stated = dict(part.split(": ") for part in rows["undefined"][1].split("; "))
    missing = {name: reason for reason, names in stated.items() for name in names.split(", ")}
    assert missing == geometry.reasons(seen) and missing["slice_rise_max_0.1"] == "not resolved"


def test_the_page_shows_a_selection_and_marks_lower_bounds(tmp_path: Path) -> None:
    rows = summary.table([history("a", 0.9), history("b", 0.955)], [surface("b", 31)])
    paths = [tmp_path / f"summary.{kind}" for kind in ("csv", "md", "tex", "html")]
    summary.write(rows, paths)
    heading, _, first, second = [
        [cell.strip() for cell in text.split("|")[1:-1]] for text in paths[1].read_text().splitlines()[:4]
    ]
    assert heading[4:9] == ["test error (%)", "width at rise 0.5", "convex share", "convex height", "minima"]
    assert first[5:] == [""] * 5
    width, *others = second[5:9]
    assert float(width) == pytest.approx(2 * np.sqrt(0.5 / 5), abs=0.01)
    assert others == ["1", "> 10.0", "1"]  # convex as high as it is seen: to the highest finite loss


def test_an_adopted_run_and_one_without_a_test_split() -> None:
    untested = history("b", 0.9).drop_vars(["test_loss", "test_accuracy"])
    rows = summary.table([history("a", 0.9, spec={"network": "net.py:f", "weights": "w.pt"}), untested], [])
    assert list(rows["epochs"]) == ["adopted", 2]
    assert np.isnan(rows["test error (%)"][1])


def test_it_is_written_four_ways(tmp_path: Path) -> None:
    rows = summary.table([history("a", 0.9), history("b", 0.955)], [surface("b")])
    paths = [tmp_path / f"summary.{kind}" for kind in ("csv", "md", "tex", "html")]
    summary.write(rows, paths)
    assert list(pd.read_csv(paths[0])["run"]) == ["a", "b"]
    assert "| a " in paths[1].read_text() and "10.0 (6.6 to 14.9)" in paths[1].read_text()
    assert r"a & 1,234 & 2 &" in paths[2].read_text() and r"test error (\%)" in paths[2].read_text()
    assert "<td>a</td>" in paths[3].read_text() and "nan" not in paths[3].read_text().lower()
