"""Paths show the weights and scores along C."""

import numpy as np
import pytest
from sklearn.utils import Bunch

from fastlr import plots

from .plotting import assert_nothing_clipped, close_figures, legend  # noqa: F401


def a_path(K=3, d=4, m=5, classes=("a", "b", "c")):
    coefs = np.random.default_rng(0).standard_normal((m, K, d))
    coefs[0] = 0
    return Bunch(Cs=np.logspace(2, -2, m), coefs=coefs[::-1], classes=np.array(classes))


def a_cv(F=3, L=2, K=3, d=4, m=5):
    rng = np.random.default_rng(1)
    scores = rng.uniform(0.5, 1, (F, L, m))
    return Bunch(
        Cs_=np.logspace(-2, 2, m), l1_ratios_=np.linspace(0, 1, L), l1_ratio_=1.0, scoring="neg_log_loss",
        C_best_=10.0, C_1se_=0.1, scores_=scores, mean_scores_=scores.mean(axis=0), classes_=np.arange(K),
        standard_errors_=scores.std(axis=0), coefs_paths_=rng.standard_normal((F, L, m, K, d + 1)),
        coef_=np.zeros((K, d)),
    )  # fmt: skip


def test_path_lines_are_the_weights_by_rising_C():
    path = a_path()
    figure = plots.plot_path(path, units=[1, 2, 3, 4])
    (ax,) = figure.axes
    assert ax.get_xscale() == "log" and len(ax.lines) == 12
    for line, (k, j) in zip(ax.lines, np.ndindex(3, 4), strict=True):
        np.testing.assert_array_equal(line.get_xdata(), path.Cs[::-1])
        np.testing.assert_allclose(line.get_ydata(), (j + 1) * path.coefs[::-1, k, j])
    assert len({line.get_color() for line in ax.lines}) == 3
    assert legend(ax) == ["class a", "class b", "class c"]
    assert_nothing_clipped(figure)


def test_path_of_counts_and_of_two_classes():
    path = a_path()
    (ax,) = plots.plot_path(path, count=True).axes
    for k, line in enumerate(ax.lines):
        np.testing.assert_array_equal(line.get_ydata(), np.count_nonzero(path.coefs[::-1, k], axis=-1))
    single = a_path(K=1, classes=("no", "yes"))
    (ax,) = plots.plot_path(single, names=["w", "x", "y", "z"]).axes
    assert legend(ax) == ["w", "x", "y", "z"]
    assert len({line.get_color() for line in ax.lines}) == 4


def test_path_leaves_out_infinite_C():
    path = a_path()
    path.Cs = np.r_[np.inf, path.Cs[1:]]
    (ax,) = plots.plot_path(path).axes
    assert len(ax.lines[0].get_xdata()) == 4


def test_path_of_many_classes_is_told_apart():
    figure = plots.plot_path(a_path(K=10, classes=range(10)))
    styles = {(line.get_color(), line.get_linestyle()) for line in figure.axes[0].lines}
    assert len(styles) == 10
    assert_nothing_clipped(figure)


def test_path_of_a_cross_validation_has_scores_and_choices():
    cv = a_cv()
    figure = plots.plot_path(cv)
    top, bottom = figure.axes
    np.testing.assert_allclose(top.lines[1].get_ydata(), cv.coefs_paths_[:, 1, :, 0, 1].mean(axis=0))
    assert len(bottom.containers) == 2
    for l, bars in enumerate(bottom.containers):
        middle, _, (segments,) = bars
        np.testing.assert_allclose(middle.get_ydata(), cv.mean_scores_[l])
        ends = np.array(segments.get_segments())[:, :, 1]
        np.testing.assert_allclose(np.ptp(ends, axis=1), 2 * cv.standard_errors_[l])
    assert set(legend(bottom)) == {"best: C = 10", "1 s.e.: C = 0.1", "l1_ratio 0", "l1_ratio 1"}
    for ax in (top, bottom):
        marks = [line.get_xdata()[0] for line in ax.lines if len(set(line.get_xdata())) == 1]
        assert marks == [10.0, 0.1]
    assert bottom.get_ylabel() == "negative log-loss"
    assert_nothing_clipped(figure)
    cv.C_1se_ = cv.C_best_
    assert "best and 1 s.e.: C = 10" in legend(plots.plot_path(cv).axes[1])


def test_path_of_the_real_things():
    from sklearn.datasets import load_iris

    from fastlr import LogisticRegressionCV, logistic_path

    X, y = load_iris(return_X_y=True)
    path = logistic_path(X, y, Cs=[0.1, 0.01])
    line = plots.plot_path(path).axes[0].lines[0]
    np.testing.assert_array_equal(line.get_ydata(), path.coefs[::-1, 0, 0])
    clf = LogisticRegressionCV(Cs=[0.01, 0.1], l1_ratios=[0.0, 0.5], cv=3, refit=False).fit(X, y)
    assert len(plots.plot_path(clf).axes) == 2


def test_path_refuses():
    with pytest.raises(ValueError, match="path: found dict; needed: a Path"):
        plots.plot_path({})
    for name in ("names", "units"):
        with pytest.raises(ValueError, match=f"{name}: found 1; needed: 4"):
            plots.plot_path(a_path(), **{name: [1]})
