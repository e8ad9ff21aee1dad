"""What the pictures share: colours, figures, lines."""

import numpy as np

# Okabe and Ito's colours, which people with any common colour blindness can tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
SMALL = {"fontsize": 9}


def new_figure(size, pad=0.07):
    """A pyplot figure of `size` inches that keeps `pad` inches around everything."""
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=size, layout="constrained")
    figure.get_layout_engine().set(w_pad=pad, h_pad=pad, wspace=0, hspace=0)
    return figure


def panel_row(n, figure):
    """A row of n Axes without upper and right frame."""
    if figure is None:
        figure = new_figure((4.2 * n, 3.3))
    axes = figure.subplots(1, n, squeeze=False, sharex=True)[0]
    for ax in axes:
        plain_frame(ax)
    return figure, axes


def plain_frame(ax):
    """A faint grid, and no upper and right frame."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(color="0.92")
    ax.set_axisbelow(True)


def legend_beside(ax, title=None):
    """The legend, if there is anything to name, at the right of the Axes, where it hides nothing."""
    if ax.get_legend_handles_labels()[0]:
        style = {"frameon": False, "alignment": "left", "title": title, "title_fontsize": 9, **SMALL}
        ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), **style)


def numbers_of(array, name):
    """`array` as numbers, of its own type where it has one."""
    array = np.asarray(array)
    if array.dtype.kind == "O":
        try:
            return array.astype(float)
        except (TypeError, ValueError):
            pass
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name}: found values of type {array.dtype}; needed: numbers")
    return array


def finite_order(values):
    """Places of the finite values, ascending."""
    return np.argsort(values)[: np.count_nonzero(np.isfinite(values))]


def label_values(ax, parameter, values):
    """Axis of a parameter's values (m,), logarithmic where they are positive; a few are its ticks."""
    ax.set_xlabel("C (inverse strength of the penalty)" if parameter == "C" else parameter)
    if np.all(values > 0):
        ax.set_xscale("log")
    if len(values) <= 7:
        ax.set_xticks(values, [f"{value:.3g}" for value in values])
        ax.set_xticks([], minor=True)


def draw_line(ax, x, values, **style):
    """Join the finite values; a dot alone would not show as a line, so short series get markers."""
    x, values = np.asarray(x, dtype=float), np.asarray(values, dtype=float)
    if x.ndim != 1 or x.shape != values.shape:
        raise ValueError(f"history: found a series of shape {values.shape}; needed: {x.shape}, one by one")
    finite = np.isfinite(values) & np.isfinite(x)
    count = np.count_nonzero(finite)
    marker, width = "o" if count < 10 else None, 1.5 if count < 200 else 0.9  # thin, where it is rough
    ax.plot(x[finite], values[finite], marker=marker, markersize=4, linewidth=width, **style)


def name_ticks(axis, names, room):
    """Put the names of classes along an axis, slanted on a horizontal one if longer than `room` inches."""
    slanted = {}
    if axis.axis_name == "x" and 0.1 * max(map(len, names)) > room:
        slanted = {"rotation": 45, "ha": "right"}
    axis.set_ticks(range(len(names)), names, **slanted)
