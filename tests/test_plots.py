"""The pictures show the numbers they are given, legibly."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.utils import Bunch

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

from fastlr import plots  # noqa: E402


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (12, 28 * 28), dtype=np.uint8)


def assert_nothing_clipped(figure):
    """All that is drawn, text included, lies within the figure (in inches)."""
    figure.draw_without_rendering()
    box = figure.get_tightbbox()
    width, height = figure.get_size_inches()
    assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height, box


def titles(figure):
    return [ax.get_title() for ax in figure.axes]


def band_edges(collection):
    """Lower and upper edge of a fill_between, by ascending x."""
    x, y = collection.get_paths()[0].vertices.T
    at = np.unique(x)
    return (np.array([edge(y[x == one]) for one in at]) for edge in (np.min, np.max))


# --- plot_images ---------------------------------------------------------------------------------


def test_images_one_axes_each_on_one_scale(images):
    figure = plots.plot_images(images, titles=range(12), n_columns=5)
    assert isinstance(figure, Figure)
    assert titles(figure) == [str(i) for i in range(12)]
    for ax, image in zip(figure.axes, images, strict=True):
        np.testing.assert_array_equal(ax.images[0].get_array(), image.reshape(28, 28))
        assert ax.images[0].get_clim() == (images.min(), images.max())
    grid = figure.axes[0].get_gridspec()
    assert (grid.nrows, grid.ncols) == (3, 5)
    assert_nothing_clipped(figure)


def test_images_shapes(images):
    stacked = plots.plot_images(np.zeros((3, 4, 6)))
    assert stacked.axes[0].images[0].get_array().shape == (4, 6)
    reshaped = plots.plot_images(images[:2], image_shape=(14, 56))
    assert reshaped.axes[0].images[0].get_array().shape == (14, 56)


def test_images_in_a_given_subfigure(images):
    left, right = plt.figure(layout="constrained").subfigures(1, 2)
    assert plots.plot_images(images[:3], figure=right) is right
    assert len(right.axes) == 3 and not left.axes
    assert len(plt.get_fignums()) == 1


@pytest.mark.parametrize(
    ("array", "options", "message"),
    [
        (np.zeros((2, 6)), {}, "image_shape: needed, since 6 pixels"),
        (np.zeros((2, 6)), {"image_shape": (2, 4)}, r"image_shape: found \(2, 4\)"),
        (np.zeros(4), {}, r"images: found shape \(4,\)"),
        (np.zeros((0, 4)), {}, "images: found shape"),
        (np.zeros((2, 4)), {"titles": ["a"]}, "titles: found 1; needed: 2"),
        (np.zeros((2, 4)), {"n_columns": 0}, "n_columns: found 0"),
    ],
)
def test_images_refuses(array, options, message):
    with pytest.raises(ValueError, match=message):
        plots.plot_images(array, **options)


# --- plot_weights --------------------------------------------------------------------------------


def test_weights_share_one_symmetric_scale_and_one_bar():
    coef = np.random.default_rng(0).normal(size=(10, 784))
    coef[3, 100] = -7.5
    figure = plots.plot_weights(coef, classes=list("abcdefghij"))
    assert titles(figure) == [*"abcdefghij", ""]
    *axes, bar = figure.axes
    for ax, row in zip(axes, coef, strict=True):
        np.testing.assert_array_equal(ax.images[0].get_array().ravel(), row)
        assert ax.images[0].get_clim() == (-7.5, 7.5)
        assert ax.images[0].get_cmap().name == "RdBu"
    assert bar.get_ylabel() == "weight" and bar.get_ylim() == (-7.5, 7.5)
    assert_nothing_clipped(figure)


def test_weights_of_a_binary_classifier_and_of_zeros():
    figure = plots.plot_weights(np.zeros((1, 9)), classes=["no", "yes"])
    assert titles(figure)[0] == "yes"
    assert figure.axes[0].images[0].get_clim() == (-1, 1)
    assert titles(plots.plot_weights(np.ones((3, 9))))[:3] == ["0", "1", "2"]


def test_weights_refuses():
    with pytest.raises(ValueError, match="classes: found 3; needed: 2"):
        plots.plot_weights(np.ones((2, 9)), classes=[1, 2, 3])
    with pytest.raises(ValueError, match=r"coef: .*finite"):
        plots.plot_weights(np.full((2, 9), np.nan))
    with pytest.raises(ValueError, match="image_shape: needed"):
        plots.plot_weights(np.ones((2, 8)))


# --- plot_history --------------------------------------------------------------------------------


def test_history_draws_loss_and_accuracy():
    history = {
        "loss": [2.0, 1.0, 0.5],
        "train_score": [0.5, 0.7, 0.8],
        "val_score": [0.4, 0.6, 0.55],
        "time": [1, 2, 3],
    }
    figure = plots.plot_history(history, best_epoch=2)
    left, right = figure.axes
    assert (left.get_ylabel(), right.get_ylabel()) == ("mean log-loss", "accuracy")
    assert left.get_xlabel() == right.get_xlabel() == "epoch"
    np.testing.assert_array_equal(left.lines[0].get_xdata(), [1, 2, 3])
    np.testing.assert_array_equal(left.lines[0].get_ydata(), history["loss"])
    by_label = {line.get_label(): line for line in right.lines}
    np.testing.assert_array_equal(by_label["training"].get_ydata(), history["train_score"])
    np.testing.assert_array_equal(by_label["validation"].get_ydata(), history["val_score"])
    assert set(by_label["best epoch: 2"].get_xdata()) == {2}
    assert_nothing_clipped(figure)


@pytest.mark.parametrize(
    ("keys", "labels"),
    [
        (["loss"], ["mean log-loss"]),
        (["val_score"], ["accuracy"]),
        (["val_loss", "train_score"], ["mean log-loss", "accuracy"]),
    ],
)
def test_history_leaves_out_absent_series(keys, labels):
    figure = plots.plot_history({key: [1.0, 2.0] for key in keys})
    assert [ax.get_ylabel() for ax in figure.axes] == labels
    assert sum(len(ax.lines) for ax in figure.axes) == len(keys)


def test_history_uses_epoch_numbers_and_skips_nan():
    figure = plots.plot_history({"epoch": [0, 5, 10], "loss": [3.0, np.nan, 1.0]})
    np.testing.assert_array_equal(figure.axes[0].lines[0].get_xdata(), [0, 10])
    np.testing.assert_array_equal(figure.axes[0].lines[0].get_ydata(), [3, 1])


def test_history_of_a_solver():
    history = {
        "objective": [100.0, 80.0, 75.0, 74.9],
        "dual_gap": [30.0, np.nan, 0.2, 0.0],
        "time": [0.1, 0.2, 0.3, 0.4],
    }
    figure = plots.plot_history(history)
    left, right = figure.axes
    np.testing.assert_array_equal(left.lines[0].get_xdata(), history["time"])
    np.testing.assert_array_equal(left.lines[0].get_ydata(), history["objective"])
    np.testing.assert_array_equal(right.lines[0].get_ydata(), [30, 0.2])
    assert right.get_yscale() == "log" and left.get_yscale() == "linear"
    assert left.get_xlabel() == right.get_xlabel() == "time (s)"
    assert (left.get_ylabel(), right.get_ylabel()) == ("objective", "duality gap")
    assert_nothing_clipped(figure)


def test_history_of_a_solver_has_no_offset_on_its_axis():
    history = {"objective": [12345.7, 12345.65, 12345.64], "dual_gap": [1, 0.1, 0.01], "time": [1, 2, 3]}
    figure = plots.plot_history(history)
    figure.draw_without_rendering()
    assert figure.axes[0].yaxis.get_offset_text().get_text() == ""
    assert "12345.6" in "".join(label.get_text() for label in figure.axes[0].get_yticklabels())
    assert_nothing_clipped(figure)


def test_history_refuses_unknown_series():
    with pytest.raises(ValueError, match=r"history: found \['speed'\]; needed: any of \['loss'"):
        plots.plot_history({"speed": [1]})


# --- plot_kfold ----------------------------------------------------------------------------------


def kfold_result(seed=0, n_folds=5, n_epochs=8):
    rng = np.random.default_rng(seed)
    keys = ("loss", "train_score", "val_score")
    history = {key: rng.uniform(0.5, 0.9, (n_folds, n_epochs)) for key in keys}
    best = history["val_score"].argmax(axis=1)
    return Bunch(history=history, best_epoch=best, val_score=history["val_score"].max(axis=1))


def test_kfold_bands_are_mean_and_deviation():
    result = kfold_result()
    figure = plots.plot_kfold(result)
    left, right = figure.axes
    drawn = [
        (left.lines[0], left.collections[0], "loss"),
        (right.lines[0], right.collections[0], "train_score"),
        (right.lines[1], right.collections[1], "val_score"),
    ]
    for line, band, key in drawn:
        curves = result.history[key]
        mean, deviation = curves.mean(axis=0), curves.std(axis=0)
        np.testing.assert_array_equal(line.get_xdata(), np.arange(1, 9))
        np.testing.assert_allclose(line.get_ydata(), mean)
        low, high = band_edges(band)
        np.testing.assert_allclose(low, mean - deviation)
        np.testing.assert_allclose(high, mean + deviation)
    dots = right.lines[2]
    np.testing.assert_array_equal(dots.get_xdata(), result.best_epoch + 1)
    np.testing.assert_array_equal(dots.get_ydata(), result.val_score)
    assert_nothing_clipped(figure)


def test_kfold_curve_ends_where_half_of_the_folds_have():
    result = kfold_result(n_folds=4, n_epochs=6)
    curves = result.history["loss"]
    curves[0, 2:] = curves[1, 4:] = np.nan
    line = plots.plot_kfold(result).axes[0].lines[0]
    np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3, 4])
    np.testing.assert_allclose(line.get_ydata(), np.nanmean(curves[:, :4], axis=0))


def test_kfold_of_sample_sizes_has_one_colour_and_band_each():
    sizes = {70_000: kfold_result(1), 7_000: kfold_result(2, n_epochs=5), 700: kfold_result(3)}
    figure = plots.plot_kfold(sizes)
    left, right = figure.axes
    assert len(left.collections) == 3 and len(right.collections) == 6
    assert len({line.get_color() for line in left.lines}) == 3
    names = [text.get_text() for text in right.get_legend().get_texts()]
    for size in ("70,000", "7,000", "700"):
        assert f"n = {size}, training" in names and f"n = {size}, validation" in names
    style = {line.get_label(): line.get_linestyle() for line in right.lines}
    assert style["n = 700, training"] == "--" and style["n = 700, validation"] == "-"
    np.testing.assert_allclose(left.lines[1].get_ydata(), sizes[7_000].history["loss"].mean(axis=0))
    assert_nothing_clipped(figure)


def test_kfold_refuses():
    with pytest.raises(ValueError, match="result: found an empty dict"):
        plots.plot_kfold({})
    with pytest.raises(ValueError, match="needed: any of"):
        plots.plot_kfold(Bunch(history={"time": np.ones((2, 2))}))


# --- plot_path -----------------------------------------------------------------------------------


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


def labels(ax):
    legend = ax.get_legend()
    return [] if legend is None else [text.get_text() for text in legend.get_texts()]


def test_path_lines_are_the_weights_by_rising_C():
    path = a_path()
    figure = plots.plot_path(path, units=[1, 2, 3, 4])
    (ax,) = figure.axes
    assert ax.get_xscale() == "log" and len(ax.lines) == 12
    for line, (k, j) in zip(ax.lines, np.ndindex(3, 4), strict=True):
        np.testing.assert_array_equal(line.get_xdata(), path.Cs[::-1])
        np.testing.assert_allclose(line.get_ydata(), (j + 1) * path.coefs[::-1, k, j])
    assert len({line.get_color() for line in ax.lines}) == 3
    assert labels(ax) == ["class a", "class b", "class c"]
    assert_nothing_clipped(figure)


def test_path_of_counts_and_of_two_classes():
    path = a_path()
    (ax,) = plots.plot_path(path, count=True).axes
    for k, line in enumerate(ax.lines):
        np.testing.assert_array_equal(line.get_ydata(), np.count_nonzero(path.coefs[::-1, k], axis=-1))
    single = a_path(K=1, classes=("no", "yes"))
    (ax,) = plots.plot_path(single, names=["w", "x", "y", "z"]).axes
    assert labels(ax) == ["w", "x", "y", "z"]
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
    assert set(labels(bottom)) == {"best: C = 10", "1 s.e.: C = 0.1", "l1_ratio 0", "l1_ratio 1"}
    for ax in (top, bottom):
        marks = [line.get_xdata()[0] for line in ax.lines if len(set(line.get_xdata())) == 1]
        assert marks == [10.0, 0.1]
    assert bottom.get_ylabel() == "negative log-loss"
    assert_nothing_clipped(figure)
    cv.C_1se_ = cv.C_best_
    assert "best and 1 s.e.: C = 10" in labels(plots.plot_path(cv).axes[1])


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


# --- plot_confusion ------------------------------------------------------------------------------


@pytest.mark.parametrize("log", [False, True])
def test_confusion_writes_readable_numbers(log):
    matrix = np.array([[900, 0, 3], [1, 20, 300], [0, 0, 0]])
    ax = plots.plot_confusion(matrix, labels=["cat", "dog", "horse"], log=log)
    written = {text.get_position(): text.get_text() for text in ax.texts}
    assert written == {(0, 0): "900", (2, 0): "3", (0, 1): "1", (1, 1): "20", (2, 1): "300"}
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted class", "true class")
    for axis in (ax.xaxis, ax.yaxis):
        assert [label.get_text() for label in axis.get_ticklabels()] == ["cat", "dog", "horse"]
    image = ax.images[0]
    assert isinstance(image.norm, matplotlib.colors.LogNorm) == log
    assert image.get_array().mask[0, 1]  # blank
    for text in ax.texts:
        column, row = text.get_position()
        cell = relative_luminance(image.cmap(image.norm(matrix[row, column])))
        ink = relative_luminance(matplotlib.colors.to_rgba(text.get_color()))
        low, high = sorted((cell, ink))
        # The middle blues allow 4.48; WCAG asks 4.5 of small text.
        assert (high + 0.05) / (low + 0.05) > 4.4
    assert_nothing_clipped(ax.figure)


def relative_luminance(rgba):
    """As WCAG 2 defines it."""
    rgb = np.asarray(rgba[:3])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def test_confusion_of_fractions_and_weights():
    fractions = plots.plot_confusion([[0.973, 0.027], [0.0004, 0.9996]])
    assert [text.get_text() for text in fractions.texts] == ["0.97", "0.03", "<.01", "1.00"]
    assert fractions.figure.axes[1].get_ylabel() == "fraction of samples"
    weights = plots.plot_confusion([[120.25, 0.5], [0.0, 3.0]])
    assert [text.get_text() for text in weights.texts] == ["120.2", "0.50", "3"]
    assert weights.figure.axes[1].get_ylabel() == "sample weight"


@pytest.mark.parametrize("log", [False, True])
def test_confusion_of_many_classes_with_long_names(log):
    names = [f"comp.sys.hardware.{i}" for i in range(20)]
    ax = plots.plot_confusion(np.full((20, 20), 12), labels=names, log=log)
    assert len(ax.texts) == 400
    assert_nothing_clipped(ax.figure)


@pytest.mark.parametrize("log", [False, True])
def test_confusion_in_a_given_axes_and_all_zero(log):
    _, axes = plt.subplots(1, 2)
    assert plots.plot_confusion(np.zeros((2, 2), int), log=log, ax=axes[1]) is axes[1]
    assert not axes[1].texts and not axes[0].images


def test_confusion_refuses():
    for matrix in (np.ones((2, 3)), np.ones(4), np.ones((0, 0))):
        with pytest.raises(ValueError, match="matrix: found shape"):
            plots.plot_confusion(matrix)
    for value in (-1, np.nan):
        with pytest.raises(ValueError, match="matrix: found negative or non-finite"):
            plots.plot_confusion([[1, value], [0, 1]])
    with pytest.raises(ValueError, match="labels: found 1; needed: 2"):
        plots.plot_confusion(np.ones((2, 2)), labels=["a"])


# --- plot_mistakes -------------------------------------------------------------------------------


def test_mistakes_in_order_of_rows(images):
    y_true = np.arange(12) % 3
    y_pred = np.where(np.arange(12) % 2, y_true, (y_true + 1) % 3)
    figure = plots.plot_mistakes(images, y_true, y_pred, n=4)
    assert titles(figure) == ["0 → 1", "2 → 0", "1 → 2", "0 → 1"]
    for ax, row in zip(figure.axes, (0, 2, 4, 6), strict=True):
        np.testing.assert_array_equal(ax.images[0].get_array().ravel(), images[row])
    assert_nothing_clipped(figure)


def test_mistakes_most_confident_first_with_probabilities(images):
    y_true, y_pred = np.zeros(12, int), np.ones(12, int)
    y_pred[5] = 0
    p = np.linspace(0.6, 0.93, 12)
    figure = plots.plot_mistakes(images, y_true, y_pred, proba=np.c_[1 - p, p], n=2)
    assert titles(figure) == ["0 → 1\n93.0%", "0 → 1\n90.0%"]
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array().ravel(), images[11])
    assert_nothing_clipped(figure)


def test_mistakes_given_indices(images):
    names = np.array(["no", "yes"] * 6)
    figure = plots.plot_mistakes(images, names, names[::-1], indices=[3, 1])
    assert titles(figure) == ["yes → no", "yes → no"]
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array().ravel(), images[3])


def test_mistakes_refuses(images):
    y = np.zeros(12)
    with pytest.raises(ValueError, match="indices: nothing to draw"):
        plots.plot_mistakes(images, y, y)
    with pytest.raises(ValueError, match="y_pred: found length 11; needed: 12"):
        plots.plot_mistakes(images, y, y[1:])
    with pytest.raises(ValueError, match="proba: found length 5"):
        plots.plot_mistakes(images, y, y + 1, proba=np.ones((5, 2)))


def test_matplotlib_is_imported_on_first_use_only():
    code = "import sys, fastlr.plots; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-P", "-c", code], check=True)
