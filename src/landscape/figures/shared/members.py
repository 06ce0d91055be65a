"""What goes into a figure and what comes out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from landscape.errors import InputError
from landscape.figures.kind import FigureKind
from landscape.figures.shared import style
from landscape.lazy import np, pd, xr
from landscape.store import files

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Arrays = Mapping[str, "np.ndarray"]


@dataclass(frozen=True)
class Member:
    """One state in a figure, on one plane if the figure shows any.

    Attributes:
        state: `RUN`, the end of training, or `RUN@EPOCH`.
        surface: the state on the plane, if the figure shows one.
        history: of the run, one row per epoch; of an adopted run one row.
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
    def row(self) -> xr.Dataset:
        """The state's epoch of the history."""
        return self.history.isel(epoch=-1) if self.epoch is None else self.history.sel(epoch=self.epoch)

    @property
    def seen(self) -> xr.Dataset:
        """The surface, where the kind of figure implies that there is one."""
        assert self.surface is not None, self.state
        return self.surface


@dataclass(frozen=True)
class Drawing:
    """A figure, the numbers drawn in it (one row per point and member), and its caption (reStructuredText)."""

    figure: Figure
    numbers: pd.DataFrame
    caption: str


def members(
    spec: FigureKind,
    surfaces: Sequence[xr.Dataset],
    histories: Sequence[xr.Dataset],
    trajectories: Sequence[xr.Dataset] = (),
    marks: Sequence[xr.Dataset] = (),
    weights: Sequence[Arrays] = (),
    probes: Sequence[xr.Dataset] = (),
) -> list[Member]:
    """Put together what was read from files: one member for each state and plane that the figure shows.

    They stand in the order of `spec.seen`; then those of which there is a path alone; then the states without a plane.

    Args:
        surfaces: in the order of `spec.seen`; likewise the others, of `spec.states`, `spec.paths`, `spec.marked`,
            `spec.weighed` and `spec.probed`.

    Raises:
        InputError: if the numbers differ, or a file is of another run than its place says.
    """
    seen = _paired("surfaces", spec.seen, surfaces, lambda of: of[0], "run")
    history = _paired("histories", spec.states, histories, lambda of: of, "name")
    path = _paired("trajectories", spec.paths, trajectories, lambda of: of[0], "run")
    mark = _paired("marks", spec.marked, marks, lambda of: of[0], "run")
    probe = _paired("probes", spec.probed, probes, lambda of: of[0], "run")
    of_state = {state: found for (state, _), found in probe.items()}
    _check_count("weights", len(spec.weighed), len(weights))
    arrays = dict(zip(spec.weighed, weights, strict=True))
    places: dict[tuple[str, str | None], None] = dict.fromkeys([*spec.seen, *spec.paths])
    shown = {state for state, _ in places}
    places |= dict.fromkeys((state, None) for state in spec.states if state not in shown)
    return [
        Member(
            state,
            seen.get((state, plane)),
            history[state],
            plane,
            path.get((state, plane)),
            tuple(found for (centre, on, _), found in mark.items() if (centre, on) == (state, plane)),
            arrays.get(state),
            of_state.get(state),
        )
        for state, plane in places
    ]


def _paired(
    what: str, wanted: Sequence[Any], found: Sequence[xr.Dataset], state: Callable[[Any], str], key: str
) -> dict[Any, xr.Dataset]:
    """Each file under what it is of, which its attribute `key` confirms."""
    _check_count(what, len(wanted), len(found))
    for k, (of, file) in enumerate(zip(wanted, found, strict=True)):
        if file.attrs[key] != state(of).partition("@")[0]:
            raise InputError(f"{what}: number {k + 1} is to be of {state(of)}, and the file is of {file.attrs[key]}")
    return dict(zip(wanted, found, strict=True))


def _check_count(what: str, wanted: int, found: int) -> None:
    if wanted != found:
        raise InputError(f"there are {found} {what}, and the figure shows {wanted}")


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
    stem = str(pdf)[: -len(".pdf")]
    with style.context():
        with files.replacing(pdf) as path:
            FigureCanvasPdf(drawing.figure).print_figure(
                path, format="pdf", dpi=style.RASTER_DPI, metadata={"CreationDate": None}
            )
        with files.replacing(stem + ".png") as path:
            FigureCanvasAgg(drawing.figure).print_figure(path, format="png", dpi=style.PREVIEW_DPI)
    files.write_text(stem + ".csv", drawing.numbers.to_csv(index=False, na_rep="nan", lineterminator="\n"))
    files.write_text(stem + ".rst", drawing.caption)
