import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from landscape import networks
from landscape.errors import InputError
from landscape.weights import Weights

CIFAR = (3, 32, 32)
DIGITS = (1, 8, 8)


def build(
    network: str, images: tuple[int, int, int] = CIFAR, device: str = "cpu", seed: int = 0, **args: Any
) -> nn.Module:
    return networks.build(network, args, seed=seed, images=images, classes=10, device=device)


COUNTS: dict[str, tuple[str, dict[str, Any], int, int | None]] = {
    "vgg9": ("vgg9", {}, 2_789_706, 2_785_472),
    "resnet20": ("resnet", {"depth": 20}, 272_474, 270_896),
    "resnet56": ("resnet", {"depth": 56}, 855_770, 851_504),
    "resnet110": ("resnet", {"depth": 110}, 1_730_714, 1_722_416),
    "wrn56_2": ("resnet", {"depth": 56, "width": 32}, 3_412_394, None),
    "wrn56_4": ("resnet", {"depth": 56, "width": 64}, 13_628_234, None),
    "wrn56_8": ("resnet", {"depth": 56, "width": 128}, 54_470_282, None),
    "densenet121": ("densenet121", {}, 6_956_298, 6_872_768),
    "resnet20-noshort": ("resnet", {"depth": 20, "shortcut": False}, 269_722, None),
    "resnet56-noshort": ("resnet", {"depth": 56, "shortcut": False}, 853_018, None),
    "resnet110-noshort": ("resnet", {"depth": 110, "shortcut": False}, 1_727_962, None),
    "wrn56_2-noshort": ("resnet", {"depth": 56, "width": 32, "shortcut": False}, 3_401_770, None),
    "wrn56_4-noshort": ("resnet", {"depth": 56, "width": 64, "shortcut": False}, 13_586_506, None),
    "wrn56_8-noshort": ("resnet", {"depth": 56, "width": 128, "shortcut": False}, 54_304_906, None),
}
"""The networks of Li et al. 2018: all parameters, and those in tensors of more than one dimension."""


@pytest.mark.parametrize("name", COUNTS)
def test_numbers_of_parameters_are_the_papers(name: str) -> None:
    network, args, parameters, with_filters = COUNTS[name]
    built = build(network, device="meta", **args)
    assert sum(p.numel() for p in built.parameters()) == parameters
    if with_filters is not None:
        axes = networks.filter_axes(built)
        assert sum(p.numel() for n, p in built.named_parameters() if axes[n] is not None) == with_filters
        assert sum(p.numel() for p in built.parameters() if p.ndim > 1) == with_filters


class Plain:
    """The networks a second time, as sequences of operations on the tensors of a state dict."""

    def __init__(self, theta: Weights):
        self.theta = theta

    def bn(self, x: Tensor, name: str) -> Tensor:
        w = {key: self.theta[f"{name}.{key}"] for key in ("running_mean", "running_var", "weight", "bias")}
        shape = (1, -1) + (1,) * (x.ndim - 2)
        scale = w["weight"] / (w["running_var"] + 1e-5).sqrt()
        return (x - w["running_mean"].view(shape)) * scale.view(shape) + w["bias"].view(shape)

    def conv(self, x: Tensor, name: str, stride: int = 1) -> Tensor:
        weight = self.theta[f"{name}.weight"]
        return functional.conv2d(x, weight, self.theta.get(f"{name}.bias"), stride, padding=weight.shape[-1] // 2)

    def linear(self, x: Tensor, name: str) -> Tensor:
        return x @ self.theta[f"{name}.weight"].T + self.theta[f"{name}.bias"]

    def resnet(self, x: Tensor, blocks: int, shortcut: bool) -> Tensor:
        x = self.bn(self.conv(x, "conv1"), "bn1").relu()
        for stage in (1, 2, 3):
            for k in range(blocks):
                name = f"layer{stage}.{k}"
                stride = 2 if k == 0 and stage > 1 else 1
                y = self.bn(self.conv(x, f"{name}.conv1", stride), f"{name}.bn1").relu()
                y = self.bn(self.conv(y, f"{name}.conv2"), f"{name}.bn2")
                if shortcut and f"{name}.shortcut.0.weight" in self.theta:
                    x = self.bn(self.conv(x, f"{name}.shortcut.0", stride), f"{name}.shortcut.1")
                x = (x + y if shortcut else y).relu()
        return self.linear(x.sum((2, 3)) / (x.shape[2] * x.shape[3]), "linear")

    def vgg(self, x: Tensor, features: list[Any]) -> Tensor:
        i = 0
        for feature in features:
            if feature == "M":
                x = functional.max_pool2d(x, 2)
                i += 1
            else:
                x = self.bn(self.conv(x, f"features.{i}"), f"features.{i + 1}").relu()
                assert x.shape[1] == feature
                i += 3
        x = self.bn(self.linear(x.reshape(len(x), -1), "fc.0"), "fc.1").relu()
        return self.linear(x, "classifier")

    def densenet(self, x: Tensor) -> Tensor:
        x = self.conv(x, "conv1")
        for stage, layers in enumerate((6, 12, 24, 16), 1):
            for k in range(layers):
                y = self.conv(self.bn(x, f"dense{stage}.{k}.bn1").relu(), f"dense{stage}.{k}.conv1")
                y = self.conv(self.bn(y, f"dense{stage}.{k}.bn2").relu(), f"dense{stage}.{k}.conv2")
                x = torch.cat([y, x], 1)
            if stage < 4:
                x = self.conv(self.bn(x, f"trans{stage}.bn").relu(), f"trans{stage}.conv")
                x = (x[:, :, ::2, ::2] + x[:, :, 1::2, ::2] + x[:, :, ::2, 1::2] + x[:, :, 1::2, 1::2]) / 4
        x = self.bn(x, "bn").relu()
        return self.linear(x.sum((2, 3)) / (x.shape[2] * x.shape[3]), "linear")


def with_random_tensors(network: nn.Module) -> nn.Module:
    """The network in float64 and eval mode, batch norm far from the identity and logits far from zero."""
    generator = torch.Generator().manual_seed(1)
    network = network.double().eval()
    for name, tensor in network.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 2, generator=generator)
        elif tensor.ndim == 1:
            tensor.copy_(torch.randn(tensor.shape, generator=generator, dtype=torch.float64) * 0.1 + 0.5)
        elif tensor.ndim == 2:
            tensor.normal_(generator=generator)
    return network


SMALL_VGG = [4, "M", 8, 8, "M", 6, "M"]


@pytest.mark.parametrize(
    ("network", "args", "second"),
    [
        ("resnet", {"depth": 20}, lambda plain, x: plain.resnet(x, 3, True)),
        ("resnet", {"depth": 20, "shortcut": False}, lambda plain, x: plain.resnet(x, 3, False)),
        ("resnet", {"depth": 8, "width": 5}, lambda plain, x: plain.resnet(x, 1, True)),
        ("vgg9", {}, lambda plain, x: plain.vgg(x, [64, 64, "M", 128, 128, "M", 256, 256, 256, "M"])),
        ("vgg", {"features": SMALL_VGG, "hidden": 7}, lambda plain, x: plain.vgg(x, SMALL_VGG)),
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


def test_initial_weights_come_from_the_seed_alone() -> None:
    state = torch.get_rng_state()
    first = build("resnet", depth=8).state_dict()
    assert torch.equal(torch.get_rng_state(), state), "the global generator is left alone"
    torch.rand(3)
    again, other = build("resnet", depth=8).state_dict(), build("resnet", depth=8, seed=1).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["conv1.weight"], other["conv1.weight"])


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_the_users_code_does_not_reach_the_global_generator(tmp_path: Path, device: str) -> None:
    path = write(
        tmp_path / "mine.py",
        """
        import torch
        from torch import nn
        torch.manual_seed(3)
        def net(again=False):
            if again:
                torch.manual_seed(4)
            layer = nn.Linear(3, 3, device="cpu")
            torch.randn(5, device="cpu")
            return layer
        """,
    )
    state = torch.get_rng_state()
    for again in (False, True):
        build(f"{path}:net", device=device, again=again)
        assert torch.equal(torch.get_rng_state(), state)
    first, second = (build(f"{path}:net", seed=seed).state_dict()["weight"] for seed in (3, 5))
    assert not torch.equal(first, second), "a seed set while importing does not matter"


def test_the_meta_device_knows_all_but_values() -> None:
    real, meta = build("resnet", DIGITS, depth=14), build("resnet", DIGITS, depth=14, device="meta")
    assert all(tensor.is_meta for tensor in meta.state_dict().values())
    shapes = [{name: tensor.shape for name, tensor in net.state_dict().items()} for net in (real, meta)]
    assert shapes[0] == shapes[1]
    assert networks.filter_axes(real) == networks.filter_axes(meta)


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(textwrap.dedent(text))
    return path


def test_a_network_of_a_file(tmp_path: Path) -> None:
    """Its folder can be imported from, at the top and in the function, and another folder's equal names do not matter."""
    for folder, width in (("one", 3), ("two", 5)):
        write(tmp_path / folder / "blocks.py", f"WIDTH = {width}")
        write(tmp_path / folder / "later.py", f"BIAS = {folder == 'one'}")
        text = """
            from __future__ import annotations
            from dataclasses import dataclass
            from torch import nn
            import blocks

            @dataclass
            class Shape:
                width: int

            def wide(num_classes: int, in_channels: int, factor: int = 1) -> nn.Module:
                from later import BIAS
                return nn.Sequential(
                    nn.Conv2d(in_channels, Shape(factor * blocks.WIDTH).width, 8, bias=BIAS), nn.Flatten(),
                    nn.Linear(factor * blocks.WIDTH, num_classes),
                )
            """
        write(tmp_path / folder / "mine.py", text)
    for folder, width in (("one", 3), ("two", 5), ("one", 3)):
        built = build(f"{tmp_path}/{folder}/mine.py:wide", DIGITS, factor=2)
        assert built(torch.zeros(1, *DIGITS)).shape == (1, 10)
        convolution = built[0]  # type: ignore[index]
        assert convolution.weight.shape == (2 * width, 1, 8, 8)
        assert (convolution.bias is not None) == (folder == "one")
    write(tmp_path / "one" / "blocks.py", "WIDTH = 40")
    assert build(f"{tmp_path}/one/mine.py:wide", DIGITS, device="meta")[0].weight.shape[0] == 40  # type: ignore[index]


def test_a_network_of_an_installed_package_and_a_class() -> None:
    built = build("torch.nn:Linear", in_features=64, out_features=10)
    assert isinstance(built, nn.Linear)


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_networks_of_torchvision(device: str) -> None:
    """Also where torchvision was built for CUDA and torch was not. This one takes `num_classes` as **kwargs."""
    built = build("torchvision.models:resnet18", device=device, num_classes=10)
    assert built.state_dict()["fc.weight"].shape == (10, 512)
    assert sum(p.numel() for p in built.parameters()) == 11_689_512 - 990 * 513
    axes = networks.filter_axes(built)
    assert axes["layer2.0.downsample.0.weight"] == axes["fc.weight"] == 0 and axes["bn1.weight"] is None
    if device == "cpu":
        assert built(torch.zeros(2, *CIFAR)).shape == (2, 10)


def test_operators_of_torchvision_are_declared_where_they_are_missed_and_nowhere_else(tmp_path: Path) -> None:
    """In a fresh process, because the first import decides. Another failure of an import is told as it is."""
    failing = write(tmp_path / "failing.py", "raise RuntimeError('operator mine::nms does not exist')")
    path = write(
        tmp_path / "mine.py",
        """
        from torchvision.models import resnet18
        def net(num_classes): return resnet18(num_classes=num_classes)
        """,
    )
    code = f"""
        import torch
        from landscape import errors, networks

        def build(name, **args):
            return networks.build(name, args, seed=0, images=(3, 32, 32), classes=7, device="meta")

        build("resnet", depth=8)
        try:
            build("{failing}:net")
        except errors.InputError as error:
            assert "RuntimeError: operator mine::nms does not exist" in str(error)
        else:
            raise AssertionError
        assert not hasattr(torch.ops.torchvision, "nms")
        assert build("{path}:net").fc.out_features == 7
        assert build("torchvision.models.resnet:resnet18", num_classes=7).fc.out_features == 7
        import torchvision.datasets, torchvision.ops, torchvision.transforms.v2
        """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)


def test_only_named_parameters_are_supplied(tmp_path: Path) -> None:
    path = write(
        tmp_path / "mine.py",
        """
        from torch import nn
        def anything(**args): return Net(args)
        def sized(image_size, num_classes=3): return Net(dict(image_size=image_size, num_classes=num_classes))
        class Net(nn.Module):
            def __init__(self, args):
                super().__init__()
                self.args = args
        """,
    )
    assert build(f"{path}:anything", x=1).args == {"x": 1}
    assert build(f"{path}:sized").args == {"image_size": 32, "num_classes": 10}
    assert build(f"{path}:sized", num_classes=4).args == {"image_size": 32, "num_classes": 4}
    with pytest.raises(InputError, match="28 x 32; state it in args"):
        build(f"{path}:sized", (1, 28, 32))
    assert build(f"{path}:sized", (1, 28, 32), image_size=28).args == {"image_size": 28, "num_classes": 10}


def test_code_that_looks_at_values_is_built_on_meta_too(tmp_path: Path) -> None:
    path = write(
        tmp_path / "mine.py",
        """
        import torch
        from torch import nn
        def net():
            return nn.Sequential(*(nn.Linear(3, 3) for rate in torch.linspace(0, 1, 3).tolist() if rate < 0.7))
        """,
    )
    built = build(f"{path}:net", device="meta")
    assert [p.is_meta for p in built.parameters()] == [True] * 4


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize(
    ("network", "args", "message"),
    [
        ("resnet3", {}, "'resnet3', which is not built in; allowed are densenet121, resnet, vgg, vgg9"),
        ("resnet", {}, "missing a required argument: 'depth'"),
        ("resnet", {"depth": 20, "widht": 3}, r"resnet\(.*'widht'; its parameters are \(depth: int"),
        ("resnet", {"depth": 21}, "depth is 21; it must be 6 n"),
        ("resnet", {"depth": 2}, "depth is 2;"),
        ("resnet", {"depth": "deep"}, "depth is 'deep'"),
        ("resnet", {"depth": 20, "width": 0}, "width is 0"),
        ("resnet", {"depth": 20, "shortcut": "no"}, "shortcut is 'no'; it must be true or false"),
        ("vgg", {"features": [8, "M", "X"], "hidden": 3}, r"features are \[8, 'M', 'X'\]"),
        ("vgg", {"features": ["M"], "hidden": 3}, "features are"),
        ("vgg", {"features": [8, *"MMMMMM"], "hidden": 3}, "size 32 6 times, to nothing; use fewer M"),
        ("vgg", {"features": [8], "hidden": 0}, "hidden is 0"),
        ("no_such_package.nets:wide", {}, "importing no_such_package.nets failed: ModuleNotFoundError"),
        ("torch.nn:NoSuchLayer", {}, "torch.nn has no function NoSuchLayer; it has"),
        ("no/such/file.py:wide", {}, "there is no file no/such/file.py"),
        ("{folder}/mine.py:absent", {}, "has no function absent; it has broken, lazy, nothing"),
        ("{folder}/mine.py:nothing", {}, "returned NoneType; it must return a torch.nn.Module"),
        ("{folder}/mine.py:broken", {"size": 0}, r"broken\(size=0\) cannot be built: ZeroDivisionError"),
        ("{folder}/mine.py:lazy", {}, "lazy layer: the shape of weight is not known"),
        ("{folder}/syntax.py:f", {}, "syntax.py failed: SyntaxError"),
        ("{folder}/exits.py:f", {}, "exits.py failed: SystemExit: 3"),
    ],
)
def test_a_mistake_is_told(tmp_path: Path, network: str, args: dict[str, Any], message: str, device: str) -> None:
    write(
        tmp_path / "mine.py",
        """
        from torch.nn import LazyLinear as _Lazy
        def broken(size): return 1 / size
        def lazy(): return _Lazy(3)
        def nothing(): pass
        """,
    )
    write(tmp_path / "syntax.py", "def f(:")
    write(tmp_path / "exits.py", "import sys; sys.exit(3)")
    with pytest.raises(InputError, match=message):
        build(network.format(folder=tmp_path), device=device, **args)


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
    assert networks.filter_axes(Bare()) == {
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
    assert list(networks.filter_axes(module)) == [name for name, _ in module.named_parameters()]
