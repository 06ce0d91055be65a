"""What is claimed is judged on synthetic runs whose answer is known."""

import itertools
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from landscape.analysis import claims
from landscape.experiment import reading
from landscape.experiment.analysis_sections import Claims, Published
from landscape.training.seed_groups import JudgedRun, networks, pairs

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
    """The same with a ripple: several minima, and slopes that fall away from the centre."""
    a = np.linspace(-1, 1, 41)
    loss = 0.001 + 4 * (a[:, None] ** 2 + a**2) + 0.8 * (2 - np.cos(12 * a[:, None]) - np.cos(12 * a))
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
    ((shallow, deep, _),) = pairs(found, "args.depth")
    assert (shallow.factors["args.depth"], deep.factors["args.depth"]) == (20, 56)
    assert list(pairs(found, "args.shortcut")) == []


def test_a_name_with_arguments_in_it_is_the_network_with_these() -> None:
    plain = JudgedRun(history("a", args={"depth": 56, "shortcut": False}))
    named = JudgedRun(history("b", network="resnet56-noshort", args={}))
    assert plain.factors == named.factors
    assert len(networks([plain, named])) == 1


PLANES = ("contour", "contour-2")


def twice(
    name: str, loss: Callable[..., xr.Dataset], *given: float, spread: float = 0.02, **more: Any
) -> tuple[list[xr.Dataset], list[xr.Dataset]]:
    """Two seeds of a network on two planes; its steepness, if it has one, spreads around the given."""
    histories = [history(f"{name}-{seed}", **more, seed=seed) for seed in (0, 1)]
    surfaces = []
    for seed, plane in itertools.product((0, 1), (0, 1)):
        steep = [value * (1 + spread * (seed - 0.5 + 0.5 * (plane - 0.5))) for value in given]
        surfaces.append(loss(f"{name}-{seed}", *steep, plane=PLANES[plane]))
    return histories, surfaces


def of_all(number: str, *made: tuple[list[xr.Dataset], list[xr.Dataset]], **spec: Any) -> claims.Judgement:
    histories, surfaces = ([each for of in made for each in of[k]] for k in (0, 1))
    return judged(number, *histories, surfaces=surfaces, spec={"planes": list(PLANES)} | spec)


def test_the_order_of_sharpness_and_error() -> None:
    made = [(f"n{k}", 4.0 + 2 * k, 0.05 + 0.02 * k) for k in range(6)]
    histories = [history(name, error, batch_size=64 + k) for k, (name, _, error) in enumerate(made)]
    surfaces = [bowl(name, steepness) for name, steepness, _ in made]
    found = judged("1", *histories, surfaces=surfaces)
    assert found.verdict == "reproduced" and "tau 1.00" in found.said and "15 of 15 pairs" in found.because
    backwards = [bowl(name, steepness) for (name, _, _), (_, steepness, _) in zip(made, reversed(made), strict=True)]
    assert judged("1", *histories, surfaces=backwards).verdict == "not reproduced"
    few = judged("1", *histories[:3], surfaces=surfaces)
    assert few.verdict == "not tested" and few.said == "3 networks; an order needs 5"
    assert "order agrees in 3 of 3 pairs" in few.because
    assert judged("1", *histories[:1], surfaces=surfaces).verdict == "not tested"
    shuffled = [bowl(f"n{k}", 4.0 + 2 * rank) for k, rank in enumerate((2, 0, 1, 5, 3, 4))]
    assert judged("1", *histories, surfaces=shuffled).verdict == "undecided"  # tau 0.47, p 0.27


def test_one_network_that_did_not_train_or_has_no_surface_does_not_void_the_order_of_the_others() -> None:
    def found(losses: dict[int, float], without: int | None = None) -> claims.Judgement:
        histories = [
            history(f"n{k}", 0.05 + 0.02 * k, train_loss=losses.get(k, 0.01), batch_size=64 + k) for k in range(12)
        ]
        surfaces = [bowl(f"n{k}", 4.0 + 2 * k) for k in range(12) if k != without]
        return judged("1", *histories, surfaces=surfaces)

    assert found({}).verdict == found({}, without=3).verdict == "reproduced"
    for loss, reason in ((0.2, "train losses more than 10 times apart"), (2.2, "one did not train")):
        one = found({0: loss})
        assert one.verdict == "reproduced" and f"left out: 11 pairs ({reason})" in one.because
    every = found({k: 2.2 for k in range(12)})
    assert every.verdict == "confounded" and "66 pairs (one did not train)" in every.said


def test_an_order_of_errors_on_few_images_is_not_tested() -> None:
    histories = [
        history(name, error, test_examples=297, batch_size=n) for name, error, n in (("a", 0.1, 1), ("b", 0.3, 2))
    ]
    found = judged("1", *histories, surfaces=[bowl("a", 2), bowl("b", 8)])
    assert found.verdict == "not tested" and found.because.startswith("297 test examples")


def test_the_order_of_normalisations() -> None:
    n = 24
    histories = [history(f"n{k}", 0.05 + 0.02 * k, batch_size=64 + k) for k in range(n)]
    generator = np.random.default_rng(0)
    ranks = {
        "filter": range(n),
        "layer": np.argsort(np.arange(n) + generator.normal(scale=n / 4, size=n)).argsort(),
        "none": generator.permutation(n),
    }

    def found(names: dict[str, str]) -> claims.Judgement:
        surfaces = [
            along_a_line(f"n{k}", f"line-{names[of]}", 4.0 + 0.5 * rank, normalize=names[of])
            for of in ranks
            for k, rank in enumerate(ranks[of])
        ]
        return judged("7", *histories, surfaces=surfaces, spec={"lines": [f"line-{of}" for of in ranks]})

    as_claimed = found({of: of for of in ranks})
    assert as_claimed.verdict == "reproduced" and as_claimed.said.startswith("tau: filter 1.00, layer 0.6")
    assert found({"filter": "none", "layer": "layer", "none": "filter"}).verdict == "not reproduced"
    alone = judged("7", *histories, surfaces=[along_a_line("n0", "line-filter", 4.0)], spec={"lines": "line-filter"})
    assert alone.verdict == "not tested" and alone.said == "no lines with normalize: layer, none"


def along_a_line(run: str, plane: str, steepness: float, **spec: Any) -> xr.Dataset:
    whole = bowl(run, steepness, plane, **spec)
    return whole.isel(beta=[20])


def test_networks_with_other_train_losses_are_confounded() -> None:
    histories = [history("short"), history("without", train_loss=0.02, args={"depth": 20, "shortcut": False})]
    surfaces = [bowl("short", 4), bowl("without", 4.1)]
    found = judged("9", *histories, surfaces=surfaces)
    assert found.verdict == "confounded" and "more than 10 times apart (train losses 0.02, 0.001)" in found.because
    histories[1] = history("without", train_loss=1.9, args={"depth": 20, "shortcut": False})
    assert "without did not train" in judged("9", *histories, surfaces=surfaces).because


NO_SHORTCUT: dict[str, Any] = {"args": {"depth": 20, "shortcut": False}}


def test_shortcuts_at_depth_20() -> None:
    def found(steepness: float, spread: float = 0.02, **spec: Any) -> claims.Judgement:
        return of_all(
            "9", twice("short", bowl, 4), twice("without", bowl, steepness, spread=spread, **NO_SHORTCUT), **spec
        )

    assert found(4.5).verdict == "reproduced"  # widths differ by 6 %
    assert found(8).verdict == "not reproduced"  # by 41 %
    assert found(8, similar=0.5).verdict == "reproduced"
    unsure = found(5.5, spread=0.6)
    assert unsure.verdict == "undecided" and "undecided, within the error" in unsure.evidence[0]


def test_one_direction_or_one_seed_is_one_sample() -> None:
    histories = [history("short"), history("without", **NO_SHORTCUT)]
    for steepness in (4.5, 8):
        found = judged("9", *histories, surfaces=[bowl("short", 4), bowl("without", steepness)])
        assert found.verdict == "one sample" and found.evidence[0].endswith("one sample, no error")
    several = [bowl(name, 4, plane) for name in ("short", "without") for plane in PLANES]
    assert judged("9", *histories, surfaces=several, spec={"planes": list(PLANES)}).verdict == "one sample"


def test_depth_without_shortcuts_and_with() -> None:
    def without(depth: int, loss: Any, *given: float) -> Any:
        return twice(f"w{depth}", loss, *given, args={"depth": depth, "shortcut": False})

    assert of_all("3a", without(20, bowl, 4), without(56, rippled)).verdict == "reproduced"
    assert of_all("3a", without(20, rippled), without(56, bowl, 4)).verdict == "not reproduced"
    short = [twice(f"s{depth}", bowl, 1 + depth / 300, args={"depth": depth}) for depth in (20, 56)]
    assert of_all("3b", *short).verdict == "reproduced"
    assert of_all("3a", *short).verdict == "not tested"


def test_a_pair_that_differs_in_the_rate_too_is_compared_and_marked() -> None:
    deep: dict[str, Any] = {"args": {"depth": 110, "shortcut": False}, "learning_rate": 0.01}
    shallow: dict[str, Any] = {"args": {"depth": 20, "shortcut": False}, "learning_rate": 0.1}
    found = of_all("3a", twice("w20", bowl, 4, **shallow), twice("w110", rippled, **deep))
    assert found.verdict == "reproduced" and "(differ also in learning_rate 0.1 and 0.01)" in found.because
    other = of_all("3a", twice("w20", bowl, 4, **shallow), twice("w110", rippled, **deep, weight_decay=0.0))
    assert other.verdict == "not tested"


def test_wider_networks() -> None:
    def wide(width: int, steepness: float) -> Any:
        return twice(f"w{width}", bowl, steepness, args={"depth": 20, "width": width})

    assert of_all("4", wide(16, 8), wide(32, 4)).verdict == "reproduced"
    assert of_all("4", wide(16, 4), wide(32, 8)).verdict == "not reproduced"
    assert of_all("4", wide(16, 8), wide(32, 7.6)).verdict == "undecided"  # widths differ by 3 %, the margin is 5 %
    # Both touch the border at a rise of 0.5, so none is known to be the wider; and one that does is wider than one inside.
    assert of_all("4", wide(16, 0.3), wide(32, 0.2)).verdict == "not tested"
    cut = of_all("4", wide(16, 8), wide(32, 0.2))
    assert cut.verdict == "reproduced" and "at least" in cut.because


def test_numbers_are_means_over_directions_and_then_seeds() -> None:
    runs = [
        JudgedRun(history("a", seed=0), {"p": bowl("a", 2, "p"), "q": bowl("a", 8, "q")}),
        JudgedRun(history("b", seed=1), {"p": bowl("b", 12, "p")}),
    ]
    (network,) = networks(runs)
    widths = [2 * math.sqrt(0.5 / steepness) for steepness in (2, 8, 12)]
    expected = ((widths[0] + widths[1]) / 2 + widths[2]) / 2
    assert network.estimate("width_rise_0.5", ["p", "q"]).value == pytest.approx(expected, rel=0.02)


def test_the_flip_of_the_small_and_the_large_batch() -> None:
    x = np.linspace(-0.5, 1.5, 401)
    sharp_first = np.minimum(40 * x**2, 5 * (x - 1) ** 2)
    sharp_last = sharp_first[::-1]

    def run(batch: int, decay: float, seed: int) -> str:
        return f"bs{batch}-wd{decay}-s{seed}"

    histories = [
        history(run(b, d, seed), batch_size=b, weight_decay=d, seed=seed)
        for seed in (0, 1)
        for d in (0.0, 0.0005)
        for b in (128, 8192)
    ]

    def found(without: np.ndarray, decayed: np.ndarray, seeds: tuple[int, ...] = (0, 1)) -> claims.Judgement:
        lines = [
            line(run(128, decay, seed), run(8192, decay, seed), loss)
            for seed in seeds
            for decay, loss in ((0.0, without), (0.0005, decayed))
        ]
        planes = [each.attrs["plane"] for each in lines]
        return judged("2", *histories, surfaces=lines, spec={"interpolations": planes})

    assert found(sharp_first, sharp_last).verdict == "reproduced"
    assert found(sharp_first, sharp_last, seeds=(0,)).verdict == "one sample"
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
    assert low.verdict == "not tested" and "one well holds both ends" in low.because


@pytest.mark.parametrize("depth", ["deep", None, [3, 4, 6]])
def test_a_depth_that_is_no_number_is_not_judged(depth: Any) -> None:
    names = [history(f"d-{shortcut}", args={"depth": depth, "shortcut": shortcut}) for shortcut in (True, False)]
    for number in ("11a", "12", "14"):
        assert judged(number, *names, spec={"gradients": ["contour"]}).verdict == "not tested"


def test_weight_norms() -> None:
    def of_seeds(batch: int, norm: float, decay: float = 0.0, **more: Any) -> list[xr.Dataset]:
        return [
            history(
                f"b{batch}-{seed}",
                batch_size=batch,
                weight_decay=decay,
                norms=(10, norm + 0.1 * seed),
                seed=seed,
                **more,
            )
            for seed in (0, 1)
        ]

    plain = [*of_seeds(128, 20), *of_seeds(8192, 12)]
    decayed = [*of_seeds(128, 5, 5e-4), *of_seeds(8192, 13, 5e-4)]
    assert judged("8a", *plain, *decayed).verdict == "reproduced"
    assert judged("8b", *plain, *decayed).verdict == "reproduced"
    shrinking = [*of_seeds(128, 9), *of_seeds(8192, 12)]
    assert judged("8a", *shrinking).verdict == judged("8b", *shrinking).verdict == "not reproduced"
    assert judged("8a", plain[0]).verdict == judged("8b", plain[0], plain[2]).verdict == "one sample"
    assert judged("8b", *decayed[:2]).verdict == "not tested"
    by_adam = [*of_seeds(128, 9, optimizer="adam"), *of_seeds(8192, 12, optimizer="adam")]
    assert judged("8a", *by_adam).verdict == judged("8b", *by_adam).verdict == "not tested"


def test_paths() -> None:
    runs = [history("a"), history("b", seed=1)]

    def found(number: str, *paths: xr.Dataset) -> claims.Judgement:
        return judged(number, *runs, trajectories=list(paths))

    low = [trajectory(name, "pca", (0.7, 0.2)) for name in "ab"]
    assert found("6", *low).verdict == "reproduced" and found("6", *low[:1]).verdict == "one sample"
    assert found("6", trajectory("a", "pca", (0.5, 0.2))).verdict == "not reproduced"
    short = found("6", trajectory("a", "pca", (0.9, 0.1), (0.8, 0.1), epochs=4))
    assert short.verdict == "not tested" and "of 4 points" in short.because
    random = [trajectory(name, "random", (2e-5, 1e-5)) for name in "ab"]
    assert found("13", *low, *random).verdict == "reproduced"
    assert found("13", trajectory("a", "random", (0.1, 0.1))).verdict == "not reproduced"
    assert found("6").verdict == found("13").verdict == "not tested"


def test_a_very_deep_network_without_shortcuts() -> None:
    deep: dict[str, Any] = {"args": {"depth": 158, "shortcut": False}}

    def found(**losses: float) -> claims.Judgement:
        rates = {"high": 0.1, "middle": 0.01, "low": 0.001}
        return judged(
            "14", *(history(name, train_loss=loss, learning_rate=rates[name], **deep) for name, loss in losses.items())
        )

    assert found(high=2.3, middle=2.3, low=2.3).verdict == "reproduced"
    assert found(high=2.3, middle=2.3, low=0.01).verdict == "not reproduced"
    some = found(high=2.3, middle=2.3)
    assert some.verdict == "undecided" and some.said == "no training at 0.1, 0.01; three rates down to 0.001 are needed"
    assert found(high=2.3).verdict == "one sample"
    assert judged("14", history("shallow")).verdict == "not tested"


def test_the_start_lies_below_the_convex_height() -> None:
    def found(loss: Callable[..., xr.Dataset], *given: float, start: float = 2.4) -> claims.Judgement:
        return of_all("11b", twice("a", loss, *given, start=start))

    assert found(bowl, 8).verdict == "reproduced" and "convex up to at least" in found(bowl, 8).because
    assert found(wedge, start=1e4).verdict == "not reproduced"
    assert found(bowl, 8, start=1e4).verdict == "not tested", "the bowl may go on beyond the plane"
    alone = judged("11b", history("a"), surfaces=[bowl("a", 8)])
    assert alone.verdict == "one sample"


def test_deep_networks_are_convex_up_to_a_lower_level_without_shortcuts() -> None:
    def found(depth: int, short: Any = bowl, without: Any = wedge) -> claims.Judgement:
        return of_all(
            "11a",
            twice("short", short, *[8] * (short is bowl), args={"depth": depth}),
            twice("without", without, *[8] * (without is bowl), args={"depth": depth, "shortcut": False}),
        )

    assert found(56).verdict == "reproduced"
    assert found(56, wedge, bowl).verdict == "not reproduced"
    assert found(56, bowl, bowl).verdict == "not tested"  # both reach the border
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
    rows = [row for row in text.splitlines() if row.startswith("| ")]
    numbers = [row.split("|")[1].strip(" [").partition(".")[0] for row in rows][1:-1]
    assert all(len(re.findall(r"(?<!\\\\)\|", row)) == 4 for row in rows), "a bar in a cell ends it"
    assert numbers == ["1", "2", "3a", "3b", "4", "5", "6", "7", "8a", "8b", "9", "10", "11a", "11b", "12", "13", "14"]
    assert "cifar10" in text and "50,000 training examples" in text
    assert "a schedule of 1 epochs" in text and "## Evidence" not in text
    one = claims.Judgement("1. a", "reproduced", "1 of 1 case", ("a case: as claimed",))
    claims.write([one], histories, [tmp_path / "one.md", tmp_path / "one.html"])
    assert "## Evidence\n\n### Claim 1\n" in (tmp_path / "one.md").read_text()
    assert text.count("| not tested |") == (tmp_path / "claims.html").read_text().count("<td>not tested</td>") > 5


def test_the_paper_and_the_miniature_ask_for_what_the_claims_need() -> None:
    for name in ("paper", "miniature"):
        spec = reading.read(f"config/{name}.yaml").claims
        assert spec is not None and spec.planes and spec.interpolations and spec.paths
