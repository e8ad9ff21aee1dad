"""Proximal Newton with coordinate descent: min_W,b  sum_i s_i loss_i + l1 |W|_1 + l2/2 |W|^2.

1. working set: the weights that are not zero and the strongest violators of the optimality conditions,
   as many or half as many at most (but 100);
2. quadratic model of the loss on them, exact over all classes: models of one class at a time need not
   converge where data are nearly separable or correlated;
3. minimise it with the penalty by coordinate descent;
4. search along the step by its scores, without a pass over X. A step cut short shows that the curvature
   was too small: the next model takes it at `temper` times the scores, where probabilities are nearer
   to equal, and adds `damping` times a bound to its diagonal (raced on MNIST and 20 Newsgroups: tempering
   halves the steps; without damping, columns of saturated rows send the step anywhere);
5. certify: the gradient of all weights starts the next round.

A dense problem of many rows starts from the solution of a sample of them.
Shapes: n samples, d features, K score columns, a active pairs of column and feature.
"""

from dataclasses import dataclass, replace

import numpy as np

from fastlr.certificate import Certificate, certify
from fastlr.data import Data
from fastlr.solvers.quadratic import Active, Columns, Gram, Scores

_LEAST = 100  # pairs of a working set
_GRAM_PAIRS = 4000  # a Hessian of 64 MB in float32
_SAMPLE, _SAMPLE_ROWS = 8, 600  # one row in so many, and no fewer than so many rows
_SAMPLE_TOL, _SAMPLE_STEPS = 0.1, 20
_INEXACT = 0.01  # rounds on one working set end below this part of the first one's promise
_FORCING = 1e-3  # of the relative gap: the part of its decrease at which coordinate descent rests
_UNSEEN = 1e-9  # of the objective: steps that promise less are below the noise of a search
_FAILURES = 4  # rounds in a row that lower nothing


@dataclass
class _Trust:
    """What the last steps say of the next model."""

    temper: float = 1.0
    damping: float = 1e-3
    promise: float = 0.0  # of the last step: the decrease that its slope foretold
    failures: int = 0  # rounds in a row that lowered nothing

    def learn(self, t, slope):
        """From the length of a step and its slope."""
        self.promise = -slope
        if t < 0.5:
            self.temper = max(0.6 * self.temper, 0.1)
            self.damping = min(self.damping * (100 if t < 0.05 else 10), 1.0)
        elif t == 1:
            self.temper = min(1.6 * self.temper, 1.0)
            self.damping = max(self.damping / 3, 1e-8)


def _violators(problem, at, room):
    """The zero weights that violate optimality most, at most `room`, as a mask (K, d)."""
    penalty = problem.penalty
    size = np.abs(at.G + penalty.smooth_gradient(at.W) if penalty.l2 else at.G)
    mask = size > penalty.thresholds
    mask &= at.W == 0
    excess = (size / penalty.units)[mask]
    if len(excess) > room:
        mask[mask] = excess >= np.partition(excess, -room)[-room]
    return mask


def _growth(problem, at, trust):
    """How many violators may enter, as a part of the support."""
    if problem.data.is_sparse:
        return 1.0  # its working sets are solved before they grow
    # Far from the optimum of the last one, violators say little: many would enter in vain.
    return 0.5 if trust.promise <= 0.1 * at.gap else 0.125


def _search(line, D, active, w, step, slope):
    """The length t of a step, 1 where that lowers F well, else near the minimum along it; and the residuals
    there."""

    def along(t):
        loss, R = line.at(line.Z + t * D)
        v = w + t * step
        # At a kink the side that one comes from.
        sign = np.where(np.abs(v) <= 1e-14 * np.abs(w), np.sign(w), np.sign(v))
        change = np.einsum("ki,ki->", R, D) + np.sum((active.curvature * v + active.cut * sign) * step)
        return loss + active.penalty(v), change, R

    F0 = line.at(line.Z)[0] + active.penalty(w)
    low, low_slope, high, high_slope, t = 0.0, slope, None, None, 1.0
    for _ in range(20):
        F, new_slope, R = along(t)
        enough = F - (F0 + 0.2 * t * slope) <= 0
        if (enough and (t == 1 or abs(new_slope) <= 0.3 * abs(slope))) or -slope <= _UNSEEN * abs(F0):
            break
        if new_slope <= 0 and high is None:
            break
        if new_slope > 0:
            high, high_slope = t, new_slope
        else:
            low, low_slope = t, new_slope
        t = low + (high - low) * np.clip(low_slope / (low_slope - high_slope), 0.1, 0.9)
    return t, R


def _rounds(problem, at, line, trust):
    """Newton steps on a working set, on from a certified point; the new (W, b)."""
    support = at.W != 0
    mask = support | _violators(problem, at, max(_LEAST, int(_growth(problem, at, trust) * support.sum())))
    active = Active.of(problem, mask)
    pairs = active.pairs
    by_scores = problem.data.is_sparse or len(pairs.feature) > _GRAM_PAIRS
    model = (Columns if by_scores else Gram)(problem, active, np.float32)
    rest = np.clip(_FORCING * at.gap / problem.null_objective, 1e-9, 1e-2) * 1e-2**trust.failures
    W, b = at.W.copy(order="K"), at.b.copy()
    gradient, first = pairs.take(at.G, at.G_b), None
    for count in range(1, model.rounds + 1):
        w0 = pairs.take(W, b)
        q = gradient + active.curvature * w0
        w = model.minimiser(line, w0, q, trust.temper, trust.damping, rest)
        step = w - w0
        slope = q @ step + np.sum(active.cut * (np.abs(w) - np.abs(w0)))
        dW, db = problem.data.weights(len(b), np.float64), np.zeros(len(b))
        pairs.put(step, dW, db)
        D = line.padded(model.scores(line, dW, db))
        t, R = _search(line, D, active, w0, step, slope)
        trust.learn(t, slope)
        pairs.put(w if t == 1 else w0 + t * step, W, b)
        line.Z += t * D
        first = first or slope
        if count == model.rounds or slope >= _INEXACT * first:
            return W, b
        yield None
        gradient = model.gradient(line, R)


def _sample(problem, rng):
    """The problem of some of the rows, weights scaled up; None if these are too few or lack a class."""
    loss, n = problem.loss, problem.data.n
    index = np.sort(rng.permutation(n)[: n // _SAMPLE])
    s, y = loss.s[index], loss.y[index]
    if problem.data.is_sparse or len(index) < _SAMPLE_ROWS:
        return None
    if len(np.unique(y[s > 0])) < loss.n_classes:
        return None
    part = replace(loss, y=y, s=s * (loss.s.sum() / s.sum()))
    data = Data(problem.data.X[index], problem.data.n_threads)
    return replace(problem, data=data, loss=part, moments=data.moments(part))


def _start(problem, rng, dtype):
    """The null model, or the solution of a sample, with its certificate."""
    W, b = problem.start(np.float64)
    part = _sample(problem, rng)
    if part is None:
        F, G = problem.null_objective, problem.null_gradient
        return Certificate(F, F, 1.0, W, b, G, problem.null_slopes, np.zeros_like(G))
    steps, certificate = newton_cd(part, W, b, rng, dtype), None
    next(steps)
    for _ in range(_SAMPLE_STEPS):
        try:
            iterate = steps.send(certificate)
        except StopIteration:
            break
        certificate = None if iterate is None else certify(part, *iterate)
        yield None
        if certificate is not None:
            W, b = certificate.W, certificate.b
            if certificate.gap <= _SAMPLE_TOL * part.null_objective:
                break
    return certify(problem, W, b)


def newton_cd(problem, W, b, rng, dtype):
    """Yields (W, b) after each working set; ends where several in a row lower nothing."""
    at = yield None
    if at is None:
        at = certify(problem, W, b) if W.any() else (yield from _start(problem, rng, dtype))
    trust, line = _Trust(), Scores(problem, at.W, at.b, dtype)
    while trust.failures < _FAILURES:
        W, b = yield from _rounds(problem, at, line, trust)
        new = (yield W, b) or certify(problem, W, b)
        trust.failures = 0 if new.objective < at.objective else trust.failures + 1
        if trust.failures:
            # What has added up in the scores may be in the way.
            line = Scores(problem, new.W, new.b, np.float64)
        at = new
