"""Data sets that a user's function returns."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from landscape.data import arrays
from landscape.data.arrays import Source
from landscape.errors import InputError
from landscape.networks.import_function import function_named


def find(name: str, args: Mapping[str, Any]) -> Source:
    """Call `package.module:function` or `path/file.py:function` once, and check the data set that it returns.

    The function returns a mapping with the arrays of `landscape.data.arrays`, as NumPy arrays, tensors or lists; other
    entries are ignored. The check of a configuration calls it too, since only a call tells shape and classes. A function
    that draws at random must use a fixed seed, or its calls disagree.

    Raises:
        InputError: if the call fails or returns something else.
    """
    returned = _returned(name, args)
    headers = {key: (array.shape, array.dtype) for key, array in returned.items()}
    shape, classes = arrays.look(headers, returned)

    def read(downloads: Path) -> dict[str, Tensor]:
        return arrays.tensors(headers, returned)

    return Source(shape, classes, read)


def _returned(name: str, args: Mapping[str, Any]) -> dict[str, np.ndarray]:
    with function_named(name, prefix="") as function:
        try:
            returned = function(**args)
        except MemoryError:
            raise
        except (Exception, SystemExit) as error:
            raise InputError(f"the call failed: {type(error).__name__}: {error}") from error
        if not isinstance(returned, Mapping):
            raise InputError(
                f"it returned {type(returned).__name__}; it must return a mapping with train_images, train_labels and, "
                "for a test split, test_images, test_labels"
            )
        return {str(key): _array(key, value) for key, value in returned.items()}


def _array(key: Any, value: Any) -> np.ndarray:
    try:
        return np.asarray(value.cpu() if isinstance(value, Tensor) else value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"it returned {key!r} that is no array: {error}") from None
