"""Models along grids of C: their weights and scores.

Shapes: m values of C, d features, K score columns, F folds, L values of l1_ratio.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from fastlr.linear_model.logistic import LogisticRegression
from fastlr.plots.scores import draw_marks, draw_scores, scores_of_logistic
from fastlr.plots.shared import (
    COLOURS,
    SMALL,
    finite_order,
    label_values,
    legend_beside,
    new_figure,
    numbers_of,
    plain_frame,
)
from fastlr.typing import Features, Names

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MANY = 20  # features; of more, the weights are grey but for
_COLOURED = 3  # of each class
_LOWEST = 0.25  # accuracy below the best that is still drawn


def plot_path(
    path: Any,
    *,
    count: bool = False,
    units: ArrayLike | None = None,
    names: Names | None = None,
    figure: Any = None,
) -> "Figure":
    """Draw the weights along a grid of C and, of a cross-validation, the scores below them.

    Vertical lines mark the C with the best mean score and the smallest C within one standard error of
    it. Points of infinite C are left out. Of more than 20 features, only the three weights of each class
    that become the largest have its colour; the others are grey.

    Parameters
    ----------
    path : Path or LogisticRegressionCV
        From :func:`~fastlr.logistic_path`, or fitted. Of the latter the mean of the folds is drawn, at
        the chosen l1_ratio, and scores at every l1_ratio with bars of one standard error.
    count : bool, default=False
        Draw the number of weights other than zero of each class, instead of the weights.
    units : array-like of shape (d,), optional
        Multiplied into the weights of the features, which can be compared when it holds their standard
        deviations; ones by default.
    names : sequence of str, optional
        Names of the d features, for a legend where there is one score column and d is at most 7. Lines
        have the colours of classes otherwise.
    figure : matplotlib Figure or SubFigure, optional
        Where to draw; by default a new pyplot figure.

    Returns
    -------
    figure : matplotlib Figure
        With one Axes for a path, two for a cross-validation.

    Raises
    ------
    ValueError
        If `path` is neither, or `units` or `names` have another length than d.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastlr import logistic_path
    >>> from fastlr.plots import plot_path
    >>> X, y = load_iris(return_X_y=True)
    >>> figure = plot_path(logistic_path(X, y, Cs=[0.01, 0.1, 1.0]))
    >>> figure.axes[0].get_xscale(), len(figure.axes[0].lines)
    ('log', 12)
    """
    has_scores = hasattr(path, "scores_")
    if not has_scores and not hasattr(path, "coefs"):
        raise ValueError(
            f"path: found {type(path).__name__}; needed: a Path or a fitted LogisticRegressionCV"
        )
    if has_scores:
        d = path.coef_.shape[1]
        # Without refit, l1_ratio_ is a mean of several.
        l = int(np.argmin(np.abs(path.l1_ratios_ - np.ravel(path.l1_ratio_)[0])))
        Cs, classes, coefs = path.Cs_, path.classes_, _paths_of_folds(path, l)[..., :d]
    else:
        Cs, classes, coefs = path.Cs, path.classes, path.coefs[None]
    if units is not None:
        units = np.atleast_1d(numbers_of(units, "units"))
        if not np.isfinite(units).all():
            raise ValueError("units: found NaN or infinity; needed: finite numbers")
    for name, values in (("units", units), ("names", names)):
        if values is not None and len(values) != coefs.shape[-1]:
            raise ValueError(f"{name}: found {len(values)}; needed: {coefs.shape[-1]}, one per feature")
    lines = coefs if units is None else coefs * units
    lines = np.count_nonzero(coefs, axis=-1)[..., None] if count else lines
    order = finite_order(Cs)
    if figure is None:
        figure = new_figure((6.8, 6.4 if has_scores else 3.8))
    axes = figure.subplots(1 + has_scores, 1, squeeze=False, sharex=True)[:, 0]
    _draw_weights(axes[0], Cs[order], lines.mean(axis=0)[order], classes, None if count else names)
    weight = "weight" if units is None else "weight × unit of the feature"
    axes[0].set_ylabel("weights other than zero" if count else weight)
    title = None
    if has_scores:
        scores = scores_of_logistic(path)
        draw_scores(axes[1], scores)
        title = scores.title
        draw_marks(axes, scores)
    for ax in axes:
        plain_frame(ax)
        legend_beside(ax, title if ax is axes[-1] else None)
    label_values(axes[-1], "C", Cs[order])
    return figure


def _paths_of_folds(cv, l):
    """Weights of a LogisticRegressionCV at one l1_ratio: folds, values of C, K, d (+ 1)."""
    paths = cv.coefs_paths_
    if not isinstance(paths, dict):
        return paths[:, l]
    paths = np.stack(list(paths.values()), axis=-2)  # of use_legacy_attributes
    return paths[:, :, l] if paths.ndim == 5 else paths


def plot_sparsity(path: Any, X: Features, y: Names, *, figure: Any = None) -> "Figure":
    """Draw the accuracy on given samples against the share of weights that are zero, along a path.

    Values of C are written beside points of the curve. Marked are the best accuracy and, as that differs
    from others by chance, the model with the most zeros whose accuracy is within one standard error of it,
    sqrt(a (1 - a) / n) for the accuracy a on n samples. Models more than 0.25 below the best are left out.

    Parameters
    ----------
    path : Path
        From :func:`~fastlr.logistic_path` with an L1 penalty.
    X : {array, CSR matrix} of shape (n, d)
        Samples that the path was not fitted to.
    y : array of shape (n,)
        Their classes.
    figure : matplotlib Figure or SubFigure, optional
        Where to draw; by default a new pyplot figure.

    Returns
    -------
    figure : matplotlib Figure
        With one Axes.

    Raises
    ------
    ValueError
        If `path` is none, or X or y does not fit it.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastlr import logistic_path
    >>> from fastlr.plots import plot_sparsity
    >>> X, y = load_iris(return_X_y=True)
    >>> path = logistic_path(X[::2], y[::2], penalty="l1", Cs=[0.01, 0.1, 1.0], scaling="standard")
    >>> ax = plot_sparsity(path, X[1::2], y[1::2]).axes[0]
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('weights that are zero', 'accuracy on 75 samples')
    """
    from matplotlib.ticker import PercentFormatter

    if not hasattr(path, "coefs"):
        raise ValueError(f"path: found {type(path).__name__}; needed: a Path")
    accuracy = np.array([_model(path, i).score(X, y) for i in range(len(path.Cs))])
    order = np.argsort(path.Cs)
    order = order[accuracy[order] >= accuracy.max() - _LOWEST]
    Cs, accuracy, zeros = path.Cs[order], accuracy[order], np.mean(path.coefs[order] == 0, axis=(1, 2))
    best = _sparsest(accuracy == accuracy.max(), zeros)
    error = np.sqrt(accuracy[best] * (1 - accuracy[best]) / len(y))
    sparse = _sparsest(accuracy >= accuracy[best] - error, zeros)
    if figure is None:
        figure = new_figure((6.8, 4.0))
    ax = figure.add_subplot()
    ax.axhspan(accuracy[best] - error, accuracy[best], color="0.92", linewidth=0)
    ax.plot(zeros, accuracy, color=COLOURS[0], marker="o", markersize=4, linewidth=1.3)
    choices = {"best": (best, "s"), "sparsest within 1 s.e. of it": (sparse, "D")}
    if best == sparse:
        choices = {"best, and sparsest within 1 s.e.": (best, "s")}
    for number, (name, (i, marker)) in enumerate(choices.items()):
        label = f"{name}: C = {Cs[i]:.2g},\n{zeros[i]:.1%} zeros, accuracy {accuracy[i]:.2%}"
        style = {"color": COLOURS[1 + number], "marker": marker, "markersize": 8, "linestyle": "none"}
        ax.plot(zeros[i], accuracy[i], label=label, **style)
    plain_frame(ax)
    ax.margins(x=0.06, y=0.12)
    ax.xaxis.set_major_formatter(PercentFormatter(1))  # as many decimals as the ticks need
    ax.set(xlabel="weights that are zero", ylabel=f"accuracy on {len(y):,} samples")
    _write_values(ax, Cs, zeros, accuracy)
    ax.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, **SMALL)
    return figure


def _sparsest(mask, zeros):
    """Place of the most zeros where the mask is true."""
    places = np.flatnonzero(mask)
    return places[np.argmax(zeros[places])]


def _model(path, i):
    """The model at place i of a path."""
    model = LogisticRegression()
    model.coef_, model.intercept_, model.classes_ = path.coefs[i], path.intercepts[i], path.classes
    model.n_features_in_ = model.coef_.shape[1]
    return model


def _write_values(ax, Cs, x, y):
    """Values of C at some points (x, y), a seventh of the picture apart, on the inner side of the bend."""
    places = np.transpose([(values - values.min()) / (np.ptp(values) or 1.0) for values in (x, y)])
    last = np.full(2, np.inf)
    for i, place in enumerate(places):
        if np.hypot(*(place - last)) < 0.15:
            continue
        last = place
        side = {"xytext": (-4, -7), "ha": "right", "va": "top"}
        if place[1] < 0.1:  # not across the lower axis
            side = {"xytext": (-8, 0), "ha": "right", "va": "center"}
        elif place[0] < 0.15:  # nor across the left one
            side = {"xytext": (0, -8), "ha": "center", "va": "top"}
        ax.annotate(
            f"C = {Cs[i]:.2g}", (x[i], y[i]), textcoords="offset points", color="0.3", **side, **SMALL
        )


def _draw_weights(ax, Cs, lines, classes, names):
    """lines (m, K, d) against Cs (m,), coloured by class; by feature for a few of one score column."""
    n_columns, d = lines.shape[1:]
    by_feature = n_columns == 1 and 1 < d <= len(COLOURS)
    peaks = np.abs(lines).max(axis=0)
    for k in range(n_columns):
        shown = range(d) if d <= _MANY else np.argsort(-peaks[k], kind="stable")[:_COLOURED]
        for first, j in enumerate(shown):
            number = j if by_feature else k
            label = None
            if by_feature:
                label = f"feature {j}" if names is None else str(names[j])
            elif first == 0 and n_columns > 1:
                label = f"class {classes[k]}"
            ax.plot(
                Cs,
                lines[:, k, j],
                color=COLOURS[number % len(COLOURS)],
                # Of more classes than colours, the second round is dashed, the third dotted.
                linestyle=("-", "--", ":", "-.")[number // len(COLOURS) % 4],
                marker="o" if d <= len(COLOURS) else None,
                markersize=3,
                linewidth=1.3 if d <= _MANY else 0.9,
                label=label,
            )
    if d > _MANY:
        _draw_others(ax, Cs, lines, peaks)


def _draw_others(ax, Cs, lines, peaks):
    """The lines that stay small beside those of their class, in grey."""
    from matplotlib.collections import LineCollection

    rank = np.argsort(np.argsort(-peaks, axis=1, kind="stable"), axis=1)
    grey = lines[:, (rank >= _COLOURED) & (peaks > 0)]
    segments = [np.c_[Cs, line] for line in grey.T]
    # Smooth edges of thousands of lines would swell the picture's file.
    style = {"colors": "0.8", "linewidths": 0.6, "antialiaseds": False, "zorder": 1}
    ax.add_collection(LineCollection(segments, label="other weights", **style))
