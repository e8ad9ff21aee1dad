"""MNIST, the 11,272 images of 5 and 8, divided by 255."""

from benchmarks import workloads
from benchmarks.objective import Problem

TITLE = "MNIST 5 v 8"
LIMIT = 10
STORAGES = ("float64",)


def load(folder, penalty, storage):
    X, y = workloads.fives_and_eights(folder)
    return Problem(X, y, 0.2, penalty)
