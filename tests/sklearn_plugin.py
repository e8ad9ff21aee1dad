"""A pytest plugin that runs scikit-learn's own tests against fastlr.

    cd tests
    python -m pytest -c /dev/null -p sklearn_plugin --pyargs sklearn.linear_model.tests.test_logistic

For the whole run scikit-learn's packages show fastlr's classes under their public names, so that the modules
of tests, which are imported afterwards, hold nothing else: in globals, parameters and subclasses, too. Tests
that name no such class are left out. Those that do not pass are in sklearn_listed.toml, each with a reason
and a kind:

    "differs"      it fails,
    "message"      it fails, and passes where the words of pytest.raises and pytest.warns (`match`) count for
                   nothing, nor does a FutureWarning, which tells of scikit-learn's future,
    "not offered"  it fails with the refusal of a setting that fastlr lacks: `refusal` of the group, a regular
                   expression, finds it in the error, or in one that led to it.

A test that fails and is not listed fails, and so does one that is listed and passes, or is listed as
"message" or "not offered" and fails for more. A group with `chance = true` may pass, as rounding or the order
of threads will have it, and counts as listed all the same. Tests with arrays of other libraries than NumPy
are not run. `--sklearn-report FILE` writes the numbers of each module and of the list's groups, as JSON.
"""

import ast
import functools
import importlib
import inspect
import json
import re
import tomllib
import warnings
from collections import Counter
from pathlib import Path

import pytest
from sklearn.base import BaseEstimator

import fastlr

SWAPPED = {
    "LogisticRegression": "sklearn.linear_model",
    "LogisticRegressionCV": "sklearn.linear_model",
    "LinearSVC": "sklearn.svm",
    "SGDClassifier": "sklearn.linear_model",
    "MLPClassifier": "sklearn.neural_network",
}
LISTED = Path(__file__).with_name("sklearn_listed.toml")
COLUMNS = ("passed", "message", "differs", "not offered", "failed", "skipped")
# They import the classes from where these are replaced, and have to keep scikit-learn's own.
_USERS = ("calibration", "ensemble", "feature_selection", "multiclass", "utils.estimator_checks")


class WordingDiffers(AssertionError):
    """What a test of the kind "message" fails with."""


class NotOffered(AssertionError):
    """What a test of the kind "not offered" fails with."""


RAISED = {"differs": None, "message": WordingDiffers, "not offered": NotOffered}


def read_list():
    """The version that the list is for, and its groups."""
    listed = tomllib.loads(LISTED.read_text())
    return listed["sklearn"], listed["group"]


class _Names:
    """Which functions, fixtures and values of a module of tests name a swapped class."""

    def __init__(self, module):
        self.module, used = module, {}
        for node in ast.parse(inspect.getsource(module)).body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                # What decorators say of all cases of a test tells nothing of one.
                bases = getattr(node, "bases", [])
                used[node.name] = self._used([*node.body, *bases, *self._arguments(node)])
            elif isinstance(node, ast.Assign):
                names = self._used([node.value])
                used |= {target.id: names for target in node.targets if isinstance(target, ast.Name)}
        self.naming, grown = set(), set(SWAPPED)
        while grown != self.naming:
            self.naming = grown
            grown = self.naming | {name for name, names in used.items() if names & self.naming}

    @staticmethod
    def _arguments(node):
        return [node.args] if isinstance(node, ast.FunctionDef) else []

    @staticmethod
    def _used(nodes):
        """Names that come from outside of these nodes; fixtures are arguments."""
        used, own = set(), set()
        for node in (inner for outer in nodes for inner in ast.walk(outer)):
            if isinstance(node, ast.Name):
                (used if isinstance(node.ctx, ast.Load) else own).add(node.id)
            elif isinstance(node, (ast.Attribute, ast.alias)):
                name = node.attr if isinstance(node, ast.Attribute) else node.name
                used |= {name} & set(SWAPPED)
        return used - own

    def in_value(self, value):
        """Whether a parameter is, makes or holds a swapped class."""
        if inspect.isclass(value):
            return any(issubclass(value, getattr(fastlr, name)) for name in SWAPPED)
        if isinstance(value, functools.partial):
            return self.in_value([value.func, *value.args, value.keywords])
        if isinstance(value, (list, tuple, set, dict)):
            return any(map(self.in_value, value.values() if isinstance(value, dict) else value))
        if isinstance(value, BaseEstimator):
            return self.in_value([type(value), *vars(value).values()])
        name, home = getattr(value, "__name__", None), getattr(value, "__module__", None)
        return name in self.naming and home == self.module.__name__

    def in_test(self, item):
        """Whether a test names one: in its source, in what it calls, in its fixtures or in its parameters."""
        if {item.originalname, *item.fixturenames} & self.naming:
            return True
        return hasattr(item, "callspec") and any(map(self.in_value, item.callspec.params.values()))


def _pattern(test):
    """A line of the list, "module::test[case]", where * stands for anything."""
    return re.compile(".*".join(map(re.escape, test.split("*"))))


def _name(item):
    return f"{item.module.__name__.rpartition('.')[2]}::{item.name}"


class Run:
    """One run of the tests."""

    def __init__(self, config):
        self.report, self.groups = config.getoption("sklearn_report"), read_list()[1]
        self.listed, self.modules = {}, {}  # by node: place of the group, name of the module
        self.counts, self.ended = {}, Counter()  # outcomes by module; those that failed as listed, by group

    def pytest_collection_modifyitems(self, config, items):
        """Leaves out what names no swapped class, and marks what is listed."""
        names = {module: _Names(module) for module in {item.module for item in items}}
        for module in names:
            for name, home in SWAPPED.items():
                own = getattr(fastlr, name)
                assert getattr(module, name, own) is own or inspect.isfunction(getattr(module, name)), home
        counted = [item for item in items if names[item.module].in_test(item)]
        config.hook.pytest_deselected(items=[item for item in items if item not in set(counted)])
        items[:] = counted
        self.modules = {item.nodeid: item.module.__name__ for item in items}
        self.counts = {module.__name__: Counter() for module in names}
        short = {module.rpartition(".")[2] for module in self.counts}
        whole = not any("::" in argument for argument in config.args)
        for item in items:
            if hasattr(item, "callspec") and item.callspec.params.get("array_namespace", "numpy") != "numpy":
                item.add_marker(pytest.mark.skip(reason="fastlr takes NumPy's arrays"))
        for place, group in enumerate(self.groups):
            for test in group["tests"]:
                found = [item for item in items if _pattern(test).fullmatch(_name(item))]
                if not found and whole and test.partition("::")[0] in short:
                    raise pytest.UsageError(f"{LISTED.name} lists {test!r}, but there is no such test.")
                for item in found:
                    if self.listed.setdefault(item.nodeid, place) != place:
                        raise pytest.UsageError(f"{LISTED.name} lists {_name(item)!r} twice.")
                    strict = not group.get("chance", False)
                    raises = RAISED[group["kind"]]
                    mark = pytest.mark.xfail(strict=strict, raises=raises, reason=group["reason"])
                    item.add_marker(mark, append=False)

    def _group(self, node):
        place = self.listed.get(node)
        return {"kind": None} if place is None else self.groups[place]

    @pytest.hookimpl(wrapper=True)
    def pytest_pyfunc_call(self, pyfuncitem):
        """Looks for refusals of what is not offered, and calls a test that fails again, with any wording."""
        group = self._group(pyfuncitem.nodeid)
        try:
            return (yield)
        except (Exception, pytest.fail.Exception) as error:
            if group["kind"] == "not offered" and _refused(error, group["refusal"]):
                raise NotOffered(str(error)) from error
            wording = isinstance(error, (AssertionError, pytest.fail.Exception))
            if not wording or group["kind"] in ("differs", "not offered"):
                raise
            failed = error
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pytest, "raises", _any_wording(pytest.raises))
            patch.setattr(pytest, "warns", _any_warning(pytest.warns))
            arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
            pyfuncitem.obj(**arguments)
        raise WordingDiffers(str(failed))

    def pytest_runtest_logreport(self, report):
        if report.when != "call" and report.outcome == "passed":
            return
        outcome = report.outcome
        if outcome != "failed" and hasattr(report, "wasxfail"):
            outcome = self._group(report.nodeid)["kind"] or "skipped"
            self.ended[self.listed.get(report.nodeid)] += 1
        self.counts[self.modules[report.nodeid]][outcome] += 1

    def pytest_sessionfinish(self):
        if self.report:
            modules = {name: {c: count[c] for c in COLUMNS} for name, count in self.counts.items()}
            groups = [self.ended[place] for place in range(len(self.groups))]
            Path(self.report).write_text(json.dumps({"modules": modules, "groups": groups}, indent=1))


def _any_wording(check):
    @functools.wraps(check)
    def checked(*args, match=None, **kwargs):
        return check(*args, **kwargs)

    return checked


def _any_warning(check):
    """No FutureWarning is needed, and others with any wording."""
    checked = _any_wording(check)

    def warns(expected, *args, **kwargs):
        if expected is FutureWarning:
            return warnings.catch_warnings(record=True)
        return checked(expected, *args, **kwargs)

    return warns


def _refused(error, refusal):
    """Whether an error, or one on the way to it, is that refusal."""
    while error is not None and not re.search(refusal, str(error)):
        error = error.__cause__ or error.__context__
    return error is not None


def pytest_addoption(parser):
    parser.addoption("--sklearn-report", help="file for the numbers of tests, as JSON")


def pytest_configure(config):
    for user in _USERS:
        importlib.import_module(f"sklearn.{user}")
    for name, home in SWAPPED.items():
        setattr(importlib.import_module(home), name, getattr(fastlr, name))
    config.pluginmanager.register(Run(config), "fastlr-sklearn")
