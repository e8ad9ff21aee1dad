"""Weights as images.

Shapes: d = h * w pixels, K classes.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from fastlr.plots.images import as_images, image_grid
from fastlr.plots.shared import name_ticks, numbers_of
from fastlr.typing import Names

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLOURS = "RdBu"  # of weights below and above zero; no common colour blindness confuses the two


def plot_weights(
    coef: ArrayLike,
    *,
    intercept: ArrayLike | None = None,
    image_shape: tuple[int, int] | None = None,
    classes: Names | None = None,
    n_columns: int = 5,
    figure: Any = None,
) -> "Figure":
    """Draw the weights of each class as an image: blue speaks for the class, red against it.

    All classes share one scale, symmetric about zero (white), and one colour bar. Rows need not be classes:
    ``coefs_[0].T`` of an MLPClassifier shows what its hidden units look for.

    Parameters
    ----------
    coef : array-like of shape (K, d)
        One row of weights per class (one row in all for a binary classifier).
    intercept : array-like of shape (K,), optional
        Drawn as bars below the images, in the same colours, on a scale of their own; the only one of a
        binary classifier is written.
    image_shape : (h, w), optional
        Needed when d is not a square.
    classes : array-like of shape (K,), optional
        Names of the classes; 0 to K - 1 by default. A single row may have two: those that red and blue
        speak for.
    n_columns : int, default=5
        Images side by side, at most.
    figure : matplotlib Figure or SubFigure, optional
        Where to draw; by default a new pyplot figure of a fitting size.

    Returns
    -------
    figure : matplotlib Figure
        With one Axes per class, in order, then that of the bars, if any, and the colour bar's last.

    Raises
    ------
    ValueError
        If `coef` is not a finite matrix, its image shape is unknown, or `intercept` or `classes` does not
        fit.

    Examples
    --------
    >>> import numpy as np
    >>> from fastlr.plots import plot_weights
    >>> coef = np.linspace(-1, 2, 3 * 64).reshape(3, 64)
    >>> figure = plot_weights(coef, intercept=[0.5, -1, 0.5], classes=["a", "b", "c"])
    >>> [ax.get_title() for ax in figure.axes[:3]], figure.axes[0].images[0].get_clim()
    (['a', 'b', 'c'], (-2.0, 2.0))
    >>> [ax.get_ylabel() for ax in figure.axes[3:]]
    ['intercept', 'weight']
    """
    coef = np.atleast_2d(numbers_of(coef, "coef")).astype(float)  # bytes have no -(-128)
    if coef.ndim != 2 or not np.isfinite(coef).all():
        raise ValueError(f"coef: found shape {coef.shape}; needed: (classes, pixels), all finite")
    if intercept is not None:
        intercept = np.atleast_1d(numbers_of(intercept, "intercept"))
        if intercept.shape != (len(coef),) or not np.isfinite(intercept).all():
            raise ValueError(f"intercept: found shape {intercept.shape}; needed: ({len(coef)},), all finite")
    names = _names(classes, len(coef))
    images = as_images(coef, image_shape, "coef")
    single = len(coef) == 1
    if single and intercept is not None:
        names = [f"{names[0]}\nintercept {intercept[0]:.3g}".replace(" -", " −")]
    bars = intercept is not None and not single
    longest = max(len(line) for name in names for line in name.split("\n"))
    below = 0.8 + 0.05 * max(longest - 4, 0) if bars else 0.0
    figure, axes, grid = image_grid(
        images, n_columns, 3.2 if single else 1.15, figure,
        title_size=(1.3 * longest, 0.23 * (1 + names[0].count("\n"))), below=below, side=0.13,
    )  # fmt: skip
    scale = float(np.abs(images).max()) or 1.0
    for name, image, ax in zip(names, images, axes, strict=True):
        drawn = ax.imshow(image, cmap=_COLOURS, vmin=-scale, vmax=scale, interpolation="nearest")
        ax.set_title(name, pad=3)
    if bars:
        _draw_bars(figure.add_subplot(grid[-1, :-1]), intercept, names)
    figure.colorbar(drawn, cax=figure.add_subplot(grid[: -1 if bars else None, -1]), label="weight")
    return figure


def _names(classes, n_rows):
    """Titles of the rows."""
    if classes is None:
        return [str(k) for k in range(n_rows)] if n_rows > 1 else ["weights"]
    names = [str(name) for name in classes]
    if n_rows == 1 and len(names) == 2:
        return [f"{names[0]} (red) or {names[1]} (blue)"]
    if len(names) != n_rows:
        raise ValueError(f"classes: found {len(names)}; needed: {n_rows}, one per row of coef")
    return names


def _draw_bars(ax, intercept, names):
    """The intercepts, on a scale symmetric about zero."""
    from matplotlib import colormaps

    colours = colormaps[_COLOURS](np.where(intercept > 0, 0.9, 0.1))
    ax.bar(range(len(names)), intercept, color=colours, width=0.6)
    ax.axhline(0, color="0.3", linewidth=0.8)
    scale = 1.1 * float(np.abs(intercept).max()) or 1.0
    ax.set(ylim=(-scale, scale), xlim=(-0.6, len(names) - 0.4), ylabel="intercept")
    name_ticks(ax.xaxis, names, 0.5)
    ax.tick_params(axis="x", length=0)
    ax.spines[["top", "right", "bottom"]].set_visible(False)
