"""What holds for all data, on cases that Hypothesis draws; strategies.py says from what.

n samples, d features, K score columns. Bounds come from eps, the distance from 1 to the next float64 or
float32: a sum of m products, in any order, is off by less than m eps times the sum of their sizes (Higham,
Accuracy and Stability of Numerical Algorithms, section 3.1). Certified fits are compared by their
certificates: two of one problem differ by no more than their gaps say.
"""

import importlib
import itertools
import multiprocessing
import os
import pickle
import tempfile
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import assume, given, reject
from hypothesis import strategies as st
from sklearn import linear_model, svm
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler

import fastlr
from fastlr import (
    LinearSVC,
    LogisticRegression,
    MLPClassifier,
    SGDClassifier,
    data,
    logistic_path,
    minibatch,
    validate,
)
from fastlr._kernels import simd
from fastlr.certificate import certify
from fastlr.data import Data
from fastlr.linear_model.base import LinearScores
from fastlr.losses import SquaredHinge
from fastlr.screening import gap_safe

from . import reference
from .strategies import (
    COLUMNS,
    EXTREMES,
    ORDERS,
    WEIGHTS,
    convex,
    descents,
    logistics,
    networks,
    problems,
    selective,
    stored,
)
from .test_persistence import same

# Their packages have functions of the same names.
saga, minimise = (importlib.import_module(f"fastlr.solvers.{name}") for name in ("saga", "minimise"))
FLOATS = st.sampled_from(["f4", "f8"])
EPS = np.finfo(np.float64).eps
# Columns of which a StandardScaler says the same as we do: it takes those that hardly vary for constant.
# liblinear drops rows without weight, and with them classes.
HEAVY = [name for name in WEIGHTS if name != "zeros"]
TAME = [name for name in COLUMNS if name != "far"]


def at_weights_of(estimator, model):
    """The estimator, whose fit will be a certificate at the weights of another model."""
    estimator = clone(estimator).set_params(warm_start=True, max_iter=0)
    estimator.classes_, estimator.coef_ = model.classes_, model.coef_
    estimator.intercept_ = np.broadcast_to(model.intercept_, len(model.coef_))
    return estimator


def quietly(function, *args):
    """What it returns; that a fit has not converged is no failure, as its certificate says so."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return function(*args)


def fit(estimator, *args):
    """A fitted clone."""
    return quietly(clone(estimator).fit, *args)


def certified(estimator, model, *args):
    """The same for the weights of another model."""
    return quietly(at_weights_of(estimator, model).fit, *args)


def parts_of(estimator, X, y, weight=None):
    """The problems that the estimator solves for these data, one for all classes or one for each."""
    training = validate.training(estimator, X, y, weight)
    return estimator._problems(training, *estimator._strengths())


def dense(X):
    return (X.toarray() if sp.issparse(X) else X).astype(np.float64)


def reach(problem, W, b):
    """The most that a score of a row that counts is made of, max_ik sum_j (|x_ij| + |m_j|) |W_kj| + |b_k|;
    x_ij - m_j is small in exact arithmetic only."""
    X = np.abs(dense(problem.data.X)[problem.loss.s > 0]) + np.abs(problem.shift)
    return np.max(X @ np.abs(W).T + np.abs(b))


def rounding(problem, *points):
    """How far objectives, and bounds on them, may be from those of exact arithmetic.

    Scores are off by (d + 16) eps times their reach, losses by the slope of the loss times that (2 for the
    softmax, 2 (1 + |z|) for the squared hinge), sums over the rows by another n eps. Weak duality at a point
    takes the products of its weights with sums over rows, which have these errors, too: the reaches multiply.
    """
    n, d = problem.data.X.shape
    reaches = np.prod([1 + reach(problem, *point) for point in points])
    size = problem.loss.s.sum() * reaches * (reaches if isinstance(problem.loss, SquaredHinge) else 1)
    size += sum(problem.penalty.value(*point) for point in points)
    return 32 * (n + d + problem.loss.n_classes + 32) * EPS * size


def point_of(problem, coef, intercept):
    """Weights on raw features as the problem knows them."""
    coef, intercept = coef.astype(np.float64), np.asarray(intercept, dtype=np.float64)
    return coef, intercept + problem.offset(coef)


def points_of(parts, model):
    """The point of each of the problems that a model solves."""
    intercept = np.broadcast_to(model.intercept_, len(model.coef_))
    size = len(model.coef_) // len(parts)
    slices = [slice(k * size, (k + 1) * size) for k in range(len(parts))]
    return [point_of(part, model.coef_[at], intercept[at]) for part, at in zip(parts, slices, strict=True)]


def slack(parts, *models):
    """`rounding` of all problems at the points of these models."""
    points = zip(*(points_of(parts, model) for model in models), strict=True)
    return sum(rounding(part, *several) for part, several in zip(parts, points, strict=True))


def true_objective(problem, W, b):
    """By NumPy, in the widest type there is."""
    X = dense(problem.data.X).astype(np.longdouble) - problem.shift
    formula = reference.hinge_loss if isinstance(problem.loss, SquaredHinge) else reference.loss
    penalty = problem.penalty
    return reference.objective(
        X, problem.loss.y, problem.loss.s, W, b, penalty.l1, penalty.l2, penalty.units,
        penalty.intercept_unit, loss=formula,
    )  # fmt: skip


def with_intercept(estimator):
    """The estimator, with an intercept if it centres the features. Without one, intercept_ has to be what
    centres them, and rounded to float32 it may make a model better than the best."""
    return estimator.set_params(fit_intercept=estimator.fit_intercept or estimator.scaling == "standard")


def assert_same_optimum(parts, one, other):
    """Two certified models of one problem: the bound of each lies below the objective of the other."""
    error = slack(parts, one, other)
    assert one.objective_ - one.dual_gap_ <= other.objective_ + error
    assert other.objective_ - other.dual_gap_ <= one.objective_ + error


def assert_same_certificate(parts, one, other):
    """Two certificates of one model."""
    error = slack(parts, one, one)
    assert abs(one.objective_ - other.objective_) <= error
    bounds = one.objective_ - one.dual_gap_, other.objective_ - other.dual_gap_
    assert abs(bounds[0] - bounds[1]) <= error + 1e-6 * one.dual_gap_


# ---- certificates ----------------------------------------------------------------------------------


@given(problems(), convex(), st.sampled_from(["C", "csr"]), st.integers(0, 2**31))
def test_certificates_hold_at_any_point(problem, estimator, storage, seed):
    """The objective is what it says, and no point we know of lies below its bound."""
    X, y, weight = problem.data
    X = stored(X, storage if estimator.scaling is None else "C")
    parts, rng = parts_of(estimator, X, y, weight), np.random.default_rng(seed)
    found = points_of(parts, fit(estimator, X, y, weight))
    for part, best in zip(parts, found, strict=True):
        spread = np.maximum(part.moments.high - part.moments.low, 1e-300)
        spread[part.moments.high == part.moments.low] = 1
        known = [part.start(np.float64), best]
        for size in 10.0 ** rng.uniform(-8, 3, 5):
            W = best[0] + size * rng.standard_normal(best[0].shape) / spread
            known.append((W, best[1] + size * part.fit_intercept * rng.standard_normal(len(best[1]))))
        values = [float(true_objective(part, *point)) for point in known]
        for point, value in zip(known, values, strict=True):
            certificate = certify(part, *point)
            assert abs(certificate.objective - value) <= rounding(part, point)
            assert 0 <= certificate.gap <= certificate.objective
            for other, height in zip(known, values, strict=True):
                assert certificate.objective - certificate.gap <= height + rounding(part, point, other)


@given(problems(), convex(), st.sampled_from(["C", "csr"]), FLOATS)
def test_fits_are_what_they_say(problem, estimator, storage, dtype):
    """objective_ and dual_gap_ are those of coef_ and intercept_, whatever ended the fit."""
    (X, y, weight), estimator = problem.data, with_intercept(estimator)
    X = stored(X.astype(dtype), storage if estimator.scaling is None else "C")
    model, parts = fit(estimator, X, y, weight), parts_of(estimator, X, y, weight)
    values = [
        true_objective(part, *point) for part, point in zip(parts, points_of(parts, model), strict=True)
    ]
    assert abs(model.objective_ - float(sum(values))) <= slack(parts, model)
    assert 0 <= model.dual_gap_ <= model.objective_
    assert model.converged_ == (model.status_ == "converged")
    if model.converged_:  # a class without weight asks for an infinite intercept, and gets a large one
        least = sum(1e-8 * part.loss.s.sum() * part.loss.n_classes for part in parts)
        goal = estimator.tol * model.null_objective_ if model.null_objective_ > 0 else least
        assert model.dual_gap_ <= goal + slack(parts, model)
    starts = [part.start(np.float64) for part in parts]
    values = [true_objective(part, *start) for part, start in zip(parts, starts, strict=True)]
    error = sum(rounding(part, start) for part, start in zip(parts, starts, strict=True))
    assert model.objective_ <= float(sum(values)) + error
    again = certified(estimator, model, X, y, weight)
    # A start has its intercepts centred, and rounded again to the type that they are stored in.
    eps, size = np.finfo(model.coef_.dtype).eps, 1 + np.abs(model.intercept_).max()
    rounded = 2 * eps * size * sum(part.loss.s.sum() for part in parts)
    assert abs(model.objective_ - again.objective_) <= slack(parts, model) + rounded


def scikit_learn(estimator):
    """Its estimator for the same problem, or for one whose solution is as good as any other point."""
    if isinstance(estimator, LinearSVC):
        names = "penalty", "C", "fit_intercept", "intercept_scaling"
        options = {name: getattr(estimator, name) for name in names}
        return svm.LinearSVC(dual=False, tol=1e-6, max_iter=100, random_state=0, **options)
    options = {"C": estimator.C, "fit_intercept": estimator.fit_intercept, "random_state": 0}
    if estimator.penalty == "l2":
        return linear_model.LogisticRegression(solver="lbfgs", tol=1e-8, max_iter=200, **options)
    l1_ratio = 1.0 if estimator.penalty == "l1" else estimator.l1_ratio
    return linear_model.LogisticRegression(
        penalty="elasticnet", l1_ratio=l1_ratio, solver="saga", tol=1e-6, max_iter=100, **options
    )


@given(problems(weights=HEAVY), convex(scalings=(None,)), st.booleans())
def test_scikit_learn_lies_within_the_gaps(problem, estimator, standard):
    """Neither is better than the other by more than the other's gap, certified here, allows."""
    X, y, weight = problem.data
    X = problem.standard if standard else X
    ours, parts = fit(estimator, X, y, weight), parts_of(estimator, X, y, weight)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            theirs = scikit_learn(estimator).fit(X, y, weight)
        except ValueError:  # its SAGA diverges, as it does on zeros alone
            reject()
    theirs = certified(estimator, theirs, X, y, weight)
    assert_same_optimum(parts, ours, theirs)


@given(problems(), convex(scalings=("standard",)))
def test_standardised_problems_are_solved(problem, estimator):
    """By the solver that "auto" stands for, on any data; L-BFGS comes to 1e-6 where columns almost agree."""
    estimator.set_params(tol=1e-6)
    if isinstance(estimator, LogisticRegression):
        estimator.solver = "auto"
    model = fit(estimator, *problem.data)
    assert model.converged_, model.explain()


# ---- weights ---------------------------------------------------------------------------------------


@given(problems(weights=["whole"]), convex(), st.sampled_from(["C", "csr"]))
def test_whole_weights_are_repetitions(problem, estimator, storage):
    """And a row of weight 0 is none."""
    (X, y, weight), rows = problem.data, problem.repeated
    X = stored(X, storage if estimator.scaling is None else "C")
    parts = parts_of(estimator, X, y, weight)
    one, other = fit(estimator, X, y, weight), fit(estimator, X[rows], y[rows])
    assert_same_optimum(parts, one, other)
    assert_same_certificate(
        parts, certified(estimator, one, X, y, weight), certified(estimator, one, X[rows], y[rows])
    )


# ---- steps -----------------------------------------------------------------------------------------


def weights_of(model):
    """Arrays that predictions need."""
    return [model.coef_, model.intercept_] if hasattr(model, "coef_") else model.coefs_ + model.intercepts_


def gently(estimator, X, weight=None, dtype=np.float64):
    """Sets the first step to 1 / L, L the largest curvature of a row's loss, and returns a bound on the
    difference of two fits that should agree.

    Steps of this length, and proximal operators, do not move two points apart. So the errors of T steps
    add up: each is one of a gradient, of size G at most, and of the sums in it, which are eps times the
    number of their terms times the reach of the scores; and weights never exceed T eta G.
    """
    X, (n, d) = np.abs(dense(X)), X.shape
    s = np.ones(n) if weight is None else weight / np.mean(weight)
    norms = np.sqrt(1 + np.square(X).sum(axis=1))
    eta = 1 / np.max(0.5 * s * norms**2)
    estimator.eta0 = float(eta)
    size = min(estimator.batch_size or n, n)
    T, G = estimator.max_iter * -(-n // size), np.max(s * norms)
    reach = norms.max() * T * eta * G
    return 8 * np.finfo(dtype).eps * (n + d + T + 32) * T * eta * G * (1 + reach)


def gently_trained(network, X, weight=None):
    """The same for a network, in float64. Its steps may move two points apart, but are so short that T of
    them, with momentum, multiply an error by 100 at most, for weights and activations of size 1."""
    n, d = X.shape
    s = np.ones(n) if weight is None else weight / np.mean(weight)
    T, h = network.max_iter * n, network.hidden_layer_sizes
    eta = 1e-2 / (1 + np.max(s * (1 + h) * (1 + np.square(X).sum(axis=1))))
    network.set_params(dtype="float64", learning_rate_init=float(eta))
    return 100 * EPS * (n + d + h + T + 32)


def assert_close(one, other, bound):
    for a, b in zip(weights_of(one), weights_of(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=bound)


@given(problems(weights=["whole"]), descents(batch_size=0, drop_last=False))
def test_whole_weights_are_repetitions_for_steps(problem, estimator):
    """Of the full batch, as minibatches of repeated rows are others."""
    (X, y, weight), rows = problem.data, problem.repeated
    bound = gently(estimator, X, weight)
    assert_close(fit(estimator, X, y, weight), fit(estimator, X[rows], y[rows]), bound)


@given(problems(weights=["whole"]), networks(batch_size=0, alpha=0.0))
def test_whole_weights_are_repetitions_for_networks(problem, network):
    """Without a penalty, which is per row of a minibatch."""
    (X, y, weight), rows = problem.standard_data, problem.repeated
    bound = gently_trained(network, X, weight)
    assert_close(fit(network, X, y, weight), fit(network, X[rows], y[rows]), bound)


@given(problems(), descents())
def test_lagged_steps_of_sgd_are_eager_ones(problem, estimator):
    """On CSR, where a feature's steps wait until a row holds it."""
    X, y, weight = problem.data
    bound = gently(estimator, X, weight)
    assert_close(fit(estimator, sp.csr_matrix(X), y, weight), fit(estimator, X, y, weight), bound)


@given(
    problems(),
    logistics(penalties=("l1", "elasticnet"), scalings=(None,), solver="saga"),
    st.integers(1, 40),
    st.integers(1, 40),
)
def test_lagged_steps_of_saga_are_eager_ones(problem, estimator, size, visits):
    X, y, weight = problem.data
    found = []
    for storage in ("C", "csr"):
        (part,) = parts_of(estimator, stored(X, storage), y, weight)
        part = part = __import__("dataclasses").replace(part, shift=np.zeros(part.data.d))
        rng, (W, b) = np.random.default_rng(problem.seed), part.start(np.float64)
        table = saga._Table(part, rng.permutation(part.data.n), size, np.float64)
        h = np.ones(part.data.d)
        list(table.fill(W, b, h))
        norms = np.sqrt(1 + np.square(X).sum(axis=1))
        eta = 1 / (0.5 * table.m * size * np.max(part.loss.s * norms**2))
        draws = rng.integers(table.m, size=visits)
        list(table.visit(draws, W, b, eta, h, part.fit_intercept))
        G = part.loss.s.sum() * norms.max()
        found.append((W, b))
    reach = norms.max() * visits * eta * G * 3
    bound = 8 * EPS * (len(y) + X.shape[1] + visits + 32) * visits * eta * G * (1 + reach)
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=bound)


# ---- storage, instruction sets, threads ---------------------------------------------------------------


@given(problems(), convex())
def test_csr_is_dense(problem, estimator):
    X, y, weight = problem.data
    if estimator.scaling == "standard":  # which CSR can hide in a free intercept only
        estimator.set_params(fit_intercept=True)
        if isinstance(estimator, LinearSVC):
            estimator.set_params(penalize_intercept=False)
    parts, sparse = parts_of(estimator, X, y, weight), sp.csr_matrix(X)
    one, other = fit(estimator, X, y, weight), fit(estimator, sparse, y, weight)
    assert_same_optimum(parts, one, other)
    assert_same_certificate(
        parts, certified(estimator, one, X, y, weight), certified(estimator, one, sparse, y, weight)
    )


STORED = [(dtype, order) for dtype in (np.uint8, np.float32, np.float64) for order in ORDERS]


@given(problems(), convex(), st.integers(0, 2**31))
def test_storage_changes_no_bit_of_certificates_and_scores(problem, estimator, seed):
    """0 ulps: all of these numbers are exact in all of these types, and the order of all sums is the same."""
    rng, found = np.random.default_rng(seed), set()
    K = 1 if problem.classes == 2 else problem.classes
    W, b = rng.standard_normal((K, len(problem.columns))) / 100, rng.standard_normal(K)
    for dtype, order in STORED:
        X = stored(problem.bytes.astype(dtype), order)
        part = parts_of(estimator, X, problem.y, problem.weight)[0]
        certificate = certify(part, W[: part.loss.n_columns], b[: part.loss.n_columns])
        scores = [Data(X).scores(W.astype(real), b.astype(real)) for real in (np.float32, np.float64)]
        arrays = certificate.G, certificate.G_b, certificate.V, *scores
        found.add((certificate.objective, certificate.gap, *(array.tobytes() for array in arrays)))
    assert len(found) == 1


@given(problems(), convex(), st.integers(0, 2**31))
def test_types_of_csr_change_no_bit_of_certificates(problem, estimator, seed):
    estimator.set_params(scaling=None)
    X, found = problem.X.astype(np.float32), set()
    for dtype in (np.float32, np.float64):
        part = parts_of(estimator, sp.csr_matrix(X.astype(dtype)), problem.y, problem.weight)[0]
        rng, K = np.random.default_rng(seed), part.loss.n_columns
        W, b = rng.standard_normal((K, X.shape[1])), rng.standard_normal(K)
        certificate = certify(part, W, b)
        found.add((certificate.objective, certificate.gap, certificate.G.tobytes(), certificate.V.tobytes()))
    assert len(found) == 1


@given(problems(), convex(), st.sampled_from([0.1, 1e-3, 1e-7]))
def test_types_of_x_share_an_optimum(problem, estimator, tol):
    """Whether the arithmetic is that of float32 or not."""
    with_intercept(estimator).set_params(tol=tol)
    y, weight, X = problem.y, problem.weight, problem.bytes
    parts = parts_of(estimator, X.astype(np.float64), y, weight)
    models = [fit(estimator, X.astype(dtype), y, weight) for dtype in (np.uint8, np.float32, np.float64)]
    for one, other in itertools.combinations(models, 2):
        assert_same_optimum(parts, one, other)


def bits_of(model):
    return b"".join(array.astype(np.float64).tobytes() for array in weights_of(model))


@given(problems(), st.one_of(convex(), descents(eta0=1e-5), networks()))
def test_storage_changes_no_bit_of_fits(problem, estimator):
    """For one type of arithmetic: float64 for float64, float32 for float32 and bytes. Networks choose it
    themselves, and convex fits by tol."""
    y, weight = problem.y, problem.weight
    own = isinstance(estimator, SGDClassifier)
    for dtypes in ([np.float64], [np.float32, np.uint8]) if own else ([np.float64], [np.float32], [np.uint8]):
        found = set()
        for dtype in dtypes:
            for order in ORDERS:
                found.add(bits_of(fit(estimator, stored(problem.bytes.astype(dtype), order), y, weight)))
        assert len(found) == 1


@pytest.fixture(scope="module")
def below():
    """Calls a function with arguments at each instruction set below the present one; what it returns."""
    pools, lower = [], simd.LEVELS[: simd.LEVELS.index(simd.ISA)] or simd.LEVELS[:1]
    for level in lower:
        pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
        with mock.patch.dict(os.environ, FASTLR_ISA=level, PYTHONWARNINGS="ignore"):
            found = pool.submit(eval, "__import__('fastlr._kernels.simd', fromlist=['simd']).ISA").result()
        assert found == level
        pools.append(pool)
    yield lambda function, *args: [pool.submit(function, *args).result() for pool in pools]
    for pool in pools:
        pool.shutdown()


@given(problems(), convex(), st.sampled_from(["C", "csr"]), FLOATS)
def test_instruction_sets_agree_on_optima(below, problem, estimator, storage, dtype):
    """Certificates to rounding, fits to their gaps, scores to (d + 16) eps times their reach."""
    (X, y, weight), estimator = problem.data, with_intercept(estimator)
    X = stored(X.astype(dtype), storage if estimator.scaling is None else "C")
    parts, model = parts_of(estimator, X, y, weight), fit(estimator, X, y, weight)
    ours = certified(estimator, model, X, y, weight)
    scores = model.decision_function(X).reshape(len(y), -1)
    coef, intercept = np.abs(model.coef_.astype(np.float64)), np.abs(model.intercept_.astype(np.float64))
    bound = 2 * (X.shape[1] + 16) * np.finfo(model.coef_.dtype).eps * (np.abs(dense(X)) @ coef.T + intercept)
    for theirs in below(at_weights_of(estimator, model).fit, X, y, weight):
        assert_same_certificate(parts, ours, theirs)
    for other in below(clone(estimator).fit, X, y, weight):
        assert_same_optimum(parts, model, other)
    for others in below(model.decision_function, X):
        assert np.all(np.abs(scores - others.reshape(scores.shape)) <= bound)


@given(problems(), descents(), st.sampled_from([0.0, 0.9]), FLOATS)
def test_instruction_sets_agree_on_steps(below, problem, estimator, momentum, dtype):
    X, y, weight = problem.data
    X = X.astype(dtype)
    bound = gently(estimator, X, weight, dtype)
    model = fit(estimator, X, y, weight)
    for other in below(clone(estimator).fit, X, y, weight):
        assert_close(model, other, bound)


@given(problems(), networks())
def test_instruction_sets_agree_on_networks(below, problem, network):
    X, y, weight = problem.standard_data
    bound = gently_trained(network, X, weight)
    model = fit(network, X, y, weight)
    for other in below(clone(network).fit, X, y, weight):
        assert_close(model, other, bound)


def assert_threads_change_no_bit(estimator, X, y, weight):
    found = set()
    with mock.patch.object(data, "_THREAD_WORK", 0):  # as if the data were large
        for n_threads in (1, 2, 3):
            estimator = clone(estimator).set_params(n_threads=n_threads)
            found.add(bits_of(fit(estimator, X, y, weight)))
    assert len(found) == 1


@given(problems(n=(512, 1100)), st.one_of(convex(), networks()), st.sampled_from(["C", "F", "csr"]))
def test_threads_change_no_bit(problem, estimator, storage):
    """Rows enough to be shared among threads."""
    X, y, weight = problem.data
    estimator.set_params(max_iter=min(estimator.max_iter, 3))
    network = isinstance(estimator, MLPClassifier)
    X = stored(problem.standard if network else X, "C" if network or estimator.scaling else storage)
    assert_threads_change_no_bit(estimator, X, y, weight)


@given(
    problems(d=(2, 5), n=(2, 20)),
    st.one_of(logistics(solver="saga"), descents(eta0=1e-6), networks(learning_rate_init=1e-6)),
    st.sampled_from(["C", "F"]),
    st.integers(768, 1600),
)
def test_threads_change_no_bit_of_steps(problem, estimator, order, d):
    """Features enough to be shared among threads."""
    X, y, weight = problem.data
    estimator.set_params(max_iter=min(estimator.max_iter, 2))
    assert_threads_change_no_bit(estimator, stored(np.resize(X.T, (d, len(y))).T, order), y, weight)


# ---- permutations ------------------------------------------------------------------------------------


@given(problems(), convex(), st.sampled_from(["C", "csr"]), st.randoms(use_true_random=False))
def test_the_order_of_rows_columns_and_classes_is_of_no_account(problem, estimator, storage, random):
    X, y, weight = problem.data
    storage = storage if estimator.scaling is None else "C"
    rows, columns, classes = (random.sample(range(m), m) for m in (*X.shape, problem.classes))
    parts, model = (
        parts_of(estimator, stored(X, storage), y, weight),
        fit(estimator, stored(X, storage), y, weight),
    )
    arguments = stored(X[rows][:, columns], storage), np.array(classes)[y[rows]], weight[rows]
    other = put_back(fit(estimator, *arguments), columns, classes)
    assert_same_optimum(parts, model, other)
    # And the same weights, in the other order, have the same certificate.
    moved = put_back(model, np.argsort(columns), np.argsort(classes))
    assert_same_certificate(
        parts,
        certified(estimator, model, X, y, weight),
        put_back(certified(estimator, moved, *arguments), columns, classes),
    )


def put_back(model, columns, classes):
    """A linear model of permuted data, whose column j was columns[j] and whose class classes[k] was k, as one
    of the data."""
    back = np.argsort(columns)
    coef, intercept = model.coef_[:, back], np.broadcast_to(model.intercept_, len(model.coef_))
    if len(classes) == 2:  # class 1 is that of the positive scores
        sign = 1 if classes[1] == 1 else -1
        coef, intercept = sign * coef, sign * intercept
    else:
        coef, intercept = coef[classes], intercept[classes]
    found = {"coef_": coef, "intercept_": intercept, "classes_": model.classes_}
    found |= {name: getattr(model, name, None) for name in ("objective_", "dual_gap_")}
    return SimpleNamespace(**found)


@given(problems(), descents(batch_size=0), st.randoms(use_true_random=False))
def test_the_order_is_of_no_account_to_steps_of_the_full_batch(problem, estimator, random):
    X, y, weight = problem.data
    bound = gently(estimator, X, weight)
    rows, columns, classes = (random.sample(range(m), m) for m in (*X.shape, problem.classes))
    other = fit(estimator, X[rows][:, columns], np.array(classes)[y[rows]], weight[rows])
    assert_close(fit(estimator, X, y, weight), put_back(other, columns, classes), bound)


@given(problems(), networks(batch_size=0, shuffle=False), st.randoms(use_true_random=False))
def test_the_order_of_rows_is_of_no_account_to_networks(problem, network, random):
    X, y, weight = problem.standard_data
    bound = gently_trained(network, X, weight)
    rows = random.sample(range(len(y)), len(y))
    assert_close(fit(network, X, y, weight), fit(network, X[rows], y[rows], weight[rows]), bound)


# ---- where weights are zero ----------------------------------------------------------------------------


@given(problems(), selective(C=[1.0]), st.sampled_from(["C", "csr"]), st.floats(0.01, 3))
def test_weights_are_zero_up_to_lambda_max_and_not_beyond(problem, estimator, storage, excess):
    """Beyond it, as long as the best step of one weight lowers the objective by more than tol allows."""
    estimator.set_params(tol=1e-9)
    if isinstance(estimator, LinearSVC):  # a penalised intercept of the null model depends on C
        estimator.set_params(penalize_intercept=False)
    X, y, weight = problem.data
    X = stored(X, storage if estimator.scaling is None else "C")
    parts = parts_of(estimator, X, y, weight)
    # |gradient of the loss at the null model| / (l1 u), for C = 1, where it is more than rounding.
    slopes = [np.max(np.abs(part.null_gradient) / part.penalty.thresholds) for part in parts]
    sizes = np.max(np.abs(dense(X)) / parts[0].penalty.units) * sum(part.loss.s.sum() for part in parts)
    assume(max(slopes) > 1e-6 * sizes and all(part.null_objective > 0 for part in parts))
    # The intercept of a class without weight is on its way to minus infinity: no gap is ever small.
    assume(all(part.loss.class_mass.all() for part in parts))
    model = fit(estimator.set_params(C=(1 - 1e-9) / max(slopes)), X, y, weight)
    assert model.converged_ and not model.coef_.any()
    model = fit(estimator.set_params(C=(1 + excess) / max(slopes)), X, y, weight)
    part = parts[np.argmax(slopes)].scaled(estimator.C)
    penalty, moments = part.penalty, part.moments
    j = np.max(np.abs(part.null_gradient) / penalty.thresholds, axis=0).argmax()
    square = part.loss.s.sum() * (moments.variance[j] + (moments.mean[j] - part.shift[j]) ** 2)
    curvature = part.loss.curvature * square + penalty.curvatures[j]
    lowered = (excess * penalty.thresholds[j]) ** 2 / (2 * curvature)
    if model.converged_ and lowered > 2 * estimator.tol * part.null_objective + slack(parts, model):
        assert model.coef_.any()


@given(problems(d=(2, 8)), selective(C=[1.0]), st.floats(1.2, 30), st.sampled_from(["C", "csr"]))
def test_screening_never_loses_the_support(problem, estimator, excess, storage):
    """Without the features that are left out, as seen from points near and far, the optimum is the same."""
    X, y, weight = problem.data
    X = stored(X, storage if estimator.scaling is None else "C")
    if isinstance(estimator, LinearSVC):  # one problem, as each has features of its own
        y = np.minimum(y, 1)
    (part,) = parts_of(estimator, X, y, weight)
    slope = np.max(np.abs(part.null_gradient) / part.penalty.thresholds)
    # So that some weights are zero and some are not.
    estimator.set_params(C=excess / slope if slope > 1e-9 else 1.0)
    (part,), model = parts_of(estimator, X, y, weight), fit(estimator, X, y, weight)
    (W, b), (W0, b0) = points_of([part], model)[0], part.start(np.float64)
    for t in (0.5, 0.1, 1e-2, 1e-4, 0):
        point = W + t * (W0 - W), b + t * (b0 - b)
        keep = gap_safe(part, certify(part, *point)).any(axis=0)
        bound = part.null_objective
        if keep.any():
            less = fit(estimator, X[:, keep], y, weight)
            bound = less.objective_ - less.dual_gap_
        assert bound <= model.objective_ + slack([part], model, model)


# ---- going on ----------------------------------------------------------------------------------------


@given(problems(), convex(), st.integers(0, 5), st.booleans())
def test_convex_fits_go_on_where_they_were_stopped(problem, estimator, iterations, by_hand):
    """By max_iter, or by Ctrl-C in a certificate. What has been reached is not lost."""
    X, y, weight = problem.data
    parts, whole, part = parts_of(estimator, X, y, weight), fit(estimator, X, y, weight), clone(estimator)
    part.set_params(warm_start=True)
    certificates = iter(range(10**6))

    def interrupted(*args):
        if next(certificates) == iterations:
            raise KeyboardInterrupt
        return certify(*args)

    if by_hand:
        with mock.patch.object(minimise, "certify", interrupted):
            quietly(part.fit, X, y, weight)
    else:
        quietly(part.set_params(max_iter=iterations).fit, X, y, weight)
    assert_same_optimum(parts, part, whole)
    before = part.objective_
    quietly(part.set_params(max_iter=estimator.max_iter).fit, X, y, weight)
    assert part.objective_ <= before + slack(parts, part)
    assert_same_optimum(parts, part, whole)


@given(
    problems(),
    st.one_of(descents(shuffle=False), networks(shuffle=False)),
    st.sampled_from(["f4", "f8", "u1"]),
)
def test_pieces_of_partial_fit_are_one_fit(problem, estimator, dtype):
    """Bit for bit: an epoch by pieces of whole minibatches, and epochs one by one."""
    X, y = problem.standard.astype(dtype) if dtype != "u1" else problem.bytes, problem.y
    network = isinstance(estimator, MLPClassifier)
    if network:
        # coefs_ are float32 for float32 X. The size of a minibatch scales the penalty, also that of the last.
        estimator.set_params(dtype="float32", learning_rate_init=1e-4)
    else:
        estimator.set_params(eta0=1e-5)
    size = min(estimator.batch_size or len(y), len(y))
    whole, epochs, pieces = fit(estimator, X, y), clone(estimator), clone(estimator)
    for _ in range(estimator.max_iter):
        epochs.partial_fit(X, y, classes=np.arange(problem.classes))
        for start in range(0, len(y), 2 * size):
            at = slice(start, start + 2 * size)
            pieces.set_params(batch_size=size).partial_fit(X[at], y[at], classes=np.arange(problem.classes))
    assert bits_of(epochs) == bits_of(whole)
    assert epochs.t_ == pieces.t_ == whole.t_
    if not network or estimator.alpha == 0 or len(y) % size == 0:
        assert bits_of(pieces) == bits_of(whole)


@given(
    problems(), st.one_of(descents(shuffle=False), networks(shuffle=False)), st.integers(1, 3), st.booleans()
)
def test_steps_go_on_where_they_were_stopped(problem, estimator, more, by_hand):
    """Bit for bit, if the steps have neither a memory nor a schedule: by max_iter, or by Ctrl-C after an
    epoch."""
    X, y, weight = problem.standard, problem.y, problem.weight
    if isinstance(estimator, MLPClassifier):
        estimator.set_params(momentum=0.0, learning_rate_init=1e-4)
    else:
        estimator.set_params(learning_rate="constant", eta0=1e-5)
    first = estimator.max_iter
    whole = fit(clone(estimator).set_params(max_iter=first + more), X, y, weight)
    part = clone(estimator).set_params(warm_start=True)
    if by_hand:
        take, epochs = minibatch._Run.take_epoch, []

        def interrupted(*args):
            if len(epochs) == first:
                raise KeyboardInterrupt
            epochs.append(take(*args))

        with mock.patch.object(minibatch._Run, "take_epoch", interrupted):
            quietly(part.set_params(max_iter=first + more).fit, X, y, weight)
        assert part.status_ == "interrupted"
    else:
        part.fit(X, y, weight)
    assert part.n_iter_ == first
    part.set_params(max_iter=more).fit(X, y, weight)
    assert bits_of(part) == bits_of(whole)


# ---- scaling -----------------------------------------------------------------------------------------


def standard_scaler(X, weight):
    """Fitted. Rounding may leave a variance below zero to a constant column, which it takes for constant, but
    not without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return StandardScaler().fit(X, sample_weight=weight)


def pipeline(estimator, X, y, weight):
    """A StandardScaler and the estimator without scaling, and as one model of raw features."""
    scaler = standard_scaler(X, weight)
    model = fit(clone(estimator).set_params(scaling=None), scaler.transform(X), y, weight)
    coef = model.coef_ / scaler.scale_
    found = {"coef_": coef, "intercept_": model.intercept_ - coef @ scaler.mean_}
    found |= {name: getattr(model, name, None) for name in ("objective_", "dual_gap_")}
    return SimpleNamespace(**found)


@given(problems(TAME), convex(scalings=("standard",)))
def test_standard_scaling_is_a_pipeline(problem, estimator):
    X, y, weight = problem.data
    parts = parts_of(estimator, X, y, weight)
    assert_same_optimum(parts, fit(estimator, X, y, weight), pipeline(estimator, X, y, weight))


@given(problems(TAME), descents(scaling="standard"))
def test_standard_scaling_is_a_pipeline_for_steps(problem, estimator):
    X, y, weight = problem.data
    scaler = standard_scaler(X, weight)
    bound = gently(estimator, scaler.transform(X), weight) * (1 + np.max(np.abs(X) / scaler.scale_))
    one, other = fit(estimator, X, y, weight), pipeline(estimator, X, y, weight)
    np.testing.assert_allclose(one.coef_ * scaler.scale_, other.coef_ * scaler.scale_, rtol=0, atol=bound)
    scores = X @ one.coef_.T + one.intercept_, X @ other.coef_.T + other.intercept_
    bound = bound * np.sqrt(1 + X.shape[1]) * (1 + np.max(np.abs(X) / scaler.scale_))
    np.testing.assert_allclose(*scores, rtol=0, atol=bound)


@given(problems(TAME), networks(scaling="standard"))
def test_standard_scaling_is_a_pipeline_for_networks(problem, network):
    X, y, weight = problem.standard_data
    scaler = standard_scaler(X, weight)
    Z = scaler.transform(X)
    bound = gently_trained(network, Z, weight) * (1 + np.max(np.abs(X) / scaler.scale_))
    one = fit(network, X, y, weight)._scores(X)
    other = fit(clone(network).set_params(scaling=None), Z, y, weight)._scores(Z)
    reach = (1 + X.shape[1]) * (1 + network.hidden_layer_sizes) * (1 + np.abs(X / scaler.scale_).max())
    np.testing.assert_allclose(one, other, rtol=0, atol=bound * reach)


@given(problems(), convex(scalings=(None,)), st.sampled_from(ORDERS))
def test_unit_scaling_divides_bytes(problem, estimator, order):
    X, y, weight = stored(problem.bytes, order), problem.y, problem.weight
    one = fit(clone(estimator).set_params(scaling="unit"), X, y, weight)
    other = fit(estimator, X / 255.0, y, weight)
    other.coef_ = other.coef_ / 255.0
    assert_same_optimum(parts_of(clone(estimator).set_params(scaling="unit"), X, y, weight), one, other)


# ---- predictions and files -------------------------------------------------------------------------------


ANY = st.one_of(convex(), descents(eta0=1e-5), networks())


@given(
    problems([*COLUMNS, *EXTREMES]),
    ANY,
    st.sampled_from(["C", "F", "csr"]),
    st.sampled_from(["f4", "f8", "u1"]),
)
def test_predictions(problem, estimator, storage, dtype):
    """The class of the highest score, probabilities that sum to one, and each row as if it were alone."""
    X, y, weight = problem.standard, problem.y, problem.weight
    model = fit(estimator, X, y, weight)
    linear = isinstance(model, LinearScores)
    X = problem.bytes if dtype == "u1" else problem.X.astype(dtype)
    X = stored(X, storage if linear and dtype != "u1" else "C")
    scores = model._scores(X)
    functions = [model._scores, model.predict]
    best = scores.argmax(axis=1) if scores.shape[1] > 1 else (scores[:, 0] > 0).astype(int)
    np.testing.assert_array_equal(model.predict(X), model.classes_[best])
    if not isinstance(model, LinearSVC):
        functions += [model.predict_proba, model.predict_log_proba]
        p, log_p = model.predict_proba(X), model.predict_log_proba(X)
        assert np.all(p >= 0) and np.all(log_p <= 0)
        eps = np.finfo(p.dtype).eps
        np.testing.assert_allclose(p.sum(axis=1), 1, rtol=0, atol=4 * problem.classes * eps)
        np.testing.assert_allclose(p, np.exp(log_p), rtol=0, atol=16 * problem.classes * eps)
        assert np.all(np.take_along_axis(p, best[:, None], axis=1)[:, 0] >= p.max(axis=1) - 4 * eps)
    for function in functions:
        alone = np.concatenate([function(X[i : i + 1]) for i in range(len(y))])
        np.testing.assert_array_equal(alone, function(X))


NAMES = {
    "int": np.arange(5),
    "negative": np.array([-5, -1, 0, 7, 100]),
    "str": np.array(["a", "b", "ü", "long name", "x"]),
    "object": np.array(["a", "b", "ü", "long name", "x"], dtype=object),
    "float": np.array([-2.0, 0.0, 1.0, 7.0, 1e6]),
    "bool": np.array([False, True]),
}


@given(problems(), ANY, st.sampled_from(list(NAMES)), FLOATS)
def test_models_survive_files_bit_for_bit(problem, estimator, names, dtype):
    """And pickles, which do so by other ways."""
    y = problem.y % 2 if names == "bool" else problem.y
    X, y = problem.X.astype(dtype), np.sort(NAMES[names])[y]
    if isinstance(estimator, MLPClassifier):
        X = problem.standard.astype(dtype)
    model = fit(estimator, X, y, problem.weight)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.npz"
        fastlr.save(model, path)
        loaded = fastlr.load(path)
    for again in (loaded, pickle.loads(pickle.dumps(model))):
        assert same(vars(again), vars(model))
        np.testing.assert_array_equal(again.predict(X), model.predict(X))
        np.testing.assert_array_equal(again._scores(X), model._scores(X))


# ---- paths ---------------------------------------------------------------------------------------------


@given(
    problems(),
    logistics(C=[1.0], penalties=("l1", "elasticnet"), solver="auto"),
    st.lists(st.sampled_from([1e-3, 0.1, 1.0, 30.0]), min_size=1, max_size=4),
    st.sampled_from(["C", "csr"]),
)
def test_paths_are_fits(problem, estimator, Cs, storage):
    """Each within its gap; the order in which the Cs are given changes no bit."""
    X, y, weight = problem.data
    X = stored(X, storage if estimator.scaling is None else "C")
    names = "penalty", "l1_ratio", "fit_intercept", "scaling", "solver", "tol", "max_iter", "n_threads"
    options = {name: getattr(estimator, name) for name in (*names, "random_state")}

    def path(Cs):
        return quietly(lambda: logistic_path(X, y, Cs=Cs, sample_weight=weight, **options))

    found = path(Cs)
    for C, coef, intercept, objective, gap in zip(*found, found.objectives, found.dual_gaps, strict=True):
        model = SimpleNamespace(coef_=coef, intercept_=intercept, objective_=objective, dual_gap_=gap)
        single = estimator.set_params(C=C)
        parts = parts_of(single, X, y, weight)
        assert_same_optimum(parts, model, fit(single, X, y, weight))
        assert abs(objective - float(true_objective(parts[0], *points_of(parts, model)[0]))) <= slack(
            parts, model
        )
    back = path(Cs[::-1])
    for C, coef, intercept in zip(*found, strict=True):
        at = list(back.Cs).index(C)
        assert back.Cs[at] == C
        if Cs.count(C) == 1:
            np.testing.assert_array_equal(coef, back.coefs[at])
            np.testing.assert_array_equal(intercept, back.intercepts[at])


@given(problems(), logistics(C=[1.0], penalties=("l1", "elasticnet"), solver="auto"))
def test_automatic_paths_begin_at_zero(problem, estimator):
    X, y, weight = problem.data
    names = "penalty", "l1_ratio", "fit_intercept", "scaling", "tol", "max_iter", "n_threads"
    options = {name: getattr(estimator, name) for name in names}
    found = quietly(lambda: logistic_path(X, y, Cs=3, sample_weight=weight, **options))
    assert np.all(np.diff(found.Cs) > 0)
    (part,) = parts_of(estimator, X, y, weight)
    if np.any(np.abs(part.null_gradient) > 0):
        assert not found.coefs[0].any()
