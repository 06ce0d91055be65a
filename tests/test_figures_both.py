"""Both losses on one plane: lines of both, where each is lowest, and what is said of it; ticks of panels side by side."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from landscape import figures
from landscape.errors import InputError
from landscape.figures.kinds.contours import Contours
from landscape.figures.shared import loss_scale, marks, style

from members import assert_texts_apart, bowl, broken, drawn, member, published, spec

BOTH = spec(Contours, runs=["a"], plane="contour", variable="both")


def shifted() -> figures.Member:
    """Lowest at the centre for the training examples, at (0.5, -0.2) for the test examples."""
    one = member("a")
    a, b = np.meshgrid(one.seen.alpha, one.seen.beta, indexing="ij")
    test = 0.3 + 3 * (a - 0.5) ** 2 + 4 * (b + 0.2) ** 2
    return replace(one, surface=one.seen.assign(test_loss=(("alpha", "beta"), test)))


def test_lines_of_both_at_the_same_levels_and_no_line_of_guessing() -> None:
    figure = drawn(BOTH, [shifted()])
    fill, train, test = figure.axes[0].collections
    np.testing.assert_array_equal(train.levels, loss_scale.LEVELS["log"])
    np.testing.assert_array_equal(test.levels, train.levels)
    assert all(dashes is None for _, dashes in train.get_linestyle())
    assert all(dashes is not None for _, dashes in test.get_linestyle())
    one = train.levels.tolist().index(1.0)
    for lines, loss in (
        (train, lambda x, y: bowl(x, y)),
        (test, lambda x, y: 0.3 + 3 * (x - 0.5) ** 2 + 4 * (y + 0.2) ** 2),
    ):
        points = np.concatenate(lines.allsegs[one])
        np.testing.assert_allclose(loss(*points.T), 1.0, atol=0.03)
    assert not [text for ax in figure.axes for text in ax.texts if text.get_text().startswith("ln")]


def test_the_lowest_points_are_marked_said_and_listed() -> None:
    drawing = figures.render(BOTH, [shifted()])
    figure = drawing.figure
    symbols: dict[str, Any] = {str(line.get_marker()): line.get_xydata() for line in figure.axes[0].lines}
    np.testing.assert_allclose(symbols["o"], [[0, 0]], atol=1e-12)
    np.testing.assert_allclose(symbols["s"], [[0.5, -0.2]])
    assert "Lowest train loss 0.002 at (0, 0); lowest test loss 0.3 at (0.5, −0.2)." in " ".join(
        published(drawing.caption).astext().split()
    )
    listed = drawing.numbers.dropna(subset="lowest").set_index("lowest")
    assert listed.loc["test_loss", ["alpha", "beta", "test_loss"]].tolist() == pytest.approx([0.5, -0.2, 0.3])
    assert len(drawing.numbers) == 21 * 31 + 2
    assert [key.get_text() for key in figure.legends[0].get_texts()] == [
        *(f"{split} loss" for split in style.SPLITS),
        "lowest train loss",
        "lowest test loss",
    ]
    assert_texts_apart(figure)


def test_the_lowest_point_is_among_the_finite_ones() -> None:
    surface = member("a", broken).seen
    surface.train_loss[10, 15] = np.nan  # the centre
    assert [found.variable for found in marks.lowest(surface)] == ["train_loss", "test_loss"]
    assert marks.lowest(surface)[0].loss == np.nanmin(surface.train_loss.where(np.isfinite(surface.train_loss)))
    assert [found.variable for found in marks.lowest(surface.assign(train_loss=surface.train_loss * np.nan))] == [
        "test_loss"
    ]


def test_without_a_test_split_there_are_not_both() -> None:
    with pytest.raises(InputError, match="the plane 'contour' of a holds no test loss, and draw: contours needs one"):
        figures.render(BOTH, [member("a", test=False)])


@pytest.mark.parametrize("columns", [2, 3, 4])
def test_tick_labels_of_panels_side_by_side_are_apart_and_hold_the_centre(columns: int) -> None:
    members = [member(f"net{k}") for k in range(columns)]
    figure = drawn(spec(Contours, runs=[of.state for of in members], plane="contour", columns=columns), members)
    assert_texts_apart(figure)
    for ax in figure.axes[:columns]:
        shown = [label.get_text() for label in ax.get_xticklabels()]
        assert {"−1", "0", "1"} <= set(shown)
