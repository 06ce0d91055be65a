"""Losses, scores, data and layers of every kind, against a plain loop in float64."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.nn.utils import parametrizations

import landscape as ls
from landscape.errors import InputError

Batch = tuple[Any, Any]
GRID: dict[str, Any] = {"alpha": (-1, 1, 3), "beta": (-3, 3, 3), "seed": 4}


def called(network: Any, inputs: Any) -> Any:
    if isinstance(inputs, dict):
        return network(**inputs)
    return network(*inputs) if isinstance(inputs, tuple) else network(inputs)


@dataclass
class Case:
    """A network, data, what the library is told, and the same loss written plainly for all examples at once."""

    network: nn.Module
    data: Batch
    plain: Callable[[Any, Any], Tensor]
    told: dict[str, Any] = field(default_factory=dict)
    score: tuple[str, Callable[[Any, Any], float]] | None = None
    of_network: Callable[[Any, Any], Tensor] | None = None

    def at(self, weights: dict[str, Tensor]) -> Tensor:
        """The loss of the network with these weights, all in the weights' type, in one pass."""
        network = copy.deepcopy(self.network).double().eval()
        inputs, targets = in_double(self.data[0]), in_double(self.data[1])

        def at_point(*args: Any, **named: Any) -> Any:
            return functional_call(network, weights, args, named)

        if self.of_network is not None:
            return self.of_network(at_point, inputs if targets is None else (inputs, targets)).mean()
        return self.plain(called(at_point, inputs), targets)

    @property
    def weights(self) -> dict[str, Tensor]:
        tied = {"head.weight"} if isinstance(self.network, Tokens) else set()
        return {name: in_double(of.detach()) for name, of in self.network.state_dict().items() if name not in tied}


def in_double(rows: Any) -> Any:
    if isinstance(rows, dict):
        return {name: in_double(of) for name, of in rows.items()}
    if isinstance(rows, tuple):
        return tuple(map(in_double, rows))
    return rows.double() if isinstance(rows, Tensor) and rows.is_floating_point() else rows


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def whole(high: int, *shape: int, seed: int = 0) -> Tensor:
    return torch.randint(0, high, shape, generator=torch.Generator().manual_seed(seed))


def smooth(inputs: int = 5, outputs: int = 3) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, 4), nn.Tanh(), nn.Linear(4, outputs))


N = 37  # no multiple of any batch
X = draw(N, 5)
LABELS = whole(3, N)
FEW = LABELS.clone()
FEW[::4] = -100
WEIGHT = [0.2, 1.0, 3.5]


def right(output: Tensor, target: Tensor) -> float:
    counted = target != -100
    return float((output.argmax(1) == target)[counted].double().mean())


def explained(output: Tensor, target: Tensor) -> float:
    target = target.reshape(output.shape)
    return float(1 - (output - target).square().sum() / (target - target.mean(0)).square().sum())


class Tokens(nn.Module):
    """Tokens to logits of the next ones, the classes last; tied embedding and head."""

    def __init__(self, tied: bool = True):
        super().__init__()
        self.embed = nn.Embedding(11, 6)
        self.mix = nn.Linear(6, 6)
        self.norm = nn.LayerNorm(6)
        self.head = nn.Linear(6, 11, bias=False)
        if tied:
            self.head.weight = self.embed.weight

    def forward(self, tokens: Tensor) -> Tensor:
        logits: Tensor = self.head(self.norm(torch.tanh(self.mix(self.embed(tokens)))))
        return logits


class Attention(nn.Module):
    """Several inputs by name, and an output with a name."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(13, 8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, input_ids: Tensor, mask: Tensor) -> dict[str, Tensor]:
        x = self.embed(input_ids)
        y, _ = self.attention(x, x, x, key_padding_mask=~mask)
        pooled = (y * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        return {"hidden": y, "scores": self.head(pooled)}


class Two(nn.Module):
    """Two inputs by position, two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(5, 4), nn.Linear(3, 4)
        self.out = nn.Linear(4, 2)

    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        hidden = torch.tanh(self.left(a) * self.right(b))
        return hidden, self.out(hidden)


class Recurrent(nn.Module):
    def __init__(self, kind: Any):
        super().__init__()
        self.rnn = kind(4, 5, batch_first=True)
        self.out = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.out(self.rnn(x)[0][:, -1])
        return out


class Field(nn.Module):
    """A physics-informed network: y'' + y on [0, 2]."""

    def __init__(self) -> None:
        super().__init__()
        self.net = smooth(1, 1)

    def forward(self, t: Tensor) -> Tensor:
        y: Tensor = self.net(t)
        return y


def residual(network: Any, batch: Tensor) -> Tensor:
    t = batch.requires_grad_(True)
    y = network(t)
    (first,) = torch.autograd.grad(y.sum(), t, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), t, create_graph=True)
    return (second + y).square().sum(1)


def rebuilt(network: Any, batch: Tensor) -> Tensor:
    return (network(batch) - batch).square().mean(1)


def twice_as_far(output: Tensor, target: Tensor) -> Tensor:
    return (2 * (output - target)).abs() ** 1.5


SEGMENTS = whole(3, N, 4, 6)
SEGMENTS[:, 0, :2] = 7
TOKENS = whole(11, N, 8)


def conv(dimensions: int, norm: nn.Module | None = None, channels: int = 1) -> nn.Module:
    kind = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[dimensions]
    pool = {1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}[dimensions]
    middle = [norm] if norm is not None else []
    return nn.Sequential(kind(channels, 4, 3, padding=1), *middle, nn.Tanh(), pool(1), nn.Flatten(), nn.Linear(4, 3))


def settled(network: nn.Module, x: Tensor) -> nn.Module:
    """Give batch norm statistics other than 0 and 1."""
    network.train()
    for k in range(5):
        network(x + draw(*x.shape, seed=k))
    return network.eval()


def cases() -> dict[str, Case]:
    torch.manual_seed(3)
    ce: dict[str, Any] = {"score": ("accuracy", right)}
    wide = draw(N, 1, 4, 7)
    found = {
        "cross_entropy": Case(smooth(), (X, LABELS), F.cross_entropy, **ce),
        "class weights": Case(
            smooth(),
            (X, LABELS),
            lambda o, t: F.cross_entropy(o, t, torch.tensor(WEIGHT).double()),
            {"loss": {"name": "cross_entropy", "args": {"weight": WEIGHT}}},
            **ce,
        ),
        "smoothing and weights": Case(
            smooth(),
            (X, LABELS),
            lambda o, t: F.cross_entropy(o, t, torch.tensor(WEIGHT).double(), label_smoothing=0.2),
            {"loss": {"name": "cross_entropy", "args": {"weight": WEIGHT, "label_smoothing": 0.2}}},
        ),
        "probabilities": Case(smooth(), (X, draw(N, 3, seed=5).softmax(1)), F.cross_entropy),
        "segmentation": Case(
            nn.Conv2d(2, 3, 3, padding=1),
            (draw(N, 2, 4, 6), SEGMENTS),
            lambda o, t: F.cross_entropy(o, t, ignore_index=7),
            {"loss": {"name": "cross_entropy", "args": {"ignore_index": 7}}},
            score=("accuracy", lambda o, t: float((o.argmax(1) == t)[t != 7].double().mean())),
        ),
        "language model": Case(
            Tokens(), (TOKENS[:, :-1], TOKENS[:, 1:]), lambda o, t: F.cross_entropy(o.movedim(-1, 1), t)
        ),
        "bce": Case(
            smooth(5, 1),
            (X, LABELS.clamp_max(1).float()),
            lambda o, t: F.binary_cross_entropy_with_logits(o[:, 0], t),
            {"loss": "bce"},
            ("accuracy", lambda o, t: float(((o[:, 0] > 0) == (t > 0.5)).double().mean())),
        ),
        "bce of several labels": Case(
            smooth(),
            (X, whole(2, N, 3).float()),
            lambda o, t: F.binary_cross_entropy_with_logits(o, t, pos_weight=torch.tensor([1.0, 2.0, 3.0]).double()),
            {"loss": {"name": "bce", "args": {"pos_weight": [1.0, 2.0, 3.0]}}},
        ),
        "mse": Case(smooth(), (X, draw(N, 3, seed=1)), F.mse_loss, {"loss": "mse"}, ("r2", explained)),
        "mse of one output": Case(
            smooth(5, 1), (X, draw(N, seed=1)), lambda o, t: F.mse_loss(o[:, 0], t), {"loss": "mse"}, ("r2", explained)
        ),
        "mae": Case(smooth(), (X, draw(N, 3, seed=1)), F.l1_loss, {"loss": "mae"}, ("r2", explained)),
        "huber": Case(
            smooth(),
            (X, draw(N, 3, seed=1)),
            lambda o, t: F.huber_loss(o, t, delta=0.3),
            {"loss": {"name": "huber", "args": {"delta": 0.3}}},
        ),
        "nll": Case(nn.Sequential(smooth(), nn.LogSoftmax(1)), (X, LABELS), F.nll_loss, {"loss": "nll"}, **ce),
        "a function": Case(
            smooth(), (X, draw(N, 3, seed=1)), lambda o, t: twice_as_far(o, t).mean(), {"loss": twice_as_far}
        ),
        "an autoencoder": Case(smooth(5, 5), (X, None), F.mse_loss, {"objective": rebuilt}, of_network=rebuilt),
        "physics": Case(Field(), (draw(N, 1), None), F.mse_loss, {"objective": residual}, of_network=residual),
        "names and masks": Case(
            Attention(),
            ({"input_ids": whole(13, N, 6), "mask": torch.arange(6) < whole(6, N, 1) + 1}, LABELS),
            lambda o, t: F.cross_entropy(o["scores"], t),
            {"output": "scores"},
        ),
        "two inputs": Case(
            Two(), ((X, draw(N, 3)), draw(N, 2)), lambda o, t: F.mse_loss(o[1], t), {"output": 1, "loss": "mse"}
        ),
        "not square": Case(conv(2), (wide, LABELS), F.cross_entropy, **ce),
        "one dimension": Case(conv(1), (draw(N, 1, 9), LABELS), F.cross_entropy, **ce),
        "three dimensions": Case(conv(3), (draw(N, 1, 3, 4, 5), LABELS), F.cross_entropy, **ce),
        "batch norm": Case(settled(conv(2, nn.BatchNorm2d(4)), wide), (wide, LABELS), F.cross_entropy, **ce),
        "group norm": Case(conv(2, nn.GroupNorm(2, 4)), (wide, LABELS), F.cross_entropy, **ce),
        "instance norm": Case(conv(2, nn.InstanceNorm2d(4, affine=True)), (wide, LABELS), F.cross_entropy, **ce),
        "RMS norm": Case(nn.Sequential(nn.Linear(5, 4), nn.RMSNorm(4), nn.Linear(4, 3)), (X, LABELS), F.cross_entropy),
        "weight norm": Case(
            nn.Sequential(parametrizations.weight_norm(nn.Linear(5, 4)), nn.Tanh(), nn.Linear(4, 3)),
            (X, LABELS),
            F.cross_entropy,
        ),
        "spectral norm": Case(
            nn.Sequential(parametrizations.spectral_norm(nn.Linear(5, 4)), nn.Tanh(), nn.Linear(4, 3)),
            (X, LABELS),
            F.cross_entropy,
        ),
        "an LSTM": Case(Recurrent(nn.LSTM), (draw(N, 6, 4), LABELS), F.cross_entropy, **ce),
        "a GRU": Case(Recurrent(nn.GRU), (draw(N, 6, 4), LABELS), F.cross_entropy, **ce),
        "a transformer": Case(
            nn.Sequential(
                nn.TransformerEncoderLayer(4, 2, 6, batch_first=True, activation="gelu"), nn.Flatten(), nn.Linear(24, 3)
            ),
            (draw(N, 6, 4), LABELS),
            F.cross_entropy,
            **ce,
        ),
    }
    frozen = smooth()
    frozen[0].requires_grad_(False)  # type: ignore[index]
    frozen.register_buffer("steps", torch.tensor(7))
    found["frozen, with a counter"] = Case(frozen, (X, LABELS), F.cross_entropy, **ce)
    return found


CASES = cases()


@pytest.mark.parametrize("name", CASES)
def test_a_plane_is_that_of_a_plain_loop(name: str) -> None:
    case = CASES[name]
    surface = ls.plane(case.network, case.data, **case.told, **GRID)
    pair = ls.basis(case.network, line=False, seed=GRID["seed"])
    for a, alpha in enumerate(surface.alpha.values):
        for b, beta in enumerate(surface.beta.values):
            point = {
                key: of + alpha * pair["alpha"][key].double() + beta * pair["beta"][key].double()
                if key in pair["alpha"]
                else of
                for key, of in case.weights.items()
            }
            expected = float(case.at(point).detach())
            assert float(surface.train_loss[a, b]) == pytest.approx(expected, rel=2e-5, abs=1e-7), (alpha, beta)
    if case.score is not None:
        of, score = case.score
        output = called(copy.deepcopy(case.network).double().eval(), in_double(case.data[0]))
        expected = score(output.detach(), in_double(case.data[1]))
        assert float(surface[f"train_{of}"].sel(alpha=0, beta=0)) == pytest.approx(expected, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize(
    "name", [name for name in CASES if sum(p.numel() for p in CASES[name].network.parameters()) < 200]
)
def test_eigenvalues_are_those_of_the_dense_hessian(name: str) -> None:
    case = CASES[name]
    found = ls.eigenpairs(case.network, case.data, **case.told, pairs=1, parameters="all", precision="fp64")
    named = {key: of.detach().double() for key, of in case.network.named_parameters()}
    flat = torch.cat([of.reshape(-1) for of in named.values()])

    def loss(vector: Tensor) -> Tensor:
        parts = vector.split([of.numel() for of in named.values()])
        return case.at(
            case.weights | {key: part.view_as(of) for (key, of), part in zip(named.items(), parts, strict=True)}
        )

    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH), torch.backends.mkldnn.flags(enabled=False):
        dense = torch.autograd.functional.hessian(loss, flat)
    values = torch.linalg.eigvalsh((dense + dense.T) / 2)
    scale = float(values.abs().max())
    assert float(found.eigenvalue_largest[0]) == pytest.approx(float(values[-1]), abs=0.01 * scale)
    assert float(found.eigenvalue_smallest[0]) == pytest.approx(float(values[0]), abs=0.01 * scale)


@pytest.mark.parametrize("name", ["cross_entropy", "class weights", "segmentation", "mse"])
def test_standard_errors_are_those_of_the_bootstrap(name: str) -> None:
    case = CASES[name]
    surface = ls.plane(case.network, case.data, **case.told, alpha=(0, 1, 2), seed=4)
    pair = ls.basis(case.network, line=True, seed=4)["alpha"]
    rng = np.random.default_rng(0)
    outputs = []
    for step in (0.0, 1.0):
        network = copy.deepcopy(case.network).double().eval()
        point = {key: of + step * pair[key].double() if key in pair else of for key, of in case.weights.items()}
        outputs.append(functional_call(network, point, in_double(case.data[0])).detach())
    losses, rises = [], []
    for _ in range(2000):
        chosen = torch.from_numpy(rng.integers(0, N, N))
        here, there = (float(case.plain(out[chosen], in_double(case.data[1])[chosen])) for out in outputs)
        losses.append(there)
        rises.append(there - here)
    assert float(surface.train_loss_standard_error[1, 0]) == pytest.approx(np.std(losses), rel=0.1)
    assert float(surface.train_loss_paired_standard_error[1, 0]) == pytest.approx(np.std(rises), rel=0.1)


def test_a_loss_of_a_whole_batch_has_no_errors_and_never_mixes_splits() -> None:
    seen = []

    def spread(output: Tensor, target: Tensor) -> Tensor:
        seen.append(len(output))
        return output.var() + F.cross_entropy(output, target)

    network, test = smooth(), (draw(11, 5, seed=2), whole(3, 11))
    surface = ls.plane(network, (X, LABELS), test=test, loss=spread, alpha=(0, 1, 2))
    assert "train_loss_standard_error" not in surface and surface.attrs["loss_of"] == "a batch"
    assert {N, 11} <= set(seen) and N + 11 not in seen
    output = network(test[0]).detach()
    assert float(surface.test_loss[0, 0]) == pytest.approx(
        float(output.var() + F.cross_entropy(output, test[1])), rel=1e-5
    )


def test_ignored_targets_do_not_count() -> None:
    found = ls.plane(smooth(), (X, FEW.clamp_min(0)), alpha=(0, 0, 1))
    assert "train_accuracy" in found
    images, targets = draw(N, 2, 4, 6), torch.full((N, 4, 6), -100)
    with pytest.raises(InputError, match="no target counts in the loss"):
        ls.plane(nn.Conv2d(2, 3, 1), (images, targets), alpha=(0, 0, 1))


class Wrong(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Any:
        return self.out(x), x


@pytest.mark.parametrize(
    ("network", "data", "told", "message"),
    [
        (smooth(), (X, draw(N, 2)), {}, "floating-point targets are probabilities .* state loss: mse, mae or huber"),
        (
            smooth(),
            (X, draw(N, 2)),
            {"loss": "mse"},
            r"the output is float64 \(4, 3\) and the targets float32 \(4, 2\)",
        ),
        (smooth(5, 2), (X, LABELS), {}, "returned 2 logits for each example; the data has 3 classes"),
        (smooth(), (draw(N, 6), LABELS), {}, r"the network failed on examples float32 \(4, 6\): RuntimeError"),
        (smooth(), (X, LABELS), {"loss": "cross"}, "'cross' is no loss; allowed are cross_entropy, nll, bce"),
        (smooth(), (X, LABELS), {"loss": {"name": "mse", "args": {"delta": 1}}}, "mse takes no delta"),
        (smooth(), (X, LABELS), {"output": "logits"}, "output is 'logits', and the network returns one tensor"),
        (Wrong(), (X, LABELS), {}, "takes one tensor of logits"),
        (smooth(5, 1), (X, LABELS.float()), {"loss": "bce"}, "targets are from 0 to 2; bce takes 0 to 1"),
        (smooth(), (X, LABELS), {"objective": rebuilt, "loss": "mse"}, "objective is in the place of loss"),
        (smooth(), (X, LABELS), {"score": "r3"}, "score"),
        (smooth(), (X, None), {}, "targets"),
        (
            nn.Sequential(nn.Unflatten(1, (1, 5)), nn.Conv1d(1, 3, 3)),
            (X, whole(3, N, 3)),
            {},
            "class_axis: 1",
        ),
    ],
)
def test_what_does_not_fit_is_refused(network: nn.Module, data: Batch, told: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ls.plane(network, data, alpha=(0, 1, 2), **told)


def test_an_output_with_several_parts_names_them() -> None:
    with pytest.raises(InputError, match="output is 'logits', and the network returns tuple of 2: 0 to 1"):
        ls.plane(Wrong(), (X, LABELS), alpha=(0, 1, 2), output="logits")


def test_a_probe_and_a_path_take_any_loss() -> None:
    case = CASES["mse"]
    found = ls.activations(case.network, case.data, loss="mse")
    assert float(found.train_loss) == pytest.approx(float(case.at(case.weights)), rel=1e-6)
    assert found.train_loss.attrs["long_name"] == "mean squared error over the training examples"
    trained = ls.train(smooth(), case.data, loss="mse", epochs=3, batch_size=10, keep="all", learning_rate=0.05)
    assert {"train_r2", "train_loss"} <= set(trained.history) and "train_accuracy" not in trained.history
    walked = ls.path(case.network, case.data, checkpoints=trained.epochs, loss="mse")
    assert walked.saved_loss.values == pytest.approx(trained.history.train_loss.values, rel=1e-6)
    assert walked.saved_loss.attrs["long_name"].startswith("mean squared error of the epoch")


def test_training_takes_torchs_own_mean() -> None:
    """One step by hand, with class weights."""
    torch.manual_seed(0)
    network = smooth()
    twin = copy.deepcopy(network)
    told = {"name": "cross_entropy", "args": {"weight": WEIGHT}}
    ls.train(network, (X, LABELS), loss=told, epochs=1, batch_size=N, momentum=0.0, weight_decay=0.0, learning_rate=0.5)
    F.cross_entropy(twin(X), LABELS, torch.tensor(WEIGHT)).backward()
    for mine, by_hand in zip(network.parameters(), twin.parameters(), strict=True):
        assert by_hand.grad is not None
        assert torch.allclose(mine, by_hand.detach() - 0.5 * by_hand.grad, atol=1e-6)


def test_data_are_left_alone_by_an_objective_that_differentiates() -> None:
    times = draw(N, 1)
    ls.plane(Field(), (times, None), objective=residual, **GRID)
    assert not times.requires_grad


def test_perplexity_is_the_exponential_of_the_loss() -> None:
    case = CASES["language model"]
    surface = ls.plane(case.network, case.data, score="perplexity", alpha=(0, 1, 2))
    assert np.allclose(surface.train_perplexity, np.exp(surface.train_loss))


def test_augmentation_is_of_images() -> None:
    with pytest.raises(InputError, match="augment is crop, and the inputs are no images"):
        ls.train(smooth(), (X, LABELS), epochs=1, augment=("crop",))
    ls.train(smooth(), (X, LABELS), epochs=1)
