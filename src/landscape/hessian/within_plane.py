"""The metric of a plane in weight space, and the components of a gradient and a Hessian within the plane."""

import math

import numpy as np
import torch
from torch import Tensor

from landscape.directions import Directions
from landscape.hessian.krylov import Product
from landscape.hessian.products import Hessian

_DEPENDENT = 1e-12  # share of the larger eigenvalue of P'P below which the smaller is rounding


class Slice:
    """The span of P = [d1 d2], the plane's directions over the chosen parameters; of d1 alone for a line.

    Linearly dependent directions span less than a plane. Results for a span of dimension zero are NaN.

    Attributes:
        metric: P'P, float64 (axes, axes).
        norms: norms of the directions.
        cosine: cosine of the angle between them, NaN for a line.
    """

    def __init__(self, directions: Directions, hessian: Hessian):
        self._steps = torch.stack([hessian.flatten(step) for step in directions.values()]).double()  # (axes, size)
        self._dtype = hessian.dtype
        self.metric = (self._steps @ self._steps.T).cpu().numpy()
        self.norms = np.sqrt(np.diag(self.metric)).tolist()
        lengths = math.prod(self.norms)
        self.cosine = float(self.metric[0, 1]) / lengths if len(self.norms) == 2 and lengths else math.nan
        squares, axes = np.linalg.eigh(self.metric)
        spanned = squares > _DEPENDENT * squares[-1]
        self._basis = axes[:, spanned] / np.sqrt(squares[spanned])  # P times it is orthonormal

    def along(self, gradient: Tensor) -> np.ndarray:
        """Return P'g, float64 (axes,)."""
        return np.asarray((self._steps @ gradient.double()).cpu().numpy())

    def towards_centre(self, slopes: np.ndarray, at: tuple[float, float]) -> float:
        """Return the cosine, in weight space, between steepest descent in the plane and the way from (a, b) to the centre.

        Steepest descent in the metric M = P'P is -M^-1 P'g, so the cosine is P'g (a, b)' over the norms of both. It is NaN
        at the centre and where the gradient in the plane is zero.

        Args:
            slopes: P'g.
        """
        place = np.array(at[: len(slopes)])
        length = math.sqrt(max(float(place @ self.metric @ place), 0.0)) * float(np.linalg.norm(self._basis.T @ slopes))
        return float(slopes @ place) / length if length else math.nan

    def eigen(self, product: Product) -> tuple[np.ndarray, Tensor]:
        """Find the generalised eigenvalues of P'HP against P'P, ascending, and their unit vectors in weight space, (k, size).

        It takes one product for every dimension of the span. It returns a single NaN if the span has dimension zero or a
        product is not finite.
        """
        basis = torch.from_numpy(self._basis.T.copy()).to(self._steps) @ self._steps  # (k, size), orthonormal
        images = [product(vector.to(self._dtype)).double() for vector in basis]
        inside = (basis @ torch.stack(images).T).cpu().numpy() if images else np.full((1, 1), np.nan)
        if not np.isfinite(inside).all():
            return np.full(1, np.nan), torch.full_like(self._steps[:1], math.nan)
        values, vectors = np.linalg.eigh((inside + inside.T) / 2)
        return values, torch.from_numpy(vectors.T.copy()).to(basis) @ basis


def cosine(x: Tensor, y: Tensor) -> float:
    """Return the cosine of the angle between two vectors, in float64; NaN if one is zero or not finite."""
    x, y = x.double(), y.double()
    lengths = float(torch.linalg.vector_norm(x) * torch.linalg.vector_norm(y))
    return float(x @ y) / lengths if lengths else math.nan
