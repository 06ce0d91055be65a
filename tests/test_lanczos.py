"""Eigenvalues at both ends of operators whose spectrum is prescribed, against numpy's of the whole matrix and scipy's."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from landscape.errors import InputError
from landscape.hessian.krylov import Krylov
from landscape.hessian.lanczos import Extremes, Pairs, by_eigsh, extremes, pairs

torch.set_num_threads(1)

RANDOM = np.random.default_rng(0)

SPECTRA = {
    "indefinite": np.r_[RANDOM.normal(size=197), 20.0, 18.0, -6.0],
    "positive semidefinite": np.r_[np.zeros(50), np.geomspace(1e-3, 10, 50)],
    "negative definite": -np.linspace(0.1, 5, 60),
    "repeated extremes": np.r_[np.full(5, 7.0), np.full(5, -2.0), np.linspace(-1, 5, 40)],
    "clustered at the top": np.r_[np.linspace(9.99, 10, 10), np.linspace(-1, 1, 100)],
    "hardly negative": np.r_[np.geomspace(1e-6, 1, 100), -1e-6],
    "rank one": np.r_[np.zeros(29), 3.0],
    "rank one, negative": np.r_[np.zeros(29), -3.0],
    "the identity": np.ones(20),
    "zero": np.zeros(20),
    "a number": np.array([2.0]),
}
EXACT = ("rank one", "rank one, negative", "the identity", "zero", "a number")
DTYPES = (torch.float64, torch.float32)


class Operator:
    """A matrix with prescribed eigenvalues and random eigenvectors, known by its products."""

    def __init__(self, spectrum: np.ndarray, dtype: torch.dtype = torch.float64):
        basis, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(spectrum.size, spectrum.size)))
        self.matrix = basis * spectrum @ basis.T
        self.products, self.size, self.dtype = 0, spectrum.size, dtype
        self._tensor = torch.from_numpy(self.matrix).to(dtype)

    def __call__(self, vector: Tensor) -> Tensor:
        self.products += 1
        assert vector.shape == (self.size,) and vector.dtype == self.dtype
        return self._tensor @ vector

    def extremes(self, find: Callable[..., Extremes] = extremes, seed: int = 0, **keys: object) -> Extremes:
        return find(self, self.size, seed=seed, device="cpu", dtype=self.dtype, **keys)

    def pairs(self, k: int, tolerance: float = 0.01) -> Pairs:
        tolerances = {"tolerance": tolerance, "tolerance_of_largest": tolerance / 10}
        return pairs(self, self.size, k, seed=0, device="cpu", dtype=self.dtype, **tolerances)  # type: ignore[arg-type]


def residual(matrix: np.ndarray, value: float, vector: Tensor) -> float:
    x = vector.double().numpy()
    return float(np.linalg.norm(matrix @ x - value * x))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", SPECTRA)
def test_both_extremes_lie_within_their_residuals(name: str, dtype: torch.dtype) -> None:
    operator = Operator(SPECTRA[name], dtype)
    found = operator.extremes()
    true = np.linalg.eigvalsh(operator.matrix)
    scale = np.abs(true).max()
    rounding = 20 * torch.finfo(dtype).eps * scale
    assert found.converged and not found.reason
    assert found.products == operator.products <= operator.size
    assert found.residual_max <= 0.01 * abs(found.maximum) + rounding
    assert found.residual_min <= max(0.01 * abs(found.minimum), 0.001 * found.maximum) + rounding
    assert true[-1] - found.residual_max - rounding <= found.maximum <= true[-1] + rounding
    assert true[0] - rounding <= found.minimum <= true[0] + found.residual_min + rounding
    assert abs(residual(operator.matrix, found.maximum, found.vector_max) - found.residual_max) <= rounding
    assert abs(residual(operator.matrix, found.minimum, found.vector_min) - found.residual_min) <= rounding
    if name in EXACT:
        assert operator.products <= 2
        assert abs(found.maximum - true[-1]) <= rounding and abs(found.minimum - true[0]) <= rounding


@pytest.mark.parametrize("name", [name for name in SPECTRA if name not in ("positive semidefinite", "hardly negative")])
def test_both_solvers_agree(name: str) -> None:
    operator = Operator(SPECTRA[name])
    found, other = operator.extremes(), operator.extremes(by_eigsh, tolerance=1e-10)
    assert other.converged
    true = np.linalg.eigvalsh(operator.matrix)
    np.testing.assert_allclose([other.minimum, other.maximum], true[[0, -1]], atol=1e-10 * np.abs(true).max())
    assert abs(found.maximum - other.maximum) <= found.residual_max + 1e-9
    assert abs(found.minimum - other.minimum) <= found.residual_min + 1e-9
    assert residual(operator.matrix, other.maximum, other.vector_max) == pytest.approx(other.residual_max, abs=1e-12)


def test_one_space_takes_fewer_products_than_a_search_for_each_end() -> None:
    operator = Operator(SPECTRA["indefinite"])
    found = operator.extremes()
    operator.products = 0
    other = operator.extremes(by_eigsh)
    assert other.products == operator.products > 1.5 * found.products


def test_where_arpack_finds_nothing_it_says_so() -> None:
    found = Operator(SPECTRA["hardly negative"]).extremes(by_eigsh, tolerance=1e-10)
    assert not found.converged and np.isnan(found.minimum) and "No convergence" in found.reason


@pytest.mark.parametrize("k", [1, 2, 4])
@pytest.mark.parametrize("name", ["indefinite", "negative definite", "clustered at the top", "identical"])
def test_pairs_from_both_ends(name: str, k: int) -> None:
    operator = Operator(SPECTRA.get(name, np.full(10, 3.0)))
    found = operator.pairs(k, tolerance=1e-8)
    true, scale = np.linalg.eigvalsh(operator.matrix), np.abs(operator.matrix).max()
    assert found.converged and found.products == operator.products
    np.testing.assert_allclose(found.largest, true[::-1][:k], atol=1e-8 * scale)
    np.testing.assert_allclose(found.smallest, true[:k], atol=1e-8 * scale)
    for values, vectors in ((found.largest, found.vectors_largest), (found.smallest, found.vectors_smallest)):
        torch.testing.assert_close(vectors @ vectors.T, torch.eye(k, dtype=torch.float64), atol=1e-10, rtol=0)
        for value, vector in zip(values, vectors, strict=True):
            assert residual(operator.matrix, value, vector) <= 1e-7 * scale


def test_where_the_space_is_invariant_a_second_copy_is_found() -> None:
    operator = Operator(np.r_[np.full(2, 5.0), np.full(20, 1.0), np.full(2, -4.0)])
    found = operator.pairs(2)
    np.testing.assert_allclose(found.largest, [5, 5], atol=1e-10)
    np.testing.assert_allclose(found.smallest, [-4, -4], atol=1e-10)
    assert found.products == operator.products == 6


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_basis_stays_orthonormal_and_the_small_matrix_is_the_operator_in_it(dtype: torch.dtype) -> None:
    """Far beyond the convergence of the first Ritz values, which is where Lanczos loses orthogonality."""
    operator = Operator(np.r_[np.zeros(20), np.geomspace(1e-4, 100, 60)], dtype)
    space = Krylov(operator, operator.size, seed=0, device="cpu", dtype=dtype)
    for _ in range(60):
        space.extend()
    basis = space.vectors(np.eye(60)).double()
    eps = torch.finfo(dtype).eps
    torch.testing.assert_close(basis @ basis.T, torch.eye(60, dtype=torch.float64), atol=50 * eps, rtol=0)
    values, _, _ = space.ritz()
    projected = np.linalg.eigvalsh(basis.numpy() @ operator.matrix @ basis.numpy().T)
    np.testing.assert_allclose(values, projected, atol=100 * eps * 100)
    for _ in range(60):
        space.extend()
    assert space.steps == operator.size
    values, residuals, _ = space.ritz()
    assert not residuals.any()
    np.testing.assert_allclose(values, np.linalg.eigvalsh(operator.matrix), atol=100 * eps * 100)


def test_a_start_decides_what_is_found_first() -> None:
    """From an eigenvector the space is invariant at once, and goes on with a random vector."""
    spectrum = np.linspace(-1, 1, 30)
    operator = Operator(spectrum)
    _, vectors = np.linalg.eigh(operator.matrix)
    found = operator.extremes(start=torch.from_numpy(3 * vectors[:, 12].copy()))
    assert found.converged
    assert found.maximum == pytest.approx(1, abs=0.01) and found.minimum == pytest.approx(-1, abs=0.01)


def test_a_seed_gives_the_same_bits() -> None:
    first, again, other = (Operator(SPECTRA["indefinite"], torch.float32).extremes(seed=seed) for seed in (0, 0, 1))
    assert (first.maximum, first.minimum, first.products) == (again.maximum, again.minimum, again.products)
    assert torch.equal(first.vector_max, again.vector_max)
    assert first.maximum != other.maximum and first.maximum == pytest.approx(other.maximum, rel=0.01)


def test_too_few_products_do_not_converge() -> None:
    found = Operator(SPECTRA["indefinite"]).extremes(limit=5)
    assert not found.converged and found.products == 5 and "5 products" in found.reason
    assert found.residual_min > 0.01 * abs(found.minimum)
    assert found.minimum < found.maximum <= 20


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("find", [extremes, by_eigsh])
def test_a_product_that_is_not_finite_gives_no_number(find: Callable[..., Extremes], bad: float) -> None:
    found = find(lambda vector: vector * bad, 10, seed=0, device="cpu", dtype=torch.float32)
    assert not found.converged and "not finite" in found.reason
    assert np.isnan([found.minimum, found.maximum, found.residual_min, found.residual_max]).all()
    assert found.products == 1 and found.vector_max.isnan().all()


@pytest.mark.parametrize("k", [0, 11])
def test_no_more_pairs_than_there_are(k: int) -> None:
    with pytest.raises(InputError, match=f"{k} eigenpairs at each end.* 10 weights, so 1 to 10"):
        Operator(np.arange(10.0)).pairs(k)


def test_in_single_precision_eigenvalues_do_not_suffer_from_the_length_of_vectors() -> None:
    """Eigenvectors like a network's, most of whose length is in a few of very many weights."""
    diagonal = torch.logspace(2, -4, 300_000)
    found = []
    for dtype in DTYPES:
        space = Krylov(lambda vector: diagonal * vector, len(diagonal), seed=0, device="cpu", dtype=dtype)
        for _ in range(31):
            space.extend()
        found.append(space.ritz()[0][-1])
    assert found[1] == pytest.approx(found[0], rel=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_a_small_negative_eigenvalue_is_found_behind_many_that_are_about_zero(seed: int) -> None:
    """The spectrum of a trained network: a value of the cluster has a small residual after a few products already."""
    spectrum = np.r_[
        np.geomspace(10, 110, 9), np.geomspace(0.01, 5, 200), RANDOM.normal(scale=0.01, size=9000), -0.5, -0.7
    ]
    diagonal = torch.from_numpy(spectrum)

    found = extremes(lambda vector: diagonal * vector, len(spectrum), seed=seed, device="cpu", dtype=torch.float64)
    assert found.converged and -0.7 <= found.minimum <= -0.7 + 0.001 * 110
    assert found.maximum == pytest.approx(110, rel=1e-4)
    assert found.minimum - 0.001 * 110 <= found.bound_min <= found.minimum
    assert found.maximum <= found.bound_max <= found.maximum + 0.01 * 110


def spaces(spectrum: np.ndarray, steps: int, seeds: range) -> Iterator[Krylov]:
    """Of a diagonal operator, from as many random starts."""
    diagonal = torch.from_numpy(spectrum)
    for seed in seeds:
        space = Krylov(lambda vector: diagonal * vector, len(spectrum), seed=seed, device="cpu", dtype=torch.float64)
        for _ in range(steps):
            space.extend()
        yield space


def test_no_more_than_one_bound_in_ten_is_crossed() -> None:
    """Where a few eigenvalues lie beyond a crowd, of whose eigenvectors a start may hold next to nothing."""
    crossed = []
    for space in spaces(np.r_[np.linspace(0, 1, 300), -0.2, 1.5], 9, range(300)):
        low, high = space.bounds(space.ritz()[0], 0.9)
        crossed.append((low > -0.2, high < 1.5))
    assert (np.mean(crossed, 0) <= 0.1 + 2 * (0.1 * 0.9 / 300) ** 0.5).all()
    assert np.mean(crossed) > 0.02, "or they would be too wide"


def test_at_a_bound_the_polynomial_says_that_the_start_is_improbable() -> None:
    """The orthonormal polynomials of Lanczos by their recurrence, and the distribution of a share of a random vector."""
    size = 302
    (space,) = spaces(np.r_[np.linspace(0, 1, size - 2), -0.2, 1.5], 9, range(1))
    vectors = np.random.default_rng(0).normal(size=(20_000, size))
    least = np.quantile(vectors[:, 0] ** 2 / (vectors**2).sum(1), 0.1)
    for at in space.bounds(space.ritz()[0], 0.9):
        before, here, beta = 0.0, 1.0, 0.0
        for alpha, following in zip(space._diagonal, space._beside, strict=True):
            before, here, beta = here, ((at - alpha) * here - beta * before) / following, following
        assert here**2 * least == pytest.approx(1, rel=0.1)


def test_from_a_given_start_there_are_no_bounds() -> None:
    operator = Operator(SPECTRA["indefinite"])
    found = extremes(
        operator, operator.size, seed=0, device="cpu", dtype=torch.float64, start=torch.ones(operator.size)
    )
    assert found.converged and np.isnan([found.bound_min, found.bound_max]).all()
