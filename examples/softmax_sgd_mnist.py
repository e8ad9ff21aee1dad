"""
Softmax regression, and everything one can look at
==================================================

Minibatch SGD, as in an article that writes it in NumPy and then looks at everything. Curves of loss and
accuracy, early stopping and what happens without it, weights and biases as images, where the model errs, five
folds, and how much 7,000 or 700 images teach instead of 63,000. Each is one call here.
"""

import time

import matplotlib.pyplot as plt
import numpy as np
from _story import arguments, compare, digits_or_mnist, save
from sklearn.model_selection import train_test_split

from fastlr import EarlyStopping, SGDClassifier, metrics, model_selection, plots

EPOCHS = 1000
# Fewer and noisier steps for few images; the article's own for many.
SETTINGS = {
    "MNIST": {"eta0": 0.24, "batch_size": 100},
    "digits": {"eta0": 0.24, "batch_size": 10},
}


# %%
# Training
# --------
# Images stay bytes, and are divided by 255 where they are read. ``fit`` records loss and accuracy of every
# epoch.


def all_images(options):
    """Name of the data, then all images, training and test ones, as bytes, and their labels."""
    name, *parts = digits_or_mnist(options)
    X, y = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return name, X * np.uint8(15) if name == "digits" else X, y  # digits have 16 grey levels


def train(sgd, split, article=""):
    """A fit that prints how it went, beside the accuracy that the article had."""
    X, X_val, y, y_val = split
    began = time.perf_counter()
    sgd.fit(X, y, X_val=X_val, y_val=y_val)
    seconds, kept = time.perf_counter() - began, sgd.best_epoch_ - 1
    history = {key: values[kept] for key, values in sgd.history_.items()}
    compare("", "article", "fastlr")
    compare("epochs run", "", sgd.n_iter_)
    compare("epoch whose weights are kept", "", sgd.best_epoch_)
    compare("accuracy, training", "", f"{history['train_score']:.2%}")
    compare("accuracy, validation", article, f"{history['val_score']:.2%}")
    compare("mean log-loss, training", "", f"{history['loss']:.4f}")
    compare("mean log-loss, validation", "", f"{history['val_loss']:.4f}")
    compare("seconds", "", f"{seconds:.2f}, {1e3 * seconds / sgd.n_iter_:.1f} ms an epoch")
    return sgd


# %%
# A closer look
# -------------
# The weights as images, with the intercepts below; which digits are taken for which; the errors themselves.


def look_closer(sgd, X_val, y_val, out):
    """Weights, biases and errors of a model."""
    predicted = sgd.predict(X_val)
    # The article's weights act on grey levels from 0 to 1, those in coef_ on bytes.
    save(plots.plot_weights(255 * sgd.coef_, intercept=sgd.intercept_), out, "softmax-weights")
    matrix = metrics.confusion_matrix(y_val, predicted)
    print(f"\nTrue classes in rows, predicted ones in columns, {len(y_val):,} validation images:\n{matrix}")
    save(plots.plot_confusion(matrix, log=True).figure, out, "softmax-confusion")
    for true, wrong, count in metrics.most_confused(y_val, predicted, n=5):
        print(f"{count:4} times a {true} is read as a {wrong}")
    # On MNIST, 4 and 9 are confused most; of digits there are few errors in all.
    pair = (4, 9) if len(y_val) > 10000 else None
    mistakes = plots.plot_mistakes(X_val, y_val, predicted, pair=pair, n=30, n_columns=10)
    save(mistakes, out, "softmax-mistakes")


# %%
# How sure are these numbers?
# ---------------------------
# Five folds, and smaller samples.


def learning_curves(sgd, X, y, sizes, out):
    """Curves of 60 epochs on five folds, of all images and of few."""
    sgd.set_params(max_iter=60)
    results = model_selection.sample_size_history(sgd, X, y, sizes=sizes, cv=5)
    print("\nFive folds: best accuracy on the fold held out, mean and standard deviation")
    for size, result in results.items():
        scores, epochs = result.val_score, result.best_epoch + 1
        print(f"{size:7,} images: {scores.mean():.2%} +- {scores.std():.2%}, at epoch {epochs.mean():.0f}")
    save(plots.plot_kfold(results[len(y)]), out, "softmax-folds")
    tall = plt.figure(figsize=(9, 4.6), layout="constrained")  # for a legend of all sizes
    save(plots.plot_kfold(results, figure=tall), out, "softmax-sizes")


# %%
# All of it
# ---------
# Below are, in this order: the curves up to the end of patience, weights, confusions, mistakes, the curves
# without patience, folds, and sizes of the sample.


def main():
    options = arguments(__doc__)
    name, X, y = all_images(options)
    split = train_test_split(X, y, test_size=0.2, random_state=0)
    _, X_val, y_train, y_val = split
    print(f"{name}: {len(y):,} images, of which {len(y_train):,} to train on and {len(y_val):,} to validate")

    # scaling="unit" divides bytes by 255 where they are read; the images are never copied.
    sgd = SGDClassifier(**SETTINGS[name], max_iter=EPOCHS, scaling="unit", random_state=0)
    sgd.set_params(early_stopping=EarlyStopping(patience=10))
    print("\nUntil the validation accuracy has not improved for 10 epochs:")
    train(sgd, split, article="about 92%" if name == "MNIST" else "")
    save(plots.plot_history(sgd.history_, best_epoch=sgd.best_epoch_), options.out, "softmax-history")
    look_closer(sgd, X_val, y_val, options.out)

    print(f"\nAll {EPOCHS} epochs:")
    train(sgd.set_params(early_stopping=False, tol=None), split)
    val_loss = sgd.history_["val_loss"]
    lowest = 1 + int(np.argmin(val_loss))
    print(f"Lowest validation loss: {min(val_loss):.4f} after epoch {lowest}; from there it rises.")
    save(plots.plot_history(sgd.history_, best_epoch=lowest, log=True), options.out, "softmax-overfitting")

    learning_curves(sgd, X, y, (len(y), 7000, 700) if name == "MNIST" else (len(y), 700, 200), options.out)


if __name__ == "__main__":
    main()
