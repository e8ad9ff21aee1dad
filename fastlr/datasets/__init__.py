"""Readers for digit images: scikit-learn's digits, MNIST from IDX files, npz or OpenML, MATLAB's .mat.

Every reader returns plain arrays: images as stored (no scaling), one image per row, and labels in int64;
those of MNIST and the digits as ``(X_train, y_train), (X_test, y_test)``, images in uint8.
"""

from fastlr.datasets.idx import read_idx
from fastlr.datasets.mat import load_mat
from fastlr.datasets.mnist import fetch_mnist, load_digits, load_mnist, load_mnist_idx, load_mnist_npz

__all__ = [
    "fetch_mnist",
    "load_digits",
    "load_mat",
    "load_mnist",
    "load_mnist_idx",
    "load_mnist_npz",
    "read_idx",
]
