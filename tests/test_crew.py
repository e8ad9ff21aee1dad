"""Crew: the faster number of threads, by a clock that tests move."""

import pytest

from fastlr.crew import _CALLS, _LATE, _SOON, Crew


class Machine:
    """Seconds of a unit of work by number of threads, which may change; it keeps the threads of calls."""

    def __init__(self, **seconds):
        self.seconds, self.now, self.calls = seconds, 0.0, []
        self.crew = Crew(4, clock=lambda: self.now)

    def call(self, work):
        def kernel(threads):
            self.calls.append(threads)
            self.now += work * self.seconds["all" if threads == 4 else "one"]
            return work

        assert self.crew.run(kernel, work) == work

    def run(self, seconds):
        """Calls of unequal work for that long."""
        self.calls, until = [], self.now + seconds
        while self.now < until:
            self.call(1 + len(self.calls) % 3)
        return self.calls


def trials(seconds):
    """At most so many, if none of them wins."""
    return 5 + seconds / _LATE


def test_all_threads_where_they_pay_and_few_trials():
    calls = Machine(all=0.003, one=0.01).run(100)
    first = calls.index(1)
    assert _SOON / 0.009 < first < 2 * _SOON / 0.003
    assert 5 < calls.count(1) <= trials(100)


def test_one_thread_where_several_hinder_each_other():
    machine = Machine(all=0.02, one=0.01)
    machine.run(1)
    assert machine.run(100).count(4) <= trials(100)


def test_trials_of_long_calls_are_few():
    calls = Machine(all=0.1, one=0.2).run(100)
    assert 0 < calls.count(1) <= len(calls) / _CALLS + 1


@pytest.mark.parametrize("better", ["all", "one"])
def test_it_notices_a_change(better):
    machine = Machine(all=0.01, one=0.01)
    machine.seconds[better] = 0.02
    machine.run(50)
    machine.seconds[better] = 0.005
    machine.run(2 * _LATE)
    calls = machine.run(10)
    assert calls.count(4 if better == "all" else 1) >= 0.9 * len(calls)


def test_one_thread_is_never_asked_for_more():
    crew = Crew(1)
    assert [crew.run(lambda threads: threads, 1) for _ in range(20)] == [1] * 20


def test_errors_pass():
    with pytest.raises(MemoryError):
        Crew(2).run(lambda threads: (_ for _ in ()).throw(MemoryError()), 1)
