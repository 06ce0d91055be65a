"""See the loss surfaces of neural networks (Li et al., "Visualizing the Loss Landscape of Neural Nets", 2018).

Submodules are imported when first used, so that `import landscape` costs nothing and a process that only
reads the configuration never loads torch.
"""

import importlib
from types import ModuleType

__version__ = "0.1.0"

_MODULES = (
    "analysis",
    "cli",
    "config",
    "data",
    "directions",
    "engine",
    "errors",
    "experiment",
    "figures",
    "geometry",
    "hessian",
    "measures",
    "networks",
    "probes",
    "progress",
    "running",
    "store",
    "training",
    "verbs",
)


def __getattr__(name: str) -> ModuleType:
    if name in _MODULES:
        return importlib.import_module(f"landscape.{name}")
    raise AttributeError(f"module 'landscape' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *_MODULES]
