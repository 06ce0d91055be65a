"""See the loss surfaces of neural networks (Li et al., "Visualizing the Loss Landscape of Neural Nets", 2018).

    import landscape as ls

    surface = ls.plane(network, data, alpha=(-1, 1, 51), beta=(-1, 1, 51), seed=1)
    ls.draw.contours(surface)

The public names are loaded when they are asked for: `import landscape` costs nothing, and whoever only reads a configuration
never loads torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from landscape.api import (
        activations,
        adopt,
        dataset,
        eigenpairs,
        line,
        mark,
        network,
        numbers,
        path,
        plane,
        probe,
        rescale,
        saddle,
        spectrum,
        trace,
        train,
    )
    from landscape.errors import InputError

__all__ = [
    "InputError",
    "activations",
    "adopt",
    "dataset",
    "eigenpairs",
    "line",
    "mark",
    "network",
    "numbers",
    "path",
    "plane",
    "probe",
    "rescale",
    "saddle",
    "spectrum",
    "trace",
    "train",
]


def __getattr__(name: str) -> Any:
    if name == "InputError":
        return importlib.import_module("landscape.errors").InputError
    if name in __all__:
        return getattr(importlib.import_module("landscape.api"), name)
    raise AttributeError(f"module 'landscape' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
