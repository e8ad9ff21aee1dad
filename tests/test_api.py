"""What people's code leans on: frames, pipelines, metadata, searches, sparse weights, scikit-learn's own classes."""

import contextlib
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn import config_context, set_config
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.feature_selection import SelectFromModel
from sklearn.inspection import permutation_importance
from sklearn.metrics import accuracy_score, get_scorer, make_scorer
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score, cross_validate
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils import estimator_html_repr
from sklearn.utils.validation import check_is_fitted

import fastlr
from fastlr.persistence import files

ESTIMATORS = {
    "logistic": fastlr.LogisticRegression(penalty="l1", C=0.5),
    "logistic cv": fastlr.LogisticRegressionCV(Cs=[0.1, 1.0], cv=2, l1_ratios=(1.0,)),
    "svm": fastlr.LinearSVC(penalty="l1", C=0.5),
    "svm cv": fastlr.LinearSVCCV(Cs=[0.1, 1.0], cv=2, penalty="l1"),
    "sgd": fastlr.SGDClassifier(max_iter=20, tol=None, random_state=0, penalty="l1", alpha=0.05),
    "network": fastlr.MLPClassifier(7, max_iter=20, tol=None, random_state=0, learning_rate_init=0.01),
}
LINEAR = [name for name in ESTIMATORS if name != "network"]
every = pytest.mark.parametrize("name", ESTIMATORS)
every_linear = pytest.mark.parametrize("name", LINEAR)


def iris(classes=3):
    X, y = load_iris(return_X_y=True)
    rows = np.flatnonzero(y < classes)
    return X[rows], y[rows]


def made(name):
    return clone(ESTIMATORS[name])


def outputs(model, X):
    """All that a model says of X."""
    names = "predict", "predict_proba", "predict_log_proba", "decision_function"
    return {each: getattr(model, each)(X) for each in names if hasattr(model, each)}


def assert_same(found, expected, rtol=0.0):
    assert found.keys() == expected.keys()
    for name, values in found.items():
        np.testing.assert_allclose(values, expected[name], rtol=rtol, atol=rtol, err_msg=name)


# sparsify and densify


@every_linear
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("lay_out", [np.asarray, np.asfortranarray, np.float32, np.uint8, sp.csr_matrix])
def test_sparse_weights_predict_alike(name, classes, lay_out):
    X, y = iris(classes)
    model = made(name).fit(X, y)
    dense, coef = outputs(model, lay_out(X)), model.coef_.copy()
    assert model.sparsify() is model and sp.issparse(model.coef_) and model.coef_.format == "csr"
    found = outputs(model, lay_out(X))
    assert_same(found, dense, rtol=1e-12)
    assert [values.dtype for values in found.values()] == [values.dtype for values in dense.values()]
    model.sparsify()  # once more changes nothing
    assert model.densify() is model and np.array_equal(model.coef_, coef) and type(model.coef_) is np.ndarray
    assert_same(outputs(model, lay_out(X)), dense)


def test_sparse_weights_of_float32_stay_so():
    X, y = iris()
    model = fastlr.LogisticRegression(penalty="l1").fit(X.astype(np.float32), y).sparsify()
    assert model.coef_.dtype == np.float32
    for data in (X, sp.csr_matrix(X)):
        assert model.decision_function(data).dtype == np.float32


@every_linear
def test_sparse_weights_in_files(name, tmp_path):
    X, y = iris()
    model = made(name).fit(X, y).sparsify()
    fastlr.save(model, tmp_path / "model.npz")
    again = fastlr.load(tmp_path / "model.npz")
    assert again.coef_.format == "csr" and (again.coef_ != model.coef_).nnz == 0
    assert_same(outputs(again, X), outputs(model, X))
    assert_same(outputs(fastlr.to_sklearn(model), X), outputs(model, X), rtol=1e-12)


def test_sparse_weights_whose_indices_point_elsewhere_are_refused(tmp_path, monkeypatch):
    model = made("logistic").fit(*iris()).sparsify()
    model.coef_.indices[0] = 1000
    with pytest.raises(ValueError, match="indices"):
        fastlr.save(model, tmp_path / "model.npz")
    with monkeypatch.context() as patch:
        patch.setattr(files, "_check_weights", lambda *_: None)
        fastlr.save(model, tmp_path / "model.npz")
    with pytest.raises(ValueError, match=r"cannot be loaded as a model: .*indices"):
        fastlr.load(tmp_path / "model.npz")


@every_linear
def test_a_model_of_sparse_weights_is_fitted_again(name):
    X, y = iris()
    model = made(name).fit(X, y).sparsify()
    assert np.array_equal(model.fit(X, y).coef_, made(name).fit(X, y).coef_)


@pytest.mark.parametrize("name", ["logistic", "svm", "sgd"])
def test_a_warm_start_from_sparse_weights(name):
    X, y = iris()
    models = [made(name).set_params(warm_start=True).fit(X, y) for _ in range(2)]
    models[0].sparsify()
    for model in models:
        model.fit(X[:140], y[:140])
    assert np.array_equal(models[0].coef_, models[1].coef_)


def test_partial_fit_goes_on_from_sparse_weights():
    X, y = iris()
    models = [made("sgd").partial_fit(X, y, classes=[0, 1, 2]) for _ in range(2)]
    models[0].sparsify()
    for model in models:
        model.partial_fit(X, y)
    assert np.array_equal(models[0].coef_, models[1].coef_)


def test_sparse_weights_are_explained_as_dense_ones():
    model = made("logistic").fit(*iris())
    assert model.explain() == model.sparsify().explain()


@every_linear
@pytest.mark.parametrize("method", ["sparsify", "densify"])
def test_only_fitted_weights_become_sparse(name, method):
    with pytest.raises(NotFittedError):
        getattr(made(name), method)()


def test_without_refit_there_is_no_model():
    X, y = iris()
    model = made("svm cv").set_params(refit=False).fit(X, y)
    with pytest.raises(AttributeError, match="fitted with refit=False: it has no model to predict with"):
        model.predict(X)
