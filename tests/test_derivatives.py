"""Convolutions and ReLUs with second derivatives of our own, against torch's own derivatives."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from landscape.engine import fusing
from landscape.hessian.derivatives import TwiceDifferentiable

KINDS: dict[str, tuple[Any, tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "plain": (functional.conv2d, (3, 2, 5, 6), (4, 2, 3, 3), {"padding": 1}),
    "stride": (functional.conv2d, (3, 2, 6, 7), (4, 2, 3, 2), {"stride": (2, 3), "padding": [1, 0]}),
    "groups": (functional.conv2d, (3, 4, 5, 5), (6, 2, 3, 3), {"groups": 2}),
    "depthwise": (functional.conv2d, (3, 4, 5, 5), (4, 1, 3, 3), {"groups": 4, "padding": 1}),
    "dilation": (functional.conv2d, (3, 2, 7, 7), (4, 2, 3, 3), {"dilation": 2, "padding": (2,)}),
    "pointwise": (functional.conv2d, (3, 2, 4, 4), (4, 2, 1, 1), {"stride": 2}),
    "one dimension": (functional.conv1d, (3, 2, 8), (4, 2, 3), {"stride": 2, "padding": 1}),
    "three dimensions": (functional.conv3d, (2, 2, 4, 4, 4), (3, 2, 2, 2, 2), {"padding": 1}),
    "named padding": (functional.conv2d, (3, 2, 5, 5), (4, 2, 3, 3), {"padding": "same"}),
    "an image alone": (functional.conv2d, (2, 5, 5), (4, 2, 3, 3), {"padding": 1}),
}


def drawn(*shape: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def derivatives(
    kind: str, *, bias: bool, of_images: bool = True, dtype: torch.dtype = torch.float64, last: bool = False
) -> list[Tensor]:
    """The output of a convolution, the gradients of a function of it, and of these gradients' product with vectors."""
    convolution, images, weights, keys = KINDS[kind]
    leaves = [drawn(*shape, seed=i, dtype=dtype) for i, shape in enumerate((images, weights, weights[:1]), 1)]
    leaves = leaves if bias else leaves[:2]
    if last and len(images) == 4:
        leaves[0] = leaves[0].contiguous(memory_format=torch.channels_last)
    for leaf in leaves if of_images else leaves[1:]:
        leaf.requires_grad_(True)
    asked = [leaf for leaf in leaves if leaf.requires_grad]
    out = convolution(*leaves, **keys)
    first = torch.autograd.grad((out.tanh() ** 2).sum(), asked, create_graph=True)
    along = [drawn(*leaf.shape, seed=4 + i, dtype=dtype) for i, leaf in enumerate(asked)]
    second = torch.autograd.grad(first, asked, along, retain_graph=True)
    of_weights = torch.autograd.grad(first[1 if of_images else 0], asked, along[1 if of_images else 0])
    return [out, *first, *second, *of_weights]


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_numbers(kind: str, bias: bool) -> None:
    for of_images in (True, False):
        expected = derivatives(kind, bias=bias, of_images=of_images)
        with TwiceDifferentiable():
            found = derivatives(kind, bias=bias, of_images=of_images)
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_numbers_in_single_precision(kind: str, last: bool) -> None:
    """Where other kernels compute them, with channels last or not."""
    expected = derivatives(kind, bias=True)
    with TwiceDifferentiable():
        found = derivatives(kind, bias=True, dtype=torch.float32, last=last)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-4, atol=1e-4)


def test_a_sum_with_a_convolution_is_one_kernel_where_there_is_one() -> None:
    def kernels() -> set[str]:
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile, TwiceDifferentiable():
            derivatives("plain", bias=False, dtype=torch.float32)
        return {event.name for event in profile.events()}

    assert ("mkldnn::_convolution_pointwise_" in kernels()) == fusing.available()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("named padding", "an image alone")])
def test_no_convolution_has_a_kernel_as_large_as_the_image(kind: str) -> None:
    """Which is what torch differentiates by, and slow."""

    def convolutions() -> set[str]:
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
            derivatives(kind, bias=False)
        return {event.name for event in profile.events() if "double_backward" in event.name}

    assert convolutions()
    with TwiceDifferentiable():
        assert not convolutions()


RELUS: dict[str, Callable[[Tensor], Tensor]] = {
    "function": functional.relu,
    "function in place": lambda x: functional.relu(x, inplace=True),
    "function in place by position": lambda x: functional.relu(x, True),
    "module": nn.ReLU(),
    "module in place": nn.ReLU(inplace=True),
    "of torch": torch.relu,
    "of torch, in place": torch.relu_,
    "method": lambda x: x.relu(),
    "method in place": lambda x: x.relu_(),
}


@pytest.mark.parametrize("kind", RELUS)
def test_relus_write_where_torchs_do_and_have_the_same_derivatives(kind: str) -> None:
    def derivatives() -> list[Tensor]:
        leaf = drawn(5, 4, seed=1).requires_grad_(True)
        x = leaf**3
        out = RELUS[kind](x)
        first = torch.autograd.grad((out.sin() * x.cos()).sum(), leaf, create_graph=True)[0]
        (second,) = torch.autograd.grad(first, leaf, drawn(5, 4, seed=2), create_graph=True)
        return [x.detach(), first.detach(), second.detach(), *torch.autograd.grad(second.sum(), leaf)]

    expected = derivatives()
    with TwiceDifferentiable():
        found = derivatives()
    assert "in place" not in kind or bool((found[0] >= 0).all())
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_no_zeros_are_added_up_for_the_second_derivative_of_a_relu() -> None:
    def made() -> int:
        x = drawn(5, 4, seed=1).requires_grad_(True)
        (first,) = torch.autograd.grad((x.relu() ** 3).sum(), x, create_graph=True)
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
            torch.autograd.grad(first.sum(), x)
        return sum("zeros" in event.name for event in profile.events())

    before = made()
    with TwiceDifferentiable():
        assert made() < before


def test_in_a_transform_of_functions_torch_differentiates() -> None:
    weight, images = drawn(4, 2, 3, 3, seed=1).requires_grad_(True), drawn(5, 2, 6, 6, seed=2)

    def second() -> Tensor:
        out = torch.vmap(lambda image: functional.conv2d(image[None], weight)[0].relu())(images)
        (first,) = torch.autograd.grad((out.tanh() ** 2).sum(), weight, create_graph=True)
        return torch.autograd.grad((first**2).sum(), weight)[0]

    expected = second()
    with TwiceDifferentiable():
        torch.testing.assert_close(second(), expected, rtol=1e-12, atol=1e-12)


def test_a_third_derivative_is_refused() -> None:
    x, weight = drawn(2, 1, 4, 4, seed=1), drawn(2, 1, 3, 3, seed=2).requires_grad_(True)
    with TwiceDifferentiable():
        out = functional.conv2d(x, weight)
    (first,) = torch.autograd.grad((out**3).sum(), weight, create_graph=True)
    with pytest.raises(RuntimeError, match="cannot be differentiated three times"):
        torch.autograd.grad(first.sum(), weight, create_graph=True)
