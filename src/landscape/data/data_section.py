"""The section `data` of a configuration."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, model_validator

from landscape.config.section import Section
from landscape.config.values import Arguments
from landscape.data.builtin_datasets import FETCHED


class Data(Section):
    """A data set: its source, the part in use, and the normalisation of images."""

    source: str = Field(
        min_length=1,
        description=", ".join(f"{name} ({known.about})" for name, known in FETCHED.items())
        + ", the path of an .npz or .safetensors with train_inputs, train_targets, test_inputs, test_targets (of several "
        "inputs train_inputs_NAME), a folder with one folder of images per class (or such folders under train and test), a "
        "folder that Hugging Face datasets saved, a class of torchvision as torchvision.datasets:FashionMNIST, or package.module:function, or path/file.py:function, which returns such "
        "arrays or torch data sets",
    )
    args: Arguments = Field({}, description="arguments of a function")
    code: tuple[str, ...] = Field((), description="further files of the function; a change of one reads the data anew")
    image_size: int | None = Field(
        None, ge=1, description="height and width to which a folder's images are scaled and cropped; default: they stay"
    )
    channels: Literal["first", "last"] | None = Field(
        None, description="where images in arrays have their channels; default: last for uint8, first for floats"
    )
    examples: int | None = Field(
        None, ge=2, description="subset of the training split, with labels a stratified one; default all"
    )
    label_noise: float = Field(0.0, ge=0, le=1, description="share of the training labels replaced by another class")
    seed: int = Field(0, ge=0, lt=2**63, description="seed of the subset and of the label noise")
    mean: tuple[float, ...] | None = Field(
        None,
        description="mean per channel of images, of pixels in [0, 1]; default: computed for uint8, none for floats",
    )
    std: tuple[Annotated[float, Field(gt=0)], ...] | None = Field(
        None, description="standard deviation per channel of images, of pixels in [0, 1]; default: as mean"
    )

    @model_validator(mode="after")
    def _both(self) -> "Data":
        if (self.mean is None) != (self.std is None):
            raise ValueError("mean and std go together: state both or neither")
        if self.mean is not None and self.std is not None and len(self.mean) != len(self.std):
            raise ValueError(f"mean has {len(self.mean)} channels and std has {len(self.std)}")
        return self

    @property
    def kind(self) -> Literal["fetched", "npz", "safetensors", "function", "folder"]:
        if self.source in FETCHED:
            return "fetched"
        if ":" in self.source:
            return "function"
        if self.source.endswith(".safetensors"):
            return "safetensors"
        return "npz" if self.source.endswith(".npz") else "folder"

    def _useless(self) -> Iterator[tuple[str, set[str]]]:
        if self.kind != "function":
            yield f"source: {self.source}, which is no function,", {"args", "code"}
        if self.kind in ("fetched", "folder"):
            yield f"source: {self.source}, which is no array,", {"channels"}
        if self.kind != "folder":
            yield f"source: {self.source}, which is no folder,", {"image_size"}
        if self.examples is None and not self.label_noise:
            yield "a data set without examples or label_noise, where nothing is drawn,", {"seed"}
