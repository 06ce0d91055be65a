"""Gradients and curvature over a plane, against the whole matrix by torch.func in float64 and polynomials."""

import json
import math
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from landscape import directions
from landscape.data.datasets import DataSet, subset
from landscape.data.examples import Examples
from landscape.directions import Directions
from landscape.errors import InputError
from landscape.geometry.grid import Status
from landscape.hessian import lanczos
from landscape.hessian.krylov import Product
from landscape.hessian.lanczos import TOLERANCE, TOLERANCE_OF_LARGEST, Extremes, extremes
from landscape.hessian.products import Hessian
from landscape.hessian.verification import DerivativeErrors, Verification
from landscape.measures import gradients, plane_of, tiling
from landscape.networks import building
from landscape.objective.objective import CLASSIFICATION
from landscape.store.weights import Weights, displace

from plain_networks import with_random_tensors

torch.set_num_threads(1)

ALPHA, BETA = (-0.5, 0.5, 3), (-0.4, 0.4, 3)


def dataset(n: int = 24) -> DataSet:
    images = torch.randn(n, 1, 4, 4, generator=torch.Generator().manual_seed(5))
    split = Examples(images, torch.arange(n) % 3)
    return DataSet(split, split, 3, torch.zeros(1), {})


def network() -> nn.Module:
    """Folded; its pooled activations are smooth, so that finite differences of the gradient are the Hessian."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = [nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Softplus(), nn.Flatten(), nn.Linear(12, 3)]
        return with_random_tensors(nn.Sequential(*layers)).float()


class Case:
    """A network and the plane around it."""

    def __init__(self, measured: str = "curvature", data: DataSet | None = None, **keys: Any):
        self.plane: Any = plane_of({"alpha": ALPHA, "beta": BETA, "measure": measured, "seed": 1, **keys})
        self.network, self.data = network(), data or dataset()
        self.theta: Weights = {name: tensor.detach().clone() for name, tensor in self.network.state_dict().items()}
        self.axes = building.filter_axes(self.network)
        line = self.plane.is_line
        self.pair: Directions = directions.random_pair(self.theta, self.axes, 1, "filter", line=line)

    def surface(self, tiles: int = 1) -> xr.Dataset:
        whole = self.plane.template(test=False, attrs={"spec_hash": "x"})
        made = []
        for i in range(1, tiles + 1):
            indices = tiling.tile_of(self.plane.shape, i, tiles)
            tile = self.plane.evaluate(whole, indices, self.network, self.theta, self.pair, self.data, CLASSIFICATION)
            made.append((f"tile {i}", tile))
        attrs = tiling.shared_attributes([tile for _, tile in made])
        return self.plane.merge(self.plane.template(test=False, attrs=attrs), made)

    def names(self) -> list[str]:
        chosen = self.plane.parameters
        return [name for name, axis in self.axes.items() if axis is not None or chosen == "all"]

    def flat(self, weights: Weights) -> Tensor:
        return torch.cat([weights[name].double().reshape(-1) for name in self.names()])

    def dense(self, alpha: float, beta: float, split: Examples | None = None) -> tuple[float, np.ndarray, np.ndarray]:
        """Loss, gradient and Hessian in float64."""
        split = split or subset(self.data.train, self.plane.examples)
        centre, *steps = ({k: t.double() for k, t in w.items()} for w in (self.theta, *self.pair.values()))
        here = displace(centre, steps[0], alpha, steps[1] if len(steps) > 1 else None, beta)
        sizes = [here[name].numel() for name in self.names()]

        def loss(flat: Tensor) -> Tensor:
            parts = zip(self.names(), flat.split(sizes), strict=True)
            chosen = {name: part.view_as(here[name]) for name, part in parts}
            logits = functional_call(self.network, {**here, **chosen}, (split.inputs.double(),))
            return functional.cross_entropy(logits, split.targets)

        flat = self.flat(here)
        return float(loss(flat)), torch.func.grad(loss)(flat).numpy(), torch.func.hessian(loss)(flat).numpy()


def cosine(x: np.ndarray, y: np.ndarray) -> float:
    return float(x @ y / np.linalg.norm(x) / np.linalg.norm(y))


@pytest.mark.parametrize("keys", [{}, {"parameters": "all"}, {"examples": 12}], ids=str)
def test_every_variable_is_what_the_whole_matrix_says(keys: dict[str, Any]) -> None:
    case = Case(precision="fp64", **keys)
    found = case.surface()
    spans = np.stack([case.flat(case.pair[axis]).numpy() for axis in ("alpha", "beta")], 1)
    dense = {
        (i, j): case.dense(a, b) for i, a in enumerate(found.alpha.values) for j, b in enumerate(found.beta.values)
    }
    for (i, j), (loss, gradient, hessian) in dense.items():
        point = {str(name): float(found[name].values[i, j]) for name in found}
        place = np.array([found.alpha.values[i], found.beta.values[j]])
        assert point["status"] == Status.computed and not point["below_arithmetic"]
        assert point["train_loss"] == pytest.approx(loss, rel=1e-6)  # directions and weights are in single precision
        assert point["gradient_norm"] == pytest.approx(np.linalg.norm(gradient), rel=1e-5)
        np.testing.assert_allclose(
            [point["gradient_alpha"], point["gradient_beta"]], gradient @ spans, rtol=1e-5, atol=1e-7
        )
        eigenvalues = np.linalg.eigvalsh(hessian)
        low, high = eigenvalues[[0, -1]]
        near = 1e-6 * high
        assert point["residual_max"] <= TOLERANCE * point["eigenvalue_max"] + near
        allowed = max(TOLERANCE * abs(point["eigenvalue_min"]), TOLERANCE_OF_LARGEST * point["eigenvalue_max"])
        assert point["residual_min"] <= allowed + near
        assert high - point["residual_max"] - near <= point["eigenvalue_max"] <= high + near
        assert low - near <= point["eigenvalue_min"] <= low + point["residual_min"] + near
        assert point["bound_min"] - near <= low and point["eigenvalue_min"] - point["bound_min"] <= allowed + near
        ratio = point["eigenvalue_min"] / point["eigenvalue_max"]
        assert point["eigenvalue_ratio_plain"] == pytest.approx(abs(ratio))
        assert point["eigenvalue_ratio"] == pytest.approx(abs(min(ratio, 0)))
        metric = spans.T @ spans
        inside = np.sort(np.linalg.eigvals(np.linalg.solve(metric, spans.T @ hessian @ spans)).real)
        np.testing.assert_allclose(
            [point["slice_eigenvalue_min"], point["slice_eigenvalue_max"]], inside, rtol=1e-5, atol=near
        )
        if place.any():  # in weight space: descent within the plane, and the way to the centre
            descent = -spans @ np.linalg.solve(metric, spans.T @ gradient)
            assert point["gradient_towards_centre"] == pytest.approx(cosine(descent, -spans @ place), abs=1e-5)
        else:
            assert math.isnan(point["gradient_towards_centre"])
        for axis, beside in (("alpha", (i + 1, j)), ("beta", (i, j + 1))):
            expected = cosine(gradient, dense[beside][1]) if beside in dense else np.nan
            np.testing.assert_allclose(point[f"gradient_cosine_{axis}"], expected, atol=1e-5)
        used = subset(case.data.train, case.plane.examples)
        halves = [
            case.dense(float(place[0]), float(place[1]), Examples(used.inputs[start::2], used.targets[start::2]))[1]
            for start in (0, 1)
        ]
        assert point["gradient_cosine_halves"] == pytest.approx(cosine(*halves), abs=1e-5)
        assert 1 <= point["products"] <= gradient.size
    attrs = found.attrs
    assert attrs["theta_norm"] == pytest.approx(np.linalg.norm(case.flat(case.theta)))
    np.testing.assert_allclose(json.loads(attrs["direction_norms"]), np.linalg.norm(spans, axis=0))
    assert attrs["cosine"] == pytest.approx(cosine(spans[:, 0], spans[:, 1]))
    assert attrs["batch_norms_folded"] == (1 if case.plane.parameters == "filters" else 0)
    assert attrs["graph"] == "kept" and attrs["points_not_converged"] == attrs["points_below_arithmetic"] == 0


@pytest.mark.parametrize("measured", ["gradients", "curvature"])
def test_tiles_agree_with_the_whole_to_the_bit(measured: str) -> None:
    case = Case(measured, examples=12)
    whole = case.surface()
    for tiles in (2, 4, 9):
        found = case.surface(tiles)
        xr.testing.assert_identical(found.drop_attrs(), whole.drop_attrs())
        assert found.attrs == whole.attrs


def test_gradients_need_no_room_for_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """What later points need is found anew where it was not kept, to the same bits; where it was, each once."""
    taken = []
    slope = Hessian.slope

    def counted(self: Hessian) -> tuple[float, Tensor]:
        taken.append(1)
        return slope(self)

    monkeypatch.setattr(Hessian, "slope", counted)
    case = Case("gradients")
    field = gradients.GradientField
    monkeypatch.setattr(Verification, "at", lambda self, weights, seed=0: DerivativeErrors())
    held = case.surface()
    assert len(taken) == 9
    monkeypatch.setattr(field, "_holds_a_row", property(lambda self: False, lambda self, value: None), raising=False)
    xr.testing.assert_identical(case.surface().drop_attrs(), held.drop_attrs())
    assert len(taken) > 18


def test_gradients_are_those_of_curvature() -> None:
    curved, plain = Case(precision="fp64").surface(), Case("gradients", precision="fp64").surface()
    assert set(plain) == {name for name in curved if name in gradients._VARIABLES} | {"status"}
    for name in set(plain) - {"precision_error"}:  # which is of the products too
        np.testing.assert_allclose(plain[name].values, curved[name].values, rtol=1e-12, atol=1e-13)
    assert "drift" not in plain.attrs and "test_loss" not in plain


def test_a_line_has_one_slope_and_one_curvature() -> None:
    case = Case(precision="fp64", beta=None)
    found = case.surface()
    assert found.sizes == {"alpha": 3, "beta": 1}
    assert "gradient_beta" not in found and "gradient_cosine_beta" not in found
    d = case.flat(case.pair["alpha"]).numpy()
    for i, alpha in enumerate(found.alpha.values):
        _, gradient, hessian = case.dense(alpha, 0.0)
        for end in ("min", "max"):
            rayleigh = d @ hessian @ d / (d @ d)
            assert found[f"slice_eigenvalue_{end}"].values[i, 0] == pytest.approx(rayleigh, rel=1e-5)
        if alpha:
            towards = math.copysign(1, gradient @ d * alpha)
            assert found.gradient_towards_centre.values[i, 0] == pytest.approx(towards)
    assert len(json.loads(found.attrs["direction_norms"])) == 1


def test_drift_is_that_of_planes_over_more_images() -> None:
    case = Case(examples=6, data=dataset(20))
    found = case.surface(4)
    entries = json.loads(found.attrs["drift"])
    assert [entry["index"] for entry in entries] == [0, 2, 4, 6, 8]
    wider = Case(examples=12, data=dataset(20)).surface()
    for entry in entries:
        assert entry["examples"] == [6, 12]  # there are not four times as many
        i, j = divmod(entry["index"], 3)
        assert (entry["alpha"], entry["beta"]) == (found.alpha.values[i], found.beta.values[j])
        for name in ("eigenvalue_min", "eigenvalue_max", "residual_min", "residual_max"):
            assert entry[name] == [found[name].values[i, j], wider[name].values[i, j]]


def test_points_whose_loss_is_not_finite_hold_no_number() -> None:
    case = Case(alpha=(0, 1e38, 2), examples=12)
    found = case.surface()
    assert found.status.values.tolist() == [[Status.computed] * 3, [Status.non_finite] * 3]
    assert found.attrs["points_non_finite"] == 3
    for name in found.drop_vars("status"):
        last = found[name].values[1]
        assert not np.isfinite(last).any() or name in ("products", "below_arithmetic")
        assert not last.any() or name not in ("products", "below_arithmetic")
    assert np.isfinite(found.eigenvalue_max.values[0]).all() and np.isnan(found.gradient_cosine_alpha.values).all()
    last = json.loads(found.attrs["drift"])[-1]
    assert last["eigenvalue_max"] == [None, None]


def test_a_missed_extreme_is_found_by_what_the_plane_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search that is blind to the last eigenvector ends with the one before; the plane holds the last one."""
    case = Case(precision="fp64", alpha=(0, 0, 1), beta=(0, 0, 1))
    values, vectors = np.linalg.eigh(case.dense(0.0, 0.0)[2])
    last = torch.from_numpy(vectors[:, -1].copy())
    parts = zip(case.names(), last.split([case.theta[name].numel() for name in case.names()]), strict=True)
    step = {name: torch.zeros_like(case.theta[name]).double() for name in case.axes}
    case.pair["alpha"] = step | {name: part.view_as(step[name]) for name, part in parts}
    right = case.surface()
    assert right.attrs["points_searched_again"] == 0
    starts: list[Tensor | None] = []

    def blind(product: Product, size: int, *, start: Tensor | None = None, **keys: Any) -> Extremes:
        starts.append(start)
        if len(starts) == 2:
            return extremes(product, size, start=start, **keys)
        return extremes(lambda v: product(v) - values[-1] * (last @ v) * last, size, **keys)

    monkeypatch.setattr(lanczos, "extremes", blind)
    again = case.surface()
    assert starts[0] is None and starts[1] is not None
    assert abs(cosine(starts[1].numpy(), vectors[:, -1])) > 0.5
    assert again.attrs["points_searched_again"] == 1 and again.status.item() == Status.computed
    assert again.eigenvalue_max.item() == pytest.approx(values[-1], rel=1e-6)
    assert again.products.item() > right.products.item()
    never = case.surface()
    assert never.status.item() == Status.not_converged and never.attrs["points_not_converged"] == 1
    assert never.eigenvalue_max.item() == pytest.approx(values[-2], rel=0.02)


def test_eigsh_finds_the_same() -> None:
    own, other = Case(precision="fp64").surface(), Case(precision="fp64", eigensolver="eigsh").surface()
    assert other.attrs["eigensolver"] == "eigsh" and other.attrs["points_not_converged"] == 0
    scale = own.eigenvalue_max.values
    for end in ("min", "max"):
        apart = np.abs(own[f"eigenvalue_{end}"].values - other[f"eigenvalue_{end}"].values)
        assert (apart <= (own[f"residual_{end}"] + other[f"residual_{end}"]).values + 1e-9 * scale).all()


def test_what_arithmetic_cannot_see_is_marked() -> None:
    """Of two classes and one image twice the Hessian of a linear layer has rank one."""
    images = torch.ones(2, 1, 4, 4) / 16
    data = DataSet(Examples(images, torch.ones(2, dtype=torch.int64)), None, 2, torch.zeros(1), {})
    case = Case(data=data)
    case.network = nn.Sequential(nn.Flatten(), nn.Linear(16, 2, bias=False))
    case.theta = {"1.weight": torch.randn(2, 16, generator=torch.Generator().manual_seed(0))}
    case.axes = building.filter_axes(case.network)
    case.pair = directions.random_pair(case.theta, case.axes, 1, "filter", line=False)
    found = case.surface()
    assert found.below_arithmetic.values.all() and found.attrs["points_below_arithmetic"] == 9
    assert (np.abs(found.eigenvalue_min.values) < 1e-5 * found.eigenvalue_max.values).all()
    assert not Case().surface().below_arithmetic.values.any()


def test_directions_that_depend_on_each_other_span_a_line() -> None:
    case = Case(precision="fp64")
    case.pair["beta"] = {name: -2 * step for name, step in case.pair["alpha"].items()}
    found = case.surface()
    np.testing.assert_array_equal(found.slice_eigenvalue_min, found.slice_eigenvalue_max)
    assert np.isfinite(found.slice_eigenvalue_min).all() and found.attrs["cosine"] == pytest.approx(-1)
    case.pair = {axis: {name: 0 * t for name, t in step.items()} for axis, step in case.pair.items()}
    still = case.surface()
    assert np.isnan(still.slice_eigenvalue_min).all() and np.isfinite(still.eigenvalue_max).all()


def test_a_plane_needs_both_directions() -> None:
    case = Case()
    del case.pair["beta"]
    with pytest.raises(InputError, match="needs beta too"):
        case.surface()
