"""Examples of any kind: from Python objects, files and functions, each against a second, obvious construction."""

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from landscape.data import datasets
from landscape.data.data_section import Data
from landscape.data.examples import Examples, Rows, call, copied, equal, joined, leaves
from landscape.data.handed_over import data_set
from landscape.data.objects import examples_of
from landscape.errors import InputError

from data_sets import made, problems, saved

N = 10


def tokens(n: int = N, length: int = 6, seed: int = 0) -> Tensor:
    return torch.randint(0, 50, (n, length), generator=torch.Generator().manual_seed(seed))


def table(n: int = N, columns: int = 3, seed: int = 0) -> Tensor:
    return torch.randn(n, columns, generator=torch.Generator().manual_seed(seed))


def labels(n: int = N) -> Tensor:
    return torch.arange(n) % 3


def assert_rows(found: Rows, expected: Rows) -> None:
    """Compare structure, types and every value."""
    assert type(found) is type(expected)
    if isinstance(expected, dict):
        assert list(found) == list(expected)
    for one, other in zip(leaves(found), leaves(expected), strict=True):
        assert one.dtype == other.dtype and torch.equal(one, other)


def assert_are(found: Examples, inputs: Rows, targets: Rows) -> None:
    assert_rows(found.inputs, inputs)
    if targets is None:
        assert found.targets is None
    else:
        assert_rows(found.targets, targets)


def stored(spec: Data, folder: Path) -> tuple[Examples, Examples | None]:
    """What is read back after `make`."""
    found = made(spec, folder)
    return found.train, found.test


# Examples themselves


STRUCTURES: dict[str, Rows] = {
    "tensor": table(),
    "tuple": (table(), tokens()),
    "dictionary": {"ids": tokens(), "mask": tokens() > 20, "x": table()},
}


@pytest.mark.parametrize("kind", STRUCTURES)
@pytest.mark.parametrize("targets", [labels(), None], ids=["labels", "no targets"])
def test_an_index_takes_the_same_rows_of_every_tensor(kind: str, targets: Tensor | None) -> None:
    whole = Examples(STRUCTURES[kind], targets)
    assert len(whole) == N
    some: list[Any] = [slice(2, 7), torch.tensor([4, 0, 9]), torch.arange(N) % 2 == 0]
    for which in some:
        part, picked = whole[which], torch.arange(N)[which].tolist()
        assert len(part) == len(picked)
        for one, other in zip(leaves(part.inputs), leaves(whole.inputs), strict=True):
            assert torch.equal(one, torch.stack([other[k] for k in picked]))
        assert targets is None or torch.equal(part.targets, torch.stack([targets[k] for k in picked]))


@given(n=st.integers(1, 20), size=st.integers(1, 25), kind=st.sampled_from(["tensor", "tuple", "dictionary"]))
def test_batches_joined_are_the_whole(n: int, size: int, kind: str) -> None:
    whole = Examples(
        {"tensor": table(n), "tuple": (table(n), tokens(n)), "dictionary": {"x": table(n)}}[kind], labels(n)
    )
    batches = list(whole.split(size))
    assert [len(batch) for batch in batches] == [size] * (n // size) + ([n % size] if n % size else [])
    assert_rows(joined([batch.inputs for batch in batches]), whole.inputs)
    assert_rows(joined([batch.targets for batch in batches]), whole.targets)


def test_only_floating_point_inputs_change_type() -> None:
    whole = Examples({"ids": tokens(), "mask": tokens() > 20, "x": table()}, table())
    half = whole.in_type(torch.bfloat16)
    assert {name: rows.dtype for name, rows in half.inputs.items()} == {
        "ids": torch.int64,
        "mask": torch.bool,
        "x": torch.bfloat16,
    }
    assert half.targets.dtype == torch.float32


def test_a_copy_shares_no_memory_and_has_the_same_bits_nan_included() -> None:
    rows = (table(), torch.tensor([[float("nan"), 1.0]]))
    twin = copied(rows)
    assert equal(rows, twin)
    twin[0][0, 0] += 1
    assert not equal(rows, twin) and float(rows[0][0, 0]) == float(table()[0, 0])


class Takes(nn.Module):
    """Says how it was called."""

    def forward(self, *inputs: Tensor, **named: Tensor) -> tuple[list[Tensor], dict[str, Tensor]]:
        return list(inputs), named


def test_a_tensor_is_an_argument_a_tuple_are_arguments_a_dictionary_are_keywords() -> None:
    x, y = table(), tokens()
    for inputs, expected in ((x, ([x], {})), ((x, y), ([x, y], {})), ({"a": x, "b": y}, ([], {"a": x, "b": y}))):
        found, named = call(Takes(), inputs)
        assert all(a is b for a, b in zip(found, expected[0], strict=True)) and named.keys() == expected[1].keys()
        assert all(named[name] is expected[1][name] for name in named)


@pytest.mark.parametrize(
    ("targets", "classes"),
    [(labels(), 3), (torch.tensor([[0, 7], [2, 1]]), 8), (table(), None), (None, None), ((labels(), labels()), None)],
)
def test_classes_are_one_more_than_the_largest_whole_number(targets: Rows, classes: int | None) -> None:
    assert Examples(table(2), targets).classes == classes


def test_images_are_floats_of_four_dimensions_and_nothing_else() -> None:
    assert Examples(torch.zeros(2, 3, 4, 5), None).image_shape == (3, 4, 5)
    for inputs in (torch.zeros(2, 3, 4), torch.zeros(2, 3, 4, 5, dtype=torch.int64), {"x": torch.zeros(2, 3, 4, 5)}):
        assert Examples(inputs, None).image_shape is None


# Python objects


class Items(Dataset[Any]):
    """A list as a torch data set."""

    def __init__(self, items: list[Any]):
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Any:
        return self.items[index]


class Stream(IterableDataset[Any]):
    """A torch data set without a length."""

    def __init__(self, items: list[Any]):
        self.items = items

    def __iter__(self) -> Iterator[Any]:
        return iter(self.items)


def told(given: Any) -> list[str]:
    with pytest.raises(InputError) as error:
        examples_of(given, "data")
    return error.value.problems


X, IDS, Y = table(), tokens(), labels()
GIVEN: dict[str, tuple[Any, Rows, Rows]] = {
    "a pair": ((X, Y), X, Y),
    "a pair in a list": ([X, Y], X, Y),
    "a pair of arrays": ((X.numpy(), Y.numpy()), X, Y),
    "a pair of lists": ((X.tolist(), Y.tolist()), X, Y),
    "a pair whose targets are none": ((X, None), X, None),
    "two inputs and targets": (((X, IDS), Y), (X, IDS), Y),
    "a dictionary of inputs and targets": (({"ids": IDS, "x": X}, Y), {"ids": IDS, "x": X}, Y),
    "two targets": ((X, (Y, X)), X, (Y, X)),
    "a tensor": (X, X, None),
    "an array": (X.numpy(), X, None),
    "a dictionary without targets": ({"ids": IDS, "mask": IDS > 3}, {"ids": IDS, "mask": IDS > 3}, None),
    "a dictionary with targets": ({"x": X, "targets": Y, "ids": IDS}, {"x": X, "ids": IDS}, Y),
    "a dictionary with labels": ({"ids": IDS, "labels": IDS}, {"ids": IDS}, IDS),
    "a TensorDataset": (TensorDataset(X, Y), X, Y),
    "a TensorDataset of two inputs": (TensorDataset(X, IDS, Y), (X, IDS), Y),
    "a TensorDataset of inputs alone": (TensorDataset(X), X, None),
    "a Dataset of pairs": (Items([(X[k], int(Y[k])) for k in range(N)]), X, Y),
    "a Dataset of dictionaries": (
        Items([{"ids": IDS[k], "mask": IDS[k] > 3, "label": Y[k]} for k in range(N)]),
        {"ids": IDS, "mask": IDS > 3},
        Y,
    ),
    "a Dataset of tensors": (Items(list(X)), X, None),
    "a Dataset of arrays": (Items([(x.numpy(), y.numpy()) for x, y in zip(X, Y, strict=True)]), X, Y),
    "a DataLoader of tuples": (DataLoader(TensorDataset(X, IDS, Y), batch_size=4), (X, IDS), Y),
    "a DataLoader of dictionaries": (
        DataLoader(Items([{"ids": IDS[k], "labels": IDS[k]} for k in range(N)]), batch_size=3),
        {"ids": IDS},
        IDS,
    ),
    "an IterableDataset": (Stream([(X[k], Y[k]) for k in range(N)]), X, Y),
    "a DataLoader of an IterableDataset": (DataLoader(Stream(list(X)), batch_size=4), X, None),
}


@pytest.mark.parametrize("name", GIVEN)
def test_inputs_and_targets_are_told_apart(name: str) -> None:
    given, inputs, targets = GIVEN[name]
    assert_are(examples_of(given, "data"), inputs, targets)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_floating_point_numbers_become_float32(dtype: torch.dtype) -> None:
    assert_are(examples_of((X.to(dtype), X.to(dtype)), "data"), X.to(dtype).float(), X.to(dtype).float())


def test_whole_numbers_and_truth_values_stay_what_they_are() -> None:
    """Tokens of int32 stay int32, since an embedding takes both; labels become int64, since a loss takes no other."""
    given = ({"ids": IDS.int(), "mask": IDS > 3}, Y.int())
    assert_are(examples_of(given, "data"), {"ids": IDS.int(), "mask": IDS > 3}, Y)
    assert_are(examples_of((X, IDS > 3), "data"), X, IDS > 3)


def test_gradients_are_left_behind() -> None:
    found = examples_of((X.clone().requires_grad_(True) * 2, Y), "data")
    assert not found.inputs.requires_grad and torch.equal(found.inputs, 2 * X)


def test_a_loader_that_shuffles_gives_the_same_order_and_leaves_the_generators_alone() -> None:
    own = torch.Generator().manual_seed(7)
    for generator in (None, own):
        loader = DataLoader(TensorDataset(X, Y), batch_size=4, shuffle=True, generator=generator)
        states = torch.get_rng_state(), own.get_state()
        found, again = examples_of(loader, "data"), examples_of(loader, "data")
        assert torch.equal(states[0], torch.get_rng_state()) and torch.equal(states[1], own.get_state())
        assert_are(found, again.inputs, again.targets)
        rows = {tuple(row) for row in torch.column_stack([found.inputs, found.targets]).tolist()}
        assert rows == {tuple(row) for row in torch.column_stack([X, Y]).tolist()}
        assert not torch.equal(found.inputs, X)


WITH_NAN = X.clone()
WITH_NAN[4, 1], WITH_NAN[7, 0] = torch.nan, torch.inf
REFUSED: dict[str, tuple[Any, str]] = {
    "NaN": ((WITH_NAN, Y), "data: inputs hold 2 values that are not finite, the first at [4, 1]"),
    "NaN in one of several": (
        ({"ids": IDS, "x": WITH_NAN}, Y),
        "data: inputs hold 2 values that are not finite, the first at [4, 1]",
    ),
    "NaN in targets": ((X, WITH_NAN), "data: targets hold 2 values that are not finite, the first at [4, 1]"),
    "too large for float32": (
        (X.double() * 1e300, Y),
        f"data: inputs hold {X.numel()} values that are not finite, the first at [0, 0]",
    ),
    "unequal counts": ((X, Y[:7]), "data has targets int64 (7,), and 10 inputs; there must be one for each"),
    "unequal inputs": (({"x": X, "ids": IDS[:3]}, Y), "data has inputs int64 (3, 6), and 10 inputs; there must be one for each"),
    "empty": ((X[:0], Y[:0]), "data has inputs of the shape (0, 3), and so no examples or no values"),
    "no columns": ((X[:, :0], Y), "data has inputs of the shape (10, 0), and so no examples or no values"),
    "one number": (torch.tensor(3.0), "data has inputs of the shape (), and so no examples or no values"),
    "an empty Dataset": (Items([]), "data is empty"),
    "an empty IterableDataset": (Stream([]), "data is empty"),
    "complex numbers": (
        (X.to(torch.complex64), Y),
        "data has inputs complex64 (10, 3); allowed are plain floating-point and whole numbers",
    ),
    "sparse tensors": ((X.to_sparse(), Y), "data has inputs float32 (10, 3); allowed are plain floating-point and whole numbers"),
    "targets alone": ({"labels": Y}, "data has labels and no inputs"),
    "nothing": (None, "data is a NoneType; allowed are a pair (inputs, targets), a torch Dataset of such pairs"),
    "a text": ("data.npz", "data is a str; allowed are a pair (inputs, targets)"),
    "objects": ((np.array([{}] * N, dtype=object), Y), "data[0] is a ndarray that makes no tensor: can't convert"),
    "strings": ((np.array(["a"] * N), Y), "data[0] is a ndarray that makes no tensor: can't convert"),
    "a list of strings": ((["a"] * N, Y), "data[0] is a list that makes no tensor: too many dimensions 'str'"),
    "strings in a dictionary": ({"x": X, "text": ["a"] * N}, "data.text is a list that makes no tensor"),
    "ragged items": (Items([(X[0], 0), (X[1, :2], 1)]), "data gives examples that cannot be stacked: "),
    "ragged batches": (DataLoader(Stream([X[0], X[1], X[2, :2], X[2, :2]]), batch_size=2), "data gives batches that cannot be stacked"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str) -> None:
    given, message = REFUSED[name]
    (problem,) = told(given)
    assert problem.startswith(message)


def test_both_splits_must_be_of_one_kind() -> None:
    cpu = torch.device("cpu")
    found = data_set((IDS, Y), cpu, (tokens(4, seed=1), labels(4) + 4))
    assert found.classes == 7 and found.black is None and found.image_shape is None and found.test is not None
    for test, words in (
        ((IDS.int(), Y), "inputs int32 (10, 6), and data has int64 (10, 6)"),
        ((IDS[:, :4], Y), "inputs int64 (10, 4), and data has int64 (10, 6)"),
        (({"ids": IDS}, Y), "inputs ids: int64 (10, 6), and data has int64 (10, 6)"),
        ((IDS, None), "targets none, and data has int64 (10,)"),
        ((IDS, X), "targets float32 (10, 3), and data has int64 (10,)"),
    ):
        with pytest.raises(InputError) as error:
            data_set((IDS, Y), cpu, test)
        assert error.value.problems == [f"test has {words}"]


# Files


def written(folder: Path, kind: str, content: dict[str, np.ndarray]) -> Data:
    """A data set in an .npz or a .safetensors file."""
    if kind == "npz":
        return saved(folder, content)
    save_file({name: torch.from_numpy(array.copy()) for name, array in content.items()}, folder / "ours.safetensors")
    return Data(source=str(folder / "ours.safetensors"))


def both(inputs: Rows, targets: Rows, kinds: tuple[str, str] = ("inputs", "targets")) -> dict[str, np.ndarray]:
    """The arrays of two splits; the test split has the first four examples."""
    content = {}
    for split, n in (("train", N), ("test", 4)):
        for kind, rows in zip(kinds, (inputs, targets), strict=True):
            named = rows if isinstance(rows, dict) else {} if rows is None else {None: rows}
            for name, tensor in named.items():
                content[f"{split}_{kind}" + (f"_{name}" if name else "")] = tensor[:n].numpy()
    return content


MASKS = (tokens(N, 12).view(N, 3, 4) > 20).long()
PICTURES = torch.randn(N, 2, 3, 4, generator=torch.Generator().manual_seed(4))
IN_FILES: dict[str, tuple[Rows, Rows, int | None]] = {
    "a table with labels": (X, Y, 3),
    "a table with numbers": (X, table(N, 1, 3), None),
    "tokens with tokens": (IDS, IDS, int(IDS.max()) + 1),
    "tokens without targets": (IDS, None, None),
    "several inputs": ({"ids": IDS, "mask": IDS > 3, "x": X}, Y, 3),
    "several inputs without targets": ({"ids": IDS, "x": X}, None, None),
    "segmentation": (PICTURES, MASKS, 2),
    "several targets": (X, {"low": table(N, 1, 1), "high": table(N, 1, 2)}, None),
    "truth values as targets": (X, IDS > 3, None),
}


@pytest.mark.parametrize("kind", ["npz", "safetensors"])
@pytest.mark.parametrize("name", IN_FILES)
def test_a_file_gives_what_it_holds(tmp_path: Path, kind: str, name: str) -> None:
    inputs, targets, classes = IN_FILES[name]
    spec = written(tmp_path, kind, both(inputs, targets))
    source = datasets.describe(spec)
    found = made(spec, tmp_path)
    assert found.classes == source.classes == classes
    whole = Examples(inputs, targets)
    assert found.test is not None
    for split, expected in ((found.train, whole), (found.test, whole[:4])):
        for rows, wanted in ((split.inputs, expected.inputs), (split.targets, expected.targets)):
            if isinstance(wanted, dict):
                assert rows.keys() == wanted.keys()
                wanted = {part: wanted[part] for part in rows}
            assert rows is None if wanted is None else not assert_rows(rows, wanted)  # type: ignore[func-returns-value]
    assert found.header["examples"] == {"train": N, "test": 4} and "mean" not in found.header
    zeros = source.sample
    for one, other in zip(leaves(zeros.inputs), leaves(found.train.inputs), strict=True):
        assert (one.dtype, one.shape) == (other.dtype, (2, *other.shape[1:])) and not one.any()


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.uint16, np.uint32, ">i4"])
def test_whole_numbers_of_any_size_are_tokens(tmp_path: Path, dtype: Any) -> None:
    found, _ = stored(saved(tmp_path, {"train_inputs": IDS.numpy().astype(dtype)}), tmp_path)
    assert_are(found, IDS, None)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_a_safetensors_file_has_every_floating_point_type(tmp_path: Path, dtype: torch.dtype) -> None:
    save_file({"train_inputs": X.to(dtype), "train_targets": Y}, tmp_path / "x.safetensors")
    found, test = stored(Data(source=str(tmp_path / "x.safetensors")), tmp_path)
    assert test is None
    assert_are(found, X.to(dtype).float(), Y)


def test_numbered_inputs_are_the_arguments_in_their_order(tmp_path: Path) -> None:
    named = {f"train_inputs_{k}": table(N, 2, k).numpy() for k in (10, 0, 2)}
    found, _ = stored(saved(tmp_path, named), tmp_path)
    assert_are(found, tuple(table(N, 2, k) for k in (0, 2, 10)), None)


def test_what_was_written_is_read_with_the_same_bits_and_a_subset_is_that_of_the_rows(tmp_path: Path) -> None:
    content = both({"ids": IDS, "x": X}, Y)
    whole = made(saved(tmp_path, content), tmp_path)
    part = made(saved(tmp_path, content, examples=6, seed=3), tmp_path)
    index = [k for k in range(N) if any(torch.equal(X[k], row) for row in part.train.inputs["x"])]
    assert len(index) == len(part.train) == 6
    assert_are(part.train, whole.train[torch.tensor(index)].inputs, Y[index])
    assert part.test is not None and whole.test is not None
    assert_are(part.test, whole.test.inputs, whole.test.targets)


def test_a_subset_without_labels_is_drawn_at_random(tmp_path: Path) -> None:
    drawn = [made(saved(tmp_path, {"train_inputs": X.numpy()}, examples=4, seed=seed), tmp_path) for seed in (0, 0, 1)]
    assert torch.equal(drawn[0].train.inputs, drawn[1].train.inputs)
    assert not torch.equal(drawn[0].train.inputs, drawn[2].train.inputs)


IN_FILES_REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "objects": ({"train_inputs": np.array([{}] * N, dtype=object)}, {}, "train_inputs are object (10,); allowed are"),
    "complex": ({"train_inputs": X.numpy().astype(complex)}, {}, "train_inputs are complex128 (10, 3); allowed are"),
    "strings": ({"train_inputs": np.array(["a"] * N)}, {}, "train_inputs are <U1 (10,); allowed are"),
    "no rows": ({"train_inputs": np.array(3.0)}, {}, "train_inputs are float64 (); allowed are arrays with a row"),
    "empty": ({"train_inputs": X[:0].numpy()}, {}, "train_inputs are empty: (0, 3)"),
    "unequal": ({"train_inputs": X.numpy(), "train_targets": Y[:4].numpy()}, {}, "it has 10 train_inputs and 4 train_targets"),
    "unequal inputs": ({"train_inputs_a": X.numpy(), "train_inputs_b": X[:4].numpy()}, {}, "it has 10 train_inputs_a and 4 train_inputs_b"),
    "one unnamed": ({"train_inputs": X.numpy(), "train_inputs_b": X.numpy()}, {}, "inputs are one array, or each has a name of its own"),
    "a strange name": ({"train_inputs": X.numpy(), "train_weights": X.numpy()}, {}, "it holds train_weights; names are"),
    "targets of one split": ({"train_inputs": X.numpy(), "test_inputs": X.numpy(), "test_targets": Y.numpy()}, {}, "it lacks train_targets; it holds"),
    "no training": ({"test_inputs": X.numpy()}, {}, "it lacks train_inputs; it holds test_inputs"),
    "another width": ({"train_inputs": X.numpy(), "test_inputs": X[:, :2].numpy()}, {}, "test_inputs are float32 (10, 2); those of the two splits must have one type"),
    "another type": ({"train_inputs": X.numpy(), "test_inputs": IDS[:, :3].numpy()}, {}, "test_inputs are int64 (10, 3); those of"),
    "other inputs of test": ({"train_inputs_a": X.numpy(), "test_inputs_b": X.numpy()}, {}, "it has train_inputs_a, and no such inputs of test"),
    "more inputs of test": ({"train_inputs_a": X.numpy(), "test_inputs_a": X.numpy(), "test_inputs_b": X.numpy()}, {}, "it has test_inputs_b, and no such inputs of train"),
    "moments of a table": ({"train_inputs": X.numpy()}, {"mean": [0.0], "std": [1.0]}, "its inputs are no images, and mean and std are of images"),
}  # fmt: skip


@pytest.mark.parametrize("name", IN_FILES_REFUSED)
def test_what_is_refused_in_a_file(tmp_path: Path, name: str) -> None:
    content, keys, message = IN_FILES_REFUSED[name]
    spec = saved(tmp_path, content, **keys)
    assert any(message in problem for problem in problems(spec))
    with pytest.raises(InputError):
        made(spec, tmp_path)


@pytest.mark.parametrize("kind", ["npz", "safetensors"])
def test_a_value_that_is_not_finite_is_told_with_its_place(tmp_path: Path, kind: str) -> None:
    for name, content in (("inputs_x", both({"x": WITH_NAN}, Y)), ("targets", both(X, WITH_NAN))):
        with pytest.raises(InputError, match=rf"train_{name} hold 2 values that are not finite, the first at \[4, 1\]"):
            made(written(tmp_path, kind, content), tmp_path)


def test_label_noise_needs_labels(tmp_path: Path) -> None:
    for targets, words in ((X, r"float32 \(10, 3\)"), (None, "none")):
        with pytest.raises(InputError, match=f"its targets are {words}, and label_noise needs labels"):
            made(saved(tmp_path, both(X, targets), label_noise=0.5), tmp_path)
    before = made(saved(tmp_path, both(IDS, Y)), tmp_path)
    after = made(saved(tmp_path, both(IDS, Y), label_noise=0.5), tmp_path)
    assert torch.equal(before.train.inputs, after.train.inputs)
    assert int((before.train.targets != after.train.targets).sum()) == 5


def test_a_safetensors_file_that_is_none_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_file({"train_inputs": X}, path)
    whole = path.read_bytes()
    for content in (b"", b"text" * 30, whole[:20], whole[:-3]):
        path.write_bytes(content)
        (problem,) = problems(Data(source=str(path)))
        assert problem.startswith(f"is '{path}': it is not a whole .safetensors file")


def test_a_bfloat16_that_is_not_finite_and_labels_of_a_safetensors_file_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_file({"train_inputs": WITH_NAN.bfloat16(), "train_targets": Y}, path)
    with pytest.raises(InputError, match=r"train_inputs hold 2 values that are not finite, the first at \[4, 1\]"):
        made(Data(source=str(path)), tmp_path)
    save_file({"train_inputs": X, "train_targets": Y - 2}, path)
    assert datasets.describe(Data(source=str(path))).labels == {"train": sorted(set((Y - 2).tolist()))}


# Functions


FUNCTIONS = """
    import numpy as np
    import torch
    from torch.utils.data import DataLoader, Dataset, TensorDataset

    X = torch.arange(30.0).view(10, 3)
    Y = torch.arange(10) % 3


    class Named(Dataset):
        def __init__(self, n):
            self.n = n

        def __len__(self):
            return self.n

        def __getitem__(self, k):
            return {"x": X[k], "ids": torch.arange(k, k + 4), "label": int(Y[k])}


    def one():
        return TensorDataset(X, Y)

    def pair():
        return TensorDataset(X, Y), TensorDataset(X[:4], Y[:4])

    def mapping():
        return {"train": TensorDataset(X, Y), "test": DataLoader(TensorDataset(X[:4], Y[:4]), batch_size=3)}

    def arrays():
        return {"train_inputs": X, "train_targets": Y.numpy(), "test_inputs": X[:4].tolist(), "test_targets": Y[:4]}

    def named():
        return Named(10), Named(4)

    def pictures():
        images = (torch.arange(10 * 3 * 5 * 4) % 256).to(torch.uint8).view(10, 3, 5, 4)
        return TensorDataset(images, Y)

    def unlike():
        return TensorDataset(X, Y), TensorDataset(X[:, :2], Y)

    def byte_tokens():
        return TensorDataset(torch.arange(60).to(torch.uint8).view(10, 6), Y)

    def empty():
        return TensorDataset(X[:0], Y[:0])
    """


@pytest.fixture
def functions(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(textwrap.dedent(FUNCTIONS))
    return path


@pytest.mark.parametrize("name", ["one", "pair", "mapping", "arrays"])
def test_a_function_may_return_torch_data_sets(functions: Path, tmp_path: Path, name: str) -> None:
    x, y = torch.arange(30.0).view(10, 3), torch.arange(10) % 3
    spec = Data(source=f"{functions}:{name}")
    source = datasets.describe(spec)
    assert source.classes == 3 and source.image_shape is None
    train, test = stored(spec, tmp_path)
    assert_are(train, x, y)
    assert (test is None) == (name == "one")
    if test is not None:
        assert_are(test, x[:4], y[:4])


def test_a_function_may_return_data_sets_of_dictionaries(functions: Path, tmp_path: Path) -> None:
    x, y = torch.arange(30.0).view(10, 3), torch.arange(10) % 3
    ids = torch.stack([torch.arange(k, k + 4) for k in range(10)])
    train, test = stored(Data(source=f"{functions}:named"), tmp_path)
    assert test is not None
    for split, n in ((train, 10), (test, 4)):
        assert {name: rows.tolist() for name, rows in split.inputs.items()} == {
            "x": x[:n].tolist(),
            "ids": ids[:n].tolist(),
        }
        assert torch.equal(split.targets, y[:n])


def test_images_of_a_torch_data_set_are_normalised(functions: Path, tmp_path: Path) -> None:
    """torch has the channels first, in bytes too."""
    spec = Data(source=f"{functions}:pictures")
    assert datasets.describe(spec).image_shape == (3, 5, 4)
    found = made(spec, tmp_path)
    pixels = (np.arange(10 * 3 * 5 * 4) % 256).reshape(10, 3, 5, 4) / 255
    mean, std = pixels.mean((0, 2, 3), keepdims=True), pixels.std((0, 2, 3), keepdims=True)
    np.testing.assert_allclose(found.train.inputs.numpy(), (pixels - mean) / std, rtol=1e-5, atol=1e-5)
    assert found.image_shape == (3, 5, 4) and found.black is not None
    np.testing.assert_allclose(found.black.numpy(), (-mean / std).flatten(), rtol=1e-5)


def test_bytes_that_are_no_images_are_tokens(functions: Path, tmp_path: Path) -> None:
    found, _ = stored(Data(source=f"{functions}:byte_tokens"), tmp_path)
    assert_are(found, torch.arange(60).view(10, 6), torch.arange(10) % 3)


def test_a_function_whose_data_sets_do_not_fit_is_refused(functions: Path) -> None:
    assert problems(Data(source=f"{functions}:unlike")) == [
        f"is '{functions}:unlike': its test split has inputs float32 (10, 2), and its train split has float32 (10, 3)"
    ]
    (problem,) = problems(Data(source=f"{functions}:empty"))
    assert problem.startswith(f"is '{functions}:empty': its train split is empty")
