"""A data set that the user's own function returns."""

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
    """The data set of `package.module:function` or `path/file.py:function`, which is called, once.

    It returns a mapping of NumPy arrays, tensors or lists that are what `landscape.data.arrays` says; what else stands in
    the mapping does not matter. Neither shape nor classes are known without a call, so the check of a configuration calls
    it too. What it draws at random it draws from a seed of its own, or no two calls agree.

    Raises:
        InputError: if it cannot be called or returns something else.
    """
    returned = _returned(name, args)
    headers = {key: (array.shape, array.dtype) for key, array in returned.items()}
    shape, classes = arrays.look(headers, returned)

    def read(downloads: Path) -> dict[str, Tensor]:
        return arrays.tensors(headers, returned)

    return Source(shape, classes, read)


def _returned(name: str, args: Mapping[str, Any]) -> dict[str, np.ndarray]:
    with function_named(name, "which cannot be called: ") as function:
        try:
            returned = function(**args)
        except MemoryError:
            raise
        except (Exception, SystemExit) as error:
            raise InputError(f"which failed: {type(error).__name__}: {error}") from error
        if not isinstance(returned, Mapping):
            raise InputError(
                f"which returned {type(returned).__name__}; it must return a mapping with train_images, train_labels and, "
                "where there is a test split, test_images, test_labels"
            )
        return {str(key): _array(key, value) for key, value in returned.items()}


def _array(key: Any, value: Any) -> np.ndarray:
    try:
        return np.asarray(value.cpu() if isinstance(value, Tensor) else value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"which returned {key!r} that is no array: {error}") from None
