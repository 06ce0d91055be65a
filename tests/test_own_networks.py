"""Networks from a user's code, and error messages about it."""

import importlib
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from landscape.errors import InputError
from landscape.networks import building, code

from plain_networks import CIFAR, DIGITS, build


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


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(textwrap.dedent(text))
    return path


def test_a_module_imported_before_from_elsewhere_does_not_stand_in_for_a_file_beside_the_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "elsewhere" / "blocks.py", "WIDTH = 'not a number'")
    write(tmp_path / "here" / "blocks.py", "WIDTH = 3")
    write(
        tmp_path / "here" / "mine.py",
        "import blocks\nfrom torch import nn\ndef net(): return nn.Linear(64, blocks.WIDTH)",
    )
    monkeypatch.syspath_prepend(str(tmp_path / "elsewhere"))
    monkeypatch.delitem(sys.modules, "blocks", raising=False)
    before = importlib.import_module("blocks")
    assert build(f"{tmp_path}/here/mine.py:net", DIGITS).out_features == 3
    assert sys.modules.pop("blocks") is before


def test_a_network_of_a_file(tmp_path: Path) -> None:
    """The file may import from its folder, at the top and in the function, in spite of equal names elsewhere."""
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
    """This works with a torchvision built for CUDA beside a CPU torch, too. The network takes `num_classes` as **kwargs."""
    built = build("torchvision.models:resnet18", device=device, num_classes=10)
    assert built.state_dict()["fc.weight"].shape == (10, 512)
    assert sum(p.numel() for p in built.parameters()) == 11_689_512 - 990 * 513
    axes = building.filter_axes(built)
    assert axes["layer2.0.downsample.0.weight"] == axes["fc.weight"] == 0 and axes["bn1.weight"] is None
    if device == "cpu":
        assert built(torch.zeros(2, *CIFAR)).shape == (2, 10)


def test_operators_of_torchvision_are_declared_where_they_are_missed_and_nowhere_else(tmp_path: Path) -> None:
    """Use a fresh process, because the first import decides. Other import errors are reported as they are."""
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
        from landscape import errors
        from landscape.networks import building as networks

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
        (
            "resnext",
            {},
            f"'resnext', which is not built in; allowed are {', '.join(code.BUILTIN)}, resnet{{depth}}",
        ),
        ("resnet3", {}, "depth is 3; it must be 6 n"),
        ("resnet20", {"depth": 20}, "resnet20 sets depth to 20, and args has it too"),
        ("wrn20-2-noshort", {"shortcut": True}, "wrn20-2-noshort sets shortcut to False"),
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
        ("vgg9", {"norm": "layer"}, "vgg's norm is 'layer'; it must be batch, group or none"),
        ("resnet8", {"norm": None}, "resnet's norm is None; it must be batch, group or none"),
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
