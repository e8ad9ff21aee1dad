"""Scores of a cross-validation along one parameter.

Shapes: m values of the parameter, F folds, L values of l1_ratio.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import is_classifier

from fastlr.plots.shared import (
    COLOURS,
    finite_order,
    label_values,
    legend_beside,
    new_figure,
    plain_frame,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# As in the pictures of histories.
_PARTS = {"training": COLOURS[0], "validation": COLOURS[1]}


def plot_scores(cv: Any, *, figure: Any = None) -> "Figure":
    """Draw the mean scores of a cross-validation against C, or another parameter, and mark the best.

    Bars reach one standard deviation of the folds to each side or, for a LogisticRegressionCV, one standard
    error of their mean; its smallest C within one standard error of the best is marked, too.

    Parameters
    ----------
    cv : LinearSVCCV, LogisticRegressionCV, or scikit-learn's GridSearchCV or RandomizedSearchCV
        Fitted. A search must be over numbers of a single parameter; of several scores the one of its
        `refit` is drawn. Training scores are drawn where they are known: of a search, with
        ``return_train_score=True``. Infinite values are left out.
    figure : matplotlib Figure or SubFigure, optional
        Where to draw; by default a new pyplot figure.

    Returns
    -------
    figure : matplotlib Figure
        With one Axes, logarithmic along positive values.

    Raises
    ------
    ValueError
        If `cv` is none of these, is not fitted, or searched several parameters.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastlr import LinearSVCCV
    >>> from fastlr.plots import plot_scores
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = LinearSVCCV(Cs=[0.001, 0.01, 0.1], scaling="standard").fit(X, y)
    >>> ax = plot_scores(clf).axes[0]
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['best: C = 0.1', 'validation', 'training']
    """
    if hasattr(cv, "standard_errors_"):
        scores = scores_of_logistic(cv)
    elif hasattr(cv, "cv_results_"):
        scores = _scores_of_search(cv)
    else:
        raise ValueError(
            f"cv: found {type(cv).__name__}; needed: a fitted LinearSVCCV, LogisticRegressionCV or "
            "GridSearchCV"
        )
    if figure is None:
        figure = new_figure((6.8, 3.6))
    ax = figure.add_subplot()
    draw_scores(ax, scores)
    draw_marks([ax], scores)
    plain_frame(ax)
    label_values(ax, scores.parameter, scores.values)
    legend_beside(ax, scores.title)
    return figure


@dataclass(frozen=True)
class Scores:
    """What is drawn.

    Parameters
    ----------
    parameter : str
    values : array of shape (m,)
        Ascending and finite.
    curves : dict of str to (mean, spread), arrays of shape (m,)
    title : str
        What mean and spread are of.
    unit : str
        Name of the score.
    marks : dict of str to float
        Values to mark.
    """

    parameter: str
    values: np.ndarray
    curves: dict
    title: str
    unit: str
    marks: dict


def draw_scores(ax, scores):
    """A line for each curve, with bars."""
    for number, (name, (mean, spread)) in enumerate(scores.curves.items()):
        ax.errorbar(
            scores.values, mean, spread, color=_PARTS.get(name, COLOURS[number % len(COLOURS)]), marker="o",
            markersize=4, capsize=3, linewidth=1.3, label=name,
        )  # fmt: skip
    ax.set_ylabel(scores.unit)


def draw_marks(axes, scores):
    """Vertical lines at the marked values, named in the last Axes."""
    for (text, value), style in zip(scores.marks.items(), ("--", ":"), strict=False):
        if np.isfinite(value):
            for ax in axes:
                label = f"{text}: {scores.parameter} = {value:.3g}" if ax is axes[-1] else None
                ax.axvline(value, color="0.3", linestyle=style, linewidth=1.5, label=label)


def scores_of_logistic(cv):
    """The scores of a fitted LogisticRegressionCV."""
    order = finite_order(cv.Cs_)
    many = len(cv.l1_ratios_) > 1
    curves = {
        f"l1_ratio {ratio:g}" if many else "validation": (mean[order], error[order])
        for ratio, mean, error in zip(cv.l1_ratios_, cv.mean_scores_, cv.standard_errors_, strict=True)
    }
    marks = {"best": cv.C_best_, "1 s.e.": cv.C_1se_}
    if cv.C_best_ == cv.C_1se_:
        marks = {"best and 1 s.e.": cv.C_best_}
    title = f"mean ± s.e. of {len(cv.dual_gaps_)} folds"
    return Scores("C", cv.Cs_[order], curves, title, _unit(cv.scoring or "accuracy"), marks)


def _scores_of_search(search):
    """The scores of something fitted with `cv_results_`."""
    results = search.cv_results_
    parameter, values = _searched(results["params"])
    order = finite_order(values)
    scoring = getattr(search, "scoring", None) or ("accuracy" if is_classifier(search) else "score")
    suffix = "score"
    if "mean_test_score" not in results:
        suffix = scoring = search.refit
        if not isinstance(suffix, str):
            raise ValueError(f"cv: found several scores and refit={suffix!r}; needed: the name of one")
    curves = {}
    for part, name in (("test", "validation"), ("train", "training")):
        if f"mean_{part}_{suffix}" in results:
            curves[name] = tuple(results[f"{kind}_{part}_{suffix}"][order] for kind in ("mean", "std"))
    n_folds = sum(key.startswith("split") and key.endswith(f"_test_{suffix}") for key in results)
    best = getattr(search, "best_index_", np.argmin(results[f"rank_test_{suffix}"]))
    title = f"mean ± s.d. of {n_folds} folds"
    return Scores(parameter, values[order], curves, title, _unit(scoring), {"best": values[best]})


def _searched(points):
    """Name and values (m,) of the parameter that differs between the points of a search."""
    names = [name for name in points[0] if any(point.get(name) != points[0][name] for point in points)]
    names = names or list(points[0])
    needed = "needed: a search over numbers of a single parameter"
    if len(names) != 1 or any(set(point) != set(points[0]) for point in points):
        found = sorted({name for point in points for name in point})
        raise ValueError(f"cv: found a search over {found}; {needed}")
    try:
        values = np.array([point[names[0]] for point in points], dtype=float)
    except (TypeError, ValueError):
        values = np.array([np.nan])
    if np.isnan(values).any() or len(np.unique(values)) < len(points):
        raise ValueError(f"cv: found {names[0]} = {[point[names[0]] for point in points]}; {needed}")
    return names[0].rpartition("__")[2], values


def _unit(scoring):
    """Name of a score, for an axis."""
    name = scoring if isinstance(scoring, str) else "score"
    return name.replace("neg_log_loss", "negative log-loss").replace("_", " ")
