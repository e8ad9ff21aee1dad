"""User input becomes clean arrays here; nothing below sees anything else.

Types pass unchanged where kernels read them: uint8, float32 and float64, in any memory order, and CSR.
"""

import copy
import math
import numbers
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from sklearn.utils import check_random_state, compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d, validate_data

from fastlr.memory import Mapping

_FEW_NUMBERS = 10_000
_KERNEL_TYPES = [np.float64, np.float32, np.uint8]
# Certified fits multiply squares of X with weights and strengths: beyond this float64 might not hold them.
SMALLEST, LARGEST = 1e-100, 1e100
BAND = f"from {SMALLEST:.0e} to {LARGEST:.0e}"
SCALINGS = (None, "unit", "standard")
# How Python and NumPy begin to tell of what is no number: they do not know of which argument.
_CONVERSIONS = (
    "could not convert", "setting an array", "float() argument", "Cannot cast", "int too large", "The DType",
)  # fmt: skip
# Kernels read the numbers of features as int32.
_MOST_FEATURES = np.iinfo(np.int32).max


@dataclass(frozen=True)
class Training:
    """Validated training data: n samples, d features.

    `unit` is the largest value of X's integer type (1 for other types); `attributes` are those that
    scikit-learn expects of a fitted estimator, to be set when the fit has succeeded. `kept` are the numbers
    of the rows to train on, None for all.
    """

    X: object
    y: np.ndarray
    classes: np.ndarray
    weight: np.ndarray
    unit: float
    attributes: dict
    kept: np.ndarray | None = None

    def rows(self, index):
        """Some of the samples; copies their rows of X."""
        return replace(self, X=self.X[index], y=self.y[index], weight=self.weight[index])

    def only(self, index):
        """The same for a large X, whose rows stay where they are: others have no weight."""
        weight = np.zeros_like(self.weight)
        weight[index] = self.weight[index]
        return replace(self, weight=weight, kept=index)


def check_number(name, value, kind=numbers.Real, low=-np.inf, high=np.inf, *, low_open=False, what):
    """Raises unless `value` is a number of that kind within its bounds; bools and NaN are not."""
    good = isinstance(value, kind) and not isinstance(value, (bool, np.bool_))
    if good and kind is numbers.Real:
        try:
            float(value)
        except OverflowError:  # an integer
            good = False
    # NaN fails every comparison.
    if not good or not (value > low if low_open else value >= low) or not value <= high:
        raise ValueError(f"{name} must be {what}; found {value!r}.")


def check_choice(name, value, choices):
    """Raises unless `value` is one of `choices`."""
    if not any(value is choice or (isinstance(value, str) and value == choice) for choice in choices):
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}; found {value!r}.")


def check_strength(name, value, infinite=True):
    """Raises unless `value` is a positive number that certified fits can take, or infinite if it may be."""
    high = np.inf if infinite else LARGEST
    what = f"a positive number {BAND}" + (", or infinite" if infinite else "")
    check_number(name, value, low=SMALLEST, high=high, what=what)
    if LARGEST < value < np.inf:
        raise ValueError(f"{name} must be {what}; found {value!r}.")


def check_patience(name, value):
    """Raises unless `value` is a number of epochs, or infinite."""
    if not (isinstance(value, float) and value == np.inf):
        check_number(name, value, numbers.Integral, 1, what="an integer of at least 1 or infinity")


def check_jobs(n_jobs):
    """Raises unless that is None or a number of jobs."""
    whole = isinstance(n_jobs, numbers.Integral) and not isinstance(n_jobs, (bool, np.bool_))
    if n_jobs is not None and not (whole and n_jobs):
        raise ValueError(f"n_jobs must be None or an integer other than 0; found {n_jobs!r}.")


def check_flags(estimator, *names):
    """Raises unless the parameters of these names are bools: "no" and NaN would count as True."""
    for name in names:
        value = getattr(estimator, name)
        if not isinstance(value, (bool, np.bool_)):
            raise ValueError(f"{name} must be True or False; found {value!r}.")


def random_state(value):
    """The RandomState that the parameter `random_state` stands for."""
    try:
        return check_random_state(value)
    except ValueError:
        raise ValueError(
            f"random_state must be None, an integer from 0 to 2**32 - 1 or a RandomState; found {value!r}."
        ) from None


@contextmanager
def about(name):
    """Errors within name this argument."""
    try:
        yield
    except (TypeError, ValueError, ArithmeticError) as error:
        if str(error).startswith(name):
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{name}: {error}") from error


def _refuse_in_disguise(values, name, kinds):
    """Raises for what NumPy would make numbers of in silence: masked values, complex numbers, dates."""
    if np.ma.is_masked(values):
        raise ValueError(
            f"{name} must have no masked values; found {np.ma.count_masked(values)}. Fill them in first."
        )
    # A DataFrame has several.
    for dtype in [values.dtype] if hasattr(values, "dtype") else getattr(values, "dtypes", ()):
        kind = getattr(dtype, "kind", None)
        if kind == "c":
            raise ValueError(f"Complex data not supported: {name} must hold real numbers; found {dtype}.")
        if kind is not None and kind in kinds:
            raise ValueError(f"{name} must hold numbers; found {dtype}.")


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
    if X.size <= _FEW_NUMBERS:  # squares by BLAS, which warns of nothing, take a third of the time
        flat = X.ravel(order="K")
        return math.isfinite(np.vdot(flat, flat))
    with np.errstate(over="ignore", invalid="ignore"):
        return np.isfinite(X.sum())


def features(estimator, X, *, reset):
    """X as kernels read it. With `reset`, records names and number of features on the estimator."""
    Mapping(X).check()  # before the first look at it
    if hasattr(X, "from_parquet"):
        raise TypeError(
            "X must be an array here; found Blocks, which the fits of LogisticRegression and SGDClassifier "
            "take."
        )
    if not reset and _passes_as_it_is(estimator, X):
        return X
    _refuse_in_disguise(X, "X", "mM")
    if sp.issparse(X):
        _refuse_corrupt(X)
    given = X
    try:
        with np.errstate(over="ignore", invalid="ignore"):  # what comes of it is refused
            X = validate_data(
                estimator, X, reset=reset, accept_sparse="csr", dtype=_KERNEL_TYPES, order=None,
                accept_large_sparse=True,
            )  # fmt: skip
    except (TypeError, ValueError, OverflowError) as error:
        if not str(error).startswith(_CONVERSIONS):
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"X must hold numbers, in rows of one length; {error}") from None
    if sp.issparse(X):
        if X is not given:
            _refuse_corrupt(X)
        return _canonical(X)
    whole = X.flags.aligned and not any(stride % X.itemsize for stride in X.strides)
    return X if whole else X.copy()  # a field of records, for one, lies between whole elements


def _refuse_corrupt(X):
    """Raises where a sparse X leads out of its shape or its arrays. Neither scipy nor the kernels look, and
    would read and write there."""
    if X.ndim != 2:  # which scikit-learn refuses
        return
    if max(X.shape) > _MOST_FEATURES:
        raise ValueError(
            f"X must have at most {_MOST_FEATURES} rows and columns where it is sparse; found {X.shape}."
        )
    try:
        good = _stays_within(X)
    except (TypeError, ValueError, AttributeError, ArithmeticError):  # no arrays, or of other dimensions
        good = False
    if not good:
        raise ValueError(
            f"X must have indices that stay within its shape {X.shape} and its arrays; found a corrupt "
            f"{X.format} matrix."
        )


def _stays_within(X):
    """Whether the indices of a sparse matrix are those of its rows, columns and values."""

    def within(indices, size):
        plain = indices.ndim == 1 and indices.dtype.kind in "iu"
        return plain and (not indices.size or (indices.min() >= 0 and indices.max() < size))

    if X.format == "coo":
        return len(X.row) == len(X.col) == len(X.data) and all(map(within, (X.row, X.col), X.shape))
    if X.format == "lil":
        return list(map(len, X.rows)) == list(map(len, X.data))
    if X.format == "dia":
        return X.data.ndim == 2 and len(X.data) == len(X.offsets)
    if X.format not in ("csr", "csc", "bsr"):
        return True
    block = X.blocksize if X.format == "bsr" else (1, 1)
    rows, columns = (size // of for size, of in zip(X.shape, block, strict=True))
    n, d = (columns, rows) if X.format == "csc" else (rows, columns)
    first = X.indptr
    return (
        (rows * block[0], columns * block[1]) == X.shape
        and within(first, min(len(X.indices), len(X.data)) + 1)
        and len(first) == n + 1
        and first[0] == 0
        and np.all(first[1:] >= first[:-1])
        and within(X.indices[: first[-1]], d)
    )


def _canonical(X):
    """CSR of floats in contiguous arrays, its rows sorted and without duplicates; X is left as it is."""
    values, indices = (np.ascontiguousarray(part[: X.indptr[-1]]) for part in (X.data, X.indices))
    if values.dtype == np.uint8:
        values = values.astype(np.float32)
    # Made anew, as the flags of X may tell of indices that it had earlier.
    kind = sp.csr_matrix if sp.isspmatrix(X) else sp.csr_array
    clean = kind((values, indices, X.indptr), shape=X.shape)
    if not clean.has_canonical_format:
        clean = clean.copy()
        clean.sum_duplicates()
        if not np.isfinite(clean.data).all():
            raise ValueError("X must hold finite numbers; found entries of one place whose sum is infinite.")
    return clean


def labels(y):
    """Class labels as a 1-d array that can be sorted."""
    if y is None:
        raise ValueError("fit requires y to be passed, but the target y is None.")
    _refuse_in_disguise(y, "y", "")
    if getattr(getattr(y, "dtype", None), "kind", None) == "S":
        # Older versions of scikit-learn let them pass.
        raise TypeError("y must hold strings, bools or whole numbers; found labels represented as bytes.")
    if isinstance(y, (list, tuple)) and len({isinstance(label, str) for label in y}) == 2:
        # NumPy makes strings of all.
        raise ValueError("y must hold labels of one type; found strings and others.")
    try:
        with np.errstate(invalid="ignore"):  # NaN is refused
            y = column_or_1d(y, warn=True)
            check_classification_targets(y)
    except TypeError as error:
        if "not supported between" not in str(error):
            raise
        raise ValueError(f"y must hold labels of one type, which can be sorted; {error}.") from None
    except ValueError as error:
        if "Unknown label type: unknown" not in str(error):
            raise
        found = ", ".join(sorted({type(label).__name__ for label in y}))
        raise ValueError(
            f"Unknown label type: y must hold strings, bools or whole numbers; found an array of objects "
            f"({found}). If they are numbers, y.astype(int) may do."
        ) from None
    return y


def distinct(labels, name):
    """The classes among labels, sorted."""
    try:
        found = np.unique(np.asarray(labels))
    except TypeError as error:
        raise ValueError(f"{name} must hold labels of one type, which can be sorted; {error}.") from None
    if found.dtype.kind == "f" and not np.isfinite(found).all():
        raise ValueError(f"{name} must hold finite labels; found NaN or infinity.")
    return found


def require_two(classes):
    """Raises unless there are at least two classes."""
    if len(classes) == 0:
        raise ValueError("classes must be at least 2; found none.")
    if len(classes) < 2:
        raise ValueError(
            f"This solver needs samples of at least 2 classes in the data, but the data contains only "
            f"one class: {classes.tolist()[0]!r}."
        )


def encode(y, classes, name="y"):
    """Labels to int32 class numbers; refuses labels that are not among the classes."""
    try:
        codes = np.searchsorted(classes, y)
    except TypeError:  # no order between types
        codes = np.zeros(len(y), dtype=np.intp)
    codes[codes == len(classes)] = 0
    unknown = classes[codes] != y
    if np.any(unknown):
        found = ", ".join(map(str, np.unique(y[unknown])[:5]))
        raise ValueError(f"{name} must hold only the classes seen in training; found also {found}.")
    return codes.astype(np.int32)


def unit(X):
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
    _refuse_in_disguise(sample_weight, name, "mM")
    try:
        weight = np.asarray(sample_weight, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{name} must hold numbers; {error}.") from None
    if isinstance(sample_weight, numbers.Real):
        weight = np.full(n, weight)
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
    extreme = weight[((weight > 0) & (weight < SMALLEST)) | (weight > LARGEST)]
    if extreme.size:
        raise ValueError(f"{name} must be zero or {BAND}; found {extreme[0]}.")
    return np.ascontiguousarray(weight)


def training(estimator, X, y, sample_weight=None, classes=None, *, reset=True):
    """Checks X, y and weights; leaves the estimator as it is.

    Parameters
    ----------
    estimator : estimator
        Asked for its name and tags only.
    X, y, sample_weight : as users give them
    classes : array, optional
        The classes, if y need not show all of them.
    reset : bool
        Whether X may have other features than those that the estimator was fitted to.

    Returns
    -------
    Training
    """
    probe = copy.copy(estimator)
    given, X = X, features(probe, X, reset=reset)
    y = labels(y)
    if len(y) != X.shape[0]:
        raise ValueError(
            f"X and y must have the same number of rows; found {X.shape[0]} in X and {len(y)} in y."
        )
    found = distinct(y, "y") if classes is None else distinct(classes, "classes")
    require_two(found)
    attributes = {
        name: value for name, value in vars(probe).items() if name in ("n_features_in_", "feature_names_in_")
    }
    weight = weights(sample_weight, X.shape[0])
    return Training(X, encode(y, found), found, weight, unit(given), attributes)


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
    factors = class_factors(class_weight, classes, np.bincount(y, weights=weight, minlength=len(classes)), y)
    weight = weight * factors[y]
    if isinstance(class_weight, dict):
        return weights(weight, len(y), "class_weight, times sample_weight,")
    return weight


def class_factors(class_weight, classes, mass, y=None):
    """What the weights of each class are multiplied by, shape (K,).

    Parameters
    ----------
    class_weight : dict, "balanced" or None
    classes : class labels
    mass : array of shape (K,)
        Sums of the weights of each class.
    y : class numbers of the rows, optional
        By default all classes are there.
    """
    if class_weight is None:
        return np.ones(len(classes))
    if not isinstance(class_weight, dict) and not (
        isinstance(class_weight, str) and class_weight == "balanced"
    ):
        raise ValueError(f"class_weight must be a dict, 'balanced' or None; found {class_weight!r}.")
    if isinstance(class_weight, dict):
        with about("class_weight"):
            return compute_class_weight(class_weight, classes=classes, y=classes if y is None else classes[y])
    # As scikit-learn's, of the classes that are there: one without weight has no rows.
    present = mass > 0
    factors = np.ones(len(classes))
    factors[present] = mass.sum() / (np.count_nonzero(present) * mass[present])
    return factors
