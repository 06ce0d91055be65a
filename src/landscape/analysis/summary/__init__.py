"""The summary of an experiment: tables of its runs, the lines between them, their paths, and their order."""

from collections.abc import Sequence
from pathlib import Path

import xarray as xr

from landscape.analysis import table_writers
from landscape.analysis.summary import line_table, orders, path_table, run_table
from landscape.analysis.summary.line_table import between
from landscape.analysis.summary.path_table import trajectories
from landscape.analysis.summary.run_table import table

__all__ = ["between", "table", "trajectories", "write"]


def write(
    histories: Sequence[xr.Dataset],
    surfaces: Sequence[xr.Dataset],
    walked: Sequence[xr.Dataset],
    places: Sequence[Path],
) -> None:
    """Write the tables. An empty one is left out of all files but its CSV; the table of orders has no CSV.

    Args:
        histories: one per run, in the order of the rows.
        surfaces: surfaces of the summary's plane, and lines between runs.
        walked: trajectories.
        places: the CSV of the runs, Markdown, LaTeX, HTML, the CSV of the lines, the CSV of the paths.
    """
    ends = [surface for surface in surfaces if line_table.is_between(surface)]
    planes = [surface for surface in surfaces if not line_table.is_between(surface)]
    tables = [
        run_table.page(table(histories, planes)),
        line_table.page(between(ends)),
        path_table.page(trajectories(walked)),
        orders.page(orders.orders(histories, planes)),
    ]
    table_writers.write("Summary", tables, places)
