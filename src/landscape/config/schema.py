"""The sections of a configuration: frozen pydantic models, one per noun.

A default here is part of what a file's specification leaves unsaid (`specs`), so a changed default needs a
raised stage version; `tests/test_specs.py` holds the table that notices.
"""

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from landscape.config.values import Arguments, Axis, Folder, Keep, Levels

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}")
MAX_EPOCHS = 999  # a state is written RUN@EPOCH with three digits


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=False, allow_inf_nan=False)

    def in_full(self) -> dict[str, Any]:
        """Every key that means something for this entry, defaults included; a valid entry again."""
        return self.model_dump(mode="json", exclude=self._meaningless())

    def _meaningless(self) -> set[str]:
        return set()


class Data(Section):
    """A data set: where it comes from and how its images are normalised."""

    source: str = Field(
        min_length=1,
        description="digits (scikit-learn's, in the wheel), cifar10 or cifar100 (torchvision's download), or the path "
        "of an .npz with train_images, train_labels, test_images, test_labels",
    )
    mean: tuple[float, ...] | None = Field(None, description="per channel, of pixels in [0, 1]; computed if absent")
    std: tuple[Annotated[float, Field(gt=0)], ...] | None = Field(
        None, description="per channel, of pixels in [0, 1]; computed if absent"
    )

    @model_validator(mode="after")
    def _both(self) -> "Data":
        if (self.mean is None) != (self.std is None):
            raise ValueError("mean and std go together: state both or neither")
        if self.mean is not None and self.std is not None and len(self.mean) != len(self.std):
            raise ValueError(f"mean has {len(self.mean)} channels and std has {len(self.std)}")
        return self


LEARNING_RATES = {"sgd": 0.1, "adam": 0.001}  # Li et al. 2018, section 4


class Run(Section):
    """One network, trained here or (with `weights`) adopted. The defaults are the recipe of Li et al. 2018."""

    network: str = Field(
        min_length=1, description="a built-in name, or package.module:function, or path/file.py:function"
    )
    args: Arguments = Field({}, description="arguments of the network's function")
    data: str = Field(description="a name in the section data")
    weights: str | None = Field(None, description="a state dict made elsewhere; the run is then adopted, not trained")
    code: tuple[str, ...] = Field((), description="further files whose change redoes the run")
    seed: int = Field(0, ge=0, lt=2**63, description="of the initial weights, the order of images and the augmentation")
    epochs: int = Field(300, ge=1, le=MAX_EPOCHS)
    batch_size: int = Field(128, ge=1)
    optimizer: Literal["sgd", "adam"] = "sgd"
    learning_rate: float | None = Field(None, gt=0, description="default 0.1 for sgd, 0.001 for adam")
    momentum: float = Field(0.9, ge=0, lt=1, description="Nesterov's, of sgd")
    weight_decay: float = Field(0.0005, ge=0, description="on all parameters, L2 style")
    schedule: Literal["step", "onecycle", "constant"] = "step"
    milestones: tuple[Annotated[int, Field(ge=1)], ...] | None = Field(
        None, description="epochs after which a step schedule divides the rate by ten; default 1/2, 3/4, 11/12 of all"
    )
    warmup: float = Field(0.25, ge=0, lt=1, description="share of a onecycle schedule in which the rate rises")
    clip: float | None = Field(None, gt=0, description="largest norm of the gradient")
    augment: tuple[Literal["crop", "flip"], ...] = Field(
        (), description="crop: random crop with padding 4; flip: mirror"
    )
    keep: Keep = Field(
        "none", description="epochs kept as states RUN@EPOCH: none, all, or every Nth (with the first and the last)"
    )
    threads: int = Field(1, ge=1, description="of the training process; part of the run because it alters bits")

    @model_validator(mode="after")
    def _normal_form(self) -> "Run":
        """Refuse keys that would do nothing; make stated defaults equal to unstated ones."""
        for reason, keys in self._useless():
            if extra := sorted(self.model_fields_set & keys):
                raise ValueError(f"{reason} takes no {', '.join(extra)}")
        if self.learning_rate == LEARNING_RATES[self.optimizer]:
            object.__setattr__(self, "learning_rate", None)
        if self.milestones is not None:
            if any(b <= a for a, b in itertools.pairwise(self.milestones)):
                raise ValueError(f"milestones must increase, and {list(self.milestones)} does not")
            if self.milestones and self.milestones[-1] >= self.epochs:
                raise ValueError(
                    f"milestones must be below epochs, and {self.milestones[-1]} is not below {self.epochs}"
                )
            if self.milestones == _paper_milestones(self.epochs):
                object.__setattr__(self, "milestones", None)
        return self

    def _meaningless(self) -> set[str]:
        return set().union(*(keys for _, keys in self._useless()))

    def _useless(self) -> Iterator[tuple[str, set[str]]]:
        """Keys that change nothing of this run, with what makes them so."""
        if self.adopted:
            yield "an adopted run (it has weights) is not trained, so it", set(Run.model_fields) - _ADOPTED_KEYS
            return
        if self.optimizer != "sgd":
            yield f"optimizer: {self.optimizer}", {"momentum"}
        if self.schedule != "step":
            yield f"schedule: {self.schedule}", {"milestones"}
        if self.schedule != "onecycle":
            yield f"schedule: {self.schedule}", {"warmup"}

    @property
    def adopted(self) -> bool:
        return self.weights is not None

    @property
    def initial_rate(self) -> float:
        return self.learning_rate if self.learning_rate is not None else LEARNING_RATES[self.optimizer]

    @property
    def drops(self) -> tuple[int, ...]:
        """Epochs after which a step schedule divides the learning rate by ten."""
        return self.milestones if self.milestones is not None else _paper_milestones(self.epochs)

    def keeps(self, epoch: int) -> bool:
        """Whether `RUN@EPOCH` is kept; epoch 0 is the initial weights."""
        if self.adopted or self.keep == "none" or not 0 <= epoch <= self.epochs:
            return False
        return self.keep == "all" or epoch % int(self.keep) == 0 or epoch == self.epochs


_ADOPTED_KEYS = {"network", "args", "data", "weights", "code", "seed"}


def _paper_milestones(epochs: int) -> tuple[int, ...]:
    """Epochs 150, 225, 275 of 300, scaled (Li et al. 2018, section 4)."""
    return tuple(sorted({max(1, round(epochs * share)) for share in (1 / 2, 3 / 4, 11 / 12)} - {epochs}))


Statistics = Literal["stored", "interpolated", "recalibrated"]
Precision = Literal["fp32", "tf32", "bf16"]


class _Drawn(Section):
    """What a pair of directions is made from."""

    directions: Literal["random", "to", "of"] = Field(
        "random",
        description="random: Gaussian, drawn from the seed; to: the difference to another run (interpolation); of: those "
        "drawn for `plane` around `run`, used around another centre",
    )
    normalize: Literal["filter", "layer", "model", "none"] = Field("filter", description="of random directions")
    seed: int = Field(0, ge=0, lt=2**63, description="of random directions")
    run: str | None = Field(None, description="the other run or state (RUN@EPOCH), of directions: to and of")
    plane: str | None = Field(None, description="the other plane, of directions: of")
    batchnorm: Statistics | None = Field(
        None,
        description="running statistics: stored (default), interpolated between runs (default of `to`; for `of` if "
        "the other plane has it), or recalibrated at every point on a training subset",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        needs = {"random": set(), "to": {"run"}, "of": {"run", "plane"}}[self.directions]
        for key in ("run", "plane"):
            stated = getattr(self, key) is not None
            if key in needs and not stated:
                raise ValueError(f"directions: {self.directions} needs the key {key}")
            if stated and key not in needs:
                raise ValueError(f"directions: {self.directions} takes no {key}")
        if extra := sorted(self.model_fields_set & _Drawn._meaningless(self)):
            raise ValueError(f"directions: {self.directions} takes no {', '.join(extra)}")
        if self.directions == "random" and self.batchnorm == "interpolated":
            raise ValueError("directions: random takes no batchnorm: interpolated, since it leads to no other run")
        if self.batchnorm == self._default_batchnorm:
            object.__setattr__(self, "batchnorm", None)
        return self

    def _meaningless(self) -> set[str]:
        return set() if self.directions == "random" else {"normalize", "seed"}

    @property
    def _default_batchnorm(self) -> Statistics:
        return "interpolated" if self.directions == "to" else "stored"

    @property
    def statistics(self) -> Statistics:
        """What happens to batch-norm running statistics along the plane."""
        return self.batchnorm or self._default_batchnorm


class Directions(_Drawn):
    """What the directions of a plane depend on: of its grid only whether it is a line."""

    line: bool = False

    @property
    def is_line(self) -> bool:
        return self.line


class Plane(_Drawn):
    """A pair of directions, a grid, and what to measure there; without beta, a line."""

    alpha: Axis = Field((-1.0, 1.0, 51), description="[first, last, number of points]")
    beta: Axis | None = Field(None, description="[first, last, number of points]; absent for a line")
    images: int | None = Field(None, ge=1, description="stratified subset of each split; default all")
    recalibration_images: int = Field(
        1024, ge=2, description="stratified training subset that batchnorm: recalibrated takes its statistics from"
    )
    precision: Precision = Field(
        "fp32", description="of the network's arithmetic; of tf32 and bf16 the error is measured and kept in the file"
    )
    tiles: int | None = Field(None, ge=1, description="jobs the plane is cut into; default by its size")

    @model_validator(mode="after")
    def _one_direction(self) -> Self:
        if self.directions == "to" and self.beta is not None:
            raise ValueError("directions: to makes a line, which takes no beta")
        if self.statistics != "recalibrated" and "recalibration_images" in self.model_fields_set:
            raise ValueError(f"batchnorm: {self.statistics} takes no recalibration_images")
        return self

    def _meaningless(self) -> set[str]:
        return super()._meaningless() | (set() if self.statistics == "recalibrated" else {"recalibration_images"})

    def drawn(self) -> Directions:
        stated = self.model_dump(exclude_defaults=True, include=set(_Drawn.model_fields))
        return Directions(**stated, line=self.is_line)

    @property
    def is_line(self) -> bool:
        return self.beta is None

    @property
    def shape(self) -> tuple[int, int]:
        return self.alpha[2], self.beta[2] if self.beta else 1


class _Figure(Section):
    runs: tuple[str, ...] = Field(min_length=1, description="runs or states, in order; * and ? stand for several")
    title: str | None = Field(None, description="a line above the figure")
    about: str | None = Field(None, description="a sentence of your own before the caption")
    group: str | None = Field(None, description="the heading under which the report files it")


class Contours(_Figure):
    """Level lines, one panel per run (Li et al. 2018, Figure 5)."""

    draw: Literal["contours"]
    plane: str
    variable: Literal["train_loss", "test_loss"] = "train_loss"
    levels: Levels = Field("log", description="log: 0.1, 0.2, 0.5, 1, ...; paper: 0.1 to 10 by 0.5; or a list")
    columns: int | None = Field(None, ge=1, description="panels in a row; default by their number")


class Surfaces(_Figure):
    """Shaded 3D surfaces of log10 of the loss, one panel per run (Li et al. 2018, Figure 1)."""

    draw: Literal["surfaces"]
    plane: str
    variable: Literal["train_loss", "test_loss"] = "train_loss"


class Lines(_Figure):
    """Loss and accuracy along a line, on twin axes (Li et al. 2018, Figures 2 and 3)."""

    draw: Literal["lines"]
    plane: str
    columns: int | None = Field(None, ge=1, description="panels in a row; default by their number")


class Training(_Figure):
    """Loss, error and learning rate per epoch (Li et al. 2018, appendix)."""

    draw: Literal["training"]


Figure = Annotated[Contours | Surfaces | Lines | Training, Field(discriminator="draw")]
DRAWN: Mapping[str, type[Section]] = {"contours": Contours, "surfaces": Surfaces, "lines": Lines, "training": Training}


class Summary(Section):
    """The table over all runs."""

    plane: str | None = Field(None, description="the plane whose numbers stand beside each run")


class Experiment(Section):
    """A whole configuration, every sweep expanded and every reference resolved."""

    results: Folder = Field("results", description="the folder everything is written to")
    container: str | None = Field(None, description="image for `snakemake --sdm apptainer`")
    data: dict[str, Data]
    runs: dict[str, Run]
    planes: dict[str, Plane] = {}
    figures: dict[str, Figure] = {}
    summary: Summary = Summary(plane=None)


SECTIONS: Mapping[str, Any] = {"data": Data, "runs": Run, "planes": Plane, "figures": Figure}


def json_schema() -> dict[str, Any]:
    """The JSON schema of a configuration, for editors; `sweep`, which is expanded before validation, included."""
    schema = Experiment.model_json_schema()
    for section in ("Run", "Plane"):
        schema["$defs"][section]["properties"]["sweep"] = {
            "type": "object",
            "description": "lists of values by key; one entry for every combination, named by {key} in the entry's name",
            "additionalProperties": {"type": "array", "minItems": 1},
        }
    return schema
