"""The examples under docs/examples, run as their READMEs say, in a copy."""

import re
import shutil
import sys
from pathlib import Path

import pytest
from PIL import Image

from landscape.store import files

from running import REPOSITORY, landscape, run

EXAMPLES = REPOSITORY / "docs/examples"
SEEN = {
    "checkpoints": ("cnn", "path", "cross-entropy", "accuracy"),
    "regression": ("fit", "around", "squared error", "r2"),
    "text": ("gpt", "around", "cross-entropy", "perplexity"),
    "sentences": ("transformer", "around", "cross-entropy", "accuracy"),
    "physics": ("cosine", "around", "residual", None),
    "segmentation": ("pixels", "around", "cross-entropy", "accuracy"),
}
"""The run and the plane of each, its loss and its score."""


@pytest.mark.parametrize("name", SEEN)
def test_an_example_does_what_its_readme_says(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    shutil.copytree(EXAMPLES / name, folder)
    commands = re.findall(r"^\$ (.+)$", (folder / "README.md").read_text(), re.M)
    assert commands[-2:] == ["landscape run config.yaml", "python look.py"]
    for command in commands:
        program, *words = command.split()
        if program == "landscape":
            landscape(*words, folder=folder)
        else:
            run(sys.executable, *words, folder=folder)
    of_run, plane, loss, score = SEEN[name]
    surface = files.read_dataset(folder / f"results/surfaces/{of_run}/{plane}.nc")
    history = files.read_dataset(folder / f"results/runs/{of_run}/history.nc")
    for found in (surface, history):
        assert found.attrs["loss"] == loss and found.attrs.get("score") == score
        assert f"train_{score or 'loss'}" in found
    assert history.train_loss[-1] < 0.6 * history.train_loss[0]
    (saved,) = folder.glob("*.png")
    drawn = [saved, *folder.glob("results/figures/*.png")]
    assert len(drawn) > 1 and all(Image.open(picture).getcolors(16) is None for picture in drawn)
    caption = (folder / f"results/figures/{plane}.rst").read_text()
    assert f"mean {loss}" in caption and ("Wilson" in caption) == (name in ("checkpoints", "sentences"))
    if name == "segmentation":
        assert surface.attrs["loss_classes"] == 3 and "ln(3)" in caption


def test_every_example_is_listed_and_tested() -> None:
    folders = {path.name for path in EXAMPLES.iterdir() if path.is_dir()}
    listed = set(re.findall(r"^\| \[(\w+)\]", (EXAMPLES / "README.md").read_text(), re.M))
    assert folders == listed == SEEN.keys()
