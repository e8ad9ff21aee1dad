"""Linear classifiers."""

from fastlr.linear_model.logistic import LogisticRegression
from fastlr.linear_model.logistic_cv import LogisticRegressionCV
from fastlr.linear_model.path import Path, logistic_path
from fastlr.linear_model.sgd import SGDClassifier
from fastlr.linear_model.svm import LinearSVC
from fastlr.linear_model.svm_cv import LinearSVCCV

__all__ = [
    "LinearSVC",
    "LinearSVCCV",
    "LogisticRegression",
    "LogisticRegressionCV",
    "Path",
    "SGDClassifier",
    "logistic_path",
]
