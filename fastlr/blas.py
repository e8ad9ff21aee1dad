"""The threads of other libraries: BLAS has one while a solver runs, and OpenMP's number is a limit of ours.

After a product, the threads of a BLAS pool spin for a while in wait of the next one, on the very processors
that the kernels need; and the solvers' products are small.
"""

import threading
from functools import cache

from threadpoolctl import ThreadpoolController


@cache
def _pools(user_api):
    return ThreadpoolController().select(user_api=user_api).lib_controllers


def openmp_limits():
    """How many threads OpenMP may have, of each of its libraries: what OMP_NUM_THREADS, threadpoolctl and the
    workers of joblib make of it."""
    return [pool.num_threads for pool in _pools("openmp")]


def _put_back(pools, numbers):
    for pool, number in zip(pools, numbers, strict=True):
        pool.set_num_threads(number)


def single_threaded(work):
    """What `work()` returns, BLAS having one thread meanwhile.

    Only in the main thread: OpenBLAS may ignore what other threads ask for once that one has asked, and a
    limit that cannot be lifted would outlive the fit. Who runs fits in threads calls it before.
    """
    if threading.current_thread() is not threading.main_thread():
        return work()
    pools = _pools("blas")
    before = [pool.num_threads for pool in pools]
    # No context manager: an interrupt that comes while it is entered or left would leave the limit.
    try:
        for pool in pools:
            pool.set_num_threads(1)
        return work()
    finally:
        try:
            _put_back(pools, before)
        except KeyboardInterrupt:
            _put_back(pools, before)
            raise
