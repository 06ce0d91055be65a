"""Reading and writing: whole files or none, and where they come from."""

import contextlib
import datetime
import importlib.metadata
import os
import platform
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import xarray as xr
from safetensors import SafetensorError, safe_open

import landscape
from landscape.errors import InputError

FORMAT_VERSION = 1
_PACKAGES = ("torch", "numpy", "xarray", "netCDF4", "matplotlib", "scikit-learn", "snakemake")


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends well, and vanishes when it does not.

    So a reader never sees half a file, and what stood at `path` before stays until the new file is whole.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:60]}.", suffix=".tmp")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: str | Path, content: bytes | memoryview) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: str | Path, text: str) -> None:
    write_bytes(path, text.encode())


def write_dataset(dataset: xr.Dataset, path: str | Path) -> None:
    """Write a NetCDF-4 file after the CF conventions.

    Floats have no fill value: xarray's NaN would turn an overflow into "missing". The file is composed in memory
    first, because the HDF5 library reports a full disk as an unspecified error and Python as what it is.
    """
    encoding = {name: {"_FillValue": None} for name in dataset.variables}
    in_memory = netCDF4.Dataset(str(path), "w", format="NETCDF4", memory=1024)
    dataset = dataset.assign_attrs(Conventions="CF-1.11")
    dataset.dump_to_store(xr.backends.NetCDF4DataStore(in_memory), encoding=encoding)
    write_bytes(path, _whole(in_memory.close()))


def read_dataset(path: str | Path) -> xr.Dataset:
    """Read a NetCDF file written by `write_dataset` into memory.

    Raises:
        InputError: if it is not a whole NetCDF file of a format this version knows.
    """
    if not Path(path).is_file():
        raise InputError(f"{path}: there is no such file")
    try:
        with xr.open_dataset(path, engine="netcdf4", mask_and_scale=False, decode_times=False) as opened:
            dataset = opened.load()
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(f"{path} is not a whole NetCDF file: {error}") from None
    if dataset.attrs.get("format_version", FORMAT_VERSION) > FORMAT_VERSION:
        raise InputError(f"{path} has format version {dataset.attrs['format_version']}; this is up to {FORMAT_VERSION}")
    return dataset


def read_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """The tensors of a safetensors file as arrays, without torch; of `FILE@003`, those of epoch 3 in a file of epochs.

    Raises:
        InputError: if it is not a whole safetensors file, or holds no such epoch.
    """
    place, at, epoch = str(path).rpartition("@") if re.search(r"@\d{3}$", str(path)) else (str(path), "", "")
    prefix = f"{epoch}/" if at else ""
    try:
        with safe_open(place, "numpy") as file:
            keys = [key for key in list(file.keys()) if key.startswith(prefix)]
            arrays = {key.removeprefix(prefix): file.get_tensor(key) for key in keys}
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{place} is not a whole safetensors file: {error}") from None
    if not arrays:
        raise InputError(f"{place} holds no epoch {epoch}" if at else f"{place} holds nothing")
    return arrays


def versions() -> dict[str, str]:
    """Version of this package, of Python and of what alters numbers or pictures."""
    found = {"landscape": landscape.__version__, "python": platform.python_version()}
    for package in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def provenance(verb: str) -> dict[str, Any]:
    """The header entries every result has: who made it and when."""
    date = now()
    made = {"format_version": FORMAT_VERSION, "versions": versions(), "date": date}
    return {**made, "history": f"{date} landscape {verb}"}


def _whole(buffer: memoryview) -> memoryview:
    """An HDF5 file composed in memory without the padding behind its end.

    Its superblock (version 2 or 3) says at byte 28 where the file ends. Left in place, the padding would hide from
    readers that a file was cut off.
    """
    end = int.from_bytes(buffer[28:36], "little")
    return buffer[:end] if buffer[8] in (2, 3) and end <= len(buffer) else buffer


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
