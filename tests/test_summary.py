"""The table over all runs."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from landscape import geometry
from landscape.analysis import summary


def history(name: str, accuracy: float, **attrs: Any) -> xr.Dataset:
    spec = {"network": "resnet", "args": {"depth": 20}, "epochs": 2} if "spec" not in attrs else attrs.pop("spec")
    columns = {
        "train_loss": [2.3, 0.5, 0.01],
        "train_accuracy": [0.1, 0.8, 1.0],
        "test_loss": [2.3, 0.7, 0.2],
        "test_accuracy": [0.1, 0.7, accuracy],
    }
    facts = {"name": name, "spec": json.dumps(spec), "parameters": 1234, "classes": 10, "test_examples": 200, **attrs}
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
    assert set(rows["network"]) == {"resnet(depth=20)"}
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
    markdown = written(tmp_path, surfaces=[surface("b", 31)])["md"]
    lines = [text for text in markdown.splitlines() if text.startswith("|")][:4]
    heading, _, first, second = [[cell.strip() for cell in text.split("|")[1:-1]] for text in lines]
    assert heading[4:9] == ["test error (%)", "width at rise 0.5", "convex share", "convex height", "minima"]
    assert first[5:] == [""] * 5
    width, *others = second[5:9]
    assert float(width) == pytest.approx(2 * np.sqrt(0.5 / 5), abs=0.01)
    assert others == ["1", "> 5.01", "1"]  # convex as high as its level lines are seen whole


def test_an_adopted_run_and_one_without_a_test_split() -> None:
    untested = history("b", 0.9).drop_vars(["test_loss", "test_accuracy"])
    rows = summary.table([history("a", 0.9, spec={"network": "net.py:f", "weights": "w.pt"}), untested], [])
    assert list(rows["epochs"]) == ["adopted", 2]
    assert np.isnan(rows["test error (%)"][1])


def written(folder: Path, surfaces: Sequence[xr.Dataset] = (), walked: Sequence[xr.Dataset] = ()) -> dict[str, str]:
    """The text of every file of the summary of two runs."""
    places = [folder / f"summary.{kind}" for kind in ("csv", "md", "tex", "html", "lines", "paths")]
    summary.write([history("a", 0.9), history("b", 0.955)], surfaces, walked, places)
    return {place.suffix[1:]: place.read_text() for place in places}


def test_it_is_written_four_ways(tmp_path: Path) -> None:
    texts = written(tmp_path, [surface("b")])
    assert list(pd.read_csv(tmp_path / "summary.csv")["run"]) == ["a", "b"]
    assert "| a " in texts["md"] and "10.0 (6.6 to 14.9)" in texts["md"]
    assert r"a & 1,234 & 2 &" in texts["tex"] and r"test error (\%)" in texts["tex"]
    assert "<td>a</td>" in texts["html"] and "nan" not in texts["html"].lower()
    assert texts["lines"].startswith("from,to,") and "Between runs" not in texts["md"]


def test_lines_between_runs(tmp_path: Path) -> None:
    """Two wells of L = 8 (x - end)^2 joined at 2 in the middle: the barrier over the ends is 2, w = 2 sqrt(0.5 / 8)."""
    x = np.linspace(-0.5, 1.5, 81)
    loss = np.minimum(8 * x**2, 8 * (x - 1) ** 2)
    accuracy = 1 - loss / 4
    attrs = {
        "run": "a",
        "state": "a",
        "plane": "to-b",
        "classes": 10,
        "spec": json.dumps({"directions": "to", "run": "b"}),
    }
    columns = {"train_loss": loss, "train_accuracy": accuracy}
    line = xr.Dataset(
        {name: (("alpha", "beta"), values[:, None]) for name, values in columns.items()},
        {"alpha": x, "beta": [0.0]},
        attrs,
    )
    row = summary.between([line]).iloc[0]
    assert (row["from"], row["to"], row["batch norm"]) == ("a", "b", "interpolated")
    assert row["barrier (train loss)"] == pytest.approx(2) and row["barrier (train error, %)"] == pytest.approx(50)
    assert row["w at 0"] == pytest.approx(0.5, abs=0.01) and row["w at 1"] == pytest.approx(0.5, abs=0.01)
    assert np.isnan(row["barrier (test loss)"]) and row["undefined"] == ""
    line.train_loss[40] = np.nan
    assert summary.between([line]).iloc[0]["undefined"].startswith("barrier (train loss): ")
    texts = written(tmp_path, [surface("b"), line])
    assert "## Between runs" in texts["md"] and texts["tex"].count(r"\toprule") == 3


def test_paths_of_trainings(tmp_path: Path) -> None:
    columns = {
        "step_norm": [np.nan, 3, 4],
        "distance": [0.5, 0.7, 0],
        "projected_loss": [2, 1, 0],
        "saved_loss": [3, 1, 0],
    }
    shares = {"share": [0.7, 0.2], "random_walk_share": [0.6, 0.15], "expected_share": [np.nan, np.nan]}
    walked = xr.Dataset(
        {name: ("epoch", values) for name, values in columns.items()} | {k: ("axis", v) for k, v in shares.items()},
        {"epoch": [0, 1, 2], "axis": ["alpha", "beta"]},
        {"run": "a", "plane": "path", "spec": json.dumps({"directions": "pca"})},
    )
    row = summary.trajectories([walked]).iloc[0]
    assert (row["kept epochs"], row["length"], row["farthest from the plane"]) == (3, 7, 0.7)
    assert row["share of alpha (%)"] == pytest.approx(70) and row["random walk, beta (%)"] == pytest.approx(15)
    assert (row["loss at the start, on the plane"], row["loss at the start, as saved"]) == (2, 3)
    assert "70.0 (random walk 60.0)" in written(tmp_path, walked=[walked])["md"]


def test_a_width_that_reaches_the_border_is_a_lower_bound(tmp_path: Path) -> None:
    wide = surface("b", 31)
    wide["train_loss"] = 0.01 + 0.4 * (wide.alpha**2 + wide.beta**2)
    markdown = written(tmp_path, surfaces=[wide])["md"]
    row = next(text for text in markdown.splitlines() if text.startswith("| b "))
    area = float(row.split("|")[6].strip().removeprefix("> "))
    assert row.split("|")[6].strip().startswith("> ") and 2.1 < area < 2.24  # a disk of radius 1.12, cut by the plane
