"""Synthetic members of figures: a surface with the loss of a formula, and a training history."""

import io
import json
from collections.abc import Callable, Sequence
from typing import Any

import docutils.core
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.text import Text

from landscape import figures
from landscape.figures.kind import FigureKind
from landscape.figures.shared.panel_grid import NOTES
from landscape.measures import plane_of
from landscape.training.run_section import Run

Loss = Callable[[np.ndarray, np.ndarray], np.ndarray]


def bowl(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return 0.002 + 3 * a**2 + 4 * b**2


def lopsided(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Lowest at (0.5, -0.2)."""
    return 0.002 + 3 * (a - 0.5) ** 2 + 4 * (b + 0.2) ** 2


def broken(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.where(a > 0.85, np.inf, np.where(b < -0.95, np.nan, bowl(a, b)))


def member(
    state: str,
    loss: Loss = bowl,
    alpha: tuple[float, float, int] = (-1, 1, 21),
    beta: tuple[float, float, int] | None = (-1, 1, 31),
    test: bool = True,
    final: tuple[float, float] = (0.002, 0.999),
    named: str = "contour",
    recipe: dict[str, Any] | None = None,
    **plane: Any,
) -> figures.Member:
    """A state on a plane with this loss.

    Args:
        final: train loss and accuracy at the end of the run.
        named: the plane.
        recipe: what the run's specification states, as of `history`.
        plane: what the plane's specification states.
    """
    of_plane = plane_of({"alpha": alpha, "beta": beta, **plane})
    a, b = np.linspace(*alpha), np.linspace(*beta) if beta else np.zeros(1)
    values = loss(*np.meshgrid(a, b, indexing="ij"))
    accuracy = np.where(np.isfinite(values), np.exp(-np.nan_to_num(values, posinf=0)), 0.1)
    columns = {"train_loss": values, "train_accuracy": accuracy}
    if test:
        columns |= {"test_loss": values + 0.3, "test_accuracy": 0.9 * accuracy}
    run = state.partition("@")[0]
    attrs = {"state": state, "run": run, "plane": named, "classes": 10, "precision": "fp32", "train_examples": 1500}
    attrs |= {"spec": json.dumps(of_plane.in_full()), "seed": 1, "test_examples": 297}
    surface = xr.Dataset({name: (("alpha", "beta"), v) for name, v in columns.items()}, {"alpha": a, "beta": b}, attrs)
    return figures.Member(state, surface, history(run, test, final, **(recipe or {})), named)


def history(run: str, test: bool = True, final: tuple[float, float] = (0.002, 0.999), **recipe: Any) -> xr.Dataset:
    """Of a training with this recipe, by default 10 epochs with seed 3; the norm of its weights grows."""
    of_run = Run.model_validate({"network": "resnet20", "data": "digits", "epochs": 10, "seed": 3, **recipe})
    epoch = np.arange(of_run.last_epoch + 1)
    columns = {
        "train_loss": np.geomspace(2.3, final[0], epoch.size),
        "train_accuracy": np.linspace(0.1, final[1], epoch.size),
        "learning_rate": np.where(epoch == 0, np.nan, np.where(epoch <= of_run.last_epoch / 2, 0.1, 0.01)),
        "weight_norm": 10 + np.sqrt(epoch),
    }
    columns["train_loss"][-1] = final[0]
    if test:
        columns |= {"test_loss": columns["train_loss"] + 0.1, "test_accuracy": columns["train_accuracy"] * 0.95}
    attrs = {"name": run, "seed": of_run.seed, "spec": json.dumps(of_run.in_full())}
    attrs |= {"train_examples": 1500, "test_examples": 297}
    return xr.Dataset({name: ("epoch", v) for name, v in columns.items()}, {"epoch": epoch}, attrs)


def spec(kind: type[FigureKind], **keys: Any) -> Any:
    """A figure of the configuration."""
    return kind.model_validate({"draw": kind.__name__.lower(), **keys})


def drawn(of_kind: Any, members: Sequence[figures.Member]) -> Any:
    """The figure, of any kind of axes."""
    return figures.render(of_kind, members).figure


def written(figure: Figure) -> list[Text]:
    """All that is written beside the axes: on the page, above panels, along their axes, and below them."""
    found = [text for page in (figure, *figure.subfigs) for text in page.texts]
    for ax in figure.axes:
        found += [ax.title, ax.xaxis.label, ax.yaxis.label]
        found += [text for text in ax.texts if text.get_gid() == NOTES or ax.name == "3d"]
    return [text for text in found if text.get_text().strip()]


def texts(figure: Figure) -> str:
    """What `written` finds."""
    return "\n".join(text.get_text() for text in written(figure))


def inside(ax: Axes) -> list[Text]:
    """What is written within axes, without the notes below them."""
    return [text for text in ax.texts if text.get_gid() != NOTES]


def published(caption: str) -> Any:
    """The caption as docutils reads it, without a complaint."""
    complaints = io.StringIO()
    settings = {"warning_stream": complaints, "report_level": 1}
    tree = docutils.core.publish_doctree(caption, settings_overrides=settings)
    assert complaints.getvalue() == ""
    return tree


def assert_texts_apart(figure: Figure) -> None:
    """No text beside the axes, no number along them, and no legend, leaves the page or covers another."""
    figure.draw_without_rendering()
    page = figure.bbox
    numbers = [
        label
        for ax in figure.axes
        if ax.name != "3d"
        for axis in (ax.xaxis, ax.yaxis)
        if axis.get_visible()
        for label in axis.get_ticklabels()
        if label.get_visible() and label.get_text() and is_seen(axis, label, axis is ax.yaxis)
    ]
    legends = [*figure.legends, *(legend for ax in figure.axes if (legend := ax.get_legend()))]
    boxes = [Text.get_window_extent(text).padded(-0.5) for text in (*written(figure), *numbers)]
    boxes += [legend.get_window_extent() for legend in legends]
    assert all(page.x0 <= b.x0 and b.x1 <= page.x1 and page.y0 <= b.y0 and b.y1 <= page.y1 for b in boxes)
    assert not any(a.overlaps(b) for k, a in enumerate(boxes) for b in boxes[:k])


def is_seen(axis: Axis, label: Text, up: bool) -> bool:
    """Whether a number lies within the limits of its axis; matplotlib keeps some beyond."""
    low, high = sorted(axis.get_view_interval())
    place = label.get_position()[up]
    return bool(low - 1e-9 * (high - low) <= place <= high + 1e-9 * (high - low))
