"""Data sets in folders of images, against torchvision's ImageFolder and Pillow."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from landscape.data import datasets
from landscape.data.data_section import Data
from landscape.errors import InputError
from landscape.experiment import memory, reading
from landscape.experiment.schema import Experiment
from landscape.networks.torchvision_shim import with_torchvision
from landscape.store import checkpoint

from data_sets import assert_normalised, described, made

SIX = {"train/cat": 3, "train/dog": 2, "test/cat": 1}


def photos(root: Path, counts: dict[str, int], mode: str = "RGB", size: tuple[int, int] = (5, 6)) -> Data:
    """`counts` images in every folder, of (width, height), each unlike the others."""
    shape = (size[1], size[0], 3) if mode == "RGB" else (size[1], size[0])
    for number, (folder, count) in enumerate(counts.items()):
        (root / folder).mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(number)
        for i in range(count):
            Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(root / folder / f"{i}.png")
    return Data(source=str(root))


def image_folder(root: Path) -> tuple[np.ndarray, list[int]]:
    """Pixels in [0, 1], (n, channels, height, width), and labels, as torchvision reads them."""
    found = with_torchvision(lambda: importlib.import_module("torchvision.datasets")).ImageFolder(root)
    return np.stack([np.asarray(image) for image, _ in found]).transpose(0, 3, 1, 2) / 255, found.targets


def assert_is(found: datasets.DataSet, train: Path, test: Path | None) -> None:
    mean, std = found.header["mean"], found.header["std"]
    pixels, labels = image_folder(train)
    np.testing.assert_allclose(mean, pixels.mean((0, 2, 3)), rtol=1e-9)
    np.testing.assert_allclose(std, pixels.std((0, 2, 3)), rtol=1e-9)
    assert_normalised(found.train, pixels, np.array(labels), mean, std)
    assert (found.test is None) == (test is None)
    if test:
        pixels, labels = image_folder(test)
        assert_normalised(found.test, pixels, np.array(labels), mean, std)


@pytest.mark.parametrize("test", ["test", "val", "valid"])
def test_splits_are_torchvisions_folders(tmp_path: Path, test: str) -> None:
    root = tmp_path / "photos"
    spec = photos(root, {"train/cat": 3, "train/dog": 2, "train/10": 1, "train/9": 2, f"{test}/10": 1, f"{test}/9": 2})
    for name in ("cat", "dog"):
        photos(root, {f"{test}/{name}": 2})
    found = made(spec, tmp_path)
    assert_is(found, root / "train", root / test)
    assert found.image_shape == (3, 6, 5) and found.classes == 4
    assert described(spec) == (found.image_shape, found.classes)
    assert found.train.targets.tolist() == [0, 1, 1, 2, 2, 2, 3, 3], "10, 9, cat, dog"


def test_classes_in_the_folder_itself(tmp_path: Path) -> None:
    spec = photos(tmp_path / "photos", {"b": 2, "a": 1, "c": 3})
    found = made(spec, tmp_path)
    assert_is(found, tmp_path / "photos", None)
    assert found.train.targets.tolist() == [0, 1, 1, 2, 2, 2]
    assert described(spec) == ((3, 6, 5), 3)


def test_the_test_split_is_the_first_there_is_and_may_lack_classes(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    spec = photos(root, {**SIX, "val/cat": 2, "valid/dog": 3, "more/bird": 1, "test/dog": 0})
    found = made(spec, tmp_path)
    assert found.test is not None and found.test.targets.tolist() == [0] and found.classes == 2
    (root / "test/cat/0.png").rename(root / "test/dog/0.png")
    found = made(spec, tmp_path)
    assert found.test is not None and found.test.targets.tolist() == [1]


def test_what_is_no_image_or_hidden_is_passed_over_and_images_may_lie_deeper(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    spec = photos(root, {"train/cat": 2, "train/cat/young/tabby": 1, "train/dog": 1})
    plain = made(spec, tmp_path)
    assert_is(plain, root / "train", None)
    photos(root, {"train/.ipynb_checkpoints": 2, "train/dog/.thumbnails": 1, ".git/train": 1}, size=(3, 3))
    for name in ("train/dog/notes.txt", "train/classes.csv", "train/dog/._0.png", ".DS_Store", "train/dog/Thumbs.db"):
        (root / name).write_text("no image")
    again = made(spec, tmp_path)
    assert torch.equal(plain.train.inputs, again.train.inputs) and again.classes == 2


@pytest.mark.parametrize("suffix", [".jpg", ".JPEG", ".png", ".ppm", ".bmp", ".tif", ".TIFF", ".webp"])
def test_formats(tmp_path: Path, suffix: str) -> None:
    root = tmp_path / "photos"
    spec = photos(root, {"a": 1, "b": 1})
    for path in list(root.rglob("*.png")):
        with Image.open(path) as image:
            image.save(path.with_name(f"image{suffix}"))
        path.unlink(missing_ok=path.name == "image.png")
    assert_is(made(spec, tmp_path), root, None)


@pytest.mark.parametrize("colour", ["none", "train/dog", "test/cat"])
def test_images_are_grey_if_all_are(tmp_path: Path, colour: str) -> None:
    root = tmp_path / "photos"
    spec = photos(root, SIX, mode="L")
    Image.fromarray(np.eye(6, 5, dtype=bool)).save(root / "train/cat/1.png")
    with Image.open(root / "train/cat/2.png") as image:
        grey = image.copy()
    grey.putalpha(Image.fromarray(np.zeros((6, 5), np.uint8)))
    grey.save(root / "train/cat/2.png")
    if colour != "none":
        Image.new("RGB", (5, 6), (200, 3, 90)).save(root / colour / "0.png")
    found = made(spec, tmp_path)
    channels = 1 if colour == "none" else 3
    assert found.image_shape == (channels, 6, 5) == described(spec)[0]
    stored, _ = checkpoint.read(tmp_path / "made.safetensors")
    for split in ("train", "test"):
        pixels, labels = image_folder(root / split)
        np.testing.assert_array_equal(stored[f"{split}_inputs"].numpy(), (pixels[:, :channels] * 255).round())
        assert stored[f"{split}_targets"].tolist() == labels


def test_palettes_and_transparency_are_colours(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    spec = photos(root, {"a": 2, "b": 1})
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (6, 5, 4), dtype=np.uint8)).save(root / "a/0.png")
    with Image.open(root / "a/1.png") as image:
        palette = image.quantize(8)
    palette.save(root / "a/1.png")
    assert_is(made(spec, tmp_path), root, None)


@pytest.mark.parametrize("size", [(12, 12), (7, 20), (23, 9), (4, 4), (3, 17), (8, 8)])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_images_brought_to_one_size(tmp_path: Path, size: tuple[int, int], mode: str) -> None:
    """The short side to 8 pixels, by Pillow's bilinear filter over all pixels that one covers; then the middle."""
    root = tmp_path / "photos"
    photos(root, {"train/a": 1, "train/b": 1}, mode, size)
    photos(root, {"test/a": 2}, mode, (9, 16))
    spec = Data(source=str(root), image_size=8)
    channels = 1 if mode == "L" else 3
    assert described(spec) == ((channels, 8, 8), 2)
    datasets.make(spec, tmp_path / "made.safetensors", {})
    stored, _ = checkpoint.read(tmp_path / "made.safetensors")
    for split, width, height in (("train", *size), ("test", 9, 16)):
        expected = []
        for path in sorted((root / split).rglob("*.png")):
            scale = 8 / min(width, height)
            wide, high = (8, int(height * scale)) if width <= height else (int(width * scale), 8)
            with Image.open(path) as image:
                resized = np.array(image.resize((wide, high), Image.Resampling.BILINEAR)).reshape(high, wide, channels)
            top, left = round((high - 8) / 2), round((wide - 8) / 2)
            expected.append(resized[top : top + 8, left : left + 8].transpose(2, 0, 1))
        np.testing.assert_array_equal(stored[f"{split}_inputs"].numpy(), np.stack(expected))


def test_shrinking_is_antialiased(tmp_path: Path) -> None:
    """A chessboard of single pixels becomes grey, not black or white."""
    root = tmp_path / "photos"
    board = 255 * (np.indices((64, 64)).sum(0) % 2)
    for name in ("a", "b"):
        (root / name).mkdir(parents=True)
        Image.fromarray(board.astype(np.uint8)).save(root / name / "0.png")
    datasets.make(Data(source=str(root), image_size=8), tmp_path / "made.safetensors", {})
    pixels = checkpoint.read(tmp_path / "made.safetensors")[0]["train_inputs"].float()
    assert float((pixels - 127.5).abs().max()) < 6


WRONG: dict[str, tuple[dict[str, int], str]] = {
    "nothing": ({}, r"{root} holds 0 folders \(\(there are none\)\); there must be one for each class"),
    "one class": ({"cat": 2}, r"{root} holds 1 folders \(cat\); there must be one for each class, and at least two"),
    "a folder too high": ({"photos/cat": 1, "photos/dog": 1}, r"{root} holds 1 folders \(photos\)"),
    "no classes in train": ({"train": 3, "test": 2}, r"{root}/train holds 0 folders"),
    "no train": ({"test/cat": 1, "test/dog": 1, "training/cat": 1}, "it holds the folder test and no folder train"),
    "no images of a class": ({"a": 1, "b": 0, "c": 0}, r"{root}/b holds no image \(.jpg, .jpeg, .png"),
    "no images at all": ({"train/a": 0, "train/b": 0}, "{root}/train/a holds no image"),
    "a new class in test": ({**SIX, "test/bird": 1}, "{root}/test has the class bird; {root}/train has cat, dog"),
    "no images in test": ({**SIX, "test/cat": 0}, "{root}/test holds no image in the folder of a class"),
    "no classes in test": ({"train/a": 1, "train/b": 1, "test": 1}, "{root}/test holds no image in the folder"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_folders_that_are_wrong(tmp_path: Path, name: str) -> None:
    counts, message = WRONG[name]
    root = tmp_path / "mine"
    root.mkdir()
    spec = photos(root, counts)
    with pytest.raises(InputError, match=f"^is {str(root)!r}: {message.replace('{root}', str(root))}"):
        described(spec)
    with pytest.raises(InputError, match=f"^the source is {str(root)!r}: {message.replace('{root}', str(root))}"):
        made(spec, tmp_path)
    assert not (tmp_path / "made.safetensors").exists()


def test_images_of_several_sizes(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    spec = photos(root, SIX)
    photos(root, {"train/dog": 1, "test/cat": 1}, size=(6, 6))
    message = f"{root}/train/dog/0.png has 6 x 6 pixels and {root}/train/cat/0.png 6 x 5; state image_size"
    with pytest.raises(InputError, match=message):
        made(spec, tmp_path)
    assert made(Data(source=str(root), image_size=4), tmp_path).image_shape == (3, 4, 4)


def test_pixels_of_more_than_8_bits(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    spec = photos(root, SIX)
    Image.fromarray(np.full((6, 5), 40_000, np.uint16)).save(root / "train/dog/1.png")
    with pytest.raises(InputError, match=f"{root}/train/dog/1.png has pixels of more than 8 bits .mode I"):
        made(spec, tmp_path)


def test_nothing_is_unpacked_before_it_is_read(tmp_path: Path) -> None:
    """Images cut to their headers are described as before; reading them names the first broken one."""
    root = tmp_path / "photos"
    spec = photos(root, SIX, size=(40, 40))
    before = described(spec)
    for path in root.rglob("*.png"):
        path.write_bytes(path.read_bytes()[:200])
    assert described(spec) == before == ((3, 40, 40), 2)
    with pytest.raises(InputError, match=f"{root}/train/cat/0.png is no whole image: "):
        made(spec, tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"no image", b"\x89PNG\r\n\x1a\n", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 5 6\n"]
)
def test_files_that_are_no_images(tmp_path: Path, content: bytes) -> None:
    """PostScript counts as no image, since Pillow would run another program on it."""
    root = tmp_path / "photos"
    spec = photos(root, SIX)
    (root / "train/dog/1.png").write_bytes(content)
    with pytest.raises(InputError, match=f"{root}/train/dog/1.png is no whole image: "):
        made(spec, tmp_path)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".bmp", ".ppm"])
@pytest.mark.filterwarnings("ignore")
def test_damaged_bytes_never_give_another_error(tmp_path: Path, suffix: str) -> None:
    root = tmp_path / "photos"
    spec = photos(root, {"a": 1, "b": 0})
    with Image.open(root / "a/0.png") as image:
        image.save(root / f"b/0{suffix}", **({"compression": "tiff_lzw"} if suffix == ".tif" else {}))
    path = root / f"b/0{suffix}"
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(100):
        content = bytearray(whole)
        content[int(rng.integers(len(whole)))] ^= int(rng.integers(1, 256))
        path.write_bytes(content[: int(rng.integers(len(whole)))] if rng.random() < 0.3 else content)
        try:
            made(spec, tmp_path)
        except InputError:
            refused += 1
    assert refused > 20


# What the workflow asks of a folder


def experiment(source: Path, **spec: Any) -> Experiment:
    return reading.resolve(
        {
            "data": {"ours": {"source": str(source), **spec}},
            "runs": {"small": {"network": "torchvision.models:resnet18", "data": "ours"}},
        }
    )


def test_memory_is_that_of_the_images(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    photos(root, {"train/a": 3, "train/b": 2, "test/a": 2}, size=(1000, 400))
    (root / "classes.txt").write_text("a b")
    assert memory.of_job(experiment(root), "small") == 1500 + 6 * 7 * 3 * 1000 * 400 // 2**20
    assert memory.of_job(experiment(root, image_size=224), "small") == 1500 + 6 * 7 * 3 * 224**2 // 2**20


@pytest.mark.parametrize("files", [[], ["broken.png"], ["notes.txt"]])
def test_memory_of_what_cannot_be_read_is_that_of_cifar(tmp_path: Path, files: list[str]) -> None:
    for name in files:
        (tmp_path / name).write_text("no image")
    assert memory.of_job(experiment(tmp_path), "small") == 1500 + 6 * 60_000 * 3 * 32**2 // 2**20
