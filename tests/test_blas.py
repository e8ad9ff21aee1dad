"""BLAS has one thread inside, and as many as before outside, in the main thread."""

import threading

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from fastlr.blas import single_threaded


def threads():
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


@pytest.fixture
def before():
    np.ones((2, 2)) @ np.ones((2, 2))
    found = threads()
    if not found:
        pytest.skip("this BLAS does not tell of its threads")
    return found


def test_nested_uses(before):
    with single_threaded():
        assert set(threads()) == {1}
        with single_threaded():
            assert set(threads()) == {1}
        assert set(threads()) == {1}
    assert threads() == before


def test_other_threads_leave_it_alone(before):
    """They could not lift the limit again."""
    found = []

    def work():
        with single_threaded():
            found.append(threads())

    worker = threading.Thread(target=work)
    worker.start()
    worker.join()
    assert found == [before]
    assert threads() == before


def test_errors_lift_the_limit(before):
    with pytest.raises(ZeroDivisionError), single_threaded():
        1 / 0  # noqa: B018
    assert threads() == before
