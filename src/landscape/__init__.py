"""See the loss surfaces of neural networks (Li et al., "Visualizing the Loss Landscape of Neural Nets", 2018).

Submodules are imported when first used, so that `import landscape` costs nothing and a process that only
reads the configuration never loads torch.
"""

import importlib
from types import ModuleType

__version__ = "0.1.0"

_MODULES = (
    "checkpoint",
    "claims",
    "clean",
    "cli",
    "comparisons",
    "config",
    "curvature",
    "data",
    "device",
    "directions",
    "engine",
    "errors",
    "figures",
    "files",
    "finished",
    "folding",
    "forms",
    "fusing",
    "geometry",
    "loading",
    "moving",
    "networks",
    "pages",
    "plan",
    "progress",
    "queued",
    "recipes",
    "show",
    "summary",
    "surface",
    "tables",
    "tiling",
    "train",
    "trajectory",
    "verbs",
    "weights",
)


def __getattr__(name: str) -> ModuleType:
    if name in _MODULES:
        return importlib.import_module(f"landscape.{name}")
    raise AttributeError(f"module 'landscape' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *_MODULES]
