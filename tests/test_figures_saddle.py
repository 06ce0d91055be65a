"""The figure of a saddle, by its structure: the surface, the level through the saddle, the eigenvalues, the words."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import to_rgba

from landscape import figures
from landscape.figures.kinds.saddle import Saddle
from landscape.figures.shared import style
from landscape.probes.saddle import SaddleProbe

from members import assert_texts_apart, drawn, history, published, spec, texts

Loss = Callable[[np.ndarray, np.ndarray], np.ndarray]

PASS = np.concatenate([[-0.6, -0.05], np.full(5, 1e-17), [0.002, 0.5, 0.7]])
BOWL = np.concatenate([np.full(3, -1e-17), [0.1, 0.4]])


def saddle(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return 2.3 - 0.3 * a**2 + 0.35 * b**2 + 0.05 * a * b**2


def bowl(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return 0.7 + 0.05 * a**2 + 0.2 * b**2


def member(state: str = "net@003", loss: Loss = saddle, eigenvalues: np.ndarray = PASS) -> figures.Member:
    alpha, beta = np.linspace(-2, 2, 9), np.linspace(-1.5, 1.5, 9)
    norms = np.array([0.2, 1e-2, 1e-5, 1e-11])
    numbers = {
        "loss": (("alpha", "beta"), loss(*np.meshgrid(alpha, beta, indexing="ij"))),
        "eigenvalue": ("eigen", eigenvalues),
        "gradient_norm_path": ("step", norms),
        "loss_path": ("step", np.array([2.1, 2.2, 2.29, float(loss(np.zeros(1), np.zeros(1))[0])])),
        "index": int((eigenvalues < -1e-9).sum()),
        "negative_threshold": 1e-8,
        "gradient_norm": norms[-1],
        "train_loss": float(loss(np.zeros(1), np.zeros(1))[0]),
        "distance": 0.53,
        "theta_norm": 0.24,
    }
    run = state.partition("@")[0]
    probed = json.dumps(SaddleProbe(measure="saddle", tolerance=1e-4).in_full())
    attrs = {"run": run, "train_examples": 500, "spec": probed}
    probe = xr.Dataset(numbers, {"alpha": alpha, "beta": beta}, attrs)
    return figures.Member(state, None, history(run), probe=probe)


def drawing(*members: figures.Member, **keys: Any) -> figures.Drawing:
    return figures.render(spec(Saddle, runs=tuple(m.state for m in members), probe="saddle", **keys), list(members))


def test_the_surface_is_that_of_the_plane() -> None:
    ax: Any = drawing(member()).figure.axes[0]
    (surface,) = ax.collections
    assert len(surface.get_facecolor()) == 32 * 32  # four cells for one along both axes
    limits = [*ax.get_xlim(), *ax.get_ylim()]
    assert limits == [-2, 2, -1.5, 1.5]
    assert ax.get_zlim() == pytest.approx((2.3 - 0.3 * 4, 2.3 + 0.35 * 2.25))
    down, up, dot = (np.array(line.get_data_3d()) for line in ax.lines)
    np.testing.assert_allclose(dot.flatten(), [0, 0, 2.3])
    for places, k in ((down, 0), (up, 1)):
        seen = np.isfinite(places[2])
        assert seen.sum() > 5 and not places[1 - k].any()
        np.testing.assert_allclose(places[2][seen], saddle(places[0], places[1])[seen], atol=1e-3)


def test_the_level_through_the_saddle_is_black_and_crosses_it() -> None:
    ax = drawing(member()).figure.axes[1]
    lines: list[Any] = [c for c in ax.collections if not getattr(c, "filled", True)]
    levels, through = lines
    assert len(levels.levels) >= 5 and list(through.levels) == [2.3]
    assert (through.get_edgecolor() == to_rgba("black")).all()
    points = np.concatenate(through.allsegs[0])
    assert np.hypot(*points.T).min() < 0.3
    np.testing.assert_allclose(saddle(*points.T), 2.3, atol=0.02)
    assert ax.get_xlabel() == "alpha (smallest eigenvalue, \N{MINUS SIGN}0.6)"
    assert ax.get_ylabel() == "beta (largest eigenvalue, 0.7)"


def test_all_eigenvalues_and_the_path_are_drawn() -> None:
    figure = drawing(member()).figure
    spectrum, path = figure.axes[2:]
    points = [line for line in spectrum.lines if line.get_marker() == "o"]
    assert [line.get_color() for line in points] == [style.LOSS, style.GREY, style.ACCURACY]
    assert [len(line.get_xdata()) for line in points] == [2, 5, 3]  # type: ignore[arg-type]
    np.testing.assert_array_equal(np.concatenate([line.get_ydata() for line in points]), PASS)
    np.testing.assert_array_equal(np.concatenate([line.get_xdata() for line in points]), np.arange(1, 11))
    assert spectrum.get_yscale() == "symlog" and path.get_yscale() == "log"
    assert [text.get_text() for text in spectrum.texts] == ["2 negative", "5 zero", "3 positive"]
    np.testing.assert_array_equal(path.lines[0].get_ydata(), [0.2, 1e-2, 1e-5, 1e-11])
    np.testing.assert_array_equal(path.lines[1].get_ydata(), [1e-4, 1e-4])


def test_the_words_give_the_numbers() -> None:
    found = drawing(member(), about="*Mine*", title="A title with $ and _")
    assert "saddle, index 2 of 10; train loss 2.3, gradient norm 1e\N{MINUS SIGN}11, 0.53 from the state" in texts(
        found.figure
    )
    caption = published(found.caption).astext()
    assert "net, epoch 3: saddle, of index 2; of 10 eigenvalues 5 zero" in caption
    assert "train loss 2.3 there, 2.1 at the state, 0.002 at the end of training" in caption
    assert "over 500 training examples" in caption and "zero up to 1.4e\N{MINUS SIGN}08" in caption


def test_a_minimum_is_not_called_a_saddle() -> None:
    found = drawing(member("net", bowl, BOWL))
    assert texts(found.figure).startswith("net\nno saddle but a minimum, index 0 of 5")
    assert "net: no saddle but a minimum, of index 0" in published(found.caption).astext()
    lines = [c for c in found.figure.axes[1].collections if not getattr(c, "filled", True)]
    assert len(lines) == 1  # no level goes through the lowest point


def test_numbers_are_those_drawn() -> None:
    pair = [member(), member("other@000", bowl, BOWL)]
    numbers = drawing(*pair).numbers
    for of in pair:
        assert of.probe is not None
        rows = numbers[numbers.member == of.state]
        plane = rows[rows["alpha"].notna()]
        assert len(rows) == 81 + of.probe.sizes["eigen"] + 4
        np.testing.assert_array_equal(plane["loss"], of.probe.loss.values.ravel())
        np.testing.assert_array_equal(rows["eigenvalue"].dropna(), of.probe.eigenvalue)
        np.testing.assert_array_equal(rows["gradient_norm"].dropna(), of.probe.gradient_norm_path)


def test_several_stand_below_each_other_and_no_text_covers_another(tmp_path: Path) -> None:
    pair = [member(), replace(member("other", bowl, BOWL), state="another-with-a-long-name@012")]
    of_kind = spec(Saddle, runs=("net@003", "other"), probe="saddle", title="A heading")
    figure = drawn(of_kind, pair)
    assert len(figure.axes) == 8
    assert_texts_apart(figure)
    for folder in ("first", "second"):
        figures.save(figures.render(of_kind, pair), tmp_path / folder / "saddle.pdf")
    for suffix in ("pdf", "png", "csv", "rst"):
        name = f"saddle.{suffix}"
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
    assert b"/Subtype /Type3" not in (tmp_path / "first" / "saddle.pdf").read_bytes()


@pytest.mark.parametrize("eigenvalues", [np.array([-0.3, -0.1]), np.zeros(4)])
def test_spectra_of_one_sign(eigenvalues: np.ndarray) -> None:
    figure = drawing(member("net", saddle, eigenvalues)).figure
    assert sum(line.get_marker() == "o" for line in figure.axes[2].lines) == 1
