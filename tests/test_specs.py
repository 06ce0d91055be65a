"""A changed default changes results while no specification shows it, so it must raise the version of its stage."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from landscape.experiment import default_record

TEXT = (Path(__file__).parent / "defaults.json").read_text()
RECORD: dict[str, Any] = json.loads(TEXT)


def record(**changed: dict[str, Any]) -> dict[str, Any]:
    """The record with other values of some keys, or without them where the value is "absent"."""
    before = copy.deepcopy(RECORD)
    for entry, keys in changed.items():
        before[entry] |= keys
        before[entry] = {key: value for key, value in before[entry].items() if value != "absent"}
    return before


def test_the_record_holds_every_default_and_every_stage() -> None:
    assert default_record.written(TEXT) == TEXT, "run make generated"


@pytest.mark.parametrize(
    ("entry", "key", "before", "stage"),
    [
        ("runs", "momentum", 0.8, "train"),
        ("runs", "parts", True, "train"),
        ("learning_rate", "adam", 0.01, "train"),
        ("networks: resnet", "width", 16.0, "adopt"),
        ("data", "seed", 1, "dataset"),
        ("planes: loss", "alpha", [-1.0, 1.0, 50], "surface"),
        ("directions", "normalize", "layer", "directions"),
        ("probes: trace", "draws", 16, "probe"),
        ("figures: rings", "rises", [0.1], "figure"),
        ("published", "verified", False, "table"),
        ("claims", "most", 0.8, "claims"),
    ],
)
def test_a_changed_default_raises_the_version_of_a_stage(entry: str, key: str, before: Any, stage: str) -> None:
    assert key in RECORD[entry]
    with pytest.raises(ValueError, match=f"{entry}: the default of {key} was .*raise the version .*{stage}"):
        default_record.renewed(record(**{entry: {key: before}}))
    older = record(**{entry: {key: before}, "stages": {stage: RECORD["stages"][stage] - 1}})
    assert default_record.renewed(older) == RECORD
    other = next(name for name in ("figure", "probe") if name != stage)
    with pytest.raises(ValueError, match="raise the version"):
        default_record.renewed(record(**{entry: {key: before}, "stages": {other: RECORD["stages"][other] - 1}}))


def test_new_kinds_and_new_keys_join_the_record() -> None:
    fewer = record(runs={"swa": "absent"}, **{"planes: gradients": {"parameters": "absent"}})
    del fewer["figures: saddle"], fewer["networks: mlp"]
    assert default_record.renewed(fewer) == RECORD
