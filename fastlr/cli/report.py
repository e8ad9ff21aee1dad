"""The words in which the command line tells of data, fits and models.

Shapes: n rows, d features, K classes.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from fastlr import metrics
from fastlr.linear_model.base import as_dense
from fastlr.linear_model.convex import ENDINGS
from fastlr.progress import relative
from fastlr.readers.table import listed

_MOST_CLASSES = 20  # of a matrix that a terminal shows
_WIDEST_NAME = 12


@dataclass(frozen=True)
class Part:
    """Rows with their labels, and what they are called."""

    name: str
    X: object
    y: np.ndarray | None


def comparable(*labels):
    """Arrays of labels as they are, or as text where some are text and some are not."""
    if len({array.dtype.kind == "U" for array in labels}) == 1:
        return labels
    return tuple(array.astype(str) for array in labels)


def data(name, parts, classes, target, scaling):
    """What was read."""
    X = parts[0].X
    kind = f"sparse ({X.nnz / (X.shape[0] * X.shape[1]):.2%} filled)" if sp.issparse(X) else str(X.dtype)
    rows = " and ".join(f"{part.X.shape[0]:,} {part.name}" for part in parts)
    lines = [
        f"{'standard input' if name == '-' else name}: {rows} rows, {X.shape[1]:,} features, {kind}",
        f"target: {target}; {len(classes)} classes: {listed(classes)}",
        f"scaling: {scaling or 'none'}",
    ]
    return "\n".join(lines) + "\n"


def fit(model, seconds):
    """How a fit went, with its certificate if there is one."""
    if hasattr(model, "explain"):
        return f"{_in_a_line(model)}: {seconds:.2f} s\n{_explained(model)}\n"
    lines = [f"{_in_a_line(model)}: {seconds:.2f} s", *_epochs(model), "Minibatches give no certificate."]
    return "\n".join(lines) + "\n"


def _explained(model):
    """What a certified model says of its fit, without advice to users of Python."""
    _, advice = ENDINGS[model.status_]
    return model.explain().replace(f" {advice}", "") if advice else model.explain()


def distance(model):
    """How far from its goal a fit has ended."""
    if not hasattr(model, "dual_gap_"):
        return f"{model.n_iter_} epochs were not enough"
    return (
        f"with a gap of {relative(model.dual_gap_, model.null_objective_)} of the objective without features "
        f"where {model.tol:g} was asked for"
    )


def _in_a_line(model):
    """Class and parameters that are not the default."""
    return " ".join(str(model).split())


def _epochs(model):
    """What is known of a training by minibatches."""
    if not hasattr(model, "best_epoch_"):
        return [f"{np.sum(model.n_iter_)} epochs."]
    history, best = model.history_, model.best_epoch_
    line = f"{model.n_iter_} epochs; kept are the weights of epoch {best}"
    if "val_score" in history and len(history["val_score"]) >= best:
        line += f", validation accuracy {history['val_score'][best - 1]:.2%}"
    return [line + "."]


def scores(classes, parts, predictions):
    """Accuracies, log-losses, and the confusions of the last part."""
    has_loss = predictions[0][1] is not None
    lines = [f"{'':10}{'rows':>9}{'accuracy':>10}" + f"{'log-loss':>10}" * has_loss]
    for part, (predicted, proba) in zip(parts, predictions, strict=True):
        line = f"{part.name:10}{len(part.y):9,}{_accuracy(part.y, predicted):10.2%}"
        lines.append(line + (f"{_log_loss(part.y, proba, classes):10.4f}" if has_loss else ""))
    if len(parts) == 1:
        lines.append("No test data: --test 0.2 sets a fifth of the rows aside.")
    last, predicted = parts[-1], predictions[-1][0]
    truth, predicted, classes = comparable(last.y, predicted, classes)
    unknown = np.setdiff1d(truth, classes)
    if len(unknown):
        lines.append(f"The {last.name} data have labels that the model has not seen: {listed(unknown)}")
    if len(classes) <= _MOST_CLASSES:
        lines += ["", f"confusions of the {last.name} data (rows: true class, columns: predicted class)"]
        lines += _matrix(truth, predicted, classes)
    elif pairs := metrics.most_confused(truth, predicted, labels=classes):
        lines += ["", f"most frequent confusions of the {last.name} data"]
        lines += [f"{count:6,} x {true} taken for {wrong}" for true, wrong, count in pairs]
    return "\n".join(lines) + "\n"


def _accuracy(y, predicted):
    truth, predicted = comparable(y, predicted)
    return np.mean(truth == predicted)


def _log_loss(y, proba, classes):
    """Mean log-loss; infinite where a label is none of the classes."""
    from sklearn.metrics import log_loss

    truth, classes = comparable(y, classes)
    if not np.isin(truth, classes).all():
        return np.inf
    order = np.argsort(classes)  # text sorts otherwise than numbers
    return log_loss(truth, proba[:, order], labels=classes[order])


def _matrix(truth, predicted, classes):
    known = np.isin(truth, classes)
    counts = metrics.confusion_matrix(truth[known], predicted[known], labels=classes)
    names = [
        str(name) if len(str(name)) <= _WIDEST_NAME else f"{str(name)[: _WIDEST_NAME - 1]}~"
        for name in classes
    ]
    width = max(5, *(len(name) + 1 for name in names), len(str(counts.max())) + 1)
    lines = [" " * width + "".join(f"{name:>{width}}" for name in names) + f"{'recall':>9}"]
    for i, name in enumerate(names):
        cells = "".join(f"{count or '.':>{width}}" for count in counts[i].tolist())
        recall = f"{counts[i, i] / counts[i].sum():9.1%}" if counts[i].any() else f"{'-':>9}"
        lines.append(f"{name:>{width}}{cells}{recall}")
    return lines


def accuracy(y, predicted, classes):
    """The accuracy of predictions in a sentence."""
    if not np.isin(*comparable(y, classes)).any():
        return f"no accuracy: none of the labels ({listed(np.unique(y))}) is a class of the model"
    truth, predicted = comparable(y, predicted)
    wrong = int(np.sum(truth != predicted))
    return f"accuracy {1 - wrong / len(y):.2%}: {wrong:,} of {len(y):,} rows are wrong"


def model(name, estimator):
    """What is in a model file."""
    lines = [f"{name}: {_in_a_line(estimator)}"]
    classes = getattr(estimator, "classes_", ())
    lines.append(f"classes: {len(classes)}: {listed(classes)}")
    names = getattr(estimator, "feature_names_in_", None)
    named = "" if names is None else f": {listed(names)}"
    lines.append(f"features: {estimator.n_features_in_:,}{named}")
    if hasattr(estimator, "coefs_"):
        layers = zip(estimator.coefs_, estimator.intercepts_, strict=True)
        lines += [_weights(f"layer {i + 1}", W, b) for i, (W, b) in enumerate(layers)]
    elif hasattr(estimator, "coef_"):
        lines.append(_weights("weights", as_dense(estimator.coef_), estimator.intercept_))
    if hasattr(estimator, "explain"):
        lines += ["", _explained(estimator)]
    elif hasattr(estimator, "n_iter_"):
        lines += ["", *_epochs(estimator)]
    return "\n".join(lines + _history(getattr(estimator, "history_", None)))


def _weights(name, W, b):
    return (
        f"{name}: {' x '.join(map(str, W.shape))} in {W.dtype}, {np.mean(W == 0):.1%} zeros, "
        f"norm {np.linalg.norm(W):.4g}, largest {np.abs(W).max(initial=0):.4g}; "
        f"intercepts from {np.min(b):.4g} to {np.max(b):.4g}"
    )


def _history(history):
    """First and last value of each series."""
    if not isinstance(history, dict) or not history.get("time"):
        return []
    lines = [f"history of {len(history['time'])} entries, {history['time'][-1]:.3g} s, first to last:"]
    for name, values in history.items():
        if name != "time" and len(values):
            lines.append(f"  {name:12} {values[0]:12.6g} to {values[-1]:.6g}")
    return ["", *lines]
