"""20 Newsgroups, TF-IDF in CSR: 11,315 texts, 130,107 words, 20 groups; L1 with C = 1, L2 with C = 10."""

from benchmarks import workloads
from benchmarks.objective import Problem

TITLE = "20 Newsgroups"
LIMIT = 10
STORAGES = ("float64",)


def load(folder, penalty, storage):
    X, y = workloads.news(folder)
    return Problem(X, y, 1.0 if penalty == "l1" else 10.0, penalty)
