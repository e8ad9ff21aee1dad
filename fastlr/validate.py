"""User input becomes clean arrays here; nothing below sees anything else.

Types pass unchanged where kernels read them: uint8, float32 and float64, in any memory order, and CSR.
"""

import copy
import numbers
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from sklearn.utils import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d, validate_data

from fastlr.memory import Mapping

_KERNEL_TYPES = [np.float64, np.float32, np.uint8]
SCALINGS = (None, "unit", "standard")


@dataclass(frozen=True)
class Training:
    """Validated training data: n samples, d features.

    `unit` is the largest value of X's integer type (1 for other types); `attributes` are those that
    scikit-learn expects of a fitted estimator, to be set when the fit has succeeded.
    """

    X: object
    y: np.ndarray
    classes: np.ndarray
    weight: np.ndarray
    unit: float
    attributes: dict

    def rows(self, index):
        """Some of the samples; copies their rows of X."""
        return replace(self, X=self.X[index], y=self.y[index], weight=self.weight[index])


def check_number(name, value, kind=numbers.Real, low=-np.inf, high=np.inf, *, low_open=False, what):
    """Raises unless `value` is a number of that kind within its bounds; bools and NaN are not."""
    good = isinstance(value, kind) and not isinstance(value, (bool, np.bool_))
    # NaN fails every comparison.
    if not good or not (value > low if low_open else value >= low) or not value <= high:
        raise ValueError(f"{name} must be {what}; found {value!r}.")


def check_choice(name, value, choices):
    """Raises unless `value` is one of `choices`."""
    if not any(value is choice or (isinstance(value, str) and value == choice) for choice in choices):
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}; found {value!r}.")


def _passes_as_it_is(estimator, X):
    """Whether X needs none of scikit-learn's conversions and would pass all of its checks: these take longer
    than the scores of a few rows. Whatever is in doubt goes there."""
    return (
        type(X) is np.ndarray
        and X.dtype.char in "dfB"
        and X.dtype.isnative
        and X.ndim == 2
        and len(X) > 0
        and X.shape[1] == getattr(estimator, "n_features_in_", None)
        and not hasattr(estimator, "feature_names_in_")
        and X.flags.aligned
        and not X.strides[0] % X.itemsize
        and not X.strides[1] % X.itemsize
        and (X.dtype.char == "B" or has_finite_sum(X))
    )


def has_finite_sum(X):
    """Whether all numbers are finite; False is in doubt, as a sum may overflow."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.isfinite(X.sum())


def features(estimator, X, *, reset):
    """X as kernels read it. With `reset`, records names and number of features on the estimator."""
    Mapping(X).check()  # before the first look at it
    if not reset and _passes_as_it_is(estimator, X):
        return X
    X = validate_data(
        estimator, X, reset=reset, accept_sparse="csr", dtype=_KERNEL_TYPES, order=None,
        accept_large_sparse=True,
    )  # fmt: skip
    if not sp.issparse(X):
        whole = X.flags.aligned and not any(stride % X.itemsize for stride in X.strides)
        return X if whole else X.copy()  # a field of records, for one, lies between whole elements
    if X.dtype == np.uint8:
        X = X.astype(np.float32)
    if not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    return X


def labels(y):
    """Class labels as a 1-d array that can be sorted."""
    if y is None:
        raise ValueError("fit requires y to be passed, but the target y is None.")
    y = column_or_1d(y, warn=True)
    check_classification_targets(y)
    return y


def encode(y, classes, name="y"):
    """Labels to int32 class numbers; refuses labels that are not among the classes."""
    codes = np.searchsorted(classes, y)
    codes[codes == len(classes)] = 0
    unknown = classes[codes] != y
    if np.any(unknown):
        found = ", ".join(map(str, np.unique(y[unknown])[:5]))
        raise ValueError(f"{name} must hold only the classes seen in training; found also {found}.")
    return codes.astype(np.int32)


def _unit(X):
    """The largest value of an integer type; 1 for anything else."""
    dtype = getattr(X, "dtype", None)
    dtypes = set(getattr(X, "dtypes", ()))  # of a DataFrame
    if len(dtypes) == 1:
        # pandas's nullable types name NumPy's; frames of polars tell it when they become arrays.
        dtype = getattr(dtypes.pop(), "numpy_dtype", None) or np.asarray(X[:0]).dtype
    if isinstance(dtype, np.dtype) and dtype.kind in "iu":
        return float(np.iinfo(dtype).max)
    return 1.0


def weights(sample_weight, n, name="sample_weight"):
    """Weights as float64; ones by default."""
    if sample_weight is None:
        return np.ones(n)
    if isinstance(sample_weight, numbers.Real):
        weight = np.full(n, float(sample_weight))
    else:
        weight = np.asarray(sample_weight, dtype=np.float64)
    if weight.shape != (n,):
        raise ValueError(
            f"{name} must have one value for each of the {n} rows of X; found shape {weight.shape}. "
            f"(sample_weight.shape == {weight.shape}, expected ({n},)!)"
        )
    if not np.all(np.isfinite(weight)):
        raise ValueError(f"{name} must be finite; found NaN or infinity.")
    if np.any(weight < 0):
        raise ValueError(f"{name} must not be negative; found {weight.min()}.")
    if not np.any(weight > 0):
        raise ValueError(f"{name} must have a positive value; found only zeros.")
    return np.ascontiguousarray(weight)


def training(estimator, X, y, sample_weight=None, classes=None):
    """Checks X, y and weights; leaves the estimator as it is.

    Parameters
    ----------
    estimator : estimator
        Asked for its name and tags only.
    X, y, sample_weight : as users give them
    classes : array, optional
        The classes, if y need not show all of them.

    Returns
    -------
    Training
    """
    probe = copy.copy(estimator)
    unit = _unit(X)
    X = features(probe, X, reset=True)
    y = labels(y)
    if len(y) != X.shape[0]:
        raise ValueError(
            f"X and y must have the same number of rows; found {X.shape[0]} in X and {len(y)} in y."
        )
    try:
        found = np.unique(y) if classes is None else np.unique(classes)
    except TypeError as error:
        raise ValueError(f"y must hold labels of one type, which can be sorted; {error}.") from None
    if len(found) < 2:
        raise ValueError(
            f"This solver needs samples of at least 2 classes in the data, but the data contains only "
            f"one class: {found[0]!r}."
        )
    attributes = {
        name: value for name, value in vars(probe).items() if name in ("n_features_in_", "feature_names_in_")
    }
    weight = weights(sample_weight, X.shape[0])
    return Training(X, encode(y, found), found, weight, unit, attributes)


def balanced(class_weight, classes, y, weight):
    """Sample weights times class weights.

    Parameters
    ----------
    class_weight : dict, "balanced" or None
    classes, y : class labels, and class numbers of the rows
    weight : array of shape (n,)
    """
    if class_weight is None:
        return weight
    if not isinstance(class_weight, dict) and class_weight != "balanced":
        raise ValueError(f"class_weight must be a dict, 'balanced' or None; found {class_weight!r}.")
    if isinstance(class_weight, dict):
        factors = compute_class_weight(class_weight, classes=classes, y=classes[y])
        return weights(weight * factors[y], len(y), "class_weight, times sample_weight,")
    # As scikit-learn's, of the classes that are there: one without weight has no rows.
    mass = np.bincount(y, weights=weight, minlength=len(classes))
    present = mass > 0
    factors = np.ones(len(classes))
    factors[present] = mass.sum() / (np.count_nonzero(present) * mass[present])
    return weight * factors[y]
