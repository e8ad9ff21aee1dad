"""What fits tell while they run: printed lines, one line on the terminal, and scikit-learn's callbacks.

`verbose` is None for a line on the terminal, if there is one and the fit takes longer than a glance; 0 for
silence; a number for lines on standard output, the more the higher, each level within the one before.
"""

import copy
import math
import numbers
import time
from contextlib import contextmanager
from functools import partial

import numpy as np

from fastlr.callbacks import task_of
from fastlr.terminal import TerminalLine, duration, watched_stream


def relative(gap, null_objective):
    """A gap as a share of the null objective, which is zero where a single class has all weight."""
    return f"{gap / null_objective:.2e}" if null_objective > 0 else "more than all"


def left_by_gap(points, target):
    """Seconds until the gap is at its target, if its logarithm goes on falling as in the later half of the
    time so far; None if it does not fall.

    Parameters
    ----------
    points : list of (seconds, gap)
    target : float
    """
    if not points:
        return None
    now, gap = points[-1]
    before = [point for point in points[:-1] if math.isfinite(point[1]) and point[0] < now]
    if not before or not 0 < target < gap:
        return None
    middle = (before[0][0] + now) / 2
    since, wider = next((point for point in before if point[0] >= middle), before[-1])
    fall = math.log(wider / gap)
    return math.log(gap / target) / fall * (now - since) if fall > 0 else None


class Progress:
    """What one fit tells, or several that are one to the user; a context that clears the line.

    Parameters
    ----------
    name : str
        Of the estimator or function.
    verbose : int, bool or None
    task : callbacks.Task, optional
        What callbacks know the fit as.
    deadline : float
        Reading of the clock at which the fit ends.
    clock : callable
        Returns seconds.

    Raises
    ------
    ValueError
        If verbose is neither None nor an integer.
    """

    def __init__(self, name, verbose=None, task=None, deadline=math.inf, clock=time.perf_counter):
        if verbose is not None and not isinstance(verbose, (numbers.Integral, np.bool_)):
            raise ValueError(f"verbose must be None, a bool or an integer; found {verbose!r}.")
        self.name, self.task, self.deadline, self.clock = name, task, deadline, clock
        self.level = 0 if verbose is None else int(verbose)
        stream = watched_stream() if verbose is None else None
        self.line = None if stream is None else TerminalLine(stream, clock)
        self.began = clock()
        self.part = None  # text, done, total: of a fit within fits

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self.line is not None:
            self.line.clear()

    @property
    def is_silent(self):
        """Whether there is nobody to tell."""
        return self.level <= 0 and self.line is None and self.task is None

    def say(self, text):
        """Prints a line, from verbose=1 on."""
        if self.level > 0:
            print(text, flush=True)

    def within(self, levels=0, part=None, task=None):
        """The progress of a part of the fit, a text with the number of parts done and that of all; it
        prints its lines that many levels of `verbose` later, and is another task or none."""
        inner = copy.copy(self)
        inner.level, inner.task, inner.part = self.level - levels, task, part or self.part
        return inner

    def in_a_thread(self, levels):
        """The same for fits that run at a time, and share no line."""
        inner = self.within(levels)
        inner.line = None
        return inner

    def problem(self, k, total, max_iter):
        """The progress of problem k of the `total` that a model has."""
        if total == 1:
            return self
        task = None if self.task is None else self.task.subtask("problem", max_iter + 1)
        return self.within(part=(f"problem {k + 1}/{total}", k, total), task=task)

    def checks(self, problem, max_iter, fitted):
        """The reports of a `minimise`, or None where there is nobody to tell; see Checks."""
        return None if self.is_silent else Checks(self, problem, max_iter, fitted)

    def epochs(self, max_iter, fitted, by_minibatches=False):
        """The reports of a `minibatch.train`, or None where there is nobody to tell; see Epochs."""
        return None if self.is_silent else Epochs(self, max_iter, fitted, by_minibatches)

    def fits(self, total):
        """The reports of that many fits in threads; see Fits."""
        return Fits(self, total)

    def times(self, left, most):
        """Time gone and left, where this part takes `left` seconds more, an estimate or None, and `most` at
        most."""
        now = self.clock()
        text, known = duration(now - self.began), left is not None
        left = min(most, left if known else math.inf)
        if self.part is not None and math.isfinite(left):
            _, done, total = self.part
            # The other parts may take as long as the mean of those before, or as this one.
            spent = now - self.began
            left += (total - done - 1) * (spent + left) / (done + 1)
            known = known or total > 1
        left = min(left, max(self.deadline - now, 0))
        if not left < 3.6e6:  # nobody waits for that, or knows it
            return text
        return f"{text}, {'about' if known else 'at most'} {duration(left)} left"


class Checks:
    """Tells of the certificates of one `minimise`, and to callbacks of its iterates; `stop` is whether one of
    them has asked for the end.

    Parameters
    ----------
    progress : Progress
    problem : LinearProblem
    max_iter : int
    fitted : callable
        Returns the attributes of a model that is fitted, given (W, b).
    """

    def __init__(self, progress, problem, max_iter, fitted):
        self.progress, self.problem, self.max_iter, self.fitted = progress, problem, max_iter, fitted
        self.n_iter, self.check, self.points, self.stop = 0, None, [], False
        self.began = progress.clock()
        self.task = None if progress.task is None else progress.task.subtask("iteration")

    def tick(self, n_iter):
        """Some time has passed, and so many iterations have been begun."""
        if self.progress.line is not None:
            self.n_iter = n_iter
            self.progress.line.show(self._parts)

    def __call__(self, check):
        """Takes a check; returns whether a callback asks for the end."""
        self.n_iter, self.check = check.n_iter, check
        share = relative(check.gap, self.problem.null_objective)
        self.progress.say(
            f"[fastlr] {check.n_iter:5d} iterations, objective {check.objective:.8g}, gap {check.gap:.3g} "
            f"({share} of the null objective)"
        )
        if self.progress.line is not None:
            self.points.append((self.progress.clock() - self.began, check.gap))
            self.progress.line.show(self._parts)
        return self.stop

    def take(self, W, b):
        """Tells callbacks of an iterate. Whether another one follows is not known yet: its task begins, and
        is empty if none does, as in scikit-learn."""
        if self.task is not None:
            fitted = partial(self.fitted, W, b)
            self.stop |= self.task.end(fitted)
            self.task = self.progress.task.subtask("iteration", fitted=fitted)

    def close(self):
        """There are no more iterates."""
        if self.task is not None:
            self.task.end()

    def _parts(self):
        part = f"{self.progress.part[0]}, " if self.progress.part else ""
        parts, left = [self.progress.name, f"{part}iter {self.n_iter}/{self.max_iter}"], None
        if self.check is not None:
            gap, target, null = self.check.gap, self.check.target, self.problem.null_objective
            if null > 0:
                parts.append(f"gap {gap / null:.1e} -> {target / null:.2g}")
            parts.append(f"objective {self.check.objective:.6g}")
            left = left_by_gap(self.points, target)
        spent = self.progress.clock() - self.began
        most = spent * (self.max_iter - self.n_iter) / self.n_iter if self.n_iter else math.inf
        if left is not None:
            left = max(left - (spent - self.points[-1][0]), 0)
        return [*parts, self.progress.times(left, most)]


class Epochs:
    """Tells of the epochs of one `minibatch.train`; by minibatches in the words of Theano's tutorial.

    Parameters
    ----------
    progress : Progress
    max_iter : int
    fitted : callable
        Returns the attributes that a fit would have if it ended now.
    by_minibatches : bool
        Whether to print validations, wherever they are in an epoch, rather than epochs.
    """

    def __init__(self, progress, max_iter, fitted, by_minibatches):
        self.progress, self.max_iter, self.fitted = progress, max_iter, fitted
        self.by_minibatches, self.best, self.task = by_minibatches, (math.inf, 0), None

    def __call__(self, event):
        """Takes a minibatch.Event; returns whether a callback asks for the end."""
        if self.progress.line is not None:
            self.progress.line.show(lambda: self._parts(event))
        if event.results is not None:
            self._validated(event)
        if event.has_ended and not self.by_minibatches:
            self._print_epoch(event)
        stop = self.progress.task is not None and self._tell(event)
        if event.is_last or stop:
            self._close(event)
        return stop

    def _tell(self, event):
        """Tells callbacks where epochs begin and end."""
        if event.has_ended:
            task, self.task = self.task, None
            return task.end(self.fitted)
        if self.task is None:
            self.task = self.progress.task.subtask("epoch")
        return False

    def _parts(self, event):
        history, minibatch = event.history, f"minibatch {event.minibatch}/{event.n_minibatches}"
        parts = [self.progress.name, f"epoch {event.epoch}/{self.max_iter}"]
        if history.get("val_score"):
            parts.append(f"validation {history['val_score'][-1]:.2%}")
        if history["loss"]:
            parts.append(f"loss {history['loss'][-1]:.4f}")
        done = event.epoch - 1 + event.minibatch / event.n_minibatches
        spent = self.progress.clock() - self.progress.began
        most = spent * (self.max_iter - done) / done if done else math.inf
        return [*parts, minibatch, self.progress.times(None, most)]

    def _validated(self, event):
        error = 1 - event.results[1]
        self.best = min(self.best, (error, event.epoch))
        if self.by_minibatches:
            self.progress.say(
                f"epoch {event.epoch}, minibatch {event.minibatch}/{event.n_minibatches}, "
                f"{_watched(event)} error {error:.6%}".replace("%", " %")
            )

    def _print_epoch(self, event):
        latest = {name: values[-1] for name, values in event.history.items()}
        line = f"epoch {event.epoch}, loss {latest['loss']:.4f}, train {latest['train_score']:.2%}"
        if "val_score" in latest:
            line += f", validation {latest['val_score']:.2%}"
        self.progress.say(f"{line}, {latest['time']:.2f} s")

    def _close(self, event):
        if self.by_minibatches and self.best[1]:
            error, epoch = self.best
            rate = event.epoch / max(event.history["time"][-1], 1e-9)
            best = f"best {_watched(event)} error {error:.6%} in epoch {epoch}".replace("%", " %")
            self.progress.say(f"{best}; {event.epoch} epochs, {rate:.2f} epochs/s")


def _watched(event):
    """The rows that validations are of."""
    return "validation" if "val_score" in event.history else "training"


class Fits:
    """Tells of fits in threads: these count them by `made`, and the main thread calls the object now and
    then.

    Parameters
    ----------
    progress : Progress
    total : int
    """

    def __init__(self, progress, total):
        self.progress, self.total = progress, total
        self.done, self.n_told = [], 0

    def made(self):
        """A thread has made a fit."""
        self.done.append(None)  # unlike += atomic

    def __call__(self):
        """Tells the state; returns whether a callback asks for the end."""
        stop = False
        if self.progress.line is not None:
            self.progress.line.show(self._parts)
        while self.progress.task is not None and self.n_told < len(self.done):
            self.n_told += 1
            stop |= self.progress.task.subtask("fit").end()
        return stop

    def _parts(self):
        done, spent = len(self.done), self.progress.clock() - self.progress.began
        left = spent * (self.total - done) / done if done else None
        return [self.progress.name, f"{done}/{self.total} fits", self.progress.times(left, math.inf)]


@contextmanager
def progress_of(estimator, max_subtasks, data, known=None, deadline=math.inf):
    """The progress of a fit of an estimator, told as its `verbose` and its callbacks ask for.

    Parameters
    ----------
    estimator : estimator
        With the parameter `verbose`.
    max_subtasks : int
        Epochs, iterations, problems or fits at most.
    data : (X, y, sample_weight) as users give them
        For callbacks.
    known : dict, optional
        For callbacks: attributes of the fit that are known from its beginning.
    deadline : float
        Reading of `time.perf_counter` at which the fit ends.

    Yields
    ------
    Progress
        The estimator is fitted in its context, so that callbacks find it so at the end.
    """
    with (
        task_of(estimator, max_subtasks, data, known) as task,
        Progress(type(estimator).__name__, estimator.verbose, task, deadline) as progress,
    ):
        yield progress
