"""What classifiers trained by minibatches share: validation data, early stopping, fit and partial_fit."""

import copy
import numbers
import time
import warnings
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.exceptions import ConvergenceWarning

from fastlr import blocks, minibatch, validate
from fastlr.base import ProbabilityClassifier, feature_units, stored_dtype
from fastlr.data import Data, SomeRows, thread_count
from fastlr.losses import Softmax
from fastlr.memory import Mapping
from fastlr.progress import progress_of
from fastlr.stopping import EarlyStopping
from fastlr.typing import Array, Features, History


def raw_intercept(W, b, shift, dtype):
    """The intercepts of W (x - shift) + b for raw features x, computed in float64."""
    with np.errstate(invalid="ignore", over="ignore"):  # weights on their way to infinity
        return (b - W.astype(np.float64) @ shift).astype(dtype)


class StochasticClassifier(ProbabilityClassifier):
    """A classifier trained by minibatches.

    Subclasses have the parameters `max_iter`, `tol`, `n_iter_no_change`, `early_stopping`,
    `validation_fraction`, `shuffle`, `momentum`, `power_t`, `alpha`, `class_weight`, `scaling`, `n_threads`,
    `random_state`, `warm_start` and `verbose`. They define

        _rate                                         name of the parameter that is the size of the first step
        _schedule(), _plan(n)                         minibatch.Schedule and Plan, for n rows
        _new_model(data, loss, units, shift, random, mean_weight)
                                                      what `minibatch.train` needs: arrays `weights`, and
                                                      `velocities` like them or none, for raw features;
                                                      `mean_weight` is what the weights of the loss have
                                                      been divided by
        _put(model)                                   the weights of a fitted estimator into a new model;
                                                      returns whether they fit
        _attributes(model, training)                  what predictions need of a model, in arrays of its own

    and may define

        _passed(model, began)                         attributes that tell of the epoch of a `partial_fit`
    """

    _trains_in_place = False  # whether models look at X by row numbers, and at nothing else of it
    history_: History
    best_epoch_: int
    n_iter_: int
    status_: str
    t_: int
    velocities_: list[Array]

    def _check_parameters(self):
        number, whole = validate.check_number, numbers.Integral
        validate.check_choice("scaling", self.scaling, validate.SCALINGS)
        number("max_iter", self.max_iter, whole, 1, what="an integer of at least 1")
        validate.check_patience("n_iter_no_change", self.n_iter_no_change)
        number("validation_fraction", self.validation_fraction, low=0, high=1 - 1e-9, what="in [0, 1)")
        number("momentum", self.momentum, low=0, high=1 - 1e-9, what="a number in [0, 1)")
        finite = np.finfo(np.float64).max
        number("power_t", self.power_t, low=-finite, high=finite, what="a finite number")
        number("alpha", self.alpha, low=0, high=finite, what="a finite number that is not negative")
        rate = getattr(self, self._rate)
        number(self._rate, rate, low=0, high=finite, low_open=True, what="a positive finite number")
        if self.tol is not None:
            number("tol", self.tol, what="None or a number")
        validate.check_flags(self, "shuffle", "warm_start")
        if not isinstance(self.early_stopping, (bool, np.bool_, EarlyStopping)):
            raise ValueError(
                f"early_stopping must be a bool or an EarlyStopping; found {self.early_stopping!r}."
            )

    def _passed(self, model, began):
        return {}

    def _stopping(self):
        if isinstance(self.early_stopping, EarlyStopping):
            return self.early_stopping
        if self.early_stopping:
            patience = np.inf if self.tol is None else self.n_iter_no_change
            return EarlyStopping(patience=patience, min_delta=max(self.tol or 0, 0))
        return None

    def _model(self, training, random, previous=None, *, scale_weights=False):
        """The model to train, from the weights of `previous`, an estimator, where they fit. Weights of
        samples are scaled to mean one, so that they do not change the size of the steps, or taken as they
        are."""
        data = blocks.data(training, thread_count(self.n_threads))
        if data.is_sparse and self.scaling == "standard":
            raise ValueError("scaling='standard' needs dense X; found a sparse matrix.")
        plain, loss = blocks.losses(training, self.class_weight)
        n = data.n if training.kept is None else len(training.kept)
        mean_weight = loss.class_mass.sum() / n if scale_weights else 1.0
        moments = data.moments(plain) if self.scaling == "standard" else None
        units = feature_units(self.scaling, data.d, training.unit, moments)
        shift = np.zeros(data.d) if moments is None else moments.mean
        with np.errstate(over="ignore"):  # the next line tells of units that are too small
            model = self._new_model(data, loss.times(1 / mean_weight), units, shift, random, mean_weight)
        model.kept, model.n = training.kept, n
        self._check_units(units, model.weights[0].dtype)
        if previous is not None and np.array_equal(previous.classes_, training.classes):
            previous._put(model)
        return model

    def _check_units(self, units, dtype):
        """Raises where the steps of a feature, by the inverse square of its unit, are none or infinite."""
        lowest, highest = 1 / np.sqrt(np.finfo(dtype).max), 1 / np.sqrt(np.finfo(dtype).tiny)
        wrong = units[(units < lowest) | (units > highest)]
        if wrong.size:
            raise ValueError(
                f"scaling={self.scaling!r} in {dtype} needs features whose unit lies between {lowest:.0e} "
                f"and {highest:.0e}; found {wrong[0]:.1e}. Bring X to another unit."
            )

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
        for name, rows in (("train on", kept), ("validate with", held)):
            if not training.weight[rows].any():
                raise ValueError(
                    f"validation_fraction={self.validation_fraction} leaves no sample that has a weight to "
                    f"{name}. Give X_val and y_val, or validation_fraction=0 to watch the training data."
                )
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
            with validate.about("X_val"):
                X_val = validate.features(probe, X_val, reset=False)
            with validate.about("y_val"):
                y_val = validate.encode(validate.labels(y_val), training.classes, "y_val")
            if X_val.shape[0] != len(y_val):
                raise ValueError(
                    f"X_val and y_val must have the same number of rows; found {X_val.shape[0]} and "
                    f"{len(y_val)}."
                )
            return training, (Data(X_val, threads), Softmax(y_val, np.ones(len(y_val)), n_classes))
        if self._stopping() is None or self.validation_fraction == 0:
            return training, None
        if isinstance(training, blocks.BlockTraining):
            raise ValueError(
                "Early stopping on Blocks needs X_val and y_val, or validation_fraction=0 to watch the "
                "training data."
            )
        kept, held = self._split(training, rng)
        held_loss = Softmax(training.y[held], training.weight[held], n_classes)
        if self._trains_in_place and Mapping(training.X).map is not None:
            return training.only(kept), (SomeRows(training.X, held, threads), held_loss)
        return training.rows(kept), (Data(training.X[held], threads), held_loss)

    def fit(
        self,
        X: Features,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: Features | None = None,
        y_val: ArrayLike | None = None,
    ) -> Self:
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
            After a KeyboardInterrupt, too, once an epoch has ended: with the best weights where there is
            early stopping, else the latest ones, and a warning. An earlier one is raised.

        Raises
        ------
        ValueError
            If a parameter or the data is not as described; the estimator is then left as it was.
        """
        return self._fit(X, y, sample_weight, X_val, y_val)

    def _start(self, training):
        """The estimator from whose weights to start, or None."""
        return self if self.warm_start and hasattr(self, "classes_") else None

    def _training(self, X, y, sample_weight):
        """The checked data of a fit."""
        return validate.training(self, X, y, sample_weight)

    def _fit(self, X, y, sample_weight, X_val, y_val, **start):
        """`fit`, with what `_start` takes."""
        self._check_parameters()
        random = validate.random_state(self.random_state)
        training = self._training(X, y, sample_weight)
        part, validation = self._validation(training, X_val, y_val, random)
        model = self._model(part, random, self._start(training, **start), scale_weights=True)
        plan = self._plan(model.n)
        if isinstance(training, blocks.BlockTraining):
            plan = minibatch.BlockPlan(
                plan.batch_size, plan.shuffle, plan.drop_last, training.data.look.sizes
            )
            if not plan.batches(model.n):
                raise ValueError(
                    f"drop_last=True needs a block of at least batch_size={plan.batch_size} rows; the "
                    f"largest has {max(plan.sizes)}."
                )
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
            # The loss of the last epoch is not that of weights restored from an earlier one.
            loss = outcome.history["loss"][-1] if stopping is None else 0.0
            self._check_finite(model, loss)
            status = "converged" if outcome.converged else "max_iter"
            # At once, lest an interrupt leave half of a fit.
            kept = {name: value for name, value in vars(self).items() if not name.endswith("_")}
            self.__dict__ = dict(
                kept,
                **self._attributes(model, training),
                status_="interrupted" if outcome.is_interrupted else status,
                best_epoch_=outcome.best_epoch,
                n_iter_=outcome.n_epochs,
                t_=outcome.n_steps,
                history_=outcome.history,
                velocities_=[],
            )
        if self.status_ == "interrupted":
            kept = "latest" if stopping is None else "best"
            warnings.warn(
                f"Training was interrupted by the user after {outcome.n_epochs} epochs; the {kept} weights "
                f"are kept. Fit again with warm_start=True to go on from here.",
                ConvergenceWarning,
                stacklevel=3,  # the line that calls fit
            )
        elif self.status_ == "max_iter" and (
            isinstance(self.early_stopping, EarlyStopping) or self.tol is not None
        ):
            warnings.warn(
                f"Training ended after {outcome.n_epochs} epochs (max_iter={self.max_iter}) before its "
                f"stopping rule was satisfied. Raise max_iter, or set tol=None to run all epochs without "
                f"this warning.",
                ConvergenceWarning,
                stacklevel=3,
            )
        return self

    def partial_fit(
        self,
        X: Features,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
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
        if fitted and classes is not None:
            found = validate.distinct(classes, "classes")
            if not np.array_equal(found, self.classes_):
                raise ValueError(
                    f"classes must be those of the first call of partial_fit, {self.classes_}; found {found}."
                )
        if self.early_stopping:
            raise ValueError(
                f"early_stopping must be False for partial_fit, which sets no samples aside; found "
                f"{self.early_stopping!r}."
            )
        is_balanced = isinstance(self.class_weight, str) and self.class_weight == "balanced"
        if self.scaling == "standard" or is_balanced:
            name = "class_weight='balanced'" if is_balanced else "scaling='standard'"
            raise ValueError(f"{name} needs all samples at once: use fit, or scale X beforehand.")
        known = self.classes_ if fitted else classes
        training = validate.training(self, X, y, sample_weight, known, reset=not fitted)
        random = validate.random_state(self.random_state)
        model = self._model(training, random)
        if fitted and not self._put(model):
            raise ValueError(
                "partial_fit goes on from the fitted weights, and the parameters now ask for weights of "
                "another shape: use fit, or set the parameters back."
            )
        for velocity, kept in zip(model.velocities, getattr(self, "velocities_", ()), strict=False):
            velocity[:] = kept
        plan = self._plan(model.n)
        rng, began = np.random.default_rng(random.randint(2**31)), time.perf_counter()
        order, seen = plan.order(model.n, rng), getattr(self, "t_", 0)
        model.steps(order, plan.batch_size, self._schedule().rates(seen, plan.batches(model.n)))
        self._check_finite(model)
        # At once, lest an interrupt leave half of a call.
        self.__dict__.update(
            self._attributes(model, training),
            t_=seen + plan.batches(model.n),
            velocities_=[velocity.copy() for velocity in model.velocities],
            n_iter_=getattr(self, "n_iter_", 0) + 1,
            **self._passed(model, began),
        )
        return self

    def _check_finite(self, model, loss=0.0):
        """Raises where the loss is NaN, or weights are not finite, here or in the type they are kept in."""
        with np.errstate(over="ignore"):
            kept = [
                array.astype(stored_dtype(model.data), copy=False) for array in (*model.weights, model.bias)
            ]
        if np.isnan(loss) or not all(np.isfinite(array).all() for array in kept):
            raise ValueError(
                f"The weights are no longer finite: {self._rate}={getattr(self, self._rate)} is too large "
                f"for this data; lower it or scale the features (scaling='standard')."
            )
