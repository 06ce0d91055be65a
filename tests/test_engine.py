"""The fast path against the plain loop, in float64 and by hand."""

import copy
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from landscape import directions
from landscape.data.examples import Examples
from landscape.directions import Directions
from landscape.engine import device, engine, fusing
from landscape.engine.engine import Engine, Measured
from landscape.engine.plane_point import Moving
from landscape.errors import InputError
from landscape.networks import building
from landscape.networks.torchvision_shim import with_torchvision
from landscape.store.weights import Weights, displace

from random_networks import Random, block

torch.set_num_threads(1)

Points = list[tuple[float, float]]


def split(images: Tensor, classes: int, seed: int = 0) -> Examples:
    generator = torch.Generator().manual_seed(seed)
    return Examples(images, torch.randint(0, classes, (len(images),), generator=generator))


def settled(network: nn.Module, seed: int = 0) -> nn.Module:
    """Put a network into eval mode, with statistics, biases and batch-norm parameters away from their initial values."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point() and tensor.ndim == 1:
            drawn = torch.rand(tensor.shape, generator=generator)
            tensor.copy_(drawn + 0.5 if name.endswith(("var", "weight")) else drawn - 0.5)
    return network.eval()


def weights_of(network: nn.Module) -> Weights:
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


def pair_for(network: nn.Module) -> Directions:
    return directions.random_pair(weights_of(network), building.filter_axes(network), 1, "filter", line=False)


def plain(network: nn.Module, theta: Weights, pair: Directions, at: tuple[float, float], images: Tensor) -> Tensor:
    """Logits of the unchanged network at a point, in float64."""

    def double(weights: Weights) -> Weights:
        return {name: t.double() if t.is_floating_point() else t for name, t in weights.items()}

    moved = copy.deepcopy(network).double().eval()
    d1, d2 = (double(pair[axis]) for axis in ("alpha", "beta"))
    moved.load_state_dict(displace(double(theta), d1, at[0], d2, at[1]))
    with torch.no_grad():
        logits: Tensor = moved(images.double())
    return logits


def assert_right(
    network: nn.Module, data: Examples, points: Points, pair: Directions | None = None, batches: int = 3
) -> list[float]:
    """Check losses within 1e-5 of float64, or 1e-7 of the largest logit, in at least so many batches; return them."""
    theta, pair = weights_of(network), pair or pair_for(network)
    losses = []
    made = Engine(network, theta, pair, {"train": data})
    made.batch = min(made.batch, math.ceil(len(data.targets) / batches))
    for at, (found, _) in zip(points, made.measure(points), strict=True):
        logits = plain(network, theta, pair, at, data.inputs)
        loss = functional.cross_entropy(logits, data.targets).item()
        assert abs(found["train"].loss - loss) <= 1e-5 * loss + 1e-7 * float(logits.abs().max()), (at, loss)
        margin = logits.topk(2).values.diff().abs().min() / logits.abs().max()
        if margin > 1e-5:  # else rounding may decide which class is first
            assert found["train"].score == (logits.argmax(1) == data.targets).double().mean().item()
        losses.append(found["train"].loss)
    return losses


@settings(max_examples=40, deadline=None)
@given(blocks=st.lists(block, min_size=1, max_size=4))
def test_random_networks(blocks: list[dict[str, Any]]) -> None:
    torch.manual_seed(0)
    network = settled(Random(blocks))
    batches = 1 if any(drawn["norm"] == "batch" for drawn in blocks) else 3  # of which the statistics are
    assert_right(network, split(torch.randn(6, 4, 7, 7), 3), [(0.0, 0.0), (0.7, -0.4), (-3.0, 1.0)], batches=batches)


def with_a_minimum(network: nn.Module, data: Examples, classes: int) -> nn.Module:
    """The network with a last layer that gives every image a logit of 16 for its class: a loss under 1e-5."""
    last = [module for module in network.modules() if isinstance(module, nn.Linear)][-1]
    seen: list[Tensor] = []
    hook = last.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].double()))
    with torch.no_grad():
        network(data.inputs)
    hook.remove()
    inputs = torch.cat([seen[0], torch.ones(len(seen[0]), 1)], 1)
    wanted = 16.0 * functional.one_hot(data.targets, classes).double()
    solved = torch.linalg.lstsq(inputs, wanted, driver="gelsd").solution.T
    with torch.no_grad():
        last.weight.copy_(solved[:, :-1])
        last.bias.copy_(solved[:, -1])
    return network


@pytest.mark.parametrize(
    ("name", "args", "images", "high"),
    [
        ("resnet", {"depth": 20}, 12, [(4.0, -6.0)]),
        ("resnet", {"depth": 20, "shortcut": False}, 12, [(4.0, -6.0)]),
        ("resnet", {"depth": 56}, 12, []),
        ("resnet", {"depth": 56, "width": 8, "shortcut": False}, 12, [(0.7, -0.7)]),
        ("resnet", {"depth": 14, "width": 32}, 12, [(4.0, -6.0)]),
        ("vgg9", {}, 12, [(4.0, -6.0)]),
        ("densenet121", {}, 6, []),
    ],
)
def test_every_network_of_the_house_from_a_deep_minimum_to_a_high_wall(
    name: str, args: Any, images: int, high: Points
) -> None:
    torch.manual_seed(1)
    network = settled(building.build(name, args, seed=0, images=(3, 32, 32), classes=10))
    data = split(torch.randn(images, 3, 32, 32), 10)
    with_a_minimum(network, data, 10)
    losses = assert_right(network, data, [(0.0, 0.0), (0.1, -0.05), (0.5, 0.5), (-1.0, 1.0), *high])
    assert losses[0] < 1e-5
    assert max(losses) > 1e3


class Moody(nn.Module):
    """Its operations depend on its input, so it cannot be traced."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.linear = nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.Linear(6, 10)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.conv(x)).mean((2, 3))
        logits: Tensor = self.linear(y if y.abs().max() > 0.5 else 2 * y)
        return logits


def normed(norm: Callable[[], nn.Module]) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), norm(), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 32 * 32, 10))


def with_a_small_head(vgg: Any) -> nn.Module:
    """Drops the 124 million weights of the linear layers, which the tests would only copy."""
    vgg.classifier = nn.Sequential(nn.Linear(25088, 32), nn.ReLU(True), nn.Dropout(), nn.Linear(32, 10))
    network: nn.Module = vgg
    return network


def small_vision_transformer() -> nn.Module:
    """The class of vit_b_16 with two narrow layers, and a head that is not zero as its initial one."""
    network: nn.Module = models().vision_transformer.VisionTransformer(32, 8, 2, 4, 32, 64, num_classes=10)
    nn.init.normal_(network.get_parameter("heads.head.weight"))
    return network


STRANGERS: dict[str, tuple[Callable[[], nn.Module], str, int]] = {
    "resnet18": (lambda: models().resnet18(num_classes=10), "onednn", 20),
    "vgg11_bn": (lambda: with_a_small_head(models().vgg11_bn()), "onednn", 8),
    "densenet121": (lambda: models().densenet121(num_classes=10), "onednn", 59),
    "mobilenet_v3_small": (lambda: models().mobilenet_v3_small(num_classes=10), "onednn", 34),
    "vit_b_16": (small_vision_transformer, "onednn", 0),
    "group norm": (lambda: normed(lambda: nn.GroupNorm(2, 8)), "onednn", 0),
    "layer norm": (lambda: normed(lambda: nn.LayerNorm((8, 32, 32))), "onednn", 0),
    "data-dependent": (Moody, "plain", 0),
}


def models() -> Any:
    def load() -> Any:
        from torchvision import models

        return models

    return with_torchvision(load)


@pytest.mark.parametrize("name", STRANGERS)
def test_networks_as_they_come_have_the_answer_of_the_plain_loop(name: str) -> None:
    torch.manual_seed(2)
    build, kernels, folded = STRANGERS[name]
    network = settled(build())
    data = split(torch.randn(4, 3, 32, 32), 10)
    assert_right(network, data, [(0.0, 0.0), (0.3, -0.2)])
    made = Engine(network, weights_of(network), {}, {"train": data})
    assert (made.kernels, made.folded) == (kernels, folded)


def a_resnet(seed: int = 0) -> nn.Module:
    return settled(building.build("resnet", {"depth": 8, "width": 4}, seed=seed, images=(3, 32, 32), classes=10))


def test_without_the_private_operator_everything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    network, data = a_resnet(), split(torch.randn(9, 3, 32, 32), 10)
    monkeypatch.setattr(fusing, "available", lambda: False)
    assert_right(network, data, [(0.0, 0.0), (0.5, -0.5)])
    made = Engine(network, weights_of(network), {}, {"train": data})
    assert (made.kernels, made.folded) == ("plain", 9)


def test_an_operator_that_says_something_else_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    network, data = a_resnet(), split(torch.randn(9, 3, 32, 32), 10)
    replace = fusing._replace

    def wrong(traced: Any, node: Any) -> None:
        replace(traced, node)
        for made in traced.graph.find_nodes(op="call_function", target=torch.ops.mkldnn._convolution_pointwise.binary):
            made.args = tuple(0.5 if value == 1.0 else value for value in made.args)

    monkeypatch.setattr(fusing, "_replace", wrong)
    assert Engine(network, weights_of(network), {}, {"train": data}).kernels == "plain"


class InPlace(nn.Module):
    """Writes into tensors that other operations still read."""

    def __init__(self, kind: str):
        super().__init__()
        self.kind = kind
        self.a, self.b, self.c = (nn.Conv2d(4, 4, 3, padding=1) for _ in range(3))
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.a(x)
        if self.kind == "the input is overwritten before the addition":
            y, z = self.b(x), self.c(self.relu(x))
            y = y + z
        elif self.kind == "the other summand is overwritten":
            z = self.c(x)
            y = z.add_(self.b(x)).relu() * z
        elif self.kind == "the other summand is broadcast":
            y = (self.b(x) + x.mean((2, 3), keepdim=True)).relu_()
        elif self.kind == "the sum is read twice":
            z = self.b(x) + x
            y = z.relu() - z
        elif self.kind == "the same twice":
            z = self.b(x)
            y = z + z
        else:
            x += self.b(x)
            y = functional.relu(x, inplace=True) + self.c(x)
        return y.mean((2, 3))


@pytest.mark.parametrize(
    "kind",
    [
        "the input is overwritten before the addition",
        "the other summand is overwritten",
        "the other summand is broadcast",
        "the sum is read twice",
        "the same twice",
        "all in place",
    ],
)
def test_what_is_written_in_place_is_not_read_too_late(kind: str) -> None:
    torch.manual_seed(0)
    network = InPlace(kind)
    data = split(torch.randn(5, 4, 32, 32), 4)
    assert_right(network, data, [(0.0, 0.0), (0.9, -0.8), (3.0, 3.0)])
    assert Engine(network, weights_of(network), {}, {"train": data}).kernels == "onednn"


def test_a_network_that_writes_into_its_images_leaves_ours_alone() -> None:
    class Overwriting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(12, 3)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.linear(x.mul_(0.5).flatten(1))
            return out

    network, data = Overwriting(), split(torch.randn(9, 3, 2, 2), 3)
    images = data.inputs.clone()
    theta, pair = weights_of(network), pair_for(network)
    found = losses(Engine(network, theta, pair, {"train": data}), [(0.0, 0.0), (0.0, 0.0)])
    assert torch.equal(data.inputs, images)
    logits = functional.linear(0.5 * images.flatten(1), theta["linear.weight"], theta["linear.bias"]).double()
    expected = functional.cross_entropy(logits, data.targets).item()
    assert [measured.loss for measured in found] == pytest.approx([expected, expected], rel=1e-6)


def test_standard_errors_are_those_of_the_losses_of_each_image() -> None:
    network, data = a_resnet(), split(torch.randn(23, 3, 32, 32), 10)
    theta, pair = weights_of(network), pair_for(network)
    points = [(0.0, 0.0), (0.3, -0.4)]
    made = [found["train"] for found, _ in Engine(network, theta, pair, {"train": data}).measure(points)]
    losses = [
        functional.cross_entropy(plain(network, theta, pair, at, data.inputs), data.targets, reduction="none").numpy()
        for at in points
    ]
    for measured, loss in zip(made, losses, strict=True):
        assert measured.error == pytest.approx(loss.std(ddof=1) / math.sqrt(23), rel=1e-5)
    assert made[0].paired_error == 0
    assert made[1].paired_error == pytest.approx((losses[1] - losses[0]).std(ddof=1) / math.sqrt(23), rel=1e-5)


def test_standard_errors_of_one_image_and_of_overflow_are_nan() -> None:
    network = a_resnet()
    one = Engine(network, weights_of(network), {}, {"train": split(torch.randn(1, 3, 32, 32), 10)})
    assert math.isnan(one.centre()["train"].error)
    some = Engine(network, weights_of(network), pair_for(network), {"train": split(torch.randn(4, 3, 32, 32), 10)})
    far, _ = next(some.measure([(1e30, 0.0)]))
    assert not math.isfinite(far["train"].loss) and math.isnan(far["train"].paired_error)


@pytest.mark.parametrize("shortcut", [True, False])
@pytest.mark.parametrize("step", [1e3, 1e10, 1e15, 1e20, 1e30, 1e37])
def test_overflow_is_where_it_is_in_the_plain_network(step: float, shortcut: bool) -> None:
    """A kernel that turns NaN into 0 would give a finite loss. Tested in one batch and in two."""
    args = {"depth": 8, "width": 4, "shortcut": shortcut}
    network = settled(building.build("resnet", args, seed=0, images=(3, 32, 32), classes=10))
    data = split(torch.randn(4, 3, 32, 32), 10)
    theta, pair = weights_of(network), pair_for(network)
    made = Engine(network, theta, pair, {"train": data})
    ours = []
    for made.batch in (4, 2):
        ours.append(next(made.measure([(step, step)]))[0]["train"].loss)
    network.load_state_dict(displace(theta, pair["alpha"], step, pair["beta"], step))
    with torch.no_grad():
        logits = network(data.inputs).double()
    assert [math.isfinite(loss) for loss in ours] == 2 * [bool(logits.isfinite().all())]


def test_relus_are_in_the_convolutions_after_a_first_batch_that_is_far_from_overflow() -> None:
    network, data = a_resnet(), split(torch.randn(6, 3, 32, 32), 10)
    made = Engine(network, weights_of(network), pair_for(network), {"train": data})
    made.batch = 2
    forward, used, form = made._values, [], made._fused
    assert form is not None

    def looking(batch: Examples, network: nn.Module) -> Any:
        used.append({id(form.apart): "apart", id(form.together): "together"}[id(network)])
        return forward(batch, network)

    made._values = looking  # type: ignore[method-assign]
    list(made.measure([(1e20, 1e20), (0.5, 0.0)]))
    near, far = ["apart", "together", "together"], ["apart"] * 3
    assert used == near + far + near


def test_a_channel_that_is_off_stays_off_however_far() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU(), nn.Conv2d(2, 3, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    theta = weights_of(network)
    step = {name: torch.zeros_like(tensor) for name, tensor in theta.items()}
    step["0.weight"][1] = -1.0
    data = split(torch.rand(4, 1, 32, 32), 3)
    made = Engine(network, theta, {"alpha": step}, {"train": data})
    assert made.kernels == "onednn"
    near, far = (found["train"].loss for found, _ in made.measure([(1e3, 0.0), (1e37, 0.0)]))
    assert near == far


@pytest.mark.parametrize("kind", ["folded", "plain"])
def test_recalibrated_statistics_are_those_of_swa(kind: str) -> None:
    torch.manual_seed(3)
    network = a_resnet() if kind == "folded" else settled(Moody())
    images, data = torch.randn(300, 3, 32, 32), split(torch.randn(9, 3, 32, 32), 10)
    theta, pair = weights_of(network), pair_for(network)
    made = Engine(network, theta, pair, {"train": data}, recalibration=images)
    assert (made.folded > 0) == (kind == "folded")
    points = [(0.0, 0.0), (0.5, -0.3)]
    for (found, _), (a, b) in zip(made.measure(points), points, strict=True):
        moved = copy.deepcopy(network)
        moved.load_state_dict(displace(theta, pair["alpha"], a, pair["beta"], b))
        torch.optim.swa_utils.update_bn(images.tensor_split(2), moved)
        with torch.no_grad():
            logits = moved.double().eval()(data.inputs.double())
        assert found["train"].loss == pytest.approx(functional.cross_entropy(logits, data.targets).item(), rel=1e-5)
    stored = Engine(network, theta, pair, {"train": data}).measure(points)
    assert next(stored)[0]["train"].loss != pytest.approx(found["train"].loss, rel=1e-3)


def test_reduced_precision_is_near_and_named() -> None:
    torch.manual_seed(4)
    network, data = a_resnet(), split(torch.randn(64, 3, 32, 32), 10)
    theta, pair, points = weights_of(network), pair_for(network), [(0.0, 0.0), (0.2, 0.1), (0.5, -0.5)]
    exact = [found["train"].loss for found, _ in Engine(network, theta, pair, {"train": data}).measure(points)]
    rough = Engine(network, theta, pair, {"train": data}, precision="bf16")
    assert rough.precision == "bf16"
    found = [found["train"].loss for found, _ in rough.measure(points)]
    np.testing.assert_allclose(found, exact, rtol=0.05)
    assert all(a != b for a, b in zip(found, exact, strict=True))
    assert Engine(network, theta, pair, {"train": data}, precision="tf32").precision == "fp32"


@pytest.mark.parametrize("name", ["vit_b_16", "layer norm", "group norm", "data-dependent", "densenet121"])
def test_networks_as_they_come_run_in_bf16(name: str) -> None:
    torch.manual_seed(2)
    network = settled(STRANGERS[name][0]())
    data = split(torch.randn(8, 3, 32, 32), 10)
    theta = weights_of(network)
    exact = Engine(network, theta, {}, {"train": data}).centre()["train"].loss
    rough = Engine(network, theta, {}, {"train": data}, precision="bf16").centre()["train"].loss
    assert rough == pytest.approx(exact, rel=0.1)


def test_a_network_that_does_not_run_in_bf16_is_named() -> None:
    class Stubborn(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(12, 3)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.linear(x.flatten(1).float())
            return out

    network, data = Stubborn(), split(torch.randn(4, 3, 2, 2), 3)
    with pytest.raises(InputError, match=r"does not run in bf16 .*use precision: fp32"):
        Engine(network, weights_of(network), {}, {"train": data}, precision="bf16").centre()


@pytest.fixture
def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Take the path of a GPU on the CPU: record work once, replay it, and list the recordings."""
    recorded: list[Any] = []

    def record(work: Callable[[], None]) -> Callable[[], None]:
        recorded.append(work)
        work()
        return work

    monkeypatch.setattr(engine, "on_gpu", lambda tensor: True)
    monkeypatch.setattr(engine, "record", record)
    return recorded


def losses(made: Engine, points: Points) -> list[Measured]:
    return [found[name] for found, _ in made.measure(points) for name in found]


def test_a_graph_of_all_batches_gives_the_same_bits(as_on_a_gpu: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    network = a_resnet()
    splits = {"train": split(torch.randn(80, 3, 32, 32), 10), "test": split(torch.randn(9, 3, 32, 32), 10)}
    theta, pair = weights_of(network), pair_for(network)
    points = [(k / 40, -k / 50) for k in range(70)]  # more than two blocks
    made = Engine(network, theta, pair, splits)
    found = losses(made, points)
    assert (made.kernels, len(as_on_a_gpu)) == ("cuda graph", 1)
    monkeypatch.undo()
    assert found == losses(Engine(network, theta, pair, splits), points)


def test_splits_share_batches_and_are_told_apart() -> None:
    """Two of three splits lie within a batch, and one spans several."""
    network = a_resnet()
    sizes = {"small": 3, "large": 1100, "other": 50}
    splits = {name: split(torch.randn(n, 3, 32, 32), 10) for name, n in sizes.items()}
    theta, pair, at = weights_of(network), pair_for(network), (0.2, -0.1)
    made = Engine(network, theta, pair, splits)
    forward, seen = made._values, []

    def looking(batch: Examples, network: nn.Module) -> Any:
        seen.append(len(batch))
        return forward(batch, network)

    made._values = looking  # type: ignore[method-assign]
    (found, _) = next(made.measure([at]))
    whole, rest = divmod(sum(sizes.values()), made.batch)
    assert whole and seen == 2 * ([made.batch] * whole + [rest])
    for name, data in splits.items():
        alone = next(Engine(network, theta, pair, {name: data}).measure([at]))[0][name]
        logits, here = plain(network, theta, pair, at, data.inputs), found[name]
        assert here.loss == pytest.approx(functional.cross_entropy(logits, data.targets).item(), rel=1e-6)
        assert here.score == (logits.argmax(1) == data.targets).double().mean().item()
        assert (here.error, here.paired_error) == pytest.approx((alone.error, alone.paired_error), rel=1e-5)


def some_losses(points: Points) -> list[str]:
    """Losses to the bit, of a network and images that are equal in every process."""
    torch.manual_seed(5)
    network, data = a_resnet(), split(torch.randn(70, 3, 32, 32), 10)
    return [
        measured.loss.hex()
        for measured in losses(Engine(network, weights_of(network), pair_for(network), {"train": data}), points)
    ]


def test_another_process_with_other_points_before_finds_the_same_bits() -> None:
    points = [(-0.3, 0.2), (0.5, 0.5), (0.1, -0.9)]
    code = "import sys, test_engine; sys.stdout.write(' '.join(test_engine.some_losses(%r)))"
    command = [sys.executable, "-c", code % [points[2], points[0]]]
    said = subprocess.run(command, cwd=Path(__file__).parent, check=True, capture_output=True, text=True).stdout
    ours = some_losses(points)
    assert said.split() == [ours[2], ours[0]]


@pytest.mark.parametrize("norm", ["batch", "group"])
def test_other_weights_have_the_bits_of_an_engine_of_their_own(norm: str) -> None:
    one, other = (
        settled(
            building.build("resnet", {"depth": 8, "width": 4, "norm": norm}, seed=seed, images=(3, 32, 32), classes=10),
            seed,
        )
        for seed in (0, 1)
    )
    splits = {"train": split(torch.randn(9, 3, 32, 32, generator=torch.Generator().manual_seed(0)), 10)}
    moved = Engine(one, weights_of(one), {}, splits)
    assert (
        moved.at(weights_of(other)) == Engine(one, weights_of(other), {}, splits).centre() != moved.at(weights_of(one))
    )


def test_out_of_memory_halves_the_batch_and_goes_on(
    as_on_a_gpu: list[Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    data = split(torch.randn(300, 3, 2, 2), 3)
    theta, pair, points = weights_of(network), pair_for(network), [(0.0, 0.0), (0.5, 1.0), (1.0, 0.5)]
    made = Engine(network, theta, pair, {"train": data})
    record, forward = engine.record, made._values
    seen: list[int] = []

    def without_room(work: Callable[[], None]) -> Callable[[], None]:
        if made.batch > 128:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return record(work)

    def one_time_less(batch: Examples, network: nn.Module) -> Any:
        """Another process takes memory after the second point was measured."""
        seen.append(len(batch))
        if len(batch) > 64 and seen.count(128) > 6:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(batch, network)

    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    monkeypatch.setattr(engine, "record", without_room)
    monkeypatch.setattr(made, "_values", one_time_less)
    with caplog.at_level("INFO"):
        found = losses(made, points)
    assert (made.planned_batch, made.batch) == (512, 64)
    assert seen[0] == 300 and {128, 64} < set(seen)
    assert len(as_on_a_gpu) == 2, "the graph of a larger batch is not used again"
    for images in (256, 128, 64):
        assert f"out of memory; going on with {images} examples in a batch" in caplog.text
    for measured, at in zip(found, points, strict=True):
        logits = plain(network, theta, pair, at, data.inputs)
        assert measured.loss == pytest.approx(functional.cross_entropy(logits, data.targets).item(), rel=1e-6)


def test_a_network_that_no_graph_can_hold_runs_without(as_on_a_gpu: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def refused(work: Callable[[], None]) -> Callable[[], None]:
        tried.append(work)
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(engine, "record", refused)
    network = a_resnet()
    splits = {name: split(torch.randn(9, 3, 32, 32), 10) for name in ("train", "test")}
    made = Engine(network, weights_of(network), pair_for(network), splits)
    found = losses(made, [(0.0, 0.0), (0.1, 0.1)])
    assert (made.kernels, len(tried), len(found)) == ("plain", 1, 4)
    assert found == losses(Engine(network, weights_of(network), pair_for(network), splits), [(0.0, 0.0), (0.1, 0.1)])


def test_tensor_floats_are_on_where_asked_for_and_off_else() -> None:
    def now() -> list[bool]:
        return [torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32]

    before = now()
    with device.tensor_floats(True):
        assert now() == [True, True]
        with device.tensor_floats(False):
            assert now() == [False, False]
        assert now() == [True, True]
    assert now() == before


def test_tf32_is_asked_for_while_a_gpu_computes(as_on_a_gpu: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    network, data = nn.Sequential(nn.Flatten(), nn.Linear(12, 3)), split(torch.randn(9, 3, 2, 2), 3)
    for precision, expected in (("fp32", False), ("tf32", True)):
        made = Engine(network, weights_of(network), {}, {"train": data}, precision=precision)  # type: ignore[arg-type]
        forward = made._values
        seen: list[bool] = []

        def looking(batch: Examples, network: nn.Module, forward: Any = forward, seen: Any = seen) -> Any:
            seen.append(torch.backends.cuda.matmul.allow_tf32)
            return forward(batch, network)

        monkeypatch.setattr(made, "_values", looking)
        losses(made, [(0.0, 0.0)])
        assert set(seen) == {expected} and made.precision == precision


def test_in_bf16_points_are_set_and_batch_norm_stays_in_fp32() -> None:
    network = nn.Sequential(nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1), nn.Flatten())
    theta = weights_of(settled(network))
    step = {name: torch.full_like(tensor, 1e-4) for name, tensor in theta.items() if tensor.is_floating_point()}
    moving = Moving(network, theta, {"alpha": step}, torch.channels_last, torch.bfloat16)
    moving.move(1.0, 0.0)
    now = network.state_dict()
    assert {name: tensor.dtype for name, tensor in now.items() if tensor.ndim} == {
        **dict.fromkeys(("0.weight", "0.bias", "0.running_mean", "0.running_var"), torch.float32),
        **dict.fromkeys(("1.weight", "1.bias"), torch.bfloat16),
    }
    for name, tensor in now.items():
        if tensor.ndim:
            assert torch.equal(tensor, (theta[name] + step[name]).to(tensor.dtype)), name


class Odd(nn.Module):
    """Operations that a trace, a fold or a fused kernel could get wrong, by name."""

    def __init__(self, kind: str):
        super().__init__()
        self.kind = kind
        self.register_buffer(
            "mean", torch.tensor([0.5, -0.2, 0.9]), persistent=kind != "a buffer that is not persistent"
        )
        self.scale = torch.tensor([1.0, 2.0, 3.0]).view(1, 3, 1, 1)
        self.conv, self.norm = nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6)
        if kind == "spectral norm":
            self.conv = nn.utils.spectral_norm(self.conv)
        elif kind == "weight norm":
            self.conv = nn.utils.parametrizations.weight_norm(self.conv)
        elif kind == "a hook on a convolution":
            self.conv.register_forward_hook(lambda module, inputs, output: output.clamp(-1, 1))
        elif kind == "a hook on a norm":
            self.norm.register_forward_hook(lambda module, inputs, output: output.clamp(-1, 1))
        elif kind == "some float64":
            self.register_buffer("factor", torch.tensor(2.0, dtype=torch.float64))
        self.other, self.head = nn.Conv2d(3, 6, 3, padding=1), nn.Linear(6, 10)

    def forward(self, x: Tensor) -> Tensor:
        if self.kind in ("a buffer seen through a view", "a buffer that is not persistent"):
            x = x - self.get_buffer("mean").view(1, 3, 1, 1)
        elif self.kind == "a tensor that is no buffer":
            x = x * self.scale
        elif self.kind == "a literal":
            x = x * torch.tensor([1.0, -2.0, 3.0]).view(1, 3, 1, 1)
        y = self.norm(self.conv(x))
        z = self.other(x)
        if self.kind == "a summand clamped after the sum":
            s = y + z
            z.clamp_(-0.2, 0.2)
            y = s.relu() - z
        elif self.kind == "an input clamped through a view":
            x.flatten(1).clamp_(-0.3, 0.3)
            y = (y + self.conv(x)).relu() + z
        elif self.kind == "a sum with a factor":
            y = torch.add(y, z, alpha=2).relu()
        else:
            y = (y + z).relu()
        pooled = y.mean((2, 3))
        logits: Tensor = self.head(
            pooled * self.get_buffer("factor").float() if self.kind == "some float64" else pooled
        )
        return logits


@pytest.mark.parametrize(
    "kind",
    [
        "a buffer seen through a view",
        "a buffer that is not persistent",
        "a tensor that is no buffer",
        "a literal",
        "spectral norm",
        "weight norm",
        "a hook on a convolution",
        "a hook on a norm",
        "a summand clamped after the sum",
        "an input clamped through a view",
        "a sum with a factor",
        "some float64",
    ],
)
def test_odd_networks_have_the_answer_of_the_plain_loop(kind: str) -> None:
    torch.manual_seed(6)
    network = settled(Odd(kind))
    data = split(torch.randn(6, 3, 32, 32), 10)
    axes = {name: 0 if parameter.ndim > 1 else None for name, parameter in network.named_parameters()}
    pair = directions.random_pair(weights_of(network), axes, 1, "filter", line=False)
    theta, points = weights_of(network), [(0.0, 0.0), (0.5, -0.4), (6.0, -9.0)]
    for at, (found, _) in zip(points, Engine(network, theta, pair, {"train": data}).measure(points), strict=True):
        moved = copy.deepcopy(network)
        moved.load_state_dict(displace(theta, pair["alpha"], at[0], pair["beta"], at[1]))
        with torch.no_grad():
            loss = functional.cross_entropy(moved(data.inputs.clone()).double(), data.targets).item()
        assert found["train"].loss == pytest.approx(loss, rel=1e-4), at


def test_the_batch_follows_the_largest_activation() -> None:
    one = {"train": split(torch.randn(1, 3, 32, 32), 10)}
    wide = building.build("resnet", {"depth": 8, "width": 16}, seed=0, images=(3, 32, 32), classes=10)
    vgg = building.build("vgg9", {}, seed=0, images=(3, 32, 32), classes=10)
    batches = [Engine(network, weights_of(network), {}, one).batch for network in (a_resnet(), wide, vgg)]
    assert batches == [256, 64, 32]  # 4, 16, 64 channels of 32 x 32; the last one is held at the least
