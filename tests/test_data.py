"""Steps common to all data sets: normalisation, subsets, label noise, augmentation."""

import itertools
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from landscape.data import datasets
from landscape.data.data_section import Data
from landscape.data.examples import Examples, memory_format
from landscape.errors import InputError
from landscape.store import checkpoint

from data_sets import arrays, described, made, problems, saved


def test_a_constant_channel_becomes_zero(tmp_path: Path) -> None:
    """Black stays a moderate number, since nothing is divided by almost zero."""
    content = arrays()
    for split in ("train", "test"):
        content[f"{split}_images"][..., 1] = 77
    content["test_images"][0, 0, 0, 1] = 78
    found = made(saved(tmp_path, content), tmp_path)
    assert found.test is not None
    assert float(found.train.inputs[:, 1].abs().max()) < 1e-6
    assert float(found.test.inputs[:, 1].abs().max()) == pytest.approx(1 / 255, rel=1e-3)
    assert found.black is not None and float(found.black[1]) == pytest.approx(-77 / 255)
    assert found.train.inputs[:, [0, 2]].std(dim=(0, 2, 3), correction=0).tolist() == pytest.approx([1, 1])


def test_black_is_the_value_of_a_black_pixel(tmp_path: Path) -> None:
    content = arrays()
    content["train_images"][3] = 0
    found = made(saved(tmp_path, content), tmp_path)
    assert found.black is not None
    assert torch.equal(found.train.inputs[3], found.black.view(3, 1, 1).expand(3, 6, 5))


@pytest.mark.parametrize("source", ["digits", "cifar10"])
def test_stated_moments_must_have_the_channels_of_the_images(tmp_path: Path, source: str) -> None:
    shape = described(Data(source=source))[0]
    assert shape is not None
    channels = shape[0]
    spec = Data(source=source, mean=(0.5,) * (channels + 1), std=(0.5,) * (channels + 1))
    message = f"is {source!r}: its images have {channels} channels; mean and std have {channels + 1}"
    assert problems(spec) == [message]
    with pytest.raises(InputError, match=message):
        datasets.make(spec, tmp_path / "made.safetensors", {})


def test_only_what_make_wrote_is_read(tmp_path: Path) -> None:
    checkpoint.write(tmp_path / "weights.safetensors", {"a": torch.zeros(2)}, {"mean": [0.5]})
    with pytest.raises(InputError, match="weights.safetensors is no data set made by `landscape dataset`"):
        datasets.read(tmp_path / "weights.safetensors")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of a process is read from Linux")
@pytest.mark.parametrize(("dtype", "sizes"), [(torch.uint8, 1 + 4), (torch.float32, 4)])
def test_reading_holds_what_is_stored_and_one_float32_set(tmp_path: Path, dtype: torch.dtype, sizes: int) -> None:
    """Bound a process's peak memory beyond its imports, with a fifth to spare."""
    n = 8192
    images = torch.randint(0, 256, (n, 3, 32, 32), dtype=torch.uint8).to(dtype)
    header = {"mean": [0.5] * 3, "std": [0.2] * 3, "classes": 10, "examples": {"train": n}}
    labels = torch.zeros(n, dtype=torch.int64)
    checkpoint.write(tmp_path / "made.safetensors", {"train_inputs": images, "train_targets": labels}, header)
    code = """
        import re, sys, torch
        from pathlib import Path
        from landscape.data import datasets as data

        def status(key):
            return 1024 * int(re.search(key + r":\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])

        torch.set_num_threads(1)
        before = status("VmRSS")
        data.read(sys.argv[1])
        sys.stdout.write(str(status("VmHWM") - before))
        """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "made.safetensors")]
    peak = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert 4 * images.numel() < peak < 1.2 * sizes * images.numel()


# Subsets


def labelled(labels: list[int]) -> Examples:
    """Images whose pixels are the image's number."""
    return Examples(torch.arange(float(len(labels))).view(-1, 1, 1, 1), torch.tensor(labels))


@given(labels=st.lists(st.integers(0, 4), min_size=1, max_size=60), share=st.floats(0, 1), seed=st.integers(0, 5))
def test_a_subset_has_every_class_in_its_proportion(labels: list[int], share: float, seed: int) -> None:
    split = labelled(labels)
    examples = 1 + int(share * (len(labels) - 1))
    found = datasets.subset(split, examples, seed)
    assert len(found.targets) == len(found.inputs) == examples
    numbers = found.inputs.flatten().long()
    assert (numbers.diff() > 0).all(), "in the order of the split, none twice"
    assert torch.equal(split.targets[numbers], found.targets)
    for value in set(labels):
        quota = labels.count(value) * examples / len(labels)
        assert abs(int((found.targets == value).sum()) - quota) < 1
    again = datasets.subset(split, examples, seed)
    assert torch.equal(found.inputs, again.inputs)


def test_subsets_by_largest_remainders() -> None:
    split = labelled([0] * 50 + [1] * 31 + [2] * 19)
    for examples, counts in ((10, [5, 3, 2]), (11, [6, 3, 2]), (13, [7, 4, 2]), (1, [1, 0, 0]), (99, [49, 31, 19])):
        found = datasets.subset(split, examples)
        # 5.5, 3.41, 2.09 -> 6, 3, 2;  6.5, 4.03, 2.47 -> 7, 4, 2;  49.5, 30.69, 18.81 -> 49, 31, 19
        assert found.targets.bincount(minlength=3).tolist() == counts


def test_whole_subsets_are_the_split_and_seeds_differ() -> None:
    split = labelled([0, 1] * 50)
    for examples in (None, 100, 1000):
        assert datasets.subset(split, examples) is split
    state = torch.get_rng_state()
    drawn = [datasets.subset(split, 20, seed).inputs.flatten().tolist() for seed in range(3)]
    assert torch.equal(torch.get_rng_state(), state), "the global generator is left alone"
    assert all(x != y for x, y in itertools.combinations(drawn, 2))
    assert drawn[0] == datasets.subset(split, 20).inputs.flatten().tolist()


# Label noise


@given(n=st.integers(1, 40), classes=st.integers(2, 5), share=st.floats(0, 1), seed=st.integers(0, 3))
def test_noise_is_in_as_many_labels_as_stated(n: int, classes: int, share: float, seed: int) -> None:
    labels = torch.arange(n) % classes
    before, state = labels.clone(), torch.get_rng_state()
    found, count = datasets.mislabelled(labels, classes, share, seed)
    assert int((found != labels).sum()) == count == round(share * n)
    assert found.dtype == torch.int64 and 0 <= int(found.min()) <= int(found.max()) < classes
    assert torch.equal(labels, before) and torch.equal(torch.get_rng_state(), state)
    assert torch.equal(found, datasets.mislabelled(labels, classes, share, seed)[0])


def test_noise_is_drawn_evenly_over_images_and_other_classes() -> None:
    n = 40_000
    labels = torch.arange(n) % 4
    found, _ = datasets.mislabelled(labels, 4, 0.6, seed=3)
    pairs = torch.stack([labels, found]).unique(dim=1, return_counts=True)
    for (old, new), count in zip(pairs[0].T.tolist(), pairs[1].tolist(), strict=True):
        expected = 0.4 * n / 4 if old == new else 0.6 * n / 4 / 3
        assert abs(count - expected) < 5 * expected**0.5
    changed = (found != labels).view(100, -1).sum(1)
    assert ((changed - 0.6 * n / 100).abs() < 5 * (0.6 * n / 100) ** 0.5).all(), "anywhere in the split"
    assert not torch.equal(found, datasets.mislabelled(labels, 4, 0.6, seed=4)[0])


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("examples", [None, 20, 60])
def test_the_file_holds_the_subset_and_the_noise(tmp_path: Path, examples: int | None, share: float) -> None:
    """Images and labels before noise come from the whole set, and statistics from the part in use."""
    content = arrays(train=60, test=8)
    drawn: dict[str, Any] = {"seed": 5} if examples or share else {}
    spec = saved(tmp_path, content, examples=examples, label_noise=share, **drawn)
    made(saved(tmp_path, content), tmp_path)
    whole, _ = checkpoint.read(tmp_path / "made.safetensors")
    found = made(spec, tmp_path)
    stored, header = checkpoint.read(tmp_path / "made.safetensors")
    part = datasets.subset(Examples(whole["train_inputs"], whole["train_targets"]), examples, seed=5)
    assert torch.equal(stored["train_inputs"], part.inputs)
    expected, count = datasets.mislabelled(part.targets, 4, share, seed=5)
    assert torch.equal(stored["train_targets"], expected) and count == round(share * (examples or 60))
    assert torch.equal(found.train.targets, expected)
    assert all(torch.equal(stored[f"test_{kind}"], whole[f"test_{kind}"]) for kind in ("inputs", "targets"))
    pixels = part.inputs.numpy() / 255
    np.testing.assert_allclose(header["mean"], pixels.mean((0, 2, 3)), rtol=1e-9)
    np.testing.assert_allclose(header["std"], pixels.std((0, 2, 3)), rtol=1e-9)
    assert header["examples"] == {"train": examples or 60, "test": 8}
    assert len(stored["train_inputs"]) == len(stored["train_targets"]) == (examples or 60)
    told = {key: header[key] for key in ("label_noise", "relabelled", "seed") if key in header}
    assert told == ({"label_noise": share, "relabelled": count, "seed": 5} if share else {})


def test_classes_stay_when_a_subset_lacks_some(tmp_path: Path) -> None:
    content = arrays(train=40)
    content["train_labels"] = np.array([0] * 19 + [1] * 19 + [2, 3])
    spec = saved(tmp_path, content, examples=2)
    found = made(spec, tmp_path)
    assert found.train.targets.tolist() == [0, 1] and found.classes == 4 == described(spec)[1]


def test_a_subset_of_more_images_than_there_are(tmp_path: Path) -> None:
    spec = saved(tmp_path, arrays(), examples=13)
    with pytest.raises(InputError, match="ours.npz': it has 12 training examples; examples asks for 13"):
        made(spec, tmp_path)


# Augmentation


def augmented(images: Tensor, black: Tensor, seed: int, crop: bool, flip: bool) -> Tensor:
    """Augment pixel by pixel, with the same draws."""
    generator = torch.Generator().manual_seed(seed)
    n, channels, height, width = images.shape
    top = torch.randint(0, 9, (n, 1), generator=generator) if crop else torch.full((n, 1), 4)
    left = torch.randint(0, 9, (n, 1), generator=generator) if crop else torch.full((n, 1), 4)
    mirrored = torch.rand(n, generator=generator) < 0.5 if flip else torch.zeros(n, dtype=torch.bool)
    result = torch.empty_like(images)
    for i, c, y, x in itertools.product(range(n), range(channels), range(height), range(width)):
        row = y + int(top[i]) - 4
        column = (width - 1 - x if mirrored[i] else x) + int(left[i]) - 4
        inside = 0 <= row < height and 0 <= column < width
        result[i, c, y, x] = images[i, c, row, column] if inside else black[c]
    return result


@pytest.mark.parametrize("crop", [True, False])
@pytest.mark.parametrize("flip", [True, False])
@pytest.mark.parametrize("shape", [(10, 3, 6, 5), (8, 1, 8, 8), (1, 2, 1, 1)])
def test_augmentation_pixel_by_pixel(shape: tuple[int, ...], crop: bool, flip: bool) -> None:
    images = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    black = torch.arange(-1.0, -1 - shape[1], -1)
    before, state = images.clone(), torch.get_rng_state()
    for seed in range(3):
        found = datasets.augment(images, black, torch.Generator().manual_seed(seed), crop=crop, flip=flip)
        assert torch.equal(found, augmented(images, black, seed, crop, flip))
    assert torch.equal(images, before) and torch.equal(torch.get_rng_state(), state)


def test_crops_and_flips_are_drawn_evenly() -> None:
    """One white pixel makes every shift of -4 to 4 in both directions, mirrored or not."""
    images = torch.zeros(8000, 1, 12, 12)
    images[:, :, 5, 4] = 1
    found = datasets.augment(images, torch.zeros(1), torch.Generator().manual_seed(0), crop=True, flip=True)
    places = torch.nonzero(found[:, 0])
    assert len(places) == 8000
    rows, columns = places[:, 1].bincount(minlength=12), places[:, 2].bincount(minlength=12)
    chance = torch.tensor([0, *[1 / 9] * 9, 0, 0]) * 8000
    assert ((rows - chance).abs() <= 5 * chance.sqrt()).all()
    chance = (torch.tensor([*[1 / 9] * 9, 0, 0, 0]) + torch.tensor([0, 0, 0, *[1 / 9] * 9])) / 2 * 8000
    assert ((columns - chance).abs() <= 5 * chance.sqrt()).all()


def test_layout_depends_on_the_size_of_the_images_alone() -> None:
    assert memory_format(torch.zeros(1, 3, 32, 32)) is torch.channels_last
    assert memory_format(torch.zeros(1, 1, 8, 8)) is memory_format(torch.zeros(1, 64, 8, 8)) is torch.contiguous_format
