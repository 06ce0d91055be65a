"""Synthetic probes: a spectrum with a bulk and outliers, eigenvalues along a training, layers of a network."""

import json
from typing import Any

import numpy as np
import xarray as xr

from landscape import figures
from landscape.probes import probe_of

from members import history


def probed(state: str, found: xr.Dataset, **probe: Any) -> figures.Member:
    """A member with what was measured at its state; its run is of 10 epochs.

    Args:
        probe: what the probe's specification states, at least what it measures.
    """
    run = state.partition("@")[0]
    of_run = history(run)
    attrs = {
        "run": run,
        "state": state,
        "probe": "point",
        "spec": json.dumps(probe_of(probe).in_full()),
        "train_examples": 512,
        "classes": 10,
        "status": "computed",
    }
    return figures.Member(state, None, of_run, probe=found.assign_attrs(attrs | found.attrs))


def eigenvalues(top: float = 8.0, bottom: float = -0.06, n: int = 4000) -> np.ndarray:
    """A bulk around zero, a tail, and nine outliers up to `top`."""
    bulk = np.random.default_rng(0).gamma(0.4, 0.02 * top, n - 10)
    return np.concatenate([[bottom], bulk - 0.004 * top, top * np.linspace(0.3, 1, 9)])


def spectrum(values: np.ndarray | None = None, raw: float = 20.0) -> xr.Dataset:
    """As of eight random vectors; the raw eigenvalues are `raw` times the filter-scaled ones."""
    scaled = eigenvalues() if values is None else values
    variables: dict[str, Any] = {"train_loss": 0.002}
    attrs = {}
    for suffix, own in (("_scaled", scaled), ("", raw * scaled)):
        low, high = float(own.min()), float(own.max())
        width = 0.01 * (high - low)
        grid = np.linspace(low - 6 * width, high + 6 * width, 501)
        kernel = np.exp(-(((grid - own[:, None]) / width) ** 2) / 2) / (width * np.sqrt(2 * np.pi))
        density = kernel.mean(0)
        variables |= {
            f"eigenvalue{suffix}": ("value", grid),
            f"density{suffix}": ("value", density),
            f"density_low{suffix}": ("value", 0.5 * density),
            f"density_high{suffix}": ("value", 1.5 * density),
            f"eigenvalue_max{suffix}": high,
            f"eigenvalue_min{suffix}": low,
            f"residual_max{suffix}": 0.002 * high,
            f"residual_min{suffix}": 0.0005 * high,
            f"trace{suffix}": float(own.sum()),
            f"trace_standard_error{suffix}": 0.05 * float(np.abs(own.sum())),
        }
        attrs[f"width{suffix}"] = width
    return xr.Dataset(variables, attrs=attrs)


def eigenpairs(
    top: float, bottom: float, *, scale: float = 0.1, gradient: float = 0.1, loss: float = 0.3
) -> xr.Dataset:
    """Two pairs at each end; the filter-scaled eigenvalues are `scale` times the raw ones."""
    variables: dict[str, Any] = {"gradient_norm": gradient, "train_loss": loss, "products": 40, "converged": 1}
    for suffix, by in (("", 1.0), ("_scaled", scale)):
        variables |= {
            f"eigenvalue_largest{suffix}": ("pair", by * top * np.array([1, 0.7])),
            f"eigenvalue_smallest{suffix}": ("pair", by * bottom * np.array([1, 0.8])),
            f"residual_largest{suffix}": ("pair", by * top * np.array([0.01, 0.02])),
            f"residual_smallest{suffix}": ("pair", by * np.abs(bottom) * np.array([0.05, 0.1])),
        }
    return xr.Dataset(variables, {"pair": [1, 2]})


def layers(names: list[str], shrink: float = 0.9) -> xr.Dataset:
    """Activations of a scale of 1, and gradients that shrink by `shrink` with each layer on the way back."""
    n = len(names)
    depth = np.arange(n)
    weighted = np.array(["relu" not in name for name in names])
    columns = {
        "activation_mean": 0.1 * np.cos(depth),
        "activation_std": 1 + 0.5 * np.sin(depth),
        "activation_zero_share": np.where(weighted, 0.0, 0.5),
        "gradient_norm": 0.3 * shrink ** (n - 1 - depth),
        "weight_gradient_norm": np.where(weighted, 0.02 * shrink ** (n - 1 - depth), np.nan),
        "weight_norm": np.where(weighted, 5.0, np.nan),
        "depth": depth,
    }
    variables: dict[str, Any] = {name: ("layer", values) for name, values in columns.items()}
    return xr.Dataset({**variables, "train_loss": 0.01}, {"layer": names})
