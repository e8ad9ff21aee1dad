"""scikit-learn's own tests, run against fastlr, and the table of docs/compatibility.md of how they end.

`python tests/test_sklearn_suite.py` writes that table anew.
"""

import importlib.util
import json
import os
import re
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
    "sklearn.linear_model.tests.test_sgd",
    "sklearn.neural_network.tests.test_mlp",
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

    `listed` is the text of another list, of the tests in MADE.
    """
    with tempfile.TemporaryDirectory() as folder:
        report, path = Path(folder) / "report.json", [Path(fastlr.__file__).parents[1], TESTS]
        if listed is not None:
            plugin = (TESTS / "sklearn_plugin.py").read_text()
            for name, text in ("plugin.py", plugin), ("listed.toml", listed), ("made.py", MADE):
                (Path(folder) / f"sklearn_{name}").write_text(text)
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
        "| tests | passed | message only | listed | total | passed or message only | not offered |",
        "|---|---|---|---|---|---|---|",
    ]
    kinds = ("passed", "message", "differs", "not offered")
    rows = sorted((f"`{name}`", [count[kind] for kind in kinds]) for name, count in report["modules"].items())
    rows.append(("all", [sum(column) for column in zip(*(numbers for _, numbers in rows), strict=True)]))
    for name, (passed, message, differs, other) in rows:
        total = passed + message + differs
        share = f"{(passed + message) / total:.1%}".replace("%", " %")
        lines.append(f"| {name} | {passed} | {message} | {differs} | {total} | {share} | {other} |")
    skipped = sum(count["skipped"] for count in report["modules"].values())
    share = f"{(passed + message) / (total + other):.1%}".replace("%", " %")
    lines += [
        "",
        f"Were what is not offered part of the total, {share} would pass or be message only. Not run: "
        f"{skipped} cases with arrays of other libraries than NumPy. Of the others do not pass:",
        "",
    ]
    for count, group in sorted(zip(report["groups"], GROUPS, strict=True), key=lambda pair: -pair[0]):
        kind = {"message": "message only", "differs": "listed"}.get(group["kind"], group["kind"])
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


MADE = """
import pytest
from sklearn.linear_model import LogisticRegression, SGDClassifier

X, Y = [[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1]
listed = pytest.mark.parametrize("kind", ["no", "differs", "by chance", "message", "not offered"])

@listed
def test_passes(kind):
    assert LogisticRegression().fit(X, Y).coef_ > 0

@listed
def test_wrong(kind):
    assert LogisticRegression().fit(X, Y).coef_ < 0

@listed
def test_wording(kind):
    with pytest.raises(ValueError, match="in other words"):
        LogisticRegression(C=-1).fit(X, Y)

@listed
def test_future(kind):
    with pytest.warns(FutureWarning, match="deprecated"):
        assert LogisticRegression(n_jobs=1).fit(X, Y).coef_ > 0

@listed
def test_future_and_wrong(kind):
    with pytest.warns(FutureWarning, match="deprecated"):
        assert LogisticRegression(n_jobs=1).fit(X, Y).coef_ < 0

@listed
def test_other_warning(kind):
    with pytest.warns(UserWarning):
        LogisticRegression().fit(X, Y)

@listed
def test_setting(kind):
    SGDClassifier(loss="hinge").fit(X, Y)

@listed
def test_setting_in_check(kind):
    with pytest.warns(RuntimeWarning):
        SGDClassifier(loss="hinge").fit(X, Y)

@listed
def test_other_setting(kind):
    SGDClassifier(alpha=-1).fit(X, Y)

def test_nothing():
    raise ValueError
"""
# How these end, by what they are listed as: not at all, "differs", so by chance, "message", "not offered".
ENDS = {
    "passes": "PASSED FAILED XPASS FAILED FAILED",
    "wrong": "FAILED XFAIL XFAIL FAILED FAILED",
    "wording": "FAILED XFAIL XFAIL XFAIL FAILED",
    "future": "FAILED XFAIL XFAIL XFAIL FAILED",
    "future_and_wrong": "FAILED XFAIL XFAIL FAILED FAILED",
    "other_warning": "FAILED XFAIL XFAIL FAILED FAILED",
    "setting": "FAILED XFAIL XFAIL FAILED XFAIL",
    "setting_in_check": "FAILED XFAIL XFAIL FAILED XFAIL",
    "other_setting": "FAILED XFAIL XFAIL FAILED FAILED",
}
KINDS = ("no", "differs", "by chance", "message", "not offered")


def a_list(*groups):
    """The text of a list whose groups are one kind and one line of tests each."""
    lines = [f"sklearn = {VERSION!r}"]
    for kind, tests in groups:
        chance, kind = kind == "by chance", "differs" if kind == "by chance" else kind
        lines += ["[[group]]", f"kind = {kind!r}", "reason = 'a reason'", "refusal = '^loss must be one of'"]
        lines += [f"chance = {str(chance).lower()}", f"tests = [{tests!r}]"]
    return "\n".join(lines)


def test_the_list_is_strict():
    listed = a_list(*((kind, f"sklearn_made::*[{kind}]") for kind in KINDS[1:]))
    status, output, report = run("sklearn_made.py", "-vv", listed=listed)
    ended = dict(re.findall(r"test_(\w+\[[a-z ]+\]) ([A-Z]+)", output))
    expected = {
        f"{test}[{kind}]": end
        for test, ends in ENDS.items()
        for kind, end in zip(KINDS, ends.split(), strict=True)
    }
    assert status == 1 and ended == expected, output
    failed = list(expected.values()).count("FAILED")
    numbers = {"passed": 1, "message": 2, "differs": 17, "not offered": 2, "failed": failed, "skipped": 0}
    assert report == {"modules": {"sklearn_made": numbers}, "groups": [8, 9, 2, 2]}


@pytest.mark.parametrize(
    "tests, problem",
    [
        (["sklearn_made::test_that_nobody_wrote"], "there is no such test"),
        (["sklearn_made::test_nothing"], "there is no such test"),
        (["sklearn_made::test_wrong[no]", "sklearn_made::*wrong*"], "twice"),
    ],
)
def test_the_list_is_checked(tests, problem):
    listed = a_list(*(("differs", test) for test in tests))
    status, output, _ = run("sklearn_made.py", "--collect-only", listed=listed)
    assert status == 4 and problem in output, output


@only_that_version
@pytest.mark.filterwarnings("ignore:Unknown pytest.mark")
@pytest.mark.parametrize(
    "module, some",
    [
        (MODULES[0], {"test_nan", "test_predict_2_classes"}),
        (MODULES[1], {"test_sag_classifier_raises_error"}),
        (MODULES[2], {"SparseSGDClassifier", "test_underflow_or_overflow"}),
        (MODULES[3], {"test_fit", "test_sparse_matrices"}),
        (
            MODULES[4],
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
    machine, other = fastlr.LinearSVC, fastlr.LinearSVCCV
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
