"""Ratios to NumPy and scikit-learn, measured in one run: `python -m benchmarks.ratios --data DIR`.

The sides of a row take turns (A B A B ...), one at a time, and the table shows medians, with the
least and the greatest in brackets. DIR/mnist holds the IDX files of MNIST.
"""

import argparse
import statistics
import subprocess
import sys
import warnings
from functools import partial

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier as Network
from threadpoolctl import threadpool_limits

from benchmarks import numpy_softmax, peers, workloads
from benchmarks.measure import compared, fit_memory, print_table, seconds, take_turns
from fastlr import EarlyStopping, LogisticRegression, MLPClassifier, SGDClassifier
from fastlr.data import Data, available_threads
from fastlr.losses import Softmax

# Certified optimum of the tutorial's fit (MNIST of 60,000 + 3,000 images).
TUTORIAL_OPTIMUM = 67.506062

IMPORT = """
import time
began = time.perf_counter()
import {module}
print(time.perf_counter() - began)
"""


def in_subprocess(code, *arguments):
    """The number that a fresh interpreter prints."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def tutorial_fit(X, y, repeats):
    """L1 multinomial regression on 5,000 standardised images, to the tutorial's tolerance."""
    C = workloads.TUTORIAL_C
    X, y = workloads.tutorial(X, y)
    ours = LogisticRegression(C=C, penalty="l1", solver="saga", tol=0.1, random_state=0)
    peer = peers.sklearn_model(C, solver="saga", tol=0.1)
    sides = {"fastlr": lambda: ours.fit(X, y), "sklearn": lambda: peer.fit(X, y)}
    times = take_turns(sides, repeats)
    reached = [workloads.objective(X, y, C, fit.coef_, fit.intercept_) for fit in (ours, peer)]
    note = f"objective {reached[0]:.3f}, peer {reached[1]:.3f}; optimum {TUTORIAL_OPTIMUM}"
    label = "tutorial fit, L1, tol 0.1, against scikit-learn SAGA"
    yield compared(label, times, "fastlr", "sklearn", note)


def certificates(X, y, repeats):
    """Whether [objective_ - dual_gap_, objective_] holds the optimum, and what that costs."""
    C = workloads.TUTORIAL_C
    X, y = workloads.tutorial(X, y)
    for tol in (0.1, 1e-2, 1e-4):
        fit = LogisticRegression(C=C, penalty="l1", solver="saga", tol=tol, random_state=0)
        times = take_turns({"fastlr": lambda fit=fit: fit.fit(X, y)}, min(repeats, 2))
        low, high = fit.objective_ - fit.dual_gap_, fit.objective_
        holds = low <= TUTORIAL_OPTIMUM <= high + 1e-4
        note = f"[{low:.6f}, {high:.6f}] {'holds' if holds else 'MISSES'} {TUTORIAL_OPTIMUM}"
        note += f"; {fit.n_iter_[0]} epochs" + ("" if fit.converged_ else ", NOT converged")
        yield f"tutorial fit, certified, tol {tol:g}", seconds(times["fastlr"]), "", "", note


def sgd_epochs(X, y, repeats):
    """(fit of 6 epochs - fit of 1 epoch) / 5: an epoch's updates, loss and both accuracies.

    BLAS threads may cost more than they bring where a product is as small as a minibatch's: NumPy runs
    with one and with all, and the faster counts.
    """
    X, y, X_val, y_val = workloads.split(X, y)
    double = X / 255, X_val / 255
    single = tuple(part.astype(np.float32) for part in double)
    size = f"{len(y):,} rows and {len(y_val):,} to validate"

    def fastlr(n, data, scaling):
        SGDClassifier(eta0=0.24, scaling=scaling, tol=None, max_iter=n, random_state=0).fit(
            data[0], y, X_val=data[1], y_val=y_val
        )

    def peer(n, data, n_threads):
        with threadpool_limits(n_threads):
            numpy_softmax.fit(data[0], y, data[1], y_val, max_epochs=n, patience=None)

    works = {
        ("uint8",): lambda n: fastlr(n, (X, X_val), "unit"),
        ("float32",): lambda n: fastlr(n, single, None),
    }
    for t in (1, available_threads()):
        works["NumPy float64", t] = lambda n, t=t: peer(n, double, t)
        works["NumPy float32", t] = lambda n, t=t: peer(n, single, t)
    sides = {(*name, n): partial(work, n) for name, work in works.items() for n in (1, 6)}
    times = take_turns(sides, repeats)
    epoch = {
        side[:-1]: [(six - one) / 5 for one, six in zip(times[*side[:-1], 1], times[side], strict=True)]
        for side in sides
        if side[-1] == 6
    }
    for ours in ("uint8", "float32"):
        for other in ("NumPy float64", "NumPy float32"):
            runs = [side for side in epoch if side[0] == other]
            faster = min(runs, key=lambda side: statistics.median(epoch[side]))
            label = f"SGD epoch, {ours} in, against {other}"
            note = f"{size}; BLAS threads of the peer: {faster[1]}"
            yield compared(label, epoch, (ours,), faster, note)


def early_stopping(X, y, repeats):
    """The same training with patience 10 on the validation accuracy."""
    X, y, X_val, y_val = workloads.split(X, y)
    fit = SGDClassifier(eta0=0.24, scaling="unit", early_stopping=EarlyStopping(patience=10), random_state=0)
    work = lambda: fit.fit(X, y, X_val=X_val, y_val=y_val)  # noqa: E731
    times = take_turns({"fastlr": work}, 1)
    accuracy = fit.score(X_val, y_val)
    note = f"validation accuracy **{accuracy:.4f}**, epoch {fit.best_epoch_} of {fit.n_iter_}"
    yield "SGD with early stopping, patience 10", seconds(times["fastlr"]), "", "", note


def network(X, y, repeats, n_epochs=100):
    """A hidden layer of 25 units on 5,000 images of 20 x 20, from the same first weights, five times."""
    X, y = workloads.course(X, y)
    for activation in ("relu", "logistic"):
        options = {"activation": activation, "solver": "sgd", "max_iter": n_epochs}
        losses = {"fastlr": [], "sklearn": []}

        def ours(options=options, losses=losses):
            fit = MLPClassifier((25,), tol=None, random_state=len(losses["fastlr"]), **options).fit(X, y)
            losses["fastlr"].append(fit.loss_)

        def peer(options=options, losses=losses):
            never = {"tol": 0, "n_iter_no_change": n_epochs}
            fit = Network((25,), random_state=len(losses["sklearn"]), **never, **options)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                losses["sklearn"].append(fit.fit(X, y).loss_)

        times = take_turns({"fastlr": ours, "sklearn": peer}, repeats)
        means = [statistics.mean(losses[side]) for side in ("fastlr", "sklearn")]
        note = f"mean training loss {means[0]:.5f}, peer {means[1]:.5f}"
        label = f"{n_epochs} epochs of a network, 25 {activation} units, against scikit-learn"
        yield compared(label, times, "fastlr", "sklearn", note)


def theano_epochs(X, y, repeats, n_epochs=20):
    """Epochs of Theano's tutorial: minibatches of 600 in order, the validation error after each."""
    double, X, y = X[:60_000] / 255, X[:60_000], y[:60_000]
    kept, held = slice(50_000), slice(50_000, 60_000)
    ours = SGDClassifier(
        eta0=0.13, batch_size=600, shuffle=False, drop_last=True, tol=None, max_iter=n_epochs, scaling="unit"
    )

    def peer():
        numpy_softmax.fit(
            double[kept], y[kept], double[held], y[held], eta=0.13, batch_size=600, max_epochs=n_epochs,
            patience=None,
        )  # fmt: skip

    work = {"fastlr": lambda: ours.fit(X[kept], y[kept], X_val=X[held], y_val=y[held]), "NumPy": peer}
    times = take_turns(work, repeats)
    note = f"**{n_epochs / statistics.median(times['fastlr']):.0f}** epochs/s; the tutorial's: 1.94, GPU 10"
    yield compared(f"{n_epochs} epochs of Theano's tutorial, against NumPy", times, "fastlr", "NumPy", note)


def fused_pass(X, y, repeats):
    """Loss and gradient of all rows on one thread, X read once, against NumPy's two products."""
    X, y = np.ascontiguousarray(X[:60_000]), y[:60_000]
    wide = np.float32(X)
    W = np.random.default_rng(0).normal(scale=1e-4, size=(10, X.shape[1])).astype(np.float32)
    b, loss = np.zeros(10, np.float32), Softmax(y.astype(np.int32), np.ones(len(y)), 10)
    V, narrow, broad = np.ascontiguousarray(W.T), Data(X), Data(wide)

    def peer():
        with threadpool_limits(1):
            return numpy_softmax.loss_gradient(wide, y, V, b)

    sides = {
        "float32": lambda: broad.loss_gradient(W, b, loss),
        "uint8": lambda: narrow.loss_gradient(W, b, loss),
        "NumPy": peer,
    }
    expected = peer()
    for name in ("float32", "uint8"):
        value, G, _ = sides[name]()
        np.testing.assert_allclose(value, expected[0], rtol=1e-5)
        np.testing.assert_allclose(G, expected[1].T, atol=1e-4 * np.abs(expected[1]).max())
    times = take_turns(sides, 3 * repeats)
    label = "fused pass, {}, one thread, against NumPy float32"
    for name in ("float32", "uint8"):
        speed = 4 * wide.size * 10 / 1e9 / statistics.median(times[name])
        note = f"{len(y):,} x 784 x 10; {speed:.0f} GFLOP/s"
        yield compared(label.format(name), times, name, "NumPy", note)


def memory(X, y, repeats):
    """Peak memory of fits on uint8 beyond the data, each in an interpreter of its own."""
    X, y = X[:60_000], y[:60_000]
    few = {"scaling": "unit", "max_iter": 3}
    estimators = {
        "LogisticRegression (saga)": LogisticRegression("l1", C=0.01, solver="saga", tol=1e-2, **few),
        "LogisticRegression (lbfgs)": LogisticRegression(C=0.01, solver="lbfgs", **few),
        "SGDClassifier": SGDClassifier(eta0=0.24, tol=None, **few),
    }
    for name, estimator in estimators.items():
        percents = [100 * extra / X.nbytes for extra in fit_memory(estimator, X, y)]
        note = f"of X beyond X, uint8 60,000 x 784 ({max(percents):.1f} % at most)"
        yield f"peak memory, {name}", f"{statistics.median(percents):.1f} %", "", "", note


def imports(X, y, repeats):
    """Seconds of the import statement in fresh interpreters."""
    modules = "fastlr", "sklearn.linear_model"
    times = {module: [] for module in modules}
    for _ in range(2 * repeats + 1):
        for module in modules:
            times[module].append(in_subprocess(IMPORT.format(module=module)))
    # The first round may have read from a disk what later ones find in memory.
    times = {module: values[1:] for module, values in times.items()}
    yield compared("import, against sklearn.linear_model", times, *modules)


ROWS = {
    "tutorial": tutorial_fit,
    "sgd": sgd_epochs,
    "network": network,
    "theano": theano_epochs,
    "pass": fused_pass,
    "memory": memory,
    "import": imports,
    "early-stopping": early_stopping,
    "certificate": certificates,
}


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ratios", description=__doc__)
    parser.add_argument("--data", required=True, help="folder that holds mnist/")
    parser.add_argument("--repeats", type=int, default=5, help="rounds of a row")
    parser.add_argument("--only", nargs="+", choices=ROWS, default=list(ROWS))
    options = parser.parse_args()
    X, y = workloads.mnist(options.data)
    print_table(row for name in options.only for row in ROWS[name](X, y, options.repeats))


if __name__ == "__main__":
    main()
