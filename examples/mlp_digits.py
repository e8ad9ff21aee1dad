"""
Twenty-five units in the middle
===============================

A network with one hidden layer of 25 units learns to read digits, as in an exercise of a known course. The
course hands out 5,000 images of 20 x 20 pixels in a MATLAB file: columns first, labels 1 to 10, where 10
means 0. Here such a file is made from MNIST (or from the digits that scikit-learn bundles), read back, looked
at, and learnt; then one sees what each hidden unit looks for, and what the network gets wrong.
"""

import tempfile
import time
from pathlib import Path

import numpy as np
from _story import arguments, compare, digits_or_mnist, save
from scipy.io import savemat

from fastlr import MLPClassifier, plots
from fastlr.datasets import load_mat

COURSE = {"relu": "96.6%", "logistic": "92%"}  # accuracy on the training images after 1,000 epochs
RATE = 0.0006  # a size of the steps that takes either kind of unit about as far as the course went


def make_mat(path, name, X, y):
    """Writes images as the course has them: 500 of each digit, of MNIST without the margin of 4 pixels."""
    side = int(X.shape[1] ** 0.5)
    images = X.reshape(-1, side, side) / (255 if name == "MNIST" else 16)
    if name == "MNIST":
        images = images[:, 4:-4, 4:-4]
    rows = np.concatenate([np.flatnonzero(y == digit)[:500] for digit in range(10)])
    columns_first = images[rows].transpose(0, 2, 1).reshape(len(rows), -1)
    savemat(path, {"X": columns_first, "y": np.where(y[rows] == 0, 10, y[rows])[:, None]})


options = arguments(__doc__)
name, (X, y), (X_test, y_test) = digits_or_mnist(options)
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "digits.mat"
    make_mat(path, name, X, y)
    X, y = load_mat(path)
    make_mat(path, name, X_test, y_test)
    X_test, y_test = load_mat(path)
side = int(X.shape[1] ** 0.5)
print(f"{name}: {len(X):,} images of {side} x {side} pixels from a .mat file, {len(X_test):,} to test")

some = np.random.RandomState(0).permutation(len(X))[:100]
save(plots.plot_images(X[some]), options.out, "mlp-images")

# %%
# Two kinds of units
# ------------------
# A thousand epochs with each; every step is that of scikit-learn's MLPClassifier.


def learn(activation, X, y):
    """A network after 1,000 epochs, and the seconds it took."""
    network = MLPClassifier(
        hidden_layer_sizes=(25,), activation=activation, solver="sgd", learning_rate_init=RATE,
        max_iter=1000, tol=None, random_state=0,
    )  # fmt: skip
    began = time.perf_counter()
    network.fit(X, y)
    return network, time.perf_counter() - began


compare("", "course", "fastlr")
for activation in ("logistic", "relu"):
    network, seconds = learn(activation, X, y)
    course = COURSE[activation] if name == "MNIST" else ""
    compare(f"{activation}: accuracy, training", course, f"{network.score(X, y):.2%}")
    compare(f"{activation}: accuracy, others", "", f"{network.score(X_test, y_test):.2%}")
    compare(f"{activation}: loss of the last epoch", "", f"{network.loss_curve_[-1]:.4f}")
    compare(f"{activation}: 1,000 epochs, seconds", "", f"{seconds:.2f}")
save(plots.plot_history(network.history_), options.out, "mlp-history")

# %%
# What the units look for, and what is read wrongly
# -------------------------------------------------
# First the weights between pixels and hidden units, then errors, with what was read above each.

units = [f"unit {unit}" for unit in range(1, 26)]
save(plots.plot_weights(network.coefs_[0].T, classes=units), options.out, "mlp-hidden-units")
predicted = network.predict(X_test)
wrong = np.flatnonzero(predicted != y_test)
shown = np.random.RandomState(0).permutation(wrong)[:25]
titles = [str(label) for label in predicted[shown]]
save(plots.plot_images(X_test[shown], titles=titles, n_columns=5), options.out, "mlp-mistakes")
print(f"{len(wrong)} of {len(X_test):,} other images are read wrongly.")
