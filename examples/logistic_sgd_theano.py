"""
The tutorial that needed a GPU
==============================

Logistic regression as in Theano's deep learning tutorial, without a graph, a compiler or a GPU. Minibatches
in order, the validation error after each epoch, patience counted in minibatches; the best model goes to a
file and is read again to predict. Then the tutorial's second script, conjugate gradients: what it looks for
does not exist, and the nearest thing that does comes with a certificate.
"""

import tempfile
import warnings
from pathlib import Path

import numpy as np
from _story import arguments, compare, digits_or_mnist, save
from sklearn.exceptions import ConvergenceWarning

import fastlr
from fastlr import EarlyStopping, LogisticRegression, LogisticRegressionCV, SGDClassifier, plots

# From the tutorial's page. Its errors are of whole minibatches: of 9,600 of the 10,000 images of a set.
PAGE = {"epochs": "74", "best": "73", "validation": "7.500 %", "test": "7.489 %", "speed": "1.94, GPU 10"}
NOBODY = dict.fromkeys(PAGE, "")  # has published this of scikit-learn's digits
# Grey levels are divided by `levels`: the tutorial's file of MNIST holds bytes / 256.
SETTINGS = {
    "MNIST": {"levels": 256, "batch_size": 600, "patience": 5000, "Cs": [0.1, 0.3, 1.0]},
    "digits": {"levels": 17, "batch_size": 20, "patience": 1000, "Cs": [0.1, 1.0, 10.0]},
}


# %%
# Minibatches and patience
# ------------------------
# ``EarlyStopping`` has the tutorial's rule: patience counts minibatches, and real improvement doubles it.


def whole(X, y, batch_size):
    """The whole minibatches of a set."""
    n = len(y) - len(y) % batch_size
    return X[:n], y[:n]


def errors(model, X, y):
    """Share of wrong predictions, in percent."""
    return 100 * (1 - model.score(X, y))


def descend(train, validation, batch_size, patience, verbose=0):
    """The tutorial's training; all that it says about early stopping is in `rule`."""
    rule = EarlyStopping(patience=patience, patience_increase=2, improvement_threshold=0.995)
    sgd = SGDClassifier(eta0=0.13, batch_size=batch_size, shuffle=False, drop_last=True, verbose=verbose)
    X_val, y_val = validation
    return sgd.set_params(early_stopping=rule).fit(*train, X_val=X_val, y_val=y_val)


def report(sgd, validation, test, page):
    """What the tutorial prints at the end, and the weights that it keeps."""
    print()
    compare("", "tutorial", "fastlr")
    compare("epochs run", page["epochs"], sgd.n_iter_)
    compare("epoch of the best model", page["best"], sgd.best_epoch_)
    compare(f"error on {len(validation[1]):,} validation images", page["validation"],
            f"{errors(sgd, *validation):.3f} %")  # fmt: skip
    compare(f"error on the first {len(test[1]):,} test images", page["test"], f"{errors(sgd, *test):.3f} %")
    compare("epochs per second", page["speed"], f"{sgd.n_iter_ / sgd.history_['time'][-1]:.0f}")


# %%
# A model in a file
# -----------------
# The tutorial pickles its model; here it is arrays and a description, and loading it runs no code.


def predict(path, images):
    """What a model in a file reads in images; this could be another program on another machine."""
    return fastlr.load(path).predict(images)


# %%
# Conjugate gradients
# -------------------
# The tutorial's second script minimises a loss that has no minimum. The certificate says so; with a light
# penalty there is one, and it is found.


def without_penalty(X, y):
    """The tutorial's other script: 50 iterations of conjugate gradients on the mean log-loss."""
    cg = LogisticRegression(penalty=None, solver="cg", max_iter=50)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # no wonder, as is printed below
        cg.fit(X, y)
    inked = np.array([(X[y == label] > 0).any(axis=0) for label in cg.classes_])
    print(f"\nConjugate gradients without a penalty, {cg.n_iter_[0]} iterations:")
    print(
        f"mean log-loss {cg.objective_ / len(y):.4f}, certified gap {cg.dual_gap_ / len(y):.4f}, all of it."
    )
    print(
        f"There is no minimum: {np.sum(inked.sum(axis=0) == 1)} pixels have ink in one class only, and more"
    )
    print("weight there, for that class, lowers the loss for ever.")
    return cg


def with_penalty(train, validation, Cs):
    """Conjugate gradients on an objective that has a minimum, with the C that validates best."""
    X, y = (np.concatenate(parts) for parts in zip(train, validation, strict=True))
    n = len(train[1])
    fold = np.arange(n), np.arange(n, len(y))
    cv = LogisticRegressionCV(Cs=Cs, l1_ratios=(0,), cv=[fold], solver="cg", tol=1e-3, refit=False)
    best = LogisticRegression(C=cv.fit(X, y).C_, solver="cg", tol=1e-6).fit(*train)
    mean = 1 / (best.C * n)  # from fastlr's objective to the mean log-loss plus a penalty
    print(f"\nWith the penalty |W|^2 / {2 / mean:,.0f}, C = {best.C:g} being the best of {Cs}:")
    print(f"objective {best.objective_ * mean:.7f}, at most {best.dual_gap_ * mean:.1e} above the optimum,")
    print(f"after {best.n_iter_[0]} iterations and {best.history_['time'][-1]:.1f} s.")
    return best


# %%
# All of it
# ---------
# Below are, in this order: the curves of training, the weights, ten test images with what is read in them,
# and objective and duality gap of conjugate gradients with a penalty.


def main():
    options = arguments(__doc__)
    name, (X, y), (X_test, y_test) = digits_or_mnist(options)
    levels, batch_size, patience, Cs = SETTINGS[name].values()
    n = len(y) * 5 // 6
    images = X / np.float32(levels)
    train, validation = (images[:n], y[:n]), whole(images[n:], y[n:], batch_size)
    test = whole(X_test / np.float32(levels), y_test, batch_size)
    print(f"{name}: {n:,} images to train on, {len(validation[1]):,} to validate, {len(test[1]):,} to test")

    sgd = descend(train, validation, batch_size, patience, verbose=1)
    report(sgd, validation, test, PAGE if name == "MNIST" else NOBODY)
    save(plots.plot_history(sgd.history_, best_epoch=sgd.best_epoch_), options.out, "theano-history")
    save(plots.plot_weights(sgd.coef_, classes=sgd.classes_), options.out, "theano-filters")

    images = X / np.float32(levels - 1)
    validation_1 = whole(images[n:], y[n:], batch_size)
    again = descend((images[:n], y[:n]), validation_1, batch_size, patience)
    print(f"\nOf bytes / {levels - 1} instead of {levels}, the same rule makes {again.n_iter_} epochs,")
    print(f"and the error on validation images is {errors(again, *validation_1):.3f} %.")

    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "best_model.npz"
        fastlr.save(sgd, model)
        ten = predict(model, test[0][:10])
        print(f"\nThe first ten test labels are {y_test[:10]},\n  and {model.name} predicts {ten}.")
    save(plots.plot_images(X_test[:10], titles=ten), options.out, "theano-ten")

    cg, best = without_penalty(*train), with_penalty(train, validation, Cs)
    print("\nErrors, %            | validation | test")
    for what, fitted in ("SGD, stopped early", sgd), ("CG, no penalty", cg), ("CG, to the optimum", best):
        print(f"{what:20} | {errors(fitted, *validation):10.3f} | {errors(fitted, *test):.3f}")
    save(plots.plot_history(best.history_), options.out, "theano-cg")


if __name__ == "__main__":
    main()
