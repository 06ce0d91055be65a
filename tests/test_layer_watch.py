"""The layers of networks of every build, against forward passes written down by hand in float64."""

import copy
import json
import math
import warnings
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

import landscape as ls
from landscape.errors import InputError

EXAMPLES, STEPS, WIDTH, CLASSES = 150, 3, 4, 3  # more than one batch
Seen = dict[str, Tensor]
"""By the name of a layer its output, with the examples in dimension 0."""


class Body(nn.Module):
    """A layer `part` between the data, (examples, steps, width), and a linear head."""

    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.part = part
        self.head = nn.Linear(STEPS * WIDTH, CLASSES)

    def middle(self, x: Tensor) -> Tensor:
        found: Tensor = self.part(x)
        return found

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.middle(x).flatten(1))
        return logits


class First(Body):
    """A layer that gives out several tensors."""

    def middle(self, x: Tensor) -> Tensor:
        found: Tensor = self.part(x)[0]
        return found


class TimeFirst(Body):
    def middle(self, x: Tensor) -> Tensor:
        found: Tensor = self.part(x.transpose(0, 1))[0].transpose(0, 1)
        return found


class Attending(Body):
    def middle(self, x: Tensor) -> Tensor:
        found: Tensor = self.part(x, x, x, need_weights=False)[0]
        return found


class Stepping(Body):
    """A cell that is called once for each step."""

    def middle(self, x: Tensor) -> Tensor:
        state, found = None, []
        for step in x.unbind(1):
            state = self.part(step, state)
            found.append(state[0])
        return torch.stack(found, 1)


class Flattening(Body):
    """A layer over the steps of all examples as rows."""

    def middle(self, x: Tensor) -> Tensor:
        found: Tensor = self.part(x.flatten(0, 1)).view_as(x)
        return found


@dataclass
class Output:
    loss: None
    states: Tensor


class Wrapped(nn.Module):
    """A layer whose output is a container of another kind."""

    def __init__(self, wrap: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(WIDTH, WIDTH))
        self.wrap = wrap

    def forward(self, x: Tensor) -> Any:
        return self.wrap(x @ self.weight)


class Unwrapped(Body):
    def middle(self, x: Tensor) -> Tensor:
        found = self.part(x)
        while not isinstance(found, Tensor):
            found = found.states if isinstance(found, Output) else list(getattr(found, "values", found.__iter__)())[-1]
        return found


class Uncalled(nn.Module):
    """A layer that uses the weights of modules in it without calling them."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(WIDTH, WIDTH)
        self.scales = nn.ParameterList([torch.randn(WIDTH), torch.randn(WIDTH)])

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x * self.scales[0], self.linear.weight, self.linear.bias) * self.scales[1]


class Scaled(nn.Module):
    """A block with a scale of its own around a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.randn(WIDTH))
        self.linear = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.scale * self.linear(x)


class Positions(nn.Module):
    """An embedding of positions, which all examples share: as many rows as examples, or twice as many."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.table = nn.Embedding(rows, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.table(torch.arange(self.table.num_embeddings))[:STEPS]


class Ranked(nn.Module):
    """A layer of whole numbers, and one that gives out nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.order, self.silent = Ordered(), Silent()

    def forward(self, x: Tensor) -> Tensor:
        self.silent(x)
        return x.gather(2, self.order(x))


class Ordered(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.argsort(2)


class Silent(nn.Module):
    def forward(self, x: Tensor) -> None:
        return None


class Rooted(nn.Module):
    """A network with a parameter of its own beside its layers, one of which has two names."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(STEPS * WIDTH, CLASSES)
        self.again = self.linear
        self.shift = nn.Parameter(torch.randn(CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        return self.again(x.flatten(1)) * 2 + self.shift


def recurrent(x: Tensor, p: Seen, prefix: str) -> Tensor:
    """An LSTM, step by step."""
    h = c = torch.zeros(len(x), WIDTH, dtype=x.dtype)
    found = []
    for step in x.unbind(1):
        gates = step @ p[f"{prefix}weight_ih{{}}"].T + h @ p[f"{prefix}weight_hh{{}}"].T
        gates = gates + p[f"{prefix}bias_ih{{}}"] + p[f"{prefix}bias_hh{{}}"]
        i, f, g, o = gates.chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        found.append(h)
    return torch.stack(found, 1)


def lstm(p: Seen, x: Tensor, layer: str = "_l0") -> Tensor:
    renamed = {name.replace(layer, "{}") if layer else f"{name}{{}}": of for name, of in p.items()}
    return recurrent(x, renamed, "part.")


def attention(p: Seen, x: Tensor, prefix: str, heads: int = 2) -> Tensor:
    q, k, v = (x @ p[f"{prefix}in_proj_weight"].T + p[f"{prefix}in_proj_bias"]).chunk(3, 2)
    q, k, v = (of.unflatten(2, (heads, WIDTH // heads)).transpose(1, 2) for of in (q, k, v))
    mixed = ((q @ k.transpose(2, 3)) / math.sqrt(WIDTH // heads)).softmax(3) @ v
    return mixed.transpose(1, 2).flatten(2) @ p[f"{prefix}out_proj.weight"].T + p[f"{prefix}out_proj.bias"]


def normed(x: Tensor, p: Seen, prefix: str) -> Tensor:
    x = (x - x.mean(2, keepdim=True)) / (x.var(2, correction=0, keepdim=True) + 1e-5).sqrt()
    return x * p[f"{prefix}weight"] + p[f"{prefix}bias"]


def encoder(p: Seen, x: Tensor) -> Seen:
    """An encoder layer of torch, norm last."""
    attended = attention(p, x, "part.self_attn.")
    first = normed(x + attended, p, "part.norm1.")
    inner = first @ p["part.linear1.weight"].T + p["part.linear1.bias"]
    outer = inner.clamp(min=0) @ p["part.linear2.weight"].T + p["part.linear2.bias"]
    return {
        "part.self_attn": attended,
        "part.norm1": first,
        "part.linear1": inner,
        "part.linear2": outer,
        "part.norm2": normed(first + outer, p, "part.norm2."),
    }


def weight_normed(p: Seen, x: Tensor, g: str, v: str) -> Tensor:
    rows = p[f"part.{v}"] / p[f"part.{v}"].norm(dim=1, keepdim=True) * p[f"part.{g}"]
    return x @ rows.T + p["part.bias"]


def spectral(p: Seen, x: Tensor) -> Tensor:
    weight, made = p["part.parametrizations.weight.original"], "part.parametrizations.weight.0._"
    return x @ (weight / (p[f"{made}u"] @ weight @ p[f"{made}v"])).T + p["part.bias"]


def by_hooks(layer: nn.Module) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return nn.utils.weight_norm(layer)


def head(x: Tensor, p: Seen) -> Tensor:
    return x.flatten(1) @ p["head.weight"].T + p["head.bias"]


def plain(p: Seen, x: Tensor) -> Tensor:
    return x @ p["part.weight"]


Case = tuple[Callable[[], nn.Module], Callable[[Seen, Tensor], Any], dict[str, set[str]]]
CASES: dict[str, Case] = {
    "weight norm": (
        lambda: Body(parametrizations.weight_norm(nn.Linear(WIDTH, WIDTH))),
        lambda p, x: weight_normed(p, x, "parametrizations.weight.original0", "parametrizations.weight.original1"),
        {"part": {"bias", "parametrizations.weight.original0", "parametrizations.weight.original1"}},
    ),
    "weight norm by hooks": (
        lambda: Body(by_hooks(nn.Linear(WIDTH, WIDTH))),
        lambda p, x: weight_normed(p, x, "weight_g", "weight_v"),
        {"part": {"bias", "weight_g", "weight_v"}},
    ),
    "spectral norm": (
        lambda: Body(parametrizations.spectral_norm(nn.Linear(WIDTH, WIDTH))),
        spectral,
        {"part": {"bias", "parametrizations.weight.original"}},
    ),
    "LSTM": (
        lambda: First(nn.LSTM(WIDTH, WIDTH, batch_first=True)),
        lstm,
        {"part": {"weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"}},
    ),
    "LSTM with the steps first": (
        lambda: TimeFirst(nn.LSTM(WIDTH, WIDTH)),
        lstm,
        {"part": {"weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"}},
    ),
    "LSTM cell called for each step": (
        lambda: Stepping(nn.LSTMCell(WIDTH, WIDTH)),
        lambda p, x: lstm(p, x, ""),
        {"part": {"weight_ih", "weight_hh", "bias_ih", "bias_hh"}},
    ),
    "attention": (
        lambda: Attending(nn.MultiheadAttention(WIDTH, 2, batch_first=True)),
        lambda p, x: attention(p, x, "part."),
        {"part": {"in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias"}},
    ),
    "encoder of torch": (
        lambda: Body(nn.TransformerEncoderLayer(WIDTH, 2, 5, batch_first=True)),
        encoder,
        {
            "part.self_attn": {"in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias"},
            **{f"part.{name}": {"weight", "bias"} for name in ("linear1", "linear2", "norm1", "norm2")},
        },
    ),
    "tuple": (lambda: Unwrapped(Wrapped(lambda of: (None, of))), plain, {"part": {"weight"}}),
    "tuple in a list": (lambda: Unwrapped(Wrapped(lambda of: [(of,)])), plain, {"part": {"weight"}}),
    "dictionary": (lambda: Unwrapped(Wrapped(lambda of: {"states": of})), plain, {"part": {"weight"}}),
    "ordered dictionary": (
        lambda: Unwrapped(Wrapped(lambda of: OrderedDict(order=of.argmax(2), states=of))),
        plain,
        {"part": {"weight"}},
    ),
    "data class": (lambda: Unwrapped(Wrapped(lambda of: Output(None, of))), plain, {"part": {"weight"}}),
    "rows of steps": (
        lambda: Flattening(nn.Linear(WIDTH, WIDTH)),
        lambda p, x: x @ p["part.weight"].T + p["part.bias"],
        {"part": {"weight", "bias"}},
    ),
    "weights of modules that are not called": (
        lambda: Body(Uncalled()),
        lambda p, x: (
            ((x * p["part.scales.0"]) @ p["part.linear.weight"].T + p["part.linear.bias"]) * p["part.scales.1"]
        ),
        {"part": {"scales.0", "scales.1", "linear.weight", "linear.bias"}},
    ),
    "block with a scale": (
        lambda: Body(Scaled()),
        lambda p, x: x + p["part.scale"] * (x @ p["part.linear.weight"].T + p["part.linear.bias"]),
        {"part": {"scale"}},
    ),
}


@pytest.mark.parametrize("kind", CASES)
def test_every_build_of_a_layer_is_seen(kind: str) -> None:
    make, by_hand, owned = CASES[kind]
    torch.manual_seed(1)
    network, x = make().eval(), torch.randn(EXAMPLES, STEPS, WIDTH)
    labels = torch.arange(EXAMPLES) % CLASSES
    found, _ = ls.probe(network, (x, labels), measure="activations")
    p = {name: of.detach().double().requires_grad_() for name, of in network.state_dict().items()}
    layers = by_hand(p, x.double())
    layers = layers if isinstance(layers, dict) else {"part": layers}
    loss = F.cross_entropy(head(list(layers.values())[-1], p), labels, reduction="sum")
    assert float(found.train_loss) == pytest.approx(float(loss.detach()) / EXAMPLES, rel=1e-5)
    for name, output in layers.items():
        here = found.sel(layer=name)
        own = [p[f"{name}.{key}"] for key in owned[name]]
        at_output, *at_own = torch.autograd.grad(loss, [output, *own], retain_graph=True)
        wanted = {
            "activation_mean": output.detach().mean(),
            "activation_std": output.detach().std(correction=0),
            "activation_zero_share": (output == 0).double().mean(),
            "weight_norm": torch.cat([of.detach().flatten() for of in own]).norm(),
            "weight_gradient_norm": torch.cat([of.flatten() for of in at_own]).norm() / EXAMPLES,
        }
        if kind != "LSTM cell called for each step":  # later steps add to the gradient by an earlier one
            wanted["gradient_norm"] = at_output.flatten(1).norm(dim=1).mean()
        for key, value in wanted.items():
            assert float(here[key]) == pytest.approx(float(value), rel=1e-4, abs=1e-6), (name, key)
    assert not any("parametrizations" in str(name) or "out_proj" in str(name) for name in found.layer.values)
    assert json.loads(found.attrs["skipped"]) == {}


@pytest.mark.parametrize("rows", [STEPS, 4, 64, 128, EXAMPLES, 2 * EXAMPLES])
def test_outputs_that_examples_share_have_no_gradient_of_an_example(rows: int) -> None:
    network = Body(Positions(rows))
    found, _ = ls.probe(
        network, (torch.randn(EXAMPLES, STEPS, WIDTH), torch.arange(EXAMPLES) % 3), measure="activations"
    )
    here = found.sel(layer="part.table")
    table = network.get_parameter("part.table.weight").detach()
    assert float(here.activation_std) == pytest.approx(float(table.std(correction=0)), rel=1e-4)
    assert math.isnan(float(here.gradient_norm)) and float(here.weight_norm) == pytest.approx(float(table.norm()))
    told = json.loads(found.attrs["partly"])
    assert told == {"part.table": f"without gradient_norm: the shape ({rows}, 4) has no row per example"}


def test_what_gives_out_no_floating_point_numbers_is_named() -> None:
    data = torch.randn(20, STEPS, WIDTH), torch.arange(20) % CLASSES
    found, _ = ls.probe(Body(Ranked()), data, measure="activations")
    assert json.loads(found.attrs["skipped"]) == {
        "part.silent": "gives out a NoneType",
        "part.order": "gives out int64",
    }
    assert list(found.layer.values) == ["head"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_script_is_a_part_of_the_module_around_it() -> None:
    torch.manual_seed(0)
    part, data = nn.Linear(WIDTH, WIDTH), (torch.randn(20, WIDTH), torch.arange(20) % CLASSES)
    for script in (torch.jit.script(part), torch.jit.trace(part, data[0])):
        network = nn.Sequential(script, nn.Linear(WIDTH, CLASSES))
        found, _ = ls.probe(network, data, measure="activations")
        assert list(found.layer.values) == ["1", "(network)"]
        assert float(found.weight_norm.sel(layer="(network)")) == pytest.approx(_length(part), rel=1e-6)
        with pytest.raises(InputError, match=r"those of a torch\.jit script are not seen"):
            ls.probe(script, data, measure="activations")


def test_the_network_itself_may_be_a_layer_and_a_layer_has_one_name() -> None:
    torch.manual_seed(0)
    network = Rooted()
    data = torch.randn(20, STEPS, WIDTH), torch.arange(20) % CLASSES
    found, _ = ls.probe(network, data, measure="activations")
    assert list(found.layer.values) == ["linear", "(network)"]
    logits = network(data[0]).detach()
    assert float(found.activation_std.sel(layer="(network)")) == pytest.approx(
        float(logits.std(correction=0)), rel=1e-4
    )
    norms = [float(found.weight_norm.sel(layer=name)) for name in found.layer.values]
    assert norms == pytest.approx([_length(network.linear), float(network.shift.detach().norm())], rel=1e-6)


def test_a_layer_with_the_weight_of_another_is_one_too() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Embedding(6, WIDTH), nn.Linear(WIDTH, 6, bias=False))
    network.get_submodule("1").weight = network.get_parameter("0.weight")
    tokens = torch.randint(0, 6, (20, 5))
    found, _ = ls.probe(network, (tokens[:, 0], tokens[:, 1]), measure="activations")
    assert list(found.layer.values) == ["0", "1"]
    assert float(found.weight_norm[0]) == float(found.weight_norm[1]) == pytest.approx(_length(network), rel=1e-6)


def test_the_network_is_left_as_it_is() -> None:
    network = First(nn.LSTM(WIDTH, WIDTH, batch_first=True)).train()
    before = copy.deepcopy(network.state_dict())
    ls.probe(network, (torch.randn(9, STEPS, WIDTH), torch.arange(9) % CLASSES), measure="activations")
    assert all(torch.equal(of, before[name]) for name, of in network.state_dict().items()) and network.part.training
    assert not any(of._forward_hooks or of._forward_pre_hooks for of in network.modules())


def _length(layer: nn.Module) -> float:
    return float(torch.cat([of.detach().flatten() for of in layer.parameters()]).norm())
