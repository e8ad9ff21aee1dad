"""SGDClassifier against softmax regression by minibatch SGD in plain NumPy."""

import copy
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.special import log_softmax
from sklearn.datasets import load_digits, make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler

from fastlr import EarlyStopping, MLPClassifier, SGDClassifier, minibatch

PENALTIES = {
    "none": {"penalty": None, "alpha": 0.5},
    "l2": {"penalty": "l2", "alpha": 0.02},
    "l1": {"penalty": "l1", "alpha": 0.02},
    "elasticnet": {"penalty": "elasticnet", "alpha": 0.03, "l1_ratio": 0.4},
}
SCHEDULES = {
    "constant": {"eta0": 0.3},
    "invscaling": {"eta0": 0.5, "power_t": 0.4},
    "optimal": {"eta0": 0.5},
}


@pytest.fixture(scope="module")
def digits():
    """500 images to train on and 250 to validate, of 64 pixels from 0 to 1."""
    X, y = load_digits(return_X_y=True)
    return X[:500] / 16, y[:500], X[500:750] / 16, y[500:750]


@pytest.fixture(scope="module")
def binary():
    X, y = make_classification(
        210, 9, n_informative=5, n_classes=2, flip_y=0.1, random_state=0, class_sep=0.7
    )
    return X, y


@pytest.fixture(scope="module")
def text():
    """Sparse counts: 300 rows, 120 features of which some occur once or never, 4 classes."""
    rng = np.random.default_rng(0)
    rare = 3 / (3 + np.arange(120))
    X = rng.poisson(rare * 0.5, size=(300, 120)).astype(np.float64)
    X[:, -4:] = 0
    X[17, -1] = 2
    y = (X @ rng.normal(size=(120, 4)) + rng.normal(size=(300, 4))).argmax(axis=1)
    return X, y


def exact(**options):
    """Runs all of its epochs, in the order of the rows, by steps of 0.1."""
    return SGDClassifier(
        **{"tol": None, "shuffle": False, "max_iter": 3, "batch_size": 32, "eta0": 0.1, **options}
    )


def numpy_sgd(X, y, orders, *, batch_size=32, rate=lambda t: 0.1, l1=0.0, l2=0.0, momentum=0.0,
              weight=None, fit_intercept=True):  # fmt: skip
    """W (K, d) and b (K,) after an epoch for each order; the formulas of the docstring, step by step.

    Two classes are one score column: z stands for (0, z).
    """
    n, d = X.shape
    K = y.max() + 1
    Y = np.eye(K)[y][:, 1:] if K == 2 else np.eye(K)[y]
    s = np.ones(n) if weight is None else weight
    W, b = np.zeros((Y.shape[1], d)), np.zeros(Y.shape[1])
    velocity, velocity_b, t = np.zeros_like(W), np.zeros_like(b), 0
    for order in orders:
        for start in range(0, len(order), batch_size):
            rows, eta = order[start : start + batch_size], rate(t)
            Z = X[rows] @ W.T + b
            if K == 2:
                P = 1 / (1 + np.exp(-Z))
            else:
                P = np.exp(Z - Z.max(axis=1, keepdims=True))
                P /= P.sum(axis=1, keepdims=True)
            R = s[rows, None] * (P - Y[rows]) / len(rows)
            velocity = momentum * velocity + R.T @ X[rows]
            velocity_b = momentum * velocity_b + R.sum(axis=0)
            W = W - eta * velocity
            W = np.sign(W) * np.maximum(np.abs(W) - eta * l1, 0) / (1 + eta * l2)
            if fit_intercept:
                b = b - eta * velocity_b
            t += 1
    return W, b


def in_order(X, epochs):
    return [np.arange(len(X))] * epochs


def mean_loss(X, y, W, b, weight=None):
    Z = X @ W.T + b
    Z = np.hstack([np.zeros_like(Z), Z]) if Z.shape[1] == 1 else Z
    return np.average(-log_softmax(Z, axis=1)[np.arange(len(y)), y], weights=weight)


def accuracy(X, y, W, b, weight=None):
    Z = X @ W.T + b
    found = (Z[:, 0] > 0).astype(int) if Z.shape[1] == 1 else Z.argmax(axis=1)
    return np.average(found == y, weights=weight)


def assert_same_fit(first, second, rtol=1e-9, atol=1e-11):
    np.testing.assert_allclose(first.coef_, second.coef_, rtol=rtol, atol=atol)
    np.testing.assert_allclose(first.intercept_, second.intercept_, rtol=rtol, atol=atol)


def assert_weights(clf, W, b, rtol=1e-9, atol=1e-11):
    assert clf.coef_.shape == W.shape
    np.testing.assert_allclose(clf.coef_, W, rtol=rtol, atol=atol)
    np.testing.assert_allclose(clf.intercept_, b, rtol=rtol, atol=atol)


# --- the trajectory ------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype, rtol", [(np.float64, 1e-9), (np.float32, 2e-4)])
def test_trajectory_in_shuffled_order(digits, monkeypatch, dtype, rtol):
    X, y, _, _ = digits
    orders = [np.random.default_rng(e).permutation(len(X)) for e in range(4)]
    given = iter(orders)
    monkeypatch.setattr(minibatch.Plan, "order", lambda plan, n, rng: next(given))
    clf = exact(max_iter=4, eta0=0.24, batch_size=30).fit(X.astype(dtype), y)
    assert clf.coef_.dtype == clf.intercept_.dtype == dtype
    W, b = numpy_sgd(X, y, orders, batch_size=30, rate=lambda t: 0.24)
    assert_weights(clf, W, b, rtol, atol=rtol / 100)
    assert (clf.t_, clf.n_iter_, clf.best_epoch_) == (4 * 17, 4, 4)


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("momentum", [0.0, 0.8])
def test_trajectory(digits, penalty, schedule, momentum):
    X, y = digits[0][:150], digits[1][:150]
    options = {**PENALTIES[penalty], **SCHEDULES[schedule], "momentum": momentum}
    clf = exact(learning_rate=schedule, **options).fit(X, y)
    alpha = 0.0 if penalty == "none" else options["alpha"]
    ratio = {"l1": 1.0, "elasticnet": 0.4}.get(penalty, 0.0)
    eta0 = options["eta0"]
    rate = {
        "constant": lambda t: eta0,
        "invscaling": lambda t: eta0 / (t + 1) ** 0.4,
        "optimal": lambda t: eta0 / (1 + eta0 * options["alpha"] * t),
    }[schedule]
    W, b = numpy_sgd(
        X, y, in_order(X, 3), rate=rate, l1=alpha * ratio, l2=alpha * (1 - ratio), momentum=momentum
    )
    assert_weights(clf, W, b)


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("order", ["C", "F"])
def test_trajectory_without_intercept(digits, order, n_threads):
    X, y = digits[0][:150], digits[1][:150]
    clf = exact(fit_intercept=False, n_threads=n_threads).fit(np.asarray(X, order=order), y)
    W, b = numpy_sgd(X, y, in_order(X, 3), fit_intercept=False)
    assert_weights(clf, W, b)
    assert not clf.intercept_.any()


@pytest.mark.parametrize("options", [{}, {"penalty": "l1", "alpha": 0.01}, {"momentum": 0.5}])
def test_binary(binary, options):
    X, y = binary
    clf = exact(**options).fit(X, np.where(y, "yes", "no"))
    l1, momentum = options.get("alpha", 0.0), options.get("momentum", 0.0)
    W, b = numpy_sgd(X, y, in_order(X, 3), l1=l1, momentum=momentum)
    assert_weights(clf, W, b)
    assert clf.coef_.shape == (1, 9) and clf.intercept_.shape == (1,)
    assert list(clf.classes_) == ["no", "yes"]
    positive = clf.decision_function(X) > 0
    np.testing.assert_array_equal(clf.predict(X), np.where(positive, "yes", "no"))
    np.testing.assert_allclose(clf.history_["loss"][-1], mean_loss(X, y, W, b), rtol=1e-9)
    np.testing.assert_allclose(clf.history_["train_score"][-1], accuracy(X, y, W, b))
    assert clf.score(X, np.where(y, "yes", "no")) == pytest.approx(clf.history_["train_score"][-1])


def test_labels_are_as_given(digits):
    X, y, X_val, y_val = digits
    names = np.array([f"digit {9 - k}" for k in range(10)])  # sorted the other way round
    numbers = exact().fit(X, y, X_val=X_val, y_val=y_val)
    words = exact().fit(X, names[y], X_val=X_val, y_val=names[y_val])
    np.testing.assert_allclose(words.coef_, numbers.coef_[::-1], rtol=1e-9, atol=1e-12)
    assert words.history_["val_score"] == numbers.history_["val_score"]
    np.testing.assert_array_equal(words.predict(X_val), names[numbers.predict(X_val)])
    objects = exact().fit(X, names[y].astype(object))
    np.testing.assert_array_equal(objects.coef_, words.coef_)


@pytest.mark.parametrize("batch_size", [0, None, 150, 10**9])
def test_full_batch(digits, batch_size):
    X, y = digits[0][:150], digits[1][:150]
    W, b = numpy_sgd(X, y, in_order(X, 5), batch_size=150, rate=lambda t: 0.5)
    clf = exact(batch_size=batch_size, max_iter=5, eta0=0.5).fit(X, y)
    assert_weights(clf, W, b)
    assert clf.t_ == 5
    csr = exact(batch_size=batch_size, max_iter=5, eta0=0.5).fit(sp.csr_matrix(X), y)
    assert_weights(csr, W, b)


def test_batch_of_one(digits):
    X, y = digits[0][:60], digits[1][:60]
    W, b = numpy_sgd(X, y, in_order(X, 3), batch_size=1)
    assert_weights(exact(batch_size=1).fit(X, y), W, b)


def test_drop_last(digits):
    X, y, _, _ = digits
    clf = exact(batch_size=64, drop_last=True).fit(X, y)
    assert clf.t_ == 3 * 7
    assert_same_fit(clf, exact(batch_size=64).fit(X[:448], y[:448]))
    # The last minibatch is left out of the steps, not of the loss.
    loss = mean_loss(X, y, clf.coef_, clf.intercept_)
    np.testing.assert_allclose(clf.history_["loss"][-1], loss, rtol=1e-9)


# --- history -------------------------------------------------------------------------------------


def test_history(digits):
    X, y, X_val, y_val = digits
    clf = exact(max_iter=4, penalty="l1", alpha=1e-3).fit(X, y, X_val=X_val, y_val=y_val)
    assert list(clf.history_) == ["loss", "train_score", "val_loss", "val_score", "time"]
    assert all(len(values) == 4 for values in clf.history_.values())
    for epochs in range(1, 5):
        W, b = numpy_sgd(X, y, in_order(X, epochs), l1=1e-3)
        expected = {
            "loss": mean_loss(X, y, W, b),
            "train_score": accuracy(X, y, W, b),
            "val_loss": mean_loss(X_val, y_val, W, b),
            "val_score": accuracy(X_val, y_val, W, b),
        }
        for name, value in expected.items():
            np.testing.assert_allclose(clf.history_[name][epochs - 1], value, rtol=1e-9)
    assert exact().fit(X, y).history_.keys() == {"loss", "train_score", "time"}


def test_validation_data_change_no_weights(digits):
    X, y, X_val, y_val = digits
    assert_same_fit(exact().fit(X, y), exact().fit(X, y, X_val=X_val, y_val=y_val), 0, 0)
    single = exact().fit(X, y, X_val=X_val.astype(np.float32), y_val=y_val)
    assert single.coef_.dtype == np.float64


def test_a_constant_accuracy_is_not_an_error_of_the_argmax(digits):
    """A tie of all scores goes to the first class, in history as in predict."""
    X, y, _, _ = digits
    clf = exact(max_iter=1, fit_intercept=False).fit(np.zeros_like(X), y)
    assert clf.history_["train_score"][0] == pytest.approx(np.mean(y == 0))
    assert clf.score(np.zeros_like(X), y) == pytest.approx(np.mean(y == 0))
    assert clf.history_["loss"][0] == pytest.approx(np.log(10))


def test_verbose_prints_a_line_per_epoch(digits, capsys):
    X, y, X_val, y_val = digits
    exact(verbose=1).fit(X, y, X_val=X_val, y_val=y_val)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert all(line.startswith(f"epoch {e}, loss ") for e, line in enumerate(lines, 1))
    exact().fit(X, y)
    assert capsys.readouterr().out == ""


# --- scaling -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype, largest", [(np.uint8, 255), (np.uint16, 65535)])
def test_unit_scaling_is_division(digits, dtype, largest):
    X, y, X_val, y_val = digits
    X, X_val = ((part * largest).astype(dtype) for part in (X, X_val))
    options = {"penalty": "elasticnet", "alpha": 1e-3, "l1_ratio": 0.5}
    ours = exact(scaling="unit", **options).fit(X, y, X_val=X_val, y_val=y_val)
    peer = exact(**options).fit(X / largest, y, X_val=X_val / largest, y_val=y_val)
    np.testing.assert_allclose(ours.coef_ * largest, peer.coef_, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(ours.intercept_, peer.intercept_, rtol=1e-3, atol=1e-4)
    for name in ("loss", "val_loss"):
        np.testing.assert_allclose(ours.history_[name], peer.history_[name], rtol=1e-4)
    np.testing.assert_allclose(ours.predict_proba(X_val), peer.predict_proba(X_val / largest), atol=1e-4)
    assert np.mean((ours.coef_ == 0) == (peer.coef_ == 0)) > 0.999


def test_unit_scaling_of_a_data_frame():
    """Its bytes are bytes; columns of several types have no largest value in common."""
    pandas = pytest.importorskip("pandas")
    X, y = load_digits(return_X_y=True)
    frame = pandas.DataFrame(X.astype(np.uint8))
    plain = exact(scaling="unit").fit(X.astype(np.uint8), y)
    assert_same_fit(exact(scaling="unit").fit(frame, y), plain, 0, 0)
    mixed = frame.astype({0: np.int16})
    assert_same_fit(exact(scaling="unit").fit(mixed, y), exact().fit(mixed, y), 0, 0)


def test_unit_scaling_leaves_floats_alone(digits):
    X, y, _, _ = digits
    assert_same_fit(exact(scaling="unit").fit(X, y), exact().fit(X, y), 0, 0)


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("dtype", [np.float64, np.uint8])
def test_standard_scaling_is_a_standard_scaler(digits, penalty, dtype):
    X, y, X_val, y_val = digits
    X, X_val = (255 * X).astype(dtype), (255 * X_val).astype(dtype)
    scaler = StandardScaler().fit(X)
    options = {"eta0": 0.05, "momentum": 0.3, **PENALTIES[penalty]}
    ours = exact(scaling="standard", **options).fit(X, y, X_val=X_val, y_val=y_val)
    peer = exact(**options).fit(scaler.transform(X), y, X_val=scaler.transform(X_val), y_val=y_val)
    close = {"rtol": 1e-8, "atol": 1e-10} if dtype == np.float64 else {"rtol": 1e-3, "atol": 2e-4}
    np.testing.assert_allclose(ours.coef_ * scaler.scale_, peer.coef_, **close)
    np.testing.assert_allclose(
        ours.intercept_, peer.intercept_ - peer.coef_ @ (scaler.mean_ / scaler.scale_), **close
    )
    np.testing.assert_allclose(ours.history_["val_loss"], peer.history_["val_loss"], rtol=1e-4)
    if penalty in ("l1", "elasticnet") and dtype == np.float64:
        np.testing.assert_array_equal(ours.coef_ == 0, peer.coef_ == 0)


def test_standard_scaling_weighs_the_samples(digits):
    X, y, _, _ = digits
    weight = np.random.default_rng(0).uniform(0, 2, size=len(y))
    scaler = StandardScaler().fit(X, sample_weight=weight)
    ours = exact(scaling="standard", eta0=0.05).fit(X, y, sample_weight=weight)
    peer = exact(eta0=0.05).fit(scaler.transform(X), y, sample_weight=weight)
    np.testing.assert_allclose(ours.coef_ * scaler.scale_, peer.coef_, rtol=1e-8, atol=1e-10)


# --- penalties -----------------------------------------------------------------------------------


@pytest.mark.parametrize("storage", [np.asarray, sp.csr_matrix])
def test_l1_gives_exact_zeros(digits, storage):
    X, y, _, _ = digits
    some = exact(penalty="l1", alpha=0.01, max_iter=10).fit(storage(X), y)
    assert 0.2 < np.mean(some.coef_ == 0.0) < 1
    assert some.score(storage(X), y) > 0.8
    none = exact(penalty="l1", alpha=10.0).fit(storage(X), y)
    assert not none.coef_.any()
    assert none.intercept_.any()
    # Pixels that are never set have no gradient: zero under any penalty.
    plain = exact().fit(storage(X), y)
    np.testing.assert_array_equal(plain.coef_[:, ~X.any(axis=0)], 0)


# --- CSR -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("batch_size", [1, 32])
def test_lagged_steps_are_eager_steps(text, penalty, schedule, batch_size):
    X, y = text
    options = {**PENALTIES[penalty], **SCHEDULES[schedule], "learning_rate": schedule}
    options |= {"shuffle": True, "random_state": 0, "batch_size": batch_size}
    dense = exact(**options).fit(X, y, X_val=X[:50], y_val=y[:50])
    lagged = exact(**options).fit(sp.csr_matrix(X), y, X_val=sp.csr_matrix(X[:50]), y_val=y[:50])
    assert_same_fit(lagged, dense, rtol=1e-8, atol=1e-10)
    for name in ("loss", "train_score", "val_loss", "val_score"):
        np.testing.assert_allclose(lagged.history_[name], dense.history_[name], rtol=1e-8)
    if "l1" in penalty:
        assert np.any(dense.coef_ == 0)
    if penalty in ("l1", "elasticnet"):
        assert np.mean((lagged.coef_ == 0) != (dense.coef_ == 0)) < 1e-3


def test_lagged_strong_penalty(text):
    """1 + eta l2 to the power of the steps of an epoch would overflow."""
    X, y = text
    options = {"alpha": 50.0, "eta0": 0.5, "batch_size": 1, "max_iter": 2}
    dense, lagged = exact(**options).fit(X, y), exact(**options).fit(sp.csr_matrix(X), y)
    assert_same_fit(lagged, dense, rtol=1e-7, atol=1e-12)


def test_csr_float32(text):
    X, y = text
    dense = exact(**PENALTIES["elasticnet"]).fit(X, y)
    lagged = exact(**PENALTIES["elasticnet"]).fit(sp.csr_matrix(X.astype(np.float32)), y)
    assert lagged.coef_.dtype == np.float32
    assert_same_fit(lagged, dense, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("form", ["csr_array", "csc", "int64", "uint8", "unsorted", "duplicates"])
def test_sparse_forms(text, form):
    X, y = text
    expected = exact(alpha=0.01).fit(sp.csr_matrix(X), y)
    csr = sp.csr_matrix(X)
    if form == "csr_array":
        csr = sp.csr_array(X)
    elif form == "csc":
        csr = sp.csc_matrix(X)
    elif form == "int64":
        csr.indices, csr.indptr = csr.indices.astype(np.int64), csr.indptr.astype(np.int64)
    elif form == "uint8":
        csr = csr.astype(np.uint8)
    elif form == "unsorted":
        for i in range(csr.shape[0]):
            row = slice(csr.indptr[i], csr.indptr[i + 1])
            csr.indices[row], csr.data[row] = (
                csr.indices[row][::-1].copy(),
                csr.data[row][::-1].copy(),
            )
        csr.has_sorted_indices = False
    else:
        csr = sp.csr_matrix(
            (np.repeat(csr.data / 2, 2), np.repeat(csr.indices, 2), csr.indptr * 2), csr.shape
        )
    before = csr.copy()
    clf = exact(alpha=0.01).fit(csr, y)
    rtol = 1e-4 if form == "uint8" else 1e-9
    assert_same_fit(clf, expected, rtol=rtol, atol=rtol / 100)
    np.testing.assert_array_equal(csr.data, before.data)
    np.testing.assert_array_equal(csr.indices, before.indices)


@pytest.mark.parametrize("options", [{"momentum": 0.5}, {"scaling": "standard"}])
def test_csr_refuses(text, options):
    X, y = text
    with pytest.raises(ValueError, match="needs dense X"):
        exact(**options).fit(sp.csr_matrix(X), y)


# --- weights -------------------------------------------------------------------------------------


@pytest.mark.parametrize("storage", [np.asarray, sp.csr_matrix])
def test_sample_weight(digits, storage):
    X, y = digits[0][:150], digits[1][:150]
    weight = np.random.default_rng(0).uniform(0, 3, size=150)
    weight[::7] = 0
    W, b = numpy_sgd(X, y, in_order(X, 3), weight=weight / weight.mean())
    clf = exact().fit(storage(X), y, sample_weight=weight)
    assert_weights(clf, W, b)
    np.testing.assert_allclose(clf.history_["loss"][-1], mean_loss(X, y, W, b, weight), rtol=1e-9)
    np.testing.assert_allclose(clf.history_["train_score"][-1], accuracy(X, y, W, b, weight))
    # Only their ratios matter.
    assert_weights(exact().fit(storage(X), y, sample_weight=weight / 7), W, b)


def test_class_weight(digits):
    X, y, X_val, y_val = digits
    rare = np.flatnonzero((y != 3) | (np.arange(len(y)) % 4 == 0))
    X, y = X[rare], y[rare]
    factors = {3: 4.0, 5: 0.5}
    weight = np.array([factors.get(label, 1.0) for label in y])
    ours = exact(class_weight=factors).fit(X, y, X_val=X_val, y_val=y_val)
    assert_same_fit(ours, exact().fit(X, y, sample_weight=weight))
    # Training losses are weighted, validation losses are not.
    loss = mean_loss(X, y, ours.coef_, ours.intercept_, weight)
    np.testing.assert_allclose(ours.history_["loss"][-1], loss, rtol=1e-9)
    loss = mean_loss(X_val, y_val, ours.coef_, ours.intercept_)
    np.testing.assert_allclose(ours.history_["val_loss"][-1], loss, rtol=1e-9)
    balanced = exact(class_weight="balanced").fit(X, y)
    weight = (len(y) / (10 * np.bincount(y)))[y]
    assert_same_fit(balanced, exact().fit(X, y, sample_weight=weight))


# --- how training ends ---------------------------------------------------------------------------


@pytest.mark.parametrize("storage", [np.asarray, sp.csr_matrix])
@pytest.mark.parametrize("monitor", ["accuracy", "loss"])
def test_early_stopping_restores_the_first_best_epoch(digits, storage, monitor):
    X, y, X_val, y_val = digits
    X, X_val = storage(X), storage(X_val)
    rule = EarlyStopping(patience=4, monitor=monitor)
    options = {"eta0": 2.0, "random_state": 3, "batch_size": 10}
    clf = SGDClassifier(early_stopping=rule, **options).fit(X, y, X_val=X_val, y_val=y_val)
    values = clf.history_["val_score"] if monitor == "accuracy" else -np.array(clf.history_["val_loss"])
    assert clf.best_epoch_ == np.argmax(values) + 1
    assert clf.n_iter_ == len(values) == clf.best_epoch_ + 4
    assert clf.score(X_val, y_val) == pytest.approx(clf.history_["val_score"][clf.best_epoch_ - 1])
    shorter = SGDClassifier(max_iter=clf.best_epoch_, tol=None, **options).fit(X, y)
    assert_same_fit(clf, shorter, 0, 0)


def test_theanos_form_restores_weights_within_an_epoch(digits):
    X, y, X_val, y_val = digits
    # 20 minibatches an epoch, validated every 7: the tutorial's loop, over all epochs in one.
    order, patience, best = np.tile(np.arange(500), 60), 30, -1.0
    for iteration in range(1200):
        if (iteration + 1) % 7 == 0:
            W, b = numpy_sgd(X, y, [order[: 25 * (iteration + 1)]], batch_size=25)
            score = accuracy(X_val, y_val, W, b)
            if score > best:
                if 1 - score < 0.98 * (1 - best):
                    patience = max(patience, iteration * 1.5)
                best, best_iteration, kept = score, iteration, (W, b)
        if patience <= iteration:
            break
    assert best_iteration % 20 != 19  # within an epoch
    rule = EarlyStopping(
        patience=30, patience_increase=1.5, improvement_threshold=0.98, validation_frequency=7
    )
    clf = exact(early_stopping=rule, batch_size=25, max_iter=60)
    clf.fit(X, y, X_val=X_val, y_val=y_val)
    assert_weights(clf, *kept)
    assert (clf.t_, clf.best_epoch_) == (iteration + 1, best_iteration // 20 + 1)
    assert clf.score(X_val, y_val) == pytest.approx(best)
    assert [len(values) for values in clf.history_.values()] == [iteration // 20 + 1] * 5


def test_without_early_stopping_the_last_weights_are_kept(digits):
    X, y, X_val, y_val = digits
    clf = SGDClassifier(eta0=2.0, random_state=3, batch_size=10, max_iter=8, tol=None)
    clf.fit(X, y, X_val=X_val, y_val=y_val)
    assert max(clf.history_["val_score"]) > clf.history_["val_score"][-1]
    assert clf.score(X_val, y_val) == pytest.approx(clf.history_["val_score"][-1])
    assert clf.best_epoch_ == clf.n_iter_ == 8


def test_early_stopping_true_is_patience_and_min_delta(digits):
    X, y, X_val, y_val = digits
    data, options = {"X_val": X_val, "y_val": y_val}, {"eta0": 0.1, "random_state": 0}
    short = SGDClassifier(early_stopping=True, n_iter_no_change=3, tol=0.01, **options)
    rule = EarlyStopping(patience=3, min_delta=0.01)
    long = SGDClassifier(early_stopping=rule, **options)
    assert_same_fit(short.fit(X, y, **data), long.fit(X, y, **data), 0, 0)
    assert short.n_iter_ == long.n_iter_


def test_validation_fraction(digits):
    X, y, _, _ = digits
    options = {"early_stopping": EarlyStopping(patience=2), "eta0": 0.5, "random_state": 0}
    clf = SGDClassifier(validation_fraction=0.2, **options).fit(X, y)
    scores = np.array(clf.history_["val_score"]) * 100
    np.testing.assert_allclose(scores, np.round(scores))  # 100 of the 500 rows
    again = SGDClassifier(validation_fraction=0.2, **options).fit(X, y)
    assert_same_fit(clf, again, 0, 0)
    itself = SGDClassifier(validation_fraction=0, **options).fit(X, y)
    assert "val_score" not in itself.history_
    assert itself.best_epoch_ == np.argmax(itself.history_["train_score"]) + 1
    # Nothing is set aside without early stopping.
    plain = SGDClassifier(tol=None, max_iter=1, batch_size=10).fit(X, y)
    assert plain.t_ == 50


def test_early_stopping_true_without_tol_runs_all_epochs(digits):
    """And keeps the weights of the best one; without a warning, as it was asked for."""
    options = {"eta0": 2.0, "batch_size": 10, "max_iter": 15, "random_state": 0}
    clf = SGDClassifier(early_stopping=True, n_iter_no_change=1, tol=None, **options).fit(*digits[:2])
    assert clf.n_iter_ == 15 and clf.status_ == "max_iter"
    assert clf.best_epoch_ == 1 + np.argmax(clf.history_["val_score"]) < 15


def test_tol_and_convergence_warning(digits):
    X, y, _, _ = digits
    loose = SGDClassifier(eta0=0.1, tol=0.05, n_iter_no_change=2, random_state=0).fit(X, y)
    loss = np.array(loose.history_["loss"])
    best = np.minimum.accumulate(loss)
    assert np.all(loss[-2:] > best[-3:-1] - 0.05)
    assert loose.n_iter_ < 100
    with pytest.warns(ConvergenceWarning, match="max_iter=3"):
        clf = SGDClassifier(tol=1e-9, max_iter=3).fit(X, y)
    assert clf.n_iter_ == 3
    with pytest.warns(ConvergenceWarning, match="max_iter=3"):
        SGDClassifier(early_stopping=True, max_iter=3).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SGDClassifier(tol=None, max_iter=3).fit(X, y)


def interrupt(monkeypatch, call):
    """Raises a KeyboardInterrupt before that call of the kernel."""
    rates, calls = minibatch.Schedule.rates, []

    def interrupted(*arguments):
        calls.append(arguments)
        if len(calls) == call:
            raise KeyboardInterrupt
        return rates(*arguments)

    monkeypatch.setattr(minibatch.Schedule, "rates", interrupted)


@pytest.mark.parametrize("classifier", [SGDClassifier, MLPClassifier])
def test_an_interrupted_fit_keeps_what_it_has(digits, monkeypatch, classifier):
    X, y = digits[:2]
    options = {"random_state": 0, "batch_size": 100, "tol": None}
    expected = classifier(max_iter=3, **options).fit(X, y)
    interrupt(monkeypatch, call=4)  # a call an epoch
    with pytest.warns(ConvergenceWarning, match="interrupted by the user after 3 epochs; the latest weights"):
        clf = classifier(max_iter=9, **options).fit(X, y)
    assert (clf.status_, expected.status_) == ("interrupted", "max_iter")
    assert (clf.n_iter_, clf.best_epoch_, clf.t_) == (3, 3, expected.t_)
    np.testing.assert_array_equal(clf.predict_proba(X), expected.predict_proba(X))
    assert clf.history_["loss"] == expected.history_["loss"]


def test_an_interrupted_fit_keeps_its_best_weights(digits, monkeypatch):
    X, y = digits[:2]
    options = {"eta0": 0.05, "random_state": 0, "validation_fraction": 0.2}
    rule = EarlyStopping(patience=50)
    interrupt(monkeypatch, call=16)
    with pytest.warns(ConvergenceWarning, match="the best weights"):
        clf = SGDClassifier(early_stopping=rule, max_iter=100, **options).fit(X, y)
    best = clf.best_epoch_
    assert clf.n_iter_ == 15 and clf.history_["val_score"][best - 1] == max(clf.history_["val_score"])
    monkeypatch.undo()
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        again = SGDClassifier(early_stopping=rule, max_iter=best, **options).fit(X, y)
    np.testing.assert_array_equal(clf.coef_, again.coef_)


def test_an_interrupt_within_the_first_epoch_leaves_the_last_fit(digits, monkeypatch):
    X, y = digits[:2]
    clf = SGDClassifier(max_iter=2, tol=None, random_state=0).fit(X, y)
    before = copy.deepcopy(vars(clf))
    interrupt(monkeypatch, call=1)
    with pytest.raises(KeyboardInterrupt):
        clf.fit(X, y)
    assert vars(clf).keys() == before.keys() and clf.n_iter_ == 2
    np.testing.assert_array_equal(clf.coef_, before["coef_"])


def test_adaptive(digits):
    X, y, _, _ = digits
    clf = SGDClassifier(learning_rate="adaptive", eta0=4.0, tol=1e-3, n_iter_no_change=1,
                        batch_size=20, random_state=0).fit(X, y)  # fmt: skip
    constant = SGDClassifier(eta0=4.0, tol=1e-3, n_iter_no_change=1, batch_size=20, random_state=0)
    assert clf.history_["loss"][-1] < constant.fit(X, y).history_["loss"][-1]
    assert clf.n_iter_ > constant.n_iter_


@pytest.mark.parametrize("seed", [0, 1])
def test_random_state(digits, seed):
    X, y, _, _ = digits
    options = {"tol": None, "max_iter": 2}
    first = SGDClassifier(random_state=seed, **options).fit(X, y)
    assert_same_fit(first, SGDClassifier(random_state=seed, **options).fit(X, y), 0, 0)
    given = SGDClassifier(random_state=np.random.RandomState(seed), **options).fit(X, y)
    assert_same_fit(first, given, 0, 0)
    other = SGDClassifier(random_state=seed + 2, **options).fit(X, y)
    assert not np.allclose(first.coef_, other.coef_)
    assert not np.allclose(first.coef_, exact(batch_size=100, max_iter=2).fit(X, y).coef_)


# --- more of the same ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "storage, scaling", [(np.asarray, None), (np.asarray, "standard"), (sp.csr_array, None)]
)
def test_weights_to_start_from(digits, storage, scaling):
    """Three epochs from given weights are the last three of six."""
    X, y, *_ = digits
    X = storage(X)
    whole, half = exact(max_iter=6, scaling=scaling).fit(X, y), exact(scaling=scaling).fit(X, y)
    rest = exact(scaling=scaling).fit(X, y, coef_init=half.coef_, intercept_init=half.intercept_)
    np.testing.assert_allclose(rest.coef_, whole.coef_, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(rest.intercept_, whole.intercept_, rtol=1e-9, atol=1e-12)


def test_some_weights_to_start_from(binary):
    X, y = binary
    coef = np.arange(9.0)
    flat, whole = (exact().fit(X, y, coef_init=value) for value in (coef, coef[None]))
    np.testing.assert_array_equal(flat.coef_, whole.coef_)
    zeros = exact().fit(X, y, coef_init=np.zeros((1, 9)))
    np.testing.assert_array_equal(zeros.coef_, exact().fit(X, y).coef_)
    # What is not given goes on from the last fit, if there is one to go on from.
    clf = exact(warm_start=True).fit(X, y)
    both = exact().fit(X, y, coef_init=clf.coef_, intercept_init=3.0)
    np.testing.assert_array_equal(clf.fit(X, y, intercept_init=3.0).coef_, both.coef_)


@pytest.mark.parametrize(
    "start",
    [{"coef_init": np.zeros((2, 9))}, {"coef_init": np.zeros(8)}, {"coef_init": np.full(9, np.nan)},
     {"intercept_init": [1, 2]}, {"intercept_init": np.inf}],
)  # fmt: skip
def test_weights_to_start_from_that_do_not_fit(binary, start):
    assert_refused(exact().fit(*binary), lambda c: c.fit(*binary, **start), next(iter(start)))


def test_infinite_patience(binary):
    clf = exact(tol=1e9, n_iter_no_change=np.inf, max_iter=20)
    for options in ({}, {"early_stopping": True}):
        with pytest.warns(ConvergenceWarning, match="Training ended after 20 epochs"):
            assert clf.set_params(**options).fit(*binary).n_iter_ == 20


def test_partial_fit_without_early_stopping(binary):
    clf = exact(early_stopping=True)
    with pytest.raises(ValueError, match="early_stopping must be False for partial_fit"):
        clf.partial_fit(*binary, classes=[0, 1])


@pytest.mark.parametrize("storage", ["float64", "float32", "uint8", "csr"])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_partial_fit_is_an_epoch(digits, storage, schedule):
    X, y, _, _ = digits
    X = sp.csr_matrix(X) if storage == "csr" else (X * 200).astype(storage)
    options = {"learning_rate": schedule, "alpha": 0.01, "eta0": 1e-3, "scaling": "unit"}
    whole = exact(**options).fit(X, y)
    parts = exact(**options)
    for _ in range(3):
        parts.partial_fit(X, y, classes=np.arange(10))
    assert_same_fit(parts, whole, 0, 0)
    assert (parts.t_, parts.n_iter_) == (whole.t_, whole.n_iter_)


def test_partial_fit_in_pieces_with_weights(digits):
    X, y = digits[0][:160], digits[1][:160]
    weight = np.random.default_rng(0).uniform(0, 2, size=160)
    W, b = numpy_sgd(X, y, in_order(X, 1), weight=weight)
    clf = exact()
    for start in range(0, 160, 64):
        piece = slice(start, start + 64)
        clf.partial_fit(X[piece], y[piece], np.arange(10), sample_weight=weight[piece])
    assert_weights(clf, W, b)


def test_partial_fit_knows_classes_it_has_not_seen(digits):
    X, y, _, _ = digits
    few = y < 3
    clf = exact().partial_fit(X[few], y[few], classes=np.arange(10))
    assert clf.coef_.shape == (10, 64)
    clf.partial_fit(X, y)
    assert clf.score(X, y) > 0.3


def test_warm_start_goes_on(digits):
    X, y, _, _ = digits
    clf = exact(warm_start=True, max_iter=2, scaling="standard", eta0=0.01).fit(X, y)
    clf.set_params(max_iter=3).fit(X, y)
    assert_same_fit(clf, exact(max_iter=5, scaling="standard", eta0=0.01).fit(X, y))
    cold = exact(max_iter=2).fit(X, y)
    assert_same_fit(cold.fit(X, y), exact(max_iter=2).fit(X, y), 0, 0)
    clf.fit(X[y < 5], y[y < 5])  # other classes: from zero
    assert clf.coef_.shape == (5, 64)


# --- what is refused -----------------------------------------------------------------------------


def state(clf):
    return {name: copy.deepcopy(value) for name, value in vars(clf).items()}


def assert_refused(clf, call, match):
    """The call raises ValueError, and leaves the estimator as it was."""
    before = state(clf)
    with pytest.raises(ValueError, match=match):
        call(clf)
    after = vars(clf)
    assert before.keys() == after.keys()
    for name, value in before.items():
        np.testing.assert_equal(after[name], value, err_msg=name)


def with_nan(values):
    values = np.array(values, dtype=np.float64)
    values.flat[3] = np.nan
    return values


BAD_DATA = {
    "validation labels unseen": (
        lambda X, y, V, v: ((X, y), {"X_val": V, "y_val": v + 5}), "y_val must hold only"
    ),
    "validation labels of another type": (
        lambda X, y, V, v: ((X, y), {"X_val": V, "y_val": v.astype(str)}), "y_val"
    ),
    "validation lengths": (
        lambda X, y, V, v: ((X, y), {"X_val": V[:-1], "y_val": v}), "X_val and y_val must have"
    ),
    "validation features": (
        lambda X, y, V, v: ((X, y), {"X_val": V[:, 1:], "y_val": v}), "63 features"
    ),
    "validation NaN": (
        lambda X, y, V, v: ((X, y), {"X_val": with_nan(V), "y_val": v}), "NaN"
    ),
    "validation labels NaN": (
        lambda X, y, V, v: ((X, y), {"X_val": V, "y_val": with_nan(v)}), "NaN|y_val"
    ),
    "no validation labels": (lambda X, y, V, v: ((X, y), {"X_val": V}), "together"),
    "no validation rows": (lambda X, y, V, v: ((X, y), {"y_val": v}), "together"),
    "empty validation": (
        lambda X, y, V, v: ((X, y), {"X_val": V[:0], "y_val": v[:0]}), "sample"
    ),
    "lengths": (lambda X, y, V, v: ((X[:-1], y), {}), "same number of rows"),
    "NaN": (lambda X, y, V, v: ((with_nan(X), y), {}), "NaN"),
    "infinity": (lambda X, y, V, v: ((np.where(X > 0.9, np.inf, X), y), {}), "infinity"),
    "labels NaN": (lambda X, y, V, v: ((X, with_nan(y)), {}), "NaN"),
    "no labels": (lambda X, y, V, v: ((X, None), {}), "y"),
    "continuous labels": (lambda X, y, V, v: ((X, y + 0.5), {}), "[Uu]nknown label type"),
    "one class": (lambda X, y, V, v: ((X, np.zeros_like(y)), {}), "class"),
    "weights' length": (lambda X, y, V, v: ((X, y, np.ones(3)), {}), "sample_weight"),
    "negative weights": (lambda X, y, V, v: ((X, y, -np.ones(len(y))), {}), "sample_weight"),
    "NaN weights": (lambda X, y, V, v: ((X, y, np.full(len(y), np.nan)), {}), "sample_weight"),
    "zero weights": (lambda X, y, V, v: ((X, y, np.zeros(len(y))), {}), "sample_weight"),
    "one dimension": (lambda X, y, V, v: ((X[:, 0], y), {}), "2D"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")  # scikit-learn's, of NaN in y
@pytest.mark.parametrize("case", BAD_DATA)
@pytest.mark.parametrize("fitted", [False, True])
def test_refuses_data(digits, case, fitted):
    clf = exact(max_iter=1)
    if fitted:
        clf.fit(digits[0], digits[1])
    make, match = BAD_DATA[case]
    arguments, named = make(*digits)
    assert_refused(clf, lambda c: c.fit(*arguments, **named), match)


BAD_PARAMETERS = [
    {"penalty": "l3"}, {"alpha": -1.0}, {"alpha": np.inf}, {"l1_ratio": 1.5}, {"eta0": 0.0},
    {"eta0": np.nan}, {"learning_rate": "slow"}, {"power_t": "a"}, {"momentum": 1.0},
    {"batch_size": -1}, {"batch_size": 2.5}, {"max_iter": 0}, {"tol": "a"}, {"n_iter_no_change": 0},
    {"early_stopping": "yes"}, {"validation_fraction": 1.0}, {"validation_fraction": -0.1},
    {"scaling": "minmax"}, {"n_threads": 0}, {"class_weight": "equal"}, {"class_weight": {0: -1}},
    {"class_weight": dict.fromkeys(range(10), 0)},
    {"early_stopping": EarlyStopping(patience=0)},
]  # fmt: skip


@pytest.mark.parametrize("bad", BAD_PARAMETERS, ids=str)
def test_refuses_parameters(digits, bad):
    X, y, _, _ = digits
    clf = exact(max_iter=1).fit(X, y).set_params(**bad)
    name = "patience" if isinstance(bad.get("early_stopping"), EarlyStopping) else next(iter(bad))
    assert_refused(clf, lambda c: c.fit(X, y), name)


def test_refuses_a_split_that_cannot_be_made(digits):
    X, y, _, _ = digits
    clf = SGDClassifier(early_stopping=True)
    some = np.r_[np.flatnonzero(y == 0), np.flatnonzero(y == 1)[:1]]
    assert_refused(clf, lambda c: c.fit(X[some], y[some]), "validation_fraction")
    # One row alone has a weight; it falls to one of the parts.
    alone = np.eye(len(y))[0]
    assert_refused(clf, lambda c: c.fit(X, y, alone), "no sample that has a weight")


@pytest.mark.parametrize("unit", [1e-25, 1e25])
def test_refuses_units_whose_squares_are_beyond_the_arithmetic(digits, unit):
    X, y, _, _ = digits
    clf = exact(scaling="standard", max_iter=1)
    scores = [clf.fit(X * factor, y).score(X * factor, y) for factor in (1, unit)]
    assert scores[0] == scores[1]  # float64 can
    clf = SGDClassifier(scaling="standard", max_iter=1, tol=None)
    assert_refused(clf, lambda c: c.fit((X * unit).astype(np.float32), y), "another unit")


def test_more_threads_than_there_can_be(digits):
    X, y, _, _ = digits
    right = exact(max_iter=1).fit(X, y)
    np.testing.assert_array_equal(exact(max_iter=1, n_threads=10**12).fit(X, y).coef_, right.coef_)


@pytest.mark.parametrize("storage", [np.asarray, sp.csr_matrix])
@pytest.mark.parametrize("options", [{}, {"fit_intercept": False}, {"penalty": "l1", "alpha": 0.1}])
def test_divergence_is_an_error(digits, storage, options):
    X, y, _, _ = digits
    clf = exact(max_iter=2).fit(X, y).set_params(eta0=1e200, **options)
    X = storage(X * 1e200)
    assert_refused(clf, lambda c: c.fit(X, y), "eta0")
    assert_refused(clf, lambda c: c.partial_fit(X, y), "eta0")


def test_partial_fit_refuses(digits):
    X, y, _, _ = digits
    assert_refused(exact(), lambda c: c.partial_fit(X, y), "classes")
    assert_refused(exact(), lambda c: c.partial_fit(X, y, classes=np.arange(5)), "only the classes")
    for options in ({"scaling": "standard"}, {"class_weight": "balanced"}):
        clf = exact(**options)
        assert_refused(clf, lambda c: c.partial_fit(X, y, classes=np.arange(10)), "use fit")
    clf = exact().partial_fit(X, y, classes=np.arange(10))
    assert_refused(clf, lambda c: c.partial_fit(X, y, classes=np.arange(9)), "classes")
    assert_refused(clf, lambda c: c.partial_fit(X, y + 1), "only the classes")
    assert_refused(clf, lambda c: c.partial_fit(X[:, 1:], y), "63 features")
    assert_refused(clf, lambda c: c.partial_fit(with_nan(X), y), "NaN")
    assert_refused(clf, lambda c: c.partial_fit(X, y, sample_weight=-np.ones(500)), "sample_weight")


def test_inputs_are_left_alone(digits):
    X, y, X_val, y_val = (part.copy() for part in digits)
    weight = np.ones(len(y))
    for values in (X, y, X_val, y_val, weight):
        values.flags.writeable = False
    SGDClassifier(early_stopping=True, scaling="standard", eta0=0.01).fit(
        X, y, weight, X_val=X_val, y_val=y_val
    )
    exact().fit((X * 255).astype(np.uint8)[::2, ::-1], y[::2])


def test_nothing_of_an_earlier_fit_is_left(binary):
    pd = pytest.importorskip("pandas")
    X, y = binary
    clf = exact().fit(pd.DataFrame(X).rename(columns=str), y)
    assert hasattr(clf, "feature_names_in_")
    clf.fit(X[:, :3], y)
    assert not hasattr(clf, "feature_names_in_") and clf.n_features_in_ == 3
    clf.predict(X[:, :3])  # without a warning


def test_each_loss_that_is_shown_is_taken_and_no_other(binary):
    for loss in SGDClassifier.loss_functions:
        assert exact(loss=loss).fit(*binary).predict_proba(binary[0]).shape == (len(binary[1]), 2)
    for loss in ("hinge", "squared_error", None):
        assert_refused(exact(loss=loss), lambda c: c.fit(*binary), "loss must be one of 'log_loss'")
