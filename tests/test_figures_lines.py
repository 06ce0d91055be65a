"""Figures of lines and of training, alone and in bands, by their structure; never by their pixels."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from matplotlib.collections import PolyCollection
from scipy.stats import norm

from landscape import figures
from landscape.errors import InputError
from landscape.figures.kinds import bundles, training
from landscape.figures.kinds.bundles import Bundles
from landscape.figures.kinds.interpolation import Interpolation
from landscape.figures.kinds.lines import Lines
from landscape.figures.kinds.profiles import Profiles
from landscape.figures.kinds.training import Training
from landscape.figures.shared import groups, line_axes, panel_grid, style, weight_density, widths
from landscape.geometry import comparisons

from members import Loss, assert_texts_apart, bowl, drawn, history, inside, member, published, spec, texts

LINE: dict[str, Any] = {"alpha": (-1, 1, 41), "beta": None}
TO: dict[str, Any] = {"directions": "to", "run": "large", "alpha": (-0.5, 1.5, 201), "beta": None}


def valley(curvature: float, at: float = 0.0) -> Loss:
    return lambda a, b: 0.002 + curvature * ((a - at) ** 2 + b**2)


def lines_of(run: str, curvatures: list[float], named: str = "s", **more: Any) -> list[figures.Member]:
    """One line per curvature, named s0, s1, ..."""
    return [member(run, valley(c), **LINE, named=f"{named}{k}", seed=k, **more) for k, c in enumerate(curvatures)]


def names_of(members: list[figures.Member]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(member.state for member in members))


def of_seeds(count: int = 3, **recipe: Any) -> list[figures.Member]:
    return [
        member(
            f"net-s{k}-wide",
            valley(k + 1.0),
            **LINE,
            final=(0.002, 0.999 - 0.1 * k),
            recipe={"seed": k, "keep": k + 1, **recipe},
        )
        for k in range(count)
    ]


def edges(ax: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    """Lower and upper edge of each band, along its x."""
    found = []
    for of in ax.collections:
        assert isinstance(of, PolyCollection)
        x, y = np.asarray(of.get_paths()[0].vertices).T
        at = np.unique(x)
        found.append((np.array([y[x == k].min() for k in at]), np.array([y[x == k].max() for k in at])))
    return found


def pair(hole: bool = True) -> list[figures.Member]:
    """A line from `small`, with a wide minimum, to `large`, with a narrow one; the same recalibrated; then `large`."""

    def between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        loss = np.where(a < 0.8, a**2, 800 * (a - 1) ** 2)
        return np.where((a > 1.2) & (a < 1.3) & hole, np.nan, loss)

    weights = {"conv.weight": np.linspace(-0.02, 0.02, 1000).reshape(10, 100), "bn.running_var": np.full(9, 7.0)}
    recipes: list[dict[str, Any]] = [{"epochs": 12, "batch_size": size, "weight_decay": 0} for size in (100, 1000)]
    small = member("small", between, **TO, named="to-large", recipe=recipes[0])
    again = member("small", valley(1), **TO, named="again", batchnorm="recalibrated", recipe=recipes[0])
    again.seen.attrs["recalibration_examples"] = 1024
    twice = {name: 2 * values for name, values in weights.items()}
    return [
        replace(small, weights=weights),
        replace(again, weights=weights),
        figures.Member("large", None, history("large", **recipes[1]), weights=twice),
    ]


def pair_spec(recalibrated: bool = True, **more: Any) -> Any:
    row = {"run": "small", "to": "large", "plane": "to-large"} | ({"recalibrated": "again"} if recalibrated else {})
    return spec(Interpolation, rows=[row], **more)


def profiles_of(count: int) -> tuple[Any, list[figures.Member]]:
    members = []
    for k in range(count):
        recipe = {"batch_size": 2 ** (k + 4), "weight_decay": 0.001 * (k % 2)}
        members += lines_of(f"net{k}", [1 + k, 2 + k, 4 + k], recipe=recipe)
        members.append(member(f"net{k}", valley(2 + k), recipe=recipe))
    return spec(Profiles, runs=names_of(members), line=("s0", "s1", "s2"), plane="contour"), members


def bundles_of(count: int, images: int = 10_000) -> tuple[Any, list[figures.Member]]:
    """Runs whose filter-normalised lines are the narrower, the higher the test error."""
    members = []
    for k in range(count):
        final = (0.002, 0.99 - 0.01 * k)
        members += lines_of(
            f"net{k}", [3 - 0.3 * (k % 2), 3, 4], "raw", normalize="none", final=final, recipe={"batch_size": 64 + k}
        )
        members += lines_of(f"net{k}", [1 + k, 2 + k, 4 + k], "own", final=final, recipe={"batch_size": 64 + k})
    for of in members:
        of.history.attrs["test_examples"] = images
    rows = [[f"{named}{k}" for k in range(3)] for named in ("raw", "own")]
    return spec(Bundles, runs=names_of(members), rows=rows), members


def many_trainings(count: int) -> tuple[Any, list[figures.Member]]:
    members = [figures.Member(f"a-run-with-a-name-{k}", None, history(f"{k}")) for k in range(count)]
    return spec(Training, runs=names_of(members)), members


def every_kind() -> dict[str, tuple[Any, list[figures.Member]]]:
    several = lines_of("net", [1, 2, 3]) + lines_of("other_", [4, 5, 6], final=(1.0, 0.5))
    seeds = of_seeds()
    return {
        "lines": (spec(Lines, runs=("net", "other_"), plane=("s0", "s1", "s2")), several),
        "seeds": (spec(Lines, runs=names_of(seeds), plane="line", over="seed"), seeds),
        "training": many_trainings(20),
        "interpolation": (pair_spec(title="From one to the other", about="*Mine*"), pair()),
        "profiles": profiles_of(5),
        "bundles": bundles_of(4),
    }


KINDS = list(every_kind())


@pytest.mark.parametrize("kind", KINDS)
def test_texts_have_room_and_captions_are_valid(kind: str) -> None:
    of_kind, members = every_kind()[kind]
    drawing = figures.render(of_kind, members)
    assert_texts_apart(drawing.figure)
    said = published(drawing.caption).astext()
    if of_kind.about:
        assert said.startswith(of_kind.about)
    assert all(member.label in said for member in members)
    assert "297 examples" in said or "10,000 examples" in said


@pytest.mark.parametrize("kind", ["interpolation", "profiles", "bundles"])
def test_saving_twice_gives_equal_bytes(kind: str, tmp_path: Path) -> None:
    of_kind, members = every_kind()[kind]
    for folder in ("first", "second"):
        figures.save(figures.render(of_kind, members), tmp_path / folder / "f.pdf")
    for suffix in ("pdf", "png", "csv", "rst"):
        first, second = (tmp_path / folder / f"f.{suffix}" for folder in ("first", "second"))
        assert first.read_bytes() == second.read_bytes()


def test_a_plane_is_no_line() -> None:
    with pytest.raises(InputError, match=r"'contour' has 21 x 31 points, and draw: lines needs a line"):
        figures.render(spec(Lines, plane="contour", runs=("net",)), [member("net")])


def test_lines_share_axes_and_styles() -> None:
    members = [member("net", beta=None), member("steep", lambda a, b: 9 * bowl(a, b), beta=None)]
    figure = drawn(spec(Lines, plane="line", runs=("net", "steep")), members)
    losses, accuracies = figure.axes[:2], figure.axes[2:]
    assert {ax.get_ylim() for ax in losses} == {(0, 5)} and {ax.get_ylim() for ax in accuracies} == {(0, 100)}
    for ax, colour in [(ax, style.LOSS) for ax in losses] + [(ax, style.ACCURACY) for ax in accuracies]:
        assert [(line.get_linestyle(), line.get_color()) for line in ax.lines] == [("-", colour), ("--", colour)]
    train = members[0].seen.isel(beta=0)
    np.testing.assert_array_equal(losses[0].lines[0].get_ydata(), train.train_loss)
    np.testing.assert_array_equal(accuracies[0].lines[0].get_ydata(), 100 * train.train_accuracy)


def test_the_loss_axis_of_lines() -> None:
    def top(surface: xr.Dataset) -> float:
        return line_axes.loss_limits([surface])[1]

    assert top(member("net", lambda a, b: 1 + a**2, beta=None, test=False).seen) == pytest.approx(2.1)
    assert top(member("net", lambda a, b: 1e6 * bowl(a, b), beta=None).seen) == 5
    many = member("net", lambda a, b: 1e6 * bowl(a, b), beta=None).seen.assign_attrs(classes=1000)
    assert top(many) == pytest.approx(2 * math.log(1000))
    assert top(member("net", lambda a, b: np.nan * a, beta=None).seen) == 5


def test_spans_not_finite_are_hatched_half_way_to_their_neighbours() -> None:
    members = [member("net", lambda a, b: np.where(a > 0.75, np.nan, bowl(a, b)), beta=None)]
    ax = drawn(spec(Lines, plane="line", runs=("net",)), members).axes[0]
    (span,) = [patch for patch in ax.patches if patch.get_hatch()]
    assert (span.get_x(), span.get_x() + span.get_width()) == pytest.approx((0.75, 1))


def test_a_line_between_runs_is_grey_beyond_them_and_has_both_errors() -> None:
    to: dict[str, Any] = {"directions": "to", "run": "other", "alpha": (-0.5, 1.5, 41), "beta": None}
    members = [member("net", lambda a, b: 9 * (a * (1 - a)) ** 2, **to)]
    figure = drawn(spec(Lines, plane="line", runs=("net",)), members)
    grey = sorted((p.get_x(), p.get_x() + p.get_width()) for p in figure.axes[0].patches)
    assert grey == [(-0.5, 0), (1, 1.5)]
    drawing = figures.render(spec(Lines, plane="line", runs=("net",)), members)
    assert "Test error at other 10.1\N{NO-BREAK SPACE}%" in drawing.caption


def test_training_draws_three_rows_up_to_the_epoch() -> None:
    members = [figures.Member("net", None, history("net")), figures.Member("net@004", None, history("net", test=False))]
    drawing = figures.render(spec(Training, runs=("net", "net@004")), members)
    axes: list[Any] = drawing.figure.axes
    loss, error, rate = axes
    assert (loss.get_yscale(), error.get_yscale(), rate.get_yscale()) == ("log", "linear", "log")
    assert [ax.get_ylabel() for ax in drawing.figure.axes] == ["loss", "error (%)", "learning rate"]
    assert [len(line.get_xdata()) for line in loss.lines] == [11, 11, 5]
    assert [line.get_linestyle() for line in loss.lines] == ["-", "--", "-"]
    assert loss.lines[0].get_color() != pytest.approx(loss.lines[2].get_color())
    assert error.lines[0].get_ydata()[-1] == pytest.approx(0.1)
    assert rate.get_xlabel() == "epochs trained"
    assert list(drawing.numbers.member.value_counts()) == [11, 5]


def test_run_colours_differ_in_grey() -> None:
    grey = style.run_colours(6)[:, :3] @ [0.299, 0.587, 0.114]
    assert (np.diff(grey) > 0.04).all()


def test_an_adopted_run_has_one_row() -> None:
    members = [figures.Member("mine", None, history("mine").isel(epoch=[0]))]
    drawing = figures.render(spec(Training, runs=("mine",)), members)
    assert len(drawing.numbers) == 1


def test_a_spread_is_the_extremes_and_the_median_of_what_is_finite() -> None:
    curves = np.array([[1, 5, np.nan, np.nan], [4, np.inf, 2, np.nan], [9, 3, 6, np.inf]])
    low, middle, high = line_axes.spread(curves)
    np.testing.assert_array_equal(low, [1, 3, 2, np.nan])
    np.testing.assert_array_equal(middle, [4, 4, 4, np.nan])
    np.testing.assert_array_equal(high, [9, 5, 6, np.nan])


def test_several_lines_of_a_run_are_their_median_and_a_band() -> None:
    members = lines_of("net", [1, 5, 2])
    drawing = figures.render(spec(Lines, runs=("net",), plane=("s0", "s1", "s2")), members)
    axes: list[Any] = drawing.figure.axes
    loss, accuracy = axes
    curves = {name: line_axes.stack([m.seen for m in members], name) for name in line_axes.variables([members[0].seen])}
    np.testing.assert_allclose(loss.lines[0].get_ydata(), np.median(curves["train_loss"], axis=0))
    np.testing.assert_allclose(accuracy.lines[1].get_ydata(), 100 * np.median(curves["test_accuracy"], axis=0))
    for ax, name, factor in ((loss, "train_loss", 1), (accuracy, "train_accuracy", 100)):
        low, high = edges(ax)[0]
        np.testing.assert_allclose(low, factor * curves[name].min(axis=0))
        np.testing.assert_allclose(high, factor * curves[name].max(axis=0))
    assert "median of 3 lines, each along a direction of its own, and a band" in drawing.caption
    assert list(drawing.numbers.plane.value_counts()) == [41, 41, 41]


def test_runs_that_differ_in_their_seed_share_a_panel() -> None:
    members = of_seeds() + of_seeds(1, weight_decay=0.1) + [member("net-s0-wide@004", **LINE, recipe={"seed": 0})]
    found = groups.group(members, "seed")
    assert [(of.label, len(of.members)) for of in found] == [
        ("net-wide (3 seeds)", 3),
        ("net-s0-wide", 1),
        ("net-s0-wide, epoch 4", 1),
    ]
    drawing = figures.render(spec(Lines, runs=names_of(members[:3]), plane="line", over="seed"), members[:3])
    assert len(drawing.figure.axes) == 2 and drawing.caption.count("trained with seed") == 3
    assert "test error 5.1 to 24.2 %" in texts(drawing.figure)


@pytest.mark.parametrize(
    ("names", "common"),
    [
        (["vgg-s0", "vgg-s1"], "vgg"),
        (["resnet56", "resnet56-s1"], "resnet56"),
        (["s0-vgg-wd0.0005", "s1-vgg-wd0.0005"], "vgg-wd0.0005"),
        (["vgg-s0-wd0.0005", "vgg-s1-wd0.0005"], "vgg-wd0.0005"),
        (["first", "second"], "first"),
    ],
)
def test_the_common_part_of_names(names: list[str], common: str) -> None:
    found = groups.group([member(name, recipe={"seed": k}) for k, name in enumerate(names)], "seed")
    assert [of.label for of in found] == [f"{common} (2 seeds)"]


def test_lines_of_one_band_differ_in_their_seed_alone() -> None:
    members = [member("net", **LINE, named="a"), member("net", **LINE, named="b", normalize="layer")]
    with pytest.raises(InputError, match="net: the lines 'a' and 'b' differ in normalize; draw: lines makes one band"):
        figures.render(spec(Lines, runs=("net",), plane=("a", "b")), members)


def test_what_differs_between_recipes() -> None:
    def said(*recipes: dict[str, Any]) -> list[str]:
        members = [member(f"n{k}", recipe=recipe) for k, recipe in enumerate(recipes)]
        return [text.replace("\N{NO-BREAK SPACE}", " ") for text in groups.descriptions(members)]

    assert said({"weight_decay": 0, "batch_size": 16}, {"weight_decay": 0.0005, "batch_size": 32}) == [
        "decay 0, batch 16",
        "decay 0.0005, batch 32",
    ]
    assert said({"optimizer": "adam"}, {"seed": 4}) == ["adam", "sgd"]
    assert said({"seed": 1}, {"seed": 2}) == ["n0", "n1"]
    assert said({"batch_size": 1}, {"batch_size": 2, "seed": 1}, {"batch_size": 2, "seed": 2}) == ["n0", "n1", "n2"]


def test_findings_of_several_lines_are_counted() -> None:
    members = lines_of("net", [1, 900, 1000], final=(0.002, 0.99))
    (of,) = groups.group(members)
    assert groups.notes(of) == [
        "test error 6.1\N{NO-BREAK SPACE}% (3.9\N{NO-BREAK SPACE}to\N{NO-BREAK SPACE}9.4)",
        "train loss 0.002",
    ]
    assert groups.title(of) == "net\N{NO-BREAK SPACE}\N{DAGGER}"
    (item,) = groups.items([of])
    for said in (
        "On 1 of them, for instance: The region around the centre",
        "On 2 of them, for instance: The 0.1 ring spans 0.1 cells",
        "On 2 of them, for instance: At 68 % of the points the loss is above 100",
    ):
        assert said in item
    untrained = groups.group(lines_of("net", [1, 2], final=(2.0, 0.3)))
    assert " The run ended at a train loss of 2, " in groups.items(untrained)[0]


def legend_of(ax: Any) -> list[str]:
    return [text.get_text().replace("\n", "") for text in ax.get_legend().get_texts()]


def test_training_over_seeds_is_a_median_and_a_band() -> None:
    members = [
        figures.Member(f"net-s{k}", None, history(f"net-s{k}", final=(10.0**-k, 0.9), seed=k)) for k in (1, 2, 3)
    ]
    drawing = figures.render(spec(Training, runs=names_of(members), over="seed"), members)
    axes: list[Any] = drawing.figure.axes
    curves = np.stack([m.history.train_loss for m in members])
    np.testing.assert_allclose(axes[0].lines[0].get_ydata(), np.median(curves, axis=0))
    low, high = edges(axes[0])[0]
    np.testing.assert_allclose(low, curves.min(axis=0))
    np.testing.assert_allclose(high, curves.max(axis=0))
    assert legend_of(axes[2]) == ["net (3 seeds)"]
    assert "several seeds (n = 3)" in drawing.caption and len(drawing.numbers) == 33


def test_many_trainings_are_shared_out_among_columns_with_the_same_axes() -> None:
    of_kind, members = many_trainings(20)
    assert [len(share) for share in training.share_out(groups.group(members))] == [7, 7, 6]
    assert [len(share) for share in training.share_out(groups.group(members[:8]))] == [8]
    figure = drawn(of_kind, members)
    assert len(figure.axes) == 9
    for row in (figure.axes[:3], figure.axes[3:6], figure.axes[6:]):
        assert len({ax.get_ylim() for ax in row}) == len({ax.get_xlim() for ax in row}) == 1
    assert [entry for ax in figure.axes[6:] for entry in legend_of(ax)] == [member.label for member in members]


def test_an_interpolation_has_the_line_with_its_widths() -> None:
    drawing = figures.render(pair_spec(), pair())
    axes: list[Any] = drawing.figure.axes
    ax, twin = axes[0], axes[3]
    assert ax.get_ylim() == (0, 5) and twin.get_ylim() == (0, 100)
    assert [(line.get_linestyle(), line.get_linewidth()) for line in ax.lines[:4]] == [
        ("-", 1.2),
        ("--", 1.2),
        ("-", 0.5),
        ("--", 0.5),
    ]
    spans = sorted((p.get_x(), p.get_x() + p.get_width()) for p in ax.patches if not p.get_hatch())
    assert spans == [(-0.5, 0), (1, 1.5)]
    (hatched,) = [p for p in ax.patches if p.get_hatch()]
    assert (hatched.get_x(), hatched.get_x() + hatched.get_width()) == pytest.approx((1.205, 1.295))
    at_0, at_1 = ax.lines[4:]
    assert at_0.get_xdata() == pytest.approx([-0.5, math.sqrt(0.5)], abs=1e-3) and at_0.get_ydata() == pytest.approx(
        [0.5, 0.5]
    )
    assert at_1.get_xdata() == pytest.approx([0.975, 1.025], abs=1e-3)
    said = texts(drawing.figure).replace("\n", " ")
    assert "batch 100 to batch 1000" in said
    assert "error 10.1 % (7.2 to 14.1) at 0 error 10.1 % (7.2 to 14.1) at 1" in said
    assert "On the line to large: w at least 1.21 at alpha 0, w not resolved at alpha 1." in drawing.caption
    assert "9 of 201 points not finite" in drawing.caption
    assert "recalibrated at every point on 1,024 training examples" in drawing.caption


def test_norms_are_drawn_over_steps_with_the_drops_of_the_rate() -> None:
    figure = drawn(pair_spec(), pair())
    ax = figure.axes[1]
    assert ax.get_xscale() == ax.get_yscale() == "log"
    norms = {"steps": 15 * np.arange(1, 13), "norm": 10 + np.sqrt(np.arange(1, 13))}
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), norms["steps"])
    np.testing.assert_allclose(ax.lines[0].get_ydata(), norms["norm"])
    np.testing.assert_array_equal(ax.lines[1].get_xdata(), 15 * np.array([6, 9, 11]))
    np.testing.assert_array_equal(ax.lines[2].get_xdata(), 2 * np.arange(1, 13))
    assert [line.get_linestyle() for line in ax.lines[::2]] == ["-", "--"]
    assert "at 0: from 10 to 13.5" in texts(figure).replace("\n", " ")


def test_an_adopted_run_has_no_norms() -> None:
    adopted = history("mine").isel(epoch=[0])
    adopted.attrs["spec"] = '{"network": "resnet20", "data": "digits", "weights": "mine.pt"}'
    assert len(weight_density.norms(figures.Member("mine", None, adopted))) == 0


def test_densities_are_of_all_weights_with_more_than_one_dimension() -> None:
    member_of = pair()[0]
    assert weight_density.flat(member_of).size == 1000
    random = np.random.default_rng(0).normal(size=(2, 100_000)) * [[1.0], [0.5]]
    of = weight_density.densities(list(random))
    assert of.edges[[0, -1]] == pytest.approx([-4 * random.std(), 4 * random.std()]) and of.edges.size == 201
    shares = (of.values * np.diff(of.edges)).sum(axis=1)
    np.testing.assert_allclose(shares, [(np.abs(w) <= of.edges[-1]).mean() for w in random])
    np.testing.assert_allclose(shares, [1 - outside for outside in of.outside])
    middle = (of.edges[1:] + of.edges[:-1]) / 2
    np.testing.assert_allclose(of.values[0], norm.pdf(middle), atol=0.03)
    assert of.norms == pytest.approx(np.sqrt((random**2).sum(axis=1)))
    assert of.small[1] == pytest.approx(2 * norm.cdf(0.02) - 1, abs=2e-3)


def test_the_density_panel_has_one_axis_for_both_runs() -> None:
    figure = drawn(pair_spec(), pair())
    ax = figure.axes[2]
    assert ax.get_yscale() == "log" and len(ax.patches) == 2
    spread = 4 * np.concatenate([np.linspace(-0.02, 0.02, 1000), np.linspace(-0.04, 0.04, 1000)]).std()
    assert ax.get_xlim() == pytest.approx((-spread, spread))
    first, second = (patch.get_data().values for patch in ax.patches)
    assert np.nanmax(first) == pytest.approx(25, rel=0.1) and np.nanmax(second) == pytest.approx(12.5, rel=0.1)
    said = texts(figure).replace("\n", " ")
    assert "at 0: norm 0.366, 50 % below 0.01" in said and "at 1: norm 0.731, 25 % below 0.01" in said


def test_the_numbers_of_an_interpolation_are_all_that_is_drawn() -> None:
    numbers = figures.render(pair_spec(), pair()).numbers
    assert dict(numbers.groupby(["panel", "member"]).size()) == {
        ("line", "small"): 402,
        ("norm", "small"): 13,
        ("norm", "large"): 13,
        ("weights", "small"): 200,
        ("weights", "large"): 200,
    }


def test_an_interpolation_leads_to_the_run_it_names() -> None:
    members = pair()
    other = figures.Member("other", None, history("other"), weights=members[2].weights)
    row = {"run": "small", "to": "other", "plane": "to-large"}
    with pytest.raises(InputError, match="'to-large' leads from small to large, and the figure says to other"):
        figures.render(spec(Interpolation, rows=[row]), [*members[:2], other])


def test_profiles_stand_above_their_planes() -> None:
    of_kind, members = profiles_of(2)
    figure = drawn(of_kind, members)
    above, below = figure.axes[:2], figure.axes[2:4]
    assert {ax.get_ylabel() for ax in above} == {"loss", ""} and below[0].get_ylabel() == "beta"
    for k, ax in enumerate(above):
        curves = line_axes.stack(
            [m.seen for m in members if m.state == f"net{k}" and m.plane != "contour"], "train_loss"
        )
        np.testing.assert_allclose(ax.lines[0].get_ydata(), np.median(curves, axis=0))
        low, high = edges(ax)[0]
        np.testing.assert_allclose(low, curves.min(axis=0))
        np.testing.assert_allclose(high, curves.max(axis=0))
        half = math.sqrt(0.5 / (2 + k))  # of the middle one, 0.002 + (2 + k) a^2
        assert ax.lines[-1].get_xdata() == pytest.approx([-half, half], abs=0.01)
        assert ax.lines[-1].get_ydata() == pytest.approx([0.502, 0.502])
    assert len({ax.get_ylim() for ax in above}) == 1 and {ax.get_ylim() for ax in below} == {(-1, 1)}
    said = texts(figure).replace("\n", " ")
    assert "decay 0, batch 16, test error 5.1 % (3.1 to 8.2)" in said and "width 1.00 (0.71 to 1.41)" in said


def test_more_than_four_profiles_wrap_and_leave_no_empty_axes() -> None:
    of_kind, members = profiles_of(5)
    axes = drawn(of_kind, members).axes[:-1]  # the last is the colour bar
    assert len(axes) == 10
    assert [len(ax.lines) > 1 for ax in axes] == [True] * 3 + [False] * 3 + [True] * 2 + [False] * 2


def test_cells_are_in_reading_order() -> None:
    assert panel_grid.cells(3, 2, 2) == [(0, 0), (0, 1), (1, 0), (1, 1), (0, 2), (0, None), (1, 2), (1, None)]


def test_bundles_draw_every_line_and_the_median() -> None:
    of_kind, members = bundles_of(4)
    drawing = figures.render(of_kind, members)
    axes: list[Any] = drawing.figure.axes
    assert len(axes) == 8 and len({ax.get_ylim() for ax in axes}) == 1
    own = [m.seen for m in members if m.state == "net2" and str(m.plane).startswith("own")]
    curves = line_axes.stack(own, "train_loss")
    assert [line.get_linewidth() for line in axes[6].lines] == [0.4, 0.4, 0.4, 1.4]
    for line, curve in zip(axes[6].lines, [*curves, np.median(curves, axis=0)], strict=True):
        np.testing.assert_allclose(line.get_ydata(), curve)
    said = texts(drawing.figure)
    assert "no normalisation" in said and "normalised: filter" in said
    assert "alpha (1 = a step N(0, 1) of each weight)" in said and "alpha (1 = 100 % of each filter's norm)" in said
    right = [text.get_text() for ax in axes for text in inside(ax)]
    assert right == 2 * ["order: not tested"] and "an order needs 5 networks, and there are 4" in drawing.caption


def test_the_order_of_bundles_is_tested_from_five_networks_on_and_never_on_few_examples() -> None:
    def orders(count: int, images: int = 10_000) -> list[comparisons.Comparison]:
        of_kind, members = bundles_of(count, images)
        return [bundles.order(groups.group([m for m in members if m.plane in planes])) for planes in of_kind.rows]

    own = orders(6)[1]
    assert own.networks == 6 and own.tau == pytest.approx(1) and own.p == pytest.approx(2 / math.factorial(6))
    of_kind, members = bundles_of(6)
    said = [text.get_text() for ax in figures.render(of_kind, members).figure.axes for text in inside(ax)]
    assert "tau 1.00, p 0.0028, n 6" in said
    assert all("999 test examples are too few" in of.untested for of in orders(6, images=999))
    assert math.isnan(orders(4)[1].tau)


def test_runs_that_did_not_train_or_leave_the_range_are_left_out_of_the_order_by_pairs() -> None:
    of_kind, members = bundles_of(6)
    own = [m for m in members if m.plane in of_kind.rows[1]]
    untrained = [
        m if m.state != "net3" else replace(m, history=m.history.assign(train_loss=m.history.epoch + 1)) for m in own
    ]
    found = bundles.order(groups.group(untrained))
    assert found.pairs == 10 and found.left_out == {"one did not train": 5}
    cut = [m if m.plane != "own0" else replace(m, surface=m.seen.assign(train_loss=0 * m.seen.train_loss)) for m in own]
    assert bundles.order(groups.group(cut)).untested.startswith("no two networks can be compared: 15 pairs (cut by")


def test_widths_in_words() -> None:
    def said(*curvatures: float) -> str:
        surfaces = [member("net", valley(c), **LINE).seen for c in curvatures]
        return widths.phrase(widths.wells(surfaces)).replace("\N{NO-BREAK SPACE}", " ")

    assert said(2) == "1.00"
    assert said(2, 8, 4) == "0.71 (0.50 to 1.00)"
    assert said(0.1) == "at least 2.00"
    assert said(500) == "not resolved" and said(2, 500, 600) == "not resolved on 2 of 3 lines"
    assert widths.phrase(widths.wells([member("net", **LINE).seen], at=3)) == "no point at alpha = 3"


def test_an_interpolation_between_adopted_runs_says_that_their_norms_are_unknown() -> None:
    members = pair(hole=False)
    for of in members:
        of.history.attrs["spec"] = '{"network": "resnet20", "data": "digits", "weights": "mine.pt"}'
    figure = drawn(pair_spec(), members)
    assert [line.get_xdata().size for line in figure.axes[1].lines] == [0, 0, 0, 0]
    assert "at 0: not trained here at 1: not trained here" in texts(figure).replace("\n", " ")
