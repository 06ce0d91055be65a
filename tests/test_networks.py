"""The built-in networks: what they compute, their parameters, initial weights and filters."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from landscape.data.examples import Examples
from landscape.engine import engine
from landscape.networks import building, resnet

from plain_networks import CIFAR, DIGITS, Plain, build, with_random_tensors

COUNTS: dict[str, tuple[int, int | None]] = {
    "vgg9": (2_789_706, 2_785_472),
    "resnet20": (272_474, 270_896),
    "resnet56": (855_770, 851_504),
    "resnet110": (1_730_714, 1_722_416),
    "wrn56-2": (3_412_394, None),
    "wrn56-4": (13_628_234, None),
    "wrn56-8": (54_470_282, None),
    "densenet121": (6_956_298, 6_872_768),
    "resnet20-noshort": (269_722, None),
    "resnet56-noshort": (853_018, None),
    "resnet110-noshort": (1_727_962, None),
    "wrn56-2-noshort": (3_401_770, None),
    "wrn56-4-noshort": (13_586_506, None),
    "wrn56-8-noshort": (54_304_906, None),
}
"""The networks of Li et al. 2018: all parameters, and those in tensors of more than one dimension."""


@pytest.mark.parametrize("name", COUNTS)
def test_numbers_of_parameters_are_the_papers(name: str) -> None:
    built = build(name, device="meta")
    parameters, with_filters = COUNTS[name]
    assert sum(p.numel() for p in built.parameters()) == parameters
    if with_filters is not None:
        axes = building.filter_axes(built)
        assert sum(p.numel() for n, p in built.named_parameters() if axes[n] is not None) == with_filters
        assert sum(p.numel() for p in built.parameters() if p.ndim > 1) == with_filters


VGG9 = [64, 64, "M", 128, 128, "M", 256, 256, 256, "M"]
SMALL_VGG = [4, "M", 8, 8, "M", 6, "M"]


@pytest.mark.parametrize(
    ("network", "args", "second"),
    [
        ("resnet20", {}, lambda plain, x: plain.resnet(x, 3, True)),
        ("resnet20-noshort", {}, lambda plain, x: plain.resnet(x, 3, False)),
        ("resnet56", {"width": 4}, lambda plain, x: plain.resnet(x, 9, True)),
        ("resnet110-noshort", {"width": 4}, lambda plain, x: plain.resnet(x, 18, False)),
        ("wrn14-2", {}, lambda plain, x: plain.resnet(x, 2, True)),
        ("wrn8-4-noshort", {}, lambda plain, x: plain.resnet(x, 1, False)),
        ("resnet", {"depth": 8, "width": 5}, lambda plain, x: plain.resnet(x, 1, True)),
        ("resnet", {"depth": 8, "width": 5, "norm": "group"}, lambda plain, x: plain.resnet(x, 1, True)),
        ("resnet20", {"norm": "group"}, lambda plain, x: plain.resnet(x, 3, True)),
        ("resnet20-noshort", {"norm": "group"}, lambda plain, x: plain.resnet(x, 3, False)),
        ("resnet14", {"norm": "none"}, lambda plain, x: plain.resnet(x, 2, True)),
        ("resnet14-noshort", {"norm": "none"}, lambda plain, x: plain.resnet(x, 2, False)),
        ("vgg9", {}, lambda plain, x: plain.vgg(x, VGG9)),
        ("vgg9", {"norm": "group"}, lambda plain, x: plain.vgg(x, VGG9)),
        ("vgg9", {"norm": "none"}, lambda plain, x: plain.vgg(x, VGG9)),
        ("vgg", {"features": SMALL_VGG, "hidden": 7}, lambda plain, x: plain.vgg(x, SMALL_VGG)),
        ("vgg", {"features": SMALL_VGG, "hidden": 7, "norm": "group"}, lambda plain, x: plain.vgg(x, SMALL_VGG)),
        ("densenet121", {}, lambda plain, x: plain.densenet(x)),
    ],
)
@pytest.mark.parametrize("images", [CIFAR, DIGITS])
def test_a_second_implementation_agrees(
    network: str, args: dict[str, Any], second: Any, images: tuple[int, int, int]
) -> None:
    built = with_random_tensors(build(network, images, **args))
    x = torch.randn(2, *images, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    with torch.no_grad():
        found, wanted = built(x), second(Plain(built.state_dict()), x)
    assert found.shape == (2, 10)
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)
    assert float(found.std()) > 0.1, "the comparison is of something"


def test_global_pooling_is_the_papers_of_8_by_8() -> None:
    built = build("resnet", depth=8)
    x = torch.randn(2, *CIFAR, generator=torch.Generator().manual_seed(2))
    seen: list[Tensor] = []
    built.get_submodule("layer3").register_forward_hook(lambda layer, inputs, output: seen.append(output))
    logits = built.eval()(x)
    assert seen[0].shape == (2, 64, 8, 8)
    pooled = functional.avg_pool2d(seen[0], 8).flatten(1)
    torch.testing.assert_close(logits, built.get_submodule("linear")(pooled))


def test_names_are_those_of_the_authors_code() -> None:
    """Spot checks of the keys in the state dicts that the authors published."""
    keys = set(build("resnet", depth=20, device="meta").state_dict())
    assert {"conv1.weight", "bn1.running_var", "layer1.0.conv1.weight", "layer3.2.bn2.bias", "linear.bias"} <= keys
    assert {"layer2.0.shortcut.0.weight", "layer2.0.shortcut.1.weight"} <= keys
    assert not any("layer1.0.shortcut" in key for key in keys)
    assert {"features.0.bias", "features.20.weight", "fc.1.running_mean", "classifier.weight"} <= set(
        build("vgg9", device="meta").state_dict()
    )
    assert {"dense4.15.conv2.weight", "trans3.conv.weight", "bn.weight", "linear.weight"} <= set(
        build("densenet121", device="meta").state_dict()
    )


@pytest.mark.parametrize(
    ("network", "args"), [("vgg9", {}), ("resnet", {"depth": 20, "width": 32}), ("densenet121", {})]
)
def test_initial_weights(network: str, args: dict[str, Any]) -> None:
    """Convolutions N(0, 2 / fan in), linear weights N(0, 0.001^2), batch norm 1 and 0."""
    for layer in build(network, **args).modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            fan_in = layer.weight[0].numel()
            std = (2 / fan_in) ** 0.5 if isinstance(layer, nn.Conv2d) else 1e-3
            error = layer.weight.numel() ** -0.5
            assert float(layer.weight.detach().std()) == pytest.approx(std, rel=5 * error)
            assert abs(float(layer.weight.detach().mean())) < 5 * error * std
        elif isinstance(layer, nn.BatchNorm2d | nn.BatchNorm1d):
            assert bool((layer.weight == 1).all()) and bool((layer.bias == 0).all())


@pytest.mark.parametrize(
    ("network", "args"),
    [("resnet8", {}), ("resnet8-noshort", {}), ("vgg", {"features": SMALL_VGG, "hidden": 16})],
)
def test_a_norm_changes_no_other_tensor(network: str, args: dict[str, Any]) -> None:
    """Initial values stay too, except those that `none` needs. Only batch norm has buffers."""
    batch, group, none = (build(network, norm=norm, **args) for norm in ("batch", "group", "none"))
    assert [name for name, _ in group.named_buffers()] == [name for name, _ in none.named_buffers()] == []
    assert dict(group.named_parameters()).keys() == dict(batch.named_parameters()).keys()
    theta = batch.state_dict()
    for name, tensor in group.state_dict().items():
        assert torch.equal(tensor, theta[name]), name
    weights = {name for name, tensor in theta.items() if tensor.ndim > 1}
    assert weights == {name for name, tensor in none.state_dict().items() if tensor.ndim > 1}
    assert all(f"{name.removesuffix('weight')}bias" in none.state_dict() for name in weights)


def test_without_norm_every_block_begins_as_its_shortcut() -> None:
    network = build("resnet14", norm="none")
    generator = torch.Generator().manual_seed(2)
    for name, block in network.named_modules():
        if isinstance(block, resnet.BasicBlock):
            x = torch.rand(2, block.conv1.in_channels, 8, 8, generator=generator)
            torch.testing.assert_close(block(x), block.shortcut(x).relu(), rtol=0, atol=0, msg=name)


@pytest.mark.parametrize("network", ["resnet20", "resnet20-noshort", "vgg9"])
@pytest.mark.parametrize("norm", ["batch", "group", "none"])
def test_every_norm_lets_gradients_through(network: str, norm: str) -> None:
    """After one step every tensor of more than one dimension has a gradient."""
    built = build(network, DIGITS, norm=norm)
    x = torch.randn(16, *DIGITS, generator=torch.Generator().manual_seed(2))
    labels = torch.arange(16) % 10
    for _ in range(2):
        built.zero_grad()
        functional.cross_entropy(built(x), labels).backward()
        with torch.no_grad():
            for parameter in built.parameters():
                assert parameter.grad is not None
                parameter.sub_(0.1 * parameter.grad)
    for name, parameter in built.named_parameters():
        assert parameter.grad is not None and bool(parameter.grad.isfinite().all())
        assert parameter.ndim == 1 or bool(parameter.grad.any()), name


@pytest.mark.parametrize("norm", ["group", "none"])
@pytest.mark.parametrize("network", ["resnet8", "resnet8-noshort", "vgg9"])
def test_networks_without_batch_norm_are_measured_by_the_engine(network: str, norm: str) -> None:
    """Compare with a plain pass, at the centre and beside it."""
    built = build(network, DIGITS, norm=norm).eval()
    generator = torch.Generator().manual_seed(3)
    images, labels = torch.randn(20, *DIGITS, generator=generator), torch.arange(20) % 10
    theta = {name: tensor.clone() for name, tensor in built.state_dict().items()}
    step = {name: torch.randn(tensor.shape, generator=generator) * 0.05 for name, tensor in theta.items()}
    measuring = engine.Engine(built, theta, {"alpha": step}, {"train": Examples(images, labels)})
    points = [(0.0, 0.0), (0.5, 0.0)]
    for (alpha, _), (found, negative) in zip(points, measuring.measure(points), strict=True):
        built.load_state_dict({name: theta[name] + alpha * step[name] for name in theta})
        with torch.no_grad():
            expected = functional.cross_entropy(built(images), labels)
        assert found["train"].loss == pytest.approx(float(expected), rel=1e-5)
        assert negative == 0
    assert measuring.folded == 0


def test_initial_weights_come_from_the_seed_alone() -> None:
    state = torch.get_rng_state()
    first = build("resnet", depth=8).state_dict()
    assert torch.equal(torch.get_rng_state(), state), "the global generator is left alone"
    torch.rand(3)
    again, other = build("resnet", depth=8).state_dict(), build("resnet", depth=8, seed=1).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["conv1.weight"], other["conv1.weight"])


def test_the_meta_device_knows_all_but_values() -> None:
    real, meta = build("resnet", DIGITS, depth=14), build("resnet", DIGITS, depth=14, device="meta")
    assert all(tensor.is_meta for tensor in meta.state_dict().values())
    shapes = [{name: tensor.shape for name, tensor in net.state_dict().items()} for net in (real, meta)]
    assert shapes[0] == shapes[1]
    assert building.filter_axes(real) == building.filter_axes(meta)


class Bare(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.zeros(1, 4, 8))
        self.table = nn.Parameter(torch.zeros(4, 8))
        self.scale = nn.Parameter(torch.zeros(()))
        self.one_logit = nn.Linear(8, 1)
        self.attention = nn.MultiheadAttention(8, 2, add_bias_kv=True)
        self.recurrent = nn.LSTM(8, 3)
        self.norm = nn.BatchNorm2d(3)
        self.up = nn.ConvTranspose2d(6, 4, 3)
        self.out = nn.Conv1d(8, 2, 3)
        self.embedding = nn.Embedding(5, 8)
        self.grouped = nn.Conv2d(6, 4, 3, groups=2)
        self.depthwise = nn.Conv2d(4, 4, 3, groups=4, bias=False)
        self.to_one = nn.ConvTranspose1d(1, 2, 3, bias=False)
        self.tied = nn.Linear(8, 5, bias=False)
        self.tied.weight = self.embedding.weight


def test_filters_follow_the_layer() -> None:
    assert building.filter_axes(Bare()) == {
        "token": None,
        "table": 0,
        "scale": None,
        "one_logit.weight": 0,
        "one_logit.bias": None,
        "attention.in_proj_weight": 0,
        "attention.in_proj_bias": None,
        "attention.bias_k": None,
        "attention.bias_v": None,
        "attention.out_proj.weight": 0,
        "attention.out_proj.bias": None,
        "recurrent.weight_ih_l0": 0,
        "recurrent.weight_hh_l0": 0,
        "recurrent.bias_ih_l0": None,
        "recurrent.bias_hh_l0": None,
        "norm.weight": None,
        "norm.bias": None,
        "up.weight": 1,
        "up.bias": None,
        "out.weight": 0,
        "out.bias": None,
        "embedding.weight": 0,
        "grouped.weight": 0,
        "grouped.bias": None,
        "depthwise.weight": 0,
        "to_one.weight": 1,
    }


@pytest.mark.parametrize(
    "module", [Bare(), nn.Transformer(8, 2, 1, 1, 8, batch_first=True), nn.Linear(2, 2), nn.ReLU()]
)
def test_filter_axes_are_of_the_named_parameters_in_order(module: nn.Module) -> None:
    assert list(building.filter_axes(module)) == [name for name, _ in module.named_parameters()]
