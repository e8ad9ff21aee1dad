"""What people's code leans on: frames, pipelines, metadata, searches, sparse weights, others' classes."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn import config_context, linear_model, neural_network, svm
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError, UnsetMetadataPassedError
from sklearn.feature_selection import SelectFromModel
from sklearn.inspection import permutation_importance
from sklearn.metrics import accuracy_score, get_scorer, make_scorer
from sklearn.model_selection import GridSearchCV, GroupKFold, StratifiedKFold, cross_val_score, cross_validate
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
    assert np.array_equal(found["predict"], expected["predict"])
    for name in found.keys() - {"predict"}:
        values = found[name]
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
    with pytest.raises(ValueError, match=r"indices|index values"):
        fastlr.save(model, tmp_path / "model.npz")
    with monkeypatch.context() as patch:
        patch.setattr(files, "_check_weights", lambda *_: None)
        fastlr.save(model, tmp_path / "model.npz")
    with pytest.raises(ValueError, match=r"cannot be loaded as a model: .*(indices|index values)"):
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


# Metadata


@pytest.fixture
def routing():
    with config_context(enable_metadata_routing=True):
        yield


def weighted():
    """Iris with weights that matter, and groups."""
    X, y = iris()
    rng = np.random.default_rng(0)
    return X, y, rng.uniform(0, 3, len(y)) ** 2, rng.permutation(np.arange(len(y)) % 6)


def log_loss_of(estimator, X, y, sample_weight=None):
    """A scorer as a function; it tells how it was called."""
    log_loss_of.calls.append(sample_weight)
    rows = np.arange(len(y))
    return np.average(estimator.predict_log_proba(X)[rows, np.searchsorted(estimator.classes_, y)],
                      weights=sample_weight)  # fmt: skip


@every
def test_requests_of_all_methods(name, routing):
    model = made(name)
    assert model.set_fit_request(sample_weight=True) is model
    model.set_score_request(sample_weight=True)
    if hasattr(model, "partial_fit"):
        model.set_partial_fit_request(sample_weight=True, classes=False)
        assert model._get_metadata_request().partial_fit.requests["sample_weight"] is True
    requests = clone(model)._get_metadata_request()
    assert requests.fit.requests["sample_weight"] is True and requests.score.requests["sample_weight"] is True


@every
def test_weights_through_a_pipeline(name, routing):
    X, y, weight, _ = weighted()
    steps = (
        StandardScaler().set_fit_request(sample_weight=True),
        made(name).set_fit_request(sample_weight=True),
    )
    pipeline = make_pipeline(*steps).fit(X, y, sample_weight=weight)
    Z = StandardScaler().fit(X, sample_weight=weight).transform(X)
    assert_same(outputs(pipeline, X), outputs(made(name).fit(Z, y, sample_weight=weight), Z))
    with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
        make_pipeline(StandardScaler(), made(name)).fit(X, y, sample_weight=weight)


def test_weights_through_a_pipeline_without_routing():
    X, y, weight, _ = weighted()
    pipeline = Pipeline([("model", made("logistic"))]).fit(X, y, model__sample_weight=weight)
    assert np.array_equal(pipeline[-1].coef_, made("logistic").fit(X, y, weight).coef_)


@every
def test_weights_through_a_grid_search(name, routing):
    X, y, weight, _ = weighted()
    model = made(name).set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
    grid = {"max_iter": [1000]}
    search = GridSearchCV(model, grid, cv=2).fit(X, y, sample_weight=weight)
    refitted = clone(model).set_params(max_iter=1000).fit(X, y, sample_weight=weight)
    assert_same(outputs(search, X), outputs(refitted, X))
    halves = StratifiedKFold(2).split(X, y)
    for fold, (train, test) in enumerate(halves):
        part = clone(refitted).fit(X[train], y[train], sample_weight=weight[train])
        expected = part.score(X[test], y[test], sample_weight=weight[test])
        assert search.cv_results_[f"split{fold}_test_score"] == pytest.approx([expected])


@pytest.mark.parametrize("name", ["sgd", "network"])
def test_validation_data_through_a_pipeline(name, routing):
    X, y = iris()
    model = (
        made(name).set_params(early_stopping=fastlr.EarlyStopping(3)).set_fit_request(X_val=True, y_val=True)
    )
    pipeline = Pipeline([("scale", StandardScaler()), ("model", model)], transform_input=["X_val"])
    pipeline.fit(X[::2], y[::2], X_val=X[1::2], y_val=y[1::2])
    Z = StandardScaler().fit(X[::2]).transform(X)
    alone = clone(model).fit(Z[::2], y[::2], X_val=Z[1::2], y_val=y[1::2])
    assert pipeline[-1].history_["val_loss"] == alone.history_["val_loss"]


@pytest.mark.parametrize("asks", [True, False])
def test_a_search_routes_weights_to_its_scorer(asks, routing):
    X, y, weight, _ = weighted()
    scorer = make_scorer(accuracy_score).set_score_request(sample_weight=asks)
    model = fastlr.LogisticRegressionCV(Cs=[0.01, 1.0], cv=3, scoring=scorer)
    model.set_fit_request(sample_weight=True).fit(X, y, sample_weight=weight)
    part = fastlr.LogisticRegression(C=0.01)
    for fold, (train, test) in enumerate(StratifiedKFold(3).split(X, y)):
        part.fit(X[train], y[train], sample_weight=weight[train])
        expected = part.score(X[test], y[test], sample_weight=weight[test] if asks else None)
        assert model.scores_[fold, 0, 0] == pytest.approx(expected)
    assert model.score(X, y) == pytest.approx(accuracy_score(y, model.predict(X)))
    if asks:
        expected = accuracy_score(y, model.predict(X), sample_weight=weight)
        assert model.score(X, y, sample_weight=weight) == pytest.approx(expected)
    else:
        with pytest.raises(TypeError, match="sample_weight must be None where `scoring` does not request it"):
            model.score(X, y, sample_weight=weight)


def test_a_search_refuses_weights_that_its_scorer_does_not_mention_as_scikit_learns(routing):
    X, y, weight, _ = weighted()

    def outcome(module):
        model = module.LogisticRegressionCV(Cs=[1.0], cv=2, scoring="balanced_accuracy", l1_ratios=(0.0,))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                model.fit(X, y, sample_weight=weight)
            except UnsetMetadataPassedError:  # from 1.8 or so on
                return "refused"

    assert outcome(fastlr) == outcome(linear_model)
    # Its own scores are weighted without being asked for it.
    assert fastlr.LogisticRegressionCV(Cs=[1.0], cv=2).fit(X, y, sample_weight=weight).C_ == 1


@pytest.mark.parametrize("scoring", ["balanced_accuracy", log_loss_of])
def test_without_routing_scorers_that_take_weights_get_them(scoring):
    X, y, weight, _ = weighted()
    log_loss_of.calls = []
    model = fastlr.LogisticRegressionCV(Cs=[1.0], cv=2, scoring=scoring).fit(X, y, sample_weight=weight)
    (train, test), _ = StratifiedKFold(2).split(X, y)
    part = fastlr.LogisticRegression().fit(X[train], y[train], sample_weight=weight[train])
    expected = get_scorer(scoring)(part, X[test], y[test], sample_weight=weight[test])
    assert model.scores_[0, 0, 0] == pytest.approx(expected)
    assert all(call is not None for call in log_loss_of.calls)


def test_without_routing_scorers_that_know_no_weights_get_none():
    X, y, weight, _ = weighted()
    model = fastlr.LogisticRegressionCV(Cs=[1.0], cv=2, scoring=lambda model, X, y: float(len(y)))
    assert np.array_equal(model.fit(X, y, sample_weight=weight).scores_.ravel(), [75, 75])


@pytest.mark.parametrize("name", ["logistic cv", "svm cv"])
def test_groups_go_to_the_splitter(name, routing):
    X, y, _, groups = weighted()
    splitter = GroupKFold(3).set_split_request(groups=True)
    model = made(name).set_params(cv=splitter).fit(X, y, groups=groups)
    expected = made(name).set_params(cv=list(GroupKFold(3).split(X, y, groups))).fit(X, y)
    scores = "scores_" if name == "logistic cv" else "cv_results_"
    np.testing.assert_equal(getattr(model, scores), getattr(expected, scores))
    with pytest.raises(TypeError, match="nonsense"):
        made(name).fit(X, y, nonsense=groups)


@pytest.mark.parametrize("name", ["logistic cv", "svm cv"])
def test_without_routing_there_are_no_groups(name):
    X, y, _, groups = weighted()
    with pytest.raises(ValueError, match="enable_metadata_routing=True"):
        made(name).fit(X, y, groups=groups)


def test_metadata_of_a_search_within_a_search(routing):
    X, y, weight, groups = weighted()
    inner = made("logistic cv").set_params(cv=GroupKFold(2).set_split_request(groups=True))
    inner.set_fit_request(sample_weight=True).set_score_request(sample_weight=False)
    outer = cross_validate(inner, X, y, params={"groups": groups, "sample_weight": weight}, cv=2,
                           return_estimator=True)  # fmt: skip
    for (train, _), model in zip(StratifiedKFold(2).split(X, y), outer["estimator"], strict=True):
        alone = clone(inner).fit(X[train], y[train], sample_weight=weight[train], groups=groups[train])
        assert np.array_equal(model.scores_, alone.scores_)


@pytest.mark.parametrize("asks", [None, False, True])
@pytest.mark.parametrize("name", ["logistic cv", "svm cv"])
def test_a_search_called_by_hand_takes_weights(name, asks, routing):
    X, y, weight, _ = weighted()
    model = made(name).set_fit_request(sample_weight=asks).set_score_request(sample_weight=asks)
    expected = made(name).fit(X, y, weight)
    assert np.array_equal(model.fit(X, y, sample_weight=weight).coef_, expected.coef_)
    assert model.score(X, y, sample_weight=weight) == accuracy_score(
        y, model.predict(X), sample_weight=weight
    )
    assert model.fit(X, y).score(X, y) == accuracy_score(y, model.predict(X))


# Frames


def to_pandas(X, names):
    return pytest.importorskip("pandas").DataFrame(X, columns=names)


def to_nullable(X, names):
    return to_pandas(X, names).astype("Float64")


def to_arrow_types(X, names):
    pytest.importorskip("pyarrow")
    return to_pandas(X, names).astype("double[pyarrow]")


def to_polars(X, names):
    table = pytest.importorskip("polars").DataFrame(dict(zip(names, X.T, strict=True)))
    if not hasattr(StandardScaler().fit(table), "feature_names_in_"):
        pytest.skip("this scikit-learn does not see the names in frames of this polars")
    return table


NAMES = ["sepal length", "sepal width", "petal length", "petal width"]
FRAMES = {make.__name__: make for make in (to_pandas, to_nullable, to_arrow_types, to_polars)}
every_frame = pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)


@every
@every_frame
def test_frames(name, frame):
    X, y = iris()
    table = frame(X, NAMES)
    model = made(name).fit(table, y)
    assert model.feature_names_in_.tolist() == NAMES and model.feature_names_in_.dtype == object
    expected = made(name).fit(X, y)
    assert_same(outputs(model, table), outputs(expected, X))
    assert model.score(table, y) == expected.score(X, y)
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        model.predict(X)
    with pytest.warns(UserWarning, match="X has feature names"):
        expected.predict(table)


@every
@every_frame
@pytest.mark.parametrize("names", [NAMES[::-1], [*NAMES[:3], "petal colour"]])
def test_columns_of_other_names_are_refused(name, frame, names):
    X, y = iris()
    model = made(name).fit(frame(X, NAMES), y)
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame(X, names))


@pytest.mark.parametrize("name", ["sgd", "network"])
def test_names_in_further_data(name):
    X, y = iris()
    table, other = to_pandas(X, NAMES), to_pandas(X, NAMES[::-1])
    model = made(name).partial_fit(table, y, classes=[0, 1, 2])
    for fit in (
        lambda: model.partial_fit(other, y),
        lambda: made(name).set_params(early_stopping=True).fit(table, y, X_val=other, y_val=y),
    ):
        with pytest.raises(ValueError, match="feature names should match"):
            fit()
    assert model.feature_names_in_.tolist() == NAMES


@every_frame
def test_missing_values_in_frames_are_refused(frame):
    X, y = iris()
    X[3, 1] = np.nan
    with pytest.raises(ValueError, match="contains NaN"):
        fastlr.LogisticRegression().fit(frame(X, NAMES), y)


@pytest.mark.parametrize("dtype", ["uint8", "UInt8", "uint8[pyarrow]", "polars"])
def test_scaling_by_the_type_of_a_frame(dtype):
    X, y = iris()
    X = (10 * X).astype(np.uint8)
    if dtype == "polars":
        table = to_polars(X, NAMES)
    else:
        if "pyarrow" in dtype:
            pytest.importorskip("pyarrow")
        table = to_pandas(X, NAMES).astype(dtype)
    model = fastlr.LogisticRegression(scaling="unit").fit(table, y)
    np.testing.assert_allclose(
        model.coef_, fastlr.LogisticRegression(scaling="unit").fit(X, y).coef_, rtol=1e-3
    )


@every
@pytest.mark.parametrize("kind", ["object", "string", "category", "boolean", "polars"])
def test_labels_of_frames(name, kind):
    X, y = iris(2)
    values = np.array([False, True])[y] if kind == "boolean" else np.array(["no", "yes"])[y]
    if kind == "polars":
        target = pytest.importorskip("polars").Series(values)
    else:
        target = pytest.importorskip("pandas").Series(values).astype(kind)
    model = made(name).fit(X, target)
    assert model.classes_.tolist() == sorted(set(values.tolist()))
    assert model.predict(X).tolist() == model.classes_[made(name).fit(X, y).predict(X)].tolist()
    assert model.score(X, target) == accuracy_score(values.tolist(), model.predict(X).tolist())


@every
def test_weights_of_frames(name):
    X, y, weight, _ = weighted()
    expected = outputs(made(name).fit(X, y, sample_weight=weight), X)
    for module in ("pandas", "polars"):
        series = pytest.importorskip(module).Series(weight)
        assert_same(outputs(made(name).fit(X, y, sample_weight=series), X), expected)


@pytest.mark.parametrize("module", ["pandas", "polars"])
@every
def test_frames_in_pipelines(name, module):
    pytest.importorskip(module)
    X, y = iris()
    make = to_pandas if module == "pandas" else to_polars
    scaler = StandardScaler().set_output(transform=module)
    pipeline = make_pipeline(scaler, made(name)).set_output(transform=module).fit(make(X, NAMES), y)
    assert pipeline[-1].feature_names_in_.tolist() == NAMES
    assert pipeline[:-1].get_feature_names_out().tolist() == NAMES
    assert pipeline.feature_names_in_.tolist() == NAMES
    Z = StandardScaler().fit_transform(X)
    assert_same(outputs(pipeline, make(X, NAMES)), outputs(made(name).fit(Z, y), Z), rtol=1e-8)  # by columns


@every_linear
def test_features_are_selected_by_weights(name):
    X, y = iris()
    table = to_pandas(X, NAMES)
    selector = SelectFromModel(made(name), threshold=1e-9).set_output(transform="pandas").fit(table, y)
    kept = np.abs(selector.estimator_.coef_).sum(axis=0) > 0
    assert selector.get_feature_names_out().tolist() == np.array(NAMES)[kept].tolist()
    assert selector.transform(table).columns.tolist() == np.array(NAMES)[kept].tolist()


@every
def test_frames_of_mixed_columns(name):
    pandas = pytest.importorskip("pandas")
    X, y = iris()
    table = to_pandas(X, NAMES).assign(colour=np.array(["red", "blue"])[np.arange(len(y)) % 2])
    columns = ColumnTransformer(
        [("scale", StandardScaler(), NAMES), ("code", OneHotEncoder(sparse_output=False), ["colour"])]
    )
    pipeline = make_pipeline(columns.set_output(transform="pandas"), made(name)).fit(table, y)
    names = [*(f"scale__{each}" for each in NAMES), "code__colour_blue", "code__colour_red"]
    assert pipeline[-1].feature_names_in_.tolist() == names
    assert isinstance(pipeline[:-1].transform(table), pandas.DataFrame)
    assert np.array_equal(pipeline.predict(table[::-1]), pipeline.predict(table)[::-1])


# Searches, ensembles and the like


@every
def test_clones(name):
    X, y = iris()
    model = made(name).fit(X, y)
    other = clone(model)
    assert other.get_params() == model.get_params() and not hasattr(other, "classes_")
    assert_same(outputs(other.fit(X, y), X), outputs(model, X))


@every
def test_parameters_in_searches(name):
    X, y = iris()
    pipeline = make_pipeline(StandardScaler(), made(name))
    step = pipeline.steps[-1][0]
    grid = {
        f"{step}__class_weight": [None, "balanced", {0: 1.0, 1: 2.0, 2: 1.0}],
        f"{step}__scaling": [None, "unit"],
    }
    search = GridSearchCV(pipeline, grid, cv=2, n_jobs=2, error_score="raise").fit(X, y)
    assert search.best_score_ == np.max(search.cv_results_["mean_test_score"]) > 0.6
    expected = clone(pipeline).set_params(**search.best_params_).fit(X, y)
    assert_same(outputs(search, X), outputs(expected, X))


@every
def test_calibration(name):
    X, y, weight, _ = weighted()
    model = CalibratedClassifierCV(made(name), cv=2).fit(X, y, sample_weight=weight)
    p = model.predict_proba(X)
    assert p.shape == (150, 3) and np.allclose(p.sum(axis=1), 1) and model.score(X, y) > 0.8
    assert all(calibrated.estimator.n_features_in_ == 4 for calibrated in model.calibrated_classifiers_)


@every
def test_permutation_importance(name):
    X, y = iris()
    X = np.column_stack([X, np.zeros(len(y))])
    model = made(name).fit(X, y)
    found = permutation_importance(model, to_pandas(X, [*NAMES, "none"]).to_numpy(), y, random_state=0)
    assert found.importances_mean[4] == 0 and found.importances_mean[2:4].max() > 0.1


@every
def test_one_against_the_rest(name):
    X, y = iris()
    model = OneVsRestClassifier(made(name)).fit(X, y)
    assert len(model.estimators_) == 3 and model.score(X, y) > 0.6


@every
def test_scorers(name):
    X, y = iris(2)
    model = made(name)
    names = ["accuracy", "roc_auc", "f1"] + ["neg_log_loss"] * hasattr(model, "predict_proba")
    found = cross_validate(model, X, y, scoring=names, cv=3, error_score="raise")
    assert all(np.isfinite(found[f"test_{each}"]).all() for each in names)


@every
@pytest.mark.parametrize("classes", [2, 3])
def test_shapes_and_agreement_of_outputs(name, classes):
    X, y = iris(classes)
    model = made(name).fit(X, y)
    found = outputs(model, X)
    is_svm, is_network = name.startswith("svm"), name == "network"
    assert set(found) == {"predict"} | (set() if is_network else {"decision_function"}) | (
        set() if is_svm else {"predict_proba", "predict_log_proba"}
    )
    if "decision_function" in found:
        scores = found["decision_function"]
        assert scores.shape == ((len(X),) if classes == 2 else (len(X), 3))
        best = (scores > 0).astype(int) if classes == 2 else scores.argmax(axis=1)
        assert np.array_equal(model.classes_[best], found["predict"])
    if "predict_proba" in found:
        p, log_p = found["predict_proba"], found["predict_log_proba"]
        assert p.shape == log_p.shape == (len(X), classes)
        np.testing.assert_allclose(np.exp(log_p), p, rtol=1e-12)
        assert np.array_equal(model.classes_[p.argmax(axis=1)], found["predict"])


# What notebooks show


@every
@pytest.mark.parametrize("in_a_pipeline", [False, True])
def test_html(name, in_a_pipeline):
    X, y = iris()
    model = make_pipeline(StandardScaler(), made(name)) if in_a_pipeline else made(name)
    kind = type(made(name)).__name__
    before = estimator_html_repr(model)
    assert kind in before and "Not fitted" in before
    after = estimator_html_repr(model.fit(X, y))
    assert kind in after and "Not fitted" not in after
    assert model._repr_html_() and repr(model).startswith("Pipeline" if in_a_pipeline else kind)


# What scikit-learn's classes have


@pytest.mark.parametrize(
    ("name", "value"),
    [("loss", "hinge"), ("loss", "modified_huber"), ("average", True), ("average", 10)],
)
def test_what_sgd_does_not_offer_is_refused(name, value):
    with pytest.raises(ValueError, match=rf"{name} must be one of .*; found {value!r}"):
        fastlr.SGDClassifier(**{name: value}).fit(*iris())


def test_sgd_takes_the_parameters_of_scikit_learns():
    X, y = iris()
    model = fastlr.SGDClassifier(
        "log_loss", n_jobs=2, epsilon=0.2, average=False, random_state=0, max_iter=5, tol=None
    )
    expected = fastlr.SGDClassifier(random_state=0, max_iter=5, tol=None).fit(X, y)
    assert np.array_equal(model.fit(X, y).coef_, expected.coef_)
    assert set(linear_model.SGDClassifier().get_params()) <= set(model.get_params())


@pytest.mark.parametrize("classes", [2, 3])
def test_a_network_has_the_attributes_of_scikit_learns(classes):
    X, y = iris(classes)
    mine, peer = made("network"), neural_network.MLPClassifier(7, max_iter=20, solver="sgd", random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        mine.fit(X, y), peer.fit(X, y)
        for name in (
            "n_layers_",
            "n_outputs_",
            "out_activation_",
            "validation_scores_",
            "best_validation_score_",
        ):
            assert getattr(mine, name) == getattr(peer, name), name
        assert mine.best_loss_ == min(mine.loss_curve_)
        mine.set_params(early_stopping=fastlr.EarlyStopping(3)).fit(X, y)
    assert mine.best_loss_ is None and len(mine.validation_scores_) == mine.n_iter_
    assert mine.best_validation_score_ == max(mine.validation_scores_)


@pytest.mark.parametrize("name", ["best_loss_", "n_layers_", "out_activation_", "validation_scores_"])
def test_an_unfitted_network_has_none_of_them(name):
    assert not hasattr(made("network"), name)


# scikit-learn's own estimators, and ONNX


PEERS = {
    "logistic": linear_model.LogisticRegression,
    "logistic cv": linear_model.LogisticRegression,
    "svm": svm.LinearSVC,
    "svm cv": svm.LinearSVC,
    "sgd": linear_model.LogisticRegression,
    "network": neural_network.MLPClassifier,
}


@every
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("labels", ["numbers", "strings"])
def test_peers_predict_alike(name, classes, labels):
    X, y = iris(classes)
    y = y if labels == "numbers" else np.array(["one", "three", "two"])[y]
    model = made(name).fit(to_pandas(X, NAMES), y)
    peer = model.to_sklearn()
    assert type(peer) is PEERS[name] and peer.feature_names_in_.tolist() == NAMES
    check_is_fitted(peer)
    assert_same(outputs(peer, to_pandas(X, NAMES)), outputs(model, to_pandas(X, NAMES)), rtol=1e-11)
    assert peer.score(to_pandas(X, NAMES), y) == model.score(to_pandas(X, NAMES), y)
    assert "Not fitted" not in estimator_html_repr(peer)


@every
def test_peers_are_estimators_like_others(name):
    X, y = iris()
    model = made(name).set_params(class_weight={0: 1.0, 1: 2.0, 2: 1.0}).fit(X, y)
    before = outputs(model, X)
    peer = model.to_sklearn()
    if name != "network":  # scikit-learn's has no class weights
        assert peer.class_weight == model.class_weight and peer.class_weight is not model.class_weight
    again = clone(peer)
    assert again.get_params() == peer.get_params() and not hasattr(again, "classes_")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        again.fit(X, y)
        peer.fit(X[:120], y[:120])
        cross_val_score(peer, X, y, cv=2, error_score="raise")
    assert again.score(X, y) > 0.8
    assert_same(outputs(model, X), before)


@pytest.mark.parametrize("l1_ratio", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("kind", [fastlr.LogisticRegression, fastlr.LogisticRegressionCV])
def test_a_peer_comes_to_the_same_optimum(kind, l1_ratio):
    X, y = iris()
    options = {"tol": 1e-9, "class_weight": "balanced", "fit_intercept": False}
    if kind is fastlr.LogisticRegression:
        model = kind(C=0.3, l1_ratio=l1_ratio, **options)
    else:
        model = kind(Cs=[0.3], l1_ratios=[l1_ratio], cv=2, **options)
    model.fit(X, y)
    peer = model.to_sklearn().set_params(tol=1e-9, max_iter=20000).fit(X, y)
    np.testing.assert_allclose(peer.coef_, model.coef_, rtol=1e-2, atol=2e-3)


@pytest.mark.parametrize("options", [{"penalty": None}, {"C": np.inf}])
def test_a_peer_without_a_penalty(options):
    X, y = iris()
    peer = fastlr.LogisticRegression(max_iter=50, tol=0.1, **options).fit(X, y).to_sklearn()
    assert np.inf == peer.C


@pytest.mark.parametrize("name", ["svm", "svm cv"])
@pytest.mark.parametrize("penalty", ["l1", "l2"])
def test_a_peer_of_a_machine_comes_to_the_same_optimum(name, penalty):
    X, y = iris()
    model = made(name).set_params(penalty=penalty, tol=1e-8, intercept_scaling=2.0).fit(X, y)
    peer = model.to_sklearn().set_params(tol=1e-8, max_iter=100_000, random_state=0).fit(X, y)
    np.testing.assert_allclose(peer.coef_, model.coef_, rtol=1e-2, atol=2e-3)


@pytest.mark.parametrize("kind", ["partial_fit", "warm_start"])
@pytest.mark.parametrize("tol", [None, 1e-4])
def test_a_peer_of_a_network_trains_on(kind, tol):
    X, y = iris()
    model = made("network").set_params(tol=tol, max_iter=100, warm_start=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        peer = model.fit(X, y).to_sklearn().set_params(max_iter=1)
        loss = -np.mean(np.log(peer.predict_proba(X)[np.arange(len(y)), y]))
        peer = peer.partial_fit(X, y) if kind == "partial_fit" else peer.fit(X, y)
    assert peer.loss_ == pytest.approx(loss, rel=0.05)
    assert peer.loss_curve_[-1] == peer.loss_


def test_a_peer_of_a_network_that_had_one_batch_only():
    X, y = iris()
    model = fastlr.MLPClassifier(3, random_state=0).partial_fit(X, y, classes=[0, 1, 2])
    assert_same(outputs(model.to_sklearn().partial_fit(X[:1], y[:1]), X), outputs(model, X), rtol=0.1)


def test_a_peer_needs_weights():
    X, y = iris()
    with pytest.raises(ValueError, match="refit=False"):
        made("svm cv").set_params(refit=False).fit(X, y).to_sklearn()
    with pytest.raises(NotFittedError):
        made("svm").to_sklearn()


@every
@pytest.mark.parametrize("classes", [2, 3])
def test_onnx(name, classes):
    skl2onnx = pytest.importorskip("skl2onnx")
    runtime = pytest.importorskip("onnxruntime")
    X, y = iris(classes)
    X = X.astype(np.float32)
    model = made(name).fit(X, y)
    has_probabilities = hasattr(model, "predict_proba")
    options = {"zipmap": False} if has_probabilities else {}
    peer = model.to_sklearn()
    graph = skl2onnx.to_onnx(peer, X[:1], options={id(peer): options})
    session = runtime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    found, scores = session.run(None, {session.get_inputs()[0].name: X})
    assert np.array_equal(found, model.predict(X))
    expected = model.predict_proba(X) if has_probabilities else model.decision_function(X)
    assert np.allclose(scores[:, -1] if scores.ndim > expected.ndim else scores, expected, atol=1e-4)
