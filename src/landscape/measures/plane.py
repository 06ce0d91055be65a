"""Base class of planes: a pair of directions, a grid, and a measure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from landscape.config.fields import INERT, Ref
from landscape.config.section import Section
from landscape.config.values import Axis, Parameters, Precision, Range
from landscape.errors import one_of
from landscape.measures import tiling

if TYPE_CHECKING:
    import xarray as xr
    from torch import nn

    from landscape.data.datasets import DataSet
    from landscape.directions import Directions
    from landscape.objective.objective import Objective
    from landscape.store.weights import Weights

Statistics = Literal["stored", "interpolated", "recalibrated"]

Eigenvector = Annotated[str, Field(pattern=r"^(largest|smallest)-[1-9][0-9]*$")]

PATH_AXES: tuple[tuple[float, float, int], tuple[float, float, int]] = ((-0.4, 1.2, 41), (-1.0, 1.0, 51))
"""The default grid of directions: pca, in multiples of the path's largest coordinate, the path's start on the right."""

_NEEDED = {
    "random": set(),
    "to": {"run"},
    "of": {"run", "plane"},
    "through": {"runs"},
    "start": set(),
    "pca": set(),
    "eigenvectors": {"probe"},
}


class _Drawn(Section):
    """Keys that define a pair of directions."""

    differentiates: ClassVar[int] = 0
    """How many derivatives are taken, 0 to 2; `parameters` says over what, too."""

    directions: Literal["random", "to", "of", "through", "start", "pca", "eigenvectors"] = Field(
        "random",
        description="random: a Gaussian draw from `seed`, its filters scaled to the norms of the network's own (`normalize`); "
        "to: from the run to another one, `run`: a line, with the other at alpha = 1; "
        "through: the plane through the run and one or two others, `runs`: orthogonal axes of one length, the first of them "
        "at (1, 0); "
        "start: to the run's own initial weights; beta is random; "
        "pca: the principal components of the run's kept epochs, orthogonal axes of one length, 1 being the path's largest "
        "coordinate; it has a grid of its own; "
        "eigenvectors: of the Hessian, as `probe` finds them at the run, of unit length (`vectors`); "
        "of: the directions that `plane` has around `run`, used around another centre",
    )
    normalize: Literal["filter", "layer", "model", "none"] = Field(
        "filter", description="what is scaled to the network's own norm in random directions"
    )
    seed: int = Field(0, ge=0, lt=2**63, description="of random directions")
    run: Annotated[str, Ref("runs")] | None = Field(
        None, description="the other run or state (RUN@EPOCH), of directions: to and of"
    )
    runs: Annotated[tuple[str, ...], Ref("runs")] | None = Field(
        None, min_length=1, max_length=2, description="one or two other runs or states, of directions: through"
    )
    plane: Annotated[str, Ref("planes")] | None = Field(None, description="the other plane, of directions: of")
    probe: Annotated[str, Ref("probes")] | None = Field(
        None, description="the probe with measure: eigenpairs, of directions: eigenvectors"
    )
    vectors: tuple[Eigenvector, ...] = Field(
        ("largest-1", "smallest-1"),
        min_length=1,
        max_length=2,
        description="which eigenvectors: largest-N or smallest-N, N counted from the end of the spectrum",
    )
    centred: bool = Field(
        True,
        description="of pca: whether the mean of the epochs is taken off first, as the authors' code does; the paper's "
        "text does not",
    )
    parameters: Parameters = Field(
        "filters",
        description="a regular expression: the parameters in whose name it is found move, the others stay; gradients and "
        "curvature are over those that have filters, as in the paper (filters), all, or those that the expression finds",
    )
    batchnorm: Statistics | None = Field(
        None,
        description="running statistics: stored (default), interpolated between runs (default of `to` and `through`; for "
        "`of` if the other plane has it), or recalibrated at every point on a training subset",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for key in ("run", "runs", "plane", "probe"):
            stated = getattr(self, key) is not None
            if key in _NEEDED[self.directions] and not stated:
                raise ValueError(f"directions: {self.directions} needs the key {key}")
            if stated and key not in _NEEDED[self.directions]:
                raise ValueError(f"directions: {self.directions} takes no {key}")
        if self.runs is not None and len(self.runs) == 2 and self.is_line:
            raise ValueError("directions: through two other runs makes a plane, which needs beta")
        if self.directions == "eigenvectors" and not self.is_line and len(set(self.vectors)) < 2:
            raise ValueError(
                f"directions: eigenvectors with beta needs two different vectors, and they are {one_of(self.vectors)}"
            )
        if self.batchnorm == "interpolated" and self.directions in ("random", "start", "pca", "eigenvectors"):
            raise ValueError(
                f"directions: {self.directions} takes no batchnorm: interpolated, since it leads to no other run"
            )
        if self.batchnorm == self._default_batchnorm:
            self._settle("batchnorm", None)
        return self

    def _useless(self) -> Iterator[tuple[str, set[str]]]:
        if not self.has_random_axis:
            yield f"directions: {self.directions}{self._whose_axes}", {"normalize", "seed"}
        if not self.differentiates and self.pattern is None:
            yield "a plane that is not of gradients or curvature, without a regular expression,", {"parameters"}
        if self.directions != "pca":
            yield f"directions: {self.directions}", {"centred"}
        if self.directions != "eigenvectors":
            yield f"directions: {self.directions}", {"vectors"}

    @property
    def pattern(self) -> str | None:
        """The regular expression of what moves; None if `directions` and `normalize` say it."""
        return None if self.parameters in ("filters", "all") else self.parameters

    @property
    def has_random_axis(self) -> bool:
        """True if alpha, beta or both are drawn from the seed."""
        if self.directions == "through":
            return len(self.runs or ()) == 1 and not self.is_line
        return self.directions == "random" or (self.directions == "start" and not self.is_line)

    @property
    def _whose_axes(self) -> str:
        return ", without a random axis," if self.directions in ("through", "start") else ""

    @property
    def is_line(self) -> bool:
        raise NotImplementedError

    @property
    def _default_batchnorm(self) -> Statistics:
        return "interpolated" if self.directions in ("to", "through") else "stored"

    @property
    def statistics(self) -> Statistics:
        """Treatment of batch-norm running statistics along the plane."""
        return self.batchnorm or self._default_batchnorm

    @property
    def others(self) -> tuple[str, ...]:
        """States other than the centre that define the directions."""
        return self.runs or (() if self.run is None else (self.run,))


class DirectionKeys(_Drawn):
    """The keys of a plane that its directions depend on; of its grid only whether it is a line."""

    line: bool = False

    @property
    def is_line(self) -> bool:
        return self.line


class Plane(_Drawn):
    """A pair of directions, a grid, and what is measured there; without beta, a line. A measure is a subclass."""

    passes: ClassVar[int]
    """Cost of a point in forward passes over its examples, about; it sets the default number of tiles."""

    measure: str
    alpha: Axis = Field(
        (-1.0, 1.0, 51),
        description="the grid along the first direction: [first, last, number of points]; or [auto, number of points], the "
        "least symmetric range at whose ends the training loss has risen by `rise`, found for every state by itself",
    )
    beta: Axis | None = Field(
        None, description="the grid along the second direction; without it a line, except with directions: pca"
    )
    rise: float | None = Field(
        None,
        gt=0,
        description="of auto: by how much the training loss rises over that of the centre, along every random direction "
        "together and along eigenvectors one by one; default ln(10) for losses in natural logarithms, for others nine times "
        "the loss of the centre",
    )
    examples: int | None = Field(
        None, ge=1, description="subset of each split, with labels a stratified one; default all"
    )
    recalibration_examples: int = Field(
        1024, ge=2, description="training subset that batchnorm: recalibrated takes its statistics from"
    )
    precision: Precision = "fp32"
    tiles: Annotated[int | None, INERT] = Field(
        None, ge=1, description="jobs the plane is cut into; default by its size"
    )

    @model_validator(mode="after")
    def _grid(self) -> Self:
        if self.directions == "to" and self.beta is not None:
            raise ValueError("directions: to makes a line, which takes no beta")
        if self.directions == "pca":
            for key, axis in zip(("alpha", "beta"), PATH_AXES, strict=True):
                if getattr(self, key) is None or key not in self.model_fields_set:
                    self._settle(key, axis)
        leads = self.directions in ("to", "through", "start")
        for key in self.wanted:
            if self.directions == "pca":
                raise ValueError(
                    f"{key} is auto, and directions: pca has a grid that holds the whole path; leave it out"
                )
            if leads and (key == "alpha" or not self.has_random_axis):
                raise ValueError(
                    f"{key} is auto, and directions: {self.directions} leads to another state, at 1; state a range with it"
                )
        return self

    def _useless(self) -> Iterator[tuple[str, set[str]]]:
        yield from super()._useless()
        if not self.wanted:
            yield "a plane with neither alpha nor beta auto", {"rise"}
        if self.statistics != "recalibrated":
            yield f"batchnorm: {self.statistics}", {"recalibration_examples"}

    def drawn(self) -> DirectionKeys:
        stated = self.model_dump(exclude_defaults=True, include=set(_Drawn.model_fields))
        if self.pattern is None:
            stated.pop("parameters", None)
        return DirectionKeys(**stated, line=self.is_line)

    @property
    def is_line(self) -> bool:
        return self.beta is None and self.directions != "pca"

    @property
    def shape(self) -> tuple[int, int]:
        return self.alpha[-1], self.beta[-1] if self.beta else 1

    @property
    def wanted(self) -> dict[str, int]:
        """The axes whose range is to be found, with their numbers of points."""
        axes = {"alpha": self.alpha, "beta": self.beta}
        return {key: axis[-1] for key, axis in axes.items() if axis is not None and len(axis) == 2}

    @property
    def ranges(self) -> tuple[Range, Range]:
        """The stated or found ranges of both axes; a line has a single point on the second."""
        alpha, beta = self.alpha, self.beta or (0.0, 0.0, 1)
        assert len(alpha) == 3 and len(beta) == 3, "a range is found before it is used"
        return alpha, beta

    @property
    def measures_test(self) -> bool:
        """True if the test split is measured too, where there is one."""
        return False

    @property
    def graph_memory(self) -> int:
        """Largest size in MiB of the graph of a point; 0 if none is held."""
        return 0

    def template(self, *, test: bool, attrs: dict[str, Any]) -> xr.Dataset:
        """Make the empty surface: coordinates, variables with units, every status absent.

        Dimensions (alpha, beta); float64 coordinates in multiples of the directions.

        Args:
            test: whether the data set has a test split.
            attrs: attributes of the surface, those of the objective (`Objective.facts`) among them.
        """
        raise NotImplementedError

    def evaluate(
        self,
        whole: xr.Dataset,
        indices: Sequence[int],
        network: nn.Module,
        theta: Weights,
        directions: Directions,
        data: DataSet,
        objective: Objective,
    ) -> xr.Dataset:
        """Measure some points of the plane, over the examples it declares, in its precision.

        Every point is the centre plus two additions, with coordinates of the whole plane. So a point has the same bits in
        any tile.

        Args:
            whole: the plane's `template`.
            indices: row-major indices of the points (alpha the slow axis).
            network: a network with the architecture of `theta`, on the device of `data`; it is not changed.
            theta: the centre, every parameter and buffer.
            directions: one for each axis of the plane.
            objective: the loss and the score.

        Returns:
            A tile: the variables of `whole` over the dimension `point`, with the point's row-major `index`. Its attributes
            are those of `whole` and those that say how the tile was computed.

        Raises:
            InputError: if a direction is missing.
        """
        raise NotImplementedError

    def merge(self, whole: xr.Dataset, tiles: Sequence[tuple[str, xr.Dataset]]) -> xr.Dataset:
        """Merge the tiles into the surface, as `tiling.merge` does."""
        return tiling.merge(whole, tiles)

    def forward_passes(self, indices: range, train: int, test: int | None) -> float:
        """Estimate the cost of a tile in forward passes of single examples.

        Args:
            indices: row-major indices of its points.
            train, test: numbers of examples in the data set's splits.
        """
        raise NotImplementedError

    def recalibrating(self, train: int) -> int:
        """Number of the `train` training examples that recalibrate the batch-norm statistics of a point."""
        return min(self.recalibration_examples, train) if self.statistics == "recalibrated" else 0
