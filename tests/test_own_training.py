"""Trainings by a user's own function: what they yield becomes the run, as any other."""

import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import landscape as ls
from landscape.api import runs
from landscape.errors import InputError
from landscape.experiment import reading
from landscape.training.loop import Trained
from landscape.training.run_section import Run

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
