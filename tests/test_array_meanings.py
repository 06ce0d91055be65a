"""Arrays that likely mean something else are refused with the cause; what is stated is taken at its word."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch import nn

import landscape as ls
from landscape.data import datasets
from landscape.data.data_section import Data
from landscape.errors import InputError

from running import landscape, written

N = 12
FLOAT, BYTE = np.float32, np.uint8


def drawn(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    values = np.random.default_rng(0).integers(0, 256, (N, *shape))
    return (values if dtype == BYTE else values / 255).astype(dtype)


def source(folder: Path, **arrays: Any) -> str:
    path = folder / "data.npz"
    np.savez(path, **arrays)
    return str(path)


def images(folder: Path, shape: tuple[int, ...], dtype: Any, **keys: Any) -> Any:
    given = source(folder, train_inputs=drawn(shape, dtype), train_targets=np.arange(N) % 3)
    return datasets.describe(Data(source=given, **keys)), ls.dataset(given, **keys).train.inputs


LAST = "as if the channels were last"
FIRST = "as if the channels were first"


@pytest.mark.parametrize(
    "shape", [(8, 12, 3), (12, 8, 1), (32, 48, 4), (32, 32, 3), (5, 4, 3), (64, 7, 1), (200, 5, 4)]
)
def test_floats_with_the_channels_last_are_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    for dtype in (np.float16, np.float32, np.float64):
        with pytest.raises(InputError, match=LAST):
            images(tmp_path, shape, dtype)


@pytest.mark.parametrize(
    "shape", [(3, 8, 12), (1, 12, 8), (4, 32, 48), (3, 32, 32), (3, 4, 5), (1, 64, 7), (4, 200, 5)]
)
def test_bytes_with_the_channels_first_are_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=FIRST):
        images(tmp_path, shape, BYTE)


@pytest.mark.parametrize(
    "shape", [(3, 8, 12), (1, 28, 28), (4, 9, 9), (2, 16, 16), (16, 7, 7), (3, 8, 3), (1, 28, 1), (4, 3, 3), (64, 5, 2)]
)
def test_floats_are_taken_as_they_are(tmp_path: Path, shape: tuple[int, ...]) -> None:
    """Where both ends are small, the channels are where floats have them."""
    found, inputs = images(tmp_path, shape, FLOAT)
    assert found.image_shape == shape and torch.equal(inputs, torch.from_numpy(drawn(shape, FLOAT)))


@pytest.mark.parametrize(
    "shape", [(8, 12, 3), (28, 28, 1), (9, 9, 4), (16, 16, 2), (3, 8, 3), (1, 28, 1), (3, 3, 4), (7, 5)]
)
def test_bytes_have_their_channels_last(tmp_path: Path, shape: tuple[int, ...]) -> None:
    found, inputs = images(
        tmp_path, shape, BYTE, mean=[0.0] * (shape[2:] or (1,))[0], std=[1.0] * (shape[2:] or (1,))[0]
    )
    pixels = drawn(shape, BYTE).reshape(N, *shape[:2], -1).transpose(0, 3, 1, 2)
    assert found.image_shape == pixels.shape[1:]
    np.testing.assert_allclose(inputs.numpy(), pixels / np.float32(255), rtol=1e-6)


@pytest.mark.parametrize("dtype", [FLOAT, BYTE])
@pytest.mark.parametrize("shape", [(8, 12, 3), (3, 8, 12), (64, 7, 1), (3, 8, 3)])
@pytest.mark.parametrize("channels", ["first", "last"])
def test_stated_channels_are_taken_at_their_word(tmp_path: Path, channels: str, shape: Any, dtype: Any) -> None:
    moved = drawn(shape, dtype) if channels == "first" else drawn(shape, dtype).transpose(0, 3, 1, 2)
    count = moved.shape[1]
    found, inputs = images(tmp_path, shape, dtype, channels=channels, mean=[0.0] * count, std=[1.0] * count)
    assert found.image_shape == moved.shape[1:]
    np.testing.assert_allclose(inputs.numpy(), moved / np.float32(255 if dtype == BYTE else 1), rtol=1e-6)


def test_stated_channels_are_of_images_alone(tmp_path: Path) -> None:
    masks = np.random.default_rng(0).integers(0, 3, (N, 8, 12, 3)).astype(BYTE)
    given = source(tmp_path, train_inputs=drawn((8, 12, 3), FLOAT), train_targets=masks)
    used = ls.dataset(given, channels="last")
    assert np.array_equal(used.train.targets, masks) and used.image_shape == (3, 8, 12)
    with pytest.raises(InputError, match="which is no array, takes no channels"):
        ls.dataset("digits", channels="last")


IGNORE = "if {0} marks what is not to count, state loss: {{name: cross_entropy, args: {{ignore_index: {0}}}}}"
LABELS: dict[str, tuple[list[int], list[int] | None, str]] = {
    "255 among a few": ([0, 1, 2, 3, 255], None, IGNORE.format(255)),
    "255 in the test split alone": ([0, 1, 2, 3], [0, 255], IGNORE.format(255)),
    "99 among a few": ([0, 1, 99], [0, 1], IGNORE.format(99)),
    "9 beside three": ([0, 1, 2, 9], None, IGNORE.format(9)),
    "-1 among a few": ([-1, 0, 1, 2], None, IGNORE.format(-1)),
    "-100 among a few": ([-100, 0, 1], [0, 1], IGNORE.format(-100)),
    "-1 and 1": ([-1, 1], None, "labels go down to -1; classes are counted from 0"),
    "several negative ones": ([-3, -2, -1], None, "labels go down to -3; classes are counted from 0"),
    "counted from 1": ([1, 2, 3], [1, 2], "labels are counted from 1 to 3; subtract 1"),
    "two counted from 1": ([1, 2], None, "labels are counted from 1 to 2; subtract 1"),
    "years": ([1990, 1995, 2001], None, "1999 of these 2002 classes have no training example; number the classes 0, 1"),
    "hundreds": ([0, 100, 200, 300], None, "297 of these 301 classes have no training example; number the classes"),
}


class Wide(nn.Module):
    """A linear network with as many outputs as any test has labels."""

    def __init__(self, outputs: int = 3000) -> None:
        super().__init__()
        self.linear = nn.Linear(4, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.linear(x.flatten(1)[:, :4])
        return logits


def splits(train: list[int], test: list[int] | None, dtype: Any = np.int64) -> dict[str, np.ndarray]:
    found = {"train_targets": np.resize(train, 40).astype(dtype)}
    if test is not None:
        found["test_targets"] = np.resize(test, 20).astype(dtype)
    inputs = {name.replace("targets", "inputs"): np.ones((len(of), 4), FLOAT) for name, of in found.items()}
    return found | inputs


@pytest.mark.parametrize("kind", LABELS)
def test_labels_that_make_empty_classes_are_refused(tmp_path: Path, kind: str) -> None:
    train, test, line = LABELS[kind]
    given = splits(train, test)
    pairs = [
        (torch.from_numpy(given[f"{s}_inputs"]), torch.from_numpy(given[f"{s}_targets"]))
        for s in ("train", "test")
        if f"{s}_inputs" in given
    ]
    data: Any
    for data in (ls.dataset(source(tmp_path, **given)), pairs[0] if test is None else None):
        if data is not None:
            with pytest.raises(InputError) as refused:
                ls.adopt(Wide(), Wide(), data)
            assert line in str(refused.value) and len(refused.value.problems) == 1
    if test is not None:
        with pytest.raises(InputError) as refused:
            ls.adopt(Wide(), Wide(), pairs[0], test=pairs[1])
        assert line in str(refused.value)


RIGHT: dict[str, tuple[list[int], list[int] | None]] = {
    "all classes": ([0, 1, 2, 3], [0, 1]),
    "one class": ([0], None),
    "half of them empty": ([1, 3, 5], None),
    "one missing in the test split": ([0, 1, 2], [0, 2]),
    "one in the test split alone": ([0, 1, 2], [0, 3]),
    "two of four": ([2, 3], [2]),
    "1 and 0 in the test split": ([1, 2, 3], [0]),
    "with a gap": ([1, 2, 4], [1]),
    "many classes": (list(range(40)), [0]),
}


@pytest.mark.parametrize("kind", RIGHT)
@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64])
def test_labels_that_may_be_meant_so_are_taken(tmp_path: Path, kind: str, dtype: Any) -> None:
    data = ls.dataset(source(tmp_path, **splits(*RIGHT[kind], dtype)))
    assert np.isfinite(float(ls.adopt(Wide(), Wide(), data).history.train_loss[0]))


@pytest.mark.parametrize("most", [1, 3, 7])
def test_labels_from_1_beside_a_class_0_that_is_left_out(most: int) -> None:
    labels = torch.from_numpy(np.resize(range(most + 1), 40))
    loss = {"name": "cross_entropy", "args": {"ignore_index": 0}}
    assert np.isfinite(float(ls.adopt(Wide(9), Wide(9), (torch.randn(40, 4), labels), loss=loss).history.train_loss[0]))


@pytest.mark.parametrize("labels", [[0, 217, 482, 491, 701], [3, 999], [999], list(range(0, 1000, 7))])
def test_a_few_of_many_classes_are_taken_with_what_the_refusal_says(labels: list[int]) -> None:
    torch.manual_seed(0)
    network, x, y = Wide(1000), torch.randn(200, 4), torch.from_numpy(np.resize(labels, 200))
    with pytest.raises(
        InputError, match="if they are a few of many classes, state loss: {name: cross_entropy, args"
    ) as no:
        ls.adopt(network, network, (x, y))
    stated = yaml.safe_load(re.findall(r"if they are a few of many classes, state loss: ({.*?}})", str(no.value))[0])
    found = ls.adopt(network, network, (x, y), loss=stated).history
    wanted = torch.nn.functional.cross_entropy(network(x).double(), y).detach()
    assert float(found.train_loss[0]) == pytest.approx(float(wanted), rel=1e-6)


@pytest.mark.parametrize("value", [255, -1, -100, 9])
def test_a_stated_label_does_not_count(value: int) -> None:
    torch.manual_seed(0)
    network, x = Wide(4), torch.randn(40, 4)
    labels = torch.from_numpy(np.resize([0, 1, 2, 3, value], 40))
    loss = {"name": "cross_entropy", "args": {"ignore_index": value}}
    found = ls.adopt(network, network, (x, labels), loss=loss).history
    kept = labels != value
    logits = network(x[kept]).double()
    wanted = -logits.log_softmax(1)[torch.arange(int(kept.sum())), labels[kept]].mean()
    assert float(found.train_loss[0]) == pytest.approx(float(wanted.detach()), rel=1e-6)
    right = (logits.argmax(1) == labels[kept]).double().mean()
    assert float(found.train_accuracy[0]) == pytest.approx(float(right))


class Pixels(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(1, 300, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.convolution(x)
        return logits


@pytest.mark.parametrize("value, line", [(255, IGNORE.format(255)), (-1, IGNORE.format(-1)), (-100, None), (2, None)])
def test_masks_have_the_same_rule(value: int, line: str | None) -> None:
    masks = torch.from_numpy(np.resize([0, 1, value], (10, 4, 4)))
    data = torch.randn(10, 1, 4, 4), masks
    if line is None:  # torch leaves -100 out by itself
        assert np.isfinite(float(ls.adopt(Pixels(), Pixels(), data).history.train_loss[0]))
        return
    with pytest.raises(InputError, match=r"ignore_index") as refused:
        ls.adopt(Pixels(), Pixels(), data)
    assert line in str(refused.value)
    stated = {"name": "cross_entropy", "args": {"ignore_index": value}}
    assert np.isfinite(float(ls.adopt(Pixels(), Pixels(), data, loss=stated).history.train_loss[0]))


@pytest.mark.parametrize("targets", [[-5, 3], [1, 2, 3], [1990, 2005], [0, 255]])
@pytest.mark.parametrize("loss", ["mse", "mae", "huber"])
def test_numbers_of_a_regression_are_no_classes(targets: list[int], loss: str) -> None:
    network, x, y = nn.Linear(4, 1), torch.randn(20, 4), torch.from_numpy(np.resize(targets, 20))
    found = ls.adopt(network, network, (x, y), loss=loss).history
    off = network(x).detach().double().squeeze(1) - y
    wanted = {
        "mse": off.square(),
        "mae": off.abs(),
        "huber": torch.where(off.abs() < 1, off.square() / 2, off.abs() - 0.5),
    }
    assert float(found.train_loss[0]) == pytest.approx(float(wanted[loss].mean()), rel=1e-5)


def test_tokens_are_no_labels() -> None:
    """A vocabulary has more words than a text uses."""
    network = nn.Sequential(nn.Embedding(500, 3), nn.Linear(3, 500))
    tokens = torch.tensor([[3, 499, 7, 3], [250, 3, 7, 8]])
    loss = {"name": "cross_entropy", "args": {"class_axis": -1}}
    assert np.isfinite(float(ls.adopt(network, network, (tokens, tokens), loss=loss).history.train_loss[0]))


def test_a_subset_is_judged_by_the_whole(tmp_path: Path) -> None:
    """A subset of eight examples cannot have forty classes."""
    given = source(tmp_path, **splits(list(range(40)), None))
    assert np.isfinite(float(ls.adopt(Wide(), Wide(), ls.dataset(given, examples=8)).history.train_loss[0]))


@pytest.mark.parametrize(
    "targets, line",
    [(torch.zeros(20), "labels are of an integer type"), (torch.eye(20)[:, :4].long(), "the targets int64 (20, 4)")],
)
def test_labels_of_another_type_are_named(targets: torch.Tensor, line: str) -> None:
    with pytest.raises(InputError) as refused:
        ls.adopt(Wide(4), Wide(4), (torch.randn(20, 4), targets))
    assert line.replace("(20", "(4") in str(refused.value)


def test_the_check_names_arrays_and_labels_at_once(tmp_path: Path) -> None:
    source(tmp_path, train_inputs=drawn((8, 12, 3), FLOAT), train_targets=np.arange(N) % 3)
    (tmp_path / "data.npz").rename(tmp_path / "turned.npz")
    source(tmp_path, train_inputs=drawn((3, 8, 12), FLOAT), train_targets=np.resize([0, 1, 255], N))
    (tmp_path / "nets.py").write_text(
        "from torch import nn\n\n\ndef net():\n    return nn.Sequential(nn.Flatten(), nn.Linear(288, 256))\n"
    )
    run = {"network": "nets.py:net", "data": "marked", "epochs": 1}
    stated = {"name": "cross_entropy", "args": {"ignore_index": 255}}
    content: dict[str, Any] = {
        "data": {"turned": {"source": "turned.npz"}, "marked": {"source": "data.npz"}},
        "runs": {"a": run, "b": {**run, "loss": stated}, "c": {**run, "data": "turned"}},
    }
    said = landscape("check", written(content, tmp_path), folder=tmp_path, expect=2)
    assert f"data.turned.source is 'turned.npz': train_inputs are float32 (12, 8, 12, 3), which looks {LAST}" in said
    assert (
        f"runs.a: labels go up to 255, and 253 of these 256 classes have no training example; {IGNORE.format(255)}"
        in said
    )
    assert "runs.b: the network returned 256 logits for each example, and the data has 2 classes; is it" in said
    assert "error: runs.b" not in said and said.count("error: ") == 2
