"""What is public is documented as numpydoc asks for, with examples, and these run."""

import doctest
import importlib
import inspect
import pkgutil
import subprocess
import sys
from itertools import pairwise

import matplotlib
import pytest

import fastlr

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(fastlr.__path__, "fastlr.")
    if "_kernels" not in module.name and module.name != "fastlr.__main__"
)
# Doors through which users come in.
DOORS = (
    "fastlr",
    *(f"fastlr.{name}" for name in ("dask", "datasets", "metrics", "model_selection", "plots", "readers")),
)


def public(door):
    """Functions and classes of a door by their full name: those of `__all__`, or made there."""
    module = importlib.import_module(door)
    made_there = (
        name
        for name, thing in vars(module).items()
        if name[0] != "_" and getattr(thing, "__module__", None) == door
    )
    for name in getattr(module, "__all__", None) or made_there:
        if callable(thing := getattr(module, name)):
            yield f"{door}.{name}", thing


PUBLIC = dict(item for door in DOORS for item in public(door))
METHODS = {
    f"{name}.{method}": function
    for name, thing in PUBLIC.items()
    if inspect.isclass(thing)
    for method, function in inspect.getmembers(thing, inspect.isfunction)
    if method[0] != "_" and function.__module__.startswith("fastlr")
}
# What needs a network, or a package that need not be there: tests/test_dask.py runs that example.
SKIPPED = {"fastlr.datasets.fetch_mnist", "fastlr.dask.LogisticRegression"}
every_public = pytest.mark.parametrize("name", PUBLIC)


def described(section, doc):
    """Names that a section of a docstring describes."""
    lines = inspect.cleandoc(doc).splitlines()
    starts = [i for i, line in enumerate(lines[1:]) if line and set(line) == {"-"}] + [len(lines)]
    for start, stop in pairwise(starts):
        if lines[start] == section:
            heads = [line.split(" : ")[0] for line in lines[start + 2 : stop] if line and line[0] != " "]
            return {name.strip(" *") for head in heads for name in head.split(",")}
    return set()


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    matplotlib.use("Agg")
    found = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert found.failed == 0


def test_what_is_public_is_found():
    assert {"fastlr.save", "fastlr.metrics.mistakes", "fastlr.readers.read_table"} <= set(PUBLIC)
    assert {"fastlr.LinearSVC.predict", "fastlr.MLPClassifier.partial_fit"} <= set(METHODS)


@every_public
def test_there_is_an_example_that_runs(name):
    examples = doctest.DocTestParser().get_examples(PUBLIC[name].__doc__)
    is_skipped = any(doctest.SKIP in example.options for example in examples)
    assert examples and is_skipped == (name in SKIPPED)


@pytest.mark.parametrize("name", [*PUBLIC, *METHODS])
def test_parameters_are_described(name):
    thing = PUBLIC.get(name) or METHODS[name]
    parameters = [parameter for parameter in inspect.signature(thing).parameters if parameter != "self"]
    documented = described("Parameters", thing.__doc__)
    assert set(parameters) <= documented | described("Attributes", thing.__doc__)
    assert not documented - set(parameters)


@pytest.mark.parametrize("name", [name for name in PUBLIC if not inspect.isclass(PUBLIC[name])])
def test_what_comes_back_is_described(name):
    doc = PUBLIC[name].__doc__
    returns = inspect.getsource(PUBLIC[name]).count("    return ") > 0
    assert bool(described("Returns", doc) or described("Yields", doc)) == returns


def test_rooms_open_when_they_are_used():
    code = "import sys, fastlr; assert 'fastlr.plots' not in sys.modules; fastlr.plots.plot_images"
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="module 'fastlr' has no attribute 'nonsense'"):
        _ = fastlr.nonsense
