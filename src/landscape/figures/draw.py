"""Public functions that draw: one for each kind of figure, made from the kind's class.

>>> figure = draw.contours(surface, levels="paper")
>>> figure.savefig("contours.pdf")
"""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from landscape import geometry
from landscape.config.fields import Ref
from landscape.errors import InputError
from landscape.figures.kind import FigureKind
from landscape.figures.kinds import DRAWN, KINDS
from landscape.figures.shared import style
from landscape.figures.shared.members import Arrays, members
from landscape.lazy import np, xr

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Results = dict[str, list["xr.Dataset"]]


def __getattr__(name: str) -> Callable[..., Figure]:
    if name in DRAWN:
        return _FUNCTIONS[name]
    raise AttributeError(f"module 'landscape.figures.draw' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *DRAWN]


def _function(name: str, kind: type[FigureKind]) -> Callable[..., Figure]:
    """Build the function that draws a kind of figure, with the signature and docstring of the kind's class."""

    def draw(
        *datasets: xr.Dataset, ax: Axes | None = None, weights: Mapping[str, Arrays] | None = None, **keys: Any
    ) -> Figure:
        results = _by_kind(datasets)
        spec = _section(name, kind, results, keys)
        results["history"] += stand_ins(results)
        found = members(spec, results, weights)
        with style.context():
            if ax is None:
                return spec.drawing(found).figure
            spec.panel(ax, found)
        figure = ax.get_figure(root=True)
        assert figure is not None
        return figure

    fields = {key: field for key, field in kind.model_fields.items() if key not in ("draw", "group", "about")}
    parameters = [p for p in inspect.signature(draw).parameters.values() if p.kind is not p.VAR_KEYWORD]
    parameters += [
        inspect.Parameter(
            key, inspect.Parameter.KEYWORD_ONLY, default=None if field.is_required() else field.get_default()
        )
        for key, field in fields.items()
    ]
    draw.__name__ = draw.__qualname__ = name
    draw.__signature__ = inspect.Signature(parameters, return_annotation="Figure")  # type: ignore[attr-defined]
    told = "\n".join(f"    {key}: {_told(field)}" for key, field in fields.items())
    draw.__doc__ = f"""{kind.__doc__}

Args:
    datasets: what is shown, in any order: surfaces, histories, trajectories, marks, probes. Without the history of a run
        the numbers are those of the surface's centre or of the probe, and there is no test error.
    ax: axes of yours to draw one panel into, where the kind can.
    weights: parameters by state, for kinds that show them.
{told}

Raises:
    InputError: if the datasets or the keys do not fit.

Example:
    >>> figure = draw.{name}({kind.example})
"""
    return draw


def _told(field: FieldInfo) -> str:
    said = field.description or "see the section `figures` of a configuration"
    return f"{said}; by default what the datasets are of" if field.is_required() else said


def _by_kind(datasets: Sequence[xr.Dataset]) -> Results:
    """Sort datasets by kind. A number tells apart different things of the same name, in order."""
    found: Results = {kind: [] for kind in ("surface", "history", "trajectory", "mark", "probe")}
    specs: dict[str, list[str]] = {}
    for dataset in datasets:
        kind, attrs = _kind(dataset), dict(dataset.attrs)
        if kind == "surface":
            of_name = specs.setdefault(str(attrs["plane"]), [])
            if attrs["spec"] not in of_name:
                of_name.append(attrs["spec"])
            attrs["plane"] = _numbered(attrs["plane"], of_name.index(attrs["spec"]))
            same = [of for of in found[kind] if of.attrs["plane"] == attrs["plane"]]
            taken, state, again = {of.attrs["state"] for of in same}, attrs["state"], 0
            while _numbered(state, again) in taken:
                again += 1
            attrs |= {"state": _numbered(state, again), "run": _numbered(attrs["run"], again)}
        found[kind].append(dataset.assign_attrs(attrs))
    return found


def _numbered(name: str, before: int) -> str:
    return f"{name}-{before + 1}" if before else name


def _kind(dataset: xr.Dataset) -> str:
    """Tell the kind of a dataset from its variables and attributes."""
    if "marked" in dataset.attrs:
        return "mark"
    if "probe" in dataset.attrs:
        return "probe"
    if {"alpha", "beta"} <= {*dataset.dims}:
        return "surface"
    if "epoch" in dataset.dims:
        return "trajectory" if "alpha" in dataset else "history"
    raise InputError(f"a dataset of {', '.join(map(str, dataset.variables))} is nothing that figures show")


def _section(name: str, kind: type[FigureKind], results: Results, keys: Mapping[str, Any]) -> FigureKind:
    """Build the section of a configuration that shows these results."""
    filled = {
        key: value
        for key, field in kind.model_fields.items()
        if key not in keys and (value := _value(name, key, field, results)) is not None
    }
    try:
        return kind.model_validate({"draw": name, **filled, **keys})
    except ValidationError as error:
        said = [f"{'.'.join(map(str, of['loc']))}: {of['msg']}" for of in error.errors()]
        raise InputError(f"draw.{name}: {problem}" for problem in said) from None


def _value(name: str, key: str, field: FieldInfo, results: Results) -> Any:
    """Find a key's default in the datasets; None if they hold none, or the class has its own default."""
    states = [str(of.attrs["state"]) for kind in ("surface", "trajectory", "probe") for of in results[kind]]
    states = states or [str(of.attrs["name"]) for of in results["history"]]
    if key == "marks":
        return tuple(dict.fromkeys(of.attrs["marked"] for of in results["mark"]))
    if key == "contours" and field.annotation is bool:
        return bool(results["surface"])
    if not field.is_required() or key == "draw":
        return None
    if key == "epochs":
        return tuple(sorted({int(state.partition("@")[2]) for state in states if "@" in state}))
    to = next((part for part in _metadata(field) if isinstance(part, Ref)), None)
    if to is None:
        return None
    if to.section == "runs":
        runs = name in ("sharpening", "trajectories")
        found = [state.partition("@")[0] for state in states] if runs else states
    elif to.section == "probes":
        found = [of.attrs["probe"] for of in results["probe"]]
    else:
        there = [of for of in results["surface"] if to.axes in (None, 2 if of.sizes["beta"] > 1 else 1)]
        there += results["trajectory"] if to.axes == 2 else []
        found = [of.attrs["plane"] for of in there if not to.measures or _measure(of) in to.measures]
    if not found:
        what = {"runs": "result", "probes": "probe", "planes": "line" if to.axes == 1 else "plane"}[to.section]
        raise InputError(f"draw.{name} shows no {what}: none of the datasets is one that it can show as {key}")
    names = tuple(dict.fromkeys(found))
    if field.annotation is str:
        return names[0]
    return names if any(isinstance(part, Ref) for part in field.metadata) else (names,)


def _metadata(field: FieldInfo) -> list[Any]:
    """Collect the metadata of a field and of the items of a tuple."""
    items = [part for arg in get_args(field.annotation) for part in getattr(arg, "__metadata__", ())]
    return [*field.metadata, *items]


def _measure(dataset: xr.Dataset) -> str:
    return str(json.loads(dataset.attrs["spec"]).get("measure"))


def stand_ins(results: Results) -> list[xr.Dataset]:
    """Build a history for each shown run without one, from the losses at its surfaces' centres or of its probes."""
    known = {str(of.attrs["name"]) for of in results["history"]}
    rows: dict[str, dict[int, xr.Dataset]] = {}
    for of in [*results["surface"], *results["probe"], *results["trajectory"]]:
        run, _, epoch = str(of.attrs["state"]).partition("@")
        if run not in known:
            by_epoch, at = rows.setdefault(run, {}), int(epoch or 10**6)
            before = by_epoch.setdefault(at, of)
            if math.isnan(_at_point(before, "train_loss") or 0.0):  # a plane without its centre does not tell
                by_epoch[at] = of
    histories = []
    for run, by_epoch in rows.items():
        epochs = sorted(by_epoch)
        columns = {
            name: [_at_point(by_epoch[epoch], name) for epoch in epochs] for name in ("train_loss", "train_accuracy")
        }
        columns["learning_rate"] = [np.nan] * len(epochs)
        attrs = next(iter(by_epoch.values())).attrs
        told = {
            key: attrs[key]
            for key in ("loss", "loss_unit", "score", "score_of", "loss_classes", "classes")
            if key in attrs
        }
        told |= {"name": run, "spec": attrs.get("run_spec", "{}"), "train_examples": attrs.get("train_examples", 0)}
        there = {name: values for name, values in columns.items() if None not in values}
        histories.append(xr.Dataset({name: ("epoch", of) for name, of in there.items()}, {"epoch": epochs}, told))
    return histories


def _at_point(of: xr.Dataset, name: str) -> float | None:
    """Return the train loss or accuracy at the state itself; None for an accuracy that was not measured."""
    if name == "train_loss" and "saved_loss" in of:
        return float(of.saved_loss[-1])
    if "probe" in of.attrs or name not in of:
        return None if name == "train_accuracy" else float(of.get(name, np.nan))
    return geometry.centre(of, name)


_FUNCTIONS = {name: _function(name, kind) for name, kind in zip(DRAWN, KINDS, strict=True)}
