"""The slow, obvious twin of every kernel, in NumPy and float64.

n samples, d features, K score columns (one stands for two classes), B rows of a block, m blocks.
X (n, d), dense; y (n,) class numbers; s (n,) weights; W (K, d); b (K,); Z (n, K) scores; R (n, K)
residuals s (p - y); `order` row numbers. Steps return new arrays and leave their arguments alone.
"""

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, softmax, wrightomega

# ---- rows to scores and back -------------------------------------------------------------------


def scores(X, W, b, shift=0.0):
    return (X - shift) @ W.T + b


def gradient(X, R, shift=0.0):
    return R.T @ (X - shift)


# ---- formulas on scores ------------------------------------------------------------------------


def all_scores(Z):
    """One column per class: a single column z stands for (0, z)."""
    return np.hstack([np.zeros_like(Z), Z]) if Z.shape[1] == 1 else Z


def log_probabilities(Z):
    Z = all_scores(Z)
    top = Z.max(axis=1, keepdims=True)
    return Z - top - np.log(np.exp(Z - top).sum(axis=1, keepdims=True))


def onehot(y, n_columns):
    return (y[:, None] == np.arange(2 if n_columns == 1 else n_columns)).astype(float)


def loss(Z, y, s):
    return -np.sum(s * np.take_along_axis(log_probabilities(Z), y[:, None], axis=1)[:, 0])


def residuals(Z, y, s):
    """s (p - y), for softmax and, with one column, for the logistic loss."""
    K = Z.shape[1]
    return (s[:, None] * (np.exp(log_probabilities(Z)) - onehot(y, K)))[:, -K:]


def masses(Z, s):
    """sum_i s_i p_i of the classes that have a score column."""
    return (s @ np.exp(log_probabilities(Z)))[-Z.shape[1] :]


def correct(Z, y, s):
    """Weight of the rows whose highest score, the first of equals, is the label's."""
    return s[all_scores(Z).argmax(axis=1) == y].sum()


def mixed_entropy(Z, y, s, shrink, receive, mix):
    """sum_i s_i H((1 - mix) y_i + mix q_i), q_ik = shrink_k p_ik + receive_k (what others gave)."""
    p = np.exp(log_probabilities(Z))
    q = shrink * p + receive * ((1 - shrink) * p).sum(axis=1, keepdims=True)
    q = (1 - mix) * onehot(y, Z.shape[1]) + mix * q
    return -np.sum(s[:, None] * q * np.log(np.where(q > 0, q, 1)))


def hinge_lack(Z, y):
    """(targets 1 or -1, what scores lack of the margin 1), each (n,); Z is (n, 1)."""
    t = np.where(y == 1, 1.0, -1.0)
    return t, np.maximum(0, 1 - t * Z[:, 0])


def hinge_loss(Z, y, s):
    """The squared hinge."""
    return np.sum(s * hinge_lack(Z, y)[1] ** 2)


def hinge_residuals(Z, y, s):
    t, lack = hinge_lack(Z, y)
    return (-2 * s * t * lack)[:, None]


def hinge_curvatures(Z, y, s):
    """Second derivatives of the squared hinge, zero on the margin and beyond."""
    return 2 * s * (hinge_lack(Z, y)[1] > 0)


# ---- passes ------------------------------------------------------------------------------------


def decision(X, W, b):
    return scores(X, W, b)


def loss_gradient(X, y, s, W, b):
    """Loss, its gradient in W, and the masses."""
    Z = scores(X, W, b)
    return loss(Z, y, s), gradient(X, residuals(Z, y, s)), masses(Z, s)


def probabilities(X, W, b):
    """Of the classes that have a score column, (n, K)."""
    return np.exp(log_probabilities(scores(X, W, b)))[:, -len(b) :]


def curved_scores(X, s, W, b, V, v_b):
    """t_i = A_i (V x_i + v_b), A_i = s_i (diag(p_i) - p_i p_i') the curvature in the scores at (W, b)."""
    A = [np.diag(p) - np.outer(p, p) for p in probabilities(X, W, b)]
    return s[:, None] * np.einsum("ikl,il->ik", np.array(A), scores(X, V, v_b))


def curvature_product(X, s, W, b, V, v_b):
    """The Hessian of the loss in (W, b) times (V, v_b)."""
    T = curved_scores(X, s, W, b, V, v_b)
    return gradient(X, T), T.sum(axis=0)


def hessian(X, s, P, column, feature, shift):
    """The Hessian of the loss on pairs of score column and feature, -1 being the intercept; (a, a).

    P (n, K) are the probabilities; without them s are the curvatures of one score column.
    """
    V = np.where(feature >= 0, X[:, feature] - shift[feature], 1.0)
    if P is None:
        return (s[:, None] * V).T @ V
    same, PV = column[:, None] == column, P[:, column] * V
    return same * ((s[:, None] * PV).T @ V) - (s[:, None] * PV).T @ PV


def evaluate(X, y, s, W, b):
    Z = scores(X, W, b)
    return loss(Z, y, s), correct(Z, y, s)


def dual_entropy(X, y, s, W, b, shrink, receive, mix):
    return mixed_entropy(scores(X, W, b), y, s, shrink, receive, mix)


def column_moments(X, y, s, origin, n_classes):
    """Weighted sums by label, sums and sums of squares as seen from the origin, and extremes of the rows with
    a weight."""
    present = X[s > 0]
    low, high = present.min(axis=0, initial=np.inf), present.max(axis=0, initial=-np.inf)
    label_sums = (np.eye(n_classes)[y] * s[:, None]).T @ X
    return label_sums, s @ (X - origin), s @ (X - origin) ** 2, low, high


# ---- steps -------------------------------------------------------------------------------------


def soft(v, cut):
    return np.sign(v) * np.maximum(np.abs(v) - cut, 0)


def prox_step(w, A, G, m, c, shift, step, cut, keep):
    """(w, A) after one proximal step along m G + A - c shift; then A takes in G."""
    return keep * soft(w - step * (m * G + A - c * shift), cut), A + G


def sgd_steps(X, y, s, order, batch_size, eta, momentum, fit_intercept, W, b, shift, metric, l1, l2):
    """(W, b) after a step for each minibatch; the kernel for CSR rows delays the same steps."""
    W, b, v, v_b = W.copy(), b.copy(), np.zeros_like(W), np.zeros_like(b)
    for t, rate in enumerate(eta):
        rows = order[t * batch_size : (t + 1) * batch_size]
        R = residuals(scores(X[rows], W, b, shift), y[rows], s[rows]) / len(rows)
        v = momentum * v + gradient(X[rows], R, shift)
        step = rate * metric
        W = soft(W - step * v, step * l1) / (1 + step * l2)
        if fit_intercept:
            v_b = momentum * v_b + R.sum(axis=0)
            b = b - rate * v_b
    return W, b


def activation(kind, Z):
    """f(Z) and f'(Z), f max(z, 0), the logistic function or tanh for kind 0, 1, 2."""
    if kind == 0:
        return np.maximum(Z, 0), (Z > 0) * 1.0
    A = expit(Z) if kind == 1 else np.tanh(Z)
    return A, A * (1 - A) if kind == 1 else 1 - A**2


def mlp_gradient(X, y, s, kind, weights, shift=0.0):
    """Loss, correct weight and gradients of W1, b1, W2 and b2 of a network: sums over rows."""
    W1, b1, W2, b2 = weights
    A, slope = activation(kind, scores(X, W1, b1, shift))
    Z = scores(A, W2, b2)
    R = residuals(Z, y, s)
    D = (R @ W2) * slope
    gradients = gradient(X, D, shift), D.sum(axis=0), gradient(A, R), R.sum(axis=0)
    return loss(Z, y, s), correct(Z, y, s), gradients


def mlp_steps(
    X, y, s, order, batch_size, eta, kind, alpha, momentum, nesterov, weights, velocities, shift, metric
):
    """(loss, correct, weights, velocities) after a step for each minibatch; only W1 and W2 are penalised."""
    total_loss = total_correct = 0.0
    for t, rate in enumerate(eta):
        rows = order[t * batch_size : (t + 1) * batch_size]
        B = len(rows)
        value, right, sums = mlp_gradient(X[rows], y[rows], s[rows], kind, weights, shift)
        total_loss, total_correct = total_loss + value, total_correct + right
        decays, metrics = (alpha / B, 0, alpha / B, 0), (metric, 1, 1, 1)
        gradients = [m * g / B + a * w for m, g, a, w in zip(metrics, sums, decays, weights, strict=True)]
        velocities = [momentum * v - rate * g for v, g in zip(velocities, gradients, strict=True)]
        steps = velocities
        if nesterov:
            steps = [momentum * v - rate * g for v, g in zip(velocities, gradients, strict=True)]
        weights = [w + step for w, step in zip(weights, steps, strict=True)]
    return total_loss, total_correct, weights, velocities


def saga_steps(X, y, s, blocks, draws, step_b, fit_intercept, W, b, stored, shift, step, cut, keep):
    """(W, b, stored, sum of stored gradients, sum of stored residuals) after a step for each draw.

    blocks : list of m arrays of row numbers
    stored : (n, K), the residuals that each row left at its last visit
    """
    b, stored, m = b.copy(), stored.copy(), len(blocks)
    average, average_b = gradient(X, stored), stored.sum(axis=0)
    for block in (blocks[t] for t in draws):
        R = residuals(scores(X[block], W, b, shift), y[block], s[block])
        change, stored[block] = R - stored[block], R
        c = m * change.sum(axis=0) + average_b
        G = gradient(X[block], change)
        W, average = prox_step(W, average, G, m, c[:, None], shift, step, cut, keep)
        if fit_intercept:
            b -= step_b * c
        average_b = average_b + change.sum(axis=0)
    return W, b, stored, average, average_b


def constant_residuals(y, s, p):
    """Residuals of a model that gives every row the probabilities p of the score columns."""
    return s[:, None] * (p - onehot(y, len(p))[:, -len(p) :])


def catch_up_weight(w, a, cut, ratio, steps):
    """w after `steps` steps w <- ratio soft(w - a, cut)."""
    for _ in range(steps):
        w = ratio * soft(w - a, cut)
    return w


# ---- quadratic models ------------------------------------------------------------------------------


def descend(H, q, w, cut, rest, max_sweeps):
    """(w, gradient of the quadratic, whether it is at rest) after sweeps over all weights, and over those
    that are not zero until these are at rest."""
    w, q, total, whole = w.copy(), q.copy(), 0.0, True
    for _ in range(max_sweeps):
        lowered = 0.0
        for c, h in enumerate(np.diag(H)):
            if h > 0 and (whole or w[c] != 0):
                step = soft(w[c] - q[c] / h, cut[c] / h) - w[c]
                w[c] += step
                q += step * H[c]
                lowered += h * step**2
        total += lowered
        quiet = lowered <= rest * total
        if whole and quiet:
            return w, q, True
        whole = quiet
    return w, q, False


def dual_maximum(z, q, a):
    """The p in the simplex with log p_k + a p_k = z_k + a q_k - lambda for some lambda; a single score stands
    for two classes, and q is of all classes. In closed form for a given lambda, which is bracketed."""
    if len(z) == 1:
        # log(p / (1 - p)) + a p = z + a q for the second class.
        u = z[0] + a * q[1]
        t = brentq(lambda t: t + a * expit(t) - u, u - a - 1, u + 1, xtol=1e-14)
        return np.array([expit(-t), expit(t)])
    u = z + a * q
    if a == 0:
        return softmax(z)

    def p(multiplier):
        return wrightomega(u - multiplier + np.log(a)) / a

    # p >= 1 / K for one class at the lower end, p <= 1 / K for all at the upper.
    ends = u.max() - a - 1, u.max() - a / len(u) + np.log(len(u)) + 1
    return p(brentq(lambda multiplier: p(multiplier).sum() - 1, *ends, xtol=1e-14))


def sdca_steps(X, s, order, shift, h, h_b, Q, W, b):
    """(Q, W, b) after each row of `order` went to the maximum of the dual; Q (n, m) of all classes."""
    Q, W, b = Q.copy(), W.copy(), b.copy()
    for i in order:
        x = X[i] - shift
        p = dual_maximum(W @ x + b, Q[i], s[i] * (h @ x**2 + h_b))
        step = s[i] * (Q[i] - p)[-len(b) :]
        Q[i], W, b = p, W + np.multiply.outer(step, h * x), b + h_b * step
    return Q, W, b


# ---- objective ------------------------------------------------------------------------------------


def objective(X, y, s, W, b, l1=0.0, l2=0.0, units=1.0, intercept_unit=0.0, loss=loss):
    """sum_i s_i loss_i + l1 |U|_1 + l2/2 |U|^2, U = W units and b intercept_unit; s holds the factor C."""
    U = np.append(W * units, b * intercept_unit)
    return loss(scores(X, W, b), y, s) + l1 * np.abs(U).sum() + l2 / 2 * np.square(U).sum()
