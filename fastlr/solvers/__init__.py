"""The methods: one file each, one generator each; `minimise` owns the stopping."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from fastlr.solvers.cg import cg
from fastlr.solvers.lbfgs import lbfgs
from fastlr.solvers.minimise import Result, minimise
from fastlr.solvers.newton_cd import newton_cd
from fastlr.solvers.newton_cg import newton_cg
from fastlr.solvers.saga import saga
from fastlr.solvers.sdca import sdca
from fastlr.solvers.subsampled import subsampled

__all__ = ["NAMES", "SOLVERS", "Result", "Solver", "choose", "minimise"]


@dataclass(frozen=True)
class Solver:
    """A method and what it needs.

    `steps(problem, W, b, rng, dtype)` is a generator: it yields None when it is set up (or the start, in
    arrays of its own that it is going to update in place), then iterates (W, b), one per epoch or iteration;
    None in between lets `minimise` look at the clock. It receives the certificate of what it has yielded,
    first that of the start, or None; what all classes share is left out of its (W, b). It may return when it
    can make no more progress. `pace` is what an iterate may divide the gap by, at best: infinite for methods
    whose every iterate deserves a certificate.
    """

    name: str
    steps: Callable
    smooth_only: bool = False
    needs_l2: bool = False
    takes_blocks: bool = False
    pace: float = 2.0


SOLVERS = {
    solver.name: solver
    for solver in (
        Solver("saga", saga),
        Solver("lbfgs", lbfgs, smooth_only=True, takes_blocks=True),
        Solver("cg", cg, smooth_only=True, takes_blocks=True),
        Solver("newton-cg", newton_cg, smooth_only=True, pace=math.inf),
        Solver("newton-cd", newton_cd, pace=math.inf),
        Solver("sdca", sdca, smooth_only=True, needs_l2=True, pace=8.0),
        Solver("subsampled", subsampled, takes_blocks=True, pace=math.inf),
    )
}

# scikit-learn's names for methods that are not here, and what comes nearest.
_SMOOTH_ALIASES = ("sag", "newton-cholesky")  # they refuse an L1 part, as there
ALIASES = {"sag": "saga", "liblinear": "newton-cd", "newton-cholesky": "newton-cd"}

NAMES = tuple(dict.fromkeys(("auto", *SOLVERS, *ALIASES)))


class _Rule(NamedTuple):
    holds: Callable  # of problem and tol
    solver: str
    because: str


def _hessian_is_cheap(problem):
    """Whether weights are so few that coordinate descent on the whole Hessian takes less time than products
    with it, and samples so few that its making does."""
    n_weights = problem.loss.n_columns * problem.data.d
    return not problem.data.is_sparse and n_weights <= 200 and problem.data.n * n_weights <= 1e6


def _is_large(data):
    """Whether X is several times as large as the sample of `subsampled`, of 128 MB, and this has as many rows
    as there are features: with fewer it tells little of the curvature."""
    return data.n * data.row_bytes > 640e6 and data.d * data.row_bytes <= 128e6


def _has_many_rows(data, tol):
    """Whether Hessians of all rows take longer than SAGA, which has a hard time with the last digits."""
    return data.n >= 100_000 and tol >= 1e-5


# What "auto" goes by: the first rule that holds. Raced on MNIST, 20 Newsgroups and scikit-learn's small data.
RULES = (
    _Rule(
        lambda problem, tol: not problem.data.is_whole,
        "subsampled",
        "blocks are read once or twice for a step whose curvature is that of a sample",
    ),
    _Rule(
        lambda problem, tol: not problem.data.is_sparse and _is_large(problem.data),
        "subsampled",
        "a sample tells enough of the curvature of so many rows",
    ),
    _Rule(
        lambda problem, tol: (
            problem.penalty.l1 > 0
            and not problem.data.is_sparse
            and tol >= 0.05
            and problem.data.n >= problem.data.d
        ),
        "saga",
        "a few epochs reach so loose a tolerance",
    ),
    _Rule(
        lambda problem, tol: (
            problem.penalty.l1 > 0 and not problem.data.is_sparse and _has_many_rows(problem.data, tol)
        ),
        "saga",
        "there are so many rows that a few epochs are enough",
    ),
    _Rule(
        lambda problem, tol: problem.penalty.l1 > 0,
        "newton-cd",
        "with an L1 part few weights matter, and Newton's method on these is the fastest",
    ),
    _Rule(
        lambda problem, tol: problem.penalty.l2 > 0 and _hessian_is_cheap(problem),
        "newton-cd",
        "at this size the whole Hessian is cheap",
    ),
    _Rule(
        lambda problem, tol: (
            problem.penalty.l2 > 0 and problem.data.is_sparse and problem.data.X.nnz >= 100_000
        ),
        "sdca",
        "a sparse row is cheap to make optimal in the dual",
    ),
    _Rule(
        lambda problem, tol: True,
        "newton-cg",
        "the objective is smooth, and products with its Hessian are cheap",
    ),
)


def describe(problem):
    """The problem in a few words: penalty, shape and storage."""
    penalty, data = problem.penalty, problem.data
    kind = {(True, True): "elastic net", (True, False): "L1", (False, True): "L2"}
    kind = kind.get((penalty.l1 > 0, penalty.l2 > 0), "no")
    storage = "sparse" if data.is_sparse else "dense"
    where = "data" if data.is_whole else "data in blocks"
    return f"{kind} penalty on {data.n:,} x {data.d:,} {storage} {where}, {problem.loss.n_classes} classes"


def choose(name, problem, tol):
    """The solver of that name, or the one that "auto" stands for, and the reason in one sentence.

    Parameters
    ----------
    name : str
        One of `NAMES`.
    problem : LinearProblem
    tol : float
        Relative gap that is asked for.

    Returns
    -------
    solver : Solver
    reason : str

    Raises
    ------
    ValueError
        If that solver cannot take the problem.
    """
    if name == "auto":
        rule = next(rule for rule in RULES if rule.holds(problem, tol))
        return SOLVERS[rule.solver], f"{rule.solver}: {describe(problem)}; {rule.because}."
    if name == "liblinear" and problem.loss.n_classes > 2:
        raise ValueError(
            f"solver='liblinear' takes two classes, as in scikit-learn; found {problem.loss.n_classes}. Use "
            f"solver='auto', which is multinomial, or scikit-learn's OneVsRestClassifier."
        )
    solver = SOLVERS[name if name in SOLVERS else ALIASES[name]]
    if (solver.smooth_only or name in _SMOOTH_ALIASES) and problem.penalty.l1 > 0:
        others = ", ".join(repr(s.name) for s in SOLVERS.values() if not s.smooth_only)
        raise ValueError(
            f"solver={name!r} needs a smooth penalty, but the penalty has an L1 part; "
            f"use one of {others} or solver='auto'."
        )
    if solver.needs_l2 and problem.penalty.l2 == 0:
        raise ValueError(
            f"solver={name!r} needs an L2 penalty, but there is no penalty; "
            f"use solver='lbfgs' or solver='auto', or a finite C."
        )
    if not (solver.takes_blocks or problem.data.is_whole):
        others = ", ".join(repr(s.name) for s in SOLVERS.values() if s.takes_blocks)
        raise ValueError(
            f"solver={name!r} needs X as an array, but it comes in blocks; use one of {others} or "
            f"solver='auto'."
        )
    return solver, f"{solver.name}: {describe(problem)}; asked for by solver={name!r}."
