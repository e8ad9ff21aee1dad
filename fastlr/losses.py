"""Losses: formulas on scores, never on X.

Shapes: n samples, K classes; z holds one score column per class, or a single one for two classes.
"""

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Softmax:
    """Weighted cross-entropy sum_i s_i (logsumexp(z_i) - z_{i, y_i}).

    Two classes have one score column: z_i stands for (0, z_i), which is binary logistic regression.

    Parameters
    ----------
    y : int32 array of shape (n,)
        Class numbers 0 to K - 1.
    s : float64 array of shape (n,)
        Weights, not negative; the factor C is in them.
    n_classes : int
    """

    y: np.ndarray
    s: np.ndarray
    n_classes: int
    class_mass: np.ndarray = field(init=False)

    def __post_init__(self):
        mass = np.bincount(self.y, weights=self.s, minlength=self.n_classes)
        object.__setattr__(self, "class_mass", mass)

    @property
    def n_columns(self):
        """Number of score columns."""
        return 1 if self.n_classes == 2 else self.n_classes

    @property
    def curvature(self):
        """Bound on the eigenvalues of the Hessian in z of one sample: 1/2 (Boehning 1992), or 1/4."""
        return 0.25 if self.n_classes == 2 else 0.5

    @property
    def column_mass(self):
        """Mass of the classes that have a score column, shape (n_columns,)."""
        return self.class_mass[-self.n_columns :]

    def null_intercept(self):
        """Intercepts of the best model without features, shape (n_columns,), their mean zero for K > 2.

        A class of no mass would have -inf; it gets the intercept of a hundred-millionth of the mass.
        """
        log_mass = np.log(np.maximum(self.class_mass, 1e-8 * self.class_mass.sum()))
        if self.n_classes == 2:
            return log_mass[1:] - log_mass[0]
        return log_mass - log_mass.mean()

    def null_loss(self, fit_intercept):
        """Loss of the best model without features."""
        mass = self.class_mass[self.class_mass > 0]
        if not fit_intercept:
            return mass.sum() * np.log(self.n_classes)
        return -np.sum(mass * np.log(mass / mass.sum()))
