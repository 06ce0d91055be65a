"""The table of orders: does the flatter network have the smaller test error?"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from landscape.analysis import table_writers
from landscape.analysis.summary.run_table import HEADINGS
from landscape.geometry import comparisons
from landscape.training.seed_groups import JudgedRun, compare, networks

_COLUMNS = ("number", "networks", "agree", "pairs", "tau", "low", "high", "p", "of one factor", "left out", "beware")


def orders(histories: Sequence[xr.Dataset], surfaces: Sequence[xr.Dataset]) -> pd.DataFrame:
    """Tabulate numbers: a row with the pairs of networks in which the flatter one has the smaller test error.

    Runs that differ in their seed alone are one network. `tau` is Kendall's, `low` to `high` its 95 % interval, `of one
    factor` the pairs that differ in one factor alone, `left out` the pairs that cannot be compared, `beware` why there is
    no comparison.
    """
    by_run = {surface.attrs["run"]: surface for surface in surfaces}
    seen = [JudgedRun(each, {"": by_run[each.attrs["name"]]}) for each in histories if each.attrs["name"] in by_run]
    of = networks([run for run in seen if run.errors])
    if not of:
        return pd.DataFrame(columns=_COLUMNS)
    return pd.DataFrame([_row(number, compare(of, number, [""])) for number in HEADINGS], columns=_COLUMNS)


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
            "left out": rows["left out"],
            "beware": rows["beware"],
        }
    )
    return table_writers.TablePage("Flatness and test error", rows, shown, _NOTE)


def _row(number: str, found: comparisons.Comparison) -> dict[str, object]:
    row: dict[str, object] = {"number": number, "networks": found.networks, "left out": found.reasons}
    if found.untested:
        return {**row, "agree": 0, "pairs": 0, "of one factor": "", "beware": f"not tested: {found.untested}"}
    low, high = found.interval or (np.nan, np.nan)
    told = {"agree": found.agree, "pairs": found.decided, "tau": found.tau, "low": low, "high": high, "p": found.p}
    return {**row, **told, "of one factor": found.alone, "beware": ""}


def _interval(tau: float, low: float, high: float) -> str:
    return _number(tau) + ("" if np.isnan(low) else f" ({low:.2f} to {high:.2f})")


def _number(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.2g}"


_NOTE = (
    "Does the flatter network, with the larger number, have the smaller test error? The numbers are those of the first table; "
    "one that the border of the plane or the grid cuts is a bound, which is compared with the values on its far side alone. "
    "Runs that differ in their seed alone are one network, with their mean. Counted are the pairs whose test errors differ "
    "(McNemar's exact test on kept predictions, otherwise their 95 % intervals do not overlap) and whose numbers differ by "
    "two standard errors, where these are known. Of one factor: only pairs that differ in this factor and nothing else. Tau: "
    f"Kendall's tau-b over all pairs that are not left out, for {comparisons.FEW} networks or more, with the p of a "
    f"permutation test; its 95 % interval is by bootstrap over networks, for {comparisons.MANY} or more. Left out: pairs of "
    f"which one did not train, or whose train losses differ more than {comparisons.FAR:g}-fold."
)
