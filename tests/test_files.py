"""Files are whole or not there, and NetCDF keeps what an array held."""

import os
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr

from landscape.errors import InputError
from landscape.store import files


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    files.write_text(path, "before")
    with pytest.raises(ZeroDivisionError), files.replacing(path) as temporary:
        temporary.write_text("half")
        1 / 0  # noqa: B018
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["file.txt"]


def test_nobody_sees_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    with files.replacing(path) as temporary:
        temporary.write_text("half")
        assert not path.exists() and temporary.parent == path.parent
    assert path.read_text() == "half"
    assert path.stat().st_mode & 0o777 == 0o666 & ~files._umask()


def test_overflow_is_not_missing(tmp_path: Path) -> None:
    values = np.array([1.0, np.inf, -np.inf, np.nan])
    dataset = xr.Dataset({"loss": ("x", values, {"units": "1"}), "status": ("x", np.array([1, 2, 2, 2], np.int8))})
    files.write_dataset(dataset, tmp_path / "a.nc")
    xr.testing.assert_identical(files.read_dataset(tmp_path / "a.nc"), dataset.assign_attrs(Conventions="CF-1.11"))
    with netCDF4.Dataset(tmp_path / "a.nc") as raw:
        assert raw.data_model == "NETCDF4"
        assert "_FillValue" not in raw["loss"].ncattrs()
        assert not np.ma.is_masked(raw["loss"][:][:3])


@pytest.mark.parametrize("content", [b"", b"text", b"\x89HDF\r\n\x1a\n" + b"\0" * 100])
def test_a_file_that_is_no_netcdf_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.nc").write_bytes(content)
    with pytest.raises(InputError, match="a.nc is not a whole NetCDF file"):
        files.read_dataset(tmp_path / "a.nc")


def test_a_truncated_netcdf_is_named(tmp_path: Path) -> None:
    files.write_dataset(xr.Dataset({"x": ("n", np.arange(1000.0))}), tmp_path / "a.nc")
    (tmp_path / "a.nc").write_bytes((tmp_path / "a.nc").read_bytes()[:-500])
    with pytest.raises(InputError, match="not a whole NetCDF file"):
        files.read_dataset(tmp_path / "a.nc")


def test_a_file_of_the_future_is_refused(tmp_path: Path) -> None:
    files.write_dataset(xr.Dataset(attrs={"format_version": 99}), tmp_path / "a.nc")
    with pytest.raises(InputError, match="format version 99"):
        files.read_dataset(tmp_path / "a.nc")
