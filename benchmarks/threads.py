"""What a second thread brings: `python -m benchmarks.threads --data DIR`.

One thread and two take turns. The second table says from which size on two are faster, beside the size from
which on fastlr takes them. DIR/mnist holds the IDX files of MNIST.
"""

import argparse
import statistics
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from benchmarks import kernels, workloads
from benchmarks.measure import load, machine, ratio, seconds, take_turns, timed
from fastlr import LogisticRegression, LogisticRegressionCV, MLPClassifier, SGDClassifier
from fastlr import data as storage
from fastlr.data import Data
from fastlr.losses import Softmax

# Features, score columns and rows of the second table: wide rows, and narrow ones.
SHAPES = ((784, 10, tuple(256 * 2**k for k in range(6))), (50, 3, tuple(512 * 2**k for k in range(9))))


def passes(X, y):
    """Functions of the number of threads: the fused pass over images of two types."""
    loss = Softmax(y.astype(np.int32), np.ones(len(y)), 10)
    for dtype in ("uint8", "float32"):
        rows = X.astype(dtype)
        data = {n_threads: Data(rows, n_threads) for n_threads in (1, 2)}
        W, b = data[1].weights(10, np.float32), np.zeros(10, np.float32)

        def run(n_threads, data=data, W=W, b=b):
            data[n_threads].loss_gradient(W, b, loss)

        yield f"fused pass, {dtype}", f"{len(y):,} x 784 x 10", run


def fits(X, y, tutorial):
    """Functions of the number of threads: fits of all kinds."""
    C = workloads.TUTORIAL_C
    one = {"scaling": "unit", "max_iter": 1, "random_state": 0}
    l1 = {"solver": "newton-cd", "random_state": 0}
    sides = {
        "SGD epoch": (lambda n: SGDClassifier(eta0=0.24, tol=None, n_threads=n, **one), X, y),
        "MLP epoch, 25 units": (lambda n: MLPClassifier(25, tol=None, n_threads=n, **one), X, y),
        "newton-cd, L1, tol 1e-4": (
            lambda n: LogisticRegression("l1", C=C, tol=1e-4, n_threads=n, **l1),
            *tutorial,
        ),
        "3-fold cross-validation, 3 values of C, L1, tol 1e-2": (
            lambda n: LogisticRegressionCV(Cs=3, penalty="l1", cv=3, tol=1e-2, n_threads=n, **l1),
            *tutorial,
        ),
    }
    for name, (model, rows, labels) in sides.items():

        def run(n_threads, model=model, rows=rows, labels=labels):
            model(n_threads).fit(rows, labels)

        yield name, " x ".join(f"{size:,}" for size in rows.shape) + f", {rows.dtype}", run


def speed_ups(works, repeats):
    """Rows of the first table."""
    for name, size, run in works:
        run(2)
        times = take_turns({1: lambda run=run: run(1), 2: lambda run=run: run(2)}, repeats)
        yield name, size, seconds(times[1]), seconds(times[2]), ratio(times[1], times[2])


def break_even(repeats):
    """Rows of the second table: small fused passes, by one thread and by two, and what fastlr takes."""
    for d, K, sizes in SHAPES:
        for n in sizes:
            images = kernels.Images(np.ascontiguousarray(kernels.pixels(n)[:, :d]), "float32", K)
            data = {n_threads: Data(images.X, n_threads) for n_threads in (1, 2)}
            work = n * data[1].row_work(images.columns)
            # A thread takes whole chunks of rows.
            threads = min(next(data[2]._calls(images.columns))[2], data[2]._chunks)
            times = {1: [], 2: []}
            for _ in range(repeats):
                for n_threads, seconds_of in times.items():
                    seconds_of.append(_exactly(data[n_threads], images))
            one, two = (1e6 * statistics.median(values) for values in times.values())
            yield f"{n:,} x {d} x {K}", f"{work:.2g}", f"{one:.0f}", f"{two:.0f}", str(threads)


def _exactly(data, images):
    """Seconds of a pass by all threads of `data`, whatever its size."""
    kept, storage._THREAD_WORK = storage._THREAD_WORK, 0
    try:
        return timed(lambda: data.loss_gradient(images.W, images.b, images.loss))[0]
    finally:
        storage._THREAD_WORK = kept


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.threads", description=__doc__)
    parser.add_argument("--data", required=True, help="folder that holds mnist/")
    parser.add_argument("--repeats", type=int, default=5, help="rounds of a row")
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    X, y = workloads.training_images(options.data)
    tutorial = workloads.tutorial(X, y)
    print(f"{machine()}\n")
    print("| work | X | one thread | two | one / two |\n|---|---|---|---|---|")
    for works in (passes(X, y), fits(X, y, tutorial)):
        for row in speed_ups(works, options.repeats):
            print(f"| {' | '.join(row)} |", flush=True)
    print(f"\nFrom {storage._THREAD_WORK:.2g} multiply-adds and 512 rows on, fastlr takes two threads:\n")
    print("| fused pass | multiply-adds | one thread, us | two, us | fastlr takes |")
    print("|---|---|---|---|---|")
    for row in break_even(200 * options.repeats):
        print(f"| {' | '.join(row)} |", flush=True)
    print(f"\nMedians; at the end {load()}")


if __name__ == "__main__":
    main()
