"""Members, a figure's input; drawings, its output."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from landscape import geometry
from landscape.errors import InputError
from landscape.figures.kind import FigureKind
from landscape.figures.shared import style
from landscape.lazy import mpl, np, pd, xr
from landscape.store import files

Panel = TypeVar("Panel")
Arrays = Mapping[str, "np.ndarray"]


@dataclass(frozen=True)
class Member:
    """One state in a figure, on one plane if the figure shows any.

    Attributes:
        state: `RUN`, the end of training, or `RUN@EPOCH`.
        surface: the state on the plane, if the figure shows one.
        history: the run's history, one row per epoch; an adopted run has one row.
        trajectory: the run's path on the plane, if the figure shows one.
        marks: other states' places on the plane.
        weights: parameters and buffers by name, if the figure shows them.
        probe: what was measured at one point, if the figure shows it.
    """

    state: str
    surface: xr.Dataset | None
    history: xr.Dataset
    plane: str | None = None
    trajectory: xr.Dataset | None = None
    marks: tuple[xr.Dataset, ...] = ()
    weights: Arrays | None = None
    probe: xr.Dataset | None = None

    @cached_property
    def epoch(self) -> int | None:
        _, _, epoch = self.state.partition("@")
        return int(epoch) if epoch else None

    @property
    def label(self) -> str:
        run, _, _ = self.state.partition("@")
        return run if self.epoch is None else f"{run}, epoch {self.epoch}"

    @property
    def past(self) -> xr.Dataset:
        """The history up to the state."""
        return self.history if self.epoch is None else self.history.sel(epoch=slice(0, self.epoch))

    @property
    def row(self) -> xr.Dataset:
        """The state's epoch of the history."""
        return self.history.isel(epoch=-1) if self.epoch is None else self.history.sel(epoch=self.epoch)

    @property
    def seen(self) -> xr.Dataset:
        """The surface, for kinds of figures that always have one."""
        assert self.surface is not None, self.state
        return self.surface

    @property
    def path(self) -> xr.Dataset:
        """The trajectory, for kinds of figures that always have one."""
        assert self.trajectory is not None, self.state
        return self.trajectory

    @property
    def measured(self) -> xr.Dataset:
        """The probe, for kinds of figures that always have one."""
        assert self.probe is not None, self.state
        return self.probe

    @cached_property
    def findings(self) -> list[geometry.Finding]:
        """Warnings about the surface, worst first."""
        return geometry.findings(self.seen, self.row)


@dataclass(frozen=True)
class Drawing:
    """A figure, the numbers drawn in it (one row per point and member), and its caption (reStructuredText)."""

    figure: mpl.figure.Figure
    numbers: pd.DataFrame
    caption: str


def only(panels: Sequence[Panel], kind: str) -> Panel:
    """Return the one panel for drawing into the user's axes.

    Raises:
        InputError: if there are several.
    """
    if len(panels) != 1:
        raise InputError(f"draw: {kind} has {len(panels)} panels here, and one fits into axes; leave ax out")
    return panels[0]


def tabulate(members: Sequence[Member], rows: Callable[[Member], pd.DataFrame]) -> pd.DataFrame:
    """Stack a table of each member; the first column names the member."""
    whole = pd.concat([rows(member).assign(member=member.state) for member in members], ignore_index=True)
    return whole[["member", *whole.columns.drop("member")]]


def numbers(members: Sequence[Member], variables: Sequence[str], plane: bool = False) -> pd.DataFrame:
    """Tabulate the points of each member's surface: member, its plane if asked for, alpha, beta, and `variables`."""

    def rows(member: Member) -> pd.DataFrame:
        there = [variable for variable in variables if variable in member.seen]
        points = member.seen[there].to_dataframe(dim_order=["alpha", "beta"]).reset_index()
        if plane:
            points.insert(0, "plane", member.seen.attrs["plane"])
        return points

    return tabulate(members, rows)


def members(
    spec: FigureKind, results: Mapping[str, Sequence[xr.Dataset]], weights: Mapping[str, Arrays] | None = None
) -> list[Member]:
    """Build one member for each state and plane that the figure shows, from the results that were read.

    The order is that of `spec.seen`; then paths without a surface; then states without a plane.

    Args:
        results: by kind (surface, history, trajectory, mark, probe), in any order; their attributes name the subject.
        weights: by state.

    Raises:
        InputError: if a result is missing, is not shown by the figure, or occurs twice.
    """
    histories = {str(found.attrs["name"]): found for found in results.get("history", ())}
    last = {run: int(history.epoch[-1]) for run, history in histories.items() if history.sizes["epoch"] > 1}

    def end(state: str) -> str:
        """Name the state; the kept last epoch becomes the end of the training."""
        run, _, epoch = state.partition("@")
        return run if epoch and int(epoch) == last.get(run) else state

    def normal(of: tuple[str, ...]) -> tuple[str, ...]:
        return (end(of[0]), *of[1:2], *map(end, of[2:]))

    def shown(kind: str, wanted: Sequence[tuple[str, ...]], keys: tuple[str, ...]) -> dict[tuple[str, ...], xr.Dataset]:
        there = {normal(of): found for of, found in _by_subject(kind, results.get(kind, ()), keys).items()}
        subjects = {of: normal(of) for of in wanted}
        _require(kind, set(subjects.values()), there)
        return {of: there[subject] for of, subject in subjects.items()}

    history = shown("history", [(state.partition("@")[0],) for state in spec.states], ("name",))
    seen = shown("surface", spec.seen, ("state", "plane"))
    path = shown("trajectory", spec.paths, ("run", "plane"))
    mark = shown("mark", spec.marked, ("state", "plane", "marked"))
    probe = {state: found for (state, _), found in shown("probe", spec.probed, ("state", "probe")).items()}
    arrays = weights or {}
    _require("weights", {(state,) for state in spec.weighed}, {(state,): found for state, found in arrays.items()})
    places: dict[tuple[str, str | None], None] = dict.fromkeys([*spec.seen, *spec.paths])
    on_planes = {state for state, _ in places}
    places |= dict.fromkeys((state, None) for state in spec.states if state not in on_planes)
    return [
        Member(
            state,
            seen.get((state, str(plane))),
            history[(state.partition("@")[0],)],
            plane,
            path.get((state, str(plane))),
            tuple(found for (centre, on, _), found in mark.items() if (centre, on) == (state, plane)),
            arrays.get(state),
            probe.get(state),
        )
        for state, plane in places
    ]


def _by_subject(kind: str, found: Sequence[xr.Dataset], keys: tuple[str, ...]) -> dict[tuple[str, ...], xr.Dataset]:
    subjects = [tuple(str(dataset.attrs[key]) for key in keys) for dataset in found]
    for subject in {subject for subject in subjects if subjects.count(subject) > 1}:
        raise InputError(f"there are two files of the {kind} of {' on '.join(subject)}")
    return dict(zip(subjects, found, strict=True))


def _require(kind: str, wanted: Set[tuple[str, ...]], there: Mapping[tuple[str, ...], object]) -> None:
    for what, subjects in (("needs", wanted - there.keys()), ("does not show", there.keys() - wanted)):
        if subjects:
            raise InputError(f"the figure {what} the {kind} of {' on '.join(min(subjects))}")


def save(drawing: Drawing, pdf: Path) -> None:
    """Write NAME.pdf and beside it NAME.png (a preview), NAME.csv (the numbers) and NAME.rst (the caption).

    Equal drawings give equal bytes, with equal versions of matplotlib.

    Raises:
        InputError: if the name does not end in .pdf.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_pdf import FigureCanvasPdf

    if not pdf.name.endswith(".pdf"):
        raise InputError(f"{pdf}: a figure's name must end in .pdf")
    stem, figure = str(pdf)[: -len(".pdf")], drawing.figure
    vector: dict[str, Any] = {"format": "pdf", "dpi": style.RASTER_DPI, "metadata": {"CreationDate": None}}
    with style.context():
        with files.replacing(pdf) as path:
            FigureCanvasPdf(figure).print_figure(path, **vector)
        with files.replacing(stem + ".png") as path:
            FigureCanvasAgg(figure).print_figure(path, format="png", dpi=style.PREVIEW_DPI)
    files.write_text(stem + ".csv", drawing.numbers.to_csv(index=False, na_rep="nan", lineterminator="\n"))
    files.write_text(stem + ".rst", drawing.caption)
