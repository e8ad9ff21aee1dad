"""Bad input: every case is refused in one clear sentence or handled as its row says, and no model is lost.

Shapes: n = 24 samples, d = 4 features, K = 3 classes. The numbers of X are small and whole, so that every
type holds them.
"""

import copy
import gc
import sys

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.exceptions import DataConversionWarning

from fastlr import (
    EarlyStopping,
    LinearSVC,
    LinearSVCCV,
    LogisticRegression,
    LogisticRegressionCV,
    MLPClassifier,
    SGDClassifier,
    logistic_path,
)
from fastlr.metrics import confusion_matrix, mistakes, most_confused

RNG = np.random.default_rng(0)
Y = np.arange(24) % 3
X = RNG.integers(0, 10, (24, 4)).astype(np.float64)
X[:, 0] += 2 * Y
REFERENCE = X
WEIGHT = 1.0 + np.arange(24) % 2

MODELS = {
    "LogisticRegression": LogisticRegression(tol=1e-9),
    "LogisticRegressionCV": LogisticRegressionCV(Cs=[0.01, 1.0], cv=2, tol=1e-9),
    "LinearSVC": LinearSVC(tol=1e-9),
    "LinearSVCCV": LinearSVCCV(Cs=[0.01, 1.0], cv=2, tol=1e-9),
    "SGDClassifier": SGDClassifier(eta0=0.01, max_iter=3, tol=None, random_state=0),
    "MLPClassifier": MLPClassifier(3, max_iter=3, tol=None, random_state=0, dtype="float64"),
}
STOCHASTIC = ("SGDClassifier", "MLPClassifier")
FITTED = {name: copy.deepcopy(model).fit(X, Y) for name, model in MODELS.items()}
PREDICTIONS = ("predict", "predict_proba", "predict_log_proba", "decision_function")


@pytest.fixture(params=MODELS)
def name(request):
    return request.param


@pytest.fixture
def fitted(name):
    return copy.deepcopy(FITTED[name])


def predictions(model, X):
    """What all methods say of X."""
    return {method: getattr(model, method)(X) for method in PREDICTIONS if hasattr(model, method)}


def assert_same_predictions(model, right, X=X, rtol=1e-6, but=""):
    found, wanted = predictions(model, X), predictions(right, REFERENCE)
    for method in wanted.keys() - {but}:
        values = wanted[method]
        if method == "predict":
            np.testing.assert_array_equal(found[method], values)
        else:
            np.testing.assert_allclose(found[method], values, rtol=rtol, atol=rtol, err_msg=method)


def assert_refused(call, model, match):
    """The call raises an error that matches, and leaves every attribute as it was."""
    before = copy.deepcopy(vars(model))
    with pytest.raises((ValueError, TypeError), match=match):
        call(model)
    after = vars(model)
    assert after.keys() == before.keys()
    for attribute in before:
        if attribute.endswith("_"):  # parameters were set by the test
            assert type(after[attribute]) is type(before[attribute])
            np.testing.assert_equal(after[attribute], before[attribute], err_msg=attribute)


# ---- X in other forms ----------------------------------------------------------------------------------


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def unaligned(array):
    return np.frombuffer(b"0" + array.tobytes(), dtype=np.uint8)[1:].view(array.dtype).reshape(array.shape)


def field(array):
    """A column of records, which lies between others."""
    records = np.zeros(array.shape, dtype=[("skip", np.uint8), ("x", np.float64)])
    records["x"] = array
    return records["x"]


class Subclass(np.ndarray):
    pass


DENSE = {
    "float32": lambda X: X.astype(np.float32),
    "float16": lambda X: X.astype(np.float16),
    "longdouble": lambda X: X.astype(np.longdouble),
    "uint8": lambda X: X.astype(np.uint8),
    "int8": lambda X: X.astype(np.int8),
    "uint64": lambda X: X.astype(np.uint64),
    "big-endian": lambda X: X.astype(">f8"),
    "big-endian integers": lambda X: X.astype(">i4"),
    "read-only": read_only,
    "Fortran": np.asfortranarray,
    "every other column": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "every other row": lambda X: np.repeat(X, 2, axis=0)[::2],
    "negative strides": lambda X: X[::-1, ::-1].copy()[::-1, ::-1],
    "unaligned": unaligned,
    "field of records": field,
    "masked array without a mask": np.ma.masked_array,
    "subclass": lambda X: X.view(Subclass),
    "objects": lambda X: X.astype(object),
    "numbers as text": lambda X: X.astype(str),
    "list": lambda X: X.tolist(),
    "list of arrays": list,
}  # fmt: skip


def csr(X, **parts):
    """X as CSR, with some of data, indices and indptr changed by functions."""
    made = sp.csr_matrix(X)
    for part, change in parts.items():
        setattr(made, part, change(getattr(made, part)))
    return made


def unsorted(X):
    made = sp.csr_matrix(X)
    for first, last in zip(made.indptr, made.indptr[1:], strict=False):
        made.indices[first:last] = made.indices[first:last][::-1]
        made.data[first:last] = made.data[first:last][::-1]
    return sp.csr_matrix((made.data, made.indices, made.indptr), shape=X.shape)


def twofold(X):
    made = sp.csr_matrix(X)
    return sp.csr_matrix((np.repeat(made.data / 2, 2), np.repeat(made.indices, 2), 2 * made.indptr), X.shape)


def twofold_in_secret(X):
    """Duplicates that the flags deny: they were set before the indices changed."""
    made = sp.csr_matrix(np.hstack([X, X]) / 2)
    assert made.has_canonical_format
    narrow = sp.csr_matrix((made.data, made.indices % X.shape[1], made.indptr), shape=X.shape)
    narrow.has_canonical_format = True
    return narrow


def with_zeros(X):
    made = sp.csr_matrix(X + 1)
    made.data -= 1
    return made


def wide(array):
    return array.astype(np.int64)


def backwards(array):
    return array[::-1].copy()[::-1]


def with_tail(array):
    return np.concatenate([array, np.full(9, 10**6, dtype=array.dtype)])


def spread(array):
    return np.repeat(array, 2)[::2]


SPARSE = {
    "CSR": sp.csr_matrix,
    "CSR array": sp.csr_array,
    "CSR float32": lambda X: sp.csr_matrix(X.astype(np.float32)),
    "CSR uint8": lambda X: sp.csr_matrix(X.astype(np.uint8)),
    "CSR integers": lambda X: sp.csr_matrix(X.astype(int)),
    "CSR longdouble": lambda X: sp.csr_matrix(X.astype(np.longdouble)),
    "CSC": sp.csc_matrix,
    "CSC array": sp.csc_array,
    "COO": sp.coo_matrix,
    "COO array": sp.coo_array,
    "LIL": sp.lil_matrix,
    "DOK": sp.dok_matrix,
    "BSR": lambda X: sp.csr_matrix(X).tobsr((2, 2)),
    "DIA": sp.dia_matrix,
    "unsorted indices": unsorted,
    "duplicate indices": twofold,
    "duplicates that flags deny": twofold_in_secret,
    "explicit zeros": with_zeros,
    "int64 indices": lambda X: csr(X, indices=wide, indptr=wide),
    "data with gaps": lambda X: csr(X, data=spread),
    "indices with gaps": lambda X: csr(X, indices=spread),
    "backwards": lambda X: csr(X, data=backwards, indices=backwards),
    "big-endian data": lambda X: csr(X, data=lambda a: a.astype(">f8")),
    "big-endian indices": lambda X: csr(X, indices=lambda a: a.astype(">i4")),
    "read-only": lambda X: csr(X, data=read_only, indices=read_only, indptr=read_only),
    "more data than rows use": lambda X: csr(X, data=with_tail, indices=with_tail),
}  # fmt: skip


@pytest.mark.parametrize("form", DENSE)
def test_dense_forms(name, fitted, form):
    """Fits, and predicts, as from a contiguous copy in float64."""
    given = DENSE[form](X)
    keeps = copy.deepcopy(given)
    assert_same_predictions(fitted, FITTED[name], given)
    rtol = 2e-5 if form in ("float32", "uint8") and name in STOCHASTIC else 1e-6
    assert_same_predictions(fitted.fit(given, Y), FITTED[name], rtol=rtol)
    np.testing.assert_equal(given, keeps)
    assert fitted.score(given, Y) == FITTED[name].score(X, Y)
    if name in STOCHASTIC:
        assert_same_predictions(
            fitted.partial_fit(given, Y), copy.deepcopy(FITTED[name]).partial_fit(X, Y), rtol=rtol
        )


@pytest.mark.parametrize("form", SPARSE)
def test_sparse_forms(name, fitted, form):
    """Fits as from CSR in float64, which comes to what dense X does, and predicts as from dense X."""
    given = SPARSE[form](X)
    if name == "MLPClassifier":
        assert_refused(lambda m: m.fit(given, Y), fitted, "dense")
        return
    keeps = copy.deepcopy(given)
    assert_same_predictions(fitted, FITTED[name], given)
    right = clone(MODELS[name]).fit(sp.csr_matrix(X), Y)
    # Scores of the softmax may all differ by one number.
    assert_same_predictions(right, FITTED[name], rtol=1e-3, but="" if "SVC" in name else "decision_function")
    rtol = 2e-5 if form in ("CSR float32", "CSR uint8") else 1e-6
    assert_same_predictions(fitted.fit(given, Y), right, rtol=rtol)
    for part in {"data", "indices", "indptr"} & set(vars(given)):
        np.testing.assert_array_equal(getattr(given, part), getattr(keeps, part))
    assert fitted.score(given, Y) == right.score(X, Y)
    if name in STOCHASTIC:
        assert_same_predictions(
            fitted.partial_fit(given, Y), right.partial_fit(sp.csr_matrix(X), Y), rtol=rtol
        )


# ---- X that is refused ---------------------------------------------------------------------------------


def changed(value, array=X):
    array = np.array(array, dtype=np.result_type(array, type(value)))
    array[3, 1] = value
    return array


def put(place, value):
    """A function that changes one entry of an array."""

    def change(array):
        array = array.copy()
        array[place] = value
        return array

    return change


def lil(part, change):
    made = sp.lil_matrix(X)
    rows = getattr(made, part)
    rows[3] = change(rows[3])
    return made


def part(made, **parts):
    for name, value in parts.items():
        setattr(made, name, value(getattr(made, name)))
    return made


BAD_X = {
    "NaN": (lambda: changed(np.nan), "X contains NaN"),
    "infinity": (lambda: changed(np.inf), "X contains infinity"),
    "both infinities": (lambda: np.where(X > 8, np.inf, -np.inf), "X contains infinity"),
    "NaN in float32": (lambda: changed(np.nan).astype(np.float32), "X contains NaN"),
    "NaN in CSR": (lambda: sp.csr_matrix(changed(np.nan)), "X contains NaN"),
    "None among numbers": (lambda: np.where(X == 3, None, X), "X contains NaN"),
    "no rows": (lambda: X[:0], "0 sample"),
    "no rows in CSR": (lambda: sp.csr_matrix((0, 4)), "0 sample"),
    "no columns": (lambda: X[:, :0], "0 feature"),
    "no columns in CSR": (lambda: sp.csr_matrix((24, 0)), "0 feature"),
    "empty list": (lambda: [], "2D array"),
    "one dimension": (lambda: X[:, 0], "2D array"),
    "three dimensions": (lambda: X[None], "dim 3"),
    "a number": (lambda: 3.0, "2D array"),
    "nothing": (lambda: None, "2D array"),
    "ragged": (lambda: [[1.0, 2.0], [3.0]] * 12, "X must hold numbers, in rows of one length"),
    "text": (lambda: np.full((24, 4), "a"), "X must hold numbers.*'a'"),
    "text among objects": (lambda: np.where(X == 3, "a", X.astype(object)), "X must hold numbers.*'a'"),
    "a word": (lambda: "abc", "X must hold numbers"),
    "a dict": (lambda: {"a": 1}, "X must hold numbers.*dict"),
    "a set": (lambda: {1, 2}, "X must hold numbers.*set"),
    "a generator": (lambda: (row for row in X), "X must hold numbers.*generator"),
    "objects of no kind": (lambda: np.full((24, 4), object()), "X must hold numbers"),
    "records": (lambda: np.zeros(24, dtype="f8,f8"), "X must hold numbers"),
    "raw bytes": (lambda: np.zeros((24, 4), dtype="V8"), "X must hold numbers"),
    "dates": (lambda: X.astype(int).astype("M8[s]"), "X must hold numbers; found datetime64"),
    "durations": (lambda: X.astype(int).astype("m8[s]"), "X must hold numbers; found timedelta64"),
    "complex": (lambda: X + 1j, "Complex data not supported: X must hold real numbers; found complex128"),
    "complex in CSR": (lambda: sp.csr_matrix(X + 1j), "Complex data not supported: X"),
    "np.matrix": (lambda: np.asmatrix(X), "np.matrix is not supported"),
    "masked values": (lambda: np.ma.masked_equal(X, 3), "X must have no masked values; found"),
    "integers beyond floats": (lambda: np.full((24, 4), 10**400), "X must hold numbers.*too large"),
    "longdouble beyond floats": (lambda: np.full((24, 4), np.longdouble("1e4000")), "X contains infinity"),
    "infinite sums": (lambda: part(twofold(X), data=lambda a: 0 * a + 1.7e308), "X must .* finite"),
    "index beyond the columns": (lambda: csr(X, indices=put(5, 4)), "corrupt csr"),
    "index far beyond": (lambda: csr(X, indices=put(5, 2**31 - 1)), "corrupt csr"),
    "negative index": (lambda: csr(X, indices=put(5, -1)), "corrupt csr"),
    "very negative index": (lambda: csr(X, indices=put(5, -(2**31))), "corrupt csr"),
    "index that wraps around": (lambda: csr(X, indices=lambda a: put(5, 2**32)(wide(a))), "corrupt csr"),
    "fractions for indices": (lambda: csr(X, indices=lambda a: a + 0.5), "corrupt csr"),
    "indices in two dimensions": (lambda: csr(X, indices=lambda a: a[None]), "corrupt csr"),
    "too few indices": (lambda: csr(X, indices=lambda a: a[:9]), "corrupt csr"),
    "too few values": (lambda: csr(X, data=lambda a: a[:9]), "corrupt csr"),
    "indptr that goes back": (lambda: csr(X, indptr=put(5, 80)), "corrupt csr"),
    "indptr below zero": (lambda: csr(X, indptr=put(3, -(2**30))), "corrupt csr"),
    "indptr beyond the end": (lambda: csr(X, indptr=put(24, 2**30)), "corrupt csr"),
    "indptr that skips values": (lambda: csr(X, indptr=put(0, 2)), "corrupt csr"),
    "indptr of too few rows": (lambda: csr(X, indptr=lambda a: a[:9]), "corrupt csr"),
    "indptr of too many rows": (lambda: csr(X, indptr=lambda a: np.r_[a, a[-1]]), "corrupt csr"),
    "indptr of fractions": (lambda: csr(X, indptr=lambda a: a + 0.5), "corrupt csr"),
    "corrupt CSC": (lambda: part(sp.csc_matrix(X), indices=put(5, 2**30)), "corrupt csc"),
    "corrupt CSC columns": (lambda: part(sp.csc_matrix(X), indptr=put(2, 2**30)), "corrupt csc"),
    "corrupt BSR": (lambda: part(sp.csr_matrix(X).tobsr((2, 2)), indices=put(2, 2**30)), "corrupt bsr"),
    "corrupt COO": (lambda: part(sp.coo_matrix(X), row=put(2, 2**30)), "corrupt coo"),
    "corrupt COO columns": (lambda: part(sp.coo_matrix(X), col=put(2, -(2**30))), "corrupt coo"),
    "corrupt LIL": (lambda: lil("rows", lambda row: [2**30, *row[1:]]), "corrupt"),
    "LIL of two lengths": (lambda: lil("data", lambda row: row * 100), "corrupt lil"),
    "LIL without a row": (lambda: lil("rows", lambda row: None), "corrupt lil"),
    "corrupt DIA": (lambda: part(sp.dia_matrix(X), data=lambda a: a[:1]), "corrupt dia"),
    "CSR without values": (lambda: csr(X, data=lambda a: None), "corrupt csr"),
    "BSR of empty blocks": (lambda: part(sp.bsr_matrix(X), data=lambda a: a[:, :0]), "corrupt bsr"),
    "columns beyond int32": (lambda: sp.csr_matrix((24, 2**31), dtype=float), "X must have at most"),
}  # fmt: skip
if sp.coo_array(X[0]).ndim == 1:  # from scipy 1.13 on
    BAD_X["one dimension in COO"] = (lambda: sp.coo_array(X[0]), "2D")
CALLS = {
    "fit": lambda model, X: model.fit(X, Y),
    "score": lambda model, X: model.score(X, Y),
    "partial_fit": lambda model, X: model.partial_fit(X, Y),
    **{method: lambda model, X, method=method: getattr(model, method)(X) for method in PREDICTIONS},
}


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize("case", BAD_X)
def test_bad_features(name, fitted, case):
    make, match = BAD_X[case]
    for method, call in CALLS.items():
        if hasattr(fitted, method):
            assert_refused(lambda model, call=call: call(model, make()), fitted, match)
    if name in STOCHASTIC:
        match_val = f"(?s)^X_val: .*({match})|together"
        assert_refused(lambda model: model.fit(X, Y, X_val=make(), y_val=Y), fitted, match_val)
    fresh = clone(MODELS[name])
    assert_refused(lambda model: model.fit(make(), Y), fresh, match)
    assert not [attribute for attribute in vars(fresh) if attribute.endswith("_")]
    with pytest.raises((ValueError, TypeError), match=match):
        logistic_path(make(), Y, Cs=2)


OTHER_FEATURES = {
    "fewer": (lambda: X[:, :3], "X has 3 features.* expecting 4"),
    "more": (lambda: np.hstack([X, X]), "X has 8 features.* expecting 4"),
    "more in CSR": (lambda: sp.csr_matrix(np.hstack([X, X])), "X has 8 features.* expecting 4"),
}


@pytest.mark.parametrize("case", OTHER_FEATURES)
def test_other_features_than_in_the_fit(name, fitted, case):
    make, match = OTHER_FEATURES[case]
    for method, call in CALLS.items():
        if hasattr(fitted, method) and method != "fit":
            assert_refused(lambda model, call=call: call(model, make()), fitted, match)
    if name in STOCHASTIC:
        assert_refused(lambda model: model.fit(X, Y, X_val=make(), y_val=Y), fitted, f"^X_val: .*{match}")


def test_other_names_than_in_the_fit(name):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=list("abcd"))
    model = clone(MODELS[name]).fit(frame, Y)
    for method, call in CALLS.items():
        if hasattr(model, method) and method != "fit":
            for columns in ("bacd", "abce"):
                other = frame.set_axis(list(columns), axis=1)
                assert_refused(lambda m, call=call, other=other: call(m, other), model, "feature names")
    with pytest.raises(ValueError, match=r"2D|2-dimensional"):
        model.fit(frame["a"], Y)
    for kind, match in (
        ("datetime64[ns]", "X must hold numbers"),
        (complex, "Complex data not supported: X"),
    ):
        for other in (frame.astype(kind), frame.astype({"a": kind})):
            assert_refused(lambda m, other=other: m.fit(other, Y), model, match)


def test_one_row_and_one_column(name, fitted):
    """One row can be predicted; one column is enough to fit, one row is not."""
    for method, values in predictions(fitted, X[:1]).items():
        np.testing.assert_array_equal(values, getattr(fitted, method)(X)[:1])
    assert_refused(lambda model: model.fit(X[:1], Y[:1]), fitted, "class")
    assert fitted.fit(X[:, :1], Y).predict(X[:, :1]).shape == (24,)


SHAPES = {
    "narrow": (3, 2),
    "wide": (3, 100_000),
    "other rows": (5, 4),
    "one dimension": (4,),
    "empty": (0, 4),
}


@pytest.mark.parametrize("case", SHAPES)
def test_weights_of_another_shape(name, fitted, case):
    """Set by hand: kernels would read beyond them."""
    wrong = np.ones(SHAPES[case])
    if name == "MLPClassifier":
        fitted.coefs_ = [wrong.T, fitted.coefs_[1]]
    else:
        fitted.coef_ = wrong
    for data in (X, sp.csr_matrix(X))[: 1 if name == "MLPClassifier" else 2]:
        with pytest.raises(ValueError, match=r"weights must have shape|broadcast"):
            fitted.predict(data)


@pytest.mark.parametrize("dtype", [int, np.float16, ">f8", object])
@pytest.mark.parametrize("name", [name for name in MODELS if name != "MLPClassifier"])
def test_weights_of_another_type(fitted, dtype):
    fitted.coef_ = np.arange(12.0).reshape(3, 4)
    right = fitted.decision_function(X)
    fitted.coef_ = fitted.coef_.astype(dtype)
    np.testing.assert_array_equal(fitted.decision_function(X), right)


# ---- y -------------------------------------------------------------------------------------------------


def objects(values):
    made = np.empty(len(values), dtype=object)
    made[:] = values
    return made


NAMES = np.array(["a", "b", "c"])
HUGE = np.array([2**63, 2**63 + 1, 2**63 + 2], dtype=np.uint64)
GOOD_Y = {
    "list": (Y.tolist(), [0, 1, 2]),
    "uint8": (Y.astype(np.uint8), [0, 1, 2]),
    "negative": (-Y[::-1], [-2, -1, 0]),
    "huge": (Y + 2**62, [2**62, 2**62 + 1, 2**62 + 2]),
    "huge, unsigned": (HUGE[Y], HUGE),
    "big-endian": (Y.astype(">i8"), [0, 1, 2]),
    "float": (Y.astype(float), [0.0, 1.0, 2.0]),
    "float16": (Y.astype(np.float16), [0.0, 1.0, 2.0]),
    "longdouble": (Y.astype(np.longdouble), [0.0, 1.0, 2.0]),
    "bool": (Y > 0, [False, True]),
    "strings": (NAMES[Y], ["a", "b", "c"]),
    "list of strings": (NAMES[Y].tolist(), ["a", "b", "c"]),
    "strings as objects": (NAMES[Y].astype(object), ["a", "b", "c"]),
    "an empty string, others with NUL": (objects(["", "a\0", "a"])[Y], objects(["", "a", "a\0"])),
    "read-only": (read_only(Y), [0, 1, 2]),
    "every other": (np.repeat(Y, 2)[::2], [0, 1, 2]),
    "backwards": (Y[::-1], [0, 1, 2]),
    "masked array without a mask": (np.ma.masked_array(Y), [0, 1, 2]),
}  # fmt: skip


@pytest.mark.parametrize("case", GOOD_Y)
def test_good_labels(name, fitted, case):
    """Classes are those of y, in its type; the rest is as for their numbers."""
    y, classes = GOOD_Y[case]
    classes = np.asarray(classes)
    numbers = np.searchsorted(classes, np.asarray(y))
    right = clone(MODELS[name]).fit(X, numbers)
    fitted.fit(X, y)
    assert fitted.classes_.tolist() == classes.tolist()
    np.testing.assert_array_equal(fitted.predict(X), classes[right.predict(X)])
    for method in PREDICTIONS[1:]:
        if hasattr(right, method):
            np.testing.assert_array_equal(getattr(fitted, method)(X), getattr(right, method)(X))
    assert fitted.score(X, y) == right.score(X, numbers)
    if name in STOCHASTIC:
        again = clone(MODELS[name]).partial_fit(X, y, classes=classes).partial_fit(X, y)
        assert again.classes_.tolist() == classes.tolist()
        again.fit(X, y, X_val=X, y_val=y)
        assert again.history_["val_score"][-1] == pytest.approx(again.score(X, y))


def test_a_column_of_labels_is_told_of(name, fitted):
    with pytest.warns(DataConversionWarning, match="column-vector"):
        fitted.fit(X, Y[:, None])
    assert_same_predictions(fitted, FITTED[name])


BAD_Y = {
    "nothing": (None, "y is None|must be given together"),
    "a number": (3, "1d array"),
    "a word": ("abc", "1d array"),
    "a dict": ({0: 1}, "1d array"),
    "empty": (Y[:0], "same number of rows|0 sample"),
    "too short": (Y[:-1], "same number of rows"),
    "too long": (np.r_[Y, Y], "same number of rows"),
    "NaN": (np.where(Y == 0, np.nan, Y), "y contains NaN"),
    "all NaN": (np.full(24, np.nan), "y contains NaN"),
    "infinity": (np.where(Y == 0, np.inf, Y), "y contains infinity"),
    "continuous": (Y + 0.5, "Unknown label type: continuous"),
    "complex": (Y + 1j, "Complex data not supported: y"),
    "masked values": (np.ma.masked_equal(Y, 2), "y must have no masked values; found 8"),
    "multilabel": (np.eye(3, dtype=int)[Y], "1d array"),
    "multilabel, sparse": (sp.csr_matrix(np.eye(3, dtype=int)[Y]), "Sparse data was passed for y"),
    "two outputs": (np.column_stack([Y, Y]), "1d array"),
    "three dimensions": (Y[:, None, None], "dim 3|1d array"),
    "ragged": ([[1], [1, 2]] * 12, "inhomogeneous|1d array"),
    "tuples": (objects([(k,) for k in Y.tolist()]), "legacy multi-label|Unknown label type"),
    "bytes": (NAMES[Y].astype("S1"), "labels represented as bytes"),
    "integers as objects": (Y.astype(object), "Unknown label type: y must hold .* objects .int"),
    "integers beyond int64": (objects([10**30 + k for k in Y.tolist()]), "Unknown label type: y must hold"),
    "objects of no kind": (objects([object() for _ in Y]), "Unknown label type: y must hold"),
    "strings and numbers": (objects(["a", 1, 2])[Y], "y must hold labels of one type"),
    "strings and numbers in a list": (["a", 1, 2] * 8, "y must hold labels of one type"),
    "strings and None": (objects(["a", None, "b"])[Y], "y must hold labels of one type"),
    "strings and NaN": (objects(["a", np.nan, "b"])[Y], "y must hold labels of one type"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_Y)
def test_bad_labels(name, fitted, case):
    y, match = BAD_Y[case]
    assert_refused(lambda model: model.fit(X, y), fitted, match)
    with pytest.raises((ValueError, TypeError), match=match):
        logistic_path(X, y, Cs=2)
    if name in STOCHASTIC:
        assert_refused(lambda model: model.partial_fit(X, y), fitted, match)
        match_val = f"^y_val: .*({match})|^X_val and y_val must"
        assert_refused(lambda model: model.fit(X, Y, X_val=X, y_val=y), fitted, match_val)


@pytest.mark.parametrize("case", ["too short", "too long", "empty", "continuous", "nothing"])
def test_bad_labels_in_a_score(name, fitted, case):
    """In scikit-learn's words; what else it refuses differs from version to version."""
    assert_refused(lambda model: model.score(X, BAD_Y[case][0]), fitted, "inconsistent|mix of|y_true|None")


@pytest.mark.parametrize("y", [0 * Y, np.full(24, "a"), Y > 5], ids=["numbers", "strings", "bools"])
def test_one_class(name, fitted, y):
    assert_refused(lambda model: model.fit(X, y), fitted, "at least 2 classes .* only one class: ")
    with pytest.raises(ValueError, match="only one class"):
        logistic_path(X, y)


UNSEEN = {
    "another number": np.where(Y == 0, 7, Y),
    "beyond int64": Y.astype(np.uint64) + np.uint64(2**63),
    "strings": NAMES[Y],
    "strings as objects": NAMES[Y].astype(object),
    "dates": Y.astype("M8[D]"),
}


@pytest.mark.parametrize("case", UNSEEN)
@pytest.mark.parametrize("name", STOCHASTIC)
def test_labels_never_seen(name, fitted, case):
    match = "y_val must hold only the classes seen in training; found also"
    assert_refused(lambda model: model.fit(X, Y, X_val=X, y_val=UNSEEN[case]), fitted, match)
    assert_refused(lambda model: model.partial_fit(X, UNSEEN[case]), fitted, "^y must hold only the classes")
    strings = clone(MODELS[name]).fit(X, np.array(["x", "y", "z"], dtype=object)[Y])
    assert_refused(lambda model: model.partial_fit(X, UNSEEN[case]), strings, "^y must hold only the classes")


BAD_CLASSES = {
    "others": ([0, 1], "classes must be those|only the classes"),
    "NaN": ([0, 1, np.nan], "classes must hold finite labels"),
    "mixed": (objects(["a", 1, None]), "classes must hold labels of one type"),
    "none": ([], "classes must be"),
}


@pytest.mark.parametrize("case", BAD_CLASSES)
@pytest.mark.parametrize("name", STOCHASTIC)
def test_bad_classes(name, fitted, case):
    classes, match = BAD_CLASSES[case]
    for model in (fitted, clone(MODELS[name])):
        assert_refused(lambda m: m.partial_fit(X, Y, classes=classes), model, match)


# ---- weights -------------------------------------------------------------------------------------------

GOOD_WEIGHTS = {
    "list": WEIGHT.tolist(),
    "float16": WEIGHT.astype(np.float16),
    "integers": WEIGHT.astype(int),
    "big-endian": WEIGHT.astype(">f8"),
    "read-only": read_only(WEIGHT),
    "every other": np.repeat(WEIGHT, 2)[::2],
    "objects": WEIGHT.astype(object),
    "longdouble": WEIGHT.astype(np.longdouble),
}


@pytest.mark.parametrize("case", GOOD_WEIGHTS)
def test_good_weights(name, fitted, case):
    right = clone(MODELS[name]).fit(X, Y, sample_weight=WEIGHT)
    assert_same_predictions(fitted.fit(X, Y, sample_weight=GOOD_WEIGHTS[case]), right, rtol=0)


BAD_WEIGHTS = {
    "negative": (put(3, -1.0)(WEIGHT), "must not be negative; found -1.0"),
    "all zero": (0 * WEIGHT, "must have a positive value; found only zeros"),
    "NaN": (put(3, np.nan)(WEIGHT), "must be finite"),
    "infinite": (put(3, np.inf)(WEIGHT), "must be finite"),
    "too short": (WEIGHT[:-1], "must have one value for each of the 24 rows"),
    "two dimensions": (WEIGHT[:, None], "must have one value for each of the 24 rows"),
    "empty": ([], "must have one value for each of the 24 rows"),
    "a NaN": (np.nan, "must be finite"),
    "a negative number": (-1, "must not be negative"),
    "text": (np.full(24, "a"), "must hold numbers"),
    "ragged": ([[1], [1, 2]] * 12, "must hold numbers"),
    "a dict": ({}, "must hold numbers"),
    "sparse": (sp.csr_matrix(WEIGHT), "must hold numbers"),
    "integers beyond floats": ([10**400] * 24, "must hold numbers"),
    "dates": (Y.astype("M8[D]"), "must hold numbers"),
    "complex": (WEIGHT + 1j, "must hold real numbers; found complex128"),
    "masked values": (np.ma.masked_equal(WEIGHT, 2), "must have no masked values"),
    "huge": (put(3, 1e300)(WEIGHT), "must be zero or from 1e-100 to 1e.100; found 1e.300"),
    "denormal": (put(3, 5e-324)(WEIGHT), "must be zero or from 1e-100 to 1e.100; found 5e-324"),
}


@pytest.mark.parametrize("case", BAD_WEIGHTS)
def test_bad_weights(name, fitted, case):
    weight, match = BAD_WEIGHTS[case]
    match = "sample_weight .*" + match
    assert_refused(lambda model: model.fit(X, Y, sample_weight=weight), fitted, match)
    if name in STOCHASTIC:
        assert_refused(lambda model: model.partial_fit(X, Y, sample_weight=weight), fitted, match)
    with pytest.raises(ValueError, match=match):
        logistic_path(X, Y, sample_weight=weight)


# ---- parameters ----------------------------------------------------------------------------------------

NO_VALUES = [np.nan, "much", 1j, [], np.array([1.0, 2.0]), object(), b"auto"]
PARAMETERS = [(name, parameter) for name, model in MODELS.items() for parameter in model.get_params()]


@pytest.mark.parametrize("name, parameter", PARAMETERS)
def test_values_that_no_parameter_takes(name, fitted, parameter):
    for value in NO_VALUES:
        if parameter == "Cs" and isinstance(value, np.ndarray):
            continue
        setattr(fitted, parameter, value)
        assert_refused(lambda model: model.fit(X, Y), fitted, parameter)
        if name in STOCHASTIC and parameter not in ("verbose", "early_stopping", "validation_fraction"):
            assert_refused(lambda model: model.partial_fit(X, Y), fitted, parameter)


OUT_OF_RANGE = {
    "C": [0, -1, -np.inf, 5e-324, 1e300, 10**400, True],
    "Cs": [0, -1, [0.0], [1.0, -1.0], [1.0, np.nan], [[1.0]], 10**30, [10**400], True],
    "tol": [10**400, True],
    "max_iter": [-1, 2.5, True],
    "l1_ratio": [-0.1, 1.1, 10**400],
    "l1_ratios": [[-0.1], [1.1], [0.5, np.nan], 0.5, [10**400]],
    "n_threads": [0, -1, 1.5, True],
    "n_jobs": [0, 1.5, True],
    "random_state": [-1, 0.5, 2**32, 10**400],
    "cv": [0, 1, -1, 100, [([0, 1], [10**6])], [([0], [-1])], [([True] * 3, [1])], [([], [1])]],
    "intercept_scaling": [0, -1, np.inf, 1e-300, 1e300],
    "class_weight": [{0: -1}, {0: np.nan}, {0: np.inf}, {0: "a"}, {0: [1]}, {5: 1}, {"a": 1}, {0: 1e300}],
    "alpha": [-1, np.inf, 10**400],
    "eta0": [0, -1, np.inf],
    "learning_rate_init": [0, -1, np.inf],
    "power_t": [np.inf, -np.inf],
    "momentum": [-0.1, 1, np.inf],
    "batch_size": [-1, 2.5],
    "n_iter_no_change": [0, 2.5],
    "validation_fraction": [-0.1, 1],
    "hidden_layer_sizes": [0, -1, 2.5, (3, 4), (), (2.5,)],
    "early_stopping": [1, EarlyStopping(0), EarlyStopping(np.nan), EarlyStopping(min_delta=np.nan)],
    "fit_intercept": [0, 1, None],
    "refit": [1, None],
    "dual": [2, None],
}  # fmt: skip
IN_PLAY = [(name, p) for name, model in MODELS.items() for p in OUT_OF_RANGE if p in model.get_params()]


@pytest.mark.parametrize("name, parameter", IN_PLAY)
def test_values_out_of_range(name, fitted, parameter):
    match = "early_stopping|patience|min_delta" if parameter == "early_stopping" else parameter
    for value in OUT_OF_RANGE[parameter]:
        setattr(fitted, parameter, value)
        assert_refused(lambda model: model.fit(X, Y), fitted, match)


@pytest.mark.parametrize("name", [name for name in MODELS if name not in STOCHASTIC])
@pytest.mark.parametrize("max_time", [0, -1, np.nan, "1", True, [1], 10**400])
def test_bad_max_time(name, fitted, max_time):
    assert_refused(lambda model: model.fit(X, Y, max_time=max_time), fitted, "max_time")
    with pytest.raises(ValueError, match="max_time"):
        logistic_path(X, Y, max_time=max_time)


OF_A_PATH = "Cs penalty l1_ratio fit_intercept class_weight solver tol max_iter scaling n_threads verbose"


@pytest.mark.parametrize("parameter", OF_A_PATH.split())
@pytest.mark.parametrize("value", [np.nan, "much", 1j, []], ids=str)
def test_bad_parameters_of_a_path(parameter, value):
    with pytest.raises(ValueError, match=parameter):
        logistic_path(X, Y, **{parameter: value})


# ---- extremes ------------------------------------------------------------------------------------------

TOO_LARGE = "X must hold numbers up to 1e.100, .* found"
DIVERGES = "no longer finite"
# X; what certified fits say, if they refuse; and SGD and the network, which may: steps can miss what is large
EXTREMES = {
    "up to 1e300": (X * 1e299, TOO_LARGE, DIVERGES, DIVERGES),
    "the largest floats": (np.where(X > 4, 1.7e308, -1.7e308), TOO_LARGE, DIVERGES, DIVERGES),
    "from 1e-320 to 1e300": (X * [1e300, 1, 1e-300, 1e-320], TOO_LARGE, DIVERGES, DIVERGES),
    "CSR up to 1e300": (sp.csr_matrix(X * 1e299), TOO_LARGE, DIVERGES, "dense"),
    "1e98": (X * 1e98, None, None, None),
    "float32 up to 3e37": ((X * 1e36).astype(np.float32), None, DIVERGES, DIVERGES),
    "1e-150": (X * 1e-150, None, None, None),
    "1e-300": (X * 1e-300, None, None, None),
    "denormals": (X * 5e-324, None, None, None),
    "float32 denormals": ((X * 1e-44).astype(np.float32), None, None, None),
    "CSR of denormals": (sp.csr_matrix(X * 5e-324), None, None, "dense"),
    "constant columns": (np.ones((24, 4)), None, None, None),
    "all zero": (np.zeros((24, 4)), None, None, None),
    "minus zero": (-np.zeros((24, 4)), None, None, None),
    "some columns constant": (np.hstack([X, np.full((24, 2), 7.0)]), None, None, None),
    "duplicate columns": (np.hstack([X, X, X]), None, None, None),
    "CSR without entries": (sp.csr_matrix((24, 4)), None, None, "dense"),
    "CSR with empty rows": (sp.csr_matrix(X * (np.arange(24) % 2)[:, None]), None, None, "dense"),
    "integers beyond int64": (np.full((24, 4), 10**25), None, DIVERGES, DIVERGES),
    "the largest uint64": (np.full((24, 4), 2**64 - 1, dtype=np.uint64), None, None, None),
}  # fmt: skip


def numbers_of(model):
    """All floats among the attributes of a fit."""
    for attribute, value in vars(model).items():
        if attribute.endswith("_") and attribute not in ("Cs_", "cv_results_", "history_"):
            for array in value if isinstance(value, list) else [value]:
                if np.asarray(array).dtype.kind == "f":
                    yield attribute, np.asarray(array)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("scaling", [None, "standard"])
@pytest.mark.parametrize("case", EXTREMES)
def test_extremes(name, fitted, case, scaling):
    """Refused, or fitted to finite numbers and a true certificate, without other warnings."""
    data, *refusals = EXTREMES[case]
    refusal = refusals[1 + STOCHASTIC.index(name)] if name in STOCHASTIC else refusals[0]
    fitted.set_params(scaling=scaling, **({} if name in STOCHASTIC else {"max_iter": 30}))
    if scaling:
        refusal = f"{refusal}|{TOO_LARGE}|{DIVERGES}|unit lies between|sparse"
    try:
        fitted.fit(data, Y)
    except ValueError:
        assert refusal
        fitted = copy.deepcopy(FITTED[name]).set_params(scaling=scaling)
        assert_refused(lambda model: model.fit(data, Y), fitted, refusal)
        return
    assert name in STOCHASTIC or scaling or not refusal
    for attribute, values in numbers_of(fitted):
        assert np.isfinite(values).all(), attribute
    for method, values in predictions(fitted, data).items():
        assert method == "predict" or np.isfinite(values[values != -np.inf]).all()
    if name not in STOCHASTIC:
        assert 0 <= fitted.dual_gap_ <= fitted.objective_ <= fitted.null_objective_ * (1 + 1e-9)


def test_a_class_of_one_row(name, fitted):
    """It can be fitted, and a fold may lack it, but not all rows."""
    y = np.r_[0, np.ones(23, dtype=int)]
    folds = [(np.arange(1, 24), [0]), (np.arange(23), [23])]
    options = {"cv": folds} if name.endswith("CV") else {}
    assert clone(MODELS[name]).set_params(**options).fit(X, y).predict(X).shape == (24,)
    if name.endswith("CV"):
        fitted.cv = [*folds, ([], [1])]
        assert_refused(lambda model: model.fit(X, y), fitted, "^cv must leave training rows")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_ten_thousand_classes(name):
    """One against the rest, and folds, with a thousand: they hold n numbers for each class."""
    K = 1000 if "SVC" in name or "CV" in name else 10_000
    y, options = np.arange(2 * K + 1) % K, {"max_iter": 1 if name in STOCHASTIC else 0}
    data = np.column_stack([y / K, np.sin(y)])
    if name.endswith("CV"):
        options |= {"Cs": [0.01]}
    model = clone(MODELS[name]).set_params(**options).fit(data, y)
    assert model.classes_.shape == (K,)
    if hasattr(model, "predict_proba"):
        np.testing.assert_allclose(model.predict_proba(data[:50]).sum(axis=1), 1)
    assert set(model.predict(data[:50])) <= set(range(K))


# ---- nothing leaks -------------------------------------------------------------------------------------

# Refusals from every part of the way, the last ones as late as there are.
LEAKS = {
    "NaN": lambda model: model.fit(changed(np.nan), Y),
    "text": lambda model: model.fit([["a"]], Y),
    "corrupt": lambda model: model.predict(csr(X, indices=put(5, 2**30))),
    "features": lambda model: model.predict(X[:, :3]),
    "lengths": lambda model: model.fit(X, Y[:-1]),
    "labels": lambda model: model.fit(X, Y + 0.5),
    "mixed labels": lambda model: model.fit(X, objects(["a", 1, 2])[Y]),
    "one class": lambda model: model.fit(X, 0 * Y),
    "weights": lambda model: model.fit(X, Y, sample_weight=-WEIGHT),
    "parameter": lambda model: copy.copy(model).set_params(max_iter=-1).fit(X, Y),
    "class_weight": lambda model: copy.copy(model).set_params(class_weight={5: 1}).fit(X, Y),
    "too large": lambda model: model.fit(1e299 * X, Y),
}


def test_refusals_leak_nothing(name, fitted):
    """More than a thousand refusals leave as many objects and references as there were."""

    def refuse(times):
        for _ in range(times):
            for case, call in LEAKS.items():
                try:
                    call(fitted)
                except (ValueError, TypeError):
                    continue
                assert case == "too large"  # which steps may miss
        gc.collect()

    shared = X, Y, WEIGHT
    references, growth = [sys.getrefcount(array) for array in shared], []
    for _ in range(4):
        before = sys.getallocatedblocks()
        refuse(100)
        growth.append(sys.getallocatedblocks() - before)
    # Caches fill up once; a single object that each refusal of one kind leaves are a hundred every time.
    assert min(growth) < 80
    assert [sys.getrefcount(array) for array in shared] == references


# ---- metrics -------------------------------------------------------------------------------------------

PROBA = np.eye(3)[Y]
BAD_METRICS = {
    "lengths": (lambda: confusion_matrix(Y, Y[:-1]), "inconsistent numbers of samples"),
    "labels of another type": (lambda: confusion_matrix(Y, NAMES[Y]), "Mix of label input types"),
    "continuous": (lambda: confusion_matrix(Y, Y + 0.5), "continuous"),
    "labels that do not occur": (lambda: confusion_matrix(Y, Y, labels=[7]), "label"),
    "pairs, lengths": (lambda: most_confused(Y, Y[:-1]), "inconsistent numbers of samples"),
    "pairs, no order": (lambda: most_confused(objects(["a", 1]), objects(["a", 1])), "y_true, y_pred"),
    "pairs, nothing": (lambda: most_confused(None, None), "y_true, y_pred"),
    "pairs, n": (lambda: most_confused(Y, Y, n=2.5), "n: found 2.5"),
    "pairs, NaN for n": (lambda: most_confused(Y, Y, n=np.nan), "n: found nan"),
    "pairs, text for n": (lambda: most_confused(Y, Y, n="a"), "n: found 'a'"),
    "mistakes, rows": (lambda: mistakes(Y[:-1], PROBA, labels=[0, 1, 2]), "proba: found shape"),
    "mistakes, columns": (lambda: mistakes(Y, PROBA, labels=[0, 1]), "proba: found shape"),
    "mistakes, NaN": (lambda: mistakes(Y, PROBA + np.nan, labels=[0, 1, 2]), "proba: found NaN"),
    "mistakes, complex": (lambda: mistakes(Y, PROBA + 1j, labels=[0, 1, 2]), "proba: found complex"),
    "mistakes, text": (lambda: mistakes(Y, PROBA.astype(str), labels=[0, 1, 2]), "proba: found <U"),
    "mistakes, no list": (lambda: mistakes(3, PROBA, labels=[0, 1, 2]), "y_true: found 0 dimensions"),
    "mistakes, no labels": (lambda: mistakes(Y, PROBA, labels=3), "labels: found 0 dimensions"),
    "mistakes, matrix": (lambda: mistakes(PROBA, PROBA, labels=[0, 1, 2]), "y_true: found 2 dimensions"),
    "mistakes, types": (lambda: mistakes(NAMES[Y], PROBA, labels=[0, 1, 2]), "y_true: found <U1"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_METRICS)
def test_bad_input_of_metrics(case):
    call, match = BAD_METRICS[case]
    with pytest.raises(ValueError, match=match):
        call()
