"""Checkpoints that other code wrote: what is read, what is refused, and what the user is told."""

import argparse
import io
import itertools
import json
import logging
import os
import pickle
import re
import shutil
import tarfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

import landscape as ls
from landscape.errors import InputError
from landscape.store import checkpoint, fitting, weight_files

from test_checkpoint import HEADER, assert_equal, damaged, network, state


def adopt(path: Path | str, into: nn.Module | None = None) -> dict[str, Tensor]:
    return fitting.read(path, into or network()).weights


def refusal(path: Path | str, into: nn.Module | None = None) -> str:
    with pytest.raises(InputError) as caught:
        adopt(path, into)
    assert all(str(path).partition("#")[0] in problem for problem in caught.value.problems)
    return str(caught.value)


# Files made elsewhere


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.bin"])
def test_adopt_safetensors(tmp_path: Path, name: str) -> None:
    safetensors.torch.save_file(state(), tmp_path / name)
    assert_equal(adopt(tmp_path / name), state())
    checkpoint.write(tmp_path / name, state(1), HEADER)
    assert_equal(adopt(str(tmp_path / name)), state(1))


OPTIMIZER = {"state": {0: {"momentum_buffer": torch.ones(3)}}, "param_groups": [{"lr": 0.1, "params": [0]}]}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: s,
        lambda s: OrderedDict(s),
        lambda s: {"state_dict": s},
        lambda s: {"model_state_dict": s, "optimizer_state_dict": OPTIMIZER},
        lambda s: {"net": s, "acc": 93.5, "epoch": 199},
        lambda s: {"epoch": 3, "best_acc": torch.tensor(0.9), "net": s},
        lambda s: {"model": {"state_dict": s, "name": "vgg9"}, "loss": [1.0, 0.5]},
        lambda s: {"weights": s, "optimizer": OPTIMIZER, "rng": torch.zeros(8, dtype=torch.uint8)},
        lambda s: {"my_network": s, "optimizer": OPTIMIZER, "history": [0.1, 0.2], "scheduler": {"last_epoch": 3}},
        lambda s: {"network": s, "optimizer": {"state": {}, "param_groups": []}, "scaler": {}},
        lambda s: {f"module.{name}": tensor for name, tensor in s.items()},
        lambda s: {f"_orig_mod.module.{name}": tensor for name, tensor in s.items()},
        lambda s: {"state_dict": {f"module._orig_mod.{name}": tensor for name, tensor in s.items()}},
        lambda s: {name: tensor.numpy() for name, tensor in s.items()},
        lambda s: {
            "net": s,
            "accuracy": np.float64(0.9),
            "mean": np.ones(3),
            "classes": np.arange(3),
            "seen": np.bool_(1),
        },
        lambda s: {"epochs": {0: {"net": s}}, "step": np.int64(3)},
        lambda s: [s],
        lambda s: (s, {"lr": 0.1}),
        lambda s: {"n_averaged": torch.tensor(5), **{f"module.{name}": tensor for name, tensor in s.items()}},
        lambda s: {f"module.{name}" if k % 2 else name: of for k, (name, of) in enumerate(s.items())},
        lambda s: {**s, "1.num_batches_tracked": 0},
        lambda s: {name: nn.Parameter(tensor) if tensor.is_floating_point() else tensor for name, tensor in s.items()},
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_adopt_what_torch_saved(tmp_path: Path, wrap: Any, zipped: bool) -> None:
    torch.save(wrap(state()), tmp_path / "w.pt", _use_new_zipfile_serialization=zipped)
    assert_equal(adopt(tmp_path / "w.pt"), state())


def test_adopt_the_state_of_a_real_training(tmp_path: Path) -> None:
    trained = network()
    optimizer = torch.optim.Adam(trained.parameters())
    trained(torch.ones(2, 1, 3, 3)).sum().backward()
    optimizer.step()
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 3)
    content = {
        "epoch": 7,
        "net": nn.DataParallel(trained).state_dict(),
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "args": {"lr": 0.1, "milestones": [150, 225], "name": None},
        "random": torch.get_rng_state(),
    }
    torch.save(content, tmp_path / "ckpt.t7")
    assert_equal(adopt(tmp_path / "ckpt.t7"), dict(trained.state_dict()))


def test_adopt_a_network_of_which_a_part_was_compiled(tmp_path: Path) -> None:
    part = {name.replace("0.", "0._orig_mod.") if name < "1" else name: tensor for name, tensor in state().items()}
    assert {"0._orig_mod.weight", "0._orig_mod.bias", "1.weight"} <= part.keys()
    torch.save(part, tmp_path / "w.pt")
    assert_equal(adopt(tmp_path / "w.pt"), state())


def test_a_part_of_the_network_may_be_called_module(tmp_path: Path) -> None:
    class Parts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module, self.weight = nn.Linear(2, 2, bias=False), nn.Parameter(torch.zeros(2))

    weights = {"module.weight": torch.ones(2, 2), "weight": torch.full((2,), 3.0)}
    torch.save(weights, tmp_path / "w.pt")
    assert_equal(adopt(tmp_path / "w.pt", Parts()), weights)


def test_tied_tensors_are_adopted(tmp_path: Path) -> None:
    tied = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    tied[1].weight = tied[0].weight
    torch.save(tied.state_dict(), tmp_path / "w.pt")
    weights = adopt(tmp_path / "w.pt", tied)
    checkpoint.write(tmp_path / "w.safetensors", weights, {})
    assert_equal(checkpoint.read(tmp_path / "w.safetensors")[0], dict(tied.state_dict()))


class Creates:
    """Unpickled, this creates a folder."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_pickle_is_not_run(tmp_path: Path, zipped: bool) -> None:
    trap = tmp_path / "trap"
    torch.save({"state_dict": state(), "more": Creates(trap)}, tmp_path / "w.pt", _use_new_zipfile_serialization=zipped)
    said = refusal(tmp_path / "w.pt")
    assert "w.pt holds more than tensors" in said and "mkdir), and opening it could run code" in said
    assert "torch.save(network.state_dict(), path)" in said
    assert not trap.exists()
    torch.load(tmp_path / "w.pt", weights_only=False)  # the trap works
    assert trap.exists()


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_plain_pickle_is_not_run(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        (tmp_path / "w.pkl").write_bytes(pickle.dumps(Creates(trap), protocol))
        assert "mkdir" in refusal(tmp_path / "w.pkl") or protocol > 2
        assert not trap.exists()


@pytest.mark.parametrize("zipped", [True, False])
def test_a_whole_module_is_refused_with_the_remedy(tmp_path: Path, zipped: bool) -> None:
    torch.save(network(), tmp_path / "w.pt", _use_new_zipfile_serialization=zipped)
    said = refusal(tmp_path / "w.pt")
    assert "holds more than tensors" in said and "torch.nn.modules.container.Sequential" in said
    assert "torch.save(network.state_dict(), path)" in said


@pytest.mark.parametrize("beside", [argparse.Namespace(lr=0.1), np.random.default_rng(0), np.array([Path("a")])])
def test_other_classes_beside_the_weights_are_named(tmp_path: Path, beside: Any) -> None:
    torch.save({"net": state(), "beside": beside}, tmp_path / "w.pt")
    said = refusal(tmp_path / "w.pt")
    assert re.search(r"argparse.Namespace|numpy.random|numpy.dtypes.ObjectDType", said)
    assert "torch.save(network.state_dict(), path)" in said


@pytest.mark.parametrize(
    "content",
    [torch.zeros(3), [1, 2], "text", {}, {"a": 1}, {3: torch.zeros(3)}, OPTIMIZER["param_groups"]],
)
def test_what_holds_no_state_dict(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "w.pt")
    said = refusal(tmp_path / "w.pt")
    assert "holds no state dict" in said
    if isinstance(content, dict) and content:
        assert all(str(key) in said for key in content)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("share", [0.001, 0.05, 0.3, 0.6, 0.9, 0.999])
def test_half_a_file_of_torch_is_damaged(tmp_path: Path, zipped: bool, share: float) -> None:
    torch.save(state(), tmp_path / "whole.pt", _use_new_zipfile_serialization=zipped)
    content = (tmp_path / "whole.pt").read_bytes()
    (tmp_path / "w.pt").write_bytes(content[: int(share * len(content))])
    said = refusal(tmp_path / "w.pt")
    assert "no whole file of torch.save" in said and "run code" not in said


def test_files_of_other_kinds(tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", a=np.zeros(3))
    np.save(tmp_path / "w.npy", np.zeros(3))
    (tmp_path / "w.txt").write_text("conv.weight 0.1 0.2\n" * 20)  # to a pickle machine, `c` begins the name of a class
    (tmp_path / "w.json").write_text('{"conv.weight": [0.1, 0.2]}')
    (tmp_path / "w.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    shutil.make_archive(str(tmp_path / "w"), "zip", tmp_path, "w.txt")
    with tarfile.open(tmp_path / "w.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("w"), io.BytesIO())
    for path in [*sorted(tmp_path.iterdir()), *damaged(tmp_path).values()]:
        said = refusal(path)
        assert "is no safetensors file and no whole file of torch.save" in said, said
        assert "run code" not in said
    (tmp_path / "w.safetensors").write_bytes((tmp_path / "w.txt").read_bytes())
    assert "is not a whole safetensors file" in refusal(tmp_path / "w.safetensors")
    (tmp_path / "folder").mkdir()
    assert "there is no such file" in refusal(tmp_path / "absent")
    assert "is a folder without model.safetensors" in refusal(tmp_path / "folder")


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:'torch.load' received a zip file")
def test_a_scripted_network_is_refused(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.trace(network().eval(), torch.zeros(1, 1, 3, 3)), tmp_path / "w.pt")
    said = refusal(tmp_path / "w.pt")
    assert "TorchScript" in said and "torch.save(network.state_dict(), path)" in said


# Prefixes


class Named(nn.Module):
    """A network whose own names look like those of a wrapper."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.add_module(name, network())


def compiled(module: nn.Module) -> nn.Module:
    wrapped: Any = torch.compile(module)
    return wrapped


def prefixed(prefix: str, weights: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
    return {f"{prefix}{name}": tensor for name, tensor in (weights or state()).items()}


@pytest.mark.parametrize(
    "into",
    [
        nn.DataParallel(network()),
        compiled(network()),
        nn.DataParallel(compiled(network())),
        compiled(nn.DataParallel(network())),
        nn.Sequential(compiled(network()), nn.Identity()),
        nn.Sequential(nn.DataParallel(network())),
        Named("module"),
        Named("model"),
        Named("net"),
        nn.DataParallel(Named("module")),
        nn.Sequential(Named("module"), Named("_orig_mod")),
    ],
)
def test_names_as_they_stand_come_first(tmp_path: Path, into: nn.Module) -> None:
    """Whatever the network's names look like, its own state dict fits, and nothing is said to be taken off."""
    torch.save(into.state_dict(), tmp_path / "w.pt")
    found = fitting.read(tmp_path / "w.pt", into)
    assert_equal(found.weights, dict(into.state_dict()))
    assert found.entry == "" and not found.left_out


@pytest.mark.parametrize(
    ("given", "into", "entry"),
    [
        (prefixed("model."), network(), "model"),
        (prefixed("net."), network(), "net"),
        (prefixed("module.model."), network(), "model"),
        (prefixed("_orig_mod.module."), network(), ""),
        (prefixed("_fsdp_wrapped_module."), network(), ""),
        ({"state_dict": prefixed("model.")}, network(), "state_dict.model"),
        ({"state_dict": prefixed("model._orig_mod.")}, network(), "state_dict.model"),
        ({"state_dict": prefixed("model.backbone."), "epoch": 3}, network(), "state_dict.model.backbone"),
        ({"state_dict": prefixed("model.") | {"loss.weight": torch.ones(3)}}, network(), "state_dict.model"),
        (prefixed("encoder.") | prefixed("decoder.", {"0.weight": torch.ones(2)}), network(), "encoder"),
        (state(), nn.DataParallel(network()), ""),
        (state(), Named("model"), ""),
        (prefixed("module."), Named("model"), ""),
        (prefixed("net."), nn.DataParallel(network()), "net"),
        ([{"model": state()}, "text"], network(), "0.model"),
    ],
)
def test_a_prefix_is_found(tmp_path: Path, given: Any, into: nn.Module, entry: str) -> None:
    torch.save(given, tmp_path / "w.pt")
    found = fitting.read(tmp_path / "w.pt", into)
    assert found.weights.keys() == into.state_dict().keys() and found.entry == entry
    for tensor, wanted in zip(found.weights.values(), state().values(), strict=True):
        assert torch.equal(tensor, wanted)


def test_what_lies_beside_the_prefix_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    torch.save(prefixed("model.") | {"loss.weight": torch.ones(3)}, tmp_path / "w.pt")
    with caplog.at_level(logging.INFO):
        assert fitting.read(tmp_path / "w.pt", network()).left_out == ("loss.weight",)
    assert "1 tensors are not of this network: loss.weight" in caplog.text


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (
            {k: v for k, v in prefixed("model.").items() if not k.startswith("model.3")},
            "w.pt#model does not fit the network: 3.weight is missing, of shape (2, 3)",
        ),
        (
            {("fc" + k[1:] if k[0] == "3" else k): v for k, v in state().items()},
            "w.pt does not fit the network: 3.weight is missing, of shape (2, 3); the nearest name is fc.weight, of shape (2, 3)",
        ),
        (prefixed("a", {str(k): torch.ones(1) for k in range(9)}), "none of its 9 names is one of the network's"),
        (
            state() | {f"more.{k}": torch.ones(k) for k in range(9)},
            "9 tensors are not in the network: more.0 (0,), more.1 (1,), more.2 (2,) and 6 more",
        ),
        (
            {k: torch.ones(7, 7) for k in state()},
            "tensors differ in shape: 0.weight has shape (7, 7), and the network's has (3, 1, 3, 3)",
        ),
    ],
)
def test_what_does_not_fit_is_said_once(tmp_path: Path, given: Any, line: str) -> None:
    torch.save(given, tmp_path / "w.pt")
    said = refusal(tmp_path / "w.pt")
    assert line in said and len(said.splitlines()) <= 3


# Several entries


ENTRIES: dict[str, tuple[Any, list[str]]] = {
    "timm": ({"state_dict": state(), "state_dict_ema": state(1)}, ["state_dict", "state_dict_ema"]),
    "plain": ({"model": state(), "model_ema": state(1)}, ["model", "model_ema"]),
    "nested": ({"model": state(), "ema": {"module": state(1)}}, ["model", "ema.module"]),
    "unknown": ({"best": state(), "state_dict_ema": state(1)}, ["best", "state_dict_ema"]),
    "deep": (
        {"a": {"b": {"c": state()}, "d": {"state_dict": prefixed("module.", state(1))}}},
        ["a.b.c", "a.d.state_dict"],
    ),
    "prefixes": (prefixed("student.") | prefixed("teacher.", state(1)), ["student", "teacher"]),
    "beside": (state() | prefixed("ema.", state(1)), ["", "ema"]),
    "moco": (
        {"state_dict": prefixed("encoder_q.") | prefixed("encoder_k.", state(1)) | {"queue": torch.ones(2, 2)}},
        ["state_dict.encoder_q", "state_dict.encoder_k"],
    ),
    "list": ({"members": [state(), state(1)]}, ["members.0", "members.1"]),
    "epochs": ({"last": state(), "averages": {"0.999": state(1)}}, ["last", "averages.0.999"]),
    "below": ({"state_dict": state() | prefixed("ema.", state(1))}, ["state_dict", "state_dict.ema"]),
    "average of torch": (
        {"model": state(), "swa": {"n_averaged": torch.tensor(5), **prefixed("module.", state(1))}},
        ["model", "swa.module"],
    ),
    "lightning": (
        {"state_dict": prefixed("model.") | prefixed("ema.module.", state(1))},
        ["state_dict.model", "state_dict.ema"],
    ),
    "by number": ({"epochs": {0: state(), 1: state(1)}}, ["epochs.0", "epochs.1"]),
    "lists": ({"a": [{"b": [{"c": state()}, {"c": state(1)}]}]}, ["a.0.b.0.c", "a.0.b.1.c"]),
    "optimizer that looks like weights": (
        {"model": state(), "optimizer": {"exp_avg": state(1)}},
        ["model", "optimizer.exp_avg"],
    ),
    "arrays of numpy": ({"model": state(), "ema": {n: t.numpy() for n, t in state(1).items()}}, ["model", "ema"]),
    "three": ({"model": state(), "swa": state(1), "ema": state(2)}, ["model", "swa", "ema"]),
}


@pytest.mark.parametrize("name", ENTRIES)
def test_several_entries_are_listed_and_one_is_chosen(tmp_path: Path, name: str) -> None:
    content, paths = ENTRIES[name]
    torch.save(content, tmp_path / "w.pt")
    said = refusal(tmp_path / "w.pt")
    assert f"{len(paths)} entries that fit" in said and "write one of" in said
    for seed, path in enumerate(paths):
        assert f"w.pt#{path}" in said
        found = fitting.read(f"{tmp_path / 'w.pt'}#{path}", network())
        assert_equal(found.weights, state(seed))
        assert found.entry == path and found.facts["weights_entry"] == (path or None)


def test_entries_of_equal_tensors_need_no_choice(tmp_path: Path) -> None:
    lost = {**state(), "0.bias": torch.full((3,), torch.nan)}
    torch.save({"model": lost, "ema": {k: v.clone() for k, v in lost.items()}, "best": lost}, tmp_path / "w.pt")
    assert fitting.read(tmp_path / "w.pt", network()).entry == "model"
    assert fitting.read(f"{tmp_path / 'w.pt'}#ema", network()).entry == "ema"


def test_an_entry_that_fits_alone_needs_no_choice(tmp_path: Path) -> None:
    """Optimisers, other networks and averages of another kind of number do not count."""
    whole = {"model": state(), "other": {"0.weight": torch.ones(3)}, "optimizer": OPTIMIZER}
    torch.save({**whole, "packed": {k: v.to(torch.int8) for k, v in state().items()}}, tmp_path / "w.pt")
    assert fitting.read(tmp_path / "w.pt", network()).entry == "model"


@pytest.mark.parametrize(
    ("entry", "line"),
    [
        ("emma", "has no entry 'emma'; it has model, ema; did you mean ema?"),
        ("Model", "has no entry 'Model'; it has model, ema; did you mean model?"),
        ("state_dict", "has no entry 'state_dict'; it has model, ema"),
        ("model.0", "w.pt#model.0 does not fit the network"),
        ("mod", "has no entry 'mod'; it has model, ema"),
    ],
)
def test_a_wrong_entry_is_named(tmp_path: Path, entry: str, line: str) -> None:
    torch.save({"model": state(), "ema": state(1)}, tmp_path / "w.pt")
    assert line in refusal(f"{tmp_path / 'w.pt'}#{entry}")


def test_a_dot_at_the_end_and_a_hash_in_the_name_are_understood(tmp_path: Path) -> None:
    torch.save(prefixed("model."), tmp_path / "w.pt")
    assert fitting.read(f"{tmp_path / 'w.pt'}#model.", network()).entry == "model"
    torch.save({"a": state(), "b": state(1)}, tmp_path / "run#3.pt")
    assert_equal(adopt(f"{tmp_path / 'run#3.pt'}#b"), state(1))
    torch.save(state(), tmp_path / "run#4")
    assert_equal(adopt(tmp_path / "run#4"), state())


def test_python_chooses_alike(tmp_path: Path) -> None:
    torch.save({"state_dict": state(), "ema": state(1)}, tmp_path / "w.pt")
    data = (torch.randn(8, 1, 3, 3), torch.arange(8) % 2)
    into = network(2)
    line = ls.line(into, data, around=f"{tmp_path / 'w.pt'}#state_dict", to=f"{tmp_path / 'w.pt'}#ema", alpha=(0, 1, 2))
    ends = [ls.line(network(seed), data, alpha=(0, 1, 2)).train_loss.values[:1] for seed in (0, 1)]
    assert np.allclose(line.train_loss.values.ravel(), np.ravel(ends), rtol=1e-6)
    with pytest.raises(
        InputError, match="entries that fit the network and differ; hand over one of weights#state_dict"
    ):
        ls.adopt(into, torch.load(tmp_path / "w.pt"), data)


# Tied tensors


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = (nn.Linear(3, 3, bias=False) for _ in range(3))
        self.b.weight = self.a.weight
        mean = torch.ones(3)
        self.register_buffer("mean", mean)
        self.c.register_buffer("mean", mean)
        self.d = self.c  # a module under two names


ONE, OTHER, MEAN = torch.ones(3, 3), torch.eye(3), torch.zeros(3)


@pytest.mark.parametrize(
    "names",
    itertools.product(
        ({"a.weight"}, {"b.weight"}, {"a.weight", "b.weight"}),
        ({"c.weight"}, {"d.weight"}, {"c.weight", "d.weight"}),
        ({"mean"}, {"c.mean"}, {"d.mean", "mean"}),
    ),
)
@pytest.mark.parametrize("prefix", ["", "module.", "model."])
def test_a_tied_tensor_may_have_any_of_its_names(tmp_path: Path, names: tuple[set[str], ...], prefix: str) -> None:
    values = dict(zip(("weight of a", "weight of c", "mean"), (ONE, OTHER, MEAN), strict=True))
    given = {f"{prefix}{n}": v.clone() for of, v in zip(names, values.values(), strict=True) for n in of}
    safetensors.torch.save_file(given, tmp_path / "w.safetensors")
    found = adopt(tmp_path / "w.safetensors", Tied())
    assert found.keys() == Tied().state_dict().keys()
    assert torch.equal(found["a.weight"], ONE) and torch.equal(found["b.weight"], ONE)
    assert torch.equal(found["d.weight"], OTHER) and torch.equal(found["d.mean"], MEAN)


def test_what_save_model_writes_is_read(tmp_path: Path) -> None:
    tied = Tied()
    safetensors.torch.save_model(tied, str(tmp_path / "w.safetensors"))
    assert_equal(adopt(tmp_path / "w.safetensors", Tied()), dict(tied.state_dict()))
    with torch.device("meta"):
        assert fitting.read(tmp_path / "w.safetensors", Tied(), mapped=True).entry == ""


def test_tied_tensors_that_contradict_are_refused(tmp_path: Path) -> None:
    torch.save({**Tied().state_dict(), "b.weight": OTHER}, tmp_path / "w.pt")
    said = refusal(tmp_path / "w.pt", Tied())
    assert said.endswith("a.weight and b.weight are one tensor of the network, and their values differ")
    torch.save({n: t for n, t in Tied().state_dict().items() if n not in ("a.weight", "b.weight")}, tmp_path / "w.pt")
    assert "a.weight is missing, of shape (3, 3)" in refusal(tmp_path / "w.pt", Tied())


# Kinds of numbers


FLOATS = [torch.float16, torch.bfloat16, torch.float64, torch.float8_e4m3fn, torch.float8_e5m2]


@pytest.mark.parametrize("kind", FLOATS)
def test_other_floats_are_cast_and_this_is_told(tmp_path: Path, kind: torch.dtype, caplog: Any) -> None:
    given = {name: tensor.to(kind) if tensor.is_floating_point() else tensor for name, tensor in state().items()}
    safetensors.torch.save_file(given, tmp_path / "w.safetensors")
    with caplog.at_level(logging.INFO):
        found = fitting.read(tmp_path / "w.safetensors", network())
    name = str(kind).removeprefix("torch.")
    assert found.facts["weights_cast"] == {f"{name} to float32": len(state()) - 1}
    assert f"{len(state()) - 1} tensors are cast from {name} to float32" in caplog.text
    assert_equal(found.weights, {n: t.to(torch.float32) if t.is_floating_point() else t for n, t in given.items()})


def quantised(tensor: Tensor) -> Tensor:
    return torch.quantize_per_tensor(tensor, 0.1, 0, torch.qint8)


REFUSED: dict[str, Callable[[Tensor], Tensor]] = {
    "complex64": lambda t: t.to(torch.complex64),
    "complex128": lambda t: t.to(torch.complex128),
    "int8": lambda t: t.to(torch.int8),
    "uint8": lambda t: t.abs().to(torch.uint8),
    "int64": lambda t: t.to(torch.int64),
    "bool": lambda t: t > 0,
    "sparse_coo": lambda t: t.to_sparse(),
    "sparse_csr": lambda t: t.to_sparse_csr(),
    "quantised (qint8)": quantised,
    "without values": lambda t: t.to("meta"),
    "uint16": lambda t: t.abs().to(torch.uint16),
    "nested": lambda t: torch.nested.nested_tensor([row[:k] for k, row in enumerate(t, 1)]),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", REFUSED)
def test_numbers_that_are_no_floats_are_refused_by_name(tmp_path: Path, kind: str) -> None:
    torch.save({**state(), "3.weight": REFUSED[kind](state()["3.weight"])}, tmp_path / "w.pt")
    said = refusal(tmp_path / "w.pt")
    assert "does not fit the network: 3.weight is" in said and kind in said and len(said.splitlines()) == 1


def test_a_count_may_be_any_whole_number(tmp_path: Path) -> None:
    name = "1.num_batches_tracked"
    torch.save({**state(), name: torch.tensor(7.0)}, tmp_path / "w.pt")
    assert torch.equal(adopt(tmp_path / "w.pt")[name], torch.tensor(7))
    torch.save({**state(), name: torch.tensor(7.5)}, tmp_path / "w.pt")
    assert f"{name} is float32, and the network's int64" in refusal(tmp_path / "w.pt")


class Scaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale, self.layer = nn.Parameter(torch.tensor(1.0)), nn.Linear(2, 2)
        self.register_buffer("steps", torch.tensor(0))


@pytest.mark.parametrize("prefix", ["", "module.", "model."])
@pytest.mark.parametrize("scale", [3.0, 3, np.float32(3), np.array(3.0), np.array(3.0, np.float16), torch.tensor(3.0)])
@pytest.mark.parametrize("steps", [7, 7.0, np.int32(7), torch.tensor(7.0)])
def test_a_single_number_may_be_any_kind_of_number(tmp_path: Path, prefix: str, scale: Any, steps: Any) -> None:
    given = {**Scaled().state_dict(), "scale": scale, "steps": steps}
    torch.save({f"{prefix}{name}": of for name, of in given.items()} | {"epoch": 5, "rate": 0.1}, tmp_path / "w.pt")
    found = adopt(tmp_path / "w.pt", Scaled())
    assert torch.equal(found["scale"], torch.tensor(3.0)) and torch.equal(found["steps"], torch.tensor(7))


@pytest.mark.parametrize("given", [True, "3", None, [3.0], 7.5])
def test_what_is_no_single_number_of_the_kind_is_refused(tmp_path: Path, given: Any) -> None:
    torch.save({**Scaled().state_dict(), "steps": given}, tmp_path / "w.pt")
    said = refusal(tmp_path / "w.pt", Scaled())
    assert ("steps is float64, and the network's int64" if given == 7.5 else "steps is missing, of shape ()") in said


# Shards and folders


def sharded(folder: Path, name: str, save: Callable[[dict[str, Tensor], Path], None]) -> Path:
    """Write the state of `network()` in two shards, as Hugging Face does."""
    folder.mkdir(exist_ok=True)
    names, (stem, suffix) = list(state()), name.split(".", 1)
    halves = {f"{stem}-0000{k}-of-00002.{suffix}": names[k - 1 :: 2] for k in (1, 2)}
    for shard, held in halves.items():
        save({key: state()[key] for key in held}, folder / shard)
    placed = {key: shard for shard, held in halves.items() for key in held}
    (folder / f"{name}.index.json").write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": placed}))
    return folder


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin", "diffusion_pytorch_model.safetensors"])
def test_shards_and_folders(tmp_path: Path, name: str) -> None:
    save = safetensors.torch.save_file if name.endswith("safetensors") else torch.save
    folder = sharded(tmp_path / "sharded", name, save)
    assert_equal(adopt(folder), state())
    assert_equal(adopt(folder / f"{name}.index.json"), state())
    assert len(weight_files.parts(folder)) == 3
    (tmp_path / "whole").mkdir()
    save(state(1), tmp_path / "whole" / name)
    assert_equal(adopt(tmp_path / "whole"), state(1))
    assert weight_files.checksum(folder) != weight_files.checksum(tmp_path / "whole")


def test_safetensors_come_before_pickles(tmp_path: Path) -> None:
    torch.save(state(1), tmp_path / "pytorch_model.bin")
    safetensors.torch.save_file(state(), tmp_path / "model.safetensors")
    assert_equal(adopt(tmp_path), state())
    assert_equal(adopt(tmp_path / "pytorch_model.bin"), state(1))


def test_broken_shards_are_named(tmp_path: Path) -> None:
    folder = sharded(tmp_path / "a", "model.safetensors", safetensors.torch.save_file)
    (folder / "model-00002-of-00002.safetensors").unlink()
    assert "names the shard model-00002-of-00002.safetensors, and there is no such file beside it" in refusal(folder)
    index = tmp_path / "model.safetensors.index.json"
    for content, line in (
        ("{", "is no index of shards"),
        ("[]", "is no index of shards"),
        ('{"weight_map": 3}', "is no index of shards"),
        ('{"weight_map": {"0.weight": "../w.safetensors"}}', "must lie beside its index"),
    ):
        index.write_text(content)
        assert line in refusal(index)
    safetensors.torch.save_file(state(), tmp_path / "w.safetensors")
    index.write_text('{"weight_map": {"absent": "w.safetensors"}}')
    assert "says that w.safetensors holds absent, and it does not" in refusal(index)
    (tmp_path / "distributed").mkdir()
    (tmp_path / "distributed/.metadata").touch()
    assert "dcp_to_torch_save" in refusal(tmp_path / "distributed")


def test_tensors_of_a_large_file_may_stay_on_the_disk(tmp_path: Path) -> None:
    for zipped in (True, False):
        torch.save({"net": state()}, tmp_path / "w.pt", _use_new_zipfile_serialization=zipped)
        assert_equal(fitting.read(tmp_path / "w.pt", network(), mapped=True).weights, state())
