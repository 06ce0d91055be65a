"""Directions against the definition, spelt out filter by filter, and paths against scikit-learn's components."""

import math

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from torch import nn

from landscape import directions
from landscape.errors import InputError
from landscape.networks import building
from landscape.store.weights import Weights, cosine, displace, dot, norm


class Mixed(nn.Module):
    """Has a tensor of each kind, with and without filters."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 3)
        self.transposed = nn.ConvTranspose2d(4, 5, 2)
        self.embedding = nn.Embedding(7, 3)
        self.norm = nn.BatchNorm2d(4)
        self.linear = nn.Linear(6, 2)
        self.token = nn.Parameter(torch.ones(1, 2, 3))


@pytest.fixture
def mixed() -> tuple[dict[str, torch.Tensor], dict[str, int | None]]:
    torch.manual_seed(0)
    network = Mixed()
    return {name: tensor.detach() for name, tensor in network.state_dict().items()}, building.filter_axes(network)


def test_every_filter_gets_the_norm_of_the_builtown(mixed: tuple) -> None:
    theta, axes = mixed
    pair = directions.random_pair(theta, axes, 3, "filter", line=False)
    for direction in pair.values():
        assert direction.keys() == axes.keys()
        for j in range(4):
            got, wanted = direction["convolution.weight"][j], theta["convolution.weight"][j]
            assert math.isclose(got.norm(), wanted.norm(), rel_tol=1e-6)
        for j in range(5):  # of a transposed convolution, shape (in, out, kh, kw), a filter makes one output channel
            got, wanted = direction["transposed.weight"][:, j], theta["transposed.weight"][:, j]
            assert math.isclose(got.norm(), wanted.norm(), rel_tol=1e-6)
        for j in range(7):
            assert math.isclose(
                direction["embedding.weight"][j].norm(), theta["embedding.weight"][j].norm(), rel_tol=1e-6
            )
        for name in ("convolution.bias", "norm.weight", "norm.bias", "linear.bias", "token"):
            assert not direction[name].any()


def test_so_one_is_a_perturbation_of_a_hundred_percent(mixed: tuple) -> None:
    theta, axes = mixed
    facts = directions.describe(directions.random_pair(theta, axes, 3, "filter", line=False), theta, axes)
    assert math.isclose(facts["norm_alpha"], 1, rel_tol=1e-6)
    assert math.isclose(facts["norm_beta"], 1, rel_tol=1e-6)
    assert facts["zero_filters"] == 0


def test_the_other_normalisations(mixed: tuple) -> None:
    theta, axes = mixed
    raw = directions.random_pair(theta, axes, 3, "none", line=True)["alpha"]
    layer = directions.random_pair(theta, axes, 3, "layer", line=True)["alpha"]
    model = directions.random_pair(theta, axes, 3, "model", line=True)["alpha"]
    having = [name for name, axis in axes.items() if axis is not None]
    total = math.sqrt(sum(float(theta[name].double().square().sum()) for name in having))
    drawn = math.sqrt(sum(float(raw[name].double().square().sum()) for name in having))
    for name in having:
        expected = raw[name] / raw[name].norm() * theta[name].norm()
        torch.testing.assert_close(layer[name], expected)
        torch.testing.assert_close(model[name], raw[name] * (total / drawn))


def test_a_zero_filter_gets_no_direction_and_is_counted(mixed: tuple) -> None:
    theta, axes = mixed
    theta = {name: tensor.clone() for name, tensor in theta.items()}
    theta["convolution.weight"][2] = 0
    pair = directions.random_pair(theta, axes, 3, "filter", line=False)
    assert not pair["alpha"]["convolution.weight"][2].any()
    assert pair["alpha"]["convolution.weight"][1].any()
    assert directions.describe(pair, theta, axes)["zero_filters"] == 1


def test_a_draw_depends_on_seed_axis_and_name_and_on_nothing_else() -> None:
    shallow = building.build("resnet", {"depth": 8}, seed=0, images=(1, 8, 8), classes=10)
    deep = building.build("resnet", {"depth": 14}, seed=5, images=(1, 8, 8), classes=10)
    draws = [
        directions.random_pair(dict(net.state_dict()), building.filter_axes(net), 1, "none", line=False)
        for net in (shallow, deep)
    ]
    shared = [name for name in draws[0]["alpha"] if draws[1]["alpha"].get(name) is not None]
    assert len(shared) > 5
    for axis in ("alpha", "beta"):
        for name in shared:
            assert torch.equal(draws[0][axis][name], draws[1][axis][name])
    assert abs(cosine(draws[0]["alpha"], draws[0]["beta"])) < 0.05
    other = directions.random_pair(dict(shallow.state_dict()), building.filter_axes(shallow), 2, "none", line=True)
    assert abs(cosine(other["alpha"], draws[0]["alpha"])) < 0.05


def test_towards_another_state_ends_there() -> None:
    here = building.build("resnet", {"depth": 8}, seed=0, images=(1, 8, 8), classes=10)
    there = building.build("resnet", {"depth": 8}, seed=1, images=(1, 8, 8), classes=10)
    there(torch.ones(4, 1, 8, 8))  # moves the running statistics
    theta, other = dict(here.state_dict()), dict(there.state_dict())
    step = directions.towards(theta, other, building.filter_axes(here), buffers=True)["alpha"]
    assert any(name.endswith("running_var") for name in step)
    assert not any(name.endswith("num_batches_tracked") for name in step)
    for name, difference in step.items():
        torch.testing.assert_close(theta[name] + difference, other[name])
    without = directions.towards(theta, other, building.filter_axes(here), buffers=False)["alpha"]
    assert without.keys() == dict(here.named_parameters()).keys()


def test_directions_are_borrowed_or_refused() -> None:
    small = building.build("resnet", {"depth": 8}, seed=0, images=(1, 8, 8), classes=10)
    large = building.build("resnet", {"depth": 14}, seed=0, images=(1, 8, 8), classes=10)
    theta, axes = dict(small.state_dict()), building.filter_axes(small)
    pair = directions.random_pair(theta, axes, 1, "filter", line=False)
    tensors = {f"{axis}/{name}": t for axis, d in pair.items() for name, t in d.items()}
    again = directions.borrowed(tensors, theta, axes, line=False)
    assert all(torch.equal(again[axis][name], pair[axis][name]) for axis in pair for name in axes)
    assert list(directions.borrowed(tensors, theta, axes, line=True)) == ["alpha"]
    with pytest.raises(InputError):
        directions.borrowed(tensors, dict(large.state_dict()), building.filter_axes(large), line=False)
    line = {key: t for key, t in tensors.items() if key.startswith("alpha/")}
    with pytest.raises(InputError, match="is a line"):
        directions.borrowed(line, theta, axes, line=False)
    assert norm(again["alpha"]) > 0


def states(number: int) -> tuple[list[Weights], dict[str, int | None]]:
    """Networks with weights and running statistics of their own."""
    built = [building.build("resnet", {"depth": 8}, seed=k, images=(1, 8, 8), classes=10) for k in range(number)]
    for k, network in enumerate(built):
        network(torch.randn(8, 1, 8, 8, generator=torch.Generator().manual_seed(k)))
    return [dict(network.state_dict()) for network in built], building.filter_axes(built[0])


def parameters(weights: Weights, axes: dict[str, int | None]) -> np.ndarray:
    """All parameters in one row, float64."""
    return np.concatenate([weights[name].double().numpy().ravel() for name in axes])


def test_a_plane_through_two_states_holds_them_with_their_batch_statistics() -> None:
    (theta, b, c), axes = states(3)
    pair, places = directions.through_two(theta, [b, c], axes, buffers=True)
    assert places[0] == (1, 0)
    for other, (alpha, beta) in zip((b, c), places, strict=True):
        there = displace(theta, pair["alpha"], alpha, pair["beta"], beta)
        for name, tensor in other.items():
            if tensor.is_floating_point():
                torch.testing.assert_close(there[name], tensor, msg=name)
    without = directions.through_two(theta, [b, c], axes, buffers=False)[0]
    assert without["alpha"].keys() == without["beta"].keys() == axes.keys()
    assert all(torch.equal(without["beta"][name], pair["beta"][name]) for name in axes)


def test_a_plane_through_states_is_borrowed_with_or_without_its_batch_statistics() -> None:
    (theta, b, c, elsewhere), axes = states(4)
    pair, _ = directions.through_two(theta, [b, c], axes, buffers=True)
    tensors = {f"{axis}/{name}": t for axis, d in pair.items() for name, t in d.items()}
    again = directions.borrowed(tensors, elsewhere, axes, line=False, buffers=True)
    assert all(again[axis].keys() == pair[axis].keys() for axis in pair)
    assert all(torch.equal(step, pair[axis][name]) for axis in pair for name, step in again[axis].items())
    still = directions.borrowed(tensors, elsewhere, axes, line=False, buffers=False)
    assert all(direction.keys() == axes.keys() for direction in still.values())


def test_distances_in_a_plane_through_two_states_are_true() -> None:
    (theta, b, c), axes = states(3)
    pair, places = directions.through_two(theta, [b, c], axes, buffers=True)
    d1, d2, *corners = (parameters(weights, axes) for weights in (pair["alpha"], pair["beta"], theta, b, c))
    unit = np.linalg.norm(d1)
    assert math.isclose(np.linalg.norm(d2), unit, rel_tol=1e-6)
    assert abs(d1 @ d2) < 1e-6 * unit**2
    at = np.array([(0, 0), *places])
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert math.isclose(unit * np.linalg.norm(at[i] - at[j]), np.linalg.norm(corners[i] - corners[j]), rel_tol=1e-6)


def test_states_on_one_line_make_no_plane() -> None:
    (theta, b), axes = states(2)
    step = {name: b[name] - theta[name] for name in axes}
    for c in (displace(theta, step, 0.3), displace(theta, step, -2.0), b, theta):
        with pytest.raises(InputError, match="lie on one line"):
            directions.through_two(theta, [b, c], axes, buffers=True)
    with pytest.raises(InputError, match="lie on one line"):
        directions.through_two(theta, [theta, b], axes, buffers=True)


def test_a_plane_through_one_state_has_an_upright_random_axis() -> None:
    (theta, b), axes = states(2)
    drawn = directions.random_axis(theta, axes, 3, "filter", "beta")
    pair, places = directions.through_one(theta, b, drawn, axes, buffers=True)
    assert places == [(1, 0)]
    assert all(
        torch.equal(step, directions.towards(theta, b, axes, buffers=True)["alpha"][name])
        for name, step in pair["alpha"].items()
    )
    d1, d2, raw = (parameters(weights, axes) for weights in (pair["alpha"], pair["beta"], drawn))
    assert math.isclose(np.linalg.norm(d2), np.linalg.norm(d1), rel_tol=1e-6)
    assert abs(d1 @ d2) < 1e-6 * (d1 @ d1)
    assert raw @ d2 > 0.99 * np.linalg.norm(raw) * np.linalg.norm(d2)
    assert pair["beta"].keys() == axes.keys()
    assert not any(pair["beta"][name].any() for name, filters in axes.items() if filters is None)
    with pytest.raises(InputError, match="no direction leads there"):
        directions.through_one(theta, theta, drawn, axes, buffers=True)


def path_of(rows: np.ndarray, scale: float = 1.0) -> tuple[dict[int, Weights], dict[str, int | None]]:
    """Epochs with `rows`, shape (epochs, 24), as weights with filters around one point, and a moving bias."""
    offset = np.linspace(-1, 1, 24)
    epochs = {
        3 * k: {
            "weight": torch.tensor((offset + scale * row)[:18].reshape(3, 6), dtype=torch.float32),
            "bias": torch.full((4,), 10.0 * k),
            "head": torch.tensor((offset + scale * row)[18:].reshape(2, 3), dtype=torch.float32),
        }
        for k, row in enumerate(rows)
    }
    return epochs, {"weight": 0, "bias": None, "head": 0}


def curve(epochs: int = 12, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(epochs, 24)).cumsum(0)


def with_filters(weights: Weights) -> np.ndarray:
    return np.concatenate([weights["weight"].double().numpy().ravel(), weights["head"].double().numpy().ravel()])


@pytest.mark.parametrize("centred", [True, False])
def test_components_of_a_path_are_scikit_learns(centred: bool) -> None:
    epochs, axes = path_of(curve())
    theta = epochs[33]
    pair, facts = directions.pca(theta, epochs, axes, centred=centred)
    rows = np.stack([with_filters(weights) - with_filters(theta) for weights in epochs.values()])
    if centred:
        expected = PCA().fit(rows)
        components, shares = expected.components_[:2], expected.explained_variance_ratio_
    else:
        _, values, vectors = np.linalg.svd(rows, full_matrices=False)
        components, shares = vectors[:2], values**2 / (values**2).sum()
    np.testing.assert_allclose(facts["shares"], shares[:12], atol=1e-6)
    d1, d2 = with_filters(pair["alpha"]), with_filters(pair["beta"])
    unit = np.linalg.norm(d1)
    assert math.isclose(np.linalg.norm(d2), unit, rel_tol=1e-6)
    np.testing.assert_allclose(np.abs([d1 @ components[0], d2 @ components[1]]), unit, rtol=1e-6)
    at = rows @ np.stack([d1, d2]).T / unit**2
    assert math.isclose(np.abs(at).max(), 1, rel_tol=1e-6)
    assert at[0, 0] > 0
    assert at[np.abs(at[:, 1]).argmax(), 1] > 0
    assert not pair["alpha"]["bias"].any() and not pair["beta"]["bias"].any()


def test_components_of_points_on_a_known_plane_find_it() -> None:
    generator = np.random.default_rng(1)
    known = np.linalg.qr(generator.normal(size=(24, 2)))[0].T
    at = generator.normal(size=(9, 2)) * (5, 2)
    epochs, axes = path_of(at @ known)
    pair, facts = directions.pca(epochs[24], epochs, axes, centred=True)
    assert math.isclose(sum(facts["shares"][:2]), 1, rel_tol=1e-9)
    for direction in pair.values():
        found = with_filters(direction)
        np.testing.assert_allclose(known.T @ (known @ found), found, atol=1e-5)


def test_components_of_a_path_are_seen_from_any_centre() -> None:
    epochs, axes = path_of(curve())
    end, _ = directions.pca(epochs[33], epochs, axes, centred=True)
    middle, _ = directions.pca(epochs[15], epochs, axes, centred=True)
    rows = np.stack([with_filters(weights) - with_filters(epochs[15]) for weights in epochs.values()])
    d1, d2 = with_filters(middle["alpha"]), with_filters(middle["beta"])
    assert math.isclose(np.abs(rows @ np.stack([d1, d2]).T).max() / (d1 @ d1), 1, rel_tol=1e-6)
    assert math.isclose(cosine(end["alpha"], middle["alpha"]), 1, rel_tol=1e-6)
    assert math.isclose(abs(cosine(end["beta"], middle["beta"])), 1, rel_tol=1e-6)


def test_a_path_on_a_line_or_without_end_has_no_components() -> None:
    straight, axes = path_of(np.outer(np.arange(6.0) ** 2, np.ones(24)))
    with pytest.raises(InputError, match=r"epochs \[0, 3, 6, 9, 12, 15\] lie on one line"):
        directions.pca(straight[15], straight, axes, centred=True)
    still, axes = path_of(np.ones((4, 24)))
    with pytest.raises(InputError, match="the network did not move"):
        directions.pca(still[9], still, axes, centred=False)
    diverged, axes = path_of(curve())
    diverged[33]["head"][0, 0] = math.inf
    with pytest.raises(InputError, match=r"epochs \[33\] are not finite"):
        directions.pca(diverged[33], diverged, axes, centred=True)


def test_large_tensors_are_taken_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    epochs, axes = path_of(curve())
    whole = directions.gram(list(epochs.values()), directions.with_filters(axes))
    rows = np.stack([with_filters(weights) - with_filters(epochs[33]) for weights in epochs.values()])
    np.testing.assert_allclose(whole, rows @ rows.T, rtol=1e-12)
    monkeypatch.setattr("landscape.directions.path._BLOCK", 5 * len(epochs))
    blocks = directions.gram(list(epochs.values()), directions.with_filters(axes))
    np.testing.assert_allclose(blocks, whole, rtol=1e-12)


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("falling", [True, False])
def test_shares_of_a_random_walk_are_those_of_a_simulated_one(centred: bool, falling: bool) -> None:
    """With equal steps, two centred components hold 61 + 15 %."""
    steps = np.geomspace(1, 0.01, 120) if falling else np.ones(120)
    dimensions = 5000
    moves = np.random.default_rng(2).normal(size=(120, dimensions)) * steps[:, None] / math.sqrt(dimensions)
    walk = np.vstack([np.zeros(dimensions), moves.cumsum(0)])
    rows = walk - (walk.mean(0) if centred else walk[-1])
    values = np.linalg.eigvalsh(rows @ rows.T)[::-1]
    found = directions.walk_shares(steps, centred=centred)
    np.testing.assert_allclose(found[:5], (values / values.sum())[:5], atol=0.015)
    if centred and not falling:
        np.testing.assert_allclose(found[:2], [0.61, 0.15], atol=0.005)


def test_a_metric_is_of_filters_unless_a_direction_moves_more() -> None:
    (theta, b), axes = states(2)
    with_them = directions.with_filters(axes)
    random = directions.random_pair(theta, axes, 1, "filter", line=False)
    assert directions.measured_over(random, axes) == with_them
    leading = directions.towards(theta, b, axes, buffers=True)
    biases = next(name for name in axes if name not in with_them)
    leading["alpha"][biases] = torch.ones_like(theta[biases])
    assert directions.measured_over(leading, axes) == list(axes)
    facts = directions.describe(leading, theta, axes)
    assert math.isclose(facts["unit_length_alpha"], np.linalg.norm(parameters(leading["alpha"], axes)), rel_tol=1e-6)
    assert math.isclose(
        dot(random["alpha"], random["beta"]) / (norm(random["alpha"]) * norm(random["beta"])),
        directions.describe(random, theta, axes)["cosine"],
        rel_tol=1e-9,
    )
