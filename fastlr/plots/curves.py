"""Training curves: of one fit, and of the folds of a cross-validation.

Shapes: E epochs, F folds.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from fastlr.plots.shared import COLOURS, SMALL, draw_line, panel_row

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Axis label, then the series of a history that belong on it: (key, name in the legend).
_PANELS = (
    ("mean log-loss", (("loss", "training"), ("val_loss", "validation"))),
    ("accuracy", (("train_score", "training"), ("val_score", "validation"))),
)
_DASHES = {"training": "--", "validation": "-"}


def plot_history(
    history: Mapping[str, ArrayLike],
    *,
    best_epoch: int | None = None,
    log: bool = False,
    figure: Any = None,
) -> "Figure":
    """Draw the course of one training.

    A history of epochs gives the mean log-loss (left) and the accuracy (right) against the epoch.
    A solver's history gives its objective (left) and its duality gap (right, logarithmic) against
    time, in seconds or for short fits milliseconds.

    Parameters
    ----------
    history : dict of str to sequence of length E
        Either some of "loss", "val_loss", "train_score", "val_score" (and "epoch", the numbers of
        the entries; 1 to E by default), or "objective", "dual_gap" and "time" (s). Other series
        are ignored, as are entries that are not finite.
    best_epoch : int, optional
        Number of the epoch to mark, as on the axis: the first is 1 by default.
    log : bool, default=False
        Logarithmic axis of epochs, which shows a best epoch among the first of very many.
    figure : matplotlib Figure or SubFigure, optional
        Where to draw; by default a new pyplot figure.

    Returns
    -------
    figure : matplotlib Figure
        With one Axes per panel; a panel without series is left out.

    Raises
    ------
    ValueError
        If `history` has none of the series.

    Examples
    --------
    >>> from fastlr.plots import plot_history
    >>> history = {"loss": [2.3, 0.9, 0.6], "train_score": [0.1, 0.8, 0.9]}
    >>> figure = plot_history(history, best_epoch=3)
    >>> [ax.get_ylabel() for ax in figure.axes]
    ['mean log-loss', 'accuracy']
    """
    if {"objective", "dual_gap", "time"} <= set(history):
        return _plot_solver_history(history, figure)
    panels = _present_panels(history)
    figure, axes = panel_row(len(panels), figure)
    for ax, (label, series) in zip(axes, panels, strict=True):
        for key, name, colour in series:
            values = np.asarray(history[key], dtype=float)
            epochs = history.get("epoch", np.arange(1, values.size + 1))
            draw_line(ax, epochs, values, color=colour, label=name)
        if best_epoch is not None:
            label_best = f"best epoch: {best_epoch}"
            ax.axvline(best_epoch, color="0.4", linestyle=":", linewidth=1.5, label=label_best)
        _label_epochs(ax, label, log)
    _longest_legend(axes)
    return figure


def plot_kfold(result: Any, *, figure: Any = None) -> "Figure":
    """Draw the mean of the folds' curves in a band of one standard deviation to each side.

    The mean and the deviation at an epoch are over the folds that still ran then; the curve ends
    where no more than half of them did. Dots mark the best validation score of each fold.

    Parameters
    ----------
    result : Bunch or dict of int to Bunch
        From :func:`~fastlr.model_selection.kfold_history` or
        :func:`~fastlr.model_selection.sample_size_history`. In the latter case a colour stands
        for a sample size, and training curves are dashed.
    figure : matplotlib Figure or SubFigure, optional
        Where to draw; by default a new pyplot figure.

    Returns
    -------
    figure : matplotlib Figure
        With one Axes for the mean log-loss and one for the accuracy, where there are such series.

    Raises
    ------
    ValueError
        If `result` has none of the series.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.utils import Bunch
    >>> from fastlr.plots import plot_kfold
    >>> history = {"val_score": np.array([[0.7, 0.9], [0.5, 0.7]])}
    >>> result = Bunch(history=history, best_epoch=np.array([1, 1]), val_score=np.array([0.9, 0.7]))
    >>> ax = plot_kfold(result).axes[0]
    >>> ax.lines[0].get_ydata().round(2)
    array([0.6, 0.8])
    """
    by_size = {None: result} if "history" in result else dict(result)
    if not by_size:
        raise ValueError("result: found an empty dict; needed: at least one sample size")
    keys = {key for fold_result in by_size.values() for key in fold_result["history"]}
    panels = _present_panels(keys)
    figure, axes = panel_row(len(panels), figure)
    sizes = None not in by_size
    for ax, (label, series) in zip(axes, panels, strict=True):
        for number, fold_result in enumerate(by_size.values()):
            for key, name, colour in series:
                if key not in fold_result["history"]:
                    continue
                style = {"color": colour, "label": name}
                if sizes:
                    style["color"] = COLOURS[number % len(COLOURS)]
                    style["linestyle"] = _DASHES[name]
                _draw_band(ax, fold_result["history"][key], style)
                if key == "val_score":
                    best = fold_result["best_epoch"] + 1, fold_result["val_score"]
                    ax.plot(*best, "o", color=style["color"], markersize=4, alpha=0.8)
        if any(key == "val_score" for key, *_ in series):
            ax.plot([], [], "o", color="0.5", markersize=4, label="best epoch of a fold")
        _label_epochs(ax, label)
    if sizes:
        _legend_of_sizes(figure, axes, by_size)
    else:
        _longest_legend(axes)
    return figure


def _present_panels(keys):
    """The panels of _PANELS with their present series as (key, name, colour)."""
    panels = []
    for label, series in _PANELS:
        present = [
            (key, name, colour) for (key, name), colour in zip(series, COLOURS, strict=False) if key in keys
        ]
        if present:
            panels.append((label, present))
    if not panels:
        wanted = [key for _, series in _PANELS for key, _ in series]
        raise ValueError(f"history: found {sorted(keys)}; needed: any of {wanted}")
    return panels


def _draw_band(ax, curves, style):
    """Mean over the rows of `curves` (F, E), in a band of one standard deviation to each side."""
    curves = np.asarray(curves, dtype=float)
    # A few last folds would make the mean jump, and one alone a band of no width.
    shown = 2 * np.isfinite(curves).sum(axis=0) > len(curves)
    epochs = np.flatnonzero(shown) + 1
    mean, deviation = np.nanmean(curves[:, shown], axis=0), np.nanstd(curves[:, shown], axis=0)
    ax.plot(epochs, mean, **style)
    band = {"color": style["color"], "alpha": 0.2, "linewidth": 0}
    ax.fill_between(epochs, mean - deviation, mean + deviation, **band)


def _label_epochs(ax, ylabel, log=False):
    from matplotlib.ticker import MaxNLocator, ScalarFormatter

    ax.set(xlabel="epoch", ylabel=ylabel)
    if log:
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(ScalarFormatter())
    else:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))


def _longest_legend(axes):
    """One legend for all panels, which share colours: in the one that has most to name."""
    ax = max(axes, key=lambda ax: len(ax.get_legend_handles_labels()[0]))
    ax.legend(frameon=False, **SMALL)


def _legend_of_sizes(figure, axes, sizes):
    """Colours and dashes, beside the panels: so many curves leave no room inside."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=COLOURS[number % len(COLOURS)], label=f"n = {size:,}")
        for number, size in enumerate(sizes)
    ]
    drawn = {}
    for ax in axes:
        drawn |= {label: handle for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    for name, handle in drawn.items():
        if name in _DASHES:
            handle = Line2D([], [], color="0.4", linestyle=_DASHES[name], label=name)
        handles.append(handle)
    figure.legend(handles=handles, loc="outside right center", frameon=False, **SMALL)


def _plot_solver_history(history, figure):
    """Objective and duality gap against time."""
    time = np.asarray(history["time"], dtype=float)
    gap = np.asarray(history["dual_gap"], dtype=float)
    end, unit = np.max(time[np.isfinite(time)], initial=0), "s"
    if end < 0.1:  # seconds would need numbers that do not fit along the axis
        time, end, unit = 1000 * time, 1000 * end, "ms"
    figure, (left, right) = panel_row(2, figure)
    draw_line(left, time, history["objective"], color=COLOURS[0])
    # A gap of zero, or of rounding below it, has no place on a logarithmic axis.
    draw_line(right, time, np.where(gap > 0, gap, np.nan), color=COLOURS[1])
    right.set_yscale("log")
    right.set_xlim(0, 1.05 * end or 1)
    left.set(xlabel=f"time ({unit})", ylabel="objective")
    left.ticklabel_format(axis="y", useOffset=False)  # "+1.2345e4" above the axis is hard to add
    right.set(xlabel=f"time ({unit})", ylabel="duality gap")
    return figure
