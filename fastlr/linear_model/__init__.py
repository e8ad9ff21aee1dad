"""Linear classifiers."""

from fastlr.linear_model.logistic import LogisticRegression
from fastlr.linear_model.sgd import SGDClassifier

__all__ = ["LogisticRegression", "SGDClassifier"]
