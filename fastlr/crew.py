"""How many threads repeated calls of a kernel get."""

import time

# Seconds before the other number of threads is tried: at first, and at most; and calls at least.
_SOON, _LATE, _CALLS = 0.25, 4.0, 16


class Crew:
    """The threads of calls that are made again and again, with the same results for any number of threads.

    Threads that meet every few microseconds wait for the slowest of them. Where other work holds a processor,
    or two processors are halves of one core, a single thread may be faster than all; that shows only when it
    is tried, and may change at any time. So both are: the loser for a call now and then, the more seldom the
    longer it has lost.

    Parameters
    ----------
    n_threads : int
        All of them.
    clock : callable
        Returns seconds.
    """

    def __init__(self, n_threads, clock=time.perf_counter):
        self.size, self.other, self.clock = n_threads, 1, clock
        self.cost = None  # seconds per work of late, by `size` threads
        self.spent, self.pause = 0.0, _SOON  # seconds since the last trial, and before the next

    def run(self, call, work):
        """What call(threads) returns; its time should be proportional to `work`."""
        if self.size == self.other:
            return call(self.size)
        is_trial = self.spent > self.pause
        began = self.clock()
        result = call(self.other if is_trial else self.size)
        seconds = self.clock() - began
        cost = seconds / work
        if not is_trial:
            # The mean of late; the first call may have been slow to start.
            self.cost = cost if self.cost is None else (self.cost + cost) / 2
            self.spent += seconds
            return result
        pause = min(2 * self.pause, _LATE)
        if cost < self.cost:
            self.size, self.other, self.cost, pause = self.other, self.size, cost, _SOON
        self.spent, self.pause = 0.0, max(pause, _CALLS * seconds)
        return result
