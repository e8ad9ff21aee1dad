"""Rows in blocks, which need not be in memory at a time: what problems ask of rows is a sum over blocks.

Shapes: n samples, d features, K score columns.
"""

import copy
import operator
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp

from fastlr import validate
from fastlr.data import Data, Moments, View, drawn, row_bytes, sampling_rates, thread_count
from fastlr.losses import Softmax, SoftmaxOfBlocks
from fastlr.typing import File, Names


class Blocks:
    """Training data that is read block by block, each time anew.

    Parameters
    ----------
    source : iterable or callable
        What can be iterated again and again, or a function without arguments that returns an iterator. It
        gives (X, y) or (X, y, sample_weight): arrays of some rows, X in uint8, float32 or float64, all blocks
        of one type, or CSR. It must give the same blocks each time; a block is kept no longer than it is
        needed, and the next one is read meanwhile.

    Raises
    ------
    TypeError
        If the source can be read once only, as a generator.

    See Also
    --------
    Blocks.from_parquet : Blocks of a Parquet or Arrow dataset.

    Notes
    -----
    Arrays that lie in a file as they are need no blocks: give ``np.load(path, mmap_mode="r")`` to `fit`.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from fastlr import Blocks, LogisticRegression
    >>> X, y = load_digits(return_X_y=True)
    >>> blocks = Blocks([(X[:1000], y[:1000]), (X[1000:], y[1000:])])
    >>> clf = LogisticRegression(C=0.01).fit(blocks)
    >>> clf.converged_, clf.score(X, y) > 0.95
    (True, True)
    """

    def __init__(self, source: Iterable[Any] | Callable[[], Iterator[Any]]) -> None:
        if not callable(source) and (not hasattr(source, "__iter__") or iter(source) is source):
            raise TypeError(
                f"source must be an iterable that can be read again and again, or a function that returns an "
                f"iterator; found {type(source).__name__}."
            )
        self.source = source

    def __iter__(self) -> Iterator[Any]:
        return iter(self.source() if callable(self.source) else self.source)

    @classmethod
    def from_parquet(
        cls,
        source: File | Any,
        target: str,
        *,
        features: Names | None = None,
        weight: str | None = None,
        batch_size: int = 65536,
    ) -> "Blocks":
        """Blocks of a dataset that pyarrow reads: Parquet, Arrow (Feather) or CSV, one file or many.

        Parameters
        ----------
        source : str, path-like or pyarrow.dataset.Dataset
            A file or a folder of Parquet files, or whatever ``pyarrow.dataset.dataset`` makes of other files.
        target : str
            Column of the labels.
        features : sequence of str, optional
            Columns of the features, by default all others. A single column of lists of one length counts
            as so many features.
        weight : str, optional
            Column of the sample weights.
        batch_size : int, default=65536
            Rows of a block, at most.

        Returns
        -------
        Blocks
            Features of one type (uint8, float32 or float64) stay what they are; others become float64.

        Raises
        ------
        ModuleNotFoundError
            Without pyarrow: ``pip install "fastlr[tables]"``.
        ValueError
            If a column is not there.

        Examples
        --------
        >>> from fastlr import Blocks, LogisticRegression
        >>> blocks = Blocks.from_parquet("flowers/", target="species")  # doctest: +SKIP
        >>> LogisticRegression().fit(blocks)  # doctest: +SKIP
        """
        return cls(_Dataset(source, target, features, weight, batch_size))


class _Dataset:
    """Blocks of a dataset of pyarrow."""

    def __init__(self, source, target, features, weight, batch_size):
        try:
            from pyarrow import dataset
        except ModuleNotFoundError as error:
            message = 'Parquet needs pyarrow: pip install "fastlr[tables]"'
            raise ModuleNotFoundError(message, name="pyarrow") from error
        is_dataset = isinstance(source, dataset.Dataset)
        self.dataset = source if is_dataset else dataset.dataset(source, format="parquet")
        validate.check_number("batch_size", batch_size, int, 1, what="an integer of at least 1")
        names = self.dataset.schema.names
        others = [name for name in names if name not in (target, weight)]
        self.target, self.weight, self.batch_size = target, weight, batch_size
        self.features = others if features is None else list(features)
        wanted = [target, *self.features] + ([] if weight is None else [weight])
        if missing := [name for name in wanted if name not in names]:
            raise ValueError(f"The dataset has no column {missing[0]!r}; found: {', '.join(names)}.")
        if len(set(wanted)) < len(wanted):
            raise ValueError(f"target, features and weight must be columns of their own; found {wanted}.")

    def __iter__(self):
        columns = [*self.features, self.target, *([self.weight] if self.weight else [])]
        for batch in self.dataset.to_batches(columns=columns, batch_size=self.batch_size):
            if batch.num_rows:
                block = self._matrix(batch), batch.column(self.target).to_numpy(zero_copy_only=False)
                yield block if self.weight is None else (*block, batch.column(self.weight).to_numpy(False))

    def _matrix(self, batch):
        parts = [batch.column(name) for name in self.features]
        if len(parts) == 1 and hasattr(parts[0], "flatten") and str(parts[0].type).find("list") >= 0:
            from pyarrow import compute

            lengths = compute.list_value_length(parts[0]).to_numpy(zero_copy_only=False)
            if not np.all(lengths == lengths[0]):  # NaN, too: a row without a list
                raise ValueError(f"Column {self.features[0]!r} must hold lists of one length in all rows.")
            values = parts[0].flatten().to_numpy(zero_copy_only=False)
            return values.reshape(batch.num_rows, -1)
        types = {str(part.type) for part in parts}
        one = {"uint8": np.uint8, "float": np.float32}.get(types.pop()) if len(types) == 1 else None
        X = np.empty((batch.num_rows, len(parts)), dtype=one or np.float64, order="F")
        for j, part in enumerate(parts):
            X[:, j] = part.to_numpy(zero_copy_only=False)
        return X


@dataclass(frozen=True)
class Look:
    """What one look at rows tells: their number in each block, bytes and types, the labels, and, of the rows
    of each label that have a weight, number and weight. `unit` is NaN where that of blocks differs."""

    sizes: tuple
    n_bytes: float
    d: int
    dtype: np.dtype
    is_sparse: bool
    unit: float
    labels: np.ndarray
    count: np.ndarray
    mass: np.ndarray
    attributes: dict

    @classmethod
    def at(cls, estimator, X, y, weight=None):
        """At a block; `estimator` may have the number and the names of the features."""
        probe = copy.copy(estimator)
        given, X = X, validate.features(probe, X, reset=not hasattr(probe, "n_features_in_"))
        y, s = labels_and_weights(X, y, weight)
        labels, code = np.unique(y, return_inverse=True)
        count = np.bincount(code, s > 0, len(labels))
        attributes = {
            name: value
            for name, value in vars(probe).items()
            if name in ("n_features_in_", "feature_names_in_")
        }
        return cls(
            (X.shape[0],), row_bytes(X) * X.shape[0], X.shape[1], X.dtype, sp.issparse(X),
            validate.unit(given), labels, count, np.bincount(code, s, len(labels)), attributes,
        )  # fmt: skip

    def __add__(self, other):
        """Of both."""
        for name, what in (("d", "number of features"), ("dtype", "type"), ("is_sparse", "storage")):
            mine, its = getattr(self, name), getattr(other, name)
            if mine != its:
                raise ValueError(f"All blocks must have one {what}; found {mine} and {its}.")
        kinds = [labels.dtype.kind in "biuf" for labels in (self.labels, other.labels)]
        if kinds[0] != kinds[1]:  # NumPy would make strings of all
            raise ValueError("y must hold labels of one type in all blocks; found numbers and others.")
        together = np.concatenate([self.labels, other.labels])
        labels, code = np.unique(together, return_inverse=True)
        sums = (
            np.bincount(code, np.concatenate(pair), len(labels))
            for pair in ((self.count, other.count), (self.mass, other.mass))
        )
        count, mass = sums
        sizes, n_bytes = self.sizes + other.sizes, self.n_bytes + other.n_bytes
        unit = self.unit if self.unit == other.unit else np.nan
        return replace(self, sizes=sizes, n_bytes=n_bytes, unit=unit, labels=labels, count=count, mass=mass)

    @property
    def n(self):
        """Rows of all."""
        return sum(self.sizes)


def labels_and_weights(X, y, weight):
    """Those of a block, checked."""
    with warnings.catch_warnings():  # few rows may well have as many classes
        warnings.filterwarnings("ignore", "The number of unique classes")
        y = validate.labels(y)
    if len(y) != X.shape[0]:
        raise ValueError(
            f"X and y of a block must have the same number of rows; found {X.shape[0]} in X and {len(y)} "
            f"in y."
        )
    # A block may have no weight at all.
    if weight is not None and np.shape(weight) in ((), y.shape) and not np.any(np.asarray(weight)):
        return y, np.zeros(len(y))
    return y, validate.weights(weight, X.shape[0])


@dataclass(frozen=True)
class Block:
    """A block as kernels read it: class numbers y, plain weights s. Its number makes its random draws differ
    from those of others."""

    data: Data
    y: np.ndarray
    s: np.ndarray
    number: int

    @classmethod
    def of(cls, estimator, classes, n_threads, number, X, y, weight=None):
        X = validate.features(estimator, X, reset=False)
        y, s = labels_and_weights(X, y, weight)
        return cls(Data(X, n_threads), validate.encode(y, classes), s, number)

    def __sizeof__(self):
        # What it holds: Dask asks before it moves a block, or puts it on disk.
        return int(self.data.n * self.data.row_bytes) + self.y.nbytes + self.s.nbytes


def loss_gradient(block, loss, W, b):
    return block.data.loss_gradient(W, b, loss.of(block.y, block.s))


def evaluate(block, loss, W, b):
    return block.data.evaluate(W, b, loss.of(block.y, block.s))


def dual_entropy(block, loss, W, b, *rest):
    return (block.data.dual_entropy(W, b, loss.of(block.y, block.s), *rest),)


def moments(block, loss):
    part = loss.of(block.y, block.s)
    return part.s.sum(), block.data.moments(part)


def sample(block, rates, seed):
    """Some rows."""
    rng = np.random.default_rng([seed, block.number])
    kept = drawn(block.y, block.s, rates, rng)
    return [block.data.X[kept]], [block.y[kept]], [block.s[kept]]


def add(first, second):
    """Sums of what two calls have returned."""
    return tuple(map(operator.add, first, second))


def merge_moments(first, second):
    """Moments of the rows of both (Chan, Golub and LeVeque 1983)."""
    (m1, a), (m2, b) = first, second
    if m1 == 0 or m2 == 0:
        return first if m2 == 0 else second
    mass, apart = m1 + m2, b.mean - a.mean
    low, high = np.minimum(a.low, b.low), np.maximum(a.high, b.high)
    variance = (m1 * a.variance + m2 * b.variance) / mass + (m1 / mass) * (m2 / mass) * apart**2
    variance[low == high] = 0.0
    sums = a.label_sums + b.label_sums, a.total + b.total
    return mass, Moments(*sums, a.mean + m2 / mass * apart, variance, low, high)


class BlockData(View):
    """What Data is for one array, for blocks.

    Parameters
    ----------
    parts : object
        `parts.reduce(function, merge, *arguments)` is what `merge` makes, two at a time, of all
        function(block, *arguments).
    look : Look
        At all rows, with the labels in the order of the classes.
    n_threads : int
    """

    is_whole = False

    def __init__(self, parts, look, n_threads):
        self.parts, self.look, self.n_threads = parts, look, n_threads
        self.n, self.d, self.dtype, self.is_sparse = look.n, look.d, look.dtype, look.is_sparse

    @property
    def row_bytes(self):
        """Bytes of a row of X, on average."""
        return self.look.n_bytes / max(self.n, 1)

    @cached_property
    def reader(self):
        """What gives one block after the other."""
        return Reader(self.parts, self.look.sizes)

    def row_work(self, n_columns):
        """Multiply-adds of scores and gradient, for one row."""
        values = self.row_bytes / (self.dtype.itemsize + 4) if self.is_sparse else self.d
        return max(1.0, 2 * n_columns * values)

    def loss_gradient(self, W, b, loss):
        return self.parts.reduce(loss_gradient, add, loss, W, b)

    def evaluate(self, W, b, loss):
        return self.parts.reduce(evaluate, add, loss, W, b)

    def dual_entropy(self, W, b, loss, shrink, receive, mix):
        return self.parts.reduce(dual_entropy, add, loss, W, b, shrink, receive, mix)[0]

    def moments(self, loss):
        return self.parts.reduce(moments, merge_moments, loss)[1]

    def sample(self, m, loss, rng):
        """A sample in memory, as `Data.sample` draws it."""
        rates, seed = sampling_rates(self.look.count, m), int(rng.integers(2**31))
        X, y, s = self.parts.reduce(sample, add, rates, seed)
        rows = sp.vstack(X, format="csr") if self.is_sparse else np.concatenate(X)
        part = loss.of(np.concatenate(y), np.concatenate(s))
        return Data(rows, self.n_threads), part.of_mass(loss.class_mass)


def _changed(found):
    return ValueError(f"X must give the same blocks each time it is read; found {found}.")


class LocalParts:
    """Blocks that this process reads, one after the other, the next one while it works on the last."""

    def __init__(self, blocks, estimator, classes, n, n_threads):
        self.blocks, self.estimator, self.classes = blocks, estimator, classes
        self.n, self.n_threads = n, n_threads

    def __iter__(self):
        n = 0
        for number, block in enumerate(_not_empty(self.blocks)):
            found = Block.of(self.estimator, self.classes, self.n_threads, number, *block)
            n += found.data.n
            yield found
        if n != self.n:
            raise _changed(f"{self.n} rows at first and {n} later")

    def reduce(self, function, merge, *arguments):
        return reduce(merge, (function(block, *arguments) for block in self))


class Reader:
    """The blocks that hold given rows, where these come in order, again and again."""

    def __init__(self, parts, sizes):
        self.parts, self.sizes = parts, sizes
        self.blocks, self.first, self.block = None, 0, None

    def at(self, row):
        """The block that holds a row, and the number of its first one."""
        if self.blocks is None or row < self.first:
            self.blocks, self.first = zip(self.sizes, self.parts, strict=True), 0
            self.block = self._next()
        while row >= self.first + self.block.data.n:
            self.first += self.block.data.n
            self.block = self._next()
        return self.block, self.first

    def _next(self):
        size, block = next(self.blocks)
        if block.data.n != size:  # kernels do not look whether a block has the rows that they are told of
            raise _changed(f"a block of {size} rows at first and of {block.data.n} later")
        return block


_END = object()


def ahead(iterable):
    """The items; a thread gets the next one while the last is in use."""
    items = iter(iterable)
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(next, items, _END)
        while (item := coming.result()) is not _END:
            coming = reader.submit(next, items, _END)
            yield item


def _not_empty(blocks):
    """The blocks that have rows, as tuples."""
    for block in ahead(blocks):
        if not isinstance(block, (tuple, list)) or len(block) not in (2, 3):
            raise ValueError("A block must be (X, y) or (X, y, sample_weight).")
        if getattr(block[0], "shape", (1,))[0] or len(block[1]):
            yield block


@dataclass(frozen=True)
class BlockTraining:
    """Training data in blocks, after a first look; what `validate.Training` is for arrays."""

    data: BlockData
    classes: np.ndarray
    unit: float
    attributes: dict
    kept: ClassVar[None] = None  # all rows are trained on

    @classmethod
    def of(cls, look, parts, n_threads, classes=None):
        """From a look at all blocks; parts(attributes, classes, n) makes what `BlockData` reads them by."""
        found = validate.distinct(look.labels if classes is None else classes, "classes")
        validate.require_two(found)
        at = validate.encode(look.labels, found)
        count, mass = np.zeros(len(found)), np.zeros(len(found))
        count[at], mass[at] = look.count, look.mass
        if not mass.any():
            raise ValueError("sample_weight must have a positive value; found only zeros.")
        look = replace(look, labels=found, count=count, mass=mass)
        data = BlockData(parts(look.attributes, found, look.n), look, n_threads)
        return cls(data, found, look.unit, look.attributes)

    def class_factors(self, class_weight):
        """Factors of the weights, shape (K,)."""
        mass = self.data.look.mass
        factors = validate.class_factors(class_weight, self.classes, mass)
        if isinstance(class_weight, dict):
            there = mass > 0
            each = (factors * mass)[there] / self.data.look.count[there]  # of a row, on average
            validate.weights(each, len(each), "class_weight, times sample_weight,")
        return factors


def training(estimator, X, y, sample_weight):
    """The checked training data of a fit: Blocks, or arrays as `validate.training` takes them."""
    if not isinstance(X, Blocks):
        return validate.training(estimator, X, y, sample_weight)
    for name, value in (("y", y), ("sample_weight", sample_weight)):
        if value is not None:
            raise ValueError(f"{name} must be None where X is Blocks, which hold it; found {name} beside X.")
    threads = thread_count(estimator.n_threads)

    def parts(attributes, classes, n):
        probe = copy.copy(estimator)
        vars(probe).update(attributes)
        return LocalParts(X, probe, classes, n, threads)

    return BlockTraining.of(look_at(estimator, X), parts, threads)


def data(training, n_threads):
    """The rows of training data, as problems see them."""
    return training.data if isinstance(training, BlockTraining) else Data(training.X, n_threads)


def losses(training, class_weight):
    """The softmax of training data, without class weights and with them."""
    n_classes = len(training.classes)
    if isinstance(training, BlockTraining):
        mass, factors = training.data.look.mass, training.class_factors(class_weight)
        return SoftmaxOfBlocks(np.ones(n_classes), mass), SoftmaxOfBlocks(factors, mass)
    plain = Softmax(training.y, training.weight, n_classes)
    weight = validate.balanced(class_weight, training.classes, training.y, training.weight)
    return plain, plain if weight is training.weight else Softmax(training.y, weight, n_classes)


def look_at(estimator, blocks):
    """A look at all blocks of an iterable."""
    total, probe = None, copy.copy(estimator)
    for name in ("n_features_in_", "feature_names_in_"):
        vars(probe).pop(name, None)
    for block in _not_empty(blocks):
        look = Look.at(probe, *block)
        vars(probe).update(look.attributes)
        total = look if total is None else total + look
    if total is None:
        raise ValueError("X must have at least one block of rows; found none.")
    return total
