"""Model files of every released version are read by this one, and predict what they predicted.

`python tests/test_golden.py` writes those of the version that runs, before it is released, to
golden/VERSION; later they are not touched.
"""

import json
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

import fastlr
from fastlr.persistence.files import ESTIMATORS, SCHEMA

GOLDEN = Path(__file__).parent / "golden"
FOLDERS = sorted(path for path in GOLDEN.glob("*") if path.is_dir())
WORDS = np.array(["one", "two", "three"])
# Between them: every class, two and more classes, each type of labels and weights, and each kind of value
# that a file can hold, such as tuples, infinity, dicts of numbers, masked arrays and EarlyStopping.
MODELS = {
    "logistic": (fastlr.LogisticRegression(class_weight={0: 2.0, 2: 0.5}), np.arange(3)),
    "free": (fastlr.LogisticRegression(C=np.inf, max_iter=3), WORDS),
    "float32": (fastlr.LogisticRegression(penalty="l1", C=0.5), np.arange(3)),
    "binary": (fastlr.LogisticRegression(scaling="standard"), np.array([False, True])),
    "logistic-cv": (fastlr.LogisticRegressionCV(Cs=[0.1, 1.0], cv=2, l1_ratios=(0.0, 1.0)), np.arange(3)),
    "svm": (fastlr.LinearSVC(penalty="l1"), WORDS.astype(object)),
    "svm-cv": (fastlr.LinearSVCCV(Cs=np.array([0.1, 1.0]), cv=2), np.array([-1, 1])),
    "sgd": (fastlr.SGDClassifier(early_stopping=fastlr.EarlyStopping(2, "loss"), random_state=0), WORDS),
    "network": (fastlr.MLPClassifier((5,), max_iter=3, random_state=0), np.arange(3)),
    "binary-network": (fastlr.MLPClassifier(4, "tanh", max_iter=3, random_state=0), np.array(["a", "b"])),
}


def data(classes=3, dtype=np.float64):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 4)).astype(dtype)
    return X, np.argmax(X[:, :3] + 0.5 * rng.standard_normal((40, 3)), axis=1) % classes


def scores(model, X):
    return model.decision_function(X) if hasattr(model, "decision_function") else model.predict_proba(X)


def write(folder):
    """Writes the models, and what they predict for the first rows of the data."""
    folder.mkdir(parents=True)
    expected = {}
    for name, (model, labels) in MODELS.items():
        X, y = data(len(labels), np.float32 if name == "float32" else np.float64)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(X, labels[y])
        fastlr.save(model, folder / f"{name}.npz")
        X = X[:10]
        expected |= {
            f"{name}.X": X,
            f"{name}.labels": model.predict(X).astype(str),
            f"{name}.scores": scores(model, X),
        }
    np.savez(folder / "expected.npz", **expected)


def description(path):
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("model.json"))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_files_of_every_version_are_read(folder):
    expected = np.load(folder / "expected.npz")
    paths = sorted(set(folder.iterdir()) - {folder / "expected.npz"})
    assert {path.stem for path in paths} == {name.split(".")[0] for name in expected}
    for path in paths:
        found = description(path)
        model = fastlr.load(path)
        assert type(model).__name__ == found["class"] and found["fastlr"] == folder.name
        X, labels, values = (expected[f"{path.stem}.{part}"] for part in ("X", "labels", "scores"))
        np.testing.assert_array_equal(model.predict(X).astype(str), labels)
        # Instruction sets differ in the last bits.
        tolerance = 1e-5 if X.dtype == np.float32 else 1e-12
        np.testing.assert_allclose(scores(model, X), values, tolerance, tolerance)
        assert fastlr.to_sklearn(model).predict(X).astype(str).tolist() == labels.tolist()


def test_every_class_and_schema_has_files():
    found = [description(path) for path in GOLDEN.glob("*/*.npz") if path.name != "expected.npz"]
    assert {each["class"] for each in found} == set(ESTIMATORS)
    assert {each["schema"] for each in found} == set(range(1, SCHEMA + 1))


if __name__ == "__main__":
    write(GOLDEN / fastlr.__version__)
