"""What a plan says before anything is run, held against what is then asked for, counted and written."""

import itertools
import json
import math
import random
import re
import shlex
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from landscape import cli, directions
from landscape.artefacts import Job
from landscape.data import datasets
from landscape.data.arrays import Source, image_sample
from landscape.data.data_section import Data
from landscape.data.examples import Examples
from landscape.engine import fusing
from landscape.errors import InputError
from landscape.experiment import reading, specs
from landscape.hessian import lanczos
from landscape.hessian.krylov import Product
from landscape.hessian.lanczos import Extremes
from landscape.hessian.passes import SEARCH
from landscape.hessian.products import Hessian
from landscape.hessian.verification import DerivativeErrors, Verification
from landscape.measures import plane_of, tiling
from landscape.measures.plane import Plane
from landscape.networks import building
from landscape.objective.objective import CLASSIFICATION
from landscape.probes import probe_of
from landscape.running import plan
from landscape.running.plan import sizes
from landscape.running.plan.budget import choose
from landscape.running.plan.cost import Cost, Costs, of_probe, of_run, of_tile, of_trajectory
from landscape.running.plan.estimate import Estimate
from landscape.running.plan.graph import Graph
from landscape.running.plan.sizes import Counts, NetworkSize
from landscape.running.plan.submissions import submissions
from landscape.store import checkpoint, files
from landscape.training.run_section import Run

from running import REPOSITORY, SMOKE, landscape, snakemake, written

pytestmark = pytest.mark.filterwarnings("ignore:.*PuLP 4.0:DeprecationWarning")

RGB = (3, 32, 32)
COUNTS = Counts(train=1000, test=200, disk=0)
TEN = NetworkSize(flops=10, parameters=400, moving=440, state=448)


def run(**keys: Any) -> Run:
    return Run.model_validate({"network": "resnet", "args": {"depth": 8, "width": 4}, "data": "digits", **keys})


def known(shape: tuple[int, int, int]) -> Source:
    """A data set of images of ten classes, which is not read."""
    return Source(image_sample(shape), 10, lambda downloads: {})


def plane(**keys: Any) -> Plane:
    return plane_of({"alpha": [-1, 1, 5], "beta": [-1, 1, 3], **keys})


def every_rule() -> dict[str, Any]:
    """The smoke experiment with figures of every kind of file, a table and claims."""
    content: dict[str, Any] = yaml.safe_load(SMOKE.read_text())
    content["planes"] |= {
        "plan-path": {"directions": "pca", "alpha": [-1, 1, 5], "beta": [-1, 1, 5], "examples": 50},
        "plan-three": {"directions": "through", "runs": ["other", "small@001"], "alpha": [0, 1, 3], "beta": [0, 1, 3]},
    }
    content["figures"] |= {
        "plan-marks": {"draw": "contours", "runs": ["small"], "plane": "contour", "marks": ["other", "small@000"]},
        "plan-path": {"draw": "trajectories", "runs": ["small"], "planes": "plan-path"},
        "plan-three": {"draw": "contours", "runs": ["small"], "plane": "plan-three"},
        "plan-weights": {"draw": "interpolation", "rows": [{"run": "small", "to": "other", "plane": "towards"}]},
    }
    content["tables"] = {"errors": {"runs": ["*"]}}
    content["claims"] = {"planes": ["contour", "layer"], "lines": ["line"]}
    return content


def job_stats(said: str) -> dict[str, int]:
    """Jobs by rule of a dry run, but for `all`, which does nothing."""
    table = re.search(r"^job +count\n-+ +-+\n((?:\w+ +\d+\n)+)total", said, flags=re.M)
    assert table, said
    return {rule: int(number) for rule, number in map(str.split, table[1].splitlines()) if rule != "all"}


def test_the_jobs_are_those_of_snakemake(tmp_path: Path) -> None:
    content = every_rule()
    small = content["runs"]["small"]
    network = building.build(small["network"], small["args"], seed=0, images=(1, 8, 8), classes=10)
    torch.save(network.state_dict(), tmp_path / "mine.pt")
    content["runs"]["mine"] = {key: small[key] for key in ("network", "args", "data")} | {
        "weights": str(tmp_path / "mine.pt")
    }
    path = written(content, tmp_path)
    everything = plan.values(reading.read(path), path.name)["figures_together"]["gpu_hours"]
    found = plan.values(reading.read(path), path.name, budget=everything / 2)
    assert set(found["in_all"]["jobs_by_rule"]) >= {"train", "adopt", "tile", "trajectory", "mark", "table", "claims"}
    assert found["in_all"]["jobs_by_rule"] == job_stats(snakemake(path, "-n", folder=tmp_path))
    chosen = found["budget"]
    assert 0 < len(chosen["figures"]) < len(found["figures"])
    said = landscape(*shlex.split(chosen["command"])[1:], "--dry-run", folder=tmp_path)
    assert chosen["needs"]["jobs_by_rule"] == job_stats(said)


def test_jobs_of_a_group_are_given_to_a_cluster_together() -> None:
    tiles = [Job("tile", ("one", plane, str(i), "2")) for plane in ("a", "b", "c") for i in (1, 2)]
    tasks = [*tiles, Job("tile", ("other", "a", "1", "1")), Job("train", ("one",)), Job("merge", ("one", "a"))]
    assert submissions(tasks, {}) == 8
    by_state = {"groups": ["tile=tiles-{state}"]}
    assert submissions(tasks, by_state) == 8, "one at a time, as nothing else is said"
    assert (
        submissions(tasks, {**by_state, "group-components": ["tiles-{state}=4"]}) == 4
    )  # 4 and 2 of one, other, train
    both = {"groups": ["tile={state}-{i}of{n}", "train={run}"], "group-components": ["{state}-{i}of{n}=2", "{run}=9"]}
    assert submissions(tasks, both) == 6  # a and b, c; the same of the second tiles; other, train
    assert submissions(tasks, {"groups": ["merge=merges-{state}"]}) == 9, "what is local but for its group"


def test_the_paper_is_some_hundreds_of_jobs_of_a_cluster() -> None:
    tasks = Graph(reading.read(REPOSITORY / "config/paper.yaml")).all
    profile = yaml.safe_load((REPOSITORY / "profiles/slurm/config.yaml").read_text())
    assert len(tasks) > 1500 and 300 < submissions(tasks, profile) < 1000


def layer_by_layer(network: nn.Module, image: torch.Tensor) -> int:
    """Operations of convolutions and linear layers: each weight is used once for every output pixel."""
    found = 0

    def count(module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
        nonlocal found
        if isinstance(module, nn.Conv2d | nn.Linear):
            found += 2 * module.weight.numel() * math.prod(output.shape[2:])

    for module in network.modules():
        module.register_forward_hook(count)
    network.eval()(image)
    return found


@pytest.mark.parametrize(
    ("name", "args", "giga"),
    [("resnet", {"depth": 20}, 0.0816), ("vgg9", {}, 0.383), ("densenet121", {}, 1.777)],
)
def test_operations_of_a_forward_pass(name: str, args: dict[str, Any], giga: float) -> None:
    counted = sizes.network(run(network=name, args=args), known(RGB)).flops
    network = building.build(name, args, seed=0, images=RGB, classes=10)
    assert counted == layer_by_layer(network, torch.zeros(1, *RGB))
    assert counted / 1e9 == pytest.approx(giga, rel=1e-3)


def test_a_network_that_looks_at_numbers_is_counted_too(tmp_path: Path) -> None:
    file = tmp_path / "nets.py"
    file.write_text(
        "from torch import nn\n"
        "class Looking(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.convolution, self.linear = nn.Conv2d(3, 4, 3, bias=False), nn.Linear(4, 10)\n"
        "    def forward(self, x):\n"
        "        x = self.convolution(x if float(x.sum()) >= 0 else -x).mean((2, 3))\n"
        "        return self.linear(x)\n"
    )
    counted = sizes.network(run(network=f"{file}:Looking", args={}), known(RGB))
    weights = 3 * 4 * 9, 4 * 10, 10
    assert counted.flops == 2 * weights[0] * 30 * 30 + 2 * weights[1]
    assert counted.parameters == counted.moving == counted.state == 4 * sum(weights)


def test_operations_of_runs() -> None:
    evaluations = 4 * (1000 + 200)
    assert of_run(run(epochs=3), COUNTS, TEN).flops == 10 * (3 * 3 * 1000 + evaluations)
    assert of_run(run(epochs=3, sam=0.1), COUNTS, TEN).flops == 10 * (2 * 3 * 3 * 1000 + evaluations)
    assert of_run(run(epochs=3, swa=1), COUNTS, TEN).flops == 10 * (3 * 3 * 1000 + 1000 + evaluations)
    assert of_run(run(weights="w.pt"), COUNTS, TEN).flops == 10 * 1200


def test_operations_of_tiles() -> None:
    def tiles(n: int, **keys: Any) -> int:
        return sum(of_tile(plane(**keys), i, n, COUNTS, TEN).flops for i in range(1, n + 1))

    assert tiles(1) == 10 * 16 * 1200
    assert tiles(4) == 10 * 19 * 1200  # every tile measures the centre too
    assert tiles(4, examples=500) == 10 * 19 * 700
    assert tiles(4, batchnorm="recalibrated", recalibration_examples=300) == 10 * 19 * 1500
    assert tiles(4, batchnorm="recalibrated", recalibration_examples=3000) == 10 * 19 * 2200
    assert tiles(4, precision="bf16") == 10 * (19 + 15 + 4) * 1200  # all 15 points are tried in fp32, by each tile


class Counting(nn.Module):
    """Counts the images it sees; because it looks at numbers it can be neither traced nor folded."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.linear, self.seen = nn.BatchNorm2d(1), nn.Linear(4, 2), Counter[str]()

    def __deepcopy__(self, memo: Any) -> "Counting":
        copied = Counting()
        copied.load_state_dict(self.state_dict())
        copied.seen = self.seen
        return copied

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen["images"] += len(x)
        return torch.as_tensor(self.linear(self.norm(x if float(x.sum()) else x + 0).flatten(1)))


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"examples": 30},
        {"batchnorm": "recalibrated", "recalibration_examples": 50},
        {"precision": "bf16", "examples": 30},
    ],
    ids=str,
)
def test_a_tile_sees_as_many_images_as_planned(keys: dict[str, Any]) -> None:
    seen, network = plane(**keys), Counting()
    generator = torch.Generator().manual_seed(0)
    train, test = (Examples(torch.randn(n, 1, 2, 2, generator=generator), torch.arange(n) % 2) for n in (80, 40))
    steps = {axis: {name: p.detach().clone() for name, p in network.named_parameters()} for axis in ("alpha", "beta")}
    seen.evaluate(
        seen.template(test=True, attrs={}),
        tiling.tile_of(seen.shape, 1, 2),
        network,
        {name: tensor.clone() for name, tensor in network.state_dict().items()},
        steps,
        datasets.DataSet(train, test, 2, torch.zeros(1), {}),
        CLASSIFICATION,
    )
    planned = of_tile(seen, 1, 2, Counts(80, 40, 0), NetworkSize(1, 0, 0, 0)).flops
    assert planned <= network.seen["images"] <= planned + 80  # a few on which the network and its forms are tried


class Smooth(nn.Module):
    """Layers of which every product with the Hessian costs what it does in general: the first, cheap here, hands on none."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 2, 1, bias=False), nn.Conv2d(2, 8, 3, bias=False)
        self.last = nn.Linear(32, 2, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = nn.functional.softplus(self.second(nn.functional.softplus(self.first(x))))
        logits: torch.Tensor = self.last(hidden.flatten(1))
        return logits


@pytest.mark.parametrize("measured", ["gradients", "curvature"])
def test_operations_of_tiles_with_derivatives(measured: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With graphs that are made anew, a search that takes as many products as is planned, and no comparison of derivatives."""

    def search(product: Product, size: int, **keys: Any) -> Extremes:
        for _ in range(SEARCH["lanczos"]):
            product(torch.ones(size))
        return Extremes(
            1e9, -1e9, 0.0, 0.0, torch.ones(size), torch.ones(size), 1e9, -1e9, SEARCH["lanczos"], converged=True
        )

    monkeypatch.setattr(lanczos, "extremes", search)
    monkeypatch.setattr(Verification, "at", lambda self, theta, seed=0: DerivativeErrors())
    monkeypatch.setattr(Hessian, "_measured", lambda self: 2**40)
    monkeypatch.setattr(fusing, "available", lambda: False)  # the counter knows torch's public operators only
    network = Smooth()
    theta = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    seen = plane(measure=measured, examples=20)
    train = Examples(torch.randn(90, 1, 4, 4, generator=torch.Generator().manual_seed(0)), torch.arange(90) % 2)
    dataset = datasets.DataSet(train, None, 2, torch.zeros(1), {})
    pair = directions.random_pair(theta, building.filter_axes(network), 0, "filter", line=False)
    with FlopCounterMode(display=False) as counter:
        whole = seen.template(test=False, attrs={})
        seen.evaluate(whole, tiling.tile_of(seen.shape, 1, 2), network, theta, pair, dataset, CLASSIFICATION)
    with FlopCounterMode(display=False) as one:
        network(train.inputs[:1])
    planned = of_tile(seen, 1, 2, Counts(90, None, 0), NetworkSize(one.get_total_flops(), 0, 0, 0)).flops
    assert planned == pytest.approx(counter.get_total_flops(), rel=0.1)


def test_a_tile_of_curvature_pays_for_more_images_where_it_holds_such_a_point() -> None:
    def passes(i: int, **keys: Any) -> float:
        return of_tile(plane(measure="curvature", **keys), i, 15, COUNTS, TEN).flops / 10

    each = 3 * 3 + 22 * 9
    assert passes(2, examples=500) == 500 * (each + 3 * 3)  # and the gradients at the three points beside it
    assert passes(15, examples=500) == 500 * (each + 2 * 20 * 9)
    assert passes(15, examples=100) == 100 * (each + 6 * 20 * 9)
    assert passes(15) == 1000 * each


def test_operations_of_probes() -> None:
    def cost(**keys: Any) -> Cost:
        return of_probe(probe_of(keys), COUNTS, TEN)

    assert cost(measure="trace", vectors=4, draws=6, examples=50).flops == 10 * 50 * (3 + 2 * 10 * 9)
    assert cost(measure="spectrum", vectors=4, steps=30).flops == 10 * 1000 * (3 + 2 * 120 * 9)
    assert cost(measure="eigenpairs", pairs=1).flops == 10 * 1000 * (3 + 2 * 20 * 9)
    assert cost(measure="eigenpairs", pairs=3).disk == 6 * TEN.parameters
    assert cost(measure="activations").flops == 10 * 1000 * 3
    assert not cost(measure="saddle").known


def test_a_step_of_training_takes_three_forward_passes() -> None:
    """But for the first layer, which has no gradient to hand on."""
    small = run()
    network = building.build(small.network, small.args, seed=0, images=(1, 8, 8), classes=10)
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(4, 1, 8, 8)).sum().backward()
    first = 2 * next(network.parameters()).numel() * 8 * 8
    planned = of_run(small, Counts(4, None, 0), sizes.network(small, known((1, 8, 8))))
    evaluations = of_run(run(weights="w.pt"), Counts(4, None, 0), sizes.network(small, known((1, 8, 8)))).flops * 301
    assert counter.get_total_flops() == (planned.flops - evaluations) / 300 - 4 * first


def test_operations_of_trajectories() -> None:
    assert of_trajectory(run(epochs=4, keep=2), plane(), COUNTS, TEN).flops == 10 * 10 * 1000
    assert of_trajectory(run(epochs=4, keep="all"), plane(examples=600), COUNTS, TEN).flops == 10 * 16 * 600
    recalibrated = plane(batchnorm="recalibrated", recalibration_examples=300)
    assert of_trajectory(run(epochs=4, keep=2), recalibrated, COUNTS, TEN).flops == 10 * (10 * 1000 + 4 * 300)


def test_what_figures_share_is_counted_once() -> None:
    estimate = Estimate(reading.resolve(every_rule()))
    names = list(estimate.figures)
    assert sum(estimate.shared.values()) == estimate.whole.cost.flops
    assert estimate.together.cost.flops < sum(figure.whole.cost.flops for figure in estimate.figures.values())
    for name, figure in estimate.figures.items():
        rest = estimate.of([other for other in names if other != name])
        assert figure.alone.jobs == estimate.together.jobs - rest.jobs
        assert figure.alone.cost.flops == estimate.together.cost.flops - rest.cost.flops
        assert figure.alone.cost.disk == estimate.together.cost.disk - rest.cost.disk
        apart = {other: estimate.figures[other].whole.cost.flops + figure.whole.cost.flops for other in names}
        sharing = {o for o in names if o != name and estimate.of([o, name]).cost.flops < apart[o]}
        assert set(figure.shares_with) == sharing


def selections(names: list[str]) -> Any:
    return itertools.chain.from_iterable(itertools.combinations(names, k) for k in range(len(names) + 1))


def spent(cost: dict[frozenset[str], int], chosen: Any) -> int:
    return sum(share for members, share in cost.items() if members & set(chosen))


@pytest.mark.parametrize("seed", range(20))
def test_no_selection_is_larger_or_as_large_and_cheaper(seed: int) -> None:
    draw = random.Random(seed)
    names = [f"figure{k}" for k in range(6)]
    cost: Counter[frozenset[str]] = Counter()
    for _ in range(10):
        cost[frozenset(draw.sample(names, draw.randint(0, 4)))] += draw.randint(0, 30)
    budget = draw.randint(1, 90)
    best = min((-len(s), spent(cost, s)) for s in selections(names) if spent(cost, s) <= budget)
    chosen = choose(cost, names, budget)
    assert (-len(chosen), spent(cost, chosen)) == best
    assert chosen == [name for name in names if name in chosen]


def test_a_selection_shares_its_runs() -> None:
    """Three figures of one run fit where two of their own do not."""
    cost = {frozenset("abc"): 80.0, frozenset("a"): 5.0, frozenset("b"): 5.0, frozenset("c"): 5.0, frozenset("d"): 60.0}
    assert choose(cost, list("abcd"), 100.0) == ["a", "b", "c"]
    assert choose(cost, list("abcd"), 70.0) == ["d"]


def test_the_ends_of_budgets() -> None:
    cost = {frozenset("ab"): 3.0, frozenset("b"): 2.0, frozenset("c"): 0.0, frozenset(): 7.0}
    assert choose(cost, list("abc"), 0.0) == ["c"]
    assert choose(cost, list("abc"), 1e9) == ["a", "b", "c"]
    assert choose(cost, list("abc"), 5.0) == ["a", "b", "c"]
    assert choose({}, [], 1.0) == []


def test_without_a_solver_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pulp.PULP_CBC_CMD.available", lambda solver: False)
    with pytest.raises(InputError, match="CBC"):
        choose({frozenset("a"): 1.0}, ["a"], 1.0)


def test_tiles_that_are_too_long_too_short_or_good() -> None:
    experiment = reading.read(SMOKE)  # its plane `contour` has 9 x 7 points in 3 tiles, on 100 images of each split
    built = [sizes.network(run, known((1, 8, 8))) for run in experiment.runs.values()]
    network = max(built, key=lambda network: network.flops)

    def longest(n: int) -> int:
        tiles = (of_tile(experiment.planes["contour"], i, n, Counts(1500, 297, 0), network) for i in range(1, n + 1))
        return max(tile.flops for tile in tiles)

    def planned(minutes: float) -> dict[str, Any]:
        found = plan.values(experiment, "c.yaml", tflops=longest(3) / (60 * minutes) / 1e12)["planes"]["contour"]
        assert (found["tiles"], found["longest_tile_minutes"]) == (3, pytest.approx(minutes))
        return dict(found)

    long = planned(60)
    fitting = next(n for n in range(1, 64) if longest(n) <= longest(3) / 3)
    assert long["tiles_that_fit"] == fitting
    assert long["minutes_then"][1] == pytest.approx(60 * longest(fitting) / longest(3))
    assert planned(10)["tiles_that_fit"] == 3
    assert planned(2)["tiles_that_fit"] == 1
    assert planned(1e6)["tiles_that_fit"] == 63


def test_disk_is_that_of_the_files(tmp_path: Path) -> None:
    experiment = reading.read(SMOKE)
    small = experiment.runs["small"]
    digits = sizes.counts(experiment.data["digits"], image_sample((1, 8, 8)), "")
    assert digits is not None
    theta = building.build(small.network, small.args, seed=0, images=(1, 8, 8), classes=10).state_dict()
    parameters = {name: t for name, t in theta.items() if "running" not in name and "tracked" not in name}
    seen = experiment.planes["contour"]

    datasets.make(experiment.data["digits"], tmp_path / "digits", {})
    counts = checkpoint.read_header(tmp_path / "digits")["examples"]
    assert (digits.train, digits.test) == (counts["train"], counts["test"])
    checkpoint.write(tmp_path / "weights", theta, {})
    checkpoint.write_epochs(tmp_path / "epochs", {epoch: theta for epoch in range(4)}, {})
    pair = {f"{axis}/{name}": t for axis in ("alpha", "beta") for name, t in parameters.items()}
    checkpoint.write(tmp_path / "directions", pair, {})
    files.write_dataset(seen.template(test=True, attrs={}), tmp_path / "surface")

    costs = Costs(experiment)
    for task, names in {
        Job("dataset", ("digits",)): ["digits"],
        Job("train", ("small",)): ["weights", "epochs"],
        Job("directions", ("small", "contour")): ["directions"],
        Job("merge", ("small", "contour")): ["surface"],
    }.items():
        written = sum((tmp_path / name).stat().st_size for name in names)
        assert 0 <= written - costs.of(task).disk < 25_000, task  # headers


def test_images_of_a_file_are_counted_by_its_labels(tmp_path: Path) -> None:
    path, shape = tmp_path / "ours.npz", (3, 8, 8)
    labels: dict[str, Any] = {"train_labels": np.arange(20) % 4, "test_labels": np.arange(6) % 4}
    for kind, size in (("uint8", 1), ("float32", 4), ("float64", 4)):
        layout = (8, 8, 3) if kind == "uint8" else shape
        images: dict[str, Any] = {
            f"{split}_counts": np.zeros((n, *layout), kind) for split, n in (("train", 20), ("test", 6))
        }
        np.savez_compressed(path, **labels, **images)
        assert sizes.counts(Data(source=str(path)), image_sample(shape), "") == Counts(20, 6, 26 * (192 * size + 8))
        used = sizes.counts(Data(source=str(path), examples=12), image_sample(shape), "")
        assert used == Counts(12, 6, 18 * (192 * size + 8))
    np.savez(path, train_images=np.zeros((20, 8, 8, 3), "uint8"), train_labels=labels["train_labels"])
    assert sizes.counts(Data(source=str(path)), image_sample(shape), "") == Counts(20, None, 20 * 200)


def of_own_function(folder: Path) -> dict[str, Any]:
    """A run on images that a function returns."""
    (folder / "ours.py").write_text(
        "import numpy as np\n"
        "def images(n):\n"
        "    labels = np.arange(n) % 10\n"
        "    return dict(train_images=np.zeros((n, 8, 8), 'uint8'), train_labels=labels)\n"
    )
    content: dict[str, Any] = yaml.safe_load(SMOKE.read_text())
    content["data"]["ours"] = {"source": "ours.py:images", "args": {"n": 40}}
    content["runs"]["own"] = {**content["runs"]["small"], "data": "ours"}
    content["figures"]["own"] = {"draw": "training", "runs": ["own"]}
    return content


def test_what_is_not_known_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    experiment = reading.resolve(of_own_function(tmp_path))
    found = plan.values(experiment, "c.yaml", budget=1e9)
    assert "data.ours" in found["unknown"][0]
    of_it = {name for name, figure in experiment.figures.items() if "own" in figure.states}
    assert {name for name, figure in found["figures"].items() if not figure["complete"]} == of_it
    assert set(found["figures"]) - set(found["budget"]["figures"]) == of_it
    row = next(line for line in plan.text(found).splitlines() if line.startswith("own "))
    assert row.split()[1:4] == ["3", ">=0", "FLOP"]

    spec = experiment.data["ours"]
    made = Path(experiment.results, "data/ours.safetensors")
    datasets.make(spec, made, {"spec_hash": specs.digest(specs.of("dataset", spec))})
    found = plan.values(experiment, "c.yaml")
    network = sizes.network(experiment.runs["own"], known((1, 8, 8)))
    assert found["unknown"] == []
    assert found["figures"]["own"]["flops"] == of_run(experiment.runs["own"], Counts(40, None, 0), network).flops


def test_a_network_that_does_not_run_is_not_guessed_at(tmp_path: Path) -> None:
    (tmp_path / "nets.py").write_text(
        "from torch import nn\nclass Broken(nn.Linear):\n    def __init__(self):\n        super().__init__(3, 10)\n"
    )
    content = yaml.safe_load(SMOKE.read_text())
    content["runs"]["broken"] = {**content["runs"]["small"], "network": f"{tmp_path}/nets.py:Broken", "args": {}}
    found = plan.values(reading.resolve(content), "c.yaml")
    assert len(found["unknown"]) == 1 and "nets.py:Broken" in found["unknown"][0]
    assert not found["figures"]["training"]["complete"] and found["figures"]["figure5"]["complete"]


def test_it_prints_a_table_or_json_and_nothing_else(capfd: pytest.CaptureFixture[str]) -> None:
    words = ["plan", str(SMOKE), "--gpu-hours", "1e-7"]
    assert cli.main(words) == 0
    said = capfd.readouterr().out
    assert "20 TFLOP/s kept up, an assumption, not a measurement" in said
    assert re.search(r"A cluster is given \d+: ", said)
    experiment = reading.read(SMOKE)
    assert [line.split()[0] for line in said.splitlines()[2 : 2 + len(experiment.figures)]] == list(experiment.figures)
    assert cli.main([*words, "--json", "--tflops", "0.1"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert (found["tflops"], found["tflops_stated"]) == (0.1, True)
    assert found["in_all"]["gpu_hours"] == pytest.approx(found["in_all"]["flops"] / 0.1e12 / 3600)
    assert found["budget"]["needs"]["gpu_hours"] <= found["budget"]["gpu_hours"] == 1e-7


@pytest.mark.parametrize(
    "words", [["--tflops", "0"], ["--tflops", "nan"], ["--gpu-hours", "-1"], ["--gpu-hours", "inf"]]
)
def test_impossible_amounts_are_refused(words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", str(SMOKE), *words]) == 2
    assert f"error: {words[0]} is" in capfd.readouterr().err
