"""Fits to blocks find what fits to one array find, with the same certificate."""

import gc
import pickle
import threading
import weakref
from importlib import import_module
from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.datasets import load_digits, make_classification
from sklearn.exceptions import ConvergenceWarning

from fastlr import Blocks, LinearSVC, LogisticRegression, SGDClassifier
from fastlr.blocks import LocalParts, ahead, look_at, merge_moments, moments
from fastlr.blocks import training as blocks_training
from fastlr.data import Data, row_bytes
from fastlr.losses import Softmax, SoftmaxOfBlocks
from fastlr.minibatch import BlockPlan


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X, y, np.random.default_rng(0).random(len(y))


subsampled = import_module("fastlr.solvers.subsampled")  # there is a function of that name, too
CUTS = [0, 7, 500, 500, 1300, 1797]  # uneven, and one of them empty


def cut(*arrays, cuts=CUTS):
    return [tuple(array[a:b] for array in arrays) for a, b in pairwise(cuts) if b > a]


def assert_same_optimum(one, other):
    """The bound of each lies below the objective of the other, but for rounding."""
    rounding = 1e-12 * one.null_objective_
    assert abs(one.objective_ - other.objective_) <= one.dual_gap_ + other.dual_gap_ + rounding


KINDS = {
    "float64": lambda X: X,
    "float32": lambda X: X.astype(np.float32),
    "uint8": lambda X: X.astype(np.uint8),
    "F": np.asfortranarray,
    "CSR": sp.csr_array,
}


@pytest.mark.parametrize("rows", [None, 600], ids=["all rows in memory", "a third"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "parameters",
    [
        {"penalty": "l1"},
        {"penalty": "l2", "class_weight": "balanced"},
        {"l1_ratio": 0.5, "class_weight": {3: 2.0}, "fit_intercept": False},
        {"penalty": "l1", "scaling": "standard", "class_weight": "balanced"},
    ],
    ids=["l1", "l2", "elasticnet", "standard"],
)
def test_same_optimum(digits, kind, parameters, rows, monkeypatch):
    X, y, weight = digits
    X = KINDS[kind](X)
    if rows is not None:
        monkeypatch.setattr(subsampled, "_SAMPLE_BYTES", rows * row_bytes(X))
    one = LogisticRegression(C=0.01, tol=1e-6, **parameters).fit(X, y, weight)
    many = LogisticRegression(C=0.01, tol=1e-6, random_state=0, **parameters).fit(Blocks(cut(X, y, weight)))
    assert many.converged_
    assert many.solver_ == "subsampled"
    np.testing.assert_allclose(many.null_objective_, one.null_objective_, rtol=1e-12)
    assert_same_optimum(one, many)
    assert many.coef_.dtype == one.coef_.dtype


def test_two_classes_and_names(digits):
    pandas = pytest.importorskip("pandas")
    X, y, _ = digits
    frame, labels = pandas.DataFrame(X[y < 2]).add_prefix("p"), np.array(["zero", "one"])[y[y < 2]]
    blocks = Blocks([(frame[:100], labels[:100]), (frame[100:], labels[100:])])
    many = LogisticRegression(C=0.01, tol=1e-6).fit(blocks)
    one = LogisticRegression(C=0.01, tol=1e-6).fit(frame, labels)
    assert many.feature_names_in_.tolist() == list(frame.columns)
    assert many.classes_.tolist() == ["one", "zero"]
    assert_same_optimum(one, many)


@pytest.mark.parametrize("solver", ["lbfgs", "cg", "subsampled"])
def test_solvers_that_need_sums_only(digits, solver):
    X, y, _ = digits
    fits = [
        LogisticRegression(C=0.01, solver=solver, tol=1e-5, random_state=0).fit(*data)
        for data in [(X, y), (Blocks(cut(X, y)), None)]
    ]
    assert all(fit.converged_ for fit in fits)
    assert abs(fits[0].objective_ - fits[1].objective_) <= sum(fit.dual_gap_ for fit in fits)


def test_a_small_sample_finds_the_optimum_of_all_rows(monkeypatch):
    """Of 20,000 rows a tenth is in memory; one feature is there in few rows only."""
    monkeypatch.setattr(subsampled, "_SAMPLE_BYTES", 2000 * 30 * 8)
    X, y = make_classification(20_000, 30, n_informative=10, n_classes=4, random_state=0)
    X[:, 7] = 0
    X[:12, 7] = 30
    for penalty in ("l1", "l2"):
        one = LogisticRegression(penalty=penalty, C=0.001, tol=1e-6).fit(X, y)
        clf = LogisticRegression(penalty=penalty, C=0.001, tol=1e-6, random_state=0)
        many = clf.fit(Blocks(cut(X, y, cuts=range(0, 20_001, 5000))))
        assert many.converged_
        assert_same_optimum(one, many)


def test_a_large_sample_needs_few_steps(monkeypatch):
    """On correlated features SAGA's longest steps do not settle, and a hold that stays takes ten steps."""
    monkeypatch.setattr(subsampled, "_SAMPLE_BYTES", 10_000 * 20 * 8)
    X, y = make_classification(40_000, 20, n_informative=10, n_classes=4, random_state=0)
    for penalty in ("l1", "l2"):
        clf = LogisticRegression(penalty=penalty, C=0.01, tol=1e-7, solver="subsampled", random_state=0).fit(
            X, y
        )
        assert clf.converged_
        assert clf.n_iter_[0] <= 8


@pytest.mark.parametrize("penalty", ["l1", "l2"])
@pytest.mark.parametrize("what", ["columns", "weights"])
def test_other_methods_help_where_the_sample_tells_too_little(penalty, what, monkeypatch):
    """Columns that it hardly has; a few rows that have most of the weight."""
    monkeypatch.setattr(subsampled, "_SAMPLE_BYTES", 2000 * 20 * 8)
    X, y = make_classification(8000, 20, n_informative=10, n_classes=4, random_state=0)
    weight, rng = np.ones(len(y)), np.random.default_rng(0)
    if what == "columns":
        X[:, :8] = 10 * (rng.random((8000, 8)) < 1e-3) * rng.standard_normal((8000, 8))
    else:
        weight = np.exp(2 * rng.standard_normal(8000))
    one = LogisticRegression(penalty=penalty, tol=1e-4).fit(X, y, weight)
    clf = LogisticRegression(penalty=penalty, tol=1e-4, solver="subsampled", random_state=0)
    clf.fit(X, y, weight)
    assert clf.converged_
    assert abs(clf.objective_ - one.objective_) <= clf.dual_gap_ + one.dual_gap_


def test_moments_add_up(digits):
    X, y, weight = digits
    X = X + 1e6  # digits of the variance are lost where sums of squares are added
    weight[:7] = 0  # the first block has no weight
    estimator = LogisticRegression()
    blocks = cut(X, y, weight)
    look = look_at(estimator, blocks)
    estimator.n_features_in_ = look.d
    parts = LocalParts(blocks, estimator, np.arange(10), look.n, 1)

    class Loss:
        def of(self, y, s):
            return Softmax(y, s, 10)

    mass, found = parts.reduce(moments, merge_moments, Loss())
    expected = Data(X).moments(Softmax(y.astype(np.int32), weight, 10))
    np.testing.assert_allclose(mass, weight.sum())
    for name in ("label_sums", "total", "mean", "low", "high"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-12)
    np.testing.assert_allclose(found.variance, expected.variance, rtol=1e-9, atol=1e-9)


def test_source_is_read_again_from_its_beginning(digits):
    X, y, _ = digits
    passes = []

    def source():
        passes.append(0)
        for block in cut(X, y):
            passes[-1] += 1
            yield block

    LogisticRegression(C=0.01).fit(Blocks(source))
    assert len(passes) > 3
    assert set(passes) == {4}


def test_blocks_are_read_ahead_and_errors_come_through():
    def source():
        yield 1
        raise OSError("gone")

    items = ahead(source())
    assert next(items) == 1
    with pytest.raises(OSError, match="gone"):
        next(items)


def test_bad_blocks(digits):
    X, y, weight = digits
    clf = LogisticRegression(C=0.01).fit(Blocks(cut(X, y)))
    before = clf.coef_.copy()
    refused = [
        (TypeError, "can be read again", lambda: Blocks(block for block in cut(X, y))),
        (TypeError, "can be read again", lambda: Blocks(3)),
        (ValueError, "y must be None", lambda: clf.fit(Blocks(cut(X, y)), y)),
        (ValueError, "sample_weight must be None", lambda: clf.fit(Blocks(cut(X, y)), None, weight)),
        (ValueError, "at least one block", lambda: clf.fit(Blocks([]))),
        (ValueError, r"must be \(X, y\)", lambda: clf.fit(Blocks([X, X]))),
        (ValueError, "one type", lambda: clf.fit(Blocks([(X, y), (X.astype(np.float32), y)]))),
        (ValueError, "features", lambda: clf.fit(Blocks([(X, y), (X[:, :5], y)]))),
        (ValueError, "same number of rows", lambda: clf.fit(Blocks([(X, y[:5])]))),
        (ValueError, "NaN", lambda: clf.fit(Blocks([(X, y), (X * np.nan, y)]))),
        (ValueError, "only zeros", lambda: clf.fit(Blocks([(X, y, 0 * weight)]))),
        (ValueError, "labels of one type", lambda: clf.fit(Blocks([(X, y), (X, y.astype(str))]))),
        (ValueError, "one value for each", lambda: clf.fit(Blocks([(X, y, weight), (X, y, [0])]))),
        (
            ValueError,
            "largest has 1797",
            lambda: SGDClassifier(batch_size=2000, drop_last=True).fit(Blocks([(X, y), (X, y)])),
        ),
        (ValueError, "2 classes", lambda: clf.fit(Blocks([(X, 0 * y)]))),
        (ValueError, "in blocks", lambda: clf.set_params(solver="newton-cd").fit(Blocks(cut(X, y)))),
        (TypeError, "LogisticRegression", lambda: LinearSVC().fit(Blocks(cut(X, y)), y)),
    ]
    for kind, message, work in refused:
        with pytest.raises(kind, match=message):
            work()
    np.testing.assert_array_equal(clf.coef_, before)


def test_blocks_that_change(digits):
    X, y, _ = digits
    calls = []

    def source():
        calls.append(None)
        return iter(cut(X, y)[: 4 if len(calls) < 3 else 3])

    with pytest.raises(ValueError, match="the same blocks each time"):
        LogisticRegression().fit(Blocks(source))


def test_blocks_of_other_sizes_later(digits):
    """All rows are there, but kernels that read a block by row numbers would leave it."""
    X, y, _ = digits
    calls = []

    def source():
        calls.append(None)
        at = 300 if len(calls) < 2 else 310
        return iter(cut(X, y, cuts=[0, at, 600]))

    with pytest.raises(ValueError, match="a block of 300 rows at first and of 310 later"):
        SGDClassifier(max_iter=2, tol=None).fit(Blocks(source))


@pytest.mark.parametrize("model", [LogisticRegression, SGDClassifier])
@pytest.mark.parametrize(
    "factor, message", [(-1.0, "negative; found -1"), (np.nan, "finite"), (np.inf, "finite")]
)
def test_class_weights_are_checked(digits, model, factor, message):
    X, y, _ = digits
    for data in ((X, y), (Blocks(cut(X, y)), None)):
        with pytest.raises(ValueError, match=f"class_weight, times sample_weight, must .*{message}"):
            model(class_weight={3: factor}).fit(*data)


def test_blocks_of_one_row_have_draws_of_their_own(digits, monkeypatch):
    """Those of a class look the same: one draw for all would leave out the class, or keep all of it."""
    X, y, _ = digits
    monkeypatch.setattr("fastlr.data._SAMPLE_ROWS", 50)
    training = blocks_training(LogisticRegression(), Blocks(cut(X, y, cuts=range(1798))), None, None)
    loss = SoftmaxOfBlocks(np.ones(10), training.data.look.mass)
    part, part_loss = training.data.sample(600, loss, np.random.default_rng(0))
    count = np.bincount(part_loss.y, minlength=10)
    assert 450 < part.n < 750
    assert (count > 30).all() and (count < 100).all()
    np.testing.assert_allclose(part_loss.class_mass, loss.class_mass)


def test_empty_blocks_are_left_out(digits):
    X, y, weight = digits
    full = cut(X, y, weight, cuts=[0, 900, 1797])
    empty = X[:0], y[:0], weight[:0]
    for kind, options in ((LogisticRegression, {"C": 0.01}), (SGDClassifier, {"max_iter": 3, "tol": None})):
        model = kind(random_state=0, **options)
        one = clone(model).fit(Blocks(full))
        many = clone(model).fit(Blocks([empty, full[0], empty, full[1], empty]))
        np.testing.assert_array_equal(many.coef_, one.coef_)
    with pytest.raises(ValueError, match="block of rows"):
        LogisticRegression().fit(Blocks([empty]))


def test_units_are_told_by_one_type(digits):
    X, y, _ = digits
    mixed = Blocks([(X.astype(np.int8), y), (X.astype(np.int16), y)])
    assert LogisticRegression(C=0.01).fit(mixed).converged_
    for model in (LogisticRegression(scaling="unit"), SGDClassifier(scaling="unit")):
        with pytest.raises(ValueError, match="blocks of one type"):
            model.fit(mixed)


def test_small_blocks_of_many_classes_warn_of_nothing():
    X = np.random.default_rng(0).random((60, 3))
    y = np.arange(60) % 30
    assert LogisticRegression().fit(Blocks(cut(X, y, cuts=[0, 30, 60]))).converged_  # warnings are errors


def test_threads_end_with_the_pass(digits):
    """Whatever ends it, and wherever: none is left that reads."""
    X, y, _ = digits
    for error in (OSError, KeyboardInterrupt):
        calls = []

        def source(error=error, calls=calls):
            calls.append(None)
            for block in cut(X, y):
                if len(calls) == 4:
                    raise error
                yield block

        before = threading.active_count()
        clf = LogisticRegression(C=0.01, tol=1e-9)
        if error is OSError:
            with pytest.raises(OSError):
                clf.fit(Blocks(source))
            assert not hasattr(clf, "coef_")
        else:
            with pytest.warns(ConvergenceWarning, match="interrupted"):
                clf.fit(Blocks(source))
        gc.collect()
        assert threading.active_count() == before


def test_models_do_not_hold_the_blocks(digits):
    class Rows(np.ndarray):
        pass

    X, y, _ = digits
    for model in (LogisticRegression(C=0.01), SGDClassifier(max_iter=2, tol=None)):
        rows = X.copy().view(Rows)
        is_there = weakref.ref(rows)
        model.fit(Blocks([(rows, y)]))
        again = pickle.loads(pickle.dumps(clone(model).fit(Blocks([(X, y)]))))
        del rows
        gc.collect()
        assert is_there() is None
        assert again.predict(X).shape == y.shape


def test_a_class_that_only_one_block_has(digits):
    X, y, _ = digits
    order = np.argsort(y, kind="stable")
    many = LogisticRegression(C=0.01, tol=1e-6, random_state=0).fit(Blocks(cut(X[order], y[order])))
    one = LogisticRegression(C=0.01, tol=1e-6).fit(X, y)
    assert_same_optimum(one, many)


def test_parquet(digits, tmp_path):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    X, y, weight = digits
    X = X.astype(np.uint8)
    columns = {f"p{j}": X[:, j] for j in range(64)} | {"digit": y, "weight": weight}
    for number, rows in enumerate((slice(0, 900), slice(900, None))):
        table = arrow.table({name: values[rows] for name, values in columns.items()})
        parquet.write_table(table, tmp_path / f"{number}.parquet")
    blocks = Blocks.from_parquet(tmp_path, target="digit", weight="weight", batch_size=500)
    many = LogisticRegression(C=0.01, tol=1e-6, scaling="unit", random_state=0).fit(blocks)
    one = LogisticRegression(C=0.01, tol=1e-6, scaling="unit").fit(X, y, weight)
    assert {block[0].dtype.name for block in blocks} == {"uint8"}
    assert_same_optimum(one, many)
    with pytest.raises(ValueError, match="no column 'figure'"):
        Blocks.from_parquet(tmp_path, target="figure")
    # One column of lists of one length holds all features.
    lists = arrow.FixedSizeListArray.from_arrays(arrow.array(X.ravel()), 64)
    parquet.write_table(arrow.table({"image": lists, "digit": y}), tmp_path / "lists.feather")
    again = Blocks.from_parquet(tmp_path / "lists.feather", target="digit")
    np.testing.assert_array_equal(np.concatenate([block[0] for block in again]), X)
    fixed = arrow.array([[1.0], None], arrow.list_(arrow.float64(), 1))
    for lists in ([[1.0], [2.0, 3.0, 4.0]], [[1.0, 2.0], None], fixed):
        parquet.write_table(arrow.table({"image": lists, "digit": [0, 1]}), tmp_path / "lists.feather")
        with pytest.raises(ValueError, match=r"lists of one length|all lists to be of size"):  # old pyarrow's
            list(Blocks.from_parquet(tmp_path / "lists.feather", target="digit"))
    with pytest.raises(ValueError, match="columns of their own"):
        Blocks.from_parquet(tmp_path / "lists.feather", target="digit", features=["image", "digit"])


# ---- minibatches -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "options", [{}, {"class_weight": "balanced", "scaling": "unit"}], ids=["plain", "options"]
)
def test_minibatches_in_order_are_those_of_one_array(digits, kind, options):
    """Where blocks end with minibatches, and nothing is shuffled."""
    X, y, weight = digits
    X = KINDS[kind](X)
    sgd = SGDClassifier(eta0=0.01, batch_size=100, shuffle=False, max_iter=3, tol=None, **options)
    one, many = (
        clone(sgd).fit(X, y, weight),
        clone(sgd).fit(Blocks(cut(X, y, weight, cuts=[0, 300, 1000, 1797]))),
    )
    rtol = 1e-10 if X.dtype == np.float64 else 1e-4
    np.testing.assert_allclose(many.coef_, one.coef_, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(many.history_["loss"], one.history_["loss"], rtol=rtol)
    assert many.t_ == one.t_ == 54


def test_each_row_of_each_block_is_seen_once_an_epoch():
    plan = BlockPlan(4, True, False, (10, 3, 8))
    order, seen, first = plan.order(21, np.random.default_rng(0)), [], 0
    assert plan.batches(21) == 3 + 1 + 2
    while first < 6:
        rows, count = plan.rows(order, first, 2)
        assert len(rows) <= 4 * count
        seen, first = [*seen, *rows.tolist()], first + count
    assert sorted(seen) == list(range(21))
    assert sorted(seen[:10]) == list(range(10)) != seen[:10]


def test_early_stopping_on_blocks(digits):
    X, y, _ = digits
    sgd = SGDClassifier(eta0=0.05, scaling="standard", early_stopping=True, random_state=0)
    blocks = Blocks(cut(X[:1500], y[:1500], cuts=[0, 700, 707, 1500]))
    with pytest.raises(ValueError, match="needs X_val and y_val"):
        sgd.fit(blocks)
    sgd.fit(blocks, X_val=X[1500:], y_val=y[1500:])
    assert sgd.status_ == "converged"
    score = sgd.score(X[1500:], y[1500:])
    assert score == pytest.approx(max(sgd.history_["val_score"]))
    assert score > 0.85


def test_validation_rows_of_a_mapped_file_are_not_copied(digits, tmp_path):
    """The steps are those on an array in memory, and so are the results on the rows that were set aside."""
    X, y, weight = digits
    np.save(tmp_path / "X.npy", X.astype(np.uint8))
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    sgd = SGDClassifier(eta0=0.01, scaling="unit", early_stopping=True, max_iter=30, random_state=0)
    one, other = clone(sgd).fit(np.array(mapped), y, weight), clone(sgd).fit(mapped, y, weight)
    np.testing.assert_allclose(other.coef_, one.coef_, rtol=1e-5, atol=1e-6)
    for name in ("loss", "train_score", "val_loss", "val_score"):
        np.testing.assert_allclose(other.history_[name], one.history_[name], rtol=1e-5)
