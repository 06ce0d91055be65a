"""The extreme eigenvalues of the Hessian along a training."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from landscape import geometry
from landscape.config.fields import Ref
from landscape.config.section import MAX_EPOCHS
from landscape.figures.kind import OfRuns
from landscape.figures.shared import style, ticks, value_words, words
from landscape.figures.shared.groups import by
from landscape.figures.shared.members import Drawing, Member
from landscape.figures.shared.panel_grid import grid
from landscape.figures.shared.probed import LAMBDA, SCALES, End, extreme, log_axis, made, problems
from landscape.lazy import mpl, np, pd


class Sharpening(OfRuns):
    """The extreme eigenvalues of the Hessian along a training."""

    example: ClassVar[str] = "*eigenpairs"
    draw: Literal["sharpening"]
    probe: Annotated[str, Ref("probes", measures=("eigenpairs", "spectrum"))] = Field(
        description="a probe with measure: eigenpairs or spectrum"
    )
    epochs: tuple[Annotated[int, Field(ge=0, le=MAX_EPOCHS)], ...] = Field(
        min_length=2, description="kept epochs of every run"
    )

    def drawing(self, members: Sequence[Member]) -> Drawing:
        """Draw lambda_max above, lambda_min below, filter-scaled on the left, raw on the right; a line per run."""
        runs = by_run(members)
        panels = grid(2, 2, narrow=1, heading=self.title, share="none")
        looks = style.looks(len(runs))
        last = max(_epoch(member) for member in members)
        for ax, (end, suffix) in zip(panels.axes, product(_ROWS, SCALES), strict=True):
            for of, look in zip(runs.values(), looks, strict=True):
                values, residuals = np.array([extreme(member.measured, end, suffix) for member in of]).T
                epochs = [_epoch(member) for member in of]
                ax.errorbar(epochs, values, residuals, markersize=3, capsize=1.5, elinewidth=0.6, capthick=0.6, **look)
            _frame(ax, end, last)
        for ax, name in zip(panels.rows[0], SCALES.values(), strict=True):
            ax.set_title(name, parse_math=False)
        panels.label_rows(*(LAMBDA[end] for end in _ROWS))
        panels.label_below("epochs trained")
        panels.legend(style.run_keys(runs, looks), min(3, len(runs)))
        panels.fit(0.6, 0.6)
        return Drawing(panels.figure, _numbers(members), _caption(self, runs))

    @property
    def states(self) -> tuple[str, ...]:
        return tuple(f"{run}@{epoch:03d}" for run in self.runs for epoch in self.epochs)


_ROWS: tuple[End, ...] = ("max", "min")


def by_run(members: Sequence[Member]) -> dict[str, list[Member]]:
    """Group the states by run, in the order of their epochs."""
    runs = by(members, lambda member: member.state.partition("@")[0])
    return {run: sorted(of, key=_epoch) for run, of in runs.items()}


def on_plateau(member: Member) -> bool:
    """Tell if the state is a plateau; False if its file lacks the norms to tell."""
    probe = member.measured
    if "gradient_norm" not in probe or "weight_norm" not in member.history:
        return False
    return geometry.is_plateau(
        float(probe.gradient_norm),
        float(member.row.weight_norm),
        float(probe.train_loss),
        max(abs(extreme(probe, "min", "_scaled")[0]), abs(extreme(probe, "max", "_scaled")[0])),
        geometry.guessing(probe),
        float(member.history.train_loss[-1]),
    )


def _epoch(member: Member) -> int:
    return int(member.history.epoch[-1]) if member.epoch is None else member.epoch


def _frame(ax: mpl.axes.Axes, end: End, last: int) -> None:
    """Set a logarithmic axis for lambda_max if it is positive throughout; draw a line at zero for lambda_min."""
    ax.set_xlim(-0.03 * last, 1.03 * last)
    ticks.whole(ax.xaxis, 5)
    drawn = np.concatenate([np.asarray(line.get_ydata(), float) for line in ax.lines])
    known = drawn[np.isfinite(drawn)]
    if end == "max" and known.size and known.min() > 0:
        log_axis(ax)
        return
    ax.axhline(0, color=style.GREY, linewidth=0.5, zorder=1)
    ax.yaxis.set_major_locator(mpl.ticker.MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    ticks.plain_numbers(ax.yaxis)


def _numbers(members: Sequence[Member]) -> pd.DataFrame:
    """Tabulate each state and Hessian: member, epoch, hessian, both eigenvalues and residuals, train loss."""
    rows = []
    for member, (suffix, name) in product(members, SCALES.items()):
        probe = member.measured
        row: dict[str, object] = {"member": member.state, "epoch": _epoch(member), "hessian": name}
        for end in _ROWS:
            row[f"eigenvalue_{end}"], row[f"residual_{end}"] = extreme(probe, end, suffix)
        rows.append({**row, "train_loss": float(probe.train_loss)})
    return pd.DataFrame(rows)


def _caption(spec: Sharpening, runs: dict[str, list[Member]]) -> str:
    members = [member for of in runs.values() for member in of]
    epochs = ", ".join(str(epoch) for epoch in spec.epochs)
    seen = (
        f"The largest and the smallest eigenvalue of the Hessian of the train loss after the epochs {epochs}, filter-scaled "
        "on the left and raw on the right; a line per run, bars of one residual to either side."
    )
    how = {
        "eigenpairs": "The eigenvalues come from one Krylov space each (Lanczos with full reorthogonalisation).",
        "spectrum": "The eigenvalues are the outermost Ritz values of a stochastic Lanczos quadrature, which lie within the "
        "true ends.",
    }[words.plane(members[0].measured)["measure"]]
    return words.caption(spec.about, seen, [how, *made(members)], [_item(run, of) for run, of in runs.items()])


def _item(run: str, of: Sequence[Member]) -> str:
    """Write the highest and last filter-scaled lambda_max, and the epochs that are plateaus or did not converge."""
    tops = [extreme(member.measured, "max", "_scaled")[0] for member in of]
    known = [(value, _epoch(member)) for value, member in zip(tops, of, strict=True) if np.isfinite(value)]
    said = f"{words.escape(run)}: "
    if known:
        (high, at), (end, last) = max(known), known[-1]
        said += f"filter-scaled lambda_max at most {value_words.number(high)} (epoch {at}), {value_words.number(end)} at epoch {last}."
    else:
        said += "no eigenvalue is known."
    if plateaus := [str(_epoch(member)) for member in of if on_plateau(member)]:
        said += f" A plateau (stationary, flat in every direction, well above the end of the run): epoch {', '.join(plateaus)}."
    return said + "".join(f" Epoch {_epoch(member)}: {told.strip()}" for member in of if (told := problems(member)))
