"""scikit-learn's callbacks, from its version 1.9 on; the protocol is experimental there, and known here only.

A fit is a tree of tasks: the fit itself, its epochs, iterations or fits, and between these the problems of a
model that has several. Each is told of when it begins and when it ends, and then may ask to go no further.
"""

from contextlib import contextmanager
from dataclasses import dataclass

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:
    with_callbacks = None

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands where scikit-learn before 1.9 has no callbacks."""


@dataclass(frozen=True)
class Task:
    """A task that callbacks are told of.

    Parameters
    ----------
    estimator : estimator
    context : sklearn.callback.CallbackContext
    data : dict
        X, y and metadata of the fit.
    known : dict
        Attributes of a fit that are known from its beginning.
    """

    estimator: object
    context: object
    data: dict
    known: dict

    def _what(self, fitted):
        """What callbacks are given; attributes are asked for if one of them takes a model."""

        def attributes():
            found = fitted()
            return None if found is None else {**self.known, **found}

        others = None if fitted is None else attributes
        return {"estimator": self.estimator, "reconstruction_attributes": others, **self.data}

    def begin(self, fitted=None):
        """Begins the task; `fitted` returns the other attributes of a fit that ended here. Without it, and
        where it returns None, callbacks get no model."""
        self.context.call_on_fit_task_begin(**self._what(fitted))
        return self

    def subtask(self, name, max_subtasks=0, fitted=None):
        """The next task within this one, begun."""
        context = self.context.subcontext(task_name=name, max_subtasks=max_subtasks)
        return Task(self.estimator, context, self.data, self.known).begin(fitted)

    def end(self, fitted=None):
        """Ends the task; returns whether a callback asks to end those beside it. `fitted` as of `begin`."""
        return self.context.call_on_fit_task_end(**self._what(fitted))


def _nothing(estimator):
    """What callbacks are torn down after."""


@contextmanager
def task_of(estimator, max_subtasks, data, known):
    """The task that a fit is to the callbacks of an estimator, or None where it has none.

    `data` are X, y and sample_weight as users give them. Callbacks are torn down at the end, whatever that
    is; of an end by an exception they hear nothing else.
    """
    if not getattr(estimator, "_skl_callbacks", None):
        yield None
        return
    X, y, sample_weight = data
    metadata = None if sample_weight is None else {"sample_weight": sample_weight}
    try:
        context = estimator._init_callback_context(max_subtasks=max_subtasks)
        task = Task(estimator, context, {"X": X, "y": y, "metadata": metadata}, known or {}).begin()
        yield task
        task.end(dict)
    finally:
        with_callbacks(_nothing)(estimator)
