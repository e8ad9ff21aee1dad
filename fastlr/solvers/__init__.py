"""The methods: one file each, one generator each; `minimise` owns the stopping."""

from collections.abc import Callable
from dataclasses import dataclass

from fastlr.solvers.lbfgs import lbfgs
from fastlr.solvers.minimise import Result, minimise
from fastlr.solvers.saga import saga

__all__ = ["SOLVERS", "Result", "Solver", "choose", "minimise"]


@dataclass(frozen=True)
class Solver:
    """A method and what it needs.

    `steps(problem, W, b, rng)` is a generator of iterates (W, b), one per epoch or iteration; it may
    update them in place, and receives from `minimise` the last certificate, or None.
    """

    name: str
    steps: Callable
    smooth_only: bool = False


SOLVERS = {solver.name: solver for solver in (Solver("saga", saga), Solver("lbfgs", lbfgs, smooth_only=True))}


def choose(name, penalty):
    """The solver of that name, or the one that "auto" stands for; refuses what it cannot do."""
    if name == "auto":
        return SOLVERS["saga" if penalty.l1 > 0 else "lbfgs"]
    solver = SOLVERS[name]
    if solver.smooth_only and penalty.l1 > 0:
        others = ", ".join(repr(s.name) for s in SOLVERS.values() if not s.smooth_only)
        raise ValueError(
            f"solver={name!r} needs a smooth penalty, but the penalty has an L1 part; "
            f"use one of {others} or solver='auto'."
        )
    return solver
