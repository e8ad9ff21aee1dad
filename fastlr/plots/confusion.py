"""Confusion matrices.

Shapes: K classes.
"""

from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike

from fastlr.plots.shared import name_ticks, new_figure, numbers_of
from fastlr.typing import Names

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_confusion(
    matrix: ArrayLike, *, labels: Names | None = None, log: bool = False, ax: "Axes | None" = None
) -> "Axes":
    """Draw a confusion matrix, its numbers in the cells; cells of zero stay blank.

    Parameters
    ----------
    matrix : array-like of shape (K, K)
        Counts or fractions: true classes in rows, predicted classes in columns, as
        :func:`~fastlr.metrics.confusion_matrix` returns it.
    labels : sequence of length K, optional
        Names of the classes; 0 to K - 1 by default.
    log : bool, default=False
        Logarithmic colour scale, which brings out rare errors beside a full diagonal.
    ax : matplotlib Axes, optional
        Where to draw; by default a new pyplot figure of a fitting size.

    Returns
    -------
    ax : matplotlib Axes

    Raises
    ------
    ValueError
        If `matrix` is not square, finite and non-negative, or `labels` has another length.

    Examples
    --------
    >>> from fastlr.plots import plot_confusion
    >>> ax = plot_confusion([[5, 0], [2, 3]], labels=["cat", "dog"])
    >>> [text.get_text() for text in ax.texts]
    ['5', '2', '3']
    """
    from matplotlib.colors import LogNorm, Normalize

    matrix = numbers_of(matrix, "matrix")
    if matrix.ndim != 2 or len(set(matrix.shape)) != 1 or not matrix.size:
        raise ValueError(f"matrix: found shape {matrix.shape}; needed: (classes, classes)")
    if not np.isfinite(matrix).all() or (matrix < 0).any():
        raise ValueError("matrix: found negative or non-finite entries; needed: counts, fractions")
    n_classes = len(matrix)
    names = [str(name) for name in (range(n_classes) if labels is None else labels)]
    if len(names) != n_classes:
        raise ValueError(f"labels: found {len(names)}; needed: {n_classes}, one per class")

    positive = matrix[matrix > 0]
    low, high = (positive.min(), positive.max()) if positive.size else (1, 1)
    # Logarithmic from half the smallest value, so that the rarest error differs from none.
    norm = LogNorm(low / 2, high) if log else Normalize(0, high)
    longest = max(map(len, names))
    # The size below makes about square cells. Asking for exact squares there makes the constrained
    # layout measure its margins wrongly and clip the outer labels.
    aspect: Literal["auto", "equal"] = "auto" if ax is None else "equal"
    room = 0.4  # inches for the name of a class
    if ax is None:
        cells = max(2.0, 0.46 * n_classes)  # inches
        room = 0.9 * cells / n_classes
        size = (1.1 * cells + 0.08 * longest + 0.95, cells + 0.06 * longest + 0.55)
        ax = new_figure(size).add_subplot()
    drawn = ax.imshow(np.ma.masked_equal(matrix, 0), cmap="Blues", norm=norm, aspect=aspect)
    _write_cells(ax, matrix, drawn)
    whole = np.issubdtype(matrix.dtype, np.integer)
    unit = "samples" if whole else "fraction of samples" if high <= 1 else "sample weight"
    ax.figure.colorbar(drawn, ax=ax, label=unit, fraction=0.05, pad=0.03, aspect=30)
    name_ticks(ax.xaxis, names, room)
    name_ticks(ax.yaxis, names, room)
    ax.set(xlabel="predicted class", ylabel="true class")
    return ax


def _write_cells(ax, matrix, drawn):
    """Write each non-zero entry, black on pale cells and white on dark ones."""
    fontsize = 9 if len(matrix) <= 12 else 7
    for i, j in zip(*np.nonzero(matrix), strict=True):
        red, green, blue, _ = drawn.cmap(drawn.norm(matrix[i, j]))
        dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.42  # perceived brightness (BT.601)
        style = {"color": "white" if dark else "black", "fontsize": fontsize}
        ax.text(j, i, _cell_text(matrix[i, j]), ha="center", va="center", **style)


def _cell_text(value):
    if isinstance(value, np.integer):
        return str(value)
    if value < 0.005:
        return "<.01"
    return f"{value:.2f}" if value <= 1 else f"{value:.4g}"
