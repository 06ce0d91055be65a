"""Data sets in an .npz file with the arrays of `landscape.data.arrays`. Nothing is unpickled."""

import contextlib
import math
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from landscape.data.arrays import Channels, Header, Source, source
from landscape.errors import InputError

_DAMAGE = (ValueError, OSError, EOFError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error)
"""Errors that reading a damaged .npz raises."""


def find(path: Path, channels: Channels | None = None) -> Source:
    """Find the data set in a file, by its headers and labels.

    Raises:
        InputError: if the file is malformed or, on reading, damaged.
    """
    return source(lambda: _opened(path), channels)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[dict[str, Header], Mapping[str, np.ndarray]]]:
    """Open a file: the headers of its arrays, and the arrays, each read on access."""
    try:
        headers = _headers(path)
        with np.load(path, allow_pickle=False) as file:
            yield headers, file
    except InputError:
        raise
    except _DAMAGE as error:
        raise InputError(f"it is not a whole .npz file: {error}") from None


def _headers(path: Path) -> dict[str, Header]:
    """Read shape and type of every array, not its values."""
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(".npy")]
        return {name.removesuffix(".npy"): _npy_header(archive, name) for name in names}


def _npy_header(archive: zipfile.ZipFile, name: str) -> Header:
    with archive.open(name) as file:
        version = np.lib.format.read_magic(file)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read_header(file)
        size = archive.getinfo(name).file_size - file.tell()
    if not dtype.hasobject and size != math.prod(shape) * dtype.itemsize:
        raise ValueError(
            f"{name} has {size} bytes of values, and {shape} of {dtype} are {math.prod(shape) * dtype.itemsize}"
        )
    return shape, dtype
