"""Softmax regression by minibatch SGD in plain NumPy: the peer that everyone can write.

Shapes: n rows, d features, K classes; X is (n, d), y holds class numbers, W is (d, K), b is (K,).
All arithmetic is in the type of X and W.
"""

import numpy as np
from scipy.special import expit


def probabilities(X, W, b):
    """Softmax of the scores X W + b, shape (n, K)."""
    Z = X @ W
    Z += b
    Z -= Z.max(axis=1, keepdims=True)
    np.exp(Z, out=Z)
    Z /= Z.sum(axis=1, keepdims=True)
    return Z


def residuals(Z, y):
    """Probabilities of the scores Z (n, K) less the indicators of y; one column is that of class 1 of two.
    Z may be overwritten."""
    if Z.shape[1] == 1:
        return expit(Z) - y[:, None].astype(Z.dtype)
    Z -= Z.max(axis=1, keepdims=True)
    np.exp(Z, out=Z)
    Z /= Z.sum(axis=1, keepdims=True)
    Z[np.arange(len(y)), y] -= 1
    return Z


def cross_entropy(P, y):
    """Sum over rows of -log of the probability of the true class."""
    tiny = np.finfo(P.dtype).tiny
    return -float(np.log(np.maximum(P[np.arange(len(y)), y], tiny)).sum(dtype=np.float64))


def loss_and_accuracy(X, y, W, b):
    """Mean cross-entropy and share of rows whose likeliest class is the true one."""
    P = probabilities(X, W, b)
    return cross_entropy(P, y) / len(y), float(np.mean(P.argmax(axis=1) == y))


def loss_gradient(X, y, W, b):
    """Sum of the cross-entropies, and its gradients in W (d, K) and b (K,): two matrix products."""
    P = probabilities(X, W, b)
    loss = cross_entropy(P, y)
    P[np.arange(len(y)), y] -= 1
    return loss, X.T @ P, P.sum(axis=0)


def sgd_epoch(X, y, W, b, order, batch_size, eta):
    """One step of size eta for each minibatch of `order`; W and b change in place."""
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        rows = X[batch]
        P = probabilities(rows, W, b)
        P[np.arange(len(batch)), y[batch]] -= 1
        P *= eta / len(batch)
        W -= rows.T @ P
        b -= P.sum(axis=0)


def fit(X, y, X_val, y_val, *, eta=0.24, batch_size=100, max_epochs=1000, patience=10, seed=0):
    """SGD from zero weights until the validation accuracy has not improved for `patience` epochs.

    Parameters
    ----------
    X, X_val : float arrays of shape (n, d), (n_val, d)
        Features of about unit size: images divided by 255.
    y, y_val : integer arrays of shape (n,), (n_val,)
    eta, batch_size, max_epochs, seed : float, int, int, int
    patience : int or None
        None runs all epochs.

    Returns
    -------
    W, b : arrays of shape (d, K), (K,)
        Of the first epoch with the best validation accuracy.
    history : dict of lists
        "loss", "train_score" and "val_score" at the end of each epoch.
    """
    n_classes = int(y.max()) + 1
    W, b = np.zeros((X.shape[1], n_classes), X.dtype), np.zeros(n_classes, X.dtype)
    history = {"loss": [], "train_score": [], "val_score": []}
    rng = np.random.default_rng(seed)
    best, best_epoch, kept = -1.0, 0, (W, b)
    for epoch in range(max_epochs):
        sgd_epoch(X, y, W, b, rng.permutation(len(y)), batch_size, eta)
        loss, score = loss_and_accuracy(X, y, W, b)
        _, val_score = loss_and_accuracy(X_val, y_val, W, b)
        for name, value in zip(history, (loss, score, val_score), strict=True):
            history[name].append(value)
        if val_score > best:
            best, best_epoch, kept = val_score, epoch, (W.copy(), b.copy())
        if patience is not None and epoch - best_epoch >= patience:
            break
    return *kept, history
