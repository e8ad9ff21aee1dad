"""Grids of images show the images, and mistakes come in order."""

import itertools

import numpy as np
import pytest

from fastlr import plots

from .plotting import assert_nothing_clipped, matplotlib, plt, titles


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (12, 28 * 28), dtype=np.uint8)


def test_images_one_axes_each_on_one_scale(images):
    figure = plots.plot_images(images, titles=range(12), n_columns=5)
    assert isinstance(figure, matplotlib.figure.Figure)
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


def test_mistakes_between_two_classes_both_ways(images):
    y_true = np.array([4, 9, 4, 4, 9, 9, 0, 4, 9, 4, 9, 0])
    y_pred = np.array([4, 4, 9, 7, 9, 4, 4, 9, 0, 9, 4, 9])
    figure = plots.plot_mistakes(images, y_true, y_pred, pair=(9, 4), n=4)
    assert titles(figure) == ["9 → 4", "4 → 9", "9 → 4", "4 → 9"]
    p = np.linspace(0.5, 0.72, 12)
    figure = plots.plot_mistakes(images, y_true, y_pred, pair=(4, 9), proba=np.c_[p, 1 - p])
    found = "9 → 4\n70.0%", "4 → 9\n68.0%", "4 → 9\n64.0%", "9 → 4\n60.0%", "4 → 9\n54.0%", "9 → 4\n52.0%"
    assert tuple(titles(figure)) == found
    assert titles(plots.plot_mistakes(images, y_true, y_pred, pair=(4, 9), indices=[9, 0, 11, 1])) == [
        "4 → 9",
        "9 → 4",
    ]


def test_mistakes_with_long_names_do_not_overlap(images):
    names = np.array(["ankle boot", "T-shirt or top"])
    figure = plots.plot_mistakes(images, names[[0] * 12], names[[1] * 12])
    figure.draw_without_rendering()
    boxes = [ax.title.get_window_extent() for ax in figure.axes]
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes[:5]))
    assert_nothing_clipped(figure)


def test_mistakes_refuses(images):
    y_true, y_pred = np.arange(12) % 3, np.arange(12) % 2
    for pair in [(0, 7), (1, 1), (0, 1, 2)]:
        with pytest.raises(ValueError, match=r"pair: found \(.*; needed: two of the classes \[0, 1, 2\]"):
            plots.plot_mistakes(images, y_true, y_pred, pair=pair)
    with pytest.raises(ValueError, match="nothing to draw between 0 and 2"):
        plots.plot_mistakes(images, y_true, np.where(y_true == 1, 0, y_true), pair=(0, 2))
    y = np.zeros(12)
    with pytest.raises(ValueError, match="indices: nothing to draw"):
        plots.plot_mistakes(images, y, y)
    with pytest.raises(ValueError, match=r"y_pred: found shape \(11,\); needed: \(12,\)"):
        plots.plot_mistakes(images, y, y[1:])
    with pytest.raises(ValueError, match=r"proba: found shape \(5, 2\); needed: \(12, classes\)"):
        plots.plot_mistakes(images, y, y + 1, proba=np.ones((5, 2)))
    for indices in ([12], [-13], [0.5], ["a"], 3, [[0, 1]], [True, False]):
        with pytest.raises(ValueError, match=r"indices: found .* numbers of rows below 12, or a mask of 12"):
            plots.plot_mistakes(images, y, y + 1, indices=indices)
    for n in (0, -1, 2.5, None):
        with pytest.raises(ValueError, match=r"n: found .*; needed: 1 or more"):
            plots.plot_mistakes(images, y, y + 1, n=n)
    with pytest.raises(ValueError, match=r"proba: found shape \(12,\)"):
        plots.plot_mistakes(images, y, y + 1, proba=np.ones(12))


def test_a_mask_of_mistakes(images):
    y = np.arange(12)
    figure = plots.plot_mistakes(images, y, y + 1, indices=y > 9)
    assert titles(figure) == ["10 → 11", "11 → 12"]


@pytest.mark.parametrize("hole", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_stays_blank(images, hole):
    images = images.astype(float)
    low, high = images.min(), images.max()
    images[1, 3] = hole
    figure = plots.plot_images(images)
    figure.draw_without_rendering()
    assert figure.axes[0].images[0].get_clim() == figure.axes[1].images[0].get_clim() == (low, high)
    np.testing.assert_array_equal(np.flatnonzero(figure.axes[1].images[0].get_array().mask), [3])
    plots.plot_images(np.full((2, 4), hole)).draw_without_rendering()


def test_shapes_and_types_that_are_none():
    for shape in [5, (4,), (2, 2, 1), (-2, -2), (2.0, 2.0), (1, 3), "ab"]:
        with pytest.raises(ValueError, match=r"image_shape: found .*; needed: \(height, width\) of 4 pixels"):
            plots.plot_images(np.ones((2, 4)), image_shape=shape)
    for values in [np.full((2, 4), "a"), np.ones((2, 4), complex), np.full((2, 4), object())]:
        with pytest.raises(ValueError, match=r"images: found values of type .*; needed: numbers"):
            plots.plot_images(values)
    with pytest.raises(ValueError, match=r"n_columns: found 1\.5"):
        plots.plot_images(np.ones((2, 4)), n_columns=1.5)
