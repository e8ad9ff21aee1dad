"""One problem for all solvers, and the one judge of what they return: float64, plain NumPy.

A problem is to minimise F(W, b) = C sum_i loss_i + |W u|_1 or |W u|^2 / 2, where u holds a unit for each
feature (ones for data that lies as it is meant). The suboptimality of weights is

    (F(W, b) - F_low) / F_null,

F_null being the objective of the best model that has an intercept only, and F_low the lower bound of the
optimum that the duality gap of a tight fit of fastlr's proves. So no solver, fastlr's included, is ever shown
nearer to the optimum than it is, and nobody may come out negative.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from benchmarks.workloads import logistic_losses

# Where times are read off.
LEVELS = (1e-2, 1e-4, 1e-6)
# So that a block of 784 features takes 63 MB in float64.
_BLOCK_ROWS = 10_000


@dataclass(frozen=True)
class Problem:
    """Data, and what is to be minimised over its weights.

    Parameters
    ----------
    X : {array, CSR matrix} of shape (n, d)
        In its storage: uint8, float32 or float64; may be mapped from a file.
    y : array of shape (n,)
        Class numbers from 0 to K - 1.
    C : float
    penalty : {"l1", "l2"}
    scaling : {None, "unit", "standard"}, default=None
        The scaling of fastlr's that gives the units, for X in uint8.
    units : float or array of shape (d,), default=1.0
        What weights on X are multiplied by before they are penalised.
    """

    X: object
    y: np.ndarray
    C: float
    penalty: str
    scaling: str | None = None
    units: object = 1.0

    @property
    def n_classes(self):
        return int(self.y.max()) + 1

    @property
    def alpha(self):
        """The strength of the penalty beside the mean of the losses."""
        return 1 / (self.C * len(self.y))

    @property
    def is_mapped(self):
        return isinstance(self.X, np.memmap)

    @property
    def needs(self):
        """What a solver has to take."""
        kinds = {self.penalty, "binary" if self.n_classes == 2 else "multinomial"}
        if sparse.issparse(self.X):
            kinds.add("sparse")
        if self.X.dtype == np.uint8:
            kinds.add("mapped" if self.is_mapped else "uint8")
        return kinds

    def objective(self, coef, intercept):
        """F of coef (K, d), or (1, d) for two classes, and of intercept (K,) or (1,)."""
        coef = np.atleast_2d(np.asarray(coef, np.float64))
        intercept = np.atleast_1d(np.asarray(intercept, np.float64))
        loss = 0.0
        for first in range(0, len(self.y), _BLOCK_ROWS):
            rows = slice(first, first + _BLOCK_ROWS)
            Z = np.asarray(self.X[rows].astype(np.float64, copy=False) @ coef.T) + intercept
            loss += logistic_losses(Z, self.y[rows]).sum()
        scaled = coef * self.units
        penalty = np.abs(scaled).sum() if self.penalty == "l1" else np.vdot(scaled, scaled) / 2
        return float(self.C * loss + penalty)

    def head(self, rows=20):
        """The problem of a few rows of each class, to load and to compile what a solver needs."""
        y = np.asarray(self.y[:20_000])
        few = np.sort(np.concatenate([np.flatnonzero(y == k)[:rows] for k in range(self.n_classes)]))
        return Problem(self.X[few], y[few], self.C, self.penalty, self.scaling, self.units)
