"""Probes: eigenpairs against the dense Hessian, the point they are at, and the files the verb writes."""

import math
from typing import Any

import numpy as np
import pytest
import xarray as xr
from torch import nn

from landscape import directions
from landscape.data.datasets import DataSet, subset
from landscape.directions import Directions
from landscape.errors import InputError
from landscape.objective.objective import CLASSIFICATION
from landscape.probes import PROBES, probe_of
from landscape.probes.probe import Probe
from landscape.store.weights import Weights, displace

from dense_hessian import Example, connected, convolutional, flat

NETWORKS = {"batch norm": lambda: convolutional(nn.ReLU()), "tanh": lambda: connected(nn.Tanh())}


@pytest.fixture(params=NETWORKS)
def example(request: pytest.FixtureRequest) -> Example:
    return Example(NETWORKS[request.param]())


def measured(example: Example, measure: str, pair: Directions | None = None, **keys: Any) -> tuple[xr.Dataset, Weights]:
    probe = probe_of({"measure": measure, "precision": "fp64", **keys})
    return probe.measured(example.network, example.theta, pair or {}, example.axes, example.dataset, CLASSIFICATION)


def vector(vectors: Weights, name: str, names: list[str]) -> np.ndarray:
    """An eigenvector over all the parameters it should have, and no others."""
    parts = {key.removeprefix(f"{name}/"): part for key, part in vectors.items() if key.startswith(f"{name}/")}
    assert list(parts) == names
    return flat(parts, names)


@pytest.mark.parametrize("kind", PROBES)
def test_everything_that_a_configuration_may_measure_is_measured(kind: type[Probe]) -> None:
    assert kind.measured is not Probe.measured
    assert kind.forward_passes is not Probe.forward_passes


@pytest.mark.parametrize("parameters", ["filters", "all"])
def test_eigenpairs_are_those_of_the_dense_hessian(example: Example, parameters: str) -> None:
    found, vectors = measured(example, "eigenpairs", parameters=parameters, pairs=3)
    dense, scaled = example.dense(parameters), example.dense_scaled(parameters)
    for suffix, matrix in (("", dense), ("_scaled", scaled)):
        wanted = np.linalg.eigvalsh(matrix)
        for end, of_end in (("largest", wanted[::-1][:3]), ("smallest", wanted[:3])):
            residuals = found[f"residual_{end}{suffix}"].values
            allowed = np.maximum(0.01 * np.abs(of_end), 0.001 * wanted[-1])
            assert (residuals <= allowed * 1.02).all()  # the share is of the value found, which the residual may move
            np.testing.assert_array_less(np.abs(found[f"eigenvalue_{end}{suffix}"] - of_end), residuals + 1e-9)
        low, high = float(found[f"bound_min{suffix}"]), float(found[f"bound_max{suffix}"])
        assert wanted[0] - 0.01 * abs(wanted[0]) - 0.001 * wanted[-1] <= low <= wanted[0] + 1e-9
        assert wanted[-1] - 1e-9 <= high <= 1.01 * wanted[-1] + 1e-9
    for end in ("largest", "smallest"):
        for k in range(3):
            unit = vector(vectors, f"{end}-{k + 1}", example.names(parameters))
            assert np.linalg.norm(unit) == pytest.approx(1, rel=1e-9)
            assert unit[np.abs(unit).argmax()] > 0
            residual = np.linalg.norm(dense @ unit - float(found[f"eigenvalue_{end}"][k]) * unit)
            assert residual == pytest.approx(float(found[f"residual_{end}"][k]), rel=1e-3, abs=1e-7)
    assert found.converged == 1 and found.attrs["status"] == "computed"
    assert found.pair.values.tolist() == [1, 2, 3]
    assert 6 <= found.products <= 2 * len(dense)


def test_every_eigenvalue_from_both_ends(example: Example) -> None:
    wanted = np.linalg.eigvalsh(example.dense())
    found, _ = measured(example, "eigenpairs", pairs=len(wanted))
    np.testing.assert_allclose(found.eigenvalue_smallest, wanted, atol=1e-9)
    np.testing.assert_allclose(found.eigenvalue_largest, wanted[::-1], atol=1e-9)
    with pytest.raises(InputError, match=f"have {len(wanted)} weights"):
        measured(example, "eigenpairs", pairs=len(wanted) + 1)


def test_a_point_on_a_plane_is_that_of_the_plane(example: Example) -> None:
    """The Hessian there, and the filters' lengths there."""
    pair = directions.random_pair(example.theta, example.axes, 4, "filter", line=False)
    there = displace(example.theta, pair["alpha"], 0.6, pair["beta"], -0.9)
    keys = {"plane": "plane", "alpha": 0.6, "beta": -0.9}
    found, _ = measured(example, "eigenpairs", pair, **keys, pairs=1)
    for suffix, matrix in (("", example.dense(theta=there)), ("_scaled", example.dense_scaled(theta=there))):
        wanted = np.linalg.eigvalsh(matrix)
        assert float(found[f"eigenvalue_largest{suffix}"][0]) == pytest.approx(wanted[-1], rel=0.01)
        assert float(found[f"eigenvalue_smallest{suffix}"][0]) == pytest.approx(
            wanted[0], rel=0.01, abs=wanted[-1] / 999
        )
    traces, _ = measured(example, "trace", pair, **keys, vectors=2, draws=400)
    error = float(traces.mean_curvature_filter_normalised_standard_error)
    wanted_trace = np.trace(example.dense_scaled(theta=there))
    assert abs(float(traces.mean_curvature_filter_normalised) - wanted_trace) < 4 * error
    centre, _ = measured(example, "eigenpairs", pairs=1)
    assert float(centre.train_loss) != pytest.approx(float(found.train_loss), rel=1e-3)


def test_on_a_line(example: Example) -> None:
    line = directions.random_pair(example.theta, example.axes, 4, "filter", line=True)
    there = displace(example.theta, line["alpha"], 0.5)
    found, _ = measured(example, "eigenpairs", line, plane="line", alpha=0.5, pairs=1)
    wanted = np.linalg.eigvalsh(example.dense(theta=there))[-1]
    assert float(found.eigenvalue_largest[0]) == pytest.approx(wanted, rel=0.01)


@pytest.mark.parametrize("measure", ["eigenpairs", "spectrum", "trace"])
def test_rescaled_twins_have_one_filter_scaled_hessian(measure: str) -> None:
    """One filter before batch norm and its running mean by 10, its variance so that the function stays."""
    example, twin = (Example(convolutional(nn.Tanh())) for _ in range(2))
    norm = "1.running_var"
    twin.theta["0.weight"][1] /= 10
    twin.theta["1.running_mean"][1] /= 10
    twin.theta[norm][1] = (example.theta[norm][1].double() + 1e-5) / 100 - 1e-5
    (ours, _), (other, _) = (measured(e, measure) for e in (example, twin))
    assert float(ours.train_loss) == pytest.approx(float(other.train_loss), rel=1e-5)
    scaled = [name for name in ours.data_vars if str(name).endswith("_scaled")]
    assert scaled
    for name in scaled:
        if "residual" not in str(name) and "node" not in str(name):  # nodes of one place and weight may change places
            size = float(np.abs(other[name]).max())
            np.testing.assert_allclose(ours[name], other[name], rtol=1e-3, atol=1e-4 * size, err_msg=str(name))
    raw = {"eigenpairs": "eigenvalue_largest"}.get(measure, "trace")
    assert not np.allclose(ours[raw], other[raw], rtol=0.01)


@pytest.mark.parametrize(
    ("measure", "name"), [("eigenpairs", "eigenvalue_largest"), ("spectrum", "density"), ("trace", "trace")]
)
def test_single_precision_hardly_matters(example: Example, measure: str, name: str) -> None:
    double, _ = measured(example, measure)
    single, _ = measured(example, measure, precision="fp32")
    assert double.attrs["graph"] == single.attrs["graph"] == "kept"
    np.testing.assert_allclose(single[name], double[name], rtol=1e-3, atol=1e-3 * float(np.abs(double[name]).max()))


def test_a_subset_is_that_of_the_planes(example: Example) -> None:
    found, _ = measured(example, "eigenpairs", examples=9, pairs=1)
    few = subset(example.dataset.train, 9)
    example.dataset = DataSet(few, None, example.dataset.classes, example.dataset.black, {})
    assert float(found.eigenvalue_largest[0]) == pytest.approx(np.linalg.eigvalsh(example.dense())[-1], rel=0.01)


@pytest.mark.parametrize("measure", ["eigenpairs", "spectrum", "trace"])
def test_a_loss_that_is_no_number_gives_none_and_says_so(example: Example, measure: str) -> None:
    example.theta[example.names()[0]].view(-1)[0] = math.nan
    found, vectors = measured(example, measure)
    assert found.attrs["status"] == "non_finite: the loss at this point is nan"
    numbers = [name for name in found.data_vars if name not in ("products", "converged", "train_loss")]
    assert all(bool(np.isnan(found[name]).all()) for name in numbers)
    assert all(bool(part.isnan().all()) for part in vectors.values())


@pytest.mark.parametrize("measure", ["eigenpairs", "spectrum", "trace"])
def test_a_hessian_that_is_no_number_says_so(measure: str) -> None:
    """Of a loss that is one: behind tanh an infinite weight gives a finite loss, but no filter-scaled Hessian."""
    example = Example(connected(nn.Tanh()))
    example.theta["1.weight"][0, 0] = math.inf
    found, _ = measured(example, measure)
    assert found.attrs["status"].endswith(": a product is not finite")
    assert math.isfinite(found.train_loss)
