"""LogisticRegressionCV: against plain loops of fits on copies, scikit-learn, and its own claims."""

import threading
import warnings

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
from sklearn import config_context, get_config, linear_model
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import get_scorer, log_loss
from sklearn.model_selection import GridSearchCV, KFold, PredefinedSplit, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastlr import LogisticRegression, LogisticRegressionCV, load, save
from fastlr.linear_model import folds, logistic_cv

from .test_path import toy

TIGHT = {"tol": 1e-8, "max_iter": 20000, "random_state": 0}


def loop(clf, X, y, Cs, l1_ratios, cv, scorer, weight=None):
    """Scores (F, L, m) of clones fitted to copied rows."""
    folds = []
    for train, test in cv.split(X, y):
        table = np.empty((len(l1_ratios), len(Cs)))
        for l, l1_ratio in enumerate(l1_ratios):
            for c, C in enumerate(Cs):
                fitted = clone(clf).set_params(C=C, l1_ratio=l1_ratio)
                fitted.fit(X[train], y[train], None if weight is None else weight[train])
                table[l, c] = scorer(fitted, X[test], y[test], *(() if weight is None else (weight[test],)))
        folds.append(table)
    return np.array(folds)


def neg_log_loss(clf, X, y, weight=None):
    return -log_loss(y, clf.predict_proba(X), labels=clf.classes_, sample_weight=weight)


STORAGES = {
    "float64": lambda X: X,
    "float32": lambda X: X.astype(np.float32),
    "uint8": lambda X: np.clip(100 + 40 * X, 0, 255).astype(np.uint8),
    "csr": lambda X: sp.csr_matrix(X * (X > 0)),
}


def weighted_toy(n_classes, storage):
    """Rows of weight zero among others."""
    X, y = toy(n_classes)
    weight = np.random.default_rng(3).uniform(0, 2, len(y)) * (np.arange(len(y)) % 5 > 0)
    return STORAGES[storage](X), y, weight


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_fits_are_those_of_copied_rows(storage, n_classes):
    X, y, weight = weighted_toy(n_classes, storage)
    Cs, l1_ratios, cv = [1.0, 0.1], [1.0, 0.0], StratifiedKFold(3)
    options = {**TIGHT, "class_weight": "balanced", "tol": 1e-6 if storage == "float32" else 1e-8}
    options["scaling"] = "unit" if storage == "uint8" else None
    clf = LogisticRegressionCV(Cs=Cs, l1_ratios=l1_ratios, cv=cv, scoring="neg_log_loss", **options)
    clf.fit(X, y, weight)
    expected = loop(LogisticRegression(**options), X, y, Cs, l1_ratios, cv, neg_log_loss, weight)
    np.testing.assert_allclose(clf.scores_, expected, atol=2e-3 if storage == "float32" else 2e-4)


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_accuracies_are_those_of_the_paths(storage, n_classes):
    X, y, weight = weighted_toy(n_classes, storage)
    clf = LogisticRegressionCV(Cs=[0.03, 0.3], cv=StratifiedKFold(3), tol=1e-3).fit(X, y, weight)
    plain = X.toarray() if sp.issparse(X) else X
    for f, (_, test) in enumerate(StratifiedKFold(3).split(X, y)):
        for c in range(2):
            model = clf.coefs_paths_[f, 0, c]
            scores = plain[test] @ model[:, :-1].T + model[:, -1]
            found = scores.argmax(axis=1) if n_classes > 2 else scores[:, 0] > 0
            right = np.sum(weight[test] * (found == y[test])) / weight[test].sum()
            assert clf.scores_[f, 0, c] == pytest.approx(right, abs=1e-6)


def test_standard_scaling_goes_by_the_training_rows():
    X, y = toy()
    X[:20] *= 30  # the fold that holds these out has another scale
    cv, Cs = KFold(4), [0.03, 0.3]
    options = {"scaling": "standard", **TIGHT}
    clf = LogisticRegressionCV(Cs=Cs, penalty="l1", cv=cv, scoring="neg_log_loss", **options).fit(X, y)
    piped = make_pipeline(StandardScaler(), LogisticRegression("l1", **TIGHT))
    for f, (train, test) in enumerate(cv.split(X)):
        for c, C in enumerate(Cs):
            piped.set_params(logisticregression__C=C).fit(X[train], y[train])
            score = neg_log_loss(piped, X[test], y[test])
            assert clf.scores_[f, 0, c] == pytest.approx(score, abs=2e-3)


def test_any_scorer_sees_rows_and_a_fitted_estimator():
    X, y = toy(2)
    names = np.array(["no", "yes"])[y]
    Cs, cv = [0.1, 1.0], StratifiedKFold(3)
    for scoring in ("roc_auc", get_scorer("balanced_accuracy"), lambda clf, X, y: -np.abs(clf.coef_).sum()):
        clf = LogisticRegressionCV(Cs=Cs, cv=cv, scoring=scoring, **TIGHT).fit(X, names)
        expected = loop(LogisticRegression(**TIGHT), X, names, Cs, [0.0], cv, get_scorer(scoring))
        np.testing.assert_allclose(clf.scores_, expected, atol=1e-3)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("refit", [True, False])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_l2_against_scikit_learn(n_classes, refit, fit_intercept):
    X, y = toy(n_classes)
    options = {
        "Cs": [0.01, 0.1, 1.0, 10.0], "cv": 4, "scoring": "neg_log_loss", "refit": refit,
        "fit_intercept": fit_intercept,
    }  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        theirs = linear_model.LogisticRegressionCV(tol=1e-8, max_iter=10000, **options).fit(X, y)
    ours = LogisticRegressionCV(**options, **TIGHT).fit(X, y)
    np.testing.assert_allclose(ours.scores_[:, 0], next(iter(theirs.scores_.values())), atol=1e-4)
    np.testing.assert_allclose(ours.C_, np.ravel(theirs.C_)[0])
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=2e-3)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-3)
    assert ours.coef_.shape == theirs.coef_.shape and ours.intercept_.shape == theirs.intercept_.shape
    one = next(iter(theirs.coefs_paths_.values()))
    assert ours.coefs_paths_.shape == (4, 1, 4, len(theirs.coefs_paths_), one.shape[-1])
    if n_classes == 2:
        np.testing.assert_allclose(ours.coefs_paths_[:, 0, :, 0], one, atol=5e-3)
    assert hasattr(ours, "dual_gap_") is refit


def test_attributes():
    X, y = toy()
    clf = LogisticRegressionCV(Cs=4, l1_ratios=[0.5, 1.0], cv=3, **TIGHT).fit(X, y)
    assert clf.Cs_.shape == (4,) and clf.l1_ratios_.tolist() == [0.5, 1.0]
    for name in ("scores_", "dual_gaps_", "n_iter_"):
        assert getattr(clf, name).shape == (3, 2, 4)
    assert clf.coefs_paths_.shape == (3, 2, 4, 3, 7)
    np.testing.assert_allclose(clf.mean_scores_, clf.scores_.mean(axis=0))
    np.testing.assert_allclose(clf.standard_errors_, clf.scores_.std(axis=0, ddof=1) / np.sqrt(3))
    l, c = np.argwhere(clf.mean_scores_ == clf.mean_scores_.max())[0]
    assert (
        clf.mean_scores_[list(clf.l1_ratios_).index(clf.l1_ratio_), list(clf.Cs_).index(clf.C_)]
        == (clf.mean_scores_[l, c])
    )
    single = LogisticRegression(C=clf.C_, l1_ratio=clf.l1_ratio_, **TIGHT).fit(X, y)
    assert clf.objective_ == pytest.approx(single.objective_, rel=1e-7)
    np.testing.assert_allclose(clf.coef_, single.coef_, atol=1e-3)
    assert clf.converged_ and 0 <= clf.dual_gap_ <= 1e-8 * clf.C_ * len(y) * np.log(3)


def test_grid_begins_where_the_first_weight_enters():
    X, y = toy()
    clf = LogisticRegressionCV(Cs=5, l1_ratios=[0.0, 0.2, 1.0], tol=1e-3, max_iter=5000).fit(X, y)
    below = LogisticRegression(C=clf.Cs_[0], l1_ratio=0.2, tol=1e-6).fit(X, y)
    above = LogisticRegression(C=1.01 * clf.Cs_[0], l1_ratio=0.2, tol=1e-9, max_iter=5000).fit(X, y)
    assert not below.coef_.any() and above.coef_.any()
    assert clf.Cs_[-1] / clf.Cs_[0] == pytest.approx(5 * 1000)
    np.testing.assert_allclose(LogisticRegressionCV(Cs=3, scaling="standard").fit(X, y).Cs_, [1e-4, 1, 1e4])


@pytest.mark.parametrize("penalty", ["l1", "l2"])
def test_gaps_of_every_fold_hold(penalty):
    X, y = toy()
    cv, Cs = StratifiedKFold(3), [0.1, 1.0]
    loose = LogisticRegressionCV(Cs=Cs, penalty=penalty, cv=cv, tol=1e-2, random_state=0).fit(X, y)
    for f, (train, _) in enumerate(cv.split(X, y)):
        for c, C in enumerate(Cs):
            best = LogisticRegression(penalty, C=C, **TIGHT).fit(X[train], y[train])
            at_point = LogisticRegression(penalty, C=C, tol=np.inf, max_iter=0, warm_start=True)
            at_point.coef_ = loose.coefs_paths_[f, 0, c, :, :-1]
            at_point.intercept_, at_point.classes_ = loose.coefs_paths_[f, 0, c, :, -1], best.classes_
            objective = at_point.fit(X[train], y[train]).objective_
            gap = loose.dual_gaps_[f, 0, c]
            assert objective - gap <= best.objective_ * (1 + 1e-10)
            assert best.objective_ - best.dual_gap_ <= objective * (1 + 1e-12)
            assert gap <= 1e-2 * C * len(train) * np.log(3)


def test_one_standard_error_rule():
    scores = np.array([[[0.1, 0.5, 0.8, 0.7]], [[0.3, 0.8, 0.9, 0.9]], [[0.2, 0.8, 1.0, 0.8]]])
    Cs = np.array([1.0, 0.4, 2.0, 0.2])
    choice = logistic_cv._Choice(scores, Cs)
    assert choice.best == (0, 2)
    assert choice.error[0, 2] == pytest.approx(0.1 / np.sqrt(3))
    assert choice.mean[0, 3] < choice.mean[0, 2] - choice.error[0, 2]
    assert choice.one_standard_error == (0, 2)
    wide = scores.copy()
    wide[:, 0, 2] = [0.6, 0.9, 1.2]  # the same mean, three times the spread
    assert logistic_cv._Choice(wide, Cs).one_standard_error == (0, 3)
    assert logistic_cv._Choice(wide[:, :, :3], Cs[:3]).one_standard_error == (0, 2)


def test_equal_scores_go_to_the_strongest_penalty():
    scores = np.ones((2, 2, 3))
    choice = logistic_cv._Choice(scores, np.array([3.0, 1.0, 2.0]))
    assert choice.best == choice.one_standard_error == (0, 1)
    scores[0, 0, 1] = np.nan
    assert logistic_cv._Choice(scores, np.array([3.0, 1.0, 2.0])).best == (1, 1)
    assert logistic_cv._Choice(scores[:1], np.array([3.0, 1.0, 2.0])).error.tolist() == [[0] * 3] * 2


def test_rule_is_used():
    X, y = load_breast_cancer(return_X_y=True)
    options = {"Cs": 25, "scaling": "standard", "scoring": "neg_log_loss", "cv": 4}
    best, sparse = (LogisticRegressionCV(rule=rule, **options).fit(X, y) for rule in ("best", "1se"))
    assert best.C_ == best.C_best_ == sparse.C_best_
    assert sparse.C_ == sparse.C_1se_ == best.C_1se_ < best.C_
    np.testing.assert_array_equal(best.scores_, sparse.scores_)
    assert np.abs(sparse.coef_).sum() < np.abs(best.coef_).sum()


# ---- classes that a fold lacks --------------------------------------------------------------------


@pytest.mark.parametrize("scoring", ["accuracy", "neg_log_loss"])
@pytest.mark.parametrize("class_weight", [None, "balanced"])
@pytest.mark.parametrize("penalty", ["l1", "l2"])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_a_class_missing_from_a_fold(scoring, class_weight, penalty, fit_intercept):
    X, y = toy()
    y[:3] = 0
    y[0] = 7  # a single row
    clf = LogisticRegressionCV(
        Cs=3, penalty=penalty, cv=3, scoring=scoring, class_weight=class_weight, max_iter=5000,
        fit_intercept=fit_intercept, scaling="standard",
    )  # fmt: skip
    with pytest.warns(UserWarning, match="The least populated class in y has only 1 members"):
        clf.fit(X, y)  # scikit-learn's splitter says so
    assert clf.classes_.tolist() == [0, 1, 2, 7]
    assert np.isfinite(clf.scores_).all() and np.isfinite(clf.coefs_paths_).all()
    assert clf.coefs_paths_.shape[3] == 4 and clf.coef_.shape == (4, 6)
    if fit_intercept:  # row 0 is in the first fold to be held out: there, nothing is said to be a 7
        low = clf.coefs_paths_[0, 0, 0, :, -1]
        assert np.all(low[3] < low[:3] - 10)
        assert np.exp(clf.coefs_paths_[1, 0, 0, 3, -1]) > 1e-3


@pytest.mark.parametrize("n_classes", [2, 3])
def test_folds_of_one_class(n_classes):
    """Leaving out a whole class leaves, of two classes, one: the model says so, without iterations."""
    X, y = toy(n_classes)
    clf = LogisticRegressionCV(Cs=[0.1, 1.0], cv=PredefinedSplit(y), scoring="neg_log_loss").fit(X, y)
    assert clf.scores_.shape == (n_classes, 1, 2)
    assert np.isfinite(clf.scores_).all() and np.all(clf.scores_ < -5)
    assert clf.converged_ and clf.score(X, y) > -1
    if n_classes == 2:
        assert not clf.coefs_paths_[..., :-1].any() and np.all(clf.n_iter_ == 1)
        assert np.all(np.abs(clf.coefs_paths_[..., -1]) > 10)


def test_folds_need_rows():
    X, y = toy()
    weight = np.ones(len(y))
    weight[:20] = 0
    with pytest.raises(ValueError, match=r"cv must leave held-out rows .* fold 0 has none"):
        LogisticRegressionCV(cv=KFold(4)).fit(X, y, weight)
    with pytest.raises(ValueError, match=r"cv must leave training rows .* fold 0 has none"):
        LogisticRegressionCV(cv=[(range(20), range(20, 80))]).fit(X, y, weight)


# ---- weights, threads, storage --------------------------------------------------------------------


@pytest.mark.parametrize("scoring", ["accuracy", "neg_log_loss"])
def test_weights_are_repetitions(scoring):
    X, y = toy()
    counts = np.random.default_rng(2).integers(0, 4, len(y))
    counts[:6] = 1
    fold = np.arange(len(y)) % 3
    options = {"Cs": [0.05, 0.5], "penalty": "l1", "scaling": "standard", "scoring": scoring, **TIGHT}
    weighted = LogisticRegressionCV(cv=PredefinedSplit(fold), **options)
    weighted.fit(np.where(counts[:, None] > 0, X, 50 * X), y, counts)
    repeated = LogisticRegressionCV(cv=PredefinedSplit(np.repeat(fold, counts)), **options)
    repeated.fit(np.repeat(X, counts, axis=0), np.repeat(y, counts))
    np.testing.assert_allclose(weighted.scores_, repeated.scores_, atol=2e-3)
    assert weighted.C_ == repeated.C_
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, atol=5e-3)


def test_repeated_rows_and_masks_in_folds():
    X, y = toy()
    train, test = np.r_[0:60, 0:60, 60:70], np.arange(70, 80)
    masks = np.arange(80) < 70, np.arange(80) >= 70
    options = {"Cs": [1.0], "scoring": "neg_log_loss", **TIGHT}
    by_index, by_mask = (
        LogisticRegressionCV(cv=[fold], **options).fit(X, y).scores_[0, 0, 0]
        for fold in ((train, test), masks)
    )
    for score, rows in ((by_index, train), (by_mask, np.arange(70))):
        alone = LogisticRegression(**TIGHT).fit(X[rows], y[rows])
        assert score == pytest.approx(neg_log_loss(alone, X[test], y[test]), abs=1e-4)


@pytest.mark.parametrize("penalty", ["l1", "l2"])
def test_number_of_threads_and_jobs_changes_no_bit(penalty):
    X, y = toy(n=1500, d=100)
    fits = [
        LogisticRegressionCV(
            Cs=[1e-3, 1e-2], penalty=penalty, cv=3, tol=1e-3, random_state=0, n_jobs=jobs, n_threads=threads
        ).fit(X, y)
        for jobs, threads in ((1, 1), (None, 3), (2, 4), (-1, None))
    ]
    for clf in fits[1:]:
        np.testing.assert_array_equal(clf.scores_, fits[0].scores_)
        np.testing.assert_array_equal(clf.coefs_paths_, fits[0].coefs_paths_)
        np.testing.assert_array_equal(clf.coef_, fits[0].coef_)


@pytest.mark.parametrize(
    ("n_jobs", "n_threads", "n_tasks", "expected"),
    [(None, 4, 5, (4, 1)), (None, 8, 3, (3, 2)), (1, 4, 5, (1, 4)), (2, 4, 5, (2, 2)), (3, 1, 2, (2, 1))],
)
def test_jobs_share_the_threads(n_jobs, n_threads, n_tasks, expected):
    assert folds.workers(n_jobs, n_threads, n_tasks) == expected


def test_folds_share_one_X(monkeypatch):
    """Every problem, in whatever thread, reads the user's own array."""
    X, y = toy()
    seen, real = [], LogisticRegression._problems
    monkeypatch.setattr(
        LogisticRegression,
        "_problems",
        lambda self, part, *rest: seen.append(part.X) or real(self, part, *rest),
    )
    with joblib.parallel_config("loky"):
        LogisticRegressionCV(Cs=2, cv=3, n_jobs=2).fit(X, y)
    assert len(seen) == 4 and all(part is X for part in seen)


def test_an_error_in_one_fold_ends_all():
    started, ended = threading.Event(), threading.Event()
    filters = list(warnings.filters)

    stop = threading.Event()

    def run(fails):
        if fails:
            started.wait(60)
            raise RuntimeError("no score today")
        started.set()
        assert stop.wait(60)
        ended.set()

    with pytest.raises(RuntimeError, match="no score today"):
        folds.run_all(run, [(False,), (True,)], 2, stop, lambda: None)
    assert ended.is_set()
    assert warnings.filters == filters


def test_workers_know_the_configuration():
    with config_context(assume_finite=True):
        found = folds.run_all(lambda: get_config()["assume_finite"], [()] * 3, 2, threading.Event(), bool)
    assert found == [True] * 3


@pytest.mark.parametrize("l1_ratios", [(0.0,), (0.0, 0.5)])
def test_a_plain_function_scores_one_fit_at_a_time_and_in_order(l1_ratios):
    X, y = toy()
    threads, seen = set(), []

    def accuracy(clf, X, y):
        threads.add(threading.get_ident())
        seen.append(np.mean(clf.predict(X) == y))
        return seen[-1]

    options = {"Cs": [0.1, 1.0, 10.0], "cv": 4, "l1_ratios": l1_ratios, "n_threads": 3}
    clf = LogisticRegressionCV(scoring=accuracy, **options).fit(X, y)
    assert len(threads) == 1
    np.testing.assert_array_equal(clf.scores_.ravel(), seen)
    # As many at a time as n_jobs asks for, and the same scores.
    twice = LogisticRegressionCV(scoring=accuracy, n_jobs=2, **options).fit(X, y)
    np.testing.assert_array_equal(twice.scores_, clf.scores_)
    assert clf.C_ == LogisticRegressionCV(**options).fit(X, y).C_


def test_an_error_of_a_scorer_leaves_no_trace():
    def broken(clf, X, y):
        raise RuntimeError("no score today")

    clf = LogisticRegressionCV(Cs=3, cv=3, scoring=broken, n_jobs=2)
    with pytest.raises(RuntimeError, match="no score today"):
        clf.fit(*toy())
    assert not any(name.endswith("_") for name in vars(clf))


def test_stopped_early_one_warning():
    X, y = toy()
    clf = LogisticRegressionCV(Cs=[1.0, 2.0], cv=3, tol=1e-12, max_iter=2)
    with pytest.warns(ConvergenceWarning, match="7 of 7 fits did not reach tol=1e-12") as caught:
        clf.fit(X, y)
    assert len(caught) == 1 and caught[0].filename == __file__
    assert clf.converged_ is False and clf.dual_gap_ > 0


def test_score_is_that_of_scoring():
    X, y = toy()
    weight = np.random.default_rng(0).uniform(size=len(y))
    for scoring in (None, "accuracy", "neg_log_loss", "f1_macro"):
        clf = LogisticRegressionCV(Cs=2, cv=3, scoring=scoring, scaling="standard").fit(X, y)
        expected = get_scorer(scoring or "accuracy")(clf, X, y, sample_weight=weight)
        assert clf.score(X, y, sample_weight=weight) == pytest.approx(expected)
    log_scores = LogisticRegressionCV(Cs=2, cv=3, scoring="neg_log_loss", scaling="standard").fit(X, y)
    assert np.isfinite(log_scores.score(X[y < 2], y[y < 2]))  # without all of the classes


def test_refit_after_refit_leaves_nothing_stale():
    X, y = toy()
    clf = LogisticRegressionCV(Cs=[0.1, 1.0], cv=3).fit(X, y)
    assert hasattr(clf, "dual_gap_")
    clf.set_params(refit=False).fit(X, y)
    assert not any(hasattr(clf, name) for name in ("objective_", "dual_gap_", "converged_"))


def test_shift_without_an_intercept_is_kept_in_the_paths():
    X, y = toy()
    clf = LogisticRegressionCV(Cs=[1.0], cv=3, fit_intercept=False, scaling="standard").fit(X + 2, y)
    assert clf.coefs_paths_.shape[-1] == 7 and clf.coefs_paths_[..., -1].any()
    plain = LogisticRegressionCV(Cs=[1.0], cv=3, fit_intercept=False).fit(X + 2, y)
    assert plain.coefs_paths_.shape[-1] == 6 and not plain.intercept_.any()


@pytest.mark.parametrize(
    "options",
    [
        {"Cs": 0}, {"Cs": [-1.0]}, {"Cs": []}, {"l1_ratios": [1.5]}, {"l1_ratios": []}, {"l1_ratios": 0.5},
        {"l1_ratios": "all"}, {"penalty": None}, {"penalty": "l3"}, {"rule": "2se"}, {"n_jobs": 0},
        {"n_jobs": 1.5}, {"n_threads": 0}, {"tol": -1.0}, {"max_iter": -1}, {"scaling": "minmax"},
        {"solver": "adam"}, {"penalty": "l1", "solver": "lbfgs"}, {"l1_ratios": [0, 1], "solver": "lbfgs"},
        {"refit": False, "rule": "1se"}, {"class_weight": "fair"}, {"scoring": "beauty"}, {"cv": "five"},
    ],
)  # fmt: skip
def test_what_is_refused_leaves_no_trace(options):
    X, y = toy()
    clf = LogisticRegressionCV(Cs=[1.0], cv=3).fit(X, y)
    before = dict(vars(clf))
    with pytest.raises(ValueError, match=list(options)[-1]):
        clf.set_params(**options).fit(X[:, :5], y)
    for name in before:
        if name.endswith("_"):
            assert getattr(clf, name) is before[name]


# ---- scikit-learn's conventions -------------------------------------------------------------------


def test_in_pipelines_and_searches():
    X, y = toy()
    pipe = make_pipeline(StandardScaler(), LogisticRegressionCV(Cs=[0.1, 1.0], cv=3))
    search = GridSearchCV(pipe, {"logisticregressioncv__rule": ["best", "1se"]}, cv=2).fit(X, y)
    assert search.best_score_ > 0.5
    copy = clone(pipe[-1].set_params(rule="1se"))
    assert copy.rule == "1se" and not hasattr(copy, "coef_")


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("l1_ratios", [None, np.array([0.0, 0.5])], ids=["none", "two"])
@pytest.mark.parametrize("refit", [True, False])
def test_legacy_attributes(n_classes, l1_ratios, refit):
    """The same numbers in scikit-learn's old shapes, of which it is the judge."""
    X, y = toy(n_classes)
    options = {"Cs": [0.1, 1.0, 10.0], "l1_ratios": l1_ratios, "cv": 3, "refit": refit}
    options |= {"scoring": "neg_log_loss", "solver": "saga", "random_state": 0, "max_iter": 3000, "tol": 1e-6}
    new = LogisticRegressionCV(**options).fit(X, y)
    old = LogisticRegressionCV(**options, use_legacy_attributes=True).fit(X, y)
    peer = linear_model.LogisticRegressionCV(**options)
    if "use_legacy_attributes" in peer.get_params():
        peer.set_params(use_legacy_attributes=True)
    elif l1_ratios is not None:  # before 1.8 they are heeded for this penalty alone
        peer.set_params(penalty="elasticnet")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer.fit(X, y)
    for name in ("C_", "l1_ratio_", "n_iter_", "Cs_"):
        assert np.shape(getattr(old, name)) == np.shape(getattr(peer, name)), name
    for name in ("scores_", "coefs_paths_"):
        found, expected = getattr(old, name), getattr(peer, name)
        assert list(found) == list(expected), name
        assert [v.shape for v in found.values()] == [v.shape for v in expected.values()], name
        for part, theirs in zip(found.values(), expected.values(), strict=True):
            np.testing.assert_allclose(part, theirs, atol=0.1)
    assert (old.C_ == new.C_).all() and (old.l1_ratio_ == new.l1_ratio_).all()
    np.testing.assert_array_equal(old.coef_, new.coef_)
    assert old.explain().splitlines()[0] == new.explain().splitlines()[0]


def test_legacy_attributes_can_be_saved(tmp_path):
    cv = LogisticRegressionCV(Cs=2, cv=3, use_legacy_attributes=True).fit(*toy())
    save(cv, tmp_path / "cv.npz")
    loaded = load(tmp_path / "cv.npz")
    assert loaded.scores_.keys() == cv.scores_.keys()
    np.testing.assert_array_equal(loaded.coefs_paths_[2], cv.coefs_paths_[2])


@pytest.mark.parametrize("scoring", ["neg_brier_score", "f1", "f1_macro", "jaccard_weighted"])
def test_scorers_are_told_of_classes_that_a_fold_lacks(scoring):
    """As in scikit-learn: also which of two labels, that are no numbers, is the positive one."""
    X, y = toy(2 if scoring == "f1" else 3)
    X, y = X[np.argsort(y)], np.array(["a", "b", "c"])[np.sort(y)]
    options = {"Cs": [0.1], "scoring": scoring, "cv": KFold(3), "l1_ratios": (0.0,)}
    options["use_legacy_attributes"] = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of classes that are never predicted
        found = LogisticRegressionCV(**options, tol=1e-10).fit(X, y).scores_
        if "use_legacy_attributes" not in linear_model.LogisticRegressionCV().get_params():
            return
        expected = linear_model.LogisticRegressionCV(**options, tol=1e-8).fit(X, y).scores_
    np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize(
    "options, text",
    [
        ({"penalty": "elasticnet"}, r"l1_ratios must be a list of numbers in \[0, 1\] for 'elasticnet'"),
        ({"use_legacy_attributes": 3}, "use_legacy_attributes must be True or False; found 3"),
        ({"dual": True, "solver": "saga"}, "dual=True does not go with solver='saga'"),
        ({"multi_class": "ovr"}, "multi_class must be one of"),
        ({"intercept_scaling": -1}, "intercept_scaling must be a positive number"),
        ({"solver": "liblinear"}, "solver='liblinear' takes two classes"),
    ],
)
def test_what_scikit_learn_refuses(options, text):
    with pytest.raises(ValueError, match=text):
        LogisticRegressionCV(Cs=2, **options).fit(*toy(3))
