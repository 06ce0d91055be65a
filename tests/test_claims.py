"""What is claimed is judged on synthetic runs whose answer is known."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from landscape.analysis import claims
from landscape.analysis.claims.evidence import JudgedRun, networks, pairs
from landscape.experiment import reading
from landscape.experiment.analysis_sections import Claims, Published

RECIPE: dict[str, Any] = {
    "network": "resnet",
    "args": {"depth": 20},
    "data": "cifar10",
    "seed": 0,
    "epochs": 300,
    "batch_size": 128,
    "optimizer": "sgd",
    "weight_decay": 0.0005,
}


def history(
    name: str,
    error: float = 0.1,
    train_loss: float = 0.001,
    test_examples: int = 10_000,
    norms: tuple[float, float] = (10, 12),
    start: float = 2.4,
    **spec: Any,
) -> xr.Dataset:
    columns = {
        "train_loss": [start, train_loss],
        "test_accuracy": [0.1, 1 - error],
        "weight_norm": list(norms),
    }
    attrs = {
        "name": name,
        "spec": json.dumps(RECIPE | spec),
        "test_examples": test_examples,
        "train_examples": 50_000,
        "classes": 10,
    }
    return xr.Dataset({key: ("epoch", values) for key, values in columns.items()}, {"epoch": [0, 300]}, attrs)


def bowl(run: str, steepness: float, plane: str = "contour", **spec: Any) -> xr.Dataset:
    """L = 0.001 + steepness (a^2 + b^2): at a rise of 0.5 it is 2 sqrt(0.5 / steepness) wide, and convex everywhere."""
    a = np.linspace(-1, 1, 41)
    loss = 0.001 + steepness * (a[:, None] ** 2 + a**2)
    return surface(run, plane, loss, **spec)


def rippled(run: str, plane: str = "contour") -> xr.Dataset:
    """The same with a ripple, so that only part of it is convex."""
    a = np.linspace(-1, 1, 41)
    loss = 0.001 + 4 * (a[:, None] ** 2 + a**2) + 0.15 * (2 - np.cos(12 * a[:, None]) - np.cos(12 * a))
    return surface(run, plane, loss)


def wedge(run: str, plane: str = "contour") -> xr.Dataset:
    """Round up to a loss of 1, and a star with four arms above."""
    a = np.linspace(-1, 1, 41)
    r2, angle = a[:, None] ** 2 + a**2, np.arctan2(a, a[:, None])
    return surface(run, plane, 0.001 + 4 * r2 * np.where(r2 > 0.25, 1.8 + np.cos(4 * angle), 1.0))


def surface(run: str, plane: str, loss: np.ndarray, **spec: Any) -> xr.Dataset:
    stated = {"directions": "random", "normalize": "filter", **spec}
    attrs = {"run": run, "state": run, "plane": plane, "classes": 10, "spec": json.dumps(stated)}
    return xr.Dataset(
        {
            "train_loss": (("alpha", "beta"), loss),
            "train_loss_paired_standard_error": (("alpha", "beta"), np.full(loss.shape, 1e-4)),
        },
        {"alpha": np.linspace(-1, 1, loss.shape[0]), "beta": np.linspace(-1, 1, loss.shape[1])},
        attrs,
    )


def line(run: str, other: str, loss: np.ndarray) -> xr.Dataset:
    attrs = {"run": run, "state": run, "plane": f"to-{other}", "classes": 10}
    attrs["spec"] = json.dumps({"directions": "to", "run": other, "batchnorm": "interpolated"})
    x = np.linspace(-0.5, 1.5, loss.size)
    return xr.Dataset({"train_loss": (("alpha", "beta"), loss[:, None])}, {"alpha": x, "beta": [0.0]}, attrs)


def trajectory(
    run: str, directions: str, share: tuple[float, float], walk: tuple[float, float] = (0.6, 0.15), epochs: int = 30
) -> xr.Dataset:
    attrs = {"run": run, "plane": directions, "spec": json.dumps({"directions": directions})}
    columns = {"share": share, "random_walk_share": walk, "expected_share": (1e-5, 1e-5)}
    coords = {"axis": ["alpha", "beta"], "epoch": np.arange(epochs)}
    return xr.Dataset({k: ("axis", list(v)) for k, v in columns.items()}, coords, attrs)


def judged(number: str, *histories: xr.Dataset, **found: Any) -> claims.Judgement:
    """The judgement on the claim of that number."""
    spec = Claims.model_validate({"planes": "contour", **found.pop("spec", {})})
    all_found = claims.judge(
        spec, found.get("published", {}), histories, found.get("surfaces", []), found.get("trajectories", [])
    )
    (one,) = (each for each in all_found if each.claim.partition(".")[0] == number)
    return one


def test_networks_are_runs_that_differ_in_their_seed() -> None:
    runs = [JudgedRun(history(f"{d}-{s}", args={"depth": d}, seed=s)) for d in (20, 56) for s in (0, 1)]
    found = networks(runs)
    assert [[run.name for run in network.runs] for network in found] == [["20-0", "20-1"], ["56-0", "56-1"]]
    ((shallow, deep),) = pairs(found, "args.depth")
    assert (shallow.factors["args.depth"], deep.factors["args.depth"]) == (20, 56)
    assert list(pairs(found, "args.shortcut")) == []


def test_a_name_with_arguments_in_it_is_the_network_with_these() -> None:
    plain = JudgedRun(history("a", args={"depth": 56, "shortcut": False}))
    named = JudgedRun(history("b", network="resnet56-noshort", args={}))
    assert plain.factors == named.factors
    assert len(networks([plain, named])) == 1


def test_the_order_of_sharpness_and_error() -> None:
    made = [(f"n{k}", 4.0 + 2 * k, 0.05 + 0.02 * k) for k in range(6)]
    histories = [history(name, error, batch_size=64 + k) for k, (name, _, error) in enumerate(made)]
    surfaces = [bowl(name, steepness) for name, steepness, _ in made]
    found = judged("1", *histories, surfaces=surfaces)
    assert found.verdict == "reproduced" and "tau 1.00" in found.because and "15 of 15 pairs" in found.because
    backwards = [bowl(name, steepness) for (name, _, _), (_, steepness, _) in zip(made, reversed(made), strict=True)]
    assert judged("1", *histories, surfaces=backwards).verdict == "not reproduced"
    few = judged("1", *histories[:3], surfaces=surfaces)
    assert few.verdict == "reproduced" and few.because.startswith(
        "order agrees in 3 of 3 pairs; if they differ in one factor alone, in"
    )
    assert judged("1", *histories[:1], surfaces=surfaces).verdict == "not tested"


def test_an_order_of_errors_on_few_images_is_not_tested() -> None:
    histories = [
        history(name, error, test_examples=297, batch_size=n) for name, error, n in (("a", 0.1, 1), ("b", 0.3, 2))
    ]
    found = judged("1", *histories, surfaces=[bowl("a", 2), bowl("b", 8)])
    assert found.verdict == "not tested" and found.because.startswith("297 test examples")


def test_networks_with_other_train_losses_are_confounded() -> None:
    histories = [history("short"), history("without", train_loss=0.02, args={"depth": 20, "shortcut": False})]
    surfaces = [bowl("short", 4), bowl("without", 4.1)]
    found = judged("9", *histories, surfaces=surfaces)
    assert found.verdict == "confounded" and "train losses from 0.001 to 0.02" in found.because
    histories[1] = history("without", train_loss=1.9, args={"depth": 20, "shortcut": False})
    assert "without did not train" in judged("9", *histories, surfaces=surfaces).because


def test_shortcuts_at_depth_20() -> None:
    histories = [history("short"), history("without", args={"depth": 20, "shortcut": False})]
    alike = judged("9", *histories, surfaces=[bowl("short", 4), bowl("without", 4.5)])
    assert alike.verdict == "reproduced"  # widths differ by 6 %
    other = judged("9", *histories, surfaces=[bowl("short", 4), bowl("without", 8)])
    assert other.verdict == "not reproduced"  # by 41 %
    assert (
        judged("9", *histories, surfaces=[bowl("short", 4), bowl("without", 8)], spec={"similar": 0.5}).verdict
        == "reproduced"
    )


def test_depth_without_shortcuts_and_with() -> None:
    without = [history(f"w{d}", args={"depth": d, "shortcut": False}) for d in (20, 56)]
    assert judged("3a", *without, surfaces=[bowl("w20", 4), rippled("w56")]).verdict == "reproduced"
    assert judged("3a", *without, surfaces=[rippled("w20"), bowl("w56", 4)]).verdict == "not reproduced"
    short = [history(f"s{d}", args={"depth": d}) for d in (20, 56)]
    assert judged("3b", *short, surfaces=[bowl("s20", 1), bowl("s56", 1.2)]).verdict == "reproduced"
    assert judged("3a", *short, surfaces=[bowl("s20", 1), bowl("s56", 1.2)]).verdict == "not tested"


def test_wider_networks() -> None:
    histories = [history(f"w{w}", args={"depth": 20, "width": w}) for w in (16, 32)]
    assert judged("4", *histories, surfaces=[bowl("w16", 8), bowl("w32", 4)]).verdict == "reproduced"
    assert judged("4", *histories, surfaces=[bowl("w16", 4), bowl("w32", 8)]).verdict == "not reproduced"


def test_numbers_are_means_over_directions_and_then_seeds() -> None:
    runs = [
        JudgedRun(history("a", seed=0), {"p": bowl("a", 2, "p"), "q": bowl("a", 8, "q")}),
        JudgedRun(history("b", seed=1), {"p": bowl("b", 12, "p")}),
    ]
    (network,) = networks(runs)
    widths = [2 * math.sqrt(0.5 / steepness) for steepness in (2, 8, 12)]
    expected = ((widths[0] + widths[1]) / 2 + widths[2]) / 2
    assert network.number("width_rise_0.5", ["p", "q"]) == pytest.approx(expected, rel=0.02)


def test_the_flip_of_the_small_and_the_large_batch() -> None:
    x = np.linspace(-0.5, 1.5, 401)
    sharp_first = np.minimum(40 * x**2, 5 * (x - 1) ** 2)
    sharp_last = sharp_first[::-1]
    histories = [history(f"bs{b}-wd{d}", batch_size=b, weight_decay=d) for d in (0.0, 0.0005) for b in (128, 8192)]

    def found(without: np.ndarray, decayed: np.ndarray) -> claims.Judgement:
        lines = [line("bs128-wd0.0", "bs8192-wd0.0", without), line("bs128-wd0.0005", "bs8192-wd0.0005", decayed)]
        planes = [each.attrs["plane"] for each in lines]
        return judged("2", *histories, surfaces=lines, spec={"interpolations": planes})

    assert found(sharp_first, sharp_last).verdict == "reproduced"
    assert found(sharp_first, sharp_first).verdict == "not reproduced"
    assert "w 0.224 (small batch), 0.632 (large)" in found(sharp_first, sharp_first).because
    very_sharp = np.minimum(1e4 * x**2, 5 * (x - 1) ** 2)  # sqrt(0.5 / 1e4) to either side: 2.8 cells in all
    assert found(very_sharp, sharp_last).verdict == "reproduced"
    assert "w under 0.03 (small batch), 0.632 (large)" in found(very_sharp, sharp_last).because
    assert found(very_sharp, very_sharp).verdict == "not reproduced"
    both_sharp = np.minimum(1e4 * x**2, 1e4 * (x - 1) ** 2)
    assert "a width is not defined" in found(both_sharp, sharp_last).because
    ended = np.where(x < -0.06, np.nan, sharp_first)  # to 0.06 on one side and to 0.112 on the other
    assert "w 0.172 (small batch)" in found(ended, sharp_last).because
    low = found(np.minimum(0.1, sharp_first), sharp_last)
    assert low.verdict == "confounded" and "one well holds both ends" in low.because


def test_weight_norms() -> None:
    plain = [history(f"p{b}", batch_size=b, weight_decay=0.0, norms=(10, 20 - b / 1000)) for b in (128, 8192)]
    decayed = [history(f"d{b}", batch_size=b, norms=(10, 5 + b / 1000)) for b in (128, 8192)]
    assert judged("8a", *plain, *decayed).verdict == "reproduced"
    assert judged("8b", *plain, *decayed).verdict == "reproduced"
    swapped = [history("p128", batch_size=128, weight_decay=0.0, norms=(10, 9)), plain[1]]
    assert judged("8a", *swapped).verdict == "not reproduced"
    assert judged("8b", *swapped).verdict == "not reproduced"
    assert judged("8b", *decayed[:1]).verdict == "not tested"


def test_paths() -> None:
    low = trajectory("a", "pca", (0.7, 0.2))
    assert judged("6", history("a"), trajectories=[low]).verdict == "reproduced"
    assert judged("6", history("a"), trajectories=[trajectory("a", "pca", (0.5, 0.2))]).verdict == "not reproduced"
    short = judged("6", history("a"), trajectories=[trajectory("a", "pca", (0.9, 0.1), (0.8, 0.1), epochs=4)])
    assert short.verdict == "not tested" and "of 4 points" in short.because
    random = trajectory("a", "random", (2e-5, 1e-5))
    assert judged("13", history("a"), trajectories=[low, random]).verdict == "reproduced"
    assert judged("13", history("a"), trajectories=[trajectory("a", "random", (0.1, 0.1))]).verdict == "not reproduced"
    assert judged("6", history("a")).verdict == judged("13", history("a")).verdict == "not tested"


def test_a_very_deep_network_without_shortcuts() -> None:
    deep: dict[str, Any] = {"args": {"depth": 158, "shortcut": False}}
    assert judged("14", history("deep", train_loss=2.3, **deep)).verdict == "reproduced"
    assert judged("14", history("deep", **deep)).verdict == "not reproduced"
    assert judged("14", history("shallow")).verdict == "not tested"


def test_the_start_lies_below_the_convex_height() -> None:
    assert judged("11b", history("a"), surfaces=[bowl("a", 8)]).verdict == "reproduced"
    assert judged("11b", history("a", start=1e4), surfaces=[wedge("a")]).verdict == "not reproduced"
    cut = judged("11b", history("a", start=1e4), surfaces=[bowl("a", 8)])
    assert cut.verdict == "not tested", "the bowl may go on beyond the plane"
    assert "convex up to at least" in judged("11b", history("a"), surfaces=[bowl("a", 8)]).because


def test_deep_networks_are_convex_up_to_a_lower_level_without_shortcuts() -> None:
    def found(depth: int) -> claims.Judgement:
        histories = [
            history("short", args={"depth": depth}),
            history("without", args={"depth": depth, "shortcut": False}),
        ]
        return judged("11a", *histories, surfaces=[bowl("short", 8), wedge("without")])

    assert found(56).verdict == "reproduced"
    assert found(20).verdict == "not tested"


def test_published_errors() -> None:
    def found(**known: Any) -> claims.Judgement:
        published = {"net": Published.model_validate(known)}
        return claims.judge(Claims(), published, [history("net", 0.059), history("other")], [], [])[-1]

    assert found(test_error=6.3).verdict == "reproduced"
    assert found(test_error=6.5).verdict == "not reproduced"
    assert "unverified" in found(test_error=6.3, verified=False).claim
    (short,) = claims.judge(Claims(), {"net": Published(test_error=5.9)}, [history("net", 0.059, epochs=15)], [], [])[
        -1:
    ]
    assert short.verdict == "confounded" and "15 epochs instead of 300" in short.because
    (absent,) = claims.judge(Claims(), {"net": Published(test_error=5.9)}, [history("other")], [], [])[-1:]
    assert absent.verdict == "not tested"


def test_they_are_written_with_what_they_rest_on(tmp_path: Path) -> None:
    histories = [history("a", epochs=15)]
    found = claims.judge(Claims(), {"a": Published(test_error=10)}, histories, [], [])
    claims.write(found, histories, [tmp_path / "claims.md", tmp_path / "claims.html"])
    text = (tmp_path / "claims.md").read_text()
    numbers = [row.split("|")[1].strip().partition(".")[0] for row in text.splitlines() if row.startswith("| ")][1:-1]
    assert numbers == ["1", "2", "3a", "3b", "4", "5", "6", "7", "8a", "8b", "9", "10", "11a", "11b", "12", "13", "14"]
    assert "cifar10" in text and "50,000 training examples" in text
    assert text.count("| not tested |") == (tmp_path / "claims.html").read_text().count("<td>not tested</td>") > 5


def test_the_paper_and_the_miniature_ask_for_what_the_claims_need() -> None:
    for name in ("paper", "miniature"):
        spec = reading.read(f"config/{name}.yaml").claims
        assert spec is not None and spec.planes and spec.interpolations and spec.paths
