"""Load slow libraries on first use.

Reading a configuration imports every kind of figure and every measure, and must not wait for libraries that draw and
compute. So figures, geometry, measures and probes say `from landscape.lazy import np, xr`, and keep annotations as text
(`from __future__ import annotations`).
"""

import importlib
import importlib.util
from types import ModuleType
from typing import TYPE_CHECKING, Any

__all__ = ["art3d", "contourpy", "mpl", "netCDF4", "np", "pd", "scipy", "torch", "xr"]

if TYPE_CHECKING:
    import contourpy
    import matplotlib as mpl
    import netCDF4
    import numpy as np
    import pandas as pd
    import scipy.interpolate
    import scipy.ndimage
    import scipy.spatial
    import scipy.stats
    import torch
    import xarray as xr
    from mpl_toolkits.mplot3d import art3d
else:

    class _Lazy(ModuleType):
        """Imports a module, or a submodule of it, when one of its attributes is first used."""

        def __getattr__(self, name: str) -> Any:
            module = importlib.import_module(self.__name__)
            submodule = f"{self.__name__}.{name}"
            if not hasattr(module, name) and not name.startswith("_") and importlib.util.find_spec(submodule):
                importlib.import_module(submodule)
            value = getattr(module, name)
            setattr(self, name, value)
            return value

    contourpy, mpl, netCDF4, np = map(_Lazy, ("contourpy", "matplotlib", "netCDF4", "numpy"))
    pd, scipy, torch, xr = map(_Lazy, ("pandas", "scipy", "torch", "xarray"))
    art3d = _Lazy("mpl_toolkits.mplot3d.art3d")
