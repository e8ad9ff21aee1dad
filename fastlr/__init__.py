"""fastlr: softmax regression at the speed of the machine, with a certificate for every fit."""

from fastlr._version import __version__, show_versions
from fastlr.linear_model import LinearSVC, LinearSVCCV, LogisticRegression, SGDClassifier
from fastlr.stopping import EarlyStopping

__all__ = [
    "EarlyStopping",
    "LinearSVC",
    "LinearSVCCV",
    "LogisticRegression",
    "SGDClassifier",
    "__version__",
    "show_versions",
]
