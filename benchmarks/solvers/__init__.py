"""The solvers: a file each.

A file has

- TITLE, and PACKAGE, the distribution whose version is told;
- TAKES: the kinds of problem (`Problem.needs`) that it takes, beyond dense arrays of floats in memory;
- BUDGETS: what it is run with, each time from scratch: iterations that grow or tolerances that fall;
- DIFFERS (may be absent): how what it minimises differs from the neutral objective;
- `refuses(problem)` (may be absent): why it does not take a problem that TAKES admits, or "";
- `prepare(problem)`, which brings the data into its own form, not on the clock, and returns what is: a
  function of a budget, which fits and returns coef and intercept. What is not installed raises ImportError.
"""

import ast
import os
from importlib import import_module, metadata
from pathlib import Path

import numpy as np
from scipy import sparse

NAMES = (
    "fastlr", "fastlr_sgd", "sk_saga", "sk_lbfgs", "sk_newton_cg", "sk_newton_cholesky", "sk_liblinear",
    "sk_sgd", "skglm", "celer", "glum", "adelie", "intelex", "snapml", "lightning", "torch_sgd",
    "torch_lbfgs", "numpy_fista", "numpy_sgd",
)  # fmt: skip
BOTH_PENALTIES = {"l1", "l2"}
ANY_CLASSES = {"binary", "multinomial"}
# 1, 2, 3, 4, 6, 9 and so on: at most a half too many.
ITERATIONS = tuple(dict.fromkeys(int(1.5**k + 0.5) for k in range(36)))
EPOCHS = ITERATIONS[:12]  # up to 58: minibatch SGD with a constant step gains little from more
TOLERANCES = tuple(float(f"{digit}e-{power}") for power in range(1, 12) for digit in (1, 0.3))
# Where a solver has no free intercept: the value of a column that stands for it.
CONSTANT = 10.0


def load(name):
    """The module of a solver."""
    return import_module(f"benchmarks.solvers.{name}")


def described(name):
    """The texts of a solver's file by their names (TITLE, PACKAGE, DIFFERS), without importing it: what it
    stands for need not be installed."""
    tree = ast.parse((Path(__file__).parent / f"{name}.py").read_text())
    return {
        node.targets[0].id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
    }


def threads():
    """As many as all solvers get; set by the runner."""
    return int(os.environ.get("OMP_NUM_THREADS", "1"))


def version(solver):
    """Of the solver's distribution; fastlr may run from its checkout."""
    try:
        return metadata.version(solver.PACKAGE)
    except metadata.PackageNotFoundError:
        return import_module(solver.PACKAGE).__version__


def with_constant(X):
    """X with a column more, whose weight is an intercept: penalised, but 10 (L1) or 100 times (L2) less."""
    column = np.full((X.shape[0], 1), CONSTANT, dtype=X.dtype)
    return sparse.hstack([X, column]).tocsr() if sparse.issparse(X) else np.hstack([X, column])


def without_constant(coef):
    """coef and intercept from weights on what `with_constant` returned."""
    coef = np.atleast_2d(coef)
    return coef[:, :-1], CONSTANT * coef[:, -1]


def step_size(X):
    """The constant step of every minibatch SGD here, for minibatches of 100 and mean losses: 0.1 for images
    divided by 255, of which the mean squared length is about 100."""
    rows = X[:10_000]
    squares = rows.multiply(rows) if sparse.issparse(rows) else np.square(rows, dtype=np.float64)
    return 10 / float(squares.sum() / rows.shape[0])
