"""LogisticRegression: against scikit-learn, its own claims, and the symmetries of the problem."""

import inspect
import re
import signal
import sys
import warnings
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn import linear_model
from sklearn.datasets import load_digits, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.preprocessing import StandardScaler

from fastlr import LogisticRegression
from fastlr.solvers import ALIASES, NAMES, SOLVERS

from . import reference
from .test_certificate import optimum

SMOOTH = ["saga", "lbfgs"]


def dense(X):
    return (X.toarray() if sp.issparse(X) else np.asarray(X)).astype(np.float64)


def units_of(X, scaling, weight):
    """Units of the features, in which their weights are penalised."""
    if scaling == "unit":
        return np.full(X.shape[1], 255.0 if X.dtype == np.uint8 else 1.0)
    if scaling == "standard":
        X = dense(X)
        mean = np.average(X, axis=0, weights=weight)
        spread = np.sqrt(np.average((X - mean) ** 2, axis=0, weights=weight))
        return np.where(np.ptp(X, axis=0) == 0, 1.0, spread)
    return np.ones(X.shape[1])


def strengths(clf):
    """Factor of the losses, L1 and L2."""
    if clf.penalty is None or np.isinf(clf.C):
        return 1.0, 0.0, 0.0
    l1 = {"l1": 1.0, "l2": 0.0}.get(clf.penalty, clf.l1_ratio)
    return clf.C, l1, 1 - l1


def true_objective(clf, X, y, weight=None):
    """The objective in float64 NumPy, from what users see of a fitted estimator."""
    weight = np.ones(len(y)) if weight is None else weight
    factor, l1, l2 = strengths(clf)
    codes = np.searchsorted(clf.classes_, y)
    W, b = (np.asarray(part, np.float64) for part in (clf.coef_, clf.intercept_))
    units = units_of(X, clf.scaling, weight)
    return reference.objective(dense(X), codes, factor * weight, W, b, l1, l2, units)


def null_objective(clf, y, weight=None):
    weight = np.ones(len(y)) if weight is None else weight
    mass = strengths(clf)[0] * np.bincount(np.unique(y, return_inverse=True)[1], weight)
    if not clf.fit_intercept:
        return mass.sum() * np.log(len(mass))
    mass = mass[mass > 0]
    return -np.sum(mass * np.log(mass / mass.sum()))


def toy(n_classes=3, n=80, d=6, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    y = np.argmax(X @ rng.standard_normal((d, n_classes)) + rng.gumbel(size=(n, n_classes)), axis=1)
    y[:n_classes] = np.arange(n_classes)
    return X, y


def centred_intercept(clf):
    """A constant added to the intercepts of all classes changes nothing."""
    intercept = clf.intercept_
    return intercept - intercept.mean() if len(intercept) > 1 else intercept


def assert_same_model(a, b, atol=1e-4):
    np.testing.assert_allclose(a.coef_, b.coef_, atol=atol)
    np.testing.assert_allclose(centred_intercept(a), centred_intercept(b), atol=atol)
    assert a.objective_ == pytest.approx(b.objective_, rel=1e-6)


TIGHT = {"tol": 1e-9, "max_iter": 20000, "n_threads": 1, "random_state": 0}

# ---- against scikit-learn -------------------------------------------------------------------------


def some_digits():
    X, y = load_digits(return_X_y=True)
    return X[:300], y[:300]


DATASETS = {
    "iris": lambda: load_iris(return_X_y=True),
    "wine": lambda: load_wine(return_X_y=True),
    "digits": some_digits,
    "two classes": lambda: (load_iris().data[50:], load_iris().target[50:]),
}


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("solver", SMOOTH)
def test_l2_against_scikit_learn(dataset, solver):
    raw, y = DATASETS[dataset]()
    X = StandardScaler().fit_transform(raw)
    theirs = linear_model.LogisticRegression(C=0.1, tol=1e-10, max_iter=10000).fit(X, y)
    scaled = LogisticRegression(C=0.1, solver=solver, **TIGHT).fit(X, y)
    np.testing.assert_allclose(scaled.coef_, theirs.coef_, atol=2e-4)
    np.testing.assert_allclose(centred_intercept(scaled), centred_intercept(theirs), atol=2e-4)
    np.testing.assert_allclose(scaled.predict_proba(X), theirs.predict_proba(X), atol=1e-4)
    np.testing.assert_array_equal(scaled.predict(X), theirs.predict(X))
    assert scaled.coef_.shape == theirs.coef_.shape

    ours = LogisticRegression(C=0.1, solver=solver, scaling="standard", **TIGHT).fit(raw, y)
    assert ours.objective_ == pytest.approx(scaled.objective_, rel=1e-8)
    np.testing.assert_allclose(ours.coef_ * units_of(raw, "standard", None), scaled.coef_, atol=1e-3)
    np.testing.assert_allclose(ours.predict_proba(raw), scaled.predict_proba(X), atol=1e-4)


@pytest.mark.parametrize("dataset", ["iris", "two classes"])
@pytest.mark.parametrize("l1_ratio", [0.5, 1.0])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_l1_against_scikit_learn(dataset, l1_ratio, fit_intercept):
    raw, y = DATASETS[dataset]()
    X = StandardScaler().fit_transform(raw)
    options = {"C": 0.5, "l1_ratio": l1_ratio, "fit_intercept": fit_intercept}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # newer releases go by l1_ratio alone
        theirs = linear_model.LogisticRegression(
            penalty="elasticnet", solver="saga", tol=1e-9, max_iter=20000, random_state=0, **options
        ).fit(X, y)
    ours = LogisticRegression(**options, **TIGHT).fit(X, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-3)
    np.testing.assert_array_equal(ours.coef_ != 0, np.abs(theirs.coef_) > 1e-6)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-4)
    if not fit_intercept:
        np.testing.assert_array_equal(ours.intercept_, 0)


# ---- what it says of itself -----------------------------------------------------------------------

STORAGES = {
    "float64": lambda X: X,
    "float32": lambda X: X.astype(np.float32),
    "uint8": lambda X: np.clip(100 + 40 * X, 0, 255).astype(np.uint8),
    "csr": lambda X: sp.csr_matrix(X * (X > 0)),
    "csr float32": lambda X: sp.csr_array(X * (X > 0), dtype=np.float32),
}


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("scaling", [None, "unit", "standard"])
@pytest.mark.parametrize("penalty", ["l1", "l2"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_objective_is_true(storage, scaling, penalty, n_classes):
    X, y = toy(n_classes)
    X, weight = STORAGES[storage](X), np.random.default_rng(1).uniform(0, 2, len(y))
    clf = LogisticRegression(penalty, C=0.3, scaling=scaling, max_iter=5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        clf.fit(X, y, weight)
    assert clf.objective_ == pytest.approx(true_objective(clf, X, y, weight), rel=1e-9)
    assert clf.coef_.dtype == (np.float32 if "float32" in storage else np.float64)
    scores = reference.scores(dense(X), clf.coef_.astype(float), clf.intercept_.astype(float))
    found = clf.decision_function(X)
    assert found.shape == ((len(y),) if n_classes == 2 else (len(y), n_classes))
    np.testing.assert_allclose(found, np.squeeze(scores), rtol=1e-4, atol=1e-4)


def test_history_and_gap():
    X, y = toy()
    clf = LogisticRegression("l1", tol=1e-6).fit(X, y)
    history = clf.history_
    assert set(history) == {"objective", "dual_gap", "time"}
    assert len({len(values) for values in history.values()}) == 1
    assert clf.objective_ == min(history["objective"])
    assert clf.dual_gap_ <= min(history["dual_gap"]) * (1 + 1e-9)
    bounds = np.subtract(history["objective"], history["dual_gap"])
    assert np.all(np.diff(bounds) >= -1e-12 * clf.objective_)
    assert history["time"] == sorted(history["time"])
    assert clf.converged_ and clf.dual_gap_ <= 1e-6 * null_objective(clf, y)


@pytest.mark.parametrize("penalty", ["l1", "l2"])
def test_stopped_early_it_warns_and_still_tells_the_truth(penalty):
    X, y = toy()
    clf = LogisticRegression(penalty, tol=1e-12, max_iter=1)
    with pytest.warns(ConvergenceWarning, match=r"stopped after 1 iterations \(max_iter=1\)"):
        clf.fit(X, y)
    assert clf.converged_ is False and clf.n_iter_.tolist() == [1]
    assert clf.objective_ == pytest.approx(true_objective(clf, X, y), rel=1e-12)
    best = LogisticRegression(penalty, **TIGHT).fit(X, y)
    assert clf.objective_ - clf.dual_gap_ <= best.objective_ <= clf.objective_


# ---- symmetries -----------------------------------------------------------------------------------


@pytest.mark.parametrize("penalty", ["l1", "l2"])
@pytest.mark.parametrize("scaling", [None, "standard"])
@pytest.mark.parametrize("storage", ["float64", "csr"])
def test_a_weight_is_a_repetition_and_zero_an_absence(penalty, scaling, storage):
    X, y = toy()
    counts = np.random.default_rng(2).integers(0, 4, len(y))
    counts[:3] = 2  # every class is there
    X[counts == 0] *= 50  # what is absent must not matter
    repeated, labels = np.repeat(X, counts, axis=0), np.repeat(y, counts)
    make = STORAGES[storage]
    clf = LogisticRegression(penalty, C=0.2, scaling=scaling, **TIGHT)
    weighted = clf.fit(make(X), y, counts)
    other = LogisticRegression(**clf.get_params()).fit(make(repeated), labels)
    assert_same_model(weighted, other)


@pytest.mark.parametrize("penalty", ["l1", "l2"])
def test_sparse_is_dense(penalty):
    X, y = toy()
    X *= X > 0
    clf = LogisticRegression(penalty, C=0.5, **TIGHT)
    expected = LogisticRegression(**clf.get_params()).fit(X, y)
    index64 = sp.csr_matrix(X)
    index64.indices, index64.indptr = index64.indices.astype(int), index64.indptr.astype(int)
    for form in (sp.csr_matrix(X), sp.csr_array(X), sp.csc_matrix(X), sp.coo_matrix(X), index64):
        assert_same_model(clf.fit(form, y), expected)
        np.testing.assert_array_equal(clf.predict(form), expected.predict(X))


@pytest.mark.parametrize("penalty", ["l1", "l2"])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_order_of_rows_features_and_classes(penalty, n_classes):
    X, y = toy(n_classes)
    rng = np.random.default_rng(3)
    rows, columns = rng.permutation(len(X)), rng.permutation(X.shape[1])
    classes = rng.permutation(n_classes)
    clf = LogisticRegression(penalty, C=0.5, **TIGHT)
    expected = LogisticRegression(**clf.get_params()).fit(X, y).predict_proba(X)
    np.testing.assert_allclose(clf.fit(X[rows], y[rows]).predict_proba(X), expected, atol=1e-4)
    found = clf.fit(X[:, columns], y).predict_proba(X[:, columns])
    np.testing.assert_allclose(found, expected, atol=1e-4)
    found = clf.fit(X, classes[y]).predict_proba(X)
    np.testing.assert_allclose(found[:, classes], expected, atol=1e-4)


def record_view(X):
    """Features that lie among other fields: strides are no multiple of the item's size."""
    records = np.zeros(X.shape, dtype=[("tag", "u1"), ("value", "f8")])
    records["value"] = X
    return records["value"]


@pytest.mark.parametrize(
    "lay_out",
    [
        np.asfortranarray,
        lambda X: np.repeat(X, 2, axis=1)[:, ::2],
        lambda X: np.ascontiguousarray(X[::-1])[::-1],
        lambda X: X.astype(">f8"),
        record_view,
    ],
    ids=["fortran", "gaps", "reversed", "big endian", "record"],
)
def test_memory_layout_changes_nothing(lay_out):
    X, y = toy()
    clf, expected = (LogisticRegression("l2", **TIGHT) for _ in range(2))
    assert_same_model(clf.fit(lay_out(X), y), expected.fit(X, y), atol=1e-7)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_string_labels(n_classes):
    X, y = toy(n_classes)
    names = np.array(["rose", "daisy", "tulip"])[:n_classes]
    clf, numbers = LogisticRegression().fit(X, names[y]), LogisticRegression().fit(X, y)
    assert clf.classes_.tolist() == sorted(names)
    assert clf.coef_.shape == ((1, 6) if n_classes == 2 else (3, 6))
    assert clf.intercept_.shape == clf.coef_.shape[:1]
    np.testing.assert_array_equal(clf.predict(X), names[numbers.predict(X)])


@pytest.mark.parametrize("n_classes", [2, 3])
def test_number_of_threads_changes_no_bit(n_classes):
    X, y = toy(n_classes, n=3000, d=200)
    for penalty in ("l1", "l2"):
        clf = LogisticRegression(penalty, C=0.01, random_state=0, tol=1e-3)
        one, three = (LogisticRegression(**{**clf.get_params(), "n_threads": t}).fit(X, y) for t in (1, 3))
        np.testing.assert_array_equal(one.coef_, three.coef_)
        np.testing.assert_array_equal(one.decision_function(X), three.decision_function(X))


def test_class_weight():
    X, y = toy()
    factors = np.array([0.5, 1.0, 3.0])
    by_class = LogisticRegression(class_weight=dict(enumerate(factors)), **TIGHT).fit(X, y)
    by_row = LogisticRegression(**TIGHT).fit(X, y, factors[y])
    assert_same_model(by_class, by_row)
    balanced = LogisticRegression(class_weight="balanced", **TIGHT).fit(X, y)
    shares = len(y) / (3 * np.bincount(y))
    assert_same_model(balanced, LogisticRegression(**TIGHT).fit(X, y, shares[y]))


# ---- parameters -----------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.* without effect")
def test_penalty_names():
    X, y = toy()
    same = [
        [{"penalty": "l1"}, {"penalty": "auto", "l1_ratio": 1.0}, {"penalty": "l1", "l1_ratio": 0.3}],
        [{"penalty": "l2"}, {}, {"penalty": "deprecated"}, {"penalty": "l2", "l1_ratio": 0.3}],
        [{"penalty": "elasticnet", "l1_ratio": 0.4}, {"l1_ratio": 0.4}],
        [{"penalty": None}, {"C": np.inf}, {"penalty": None, "C": 7.0}],
    ]
    objectives = []
    for group in same:
        fits = [LogisticRegression(tol=1e-4, random_state=0, **options).fit(X, y) for options in group]
        for clf in fits[1:]:
            np.testing.assert_array_equal(clf.coef_, fits[0].coef_)
        objectives.append(fits[0].objective_)
    assert len(set(objectives)) == 4


@pytest.mark.parametrize(
    "options, text",
    [
        ({"penalty": None, "C": 4}, "C=4 without effect: penalty=None"),
        ({"penalty": None, "l1_ratio": 0.5}, "l1_ratio=0.5 without effect: penalty=None"),
        ({"penalty": None, "C": 0.5, "l1_ratio": 1}, "C=0.5 and l1_ratio=1 without effect: penalty=None"),
        ({"penalty": "l1", "l1_ratio": 0.5}, "l1_ratio=0.5 without effect: penalty='l1'"),
        ({"penalty": "l2", "l1_ratio": 1}, "l1_ratio=1 without effect: penalty='l2'"),
    ],
)
def test_what_a_penalty_overrides_is_told(options, text):
    with pytest.warns(UserWarning, match=f"^{text} overrides it.$") as record:
        LogisticRegression(**options).fit(*toy())
    assert len(record) == 1 and record[0].filename == __file__


@pytest.mark.parametrize(
    "options",
    [
        {"penalty": "l1"},
        {"penalty": "l1", "l1_ratio": 1},
        {"penalty": "l2"},
        {"penalty": "l1", "l1_ratio": None},
    ],
)
def test_nothing_is_told_where_nothing_is_overridden(options):
    LogisticRegression(**options).fit(*toy())  # warnings are errors


@pytest.mark.parametrize(
    "options, text",
    [
        ({"dual": 2}, "dual must be True or False; found 2"),
        ({"dual": True, "solver": "lbfgs"}, "dual=True does not go with solver='lbfgs'"),
        ({"intercept_scaling": 0}, "intercept_scaling must be a positive number"),
        (
            {"multi_class": "ovr"},
            "multi_class must be one of 'auto', 'multinomial', 'deprecated'; found 'ovr'",
        ),
        ({"n_jobs": 0}, "n_jobs must be None or an integer other than 0; found 0"),
        ({"n_jobs": True}, "n_jobs must be None or an integer other than 0; found True"),
        ({"penalty": "elasticnet", "l1_ratio": None}, r"l1_ratio must be a number in \[0, 1\]; found None"),
        ({"solver": "liblinear"}, "solver='liblinear' takes two classes, as in scikit-learn; found 3"),
    ],
)
def test_what_scikit_learn_refuses(options, text):
    with pytest.raises(ValueError, match=text):
        LogisticRegression(**options).fit(*toy())


def test_parameters_of_scikit_learn_that_change_nothing():
    X, y = toy()
    others = {"dual": True, "intercept_scaling": 7.0, "multi_class": "multinomial", "n_jobs": -1}
    fits = [LogisticRegression(tol=1e-6, **options).fit(X, y) for options in ({}, others)]
    np.testing.assert_array_equal(fits[0].coef_, fits[1].coef_)


def test_parameters_of_a_scikit_learn_estimator_are_taken():
    X, y = toy()
    params = linear_model.LogisticRegression(C=0.1, solver="newton-cholesky").get_params()
    assert LogisticRegression(**params).fit(X, y).C == 0.1


@pytest.mark.parametrize("penalty", ["l2", "elasticnet", None])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_what_all_classes_share_is_left_out(penalty, fit_intercept):
    """Probabilities leave free what is added to all classes: intercepts add up to zero, as they do in
    scikit-learn, and so do weights, unless L1 wants them otherwise."""
    X, y = toy()
    clf = LogisticRegression(
        penalty, l1_ratio=0.5 * (penalty == "elasticnet"), fit_intercept=fit_intercept, tol=1e-2
    ).fit(X + 3.0, y)
    assert abs(clf.intercept_.sum()) <= 1e-12
    if penalty != "elasticnet":
        np.testing.assert_allclose(clf.coef_.sum(axis=0), 0, atol=1e-12)
    assert clf.objective_ == pytest.approx(true_objective(clf, X + 3.0, y), rel=1e-10)


def test_weights_may_be_set_to_views():
    """People put parts of `coefs_paths_` there, for one."""
    X, y = toy()
    clf = LogisticRegression().fit(X, y)
    expected, table = clf.predict_proba(X), np.column_stack([clf.coef_, clf.intercept_])
    clf.coef_, clf.intercept_ = table[:, :-1], table[:, -1]
    np.testing.assert_array_equal(clf.predict_proba(X), expected)


def test_a_warm_start_needs_numbers():
    X, y = toy()
    clf = LogisticRegression(warm_start=True).fit(X, y)
    clf.coef_[0, 0] = np.nan
    with pytest.raises(ValueError, match="warm_start=True needs finite weights"):
        clf.fit(X, y)
    assert clf.set_params(warm_start=False).fit(X, y).converged_


@pytest.mark.filterwarnings("ignore:C=5 without effect")
@pytest.mark.parametrize("solver", SMOOTH)
def test_without_a_penalty_the_objective_is_the_plain_loss(solver):
    X, y = toy()
    clf = LogisticRegression(None, C=5.0, solver=solver, tol=1e-6, max_iter=20000).fit(X, y)
    loss = -np.log(clf.predict_proba(X)[np.arange(len(y)), y]).sum()
    assert clf.objective_ == pytest.approx(loss, rel=1e-10)
    residual = clf.predict_proba(X) - reference.onehot(y, 3)
    assert np.abs(residual.T @ X).max() < 1e-3
    assert np.abs(residual.sum(axis=0)).max() < 1e-3


@pytest.mark.parametrize("penalty", ["l1", "l2"])
def test_warm_start_goes_on_from_the_last_solution(penalty):
    X, y = toy()
    clf = LogisticRegression(penalty, warm_start=True, tol=1e-8, max_iter=10000, random_state=0).fit(X, y)
    cold = int(clf.n_iter_[0])
    first = clf.coef_.copy()
    clf.fit(X, y)
    # The gap may rest on the bound of an earlier iterate, which a new fit does not have.
    assert clf.n_iter_[0] <= cold // 4
    np.testing.assert_allclose(clf.coef_, first, atol=1e-4)
    fresh = LogisticRegression(penalty, C=0.5, tol=1e-8, max_iter=10000).fit(X, y)
    assert_same_model(clf.set_params(C=0.5).fit(X, y), fresh, atol=1e-3)
    other_X, other_y = toy(4)
    assert clf.fit(other_X, other_y).coef_.shape == (4, 6)  # a solution that does not fit is left


STATE = ("coef_", "intercept_", "classes_", "objective_", "dual_gap_", "n_features_in_", "history_")


@pytest.mark.parametrize(
    "options, data",
    [
        ({"C": -1.0}, {}),
        ({"C": 0.0}, {}),
        ({"C": np.nan}, {}),
        ({"C": "1"}, {}),
        ({"C": True}, {}),
        ({"tol": -1e-3}, {}),
        ({"tol": np.nan}, {}),
        ({"l1_ratio": 1.5}, {}),
        ({"max_iter": -1}, {}),
        ({"max_iter": 2.5}, {}),
        ({"penalty": "l3"}, {}),
        ({"solver": "adam"}, {}),
        ({"scaling": "minmax"}, {}),
        ({"n_threads": 0}, {}),
        ({"class_weight": "fair"}, {}),
        ({"class_weight": {0: -1}}, {}),
        ({"class_weight": {0: np.inf}}, {}),
        ({"class_weight": {0: np.nan}}, {}),
        ({"class_weight": {0: 0, 1: 0, 2: 0}}, {}),
        ({"penalty": "l1", "solver": "lbfgs"}, {}),
        ({"l1_ratio": 0.1, "solver": "lbfgs"}, {}),
        ({}, {"sample_weight": np.full(80, -1.0)}),
        ({}, {"sample_weight": np.zeros(80)}),
        ({}, {"sample_weight": np.full(80, np.nan)}),
        ({}, {"sample_weight": np.ones(79)}),
        ({}, {"y": np.zeros(80, int)}),
        ({}, {"y": np.linspace(0, 1, 80)}),
        ({}, {"y": np.arange(79) % 3}),
        ({}, {"y": None}),
        ({}, {"X": np.full((80, 6), np.nan)}),
        ({}, {"X": np.full((80, 6), np.inf)}),
        ({}, {"X": np.zeros(80)}),
        ({}, {"X": np.zeros((0, 6))}),
    ],
)  # fmt: skip
def test_what_is_refused_leaves_no_trace(options, data):
    X, y = toy()
    clf = LogisticRegression().fit(X[:, :5], y)
    before = {name: getattr(clf, name) for name in STATE}
    with pytest.raises(ValueError) as error:
        clf.set_params(**options).fit(**{"X": X, "y": y, **data})
    message = str(error.value)
    if options:
        assert list(options)[-1] in message
    assert error.value.__cause__ is None
    for name, value in before.items():
        assert getattr(clf, name) is value or getattr(clf, name) == value


# ---- how a fit ends, and what it says -------------------------------------------------------------


def script(monkeypatch, make_values, name="saga"):
    """Puts a method that yields what `make_values(problem)` does, calling what can be called, in the place
    of a solver."""

    def steps(problem, W, b, rng, dtype):
        yield None
        for value in make_values(problem, W, b):
            yield value() if callable(value) else value

    monkeypatch.setitem(SOLVERS, name, replace(SOLVERS[name], steps=steps))


def interrupt():
    signal.raise_signal(signal.SIGINT)


def assert_whole(clf, X, y, status):
    """All attributes are there, and true."""
    documented = re.findall(r"^(\w+_) :", inspect.getdoc(LogisticRegression), re.M)
    assert set(documented) - {"feature_names_in_"} <= set(vars(clf)) and len(documented) > 10
    assert clf.status_ == status
    assert clf.objective_ == pytest.approx(true_objective(clf, X, y), rel=1e-12)
    assert clf.null_objective_ == pytest.approx(null_objective(clf, y), rel=1e-12)
    best = LogisticRegression(clf.penalty, C=clf.C, **TIGHT).fit(X, y)
    assert clf.objective_ - clf.dual_gap_ <= best.objective_ * (1 + 1e-9)
    assert clf.predict(X).shape == y.shape


@pytest.mark.parametrize("points", [0, 1, 3])
def test_interrupted_fit_returns_the_model_so_far(monkeypatch, points):
    X, y = toy()
    clf = LogisticRegression("l1", solver="saga", tol=1e-9)
    with monkeypatch.context() as patch:
        script(patch, lambda problem, W, b: [*[(W + 0.01 * t, b) for t in range(points)], interrupt, (W, b)])
        with pytest.warns(ConvergenceWarning, match=r"interrupted by the user.*warm_start=True") as caught:
            assert clf.fit(X, y) is clf
    assert caught[0].filename == __file__
    assert clf.converged_ is False and clf.n_iter_.tolist() == [points]
    assert_whole(clf, X, y, "interrupted")
    assert "interrupted by the user" in clf.explain()
    # And it goes on from there.
    clf.set_params(warm_start=True, tol=1e-6).fit(X, y)
    assert clf.converged_ and clf.status_ == "converged"


def test_interrupted_in_a_report(monkeypatch, capsys):
    """An interrupt lands in the second line of progress of a real solver."""
    X, y = toy()
    lines = []

    def printed(*values, **options):
        lines.append(values)
        if len(lines) == 3:
            interrupt()

    clf = LogisticRegression("l1", solver="saga", tol=1e-12, max_iter=10**6, verbose=1)
    with monkeypatch.context() as patch:
        patch.setattr("fastlr.progress.print", printed, raising=False)
        with pytest.warns(ConvergenceWarning, match="interrupted"):
            clf.fit(X, y)
    assert_whole(clf, X, y, "interrupted")
    assert len(clf.history_["objective"]) == 2


def test_an_interrupt_before_the_solver_leaves_the_estimator_as_it_was(monkeypatch):
    X, y = toy()
    clf = LogisticRegression().fit(X, y)
    before = dict(vars(clf))
    monkeypatch.setattr("fastlr.validate.balanced", lambda *_: interrupt())
    with pytest.raises(KeyboardInterrupt):
        clf.fit(X, y)
    assert vars(clf) == before


def test_max_time(monkeypatch):
    """The clock starts with fit, so that time spent before the solver counts."""
    X, y = toy()
    now = iter(np.arange(0.0, 1e6, 0.5))
    clock = SimpleNamespace(perf_counter=lambda: float(next(now)))
    for module in ("fastlr.linear_model.convex", "fastlr.solvers.minimise"):
        monkeypatch.setattr(sys.modules[module], "time", clock)
    clf = LogisticRegression("l1", solver="saga", tol=0, max_iter=10**9)
    with pytest.warns(ConvergenceWarning, match=r"max_time was up.*longer max_time"):
        clf.fit(X, y, max_time=50.0)
    monkeypatch.undo()
    assert_whole(clf, X, y, "max_time")
    assert 0 < clf.n_iter_[0] < 100 and 25 < clf.history_["time"][-1] <= 51
    assert clf.history_["time"][0] > 0


def test_a_tiny_max_time_still_certifies():
    X, y = toy()
    clf = LogisticRegression(tol=0)
    with pytest.warns(ConvergenceWarning, match="max_time"):
        clf.fit(X, y, max_time=1e-9)
    assert_whole(clf, X, y, "max_time")
    assert clf.n_iter_.tolist() == [0] and not clf.coef_.any()
    assert clf.objective_ == pytest.approx(null_objective(clf, y), rel=1e-12)


@pytest.mark.parametrize("max_time", [0, -1.0, np.nan, "1", True, [1.0]])
def test_max_time_that_makes_no_sense(max_time):
    X, y = toy()
    clf = LogisticRegression()
    with pytest.raises(ValueError, match=r"max_time must be None or a positive number of seconds; found"):
        clf.fit(X, y, max_time=max_time)
    assert not hasattr(clf, "coef_")


def test_enough_max_time_changes_nothing():
    X, y = toy()
    clf = LogisticRegression("l1", random_state=0)
    expected = clf.fit(X, y).coef_
    for max_time in (None, 1e6, np.inf):
        np.testing.assert_array_equal(clf.fit(X, y, max_time=max_time).coef_, expected)
    np.testing.assert_array_equal(clf.fit(X, y, None, 1e6).coef_, expected)


def test_a_solver_that_stalls_or_diverges(monkeypatch):
    X, y = toy()
    clf = LogisticRegression("l2", solver="saga", tol=1e-9)
    for make_values, status, says in (
        (lambda problem, W, b: [(W, b)] * 3, "stalled", r"no more progress.*Loosen tol"),
        (lambda problem, W, b: [(W + np.nan, b)] * 99, "diverged", r"not finite.*lower C"),
    ):
        with monkeypatch.context() as patch:
            script(patch, make_values)
            with pytest.warns(ConvergenceWarning, match=says):
                clf.fit(X, y)
        assert_whole(clf, X, y, status)


@pytest.mark.parametrize("name, solver", [(name, name) for name in SOLVERS] + list(ALIASES.items()))
def test_names_of_solvers(name, solver):
    X, y = toy(2)  # "liblinear" takes no more classes
    clf = LogisticRegression(solver=name, random_state=0).fit(X, y)
    same = LogisticRegression(solver=solver, random_state=0).fit(X, y)
    assert clf.solver_ == same.solver_ and (name in ALIASES or clf.solver_ == name)
    assert clf.solver_ in SOLVERS and repr(name) in clf.solver_reason_
    np.testing.assert_array_equal(clf.coef_, same.coef_)


def test_all_names_of_scikit_learn_are_taken():
    constraints = linear_model.LogisticRegression._parameter_constraints["solver"]
    theirs = {name for options in constraints for name in options.options}
    assert {"lbfgs", "saga", "liblinear"} <= theirs <= set(NAMES)


def numbers_between(text):
    return [float(value) for value in re.search(r"between (\S+) and (\S+)\.\n", text).groups()]


@pytest.mark.filterwarnings("ignore:.* without effect")
@pytest.mark.parametrize("penalty", ["l1", "elasticnet", "l2", None])
@pytest.mark.parametrize("max_iter", [1, 10**5])
def test_explain(penalty, max_iter):
    X, y = toy()
    clf = LogisticRegression(penalty, C=0.1, l1_ratio=0.5, max_iter=max_iter, tol=1e-7)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        text = clf.fit(X, y).explain()
    assert text.startswith(f"{clf.solver_}: ") and clf.solver_reason_ in text
    assert ("Converged" in text) == clf.converged_ == (max_iter > 1)
    assert (f"max_iter={max_iter}" in text) == (max_iter == 1)
    assert f"after {clf.n_iter_[0]} iterations" in text
    low, high = numbers_between(text)
    assert low == pytest.approx(clf.objective_ - clf.dual_gap_, rel=1e-9)
    assert high == pytest.approx(clf.objective_, rel=1e-9)
    assert f"{clf.dual_gap_ / clf.null_objective_:.2e} of {clf.null_objective_:.6g}" in text
    sparse = f"{np.count_nonzero(clf.coef_)} of {clf.coef_.size} coefficients"
    assert (sparse in text) == (penalty in ("l1", "elasticnet"))
    assert ("Without a penalty" in text) == (penalty is None)


def test_explain_a_problem_without_a_choice():
    """All weight in one class: the null model has no loss, and there is nothing to divide by."""
    X, y = toy()
    text = LogisticRegression("l1", verbose=1).fit(X, y, sample_weight=(y == 1).astype(float)).explain()
    assert numbers_between(text) == pytest.approx([0, 0], abs=1e-7 * len(y))
    assert "Converged after 0 iterations" in text and "best model without" not in text


def test_explain_before_fit():
    with pytest.raises(NotFittedError):
        LogisticRegression().explain()


def test_verbose_prints_the_reason_first(capsys):
    X, y = toy()
    clf = LogisticRegression(verbose=1).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"[fastlr] {clf.solver_reason_}"
    assert len(lines) == 1 + len(clf.history_["objective"])


# ---- forty random problems ------------------------------------------------------------------------


def random_problem(seed):
    """A small problem with features of scales from 1e-3 to 1e3, rows of weight zero and few classes."""
    rng = np.random.default_rng(seed)
    n_classes, d = int(rng.integers(2, 10)), int(rng.integers(1, 9))
    X, y = toy(n_classes, n=int(rng.integers(3 * n_classes, 90)), d=d, seed=seed)
    X = (X + rng.standard_normal(d)) * 10 ** rng.uniform(-3, 3, d)
    form = ("f8", "f4", "csr")[seed % 3]
    if form == "csr":
        X = sp.csr_matrix(X * (rng.random(X.shape) < 0.5))
    elif form == "f4":
        X = X.astype(np.float32)
    weight = rng.uniform(0, 2, len(y)) * (rng.random(len(y)) < 0.8) if seed % 2 else None
    options = {
        "C": 10 ** rng.uniform(-2.5, 1.5),
        "penalty": (penalty := ("l1", "elasticnet", "l2")[rng.integers(3)]),
        "l1_ratio": rng.uniform(0.1, 0.9) * (penalty == "elasticnet"),
        "fit_intercept": bool(rng.random() < 0.7),
        "scaling": "standard" if form != "csr" and rng.random() < 0.3 else None,
    }
    return X, y, weight, options


@pytest.mark.parametrize("seed", range(40))
def test_random_problems(seed):
    """Whatever the problem: the objective is true, the certificate holds, and either the gap is
    closed or a warning says that it is not."""
    X, y, weight, options = random_problem(seed)
    s = np.ones(len(y)) if weight is None else weight
    fits = []
    for solver in SMOOTH if options["penalty"] == "l2" else ["saga"]:
        clf = LogisticRegression(solver=solver, tol=1e-3, max_iter=300, random_state=0, **options)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            clf.fit(X, y, weight)
        assert [w.category for w in caught] == [] if clf.converged_ else [ConvergenceWarning]
        fits.append(clf)

    factor, l1, l2 = strengths(clf)
    units, whole = units_of(X, options["scaling"], s), dense(X)
    centred = options["fit_intercept"] or options["scaling"] == "standard"
    shift = np.average(whole, axis=0, weights=s) * centred
    W, b = optimum(whole - shift, y, factor * s, y.max() + 1, l1, l2, units, options["fit_intercept"])
    best = reference.objective(whole - shift, y, factor * s, W, b, l1, l2, units)
    scale = null_objective(clf, y, weight)
    best = min([best, *(clf.objective_ for clf in fits)])
    for clf in fits:
        assert clf.objective_ == pytest.approx(true_objective(clf, X, y, weight), rel=1e-5)
        assert clf.objective_ - clf.dual_gap_ <= best + 1e-7 * scale
        assert clf.dual_gap_ <= clf.objective_ * (1 + 1e-12)
        if clf.converged_:
            assert clf.dual_gap_ <= 1e-3 * scale
