"""A whole configuration: its sections, and the experiment they make.

A default in a section is part of what a file's specification leaves unsaid (`specs`), so a changed default needs a
raised stage version; `default_record` notices.
"""

from collections.abc import Mapping
from typing import Annotated, Any, get_args

from pydantic import Field

from landscape.config.fields import Ref
from landscape.config.section import Section, by_name
from landscape.config.values import Folder, Names
from landscape.data.data_section import Data
from landscape.experiment.analysis_sections import Claims, Published, Table
from landscape.figures.kinds import KINDS, Figure
from landscape.measures import MEASURES, AnyPlane
from landscape.probes import PROBES, AnyProbe
from landscape.training.run_section import Run


class Summary(Section):
    """The table over all runs."""

    plane: Annotated[str, Ref("planes")] | None = Field(
        None, description="the plane whose numbers stand beside each run"
    )
    runs: Annotated[Names, Ref("runs")] | None = Field(
        None, description="the runs beside which they stand; default all that can be seen there"
    )


class Experiment(Section):
    """A whole configuration, every sweep expanded and every reference resolved."""

    results: Folder = Field("results", description="the folder everything is written to")
    container: str | None = Field(None, description="image for `snakemake --sdm apptainer`")
    data: dict[str, Data]
    runs: dict[str, Run]
    planes: dict[str, AnyPlane] = {}
    probes: dict[str, AnyProbe] = {}
    figures: dict[str, Figure] = {}
    tables: dict[str, Table] = {}
    published: dict[str, Published] = Field({}, description="what others report of a run, by its name")
    summary: Summary = Summary(plane=None, runs=None)
    claims: Claims | None = Field(None, description="what is claimed in the paper, held against these runs")


SECTIONS: Mapping[str, Any] = {
    key: get_args(field.annotation)[1]
    for key, field in Experiment.model_fields.items()
    if key not in ("results", "container", "summary", "claims")
}
"""The type of an entry of each section that has entries by name."""

KINDS_OF: Mapping[str, tuple[str, Mapping[str, type[Section]]]] = {
    "planes": ("measure", by_name("measure", MEASURES)),
    "probes": ("measure", by_name("measure", PROBES)),
    "figures": ("draw", by_name("draw", KINDS)),
}
"""Sections whose entries are of several kinds: the key that tells them apart, and the kinds by what it says."""


def kinds_of(section: str) -> tuple[str, Mapping[str, type[Section]]]:
    """As `KINDS_OF`; for a section of one kind an empty key, and that kind under an empty name."""
    return KINDS_OF.get(section) or ("", {"": SECTIONS[section]})


SWEPT = ("runs", "planes")
"""The sections whose entries may have a `sweep`."""

SWEEP: Mapping[str, Any] = {
    "type": "object",
    "description": "lists of values by key; one entry for every combination, named by {key} in the entry's name",
    "additionalProperties": {"type": "array", "minItems": 1},
}


def json_schema() -> dict[str, Any]:
    """The JSON schema of a configuration, for editors; `sweep`, which is expanded before validation, included."""
    schema = Experiment.model_json_schema()
    for kind in ("Run", *(kind.__name__ for kind in MEASURES)):
        schema["$defs"][kind]["properties"]["sweep"] = SWEEP
    run = schema["$defs"]["Run"]
    run["anyOf"] = [{"allOf": [_stated_or_swept(key) for key in run.pop("required")]}, {"required": ["rescaled"]}]
    return schema


def _stated_or_swept(key: str) -> dict[str, Any]:
    swept = {"required": ["sweep"], "properties": {"sweep": {"required": [key]}}}
    return {"anyOf": [{"required": [key]}, swept]}
