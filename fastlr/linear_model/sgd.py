"""Softmax regression by minibatch SGD."""

import copy
import numbers
from typing import ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike

from fastlr import blocks, memory, minibatch, validate
from fastlr._kernels import lagged
from fastlr._kernels import sgd as dense
from fastlr.base import stored_dtype
from fastlr.crew import Crew
from fastlr.linear_model.base import LinearClassifier, as_dense
from fastlr.losses import Softmax
from fastlr.penalties import ElasticNet
from fastlr.stochastic import StochasticClassifier, raw_intercept
from fastlr.stopping import EarlyStopping
from fastlr.typing import ClassWeight, Features, Scaling, Seed

LEARNING_RATES = ("constant", "optimal", "invscaling", "adaptive")
PENALTIES = ("l2", "l1", "elasticnet", None)
# A product of 1 + eta l2 over one kernel call stays far from overflow.
_LARGEST_GROWTH = 300.0


class _SoftmaxModel:
    """Weights under training: z = W (x - shift) + b on raw features. d features, K score columns."""

    def __init__(self, data, loss, penalty, shift, momentum, fit_intercept, dtype):
        self.data, self.loss, self.penalty = data, loss, penalty
        self.shift, self.momentum, self.fit_intercept = shift, momentum, fit_intercept
        K, kind = loss.n_columns, dtype
        self.n, self.row_work, self.kept = data.n, data.row_work(K), None
        self.W, self.b = data.weights(K, kind), np.zeros(K, dtype=kind)
        self.velocity = data.weights(K, kind) if momentum else self.W
        self.velocity_b = np.zeros_like(self.b)
        self.weights = [self.W, self.b]
        self.velocities = [self.velocity, self.velocity_b] if momentum else []
        self.metric, self.crew = 1 / penalty.units**2, Crew(data.n_threads)
        if data.is_sparse:
            self.G = data.weights(K, kind)
        else:
            vectors = shift, self.metric, penalty.thresholds, penalty.curvatures
            self.vectors = [vector.astype(kind) for vector in vectors]
            self.scratch = np.empty((3 + K, data.d), dtype=kind)

    def _at(self, order):
        """Rows and loss as kernels take them, and the numbers that the rows of an order have there."""
        if self.data.is_whole:
            return self.data.rows, self.loss, order if self.kept is None else self.kept[order]
        block, first = self.data.reader.at(order[0])
        return block.data.rows, self.loss.of(block.y, block.s), order - first

    def steps(self, order, batch_size, rates):
        rows, loss, order = self._at(order)
        common = rows, loss.y, loss.s, np.ascontiguousarray(order, dtype=np.intp), batch_size
        if not self.data.is_sparse:
            arguments = (
                *common, rates, self.momentum, self.fit_intercept, self.W, self.b, self.velocity,
                self.velocity_b, *self.vectors, self.scratch,
            )  # fmt: skip
            self.crew.run(lambda threads: dense.sgd_steps(*arguments, threads), len(order))
            return
        cut = self.metric * self.penalty.thresholds
        growth = np.log1p(rates * self.penalty.l2).max(initial=1e-300)
        n = max(1, int(_LARGEST_GROWTH / growth))
        for first in range(0, len(rates), n):
            piece = common[3][first * batch_size : (first + n) * batch_size]
            lagged.sgd_steps(
                *common[:3], piece, batch_size, rates[first : first + n], self.penalty.l2,
                self.fit_intercept, self.W.T, self.b, self.metric, cut, self.G.T,
            )  # fmt: skip

    @property
    def bias(self):
        return raw_intercept(self.W, self.b, self.shift, self.b.dtype)

    def evaluate(self, part):
        """Weighted mean log-loss and accuracy on (data, loss), by default the training rows."""
        data, loss = part or (self.data, self.loss)
        value, correct = data.evaluate(self.W, self.bias, loss)
        mass = loss.class_mass.sum()
        return value / mass, correct / mass


def _initial(name, values, shape):
    """Given weights, checked; of two classes also without the axis of the one score column."""
    with validate.about(name):
        values = np.asarray(values, dtype=np.float64)
    if values.shape != shape and not (shape[0] == 1 and values.shape == shape[1:]):
        raise ValueError(f"{name} must have the shape {shape}; found {values.shape}.")
    if not np.isfinite(values).all():
        raise ValueError(f"{name} must be finite; found NaN or infinity.")
    return values.reshape(shape)


class SGDClassifier(LinearClassifier, StochasticClassifier):
    """Softmax regression by minibatch stochastic gradient descent, with early stopping.

    Minimises mean_i s_i loss_i + alpha penalty(W) from zero weights, the weights s_i scaled to mean one by
    `fit` and taken as they are by `partial_fit`; two classes have one score. Each step
    moves along the mean gradient of a minibatch and takes the penalty by its proximal operator, so that L1
    gives exact zeros; on CSR the steps of a feature wait until a row holds it.

    Parameters
    ----------
    loss : {"log_loss"}, default="log_loss"
        The only one, and not scikit-learn's default: that is the hinge, one class against the rest.
    penalty : {"l2", "l1", "elasticnet", None}, default="l2"
    alpha : float, default=0.0
        Strength of the penalty.
    l1_ratio : float in [0, 1] or None, default=0.15
        Share of L1 for "elasticnet".
    fit_intercept : bool, default=True
    eta0 : float, default=0.01
        Size of the first step.
    learning_rate : {"constant", "optimal", "invscaling", "adaptive"}, default="constant"
        With t the minibatches seen: eta0; eta0 / (1 + eta0 alpha t); eta0 / (t + 1)^power_t; eta0, divided
        by 5 whenever the loss improves by less than `tol` for `n_iter_no_change` epochs.
    power_t : float, default=0.5
    momentum : float in [0, 1), default=0.0
        Dense X only.
    batch_size : int or None, default=100
        0, None or more than the samples there are: the full batch. A minibatch is of one of Blocks, whose
        last one may be smaller.
    max_iter : int, default=1000
        Epochs at most.
    shuffle : bool, default=True
        Whether each epoch has a new order.
    drop_last : bool, default=False
        Whether the incomplete last minibatch of an epoch is left out.
    tol : float or None, default=2e-4
        Training ends when the mean log-loss improves by less than this for `n_iter_no_change` epochs.
        None runs all `max_iter` epochs. Not used where `early_stopping` is an EarlyStopping.
    n_iter_no_change : int or infinity, default=5
    early_stopping : bool or EarlyStopping, default=False
        True is EarlyStopping(patience=n_iter_no_change, min_delta=tol). Weights of the first best epoch are
        restored; without early stopping the last ones are kept.
    validation_fraction : float in [0, 1), default=0.1
        Share of the samples set aside, by class, for early stopping where `fit` is given no validation
        data; 0 watches the training data itself.
    class_weight : dict, "balanced" or None, default=None
    scaling : {None, "unit", "standard"}, default=None
        "unit" divides integers by the largest value of their type, "standard" acts as a StandardScaler
        before the fit. `coef_` and `intercept_` act on X as it is, which is never copied.
    n_threads : int or None, default=None
        Threads of evaluation and prediction; None is all processors. Results do not depend on it.
    random_state : int, RandomState or None, default=None
        Order of the samples, and the validation split.
    warm_start : bool, default=False
        Start from the last weights, if they have the same shape and classes.
    verbose : int, bool or None, default=None
        1 prints a line for each epoch, or for each validation where patience counts minibatches, with a last
        one on the best of them; 0 is silence. None shows epoch, loss, validation score and the time that is
        left at most in one line on the terminal, if there is one, and clears it.
    n_jobs, epsilon
        Taken for the sake of scikit-learn's interface: threads are those of `n_threads`, and this loss has no
        epsilon.
    average : False
        Averages of the weights are not offered; early stopping keeps the best ones.

    Attributes
    ----------
    coef_ : array of shape (n_classes, n_features), or (1, n_features) for two classes
    intercept_ : array of shape (n_classes,) or (1,)
    classes_ : array of shape (n_classes,)
    history_ : dict of lists
        One value for each epoch, of the weights at its end: "loss" (mean log-loss per training row,
        without penalty), "train_score" (accuracy; both weighted where there are weights), "time"
        (seconds), and, where there are validation data, "val_loss" and "val_score".
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
    loss_functions : dict
        The values that `loss` may have are its keys.
    n_features_in_ : int
    feature_names_in_ : array of shape (n_features,), where X has names

    Notes
    -----
    From scikit-learn 1.9 on, `set_callbacks` takes its callbacks, such as ProgressBar and ScoringMonitor.
    Each epoch is a task to them, with the weights at its end; there a callback may end the training, as if
    a stopping rule had.

    Examples
    --------
    >>> from fastlr import EarlyStopping, SGDClassifier
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> sgd = SGDClassifier(eta0=0.01, early_stopping=EarlyStopping(patience=5), random_state=0)
    >>> sgd.fit(X[:1200], y[:1200], X_val=X[1200:], y_val=y[1200:]).score(X[1200:], y[1200:]) > 0.9
    True
    """

    _rate = "eta0"
    _trains_in_place = True
    # As in scikit-learn: what each loss is made of, first its class.
    loss_functions: ClassVar[dict[str, tuple]] = {"log_loss": (Softmax,)}

    def __init__(
        self,
        loss: Literal["log_loss"] = "log_loss",
        *,
        penalty: Literal["l2", "l1", "elasticnet"] | None = "l2",
        alpha: float = 0.0,
        l1_ratio: float | None = 0.15,
        fit_intercept: bool = True,
        eta0: float = 0.01,
        learning_rate: Literal["constant", "optimal", "invscaling", "adaptive"] = "constant",
        power_t: float = 0.5,
        momentum: float = 0.0,
        batch_size: int | None = 100,
        max_iter: int = 1000,
        shuffle: bool = True,
        drop_last: bool = False,
        tol: float | None = 2e-4,
        n_iter_no_change: float = 5,
        early_stopping: bool | EarlyStopping = False,
        validation_fraction: float = 0.1,
        class_weight: ClassWeight = None,
        scaling: Scaling = None,
        n_threads: int | None = None,
        random_state: Seed = None,
        warm_start: bool = False,
        verbose: int | bool | None = None,
        n_jobs: int | None = None,
        epsilon: float = 0.1,
        average: bool = False,
    ) -> None:
        self.loss = loss
        self.penalty = penalty
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.eta0 = eta0
        self.learning_rate = learning_rate
        self.power_t = power_t
        self.momentum = momentum
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.class_weight = class_weight
        self.scaling = scaling
        self.n_threads = n_threads
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.n_jobs = n_jobs
        self.epsilon = epsilon
        self.average = average

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = not self.momentum
        return tags

    def _check_parameters(self):
        super()._check_parameters()
        number = validate.check_number
        validate.check_choice("loss", self.loss, tuple(self.loss_functions))
        if not isinstance(self.average, np.bool_) or self.average:
            validate.check_choice("average", self.average, (False,))
        validate.check_jobs(self.n_jobs)
        number("epsilon", self.epsilon, what="a number")
        validate.check_choice("penalty", self.penalty, PENALTIES)
        validate.check_choice("learning_rate", self.learning_rate, LEARNING_RATES)
        if self.l1_ratio is not None or self.penalty == "elasticnet":
            number("l1_ratio", self.l1_ratio, low=0, high=1, what="a number in [0, 1]")
        validate.check_flags(self, "fit_intercept", "drop_last")
        if self.batch_size is not None:
            number("batch_size", self.batch_size, numbers.Integral, 0, what="None or a whole number from 0")

    def _strengths(self):
        """Factor of the mean loss, L1 and L2 strengths."""
        ratio = {"l1": 1.0, "elasticnet": self.l1_ratio}.get(self.penalty, 0.0)
        alpha = 0.0 if self.penalty is None else float(self.alpha)
        return 1.0, alpha * ratio, alpha * (1 - ratio)

    def _training(self, X, y, sample_weight):
        return blocks.training(self, X, y, sample_weight)

    def _plan(self, n):
        size = min(self.batch_size or n, n)
        return minibatch.Plan(int(size), bool(self.shuffle), bool(self.drop_last))

    def _new_model(self, data, loss, units, shift, random, mean_weight):
        if data.is_sparse and self.momentum:
            raise ValueError("momentum needs dense X; found a sparse matrix.")
        _, l1, l2 = self._strengths()
        penalty = ElasticNet(l1, l2, units)
        # Weights, their gradient, perhaps velocities; and the model to keep.
        size = (2 + bool(self.momentum)) * data.exact_dtype.itemsize + stored_dtype(data).itemsize
        memory.require(
            size * loss.n_columns * data.d, f"A training of {loss.n_columns:,} x {data.d:,} weights",
            "Use fewer features or classes, or X in float32.",
        )  # fmt: skip
        return _SoftmaxModel(
            data, loss, penalty, shift, float(self.momentum), bool(self.fit_intercept), data.exact_dtype
        )

    def fit(
        self,
        X: Features,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        coef_init: ArrayLike | None = None,
        intercept_init: ArrayLike | None = None,
        X_val: Features | None = None,
        y_val: ArrayLike | None = None,
    ) -> Self:
        """Fits the model.

        Parameters
        ----------
        X : {array, CSR matrix} of shape (n_samples, n_features), or Blocks
            uint8, float32 and float64 are read as they are, from memory or from a file that is mapped into
            it; CSR as float32 or float64. The rows of :class:`fastlr.Blocks`, which hold labels and weights
            themselves, are shuffled within their block.
        y : array of shape (n_samples,)
        sample_weight : array of shape (n_samples,), optional
        coef_init, intercept_init : arrays like `coef_` and `intercept_`, optional
            Weights to start from; what is not given is zero, or that of the last fit with `warm_start`.
        X_val, y_val : arrays of shape (n_validation, n_features) and (n_validation,), optional
            Validation data.

        Returns
        -------
        self
            After a KeyboardInterrupt, too, once an epoch has ended: with the best weights where there is
            early stopping, else the latest ones, and a warning. An earlier one is raised.

        Raises
        ------
        ValueError
            If a parameter or the data is not as described; the estimator is then left as it was.
        """
        start = {"coef_init": coef_init, "intercept_init": intercept_init}
        return self._fit(X, y, sample_weight, X_val, y_val, **start)

    def _start(self, training, coef_init, intercept_init):
        last, K = super()._start(training), len(training.classes)
        if coef_init is None and intercept_init is None:
            return last
        shape = 1 if K == 2 else K, training.attributes["n_features_in_"]
        start = copy.copy(self)
        if last is None or not np.array_equal(last.classes_, training.classes) or last.coef_.shape != shape:
            start.coef_, start.intercept_ = np.zeros(shape), np.zeros(shape[0])
        start.classes_ = training.classes
        if coef_init is not None:
            start.coef_ = _initial("coef_init", coef_init, shape)
        if intercept_init is not None:
            start.intercept_ = _initial("intercept_init", np.atleast_1d(intercept_init), shape[:1])
        return start

    def _put(self, model):
        fits = self.coef_.shape == model.W.shape
        if fits:
            model.W[:] = coef = as_dense(self.coef_)
            model.b[:] = self.intercept_ + coef @ model.shift
        return fits

    def _schedule(self):
        return minibatch.Schedule(
            self.learning_rate, float(self.eta0), float(self.power_t), float(self.alpha)
        )

    def _attributes(self, model, training):
        """What predictions need of a model, in arrays of its own."""
        stored = stored_dtype(model.data)
        return {
            "coef_": np.array(model.W, dtype=stored),
            "intercept_": raw_intercept(model.W, model.b, model.shift, stored),
            "classes_": training.classes,
            **training.attributes,
        }
