"""Adopted weights are held against what is known of them, to the digits stated."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import landscape as ls
from landscape.config.fields import INERT, with_trait
from landscape.errors import InputError
from landscape.experiment import reading, specs
from landscape.training import expected
from landscape.training.run_section import Run

from running import jobs, landscape, snakemake, written

N = 200


def data() -> tuple[Any, Any]:
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(2 * N, 5, generator=generator)
    y = (x[:, :3] + 0.8 * torch.randn(2 * N, 3, generator=generator)).argmax(1)
    return (x[:N], y[:N]), (x[N:], y[N:])


def network() -> nn.Module:
    torch.manual_seed(0)
    made = nn.Linear(5, 3)
    with torch.no_grad():
        made.weight.copy_(3 * torch.eye(3, 5))
        made.bias.zero_()
    return made


def by_hand() -> dict[str, float]:
    """Losses, accuracies and errors in float64."""
    found = {}
    for split, (x, y) in zip(("train", "test"), data(), strict=True):
        logits = network().double()(x.double()).detach()
        found[f"{split}_loss"] = float(-logits.log_softmax(1)[torch.arange(N), y].mean())
        found[f"{split}_accuracy"] = float((logits.argmax(1) == y).double().mean())
        found[f"{split}_error"] = 100 * (1 - found[f"{split}_accuracy"])
    return found


def adopted(**numbers: float) -> Any:
    train, test = data()
    return ls.adopt(network(), network(), train, test=test, expected=numbers)


NAMES = list(by_hand())


def test_numbers_of_numpy_have_their_digits() -> None:
    right = by_hand()["test_error"]
    adopted(test_error=np.float64(round(right, 1)))
    with pytest.raises(InputError, match="up to 0.05"):
        adopted(test_error=np.float64(round(right + 0.2, 1)))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("digits", [0, 1, 3, 5])
def test_a_number_that_is_right_to_its_digits_agrees(name: str, digits: int) -> None:
    stated = round(by_hand()[name], digits)
    adopted(**{name: int(stated) if digits == 0 else stated})


@pytest.mark.parametrize("off", [-1, 1])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("digits", [1, 2, 4])
def test_a_number_that_is_wrong_in_its_last_digit_does_not(name: str, digits: int, off: int) -> None:
    right = by_hand()[name]
    near = [f"{right + k * off * 10.0**-digits:.{digits}f}" for k in (2, 3)]
    stated = next(text for text in near if not text.endswith("0"))  # 0.80 has one digit
    with pytest.raises(InputError, match=rf"^{name} is .*likely causes: the normalisation of the data") as refused:
        adopted(**{name: float(stated)})
    assert f"{stated} is expected" in str(refused.value) and f"{right:.{digits + 2}f}" in str(refused.value)


@pytest.mark.parametrize("stated", [0, 8, 30, 33, 100])
def test_a_whole_number_stands_for_half_a_unit_around_it(stated: int) -> None:
    if abs(by_hand()["train_error"] - stated) <= 0.5:
        adopted(train_error=stated)
    else:
        with pytest.raises(InputError, match=f"{stated} is expected, up to 0.5"):
            adopted(train_error=stated)


def test_an_accuracy_may_be_in_percent() -> None:
    right = by_hand()["test_accuracy"]
    adopted(test_accuracy=round(100 * right, 1))
    with pytest.raises(InputError, match="test_accuracy is"):
        adopted(test_accuracy=round(100 * right, 1) + 0.2)


def test_every_number_that_is_wrong_is_told() -> None:
    right = by_hand()
    with pytest.raises(InputError) as refused:
        adopted(test_error=99.9, train_loss=round(right["train_loss"], 3), train_error=77)
    assert [problem.split()[0] for problem in refused.value.problems] == ["test_error", "train_error"]


@pytest.mark.parametrize("name", ["test_r2", "test_perplexity", "train_r2", "test_f1"])
def test_what_is_not_measured_is_named(name: str) -> None:
    with pytest.raises(
        InputError, match=rf"{name} is not measured; allowed are train_loss, train_accuracy, train_error"
    ):
        adopted(**{name: 1.0})


def test_without_a_test_split_its_error_is_not_measured() -> None:
    with pytest.raises(InputError, match="test_error is not measured; allowed are train_loss"):
        ls.adopt(network(), network(), data()[0], expected={"test_error": 8.2})


def test_the_end_of_a_path_is_compared_and_other_scores_have_their_names() -> None:
    worse = copy.deepcopy(network())
    nn.init.zeros_(worse.get_parameter("weight"))
    train, test = data()
    right = round(by_hand()["test_error"], 1)
    ls.adopt(network(), data=train, test=test, checkpoints=[worse, network()], expected={"test_error": right})
    with pytest.raises(InputError, match="test_error is"):
        ls.adopt(network(), data=train, test=test, checkpoints=[network(), worse], expected={"test_error": right})
    x, y = torch.randn(30, 5), torch.randn(30, 3)
    found = ls.adopt(network(), network(), (x, y), loss="mse").history
    score = 1 - float((network()(x) - y).square().sum() / (y - y.mean(0)).square().sum())
    ls.adopt(network(), network(), (x, y), loss="mse", expected={"train_r2": round(score, 3)})
    assert expected.sentence(found) == f"train loss {float(found.train_loss[0]):.4g}, R2 {score:.4g}"


@pytest.mark.parametrize(
    "stated, line",
    [
        ({"valid_error": 8.2}, "'valid_error' must be train_ or test_"),
        ({"error": 8.2}, "'error' must be train_ or test_ and loss, error"),
        ({"test_error": "8.2 %"}, "test_error is '8.2 %'; it must be a number"),
        ({"test_error": float("nan")}, "test_error is nan; it must be a number"),
        ({"test_error": True}, "test_error is True; it must be a number"),
        ({"test_error": None}, "test_error is None; it must be a number"),
        ({}, "must say one number or more"),
        (8.2, "must say one number or more"),
    ],
)
def test_what_is_no_expectation(stated: Any, line: str) -> None:
    with pytest.raises(ValueError, match="expected") as refused:
        Run(network="mlp", data="digits", weights="w.pt", expected=stated)
    assert line in str(refused.value)
    with pytest.raises(InputError, match="must") as refused:
        ls.adopt(network(), network(), data()[0], expected=stated)
    assert line in str(refused.value)


def test_only_adopted_runs_have_it_and_no_result_depends_on_it() -> None:
    with pytest.raises(ValueError, match="trained here takes no expected"):
        Run(network="mlp", data="digits", expected={"test_error": 8.2})
    assert "expected" in with_trait(Run, INERT)
    runs = [Run(network="mlp", data="digits", weights="w.pt", expected=of) for of in (None, {"test_error": 8.2})]
    assert specs.of("adopt", runs[0]) == specs.of("adopt", runs[1])


def test_through_the_workflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    digits = ls.dataset("digits")
    mlp = ls.network("mlp", digits, hidden=[8], seed=1)
    torch.save(mlp.state_dict(), tmp_path / "w.pt")
    numbers = expected.numbers_of(ls.adopt(mlp, mlp, digits).history)
    right = {"test_error": round(numbers["test_error"], 1), "train_loss": round(numbers["train_loss"], 3)}
    run: dict[str, Any] = {"network": "mlp", "args": {"hidden": [8]}, "data": "digits", "weights": "w.pt"}
    content: dict[str, Any] = {
        "data": {"digits": {"source": "digits"}},
        "runs": {"right": {**run, "expected": right}, "wrong": {**run, "expected": {"test_error": 8.2}}},
    }

    def said(expect: int, **stated: Any) -> str:
        content["runs"]["wrong"]["expected"] = stated
        return landscape("run", written(content, tmp_path), "--keep-going", folder=tmp_path, expect=expect)

    first = said(1, test_error=8.2)
    assert (
        f"right, adopted: train loss {numbers['train_loss']:.4g}, error {numbers['train_error']:.2f} %; test" in first
    )
    assert f"wrong is not adopted: test_error is {numbers['test_error']:.3f}, and 8.2 is expected" in first
    assert (tmp_path / "results/runs/right/weights.safetensors").exists()
    assert not (tmp_path / "results/runs/wrong/weights.safetensors").exists()
    said(0, test_error=right["test_error"])
    summary = (tmp_path / "results/summary.md").read_text()
    for column in ("train loss", "train accuracy (%)", "test loss", "test error (%)", "expected"):
        assert column in summary
    assert f"test_error {right['test_error']}" in summary
    again = said(2, test_error=8.2)  # nothing is made anew, and still it is an error
    assert f"runs.wrong: test_error is {numbers['test_error']:.3f}, and 8.2 is expected, up to 0.05" in again
    config = reading.read(tmp_path / "config.yaml")
    assert config.runs["wrong"].expected == {"test_error": 8.2}
    assert not jobs(snakemake(tmp_path / "config.yaml", "--dry-run", folder=tmp_path))
