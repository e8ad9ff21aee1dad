"""What reaches the estimator in each fold, and how the folds' histories are stacked."""

import numpy as np
import pytest
import scipy.sparse
from sklearn.base import BaseEstimator
from sklearn.model_selection import KFold, StratifiedKFold

from fastlr.model_selection import kfold_history, sample_size_history

FEATURES = ("X", "X_val")


class Recorder(BaseEstimator):
    """Keeps what `fit` was given and reports `scores` as its validation scores."""

    def __init__(self, scores=(0.5, 0.9, 0.9, 0.7)):
        self.scores = scores

    def fit(self, X, y, X_val=None, y_val=None, **options):
        self.given_ = {"X": X, "y": y, "X_val": X_val, "y_val": y_val, **options}
        self.history_ = {
            "val_score": list(self.scores),
            "loss": np.linspace(2, 1, len(self.scores)),
        }
        return self


class Stopper(BaseEstimator):
    """Trains for as many epochs as the first validation row says."""

    def fit(self, X, y, X_val=None, y_val=None):
        n_epochs = int(X_val[0, 0]) + 1
        self.history_ = {"val_score": np.arange(1, n_epochs + 1) / 10}
        return self


def numbered(n, n_classes=2):
    return np.arange(n, dtype=float)[:, None], np.arange(n) % n_classes


@pytest.mark.parametrize("sparse", [False, True])
def test_kfold_hands_each_fold_its_rows(sparse):
    X, y = numbered(12)
    weight = np.linspace(1, 2, 12)
    data = scipy.sparse.coo_matrix(X) if sparse else X
    estimator = Recorder()
    result = kfold_history(estimator, data, y, cv=3, sample_weight=weight)
    assert len(result.estimators) == 3
    assert not hasattr(estimator, "given_")  # clones are fitted
    folds = StratifiedKFold(3).split(X, y)
    for fitted, (train, test) in zip(result.estimators, folds, strict=True):
        given = fitted.given_
        X_given, X_val = (part.toarray() if sparse else part for part in map(given.get, FEATURES))
        np.testing.assert_array_equal(X_given, X[train])
        np.testing.assert_array_equal(X_val, X[test])
        np.testing.assert_array_equal(given["y"], y[train])
        np.testing.assert_array_equal(given["y_val"], y[test])
        np.testing.assert_array_equal(given["sample_weight"], weight[train])


def test_kfold_passes_no_weights_unless_given():
    result = kfold_history(Recorder(), *numbered(6), cv=2)
    assert all("sample_weight" not in fitted.given_ for fitted in result.estimators)


def test_kfold_pandas_rows():
    pandas = pytest.importorskip("pandas")
    X, y = numbered(6)
    result = kfold_history(Recorder(), pandas.DataFrame(X, columns=["a"]), pandas.Series(y), cv=2)
    assert list(result.estimators[0].given_["X_val"].columns) == ["a"]


def test_kfold_stacks_and_finds_the_first_best_epoch():
    result = kfold_history(Recorder(), *numbered(10), cv=5)
    assert set(result.history) == {"val_score", "loss"}
    np.testing.assert_array_equal(result.history["loss"], [np.linspace(2, 1, 4)] * 5)
    np.testing.assert_array_equal(result.best_epoch, [1] * 5)
    np.testing.assert_array_equal(result.val_score, [0.9] * 5)
    assert np.issubdtype(result.best_epoch.dtype, np.integer)


def test_kfold_pads_short_folds_with_nan():
    X, y = np.array([[2.0], [0.0], [1.0]]), np.array([0, 1, 0])
    result = kfold_history(Stopper(), X, y, cv=KFold(3))
    nan = np.nan
    expected = [[0.1, 0.2, 0.3], [0.1, nan, nan], [0.1, 0.2, nan]]
    np.testing.assert_array_equal(result.history["val_score"], expected)
    np.testing.assert_array_equal(result.best_epoch, [2, 0, 1])
    np.testing.assert_array_equal(result.val_score, [0.3, 0.1, 0.2])


def test_kfold_takes_explicit_folds():
    X, y = numbered(6)
    folds = [(np.array([0, 1, 2]), np.array([4])), (np.array([3, 4]), np.array([0, 5]))]
    result = kfold_history(Recorder(), X, y, cv=folds)
    assert [fitted.given_["X_val"].ravel().tolist() for fitted in result.estimators] == [
        [4],
        [0, 5],
    ]


def test_kfold_refuses():
    X, y = numbered(6)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        kfold_history(Recorder(), X, y[:5], cv=2)
    for scores in ((), (np.nan,)):
        with pytest.raises(ValueError, match=r'estimator: .*needed: history_\["val_score"\]'):
            kfold_history(Recorder(scores=scores), X, y, cv=2)


def test_kfold_names_an_estimator_without_history():
    class Plain(BaseEstimator):
        def fit(self, X, y, X_val=None, y_val=None):
            return self

    with pytest.raises(ValueError, match="found no history_ after fit of Plain"):
        kfold_history(Plain(), *numbered(6), cv=2)


def test_sample_size_history_draws_stratified_rows():
    X = np.arange(200, dtype=float)[:, None]
    y = np.repeat([0, 1], [150, 50])
    results = sample_size_history(Recorder(), X, y, sizes=np.array([200, 40]), cv=2)
    assert list(results) == [200, 40]
    for size, result in results.items():
        both = [result.estimators[0].given_[name] for name in ("X", "X_val")]
        rows = np.concatenate(both).ravel().astype(int)
        assert len(rows) == len(set(rows)) == size  # without replacement
        assert np.bincount(y[rows]).tolist() == [size * 3 // 4, size // 4]


def test_sample_size_history_repeats_with_its_seed():
    X, y = numbered(100)

    def rows(seed):
        result = sample_size_history(Recorder(), X, y, sizes=[20], cv=2, random_state=seed)[20]
        return result.estimators[0].given_["X"].ravel().tolist()

    assert rows(1) == rows(1) != rows(2)


@pytest.mark.parametrize("size", [0, 13, 2.5, -1])
def test_sample_size_history_refuses_sizes(size):
    with pytest.raises(ValueError, match=rf"sizes: found {size}; needed: integers from 1 to 12"):
        sample_size_history(Recorder(), *numbered(12), sizes=[6, size], cv=2)


def test_sample_size_history_refuses_fixed_folds():
    folds = [(np.arange(3), np.arange(3, 6))]
    with pytest.raises(ValueError, match="cv: found list"):
        sample_size_history(Recorder(), *numbered(12), sizes=[6], cv=folds)


def test_kfold_with_sgd_classifier():
    from fastlr import EarlyStopping, SGDClassifier
    from fastlr.datasets import load_digits

    (X, y), _ = load_digits()
    estimator = SGDClassifier(
        eta0=0.24,
        batch_size=100,
        max_iter=200,
        early_stopping=EarlyStopping(patience=10),
        random_state=0,
    )
    result = kfold_history(estimator, X / 16, y, cv=3)
    scores = result.history["val_score"]
    assert scores.shape[0] == 3 and scores.shape[1] <= 200
    assert result.val_score.min() > 0.85
    np.testing.assert_array_equal(result.val_score, np.nanmax(scores, axis=1))


def test_an_interrupted_fold_ends_all():
    class Cut(Recorder):
        def fit(self, X, y, **options):
            self.status_ = "interrupted"
            return super().fit(X, y, **options)

    with pytest.raises(KeyboardInterrupt):
        kfold_history(Cut(), *numbered(12), cv=3)
