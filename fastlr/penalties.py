"""Penalties: formulas on weights, never on X. Shapes: d features, K score columns, W is (K, d)."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ElasticNet:
    """l1 sum_kj u_j |W_kj| + l2/2 sum_kj u_j^2 W_kj^2, with units u_j of the features.

    W acts on raw features. u_j W_kj is the weight of feature j in the scale where it is penalised, so that
    scaling needs no scaled copy of X.

    Parameters
    ----------
    l1, l2 : float
        Strengths, not negative.
    units : float64 array of shape (d,)
    """

    l1: float
    l2: float
    units: np.ndarray

    @property
    def thresholds(self):
        """l1 u_j, the L1 strength on the raw weights of each feature."""
        return self.l1 * self.units

    @property
    def curvatures(self):
        """l2 u_j^2, the L2 strength on the raw weights of each feature."""
        return self.l2 * self.units**2

    def value(self, W):
        scaled = np.asarray(W, dtype=np.float64) * self.units
        return self.l1 * np.abs(scaled).sum() + self.l2 / 2 * np.square(scaled).sum()

    def smooth_gradient(self, W):
        """Gradient of the L2 part."""
        return self.curvatures * W

    def conjugate(self, V):
        """g*(V) = sup_W <V, W> - g(W): sum_kj (|V_kj| / u_j - l1)_+^2 / (2 l2), or an indicator if l2 = 0."""
        excess = np.maximum(np.abs(V) / self.units - self.l1, 0)
        if self.l2 > 0:
            return np.square(excess).sum() / (2 * self.l2)
        return np.inf if excess.any() else 0.0

    def largest_feasible(self, V):
        """The largest c in [0, 1] with g*(c V) finite."""
        if self.l2 > 0:
            return 1.0
        reach = np.max(np.abs(V) / self.units, initial=0.0)
        # A trace less, so that rounding does not carry c V over the edge.
        return 1.0 if reach <= self.l1 else (1 - 1e-12) * self.l1 / reach
