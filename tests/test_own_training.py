"""Trainings by a user's own function: what they yield becomes the run, as any other."""

import functools
import os
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional as F

import landscape as ls
from landscape.api import runs
from landscape.errors import InputError
from landscape.experiment import reading
from landscape.store import files
from landscape.training import loop
from landscape.training.history import Evaluate
from landscape.training.loop import Trained
from landscape.training.run_section import Run

from running import landscape, written

OWN = """
    import torch
    from torch.nn import functional as F

    def plain(network, data, seed, rate=0.1, epochs=3, as_dict=False):
        assert data.train.inputs.shape[1:] == (1, 8, 8) and seed == 5
        optimizer = torch.optim.SGD(network.parameters(), lr=rate)
        for _ in range(epochs):
            assert network.training
            optimizer.zero_grad()
            F.cross_entropy(network(data.train.inputs), data.train.targets).backward()
            optimizer.step()
            torch.rand(1)
            yield {name: of.clone() for name, of in network.state_dict().items()} if as_dict else None

    def draws(network, data, seed):
        for _ in range(2):
            with torch.no_grad():
                network.get_parameter("hidden.0.weight").normal_()
            yield

    def returns(network, data, seed):
        return 3

    def odd(network, data, seed):
        yield 7

    def misfit(network, data, seed):
        yield {"w": torch.zeros(2)}

    def fails(network, data, seed):
        yield
        raise RuntimeError("no luck")
    """


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(textwrap.dedent(OWN))
    return path


def trained(own: Path, function: str, **keys: Any) -> tuple[Trained, Any, Any]:
    digits = ls.dataset("digits", examples=100)
    args = keys.pop("args", {})
    run = Run(network="mlp", data="digits", seed=5, train={"name": f"{own}:{function}", "args": args}, **keys)
    network = ls.network("mlp", digits, hidden=[6])
    start = {name: of.clone() for name, of in network.state_dict().items()}
    return runs.train(network, digits, run), start, digits


@pytest.mark.parametrize("as_dict", [False, True])
def test_a_loop_of_ones_own_gives_weights_epochs_and_history(own: Path, as_dict: bool) -> None:
    found, start, digits = trained(own, "plain", args={"rate": 0.5, "as_dict": as_dict}, epochs=3, keep="all")
    network = ls.network("mlp", digits, hidden=[6])
    network.load_state_dict(start)
    for epoch in range(4):
        loss = F.cross_entropy(network(digits.train.inputs), digits.train.targets)
        assert float(found.history.train_loss[epoch]) == pytest.approx(float(loss.detach()), rel=1e-5)
        for name, of in network.state_dict().items():
            torch.testing.assert_close(found.epochs[epoch][name], of)
        network.zero_grad()
        loss.backward()
        with torch.no_grad():
            for parameter in network.parameters():
                assert parameter.grad is not None
                parameter.sub_(parameter.grad, alpha=0.5)
    assert sorted(found.epochs) == [0, 1, 2, 3] and found.history.epoch.values.tolist() == [0, 1, 2, 3]
    for name, of in found.weights.items():
        assert torch.equal(of, found.epochs[3][name])
    assert np.isnan(found.history.learning_rate).all() and (found.history.examples_per_second[1:] > 0).all()


def test_its_random_numbers_come_from_the_seed_alone(own: Path) -> None:
    torch.manual_seed(1)
    one, _, _ = trained(own, "draws", epochs=2, keep="all")
    torch.manual_seed(2)
    other, _, _ = trained(own, "draws", epochs=2)
    assert all(torch.equal(of, other.weights[name]) for name, of in one.weights.items())
    assert not torch.equal(one.epochs[1]["hidden.0.weight"], one.epochs[2]["hidden.0.weight"])


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("plain", "plain ended after 3 epochs, and epochs is 4"),
        ("returns", "returned int; it must yield after each epoch"),
        ("odd", "yielded int after epoch 1; allowed are a state dict and None"),
        ("misfit", "yielded a state dict that does not fit the network"),
        ("fails", "fails failed: RuntimeError: no luck"),
    ],
)
def test_a_function_that_does_not_keep_to_it_is_told(own: Path, function: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        trained(own, function, epochs=4)


GOING_ON = """
    import torch
    from torch.nn import functional as F

    def step(network, optimizer, data, rows=slice(None)):
        optimizer.zero_grad()
        F.cross_entropy(network(data.train.inputs[rows]), data.train.targets[rows]).backward()
        optimizer.step()

    def by(make, **args):
        def training(network, data, seed, start):
            epoch, memory = start
            optimizer = make(network.parameters(), **args)
            if memory:
                optimizer.load_state_dict(memory)
            while True:
                epoch += 1
                step(network, optimizer, data)
                yield None, optimizer.state_dict()
        return training

    sgd = by(torch.optim.SGD, lr=0.5)
    momentum = by(torch.optim.SGD, lr=0.1, momentum=0.9, nesterov=True)
    adam = by(torch.optim.Adam, lr=0.01)
    adamw = by(torch.optim.AdamW, lr=0.01, amsgrad=True)
    rmsprop = by(torch.optim.RMSprop, lr=0.01)

    def without_memory(network, data, seed, start):
        optimizer = torch.optim.SGD(network.parameters(), lr=0.3)
        for _ in range(start[0], 4):
            step(network, optimizer, data)
            yield

    def shuffled(network, data, seed, start):  # torch's own random numbers go on
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
        while True:
            for rows in torch.randperm(100).split(30):
                step(network, optimizer, data, rows)
            yield

    def generator(network, data, seed, start):
        order = torch.Generator().manual_seed(seed)
        if start[1] is not None:
            order.set_state(start[1]["order"])
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
        while True:
            for rows in torch.randperm(100, generator=order).split(30):
                step(network, optimizer, data, rows)
            yield None, {"order": order.get_state()}

    def scheduled(network, data, seed, start):
        optimizer = torch.optim.SGD(network.parameters(), lr=0.5)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 4)
        if start[1]:
            optimizer.load_state_dict(start[1][0])
            schedule.load_state_dict(start[1][1])
        while True:
            step(network, optimizer, data)
            schedule.step()
            yield None, [optimizer.state_dict(), schedule.state_dict()]

    def averaged(network, data, seed, start):  # yields a mean, and trains on other weights
        live = {name: of.clone() for name, of in (start[1] or network.state_dict()).items()}
        while True:
            mean = {name: of.clone() for name, of in network.state_dict().items()}
            network.load_state_dict(live)
            step(network, torch.optim.SGD(network.parameters(), lr=0.5), data)
            live = {name: of.clone() for name, of in network.state_dict().items()}
            yield {name: 0.5 * mean[name] + 0.5 * of for name, of in live.items()}, live

    def counted(network, data, seed, start):  # the rate follows from the number of the epoch
        for epoch in range(start[0], 4):
            step(network, torch.optim.SGD(network.parameters(), lr=1 / (1 + epoch)), data)
            yield (None, {"epochs": epoch + 1, "seen": [("all", 100)]})

    def noisy(network, data, seed, start):
        while True:
            with torch.no_grad():
                for parameter in network.parameters():
                    parameter.add_(0.01 * torch.randn_like(parameter))
            yield network.state_dict()

    def anew(network, data, seed):
        optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
        while True:
            step(network, optimizer, data)
            yield

    def object(network, data, seed, start):
        yield None, {"optimizer": torch.optim.SGD(network.parameters(), lr=0.1)}
    """
GENERATORS = (
    "sgd", "momentum", "adam", "adamw", "rmsprop", "without_memory", "shuffled", "generator", "scheduled", "averaged",
    "counted", "noisy", "anew",
)  # fmt: skip


def evaluate_until(calls: int) -> Evaluate:
    """Measure so many times, and draw random numbers on the way, then be interrupted."""
    left = iter(range(calls))

    def evaluate(network: Any, data: Any) -> dict[str, float]:
        if next(left, None) is None:
            raise KeyboardInterrupt
        torch.rand(3)
        network.eval()
        return {"train_loss": float(F.cross_entropy(network(data.train.inputs), data.train.targets).detach())}

    return evaluate


@pytest.mark.parametrize("function", GENERATORS)
def test_an_interrupted_training_ends_with_the_same_bits(
    function: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "on.py").write_text(textwrap.dedent(GOING_ON))
    digits = ls.dataset("digits", examples=100)
    run = Run(network="mlp", data="digits", seed=5, train=f"{tmp_path / 'on.py'}:{function}", epochs=4, keep="all")

    def trained_in(work: str, evaluate: Evaluate) -> Trained:
        return loop.train(run, ls.network("mlp", digits, hidden=[6]), digits, tmp_path / work, "x", evaluate)

    whole = trained_in("whole", evaluate_until(5))
    calls = (0, 2, 1, 1) if function != "anew" else (0, 4)  # it goes on, to be interrupted again
    for each in calls:
        with pytest.raises(KeyboardInterrupt):
            trained_in("parts", evaluate_until(each))
    found = trained_in("parts", evaluate_until(1 if function != "anew" else 5))
    assert ("begins anew, since its function has no parameter `start`" in caplog.text) == (function == "anew")
    assert list(found.epochs) == list(whole.epochs) == [0, 1, 2, 3, 4]
    for epoch, weights in whole.epochs.items():
        assert all(torch.equal(of, found.epochs[epoch][name]) for name, of in weights.items()), epoch
    assert found.history.train_loss.values.tolist() == whole.history.train_loss.values.tolist()
    assert len({float(of["hidden.0.weight"].double().sum()) for of in whole.epochs.values()}) == 5, "every epoch moves"
    assert_same_weights(trained_in("parts", evaluate_until(0)), whole)  # what is finished is only read


def assert_same_weights(one: Trained, other: Trained) -> None:
    assert all(torch.equal(of, other.weights[name]) for name, of in one.weights.items())


def test_a_memory_that_cannot_be_kept_is_told(tmp_path: Path) -> None:
    (tmp_path / "on.py").write_text(textwrap.dedent(GOING_ON))
    with pytest.raises(
        InputError, match="object yielded a memory that cannot be kept: .*; allowed are tensors, numbers"
    ):
        trained(tmp_path / "on.py", "object", epochs=2)


def test_python_takes_a_function_or_its_name(own: Path) -> None:
    digits = ls.dataset("digits", examples=100)

    def halved(network: Any, data: Any, seed: int) -> Any:
        for _ in range(2):
            with torch.no_grad():
                for parameter in network.parameters():
                    parameter.mul_(0.5)
            yield

    network = ls.network("mlp", digits, hidden=[6])
    start = {name: of.clone() for name, of in network.state_dict().items()}
    found = ls.train(network, digits, train=halved, epochs=2, keep="all")
    for name, of in start.items():
        assert torch.equal(found.weights[name], of / 4) and torch.equal(found.epochs[1][name], of / 2)
    named = {"name": f"{own}:plain", "args": {"rate": 0.5}}
    by_name = ls.train(ls.network("mlp", digits, hidden=[6]), digits, train=named, epochs=3, seed=5)
    assert_same_weights(by_name, trained(own, "plain", args={"rate": 0.5}, epochs=3)[0])
    with pytest.raises(InputError, match="halved ended after 2 epochs, and epochs is 3"):
        ls.train(network, digits, train=halved, epochs=3)
    with pytest.raises(InputError, match="a function of the user's own, takes no optimizer"):
        ls.train(network, digits, train=halved, epochs=2, optimizer="adam")
    with pytest.raises(InputError, match="train"):
        ls.train(network, digits, train="halved", epochs=2)
    assert callable(functools.partial(halved)) and ls.train(network, digits, train=functools.partial(halved), epochs=1)


WORKFLOW = """
import os
import torch
from torch.nn import functional as F

def net(width=6):
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, width), torch.nn.Tanh(), torch.nn.Linear(width, 10))

def training(network, data, seed, start, rate=0.1):
    epoch, memory = start
    optimizer = torch.optim.Adam(network.parameters(), lr=rate)
    if memory:
        optimizer.load_state_dict(memory)
    while True:
        epoch += 1
        with open(os.environ["TRAINED_EPOCHS"], "a") as file:
            print(epoch, file=file)
        if epoch == 3 and not memory:  # only in the first process
            os.kill(os.getpid(), 9)
        for rows in torch.randperm(len(data.train)).split(50):
            optimizer.zero_grad()
            F.cross_entropy(network(data.train.inputs[rows]), data.train.targets[rows]).backward()
            optimizer.step()
        yield None, optimizer.state_dict() if epoch > 1 else None
"""


def test_the_workflow_goes_on_with_a_killed_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text(WORKFLOW)
    run = {"network": "mine.py:net", "data": "digits", "epochs": 4, "keep": "all"}
    content = {
        "data": {"digits": {"source": "digits", "examples": 200}},
        "runs": {"mine": {**run, "train": {"name": "mine.py:training", "args": {"rate": 0.02}}}},
    }
    config, weights = written(content, tmp_path), "results/runs/mine/weights.safetensors"
    monkeypatch.setenv("TRAINED_EPOCHS", str(tmp_path / "whole.txt"))
    monkeypatch.chdir(tmp_path)
    digits = ls.dataset("digits", examples=200)
    landscape("run", config.name, weights, folder=tmp_path, expect=1)
    os.rename("whole.txt", "first.txt")
    landscape("run", config.name, weights, folder=tmp_path)
    assert Path("first.txt").read_text().split() == ["1", "2", "3"] and Path("whole.txt").read_text().split() == [
        "3",
        "4",
    ]
    found = files.read_dataset(tmp_path / "results/runs/mine/history.nc")
    Path("mine.py").write_text(WORKFLOW.replace("9)", "0)"))
    named = {"name": "mine.py:training", "args": {"rate": 0.02}}
    whole = ls.train(ls.network("mine.py:net", digits), digits, train=named, epochs=4, keep="all")
    assert found.train_loss.values.tolist() == whole.history.train_loss.values.tolist()
    kept = load_file(tmp_path / weights)
    assert all(torch.equal(kept[name], of) for name, of in whole.weights.items())
    epochs = load_file(tmp_path / "results/runs/mine/epochs.safetensors")
    assert all(torch.equal(epochs[f"{e:03d}/{name}"], of[name]) for e, of in whole.epochs.items() for name in of)


def test_a_configuration_names_it(own: Path) -> None:
    def read(**keys: Any) -> Any:
        run = {"network": "mlp", "args": {"hidden": [6]}, "data": "digits", "epochs": 3, **keys}
        return reading.resolve({"data": {"digits": {"source": "digits"}}, "runs": {"mine": run}}).runs["mine"]

    run = read(train=f"{own}:plain")
    assert run.code_names == [f"{own}:plain"]
    assert run.model_dump(mode="json", exclude_defaults=True)["train"] == f"{own}:plain"
    for keys, message in (
        ({"train": f"{own}:none"}, "has no function none; it has plain, draws"),
        ({"train": "own"}, "runs.mine.train"),
        ({"train": f"{own}:plain", "optimizer": "adam"}, "a function of the user's own, takes no optimizer"),
        ({"train": f"{own}:plain", "weights": "w.pt"}, "is not trained, so it takes no"),
    ):
        with pytest.raises(InputError, match=message):
            read(**keys)
