"""The examples in docstrings run."""

import doctest
import importlib
import pkgutil
import subprocess
import sys

import matplotlib
import pytest

import fastlr

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(fastlr.__path__, "fastlr.")
    if "_kernels" not in module.name and module.name != "fastlr.__main__"
)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    matplotlib.use("Agg")
    found = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert found.failed == 0


def test_the_estimators_have_examples():
    assert ">>>" in fastlr.LogisticRegression.__doc__ and ">>>" in fastlr.SGDClassifier.__doc__


def test_rooms_open_when_they_are_used():
    code = "import sys, fastlr; assert 'fastlr.plots' not in sys.modules; fastlr.plots.plot_images"
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="module 'fastlr' has no attribute 'nonsense'"):
        _ = fastlr.nonsense
