"""The section `runs` of a configuration."""

import glob
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from landscape.config.fields import INCIDENTAL, INERT, Ref
from landscape.config.section import MAX_EPOCHS, Section
from landscape.config.values import Arguments, Keep
from landscape.errors import InputError
from landscape.objective.objective_section import ObjectiveKeys
from landscape.store import weight_files
from landscape.training.expected import Expected
from landscape.training.weights_source import Checkpoint, WeightsSource

LEARNING_RATES = {"sgd": 0.1, "adam": 0.001, "adamw": 0.001, "adagrad": 0.01}
"""Defaults: sgd and adam from Li et al. 2018, section 4; adamw as adam; adagrad as torch."""

ONECYCLE_WARMUP = 0.25

RULES = {"trained": "train", "adopted": "adopt", "rescaled": "rescale"}
"""The rule that makes a run, by `Run.made`."""


def _epochs(value: Any) -> Any:
    """Read a number of epochs, or the checkpoints of an adopted run: a pattern becomes the files that match it."""
    if isinstance(value, list | tuple):
        if not value or not all(isinstance(file, str | Path) and str(file) for file in value):
            raise ValueError("must be a list of files, one or more")
        if len(value) > MAX_EPOCHS:
            raise ValueError(f"has {len(value)} files; at most {MAX_EPOCHS} are allowed")
        return tuple(str(file) for file in value)
    if isinstance(value, str) and glob.has_magic(value):
        try:
            return _epochs(weight_files.matching(value))
        except InputError as error:
            raise ValueError(str(error)) from None
    try:
        epochs = int(value)
        is_whole = epochs == float(value) and not isinstance(value, bool)
    except (TypeError, ValueError, OverflowError):
        is_whole = False
    if not is_whole or not 1 <= epochs <= MAX_EPOCHS:
        raise ValueError(
            f"must be a whole number from 1 to {MAX_EPOCHS}, or the checkpoints of an adopted run: a pattern such as "
            "checkpoints/epoch_*.pt, or a list of files"
        )
    return epochs


_Stated = Annotated[int, Field(ge=1, le=MAX_EPOCHS)] | str | tuple[str, ...]
Epochs = Annotated[int | tuple[str, ...], BeforeValidator(_epochs, json_schema_input_type=_Stated)]
"""A number of epochs, or the checkpoints of an adopted run in their order."""


class Rescaled(Section):
    """Rescale another run's weights so that they compute the same (Li et al. 2018, section 4)."""

    run: Annotated[str, Ref("runs")] = Field(description="a run, or a kept epoch of one as RUN@EPOCH")
    by: float = Field(
        gt=1,
        le=1e6,
        description="factor of every filter that batch norm or the layer after a ReLU can undo",
    )


class OwnTraining(Section):
    """A training by the user's own function."""

    name: str = Field(
        pattern=r"^[^:]+:[^:]+$",
        description="path/file.py:function or package.module:function, of (network, data, seed, **args), which trains the "
        "network and yields after each epoch: None, or a state dict",
    )
    args: Arguments = Field({}, description="further arguments of the function")

    @model_serializer(mode="wrap")
    def _short(self, whole: SerializerFunctionWrapHandler) -> Any:
        """Write a function without arguments as its name."""
        return whole(self) if self.args else self.name


OwnTrainingKey = Annotated[
    OwnTraining,
    BeforeValidator(
        lambda value: {"name": value} if isinstance(value, str) else value, json_schema_input_type=str | OwnTraining
    ),
]


class RunKeys(Section):
    """The network, its data, and its training: the keys of a run beside those of the objective."""

    network: str = Field(
        min_length=1, description="a built-in name, or package.module:function, or path/file.py:function"
    )
    args: Arguments = Field({}, description="arguments of the network's function")
    data: Annotated[str, Ref("data")] = Field(description="data set for training and measuring")
    weights: Checkpoint | None = Field(
        None,
        description="a checkpoint from elsewhere, FILE or FILE#ENTRY, or {url, sha256}; it makes the run an adopted one, "
        "without training",
    )
    expected: Annotated[Expected | None, INERT] = Field(
        None,
        description="what is known of adopted weights, as {test_error: 8.2}: train_ or test_ and loss, error (in percent) or "
        "a score; another number, at the digits stated, is an error",
    )
    rescaled: Rescaled | None = Field(
        None,
        description="a run whose weights are rescaled so that they compute the same; gives network, args, data and code too",
    )
    code: Annotated[tuple[str, ...], INCIDENTAL] = Field(
        (), description="further files of the network; a change of one redoes the run"
    )
    train: OwnTrainingKey | None = Field(
        None,
        description="the user's own training in the place of ours: file.py:function of (network, data, seed), which yields "
        "after each epoch; with arguments {name: file.py:function, args: {...}}",
    )
    seed: int = Field(0, ge=0, lt=2**63, description="seed of initial weights, order of examples and augmentation")
    epochs: Epochs = Field(
        300,
        description="passes over the training examples; of an adopted run its checkpoints, a pattern such as "
        "`checkpoints/epoch_*.pt` or a list of files in order: states RUN@EPOCH by the numbers in their names",
    )
    batch_size: int = Field(128, ge=1, description="examples in a batch")
    optimizer: Literal["sgd", "adam", "adamw", "adagrad"] = Field(
        "sgd", description="the optimiser; sgd has Nesterov momentum"
    )
    learning_rate: float | None = Field(
        None, gt=0, description="default 0.1 for sgd, 0.001 for adam and adamw, 0.01 for adagrad"
    )
    momentum: float = Field(0.9, ge=0, lt=1, description="Nesterov momentum of sgd")
    weight_decay: float = Field(
        0.0005,
        ge=0,
        description="on all parameters: added to the gradient (L2), or with adamw subtracted from the weights",
    )
    sam: float | None = Field(
        None, gt=0, description="sharpness-aware minimisation: radius rho of the step up before each step down"
    )
    swa: int | None = Field(
        None,
        ge=0,
        description="stochastic weight averaging: the run ends with the mean of the weights after all epochs later than "
        "this one, and new batch-norm statistics",
    )
    schedule: Literal["step", "cosine", "onecycle", "constant"] = Field(
        "step",
        description="step: the learning rate is divided by ten after the `milestones`; cosine: it falls to zero along half a "
        "cosine; onecycle: it rises 25-fold over `warmup`, then falls to almost zero; constant: it stays",
    )
    milestones: tuple[Annotated[int, Field(ge=1)], ...] | None = Field(
        None, description="epochs after which a step schedule divides the rate by ten; default 1/2, 3/4, 11/12 of all"
    )
    warmup: float | None = Field(
        None, ge=0, lt=1, description="share of the training in which the rate rises; default 0.25 for onecycle, else 0"
    )
    clip: float | None = Field(None, gt=0, description="largest norm of the gradient")
    augment: tuple[Literal["crop", "flip"], ...] = Field(
        (), description="crop: random crop with padding 4; flip: mirror"
    )
    precision: Literal["fp32", "tf32", "bf16"] = Field(
        "fp32", description="arithmetic of the training; bf16: mixed precision (autocast), the weights stay fp32"
    )
    keep: Annotated[Keep, INCIDENTAL] = Field(
        "none", description="epochs kept as states RUN@EPOCH: none, all, or every Nth (with the first and the last)"
    )
    threads: Annotated[int, INCIDENTAL] = Field(
        1, ge=1, description="threads of the training process; part of the run because they alter bits"
    )
    parts: Annotated[int, INERT] = Field(
        1,
        ge=1,
        description="consecutive jobs that share the training, for clusters with short jobs; the result is the same",
    )


class Run(ObjectiveKeys, RunKeys):
    """A network: trained here, adopted (with `weights`), or the twin of another run (with `rescaled`).

    The defaults are the recipe of Li et al. 2018.
    """

    @model_validator(mode="after")
    def _normal_form(self) -> "Run":
        if self.learning_rate == LEARNING_RATES[self.optimizer]:
            self._settle("learning_rate", None)
        if self.warmup == self._default_warmup:
            self._settle("warmup", None)
        if not isinstance(self.epochs, int):
            return self
        if self.parts > self.epochs:
            raise ValueError(f"parts must be at most epochs, and {self.parts} is above {self.epochs}")
        if self.swa is not None and self.swa >= self.epochs:
            raise ValueError(f"swa must be below epochs, and {self.swa} is not below {self.epochs}")
        if self.milestones is not None:
            if any(b <= a for a, b in itertools.pairwise(self.milestones)):
                raise ValueError(f"milestones must increase, and {list(self.milestones)} does not")
            if self.milestones and self.milestones[-1] >= self.epochs:
                raise ValueError(
                    f"milestones must be below epochs, and {self.milestones[-1]} is not below {self.epochs}"
                )
            if self.milestones == _paper_milestones(self.epochs):
                self._settle("milestones", None)
        return self

    def _useless(self) -> Iterator[tuple[str, set[str]]]:
        if self.rescaled is not None:
            yield "a rescaled run is not trained, so it", set(Run.model_fields) - _SHARED_KEYS - {"rescaled"}
            return
        if self.adopted:
            has = "weights" if self.weights is not None else "checkpoints as epochs"
            of_path = set() if isinstance(self.epochs, int) else {"epochs"}
            useless = set(Run.model_fields) - _ADOPTED_KEYS - of_path
            yield f"an adopted run (it has {has}) is not trained, so it", useless
            return
        yield "a run that is trained here", {"expected"}
        if self.train is not None:
            yield "a run with train, a function of the user's own,", _RECIPE_KEYS
        if self.optimizer != "sgd":
            yield f"optimizer: {self.optimizer}", {"momentum"}
        if self.schedule != "step":
            yield f"schedule: {self.schedule}", {"milestones"}

    @property
    def code_names(self) -> list[str]:
        """The user's own functions that the run is made with: its network, training, loss, objective, score."""
        own = () if self.train is None else (self.train.name,)
        return [name for name in (self.network, *own, *self.own_functions) if ":" in name]

    @property
    def made(self) -> Literal["trained", "adopted", "rescaled"]:
        return "rescaled" if self.rescaled is not None else "adopted" if self.adopted else "trained"

    @property
    def adopted(self) -> bool:
        return self.weights is not None or not isinstance(self.epochs, int)

    @property
    def checkpoints(self) -> dict[int, WeightsSource]:
        """The checkpoints of an adopted run by epoch, in order; `weights`, if stated too, come after the last."""
        if isinstance(self.epochs, int):
            return {}
        found = {epoch: WeightsSource(path=file) for epoch, file in weight_files.numbered(self.epochs).items()}
        if self.weights is None or str(self.weights) == self.epochs[-1]:
            return found
        if max(found) == MAX_EPOCHS:
            found = dict(enumerate(found.values()))
        return {**found, max(found) + 1: self.weights}

    @property
    def end(self) -> WeightsSource:
        """The weights at the end of an adopted run."""
        if self.weights is not None:
            return self.weights
        assert not isinstance(self.epochs, int), "only an adopted run has them"
        return WeightsSource(path=self.epochs[-1])

    @property
    def last_epoch(self) -> int:
        """Number of the last epoch."""
        return self.epochs if isinstance(self.epochs, int) else max(self.checkpoints)

    @property
    def initial_rate(self) -> float:
        return self.learning_rate if self.learning_rate is not None else LEARNING_RATES[self.optimizer]

    @property
    def _default_warmup(self) -> float:
        return ONECYCLE_WARMUP if self.schedule == "onecycle" else 0.0

    @property
    def rising(self) -> float:
        """Share of the training in which the learning rate rises."""
        return self.warmup if self.warmup is not None else self._default_warmup

    @property
    def drops(self) -> tuple[int, ...]:
        """Epochs after which a step schedule divides the learning rate by ten."""
        return self.milestones if self.milestones is not None else _paper_milestones(self.last_epoch)

    def keeps(self, epoch: int) -> bool:
        """Return whether `RUN@EPOCH` is kept; epoch 0 has the initial weights."""
        if self.made != "trained":
            return epoch in self.checkpoints
        if self.keep == "none" or not 0 <= epoch <= self.last_epoch:
            return False
        return self.keep == "all" or epoch % int(self.keep) == 0 or epoch == self.last_epoch

    @property
    def kept(self) -> list[int]:
        if self.made != "trained":
            return list(self.checkpoints)
        return [epoch for epoch in range(self.last_epoch + 1) if self.keeps(epoch)]

    @property
    def first(self) -> int | None:
        """The kept epoch that the path begins with, the initial weights; of an adopted run its first checkpoint."""
        if self.made != "trained":
            return min(self.checkpoints, default=None)
        return 0 if self.keeps(0) else None


_SHARED_KEYS = {"network", "args", "data", "code", "seed", *ObjectiveKeys.model_fields}
_RECIPE_KEYS = {
    "batch_size",
    "optimizer",
    "learning_rate",
    "momentum",
    "weight_decay",
    "sam",
    "swa",
    "schedule",
    "milestones",
    "warmup",
    "clip",
    "augment",
    "precision",
    "parts",
}
"""Keys of our own recipe."""
_ADOPTED_KEYS = {*_SHARED_KEYS, "weights", "expected", "rescaled"}


def _paper_milestones(epochs: int) -> tuple[int, ...]:
    """Epochs 150, 225, 275 of 300, scaled (Li et al. 2018, section 4)."""
    return tuple(sorted({max(1, round(epochs * share)) for share in (1 / 2, 3 / 4, 11 / 12)} - {epochs}))
