"""A file says what it is and where it comes from."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

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


def test_showing_imports_no_torch(made: Path) -> None:
    code = f"import sys; from landscape.running import show; show.described({str(made / 'out' / FILES['surface'])!r})"
    code += f"; show.described({str(made / 'out' / FILES['weights'])!r}); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
