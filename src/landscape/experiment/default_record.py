"""The record of all defaults, `tests/defaults.json`, and the rule that it keeps.

A default stands in no specification, so no job is made again when it changes: whoever changes one raises the version of a
stage. A new kind, key or network joins the record by itself, since no result was made with it yet.
"""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from landscape.artefacts import STAGES
from landscape.experiment.key_reference import sections
from landscape.measures.plane import DirectionKeys
from landscape.networks import code
from landscape.training.run_section import LEARNING_RATES

Record = Mapping[str, Mapping[str, Any]]


def written(before: str) -> str:
    """Write the record anew.

    Args:
        before: its text so far.

    Raises:
        ValueError: if a default is another than recorded, and no stage of its section has a higher version than recorded.
    """
    return json.dumps(renewed(json.loads(before)), indent=1, sort_keys=True) + "\n"


def renewed(before: Record) -> Record:
    """Make the record of what there is now, as `written`."""
    record: Record = {"stages": {name: stage.version for name, stage in STAGES.items()}, **_defaults()}
    for entry in record.keys() - {"stages"}:
        section = entry.partition(":")[0]
        stages = [name for name, stage in STAGES.items() if stage.section in _ALTERS.get(section, (section,))]
        if any(record["stages"][name] > before["stages"].get(name, 0) for name in stages):
            continue
        for key, default in record[entry].items():
            was = before.get(entry, {}).get(key, default)
            if json.dumps(was, sort_keys=True) != json.dumps(default, sort_keys=True):  # 1 is not true, and 1.0 not 1
                raise ValueError(
                    f"{entry}: the default of {key} was {was!r} and is {default!r}; raise the version of the stages whose "
                    f"results it alters, one of {', '.join(stages)} at least, in artefacts.STAGES"
                )
    return record


_ALTERS = {
    "published": ("tables", "claims"),
    "directions": ("planes",),
    "networks": ("runs",),
    "learning_rate": ("runs",),
}
"""The sections whose stages depend on the defaults of what is no section with a stage of its own."""


def _plain(default: Any) -> Any:
    return default.model_dump(mode="json") if isinstance(default, BaseModel) else default


def _defaults() -> dict[str, dict[str, Any]]:
    kinds: dict[str, type[BaseModel]] = {
        f"{section}: {name}" if name else section: kind
        for section, named in sections().items()
        for name, kind in named.items()
    }
    kinds["directions"] = DirectionKeys
    found = {
        entry: {key: _plain(field.default) for key, field in kind.model_fields.items() if not field.is_required()}
        for entry, kind in kinds.items()
    }
    for name in code.BUILTIN:
        parameters = code.parameters(name)
        stated = parameters.defaults if parameters else {}
        found[f"networks: {name}"] = {key: value for key, value in stated.items() if key not in code.SUPPLIED}
    found["learning_rate"] = dict(LEARNING_RATES)
    plain: dict[str, dict[str, Any]] = json.loads(json.dumps(found, default=to_jsonable_python))
    return plain
