"""The filters of every kind of layer: which dimension counts them, and what a direction does there."""

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

import landscape as ls
from landscape import directions
from landscape.networks.building import filter_axes


class Bare(nn.Module):
    """Parameters of a layer that torch does not know."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.randn(1, 4, 3))
        self.scale = nn.Parameter(torch.randn(5, 1, 1))
        self.mixing = nn.Parameter(torch.randn(5, 4, 3))
        self.relative_position_bias_table = nn.Parameter(torch.randn(9, 2))


class OwnNorm(nn.Module):
    """A normalisation layer of the user's own, told by its name."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 3, 3))


class ChannelLayerNorm2d(OwnNorm):
    pass


class Doubled(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return 2 * weight


def old(function: Callable[..., nn.Module], layer: nn.Module) -> nn.Module:
    with pytest.warns((FutureWarning, UserWarning)) if function is nn.utils.weight_norm else _quiet():
        return function(layer)


def _quiet() -> Any:
    import warnings

    return warnings.catch_warnings()


def parametrised(layer: nn.Module) -> nn.Module:
    parametrize.register_parametrization(layer, "weight", Doubled())
    return layer


NONE: dict[str, int | None] = {"weight": None, "bias": None}
ROWS: dict[str, int | None] = {"weight": 0, "bias": None}
LAYERS: dict[str, tuple[Callable[[], nn.Module], dict[str, int | None]]] = {
    "linear": (lambda: nn.Linear(4, 3), ROWS),
    "linear of one output": (lambda: nn.Linear(4, 1), ROWS),
    "bilinear": (lambda: nn.Bilinear(4, 2, 3), ROWS),
    "convolution 1d": (lambda: nn.Conv1d(2, 3, 3), ROWS),
    "convolution 2d": (lambda: nn.Conv2d(2, 3, 3), ROWS),
    "convolution 3d": (lambda: nn.Conv3d(2, 3, 3), ROWS),
    "depthwise convolution": (lambda: nn.Conv2d(4, 4, 3, groups=4), ROWS),
    "transposed 1d": (lambda: nn.ConvTranspose1d(2, 3, 3), {"weight": 1, "bias": None}),
    "transposed 2d": (lambda: nn.ConvTranspose2d(2, 3, 3), {"weight": 1, "bias": None}),
    "transposed 3d": (lambda: nn.ConvTranspose3d(2, 3, 3), {"weight": 1, "bias": None}),
    "embedding": (lambda: nn.Embedding(5, 3), {"weight": 0}),
    "bag of embeddings": (lambda: nn.EmbeddingBag(5, 3), {"weight": 0}),
    "batch norm": (lambda: nn.BatchNorm2d(3), NONE),
    "layer norm": (lambda: nn.LayerNorm(3), NONE),
    "layer norm of 2 dimensions": (lambda: nn.LayerNorm((4, 3)), NONE),
    "layer norm of 3 dimensions": (lambda: nn.LayerNorm((5, 4, 3)), NONE),
    "group norm": (lambda: nn.GroupNorm(2, 4), NONE),
    "instance norm": (lambda: nn.InstanceNorm2d(3, affine=True), NONE),
    "RMS norm": (lambda: nn.RMSNorm((4, 3)), {"weight": None}),
    "own norm": (OwnNorm, {"weight": None}),
    "own norm 2d": (ChannelLayerNorm2d, {"weight": None}),
    "RNN": (
        lambda: nn.RNN(4, 5),
        {"weight_ih_l0": 0, "weight_hh_l0": 0, "bias_ih_l0": None, "bias_hh_l0": None},
    ),
    "LSTM": (
        lambda: nn.LSTM(4, 5, proj_size=2),
        {"weight_ih_l0": 0, "weight_hh_l0": 0, "bias_ih_l0": None, "bias_hh_l0": None, "weight_hr_l0": 0},
    ),
    "GRU cell": (lambda: nn.GRUCell(4, 5), {"weight_ih": 0, "weight_hh": 0, "bias_ih": None, "bias_hh": None}),
    "attention": (
        lambda: nn.MultiheadAttention(4, 2, add_bias_kv=True),
        {
            "in_proj_weight": 0,
            "in_proj_bias": None,
            "bias_k": None,
            "bias_v": None,
            "out_proj.weight": 0,
            "out_proj.bias": None,
        },
    ),
    "attention of several sizes": (
        lambda: nn.MultiheadAttention(4, 2, kdim=3, vdim=5, bias=False),
        {"q_proj_weight": 0, "k_proj_weight": 0, "v_proj_weight": 0, "out_proj.weight": 0},
    ),
    "PReLU": (lambda: nn.PReLU(4), {"weight": None}),
    "bare": (Bare, {"token": None, "scale": None, "mixing": 0, "relative_position_bias_table": None}),
    "weight norm": (
        lambda: parametrizations.weight_norm(nn.Conv2d(2, 3, 3)),
        {"bias": None, "parametrizations.weight.original0": None, "parametrizations.weight.original1": 0},
    ),
    "weight norm, transposed": (
        lambda: parametrizations.weight_norm(nn.ConvTranspose2d(2, 3, 3), dim=1),
        {"bias": None, "parametrizations.weight.original0": None, "parametrizations.weight.original1": 1},
    ),
    "spectral norm": (
        lambda: parametrizations.spectral_norm(nn.Linear(4, 3)),
        {"bias": None, "parametrizations.weight.original": 0},
    ),
    "spectral norm, transposed": (
        lambda: parametrizations.spectral_norm(nn.ConvTranspose2d(2, 3, 3)),
        {"bias": None, "parametrizations.weight.original": 1},
    ),
    "orthogonal": (
        lambda: parametrizations.orthogonal(nn.Linear(4, 4)),
        {"bias": None, "parametrizations.weight.original": 0},
    ),
    "a parametrisation of the user's own": (
        lambda: parametrised(nn.Linear(4, 3)),
        {"bias": None, "parametrizations.weight.original": 0},
    ),
    "weight norm by hooks": (
        lambda: old(nn.utils.weight_norm, nn.Conv2d(2, 3, 3)),
        {"bias": None, "weight_g": None, "weight_v": 0},
    ),
    "spectral norm by hooks": (
        lambda: old(nn.utils.spectral_norm, nn.Conv2d(2, 3, 3)),
        {"bias": None, "weight_orig": 0},
    ),
}


def own(called: str, base: type[nn.Module] = nn.Module, /, **shapes: tuple[int, ...]) -> nn.Module:
    """Make a layer of a class of the user's own, with parameters of these shapes."""
    layer: nn.Module = type(called, (base,), {})(*((4, 3) if base is nn.Linear else ()))
    for name, shape in shapes.items():
        layer.register_parameter(name, nn.Parameter(torch.randn(shape)))
    return layer


OWN: dict[str, tuple[Callable[[], nn.Module], set[str]]] = {
    "norm by any usual name": (
        lambda: nn.Sequential(
            *(
                own(name, weight=(4, 3, 3), offset=(4, 3, 3))
                for name in (
                    *("MyNorm", "Norm", "LlamaRMSNorm", "LayerNorm2d", "LayerNormFp32", "BatchNormAct2d", "GroupNorm1"),
                    *(
                        "GlobalResponseNorm",
                        "norm",
                        "layer_norm",
                        "Normalize",
                        "ChannelNormalization",
                        "ScaleNormLayer",
                    ),
                )
            )
        ),
        set(),
    ),
    "norm by a short name": (
        lambda: nn.Sequential(*(own(name, weight=(4, 3, 3)) for name in ("RMS", "LN", "GN", "BN2d", "Columns"))),
        {"4.weight"},
    ),
    "subclass of a norm": (lambda: type("Whitening", (nn.LayerNorm,), {})((4, 3, 3)), set()),
    "layers with a norm in their names": (
        lambda: nn.Sequential(own("NormalLinear", weight=(4, 3)), own("NormedConv", weight=(4, 3, 3))),
        {"0.weight", "1.weight"},
    ),
    "scale and bias of one shape": (lambda: own("Affine", gamma=(4, 3, 3), beta=(4, 3, 3)), set()),
    "scale of channels": (lambda: own("LayerScale", gamma=(4, 1, 1)), set()),
    "position and class tokens": (lambda: own("Tokens", pos_embed=(1, 7, 4), cls_token=(1, 1, 4)), set()),
    "positions without a leading one": (lambda: own("Positions", table=(7, 4)), {"table"}),
    "bare matrix (in, out)": (lambda: own("Mine", w=(4, 3), b=(3,)), {"w"}),
    "convolutional LSTM": (
        lambda: own("ConvLSTM", w_ih=(8, 2, 3, 3), w_hh=(8, 2, 3, 3), b=(8, 5, 5), bias_ih=(8, 5, 5)),
        {"w_ih", "w_hh"},
    ),
    "biases by any usual name": (
        lambda: own(
            "Mine", bias=(4, 3), bias0=(4, 3), biases=(4, 3), qkv_bias=(4, 3), pos_bias_table=(4, 3), b_q=(4, 3)
        ),
        set(),
    ),
    "biases in a list": (lambda: nn.ModuleDict({"biases": nn.ParameterList([torch.randn(4, 3)] * 1)}), set()),
    "bias as a table": (lambda: nn.ModuleDict({"relative_attention_bias": nn.Embedding(8, 2)}), set()),
    "linear layer that computes a bias": (lambda: nn.ModuleDict({"to_bias": nn.Linear(4, 3)}), {"to_bias.weight"}),
    "factors of a product": (lambda: own("LowRank", a=(4, 2), b=(2, 3)), {"a", "b"}),
    "matrices of a state space": (lambda: own("StateSpace", A=(4, 4), B=(4, 2), C=(2, 4)), {"A", "B", "C"}),
    "low-rank part of a linear layer": (
        lambda: own("LoraLinear", nn.Linear, lora_A=(2, 4), lora_B=(3, 2)),
        {"weight", "lora_A", "lora_B"},
    ),
    "lengths of a linear layer's rows": (lambda: own("WeightNormed", nn.Linear, g=(3, 1)), {"weight"}),
    "weight norm of the whole tensor": (
        lambda: parametrizations.weight_norm(nn.Linear(4, 3), dim=None),  # type: ignore[arg-type]
        {"parametrizations.weight.original1"},
    ),
}


@pytest.mark.parametrize("kind", OWN)
def test_layers_of_other_classes_are_told_by_what_they_are(kind: str) -> None:
    make, moving = OWN[kind]
    assert {name for name, axis in filter_axes(make()).items() if axis is not None} == moving


def test_looking_for_filters_changes_no_buffer() -> None:
    """Spectral norm's power iteration runs at every use in training mode."""
    layer = parametrizations.spectral_norm(nn.Linear(4, 3)).train()
    before = {name: of.clone() for name, of in layer.state_dict().items()}
    filter_axes(layer)
    assert all(torch.equal(of, before[name]) for name, of in layer.state_dict().items())


@pytest.mark.parametrize("kind", LAYERS)
def test_every_kind_of_layer_has_its_filters(kind: str) -> None:
    make, wanted = LAYERS[kind]
    inside = nn.Sequential(nn.Identity(), make())  # names have a prefix, as in every network
    assert filter_axes(inside) == {f"1.{name}": axis for name, axis in wanted.items()}
    assert filter_axes(make()) == wanted


@pytest.mark.parametrize(
    "kind", [kind for kind, (_, axes) in LAYERS.items() if any(a is not None for a in axes.values())]
)
def test_every_filter_gets_a_step_of_its_own_length(kind: str) -> None:
    torch.manual_seed(0)
    layer = LAYERS[kind][0]()
    theta = {name: parameter.detach() for name, parameter in layer.named_parameters()}
    step = directions.random_pair(theta, filter_axes(layer), 1, "filter", line=True)["alpha"]
    for name, axis in LAYERS[kind][1].items():
        if axis is None:
            assert not step[name].any()
            continue
        for k in range(theta[name].shape[axis]):
            lengths = [float(of.select(axis, k).norm()) for of in (step[name], theta[name])]
            assert math.isclose(*lengths, rel_tol=1e-5) and lengths[0] > 0, (name, k)


def test_a_scale_of_weight_norms_filters_changes_nothing() -> None:
    """The function of g v / ||v|| does not depend on the length of v, and no more does its plane."""
    torch.manual_seed(0)
    network = nn.Sequential(parametrizations.weight_norm(nn.Linear(5, 4)), nn.Tanh(), nn.Linear(4, 3))
    data = torch.randn(20, 5), torch.randint(0, 3, (20,))
    before = ls.line(network, data, alpha=(-1, 1, 3), seed=1)
    with torch.no_grad():
        v = network.get_parameter("0.parametrizations.weight.original1")
        v.mul_(torch.tensor([[0.1], [1.0], [7.0], [30.0]]))
    after = ls.line(network, data, alpha=(-1, 1, 3), seed=1)
    assert after.train_loss.values == pytest.approx(before.train_loss.values, rel=1e-5)


def test_lengths_of_weight_norm_are_no_part_of_the_direction() -> None:
    """A twin without the parametrisation has another plane: its rows change length, those of g v / ||v|| do not."""
    torch.manual_seed(0)
    network = nn.Sequential(parametrizations.weight_norm(nn.Linear(5, 4)), nn.Tanh(), nn.Linear(4, 3))
    step = ls.basis(network, seed=1)["alpha"]
    assert not step["0.parametrizations.weight.original0"].any()
    moved = copy.deepcopy(network)
    moved.load_state_dict({name: of + step.get(name, 0) for name, of in network.state_dict().items()})
    with torch.no_grad():
        before, after = (net.get_submodule("0")(torch.eye(5)) - net.get_parameter("0.bias") for net in (network, moved))
    assert torch.allclose(before.norm(dim=0), after.norm(dim=0)) and not torch.allclose(before, after, rtol=0.1)


def test_a_layer_norm_over_images_stays() -> None:
    network = nn.Sequential(nn.Conv2d(1, 6, 3), nn.LayerNorm((6, 6, 6)), nn.ReLU(), nn.Flatten(), nn.Linear(216, 4))
    step = ls.basis(network, seed=1)["alpha"]
    assert [name for name, of in step.items() if of.any()] == ["0.weight", "4.weight"]


def test_a_linear_layer_or_convolution_named_after_a_norm_keeps_its_filters() -> None:
    """`LinearNorm` of speech networks is a linear layer with initial weights of a stated gain."""
    linear = type("LinearNorm", (nn.Linear,), {})
    convolution = type("ConvNorm", (nn.Conv1d,), {})
    assert filter_axes(nn.Sequential(linear(3, 4), convolution(2, 3, 3))) == {
        "0.weight": 0,
        "0.bias": None,
        "1.weight": 0,
        "1.bias": None,
    }
