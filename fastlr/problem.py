"""Problems: data + loss + penalty, and nothing else.

Shapes: n samples, d features, K score columns. The model is z = W (x - shift) + b with W (K, d) on raw
features; the objective is F(W, b) = sum_i s_i loss_i + penalty(W).
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from fastlr.data import Data, Moments
from fastlr.losses import Softmax
from fastlr.penalties import ElasticNet


@dataclass(frozen=True)
class LinearProblem:
    """A penalised linear classification problem.

    Parameters
    ----------
    data : Data
    loss : Softmax
    penalty : ElasticNet
    moments : Moments
        Column statistics of the data under the weights of the loss.
    shift : array of shape (d,)
        What is taken from the features. With an intercept any shift describes the same models, and the
        column means condition them best; without one it belongs to the model.
    fit_intercept : bool
    """

    data: Data
    loss: Softmax
    penalty: ElasticNet
    moments: Moments
    shift: np.ndarray
    fit_intercept: bool = True

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
        G -= np.multiply.outer(residual, self.shift)
        return value, G, residual

    @cached_property
    def label_sums(self):
        """sum_i s_i y_i (x_i - shift)', shape (K, d): the part of the gradient that never changes."""
        return self.moments.label_sums - np.multiply.outer(self.loss.column_mass, self.shift)

    @cached_property
    def centred_total(self):
        """sum_i s_i (x_i - shift), shape (d,)."""
        return self.moments.total - self.loss.class_mass.sum() * self.shift

    @cached_property
    def null_objective(self):
        """F of the best model without features: the yardstick of `tol`."""
        return self.loss.null_loss(self.fit_intercept)

    @cached_property
    def null_gradient(self):
        """Gradient of the loss in W at the best model without features, shape (K, d)."""
        if self.fit_intercept:
            share = self.loss.column_mass / self.loss.class_mass.sum()
        else:
            share = np.full(self.loss.n_columns, 1 / self.loss.n_classes)
        return np.multiply.outer(share, self.centred_total) - self.label_sums

    @cached_property
    def null_is_optimal(self):
        """Whether the penalty keeps every weight at zero."""
        return bool(np.all(np.abs(self.null_gradient) <= self.penalty.thresholds))

    def rows(self, index):
        """The problem's loss on some rows alone; of use for `loss_gradient` only."""
        loss = Softmax(self.loss.y[index], self.loss.s[index], self.loss.n_classes)
        return replace(self, data=Data(self.data.X[index]), loss=loss)

    def as_stored(self, W, b, dtype):
        """(W, b) after coef_ and intercept_ are rounded to dtype; b in float64."""
        W, b = W.astype(dtype, order="K"), b.astype(np.float64)
        offset = self.offset(W)
        return W, (b - offset).astype(dtype) + offset

    def start(self, dtype):
        """The best model without features."""
        W = self.data.weights(self.loss.n_columns, dtype)
        b = self.loss.null_intercept() if self.fit_intercept else np.zeros(self.loss.n_columns)
        return W, b.astype(dtype)

    def unpack(self, W, b):
        """coef_ and intercept_ that act on raw X."""
        return np.ascontiguousarray(W), b - self.offset(W)
