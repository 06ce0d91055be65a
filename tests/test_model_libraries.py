"""Networks of transformers, timm and torchvision as they come, against a plain loop in float64 and torch.autograd.

The extra `models` installs transformers and timm. Where they are missing these tests are skipped, unless LANDSCAPE_MODELS is
`required`, as in CI; where they are broken, the tests fail.
"""

import copy
import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

import landscape as ls
from landscape.data.examples import Examples
from landscape.errors import InputError
from landscape.networks.building import build, filter_axes
from landscape.objective.losses import next_tokens
from landscape.store import files

from running import landscape, written

there = os.environ.get("LANDSCAPE_MODELS") == "required" or all(map(importlib.util.find_spec, ("transformers", "timm")))
needs_models = pytest.mark.skipif(not there, reason="transformers and timm, the extra `models`, are not installed")
N, LENGTH, TOKENS = 13, 6, 17
BERT: dict[str, Any] = {
    "model_type": "bert", "vocab_size": TOKENS, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
    "intermediate_size": 12, "max_position_embeddings": 8,
}  # fmt: skip
GPT2: dict[str, Any] = {
    "model_type": "gpt2",
    "vocab_size": TOKENS,
    "n_embd": 8,
    "n_layer": 1,
    "n_head": 2,
    "n_positions": 8,
}
VIT: dict[str, Any] = {
    "model_name": "vit_tiny_patch16_224", "img_size": 8, "patch_size": 4, "embed_dim": 12, "depth": 1, "num_heads": 2,
}  # fmt: skip


def drawn(high: int, *shape: int, seed: int = 0) -> Tensor:
    return torch.randint(0, high, shape, generator=torch.Generator().manual_seed(seed))


MASK = (torch.arange(LENGTH) < 2 + drawn(LENGTH - 1, N, 1)).long()
WORDS = {"input_ids": drawn(TOKENS, N, LENGTH), "attention_mask": MASK}
LABELS = drawn(3, N, seed=1)
IMAGES = torch.randn(N, 1, 8, 8, generator=torch.Generator().manual_seed(2))


@dataclass
class Case:
    """A network by name, the data, what the library is told, and the loss written plainly."""

    name: str
    args: dict[str, Any]
    data: Any
    plain: Callable[[Any], Tensor]
    told: dict[str, Any]
    images: tuple[int, int, int] | None = None

    def network(self) -> nn.Module:
        built = build(self.name, self.args, seed=1, images=self.images, classes=3)
        with torch.no_grad():  # weights so small give a flat loss, of which rounding would be a part
            for parameter in built.parameters():
                parameter.mul_(5) if parameter.ndim > 1 else None
        return built.eval()

    def at(self, network: nn.Module, weights: dict[str, Tensor]) -> Tensor:
        inputs = self.data[0] if isinstance(self.data, tuple) else self.data
        given: Any = () if isinstance(inputs, dict) else (inputs.double(),)
        named = inputs if isinstance(inputs, dict) else {}
        return self.plain(functional_call(network, weights, given, named, tie_weights=True))


def by_shifting(output: Any) -> Tensor:
    """The next-token loss, a position at a time."""
    found, counted = torch.zeros((), dtype=torch.float64), 0
    for i in range(N):
        for t in range(LENGTH - 1):
            if MASK[i, t] and MASK[i, t + 1]:
                found = found - output.logits[i, t].log_softmax(0)[WORDS["input_ids"][i, t + 1]]
                counted += 1
    return found / counted


CASES = {
    "BERT": Case(
        "transformers:AutoModelForSequenceClassification.from_config",
        BERT,
        (WORDS, LABELS),
        lambda output: F.cross_entropy(output.logits, LABELS),
        {},
    ),
    "GPT-2": Case(
        "transformers:AutoModelForCausalLM.from_config", GPT2, (WORDS, None), by_shifting, {"loss": "next_token"}
    ),
    "ViT": Case(
        "timm:create_model", VIT, (IMAGES, LABELS), lambda output: F.cross_entropy(output, LABELS), {}, (1, 8, 8)
    ),
}


def in_double(network: nn.Module) -> dict[str, Tensor]:
    return {
        name: of.detach().double() if of.is_floating_point() else of
        for name, of in [*network.named_parameters(), *network.named_buffers()]
    }


@needs_models
@pytest.mark.parametrize("name", CASES)
def test_a_plane_is_that_of_a_plain_loop(name: str) -> None:
    case = CASES[name]
    network = case.network()
    surface = ls.plane(network, case.data, alpha=(-1, 1, 3), beta=(-2, 2, 3), seed=4, **case.told)
    pair = ls.basis(network, seed=4)
    plain, theta = copy.deepcopy(network).double(), in_double(network)
    seen = []
    for a, alpha in enumerate(surface.alpha.values):
        for b, beta in enumerate(surface.beta.values):
            point = theta | {k: theta[k] + alpha * pair["alpha"][k] + beta * pair["beta"][k] for k in pair["alpha"]}
            seen.append(float(case.at(plain, point).detach()))
            assert float(surface.train_loss[a, b]) == pytest.approx(seen[-1], rel=2e-5), (alpha, beta)
    assert max(seen) > 1.05 * min(seen)


@needs_models
@pytest.mark.parametrize("name", CASES)
def test_eigenpairs_are_those_of_products_by_autograd(name: str) -> None:
    """H v = lambda v, with H v of the plain network over the parameters that have filters."""
    case = CASES[name]
    network = case.network()
    found, vectors = ls.probe(network, case.data, measure="eigenpairs", pairs=1, precision="fp64", **case.told)
    plain, theta = copy.deepcopy(network).double(), in_double(network)
    chosen = [key for key, axis in filter_axes(network).items() if axis is not None]
    weights = {key: theta[key].requires_grad_() for key in chosen}
    with sdpa_kernel(SDPBackend.MATH):
        loss = case.at(plain, theta | weights)
        gradient = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
        for end in ("largest", "smallest"):
            value = float(found[f"eigenvalue_{end}"][0])
            vector = [vectors[f"{end}-1/{key}"].double() for key in chosen]
            slope = torch.stack([(g * v).sum() for g, v in zip(gradient, vector, strict=True)]).sum()
            product = torch.autograd.grad(slope, list(weights.values()), retain_graph=True)
            rest = sum(float((p - value * v).square().sum()) for p, v in zip(product, vector, strict=True)) ** 0.5
            assert abs(value) > 1e-3 and rest < 0.05 * abs(value), (end, value, rest)


@needs_models
def test_a_causal_model_has_the_loss_that_transformers_gives_it() -> None:
    case = CASES["GPT-2"]
    network = case.network()
    labels = WORDS["input_ids"].where(MASK != 0, -100)
    expected = network.double()(**WORDS, labels=labels).loss
    surface = ls.line(case.network(), case.data, loss="next_token", alpha=(0, 1, 2))
    assert float(surface.train_loss[0, 0]) == pytest.approx(float(expected), rel=1e-6)
    assert float(surface.train_perplexity[0, 0]) == pytest.approx(float(expected.exp()), rel=1e-6)
    assert "mean next-token cross-entropy over the" in surface.train_loss.attrs["long_name"]
    logits = network(**WORDS).logits[:, :-1].argmax(-1)
    counted = (MASK[:, :-1] * MASK[:, 1:]) != 0
    right = (logits == WORDS["input_ids"][:, 1:])[counted].double().mean()
    scored = ls.line(case.network(), case.data, loss="next_token", score="accuracy", alpha=(0, 1, 2))
    assert float(scored.train_accuracy[0, 0]) == pytest.approx(float(right))


@needs_models
def test_the_workflow_trains_and_measures_a_model_of_transformers(tmp_path: Path) -> None:
    inputs = {f"train_inputs_{name}": of.numpy() for name, of in WORDS.items()}
    np.savez(tmp_path / "reviews.npz", **inputs, train_targets=LABELS.numpy())  # type: ignore[arg-type]
    run = {"network": CASES["BERT"].name, "args": BERT, "optimizer": "adamw", "learning_rate": 0.05, "batch_size": 4}
    content = {
        "data": {"reviews": {"source": "reviews.npz"}},
        "runs": {"bert": {**run, "data": "reviews", "epochs": 3, "keep": "all"}},
        "planes": {"contour": {"alpha": [-1, 1, 3], "beta": [-1, 1, 3], "seed": 4}},
    }
    landscape("run", written(content, tmp_path).name, "results/surfaces/bert/contour.nc", folder=tmp_path)
    surface = files.read_dataset(tmp_path / "results/surfaces/bert/contour.nc")
    history = files.read_dataset(tmp_path / "results/runs/bert/history.nc")
    network = CASES["BERT"].network()
    network.load_state_dict(load_file(tmp_path / "results/runs/bert/weights.safetensors"))
    theta, pair = in_double(network), ls.basis(network, seed=4)
    plain = copy.deepcopy(network).double()
    for alpha, beta in ((0, 0), (1, 0), (0, -1), (-1, 1)):
        point = theta | {k: theta[k] + alpha * pair["alpha"][k] + beta * pair["beta"][k] for k in pair["alpha"]}
        with torch.no_grad():
            logits = functional_call(plain, point, (), WORDS, tie_weights=True).logits
        there = surface.sel(alpha=alpha, beta=beta)
        assert float(there.train_loss) == pytest.approx(float(F.cross_entropy(logits, LABELS)), rel=2e-5)
        assert float(there.train_accuracy) == pytest.approx(float((logits.argmax(1) == LABELS).double().mean()))
    assert float(history.train_loss[-1]) < float(history.train_loss[0])


@needs_models
def test_filters_of_transformers_are_outputs() -> None:
    """The linear layers of GPT-2 hold (in, out)."""
    axes = filter_axes(CASES["GPT-2"].network())
    assert axes["transformer.h.0.attn.c_attn.weight"] == axes["transformer.h.0.mlp.c_proj.weight"] == 1
    assert axes["transformer.wte.weight"] == axes["transformer.wpe.weight"] == 0
    assert axes["transformer.h.0.ln_1.weight"] is None and "lm_head.weight" not in axes
    axes = filter_axes(CASES["BERT"].network())
    assert axes["bert.encoder.layer.0.attention.self.query.weight"] == axes["classifier.weight"] == 0
    axes = filter_axes(CASES["ViT"].network())
    assert axes["blocks.0.attn.qkv.weight"] == 0 and axes["cls_token"] is axes["pos_embed"] is None


@needs_models
def test_the_classes_come_from_the_data() -> None:
    assert CASES["BERT"].network().config.num_labels == 3  # type: ignore[union-attr]
    assert CASES["ViT"].network().head.out_features == 3  # type: ignore[union-attr]
    name = "transformers:AutoModelForSequenceClassification.from_config"
    told = build(name, {**BERT, "num_labels": 5}, seed=0, images=None, classes=3)
    assert told.config.num_labels == 5  # type: ignore[union-attr]


@needs_models
@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({**BERT, "hiden_size": 8}, "args has 'hiden_size', and BertConfig has no such key"),
        ({**BERT, "model_type": "brt"}, "model_type is 'brt', which transformers does not have"),
        ({"hidden_size": 8}, "missing a required argument: 'model_type'"),
    ],
)
def test_wrong_keys_of_a_configuration_are_told(args: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build("transformers:AutoModelForSequenceClassification.from_config", args, seed=0, images=None, classes=3)


def test_a_network_of_torchvision_by_name() -> None:
    network = build("torchvision.models:resnet18", {"num_classes": 3}, seed=0, images=(3, 8, 8), classes=3)
    twin = build("torchvision.models.resnet:resnet18", {"num_classes": 3}, seed=0, images=(3, 8, 8), classes=3)
    assert torch.equal(network.get_parameter("fc.weight"), twin.get_parameter("fc.weight"))


def test_the_next_token_needs_no_library() -> None:
    """Tokens as the inputs, without a mask; labels in the place of tokens."""
    tokens = drawn(5, 4, 6)
    expected = torch.cat([tokens[:, 1:], torch.full((4, 1), -100)], 1)
    assert torch.equal(next_tokens(Examples(tokens, None)), expected)
    assert torch.equal(next_tokens(Examples({"input_ids": tokens + 1}, tokens)), expected)
    with pytest.raises(InputError, match=r"next_token takes tokens, whole numbers \(n, length\)"):
        ls.plane(nn.Linear(5, 3), (torch.randn(6, 5), None), loss="next_token")
