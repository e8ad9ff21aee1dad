"""What linear classifiers share: scores from weights."""

from typing import Self

import numpy as np
import scipy.sparse as sp
from sklearn.utils.validation import check_is_fitted

from fastlr import peers, validate
from fastlr.base import (
    ProbabilityClassifier,
    ScoreClassifier,
    finite_scores,
    stored_dtype,
)
from fastlr.data import Data, thread_count
from fastlr.typing import Features, Floats


def as_dense(coef):
    """Weights as an array, which `sparsify` may have made a sparse matrix."""
    return coef.toarray() if sp.issparse(coef) else coef


class LinearScores(ScoreClassifier):
    """Prediction from `coef_` (K, d), `intercept_` (K,) and `classes_`; K = 1 row for two classes."""

    coef_: Floats
    intercept_: Floats

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _scores(self, X):
        """Scores of shape (n, K); bytes are worked on in float32, as when fitting."""
        if not hasattr(self, "coef_"):  # scikit-learn's check takes as long as the scores of a row
            check_is_fitted(self)
            name = type(self).__name__
            raise AttributeError(f"{name} was fitted with refit=False: it has no model to predict with.")
        X = validate.features(self, X, reset=False)
        if sp.issparse(self.coef_) and sp.issparse(X):  # the zeros of both cost nothing
            scores = (X @ self.coef_.T).toarray() + self.intercept_
            return finite_scores(scores.astype(self._score_dtype, copy=False))
        working = np.float32 if X.dtype == np.uint8 else self._score_dtype
        coef = as_dense(self.coef_).astype(working, copy=False)
        intercept = np.ascontiguousarray(self.intercept_, dtype=coef.dtype)
        if intercept.shape != (len(coef),):
            intercept = np.full(len(coef), intercept)
        # To ask how many threads there may be takes longer than the scores of a row.
        threads = thread_count(self.n_threads) if X.shape[0] > 1 else 1
        return finite_scores(Data(X, threads).scores(coef, intercept))

    @property
    def _score_dtype(self):
        return stored_dtype(self.coef_)  # whatever a hand has made of it

    def decision_function(self, X: Features) -> Floats:
        """Scores of the samples.

        Parameters
        ----------
        X : {array, CSR matrix} of shape (n_samples, n_features)

        Returns
        -------
        scores : array of shape (n_samples, n_classes), or (n_samples,) for two classes
            For two classes positive where `classes_[1]` is predicted.
        """
        scores = self._scores(X).astype(self._score_dtype, copy=False)
        return scores[:, 0] if scores.shape[1] == 1 else scores

    def sparsify(self) -> Self:
        """Makes `coef_` a sparse matrix in CSR: less memory where more than half of the weights are zero.

        Predictions stay the same but for rounding; those of sparse X become faster. `save`, another `fit`,
        `warm_start` and `partial_fit` take such weights, too.

        Returns
        -------
        self

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from fastlr import LogisticRegression
        >>> X, y = load_iris(return_X_y=True)
        >>> clf = LogisticRegression(penalty="l1", C=0.1).fit(X, y).sparsify()
        >>> clf.coef_.shape, clf.coef_.nnz < 12
        ((3, 4), True)
        """
        check_is_fitted(self, "coef_")
        self.coef_ = sp.csr_matrix(self.coef_)
        return self

    def densify(self) -> Self:
        """Makes `coef_` an array again, after :meth:`sparsify`.

        Returns
        -------
        self
        """
        check_is_fitted(self, "coef_")
        self.coef_ = as_dense(self.coef_)
        return self


class LinearClassifier(LinearScores, ProbabilityClassifier):
    """The same with probabilities: scores are those of the softmax. Subclasses have `_strengths()`: factor of
    the losses, L1 and L2 strengths."""

    def _peer(self):
        factor, l1, l2 = self._strengths()
        if l1 == l2 == 0:
            return peers.softmax(self, np.inf, 0.0)
        return peers.softmax(self, factor / (l1 + l2), l1 / (l1 + l2))
