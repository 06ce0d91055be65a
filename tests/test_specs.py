"""A changed default changes results while no specification shows it, so it must raise the version of its stage."""

import json

from landscape import artefacts
from landscape.config.section import Section
from landscape.data.data_section import Data
from landscape.experiment.analysis_sections import Claims, Published, Table
from landscape.experiment.schema import KINDS_OF
from landscape.measures.plane import DirectionKeys
from landscape.networks import code
from landscape.training.run_section import LEARNING_RATES, Run

DEFAULTS = {
    "dataset": '{"args": {}, "code": [], "image_size": null, "images": null, "label_noise": 0.0, "mean": null, "seed": 0, "std": null}',
    "runs": '{"args": {}, "augment": [], "batch_size": 128, "clip": null, "code": [], "epochs": 300, "keep": "none", "learning_rate": null, "milestones": null, "momentum": 0.9, "optimizer": "sgd", "parts": 1, "precision": "fp32", "rescaled": null, "sam": null, "schedule": "step", "seed": 0, "swa": null, "threads": 1, "warmup": null, "weight_decay": 0.0005, "weights": null}',
    "planes: loss": '{"alpha": [-1.0, 1.0, 51], "batchnorm": null, "beta": null, "centred": true, "directions": "random", "images": null, "measure": "loss", "normalize": "filter", "plane": null, "precision": "fp32", "probe": null, "recalibration_images": 1024, "run": null, "runs": null, "seed": 0, "tiles": null, "vectors": ["largest-1", "smallest-1"]}',
    "planes: gradients": '{"alpha": [-1.0, 1.0, 51], "batchnorm": null, "beta": null, "centred": true, "directions": "random", "images": null, "normalize": "filter", "parameters": "filters", "plane": null, "precision": "fp32", "probe": null, "recalibration_images": 1024, "run": null, "runs": null, "seed": 0, "tiles": null, "vectors": ["largest-1", "smallest-1"]}',
    "planes: curvature": '{"alpha": [-1.0, 1.0, 51], "batchnorm": null, "beta": null, "centred": true, "directions": "random", "eigensolver": "lanczos", "images": null, "memory": 2048, "normalize": "filter", "parameters": "filters", "plane": null, "precision": "fp32", "probe": null, "recalibration_images": 1024, "run": null, "runs": null, "seed": 0, "tiles": null, "vectors": ["largest-1", "smallest-1"]}',
    "directions": '{"batchnorm": null, "centred": true, "directions": "random", "line": false, "normalize": "filter", "plane": null, "probe": null, "run": null, "runs": null, "seed": 0, "vectors": ["largest-1", "smallest-1"]}',
    "probes: eigenpairs": '{"alpha": 0.0, "beta": 0.0, "images": null, "memory": 2048, "pairs": 2, "parameters": "filters", "plane": null, "precision": "fp32", "seed": 0}',
    "probes: spectrum": '{"alpha": 0.0, "beta": 0.0, "images": null, "memory": 2048, "parameters": "filters", "plane": null, "precision": "fp32", "seed": 0, "steps": 60, "vectors": 8}',
    "probes: trace": '{"alpha": 0.0, "beta": 0.0, "draws": 32, "images": null, "memory": 2048, "parameters": "filters", "plane": null, "precision": "fp32", "seed": 0, "vectors": 8}',
    "probes: activations": '{"alpha": 0.0, "beta": 0.0, "images": null, "plane": null, "seed": 0}',
    "probes: saddle": '{"alpha": 0.0, "beta": 0.0, "images": null, "plane": null, "points": 41, "seed": 0, "tolerance": 1e-06}',
    "claims": '{"away": 0.25, "curvature": null, "gradients": null, "insignificant": 0.05, "interpolations": null, '
    '"large": 0.1, "lines": null, "most": 0.9, "paths": null, "planes": null, "runs": null, "share": 0.4, '
    '"similar": 0.25, "tolerance": 0.5}',
    "published": '{"source": "Li et al. 2018", "verified": true}',
    "table": '{"title": null}',
    "figures: contours": '{"about": null, "columns": null, "group": null, "levels": "log", "marks": [], "title": null, "variable": "train_loss"}',
    "figures: surfaces": '{"about": null, "group": null, "title": null, "variable": "train_loss"}',
    "figures: lines": '{"about": null, "columns": null, "group": null, "over": null, "title": null}',
    "figures: overlay": '{"about": null, "columns": null, "group": null, "title": null, "variable": "train_loss"}',
    "figures: training": '{"about": null, "group": null, "over": null, "title": null}',
    "figures: interpolation": '{"about": null, "group": null, "title": null}',
    "figures: profiles": '{"about": null, "group": null, "levels": "log", "title": null}',
    "figures: trajectories": '{"about": null, "contours": true, "group": null, "losses": true, "scales": ["equal"], "title": null}',
    "figures: bundles": '{"about": null, "group": null, "title": null}',
    "figures: rings": '{"about": null, "group": null, "over": null, "rises": [0.5], "title": null}',
    "figures: sharpness": '{"about": null, "group": null, "number": "area_rise_0.5", "title": null}',
    "figures: curvature": '{"about": null, "contours": null, "group": null, "ratio": "negative", "title": null}',
    "figures: gradients": '{"about": null, "group": null, "title": null}',
    "figures: spectra": '{"about": null, "group": null, "title": null}',
    "figures: layers": '{"about": null, "group": null, "title": null}',
    "figures: sharpening": '{"about": null, "group": null, "title": null}',
    "figures: saddle": '{"about": null, "group": null, "title": null}',
}
"""All defaults as they were when STAGES below was right. To change one: change it here, and raise the stages it alters."""

STAGES = {
    "dataset": 1,
    "train": 3,
    "adopt": 3,
    "rescale": 1,
    "directions": 1,
    "surface": 3,
    "trajectory": 2,
    "mark": 1,
    "probe": 2,
    "figure": 3,
    "table": 1,
    "summary": 3,
    "claims": 3,
}


def test_a_changed_default_raises_the_version_of_its_stage() -> None:
    models: dict[str, type[Section]] = {
        "dataset": Data,
        "runs": Run,
        "directions": DirectionKeys,
        "claims": Claims,
        "published": Published,
        "table": Table,
        **{f"{section}: {kind}": model for section, (_, kinds) in KINDS_OF.items() for kind, model in kinds.items()},
    }
    found = {
        name: json.dumps({k: f.default for k, f in model.model_fields.items() if not f.is_required()}, sort_keys=True)
        for name, model in models.items()
    }
    assert found == DEFAULTS
    assert {name: stage.version for name, stage in artefacts.STAGES.items()} == STAGES
    assert LEARNING_RATES == {"sgd": 0.1, "adam": 0.001, "adamw": 0.001, "adagrad": 0.01}


def test_a_changed_default_of_a_network_raises_the_version_of_training() -> None:
    """A stated argument that equals the default is left out of a specification, as an unstated one is."""
    defaults = {}
    for name in code.BUILTIN:
        parameters = code.parameters(name)
        assert parameters is not None
        defaults[name] = {key: value for key, value in parameters.defaults.items() if key not in code.SUPPLIED}
    assert defaults == {
        "densenet121": {},
        "mlp": {"activation": "relu", "linear_std": None},
        "resnet": {"shortcut": True, "width": 16, "linear_std": 1e-3, "norm": "batch"},
        "vgg": {"norm": "batch"},
        "vgg9": {"norm": "batch"},
    }
