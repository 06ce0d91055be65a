"""The scale of activations and of the gradients that flow back, layer by layer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from landscape.config.fields import Ref
from landscape.figures.kind import OfRuns
from landscape.figures.shared import style, ticks, value_words, words
from landscape.figures.shared.members import Drawing, Member, tabulate
from landscape.figures.shared.panel_grid import SMALL, grid
from landscape.figures.shared.probed import log_axis, made, positive, problems
from landscape.lazy import mpl, np, pd, xr


class Layers(OfRuns):
    """The scale of activations and gradients, layer by layer."""

    example: ClassVar[str] = "layers"
    draw: Literal["layers"]
    probe: Annotated[str, Ref("probes", measures=("activations",))] = Field(
        description="a probe with measure: activations"
    )

    def drawing(self, members: Sequence[Member]) -> Drawing:
        """Draw four rows over the layers in the order in which they are called, a line per run."""
        panels = grid(1, len(_ROWS), narrow=0, heading=self.title, share="none")
        looks = style.looks(len(members))
        for ax, name in zip(panels.axes, _ROWS, strict=True):
            for member, look in zip(members, looks, strict=True):
                curve(ax, member.measured, name, **look)
            ax.set_xlim(0.4, max(member.measured.sizes["layer"] for member in members) + 0.6)
            ticks.whole(ax.xaxis, 10)
            ax.tick_params(labelbottom=ax is panels.axes[-1])
            if name == "activation_zero_share":
                ax.set_ylim(-0.03, 1.03)
                ticks.plain_numbers(ax.yaxis)
            else:
                log_axis(ax)
        panels.label_rows(*_ROWS.values())
        if names := _names(members):
            for ax in panels.axes:
                ax.set_xticks(range(1, len(names) + 1))
            panels.axes[-1].set_xticklabels(names, rotation=90, fontsize=SMALL, parse_math=False)
        panels.axes[-1].set_xlabel("layer, in the order of the first call")
        panels.legend(style.run_keys([member.label for member in members], looks), min(3, len(members)))
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
_LISTED = 4  # most layers that the caption names for one reason


def curve(ax: mpl.axes.Axes, probe: xr.Dataset, name: str, *, color: Any, marker: str) -> mpl.lines.Line2D:
    """Draw one number over the layers, without the layers that lack it."""
    if name == "relative":
        values = (probe.weight_gradient_norm / probe.weight_norm.where(probe.weight_norm > 0)).values
    else:
        values = probe[name].values
    there = np.isfinite(values if name == "activation_zero_share" else positive(values))
    place = probe.depth.values[there] + 1
    (line,) = ax.plot(place, values[there], color=color, marker=marker, markersize=2.2, linewidth=0.7)
    return line


def _names(members: Sequence[Member]) -> list[str]:
    """Return the layers' names if they are few and the same in all runs; otherwise none."""
    names = [[str(name) for name in member.measured.layer.values] for member in members]
    return names[0] if len(names[0]) <= _NAMED and all(of == names[0] for of in names) else []


def _numbers(members: Sequence[Member]) -> pd.DataFrame:
    """Tabulate one row per layer of each member: member, layer, depth, and the measured values."""

    def rows(member: Member) -> pd.DataFrame:
        probe = member.measured
        return probe[[name for name in probe if probe[name].dims == ("layer",)]].to_dataframe().reset_index()

    return tabulate(members, rows)


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
    probe = member.measured
    flow = positive(probe.gradient_norm.values)
    known = flow[np.isfinite(flow)]
    changed = (
        f"the gradient by the first layer's output is {value_words.number(known[0] / known[-1])} times that by the last one's"
        if known.size
        else "no gradient is known"
    )
    return (
        f"{words.run_item(member)[:-1]}; {probe.sizes['layer']:,} layers, {changed}.{_unseen(probe)}{problems(member)}"
    )


def _unseen(probe: xr.Dataset) -> str:
    """Name the layers that are left out or not seen whole, each with the reason, those of one reason together."""
    said = ""
    for name, about in (("skipped", "Left out"), ("partly", "Seen in part")):
        by_reason: dict[str, list[str]] = {}
        for layer, reason in json.loads(probe.attrs.get(name, "{}")).items():
            by_reason.setdefault(reason, []).append(layer)
        listed = [f"{words.escape(', '.join(_few(layers)))} ({words.escape(why)})" for why, layers in by_reason.items()]
        said += f" {about}: {'; '.join(listed)}." if listed else ""
    return said


def _few(layers: Sequence[str]) -> list[str]:
    return [*layers[:_LISTED], *([f"{len(layers) - _LISTED} more"] if len(layers) > _LISTED else [])]
