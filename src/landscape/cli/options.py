"""Options that several verbs have."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

Spec = Annotated[str, Parameter(help="JSON, or CONFIG.yaml#SECTION.NAME")]
Name = Annotated[str, Parameter(help="what the configuration calls it")]
Weights = Annotated[str, Parameter(help="a weights file, or FILE@EPOCH of an epochs file")]
Data = Annotated[Path, Parameter(help="a data set made by `landscape dataset`")]
DirectionsFile = Annotated[Path, Parameter(name="--directions", help="made by `landscape directions`")]
Output = Annotated[Path, Parameter(help="the file to write")]
OutputsOfRun = Annotated[tuple[Path, Path, Path], Parameter(name="--output", help="weights, history and epochs")]
Results = Annotated[
    list[Path], Parameter(name="--input", consume_multiple=True, negative=(), help="results, in any order")
]
Paths = Annotated[list[str], Parameter(consume_multiple=True, negative=())]
Config = Annotated[str, Parameter(help="a configuration, a YAML file")]
AsJson = Annotated[bool, Parameter(name="--json", negative=(), help="print everything as JSON")]
