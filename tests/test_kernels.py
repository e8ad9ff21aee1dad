"""Every kernel against its twin in reference.py, one axis at a time, at every instruction set.

n samples, d features, K score columns (one stands for two classes).
"""

import itertools
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp

from fastlr._kernels import curvature, descent, hessian, lagged, passes, saga, scores, sdca, sgd, simd, source

from . import reference

STORED = {"u1": np.uint8, "f4": np.float32, "f8": np.float64}
LEVELS = ("baseline", "avx2", "avx512")
LAYOUTS = ("C", "F", "row gaps", "column gaps", "reversed rows", "reversed columns", "one column")


def lay_out(X, layout):
    """The same numbers at other places."""
    if layout == "F":
        return np.asfortranarray(X)
    if layout == "row gaps":
        return np.repeat(X, 3, axis=0)[::3]
    if layout == "column gaps":
        return np.repeat(X, 2, axis=1)[:, ::2]
    if layout == "reversed rows":
        return X[::-1].copy()[::-1]
    if layout == "reversed columns":
        return np.ascontiguousarray(X[:, ::-1])[:, ::-1]
    if layout == "one column":  # a stride of zero
        return np.broadcast_to(X[:, :1], X.shape)
    return X


def case(n=150, d=33, K=3, stored="f8", real="f8", layout="C"):
    """Parameters of a test, named by what differs from the defaults."""
    values = {"n": n, "d": d, "K": K, "stored": stored, "real": real, "layout": layout}
    defaults = {"n": 150, "d": 33, "K": 3, "stored": "f8", "real": "f8", "layout": "C"}
    changed = [f"{key}={value}" for key, value in values.items() if value != defaults[key]]
    return pytest.param(values, id=",".join(changed) or "default")


CASES = [
    *(case(stored=stored, real=real) for stored in STORED for real in ("f4", "f8")),
    *(case(layout=layout) for layout in (*LAYOUTS[1:], "csr")),
    *(case(layout=layout, stored="f4", real="f4") for layout in (*LAYOUTS[1:], "csr")),
    *(case(layout=layout, stored="u1", real="f4") for layout in ("F", "row gaps", "reversed rows")),
    case(layout="csr", stored="f4"),
    case(layout="csr", real="f4"),
    *(case(K=K, real=real) for K in (1, 2, 4, 5, 10, 11) for real in ("f4", "f8")),
    *(case(K=1000, n=40, d=9, layout=layout) for layout in ("C", "csr")),
    # Lengths around one vector, one tile of four, and both, of every instruction set.
    *(case(K=K, layout="csr", real=real) for K in (1, 2, 6, 7, 10, 20, 33, 70) for real in ("f4", "f8")),
    *(case(d=d, real=real) for d in (1, 2, 8, 13, 16, 17, 65, 200) for real in ("f4", "f8")),
    # Bytes are converted in registers for up to 10 score columns, in a panel for more.
    *(case(K=K, stored="u1", real=real) for K in (1, 2, 4, 5, 6, 10, 11) for real in ("f4", "f8")),
    *(case(d=d, K=K, stored="u1") for d in (1, 8, 13, 16, 17, 65, 200) for K in (1, 3)),
    *(case(d=1, layout=layout) for layout in ("row gaps", "csr")),
    *(case(n=n, real=real) for n in (1, 2, 3, 5, 17) for real in ("f4", "f8")),
    *(case(n=n, layout="csr") for n in (1, 5)),
    *(case(n=1000, layout=layout) for layout in ("C", "F", "csr")),
]
every_case = pytest.mark.parametrize("values", CASES)


def problem(values):
    """A random problem; X is what the kernels read, in float64, and W what its type can hold."""
    n, d, K = values["n"], values["d"], values["K"]
    rng = np.random.default_rng(n + 10 * d + 100 * K)
    p = SimpleNamespace(n=n, d=d, K=K, n_classes=max(K, 2), real=STORED[values["real"]], rng=rng)
    stored = STORED[values["stored"]]
    X = rng.integers(0, 256, (n, d)) if stored == np.uint8 else rng.standard_normal((n, d))
    if values["layout"] == "csr":
        X = sp.csr_matrix(X * (rng.random((n, d)) < 0.3), dtype=stored)
        p.rows = source.Rows(X.data, X.indptr.astype(np.int64), X.indices.astype(np.int32), d)
        p.X, p.lagged = X.toarray().astype(np.float64), True
    else:
        X = lay_out(X.astype(stored), values["layout"])
        p.rows, p.X, p.lagged = source.Rows(X), X.astype(np.float64), False
    p.y = rng.integers(0, p.n_classes, n).astype(np.int32)
    p.s = rng.uniform(0, 2, n) * (rng.random(n) < 0.8)
    p.s[0] = 1
    size = max(1, np.abs(p.X).max()) * np.sqrt(d)
    p.W = (2 * rng.standard_normal((K, d)) / size).astype(p.real)
    p.b = rng.standard_normal(K).astype(p.real)
    p.model = p.W.astype(np.float64), p.b.astype(np.float64)
    # A sum of m products in any order is off by less than m eps times the sum of their sizes
    # (Higham, Accuracy and Stability, section 3.1); 16 covers the few operations around it.
    eps = np.finfo(p.real).eps
    p.score_error = (d + 16) * eps * (np.abs(p.X) @ np.abs(p.model[0]).T + np.abs(p.model[1]))
    p.sum_error = (n + d + 16) * eps * (1 + np.abs(p.X) @ np.abs(p.model[0]).T).max()
    return p


def flat(p, W):
    """W as the kernels read it: K x d, or d x K for CSR."""
    return np.ravel(W, order="F" if p.lagged else "C")


def own(p, W, dtype):
    """(K, d) values in an array of the layout that step kernels change in place."""
    return np.array(W.T if p.lagged else W, dtype=dtype, order="C")


def back(p, W):
    return W.T if p.lagged else W


def loss_gradient(p, start=0, stop=None, n_threads=1, kind=0):
    G, mass = np.zeros(p.K * p.d), np.zeros(p.K)
    stop = p.n if stop is None else stop
    loss = passes.loss_gradient(p.rows, p.y, p.s, flat(p, p.W), p.b, G, mass, start, stop, n_threads, kind)
    return loss, G.reshape((p.K, p.d), order="F" if p.lagged else "C"), mass


# ---- instruction sets -----------------------------------------------------------------------------


def python(*arguments, isa):
    return subprocess.run(
        [sys.executable, "-P", *arguments],
        env={**os.environ, "FASTLR_ISA": isa},
        capture_output=True,
        text=True,
    )


IMPORT = "-c", "from fastlr._kernels import simd; print(simd.ISA)"


@pytest.mark.skipif("FASTLR_ISA" in os.environ, reason="runs at the level of FASTLR_ISA")
@pytest.mark.parametrize("level", LEVELS)
def test_all_of_this_file_at_level(level):
    found = python(*IMPORT, isa=level)
    if "processor lacks" in found.stderr:
        pytest.skip(f"this processor lacks {level}")
    assert found.stdout.strip() == level, found.stderr
    if level == simd.ISA:  # the tests beside this one run there
        return
    # The lagged recursion is plain scalar code.
    options = "-q", "-p", "no:cacheprovider", "-k", "not catch_up"
    files = __file__, str(Path(__file__).with_name("test_mlp.py"))
    run = python("-m", "pytest", *options, *files, isa=level)
    assert run.returncode == 0, run.stdout[-3000:]


def test_unknown_level():
    found = python(*IMPORT, isa="sse9")
    assert found.returncode != 0
    assert "ImportError: FASTLR_ISA must be one of baseline, avx2, avx512" in found.stderr


# ---- passes ---------------------------------------------------------------------------------------


@every_case
def test_decision(values):
    p = problem(values)
    out = np.full((p.n, p.K), np.nan, dtype=p.real)
    passes.decision(p.rows, flat(p, p.W), p.b, out, 0, p.n, 2)
    assert np.all(np.abs(out - reference.decision(p.X, *p.model)) <= p.score_error)


@pytest.mark.parametrize("stored", ["u1", "f4", "f8"])
@pytest.mark.parametrize("real", ["f4", "f8"])
@pytest.mark.parametrize("K", [1, 2, 3, 5, 10, 11])
def test_scores_do_not_depend_on_the_place_of_a_row(K, real, stored):
    for d in (1, 7, 9, 15, 22, 31, 77):
        p = problem(case(n=33, d=d, K=K, stored=stored, real=real).values[0])
        together, alone = np.empty((2, p.n, p.K), dtype=p.real)
        passes.decision(p.rows, flat(p, p.W), p.b, together, 0, p.n, 1)
        for i in range(p.n):
            passes.decision(p.rows, flat(p, p.W), p.b, alone[i : i + 1], i, i + 1, 1)
        np.testing.assert_array_equal(alone, together)


@pytest.mark.parametrize("real", ["f4", "f8"])
@pytest.mark.parametrize("K", [1, 3, 10, 12])
def test_bytes_are_the_numbers_they_say(K, real):
    """Rows of bytes, however they are converted, give the bits of the same numbers as floats."""
    narrow = problem(case(n=700, d=77, K=K, stored="u1", real=real).values[0])
    wide = problem(case(n=700, d=77, K=K, stored="u1", real=real).values[0])
    wide.rows = source.Rows(narrow.X.astype(narrow.real))
    scores = []
    for p in (narrow, wide):
        scores.append(np.empty((p.n, p.K), dtype=p.real))
        passes.decision(p.rows, flat(p, p.W), p.b, scores[-1], 0, p.n, 1)
    np.testing.assert_array_equal(*scores)
    np.testing.assert_array_equal(loss_gradient(narrow)[1], loss_gradient(wide)[1])


@every_case
def test_loss_gradient(values):
    p = problem(values)
    loss, G, mass = loss_gradient(p)
    expected, expected_G, expected_mass = reference.loss_gradient(p.X, p.y, p.s, *p.model)
    total = p.s.sum()
    assert abs(loss - expected) <= p.sum_error * total
    assert np.all(np.abs(G - expected_G) <= p.sum_error * (p.s @ np.abs(p.X)))
    np.testing.assert_allclose(mass, expected_mass, rtol=0, atol=p.sum_error * total)


@every_case
def test_loss_gradient_of_the_squared_hinge(values):
    p = problem({**values, "K": 1})
    loss, G, mass = loss_gradient(p, kind=1)
    Z = reference.scores(p.X, *p.model)
    R, lack = reference.hinge_residuals(Z, p.y, p.s), reference.hinge_lack(Z, p.y)[1]
    assert 0 < np.count_nonzero(R) < p.n or p.n < 20  # both sides of the margin are there
    # Errors of the scores pass through with the slope of the formula; the sums add theirs.
    eps = (p.n + 16) * np.finfo(p.real).eps
    error_z = p.score_error[:, 0]
    error_r = 2 * p.s * error_z + eps * (np.abs(R[:, 0]) + p.s)
    error_loss = np.sum(p.s * (2 * lack + error_z) * error_z) + eps * np.sum(p.s * (lack + 1) ** 2)
    assert abs(loss - reference.hinge_loss(Z, p.y, p.s)) <= error_loss
    assert np.all(np.abs(G - reference.gradient(p.X, R)) <= error_r @ np.abs(p.X) + 1e-300)
    np.testing.assert_allclose(mass, R.sum(axis=0), rtol=0, atol=error_r.sum())
    found = passes.evaluate(p.rows, p.y, p.s, flat(p, p.W), p.b, 0, p.n, 1, 1)
    assert abs(found[0] - loss) <= error_loss
    assert abs(found[1] - reference.correct(Z, p.y, p.s)) <= 2 * np.finfo(p.real).eps * p.s.sum()


@every_case
def test_residuals_and_column_sums(values):
    """The two halves of loss_gradient."""
    p = problem(values)
    R, mass, G = np.full((p.n, p.K), np.nan, p.real), np.zeros(p.K), np.zeros((p.d, p.K))
    loss = 0.0
    for start, stop in ((0, p.n // 3), (p.n // 3, p.n)):
        loss += passes.residuals(p.rows, p.y, p.s, flat(p, p.W), p.b, R[start:stop], mass, start, stop, 2)
    columns = sp.csr_matrix(p.X.T)
    columns = source.Rows(
        columns.data, columns.indptr.astype(np.int64), columns.indices.astype(np.int32), p.n
    )
    for start, stop in ((0, p.d // 3), (p.d // 3, p.d)):
        passes.column_sums(columns, np.ravel(R), np.zeros(p.K, p.real), np.ravel(G), start, stop, 2)
    expected, expected_G, expected_mass = reference.loss_gradient(p.X, p.y, p.s, *p.model)
    total = p.s.sum()
    assert abs(loss - expected) <= p.sum_error * total
    np.testing.assert_allclose(mass, expected_mass, rtol=0, atol=p.sum_error * total)
    expected_R = reference.residuals(reference.scores(p.X, *p.model), p.y, p.s)
    np.testing.assert_allclose(R, expected_R, rtol=0, atol=p.sum_error * max(1, p.s.max()))
    assert np.all(np.abs(G.T - expected_G) <= p.sum_error * (p.s @ np.abs(p.X)))


def curvature_case(p, n_threads=1):
    """The point's probabilities and the product with a direction, for rows in any order, some twice."""
    p.order = p.rng.permutation(np.repeat(np.arange(p.n), 2))[: p.n + 1]
    p.V, p.v_b = p.W[:, ::-1].copy(), p.rng.standard_normal(p.K).astype(p.real)
    P = np.full((p.K, len(p.order)), np.nan, p.real)
    G, mass = np.zeros(p.K * p.d), np.zeros(p.K)
    for start, stop in ((0, p.n // 3), (p.n // 3, len(p.order))):
        rows = start, stop, n_threads
        curvature.probabilities(p.rows, p.order, flat(p, p.W), p.b, P, *rows)
        curvature.product(p.rows, p.order, p.s, P, flat(p, p.V), p.v_b, G, mass, *rows)
    return P, G.reshape((p.K, p.d), order="F" if p.lagged else "C"), mass


@every_case
def test_curvature(values):
    p = problem(values)
    P, G, mass = curvature_case(p)
    X, s = p.X[p.order], p.s[p.order]
    np.testing.assert_allclose(P.T, reference.probabilities(X, *p.model), rtol=0, atol=p.sum_error)
    direction = p.V.astype(np.float64), p.v_b.astype(np.float64)
    expected, expected_mass = reference.curvature_product(X, s, *p.model, *direction)
    # What the errors of p and of the direction's scores can do to t, and summation.
    size = 3 * np.abs(reference.scores(X, *direction)).max() + 1
    assert np.all(np.abs(G - expected) <= size * p.sum_error * (s @ np.abs(X)))
    np.testing.assert_allclose(mass, expected_mass, rtol=0, atol=size * p.sum_error * s.sum())
    T, P = np.full((p.n, p.K), np.nan, p.real), np.full((p.K, p.n), np.nan, p.real)
    curvature.probabilities(p.rows, None, flat(p, p.W), p.b, P, 0, p.n, 1)
    curvature.curved_scores(p.rows, p.s, P, flat(p, p.V), p.v_b, T, 0, p.n, 2)
    expected = reference.curved_scores(p.X, p.s, *p.model, *direction)
    np.testing.assert_allclose(T, expected, rtol=0, atol=size * p.sum_error * max(1, p.s.max()))


@every_case
def test_evaluate(values):
    p = problem(values)
    loss, correct = passes.evaluate(p.rows, p.y, p.s, flat(p, p.W), p.b, 0, p.n, 1)
    expected, expected_correct = reference.evaluate(p.X, p.y, p.s, *p.model)
    assert abs(loss - expected) <= p.sum_error * p.s.sum()
    assert abs(correct - expected_correct) <= 2 * np.finfo(p.real).eps * p.s.sum()


@pytest.mark.parametrize("mix", [0.0, 0.6, 1.0])
@every_case
def test_dual_entropy(values, mix):
    p = problem({**values, "real": "f8"})
    giving = p.rng.random(p.n_classes) < 0.5
    giving[:2] = True, False
    shrink = np.where(giving, p.rng.random(p.n_classes), 1.0)
    receive = np.where(giving, 0.0, p.rng.random(p.n_classes) + 0.1)
    receive /= receive.sum()
    entropy = passes.dual_entropy(p.rows, p.y, p.s, flat(p, p.W), p.b, shrink, receive, mix, 0, p.n, 1)
    expected = reference.dual_entropy(p.X, p.y, p.s, *p.model, shrink, receive, mix)
    assert abs(entropy - expected) <= p.sum_error * p.n_classes * p.s.sum()


@every_case
def test_column_moments(values):
    if values["layout"] == "csr":
        values = {**values, "layout": "C"}  # CSR moments are SciPy's
    p = problem({**values, "real": "f8"})
    origin, total, square = p.rng.random(p.d), np.zeros(p.d), np.zeros(p.d)
    low, high = np.full(p.d, np.inf), np.full(p.d, -np.inf)
    label_sums = np.zeros((p.K, p.d))
    sums = label_sums, total, square, low, high
    for start, stop, n_threads in ((0, p.n // 3, 1), (p.n // 3, p.n, 2)):
        passes.column_moments(p.rows, p.y, p.s, origin, *sums, start, stop, n_threads)
    expected = reference.column_moments(p.X, p.y, p.s, origin, p.n_classes)
    largest = (p.s @ (np.abs(p.X) + 1)).max()
    np.testing.assert_allclose(label_sums, expected[0][-p.K :], rtol=0, atol=1e-13 * largest)
    np.testing.assert_allclose(total, expected[1], rtol=0, atol=1e-13 * largest)
    np.testing.assert_allclose(square, expected[2], rtol=1e-13)
    np.testing.assert_array_equal([low, high], expected[3:])


@pytest.mark.parametrize("layout", ["C", "csr"])
def test_passes_over_parts_add_up(layout):
    p = problem(case(n=700, layout=layout).values[0])
    parts = [loss_gradient(p, start, stop) for start, stop in ((0, 0), (0, 1), (1, 300), (300, 700))]
    for found, whole in zip(map(sum, zip(*parts, strict=True)), loss_gradient(p), strict=True):
        np.testing.assert_allclose(found, whole, rtol=1e-12, atol=1e-12)
    with pytest.raises(ValueError, match="rows 5:701 are not within the 700 rows of X"):
        loss_gradient(p, 5, 701)


@pytest.mark.parametrize(
    "values",
    [case(n=2100), case(n=2100, stored="u1", real="f4"), case(n=2100, K=1, layout="csr")],
)
def test_passes_give_the_same_bits_for_any_number_of_threads(values):
    p = problem(values)
    curved = [part.tobytes() for part in curvature_case(problem(values))]
    for n_threads in (2, 3, 8):
        assert [part.tobytes() for part in curvature_case(problem(values), n_threads)] == curved
    for kind in range(1 + (p.K == 1)):
        first = [np.asarray(part).tobytes() for part in loss_gradient(p, kind=kind)]
        for n_threads in (1, 2, 3, 8):
            for _ in range(3):
                again = loss_gradient(p, n_threads=n_threads, kind=kind)
                assert [np.asarray(part).tobytes() for part in again] == first


# ---- Hessians -------------------------------------------------------------------------------------


def active_pairs(p, fit_intercept, a=60):
    """About `a` weights, as column, feature and the columns' bounds."""
    mask = p.rng.random((p.K, p.d)) < a / (p.K * p.d)
    mask[:, 0] |= ~mask.any(axis=1)
    column, feature = np.nonzero(np.hstack([np.full((p.K, 1), fit_intercept), mask]))
    return column, feature.astype(np.int32) - 1, np.searchsorted(column, np.arange(p.K + 1))


def hessian_case(p, fit_intercept, n_threads=1, a=60):
    """The Hessian, summed over two calls, and that of the twin, with a bound on what rounding does to it."""
    column, feature, first = active_pairs(p, fit_intercept, a)
    order = p.rng.permutation(np.repeat(np.arange(p.n), 2))[: p.n + 1]
    s, shift = p.s.astype(p.real), p.rng.uniform(-1, 1, p.d).astype(p.real)
    P = np.full((p.K, p.n + 3), np.nan, p.real) if p.K > 1 else np.empty((0, 0), p.real)
    if p.K > 1:
        P[:, : p.n] = p.rng.dirichlet(np.full(p.K, 0.3), p.n).T
    H = np.zeros((len(column), len(column) + 5), p.real)
    at = np.where(feature >= 0, shift[feature], 0).astype(p.real)
    for rows in ((0, p.n // 3), (p.n // 3, p.n // 3), (p.n // 3, len(order))):
        hessian.active_hessian(p.rows, order, s, P, feature, first, at, H, *rows, n_threads)
    X, s, probabilities = p.X[order], np.float64(s)[order], np.float64(P[:, : p.n]).T
    expected = reference.hessian(
        X, s, probabilities[order] if p.K > 1 else None, column, feature, np.float64(shift)
    )
    size = np.where(feature >= 0, np.abs(X)[:, feature] + np.abs(shift)[feature], 1.0)
    return H, expected, (p.n + 32) * np.finfo(p.real).eps * ((s[:, None] * size).T @ size)


@pytest.mark.parametrize("fit_intercept", [True, False])
@every_case
def test_active_hessian(values, fit_intercept):
    if values["layout"] == "csr":
        values = {**values, "layout": "C"}  # the Hessian is for dense rows
    H, expected, error = hessian_case(problem(values), fit_intercept)
    a = len(H)
    upper = np.triu_indices(a)
    assert np.all(np.abs(H[:, :a] - expected)[upper] <= error[upper])
    assert not H[:, a:].any() and not np.tril(H[:, :a], -1).any()
    hessian.mirror(H)
    assert np.all(np.abs(H[:, :a] - expected) <= error) and not H[:, a:].any()


@pytest.mark.parametrize("real", ["f4", "f8"])
@pytest.mark.parametrize("K", [1, 3])
@pytest.mark.parametrize("a", [1, 2, 3, 7, 8, 15, 17, 20, 21, 33, 64, 65, 100])
def test_active_hessian_of_any_size(a, K, real):
    """Sizes around one vector and around one group of rows of H."""
    p = problem(case(n=70, d=100, K=K, real=real).values[0])
    H, expected, error = hessian_case(p, True, a=a)
    hessian.mirror(H)
    assert np.all(np.abs(H[:, : len(H)] - expected) <= error)


@pytest.mark.parametrize("values", [case(n=3100), case(n=3100, stored="u1", real="f4"), case(n=3100, K=1)])
def test_hessians_are_the_same_bits_for_any_number_of_threads(values):
    first = hessian_case(problem(values), True)[0].tobytes()
    for n_threads in (2, 3, 8):
        assert hessian_case(problem(values), True, n_threads)[0].tobytes() == first


def test_hessians_refuse_what_they_cannot_read():
    p = problem(case(layout="csr").values[0])
    one = np.zeros(1, np.int32), np.array([0, 1, 1, 1]), np.zeros(1), np.zeros((1, 1))
    arguments = np.arange(p.n), p.s, np.ones((3, p.n)), *one
    with pytest.raises(ValueError, match="dense"):
        hessian.active_hessian(p.rows, *arguments, 0, p.n, 1)
    rows = source.Rows(p.X)
    with pytest.raises(ValueError, match="rows 5:151 are not within the 150 of the order"):
        hessian.active_hessian(rows, *arguments, 5, 151, 1)


# ---- coordinate descent ---------------------------------------------------------------------------


def quadratic(a, real, seed=0, cut=0.3):
    """A model of a weights, ill-conditioned, some thresholds zero and one weight without curvature."""
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((2 * a, a)) + rng.standard_normal((2 * a, 1))
    H = np.full((a, a + 3), np.nan, real)  # what is beyond a is never read
    H[:, :a] = A.T @ A / a
    if a > 2:
        H[2], H[:, 2] = 0, 0
    w = rng.standard_normal(a) * (rng.random(a) < 0.5)
    return H, 2 * rng.standard_normal(a), w, cut * rng.uniform(0.5, 2, a) * (rng.random(a) < 0.8)


@pytest.mark.parametrize("real", [np.float32, np.float64])
@pytest.mark.parametrize("a", [1, 2, 7, 8, 9, 16, 17, 33, 70])
@pytest.mark.parametrize("sweeps", [0, 1, 2, 5])
def test_descent_on_a_hessian(a, real, sweeps):
    H, q, w, cut = quadratic(a, real)
    expected = reference.descend(np.float64(H[:, :a]), q, w, cut, 0.0, sweeps)
    found = w.copy(), q.copy()
    at_rest = descent.gram(H, found[1], found[0], cut, 0.0, sweeps)
    # Each step rounds as the twin's does, once or twice; few steps expand errors by little.
    np.testing.assert_allclose(found[0], expected[0], atol=1e-12)
    np.testing.assert_allclose(found[1], expected[1], atol=1e-11)
    assert at_rest == expected[2] or sweeps > 1  # an exact zero is a matter of rounding


@pytest.mark.parametrize("cut", [0.0, 0.3, 1e3])
@pytest.mark.parametrize("a", [1, 7, 33])
def test_descent_comes_to_rest_at_the_minimum(a, cut):
    """|q| <= cut, with equality and sign against w's where w != 0; q stays the gradient."""
    H, q0, w0, cut = quadratic(a, np.float64, cut=cut)
    q, w, moving = q0.copy(), w0.copy(), np.diag(H) > 0
    assert descent.gram(H, q, w, cut, 1e-26, 100000)
    np.testing.assert_allclose(q, q0 + H[:, :a] @ (w - w0), atol=1e-9)
    np.testing.assert_array_equal(w[~moving], w0[~moving])
    q, cut, w = q[moving], cut[moving], w[moving]
    assert np.all(np.abs(q) <= cut + 1e-8)
    np.testing.assert_allclose(q[w != 0], -(cut * np.sign(w))[w != 0], atol=1e-8)


def column_model(K, fit_intercept, seed=0):
    """A ColumnModel's arguments and its Hessian; probabilities are such that 1 - p is exact in float32."""
    rng = np.random.default_rng(seed)
    n, m, a = 50, 12, 15
    root = np.sqrt(rng.uniform(0, 2, n)).astype(np.float32) * (rng.random(n) < 0.8).astype(np.float32)
    X = sp.csc_matrix(rng.standard_normal((n, m)) * (rng.random((n, m)) < 0.4))
    values = X.data.astype(np.float32) * root[X.indices]
    P = np.empty((0, 0), np.float32)
    if K > 1:
        P = np.ascontiguousarray(rng.multinomial(64, np.full(K, 1 / K), n).T / 64, np.float32)
    mask = rng.random((K, m)) < a / (K * m)
    column, feature = np.nonzero(np.hstack([np.full((K, 1), fit_intercept), mask]))
    feature, first = feature.astype(np.int32) - 1, np.searchsorted(column, np.arange(K + 1))
    a = len(column)
    dense = np.float64(sp.csc_matrix((values, X.indices, X.indptr), shape=X.shape).toarray())
    # Rows are times the root already, and so is the constant feature.
    H = reference.hessian(
        np.column_stack([dense, np.float64(root)]), np.ones(n), np.float64(P.T) if K > 1 else None,
        column, np.where(feature < 0, m, feature), np.zeros(m + 1),
    )  # fmt: skip
    extra, q = rng.uniform(0.2, 0.5, a), 5 * rng.standard_normal(a)
    cut, w0 = rng.uniform(0, 2, a) * (feature >= 0), rng.standard_normal(a) * (rng.random(a) < 0.5)
    pointers = X.indptr.astype(np.int64), X.indices.astype(np.int32)
    model = descent.ColumnModel(*pointers, values, root, P, feature, first, q, extra, cut, w0)
    return model, H + np.diag(extra), q, cut, w0


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("K", [1, 2, 3, 5])
@pytest.mark.parametrize("sweeps", [0, 1, 2, 10, 3000])
def test_descent_by_scores_is_descent_on_the_hessian(K, fit_intercept, sweeps):
    model, H, q, cut, w0 = column_model(K, fit_intercept)
    rest, by_scores, by_hessian = 1e-12, w0.copy(), w0.copy()
    found = model.descend(by_scores, rest, sweeps)
    assert found == descent.gram(H, q.copy(), by_hessian, cut, rest, sweeps) == (sweeps == 3000)
    np.testing.assert_allclose(by_scores, by_hessian, atol=1e-10)
    assert sweeps == 0 or np.abs(by_scores - w0).max() > 0.1


def test_weights_without_curvature_stay():
    """Columns without entries: one has nothing but its gradient, the other a curvature from elsewhere."""
    no_entries = np.zeros(3, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32)
    one_column = np.ones(4, np.float32), np.empty((0, 0), np.float32)
    pairs, q, extra, cut = np.array([0, 1], np.int32), np.ones(2), np.array([0.0, 0.5]), np.zeros(2)
    model = descent.ColumnModel(*no_entries, *one_column, pairs, np.array([0, 2]), q, extra, cut, np.ones(2))
    w = np.ones(2)
    assert model.descend(w, 1e-9, 10)
    np.testing.assert_allclose(w, [1, -1])


# ---- formulas on scores ---------------------------------------------------------------------------


def padded_scores(n, K, size):
    rng = np.random.default_rng(n + K)
    room = -(-n // scores.PADDING) * scores.PADDING
    Z, y, s = np.zeros((K, room)), np.zeros(room, np.int32), np.zeros(room)
    Z[:, :n] = size * rng.standard_normal((K, n))
    y[:n], s[:n] = rng.integers(0, max(K, 2), n), rng.uniform(0, 2, n) * (rng.random(n) < 0.8)
    return Z, y, s


@pytest.mark.parametrize("n", [1, 7, 16, 17, 41])
@pytest.mark.parametrize("K", [1, 2, 3, 10])
@pytest.mark.parametrize("size", [1e-300, 1.0, 30.0, 1e4])
def test_residuals_and_curvatures_of_scores(n, K, size):
    Z, y, s = padded_scores(n, K, size)
    R, C = Z.copy(), Z.copy()
    loss = scores.residuals(R, y, s, n)
    scores.curvatures(C, y, s, n)
    Z, y, s = Z[:, :n].T, y[:n], s[:n]
    np.testing.assert_allclose(R[:, :n].T, reference.residuals(Z, y, s), rtol=0, atol=1e-14)
    assert not R[:, n:].any()
    assert loss == pytest.approx(reference.loss(Z, y, s), rel=1e-13, abs=1e-13)
    P = np.exp(reference.log_probabilities(Z))[:, -K:]
    expected = P if K > 1 else s[:, None] * P * (1 - P)
    np.testing.assert_allclose(C[:, :n].T, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("n", [1, 7, 16, 17, 41])
@pytest.mark.parametrize("size", [0.0, 1.0, 1e4])
def test_residuals_and_curvatures_of_the_squared_hinge(n, size):
    Z, y, s = padded_scores(n, 1, size)
    Z[0, :n:5] = np.sign(Z[0, :n:5])  # on the margin, or at zero
    R, C = Z.copy(), Z.copy()
    loss = scores.residuals(R, y, s, n, 1)
    scores.curvatures(C, y, s, n, 1)
    Z, y, s = Z[:, :n].T, y[:n], s[:n]
    np.testing.assert_allclose(R[:, :n].T, reference.hinge_residuals(Z, y, s), rtol=1e-14)
    assert not R[:, n:].any()
    assert loss == pytest.approx(reference.hinge_loss(Z, y, s), rel=1e-13)
    np.testing.assert_array_equal(C[0, :n], reference.hinge_curvatures(Z, y, s))


@pytest.mark.parametrize("n", [0, 1, 63, 64, 65, 2500])
@pytest.mark.parametrize("K", [1, 2, 3, 10])
@pytest.mark.parametrize("types", ["f4-f4", "f4-f8", "f8-f4", "f8-f8"])
@pytest.mark.parametrize("size", [1e-300, 1.0, 30.0, 1e4, 1e38])
def test_probabilities_of_rows_of_scores(n, K, types, size):
    """Small ones are as exact as large ones, whichever class is theirs."""
    types = types.split("-")
    Z = (size * np.random.default_rng(n + K).standard_normal((n, K))).clip(-3e38, 3e38).astype(types[0])
    P, one = (np.empty((n, max(K, 2)), dtype=types[1]) for _ in range(2))
    scores.probabilities(Z, P, 2)
    scores.probabilities(Z, one, 1)
    np.testing.assert_array_equal(P, one)
    Z = Z.astype(types[1]).astype(np.float64)  # errors of the scores are not the formula's
    expected, limits = np.exp(reference.log_probabilities(Z)), np.finfo(types[1])
    # Differences of scores are rounded, and what is nearly too small for a number is zero.
    slack = 8 + np.minimum(2 * np.abs(Z).max(axis=1, keepdims=True, initial=0), 1e3)
    assert (np.abs(P - expected) <= limits.eps * slack * expected + 4 * limits.tiny).all()
    np.testing.assert_allclose(P.sum(axis=1), 1, rtol=8 * limits.eps)


# ---- formulas on scores, through rows of the identity ---------------------------------------------


def identity_pass(Z, y, s, dtype, kind=0):
    """Loss and residuals (n, K) of given scores: X = I makes W the scores and X'R the residuals."""
    Z = np.asarray(Z, dtype=dtype)
    n, K = Z.shape
    G, mass = np.zeros((K, n)), np.zeros(K)
    loss = passes.loss_gradient(
        source.Rows(np.eye(n, dtype=dtype)), np.asarray(y, np.int32), np.asarray(s, np.float64),
        np.ravel(Z.T), np.zeros(K, dtype), np.ravel(G), mass, 0, n, 1, kind,
    )  # fmt: skip
    return loss, G.T, mass


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("K", [1, 2])
def test_exp_in_ulps(dtype, K):
    """With classes at scores 0 and x < 0 the rarer one has p = e / (1 + e), e = exp(x). Far out,
    1 + e rounds to 1 and p is exp itself: the polynomial's truncation is below half an ulp and its
    evaluation below one. Nearer, a sum, a quotient and a product add half an ulp each."""
    lowest, far = (-87.0, -17.5) if dtype == np.float32 else (-708.0, -37.5)
    x = np.r_[np.linspace(lowest, far, 800), np.linspace(far, 0, 400)[1:]].astype(dtype)
    Z = -x[:, None] if K == 1 else np.c_[np.zeros_like(x), x]
    label = K == 1  # the class that is nearly sure
    _, R, _ = identity_pass(Z, np.full(len(x), label), np.ones(len(x)), dtype)
    found = -R[:, 0] if K == 1 else R[:, 1]
    if K == 1:  # p - 1 has lost the digits of e: take the other class as the label
        _, R, _ = identity_pass(x[:, None], np.zeros(len(x)), np.ones(len(x)), dtype)
        found = R[:, 0]
    e = np.exp(x.astype(np.longdouble))
    exact = e / (1 + e)
    ulps = np.abs(found - exact) / np.spacing(exact.astype(dtype))
    assert ulps[x <= dtype(far)].max() <= 1.5
    assert ulps.max() <= 3


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("K", [1, 2, 3, 10])
@pytest.mark.parametrize("size", [1e-300, 1.0, 100.0, 1e4])
def test_scores_to_residuals(dtype, K, size):
    rng = np.random.default_rng(K)
    Z = (size * rng.standard_normal((41, K))).astype(dtype).astype(float)
    y, s = rng.integers(0, max(K, 2), 41), rng.uniform(0, 2, 41).astype(dtype).astype(float)
    loss, R, mass = identity_pass(Z, y, s, dtype)
    # Each residual is good to a few roundings of s <= 2.
    atol = 16 * float(np.finfo(dtype).eps)
    np.testing.assert_allclose(R, reference.residuals(Z, y, s), rtol=0, atol=atol)
    np.testing.assert_allclose(mass, reference.masses(Z, s), rtol=atol, atol=41 * atol)
    assert loss == pytest.approx(reference.loss(Z, y, s), rel=atol, abs=41 * atol)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 7, 16, 41])
@pytest.mark.parametrize("size", [0.0, 1e-30, 1.0, 1e4, 1e30])
def test_scores_to_residuals_of_the_squared_hinge(dtype, n, size):
    rng = np.random.default_rng(n)
    Z = (size * rng.standard_normal((n, 1))).astype(dtype).astype(float)
    Z[::5] = np.sign(Z[::5])  # on the margin, or at zero
    y, s = rng.integers(0, 2, n), (rng.uniform(0, 2, n) * (rng.random(n) < 0.8)).astype(dtype).astype(float)
    loss, R, mass = identity_pass(Z, y, s, dtype, kind=1)
    # 1 - t z is rounded once, and so are two products; the square of the lack in float64.
    eps = 4 * float(np.finfo(dtype).eps)
    np.testing.assert_allclose(R, reference.hinge_residuals(Z, y, s), rtol=eps, atol=0)
    assert loss == pytest.approx(reference.hinge_loss(Z, y, s), rel=eps, abs=0)
    assert mass[0] == pytest.approx(R.sum(), rel=1e-12, abs=1e-12 * np.abs(R).sum())


@pytest.mark.parametrize("bad, expected", [(np.nan, np.nan), (np.inf, np.inf), (-np.inf, 0.0)])
def test_scores_that_are_not_finite_show_in_the_squared_hinge(bad, expected):
    for n in (1, 20):
        y, s, W = np.zeros(n, np.int32), np.ones(n), np.array([bad])
        loss = passes.loss_gradient(
            source.Rows(np.ones((n, 1))), y, s, W, np.zeros(1), np.zeros(1), np.zeros(1), 0, n, 1, 1
        )
        np.testing.assert_equal(loss, expected)


@pytest.mark.parametrize("K", [1, 2, 3, 10])
@pytest.mark.parametrize("size", [0.0, 1.0, 100.0, 740.0, 1e4])
@pytest.mark.parametrize("mix", [0.0, 1e-300, 0.5, 1.0])
def test_entropy_of_sure_and_unsure_rows(K, size, mix):
    """Probabilities from one half down to denormal numbers and zero: q log q has no bad place."""
    rng = np.random.default_rng(K)
    n, n_classes = 41, max(K, 2)
    Z = size * rng.standard_normal((n, K))
    y, s = rng.integers(0, n_classes, n), rng.uniform(0, 2, n) * (rng.random(n) < 0.8)
    shrink, receive = np.ones(n_classes), np.zeros(n_classes)
    shrink[0], receive[1] = 0.0, 1.0
    for moves in ((np.ones(n_classes), np.zeros(n_classes)), (shrink, receive)):
        found = passes.dual_entropy(
            source.Rows(np.eye(n)), y.astype(np.int32), s, np.ravel(Z.T), np.zeros(K), *moves, mix,
            0, n, 1,
        )  # fmt: skip
        expected = reference.mixed_entropy(Z, y, s, *moves, mix)
        assert found == pytest.approx(expected, rel=1e-13, abs=1e-13 * s.sum())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("K", [1, 2, 3, 10])
def test_weight_of_correct_rows(dtype, K):
    """Small whole scores, so that many are equal: the first of the highest counts."""
    rng = np.random.default_rng(K)
    for n in [*range(1, 36), 63, 64, 65, 127, 129]:
        Z = rng.integers(-2, 3, (n, K)).astype(dtype)
        y, s = rng.integers(0, max(K, 2), n), rng.integers(0, 4, n)
        assert correct_weight(Z, y, s) == reference.correct(Z, y, s), n


def correct_weight(Z, y, s):
    n, K = Z.shape
    rows, s = source.Rows(np.eye(n, dtype=Z.dtype)), np.asarray(s, np.float64)
    return passes.evaluate(rows, np.asarray(y, np.int32), s, np.ravel(Z.T), np.zeros(K, Z.dtype), 0, n, 1)[1]


@pytest.mark.parametrize(
    "row, found", [([np.nan], 0), ([np.nan] * 3, 0), ([1, np.nan, 2], 2), ([np.nan, 1, 2], 0)]
)
def test_a_score_that_is_not_a_number_is_never_the_higher_one(row, found):
    # One row at a time: a weight that is not a number would spoil the others, too.
    Z = np.array([row])
    assert [correct_weight(Z, [label], [1]) for label in range(3)] == [label == found for label in range(3)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("K", [1, 3])
def test_sums_of_residuals(dtype, K):
    """By the step of the intercepts."""
    rng, no_strength = np.random.default_rng(K), np.zeros(1, dtype)
    for n in [*range(1, 36), 63, 64, 65, 127]:
        y, s, order = rng.integers(0, max(K, 2), n).astype(np.int32), rng.uniform(0, 2, n), np.arange(n)
        W, b = np.zeros((K, 1), dtype), rng.standard_normal(K).astype(dtype)
        velocities = np.zeros_like(W), np.zeros_like(b)
        expected = b - reference.residuals(np.tile(np.float64(b), (n, 1)), y, s).sum(axis=0) / n
        sgd.sgd_steps(
            source.Rows(np.zeros((n, 1), dtype)), y, s, order, n, np.ones(1), 0.0, True, W, b, *velocities,
            no_strength, np.ones(1, dtype), no_strength, no_strength, np.zeros((3 + K, 1), dtype), 1,
        )  # fmt: skip
        np.testing.assert_allclose(b, expected, rtol=0, atol=20 * np.finfo(dtype).eps, err_msg=f"n = {n}")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_denormal_features_are_not_flushed(dtype):
    p = problem(case(n=20, d=17).values[0])
    tiny = np.finfo(dtype).smallest_subnormal
    X = (1000 * tiny * np.arange(1, 341).reshape(20, 17)).astype(dtype)
    p.real, p.rows, p.X = dtype, source.Rows(X), X.astype(np.float64)
    p.W, p.b = p.W.astype(dtype), p.b.astype(dtype)
    _, G, _ = loss_gradient(p)
    R = reference.residuals(np.tile(p.b.astype(float), (20, 1)), p.y, p.s)
    # In units of the smallest number; each of the twenty products is rounded to a multiple of it.
    expected = R.T @ (1000.0 * np.arange(1, 341).reshape(20, 17))
    rtol = 16 * np.finfo(dtype).eps
    # NumPy 1.26 warns of an overflow where it divides by such numbers.
    units = np.ldexp(G.astype(float), -int(np.log2(tiny)))
    np.testing.assert_allclose(units, expected, rtol=rtol, atol=rtol * 1e6 + 20)


# ---- steps ----------------------------------------------------------------------------------------


def step_error(p, steps):
    """Steps this short do not expand errors; each rounds weights of order one a few times."""
    return 4 * steps * np.finfo(p.real).eps


# From 768 features on, dense steps are shared out by slices of features.
WIDE = [
    *(case(n=60, d=800, stored=real, real=real) for real in ("f4", "f8")),
    case(n=60, d=1700, stored="u1", real="f4"),
    case(n=60, d=1700, layout="F"),
    case(n=60, d=1537, K=1),
]
step_cases = pytest.mark.parametrize("values", [*CASES, *WIDE])
either_intercept = pytest.mark.parametrize("fit_intercept", [True, False])


def sgd_case(p):
    """Strong enough to move, weak enough not to expand errors."""
    p.scale = max(1, np.abs(p.X).max())
    p.order = p.rng.permutation(np.repeat(np.arange(p.n), 2))[:400]
    p.size = 1 if p.n < 3 else 7 if p.n < 200 else 150  # rows beyond 128 go through in pieces
    p.eta = 0.3 / (1 + np.arange(-(-len(p.order) // p.size)))
    p.metric = (p.rng.uniform(0.5, 1, p.d) / (np.sqrt(p.d) * p.scale**2)).astype(p.real)
    p.l1, p.l2 = p.real(0.02 * p.scale), p.real(0.1)
    p.momentum = 0.0 if p.lagged else 0.5
    p.shift = np.zeros(p.d, p.real) if p.lagged else p.X.mean(axis=0).astype(p.real)


def run_sgd(p, fit_intercept, n_threads=1):
    W, b = own(p, p.W, p.real), p.b.copy()
    common = p.rows, p.y, p.s, p.order, p.size, p.eta
    if p.lagged:
        metric = np.float64(p.metric)
        scratch = np.zeros_like(W)
        lagged.sgd_steps(*common, p.l2, fit_intercept, W, b, metric, metric * p.l1, scratch)
    else:
        velocities = np.zeros_like(W), np.zeros_like(b)
        strengths = (np.full(p.d, strength, p.real) for strength in (p.l1, p.l2))
        scratch = np.zeros((3 + p.K, p.d), p.real)
        sgd.sgd_steps(
            *common, p.momentum, fit_intercept, W, b, *velocities, p.shift, p.metric, *strengths,
            scratch, n_threads,
        )  # fmt: skip
    return back(p, W), b


@either_intercept
@step_cases
def test_sgd_steps(values, fit_intercept):
    p = problem(values)
    sgd_case(p)
    metric = np.float64(p.metric)
    # For CSR rows the L2 strength is not measured in the metric.
    strengths = np.float64(p.l1), np.float64(p.l2) / (metric if p.lagged else 1)
    twin_W, twin_b = reference.sgd_steps(
        p.X, p.y, p.s, p.order, p.size, p.eta, p.momentum, fit_intercept, *p.model,
        np.float64(p.shift), metric, *strengths,
    )  # fmt: skip
    assert np.abs(twin_W - p.model[0]).max() > 1e-3 / p.scale
    error = step_error(p, len(p.eta))
    W, b = run_sgd(p, fit_intercept)
    np.testing.assert_allclose(W, twin_W, rtol=0, atol=error / p.scale)
    np.testing.assert_allclose(b, twin_b, rtol=0, atol=error)


def saga_case(p):
    p.scale, p.total = max(1, np.abs(p.X).max()), p.s.sum() + 1
    p.order, p.size = p.rng.permutation(p.n), max(1, min(16, p.n // 3))
    p.blocks = np.split(p.order, np.arange(p.size, p.n, p.size))
    p.epochs = [p.rng.permutation(len(p.blocks)) for _ in range(4)]
    step = p.rng.uniform(0.5, 1, p.d) / (4 * np.sqrt(p.d) * p.scale**2 * p.total)
    cut, keep = 0.02 * p.scale * p.total * step, 1 / (1 + 0.1 * p.total * step)
    p.factors = [values.astype(p.real) for values in (step, cut, keep)]
    p.step_b = 0.5 / p.total
    p.shift = np.zeros(p.d, p.real) if p.lagged else p.X.mean(axis=0).astype(p.real)
    p.share = np.full(p.K, 1 / p.n_classes)
    p.table = reference.constant_residuals(p.y, p.s, p.share)


def block_by_block(p, table):
    """Residuals (n, K) as the kernels store them: one block after the other, K x B each."""
    return np.concatenate([table[block].T.ravel() for block in p.blocks])


def run_saga(p, fit_intercept, n_threads=1):
    W, b = own(p, p.W, p.real), p.b.copy()
    average, average_b = own(p, p.table.T @ p.X, p.real), p.table.sum(axis=0)
    stored = np.zeros(p.K * p.n, p.real)
    saga.constant_residuals(p.y, p.s, p.order, p.size, p.share, stored)
    for draws in p.epochs:
        common = p.rows, p.y, p.s, p.order, p.size, draws, p.step_b, fit_intercept
        state = W, b, average, average_b, stored
        scratch = np.zeros_like(W)
        if p.lagged:
            lagged.saga_steps(*common, *state, *map(np.float64, p.factors), scratch)
        else:
            saga.saga_steps(*common, *state, p.shift, *p.factors, scratch, n_threads)
    return back(p, W), b, stored, back(p, average), average_b


@step_cases
def test_constant_residuals(values):
    p = problem(values)
    saga_case(p)
    share = p.rng.random(p.K)
    stored = np.full(p.K * p.n, np.nan, p.real)
    saga.constant_residuals(p.y, p.s, p.order, p.size, share, stored)
    expected = block_by_block(p, reference.constant_residuals(p.y, p.s, share))
    np.testing.assert_allclose(stored, expected, rtol=np.finfo(p.real).eps)


@either_intercept
@step_cases
def test_saga_steps(values, fit_intercept):
    p = problem(values)
    saga_case(p)
    twin_W, twin_b, table, twin_average, twin_average_b = reference.saga_steps(
        p.X, p.y, p.s, p.blocks, np.concatenate(p.epochs), p.step_b, fit_intercept, *p.model,
        p.table, np.float64(p.shift), *map(np.float64, p.factors),
    )  # fmt: skip
    assert np.abs(twin_W - p.model[0]).max() > 1e-3 / p.scale
    error = step_error(p, 4 * len(p.blocks))
    W, b, stored, average, average_b = run_saga(p, fit_intercept)
    np.testing.assert_allclose(W, twin_W, rtol=0, atol=error / p.scale)
    np.testing.assert_allclose(b, twin_b, rtol=0, atol=error)
    np.testing.assert_allclose(stored, block_by_block(p, table), rtol=0, atol=2 * error)
    np.testing.assert_allclose(average, twin_average, rtol=0, atol=error * p.scale * p.total)
    np.testing.assert_allclose(average_b, twin_average_b, rtol=0, atol=error * p.total)


@pytest.mark.parametrize("values", WIDE)
def test_steps_give_the_same_bits_for_any_number_of_threads(values):
    p = problem(values)
    for prepare, run in ((sgd_case, run_sgd), (saga_case, run_saga)):
        prepare(p)
        first = [part.tobytes() for part in run(p, True)]
        for n_threads in (1, 2, 3, 8):
            for _ in range(3):
                assert [part.tobytes() for part in run(p, True, n_threads)] == first


@pytest.mark.parametrize("ratio", [1, 1 - 1e-15, 1 - 1e-12, 1 - 1e-9, 1 - 1e-6, 0.999, 0.5])
@pytest.mark.parametrize("cut", [0.0, 0.01, 0.3])
@pytest.mark.parametrize("steps", [0, 1, 2, 10, 1000])
def test_catch_up_weight(ratio, cut, steps):
    signs = itertools.product((1, -1), repeat=2)
    starts = (0.0, 0.02, 0.3, 1.0, 250.0), (0.0, 1e-6, 0.01, 0.3, 0.5, 2.0)
    for (sign_w, sign_a), w, a in itertools.product(signs, *starts):
        w, a = sign_w * w, sign_a * a
        found = lagged.catch_up_weight(w, a, cut, ratio, steps)
        explicit = reference.catch_up_weight(w, a, cut, ratio, steps)
        # A thousand explicit steps round a thousand times.
        moved = abs(explicit - w) + abs(a) + cut
        assert abs(found - explicit) <= 1e-10 * moved + 1e-12 * abs(w), (w, a)


# ---- dual coordinate ascent -------------------------------------------------------------------------


def ascent(p):
    """Probabilities of all classes, some all but certain, and a metric that suits the size of X."""
    m = p.n_classes
    p.shift = np.zeros(p.d) if p.lagged else p.X.mean(axis=0)
    p.h = p.rng.uniform(0.5, 2, p.d) / (max(1, np.abs(p.X).max()) ** 2 * p.d)
    p.shift, p.h = p.shift.astype(p.real), p.h.astype(p.real)
    sure = np.eye(m)[p.y] * (1 - 1e-6) + 1e-6 / m
    p.L = np.log(np.where(p.rng.random((p.n, 1)) < 0.5, sure, p.rng.dirichlet(np.ones(m), p.n)))
    p.L = np.maximum(p.L, sdca.LOWEST).astype(p.real)
    p.h_b, p.excess, p.moved = 0.3, p.rng.standard_normal(p.K), np.zeros(p.n, p.real)


def ascend(p, order):
    """(log q, W, b, excess) after these visits."""
    L, W, b, excess = p.L.copy(), own(p, p.W, p.real), p.b.copy(), p.excess.copy()
    order = np.asarray(order)
    sdca.ascend(p.rows, p.s, order, p.shift, p.h, p.h_b, L, np.ravel(W), b, excess, p.moved)
    return L, back(p, W), b, excess


@every_case
def test_dual_ascent(values):
    """Rows visited several times in a row are at the maximum, which the twin finds at once."""
    p = problem(values)
    ascent(p)
    order = p.rng.permutation(p.n)[:8]
    L, W, b, excess = ascend(p, np.repeat(order, 4))
    shift, h, Q = p.shift.astype(np.float64), p.h.astype(np.float64), np.exp(p.L, dtype=np.float64)
    Q /= Q.sum(axis=1, keepdims=True)
    expected, expected_W, expected_b = reference.sdca_steps(p.X, p.s, order, shift, h, p.h_b, Q, *p.model)
    # Errors of the scores reach p unchanged at most, and go on from row to row through W.
    error = 10 * (p.score_error.max() + 100 * np.finfo(p.real).eps)
    np.testing.assert_allclose(np.exp(L[order]), expected[order], rtol=0, atol=error)
    others = np.setdiff1d(np.arange(p.n), order)
    np.testing.assert_array_equal(L[others], p.L[others])
    np.testing.assert_allclose(b, expected_b, rtol=0, atol=10 * p.h_b * error * p.s.max())
    x = np.abs(p.X - shift).max(axis=0)
    assert np.all(np.abs(W - expected_W) <= 10 * error * (p.s.max() * h * x + np.abs(p.W).max()))
    change = (p.s[:, None] * (Q - expected)).sum(axis=0)[-p.K :]
    np.testing.assert_allclose(excess, p.excess + change, rtol=0, atol=10 * error * p.s.max())


@pytest.mark.parametrize("K", [1, 3, 20])
@pytest.mark.parametrize("scale", [0.1, 10.0, 1000.0])
@pytest.mark.parametrize("s", [1e-6, 1.0, 1e3, 1e6])
@pytest.mark.parametrize("real", ["f4", "f8"])
def test_dual_ascent_of_one_visit(K, scale, s, real):
    """However far scores and probabilities are apart, one visit comes close to the maximum."""
    p = problem({"n": 40, "d": 5, "K": K, "stored": real, "real": real, "layout": "C"})
    ascent(p)
    p.s[:], p.h_b = s, 0.0
    p.W = (scale * p.rng.standard_normal(p.W.shape)).astype(p.real)
    p.L[:20] = np.maximum(np.log(np.eye(p.n_classes)[p.y[:20]] + 1e-300), sdca.LOWEST)
    for i in range(p.n):
        L = ascend(p, [i])[0]
        x, h, q = p.X[i] - p.shift, p.h.astype(np.float64), np.exp(p.L[i], dtype=np.float64)
        a, z = s * (h @ x**2), p.W.astype(np.float64) @ x + p.b
        expected = reference.dual_maximum(z, q / q.sum(), a)
        # Scores and a q are rounded; then Newton's last step was below 0.001.
        rounding = np.finfo(p.real).eps * (np.abs(p.W).max() * np.abs(x).sum() + a) / (1 + a)
        np.testing.assert_allclose(np.exp(L[i]), expected, rtol=0, atol=1e-3 + 100 * rounding)
        assert np.exp(L[i], dtype=np.float64).sum() == pytest.approx(1, abs=100 * float(np.finfo(p.real).eps))
        assert p.moved[i] == pytest.approx(s * np.abs(np.exp(L[i]) - q).max(), rel=1e-3, abs=1e-4 * s)


@every_case
def test_rows_added_up(values):
    p = problem(values)
    ascent(p)
    A, W = p.rng.standard_normal((p.n, p.K)).astype(p.real), own(p, p.W, p.real)
    order = p.rng.permutation(p.n)[: p.n // 2 + 1]
    sdca.add_rows(p.rows, order, A, p.shift, p.h, np.ravel(W))
    X = (p.X[order] - p.shift) * p.h
    expected = p.W + reference.gradient(X, A[order])
    size = np.abs(p.W) + np.abs(A[order]).T @ (np.abs(X) + np.abs(p.shift) * p.h)
    assert np.all(np.abs(back(p, W) - expected) <= (p.n + 16) * np.finfo(p.real).eps * size)
