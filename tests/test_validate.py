"""Features to predict from: the short way and scikit-learn's checks agree."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone

from fastlr import LinearSVC, LogisticRegression, MLPClassifier, SGDClassifier, validate

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((60, 5)), np.arange(60) % 3
GOOD = {
    "float64": X,
    "float32": X.astype(np.float32),
    "uint8": (50 * X + 100).clip(0, 255).astype(np.uint8),
    "one row": X[:1],
    "Fortran": np.asfortranarray(X),
    "gaps": np.repeat(X, 2, axis=1)[:, ::2],
    "backwards": X[::-1, ::-1],
    "read-only": np.broadcast_to(X[0], (4, 5)),
    "big-endian": X.astype(">f8"),
    "int": (10 * X).astype(int),
    "bool": X > 0,
    "list": X.tolist(),
    "subclass": np.ma.masked_array(X),
    "sum beyond float64": np.full((10, 5), 5e306),
    "unaligned": np.frombuffer(b"0" + X.tobytes(), dtype=np.uint8)[1:].view(np.float64).reshape(X.shape),
}
BAD = {
    "NaN": np.where(np.arange(300).reshape(60, 5) == 7, np.nan, X),
    "infinity": np.where(np.arange(300).reshape(60, 5) == 7, np.inf, X),
    "both infinities": np.where(np.arange(300).reshape(60, 5) < 2, [np.inf, -np.inf, 0, 0, 0], X),
    "four features": X[:, :4],
    "no rows": X[:0],
    "one dimension": X[0],
    "three dimensions": X[None],
    "complex": X + 1j,
    "text": X.astype(str)[:, :1],
}
MODELS = [LogisticRegression(tol=0.1), LinearSVC(tol=0.1), SGDClassifier(tol=None, max_iter=3)]
MODELS.append(MLPClassifier(3, tol=None, max_iter=3, random_state=0))


@pytest.fixture(params=MODELS, ids=lambda model: type(model).__name__)
def model(request):
    return clone(request.param).fit(X, Y)


@pytest.fixture
def the_long_way(monkeypatch):
    """Calls a function without the short way."""

    def call(function, *arguments):
        with monkeypatch.context() as patch:
            patch.setattr(validate, "_passes_as_it_is", lambda estimator, X: False)
            return function(*arguments)

    return call


@pytest.mark.parametrize("name", GOOD)
def test_the_short_way_changes_no_prediction(model, name, the_long_way):
    right = the_long_way(model.predict, GOOD[name])
    np.testing.assert_array_equal(model.predict(GOOD[name]), right)


@pytest.mark.parametrize("name", BAD)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # scikit-learn's sum of both infinities
def test_both_refuse_alike(model, name, the_long_way):
    with pytest.raises((ValueError, TypeError)) as right:
        the_long_way(model.predict, BAD[name])
    with pytest.raises(type(right.value)) as found:
        model.predict(BAD[name])
    assert str(found.value) == str(right.value)


def test_names_are_asked_for_as_ever():
    pandas = pytest.importorskip("pandas")
    model = LogisticRegression(tol=0.1).fit(pandas.DataFrame(X, columns=list("abcde")), Y)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(X)


@pytest.mark.parametrize("classes", [2, 3])
def test_probabilities_of_any_scores(classes):
    """Scores whose exponentials overflow or vanish, and the caller's arrays as they were."""
    model = LogisticRegression(tol=0.1).fit(X, Y % classes)
    model.coef_ = 1e3 * model.coef_
    kept = X.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        p, log_p = model.predict_proba(X), model.predict_log_proba(X)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(np.log(p[p > 1e-300]), log_p[p > 1e-300], rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(X, kept)


@pytest.mark.parametrize("n", [1, 50])
def test_bytes_are_scored_in_float32(n):
    rng = np.random.default_rng(0)
    X, y = rng.integers(256, size=(60, 40), dtype=np.uint8), np.arange(60) % 3
    clf = LogisticRegression(scaling="standard", C=10.0).fit(X, y)
    found, exact = clf.decision_function(X[:n]), X[:n].astype(np.float64) @ clf.coef_.T + clf.intercept_
    assert found.dtype == clf.predict_proba(X[:n]).dtype == np.float64
    size = X[:n] @ np.abs(clf.coef_).T + np.abs(clf.intercept_)
    assert np.all(np.abs(found - exact) <= 8 * np.finfo(np.float32).eps * size)
    assert np.any(found != exact)
