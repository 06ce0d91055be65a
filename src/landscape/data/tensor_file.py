"""Data sets in a .safetensors file with the tensors of `landscape.data.arrays`."""

from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from landscape.data.arrays import Channels, Source, source_of
from landscape.errors import InputError


def find(path: Path, channels: Channels | None = None) -> Source:
    """Find the data set in a file.

    Raises:
        InputError: if the file is malformed or damaged.
    """
    return source_of(_read(path), channels)


def _read(path: Path) -> dict[str, np.ndarray]:
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in list(file.keys())}
        return {
            name: (of.float() if of.dtype.itemsize == 2 and of.is_floating_point() else of).numpy()
            for name, of in tensors.items()
        }
    except (SafetensorError, OSError, TypeError, ValueError) as error:
        raise InputError(f"it is not a whole .safetensors file: {error}") from None
