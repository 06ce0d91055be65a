"""Figures of paths, rings and sharpness, and places marked on a plane, by their structure; never by their pixels."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text

from landscape import figures
from landscape.config.schema import Contours
from landscape.figures import labels, words

from members import member, spec, texts


def test_planes_through_places_and_along_paths_say_their_unit() -> None:
    through = member("net", directions="through", runs=["other", "third"]).seen
    assert words.axis(through, "beta") == "beta (1 = the distance to other)"
    assert words.units(through) == "alpha, beta: 1 = the distance to other"
    assert words.unit(member("net", directions="pca").seen) == "1 = the path's largest coordinate"
    start = member("net", directions="start").seen
    assert words.units(start) == "alpha: 0 = the run, 1 = its initial weights; beta: 1 = 100 % of each filter's norm"


@pytest.mark.parametrize(
    ("plane", "said"),
    [
        ({"directions": "through", "runs": ["a", "b"]}, "goes through the run, a and b; its axes are orthogonal"),
        ({"directions": "through", "runs": ["a"]}, "a lies at (1, 0); beta is random (seed 1)."),
        ({"directions": "through", "runs": ["a"], "beta": None}, "The line goes through the run and a"),
        ({"directions": "pca"}, "taken as differences to its end and centred"),
        ({"directions": "pca", "centred": False}, "and not centred"),
        ({"directions": "start"}, "own initial weights, beta is a random Gaussian one (seed 1), every filter"),
        ({"directions": "start", "beta": None}, "alpha leads to the run's own initial weights."),
    ],
)
def test_captions_say_how_a_plane_was_laid(plane: dict[str, Any], said: str) -> None:
    assert said in words.surface_made([member("net", **plane)])[0]


def mark(name: str, alpha: float, beta: float, distance: float, to_centre: float) -> xr.Dataset:
    attrs = {"state": "net", "run": "net", "plane": "contour", "marked": name, "measured_over": "all parameters"}
    columns = {"alpha": alpha, "beta": beta, "distance": distance, "distance_to_centre": to_centre}
    return xr.Dataset(columns, attrs=attrs)


MARKS = (mark("on", 0.5, 0.0, 0.01, 12), mark("off@005", -0.2, 0.3, 4.1, 12), mark("away", 2, -1, 3, 30))


def test_marks_stand_at_their_place_with_their_distance_and_those_outside_in_a_note() -> None:
    of = replace(member("net"), marks=MARKS)
    drawing = figures.draw(spec(Contours, runs=("net",), plane="contour", marks=("on", "off@005", "away")), [of])
    ax = drawing.figure.axes[0]
    symbols = {line.get_label(): line for line in ax.lines if not str(line.get_label()).startswith("_")}
    assert {name: np.ravel(line.get_xydata()).tolist() for name, line in symbols.items()} == {
        "on": [0.5, 0],
        "off@005": [-0.2, 0.3],
    }
    assert symbols["on"].get_marker() != symbols["off@005"].get_marker()
    assert [text.get_text() for text in ax.texts if isinstance(text, Annotation)] == ["on", "off@005, 4.1 off"]
    assert "outside: away at (2, \N{MINUS SIGN}1), 3 off" in texts(drawing.figure).replace("\n", " ")
    rows = drawing.numbers.dropna(subset="marked").set_index("marked")
    assert rows.loc["away", ["alpha", "beta", "distance", "distance_to_centre"]].tolist() == [2, -1, 3, 30]
    assert "off@005 at (\N{MINUS SIGN}0.2, 0.3), 4.1 off the plane and 12 from the centre" in drawing.caption
    assert "Euclidean, over all parameters" in drawing.caption


def test_without_marks_nothing_is_said_of_them() -> None:
    drawing = figures.draw(spec(Contours, runs=("net",), plane="contour"), [member("net")])
    assert "symbol" not in drawing.caption and "marked" not in drawing.numbers


def test_labels_keep_inside_the_axes_and_off_each_other() -> None:
    figure = Figure(figsize=(2, 2))
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, 1), ylim=(0, 1))
    points = np.array([[0.01, 0.99], [0.03, 0.97], [0.99, 0.5], [0.5, 0.5]])
    drawn_labels = labels.annotate(ax, points, ["first of all", "second", "third", "4"], avoid=points, color="black")
    figure.draw_without_rendering()
    boxes = [Text.get_window_extent(label) for label in drawn_labels]
    assert all(ax.bbox.x0 <= b.x0 and b.x1 <= ax.bbox.x1 and ax.bbox.y0 <= b.y0 and b.y1 <= ax.bbox.y1 for b in boxes)
    assert not any(a.overlaps(b) for k, a in enumerate(boxes) for b in boxes[:k])
    assert not any(box.contains(*ax.transData.transform(point)) for box in boxes for point in points)
