"""When to end a training that validation data watches."""

import math
import numbers
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from fastlr import validate

MONITORS = ("accuracy", "loss")


@dataclass(repr=False)
class EarlyStopping:
    """Ends training when the validation result no longer improves; the best weights are restored.

    Without `patience_increase`, patience counts epochs: training ends after `patience` epochs in a row
    that did not improve the best result by more than `min_delta`.

    With it, patience counts minibatches, as in Theano's tutorial: the validation result is taken every
    `validation_frequency` minibatches; where it is below `improvement_threshold` times the best, patience
    becomes max(patience, iteration * patience_increase); any improvement is the new best; training ends
    at the first iteration that reaches patience. The result is the validation error (or the loss).

    Parameters
    ----------
    patience : int, default=10
        Epochs, or minibatches.
    monitor : {"accuracy", "loss"}, default="accuracy"
    min_delta : float, default=0.0
        Improvement that counts, in units of what is monitored.
    patience_increase : float, optional
        Theano's form: 2 in the tutorial.
    improvement_threshold : float in (0, 1], default=0.995
        Theano's form only.
    validation_frequency : int, optional
        Theano's form only: minibatches between validations, by default
        min(minibatches of an epoch, patience // 2).

    Examples
    --------
    >>> from fastlr import EarlyStopping
    >>> EarlyStopping(patience=5, monitor="loss")
    EarlyStopping(patience=5, monitor='loss')
    """

    patience: int = 10
    monitor: str = "accuracy"
    min_delta: float = 0.0
    patience_increase: float | None = None
    improvement_threshold: float = 0.995
    validation_frequency: int | None = None

    def __repr__(self) -> str:
        """What differs from the default, as of scikit-learn's estimators."""
        values = ((each.name, getattr(self, each.name), each.default) for each in fields(self))
        changed = ", ".join(f"{name}={value!r}" for name, value, default in values if value != default)
        return f"EarlyStopping({changed})"

    def check(self) -> None:
        """Raises ValueError for a parameter that makes no sense."""
        whole = numbers.Integral
        validate.check_choice("monitor", self.monitor, MONITORS)
        if self.patience_increase is None:
            validate.check_patience("patience", self.patience)
        else:
            validate.check_number("patience", self.patience, whole, 1, what="an integer of at least 1")
        validate.check_number("min_delta", self.min_delta, low=0, what="a number that is not negative")
        validate.check_number(
            "improvement_threshold", self.improvement_threshold, low=0, high=1, low_open=True,
            what="a number in (0, 1]",
        )  # fmt: skip
        if self.patience_increase is not None:
            validate.check_number(
                "patience_increase", self.patience_increase, low=1, what="a number of at least 1"
            )
        if self.validation_frequency is not None:
            validate.check_number(
                "validation_frequency", self.validation_frequency, whole, 1,
                what="an integer of at least 1",
            )  # fmt: skip

    def watch(self, batches: int) -> Any:
        """A watcher for one training.

        Parameters
        ----------
        batches : int
            Minibatches of an epoch.

        Returns
        -------
        watcher : object
            What `minibatch.train` asks whether to go on.

        Raises
        ------
        ValueError
            If a parameter makes no sense.
        """
        self.check()
        return (_ByEpochs if self.patience_increase is None else _ByMinibatches)(self, batches)


@dataclass
class _ByEpochs:
    rule: EarlyStopping
    batches: int
    best: float = np.inf
    reference: float = np.inf
    waited: int = 0
    frequency: int = field(init=False)

    def __post_init__(self):
        self.frequency = self.batches

    def update(self, iteration, accuracy, loss):
        """Takes a validation result; returns whether it is the best so far."""
        value = loss if self.rule.monitor == "loss" else -accuracy
        improved = value < self.best
        self.best = value if improved else self.best
        if value < self.reference - self.rule.min_delta:
            self.reference, self.waited = value, 0
        else:
            self.waited += 1
        return improved

    def left(self, iteration):
        """Minibatches from that one on before training may end."""
        return self.frequency

    def ends(self, iteration):
        """Whether training ends after that minibatch, counted from 0."""
        return self.waited >= self.rule.patience


@dataclass
class _ByMinibatches:
    rule: EarlyStopping
    batches: int
    best: float = np.inf
    patience: float = field(init=False)
    frequency: int = field(init=False)

    def __post_init__(self):
        self.patience = self.rule.patience
        self.frequency = self.rule.validation_frequency or max(1, min(self.batches, self.rule.patience // 2))

    def update(self, iteration, accuracy, loss):
        """Takes a validation result; returns whether it is the best so far."""
        value = loss if self.rule.monitor == "loss" else 1 - accuracy
        if not value < self.best:
            return False
        if value < self.best * self.rule.improvement_threshold:
            self.patience = max(self.patience, iteration * self.rule.patience_increase)
        self.best = value
        return True

    def left(self, iteration):
        """Minibatches from that one on before training may end."""
        return max(1, math.ceil(self.patience) - iteration + 1)

    def ends(self, iteration):
        """Whether training ends after that minibatch, counted from 0."""
        return self.patience <= iteration
