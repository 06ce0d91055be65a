"""The user's files are known by content: each change is noticed, and nothing is redone where only times changed."""

import importlib
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from landscape.errors import InputError
from landscape.experiment import jobs, preflight, reading
from landscape.networks.local_imports import own_code
from landscape.networks.torchvision_shim import with_torchvision
from landscape.store import contents, files
from landscape.store.contents import Contents

from running import jobs as planned
from running import landscape, snakemake, written

NET = """
from torch import nn

import blocks
from parts import middle
from parts.deep import last


def net(num_classes):
    from late import later
    return nn.Sequential(nn.Flatten(), blocks.first(), nn.Linear(9, num_classes))
"""
MODULES = {
    "net.py": NET,
    "blocks.py": "from torch import nn\n\n\ndef first():\n    return nn.Identity()\n",
    "parts/__init__.py": "",
    "parts/middle.py": "from . import beside\nfrom .deep import last\n",
    "parts/beside.py": "x = 1\n",
    "parts/deep/__init__.py": "",
    "parts/deep/last.py": "from ..below import y\n",
    "parts/below.py": "y = 1\n",
    "late.py": "import importlib\nimportlib.import_module('named')\nlater = 1\n",
    "named.py": "import net\n",
    "unused.py": "z = 1\n",
    "words.json": "{}\n",
    "train.py": "import loop\n\n\ndef train(network, data, seed):\n    yield\n",
    "loop.py": "step = 1\n",
    "loss.py": "import terms\n\n\ndef loss(outputs, targets):\n    return outputs.sum()\n",
    "terms.py": "term = 1\n",
    "load.py": "import raw\n\n\ndef load():\n    pass\n",
    "raw.py": "raw = 1\n",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a file of every kind that a configuration names; all of them are a day old."""
    monkeypatch.chdir(tmp_path)
    for name, text in MODULES.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text)
    np.savez("data.npz", train_inputs=np.zeros((4, 3, 3), np.float32), train_targets=np.arange(4) % 2)
    save_file({"train_inputs": torch.zeros(4, 3, 3), "train_targets": torch.arange(4) % 2}, "data.safetensors")
    for name in ("train/cat/0.png", "train/cat/1.png", "train/dog/0.png", "test/dog/0.png", "train/dog/within/2.png"):
        path = Path("photos", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (3, 3), len(name)).save(path)
    saved = Path("saved/train")
    saved.mkdir(parents=True)
    Path("saved/dataset_dict.json").write_text('{"splits": ["train"]}')
    for name in ("state.json", "dataset_info.json", "data-00000-of-00001.arrow"):
        (saved / name).write_text(f"{name}\n")
    torch.save({"w": torch.zeros(2)}, "model.pt")
    for epoch in range(3):
        torch.save({"w": torch.full((2,), float(epoch))}, f"epoch_{epoch}.pt")
    shards = Path("shards")
    shards.mkdir()
    for k in (1, 2):
        save_file({f"w{k}": torch.zeros(2)}, shards / f"model-{k}.safetensors")
    index = {"weight_map": {"w1": "model-1.safetensors", "w2": "model-2.safetensors"}}
    (shards / "model.safetensors.index.json").write_text(json.dumps(index))
    os.symlink("model.pt", "link.pt")
    shutil.copytree("photos", "elsewhere")
    os.symlink("elsewhere", "linked")
    for path in tmp_path.rglob("*"):
        os.utime(path, (time.time() - 86400,) * 2)
    return tmp_path


def experiment() -> Any:
    run = {"network": "net.py:net", "data": "npz"}
    return reading.resolve(
        {
            "data": {
                "npz": {"source": "data.npz"},
                "tensors": {"source": "data.safetensors"},
                "photos": {"source": "photos"},
                "linked": {"source": "linked"},
                "saved": {"source": "saved"},
                "made": {"source": "load.py:load"},
                "fetched": {"source": "digits"},
            },
            "runs": {
                "trained": {**run, "code": ["words.json"]},
                "own": {**run, "train": "train.py:train", "loss": "loss.py:loss"},
                "plain": {"network": "resnet20", "data": "fetched"},
                "adopted": {**run, "weights": "model.pt"},
                "linked": {**run, "weights": "link.pt"},
                "sharded": {**run, "weights": "shards"},
                "epochs": {**run, "epochs": "epoch_*.pt"},
            },
        }
    )


def known(memory: Path | None = None) -> dict[str, list[str]]:
    """What each data set and each run is known by."""
    whole, found = experiment(), Contents(memory)
    by = {f"data.{name}": found.of(jobs.source_files(whole, name)) for name in whole.data}
    for name, run in whole.runs.items():
        by[f"code.{name}"] = found.of(jobs.code_files(whole, name))
        if run.adopted:
            by[f"weights.{name}"] = found.of(jobs.adopted_files(whole, name))
    found.remember()
    return by


def same_size_and_times(path: str, text: bytes) -> None:
    """Replace a file by another one of its size and its times."""
    before = os.stat(path)
    Path("other").write_bytes(text.ljust(before.st_size)[: before.st_size])
    os.utime("other", ns=(before.st_atime_ns, before.st_mtime_ns))
    os.replace("other", path)


def moved(source: str, to: str) -> None:
    """Put a file in place that is older than the other one, as `mv` does."""
    os.utime(source, (1e9, 1e9))
    os.replace(source, to)


def copied(source: str, to: str) -> None:
    """As `cp -p` does."""
    os.utime(source, (1e9, 1e9))
    shutil.copy2(source, to)


def pointed(link: str, to: str) -> None:
    os.unlink(link)
    os.symlink(to, link)


EVERY = {f"code.{name}" for name in ("trained", "own", "adopted", "linked", "sharded", "epochs")}
CHANGES: dict[str, tuple[Callable[[], Any], set[str]]] = {
    "older weights moved": (
        lambda: moved("epoch_2.pt", "model.pt"),
        {"weights.adopted", "weights.linked", "weights.epochs"},
    ),
    "older weights copied": (lambda: copied("epoch_1.pt", "model.pt"), {"weights.adopted", "weights.linked"}),
    "weights of the same size and times": (
        lambda: same_size_and_times("model.pt", b"x"),
        {"weights.adopted", "weights.linked"},
    ),
    "a link that points elsewhere": (lambda: pointed("link.pt", "epoch_2.pt"), {"weights.linked"}),
    "an epoch": (lambda: copied("model.pt", "epoch_1.pt"), {"weights.epochs"}),
    "an epoch more": (lambda: shutil.copy2("model.pt", "epoch_3.pt"), {"weights.epochs"}),
    "a shard": (lambda: same_size_and_times("shards/model-2.safetensors", b"y"), {"weights.sharded"}),
    "an index": (
        lambda: Path("shards/model.safetensors.index.json").write_text('{"weight_map": {"w1": "model-1.safetensors"}}'),
        {"weights.sharded"},
    ),
    "one file in the place of shards": (
        lambda: shutil.copy2("shards/model-1.safetensors", "shards/model.safetensors"),
        {"weights.sharded"},
    ),
    "data": (lambda: same_size_and_times("data.npz", b"z"), {"data.npz"}),
    "older data": (lambda: copied("data.npz", "data.safetensors"), {"data.tensors"}),
    "a pixel": (lambda: same_size_and_times("photos/train/cat/1.png", b"png"), {"data.photos"}),
    "an image deep below": (lambda: Path("photos/train/dog/within/2.png").write_bytes(b"png"), {"data.photos"}),
    "an older image": (lambda: moved("photos/test/dog/0.png", "photos/train/cat/0.png"), {"data.photos"}),
    "an image more": (lambda: shutil.copy2("photos/test/dog/0.png", "photos/test/dog/1.PNG"), {"data.photos"}),
    "an image less": (lambda: os.unlink("photos/train/cat/1.png"), {"data.photos"}),
    "an image of another class": (
        lambda: os.rename("photos/train/cat/1.png", "photos/train/dog/1.png"),
        {"data.photos"},
    ),
    "a class of another name": (lambda: os.rename("photos/train/cat", "photos/train/eel"), {"data.photos"}),
    "a class without images": (lambda: os.mkdir("photos/train/bird"), {"data.photos"}),
    "an image behind a link": (lambda: os.unlink("elsewhere/train/cat/0.png"), {"data.linked"}),
    "a linked folder": (lambda: pointed("linked", "photos/train"), {"data.linked"}),
    "a table that datasets saved": (
        lambda: same_size_and_times("saved/train/data-00000-of-00001.arrow", b"a"),
        {"data.saved"},
    ),
    "the description beside it": (lambda: Path("saved/train/dataset_info.json").write_text("{}"), {"data.saved"}),
    "the network": (lambda: Path("net.py").write_text(NET + "\n"), EVERY),
    "a module beside it": (lambda: same_size_and_times("blocks.py", b"#"), EVERY),
    "an older module": (lambda: copied("unused.py", "blocks.py"), EVERY),
    "a module in a package": (lambda: Path("parts/middle.py").write_text("1"), EVERY),
    "a package": (lambda: Path("parts/__init__.py").write_text("1"), EVERY),
    "a module that a module imports": (lambda: Path("parts/beside.py").write_text("1"), EVERY),
    "a module imported from above": (lambda: Path("parts/below.py").write_text("1"), EVERY),
    "a module imported in a function": (lambda: Path("late.py").write_text("later = 2"), EVERY),
    "a module imported by its name": (lambda: Path("named.py").write_text("1"), EVERY),
    "stated code": (lambda: Path("words.json").write_text('{"a": 1}'), {"code.trained"}),
    "a training": (lambda: Path("train.py").write_text(MODULES["train.py"] + "\n"), {"code.own"}),
    "what a training imports": (lambda: Path("loop.py").write_text("step = 2\n"), {"code.own"}),
    "a loss": (lambda: Path("loss.py").write_text(MODULES["loss.py"] + "\n"), {"code.own"}),
    "what a loss imports": (lambda: Path("terms.py").write_text("term = 2\n"), {"code.own"}),
    "a function of data": (lambda: Path("load.py").write_text(MODULES["load.py"] + "\n"), {"data.made"}),
    "what a function of data imports": (lambda: Path("raw.py").write_text("raw = 2\n"), {"data.made"}),
}


@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.parametrize("remembered", [False, True])
def test_a_change_is_noticed_where_it_counts_and_nowhere_else(folder: Path, what: str, remembered: bool) -> None:
    memory = folder / "memory.json" if remembered else None
    change, affected = CHANGES[what]
    before = known(memory)
    change()
    after = known(memory)
    assert {name for name in before if after[name] != before[name]} == affected


def to_each(action: Callable[[Path], Any]) -> None:
    for path in [path for path in Path().rglob("*") if path.is_file() and not path.is_symlink()]:
        action(path)


def touched(path: str) -> None:
    Path(path).parent.mkdir(exist_ok=True)
    Path(path).write_text("x")


NOTHING: dict[str, Callable[[], Any]] = {
    "nothing": lambda: None,
    "times": lambda: to_each(os.utime),
    "older times": lambda: to_each(lambda path: os.utime(path, (1e9, 1e9))),
    "copies in place": lambda: to_each(lambda path: os.replace(shutil.copy(path, "copy"), path)),
    "permissions": lambda: to_each(lambda path: path.chmod(0o777)),
    "a folder's times": lambda: os.utime("photos/train", (1e9, 1e9)),
    "a hidden file": lambda: touched("photos/train/.listing"),
    "a hidden folder": lambda: touched("photos/train/.thumbs/0.png"),
    "no image": lambda: touched("photos/train/notes.txt"),
    "a cache of datasets": lambda: touched("saved/train/cache-1234.arrow"),
    "a module that nothing imports": lambda: touched("unused.py"),
    "compiled modules": lambda: touched("__pycache__/net.pyc"),
    "a dangling link": lambda: os.symlink("nowhere.png", "photos/train/cat/9.png"),
    "another name of a link's target": lambda: pointed("link.pt", str(Path("model.pt").resolve())),
}


@pytest.mark.parametrize("what", NOTHING)
@pytest.mark.parametrize("remembered", [False, True])
def test_what_does_not_count_changes_nothing(folder: Path, what: str, remembered: bool) -> None:
    memory = folder / "memory.json" if remembered else None
    before = known(memory)
    NOTHING[what]()
    assert known(memory) == before


def test_no_code_of_the_users_is_nothing(folder: Path) -> None:
    assert known()["code.plain"] == known()["data.fetched"] == []


def settled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let all files be older than they are; the paths of which checksums are taken from now on."""
    monkeypatch.setattr(contents, "_SETTLED", -1.0)
    read: list[str] = []
    take = contents.checksum

    def noted(path: str | Path) -> str:
        read.append(str(path))
        return take(path)

    monkeypatch.setattr(contents, "checksum", noted)
    return read


def test_what_did_not_change_is_not_read_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = settled(monkeypatch)
    before = known(folder / "memory.json")
    assert {"model.pt", "data.npz", "photos", "net.py", "blocks.py"} <= set(read)
    read.clear()
    assert known(folder / "memory.json") == before and read == []
    os.utime("model.pt")
    assert known(folder / "memory.json") == before and read == ["model.pt", "link.pt"]
    read.clear()
    Path("photos/train/cat/0.png").write_bytes(b"0")
    assert known(folder / "memory.json") != before and "photos" in read and "model.pt" not in read


def test_a_file_that_was_just_written_is_not_remembered(folder: Path) -> None:
    """Written again at once, it may have the same times, since these have steps of milliseconds."""
    memory = folder / "memory.json"
    Path("model.pt").write_bytes(b"one")
    before = known(memory)["weights.adopted"]
    stat = os.stat("model.pt")
    remembered = json.loads(memory.read_text()) if memory.exists() else {}
    assert "model.pt" not in remembered
    Path("model.pt").write_bytes(b"two")
    os.utime("model.pt", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert known(memory)["weights.adopted"] != before


@pytest.mark.parametrize("text", ["", "no json", "[]", '{"model.pt": 3}', '{"model.pt": ["x"]}', "[" * 9999])
def test_a_damaged_memory_is_forgotten(folder: Path, text: str) -> None:
    memory = folder / "memory.json"
    memory.write_text(text)
    assert known(memory) == known()


def test_what_is_gone_is_forgotten(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settled(monkeypatch)
    memory = folder / "memory.json"
    found = Contents(memory)
    found.of(["model.pt", "epoch_1.pt"])
    found.remember()
    os.unlink("model.pt")
    again = Contents(memory)
    again.of(["epoch_2.pt"])
    again.remember()
    assert json.loads(memory.read_text()).keys() == {"epoch_1.pt", "epoch_2.pt"}


def test_what_cannot_be_read_is_one_line(folder: Path) -> None:
    for path, problem in {
        "absent.pt": "No such file",
        "model.pt/x": "Not a directory",
        "/proc/self/mem": "error",
    }.items():
        with pytest.raises(InputError, match=rf"^{path} cannot be read: .*{problem}"):
            Contents().of([path])


def test_what_may_not_be_read_any_more_is_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its permissions are among its times, so that the memory of it does not count."""
    settled(monkeypatch)
    memory = folder / "memory.json"
    known(memory)
    Path("model.pt").chmod(0)

    def refuse(path: str) -> str:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(contents, "checksum", refuse)
    with pytest.raises(InputError, match="^model.pt cannot be read: Permission denied$"):
        Contents(memory).of(["data.npz", "model.pt"])


def test_images_are_those_of_torchvision() -> None:
    folder = with_torchvision(lambda: importlib.import_module("torchvision.datasets.folder"))
    assert contents.IMAGES == folder.IMG_EXTENSIONS


def test_a_link_that_leads_up_again_ends(folder: Path) -> None:
    os.symlink("..", "photos/train/up")
    assert Contents().of(["photos"])


def test_modules_are_found_where_python_finds_them(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = ["blocks", "late", "named", "parts/__init__", "parts/below", "parts/beside", "parts/deep/__init__"]
    named += ["parts/deep/last", "parts/middle"]
    assert [str(path) for path in own_code(["net.py:net"], [])] == ["net.py", *(f"{name}.py" for name in named)]
    os.mkdir("src")
    os.rename("parts", "src/mine")
    Path("src/helper.py").write_text("")
    Path("src/mine/deep/last.py").write_text("import helper\nimport mine.beside\nimport torch\nimport os\n")
    monkeypatch.syspath_prepend("src")
    found = [str(path.resolve().relative_to(folder / "src")) for path in own_code(["mine.deep.last:net"], [])]
    assert sorted(found) == [
        "helper.py",
        "mine/__init__.py",
        "mine/beside.py",
        "mine/deep/__init__.py",
        "mine/deep/last.py",
    ]
    assert own_code(["torch.nn:Linear", "landscape.networks.mlp:mlp", "json:loads", "timm:create_model"], []) == []


@pytest.mark.parametrize("name", ["site-packages", "dist-packages"])
def test_modules_in_a_folder_of_packages_are_installed(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.makedirs(f"lib/{name}")
    os.rename("parts", f"lib/{name}/installed_{name[0]}")
    monkeypatch.syspath_prepend(f"lib/{name}")
    assert own_code([f"installed_{name[0]}.deep.last:net"], []) == []


def test_modules_of_a_linked_file_lie_beside_its_target(folder: Path) -> None:
    os.mkdir("shown")
    os.symlink("../net.py", "shown/net.py")
    assert (folder / "blocks.py").resolve() in [path.resolve() for path in own_code(["shown/net.py:net"], [])]


@pytest.mark.parametrize("text", ["def (", "\0", "x = " + "(" * 400 + ")" * 400, "import nowhere\nfrom .. import up\n"])
def test_code_that_cannot_be_read_imports_nothing(folder: Path, text: str) -> None:
    Path("blocks.py").write_text(text)
    assert Path("blocks.py") in own_code(["net.py:net"], [])


def test_the_check_is_repeated_for_a_change_of_content_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[Path] = []
    monkeypatch.setattr(preflight, "_check", checked.append)
    whole = experiment()

    def look() -> int:
        checked.clear()
        preflight.preflight(whole, preflight.contents(), thorough=True)
        return len(checked)

    assert [look(), look()] == [1, 0]
    os.utime("model.pt")
    os.utime("photos/train")
    assert look() == 0
    same_size_and_times("model.pt", b"x")
    assert [look(), look()] == [1, 0]
    same_size_and_times("photos/train/cat/0.png", b"x")
    assert [look(), look()] == [1, 0]


def test_the_check_is_repeated_for_other_random_directions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    checked: list[Path] = []
    monkeypatch.setattr(preflight, "_check", checked.append)
    run = {"network": "mlp", "args": {"hidden": [8]}, "data": "digits"}

    def look(pattern: str = ".*weight", points: int = 5, runs: str = "a", summary: str | None = None) -> int:
        checked.clear()
        plane: dict[str, Any] = {"alpha": [-1, 1, points], "parameters": pattern}
        content = {
            "data": {"digits": {"source": "digits"}},
            "runs": {"a": run, "b": {**run, "seed": 1}},
            "planes": {"p": plane, "q": {**plane, "parameters": "1.*"}},
            "figures": {"f": {"draw": "lines", "runs": list(runs), "plane": "p"}},
            "summary": {"plane": summary},
        }
        preflight.preflight(reading.resolve(content), preflight.contents(), thorough=True)
        return len(checked)

    assert [look(), look(), look(points=7)] == [1, 0, 0]
    assert [look("nothing.*"), look(".*bias"), look(runs="ab"), look(summary="q")] == [1, 1, 1, 1]
    assert [look(runs="b"), look(), look(summary="q")] == [1, 0, 0]


MADE = """
from torch import nn

import parts


def net(num_classes):
    return nn.Sequential(nn.Flatten(), parts.linear(num_classes))
"""
PARTS = "from torch import nn\n\n\ndef linear(n):\n    return nn.Linear(9, n)\n"


def test_the_workflow_redoes_what_a_changed_file_changes_and_nothing_else(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("data.npz", "other.npz"):
        np.savez(
            tmp_path / name, train_images=rng.integers(0, 256, (8, 3, 3), dtype=np.uint8), train_labels=np.arange(8) % 2
        )
    for name in ("model.pt", "best.pt"):
        torch.save(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(9, 2)).state_dict(), tmp_path / name)
        os.utime(tmp_path / name, (1e9, 1e9))
    (tmp_path / "net.py").write_text(MADE)
    (tmp_path / "parts.py").write_text(PARTS)
    content = {
        "data": {"d": {"source": "data.npz"}},
        "runs": {"m": {"network": "net.py:net", "data": "d", "weights": "model.pt"}},
        "planes": {"p": {"alpha": [-1, 1, 3]}},
    }
    config, surface = written(content, tmp_path), "results/surfaces/m/p.nc"

    def redone() -> set[str]:
        """The rules of a dry run."""
        return set(planned(snakemake(config, "-n", surface, folder=tmp_path)))

    landscape("run", "config.yaml", surface, "-q", "all", folder=tmp_path)
    before = (tmp_path / surface).read_bytes()
    header = files.read_header(tmp_path / "results/runs/m/weights.safetensors")
    assert header["code_hash"] == [files.checksum(tmp_path / name) for name in ("net.py", "parts.py")]
    for name in ("data.npz", "model.pt", "net.py", "parts.py"):
        os.utime(tmp_path / name)
    assert redone() == set()
    shutil.move(tmp_path / "best.pt", tmp_path / "model.pt")
    assert redone() == {"adopt", "directions", "tile", "merge"}
    said = landscape("run", "config.yaml", surface, folder=tmp_path)
    assert "to be remade" in said and "results/runs/m/weights.safetensors" in said
    assert (tmp_path / surface).read_bytes() != before and redone() == set()
    (tmp_path / "parts.py").write_text(PARTS.replace("9, n", "9, n, True"))
    assert redone() == {"adopt", "directions", "tile", "merge"}
    os.utime(tmp_path / "other.npz", (1e9, 1e9))
    shutil.copy2(tmp_path / "other.npz", tmp_path / "data.npz")
    assert redone() == {"dataset", "adopt", "directions", "tile", "merge"}
