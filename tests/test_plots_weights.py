"""Weights as images share one scale."""

import numpy as np
import pytest

from fastlr import plots

from .plotting import assert_nothing_clipped, close_figures, titles  # noqa: F401


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
