"""LinearSVC and LinearSVCCV: against scikit-learn, their own claims, and the symmetries of the problem."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn import svm
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastlr import LinearSVC, LinearSVCCV

from . import reference
from .test_logistic import STORAGES, assert_same_model, dense, toy, units_of

TIGHT = {"tol": 1e-9, "max_iter": 20000, "n_threads": 1}


def true_objective(clf, X, y, weight=None):
    """The sum of the problems' objectives in float64 NumPy, from what users see of a fitted estimator."""
    weight = np.ones(len(y)) if weight is None else weight
    units, whole = units_of(X, clf.scaling, weight), dense(X)
    penalised = clf.fit_intercept and clf.penalize_intercept
    # A penalised intercept is that of the centred features.
    moved = np.average(whole, axis=0, weights=weight) * (clf.scaling == "standard" and penalised)
    factors = np.ones(len(clf.classes_))
    if isinstance(clf.class_weight, dict):
        factors = np.array([clf.class_weight.get(label, 1.0) for label in clf.classes_])
    total, l1 = 0.0, float(clf.penalty == "l1")
    for k, (w, b) in enumerate(zip(clf.coef_.astype(float), clf.intercept_.astype(float), strict=True)):
        if len(clf.classes_) == 2:
            own = y == clf.classes_[1]
            s = np.where(own, *factors[::-1])
        else:
            own = y == clf.classes_[k]
            s = np.where(own, factors[k], 1.0)
        model = w[None], np.array([b + w @ moved])
        strengths = l1, 1 - l1, units, penalised / clf.intercept_scaling
        total += reference.objective(
            whole - moved, own, clf.C * weight * s, *model, *strengths, loss=reference.hinge_loss
        )
    return total


def true_null_objective(clf, y):
    """The sum of the objectives of intercepts alone, found by search."""
    total, l1, unit = 0.0, float(clf.penalty == "l1"), clf.penalize_intercept / clf.intercept_scaling
    for label in clf.classes_ if len(clf.classes_) > 2 else clf.classes_[1:]:
        own, b = y == label, np.linspace(-1, 1, 20001) * clf.fit_intercept
        values = clf.C * (np.sum(own) * (1 - b) ** 2 + np.sum(~own) * (1 + b) ** 2)
        total += np.min(values + l1 * np.abs(b * unit) + (1 - l1) / 2 * (b * unit) ** 2)
    return total


# ---- against scikit-learn -------------------------------------------------------------------------


DATASETS = {"two classes": load_breast_cancer, "three classes": load_wine}
OPTIONS = [
    {},
    {"intercept_scaling": 3.0},
    {"fit_intercept": False},
    {"class_weight": {0: 3.0, 1: 0.5}},
    {"class_weight": "balanced"},
]


def scaled(dataset):
    X, y = DATASETS[dataset](return_X_y=True)
    # Away from zero, the penalty of the intercept matters.
    return StandardScaler().fit_transform(X)[::2, :8] + 1, y[::2]


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("penalty", ["l1", "l2"])
def test_against_scikit_learn(dataset, options, penalty):
    X, y = scaled(dataset)
    weight = np.random.default_rng(0).uniform(0.5, 2, len(y))
    theirs = svm.LinearSVC(penalty, C=0.1, dual=False, tol=1e-10, max_iter=100000, **options)
    theirs.fit(X, y, weight)
    theirs.intercept_ = np.broadcast_to(theirs.intercept_, len(theirs.coef_))
    # The solver of the tests stops at a gap of a millionth or so.
    tight = {**TIGHT, "tol": 1e-5 if penalty == "l1" else 1e-9}
    ours = LinearSVC(penalty, C=0.1, **options, **tight).fit(X, y, weight)
    atol = 2e-2 if penalty == "l1" else 1e-4
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=atol)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, atol=atol)
    if options.get("class_weight") != "balanced":
        # Their solution is one of our problem, and ours is as good.
        theirs.penalize_intercept, theirs.scaling = True, None
        found = true_objective(theirs, X, y, weight)
        assert ours.objective_ == pytest.approx(found, rel=1e-5 if penalty == "l1" else 1e-7)
        assert ours.objective_ - ours.dual_gap_ <= found * (1 + 1e-12)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))


def test_free_intercept_is_the_limit_of_a_weak_penalty():
    X, y = scaled("two classes")
    free = LinearSVC(C=0.1, penalize_intercept=False, **TIGHT).fit(X, y)
    weak = LinearSVC(C=0.1, intercept_scaling=1e4, **TIGHT).fit(X, y)
    np.testing.assert_allclose(free.coef_, weak.coef_, atol=1e-4)
    np.testing.assert_allclose(free.intercept_, weak.intercept_, atol=1e-4)
    strong = LinearSVC(C=0.1, **TIGHT).fit(X, y)
    assert np.abs(strong.coef_ - free.coef_).max() > 1e-3  # at this size the penalty shows


@pytest.mark.parametrize("penalty", ["l1", "l2"])
@pytest.mark.parametrize("penalize_intercept", [True, False])
def test_scaling_is_a_standard_scaler(penalty, penalize_intercept):
    raw, y = load_wine(return_X_y=True)
    raw = raw[:, :6]
    X = StandardScaler().fit_transform(raw)
    options = {"C": 0.1, "penalize_intercept": penalize_intercept, "class_weight": {0: 2.0}}
    tight = {**TIGHT, "tol": 1e-5 if penalty == "l1" else 1e-9}
    expected = LinearSVC(penalty, **options, **tight).fit(X, y)
    found = LinearSVC(penalty, scaling="standard", **options, **tight).fit(raw, y)
    assert found.objective_ == pytest.approx(expected.objective_, rel=1e-4 if penalty == "l1" else 1e-8)
    decisions = (clf.decision_function(A) for clf, A in ((found, raw), (expected, X)))
    np.testing.assert_allclose(*decisions, atol=3e-2 if penalty == "l1" else 1e-3)


# ---- what it says of itself -----------------------------------------------------------------------


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("scaling", [None, "unit", "standard"])
@pytest.mark.parametrize("penalize_intercept", [True, False])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_objective_is_true(storage, scaling, penalize_intercept, n_classes):
    X, y = toy(n_classes)
    X, weight = STORAGES[storage](X), np.random.default_rng(1).uniform(0, 2, len(y))
    clf = LinearSVC(
        C=0.3, scaling=scaling, max_iter=5, penalize_intercept=penalize_intercept, intercept_scaling=2.0,
        class_weight={1: 2.0},
    )  # fmt: skip
    if penalize_intercept and scaling == "standard" and "csr" in storage:
        with pytest.raises(ValueError, match="scaling='standard' centres the features"):
            clf.fit(X, y, weight)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        clf.fit(X, y, weight)
    assert clf.objective_ == pytest.approx(true_objective(clf, X, y, weight), rel=1e-6)
    assert clf.coef_.dtype == (np.float32 if "float32" in storage else np.float64)
    assert clf.coef_.shape == ((1, 6) if n_classes == 2 else (3, 6))
    assert clf.intercept_.shape == clf.coef_.shape[:1]


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("penalize_intercept", [True, False])
@pytest.mark.parametrize("penalty", ["l1", "l2"])
def test_history_and_gap(n_classes, penalize_intercept, penalty):
    X, y = toy(n_classes)
    clf = LinearSVC(penalty, C=0.5, tol=1e-4, penalize_intercept=penalize_intercept).fit(X, y)
    history = clf.history_
    assert set(history) == {"objective", "dual_gap", "time"}
    assert len({len(values) for values in history.values()}) == 1
    assert clf.objective_ == pytest.approx(history["objective"][-1])
    assert history["dual_gap"][-1] == pytest.approx(clf.dual_gap_, rel=1e-6, abs=1e-9)
    bounds = np.subtract(history["objective"], history["dual_gap"])
    assert np.all(np.diff(bounds) >= -1e-9 * clf.objective_)
    assert history["time"] == sorted(history["time"])
    assert clf.converged_ is True
    assert clf.dual_gap_ <= 1e-4 * true_null_objective(clf, y)
    assert isinstance(clf.n_iter_, int) and clf.n_iter_ >= 1
    assert not hasattr(clf, "predict_proba")


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("penalize_intercept", [True, False])
def test_stopped_early_it_warns_and_still_tells_the_truth(n_classes, penalize_intercept):
    X, y = toy(n_classes)
    options = {"C": 0.5, "penalize_intercept": penalize_intercept}
    clf = LinearSVC(tol=1e-12, max_iter=1, **options)
    with pytest.warns(ConvergenceWarning, match=r"stopped after 1 iterations \(max_iter=1\)"):
        clf.fit(X, y)
    assert clf.converged_ is False and clf.n_iter_ == 1
    assert clf.objective_ == pytest.approx(true_objective(clf, X, y), rel=1e-12)
    best = LinearSVC(**options, **TIGHT).fit(X, y)
    assert clf.objective_ - clf.dual_gap_ <= best.objective_ <= clf.objective_


@pytest.mark.parametrize("penalty", ["l1", "l2"])
def test_strong_penalty_leaves_nothing(penalty):
    """With penalty="l1" a small C gives weights that are zero, and no iteration is needed to see it."""
    X, y = toy(2)
    clf = LinearSVC(penalty, C=1e-4).fit(X, y)
    if penalty == "l1":
        assert not clf.coef_.any() and clf.n_iter_ == 0 and clf.dual_gap_ <= 1e-4 * clf.objective_
    else:
        assert np.all(np.abs(clf.coef_) < 0.05) and clf.coef_.any()


# ---- symmetries -----------------------------------------------------------------------------------


@pytest.mark.parametrize("scaling", [None, "standard"])
@pytest.mark.parametrize("storage", ["float64", "csr"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_weight_is_a_repetition_and_zero_an_absence(scaling, storage, n_classes):
    X, y = toy(n_classes)
    counts = np.random.default_rng(2).integers(0, 4, len(y))
    counts[:3] = 2  # every class is there
    X[counts == 0] *= 50  # what is absent must not matter
    repeated, labels = np.repeat(X, counts, axis=0), np.repeat(y, counts)
    make = STORAGES[storage]
    clf = LinearSVC(C=0.2, scaling=scaling, penalize_intercept=scaling is None, **TIGHT)
    weighted = clf.fit(make(X), y, counts)
    other = LinearSVC(**clf.get_params()).fit(make(repeated), labels)
    np.testing.assert_allclose(weighted.intercept_, other.intercept_, atol=1e-4)
    assert_same_model(weighted, other)


@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 0.0, 1: 2.0}])
def test_sparse_is_dense(class_weight):
    X, y = toy()
    X *= X > 0
    clf = LinearSVC(C=0.5, class_weight=class_weight, **TIGHT)
    expected = LinearSVC(**clf.get_params()).fit(X, y)
    for form in (sp.csr_matrix(X), sp.csc_array(X)):
        assert_same_model(clf.fit(form, y), expected)
        np.testing.assert_array_equal(clf.predict(form), expected.predict(X))


def test_one_class_against_the_rest():
    X, y = toy(4)
    names = np.array(["rose", "daisy", "tulip", "aster"])[y]
    clf = LinearSVC(C=0.5, **TIGHT).fit(X, names)
    assert clf.classes_.tolist() == sorted(set(names))
    total = 0.0
    for k, label in enumerate(clf.classes_):
        alone = LinearSVC(C=0.5, **TIGHT).fit(X, names == label)
        np.testing.assert_allclose(clf.coef_[k], alone.coef_[0], atol=1e-12)
        np.testing.assert_allclose(clf.intercept_[k], alone.intercept_[0], atol=1e-12)
        total += alone.objective_
    assert clf.objective_ == pytest.approx(total)
    np.testing.assert_array_equal(clf.predict(X), clf.classes_[clf.decision_function(X).argmax(axis=1)])


def test_number_of_threads_changes_no_bit():
    X, y = toy(3, n=3000, d=200)
    one, three = (LinearSVC(C=0.01, tol=1e-3, n_threads=t).fit(X, y) for t in (1, 3))
    np.testing.assert_array_equal(one.coef_, three.coef_)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_warm_start_goes_on_from_the_last_solution(n_classes):
    X, y = toy(n_classes)
    clf = LinearSVC(C=0.5, warm_start=True, tol=1e-8, max_iter=10000).fit(X, y)
    cold, first = clf.n_iter_, clf.coef_.copy()
    clf.fit(X, y)
    assert clf.n_iter_ <= cold // 4
    np.testing.assert_allclose(clf.coef_, first, atol=1e-4)
    fresh = LinearSVC(C=0.1, tol=1e-8, max_iter=10000).fit(X, y)
    assert_same_model(clf.set_params(C=0.1).fit(X, y), fresh, atol=1e-3)
    assert clf.fit(*toy(4)).coef_.shape == (4, 6)  # a solution that does not fit is left


# ---- parameters -----------------------------------------------------------------------------------

REFUSED = [
    ({"C": 0.0}, "C must be a positive number from .*; found 0.0"),
    ({"C": np.inf}, "C must be a positive number"),
    ({"loss": "hinge"}, "loss must be 'squared_hinge', which is smooth; found 'hinge'"),
    ({"loss": "log"}, "loss must be one of 'squared_hinge'"),
    ({"penalty": "elasticnet"}, "penalty must be one of"),
    ({"dual": True, "penalty": "l1"}, "dual=True does not go with penalty='l1'"),
    ({"dual": 3}, "dual must be one of 'auto', True, False; found 3"),
    ({"multi_class": "crammer_singer"}, "multi_class must be one of 'ovr'"),
    ({"intercept_scaling": 0.0}, "intercept_scaling must be a positive number"),
    ({"tol": -1.0}, "tol must be"),
    ({"max_iter": 1.5}, "max_iter must be"),
    ({"scaling": "minmax"}, "scaling must be"),
    ({"class_weight": "fair"}, "class_weight must be"),
    ({"n_threads": 0}, "n_threads must be"),
]


@pytest.mark.parametrize("options, message", REFUSED, ids=str)
def test_what_is_refused_leaves_no_trace(options, message):
    X, y = toy()
    clf = LinearSVC().fit(X[:, :5], y)
    before = clf.coef_
    with pytest.raises(ValueError, match=message):
        clf.set_params(**options).fit(X, y)
    assert clf.coef_ is before and clf.n_features_in_ == 5


@pytest.mark.parametrize("dual", ["auto", True, False])
def test_dual_changes_nothing(dual):
    X, y = toy()
    np.testing.assert_array_equal(LinearSVC(dual=dual).fit(X, y).coef_, LinearSVC().fit(X, y).coef_)


# ---- the grid -------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("scaling", [None, "standard"])
@pytest.mark.parametrize("class_weight", [None, "balanced"])
@pytest.mark.parametrize("n_threads", [1, 3])
def test_grid_against_grid_search(n_classes, scaling, class_weight, n_threads):
    """Folds that copy their rows, with a StandardScaler of their own, and every fit from scratch."""
    X, y = toy(n_classes, n=90)
    X = X * [1, 2, 3, 0.5, 1, 1] + 1
    Cs = [1.0, 0.001, 0.03]
    options = {"class_weight": class_weight, "tol": 1e-9, "max_iter": 20000}
    ours = LinearSVCCV(Cs=Cs, cv=3, scaling=scaling, n_threads=n_threads, **options).fit(X, y)
    search = GridSearchCV(
        make_pipeline(StandardScaler() if scaling else "passthrough", LinearSVC(**options)),
        {"linearsvc__C": sorted(Cs)}, cv=3, return_train_score=True,
    ).fit(X, y)  # fmt: skip
    assert ours.Cs_.tolist() == sorted(Cs)
    assert [params["C"] for params in ours.cv_results_["params"]] == sorted(Cs)
    names = [name for name in search.cv_results_ if name.endswith("_score")]
    names = [name for name in names if "time" not in name]
    assert len(names) == 3 * 2 + 2 * 2 + 1
    for name in names:
        np.testing.assert_allclose(ours.cv_results_[name], search.cv_results_[name], err_msg=name)
    assert search.best_params_ == {"linearsvc__C": ours.C_}
    assert ours.best_score_ == pytest.approx(search.best_score_)
    assert ours.cv_results_["rank_test_score"][ours.best_index_] == 1
    np.testing.assert_allclose(ours.decision_function(X), search.decision_function(X), atol=1e-3)
    assert ours.score(X, y) == search.score(X, y)
    assert ours.converged_ and ours.dual_gap_ <= 1e-8 * len(y)


def test_grid_counts_rows_by_their_weights():
    """A row of weight zero is absent from folds and scores; repetitions are weights."""
    X, y = toy(2, n=60)
    counts = np.random.default_rng(0).integers(0, 3, len(y))
    rows = np.repeat(np.arange(len(y)), counts)
    folds = list(KFold(3).split(X))
    repeated = [tuple(np.flatnonzero(np.isin(rows, part)) for part in fold) for fold in folds]
    options = {"Cs": [0.01, 1.0], "tol": 1e-8, "max_iter": 20000}
    weighted = LinearSVCCV(cv=folds, **options).fit(X, y, counts)
    other = LinearSVCCV(cv=repeated, **options).fit(X[rows], y[rows])
    for name, values in other.cv_results_.items():
        if "score" in name:
            np.testing.assert_allclose(weighted.cv_results_[name], values, err_msg=name)
    assert_same_model(weighted, other)


def test_folds_that_lack_a_class():
    """Rows sorted by class and cut in three: every fold trains without the class that it tests."""
    X, y = load_iris(return_X_y=True)
    for class_weight in (None, "balanced"):
        clf = LinearSVCCV(Cs=[0.1], cv=KFold(3), class_weight=class_weight, refit=False).fit(X, y)
        np.testing.assert_array_equal(clf.cv_results_["mean_test_score"], 0)
        assert clf.cv_results_["mean_train_score"][0] > 0.6


def test_grid_without_refit_and_by_number():
    X, y = toy(2)
    clf = LinearSVCCV(Cs=3, cv=StratifiedKFold(2), refit=False, max_iter=20000).fit(X, y)
    np.testing.assert_allclose(clf.Cs_, [1e-4, 1, 1e4])
    assert not hasattr(clf, "coef_")
    assert clf.classes_.tolist() == [0, 1] and clf.n_features_in_ == 6


def test_l1_grid():
    X, y = toy(2)
    clf = LinearSVCCV("l1", Cs=[1e-4, 0.5], cv=2, tol=1e-4).fit(X, y)
    assert clf.C_ == 0.5 and clf.coef_.any()


def test_grid_warns_once_of_all_that_stopped_early():
    X, y = toy(2)
    with pytest.warns(ConvergenceWarning, match=r"4 of 4 fits did not reach tol=1e-12 within max_iter=1 "):
        LinearSVCCV(Cs=[1.0, 2.0], cv=2, max_iter=1, tol=1e-12, refit=False).fit(X, y)


@pytest.mark.parametrize("Cs", [[], [1.0, -1.0], [[1.0]], [np.nan], [np.inf], 0])
def test_grids_that_are_refused(Cs):
    with pytest.raises(ValueError, match="Cs must be"):
        LinearSVCCV(Cs=Cs).fit(*toy(2))
