"""MLPClassifier: scikit-learn's network step by step, and what it shares with SGDClassifier."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier as ScikitLearns
from sklearn.preprocessing import StandardScaler

from fastlr import EarlyStopping, MLPClassifier

ACTIVATIONS = ("relu", "logistic", "tanh")


def digits(n=600):
    X, y = load_digits(return_X_y=True)
    return X[:n] / 16, y[:n]


def network(activation="relu", **options):
    defaults = {"learning_rate_init": 0.02, "max_iter": 5, "tol": None, "random_state": 0}
    return MLPClassifier(12, activation, **{**defaults, **options})


def scikit_learns(model):
    """scikit-learn's network with the parameters of ours; it never stops early."""
    shared = (
        "activation", "alpha", "batch_size", "learning_rate", "learning_rate_init", "power_t", "max_iter",
        "shuffle", "momentum", "nesterovs_momentum", "random_state",
    )  # fmt: skip
    options = {name: getattr(model, name) for name in shared}
    return ScikitLearns((12,), solver="sgd", tol=0, n_iter_no_change=10**6, **options)


@pytest.mark.parametrize(
    "options",
    [{}, {"nesterovs_momentum": False}, {"momentum": 0.0}, {"alpha": 3.0}, {"batch_size": 64},
     {"batch_size": 10**6}],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("classes", [range(10), (3, 5)], ids=["ten classes", "two classes"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:Got `batch_size`:UserWarning")
def test_takes_scikit_learns_steps(activation, options, classes):
    X, y = digits()
    X, y = X[np.isin(y, classes)], y[np.isin(y, classes)]
    ours = network(activation, shuffle=False, dtype="float64", **options).fit(X, y)
    theirs = scikit_learns(ours).fit(X, y)
    for name in ("coefs_", "intercepts_"):
        for found, right in zip(getattr(ours, name), getattr(theirs, name), strict=True):
            np.testing.assert_allclose(found, right, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-8)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    if not options.get("alpha"):  # else its curve has the penalty, of each minibatch's own weight
        np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-3)
    assert ours.loss_ == ours.loss_curve_[-1] == ours.history_["loss"][-1]


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_trains_as_well_as_scikit_learn_in_float32(activation):
    """Other orders and rounding change the loss after a few epochs by little."""
    X, y = digits(1797)
    ours = [network(activation, max_iter=20, random_state=seed).fit(X, y).loss_ for seed in range(5)]
    theirs = []
    for seed in range(5):
        with pytest.warns(ConvergenceWarning):
            theirs.append(scikit_learns(network(activation, max_iter=20, random_state=seed)).fit(X, y).loss_)
    assert np.mean(ours) == pytest.approx(np.mean(theirs), rel=0.02)


def test_the_curve_is_the_loss_of_the_rows_as_they_pass():
    """Without steps it is the loss of the first weights, and the accuracy theirs."""
    X, y = digits()
    model = network(learning_rate_init=1e-30, max_iter=1, momentum=0.0, dtype="float64").fit(X, y)
    log_p = model.predict_log_proba(X)
    assert model.loss_ == pytest.approx(-log_p[np.arange(len(y)), y].mean(), rel=1e-12)
    assert model.history_["train_score"] == [pytest.approx(model.score(X, y))]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_scaling_is_a_scaler_before_the_fit(dtype):
    X, y = digits()
    X = 3 * X + 1
    scaled = StandardScaler().fit_transform(X)
    model = network("tanh", scaling="standard", dtype=dtype).fit(X, y)
    plain = network("tanh", dtype=dtype).fit(scaled, y)
    tolerance = 1e-9 if dtype == "float64" else 1e-3
    np.testing.assert_allclose(model.predict_proba(X), plain.predict_proba(scaled), rtol=tolerance, atol=1e-5)
    np.testing.assert_allclose(model.loss_curve_, plain.loss_curve_, rtol=tolerance)


def test_unit_scaling_divides_bytes():
    X, y = digits()
    X = np.round(255 * X).astype(np.uint8)
    model, plain = network(scaling="unit").fit(X, y), network().fit((X / 255).astype(np.float32), y)
    np.testing.assert_allclose(model.loss_curve_, plain.loss_curve_, rtol=1e-4)
    assert np.mean(model.predict(X) == plain.predict(X / 255)) > 0.99


@pytest.mark.parametrize("make", [np.asfortranarray, lambda X: np.repeat(X, 2, axis=1)[:, ::2], list])
def test_layouts_and_lists(make):
    X, y = digits()
    right = network().fit(X, y)
    np.testing.assert_array_equal(network().fit(make(X), y).predict_proba(make(X)), right.predict_proba(X))


def test_threads_change_no_bit():
    X, y = digits()
    X = np.tile(X, (1, 8))  # enough work to share
    one, two = (network(n_threads=n, batch_size=300).fit(X, y) for n in (1, 2))
    np.testing.assert_array_equal(one.coefs_[0], two.coefs_[0])
    np.testing.assert_array_equal(one.coefs_[1], two.coefs_[1])
    assert one.loss_curve_ == two.loss_curve_


def test_weight_counts_like_repetition_and_zero_is_absence():
    X, y = digits()
    one, seven = (
        network(dtype="float64", alpha=1e-3 * weight).fit(X, y, np.full(len(y), weight))
        for weight in (1.0, 7.0)
    )
    np.testing.assert_allclose(one.coefs_[0], seven.coefs_[0], rtol=1e-9, atol=1e-12)
    # In full batches, rows without weight do not count but for the mean; alpha is out of the way.
    weight = np.ones(len(y))
    weight[400:] = 0
    some = network(batch_size=None, alpha=0.0, dtype="float64").fit(X, y, weight)
    # fit takes the mean weight to be one: 600 rows of which 400 have 1.5.
    few = network(batch_size=None, alpha=0.0, dtype="float64").fit(X[:400], y[:400])
    np.testing.assert_allclose(some.coefs_[0], few.coefs_[0], rtol=1e-8, atol=1e-10)


def test_early_stopping_keeps_the_best_weights():
    X, y = digits(1200)
    model = network(
        max_iter=200, early_stopping=EarlyStopping(patience=5), learning_rate_init=0.1, batch_size=50
    ).fit(X[:900], y[:900], X_val=X[900:], y_val=y[900:])
    scores = model.history_["val_score"]
    assert model.best_epoch_ == np.argmax(scores) + 1
    assert model.score(X[900:], y[900:]) == pytest.approx(max(scores))
    assert model.n_iter_ == model.best_epoch_ + 5
    log_p = model.predict_log_proba(X[900:])[np.arange(300), y[900:]]
    assert model.history_["val_loss"][model.best_epoch_ - 1] == pytest.approx(-log_p.mean(), rel=1e-4)


def test_early_stopping_by_a_share_of_the_samples():
    X, y = digits()
    model = network(max_iter=100, early_stopping=True, n_iter_no_change=3, tol=0.0).fit(X, y)
    assert len(model.history_["val_score"]) == model.n_iter_ <= 100


@pytest.mark.parametrize("learning_rate", ["invscaling", "adaptive"])
def test_schedules_lower_the_steps(learning_rate):
    X, y = digits()
    model = network(learning_rate=learning_rate, max_iter=3).fit(X, y)
    constant = network(max_iter=3).fit(X, y)
    if learning_rate == "invscaling":
        assert not np.allclose(model.coefs_[0], constant.coefs_[0])
    else:
        np.testing.assert_array_equal(model.coefs_[0], constant.coefs_[0])  # it still improves


def test_warm_start_goes_on():
    X, y = digits()
    model = network(warm_start=True, scaling="standard").fit(X, y)
    first = model.loss_
    # The first weights of the second fit are the last of the first.
    assert model.fit(X, y).loss_curve_[0] < first
    cold = network(scaling="standard").fit(X, y)
    assert cold.loss_ == first


def test_partial_fit_is_an_epoch_and_keeps_its_velocity():
    X, y = digits()
    whole = network(shuffle=False, max_iter=1, batch_size=100).fit(X, y)
    parts = network(shuffle=False, batch_size=100)
    for start in range(0, 600, 200):
        parts.partial_fit(X[start : start + 200], y[start : start + 200], classes=np.arange(10))
    np.testing.assert_allclose(parts.coefs_[0], whole.coefs_[0], rtol=1e-5, atol=1e-7)
    assert parts.t_ == whole.t_ == 6 and parts.n_iter_ == 3
    # Each row counts under the weights that its minibatch met, here as there.
    assert len(parts.loss_curve_) == 3 and parts.loss_ == parts.loss_curve_[-1]
    np.testing.assert_allclose(np.mean(parts.loss_curve_), whole.loss_, rtol=1e-6)
    np.testing.assert_allclose(np.mean(parts.history_["train_score"]), whole.history_["train_score"][0])
    assert parts.best_loss_ == min(parts.loss_curve_) and np.all(np.diff(parts.history_["time"]) > 0)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_partial_fit_goes_on_with_the_history_of_a_fit():
    X, y = digits()
    model = network(max_iter=2).fit(X, y, X_val=X, y_val=y)
    before = {name: list(values) for name, values in model.history_.items()}
    model.partial_fit(X, y)
    assert model.validation_scores_ is None and model.loss_curve_[:2] == before["loss"]
    assert {len(values) for values in model.history_.values()} == {3} == {model.n_iter_}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_failed_fit_leaves_the_model():
    X, y = digits()
    model = network().fit(X, y)
    before = model.predict_proba(X)
    model.set_params(learning_rate_init=1e30)
    with pytest.raises(ValueError, match=r"no longer finite: learning_rate_init=1e\+30 is too large"):
        model.fit(X, y)
    np.testing.assert_array_equal(model.predict_proba(X), before)


def test_theanos_form_on_the_training_rows_themselves():
    """Validations and history are of the rows of the epoch so far; the first minibatches have no weight."""
    X, y = digits()
    weight = (np.arange(len(y)) >= 200).astype(float)
    options = {"batch_size": 50, "shuffle": False, "max_iter": 3, "dtype": "float64"}
    every = EarlyStopping(patience=10**6, patience_increase=2, validation_frequency=1, monitor="loss")
    plain = network(**options).fit(X, y, weight)
    with pytest.warns(ConvergenceWarning):
        model = network(**options, early_stopping=every, validation_fraction=0).fit(X, y, weight)
    np.testing.assert_allclose(model.loss_curve_, plain.loss_curve_, rtol=1e-12)
    np.testing.assert_allclose(model.history_["train_score"], plain.history_["train_score"], rtol=1e-12)


def test_partial_fit_refuses_another_number_of_hidden_units():
    X, y = digits()
    for model in (network().fit(X, y), network().partial_fit(X, y, classes=range(10))):
        before = model.predict_proba(X)
        for size in (1, 20):
            model.set_params(hidden_layer_sizes=size)
            with pytest.raises(ValueError, match="partial_fit goes on from the fitted weights"):
                model.partial_fit(X, y)
        np.testing.assert_array_equal(model.predict_proba(X), before)


def test_numbers_beyond_float32():
    X, y = digits()
    with pytest.raises(
        ValueError, match=r"X must hold numbers that float32 can hold, up to 3e\+38; found 1.0e"
    ):
        network().fit(X * 1e60, y)
    assert np.isfinite(network(dtype="float64", scaling="standard").fit(X * 1e60, y).loss_)


def test_labels_and_copies():
    X, y = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    model = network(max_iter=100, scaling="standard").fit(X, names)
    assert model.score(X, names) > 0.9
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    assert clone(model).get_params() == model.get_params()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"hidden_layer_sizes": (5, 5)},
            "hidden_layer_sizes must be an integer of at least 1, or a sequence of",
        ),
        ({"hidden_layer_sizes": 0}, "hidden_layer_sizes must be"),
        ({"hidden_layer_sizes": 2.5}, "hidden_layer_sizes must be"),
        (
            {"activation": "identity"},
            "activation must be one of 'relu', 'logistic', 'tanh'; found 'identity'",
        ),
        ({"solver": "adam"}, "solver must be one of 'sgd'; found 'adam'"),
        ({"learning_rate_init": 0}, "learning_rate_init must be a positive finite number; found 0"),
        ({"batch_size": -1}, "batch_size must be 'auto', None or a whole number from 0; found -1"),
        ({"momentum": 1.0}, "momentum must be"),
        ({"dtype": "float16"}, "dtype must be 'float32' or 'float64'; found 'float16'"),
        ({"dtype": "single-ish"}, "dtype must be 'float32' or 'float64'; found 'single-ish'"),
        ({"dtype": None}, "dtype must be 'float32' or 'float64'; found None"),
        ({"batch_size": np.arange(3)}, "batch_size must be 'auto', None or a whole number from 0"),
        ({"alpha": -1}, "alpha must be"),
    ],
)
def test_errors(options, message):
    X, y = digits(50)
    with pytest.raises(ValueError, match=message):
        MLPClassifier(**{"max_iter": 2, **options}).fit(X, y)


def test_an_activation_that_is_none_does_not_predict():
    X, y = digits(50)
    model = network().fit(X, y).set_params(activation="identity")
    with pytest.raises(ValueError, match="activation must be one of"):
        model.predict(X)


def test_sparse_is_refused_clearly():
    X, y = digits(50)
    with pytest.raises(
        ValueError, match=r"MLPClassifier needs dense X; found a sparse matrix: use X.toarray"
    ):
        MLPClassifier().fit(sp.csr_matrix(X), y)
