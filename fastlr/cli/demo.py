"""The demo of the command line: the classic MNIST models, a table and pictures."""

import time
import warnings

import numpy as np

from fastlr import EarlyStopping, LogisticRegression, SGDClassifier, __version__, datasets
from fastlr.atomic import replacing


def run_demo(mnist, out):
    """Fits the models on the digits that scikit-learn bundles, or on MNIST.

    Parameters
    ----------
    mnist : path-like or None
        Folder of MNIST's IDX files.
    out : Path
        Folder for pictures; it is made.
    """
    import matplotlib

    matplotlib.use("Agg")
    out.mkdir(parents=True, exist_ok=True)
    if mnist is None:
        name, ((X, y), (X_test, y_test)) = "digits", datasets.load_digits()
    else:
        name, ((X, y), (X_test, y_test)) = "MNIST", datasets.load_mnist_idx(mnist)
    n_sparse = min(len(X), 5000)
    print(
        f"fastlr {__version__} on {name}: {len(X):,} training and {len(X_test):,} test images of "
        f"{X.shape[1]} pixels. The L1 models train on {n_sparse:,} of them."
    )
    rng = np.random.RandomState(0)
    rows = rng.permutation(len(X))[:n_sparse]
    sparse, certificate, sparse_table = _fit_sparse(X[rows], y[rows], X_test, y_test)
    sgd, sgd_row = _fit_sgd(X, y, X_test, y_test)
    _print_table([*sparse_table, sgd_row])
    # Cross-validation repeats the SGD five times: on MNIST a sixth of the images is enough to see it.
    few = rng.permutation(len(X))[:10000]
    _write_pictures(out, sparse, certificate, sgd, X[few], y[few], X_test, y_test)


def _fit_whole(model, X, y):
    """Fits a model; an interrupt ends the demo, and not just the fit."""
    if model.fit(X, y).status_ == "interrupted":
        raise KeyboardInterrupt


def _fit_sparse(X, y, X_test, y_test):
    """The L1 softmax of the classic tutorial, by fastlr and by scikit-learn's SAGA.

    Returns the model, the history of the tightest certificate, and table rows.
    """
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(X.astype(np.float64))
    train, test = (scaler.transform(part.astype(np.float64)) for part in (X, X_test))
    C = 50 / len(X)
    table, kept = [], None
    for tol in (0.1, 1e-3):
        began = time.perf_counter()
        model = LogisticRegression(C=C, penalty="l1", solver="saga", tol=tol, random_state=0)
        _fit_whole(model, train, y)
        seconds = time.perf_counter() - began
        table.append(
            {
                "model": f"fastlr L1 SAGA, tol {tol:g}",
                "zeros": np.mean(model.coef_ == 0),
                "test": model.score(test, y_test),
                "objective": model.objective_,
                "gap": model.dual_gap_,
                "epochs": int(model.n_iter_[0]),
                "seconds": seconds,
            }
        )
        kept = kept or model  # the tutorial's tolerance for its picture, the tight one for the certificate
    history = model.history_
    began = time.perf_counter()
    peer = _scikit_learn_saga(C).fit(train, y)
    seconds = time.perf_counter() - began
    table.append(
        {
            "model": "scikit-learn L1 SAGA, tol 0.1",
            "zeros": np.mean(peer.coef_ == 0),
            "test": peer.score(test, y_test),
            "objective": _l1_objective(peer, C, train, y),
            "epochs": int(np.max(peer.n_iter_)),
            "seconds": seconds,
        }
    )
    return kept, history, table


def _scikit_learn_saga(C):
    """scikit-learn's SAGA with an L1 penalty, in the words of the installed version."""
    import sklearn
    from sklearn.linear_model import LogisticRegression as Peer

    major, minor = map(int, sklearn.__version__.split(".")[:2])
    words = {"l1_ratio": 1.0} if (major, minor) >= (1, 8) else {"penalty": "l1"}
    return Peer(C=C, solver="saga", tol=0.1, random_state=0, **words)


def _l1_objective(model, C, X, y):
    """C sum_i loss_i + |W|_1 of a fitted model."""
    codes = np.searchsorted(model.classes_, y)
    log_proba = model.predict_log_proba(X)[np.arange(len(y)), codes]
    return -C * log_proba.sum() + np.abs(model.coef_).sum()


def _fit_sgd(X, y, X_test, y_test):
    """Minibatch SGD with patience, straight from the bytes of the images."""
    # The article's rate of 0.24 is for 784 pixels in [0, 1]; the digits use only the low end of a byte.
    eta0 = 0.24 if X.shape[1] == 784 else 10.0
    model = SGDClassifier(
        eta0=eta0, batch_size=100, scaling="unit", validation_fraction=0.2, random_state=0,
        early_stopping=EarlyStopping(patience=10),
    )  # fmt: skip
    began = time.perf_counter()
    _fit_whole(model, X, y)
    return model, {
        "model": "fastlr SGD, patience 10",
        "zeros": np.mean(model.coef_ == 0),
        "test": model.score(X_test, y_test),
        "epochs": model.n_iter_,
        "seconds": time.perf_counter() - began,
    }


def _print_table(rows):
    print(
        f"\n{'':30} {'zeros':>7} {'test':>7} {'objective':>11} {'certified gap':>14} "
        f"{'epochs':>7} {'epochs/s':>9} {'seconds':>8}"
    )
    for row in rows:
        objective = f"{row['objective']:.4f}" if "objective" in row else ""
        gap = f"{row['gap']:.3g}" if "gap" in row else "none"
        print(
            f"{row['model']:30} {row['zeros']:7.1%} {row['test']:7.1%} {objective:>11} {gap:>14} "
            f"{row['epochs']:7d} {row['epochs'] / row['seconds']:9.0f} {row['seconds']:8.3f}"
        )


def _write_pictures(out, sparse, certificate, sgd, X, y, X_test, y_test):
    from sklearn.base import clone
    from sklearn.exceptions import ConvergenceWarning

    from fastlr import metrics, model_selection, plots

    proba = sgd.predict_proba(X_test)
    predicted = sgd.classes_[proba.argmax(axis=1)]
    matrix = metrics.confusion_matrix(y_test, predicted, labels=sgd.classes_)
    wrong = metrics.mistakes(y_test, proba, labels=sgd.classes_)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # forty epochs are enough for the picture
        folds = model_selection.kfold_history(clone(sgd).set_params(max_iter=40), X, y, cv=5)
    figures = {
        "weights": plots.plot_weights(sparse.coef_, classes=sparse.classes_),
        "learning-curves": plots.plot_history(sgd.history_, best_epoch=sgd.best_epoch_),
        "confusion": plots.plot_confusion(matrix, labels=sgd.classes_, log=True).figure,
        "k-fold": plots.plot_kfold(folds),
        "mistakes": plots.plot_mistakes(X_test, y_test, predicted, indices=wrong[:25], proba=proba),
        "certificate": plots.plot_history(certificate),
    }
    print()
    for name, figure in figures.items():
        path = out / f"{name}.png"
        save_picture(figure, path)
        print(f"wrote {path}")


def save_picture(figure, path):
    """Writes a figure as PNG; a full disk leaves no half of it."""
    with replacing(path) as file:
        figure.savefig(file, format="png", dpi=120)
