"""What figures of measurements at single points draw, by its structure; never by its pixels."""

import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from landscape import figures
from landscape.figures.kinds.layers import Layers
from landscape.figures.kinds.sharpening import Sharpening
from landscape.figures.kinds.spectra import Spectra
from landscape.figures.shared.value_words import number

from members import assert_texts_apart, drawn, published, spec, texts
from probed_members import eigenpairs, eigenvalues, layers, probed, spectrum

EPOCHS = (0, 2, 10)
NAMES = ["stem.conv", "stem.relu", "block.conv", "block.relu", "linear"]


def spectra(count: int = 2) -> list[figures.Member]:
    made = [spectrum(), spectrum(eigenvalues(30, -1.5), raw=1.3)]
    return [probed(f"net{k}", made[k % 2], measure="spectrum") for k in range(count)]


def spectra_spec(members: list[figures.Member], **more: Any) -> Any:
    return spec(Spectra, probe="point", runs=[member.state for member in members], **more)


def along(run: str, top: float = 30.0, **more: Any) -> list[figures.Member]:
    return [
        probed(f"{run}@{epoch:03d}", eigenpairs(top + epoch, -3 + 0.2 * epoch, **more), measure="eigenpairs")
        for epoch in EPOCHS
    ]


def sharpening_spec(*runs: str, **more: Any) -> Any:
    return spec(Sharpening, probe="point", runs=runs, epochs=EPOCHS, **more)


def stacks() -> list[figures.Member]:
    return [
        probed("short", layers(NAMES), measure="activations"),
        probed("a_b", layers(NAMES, 0.5), measure="activations"),
    ]


def layers_spec(members: list[figures.Member], **more: Any) -> Any:
    return spec(Layers, probe="point", runs=[member.state for member in members], **more)


@functools.cache
def every_kind() -> list[tuple[Any, list[figures.Member]]]:
    deep = probed("deep", layers([f"l{k}" for k in range(70)]), measure="activations")
    return [
        (spectra_spec(spectra(), title="A title with $ and _", about="*Mine*: see `this`_"), spectra()),
        *((spectra_spec(spectra(n)), spectra(n)) for n in (1, 3, 4, 5)),
        (sharpening_spec("a_b", "net", about="- a"), along("a_b") + along("net", 50)),
        (layers_spec(stacks(), title="Flow"), stacks()),
        (layers_spec([*stacks(), deep]), [*stacks(), deep]),
    ]


@pytest.mark.parametrize("kind", range(8))
def test_words_are_valid_and_leave_neither_figure_nor_each_other(kind: int) -> None:
    of_kind, members = every_kind()[kind]
    drawing = figures.render(of_kind, members)
    assert_texts_apart(drawing.figure)
    said = published(drawing.caption).astext()
    assert all(member.state.partition("@")[0] in said for member in members)
    assert "512 training examples" in said


def test_saving_gives_equal_bytes(tmp_path: Path) -> None:
    for kind in (0, 5, 6):
        of_kind, members = every_kind()[kind]
        for folder in ("first", "second"):
            figures.save(figures.render(of_kind, members), tmp_path / folder / "probe.pdf")
        for suffix in ("pdf", "png", "csv", "rst"):
            first, second = (tmp_path / folder / f"probe.{suffix}" for folder in ("first", "second"))
            assert first.read_bytes() == second.read_bytes()


def test_scaled_spectra_share_their_axes_and_raw_ones_do_not() -> None:
    members = spectra()
    axes = drawn(spectra_spec(members), members).axes
    assert axes[0].get_xlim() == axes[1].get_xlim() and axes[0].get_ylim() == axes[1].get_ylim()
    assert axes[2].get_xlim() != axes[3].get_xlim()
    for ax, (member, suffix) in zip(axes, [(m, s) for s in ("_scaled", "") for m in members], strict=True):
        probe = member.probe
        assert probe is not None and ax.get_yscale() == "log"
        low, high, curve = ax.lines
        ends = [float(probe[f"eigenvalue_{end}{suffix}"]) for end in ("min", "max")]
        assert [low.get_xdata()[0], high.get_xdata()[0]] == ends
        x, y = curve.get_data()
        assert x == pytest.approx(probe[f"eigenvalue{suffix}"].values)
        shown = y > 2 * ax.get_ylim()[0]
        assert y[shown] == pytest.approx(probe[f"density{suffix}"].values[shown])
        assert np.interp(ends, x, y).min() > ax.get_ylim()[0]  # both ends are seen
        band = ax.collections[0].get_paths()[0].vertices
        assert band[:, 1].max() == pytest.approx(float(probe[f"density_high{suffix}"].max()))


def test_the_trace_is_told_where_it_differs_from_zero() -> None:
    members = spectra()
    values = eigenvalues()
    assert f"λ max / trace {number(values.max() / values.sum())}" in texts(drawn(spectra_spec(members), members))
    found = spectrum().assign(trace_scaled=1.0, trace_standard_error_scaled=0.8)
    unsure = [probed("net", found, measure="spectrum")]
    assert "λ max / trace undefined" in texts(drawn(spectra_spec(unsure), unsure))
    caption = figures.render(spectra_spec(unsure), unsure).caption
    assert "trace 1 ± 0.8, lambda_max / trace undefined" in caption
    assert "8 random vectors of 60 steps each" in caption


def test_a_spectrum_that_is_not_finite_says_so() -> None:
    lost = (spectrum() * np.nan).assign_attrs(width=np.nan, width_scaled=np.nan, status="non_finite: the loss is nan")
    members = [spectra()[0], probed("lost", lost, measure="spectrum")]
    drawing = figures.render(spectra_spec(members), members)
    assert "Non finite\\: the loss is nan." in drawing.caption


def test_sharpening_draws_the_first_pairs_with_their_residuals() -> None:
    members = along("net") + along("other", 50)
    axes = drawn(sharpening_spec("net", "other"), members).axes
    by_panel = [("largest", "_scaled"), ("largest", ""), ("smallest", "_scaled"), ("smallest", "")]
    for ax, (end, suffix) in zip(axes, by_panel, strict=True):
        for k, container in enumerate(ax.containers):
            probes = [member.probe for member in members[3 * k : 3 * k + 3]]
            values = [float(probe[f"eigenvalue_{end}{suffix}"][0]) for probe in probes if probe is not None]
            residuals = [float(probe[f"residual_{end}{suffix}"][0]) for probe in probes if probe is not None]
            line, _, (bars,) = container
            assert list(line.get_xdata()) == list(EPOCHS)
            assert list(line.get_ydata()) == pytest.approx(values)
            heights = [segment[1, 1] - segment[0, 1] for segment in bars.get_segments()]
            assert heights == pytest.approx(2 * np.array(residuals))
    assert [ax.get_yscale() for ax in axes] == ["log", "log", "linear", "linear"]


def test_sharpening_takes_spectra_and_the_end_of_training_too() -> None:
    members = [probed(state, spectrum(), measure="spectrum") for state in ("net@000", "net")]
    drawing = figures.render(sharpening_spec("net"), members)
    assert list(drawing.numbers["epoch"]) == [0, 0, 10, 10]
    assert list(drawing.numbers["eigenvalue_max"]) == pytest.approx([8, 160, 8, 160])
    assert "outermost Ritz values" in drawing.caption


def test_plateaus_and_what_did_not_converge_are_told() -> None:
    members = along("net", top=1e-3, scale=1e-2, gradient=1e-9, loss=2.3)
    stuck = members[2].probe
    assert stuck is not None
    stuck.attrs["status"] = "not_converged: 200 products"
    drawing = figures.render(sharpening_spec("net"), members)
    assert "A plateau" not in drawing.caption  # lambda_max is 0.1 after 10 epochs, lambda_min -0.03
    assert "Epoch 10: Not converged\\: 200 products." in drawing.caption
    flat = [probed("net@002", eigenpairs(0.05, -0.04, scale=1e-2, gradient=1e-9, loss=2.3), measure="eigenpairs")]
    told = figures.render(sharpening_spec("net"), [*members[:1], *flat]).caption
    assert "A plateau (stationary, flat in every direction, well above the end of the run): epoch 2." in told


def test_layers_that_are_not_seen_are_named_in_the_caption() -> None:
    skipped = {"mask": "gives out bool", **{f"expert{k}": "is not used" for k in range(6)}}
    told = {"skipped": json.dumps(skipped), "partly": json.dumps({"lstm": "the first of 3 tensors"})}
    members = [stacks()[0], probed("a_b", layers(NAMES).assign_attrs(told), measure="activations")]
    first, second = figures.render(layers_spec(members), members).caption.split("a\\_b")
    assert "Left out" not in first and "Seen in part" not in first
    assert "Left out: mask (gives out bool); expert0, expert1, expert2, expert3, 2 more (is not used)." in second
    assert "Seen in part: lstm (the first of 3 tensors)." in second


def test_layers_stand_in_order_with_their_names() -> None:
    members = stacks()
    drawing = figures.render(layers_spec(members), members)
    axes: Any = drawing.figure.axes
    assert [tick.get_text() for tick in axes[3].get_xticklabels()] == NAMES
    shares = [list(line.get_ydata()) for line in axes[1].lines]
    assert shares == [[0, 0.5, 0, 0.5, 0]] * 2
    assert list(axes[2].lines[1].get_ydata()) == pytest.approx(0.3 * 0.5 ** np.array([4, 3, 2, 1, 0]))
    assert list(axes[3].lines[0].get_xdata()) == [1, 3, 5]  # those with weights
    assert axes[3].lines[0].get_ydata()[-1] == pytest.approx(0.02 / 5)
    assert "is 0.0625 times that by the last one's" in drawing.caption
    assert set(drawing.numbers["layer"]) == set(NAMES) and len(drawing.numbers) == 10
    other = [*members, probed("deep", layers(["x", "y", "z"]), measure="activations")]
    numbers: Any = figures.render(layers_spec(other), other).figure.axes[3]
    assert not {tick.get_text() for tick in numbers.get_xticklabels()} & set(NAMES)


def test_numbers_in_words() -> None:
    told = {-0.01234: "−0.0123", 845.2: "845", 3484.0: "3,480", 1.2e-6: "1.2e−6", 2.5e9: "2.5e9", 0.0: "0"}
    assert {value: number(value) for value in told} == told
