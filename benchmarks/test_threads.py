"""The tables of `benchmarks.threads` are of one thread and two."""

from benchmarks import threads, workloads
from fastlr import data


def test_speed_ups():
    X, y = workloads.mnist_like(300)
    asked = []
    works = [("work", "size", asked.append), *threads.passes(X, y)]
    rows = list(threads.speed_ups(works, 1))
    assert asked == [2, 1, 2]
    assert [row[0] for row in rows] == ["work", "fused pass, uint8", "fused pass, float32"]
    assert rows[1][1] == "300 x 784 x 10"


def test_break_even(monkeypatch):
    monkeypatch.setattr(threads, "SHAPES", ((784, 10, (256, 512)), (50, 3, (512, 16_384))))
    kept = data._THREAD_WORK
    rows = list(threads.break_even(2))
    assert kept == data._THREAD_WORK
    assert [row[0] for row in rows] == ["256 x 784 x 10", "512 x 784 x 10", "512 x 50 x 3", "16,384 x 50 x 3"]
    # One chunk of rows, two, too little work, and enough.
    assert [row[-1] for row in rows] == ["1", "2", "1", "2"]
