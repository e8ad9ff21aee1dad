"""The numbers of softmax_sgd_mnist.py and logistic_sgd_theano.py; the tutorial's loop written out in NumPy.
That every script runs is tested in test_examples.py.

Shapes: n samples, d features, K classes, B rows of a minibatch.
"""

import importlib
import os
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

import fastlr
from fastlr import EarlyStopping, LogisticRegression, SGDClassifier, metrics

from .reference import log_probabilities, onehot, scores

EXAMPLES = Path(__file__).parents[1] / "examples"
needs_mnist = pytest.mark.skipif(
    "FASTLR_DATA" not in os.environ, reason="set FASTLR_DATA to the folder that holds mnist/"
)


@pytest.fixture
def story(monkeypatch):
    """Imports an example."""
    if not EXAMPLES.is_dir():
        pytest.skip("there are no examples beside these tests")
    monkeypatch.syspath_prepend(EXAMPLES)
    return importlib.import_module


def theano_literally(train, validation, batch_size, patience, increase=2, threshold=0.995, rate=0.13):
    """The tutorial's training, line for line: epochs run, best epoch, its error and weights."""
    (X, y), (X_val, y_val) = train, validation
    K, batches = y.max() + 1, len(y) // batch_size
    W, b, targets = np.zeros((K, X.shape[1])), np.zeros(K), onehot(y, K)
    frequency, best_error, epoch, done = min(batches, patience // 2), np.inf, 0, False
    while epoch < 1000 and not done:
        epoch += 1
        for minibatch in range(batches):
            rows = slice(minibatch * batch_size, (minibatch + 1) * batch_size)
            p = np.exp(log_probabilities(scores(X[rows], W, b)))
            residual = (p - targets[rows]) / batch_size
            W, b = W - rate * residual.T @ X[rows], b - rate * residual.sum(axis=0)
            iteration = (epoch - 1) * batches + minibatch
            if (iteration + 1) % frequency == 0:
                error = np.mean(scores(X_val, W, b).argmax(axis=1) != y_val)
                if error < best_error:
                    if error < best_error * threshold:
                        patience = max(patience, iteration * increase)
                    best_error, best_epoch, best_W = error, epoch, W
            if patience <= iteration:
                done = True
                break
    return epoch, best_epoch, best_error, best_W


def digits(story, levels=17):
    """Training, validation and test images of scikit-learn's digits in float64."""
    _, (X, y), test = story("_story").digits_or_mnist(Namespace(data=None))
    n = len(y) * 5 // 6
    return (X[:n] / levels, y[:n]), (X[n:] / levels, y[n:]), test


# Patience that ends within three epochs, and that grows; the last case is that of the example.
@pytest.mark.parametrize("batch_size, patience", [(60, 40), (60, 500), (45, 1000), (7, 350), (20, 1000)])
def test_the_tutorials_loop(story, batch_size, patience):
    train, validation, _ = digits(story)
    sgd = story("logistic_sgd_theano").descend(train, validation, batch_size, patience)
    epochs, best_epoch, best_error, best_W = theano_literally(train, validation, batch_size, patience)
    assert (sgd.n_iter_, sgd.best_epoch_) == (epochs, best_epoch)
    assert 1 - sgd.score(*validation) == pytest.approx(best_error, abs=1e-12)
    assert 1 - sgd.history_["val_score"][best_epoch - 1] == pytest.approx(best_error, abs=1e-12)
    np.testing.assert_allclose(sgd.coef_, best_W, rtol=1e-9, atol=1e-10)


def test_the_saved_model_predicts_elsewhere(story, tmp_path):
    theano = story("logistic_sgd_theano")
    train, validation, _ = digits(story)
    sgd = theano.descend(train, validation, 20, 1000)
    fastlr.save(sgd, tmp_path / "best_model.npz")
    predicted = theano.predict(tmp_path / "best_model.npz", validation[0])
    np.testing.assert_array_equal(predicted, sgd.predict(validation[0]))


def test_conjugate_gradients(story, capsys):
    theano = story("logistic_sgd_theano")
    train, validation, _ = digits(story)
    cg = theano.without_penalty(*train)
    assert cg.dual_gap_ == cg.objective_ > 0  # nothing is known but that it is not negative
    # A pixel that is inked in class k only: more weight there lowers the loss, so that there is no minimum.
    X, y = train
    k, j = next(
        (k, j) for k in range(10) for j in range(X.shape[1]) if X[y == k, j].any() and not X[y != k, j].any()
    )
    losses = []
    for extra in (0.0, 1.0, 10.0):
        W = cg.coef_.copy()
        W[k, j] += extra
        losses.append(-log_probabilities(scores(X, W, cg.intercept_))[np.arange(len(y)), y].sum())
    assert losses[0] > losses[1] > losses[2]

    Cs = [0.1, 1.0, 10.0]
    best = theano.with_penalty(train, validation, Cs)
    assert best.converged_ and best.dual_gap_ <= 1e-6 * best.null_objective_
    other = LogisticRegression(C=best.C, solver="newton-cg", tol=1e-9).fit(*train)
    assert other.objective_ - other.dual_gap_ <= best.objective_
    assert best.objective_ - best.dual_gap_ <= other.objective_
    # The C is that with the fewest errors on the validation images.
    fits = [LogisticRegression(C=C, tol=1e-8).fit(*train) for C in Cs]
    expected = min(fits, key=lambda fit: theano.errors(fit, *validation)).C
    np.testing.assert_equal(best.C, expected)
    assert "no minimum" in capsys.readouterr().out


def test_softmax_sgd_on_digits(story, tmp_path, capsys):
    softmax = story("softmax_sgd_mnist")
    name, X, y = softmax.all_images(Namespace(data=None))
    assert name == "digits" and X.dtype == np.uint8 and len(y) == 1797 and X.max() == 240
    split = train_test_split(X, y, test_size=0.2, random_state=0)
    sgd = SGDClassifier(**softmax.SETTINGS[name], scaling="unit", random_state=0)
    softmax.train(sgd.set_params(early_stopping=EarlyStopping(patience=10)), split)
    scores = sgd.history_["val_score"]
    assert sgd.n_iter_ == sgd.best_epoch_ + 10 and sgd.best_epoch_ == 1 + int(np.argmax(scores))
    assert sgd.score(split[1], split[3]) == scores[sgd.best_epoch_ - 1] > 0.95
    softmax.look_closer(sgd, split[1], split[3], tmp_path)
    printed = capsys.readouterr().out
    assert f"{scores[sgd.best_epoch_ - 1]:.2%}" in printed
    assert str(metrics.confusion_matrix(split[3], sgd.predict(split[1]))) in printed
    # Without stopping, the training loss falls on and on, and the validation loss does not.
    sgd.set_params(early_stopping=False, tol=None, max_iter=1000).fit(
        split[0], split[2], X_val=split[1], y_val=split[3]
    )
    loss, val_loss = sgd.history_["loss"], sgd.history_["val_loss"]
    assert loss[-1] < 0.5 * loss[99] and val_loss[-1] > 1.05 * min(val_loss)


@pytest.fixture(scope="module")
def mnist():
    from fastlr.datasets import load_mnist_idx

    return load_mnist_idx(Path(os.environ["FASTLR_DATA"]) / "mnist")


@needs_mnist
def test_the_tutorials_numbers(story, mnist):
    """74 epochs, the best after 73, 7.500 % of 9,600 validation images: what the tutorial's page prints."""
    theano = story("logistic_sgd_theano")
    (X, y), (X_test, y_test) = mnist
    images, ten = X / np.float32(256), X_test[:10] / np.float32(256)
    validation = theano.whole(images[50_000:], y[50_000:], 600)
    sgd = theano.descend((images[:50_000], y[:50_000]), validation, 600, 5000)
    assert len(validation[1]) == 9600
    assert (sgd.n_iter_, sgd.best_epoch_) == (74, 73)
    # An image on the border may fall to either side where sums are rounded otherwise.
    assert theano.errors(sgd, *validation) == pytest.approx(7.5, abs=100 * 1.5 / 9600)
    assert list(sgd.predict(ten)) == [7, 2, 1, 0, 4, 1, 4, 9, 6, 9]
    test_error = theano.errors(sgd, X_test / np.float32(256), y_test)
    assert test_error == pytest.approx(10.03, abs=0.1)


@needs_mnist
def test_the_articles_numbers(mnist):
    """About 92 % on the validation images, and a validation loss that rises again."""
    X, y = (np.concatenate(parts) for parts in zip(*mnist, strict=True))
    X_train, X_val, y_train, y_val = train_test_split(X, y, test_size=0.2, random_state=0)
    assert len(y_train) == 50_400
    sgd = SGDClassifier(eta0=0.24, batch_size=100, max_iter=100, scaling="unit", tol=None, random_state=0)
    sgd.fit(X_train, y_train, X_val=X_val, y_val=y_val)
    assert max(sgd.history_["val_score"]) == pytest.approx(0.922, abs=0.005)
    assert np.mean(sgd.history_["val_loss"][-10:]) > 1.01 * min(sgd.history_["val_loss"])
    assert np.all(np.isfinite(sgd.coef_))
    stopped = sgd.set_params(early_stopping=EarlyStopping(patience=10))
    stopped.fit(X_train, y_train, X_val=X_val, y_val=y_val)
    assert stopped.n_iter_ < 100 and stopped.score(X_val, y_val) == pytest.approx(0.92, abs=0.005)
    assert metrics.most_confused(y_val, stopped.predict(X_val), n=1)[0][:2] in [(4, 9), (9, 4)]


def test_patience_that_does_not_grow_warns(story):
    """The rule reports, as any other, that epochs ran out before it was satisfied."""
    train, (X_val, y_val), _ = digits(story)
    rule = EarlyStopping(patience=10**6, patience_increase=2)
    with pytest.warns(ConvergenceWarning):
        SGDClassifier(max_iter=3, early_stopping=rule).fit(*train, X_val=X_val, y_val=y_val)
