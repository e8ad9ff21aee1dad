"""BLAS on one thread while a solver runs.

After a product, the threads of a BLAS pool spin for a while in wait of the next one, on the very processors
that the kernels need; and the solvers' products are small.
"""

import threading
from contextlib import nullcontext
from functools import cache

from threadpoolctl import ThreadpoolController


@cache
def _pools():
    return ThreadpoolController()


def single_threaded():
    """A context in which BLAS uses one thread.

    Only in the main thread: OpenBLAS may ignore what other threads ask for once that one has asked, and a
    limit that cannot be lifted would outlive the fit. Who runs fits in threads enters it before.
    """
    if threading.current_thread() is not threading.main_thread():
        return nullcontext()
    return _pools().limit(limits=1, user_api="blas")
