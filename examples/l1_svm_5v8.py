"""
Which pixels tell a 5 from an 8?
================================

A linear SVM with an L1 penalty, as in an article on feature selection. Five values of C by cross-validation
in five folds, with the scores on the training rows too; a refit; its weights as a heat map. Takes Keras's
mnist.npz (--data mnist.npz) as the article does, or IDX files.
"""

import time

import numpy as np
from _story import arguments, compare, digits_or_mnist, save

from fastlr import LinearSVC, LinearSVCCV, plots

CS = [0.025, 0.05, 0.1, 0.2, 0.4]
# By scikit-learn's GridSearchCV and LinearSVC, on the 11,272 images of a 5 or an 8 in MNIST's 60,000.
ARTICLE = {
    "mean_train_score": [0.96291693, 0.96775192, 0.97059085, 0.97340754, 0.97626859],
    "mean_test_score": [0.95626331, 0.95990064, 0.96158623, 0.9625621, 0.96105394],
    "C": "0.2",
    "accuracy": "0.97232",
}


def fives_and_eights(options):
    """Name of the data, then the training and the test images of a 5 or an 8, between 0 and 1, and labels."""
    name, *parts = digits_or_mnist(options)
    kept = [(X[np.isin(y, [5, 8])], y[np.isin(y, [5, 8])]) for X, y in parts]
    brightest = kept[0][0].max()  # 255 of MNIST, 16 of scikit-learn's digits
    return name, *((X / brightest, y) for X, y in kept)


options = arguments(__doc__)
name, (X, y), (X_test, y_test) = fives_and_eights(options)
article = ARTICLE if name == "MNIST" else {}
print(f"{name}: {len(X):,} training images of a 5 or an 8, {len(X_test):,} test images")

# %%
# Five values of C in five folds
# ------------------------------
# All folds read one X; scores on training and on held-out rows come together.


def accuracies(results, i):
    """Mean accuracies of the folds at the C of number i, on training and on held-out rows."""
    return f"{results['mean_train_score'][i]:.5f} / {results['mean_test_score'][i]:.5f}"


began = time.perf_counter()
cv = LinearSVCCV(penalty="l1", Cs=CS, cv=5).fit(X, y)
seconds = time.perf_counter() - began
compare("", "the article", "fastlr")
for i, C in enumerate(cv.Cs_):
    theirs = accuracies(article, i) if article else ""
    compare(f"C = {C:g}: train / held-out accuracy", theirs, accuracies(cv.cv_results_, i))
compare("best C", article.get("C", ""), f"{cv.C_:g}")
compare("run time of the 26 fits, seconds", "", f"{seconds:.2f}")
save(plots.plot_scores(cv), options.out, "svm-scores")

# %%
# The pixels
# ----------
# The article's estimator, unchanged. ``GridSearchCV(svm, {"C": CS})`` works as well, with the same scores.
# Blue is ink that speaks for an 8, red for a 5; blank pixels have the weight zero.

svm = LinearSVC(loss="squared_hinge", penalty="l1", dual=False, C=cv.C_).fit(X, y)
compare("accuracy on the training images", article.get("accuracy", ""), f"{svm.score(X, y):.5f}")
compare(f"accuracy on the {len(X_test)} test images", "", f"{svm.score(X_test, y_test):.5f}")
compare("coefficients that are zero", "", f"{np.sum(svm.coef_ == 0)} of {svm.coef_.size}")
print(f"\n{svm.explain()}\n")
heat_map = plots.plot_weights(svm.coef_, intercept=svm.intercept_, classes=svm.classes_)
save(heat_map, options.out, "svm-weights")
