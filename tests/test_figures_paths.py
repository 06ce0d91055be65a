"""Figures of paths, rings and sharpness, and places marked on a plane, by their structure; never by their pixels."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xarray as xr
from matplotlib.collections import PathCollection
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text

from landscape import figures, geometry
from landscape.errors import InputError
from landscape.figures.kinds import rings, sharpness
from landscape.figures.kinds.contours import Contours
from landscape.figures.kinds.rings import Rings
from landscape.figures.kinds.sharpness import Sharpness
from landscape.figures.kinds.trajectories import Trajectories
from landscape.figures.shared import labels, paths, words
from landscape.measures import plane_of

from members import assert_texts_apart, inside, member, published, spec, texts


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
    drawing = figures.render(spec(Contours, runs=("net",), plane="contour", marks=("on", "off@005", "away")), [of])
    ax = drawing.figure.axes[0]
    symbols = {line.get_label(): line for line in ax.lines if not str(line.get_label()).startswith("_")}
    assert {name: np.ravel(line.get_xydata()).tolist() for name, line in symbols.items()} == {
        "on": [0.5, 0],
        "off@005": [-0.2, 0.3],
    }
    assert symbols["on"].get_marker() != symbols["off@005"].get_marker()
    assert [text.get_text() for text in inside(ax) if isinstance(text, Annotation)] == ["on", "off@005, 4.1 off"]
    assert "away at (2, \N{MINUS SIGN}1), 3 off the plane" in drawing.caption
    assert "States outside the grid have no symbol." in drawing.caption
    rows = drawing.numbers.dropna(subset="marked").set_index("marked")
    assert rows.loc["away", ["alpha", "beta", "distance", "distance_to_centre"]].tolist() == [2, -1, 3, 30]
    assert "off\\@005 at (\N{MINUS SIGN}0.2, 0.3), 4.1 off the plane and 12 from the centre" in drawing.caption
    assert "Euclidean, over all parameters" in drawing.caption


def test_without_marks_nothing_is_said_of_them() -> None:
    drawing = figures.render(spec(Contours, runs=("net",), plane="contour"), [member("net")])
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


def path(
    kind: str = "pca",
    points: tuple[tuple[float, float], ...] = ((1, 0.2), (0.6, -0.3), (0.2, -0.2), (0.05, 0), (0.02, 0.01), (0, 0)),
    every: int = 2,
    **spec: Any,
) -> xr.Dataset:
    """A trajectory whose kept epochs lie at these points."""
    of_plane = plane_of({"directions": kind, **({} if kind == "pca" else {"beta": (-1, 1, 5)}), **spec})
    columns = dict(zip(("alpha", "beta"), np.array(points, float).T, strict=True))
    loss = np.geomspace(2, 0.01, len(points))
    columns |= {"projected_loss": loss / 2, "weights_loss": loss, "saved_loss": 2 * loss}
    columns |= {name: np.ones(len(points)) for name in ("distance", "distance_to_end", "step_norm")}
    by_chance = {"pca": ([0.61, 0.15], [np.nan] * 2), "start": ([np.nan] * 2, [np.nan, 1e-4])}
    walk, expected = by_chance.get(kind, ([np.nan] * 2, [1e-4] * 2))
    shares = {"share": [0.72, 0.061], "random_walk_share": walk, "expected_share": expected}
    attrs = {"state": "net", "run": "net", "plane": kind, "spec": json.dumps(of_plane.in_full()), "cosine": -0.03}
    return xr.Dataset(
        {name: ("epoch", v) for name, v in columns.items()} | {name: ("axis", v) for name, v in shares.items()},
        {"epoch": np.arange(len(points)) * every, "axis": ["alpha", "beta"]},
        attrs | {"parameters": 10000, "precision": "fp32"},
    )


def walker(kind: str = "pca", surface: bool = True, **more: Any) -> figures.Member:
    """A member with a path; the learning rate of its run falls after epoch 5."""
    on = member("net", alpha=(-0.4, 1.2, 17), beta=(-1, 1, 21), named=kind, directions=kind)
    return replace(on, surface=on.surface if surface else None, trajectory=path(kind, **more))


def draw_paths(members: list[figures.Member], **keys: Any) -> figures.Drawing:
    planes = tuple(str(m.plane) for m in members)
    return figures.render(spec(Trajectories, runs=("net",), planes=planes, **keys), members)


def test_a_path_has_its_dots_start_end_and_colours_by_epoch() -> None:
    drawing = draw_paths([walker()])
    ax = drawing.figure.axes[0]
    dots = next(c for c in ax.collections if isinstance(c, PathCollection))
    np.testing.assert_allclose(np.asarray(dots.get_offsets()), paths.points_of(path()))
    np.testing.assert_array_equal(dots.get_array(), np.arange(6) * 2)
    assert (dots.norm.vmin, dots.norm.vmax) == (0, 10)
    symbols = {line.get_label(): np.ravel(line.get_xydata()).tolist() for line in ax.lines}
    assert symbols["start"] == [1, 0.2] and symbols["end"] == [0, 0]


def test_diamonds_stand_at_the_last_kept_epoch_before_the_rate_falls_with_its_number() -> None:
    ax = draw_paths([walker()]).figure.axes[0]
    assert paths.drops(walker().history, path()) == {5: 4}
    falls = next(line for line in ax.lines if line.get_label() == "falls")
    assert np.ravel(falls.get_xydata()).tolist() == [0.2, -0.2] and falls.get_marker() == "D"
    assert [text.get_text() for text in inside(ax) if isinstance(text, Annotation)] == ["5"]
    assert "not kept stands at the last kept one" in draw_paths([walker()]).caption


def test_a_smooth_schedule_has_no_diamonds() -> None:
    smooth = replace(walker(), history=member("net", recipe={"schedule": "cosine"}).history)
    assert paths.drops(smooth.history, path()) == {}
    drawing = draw_paths([smooth])
    assert "diamond" not in drawing.caption
    entries = [text.get_text() for text in drawing.figure.legends[0].get_texts()]
    assert entries == ["start", "end", "on the plane", "weights alone", "as saved"]


@pytest.mark.parametrize(
    ("kind", "labels"),
    [
        ("pca", ["PC1 72 % (random walk 61 %)", "PC2 6.1 % (random walk 15 %)"]),
        ("random", ["alpha 72 % (expected 0.01 %)", "beta 6.1 % (expected 0.01 %)"]),
        ("start", ["to the start 72 %", "random 6.1 % (expected 0.01 %)"]),
    ],
)
def test_axes_say_the_share_of_the_path_and_that_of_chance(kind: str, labels: list[str]) -> None:
    drawing = draw_paths([walker(kind)])
    ax = drawing.figure.axes[0]
    said = [label.replace("\n", " ").replace("\N{NO-BREAK SPACE}", " ") for label in (ax.get_xlabel(), ax.get_ylabel())]
    assert said == labels
    assert ("cosine of the directions \N{MINUS SIGN}0.03" in drawing.caption) == (kind != "pca")


def test_a_plane_that_is_not_centred_says_what_its_shares_are_of() -> None:
    drawing = draw_paths([walker(centred=False)])
    assert "that of the squared distance to the end" in drawing.caption


def test_the_view_of_equal_scales_holds_grid_and_path_at_one_scale() -> None:
    far = walker(points=((3, 0.2), (1, 0), (0, 0)))
    drawing = draw_paths([far])
    ax = drawing.figure.axes[0]
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    assert left <= -0.4 + 1e-9 and right > 3 and bottom <= -1 and top >= 1
    w, h = ax.get_position().size * drawing.figure.get_size_inches()
    assert (right - left) / w == pytest.approx((top - bottom) / h, rel=1e-4)
    assert "1 of 3 epochs outside the grid" in drawing.caption
    assert ax.get_title() == "net \N{DAGGER}"


def test_the_auto_scale_fits_each_axis_to_the_path() -> None:
    drawing = draw_paths([walker("random", points=((0.01, 0.5), (0, 0)))], scales=("equal", "auto"))
    equal, auto = drawing.figure.axes[:2]
    assert np.ptp(equal.get_ylim()) >= 2
    assert auto.get_xlim() == pytest.approx((-0.0008, 0.0108)) and auto.get_ylim() == pytest.approx((-0.04, 0.54))
    assert "level lines at auto scale from 0.1 x 5.8 cells" in drawing.caption


def test_the_strip_has_three_losses_on_one_logarithmic_axis() -> None:
    members = [walker(), walker("start")]
    figure = draw_paths(members).figure
    strips = [ax for ax in figure.axes if ax.get_yscale() == "log"]
    assert len(strips) == 2 and strips[0].get_ylim() == strips[1].get_ylim()
    curves = {line.get_label(): line for line in strips[0].lines}
    for name in ("projected_loss", "weights_loss", "saved_loss"):
        np.testing.assert_allclose(np.asarray(curves[name].get_ydata()), path()[name])
    assert strips[0].get_xlim() == (0, 10)
    assert not [ax for ax in draw_paths(members, losses=False).figure.axes if ax.get_yscale() == "log"]


def test_losses_that_are_not_finite_are_counted() -> None:
    broken_path = walker()
    assert broken_path.trajectory is not None
    broken_path.trajectory["projected_loss"][0] = np.nan
    broken_path.trajectory["saved_loss"][0] = 1e6
    drawing = draw_paths([broken_path])
    assert "1 losses not finite, 1 losses above 1,000" in drawing.caption


def test_paths_are_drawn_without_a_surface_too() -> None:
    drawing = draw_paths([walker(surface=False)], contours=False)
    assert not [c for c in drawing.figure.axes[0].collections if hasattr(c, "levels")]
    assert "level lines" not in drawing.caption and "train loss" in texts(drawing.figure)
    assert len(drawing.numbers) == 6


def test_numbers_of_a_path_are_its_epochs_and_its_surface() -> None:
    numbers = draw_paths([walker()]).numbers
    assert len(numbers) == 6 + 17 * 21
    np.testing.assert_array_equal(numbers.epoch.dropna(), np.arange(6) * 2)
    np.testing.assert_allclose(numbers.saved_loss.dropna(), path().saved_loss)
    assert numbers.train_loss.notna().sum() == 17 * 21


def test_a_path_needs_a_plane() -> None:
    line = replace(walker("start", beta=None), surface=None)
    with pytest.raises(InputError, match=r"'start' has one direction, and draw: trajectories needs two"):
        draw_paths([line], contours=False)


def dent(height: float, width: float = 1.0) -> Any:
    """A loss `height` / `width`^2 times the squared distance from the centre, and a second, separate minimum."""

    def loss(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        here = height * (a**2 + b**2) / width**2
        there = 0.02 + height * ((a - 0.8) ** 2 + (b - 0.8) ** 2) / width**2
        return 0.01 + np.minimum(here, there)

    return loss


def on_planes(run: str, widths: tuple[float, ...], size: int = 81, **more: Any) -> list[figures.Member]:
    """A run on a plane per width; its loss rises by 0.5 at half of it."""
    grid: Any = {"alpha": (-1, 1, size), "beta": (-1, 1, size)}
    return [member(run, dent(2, w), named=f"contour-s{k}", **grid, **more) for k, w in enumerate(widths)]


def ring_spec(members: list[figures.Member], **more: Any) -> Any:
    return spec(Rings, runs=("net",), planes=tuple(str(m.plane) for m in members), **more)


def test_a_ring_is_the_level_line_around_the_centre_alone() -> None:
    members = on_planes("net", (0.6, 0.5, 0.4))
    drawing = figures.render(ring_spec(members), members)
    ax = drawing.figure.axes[0]
    lines = [np.asarray(line.get_xydata()) for line in ax.lines[:-1]]
    for line, radius in zip(lines, (0.3, 0.25, 0.2), strict=True):
        np.testing.assert_allclose(np.hypot(*line.T), radius, atol=0.003)
    assert len({str(line.get_color()) for line in ax.lines[:-1]}) == 3
    assert np.ravel(ax.lines[-1].get_xydata()).tolist() == [0, 0]
    assert ax.get_xlim() == ax.get_ylim() == pytest.approx((-0.324, 0.324), abs=0.001)
    areas = drawing.numbers.groupby("plane").area.first().to_numpy()
    np.testing.assert_allclose(areas, np.pi * np.array([0.3, 0.25, 0.2]) ** 2, rtol=0.01)
    assert "median 0.2 (0.13 to 0.28)" in texts(drawing.figure).replace("\n", " ").replace("\N{NO-BREAK SPACE}", " ")


def test_seeds_share_a_panel_and_panels_share_their_limits() -> None:
    members = [m for seed in (1, 2) for m in on_planes(f"net-seed{seed}", (0.6, 0.5), recipe={"seed": seed})]
    members += on_planes("other", (0.3,), recipe={"batch_size": 512})
    apart = figures.render(ring_spec(members), members).figure
    together = figures.render(ring_spec(members, over="seed", rises=(0.5, 0.1)), members).figure
    assert [len(ax.lines) - 1 for ax in apart.axes] == [2, 2, 1]
    assert [len(ax.lines) - 1 for ax in together.axes] == [8, 2]
    assert len({ax.get_xlim() for ax in together.axes}) == 1
    assert {line.get_linestyle() for line in together.axes[1].lines[:2]} == {"-", "--"}
    assert [text.get_text() for text in together.legends[0].get_texts()] == [
        "0.5 above the centre",
        "0.1 above the centre",
    ]


def test_a_ring_ends_where_the_grid_does() -> None:
    wide = member("net", lambda a, b: 0.01 + 0.2 * a**2 + 2 * b**2, alpha=(-1, 1, 41), beta=(-1, 1, 41))
    found = rings.ring(wide, 0.5)
    assert found.part is not None and found.part.touches_border
    steps = np.diff(found.line, axis=0)
    along_edge = (np.abs(found.line[:-1, 0]) == 1) & (steps[:, 0] == 0)
    assert not along_edge.any() and np.isnan(found.line).any()
    drawing = figures.render(ring_spec([wide]), [wide])
    assert "1 of 1 rings at 0.5 cut off by the border" in drawing.caption
    assert drawing.figure.axes[0].get_title() == "net \N{DAGGER}"
    assert "and more" in drawing.caption


def test_what_has_no_ring_or_too_small_a_one_is_counted() -> None:
    members = on_planes("net", (0.6, 0.1))
    members.append(member("net", lambda a, b: np.where(a**2 + b**2 < 1e-6, np.nan, a**2), named="hole"))
    drawing = figures.render(ring_spec(members), members)
    said = drawing.caption
    assert "1 of 3 rings at 0.5 without a centre" in said and "1 of 3 rings at 0.5 under 6 cells across" in said
    assert "hole none" in drawing.caption


def networks(images: int = 10000) -> list[figures.Member]:
    """Six runs of five networks on two planes; the narrower, the larger the test error."""
    recipes: list[dict[str, Any]] = [
        {"network": "resnet20"},
        {"network": "resnet56"},
        {"network": "resnet56-noshort"},
        {"network": "vgg9"},
        {"network": "vgg9", "weight_decay": 0.0},
        {"network": "vgg9", "seed": 4},
    ]
    found = []
    for k, (recipe, rank) in enumerate(zip(recipes, (0, 1, 2, 3, 4, 3), strict=True)):
        width, accuracy = 0.8 - 0.07 * rank, 0.92 - 0.03 * rank
        of = on_planes(f"net{k}", (width - 0.02, width + 0.02), 31, final=(0.01, accuracy / 0.95), recipe=recipe)
        found += [replace(m, history=m.history.assign_attrs(test_examples=images)) for m in of]
    return found


def sharpness_of(members: list[figures.Member], number: str = "width_rise_0.5") -> figures.Drawing:
    planes = tuple(dict.fromkeys(str(m.plane) for m in members))
    return figures.render(spec(Sharpness, runs=("net",), planes=planes, number=number), members)


def test_sharpness_has_a_point_per_run_with_bars_in_both_axes() -> None:
    members = networks()
    drawing = sharpness_of(members)
    ax = drawing.figure.axes[0]
    bars = [c for c in ax.containers if isinstance(c, ErrorbarContainer)]
    assert len(bars) == 6
    values = [geometry.numbers(m.seen)["width_rise_0.5"] for m in members[:2]]
    point = np.asarray(bars[0].lines[0].get_xydata())[0]
    assert point == pytest.approx([np.mean(values), 8.0])
    across, up = (c.get_segments()[0] for c in bars[0].lines[2])
    assert sorted(across[:, 0]) == pytest.approx(sorted(values))
    assert up[:, 1] == pytest.approx(100 * np.array(geometry.wilson(800, 10000)))
    assert ax.get_xlabel().startswith("width within 0.5 of the centre")
    markers = [bar.lines[0].get_marker() for bar in bars]
    assert markers == ["o", "o", "o", "s", "s", "s"]
    colours = [str(bar.lines[0].get_markerfacecolor()) for bar in bars]
    assert colours[1] == colours[2] != colours[0] and colours[3] == "0.6"
    assert drawing.numbers["width_rise_0.5"][:2].tolist() == values


def test_sharpness_joins_runs_that_differ_in_one_factor_but_the_seed() -> None:
    members = networks()
    points = [sharpness.point_of(tuple(members[k : k + 2]), "width_rise_0.5") for k in range(0, 12, 2)]
    assert sharpness.joined(points) == [(0, 1), (1, 2), (3, 4)]
    lines = [line for line in sharpness_of(members).figure.axes[0].lines if line.get_color() == "0.75"]
    assert len(lines) == 3


def test_sharpness_compares_networks_only_on_enough_test_examples() -> None:
    few, many = (texts(sharpness_of(networks(images)).figure).replace("\n", " ") for images in (297, 10000))
    assert "not tested: 297 test examples are too few" in few and "tau" not in few
    assert "tau 1.00" in many and "5 networks" in many


def test_sharpness_says_what_is_left_out_and_marks_what_is_a_bound() -> None:
    members = networks()
    far = members[:8] + on_planes("fit", (0.5,), 31, final=(0.3, 0.9), recipe={"epochs": 7})
    far += on_planes("tiny", (0.05,), 31, final=(0.01, 0.9))
    drawing = sharpness_of([replace(m, history=m.history.assign_attrs(test_examples=5000)) for m in far])
    assert "4 pairs (train losses more than 10 times apart)" in drawing.caption
    assert not drawing.figure.axes[0].get_title().endswith("\N{DAGGER}")
    assert "A black arrow marks a bound" in drawing.caption and "at most 0.451" in drawing.caption
    tiny = drawing.numbers[drawing.numbers["member"] == "tiny"].iloc[0]
    assert (tiny["bound"], tiny["width_rise_0.5"]) == (-1, pytest.approx(6 * 2 / 30 * 2 / np.sqrt(np.pi)))
    arrows = [line for line in drawing.figure.axes[0].lines if line.get_marker() == "<"]
    assert len(arrows) == 1
    lost = on_planes("lost", (0.5,), 31, final=(2.2, 0.2), recipe={"epochs": 7})
    whole = [replace(m, history=m.history.assign_attrs(test_examples=5000)) for m in members + lost]
    assert "left out: 5 pairs (one did not train)" in sharpness_of(whole).caption


def test_sharpness_that_is_nowhere_defined_has_no_points_and_says_so() -> None:
    drawing = sharpness_of(on_planes("net", (0.5,), 30))  # no grid point at the centre
    assert not drawing.figure.axes[0].containers
    assert "not tested: no network has both a number and a test error" in texts(drawing.figure).replace("\n", " ")
    assert "Not drawn, since the number is not defined: net." in drawing.caption
    assert drawing.figure.axes[0].get_title().endswith(" \N{DAGGER}")
    assert drawing.numbers["width_rise_0.5"].isna().all()


def test_sharpness_needs_a_number_of_geometry_and_a_test_error() -> None:
    with pytest.raises(InputError, match=r"the number 'size' is none of geometry's; width_"):
        sharpness_of(networks(), "size")
    with pytest.raises(InputError, match="net has no test split"):
        sharpness_of(on_planes("net", (0.5,), 31, test=False))


def each_kind() -> list[tuple[Any, list[figures.Member]]]:
    walkers, many = [walker(), walker("random"), walker("start")], on_planes("a_b.c-d", (0.6, 0.5))
    three = tuple(str(m.plane) for m in walkers)
    return [
        (spec(Trajectories, runs=("net",), planes=three, scales=("auto", "equal"), about="*a*"), walkers),
        (spec(Trajectories, runs=("net",), planes=("pca",), title="A title with $ and _"), walkers[:1]),
        (ring_spec(many, rises=(0.1, 0.5), about="`b_"), many),
        (spec(Sharpness, runs=("net",), planes=("contour-s0",), about="|c| <d>"), networks()),
        (spec(Contours, runs=("net",), plane="contour", marks=("on",)), [replace(member("net"), marks=MARKS)]),
    ]


@pytest.mark.parametrize("kind", range(5))
def test_texts_keep_inside_the_figure_and_captions_are_valid(kind: int) -> None:
    of_kind, members = each_kind()[kind]
    drawing = figures.render(of_kind, members)
    figure: Any = drawing.figure
    assert_texts_apart(figure)
    boxes = [Text.get_window_extent(text) for ax in figure.axes for text in inside(ax)]
    assert not any(a.overlaps(b) for k, a in enumerate(boxes) for b in boxes[:k])
    tree = published(drawing.caption)
    if of_kind.about:
        assert tree[0].astext() == of_kind.about


def test_the_cosine_is_said_of_directions_that_may_lean() -> None:
    for kind, said in (("random", ["cosine of the directions \N{MINUS SIGN}0.03"]), ("pca", [])):
        assert words.cosine(path(kind)) == said
    assert words.cosine(member("net").seen) == []


def test_epochs_that_are_not_finite_are_left_out_and_a_path_of_none_is_refused() -> None:
    torn = draw_paths([walker(points=((1, 0.2), (np.nan, 0), (np.nan, 0), (0.1, 0.1), (0, 0)))])
    ax = torn.figure.axes[0]
    assert np.isfinite([ax.get_xlim(), ax.get_ylim()]).all()
    assert not [text for text in inside(ax) if isinstance(text, Annotation)]  # the rate falls where it is not finite
    assert "2 epochs with no place, since weights are not finite" in torn.caption
    with pytest.raises(InputError, match="the path of net has no finite point: its training diverged"):
        draw_paths([walker(points=((np.nan, 0), (np.nan, 0)))])
