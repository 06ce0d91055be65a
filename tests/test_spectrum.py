"""Spectral densities and traces against all eigenvalues of the dense Hessian."""

import math
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

from landscape.objective.objective import CLASSIFICATION
from landscape.probes import probe_of
from landscape.probes.spectrum import density, quadrature

from dense_hessian import CLASSES, Example, connected, convolutional

NETWORKS = {"batch norm": lambda: convolutional(nn.ReLU()), "tanh": lambda: connected(nn.Tanh())}


@pytest.fixture(params=NETWORKS)
def example(request: pytest.FixtureRequest) -> Example:
    return Example(NETWORKS[request.param]())


def measured(example: Example, measure: str, **keys: Any) -> xr.Dataset:
    probe = probe_of({"measure": measure, "precision": "fp64", **keys})
    found, vectors = probe.measured(example.network, example.theta, {}, example.axes, example.dataset, CLASSIFICATION)
    assert not vectors
    return found


def spectra(example: Example, parameters: str = "filters") -> dict[str, np.ndarray]:
    """All eigenvalues, by the suffix of the names in a file."""
    return {
        "": np.linalg.eigvalsh(example.dense(parameters)),
        "_scaled": np.linalg.eigvalsh(example.dense_scaled(parameters)),
    }


def test_the_quadrature_of_a_known_spectrum_is_exact_for_polynomials() -> None:
    """v'f(H)v of a diagonal H is sum_i v_i^2 f(h_i), and m nodes are exact below degree 2 m."""
    values = torch.linspace(-1, 3, 40, dtype=torch.float64)
    start = torch.randn(40, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = quadrature(lambda vector: values * vector, start, 5)
    shares = (start**2 / (start @ start)).numpy()
    for degree in range(10):
        assert found.weights @ found.nodes**degree == pytest.approx(shares @ values.numpy() ** degree, rel=1e-10)
    assert found.weights @ found.nodes**10 != pytest.approx(shares @ values.numpy() ** 10, rel=1e-6)
    assert found.curvature == pytest.approx(shares @ values.numpy(), rel=1e-12)


def test_more_steps_than_eigenvalues() -> None:
    """Three different eigenvalues carry all the weight, each what the start has of it; the rest has none."""
    values = torch.tensor([2.0, 2.0, -1.0, 5.0, 5.0], dtype=torch.float64)
    found = quadrature(lambda vector: values * vector, torch.ones(5, dtype=torch.float64), 8)
    weights = {v: found.weights[np.isclose(found.nodes, v)].sum() for v in (-1.0, 2.0, 5.0)}
    assert weights == pytest.approx({-1.0: 0.2, 2.0: 0.4, 5.0: 0.4})
    assert found.nodes.shape == found.weights.shape == found.residuals.shape == (8,)
    assert found.residuals.max() < 1e-12


def test_a_density_is_a_sum_of_gaussians() -> None:
    values = np.linspace(-1, 3, 2001)
    found = density(np.array([0.0, 2.0]), np.array([0.25, 0.75]), 0.1, values)
    assert np.trapezoid(found, values) == pytest.approx(1, rel=1e-9)
    assert found[1500] == pytest.approx(0.75 / (0.1 * math.sqrt(2 * math.pi)), rel=1e-9)
    assert found[500] == pytest.approx(found[1500] / 3, rel=1e-9)


@pytest.mark.parametrize("parameters", ["filters", "all"])
def test_with_as_many_steps_as_weights_the_nodes_are_all_eigenvalues(example: Example, parameters: str) -> None:
    for suffix, wanted in spectra(example, parameters).items():
        found = measured(example, "spectrum", parameters=parameters, vectors=2, steps=len(wanted) + 3)
        for nodes in found[f"node_value{suffix}"].values:
            np.testing.assert_allclose(nodes[: len(wanted)], wanted, atol=1e-9 * wanted.max())
        np.testing.assert_allclose(found[f"node_weight{suffix}"].sum("node"), 1, rtol=1e-12)
        np.testing.assert_allclose(found[f"eigenvalue_max{suffix}"], wanted[-1], rtol=1e-9)
        np.testing.assert_allclose(found[f"eigenvalue_min{suffix}"], wanted[0], rtol=1e-9)


def test_few_steps_from_many_vectors(example: Example) -> None:
    """The density is one of probability, its moments are those of all eigenvalues, and the extremes lie within them."""
    found = measured(example, "spectrum", vectors=120, steps=10)
    for suffix, wanted in spectra(example).items():
        values, width = found[f"eigenvalue{suffix}"].values, found.attrs[f"width{suffix}"]
        dense = found[f"density{suffix}"].values
        assert np.trapezoid(dense, values) == pytest.approx(1, rel=1e-6)
        samples = (found[f"node_weight{suffix}"] * found[f"node_value{suffix}"] ** 2).sum("node").values
        error = samples.std(ddof=1) / 120**0.5
        second = np.trapezoid(dense * values**2, values) - width**2  # the kernel adds its variance
        assert second == pytest.approx(samples.mean(), rel=1e-6)
        assert abs(second - (wanted**2).mean()) < 4 * error
        trace, trace_error = float(found[f"trace{suffix}"]), float(found[f"trace_standard_error{suffix}"])
        assert np.trapezoid(dense * values, values) * len(wanted) == pytest.approx(trace, rel=1e-6)
        assert abs(trace - wanted.sum()) < 4 * trace_error < wanted.sum()
        for name, extreme in (("max", wanted[-1]), ("min", wanted[0])):
            residual = float(found[f"residual_{name}{suffix}"])
            assert abs(float(found[f"eigenvalue_{name}{suffix}"]) - extreme) <= residual + 1e-9
        assert wanted[0] - 1e-9 <= found[f"eigenvalue_min{suffix}"] < found[f"eigenvalue_max{suffix}"]
        assert found[f"eigenvalue_max{suffix}"] <= wanted[-1] + 1e-9


def test_the_band_is_one_standard_error_around_the_mean_of_the_vectors(example: Example) -> None:
    found = measured(example, "spectrum", vectors=3, steps=8)
    for suffix in ("", "_scaled"):
        each = [
            density(nodes, weights, found.attrs[f"width{suffix}"], found[f"eigenvalue{suffix}"].values)
            for nodes, weights in zip(
                found[f"node_value{suffix}"].values, found[f"node_weight{suffix}"].values, strict=True
            )
        ]
        mean, error = np.mean(each, 0), np.std(each, 0, ddof=1) / 3**0.5
        np.testing.assert_allclose(found[f"density{suffix}"], mean, rtol=1e-9)
        np.testing.assert_allclose(found[f"density_high{suffix}"], mean + error, rtol=1e-9)
        np.testing.assert_allclose(found[f"density_low{suffix}"], mean - error, atol=1e-9 * mean.max())
        assert (found[f"density_low{suffix}"] >= 0).all()


@pytest.mark.parametrize("parameters", ["filters", "all"])
def test_traces_and_the_averages_over_directions_that_approach_them(example: Example, parameters: str) -> None:
    found = measured(example, "trace", parameters=parameters, vectors=400, draws=600)
    plain = np.trace(example.dense(parameters))
    by_filters = (example.lengths(parameters) ** 2 * np.diag(example.dense(parameters))).sum()
    for name, wanted in (
        ("trace", plain),
        ("mean_curvature_random", plain),
        ("trace_scaled", by_filters),
        ("mean_curvature_filter_normalised", by_filters),
    ):
        error = float(found[f"{name}_standard_error"])
        assert abs(float(found[name]) - wanted) < 4 * error < 0.5 * wanted, name
    assert abs(float(found.mean_curvature_filter_normalised) - plain) > 5 * error  # so it matters which trace
    for name, samples in {"trace": "trace_sample", "mean_curvature_random": "curvature_random"}.items():
        assert float(found[name]) == pytest.approx(float(found[samples].mean()))
        spread = float(found[samples].std(ddof=1)) / found[samples].size ** 0.5
        assert float(found[f"{name}_standard_error"]) == pytest.approx(spread)


def test_a_spectrum_and_a_trace_of_the_same_vectors_have_one_trace(example: Example) -> None:
    of_spectrum, of_trace = (measured(example, measure, vectors=5, seed=3) for measure in ("spectrum", "trace"))
    np.testing.assert_allclose(of_spectrum.trace, of_trace.trace, rtol=1e-9)
    np.testing.assert_allclose(of_spectrum.trace_scaled, of_trace.trace_scaled, rtol=1e-9)
    assert float(of_trace.trace) != pytest.approx(float(measured(example, "trace", vectors=5, seed=4).trace), rel=1e-6)


def test_a_constant_loss_has_one_eigenvalue() -> None:
    """Of a last layer that nothing reaches: H = 0."""
    example = Example(nn.Sequential(nn.Flatten(), nn.Linear(16, CLASSES)))
    example.dataset.train.inputs.zero_()
    found = measured(example, "spectrum", vectors=2, steps=4)
    assert float(found.eigenvalue_max) == float(found.eigenvalue_min) == float(found.trace) == 0
    assert np.trapezoid(found.density, found.eigenvalue) == pytest.approx(1, rel=1e-6)
