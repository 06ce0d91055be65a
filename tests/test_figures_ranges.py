"""Figures of runs that have ranges of their own on one plane, as `alpha: auto` finds them."""

import json
from typing import Any

import numpy as np
import pytest

from landscape import figures
from landscape.config.section import by_name
from landscape.errors import InputError
from landscape.figures.kinds import KINDS
from landscape.figures.kinds.overlay import difference
from landscape.figures.shared import line_axes
from landscape.figures.shared.groups import Group

from members import Loss, bowl, member

BY_NAME: Any = by_name("draw", KINDS)
REACHES = {"wide": 2.0, "narrow": 0.5, "middle": 1.25}


def found(state: str, loss: Loss = bowl, line: bool = False, **plane: Any) -> figures.Member:
    """A state on a plane that reaches as far as its name says."""
    r = REACHES[state]
    made = member(state, loss, (-r, r, 21), None if line else (-r, r, 17), named="line" if line else "contour", **plane)
    return made.__class__(made.state, made.seen.assign_attrs(rise=2.3, rise_examples=256), made.history, made.plane)


ON_PLANES = ("contours", "surfaces", "rings")
ON_LINES = ("lines", "bundles", "overlay")


def keys_of(kind: str) -> dict[str, Any]:
    plane: dict[str, dict[str, Any]] = {
        "overlay": {"lines": "line"},
        "bundles": {"rows": ["line"]},
        "rings": {"planes": "contour"},
    }
    return {"draw": kind, "runs": list(REACHES), **plane.get(kind, {"plane": "line" if kind == "lines" else "contour"})}


@pytest.mark.parametrize(
    "order", [("wide", "narrow", "middle"), ("narrow", "middle", "wide"), ("middle", "wide", "narrow")]
)
@pytest.mark.parametrize("kind", [*ON_PLANES, *ON_LINES])
def test_panels_hold_the_widest_range_and_the_caption_says_each(kind: str, order: tuple[str, ...]) -> None:
    members = [found(state, line=kind in ON_LINES) for state in order]
    drawing = figures.render(BY_NAME[kind].model_validate({**keys_of(kind), "runs": list(order)}), members)
    panels = [ax for ax in drawing.figure.axes if ax.get_title()]
    assert len(panels) == (1 if kind == "overlay" else 3)
    for ax, state in zip(panels, order, strict=False):
        if kind == "surfaces":
            assert ax.get_xlim()[1] == pytest.approx(REACHES[state], rel=0.1), "panels in 3D do not share axes"
        elif kind != "rings":
            assert ax.get_xlim() == (-2, 2) and (kind in ON_LINES or ax.get_ylim() == (-2, 2))
    for state in order:
        assert (
            f"of {state} 21 {'points' if kind in ON_LINES else 'x 17 points'}, alpha in [-{REACHES[state]:g}"
            in drawing.caption
        )
    assert "the range was found, at whose ends the train loss is at least 2.3 above the centre's" in drawing.caption


@pytest.mark.parametrize("kind", ON_LINES)
def test_the_same_range_for_all_is_said_once(kind: str) -> None:
    members = [member(state, alpha=(-1, 1, 21), beta=None, named="line") for state in REACHES]
    drawing = figures.render(BY_NAME[kind].model_validate(keys_of(kind)), members)
    assert drawing.caption.count("21 points, alpha in [-1, 1]") == 1 and "the range was found" not in drawing.caption


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (lambda a, b: 3 * abs(a), lambda a, b: 3 * abs(a)),
        (lambda a, b: 1 + 0 * a, lambda a, b: 3 + 0 * a),
        (lambda a, b: a + 5, lambda a, b: 5 - a),
        (lambda a, b: 2 + a, lambda a, b: 2 + 3 * a),
    ],
)
def test_curves_of_different_ranges_are_compared_where_both_are_known(first: Loss, second: Loss) -> None:
    pair = [found("wide", first, line=True), found("narrow", second, line=True)]
    x = np.linspace(-0.5, 0.5, 1001)
    one, other = first(x, x), second(x, x)
    apart = np.abs(one - other)
    numbers = [float(word) for word in difference(pair, "train_loss").replace("(", "").split() if word[0].isdigit()]
    assert numbers[0] == pytest.approx(apart.max(), rel=0.02, abs=1e-9)
    share = (apart / np.maximum(abs(one), abs(other)).clip(1e-300)).max()
    assert numbers[1] == pytest.approx(100 * share, rel=0.02, abs=1e-9)


def test_holes_are_hatched_where_they_are_on_each_line() -> None:
    def holed(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.where(abs(a - 0.3) < 0.06, np.nan, a**2)

    members = [found("wide", line=True), found("narrow", holed, line=True)]
    spec = BY_NAME["overlay"].model_validate({**keys_of("overlay"), "runs": ["wide", "narrow"]})
    ax = figures.render(spec, members).figure.axes[0]
    hatched = [patch.get_extents().transformed(ax.transData.inverted()) for patch in ax.patches if patch.get_hatch()]
    assert len(hatched) == 1
    assert 0.2 < hatched[0].x0 < 0.3 < hatched[0].x1 < 0.4


def test_lines_of_one_run_make_a_band_on_one_range_alone() -> None:
    seeds = [found("wide", line=True), found("narrow", line=True)]
    with pytest.raises(InputError, match="differ in alpha; .*their seed alone: state the range instead of auto"):
        line_axes.require_lines([Group("net", tuple(seeds))], "bundles")
    line_axes.require_lines([Group("net", tuple(seeds))], "bundles", any_range=True)
    other = member("net", alpha=(-1, 1, 21), beta=None, named="line", normalize="layer")
    assert json.loads(other.seen.attrs["spec"])["normalize"] == "layer"
    with pytest.raises(InputError, match="differ in normalize; "):
        line_axes.require_lines([Group("net", (seeds[0], other))], "bundles", any_range=True)


@pytest.mark.parametrize("test", [True, False])
def test_a_caption_speaks_of_the_splits_that_were_measured(test: bool) -> None:
    members = [member("net", alpha=(-1, 1, 21), beta=None, named="line", test=test)]
    drawing = figures.render(
        BY_NAME["lines"].model_validate({"draw": "lines", "runs": ["net"], "plane": "line"}), members
    )
    assert ("of the training examples solid and of the test examples dashed" in drawing.caption) == test
    assert "of the training examples" in drawing.caption and ("dashed" in drawing.caption) == test
