"""Data sets that a function of the user's own returns."""

import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from landscape.data.data_section import Data
from landscape.errors import InputError
from landscape.experiment import reading
from landscape.running import check

from data_sets import arrays, assert_normalised, described, made, saved


def written(path: Path, text: str) -> Path:
    path.write_text("import numpy as np\nimport torch\n" + textwrap.dedent(text))
    return path


DRAWN = """
    def load(n=6, kind="numpy", test=True, count=None):
        if count:
            with open(count, "a") as file:
                file.write("called ")
        rng = np.random.default_rng(n)
        found = {}
        for split in ("train", "test") if test else ("train",):
            images = rng.integers(0, 256, (n, 6, 5, 3), dtype=np.uint8)
            labels = np.arange(n) % 3
            if kind == "tensors":
                images, labels = torch.from_numpy(images), torch.from_numpy(labels)
            if kind == "lists":
                images, labels = list(images), labels.tolist()
            found |= {f"{split}_images": images, f"{split}_labels": labels}
        return found | {"names": ["a", "b", "c"], 3: None}
    """


@pytest.mark.parametrize("kind", ["numpy", "tensors", "lists"])
@pytest.mark.parametrize("test", [True, False])
def test_a_function_of_a_file(tmp_path: Path, kind: str, test: bool) -> None:
    path = written(tmp_path / "mine.py", DRAWN)
    spec = Data(source=f"{path}:load", args={"n": 9, "kind": kind, "test": test})
    found = made(spec, tmp_path)
    rng = np.random.default_rng(9)
    pixels = [rng.integers(0, 256, (9, 6, 5, 3), dtype=np.uint8).transpose(0, 3, 1, 2) / 255 for _ in range(1 + test)]
    mean, std = pixels[0].mean((0, 2, 3)), pixels[0].std((0, 2, 3))
    assert_normalised(found.train, pixels[0], np.arange(9) % 3, mean, std)
    if test:
        assert_normalised(found.test, pixels[1], np.arange(9) % 3, mean, std)
    assert (found.test is not None) == test
    assert described(spec) == ((3, 6, 5), 3) == (found.image_shape, found.classes)


def test_it_gives_what_an_npz_of_the_same_arrays_gives(tmp_path: Path) -> None:
    source = saved(tmp_path, arrays()).source
    path = written(tmp_path / "mine.py", "def load(source):\n    return np.load(source)")
    for spec in (Data(source=source), Data(source=f"{path}:load", args={"source": source})):
        made(spec, tmp_path)
        (tmp_path / "made.safetensors").rename(tmp_path / f"{spec.kind}.safetensors")
    assert (tmp_path / "npz.safetensors").read_bytes() == (tmp_path / "function.safetensors").read_bytes()


def test_float_tensors_keep_their_units(tmp_path: Path) -> None:
    path = written(
        tmp_path / "mine.py",
        """
        def load():
            images = torch.linspace(-5, 30, 4 * 2 * 3 * 3).view(4, 2, 3, 3)
            return {"train_images": images, "train_labels": torch.tensor([0, 1, 1, 0])}
        """,
    )
    found = made(Data(source=f"{path}:load"), tmp_path)
    pixels = np.linspace(-5, 30, 72, dtype=np.float32).reshape(4, 2, 3, 3)
    assert_normalised(found.train, pixels, np.array([0, 1, 1, 0]), [0, 0], [1, 1])
    given = torch.linspace(-5, 30, 72).view(4, 2, 3, 3)
    assert torch.equal(found.train.inputs, given) and "mean" not in found.header
    assert found.black is not None and found.black.tolist() == [0, 0]


def test_it_is_called_once_and_its_folder_can_be_imported_from(tmp_path: Path) -> None:
    written(tmp_path / "drawn.py", DRAWN)
    path = written(tmp_path / "mine.py", "def load(count):\n    import drawn\n    return drawn.load(count=count)")
    count = tmp_path / "count.txt"
    made(Data(source=f"{path}:load", args={"count": str(count)}), tmp_path)
    assert count.read_text() == "called "


def test_a_function_of_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "some_package").mkdir()
    (tmp_path / "some_package/__init__.py").touch()
    written(tmp_path / "some_package/sets.py", DRAWN)
    monkeypatch.syspath_prepend(tmp_path)
    assert made(Data(source="some_package.sets:load"), tmp_path).classes == 3


WRONG = {
    "raises": ("def load():\n    raise KeyError('x')", "the call failed: KeyError: 'x'"),
    "exits": ("def load():\n    raise SystemExit(3)", "the call failed: SystemExit: 3"),
    "other arguments": ("def load(n):\n    return {}", r"the call failed: TypeError: load\(\) missing 1 required"),
    "three": ("def load():\n    return 1, 2, 3", "it returned tuple; it must return a mapping with train_inputs, "),
    "nothing": ("def load():\n    pass", "it returned NoneType; it must return a mapping"),
    "an empty mapping": ("def load():\n    return {}", "it lacks train_inputs; it holds nothing"),
    "no labels": (
        "def load():\n    return {'train_images': np.zeros((2, 3, 3), np.uint8), 'x': 1}",
        "it lacks train_labels; it holds train_images, x",
    ),
    "float labels": (
        "def load():\n    return {'train_images': np.zeros((2, 3, 3), np.uint8), 'train_labels': torch.zeros(2)}",
        r"train_labels are float32 \(2,\); they must be whole numbers",
    ),
    "ragged lists": ("def load():\n    return {'train_images': [[1], [2, 3]]}", "it returned 'train_images' that is no array"),
    "a tensor with a gradient": (
        "def load():\n    return {'train_images': torch.zeros(2, requires_grad=True)}",
        "it returned 'train_images' that is no array: Can't call numpy",
    ),
    "an error at the top": ("import no_such_module", "importing .* failed: ModuleNotFoundError"),
    "another name": ("def read():\n    pass", ".*mine.py has no function load; it has read"),
    "no function": ("load = 3", ".*mine.py has no function load"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_function_that_is_wrong(tmp_path: Path, name: str) -> None:
    text, message = WRONG[name]
    spec = Data(source=f"{written(tmp_path / 'mine.py', text)}:load")
    with pytest.raises(InputError, match=f"^is {spec.source!r}: {message}"):
        described(spec)
    with pytest.raises(InputError, match=f"^the source is {spec.source!r}: {message}"):
        made(spec, tmp_path)


def test_values_that_are_not_finite(tmp_path: Path) -> None:
    text = """
        def load():
            return {"train_images": torch.full((2, 1, 3, 3), torch.inf), "train_labels": [0, 1]}
        """
    spec = Data(source=f"{written(tmp_path / 'mine.py', text)}:load")
    with pytest.raises(InputError, match="mine.py:load': train_images hold 18 values that are not finite"):
        made(spec, tmp_path)


def test_a_configuration_is_checked_with_one_call(tmp_path: Path) -> None:
    """Two runs use the data set, and another one is broken."""
    path = written(tmp_path / "mine.py", DRAWN)
    broken = written(tmp_path / "broken.py", "def load():\n    raise ValueError('no disk')")
    network = written(
        tmp_path / "net.py",
        """
        def linear(num_classes=3):
            return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(90, num_classes))
        """,
    )
    count = tmp_path / "count.txt"
    run: dict[str, Any] = {"network": f"{network}:linear"}
    experiment = reading.resolve(
        {
            "data": {
                "mine": {"source": f"{path}:load", "args": {"count": str(count)}},
                "broken": {"source": f"{broken}:load"},
            },
            "runs": {"a": {**run, "data": "mine"}, "b": {**run, "data": "mine"}, "c": {**run, "data": "broken"}},
        }
    )
    assert check.problems(experiment) == [
        f"data.broken.source is '{broken}:load': the call failed: ValueError: no disk"
    ]
    assert count.read_text() == "called "


PAIRS = """
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(20, 3)).astype(np.float32), rng.normal(size=20).astype(np.float32)
    words, mask, labels = rng.integers(0, 9, (20, 5)), rng.random((20, 5)) < 0.7, np.arange(20) % 3
    images = rng.integers(0, 256, (20, 6, 6, 3), dtype=np.uint8)
    T = torch.from_numpy

    def pair(): return x, y
    def tensors(): return T(x), T(y)
    def pairs(): return (x[:12], y[:12]), (x[12:], y[12:])
    def dictionary(): return {"words": words, "mask": mask}, labels
    def dictionaries(): return ({"words": T(words[:12])}, T(labels[:12])), ({"words": T(words[12:])}, T(labels[12:]))
    def several(): return (words, mask), labels
    def alone(): return x
    def without_targets(): return (x[:12], None), (x[12:], None)
    def dense(): return (x, x[:, :2]), y
    def of_images(): return (images[:12], labels[:12]), (images[12:], labels[12:])
    def nested(): return {"train_inputs": {"words": words, "mask": mask}, "train_targets": labels}
    def of_targets(): return x, {"first": y, "second": labels}
    """
NAMED = {
    "pair": {"train_inputs": "x", "train_targets": "y"},
    "tensors": {"train_inputs": "x", "train_targets": "y"},
    "pairs": {"train_inputs": "x[:12]", "train_targets": "y[:12]", "test_inputs": "x[12:]", "test_targets": "y[12:]"},
    "dictionary": {"train_inputs_words": "words", "train_inputs_mask": "mask", "train_targets": "labels"},
    "dictionaries": {
        "train_inputs_words": "words[:12]", "train_targets": "labels[:12]", "test_inputs_words": "words[12:]",
        "test_targets": "labels[12:]",
    },
    "several": {"train_inputs_0": "words", "train_inputs_1": "mask", "train_targets": "labels"},
    "alone": {"train_inputs": "x"},
    "without_targets": {"train_inputs": "x[:12]", "test_inputs": "x[12:]"},
    "dense": {"train_inputs_0": "x", "train_inputs_1": "x[:, :2]", "train_targets": "y"},
    "of_images": {
        "train_inputs": "images[:12]", "train_targets": "labels[:12]", "test_inputs": "images[12:]",
        "test_targets": "labels[12:]",
    },
    "nested": {"train_inputs_words": "words", "train_inputs_mask": "mask", "train_targets": "labels"},
    "of_targets": {"train_inputs": "x", "train_targets_first": "y", "train_targets_second": "labels"},
}  # fmt: skip


@pytest.mark.parametrize("function", NAMED)
def test_pairs_and_dictionaries_are_arrays_by_name(function: str, tmp_path: Path) -> None:
    path = written(tmp_path / "mine.py", PAIRS)
    names: dict[str, Any] = {}
    exec(path.read_text(), names)
    wanted = made(saved(tmp_path, {key: eval(text, names) for key, text in NAMED[function].items()}), tmp_path)
    found = made(Data(source=f"{path}:{function}"), tmp_path)
    assert found.classes == wanted.classes and (found.test is None) == (wanted.test is None)
    for split, other in ((found.train, wanted.train), (found.test, wanted.test)):
        if split is not None and other is not None:
            torch.testing.assert_close(split.inputs, other.inputs, rtol=0, atol=0)
            torch.testing.assert_close(split.targets, other.targets, rtol=0, atol=0)
