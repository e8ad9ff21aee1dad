"""A network with one hidden layer, trained by minibatch SGD.

Shapes: n samples, d features, h hidden units, K score columns (one for two classes).
"""

import numbers
import time
from collections.abc import Sequence
from typing import Literal

import numpy as np
from scipy.special import expit
from sklearn.utils.validation import check_is_fitted

from fastlr import memory, minibatch, peers, validate
from fastlr._kernels import mlp
from fastlr.base import finite_scores, stored_dtype
from fastlr.crew import Crew
from fastlr.data import Data, aligned_zeros, thread_count
from fastlr.losses import Softmax
from fastlr.stochastic import StochasticClassifier, raw_intercept
from fastlr.stopping import EarlyStopping
from fastlr.typing import ClassWeight, Floats, Scaling, Seed

ACTIVATIONS = ("relu", "logistic", "tanh")  # in the order of the kernel's kinds
LEARNING_RATES = ("constant", "invscaling", "adaptive")
# Numbers that a block of hidden activations may hold.
_HIDDEN_NUMBERS = 4_000_000


def _aligned(array, dtype):
    copy = aligned_zeros(array.shape, dtype)
    copy[:] = array
    return copy


def _narrowed(X, dtype):
    """X in a type of fewer bytes."""
    try:
        with np.errstate(over="raise"):
            return _aligned(X, dtype)
    except FloatingPointError:
        raise ValueError(
            f"X must hold numbers that {dtype} can hold, up to {np.finfo(dtype).max:.0e}; found "
            f"{np.abs(X).max():.1e}. Scale X beforehand, or set dtype='float64'."
        ) from None


def _blocks(n, h):
    """Slices of n rows whose h activations have room in memory."""
    size = max(1024, _HIDDEN_NUMBERS // h)
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


def _hidden(X, W1, bias, activation, n_threads):
    """Activations of the hidden units, (n, h)."""
    Z = Data(X, n_threads).scores(W1, bias)
    if activation == "relu":
        return np.maximum(Z, 0, out=Z)
    return (expit if activation == "logistic" else np.tanh)(Z, out=Z)


class _Network:
    """Weights under training: scores W2 f(W1 (x - shift) + b1) + b2 on raw features."""

    def __init__(self, data, loss, options, alpha, weights, shift, metric):
        self.data, self.loss, self.options, self.alpha = data, loss, options, alpha
        self.weights = weights  # W1 (h, d), b1 (h,), W2 (K, h), b2 (K,)
        self.velocities = [aligned_zeros(array.shape, array.dtype) for array in weights]
        self.scratch = aligned_zeros(weights[0].shape, weights[0].dtype)
        self.shift, self.metric = (vector.astype(weights[0].dtype) for vector in (shift, metric))
        h, K = len(weights[1]), len(weights[3])
        self.n, self.row_work = data.n, 2 * h * (data.d + 2 * K)
        self.crew = Crew(data.n_threads)
        self.n_passed, self.passed = 0, np.zeros(3)  # rows of this epoch; their loss, correct, whole weight

    def steps(self, order, batch_size, rates):
        order, options = np.ascontiguousarray(order, dtype=np.intp), self.options
        arguments = (
            self.data.rows, self.loss.y, self.loss.s, order, batch_size, rates,
            ACTIVATIONS.index(options.activation), self.alpha, float(options.momentum),
            bool(options.nesterovs_momentum), *self.weights, *self.velocities, self.shift, self.metric,
            self.scratch,
        )  # fmt: skip
        loss, correct = self.crew.run(lambda threads: mlp.mlp_steps(*arguments, threads), len(order))
        if self.n_passed == self.n:  # an epoch begins
            self.n_passed, self.passed = 0, np.zeros(3)
        self.n_passed += len(order)
        self.passed += loss, correct, self.loss.s[order].sum()

    @property
    def bias(self):
        """Intercepts of the hidden units for raw features."""
        W1, b1 = self.weights[:2]
        return raw_intercept(W1, b1, self.shift, b1.dtype)

    def evaluate(self, part):
        """Weighted mean log-loss and accuracy on (data, loss). For None, of the training rows as they passed
        by in this epoch, each under the weights of its minibatch: that costs nothing."""
        if part is None:
            loss, correct, mass = self.passed
            return (loss / mass, correct / mass) if mass > 0 else (np.inf, 0.0)  # no row yet that counts
        (data, loss), (W1, _, W2, b2) = part, self.weights
        total_loss = total_correct = 0.0
        for rows in _blocks(data.n, len(W1)):
            A = _hidden(data.X[rows], W1, self.bias, self.options.activation, data.n_threads)
            here = Softmax(loss.y[rows], loss.s[rows], loss.n_classes)
            value, correct = Data(A, data.n_threads).evaluate(W2, b2, here)
            total_loss, total_correct = total_loss + value, total_correct + correct
        mass = loss.s.sum()
        return total_loss / mass, total_correct / mass


class MLPClassifier(StochasticClassifier):
    """A network with one hidden layer and a softmax above it, trained by minibatch SGD with momentum.

    Minimises ``mean_i s_i loss_i + alpha / (2 B) (|W1|^2 + |W2|^2)``, B the size of a minibatch, as
    scikit-learn's MLPClassifier does; two classes have one score. Weights s_i are taken as they are by
    `partial_fit`, while `fit` divides them, and alpha, by their mean: a weight counts like repeated samples.
    It starts from the random weights of Glorot and Bengio (2010) that scikit-learn draws from the same
    `random_state`.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of one int, default=(100,)
        Hidden units.
    activation : {"relu", "logistic", "tanh"}, default="relu"
        Of the hidden units.
    solver : {"sgd"}, default="sgd"
    alpha : float, default=0.0001
        Strength of the L2 penalty on the weights, not on intercepts.
    batch_size : int, "auto" or None, default="auto"
        "auto" is 200, or all samples if there are fewer; None or 0 all samples.
    learning_rate : {"constant", "invscaling", "adaptive"}, default="constant"
        With t the minibatches seen: learning_rate_init; learning_rate_init / (t + 1)^power_t;
        learning_rate_init, divided by 5 whenever the loss improves by less than `tol` for
        `n_iter_no_change` epochs.
    learning_rate_init : float, default=0.001
        Size of the first step.
    power_t : float, default=0.5
    max_iter : int, default=200
        Epochs at most.
    shuffle : bool, default=True
        Whether each epoch has a new order.
    tol : float or None, default=1e-4
        Training ends when the mean log-loss improves by less than this for `n_iter_no_change` epochs.
        None runs all `max_iter` epochs. Not used where `early_stopping` is an EarlyStopping.
    momentum : float in [0, 1), default=0.9
    nesterovs_momentum : bool, default=True
    early_stopping : bool or EarlyStopping, default=False
        True is EarlyStopping(patience=n_iter_no_change, min_delta=tol). Weights of the first best epoch are
        restored; without early stopping the last ones are kept.
    validation_fraction : float in [0, 1), default=0.1
        Share of the samples set aside, by class, for early stopping where `fit` is given no validation
        data; 0 watches the training data itself.
    n_iter_no_change : int or infinity, default=10
    class_weight : dict, "balanced" or None, default=None
    scaling : {None, "unit", "standard"}, default=None
        "unit" divides integers by the largest value of their type, "standard" acts as a StandardScaler
        before the fit. `coefs_` and `intercepts_` act on X as it is.
    dtype : {"float32", "float64"}, default="float32"
        Type of the arithmetic, whatever the type of X. float64 X is copied to float32 for it, other X is read
        as it is.
    n_threads : int or None, default=None
        None is all processors. Results do not depend on it.
    random_state : int, RandomState or None, default=None
        First weights, order of the samples, and the validation split.
    warm_start : bool, default=False
        Start from the last weights, if they have the same shapes and classes.
    verbose : int, bool or None, default=None
        1 prints a line for each epoch; 0 is silence. None shows epoch, loss, validation score and the time
        that is left at most in one line on the terminal, if there is one, and clears it.

    Attributes
    ----------
    coefs_ : list of arrays of shape (n_features, n_hidden) and (n_hidden, n_classes), or (n_hidden, 1) for
        two classes
    intercepts_ : list of arrays of shape (n_hidden,) and (n_classes,) or (1,)
    classes_ : array of shape (n_classes,)
    loss_curve_ : list of float
        Mean log-loss of each epoch, without the penalty: history_["loss"].
    loss_ : float
        Its last value.
    best_loss_ : float or None
        Its lowest value; None where there are validation data.
    validation_scores_, best_validation_score_ : list of float, float, or None
        history_["val_score"] and the highest of them; None where there are no validation data.
    n_layers_, n_outputs_, out_activation_ : int, int, str
        3; 1 for two classes and else their number; "logistic" for two classes and else "softmax".
    history_ : dict of lists
        One value for each epoch: "loss" (mean log-loss per training row, without penalty) and "train_score"
        (accuracy), each row under the weights that its minibatch met; "time" (seconds); and, where there are
        validation data, "val_loss" and "val_score" of the weights at its end. Calls of `partial_fit` are
        epochs without these.
    best_epoch_ : int
        Epoch whose weights are kept, counted from 1.
    n_iter_ : int
        Epochs run.
    status_ : {"converged", "max_iter", "interrupted"}
        What ended the last `fit`: a stopping rule or a callback, `max_iter`, or the user.
    t_ : int
        Minibatches seen.
    velocities_ : list of arrays
        Of steps with momentum, from one call of `partial_fit` to the next; empty after `fit`.
    n_features_in_ : int
    feature_names_in_ : array of shape (n_features,), where X has names

    Examples
    --------
    >>> from fastlr import MLPClassifier
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> network = MLPClassifier(25, learning_rate_init=0.003, max_iter=60, tol=None, random_state=0)
    >>> network.fit(X[:1200], y[:1200]).score(X[1200:], y[1200:]) > 0.85
    True
    >>> [coef.shape for coef in network.coefs_]
    [(64, 25), (25, 10)]
    """

    coefs_: list[Floats]
    intercepts_: list[Floats]

    _rate = "learning_rate_init"

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (100,),
        activation: Literal["relu", "logistic", "tanh"] = "relu",
        *,
        solver: Literal["sgd"] = "sgd",
        alpha: float = 0.0001,
        batch_size: int | Literal["auto"] | None = "auto",
        learning_rate: Literal["constant", "invscaling", "adaptive"] = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        tol: float | None = 1e-4,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool | EarlyStopping = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        class_weight: ClassWeight = None,
        scaling: Scaling = None,
        dtype: Literal["float32", "float64"] = "float32",
        n_threads: int | None = None,
        random_state: Seed = None,
        warm_start: bool = False,
        verbose: int | bool | None = None,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.tol = tol
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.class_weight = class_weight
        self.scaling = scaling
        self.dtype = dtype
        self.n_threads = n_threads
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose

    @property
    def _n_hidden(self):
        """The number of hidden units."""
        sizes = self.hidden_layer_sizes
        sizes = [sizes] if isinstance(sizes, numbers.Integral) else list(np.atleast_1d(sizes))
        whole = all(isinstance(size, numbers.Integral) and not isinstance(size, bool) for size in sizes)
        if len(sizes) != 1 or not whole or sizes[0] < 1:
            raise ValueError(
                f"hidden_layer_sizes must be an integer of at least 1, or a sequence of one, as there is one "
                f"hidden layer; found {self.hidden_layer_sizes!r}."
            )
        return int(sizes[0])

    def _check_parameters(self):
        super()._check_parameters()
        validate.check_flags(self, "nesterovs_momentum")
        validate.check_choice("activation", self.activation, ACTIVATIONS)
        validate.check_choice("solver", self.solver, ("sgd",))
        validate.check_choice("learning_rate", self.learning_rate, LEARNING_RATES)
        try:
            known = self.dtype is not None and np.dtype(self.dtype) in (np.float32, np.float64)
        except TypeError:  # no type at all
            known = False
        if not known:
            raise ValueError(f"dtype must be 'float32' or 'float64'; found {self.dtype!r}.")
        if self.batch_size is not None and not (
            isinstance(self.batch_size, str) and self.batch_size == "auto"
        ):
            what = "'auto', None or a whole number from 0"
            validate.check_number("batch_size", self.batch_size, numbers.Integral, 0, what=what)

    def _plan(self, n):
        size = 200 if self.batch_size == "auto" else self.batch_size or n
        return minibatch.Plan(int(min(size, n)), bool(self.shuffle))

    def _schedule(self):
        return minibatch.Schedule(self.learning_rate, float(self.learning_rate_init), float(self.power_t))

    def _new_model(self, data, loss, units, shift, random, mean_weight):
        if data.is_sparse:
            raise ValueError("MLPClassifier needs dense X; found a sparse matrix: use X.toarray().")
        h, K, dtype = self._n_hidden, loss.n_columns, np.dtype(self.dtype)
        narrowed = data.X.dtype == np.float64 and dtype == np.float32
        # As drawn, in float64; then weights, velocities and room for a step.
        memory.require(
            (8 + 3 * dtype.itemsize) * h * (data.d + K) + 4 * narrowed * data.n * data.d,
            f"A training of {h:,} hidden units on {data.n:,} x {data.d:,} data",
            "Use fewer features or hidden units, or X in float32.",
        )
        if narrowed:
            # Half the bytes of X, and read twice in each of many epochs.
            data = Data(_narrowed(data.X, dtype), data.n_threads)
        factor = 2 if self.activation == "logistic" else 6
        weights = []
        for fan_in, fan_out in ((data.d, h), (h, K)):
            bound = np.sqrt(factor / (fan_in + fan_out))
            weights += [
                random.uniform(-bound, bound, (fan_in, fan_out)).T,
                random.uniform(-bound, bound, fan_out),
            ]
        weights[0] = weights[0] / units
        weights = [_aligned(array, dtype) for array in weights]
        # The loss counts samples, whatever their weights: so does what stands against it.
        alpha = float(self.alpha) / mean_weight
        return _Network(data, loss, self, alpha, weights, shift, 1 / units**2)

    def _put(self, model):
        W1, b1, W2, b2 = model.weights
        fits = self.coefs_[0].shape == W1.T.shape and self.coefs_[1].shape == W2.T.shape
        if fits:
            W1[:], W2[:], b2[:] = self.coefs_[0].T, self.coefs_[1].T, self.intercepts_[1]
            b1[:] = self.intercepts_[0] + model.shift @ self.coefs_[0]
        return fits

    def _attributes(self, model, training):
        stored = stored_dtype(training.X)
        W1, _, W2, b2 = model.weights
        return {
            "coefs_": [np.array(W.T, dtype=stored, order="C") for W in (W1, W2)],
            "intercepts_": [np.array(b, dtype=stored) for b in (model.bias, b2)],
            "classes_": training.classes,
            **training.attributes,
        }

    def _passed(self, model, began):
        """The history with this epoch, which has no validation data."""
        last, (loss, score) = getattr(self, "history_", {}), model.evaluate(None)
        times = last.get("time", [])
        seconds = (times[-1] if times else 0.0) + time.perf_counter() - began
        latest = {"loss": float(loss), "train_score": float(score), "time": seconds}
        return {"history_": {name: [*last.get(name, []), value] for name, value in latest.items()}}

    def _peer(self):
        return peers.network(self)

    @property
    def loss_curve_(self) -> list[float]:
        """Mean log-loss of each epoch."""
        return self.history_["loss"]

    @property
    def loss_(self) -> float:
        """Mean log-loss of the last epoch."""
        return self.history_["loss"][-1]

    @property
    def best_loss_(self) -> float | None:
        """The lowest mean log-loss of an epoch, or None where there are validation data."""
        return min(self.loss_curve_) if self.validation_scores_ is None else None

    @property
    def validation_scores_(self) -> list[float] | None:
        """Validation score of each epoch, or None where there are no validation data."""
        return self.history_.get("val_score")

    @property
    def best_validation_score_(self) -> float | None:
        """The highest of them, or None."""
        scores = self.validation_scores_
        return max(scores) if scores else None

    @property
    def n_layers_(self) -> int:
        """Input, hidden and output layers."""
        return len(self.coefs_) + 1

    @property
    def n_outputs_(self) -> int:
        """Score columns: one for two classes."""
        return len(self.intercepts_[-1])

    @property
    def out_activation_(self) -> str:
        """What makes probabilities of scores."""
        return "logistic" if self.n_outputs_ == 1 else "softmax"

    _score_dtype = np.dtype(np.float64)  # lest tiny probabilities differ from their logarithms

    def _scores(self, X):
        """Scores of shape (n, K), in the type of the weights."""
        check_is_fitted(self)
        validate.check_choice("activation", self.activation, ACTIVATIONS)
        X, threads = validate.features(self, X, reset=False), thread_count(self.n_threads)
        W1, W2 = (np.ascontiguousarray(coef.T) for coef in self.coefs_)
        b1, b2 = self.intercepts_
        parts = []
        for rows in _blocks(X.shape[0], len(b1)):
            A = _hidden(X[rows], W1, b1, self.activation, threads)
            parts.append(Data(A, threads).scores(W2, b2))
        return finite_scores(np.concatenate(parts))
