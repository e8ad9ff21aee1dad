"""Paths: every point is the fit that LogisticRegression makes alone, and its certificate holds."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning

from fastlr import LogisticRegression, logistic_path
from fastlr.linear_model import Path
from fastlr.linear_model.path import at

from . import reference
from .test_problem import draw, make

CS = [0.03, 0.3, 3.0]


def toy(n_classes=3, n=80, d=6, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    y = np.argmax(X @ rng.standard_normal((d, n_classes)) + rng.gumbel(size=(n, n_classes)), axis=1)
    y[:n_classes] = np.arange(n_classes)
    return X, y


# ---- the problem at another C ---------------------------------------------------------------------


@pytest.mark.parametrize("storage", ["dense", "csr"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_scaled_problem_is_the_problem_of_scaled_weights(storage, n_classes):
    problem, C = make(n_classes, storage), 0.37
    scaled = problem.scaled(C)
    np.testing.assert_allclose(scaled.loss.s, C * problem.loss.s, rtol=1e-15)
    fresh = problem.data.moments(scaled.loss)
    for name in ("label_sums", "total", "mean", "variance", "low", "high"):
        np.testing.assert_allclose(
            getattr(scaled.moments, name), getattr(fresh, name), rtol=1e-12, atol=1e-13
        )  # fmt: skip
    model = draw(problem)
    for found, once in zip(scaled.loss_gradient(*model), problem.loss_gradient(*model), strict=True):
        np.testing.assert_allclose(found, C * once, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(scaled.null_gradient, C * problem.null_gradient, atol=1e-12)
    assert scaled.null_objective == pytest.approx(C * problem.null_objective, rel=1e-12)
    assert scaled.penalty is problem.penalty and scaled.data is problem.data


def test_infinite_C_is_no_penalty():
    problem = make()
    (free,) = at([problem], np.inf)
    assert (free.penalty.l1, free.penalty.l2) == (0.0, 0.0)
    np.testing.assert_array_equal(free.loss.s, problem.loss.s)


# ---- the path -------------------------------------------------------------------------------------


STORAGES = {
    "float64": lambda X: X,
    "float32": lambda X: X.astype(np.float32),
    "uint8": lambda X: np.clip(100 + 40 * X, 0, 255).astype(np.uint8),
    "csr": lambda X: sp.csr_matrix(X * (X > 0)),
}


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
def test_points_are_the_fits_of_each_C_alone(storage, n_classes, l1_ratio):
    X, y = toy(n_classes)
    X, weight = STORAGES[storage](X), np.random.default_rng(1).uniform(0, 2, len(y))
    options = {
        "l1_ratio": l1_ratio, "class_weight": "balanced", "tol": 1e-6, "max_iter": 20000, "random_state": 0,
        "scaling": "unit" if storage == "uint8" else None,
    }  # fmt: skip
    path = logistic_path(X, y, Cs=CS, sample_weight=weight, **options)
    assert path.converged.all()
    assert path.coefs.dtype == path.intercepts.dtype == (np.float32 if storage == "float32" else np.float64)
    for i, C in enumerate(CS):
        alone = LogisticRegression(C=C, **options).fit(X, y, weight)
        assert path.coefs[i].shape == alone.coef_.shape
        assert path.objectives[i] - path.dual_gaps[i] <= alone.objective_ + 1e-12 * alone.objective_
        assert alone.objective_ - alone.dual_gap_ <= path.objectives[i] + 1e-12 * alone.objective_
        np.testing.assert_allclose(path.coefs[i], alone.coef_, atol=0.02 * np.abs(alone.coef_).max())


@pytest.mark.parametrize("penalty", ["l1", "l2"])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("scaling", [None, "standard"])
def test_objectives_and_certificates_are_true(penalty, fit_intercept, scaling):
    X, y = toy()
    X = X * [1, 10, 1, 0.1, 1, 1] + [0, 3, 0, 1, 0, 0]
    options = {"penalty": penalty, "fit_intercept": fit_intercept, "scaling": scaling, "random_state": 0}
    loose = logistic_path(X, y, Cs=CS, tol=1e-2, **options)
    tight = logistic_path(X, y, Cs=CS, tol=1e-8, max_iter=20000, **options)
    units = X.std(axis=0) if scaling else np.ones(X.shape[1])
    for path, tol in ((loose, 1e-2), (tight, 1e-8)):
        for i, (C, W, b) in enumerate(zip(*path, strict=True)):
            l1 = float(penalty == "l1")
            true = reference.objective(X, y, np.full(len(y), C), W, b, l1, 1 - l1, units)
            assert path.objectives[i] == pytest.approx(true, rel=1e-9)
            null = C * len(y) * np.log(3)
            assert 0 <= path.dual_gaps[i] <= tol * null
    best = np.minimum(tight.objectives, loose.objectives)
    assert np.all(loose.objectives - loose.dual_gaps <= best * (1 + 1e-9))
    if not fit_intercept and not scaling:
        assert not tight.intercepts.any()


def test_order_of_the_grid_is_irrelevant():
    X, y = toy()
    order = [2, 0, 1]
    up = logistic_path(X, y, Cs=CS, penalty="l1", random_state=0)
    mixed = logistic_path(X, y, Cs=[CS[i] for i in order], penalty="l1", random_state=0)
    np.testing.assert_array_equal(mixed.Cs, up.Cs[order])
    for name in ("coefs", "intercepts", "objectives", "dual_gaps", "n_iters"):
        np.testing.assert_array_equal(getattr(mixed, name), getattr(up, name)[order])


def test_a_fit_starts_from_the_stronger_penalty():
    X, y = toy()
    options = {"penalty": "l2", "tol": 1e-8}
    path = logistic_path(X, y, Cs=[1.0, 1.0001, 1.0], **options)
    alone = LogisticRegression(C=1.0, **options).fit(X, y)
    assert path.n_iters[0] == alone.n_iter_[0] and path.n_iters[2] <= path.n_iters[0] // 3
    assert path.n_iters[1] < path.n_iters[0]


@pytest.mark.parametrize("l1_ratio", [0.3, 1.0])
@pytest.mark.parametrize("scaling", [None, "standard"])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_automatic_grid_begins_where_the_first_weight_enters(l1_ratio, scaling, fit_intercept):
    X, y = toy()
    options = {"l1_ratio": l1_ratio, "scaling": scaling, "fit_intercept": fit_intercept, "random_state": 0}
    path = logistic_path(X, y, Cs=7, tol=1e-6, max_iter=20000, **options)
    assert path.Cs.shape == (7,) and path.Cs[-1] / path.Cs[0] == pytest.approx(1000)
    np.testing.assert_allclose(np.diff(np.log(path.Cs)), np.log(1000) / 6)
    assert not path.coefs[0].any() and path.n_iters[0] == 0 and path.converged[0]
    assert path.coefs[1].any()
    beyond = logistic_path(X, y, Cs=[1.001 * path.Cs[0]], tol=1e-10, max_iter=20000, **options)
    assert beyond.coefs.any()


def test_automatic_grids_without_an_l1_part_or_information():
    X, y = toy()
    np.testing.assert_allclose(logistic_path(X, y, Cs=3, scaling="standard").Cs, [1e-4, 1, 1e4])
    constant = logistic_path(np.ones((80, 2)), y, Cs=3, penalty="l1")
    np.testing.assert_allclose(constant.Cs, [1e-4, 1, 1e4])
    assert not constant.coefs.any()
    assert logistic_path(X, y, Cs=1, penalty="l1").coefs.shape == (1, 3, 6)


def test_infinite_C_ends_a_path():
    X, y = toy()
    path = logistic_path(X, y, Cs=[np.inf, 1.0], tol=1e-6, max_iter=20000)
    alone = LogisticRegression(penalty=None, tol=1e-6, max_iter=20000).fit(X, y)
    assert path.objectives[0] == pytest.approx(alone.objective_, rel=1e-8)


def test_weights_are_repetitions():
    X, y = toy()
    counts = np.random.default_rng(2).integers(0, 4, len(y))
    counts[:3] = 2
    options = {"Cs": 4, "penalty": "l1", "scaling": "standard", "tol": 1e-8, "max_iter": 20000}
    weighted = logistic_path(np.where(counts[:, None] > 0, X, 50 * X), y, sample_weight=counts, **options)
    repeated = logistic_path(np.repeat(X, counts, axis=0), np.repeat(y, counts), **options)
    np.testing.assert_allclose(weighted.Cs, repeated.Cs)
    np.testing.assert_allclose(weighted.coefs, repeated.coefs, atol=5e-3)


def test_number_of_threads_changes_no_bit():
    X, y = toy(n=3000, d=200)
    one, three = (
        logistic_path(X, y, Cs=[1e-3, 1e-2], l1_ratio=0.5, tol=1e-3, random_state=0, n_threads=t)
        for t in (1, 3)
    )
    np.testing.assert_array_equal(one.coefs, three.coefs)


def test_one_warning_for_the_whole_path():
    X, y = toy()
    with pytest.warns(ConvergenceWarning, match=r"2 of 3 fits did not reach tol=1e-12") as caught:
        path = logistic_path(X, y, Cs=[1e-9, 1.0, 2.0], penalty="l1", tol=1e-12, max_iter=2)
    assert len(caught) == 1 and caught[0].filename == __file__
    assert path.converged.tolist() == [True, False, False]
    best = logistic_path(X, y, Cs=[1e-9, 1.0, 2.0], penalty="l1", tol=1e-8, max_iter=20000)
    assert np.all(path.objectives - path.dual_gaps <= best.objectives * (1 + 1e-12))


def test_unpacks_and_holds_what_it_says(capsys):
    X, y = toy()
    path = logistic_path(X, np.array(["a", "b", "c"])[y], Cs=CS, verbose=1)
    assert isinstance(path, Path)
    Cs, coefs, intercepts = path
    assert Cs is path.Cs and coefs.shape == (3, 3, 6) and intercepts.shape == (3, 3)
    assert path.classes.tolist() == ["a", "b", "c"]
    assert capsys.readouterr().out.count("[fastlr] C=") == 3


@pytest.mark.parametrize(
    "options",
    [
        {"Cs": 0}, {"Cs": True}, {"Cs": []}, {"Cs": [1.0, -1.0]}, {"Cs": [1.0, np.nan]}, {"Cs": "many"},
        {"Cs": [[1.0]]}, {"Cs": 1.5}, {"penalty": None}, {"penalty": "l3"}, {"l1_ratio": 2.0}, {"tol": -1.0},
        {"solver": "adam"}, {"penalty": "l1", "solver": "lbfgs"}, {"max_iter": -1}, {"scaling": "minmax"},
        {"n_threads": 0}, {"class_weight": "fair"}, {"sample_weight": np.ones(3)},
    ],
)  # fmt: skip
def test_refuses(options):
    X, y = toy()
    with pytest.raises(ValueError, match=list(options)[-1]):
        logistic_path(X, y, **options)


def test_a_gradient_of_rounding_is_none():
    """Standardised, without intercept, all weight in one class: sums of columns are zero but for rounding."""
    X, weight = np.random.default_rng(1).standard_normal((30, 4)), np.r_[np.ones(29), 0.0]
    X[:, 3] = 1 / 3
    path = logistic_path(
        X,
        np.repeat([0, 1], [29, 1]),
        penalty="l1",
        Cs=3,
        sample_weight=weight,
        fit_intercept=False,
        scaling="standard",
    )
    np.testing.assert_allclose(path.Cs, [1e-4, 1.0, 1e4])
    assert not path.coefs.any()
