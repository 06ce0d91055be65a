"""Read and write result files, whole or not at all, with their provenance."""

from __future__ import annotations

import contextlib
import datetime
import errno
import functools
import hashlib
import importlib.metadata
import json
import math
import os
import platform
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

import landscape
from landscape.errors import InputError
from landscape.lazy import netCDF4, np, xr

FORMAT_VERSION = 1
HEADER = "landscape"
"""Entry of a safetensors file's metadata that holds our header."""

_STATE = re.compile(r"(?P<file>.+)@(?P<epoch>\d{3})", re.DOTALL)
_TRANSIENT = {errno.EIO, errno.ENOMEM, errno.ESTALE, errno.EMFILE, errno.ENFILE, errno.ETIMEDOUT}
_MAX_COMPRESSION = 1000  # bytes in memory for one in a NetCDF file; deflate's limit
_IN_NUMPY = {"BOOL", "F16", "F32", "F64", *(f"{kind}{bits}" for kind in "IU" for bits in (8, 16, 32, 64))}
_PACKAGES = ("torch", "numpy", "xarray", "netCDF4", "matplotlib", "scikit-learn", "snakemake")


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` after the block, or delete it after an error.

    So no reader sees half a file, and an older file stays until the new one is whole.
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
    """Write a NetCDF-4 file by the CF conventions.

    Floats have no fill value, since xarray's NaN would turn an overflow into "missing". The file is composed in memory
    first, because Python reports a full disk as such, and the HDF5 library does not.
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
    _check_is_file(path)
    try:
        with xr.open_dataset(path, engine="netcdf4", mask_and_scale=False, decode_times=False) as opened:
            if opened.nbytes > _MAX_COMPRESSION * os.path.getsize(path):
                raise ValueError(f"it says that it holds {opened.nbytes:,} bytes, and has {os.path.getsize(path):,}")
            dataset = opened.load()
    except (OSError, ValueError, RuntimeError, LookupError, TypeError, AttributeError) as error:
        _raise_if_transient(error)
        raise InputError(f"{path} is not a whole NetCDF file: {error}") from None
    _check_version(path, dataset.attrs)
    _check_json(path, dataset.attrs)
    return dataset


_HEADER_TYPES: Mapping[str, Any] = {
    "name": str,
    "state": str,
    "spec": dict,
    "classes": int | None,
    "epoch": int | None,
    "epochs": list,
}
"""Types of entries of a safetensors file's header."""

_ATTRIBUTE_TYPES = {"spec": dict, "direction_norms": list, "drift": list}
"""Types of NetCDF attributes that hold JSON."""


class Header(dict[str, Any]):
    """Header of a safetensors file. A missing entry, or one of a wrong type, raises InputError."""

    def __init__(self, path: Path, content: Mapping[str, Any]):
        super().__init__(content)
        self._path = path
        for key, kind in _HEADER_TYPES.items():
            if key in content and not isinstance(content[key], kind):
                raise InputError(f"{path} is damaged: its header has {content[key]!r} for {key}")

    def __missing__(self, key: str) -> Any:
        raise InputError(f"{self._path} is not the file needed here: its header has no entry {key!r}")


def read_header(path: str | Path) -> Header:
    """Read the header of a safetensors file, without torch.

    Raises:
        InputError: if the file does not exist, or `checkpoint.write` did not make it, or a later version did.
    """
    _check_is_file(path)
    try:
        with safe_open(path, "numpy") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError, ValueError) as error:
        _raise_if_transient(error)
        raise InputError(f"{path} is not a whole safetensors file: {error}") from None
    try:
        header = json.loads(metadata[HEADER])
    except (KeyError, ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        raise InputError(f"{path} was not made by landscape: its header has no valid entry {HEADER!r}")
    _check_version(path, header)
    return Header(Path(path), header)


def tensors_in(path: str | Path, largest: int) -> Iterator[tuple[str, list[int], str, np.ndarray | None]]:
    """Yield name, shape, type and values of each tensor of a safetensors file, which must have passed `read_header`.

    Of a tensor of more than `largest` numbers, or of a type that NumPy lacks (bfloat16), the values are None.
    """
    with safe_open(path, "numpy") as file:
        for key in list(file.keys()):
            part = file.get_slice(key)
            shape, dtype = part.get_shape(), part.get_dtype()
            known = dtype in _IN_NUMPY and math.prod(shape) <= largest
            yield key, shape, dtype, file.get_tensor(key) if known else None


def file_of(path: str | Path) -> Path:
    """Return the file that `FILE` or `FILE@003` names."""
    match = _STATE.fullmatch(str(path))
    return Path(match["file"]) if match else Path(path)


def epoch_of(path: str | Path) -> int | None:
    """Return the epoch that `FILE@003` names, else None."""
    match = _STATE.fullmatch(str(path))
    return int(match["epoch"]) if match else None


def state_in(path: str | Path) -> str:
    """Return the state that `FILE` or `FILE@003` holds: `RUN` or `RUN@003`."""
    epoch = epoch_of(path)
    return str(read_header(file_of(path))["name"]) + ("" if epoch is None else f"@{epoch:03d}")


def checksum(path: str | Path) -> str:
    """Compute the SHA-256 of a file; of a safetensors file only its tensors and normalisation, not its date."""
    place = file_of(path)
    with open(place, "rb") as file:
        if place.suffix != ".safetensors":
            return hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(8 + int.from_bytes(file.read(8), "little"))
        digest = hashlib.file_digest(file, "sha256")
    header = read_header(place)
    digest.update(json.dumps([header.get(key) for key in ("mean", "std", "classes")]).encode())
    return digest.hexdigest()


def read_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """Read a safetensors file as arrays, without torch; for `FILE@003` those of epoch 3 in a file of epochs.

    Raises:
        InputError: if it is not a whole safetensors file, or holds no such epoch.
    """
    place, epoch = file_of(path), epoch_of(path)
    prefix = "" if epoch is None else f"{epoch:03d}/"
    try:
        with safe_open(place, "numpy") as file:
            keys = [key for key in list(file.keys()) if key.startswith(prefix)]
            arrays = {key.removeprefix(prefix): file.get_tensor(key) for key in keys}
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        _raise_if_transient(error)
        raise InputError(f"{place} is not a whole safetensors file: {error}") from None
    if not arrays:
        raise InputError(f"{place} holds nothing" if epoch is None else f"{place} holds no epoch {epoch:03d}")
    return arrays


def versions() -> dict[str, str]:
    """Return the versions of this package, its code, Python, and the libraries that alter numbers or pictures."""
    found = {"landscape": landscape.__version__, "code": code_version(), "python": platform.python_version()}
    for package in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


@functools.cache
def code_version() -> str:
    """Digest of this package's source: tells apart two states of one version."""
    folder = Path(landscape.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def provenance(verb: str) -> dict[str, Any]:
    """Return the header entries of every result: the maker and the date."""
    date = now()
    made = {"format_version": FORMAT_VERSION, "versions": versions(), "date": date}
    return {**made, "history": f"{date} landscape {verb}"}


def _check_is_file(path: str | Path) -> None:
    if not Path(path).is_file():
        raise InputError(f"{path}: there is no such file")


def _check_version(path: str | Path, header: Mapping[str, Any]) -> None:
    version = header.get("format_version", FORMAT_VERSION)
    if not isinstance(version, int | np.integer) or version > FORMAT_VERSION:
        raise InputError(f"{path} has format version {version}; this landscape reads up to {FORMAT_VERSION}")


def _check_json(path: str | Path, attrs: Mapping[str, Any]) -> None:
    for key, kind in _ATTRIBUTE_TYPES.items():
        try:
            found = json.loads(attrs.get(key, "null"))
        except (ValueError, TypeError, RecursionError):
            found = ...
        if key in attrs and not isinstance(found, kind):
            raise InputError(f"{path} is damaged: its attribute {key} is {str(attrs[key])[:80]!r}")


def _raise_if_transient(error: Exception) -> None:
    """Raise again an error of disk or memory, which is not the file's fault."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in _TRANSIENT):
        raise error


def _whole(buffer: memoryview) -> memoryview:
    """Cut off the padding behind the end of an HDF5 file composed in memory.

    Byte 28 of the superblock (version 2 or 3) holds the end. With padding, readers would not notice a truncated file.
    """
    end = int.from_bytes(buffer[28:36], "little")
    return buffer[:end] if buffer[8] in (2, 3) and end <= len(buffer) else buffer


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
