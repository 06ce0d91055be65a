"""Stationary points of formulas whose zeros are known."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import xarray as xr

from landscape import geometry
from landscape.geometry.stationary import is_plateau, is_stationary, stationary_points

from curved_surfaces import curved, double_well, valley
from members import member


def egg_carton(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Per period pi two minima, two maxima and four saddles."""
    return 1 + 0.5 * np.sin(2 * a + 0.3) * np.sin(2 * b - 0.2)


def placed(surface: xr.Dataset, kind: str) -> np.ndarray:
    found = [(point.alpha, point.beta) for point in stationary_points(surface) if point.kind == kind]
    return in_order(found)


def in_order(places: Iterable[tuple[float, float]]) -> np.ndarray:
    """By alpha, and where that is the same by beta, shape (n, 2)."""
    return np.array(sorted(places, key=lambda place: (round(place[0], 1), place[1]))).reshape(-1, 2)


def test_zeros_are_where_they_are_and_what_they_are() -> None:
    surface = curved("net", double_well, measure="gradients").seen
    assert placed(surface, "slice minimum") == pytest.approx(np.array([[-0.5, 0], [0.5, 0]]), abs=0.02)
    assert placed(surface, "saddle") == pytest.approx(np.array([[0, 0]]), abs=1e-6)
    assert len(stationary_points(surface)) == 3


def test_every_zero_is_found_once_and_their_indices_sum_up() -> None:
    surface = curved("net", egg_carton, alpha=(-1.6, 1.5, 40), beta=(-1.5, 1.6, 37), measure="gradients").seen
    exact: dict[str, set[tuple[float, float]]] = {kind: set() for kind in geometry.KINDS[:3]}
    for i in range(-6, 7):
        for j in range(-6, 7):
            a, b = (i * np.pi / 2 - 0.3) / 2, (j * np.pi / 2 + 0.2) / 2
            if (i + j) % 2 == 0 and -1.6 < a < 1.5 and -1.5 < b < 1.6:
                value = float(egg_carton(np.array(a), np.array(b)))
                kind = "saddle" if abs(value - 1) < 1e-9 else "maximum" if value > 1 else "minimum"
                exact[f"slice {kind}"].add((a, b))
    for kind, places in exact.items():
        assert placed(surface, kind) == pytest.approx(in_order(places), abs=0.01)


def test_a_minimum_on_a_grid_point_with_a_gradient_of_zero_is_found_once() -> None:
    for points in (5, 6, 21):
        surface = curved("net", valley, alpha=(-1, 1, points), beta=(-1, 1, points), measure="gradients").seen
        (found,) = stationary_points(surface)
        assert (found.alpha, found.beta) == pytest.approx(
            (0, 0), abs=1 / (points - 1)
        ) and found.kind == "slice minimum"


def test_names_of_the_whole_space_need_a_small_gradient_and_the_eigenvalues() -> None:
    def kind(negative: float) -> str:
        surface = curved("net", valley, negative=negative).seen
        (found,) = stationary_points(surface)
        return found.kind

    assert kind(negative=0.1) == "saddle"  # a minimum of the slice alone
    assert kind(negative=-1e-4) == "minimum"
    assert kind(negative=1e-6) == "minimum"  # below what the arithmetic can see
    steep = curved("net", valley, negative=-1e-4).seen
    steep = steep.assign(gradient_norm=steep.gradient_norm + 1e-3 * steep.train_loss / 20 + 1e-6)
    assert [point.kind for point in stationary_points(steep)] == ["slice minimum"]
    top = curved("net", lambda a, b: 2 - valley(a, b), negative=0.004, sharp=-1.0).seen
    assert [point.kind for point in stationary_points(top)] == ["maximum"]


def test_points_that_are_not_finite_hide_what_is_beside_them() -> None:
    surface = curved("net", double_well, measure="gradients").seen
    half = surface.where(surface.alpha < 0.2)
    assert placed(half, "slice minimum") == pytest.approx(np.array([[-0.5, 0]]), abs=0.02)
    assert stationary_points(surface.where(surface.alpha > 9)) == []


def test_a_line_is_refused() -> None:
    with pytest.raises(ValueError, match="this is a line"):
        stationary_points(member("net", beta=None).seen)


def test_plateaus_are_stationary_flat_and_high() -> None:
    point: dict[str, Any] = {
        "gradient_norm": 1e-5,
        "theta_norm": 20.0,
        "loss": 2.3,
        "largest_scaled": 5e-4,
        "guessing": math.log(10),
    }
    assert is_plateau(**point, final=0.01)
    assert not is_plateau(**point, final=2.2)
    assert not is_plateau(**point | {"largest_scaled": -0.01}, final=0.01)
    assert not is_plateau(**point | {"gradient_norm": 1e-3}, final=0.01)
    assert is_stationary(4e-8, 20.0, 0.0) and not is_stationary(6e-8, 20.0, 0.0)


def test_where_the_slice_is_convex_and_how_negative_it_may_be() -> None:
    surface = curved("net", double_well, negative=0.01, sharp=0.1).seen
    inner = np.abs(surface.alpha.values) < np.sqrt(0.25 / 3) - 1e-3  # second derivative 96 a^2 - 8 below zero
    assert (geometry.slice_is_convex(surface) == ~inner[:, None]).all()
    low = np.abs(surface.eigenvalue_min.values)
    ratio = low / surface.eigenvalue_max.values
    assert geometry.ratio_bound(surface) == pytest.approx(1.02 * ratio)
    nearer = surface.assign(bound_min=surface.eigenvalue_min * 1.005)
    unknown = surface.assign(bound_min=surface.eigenvalue_min * np.nan)
    for other in (nearer, unknown, surface.drop_vars("bound_min")):
        assert geometry.ratio_bound(other) == pytest.approx(1.01 * ratio), "the residual is 1 %"
    slices = geometry.slice_ratio(surface)
    assert (slices[inner] > 0).all() and (slices[~inner] == 0).all()
    flat = surface.assign(eigenvalue_max=surface.eigenvalue_max * 0)
    assert np.isnan(geometry.ratio_bound(flat)).all()
