"""The minibatch training loop: epochs, schedules, evaluation, early stopping, history."""

import time
from dataclasses import dataclass

import numpy as np

from fastlr.data import CALL_WORK


@dataclass(frozen=True)
class Schedule:
    """Sizes of the steps.

    Parameters
    ----------
    kind : {"constant", "optimal", "invscaling", "adaptive"}
    eta0, power_t, alpha : float
    """

    kind: str
    eta0: float
    power_t: float = 0.5
    alpha: float = 0.0

    def rates(self, t, n, factor=1.0):
        """Sizes of steps t to t + n - 1, counted from 0; `factor` is what "adaptive" has come down to."""
        if self.kind in ("constant", "adaptive"):
            return np.full(n, self.eta0 * factor)
        steps = np.arange(t, t + n, dtype=np.float64)
        if self.kind == "invscaling":
            return self.eta0 / (steps + 1) ** self.power_t
        # Bottou's rule 1 / (alpha (t + t0)), with t0 such that the first step is eta0.
        return 1 / (1 / self.eta0 + self.alpha * steps)


@dataclass(frozen=True)
class Plan:
    """How rows become minibatches."""

    batch_size: int
    shuffle: bool = True
    drop_last: bool = False

    def order(self, n, rng):
        """Row numbers of an epoch."""
        order = rng.permutation(n) if self.shuffle else np.arange(n)
        return order[: n - n % self.batch_size] if self.drop_last else order

    def batches(self, n):
        """Minibatches of an epoch."""
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)


@dataclass(frozen=True)
class Rules:
    """What ends a training.

    Parameters
    ----------
    max_iter : int
        Epochs at most.
    tol, patience : float or None, int
        Without a watcher, training ends when the loss improves by less than `tol` over `patience` epochs.
    watcher : object, optional
        Of `EarlyStopping.watch`; the best weights are restored at the end.
    """

    max_iter: int
    tol: float | None = None
    patience: int = 5
    watcher: object = None


@dataclass(frozen=True)
class Event:
    """What is reported: before each call of a kernel, after each validation and at the end of each epoch.

    Parameters
    ----------
    epoch : int
        Counted from 1.
    minibatch, n_minibatches : int
        Minibatches of this epoch that are done, and all of them.
    history : dict of lists
        One value for each epoch that has ended.
    results : (loss, accuracy), optional
        After a validation, its results.
    has_ended, is_last : bool
        Whether the epoch has ended, and the training with it.
    """

    epoch: int
    minibatch: int
    n_minibatches: int
    history: dict
    results: tuple | None = None
    has_ended: bool = False
    is_last: bool = False


class _LossRule:
    """Without early stopping: ends when the training loss has not improved by `tol` for some epochs, after
    the "adaptive" schedule has had its chances."""

    def __init__(self, tol, patience, adaptive):
        self.tol, self.patience, self.adaptive = tol, patience, adaptive
        self.best, self.waited, self.factor = np.inf, 0, 1.0

    def ends(self, loss):
        if self.tol is None:
            return False
        self.waited = self.waited + 1 if loss > self.best - self.tol else 0
        self.best = min(self.best, loss)
        if self.waited < self.patience:
            return False
        if self.adaptive and self.factor > 1e-6:
            self.factor, self.waited = self.factor / 5, 0
            return False
        return True


@dataclass(frozen=True)
class Training:
    """What came out of a training: `best_epoch` counts from 1; `converged` is whether a rule ended it."""

    history: dict
    n_epochs: int
    n_steps: int
    best_epoch: int
    converged: bool
    is_interrupted: bool


def train(model, *, plan, schedule, rng, rules, validation=None, first_step=0, report=None):
    """Trains a model by minibatches.

    A KeyboardInterrupt after the first epoch ends it, too, and leaves the best weights where there is a
    watcher, else the latest ones; an earlier one is raised.

    Parameters
    ----------
    model : object
        Has `n` rows; `steps(order, batch_size, rates)` takes steps; `evaluate(part)` returns mean loss
        and accuracy, on its training rows for None; `weights` are the arrays that steps change; `row_work`
        is the multiply-adds of a row.
    plan, schedule, rules : Plan, Schedule, Rules
    validation : object, optional
        What `evaluate` takes for the validation rows; without it a watcher sees the training rows.
    first_step : int
        Steps taken by earlier calls.
    report : callable, optional
        Called with an Event before each call of a kernel, after each validation and at the end of each
        epoch, where it ends the training by returning True.

    Returns
    -------
    Training
    """
    began = time.perf_counter()
    names = ["loss", "train_score"] + ["val_loss", "val_score"] * (validation is not None) + ["time"]
    history = {name: [] for name in names}
    watcher = rules.watcher
    rule = _LossRule(None if watcher else rules.tol, rules.patience, schedule.kind == "adaptive")
    t, best, best_epoch, converged, is_interrupted = first_step, None, 0, False, False
    batches = plan.batches(model.n)
    frequency = watcher.frequency if watcher else batches
    call = max(1, int(CALL_WORK / (model.row_work * plan.batch_size)))

    def tell(**what):
        return report is not None and report(Event(epoch, done, batches, history, **what))

    try:
        for epoch in range(1, rules.max_iter + 1):
            order, done = plan.order(model.n, rng), 0
            results = None
            while done < batches and not converged:
                tell()
                # Up to the end of the epoch, the next validation, the end of patience or of the call.
                iteration = t - first_step
                n = min(batches - done, frequency - iteration % frequency, call)
                if watcher:
                    n = min(n, watcher.left(iteration))
                rows = order[done * plan.batch_size : (done + n) * plan.batch_size]
                model.steps(rows, plan.batch_size, schedule.rates(t, n, rule.factor))
                t, done, results = t + n, done + n, None
                iteration += n - 1
                if watcher and (iteration + 1) % frequency == 0:
                    results = model.evaluate(validation)
                    if watcher.update(iteration, results[1], results[0]):
                        best, best_epoch = [array.copy() for array in model.weights], epoch
                    tell(results=results)
                converged = watcher is not None and watcher.ends(iteration)
            _record(history, model, validation, results, began)
            converged = converged or rule.ends(history["loss"][-1])
            is_last = converged or epoch == rules.max_iter or not np.isfinite(history["loss"][-1])
            converged = tell(has_ended=True, is_last=is_last) or converged
            if converged or is_last:
                break
    except KeyboardInterrupt:
        epoch, is_interrupted = _cut(history), True
        if epoch == 0:
            raise
    if best is not None:
        for array, kept in zip(model.weights, best, strict=True):
            array[...] = kept
    return Training(history, epoch, t, min(best_epoch or epoch, epoch), converged, is_interrupted)


def _cut(history):
    """Cuts what an interrupt has left of an epoch; returns the number of whole ones."""
    n = min(len(values) for values in history.values())
    for values in history.values():
        del values[n:]
    return n


def _record(history, model, validation, results, began):
    """Adds an epoch; `results` are those of the validation rows, if these weights have been evaluated."""
    if validation is None:
        loss, score = results or model.evaluate(None)
    else:
        loss, score = model.evaluate(None)
        val_loss, val_score = results or model.evaluate(validation)
        history["val_loss"].append(float(val_loss))
        history["val_score"].append(float(val_score))
    history["loss"].append(float(loss))
    history["train_score"].append(float(score))
    history["time"].append(time.perf_counter() - began)
