"""Weights as images.

Shapes: d = h * w pixels, K classes.
"""

import numpy as np

from fastlr.plots.images import as_images, image_grid


def plot_weights(coef, *, image_shape=None, classes=None, n_columns=5, figure=None):
    """Draw the weights of each class as an image: blue speaks for the class, red against it.

    All classes share one scale, symmetric about zero (white), and one colour bar.

    Parameters
    ----------
    coef : array-like of shape (K, d)
        One row of weights per class (one row in all for a binary classifier).
    image_shape : (h, w), optional
        Needed when d is not a square.
    classes : array-like of shape (K,), optional
        Names of the classes; 0 to K - 1 by default. Of two names for a single row, the second.
    n_columns : int, default=5
        Images side by side, at most.
    figure : matplotlib Figure or SubFigure, optional
        Where to draw; by default a new pyplot figure of a fitting size.

    Returns
    -------
    figure : matplotlib Figure
        With one Axes per class, in order, and the colour bar's last.

    Raises
    ------
    ValueError
        If `coef` is not a finite matrix, its image shape is unknown, or `classes` does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from fastlr.plots import plot_weights
    >>> figure = plot_weights(np.linspace(-1, 2, 3 * 64).reshape(3, 64), classes=["a", "b", "c"])
    >>> [ax.get_title() for ax in figure.axes[:3]], figure.axes[0].images[0].get_clim()
    (['a', 'b', 'c'], (-2.0, 2.0))
    """
    coef = np.atleast_2d(np.asarray(coef))
    if coef.ndim != 2 or not np.isfinite(coef).all():
        raise ValueError(f"coef: found shape {coef.shape}; needed: (classes, pixels), all finite")
    names = list(range(len(coef))) if classes is None else list(classes)
    if len(coef) == 1 and len(names) == 2:
        names = names[1:]
    if len(names) != len(coef):
        raise ValueError(f"classes: found {len(names)}; needed: {len(coef)}, one per row of coef")
    images = as_images(coef, image_shape, "coef")
    figure, axes = image_grid(len(images), n_columns, 1.3, 0.25, figure, side=0.9)
    scale = float(np.abs(images).max()) or 1.0
    for name, image, ax in zip(names, images, axes, strict=True):
        drawn = ax.imshow(image, cmap="RdBu", vmin=-scale, vmax=scale, interpolation="nearest")
        ax.set_title(str(name), pad=3)
    figure.colorbar(drawn, ax=axes, label="weight", aspect=25, fraction=0.05)
    return figure
