"""The spectral density of the Hessian, filter-scaled and raw, so that networks can be compared in the scaled form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from landscape.config.fields import Ref
from landscape.figures.kind import OfRuns
from landscape.figures.shared import style, ticks, value_words, words
from landscape.figures.shared.members import Drawing, Member, tabulate
from landscape.figures.shared.panel_grid import grid
from landscape.figures.shared.probed import ENDS, LAMBDA, SCALES, extreme, made, problems
from landscape.lazy import mpl, np, pd, xr


class Spectra(OfRuns):
    """The spectral density of the Hessian, filter-scaled and raw, a panel per run."""

    example: ClassVar[str] = "spectrum"
    draw: Literal["spectra"]
    probe: Annotated[str, Ref("probes", measures=("spectrum",))] = Field(description="a probe with measure: spectrum")

    def drawing(self, members: Sequence[Member]) -> Drawing:
        """Draw runs in columns: above the filter-scaled spectra on common axes, below the raw ones, each on its own."""
        panels = grid(len(members), len(SCALES), narrow=1, heading=self.title, share="none")
        shared = _limits([member.measured for member in members], "_scaled")
        for row, suffix in zip(panels.rows, SCALES, strict=True):
            for run, (ax, member) in enumerate(zip(row, members, strict=True)):
                probe = member.measured
                spectrum(ax, probe, suffix, shared if suffix else _limits([probe], ""))
                ax.set_xlabel("eigenvalue")
                ax.tick_params(labelleft=not suffix or panels.begins(run))
                panels.note(ax, _notes(member, suffix))
        for ax, member in zip(panels.rows[0], members, strict=True):
            ax.set_title(member.label, parse_math=False)
        panels.label_rows(*(f"{name}\ndensity" for name in SCALES.values()))
        keys: list[mpl.artist.Artist] = [
            style.key("mean", color=style.LOSS),
            mpl.patches.Patch(color=style.LOSS, alpha=_SHADE, linewidth=0, label="standard error"),
            style.key(f"{LAMBDA['min']}, {LAMBDA['max']}", color="black", linestyle="--", linewidth=0.7),
        ]
        panels.legend(keys)
        panels.fit(*2 * [_SHAPES[panels.columns]])
        return Drawing(panels.figure, _numbers(members), _caption(self, members))


_SHAPES = {1: 0.6, 2: 0.65, 3: 1.0, 4: 1.4}  # height over width of a panel, by the columns
_SHADE = 0.3
_DEEPEST = 1e-10  # lower end of the axis, as a share of the highest density
_BELOW = 5.0  # the axis ends at this factor below the lower density of the two outermost eigenvalues


def spectrum(
    ax: mpl.axes.Axes, probe: xr.Dataset, suffix: str, limits: tuple[tuple[float, float], tuple[float, float]]
) -> None:
    """Draw the mean density over random vectors, its standard error as a band, and both ends, on a logarithmic axis."""
    across, up = limits
    x = probe[f"eigenvalue{suffix}"].values
    mean, low, high = (np.maximum(probe[f"density{name}{suffix}"].values, up[0] / 10) for name in ("", "_low", "_high"))
    for end in ENDS:
        ax.axvline(extreme(probe, end, suffix)[0], color="black", linestyle="--", linewidth=0.7, zorder=1)
    ax.fill_between(x, low, high, color=style.LOSS, alpha=_SHADE, linewidth=0, zorder=2)
    ax.plot(x, mean, color=style.LOSS, linewidth=0.9, zorder=3)
    ax.set(yscale="log", xlim=across, ylim=up)
    ticks.decades(ax.yaxis, 5)
    ticks.plain(ax.xaxis)


def _limits(probes: Sequence[xr.Dataset], suffix: str) -> tuple[tuple[float, float], tuple[float, float]]:
    """Compute the limits: eigenvalues from the grids; densities from below the spectra's ends to above the highest."""
    ends, tops, feet = [], [], []
    for probe in probes:
        x, density = probe[f"eigenvalue{suffix}"].values, probe[f"density{suffix}"].values
        if not np.isfinite(density).all():
            continue
        ends += [float(x[0]), float(x[-1])]
        tops.append(float(probe[f"density_high{suffix}"].max()))
        outermost = [extreme(probe, end, suffix)[0] for end in ENDS]
        feet.append(float(np.interp(outermost, x, density).min()))
    if not ends:
        return (-1.0, 1.0), (1e-3, 1.0)
    return (min(ends), max(ends)), (max(min(feet) / _BELOW, _DEEPEST * max(tops)), 3 * max(tops))


def _notes(member: Member, suffix: str) -> list[str]:
    probe = member.measured
    return [
        ", ".join(f"{LAMBDA[end]} {value_words.number(extreme(probe, end, suffix)[0])}" for end in ENDS),
        f"{LAMBDA['max']} / trace {_over_trace(probe, suffix)}",
    ]


def _over_trace(probe: xr.Dataset, suffix: str) -> str:
    """Write lambda_max / trace, or that the trace cannot be told from zero at its standard error."""
    trace, error = float(probe[f"trace{suffix}"]), float(probe[f"trace_standard_error{suffix}"])
    return value_words.number(extreme(probe, "max", suffix)[0] / trace) if trace > 2 * error else "undefined"


def _numbers(members: Sequence[Member]) -> pd.DataFrame:
    """Tabulate each eigenvalue of each member's grids: member, hessian, eigenvalue, density and its band."""

    def rows(member: Member) -> pd.DataFrame:
        names = ("eigenvalue", "density", "density_low", "density_high")
        return pd.concat(
            pd.DataFrame({"hessian": name, **{of: member.measured[f"{of}{suffix}"].values for of in names}})
            for suffix, name in SCALES.items()
        )

    return tabulate(members, rows)


def _caption(spec: Spectra, members: Sequence[Member]) -> str:
    probe = words.plane(members[0].measured)
    seen = (
        "The density of the eigenvalues of the Hessian of the train loss, on a logarithmic axis: above filter-scaled, with "
        "the same axes for all runs, below raw, where the axes differ, since raw spectra of different networks cannot be "
        "compared. Dashed: lambda_min and lambda_max."
    )
    quadrature = (
        f"By stochastic Lanczos quadrature from {probe['vectors']} random vectors of {probe['steps']} steps each (seed "
        f"{probe['seed']}), smoothed by a Gaussian; the line is the mean over the vectors, the band its standard error. "
        "lambda_min and lambda_max are the outermost Ritz values, which lie within the true ends. A trace is the mean over "
        "the vectors (Hutchinson), with its standard error; lambda_max / trace is left out where the trace is within two of "
        "these of zero."
    )
    return words.caption(spec.about, seen, [quadrature, *made(members)], [_item(member) for member in members])


def _item(member: Member) -> str:
    probe = member.measured
    told = []
    for suffix, name in SCALES.items():
        ends = ", ".join(
            f"lambda_{end} {value_words.number(value)} (residual {value_words.number(residual)})"
            for end in ENDS
            for value, residual in [extreme(probe, end, suffix)]
        )
        trace = f"{value_words.number(float(probe[f'trace{suffix}']))} ± {value_words.number(float(probe[f'trace_standard_error{suffix}']))}"
        told.append(
            f"{name}: {ends}, trace {trace}, lambda_max / trace {_over_trace(probe, suffix)}, kernel of width "
            f"{value_words.number(float(probe.attrs[f'width{suffix}']))}"
        )
    here = f"train loss {value_words.loss(float(probe.train_loss))} at the point"
    return f"{words.run_item(member)[:-1]}; {here}. {'; '.join(told).capitalize()}.{problems(member)}"
