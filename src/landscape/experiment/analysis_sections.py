"""Sections of tables, published numbers and claims."""

from typing import Annotated

from pydantic import Field

from landscape.config.fields import Ref
from landscape.config.section import Section
from landscape.config.values import Names


class Published(Section):
    """The test error that others report of a run, by the run's name."""

    test_error: float = Field(ge=0, le=100, description="in percent")
    source: str = Field("Li et al. 2018", description="where it stands")
    verified: bool = Field(True, description="false if the number was not read at its source")


class Table(Section):
    """Test errors of runs, the published ones beside (Li et al. 2018, Tables 1 and 2)."""

    runs: Annotated[tuple[str, ...], Ref("runs")] = Field(min_length=1, description="runs, in order")
    title: str | None = Field(None, description="a line above the table")


class Claims(Section):
    """Runs, planes and margins by which the claims are judged. A claim without the planes it needs is: not tested."""

    runs: Annotated[Names, Ref("runs")] | None = Field(
        None, description="runs seen on the planes, lines and paths; default all"
    )
    planes: Annotated[Names, Ref("planes")] | None = Field(
        None, description="random planes, of which every network's numbers are the mean"
    )
    lines: Annotated[Names, Ref("planes")] | None = Field(
        None, description="random lines of several normalisations, for claim 7"
    )
    interpolations: Annotated[Names, Ref("planes")] | None = Field(
        None, description="lines between a small-batch and a large-batch run, for claim 2"
    )
    paths: Annotated[Names, Ref("planes")] | None = Field(
        None, description="planes of trajectories, for claims 6 and 13"
    )
    curvature: Annotated[Names, Ref("planes", measures=("curvature",))] | None = Field(
        None, description="planes with measure: curvature, as far as figures show them, for claims 5 and 10"
    )
    gradients: Annotated[Names, Ref("planes", measures=("gradients", "curvature"))] | None = Field(
        None, description="planes with measure: gradients or curvature, as far as figures show them, for claim 12"
    )
    tolerance: float = Field(
        0.5, gt=0, description="percentage points by which a test error may differ from the published one"
    )
    margin: float = Field(
        0.05, ge=0, lt=1, description="relative difference that two numbers of an order must have beside their errors"
    )
    similar: float = Field(
        0.25, gt=0, description="relative difference up to which a number is said to hardly change, 0.25 for 25 %"
    )
    share: float = Field(
        0.4, gt=0, lt=1, description="share of a path's variation that two axes must hold to be called low-dimensional"
    )
    insignificant: float = Field(
        0.05,
        gt=0,
        description="|lambda_min| / lambda_max up to which negative curvature is insignificant, for claim 5; by default a "
        "tenth of the paper's colour scale",
    )
    most: float = Field(
        0.9, gt=0, le=1, description="share of the points of a region on which it must be insignificant, for claim 5"
    )
    large: float = Field(
        0.1, gt=0, description="|lambda_min| / lambda_max from which negative curvature is large, for claim 10"
    )
    away: float = Field(
        0.25,
        gt=0,
        le=1,
        description="share of a plane's points that is called large where the descent leads away, for claim 12",
    )
