"""BLAS has one thread inside, and as many as before outside, in the main thread."""

import sys
from concurrent.futures import ThreadPoolExecutor

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
    def outside():
        return single_threaded(threads), threads()

    inner, outer = single_threaded(outside)
    assert set(inner) == set(outer) == {1}
    assert threads() == before


def test_other_threads_leave_it_alone(before):
    """They could not lift the limit again."""
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(single_threaded, threads).result() == before
    assert threads() == before


def test_errors_lift_the_limit(before):
    with pytest.raises(ZeroDivisionError):
        single_threaded(lambda: 1 / 0)
    assert threads() == before


def test_an_interrupt_at_any_moment_lifts_the_limit(before):
    """After every call and at its beginning, where Python looks for signals."""
    profiled, moments = sys.getprofile(), 0
    while True:
        left = moments

        def interrupt(*event):
            nonlocal left
            left -= 1
            if left < 0:
                sys.setprofile(profiled)
                raise KeyboardInterrupt

        try:
            sys.setprofile(interrupt)
            single_threaded(int)
            sys.setprofile(profiled)
            break
        except KeyboardInterrupt:
            moments += 1
        assert threads() == before, moments
    assert threads() == before
    assert moments > 10
