"""What linear classifiers share: scores from weights."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fastlr import validate
from fastlr.base import ProbabilityClassifier, ScoreClassifier, thread_count
from fastlr.data import Data


class LinearScores(ScoreClassifier):
    """Prediction from `coef_` (K, d), `intercept_` (K,) and `classes_`; K = 1 row for two classes."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _scores(self, X):
        """Scores of shape (n, K), in the type of coef_; bytes are worked on in float32, as when fitting."""
        if not hasattr(self, "classes_"):  # scikit-learn's check takes as long as the scores of a row
            check_is_fitted(self)
        X = validate.features(self, X, reset=False)
        stored = self.coef_.dtype
        coef = np.ascontiguousarray(self.coef_, dtype=np.float32 if X.dtype == np.uint8 else stored)
        intercept = np.asarray(self.intercept_, dtype=coef.dtype)
        if intercept.shape != (len(coef),):
            intercept = np.full(len(coef), intercept)
        return Data(X, thread_count(self.n_threads)).scores(coef, intercept).astype(stored, copy=False)

    def decision_function(self, X):
        """Scores of the samples.

        Parameters
        ----------
        X : {array, CSR matrix} of shape (n_samples, n_features)

        Returns
        -------
        scores : array of shape (n_samples, n_classes), or (n_samples,) for two classes
            For two classes positive where `classes_[1]` is predicted.
        """
        scores = self._scores(X)
        return scores[:, 0] if scores.shape[1] == 1 else scores


class LinearClassifier(LinearScores, ProbabilityClassifier):
    """The same with probabilities: scores are those of the softmax."""
