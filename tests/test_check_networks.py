"""`landscape check` calls every network on examples like the data's, and says what is wrong before any job."""

import re
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from landscape import cli
from landscape.experiment import reading
from landscape.networks import building
from landscape.running import check

NETWORKS = """
import itertools
import torch
from torch import nn
from torch.nn import functional as F

K = 4

def head(out=K):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 12), nn.ReLU(), nn.Linear(12, out))

class Base(nn.Module):
    def __init__(self, **args):
        super().__init__()
        self.a = head(**args)
    def forward(self, x):
        return self.a(x)

def plain(): return Base()
def scripted(): return torch.jit.script(head())
def parallel(): return nn.DataParallel(head())
class named(Base):
    def forward(self, x): return {"logits": self.a(x)}
class pair(Base):
    def forward(self, x): return self.a(x), 1
class two(Base):
    def forward(self, x, mask): return self.a(x)
def coloured(): return nn.Sequential(nn.Conv2d(3, 6, 3), nn.Flatten(), nn.Linear(216, K))
def double(): return head().double()
def half(): return head().bfloat16()
class complex(Base):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.ones(3, dtype=torch.cfloat))
def frozen(): return head().requires_grad_(False)
def empty(): return nn.Sequential(nn.Flatten(), nn.AdaptiveAvgPool1d(K))
def few(): return head(3)
def many(): return head(1000)
def wider(): return head(101)
def at_most(): return head(100)
class dropout(Base):
    def forward(self, x): return self.a(F.dropout(x, 0.5))
class once(Base):
    def forward(self, x):
        a, self.a = self.a, None
        return a(x)
class stubborn(Base):
    def train(self, mode=True):
        if mode: raise RuntimeError("no training here")
        return super().train(mode)
class only_eval(Base):
    def forward(self, x):
        if self.training: raise ValueError("trained for long")
        return self.a(x)
class detached(Base):
    def forward(self, x): return self.a(x).detach()
class summed(Base):
    def forward(self, x): return self.a(x).sum(0)
class text(Base):
    def forward(self, x): return "logits"
class exits(Base):
    def load_state_dict(self, *args, **kw): raise KeyError("not mine")
"""
FINE = ("plain", "scripted", "parallel", "named", "many", "wider", "at_most")
WRONG = {
    "pair": ": the loss cross-entropy, of the output 0: float32 (2, 4), 1: of the type int and targets int64 (2,), cannot be computed",
    "two": r": the network failed on examples float32 (2, 1, 8, 8): TypeError: .* missing 1 required positional argument: 'mask'",
    "coloured": ": the network failed on examples float32 (2, 1, 8, 8): RuntimeError: .* expected input.* to have 3 channels",
    "double": ".network: network has 1.weight in torch.float64; allowed is torch.float32: call network.float()",
    "half": ".network: network has 1.weight in torch.bfloat16; allowed is torch.float32: call network.float()",
    "complex": ".network: network has w in torch.complex64; allowed is torch.float32$",
    "frozen": ": the network has no parameters to train",
    "empty": ".network: network is a Sequential without parameters; there is nothing to move",
    "few": ": the network returned 3 logits for each example; the data has 4 classes",
    "dropout": r": the network is no function of the weights: .* F.dropout without training=self.training",
    "once": ": the network, called again, failed on examples float32 (2, 1, 8, 8): TypeError",
    "stubborn": ": it cannot be trained on float32 (2, 1, 8, 8): RuntimeError: no training here",
    "only_eval": ": it cannot be trained on float32 (2, 1, 8, 8): ValueError: trained for long",
    "detached": ": it cannot be trained on float32 (2, 1, 8, 8): RuntimeError: element 0 of tensors does not require grad",
    "summed": r": the loss cross-entropy, .* the network returned (4,) for 2 examples; it must return one row of logits for each",
    "text": ": the loss cross-entropy, .* it takes one tensor of logits and one of targets",
    "exits": ": the network, copied and set to weights by load_state_dict, failed: KeyError: 'not mine'",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nets.py").write_text(textwrap.dedent(NETWORKS))
    images = np.arange(8 * 64, dtype=np.uint8).reshape(8, 8, 8)
    np.savez(tmp_path / "data.npz", train_images=images, train_labels=np.arange(8) % 4)
    return tmp_path


def written(names: Any, **run: Any) -> str:
    runs = {name: {"network": f"nets.py:{name}", "data": "d", "epochs": 1, **run} for name in names}
    Path("conf.yaml").write_text(yaml.safe_dump({"data": {"d": {"source": "data.npz"}}, "runs": runs}, sort_keys=False))
    return "conf.yaml"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_every_mistake_of_every_network_is_told_in_one_report(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", written([*FINE, *WRONG])]) == 2
    said = capsys.readouterr()
    lines = [line for line in said.err.splitlines() if line.startswith("error: ")]
    assert len(lines) == len(WRONG)
    for line, (name, expected) in zip(lines, WRONG.items(), strict=True):
        pattern = "".join(
            re.escape(part) if part != ".*" else part for part in re.split(r"(\.\*)", expected.rstrip("$"))
        )
        assert re.match(rf"error: runs\.{name}{pattern}" + ("$" if expected.endswith("$") else ""), line), line
    notes = [line for line in said.out.splitlines() if "logits" in line]
    assert [re.findall(r"runs\.(\w+): the network returned ([\d,]+) logits", note) for note in notes] == [
        [("many", "1,000")],
        [("wider", "101")],
    ]


def test_what_is_fine_passes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", written(["plain", "named", "at_most"])]) == 0
    assert "logits" not in capsys.readouterr().out


def test_a_network_that_cannot_be_trained_is_fine_where_it_is_not_trained(folder: Path) -> None:
    import torch

    from landscape.networks.building import build

    for name in ("frozen", "only_eval", "stubborn"):
        made = build(f"nets.py:{name}", {}, seed=0, images=(1, 8, 8), classes=4)
        torch.save(made.state_dict(), f"{name}.pt")
    runs = {
        name: {"network": f"nets.py:{name}", "data": "d", "weights": f"{name}.pt"}
        for name in ("frozen", "only_eval", "stubborn")
    }
    Path("conf.yaml").write_text(yaml.safe_dump({"data": {"d": {"source": "data.npz"}}, "runs": runs}))
    assert check.problems(reading.read("conf.yaml")) == []


def test_a_fault_of_our_own_is_told_in_one_line_and_a_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*args: Any, **keys: Any) -> Any:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr("tempfile.tempdir", str(folder))
    monkeypatch.setattr(building, "plain", fails)
    assert cli.main(["check", written(["plain"])]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    (file,) = folder.glob("landscape-*.txt")
    assert line.endswith(
        f"failed unexpectedly (ZeroDivisionError: ours, in test_check_networks.py:{fails.__code__.co_firstlineno + 1}); the whole text is in {file}"
    )
    assert "Traceback" in file.read_text() and "ZeroDivisionError: ours" in file.read_text()
