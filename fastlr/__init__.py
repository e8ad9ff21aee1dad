"""fastlr: softmax regression at the speed of the machine, with a certificate for every fit."""

from fastlr._version import __version__, show_versions
from fastlr.linear_model import (
    LinearSVC,
    LinearSVCCV,
    LogisticRegression,
    LogisticRegressionCV,
    SGDClassifier,
    logistic_path,
)
from fastlr.neural_network import MLPClassifier
from fastlr.persistence import load, save, to_sklearn
from fastlr.stopping import EarlyStopping

__all__ = [
    "EarlyStopping",
    "LinearSVC",
    "LinearSVCCV",
    "LogisticRegression",
    "LogisticRegressionCV",
    "MLPClassifier",
    "SGDClassifier",
    "__version__",
    "load",
    "logistic_path",
    "save",
    "show_versions",
    "to_sklearn",
]
