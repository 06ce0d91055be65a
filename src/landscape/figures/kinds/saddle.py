"""A saddle point: the mountain pass on the plane of its extreme curvatures, its spectrum, and how it was found."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from landscape.config.fields import Ref
from landscape.figures.kind import OfRuns
from landscape.figures.shared import shaded, style, ticks, value_words, words
from landscape.figures.shared.level_lines import frame
from landscape.figures.shared.members import Drawing, Member, tabulate
from landscape.figures.shared.panel_grid import LABEL, NOTE, SMALL, wrap
from landscape.lazy import art3d, mpl, np, pd, scipy, xr


class Saddle(OfRuns):
    """A saddle point: the plane of its most negative and most positive curvature, and its spectrum."""

    example: ClassVar[str] = "saddle"
    draw: Literal["saddle"]
    probe: Annotated[str, Ref("probes", measures=("saddle",))] = Field(description="a probe with measure: saddle")

    def drawing(self, members: Sequence[Member]) -> Drawing:
        """Draw for each member the surface and its level lines, and below them the eigenvalues and the path of ||g||."""
        figure = mpl.figure.Figure(figsize=(style.TEXT_WIDTH, _BLOCK * len(members)), layout="constrained")
        if self.title:
            figure.suptitle(self.title, parse_math=False, fontweight="bold")
        passes: list[Any] = []
        for part, member in zip(figure.subfigures(len(members), 1, squeeze=False)[:, 0], members, strict=True):
            places = part.add_gridspec(2, 2, height_ratios=(2.0, 1.15), wspace=0.2)
            probe = member.measured
            passes.append(part.add_subplot(places[0, 0], projection="3d", anchor="W"))
            mountain_pass(passes[-1], probe)
            passes[-1].set_axis_off()  # its numbers and labels fit inside the panel
            level_lines(part.add_subplot(places[0, 1]), probe)
            eigenvalues(part.add_subplot(places[1, 0]), probe)
            path(part.add_subplot(places[1, 1]), probe)
            part.suptitle(member.label, fontsize=LABEL, parse_math=False)
            note = "\n".join(wrap(_note(member), style.TEXT_WIDTH - 0.3, NOTE))
            part.supxlabel(note, fontsize=NOTE, parse_math=False)
        engine = figure.get_layout_engine()
        assert engine is not None
        engine.execute(figure)
        figure.set_layout_engine(None)
        for ax in passes:
            ax.set_axis_on()
        return Drawing(figure, _numbers(members), _caption(self, members))


_BLOCK = 4.4  # inches, height of one state's block
_VIEW = 30, -50  # elevation and azimuth
_NEGATIVE, _POSITIVE = style.LOSS, style.ACCURACY


def mountain_pass(ax: Any, probe: xr.Dataset) -> art3d.Poly3DCollection:
    """Draw the loss over the plane as a shaded surface on a linear height, with the saddle's level and point.

    The surface is a fourfold bicubic upsample.
    """
    loss = probe.loss.transpose("alpha", "beta")
    x, y, z = shaded.upsample(loss.alpha.values, loss.beta.values, loss.values)
    low, high = float(loss.min()), float(loss.max())
    loss_colours, norm = style.loss_map(), mpl.colors.Normalize(low, high)
    collection = shaded.draw(ax, (x, y, z), high - low, lambda heights: loss_colours(norm(heights)))
    here = float(probe.train_loss)
    for across, dashes in (("alpha", "-"), ("beta", "--")):  # the way over the pass, and along its ridge
        places = (x, np.zeros_like(x)) if across == "alpha" else (np.zeros_like(y), y)
        line = scipy.interpolate.RectBivariateSpline(x, y, z, kx=1, ky=1)(*places, grid=False)
        hidden = shaded.behind((x, y, z), (*places, line + 0.005 * (high - low)), high - low, _VIEW)
        ax.plot(*places, np.where(hidden, np.nan, line), dashes, color="white", linewidth=0.9, zorder=3)
    ax.plot([0], [0], [here], "o", color="black", markersize=4, markeredgecolor="white", markeredgewidth=0.7, zorder=4)
    shaded.frame(ax, x, y, (low, high), _VIEW, 1.0, "train loss")
    ticks.plain(ax.zaxis)
    return collection


def level_lines(ax: mpl.axes.Axes, probe: xr.Dataset) -> None:
    """Draw level lines of the loss on a pale fill, the saddle's level in black."""
    loss = probe.loss.transpose("beta", "alpha")  # matplotlib wants (y, x)
    here, low, high = float(probe.train_loss), float(loss.min()), float(loss.max())
    levels = [
        level for level in mpl.ticker.MaxNLocator(14, steps=[1, 2, 5, 10]).tick_values(low, high) if low < level < high
    ]
    norm = mpl.colors.Normalize(low, high)
    at = loss.alpha.values, loss.beta.values, loss.values
    fill = ax.contourf(*at, np.linspace(low, high, 41), cmap=style.pale_map(), norm=norm)
    fill.set_rasterized(True)
    lines = ax.contour(*at, levels, cmap=style.deep_map(), norm=norm, linewidths=0.6)
    ax.clabel(lines, levels[::2], fontsize=SMALL, fmt="%g", inline_spacing=2)
    if low < here < high:
        ax.contour(*at, [here], colors="black", linewidths=1.2)
    ax.plot(0, 0, "o", color="black", markersize=4, markeredgecolor="white", markeredgewidth=0.7, zorder=5)
    ax.set(xlim=loss.alpha.values[[0, -1]], ylim=loss.beta.values[[0, -1]])
    frame(ax)
    extreme = probe.eigenvalue.values[[0, -1]]
    ax.set_xlabel(f"alpha (smallest eigenvalue, {_number(extreme[0])})", fontsize=NOTE)
    ax.set_ylabel(f"beta (largest eigenvalue, {_number(extreme[1])})", fontsize=NOTE)


def eigenvalues(ax: mpl.axes.Axes, probe: xr.Dataset) -> None:
    """Draw all eigenvalues in order on a symmetric logarithmic axis, coloured by their sign."""
    values, threshold = probe.eigenvalue.values, float(probe.negative_threshold)
    rank = np.arange(1, values.size + 1)
    zero = np.abs(values) <= threshold
    shown = [  # sign, colour, and the label's place: beside the last rank, above the middle one, or beside the first
        ("negative", values < -threshold, _NEGATIVE, 1.0, "left", (5, 0)),
        ("zero", zero, style.GREY, 0.5, "center", (0, 7)),
        ("positive", values > threshold, _POSITIVE, 0.0, "right", (-5, 0)),
    ]
    linear = 10 ** math.floor(math.log10(np.abs(values[~zero]).min(initial=1.0)))
    ax.set_yscale("symlog", linthresh=linear, linscale=1)
    ax.axhline(0, color="0.75", linewidth=0.5, zorder=0)
    for name, there, colour, share, side, offset in shown:
        if there.any():
            ax.plot(rank[there], values[there], "o", color=colour, markersize=1.8, markeredgewidth=0)
            at = np.quantile(rank[there], share), values[there].mean()
            look: style.Look = {"ha": side, "va": "center", "color": colour, "fontsize": NOTE}
            ax.annotate(f"{int(there.sum()):,} {name}", at, offset, textcoords="offset points", **look)
    ax.set_xlabel("eigenvalue, in order")
    ax.set_ylabel("eigenvalue")
    ticks.plain(ax.xaxis)
    ax.yaxis.set_major_locator(mpl.ticker.SymmetricalLogLocator(base=10, linthresh=linear))
    ax.yaxis.set_minor_formatter(mpl.ticker.NullFormatter())


def path(ax: mpl.axes.Axes, probe: xr.Dataset) -> None:
    """Draw the norm of the gradient after each step of the search, its tolerance dashed."""
    norms = probe.gradient_norm_path.values
    ax.plot(np.arange(norms.size), norms, "o-", color="black", markersize=2.2)
    ax.axhline(json.loads(probe.attrs["spec"])["tolerance"], linestyle="--", color=style.GREY, linewidth=0.7)
    ax.set_yscale("log")
    ticks.decades(ax.yaxis, 6)
    ticks.whole(ax.xaxis, 5)
    ax.set_xlabel("step of the search")
    ax.set_ylabel("gradient norm")


def _note(member: Member) -> str:
    probe = member.measured
    return (
        f"{_kind(probe)}, index {int(probe['index'])} of {probe.sizes['eigen']:,}; train loss "
        f"{_loss(probe.train_loss)}, gradient norm {_number(probe.gradient_norm)}, {_number(probe.distance)} from the state"
    )


def _kind(probe: xr.Dataset) -> str:
    return "saddle" if int(probe["index"]) else "no saddle but a minimum"


def _loss(value: Any) -> str:
    """Write a loss in four digits: the loss of a plateau differs little from that of guessing."""
    return f"{float(value):.4g}"


def _number(value: Any) -> str:
    return value_words.minus(f"{float(value):.2g}")


def _numbers(members: Sequence[Member]) -> pd.DataFrame:
    """Tabulate, for each member, the points of the plane, the eigenvalues and the steps of the search."""

    def rows(member: Member) -> pd.DataFrame:
        probe = member.measured
        plane = probe.loss.to_dataframe(dim_order=["alpha", "beta"]).reset_index()[["alpha", "beta", "loss"]]
        eigen = pd.DataFrame({"order": np.arange(1, probe.sizes["eigen"] + 1), "eigenvalue": probe.eigenvalue.values})
        steps = {"gradient_norm": probe.gradient_norm_path.values, "loss": probe.loss_path.values}
        return pd.concat([plane, eigen, pd.DataFrame({"step": np.arange(probe.sizes["step"]), **steps})])

    return tabulate(members, rows)


def _caption(spec: Saddle, members: Sequence[Member]) -> str:
    probes = [member.measured for member in members]
    zero = max(float(probe.negative_threshold / np.abs(probe.eigenvalue).max()) for probe in probes)
    seen = (
        "Above, the training loss on the plane through the point found, along the unit eigenvectors of its Hessian's "
        "smallest eigenvalue (alpha) and largest (beta): as a surface with a linear height, drawn on a fourfold bicubic "
        "upsample, and as level lines, in black that through the point, which is the dot; the white lines on the surface "
        "are the axes. Below, all eigenvalues on a symmetric logarithmic axis, and the norm of the gradient along the "
        "search, its tolerance dashed."
    )
    made = [
        "From the state, the norm of the gradient was brought to zero by the method of Levenberg and Marquardt, over all "
        "parameters, in float64. "
        f"The loss is the {words.mean_loss(probes)} without weight decay, in eval mode, over {words.each(probe.attrs['train_examples'] for probe in probes)} training examples, not augmented. An "
        f"eigenvalue counts as zero up to {_number(zero)} of the largest in magnitude; the index is the number of negative "
        "ones."
    ]
    return words.caption(spec.about, seen, made, [_item(member) for member in members])


def _item(member: Member) -> str:
    probe = member.measured
    values = probe.eigenvalue.values
    flat = int((np.abs(values) <= float(probe.negative_threshold)).sum())
    losses = [f"{_loss(probe.train_loss)} there", f"{_loss(probe.loss_path[0])} at the state"]
    if member.epoch is not None:
        losses.append(f"{_loss(member.history.train_loss[-1])} at the end of training")
    return (
        f"{words.escape(member.label)}: {_kind(probe)}, of index {int(probe['index'])}; of {values.size:,} eigenvalues "
        f"{flat:,} zero, the smallest {_number(values[0])}, the largest {_number(values[-1])}; train loss "
        f"{', '.join(losses)}; norm of the gradient {_number(probe.gradient_norm)} after {probe.sizes['step'] - 1} steps, at "
        f"a distance of {_number(probe.distance)} from the state, where the norm of the weights is "
        f"{_number(probe.theta_norm)}."
    )
