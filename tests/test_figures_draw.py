"""The public functions that draw: every example runs, and figures are those of the same section of a configuration."""

import doctest
import inspect
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from landscape import figures
from landscape.errors import InputError
from landscape.figures import draw
from landscape.figures.kinds import DRAWN
from landscape.figures.kinds.contours import Contours
from landscape.figures.shared.panel_grid import NOTES

from curved_surfaces import curved
from members import bowl, history, inside, lopsided, member, spec
from probed_members import eigenpairs, layers, probed, spectrum
from test_figures_lines import pair
from test_figures_paths import walker
from test_figures_saddle import member as saddle_member


def seen(of: figures.Member) -> Any:
    return of.surface if of.probe is None else of.probe


def shown() -> dict[str, Any]:
    """What the examples call their datasets."""
    walk, (small, _, large) = walker("pca", surface=False), pair()
    between = small.seen.assign_attrs(run="net", state="net", plane="between")
    between.attrs["spec"] = between.attrs["spec"].replace('"large"', '"other"')
    assert small.weights is not None and large.weights is not None
    return {
        "draw": draw,
        "surface": member("net").seen,
        "line": member("net", beta=None, named="line").seen,
        "history": history("net"),
        "other": history("other"),
        "path": walk.trajectory,
        "curved": curved("net", alpha=(-1, 1, 9), beta=(-1, 1, 7)).seen,
        "spectrum": seen(probed("net", spectrum(), measure="spectrum")),
        "layers": seen(probed("net", layers(["a", "b"]), measure="activations")),
        "eigenpairs": [
            seen(probed(f"net@{epoch:03d}", eigenpairs(3 + epoch, -1), measure="eigenpairs")) for epoch in (0, 2)
        ],
        "saddle": seen(saddle_member()).assign_attrs(state="net@003", probe="saddle", classes=10),
        "between": between,
        "weights": {"net": small.weights, "other": large.weights},
    }


@pytest.mark.parametrize("name", DRAWN)
def test_the_example_of_every_kind_runs(name: str) -> None:
    function = getattr(draw, name)
    (example,) = doctest.DocTestFinder().find(function, name, globs=shown())
    assert doctest.DocTestRunner(verbose=False).run(example) == (0, 1)


@pytest.mark.parametrize("name", DRAWN)
def test_signatures_and_docstrings_are_those_of_the_kind(name: str) -> None:
    function, kind = getattr(draw, name), DRAWN[name]
    keys = set(inspect.signature(function).parameters) - {"datasets", "ax", "weights"}
    assert keys == set(kind.model_fields) - {"draw", "group", "about"}
    assert str(kind.__doc__) in function.__doc__
    assert all(f"    {key}: " in function.__doc__ for key in keys)


def test_a_figure_is_that_of_the_configuration() -> None:
    of = member("net", lopsided)
    mine = draw.contours(of.history, of.seen, levels=(0.3, 1.0))
    theirs = figures.render(spec(Contours, runs=("net",), plane="contour", levels=(0.3, 1.0)), [of]).figure
    of_mine, of_theirs = (
        [text.get_text() for text in figure.findobj(Text) if isinstance(text, Text)] for figure in (mine, theirs)
    )
    assert of_mine == of_theirs


def test_without_a_history_there_is_no_test_error() -> None:
    (note,) = (text for text in draw.contours(member("net").seen).axes[0].texts if text.get_gid() == NOTES)
    assert note.get_text() == "train loss 0.002"


def test_surfaces_of_one_name_stand_side_by_side() -> None:
    one, other = member("ResNet", bowl, named="given").seen, member("ResNet", lopsided, named="given").seen
    figure = draw.contours(one, other)
    assert [ax.get_title().partition(" ")[0] for ax in figure.axes[:2]] == ["ResNet", "ResNet-2"]
    line = member("ResNet", beta=None, named="given").seen
    assert len(draw.profiles(line, one).axes) == 3


def test_one_panel_goes_into_axes_of_ones_own() -> None:
    figure = Figure()
    left, right = figure.subplots(1, 2)
    assert draw.contours(member("net").seen, ax=left) is figure
    assert left.get_xlim() == (-1, 1) and left.get_xlabel().startswith("alpha (1 = 100 %")
    assert "1" in [text.get_text() for text in inside(left)]
    draw.lines(member("net", beta=None).seen, ax=right)
    np.testing.assert_array_equal(right.lines[0].get_ydata(), member("net", beta=None).seen.train_loss.isel(beta=0))
    box = figure.add_subplot(projection="3d")
    draw.surfaces(member("net").seen, ax=box)
    assert box.get_zlabel() == "train loss"


def test_what_cannot_be_drawn_is_refused_with_the_reason() -> None:
    ax, surface = Figure().subplots(), member("net").seen
    with pytest.raises(InputError, match="2 panels here, and one fits"):
        draw.contours(surface, member("other").seen, ax=ax)
    with pytest.raises(InputError, match="draw: training has panels of its own"):
        draw.training(history("net"), ax=ax)
    with pytest.raises(InputError, match=r'draw: surfaces needs axes with projection="3d"'):
        draw.surfaces(surface, ax=ax)
    with pytest.raises(InputError, match=r"draw\.lines shows no line"):
        draw.lines(surface)
    with pytest.raises(InputError, match=r"draw\.contours: levls: Extra inputs"):
        draw.contours(surface, levls="log")
    with pytest.raises(AttributeError, match="no attribute 'contour'"):
        draw.contour(surface)


def test_a_single_surface_in_three_dimensions_keeps_the_names_of_its_axes() -> None:
    figure = draw.surfaces(member("net").seen)
    (box,) = figure.axes
    assert (box.get_xlabel(), box.get_ylabel()) == ("alpha", "beta")
    assert "1 = 100 %" in figure.get_supxlabel()
