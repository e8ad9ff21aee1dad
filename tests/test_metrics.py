"""Confusion counts, the order of confused pairs, and the order of mistakes."""

import numpy as np
import pytest

from fastlr import metrics


def test_confusion_matrix_counts_true_in_rows():
    y_true, y_pred = np.array([0, 0, 1, 2, 2, 2]), np.array([0, 1, 1, 0, 0, 2])
    expected = [[1, 1, 0], [0, 1, 0], [2, 0, 1]]
    np.testing.assert_array_equal(metrics.confusion_matrix(y_true, y_pred), expected)
    swapped = metrics.confusion_matrix(y_true, y_pred, labels=[2, 0])
    np.testing.assert_array_equal(swapped, [[1, 2], [0, 1]])
    weighted = metrics.confusion_matrix(y_true, y_pred, sample_weight=[1, 2, 1, 0.5, 0.25, 1])
    np.testing.assert_allclose(weighted, [[1, 2, 0], [0, 1, 0], [0.75, 0, 1]])
    by_class = metrics.confusion_matrix(y_true, y_pred, normalize="true")
    np.testing.assert_allclose(by_class.sum(axis=1), 1)


def test_most_confused_order_and_ties():
    y_true = ["b", "b", "a", "c", "c", "a", "a"]
    y_pred = ["a", "c", "b", "b", "b", "a", "c"]
    expected = [("c", "b", 2), ("a", "b", 1), ("a", "c", 1), ("b", "a", 1), ("b", "c", 1)]
    assert metrics.most_confused(y_true, y_pred) == expected
    assert metrics.most_confused(y_true, y_pred, n=2) == expected[:2]
    assert metrics.most_confused(y_true, y_pred, n=0) == []
    reversed_ties = metrics.most_confused(y_true, y_pred, labels=["c", "b", "a"])
    assert reversed_ties == [("c", "b", 2), *[expected[i] for i in (4, 3, 2, 1)]]
    only = metrics.most_confused(y_true, y_pred, labels=["a", "b"])
    assert only == [("a", "b", 1), ("b", "a", 1)]


def test_most_confused_returns_plain_python_values():
    [(true, predicted, count)] = metrics.most_confused(np.array([3, 5]), np.array([5, 5]))
    assert (true, predicted, count) == (3, 5, 1)
    assert type(true) is int and type(predicted) is int and type(count) is int


def test_most_confused_without_errors():
    assert metrics.most_confused([1, 2], [1, 2]) == []
    with pytest.raises(ValueError, match="n: found -1"):
        metrics.most_confused([1], [1], n=-1)


def test_mistakes_most_confident_first():
    labels = np.array(["x", "y", "z"])
    proba = np.array(
        [
            [0.5, 0.3, 0.2],  # x, right
            [0.6, 0.3, 0.1],  # x, wrong
            [0.1, 0.0, 0.9],  # z, wrong
            [0.2, 0.6, 0.2],  # y, wrong, as confident as row 1
            [0.1, 0.8, 0.1],  # y, wrong: a class that the estimator has never seen
        ]
    )
    found = metrics.mistakes(["x", "y", "x", "z", "w"], proba, labels=labels)
    assert found.tolist() == [2, 4, 1, 3]
    assert found.dtype == np.intp


def test_mistakes_none_and_empty():
    none = metrics.mistakes([0, 1], [[1.0, 0.0], [0.0, 1.0]], labels=[0, 1])
    empty = metrics.mistakes([], np.empty((0, 2)), labels=[0, 1])
    for found in (none, empty):
        assert found.shape == (0,) and found.dtype == np.intp


@pytest.mark.parametrize(
    ("proba", "message"),
    [
        (np.ones((2, 3)), r"found shape \(2, 3\); needed: \(2, 2\)"),
        (np.ones((3, 2)), "found shape"),
        (np.ones(2), "found shape"),
        ([[np.nan, 1], [0, 1]], "NaN"),
    ],
)
def test_mistakes_refuses(proba, message):
    with pytest.raises(ValueError, match=message):
        metrics.mistakes([0, 1], proba, labels=[0, 1])
