"""Digit images: scikit-learn's digits, and MNIST from IDX files, npz or OpenML.

Shapes: n images, h x w pixels, d = h * w features.
"""

import importlib.util
import math
from pathlib import Path

import numpy as np

from fastlr.datasets.idx import read_idx
from fastlr.npz import open_npz, read_member
from fastlr.typing import File, Seed, Split


def load_digits(*, test_size: float = 0.2, random_state: Seed = 0) -> Split:
    """Load scikit-learn's bundled handwritten digits, split with equal class frequencies.

    Parameters
    ----------
    test_size : float or int, default=0.2
        Fraction (or number) of the 1,797 images that go to the test set.
    random_state : int, RandomState instance or None, default=0
        Seed of the split.

    Returns
    -------
    (X_train, y_train), (X_test, y_test) : tuple of tuples of ndarrays
        X of shape (n, 64), uint8 grey levels 0 (white) to 16 (black) of 8 x 8 pixels; y of shape
        (n,), int64 digits 0 to 9.

    Raises
    ------
    ValueError
        If `test_size` leaves an empty set (raised by scikit-learn).

    Examples
    --------
    >>> from fastlr.datasets import load_digits
    >>> (X_train, y_train), (X_test, y_test) = load_digits()
    >>> X_train.shape, X_test.shape, X_train.dtype
    ((1437, 64), (360, 64), dtype('uint8'))
    """
    from sklearn import datasets
    from sklearn.model_selection import train_test_split

    X, y = datasets.load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(
        X.astype(np.uint8),
        y.astype(np.int64),
        test_size=test_size,
        random_state=random_state,
        stratify=y,
    )
    return (X_train, y_train), (X_test, y_test)


def load_mnist(source: File | None = None, *, flatten: bool = True) -> Split:
    """Load MNIST from a folder of IDX files, from an npz file, or from OpenML.

    Parameters
    ----------
    source : str or path-like, optional
        A folder is read by :func:`load_mnist_idx`, a file by :func:`load_mnist_npz`; None downloads
        (once) with :func:`fetch_mnist`.
    flatten : bool, default=True
        True gives images of shape (n, d), False gives (n, h, w).

    Returns
    -------
    (X_train, y_train), (X_test, y_test) : tuple of tuples of ndarrays
        uint8 images (grey levels 0 to 255) and int64 labels of shape (n,).

    Raises
    ------
    FileNotFoundError
        If `source` does not exist, or a folder lacks one of the four files.
    ValueError
        If a file is damaged or does not hold images and labels.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> from fastlr.datasets import load_mnist
    >>> images, labels = np.zeros((3, 28, 28), np.uint8), np.array([5, 0, 4], np.uint8)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "mnist.npz")
    ...     np.savez(path, x_train=images, y_train=labels, x_test=images, y_test=labels)
    ...     (X_train, y_train), (X_test, y_test) = load_mnist(path, flatten=False)
    >>> X_train.shape, y_test
    ((3, 28, 28), array([5, 0, 4]))
    """
    if source is None:
        return fetch_mnist(flatten=flatten)
    path = Path(source)
    if path.is_dir():
        return load_mnist_idx(path, flatten=flatten)
    if path.is_file():
        return load_mnist_npz(path, flatten=flatten)
    raise FileNotFoundError(f"{path} does not exist; needed: a folder of IDX files or a .npz")


def load_mnist_npz(path: File, *, flatten: bool = True) -> Split:
    """Load Keras's ``mnist.npz``: the arrays x_train, y_train, x_test and y_test.

    Parameters
    ----------
    path : str or path-like
        The npz file. Nothing in it is unpickled.
    flatten : bool, default=True
        True gives images of shape (n, d), False gives (n, h, w).

    Returns
    -------
    (X_train, y_train), (X_test, y_test) : tuple of tuples of ndarrays
        uint8 images (grey levels 0 to 255) and int64 labels of shape (n,).

    Raises
    ------
    ValueError
        If the file is not an npz archive, lacks one of the four arrays, is damaged, or holds
        arrays that are not uint8 images and integer labels of equal length.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> from fastlr.datasets import load_mnist_npz
    >>> images, labels = np.zeros((3, 28, 28), np.uint8), np.array([5, 0, 4], np.uint8)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "mnist.npz")
    ...     np.savez(path, x_train=images, y_train=labels, x_test=images, y_test=labels)
    ...     (X_train, y_train), (X_test, y_test) = load_mnist_npz(path)
    >>> X_train.shape, y_train
    ((3, 784), array([5, 0, 4]))
    """
    with open_npz(path) as archive:
        arrays = {
            name: read_member(archive, name, path) for name in ("x_train", "y_train", "x_test", "y_test")
        }
    return tuple(
        _images_and_labels(arrays[f"x_{part}"], arrays[f"y_{part}"], flatten, f"{path} ({part})")
        for part in ("train", "test")
    )


def load_mnist_idx(folder: File, *, flatten: bool = True) -> Split:
    """Load the four IDX files of MNIST, plain or gzip-compressed, from one folder.

    Parameters
    ----------
    folder : str or path-like
        Holds ``train-images-idx3-ubyte`` and ``train-labels-idx1-ubyte``, and the test set under
        ``t10k-*`` or else ``t3k-*``; each may end in ``.gz``, and be spelt
        ``train-images.idx3-ubyte``.
    flatten : bool, default=True
        True gives images of shape (n, d), False gives (n, h, w).

    Returns
    -------
    (X_train, y_train), (X_test, y_test) : tuple of tuples of ndarrays
        uint8 images (grey levels 0 to 255) and int64 labels of shape (n,).

    Raises
    ------
    FileNotFoundError
        If one of the four files is absent.
    ValueError
        If a file is damaged (see :func:`read_idx`), or images and labels differ in length.

    Examples
    --------
    >>> import os, tempfile
    >>> from fastlr.datasets import load_mnist_idx
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for part in ("train", "t10k"):  # two images of 1 x 3 pixels, two labels
    ...         with open(os.path.join(folder, part + "-images-idx3-ubyte"), "wb") as file:
    ...             _ = file.write(bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3]))
    ...             _ = file.write(bytes([0, 50, 100, 150, 200, 250]))
    ...         with open(os.path.join(folder, part + "-labels-idx1-ubyte"), "wb") as file:
    ...             _ = file.write(bytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 4]))
    ...     (X_train, y_train), (X_test, y_test) = load_mnist_idx(folder)
    >>> X_train
    array([[  0,  50, 100],
           [150, 200, 250]], dtype=uint8)
    >>> y_train
    array([7, 4])
    """
    pairs = [_find_pair(Path(folder), stems) for stems in (("train",), ("t10k", "t3k"))]
    return tuple(
        _images_and_labels(read_idx(images), read_idx(labels), flatten, f"{images}, {labels}")
        for images, labels in pairs
    )


def fetch_mnist(*, data_home: File | None = None, flatten: bool = True) -> Split:
    """Download MNIST from OpenML (``mnist_784``), or read the copy that scikit-learn cached.

    Parameters
    ----------
    data_home : str or path-like, optional
        scikit-learn's cache folder; by default ``~/scikit_learn_data``.
    flatten : bool, default=True
        True gives images of shape (n, 784), False gives (n, 28, 28).

    Returns
    -------
    (X_train, y_train), (X_test, y_test) : tuple of tuples of ndarrays
        The first 60,000 and the last 10,000 images, uint8 grey levels 0 to 255, and int64 labels.

    Raises
    ------
    OSError
        If OpenML cannot be reached and nothing is cached (raised by scikit-learn).
    ValueError
        If what came is not 70,000 images of 784 pixels.

    Examples
    --------
    >>> from fastlr.datasets import fetch_mnist
    >>> (X_train, y_train), (X_test, y_test) = fetch_mnist()  # doctest: +SKIP
    >>> X_test.shape  # doctest: +SKIP
    (10000, 784)
    """
    from sklearn import datasets

    # The pandas parser is several times faster and leaner; without pandas the other one serves.
    parser = "pandas" if importlib.util.find_spec("pandas") else "liac-arff"
    X, y = datasets.fetch_openml(
        "mnist_784",
        version=1,
        data_home=data_home,
        as_frame=False,
        return_X_y=True,
        parser=parser,
    )
    if X.shape != (70_000, 784):
        raise ValueError(f"OpenML mnist_784 has shape {X.shape}; needed: (70000, 784)")
    images, labels = X.astype(np.uint8).reshape(-1, 28, 28), y.astype(np.int64)
    return tuple(
        _images_and_labels(images[rows], labels[rows], flatten, "OpenML mnist_784")
        for rows in (slice(60_000), slice(60_000, None))
    )


def _find_pair(folder, stems):
    """Paths of the image and label files of the first stem that has images in `folder`."""
    if not folder.is_dir():
        raise FileNotFoundError(f"folder: {folder} is not a folder")
    for stem in stems:
        images = _find(folder, f"{stem}-images", "idx3-ubyte")
        if images is None:
            continue
        labels = _find(folder, f"{stem}-labels", "idx1-ubyte")
        if labels is None:
            raise FileNotFoundError(f"{folder}: has {images.name} but no {stem}-labels-idx1-ubyte")
        return images, labels
    wanted = " or ".join(f"{stem}-images-idx3-ubyte" for stem in stems)
    raise FileNotFoundError(f"{folder}: has no file {wanted} (plain or .gz)")


def _find(folder, start, end):
    names = (f"{start}{separator}{end}{suffix}" for separator in "-." for suffix in ("", ".gz"))
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _images_and_labels(images, labels, flatten, where):
    if images.ndim != 3 or images.dtype != np.uint8:
        raise ValueError(
            f"{where}: images have shape {images.shape} and type {images.dtype}; "
            "needed: (n, height, width) in uint8"
        )
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"{where}: labels have shape {labels.shape} and type {labels.dtype}; "
            "needed: (n,) in an integer type"
        )
    if len(images) != len(labels):
        raise ValueError(f"{where}: {len(images)} images but {len(labels)} labels")
    if flatten:
        images = images.reshape(len(images), math.prod(images.shape[1:]))
    return images, labels.astype(np.int64)
