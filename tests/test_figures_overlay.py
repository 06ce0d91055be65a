"""Overlaid curves: what is drawn on each pair of axes, how far they are apart, and what is said of a rescaled run."""

from typing import Any

import numpy as np
import pytest

from landscape import figures
from landscape.errors import InputError
from landscape.figures.kinds import overlay
from landscape.figures.kinds.overlay import Overlay

from members import Loss, assert_texts_apart, bowl, broken, drawn, history, member, published, spec, texts

LINE: dict[str, Any] = {"alpha": (-1, 1, 21), "beta": None}


def steep(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return bowl(2 * a, b)


def twins(raw: Loss = steep) -> list[figures.Member]:
    """A run and its twin: `raw` and a bowl without normalisation, and twice the same bowl with it."""
    losses = {("net", "raw"): raw, ("net", "scaled"): bowl, ("net-x10", "raw"): bowl, ("net-x10", "scaled"): bowl}
    normalize = {"raw": "none", "scaled": "filter"}
    return [member(run, loss, named=on, normalize=normalize[on], **LINE) for (run, on), loss in losses.items()]


OVERLAY = spec(Overlay, runs=["net", "net-x10"], lines=["raw", "scaled"])


def test_every_run_is_on_every_line_and_the_narrower_ones_lie_above() -> None:
    figure = drawn(OVERLAY, twins())
    left, right = figure.axes
    for ax, loss in ((left, steep), (right, bowl)):
        wide, narrow = ax.lines
        np.testing.assert_allclose(wide.get_ydata(), loss(np.linspace(-1, 1, 21), np.zeros(1)))
        np.testing.assert_allclose(narrow.get_ydata(), bowl(np.linspace(-1, 1, 21), np.zeros(1)))
        assert wide.get_linewidth() > 2 * narrow.get_linewidth() and wide.get_zorder() < narrow.get_zorder()
        assert wide.get_color() != narrow.get_color()
    assert left.get_ylim() == right.get_ylim()
    assert "a step N(0, 1)" in left.get_xlabel() and "each filter's norm" in right.get_xlabel()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["net", "net-x10"]
    assert_texts_apart(figure)


def test_what_the_curves_differ_by_is_said_below() -> None:
    said = texts(drawn(OVERLAY, twins()))
    assert "curves differ by up to 9 (75 %)" in said  # 12.002 and 3.002 at the ends
    assert "curves differ by up to 0 (0 %)" in said
    rows = [row for row in twins(broken) if row.plane == "raw"]
    assert overlay.difference(rows, "train_loss") == "curves differ by up to 0 (0 %)"  # where both are finite


def test_hatching_numbers_and_caption() -> None:
    members = twins(broken)
    rescaled = history("net-x10")
    rescaled.attrs["spec"] = '{"network": "resnet20", "rescaled": {"run": "net", "by": 10.0}}'
    members[2:] = [figures.Member(m.state, m.surface, rescaled.isel(epoch=[-1]), m.plane) for m in members[2:]]
    drawing = figures.render(OVERLAY, members)
    assert "not finite" in [text.get_text() for text in drawing.figure.legends[0].get_texts()]
    assert list(drawing.numbers.columns) == ["member", "plane", "alpha", "beta", "train_loss"]
    assert len(drawing.numbers) == 4 * 21
    text = published(drawing.caption).astext()
    assert "net with filters multiplied by 10, which leaves its function as it is" in text
    assert "raw: One random Gaussian direction (seed 1), not normalised." in text


def test_what_cannot_be_overlaid() -> None:
    with pytest.raises(InputError, match="draw: overlay needs a line"):
        figures.render(OVERLAY, [member("net", named=on) for on in ("raw", "scaled")])
    untested = spec(Overlay, runs=["net"], lines=["raw"], variable="test_loss")
    with pytest.raises(InputError, match="the plane 'raw' of net holds no test loss"):
        figures.render(untested, [member("net", named="raw", test=False, **LINE)])
