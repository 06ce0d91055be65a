"""What is drawn, by its structure: levels, limits, labels, places; never by its pixels."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.patches import Rectangle

from landscape import figures
from landscape.errors import InputError
from landscape.figures.kinds import surfaces
from landscape.figures.kinds.contours import Contours
from landscape.figures.kinds.lines import Lines
from landscape.figures.kinds.surfaces import Surfaces
from landscape.figures.kinds.training import Training
from landscape.figures.shared import loss_scale, panel_grid, shaded, style, value_words, words

from members import assert_texts_apart, bowl, broken, drawn, lopsided, member, published, spec


def contour_spec(members: Sequence[figures.Member], **more: Any) -> Any:
    return spec(Contours, plane="contour", runs=tuple(m.state for m in members), **more)


def every_kind() -> list[tuple[Any, list[figures.Member]]]:
    awkward = member("a_b.c-d@003", broken)
    line = [member("net", beta=None), member("other", broken, beta=None, test=False)]
    pair = [member("net"), awkward]
    return [
        (contour_spec(pair, title="A title with $ and _", about="*Mine*: see `this`_ :: [1]_ |x| <b>"), pair),
        (spec(Surfaces, plane="contour", runs=("net", "a_b"), about="- a"), pair),
        (spec(Lines, plane="line", runs=("net", "other")), line),
        (spec(Training, runs=("net", "a_b")), pair),
    ]


@pytest.mark.parametrize("kind", range(4))
def test_saving_gives_four_files_and_equal_bytes(kind: int, tmp_path: Path) -> None:
    of_kind, members = every_kind()[kind]
    for folder in ("first", "second"):
        figures.save(figures.render(of_kind, members), tmp_path / folder / "wd0.0005.pdf")
    names = {f"wd0.0005.{suffix}" for suffix in ("pdf", "png", "csv", "rst")}
    assert {path.name for path in (tmp_path / "first").iterdir()} == names
    for name in names:
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
    pdf = (tmp_path / "first" / "wd0.0005.pdf").read_bytes()
    assert b"/Subtype /Type3" not in pdf and b"CreationDate" not in pdf


@pytest.mark.parametrize("kind", range(4))
def test_captions_are_valid_and_say_what_the_user_said(kind: int) -> None:
    of_kind, members = every_kind()[kind]
    tree = published(figures.render(of_kind, members).caption)
    if of_kind.about:
        assert tree[0].astext() == of_kind.about
    assert "a_b.c-d, epoch 3" in tree.astext() or of_kind.draw == "lines"


def test_a_name_without_pdf_is_refused(tmp_path: Path) -> None:
    of_kind, members = every_kind()[0]
    with pytest.raises(InputError, match=r"must end in \.pdf"):
        figures.save(figures.render(of_kind, members), tmp_path / "figure.png")


@pytest.mark.parametrize("kind", range(4))
def test_no_text_leaves_the_figure_or_covers_another(kind: int) -> None:
    of_kind, members = every_kind()[kind]
    assert_texts_apart(drawn(of_kind, members))


def test_contours_draw_the_minimum_where_it_is() -> None:
    lopsided_member = member("net", lopsided)
    figure = drawn(contour_spec([lopsided_member]), [lopsided_member])
    ax = figure.axes[0]
    assert ax.get_xlim() == (-1, 1) and ax.get_ylim() == (-1, 1)
    rings = [contour for contour in ax.collections if not getattr(contour, "filled", True)]
    lowest = next(r for r in rings if 0.2 in list(r.levels)).allsegs[1][0]
    assert lowest.mean(axis=0) == pytest.approx([0.5, -0.2], abs=0.05)


def test_contour_levels_widths_and_the_ring_of_guessing() -> None:
    members = [member("net")]
    for name, levels in (
        ("log", loss_scale.LEVELS["log"]),
        ("paper", loss_scale.LEVELS["paper"]),
        ((0.3, 1.0), (0.3, 1.0)),
    ):
        ax = drawn(contour_spec(members, levels=name), members).axes[0]
        rings, guessing = (c for c in ax.collections if not getattr(c, "filled", True))
        assert list(rings.levels) == pytest.approx(levels)
        widths = dict(zip(np.round(rings.levels, 9), rings.get_linewidths(), strict=True))
        assert all((width > 1) == (level in (0.1, 1.0)) for level, width in widths.items())
        assert list(guessing.levels) == [math.log(10)]
        assert guessing.linestyles == "--"
    assert loss_scale.LEVELS["paper"][0] == 0.1 and loss_scale.LEVELS["paper"][-1] == pytest.approx(9.6)


def test_labelled_levels() -> None:
    def labelled(levels: Any) -> list[float]:
        return loss_scale.scale_of([member("net").seen], ["train_loss"], levels).labelled

    assert labelled("log") == [0.1, 1, 10]
    assert labelled("paper") == pytest.approx([0.1, 9.6])
    assert labelled([0.3, 1, 4]) == [0.3, 1, 4]


def test_contours_share_one_logarithmic_scale() -> None:
    members = [member("net"), member("steep", lambda a, b: 1e5 * bowl(a, b))]
    figure = drawn(contour_spec(members), members)
    norms = [c.norm for ax in figure.axes[:2] for c in ax.collections if len(getattr(c, "levels", ())) > 1]
    assert len(norms) == 4 and {(n.vmin, n.vmax) for n in norms} == {(0.01, 100)}
    bar = figure.axes[2]
    assert (
        bar.get_xscale() == "log" and bar.get_xlim() == pytest.approx((0.01, 100)) and bar.get_xlabel() == "train loss"
    )


def test_axes_name_their_unit() -> None:
    many = [member(f"net{k}") for k in range(6)]
    figure = drawn(contour_spec(many), many)
    assert figure.get_supxlabel() == "alpha (1 = 100 % of each filter's norm)"
    assert [ax.get_ylabel() for ax in figure.axes[:6]] == ["beta (same unit)", "", ""] * 2
    units = {"layer": "each layer", "model": "the network", "none": "N(0, 1)"}
    for normalize, unit in units.items():
        assert unit in words.unit(member("net", normalize=normalize).seen)
    assert words.unit(member("net", beta=None, directions="to", run="other").seen) == "0 = the run, 1 = other"
    assert words.unit(member("net", directions="of", run="other", plane="quick").seen).endswith("of quick around other")


def fine() -> figures.Member:
    """A member on a grid so fine that nothing is to be said of it."""
    return member("good", alpha=(-1, 1, 61), beta=(-1, 1, 61))


def test_below_a_panel_stand_error_and_loss_and_the_caption_tells_every_finding() -> None:
    members = [member("net", lambda a, b: 0.19 + bowl(a, b), final=(0.19, 0.97)), member("bad", broken, final=(2, 0.3))]
    drawing = figures.render(contour_spec([*members, fine()]), [*members, fine()])
    wrong = round((1 - 0.97 * 0.95) * 297)
    below = [
        note.get_text().splitlines()
        for ax in drawing.figure.axes
        for note in ax.texts
        if note.get_gid() == panel_grid.NOTES
    ]
    assert [lines[1:] for lines in below] == [["train loss 0.19"], ["train loss 0.002"], ["train loss 0.002"]]
    assert below[0][0].startswith(f"test error {100 * wrong / 297:.1f} % (")
    assert [ax.get_title() for ax in drawing.figure.axes[:3]] == ["net \N{DAGGER}", "bad \N{DAGGER}", "good"]
    caption = published(drawing.caption)
    entries = [item.astext().replace("\N{NO-BREAK SPACE}", " ") for item in caption[-1]]
    assert "\N{DAGGER} behind a title: the entry below says" in caption.astext()
    assert entries[0].startswith("net \N{DAGGER}: ") and "No 0.1 ring: centre 0.19." in entries[0]
    assert entries[1].startswith("bad \N{DAGGER}: ")
    assert "The run ended at a train loss of 2, above a quarter of the loss of guessing" in entries[1]
    finite = np.isfinite(members[1].seen.train_loss.values)
    assert f"{(~finite).sum()} of {finite.size} points not finite" in entries[1]
    assert entries[2].startswith("good: ")


def test_a_caption_without_findings_explains_no_dagger() -> None:
    assert "\N{DAGGER}" not in figures.render(contour_spec([fine()]), [fine()]).caption


def test_a_ring_elsewhere_is_not_denied() -> None:
    members = [member("net", lambda a, b: np.where(a == 1, 0.0, 0.2 + bowl(a, b)))]
    said = figures.render(contour_spec(members), members).caption
    assert "No 0.1 ring around the centre 0.2." in said and "No 0.1 ring:" not in said


def test_points_not_finite_are_hatched_only_where_there_are_some() -> None:
    members = [member("net"), member("bad", broken)]
    whole, holed = drawn(contour_spec(members), members).axes[:2]

    def hatched(ax: Any) -> list[Rectangle]:
        return [patch for patch in ax.patches if patch.get_hatch()]

    assert not hatched(whole) and len(hatched(holed)) == 1
    fill = next(c for c in holed.collections if getattr(c, "filled", False))
    corners = np.concatenate([path.vertices for path in fill.get_paths() if len(path.vertices)])
    assert corners[:, 0].max() == pytest.approx(0.8) and corners[:, 1].min() == pytest.approx(-1 + 2 / 30)


def test_numbers_are_the_surface_and_nothing_is_transposed() -> None:
    members = [member("net", lopsided), member("bad", broken)]
    numbers = figures.render(contour_spec(members), members).numbers
    assert list(numbers.columns) == ["member", "alpha", "beta", "train_loss"]
    again = numbers[numbers.member == "net"].set_index(["alpha", "beta"]).train_loss.to_xarray()
    np.testing.assert_array_equal(again.values, members[0].seen.train_loss.values)
    assert len(numbers) == 2 * 21 * 31 and np.isinf(numbers.train_loss).any()


def test_csv_keeps_infinities_and_nan_apart(tmp_path: Path) -> None:
    members = [member("bad", broken)]
    figures.save(figures.render(contour_spec(members), members), tmp_path / "f.pdf")
    read = pd.read_csv(tmp_path / "f.csv").train_loss.to_numpy().reshape(21, 31)
    np.testing.assert_array_equal(read, members[0].seen.train_loss.values)


@pytest.mark.parametrize("draw", ["contours", "surfaces"])
def test_a_line_has_no_contours_or_surface(draw: str) -> None:
    members = [member("net", beta=None)]
    of_kind = spec(Contours if draw == "contours" else Surfaces, plane="contour", runs=("net",))
    with pytest.raises(InputError, match=rf"'contour' has 21 x 1 points, and draw: {draw} needs at least 2"):
        figures.render(of_kind, members)


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (2, 2), (3, 3), (4, 2), (5, 3), (6, 3), (7, 4), (8, 4), (9, 3)])
def test_default_columns(count: int, columns: int) -> None:
    assert panel_grid.default_columns(count) == columns


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8])
def test_panels_have_the_promised_size(count: int) -> None:
    members = [member(f"net{k}") for k in range(count)]
    figure = drawn(contour_spec(members), members)
    width = figure.get_size_inches()[0]
    assert width == (style.COLUMN_WIDTH if count <= 2 else style.TEXT_WIDTH)
    sizes = [ax.get_position().size * figure.get_size_inches() for ax in figure.axes[:count]]
    assert all(w == pytest.approx(h, rel=1e-3) and w == pytest.approx(sizes[0][0], rel=1e-3) for w, h in sizes)
    if count in (3, 5):
        assert 1.3 <= sizes[0][0] < 1.7


def test_a_plane_twice_as_wide_is_drawn_twice_as_wide() -> None:
    members = [member("net", beta=(-0.5, 0.5, 21))]
    figure = drawn(contour_spec(members), members)
    w, h = figure.axes[0].get_position().size * figure.get_size_inches()
    assert w == pytest.approx(2 * h, rel=1e-3)


def test_wrap_breaks_long_names_and_keeps_a_percentage_together() -> None:
    lines_ = panel_grid.wrap("wide-net-with-a-very-long-name-wd0.0005", 1.0, 8)
    assert len(lines_) > 1 and "".join(lines_) == "wide-net-with-a-very-long-name-wd0.0005"
    assert not any(line.startswith("%") for line in panel_grid.wrap("train accuracy 48 % and so on", 1.05, 7))
    assert panel_grid.wrap("", 1, 8) == []


def test_surfaces_share_height_and_view() -> None:
    members = [member("net", lopsided), member("steep", lambda a, b: 30 * bowl(a, b))]
    figure = drawn(spec(Surfaces, plane="contour", runs=("net", "steep")), members)
    first, second = figure.axes
    assert first.get_zlim() == second.get_zlim()
    assert [t.get_text() for t in first.get_zticklabels()] == ["0.01", "0.1", "1", "10", "100"]
    assert (first.elev, first.azim) == (35, -60)


def test_a_surface_is_upsampled_fourfold_through_its_points() -> None:
    x, y = np.linspace(-1, 1, 7), np.linspace(-2, 2, 9)
    z = np.sin(3 * x)[:, None] * y
    fine_x, fine_y, fine = shaded.upsample(x, y, z)
    assert fine.shape == (25, 33) == (fine_x.size, fine_y.size)
    np.testing.assert_allclose(fine[::4, ::4], z, atol=1e-12)


def test_the_quadrilaterals_of_a_surface_are_its_cells() -> None:
    x, y = np.linspace(-1, 1, 5), np.linspace(-2, 2, 9)
    z = lopsided(*np.meshgrid(x, y, indexing="ij"))
    corners = shaded.quadrilaterals(x, y, z)
    assert corners.shape == (4, 8, 4, 3)
    np.testing.assert_allclose(corners[..., 2], lopsided(corners[..., 0], corners[..., 1]))
    for i, j in ((0, 0), (3, 7), (2, 5)):
        assert set(corners[i, j, :, 0]) == {x[i], x[i + 1]} and set(corners[i, j, :, 1]) == {y[j], y[j + 1]}


def test_height_limits_are_half_decades_within_the_colour_scale() -> None:
    def limits(*values: float) -> tuple[float, float]:
        loss = xr.DataArray(np.array(values))
        return surfaces.height_limits([loss], loss_scale.scale_of([member("net").seen], ["train_loss"]))

    assert limits(1e-9, 1e6, np.inf, np.nan) == (-2, 2)
    assert limits(0.2, 20) == (-1, 1.5)
    assert limits(1, 1) == (0, 1)
    assert limits(np.nan) == (-1, 1)


def test_a_surface_has_a_hole_where_it_is_not_finite() -> None:
    whole, holed = (
        drawn(spec(Surfaces, plane="contour", runs=("net",)), [member("net", loss)]).axes[0] for loss in (bowl, broken)
    )
    assert len(holed.collections[0].get_facecolor()) < len(whole.collections[0].get_facecolor()) == 80 * 120


def test_level_ground_has_its_own_colour_and_slopes_away_from_the_light_are_darker() -> None:
    x = np.linspace(0, 1, 5)
    level = shaded.light(x, x, np.zeros((5, 5)), 1.0)
    np.testing.assert_allclose(level, 1)
    rising = np.tile(x[:, None], 5)  # to the east, so it faces west, towards the light in the north-west
    assert shaded.light(x, x, rising, 1.0).min() > shaded.light(x, x, -rising, 1.0).max()


def test_members_are_put_together_in_order() -> None:
    made = [member("net"), member("other@002")]
    contours_of = spec(Contours, runs=("net", "other@002"), plane="contour")
    results = {"surface": [m.seen for m in reversed(made)], "history": [m.history for m in made]}
    again = figures.members(contours_of, results)
    assert [(m.label, float(m.row.epoch), m.plane) for m in again] == [
        ("net", 10, "contour"),
        ("other, epoch 2", 2, "contour"),
    ]
    without = figures.members(spec(Training, runs=("net",)), {"history": results["history"][:1]})
    assert (without[0].surface, without[0].plane) == (None, None)
    with pytest.raises(InputError, match=r"the figure needs the history of other$"):
        figures.members(contours_of, results | {"history": results["history"][:1]})
    with pytest.raises(InputError, match=r"the figure does not show the surface of other@002 on contour$"):
        figures.members(spec(Contours, runs=("net",), plane="contour"), results | {"history": results["history"][:1]})
    with pytest.raises(InputError, match=r"there are two files of the surface of net on contour$"):
        figures.members(contours_of, results | {"surface": [*results["surface"], made[0].seen]})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.00213, "0.0021"),
        (0.19, "0.19"),
        (2.34, "2.3"),
        (99.7, "100"),
        (12345.0, "12,000"),
        (3.21e-6, "3.2e-6"),
        (0.0, "0"),
    ],
)
def test_losses_in_two_digits(value: float, text: str) -> None:
    assert value_words.loss(value) == text


def test_the_users_own_style_changes_nothing(tmp_path: Path) -> None:
    import matplotlib

    of_kind, members = every_kind()[2]
    figures.save(figures.render(of_kind, members), tmp_path / "a.pdf")
    with matplotlib.rc_context({"font.size": 20, "lines.linewidth": 9, "pdf.fonttype": 3, "axes.facecolor": "red"}):
        figures.save(figures.render(of_kind, members), tmp_path / "b.pdf")
        assert matplotlib.rcParams["font.size"] == 20
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()


def test_a_caption_says_how_statistics_were_taken_and_how_far_the_precision_is_off() -> None:
    of = member("net", batchnorm="recalibrated", recalibration_examples=1024)
    of.seen.attrs |= {
        "recalibration_examples": 300,
        "precision": "bf16",
        "precision_points": 17,
        "precision_deviation": 0.0042,
    }
    said = " ".join(words.surface_made([of]))
    assert "batch-norm statistics recalibrated at every point on 300 training examples" in said
    assert "precision bf16 (at 17 points the loss deviates from fp32 by at most 0.42 %)" in said
    assert "batch-norm statistics as stored with the weights; precision fp32." in " ".join(
        words.surface_made([member("net")])
    )
