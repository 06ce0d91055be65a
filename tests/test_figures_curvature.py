"""What figures of curvature draw, by its structure: values, scales, places, words; never by its pixels."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.quiver import Quiver

from landscape import figures, geometry
from landscape.errors import InputError
from landscape.figures.kinds import gradients
from landscape.figures.kinds.curvature import Curvature
from landscape.figures.kinds.gradients import Gradients

from curved_surfaces import chaotic, curved, double_well, valley
from members import assert_texts_apart, drawn, member, published, spec

GRID: dict[str, Any] = {"alpha": (-1, 1, 9), "beta": (-1, 1, 7)}
STUCK = ((3, 4), (0, 0))


def runs_of(members: Sequence[figures.Member]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each.state for each in members))


def map_spec(members: Sequence[figures.Member], **more: Any) -> Any:
    return spec(Curvature, plane="contour", runs=runs_of(members), **more)


def gradient_spec(members: Sequence[figures.Member], **more: Any) -> Any:
    return spec(Gradients, plane="contour", runs=runs_of(members), **more)


def pair(**more: Any) -> list[figures.Member]:
    return [curved("short", **GRID, **more), curved("a_b@003", chaotic, not_converged=STUCK, **GRID, **more)]


def every_kind() -> list[tuple[Any, list[figures.Member]]]:
    odd = [curved(f"net{k}", double_well, **GRID) for k in range(5)]
    holes = [curved("net", lambda a, b: np.where(a > 0.7, np.nan, chaotic(a, b)), **GRID)]
    return [
        (map_spec(pair(), title="A title with $ and _", about="*Mine*: see `this`_"), pair()),
        (map_spec(odd), odd),
        (map_spec(holes, ratio="plain"), holes),
        (gradient_spec(pair(), about="- a"), pair()),
        (gradient_spec(odd[:3]), odd[:3]),
        (gradient_spec(holes), holes),
    ]


@pytest.mark.parametrize("kind", range(6))
def test_words_are_valid_and_leave_neither_figure_nor_each_other(kind: int) -> None:
    of_kind, members = every_kind()[kind]
    drawing = figures.render(of_kind, members)
    assert_texts_apart(drawing.figure)
    said = published(drawing.caption).astext()
    assert all(each.label in said for each in members)
    if of_kind.about:
        assert said.startswith(of_kind.about)


def test_saving_gives_equal_bytes(tmp_path: Path) -> None:
    for kind in (0, 5):
        of_kind, members = every_kind()[kind]
        for folder in ("first", "second"):
            figures.save(figures.render(of_kind, members), tmp_path / folder / "map.pdf")
        for suffix in ("pdf", "png", "csv", "rst"):
            first, second = (tmp_path / folder / f"map.{suffix}" for folder in ("first", "second"))
            assert first.read_bytes() == second.read_bytes()


def only(ax: Axes, kind: type) -> Any:
    (found,) = (each for each in ax.collections if isinstance(each, kind))
    return found


def pixels(ax: Axes) -> np.ndarray:
    """What a map shows, shape (beta, alpha); NaN where nothing."""
    return np.ma.filled(only(ax, QuadMesh).get_array().reshape(7, 9), np.nan)


def test_the_map_shows_the_ratio_at_its_place_unsmoothed() -> None:
    members = pair()
    axes = drawn(map_spec(members), members).axes
    for ax, each in zip(axes[:2], members, strict=True):
        shown = only(ax, QuadMesh)
        assert pixels(ax) == pytest.approx(each.seen.eigenvalue_ratio.values.T)
        assert (shown.norm.vmin, shown.norm.vmax) == (1e-3, 1)
        corners = np.asarray(shown.get_coordinates())
        assert (corners[:-1, :-1] + corners[1:, 1:])[2, 5] / 2 == pytest.approx([0.25, -1 / 3])
        assert ax.get_xlim() == (-1, 1) and ax.get_ylim() == (-1, 1)
    assert pixels(axes[5]) == pytest.approx(geometry.slice_ratio(members[1].seen).T.clip(1e-12), nan_ok=True)
    plain = drawn(map_spec(members, ratio="plain"), members).axes[0]
    assert pixels(plain) == pytest.approx(members[0].seen.eigenvalue_ratio_plain.values.T)


def test_points_that_are_not_converged_are_seen_and_counted() -> None:
    members = pair()
    drawing = figures.render(map_spec(members), members)
    figure: Any = drawing.figure
    seen = [line for line in figure.axes[1].lines if line.get_marker() == "o"]
    places = {(round(x, 6), round(y, 6)) for line in seen for x, y in line.get_xydata()}
    assert places == {(-0.25, round(1 / 3, 6)), (-1, -1)}
    assert "2 of 63 points not converged" in drawing.caption and "no points not converged" in drawing.caption
    assert [text.get_text() for text in figure.legends[0].texts] == ["not converged"]
    assert not drawn(map_spec(members[:1]), members[:1]).legends


def test_a_finer_plane_gives_the_level_lines() -> None:
    members = [curved("net", **GRID), member("net", valley, alpha=(-1, 1, 41), beta=(-1, 1, 41), named="fine")]
    drawing = figures.render(map_spec(members, contours="fine"), members)
    figure: Any = drawing.figure
    rings = [each for each in figure.axes[1].collections if len(getattr(each, "levels", ())) == 10]
    assert max(len(segment) for segments in rings[0].allsegs for segment in segments) > 60
    assert "here of the plane fine" in drawing.caption and "41 x 41 points" in drawing.caption
    assert set(drawing.numbers["plane"]) == {"contour", "fine"}
    assert drawing.numbers["eigenvalue_ratio"].notna().sum() == 63


def test_the_caption_tells_images_tolerance_residuals_and_drift() -> None:
    members = [curved("net", examples=256, **GRID)]
    said = published(figures.render(map_spec(members), members).caption).astext()
    assert "1,500 training examples" in said and "precision fp32" in said
    assert "at most 1 % of it and that of lambda_min at most 1 % of it or 0.1 % of lambda_max" in said
    assert "residuals of at most 0.4 % (lambda_max)" in said
    surface = members[0].seen
    lower = 100 * float((0.02 * np.abs(surface.eigenvalue_min) / surface.eigenvalue_max).max())
    assert f"probability of 90 % at each point, no eigenvalue lies below lambda_min by more than {lower:.2g} %" in said
    assert "On 1,024 examples" in said and "lambda_max by −8 to −8 %" in said and "lambda_min by −20 to −20 %" in said


def test_planes_that_hold_too_little_are_refused() -> None:
    line = [curved("net", alpha=(-1, 1, 9), beta=None)]
    plain, steep = [member("net")], [curved("net", measure="gradients", **GRID)]
    for of_kind in (map_spec, gradient_spec):
        with pytest.raises(InputError, match="needs at least 2 on each axis"):
            figures.render(of_kind(line), line)
    with pytest.raises(InputError, match="holds no eigenvalues, and draw: curvature needs"):
        figures.render(map_spec(steep), steep)
    seen = curved("net", **GRID)
    old = [dataclasses.replace(seen, surface=seen.seen.drop_vars(["bound_min", "bound_max"]))]
    with pytest.raises(InputError, match="the surface of net on contour was measured by an earlier version"):
        figures.render(map_spec(old), old)
    with pytest.raises(InputError, match="holds no gradients, and draw: gradients needs"):
        figures.render(gradient_spec(plain), plain)


def test_arrows_lead_down_in_the_metric_of_the_plane() -> None:
    surface = curved("net", valley, norms=(10.0, 30.0), cosine=0.4, **GRID).seen
    down = gradients.descent(surface)
    gram = np.array([[100, 120], [120, 900]])
    gradient = np.stack([surface.gradient_alpha.values, surface.gradient_beta.values], -1)
    assert np.einsum("ij,...j", gram, down) == pytest.approx(-gradient)
    at = 6, 1
    angles = 2 * np.pi * np.arange(720) / 720
    steps = np.stack([np.cos(angles), np.sin(angles)], -1)
    steps /= np.sqrt(np.einsum("ki,ij,kj->k", steps, gram, steps))[:, None]
    best = steps[(steps @ gradient[at]).argmin()]
    assert down[at] / np.linalg.norm(down[at]) == pytest.approx(best / np.linalg.norm(best), abs=0.01)


def test_arrows_are_of_one_length_and_coloured_by_where_they_point() -> None:
    members = [curved("net", chaotic, alpha=(-1, 1, 31), beta=(-1, 1, 31))]
    ax = drawn(gradient_spec(members), members).axes[0]
    found = only(ax, Quiver)
    assert found.N == 11 * 11 - 1  # every third point, but for the centre
    assert np.hypot(found.U, found.V) == pytest.approx(1)
    surface = members[0].seen
    nearest = [
        float(surface.gradient_towards_centre.sel(alpha=x, beta=y, method="nearest")) for x, y in found.get_offsets()
    ]
    assert np.asarray(found.get_array()) == pytest.approx(np.array(nearest))


def test_stationary_points_are_marked_named_and_listed() -> None:
    members = [curved("net", double_well, measure="gradients", alpha=(-1, 1, 21), beta=(-1, 1, 21))]
    drawing = figures.render(gradient_spec(members), members)
    figure: Any = drawing.figure
    assert [text.get_text() for text in figure.legends[0].texts] == ["slice minimum", "saddle"]
    marked = {line.get_label(): line.get_xydata() for line in figure.axes[0].lines if "m" in str(line.get_label())}
    assert marked["slice minimum"] == pytest.approx(np.array([[0.5, 0]]), abs=0.01)
    rows = drawing.numbers[drawing.numbers["kind"].notna()]
    assert list(rows["kind"]) == ["slice minimum", "saddle", "slice minimum"]
    assert "2 x slice minimum" in drawing.caption and "1 x saddle" in drawing.caption


def test_neighbours_are_averaged_over_the_axes_that_go_on() -> None:
    surface = xr.Dataset(
        {
            "gradient_cosine_alpha": (("alpha", "beta"), [[0.2, 0.4], [np.nan, np.nan]]),
            "gradient_cosine_beta": (("alpha", "beta"), [[0.6, np.nan], [0.8, np.nan]]),
        }
    )
    expected = np.array([[0.4, 0.4], [0.8, np.nan]])
    assert gradients.between_neighbours(surface) == pytest.approx(expected, nan_ok=True)


def test_the_norms_share_a_scale_of_four_decades_at_most() -> None:
    norms = [curved("a", valley, **GRID).seen, curved("b", valley, **GRID).seen]
    norms[1] = norms[1].assign(gradient_norm=1e5 * norms[1].gradient_norm)
    scale = gradients.norm_scale(norms)
    assert scale.vmin is not None and scale.vmax is not None and scale.vmax == pytest.approx(1e4 * scale.vmin)
    values = np.concatenate([norm.gradient_norm.values.ravel() for norm in norms])
    ends = np.quantile(values[values > 0], [0.05, 0.95])
    assert scale.vmin * scale.vmax == pytest.approx(np.prod(ends))  # in the middle of nine tenths of the values
    narrow = norms[0].assign(gradient_norm=0.5 + norms[0].gradient_norm / norms[0].gradient_norm.max())
    one = gradients.norm_scale([narrow])
    assert one.vmin is not None and one.vmax == pytest.approx(10 * one.vmin)
    nothing = [norms[0] * np.nan]
    assert gradients.norm_scale(nothing).vmax == 1


def test_planes_along_eigenvectors_say_so() -> None:
    along: dict[str, Any] = {"directions": "eigenvectors", "probe": "sharpest", "vectors": ["largest-1", "smallest-2"]}
    members = [curved("net", **GRID, **along)]
    drawing = figures.render(map_spec(members), members)
    said = published(drawing.caption).astext()
    assert "eigenvectors largest-1 and smallest-2 of the Hessian that the probe sharpest finds at the centre" in said
    assert "cosine of the directions" not in said
    figure: Any = drawing.figure
    assert figure.axes[2].get_xlabel() == "alpha (1 = a step of length 1)"
