"""The order of networks by their surfaces and by their test errors, as the summary has it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from landscape.analysis.summary import orders

from members import Loss, history, member

IMAGES = 10_000


def bowl_of(steep: float) -> Loss:
    return lambda a, b: 0.002 + steep * (a**2 + b**2)


def experiment(
    errors: Sequence[float], steepness: Sequence[float], recipes: Sequence[dict[str, Any]], losses: Sequence[float]
) -> tuple[list[xr.Dataset], list[xr.Dataset]]:
    """Runs with these test errors, each on a bowl of this steepness."""
    histories, surfaces = [], []
    for k, (error, steep, recipe, loss) in enumerate(zip(errors, steepness, recipes, losses, strict=True)):
        of = history(f"run{k}", final=(loss, 1.0), **recipe)
        of["test_accuracy"][-1] = 1 - error
        of.attrs |= {"test_examples": IMAGES, "classes": 10}
        histories.append(of)
        surfaces.append(member(f"run{k}", bowl_of(steep)).seen)
    return histories, surfaces


RECIPES = [{"batch_size": size, "weight_decay": decay} for size in (16, 512) for decay in (0.0, 0.1)]


def test_flatter_networks_are_counted_by_factor() -> None:
    rows = orders.orders(*experiment([0.05, 0.08, 0.2, 0.1], [2, 3, 5, 4], RECIPES, 4 * [0.002])).set_index("number")
    row = rows.loc["width_rise_0.5"]
    assert (row["networks"], row["agree"], row["pairs"], row["beware"]) == (4, 6, 6, "")
    assert row["of one factor"] == "2 of 2 (weight_decay), 2 of 2 (batch_size)"
    assert np.isnan(row["tau"])  # of four networks there is none
    shown = orders.page(rows.reset_index()).shown.iloc[0]
    assert shown["order agrees in"] == "6 of 6 pairs" and shown["tau"] == ""


def test_seeds_are_one_network_and_far_train_losses_are_told() -> None:
    recipes = [{"seed": seed, "batch_size": size} for size in (16, 512) for seed in (0, 1)]
    rows = orders.orders(*experiment([0.05, 0.07, 0.11, 0.09], [2, 2.2, 3, 3], recipes, [0.002, 0.002, 0.5, 0.5]))
    first = rows.iloc[0]
    assert first["networks"] == 2 and first["left out"] == "1 pair (train losses more than 10 times apart)"
    assert first["beware"].startswith("not tested: no two networks can be compared")
    alike = orders.orders(*experiment([0.05, 0.07, 0.11, 0.09], [2, 2.2, 3, 3], recipes, 4 * [0.002])).iloc[0]
    assert (alike["networks"], alike["agree"], alike["pairs"]) == (2, 1, 1)
    assert alike["of one factor"] == "1 of 1 (batch_size)" and not alike["left out"]


def test_what_is_not_tested() -> None:
    histories, surfaces = experiment([0.05, 0.08], [2, 3], RECIPES[:2], 2 * [0.002])
    assert (
        orders.orders(histories, []).empty
        and orders.orders([h.drop_vars("test_accuracy") for h in histories], surfaces).empty
    )
    for of in histories:
        of.attrs["test_examples"] = 297
    rows = orders.orders(histories, surfaces)
    assert rows["beware"][0] == "not tested: 297 test examples are too few to order networks by"
    assert orders.page(rows).shown["order agrees in"].tolist() == 3 * [""]


def test_what_reaches_the_border_is_a_bound() -> None:
    """At a rise of 0.5 the first two bowls are wider than the plane: wider than the others, in no order of their own."""
    found = experiment([0.05, 0.06, 0.08, 0.2], [0.3, 0.4, 3, 5], RECIPES, 4 * [0.002])
    row = orders.orders(*found).set_index("number").loc["width_rise_0.5"]
    assert (row["networks"], row["agree"], row["pairs"]) == (4, 5, 5)
    assert row["left out"] == "1 pair (cut by the border or the grid's resolution)"


def test_how_a_tau_and_its_interval_are_shown() -> None:
    row = {"number": "convex_share", "networks": 12, "agree": 40, "pairs": 50, "tau": 0.6, "low": 0.21, "high": 0.9}
    shown = orders.page(
        pd.DataFrame([row | {"p": 0.0123, "of one factor": "", "left out": "", "beware": ""}])
    ).shown.iloc[0]
    assert (shown["tau"], shown["p"], shown["order agrees in"]) == ("0.6 (0.21 to 0.90)", "0.012", "40 of 50 pairs")
