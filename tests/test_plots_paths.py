"""Paths show the weights and scores along C."""

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.utils import Bunch

from fastlr import LogisticRegressionCV, plots

from .plotting import assert_nothing_clipped, legend


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
        coef_=np.zeros((K, d)), dual_gaps_=np.zeros((F, L, m)),
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


@pytest.mark.parametrize("l1_ratios", [None, [0.0, 1.0]])
def test_path_of_legacy_attributes(l1_ratios):
    X, y = load_iris(return_X_y=True)
    cv = LogisticRegressionCV(Cs=[0.01, 1.0], l1_ratios=l1_ratios, cv=3)
    drawn = []
    for legacy in (False, True):
        figure = plots.plot_path(cv.set_params(use_legacy_attributes=legacy).fit(X, y))
        drawn.append([line.get_xydata() for ax in figure.axes for line in ax.lines])
    for new, old in zip(*drawn, strict=True):
        np.testing.assert_array_equal(new, old)


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


def test_path_of_many_features_colours_the_largest_weights_of_each_class():
    path = a_path(K=2, d=30)
    path.coefs[..., 7] = 0
    path.coefs[2, 0, 3], path.coefs[1, 1, 4] = 50, -60
    ax = plots.plot_path(path).axes[0]
    assert len(ax.lines) == 6
    assert ax.lines[0].get_ydata().max() == 50 and ax.lines[3].get_ydata().min() == -60
    (grey,) = ax.collections
    drawn = np.array([segment[:, 1] for segment in grey.get_segments()])
    assert len(drawn) == 2 * (30 - 3 - 1)  # not those of zero
    assert legend(ax) == ["class a", "class b", "other weights"]
    for k in range(2):
        smallest = min(np.abs(line.get_ydata()).max() for line in ax.lines[3 * k : 3 * k + 3])
        assert smallest >= np.abs(drawn[26 * k : 26 * (k + 1)]).max()
    assert grey.get_zorder() < ax.lines[0].get_zorder()


def test_path_names_a_few_C_at_its_axis():
    ax = plots.plot_path(a_path()).axes[0]
    assert [text.get_text() for text in ax.get_xticklabels()] == ["0.01", "0.1", "1", "10", "100"]


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
    assert bottom.get_legend().get_title().get_text() == "mean ± s.e. of 3 folds"
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
    for units in ([1, 1, 1, np.inf], list("abcd")):
        with pytest.raises(ValueError, match=r"units: found .*; needed: "):
            plots.plot_path(a_path(), units=units)


# --- plot_sparsity -------------------------------------------------------------------------------


def a_sparse_path(K=3):
    """Accuracies 0.5, 0.6, 0.8, 0.79, 0.3 on the samples by rising C, with ever fewer zeros."""
    X = np.eye(100)
    y = np.arange(100) % 3 if K == 3 else np.arange(100) % 2
    coefs = np.zeros((5, K, 101))
    for i, right in enumerate([50, 60, 80, 79, 30]):
        found = np.where(np.arange(100) < right, y, (y + 1) % (3 if K == 3 else 2))
        if K == 3:
            coefs[i, found, np.arange(100)] = 1
        else:
            coefs[i, 0, :100] = np.where(found == 1, 1, -1)
        coefs[i, 0, 100] = i > 1
    order = [3, 0, 4, 1, 2]  # by no order of C
    classes = np.array(["a", "b", "c"][: max(K, 2)])
    path = Bunch(
        Cs=np.logspace(-2, 2, 5)[order], coefs=coefs[order], intercepts=np.zeros((5, K)), classes=classes
    )
    return path, np.c_[X, np.zeros(100)], classes[y]


@pytest.mark.parametrize("K", [1, 3])
def test_sparsity_is_accuracy_against_zeros(K):
    path, X, y = a_sparse_path(K)
    figure = plots.plot_sparsity(path, X, y)
    (ax,) = figure.axes
    curve = ax.lines[0]
    np.testing.assert_allclose(curve.get_ydata(), [0.6, 0.8, 0.79])  # the others are too far below
    order = np.argsort(path.Cs)[1:4]
    np.testing.assert_allclose(curve.get_xdata(), (path.coefs[order] == 0).mean(axis=(1, 2)))
    assert ax.get_ylabel() == "accuracy on 100 samples"
    assert {"C = 0.1", "C = 1"} <= {text.get_text() for text in ax.texts}
    assert_nothing_clipped(figure)


def test_sparsity_marks_what_to_choose():
    path, X, y = a_sparse_path()
    # One standard error is sqrt(0.8 * 0.2 / 100) = 0.04; nothing sparser than the best is so close.
    ax = plots.plot_sparsity(path, X, y).axes[0]
    assert legend(ax) == ["best, and sparsest within 1 s.e.: C = 1,\n66.7% zeros, accuracy 80.00%"]
    path.coefs[np.argsort(path.Cs)[1]] = path.coefs[np.argsort(path.Cs)[3]]
    path.coefs[np.argsort(path.Cs)[1], 0, 100] = 0
    ax = plots.plot_sparsity(path, X, y).axes[0]
    best, sparse = ax.lines[1:]
    assert best.get_ydata()[0] == 0.8 and sparse.get_ydata()[0] == 0.79
    assert sparse.get_xdata()[0] > best.get_xdata()[0]
    assert legend(ax)[1].startswith("sparsest within 1 s.e. of it: C = 0.1,")
    band = ax.patches[0]  # a polygon before matplotlib 3.9, then a rectangle
    bottom, top = band.get_path().transformed(band.get_patch_transform()).get_extents().intervaly
    np.testing.assert_allclose([bottom, top], [0.76, 0.8])


def test_sparsity_of_real_paths_and_sparse_data():
    from scipy.sparse import csr_matrix

    from fastlr import LogisticRegression, logistic_path
    from fastlr.datasets import load_digits

    (X, y), (X_test, y_test) = load_digits()
    path = logistic_path(X[:300], y[:300], penalty="l1", Cs=[0.003, 0.01], scaling="unit", tol=1e-3)
    figure = plots.plot_sparsity(path, X_test, y_test)
    model = LogisticRegression("l1", C=0.01, scaling="unit", tol=1e-3).fit(X[:300], y[:300])
    accuracy = figure.axes[0].lines[0].get_ydata()
    assert accuracy[-1] == pytest.approx(model.score(X_test, y_test), abs=0.01)
    assert_nothing_clipped(figure)
    of_sparse = plots.plot_sparsity(path, csr_matrix(X_test.astype(float)), y_test)
    np.testing.assert_array_equal(of_sparse.axes[0].lines[0].get_ydata(), accuracy)


def test_sparsity_refuses():
    path, X, y = a_sparse_path()
    with pytest.raises(ValueError, match="path: found ndarray; needed: a Path"):
        plots.plot_sparsity(X, X, y)
    with pytest.raises(ValueError, match="7 features"):
        plots.plot_sparsity(path, X[:, :7], y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        plots.plot_sparsity(path, X, y[1:])
