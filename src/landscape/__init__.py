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
        basis,
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
    from landscape.figures import draw

__all__ = [
    "InputError",
    "activations",
    "adopt",
    "basis",
    "dataset",
    "draw",
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


_ELSEWHERE = {"InputError": ("landscape.errors", "InputError"), "draw": ("landscape.figures.draw", "")}
"""Public names that are not functions of `landscape.api`: their modules, and the names there; none for the module itself."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'landscape' has no attribute {name!r}")
    module, attribute = _ELSEWHERE.get(name, ("landscape.api", name))
    found = importlib.import_module(module)
    return getattr(found, attribute) if attribute else found


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
