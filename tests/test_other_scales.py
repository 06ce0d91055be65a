"""Rises, persistences and levels of losses that are not in natural logarithms: multiples of the loss at the centre."""

import json
import math

import numpy as np
import pytest
import xarray as xr

from landscape import geometry
from landscape.analysis import summary
from landscape.figures.shared import widths

from known_surfaces import Loss, hills, line, surface

SQUARES = {"loss": "squared error", "score": "r2"}


def on(loss: Loss, scale: float, points: int = 61) -> xr.Dataset:
    found = surface(lambda a, b: scale * loss(a, b), (-1, 1, points), (-1, 1, points))
    return found.drop_attrs().assign_attrs(
        {key: value for key, value in found.attrs.items() if key != "classes"} | SQUARES
    )


def counted(seen: xr.Dataset, level: float) -> float:
    """The area of the part around the centre, by counting points of a fine grid, a neighbour at a time."""
    values = seen.train_loss.values
    start = tuple(size // 2 for size in values.shape)
    part, edge = {start}, [start]
    while edge:
        i, j = edge.pop()
        for k, m in ((i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1)):
            inside = 0 <= k < values.shape[0] and 0 <= m < values.shape[1]
            if inside and (k, m) not in part and values[k, m] <= level:
                part.add((k, m))
                edge.append((k, m))
    return len(part) * float(seen.alpha[1] - seen.alpha[0]) * float(seen.beta[1] - seen.beta[0])


LOSSES: dict[str, Loss] = {
    "bowl": lambda a, b: 1 + 3 * a**2 + 4 * b**2,
    "valley": lambda a, b: 1 + 9 * (a - b) ** 2 + 2 * (a + b) ** 2,
    "shifted": lambda a, b: 1 + 4 * ((a - 0.1) ** 2 + (b - 0.04) ** 2),
    "double well": lambda a, b: 1 + 8 * (a**2 - 0.16) ** 2 + 3 * b**2,
    "waves": lambda a, b: 2 - np.cos(9 * a) * np.cos(7 * b) + a**2 + b**2,
    "hills": lambda a, b: 1.5 + 0.3 * hills(3)(a, b) + 2 * (a**2 + b**2),
    "steep": lambda a, b: np.exp(2 * np.hypot(a, b)),
    "quartic": lambda a, b: 1 + 20 * (a**4 + b**4),
}


@pytest.mark.parametrize("scale", [1e-9, 3e-4, 1.0, 250.0, 1e8])
@pytest.mark.parametrize("name", LOSSES)
def test_numbers_are_the_same_whatever_the_loss_is_multiplied_by(name: str, scale: float) -> None:
    seen = on(LOSSES[name], scale)
    found, reasons = geometry.numbers(seen), geometry.reasons(seen)
    here = float(seen.train_loss[30, 30])
    for rise in (0.1, 0.5, 1.0):
        area = found[f"area_rise_{rise:g}"]
        if not math.isnan(area):
            fine = on(LOSSES[name], scale, 401) if name != "hills" else seen
            assert area == pytest.approx(counted(fine, (1 + rise) * here), rel=0.05 if name != "hills" else 0.2)
        same = geometry.shape(seen, (1 + rise) * here)
        assert found[f"width_rise_{rise:g}"] == pytest.approx(same["width"].value, rel=1e-9, nan_ok=True)
    assert found["minima"] == sum(inner_minima(seen, 0.1 * here))
    one = geometry.numbers(on(LOSSES[name], 1))
    scaled = {
        key: value * scale if key.startswith(("convex_height", "slice_rise", "total_persistence")) else value
        for key, value in one.items()
    }
    for key, value in scaled.items():  # an eccentricity of a circle is the root of rounding
        least = 1e-6 if key.startswith("eccentricity") else 0
        assert found[key] == pytest.approx(value, rel=1e-6, abs=least, nan_ok=True), key
    assert reasons["area_level_0.1"] == reasons["width_level_1"] == "the loss is not in natural logarithms"
    assert set(reasons) == {key for key, value in found.items() if math.isnan(value)}


@pytest.mark.parametrize("name", LOSSES)
def test_without_a_centre_there_is_no_unit_to_count_minima_in(name: str) -> None:
    seen = surface(LOSSES[name], (0.1, 1, 31), (-1, 1, 31))
    assert not math.isnan(geometry.numbers(seen)["minima"])
    reasons = geometry.reasons(seen.assign_attrs(SQUARES))
    assert reasons["minima"] == reasons["total_persistence"] == "no centre on the grid"


def inner_minima(seen: xr.Dataset, least: float) -> list[bool]:
    """For every lowest point of its neighbours inside the grid, if water around it rises by `least` before it runs over."""
    values = seen.train_loss.values
    found = []
    for i in range(1, values.shape[0] - 1):
        for j in range(1, values.shape[1] - 1):
            around = values[i - 1 : i + 2, j - 1 : j + 2]
            if values[i, j] <= around.min() and (values[i, j] == around).sum() == 1:
                found.append(stands(values, i, j, values[i, j] + least))
    return found


def stands(values: np.ndarray, i: int, j: int, level: float) -> bool:
    """Say if nothing lower can be reached below the level; the lowest of all stands if the grid has a higher point."""
    part, edge = {(i, j)}, [(i, j)]
    while edge:
        k, m = edge.pop()
        for u in range(max(0, k - 1), min(values.shape[0], k + 2)):
            for v in range(max(0, m - 1), min(values.shape[1], m + 2)):
                if (u, v) not in part and values[u, v] < level:
                    part.add((u, v))
                    edge.append((u, v))
    return min(values[at] for at in part) == values[i, j] and values.max() >= level


@pytest.mark.parametrize("centre", [0.0, -1.0, -1e-30])
def test_without_a_loss_above_0_there_is_no_unit_and_the_reason_says_so(centre: float) -> None:
    seen = on(lambda a, b: centre + a**2 + b**2, 1)
    found, reasons = geometry.numbers(seen), geometry.reasons(seen)
    for name in ("width_rise_0.1", "area_rise_1", "minima", "convex_height", "touches_border_convex_height"):
        assert math.isnan(found[name]) and "is not above 0" in reasons[name], name
    assert found["slice_rise_mean_0.5"] == pytest.approx(0.25, rel=0.02), "a rise in the loss's own unit"
    seen.train_loss[30, 30] = np.nan
    assert geometry.reasons(seen)["width_rise_0.1"] == "centre not finite"


def test_a_loss_in_natural_logarithms_keeps_its_absolute_rises() -> None:
    seen = on(LOSSES["bowl"], 2).assign_attrs(loss="next-token cross-entropy", loss_unit="natural logarithm")
    found = geometry.numbers(seen)
    assert found["area_rise_0.5"] == pytest.approx(geometry.shape(seen, 2.5)["area"].value)
    assert geometry.named("area_rise_0.5", seen) == "area within 0.5 of the centre"
    squares = on(LOSSES["bowl"], 2)
    assert geometry.named("area_rise_0.5", squares) == "area below 1.5 times the loss at the centre"
    assert geometry.named("width_rise_1", squares) == "width below 2 times the loss at the centre"
    assert geometry.named("touches_border_rise_0.1", squares) == "touches border below 1.1 times the loss at the centre"
    assert geometry.named("area_level_1", squares) == geometry.NAMES["area_level_1"]


def between(scale: float, scores: dict[str, np.ndarray], **attrs: str) -> xr.Dataset:
    """A line between two runs whose loss is known: wells of 1 + 50 a^2 and 2 + 8 (a - 1)^2, scaled."""
    seen = line(lambda a: scale * np.minimum(1 + 50 * a**2, 2 + 8 * (a - 1) ** 2), (-0.5, 1.5, 401))
    columns = {name: (("alpha", "beta"), values[:, None]) for name, values in scores.items()}
    given = {key: value for key, value in seen.attrs.items() if key != "classes"}
    return seen.assign(columns).drop_attrs().assign_attrs(given | SQUARES | {"run": "a", "state": "a"} | attrs)


@pytest.mark.parametrize("scale", [1e-7, 0.02, 1.0, 40.0, 1e6])
def test_wells_and_barriers_of_any_scale(scale: float) -> None:
    row = summary.between([between(scale, {})]).iloc[0]
    assert row["w at 0"] == pytest.approx(2 * math.sqrt(0.5 / 50), abs=2e-3)
    assert row["w at 1"] == pytest.approx(2 * math.sqrt(1 / 8), abs=2e-3)
    a = np.linspace(0, 1, 201)
    losses = np.minimum(1 + 50 * a**2, 2 + 8 * (a - 1) ** 2)
    assert row["barrier (train loss)"] == pytest.approx(scale * max(losses - (1 - a) - 2 * a), rel=1e-3)
    assert row["loss"] == "mean squared error" and row["undefined"] == ""
    left = geometry.well(between(scale, {}), 0)
    assert left.level == pytest.approx(1.5 * scale)


X = np.linspace(-0.5, 1.5, 401)
SCORES = {
    "accuracy": (0.9 - 0.4 * np.sin(np.pi * X), "barrier ({} error, %)", 40.0),
    "r2": (0.8 - 1.5 * np.sin(np.pi * X), "barrier ({} R2)", 1.5),
    "perplexity": (3 + 7 * np.sin(np.pi * X), "barrier ({} perplexity)", 7.0),
    "dice": (0.7 - 0.3 * np.sin(np.pi * X), "deviation ({} dice)", -0.3),
    "bleu_4": (20 + 5 * np.sin(np.pi * X) - X, "deviation ({} bleu_4)", 5.0),
    "loss_of_pixels": (1 + X, "deviation ({} loss_of_pixels)", 0.0),
}


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("score", SCORES)
def test_barriers_of_any_score(score: str, split: str) -> None:
    values, heading, expected = SCORES[score]
    table = summary.between([between(1, {f"{split}_{score}": values}, score=score)])
    assert table.iloc[0][heading.format(split)] == pytest.approx(expected, abs=1e-3 if score != "accuracy" else 0.05)
    assert [name for name in table if str(name).startswith(("barrier", "deviation"))] == [
        "barrier (train loss)",
        "barrier (test loss)",
        heading.format(split),
    ]
    values = np.where(abs(X - 0.5) < 0.01, np.nan, values)
    broken = summary.between([between(1, {f"{split}_{score}": values}, score=score)]).iloc[0]
    assert "points between the runs not finite" in broken["undefined"] and np.isnan(broken[heading.format(split)])


def test_lines_of_several_losses_and_scores_stand_in_one_table() -> None:
    one = between(1, {"train_r2": SCORES["r2"][0]})
    other = line(lambda a: a**2, (-0.5, 1.5, 41)).assign_attrs(run="b", state="b", classes=10)
    other["train_accuracy"] = 1 - other.train_loss / 4
    rows = summary.between([one, other])
    assert rows["barrier (train R2)"].isna().tolist() == [False, True]
    assert rows["barrier (train error, %)"].isna().tolist() == [True, False]
    assert rows["loss"].tolist()[0] == "mean squared error"
    assert list(summary.between([])) == [
        "from", "to", "plane", "batch norm", "barrier (train loss)", "barrier (test loss)", "w at 0", "w at 1", "undefined",
    ]  # fmt: skip


def test_captions_say_where_the_width_is() -> None:
    squares = between(1, {})
    nats = squares.assign_attrs(loss="cross-entropy", loss_unit="natural logarithm")
    assert widths.below([nats]) == "is less than 0.5 above that at the centre"
    assert widths.below([squares]) == "is below 1.5 times that at the centre"
    assert "(if not in natural logarithms, is below 1.5 times" in widths.below([squares, nats])
    assert json.loads(squares.attrs["spec"])["directions"] == "to"
