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
    from landscape.api.bases import basis as basis
    from landscape.api.bases import mark as mark
    from landscape.api.imported import import_directions as import_directions
    from landscape.api.imported import import_surface as import_surface
    from landscape.api.planes import line as line
    from landscape.api.planes import numbers as numbers
    from landscape.api.planes import path as path
    from landscape.api.planes import plane as plane
    from landscape.api.points import activations as activations
    from landscape.api.points import eigenpairs as eigenpairs
    from landscape.api.points import probe as probe
    from landscape.api.points import saddle as saddle
    from landscape.api.points import spectrum as spectrum
    from landscape.api.points import trace as trace
    from landscape.api.runs import adopt as adopt
    from landscape.api.runs import dataset as dataset
    from landscape.api.runs import network as network
    from landscape.api.runs import rescale as rescale
    from landscape.api.runs import train as train
    from landscape.errors import InputError as InputError
    from landscape.figures import draw as draw

_MODULES = {
    "InputError": "landscape.errors",
    "activations": "landscape.api.points",
    "adopt": "landscape.api.runs",
    "basis": "landscape.api.bases",
    "dataset": "landscape.api.runs",
    "draw": "landscape.figures.draw",
    "eigenpairs": "landscape.api.points",
    "import_directions": "landscape.api.imported",
    "import_surface": "landscape.api.imported",
    "line": "landscape.api.planes",
    "mark": "landscape.api.bases",
    "network": "landscape.api.runs",
    "numbers": "landscape.api.planes",
    "path": "landscape.api.planes",
    "plane": "landscape.api.planes",
    "probe": "landscape.api.points",
    "rescale": "landscape.api.runs",
    "saddle": "landscape.api.points",
    "spectrum": "landscape.api.points",
    "trace": "landscape.api.points",
    "train": "landscape.api.runs",
}
"""Every public name and its module; `draw` is a module itself."""

__all__ = list(_MODULES)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'landscape' has no attribute {name!r}")
    module = importlib.import_module(_MODULES[name])
    return module if name == "draw" else getattr(module, name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
