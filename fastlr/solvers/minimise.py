"""The one loop that owns stopping, certificates, history and progress."""

import math
import time
from dataclasses import dataclass
from itertools import count

import numpy as np

from fastlr.certificate import certify


def _pause(n_iter, gap, target):
    """Iterations until the next certificate, which costs up to two passes: a tenth of those done, or as many
    as it takes if each of them halves the gap, which few methods do for long."""
    hopeful = math.log2(max(gap / target, 1)) if target > 0 else 1
    return max(1, n_iter // 10, math.ceil(min(hopeful, max(n_iter, 16))))


@dataclass(frozen=True)
class Result:
    """The best iterate seen, and what is known of it.

    `objective - dual_gap <= min F <= objective`; history has the lists "objective", "dual_gap" and
    "time" (seconds since the start), one entry per check.
    """

    W: np.ndarray
    b: np.ndarray
    objective: float
    dual_gap: float
    residual: float
    converged: bool
    n_iter: int
    history: dict


class _Record:
    """The best primal point and the best dual bound seen; they need not come from the same iterate."""

    def __init__(self, problem, tol):
        self.target = tol * problem.null_objective
        self.tol = tol
        self.is_penalised = problem.penalty.l1 > 0 or problem.penalty.l2 > 0
        self.objective, self.bound, self.residual = np.inf, -np.inf, np.inf
        self.point = None
        self.history = {"objective": [], "dual_gap": [], "time": []}
        self.began = time.perf_counter()

    @property
    def gap(self):
        return max(self.objective - self.bound, 0.0)

    def add(self, W, b, certificate):
        self.bound = max(self.bound, certificate.objective - certificate.gap)
        if certificate.objective < self.objective or self.point is None:
            self.objective, self.residual = certificate.objective, certificate.residual
            self.point = W.copy(order="K"), b.copy()
        self.history["objective"].append(certificate.objective)
        self.history["dual_gap"].append(max(certificate.objective - self.bound, 0.0))
        self.history["time"].append(time.perf_counter() - self.began)

    @property
    def converged(self):
        """The gap decides; without a penalty, where it is seldom informative, the gradient may, too."""
        if self.gap <= self.target:
            return True
        return not self.is_penalised and self.residual <= self.tol

    def result(self, n_iter):
        return Result(
            *self.point, self.objective, self.gap, self.residual, self.converged, n_iter, self.history
        )


def minimise(problem, steps, W, b, *, tol, max_iter, stored=np.float64, report=None):
    """Runs a solver until its certificate satisfies `tol`.

    Parameters
    ----------
    problem : LinearProblem
    steps : generator
        Yields iterates (W, b) on from the start; receives certificates.
    W, b : arrays
        The start.
    tol : float
        Stop when gap <= tol * problem.null_objective; without a penalty, also when the largest gradient
        entry is at most tol times its value at the null model.
    max_iter : int
        Iterates to take.
    stored : dtype
        Certificates describe the model rounded to this type.
    report : callable, optional
        Called with (n_iter, objective, gap) after each check.

    Returns
    -------
    Result
    """
    record = _Record(problem, tol)
    certificate = None

    def check(n_iter, W, b):
        if not (np.isfinite(W).all() and np.isfinite(b).all()):
            return None
        W, b = problem.as_stored(W, b, stored)
        certificate = certify(problem, W, b)
        if not np.isfinite(certificate.objective):
            return None
        record.add(W, b, certificate)
        if report is not None:
            report(n_iter, record.objective, record.gap)
        return certificate

    if max_iter == 0 or W.any() or problem.null_is_optimal:
        check(0, W, b)
        if max_iter == 0 or record.converged:
            return record.result(0)

    next_check = _pause(0, min(record.gap, problem.null_objective), record.target)
    next(steps)
    for n_iter in count(1):
        W, b = steps.send(certificate)
        certificate = None
        if n_iter < next_check and n_iter < max_iter:
            continue
        certificate = check(n_iter, W, b)
        next_check = n_iter + _pause(n_iter, record.gap, record.target)
        if certificate is None or record.converged or n_iter >= max_iter:
            break
    if record.point is None:
        check(0, *problem.start(W.dtype))
    return record.result(n_iter)
