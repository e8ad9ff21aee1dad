"""Tables from files that pandas reads: csv and parquet."""

import csv
import gzip
import importlib.util
import io
import sys

import numpy as np

from fastlr.readers.table import Table, column_of, listed

_LONGEST_LINE = 1 << 24
_LONGEST_SAMPLE = 1 << 14  # the time of csv's Sniffer grows with the square


def read_csv(path, target, model):
    pandas = _pandas(".csv", "pandas")
    with _open(path) as stream:
        head = b"".join(stream.readline(_LONGEST_LINE) for _ in range(2)).decode("utf-8", "replace")
        if not head.strip():
            raise ValueError("is empty")
        separator = _separator(head)
        rows = pandas.read_csv(io.StringIO(head), header=None, sep=separator, dtype=str)
        header = 0 if _is_header(rows, pandas) else None
        stream.seek(0)
        frame = pandas.read_csv(stream, header=header, sep=separator, low_memory=False)
    return _from_frame(frame, target, model, header is not None)


def _open(path):
    if path == "-":
        return io.BytesIO(sys.stdin.buffer.read())
    return gzip.open(path) if str(path).lower().endswith(".gz") else open(path, "rb")


def _separator(head):
    if len(head) > _LONGEST_SAMPLE:  # the start of a line has separators enough
        head = head.strip().splitlines()[0][:_LONGEST_SAMPLE]
    try:
        return csv.Sniffer().sniff(head, delimiters=",;\t").delimiter
    except csv.Error:  # a single column, or too little to see
        return "\t" if "\t" in head else ","


def _is_header(rows, pandas):
    """Whether the first of two rows is one of names.

    It is if a word stands over a number, if there is no number in it, or if its numbers count 0, 1, 2 ...,
    as the columns of a DataFrame without names do. A missing value is no word.
    """
    first = rows.iloc[0]
    numbers = pandas.to_numeric(first, errors="coerce")
    is_word = first.notna() & numbers.isna()
    if is_word.all():
        return True
    below = pandas.to_numeric(rows.iloc[-1], errors="coerce").notna()
    counted = numbers.dropna().tolist()
    return bool((is_word & below).any()) or (len(counted) > 2 and counted == list(range(len(counted))))


def read_parquet(path, target, model):
    pandas = _pandas(".parquet", "pandas", "pyarrow")
    return _from_frame(pandas.read_parquet(path, engine="pyarrow"), target, model, True)


def _pandas(suffix, *needed):
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        raise ModuleNotFoundError(
            f"reading {suffix} needs {' and '.join(missing)}: pip install {' '.join(missing)}",
            name=missing[0],
        )
    import pandas

    return pandas


def _from_frame(frame, target, model, has_names):
    """Features and labels of a DataFrame."""
    frame = frame.set_axis([str(name) for name in frame.columns], axis=1)
    names = list(frame.columns) if has_names else None
    chosen = model.names if model is not None and has_names else None
    if chosen is not None:  # by name, in the order of the model; a single other column is the target
        missing = [name for name in chosen if name not in names]
        if missing:
            raise ValueError(f"lacks the features {listed(missing)}; found: {listed(names)}")
        others = [i for i, name in enumerate(names) if name not in chosen]
        column = others[0] if len(others) == 1 else None
        if target is not None:
            column = column_of(target, len(names), names, model)
        features = frame[chosen]
    else:
        column = column_of(target, frame.shape[1], names, model)
        features = frame if column is None else frame.drop(columns=frame.columns[column])
    X = _frame_values(features, has_names)
    names = list(features.columns) if has_names else None
    if column is None:
        return Table(X, None, names)
    where = f"column {frame.columns[column]!r}" if has_names else f"column {column}"
    labels = frame.iloc[:, column]
    if labels.isna().any():
        n, row = int(labels.isna().sum()), int(labels.isna().argmax()) + 1
        raise ValueError(
            f"the target, {where}, lacks {n} of {len(labels)} values, the first in row {row}; needed: "
            "a label for each row"
        )
    return Table(X, labels.to_numpy(), names, where)


def _frame_values(frame, has_names):
    """The numbers of a DataFrame, in as narrow a type as holds them exactly."""
    from pandas.api.types import is_numeric_dtype

    if frame.empty:
        raise ValueError(
            f"has {frame.shape[0]} rows and {frame.shape[1]} features; needed: one at least of each"
        )
    kinds = []
    for name, dtype in frame.dtypes.items():
        where = f"column {name!r}" if has_names else f"column {name}"
        if not is_numeric_dtype(dtype):
            value, row = _first_word(frame[name])
            raise ValueError(
                f"{where} holds text or objects, such as {value!r} in row {row}; needed: numbers (leave the "
                "column out, or code it by numbers)"
            )
        if frame[name].isna().any():
            n, row = int(frame[name].isna().sum()), int(frame[name].isna().argmax()) + 1
            raise ValueError(
                f"{where} lacks {n} of {len(frame)} values, the first in row {row}; needed: numbers"
            )
        kinds.append(getattr(dtype, "numpy_dtype", dtype))
    X = frame.to_numpy(dtype=np.result_type(*kinds) if kinds else np.float64)
    is_byte = X.dtype.kind in "biu" and X.size and X.min() >= 0 and X.max() <= 255
    return X.astype(np.uint8) if is_byte else X


def _first_word(column):
    """The first value that is no number, and its row, counted from 1."""
    from pandas import to_numeric

    is_word = to_numeric(column, errors="coerce").isna().to_numpy() & column.notna().to_numpy()
    row = int(is_word.argmax())  # 0 for dates and the like, of which each has a number
    return str(column.iloc[row]), row + 1
