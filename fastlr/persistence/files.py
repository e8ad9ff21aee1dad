"""Models in files, without pickle, and as scikit-learn's estimators.

A file is an npz archive, uncompressed:

    <attribute>.npy    each array of the model
    model.json         all the rest: schema, version of fastlr, class, parameters and attributes, in which
                       {"$array": name} stands for an array, and other keys with a $ for other types
    sha256             digest of all the other members, in hexadecimal

Loading runs no code that the file chooses. The digest detects damage and editing; someone who wants to
deceive can compute it anew, so keep models that matter where only those write whom you trust.
"""

import hashlib
import io
import json
import numbers
import struct
import warnings
import zipfile
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.utils.validation import check_is_fitted

from fastlr import npz
from fastlr._version import __version__
from fastlr.base import ScoreClassifier
from fastlr.linear_model import (
    LinearSVC,
    LinearSVCCV,
    LogisticRegression,
    LogisticRegressionCV,
    SGDClassifier,
)
from fastlr.neural_network import MLPClassifier
from fastlr.persistence import packing
from fastlr.typing import File

SCHEMA = 1
_ZIP = b"PK\3\4"  # how an archive begins
ESTIMATORS = {
    kind.__name__: kind
    for kind in (
        LinearSVC,
        LinearSVCCV,
        LogisticRegression,
        LogisticRegressionCV,
        MLPClassifier,
        SGDClassifier,
    )
}
_HEADER, _DIGEST = "model.json", "sha256"
_MAX_HEADER = 1 << 28  # bytes; as Python's objects JSON takes many times its size
# What zipfile, NumPy's reader of headers and our own unpacking of values raise on nonsense.
_NONSENSE = (
    ArithmeticError, AttributeError, EOFError, LookupError, NotImplementedError, RuntimeError, TypeError,
    ValueError, struct.error, zipfile.BadZipFile,
)  # fmt: skip


def save(model: ScoreClassifier, path: File) -> None:
    """Writes a fitted model to a file, for :func:`load` to read; without pickle.

    Parameters are stored but for live objects, such as a RandomState, a splitter or a scoring function: these
    will have their default in the loaded model, of which a warning tells.

    Parameters
    ----------
    model : fitted estimator of fastlr
        Not of a subclass, but for that in fastlr.dask, which is stored as its kind in memory. Its parameters
        and the attributes whose names end in an underscore are stored; NumPy's scalars become Python's.
    path : str or path-like
        Written exactly there; no suffix is added. An older file is replaced at once when the new one is
        complete and on the disk, which takes over its permissions, and stays as it is if anything fails
        before. A process that is killed can leave a file `.fastlr-*` beside it, which may be deleted.

    Raises
    ------
    ValueError
        If the model is none of fastlr, its attributes do not fit each other, or one cannot be stored.
    NotFittedError
        If it is not fitted.
    OSError
        If the file cannot be written: a full disk, an absent folder, a file that is write-protected.

    Warns
    -----
    UserWarning
        If a parameter is not stored.

    See Also
    --------
    load, to_sklearn

    Examples
    --------
    >>> import os, tempfile
    >>> import fastlr
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> model = fastlr.LogisticRegression().fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "iris.npz")
    ...     fastlr.save(model, path)
    ...     again = fastlr.load(path)
    >>> bool((again.predict_proba(X) == model.predict_proba(X)).all())
    True
    """
    model = _in_memory(model)
    _check_model(model)
    parameters, attributes = {}, {}
    arrays: dict[str, np.ndarray] = {}
    for name, value in model.get_params(deep=False).items():
        more = dict(arrays)
        try:
            parameters[name] = packing.pack(value, f"parameters.{name}", more)
        except packing.UnstorableError as error:
            warnings.warn(
                f"{error}: it is not stored, and a loaded model will have {name}'s default.", stacklevel=2
            )
        else:
            arrays = more
    for name, value in vars(model).items():
        if _is_attribute(name):
            attributes[name] = packing.pack(value, name, arrays)
    header = {
        "schema": SCHEMA,
        "fastlr": __version__,
        "class": type(model).__name__,
        "parameters": parameters,
        "attributes": attributes,
    }
    members = {f"{name}.npy": npz.as_bytes(array) for name, array in arrays.items()}
    members[_HEADER] = json.dumps(header, indent=1, allow_nan=False).encode()
    _check_header(members[_HEADER])
    members[_DIGEST] = _digest(members).encode()
    npz.write(members, path)


def load(path: File) -> Any:
    """Reads a model that :func:`save` has written.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    model : estimator
        With the attributes of the one that was saved; its predictions are the same to the last bit.

    Raises
    ------
    ValueError
        If the file is not such a model, is truncated or altered, comes from a version of fastlr that this one
        does not understand, or its parts do not fit each other. The message says which. That a file was
        altered shows in its SHA-256 digest, unless someone has computed that anew.
    OSError
        If the file cannot be read, such as FileNotFoundError.

    See Also
    --------
    save

    Examples
    --------
    >>> import os, tempfile
    >>> import fastlr
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "model.npz")
    ...     with open(path, "wb") as file:
    ...         _ = file.write(b"something else")
    ...     fastlr.load(path)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: ...model.npz cannot be loaded as a model: File is not a zip file
    """
    with open(path, "rb") as file:
        content = file.read(4)
        if content == _ZIP:  # devices and large files of other kinds are not read
            content += file.read()
    try:
        model = _assemble(*_read(content))
        _check_model(model)
    except _NONSENSE as error:
        what = error if isinstance(error, ValueError | zipfile.BadZipFile) else repr(error)
        raise ValueError(f"{path} cannot be loaded as a model: {what}") from error
    return model


def to_sklearn(model: ScoreClassifier) -> Any:
    """The scikit-learn estimator with the same predictions, for tools that ask for scikit-learn's classes.

    Logistic regressions and SGDClassifier become ``sklearn.linear_model.LogisticRegression`` (scikit-learn's
    own SGDClassifier is one-vs-rest, not softmax), linear support vector machines
    ``sklearn.svm.LinearSVC``, and MLPClassifier ``sklearn.neural_network.MLPClassifier``.

    Parameters
    ----------
    model : fitted estimator of fastlr

    Returns
    -------
    model : estimator of scikit-learn
        With the parameters that have a meaning there. `tol` has scikit-learn's default, as it means something
        else there; `scaling` is in the weights, but is lost when the result is fitted again. C is 1 / `alpha`
        of an SGDClassifier, whose loss is a mean: divide it by the number of samples before another fit.

    Raises
    ------
    ValueError
        If the model is none of fastlr or has no weights.
    NotFittedError
        If it is not fitted.

    See Also
    --------
    save

    Examples
    --------
    >>> import fastlr
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> peer = fastlr.to_sklearn(fastlr.SGDClassifier(max_iter=50, tol=None).fit(X, y))
    >>> type(peer)
    <class 'sklearn.linear_model._logistic.LogisticRegression'>
    >>> peer.predict(X[:2])
    array([0, 0])
    """
    model = _in_memory(model)
    _check_model(model)
    return model.to_sklearn()


def _in_memory(model):
    """The model, or what one that works elsewhere is in memory."""
    return model._in_memory() if hasattr(model, "_in_memory") else model


def _is_attribute(name):
    """Whether scikit-learn's rules make that name one of a result."""
    return name.endswith("_") and not name.startswith("_")


def _check_model(model):
    """Raises ValueError unless it is a fitted model of fastlr whose weights fit its classes and features."""
    if ESTIMATORS.get(type(model).__name__) is not type(model):
        raise ValueError(
            f"model must be a {', '.join(ESTIMATORS)} of fastlr; found an object of {type(model)!r}."
        )
    check_is_fitted(model)
    classes, d = getattr(model, "classes_", None), getattr(model, "n_features_in_", None)
    if not isinstance(classes, np.ndarray) or classes.ndim != 1 or len(classes) < 2:
        raise ValueError(f"model: classes_ must be an array of at least 2 classes; found {classes!r}.")
    if not isinstance(d, numbers.Integral) or isinstance(d, bool) or d < 1:
        raise ValueError(f"model: n_features_in_ must be a positive integer; found {d!r}.")
    columns = len(classes) if len(classes) > 2 else 1
    if hasattr(model, "coefs_"):
        _check_layers(model, d, columns)
    elif hasattr(model, "coef_"):
        _check_weights("coef_", model.coef_, (columns, d))
        _check_weights("intercept_", model.intercept_, (columns,))
    elif getattr(model, "refit", True):
        raise ValueError("model: coef_ is missing.")
    names = getattr(model, "feature_names_in_", None)
    if names is not None and np.shape(names) != (d,):
        raise ValueError(f"model: feature_names_in_ has shape {np.shape(names)}; needed: ({d},).")


def _check_layers(model, d, columns):
    coefs, intercepts = model.coefs_, model.intercepts_
    if not isinstance(coefs, list) or not isinstance(intercepts, list) or len(coefs) != len(intercepts):
        raise ValueError("model: coefs_ and intercepts_ must be lists of one array for each layer.")
    widths = [d, *(len(b) for b in intercepts)]
    if len(widths) != 3 or widths[-1] != columns:
        raise ValueError(
            f"model: there must be two layers, the last of {columns} units for these classes_; found widths "
            f"{widths[1:]}."
        )
    for layer, (W, b) in enumerate(zip(coefs, intercepts, strict=True)):
        _check_weights(f"coefs_[{layer}]", W, tuple(widths[layer : layer + 2]))
        _check_weights(f"intercepts_[{layer}]", b, (widths[layer + 1],))


def _check_weights(name, array, shape):
    sparse = name == "coef_" and sp.issparse(array)
    if not (sparse or isinstance(array, np.ndarray)) or array.dtype not in (np.float32, np.float64):
        raise ValueError(f"model: {name} must be an array of float32 or float64; found {type(array)!r}.")
    if array.shape != shape:
        raise ValueError(f"model: {name} has shape {array.shape}; its classes and features need {shape}.")
    if sparse:
        array.check_format(full_check=True)  # products read where its indices point
    if not np.isfinite(array.data if sparse else array).all():
        raise ValueError(f"model: {name} holds NaN or infinite values; needed: finite ones.")


def _assemble(header, members):
    """The model of a header and the other members, bytes by name."""
    kind, versions = header["class"], f"written by fastlr {header['fastlr']}, this is {__version__}"
    if kind not in ESTIMATORS:
        raise ValueError(f"unknown class {kind!r}; {versions}")
    arrays = {
        name.removesuffix(".npy"): npz.read_array(io.BytesIO(content), len(content), f"array {name}")
        for name, content in members.items()
        if name.endswith(".npy")
    }
    wrong = [name for name, array in arrays.items() if array.dtype.kind not in packing.ARRAY_KINDS]
    if wrong:
        raise ValueError(f"array {wrong[0]} is of {arrays[wrong[0]].dtype}")
    parameters = packing.unpack(header["parameters"], arrays)
    attributes = packing.unpack(header["attributes"], arrays)
    left = [*arrays, *(name for name in members if not name.endswith(".npy"))]
    if left:
        raise ValueError(f"unknown members: {', '.join(left)}")
    unknown = set(parameters) - set(ESTIMATORS[kind]().get_params())
    unknown |= {name for name in attributes if not _is_attribute(name)}
    if unknown:
        raise ValueError(f"{kind} has no {', '.join(sorted(unknown))}; {versions}")
    model = ESTIMATORS[kind](**parameters)
    vars(model).update(attributes)
    return model


def _check_header(content):
    if len(content) > _MAX_HEADER:
        raise ValueError(f"its {_HEADER} has {len(content)} bytes; at most {_MAX_HEADER} are read")


def _refuse(constant):
    raise ValueError(f"its {_HEADER} holds {constant}, which is no JSON")


def _digest(members):
    """SHA-256 over names, lengths and bytes of all members but the digest."""
    digest = hashlib.sha256()
    for name in sorted(set(members) - {_DIGEST}):
        digest.update(f"{name}\n{len(members[name])}\n".encode())
        digest.update(members[name])
    return digest.hexdigest()


def _read(content):
    """The header of an archive, and its other members, bytes by name, when the digest is right."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        infos = archive.infolist()
        if len({info.filename for info in infos}) < len(infos):
            raise ValueError("it has two members of one name")
        if any(info.compress_type != zipfile.ZIP_STORED for info in infos):
            raise ValueError("its members are compressed, those of fastlr.save are not")
        # Members that overlap would take more memory than the file.
        if sum(max(info.file_size, info.compress_size) for info in infos) > len(content):
            raise ValueError("its members claim to be larger than the file")
        members = {info.filename: archive.read(info) for info in infos}
    for name in (_HEADER, _DIGEST):
        if name not in members:
            raise ValueError(f"it has no {name}; found: {', '.join(members) or 'nothing'}")
    _check_header(members[_HEADER])
    header = json.loads(members[_HEADER], parse_constant=_refuse)
    if header["schema"] != SCHEMA:
        raise ValueError(
            f"schema {header['schema']}, written by fastlr {header['fastlr']}; this is fastlr {__version__}, "
            f"which reads schema {SCHEMA}"
        )
    if members.pop(_DIGEST) != _digest(members).encode():
        raise ValueError("its digest is wrong: it was altered or damaged after it was saved")
    del members[_HEADER]
    return header, members
