"""Problems: data + loss + penalty, and nothing else.

Shapes: n samples, d features, K score columns. The model is z = W (x - shift) + b with W (K, d) on raw
features; the objective is F(W, b) = sum_i s_i loss_i + penalty(W, b).
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from fastlr.data import Data, Moments
from fastlr.losses import Softmax, SquaredHinge
from fastlr.penalties import ElasticNet


@dataclass(frozen=True)
class LinearProblem:
    """A penalised linear classification problem.

    Parameters
    ----------
    data : Data
    loss : Softmax or SquaredHinge
    penalty : ElasticNet
        That of the intercept is for the squared hinge.
    moments : Moments
        Column statistics of the data under the weights of the loss.
    shift : array of shape (d,)
        What is taken from the features. With an intercept that is not penalised any shift describes the
        same models, and the column means condition them best; otherwise it belongs to the model.
    fit_intercept : bool
    """

    data: Data
    loss: Softmax | SquaredHinge
    penalty: ElasticNet
    moments: Moments
    shift: np.ndarray
    fit_intercept: bool = True

    @property
    def intercept_is_free(self):
        """Whether there is an intercept and no penalty on it."""
        return self.fit_intercept and self.penalty.intercept_unit == 0

    def bias(self, W, b):
        """What the raw scores start from: z = W x + bias; in the type of W."""
        return (b - self.offset(W)).astype(W.dtype)

    def offset(self, W):
        """W shift. Not by BLAS, whose threads spin for a while after a product and are in the way of the
        kernels' own."""
        if not self.shift.any():
            return np.zeros(len(W))
        return np.einsum("kj,j->k", W, self.shift)

    def loss_gradient(self, W, b):
        """Loss, its gradients in W (K, d) and in b (K,), in float64 sums; arithmetic in the type of W."""
        value, G, mass = self.data.loss_gradient(W, self.bias(W, b), self.loss)
        residual = mass - self.loss.column_mass
        if self.shift.any():
            G -= np.multiply.outer(residual, self.shift)
        return value, G, residual

    @cached_property
    def label_sums(self):
        """sum_i s_i y_i (x_i - shift)', shape (K, d), over the classes that have a score column."""
        if not self.shift.any():
            return self.moments.label_sums
        mass = self.loss.class_mass[-self.loss.n_columns :]
        return self.moments.label_sums - np.multiply.outer(mass, self.shift)

    @cached_property
    def centred_total(self):
        """sum_i s_i (x_i - shift), shape (d,)."""
        return self.moments.total - self.loss.class_mass.sum() * self.shift

    @cached_property
    def null_objective(self):
        """F of the best model without features: the yardstick of `tol`."""
        return self.loss.null_loss(self.fit_intercept, *self._intercept_penalty)

    @property
    def _intercept_penalty(self):
        if self.penalty.intercept_unit == 0:
            return ()
        return self.penalty.intercept_threshold, self.penalty.intercept_curvature

    @cached_property
    def null_intercept(self):
        """Intercepts of the best model without features, shape (K,)."""
        if not self.fit_intercept:
            return np.zeros(self.loss.n_columns)
        return self.loss.null_intercept(*self._intercept_penalty)

    @cached_property
    def null_gradient(self):
        """Gradient of the loss in W at the best model without features, shape (K, d)."""
        common, own = self.loss.constant_slopes(self.null_intercept)
        # Laid out as the sums by label are, of which it takes the size.
        gradient = np.multiply(common[:, None], self.centred_total, out=np.empty_like(self.label_sums))
        gradient -= own * self.label_sums
        return gradient

    @cached_property
    def null_slopes(self):
        """Gradient of the loss in b at that model, shape (K,): zero where the intercept is free."""
        common, own = self.loss.constant_slopes(self.null_intercept)
        mass = self.loss.class_mass
        return common * mass.sum() - own * mass[-self.loss.n_columns :]

    @cached_property
    def null_is_optimal(self):
        """Whether the penalty keeps every weight at zero."""
        return bool(np.all(np.abs(self.null_gradient) <= self.penalty.thresholds))

    def rows(self, index):
        """The problem's loss on some rows alone; of use for `loss_gradient` only."""
        return replace(self, data=Data(self.data.X[index]), loss=self.loss.rows(index))

    def sample(self, m, rng):
        """The problem of a sample of about m rows, in memory, whose weights are scaled up."""
        data, loss = self.data.sample(m, self.loss, rng)
        return replace(self, data=data, loss=loss, moments=data.moments(loss))

    def scaled(self, factor):
        """The problem with all weights of the loss times `factor`: another C on the same data."""
        sums = (factor * part for part in (self.moments.label_sums, self.moments.total))
        moments = replace(self.moments, **dict(zip(("label_sums", "total"), sums, strict=True)))
        return replace(self, loss=self.loss.times(factor), moments=moments)

    def _centred(self, W, b):
        """The same probabilities from (W, b) whose sums over the score columns are zero, which makes them
        unique: the L2 penalty is least there, L1 would rise, and free intercepts cost nothing anywhere."""
        if self.loss.n_columns == 1:
            return W, b
        if self.penalty.l1 == 0:
            W = W - W.mean(axis=0)
        if self.intercept_is_free:
            b = b - (b - self.offset(W)).mean()
        return W, b

    def as_stored(self, W, b, dtype):
        """(W, b) after coef_ and intercept_ are centred and rounded to dtype; b in float64."""
        W, b = self._centred(W, b.astype(np.float64))
        W = W.astype(dtype, order="K")
        offset = self.offset(W)
        return W, (b - offset).astype(dtype) + offset

    def start(self, dtype):
        """The best model without features."""
        W = self.data.weights(self.loss.n_columns, dtype)
        return W, self.null_intercept.astype(dtype)

    def unpack(self, W, b):
        """coef_ and intercept_ that act on raw X; laid out as rows like those of X are read."""
        return W, b - self.offset(W)
