"""scikit-learn's own tests, run against fastlr, and the table of docs/compatibility.md of how they end.

`python tests/test_sklearn_suite.py` writes that table anew.
"""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import pytest
import sklearn
from sklearn.multiclass import OneVsRestClassifier

import fastlr

MODULES = (
    "sklearn.linear_model.tests.test_logistic",
    "sklearn.linear_model.tests.test_sag",
    "sklearn.svm.tests.test_svm",
)
TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "compatibility.md"
BEGIN, END = "<!-- of tests/test_sklearn_suite.py -->\n", "<!-- until here -->\n"


def plugin():
    """sklearn_plugin.py, which is no part of a package."""
    spec = importlib.util.spec_from_file_location("sklearn_plugin", TESTS / "sklearn_plugin.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


VERSION, GROUPS = plugin().read_list()
only_that_version = pytest.mark.skipif(
    not sklearn.__version__.startswith(VERSION + "."),
    reason=f"the list is of the tests of scikit-learn {VERSION}",
)


def run(*arguments, listed=None):
    """pytest with the plugin in a process of its own: its exit status, its output and its report.

    `listed` is the text of another list.
    """
    with tempfile.TemporaryDirectory() as folder:
        report, path = Path(folder) / "report.json", [Path(fastlr.__file__).parents[1], TESTS]
        if listed is not None:
            for name in ("sklearn_plugin.py", "sklearn_listed.toml"):
                (Path(folder) / name).write_text(
                    (TESTS / name).read_text() if name.endswith("py") else listed
                )
            path[1] = folder
        known = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path)), "SCIPY_ARRAY_API": "1"}
        ran = subprocess.run(
            [
                sys.executable, "-m", "pytest", "-c", os.devnull, "--rootdir", folder, "-q", "--tb=short",
                "-p", "no:cacheprovider", "-p", "sklearn_plugin", "--disable-warnings",
                "--sklearn-report", report, *arguments,
            ],
            env=known, cwd=folder, capture_output=True, text=True,
        )  # fmt: skip
        return (
            ran.returncode,
            ran.stdout + ran.stderr,
            json.loads(report.read_text()) if report.exists() else None,
        )


def table(report):
    """What docs/compatibility.md shows of a report."""
    lines = [
        "| tests | passed | message only | listed | total | passed or message only |",
        "|---|---|---|---|---|---|",
    ]
    rows = [
        (name, [count[c] for c in ("passed", "message", "differs")])
        for name, count in report["modules"].items()
    ]
    rows.sort()
    rows.append(("all", [sum(column) for column in zip(*(numbers for _, numbers in rows), strict=True)]))
    for name, (passed, message, differs) in rows:
        total = passed + message + differs
        name = name if name == "all" else f"`{name}`"
        share = f"{(passed + message) / total:.1%}".replace("%", " %")
        lines.append(f"| {name} | {passed} | {message} | {differs} | {total} | {share} |")
    skipped = sum(count["skipped"] for count in report["modules"].values())
    lines += [
        "",
        f"Not run: {skipped} cases with arrays of other libraries than NumPy. Of the others do not pass:",
        "",
    ]
    for count, group in sorted(zip(report["groups"], GROUPS, strict=True), key=lambda pair: -pair[0]):
        kind = "message only" if group["kind"] == "message" else "listed"
        lines.append(f"- {count}, {kind}. {group['reason']}")
    return "\n".join(lines) + "\n"


def shown():
    """The part of the page that is made from a report."""
    return PAGE.read_text().partition(BEGIN)[2].partition(END)[0]


@only_that_version
def test_scikit_learns_tests_end_as_listed():
    status, output, report = run("--pyargs", *MODULES)
    assert status == 0, output
    assert table(report) == shown(), "python tests/test_sklearn_suite.py writes the table anew"


ONE = "sklearn.linear_model.tests.test_logistic"


def one(test, kind=None):
    """The end of one test of scikit-learn, listed alone as that kind or not at all."""
    listed = f'sklearn = "{VERSION}"\n'
    if kind is None:
        listed += "group = []\n"
    else:
        kind, by_chance, _ = kind.partition(" by chance")
        listed += f'[[group]]\nkind = "{kind}"\nchance = {str(bool(by_chance)).lower()}\n'
        listed += f'reason = "a reason"\ntests = ["test_logistic::{test}"]\n'
    return run("--pyargs", ONE, "-k", test.partition("[")[0], listed=listed)


@only_that_version
@pytest.mark.parametrize(
    "test, kind, passes, text",
    [
        ("test_nan", None, True, "1 passed"),
        ("test_nan", "differs", False, "XPASS(strict)"),
        ("test_nan", "message", False, "XPASS(strict)"),
        ("test_nan", "differs by chance", True, "1 xpassed"),
        ("test_get_default_scorer", "differs by chance", True, "1 xfailed"),
        ("test_inconsistent_input", None, False, "WordingDiffers"),
        ("test_inconsistent_input", "message", True, "1 xfailed"),
        ("test_get_default_scorer", None, False, "AttributeError"),
        ("test_get_default_scorer", "differs", True, "1 xfailed"),
        ("test_get_default_scorer", "message", False, "AttributeError"),
        ("test_that_nobody_wrote", "differs", False, "there is no such test"),
    ],
)
def test_the_list_is_strict(test, kind, passes, text):
    status, output, _ = one(test, kind)
    assert (status == 0) == passes and text in output, output


@only_that_version
def test_what_names_no_class_of_fastlr_is_left_out():
    status, output, _ = run("--pyargs", ONE, "-k", "path_convergence_fail or test_nan", "--collect-only")
    assert status == 0 and "test_nan" in output and "path_convergence_fail" not in output


@only_that_version
@pytest.mark.filterwarnings("ignore:Unknown pytest.mark")
@pytest.mark.parametrize(
    "module, some",
    [
        (MODULES[0], {"test_nan", "test_predict_2_classes"}),
        (MODULES[1], {"test_sag_classifier_raises_error"}),
        (
            MODULES[2],
            {"test_linearsvc", "test_weight", "test_auto_weight", "test_dense_liblinear_intercept_handling"},
        ),
    ],
)
def test_names_in_the_source(module, some):
    """In bodies, in imports there, in defaults of arguments, as parts of modules; not in decorators."""
    found = plugin()._Names(importlib.import_module(module)).naming
    assert some <= found
    assert not found & {"test_logistic_regression_path_convergence_fail", "test_penalty_deprecated"}
    assert not found & {"test_libsvm_iris", "test_linearsvm_liblinear_sample_weight", "sag_sparse"}


def test_parameters_that_hold_a_class():
    names = plugin()._Names(sys.modules[__name__])
    machine, other = fastlr.LinearSVC, fastlr.MLPClassifier
    for value in (machine, machine(), [1, (machine, "l1")], {"a": machine}, type("Mine", (machine,), {})):
        assert names.in_value(value), value
    assert names.in_value(partial(machine, C=1)) and names.in_value(OneVsRestClassifier(machine()))
    for value in (other, other(), "LinearSVC", None, [1, other], len):
        assert not names.in_value(value), value


if __name__ == "__main__":
    status, output, report = run("--pyargs", *MODULES)
    if status:
        sys.exit(output)
    before, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(before + BEGIN + table(report) + END + rest.partition(END)[2])
