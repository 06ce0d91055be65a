"""A whole configuration: its sections, and the experiment they make.

A default in a section is part of what a file's specification leaves unsaid (`specs`), so a changed default needs a
raised stage version; `tests/test_specs.py` holds the table that notices.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from landscape.config.section import MAX_EPOCHS, NAME, Section
from landscape.config.values import Folder, Names
from landscape.data.data_section import Data
from landscape.experiment.analysis_sections import Claims, Published, Table
from landscape.figures.kind import FigureKind
from landscape.figures.kinds import DRAWN, Figure
from landscape.figures.kinds.bundles import Bundles
from landscape.figures.kinds.contours import Contours
from landscape.figures.kinds.curvature import Curvature
from landscape.figures.kinds.gradients import Gradients
from landscape.figures.kinds.interpolation import Interpolation, InterpolationRow
from landscape.figures.kinds.layers import Layers
from landscape.figures.kinds.lines import Lines
from landscape.figures.kinds.overlay import Overlay
from landscape.figures.kinds.profiles import Profiles
from landscape.figures.kinds.rings import Rings
from landscape.figures.kinds.saddle import Saddle
from landscape.figures.kinds.sharpening import Sharpening
from landscape.figures.kinds.sharpness import Sharpness
from landscape.figures.kinds.spectra import Spectra
from landscape.figures.kinds.surfaces import Surfaces
from landscape.figures.kinds.training import Training
from landscape.figures.kinds.trajectories import Trajectories
from landscape.measures.plane_section import Directions, Plane, Statistics
from landscape.probes.probe_section import Probe
from landscape.training.run_section import LEARNING_RATES, RULES, Run

__all__ = [
    "DRAWN",
    "LEARNING_RATES",
    "MAX_EPOCHS",
    "NAME",
    "RULES",
    "SECTIONS",
    "Bundles",
    "Claims",
    "Contours",
    "Curvature",
    "Data",
    "Directions",
    "FigureKind",
    "Experiment",
    "Figure",
    "Gradients",
    "Interpolation",
    "InterpolationRow",
    "Layers",
    "Lines",
    "Overlay",
    "Plane",
    "Probe",
    "Profiles",
    "Published",
    "Rings",
    "Run",
    "Saddle",
    "Section",
    "Sharpening",
    "Sharpness",
    "Spectra",
    "Statistics",
    "Summary",
    "Surfaces",
    "Table",
    "Training",
    "Trajectories",
    "json_schema",
]


class Summary(Section):
    """The table over all runs."""

    plane: str | None = Field(None, description="the plane whose numbers stand beside each run")
    runs: Names | None = Field(None, description="the runs beside which they stand; default all that can be seen there")


class Experiment(Section):
    """A whole configuration, every sweep expanded and every reference resolved."""

    results: Folder = Field("results", description="the folder everything is written to")
    container: str | None = Field(None, description="image for `snakemake --sdm apptainer`")
    data: dict[str, Data]
    runs: dict[str, Run]
    planes: dict[str, Plane] = {}
    probes: dict[str, Probe] = {}
    figures: dict[str, Figure] = {}
    tables: dict[str, Table] = {}
    published: dict[str, Published] = Field({}, description="what others report of a run, by its name")
    summary: Summary = Summary(plane=None, runs=None)
    claims: Claims | None = Field(None, description="what is claimed in the paper, held against these runs")


SECTIONS: Mapping[str, Any] = {
    "data": Data,
    "runs": Run,
    "planes": Plane,
    "probes": Probe,
    "figures": Figure,
    "tables": Table,
    "published": Published,
}


def json_schema() -> dict[str, Any]:
    """The JSON schema of a configuration, for editors; `sweep`, which is expanded before validation, included."""
    schema = Experiment.model_json_schema()
    for section in ("Run", "Plane"):
        schema["$defs"][section]["properties"]["sweep"] = {
            "type": "object",
            "description": "lists of values by key; one entry for every combination, named by {key} in the entry's name",
            "additionalProperties": {"type": "array", "minItems": 1},
        }
    run = schema["$defs"]["Run"]
    run["anyOf"] = [{"required": run.pop("required")}, {"required": ["rescaled"]}]
    return schema
