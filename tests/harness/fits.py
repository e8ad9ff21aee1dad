"""One fit of every kind on little data, for checkers that make Python slow: valgrind, sanitizers."""

import warnings

import numpy as np
import scipy.sparse as sp

from fastlr import LinearSVC, LogisticRegression, LogisticRegressionCV, MLPClassifier, SGDClassifier
from fastlr.solvers import SOLVERS

rng = np.random.default_rng(0)
n, d = 61, 800  # wide enough for two slices of the features
X = rng.integers(0, 256, (n, d)).astype(np.uint8)
LABELS = np.arange(n) % 2, np.arange(n) % 3
FORMS = {
    "uint8": X,
    "float32": X.astype(np.float32) / 255,
    "float64": X / 255,
    "Fortran": np.asfortranarray(X[:, :37] / 255),
    "gaps": (X / 255)[::-1, ::3],
    "CSR": sp.csr_matrix(X * (X > 128) / 255),
    "CSR float32": sp.csr_matrix(X * (X > 200) / 255, dtype=np.float32),
}


def models():
    short = {"max_iter": 3, "n_threads": 2}
    for name, solver in SOLVERS.items():
        for penalty in ("l2",) if solver.smooth_only else ("l1", "l2"):
            yield LogisticRegression(solver=name, penalty=penalty, random_state=0, **short)
    yield LogisticRegression(warm_start=True, fit_intercept=False, class_weight="balanced", **short)
    yield LogisticRegressionCV(Cs=2, cv=2, **short)
    yield LinearSVC(**short)
    yield SGDClassifier(momentum=0.9, random_state=0, **short)
    yield SGDClassifier(penalty="l1", batch_size=7, random_state=0, **short)
    for activation in ("relu", "logistic", "tanh"):
        yield MLPClassifier(9, activation=activation, random_state=0, **short)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    done, refused = 0, set()
    for form, data in FORMS.items():
        for y in LABELS:
            for model in models():
                try:
                    model.fit(data, y, sample_weight=rng.random(n) * (rng.random(n) < 0.9))
                except ValueError as error:  # networks do not read CSR
                    refused.add(f"{type(model).__name__} on {form}: {error}")
                    continue
                model.predict(data)
                done += 1
                for method in ("decision_function", "predict_proba"):
                    if hasattr(model, method):
                        getattr(model, method)(data[:5])
    print(done, "fits; refused:", *refused or ["none"], sep="\n")
