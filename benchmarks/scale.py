"""Fits to a file that need not fit into memory, each in a process of its own, with the memory that they take.

python -m benchmarks.scale --data DIR [--write]; `python -m benchmarks.mnist8m --out DIR` makes the folder.
Anonymous memory is what the process has of its own (RssAnon); pages of the mapped file do not count.
"""

import argparse
import itertools
import threading
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from benchmarks.measure import apart, machine, seconds, timed
from fastlr import Blocks, EarlyStopping, LogisticRegression, SGDClassifier

_BLOCK = 81_000  # rows
PAGE = Path(__file__).parents[1] / "docs" / "out-of-core.md"


def _anonymous():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) * 1024


class _Peak(threading.Thread):
    """The most anonymous memory of this process, looked at a hundred times a second."""

    def __init__(self):
        super().__init__(daemon=True)
        self.bytes = 0

    def run(self):
        while True:
            self.bytes = max(self.bytes, _anonymous())
            time.sleep(0.01)


def _rows(folder, in_blocks):
    X, y = (np.load(Path(folder) / f"{name}.npy", mmap_mode="r") for name in ("images", "labels"))
    if not in_blocks:
        return X, y
    return (Blocks([(X[i : i + _BLOCK], y[i : i + _BLOCK]) for i in range(0, len(X), _BLOCK)]),)


def pass_over(folder):
    """Seconds to read the file once, from the cache of the system: what a pass cannot beat."""
    X, _ = _rows(folder, False)
    words = X.reshape(-1).view(np.uint64)
    return min(timed(lambda: words.max())[0] for _ in range(3))


def descent(folder, in_blocks, epochs):
    """Seconds of an epoch with its evaluations, best validation accuracy, bytes."""
    peak = _Peak()
    peak.start()
    rows = _rows(folder, in_blocks)
    sgd = SGDClassifier(
        eta0=0.24, batch_size=100, scaling="unit", max_iter=epochs, tol=None, random_state=0,
        early_stopping=False if in_blocks else EarlyStopping(patience=5),
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        sgd.fit(*rows)
    history = sgd.history_
    scores = history.get("val_score", history["train_score"])
    return history["time"][-1] / sgd.n_iter_, max(scores), sgd.n_iter_, peak.bytes


def certified(folder, in_blocks, penalty, tol):
    """Seconds, relative gap, solver and iterations, bytes."""
    peak = _Peak()
    peak.start()
    rows = _rows(folder, in_blocks)
    n = len(np.load(Path(folder) / "labels.npy", mmap_mode="r"))
    clf = LogisticRegression(penalty, C=600 / n, scaling="unit", tol=tol, random_state=0)
    spent, _ = timed(lambda: clf.fit(*rows, max_time=600))
    return spent, clf.dual_gap_ / clf.null_objective_, clf.solver_, int(clf.n_iter_[0]), peak.bytes


def table(folder, epochs):
    """The lines of the table."""
    yield "| work | from | seconds | what came of it | RssAnon at most |"
    yield "|---|---|---|---|---|"
    for in_blocks, source in ((False, "the mapped file"), (True, "blocks")):
        spent, score, count, peak = apart(descent, folder, in_blocks, epochs)
        what = "training" if in_blocks else "validation"
        work = f"softmax SGD, minibatches of 100: one epoch with its evaluation, mean of {count}"
        found = f"{what} accuracy {score:.2%}"
        yield f"| {work} | {source} | {seconds([spent])} | {found} | {peak / 1e9:.2f} GB |"
    for penalty, tol in itertools.product(("l2", "l1"), (1e-3, 1e-6)):
        for in_blocks, source in ((False, "the mapped file"), (True, "blocks")):
            spent, gap, solver, count, peak = apart(certified, folder, in_blocks, penalty, tol)
            work = f"{penalty.upper()}, C = 600 / n, to a relative gap of {tol:.0e}"
            found = f"gap {gap:.1e}, {solver}, {count} iterations"
            yield f"| {work} | {source} | {seconds([spent])} | {found} | {peak / 1e9:.2f} GB |"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder of images.npy and labels.npy")
    parser.add_argument("--epochs", type=int, default=5, help="of SGD")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name}, too")
    arguments = parser.parse_args()
    X = np.load(Path(arguments.data) / "images.npy", mmap_mode="r")
    lines = [
        "# Larger than memory",
        "",
        f"{len(X):,} x {X.shape[1]} {X.dtype} ({X.nbytes / 1e9:.1f} GB), made of MNIST's images by small "
        "shifts and rotations. Written by `python -m benchmarks.scale --write`; nothing here is typed by "
        "hand.",
        "",
        machine(),
        "",
        f"To read the file once with NumPy, one thread, from the system's cache: "
        f"{seconds([apart(pass_over, arguments.data)])}.",
        "",
    ]
    for line in lines:
        print(line, flush=True)
    for line in table(arguments.data, arguments.epochs):
        lines.append(line)
        print(line, flush=True)
    if arguments.write:
        PAGE.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
