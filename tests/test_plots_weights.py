"""Weights as images share one scale."""

import itertools

import numpy as np
import pytest

from fastlr import plots

from .plotting import assert_nothing_clipped, titles


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
    assert titles(figure)[0] == "no (red) or yes (blue)"
    assert figure.axes[0].images[0].get_clim() == (-1, 1)
    assert titles(plots.plot_weights(np.ones((1, 9)), classes=["yes"]))[0] == "yes"
    assert titles(plots.plot_weights(np.ones(9)))[0] == "weights"
    assert titles(plots.plot_weights(np.ones((3, 9))))[:3] == ["0", "1", "2"]


def test_weights_fill_their_figure():
    """The images take the height that the figure has for them, whatever their shape."""
    for shape in [(28, 28), (20, 40), (50, 37)]:
        figure = plots.plot_weights(np.ones((10, np.prod(shape))), image_shape=shape)
        figure.draw_without_rendering()
        for ax in figure.axes[:10]:
            free, drawn = ax.get_position(original=True), ax.get_position()
            assert drawn.width > 0.9 * free.width and drawn.height > 0.9 * free.height
        assert_nothing_clipped(figure)


def test_weights_of_hidden_units():
    coef = np.random.default_rng(0).normal(size=(25, 400))
    figure = plots.plot_weights(coef)
    assert titles(figure) == [*map(str, range(25)), ""]
    assert {ax.images[0].get_clim() for ax in figure.axes[:-1]} == {(-np.abs(coef).max(), np.abs(coef).max())}
    assert_nothing_clipped(figure)


@pytest.mark.parametrize("classes", [None, ["T-shirt", "trousers", "ankle boot"]])
def test_intercepts_are_bars_on_their_own_symmetric_scale(classes):
    intercept = np.array([3.0, 0.0, -4.0])
    figure = plots.plot_weights(0.1 * np.ones((3, 9)), intercept=intercept, classes=classes)
    *_, ax, bar = figure.axes
    assert ax.get_ylabel() == "intercept" and ax.get_ylim() == (-4.4, 4.4)
    assert bar.get_ylabel() == "weight" and bar.get_ylim() == (-0.1, 0.1)
    np.testing.assert_array_equal([patch.get_height() for patch in ax.patches], intercept)
    red, blue = (figure.axes[0].images[0].get_cmap()(value) for value in (0.1, 0.9))
    assert ax.patches[0].get_facecolor() == blue and ax.patches[2].get_facecolor() == red
    assert [text.get_text() for text in ax.get_xticklabels()] == (classes or ["0", "1", "2"])
    assert_nothing_clipped(figure)


def test_the_intercept_of_a_binary_classifier_is_written():
    figure = plots.plot_weights(np.ones((1, 9)), intercept=[-1.25], classes=[5, 8])
    assert titles(figure) == ["5 (red) or 8 (blue)\nintercept −1.25", ""]
    assert_nothing_clipped(figure)
    assert titles(plots.plot_weights(np.ones((2, 9)), intercept=np.zeros(2)))[2:] == ["", ""]


def test_weights_refuses():
    with pytest.raises(ValueError, match="classes: found 3; needed: 2"):
        plots.plot_weights(np.ones((2, 9)), classes=[1, 2, 3])
    with pytest.raises(ValueError, match=r"coef: .*finite"):
        plots.plot_weights(np.full((2, 9), np.nan))
    with pytest.raises(ValueError, match="image_shape: needed"):
        plots.plot_weights(np.ones((2, 8)))
    with pytest.raises(ValueError, match=r"intercept: found shape \(3,\); needed: \(2,\)"):
        plots.plot_weights(np.ones((2, 9)), intercept=[1, 2, 3])


def test_weights_in_bytes_have_a_scale_of_both_signs():
    figure = plots.plot_weights(np.full((2, 4), -128, np.int8))
    assert figure.axes[0].images[0].get_clim() == (-128, 128)


def test_long_names_neither_overlap_nor_crush_the_images():
    names = ["comp.os.ms-windows.misc", "comp.sys.ibm.pc.hardware", "rec.sport.hockey", "x" * 60]
    figure = plots.plot_weights(np.eye(4, 64), intercept=[1, 2, 3, -4], classes=names)
    figure.draw_without_rendering()
    boxes = [ax.title.get_window_extent() for ax in figure.axes[:4]]
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))
    assert_nothing_clipped(figure)
