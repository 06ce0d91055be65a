"""The filters of a network's parameters, by the kind of layer (docs/filters.md)."""

import re
import sys

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from landscape.networks.copying import duplicate

_NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
_NORM_NAME = re.compile(
    r"norm(ali[sz](ation|er?))?(_|\d|d|act|affine|exp|fp32|gated|layer|tlu)*$|^(bn|gn|ln|rms)(\dd)?$", re.IGNORECASE
)
_BIAS_NAME = re.compile(r"(?i:bias(es)?)(?![a-z])|^(b|beta|shift)(?![A-Za-z])")
_ROWS = (
    nn.modules.conv._ConvNd,
    nn.Linear,
    nn.Bilinear,
    nn.Embedding,
    nn.EmbeddingBag,
    nn.RNNBase,
    nn.RNNCellBase,
    nn.MultiheadAttention,
)


def filter_axes(network: nn.Module) -> dict[str, int | None]:
    """Return for each parameter the dimension that counts its filters, or None if it has no filters.

    A filter makes one output: a slice of dimension 0 in a convolution or linear layer, of dimension 1 in a transposed
    convolution, a row of an embedding or of a recurrent layer's weight. Normalisation layers, biases and tensors of one
    dimension have no filters. Nor has a parameter of a layer of another kind if its leading size is 1, its slices are
    single numbers, or a bias beside it has its shape: it is a scale. A parameter shared by two layers appears once, under
    its first name. A parametrised weight has the filters of the weight (`_of_parametrised`).
    """
    axes: dict[str, int | None] = {}
    seen: set[nn.Parameter] = set()
    layers = dict(network.named_modules())
    for prefix, layer in layers.items():
        for name, parameter in layer.named_parameters(prefix, recurse=False):
            if parameter not in seen:
                seen.add(parameter)
                above, _, called = prefix.rpartition(".")
                own = name.rpartition(".")[2]
                if isinstance(layer, parametrize.ParametrizationList):  # LAYER.parametrizations.NAME
                    holder = layers[above.rpartition(".")[0]]
                    axes[name] = _of_parametrised(holder, called, layer, own, parameter)
                else:
                    axes[name] = _of(layer, called, *_unhooked(layer, own), parameter)
    return axes


def _of(layer: nn.Module, called: str, name: str, is_scale: bool, parameter: Tensor) -> int | None:
    """The filter dimension of a parameter called `name` in a layer that is `called` so in the network."""
    if parameter.ndim < 2 or is_scale or _is_norm(layer) or _is_bias(layer, called, name):
        return None
    if "weight" in name and (isinstance(layer, nn.modules.conv._ConvTransposeNd) or _is_conv1d_of_transformers(layer)):
        return 1
    if "weight" in name and isinstance(layer, _ROWS):
        return 0
    has_slices = 1 < parameter.shape[0] < parameter.numel()
    return 0 if has_slices and not _is_scale_beside_bias(layer, name, parameter) else None


def _of_parametrised(
    layer: nn.Module, weight: str, chain: parametrize.ParametrizationList, name: str, parameter: Tensor
) -> int | None:
    """The filter dimension of an `original` that a parametrisation makes a layer's weight of.

    Of weight norm, w = g v / ||v||, v has the filters of the weight and g, their lengths, has none. Of other
    parametrisations an original with the weight's number of dimensions has the filters of the weight, as in spectral norm.
    """
    if _is_weight_norm(chain[0]):
        return _of(layer, "", weight, name == "original0", parameter)
    with torch.no_grad():
        made = duplicate(chain)()  # of a copy, since in training spectral norm changes its buffers
    return _of(layer, "", weight, parameter.ndim != made.ndim, parameter)


def _is_weight_norm(parametrisation: nn.Module) -> bool:
    return type(parametrisation).__name__ == "_WeightNorm"


def _unhooked(layer: nn.Module, name: str) -> tuple[str, bool]:
    """Return the weight's own name, and whether the parameter is its scale, with torch's older `weight_norm`, `spectral_norm`.

    They make `weight` of `weight_g` and `weight_v`, or of `weight_orig`.
    """
    stem, _, suffix = name.rpartition("_")
    held = layer._parameters
    if suffix in ("g", "v") and f"{stem}_g" in held and f"{stem}_v" in held:
        return stem, suffix == "g"
    return (stem, False) if suffix == "orig" and hasattr(layer, stem) else (name, False)


def _is_norm(layer: nn.Module) -> bool:
    """Tell a normalisation layer by its class, or by a class name such as `RMSNorm` or `LayerNorm2d`.

    A linear layer or convolution of one's own stays one, such as a `LinearNorm`, which is named after its initial weights.
    """
    if isinstance(layer, _ROWS):
        return False
    return isinstance(layer, _NORMS) or bool(_NORM_NAME.search(type(layer).__name__))


def _is_bias(layer: nn.Module, called: str, name: str) -> bool:
    """Tell a bias by its name, or by that of an embedding or a list it stands in; `b` beside `a` is a factor of a product."""
    if name == "b" and "a" in layer._parameters:
        return False
    is_table = isinstance(layer, nn.Embedding | nn.ParameterList | nn.ParameterDict)
    return bool(_BIAS_NAME.search(name) or (is_table and _BIAS_NAME.search(called)))


def _is_scale_beside_bias(layer: nn.Module, name: str, parameter: Tensor) -> bool:
    """Tell a scale: a bias of its very shape is beside it, so both act element by element."""
    others = {key: of for key, of in layer._parameters.items() if key != name and of is not None}
    return any(of.shape == parameter.shape and _is_bias(layer, "", key) for key, of in others.items())


def _is_conv1d_of_transformers(layer: nn.Module) -> bool:
    """Tell the linear layer of GPT-2, whose weight is (in, out)."""
    module = sys.modules.get("transformers.pytorch_utils")
    return module is not None and isinstance(layer, module.Conv1D)
