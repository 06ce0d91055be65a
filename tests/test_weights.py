import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from landscape.errors import InputError
from landscape.store import weights

SHAPES = {"conv.weight": (4, 3, 3, 3), "conv.bias": (4,), "head.weight": (2, 4), "scale": ()}


def drawn(seed: int, *, dtype: torch.dtype = torch.float32) -> weights.Weights:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=generator, dtype=dtype) for name, shape in SHAPES.items()}


def flat(x: weights.Weights) -> np.ndarray:
    return np.concatenate([tensor.double().numpy().ravel() for tensor in x.values()])


def assert_equal(x: weights.Weights, y: weights.Weights) -> None:
    assert x.keys() == y.keys()
    for name in x:
        torch.testing.assert_close(x[name], y[name], rtol=0, atol=0)


@given(a=st.floats(-2, 2), b=st.floats(-2, 2))
def test_displace_is_the_formula(a: float, b: float) -> None:
    theta, d1, d2 = (drawn(seed, dtype=torch.float64) for seed in range(3))
    moved = weights.displace(theta, d1, a, d2, b)
    assert list(moved) == list(theta)
    np.testing.assert_allclose(flat(moved), flat(theta) + a * flat(d1) + b * flat(d2), rtol=1e-12, atol=1e-12)


def test_displace_adds_in_the_stated_order_and_leaves_its_arguments_alone() -> None:
    theta, d1, d2 = (drawn(seed) for seed in range(3))
    before = [{name: tensor.clone() for name, tensor in x.items()} for x in (theta, d1, d2)]
    moved = weights.displace(theta, d1, 0.3, d2, -0.7)
    expected = {name: torch.add(theta[name], d1[name], alpha=0.3).add(d2[name], alpha=-0.7) for name in theta}
    assert_equal(moved, expected)
    for x, y in zip((theta, d1, d2), before, strict=True):
        assert_equal(x, y)


def test_displace_by_nothing_is_the_centre() -> None:
    theta, d1, d2 = (drawn(seed) for seed in range(3))
    assert_equal(weights.displace(theta, d1, 0.0, d2, 0.0), theta)


def test_displace_along_one_direction_and_keeps_what_has_none() -> None:
    theta, d1 = drawn(0), drawn(1)
    counted = {**theta, "bn.num_batches_tracked": torch.tensor(7)}
    moved = weights.displace(counted, d1, 0.5)
    assert moved["bn.num_batches_tracked"] is counted["bn.num_batches_tracked"]
    assert_equal(
        {name: moved[name] for name in theta}, {name: torch.add(theta[name], d1[name], alpha=0.5) for name in theta}
    )


def test_displace_along_directions_over_different_tensors() -> None:
    theta = drawn(0)
    first, second = {"conv.weight": torch.ones(4, 3, 3, 3)}, {"head.weight": torch.ones(2, 4)}
    moved = weights.displace(theta, first, 2.0, second, 3.0)
    torch.testing.assert_close(moved["conv.weight"], theta["conv.weight"] + 2)
    torch.testing.assert_close(moved["head.weight"], theta["head.weight"] + 3)
    assert moved["conv.bias"] is theta["conv.bias"]
    assert_equal(theta, drawn(0))


def test_displace_refuses_what_does_not_fit() -> None:
    theta, d1 = drawn(0), drawn(1)
    with pytest.raises(InputError, match="more is in the first only"):
        weights.displace(theta, {**d1, "more": torch.zeros(2)}, 1.0)
    with pytest.raises(InputError, match=r"conv.bias has shape \(1,\) in the first and \(4,\) in the second"):
        weights.displace(theta, d1, 1.0, {**d1, "conv.bias": torch.zeros(1)}, 1.0)


def test_difference_is_of_floating_point_tensors() -> None:
    x, y = drawn(0), drawn(1)
    step = weights.difference({**x, "count": torch.tensor(5)}, {**y, "count": torch.tensor(2)})
    assert list(step) == list(SHAPES)
    np.testing.assert_array_equal(flat(step), (flat(x).astype(np.float32) - flat(y).astype(np.float32)))


@pytest.mark.parametrize("function", [weights.difference, weights.dot, weights.check_fit, weights.cosine])
def test_every_misfit_is_named(function: weights.Weights) -> None:
    x, y = drawn(0), drawn(1)
    x["only.here"] = torch.zeros(1)
    y["only.there"] = torch.zeros(1)
    y["scale"] = torch.zeros(1)
    with pytest.raises(InputError) as caught:
        function(x, y)  # type: ignore[operator]
    assert caught.value.problems == [
        "the weights do not fit each other:",
        "only.here is in the first only",
        "only.there is in the second only",
        "scale has shape () in the first and (1,) in the second",
    ]


@pytest.mark.parametrize("seed", range(5))
def test_dot_norm_and_cosine_against_numpy(seed: int) -> None:
    x, y = drawn(seed), drawn(seed + 1)
    assert weights.dot(x, y) == pytest.approx(flat(x) @ flat(y), rel=1e-12, abs=1e-12)
    assert weights.norm(x) == pytest.approx(np.linalg.norm(flat(x)), rel=1e-12)
    expected = flat(x) @ flat(y) / np.linalg.norm(flat(x)) / np.linalg.norm(flat(y))
    assert weights.cosine(x, y) == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_sums_are_in_float64() -> None:
    """In float32 the sum of 2^24 + 1 + 1 loses both ones."""
    x: dict[str, Tensor] = {"a": torch.tensor([4096.0, 1.0, 1.0]), "b": torch.tensor([1.0])}
    assert weights.dot(x, x) == 4096.0**2 + 3
    assert weights.norm(x) == math.sqrt(4096.0**2 + 3)


def test_of_nothing_and_of_zero() -> None:
    zero = {name: torch.zeros(shape) for name, shape in SHAPES.items()}
    assert math.isnan(weights.cosine(zero, drawn(0)))
    assert weights.cosine(drawn(0), drawn(0)) == pytest.approx(1)
    assert weights.norm({}) == 0
    assert isinstance(weights.dot({}, {}), float)
