import logging
import math
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from landscape import checkpoint, train
from landscape.config.schema import Run
from landscape.data import DataSet, Split, memory_format

torch.set_num_threads(1)

CLASSES = 3


def a_run(**settings: Any) -> Run:
    stated = {"network": "resnet", "data": "toy", "epochs": 4, "batch_size": 16, "learning_rate": 0.05, **settings}
    return Run.model_validate(stated)


def a_data_set(images: int = 50, size: int = 8, test: bool = True) -> DataSet:
    generator = torch.Generator().manual_seed(1)

    def split(n: int) -> Split:
        labels = torch.arange(n) % CLASSES
        return Split(torch.randn(n, 1, size, size, generator=generator) + labels[:, None, None, None], labels)

    return DataSet(split(images), split(20) if test else None, CLASSES, torch.tensor([-0.5]), {})


def a_network(seed: int = 0) -> nn.Module:
    """Convolution, batch normalisation and dropout, of images of any size."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Conv2d(4, 4, 3),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(4, CLASSES),
        )


def evaluate(network: nn.Module, data: DataSet) -> dict[str, float]:
    network.eval()
    found = {}
    for name, split in {"train": data.train, "test": data.test}.items():
        if split is not None:
            with torch.no_grad():
                logits = network(split.images).double()
            found[f"{name}_loss"] = nn.functional.cross_entropy(logits, split.labels).item()
            found[f"{name}_accuracy"] = (logits.argmax(1) == split.labels).double().mean().item()
    return found


class Interruption(Exception):
    pass


def interrupted_at(call: int) -> train.Evaluate:
    """`evaluate` that gives up at its call number `call`, counted from 0."""
    calls = iter(range(call))

    def giving_up(network: nn.Module, data: DataSet) -> dict[str, float]:
        if next(calls, None) is None:
            raise Interruption
        return evaluate(network, data)

    return giving_up


def assert_same(a: train.Trained, b: train.Trained) -> None:
    """Equal to the last bit, but for the time it took."""
    assert_same_weights(a.weights, b.weights)
    assert set(a.history) == set(b.history)
    for column in set(a.history) - {"seconds"}:
        np.testing.assert_array_equal(a.history[column], b.history[column], err_msg=str(column))
    assert a.epochs.keys() == b.epochs.keys()
    for epoch in a.epochs:
        assert_same_weights(a.epochs[epoch], b.epochs[epoch])


def assert_same_weights(a: dict[str, Tensor], b: dict[str, Tensor]) -> None:
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


# Schedules


@pytest.mark.parametrize(
    ("first", "last", "rate"), [(1, 150, 0.1), (151, 225, 0.01), (226, 275, 0.001), (276, 300, 0.0001)]
)
def test_the_papers_rates(first: int, last: int, rate: float) -> None:
    run, steps = a_run(epochs=300, learning_rate=0.1), 391
    assert train.learning_rate(run, (first - 1) * steps, steps) == rate
    assert train.learning_rate(run, last * steps - 1, steps) == rate


def test_stated_milestones_and_a_constant_rate() -> None:
    run = a_run(epochs=4, learning_rate=1.0, milestones=[1, 3])
    assert [train.learning_rate(run, step, 2) for step in range(8)] == [1, 1, 0.1, 0.1, 0.1, 0.1, 0.01, 0.01]
    constant = a_run(schedule="constant", learning_rate=0.7)
    assert {train.learning_rate(constant, step, 2) for step in range(8)} == {0.7}


@settings(deadline=None, derandomize=True)
@given(epochs=st.integers(1, 8), steps=st.integers(2, 9), warmup=st.sampled_from([0.1, 0.25, 0.3, 0.5, 0.9]))
def test_onecycle_is_that_of_torch(epochs: int, steps: int, warmup: float) -> None:
    total = epochs * steps
    run = a_run(epochs=epochs, schedule="onecycle", warmup=warmup, learning_rate=0.3)
    rates = [train.learning_rate(run, step, steps) for step in range(total)]
    assert max(rates) <= 0.3
    assert rates[-1] == pytest.approx(0.3 / 250_000)
    if warmup * total > 1:  # with less, torch begins past the peak
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.3, total_steps=total, pct_start=warmup)
        theirs = [schedule.get_last_lr()[0]]
        for _ in range(total - 1):
            optimizer.step()
            schedule.step()
            theirs.append(schedule.get_last_lr()[0])
        np.testing.assert_allclose(np.array(rates), np.array(theirs), rtol=1e-9)


def test_onecycle_without_warmup_falls_from_the_rate_itself() -> None:
    run = a_run(epochs=2, schedule="onecycle", warmup=0, learning_rate=0.3)
    rates = [train.learning_rate(run, step, 5) for step in range(10)]
    assert rates[0] == 0.3
    assert all(later < earlier for earlier, later in zip(rates, rates[1:], strict=False))
    assert train.learning_rate(a_run(epochs=1, schedule="onecycle", learning_rate=0.3), 0, 1) == 0.3


# Steps


@pytest.mark.parametrize(
    "settings", [{}, {"momentum": 0.0}, {"clip": 0.3}, {"optimizer": "adam", "learning_rate": 0.01}]
)
def test_steps_follow_the_textbook(settings: dict[str, Any], tmp_path: Path) -> None:
    """Softmax regression by full batches, against the update formulas in float64."""
    run = a_run(epochs=5, batch_size=50, schedule="constant", weight_decay=0.01, **settings)
    data = a_data_set()
    linear = nn.Linear(64, CLASSES, bias=False)
    network = nn.Sequential(nn.Flatten(), linear)
    theta = linear.weight.detach().double().numpy().copy()
    x, onehot = data.train.images.flatten(1).double().numpy(), np.eye(CLASSES)[data.train.labels.numpy()]
    expected: dict[str, list[float]] = {"running_loss": [], "gradient_norm": [], "weight_norm": []}
    m, v = np.zeros_like(theta), np.zeros_like(theta)
    for t in range(1, 6):
        p = np.exp(x @ theta.T)
        p /= p.sum(1, keepdims=True)
        g = (p - onehot).T @ x / len(x)
        expected["running_loss"].append(-np.log((p * onehot).sum(1)).mean())
        expected["gradient_norm"].append(float(np.linalg.norm(g)))
        if run.clip:
            g *= min(1, run.clip / np.linalg.norm(g))
        g += 0.01 * theta
        if run.optimizer == "sgd":
            m = run.momentum * m + g
            theta -= run.initial_rate * (g + run.momentum * m)
        else:
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
            theta -= run.initial_rate * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        expected["weight_norm"].append(float(np.linalg.norm(theta)))
    trained = train.train(run, network, data, tmp_path, "x", evaluate)
    np.testing.assert_allclose(trained.weights["1.weight"], theta, rtol=1e-4, atol=1e-6)
    for column, values in expected.items():
        np.testing.assert_allclose(trained.history[column][1:], values, rtol=1e-5, err_msg=column)


class Witness(nn.Module):
    """Notes the images of every batch it is trained on, by the number that fills them."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(1, CLASSES)
        self.seen: list[list[int]] = []
        self.layouts: set[bool] = set()

    def forward(self, images: Tensor) -> Tensor:
        if self.training:
            self.seen.append(images[:, 0, 0, 0].int().tolist())
            self.layouts.add(images.is_contiguous(memory_format=torch.channels_last))
        logits: Tensor = self.linear(images.mean((1, 2, 3))[:, None])
        return logits


def numbered(images: int, channels: int = 1, size: int = 2) -> DataSet:
    filled = torch.arange(images).float()[:, None, None, None].expand(-1, channels, size, size).contiguous()
    return DataSet(Split(filled, torch.arange(images) % CLASSES), None, CLASSES, torch.zeros(channels), {})


@pytest.mark.parametrize(
    ("images", "batch_size", "sizes"), [(10, 4, [4, 4, 2]), (9, 4, [4, 5]), (3, 8, [3]), (3, 1, [1, 1, 1])]
)
def test_every_image_once_an_epoch(images: int, batch_size: int, sizes: list[int], tmp_path: Path) -> None:
    network = Witness()
    train.train(a_run(epochs=2, batch_size=batch_size), network, numbered(images), tmp_path, "x", evaluate)
    assert [len(batch) for batch in network.seen] == 2 * sizes
    first, second = (sum(network.seen[k : k + len(sizes)], []) for k in (0, len(sizes)))
    assert sorted(first) == sorted(second) == list(range(images))


def test_running_loss_is_the_mean_over_images(tmp_path: Path) -> None:
    """With a rate of next to nothing the network stands still, and a short batch must not count as a whole one."""
    run = a_run(epochs=1, batch_size=4, learning_rate=1e-20)
    history = train.train(run, Witness(), numbered(10), tmp_path, "x", evaluate).history
    assert float(history.running_loss[1]) == pytest.approx(float(history.train_loss[0]), rel=1e-6)


def test_layout_depends_on_the_shape_of_the_images_only(tmp_path: Path) -> None:
    assert memory_format((1, 8, 8)) == torch.contiguous_format
    assert memory_format((3, 32, 32)) == torch.channels_last
    for size, expected in ((8, {False}), (32, {True})):
        network = Witness()
        data = numbered(6, channels=3, size=size)
        train.train(a_run(epochs=1, batch_size=3), network, data, tmp_path / str(size), "x", evaluate)
        assert network.layouts == expected


# Randomness


def test_other_seeds_and_epochs_have_another_order(tmp_path: Path) -> None:
    orders = set()
    for seed in (0, 1):
        network = Witness()
        train.train(
            a_run(epochs=2, seed=seed, batch_size=12), network, numbered(12), tmp_path / str(seed), "x", evaluate
        )
        orders |= {tuple(batch) for batch in network.seen}
    assert len(orders) == 4


def test_same_seed_same_bits_other_seed_others(tmp_path: Path) -> None:
    def of(seed: int, work: str) -> train.Trained:
        run = a_run(epochs=2, seed=seed, augment=["crop", "flip"])
        return train.train(run, a_network(), a_data_set(), tmp_path / work, "x", evaluate)

    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = of(0, "a")
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    assert_same(first, of(0, "b"))
    assert not torch.equal(first.weights["0.weight"], of(1, "c").weights["0.weight"])


@pytest.mark.parametrize("augment", [["crop"], ["flip"]])
def test_augmentation_alters_training_and_not_what_is_measured(augment: list[str], tmp_path: Path) -> None:
    plain, augmented = (
        train.train(
            a_run(epochs=1, augment=kinds), a_network(), a_data_set(), tmp_path / str(len(kinds)), "x", evaluate
        )
        for kinds in ([], augment)
    )
    assert plain.history.running_loss[1] != augmented.history.running_loss[1]
    assert plain.history.train_loss[0] == augmented.history.train_loss[0]


# What comes back


def test_history_and_kept_epochs(tmp_path: Path) -> None:
    network, data = a_network(), a_data_set()
    initial = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    trained = train.train(a_run(epochs=5, keep=2, milestones=[2, 4]), network, data, tmp_path, "x", evaluate)
    history = trained.history
    assert history.epoch.values.tolist() == [0, 1, 2, 3, 4, 5]
    for name in ("running_loss", "learning_rate", "gradient_norm"):
        assert np.isnan(history[name].values).tolist() == [True] + 5 * [False]
    assert all("long_name" in v.attrs and "units" in v.attrs and v.dtype == np.float64 for v in history.values())
    np.testing.assert_allclose(history.learning_rate[1:], [0.05, 0.05, 0.005, 0.005, 0.0005])
    assert (np.diff(history.seconds) > 0).all()
    assert sorted(trained.epochs) == [0, 2, 4, 5]
    assert_same_weights(trained.epochs[0], initial)
    assert_same_weights(trained.epochs[5], trained.weights)
    for epoch, theta in trained.epochs.items():
        there = a_network(seed=9)
        there.load_state_dict(theta)
        assert len(found := evaluate(there, data)) == 4
        assert {name: float(history[name][epoch]) for name in found} == found
        flat = torch.cat([p.detach().double().flatten() for p in there.parameters()])
        assert float(history.weight_norm[epoch]) == pytest.approx(float(flat.norm()), rel=1e-12)
    row = train.history_of(a_network(), data, evaluate)
    assert row.sizes["epoch"] == 1
    assert set(row) == set(history)
    assert row.train_loss[0] == history.train_loss[0]


def test_without_a_test_split_there_are_no_test_columns(tmp_path: Path) -> None:
    trained = train.train(a_run(epochs=1), a_network(), a_data_set(test=False), tmp_path, "x", evaluate)
    assert not [name for name in trained.history if str(name).startswith("test")]
    assert trained.epochs == {}


def test_a_run_that_diverges_is_a_result(tmp_path: Path) -> None:
    run = a_run(learning_rate=1e30, schedule="constant", clip=1.0, keep="all")
    trained = train.train(run, a_network(), a_data_set(), tmp_path, "x", evaluate)
    assert trained.history.sizes["epoch"] == 5
    assert not np.isfinite(trained.history.train_loss[4])
    assert math.isfinite(trained.history.train_loss[0])


def test_a_line_per_epoch_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        train.train(a_run(epochs=3), a_network(), a_data_set(), tmp_path, "x", evaluate, "toy")
    lines = [line for line in caplog.messages if line.startswith("training toy: epoch")]
    assert len(lines) == 4
    assert "epoch 3 of 3: train_loss" in lines[3]


# Interruptions

INTERRUPTED = {
    "sgd": a_run(augment=["crop", "flip"], keep=2, clip=1.0),
    "adam": a_run(optimizer="adam", schedule="onecycle", keep="all"),
}


@pytest.fixture(scope="module", params=INTERRUPTED)
def uninterrupted(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Run, train.Trained]:
    run = INTERRUPTED[request.param]
    return run, train.train(run, a_network(), a_data_set(), tmp_path_factory.mktemp("whole"), "x", evaluate)


@pytest.mark.parametrize("calls", [[0], [1], [2], [3], [4], [0, 1, 0, 2]])
def test_interrupted_in_an_epoch_it_ends_the_same(
    calls: list[int], uninterrupted: tuple[Run, train.Trained], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """`calls` of `evaluate`, one an epoch, until each interruption."""
    run, whole = uninterrupted
    start = time.monotonic()
    for call in calls:
        with pytest.raises(Interruption):
            train.train(run, a_network(), a_data_set(), tmp_path, "x", interrupted_at(call))
    with caplog.at_level(logging.INFO):
        resumed = train.train(run, a_network(), a_data_set(), tmp_path, "x", evaluate)
    assert_same(resumed, whole)
    finished = sum(calls)
    assert (f"goes on after epoch {finished - 1} of 4" in caplog.text) == (finished > 0)
    assert (np.diff(resumed.history.seconds) > 0).all()
    assert 0 < resumed.history.seconds[-1] < time.monotonic() - start


def test_interrupted_with_images_in_channels_last(tmp_path: Path) -> None:
    run, data = a_run(epochs=2), a_data_set(size=32)
    whole = train.train(run, a_network(), data, tmp_path / "a", "x", evaluate)
    with pytest.raises(Interruption):
        train.train(run, a_network(), data, tmp_path / "b", "x", interrupted_at(1))
    assert_same(train.train(run, a_network(), data, tmp_path / "b", "x", evaluate), whole)
    assert all(tensor.is_contiguous() for tensor in whole.weights.values())


def test_a_finished_run_is_only_read(uninterrupted: tuple[Run, train.Trained], tmp_path: Path) -> None:
    run, whole = uninterrupted
    train.train(run, a_network(), a_data_set(), tmp_path, "x", evaluate)
    assert_same(train.train(run, a_network(), a_data_set(), tmp_path, "x", interrupted_at(0)), whole)


KILLED = a_run(epochs=30, augment=["crop"], keep=3)


def train_slowly(work: str) -> None:
    def slow(network: nn.Module, data: DataSet) -> dict[str, float]:
        time.sleep(0.02)
        return evaluate(network, data)

    train.train(KILLED, a_network(), a_data_set(), Path(work), "x", slow)


def test_killed_it_ends_the_same(tmp_path: Path) -> None:
    whole = train.train(KILLED, a_network(), a_data_set(), tmp_path / "whole", "x", evaluate)
    work = tmp_path / "killed"
    script = "import sys; sys.path.insert(0, sys.argv[1]); import test_train; test_train.train_slowly(sys.argv[2])"
    child = subprocess.Popen([sys.executable, "-c", script, str(Path(__file__).parent), str(work)])
    try:
        deadline = time.monotonic() + 60
        while not (work / "006.safetensors").exists() and child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
    finally:
        child.kill()
        child.wait()
    assert child.returncode == -9
    assert not (work / "030.safetensors").exists()
    (work / ".state.pt.left.tmp").write_bytes(b"half a state")  # as a kill while writing leaves it
    assert_same(train.train(KILLED, a_network(), a_data_set(), work, "x", evaluate), whole)
    assert not list(work.glob(".*.tmp"))


# What cannot be gone on from


def test_a_state_of_another_identity_is_set_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = a_run(epochs=1, keep="all")
    for identity in ("x", "y", "z"):
        train.train(run, a_network(), a_data_set(), tmp_path, identity, evaluate)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "000.safetensors",
        "001.safetensors",
        "set-aside-2",
        "state.pt",
    ]
    aside = tmp_path / "set-aside-2"
    assert sorted(path.name for path in aside.iterdir()) == ["000.safetensors", "001.safetensors", "state.pt"]
    assert torch.load(aside / "state.pt", weights_only=True)["identity"] == "y"
    assert "of another specification" in caplog.text


def _replace(path: Path, content: bytes) -> None:
    path.unlink()  # tensors read before may still live in the old file
    path.write_bytes(content)


def _truncate(work: Path) -> None:
    _replace(work / "state.pt", (work / "state.pt").read_bytes()[:-2000])


def _flip_a_byte_of_the_weights(work: Path) -> None:
    content = bytearray((work / "state.pt").read_bytes())
    place = content.find(torch.load(work / "state.pt", weights_only=True)["network"]["0.weight"].numpy().tobytes())
    assert place > 0
    content[place] ^= 1
    _replace(work / "state.pt", bytes(content))


def _unpickle_code(work: Path) -> None:
    torch.save({"identity": "x", "epoch": 1, "network": Witness()}, work / "state.pt")


def _another_dict(work: Path) -> None:
    torch.save({"identity": "x", "weights": {}}, work / "state.pt")


def _another_network(work: Path) -> None:
    state = torch.load(work / "state.pt", weights_only=True)
    state["network"]["0.weight"] = torch.zeros(5, 1, 3, 3)
    torch.save(state, work / "state.pt")


def _another_epoch(work: Path) -> None:
    checkpoint.write(work / "000.safetensors", a_network().state_dict(), {"identity": "y", "epoch": 0})


DAMAGES = {
    "truncated state": _truncate,
    "one byte wrong": _flip_a_byte_of_the_weights,
    "no state at all": lambda work: _replace(work / "state.pt", b"nonsense"),
    "empty state": lambda work: _replace(work / "state.pt", b""),
    "code in the state": _unpickle_code,
    "another dict": _another_dict,
    "another network": _another_network,
    "kept epoch missing": lambda work: (work / "000.safetensors").unlink(),
    "kept epoch damaged": lambda work: _replace(work / "000.safetensors", b"nonsense"),
    "kept epoch of another run": _another_epoch,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_files_mean_starting_over(damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = a_run(epochs=2, keep="all")
    whole = train.train(run, a_network(), a_data_set(), tmp_path, "x", evaluate)
    DAMAGES[damage](tmp_path)
    assert_same(train.train(run, a_network(), a_data_set(), tmp_path, "x", evaluate), whole)
    assert "starting over" in caplog.text
    assert "goes on" not in caplog.text
    assert (tmp_path / "set-aside-1" / "state.pt").exists()
