"""The points of `benchmarks.growth` are fits of the size they say, and its picture shows them all."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks import growth
from benchmarks.measure import apart


@pytest.mark.parametrize("axis", growth.AXES, ids=lambda axis: axis.name)
def test_data(axis):
    size = axis.sizes[0]
    X, y, _ = axis.data(size)
    found = {"n": len(y), "d": X.shape[1], "K": len(np.unique(y)), "non-zeros": getattr(X, "nnz", 0)}
    # Words that a text repeats are one entry.
    assert 0.9 * size <= found[axis.name] <= size


def test_measure():
    point = apart(growth.measure, growth.AXES[0], 500, "l1", "newton-cd", 1)
    assert point.converged and point.solver == "newton-cd" and point.n_iter > 0
    assert (point.size, point.stored) == (500, 500 * 400)
    assert point.seconds > 0 and point.extra > 0


def test_draw():
    pytest.importorskip("matplotlib")
    point = growth.Point(100, 0.1, 10_000, 20_000, 3, "newton-cd", True)
    points = [point, replace(point, size=800, seconds=0.9, converged=False)]
    found = {(axis.name, penalty): points for axis in growth.AXES for penalty in growth.PENALTIES}
    axes = growth.draw(found).axes
    assert len(axes) == 8
    for ax in axes:
        # Two curves, each with what has not converged on top, and one to compare with.
        assert [len(line.get_xdata()) for line in ax.lines] == [2, 1, 2, 1, 2]
