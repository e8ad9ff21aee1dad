"""BLAS on one thread while a solver runs.

After a product, the threads of a BLAS pool spin for a while in wait of the next one, on the very processors that
the kernels need; and the solvers' products are small. The limit belongs to the process, so fits that
run in threads beside each other share one: the first sets it, the last lifts it.
"""

import threading
from contextlib import contextmanager
from functools import cache

from threadpoolctl import ThreadpoolController

_lock = threading.Lock()
_users, _limit = 0, None


@cache
def _pools():
    return ThreadpoolController().select(user_api="blas")


@contextmanager
def single_threaded():
    """While it is entered, BLAS uses one thread."""
    global _users, _limit
    with _lock:
        if _users == 0:
            _limit = _pools().limit(limits=1)
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                _limit.restore_original_limits()
