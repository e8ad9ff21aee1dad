"""What a user writes, as mypy sees it; tests/test_typing.py has it checked, and nothing runs it."""

from typing import assert_type

import numpy as np
from numpy.typing import NDArray

import fastlr
from fastlr import EarlyStopping, LinearSVC, LinearSVCCV, LogisticRegression, MLPClassifier, SGDClassifier
from fastlr.typing import Array, Floats

X: NDArray[np.float64] = np.zeros((6, 2))
y = ["a", "b"] * 3

clf = LogisticRegression("l1", C=0.5, scaling="unit", class_weight={"a": 2.0}).fit(X, y, max_time=1.0)
assert_type(clf, LogisticRegression)
assert_type(clf.predict(X), Array)
assert_type(clf.predict_proba(X), Floats)
assert_type(clf.coef_, Floats)
assert_type(clf.dual_gap_, float)
assert_type(clf.converged_, bool)
assert_type(clf.history_["dual_gap"][-1], float)
assert_type(clf.explain(), str)
assert_type(clf.sparsify().densify(), LogisticRegression)

sgd = SGDClassifier(early_stopping=EarlyStopping(patience=5)).fit(X, y, X_val=X, y_val=y)
assert_type(sgd.partial_fit(X, y, sample_weight=np.ones(6)).best_epoch_, int)
assert_type(MLPClassifier(25, activation="tanh").fit(X, y).coefs_, list[Floats])
assert_type(LinearSVC(penalty="l1").fit(X, y).decision_function(X), Floats)
assert_type(LinearSVCCV(Cs=[0.1, 1.0]).fit(X, y).C_, float)
assert_type(fastlr.LogisticRegressionCV(Cs=5, l1_ratios=(0.5, 1.0)).fit(X, y).scores_, Floats)
Cs, coefs, intercepts = fastlr.logistic_path(X, y, Cs=3)
assert_type(coefs, Array)
fastlr.save(clf, "model.npz")
assert_type(fastlr.metrics.most_confused(y, clf.predict(X))[0][2], int)

LogisticRegression("l3")  # mistake: arg-type
SGDClassifier(loss="hinge")  # mistake: arg-type
MLPClassifier(hidden_units=3)  # mistake: call-arg
clf.fit(X, y, max_time="1 s")  # mistake: arg-type
print(clf.dual_gap_.shape)  # mistake: attr-defined
fastlr.save(X, "model.npz")  # mistake: arg-type
