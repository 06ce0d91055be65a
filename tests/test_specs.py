"""A changed default changes results while no specification shows it, so it must raise the version of its stage."""

import json

from landscape.config import code, schema, specs

DEFAULTS = {
    "dataset": '{"mean": null, "std": null}',
    "runs": '{"args": {}, "augment": [], "batch_size": 128, "clip": null, "code": [], "epochs": 300, "keep": "none", '
    '"learning_rate": null, "milestones": null, "momentum": 0.9, "optimizer": "sgd", "schedule": "step", "seed": 0, '
    '"threads": 1, "warmup": 0.25, "weight_decay": 0.0005, "weights": null}',
    "planes": '{"alpha": [-1.0, 1.0, 51], "batchnorm": null, "beta": null, "directions": "random", "images": null, '
    '"normalize": "filter", "plane": null, "precision": "fp32", "recalibration_images": 1024, "run": null, "seed": 0, '
    '"tiles": null}',
    "directions": '{"batchnorm": null, "directions": "random", "line": false, "normalize": "filter", "plane": null, '
    '"run": null, "seed": 0}',
    "contours": '{"about": null, "columns": null, "group": null, "levels": "log", "title": null, "variable": "train_loss"}',
    "surfaces": '{"about": null, "group": null, "title": null, "variable": "train_loss"}',
    "lines": '{"about": null, "columns": null, "group": null, "title": null}',
    "training": '{"about": null, "group": null, "title": null}',
}
"""All defaults as they were when STAGES below was right. To change one: change it here, and raise the stages it alters."""

STAGES = {"dataset": 1, "train": 2, "adopt": 2, "directions": 1, "surface": 2, "figure": 1, "summary": 1}


def test_a_changed_default_raises_the_version_of_its_stage() -> None:
    models: dict[str, type[schema.Section]] = {
        "dataset": schema.Data,
        "runs": schema.Run,
        "planes": schema.Plane,
        "directions": schema.Directions,
        "contours": schema.Contours,
        "surfaces": schema.Surfaces,
        "lines": schema.Lines,
        "training": schema.Training,
    }
    found = {
        name: json.dumps({k: f.default for k, f in model.model_fields.items() if not f.is_required()}, sort_keys=True)
        for name, model in models.items()
    }
    assert found == DEFAULTS
    assert specs.STAGES == STAGES
    assert schema.LEARNING_RATES == {"sgd": 0.1, "adam": 0.001}


def test_a_changed_default_of_a_network_raises_the_version_of_training() -> None:
    """A stated argument that equals the default is left out of a specification, as an unstated one is."""
    defaults = {}
    for name in code.BUILTIN:
        parameters = code.parameters(name)
        assert parameters is not None
        defaults[name] = {key: value for key, value in parameters.defaults.items() if key not in code.SUPPLIED}
    assert defaults == {
        "densenet121": {},
        "resnet": {"shortcut": True, "width": 16, "linear_std": 1e-3},
        "vgg": {},
        "vgg9": {},
    }
