"""The scale of activations and of the gradients that flow back, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from landscape.config.fields import Ref
from landscape.figures.kind import OfRuns
from landscape.figures.shared import style, words
from landscape.figures.shared.curvature_words import number
from landscape.figures.shared.members import Drawing, Member
from landscape.figures.shared.panel_grid import SMALL, grid, plain_ticks
from landscape.figures.shared.probed import log_axis, made, measured, positive, problems
from landscape.lazy import mpl, np, pd, xr

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D


class Layers(OfRuns):
    """The scale of activations and gradients, layer by layer."""

    example: ClassVar[str] = "layers"
    draw: Literal["layers"]
    probe: Annotated[str, Ref("probes", measures=("activations",))] = Field(
        description="a probe with measure: activations"
    )

    def drawing(self, members: Sequence[Member]) -> Drawing:
        """Draw four rows over the layers in the order in which they are called, a line per run."""
        panels = grid(1, len(_ROWS), columns=1, width=style.TEXT_WIDTH, heading=self.title, share="none")
        for ax, name in zip(panels.axes, _ROWS, strict=True):
            for member, look in zip(members, style.looks(len(members)), strict=True):
                curve(ax, measured(member), name, **look)
            ax.set_xlim(0.4, max(measured(member).sizes["layer"] for member in members) + 0.6)
            ax.xaxis.set_major_locator(mpl.ticker.MaxNLocator(10, integer=True, steps=[1, 2, 5, 10]))
            ax.tick_params(labelbottom=ax is panels.axes[-1])
            if name == "activation_zero_share":
                ax.set_ylim(-0.03, 1.03)
                ax.yaxis.set_major_formatter(plain_ticks())
            else:
                log_axis(ax)
        panels.label_rows(*_ROWS.values())
        _name_layers(panels.axes, _names(members))
        panels.axes[-1].set_xlabel("layer, in the order of the first call")
        handles = [
            mpl.lines.Line2D([], [], label=member.label, markersize=3, **look)
            for member, look in zip(members, style.looks(len(members)), strict=True)
        ]
        panels.legend(handles, min(3, len(handles)))
        panels.fit(*[0.2] * len(_ROWS))
        return Drawing(panels.figure, _numbers(members), _caption(self, members))


_ROWS = {
    "activation_std": "activation,\nstd. dev.",
    "activation_zero_share": "share of\nzeros",
    "gradient_norm": "gradient by\nactivation",
    "relative": "gradient /\nweight norm",
}
"""The rows' variables and labels; `relative` is the norm of a layer's weight gradient over that of its weights."""

_NAMED = 40  # most layers whose names are written


def curve(ax: Axes, probe: xr.Dataset, name: str, *, color: Any, marker: str) -> Line2D:
    """Draw one number over the layers, without the layers that lack it."""
    values = _values(probe, name)
    there = np.isfinite(values if name == "activation_zero_share" else positive(values))
    place = probe.depth.values[there] + 1
    (line,) = ax.plot(place, values[there], color=color, marker=marker, markersize=2.2, linewidth=0.7)
    return line


def _values(probe: xr.Dataset, name: str) -> np.ndarray:
    if name != "relative":
        return np.asarray(probe[name].values, float)
    gradient, weight = (probe[of].values for of in ("weight_gradient_norm", "weight_norm"))
    return np.asarray(np.divide(gradient, weight, out=np.full(gradient.shape, np.nan), where=weight > 0))


def _names(members: Sequence[Member]) -> list[str]:
    """Return the layers' names if they are few and the same in all runs; otherwise none."""
    names = [[str(name) for name in measured(member).layer.values] for member in members]
    return names[0] if len(names[0]) <= _NAMED and all(of == names[0] for of in names) else []


def _name_layers(axes: Sequence[Axes], names: Sequence[str]) -> None:
    """Write the layers' names, upright, or their numbers below the last row."""
    last = axes[-1]
    if names:
        for ax in axes:
            ax.set_xticks(range(1, len(names) + 1))
        last.set_xticklabels(names, rotation=90, fontsize=SMALL, parse_math=False)


def _numbers(members: Sequence[Member]) -> pd.DataFrame:
    """Tabulate one row per layer of each member: member, layer, depth, and the measured values."""
    frames = []
    for member in members:
        probe = measured(member)
        frame = probe[[name for name in probe if probe[name].dims == ("layer",)]].to_dataframe().reset_index()
        frame.insert(0, "member", member.state)
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def _caption(spec: Layers, members: Sequence[Member]) -> str:
    seen = (
        "Layer by layer, in the order of the first call, a line per run. From above: the standard deviation of a layer's "
        "output over examples and positions; the share of exact zeros in it; the norm of the gradient of an example's loss by "
        "it, mean over the examples; and of layers with parameters the norm of the gradient of the loss by them over their "
        "own norm. Logarithmic axes but for the zeros; what is zero or not finite there is left out."
    )
    return words.caption(spec.about, seen, made(members), [_item(member) for member in members])


def _item(member: Member) -> str:
    """Say how much the gradient that flows back changes from the first layer to the last."""
    probe = measured(member)
    flow = positive(probe.gradient_norm.values)
    known = flow[np.isfinite(flow)]
    changed = (
        f"the gradient by the first layer's output is {number(known[0] / known[-1])} times that by the last one's"
        if known.size
        else "no gradient is known"
    )
    return f"{words.run_item(member)[:-1]}; {probe.sizes['layer']:,} layers, {changed}.{problems(member)}"
