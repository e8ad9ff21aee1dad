"""Logistic regression on Dask's arrays and dataframes: rows stay on the workers, their sums come back.

Each pass over all rows is one task for each bundle of partitions, a tree of sums, and a result as large as
the weights. What runs on a worker are the functions of a module, so fastlr must be installed there, too.

Shapes: n samples, d features, K score columns.
"""

import functools
import numbers
import operator
from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fastlr import linear_model, validate
from fastlr.base import stored_dtype
from fastlr.blocks import Block, BlockTraining, Look, labels_and_weights
from fastlr.data import thread_count
from fastlr.typing import ClassWeight, File, Scaling, Seed

# So many results are added up by a task, or by the client.
_FAN_IN = 8
# A task works on at most this share of the memory that its thread has, so that Dask can put some rows on disk
# and read others; the fewer tasks the better, as each of them costs the scheduler about a millisecond.
_BUNDLE_SHARE = 1 / 8
# Larger arguments go to the workers by themselves: the scheduler would have to read them from each graph.
_INLINE_BYTES = 1e6
_ATTEMPTS = 4  # of a pass, where workers die; Dask itself has tried to do without them before


class LogisticRegression(linear_model.LogisticRegression):
    """:class:`fastlr.LogisticRegression` on Dask arrays and dataframes, with the same certified optimum.

    Partitions are checked and encoded once, by the workers, and stay there; a step of the solver costs two
    passes, of which as many numbers come back as there are weights. What is not distributed is fitted and
    predicted in memory, as ever.

    Parameters
    ----------
    penalty, C, l1_ratio, dual, fit_intercept, intercept_scaling, class_weight, multi_class, tol, max_iter
        As of :class:`fastlr.LogisticRegression`.
    scaling, n_jobs, random_state, warm_start, verbose
        As there. `random_state` and the partitions decide which rows the solver samples.
    solver : {"auto", "subsampled", "lbfgs", "cg"}, default="auto"
        For what is in memory also the others.
    n_threads : int or None, default=None
        Threads of what is done in this process, and of each task on a worker. None is all processors here and
        one for a task, as Dask gives a worker as many tasks at a time as it has threads.
    client : distributed.Client, optional
        By default the current one. It is neither copied nor stored with the model.

    Attributes
    ----------
    coef_, intercept_, classes_, objective_, dual_gap_, null_objective_, converged_, status_, n_iter_
        As of :class:`fastlr.LogisticRegression`.
    history_, solver_, solver_reason_, n_features_in_, feature_names_in_
        As there.

    See Also
    --------
    fastlr.LogisticRegression : What the parameters and attributes mean.
    fastlr.Blocks : Data that one machine reads block by block.

    Notes
    -----
    A sample of the rows, of 128 MB at most, is fetched once and worked on here. Everything else stays on the
    workers: their memory should hold all of X, and Dask puts on disk what it cannot. Persist X and y before
    the fit (``X, y = client.persist([X, y])``) where they are used again; else they are computed once for
    each fit. Where a worker dies, Dask makes its partitions anew elsewhere, and the fit goes on.

    Sums are added up, and sampled rows follow each other, in the order of the workers and their partitions:
    where Dask deals these out in another way, even the same `random_state` leads to other weights, within the
    gap.

    `save` writes a model that `load` reads as a :class:`fastlr.LogisticRegression`.

    Examples
    --------
    >>> import dask.array as da  # doctest: +SKIP
    >>> from distributed import Client  # doctest: +SKIP
    >>> from fastlr.dask import LogisticRegression  # doctest: +SKIP
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> X, y = da.from_array(X, chunks=(500, 64)), da.from_array(y, chunks=500)  # doctest: +SKIP
    >>> client = Client(processes=False, dashboard_address=":0")  # doctest: +SKIP
    >>> clf = LogisticRegression(C=0.01).fit(X, y)  # doctest: +SKIP
    >>> clf.converged_, clf.score(X, y) > 0.95  # doctest: +SKIP
    (True, True)
    >>> clf.predict_proba(X).chunks  # doctest: +SKIP
    ((500, 500, 500, 297), (10,))
    >>> client.close()  # doctest: +SKIP
    """

    _classes_of_fit: Any = None  # while it fits

    def __init__(
        self,
        penalty: Literal["auto", "l1", "l2", "elasticnet"] | None = "auto",
        *,
        C: float = 1.0,
        l1_ratio: float | None = 0.0,
        dual: bool = False,
        fit_intercept: bool = True,
        intercept_scaling: float = 1.0,
        class_weight: ClassWeight = None,
        multi_class: Literal["auto", "multinomial"] = "auto",
        solver: str = "auto",
        tol: float = 1e-4,
        max_iter: int = 1000,
        scaling: Scaling = None,
        n_threads: int | None = None,
        n_jobs: int | None = None,
        random_state: Seed = None,
        warm_start: bool = False,
        verbose: int | bool | None = None,
        client: Any = None,
    ) -> None:
        super().__init__(
            penalty, C=C, l1_ratio=l1_ratio, dual=dual, fit_intercept=fit_intercept,
            intercept_scaling=intercept_scaling, class_weight=class_weight, multi_class=multi_class,
            solver=solver, tol=tol, max_iter=max_iter, scaling=scaling, n_threads=n_threads, n_jobs=n_jobs,
            random_state=random_state, warm_start=warm_start, verbose=verbose,
        )  # fmt: skip
        self.client = client

    def __getstate__(self):
        return {**super().__getstate__(), "client": None}

    def __sklearn_clone__(self):
        plain = self._in_memory(type(self))
        plain.client = None  # which nothing can copy
        clone = super(LogisticRegression, plain).__sklearn_clone__()
        clone.client = self.client
        return clone

    def _in_memory(self, kind=linear_model.LogisticRegression):
        """The same model without its client."""
        model = kind.__new__(kind)
        vars(model).update({name: value for name, value in vars(self).items() if name != "client"})
        return model

    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        max_time: float | None = None,
        *,
        checkpoint: File | None = None,
        classes: Sequence[Any] | None = None,
    ) -> Self:
        """Fits the model.

        Parameters
        ----------
        X : Dask array or dataframe of shape (n_samples, n_features)
            Blocks of dense arrays, or of CSR; partitions may be uneven or empty, and their sizes unknown.
            Whole rows are put together where X has several blocks of columns. What is not of Dask goes to
            the fit in memory.
        y : Dask array or series of shape (n_samples,)
            In the partitions of X, or to be brought into them where sizes or divisions are known. An array in
            memory will do where the sizes of X are known; so for `sample_weight`.
        sample_weight : Dask array or series of shape (n_samples,), or a number, optional
        max_time : float, optional
            Seconds after which the fit ends with the best model so far, exceeded by a few passes at most.
        checkpoint : str or path-like, optional
            A file of the client's, for the weights while the fit runs; where it is there, the fit starts from
            them.
        classes : sequence, optional
            The classes, where y need not show all of them.

        Returns
        -------
        self
            After a KeyboardInterrupt, too, with the best model so far and a warning.

        Raises
        ------
        ValueError
            If a parameter or the data is not as described; the estimator is then left as it was.
        RuntimeError
            If the client is closed, or the workers die again and again; so it is then.
        """
        self._classes_of_fit = classes
        try:
            return super().fit(X, y, sample_weight, max_time, checkpoint=checkpoint)
        finally:
            del self._classes_of_fit

    def _training(self, X, y, sample_weight):
        classes = self._classes_of_fit
        if _is_lazy(X):
            return _training(self, X, y, sample_weight, classes)
        if classes is None:
            return super()._training(X, y, sample_weight)
        return validate.training(self, X, y, sample_weight, classes)

    def decision_function(self, X: Any) -> Any:
        """Scores of the samples.

        Parameters
        ----------
        X : Dask array or dataframe of shape (n_samples, n_features), or what is in memory

        Returns
        -------
        scores : array of shape (n_samples, n_classes), or (n_samples,) for two classes
            A Dask array, not yet computed, where X is of Dask.
        """
        return self._by_block("decision_function", X, self._score_shape)

    def predict(self, X: Any) -> Any:
        """Class of the highest score of each sample.

        Parameters
        ----------
        X : Dask array or dataframe of shape (n_samples, n_features), or what is in memory

        Returns
        -------
        y : array of shape (n_samples,)
            A Dask array, not yet computed, where X is of Dask.
        """
        return self._by_block("predict", X, lambda: ((), self.classes_.dtype))

    def predict_proba(self, X: Any) -> Any:
        """Probabilities of the classes.

        Parameters
        ----------
        X : Dask array or dataframe of shape (n_samples, n_features), or what is in memory

        Returns
        -------
        p : array of shape (n_samples, n_classes)
            A Dask array, not yet computed, where X is of Dask.
        """
        return self._by_block("predict_proba", X, self._probability_shape)

    def predict_log_proba(self, X: Any) -> Any:
        """Logarithms of the probabilities.

        Parameters
        ----------
        X : Dask array or dataframe of shape (n_samples, n_features), or what is in memory

        Returns
        -------
        log_p : array of shape (n_samples, n_classes)
            A Dask array, not yet computed, where X is of Dask.
        """
        return self._by_block("predict_log_proba", X, self._probability_shape)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Accuracy, computed at once.

        Parameters
        ----------
        X : Dask array or dataframe of shape (n_samples, n_features), or what is in memory
        y : labels of shape (n_samples,), as `fit` takes them
        sample_weight : weights of shape (n_samples,), as `fit` takes them, optional

        Returns
        -------
        score : float
            Share of the weight of the samples whose class is found.
        """
        if not _is_lazy(X):
            return super().score(X, y, sample_weight)
        import dask

        check_is_fitted(self)
        model = dask.delayed(self._for_workers())
        pairs = [dask.delayed(_hits)(model, *part) for part in _partitions(X, y, sample_weight)]
        hits, total = np.sum(dask.compute(*pairs, scheduler=self.client), axis=0)
        return float(hits / total)

    def _score_shape(self):
        return () if len(self.classes_) == 2 else (len(self.classes_),), stored_dtype(self.coef_)

    def _probability_shape(self):
        return (len(self.classes_),), stored_dtype(self.coef_)

    def _for_workers(self):
        model = self._in_memory()
        model.n_threads = _task_threads(self)
        return model

    def _by_block(self, method, X, shape):
        """Predictions of a method; `shape()` is that of a row of them, and their type."""
        if not _is_lazy(X):
            return getattr(super(), method)(X)
        check_is_fitted(self)
        X, (tail, dtype) = _whole_rows(X), shape()
        empty = np.empty((0, *tail), dtype=dtype)
        work = functools.partial(_predicted, model=self._for_workers(), method=method, empty=empty)
        if not _is_array(X):
            return X.map_partitions(work, meta=empty)
        chunks = (X.chunks[0], *((size,) for size in tail))
        dropped = {} if tail else {"drop_axis": 1}
        return X.map_blocks(work, chunks=chunks, dtype=dtype, meta=empty, **dropped)


def _predicted(X, model, method, empty):
    """What a method predicts for a block, which may be empty."""
    return getattr(model, method)(X) if X.shape[0] else empty


def _hits(model, X, y, weight):
    """Weight of the rows whose class is found, and of all."""
    if not _has_rows(X, y):
        return 0.0, 0.0
    y, s = labels_and_weights(X, y, weight)
    return s @ (model.predict(X) == y), s.sum()


def _is_lazy(X):
    return hasattr(X, "__dask_graph__")


def _is_array(X):
    return hasattr(X, "numblocks")


def _whole_rows(X):
    """X as an array or a dataframe whose partitions hold whole rows."""
    if not hasattr(X, "to_delayed") or getattr(X, "ndim", None) != 2:
        raise ValueError(
            f"X must be a Dask array or dataframe of rows and columns; found {type(X).__name__} of "
            f"{getattr(X, 'ndim', 'no')} dimensions."
        )
    return X.rechunk({1: -1}) if _is_array(X) and X.numblocks[1] > 1 else X


def _partitions(X, y, sample_weight):
    """(X, y, weights) of each partition, to be computed."""
    if y is None:
        raise ValueError("fit requires y to be passed, but the target y is None.")
    X = _whole_rows(X)
    rows = X.to_delayed().ravel().tolist() if _is_array(X) else X.to_delayed()
    labels = _aligned(y, "y", X, len(rows))
    weights = [None] * len(rows) if sample_weight is None else sample_weight
    if isinstance(weights, numbers.Real):
        weights = [weights] * len(rows)
    elif sample_weight is not None:
        weights = _aligned(sample_weight, "sample_weight", X, len(rows))
    return list(zip(rows, labels, weights, strict=True))


def _aligned(values, name, X, count):
    """y or weights in the partitions of X, to be computed."""
    from dask import array

    known = X.chunks[0] if _is_array(X) and not np.isnan(X.shape[0]) else None
    if not _is_lazy(values):
        if known is None:
            raise ValueError(
                f"{name} must be of Dask where the sizes of the partitions of X are not known; found "
                f"{type(values).__name__}."
            )
        values = array.from_array(np.asarray(values), chunks=-1)
    if not hasattr(values, "to_delayed") or getattr(values, "ndim", None) != 1:
        raise ValueError(
            f"{name} must have one dimension; found {type(values).__name__} of "
            f"{getattr(values, 'ndim', 'no')} dimensions."
        )
    if _is_array(values):
        if known is not None and not np.isnan(values.shape[0]):
            if values.shape[0] != X.shape[0]:
                raise ValueError(
                    f"X and {name} must have the same number of rows; found {X.shape[0]} in X and "
                    f"{values.shape[0]} in {name}."
                )
            values = values.rechunk((known,))
    elif (
        not _is_array(X) and X.known_divisions and values.known_divisions and X.divisions != values.divisions
    ):
        values = values.repartition(divisions=X.divisions)
    parts = list(values.to_delayed())
    if len(parts) != count:
        raise ValueError(
            f"{name} must have the partitions of X, as not all of their sizes are known; found {len(parts)} "
            f"in {name} and {count} in X."
        )
    return parts


def _client_of(estimator):
    """The client to use."""
    from distributed import get_client

    client = estimator.client
    if client is None:
        try:
            client = get_client()
        except ValueError:
            raise ValueError("client must be given, or a distributed.Client be open; found none.") from None
    if getattr(client, "status", None) != "running" or client.asynchronous:
        raise ValueError(f"client must be an open distributed.Client, not asynchronous; found {client!r}.")
    return client


def _task_threads(estimator):
    return 1 if estimator.n_threads is None else thread_count(estimator.n_threads)


def _training(estimator, X, y, sample_weight, classes):
    """The training data of a fit to collections of Dask."""
    import dask

    parts, client = _partitions(X, y, sample_weight), _client_of(estimator)
    rows = _Futures(client, client.compute([dask.delayed(_rows)(*part) for part in parts]))
    # Errors name the class; the workers need no more of the estimator.
    probe = linear_model.LogisticRegression()
    look = rows.reduce(_look, operator.add, probe)
    if look is None:
        raise ValueError("X must have at least one row; found none.")
    if classes is not None and len(unknown := np.setdiff1d(look.labels, np.asarray(classes))):
        raise ValueError(f"classes must hold every label of y; it lacks {', '.join(map(str, unknown[:5]))}.")

    def bundles(attributes, classes, n):
        vars(probe).update(attributes)
        return rows.bundled(look.n_bytes / n, probe, classes, _task_threads(estimator))

    return BlockTraining.of(look, bundles, thread_count(estimator.n_threads), classes)


def _has_rows(X, y):
    """Whether a partition has any, in X or, by mistake, in y alone."""
    return X.shape[0] > 0 or len(y) > 0


def _rows(X, y, weight):
    """A partition as a list of one block, or of none where it is empty."""
    return [(X, y, weight)] if _has_rows(X, y) else []


def _look(rows, estimator):
    return Look.at(estimator, *rows)


def _count(rows):
    return sum(X.shape[0] for X, _, _ in rows)


def _blocks(parts, numbers, estimator, classes, n_threads):
    """The blocks of some partitions of these numbers, as kernels read them."""
    return [
        Block.of(estimator, classes, n_threads, number, *rows)
        for number, part in zip(numbers, parts, strict=True)
        for rows in part
    ]


def _merged(results, merge):
    """All results as one, None where there are none."""
    there = [result for result in results if result is not None]
    return functools.reduce(merge, there) if there else None


def _reduced(bundle, function, merge, arguments):
    """What `merge` makes of what a function finds in the blocks of a bundle."""
    return functools.reduce(merge, (function(block, *arguments) for block in bundle)) if bundle else None


def _size(arguments):
    return sum(getattr(value, "nbytes", 0) for value in arguments)


class _Futures:
    """Lists of blocks that lie on workers.

    Parameters
    ----------
    client : distributed.Client
    bundles : list of futures, each of a list
    """

    def __init__(self, client, bundles):
        self.client, self.bundles = client, bundles

    def reduce(self, function, merge, *arguments):
        """What `merge` makes, two at a time, of function(block, *arguments) of all blocks."""
        return self._in_spite_of_deaths(lambda: self._pass(function, merge, arguments))

    def _in_spite_of_deaths(self, work):
        """What `work()` returns, which is tried again where workers have died."""
        from distributed import CancelledError, KilledWorker
        from distributed.comm import CommClosedError

        for attempt in range(_ATTEMPTS):
            try:
                return work()
            except Exception as error:
                if self.client.status != "running":
                    raise RuntimeError(
                        "client must stay open until the fit ends; found it closed."
                    ) from error
                if not isinstance(error, (CancelledError, KilledWorker, CommClosedError)):
                    raise
                if attempt == _ATTEMPTS - 1:
                    raise RuntimeError(
                        f"The workers must stay alive and keep their partitions; {_ATTEMPTS} passes over "
                        f"these have failed. Memory that does not suffice is the usual reason."
                    ) from error
                self.client.retry([future for future in self.bundles if future.status == "error"])

    def _pass(self, function, merge, arguments):
        work, options = functools.partial(_reduced, function=function, merge=merge), {}
        if _size(arguments) > _INLINE_BYTES:
            options["arguments"] = self.client.scatter(arguments, broadcast=True, hash=False)
        else:
            # Not as an option: map gives those of more than 100 kB a key that is their name, and no other.
            work = functools.partial(work, arguments=arguments)
        found = self.client.map(work, self.bundles, pure=False, key=function.__name__, **options)
        while len(found) > _FAN_IN:
            groups = [found[i : i + _FAN_IN] for i in range(0, len(found), _FAN_IN)]
            found = self.client.map(functools.partial(_merged, merge=merge), groups, pure=False)
        return _merged(self.client.gather(found), merge)

    def _whereabouts(self):
        """Rows of each bundle, the workers that hold it, and what these are."""
        counts = self.client.gather(self.client.map(_count, self.bundles, pure=False))
        workers = self.client.scheduler_info(n_workers=-1)["workers"]
        return counts, self.client.who_has(self.bundles), workers

    def bundled(self, row_bytes, *arguments):
        """The blocks of these rows, in bundles where the rows lie."""
        counts, holders, workers = self._in_spite_of_deaths(self._whereabouts)
        sizes, held = row_bytes * np.array(counts), {}
        for i, future in enumerate(self.bundles):
            held.setdefault(next(iter(holders.get(future.key, ())), None), []).append(i)
        futures = []
        for worker, mine in held.items():
            about = workers.get(worker, {})
            room = _BUNDLE_SHARE * (about.get("memory_limit") or np.inf)  # of all threads
            for bundle in _shares(mine, sizes, about.get("nthreads", 1), room):
                futures.append(
                    self.client.submit(
                        _blocks, [self.bundles[i] for i in bundle], bundle, *arguments, pure=False,
                        workers=worker and [worker], allow_other_workers=worker is not None,
                    )
                )  # fmt: skip
        return _Futures(self.client, futures)


def _shares(mine, sizes, n_threads, room):
    """The partitions of a worker in bundles of about one size: for each of its threads as many as keep those
    that are at work within `room` bytes, the largest partition first to the smallest bundle."""
    each = max(1, int(np.ceil(sizes[mine].sum() / room)))
    count = min(len(mine), each * n_threads)
    bundles, filled = [[] for _ in range(count)], np.zeros(count)
    for i in sorted(mine, key=lambda i: -sizes[i]):
        least = filled.argmin()
        bundles[least].append(i)
        filled[least] += sizes[i]
    return [sorted(bundle) for bundle in bundles]
