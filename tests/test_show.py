"""A file says what it is and where it comes from."""

import hashlib
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from safetensors.torch import save_file

from landscape import cli
from landscape.errors import InputError
from landscape.experiment.reading import read
from landscape.running import show
from landscape.store import checkpoint, files
from landscape.store.files import checksum as hash_of

from every_kind import FILES


def told(path: Path | str, capsys: pytest.CaptureFixture[str]) -> Any:
    capsys.readouterr()
    assert cli.main(["show", str(path), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("kind", FILES)
def test_every_kind_of_file_says_all_that_a_result_has_to(
    kind: str, made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = made / "out" / FILES[kind]
    found = told(path, capsys)
    assert found["kind"] == kind and found["bytes"] == path.stat().st_size
    assert found["versions"]["code"] == files.code_version() and "torch" in found["versions"]
    assert found["device"] and found["made"]["date"].endswith("Z") and found["made"]["stage"] >= 1
    assert found["variables"] and found["checksum"] == hash_of(path)
    assert found["seed"] == (5 if "contour" in FILES[kind] else None if kind == "trajectory" else 0)
    if kind != "data set":
        assert all(len(each) == 64 for of in found["inputs"].values() for each in ([of] if isinstance(of, str) else of))
        assert len(found["inputs"]) >= 2
    capsys.readouterr()
    assert cli.main(["show", str(path)]) == 0
    said = capsys.readouterr().out
    assert all(word in said for word in (kind, found["title"], found["checksum"], found["device"], *found["variables"]))


def test_the_configuration_is_there_in_full(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    experiment = read(made / "config.yaml")
    run = experiment.runs["tiny"].in_full()
    # into how many tiles a plane is cut is no part of what is known of its files
    plane, path = ({**experiment.planes[name].in_full(), "tiles": None} for name in ("contour", "path"))
    drawn = experiment.planes["contour"].drawn().in_full()
    expected = {
        "data set": {"data.digits": experiment.data["digits"].in_full()},
        "weights": {"runs.tiny": run},
        "epochs": {"runs.tiny": run},
        "history": {"runs.tiny": run},
        "directions": {"planes.contour": drawn},
        "tile": {"planes.contour": plane, "runs.tiny": run},
        "surface": {"planes.contour": plane, "runs.tiny": run},
        "trajectory": {"planes.path": path, "runs.tiny": run},
        "mark": {"planes.contour": drawn, "runs.tiny": run},
        "probe": {"probes.pairs": experiment.probes["pairs"].in_full(), "runs.tiny": run},
        "vectors": {"probes.pairs": experiment.probes["pairs"].in_full(), "runs.tiny": run},
    }
    assert {kind: told(made / "out" / path, capsys)["configuration"] for kind, path in FILES.items()} == expected


def test_inputs_are_named_by_the_checksums_they_tell_themselves(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = {kind: told(made / "out" / path, capsys)["checksum"] for kind, path in FILES.items()}
    inputs = {kind: told(made / "out" / path, capsys)["inputs"] for kind, path in FILES.items()}
    assert inputs["weights"] == inputs["history"] == {"code": [], "data": own["data set"]}
    assert inputs["directions"] == {"others": [], "weights": own["weights"]}
    assert told(made / "out/directions/tiny/path.safetensors", capsys)["inputs"]["others"] == [own["epochs"]]
    on_plane = {"directions": own["directions"], "weights": own["weights"]}
    assert inputs["surface"] == inputs["tile"] == {**on_plane, "data": own["data set"]}
    assert inputs["mark"] == {**on_plane, "marked": hash_of(made / "out/runs/twin/weights.safetensors")}
    assert inputs["trajectory"]["epochs"] == own["epochs"]
    assert inputs["probe"] == inputs["vectors"] == {"data": own["data set"], "weights": own["weights"]}


def test_an_epoch_is_shown_alone(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = made / "out" / FILES["epochs"]
    whole, one = told(path, capsys), told(f"{path}@001", capsys)
    assert one["title"] == "epochs of tiny, epoch 1"
    assert {f"001/{name}" for name in one["variables"]} < whole["variables"].keys()
    assert one["variables"].keys() == told(made / "out" / FILES["weights"], capsys)["variables"].keys()
    with pytest.raises(InputError, match=r"holds no epoch 007; it holds \[0, 1, 2\]"):
        show.described(f"{path}@007")


def test_the_files_a_data_set_is_read_from_are_in_its_inputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    source = "import numpy as np\n\ndef load():\n    return {'train_images': np.zeros((4, 8, 8), np.uint8), 'train_labels': [0, 1, 0, 1]}\n"
    (tmp_path / "mine.py").write_text(source)
    spec = json.dumps({"source": "mine.py:load"})
    assert cli.main(["dataset", "--spec", spec, "--output", "d.safetensors"]) == 0
    assert told("d.safetensors", capsys)["inputs"] == {"code": [hashlib.sha256(source.encode()).hexdigest()]}


def test_a_file_of_others_is_refused(tmp_path: Path) -> None:
    xr.Dataset({"x": ("n", [1.0])}).to_netcdf(tmp_path / "theirs.nc")
    save_file({"x": torch.ones(1)}, tmp_path / "theirs.safetensors")
    checkpoint.write(tmp_path / "half.safetensors", {"x": torch.ones(1)}, {"name": "x"})
    for name, problem in {
        "theirs.nc": "does not say that landscape made it",
        "theirs.safetensors": "was not made by landscape",
        "half.safetensors": "does not say that landscape made it",
        "absent.nc": "there is no such file",
    }.items():
        with pytest.raises(InputError, match=problem):
            show.described(tmp_path / name)


def test_what_a_file_says_cannot_steer_a_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    header = {"name": "a\x1b[2Jb\nc", "spec": {"x": "\x1b]0;"}, "also\r": "\x9b", **files.provenance("train")}
    checkpoint.write(tmp_path / "w.safetensors", {"\x1b[31m": torch.ones(1)}, header)
    assert cli.main(["show", str(tmp_path / "w.safetensors")]) == 0
    assert all(c.isprintable() or c == "\n" for c in capsys.readouterr().out)


NAN, INF = math.nan, math.inf
VALUES: dict[str, tuple[Any, dict[str, Any], str]] = {
    "a number": (2.5, {"value": 2.5}, "2.5; float64, one value"),
    "one in a list": ([2.5], {"value": 2.5}, "2.5; float64, 1 (n)"),
    "a whole number": (7, {"value": 7}, "7; int64, one value"),
    "one that is not finite": (NAN, {"value": "nan"}, "nan; float64, one value"),
    "an infinite one": (-INF, {"value": "-inf"}, "-inf; float64, one value"),
    "a text": ("high", {"value": "high"}, "high; <U4, one value"),
    "an odd count": ([3.0, 1.0, 2.0], {"least": 1.0, "median": 2.0, "most": 3.0}, "least 1, median 2, most 3; float64"),
    "an even count": ([4, 1, 2, 3], {"least": 1, "median": 2.5, "most": 4}, "least 1, median 2.5, most 4; int64"),
    "one not finite": (
        [1.0, NAN, 3.0],
        {"least": 1.0, "median": 2.0, "most": 3.0, "not_finite": 1},
        "least 1, median 2, most 3; 1 not finite; float64, 3 (n)",
    ),
    "overflows": (
        [INF, 5.0, -INF, NAN],
        {"least": 5.0, "median": 5.0, "most": 5.0, "not_finite": 3},
        "least 5, median 5, most 5; 3 not finite",
    ),
    "none finite": ([NAN, INF], {"not_finite": 2}, "2 not finite; float64, 2 (n)"),
    "two dimensions": (
        [[1, 2], [3, 5]],
        {"least": 1, "median": 2.5, "most": 5},
        "least 1, median 2.5, most 5; int64, 2 x 2",
    ),
    "large whole numbers": (
        [2**62, 2**62 + 1, 0],
        {"least": 0, "median": float(2**62), "most": 2**62 + 1},
        "least 0, ",
    ),
    "bytes": (np.array([255, 0, 1], np.uint8), {"least": 0, "median": 1.0, "most": 255}, "least 0, median 1, most 255"),
    "single precision": (np.array([0.5, 1.5], np.float32), {"least": 0.5, "median": 1.0, "most": 1.5}, "least 0.5, "),
    "texts": (["a", "b", "a"], {"counts": {"a": 2, "b": 1}}, "2 a, 1 b; <U1, 3 (n)"),
    "many texts": (
        [str(k) for k in range(10)],
        {"counts": {str(k): 1 for k in range(8)}},
        "1 0, 1 1, 1 2, 1 3, 1 4, 1 5, 1 6, 1 7, 2 others; ",
    ),
    "nothing": (np.zeros(0), {}, "float64, 0 (n)"),
}
SUMMED_UP = ("value", "least", "median", "most", "not_finite", "counts")


@pytest.mark.parametrize("what", VALUES)
def test_values_are_summed_up(what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values, expected, row = VALUES[what]
    array = xr.DataArray(np.asarray(values), dims=["n", "m"][: np.ndim(values)])
    dataset = xr.Dataset({"x": array}, attrs={"name": "x", "spec": "{}", **attributes("merge")})
    files.write_dataset(dataset, tmp_path / "x.nc")
    found = told(tmp_path / "x.nc", capsys)["variables"]["x"]
    assert {key: found[key] for key in SUMMED_UP if key in found} == expected
    assert cli.main(["show", str(tmp_path / "x.nc")]) == 0
    assert f"  x {row}" in capsys.readouterr().out


def attributes(verb: str) -> dict[str, Any]:
    made = files.provenance(verb)
    return {**made, "versions": json.dumps(made["versions"])}


def test_a_value_has_its_unit_and_a_number_its_meaning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = {"flag_values": np.array([0, 1, 2], np.int8), "flag_meanings": "absent computed non_finite"}
    variables = {
        "seconds": ((), 1.25, {"units": "s"}),
        "rate": ("n", [1.0, 2.0, 4.0, NAN], {"units": "s-1"}),
        "share": ((), 0.5, {"units": "1"}),
        "status": ("n", np.array([1, 1, 2, 1], np.int8), flags),
        "odd": ("n", np.array([1, 7, 2, 0], np.int8), flags),
        "one": ((), np.int8(2), flags),
    }
    dataset = xr.Dataset(variables, attrs={"name": "x", "spec": "{}", **attributes("merge")})
    files.write_dataset(dataset, tmp_path / "x.nc")
    found = told(tmp_path / "x.nc", capsys)["variables"]
    assert found["status"]["counts"] == {"computed": 3, "non_finite": 1} and found["one"]["value"] == "non_finite"
    assert found["odd"]["counts"] == {"computed": 1, "7": 1, "non_finite": 1, "absent": 1}
    assert cli.main(["show", str(tmp_path / "x.nc")]) == 0
    said = capsys.readouterr().out
    for row in (
        "seconds 1.25 s; float64, one value",
        "rate    least 1, median 2, most 4 s-1; 1 not finite; ",
        "share   0.5; ",
    ):
        assert f"  {row}" in said
    assert "status  3 computed, 1 non_finite; int8, 4 (n)" in said and "one     non_finite; int8" in said


@pytest.mark.parametrize("kind", ["surface", "history", "trajectory", "weights", "epochs", "data set", "directions"])
def test_what_is_summed_up_is_what_a_plain_loop_finds(
    kind: str, made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = made / "out" / FILES[kind]
    variables = told(path, capsys)["variables"]
    arrays = files.read_dataset(path).variables if path.suffix == ".nc" else files.read_arrays(path)
    looked = 0
    for name, array in arrays.items():
        values = np.asarray(array).ravel().tolist()
        if len(values) < 2 or isinstance(values[0], str) or "counts" in variables[name]:
            continue
        finite = sorted(value for value in values if math.isfinite(value))
        middle = [finite[(len(finite) - 1) // 2], finite[len(finite) // 2]] if finite else []
        expected = {"least": finite[0], "median": sum(middle) / 2, "most": finite[-1]} if finite else {}
        expected |= {"not_finite": len(values) - len(finite)} if len(finite) < len(values) else {}
        assert {key: variables[name][key] for key in SUMMED_UP if key in variables[name]} == expected, name
        looked += 1
    assert looked >= 3


def test_large_tensors_and_types_that_numpy_lacks_are_shown_without_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(show, "_LARGEST", 4)
    tensors = {
        "small": torch.tensor([1.0, 2.0, 4.0]),
        "large": torch.ones(5),
        "half": torch.ones(2, dtype=torch.bfloat16),
    }
    tensors |= {"mask": torch.tensor([True, False, True]), "none": torch.ones(0), "one": torch.tensor(3.0)}
    header = {"name": "x", "spec": {}, **files.provenance("train")}
    checkpoint.write(tmp_path / "x.safetensors", tensors, header)
    found = show.described(tmp_path / "x.safetensors")["variables"]
    assert found["small"] == {"shape": [3], "type": "F32", "least": 1.0, "median": 2.0, "most": 4.0}
    assert found["large"] == {"shape": [5], "type": "F32"} and found["half"] == {"shape": [2], "type": "BF16"}
    assert found["mask"]["counts"] == {"True": 2, "False": 1} and found["one"]["value"] == 3.0
    assert found["none"] == {"shape": [0], "type": "F32"}


def test_showing_imports_no_torch(made: Path) -> None:
    code = f"import sys; from landscape.running import show; show.described({str(made / 'out' / FILES['surface'])!r})"
    code += f"; show.described({str(made / 'out' / FILES['weights'])!r}); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
