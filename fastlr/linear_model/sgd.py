"""Softmax regression by minibatch SGD."""

import copy
import numbers
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from fastlr import minibatch, validate
from fastlr._kernels import lagged
from fastlr._kernels import sgd as dense
from fastlr.data import Data
from fastlr.linear_model.base import LinearClassifier, feature_units, thread_count
from fastlr.losses import Softmax
from fastlr.penalties import ElasticNet
from fastlr.progress import progress_of
from fastlr.stopping import EarlyStopping

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
        self.n, self.row_work = data.n, data.row_work(K)
        self.W, self.b = data.weights(K, kind), np.zeros(K, dtype=kind)
        self.velocity = data.weights(K, kind) if momentum else self.W
        self.velocity_b = np.zeros_like(self.b)
        self.metric = 1 / penalty.units**2
        if data.is_sparse:
            self.G = data.weights(K, kind)
        else:
            vectors = shift, self.metric, penalty.thresholds, penalty.curvatures
            self.vectors = [vector.astype(kind) for vector in vectors]
            self.scratch = np.empty((3 + K, data.d), dtype=kind)

    def steps(self, order, batch_size, rates):
        rows, loss = self.data.rows, self.loss
        common = rows, loss.y, loss.s, np.ascontiguousarray(order, dtype=np.intp), batch_size
        if not self.data.is_sparse:
            dense.sgd_steps(
                *common, rates, self.momentum, self.fit_intercept, self.W, self.b, self.velocity,
                self.velocity_b, *self.vectors, self.scratch, self.data.n_threads,
            )  # fmt: skip
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
        with np.errstate(invalid="ignore", over="ignore"):  # weights on their way to infinity
            return (self.b - self.W.astype(np.float64) @ self.shift).astype(self.b.dtype)

    def evaluate(self, part):
        """Weighted mean log-loss and accuracy on (data, loss), by default the training rows."""
        data, loss = part or (self.data, self.loss)
        value, correct = data.evaluate(self.W, self.bias, loss)
        mass = loss.s.sum()
        return value / mass, correct / mass

    def copy(self):
        return self.W.copy(order="K"), self.b.copy()

    def restore(self, kept):
        self.W[:], self.b[:] = kept


class SGDClassifier(LinearClassifier):
    """Softmax regression by minibatch stochastic gradient descent, with early stopping.

    Minimises mean_i s_i loss_i + alpha penalty(W) from zero weights, the weights s_i scaled to mean one by
    `fit` and taken as they are by `partial_fit`; two classes have one score. Each step
    moves along the mean gradient of a minibatch and takes the penalty by its proximal operator, so that L1
    gives exact zeros; on CSR the steps of a feature wait until a row holds it.

    Parameters
    ----------
    penalty : {"l2", "l1", "elasticnet", None}, default="l2"
    alpha : float, default=0.0
        Strength of the penalty.
    l1_ratio : float in [0, 1], default=0.15
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
        0, None or more than the samples there are: the full batch.
    max_iter : int, default=1000
        Epochs at most.
    shuffle : bool, default=True
        Whether each epoch has a new order.
    drop_last : bool, default=False
        Whether the incomplete last minibatch of an epoch is left out.
    tol : float or None, default=1e-3
        Training ends when the mean log-loss improves by less than this for `n_iter_no_change` epochs.
        None runs all `max_iter` epochs. Not used with early stopping.
    n_iter_no_change : int, default=5
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
    t_ : int
        Minibatches seen.
    n_features_in_ : int
    feature_names_in_ : array of shape (n_features,), where X has names

    Examples
    --------
    >>> from fastlr import EarlyStopping, SGDClassifier
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> sgd = SGDClassifier(eta0=0.01, early_stopping=EarlyStopping(patience=5), random_state=0)
    >>> sgd.fit(X[:1200], y[:1200], X_val=X[1200:], y_val=y[1200:]).score(X[1200:], y[1200:]) > 0.9
    True
    """

    def __init__(
        self,
        penalty="l2",
        *,
        alpha=0.0,
        l1_ratio=0.15,
        fit_intercept=True,
        eta0=0.01,
        learning_rate="constant",
        power_t=0.5,
        momentum=0.0,
        batch_size=100,
        max_iter=1000,
        shuffle=True,
        drop_last=False,
        tol=1e-3,
        n_iter_no_change=5,
        early_stopping=False,
        validation_fraction=0.1,
        class_weight=None,
        scaling=None,
        n_threads=None,
        random_state=None,
        warm_start=False,
        verbose=None,
    ):
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

    def _check_parameters(self):
        number, whole = validate.check_number, numbers.Integral
        validate.check_choice("penalty", self.penalty, PENALTIES)
        validate.check_choice("learning_rate", self.learning_rate, LEARNING_RATES)
        validate.check_choice("scaling", self.scaling, validate.SCALINGS)
        finite = np.finfo(np.float64).max
        number("alpha", self.alpha, low=0, high=finite, what="a finite number that is not negative")
        number("l1_ratio", self.l1_ratio, low=0, high=1, what="a number in [0, 1]")
        number("eta0", self.eta0, low=0, high=finite, low_open=True, what="a positive finite number")
        number("power_t", self.power_t, what="a number")
        number("momentum", self.momentum, low=0, high=1 - 1e-9, what="a number in [0, 1)")
        number("max_iter", self.max_iter, whole, 1, what="an integer of at least 1")
        number("n_iter_no_change", self.n_iter_no_change, whole, 1, what="an integer of at least 1")
        number("validation_fraction", self.validation_fraction, low=0, high=1 - 1e-9, what="in [0, 1)")
        if self.batch_size is not None:
            number("batch_size", self.batch_size, whole, 0, what="None or a whole number from 0")
        if self.tol is not None:
            number("tol", self.tol, what="None or a number")
        if not isinstance(self.early_stopping, (bool, np.bool_, EarlyStopping)):
            raise ValueError(
                f"early_stopping must be a bool or an EarlyStopping; found {self.early_stopping!r}."
            )

    def _stopping(self):
        if isinstance(self.early_stopping, EarlyStopping):
            return self.early_stopping
        if self.early_stopping:
            return EarlyStopping(patience=self.n_iter_no_change, min_delta=max(self.tol or 0, 0))
        return None

    def _plan(self, n):
        size = min(self.batch_size or n, n)
        return minibatch.Plan(int(size), bool(self.shuffle), bool(self.drop_last))

    def _model(self, training, previous, mean_weight=None):
        """The model to train: from zero, or from the weights of `previous`, an estimator. Weights are scaled
        to that mean, so that they do not change the size of the steps, or taken as they are for None."""
        data = Data(training.X, thread_count(self.n_threads))
        if data.is_sparse and (self.momentum or self.scaling == "standard"):
            name = "momentum" if self.momentum else "scaling='standard'"
            raise ValueError(f"{name} needs dense X; found a sparse matrix.")
        weight = validate.balanced(self.class_weight, training.classes, training.y, training.weight)
        if mean_weight is not None:
            weight = weight * (mean_weight / weight.mean())
        loss = Softmax(training.y, weight, len(training.classes))
        ratio = {"l1": 1.0, "l2": 0.0}.get(self.penalty, self.l1_ratio)
        alpha = 0.0 if self.penalty is None else float(self.alpha)
        plain = Softmax(training.y, training.weight, len(training.classes))
        units = feature_units(self.scaling, data, training.unit, plain)
        penalty = ElasticNet(alpha * ratio, alpha * (1 - ratio), units)
        shift = np.zeros(data.d)
        if self.scaling == "standard":
            shift = data.moments(plain).mean
        model = _SoftmaxModel(
            data, loss, penalty, shift, float(self.momentum), bool(self.fit_intercept),
            data.exact_dtype,
        )  # fmt: skip
        if previous is not None:
            same = previous.coef_.shape == model.W.shape
            if same and np.array_equal(previous.classes_, training.classes):
                model.W[:] = previous.coef_
                model.b[:] = previous.intercept_ + previous.coef_ @ shift
        return model

    def _split(self, training, rng):
        """Training and validation parts of the samples, by class."""
        from sklearn.model_selection import train_test_split

        try:
            kept, held = train_test_split(
                np.arange(len(training.y)), test_size=self.validation_fraction,
                stratify=training.y, random_state=rng,
            )  # fmt: skip
        except ValueError as error:
            raise ValueError(
                f"validation_fraction={self.validation_fraction} cannot be set aside by class: {error} "
                f"Give X_val and y_val, or validation_fraction=0 to watch the training data."
            ) from None
        return kept, held

    def _validation(self, training, X_val, y_val, rng):
        """The training part, and (data, loss) of the validation part or None."""
        if (X_val is None) != (y_val is None):
            raise ValueError("X_val and y_val must be given together; found only one of them.")
        threads = thread_count(self.n_threads)
        n_classes = len(training.classes)
        if X_val is not None:
            probe = copy.copy(self)
            vars(probe).update(training.attributes)
            X_val = validate.features(probe, X_val, reset=False)
            y_val = validate.encode(validate.labels(y_val), training.classes, "y_val")
            if X_val.shape[0] != len(y_val):
                raise ValueError(
                    f"X_val and y_val must have the same number of rows; found {X_val.shape[0]} and "
                    f"{len(y_val)}."
                )
            return training, (Data(X_val, threads), Softmax(y_val, np.ones(len(y_val)), n_classes))
        if self._stopping() is None or self.validation_fraction == 0:
            return training, None
        kept, held = self._split(training, rng)
        held_loss = Softmax(training.y[held], training.weight[held], n_classes)
        validation = Data(training.X[held], threads), held_loss
        return training.rows(kept), validation

    def fit(self, X, y, sample_weight=None, *, X_val=None, y_val=None):
        """Fits the model.

        Parameters
        ----------
        X : {array, CSR matrix} of shape (n_samples, n_features)
            uint8, float32 and float64 are read as they are; CSR as float32 or float64.
        y : array of shape (n_samples,)
        sample_weight : array of shape (n_samples,), optional
        X_val, y_val : arrays of shape (n_validation, n_features) and (n_validation,), optional
            Validation data.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter or the data is not as described; the estimator is then left as it was.
        """
        self._check_parameters()
        random = check_random_state(self.random_state)
        training = validate.training(self, X, y, sample_weight)
        part, validation = self._validation(training, X_val, y_val, random)
        warm = self if self.warm_start and hasattr(self, "coef_") else None
        model = self._model(part, warm, mean_weight=1.0)
        plan = self._plan(model.n)
        stopping = self._stopping()
        watcher = stopping.watch(plan.batches(model.n)) if stopping else None
        rules = minibatch.Rules(self.max_iter, self.tol, self.n_iter_no_change, watcher)
        rng = np.random.default_rng(random.randint(2**31))
        with progress_of(self, self.max_iter, (X, y, sample_weight)) as progress:
            by_minibatches = stopping is not None and stopping.patience_increase is not None
            report = progress.epochs(self.max_iter, lambda: self._attributes(model, training), by_minibatches)
            outcome = minibatch.train(
                model, plan=plan, schedule=self._schedule(), rng=rng, rules=rules, validation=validation,
                report=report,
            )  # fmt: skip
            self._check_finite(model)
            self._keep(model, training, outcome.n_steps)
            self.history_ = outcome.history
            self.best_epoch_, self.n_iter_ = outcome.best_epoch, outcome.n_epochs
        if not outcome.converged and (stopping is not None or self.tol is not None):
            warnings.warn(
                f"Training ended after {outcome.n_epochs} epochs (max_iter={self.max_iter}) before its "
                f"stopping rule was satisfied. Raise max_iter, or set tol=None to run all epochs without "
                f"this warning.",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """One epoch over these samples, from the present weights.

        Parameters
        ----------
        X : {array, CSR matrix} of shape (n_samples, n_features)
        y : array of shape (n_samples,)
        classes : array of shape (n_classes,)
            All classes; needed at the first call only.
        sample_weight : array of shape (n_samples,), optional

        Returns
        -------
        self
        """
        self._check_parameters()
        fitted = hasattr(self, "classes_")
        if not fitted and classes is None:
            raise ValueError("classes must be given at the first call of partial_fit.")
        if fitted and classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise ValueError(
                f"classes must be those of the first call of partial_fit, {self.classes_}; found "
                f"{np.unique(classes)}."
            )
        if self.scaling == "standard" or self.class_weight == "balanced":
            name = "scaling='standard'" if self.scaling == "standard" else "class_weight='balanced'"
            raise ValueError(f"{name} needs all samples at once: use fit, or scale X beforehand.")
        if fitted:
            validate.features(self, X, reset=False)
        training = validate.training(self, X, y, sample_weight, self.classes_ if fitted else classes)
        model = self._model(training, self if fitted else None)
        plan = self._plan(model.n)
        rng = np.random.default_rng(check_random_state(self.random_state).randint(2**31))
        order, seen = plan.order(model.n, rng), getattr(self, "t_", 0)
        model.steps(order, plan.batch_size, self._schedule().rates(seen, plan.batches(model.n)))
        self._check_finite(model)
        self._keep(model, training, seen + plan.batches(model.n))
        self.n_iter_ = getattr(self, "n_iter_", 0) + 1
        return self

    def _schedule(self):
        return minibatch.Schedule(
            self.learning_rate, float(self.eta0), float(self.power_t), float(self.alpha)
        )

    def _check_finite(self, model):
        if not (np.all(np.isfinite(model.W)) and np.all(np.isfinite(model.b))):
            raise ValueError(
                f"The weights are no longer finite: eta0={self.eta0} is too large for this data; lower it "
                f"or scale the features (scaling='standard')."
            )

    def _attributes(self, model, training):
        """What predictions need of a model, in arrays of its own."""
        stored = np.float32 if training.X.dtype == np.float32 else np.float64
        return {
            "coef_": np.array(model.W, dtype=stored, order="C"),
            "intercept_": (model.b - model.W.astype(np.float64) @ model.shift).astype(stored),
            "classes_": training.classes,
            **training.attributes,
        }

    def _keep(self, model, training, n_steps):
        vars(self).update(self._attributes(model, training), t_=n_steps)
