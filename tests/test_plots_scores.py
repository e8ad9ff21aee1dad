"""Scores of cross-validations against their parameter."""

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression as Peer
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastlr import LinearSVCCV, LogisticRegression, LogisticRegressionCV, plots

from .plotting import assert_nothing_clipped, legend

X, Y = load_iris(return_X_y=True)


def bars(container):
    """Middles and half lengths of error bars."""
    middle, _, (segments,) = container
    ends = np.array(segments.get_segments())[:, :, 1]
    return middle.get_xdata(), middle.get_ydata(), np.ptp(ends, axis=1) / 2


def marked(ax):
    """Values that vertical lines mark."""
    return [line.get_xdata()[0] for line in ax.lines if len(set(line.get_xdata())) == 1]


def search(estimator=None, grid=None, **options):
    estimator = LogisticRegression(scaling="standard") if estimator is None else estimator
    grid = {"C": [1.0, 0.01, 0.1]} if grid is None else grid
    return GridSearchCV(estimator, grid, cv=3, **options).fit(X, Y)


def assert_draws(ax, cv, order, score="score"):
    """Validation and training scores of `cv_results_`, with deviations."""
    for container, part in zip(ax.containers, ("test", "train"), strict=True):
        _, mean, deviation = bars(container)
        np.testing.assert_allclose(mean, cv.cv_results_[f"mean_{part}_{score}"][order])
        np.testing.assert_allclose(deviation, cv.cv_results_[f"std_{part}_{score}"][order], atol=1e-12)


def test_scores_of_a_support_vector_machine():
    cv = LinearSVCCV("l1", Cs=[0.2, 0.025, 0.05], cv=3, scaling="standard").fit(X, Y)
    figure = plots.plot_scores(cv)
    (ax,) = figure.axes
    assert_draws(ax, cv, slice(None))
    np.testing.assert_array_equal(bars(ax.containers[0])[0], [0.025, 0.05, 0.2])
    assert ax.get_xscale() == "log" and ax.get_ylabel() == "accuracy"
    assert [text.get_text() for text in ax.get_xticklabels()] == ["0.025", "0.05", "0.2"]
    assert marked(ax) == [cv.C_]
    assert legend(ax) == [f"best: C = {cv.C_:.3g}", "validation", "training"]
    assert ax.get_legend().get_title().get_text() == "mean ± s.d. of 3 folds"
    assert_nothing_clipped(figure)


def test_scores_of_a_grid_search_in_any_order():
    cv = search(return_train_score=True)
    (ax,) = plots.plot_scores(cv).axes
    assert_draws(ax, cv, [1, 2, 0])
    assert marked(ax) == [cv.best_params_["C"]]
    (ax,) = plots.plot_scores(search()).axes
    assert legend(ax)[1:] == ["validation"]
    (ax,) = plots.plot_scores(search(refit=False)).axes
    assert marked(ax) == [cv.best_params_["C"]]


def test_scores_of_a_pipeline_and_a_parameter_that_stays():
    cv = search(make_pipeline(StandardScaler(), Peer()), {"logisticregression__C": [0.1, 1.0]})
    assert plots.plot_scores(cv).axes[0].get_xlabel() == "C (inverse strength of the penalty)"
    cv = search(RidgeClassifier(), {"alpha": [0.0, 1.0, 10.0], "fit_intercept": [True]})
    (ax,) = plots.plot_scores(cv).axes
    assert ax.get_xlabel() == "alpha" and ax.get_xscale() == "linear"


def test_scores_of_several_take_that_of_refit():
    scoring = ["accuracy", "neg_log_loss"]
    cv = search(scoring=scoring, refit="neg_log_loss", return_train_score=True)
    (ax,) = plots.plot_scores(cv).axes
    assert_draws(ax, cv, [1, 2, 0], "neg_log_loss")
    assert ax.get_ylabel() == "negative log-loss"
    with pytest.raises(ValueError, match="cv: found several scores and refit=False"):
        plots.plot_scores(search(scoring=scoring, refit=False))


def test_scores_of_a_logistic_regression():
    cv = LogisticRegressionCV(Cs=8, l1_ratios=[0.0, 1.0], cv=3, max_iter=5000).fit(X, Y)
    figure = plots.plot_scores(cv)
    (ax,) = figure.axes
    for container, mean, error in zip(ax.containers, cv.mean_scores_, cv.standard_errors_, strict=True):
        np.testing.assert_allclose(bars(container)[1], mean)
        np.testing.assert_allclose(bars(container)[2], error, atol=1e-12)
    assert legend(ax)[-2:] == ["l1_ratio 0", "l1_ratio 1"]
    assert set(marked(ax)) == {cv.C_best_, cv.C_1se_}
    assert_nothing_clipped(figure)
    single = LogisticRegressionCV(Cs=[0.01, np.inf], cv=3).fit(X, Y)
    (ax,) = plots.plot_scores(single).axes
    assert legend(ax)[-1] == "validation"
    np.testing.assert_array_equal(bars(ax.containers[0])[0], [0.01])
    assert all(np.isfinite(marked(ax)))


def test_scores_refuses():
    with pytest.raises(ValueError, match="cv: found GridSearchCV; needed: a fitted LinearSVCCV"):
        plots.plot_scores(GridSearchCV(LogisticRegression(), {"C": [1]}))
    several = {"C": [1, 2], "tol": [0.1, 0.01]}
    for grid in (several, [{"C": [1]}, {"tol": [0.1]}], {"solver": ["auto", "newton-cg"]}, {"C": [1, 1]}):
        with pytest.raises(ValueError, match=r"cv: found .*; needed: a search over numbers of a single"):
            plots.plot_scores(search(grid=grid))
