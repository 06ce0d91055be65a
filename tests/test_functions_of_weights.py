"""A network is measured as a function of its state dict: load, then eval(), on the whole data; or it is refused."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import strange_networks as strange
import torch
from strange_networks import Base
from torch import Tensor, nn
from torch.nn import functional as F

import landscape as ls
from landscape.data.examples import Examples
from landscape.engine.engine import Engine
from landscape.errors import InputError
from landscape.figures.shared import words
from landscape.networks.copying import duplicate
from landscape.objective.examination import BATCH, EXAMPLES, tried
from landscape.objective.objective import CLASSIFICATION, of_loss
from landscape.store import fitting
from landscape.store.weights import Weights, tensors_of

torch.set_num_threads(1)

Make = Callable[[], nn.Module]
Data = tuple[Tensor, Tensor]
ALPHA, BETA, SEED = (-1, 1, 3), (-0.5, 0.5, 2), 3


def data(n: int, seed: int = 0) -> Data:
    random = torch.Generator().manual_seed(seed)
    inputs = torch.randn(n, strange.INPUTS, generator=random)
    return inputs, torch.randint(0, strange.CLASSES, (n,), generator=random)


def new(make: Make) -> nn.Module:
    torch.manual_seed(5)
    return make()


def state(network: nn.Module) -> dict[str, Any]:
    return copy.deepcopy(
        {name: of.detach() if isinstance(of, Tensor) else of for name, of in network.state_dict().items()}
    )


def plain_loss(make: Make, weights: dict[str, Any], batches: list[Data]) -> float:
    """The loss of a new network with these weights, fresh for every batch."""
    total = 0.0
    for inputs, targets in batches:
        network = new(make)
        network.load_state_dict({**network.state_dict(), **weights})
        network.eval()
        with torch.no_grad():
            output = network(inputs.clone())
        total += float(F.cross_entropy(output.double(), targets, reduction="sum"))
    return total / sum(len(targets) for _, targets in batches)


def at(weights: dict[str, Any], pair: Any, alpha: float, beta: float) -> dict[str, Any]:
    moved = dict(weights)
    for axis, step in (("alpha", alpha), ("beta", beta)):
        for name, direction in pair[axis].items():
            moved[name] = moved[name] + step * direction
    if weights.keys() >= {"0.weight", "2.weight", "3.weight"}:  # the tied network
        moved["2.weight"] = moved["0.weight"]
    return moved


def assert_plain(make: Make, surface: Any, weights: dict[str, Any], batches: list[Data], split: str = "train") -> None:
    pair = ls.basis(new(make), line=False, seed=SEED)
    found = []
    for alpha in surface.alpha.values.tolist():
        for beta in surface.beta.values.tolist():
            expected = plain_loss(make, at(weights, pair, alpha, beta), batches)
            found.append(float(surface[f"{split}_loss"].sel(alpha=alpha, beta=beta)))
            assert found[-1] == pytest.approx(expected, rel=1e-6), (alpha, beta)
    assert len(set(found)) > 1


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("make", strange.BY_VIEWS + strange.BY_LOADING, ids=lambda make: make.__name__)
def test_a_plane_and_a_history_are_those_of_a_loop_that_loads_a_new_network(make: Make) -> None:
    weights, examples = state(new(make)), data(37)
    surface = ls.plane(new(make), examples, alpha=ALPHA, beta=BETA, seed=SEED)
    assert_plain(make, surface, weights, [examples])
    assert ("loaded_at_each_point" in surface.attrs) == (make in strange.BY_LOADING)
    adopted = ls.adopt(new(make), weights, examples).history
    assert float(adopted.train_loss[0]) == pytest.approx(plain_loss(make, weights, [examples]), rel=1e-6)


@pytest.mark.parametrize("make", strange.BY_LOADING, ids=lambda make: make.__name__)
def test_the_path_of_a_training_loads_each_epoch(make: Make) -> None:
    epochs = [state(new(make)) for _ in range(3)]
    for k, weights in enumerate(epochs):
        weights["b.weight"] = weights["b.weight"] + 0.1 * k * torch.randn(strange.CLASSES, 8)
        weights["a.weight"] = weights["a.weight"] * (1 + 0.2 * k)
    examples = data(20)
    found = ls.path(new(make), examples, checkpoints=epochs).saved_loss.values
    assert found.tolist() == pytest.approx([plain_loss(make, weights, [examples]) for weights in epochs], rel=1e-6)


@pytest.mark.parametrize(
    "make",
    [
        strange.MergedByEval,
        strange.DerivedByEval,
        strange.Counts,
        strange.AlwaysInEval,
        strange.ExtraState,
        strange.scripted,
    ],
)
def test_the_history_of_a_training_is_that_of_its_weights(make: Make) -> None:
    examples = data(40)
    network = new(make).eval()
    trained = ls.train(network, examples, epochs=2, batch_size=10, keep="all", learning_rate=0.05)
    assert not network.training
    expected = [plain_loss(make, weights, [examples]) for weights in trained.epochs.values()]
    assert trained.history.train_loss.values.tolist() == pytest.approx(expected, rel=1e-6)


def test_a_network_that_was_in_eval_mode_is_measured_as_it_is() -> None:
    """Its weights are merged, and so is its state dict."""
    network, examples = new(strange.MergedByEval).eval(), data(20)
    with torch.no_grad():
        expected = float(F.cross_entropy(network(examples[0]).double(), examples[1]))
    assert float(ls.plane(network, examples, alpha=(0, 1, 2), seed=1).train_loss[0, 0]) == pytest.approx(
        expected, rel=1e-6
    )


def evenly(examples: Data) -> list[Data]:
    parts = max(1, round(len(examples[0]) / BATCH))
    return list(zip(examples[0].tensor_split(parts), examples[1].tensor_split(parts), strict=True))


@pytest.mark.parametrize("make", strange.OF_BATCHES, ids=lambda make: make.__name__)
def test_batches_of_a_network_that_depends_on_them_are_of_one_split(make: Make) -> None:
    train, test, weights = data(333), data(70, seed=1), state(new(make))
    surface = ls.plane(new(make), train, test=test, alpha=ALPHA, beta=BETA, seed=SEED)
    assert_plain(make, surface, weights, evenly(train))
    assert_plain(make, surface, weights, evenly(test), "test")
    alone = ls.plane(new(make), train, alpha=ALPHA, beta=BETA, seed=SEED)
    assert alone.train_loss.equals(surface.train_loss)
    assert surface.attrs["loss_depends_on_batches_of"] == surface.attrs["batch"] == BATCH
    adopted = ls.adopt(new(make), weights, train, test=test).history
    assert float(adopted.test_loss[0]) == pytest.approx(plain_loss(make, weights, evenly(test)), rel=1e-6)
    assert "which depends on the batches, of about 128 examples" in words.mean_loss([adopted])


@pytest.mark.parametrize("make", [strange.OneByOne, strange.CountsInVain, Base], ids=lambda make: make.__name__)
def test_other_networks_share_batches(make: Make) -> None:
    surface = ls.plane(new(make), data(20), alpha=(0, 1, 2), seed=1)
    assert "loss_depends_on_batches_of" not in surface.attrs
    assert "depends on the batches" not in words.mean_loss([surface])


@pytest.mark.parametrize("steps", [1, 2, EXAMPLES])
def test_an_output_with_its_examples_in_the_second_dimension_depends_on_no_batch(steps: int) -> None:
    class StepsFirst(Base):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x).expand(steps, -1, -1)

    def loss(output: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(output.mean(0), target, reduction="none")

    assert tried(of_loss(loss, score="none"), new(StepsFirst), Examples(*data(20))).batch is None


def test_a_network_that_insists_on_gradients_gets_them() -> None:
    class GradientsOn(Base):
        def forward(self, x: Tensor) -> Tensor:
            assert torch.is_grad_enabled()
            return super().forward(x)

    found, plain = (ls.plane(new(make), data(20), alpha=(0, 1, 2), seed=1) for make in (GradientsOn, Base))
    assert found.train_loss.values == pytest.approx(plain.train_loss.values, rel=1e-6)
    assert ls.eigenpairs(new(GradientsOn), data(20), pairs=1).attrs["status"] == "computed"


def test_a_deep_network_that_amplifies_rounding_depends_on_no_batch() -> None:
    """In float32 an example alone differs from the same in a batch by far more than rounding of one layer."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for _ in range(60):
        layer = nn.Linear(40, 40)
        nn.init.normal_(layer.weight, std=3.0 / 40**0.5)
        layers += [layer, nn.Tanh()]
    network = nn.Sequential(nn.Linear(strange.INPUTS, 40), *layers, nn.Linear(40, strange.CLASSES))
    examples = Examples(*data(8))
    with torch.no_grad():
        together, alone = network(examples.inputs[:4])[1], network(examples.inputs[1:2])[0]
    assert float((together - alone).abs().max() / together.abs().max()) > 1e-4
    assert tried(CLASSIFICATION, network, examples).batch is None


@pytest.mark.parametrize("make", strange.RANDOM, ids=lambda make: make.__name__)
@pytest.mark.parametrize("call", [ls.plane, ls.adopt, ls.train, ls.eigenpairs], ids=lambda call: call.__name__)
def test_a_random_network_is_refused(make: Make, call: Any) -> None:
    keys: Any = {"plane": {"alpha": (0, 1, 2)}, "train": {"epochs": 1}}.get(call.__name__, {})
    given = (new(make), state(new(make)), data(20)) if call is ls.adopt else (new(make), data(20))
    with pytest.raises(
        InputError, match=r"different outputs, since it draws random numbers; .*F\.dropout without training="
    ):
        call(*given, **keys)


@pytest.mark.parametrize("make", strange.WHATEVER_THE_SEED, ids=lambda make: make.__name__)
def test_a_network_that_differs_at_every_call_is_refused(make: Make) -> None:
    with pytest.raises(InputError, match="different outputs, and draws no random numbers from torch, numpy or Python"):
        ls.plane(new(make), data(20), alpha=(0, 1, 2))


def sampled(network: Any, batch: Data, random: torch.Generator | None = None) -> Tensor:
    noise = torch.randn(batch[0].shape, generator=random)
    return F.cross_entropy(network(batch[0] + noise), batch[1], reduction="none")


def test_a_random_objective_is_refused_and_one_that_seeds_is_measured() -> None:
    def seeded(network: Any, batch: Data) -> Tensor:
        return sampled(network, batch, torch.Generator().manual_seed(1))

    examples = data(200)
    with pytest.raises(
        InputError, match=r"the loss sampled is no function .* losses, since .* torch.Generator that it seeds at"
    ):
        ls.plane(new(Base), examples, objective=sampled, alpha=(0, 1, 2))
    found = ls.plane(new(Base), examples, objective=seeded, alpha=(0, 1, 2), seed=SEED)
    network = new(Base)
    with torch.no_grad():
        losses = [seeded(network, batch).double() for batch in evenly(examples)]
    assert float(found.train_loss[0, 0]) == pytest.approx(float(torch.cat(losses).mean()), rel=1e-6)
    assert found.attrs["loss_depends_on_batches_of"] == BATCH  # the noise of an example follows from its place


DIFFERENTIATED: list[Any] = [
    (ls.eigenpairs, {"pairs": 1, "parameters": "all"}),
    (ls.plane, {"measure": "gradients", "alpha": (-1, 1, 3)}),
    (ls.activations, {}),
]


@pytest.mark.parametrize("call", DIFFERENTIATED, ids=["eigenpairs", "gradients", "activations"])
@pytest.mark.parametrize("make", strange.BY_LOADING, ids=lambda make: make.__name__)
def test_derivatives_of_a_network_that_is_loaded_at_every_point_are_refused(make: Make, call: Any) -> None:
    with pytest.raises(
        InputError, match="no derivatives that can be measured: (eval|it keeps|a pass over|a pass changes)"
    ):
        call[0](new(make), data(20), **call[1])


def double_loss(make: Make, batches: list[Data], flat: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The loss over batches in float64 as a function of all parameters, flat, and the gradient."""
    network = new(make).double().eval()
    names = [name for name, _ in network.named_parameters()]
    own = torch.cat([of.detach().reshape(-1) for of in network.parameters()])
    flat = (own if flat is None else flat).requires_grad_(True)
    parts = flat.split([of.numel() for of in network.parameters()])
    weights = {name: part.view_as(of) for name, part, of in zip(names, parts, network.parameters(), strict=True)}
    total = torch.zeros((), dtype=torch.float64)
    for inputs, targets in batches:
        output = torch.func.functional_call(network, weights, (inputs.double(),))
        total = total + F.cross_entropy(output, targets, reduction="sum")
    loss = total / sum(len(targets) for _, targets in batches)
    return loss.detach(), torch.autograd.grad(loss, flat)[0]


@pytest.mark.parametrize("make", [strange.BatchMean, strange.BatchNorm, strange.Contrasts, strange.GhostNorm])
def test_derivatives_of_a_network_that_depends_on_batches_are_over_the_same_batches(make: Make) -> None:
    examples = data(333)
    spec: dict[str, Any] = {"measure": "gradients", "alpha": (0, 1, 2), "parameters": "all", "precision": "fp64"}
    found = ls.plane(new(make), examples, **spec)
    loss, gradient = double_loss(make, evenly(examples))
    assert float(found.train_loss[0, 0]) == pytest.approx(float(loss), rel=1e-9)
    assert float(found.gradient_norm[0, 0]) == pytest.approx(float(gradient.norm()), rel=1e-6)
    wrong = float(double_loss(make, [examples])[1].norm())
    assert wrong != pytest.approx(float(gradient.norm()), rel=1e-5)


def test_activations_of_a_network_that_depends_on_batches_are_over_the_same_batches() -> None:
    examples, weights = data(333), state(new(strange.BatchMean))
    found = ls.activations(new(strange.BatchMean), examples)
    assert float(found.train_loss) == pytest.approx(plain_loss(strange.BatchMean, weights, evenly(examples)), rel=1e-6)


def noisy_loss(output: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(output + torch.randn_like(output), target, reduction="none")


def ranked_loss(output: Tensor, target: Tensor) -> Tensor:
    losses = F.cross_entropy(output, target, reduction="none")
    return losses * (1 + (losses > losses.mean()))


def contrast(network: Any, batch: Data) -> Tensor:
    hidden = F.normalize(network(batch[0]))
    return F.cross_entropy(hidden @ hidden.T, torch.arange(len(hidden)), reduction="none")


def mean_loss(output: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(output, target)


def test_a_loss_that_is_random_is_refused_by_its_name() -> None:
    with pytest.raises(
        InputError, match="the loss noisy_loss is no function of the weights: .* gives different losses"
    ):
        ls.plane(new(Base), data(20), loss=noisy_loss, alpha=(0, 1, 2))


@pytest.mark.parametrize(
    "told", [{"loss": ranked_loss}, {"loss": mean_loss}, {"objective": contrast}], ids=["ranked", "mean", "contrast"]
)
def test_batches_of_a_loss_that_depends_on_them_are_of_one_split(told: dict[str, Any]) -> None:
    train, test, network = data(333), data(70, seed=1), new(Base)
    surface = ls.plane(new(Base), train, test=test, alpha=(0, 1, 2), seed=SEED, **told)
    for split, examples in (("train", train), ("test", test)):
        total = 0.0
        for batch in evenly(examples):
            with torch.no_grad():
                losses = (
                    contrast(network, batch)
                    if "objective" in told
                    else told["loss"](network(batch[0]).double(), batch[1])
                )
            total += float(losses.double().mean()) * len(batch[0])
        assert float(surface[f"{split}_loss"][0, 0]) == pytest.approx(total / len(examples[0]), rel=1e-6)
    assert surface.attrs["loss_depends_on_batches_of"] == BATCH


class Normed(strange.MergedByEval):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(8)

    def after(self, hidden: Tensor) -> Tensor:
        return super().after(self.norm(hidden))


def test_recalibration_of_a_network_that_is_loaded_at_every_point() -> None:
    examples, weights = data(300), state(new(Normed))
    surface = ls.plane(new(Normed), examples, alpha=ALPHA, beta=BETA, seed=SEED, batchnorm="recalibrated")
    assert surface.attrs["loaded_at_each_point"] == "eval() changes a.weight"
    pair = ls.basis(new(Normed), line=False, seed=SEED)
    for alpha in surface.alpha.values.tolist():
        network = new(Normed)
        network.load_state_dict(at(weights, pair, alpha, 0.5))
        network.eval()
        for norm in (module for module in network.modules() if isinstance(module, nn.BatchNorm1d)):
            norm.reset_running_stats()
            norm.momentum = None
            norm.train()
        with torch.no_grad():
            for inputs, _ in evenly(examples):
                network(inputs)
            expected = float(F.cross_entropy(network.eval()(examples[0]).double(), examples[1]))
        assert float(surface.train_loss.sel(alpha=alpha, beta=0.5)) == pytest.approx(expected, rel=1e-5)


def test_negative_variances_of_a_network_that_is_loaded_at_every_point() -> None:
    other = new(Normed)
    other.get_buffer("norm.running_var").mul_(3)
    with torch.no_grad():
        other.get_parameter("b.weight").mul_(1.1)
    surface = ls.plane(new(Normed), data(20), to=other, alpha=(-1, 1, 5), batchnorm="interpolated")
    assert surface.negative_variances.values.ravel().tolist() == [8, 0, 0, 0, 0]
    assert surface.attrs["loaded_at_each_point"] == "eval() changes a.weight"


@pytest.mark.parametrize("make", [strange.MergedByEval, strange.Counts, strange.BatchMean])
def test_reduced_precision_of_a_strange_network_is_near(make: Make) -> None:
    surface = ls.plane(new(make), data(50), alpha=ALPHA, beta=BETA, seed=SEED, precision="bf16")
    exact = ls.plane(new(make), data(50), alpha=ALPHA, beta=BETA, seed=SEED)
    assert 0 < surface.attrs["precision_deviation"] < 0.05
    assert abs(surface.train_loss / exact.train_loss - 1).max() < 0.05


class SharedMemory(nn.Sequential):
    """Two parameters on the same memory, which loading writes one after the other."""

    def __init__(self) -> None:
        super().__init__(
            nn.Linear(strange.INPUTS, strange.INPUTS), nn.Tanh(), nn.Linear(strange.INPUTS, strange.CLASSES)
        )
        first, _, last = self.children()
        last.weight = nn.Parameter(first.get_parameter("weight").data[: strange.CLASSES])


def test_parameters_on_the_same_memory_are_what_loading_makes_of_them() -> None:
    weights, examples = state(new(SharedMemory)), data(30)
    surface = ls.plane(new(SharedMemory), examples, alpha=ALPHA, beta=BETA, seed=SEED)
    assert_plain(SharedMemory, surface, weights, [examples])


def test_a_network_before_training_is_tried_with_layers_away_from_zero() -> None:
    """A last layer of zeros would hide that the rest is random, or depends on the batch."""
    for make in (strange.Dropout, strange.BatchMean):
        network = new(make)
        nn.init.zeros_(network.b.weight)  # type: ignore[union-attr, arg-type]
        nn.init.zeros_(network.b.bias)  # type: ignore[union-attr, arg-type]
        if make is strange.Dropout:
            with pytest.raises(InputError, match="random numbers"):
                ls.train(network, data(20), epochs=1)
        else:
            history = ls.train(network, data(20), epochs=1, batch_size=10).history
            assert history.attrs["loss_depends_on_batches_of"] == BATCH


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("make", strange.BY_VIEWS + strange.BY_LOADING, ids=lambda make: make.__name__)
def test_a_copy_does_what_the_network_does_and_leaves_it_alone(make: Make) -> None:
    network, inputs = new(make), data(9)[0]
    before = state(network)
    made = duplicate(network)
    with torch.no_grad():
        for tensor in made.parameters():
            tensor.mul_(1.5)
    assert weights_alike(tensors_of(network), before)
    reference = new(make)
    with torch.no_grad():
        for tensor in reference.parameters():
            tensor.mul_(1.5)
        assert torch.equal(made.eval()(inputs.clone()), reference.eval()(inputs.clone()))


def test_memory_for_a_batch_is_not_halved_where_the_loss_depends_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    network, examples = new(strange.BatchMean), Examples(*data(300))
    objective = tried(CLASSIFICATION, network, examples)
    engine = Engine(network, tensors_of(network), {}, {"train": examples}, objective)

    def without_room(*args: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(engine, "_values", without_room)
    with pytest.raises(torch.OutOfMemoryError):
        engine.centre()
    assert engine.batch == BATCH


def test_extra_state_of_a_checkpoint_is_that_of_the_network_or_refused(tmp_path: Path) -> None:
    network, examples = new(strange.ExtraState), data(20)
    torch.save(network.state_dict(), tmp_path / "same.pt")
    torch.save({"model": network.state_dict()}, tmp_path / "below.pt")
    for name in ("same.pt", "below.pt"):
        found = ls.adopt(new(strange.ExtraState), str(tmp_path / name), examples).history
        assert float(found.train_loss[0]) == pytest.approx(plain_loss(strange.ExtraState, state(network), [examples]))
    strange.ExtraState.set_extra_state(network, {"scale": 2.0})  # type: ignore[arg-type]
    torch.save(network.state_dict(), tmp_path / "other.pt")
    with pytest.raises(
        InputError, match=r"other\.pt holds _extra_state, which is no tensor and not that of the network"
    ):
        ls.adopt(new(strange.ExtraState), str(tmp_path / "other.pt"), examples)


class Told(nn.Module):
    """Has `told` as its extra state, and another such module in it."""

    def __init__(self, told: Any, inner: Any) -> None:
        super().__init__()
        self.linear, self.told = nn.Linear(2, 2), told
        self.inner = Told(inner, None) if inner is not None else None

    def get_extra_state(self) -> Any:
        return self.told

    def set_extra_state(self, state: Any) -> None:
        self.told = state


@pytest.mark.parametrize(
    "told, other",
    [(1, 2), (1, 1.5), (None, 3), ("a", "b"), ([1, 2], [1]), ({"a": np.arange(3)}, {"a": np.arange(1, 4)})]
    + [({"a": torch.ones(2)}, {"a": 3}), ({"a": [1]}, {"a": torch.ones(1)}), ((1, {"b": 2}), (1, {"b": 3}))],
)
def test_extra_states_are_compared_by_their_own_names(told: Any, other: Any) -> None:
    """That of a module ends with the name of that of the whole network."""
    for wrapped in (lambda state: state, lambda state: {"model": {f"module.{name}": of for name, of in state.items()}}):
        fitting.fitted(wrapped(Told(told, "inner").state_dict()), Told(told, "inner"), "x.pt")
        for wrong, name in ((Told(other, "inner"), "_extra_state"), (Told(told, "outer"), "inner._extra_state")):
            with pytest.raises(InputError, match=f"x.pt holds {name}, which is no tensor"):
                fitting.fitted(wrapped(wrong.state_dict()), Told(told, "inner"), "x.pt")


def weights_alike(one: Weights, other: Weights) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def test_the_network_of_the_user_is_left_as_it_was() -> None:
    for make in (strange.MergedByEval, strange.Counts, strange.BatchNorm):
        network = new(make).train()
        before = state(network)
        ls.plane(network, data(20), alpha=(0, 1, 2))
        assert weights_alike(state(network), before) and network.training
        assert getattr(network, "calls", 0) == 0


@pytest.mark.parametrize(
    "make", [strange.ExtraState, strange.MergedByEval, strange.Counts], ids=lambda make: make.__name__
)
def test_an_own_training_may_yield_the_whole_state_dict(make: Make) -> None:
    def shrinking(network: nn.Module, data: Any, seed: int) -> Any:
        for _ in range(2):
            with torch.no_grad():
                for parameter in network.parameters():
                    parameter.mul_(0.9)
            network(data.train.inputs)
            yield network.state_dict()

    examples = data(30)
    trained = ls.train(new(make), examples, train=shrinking, epochs=2, keep="all")
    expected = [plain_loss(make, weights, [examples]) for weights in trained.epochs.values()]
    assert trained.history.train_loss.values.tolist() == pytest.approx(expected, rel=1e-6)
    assert len(set(expected)) == 3


@pytest.mark.parametrize("call", [ls.plane, ls.train, ls.eigenpairs], ids=lambda call: call.__name__)
def test_a_network_whose_copies_compute_with_its_own_tensors_is_refused(call: Any) -> None:
    keys: Any = {"plane": {"alpha": (0, 1, 2)}, "train": {"epochs": 1}}.get(call.__name__, {})
    with pytest.raises(InputError, match="cannot be copied: the copy computes with tensors of the network itself"):
        call(new(strange.HeldElsewhere), data(20), **keys)
