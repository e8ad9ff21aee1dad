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
            with np.errstate(over="ignore", divide="ignore"):  # steps become none, or are found out later
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

    def rows(self, order, first, count):
        """The rows of minibatches, from one on, and of how many: `count`, or what comes at a time."""
        return order[first * self.batch_size : (first + count) * self.batch_size], count


@dataclass(frozen=True)
class BlockPlan(Plan):
    """The same for rows that come in blocks of these sizes: each is shuffled, and its last minibatch may be
    smaller."""

    sizes: tuple = ()

    def order(self, n, rng):
        """What `rows` takes; the orders of an epoch's blocks are drawn when their turn comes."""
        return _BlockOrder(rng if self.shuffle else None)

    def batches(self, n):
        return sum(super(BlockPlan, self).batches(size) for size in self.sizes)

    def rows(self, order, first, count):
        while first >= order.last_batch:
            size, batches = self.sizes[order.block + 1], super().batches(self.sizes[order.block + 1])
            order.advance(size, batches)
        at = first - order.first_batch
        rows, count = super().rows(order.rows, at, min(count, order.last_batch - first))
        return rows, count


class _BlockOrder:
    """The order of the rows of one block after the other."""

    def __init__(self, rng):
        self.rng, self.block, self.first_row, self.last_row = rng, -1, 0, 0
        self.first_batch = self.last_batch = 0

    def advance(self, size, batches):
        """To the next block, of so many rows and minibatches."""
        self.block += 1
        self.first_row, self.last_row = self.last_row, self.last_row + size
        self.first_batch, self.last_batch = self.last_batch, self.last_batch + batches
        local = np.arange(size) if self.rng is None else self.rng.permutation(size)
        self.rows = self.first_row + local


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
    run = _Run(model, plan, schedule, rules, validation, report, first_step)
    epoch = 0
    try:
        for epoch in range(1, rules.max_iter + 1):
            run.take_epoch(epoch, plan.order(model.n, rng))
            if run.has_ended(epoch):
                break
    except KeyboardInterrupt:
        epoch, run.is_interrupted = _cut(run.history), True
        if epoch == 0:
            raise
    if run.best is not None:
        for array, kept in zip(model.weights, run.best, strict=True):
            array[...] = kept
    best_epoch = min(run.best_epoch or epoch, epoch)
    return Training(run.history, epoch, run.t, best_epoch, run.converged, run.is_interrupted)


class _Run:
    """A training under way: t steps taken, and what is best so far."""

    def __init__(self, model, plan, schedule, rules, validation, report, t):
        self.model, self.plan, self.schedule, self.rules = model, plan, schedule, rules
        self.validation, self.report, self.first, self.t = validation, report, t, t
        names = ["loss", "train_score"] + ["val_loss", "val_score"] * (validation is not None) + ["time"]
        self.history = {name: [] for name in names}
        self.watcher, self.began = rules.watcher, time.perf_counter()
        tol = None if self.watcher else rules.tol
        self.loss_rule = _LossRule(tol, rules.patience, schedule.kind == "adaptive")
        self.batches = plan.batches(model.n)
        self.frequency = self.watcher.frequency if self.watcher else self.batches
        self.call = max(1, int(CALL_WORK / (model.row_work * plan.batch_size)))
        self.best, self.best_epoch, self.converged, self.is_interrupted = None, 0, False, False

    def tell(self, epoch, done, **what):
        """Reports; returns whether that asks for the end."""
        return self.report is not None and self.report(Event(epoch, done, self.batches, self.history, **what))

    def take_epoch(self, epoch, order):
        """The steps of an epoch, or fewer if the watcher ends it, and its entry in the history."""
        done, results, size = 0, None, self.plan.batch_size
        while done < self.batches and not self.converged:
            self.tell(epoch, done)
            # Up to the end of the epoch, the next validation, the end of patience or of the call.
            iteration = self.t - self.first
            n = min(self.batches - done, self.frequency - iteration % self.frequency, self.call)
            if self.watcher:
                n = min(n, self.watcher.left(iteration))
            rows, n = self.plan.rows(order, done, n)
            rates = self.schedule.rates(self.t, n, self.loss_rule.factor)
            self.model.steps(rows, size, rates)
            self.t, done = self.t + n, done + n
            results = self._watch(epoch, done, iteration + n - 1)
        _record(self.history, self.model, self.validation, results, self.began)

    def _watch(self, epoch, done, iteration):
        """Shows the watcher the results after an iteration, if it is time to; returns them."""
        if not self.watcher:
            return None
        results = None
        if (iteration + 1) % self.frequency == 0:
            results = self.model.evaluate(self.validation)
            if self.watcher.update(iteration, results[1], results[0]):
                self.best, self.best_epoch = [array.copy() for array in self.model.weights], epoch
            self.tell(epoch, done, results=results)
        self.converged = self.watcher.ends(iteration)
        return results

    def has_ended(self, epoch):
        """Whether a rule, the report, or a loss that is not finite ends the training here."""
        loss = self.history["loss"][-1]
        self.converged = self.converged or self.loss_rule.ends(loss)
        is_last = self.converged or epoch == self.rules.max_iter or not np.isfinite(loss)
        done = (self.t - self.first - 1) % self.batches + 1
        self.converged = self.tell(epoch, done, has_ended=True, is_last=is_last) or self.converged
        return self.converged or is_last


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
