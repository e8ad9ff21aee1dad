"""Training curves are the numbers of the history."""

import numpy as np
import pytest
from sklearn.utils import Bunch

from fastlr import plots

from .plotting import assert_nothing_clipped, legend


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


def test_history_of_a_thousand_epochs_can_have_a_logarithmic_axis():
    epochs = np.arange(1, 1001)
    history = {"loss": 1 / epochs, "val_loss": np.log(epochs) ** 2, "val_score": 1 / epochs}
    figure = plots.plot_history(history, best_epoch=3, log=True)
    for ax in figure.axes:
        assert ax.get_xscale() == "log"
    thick = plots.plot_history({"loss": [3, 2, 1]}).axes[0].lines[0].get_linewidth()
    assert figure.axes[0].lines[0].get_linewidth() < thick
    assert_nothing_clipped(figure)
    written = [text.get_text() for text in figure.axes[0].get_xticklabels()]
    assert "1" in written and "1000" in written
    assert legend(figure.axes[0]) == ["training", "validation", "best epoch: 3"]
    assert legend(figure.axes[1]) == []


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


def test_history_of_a_quick_solver_is_in_milliseconds():
    history = {"objective": [3.0, 2.0], "dual_gap": [1, 0.1], "time": [0.0091, 0.0096]}
    left, right = plots.plot_history(history).axes
    np.testing.assert_allclose(left.lines[0].get_xdata(), [9.1, 9.6])
    np.testing.assert_allclose(right.lines[0].get_xdata(), [9.1, 9.6])
    assert left.get_xlabel() == right.get_xlabel() == "time (ms)"


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


def band_edges(collection):
    """Lower and upper edge of a fill_between, by ascending x."""
    x, y = collection.get_paths()[0].vertices.T
    at = np.unique(x)
    return (np.array([edge(y[x == one]) for one in at]) for edge in (np.min, np.max))


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
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    sizes_named = ["n = 70,000", "n = 7,000", "n = 700"]
    assert names == [*sizes_named, "training", "validation", "best epoch of a fold"]
    colours = [handle.get_color() for handle in figure.legends[0].legend_handles[:3]]
    assert colours == [line.get_color() for line in left.lines]
    assert [line.get_linestyle() for line in right.lines[:2]] == ["--", "-"]
    np.testing.assert_allclose(left.lines[1].get_ydata(), sizes[7_000].history["loss"].mean(axis=0))
    assert_nothing_clipped(figure)


def test_kfold_refuses():
    with pytest.raises(ValueError, match="result: found an empty dict"):
        plots.plot_kfold({})
    with pytest.raises(ValueError, match="needed: any of"):
        plots.plot_kfold(Bunch(history={"time": np.ones((2, 2))}))


@pytest.mark.parametrize(
    "history",
    [
        {"loss": [1, 2], "epoch": [1]}, {"loss": [[1, 2], [3, 4]]}, {"loss": 3.0}, {"loss": None},
        {"objective": [1, 1], "dual_gap": [1], "time": [0, 1]},
    ],
    ids=str,
)  # fmt: skip
def test_series_that_do_not_fit_are_refused(history):
    with pytest.raises(ValueError, match="history: found a series of shape"):
        plots.plot_history(history)


def test_times_that_are_not_finite_are_left_out():
    figure = plots.plot_history({"objective": [3, 2, 1], "dual_gap": [3, 2, 1], "time": [0, 1, np.inf]})
    assert [len(ax.lines[0].get_xdata()) for ax in figure.axes] == [2, 2]
    assert figure.axes[1].get_xlim() == (0, 1.05)
