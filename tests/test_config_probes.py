"""What a configuration of probes and of planes along eigenvectors means, and what is said of a wrong one."""

from pathlib import Path
from typing import Any

import pytest

from landscape.artefacts import STAGES
from landscape.errors import InputError
from landscape.experiment import jobs, needs, reading, specs
from landscape.probes import probe_of
from landscape.probes.eigenpairs import EigenpairsProbe

import running

RUN = {"network": "resnet", "args": {"depth": 8}, "data": "digits", "epochs": 4}


def experiment(**sections: Any) -> dict[str, Any]:
    """A right configuration with some sections replaced."""
    right: dict[str, Any] = {
        "data": {"digits": {"source": "digits"}},
        "runs": {"small": {**RUN, "keep": 2}, "other": RUN},
        "planes": {
            "contour": {"beta": [-1, 1, 5]},
            "line": {},
            "to": {"directions": "to", "run": "other"},
            "start": {"directions": "start"},
            "sharp": {"directions": "eigenvectors", "probe": "pairs", "beta": [-1, 1, 5]},
            "sharpest": {"directions": "eigenvectors", "probe": "pairs"},
        },
        "probes": {
            "pairs": {"measure": "eigenpairs"},
            "spectrum": {"measure": "spectrum"},
            "there": {"measure": "trace", "plane": "contour", "alpha": 0.5, "beta": -0.5},
            "back": {"measure": "trace", "plane": "start", "alpha": 0.5},
        },
        "figures": {"spectra": {"draw": "spectra", "runs": ["small"], "probe": "spectrum"}},
    }
    return right | sections


def problems(**sections: Any) -> list[str]:
    with pytest.raises(InputError) as error:
        reading.resolve(experiment(**sections))
    return error.value.problems


def with_probe(**probe: Any) -> dict[str, Any]:
    return {"probes": {**experiment()["probes"], "wrong": probe}}


def with_plane(**plane: Any) -> dict[str, Any]:
    return {"planes": {**experiment()["planes"], "wrong": {"directions": "eigenvectors", **plane}}}


def with_figure(**figure: Any) -> dict[str, Any]:
    return {"figures": {"wrong": {"runs": ["small"], **figure}}}


def test_unstated_keys_of_a_probe() -> None:
    probe: Any = reading.resolve(experiment()).probes["pairs"]
    assert (probe.plane, probe.examples, probe.parameters, probe.precision, probe.pairs) == (
        None,
        None,
        "filters",
        "fp32",
        2,
    )
    assert probe.in_full() == {
        "measure": "eigenpairs",
        "plane": None,
        "examples": None,
        "seed": 0,
        "parameters": "filters",
        "memory": 2048,
        "precision": "fp32",
        "pairs": 2,
    }


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        (with_probe(measure="hessian"), "probes.wrong.measure"),
        (with_probe(measure="trace", pairs=3), "probes.wrong: measure: trace takes no pairs"),
        (with_probe(measure="eigenpairs", steps=9, vectors=3), "measure: eigenpairs takes no steps, vectors"),
        (with_probe(measure="spectrum", draws=9), "measure: spectrum takes no draws"),
        (with_probe(measure="activations", memory=9), "measure: activations takes no memory"),
        (with_probe(measure="saddle", precision="fp64"), "measure: saddle takes no precision"),
        (with_probe(measure="trace", alpha=1.0), "a probe of the state itself, without plane, takes no alpha"),
        (with_probe(measure="saddle", plane="contour"), "measure: saddle begins at a state and takes no plane"),
        (with_probe(measure="trace", precision="bf16"), "probes.wrong.precision"),
        (with_probe(measure="trace", vectors=1), "probes.wrong.vectors"),
        (
            with_probe(measure="trace", plane="contor"),
            "probes.wrong.plane is 'contor'; the planes are contour, line, to, start, sharp, sharpest",
        ),
        (
            with_probe(measure="trace", plane="to", alpha=0.5),
            "probes.wrong.plane is 'to', which has batchnorm: interpolated; a probe needs one with stored",
        ),
        (with_probe(measure="trace", plane="line", beta=0.5), "probes.wrong.beta is 0.5, and line is a line"),
        (
            with_probe(measure="trace", plane="sharp"),
            "probes.wrong.plane is 'sharp', whose directions come from a probe",
        ),
        (with_plane(), "planes.wrong: directions: eigenvectors needs the key probe"),
        (with_plane(probe="pears"), "planes.wrong.probe is 'pears'; the probes are pairs, spectrum, there, back"),
        (
            with_plane(probe="spectrum"),
            "planes.wrong.probe is 'spectrum'; it must be a probe with measure: eigenpairs of the state itself",
        ),
        (
            with_plane(probe="pairs", vectors=["largest-1", "smallest-3"]),
            "planes.wrong.vectors has 'smallest-3', and pairs finds 2 pairs at each end; raise its pairs",
        ),
        (
            with_plane(probe="pairs", vectors=["largest-1"], beta=[-1, 1, 5]),
            "planes.wrong: directions: eigenvectors with beta needs two different vectors, and they are largest-1",
        ),
        (
            with_plane(probe="pairs", vectors=["largest-1", "largest-1"], beta=[-1, 1, 5]),
            "needs two different vectors, and they are largest-1, largest-1",
        ),
        (with_plane(probe="pairs", vectors=["third"]), "planes.wrong.vectors"),
        (with_plane(probe="pairs", vectors=["largest-0"]), "planes.wrong.vectors"),
        (with_plane(probe="pairs", run="other"), "directions: eigenvectors takes no run"),
        (with_plane(probe="pairs", seed=3), "directions: eigenvectors takes no seed"),
        (with_plane(probe="pairs", batchnorm="interpolated"), "takes no batchnorm: interpolated"),
        (with_plane(directions="random", probe="pairs"), "directions: random takes no probe"),
        (with_plane(directions="random", vectors=["largest-1"]), "directions: random takes no vectors"),
        (
            with_figure(draw="spectra", probe="sharpness"),
            "figures.wrong.probe is 'sharpness'; the probes are pairs, spectrum, there, back",
        ),
        (
            with_figure(draw="spectra", probe="pairs"),
            "figures.wrong.probe is 'pairs', with measure: eigenpairs; draw: spectra needs spectrum",
        ),
        (
            with_figure(draw="layers", probe="pairs"),
            "figures.wrong.probe is 'pairs', with measure: eigenpairs; draw: layers needs activations",
        ),
        (
            with_figure(draw="sharpening", probe="there", epochs=[0, 2]),
            "figures.wrong.probe is 'there', with measure: trace; draw: sharpening needs eigenpairs, spectrum",
        ),
        (
            with_figure(draw="sharpening", probe="pairs", epochs=[0, 3]),
            "figures.wrong.epochs is 'small@003': small@003 cannot be had: the run small has keep: 2 of 4 epochs, so its "
            "kept epochs are 000, 002, 004",
        ),
    ],
)
def test_what_is_said_of_a_wrong_one(sections: dict[str, Any], said: str) -> None:
    assert [problem for problem in problems(**sections) if said in problem], problems(**sections)


def test_a_probe_on_a_plane_where_a_run_cannot_be_seen() -> None:
    figure = {"draw": "spectra", "runs": ["small", "other"], "probe": "back"}
    probes = {**experiment()["probes"], "back": {"measure": "spectrum", "plane": "start", "alpha": 0.5}}
    (problem,) = problems(probes=probes, figures={"wrong": figure})
    assert problem.startswith("figures.wrong.runs[1] is 'other': plane start leads to the start of the training")
    whole = reading.resolve(experiment())
    with pytest.raises(InputError, match="other cannot be seen on start: plane start leads to the start"):
        specs.of_probe(whole, "other", "back")
    assert '"plane": "start"' in specs.of_probe(whole, "small", "back")


def test_files_of_probes_and_of_planes_along_eigenvectors() -> None:
    whole = reading.resolve(experiment())
    assert jobs.probe_file(whole, "small@002", "pairs") == "results/probes/small@002/pairs.nc"
    assert jobs.directions_of_probe(whole, "small", "pairs") == []
    assert jobs.directions_of_probe(whole, "small@002", "there") == ["results/directions/small@002/contour.safetensors"]
    for plane in ("sharp", "sharpest"):
        assert jobs.others(whole, "small@002", plane) == ["results/probes/small@002/pairs.safetensors"]
        assert jobs.other_files(whole, "small@002", plane) == jobs.others(whole, "small@002", plane)
    drawn = needs.results_of_figure(whole, "spectra")
    assert [file for file in drawn if "/probes/" in file] == ["results/probes/small/spectrum.nc"]
    with pytest.raises(InputError, match="there is no probe 'pears'; the probes are pairs, spectrum, there, back"):
        specs.of_probe(whole, "small", "pears")


def test_the_specification_holds_what_differs_from_the_defaults() -> None:
    whole = reading.resolve(experiment())
    stages = {name: stage.version for name, stage in STAGES.items()}
    assert specs.of_probe(whole, "small", "pairs") == f'{{"measure": "eigenpairs", "stage": {stages["probe"]}}}'
    stated = EigenpairsProbe(measure="eigenpairs", pairs=2, precision="fp32", examples=None)
    assert specs.of("probe", stated) == specs.of_probe(whole, "small", "pairs")
    assert specs.load(specs.of_probe(whole, "small", "there"), "probe")[0] == whole.probes["there"]
    assert specs.of_directions(whole, "small", "sharp") == (
        f'{{"directions": "eigenvectors", "probe": "pairs", "stage": {stages["directions"]}}}'
    )
    other = reading.resolve(experiment(**with_plane(probe="pairs", vectors=["smallest-2"])))
    assert '"vectors": ["smallest-2"]' in specs.of_directions(other, "small", "wrong")
    assert '"line": true' in specs.of_directions(other, "small", "wrong")
    for name, entry in whole.probes.items():
        assert probe_of(entry.in_full()) == entry, name


def test_the_workflow_makes_the_probe_first_and_the_plane_from_it(tmp_path: Path) -> None:
    figures = {
        "spectra": {"draw": "spectra", "runs": ["small@002"], "probe": "spectrum"},
        "steep": {"draw": "contours", "runs": ["small"], "plane": "sharp"},
    }
    path = running.written({**experiment(figures=figures), "results": "results"}, tmp_path)
    made = running.jobs(running.snakemake(path, "--dry-run", folder=tmp_path))
    assert made["probe"] == {
        "results/probes/small@002/spectrum.nc",
        "results/probes/small@002/spectrum.safetensors",
        "results/probes/small/pairs.nc",
        "results/probes/small/pairs.safetensors",
    }
    assert made["aimed"] == {"results/directions/small/sharp.safetensors"}
