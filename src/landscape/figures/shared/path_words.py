"""The words of a figure of trajectories: titles, the notes below a panel, the caption."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from landscape.figures.shared import paths, words
from landscape.figures.shared.groups import errors, group
from landscape.figures.shared.level_lines import LEVELS
from landscape.figures.shared.members import Member
from landscape.figures.shared.paths import Panel
from landscape.lazy import np, xr

if TYPE_CHECKING:
    from landscape.figures.kinds.trajectories import Trajectories

_FEW_CELLS = 6


def title(panel: Panel, spec: Trajectories, members: Sequence[Member]) -> str:
    """Title a panel with whatever of run, plane and scale differs between the panels; with the run if nothing does."""
    runs, planes = (dict.fromkeys(names) for names in zip(*((m.state, m.plane) for m in members), strict=True))
    said = [panel.member.label] * (len(runs) > 1) + [str(panel.member.plane)] * (len(planes) > 1)
    said += [f"{panel.scale} scale{'s' * (panel.scale == 'equal')}"] * (len(spec.scales) > 1)
    care = bool(_beware(panel)) or (panel.member.surface is not None and bool(panel.member.findings))
    return words.with_care(", ".join(said or [panel.member.label]), care)


def notes(panel: Panel) -> list[str]:
    """Write test error and train loss below the panel, unless the same path stood in an earlier one."""
    if panel.again:
        return []
    return [*errors(group([panel.member])[0]), f"train loss {words.loss(float(panel.member.row.train_loss))}"]


def _beware(panel: Panel) -> list[str]:
    """Warn of hidden parts of the path, and of level lines from few points."""
    said = paths.hidden(panel.path)
    if panel.member.surface is not None:
        if beyond := paths.outside(panel.path, _grid(panel.member.surface)):
            said.append(f"{beyond} of {panel.path.sizes['epoch']} epochs outside the grid")
        cells = _cells(panel)
        if panel.scale == "auto" and min(cells) < _FEW_CELLS:
            said.append(f"level lines at auto scale from {cells[0]:.1f} x {cells[1]:.1f} cells of the grid")
    return said


def _grid(surface: xr.Dataset) -> paths.Limits:
    alpha, beta = surface.alpha.values, surface.beta.values
    return (float(alpha[0]), float(alpha[-1])), (float(beta[0]), float(beta[-1]))


def _cells(panel: Panel) -> tuple[float, float]:
    """Count the cells of the grid that the view spans on each axis."""
    surface = panel.member.seen
    limits = paths.view(panel.path, surface, panel.scale, 1.0)
    alpha, beta = (
        (high - low) / float(np.diff(surface[axis].values).mean())
        for axis, (low, high) in zip(("alpha", "beta"), limits, strict=True)
    )
    return alpha, beta


def caption(spec: Trajectories, members: Sequence[Member], shown: Sequence[Panel]) -> str:
    falls = [panel.falls for panel in shown]
    seen = [
        "The path of training on a plane: a dot for each kept epoch, light at the start (square) and dark at the end (star), "
        "at the foot of the perpendicular from the weights.",
        "Red diamonds, with the epoch: where the learning rate falls to less than half." if any(falls) else "",
        "The diamond of an epoch that was not kept stands at the last kept one before it."
        if any(drop != kept for panel in falls for drop, kept in panel.items())
        else "",
        f"Under the path, level lines of the train loss at {', '.join(f'{level:g}' for level in LEVELS['log'])}, "
        "the dashed one at the loss of guessing; white where the grid ends or the loss is not finite (then hatched)."
        if spec.contours
        else "",
        "Equal scales: both axes, in multiples of their directions, have one scale, and the view holds the whole grid and the "
        "whole path."
        if "equal" in spec.scales
        else "",
        "Auto scale: each axis is fitted to the path, so that angles and lengths cannot be compared."
        if "auto" in spec.scales
        else "",
        _shares_explained(members),
        _losses_explained(members) if spec.losses else "",
    ]
    return words.caption(
        spec.about, " ".join(filter(None, seen)), _made(members), [_item(member, shown) for member in members]
    )


def _shares_explained(members: Sequence[Member]) -> str:
    planes = [
        (words.plane(member.trajectory), member.trajectory) for member in members if member.trajectory is not None
    ]
    said = ["Beside an axis stands the share that it holds of the path's variance"]
    if not all(plane.get("centred", True) for plane, _ in planes):
        said.append(", of planes that are not centred that of the squared distance to the end")
    if any(plane["directions"] == "pca" for plane, _ in planes):
        said.append("; in brackets that of the principal component of a random walk with the same step lengths")
    if any(np.isfinite(path.expected_share).any() for _, path in planes):
        said.append("; of a random direction, in brackets, the share that such a direction has on average")
    if any(words.cosine(path) for _, path in planes):
        said.append("; where directions are not orthogonal, the share of beta is that of its part orthogonal to alpha")
    return "".join(said) + "."


def _losses_explained(members: Sequence[Member]) -> str:
    images = words.each(
        min(int(member.history.attrs["train_examples"]), words.plane(member.trajectory).get("examples") or 10**12)
        for member in members
        if member.trajectory is not None
    )
    precision = words.each(m.trajectory.attrs["precision"] for m in members if m.trajectory is not None)
    return (
        f"Strips: the train loss at each kept epoch over {images} examples, precision {precision}: on the plane, at the path's "
        "dot (dotted); with the epoch's weights alone, batch norm and biases being those of the end (dashed); as saved "
        "(solid). From dotted to dashed is what the projection leaves out, from dashed to solid what batch norm and biases "
        "do. The axis is logarithmic and the same in all strips."
    )


def _made(members: Sequence[Member]) -> list[str]:
    """Explain how the planes were made, in the order of the panels; then the losses."""
    said = []
    for name in dict.fromkeys(str(member.plane) for member in members):
        on = [member for member in members if member.plane == name]
        path = on[0].trajectory
        assert path is not None
        seeds = [seed for seed in (words.plane(path).get("seed"),) if seed is not None]
        said.append(f"Plane {words.escape(name)}: {words.directions_made(path, seeds)}")
        if on[0].surface is not None:
            said.append(f"Grid: {words.grid(on[0].surface)}.")
    with_surface = [member for member in members if member.surface is not None]
    return [*said, *(words.losses_made(with_surface) if with_surface else words.errors_made(members))]


def _item(member: Member, shown: Sequence[Panel]) -> str:
    """Write the numbers of a member's path, and its hidden parts."""
    path = member.trajectory
    assert path is not None
    beware = list(dict.fromkeys(text for panel in shown if panel.member is member for text in _beware(panel)))
    care = bool(beware)
    of = (
        words.run_item(member, care) if member.surface is None else words.member_item(member, ["train_loss"], care=care)
    )
    kept = path.epoch.values
    shares = " and ".join(paths.percent(float(share)) for share in path.share)
    told = [
        f"On {words.escape(str(member.plane))}: {len(kept)} kept epochs from {kept[0]} to {kept[-1]}, shares {shares}, "
        f"at most {words.loss(float(path.distance.max()))} off the plane",
        *(words.cosine(path) if member.surface is None or "cosine" not in member.surface.attrs else []),
    ]
    return f"{of} {', '.join([*told, *beware])}."
