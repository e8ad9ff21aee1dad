"""Grids of images: samples and mistakes.

Shapes: n images or samples, d = h * w pixels, K classes.
"""

import math
import numbers
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from fastlr.plots.shared import SMALL, new_figure, numbers_of
from fastlr.typing import Names

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_GAP = 0.04  # inches around each image


def plot_images(
    images: ArrayLike,
    *,
    titles: Names | None = None,
    image_shape: tuple[int, int] | None = None,
    n_columns: int = 10,
    figure: Any = None,
) -> "Figure":
    """Draw a grid of grey images, all on one scale: the lowest value white, the highest black.

    Parameters
    ----------
    images : array-like of shape (n, d) or (n, h, w)
        Grey values, in any unit. Those that are not finite stay blank.
    titles : sequence of n str, optional
        Text above each image.
    image_shape : (h, w), optional
        Needed for flat images whose d is not a square.
    n_columns : int, default=10
        Images side by side, at most.
    figure : matplotlib Figure or SubFigure, optional
        Where to draw; by default a new pyplot figure of a fitting size.

    Returns
    -------
    figure : matplotlib Figure
        With one Axes per image, in order.

    Raises
    ------
    ValueError
        If there are no images, their shape is unknown, or `titles` has another length.

    Examples
    --------
    >>> from fastlr.datasets import load_digits
    >>> from fastlr.plots import plot_images
    >>> (X, y), _ = load_digits()
    >>> figure = plot_images(X[:20], titles=y[:20])
    >>> len(figure.axes)
    20
    """
    images = as_images(images, image_shape, "images")
    if titles is not None and len(titles) != len(images):
        raise ValueError(f"titles: found {len(titles)}; needed: {len(images)}, one per image")
    title_size = 0, 0.0
    if titles is not None:
        titles = [str(title) for title in titles]
        lines = [line for title in titles for line in title.split("\n")]
        title_size = max(map(len, lines)), 0.05 + 0.15 * max(title.count("\n") + 1 for title in titles)
    figure, axes, _ = image_grid(images, n_columns, 0.72, figure, title_size=title_size)
    images = np.ma.masked_invalid(images)
    low, high = (images.min(), images.max()) if images.count() else (0, 1)
    for i, ax in enumerate(axes):
        ax.imshow(images[i], cmap="gray_r", vmin=low, vmax=high, interpolation="nearest")
        if titles is not None:
            ax.set_title(titles[i], pad=2, **SMALL)
    return figure


def plot_mistakes(
    X: ArrayLike,
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    pair: tuple[Any, Any] | None = None,
    indices: ArrayLike | None = None,
    n: int = 25,
    image_shape: tuple[int, int] | None = None,
    proba: ArrayLike | None = None,
    n_columns: int = 5,
    figure: Any = None,
) -> "Figure":
    """Draw misread images, titled "true class → predicted class".

    Parameters
    ----------
    X : array-like of shape (n_samples, d) or (n_samples, h, w)
        Images.
    y_true, y_pred : array-like of shape (n_samples,)
        True and predicted classes.
    pair : (class, class), optional
        Draw only the errors between these two, both ways: ``pair=(4, 9)`` is 4 read as 9 and 9 as 4.
    indices : array-like of int, or mask, optional
        Rows to draw, in this order, such as :func:`~fastlr.metrics.mistakes` returns. By default
        all rows with ``y_true != y_pred``: most confident first if `proba` is given, else in order.
    n : int, default=25
        Number of images at most.
    image_shape : (h, w), optional
        Needed for flat images whose d is not a square.
    proba : array-like of shape (n_samples, K), optional
        Probabilities; the highest of each row is added to the title in percent.
    n_columns : int, default=5
        Images side by side, at most.
    figure : matplotlib Figure or SubFigure, optional
        Where to draw; by default a new pyplot figure of a fitting size.

    Returns
    -------
    figure : matplotlib Figure
        With one Axes per image.

    Raises
    ------
    ValueError
        If lengths differ, `pair` is not two of the classes, `indices` are no rows, or there is no mistake
        to draw.

    Examples
    --------
    >>> import numpy as np
    >>> from fastlr.plots import plot_mistakes
    >>> figure = plot_mistakes(np.eye(3 * 4).reshape(9, 16), np.zeros(9, int), np.arange(9), n=2)
    >>> [ax.get_title() for ax in figure.axes]
    ['0 → 1', '0 → 2']
    >>> y = np.array([4, 9, 4, 0, 9])
    >>> figure = plot_mistakes(np.zeros((5, 16)), y, np.array([9, 4, 7, 4, 9]), pair=(4, 9))
    >>> [ax.get_title() for ax in figure.axes]
    ['4 → 9', '9 → 4']
    """
    X, y_true, y_pred = np.asarray(X), np.asarray(y_true), np.asarray(y_pred)
    if X.ndim not in (2, 3):
        raise ValueError(f"X: found shape {X.shape}; needed: (n, d) or (n, h, w)")
    for name, rows in (("y_true", y_true), ("y_pred", y_pred)):
        if rows.shape != (len(X),):
            raise ValueError(f"{name}: found shape {rows.shape}; needed: ({len(X)},), the rows of X")
    confidence = None
    if proba is not None:
        proba = numbers_of(proba, "proba")
        if proba.ndim != 2 or len(proba) != len(X) or not proba.size:
            raise ValueError(f"proba: found shape {proba.shape}; needed: ({len(X)}, classes)")
        confidence = proba.max(axis=1)
    if not isinstance(n, numbers.Integral) or n < 1:
        raise ValueError(f"n: found {n!r}; needed: 1 or more")
    if indices is None:
        indices = np.flatnonzero(y_true != y_pred)
        if confidence is not None:
            indices = indices[np.argsort(-confidence[indices], kind="stable")]
    indices = _rows(indices, len(X))
    if pair is not None:
        indices = indices[_between(pair, y_true, y_pred)[indices]]
    indices = indices[:n]
    if not len(indices):
        where = "" if pair is None else f" between {pair[0]} and {pair[1]}"
        raise ValueError(f"indices: nothing to draw{where}; needed: at least one misclassified row")
    titles = [f"{y_true[i]} → {y_pred[i]}" for i in indices]
    if confidence is not None:
        titles = [f"{title}\n{confidence[i]:.1%}" for title, i in zip(titles, indices, strict=True)]
    return plot_images(X[indices], titles=titles, image_shape=image_shape, n_columns=n_columns, figure=figure)


def _rows(indices, n):
    """Numbers of rows of n, from numbers or a mask."""
    indices = np.asarray(indices)
    if not indices.size:
        return np.empty(0, dtype=np.intp)
    if indices.shape == (n,) and indices.dtype == bool:
        return np.flatnonzero(indices)
    if indices.ndim != 1 or indices.dtype.kind not in "iu" or indices.min() < -n or indices.max() >= n:
        raise ValueError(f"indices: found {indices}; needed: numbers of rows below {n}, or a mask of {n}")
    return indices


def _between(pair, y_true, y_pred):
    """Mask of the rows that are one of the pair and read as the other."""
    classes = np.union1d(y_true, y_pred).tolist()
    if len(pair) != 2 or pair[0] == pair[1] or any(name not in classes for name in pair):
        raise ValueError(f"pair: found {pair}; needed: two of the classes {classes}")
    one, other = pair
    return ((y_true == one) & (y_pred == other)) | ((y_true == other) & (y_pred == one))


def as_images(array, image_shape, name):
    """`array` as (n, h, w); a square is guessed for flat rows without `image_shape`."""
    shape = np.shape(array)
    if len(shape) not in (2, 3) or 0 in shape:
        raise ValueError(f"{name}: found shape {shape}; needed: (n, d) or (n, h, w), n > 0")
    array = numbers_of(array, name)
    if array.ndim == 3 and image_shape is None:
        return array
    n_pixels = math.prod(array.shape[1:])
    if image_shape is None:
        side = math.isqrt(n_pixels)
        image_shape = (side, side)
        if side * side != n_pixels:
            raise ValueError(f"image_shape: needed, since {n_pixels} pixels make no square")
    sides = np.atleast_1d(image_shape).tolist()
    whole = all(isinstance(side, int) and side > 0 for side in sides)
    if len(sides) != 2 or not whole or math.prod(sides) != n_pixels:
        raise ValueError(f"image_shape: found {image_shape!r}; needed: (height, width) of {n_pixels} pixels")
    return array.reshape(len(array), *image_shape)


def image_grid(images, n_columns, size, figure, *, title_size=(0, 0.0), below=0.0, side=0.0):
    """Bare Axes for the images (n, h, w), each `size` inches wide, and the grid that they are in.

    A title takes as many letters as title_size[0] in one line, and title_size[1] inches. `below` and `side`
    add a row of that height and a column of that width to the grid.
    """
    if not isinstance(n_columns, numbers.Integral) or n_columns < 1:
        raise ValueError(f"n_columns: found {n_columns!r}; needed: 1 or more")
    n, h, w = images.shape
    n_columns = min(n_columns, n)
    n_rows = math.ceil(n / n_columns)
    size = max(size, 0.075 * title_size[0])
    widths = [size] * n_columns + [side] * (side > 0)
    heights = [size * h / w] * n_rows + [below] * (below > 0)
    if figure is None:
        # Numbers and label of a colour bar, as of an axis, need 0.7 inches, the names below a row 0.25.
        labels = 0.7 * ((side > 0) + (below > 0)), n_rows * title_size[1] + 0.25 * (below > 0)
        figure = new_figure(
            (
                sum(widths) + 2 * _GAP * len(widths) + labels[0],
                sum(heights) + 2 * _GAP * len(heights) + labels[1],
            ),
            pad=_GAP,
        )
    grid = figure.add_gridspec(len(heights), len(widths), width_ratios=widths, height_ratios=heights)
    axes = [figure.add_subplot(grid[divmod(i, n_columns)]) for i in range(n)]
    for ax in axes:
        ax.set_axis_off()
    return figure, axes, grid
