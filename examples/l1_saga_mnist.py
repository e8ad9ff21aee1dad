"""
Ten digits in sparse weights
============================

scikit-learn's gallery has "MNIST classification using multinomial logistic + L1". Here it is again. First the
tutorial as it stands, with one import changed. Then what its SAGA was on the way to: the optimum, with a
certificate. Then what zeros cost in accuracy, along a path of penalties. Last the same optimum once more,
straight from the bytes of the images.
"""

import time

import numpy as np
from _story import arguments, compare, digits_or_mnist, save
from sklearn.preprocessing import StandardScaler

from fastlr import LogisticRegression, logistic_path, plots

# From the tutorial's page in scikit-learn's gallery (5,000 of 70,000 images); and the objective that its SAGA
# comes to, in version 1.9, on the 5,000 images that are used here.
PAGE = {"sparsity": "74.57%", "score": "0.8253", "seconds": "7.3 (the whole page)", "objective": "72.54"}
NOBODY = dict.fromkeys(PAGE, "")  # has published this model of scikit-learn's digits


# %%
# The data
# --------
# 5,000 images of MNIST, or 1,000 of the digits that scikit-learn bundles, to train on, and others to test on.


def shuffled(options):
    """Name of the data, then the tutorial's rows: 5,000 images to train on (1,000 digits), 10,000 others."""
    name, *parts = digits_or_mnist(options)
    X, y = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    order = np.random.RandomState(0).permutation(len(X))
    train, test = np.split(order[:15_000], [5_000 if len(X) > 15_000 else 1_000])
    print(f"{name}: {len(X):,} images shuffled; training on {len(train):,}, testing on {len(test):,} others")
    return name, (X[train], y[train]), (X[test], y[test])


options = arguments(__doc__)
name, (images, y_train), (more_images, y_test) = shuffled(options)
scaler = StandardScaler()
X_train, X_test = scaler.fit_transform(images), scaler.transform(more_images)

# %%
# The tutorial
# ------------
# Its lines with one import changed, and what it prints, beside what its page has of MNIST.


def tutorial(X_train, y_train, X_test, y_test, page):
    """The tutorial's fit and what it prints."""
    began = time.perf_counter()
    clf = LogisticRegression(C=50 / len(X_train), penalty="l1", solver="saga", tol=0.1)
    clf.fit(X_train, y_train)
    seconds = time.perf_counter() - began
    compare("", "scikit-learn's page", "fastlr")
    compare("sparsity with L1 penalty", page["sparsity"], f"{np.mean(clf.coef_ == 0):.2%}")
    compare("test score with L1 penalty", page["score"], f"{clf.score(X_test, y_test):.4f}")
    compare("run time of the fit, seconds", page["seconds"], f"{seconds:.3f}")
    compare("objective", page["objective"], f"{clf.objective_:.3f}")
    return clf


clf = tutorial(X_train, y_train, X_test, y_test, PAGE if name == "MNIST" else NOBODY)
save(plots.plot_weights(clf.coef_, classes=clf.classes_), options.out, "l1-weights")

# %%
# The optimum
# -----------
# Without ``solver``, and to a tolerance that leaves no doubt. ``explain()`` tells which method ran and why,
# and between which numbers the optimum lies.


def optimum(X_train, y_train, X_test, y_test):
    """The same model, solved; which method does it is fastlr's business."""
    clf = LogisticRegression(C=50 / len(X_train), penalty="l1", tol=1e-6).fit(X_train, y_train)
    print("\nThe optimum that SAGA was on its way to:")
    compare("objective", "unknown", f"{clf.objective_:.6f}")
    compare("distance from the optimum, at most", "unknown", f"{clf.dual_gap_:.1e}")
    compare("sparsity", "unknown", f"{np.mean(clf.coef_ == 0):.2%}")
    compare("test score", "unknown", f"{clf.score(X_test, y_test):.4f}")
    print(f"\n{clf.explain()}")
    return clf


best = optimum(X_train, y_train, X_test, y_test)
save(plots.plot_weights(best.coef_, classes=best.classes_), options.out, "l1-optimum")

# %%
# What zeros cost
# ---------------
# A hundredfold range of C, on past the best test score; each fit starts from the one before.

path = logistic_path(X_train, y_train, penalty="l1", Cs=best.C * np.geomspace(0.4, 40, 12))
print(f"\n{len(path.Cs)} certified models, from C = {path.Cs[0]:.2g} to {path.Cs[-1]:.2g}:")
save(plots.plot_sparsity(path, X_test, y_test), options.out, "l1-sparsity")

# %%
# Straight from the bytes
# -----------------------
# A scaler of its own is not needed: this reads the bytes as they lie, and its ``coef_`` is for bytes.

same = LogisticRegression(C=best.C, penalty="l1", tol=1e-6, scaling="standard").fit(images, y_train)
print(f"\nFrom {images.dtype} without a scaler: {same.objective_:.6f}, the optimum again;", end=" ")
print(f"{np.mean(same.predict(more_images) == best.predict(X_test)):.2%} of the predictions agree.")
