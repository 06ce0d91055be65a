"""Curvature of networks whose layers torch differentiates twice wrongly, slowly or not at all, or as any other."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations
from torch.utils.checkpoint import checkpoint

import landscape as ls
from landscape.errors import InputError
from landscape.hessian import saddle_search

torch.set_num_threads(1)

WIDTH, LENGTH = 4, 3


class Sequence(nn.Module):
    """A layer between two linear ones, of inputs (n, length, width), with the mean over the length."""

    def __init__(self, layer: nn.Module):
        super().__init__()
        self.before, self.layer, self.after = nn.Linear(WIDTH, WIDTH), layer, nn.Linear(WIDTH, 3)

    def forward(self, x: Tensor) -> Tensor:
        found = self.layer(self.before(x))
        return self.after((found[0] if isinstance(found, tuple) else found).mean(1))


class Of(nn.Module):
    """A function of the input and a weight, (width, width)."""

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor]):
        super().__init__()
        self.weight, self._function = nn.Parameter(torch.randn(WIDTH, WIDTH) / 2), function

    def forward(self, x: Tensor) -> Tensor:
        return self._function(x, self.weight)


class Attention(nn.Module):
    def __init__(self, **keys: Any):
        super().__init__()
        self.attention, self._keys = nn.MultiheadAttention(WIDTH, 2, batch_first=True), keys

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.attention(x, x, x, **self._keys)[0]
        return found


def scaled(**keys: Any) -> nn.Module:
    """Scaled dot-product attention of two heads; `grouped` has one head of keys and values."""
    grouped = keys.get("enable_gqa", False)

    def heads(x: Tensor) -> Tensor:
        return x.unflatten(-1, (2, WIDTH // 2)).transpose(1, 2)

    def attention(x: Tensor, weight: Tensor) -> Tensor:
        key = heads(x)[:, :1] if grouped else heads(x)
        found = functional.scaled_dot_product_attention(heads(x @ weight), key, key, **keys)
        return found.transpose(1, 2).flatten(-2)

    return Of(attention)


def grid(x: Tensor, weight: Tensor) -> Tensor:
    places = (weight[:LENGTH, :2].tanh() * 0.9).view(1, 1, LENGTH, 2).expand(len(x), 1, LENGTH, 2)
    return functional.grid_sample(x[:, None], places, align_corners=True)[:, 0].transpose(1, 2) * x


def eye(x: Tensor) -> Tensor:
    return torch.eye(WIDTH, dtype=x.dtype)


ALLOWED = torch.ones(LENGTH, LENGTH, dtype=torch.bool).tril()
LAYERS: dict[str, Callable[[], nn.Module]] = {
    "encoder": lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(WIDTH, 2, 5, 0.1, "gelu", batch_first=True), 1),
    "encoder, norm first": lambda: nn.TransformerEncoderLayer(
        WIDTH, 2, 5, activation=functional.silu, batch_first=True, norm_first=True
    ),
    "attention with its weights": lambda: Attention(need_weights=True),
    "attention alone": lambda: Attention(need_weights=False),
    "attention with a mask": lambda: Attention(need_weights=False, attn_mask=~ALLOWED),
    "scaled": lambda: scaled(),
    "scaled, causal": lambda: scaled(is_causal=True),
    "scaled, masked": lambda: scaled(attn_mask=ALLOWED),
    "scaled, grouped": lambda: scaled(enable_gqa=True),
    "scaled, another scale": lambda: scaled(scale=0.7),
    "lstm": lambda: nn.LSTM(WIDTH, WIDTH, batch_first=True),
    "lstm, both ways": lambda: nn.LSTM(WIDTH, WIDTH // 2, batch_first=True, bidirectional=True),
    "gru": lambda: nn.GRU(WIDTH, WIDTH, batch_first=True),
    "rnn": lambda: nn.RNN(WIDTH, WIDTH, batch_first=True),
    "hardsigmoid": lambda: Of(lambda x, w: functional.hardsigmoid(x @ w) * x),
    "hardsigmoid in place": lambda: nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Hardsigmoid(inplace=True)),
    "grid_sample": lambda: Of(grid),
    "bicubic": lambda: Of(
        lambda x, w: functional.interpolate((x @ w)[:, None], scale_factor=2, mode="bicubic")[:, 0, :, ::2]
    ),
    "checkpoint": lambda: Of(lambda x, w: checkpoint(lambda x: (x @ w).tanh(), x, use_reentrant=False)),
    "layer norm": lambda: nn.LayerNorm(WIDTH),
    "rms norm": lambda: nn.RMSNorm(WIDTH),
    "group norm": lambda: nn.GroupNorm(3, LENGTH),
    "spectrum": lambda: Of(lambda x, w: torch.fft.fft(x @ w).abs()),
    "solve": lambda: Of(lambda x, w: torch.linalg.solve(w + 3 * eye(x), x.mT).mT.tanh()),
    "matrix_exp": lambda: Of(lambda x, w: (x @ torch.matrix_exp(w)).tanh()),
    "prelu": nn.PReLU,
    "gelu, tanh": lambda: nn.GELU(approximate="tanh"),
    "fold": lambda: Of(
        lambda x, w: functional.fold(functional.unfold((x @ w)[:, None], 2).tanh(), (LENGTH, WIDTH), 2)[:, 0]
    ),
    "bilinear": lambda: Of(lambda x, w: functional.bilinear(x, x, w[None].expand(WIDTH, WIDTH, WIDTH)).tanh()),
    "cosine": lambda: Of(lambda x, w: functional.cosine_similarity((x @ w)[..., None], x[..., None, :], dim=-1)),
}
WEIGHT_NORMS: dict[str, Callable[[], nn.Module]] = {
    "rows": lambda: parametrizations.weight_norm(nn.Linear(WIDTH, WIDTH)),
    "columns": lambda: parametrizations.weight_norm(nn.Linear(WIDTH, WIDTH), dim=1),
    "whole": lambda: parametrizations.weight_norm(nn.Linear(WIDTH, WIDTH), dim=-1),
    "last dimension": lambda: parametrizations.weight_norm(nn.Conv1d(LENGTH, LENGTH, 1), dim=2),
    "convolution": lambda: parametrizations.weight_norm(nn.Conv1d(LENGTH, LENGTH, 3, padding=1)),
    "transposed": lambda: parametrizations.weight_norm(nn.ConvTranspose1d(LENGTH, LENGTH, 1), dim=1),
    "of a recurrent layer": lambda: parametrizations.weight_norm(
        nn.GRU(WIDTH, WIDTH, batch_first=True), "weight_hh_l0"
    ),
    "by hooks": lambda: nn.utils.weight_norm(nn.Linear(WIDTH, WIDTH)),
    "twice": lambda: nn.Sequential(*(parametrizations.weight_norm(nn.Linear(WIDTH, WIDTH)) for _ in range(2))),
    "spectral norm": lambda: parametrizations.spectral_norm(nn.Linear(WIDTH, WIDTH)),
    "orthogonal": lambda: parametrizations.orthogonal(nn.Linear(WIDTH, WIDTH), orthogonal_map="cayley"),
    "before an activation": lambda: nn.Sequential(parametrizations.weight_norm(nn.Linear(WIDTH, WIDTH)), nn.Tanh()),
}
REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "embedding_bag": (
        lambda: Of(lambda x, w: functional.embedding_bag(torch.arange(4).expand(len(x), 4), w)[:, None] * x),
        "_embedding_bag_backward",
    ),
    "cdist": (lambda: Of(lambda x, w: x * torch.cdist(x @ w, x).sum(-1, keepdim=True)), "_cdist_backward"),
    "segments": (
        lambda: Of(lambda x, w: x + torch.segment_reduce(w, "mean", lengths=torch.tensor([1, 3])).sum()),
        "_segment_reduce_backward",
    ),
    "ctc": (
        lambda: Of(
            lambda x, w: (
                x
                * functional.ctc_loss(
                    (x @ w).transpose(0, 1).log_softmax(-1),
                    torch.ones(len(x), 1).long(),
                    torch.full((len(x),), LENGTH),
                    torch.ones(len(x)).long(),
                )
            )
        ),
        "_ctc_loss_backward",
    ),
    "margin": (
        lambda: Of(lambda x, w: x * functional.multi_margin_loss((x @ w)[:, 0], torch.zeros(len(x)).long(), p=2)),
        "multi_margin_loss_backward",
    ),
    "pairs": (lambda: Of(lambda x, w: x * functional.pdist((x @ w)[:, 0]).sum()), "_pdist_backward"),
    "incomplete gamma": (
        lambda: Of(lambda x, w: torch.igamma((x @ w).square() + 1, x.square() + 1)),
        "igamma",
    ),
    "reentrant checkpoint": (
        lambda: Of(lambda x, w: checkpoint(lambda w: (x @ w).tanh(), w, use_reentrant=True)),
        "checkpoint",
    ),
}


def made(layer: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = Sequence(layer()).eval()
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                if name.endswith(("original0", "weight_g")):  # lengths other than those of the vectors
                    parameter.mul_(torch.rand_like(parameter) + 0.5)
        return network


def data() -> tuple[Tensor, Tensor]:
    return torch.randn(8, LENGTH, WIDTH, generator=torch.Generator().manual_seed(1)), torch.arange(8) % 3


def eigenvalues(network: nn.Module, x: Tensor, y: Tensor) -> np.ndarray:
    """Of the Hessian by central differences of torch's gradient, weight by weight, in float64."""
    network = network.double()
    parameters = [p for p in network.parameters() if p.requires_grad]

    def gradient() -> Tensor:
        loss = functional.cross_entropy(network(x.double()), y)
        found = torch.autograd.grad(loss, parameters, allow_unused=True)
        return torch.cat(
            [(torch.zeros_like(p) if g is None else g).flatten() for p, g in zip(parameters, found, strict=True)]
        )

    rows = []
    for parameter in parameters:
        for k in range(parameter.numel()):
            ends = []
            for side in (1e-5, -1e-5):
                with torch.no_grad():
                    parameter.view(-1)[k] += side
                ends.append(gradient())
                with torch.no_grad():
                    parameter.view(-1)[k] -= side
            rows.append((ends[0] - ends[1]) / 2e-5)
    whole = torch.stack(rows).numpy()
    return np.linalg.eigvalsh((whole + whole.T) / 2)


@pytest.mark.parametrize("layer", [*LAYERS, *(f"weight norm: {name}" for name in WEIGHT_NORMS)])
def test_eigenvalues_are_those_of_differences(layer: str) -> None:
    build = LAYERS[layer] if layer in LAYERS else WEIGHT_NORMS[layer.removeprefix("weight norm: ")]
    expected = eigenvalues(made(build), *data())
    for precision, near in (("fp64", 1e-6), ("fp32", 1e-3)):
        found = ls.eigenpairs(made(build), data(), pairs=1, parameters="all", precision=precision)
        scale = float(np.abs(expected).max())
        for end, value in (("largest", expected[-1]), ("smallest", expected[0])):
            allowed = float(found[f"residual_{end}"][0]) + near * scale
            assert float(found[f"eigenvalue_{end}"][0]) == pytest.approx(value, abs=allowed)
        assert found.attrs["gradient_error"] < 1e-5 and found.attrs["product_error"] < 1e-5
        assert found.attrs["symmetry_error"] < 1e-5


@pytest.mark.parametrize("measure", ["curvature", "trace", "spectrum", "saddle", "gradients"])
@pytest.mark.parametrize("layer", ["encoder", "scaled, causal", "rows"])
def test_every_measure_takes_them(measure: str, layer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network = made({**LAYERS, **WEIGHT_NORMS}[layer])
    if measure in ("curvature", "gradients"):
        surface = ls.plane(network, data(), measure=measure, alpha=(-0.5, 0.5, 2))
        assert (surface.status == 1).all()
    elif measure == "saddle":
        monkeypatch.setattr(saddle_search, "STEPS", 2)
        with pytest.raises(InputError, match="no saddle found: after 2 steps"):
            ls.saddle(network, data(), tolerance=1e-300)
    else:
        assert math.isfinite(float(getattr(ls, measure)(network, data()).trace))


@pytest.mark.parametrize("case", REFUSED)
def test_an_operation_without_a_second_derivative_is_named(case: str) -> None:
    layer, name = REFUSED[case]
    with pytest.raises(InputError, match=f"the network cannot be differentiated.*{name}"):
        ls.eigenpairs(made(layer), data(), pairs=1)
