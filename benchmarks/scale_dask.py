"""What Dask costs a fit, and what a pass would cost on many machines: `python -m benchmarks.scale_dask`.

`--data DIR` (DIR/mnist holds the IDX files of MNIST) compares whole fits on a cluster of two worker processes
to the same in one process. Then passes over made-up rows are measured on clusters of one, two and four
workers, and a small model is fitted to their times; `--write` makes docs/scale.md of all that.
"""

import argparse
import contextlib
import math
import os
import statistics
import warnings
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from unittest.mock import patch

import dask
import distributed
import numpy as np
from dask import array as da
from distributed import Client, LocalCluster
from scipy.optimize import nnls

import fastlr
import fastlr.dask as room
from benchmarks import workloads
from benchmarks.measure import compared, load, machine, take_turns, timed
from fastlr import Blocks

PAGE = Path(__file__).parents[1] / "docs" / "scale.md"
WORKERS = (1, 2, 4)
PARTITIONS = 8  # of the images
# The question: so many rows of MNIST's width, on so many workers of one thread.
ROWS, CLUSTER, SHAPE = 10**9, 1000, (784, 10)


@contextlib.contextmanager
def cluster(n_workers):
    """A client of so many worker processes of one thread, and of whatever memory."""
    options = {"threads_per_worker": 1, "dashboard_address": ":0", "memory_limit": None}
    with LocalCluster(n_workers=n_workers, **options) as workers, Client(workers) as client:
        yield client


def persisted(client, *arrays):
    arrays = client.persist(arrays)
    distributed.wait(arrays)
    return arrays


# --- whole fits -----------------------------------------------------------------------------------------


def fits(X, y, repeats):
    """Rows of a table: seconds of a fit with two workers, against the same blocks and against plain arrays in
    one process with two threads."""
    size = math.ceil(len(X) / PARTITIONS)
    cuts = [slice(start, start + size) for start in range(0, len(X), size)]
    blocks = Blocks([(X[cut], y[cut]) for cut in cuts])
    with cluster(2) as client:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sending large graph", UserWarning)
            D = persisted(client, da.from_array(X, chunks=(size, X.shape[1])), da.from_array(y, chunks=size))
        for penalty, C in (("l2", 1e-4), ("l1", 1e-3)):
            options = {"penalty": penalty, "C": C, "scaling": "unit", "random_state": 0}
            models = {
                "Dask": room.LogisticRegression(**options, client=client),
                "blocks": fastlr.LogisticRegression(**options, n_threads=2),
                "arrays": fastlr.LogisticRegression(**options, n_threads=2),
            }
            data = {"Dask": D, "blocks": (blocks, None), "arrays": (X, y)}
            sides = {name: partial(model.fit, *data[name]) for name, model in models.items()}
            take_turns(sides, 1)  # connections are made, and pages touched
            times = take_turns(sides, repeats)
            gaps = {name: model.dual_gap_ / model.null_objective_ for name, model in models.items()}
            for other in ("blocks", "arrays"):
                label = f"{penalty.upper()}, Dask with 2 workers, against {other}, 2 threads"
                note = f"relative gaps {gaps['Dask']:.1e} and {gaps[other]:.1e}"
                _, ours, peer, _, note = compared(label, times, "Dask", other, note)
                ratios = [a / b for a, b in zip(times["Dask"], times[other], strict=True)]
                yield label, ours, peer, f"**{statistics.median(ratios):.2f}**", note


# --- passes ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pass:
    """A pass over all rows: n rows of d features and K score columns, in so many bundles, on so many workers,
    of which as many work at a time as there are processors."""

    n: int
    d: int
    K: int
    bundles: int
    workers: int
    at_work: int

    @cached_property
    def levels(self):
        """How many results each level of the tree of sums begins with; the client adds up the last."""
        counts = [self.bundles]
        while counts[-1] > room._FAN_IN:
            counts.append(math.ceil(counts[-1] / room._FAN_IN))
        return counts

    @property
    def tasks(self):
        """Tasks, all of which the scheduler handles one by one."""
        return sum(self.levels)

    @property
    def sent(self):
        """Bytes that have to wait for each other: the weights to each bundle, the results of the last level
        to the client, and on each level between as many gradients as a task adds up, for each turn that the
        workers take."""
        between = sum(room._FAN_IN * math.ceil(count / self.at_work) for count in self.levels[1:])
        return 8 * self.d * self.K * (self.bundles + self.levels[-1] + between)

    @property
    def macs(self):
        """Multiply-adds of a worker: scores and gradient."""
        return 2 * self.n * self.d * self.K / self.at_work

    @property
    def features(self):
        """What the coefficients of `Model` are multiplied with."""
        return np.array([len(self.levels), self.tasks, self.sent, self.macs])


@dataclass(frozen=True)
class Model:
    """Seconds of a pass, a sum: for each level of the tree, each task, each byte and each multiply-add."""

    coefficients: np.ndarray
    error: float  # median of the relative errors
    largest: float

    @classmethod
    def of(cls, passes, times):
        """By least squares of the relative errors; no coefficient is negative."""
        A = np.array([each.features for each in passes]) / np.array(times)[:, None]
        scale = A.max(axis=0)
        found, _ = nnls(A / scale, np.ones(len(times)))
        errors = np.abs(A @ (found / scale) - 1)
        return cls(found / scale, float(np.median(errors)), float(errors.max()))

    def parts(self, each):
        """Seconds: of the levels, tasks, bytes and arithmetic."""
        return self.coefficients * each.features


def cases(workers):
    """(n, d, K, bundles): many rows, many bundles, many weights."""
    for n in (20_000, 60_000, 120_000):
        yield n, 784, 10, workers
    for bundles in (workers, 8, 24, 64):
        yield 64 * bundles, 20, 3, bundles
    for d, bundles in ((784, 8), (784, 24), (4_000, workers), (4_000, 8), (10_000, workers)):
        yield 32 * bundles, d, 10, bundles


def passes(repeats):
    """Each pass that was measured, and its seconds: the median."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for workers in WORKERS:
        with cluster(workers) as client:
            for n, d, K, bundles in cases(workers):
                problem, W, b = _problem(client, n, d, K, bundles)
                work = partial(problem.loss_gradient, W, b)
                work()
                seconds = statistics.median(timed(work)[0] for _ in range(repeats))
                yield Pass(n, d, K, bundles, workers, min(workers, processors)), seconds


def _problem(client, n, d, K, bundles):
    """The problem of made-up bytes that are born on the workers, a bundle for each partition, and a point."""
    rng, rows = da.random.default_rng(0), math.ceil(n / bundles)
    X = rng.integers(0, 256, size=(n, d), dtype=np.uint8, chunks=(rows, d))
    y = rng.integers(0, K, size=n, chunks=rows)
    X, y = persisted(client, X, y)
    clf = room.LogisticRegression(client=client)
    with patch.object(room, "_BUNDLE_SHARE", 1e-18), patch.object(room, "_shares", _each_alone):
        training = room._training(clf, X, y, None, range(K))
    problem = clf._problems(training, 1.0, 0.0, 1.0)[0]
    W, b = problem.start(np.float32)
    W += np.random.default_rng(0).normal(scale=1e-4, size=W.shape)
    return problem, W, b


def _each_alone(mine, *_):
    return [[i] for i in mine]


# --- the page -------------------------------------------------------------------------------------------


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def seconds(value):
    return f"{1e3 * value:.3g} ms" if value < 1 else f"{value:.3g} s"


def predictions(model):
    """Rows of a table: what a pass of the question would cost with more and more workers."""
    d, K = SHAPE
    for workers in (1, 10, 100, CLUSTER, 10 * CLUSTER):
        each = Pass(ROWS, d, K, workers, workers, workers)
        levels, tasks, sent, arithmetic = model.parts(each)
        total = levels + tasks + sent + arithmetic
        yield (
            f"{workers:,}", seconds(arithmetic), seconds(tasks), seconds(sent), seconds(levels),
            f"**{seconds(total)}**", f"{arithmetic / total:.0%}",
        )  # fmt: skip


def page(fitted, measured, model):
    """The page as Markdown."""
    level, task, byte, mac = model.coefficients
    d, K = SHAPE
    question = Pass(ROWS, d, K, CLUSTER, CLUSTER, CLUSTER)
    rows = [
        (each.workers, f"{each.n:,}", f"{each.d:,} x {each.K}", each.bundles, seconds(time),
         seconds(model.parts(each).sum()))
        for each, time in measured
    ]  # fmt: skip
    per_byte = f"{1e-6 / byte:,.0f} MB/s" if byte else "too fast to tell"
    parts = [
        "# Many workers: what a pass over all rows costs",
        "Written by `python -m benchmarks.scale_dask --data DIR --write`; no number here was typed.",
        f"Measured on {machine()}; Dask {dask.__version__}, distributed {distributed.__version__}.",
        "## Whole fits",
        "60,000 x 784 bytes of MNIST, ten classes, the default `tol`. Dask has two worker processes of one "
        "thread each; the others are one process with two threads: the same blocks, and one array.",
        table(("fit", "Dask", "other", "Dask / other", ""), fitted)
        if fitted
        else "Not measured: no `--data`.",
        "## A model of a pass",
        "A pass is what a solver asks of all rows: loss and gradient, or the entropy of a certificate. "
        "A step of the solver is one of each; between these it works on its sample, on the client. "
        f"{len(measured)} passes over made-up bytes gave, by least squares of relative errors,",
        f"    seconds = {level:.2e} per level of the tree of sums + {task:.2e} per task\n"
        f"              + {byte:.2e} per byte + {mac:.2e} per multiply-add of a worker",
        f"that is {seconds(level)} for each round trip, {seconds(task)} for each task, {per_byte}, and "
        f"{2e-9 / mac if mac else math.inf:,.1f} Gflop/s of a worker. The median error of the "
        f"model is {model.error:.0%}, the largest {model.largest:.0%}.",
        table(("workers", "rows", "weights", "bundles", "measured", "model"), rows),
        f"## {ROWS:.0e} rows and {CLUSTER:,} workers".replace("e+0", "e"),
        f"{ROWS:,} rows of {d} bytes, {K} classes, one bundle for each worker of one thread, as the model "
        f"has it:",
        table(
            ("workers", "arithmetic", "tasks", "bytes", "levels", "a pass", "share of arithmetic"),
            list(predictions(model)),
        ),
        f"With {CLUSTER:,} workers a pass is {question.tasks:,} tasks in {len(question.levels)} levels; "
        f"{question.sent / 1e6:,.0f} MB wait for each other, whatever the number of rows: "
        f"{8 * d * K / 1e3:,.0f} kB to each bundle, and as much back, added up on the way by "
        f"{room._FAN_IN} at a time.",
        "## What this assumes",
        "- The scheduler handles tasks one by one, at the speed of this machine, and sends the weights "
        "to the workers one after the other.\n"
        "- Bytes went over the loopback of one machine, where they are cheaper than on most networks: with a "
        "network of 1 Gbit/s (125 MB/s) the column of bytes would be that of "
        f"{question.sent / 125e6:.2g} s for {CLUSTER:,} workers.\n"
        "- Where there were more workers than processors, the arithmetic was taken to share these.\n"
        "- Rows are spread evenly and lie in the memory of the workers. Reading them from a disk is not "
        "counted, nor are the first look, the sample and the solver's work on it, which do not depend on the "
        "number of workers.",
    ]
    return "\n\n".join(parts) + f"\n\n(At the end of the measurements: {load()}.)\n"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder with mnist/")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--write", action="store_true", help=f"writes docs/{PAGE.name}")
    arguments = parser.parse_args()
    fitted = []
    if arguments.data:
        X, y = workloads.mnist(arguments.data)
        X, y = np.ascontiguousarray(X[:60_000]), y[:60_000]
        for row in fits(X, y, arguments.repeats):
            fitted.append(row)
            print(*row, sep=" | ", flush=True)
    measured = []
    for each, time in passes(arguments.repeats):
        measured.append((each, time))
        print(each, seconds(time), flush=True)
    model = Model.of(*zip(*measured, strict=True))
    text = page(fitted, measured, model)
    print(text)
    if arguments.write:
        PAGE.write_text(text)


if __name__ == "__main__":
    main()
