"""fastlr: linear classification at the speed of the machine, with a certificate for every fit."""

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

from fastlr._version import __version__, show_versions
from fastlr.blocks import Blocks
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
    "Blocks",
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

if TYPE_CHECKING:
    from fastlr import dask as dask
    from fastlr import metrics as metrics
    from fastlr import model_selection as model_selection
    from fastlr import plots as plots

# Loaded when they are first used: `import fastlr; fastlr.plots.plot_weights(...)`.
_ROOMS = ("dask", "datasets", "metrics", "model_selection", "plots", "readers")


def __getattr__(name: str) -> ModuleType:
    if name in _ROOMS:
        return importlib.import_module(f"fastlr.{name}")
    raise AttributeError(f"module 'fastlr' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, *_ROOMS]
