"""Surfaces against second computations: polynomials, plain loops, the network itself."""

import copy
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from landscape import directions
from landscape.data.datasets import DataSet, subset
from landscape.data.examples import Examples
from landscape.engine import recorder
from landscape.engine.engine import Engine
from landscape.engine.recorder import Recorder
from landscape.errors import InputError
from landscape.geometry.grid import Status
from landscape.measures import MEASURES, loss, plane_of, tiling
from landscape.measures.loss import LossPlane
from landscape.measures.plane import Plane
from landscape.networks import building
from landscape.objective.objective import CLASSIFICATION

torch.set_num_threads(1)


LOSSES = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")


def dataset(channels: int = 1, size: int = 8, n: int = 40, classes: int = 10) -> DataSet:
    generator = torch.Generator().manual_seed(7)
    splits = [
        Examples(
            torch.randn(count, channels, size, size, generator=generator),
            torch.arange(count) % classes,
        )
        for count in (n, n // 2)
    ]
    return DataSet(splits[0], splits[1], classes, torch.zeros(channels), {})


def trained_like(network: nn.Module, seed: int = 3) -> nn.Module:
    """The network with running statistics and batch-norm parameters away from their initial values."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point() and tensor.ndim == 1:
            noise = torch.rand(tensor.shape, generator=generator)
            tensor.copy_(noise + 0.5 if name.endswith("var") or name.endswith("weight") else noise - 0.5)
    return network


def a_plane(**keys: Any) -> Plane:
    return plane_of({"alpha": [-1, 1, 5], "beta": [-0.5, 1, 4], "seed": 1, **keys})


def surface_of(network: nn.Module, plane: Plane, data: DataSet, tiles: list[range] | None = None) -> xr.Dataset:
    theta = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
    axes = building.filter_axes(network)
    pair = directions.random_pair(theta, axes, plane.seed, plane.normalize, line=plane.is_line)
    return surface_along(network, theta, pair, plane, data, tiles)


def surface_along(
    network: nn.Module, theta: Any, pair: Any, plane: Plane, data: DataSet, tiles: list[range] | None = None
) -> xr.Dataset:
    whole = plane.template(test=data.test is not None, attrs={"spec_hash": "x"})
    parts = tiles or [range(plane.shape[0] * plane.shape[1])]
    made = [
        (f"tile {k}", plane.evaluate(whole, indices, network, theta, pair, data, CLASSIFICATION))
        for k, indices in enumerate(parts)
    ]
    return merged(plane, made)


def merged(plane: Plane, tiles: list[tuple[str, xr.Dataset]]) -> xr.Dataset:
    attrs = tiling.shared_attributes([tile for _, tile in tiles])
    return tiling.merge(plane.template(test="test_loss" in tiles[0][1], attrs=attrs), tiles)


def recorded(network: nn.Module, data: DataSet) -> dict[str, float]:
    return Recorder()(network, data)


@pytest.mark.parametrize("kind", MEASURES)
def test_everything_that_a_plane_may_measure_is_measured(kind: type[Plane]) -> None:
    for method in ("template", "evaluate", "forward_passes"):
        assert getattr(kind, method) is not getattr(Plane, method)
    assert kind.passes >= 1


def resnet(seed: int = 0, **args: Any) -> nn.Module:
    return trained_like(
        building.build("resnet", {"depth": 8, "width": 4, **args}, seed=seed, images=(1, 8, 8), classes=10)
    )


class Quadratic(nn.Module):
    """Logits whose cross-entropy is a known function: log(1 + exp(-q)) with q = w' x x' w, so q is read off exactly."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor([[1.0, 2.0], [0.5, -1.0]]))

    def forward(self, images: Tensor) -> Tensor:
        q = (self.w**2).sum().expand(len(images))
        return torch.stack([q, torch.zeros_like(q)], 1)


def test_a_quadratic_on_a_plane_is_its_polynomial() -> None:
    network = Quadratic()
    theta = {"w": network.w.detach().clone()}
    d1, d2 = torch.tensor([[0.3, 0.1], [-0.2, 0.7]]), torch.tensor([[0.0, 1.0], [0.4, 0.2]])
    images = torch.zeros(6, 1, 2, 2)
    data = DataSet(Examples(images, torch.ones(6, dtype=torch.int64)), None, 2, torch.zeros(1), {})
    found = surface_along(network, theta, {"alpha": {"w": d1}, "beta": {"w": d2}}, a_plane(), data)
    a, b = np.meshgrid(found.alpha, found.beta, indexing="ij")
    t, u, v = (x.double() for x in (theta["w"], d1, d2))
    q = float((t * t).sum()) + 2 * a * float((t * u).sum()) + 2 * b * float((t * v).sum())
    q += a**2 * float((u * u).sum()) + 2 * a * b * float((u * v).sum()) + b**2 * float((v * v).sum())
    np.testing.assert_allclose(found.train_loss.values, np.logaddexp(0, q), rtol=1e-6)
    assert "test_loss" not in found


def test_every_point_is_what_the_plain_loop_says() -> None:
    network, data, plane = resnet(), dataset(), a_plane()
    found = surface_of(network, plane, data)
    theta = copy.deepcopy(network.state_dict())
    axes = building.filter_axes(network)
    pair = directions.random_pair(theta, axes, 1, "filter", line=False)
    plain = copy.deepcopy(network).double().eval()
    for i, alpha in enumerate(np.linspace(-1, 1, 5)):
        for j, beta in enumerate(np.linspace(-0.5, 1, 4)):
            moved = {name: tensor.double() for name, tensor in theta.items()}
            for name in axes:
                moved[name] = moved[name] + alpha * pair["alpha"][name].double() + beta * pair["beta"][name].double()
            plain.load_state_dict(moved)
            for name, split in (("train", data.train), ("test", data.test)):
                assert split is not None
                with torch.no_grad():
                    logits = plain(split.inputs.double())
                loss = functional.cross_entropy(logits, split.targets).item()
                accuracy = (logits.argmax(1) == split.targets).double().mean().item()
                assert math.isclose(found[f"{name}_loss"].values[i, j], loss, rel_tol=1e-5)
                assert math.isclose(found[f"{name}_accuracy"].values[i, j], accuracy, abs_tol=1e-12)
    assert found.train_loss.dims == ("alpha", "beta")
    assert found.train_loss.shape == (5, 4)


def test_the_centre_is_the_loss_that_training_records() -> None:
    network, data = resnet(), dataset()
    found = surface_of(network, a_plane(beta=[-1, 1, 3]), data).sel(alpha=0, beta=0)
    assert {name: float(found[name]) for name in LOSSES} == recorded(network, data)


@pytest.mark.parametrize("follows", [True, False])
def test_one_recorder_says_of_every_state_what_its_own_would(follows: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one engine where this follows the network; else with others."""
    made: list[Any] = []

    class Counted(Engine):
        def __init__(self, *args: Any):
            super().__init__(*args)
            made.append(self)

    monkeypatch.setattr(recorder, "Engine", Counted)
    if not follows:
        monkeypatch.setattr(Engine, "follows", lambda *args: False)
    data, ask = dataset(), Recorder()
    states = [resnet(seed) for seed in range(3)]
    found = [ask(network.train(), data) for network in states]
    assert len(made) == (1 if follows else 3)
    assert found == [recorded(network, data) for network in states]
    assert all(network.training for network in states)
    assert ask(states[0], replace(data, test=None)) == recorded(states[0], replace(data, test=None))


def test_an_engine_that_misses_what_the_network_says_does_not_follow() -> None:
    network, data = resnet(), dataset()
    here = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    there = here | {"linear.bias": here["linear.bias"] + torch.arange(10)}
    measuring = Engine(network, here, {}, {"train": data.train})
    assert measuring.follows(network.eval(), here)
    assert not measuring.follows(network, there)


def test_the_centre_is_the_recorded_loss_on_large_images_too() -> None:
    network = trained_like(building.build("resnet", {"depth": 8, "width": 4}, seed=0, images=(3, 32, 32), classes=10))
    data = dataset(channels=3, size=32, n=8)
    found = surface_of(network, a_plane(alpha=[-1, 1, 3], beta=None), data).sel(alpha=0)
    assert float(found.train_loss.squeeze()) == recorded(network, data)["train_loss"]


@pytest.fixture(scope="module")
def whole() -> xr.Dataset:
    return surface_of(resnet(), a_plane(), dataset(n=12))


@settings(max_examples=15, deadline=None)
@given(cuts=st.lists(st.integers(0, 20), max_size=5), order=st.randoms(use_true_random=False))
def test_merged_tiles_equal_the_whole_bit_for_bit(whole: xr.Dataset, cuts: list[int], order: Any) -> None:
    network, data, plane = resnet(), dataset(n=12), a_plane()
    edges = [0, *sorted(cuts), 20]
    tiles = [range(a, b) for a, b in zip(edges, edges[1:], strict=False)]
    order.shuffle(tiles)
    xr.testing.assert_identical(surface_of(network, plane, data, tiles), whole)


@given(points=st.tuples(st.integers(1, 9), st.integers(1, 9)), n=st.integers(1, 12))
def test_tiles_cover_a_plane_once(points: tuple[int, int], n: int) -> None:
    if n > points[0] * points[1]:
        with pytest.raises(InputError):
            tiling.tile_of(points, 1, n)
        return
    indices = [k for i in range(1, n + 1) for k in tiling.tile_of(points, i, n)]
    assert indices == list(range(points[0] * points[1]))


@given(
    half=st.integers(1, 300),
    reach=st.floats(0.01, 100),
)
def test_a_range_around_zero_has_an_exact_zero(half: int, reach: float) -> None:
    found = tiling.coordinates((-reach, reach, 2 * half + 1))
    assert found[half] == 0
    np.testing.assert_allclose(found, np.linspace(-reach, reach, 2 * half + 1), atol=1e-12 * reach)
    np.testing.assert_array_equal(found, -found[::-1])


def test_zero_and_one_lie_on_the_grid_of_an_interpolation() -> None:
    found = tiling.coordinates((-0.5, 1.5, 401))
    assert found[100] == 0 and found[300] == 1


def test_a_grid_that_is_not_square_is_not_transposed() -> None:
    network, data = resnet(), dataset(n=12)
    wide = surface_of(network, a_plane(alpha=[-1, 1, 7], beta=[-1, 1, 3]), data)
    line = surface_of(network, a_plane(alpha=[-1, 1, 7], beta=None), data)
    np.testing.assert_array_equal(wide.train_loss.sel(beta=0).values, line.train_loss.values[:, 0])
    assert not np.allclose(wide.train_loss.sel(alpha=0).values, line.train_loss.values[2:5, 0])


def rescaled_layer(network: nn.Sequential) -> nn.Sequential:
    """The same function: a convolution with bias times c, the next layer's weights divided by c (ReLU between)."""
    twin = copy.deepcopy(network)
    tensors = twin.state_dict()
    tensors["0.weight"].mul_(4.0)
    tensors["0.bias"].mul_(4.0)
    tensors["3.weight"].div_(4.0)
    return twin


def plain_network() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(384, 10))


def test_filter_normalised_surfaces_are_invariant_under_rescaled_layers() -> None:
    network, data, plane = plain_network(), dataset(), a_plane()
    twin = rescaled_layer(network)
    ours, theirs = surface_of(network, plane, data), surface_of(twin, plane, data)
    np.testing.assert_allclose(theirs.train_loss.values, ours.train_loss.values, rtol=1e-5)
    raw = a_plane(normalize="none", alpha=[-0.1, 0.1, 5], beta=[-0.1, 0.1, 4])
    ours, theirs = surface_of(network, raw, data), surface_of(twin, raw, data)
    assert not np.allclose(theirs.train_loss.values, ours.train_loss.values, rtol=1e-2)


def test_filter_normalised_surfaces_are_invariant_under_rescaled_filters_before_batch_norm() -> None:
    torch.manual_seed(2)
    network = nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6, eps=0), nn.ReLU(), nn.Flatten(), nn.Linear(384, 10)
    )
    trained_like(network)
    twin = copy.deepcopy(network)
    factors = torch.tensor([1.0, 4.0, 1.0, 0.5, 1.0, 2.0])
    tensors = twin.state_dict()
    tensors["0.weight"].mul_(factors[:, None, None, None])
    tensors["0.bias"].mul_(factors)
    tensors["1.running_mean"].mul_(factors)
    tensors["1.running_var"].mul_(factors**2)
    data, plane = dataset(), a_plane()
    ours, theirs = surface_of(network, plane, data), surface_of(twin, plane, data)
    np.testing.assert_allclose(theirs.train_loss.values, ours.train_loss.values, rtol=1e-5)


def test_they_are_not_invariant_under_one_rescaled_relu_filter() -> None:
    """The documented limit: a filter times c with its outgoing column divided by c is the same function."""
    network, data, plane = plain_network(), dataset(), a_plane()
    twin = copy.deepcopy(network)
    tensors = twin.state_dict()
    tensors["0.weight"][2].mul_(16.0)
    tensors["0.bias"][2].mul_(16.0)
    tensors["3.weight"][:, 2 * 64 : 3 * 64].div_(16.0)
    centre = a_plane(alpha=[0, 0, 1], beta=[0, 0, 1])
    same = surface_of(twin, centre, data).train_loss.item()
    assert math.isclose(same, surface_of(network, centre, data).train_loss.item(), rel_tol=1e-6)
    ours, theirs = surface_of(network, plane, data), surface_of(twin, plane, data)
    assert not np.allclose(theirs.train_loss.values, ours.train_loss.values, rtol=1e-2)


def test_an_interpolation_ends_at_both_networks_batch_statistics_included() -> None:
    here, there, data = resnet(0), trained_like(resnet(1), seed=9), dataset()
    theta, other = dict(here.state_dict()), dict(there.state_dict())
    plane = LossPlane(directions="to", run="there", alpha=[0, 1, 3])
    pair = directions.towards(theta, other, building.filter_axes(here), buffers=True)
    found = surface_along(here, theta, pair, plane, data)
    assert float(found.train_loss[0, 0]) == recorded(here, data)["train_loss"]
    assert math.isclose(float(found.train_loss[-1, 0]), recorded(there, data)["train_loss"], rel_tol=1e-5)


def test_a_negative_interpolated_variance_is_nan_with_its_reason_and_its_count() -> None:
    here, data = resnet(0), dataset(n=12)
    theta = {name: tensor.clone() for name, tensor in here.state_dict().items()}
    other = {name: t / 10 if name.endswith("running_var") else t.clone() for name, t in theta.items()}
    plane = LossPlane(directions="to", run="there", alpha=[0, 2, 3])
    pair = directions.towards(theta, other, building.filter_axes(here), buffers=True)
    found = surface_along(here, theta, pair, plane, data)
    channels = sum(t.numel() for name, t in theta.items() if name.endswith("running_var"))
    assert found.status.values[:, 0].tolist() == [Status.computed, Status.computed, Status.negative_variance]
    assert found.negative_variances.values[:, 0].tolist() == [0, 0, channels]
    assert np.isnan(found.train_loss.values[2, 0]) and np.isfinite(found.train_loss.values[:2, 0]).all()
    assert found.attrs["points_negative_variance"] == 1


def test_overflow_stays_in_the_file_and_is_counted() -> None:
    network, data = resnet(), dataset(n=12)
    found = surface_of(network, a_plane(alpha=[-1e25, 1e25, 3], beta=[-1, 1, 3]), data)
    bad = ~np.isfinite(found.train_loss.values)
    assert bad[0].all() and bad[2].all() and not bad[1].any()
    assert (found.status.values == np.where(bad, Status.non_finite, Status.computed)).all()
    assert found.attrs["points_non_finite"] == 6
    assert (found.train_accuracy.values[bad] == 0).all()  # NaN logits classify nothing


def test_a_subset_of_the_images_is_the_plain_mean_over_it() -> None:
    network, data = resnet(), dataset()
    found = surface_of(network, a_plane(examples=20, alpha=[0, 0, 1], beta=[0, 0, 1]), data)
    part = subset(data.train, 20)
    assert len(part.targets) == 20
    with torch.no_grad():
        logits = copy.deepcopy(network).eval()(part.inputs).double()
    assert math.isclose(found.train_loss.item(), functional.cross_entropy(logits, part.targets).item(), rel_tol=1e-6)


def tile_pair() -> tuple[xr.Dataset, list[xr.Dataset]]:
    network, data, plane = resnet(), dataset(n=12), a_plane()
    theta = dict(network.state_dict())
    pair = directions.random_pair(theta, building.filter_axes(network), 1, "filter", line=False)
    whole = plane.template(test=True, attrs={"spec_hash": "x", "precision": "fp32"})
    parts = (range(0, 9), range(9, 20))
    return whole, [plane.evaluate(whole, part, network, theta, pair, data, CLASSIFICATION) for part in parts]


def test_merge_refuses_what_does_not_fit_and_says_which() -> None:
    whole, (first, second) = tile_pair()
    cases = [
        ([("a", first)], r"11 of 20 points are in no tile, the first \(alpha, beta\) = \(0, 0\); the tiles are a"),
        ([("a", first), ("b", first)], "b and a both hold points"),
        ([("a", first), ("b", second.assign_attrs(spec_hash="y"))], "b has spec_hash 'y', and the plane has 'x'"),
        ([("a", first), ("b", second.drop_vars("test_loss"))], "b lacks the variables"),
        ([("a", first), ("b", second.assign_coords(alpha=second.alpha + 1e-9))], "b has other coordinates"),
        ([("a", first), ("b", second.assign_coords(index=second["index"] + 5))], "b has points up to index 24"),
        ([], r"20 of 20 points are in no tile, the first \(alpha, beta\) = \(-1, -0\.5\); the tiles are none"),
    ]
    for tiles, message in cases:
        with pytest.raises(InputError, match=message):
            tiling.merge(whole, tiles)
    absent = second.assign(status=second.status * 0)
    with pytest.raises(InputError, match="b has points that were not computed"):
        tiling.merge(whole, [("a", first), ("b", absent)])


def test_a_network_that_returns_no_logits_is_named() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3))
    with pytest.raises(
        InputError,
        match=r"the network returned \(4, 2, 6, 6\) for 4 examples; it must return one row of logits for each",
    ):
        surface_of(network, a_plane(), dataset(n=12))


def test_the_network_and_the_given_weights_are_left_alone() -> None:
    network, data = resnet(), dataset(n=12)
    before = copy.deepcopy(network.state_dict())
    network.train()
    surface_of(network, a_plane(), data)
    assert network.training
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_a_reduced_precision_says_how_far_it_is_from_fp32_however_it_is_cut() -> None:
    network = trained_like(building.build("resnet", {"depth": 8, "width": 4}, seed=0, images=(3, 32, 32), classes=10))
    data = dataset(channels=3, size=32, n=12)
    exact = surface_of(network, a_plane(), data)
    rough = surface_of(network, a_plane(precision="bf16"), data)
    sample = np.unique(np.linspace(0, 19, loss.SAMPLE).round().astype(int))
    assert rough.attrs["precision"] == "bf16" and rough.attrs["precision_points"] == sample.size
    deviations = [np.abs(rough[name].values / exact[name].values - 1).ravel()[sample].max() for name in LOSSES[::2]]
    assert 0 < max(deviations) < 0.1
    assert rough.attrs["precision_deviation"] == pytest.approx(max(deviations), rel=1e-12)
    cut = surface_of(network, a_plane(precision="bf16"), data, [range(13, 20), range(0, 1), range(1, 13)])
    xr.testing.assert_identical(cut, rough)
    assert exact.attrs["precision"] == "fp32" and "precision_deviation" not in exact.attrs


def test_a_surface_says_how_it_was_computed() -> None:
    found = surface_of(resnet(), a_plane(), dataset(n=12)).attrs
    assert {key: found[key] for key in ("kernels", "batch_norms_folded", "batch", "precision")} == {
        "kernels": "onednn",
        "batch_norms_folded": 9,
        "batch": 512,
        "precision": "fp32",
    }


def test_tiles_of_other_devices_kernels_and_batches_are_all_named() -> None:
    whole, tiles = tile_pair()
    tiles[1].attrs |= {"device": "a GPU", "kernels": "cuda graph", "batch": 4096}
    found = tiling.shared_attributes(tiles)
    assert (found["kernels"], found["batch"], found["device"]) == ("onednn; cuda graph", "512; 4096", "None; a GPU")


def test_noise_is_told_from_shape() -> None:
    """The unpaired error is of the level; the paired one, of the rise over the centre, is none at the centre."""
    found = surface_of(resnet(), a_plane(alpha=[-1, 1, 5], beta=[-1, 1, 5]), dataset())
    for split in ("train", "test"):
        level, rise = found[f"{split}_loss_standard_error"], found[f"{split}_loss_paired_standard_error"]
        assert (level > 0).all() and float(rise.sel(alpha=0, beta=0)) == 0
        assert int((rise == 0).sum()) == 1
        assert f"{split}_loss_paired_standard_error" in found[f"{split}_loss"].attrs["ancillary_variables"]


def test_a_recalibrated_plane_takes_its_statistics_from_the_subset_it_declares() -> None:
    network, data = resnet(linear_std=1.0), dataset()
    keys: dict[str, Any] = {"alpha": [0, 1, 2], "beta": None, "batchnorm": "recalibrated"}
    found = surface_of(network, a_plane(**keys, recalibration_examples=20), data)
    statistics = copy.deepcopy(network)
    torch.optim.swa_utils.update_bn([subset(data.train, 20).inputs], statistics)
    assert float(found.train_loss[0, 0]) == pytest.approx(recorded(statistics, data)["train_loss"], rel=1e-5)
    other = surface_of(network, a_plane(**keys, recalibration_examples=30), data)
    assert not np.allclose(other.train_loss, found.train_loss, rtol=1e-2)
