"""The public functions of Python: the workflow's bits, the answers of a plain loop, and nothing of the user's altered."""

import copy
import json
import math
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import landscape as ls
from landscape.data import datasets
from landscape.directions import unflatten
from landscape.errors import InputError
from landscape.networks.building import build
from landscape.store import checkpoint, files

IMAGES = 24
GRID: dict[str, Any] = {"alpha": (-1, 1, 3), "beta": (-1, 1, 3)}


class Small(nn.Module):
    """A user's own network, with what makes trouble: batch norm, dropout, an unused parameter that is frozen."""

    def __init__(self, norm: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3)
        self.norm = nn.BatchNorm2d(3) if norm else nn.Identity()
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(3 * 16, 4)
        self.unused = nn.Parameter(torch.ones(2), requires_grad=False)

    def forward(self, images: Tensor) -> Tensor:
        hidden: Tensor = torch.relu(self.norm(self.conv(images)))
        logits: Tensor = self.head(self.drop(hidden.flatten(1)))
        return logits


def small(seed: int = 0, norm: bool = True) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = Small(norm)
        if norm:
            network(torch.randn(50, 1, 6, 6))  # so that the running statistics are none of those it began with
    return network


def examples(seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(IMAGES, 1, 6, 6, generator=generator), torch.arange(IMAGES) % 4


def loss_at(network: nn.Module, weights: dict[str, Tensor], images: Tensor, labels: Tensor) -> tuple[float, float]:
    """The mean loss and the accuracy of weights by a plain forward pass in float64."""
    exact = copy.deepcopy(network).double().eval()
    exact.load_state_dict(weights)
    with torch.no_grad():
        logits = exact(images.double())
    return float(nn.functional.cross_entropy(logits, labels)), float((logits.argmax(1) == labels).double().mean())


# The workflow's bits


@pytest.fixture(scope="module")
def opened(made: Path) -> dict[str, Any]:
    """A network, its data and states, read from the files that the verbs made."""
    out = made / "out"
    data = datasets.read(out / "data/digits.safetensors")
    network = build("resnet", {"depth": 8, "width": 2}, seed=3, images=data.image_shape, classes=data.classes)
    weights = out / "runs/tiny/weights.safetensors"
    return {
        "out": out,
        "data": data,
        "network": network,
        "weights": weights,
        "epochs": weights.with_name("epochs.safetensors"),
    }


def assert_same_variables(found: xr.Dataset, path: Path) -> None:
    xr.testing.assert_equal(found, files.read_dataset(path))


def test_a_plane_has_the_bits_of_the_workflow(opened: dict[str, Any]) -> None:
    network, data, out = opened["network"], opened["data"], opened["out"]
    given: dict[str, Any] = {"around": opened["weights"], "seed": 5, "examples": 20, **GRID}
    assert_same_variables(ls.plane(network, data, **given), out / "surfaces/tiny/contour.nc")
    assert_same_variables(ls.plane(network, data, tile=(1, 2), **given), out / "surfaces/tiny/contour/1of2.nc")
    network.load_state_dict(checkpoint.read(opened["weights"])[0])
    del given["around"]
    pairs = [(data.train.inputs, data.train.targets), (data.test.inputs, data.test.targets)]
    assert_same_variables(ls.plane(network, pairs[0], test=pairs[1], **given), out / "surfaces/tiny/contour.nc")


def test_directions_have_the_bits_of_the_workflow(opened: dict[str, Any]) -> None:
    drawn = ls.basis(opened["network"], around=opened["weights"], seed=5)
    kept = unflatten(checkpoint.read(opened["out"] / "directions/tiny/contour.safetensors")[0])
    assert drawn.keys() == kept.keys()
    for axis, direction in kept.items():
        assert drawn[axis].keys() == direction.keys()
        assert all(torch.equal(drawn[axis][name], step) for name, step in direction.items())


def test_a_path_has_the_bits_of_the_workflow(opened: dict[str, Any]) -> None:
    out, epochs = opened["out"], opened["epochs"]
    network, data = opened["network"], opened["data"]
    found = ls.path(network, data, checkpoints=epochs, examples=20)
    assert_same_variables(found, out / "trajectories/tiny/path.nc")
    one_by_one = ls.path(network, data, checkpoints=[f"{epochs}@{k:03d}" for k in range(3)], examples=20)
    xr.testing.assert_identical(one_by_one.drop_attrs(), found.drop_attrs())


def test_a_mark_has_the_bits_of_the_workflow(opened: dict[str, Any]) -> None:
    network, weights = opened["network"], opened["weights"]
    along = ls.basis(network, around=weights, seed=5)
    found = ls.mark(network, opened["out"] / "runs/twin/weights.safetensors", around=weights, along=along)
    assert_same_variables(found, opened["out"] / "marks/tiny/contour/twin.nc")


def test_a_probe_has_the_bits_of_the_workflow(opened: dict[str, Any]) -> None:
    given: dict[str, Any] = {"around": opened["weights"], "examples": 10, "pairs": 1}
    numbers, vectors = ls.probe(opened["network"], opened["data"], measure="eigenpairs", **given)
    assert_same_variables(numbers, opened["out"] / "probes/tiny/pairs.nc")
    kept = checkpoint.read(opened["out"] / "probes/tiny/pairs.safetensors")[0]
    assert vectors.keys() == kept.keys()
    assert all(torch.equal(vectors[name], tensor) for name, tensor in kept.items())
    xr.testing.assert_identical(
        ls.eigenpairs(opened["network"], opened["data"], **given).drop_attrs(), numbers.drop_attrs()
    )


def test_a_training_has_the_bits_of_the_workflow(opened: dict[str, Any]) -> None:
    data, run = opened["data"], opened["weights"].parent
    network = ls.network("resnet", data, depth=8, width=2)
    trained = ls.train(network, data, epochs=2, batch_size=20, keep="all")
    kept = checkpoint.read(run / "weights.safetensors")[0]
    assert all(torch.equal(trained.weights[name], tensor) for name, tensor in kept.items())
    assert list(trained.epochs) == [0, 1, 2]
    times = ["seconds", "examples_per_second"]
    xr.testing.assert_equal(trained.history.drop_vars(times), files.read_dataset(run / "history.nc").drop_vars(times))


# A second, obvious computation


def test_a_plane_is_what_a_plain_loop_finds() -> None:
    network, (images, labels) = small(), examples()
    theta = network.state_dict()
    d1, d2 = ls.basis(network, seed=4).values()
    surface = ls.plane(network, (images, labels), test=examples(1), alpha=(-20, 20, 5), beta=(-0.5, 0.5, 3), seed=4)
    for alpha in surface.alpha.values:
        for beta in surface.beta.values:
            here = dict(theta)
            for name in d1:
                here[name] = theta[name].double() + alpha * d1[name].double() + beta * d2[name].double()
            point = surface.sel(alpha=alpha, beta=beta)
            for split, of in (("train", (images, labels)), ("test", examples(1))):
                loss, accuracy = loss_at(network, here, *of)
                assert float(point[f"{split}_loss"]) == pytest.approx(loss, rel=1e-5)
                assert float(point[f"{split}_accuracy"]) == accuracy


@pytest.mark.parametrize("norm", [True, False])
def test_a_line_ends_where_the_networks_are(norm: bool) -> None:
    one, other, data = small(0, norm), small(1, norm), examples()
    line = ls.line(one, data, to=other, alpha=(0, 1, 3)).train_loss[:, 0]
    assert float(line[0]) == pytest.approx(loss_at(one, one.state_dict(), *data)[0], rel=1e-6)
    assert float(line[-1]) == pytest.approx(loss_at(one, other.state_dict(), *data)[0], rel=1e-6)
    halfway = {
        name: (tensor + other.state_dict()[name]) / 2 if tensor.is_floating_point() else tensor
        for name, tensor in one.state_dict().items()
    }
    assert float(line[1]) == pytest.approx(loss_at(one, halfway, *data)[0], rel=1e-6)
    still = ls.line(one, data, to=other, alpha=(0, 1, 2), batchnorm="stored").train_loss[:, 0]
    mixed = other.state_dict() | {name: buffer for name, buffer in one.named_buffers()}
    assert float(still[1]) == pytest.approx(loss_at(one, mixed, *data)[0], rel=1e-6)


def test_a_plane_goes_through_two_other_states() -> None:
    one, data = small(), examples()
    others = [small(1), small(2)]
    along = ls.basis(one, through=others)
    for other in others:
        place = ls.mark(one, other, along=along)
        assert float(place.distance) < 1e-4 * float(place.distance_to_centre)
        a, b = float(place.alpha), float(place.beta)
        point = ls.plane(one, data, through=others, alpha=(a, a, 1), beta=(b, b, 1))
        assert float(point.train_loss[0, 0]) == pytest.approx(loss_at(one, other.state_dict(), *data)[0], rel=1e-4)


def test_directions_start_where_the_training_did() -> None:
    steps = [small(seed) for seed in (3, 4, 5)]
    line = ls.line(steps[-1], examples(), checkpoints=steps, directions="start", alpha=(0, 1, 2))
    first = steps[0].state_dict() | dict(steps[-1].named_buffers())
    assert float(line.train_loss[1, 0]) == pytest.approx(loss_at(steps[0], first, *examples())[0], rel=1e-6)


def test_a_path_is_seen_as_it_was() -> None:
    steps = [small(seed) for seed in (3, 4, 5)]
    walked = ls.path(small(), examples(), checkpoints=dict(zip((0, 2, 7), steps, strict=True)))
    assert walked.epoch.values.tolist() == [0, 2, 7]
    losses = [loss_at(step, step.state_dict(), *examples())[0] for step in steps]
    np.testing.assert_allclose(walked.saved_loss, losses, rtol=1e-6)
    assert float(walked.distance.max()) < 1e-4  # three states lie in their plane
    same = ls.path(
        small(), examples(), checkpoints=steps, around=steps[-1], along=ls.basis(steps[-1], checkpoints=steps)
    )
    np.testing.assert_allclose(same.projected_loss, walked.projected_loss, rtol=1e-6)


def test_a_plane_of_eigenvectors_curves_as_they_say() -> None:
    network, data = small(), examples()
    numbers, vectors = ls.probe(network, data, measure="eigenpairs", pairs=1, precision="fp64")
    h = 1e-5  # so that no ReLU turns on the way
    line = ls.plane(
        network, data, eigenvectors=vectors, alpha=(-h, h, 3), beta=(0, 0, 1), measure="gradients", precision="fp64"
    )
    curvature = float(line.gradient_alpha[2, 0] - line.gradient_alpha[0, 0]) / (2 * h)
    assert curvature == pytest.approx(float(numbers.eigenvalue_largest[0]), rel=1e-2)


def test_a_probe_stands_where_the_plane_says() -> None:
    network, data = small(), examples()
    along = ls.basis(network, seed=4)
    there = dict(network.state_dict())
    for name in along["alpha"]:
        there[name] = there[name] + 0.5 * along["alpha"][name] - 0.25 * along["beta"][name]
    here = ls.activations(network, data, along=along, alpha=0.5, beta=-0.25)
    moved = ls.activations(network, data, around=there)
    np.testing.assert_allclose(here.activation_mean, moved.activation_mean, rtol=1e-5)
    assert float(here.train_loss) == pytest.approx(loss_at(network, there, *data)[0], rel=1e-5)


def test_numbers_of_a_bowl() -> None:
    """0.01 + 8 a^2 + 2 b^2 rises by 0.5 on an ellipse with the half axes 1/4 and 1/2."""
    surface = ls.plane(small(), examples(), alpha=(-0.5, 0.5, 41), beta=(-1, 1, 41), examples=4)
    bowl = 0.01 + 8 * surface.alpha**2 + 2 * surface.beta**2
    found = ls.numbers(surface.assign(train_loss=bowl, train_accuracy=surface.train_accuracy * 0 + 1))
    assert float(found["area_rise_0.5"]) == pytest.approx(math.pi / 8, rel=0.01)
    assert float(found["width_rise_0.5"]) == pytest.approx(math.sqrt(math.pi / 8), rel=0.3)
    assert float(found.minima) == 1
    assert float(found.convex_share) == 1
    assert found.attrs["findings"] == ""
    steep = ls.numbers(
        surface.assign(train_loss=0.01 + 100 * (bowl - 0.01), train_accuracy=surface.train_accuracy * 0 + 1)
    )
    assert "The 0.1 ring spans 0.4 cells of the grid" in steep.attrs["findings"]


# Nothing of the user's is altered


def everything(network: nn.Module, data: Any, states: list[nn.Module]) -> Iterator[tuple[str, Callable[[], Any]]]:
    """A call of each public function that measures."""
    few: dict[str, Any] = {"examples": 12}
    along = ls.basis(network)
    yield "plane", lambda: ls.plane(network, data, **GRID, **few)
    yield "recalibrated", lambda: ls.plane(network, data, batchnorm="recalibrated", **GRID, **few)
    yield "curvature", lambda: ls.plane(network, data, alpha=(0, 1, 2), measure="curvature", **few)
    yield "gradients", lambda: ls.plane(network, data, alpha=(0, 1, 2), measure="gradients", **few)
    yield "line", lambda: ls.line(network, data, to=states[0], alpha=(0, 1, 2), **few)
    yield "basis", lambda: ls.basis(network, checkpoints=states)
    yield "path", lambda: ls.path(network, data, checkpoints=states, **few)
    yield "mark", lambda: ls.mark(network, states[0], along=along)
    yield "eigenpairs", lambda: ls.eigenpairs(network, data, pairs=1, **few)
    yield "spectrum", lambda: ls.spectrum(network, data, vectors=2, steps=3, **few)
    yield "trace", lambda: ls.trace(network, data, vectors=2, draws=2, **few)
    yield "activations", lambda: ls.activations(network, data, **few)
    yield "rescale", lambda: ls.rescale(network, data, by=2)


def fingerprint(network: nn.Module) -> Any:
    tensors = {name: tensor.clone() for name, tensor in network.state_dict(keep_vars=True).items()}
    places = [tensor.data_ptr() for tensor in network.state_dict().values()]
    modes = [module.training for module in network.modules()]
    hooks = [len(module._forward_hooks) for module in network.modules()]
    grads = [(parameter.requires_grad, parameter.grad) for parameter in network.parameters()]
    return {name: tensor.detach().numpy().tobytes() for name, tensor in tensors.items()}, places, modes, hooks, grads


def settings() -> Any:
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    newer: list[Any] = [matmul, cudnn.conv, cudnn.rnn, torch.backends.mkldnn.matmul, torch.backends.mkldnn.conv]  # type: ignore[attr-defined]
    return [
        torch.get_num_threads(),
        torch.get_default_dtype(),
        (torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu")),
        (cudnn.deterministic, cudnn.benchmark, torch.are_deterministic_algorithms_enabled()),
        [one.fp32_precision for one in newer],
        (torch.get_float32_matmul_precision(), cudnn.allow_tf32),
        torch.get_rng_state().numpy().tobytes(),
        random.getstate(),
        repr(np.random.get_state()),
    ]


@pytest.fixture
def own_settings() -> Iterator[None]:
    """Settings that a user may have, none of them what a computation is settled to."""
    threads, cudnn = torch.get_num_threads(), torch.backends.cudnn
    before = cudnn.allow_tf32, cudnn.benchmark
    torch.set_num_threads(2)
    torch.set_float32_matmul_precision("medium")
    cudnn.benchmark, cudnn.allow_tf32 = True, True
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_float32_matmul_precision("highest")
        cudnn.allow_tf32, cudnn.benchmark = before


@pytest.mark.parametrize("mode", ["train", "eval", "mixed"])
def test_the_network_and_all_settings_stay_as_they_are(mode: str, own_settings: None) -> None:
    network, states = small(), [small(seed) for seed in (1, 2, 3)]
    network.train(mode != "eval")
    network.get_submodule("norm").train(mode == "train")
    loader = DataLoader(
        TensorDataset(*examples()), batch_size=7, shuffle=True, generator=torch.Generator().manual_seed(3)
    )
    before, around = fingerprint(network), settings()
    drawn = loader.generator.get_state()
    for name, call in everything(network, loader, states):
        call()
        assert fingerprint(network) == before, name
        assert settings() == around, name
        assert torch.equal(loader.generator.get_state(), drawn), name


def test_settings_come_back_after_an_error(own_settings: None) -> None:
    around = settings()
    with pytest.raises(InputError):
        ls.plane(small(), (torch.ones(4, 1, 6, 6), torch.tensor([0, 1, 2, 9])), **GRID)
    assert settings() == around


def test_training_leaves_the_modes_and_settings(own_settings: None) -> None:
    network = small().train()
    network.get_submodule("norm").eval()
    modes, around = [module.training for module in network.modules()], settings()
    trained = ls.train(network, examples(), epochs=1, batch_size=8)
    assert [module.training for module in network.modules()] == modes
    assert settings() == around
    assert all(torch.equal(tensor, network.state_dict()[name]) for name, tensor in trained.weights.items())


def test_adopting_puts_the_weights_in_and_nothing_else(own_settings: None, tmp_path: Path) -> None:
    network, other = small().eval(), small(1)
    torch.save({"epoch": 3, "state_dict": other.state_dict()}, tmp_path / "kept.pt")
    around = settings()
    history = ls.adopt(network, tmp_path / "kept.pt", examples()).history
    assert settings() == around
    assert not network.training
    assert all(torch.equal(tensor, other.state_dict()[name]) for name, tensor in network.state_dict().items())
    assert float(history.train_loss[0]) == pytest.approx(loss_at(other, other.state_dict(), *examples())[0], rel=1e-6)


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode, lambda: torch.autocast("cpu")])
def test_the_callers_context_changes_nothing(context: Callable[[], Any]) -> None:
    network, data = small(), examples()
    for name, call in everything(network, data, [small(seed) for seed in (1, 2, 3)]):
        if name in ("plane", "gradients", "eigenpairs", "activations"):
            plain = call()
            with context():
                xr.testing.assert_equal(call(), plain)


# What may be handed over


def forms() -> dict[str, Any]:
    images, labels = examples()
    whole = TensorDataset(images, labels)
    return {
        "list": [images, labels],
        "numpy": (images.numpy(), labels.numpy()),
        "labels in int32": (images, labels.int()),
        "labels as a list": (images, labels.tolist()),
        "float64": (images.double().numpy(), labels),
        "not contiguous": (images.transpose(2, 3).contiguous().transpose(2, 3), labels),
        "with gradients": (images.clone().requires_grad_(), labels),
        "data set": whole,
        "loader": DataLoader(whole, batch_size=7),
    }


@pytest.mark.parametrize("form", forms())
def test_data_in_every_form_is_the_same(form: str) -> None:
    network = small()
    expected = ls.plane(network, examples(), examples=12, **GRID)
    xr.testing.assert_equal(ls.plane(network, forms()[form], examples=12, **GRID), expected)


def test_a_loader_that_shuffles_gives_the_same_images_at_every_call() -> None:
    own = torch.Generator().manual_seed(3)
    for loader in (
        DataLoader(TensorDataset(*examples()), batch_size=7, shuffle=True),
        DataLoader(TensorDataset(*examples()), batch_size=7, shuffle=True, generator=own),
    ):
        one, other = (ls.plane(small(), loader, examples=12, **GRID) for _ in range(2))
        xr.testing.assert_equal(one, other)
        for _ in loader:
            pass
        xr.testing.assert_equal(ls.plane(small(), loader, examples=12, **GRID), one)


@pytest.mark.parametrize(
    "wrapped",
    [nn.DataParallel, lambda network: torch.compile(network)],
    ids=["parallel", "compiled"],
)
def test_a_wrapper_changes_nothing(wrapped: Callable[[nn.Module], Any]) -> None:
    network, data = small(), examples()
    xr.testing.assert_equal(ls.plane(wrapped(network), data, **GRID), ls.plane(network, data, **GRID))
    other = small(1)
    expected = ls.line(network, data, to=other, alpha=(0, 1, 2))
    for to in (wrapped(other), wrapped(other).state_dict()):
        xr.testing.assert_equal(ls.line(network, data, to=to, alpha=(0, 1, 2)), expected)


def test_weights_in_every_form_are_the_same(tmp_path: Path) -> None:
    network, other, data = small(), small(1), examples()
    state = other.state_dict()
    torch.save(state, tmp_path / "bare.pt")
    torch.save({"model": state, "epoch": 3}, tmp_path / "nested.pt")
    checkpoint.write(tmp_path / "one.safetensors", state, {})
    epochs = tmp_path / "epochs.safetensors"
    checkpoint.write_epochs(epochs, {0: network.state_dict(), 3: state}, {})
    no_counts = {name: tensor.double() for name, tensor in state.items() if "num_batches" not in name}
    expected = ls.line(network, data, to=other, alpha=(0, 1, 3))
    forms: list[Any] = [state, {"model": state}, no_counts, tmp_path / "bare.pt", str(tmp_path / "nested.pt")]
    for to in (*forms, tmp_path / "one.safetensors", f"{epochs}@003"):
        xr.testing.assert_equal(ls.line(network, data, to=to, alpha=(0, 1, 3)), expected)
        xr.testing.assert_equal(ls.plane(network, data, around=to, **GRID), ls.plane(other, data, **GRID))
    with pytest.raises(InputError, match=r"is a file of epochs, 000 to 003; name one: .*@003"):
        ls.line(network, data, to=epochs)


def test_numbers_of_numpy_and_torch_are_numbers() -> None:
    network, data = small(), examples()
    expected = ls.plane(network, data, alpha=(-1, 1, 3), examples=12, seed=2)
    for alpha in ([-1, 1, 3], np.array([-1, 1, 3]), torch.tensor([-1, 1, 3])):
        found = ls.plane(network, data, alpha=alpha, examples=np.int64(12), seed=torch.tensor(2))
        xr.testing.assert_equal(found, expected)


def test_a_surface_can_be_saved_and_opened(tmp_path: Path) -> None:
    surface = ls.plane(small(), examples(), test=examples(1), alpha=(-1, 1, 7), beta=(-1, 1, 7))
    surface.to_netcdf(tmp_path / "surface.nc")
    with xr.open_dataset(tmp_path / "surface.nc") as opened:
        xr.testing.assert_identical(opened.load(), surface)
        numbers = ls.numbers(opened)
    numbers.to_netcdf(tmp_path / "numbers.nc")
    xr.testing.assert_identical(numbers, ls.numbers(surface))
    assert json.loads(surface.attrs["spec"])["alpha"] == [-1, 1, 7]


# Mistakes


def test_weights_that_do_not_fit_are_named_with_one_line_for_the_cause() -> None:
    network, data, other = small(), examples(), small(1, norm=False)
    missing = "4 tensors are missing: norm.weight (3,), norm.bias (3,), norm.running_mean (3,) and 1 more"
    calls: dict[str, Callable[[Any], Any]] = {
        "to": lambda state: ls.line(network, data, to=state),
        "through[0]": lambda state: ls.plane(network, data, through=state, **GRID),
        "around": lambda state: ls.eigenpairs(network, data, around=state),
        "checkpoints[0]": lambda state: ls.path(network, data, checkpoints=[state] * 3),
        "marked": lambda state: ls.mark(network, state, along=ls.basis(network)),
        "weights": lambda state: ls.adopt(network, state, data),
    }
    for name, call in calls.items():
        for state in (other, other.state_dict()):
            with pytest.raises(InputError) as told:
                call(state)
            assert told.value.problems == [f"{name} does not fit the network: {missing}"]


PLANE_KEYS = (
    "directions, normalize, seed, vectors, centred, parameters, batchnorm, measure, alpha, beta, rise, examples, "
    "recalibration_examples, precision, splits, memory, eigensolver"
)


def mistakes() -> dict[str, Callable[[nn.Module, Any], Any]]:
    images, labels = examples()
    half = {"alpha": {"conv.weight": torch.ones(3, 1, 3, 3)}}
    lazy = nn.Sequential(nn.Flatten(), nn.LazyLinear(4))
    return {
        f"alhpa is no keyword here; allowed are {PLANE_KEYS}": lambda n, d: ls.plane(n, d, alhpa=3),
        "tiles is no keyword here": lambda n, d: ls.plane(n, d, tiles=3),
        "measure is 'hessian'; allowed are loss, gradients, curvature": lambda n, d: ls.plane(n, d, measure="hessian"),
        "measure: loss takes no eigensolver": lambda n, d: ls.plane(n, d, eigensolver="eigsh"),
        "alpha is 5: must be [first, last, number of points]": lambda n, d: ls.plane(n, d, alpha=5),
        "a line takes none: call landscape.plane": lambda n, d: ls.line(n, d, beta=(0, 1, 2)),
        "to makes a line, which takes no beta": lambda n, d: ls.plane(n, d, to=n, **GRID),
        "to and through exclude each other": lambda n, d: ls.plane(n, d, to=n, through=n),
        "through has 3 states; allowed are one or two": lambda n, d: ls.plane(n, d, through=[n] * 3),
        "directions is 'to', and the argument to that it needs is missing": lambda n, d: ls.line(n, d, directions="to"),
        "directions is 'random', and the argument to is given": lambda n, d: ls.line(n, d, to=n, directions="random"),
        "checkpoints are 2; a path needs 3": lambda n, d: ls.path(n, d, checkpoints=[n, n]),
        "to is of the type int": lambda n, d: ls.line(n, d, to=3),
        "to holds no state dict: it is an empty dictionary": lambda n, d: ls.line(n, d, to={}),
        "nowhere.pt: there is no such file": lambda n, d: ls.line(n, d, to="nowhere.pt"),
        "along.alpha lacks head.bias, of shape (4,)": lambda n, d: ls.plane(n, d, along=half),
        "along is conv; it must hold directions under alpha": lambda n, d: ls.plane(n, d, along={"conv": {}}),
        "alpha without along: state the directions": lambda n, d: ls.activations(n, d, alpha=1.0),
        "landscape.trace takes no measure": lambda n, d: ls.trace(n, d, measure="spectrum"),
        "measure is missing; allowed are eigenpairs, spectrum": lambda n, d: ls.probe(n, d),
        "measure: activations takes no pairs": lambda n, d: ls.activations(n, d, pairs=2),
        "network is a function; it must be a torch.nn.Module": lambda n, d: ls.plane(mistakes, d),  # type: ignore[arg-type]
        "network is a Flatten without parameters": lambda n, d: ls.plane(nn.Flatten(), d),
        "network has a lazy layer: the shape of 1.weight is not known": lambda n, d: ls.plane(lazy, d),
        "unused in torch.float64; allowed is torch.float32": lambda n, d: ls.plane(small().double(), d),
        "data is a NoneType; allowed are a pair": lambda n, d: ls.plane(n, None),
        "the network failed on examples float32 (4, 6, 6): RuntimeError: Given groups=1": lambda n, d: ls.plane(
            n, (images[:, 0], labels)
        ),
        "data has targets int64 (3,), and 24 inputs; there must be one for each": lambda n, d: ls.plane(
            n, (images, labels[:3])
        ),
        "labels go down to -1; classes are counted from 0": lambda n, d: ls.plane(n, (images, labels - 1)),
        "data: inputs hold 36 values that are not finite, the first at [23, 0, 0, 0]": lambda n, d: ls.plane(
            n, (torch.cat([images[:-1], images[:1] / 0]), labels)
        ),
        "the network returned 4 logits for each example; the data has 6 classes": lambda n, d: ls.plane(
            n, (images, labels + 2)
        ),
        "test has inputs float32 (24, 1, 6, 5), and data has float32 (24, 1, 6, 6)": lambda n, d: ls.plane(
            n, d, test=(images[..., 1:], labels)
        ),
        "has its own test split; leave test out": lambda n, d: ls.plane(n, ls.dataset(examples=20), test=d),
        "the surface has train_loss": lambda n, d: ls.numbers(ls.line(n, d, alpha=(0, 1, 2)), "test_loss"),
        "surface has the dimensions layer; it needs alpha and beta": lambda n, d: ls.numbers(ls.activations(n, d)),
        "epochs is 0: must be a whole number from 1 to 999": lambda n, d: ls.train(n, d, epochs=0),
        "weights is no keyword here": lambda n, d: ls.train(n, d, weights="x.pt"),
        "source is 'digitz', and there is no such file or folder": lambda n, d: ls.dataset("digitz"),
        "images is called examples since 0.2": lambda n, d: ls.plane(n, d, images=12),
        "recalibration_images is called recalibration_examples since 0.2": lambda n, d: ls.plane(
            n, d, batchnorm="recalibrated", recalibration_images=12
        ),
        "imags is no keyword here; allowed are args, image_size, channels, examples, label_noise, seed, mean, std": lambda n, d: (
            ls.dataset(imags=3)
        ),
        "the name is 'resnext', which is not built in": lambda n, d: ls.network("resnext", d),
    }


@pytest.mark.parametrize("message", mistakes())
def test_a_mistake_is_told(message: str) -> None:
    with pytest.raises(InputError) as told:
        mistakes()[message](small(), examples())
    assert message in str(told.value)
