"""Check arrays of examples, from a file or a function, and turn them into tensors.

The arrays are `train_inputs` and `train_targets` and, with a test split, `test_inputs` and `test_targets`; of several inputs
or targets each has its name: `train_inputs_NAME`. Images may be called so: `train_images` and `train_labels`.

uint8 of (n, height, width[, channel]) are images, and so are floating-point numbers of (n, channel, height, width). Where
these have 1, 3 or 4 at the other end, and more than 4 where the channels belong, they are refused, unless `channels` says
where the channels are. All else is taken as it stands: floating-point numbers as float32, whole numbers (tokens,
labels) as int64, truth values as masks. There may be no targets at all.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from landscape.data import class_labels
from landscape.data.examples import Examples, Rows
from landscape.errors import InputError, one_of

Header = tuple[tuple[int, ...], np.dtype]
"""Shape and type of an array."""

Opened = AbstractContextManager[tuple[Mapping[str, Header], Mapping[str, np.ndarray]]]
"""The headers of arrays, and the arrays, each read on access."""

Channels = Literal["first", "last"]
"""Where images have their channels."""

Splits = dict[str, Examples]
"""The examples of `train` and, if there is one, of `test`."""

_NAME = re.compile(r"(?P<split>train|test)_(?P<kind>inputs|targets|images|labels)(?:_(?P<part>\w+))?")
_CHANNELS = (1, 3, 4)
_KINDS = {"images": "inputs", "labels": "targets"}


@dataclass(frozen=True)
class Source:
    """A data set whose headers are checked and whose inputs are not yet read.

    Errors in finding or reading it do not name it; `datasets` puts its name before them.
    """

    sample: Examples
    """Two training examples of zeros, in the shapes and types that a network sees."""

    classes: int | None
    """None if the targets are not whole numbers."""

    read: Callable[[Path], Splits]
    """Reads the splits, with images as uint8 or float32 (n, channels, height, width). Takes a folder for downloads."""

    labels: class_labels.Labels | None = None
    """Values of the labels; None if the targets are none, or if they are classes for certain."""

    @property
    def image_shape(self) -> tuple[int, int, int] | None:
        """(channels, height, width) of one input; None if the inputs are no images."""
        return self.sample.image_shape


@dataclass(frozen=True)
class Named:
    """An array of a data set, by its name: `train_inputs_mask` is the part `mask` of the inputs of `train`."""

    name: str
    split: str
    kind: str
    part: str | None


def source(opened: Callable[[], Opened], channels: Channels | None = None) -> Source:
    """Check headers and targets of arrays, without reading the inputs, which the source reads later.

    Args:
        opened: opens the arrays, with their headers.
        channels: where images have their channels; by default by their type.

    Raises:
        InputError: with every problem found.
    """
    with opened() as (headers, arrays):
        inputs = [one.name for one in _named(headers) if one.kind == "inputs"]
        headers = {**headers, **{name: _placed(headers[name], channels) for name in inputs}}
        if found := _problems(headers, is_stated=channels is not None):
            raise InputError(found)
        by_kind = _by_kind(headers)
        targets = [one for (_, kind), named in by_kind.items() if kind == "targets" for one in named]
        whole = [one for one in targets if headers[one.name][1].kind in "iu"]
        classes = max(2, *(1 + int(arrays[one.name].max()) for one in whole)) if whole and whole == targets else None
        values = {one.split: class_labels.values(arrays[one.name]) for one in whole if one.part is None}
    known = {split: of for split, of in values.items() if of is not None}

    def zeros(kind: str) -> Rows | None:
        named = by_kind.get(("train", kind), [])
        found = {one.part: _zeros(headers[one.name], is_input=kind == "inputs") for one in named}
        return together(found) if found else None

    def read(downloads: Path) -> Splits:
        with opened() as (headers, arrays):
            return _tensors(headers, arrays, channels)

    return Source(Examples(zeros("inputs"), zeros("targets")), classes, read, known if "train" in known else None)


def source_of(arrays: Mapping[str, np.ndarray], channels: Channels | None = None) -> Source:
    """Check arrays in memory, as `source` does."""
    headers = {name: (array.shape, array.dtype) for name, array in arrays.items()}
    return source(lambda: nullcontext((headers, arrays)), channels)


def image_sample(shape: tuple[int, int, int]) -> Examples:
    """Make the sample of a data set of labelled images, (channels, height, width)."""
    return Examples(torch.zeros(2, *shape), torch.zeros(2, dtype=torch.int64))


def _zeros(header: Header, *, is_input: bool) -> Tensor:
    shape, dtype = header
    image = _image_shape(header) if is_input else None
    kind = torch.bool if dtype.kind == "b" else torch.int64 if dtype.kind in "iu" and not image else torch.float32
    return torch.zeros(2, *(image or shape[1:]), dtype=kind)


def _tensors(headers: Mapping[str, Header], arrays: Mapping[str, np.ndarray], channels: Channels | None) -> Splits:
    """Turn arrays that `source` has checked into tensors.

    Raises:
        InputError: if a value is not finite.
    """
    by_kind = _by_kind(headers)

    def rows(split: str, kind: str) -> Rows | None:
        named = by_kind.get((split, kind), [])
        found = {one.part: _tensor(arrays[one.name], one.name, channels, is_input=kind == "inputs") for one in named}
        return together(found) if found else None

    splits = {}
    for split in dict.fromkeys(split for split, _ in by_kind):
        inputs = rows(split, "inputs")
        assert inputs is not None
        splits[split] = Examples(inputs, rows(split, "targets"))
    return splits


def together(parts: Mapping[str | None, Tensor]) -> Rows:
    """Make rows of named parts: one without a name is a tensor, names that are numbers make a tuple."""
    if list(parts) == [None]:
        return parts[None]
    if all(str(part).isdecimal() for part in parts):
        return tuple(parts[part] for part in sorted(parts, key=lambda part: int(str(part))))
    return {str(part): tensor for part, tensor in parts.items()}


def not_finite(tensor: Tensor, name: str) -> str | None:
    """Say how many values of a tensor are not finite, and where the first is; None if all are finite."""
    if not tensor.is_floating_point() or not (number := tensor.numel() - int(tensor.isfinite().count_nonzero())):
        return None
    where = (~tensor.isfinite()).nonzero()[0].tolist()
    return f"{name} hold {number} values that are not finite, the first at {where}"


def _tensor(array: np.ndarray, name: str, channels: Channels | None, *, is_input: bool) -> Tensor:
    if is_input and (order := _order((array.shape, array.dtype), channels)):
        array = array.transpose(order)
    if is_input and _is_image(array.shape, array.dtype):
        array = array[..., None] if array.ndim == 3 else array
        return torch.from_numpy(np.ascontiguousarray(array.transpose(0, 3, 1, 2)))
    if array.dtype.kind == "b":
        return torch.from_numpy(np.ascontiguousarray(array))
    if array.dtype.kind in "iu":
        return torch.from_numpy(array.astype(np.int64))
    with np.errstate(over="ignore"):  # an overflow in float32 is refused as not finite
        tensor = torch.from_numpy(array.astype(np.float32))
    if problem := not_finite(tensor, name):
        raise InputError(problem)
    return tensor


def _named(names: Iterable[str]) -> list[Named]:
    found = []
    for name in names:
        if match := _NAME.fullmatch(name):
            kind = match["kind"]
            found.append(Named(name, match["split"], _KINDS.get(kind, kind), match["part"]))
    return found


def _by_kind(names: Iterable[str]) -> dict[tuple[str, str], list[Named]]:
    found: dict[tuple[str, str], list[Named]] = {}
    for one in sorted(_named(names), key=lambda one: one.split != "train"):
        found.setdefault((one.split, one.kind), []).append(one)
    return found


def _problems(headers: Mapping[str, Header], *, is_stated: bool) -> list[str]:
    by_kind = _by_kind(headers)
    splits = list(dict.fromkeys(["train", *(split for split, _ in by_kind)]))
    has_targets = any(kind == "targets" for _, kind in by_kind) or any("_images" in name for name in headers)
    words = (
        ("images", "labels") if any(re.search("_(images|labels)", name) for name in headers) else ("inputs", "targets")
    )
    wanted = dict(zip(("inputs", "targets"), words, strict=True))
    kinds = ["inputs", "targets"] if has_targets else ["inputs"]
    missing = [f"{split}_{wanted[kind]}" for split in splits for kind in kinds if (split, kind) not in by_kind]
    strange = [name for name in headers if re.match("(train|test)_", name) and not _NAME.fullmatch(name)]
    if missing or strange:
        lacking = [f"it lacks {', '.join(missing)}; it holds {', '.join(headers) or 'nothing'}"] if missing else []
        return lacking + [
            f"it holds {name}; names are train_inputs, train_targets, train_inputs_NAME" for name in strange
        ]
    found = [problem for one in _named(headers) for problem in _array_problems(one, headers[one.name], is_stated)]
    for split in splits:
        found += _split_problems([one for one in _named(headers) if one.split == split], headers)
    if found:
        return found
    for kind in kinds if "test" in splits else ():
        train, test = ({one.part: one for one in by_kind[split, kind]} for split in ("train", "test"))
        for one in (*train.values(), *test.values()):
            if one.part not in train or one.part not in test:
                return [f"it has {one.name}, and no such {kind} of {'test' if one.part in train else 'train'}"]
            pair = train[one.part], test[one.part]
            if len({_kind(headers[which.name], is_input=kind == "inputs") for which in pair}) > 1:
                return [
                    f"{which.name} are {dtype} {shape}; those of the two splits must have one type and size"
                    for which in pair
                    for shape, dtype in [headers[which.name]]
                ]
    return []


def _array_problems(one: Named, header: Header, is_stated: bool) -> Iterator[str]:
    shape, dtype = header
    if dtype.kind not in "fiub":
        yield f"{one.name} are {dtype} {shape}; allowed are floating-point and whole numbers and truth values"
    elif not shape:
        yield f"{one.name} are {dtype} {shape}; allowed are arrays with a row per example"
    elif 0 in shape:
        yield f"{one.name} are empty: {shape}"
    elif "_images" in one.name and not (_is_image(shape, dtype) or dtype.kind == "f" and len(shape) == 4):
        yield (
            f"{one.name} are {dtype} {shape}; they must be uint8 (n, height, width[, channel]) "
            "or float (n, channel, height, width)"
        )
    elif "_labels" in one.name and not _is_labels((shape, dtype)):
        yield f"{one.name} are {dtype} {shape}; they must be whole numbers (n,)"
    elif one.kind == "inputs" and not is_stated and (place := _swapped(shape, dtype)):
        yield (
            f"{one.name} are {dtype} {shape}, which looks as if the channels were {place}; uint8 has the channels last, float "
            "has them first; if not so, state channels: first or last"
        )


def _split_problems(named: list[Named], headers: Mapping[str, Header]) -> Iterator[str]:
    parts = {one.part for one in named if one.kind == "inputs"}
    if None in parts and len(parts) > 1:
        yield f"it holds {one_of([one.name for one in named])}; inputs are one array, or each has a name of its own"
    lengths = {one.name: headers[one.name][0][0] for one in named if headers[one.name][0]}
    if len(set(lengths.values())) > 1:
        yield f"it has {' and '.join(f'{length} {name}' for name, length in lengths.items())}"


def _is_labels(header: Header) -> bool:
    return header[1].kind in "iu" and len(header[0]) == 1


def _is_image(shape: tuple[int, ...], dtype: np.dtype) -> bool:
    return dtype == np.uint8 and len(shape) in (3, 4)


def _swapped(shape: tuple[int, ...], dtype: np.dtype) -> Channels | None:
    """Return where the channels seem to be if this is the wrong end: 1, 3 or 4 of them there, and more than 4 here."""
    if len(shape) != 4 or _usual(dtype) is None:
        return None
    usual, other = (shape[3], shape[1]) if _usual(dtype) == "last" else (shape[1], shape[3])
    if usual <= max(_CHANNELS) or other not in _CHANNELS:
        return None
    return "first" if _usual(dtype) == "last" else "last"


def _usual(dtype: np.dtype) -> Channels | None:
    return "last" if dtype == np.uint8 else "first" if dtype.kind == "f" else None


def _order(header: Header, channels: Channels | None) -> tuple[int, ...] | None:
    """The order of dimensions that brings the channels where they belong; None if they are there."""
    shape, dtype = header
    if channels is None or len(shape) != 4 or _usual(dtype) in (None, channels):
        return None
    return (0, 3, 1, 2) if channels == "last" else (0, 2, 3, 1)


def _placed(header: Header, channels: Channels | None) -> Header:
    order = _order(header, channels)
    return (tuple(header[0][dim] for dim in order), header[1]) if order else header


def _kind(header: Header, *, is_input: bool) -> tuple[str, tuple[int, ...]]:
    """Type and shape of an example, as the network sees it."""
    shape, dtype = header
    if is_input and _is_image(shape, dtype):
        return "image", _image_shape(header) or ()
    return "i" if dtype.kind == "u" else dtype.kind, shape[1:]


def _image_shape(header: Header) -> tuple[int, int, int] | None:
    shape, dtype = header
    if _is_image(shape, dtype):
        return (shape[3] if len(shape) == 4 else 1), shape[1], shape[2]
    return (shape[1], shape[2], shape[3]) if dtype.kind == "f" and len(shape) == 4 else None
