"""The one loop that owns stopping, certificates, history and progress."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from fastlr.blas import single_threaded
from fastlr.certificate import Certificate, certify
from fastlr.problem import LinearProblem

# Newton's methods double the digits with each step, and those that solve for it roughly need one more.
_LAST_STEPS = 3


def _pause(n_iter, gap, target, pace):
    """Iterations until the next certificate, which costs up to two passes: a tenth of those done, or as many
    as it takes if each of them divides the gap by `pace`, which few methods do for long."""
    hopeful = float(target == 0)
    if gap > target > 0:
        hopeful = (math.log(gap) - math.log(target)) / math.log(pace)  # their ratio might be infinite
    return max(1, n_iter // 10 if pace < math.inf else 1, math.ceil(min(hopeful, max(n_iter, 16))))


@dataclass(frozen=True)
class Result:
    """The best iterate seen, and what is known of it.

    `objective - dual_gap <= min F <= objective`; history has the lists "objective", "dual_gap" and
    "time" (seconds since the start), one entry per check. `status` says why it ended: "converged",
    "max_iter", "max_time", "interrupted", "stopped" (the report asked for it), "stalled" (the solver could
    make no more progress) or "diverged" (it came to a point that is not finite).
    """

    W: np.ndarray
    b: np.ndarray
    objective: float
    dual_gap: float
    residual: float
    converged: bool
    status: str
    n_iter: int
    history: dict


@dataclass(frozen=True)
class Check:
    """What is reported after so many iterations: the best point so far, its objective, its gap and the gap
    to reach."""

    n_iter: int
    objective: float
    gap: float
    target: float
    W: np.ndarray
    b: np.ndarray


@dataclass
class _Run:
    """What is known so far: the latest iterate, and the best point and the best dual bound, which need not
    come from the same iterate."""

    problem: LinearProblem
    latest: tuple  # W, b
    tol: float
    began: float
    max_time: float
    stored: np.dtype
    report: Callable | None
    n_iter: int = 0
    is_checked: bool = False  # the latest iterate, that is
    best: tuple | None = None  # W, b, objective, residual; replaced whole, lest an interrupt find half of it
    bound: float = -np.inf
    certificate: Certificate | None = None  # of the latest iterate
    cost: float = 0.0  # seconds of the last certificate
    pace: float = 2.0
    goal: float = np.inf  # relative gap to go on to
    last_iter: int | None = None  # of those for the goal
    checks: list = field(default_factory=list)

    @property
    def target(self):
        """The gap to reach."""
        problem = self.problem
        if problem.null_objective > 0:
            return self.tol * problem.null_objective
        # Only one class has weight. The infimum is 0, for an infinite intercept; the loss keeps it finite.
        return 1e-8 * problem.loss.n_classes * problem.loss.class_mass.sum()

    @property
    def gap(self):
        return np.inf if self.best is None else max(self.best[2] - self.bound, 0.0)

    @property
    def elapsed(self):
        return time.perf_counter() - self.began

    @property
    def time_is_up(self):
        """Whether there is no time for more than one certificate."""
        return self.elapsed + self.cost >= self.max_time

    @property
    def converged(self):
        """The gap decides; without a penalty, where it is seldom informative, the gradient may, too."""
        if self.best is None or self.gap <= self.target:
            return self.best is not None
        penalty = self.problem.penalty
        return not (penalty.l1 > 0 or penalty.l2 > 0) and self.best[3] <= self.tol

    @property
    def is_worse_than_null(self):
        """Whether iterates have led beyond the null model, by more than rounding or its finite intercepts."""
        null = self.problem.null_objective
        return self.n_iter > 0 and 0 < (1 + 1e-6) * null < self.best[2]

    def take(self, iterate):
        self.latest, self.is_checked, self.certificate = iterate, False, None
        self.n_iter += 1

    def check(self):
        """Certifies the latest iterate; returns the status, if that is a reason to end."""
        self.is_checked = True
        began, (W, b) = self.elapsed, self.latest
        with np.errstate(over="ignore", invalid="ignore"):  # weights beyond the stored type, or NaN
            W, b = self.problem.as_stored(W, b, self.stored)
        if not (np.isfinite(W).all() and np.isfinite(b).all()):
            return "diverged"
        certificate = certify(self.problem, W, b)
        objective = certificate.objective
        if not np.isfinite(objective):
            return "diverged"
        bound, best = max(self.bound, objective - certificate.gap), self.best
        if best is None or objective < best[2]:
            best = W, b, objective, certificate.residual
        checks = [*self.checks, (objective, max(objective - bound, 0.0), self.elapsed)]
        cost = self.elapsed - began
        # No call from here on: an interrupt comes with one, and would find half of this.
        self.certificate, self.bound, self.best = certificate, bound, best
        self.checks, self.cost = checks, cost
        stop = False
        if self.report is not None:
            W, b, objective, _ = self.best
            stop = self.report(Check(self.n_iter, objective, self.gap, self.target, W, b))
        if self.converged and self.has_reached_goal:
            return "converged"
        return "stopped" if stop else None

    @property
    def has_reached_goal(self):
        """Whether to end a run that has converged: at the goal, or after as many iterations again, of methods
        that then converge at once after three; at once from a start that is good enough."""
        if self.last_iter is None:
            self.last_iter = self.n_iter + (_LAST_STEPS if self.pace == math.inf else self.n_iter)
        is_over = self.n_iter == 0 or self.n_iter >= self.last_iter
        return is_over or self.gap <= self.goal * self.problem.null_objective

    def result(self, status):
        W, b, objective, residual = self.best
        columns = [list(values) for values in zip(*self.checks, strict=True)]
        history = dict(zip(("objective", "dual_gap", "time"), columns, strict=True))
        return Result(W, b, objective, self.gap, residual, self.converged, status, self.n_iter, history)


_END = object()


def _send(steps, certificate):
    """What the solver yields next, or _END."""
    try:
        return steps.send(certificate)
    except StopIteration:
        return _END


def _iterate(run, steps, max_iter, pace):
    """Takes iterates until there is a reason to end; returns the status."""
    if (max_iter == 0 or run.latest[0].any() or run.problem.null_is_optimal) and (status := run.check()):
        return status
    if max_iter > 0 and not run.time_is_up:
        run.latest = next(steps, None) or run.latest
    next_check = _pause(0, min(run.gap, run.problem.null_objective), run.target, pace)
    told = run.certificate
    while run.n_iter < max_iter:
        if run.time_is_up:
            return "max_time"
        iterate, told = _send(steps, told), None
        if iterate is _END:
            return "stalled"
        if iterate is None:
            continue
        run.take(iterate)
        if run.n_iter >= min(next_check, max_iter):
            if status := run.check():
                return status
            next_check = run.n_iter + _pause(run.n_iter, run.gap, run.target, pace)
            told = run.certificate
    return "max_iter"


def minimise(
    problem, steps, W, b, *, tol, goal=np.inf, max_iter, max_time=None, began=None, pace=2.0,
    stored=np.float64, report=None,
):  # fmt: skip
    """Runs a solver until its certificate satisfies `tol`, or something else ends it.

    A KeyboardInterrupt in the solver or in a certificate ends it, too; a second one, while the model to
    return is certified, is raised.

    Parameters
    ----------
    problem : LinearProblem
    steps : generator
        Yields None once it is set up, or the start in arrays that it is going to update in place; then
        iterates (W, b), and None at any time when there is nothing new but time has passed. May return
        when it can make no more progress. Receives the certificate of what it yielded, first that of the
        start, or None where there is none.
    W, b : arrays
        The start.
    tol : float
        Stop when gap <= tol * problem.null_objective; without a penalty, also when the largest gradient
        entry is at most tol times its value at the null model.
    goal : float, optional
        Below `tol`: go on until gap <= goal * problem.null_objective, for at most as many iterates again,
        or three where `pace` is infinite.
    max_iter : int
        Iterates to take.
    max_time : float, optional
        Seconds to take; the time of the last certificate is counted in once that of another is known.
    began : float, optional
        What `time.perf_counter()` was when time began to count; by default now.
    pace : float, default=2
        What an iterate may divide the gap by, at best: certificates wait accordingly. Infinite for methods
        of few and expensive iterations.
    stored : dtype
        Certificates describe the model rounded to this type.
    report : callable, optional
        Called with a Check after each check; ends the run by returning True. What it raises is passed on.

    Returns
    -------
    Result
        The best model that has a certificate.
    """
    began = time.perf_counter() if began is None else began
    max_time = np.inf if max_time is None else max_time
    run = _Run(problem, (W, b), tol, began, max_time, stored, report, pace=pace, goal=goal)
    return single_threaded(lambda: _run_to_the_end(run, steps, max_iter, pace))


def _run_to_the_end(run, steps, max_iter, pace):
    try:
        status = _iterate(run, steps, max_iter, pace)
        if not run.is_checked:
            status = run.check() or status
    except KeyboardInterrupt:
        status = "interrupted"
    if run.best is None:
        run.check()
    if run.best is None or run.is_worse_than_null:
        run.latest = run.problem.start(run.latest[0].dtype)
        run.check()
    if run.best is None:
        raise ValueError(
            "X, sample_weight and C must keep the objective finite; that of the model without features is "
            "not. Bring them to other units."
        )
    if run.converged and status != "interrupted":
        status = "converged"
    return run.result(status)
