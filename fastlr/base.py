"""What all classifiers share: threads, units of the features, and predictions from scores."""

import inspect
import warnings
from typing import Any

import numpy as np
from scipy.special import log_expit, log_softmax
from sklearn import exceptions
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from fastlr import peers, validate
from fastlr._kernels import scores as kernels
from fastlr._version import __version__
from fastlr.callbacks import CallbackSupportMixin
from fastlr.data import thread_count
from fastlr.typing import Array, Features, Floats

_MANY_SCORES = 50_000  # of these a second thread is worth its start
_CALL_SCORES = 4_000_000  # of one kernel call: about 0.1 s without vector instructions


def stored_dtype(X):
    """The type of the weights of a model that is fitted to X."""
    return np.dtype(np.float32 if X.dtype == np.float32 else np.float64)


def feature_units(scaling, d, unit, moments):
    """Units in which d features are penalised for a `scaling`; "standard" needs their Moments."""
    if scaling == "standard":
        spread = np.sqrt(moments.variance)
        spread[spread == 0] = 1.0
        return spread
    if scaling == "unit" and np.isnan(unit):
        raise ValueError(
            "scaling='unit' needs blocks of one type, which tells of the largest value; found several."
        )
    return np.full(d, unit if scaling == "unit" else 1.0)


def finite_scores(scores):
    """The scores, unless they are infinite or NaN: no class follows from them."""
    if not validate.has_finite_sum(scores) and not np.isfinite(scores).all():
        raise ValueError(
            f"X must hold numbers whose scores {scores.dtype} can hold; found rows with scores that are "
            f"infinite or NaN. Bring X to another unit, and fit again."
        )
    return scores


class InconsistentVersionWarning(exceptions.InconsistentVersionWarning):
    """A pickle comes from another version of fastlr; scikit-learn's warning of this name, of its own pickles,
    is caught by the same filters."""

    def __str__(self):
        return (
            f"this {self.estimator_name} was pickled by fastlr {self.original_sklearn_version}; this is "
            f"{self.current_sklearn_version}, where it may predict otherwise or fail. Models written by "
            "fastlr.save are read by every later version."
        )


class ScoreClassifier(CallbackSupportMixin, ClassifierMixin, BaseEstimator):
    """Prediction from scores; subclasses have `classes_`, `_scores(X)` of shape (n, K), K = 1 column for
    two classes, `_score_dtype`, the type that people get, and `_peer()`, scikit-learn's estimator for these
    scores."""

    classes_: Array
    _score_dtype: np.dtype
    n_features_in_: int
    feature_names_in_: Array

    def __getstate__(self):
        return {**super().__getstate__(), "_fastlr_version": __version__}

    def __setstate__(self, state):
        state = dict(state)
        found = state.pop("_fastlr_version", "of an unknown version")
        if found != __version__:
            name = type(self).__name__
            warnings.warn(
                InconsistentVersionWarning(
                    estimator_name=name, current_sklearn_version=__version__, original_sklearn_version=found
                ),
                stacklevel=2,
            )
            # Parameters that were not there yet have their defaults, as for `load`.
            known = inspect.signature(type(self)).parameters.values()
            state = {each.name: each.default for each in known if each.default is not each.empty} | state
        super().__setstate__(state)

    def predict(self, X: Features) -> Array:
        """Class of the highest score of each sample.

        Parameters
        ----------
        X : {array, CSR matrix} of shape (n_samples, n_features)

        Returns
        -------
        y : array of shape (n_samples,)
        """
        found = self._class_numbers(self._scores(X))
        return self.classes_[found]

    def to_sklearn(self) -> Any:
        """The scikit-learn estimator with the same predictions, fitted; as :func:`fastlr.to_sklearn`.

        Returns
        -------
        model : estimator of scikit-learn

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from fastlr import LogisticRegression
        >>> X, y = load_iris(return_X_y=True)
        >>> LogisticRegression(C=2.0).fit(X, y).to_sklearn().predict(X[:2])
        array([0, 0])
        """
        check_is_fitted(self)
        if not hasattr(self, "coef_") and not hasattr(self, "coefs_"):
            raise ValueError(f"model must have weights; found {type(self).__name__} fitted with refit=False.")
        return peers.fitted(self._peer(), self)

    @staticmethod
    def _class_numbers(scores):
        """Numbers of the classes of the highest scores."""
        return (scores[:, 0] > 0).astype(int) if scores.shape[1] == 1 else scores.argmax(axis=1)


class ProbabilityClassifier(ScoreClassifier):
    """The same with probabilities: scores are those of the softmax."""

    def predict_proba(self, X: Features) -> Floats:
        """Probabilities of the classes.

        Parameters
        ----------
        X : {array, CSR matrix} of shape (n_samples, n_features)

        Returns
        -------
        p : array of shape (n_samples, n_classes)
            In the order of `classes_`; rows sum to one.
        """
        scores = self._scores(X)
        n, K = scores.shape
        P = np.empty((n, max(K, 2)), dtype=self._score_dtype)
        # To ask how many threads there may be takes longer than the probabilities of a few rows.
        threads = thread_count(self.n_threads) if P.size > _MANY_SCORES else 1
        rows = max(1, _CALL_SCORES // P.shape[1])
        for start in range(0, n, rows):
            kernels.probabilities(scores[start : start + rows], P[start : start + rows], threads)
        return P

    def predict_log_proba(self, X: Features) -> Floats:
        """Logarithms of the probabilities, exact where these are too small to be told from zero.

        Parameters
        ----------
        X : {array, CSR matrix} of shape (n_samples, n_features)

        Returns
        -------
        log_p : array of shape (n_samples, n_classes)
        """
        scores = self._scores(X).astype(self._score_dtype, copy=False)
        if scores.shape[1] == 1:
            return np.hstack([log_expit(-scores), log_expit(scores)])
        return log_softmax(scores, axis=1)
