"""What the pictures share: colours, figures, lines."""

import numpy as np

# Okabe and Ito's colours, which people with any common colour blindness can tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
SMALL = {"fontsize": 9}


def new_figure(size):
    """A pyplot figure of `size` inches that keeps a little white around all text."""
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=size, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.06)
    return figure


def panel_row(n, figure):
    """A row of n Axes without upper and right frame."""
    if figure is None:
        figure = new_figure((4.5 * n, 3.4))
    axes = figure.subplots(1, n, squeeze=False)[0]
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(color="0.92")
        ax.set_axisbelow(True)
    return figure, axes


def draw_line(ax, x, values, **style):
    """Join the finite values; a dot alone would not show as a line, so short series get markers."""
    x, values = np.asarray(x, dtype=float), np.asarray(values, dtype=float)
    finite = np.isfinite(values)
    marker = "o" if np.count_nonzero(finite) < 10 else None
    ax.plot(x[finite], values[finite], marker=marker, markersize=4, **style)
