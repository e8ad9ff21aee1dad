"""scikit-learn's callbacks on all estimators, where there are any."""

import pickle
import sys
from functools import partial

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning

import fastlr.callbacks
from fastlr import LinearSVC, LinearSVCCV, LogisticRegression, LogisticRegressionCV, SGDClassifier

callback = pytest.importorskip("sklearn.callback", reason="scikit-learn before 1.9 has no callbacks")

X, Y = load_iris(return_X_y=True)
ESTIMATORS = [
    LogisticRegression("l1", tol=1e-6), LinearSVC(tol=1e-6),
    SGDClassifier(eta0=0.1, batch_size=10, tol=None, max_iter=4),
    LogisticRegressionCV(Cs=2, cv=3), LinearSVCCV(Cs=2, cv=3),
]  # fmt: skip
each_estimator = pytest.mark.parametrize("clf", ESTIMATORS, ids=lambda clf: type(clf).__name__)


class Listener:
    """Keeps what it is told; raises at a kind of event, or asks for the end of what is around a task."""

    def __init__(self, raises=None, stops=lambda context: False):
        self.raises, self.stops = raises, stops
        self.heard, self.starts, self.models, self.given = [], [], [], []

    def setup(self, estimator, context):
        self.hear("setup", context)

    def on_fit_task_begin(self, estimator, context, *, fitted_estimator):
        self.hear("begin", context)
        self.starts.append(fitted_estimator)

    def on_fit_task_end(self, estimator, context, *, X, y, metadata, fitted_estimator):
        self.hear("end", context)
        self.models.append(fitted_estimator)
        self.given.append((X, y, metadata))
        return self.stops(context)

    def teardown(self, estimator, context):
        self.hear("teardown", context)

    def hear(self, what, context):
        self.heard.append((what, context.task_name, context.task_id))
        if self.raises == what:
            raise RuntimeError(what)

    def count(self, what, name):
        return sum(heard[:2] == (what, name) for heard in self.heard)


def fit(clf, *arguments, **options):
    listener = Listener(**options)
    clf = clone(clf).set_callbacks(listener)
    return clf.fit(*(arguments or (X, Y))), listener


@each_estimator
def test_tasks_begin_and_end_in_order(clf):
    clf, listener = fit(clf)
    assert listener.heard[:2] == [("setup", "fit", 0), ("begin", "fit", 0)]
    assert listener.heard[-2:] == [("end", "fit", 0), ("teardown", "fit", 0)]
    open_tasks = []
    for what, *task in listener.heard[1:-1]:
        if what == "begin":
            open_tasks.append(task)
        else:
            assert open_tasks.pop() == task
    assert not open_tasks


def test_subtasks():
    for clf, name, count in (
        (ESTIMATORS[0], "iteration", lambda clf: clf.n_iter_[0] + 1),  # the last one is empty
        (ESTIMATORS[1], "problem", lambda clf: 3),
        (ESTIMATORS[2], "epoch", lambda clf: 4),
        (ESTIMATORS[3], "fit", lambda clf: 1 + 3 * 2),
        (ESTIMATORS[4], "fit", lambda clf: 1 + 3 * 2),
    ):
        clf, listener = fit(clf)
        assert listener.count("begin", name) == listener.count("end", name) == count(clf)


@each_estimator
def test_the_last_model_is_the_fitted_one(clf):
    clf, listener = fit(clf)
    np.testing.assert_array_equal(listener.models[-1].coef_, clf.coef_)
    np.testing.assert_array_equal(listener.models[-1].predict(X), clf.predict(X))


@pytest.mark.parametrize("clf", ESTIMATORS[:3], ids=lambda clf: type(clf).__name__)
def test_models_on_the_way(clf):
    clf, listener = fit(clf)
    models = [model for model in listener.models if model is not None]
    assert len(models) > 3
    losses = []
    for model in models:
        scores = model.decision_function(X)
        assert scores.shape == (150, 3) and model.n_features_in_ == 4
        target = np.where(Y[:, None] == range(3), 1.0, -1.0)
        losses.append(np.sum(np.maximum(1 - target * scores, 0) ** 2))
    if isinstance(clf, LinearSVC):
        assert losses[0] > losses[-1]
    if isinstance(clf, SGDClassifier):
        log_p = [model.predict_log_proba(X)[np.arange(150), Y].mean() for model in models[:4]]
        np.testing.assert_allclose(log_p, -np.array(clf.history_["loss"]), rtol=1e-10)


@pytest.mark.parametrize("solver", ["saga", "lbfgs"])
def test_iterates_before_and_after(solver):
    clf, listener = fit(LogisticRegression(solver=solver, tol=1e-6, C=0.1, random_state=4))
    iterates = listener.models[:-2]
    assert len(iterates) == clf.n_iter_[0] > 5
    objectives = []
    for model in iterates:
        loss = -model.predict_log_proba(X)[np.arange(150), Y].sum()
        objectives.append(0.1 * loss + (model.coef_**2).sum() / 2)
    for certified in clf.history_["objective"]:
        assert np.isclose(objectives, certified, rtol=1e-10).any()
    # Of the fit, the first iteration, and one that is begun and then left out.
    assert listener.starts[:2] == [None, None] and listener.models[-2] is None
    for before, after in zip(listener.starts[2:], iterates, strict=True):
        np.testing.assert_array_equal(before.coef_, after.coef_)


def test_an_iterate_that_is_not_finite_is_no_model():
    clf = LogisticRegression().set_callbacks(listener := Listener())
    problem = clf._problems(fastlr.validate.training(clf, X, Y, None), *clf._strengths())[0]
    with fastlr.progress.progress_of(clf, 20, (X, Y, None)) as progress:
        report = progress.checks(problem, 20, partial(fastlr.linear_model.convex._so_far, [problem], ()))
        for value in (0.0, np.nan, 1.0):
            report.take(np.full((3, 4), value), np.zeros(3))
        report.close()
    assert [model is None for model in listener.models[:4]] == [False, True, False, True]


def test_data_are_those_of_the_user():
    pandas = pytest.importorskip("pandas")
    frame, weights = pandas.DataFrame(X, columns=list("abcd")), np.ones(150)
    names = np.array(["x", "y", "z"])[Y]
    clf = SGDClassifier(tol=None, max_iter=2).set_callbacks(listener := Listener())
    clf.fit(frame, names, weights)
    for given_X, given_y, metadata in listener.given:
        assert given_X is frame and given_y is names and metadata["sample_weight"] is weights
    assert all(model.score(frame, names) >= 0 for model in listener.models)  # without a warning on names
    _, listener = fit(LogisticRegression())
    assert listener.given[0][2] is None


@each_estimator
def test_a_scoring_monitor(clf):
    monitor = callback.ScoringMonitor(scoring="accuracy")
    clf = clone(clf).set_callbacks(monitor).fit(X, Y)
    rows = monitor.get_logs().data
    whole = [row for row in rows if row["task_id_path"] == (0,)]
    assert [row["accuracy"] for row in whole] == [np.mean(clf.predict(X) == Y)]
    assert len(rows) > 3 or hasattr(clf, "cv")


@each_estimator
def test_a_progress_bar(clf):
    pytest.importorskip("rich")
    clone(clf).set_callbacks(callback.ProgressBar()).fit(X, Y)


def test_in_a_grid_search():
    from sklearn.model_selection import GridSearchCV

    listener = Listener()
    search = GridSearchCV(LogisticRegression().set_callbacks(listener), {"C": [0.1, 1.0]}, cv=2)
    search.fit(X, Y)
    assert listener.count("setup", "fit") == listener.count("teardown", "fit") == 5


@each_estimator
def test_clones_and_pickles(clf):
    clf, listener = fit(clf)
    assert clone(clf)._skl_callbacks == [listener]
    assert [name for name in vars(clf) if name.startswith("_")] == ["_skl_callbacks"]
    copied = pickle.loads(pickle.dumps(clf.set_callbacks()))
    np.testing.assert_array_equal(copied.predict(X), clf.predict(X))
    assert "_skl_callbacks" not in vars(clf)


@each_estimator
def test_without_callbacks_nobody_is_asked(clf, monkeypatch):
    monkeypatch.setattr(type(clf), "_init_callback_context", None)
    clone(clf).fit(X, Y)


# ---- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("raises", ["setup", "begin", "end"])
@each_estimator
def test_an_error_of_a_callback_leaves_the_last_model(clf, raises):
    clf = clone(clf).fit(X, Y)
    before = dict(vars(clf))
    clf.set_callbacks(listener := Listener(raises=raises))
    with pytest.raises(RuntimeError):
        clf.fit(X, 2 - Y)
    assert {name: value for name, value in vars(clf).items() if name != "_skl_callbacks"} == before
    assert listener.heard[-1] == ("teardown", "fit", 0)
    # And the next fit is a fit.
    clf.set_callbacks().fit(X, 2 - Y)
    assert clf.score(X, 2 - Y) > 0.6


@each_estimator
def test_an_error_of_teardown_comes_after_the_fit(clf):
    listener = Listener(raises="teardown")
    clf = clone(clf).set_callbacks(listener)
    with pytest.raises(RuntimeError, match="teardown"):
        clf.fit(X, Y)
    assert clf.predict(X).shape == (150,)


def test_bad_data_is_refused_before_callbacks_hear_of_it():
    listener = Listener()
    for clf in ESTIMATORS:
        with pytest.raises(ValueError):
            clone(clf).set_callbacks(listener).fit(X, Y[1:])
    assert not listener.heard


def test_only_callbacks_are_callbacks():
    with pytest.raises(TypeError):
        LogisticRegression().set_callbacks(print)


# ---- the end --------------------------------------------------------------------------------------


def test_a_callback_ends_a_certified_fit():
    clf, listener = fit(
        LogisticRegression(solver="saga", tol=1e-9, max_iter=10**6),
        stops=lambda context: context.task_id == 4,
    )
    assert (clf.status_, clf.converged_) == ("stopped", False)  # without a warning
    assert clf.n_iter_[0] == 5 and listener.count("end", "iteration") == 6
    assert clf.dual_gap_ > 1e-9 * clf.null_objective_
    assert "a callback asked for it" in clf.explain()


def test_a_callback_ends_one_problem_or_all():
    clf = LinearSVC(tol=1e-6)
    whole = clone(clf).fit(X, Y)
    ends_first, _ = fit(
        clf, stops=lambda context: context.task_name == "iteration" and context.parent.task_id == 0
    )
    assert ends_first.status_ == "stopped"
    np.testing.assert_array_equal(ends_first.coef_[1:], whole.coef_[1:])
    assert np.any(ends_first.coef_[0] != whole.coef_[0])
    ends_all, listener = fit(clf, stops=lambda context: context.task_name == "problem")
    assert ends_all.status_ == "stopped" and listener.count("begin", "iteration") < whole.n_iter_ * 3
    np.testing.assert_array_equal(ends_all.coef_[0], whole.coef_[0])
    assert not ends_all.coef_[1:].any()
    assert ends_all.dual_gap_ >= ends_all.objective_ - whole.objective_


def test_a_callback_ends_an_sgd():
    clf, listener = fit(
        SGDClassifier(max_iter=50, tol=None), stops=lambda c: c.task_name == "epoch" and c.task_id == 2
    )
    assert clf.n_iter_ == listener.count("end", "epoch") == 3


def test_a_callback_that_ends_an_sgd_is_no_reason_to_warn():
    clf, _ = fit(SGDClassifier(max_iter=50), stops=lambda context: context.task_name == "epoch")
    assert clf.n_iter_ == 1


def test_callbacks_hear_of_the_end_of_an_interrupted_sgd(monkeypatch):
    evaluate, calls = fastlr.linear_model.sgd._SoftmaxModel.evaluate, []

    def interrupted(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return evaluate(*arguments)

    monkeypatch.setattr(fastlr.linear_model.sgd._SoftmaxModel, "evaluate", interrupted)
    with pytest.warns(ConvergenceWarning, match="interrupted"):
        clf, listener = fit(ESTIMATORS[2])
    assert (clf.status_, clf.n_iter_) == ("interrupted", 2)
    assert listener.count("end", "epoch") == 2
    assert (listener.count("end", "fit"), listener.count("teardown", "fit")) == (1, 1)


def test_a_callback_ends_a_cross_validation():
    from sklearn.exceptions import ConvergenceWarning

    clf = LogisticRegressionCV(Cs=40, cv=5, tol=1e-9, max_iter=10**5, n_threads=1)
    with pytest.warns(ConvergenceWarning, match="interrupted"):
        clf, _ = fit(clf, stops=lambda context: context.parent is not None)
    assert clf.status_ == "interrupted" and clf.predict(X).shape == (150,)


# ---- scikit-learn before 1.9 ----------------------------------------------------------------------


def test_without_callbacks_in_scikit_learn(monkeypatch):
    import importlib.util

    monkeypatch.setitem(sys.modules, "sklearn.callback", None)
    spec = importlib.util.spec_from_file_location("callbacks_of_old", fastlr.callbacks.__file__)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "callbacks_of_old", module)
    spec.loader.exec_module(module)
    assert not hasattr(module.CallbackSupportMixin(), "set_callbacks")
    with module.task_of(LogisticRegression(), 1, (X, Y, None), None) as task:
        assert task is None
