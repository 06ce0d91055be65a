"""Planes: a pair of directions, a grid, and what to measure there."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, TypeAdapter, model_validator

from landscape.config.fields import INERT, Ref
from landscape.config.section import Section, one_of_kinds
from landscape.config.values import Axis, Parameters, Precision
from landscape.errors import one_of

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
    """What a pair of directions is made from."""

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
        if self.directions != "pca":
            yield f"directions: {self.directions}", {"centred"}
        if self.directions != "eigenvectors":
            yield f"directions: {self.directions}", {"vectors"}

    @property
    def has_random_axis(self) -> bool:
        """Whether alpha, beta or both are drawn from the seed."""
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
        """What happens to batch-norm running statistics along the plane."""
        return self.batchnorm or self._default_batchnorm

    @property
    def others(self) -> tuple[str, ...]:
        """The states, beside the centre, that the directions are made from."""
        return self.runs or (() if self.run is None else (self.run,))


class Directions(_Drawn):
    """What the directions of a plane depend on: of its grid only whether it is a line."""

    line: bool = False

    @property
    def is_line(self) -> bool:
        return self.line


class Plane(_Drawn):
    """A pair of directions, a grid, and what to measure there; without beta, a line."""

    measure: str
    alpha: Axis = Field((-1.0, 1.0, 51), description="the grid along the first direction")
    beta: Axis | None = Field(
        None, description="the grid along the second direction; without it a line, except with directions: pca"
    )
    images: int | None = Field(None, ge=1, description="stratified subset of each split; default all")
    recalibration_images: int = Field(
        1024, ge=2, description="stratified training subset that batchnorm: recalibrated takes its statistics from"
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
        return self

    def _useless(self) -> Iterator[tuple[str, set[str]]]:
        yield from super()._useless()
        if self.statistics != "recalibrated":
            yield f"batchnorm: {self.statistics}", {"recalibration_images"}

    def drawn(self) -> Directions:
        stated = self.model_dump(exclude_defaults=True, include=set(_Drawn.model_fields))
        return Directions(**stated, line=self.is_line)

    @property
    def is_line(self) -> bool:
        return self.beta is None and self.directions != "pca"

    @property
    def shape(self) -> tuple[int, int]:
        return self.alpha[2], self.beta[2] if self.beta else 1

    @property
    def graph_memory(self) -> int:
        """MiB that the graph of a point may take; 0 where none is held."""
        return 0


class LossPlane(Plane):
    """The loss and the accuracy on both splits (Li et al. 2018, section 2)."""

    measure: Literal["loss"] = "loss"
    precision: Literal["fp32", "tf32", "bf16"] = Field(
        "fp32",
        description="of the network's arithmetic; of tf32 and bf16 the error is measured and kept in the file",
    )


class GradientsPlane(Plane):
    """The training loss and its gradient."""

    measure: Literal["gradients"]
    precision: Literal["fp32", "fp64"] = Field("fp32", description="of the network's arithmetic")
    parameters: Parameters = Field("filters", description="those that have filters, as in the paper, or all")

    @model_validator(mode="after")
    def _as_stored(self) -> Self:
        if self.statistics != "stored":
            raise ValueError(f"measure: {self.measure} is of the network as stored; state batchnorm: stored")
        return self


class CurvaturePlane(GradientsPlane):
    """The training loss, its gradient, and the extreme eigenvalues of its Hessian (Li et al. 2018, Figure 7)."""

    measure: Literal["curvature"]  # type: ignore[assignment]
    memory: int = Field(2048, ge=1, description="MiB that the graph of a point may take; beyond, it is made anew")
    eigensolver: Literal["lanczos", "eigsh"] = Field(
        "lanczos", description="eigsh: scipy's implicitly restarted Lanczos, the paper's method"
    )

    @property
    def graph_memory(self) -> int:
        return self.memory


MEASURES: tuple[type[Plane], ...] = (LossPlane, GradientsPlane, CurvaturePlane)
"""What a plane can measure; a new measure is named here."""

if TYPE_CHECKING:
    AnyPlane = Plane
else:
    AnyPlane = one_of_kinds("measure", MEASURES, default="loss")


def plane_of(keys: Mapping[str, Any]) -> Plane:
    """The plane that the keys of a configuration describe.

    Raises:
        pydantic.ValidationError: if they do not.
    """
    found: Plane = TypeAdapter(AnyPlane).validate_python(keys)
    return found
