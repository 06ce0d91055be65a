"""Networks of transformers and timm: what their functions take, in the words of a configuration."""

import importlib
from collections.abc import Callable
from typing import Any

from landscape.errors import InputError
from landscape.networks.torchvision_shim import with_torchvision

Function = Callable[..., Any]


def adapted(name: str, function: Function) -> Function:
    """Return a function that builds the network that `name` means.

    `transformers:AutoModel....from_config` takes a configuration, which is made from the keys: `model_type` and those of
    its class, such as `hidden_size`. `timm:create_model` passes `num_classes` and `in_chans` on, so these can come from
    the data set. Other functions stay as they are.
    """
    module, _, attribute = name.partition(":")
    library = module.partition(".")[0]
    if library == "transformers" and attribute.endswith(".from_config"):
        return _from_config(attribute, function)
    if library == "timm" and attribute == "create_model":
        return _of_timm(function)
    return function


def importable_torchvision() -> None:
    """Import torchvision, since libraries of models do so inside, where a failure could not be mended."""
    with_torchvision(lambda: importlib.import_module("torchvision"))


def _from_config(attribute: str, function: Function) -> Function:
    has_labels = "Classification" in attribute

    def build(model_type: str, num_classes: int | None = None, **keys: Any) -> Any:
        from transformers import CONFIG_MAPPING, AutoConfig

        if model_type not in CONFIG_MAPPING:
            raise InputError(
                f"model_type is {model_type!r}, which transformers does not have; it has bert, gpt2, ... "
                f"({len(CONFIG_MAPPING)} in all)"
            )
        if has_labels and num_classes is not None:
            keys.setdefault("num_labels", num_classes)
        config = AutoConfig.for_model(model_type, **keys)
        unknown = [key for key in keys if key not in {*_known(type(config)), "num_labels"}]
        if unknown:
            raise InputError(f"args has {unknown[0]!r}, and {type(config).__name__} has no such key")
        return function(config)

    return build


def _known(config: type) -> set[str]:
    """The keys of a kind of configuration: the attributes that one by default has, and their second names."""
    default: Any = config()
    return {*default.to_dict(), *vars(default), *default.attribute_map}


def _of_timm(function: Function) -> Function:
    def build(model_name: str, num_classes: int | None = None, in_channels: int | None = None, **keys: Any) -> Any:
        if num_classes is not None:
            keys["num_classes"] = num_classes
        if in_channels is not None:
            keys.setdefault("in_chans", in_channels)
        return function(model_name, **keys)

    return build
