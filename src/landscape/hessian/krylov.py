"""The Krylov space of a symmetric operator, and the projection of the operator on it."""

import math
from collections.abc import Callable

import numpy as np
import torch
from scipy.linalg import eigh_tridiagonal
from scipy.optimize import brentq
from scipy.special import betaincinv
from torch import Tensor

Product = Callable[[Tensor], Tensor]

_ROWS = 16  # vectors that memory is allocated for at a time


class Krylov:
    """An orthonormal basis V of the space of v, Hv, HHv, ... and the tridiagonal V'HV, grown product by product.

    Every new vector is orthogonalised against all before, repeatedly until its norm no longer drops (Daniel, Gragg, Kaufman
    and Stewart 1976). An invariant space is continued with a random vector orthogonal to it.

    Args:
        product: multiplies the operator with a vector (size,).
        size: length of the vectors.
        seed: seeds the random vectors, drawn on the CPU in float64.
        start: the first vector, of any norm; default a random one.
    """

    def __init__(
        self,
        product: Product,
        size: int,
        *,
        seed: int,
        device: torch.device | str,
        dtype: torch.dtype,
        start: Tensor | None = None,
    ):
        self._product, self._size = product, size
        self._device, self._dtype = device, dtype
        self._generator = torch.Generator().manual_seed(seed)
        self._blocks: list[Tensor] = []
        self._diagonal: list[float] = []
        self._beside: list[float] = []
        self._scale = 0.0  # the largest norm of a product
        self._starts_random = start is None
        first = self._random() if start is None else start.to(device, dtype)
        self._next = first / _norm(first)

    @property
    def steps(self) -> int:
        """Number of products taken, the dimension of the space."""
        return len(self._diagonal)

    @property
    def is_finite(self) -> bool:
        return all(map(math.isfinite, (*self._diagonal, *self._beside)))

    def extend(self) -> None:
        """Take one more product; a space of `size` dimensions does not grow."""
        if self.steps == self._size:
            return
        vector = self._next
        self._append(vector)
        found = self._product(vector)
        self._scale = max(self._scale, _norm(found))
        self._diagonal.append(float(vector.double() @ found.double()))
        rest, norm = self._orthogonal(found)
        rounding = 10 * torch.finfo(self._dtype).eps * self._scale
        if self.steps == self._size:
            norm = 0.0
        elif norm <= rounding:
            norm = 0.0
            rest, length = self._orthogonal(self._random())
            self._next = rest / length
        else:
            self._next = rest / norm
        self._beside.append(norm)

    def ritz(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return (values, residuals, coefficients): the eigenvalues of V'HV, ascending, float64 (steps,), the norms of their
        residuals, and their eigenvectors in the basis V as columns, (steps, steps).
        """
        values, coefficients = eigh_tridiagonal(self._diagonal, self._beside[:-1])
        return values, self._beside[-1] * np.abs(coefficients[-1]), coefficients

    def bounds(self, values: np.ndarray, probability: float) -> tuple[float, float]:
        """Bound the spectrum by (low, high): no eigenvalue lies below `low` with this probability, and none above `high` with
        the same probability. The bounds assume a random start; both are NaN if `start` was given.

        The next basis vector is a known polynomial of the operator, times the start. The polynomial is large far beyond all
        Ritz values. An eigenvalue there would make the unit vector longer than one, unless the start holds improbably little
        of its eigenvector (van Dorsselaer, Hochstenbach and van der Vorst 2000).

        Args:
            values: the eigenvalues that `ritz` returns.
        """
        if not self._starts_random:
            return math.nan, math.nan
        if min(self._beside) == 0.0:  # an invariant space holds the part of the start in every eigenspace
            return float(values[0]), float(values[-1])
        least = betaincinv(0.5, (self._size - 1) / 2, 1 - probability)  # the start along an eigenvector, squared
        length = float(np.log(self._beside).sum() - np.log(least) / 2)
        return (
            float(values[0] - _distance(values - values[0], length)),
            float(values[-1] + _distance(values[-1] - values[::-1], length)),
        )

    def vectors(self, coefficients: np.ndarray) -> Tensor:
        """Unit vectors (k, size) from columns of coefficients in the basis, (steps, k)."""
        parts = torch.from_numpy(coefficients.T.copy()).to(self._device, self._dtype).split(_ROWS, dim=1)
        found = torch.zeros(coefficients.shape[1], self._size, device=self._device, dtype=self._dtype)
        for part, block in zip(parts, self._blocks, strict=True):
            found += part @ block[: part.shape[1]]
        return found / torch.linalg.vector_norm(found, dim=1, keepdim=True, dtype=torch.float64).to(found)

    def _append(self, vector: Tensor) -> None:
        row = self.steps % _ROWS
        if row == 0:
            rows = min(_ROWS, self._size - self.steps)
            self._blocks.append(torch.zeros(rows, self._size, device=self._device, dtype=self._dtype))
        self._blocks[-1][row] = vector

    def _orthogonal(self, vector: Tensor) -> tuple[Tensor, float]:
        """Return the component of a vector orthogonal to the basis, and its norm."""
        before, norm = math.inf, _norm(vector)
        while 0.0 < norm < 0.7 * before:
            for block in self._blocks:
                vector = vector - block.T @ (block @ vector)
            before, norm = norm, _norm(vector)
            if norm <= torch.finfo(self._dtype).eps * self._scale:
                break
        return vector, norm

    def _random(self) -> Tensor:
        drawn = torch.randn(self._size, generator=self._generator, dtype=torch.float64)
        return drawn.to(self._device, self._dtype)


def _norm(vector: Tensor) -> float:
    """Sum in float64: single precision makes the eigenvalues of a ResNet-20 1e-5 too large."""
    return float(torch.linalg.vector_norm(vector, dtype=torch.float64))


def _distance(gaps: np.ndarray, length: float) -> float:
    """Solve for t > 0: the product of all t + gap is exp(length). Gaps ascend from 0."""
    high = length / gaps.size
    low = length - (gaps.size - 1) * math.log(gaps[-1] + math.exp(high))
    if low >= high:
        return math.exp(high)
    return math.exp(brentq(lambda t: np.log(math.exp(t) + gaps).sum() - length, low, high))
