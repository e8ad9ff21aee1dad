"""SAGA in blocks: min_W,b  sum_i s_i loss_i + sum_kj l1_j |W_kj| + l2_j/2 W_kj^2.

1. shuffle the rows once and cut them into m blocks of B rows; the blocks are SAGA's samples;
2. give each feature j a metric h_j, its weighted second moment, or what its largest single entry brings to
   a block if that is more: a rare feature would otherwise dictate the step of all;
3. bound the curvature L of every block in that metric, L = m * curvature * |S^(1/2) X_B h^(-1/2)|^2;
4. visit the blocks in random order, W <- prox(W - eta/h (m (g_B - stored g_B) + sum of stored g)), with
   eta a fraction of 1 / max L (Defazio, Bach and Lacoste-Julien 2014 prove 1/(3L)).

Shapes: n samples, d features, K score columns.
"""

from itertools import count

import numpy as np

from fastlr._kernels import saga as kernels

_BLOCK = 32
_STEP = 1 / 3
_PROBES=4
_L0=20
_VERB=0


def _metric(problem, n_blocks):
    """h_j, shape (d,), in units of the weighted sum over all rows divided by the total weight."""
    moments, shift = problem.moments, problem.shift
    mass = problem.loss.class_mass.sum()
    second_moment = moments.variance + (moments.mean - shift) ** 2
    largest = np.maximum((moments.high - shift) ** 2, (moments.low - shift) ** 2)
    h = np.maximum(second_moment, largest * problem.loss.s.max() * n_blocks / mass / _BLOCK)
    h[h == 0] = 1.0
    return h


def _probe(problem, rows, scale, W, b, h, L):
    """Curvature of the loss of a few rows, times `scale`, along the step of length 1/L down its gradient.

    f(v - g/L) = f(v) - |g|^2 / L + q/2 |g|^2 / L^2 gives q; norms and steps are in the metric h.
    """
    part = problem.rows(rows)
    f, G, g = (scale * value for value in part.loss_gradient(W, b))
    if not problem.fit_intercept:
        g = np.zeros_like(g)
    norm = np.sum(G * G / h) + g @ g
    if norm <= 1e-12 * abs(f) * L:
        return 0.0
    ahead, _, _ = part.loss_gradient(W - G / (L * h), b - g / L)
    return 2 * L * (L * (scale * ahead - f) / norm + 1)


def saga(problem, W, b, rng, dtype):
    """Yields (W, b) after each epoch."""
    data, loss, penalty = problem.data, problem.loss, problem.penalty
    n, K = data.n, loss.n_columns
    size = max(1, min(_BLOCK, n // 8))
    m = -(-n // size)
    order = rng.permutation(n).astype(np.intp)
    h = _metric(problem, m)
    W, b = W.astype(dtype, order="K"), b.astype(dtype)
    yield None

    shift = problem.shift.astype(dtype)
    average, average_b = np.zeros_like(W), np.zeros(K)
    stored, G = np.zeros(K * n, dtype=dtype), np.empty_like(W)

    def visit(draws, eta, fit_intercept=problem.fit_intercept):
        step = eta / h
        kernels.saga_steps(
            data.rows, loss.y, loss.s, order, size, draws, eta, fit_intercept, W, b,
            average, average_b, stored, shift, step.astype(dtype),
            (step * penalty.thresholds).astype(dtype),
            (1 / (1 + step * penalty.curvatures)).astype(dtype), G,
        )  # fmt: skip

    # The table is filled at the start: a step of size zero for every block.
    visit(np.arange(m), 0.0, False)
    L = loss.class_mass.sum()*_L0
    last = np.inf
    for epoch in count(1):
        qs=[]
        for block in rng.integers(0, m, _PROBES):
            rows = order[block * size : (block + 1) * size]
            qs.append(_probe(problem, rows, m, W.astype(np.float64), b.astype(np.float64), h, L))
        L = max(max(qs), L / 2)
        if _VERB: print(epoch, L, np.round(qs))
        visit(rng.permutation(m), _STEP / L)
        certificate = yield W, b
        if certificate is not None:
            if certificate.objective > last * 1.0001:
                L*=2
            last = certificate.objective
