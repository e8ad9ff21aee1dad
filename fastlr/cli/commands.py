"""What the commands of the command line do. Results go to standard output, the rest to standard error."""

import contextlib
import csv
import io
import math
import os
import sys
import time
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning

import fastlr
from fastlr.atomic import replacing
from fastlr.cli import report
from fastlr.cli.demo import run_demo, save_picture
from fastlr.readers import Table, read_table

_SMALLEST_IMAGE = 64  # pixels; squares of fewer features are more likely no images


def say(text):
    """Tells the user something beside the results."""
    print(f"fastlr: {text}", file=sys.stderr)


def _logistic(options, n, **common):
    return fastlr.LogisticRegression(C=options.C, **_penalty(options), **_given(tol=options.tol), **common)


def _svm(options, n, **common):
    return fastlr.LinearSVC(C=options.C, **_penalty(options), **_given(tol=options.tol), **common)


def _sgd(options, n, **common):
    # alpha = 1 / (C n) makes C mean what it means to the others.
    return fastlr.SGDClassifier(
        alpha=1 / (options.C * n), eta0=options.eta0 or (0.24 if common["scaling"] == "unit" else 0.1),
        early_stopping=fastlr.EarlyStopping(patience=10, monitor="loss"), **_penalty(options), **common,
    )  # fmt: skip


def _mlp(options, n, **common):
    # Its alpha counts in a minibatch.
    batch_size = min(200, n)
    alpha = 0.0 if options.penalty == "none" else batch_size / (options.C * n)
    return fastlr.MLPClassifier(
        (25,), alpha=alpha, batch_size=batch_size, learning_rate_init=options.eta0 or 0.1,
        early_stopping=fastlr.EarlyStopping(patience=10, monitor="loss"), **common,
    )  # fmt: skip


@dataclass(frozen=True)
class _Model:
    """A model of the command line: its penalties, and whether it comes with a certificate."""

    build: object
    penalties: tuple
    is_certified: bool


MODELS = {
    "logistic": _Model(_logistic, ("l1", "l2", "elasticnet", "none"), True),
    "svm": _Model(_svm, ("l1", "l2"), True),
    "sgd": _Model(_sgd, ("l1", "l2", "elasticnet", "none"), False),
    "mlp": _Model(_mlp, ("l2", "none"), False),
}


def _penalty(options):
    """The parameters of the penalty."""
    if options.penalty == "elasticnet":
        return {"penalty": "elasticnet", "l1_ratio": 0.5 if options.l1_ratio is None else options.l1_ratio}
    return {"penalty": None if options.penalty == "none" else options.penalty}


def _given(**parameters):
    return {name: value for name, value in parameters.items() if value is not None}


def misfit(options):
    """What is wrong with a combination of options of fit, or None."""
    model = MODELS[options.model]
    if options.penalty not in model.penalties:
        return f"--penalty {options.penalty}: {options.model} takes {', '.join(model.penalties)}"
    if options.l1_ratio is not None and options.penalty != "elasticnet":
        return f"--l1-ratio: only --penalty elasticnet takes it, not {options.penalty}"
    for name, is_certified in (("tol", True), ("max_time", True), ("eta0", False)):
        if getattr(options, name) is not None and model.is_certified != is_certified:
            takers = ", ".join(taker for taker in MODELS if MODELS[taker].is_certified == is_certified)
            kind = "certified models" if is_certified else "models by minibatches"
            return f"--{name.replace('_', '-')}: only {kind} ({takers}) take it, not {options.model}"
    if options.data == "-" == options.test:
        return "--test -: standard input can be read only once"
    return None


def fit(options):
    """Fits a model, writes it, reports. Returns the exit code."""
    _check_output(options.out, options.data, options.test, options.target)
    if options.plots is not None:
        import matplotlib  # before the work, lest it be missing after it

        matplotlib.use("Agg")
    table, test = _tables(options)
    if options.plots is not None:
        _make_folder(options.plots)
    labels = np.unique(table.y)
    if len(labels) < 2:
        raise ValueError(
            f"{options.data}: the target, {table.target}, has one class only among the training rows: "
            f"{labels[0]!s}; needed: two or more (--target chooses another column)"
        )
    scaling = _scaling(options.scaling, table)
    verbose = _given(verbose=0 if options.quiet else 1 if options.verbose else None)
    model = MODELS[options.model].build(
        options, len(table.y), scaling=scaling, n_threads=options.threads, random_state=options.seed,
        **verbose,
    )  # fmt: skip
    limits = _given(max_time=options.max_time)
    began = time.perf_counter()
    with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it advises users of Python
        model.fit(_named(table.X, table.names), table.y, **limits)
    seconds = time.perf_counter() - began
    model.verbose = type(model)().verbose  # of this fit, and not of those to come
    fastlr.save(model, options.out)  # first of all: nothing that comes now can lose it
    is_interrupted = model.status_ == "interrupted"
    if advice := _ADVICE.get((model.status_, MODELS[options.model].is_certified)):
        say(f"warning: not converged, {report.distance(model)}: {advice}")
    parts = [report.Part("training", table.X, table.y)]
    if test is not None:
        parts.append(report.Part("test", test.X, test.y))
    _tell(options, model, parts, table, scaling, seconds)
    if is_interrupted:
        say(f"interrupted; the best model so far is in {options.out}")
    return 130 if is_interrupted else 0


# What can be done about a fit that has not converged, by its status and whether it is certified.
_ADVICE = {
    ("max_time", True): "give a longer --max-time or a larger --tol",
    ("max_iter", True): "give a larger --tol, a smaller --C or --scaling standard",
    ("max_iter", False): "give larger steps by --eta0",
    ("stalled", True): "give a larger --tol or --scaling standard",
    ("diverged", True): "give a smaller --C or --scaling standard",
}


def _tell(options, model, parts, table, scaling, seconds):
    """Report and pictures of a fit."""
    predictions = [_predicted(model, part, table.names) for part in parts]
    if not options.quiet:
        print(report.data(options.data, parts, model.classes_, table.target, scaling))
        print(report.fit(model, seconds))
        print(report.scores(model.classes_, parts, predictions))
        print(f"wrote {options.out}")
    if options.plots is not None:
        for path in _write_pictures(options.plots, model, parts[-1], predictions[-1], table.image_shape):
            if not options.quiet:
                print(f"wrote {path}")


def _predicted(model, part, names):
    """Labels and probabilities, or None where the model has none."""
    X = _named(part.X, names)
    return model.predict(X), model.predict_proba(X) if hasattr(model, "predict_proba") else None


def _tables(options):
    """What to train on, and what to test on or None."""
    table = read_table(options.data, options.target)
    rest = replace(table, test=None)
    if isinstance(options.test, float):
        return _divided(rest, options)
    if options.test is not None:
        d = table.X.shape[1]
        test = read_table(options.test, options.target, n_features=d, feature_names=table.names)
        if test.y is None:
            raise ValueError(f"{options.test}: has {d} features and no labels; needed: data to test on")
        return rest, _last_part(test)
    return rest, None if table.test is None else _last_part(table)


def _last_part(table):
    """The test set of files that have one, or all there is."""
    return table if table.test is None else Table(*table.test)


def _divided(table, options):
    """A table in two, by class where every class has rows enough."""
    from sklearn.model_selection import train_test_split

    by_class = table.y if np.unique(table.y, return_counts=True)[1].min() > 1 else None
    try:
        X, X_test, y, y_test = train_test_split(
            table.X, table.y, test_size=options.test, stratify=by_class, random_state=options.seed
        )
    except ValueError as error:
        n, n_classes = len(table.y), len(np.unique(table.y))
        n_test = math.ceil(n * options.test)
        raise ValueError(
            f"--test {options.test:g}: leaves {n - n_test} of {n} rows to train on and {n_test} to test; "
            f"needed: one at least of each of the {n_classes} classes"
        ) from error
    return replace(table, X=X, y=y), Table(X_test, y_test)


def _scaling(choice, table):
    if choice != "auto":
        return None if choice == "none" else choice
    if table.image_shape is not None:
        return "unit"
    return None if sp.issparse(table.X) else "standard"


def _named(X, names):
    """X with the names of its features, which the model then keeps and compares."""
    if names is None or sp.issparse(X):
        return X
    import pandas

    return pandas.DataFrame(X, columns=names, copy=False)


def _check_output(out, *inputs):
    """Makes the folder of `out`; raises unless a file can be written there without loss of what is read."""
    if out.is_dir():
        raise ValueError(f"{out}: is a folder; needed: a file to write")
    for name in inputs:
        path = Path(name) if isinstance(name, (str, os.PathLike)) else None
        if path is None or not out.exists():
            continue
        files = path.glob("*ubyte*") if path.is_dir() else [path]
        if any(file.exists() and out.samefile(file) for file in files):
            raise ValueError(f"{out}: is what {name} is read from; it is not overwritten")
    _make_folder(out.parent)
    if not os.access(out if out.exists() else out.parent, os.W_OK):
        raise ValueError(f"{out}: cannot be written")


def _make_folder(folder):
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise ValueError(f"{folder}: is a file; needed: a folder") from error


def _write_pictures(folder, model, part, predicted, image_shape):
    """Writes the pictures that make sense for a model; yields their paths."""
    from fastlr import metrics, plots

    labels, proba = predicted
    d = model.n_features_in_
    if image_shape is None and d >= _SMALLEST_IMAGE and int(d**0.5) ** 2 == d:
        image_shape = (int(d**0.5), int(d**0.5))
    figures = {}
    history = getattr(model, "history_", None)
    if history is not None:
        figures["history"] = plots.plot_history(history, best_epoch=getattr(model, "best_epoch_", None))
    truth, guess, classes = report.comparable(part.y, labels, model.classes_)
    if len(classes) <= 30:
        known = np.isin(truth, classes)
        matrix = metrics.confusion_matrix(truth[known], guess[known], labels=classes)
        figures["confusion"] = plots.plot_confusion(matrix, labels=model.classes_, log=True).figure
    if image_shape is not None:
        coef, titles = getattr(model, "coef_", None), model.classes_
        if coef is None:  # a network: what its hidden units look for
            coef = model.coefs_[0].T
            titles = [f"unit {unit + 1}" for unit in range(len(coef))]
        figures["weights"] = plots.plot_weights(coef, image_shape=image_shape, classes=titles)
        wrong = np.flatnonzero(guess != truth)
        if len(wrong) and not sp.issparse(part.X):
            if proba is not None:
                wrong = metrics.mistakes(truth, proba, labels=classes)
            figures["mistakes"] = plots.plot_mistakes(
                part.X, truth, guess, indices=wrong[:25], image_shape=image_shape, proba=proba
            )
    for name, figure in figures.items():
        save_picture(figure, folder / f"{name}.png")
        yield folder / f"{name}.png"


def predict(options):
    """Prints labels or probabilities. Returns the exit code."""
    model = fastlr.load(options.model)
    if options.proba and not hasattr(model, "predict_proba"):
        raise ValueError(f"--proba: {type(model).__name__} has no probabilities; leave it out for labels")
    if options.out is not None:
        _check_output(options.out, options.model, options.data, options.target)
    names = getattr(model, "feature_names_in_", None)
    table = read_table(options.data, options.target, n_features=model.n_features_in_, feature_names=names)
    table = _last_part(table)
    part = report.Part("", table.X, table.y)
    labels, proba = _predicted(model, part, None if names is None else list(names))
    with contextlib.ExitStack() as stack:
        stream = sys.stdout
        if options.out is not None:
            file = stack.enter_context(replacing(options.out))
            stream = io.TextIOWrapper(file, encoding="utf-8", newline="")
        if options.proba:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(["label", *model.classes_])
            writer.writerows(
                [label, *(f"{p:.9g}" for p in row)] for label, row in zip(labels, proba, strict=True)
            )
        else:
            stream.writelines(f"{label}\n" for label in labels)
        stream.flush()
    if table.y is not None:
        say(report.accuracy(table.y, labels, model.classes_))
    return 0


def inspect(options):
    """Prints what is in a model. Returns the exit code."""
    print(report.model(options.model, fastlr.load(options.model)))
    return 0


def demo(options):
    """Runs the demo. Returns the exit code."""
    if options.mnist is not None and not Path(options.mnist).is_dir():
        raise ValueError(f"--mnist: {options.mnist} is no folder; needed: one with MNIST's IDX files")
    _make_folder(options.out)
    run_demo(options.mnist, options.out)
    return 0
