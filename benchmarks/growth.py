"""How the time and the memory of certified fits grow: `python -m benchmarks.growth --out docs/growth.png`.

Every point is a fit to a relative gap of 1e-4 on made-up data, in an interpreter of its own: the median time
of some fits, and the most memory that the first of them takes beyond X. Needs matplotlib.
"""

import argparse
import statistics
import warnings
from dataclasses import dataclass

from benchmarks import workloads
from benchmarks.measure import apart, extra_memory, machine, timed
from fastlr import LogisticRegression

TOL = 1e-4
PENALTIES = ("l1", "l2")
# From Okabe and Ito's colours, with a marker each, for eyes that see no colours.
STYLES = {
    "l1": {"color": "#0072B2", "marker": "o", "linestyle": "-"},
    "l2": {"color": "#D55E00", "marker": "s", "linestyle": "--"},
}
# A fit that takes longer ends without its certificate, and is drawn hollow.
MAX_TIME = 60


@dataclass(frozen=True)
class Axis:
    """A size that grows while the others stay."""

    name: str
    title: str
    others: str
    sizes: tuple

    def data(self, size):
        """X, y and the parameters of a fit."""
        if self.name == "non-zeros":
            X, y = workloads.text_like(10_000, words=size // 10_000)
            return X, y, {"C": 1.0}
        shape = {"n": 10_000, "d": 400, "K": 10} | {self.name: size}
        X, y = workloads.strips_like(**shape)
        return X, y, {"C": 50 / len(y), "scaling": "standard"}


AXES = (
    Axis("n", "n, rows", "dense, d = 400, K = 10", tuple(1000 * 2**k for k in range(8))),
    Axis("d", "d, features", "dense, n = 10,000, K = 10", tuple(50 * 2**k for k in range(7))),
    Axis("K", "K, classes", "dense, n = 10,000, d = 400", (2, 4, 8, 16, 32, 64)),
    Axis(
        "non-zeros",
        "non-zeros of X",
        "sparse, 10,000 x 50,000, K = 10",
        tuple(100_000 * 2**k for k in range(6)),
    ),
)


@dataclass(frozen=True)
class Point:
    """A measured fit; memory in bytes."""

    size: int
    seconds: float
    extra: int
    stored: int
    n_iter: int
    solver: str
    converged: bool


def measure(axis, size, penalty, solver, repeats):
    """A Point; to be called `apart`."""
    warnings.simplefilter("ignore")
    X, y, parameters = axis.data(size)
    model = LogisticRegression(penalty, solver=solver, tol=TOL, random_state=0, **parameters)
    model.fit(X[:200], y[:200])  # what the first fit of all brings into memory is not of this size
    extra, (first, _) = extra_memory(lambda: timed(lambda: model.fit(X, y, max_time=MAX_TIME)))
    times = [timed(lambda: model.fit(X, y, max_time=MAX_TIME))[0] for _ in range(repeats - 1)]
    stored = X.nbytes if hasattr(X, "nbytes") else X.data.nbytes + X.indices.nbytes + X.indptr.nbytes
    size = size if axis.name != "non-zeros" else X.nnz
    return Point(
        size, statistics.median([first, *times]), extra, stored, int(model.n_iter_[0]), model.solver_,
        model.converged_,
    )  # fmt: skip


def curves(solvers, repeats, quick):
    """Points by (name of the axis, penalty); prints them as they come."""
    print(f"{machine()}\n\n| size | penalty | solver | iterations | seconds | MB beyond X | MB of X |")
    print("|---|---|---|---|---|---|---|")
    found = {}
    for axis in AXES:
        for penalty in PENALTIES:
            points = found[axis.name, penalty] = []
            for size in axis.sizes[: 3 if quick else None]:
                point = apart(measure, axis, size, penalty, solvers[penalty], repeats)
                points.append(point)
                note = "" if point.converged else " (NOT CONVERGED)"
                print(
                    f"| {axis.name} = {point.size:,} | {penalty} | {point.solver} | {point.n_iter}{note} | "
                    f"{point.seconds:.3g} | {point.extra / 1e6:.3g} | {point.stored / 1e6:.3g} |",
                    flush=True,
                )
    return found


def draw(found):
    """A figure: a column for each axis, time above memory, all scales logarithmic."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 6.2), layout="constrained")
    grid = figure.subplots(2, len(AXES), sharex="col", sharey="row")
    for axis, (above, below) in zip(AXES, grid.T, strict=True):
        for penalty in PENALTIES:
            points = found[axis.name, penalty]
            names = "/".join(dict.fromkeys(point.solver for point in points))
            _line(above, points, [point.seconds for point in points], penalty, names)
            _line(below, points, [point.extra / 1e6 for point in points], penalty)
        sizes, seconds = [point.size for point in points], max(point.seconds for point in points)
        above.plot(sizes, [seconds * size / sizes[-1] for size in sizes], ":", color="0.5", label="slope 1")
        below.plot(sizes, [point.stored / 1e6 for point in points], ":", color="0.5", label="X itself")
        above.set_title(axis.others, fontsize=11)
        below.set_xlabel(axis.title, fontsize=11)
        for ax in (above, below):
            ax.set(xscale="log", yscale="log")
            ax.grid(color="0.92")
            ax.legend(fontsize=9, frameon=False)
        if sizes[-1] < 1000:  # too few decades for powers of ten
            below.set_xticks(sizes, [str(size) for size in sizes])
            below.xaxis.minorticks_off()
    grid[0, 0].set_ylabel("seconds of a fit", fontsize=11)
    grid[1, 0].set_ylabel("MB beyond X at most", fontsize=11)
    return figure


def _line(ax, points, values, penalty, solvers=None):
    sizes = [point.size for point in points]
    label = None if solvers is None else f"{penalty.upper()}, {solvers}"
    ax.plot(sizes, values, label=label, markersize=5, **STYLES[penalty])
    late = [(p.size, value) for p, value in zip(points, values, strict=True) if not p.converged]
    if late:
        marker, colour = STYLES[penalty]["marker"], STYLES[penalty]["color"]
        ax.plot(*zip(*late, strict=True), marker, markerfacecolor="white", markeredgecolor=colour)


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--out", help="where to save the picture")
    parser.add_argument("--repeats", type=int, default=3, help="fits at each point")
    parser.add_argument("--quick", action="store_true", help="one fit, and the smallest sizes")
    parser.add_argument("--l1-solver", default="newton-cd")
    parser.add_argument("--l2-solver", default="auto")
    options = parser.parse_args()
    solvers = {"l1": options.l1_solver, "l2": options.l2_solver}
    found = curves(solvers, 1 if options.quick else options.repeats, options.quick)
    if options.out:
        draw(found).savefig(options.out, dpi=110)


if __name__ == "__main__":
    main()
