"""Pictures of images, weights, training curves and errors; matplotlib is imported on first use.

Shapes: n images or samples, d = h * w pixels, K classes, E epochs, F folds.
"""

import math

import numpy as np

# Okabe and Ito's colours, which people with any common colour blindness can tell apart.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
# Axis label, then the series of a history that belong on it: (key, name in the legend).
_PANELS = (
    ("mean log-loss", (("loss", "training"), ("val_loss", "validation"))),
    ("accuracy", (("train_score", "training"), ("val_score", "validation"))),
)
_SMALL = {"fontsize": 9}


def plot_images(images, *, titles=None, image_shape=None, n_columns=10, figure=None):
    """Draw a grid of grey images, all on one scale: the lowest value white, the highest black.

    Parameters
    ----------
    images : array-like of shape (n, d) or (n, h, w)
        Grey values, in any unit.
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
    images = _as_images(images, image_shape, "images")
    if titles is not None and len(titles) != len(images):
        raise ValueError(f"titles: found {len(titles)}; needed: {len(images)}, one per image")
    lines = 0 if titles is None else max(str(title).count("\n") + 1 for title in titles)
    figure, axes = _image_grid(len(images), n_columns, 0.9, 0.17 * lines, figure)
    low, high = images.min(), images.max()
    for i, ax in enumerate(axes):
        ax.imshow(images[i], cmap="gray_r", vmin=low, vmax=high, interpolation="nearest")
        if titles is not None:
            ax.set_title(str(titles[i]), pad=2, **_SMALL)
    return figure


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
    images = _as_images(coef, image_shape, "coef")
    figure, axes = _image_grid(len(images), n_columns, 1.3, 0.25, figure, side=0.9)
    scale = float(np.abs(images).max()) or 1.0
    for name, image, ax in zip(names, images, axes, strict=True):
        drawn = ax.imshow(image, cmap="RdBu", vmin=-scale, vmax=scale, interpolation="nearest")
        ax.set_title(str(name), pad=3)
    figure.colorbar(drawn, ax=axes, label="weight", aspect=25, fraction=0.05)
    return figure


def plot_history(history, *, best_epoch=None, figure=None):
    """Draw the course of one training.

    A history of epochs gives the mean log-loss (left) and the accuracy (right) against the epoch.
    A solver's history gives its objective (left) and its duality gap (right, logarithmic) against
    time in seconds.

    Parameters
    ----------
    history : dict of str to sequence of length E
        Either some of "loss", "val_loss", "train_score", "val_score" (and "epoch", the numbers of
        the entries; 1 to E by default), or "objective", "dual_gap" and "time" (s). Other series
        are ignored, as are entries that are not finite.
    best_epoch : int, optional
        Number of the epoch to mark, as on the axis: the first is 1 by default.
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
    figure, axes = _panel_row(len(panels), figure)
    for ax, (label, series) in zip(axes, panels, strict=True):
        for key, name, colour in series:
            values = np.asarray(history[key], dtype=float)
            epochs = history.get("epoch", np.arange(1, len(values) + 1))
            _draw_line(ax, epochs, values, color=colour, label=name)
        if best_epoch is not None:
            label_best = f"best epoch: {best_epoch}"
            ax.axvline(best_epoch, color="0.4", linestyle=":", linewidth=1.5, label=label_best)
        _finish_epochs(ax, label)
    return figure


def plot_kfold(result, *, figure=None):
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
    figure, axes = _panel_row(len(panels), figure)
    for ax, (label, series) in zip(axes, panels, strict=True):
        for number, (size, fold_result) in enumerate(by_size.items()):
            for key, name, colour in series:
                if key not in fold_result["history"]:
                    continue
                style = {"color": colour, "label": name}
                if size is not None:
                    dashed = name == "training" and len(series) > 1
                    style = {
                        "color": _COLOURS[number % len(_COLOURS)],
                        "label": f"n = {size:,}, {name}",
                        "linestyle": "--" if dashed else "-",
                    }
                _draw_band(ax, fold_result["history"][key], style)
                if key == "val_score":
                    best = fold_result["best_epoch"] + 1, fold_result["val_score"]
                    ax.plot(*best, "o", color=style["color"], markersize=4, alpha=0.8)
        if any(key == "val_score" for key, *_ in series):
            ax.plot([], [], "o", color="0.5", markersize=4, label="best epoch of a fold")
        _finish_epochs(ax, label)
    return figure


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
        figure = _new_figure((6.4, 6.4 if has_scores else 3.8))
    axes = figure.subplots(1 + has_scores, 1, squeeze=False, sharex=True)[:, 0]
    _draw_weights(axes[0], Cs[order], lines.mean(axis=0)[order], classes, None if count else names)
    weight = "weight" if units is None else "weight × unit of the feature"
    axes[0].set_ylabel("weights other than zero" if count else weight)
    if has_scores:
        _draw_scores(axes[1], path, order)
        _mark_choices(axes, path)
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(color="0.92")
        ax.set_axisbelow(True)
        if ax.get_legend_handles_labels()[0]:
            ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5), **_SMALL)
    axes[-1].set_xlabel("C (inverse strength of the penalty)")
    axes[0].set_xscale("log")
    return figure


def plot_confusion(matrix, *, labels=None, log=False, ax=None):
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

    matrix = np.asarray(matrix)
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
    aspect = "auto" if ax is None else "equal"
    if ax is None:
        cells = max(2.0, 0.46 * n_classes)  # inches
        size = (1.1 * cells + 0.08 * longest + 0.95, cells + 0.06 * longest + 0.55)
        ax = _new_figure(size).add_subplot()
    drawn = ax.imshow(np.ma.masked_equal(matrix, 0), cmap="Blues", norm=norm, aspect=aspect)
    _write_cells(ax, matrix, drawn)
    whole = np.issubdtype(matrix.dtype, np.integer)
    unit = "samples" if whole else "fraction of samples" if high <= 1 else "sample weight"
    ax.figure.colorbar(drawn, ax=ax, label=unit, fraction=0.05, pad=0.03, aspect=30)
    turned = {"rotation": 45, "ha": "right"} if longest > 3 else {}
    ax.set_xticks(range(n_classes), names, **turned)
    ax.set_yticks(range(n_classes), names)
    ax.set(xlabel="predicted class", ylabel="true class")
    return ax


def plot_mistakes(
    X,
    y_true,
    y_pred,
    *,
    indices=None,
    n=25,
    image_shape=None,
    proba=None,
    n_columns=5,
    figure=None,
):
    """Draw misread images, titled "true class → predicted class".

    Parameters
    ----------
    X : array-like of shape (n_samples, d) or (n_samples, h, w)
        Images.
    y_true, y_pred : array-like of shape (n_samples,)
        True and predicted classes.
    indices : array-like of int, optional
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
        If lengths differ, or there is no mistake to draw.

    Examples
    --------
    >>> import numpy as np
    >>> from fastlr.plots import plot_mistakes
    >>> figure = plot_mistakes(np.eye(3 * 4).reshape(9, 16), np.zeros(9, int), np.arange(9), n=2)
    >>> [ax.get_title() for ax in figure.axes]
    ['0 → 1', '0 → 2']
    """
    X, y_true, y_pred = np.asarray(X), np.asarray(y_true), np.asarray(y_pred)
    confidence = None if proba is None else np.max(proba, axis=1)
    for name, rows in (("y_true", y_true), ("y_pred", y_pred), ("proba", confidence)):
        if rows is not None and len(rows) != len(X):
            raise ValueError(f"{name}: found length {len(rows)}; needed: {len(X)}, the rows of X")
    if indices is None:
        indices = np.flatnonzero(y_true != y_pred)
        if confidence is not None:
            indices = indices[np.argsort(-confidence[indices], kind="stable")]
    indices = np.asarray(indices, dtype=np.intp)[:n]
    if not len(indices):
        raise ValueError("indices: nothing to draw; needed: at least one misclassified row")
    titles = [f"{y_true[i]} → {y_pred[i]}" for i in indices]
    if confidence is not None:
        titles = [f"{title}\n{confidence[i]:.1%}" for title, i in zip(titles, indices, strict=True)]
    return plot_images(X[indices], titles=titles, image_shape=image_shape, n_columns=n_columns, figure=figure)


def _as_images(array, image_shape, name):
    """`array` as (n, h, w); a square is guessed for flat rows without `image_shape`."""
    array = np.asarray(array)
    if array.ndim not in (2, 3) or not array.size:
        raise ValueError(f"{name}: found shape {array.shape}; needed: (n, d) or (n, h, w), n > 0")
    if array.ndim == 3 and image_shape is None:
        return array
    n_pixels = math.prod(array.shape[1:])
    if image_shape is None:
        side = math.isqrt(n_pixels)
        image_shape = (side, side)
        if side * side != n_pixels:
            raise ValueError(f"image_shape: needed, since {n_pixels} pixels make no square")
    if math.prod(image_shape) != n_pixels:
        raise ValueError(f"image_shape: found {tuple(image_shape)}; needed: {n_pixels} pixels")
    return array.reshape(len(array), *image_shape)


def _new_figure(size):
    """A pyplot figure of `size` inches that keeps a little white around all text."""
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=size, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.06)
    return figure


def _image_grid(n, n_columns, size, extra_height, figure, side=0.0):
    """n bare Axes; cells of `size` inches, `extra_height` for titles, `side` for a colour bar."""
    if n_columns < 1:
        raise ValueError(f"n_columns: found {n_columns}; needed: 1 or more")
    n_columns = min(n_columns, n)
    n_rows = math.ceil(n / n_columns)
    if figure is None:
        shape = (n_columns * size + side, n_rows * (size + extra_height))
        figure = _new_figure(shape)
    axes = [figure.add_subplot(n_rows, n_columns, i + 1) for i in range(n)]
    for ax in axes:
        ax.set_axis_off()
    return figure, axes


def _panel_row(n, figure):
    """A row of n Axes without upper and right frame."""
    if figure is None:
        figure = _new_figure((4.5 * n, 3.4))
    axes = figure.subplots(1, n, squeeze=False)[0]
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(color="0.92")
        ax.set_axisbelow(True)
    return figure, axes


def _present_panels(keys):
    """The panels of _PANELS with their present series as (key, name, colour)."""
    panels = []
    for label, series in _PANELS:
        present = [
            (key, name, colour) for (key, name), colour in zip(series, _COLOURS, strict=False) if key in keys
        ]
        if present:
            panels.append((label, present))
    if not panels:
        wanted = [key for _, series in _PANELS for key, _ in series]
        raise ValueError(f"history: found {sorted(keys)}; needed: any of {wanted}")
    return panels


def _draw_line(ax, x, values, **style):
    """Join the finite values; a dot alone would not show as a line, so short series get markers."""
    x, values = np.asarray(x, dtype=float), np.asarray(values, dtype=float)
    finite = np.isfinite(values)
    marker = "o" if np.count_nonzero(finite) < 10 else None
    ax.plot(x[finite], values[finite], marker=marker, markersize=4, **style)


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


def _finish_epochs(ax, ylabel):
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(xlabel="epoch", ylabel=ylabel)
    ax.legend(frameon=False, **_SMALL)


def _plot_solver_history(history, figure):
    """Objective and duality gap against time."""
    time = np.asarray(history["time"], dtype=float)
    gap = np.asarray(history["dual_gap"], dtype=float)
    figure, (left, right) = _panel_row(2, figure)
    _draw_line(left, time, history["objective"], color=_COLOURS[0])
    # A gap of zero, or of rounding below it, has no place on a logarithmic axis.
    _draw_line(right, time, np.where(gap > 0, gap, np.nan), color=_COLOURS[1])
    right.set_yscale("log")
    left.set(xlabel="time (s)", ylabel="objective")
    left.ticklabel_format(axis="y", useOffset=False)  # "+1.2345e4" above the axis is hard to add
    right.set(xlabel="time (s)", ylabel="duality gap")
    return figure


def _draw_weights(ax, Cs, lines, classes, names):
    """lines (m, K, d) against Cs (m,), coloured by class; by feature for a few of one score column."""
    n_columns, d = lines.shape[1:]
    by_feature = n_columns == 1 and 1 < d <= len(_COLOURS)
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
                color=_COLOURS[number % len(_COLOURS)],
                # Of more classes than colours, the second round is dashed, the third dotted.
                linestyle=("-", "--", ":", "-.")[number // len(_COLOURS) % 4],
                marker="o" if d <= len(_COLOURS) else None,
                markersize=3,
                linewidth=1.3 if d <= 20 else 0.7,
                label=label,
            )


def _draw_scores(ax, cv, order):
    """Mean scores with bars of one standard error, a line for each l1_ratio."""
    many = len(cv.l1_ratios_) > 1
    for number, ratio in enumerate(cv.l1_ratios_):
        ax.errorbar(
            cv.Cs_[order],
            cv.mean_scores_[number, order],
            cv.standard_errors_[number, order],
            color=_COLOURS[number % len(_COLOURS)],
            marker="o",
            markersize=4,
            capsize=3,
            label=f"l1_ratio {ratio:g}" if many else f"mean of {len(cv.scores_)} folds",
        )
    name = cv.scoring if isinstance(cv.scoring, str) else "accuracy" if cv.scoring is None else "score"
    ax.set_ylabel(name.replace("neg_log_loss", "negative log-loss").replace("_", " "))


def _mark_choices(axes, cv):
    """Lines at the C of either rule, one where they agree; the lowest Axes names them."""
    choices = {"best": cv.C_best_, "1 s.e.": cv.C_1se_}
    if cv.C_best_ == cv.C_1se_:
        choices = {"best and 1 s.e.": cv.C_best_}
    for (name, C), style in zip(choices.items(), ("--", ":"), strict=False):
        for ax in axes:
            label = f"{name}: C = {C:.3g}" if ax is axes[-1] else None
            ax.axvline(C, color="0.3", linestyle=style, linewidth=1.5, label=label)


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
