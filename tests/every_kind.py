"""A folder with one file of every kind, made by the verbs themselves as the workflow would, in seconds."""

from pathlib import Path

from landscape import cli
from landscape.experiment import specs
from landscape.experiment.reading import read

CONFIG = """
results: out
data:
  digits: {source: digits, examples: 40}
runs:
  tiny: &run {network: resnet, args: {depth: 8, width: 2}, data: digits, epochs: 2, batch_size: 20, keep: all}
  twin: {<<: *run, seed: 1, keep: none}
planes:
  contour: {alpha: [-1, 1, 3], beta: [-1, 1, 3], seed: 5, examples: 20, tiles: 2}
  path:    {directions: pca, alpha: [-1, 1, 3], beta: [-1, 1, 3], examples: 20, tiles: 1}
  towards: {directions: to, run: twin, alpha: [0, 1, 3], examples: 20, tiles: 1}
probes:
  pairs: {measure: eigenpairs, examples: 10, pairs: 1}
figures:
  figure5: {draw: contours, runs: [tiny], plane: contour}
"""

FILES = {
    "data set": "data/digits.safetensors",
    "weights": "runs/tiny/weights.safetensors",
    "epochs": "runs/tiny/epochs.safetensors",
    "history": "runs/tiny/history.nc",
    "directions": "directions/tiny/contour.safetensors",
    "tile": "surfaces/tiny/contour/1of2.nc",
    "surface": "surfaces/tiny/contour.nc",
    "trajectory": "trajectories/tiny/path.nc",
    "mark": "marks/tiny/contour/twin.nc",
    "probe": "probes/tiny/pairs.nc",
    "vectors": "probes/tiny/pairs.safetensors",
}
"""Where a file of each kind lies under `out`."""


def verb(*words: str | Path) -> None:
    assert cli.main([str(word) for word in words]) == 0, words


def commands(out: Path) -> dict[str, list[str | Path]]:
    """The command line of each verb that makes one of `FILES`, all from what the workflow makes before, and the figure's."""
    experiment = read(out.parent / "config.yaml")
    data, run, drawn = out / FILES["data set"], out / "runs/tiny", out / FILES["directions"]
    weights, tiles = run / "weights.safetensors", [out / f"surfaces/tiny/contour/{i}of2.nc" for i in (1, 2)]
    on_plane: list[str | Path] = ["--name", "contour", "--weights", weights, "--directions", drawn]
    surface = specs.of_surface(experiment, "tiny", "contour")
    path: list[str | Path] = [
        "--name",
        "path",
        "--weights",
        weights,
        "--directions",
        out / "directions/tiny/path.safetensors",
    ]
    return {
        "dataset": ["--spec", specs.of_data(experiment, "digits"), "--name", "digits", "--output", data],
        "train": [
            *("--spec", specs.of_run(experiment, "tiny"), "--name", "tiny", "--data", data, "--output", weights),
            *(run / "history.nc", run / "epochs.safetensors"),
        ],
        "directions": [
            *("--spec", specs.of_directions(experiment, "tiny", "contour"), "--name", "contour", "--weights", weights),
            *("--output", drawn),
        ],
        "tile": ["--spec", surface, *on_plane, "--data", data, "--tile", "1", "--of", "2", "--output", tiles[0]],
        "merge": ["--spec", surface, "--tiles", *tiles, "--output", out / FILES["surface"]],
        "trajectory": [
            *("--spec", specs.of_trajectory(experiment, "tiny", "path"), *path, "--epochs", run / "epochs.safetensors"),
            *("--data", data, "--output", out / FILES["trajectory"]),
        ],
        "mark": [
            *("--spec", specs.of_mark(experiment, "tiny", "contour", "twin"), *on_plane),
            *("--marked", out / "runs/twin/weights.safetensors", "--output", out / FILES["mark"]),
        ],
        "probe": [
            *("--spec", specs.of_probe(experiment, "tiny", "pairs"), "--name", "pairs", "--weights", weights),
            *("--data", data, "--output", out / FILES["probe"], out / FILES["vectors"]),
        ],
        "figure": [
            *(
                "--spec",
                specs.of_figure(experiment, "figure5"),
                "--name",
                "figure5",
                "--input",
                run / "history.nc",
            ),
            *(out / FILES["surface"], "--output", out / "figures/figure5.pdf"),
        ],
    }


def make(folder: Path) -> None:
    (folder / "config.yaml").write_text(CONFIG)
    experiment, out = read(folder / "config.yaml"), folder / "out"
    made = commands(out)
    twin = out / "runs/twin"
    path: list[str | Path] = ["--weights", out / FILES["weights"], "--other", out / FILES["epochs"]]
    verb("dataset", *made["dataset"])
    verb("train", *made["train"])
    verb(
        *("train", "--spec", specs.of_run(experiment, "twin"), "--name", "twin", "--data", out / FILES["data set"]),
        *("--output", twin / "weights.safetensors", twin / "history.nc", twin / "epochs.safetensors"),
    )
    verb("directions", *made["directions"])
    verb(
        *("directions", "--spec", specs.of_directions(experiment, "tiny", "path"), "--name", "path", *path),
        *("--output", out / "directions/tiny/path.safetensors"),
    )
    for i in (1, 2):
        tile = [str(word) for word in made["tile"]]
        verb(
            "tile",
            *tile[: tile.index("--tile")],
            "--tile",
            str(i),
            *("--of", "2", "--output"),
            tile[-1].replace("1of", f"{i}of"),
        )
    for name in ("merge", "trajectory", "mark", "probe", "figure"):
        verb(name, *made[name])
