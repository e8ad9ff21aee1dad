"""The digits that scikit-learn bundles: 1,797 images of 8 x 8 pixels from 0 to 16, divided by 16."""

from sklearn.datasets import load_digits

from benchmarks.objective import Problem

TITLE = "digits"
LIMIT = 3
STORAGES = ("float64",)


def load(folder, penalty, storage):
    X, y = load_digits(return_X_y=True)
    return Problem(X / 16, y, 1.0, penalty)
