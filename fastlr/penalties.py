"""Penalties: formulas on weights, never on X. Shapes: d features, K score columns, W is (K, d)."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ElasticNet:
    """l1 sum_kj u_j |W_kj| + l2/2 sum_kj u_j^2 W_kj^2, with units u_j of the features.

    A penalised intercept adds its terms like one more feature.

    W acts on raw features. u_j W_kj is the weight of feature j in the scale where it is penalised, so that
    scaling needs no scaled copy of X.

    Parameters
    ----------
    l1, l2 : float
        Strengths, not negative.
    units : float64 array of shape (d,)
    intercept_unit : float, default=0.0
        1/t penalises the intercept as the weight of a feature that is t everywhere; 0 does not.
    """

    l1: float
    l2: float
    units: np.ndarray
    intercept_unit: float = 0.0

    @property
    def thresholds(self):
        """l1 u_j, the L1 strength on the raw weights of each feature."""
        return self.l1 * self.units

    @property
    def curvatures(self):
        """l2 u_j^2, the L2 strength on the raw weights of each feature."""
        return self.l2 * self.units**2

    @property
    def intercept_threshold(self):
        """L1 strength on the intercepts."""
        return self.l1 * self.intercept_unit

    @property
    def intercept_curvature(self):
        """L2 strength on the intercepts."""
        return self.l2 * self.intercept_unit**2

    def value(self, W, b=0.0):
        """The penalty of weights (K, d) and intercepts (K,)."""
        W, b = np.asarray(W), np.asarray(b, dtype=np.float64) * self.intercept_unit
        value = 0.0
        if self.l1 > 0:
            value += self.l1 * (np.abs(np.multiply(W, self.units, dtype=np.float64)).sum() + np.abs(b).sum())
        if self.l2 > 0:
            value += self.l2 / 2 * (_squares(W, self.units**2) + np.square(b).sum())
        return value

    def smooth_gradient(self, W):
        """Gradient of the L2 part."""
        return self.curvatures * W

    def _dual_sizes(self, V, V_b):
        """|V_kj| / u_j in one line, with those of the intercepts where they are penalised."""
        sizes = V / self.units
        sizes = np.ravel(np.abs(sizes, out=sizes), order="K")
        if self.intercept_unit == 0:
            return sizes
        return np.append(sizes, np.abs(V_b) / self.intercept_unit)

    def conjugate(self, V, V_b=0.0):
        """g*(V) = sup_W <V, W> - g(W): sum_kj (|V_kj| / u_j - l1)_+^2 / (2 l2), or an indicator if l2 = 0.

        V_b (K,) goes with penalised intercepts; that it is zero for others is up to the caller.
        """
        return self.conjugate_along(V, V_b)(1.0)

    def conjugate_along(self, V, V_b=0.0):
        """The function c -> g*(c V) of c in [0, 1], which is cheap beside the first look at V."""
        if self.l1 == 0 and self.l2 > 0:
            size = _squares(V, self.units**-2.0)
            if self.intercept_unit > 0:
                size += np.square(np.divide(V_b, self.intercept_unit)).sum()
            return lambda c: c**2 * size / (2 * self.l2)
        sizes = self._dual_sizes(V, V_b)
        sizes = sizes[sizes > self.l1]

        def along(c):
            excess = np.maximum(c * sizes - self.l1, 0)
            if self.l2 > 0:
                return np.square(excess).sum() / (2 * self.l2)
            return np.inf if excess.any() else 0.0

        return along

    def largest_feasible(self, V, V_b=0.0):
        """The largest c in [0, 1] with g*(c V) finite."""
        if self.l2 > 0:
            return 1.0
        reach = np.max(self._dual_sizes(V, V_b), initial=0.0)
        # A trace less, so that rounding does not carry c V over the edge.
        return 1.0 if reach <= self.l1 else (1 - 1e-12) * self.l1 / reach

    def best_scale(self, slope, square, V, V_b=0.0):
        """The c >= 0 that maximises c slope - c^2 square - g*(c V), for slope >= 0 and square > 0."""
        c = slope / (2 * square)
        if self.l2 == 0:
            return c * self.largest_feasible(c * V, c * np.asarray(V_b))
        # The derivative in c is concave and piecewise linear: Newton's steps from above the root stay above
        # it and end on its piece.
        sizes = self._dual_sizes(V, V_b)
        for _ in range(100):
            beyond = sizes[c * sizes > self.l1]
            excess = slope - 2 * c * square - (c * beyond - self.l1) @ beyond / self.l2
            step = -excess / (2 * square + beyond @ beyond / self.l2)
            c = max(c - step, 0.0)
            if step <= 1e-15 * c:
                break
        return c


def _squares(W, weights):
    """sum_kj weights_j W_kj^2 in float64, without another array of W's size."""
    W = np.atleast_2d(W)
    return np.sum(np.einsum("kj,kj->j", W, W, dtype=np.float64) * weights)
