"""The table of orders: does the flatter network have the smaller test error?"""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from landscape import geometry
from landscape.analysis import table_writers
from landscape.analysis.claims.evidence import JudgedRun, compared, confounded, networks
from landscape.analysis.summary.run_table import HEADINGS, border_of
from landscape.geometry import comparisons
from landscape.training import run_factors

_COLUMNS = ("number", "networks", "agree", "pairs", "tau", "low", "high", "p", "of one factor", "beware")


def orders(histories: Sequence[xr.Dataset], surfaces: Sequence[xr.Dataset]) -> pd.DataFrame:
    """Tabulate numbers: a row with the pairs of networks in which the flatter one has the smaller test error.

    Runs that differ in their seed alone are one network. `tau` is Kendall's, `low` to `high` its 95 % interval, `of one
    factor` the pairs that differ in one factor alone, `beware` why there is no comparison or what confounds it.
    """
    by_run = {surface.attrs["run"]: surface for surface in surfaces}
    seen = [JudgedRun(each, {"": by_run[each.attrs["name"]]}) for each in histories if each.attrs["name"] in by_run]
    measured = [run for run in seen if run.errors]
    if not measured:
        return pd.DataFrame(columns=_COLUMNS)
    of, beware = networks(measured), confounded(*measured)
    rows = []
    for number in HEADINGS:

        def sharpness(run: JudgedRun, plane: str, number: str = number) -> float:
            """Negate the number; NaN if its part reaches the border, so that it depends on the size of the plane."""
            border = border_of(number)
            cut = border in geometry.NAMES and run.number(border, [plane]) == 1
            return math.nan if cut else -run.number(number, [plane])

        rows.append(_row(number, compared(of, [""], sharpness, lambda network: network.key), beware))
    return pd.DataFrame(rows, columns=_COLUMNS)


def page(rows: pd.DataFrame) -> table_writers.TablePage:
    """Put the table into words."""
    shown = pd.DataFrame(
        {
            "number": rows["number"].map(HEADINGS),
            "networks": rows["networks"],
            "order agrees in": [f"{row.agree} of {row.pairs} pairs" if row.pairs else "" for row in rows.itertuples()],
            "of one factor": rows["of one factor"],
            "tau": [_interval(row.tau, row.low, row.high) for row in rows.itertuples()],
            "p": [_number(p) for p in rows["p"]],
            "beware": rows["beware"],
        }
    )
    return table_writers.TablePage("Flatness and test error", rows, shown, _NOTE)


def _row(number: str, found: comparisons.Comparison, confounded: str) -> dict[str, object]:
    row: dict[str, object] = {"number": number, "networks": found.networks}
    if found.untested:
        return {**row, "agree": 0, "pairs": 0, "of one factor": "", "beware": f"not tested: {found.untested}"}
    low, high = found.interval or (np.nan, np.nan)
    return {
        **row,
        "agree": found.agree,
        "pairs": found.pairs,
        "tau": np.nan if found.kendall is None else found.kendall.tau,
        "low": low,
        "high": high,
        "p": np.nan if found.kendall is None else found.kendall.p,
        "of one factor": found.alone,
        "beware": f"confounded: {confounded}" if confounded else "",
    }


def _interval(tau: float, low: float, high: float) -> str:
    return _number(tau) + ("" if np.isnan(low) else f" ({low:.2f} to {high:.2f})")


def _number(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.2g}"


_NOTE = (
    "Does the flatter network, with the larger number, have the smaller test error? The numbers are those of the first table, "
    "without those that reach the border of the plane. Runs that differ in their seed alone are one network, with their mean. "
    "Pairs whose test errors' 95 % intervals overlap are not counted. Of one factor: only pairs that differ in this factor and "
    f"nothing else. Tau: Kendall's tau-b over all pairs, for {comparisons.FEW} networks or more, with the p of a permutation "
    f"test; its 95 % interval is by hierarchical bootstrap, for {comparisons.MANY} or more. Confounded: train losses differ "
    f"more than {run_factors.FAR:g}-fold, or a network did not train."
)
