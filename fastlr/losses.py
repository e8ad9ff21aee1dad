"""Losses: formulas on scores, never on X.

Shapes: n samples, K classes; z holds one score column per class, or a single one for two classes.
"""

from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np


class _OfRows:
    """What losses of rows with class numbers y and weights s have in common."""

    def rows(self, index):
        """The loss of some of the rows."""
        return replace(self, y=self.y[index], s=self.s[index])

    def times(self, factor):
        """The same with all weights times a factor."""
        return replace(self, s=factor * self.s)

    def of_mass(self, mass):
        """The same with the weights of each class scaled to this mass in all, shape (K,)."""
        factors = np.divide(mass, self.class_mass, out=np.zeros(len(mass)), where=self.class_mass > 0)
        return replace(self, s=self.s * factors[self.y])


@dataclass(frozen=True)
class Softmax(_OfRows):
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
    kind: ClassVar[int] = 0  # in passes.pyx

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

    def constant_slopes(self, b):
        """Gradient in z of one sample of weight 1 whose scores are b, shape (n_columns,): `common`, less
        `own` in the column of its class."""
        z = np.append(0.0, b) if self.n_classes == 2 else b
        p = np.exp(z - z.max())
        return p[-self.n_columns :] / p.sum(), 1.0


class SoftmaxOfBlocks(Softmax):
    """The same for rows whose labels and weights lie in blocks, as numbers of classes and plain weights.

    Parameters
    ----------
    factors : array of shape (K,)
        What the weights of each class are multiplied by.
    mass : array of shape (K,)
        Sums of the plain weights.
    """

    def __init__(self, factors, mass):
        values = {"y": None, "s": None, "n_classes": len(factors), "class_mass": factors * mass}
        for name, value in {**values, "factors": factors, "mass": mass}.items():
            object.__setattr__(self, name, value)

    def times(self, factor):
        return SoftmaxOfBlocks(factor * self.factors, self.mass)

    def of(self, y, s):
        """The loss of a block."""
        return Softmax(y, self.factors[y] * s, self.n_classes)


@dataclass(frozen=True)
class SquaredHinge(_OfRows):
    """Weighted squared hinge sum_i s_i max(0, 1 - t_i z_i)^2, t_i = 1 for class 1 and -1 for class 0.

    Two classes, one score column.

    Parameters
    ----------
    y : int32 array of shape (n,)
        Class numbers 0 and 1.
    s : float64 array of shape (n,)
        Weights, not negative; the factor C is in them.
    """

    y: np.ndarray
    s: np.ndarray
    n_classes: int = 2
    class_mass: np.ndarray = field(init=False)
    kind: ClassVar[int] = 1  # in passes.pyx
    n_columns: ClassVar[int] = 1
    curvature: ClassVar[float] = 2.0  # bound on the second derivative in z of one sample

    def __post_init__(self):
        object.__setattr__(self, "class_mass", np.bincount(self.y, weights=self.s, minlength=2))

    @property
    def column_mass(self):
        """Zero: what passes add to `mass` is the sum of the residuals."""
        return np.zeros(1)

    def null_intercept(self, threshold=0.0, curvature=0.0):
        """Intercept of the best model without features, shape (1,).

        For |b| <= 1 the loss is S (1 - 2 b m + b^2), S the sum of the weights and m the weighted mean of t;
        its minimum, with a penalty threshold |b| + curvature/2 b^2 or without, is within.
        """
        pull = 2 * (self.class_mass[1] - self.class_mass[0])
        size = max(abs(pull) - threshold, 0.0) / (2 * self.class_mass.sum() + curvature)
        return np.array([np.copysign(size, pull)])

    def null_loss(self, fit_intercept, threshold=0.0, curvature=0.0):
        """Loss of the best model without features, with the penalty of its intercept."""
        b = self.null_intercept(threshold, curvature)[0] if fit_intercept else 0.0
        loss = self.class_mass @ np.square([1 + b, 1 - b])
        return loss + threshold * abs(b) + curvature / 2 * b**2

    def constant_slopes(self, b):
        """Gradient in z of one sample of weight 1 whose score is b, in [-1, 1]: `common`, less `own` for
        class 1."""
        return 2 * (1 + b), 4.0
