"""Sizes, shapes, convexity and minima, against formulas and against counting pixels."""

import math

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.interpolate import RegularGridInterpolator
from scipy.spatial import ConvexHull

from landscape import geometry

from known_surfaces import Loss, bowl, hills, surface


def shape(seen: xr.Dataset, level: float) -> dict[str, float]:
    return {name: number.value for name, number in geometry.shape(seen, level).items()}


def reasons(seen: xr.Dataset, level: float) -> set[str]:
    return {number.reason for number in geometry.shape(seen, level).values()}


def ellipse(long: float, short: float, angle: float) -> Loss:
    """A bowl whose level 1 is an ellipse of these half axes."""

    def loss(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        along, across = a * np.cos(angle) + b * np.sin(angle), b * np.cos(angle) - a * np.sin(angle)
        return np.asarray((along / long) ** 2 + (across / short) ** 2)

    return loss


@settings(max_examples=25)
@given(long=st.floats(0.3, 0.9), share=st.floats(0.3, 1), angle=st.floats(0, math.pi), turned=st.booleans())
def test_an_ellipse(long: float, share: float, angle: float, turned: bool) -> None:
    seen = surface(ellipse(long, share * long, angle), (-1, 1, 201), (-1.2, 1, 221))
    found = shape(seen.transpose("beta", "alpha") if turned else seen, 1.0)

    assert found["area"] == pytest.approx(math.pi * share * long**2, rel=0.01)
    assert found["width"] == pytest.approx(2 * math.sqrt(share) * long, rel=0.01)
    assert 1 - found["eccentricity"] ** 2 == pytest.approx(share**2, rel=0.02)
    assert found["solidity"] > 0.999
    assert found["touches_border"] == 0


def test_level_lines_run_between_the_points_of_a_coarse_grid() -> None:
    area = [shape(surface(ellipse(r, r, 0), (-1, 1, 21), (-1, 1, 31)), 1.0)["area"] for r in (0.55, 0.57, 0.59)]
    np.testing.assert_allclose(area, [math.pi * r**2 for r in (0.55, 0.57, 0.59)], rtol=0.02)


def test_a_ring_has_a_hole_and_a_hull_without_one() -> None:
    t = 0.2
    seen = surface(lambda a, b: (np.hypot(a + 0.5, b) - 0.5) ** 2, (-1.3, 0.5, 181), (-0.9, 0.9, 121))
    found = shape(seen, t**2)
    assert found["area"] == pytest.approx(2 * math.pi * t, rel=5e-3)  # pi ((0.5 + t)^2 - (0.5 - t)^2)
    assert found["solidity"] == pytest.approx(2 * t / (0.5 + t) ** 2, rel=5e-3)
    assert found["eccentricity"] == pytest.approx(0, abs=0.05)


def test_an_island_in_a_hole_is_a_part_of_its_own() -> None:
    seen = surface(lambda a, b: 1 - np.cos(4 * math.pi * np.hypot(a, b)), (-0.7, 0.7, 141), (-0.7, 0.7, 141))
    assert shape(seen, 1.0)["area"] == pytest.approx(math.pi / 8**2, rel=5e-3)


def test_a_cross_is_less_than_its_hull() -> None:
    seen = surface(
        lambda a, b: np.minimum(abs(a), abs(b)) + (np.maximum(abs(a), abs(b)) > 0.501), (-1, 1, 201), (-1, 1, 201)
    )
    arms, hull = 4 * 0.2 * 0.4 + 0.2**2, 1 - 4 * 0.4**2 / 2
    found = shape(seen, 0.1)
    assert found["area"] == pytest.approx(arms, rel=0.02)
    assert found["solidity"] == pytest.approx(arms / hull, rel=0.02)


@pytest.mark.parametrize("seed", range(6))
def test_a_random_landscape_against_counting_pixels(seed: int) -> None:
    seen = surface(hills(seed), (-1, 1, 101), (-1.5, 1, 81))
    seen = seen.assign_coords(alpha=seen.alpha - seen.alpha[50], beta=seen.beta - seen.beta[40])
    level = float(seen.train_loss[50, 40]) + 0.4
    found = shape(seen, level)

    fine = 12
    a, b = (np.linspace(x[0], x[-1], fine * (x.size - 1) + 1) for x in (seen.alpha.values, seen.beta.values))
    interpolated = RegularGridInterpolator((seen.alpha.values, seen.beta.values), seen.train_loss.values)
    parts, _ = ndimage.label(interpolated(tuple(np.meshgrid(a, b, indexing="ij"))) <= level)
    part = parts == parts[50 * fine, 40 * fine]
    points = np.argwhere(part) * [a[1] - a[0], b[1] - b[0]]
    area = part.sum() * (a[1] - a[0]) * (b[1] - b[0])
    smaller, larger = np.linalg.eigvalsh(np.cov(points.T))
    edge = part[[0, -1]].any() or part[:, [0, -1]].any()

    assert found["touches_border"] == edge
    assert found["area"] == pytest.approx(area, rel=0.02)
    assert found["eccentricity"] == pytest.approx(math.sqrt(1 - smaller / larger), abs=0.01)
    assert found["solidity"] == pytest.approx(area / ConvexHull(points).volume, rel=0.03)


def test_points_that_are_not_finite_lie_above_every_level() -> None:
    seen = surface(lambda a, b: 0 * a, (-1, 1, 21), (-1, 1, 41))
    outside = (abs(seen.alpha) > 0.501) | (abs(seen.beta) > 0.401)
    for value in (math.nan, math.inf, -math.inf):
        found = shape(seen.assign(train_loss=seen.train_loss.where(~outside, value)), 1.0)
        assert found["area"] == pytest.approx(1.0 * 0.8)
        assert found["touches_border"] == 0
    assert reasons(seen.assign(train_loss=seen.train_loss.where(seen.beta == seen.beta[20])), 1.0) == {"not resolved"}


def test_rounding_moves_nothing() -> None:
    seen = surface(bowl, (-1, 1, 51), (-1, 1, 51))
    noisy = seen + 1e-13 * np.random.default_rng(0).normal(size=(51, 51))
    for level in (0.1, 1.0, float(seen.train_loss[40, 25])):
        assert shape(noisy.assign_attrs(seen.attrs), level) == pytest.approx(shape(seen, level), abs=1e-6)


def test_a_centre_on_the_border_sees_half_of_its_surroundings() -> None:
    found = shape(surface(ellipse(0.5, 0.5, 0), (0, 1, 51), (-1, 1, 101)), 1.0)
    assert found["area"] == pytest.approx(math.pi / 8, rel=5e-3)
    assert found["touches_border"] == 1


def test_why_there_is_no_number() -> None:
    assert reasons(surface(bowl, alpha=(-1, 1, 20)), 1.0) == {"no centre on the grid"}
    assert reasons(surface(lambda a, b: 2 + bowl(a, b)), 1.0) == {"centre above the level"}
    assert reasons(surface(lambda a, b: np.where(abs(a + b) < 0.01, np.nan, 0)), 1.0) == {"centre not finite"}
    assert reasons(surface(lambda a, b: 0 * a, (0, 0, 1), None), 1.0) == {"not resolved", "a line"}


def test_six_cells_are_needed_along_both_axes() -> None:
    def across(cells_a: float, cells_b: float) -> set[str]:  # the largest norm: the level line is a rectangle
        seen = surface(lambda a, b: np.maximum(abs(a) / cells_a, abs(b) / cells_b), (-20, 20, 41), (-20, 20, 41))
        return reasons(seen, 0.5)

    assert across(6, 6) == across(9, 7) == {""}
    assert across(5.9, 9) == across(9, 5.9) == {"not resolved"}


def test_the_width_of_a_line() -> None:
    seen = surface(lambda a, b: 5 * a**2, (-1, 0.6, 1601), None)
    found = geometry.shape(seen, 0.45)
    assert found["width"].value == pytest.approx(0.6, abs=1e-3) and found["touches_border"].value == 0
    assert {found[name].reason for name in ("area", "eccentricity", "solidity")} == {"a line"}
    assert shape(seen, 3.2)["width"] == pytest.approx(0.6 + 0.8) and shape(seen, 3.2)["touches_border"] == 1
    assert reasons(surface(lambda a, b: 5 * a**2, (-1, 1, 21), None), 0.05) == {"not resolved", "a line"}
    assert found["width"].step == pytest.approx(0.001)


def test_convex_share_of_known_curvature() -> None:
    grid = ((-0.5, 0.5, 21), (-1, 1, 31))
    assert geometry.convex_share(surface(bowl, *grid)).value == 1
    assert geometry.convex_share(surface(lambda a, b: a**2, *grid)).value == 1  # flat along beta, but for rounding
    assert geometry.convex_share(surface(lambda a, b: a**2 - b**2, *grid)).value == 0
    assert geometry.convex_share(surface(lambda a, b: a * b, *grid)).value == 0  # a saddle between the axes
    upper = geometry.convex_share(surface(lambda a, b: 3 * a**2 + b**3, *grid)).value  # convex where b >= 0
    assert upper == pytest.approx(15 / 29)


def test_convex_share_against_a_loop_over_points() -> None:
    loss = hills(3, 4.0)
    seen = surface(lambda a, b: 0.5 * loss(a, b) + 4 * (a**2 + b**2), (-1, 1, 31), (-1, 1, 41))
    seen.train_loss[12, 14], seen.train_loss[20, 30] = math.nan, math.inf
    values, inside = seen.train_loss.values, geometry.basin(seen, math.log(10))
    ha, hb = 2 / 30, 2 / 40
    smallest, sizes = [], []
    for i, j in np.argwhere(inside).tolist():
        if not (0 < i < 30 and 0 < j < 40) or not np.isfinite(values[i - 1 : i + 2, j - 1 : j + 2]).all():
            continue
        aa = (values[i + 1, j] - 2 * values[i, j] + values[i - 1, j]) / ha**2
        bb = (values[i, j + 1] - 2 * values[i, j] + values[i, j - 1]) / hb**2
        ab = (values[i + 1, j + 1] - values[i + 1, j - 1] - values[i - 1, j + 1] + values[i - 1, j - 1]) / (4 * ha * hb)
        root = math.sqrt((aa - bb) ** 2 / 4 + ab**2)
        smallest.append((aa + bb) / 2 - root)
        sizes += [abs((aa + bb) / 2 - root), abs((aa + bb) / 2 + root)]
    expected = np.mean(np.array(smallest) >= -1e-3 * np.median(sizes))
    assert 0.1 < expected < 0.9
    assert geometry.convex_share(seen).value == pytest.approx(expected)


def test_where_convexity_is_undefined() -> None:
    assert geometry.convex_share(surface(bowl, beta=None)).reason == "a line"
    assert geometry.convex_share(surface(lambda a, b: 3 + bowl(a, b))).reason == "centre above the level"
    assert geometry.convex_share(surface(lambda a, b: 200 * bowl(a, b))).reason == "not resolved"
    assert geometry.convex_height(surface(bowl, beta=None)).reason == "a line"
    assert geometry.convex_height(surface(bowl, alpha=(-1, 1, 20))).reason == "no centre on the grid"
    assert geometry.convex_height(surface(bowl, (-1, 1, 5), (-1, 1, 5))).reason == "not resolved"
    seen = surface(bowl)
    seen.train_loss[10, 15] = math.nan
    assert geometry.convex_height(seen).reason == "centre not finite"


def test_convex_height_is_the_pass_to_another_well() -> None:
    def wells(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.minimum(9 * (a**2 + b**2), 9 * ((a - 0.8) ** 2 + b**2))

    height = geometry.convex_height(surface(wells, (-0.8, 1.6, 121), (-0.8, 0.8, 81)))
    assert height.value == pytest.approx(9 * 0.4**2, rel=0.02)
    assert height.bound == 0


def test_convex_height_is_the_first_level_that_does_not_look_convex() -> None:
    def star(a: np.ndarray, b: np.ndarray) -> np.ndarray:  # three corners, the sharper the higher
        return np.asarray(4 * (a**2 + b**2) + 3 * (a**3 - 3 * a * b**2))

    seen = surface(star, (-1, 1, 101), (-1, 1, 101))
    height = geometry.convex_height(seen)
    assert height.bound == 0
    assert shape(seen, height.value)["solidity"] >= 0.97 > shape(seen, 1.005 * height.value)["solidity"]
    assert all(shape(seen, share * height.value)["solidity"] >= 0.97 for share in np.linspace(0.1, 1, 20))


def test_a_convex_surface_is_convex_at_least_as_high_as_its_levels_are_seen_whole() -> None:
    seen = surface(bowl)
    height, border = geometry.convex_height(seen), float(seen.train_loss[0, seen.sizes["beta"] // 2])
    assert height.value == pytest.approx(border, rel=0.01) and height.bound == 1  # above it the square cuts the levels
    assert geometry.numbers(seen)["touches_border_convex_height"] == 1


def test_a_shape_that_fails_as_soon_as_it_is_resolved_gives_an_upper_bound() -> None:
    seen = surface(lambda a, b: np.minimum(abs(a), abs(b)) + 0.1 * np.hypot(a, b), (-2, 2, 41), (-2, 2, 41))
    height = geometry.convex_height(seen)
    assert height.bound == -1 and shape(seen, height.value)["solidity"] < 0.97


def test_a_basin_cut_at_its_lowest_level_has_no_height() -> None:
    assert (
        geometry.convex_height(surface(lambda a, b: 0 * a + b**2)).reason == "the lowest level line reaches the border"
    )


def test_where_descent_leads_away_is_counted_by_the_gradient() -> None:
    def hills(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.asarray(2 + a**2 + 0.5 * b**2 + np.sin(7 * a) * np.cos(5 * b))

    seen = surface(hills, (-1, 1, 61), (-1.5, 1.5, 71))
    a, b = np.meshgrid(seen.alpha.values[1:-1], seen.beta.values[1:-1], indexing="ij")
    along_a = 2 * a + 7 * np.cos(7 * a) * np.cos(5 * b)
    along_b = b - 5 * np.sin(7 * a) * np.sin(5 * b)
    for level in (2.5, 10.0):
        below = (hills(a, b) < level) & ((a != 0) | (b != 0))
        found = geometry.descends_away(seen, level)
        assert found.value == pytest.approx(float(((a * along_a + b * along_b) < 0)[below].mean()), abs=0.01)
    assert geometry.numbers(seen)["descends_away_10"] == found.value
    assert geometry.descends_away(surface(bowl), 100.0).value == 0.0
    assert geometry.descends_away(surface(bowl, beta=None), 100.0).reason == "a line"
    assert geometry.descends_away(surface(bowl), 1e-3).reason == "not resolved"


def test_the_share_of_the_plane_in_the_basin() -> None:
    seen = surface(lambda a, b: 4 * (a**2 + b**2), (-1, 1, 81), (-2, 2, 81))  # ln(10) at a radius of 0.759
    assert geometry.basin_share(seen).value == pytest.approx(math.pi * math.log(10) / 4 / 8, rel=0.01)
    assert geometry.basin_share(surface(lambda a, b: 3 + bowl(a, b))).reason == "centre above the level"


def test_total_persistence_is_of_the_minima_beside_the_lowest() -> None:
    seen = surface(two_wells, (-1, 1, 81), (-1, 1, 61))
    found = geometry.minima(seen)
    assert geometry.numbers(seen)["total_persistence"] == found[1].persistence > 0.5
    assert geometry.numbers(surface(bowl))["total_persistence"] == 0.0


def two_wells(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Minima 0 at (-0.5, 0) and 0.3 at (0.5, 0), and a pass of about 1.15 between them."""
    return np.asarray(16 * (a**2 - 0.25) ** 2 + 0.3 * (a + 0.5) + 2 * b**2)


def test_minima_of_two_wells() -> None:
    seen = surface(two_wells, (-1, 1, 201), (-1, 1, 51))
    low, high = geometry.minima(seen)
    ridge = 16 * (np.linspace(-0.5, 0.5, 10001) ** 2 - 0.25) ** 2 + 0.3 * np.linspace(0, 1, 10001)
    assert (low.alpha, low.beta) == pytest.approx((-0.5, 0), abs=0.02)
    assert (high.alpha, high.beta) == pytest.approx((0.5, 0), abs=0.02)
    assert (low.value, high.value) == pytest.approx((0, 0.3), abs=0.01)
    assert high.persistence == pytest.approx(ridge.max() - high.value, abs=0.01)
    assert low.persistence == pytest.approx(float(seen.train_loss.max()) - low.value)


def test_a_minimum_counts_if_it_stands_out_of_the_noise() -> None:
    seen = surface(two_wells, (-1, 1, 41), (-1, 1, 31))
    seen["train_loss_paired_standard_error"] = xr.full_like(seen.train_loss, 0.2)
    assert len(geometry.minima(seen)) == 2
    seen["train_loss_paired_standard_error"] = xr.full_like(seen.train_loss, 0.3)  # persistence 0.85 < 3 * 0.3
    assert len(geometry.minima(seen)) == 1
    shallow = surface(lambda a, b: two_wells(a, b) / 10, (-1, 1, 41), (-1, 1, 31))
    assert len(geometry.minima(shallow)) == 1  # 0.085 < 0.1


def test_minima_on_the_border_or_in_a_pocket_of_gaps_are_none() -> None:
    assert geometry.minima(surface(lambda a, b: a + b)) == []
    seen = surface(bowl)
    seen.train_loss[2:5, 2:5] = math.nan
    seen.train_loss[3, 3] = 1.0
    assert [(found.alpha, found.beta) for found in geometry.minima(seen)] == [(0, 0)]
    assert [found.beta for found in geometry.minima(surface(lambda a, b: np.cos(9 * a), (-1, 1, 101), None))] == [0, 0]


@pytest.mark.parametrize("seed", range(4))
def test_persistence_against_flooding(seed: int) -> None:
    seen = surface(hills(seed, 0.8), (-1, 1, 12), (-1, 1, 15))
    seen.train_loss[5, 6] = math.nan
    values = seen.train_loss.values
    expected = []
    for i in range(1, 11):
        for j in range(1, 14):
            for level in sorted(
                values[values >= values[i, j]].tolist()
            ):  # the water rises until it reaches lower ground
                parts, _ = ndimage.label(values <= level, np.ones((3, 3)))
                if values[parts == parts[i, j]].min() < values[i, j]:
                    break
            if np.isfinite(values[i, j]) and level - values[i, j] >= 0.1:
                expected.append((values[i, j], level - values[i, j]))
    found = [(minimum.value, minimum.persistence) for minimum in geometry.minima(seen)]
    assert len(found) > 3
    np.testing.assert_allclose(found, sorted(expected))


@pytest.mark.parametrize("long, short", [(0.8, 0.12), (0.12, 0.8), (0.5, 0.01), (0.1, 0.1), (0.02, 0.02), (0.9, 0.14)])
def test_what_is_too_small_along_one_axis_is_not_larger_than_is_said(long: float, short: float) -> None:
    def valley(points: int) -> dict[str, geometry.Number]:
        seen = surface(lambda a, b: (a / long) ** 2 + (b / short) ** 2, (-1, 1, points), (-1, 1, points))
        return geometry.shape(seen, 1.0)

    coarse, fine = valley(41), {"area": math.pi * long * short, "width": 2 * math.sqrt(long * short)}
    for name, true in fine.items():
        assert coarse[name].reason == "not resolved" and true <= coarse[name].most, name
    smallest = 6 * 0.05
    box = max(2 * long, smallest) * max(2 * short, smallest)
    assert coarse["area"].most == pytest.approx(box, rel=0.05)
    assert all(math.isnan(number.most) for name, number in coarse.items() if name not in fine)


def test_a_narrow_part_that_the_border_cuts_has_no_bound() -> None:
    seen = surface(lambda a, b: 0.5 * a**2 + (b / 0.1) ** 2, (-1, 1, 41), (-1, 1, 41))
    assert math.isnan(geometry.shape(seen, 1.0)["area"].most) and math.isnan(geometry.shape(seen, 1.0)["width"].most)
    assert geometry.shape(surface(lambda a, b: 90 * a**2, (-1, 1, 21), None), 0.5)["width"].most == pytest.approx(0.6)
    assert math.isnan(geometry.shape(surface(lambda a, b: 90 * a**2, (0, 2, 21), None), 0.5)["width"].most)
