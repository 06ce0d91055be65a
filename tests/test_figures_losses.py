"""Every kind of figure, of losses other than the cross-entropy and with another score or none: what is drawn and said."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import xarray as xr

from landscape import figures, geometry
from landscape.figures.kinds.bundles import Bundles
from landscape.figures.kinds.contours import Contours
from landscape.figures.kinds.curvature import Curvature
from landscape.figures.kinds.gradients import Gradients
from landscape.figures.kinds.layers import Layers
from landscape.figures.kinds.lines import Lines
from landscape.figures.kinds.overlay import Overlay
from landscape.figures.kinds.profiles import Profiles
from landscape.figures.kinds.rings import Rings
from landscape.figures.kinds.saddle import Saddle
from landscape.figures.kinds.sharpness import Sharpness
from landscape.figures.kinds.spectra import Spectra
from landscape.figures.kinds.surfaces import Surfaces
from landscape.figures.kinds.training import Training
from landscape.figures.kinds.trajectories import Trajectories
from landscape.figures.shared import line_axes, loss_scale

import curved_surfaces
import probed_members
import test_figures_lines
import test_figures_paths
import test_figures_saddle
from members import Loss, bowl, member, published, spec, texts


@dataclass(frozen=True)
class Other:
    """A loss: what files say of it, its values from those of the cross-entropy, and its score from these."""

    attrs: dict[str, Any]
    loss: Callable[[Any], Any]
    score: Callable[[Any], Any] | None = None

    def of(self, one: figures.Member) -> figures.Member:
        probe = None if one.probe is None else self.told(one.probe)
        surface = None if one.surface is None else self.told(one.surface)
        path = None if one.trajectory is None else self.told(one.trajectory)
        return replace(one, surface=surface, history=self.told(one.history), trajectory=path, probe=probe)

    def told(self, dataset: xr.Dataset) -> xr.Dataset:
        found = dataset.drop_vars([name for name in dataset if str(name).endswith("accuracy")])
        found = found.assign({name: self.loss(found[name]) for name in found if str(name).endswith("loss")})
        if self.score:
            scores = {split: f"{split}_loss" for split in ("train", "test") if f"{split}_loss" in found}
            found = found.assign(
                {f"{split}_{self.attrs['score']}": self.score(found[of]) for split, of in scores.items()}
            )
        kept = {key: value for key, value in found.attrs.items() if key != "classes"}
        return found.drop_attrs(deep=False).assign_attrs(kept | self.attrs)


OTHERS = {
    "regression": Other({"loss": "squared error", "score": "r2"}, lambda loss: 1e-3 * loss, lambda loss: 1 - 50 * loss),
    "physics": Other({"loss": "wave_residual"}, lambda loss: 2e4 * loss),
    "negative": Other({"loss": "elbo"}, lambda loss: loss - 3),
    "words": Other(
        {"loss": "cross-entropy", "loss_unit": "natural logarithm", "score": "perplexity", "classes": 65},
        lambda loss: loss,
        np.exp,
    ),
}


def everything() -> dict[str, tuple[Any, list[figures.Member]]]:
    """A figure of each kind."""
    plane, line = [member("net")], [member("net", beta=None, named="line")]
    curved, walked = [curved_surfaces.curved("net", curved_surfaces.double_well)], [test_figures_paths.walker()]
    many = test_figures_paths.networks()
    ends = test_figures_lines.pair()
    return {
        "contours": (spec(Contours, runs=("net",), plane="contour"), plane),
        "both": (spec(Contours, runs=("net",), plane="contour", variable="both"), plane),
        "surfaces": (spec(Surfaces, runs=("net",), plane="contour"), plane),
        "lines": (spec(Lines, runs=("net",), plane=("line",)), line),
        "interpolation": (test_figures_lines.pair_spec(), ends),
        "training": (spec(Training, runs=("net",)), plane),
        "overlay": (spec(Overlay, runs=("net",), lines=("line",)), line),
        "profiles": (spec(Profiles, runs=("net",), plane="contour", line=("line",)), [*line, *plane]),
        "bundles": (spec(Bundles, runs=("net",), rows=[("line",)]), line),
        "rings": (spec(Rings, runs=("net",), planes=("contour",), rises=(1e-4,)), plane),
        "curvature": (spec(Curvature, runs=("net",), plane="contour"), curved),
        "gradients": (spec(Gradients, runs=("net",), plane="contour"), curved),
        "trajectories": (spec(Trajectories, runs=("net",), planes=("pca",)), walked),
        "sharpness": (spec(Sharpness, runs=("net",), planes=tuple({m.plane for m in many}), number="minima"), many),
        "spectra": (
            spec(Spectra, probe="point", runs=["net"]),
            [probed_members.probed("net", probed_members.spectrum(), measure="spectrum")],
        ),
        "layers": (
            spec(Layers, probe="point", runs=["net"]),
            [probed_members.probed("net", probed_members.layers(["a", "b"]), measure="activations")],
        ),
        "saddle": (spec(Saddle, probe="saddle", runs=["net@003"]), [test_figures_saddle.member()]),
    }


@pytest.fixture(scope="module", params=OTHERS)
def drawings(request: pytest.FixtureRequest) -> tuple[str, dict[str, figures.Drawing]]:
    other = OTHERS[request.param]
    found = {name: figures.render(of, [*map(other.of, members)]) for name, (of, members) in everything().items()}
    return request.param, found


def test_every_figure_names_the_loss_and_nothing_else(drawings: tuple[str, dict[str, figures.Drawing]]) -> None:
    name, found = drawings
    named = {
        "regression": "mean squared error",
        "physics": "mean wave_residual",
        "negative": "mean elbo",
        "words": "mean cross-entropy (natural logarithm)",
    }[name]
    for kind, drawing in found.items():
        said = published(drawing.caption).astext()
        if name != "words":
            assert "cross-entropy" not in said and "logarithm)" not in said and "ln(" not in said, (kind, said)
            assert "guessing" not in said and "guessing" not in texts(drawing.figure), (kind, said)
        assert "accuracy" not in said + texts(drawing.figure), (kind, said)
        assert "test error " not in texts(drawing.figure) and "Wilson" not in said, (kind, said)
        if kind not in ("rings", "sharpness"):
            assert named in said, (kind, said)


def test_notes_have_the_score_by_its_name(drawings: tuple[str, dict[str, figures.Drawing]]) -> None:
    name, found = drawings
    said = texts(found["contours"].figure)
    expected = {
        "regression": "test R2 0.995",
        "physics": "test loss 2,000",
        "negative": "test loss",
        "words": "test perplexity 1.11",
    }
    assert expected[name] in said
    assert ("train loss (squared error)" in said) == (name == "regression")


def test_lines_have_an_axis_for_the_score_they_have(drawings: tuple[str, dict[str, figures.Drawing]]) -> None:
    name, found = drawings
    axes = found["lines"].figure.axes
    right = {"regression": "R2", "words": "perplexity"}.get(name)
    assert [ax.get_ylabel() for ax in axes[1:]] == ([right] if right else [])
    assert "vermilion" in found["lines"].caption if right else "right axis" not in found["lines"].caption
    score = {"regression": "r2", "words": "perplexity"}.get(name)
    assert (f"test_{score}" in found["lines"].numbers) == bool(score)
    rows = found["training"].figure.axes
    assert len(rows) == (3 if right else 2)


def test_a_loss_that_varies_little_has_a_linear_scale_within_its_values() -> None:
    flat = Other({"loss": "squared error"}, lambda loss: 0.93 + 0.02 * loss).of(member("net")).seen
    scale = loss_scale.scale_of([flat], ["train_loss"])
    assert not scale.logarithmic and scale.low == pytest.approx(0.92) and scale.high == pytest.approx(1.08)
    assert len(scale.levels) >= 8 and scale.thick_ones == "" and len(scale.ticks) <= 6
    same = Other({"loss": "squared error"}, lambda loss: 0 * loss + 0.5).of(member("net"))
    figures.render(spec(Surfaces, runs=("net",), plane="contour"), [same])


@pytest.mark.parametrize(
    ("factor", "low", "high"), [(1e-4, 2e-7, 1e-3), (1.0, 2e-3, 10), (1e5, 200, 1e6)], ids=["small", "one", "large"]
)
def test_the_scale_of_other_losses_follows_from_their_values(factor: float, low: float, high: float) -> None:
    surface = Other({"loss": "squared error"}, lambda loss: factor * loss).of(member("net")).seen
    scale = loss_scale.scale_of([surface], ["train_loss"])
    values = surface.train_loss.values
    assert scale.low == pytest.approx(low) and scale.high == pytest.approx(high)
    assert scale.low <= values.min() and values.max() <= scale.high and scale.logarithmic
    inside = [level for level in scale.levels if values.min() < level < values.max()]
    assert len(inside) >= 4 and len(scale.levels) <= 14
    powers = [level for level in scale.levels if scale.is_thick(level)]
    assert powers == [level for level in scale.levels if f"{level:e}".startswith("1.000000e")]
    assert loss_scale.scale_of([surface], ["train_loss"], (1.0, 2.0)).levels == (1.0, 2.0)


def test_a_scale_of_negative_losses_is_linear_and_an_outlier_does_not_set_its_end() -> None:
    negative = OTHERS["negative"].of(member("net")).seen
    scale = loss_scale.scale_of([negative], ["train_loss"])
    assert not scale.logarithmic and -3.5 <= scale.low <= float(negative.train_loss.min())
    assert scale.low <= min(scale.levels) and max(scale.levels) <= scale.high and len(scale.levels) >= 4

    def spiked(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.where((a > 0.95) & (b > 0.95), 1e12, bowl(a, b))

    assert loss_scale.scale_of([OTHERS["regression"].of(member("net", spiked)).seen], ["train_loss"]).high < 1
    line = OTHERS["regression"].of(member("net", lambda a, b: np.where(a > 0.95, 1e12, bowl(a, b)), beta=None)).seen
    assert line_axes.loss_limits([line])[1] < 1


def test_one_place_for_losses_of_several_kinds() -> None:
    """A cross-entropy and a squared error in one figure: the scale is from the values, and both are named."""
    members = [member("net"), OTHERS["regression"].of(member("other"))]
    drawing = figures.render(spec(Contours, runs=("net", "other"), plane="contour"), members)
    assert "mean cross-entropy (natural logarithm) / mean squared error" in published(drawing.caption).astext()
    lines = figures.render(
        spec(Lines, runs=("net", "other"), plane=("line",)),
        [
            replace(m, plane="line")
            for m in (
                member("net", beta=None, named="line"),
                OTHERS["regression"].of(member("other", beta=None, named="line")),
            )
        ],
    )
    assert len(lines.figure.axes) == 2, "no common score"


def high(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return 200 + 3 * (a - 0.5) ** 2 + 40 * b**2


@pytest.mark.parametrize(("loss", "said"), [(bowl, []), (high, ["lowest at (0.5, 0): 0.75 below the centre"])])
def test_findings_of_a_loss_without_guessing(loss: Loss, said: list[str]) -> None:
    one = Other({"loss": "squared error", "score": "r2"}, lambda value: value).of(member("net", loss))
    assert [finding.label for finding in one.findings] == said
    numbers, reasons = geometry.numbers(one.seen), geometry.reasons(one.seen)
    assert np.isnan(numbers["width_level_guessing"]) and np.isnan(numbers["convex_share"])
    assert reasons["convex_share"] == "the loss is no cross-entropy of classes"
    assert np.isfinite(numbers["step_alpha"])


def test_an_accuracy_over_pixels_has_no_interval() -> None:
    one = member("net")
    told = replace(
        one,
        history=one.history.assign_attrs(
            loss="cross-entropy", loss_unit="natural logarithm", score="accuracy", score_of="parts of examples"
        ),
    )
    drawing = figures.render(spec(Contours, runs=("net",), plane="contour"), [told])
    assert "test error 5.1 %\n" in texts(drawing.figure)
    assert "Wilson" not in drawing.caption
