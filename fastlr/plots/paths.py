"""Models along grids of C: their weights and scores.

Shapes: m values of C, d features, K score columns, F folds, L values of l1_ratio.
"""

import numpy as np

from fastlr.plots.shared import COLOURS, SMALL, new_figure


def plot_path(path, *, count=False, units=None, names=None, figure=None):
    """Draw the weights along a grid of C and, of a cross-validation, the scores below them.

    Vertical lines mark the C with the best mean score and the smallest C within one standard error of
    it. Points of infinite C are left out.

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
        l = int(np.argmin(np.abs(path.l1_ratios_ - path.l1_ratio_)))  # without refit, a mean of several
        Cs, classes, coefs = path.Cs_, path.classes_, path.coefs_paths_[:, l, ..., :d]
    else:
        Cs, classes, coefs = path.Cs, path.classes, path.coefs[None]
    for name, values in (("units", units), ("names", names)):
        if values is not None and len(values) != coefs.shape[-1]:
            raise ValueError(f"{name}: found {len(values)}; needed: {coefs.shape[-1]}, one per feature")
    lines = coefs if units is None else coefs * np.asarray(units)
    lines = np.count_nonzero(coefs, axis=-1)[..., None] if count else lines
    order = np.argsort(Cs)[: np.count_nonzero(np.isfinite(Cs))]
    if figure is None:
        figure = new_figure((6.4, 6.4 if has_scores else 3.8))
    axes = figure.subplots(1 + has_scores, 1, squeeze=False, sharex=True)[:, 0]
    _draw_weights(axes[0], Cs[order], lines.mean(axis=0)[order], classes, None if count else names)
    weight = "weight" if units is None else "weight × unit of the feature"
    axes[0].set_ylabel("weights other than zero" if count else weight)
    if has_scores:
        draw_scores(axes[1], path, order)
        mark_choices(axes, path)
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(color="0.92")
        ax.set_axisbelow(True)
        if ax.get_legend_handles_labels()[0]:
            ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5), **SMALL)
    axes[-1].set_xlabel("C (inverse strength of the penalty)")
    axes[0].set_xscale("log")
    return figure


def _draw_weights(ax, Cs, lines, classes, names):
    """lines (m, K, d) against Cs (m,), coloured by class; by feature for a few of one score column."""
    n_columns, d = lines.shape[1:]
    by_feature = n_columns == 1 and 1 < d <= len(COLOURS)
    for k in range(n_columns):
        for j in range(d):
            number = j if by_feature else k
            label = None
            if by_feature:
                label = f"feature {j}" if names is None else str(names[j])
            elif j == 0 and n_columns > 1:
                label = f"class {classes[k]}"
            ax.plot(
                Cs,
                lines[:, k, j],
                color=COLOURS[number % len(COLOURS)],
                # Of more classes than colours, the second round is dashed, the third dotted.
                linestyle=("-", "--", ":", "-.")[number // len(COLOURS) % 4],
                marker="o" if d <= len(COLOURS) else None,
                markersize=3,
                linewidth=1.3 if d <= 20 else 0.7,
                label=label,
            )


def draw_scores(ax, cv, order):
    """Mean scores with bars of one standard error, a line for each l1_ratio."""
    many = len(cv.l1_ratios_) > 1
    for number, ratio in enumerate(cv.l1_ratios_):
        ax.errorbar(
            cv.Cs_[order],
            cv.mean_scores_[number, order],
            cv.standard_errors_[number, order],
            color=COLOURS[number % len(COLOURS)],
            marker="o",
            markersize=4,
            capsize=3,
            label=f"l1_ratio {ratio:g}" if many else f"mean of {len(cv.scores_)} folds",
        )
    name = cv.scoring if isinstance(cv.scoring, str) else "accuracy" if cv.scoring is None else "score"
    ax.set_ylabel(name.replace("neg_log_loss", "negative log-loss").replace("_", " "))


def mark_choices(axes, cv):
    """Lines at the C of either rule, one where they agree; the lowest Axes names them."""
    choices = {"best": cv.C_best_, "1 s.e.": cv.C_1se_}
    if cv.C_best_ == cv.C_1se_:
        choices = {"best and 1 s.e.": cv.C_best_}
    for (name, C), style in zip(choices.items(), ("--", ":"), strict=False):
        for ax in axes:
            label = f"{name}: C = {C:.3g}" if ax is axes[-1] else None
            ax.axvline(C, color="0.3", linestyle=style, linewidth=1.5, label=label)
