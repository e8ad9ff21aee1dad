"""Models survive a file unchanged; a file that is not one of them is refused, whatever is wrong with it."""

import copy
import io
import json
import os
import pickle
import stat
import threading
import warnings
import zipfile
from dataclasses import dataclass

import numpy as np
import pytest
from sklearn import linear_model, svm
from sklearn.exceptions import ConvergenceWarning, InconsistentVersionWarning, NotFittedError
from sklearn.model_selection import KFold

import fastlr
from fastlr import EarlyStopping, npz
from fastlr.persistence import files

LETTERS = np.array(["one", "two", "three"])


def data(classes=3, dtype=np.float64):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 4)).astype(dtype)
    return X, np.argmax(X[:, :3] + 0.5 * rng.standard_normal((60, 3)), axis=1) % classes


def fitted(model, labels=None, classes=3, dtype=np.float64):
    X, y = data(classes, dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, y if labels is None else np.asarray(labels)[y])


MODELS = {
    "logistic": lambda: fitted(fastlr.LogisticRegression(class_weight={0: 2.0, 2: np.float32(0.5)})),
    "infinite": lambda: fitted(fastlr.LogisticRegression(C=np.inf, max_iter=3)),
    "float32": lambda: fitted(fastlr.LogisticRegression(penalty="l1"), dtype=np.float32),
    "binary": lambda: fitted(fastlr.LogisticRegression(), [False, True], 2),
    "grid": lambda: fitted(fastlr.LogisticRegressionCV(Cs=[0.1, 1.0], cv=2, l1_ratios=(0.0, 1.0))),
    "folds": lambda: fitted(fastlr.LogisticRegressionCV(Cs=np.array([0.1, 1.0]), cv=2, refit=False)),
    "svm": lambda: fitted(fastlr.LinearSVC(penalty="l1"), LETTERS),
    "svm grid": lambda: fitted(fastlr.LinearSVCCV(Cs=[0.1, 1.0], cv=2), LETTERS.astype(object)),
    "svm folds": lambda: fitted(fastlr.LinearSVCCV(Cs=[0.1, 1.0], cv=2, refit=False)),
    "sgd": lambda: fitted(fastlr.SGDClassifier(max_iter=4, random_state=np.int64(3))),
    "early": lambda: fitted(fastlr.SGDClassifier(early_stopping=EarlyStopping(2, "loss"), random_state=0)),
    "network": lambda: fitted(fastlr.MLPClassifier(5, max_iter=3, random_state=0), LETTERS),
    "binary network": lambda: fitted(fastlr.MLPClassifier((5,), "tanh", max_iter=3), classes=2),
    "partial network": lambda: fastlr.MLPClassifier(5).partial_fit(*data(), classes=[0, 1, 2]),
    "partial": lambda: fastlr.SGDClassifier().partial_fit(*data(), classes=[0, 1, 2]),
}


def same(a, b):
    """Equality of values, types of containers and of arrays."""
    if isinstance(a, np.ndarray):
        masks = np.array_equal(np.ma.getmaskarray(a), np.ma.getmaskarray(b))
        nan = {"equal_nan": True} if a.dtype.kind == "f" else {}
        return type(a) is type(b) and a.dtype == b.dtype and masks and np.array_equal(a, b, **nan)
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return a == b


def members_of(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def forge(path, members):
    """Writes members with the digest that belongs to them."""
    members["sha256"] = files._digest(members).encode()
    npz.write(members, path)


def forge_header(path, change):
    members = members_of(path)
    header = json.loads(members["model.json"])
    change(header)
    forge(path, members | {"model.json": json.dumps(header).encode()})


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "model.npz"
    fastlr.save(MODELS["logistic"](), path)
    return path


@pytest.mark.parametrize("name", MODELS)
def test_load_returns_the_same_model(tmp_path, name):
    model, path = MODELS[name](), tmp_path / "model.bin"
    fastlr.save(model, path)
    assert os.listdir(tmp_path) == ["model.bin"]
    again = fastlr.load(path)
    assert type(again) is type(model)
    assert same(model.get_params(), again.get_params())
    assert sorted(vars(model)) == sorted(vars(again))
    assert all(same(value, vars(again)[key]) for key, value in vars(model).items())
    if name == "svm folds":
        return
    X, _ = data(dtype=np.float32 if name == "float32" else np.float64)
    if hasattr(model, "decision_function"):
        assert model.decision_function(X).tobytes() == again.decision_function(X).tobytes()
    assert np.array_equal(model.predict(X), again.predict(X))
    if hasattr(model, "predict_proba"):
        assert model.predict_proba(X).tobytes() == again.predict_proba(X).tobytes()


def test_names_of_columns(tmp_path):
    pd = pytest.importorskip("pandas")
    X, y = data()
    frame = pd.DataFrame(X, columns=["a", "b", "c", "$d"])
    model = fastlr.LogisticRegression().fit(frame, y)
    fastlr.save(model, tmp_path / "m")
    again = fastlr.load(tmp_path / "m")
    assert same(again.feature_names_in_, model.feature_names_in_)
    assert np.array_equal(again.predict(frame), model.predict(frame))


def test_a_loaded_model_trains_on(tmp_path):
    X, y = data()
    model = fastlr.SGDClassifier(random_state=0).partial_fit(X, y, classes=[0, 1, 2])
    fastlr.save(model, tmp_path / "m")
    again = fastlr.load(tmp_path / "m")
    assert np.array_equal(model.partial_fit(X, y).coef_, again.partial_fit(X, y).coef_)


def test_a_network_whose_layers_do_not_fit(tmp_path):
    model = MODELS["network"]()
    for intercepts in ([np.zeros(4)], [np.zeros(3), np.zeros(3)]):
        model.intercepts_[1:] = intercepts
        model.coefs_[2:] = [np.eye(3)] * (len(intercepts) - 1)
        with pytest.raises(ValueError, match="two layers, the last of 3 units"):
            fastlr.save(model, tmp_path / "m")


def test_the_file_is_an_npz_without_objects(saved):
    with np.load(saved, allow_pickle=False) as file:
        assert file["coef_"].shape == (3, 4)
        assert json.loads(file["model.json"])["class"] == "LogisticRegression"


def test_the_same_model_makes_the_same_file(tmp_path):
    model = MODELS["sgd"]()
    fastlr.save(model, tmp_path / "a")
    fastlr.save(fastlr.load(tmp_path / "a"), tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    ("name", "value"),
    [("random_state", np.random.RandomState(0)), ("cv", KFold(2)), ("scoring", lambda model, X, y: 0.5)],
)
def test_live_parameters_are_left_out_with_a_warning(tmp_path, name, value):
    model = fitted(fastlr.LogisticRegressionCV(Cs=[1.0], cv=2).set_params(**{name: value}))
    with pytest.warns(UserWarning, match=f"parameters.{name} is a .*default"):
        fastlr.save(model, tmp_path / "m")
    assert getattr(fastlr.load(tmp_path / "m"), name) is None


def test_half_a_parameter_leaves_nothing_behind(tmp_path):
    model = MODELS["sgd"]()
    model.class_weight = {"a/b": np.arange(3), "c": object()}
    model.validation_fraction = {"a/b": np.arange(2)}
    model.power_t = {"a/b": np.arange(4)}
    with pytest.warns(UserWarning, match="class_weight"):
        fastlr.save(model, tmp_path / "m")
    again = fastlr.load(tmp_path / "m")
    assert again.class_weight is None
    assert same(again.power_t, model.power_t) and same(again.validation_fraction, model.validation_fraction)


@pytest.mark.parametrize("value", [object(), np.array([object()]), {1, 2}, np.array([[None]]), 1 + 2j])
def test_save_refuses_what_needs_pickle(tmp_path, value):
    path = tmp_path / "m"
    path.write_text("older")
    model = MODELS["sgd"]()
    model.note_ = [value]
    with pytest.raises(ValueError, match=r"note_\.0.* is a.* need pickle"):
        fastlr.save(model, path)
    assert path.read_text() == "older"


def test_save_refuses_what_is_no_model(tmp_path):
    class Own(fastlr.LogisticRegression):
        pass

    for model in (3, linear_model.LogisticRegression(), Own()):
        with pytest.raises(ValueError, match=r"model must be a .* of fastlr"):
            fastlr.save(model, tmp_path / "m")
    with pytest.raises(NotFittedError):
        fastlr.save(fastlr.LinearSVC(), tmp_path / "m")
    model = MODELS["sgd"]()
    model.coef_ = model.coef_[:2]
    with pytest.raises(ValueError, match=r"coef_ has shape \(2, 4\); .* need \(3, 4\)"):
        fastlr.save(model, tmp_path / "m")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_crash_leaves_the_older_model(saved, monkeypatch, step):
    before = saved.read_bytes()

    def crash(*_):
        raise OSError("no space left")

    monkeypatch.setattr(os, step, crash)
    with pytest.raises(OSError, match="no space"):
        fastlr.save(MODELS["sgd"](), saved)
    assert saved.read_bytes() == before and os.listdir(saved.parent) == [saved.name]


@pytest.mark.skipif(os.name != "posix", reason="links need rights elsewhere")
def test_save_writes_through_a_link(saved):
    link = saved.with_name("link")
    link.symlink_to(saved)
    fastlr.save(MODELS["sgd"](), link)
    assert link.is_symlink() and type(fastlr.load(saved)) is fastlr.SGDClassifier


@pytest.mark.skipif(os.name != "posix", reason="has no such pipes and modes elsewhere")
def test_save_writes_into_pipes_and_keeps_the_mode_of_files(saved):
    model = fastlr.load(saved)
    saved.chmod(0o600)
    fastlr.save(model, saved)
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    pipe = saved.with_name("pipe")
    os.mkfifo(pipe)
    received = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_bytes()))
    reader.start()
    fastlr.save(model, pipe)
    reader.join()
    assert pipe.is_fifo() and received == [saved.read_bytes()]


@pytest.mark.parametrize("kind", ["M8[D]", "m8[s]"])
def test_classes_that_are_times(tmp_path, kind):
    X, y = data()
    model = fastlr.SGDClassifier(max_iter=2, tol=None).fit(X, y.astype(kind))
    fastlr.save(model, tmp_path / "m")
    np.testing.assert_array_equal(fastlr.load(tmp_path / "m").predict(X), model.predict(X))


def load_or_refuse(path, content, expected):
    path.write_bytes(content)
    try:
        model = fastlr.load(path)
    except ValueError as error:
        assert str(path) in str(error)
        return 0
    assert same(vars(model), expected)
    return 1


def test_truncated_files_are_refused(saved):
    content = saved.read_bytes()
    for length in [*range(0, len(content), 37), *range(len(content) - 60, len(content))]:
        assert not load_or_refuse(saved, content[:length], None)


@pytest.mark.parametrize("flip", [0x01, 0x80, 0xFF])
def test_damaged_bytes_are_refused_or_do_not_matter(saved, flip):
    content, expected = saved.read_bytes(), vars(fastlr.load(saved))
    loaded = 0
    for place in range(flip % 7, len(content), 7):
        damaged = bytearray(content)
        damaged[place] ^= flip
        loaded += load_or_refuse(saved, damaged, expected)
    assert loaded < len(content) / 7 / 4  # dates and rights of members do not matter


def test_altered_arrays_are_refused_by_the_digest(saved):
    members = members_of(saved)
    array = bytearray(members["coef_.npy"])
    array[-1] ^= 1
    npz.write(members | {"coef_.npy": bytes(array)}, saved)
    with pytest.raises(ValueError, match="digest is wrong"):
        fastlr.load(saved)


def test_forged_headers_are_refused_or_loaded(saved):
    """With a digest that is right, nonsense goes further, but to no other exception."""
    members = members_of(saved)
    rng = np.random.default_rng(0)
    for name in ("model.json", "coef_.npy", "classes_.npy"):
        for place in rng.integers(0, min(len(members[name]), 400), 150):
            altered = bytearray(members[name])
            altered[place] = rng.choice(list(b'\x00{}[]()"$:,9-aO<'))
            forge(saved, members | {name: bytes(altered)})
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    fastlr.load(saved)
            except ValueError as error:
                assert str(saved) in str(error)


def replaced(key, value):
    return lambda header: header.update({key: value})


def attribute(name, value):
    return lambda header: header["attributes"].update({name: value})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h: h.update(schema=2, fastlr="9.9"), r"schema 2, written by fastlr 9\.9; this is fastlr 0"),
        (replaced("class", "KNeighbors"), "unknown class 'KNeighbors'"),
        (replaced("class", "SGDClassifier"), "SGDClassifier has no C"),
        (lambda h: h["parameters"].update(depth=3), "LogisticRegression has no depth"),
        (lambda h: h["parameters"].update(C={"$pickle": "x"}), r"unknown kind \$pickle"),
        (lambda h: h["parameters"].update(C={"$EarlyStopping": {"x": 1}}), "EarlyStopping"),
        (lambda h: h["attributes"].pop("n_features_in_"), "n_features_in_ must be a positive integer"),
        (lambda h: h["attributes"].pop("intercept_"), "unknown members: intercept_"),
        (attribute("n_features_in_", 5), r"coef_ has shape \(3, 4\); .* \(3, 5\)"),
        (attribute("intercept_", [0.0, 0.0, 0.0]), "unknown members: intercept_"),
        (attribute("predict", 1), "LogisticRegression has no predict"),
        (attribute("extra_", {"$array": "coef_"}), "array 'coef_' is missing"),
        (attribute("extra_", {"$array": "absent"}), "array 'absent' is missing"),
        (attribute("classes_", [0, 1, 2]), "unknown members: classes_"),
        (attribute("extra_", {"$dict": [[[], 1]]}), "unhashable"),
        (attribute("feature_names_in_", {"$objects": ["a"]}), r"feature_names_in_ has shape \(1,\)"),
        (lambda h: h.pop("attributes"), "attributes"),
        (lambda h: h.pop("schema"), "schema"),
    ],
)
def test_headers_that_make_no_sense_are_refused(saved, change, message):
    forge_header(saved, change)
    with pytest.raises(ValueError, match=message):
        fastlr.load(saved)


def npy(array):
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


@dataclass
class Bomb:
    """Tells whether it was unpickled."""

    def __reduce__(self):
        return pytest.fail, ("unpickled",)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"more.npy": npy(np.zeros(3))}, "unknown members: more"),
        ({"more.txt": b"x"}, "unknown members: more.txt"),
        ({"coef_.npy": npy(np.array([Bomb()]))}, "array coef_.npy holds pickled objects"),
        ({"coef_.npy": b"\x80\x04N."}, "magic string"),
        ({"coef_.npy": npy(np.zeros((3, 4)))[:-8]}, "truncated: 88 bytes"),
        ({"coef_.npy": npy(np.zeros((3, 4))) + b"x"}, "trailing bytes"),
        ({"coef_.npy": npy(np.zeros((3, 4), dtype="M8[s]"))}, "coef_ must be an array of float32"),
        ({"coef_.npy": npy(np.zeros((3, 4), dtype=int))}, "array of float32 or float64"),
        ({"coef_.npy": npy(np.zeros((1, 1))).replace(b"(1, 1)", b"(9**9)")}, "malformed"),
        ({"coef_.npy": npy(np.zeros((10, 10))).replace(b"(10, 10), }   ", b"(9999999, 99)}")}, "truncated"),
        ({"classes_.npy": npy(np.arange(4))}, r"coef_ has shape \(3, 4\); .* need \(4, 4\)"),
        ({"classes_.npy": npy(np.arange(1))}, "at least 2 classes"),
        ({"classes_.npy": npy(np.arange(3)).replace(b"<i8", b"<U0").replace(b"(3,)", b"(9**9,)")}, "damaged"),
        ({"classes_.npy": npy(np.zeros(9, "U1")).replace(b"<U1", b"<U0")[:-36]}, "damaged header"),
        ({"coef_.npy": npy(np.full((3, 4), np.nan))}, "coef_ holds NaN or infinite values"),
        ({"intercept_.npy": npy(np.full(3, np.inf))}, "intercept_ holds NaN or infinite values"),
        ({"model.json": b'{"schema": NaN}'}, "model.json holds NaN, which is no JSON"),
        ({"model.json": b"[" * 100_000}, "Recursion|recursion"),
        ({"model.json": b"[]"}, "indices"),
        ({"model.json": b"\xff"}, "decode"),
    ],
)
def test_members_that_make_no_sense_are_refused(saved, members, message):
    forge(saved, members_of(saved) | members)
    with pytest.raises(ValueError, match=message):
        fastlr.load(saved)


@pytest.mark.parametrize("name", ["coef_.npy", "model.json", "sha256"])
def test_missing_members_are_refused(saved, name):
    members = members_of(saved)
    del members[name]
    if name != "sha256" and name != "model.json":
        forge(saved, members)
    else:
        npz.write(members, saved)
    with pytest.raises(ValueError, match=f"{name.removesuffix('.npy')}"):
        fastlr.load(saved)


def test_compressed_and_doubled_members_are_refused(saved):
    members = members_of(saved)
    with zipfile.ZipFile(saved, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (members | {"coef_.npy": bytes(10_000_000)}).items():
            archive.writestr(name, content)
    with pytest.raises(ValueError, match="compressed"):
        fastlr.load(saved)
    npz.write(members, saved)
    with zipfile.ZipFile(saved, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("coef_.npy", members["coef_.npy"])
    with pytest.raises(ValueError, match="two members of one name"):
        fastlr.load(saved)


def test_members_larger_than_the_file_are_refused(saved):
    """The directory at the end claims 2 GB for the first member."""
    content = bytearray(saved.read_bytes())
    place = content.index(b"PK\x01\x02")
    content[place + 20 : place + 28] = b"\0\0\0\x7f" * 2  # compressed and real size
    saved.write_bytes(content)
    with pytest.raises(ValueError, match="larger than the file"):
        fastlr.load(saved)


@pytest.mark.parametrize("content", [b"", b"\x80\x04N.", b"\x93NUMPY\x01\x00", b"PK\x03\x04"])
def test_files_of_other_kinds_are_refused(tmp_path, content):
    path = tmp_path / "m"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="not a zip file"):
        fastlr.load(path)
    np.savez(tmp_path / "m.npz", x=np.zeros(3))
    with pytest.raises(ValueError, match=r"has no model.json; found: x.npy"):
        fastlr.load(tmp_path / "m.npz")
    with pytest.raises(FileNotFoundError):
        fastlr.load(tmp_path / "absent")


def test_endless_files_are_not_read():
    if os.path.exists("/dev/zero"):
        with pytest.raises(ValueError, match="/dev/zero cannot be loaded as a model: File is not a zip file"):
            fastlr.load("/dev/zero")


def test_descriptions_have_a_limit(saved, monkeypatch):
    model = fastlr.load(saved)
    before = saved.read_bytes()
    monkeypatch.setattr(files, "_MAX_HEADER", 1000)
    with pytest.raises(ValueError, match=r"model\.json has \d+ bytes; at most 1000 are read"):
        fastlr.load(saved)
    with pytest.raises(ValueError, match=r"model\.json has \d+ bytes; at most 1000 are read"):
        fastlr.save(model, saved)
    assert saved.read_bytes() == before


@pytest.mark.parametrize("name", MODELS)
def test_pickles_tell_their_version(name):
    model = MODELS[name]()
    state = model.__getstate__()
    assert state.pop("_fastlr_version") == fastlr.__version__ and same(state, vars(model))
    for copy_of in (copy.deepcopy, copy.copy, lambda model: pickle.loads(pickle.dumps(model))):
        again = copy_of(model)
        assert type(again) is type(model) and same(vars(again), vars(model))


@pytest.mark.parametrize("name", ["logistic", "grid", "svm", "svm grid", "early", "network"])
@pytest.mark.parametrize("version", ["0.0.9", None])
def test_pickles_of_other_versions_warn_and_get_new_parameters(monkeypatch, name, version):
    model = MODELS[name]()
    state = model.__getstate__() | {"_fastlr_version": version}
    if version is None:
        del state["_fastlr_version"]
    del state["n_threads"]
    monkeypatch.setattr(type(model), "__getstate__", lambda self: state)
    content = pickle.dumps(model)
    message = f"{type(model).__name__} was pickled by fastlr {version or 'of an unknown version'}"
    with pytest.warns(InconsistentVersionWarning, match=message):
        again = pickle.loads(content)
    assert again.n_threads is None and "_fastlr_version" not in vars(again)
    assert np.array_equal(again.predict(data()[0]), model.predict(data()[0]))


PEERS = {
    fastlr.LinearSVC: svm.LinearSVC,
    fastlr.LinearSVCCV: svm.LinearSVC,
    fastlr.LogisticRegression: linear_model.LogisticRegression,
    fastlr.LogisticRegressionCV: linear_model.LogisticRegression,
    fastlr.SGDClassifier: linear_model.LogisticRegression,
}


@pytest.mark.parametrize("name", [name for name in MODELS if name != "svm folds" and "network" not in name])
def test_to_sklearn_predicts_the_same(name):
    model = MODELS[name]()
    peer = fastlr.to_sklearn(model)
    assert type(peer) is PEERS[type(model)]
    X, _ = data(dtype=np.float32 if name == "float32" else np.float64)
    assert np.array_equal(peer.predict(X), model.predict(X))
    tolerance = 1e-5 if name == "float32" else 1e-12
    np.testing.assert_allclose(peer.decision_function(X), model.decision_function(X), tolerance, tolerance)
    if hasattr(model, "predict_proba"):
        np.testing.assert_allclose(peer.predict_proba(X), model.predict_proba(X), tolerance, tolerance)
    peer.coef_[:] = 0
    assert model.coef_.any()


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("activation", ["relu", "logistic", "tanh"])
def test_to_sklearn_of_a_network(classes, activation):
    model = fitted(fastlr.MLPClassifier(5, activation, max_iter=3, random_state=0), LETTERS, classes)
    peer, (X, _) = fastlr.to_sklearn(model), data()
    assert peer.hidden_layer_sizes == (5,)
    assert np.array_equal(peer.predict(X), model.predict(X))
    np.testing.assert_allclose(peer.predict_proba(X), model.predict_proba(X), 1e-12)


def test_to_sklearn_refuses():
    with pytest.raises(ValueError, match="refit=False"):
        fastlr.to_sklearn(MODELS["svm folds"]())
    with pytest.raises(ValueError, match="of fastlr"):
        fastlr.to_sklearn(linear_model.LogisticRegression())
    with pytest.raises(NotFittedError):
        fastlr.to_sklearn(fastlr.LinearSVC())
