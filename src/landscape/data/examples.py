"""Examples of any kind: inputs and targets, each a tensor, a tuple or a dictionary of tensors with a row per example."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

Rows = Any
"""A tensor, a tuple or a dictionary of tensors, each with a row per example."""


@dataclass(frozen=True)
class Examples:
    """Some examples of a data set; a batch is one too.

    Attributes:
        inputs: what the network is called with: a tensor as its argument, a tuple as its arguments, a dictionary as its
            keywords.
        targets: what the loss compares the output with; None if there is nothing.
    """

    inputs: Rows
    targets: Rows

    def __len__(self) -> int:
        return len(leaves(self.inputs)[0])

    @property
    def image_shape(self) -> tuple[int, int, int] | None:
        """(channels, height, width) of one input; None if the inputs are no images, float (n, channels, height, width)."""
        return image_shape(self.inputs)

    @property
    def classes(self) -> int | None:
        """One more than the largest target; None if the targets are not whole numbers."""
        if not isinstance(self.targets, Tensor) or self.targets.is_floating_point() or not self.targets.numel():
            return None
        return 1 + int(self.targets.max())

    def map(self, change: Callable[[Tensor], Tensor]) -> Examples:
        """Apply a function to every tensor."""
        return Examples(mapped(self.inputs, change), None if self.targets is None else mapped(self.targets, change))

    def __getitem__(self, which: Any) -> Examples:
        """Take the examples with an index: a slice, a mask or a tensor of numbers."""
        return self.map(lambda tensor: tensor[which])

    def split(self, size: int) -> Iterator[Examples]:
        """Cut into batches of `size`; the last may be shorter."""
        for start in range(0, len(self), size):
            yield self[start : start + size]

    def evenly(self, size: int) -> Iterator[Examples]:
        """Cut into batches of about `size` that differ by at most one example."""
        for part in even_parts(len(self), size):
            yield self[part]

    def to(self, device: torch.device | str) -> Examples:
        return self.map(lambda tensor: tensor.to(device))

    def fresh(self) -> Examples:
        """Copy the inputs, so that code which writes into them does no harm."""
        return Examples(copied(self.inputs), self.targets)

    def in_type(self, dtype: torch.dtype) -> Examples:
        """Convert the floating-point inputs; whole numbers, masks and targets stay."""
        return Examples(in_type(self.inputs, dtype), self.targets)


def leaves(rows: Rows) -> list[Tensor]:
    """List the tensors."""
    if isinstance(rows, Tensor):
        return [rows]
    return list(rows.values() if isinstance(rows, dict) else rows)


def mapped(rows: Rows, change: Callable[[Tensor], Tensor]) -> Rows:
    """Apply a function to every tensor."""
    if isinstance(rows, Tensor):
        return change(rows)
    if isinstance(rows, dict):
        return {name: change(tensor) for name, tensor in rows.items()}
    return tuple(change(tensor) for tensor in rows)


def rows_in(rows: Rows, which: Any) -> Rows:
    """Take the rows with an index: a slice, a mask or a tensor of numbers."""
    return mapped(rows, lambda tensor: tensor[which])


def even_parts(n: int, size: int) -> list[slice]:
    """Cut n rows into parts of about `size` that differ by at most one."""
    parts = max(1, round(n / size))
    least, more = divmod(n, parts)
    ends = [k * least + min(k, more) for k in range(parts + 1)]
    return [slice(start, end) for start, end in itertools.pairwise(ends)]


def joined(parts: list[Rows]) -> Rows:
    """Put rows of one structure one after the other."""
    first = parts[0]
    if len(parts) == 1:
        return first
    if isinstance(first, Tensor):
        return torch.cat(parts)
    if isinstance(first, dict):
        return {name: torch.cat([part[name] for part in parts]) for name in first}
    return tuple(map(torch.cat, zip(*parts, strict=True)))


def copied(rows: Rows) -> Rows:
    """Copy every tensor, so that code which writes into its inputs does no harm."""
    return mapped(rows, Tensor.clone)


def in_type(rows: Rows, dtype: torch.dtype) -> Rows:
    """Convert the floating-point tensors."""
    return mapped(rows, lambda tensor: tensor.to(dtype) if tensor.is_floating_point() else tensor)


def equal(one: Rows, other: Rows) -> bool:
    """Return whether two rows of one structure have the same bits, NaN included."""
    pairs = zip(leaves(one), leaves(other), strict=True)
    return all(torch.equal(torch.nan_to_num(a), torch.nan_to_num(b)) for a, b in pairs)


def image_shape(inputs: Rows) -> tuple[int, int, int] | None:
    """(channels, height, width) of one image; None if the inputs are no images, float (n, channels, height, width)."""
    if not isinstance(inputs, Tensor) or inputs.ndim != 4 or not inputs.is_floating_point():
        return None
    return inputs.shape[1], inputs.shape[2], inputs.shape[3]


def memory_format(inputs: Rows) -> torch.memory_format:
    """Return the memory layout of images, and so of convolutions: for small images the plain one is as fast (measured).

    The layout alters bits, so it depends on the shape of an image alone.
    """
    shape = image_shape(inputs)
    return torch.channels_last if shape and shape[1] * shape[2] >= 32 * 32 else torch.contiguous_format


def laid_out(inputs: Rows, layout: torch.memory_format) -> Rows:
    """Lay images out; other inputs become contiguous."""
    if image_shape(inputs) is None:
        layout = torch.contiguous_format
    return mapped(inputs, lambda tensor: tensor.contiguous(memory_format=layout))


def call(network: nn.Module | Callable[..., Any], inputs: Rows) -> Any:
    """Call the network: a tensor is its argument, a tuple its arguments, a dictionary its keywords."""
    if isinstance(inputs, Tensor):
        return network(inputs)
    return network(**inputs) if isinstance(inputs, dict) else network(*inputs)


def shapes(rows: Rows | None) -> str:
    """Describe the shapes and types of rows, or of what a network or a loss returns, for messages."""
    if rows is None:
        return "none"
    if isinstance(rows, Tensor):
        return f"{str(rows.dtype).removeprefix('torch.')} {tuple(rows.shape)}"
    if not isinstance(rows, dict | tuple | list):
        return f"of the type {type(rows).__name__}"
    named = rows.items() if isinstance(rows, dict) else enumerate(rows)
    return ", ".join(f"{name}: {shapes(tensor)}" for name, tensor in named)
