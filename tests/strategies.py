"""What the property tests draw from: hard data, estimators, ways to store X; and how many cases.

HYPOTHESIS_PROFILE=nightly asks for the many, which differ from run to run; the few of the "fast" profile are
always the same.
"""

import os
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from fastlr import LinearSVC, LogisticRegression, MLPClassifier, SGDClassifier

# How long a case takes says nothing: machines are shared.
_PATIENT = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow],
    "phases": [phase for phase in Phase if phase is not Phase.explain],
}
settings.register_profile("fast", max_examples=20, derandomize=True, database=None, **_PATIENT)
settings.register_profile("nightly", max_examples=500, print_blob=True, **_PATIENT)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))

# Columns of n rows, some after the one before them.
COLUMNS = {
    "normal": lambda rng, n, last: rng.standard_normal(n),
    "zero": lambda rng, n, last: np.zeros(n),
    "constant": lambda rng, n, last: np.full(n, 3.7),
    "binary": lambda rng, n, last: rng.integers(0, 2, n),
    "counts": lambda rng, n, last: rng.poisson(0.4, n),
    "rare": lambda rng, n, last: np.where(np.arange(n) == rng.integers(n), 2.5, 0.0),
    "outlier": lambda rng, n, last: np.where(np.arange(n) == rng.integers(n), 300.0, rng.standard_normal(n)),
    "copy": lambda rng, n, last: last,
    "opposite": lambda rng, n, last: -last,
    "almost": lambda rng, n, last: last + 1e-5 * rng.standard_normal(n),
    "small": lambda rng, n, last: 1e-4 * rng.standard_normal(n),
    "large": lambda rng, n, last: 1e4 * rng.standard_normal(n),
    "far": lambda rng, n, last: 1e3 + rng.standard_normal(n),
}
# Scales where squares, or sums of squares, leave float32.
EXTREMES = {
    "tiny": lambda rng, n, last: 1e-25 * rng.standard_normal(n),
    "huge": lambda rng, n, last: 1e25 * rng.standard_normal(n),
}
LABELS = ("learnable", "random", "separable", "one of each")
WEIGHTS = {
    "ones": lambda rng, n: np.ones(n),
    "uniform": lambda rng, n: rng.uniform(0, 2, n),
    "zeros": lambda rng, n: rng.uniform(0, 2, n) * (rng.random(n) < 0.6),
    "whole": lambda rng, n: rng.integers(0, 4, n).astype(float),
    "wide": lambda rng, n: 10.0 ** rng.uniform(-4, 4, n),
}


@dataclass(frozen=True)
class Problem:
    """Training data, told in a few words so that a case that fails can be read and shrinks well."""

    n: int
    columns: tuple
    classes: int
    labels: str = "learnable"
    weights: str = "ones"
    seed: int = 0

    @cached_property
    def X(self):
        """(n, d) in float64."""
        rng, columns = np.random.default_rng(self.seed), [np.ones(self.n)]
        for name in self.columns:
            columns.append({**COLUMNS, **EXTREMES}[name](rng, self.n, columns[-1]))
        return np.column_stack(columns[1:]).astype(np.float64)

    @cached_property
    def y(self):
        """Class numbers; each occurs."""
        rng, n, K = np.random.default_rng(self.seed + 1), self.n, self.classes
        if self.labels == "one of each":  # and all others in class 0
            y = np.zeros(n, dtype=int)
        elif self.labels == "random":
            y = rng.integers(0, K, n)
        else:
            noise = rng.gumbel(size=(n, K)) * (self.labels == "learnable")
            y = np.argmax(self.standard @ rng.standard_normal((len(self.columns), K)) + noise, axis=1)
        y[rng.permutation(n)[:K]] = np.arange(K)
        return y

    @cached_property
    def weight(self):
        """Of the samples; each class has some, but for "zeros"."""
        weight = WEIGHTS[self.weights](np.random.default_rng(self.seed + 2), self.n)
        if self.weights != "zeros" or not weight.any():
            firsts = np.unique(self.y, return_index=True)[1]
            weight[firsts] = np.maximum(weight[firsts], 1)
        return weight

    @property
    def repeated(self):
        """Row numbers, each as often as its weight says."""
        return np.repeat(np.arange(self.n), self.weight.astype(int))

    @cached_property
    def standard(self):
        """X with columns of mean 0 and variance 1, as far as they vary."""
        centred = self.X - self.X.mean(axis=0)
        spread = np.abs(centred).max(axis=0)
        spread[spread == 0] = 1
        centred /= spread
        return centred / np.maximum(centred.std(axis=0), 1e-3)

    @property
    def bytes(self):
        """X as bytes: the same shapes of columns on one scale."""
        return (100 + 40 * self.standard).clip(0, 255).astype(np.uint8)

    @property
    def data(self):
        return self.X, self.y, self.weight

    @property
    def standard_data(self):
        return self.standard, self.y, self.weight


def problems(columns=COLUMNS, *, n=(2, 40), d=(1, 8), classes=(2, 5), labels=LABELS, weights=tuple(WEIGHTS)):
    """Problems of these sizes, bounds included."""

    @st.composite
    def draw_problem(draw):
        K = draw(st.integers(*classes))
        return Problem(
            draw(st.integers(max(n[0], K), n[1])),
            tuple(draw(st.lists(st.sampled_from(list(columns)), min_size=d[0], max_size=d[1]))),
            K,
            draw(st.sampled_from(labels)),
            draw(st.sampled_from(weights)),
            draw(st.integers(0, 10_000)),
        )

    return draw_problem()


def lay_out(X, order):
    """The same numbers at other places in memory."""
    if order == "F":
        return np.asfortranarray(X)
    if order == "gaps":
        return np.repeat(X, 2, axis=1)[:, ::2]
    if order == "backwards":
        return X[::-1, ::-1].copy()[::-1, ::-1]
    return np.ascontiguousarray(X)


ORDERS = ("C", "F", "gaps", "backwards")


def stored(X, storage):
    """X as "C", "F", ..., or "csr"."""
    return sp.csr_matrix(X) if storage == "csr" else lay_out(X, storage)


# ---- estimators ------------------------------------------------------------------------------------

STRENGTHS = [1e-3, 0.03, 1.0, 30.0, 1e3]
SMOOTH = ("auto", "newton-cd", "newton-cg", "lbfgs", "cg", "saga", "sdca")


def _convex(kind, C, scalings, **others):
    # A certificate is asked for that arithmetic can hardly reach, and few iterations: gaps of all sizes.
    return st.builds(
        kind, C=st.sampled_from(C), scaling=st.sampled_from(scalings), tol=st.just(1e-7),
        max_iter=st.just(200), random_state=st.just(0), n_threads=st.just(1), **others,
    )  # fmt: skip


MIXTURES = {
    "l1": {"solver": st.sampled_from(["auto", "newton-cd", "saga"])},
    "elasticnet": {
        "solver": st.sampled_from(["auto", "newton-cd", "saga"]),
        "l1_ratio": st.sampled_from([0.1, 0.9]),
    },
    "l2": {"solver": st.sampled_from(SMOOTH)},
}


def logistics(C=STRENGTHS, scalings=(None, "standard"), penalties=tuple(MIXTURES), **fixed):
    """LogisticRegression with any solver that can take the penalty."""
    others = {"fit_intercept": st.booleans(), **{name: st.just(value) for name, value in fixed.items()}}
    return st.one_of(
        [
            _convex(LogisticRegression, C, scalings, penalty=st.just(name), **{**MIXTURES[name], **others})
            for name in penalties
        ]
    )


def machines(C=STRENGTHS, scalings=(None, "standard"), **fixed):
    """LinearSVC."""
    fixed = {name: st.just(value) for name, value in fixed.items()}
    others = {
        "penalty": st.sampled_from(["l1", "l2"]),
        "fit_intercept": st.booleans(),
        "penalize_intercept": st.booleans(),
        "intercept_scaling": st.sampled_from([1.0, 20.0]),
    }
    return _convex(LinearSVC, C, scalings, **{**others, **fixed})


def convex(**options):
    """Either of them."""
    return st.one_of(logistics(**options), machines(**options))


def selective(**options):
    """Either of them, with an L1 penalty."""
    return st.one_of(logistics(penalties=("l1", "elasticnet"), **options), machines(penalty="l1", **options))


def descents(**fixed):
    """SGDClassifier, some epochs of steps in the order of the rows; `eta0` is up to the test."""
    options = {
        "penalty": st.sampled_from([None, "l2", "l1", "elasticnet"]),
        "alpha": st.sampled_from([0.0, 1e-3, 0.1]),
        "l1_ratio": st.sampled_from([0.2, 0.8]),
        "fit_intercept": st.booleans(),
        "learning_rate": st.sampled_from(["constant", "invscaling", "optimal"]),
        "batch_size": st.sampled_from([0, 1, 4, 32]),
        "max_iter": st.integers(1, 3),
        "shuffle": st.booleans(),
        "tol": st.none(),
        "n_threads": st.just(1),
        "random_state": st.just(0),
    }
    return st.builds(SGDClassifier, **{**options, **{name: st.just(value) for name, value in fixed.items()}})


def networks(**fixed):
    """MLPClassifier, some epochs of its own small steps."""
    options = {
        "hidden_layer_sizes": st.sampled_from([1, 3, 17]),
        "activation": st.sampled_from(["relu", "logistic", "tanh"]),
        "alpha": st.sampled_from([0.0, 0.1]),
        "batch_size": st.sampled_from([0, 1, 4, 32]),
        "momentum": st.sampled_from([0.0, 0.9]),
        "max_iter": st.integers(1, 3),
        "shuffle": st.booleans(),
        "tol": st.none(),
        "dtype": st.sampled_from(["float32", "float64"]),
        "n_threads": st.just(1),
        "random_state": st.just(0),
    }
    return st.builds(MLPClassifier, **{**options, **{name: st.just(value) for name, value in fixed.items()}})
