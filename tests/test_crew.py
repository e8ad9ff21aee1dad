"""Crew: the faster number of threads, by a clock that tests move."""

import pytest

from fastlr.crew import _LATE, _SOON, Crew


class Machine:
    """Seconds of a unit of work by number of threads, which may change; it counts calls."""

    def __init__(self, **seconds):
        self.seconds, self.now, self.calls = seconds, 0.0, []
        self.crew = Crew(4, clock=lambda: self.now)

    def call(self, work):
        def kernel(threads):
            self.calls.append(threads)
            self.now += work * self.seconds["all" if threads == 4 else "one"]
            return work

        assert self.crew.run(kernel, work) == work

    def run(self, n):
        """Calls of unequal work."""
        self.calls = []
        for i in range(n):
            self.call(1 + i % 3)
        return self.calls


def test_all_threads_where_they_pay_and_few_trials():
    machine = Machine(all=0.3, one=1.0)
    calls = machine.run(1000)
    assert calls[:_SOON] == [4] * _SOON and calls[_SOON] == 1
    assert calls.count(1) <= 5 + 1000 / _LATE


def test_one_thread_where_several_hinder_each_other():
    calls = Machine(all=2.0, one=1.0).run(1000)
    assert calls.count(4) <= _SOON + 5 + 1000 / _LATE


@pytest.mark.parametrize("better", ["all", "one"])
def test_it_notices_a_change(better):
    machine = Machine(all=1.0, one=1.0)
    machine.seconds[better] = 2.0
    machine.run(500)
    machine.seconds[better] = 0.5
    machine.run(2 * _LATE)
    wanted = 4 if better == "all" else 1
    assert machine.run(100).count(wanted) >= 90


def test_one_thread_is_never_asked_for_more():
    crew = Crew(1)
    assert [crew.run(lambda threads: threads, 1) for _ in range(20)] == [1] * 20


def test_errors_pass():
    with pytest.raises(MemoryError):
        Crew(2).run(lambda threads: (_ for _ in ()).throw(MemoryError()), 1)
