"""Tables from files: features and labels for the command line, whatever the kind of file.

The work is done by numpy, scipy, scikit-learn, pandas and pyarrow; here it is only decided what of a file is
what. Nothing is ever unpickled. Shapes: n rows, d features.
"""

import gzip
import zlib
from pathlib import Path

from fastlr.readers.arrays import read_folder, read_libsvm, read_mat, read_npy, read_npz
from fastlr.readers.frames import read_csv, read_parquet
from fastlr.readers.table import Model, Table, checked
from fastlr.typing import File, Names

__all__ = ["Table", "read_table"]


def read_table(
    path: File,
    target: str | int | None = None,
    *,
    n_features: int | None = None,
    feature_names: Names | None = None,
) -> Table:
    """Read features and labels from a file.

    ======================== ===========================================================================
    .npz                     arrays X and y, x_train and y_train (Keras; with x_test and y_test), data and
                             target, or images and labels; or a scipy.sparse matrix
    .npy                     a matrix with the labels in a column
    .csv, .tsv (.gz), or "-" a table with or without a line of names; "-" is CSV from standard input
    .libsvm, .svm, .svmlight sparse rows, each after its label
    .parquet                 a table; needs pyarrow
    .mat                     X and y; 400 features with labels 1 to 10 are turned as by
                             :func:`fastlr.datasets.load_mat`
    a folder                 MNIST's four IDX files
    ======================== ===========================================================================

    Parameters
    ----------
    path : str or path-like
    target : str or int, optional
        The labels: name or number (from 0) of a column, which is the last one by default; of a .npz, the name
        of an array, or a .npy file of labels.
    n_features : int, optional
        The features that a model needs. A table of so many columns has no labels then.
    feature_names : sequence of str, optional
        Their names: columns are taken by these, in any order, where the table has names.

    Returns
    -------
    Table
        Tables of text (.csv, .parquet) that hold whole numbers from 0 to 255 only are in uint8.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is damaged or empty, features are not finite numbers, labels are missing, or `target` or the
        features that a model needs are not in it.
    ModuleNotFoundError
        If pandas or pyarrow are needed and not installed.

    Examples
    --------
    >>> import os, tempfile
    >>> from fastlr.readers import read_table
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "flowers.csv")
    ...     with open(path, "w") as file:
    ...         _ = file.write("length,width,kind\\n5.1,3.5,setosa\\n7.0,3.2,versicolor\\n")
    ...     table = read_table(path)
    >>> table.X
    array([[5.1, 3.5],
           [7. , 3.2]])
    >>> table.y.tolist(), table.names, table.target
    (['setosa', 'versicolor'], ['length', 'width'], "column 'kind'")
    """
    read = _reader(path)
    model = None
    if n_features is not None:
        model = Model(n_features, None if feature_names is None else [str(name) for name in feature_names])
    try:
        return checked(read(path, target, model), model)
    except (ValueError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        message = str(error)
        if not message.startswith(str(path)):
            message = f"{'standard input' if path == '-' else path}: {message}"
        raise ValueError(message) from error


def _reader(path):
    if path == "-":
        return read_csv
    path = Path(path)
    if path.is_dir():
        return read_folder
    suffix = path.suffix.lower()
    if suffix == ".gz" and Path(path.stem).suffix.lower() in (".csv", ".tsv", *_LIBSVM):
        suffix = Path(path.stem).suffix.lower()
    if suffix not in READERS:
        raise ValueError(
            f"{path}: files of type {suffix or '(none)'} cannot be read; needed: a folder of IDX files, or "
            f"one of {', '.join(READERS)}"
        )
    return READERS[suffix]


_LIBSVM = (".libsvm", ".svm", ".svmlight")
READERS = {
    ".npz": read_npz,
    ".npy": read_npy,
    ".csv": read_csv,
    ".tsv": read_csv,
    **dict.fromkeys(_LIBSVM, read_libsvm),
    ".parquet": read_parquet,
    ".mat": read_mat,
}
